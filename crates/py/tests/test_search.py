"""The nearest tokens, compared with what NumPy finds by looking at all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
import statlas
from samples import numbered, random_tokens

SCALES = np.array(
    [
        [100, 100, 100],
        [10_000, 10_000, 10_000],
        [1000, 1000, 1000],
        [10_000, 10_000, 10_000],
        [10_000, 10_000, 10_000],
        [10_000, 10_000, 10_000],
        [100, 100, 1000],
        [10_000, 10_000, 10_000],
    ]
)
"""Steps of a unit on each axis of each space."""

UNDEFINED = -32768
Metric = Literal["euclidean", "cosine"]
METRICS: tuple[Metric, ...] = ("euclidean", "cosine")
every_metric = pytest.mark.parametrize("metric", METRICS)
SPACES: dict[str, list[str] | None] = {
    "all": None,
    "physical": ["physical"],
    "temporal": ["temporal"],
    "two": ["motor", "social"],
    "seven": list(statlas.SPACES[1:]),
}
every_choice = pytest.mark.parametrize("spaces", SPACES.values(), ids=SPACES)


def distances(
    tokens: statlas.TokenVec, query: statlas.Token, spaces: list[str] | None, metric: Metric
) -> npt.NDArray[np.float64]:
    """How far every token is, NaN where none of its axes can be compared."""
    wanted = np.array([spaces is None or space in spaces for space in statlas.SPACES])
    one = statlas.TokenVec()
    one.append(query)
    a, b = (raw[:, wanted].reshape(len(raw), -1) for raw in (one.coordinates, tokens.coordinates))
    shared = (a != UNDEFINED) & (b != UNDEFINED)
    if metric == "euclidean":
        scale = np.repeat(SCALES[wanted].reshape(1, -1), 1, axis=0)
        found = np.sqrt((np.where(shared, a / scale - b / scale, 0.0) ** 2).sum(axis=1))
    else:
        left, right = (np.where(shared, raw, 0).astype(np.float64) for raw in (a, b))
        norm = np.sqrt((left**2).sum(axis=1) * (right**2).sum(axis=1))
        cosine = np.divide((left * right).sum(axis=1), norm, out=np.zeros(len(norm)), where=norm > 0)
        found = 1 - np.clip(cosine, -1, 1)
    return np.where(shared.any(axis=1), found, np.nan)


@pytest.mark.parametrize("parallel", [False, True])
@every_choice
@every_metric
def test_the_nearest_are_those_of_looking_at_all(metric: Metric, spaces: list[str] | None, parallel: bool) -> None:
    tokens = random_tokens(5000, seed=7, undefined=0.3)
    for number in range(10):
        query = tokens[number * 400]
        expected = distances(tokens, query, spaces, metric)
        indices, found = tokens.nearest(query, 20, spaces=spaces, metric=metric, parallel=parallel)
        assert (indices.dtype.name, found.dtype.name) == ("int64", "float64")
        np.testing.assert_allclose(found, np.sort(expected)[: len(found)], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found, expected[indices], rtol=1e-9, atol=1e-12)
        assert len(set(indices.tolist())) == len(indices) == min(20, int(np.isfinite(expected).sum()))


@every_metric
def test_distances_are_those_of_single_tokens_to_the_bit(metric: Metric) -> None:
    tokens = random_tokens(500, seed=8)
    query = tokens[17]
    for index, distance in zip(*tokens.nearest(query, 50, spaces=["motor", "social"], metric=metric), strict=True):
        other = tokens[int(index)]
        if metric == "euclidean":
            assert distance == query.distance(other, spaces=["motor", "social"])
        else:
            cosine = query.cosine(other, spaces=["motor", "social"])
            assert cosine is not None
            assert distance == 1 - cosine


@every_choice
@every_metric
def test_all_within_a_radius_are_found_in_their_order(metric: Metric, spaces: list[str] | None) -> None:
    tokens = random_tokens(5000, seed=9, undefined=0.3)
    query = tokens[123]
    expected = distances(tokens, query, spaces, metric)
    # Between two distances, so that rounding decides nothing.
    known = np.sort(expected[np.isfinite(expected)])
    radius = float(known[50] + known[51]) / 2
    indices, found = tokens.within(query, radius, spaces=spaces, metric=metric)
    assert (indices.dtype.name, found.dtype.name) == ("int64", "float64")
    assert indices.tolist() == np.flatnonzero(expected <= radius).tolist()
    np.testing.assert_allclose(found, expected[indices], rtol=1e-9, atol=1e-12)


def test_tokens_that_are_equally_near_come_in_their_order() -> None:
    places = np.zeros((1000, 3))
    places[:, 0] = np.arange(1000) % 4
    tokens = statlas.create_tokens_batch(1000, coordinates={"physical": places})
    query = statlas.Token(spaces={"physical": (0, 0, 0)})
    for parallel in (False, True):
        indices, found = tokens.nearest(query, 300, parallel=parallel)
        assert indices.tolist() == [*range(0, 1000, 4), *range(1, 200, 4)]
        assert found.tolist() == [0.0] * 250 + [1.0] * 50


def test_more_are_not_found_than_there_are() -> None:
    tokens = random_tokens(10, undefined=0)
    assert len(tokens.nearest(tokens[0], 100)[0]) == 10
    assert len(tokens.nearest(tokens[0], 0)[0]) == 0
    assert len(statlas.TokenVec().nearest(tokens[0])[0]) == 0
    assert len(tokens.nearest(tokens[0])[0]) == 10
    assert len(statlas.TokenVec().within(tokens[0], 1.0)[0]) == 0


def test_tokens_that_share_no_axis_are_not_found() -> None:
    tokens = statlas.create_tokens_batch(5, coordinates={"motor": np.zeros((5, 3))})
    query = statlas.Token(spaces={"social": (0, 0, 0)})
    assert len(tokens.nearest(query, 5)[0]) == 0
    assert len(tokens.nearest(statlas.Token(spaces={"motor": (0, 0, 0)}), 5, spaces="social")[0]) == 0
    assert len(tokens.within(query, 1e9)[0]) == 0


def test_a_space_may_be_named_alone() -> None:
    tokens = random_tokens(100)
    for one, other in zip(tokens.nearest(tokens[0], 5, spaces="motor"), tokens.nearest(tokens[0], 5, spaces=["motor"]), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "options",
    [{"metric": "manhattan"}, {"spaces": "ghost"}, {"spaces": ["motor", "ghost"]}, {"k": -1}],
    ids=str,
)
def test_questions_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    tokens = random_tokens(3)
    with pytest.raises((ValueError, OverflowError)):
        tokens.nearest(tokens[0], **options)


def test_a_radius_that_is_no_number_is_refused_or_finds_nothing() -> None:
    tokens = random_tokens(3)
    for radius in (-1.0, float("nan")):
        try:
            assert len(tokens.within(tokens[0], radius)[0]) == 0
        except ValueError:
            pass
    assert len(tokens.within(tokens[0], float("inf"))[0]) == 3


def test_a_query_is_a_token() -> None:
    tokens = random_tokens(3)
    wrongs: list[Any] = [None, 0, tokens, np.zeros((8, 3))]
    for wrong in wrongs:
        with pytest.raises(TypeError):
            tokens.nearest(wrong)


def carrying(tokens: statlas.TokenVec) -> list[statlas.Entity]:
    return [statlas.Entity(numbered(number), token=token) for number, token in enumerate(tokens)]


@pytest.mark.parametrize("location", ["memory:", "disk"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_entities_are_found_by_the_tokens_that_they_carry(location: str, metric: Metric, tmp_path: Path) -> None:
    tokens = random_tokens(500)
    with statlas.Store.open(location if location == "memory:" else tmp_path / "store") as store:
        store.put_many(carrying(tokens))
        store.put_many(numbered(number) for number in range(500, 600))
        for spaces in (None, "motor", ["physical", "social"]):
            indices, distances = tokens.nearest(tokens[7], 20, spaces=spaces, metric=metric)
            found = store.near_token(tokens[7], 20, spaces=spaces, metric=metric)
            assert [near.entity.token for near in found] == [tokens[int(index)] for index in indices]
            assert [near.distance for near in found] == distances.tolist()


def test_an_entity_is_not_near_itself_and_a_radius_bounds_what_is_found() -> None:
    tokens = random_tokens(200, undefined=0.0)
    entities = carrying(tokens)
    with statlas.Store.open("memory:") as store:
        store.put_many(entities)
        near = store.near_token(entities[3], 200)
        assert len(near) == 199 and entities[3] not in [found.entity for found in near]
        radius = near[50].distance
        assert len(store.near_token(entities[3], 200, radius=radius)) == 51
        store.remove(near[0].entity)
        assert store.near_token(entities[3], 1)[0].entity == near[1].entity


def test_questions_about_tokens_of_entities_that_make_no_sense_are_refused() -> None:
    wrongs: list[tuple[Any, dict[str, Any]]] = [
        (statlas.Entity(numbered(1)), {}),
        (statlas.Token(), {"radius": -1.0}),
        (statlas.Token(), {"radius": float("nan")}),
        (statlas.Token(), {"spaces": "nowhere"}),
        (statlas.Token(), {"metric": "manhattan"}),
        ("bc-0001", {}),
    ]
    with statlas.Store.open("memory:") as store:
        for token, options in wrongs:
            with pytest.raises(statlas.InvalidError):
                store.near_token(token, **options)


def test_indices_that_no_token_has_are_refused() -> None:
    tokens = random_tokens(5)
    for wrong in (np.array([2**64 - 1], np.uint64), [5], [-6]):
        with pytest.raises(IndexError):
            tokens.take(wrong)
    for shape in (np.zeros((2, 2), np.int64), np.zeros((0, 3)), 3, [1.5]):
        with pytest.raises(statlas.InvalidError, match="indices"):
            tokens.take(shape)
    assert len(tokens.take([])) == 0
