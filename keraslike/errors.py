"""keraslike's own exceptions; all others are built-in ones."""

from keraslike.core.errors import (
    DamagedCheckpoint,
    DamagedFile,
    InvalidArgument,
    InvalidIndex,
    NoCheckpoint,
    NoSuchFile,
    NoSuchOutput,
)

__all__ = [
    "DamagedCheckpoint",
    "DamagedFile",
    "InvalidArgument",
    "InvalidIndex",
    "NoCheckpoint",
    "NoSuchFile",
    "NoSuchOutput",
]
__dir__ = __all__.copy
