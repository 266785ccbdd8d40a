"""Programs that tests run in processes of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS_MAX = 120
"""After so long a child is hung, and is ended."""


@contextmanager
def child(program: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Python with a program and its arguments; it is ended when the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def run(program: str, *arguments: object) -> str:
    """What a program says that must end well."""
    with child(program, *arguments) as process:
        said, complained = process.communicate(timeout=SECONDS_MAX)
        assert process.returncode == 0, complained
    return said


def interrupt(program: str, *arguments: object) -> str:
    """What a program says after Ctrl-C, which it is sent when it has said ``ready``; it must end well."""
    with child(program, *arguments) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said == "ready\n", (said, process.communicate(timeout=SECONDS_MAX))
        process.send_signal(signal.SIGINT)
        said, complained = process.communicate(timeout=SECONDS_MAX)
        assert process.returncode == 0, complained
    return said
