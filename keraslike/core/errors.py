"""The exceptions that Python has no name for. All are kinds of built-in ones."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import ClassVar


class InvalidArgument(TypeError, ValueError):
    """An argument of a kind that is not taken. Python raises TypeError for it, Keras ValueError.

    >>> issubclass(InvalidArgument, TypeError) and issubclass(InvalidArgument, ValueError)
    True
    """


class InvalidIndex(IndexError, ValueError):
    """An index that an array does not have. Python raises IndexError for it, Keras ValueError.

    >>> issubclass(InvalidIndex, IndexError) and issubclass(InvalidIndex, ValueError)
    True
    """


class NoSuchFile(FileNotFoundError, ValueError):
    """There is no file at the path. Python raises the one where a file is missing, Keras the other.

    >>> issubclass(NoSuchFile, FileNotFoundError) and issubclass(NoSuchFile, ValueError)
    True
    """


class NoSuchOutput(KeyError, ValueError):
    """A model has no such output, or not as many. Keras raises the one or the other.

    >>> str(NoSuchOutput("'y' is none")), issubclass(NoSuchOutput, ValueError)
    ("'y' is none", True)
    """

    __str__ = ValueError.__str__


class DamagedFile(ValueError):
    """A file that cannot be read, or that is not safe to read; the message names the file.

    >>> issubclass(DamagedFile, ValueError)
    True
    """


class NoCheckpoint(FileNotFoundError, ValueError):
    """A directory that holds no finished checkpoint.

    >>> issubclass(NoCheckpoint, FileNotFoundError)
    True
    """


class DamagedCheckpoint(DamagedFile):
    """A checkpoint that cannot be read, or is none of keraslike's.

    >>> issubclass(DamagedCheckpoint, ValueError)
    True
    """


# A traceback names them as users import them.
_all = InvalidArgument, InvalidIndex, NoSuchFile, NoSuchOutput, DamagedFile
_all += NoCheckpoint, DamagedCheckpoint
for _error in _all:
    _error.__module__ = "keraslike.errors"


class ProcessLost(RuntimeError):
    """Another process of the same program is gone; the message says which.

    The thread that watches the others raises it in the main thread, as a class: what it says comes
    from `told`, and `taken` says that it has arrived.
    """

    told: ClassVar[Callable[[], str]] = staticmethod(lambda: "")
    taken: ClassVar[threading.Event] = threading.Event()

    def __init__(self, *args: object):
        type(self).taken.set()
        super().__init__(*(args or (type(self).told(),)))
