"""What can go wrong, one class for each kind of error.

Everything that Statlas raises itself derives from :class:`Error`; those that are also errors that Python has a class for
derive from that, too.
"""

from __future__ import annotations


class Error(Exception):
    """Whatever Statlas could not do.

    ``kind`` is the stable name of the kind of error, ``is_retryable`` says whether the same call may succeed later
    without any change by the caller, and ``operation`` is the number, from 0, of the operation of a batch that was
    refused, where one was.
    """

    kind: str = "internal"
    is_retryable: bool = False
    operation: int | None = None


class InvalidError(Error, ValueError):
    """The input breaks a rule; nothing was stored."""

    kind = "invalid"


class AmbiguousError(Error, LookupError):
    """A prefix names several entities."""

    kind = "ambiguous"


class ConflictError(Error):
    """A record is not at the revision that was expected; nothing was stored."""

    kind = "conflict"


class MutabilityError(Error, ValueError):
    """A new version of an id changes what must not change; nothing was stored."""

    kind = "mutability"


class NotAStoreError(Error):
    """The directory is no store."""

    kind = "not_a_store"


class NewerFormatError(Error):
    """A newer release wrote the store or the file."""

    kind = "newer_format"


class BusyError(Error):
    """Another process has the store or the file open."""

    kind = "busy"


class PoisonedError(Error):
    """An earlier write failed: reads go on, writes are refused until the store is opened again."""

    kind = "poisoned"


class NoSpaceError(Error, OSError):
    """No space is left on the device."""

    kind = "no_space"


class NoMemoryError(Error, MemoryError):
    """The memory budget has no room for it; nothing was stored."""

    kind = "no_memory"


class ChangedError(Error):
    """A file changed while it was read."""

    kind = "changed"


class ExpiredError(Error):
    """The history that was asked for is no longer kept."""

    kind = "expired"


class CorruptError(Error):
    """Stored bytes are not what was written."""

    kind = "corrupt"


class IoError(Error, OSError):
    """The operating system refused."""

    kind = "io"


class ClosedError(Error, ValueError):
    """The store, the file or the batch is closed."""

    kind = "closed"


BY_KIND: dict[str, type[Error]] = {
    error.kind: error
    for error in (
        InvalidError,
        AmbiguousError,
        ConflictError,
        MutabilityError,
        NotAStoreError,
        NewerFormatError,
        BusyError,
        PoisonedError,
        NoSpaceError,
        NoMemoryError,
        ChangedError,
        ExpiredError,
        CorruptError,
        IoError,
        ClosedError,
    )
}

# Tracebacks and pickles name the place where users find them.
for _error in (Error, *BY_KIND.values()):
    _error.__module__ = "statlas"
