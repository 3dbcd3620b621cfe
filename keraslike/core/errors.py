"""Exceptions that Python has no type for. Each is a subclass of built-in ones."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import ClassVar

import jax


class InvalidArgument(TypeError, ValueError):
    """An argument of a type that is not accepted: Python raises TypeError for it, Keras ValueError.

    >>> issubclass(InvalidArgument, TypeError) and issubclass(InvalidArgument, ValueError)
    True
    """


class InvalidIndex(IndexError, ValueError):
    """An index that an array does not have. Python raises IndexError for it, Keras ValueError.

    >>> issubclass(InvalidIndex, IndexError) and issubclass(InvalidIndex, ValueError)
    True
    """


class NeedsPython(TypeError):
    """Raised if a function that is being traced does something that only Python can do.

    >>> issubclass(NeedsPython, TypeError)
    True
    """


class AsksForValue(Exception):
    """Raised if code that is being traced asks for the value of a tensor. A call that is not inside
    of a function then runs in Python instead.

    >>> AsksForValue in DEPENDS_ON_VALUES
    True
    """


# Errors of a call that cannot be traced, because it depends on values.
DEPENDS_ON_VALUES = (jax.errors.ConcretizationTypeError, NeedsPython, AsksForValue)


class NoSuchFile(FileNotFoundError, ValueError):
    """Raised if there is no file at a path. It is an instance of Python's and of Keras's exception.

    >>> issubclass(NoSuchFile, FileNotFoundError) and issubclass(NoSuchFile, ValueError)
    True
    """


class NoSuchOutput(KeyError, ValueError):
    """A model has no such output, or another number of outputs. Keras raises either exception for
    that.

    >>> str(NoSuchOutput("'y' is none")), issubclass(NoSuchOutput, ValueError)
    ("'y' is none", True)
    """

    __str__ = ValueError.__str__


class DamagedFile(ValueError):
    """A file that cannot be read, or is not safe to read. The message names the file.

    >>> issubclass(DamagedFile, ValueError)
    True
    """


@contextlib.contextmanager
def naming_file(path: str) -> Iterator[None]:
    """Gives errors of writing a file, such as that of a full disk, its name.

    >>> with naming_file("model.keras"):
    ...     raise OSError(28, "No space left on device")
    Traceback (most recent call last):
        ...
    OSError: [Errno 28] No space left on device: 'model.keras'
    """
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = path
        raise


class NoCheckpoint(FileNotFoundError, ValueError):
    """A directory that holds no finished checkpoint.

    >>> issubclass(NoCheckpoint, FileNotFoundError)
    True
    """


class DamagedCheckpoint(DamagedFile):
    """A checkpoint that cannot be read, or that was not written by keraslike.

    >>> issubclass(DamagedCheckpoint, ValueError)
    True
    """


# Tracebacks show the name by which users import them.
_all = InvalidArgument, InvalidIndex, NoSuchFile, NoSuchOutput, DamagedFile
_all += NoCheckpoint, DamagedCheckpoint
for _error in _all:
    _error.__module__ = "keraslike.errors"


class ProcessLost(RuntimeError):
    """Another process of the same program has ended; the message names it.

    The thread that watches the other processes raises this class in the main thread. The message is
    read from `told`, and `taken` records that the exception has arrived.
    """

    told: ClassVar[Callable[[], str]] = staticmethod(lambda: "")
    taken: ClassVar[threading.Event] = threading.Event()

    def __init__(self, *args: object):
        type(self).taken.set()
        super().__init__(*(args or (type(self).told(),)))
