"""Functions that several threads apply to chunks of tokens."""

from __future__ import annotations

import gc
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import statlas
from samples import random_tokens


@pytest.mark.parametrize("num_threads", [None, 1, 2, 7])
@pytest.mark.parametrize("chunk_size", [None, 1, 999, 1000, 5000])
def test_every_token_is_in_one_chunk_and_results_come_in_order(num_threads: int | None, chunk_size: int | None) -> None:
    tokens = random_tokens(1000)
    parts = statlas.parallel_process(tokens, lambda chunk: chunk["id"].copy(), num_threads, chunk_size=chunk_size)
    assert np.concatenate(parts).tolist() == tokens.ids.tolist()
    if chunk_size is not None:
        assert max(map(len, parts)) == min(chunk_size, 1000)


def test_a_chunk_is_a_view_of_the_tokens() -> None:
    tokens = random_tokens(1000)
    chunks = statlas.parallel_process(tokens, lambda chunk: chunk, 2)
    assert all(np.shares_memory(chunk, tokens.array()) for chunk in chunks)
    assert {chunk.dtype for chunk in chunks} == {statlas.TOKEN_DTYPE}
    assert not any(chunk.flags.writeable for chunk in chunks)


def test_every_thread_has_something_to_do() -> None:
    assert len(statlas.parallel_process(random_tokens(10), len, 5)) == 5


def test_tokens_are_changed_if_asked_for() -> None:
    tokens = random_tokens(1000)

    def double(chunk: Any) -> None:
        chunk["weight"] /= 2

    before = tokens.weights.copy()
    statlas.parallel_process(tokens, double, 4, writable=True)
    assert tokens.weights.tolist() == (before / 2).tolist()
    with pytest.raises(ValueError):
        statlas.parallel_process(tokens, double, 4)


def test_the_work_is_done_by_several_threads() -> None:
    # Nobody goes on before two are at work.
    barrier = threading.Barrier(2, timeout=60)
    names = statlas.parallel_process(random_tokens(4), lambda _: (barrier.wait(), threading.get_ident())[1], 2, chunk_size=2)
    assert len(set(names)) == 2


def test_an_exception_is_raised_and_work_that_was_not_begun_is_not() -> None:
    begun: list[int] = []

    class OwnError(Exception):
        pass

    def fail(chunk: Any) -> None:
        begun.append(len(chunk))
        raise OwnError

    for num_threads in (1, 2):
        begun.clear()
        with pytest.raises(OwnError):
            statlas.parallel_process(random_tokens(10_000), fail, num_threads, chunk_size=1)
        assert len(begun) < 10_000


def test_no_tokens_have_no_chunk() -> None:
    assert statlas.parallel_process(statlas.TokenVec(), len, 2) == []


def test_mapped_tokens_are_worked_on(tmp_path: Path) -> None:
    tokens = random_tokens(1000)
    tokens.save(tmp_path / "tokens")
    mapped = statlas.TokenVec.open(tmp_path / "tokens")
    assert sum(statlas.parallel_process(mapped, len, 2)) == 1000
    with pytest.raises(ValueError):
        statlas.parallel_process(mapped, len, 2, writable=True)


def test_tokens_grow_again_when_the_work_is_done() -> None:
    tokens = random_tokens(1000)
    statlas.parallel_process(tokens, len, 2)
    tokens.append(statlas.Token())
    assert len(tokens) == 1001


@pytest.mark.parametrize("options", [{"num_threads": 0}, {"num_threads": -1}, {"chunk_size": 0}, {"num_threads": 2, "chunk_size": -5}])
def test_threads_and_chunks_of_nothing_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="|".join(options)):
        statlas.parallel_process(random_tokens(10), len, **options)


@pytest.mark.parametrize("threads", [1, 2])
def test_what_failed_lets_go_of_the_tokens(threads: int) -> None:
    tokens = random_tokens(1000)
    with pytest.raises(ZeroDivisionError):
        statlas.parallel_process(tokens, lambda chunk: 1 // 0, threads, chunk_size=10)
    gc.disable()
    try:
        tokens.append(tokens[0])
    finally:
        gc.enable()
