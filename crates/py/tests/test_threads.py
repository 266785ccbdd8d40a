"""Many threads: stores and tokens that are used by all of them at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import statlas
from children import run
from samples import baseline, many, random_tokens

THREADS = 8


def together(work: Callable[[int], object], threads: int = THREADS) -> list[object]:
    """Calls ``work`` in so many threads, which begin together, and returns or raises what came of it."""
    barrier = threading.Barrier(threads)

    def begin(number: int) -> object:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(begin, range(threads)))


def test_every_thread_stores_and_finds_its_own(store: statlas.Store) -> None:
    def work(number: int) -> None:
        entities = [*many(200, start=number * 200)]
        for entity in entities[:20]:
            store.put(entity)
        store.put_many(entities[20:], batch_size=50)
        assert store.get_many(entities) == entities

    together(work)
    assert len(store) == 200 * THREADS
    assert store.check().sound


def test_what_all_threads_store_is_stored_once(store: statlas.Store) -> None:
    stored = together(lambda _: store.put_many(many(300), batch_size=20).new)
    assert sum(new for new in stored if isinstance(new, int)) == 300
    assert len(store) == 300


def test_one_iterable_may_feed_many_threads(store: statlas.Store) -> None:
    lock = threading.Lock()
    source = many(1000)

    def one_after_another() -> statlas.Entity | None:
        with lock:
            return next(source, None)

    together(lambda _: store.put_many(iter(one_after_another, None), batch_size=30))
    assert len(store) == 1000


def test_compare_and_swap_loses_no_count(store: statlas.Store) -> None:
    counters = store.records("counters")
    counters.put("a", b"0")

    def work(_: int) -> None:
        for _ in range(25):
            while True:
                record = counters.get("a")
                assert record is not None
                try:
                    counters.put("a", str(int(record.value) + 1).encode(), expected=record.revision)
                    break
                except statlas.ConflictError:
                    pass

    together(work)
    assert counters["a"] == str(25 * THREADS).encode()


def test_other_threads_go_on_while_one_stores_many(store: statlas.Store) -> None:
    entities = [*many(20_000)]
    # What is ready needs the interpreter for moments only, so that somebody else counts meanwhile.
    stored = threading.Event()
    counted = 0

    def load() -> None:
        store.put_many(entities)
        stored.set()

    loader = threading.Thread(target=load)
    loader.start()
    while not stored.is_set():
        counted += 1
    loader.join()
    assert counted > 100
    assert len(store) == 20_000


def test_readers_and_writers_do_not_disturb_each_other(disk: statlas.Store) -> None:
    disk.put_many(many(500))
    entities = [*many(500)]

    def work(number: int) -> None:
        for round_number in range(5):
            if number % 2:
                disk.put_many(many(100, start=1000 * (number + 1) + 100 * round_number))
            else:
                assert disk.get_many(entities) == entities
                assert disk.find(lineage=3, limit=20).count() >= 20
                assert len(disk.near(entities[0], 3)) == 3

    together(work)
    assert len(disk) == 500 + THREADS // 2 * 500


def test_a_store_that_is_closed_by_one_thread_is_closed_for_all(store: statlas.Store) -> None:
    def work(number: int) -> str:
        try:
            if number == 0:
                store.close()
            for entity in many(200, start=number * 200):
                store.put(entity)
        except statlas.ClosedError:
            return "closed"
        return "done"

    assert set(together(work)) <= {"closed", "done"}
    assert store.closed


def test_an_iterator_is_shared_without_seeing_a_row_twice(store: statlas.Store) -> None:
    store.put_many(many(2000))
    rows = iter(store.find())

    def work(_: int) -> list[str]:
        seen = []
        while True:
            try:
                seen.append(next(rows).id)
            except StopIteration:
                return seen
            except RuntimeError:
                # Another thread is in it.
                continue

    seen = [id for ids in together(work) if isinstance(ids, list) for id in ids]
    assert sorted(seen) == [entity.id for entity in many(2000)]


def test_tokens_are_searched_by_all_threads_at_once() -> None:
    tokens = random_tokens(20_000)
    expected = [tokens.nearest(tokens[number], 5)[0].tolist() for number in range(THREADS)]
    found = together(lambda number: [tokens.nearest(tokens[number], 5)[0].tolist() for _ in range(20)])
    assert found == [[indices] * 20 for indices in expected]


def test_tokens_that_grow_while_they_are_searched_are_never_torn() -> None:
    tokens = random_tokens(20_000)
    query, one = tokens[0], tokens[1]

    def work(number: int) -> int:
        refused = 0
        for _ in range(50):
            try:
                if number == 0:
                    tokens.append(one)
                else:
                    indices, distances = tokens.nearest(query, 3)
                    assert (indices[0], distances[0]) == (0, 0.0)
            except (BufferError, RuntimeError):
                refused += 1
        return refused

    refused = together(work)[0]
    assert isinstance(refused, int)
    assert len(tokens) == 20_050 - refused


def test_views_are_taken_and_dropped_by_all_threads() -> None:
    tokens = random_tokens(1000)
    total = int(tokens.ids.sum(dtype=np.uint64))

    def work(_: int) -> None:
        for _ in range(200):
            assert int(tokens.ids.sum(dtype=np.uint64)) == total

    together(work)
    tokens.append(statlas.Token())
    assert len(tokens) == 1001


def test_an_entity_is_read_by_all_threads_at_once(store: statlas.Store) -> None:
    entity = store.get(store.put(baseline()))
    assert entity is not None
    assert together(lambda _: entity.state["value"]) == [42] * THREADS


def test_an_exception_of_one_thread_does_not_end_the_others(store: statlas.Store) -> None:
    def work(number: int) -> int:
        if number == 0:
            with pytest.raises(statlas.InvalidError):
                store.put(baseline(realm="Data"))
            return 0
        return store.put_many(many(50, start=50 * number)).new

    assert together(work) == [0] + [50] * (THREADS - 1)


# In a process of its own: what hangs with the interpreter's lock hangs the tests, too.
AT_ONCE = """
import sys, threading
import numpy as np, statlas
tokens = statlas.create_tokens_batch(100_000, weight=np.linspace(0, 100, 100_000))
query = tokens[0]
def again(work, times):
    return threading.Thread(target=lambda: [work() for _ in range(times)])
threads = [
    again(lambda: tokens.sort("weight"), 30),
    again(lambda: tokens.select(weight=(1, 2)), 100),
    again(lambda: tokens.argsort("weight"), 30),
    again(lambda: tokens.nearest(query, parallel=True), 100),
    again(lambda: tokens.append(query), 50),
    again(lambda: len(tokens), 1000),
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(tokens))
"""


def test_sorting_selecting_and_growing_at_once_come_to_an_end() -> None:
    assert run(AT_ONCE) == "100050\n"
