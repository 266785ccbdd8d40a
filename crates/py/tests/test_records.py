"""Records: named values that change, with compare-and-swap."""

from __future__ import annotations

from typing import Any

import pytest
import statlas
from samples import baseline


def test_a_record_has_its_key_value_and_revision(store: statlas.Store) -> None:
    notes = store.records("notes")
    revision = notes.put("a", b"one")
    record = notes.get("a")
    assert record is not None
    assert (record.key, record.value, record.revision) == ("a", b"one", revision)
    assert revision == store.revision
    assert notes.collection == "notes"


def test_a_record_that_is_absent_is_none_or_a_key_error(store: statlas.Store) -> None:
    notes = store.records("notes")
    assert notes.get("a") is None
    assert "a" not in notes
    with pytest.raises(KeyError, match="a"):
        notes["a"]


def test_a_record_is_read_like_the_item_of_a_mapping(store: statlas.Store) -> None:
    notes = store.records("notes")
    notes.put("a", b"\x00\xff")
    assert "a" in notes
    assert notes["a"] == b"\x00\xff"


def test_a_value_may_be_anything_with_bytes(store: statlas.Store) -> None:
    notes = store.records("notes")
    notes.put("a", b"")
    assert notes["a"] == b""
    notes.put("a", b"x" * 100_000)
    assert len(notes["a"]) == 100_000


def test_a_value_that_is_text_is_refused(store: statlas.Store) -> None:
    wrong: Any = "text"
    with pytest.raises(TypeError):
        store.records("notes").put("a", wrong)


def test_collections_do_not_share_keys(store: statlas.Store) -> None:
    store.records("notes").put("a", b"one")
    assert "a" not in store.records("other")
    assert store.records("notes")["a"] == b"one"


class TestCompareAndSwap:
    def test_makes_what_is_absent_once(self, store: statlas.Store) -> None:
        notes = store.records("notes")
        notes.put("a", b"one", expected="absent")
        with pytest.raises(statlas.ConflictError):
            notes.put("a", b"two", expected="absent")
        assert notes["a"] == b"one"

    def test_changes_what_is_at_the_revision(self, store: statlas.Store) -> None:
        notes = store.records("notes")
        first = notes.put("a", b"one")
        second = notes.put("a", b"two", expected=first)
        assert second > first
        with pytest.raises(statlas.ConflictError) as raised:
            notes.put("a", b"three", expected=first)
        assert (raised.value.kind, raised.value.is_retryable) == ("conflict", False)
        assert notes["a"] == b"two"

    def test_does_not_change_what_is_absent(self, store: statlas.Store) -> None:
        with pytest.raises(statlas.ConflictError):
            store.records("notes").put("a", b"one", expected=store.revision + 1)

    def test_removes_what_is_at_the_revision(self, store: statlas.Store) -> None:
        notes = store.records("notes")
        first = notes.put("a", b"one")
        second = notes.put("a", b"two")
        with pytest.raises(statlas.ConflictError):
            notes.remove("a", expected=first)
        assert notes.remove("a", expected=second) == store.revision
        assert "a" not in notes
        notes.put("a", b"three", expected="absent")

    @pytest.mark.parametrize("expected", ["none", -1, 1.5])
    def test_refuses_an_expectation_that_is_none(self, memory: statlas.Store, expected: Any) -> None:
        with pytest.raises((ValueError, TypeError, OverflowError)):
            memory.records("notes").put("a", b"", expected=expected)
        assert "a" not in memory.records("notes")


def test_removing_what_is_absent_changes_nothing(store: statlas.Store) -> None:
    store.put(baseline())
    before = store.revision
    assert store.records("notes").remove("a") == before
    assert store.revision == before


class TestListing:
    def test_goes_by_key(self, store: statlas.Store) -> None:
        notes = store.records("notes")
        for key in ("b", "a", "ä", "c"):
            notes.put(key, key.encode())
        store.records("other").put("d", b"")
        keys = ["a", "b", "c", "ä"]
        assert [record.key for record in notes.list()] == keys
        assert [(record.key, record.value) for record in notes] == [(key, key.encode()) for key in keys]

    def test_goes_on_behind_a_key(self, store: statlas.Store) -> None:
        notes = store.records("notes")
        for number in range(10):
            notes.put(f"{number}", b"")
        assert [record.key for record in notes.list(after="3", limit=2)] == ["4", "5"]
        assert [record.key for record in notes.list(after="35")] == ["4", "5", "6", "7", "8", "9"]
        assert notes.list(after="9") == []
        assert notes.list(limit=0) == []

    def test_takes_many_pages(self, store: statlas.Store) -> None:
        with store.batch() as batch:
            for number in range(5000):
                batch.put_record("notes", f"{number:05}", b"")
        notes = store.records("notes")
        assert [int(record.key) for record in notes] == [*range(5000)]
        assert len(notes.list()) == 5000


@pytest.mark.parametrize(("collection", "key"), [("", "a"), ("notes", ""), ("n" * 256, "a"), ("notes", "a" * 4097)])
def test_names_that_are_too_short_or_too_long_are_refused(memory: statlas.Store, collection: str, key: str) -> None:
    with pytest.raises(statlas.InvalidError):
        memory.records(collection).put(key, b"")


def test_a_value_that_is_too_long_is_refused(memory: statlas.Store) -> None:
    with pytest.raises(statlas.InvalidError):
        memory.records("notes").put("a", bytes((4 << 20) + 1))


def test_records_survive_opening_again(path: Any) -> None:
    with statlas.Store.open(path) as store:
        revision = store.records("notes").put("a", b"one")
    with statlas.Store.open(path) as store:
        store.records("notes").put("a", b"two", expected=revision)
        assert store.records("notes")["a"] == b"two"
