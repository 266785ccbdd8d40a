"""Files of tokens: saved, mapped back, appended to, and told when they are damaged."""

from __future__ import annotations

import gc
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import statlas
from children import child
from samples import random_tokens

HEADER_BYTES = 1 << 16
"""What stands before the tokens of a file."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a file of tokens may be made."""
    return tmp_path / "tokens"


def test_saved_tokens_are_mapped_back(file: Path) -> None:
    tokens = random_tokens(1000)
    tokens.save(file)
    for name in (file, str(file)):
        mapped = statlas.TokenVec.open(name)
        assert (mapped.is_mapped, tokens.is_mapped) == (True, False)
        assert mapped == tokens
        assert (len(mapped), mapped[999], list(mapped[5:7])) == (1000, tokens[999], list(tokens[5:7]))
        mapped.check()


def test_tokens_stand_in_the_file_as_in_memory(file: Path) -> None:
    tokens = random_tokens(100)
    tokens.save(file)
    assert file.read_bytes()[HEADER_BYTES:] == tokens.array().tobytes()


def test_no_tokens_are_saved_and_mapped(file: Path) -> None:
    statlas.TokenVec().save(file)
    mapped = statlas.TokenVec.open(file)
    assert (len(mapped), mapped.coordinates.shape) == (0, (0, 8, 3))
    mapped.check()


def test_mapped_tokens_are_read_like_others(file: Path) -> None:
    tokens = random_tokens(1000)
    tokens.save(file)
    mapped = statlas.TokenVec.open(file)
    assert (mapped.coordinates == tokens.coordinates).all()
    assert mapped.array().tobytes() == tokens.array().tobytes()
    np.testing.assert_array_equal(mapped.decoded("motor"), tokens.decoded("motor"))
    for own, other in zip(mapped.nearest(tokens[0], 5), tokens.nearest(tokens[0], 5), strict=True):
        np.testing.assert_array_equal(own, other)
    assert (mapped.select(weight=(10, 20)) == tokens.select(weight=(10, 20))).all()
    assert bytes(memoryview(mapped)) == bytes(memoryview(tokens))
    assert pickle.loads(pickle.dumps(mapped)) == tokens
    assert 64 * 1000 <= mapped.memory_usage() < 64 * 1000 + 1000


def test_copies_of_mapped_tokens_grow(file: Path) -> None:
    random_tokens(10).save(file)
    for own in (statlas.TokenVec.open(file).copy(), statlas.TokenVec.open(file)[:]):
        assert not own.is_mapped
        own.append(statlas.Token())
        assert len(own) == 11


def test_mapped_tokens_do_not_change(file: Path) -> None:
    random_tokens(10).save(file)
    mapped = statlas.TokenVec.open(file)
    with pytest.raises(ValueError):
        mapped.array(writable=True)
    with pytest.raises(ValueError):
        mapped.view("weight", writable=True)
    assert not mapped.array().flags.writeable
    changes: list[Callable[[], None]] = [
        lambda: mapped.append(statlas.Token()),
        lambda: mapped.create(1),
        lambda: mapped.extend([statlas.Token()]),
        mapped.clear,
        lambda: mapped.sort("weight"),
    ]
    for change in changes:
        with pytest.raises((statlas.Error, BufferError)):
            change()
    assert mapped == random_tokens(10)


def test_views_of_a_file_live_longer_than_its_name(file: Path) -> None:
    tokens = random_tokens(1000)
    tokens.save(file)
    weights = statlas.TokenVec.open(file).weights
    file.unlink()
    gc.collect()
    assert weights.tolist() == tokens.weights.tolist()


def test_saving_anew_leaves_what_is_mapped_as_it_was(file: Path) -> None:
    first, second = random_tokens(100, seed=1), random_tokens(200, seed=2)
    first.save(file)
    mapped = statlas.TokenVec.open(file)
    second.save(file)
    assert mapped == first
    assert statlas.TokenVec.open(file) == second
    mapped.save(file)
    assert statlas.TokenVec.open(file) == first
    assert [name.name for name in file.parent.iterdir()] == ["tokens"]


class TestAppending:
    def test_makes_the_file_and_adds_to_it(self, file: Path) -> None:
        parts = [random_tokens(count, seed=count) for count in (1, 10, 100)]
        with statlas.TokenFile.open(file) as appended:
            assert len(appended) == 0
            for part in parts:
                appended.append(part)
            assert len(appended) == 111
        with statlas.TokenFile.open(file) as appended:
            appended.append(parts[0])
        assert list(statlas.TokenVec.open(file)) == [token for part in [*parts, parts[0]] for token in part]

    def test_does_not_change_what_is_mapped(self, file: Path) -> None:
        with statlas.TokenFile.open(file) as appended:
            appended.append(random_tokens(10))
            before = appended.map()
            appended.append(random_tokens(10))
            after = appended.map()
        assert (len(before), len(after)) == (10, 20)
        assert before.is_mapped
        assert before == after[:10] == random_tokens(10)
        after.check()

    def test_goes_over_the_edge_of_a_block(self, file: Path) -> None:
        tokens = random_tokens(70_000)
        with statlas.TokenFile.open(file) as appended:
            appended.append(tokens[:40_000])
            appended.append(tokens[40_000:])
            mapped = appended.map()
        mapped.check()
        assert mapped == tokens

    def test_takes_mapped_tokens(self, file: Path, tmp_path: Path) -> None:
        random_tokens(10).save(tmp_path / "other")
        with statlas.TokenFile.open(file) as appended:
            appended.append(statlas.TokenVec.open(tmp_path / "other"))
        assert statlas.TokenVec.open(file) == random_tokens(10)

    def test_is_for_one_at_a_time(self, file: Path) -> None:
        with statlas.TokenFile.open(file):
            with pytest.raises(statlas.BusyError):
                statlas.TokenFile.open(file)
            program = "import statlas, sys\ntry: statlas.TokenFile.open(sys.argv[1])\nexcept statlas.BusyError: print('busy')"
            with child(program, file) as other:
                assert other.communicate()[0] == "busy\n"
        statlas.TokenFile.open(file).close()

    def test_ends_when_the_file_is_closed(self, file: Path) -> None:
        with statlas.TokenFile.open(file) as appended:
            appended.append(random_tokens(3))
        appended.close()
        for use in (lambda: appended.append(random_tokens(1)), appended.map, lambda: len(appended)):
            with pytest.raises(statlas.ClosedError):
                use()
        assert len(statlas.TokenVec.open(file)) == 3


class TestDamage:
    def test_in_a_token_is_found_by_a_check(self, file: Path) -> None:
        random_tokens(1000).save(file)
        data = bytearray(file.read_bytes())
        data[HEADER_BYTES + 64 * 500] ^= 1
        file.write_bytes(data)
        with pytest.raises(statlas.CorruptError, match=str(file)):
            statlas.TokenVec.open(file).check()

    def test_at_the_end_is_found_on_opening(self, file: Path) -> None:
        random_tokens(1000).save(file)
        file.write_bytes(file.read_bytes()[:-1])
        for opening in (statlas.TokenVec.open, statlas.TokenFile.open):
            with pytest.raises(statlas.CorruptError):
                opening(file)

    def test_in_the_header_is_found_on_opening(self, file: Path) -> None:
        random_tokens(10).save(file)
        data = bytearray(file.read_bytes())
        # Both copies of it.
        for at in range(HEADER_BYTES):
            data[at] ^= 0xFF
        file.write_bytes(data)
        with pytest.raises(statlas.CorruptError):
            statlas.TokenVec.open(file)

    @pytest.mark.parametrize("content", [b"", b"text", b"\0" * 200_000])
    def test_of_another_sort_of_file_is_an_error(self, file: Path, content: bytes) -> None:
        file.write_bytes(content)
        with pytest.raises(statlas.CorruptError):
            statlas.TokenVec.open(file)


def test_places_that_are_none_are_refused(tmp_path: Path) -> None:
    for opening in (statlas.TokenVec.open, statlas.TokenFile.open):
        with pytest.raises(OSError):
            opening(tmp_path)
        with pytest.raises(OSError):
            opening(tmp_path / "missing" / "file")
    with pytest.raises(OSError):
        random_tokens(1).save(tmp_path / "missing" / "file")


def test_closing_lets_go_of_a_file_whatever_is_mapped_of_it(tmp_path: Path) -> None:
    path = tmp_path / "some.tokens"
    with statlas.TokenFile.open(path) as file:
        file.append(random_tokens(10))
        mapped = file.map()
    with statlas.TokenFile.open(path) as file:
        file.append(random_tokens(5))
    random_tokens(3).save(path)
    assert (len(mapped), len(statlas.TokenVec.open(path))) == (10, 3)
