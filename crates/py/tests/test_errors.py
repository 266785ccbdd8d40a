"""Errors: one class for each kind, and none that takes the interpreter down."""

from __future__ import annotations

import errno
import pickle
from pathlib import Path

import pytest
import statlas
from children import child, run
from samples import ABSENT, baseline, many
from statlas import _errors, _statlas


def test_every_kind_of_error_has_one_class() -> None:
    assert set(_errors.BY_KIND) == set(_statlas.ERROR_KINDS)
    assert {_errors.BY_KIND[kind].kind for kind in _statlas.ERROR_KINDS} == set(_statlas.ERROR_KINDS)
    assert len(set(_errors.BY_KIND.values())) == len(_statlas.ERROR_KINDS)


def test_every_class_is_public_and_derives_from_error() -> None:
    for error in _errors.BY_KIND.values():
        assert issubclass(error, statlas.Error)
        assert getattr(statlas, error.__name__) is error
        assert error.__name__ in statlas.__all__
        assert error.__doc__


@pytest.mark.parametrize(
    ("error", "known"),
    [
        (statlas.InvalidError, ValueError),
        (statlas.MutabilityError, ValueError),
        (statlas.ClosedError, ValueError),
        (statlas.AmbiguousError, LookupError),
        (statlas.NoSpaceError, OSError),
        (statlas.IoError, OSError),
        (statlas.NoMemoryError, MemoryError),
    ],
)
def test_what_python_has_a_class_for_is_of_that_class_too(error: type[Exception], known: type[Exception]) -> None:
    assert issubclass(error, known)


def test_an_error_says_what_was_found_and_what_is_allowed(memory: statlas.Store) -> None:
    with pytest.raises(statlas.InvalidError) as raised:
        memory.put(baseline(realm="Data"))
    assert (raised.value.kind, raised.value.is_retryable, raised.value.operation) == ("invalid", False, None)
    assert "realm" in str(raised.value)
    assert "Data" in str(raised.value)
    assert "allowed" in str(raised.value)


def test_errors_can_be_pickled(memory: statlas.Store) -> None:
    with pytest.raises(statlas.InvalidError) as raised:
        memory.put(baseline(realm="Data"))
    again = pickle.loads(pickle.dumps(raised.value))
    assert (type(again), str(again)) == (statlas.InvalidError, str(raised.value))


def test_a_directory_with_other_things_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear reader")
    with pytest.raises(statlas.NotAStoreError):
        statlas.Store.open(tmp_path)


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear reader")
    with pytest.raises(statlas.Error):
        statlas.Store.open(tmp_path / "letter.txt")


def test_a_store_is_busy_while_somebody_has_it(disk: statlas.Store, path: Path) -> None:
    with pytest.raises(statlas.BusyError) as raised:
        statlas.Store.open(path)
    assert (raised.value.kind, raised.value.is_retryable) == ("busy", True)
    with pytest.raises(statlas.BusyError):
        statlas.Store.open(path, wait=0.05)


def test_a_store_that_another_process_has_can_be_waited_for(path: Path) -> None:
    program = (
        "import statlas, sys\n"
        "with statlas.Store.open(sys.argv[1]):\n"
        "    print('open', flush=True)\n"
        "    sys.stdin.readline()\n"
    )
    with child(program, path) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(statlas.BusyError):
            statlas.Store.open(path)
        holder.stdin.write("\n")
        holder.stdin.flush()
        statlas.Store.open(path, wait=60.0).close()


def test_an_error_of_the_system_has_its_number(tmp_path: Path) -> None:
    with pytest.raises(statlas.IoError) as raised:
        statlas.TokenVec.open(tmp_path / "missing")
    assert raised.value.errno == errno.ENOENT
    assert "missing" in str(raised.value)


def damaged(path: Path) -> str:
    """Makes a store, damages the text of one of its entities, and returns the address."""
    with statlas.Store.open(path) as store:
        store.put_many(many(10))
        address = store.put(baseline(state={"mark": "here it is"}))
    (log,) = (file for file in path.rglob("*") if file.is_file() and b"here it is" in file.read_bytes())
    log.write_bytes(log.read_bytes().replace(b"here it is", b"here it was"[:10]))
    return address


def test_what_is_damaged_is_corrupt_and_all_else_is_read(path: Path) -> None:
    address = damaged(path)
    with statlas.Store.open(path) as store:
        with pytest.raises(statlas.CorruptError) as raised:
            store.get(address)
        assert raised.value.kind == "corrupt"
        assert store.get_many(many(10)) == [*many(10)]
        report = store.check()
        assert not report.sound
        assert report.damage
        with pytest.raises(statlas.CorruptError):
            store.resolve("nobody")


def test_a_store_of_a_newer_release_is_told_from_damage(path: Path) -> None:
    statlas.Store.open(path).close()
    names = [file for file in path.rglob("*") if file.is_file() and file.stat().st_size > 0]
    assert names
    # Whatever is written at the beginning of every file: it is no store of this release, and no crash either.
    for name in names:
        data = bytearray(name.read_bytes())
        data[:64] = b"\xff" * min(64, len(data))
        name.write_bytes(data)
    with pytest.raises(statlas.Error):
        statlas.Store.open(path)


LIMITED = """
import resource, sys, statlas
sys.path.insert(0, sys.argv[2])
from samples import many

def limit(bytes_max):
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_max, resource.RLIM_INFINITY))
"""

POISONED = LIMITED + """
store = statlas.Store.open(sys.argv[1], durability="written")
store.put_many(many(10))
limit(100_000)
try:
    for entity in many(100_000, start=10):
        store.put(entity)
except statlas.IoError as error:
    print(error.kind, error.errno)
for write in (lambda: store.records("notes").put("a", b"b"), lambda: store.put_many(many(20))):
    try:
        write()
    except statlas.PoisonedError as error:
        print(error.kind)
assert store.get_many(many(10)) == [*many(10)]
limit(resource.RLIM_INFINITY)
try:
    store.close()
except statlas.PoisonedError:
    assert store.closed
with statlas.Store.open(sys.argv[1]) as store:
    print(store.get_many(many(10)) == [*many(10)], store.check().sound)
"""


def test_a_store_whose_write_failed_is_poisoned_and_goes_on_reading(path: Path) -> None:
    said = run(POISONED, path, Path(__file__).parent).splitlines()
    # Whoever shared the failed write knows its number from the message only.
    assert said[0] in (f"io {errno.EFBIG}", "io None")
    assert said[1:] == ["poisoned", "poisoned", "True True"]


FAILED_BLOCK = LIMITED + """
try:
    with statlas.Store.open(sys.argv[1], durability="written") as store:
        limit(100_000)
        for entity in many(100_000):
            store.put(entity)
except statlas.Error as error:
    print(error.kind)
"""


def test_the_error_of_a_block_is_not_hidden_by_closing(path: Path) -> None:
    assert run(FAILED_BLOCK, path, Path(__file__).parent) == "io\n"


FAILED_LOAD = LIMITED + """
store = statlas.Store.open(sys.argv[1], durability="written")
limit(1_000_000)
try:
    store.put_many(many(100_000), batch_size=100)
except statlas.Error as error:
    print(error.kind)
"""


def test_what_ends_a_load_is_told_and_not_what_comes_of_it(path: Path) -> None:
    assert run(FAILED_LOAD, path, Path(__file__).parent) == "io\n"


def test_history_that_is_no_longer_kept_is_expired() -> None:
    with statlas.Store.open("memory:") as store:
        store.put_many(many(110_000), batch_size=1000)
        with pytest.raises(statlas.ExpiredError):
            next(store.watch(after=0, timeout=0.05))
        assert next(store.watch(after=store.revision - 1, timeout=0.05)).revision == store.revision


class TestPanic:
    def test_is_an_exception_that_no_except_exception_swallows(self, capfd: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(BaseException, match=".") as raised:
            _statlas._provoke_panic()
        assert not isinstance(raised.value, Exception)
        assert type(raised.value).__name__ == "PanicException"
        capfd.readouterr()

    def test_leaves_the_interpreter_and_the_store_as_they_were(
        self, store: statlas.Store, capfd: pytest.CaptureFixture[str]
    ) -> None:
        store.put_many(many(10))
        for _ in range(3):
            with pytest.raises(BaseException, match="."):
                _statlas._provoke_panic()
        assert store.get_many(many(10)) == [*many(10)]
        store.put(baseline())
        assert store.get(ABSENT) is None
        assert store.check().sound
        capfd.readouterr()
