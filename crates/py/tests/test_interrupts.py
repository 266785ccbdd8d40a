"""Ctrl-C: whatever takes long stops, and what is stored is whole."""

from __future__ import annotations

from pathlib import Path

import pytest
import statlas
from children import interrupt, run

HERE = Path(__file__).parent

BEGIN = """
import itertools, os, signal, sys, threading, time, statlas
sys.path.insert(0, sys.argv[2])
from samples import baseline, many
signal.signal(signal.SIGINT, signal.default_int_handler)

def ready_soon():
    # Said by another thread while the main one is in the call, which must let go of the interpreter for that.
    def say():
        print("ready", flush=True)
    threading.Timer(0.3, say).start()
"""

PUT_MANY = """
with statlas.Store.open(sys.argv[1], durability="buffered") as store:
    ready_soon()
    try:
        store.put_many(SOURCE, batch_size=500)
    except KeyboardInterrupt:
        print("interrupted", len(store) % 500, store.check().sound)
"""

WATCH = """
with statlas.Store.open(sys.argv[1]) as store:
    store.put(baseline())
    watch = store.watch()
    ready_soon()
    try:
        next(watch)
    except KeyboardInterrupt:
        store.remove(statlas.address(baseline()))
        print("interrupted", next(watch).kind)
"""

WAIT = """
with statlas.Store.open(sys.argv[1]):
    ready_soon()
    try:
        statlas.Store.open(sys.argv[1], wait=1e6)
    except KeyboardInterrupt:
        print("interrupted")
"""

# What is called for progress is no Python, so that nobody but the extension can notice the signal, and the signal comes
# when there was progress and more is to come. The machine may be too slow for that now and then, so it is tried again.
LONG = """
def interrupted_midway(work):
    told = {}
    def send():
        while not told:
            time.sleep(0)
        os.kill(os.getpid(), signal.SIGINT)
    sender = threading.Thread(target=send)
    try:
        sender.start()
        work(told.__setitem__)
        sender.join()
        time.sleep(1)
    except KeyboardInterrupt:
        sender.join()
    return max(told) < max(told.values())

with statlas.Store.open(sys.argv[1], durability="buffered") as store:
    for _ in range(24):
        store.files.put(os.urandom(8 << 20))
    for attempt in range(20):
        if interrupted_midway(lambda progress: WORK):
            print("interrupted")
            break
    def refuse(done, all_of_it):
        raise LookupError(done, all_of_it)
    try:
        (lambda progress: WORK)(refuse)
    except LookupError as error:
        done, all_of_it = error.args
        print("refused", 0 <= done <= all_of_it)
    print(store.check(quick=True).sound, len(store.files.read(store.files.put(b"after").id)))
"""


@pytest.mark.parametrize(
    ("source", "kept"),
    [("many(10**9)", ("0",)), ("itertools.repeat(statlas.Entity(baseline()))", ("0", "1"))],
    ids=["generator", "without_python"],
)
def test_storing_without_end_is_interrupted(path: Path, source: str, kept: tuple[str, ...]) -> None:
    interrupted, beyond_whole_batches, sound = interrupt(BEGIN + PUT_MANY.replace("SOURCE", source), path, HERE).split()
    assert (interrupted, sound) == ("interrupted", "True")
    assert beyond_whole_batches in kept
    with statlas.Store.open(path) as store:
        assert store.check().sound


def test_waiting_for_changes_is_interrupted_and_can_go_on(path: Path) -> None:
    assert interrupt(BEGIN + WATCH, path, HERE).split() == ["interrupted", "entity_removed"]


def test_waiting_for_a_busy_store_is_interrupted(path: Path) -> None:
    assert interrupt(BEGIN + WAIT, path, HERE).split() == ["interrupted"]


def test_a_check_is_interrupted_and_ended_by_what_progress_raises(path: Path) -> None:
    program = BEGIN + LONG.replace("WORK", "store.check(progress=progress)")
    assert run(program, path, HERE).split() == ["interrupted", "refused", "True", "True", "5"]


def test_a_backup_is_interrupted_too_and_can_be_made_anew(path: Path, tmp_path: Path) -> None:
    work = "store.backup(sys.argv[3] + str(time.monotonic_ns()), progress=progress)"
    program = BEGIN + LONG.replace("WORK", work)
    assert run(program, path, HERE, tmp_path / "backup").split() == ["interrupted", "refused", "True", "True", "5"]
    with statlas.Store.open(path) as store:
        assert store.backup(tmp_path / "again", strict=True).damage == []
