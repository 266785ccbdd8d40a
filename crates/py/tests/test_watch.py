"""Watching: what changed, and what is changing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import statlas
from samples import BASELINE_ADDRESS, baseline, many

SOON = 0.05
"""Seconds without a change after which a test looks no further."""


def kinds(changes: Iterator[statlas.Change]) -> list[str]:
    return [change.kind for change in changes]


def test_changes_of_the_past_come_in_their_order(store: statlas.Store) -> None:
    store.put(baseline())
    blob = store.files.put(b"content").id
    store.records("notes").put("a", b"")
    store.records("notes").remove("a")
    store.remove(BASELINE_ADDRESS)
    changes = list(store.watch(after=0, timeout=SOON))
    assert [change.revision for change in changes] == [1, 2, 3, 4, 5]
    assert kinds(iter(changes)) == ["entity_put", "blob_put", "record_put", "record_removed", "entity_removed"]
    assert [change.address for change in changes] == [BASELINE_ADDRESS, None, None, None, BASELINE_ADDRESS]
    assert [change.blob for change in changes] == [None, blob, None, None, None]
    assert [(change.collection, change.key) for change in changes] == [
        (None, None),
        (None, None),
        ("notes", "a"),
        ("notes", "a"),
        (None, None),
    ]


def test_changes_of_one_batch_are_numbered(store: statlas.Store) -> None:
    store.put_many(many(3), batch_size=10)
    changes = list(store.watch(after=0, timeout=SOON))
    assert [(change.revision, change.ordinal) for change in changes] == [(1, 0), (1, 1), (1, 2)]
    assert [change.address for change in changes] == [entity.address for entity in many(3)]


def test_watching_begins_now_unless_told_otherwise(store: statlas.Store) -> None:
    store.put(baseline())
    watch = store.watch(timeout=SOON)
    store.put_many(many(2))
    assert kinds(watch) == ["entity_put", "entity_put"]
    assert watch.revision == store.revision


def test_watching_goes_on_behind_a_revision(store: statlas.Store) -> None:
    store.put_many(many(10), batch_size=1)
    watch = store.watch(after=4, timeout=SOON)
    assert [change.revision for change in watch] == [5, 6, 7, 8, 9, 10]
    assert kinds(store.watch(after=10, timeout=SOON)) == []


def test_a_watch_is_its_own_iterator(store: statlas.Store) -> None:
    store.put(baseline())
    watch = store.watch(after=0, timeout=SOON)
    assert iter(watch) is watch
    assert next(watch).kind == "entity_put"
    with pytest.raises(StopIteration):
        next(watch)


def test_more_changes_than_a_page_has_are_read(store: statlas.Store) -> None:
    store.put_many(many(25_000), batch_size=1000)
    addresses = [change.address for change in store.watch(after=0, timeout=SOON)]
    assert addresses == [entity.address for entity in many(25_000)]


def test_a_timeout_of_nothing_takes_what_is_there(store: statlas.Store) -> None:
    store.put(baseline())
    assert kinds(store.watch(after=0, timeout=0)) == ["entity_put"]
    assert kinds(store.watch(timeout=0)) == []


@pytest.mark.parametrize("timeout", [-1.0, float("nan")])
def test_a_timeout_that_is_none_is_refused(memory: statlas.Store, timeout: float) -> None:
    with pytest.raises(ValueError):
        list(memory.watch(timeout=timeout))


def test_a_timeout_without_end_is_long(memory: statlas.Store) -> None:
    memory.put(baseline())
    for timeout in (1e300, float("inf"), None):
        try:
            watch = memory.watch(after=0, timeout=timeout)
        except ValueError:
            continue
        assert next(watch).kind == "entity_put"


def test_a_revision_that_is_not_there_yet_is_refused(store: statlas.Store) -> None:
    with pytest.raises(statlas.InvalidError):
        next(store.watch(after=store.revision + 1, timeout=SOON))
    wrong: Any = -1
    with pytest.raises((ValueError, OverflowError)):
        next(store.watch(after=wrong, timeout=SOON))


def test_who_waits_is_told_by_another_thread(store: statlas.Store) -> None:
    watch = store.watch()
    seen: list[str | None] = []

    def look() -> None:
        for change in watch:
            seen.append(change.address)
            if len(seen) == 20:
                return

    watcher = threading.Thread(target=look)
    watcher.start()
    for entity in many(20):
        store.put(entity)
    watcher.join()
    assert seen == [entity.address for entity in many(20)]


def test_who_waits_when_the_store_is_closed_waits_no_longer(store: statlas.Store) -> None:
    watch = store.watch()
    waiting = threading.Event()
    ended: list[str] = []

    def look() -> None:
        waiting.set()
        try:
            ended.extend(kinds(watch))
        except statlas.ClosedError:
            ended.append("closed")

    watcher = threading.Thread(target=look)
    watcher.start()
    waiting.wait()
    store.close()
    watcher.join()
    assert ended in ([], ["closed"])


def test_a_watch_that_was_stopped_goes_on_after_opening_again(path: Path) -> None:
    with statlas.Store.open(path) as store:
        store.put_many(many(10), batch_size=1)
        watch = store.watch(after=0, timeout=SOON)
        first = [change.address for change in watch]
        noted = watch.revision
    with statlas.Store.open(path) as store:
        store.put(baseline())
        assert [change.address for change in store.watch(after=noted, timeout=SOON)] == [BASELINE_ADDRESS]
    assert len(first) == 10


def test_a_watch_says_how_far_it_has_come(store: statlas.Store) -> None:
    store.put_many(many(3), batch_size=1)
    watch = store.watch(after=0, timeout=SOON)
    assert watch.revision == 0
    list(watch)
    assert watch.revision == 3
