"""Stores that are closed when a test ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import statlas
from samples import many


@pytest.fixture
def memory() -> Iterator[statlas.Store]:
    """An empty store in memory."""
    with statlas.Store.open("memory:") as store:
        yield store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store may be made."""
    return tmp_path / "store"


@pytest.fixture
def disk(path: Path) -> Iterator[statlas.Store]:
    """An empty store on disk."""
    with statlas.Store.open(path) as store:
        yield store


@pytest.fixture(params=["memory", "disk"])
def store(request: pytest.FixtureRequest, path: Path) -> Iterator[statlas.Store]:
    """An empty store of each engine."""
    with statlas.Store.open("memory:" if request.param == "memory" else path) as store:
        yield store


@pytest.fixture
def hundred(store: statlas.Store) -> statlas.Store:
    """A store with a hundred entities, each in a place of its own."""
    store.put_many(many(100))
    return store
