"""Entities: how they are made, what they refuse, what they are equal to."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
import statlas
from samples import BASELINE_ADDRESS, baseline, fractal, numbered


def nested(depth: int) -> dict[str, Any]:
    state: dict[str, Any] = {}
    for _ in range(depth - 1):
        state = {"inner": state}
    return state


def test_keywords_a_dict_and_json_make_the_same_entity() -> None:
    made = [
        statlas.Entity(**baseline()),
        statlas.Entity(baseline()),
        statlas.Entity.from_json(json.dumps(baseline())),
        statlas.Entity.from_json(json.dumps(baseline()).encode()),
    ]
    assert {entity.address for entity in made} == {BASELINE_ADDRESS}
    assert len(set(made)) == 1


def test_the_address_of_fields_is_that_of_the_entity() -> None:
    assert statlas.address(baseline()) == BASELINE_ADDRESS
    assert statlas.address(statlas.Entity(baseline())) == BASELINE_ADDRESS


def test_the_address_is_the_sha256_of_the_canonical_text() -> None:
    for fields in (baseline(), fractal()):
        entity = statlas.Entity(fields)
        assert hashlib.sha256(entity.canonical()).hexdigest() == entity.address


@pytest.mark.parametrize("fields", [baseline(), fractal()], ids=["stat7", "fractalstat"])
def test_an_entity_has_the_fields_that_it_was_made_of(fields: dict[str, Any]) -> None:
    entity = statlas.Entity(fields)
    assert entity.profile == fields["profile"]
    assert entity.id == fields["id"]
    assert entity.entity_type == fields["entity_type"]
    assert entity.realm == fields["realm"]
    assert entity.coordinates == fields["coordinates"]
    assert entity.state == fields["state"]
    assert (entity.token, entity.blob) == (None, None)
    assert entity.uri.startswith(f"{fields['profile']}://data/1/cae85551/genesis?")


def test_dicts_and_json_lead_back_to_the_same_entity() -> None:
    for number in range(8):
        entity = statlas.Entity(numbered(number))
        assert statlas.Entity(entity.to_dict()) == entity
        assert statlas.Entity.from_json(entity.to_json()) == entity
        assert json.loads(entity.to_json())["coordinates"] == entity.coordinates


def test_dicts_that_were_handed_out_are_copies() -> None:
    entity = statlas.Entity(baseline())
    entity.state["value"] = 43
    entity.coordinates["lineage"] = 2
    entity.to_dict()["state"]["value"] = 44
    assert (entity.state, entity.coordinates["lineage"]) == ({"value": 42}, 1)
    assert entity.address == BASELINE_ADDRESS


def test_fields_of_an_entity_are_not_set() -> None:
    entity: Any = statlas.Entity(baseline())
    for field in ("id", "address", "state"):
        with pytest.raises(AttributeError):
            setattr(entity, field, "other")


def test_entities_are_equal_and_hashed_by_their_address() -> None:
    entity = statlas.Entity(baseline())
    with_token = statlas.Entity(baseline(token=statlas.Token(weight=1.0), blob="ab" * 32))
    other = statlas.Entity(baseline(id="bc-0002"))
    assert entity == with_token
    assert hash(entity) == hash(with_token)
    assert entity != other
    assert entity != entity.address
    assert {entity: "found"}[with_token] == "found"


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_entity_keeps_its_token_and_blob(protocol: int) -> None:
    token = statlas.Token(local_id=7, spaces={"motor": [1.5, None, -2.0]})
    entity = statlas.Entity(baseline(token=token, blob="ab" * 32, state={"ü": [1, 2.5, None, 10**30]}))
    again = pickle.loads(pickle.dumps(entity, protocol))
    assert again == entity
    assert (again.token, again.blob, again.state) == (token, "ab" * 32, entity.state)


def test_copies_of_an_entity_are_equal_to_it() -> None:
    entity = statlas.Entity(baseline())
    assert copy.copy(entity) == entity
    assert copy.deepcopy([entity]) == [entity]


def test_the_representation_names_the_id() -> None:
    assert "bc-0001" in repr(statlas.Entity(baseline()))


@pytest.mark.parametrize("fields", [baseline(), fractal()], ids=["stat7", "fractalstat"])
def test_a_missing_field_is_named(fields: dict[str, Any]) -> None:
    for field in fields:
        rest = {name: value for name, value in fields.items() if name != field}
        with pytest.raises(statlas.InvalidError, match=field):
            statlas.Entity(rest)
        with pytest.raises(statlas.InvalidError, match=field):
            statlas.Entity(**rest)
    for field in fields["coordinates"]:
        rest = {name: value for name, value in fields["coordinates"].items() if name != field}
        with pytest.raises(statlas.InvalidError, match=field):
            statlas.Entity({**fields, "coordinates": rest})


def test_an_entity_of_nothing_is_refused() -> None:
    for make in (statlas.Entity, lambda: statlas.Entity({}), lambda: statlas.address({})):
        with pytest.raises(statlas.InvalidError):
            make()


def test_unknown_fields_are_refused_by_name() -> None:
    for fields in (baseline(colour="red"), baseline(coordinates={"luminosity": 1.0}), fractal(coordinates={"density": 1})):
        with pytest.raises(statlas.InvalidError, match="colour|luminosity|density"):
            statlas.Entity(fields)
    with pytest.raises(TypeError, match="colour"):
        statlas.Entity(**baseline(), colour="red")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"profile": "stat8"}, "profile"),
        ({"id": ""}, "id"),
        ({"id": "x" * 1025}, "id"),
        ({"realm": "Data"}, "realm"),
        ({"entity_type": "1st"}, "entity_type"),
        ({"state": {"x": float("nan")}}, "state"),
        ({"state": {"x": float("inf")}}, "state"),
        ({"blob": "AB" * 32}, "blob"),
        ({"blob": "ab"}, "blob"),
        ({"coordinates": {"lineage": -1}}, "lineage"),
        ({"coordinates": {"lineage": 3.0}}, "lineage"),
        ({"coordinates": {"lineage": "0"}}, "lineage"),
        ({"coordinates": {"lineage": True}}, "lineage"),
        ({"coordinates": {"lineage": 2**32}}, "lineage"),
        ({"coordinates": {"adjacency": [""]}}, "adjacency"),
        ({"coordinates": {"horizon": "PEAK"}}, "horizon"),
        ({"coordinates": {"resonance": 1.0000001}}, "resonance"),
        ({"coordinates": {"velocity": float("nan")}}, "velocity"),
        ({"coordinates": {"density": -0.1}}, "density"),
        ({"created_at": "2025-01-01"}, "created_at"),
        ({"created_at": "2025-01-01T00:00:00"}, "created_at"),
        ({"created_at": "20250101T000000Z"}, "created_at"),
        ({"created_at": "yesterday"}, "created_at"),
    ],
)
def test_a_value_that_breaks_a_rule_is_refused_with_its_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(statlas.InvalidError, match=field):
        statlas.Entity(baseline(**changes))
    with pytest.raises(statlas.InvalidError, match=field):
        statlas.Entity(**baseline(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"id": 7},
        {"coordinates": {"adjacency": "abc"}},
        {"coordinates": {"resonance": "0.5"}},
        {"state": [1]},
        {"state": {"x": {1, 2}}},
        {"state": {1: 2}},
        {"state": {"x": object()}},
        {"created_at": 1735689600},
        {"created_at": date(2025, 1, 1)},
    ],
)
def test_a_value_of_another_type_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises((statlas.InvalidError, TypeError)):
        statlas.Entity(baseline(**changes))
    with pytest.raises((statlas.InvalidError, TypeError)):
        statlas.Entity(**baseline(**changes))


def test_text_that_is_no_unicode_is_refused() -> None:
    for changes in ({"id": "\ud800"}, {"state": {"x": "\udfff"}}):
        with pytest.raises(ValueError):
            statlas.Entity(baseline(**changes))


def test_a_state_is_as_deep_as_the_limit_and_no_deeper() -> None:
    assert statlas.Entity(baseline(state=nested(128))).state == nested(128)
    with pytest.raises(statlas.InvalidError):
        statlas.Entity(baseline(state=nested(129)))
    endless: dict[str, Any] = {}
    endless["again"] = [endless]
    with pytest.raises(statlas.InvalidError):
        statlas.Entity(baseline(state=endless))


def test_a_state_keeps_what_json_can_say() -> None:
    state = {
        "text": 'quote " backslash \\ line\nümlaut \U0001f600',
        "large": 10**40,
        "negative": -(2**63) - 1,
        "float": 1e-7,
        "nothing": None,
        "truth": [True, False],
        "nested": {"list": [[], {}, [1, [2.5]]]},
        "": "an empty key",
    }
    entity = statlas.Entity(baseline(state=state))
    assert entity.state == state
    assert statlas.Entity.from_json(json.dumps(baseline(state=state))) == entity
    assert type(entity.state["truth"][0]) is bool


def test_integers_and_floats_of_a_state_differ() -> None:
    integer, number = (statlas.Entity(baseline(state={"x": x})) for x in (1, 1.0))
    assert integer != number
    assert (type(integer.state["x"]), type(number.state["x"])) == (int, float)


def test_an_integer_may_stand_for_a_float() -> None:
    one = statlas.Entity(baseline(coordinates={"resonance": 1}))
    assert one == statlas.Entity(baseline(coordinates={"resonance": 1.0}))


def test_the_order_of_neighbours_does_not_matter() -> None:
    one = statlas.Entity(baseline(coordinates={"adjacency": ["b", "a"]}))
    other = statlas.Entity(baseline(coordinates={"adjacency": ("a", "b")}))
    assert one == other


def test_times_become_utc_and_are_cut_to_milliseconds() -> None:
    east = timezone(timedelta(hours=5, minutes=30))
    same = [
        "2025-01-01T00:00:00.123Z",
        "2025-01-01T05:30:00.1239+05:30",
        datetime(2025, 1, 1, 0, 0, 0, 123_999, tzinfo=timezone.utc),
        datetime(2025, 1, 1, 5, 30, 0, 123_000, tzinfo=east),
    ]
    entities = [statlas.Entity(baseline(created_at=time)) for time in same]
    assert len(set(entities)) == 1
    assert entities[0].created_at == datetime(2025, 1, 1, 0, 0, 0, 123_000, tzinfo=timezone.utc)
    assert entities[0].created_at.utcoffset() == timedelta(0)
    assert entities[0].to_dict()["created_at"] == "2025-01-01T00:00:00.123Z"


@pytest.mark.parametrize("year", [1, 1969, 1970, 9999])
def test_times_of_every_year_come_back(year: int) -> None:
    time = datetime(year, 12, 31, 23, 59, 59, 999_000, tzinfo=timezone.utc)
    assert statlas.Entity(baseline(created_at=time)).created_at == time


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(statlas.InvalidError, match="created_at"):
        statlas.Entity(baseline(created_at=datetime(2025, 1, 1)))


def test_a_token_may_be_given_by_its_fields() -> None:
    token = statlas.Token(local_id=7, weight=1.5, spaces={"physical": [1.0, 2.0, None]})
    of_token = statlas.Entity(baseline(token=token))
    of_fields = statlas.Entity(baseline(token=json.loads(token.to_json())))
    assert of_token.token == of_fields.token == token
    assert of_token.address == BASELINE_ADDRESS


def test_similarity_is_told_within_a_profile() -> None:
    here, there = statlas.Entity(baseline()), statlas.Entity(baseline(coordinates={"realm": "void", "resonance": -0.5}))
    assert here.similarity(here) == pytest.approx(1.0)
    similarity = here.similarity(there)
    assert similarity is not None
    assert 0 < similarity < 1
    assert here.similarity(statlas.Entity(fractal())) is None


def test_json_that_is_none_is_refused() -> None:
    for text in ("", "{", "[]", '{"id": "a", "id": "b"}', "nan"):
        with pytest.raises(statlas.InvalidError):
            statlas.Entity.from_json(text)


def test_a_mapping_that_changes_while_it_is_read_does_no_harm() -> None:
    state: dict[str, Any] = {}

    class Time(datetime):
        def isoformat(self, sep: str = "T", timespec: str = "auto") -> str:
            state.clear()
            return "2025-01-01T00:00:00Z"

    state.update(a=Time(2025, 1, 1), b=1, c=2)
    assert statlas.Entity(baseline(), state=state).state == {"a": "2025-01-01T00:00:00Z", "b": 1, "c": 2}


def test_a_token_that_breaks_a_rule_is_refused_with_its_name() -> None:
    tokens = statlas.create_tokens_batch(1)
    tokens.array(writable=True)["weight"] = float("nan")
    with pytest.raises(statlas.InvalidError, match="token.*weight.*NaN"):
        statlas.Entity(baseline(), token=tokens[0])


def test_a_state_without_end_is_refused_in_a_few_words() -> None:
    state: dict[str, Any] = {}
    state["again"] = state
    with pytest.raises(statlas.InvalidError) as refused:
        statlas.Entity(baseline(), state=state)
    assert len(str(refused.value)) < 300
