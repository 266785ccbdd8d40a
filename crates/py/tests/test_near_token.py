"""Entities by the tokens that they carry, wherever a store keeps those."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import statlas
from samples import baseline, many, random_tokens

COUNT = 300


def carriers(count: int = COUNT) -> list[statlas.Entity]:
    """Entities with a token each."""
    return [statlas.Entity(baseline(id=f"t-{number:04}", token=token)) for number, token in enumerate(random_tokens(count))]


@pytest.fixture
def carrying(store: statlas.Store) -> statlas.Store:
    """A store with entities that carry a token and others that carry none."""
    store.put_many(many(50))
    store.put_many(carriers(), batch_size=70)
    return store


def expected(query: statlas.Token, spaces: list[str] | None, metric: str) -> list[tuple[float, str]]:
    """How far every entity's token is, the nearest first, of equally near ones the one that was stored first."""
    found = []
    for entity in carriers():
        assert entity.token is not None
        if metric == "euclidean":
            distance = query.distance(entity.token, spaces=spaces)
        else:
            cosine = query.cosine(entity.token, spaces=spaces)
            distance = None if cosine is None else 1 - cosine
        if distance is not None:
            found.append((distance, entity.id))
    return sorted(found, key=lambda pair: pair[0])


def pairs(near: list[statlas.NearToken]) -> list[tuple[float, str]]:
    return [(found.distance, found.entity.id) for found in near]


@pytest.mark.parametrize("spaces", [None, ["motor"], ["social", "temporal"]], ids=str)
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_the_nearest_are_those_of_looking_at_all(
    carrying: statlas.Store, metric: Literal["euclidean", "cosine"], spaces: list[str] | None
) -> None:
    for query in random_tokens(5, seed=3):
        near = carrying.near_token(query, 20, spaces=spaces, metric=metric)
        assert pairs(near) == expected(query, spaces, metric)[:20]


def test_entities_come_with_their_token(carrying: statlas.Store) -> None:
    query = random_tokens(1, seed=3)[0]
    for found in carrying.near_token(query, 5):
        assert found.entity.token is not None
        assert query.distance(found.entity.token) == found.distance


def test_entities_that_were_removed_are_not_found(carrying: statlas.Store) -> None:
    own = carriers()[7]
    assert own.token is not None
    carrying.remove(own)
    assert own.id not in [id for _, id in pairs(carrying.near_token(own.token, COUNT))]


def test_nothing_is_near_where_nothing_carries_a_token(store: statlas.Store) -> None:
    assert store.near_token(random_tokens(1)[0]) == []
    store.put_many(many(10))
    assert store.near_token(random_tokens(1)[0]) == []


def test_tokens_are_found_after_opening_again_and_in_complete_files_of_the_log(path: Path) -> None:
    query = random_tokens(1, seed=3)[0]
    with statlas.Store.open(path, segment_size="1MiB", durability="buffered") as store:
        store.put_many(carriers())
        store.put_many(many(6000), batch_size=500)
        assert store.stats()["segments"] > 1
        assert pairs(store.near_token(query, 20)) == expected(query, None, "euclidean")[:20]
    with statlas.Store.open(path) as store:
        assert pairs(store.near_token(query, 20)) == expected(query, None, "euclidean")[:20]


def test_a_closed_store_finds_nothing(store: statlas.Store) -> None:
    store.close()
    with pytest.raises(statlas.ClosedError):
        store.near_token(statlas.Token())
