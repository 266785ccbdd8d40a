"""Views: NumPy arrays over the memory of tokens, without a copy and without a pointer that dangles."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import statlas
from samples import random_coordinates, random_tokens

Views = dict[str, Callable[[statlas.TokenVec], npt.NDArray[Any]]]

VIEWS: Views = {
    "coordinates": lambda tokens: tokens.coordinates,
    "ids": lambda tokens: tokens.ids,
    "flags": lambda tokens: tokens.flags,
    "weights": lambda tokens: tokens.weights,
    "timestamps": lambda tokens: tokens.timestamps,
    "array": lambda tokens: tokens.array(),
    "field": lambda tokens: tokens.view("field_radius"),
    "memoryview": lambda tokens: np.asarray(memoryview(tokens)),
    "frombuffer": lambda tokens: np.frombuffer(tokens, statlas.TOKEN_DTYPE),  # type: ignore[call-overload]
    "part": lambda tokens: tokens.coordinates[2:5, 1],
}

GROWING: dict[str, Callable[[statlas.TokenVec], object]] = {
    "create": lambda tokens: tokens.create(1),
    "append": lambda tokens: tokens.append(statlas.Token()),
    "extend": lambda tokens: tokens.extend([statlas.Token()]),
    "clear": lambda tokens: tokens.clear(),
    "sort": lambda tokens: tokens.sort("weight"),
}

every_view = pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
every_change = pytest.mark.parametrize("grow", GROWING.values(), ids=GROWING)


def test_fields_have_their_shapes_types_and_strides() -> None:
    tokens = random_tokens(10)
    expected: dict[str, tuple[tuple[int, ...], Any, tuple[int, ...]]] = {
        "coordinates": ((10, 8, 3), np.int16, (64, 6, 2)),
        "ids": ((10,), np.uint32, (64,)),
        "flags": ((10,), np.uint16, (64,)),
        "weights": ((10,), np.float32, (64,)),
        "timestamps": ((10,), np.uint32, (64,)),
    }
    for name, (shape, dtype, strides) in expected.items():
        array = getattr(tokens, name)
        assert (array.shape, array.dtype, array.strides) == (shape, dtype, strides), name


def test_fields_have_the_values_of_the_tokens() -> None:
    tokens = random_tokens(50)
    every = list(tokens)
    assert (tokens.coordinates == random_coordinates(50, 1)).all()
    assert tokens.ids.tolist() == [token.id for token in every]
    assert tokens.local_ids.tolist() == [token.local_id for token in every]
    assert tokens.domains.tolist() == [token.domain for token in every]
    assert tokens.weights.tolist() == [token.weight for token in every]
    assert tokens.timestamps.tolist() == [token.timestamp for token in every]
    types = [statlas.TOKEN_TYPES.index(token.entity_type) for token in every]
    assert tokens.entity_types.tolist() == types
    raw_flags = [token.flags | number << 8 for token, number in zip(every, types, strict=True)]
    assert tokens.view("flags").tolist() == raw_flags
    assert (tokens.flags & 0xF0FF).tolist() == [token.flags for token in every]
    assert (tokens.view("field_radius") / 100).tolist() == [token.field_radius for token in every]
    assert (tokens.view("field_strength") / 255).tolist() == [token.field_strength for token in every]


def test_computed_fields_have_their_types() -> None:
    tokens = random_tokens(3)
    types = [array.dtype.name for array in (tokens.local_ids, tokens.entity_types, tokens.domains)]
    assert types == ["uint32", "uint8", "uint8"]


def test_fields_by_name_are_the_fields() -> None:
    tokens = random_tokens(10)
    for name, array in [
        ("coordinates", tokens.coordinates),
        ("id", tokens.ids),
        ("flags", tokens.flags),
        ("weight", tokens.weights),
        ("timestamp", tokens.timestamps),
    ]:
        view = tokens.view(name)  # type: ignore[arg-type]
        assert np.shares_memory(view, array)
        assert (view == array).all()
    with pytest.raises(ValueError, match="colour"):
        tokens.view("colour")  # type: ignore[arg-type]


def test_all_of_a_token_is_a_structured_array() -> None:
    tokens = random_tokens(10)
    array = tokens.array()
    assert (array.dtype, array.shape, array.strides) == (statlas.TOKEN_DTYPE, (10,), (64,))
    assert array.tobytes() == b"".join(map(bytes, tokens))
    assert statlas.TOKEN_DTYPE.itemsize == 64


@every_view
def test_views_share_the_memory_of_the_tokens(view: Any) -> None:
    tokens = random_tokens(10)
    assert np.shares_memory(view(tokens), tokens.array())
    assert np.shares_memory(view(tokens), view(tokens))


@every_view
def test_views_are_read_only(view: Any) -> None:
    array = view(random_tokens(10))
    assert not array.flags.writeable
    with pytest.raises(ValueError):
        array.flags.writeable = True
    with pytest.raises(ValueError):
        array[...] = 0


@every_view
def test_views_keep_their_owner_alive(view: Any) -> None:
    tokens = random_tokens(1000)
    expected = view(tokens).tobytes()
    array = view(tokens)
    del tokens
    gc.collect()
    # Whatever was let go of would be used again by these.
    others = [random_tokens(1000, seed=seed) for seed in range(2, 10)]
    assert array.tobytes() == expected
    assert len(others) == 8


@every_change
@every_view
def test_tokens_do_not_grow_or_move_under_a_view(view: Any, grow: Any) -> None:
    tokens = random_tokens(10)
    array = view(tokens)
    expected = array.tobytes()
    with pytest.raises(BufferError):
        grow(tokens)
    assert (len(tokens), array.tobytes()) == (10, expected)
    del array
    grow(tokens)


@every_change
def test_views_of_views_count_too(grow: Any) -> None:
    tokens = random_tokens(10)
    part = tokens.array()["coordinates"][::2].T[1]
    gc.collect()
    with pytest.raises(BufferError):
        grow(tokens)
    del part
    grow(tokens)


def test_tokens_grow_when_the_last_view_is_gone() -> None:
    tokens = random_tokens(10)
    first, second = tokens.weights, tokens.array()
    del first
    with pytest.raises(BufferError):
        tokens.append(statlas.Token())
    del second
    tokens.append(statlas.Token())
    with memoryview(tokens), pytest.raises(BufferError):
        tokens.append(statlas.Token())
    tokens.append(statlas.Token())
    assert len(tokens) == 12


def test_copies_and_computed_fields_hold_nothing() -> None:
    tokens = random_tokens(10)
    held = (tokens.decoded(), tokens.local_ids, tokens.entity_types, tokens.domains, tokens[2:4], tokens.copy(), tokens[0])
    tokens.append(statlas.Token())
    assert (len(tokens), len(held)) == (11, 7)


def test_reading_is_allowed_under_a_view() -> None:
    tokens = random_tokens(100)
    view = tokens.coordinates
    assert tokens[3] == list(tokens)[3]
    assert len(tokens.nearest(tokens[0], 3)[0]) == 3
    assert len(tokens.select(weight=(0, 100))) == 100
    assert len(tokens[1:3]) == 2
    assert tokens == tokens.copy()
    assert view.shape == (100, 8, 3)


class TestWritableViews:
    def test_change_the_tokens(self) -> None:
        tokens = random_tokens(10)
        tokens.array(writable=True)["timestamp"] = 7
        tokens.view("weight", writable=True)[:5] = 1.5
        tokens.view("coordinates", writable=True)[:, 2] = 1000
        assert tokens.timestamps.tolist() == [7] * 10
        assert [token.weight for token in tokens][:5] == [1.5] * 5
        assert tokens[9].decoded("motor") == (1.0, 1.0, 1.0)

    def test_are_seen_by_views_that_are_there(self) -> None:
        tokens = random_tokens(10)
        seen = tokens.timestamps
        tokens.view("timestamp", writable=True)[3] = 12345
        assert seen[3] == 12345

    def test_do_not_let_tokens_grow(self) -> None:
        tokens = random_tokens(10)
        view = tokens.array(writable=True)
        with pytest.raises(BufferError):
            tokens.append(statlas.Token())
        assert len(view) == 10

    def test_may_break_rules_that_a_check_finds(self) -> None:
        tokens = random_tokens(10)
        tokens.check()
        tokens.view("weight", writable=True)[4] = np.nan
        with pytest.raises((statlas.InvalidError, statlas.CorruptError), match="4"):
            tokens.check()
        assert np.isnan(tokens.weights[4])
        assert len(tokens.nearest(tokens[0], 3)[0]) == 3


class TestBuffer:
    def test_has_all_the_bytes(self) -> None:
        tokens = random_tokens(10)
        data = b"".join(map(bytes, tokens))
        assert bytes(memoryview(tokens)) == data
        assert memoryview(tokens).nbytes == 640
        assert memoryview(tokens).readonly
        assert bytearray(tokens) == data

    def test_is_not_given_for_writing(self) -> None:
        import io

        with pytest.raises((BufferError, TypeError)):
            io.BytesIO(b"x" * 64).readinto(random_tokens(1))

    def test_of_no_tokens_is_empty(self) -> None:
        assert bytes(memoryview(statlas.TokenVec())) == b""
        assert statlas.TokenVec().array().shape == (0,)
        assert statlas.TokenVec().coordinates.shape == (0, 8, 3)
        assert statlas.TokenVec(10).weights.tolist() == []

    def test_is_written_to_a_file_as_it_is(self, tmp_path: Any) -> None:
        tokens = random_tokens(10)
        (tmp_path / "raw").write_bytes(tokens)
        assert statlas.TokenVec.from_numpy(np.fromfile(tmp_path / "raw", statlas.TOKEN_DTYPE)) == tokens


class TestFromNumpy:
    def test_takes_the_structured_array_of_tokens(self) -> None:
        tokens = random_tokens(100)
        for array in (tokens.array(), tokens.array().copy(), tokens.array()[::2], tokens.array()[::-1]):
            again = statlas.TokenVec.from_numpy(array)
            assert again.array().tobytes() == array.tobytes()
        assert not np.shares_memory(statlas.TokenVec.from_numpy(tokens.array()).array(), tokens.array())

    def test_takes_coordinates_raw_and_decoded(self) -> None:
        tokens = statlas.create_tokens_batch(10, coordinates=random_coordinates(10, seed=5), timestamp=0)
        for array in (tokens.coordinates, tokens.decoded()):
            assert (statlas.TokenVec.from_numpy(array).coordinates == tokens.coordinates).all()

    def test_takes_an_array_without_tokens(self) -> None:
        assert len(statlas.TokenVec.from_numpy(np.zeros(0, statlas.TOKEN_DTYPE))) == 0

    def test_refuses_what_is_no_array_of_tokens(self) -> None:
        wrongs: list[Any] = [np.zeros((3, 8, 2), np.int16), np.zeros(63, np.uint8), np.zeros((3, 8, 3), complex), np.zeros(3, [("id", "<u4")]), [1], None]
        for wrong in wrongs:
            with pytest.raises((ValueError, TypeError)):
                statlas.TokenVec.from_numpy(wrong)

    def test_refuses_tokens_that_break_a_rule(self) -> None:
        array = random_tokens(10).array().copy()
        array["weight"][4] = 101
        with pytest.raises(statlas.InvalidError, match="4"):
            statlas.TokenVec.from_numpy(array)
