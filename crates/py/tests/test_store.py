"""Stores: opening and closing, entities in and out, batches, versions, checks and backups."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import statlas
from samples import ABSENT, BASELINE_ADDRESS, baseline, fractal, many, numbered


def test_what_was_put_is_got(store: statlas.Store) -> None:
    address = store.put(statlas.Entity(baseline()))
    assert address == BASELINE_ADDRESS
    entity = store.get(address)
    assert entity is not None
    assert entity.to_dict() == statlas.Entity(baseline()).to_dict()
    assert entity.address == address


def test_fields_are_put_like_an_entity(store: statlas.Store) -> None:
    assert store.put(baseline()) == BASELINE_ADDRESS
    with pytest.raises(statlas.InvalidError, match="realm"):
        store.put(baseline(realm="Data"))
    assert len(store) == 1


def test_an_address_is_given_as_text_bytes_or_an_entity(store: statlas.Store) -> None:
    entity = statlas.Entity(baseline())
    store.put(entity)
    for name in (entity.address, bytes.fromhex(entity.address), entity):
        assert store.get(name) == entity
        assert name in store
        assert store.get_many([name]) == [entity]
    store.remove(entity)
    for name in (entity.address, bytes.fromhex(entity.address), entity):
        assert store.get(name) is None
        assert name not in store


@pytest.mark.parametrize("name", ["", "2a80", "z" * 64, BASELINE_ADDRESS.upper(), b"", b"x" * 31])
def test_what_is_no_address_is_refused(memory: statlas.Store, name: str | bytes) -> None:
    calls: list[Callable[[], object]] = [
        lambda: memory.get(name),
        lambda: memory.get_many([name]),
        lambda: memory.remove(name),
        lambda: name in memory,
    ]
    for call in calls:
        with pytest.raises(statlas.InvalidError):
            call()


def test_an_address_of_another_type_is_refused(memory: statlas.Store) -> None:
    wrong: Any = 12
    with pytest.raises((TypeError, statlas.InvalidError)):
        memory.get(wrong)


def test_what_is_not_there_is_none(store: statlas.Store) -> None:
    assert store.get(ABSENT) is None
    assert ABSENT not in store
    assert store.head("nobody") is None
    assert store.history("nobody") == []
    assert store.resolve("nobody") == []


def test_many_are_got_in_the_order_that_was_asked_for(hundred: statlas.Store) -> None:
    entities = list(many(100))
    asked = [entity.address for entity in reversed(entities)] + [ABSENT]
    assert hundred.get_many(iter(asked)) == [*reversed(entities), None]
    assert hundred.get_many([]) == []


def test_length_counts_entities_and_an_empty_store_is_true(store: statlas.Store) -> None:
    assert (len(store), bool(store)) == (0, True)
    store.put_many(many(10))
    assert len(store) == 10


def test_the_revision_grows_with_every_batch_that_changes_something(store: statlas.Store) -> None:
    before = store.revision
    store.put(baseline())
    assert store.revision == before + 1
    store.put(baseline())
    assert store.revision == before + 1


def test_a_token_and_a_blob_come_back_with_their_entity(store: statlas.Store) -> None:
    token = statlas.Token(local_id=9, entity_type="sensor", spaces={"motor": [1.0, None, -1.0]})
    address = store.put(baseline(token=token, blob="ab" * 32))
    entity = store.get(address)
    assert entity is not None
    assert (entity.token, entity.blob) == (token, "ab" * 32)


class TestPutMany:
    def test_takes_any_iterable_of_entities_and_fields(self, store: statlas.Store) -> None:
        def mixed() -> Iterator[statlas.Entity | dict[str, Any]]:
            for number in range(25):
                yield statlas.Entity(numbered(number)) if number % 2 else numbered(number)

        stored = store.put_many(mixed(), batch_size=10)
        assert (stored.new, stored.present, stored.revision) == (25, 0, store.revision)
        stored = store.put_many([*many(30)], batch_size=7)
        assert (stored.new, stored.present, len(store)) == (5, 25, 30)

    def test_of_nothing_stores_nothing(self, store: statlas.Store) -> None:
        stored = store.put_many([])
        assert (stored.new, stored.present, len(store)) == (0, 0, 0)

    @pytest.mark.parametrize("batch_size", [1, 9, 10, 11, 1000])
    def test_stores_all_whatever_the_size_of_batches(self, memory: statlas.Store, batch_size: int) -> None:
        assert memory.put_many(many(20), batch_size=batch_size).new == 20
        assert set(memory.get_many(many(20))) == set(many(20))

    def test_commits_in_batches(self, memory: statlas.Store) -> None:
        assert memory.put_many(many(20), batch_size=5).revision == 4

    @pytest.mark.parametrize("batch_size", [0, -1])
    def test_refuses_batches_of_nothing(self, memory: statlas.Store, batch_size: int) -> None:
        with pytest.raises((ValueError, OverflowError)):
            memory.put_many(many(2), batch_size=batch_size)

    def test_tells_how_many_are_stored(self, store: statlas.Store) -> None:
        told: list[int] = []
        store.put_many(many(35), batch_size=10, progress=told.append)
        assert told == sorted(told)
        assert told[-1] == 35

    def test_keeps_whole_batches_before_one_that_is_refused(self, store: statlas.Store) -> None:
        def until_refused() -> Iterator[dict[str, Any]]:
            yield from (numbered(number) for number in range(25))
            yield baseline(realm="Data")

        with pytest.raises(statlas.InvalidError, match="realm"):
            store.put_many(until_refused(), batch_size=10)
        kept = len(store)
        assert kept in (0, 10, 20)
        stored = store.put_many(many(25))
        assert (stored.present, stored.new) == (kept, 25 - kept)

    def test_raises_what_the_iterable_raises(self, store: statlas.Store) -> None:
        class OwnError(Exception):
            pass

        def broken() -> Iterator[statlas.Entity]:
            yield from many(3)
            raise OwnError

        with pytest.raises(OwnError):
            store.put_many(broken(), batch_size=2)
        assert len(store) in (0, 2)
        store.put(baseline())

    def test_raises_what_progress_raises(self, memory: statlas.Store) -> None:
        def stop(_done: int) -> None:
            raise StopAsyncIteration

        with pytest.raises(StopAsyncIteration):
            memory.put_many(many(10), batch_size=2, progress=stop)
        assert len(memory) < 10

    def test_refuses_what_cannot_be_iterated_and_what_is_no_entity(self, memory: statlas.Store) -> None:
        wrongs: list[Any] = [7, [7], ["text"], [None]]
        for wrong in wrongs:
            with pytest.raises((TypeError, statlas.InvalidError)):
                memory.put_many(wrong)
        assert len(memory) == 0

    @pytest.mark.parametrize("durability", ["synced", "written", "buffered"])
    def test_takes_a_durability(self, disk: statlas.Store, durability: Any) -> None:
        assert disk.put_many(many(5), durability=durability).new == 5

    def test_may_use_the_store_while_the_iterable_is_read(self, store: statlas.Store) -> None:
        def looking() -> Iterator[statlas.Entity]:
            for entity in many(30):
                assert store.get(ABSENT) is None
                store.records("seen").put(entity.id, b"")
                yield entity

        assert store.put_many(looking(), batch_size=10).new == 30
        assert len(list(store.records("seen"))) == 30


class TestVersions:
    def test_of_an_id_come_oldest_first_and_the_last_is_the_head(self, store: statlas.Store) -> None:
        versions = [statlas.Entity(baseline(state={"value": value})) for value in range(3)]
        for version in versions:
            store.put(version)
        assert store.history("bc-0001") == versions
        assert store.head("bc-0001") == versions[-1]

    @pytest.mark.parametrize(
        "changes",
        [
            {"realm": "void"},
            {"entity_type": "agent"},
            {"created_at": "2025-01-02T00:00:00Z"},
            {"coordinates": {"lineage": 2}},
            {"coordinates": {"realm": "void"}},
            {"coordinates": {"adjacency": []}},
        ],
    )
    def test_that_change_what_must_not_change_are_refused(self, store: statlas.Store, changes: dict[str, Any]) -> None:
        store.put(baseline(coordinates={"adjacency": ["a"]}))
        changes = {**changes, "coordinates": {"adjacency": ["a"], **changes.get("coordinates", {})}}
        with pytest.raises(statlas.MutabilityError):
            store.put(baseline(**changes, state={"value": 43}))
        assert len(store) == 1

    def test_become_the_head_again_when_the_newer_one_is_removed(self, store: statlas.Store) -> None:
        first, second = (store.put(baseline(state={"value": value})) for value in (1, 2))
        store.remove(second)
        head = store.head("bc-0001")
        assert head is not None
        assert head.address == first
        store.remove(ABSENT)


class TestResolve:
    def test_takes_an_address_a_prefix_an_id_and_a_uri(self, store: statlas.Store) -> None:
        entity = statlas.Entity(baseline())
        store.put(entity)
        store.put(fractal(id="other"))
        for name in (entity.address, entity.address[:4], entity.address[:12], "bc-0001", entity.uri):
            assert store.resolve(name) == [entity]

    def test_finds_all_at_the_coordinates_of_a_uri(self, store: statlas.Store) -> None:
        entities = [statlas.Entity(baseline(id=id)) for id in "abc"]
        store.put_many(entities)
        assert set(store.resolve(entities[0].uri)) == set(entities)

    def test_refuses_a_prefix_of_several(self, store: statlas.Store) -> None:
        store.put_many(many(2000))
        prefixes: set[str] = set()
        for entity in many(2000):
            prefix = entity.address[:4]
            if prefix in prefixes:
                with pytest.raises(statlas.AmbiguousError) as raised:
                    store.resolve(prefix)
                assert isinstance(raised.value, LookupError)
                assert entity.address in str(raised.value)
                break
            prefixes.add(prefix)
        else:
            pytest.fail("no two of 2,000 addresses share four digits")

    def test_refuses_a_uri_that_does_not_parse(self, memory: statlas.Store) -> None:
        with pytest.raises(statlas.InvalidError):
            memory.resolve("stat7://nowhere")


class TestSimilarity:
    def test_near_gives_the_most_similar_first(self, hundred: statlas.Store) -> None:
        entity = statlas.Entity(numbered(42))
        near = hundred.near(entity, k=5)
        scores = [neighbour.similarity for neighbour in near]
        assert len(near) == 5
        assert scores == sorted(scores, reverse=True)
        assert scores == pytest.approx([entity.similarity(neighbour.entity) for neighbour in near])
        assert {neighbour.entity.profile for neighbour in near} == {entity.profile}

    def test_near_takes_an_id(self, hundred: statlas.Store) -> None:
        entity = statlas.Entity(numbered(42))

        def ids(near: list[statlas.Neighbour]) -> list[str]:
            return [neighbour.entity.id for neighbour in near]

        assert ids(hundred.near("e-000042", 5)) == ids(hundred.near(entity, 5))

    def test_near_refuses_a_name_of_nobody(self, hundred: statlas.Store) -> None:
        with pytest.raises((statlas.InvalidError, LookupError), match="nobody"):
            hundred.near("nobody")

    def test_near_finds_all_of_the_profile_at_most(self, hundred: statlas.Store) -> None:
        assert 74 <= len(hundred.near(statlas.Entity(numbered(42)), k=1000)) <= 75
        assert hundred.near(statlas.Entity(numbered(42)), k=0) == []

    def test_neighbours_are_reached_step_by_step(self, hundred: statlas.Store) -> None:
        reached = hundred.neighbours("e-000042", hops=3)
        assert [(step.id, step.hops) for step in reached] == [("e-000041", 1), ("e-000040", 2), ("e-000039", 3)]
        assert [step.entity for step in reached] == [statlas.Entity(numbered(number)) for number in (41, 40, 39)]
        assert len(hundred.neighbours("e-000042", hops=50, limit=4)) == 4
        assert hundred.neighbours("e-000000") == []

    def test_a_neighbour_that_is_not_stored_has_no_entity(self, store: statlas.Store) -> None:
        store.put(baseline(coordinates={"adjacency": ["elsewhere"]}))
        (step,) = store.neighbours("bc-0001")
        assert (step.id, step.hops, step.entity) == ("elsewhere", 1, None)


class TestBatch:
    def test_is_stored_as_one_revision_when_its_block_ends(self, store: statlas.Store) -> None:
        before = store.revision
        with store.batch() as batch:
            address = batch.put(baseline())
            batch.put_record("notes", "a", b"text")
            assert len(batch) == 2
            assert store.get(address) is None
        assert store.get(address) == statlas.Entity(baseline())
        assert store.records("notes")["a"] == b"text"
        assert store.revision == before + 1

    def test_is_forgotten_when_its_block_fails(self, store: statlas.Store) -> None:
        with pytest.raises(KeyError), store.batch() as batch:
            batch.put(baseline())
            raise KeyError
        assert len(store) == 0

    def test_tells_its_revision_when_it_is_committed_by_hand(self, store: statlas.Store) -> None:
        batch = store.batch(durability="written")
        batch.put(baseline())
        assert batch.commit() == store.revision
        assert len(store) == 1

    def test_takes_nothing_more_when_it_is_done(self, store: statlas.Store) -> None:
        with store.batch() as batch:
            batch.put(baseline())
        for call in (lambda: batch.put(fractal()), batch.commit, lambda: batch.put_record("a", "b", b"")):
            with pytest.raises(statlas.ClosedError):
                call()

    def test_is_stored_all_or_nothing(self, store: statlas.Store) -> None:
        store.records("notes").put("a", b"1")
        batch = store.batch()
        batch.put(baseline())
        batch.put_record("notes", "a", b"2", expected="absent")
        with pytest.raises(statlas.ConflictError) as raised:
            batch.commit()
        assert raised.value.operation == 1
        assert len(store) == 0
        assert store.records("notes")["a"] == b"1"

    def test_removes_what_it_is_told_to(self, store: statlas.Store) -> None:
        store.put(baseline())
        store.records("notes").put("a", b"1")
        with store.batch() as batch:
            batch.remove(BASELINE_ADDRESS)
            batch.remove_record("notes", "a")
        assert len(store) == 0
        assert "a" not in store.records("notes")

    def test_of_many_versions_is_judged_in_order(self, store: statlas.Store) -> None:
        batch = store.batch()
        batch.put(baseline())
        batch.put(baseline(realm="void", state={}))
        with pytest.raises(statlas.MutabilityError) as raised:
            batch.commit()
        assert raised.value.operation == 1


class TestOpening:
    def test_makes_the_store_and_opens_it_again(self, path: Path) -> None:
        with statlas.Store.open(path) as store:
            store.put(baseline())
        for name in (str(path), path, f"disk:{path}"):
            with statlas.Store.open(name, create=False) as store:
                assert store.get(BASELINE_ADDRESS) == statlas.Entity(baseline())

    def test_takes_options(self, path: Path) -> None:
        options: dict[str, Any] = {
            "durability": "buffered",
            "memory": "64MiB",
            "cache": 1 << 20,
            "compression": True,
            "buffer_pool": "1MiB",
            "preload": True,
            "segment_size": "1MiB",
            "history_revisions": 10,
            "background_scrub": "1MiB",
            "wait": 0.1,
        }
        with statlas.Store.open(path, **options) as store:
            store.put_many(many(5000), batch_size=100)
            assert store.stats()["segments"] > 1
            assert store.get_many(many(3)) == [*many(3)]

    def test_refuses_options_that_are_none(self, path: Path) -> None:
        wrongs: list[dict[str, Any]] = [
            {"memory": "64 apples"},
            {"cache": "1.5MiB"},
            {"durability": "certain"},
            {"wait": -1.0},
            {"wait": float("nan")},
        ]
        for wrong in wrongs:
            with pytest.raises(ValueError):
                statlas.Store.open(path, **wrong)
        with pytest.raises(TypeError):
            statlas.Store.open(path, speed=3)  # type: ignore[call-arg]

    def test_refuses_what_is_no_place(self) -> None:
        for name in ("", "memory:x", "disk:", "sqlite:x", "http://example.org"):
            with pytest.raises(statlas.InvalidError):
                statlas.Store.open(name)

    def test_does_not_make_a_store_that_need_not_be(self, path: Path) -> None:
        with pytest.raises(statlas.Error):
            statlas.Store.open(path, create=False)
        assert not path.exists()

    def test_gives_each_store_in_memory_for_itself(self) -> None:
        with statlas.Store.open("memory:") as one, statlas.Store.open("memory:") as other:
            one.put(baseline())
            assert len(other) == 0


class TestClosing:
    def test_lets_go_of_the_store_whoever_still_knows_it(self, path: Path) -> None:
        with statlas.Store.open(path) as store:
            id = store.files.put(b"content").id
            store.put_many(many(10))
            held = (store.find(), iter(store.find()), store.records("a"), store.files, store.files.open(id))
            watch, batch = store.watch(), store.batch()
        assert store.closed
        with statlas.Store.open(path) as again:
            assert len(again) == 10
        assert len(held) == 5
        with pytest.raises(statlas.ClosedError):
            batch.put_record("a", "b", b"")
            batch.commit()
        with pytest.raises((statlas.ClosedError, StopIteration)):
            next(watch)

    def test_lets_another_process_have_the_store(self, path: Path) -> None:
        with statlas.Store.open(path) as store:
            store.put(baseline())
        program = "import statlas, sys\nwith statlas.Store.open(sys.argv[1]) as store: print(len(store))"
        said = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
        assert said.stdout == "1\n"

    def test_happens_when_the_block_fails(self, path: Path) -> None:
        with pytest.raises(KeyError), statlas.Store.open(path) as store:
            raise KeyError
        assert store.closed
        statlas.Store.open(path).close()

    def test_may_happen_twice(self, store: statlas.Store) -> None:
        assert not store.closed
        store.close()
        store.close()
        assert store.closed

    def test_happens_when_the_last_name_is_gone(self, path: Path) -> None:
        store = statlas.Store.open(path)
        store.put(baseline())
        del store
        statlas.Store.open(path).close()

    @pytest.mark.parametrize(
        "use",
        [
            lambda store: store.put(baseline()),
            lambda store: store.put_many(many(1)),
            lambda store: store.get(ABSENT),
            lambda store: store.get_many([ABSENT]),
            lambda store: ABSENT in store,
            lambda store: len(store),
            lambda store: store.head("a"),
            lambda store: store.history("a"),
            lambda store: store.resolve("a"),
            lambda store: store.remove(ABSENT),
            lambda store: list(store.find()),
            lambda store: store.find().count(),
            lambda store: store.find().arrays(),
            lambda store: store.near(statlas.Entity(baseline())),
            lambda store: store.neighbours("a"),
            lambda store: store.records("a").get("b"),
            lambda store: store.records("a").put("b", b""),
            lambda store: list(store.records("a")),
            lambda store: store.files.put(b""),
            lambda store: store.files.read(ABSENT),
            lambda store: store.check(),
            lambda store: store.sync(),
            lambda store: store.backup("nowhere"),
        ],
    )
    def test_ends_all_use(self, store: statlas.Store, use: Callable[[statlas.Store], object]) -> None:
        store.close()
        with pytest.raises(statlas.ClosedError):
            use(store)


class TestUpkeep:
    def test_a_check_counts_what_it_read(self, store: statlas.Store) -> None:
        store.put_many(many(100))
        store.records("a").put("b", b"c")
        store.files.put(b"content")
        told: list[tuple[int, int]] = []
        report = store.check(progress=lambda done, all_of_it: told.append((done, all_of_it)))
        assert report.sound
        assert (report.entities, report.records, report.blobs, report.damage) == (100, 1, 1, [])
        assert all(done <= all_of_it for done, all_of_it in told)
        assert told == sorted(told)
        # However quick it was, its end is told.
        assert told[-1] == (told[-1][1], told[-1][1])

    def test_a_large_batch_is_cut_into_small_ones(self, memory: statlas.Store) -> None:
        text = "a" * 500_000
        told: list[int] = []
        memory.put_many((statlas.Entity(numbered(n), state={"text": text}) for n in range(40)), progress=told.append)
        assert told[-1] == 40 and len(told) > 1

    def test_a_quick_check_says_what_it_left_out(self, path: Path) -> None:
        with statlas.Store.open(path, segment_size="1MiB", durability="buffered") as store:
            store.put_many(many(5000), batch_size=100)
            report = store.check(quick=True)
            assert report.sound
            assert report.bytes_unread > 0
            assert store.check().bytes_unread == 0

    def test_a_second_backup_copies_what_is_new(self, disk: statlas.Store, tmp_path: Path) -> None:
        disk.put_many(many(100))
        first = disk.backup(tmp_path / "backup")
        assert first.revision == disk.revision
        assert first.bytes_copied > 0
        assert (first.damage, len(first.chain_head)) == ([], 64)
        second = disk.backup(tmp_path / "backup", strict=True)
        assert second.revision == first.revision
        assert second.bytes_copied < first.bytes_copied
        assert second.files_copied <= first.files_copied

    def test_a_store_in_memory_has_no_backup(self, memory: statlas.Store, tmp_path: Path) -> None:
        with pytest.raises(statlas.InvalidError):
            memory.backup(tmp_path / "backup")

    def test_figures_are_counted(self, store: statlas.Store) -> None:
        store.put_many(many(10))
        stats = store.stats()
        assert (stats["entities"], stats["revision"], stats["damage"]) == (10, store.revision, [])
        assert stats["engine"] in ("memory", "disk")

    def test_what_was_buffered_can_be_synced(self, path: Path) -> None:
        with statlas.Store.open(path, durability="buffered") as store:
            store.put(baseline())
            store.sync()
            assert store.stats()["syncs"] >= 1

    def test_representations_say_what_it_is(self, store: statlas.Store) -> None:
        assert "Store" in repr(store)
        store.close()
        assert "closed" in repr(store)
