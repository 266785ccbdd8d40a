"""Files: stored under their SHA-256, read back whole and in pieces."""

from __future__ import annotations

import hashlib
import io
import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import statlas
from samples import ABSENT

SIZES = [0, 1, 1000, 1 << 20, (1 << 20) + 1, 5_000_000]
"""Up to 1 MiB a file is stored in one piece, above it in chunks."""


def content(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.mark.parametrize("size", SIZES)
def test_a_file_comes_back_as_it_was(store: statlas.Store, size: int) -> None:
    data = content(size)
    stored = store.files.put(data)
    assert stored.id == hashlib.sha256(data).hexdigest()
    assert stored.bytes == size
    assert stored.id in store.files
    assert store.files.size(stored.id) == size
    assert store.files.read(stored.id) == data
    with store.files.open(stored.id) as reader:
        assert (len(reader), reader.read()) == (size, data)


def test_the_same_file_comes_from_bytes_a_path_and_an_open_file(store: statlas.Store, tmp_path: Path) -> None:
    data = content(2_000_000)
    path = tmp_path / "file"
    path.write_bytes(data)
    with path.open("rb") as opened, path.open("rb", buffering=0) as raw:
        stored = [store.files.put(source) for source in (data, path, str(path), opened, raw, io.BytesIO(data))]
    assert {file.id for file in stored} == {hashlib.sha256(data).hexdigest()}
    assert {file.bytes for file in stored} == {len(data)}
    assert stored[0].bytes_new >= len(data)
    assert {file.bytes_new for file in stored[1:]} == {0}


def test_a_file_object_is_read_from_where_it_stands(store: statlas.Store) -> None:
    source = io.BytesIO(b"0123456789")
    source.seek(4)
    assert store.files.read(store.files.put(source).id) == b"456789"


def test_a_file_object_may_give_little_at_a_time(store: statlas.Store) -> None:
    data = content(100_000)

    class Slow(io.RawIOBase):
        at = 0

        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            piece = data[self.at : self.at + min(777, size if size >= 0 else 777)]
            self.at += len(piece)
            return piece

    assert store.files.read(store.files.put(Slow()).id) == data


def test_what_a_file_object_raises_is_raised(store: statlas.Store) -> None:
    class OwnError(Exception):
        pass

    class Broken(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            raise OwnError

    with pytest.raises(OwnError):
        store.files.put(Broken())
    assert store.files.put(b"afterwards").bytes == 10


def test_what_is_no_file_is_refused(store: statlas.Store, tmp_path: Path) -> None:
    for missing in (tmp_path / "missing", tmp_path):
        with pytest.raises(OSError):
            store.files.put(missing)
    wrongs: list[Any] = [7, None, object(), io.StringIO("text")]
    for wrong in wrongs:
        with pytest.raises((TypeError, statlas.InvalidError)):
            store.files.put(wrong)


def test_a_file_that_is_not_there_is_a_key_error(store: statlas.Store) -> None:
    assert ABSENT not in store.files
    assert store.files.size(ABSENT) is None
    for read in (store.files.open, store.files.read, lambda id: store.files.read_range(id, 0, 1)):
        with pytest.raises(KeyError, match=ABSENT):
            read(ABSENT)


@pytest.mark.parametrize("id", ["", "ab", "Z" * 64])
def test_what_is_no_id_is_refused(memory: statlas.Store, id: str) -> None:
    for use in (memory.files.open, memory.files.read, memory.files.size, lambda id: id in memory.files):
        with pytest.raises(ValueError):
            use(id)


@pytest.mark.parametrize("size", [1000, 3_000_000])
def test_a_range_is_cut_at_the_end_of_the_file(store: statlas.Store, size: int) -> None:
    data = content(size)
    id = store.files.put(data).id
    half = size // 2
    for offset, length in [(0, 0), (0, 10), (half, 10), (half - 1, half), (size - 5, 10), (0, size * 2), (size, 10), (size * 9, 1)]:
        assert store.files.read_range(id, offset, length) == data[offset : offset + length]
    for offset, length in [(-1, 1), (0, -1)]:
        with pytest.raises((ValueError, OverflowError)):
            store.files.read_range(id, offset, length)


def test_files_share_chunks(store: statlas.Store) -> None:
    data = content(6_000_000)
    store.files.put(data)
    longer = store.files.put(b"in front" + data)
    assert longer.bytes == len(data) + 8
    assert longer.bytes_new < len(data) // 2


class TestReader:
    @pytest.fixture
    def data(self) -> bytes:
        return content(3_000_000)

    @pytest.fixture
    def reader(self, store: statlas.Store, data: bytes) -> statlas.FileReader:
        return store.files.open(store.files.put(data).id)

    def test_says_what_it_can(self, reader: statlas.FileReader) -> None:
        assert (reader.readable(), reader.seekable(), reader.writable()) == (True, True, False)
        assert not reader.closed

    def test_reads_on_from_where_it_stands(self, reader: statlas.FileReader, data: bytes) -> None:
        assert reader.read(10) == data[:10]
        assert reader.tell() == 10
        assert reader.read(0) == b""
        rest = b"".join(iter(lambda: reader.read(100_000), b""))
        assert rest == data[10:]
        assert (reader.read(1), reader.read(), reader.read(-1), reader.read(None)) == (b"", b"", b"", b"")

    def test_seeks_from_the_start_the_place_and_the_end(self, reader: statlas.FileReader, data: bytes) -> None:
        assert reader.seek(100) == 100
        assert reader.read(5) == data[100:105]
        assert reader.seek(-5, os.SEEK_CUR) == 100
        assert reader.seek(-7, os.SEEK_END) == len(data) - 7
        assert reader.read() == data[-7:]
        assert reader.seek(10, os.SEEK_END) == len(data) + 10
        assert reader.read() == b""
        for offset, whence in [(-1, os.SEEK_SET), (-len(data) - 100, os.SEEK_END), (0, 9)]:
            with pytest.raises((ValueError, OSError, OverflowError)):
                reader.seek(offset, whence)

    def test_reads_into_a_buffer(self, reader: statlas.FileReader, data: bytes) -> None:
        buffer = bytearray(1000)
        assert reader.readinto(buffer) == 1000
        assert buffer == data[:1000]
        assert reader.readinto(memoryview(buffer)[10:20]) == 10
        assert buffer[10:20] == data[1000:1010]
        reader.seek(-3, os.SEEK_END)
        assert reader.readinto(buffer) == 3
        assert reader.readinto(buffer) == 0
        wrong: Any = b"not writable"
        with pytest.raises((TypeError, BufferError)):
            reader.readinto(wrong)

    def test_is_a_raw_file_for_the_standard_library(self, reader: Any, data: bytes) -> None:
        with io.BufferedReader(reader) as buffered:
            assert buffered.read(10) == data[:10]
            assert buffered.peek(1)[:1] == data[10:11]
            buffered.seek(1_500_000)
            assert buffered.read() == data[1_500_000:]
        assert reader.closed

    def test_is_copied_by_the_standard_library(self, reader: Any, data: bytes) -> None:
        copy = io.BytesIO()
        shutil.copyfileobj(reader, copy)
        assert copy.getvalue() == data

    def test_is_closed_by_its_block_and_reads_no_more(self, reader: statlas.FileReader) -> None:
        with reader:
            reader.read(1)
        assert reader.closed
        reader.close()
        for use in (reader.read, reader.tell, lambda: reader.seek(0), lambda: reader.readinto(bytearray(1))):
            with pytest.raises(ValueError):
                use()

    def test_reads_no_more_when_the_store_is_closed(self, store: statlas.Store) -> None:
        reader = store.files.open(store.files.put(content(20_000_000)).id)
        reader.read(1)
        store.close()
        # What was read ahead may still come.
        with pytest.raises(statlas.ClosedError):
            while reader.read(1 << 20):
                pass


def test_what_cannot_be_filled_takes_no_bytes(store: statlas.Store) -> None:
    with store.files.open(store.files.put(b"content").id) as file:
        with pytest.raises(TypeError):
            file.readinto(b"12345")
        assert file.read() == b"content"


def test_an_empty_reader_is_true_and_bytes_may_be_of_any_kind(store: statlas.Store) -> None:
    assert store.files.open(store.files.put(b"").id)
    ids = {store.files.put(kind(b"content")).id for kind in (bytes, bytearray, memoryview)}
    assert len(ids) == 1


def test_a_pipe_is_refused_instead_of_waited_for(store: statlas.Store, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(statlas.InvalidError, match="regular"):
        store.files.put(tmp_path / "pipe")
