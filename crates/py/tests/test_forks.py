"""Processes that are forked from one that has a store or a file of tokens open."""

from __future__ import annotations

from pathlib import Path

from children import run

FORKED = """
import os, signal, sys, statlas
store = statlas.Store.open(sys.argv[1] + "/store")
file = statlas.TokenFile.open(sys.argv[1] + "/some.tokens")
child = os.fork()
if child == 0:
    signal.pause()
store.close()
file.close()
try:
    statlas.Store.open(sys.argv[1] + "/store").close()
    statlas.TokenFile.open(sys.argv[1] + "/some.tokens").close()
    print("opened again")
finally:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


def test_a_forked_process_does_not_keep_what_its_parent_closes(tmp_path: Path) -> None:
    assert run(FORKED, tmp_path) == "opened again\n"


HELD = """
import os, sys, statlas
store = statlas.Store.open(sys.argv[1])
child = os.fork()
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
try:
    statlas.Store.open(sys.argv[1])
except statlas.BusyError:
    print("held")
"""


def test_a_forked_process_does_not_let_go_of_what_its_parent_has(tmp_path: Path) -> None:
    assert run(HELD, tmp_path / "store") == "held\n"


SHARED = """
import os, sys, statlas
from pathlib import Path

folder = Path(sys.argv[1])

def content():
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

store = statlas.Store.open(folder / "store", durability="buffered")
records = store.records("settings")
records.put("one", b"1")
file = statlas.TokenFile.open(folder / "some.tokens")
file.append(statlas.create_tokens_batch(3))
before = content()
child = os.fork()
if child == 0:
    assert records["one"] == b"1" and len(file) == 3
    changes = iter(store.watch(store.stats()["revision"], timeout=60))
    for forbidden in (
        lambda: records.put("two", b"2"),
        lambda: file.append(statlas.create_tokens_batch(2)),
        lambda: next(changes),
        store.sync,
    ):
        try:
            forbidden()
            sys.exit("it is not refused")
        except statlas.BusyError as error:
            assert "forked" in str(error), error
    # In order, and not by os._exit: what is open here is closed.
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
assert content() == before
records.put("two", b"2")
store.close()
with statlas.Store.open(folder / "store") as store:
    assert not store.check().damage
    print([record.value for record in store.records("settings")])
"""


def test_a_forked_process_reads_writes_nothing_and_ends_in_order(tmp_path: Path) -> None:
    assert run(SHARED, tmp_path) == "[b'1', b'2']\n"
