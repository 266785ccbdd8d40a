"""Tokens: one of them, and many made, changed, filtered and put in order together."""

from __future__ import annotations

import copy
import json
import math
import pickle
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import pytest
import statlas
from children import run
from samples import random_coordinates, random_tokens

PARTS: dict[str, Any] = {
    "local_id": 7,
    "entity_type": "sensor",
    "domain": 3,
    "flags": 0x0003,
    "weight": 1.5,
    "field_radius": 0.25,
    "field_strength": 1.0,
    "timestamp": 1_700_000_000,
    "spaces": {"physical": (1.5, -2.0, None), "abstract": [0.5, 0.25, 0.125]},
}


class TestToken:
    def test_has_the_parts_that_it_was_made_of(self) -> None:
        token = statlas.Token(**PARTS)
        for name in ("local_id", "entity_type", "domain", "flags", "weight", "field_radius", "field_strength", "timestamp"):
            assert getattr(token, name) == PARTS[name], name
        assert token.spaces == {"physical": (1.5, -2.0, None), "abstract": (0.5, 0.25, 0.125)}
        assert token.decoded("physical") == (1.5, -2.0, None)
        assert token.decoded("motor") is None
        assert token.id == 7 | 11 << 24 | 3 << 28

    def test_of_nothing_is_all_zeros(self) -> None:
        token = statlas.Token()
        assert (token.id, token.entity_type, token.weight, token.spaces) == (0, "undefined", 0.0, {})

    def test_leads_to_bytes_json_and_pickles_and_back(self) -> None:
        token = statlas.Token(**PARTS)
        assert len(bytes(token)) == 64
        again = [
            statlas.Token.from_bytes(bytes(token)),
            statlas.Token.from_json(token.to_json()),
            statlas.Token.from_json(token.to_json().encode()),
            copy.copy(token),
            copy.deepcopy(token),
            *(pickle.loads(pickle.dumps(token, protocol)) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)),
        ]
        assert set(again) == {token}
        assert json.loads(token.to_json())["spaces"]["physical"] == [1.5, -2.0, None]

    def test_is_equal_to_one_of_the_same_bytes_only(self) -> None:
        token = statlas.Token(**PARTS)
        assert token == statlas.Token(**PARTS)
        assert token != statlas.Token(**{**PARTS, "timestamp": 0})
        assert token != bytes(token)

    def test_does_not_change(self) -> None:
        token: Any = statlas.Token()
        with pytest.raises(AttributeError):
            token.weight = 1.0

    def test_rounds_half_to_even_and_clamps(self) -> None:
        token = statlas.Token(field_radius=9.0, field_strength=-1.0, spaces={"physical": [0.005, 0.015, 1e9]})
        assert (token.field_radius, token.field_strength) == (2.55, 0.0)
        assert token.decoded("physical") == (0.0, 0.02, 327.67)

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"local_id": 1 << 24}, "local_id"),
            ({"domain": 16}, "domain"),
            ({"flags": 0x0100}, "flags"),
            ({"weight": 100.5}, "weight"),
            ({"weight": float("nan")}, "weight"),
            ({"field_radius": float("inf")}, "field_radius"),
            ({"entity_type": "ghost"}, "ghost"),
            ({"spaces": {"physical": [1.0, float("nan"), 0.0]}}, "physical"),
            ({"spaces": {"ghost": [1.0, 2.0, 3.0]}}, "ghost"),
        ],
    )
    def test_refuses_what_breaks_a_rule_by_name(self, change: dict[str, Any], field: str) -> None:
        with pytest.raises(statlas.InvalidError, match=field):
            statlas.Token(**{**PARTS, **change})

    @pytest.mark.parametrize(
        "change",
        [
            {"local_id": -1},
            {"timestamp": 1 << 32},
            {"weight": "heavy"},
            {"spaces": {"physical": [1.0, 2.0]}},
            {"spaces": {"physical": 1.0}},
            {"spaces": {"physical": ["a", "b", "c"]}},
        ],
    )
    def test_refuses_what_has_no_place(self, change: dict[str, Any]) -> None:
        with pytest.raises((ValueError, TypeError, OverflowError)):
            statlas.Token(**{**PARTS, **change})

    def test_reads_bytes_with_care(self) -> None:
        own = bytes(statlas.Token(**PARTS))
        for data in (b"", own[:63], own + b"\0"):
            with pytest.raises(ValueError):
                statlas.Token.from_bytes(data)
        contradiction = own[:53] + b"\x00" + own[54:]
        with pytest.raises(statlas.InvalidError, match="flags"):
            statlas.Token.from_bytes(contradiction)
        assert statlas.Token.from_reference_bytes(contradiction).entity_type == "sensor"

    def test_converts_the_undefined_mark_of_the_reference(self) -> None:
        reference = (b"\x7f\x00" * 3) * 8 + bytes(16)
        assert statlas.Token.from_reference_bytes(reference).spaces == {}
        assert statlas.TokenVec.from_reference_bytes(reference * 3)[2].spaces == {}
        assert statlas.Token.from_bytes(reference).decoded("physical") == (1.27, 1.27, 1.27)

    def test_measures_distance_and_cosine_over_spaces(self) -> None:
        a = statlas.Token(spaces={"physical": (3.0, 0.0, 1.0), "motor": (0.0, 0.0, 2.0)})
        b = statlas.Token(spaces={"physical": (0.0, 4.0, None), "motor": (0.0, 0.0, 14.0)})
        assert a.distance(b) == 13.0
        assert a.distance(b, spaces="physical") == 5.0
        assert a.distance(b, spaces=["motor"]) == 12.0
        assert a.cosine(a) == 1.0
        assert a.cosine(b, spaces=("motor",)) == 1.0
        assert a.distance(b, spaces="social") is None
        assert a.cosine(statlas.Token()) is None
        with pytest.raises(ValueError, match="ghost"):
            a.distance(b, spaces="ghost")


class TestCreating:
    def test_fills_scalars_for_all(self) -> None:
        tokens = statlas.create_tokens_batch(5, local_ids=100, entity_type="goal", domain=2, flags=1, weight=2.5, timestamp=9)
        assert len(tokens) == 5
        assert [token.local_id for token in tokens] == [100, 101, 102, 103, 104]
        assert tokens[4] == statlas.Token(local_id=104, entity_type="goal", domain=2, flags=1, weight=2.5, timestamp=9)

    def test_takes_arrays_and_whatever_becomes_one(self) -> None:
        weights = [0.5, 1.5, 2.5]
        given: list[Any] = [
            weights,
            tuple(weights),
            np.array(weights),
            np.array(weights, np.float32),
            np.array(weights, ">f8"),
            np.repeat(weights, 2)[::2],
        ]
        for weight in given:
            tokens = statlas.create_tokens_batch(3, weight=weight, timestamp=0)
            assert tokens.weights.tolist() == weights

    @pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.uint64])
    def test_takes_integers_of_any_width(self, dtype: Any) -> None:
        tokens = statlas.create_tokens_batch(
            3, local_ids=np.array([3, 1, 2], dtype), domain=np.array([0, 1, 15], dtype), timestamp=np.array([7, 8, 9], dtype)
        )
        assert tokens.local_ids.tolist() == [3, 1, 2]
        assert tokens.domains.tolist() == [0, 1, 15]
        assert tokens.timestamps.tolist() == [7, 8, 9]

    def test_takes_types_by_name_and_by_number(self) -> None:
        given: list[Any] = [["object", "event", "reserved"], np.array([1, 2, 15], np.uint8), np.array([1, 2, 15])]
        for types in given:
            tokens = statlas.create_tokens_batch(3, entity_type=types)
            assert tokens.entity_types.tolist() == [1, 2, 15]
            assert [token.entity_type for token in tokens] == ["object", "event", "reserved"]

    def test_takes_coordinates_raw_decoded_and_by_space(self) -> None:
        raws = random_coordinates(50, seed=3)
        raw = statlas.create_tokens_batch(50, coordinates=raws, timestamp=0)
        decoded = statlas.create_tokens_batch(50, coordinates=raw.decoded(), timestamp=0)
        spaces = {space: raw.decoded(space) for space in statlas.SPACES}
        by_space = statlas.create_tokens_batch(50, coordinates=spaces, timestamp=0)
        np.testing.assert_array_equal(raw.coordinates, raws)
        assert raw == decoded == by_space

    def test_leaves_spaces_undefined_that_are_not_named(self) -> None:
        tokens = statlas.create_tokens_batch(2, coordinates={"motor": [[1.0, 2.0, 3.0], [4.0, 5.0, math.nan]]})
        assert [token.spaces for token in tokens] == [{"motor": (1.0, 2.0, 3.0)}, {"motor": (4.0, 5.0, None)}]
        assert statlas.create_tokens_batch(2)[1].spaces == {}

    def test_takes_coordinates_in_any_order_of_memory(self) -> None:
        raws = random_coordinates(20, seed=4)
        for given in (np.asfortranarray(raws), np.repeat(raws, 2, axis=0)[::2], raws.astype(">i2")):
            assert (statlas.create_tokens_batch(20, coordinates=given).coordinates == raws).all()

    def test_gives_all_the_same_time_unless_told(self) -> None:
        before = int(time.time())
        stamps = statlas.create_tokens_batch(1000).timestamps
        assert before <= stamps[0] <= int(time.time())
        assert (stamps == stamps[0]).all()

    @pytest.mark.parametrize(
        "columns",
        [
            {"local_ids": np.zeros(4, np.uint32)},
            {"weight": [1.0, 2.0]},
            {"coordinates": np.zeros((4, 8, 3), np.int16)},
            {"coordinates": np.zeros((3, 3), np.int16)},
            {"coordinates": np.zeros((3, 8, 4))},
            {"coordinates": {"motor": np.zeros((4, 3))}},
            {"coordinates": {"motor": np.zeros(3)}},
            {"coordinates": {"ghost": np.zeros((3, 3))}},
            {"coordinates": np.full((3, 8, 3), np.inf)},
            {"coordinates": {"motor": [[0, 0, math.inf]] * 3}},
            {"local_ids": [0, 1, 1 << 24]},
            {"local_ids": (1 << 24) - 2},
            {"local_ids": [0, 1, -1]},
            {"local_ids": [0.5, 1.5, 2.5]},
            {"entity_type": "ghost"},
            {"entity_type": ["object", "ghost", "event"]},
            {"entity_type": np.array([1, 2, 16])},
            {"domain": [0, 1, 16]},
            {"domain": 16},
            {"domain": [0, 1, 256]},
            {"flags": [0, 0, 0x0100]},
            {"flags": [0, 0, 1 << 16]},
            {"weight": [0.0, 1.0, math.nan]},
            {"weight": 101.0},
            {"field_radius": [0.0, 1.0, math.inf]},
            {"field_strength": math.nan},
            {"timestamp": -1},
            {"timestamp": [0, 1, 1 << 32]},
        ],
        ids=str,
    )
    def test_makes_all_or_none(self, columns: dict[str, Any]) -> None:
        tokens = statlas.create_tokens_batch(2)
        with pytest.raises((ValueError, TypeError, OverflowError)):
            tokens.create(3, **columns)
        assert len(tokens) == 2
        tokens.create(3)
        assert len(tokens) == 5

    def test_names_the_token_and_the_field_that_break_a_rule(self) -> None:
        with pytest.raises(statlas.InvalidError, match=r"2.*weight"):
            statlas.create_tokens_batch(3, weight=[0.0, 1.0, 100.5])

    def test_appends_to_what_is_there_and_keeps_room(self) -> None:
        tokens = statlas.TokenVec(capacity=100)
        assert (len(tokens), tokens.capacity >= 100) == (0, True)
        room = tokens.capacity
        tokens.create(60, weight=1.0)
        tokens.create(40, weight=2.0)
        assert tokens.capacity == room
        assert tokens.weights.tolist() == [1.0] * 60 + [2.0] * 40
        tokens.clear()
        assert (len(tokens), tokens.capacity) == (0, room)

    def test_of_none_is_empty(self) -> None:
        assert len(statlas.create_tokens_batch(0)) == 0
        assert len(statlas.create_tokens_batch(0, weight=[], coordinates=np.zeros((0, 8, 3), np.int16))) == 0

    def test_of_less_than_none_or_too_many_is_refused(self) -> None:
        for count in (-1, 1 << 60):
            with pytest.raises((ValueError, OverflowError, MemoryError)):
                statlas.create_tokens_batch(count)
        for capacity in (-1, 1 << 60):
            with pytest.raises((ValueError, OverflowError, MemoryError)):
                statlas.TokenVec(capacity)


class TestSequence:
    @pytest.fixture
    def tokens(self) -> statlas.TokenVec:
        return random_tokens(10)

    def test_is_indexed_from_both_ends(self, tokens: statlas.TokenVec) -> None:
        every = list(tokens)
        assert [tokens[index] for index in range(-10, 10)] == every + every
        assert tokens[np.int64(3)] == every[3]

    @pytest.mark.parametrize("index", [10, -11, 1 << 70])
    def test_ends_where_it_ends(self, tokens: statlas.TokenVec, index: int) -> None:
        with pytest.raises(IndexError):
            tokens[index]

    @pytest.mark.parametrize("index", ["1", 1.0, None, (1, 2)])
    def test_has_no_other_indices(self, tokens: statlas.TokenVec, index: Any) -> None:
        with pytest.raises(TypeError):
            tokens[index]

    @pytest.mark.parametrize(
        "part",
        [slice(None), slice(2, 5), slice(-3, None), slice(None, None, 3), slice(None, None, -1), slice(8, 2, -2), slice(5, 5), slice(7, 99)],
        ids=str,
    )
    def test_gives_slices_as_tokens_of_their_own(self, tokens: statlas.TokenVec, part: slice) -> None:
        piece = tokens[part]
        assert isinstance(piece, statlas.TokenVec)
        assert list(piece) == list(tokens)[part]
        piece.append(statlas.Token())
        assert len(tokens) == 10

    def test_iterates_without_its_end_moving_away(self, tokens: statlas.TokenVec) -> None:
        rows = iter(tokens)
        assert iter(rows) is rows
        seen = [next(rows)]
        try:
            tokens.append(statlas.Token())
        except BufferError:
            pass
        seen.extend(rows)
        assert seen == list(tokens)[: len(seen)]
        assert len(seen) in (10, 11)

    def test_iterates_after_its_name_is_gone(self) -> None:
        rows = iter(random_tokens(3))
        assert len(list(rows)) == 3

    def test_is_equal_to_the_same_tokens_only(self, tokens: statlas.TokenVec) -> None:
        assert tokens == random_tokens(10)
        assert tokens != tokens[:9]
        assert tokens != list(tokens)
        other = tokens.copy()
        other.sort("weight", descending=True)
        assert (tokens == other) == (list(tokens) == list(other))
        with pytest.raises(TypeError):
            hash(tokens)

    def test_is_copied_and_pickled(self, tokens: statlas.TokenVec) -> None:
        copies = [tokens.copy(), copy.copy(tokens), copy.deepcopy(tokens), pickle.loads(pickle.dumps(tokens))]
        for other in copies:
            assert other == tokens
            other.clear()
        assert len(tokens) == 10

    def test_is_appended_to_and_extended(self) -> None:
        tokens, others = statlas.TokenVec(), random_tokens(4)
        tokens.append(others[0])
        tokens.extend(others)
        tokens.extend(iter(others))
        tokens.extend([])
        tokens.extend(tokens.copy())
        assert list(tokens) == ([others[0]] + list(others) * 2) * 2

    def test_refuses_to_be_extended_with_anything_else(self, tokens: statlas.TokenVec) -> None:
        wrongs: list[Any] = [7, [7], [statlas.Token(), None], "ab"]
        for wrong in wrongs:
            with pytest.raises(TypeError):
                tokens.extend(wrong)
        assert len(tokens) in (10, 11)

    def test_is_extended_with_itself(self, tokens: statlas.TokenVec) -> None:
        try:
            tokens.extend(tokens)
        except (BufferError, RuntimeError):
            assert len(tokens) == 10
        else:
            assert list(tokens) == list(random_tokens(10)) * 2

    def test_says_how_long_it_is_and_how_much_memory_it_has(self, tokens: statlas.TokenVec) -> None:
        assert "10" in repr(tokens)
        assert 64 * 10 <= tokens.memory_usage() <= 64 * tokens.capacity + 1000
        assert statlas.TokenVec(1000).memory_usage() >= 64_000

    def test_can_be_subclassed(self) -> None:
        class Own(statlas.TokenVec):
            colour = "red"

        own = Own(5)
        own.append(statlas.Token())
        assert (len(own), own.colour) == (1, "red")


def decoded_axis(token: statlas.Token, space: str, axis: int) -> float:
    axes = token.decoded(space)
    value = axes[axis] if axes else None
    return math.nan if value is None else value


KEYS: dict[str, Callable[[statlas.Token], float]] = {
    "local_id": lambda token: token.local_id,
    "entity_type": lambda token: statlas.TOKEN_TYPES.index(token.entity_type),
    "domain": lambda token: token.domain,
    "flags": lambda token: token.flags,
    "weight": lambda token: token.weight,
    "field_radius": lambda token: token.field_radius,
    "field_strength": lambda token: token.field_strength,
    "timestamp": lambda token: token.timestamp,
}


class TestOrder:
    @pytest.mark.parametrize("descending", [False, True])
    @pytest.mark.parametrize("field", KEYS)
    def test_is_stable_by_every_field(self, field: str, descending: bool) -> None:
        tokens = random_tokens(500)
        sign = -1 if descending else 1
        expected = sorted(range(500), key=lambda index: sign * KEYS[field](tokens[index]))
        order = tokens.argsort(field, descending=descending)
        assert (order.dtype.name, order.tolist()) == ("int64", expected)
        taken = tokens.take(order)
        tokens.sort(field, descending=descending)
        assert tokens == taken

    @pytest.mark.parametrize("descending", [False, True])
    def test_by_an_axis_has_what_is_not_defined_last(self, descending: bool) -> None:
        tokens = random_tokens(500)
        values = np.array([decoded_axis(token, "social", 1) for token in tokens])
        keys = np.where(np.isnan(values), np.inf, -values if descending else values)
        expected = np.argsort(keys, kind="stable")
        assert tokens.argsort(("social", 1), descending=descending).tolist() == expected.tolist()

    def test_refuses_what_has_none(self) -> None:
        tokens = random_tokens(3)
        wrongs: list[Any] = ["colour", ("ghost", 0), ("social", 3), ("social", -1)]
        for wrong in wrongs:
            with pytest.raises((ValueError, IndexError, OverflowError)):
                tokens.argsort(wrong)
            with pytest.raises((ValueError, IndexError, OverflowError)):
                tokens.sort(wrong)


class TestTaking:
    def test_takes_what_becomes_an_array_of_indices(self) -> None:
        tokens = random_tokens(10)
        for indices in ([3, 1, 3], np.array([3, 1, 3]), np.array([3, 1, 3], np.uint8), (3, 1, 3)):
            assert list(tokens.take(indices)) == [tokens[3], tokens[1], tokens[3]]
        assert len(tokens.take([])) == 0
        assert list(tokens.take([-1])) == [tokens[9]]

    def test_refuses_indices_that_are_none(self) -> None:
        tokens = random_tokens(10)
        for index in (10, -11):
            with pytest.raises(IndexError):
                tokens.take([0, index])
        wrongs: list[Any] = [[0.5], ["a"], np.zeros((2, 2), np.int64)]
        for wrong in wrongs:
            with pytest.raises((TypeError, ValueError, IndexError)):
                tokens.take(wrong)


CONDITIONS: list[tuple[dict[str, Any], Callable[[statlas.Token], bool]]] = [
    ({}, lambda token: True),
    ({"local_id": (10, 200)}, lambda token: 10 <= token.local_id <= 200),
    ({"local_id": 77}, lambda token: token.local_id == 77),
    ({"entity_type": "goal"}, lambda token: token.entity_type == "goal"),
    ({"domain": (None, 3)}, lambda token: token.domain <= 3),
    ({"weight": (50.0, None)}, lambda token: token.weight >= 50),
    ({"field_radius": (0.5, 1.0)}, lambda token: 0.5 <= token.field_radius <= 1),
    ({"field_strength": (None, 0.5)}, lambda token: token.field_strength <= 0.5),
    ({"timestamp": (1 << 31, None)}, lambda token: token.timestamp >= 1 << 31),
    ({"flags_set": 0b101}, lambda token: token.flags & 0b101 == 0b101),
    ({"flags_clear": 0b11}, lambda token: token.flags & 0b11 == 0),
    ({"defined": "motor"}, lambda token: "motor" in token.spaces),
    ({"defined": ["motor", "social"]}, lambda token: {"motor", "social"} <= set(token.spaces)),
    ({"axes": {("motor", 0): (0.0, None)}}, lambda token: decoded_axis(token, "motor", 0) >= 0),
    (
        {"weight": (20, 80), "axes": {("motor", 0): (-1, 1), ("social", 2): (None, 0)}, "flags_set": 1},
        lambda token: (
            20 <= token.weight <= 80
            and -1 <= decoded_axis(token, "motor", 0) <= 1
            and decoded_axis(token, "social", 2) <= 0
            and token.flags & 1 == 1
        ),
    ),
]


@pytest.mark.parametrize(("conditions", "is_met"), CONDITIONS, ids=[" ".join(c) or "nothing" for c, _ in CONDITIONS])
def test_tokens_are_selected_by_conditions(conditions: dict[str, Any], is_met: Callable[[statlas.Token], bool]) -> None:
    tokens = random_tokens(1000)
    found = tokens.select(**conditions)
    assert found.dtype == np.int64
    assert found.tolist() == [index for index, token in enumerate(tokens) if is_met(token)]


def test_conditions_on_what_is_not_there_are_refused() -> None:
    tokens = random_tokens(3)
    wrongs: list[dict[str, Any]] = [
        {"entity_type": "ghost"},
        {"defined": "ghost"},
        {"axes": {("ghost", 0): 1.0}},
        {"axes": {("motor", 3): 1.0}},
        {"weight": (math.nan, None)},
        {"flags_set": 1 << 16},
    ]
    for wrong in wrongs:
        with pytest.raises((ValueError, IndexError, OverflowError)):
            tokens.select(**wrong)


def test_values_that_others_work_with_are_decoded() -> None:
    tokens = random_tokens(200)
    decoded = tokens.decoded()
    assert (decoded.shape, decoded.dtype.name) == ((200, 8, 3), "float64")
    expected = [[[decoded_axis(token, space, axis) for axis in range(3)] for space in statlas.SPACES] for token in tokens]
    np.testing.assert_array_equal(decoded, expected)
    for number, space in enumerate(statlas.SPACES):
        np.testing.assert_array_equal(tokens.decoded(space), decoded[:, number])
    assert decoded.flags.writeable
    assert statlas.TokenVec().decoded().shape == (0, 8, 3)
    with pytest.raises(ValueError, match="ghost"):
        tokens.decoded("ghost")


NO_MEMORY = """
import resource, sys, statlas
tokens = statlas.create_tokens_batch(4_000_000)
token = tokens[0]
full = statlas.TokenVec(capacity=4_000_000)
full.create(4_000_000)
with open("/proc/self/statm") as statm:
    used = int(statm.read().split()[0]) * resource.getpagesize()
refused = 0
resource.setrlimit(resource.RLIMIT_AS, (used + (30 << 20), resource.RLIM_INFINITY))
for work in (
    lambda: tokens.copy(), lambda: tokens[::2], lambda: tokens[1:], lambda: full.create(4_000_000),
    lambda: full.extend(tokens), lambda: tokens.sort("weight"), lambda: tokens.argsort("weight"),
    lambda: tokens.decoded(), lambda: tokens.take(range(4_000_000)), lambda: statlas.TokenVec(10**9),
    lambda: statlas.create_tokens_batch(10**7), lambda: [full.append(token) for _ in range(2_000_000)],
):
    try:
        work()
    except MemoryError:
        refused += 1
print(len(tokens), refused)
"""


def test_no_memory_is_an_exception() -> None:
    # The allocator may have some address space in reserve, so that not all of them are refused.
    count, refused = map(int, run(NO_MEMORY).split())
    assert count == 4_000_000 and refused >= 4


def test_indices_are_integers_and_what_they_raise_is_not_hidden() -> None:
    tokens = random_tokens(5)

    class Index:
        def __index__(self) -> int:
            raise LookupError("its own")

    with pytest.raises(LookupError, match="its own"):
        tokens[Index()]
    for wrong in (np.array([1, 2]), np.array([True] * 5), "a", 1.0, None):
        with pytest.raises(TypeError, match="take"):
            tokens[wrong]  # type: ignore[index]
    for out_of_range in (5, -6, 10**30):
        with pytest.raises(IndexError):
            tokens[out_of_range]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: statlas.Token(domain=256), "256"),
        (lambda: statlas.Token(local_id=-1), "-1"),
        (lambda: statlas.create_tokens_batch(-1), "-1"),
        (lambda: statlas.create_tokens_batch(1, local_ids=-1), "local_ids.*16777215"),
        (lambda: statlas.create_tokens_batch(1, domain=[16]), "token 0.*domain.*15"),
        (lambda: statlas.create_tokens_batch(2, entity_type=["object", "foo"]), "token 1.*entity_type.*foo"),
        (lambda: statlas.TokenVec.from_numpy(np.zeros((2, 2), statlas.TOKEN_DTYPE)), "2 axes.*TOKEN_DTYPE"),
        (lambda: random_tokens(3).nearest(statlas.Token(), -1), "-1"),
        (lambda: random_tokens(3).select(flags_set=70_000), "70000"),
        (lambda: random_tokens(3).select(weight="x"), "x"),  # type: ignore[arg-type]
    ],
)
def test_numbers_out_of_range_are_told_with_what_is_allowed(make: Callable[[], object], message: str) -> None:
    with pytest.raises(statlas.InvalidError, match=message):
        make()


def test_equality_is_left_to_what_knows_better() -> None:
    assert statlas.Token() == mock.ANY and random_tokens(2) == mock.ANY
    assert statlas.Token() != 1 and random_tokens(2) != 1


def test_bytes_may_be_of_any_kind() -> None:
    token = random_tokens(1)[0]
    for kind in (bytes, bytearray, memoryview):
        assert statlas.Token.from_bytes(kind(bytes(token))) == token
    with pytest.raises(TypeError):
        statlas.Token.from_bytes("text")  # type: ignore[arg-type]
