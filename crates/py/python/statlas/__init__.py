"""Permanent addresses for the entities of large collections, and stores that find them again.

>>> import statlas
>>> entity = statlas.Entity(
...     profile="stat7", id="bc-0001", entity_type="concept", realm="data",
...     coordinates={"realm": "data", "lineage": 1, "adjacency": [], "horizon": "genesis",
...                  "resonance": 0.5, "velocity": 0.25, "density": 0.75},
...     created_at="2025-01-01T00:00:00.000Z", state={"value": 42})
>>> with statlas.Store.open("memory:") as store:
...     address = store.put(entity)
...     store.get(address).state
{'value': 42}
>>> address
'2a803d2480c263b207c8fe86c5a1c40c217c8ff6dcfe5a91ff0d460d733e5188'
"""

from ._errors import (
    AmbiguousError,
    BusyError,
    ChangedError,
    ClosedError,
    ConflictError,
    CorruptError,
    Error,
    ExpiredError,
    InvalidError,
    IoError,
    MutabilityError,
    NewerFormatError,
    NoMemoryError,
    NoSpaceError,
    NotAStoreError,
    PoisonedError,
)
from ._parallel import parallel_process
from ._statlas import (
    SPACES,
    TOKEN_TYPES,
    BackupReport,
    Batch,
    Change,
    CheckReport,
    Entity,
    FileReader,
    Files,
    Found,
    NearToken,
    Neighbour,
    Reached,
    Record,
    Records,
    Store,
    Stored,
    StoredFile,
    Token,
    TokenFile,
    TokenVec,
    Watch,
    __version__,
    address,
    create_tokens_batch,
)
from ._tokens import TOKEN_DTYPE

__all__ = [
    "SPACES",
    "TOKEN_DTYPE",
    "TOKEN_TYPES",
    "AmbiguousError",
    "BackupReport",
    "Batch",
    "BusyError",
    "Change",
    "ChangedError",
    "CheckReport",
    "ClosedError",
    "ConflictError",
    "CorruptError",
    "Entity",
    "Error",
    "ExpiredError",
    "FileReader",
    "Files",
    "Found",
    "InvalidError",
    "IoError",
    "MutabilityError",
    "NearToken",
    "Neighbour",
    "NewerFormatError",
    "NoMemoryError",
    "NoSpaceError",
    "NotAStoreError",
    "PoisonedError",
    "Reached",
    "Record",
    "Records",
    "Store",
    "Stored",
    "StoredFile",
    "Token",
    "TokenFile",
    "TokenVec",
    "Watch",
    "__version__",
    "address",
    "create_tokens_batch",
    "parallel_process",
]
