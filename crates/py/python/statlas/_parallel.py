"""Work on tokens by several threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy.typing as npt

from ._statlas import TokenVec

T = TypeVar("T")

_CHUNK_TOKENS = 1 << 16


def parallel_process(
    tokens: TokenVec,
    fn: Callable[[npt.NDArray[Any]], T],
    num_threads: int | None = None,
    *,
    chunk_size: int | None = None,
    writable: bool = False,
) -> list[T]:
    """Calls ``fn`` with one chunk of the tokens after another, from several threads, and returns the results in order.

    A chunk is a view of ``chunk_size`` tokens (65,536, or fewer so that every thread has some) as a structured array of
    :data:`TOKEN_DTYPE`, without a copy. NumPy lets go of the interpreter's lock in its loops, so that threads gain
    something where ``fn`` works with whole arrays. ``num_threads`` is the number of processors unless it is given.

    An exception of ``fn`` is raised here; chunks that were not begun are not begun then.

    >>> import numpy as np, statlas
    >>> tokens = statlas.create_tokens_batch(200_000, weight=np.linspace(0, 1, 200_000))
    >>> sums = statlas.parallel_process(tokens, lambda chunk: float(chunk["weight"].sum(dtype=np.float64)), num_threads=2)
    >>> len(sums), round(sum(sums))
    (4, 100000)
    """
    threads = (os.cpu_count() or 1) if num_threads is None else num_threads
    if threads < 1:
        raise ValueError(f"num_threads: found {num_threads}; allowed: at least 1")
    if chunk_size is None:
        chunk_size = max(1, min(_CHUNK_TOKENS, -(-len(tokens) // threads)))
    elif chunk_size < 1:
        raise ValueError(f"chunk_size: found {chunk_size}; allowed: at least 1")
    array = tokens.array(writable=writable)
    chunks = [array[start : start + chunk_size] for start in range(0, len(array), chunk_size)]
    if threads == 1:
        return [fn(chunk) for chunk in chunks]
    # The first exception, of `fn` or of this thread, such as that of Ctrl-C: nothing is begun after it.
    failed: list[BaseException] = []

    def call(chunk: npt.NDArray[Any]) -> T:
        if failed:
            raise CancelledError
        try:
            return fn(chunk)
        except BaseException as error:
            failed.append(error)
            raise

    try:
        with ThreadPoolExecutor(threads, thread_name_prefix="statlas") as pool:
            try:
                return list(pool.map(call, chunks))
            except CancelledError:
                raise failed[0] from None
            except BaseException as error:
                failed.append(error)
                raise
    finally:
        # An exception holds this frame, which must not hold it, too: the views would stay until cycles are collected.
        failed.clear()
