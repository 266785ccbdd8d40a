"""Questions about coordinates: which entities meet them, in which order, in which form."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import numpy as np
import pytest
import statlas
from samples import baseline, fractal, many, numbered

DEFAULT_COLUMNS = [
    "address",
    "id",
    "profile",
    "entity_type",
    "realm",
    "coordinate_realm",
    "lineage",
    "horizon",
    "resonance",
    "velocity",
    "density",
    "luminosity",
    "polarity",
    "dimensionality",
    "alignment",
    "created_at",
    "state",
]


def numbers(found: statlas.Found) -> list[int]:
    return [entity.state["number"] for entity in found]


Fields = dict[str, Any]
FILTERS: list[tuple[dict[str, Any], Callable[[Fields], bool]]] = [
    ({}, lambda fields: True),
    ({"profile": "stat7"}, lambda fields: fields["profile"] == "stat7"),
    ({"realm": "data"}, lambda fields: fields["coordinates"]["realm"] == "data"),
    ({"realm": ["data", "void"]}, lambda fields: fields["coordinates"]["realm"] in ("data", "void")),
    ({"entity_realm": ("system",)}, lambda fields: fields["realm"] == "system"),
    ({"entity_type": "concept"}, lambda fields: True),
    ({"entity_type": "agent"}, lambda fields: False),
    ({"horizon": {"peak", "decay"}}, lambda fields: fields["coordinates"]["horizon"] in ("peak", "decay")),
    ({"polarity": "LOGIC"}, lambda fields: fields["profile"] == "fractalstat"),
    ({"alignment": ["HARMONIC"]}, lambda fields: False),
    ({"lineage": (2, 4)}, lambda fields: 2 <= fields["coordinates"]["lineage"] <= 4),
    ({"lineage": (None, 4)}, lambda fields: fields["coordinates"]["lineage"] <= 4),
    ({"lineage": (8, None)}, lambda fields: fields["coordinates"]["lineage"] >= 8),
    ({"lineage": 3}, lambda fields: fields["coordinates"]["lineage"] == 3),
    ({"dimensionality": (1, 2)}, lambda fields: fields["coordinates"].get("dimensionality", 0) in (1, 2)),
    ({"resonance": (0.1, 0.5)}, lambda fields: 0.1 <= fields["coordinates"].get("resonance", 9) <= 0.5),
    ({"velocity": (None, -0.25)}, lambda fields: fields["coordinates"].get("velocity", 9) <= -0.25),
    ({"density": 0.5}, lambda fields: fields["coordinates"].get("density", 9) == 0.5),
    ({"luminosity": (30, 60.5)}, lambda fields: 30 <= fields["coordinates"].get("luminosity", -1) <= 60.5),
    ({"created_at": ("2025-01-10T00:00:00Z", None)}, lambda fields: fields["created_at"] >= "2025-01-10"),
    (
        {"created_at": (None, datetime(2025, 1, 10, tzinfo=timezone.utc))},
        lambda fields: fields["created_at"] < "2025-01-10",
    ),
    ({"adjacent": "e-000041"}, lambda fields: fields["state"]["number"] == 42),
    ({"adjacent": ["e-000041", "e-000042"]}, lambda fields: False),
    (
        {"realm": "data", "lineage": (0, 4), "resonance": (-0.5, None)},
        lambda fields: (
            fields["coordinates"]["realm"] == "data"
            and fields["coordinates"]["lineage"] <= 4
            and fields["coordinates"].get("resonance", -9) >= -0.5
        ),
    ),
]


@pytest.mark.parametrize(("conditions", "is_met"), FILTERS, ids=[" ".join(f) or "nothing" for f, _ in FILTERS])
def test_every_condition_is_met_by_what_meets_it(
    hundred: statlas.Store, conditions: dict[str, Any], is_met: Callable[[Fields], bool]
) -> None:
    expected = [number for number in range(100) if is_met(numbered(number))]
    found = hundred.find(**conditions)
    assert numbers(found) == expected
    assert found.count() == len(expected)
    assert found.arrays(["id"])["id"].tolist() == [f"e-{number:06}" for number in expected]


def test_names_come_from_any_iterable(hundred: statlas.Store) -> None:
    found = hundred.find(horizon=(name for name in ("peak", "decay")), adjacent=iter(["e-000001"]))
    assert numbers(found) == [2]
    assert numbers(found) == [2]


@pytest.mark.parametrize(
    "conditions",
    [
        {"profile": "stat8"},
        {"realm": "Data"},
        {"polarity": "logic"},
        {"alignment": ["NICE"]},
        {"lineage": (-1, None)},
        {"lineage": (0.5, None)},
        {"resonance": (float("nan"), None)},
        {"resonance": (0, 1, 2)},
        {"created_at": ("yesterday", None)},
        {"created_at": datetime(2025, 1, 1)},
        {"order_by": "colour"},
        {"limit": -1},
    ],
    ids=lambda conditions: " ".join(f"{name} {value}" for name, value in conditions.items()),
)
def test_conditions_that_make_no_sense_are_refused(memory: statlas.Store, conditions: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError)):
        list(memory.find(**conditions))


def test_unknown_conditions_and_positions_are_refused(memory: statlas.Store) -> None:
    find: Any = memory.find
    with pytest.raises(TypeError):
        find(colour="red")
    with pytest.raises(TypeError):
        find("stat7")


@pytest.mark.parametrize("order", ["created_at", "lineage", "dimensionality", "resonance", "velocity", "density", "luminosity"])
def test_rows_come_in_the_order_that_was_asked_for(hundred: statlas.Store, order: Any) -> None:
    fields = [numbered(number) for number in range(100)]

    def value(row: Fields) -> Any:
        return row["created_at"] if order == "created_at" else row["coordinates"].get(order)

    present = [row for row in fields if value(row) is not None]
    ascending = [value(row) for row in sorted(present, key=value)]
    up = [value(numbered(number)) for number in numbers(hundred.find(order_by=order))]
    down = [value(numbered(number)) for number in numbers(hundred.find(order_by=order, descending=True))]
    assert up == ascending
    assert down == ascending[::-1]
    assert hundred.find(order_by=order).count() == len(ascending)


def test_rows_come_in_the_order_of_their_commits_or_backwards(hundred: statlas.Store) -> None:
    assert numbers(hundred.find()) == [*range(100)]
    assert numbers(hundred.find(descending=True)) == [*reversed(range(100))]


@pytest.mark.parametrize("limit", [0, 1, 99, 100, 101])
def test_a_limit_is_kept(hundred: statlas.Store, limit: int) -> None:
    found = hundred.find(limit=limit)
    assert numbers(found) == [*range(min(limit, 100))]
    assert len(found.arrays(["id"])["id"]) == min(limit, 100)


def test_only_the_newest_versions_are_found_if_wanted(store: statlas.Store) -> None:
    for value in range(3):
        store.put(baseline(state={"value": value}))
    assert store.find().count() == 3
    assert [entity.state["value"] for entity in store.find(latest=True)] == [2]


def test_every_iteration_asks_anew(store: statlas.Store) -> None:
    found = store.find()
    assert list(found) == []
    store.put_many(many(3))
    assert numbers(found) == [0, 1, 2]
    assert numbers(found) == [0, 1, 2]
    assert (found.count(), len(found.arrays()["id"])) == (3, 3)


def test_many_pages_are_read_one_after_the_other(store: statlas.Store) -> None:
    store.put_many(many(5000))
    rows = iter(store.find())
    assert [next(rows).state["number"] for _ in range(10)] == [*range(10)]
    assert [row.state["number"] for row in rows] == [*range(10, 5000)]
    assert len(store.find().arrays(["id"])["id"]) == 5000


def test_the_store_may_change_while_rows_are_read(store: statlas.Store) -> None:
    store.put_many(many(3000))
    seen = []
    for entity in store.find():
        seen.append(entity.state["number"])
        store.remove(entity)
    assert seen == [*range(3000)]
    assert len(store) == 0


def test_an_iterator_does_not_need_its_question(hundred: statlas.Store) -> None:
    rows = iter(hundred.find(limit=3))
    assert [row.id for row in rows] == ["e-000000", "e-000001", "e-000002"]
    assert list(rows) == []


class TestArrays:
    def test_have_all_coordinates_by_default(self, hundred: statlas.Store) -> None:
        arrays = hundred.find().arrays()
        assert list(arrays) == DEFAULT_COLUMNS
        assert {len(column) for column in arrays.values()} == {100}

    def test_have_the_types_that_they_are_said_to_have(self, hundred: statlas.Store) -> None:
        for found in (hundred.find(), hundred.find(entity_type="agent")):
            types = {name: column.dtype for name, column in found.arrays().items()}
            floats = ("resonance", "velocity", "density", "luminosity")
            assert {types.pop(name) for name in floats} == {np.dtype(np.float64)}
            assert types.pop("lineage").kind in "iu"
            assert types.pop("dimensionality") == np.int64
            assert types.pop("created_at") == np.dtype("datetime64[ms]")
            assert set(types.values()) == {np.dtype(object)}

    def test_hold_what_the_entities_hold(self, hundred: statlas.Store) -> None:
        arrays = hundred.find().arrays()
        for row, entity in enumerate(many(100)):
            assert arrays["address"][row] == entity.address
            for name in ("id", "profile", "entity_type", "realm"):
                assert arrays[name][row] == getattr(entity, name)
            assert arrays["coordinate_realm"][row] == entity.coordinates["realm"]
            for name in ("lineage", "horizon"):
                assert arrays[name][row] == entity.coordinates[name]
            for name in ("resonance", "velocity", "density", "luminosity"):
                np.testing.assert_equal(arrays[name][row], entity.coordinates.get(name, np.nan))
            for name in ("polarity", "alignment"):
                assert arrays[name][row] == entity.coordinates.get(name)
            assert arrays["dimensionality"][row] == entity.coordinates.get("dimensionality", -1)
            time = arrays["created_at"][row].astype(datetime).replace(tzinfo=timezone.utc)
            assert time == entity.created_at
            assert json.loads(arrays["state"][row]) == entity.state

    def test_have_the_columns_that_were_asked_for(self, store: statlas.Store) -> None:
        token = statlas.Token(local_id=5)
        store.put(baseline(coordinates={"adjacency": ["b", "a"]}, token=token))
        store.put(fractal(id="f", blob="ab" * 32))
        arrays = store.find().arrays(["token", "adjacency", "blob", "density"])
        assert list(arrays) == ["token", "adjacency", "blob", "density"]
        assert arrays["token"].tolist() == [token, None]
        assert [sorted(names) for names in arrays["adjacency"]] == [["a", "b"], []]
        assert arrays["blob"].tolist() == [None, "ab" * 32]
        np.testing.assert_array_equal(arrays["density"], [0.75, np.nan])
        assert list(store.find().arrays(iter(["id"]))) == ["id"]

    def test_refuse_columns_that_are_none(self, memory: statlas.Store) -> None:
        with pytest.raises(ValueError, match="colour"):
            memory.find().arrays(["id", "colour"])

    def test_are_those_of_the_caller(self, hundred: statlas.Store) -> None:
        arrays = hundred.find().arrays(["density"])
        arrays["density"][:] = 0
        assert hundred.find().arrays(["density"])["density"].any()


def test_a_list_of_no_names_and_a_time_of_another_kind_are_refused() -> None:
    with statlas.Store.open("memory:") as store:
        with pytest.raises(statlas.InvalidError, match="no names"):
            store.find(realm=[])
        with pytest.raises(statlas.InvalidError, match="created_at"):
            store.find(created_at=1.5)  # type: ignore[arg-type]
        with pytest.raises(statlas.InvalidError, match="columns"):
            store.find().arrays([])
        assert [*store.find().arrays("id")] == ["id"]
