"""`tf.io.gfile`: TensorFlow's functions for files, here local ones."""

from __future__ import annotations

import contextlib
import glob as files
import os
import shutil
from collections.abc import Iterator
from typing import Any, NamedTuple

from keraslike.data.sources import paths
from keraslike.tf.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    OpError,
    PermissionDeniedError,
)


def _path(path: Any) -> str:
    return paths(path)[0]


@contextlib.contextmanager
def errors(path: Any) -> Iterator[None]:
    """A block in which OSErrors for a file are raised as errors of `tf.errors`."""
    try:
        yield
    except OpError:
        raise
    except FileNotFoundError as error:
        raise NotFoundError(f"{path}; No such file or directory") from error
    except FileExistsError as error:
        raise AlreadyExistsError(f"{path}; file already exists") from error
    except (IsADirectoryError, NotADirectoryError) as error:
        raise FailedPreconditionError(f"{path}; {error.strerror}") from error
    except PermissionError as error:
        raise PermissionDeniedError(f"{path}; {error.strerror}") from error


_MODES = ("r", "w", "a", "r+", "w+", "a+")


class GFile:
    """A file, which is opened when it is first used. Text is encoded as UTF-8, and line ends are
    not translated.

    Args:
        mode: "r", "w", "a", or one of these with "+"; with an added "b", `read` returns bytes.

    Raises NotFoundError for a missing file, PermissionDeniedError for reading a file that is open
    for writing only, and for writing one that is open for reading only.

    >>> import tempfile
    >>> name = os.path.join(tempfile.mkdtemp(), "file")
    >>> with GFile(name, "w") as file:
    ...     file.write("one two")
    >>> GFile(name).read()
    'one two'
    """

    def __init__(self, name: Any, mode: str = "r"):
        self._name, self._mode = name, mode
        self._kind = mode.replace("b", "")
        self._binary = "b" in mode
        self._file: Any = None
        if self._kind not in _MODES:
            raise InvalidArgumentError(f"mode must be one of {_MODES}. Received: mode={mode!r}")

    @property
    def name(self) -> Any:
        return self._name

    @property
    def mode(self) -> str:
        return self._mode

    def _opened(self, to: str = "") -> Any:
        if to == "read" and self._kind in ("w", "a"):
            raise PermissionDeniedError(f"{self._name}; the file is not open for reading")
        if to == "write" and self._kind == "r":
            raise PermissionDeniedError(f"{self._name}; the file is not open for writing")
        if self._file is None:
            with errors(self._name):
                self._file = open(_path(self._name), f"{self._kind}b")  # noqa: SIM115
        return self._file

    def _shown(self, data: bytes) -> Any:
        return data if self._binary else data.decode()

    def size(self) -> int:
        """The size in bytes."""
        if self._file is not None and self._kind != "r":
            self._file.flush()
        return stat(self._name).length

    def read(self, n: int = -1) -> Any:
        """The rest of the file, or the next `n` bytes."""
        with errors(self._name):
            return self._shown(self._opened("read").read(n))

    def readline(self) -> Any:
        """The next line with its line end; empty at the end of the file."""
        return self._shown(self._opened("read").readline())

    def readlines(self) -> list[Any]:
        """All remaining lines."""
        return list(self)

    def write(self, file_content: Any) -> None:
        """Writes a string or bytes."""
        data = file_content.encode() if isinstance(file_content, str) else bytes(file_content)
        self._opened("write").write(data)

    def seek(self, offset: int | None = None, whence: int = 0, position: int | None = None) -> None:
        """Moves to a byte, counted from the beginning (`whence=0`), the current position (1) or the
        end (2)."""
        if offset is None:
            if position is None:
                raise TypeError("seek() needs an offset")
            offset = position
        self._opened().seek(offset, whence)

    def seekable(self) -> bool:
        """Always true."""
        return True

    def tell(self) -> int:
        """The current position in bytes."""
        return self._opened().tell()

    def flush(self) -> None:
        """Writes buffered data to the file."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Closes the file; one opened for writing exists afterwards even if nothing was written."""
        if self._file is None and self._kind in ("w", "w+", "a", "a+"):
            self._opened()
        if self._file is not None:
            self._file.close()
            self._file = None

    def __iter__(self) -> GFile:
        return self

    def __next__(self) -> Any:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def __enter__(self) -> GFile:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class FileStatistics(NamedTuple):
    """The size, the time of the last change and the kind of a path."""

    length: int
    mtime_nsec: int
    is_directory: bool


def exists(path: Any) -> bool:
    """Whether a file or a directory exists."""
    return os.path.exists(_path(path))


def isdir(path: Any) -> bool:
    """Whether a path is a directory."""
    return os.path.isdir(_path(path))


def get_registered_schemes() -> list[str]:
    """The supported URL schemes: only the empty one of local paths."""
    return [""]


def glob(pattern: Any) -> list[str]:
    """The paths that match one or several patterns, for each pattern sorted."""
    return [path for each in paths(pattern) for path in sorted(files.glob(each))]


def listdir(path: Any) -> list[str]:
    """The names of the entries of a directory."""
    with errors(path):
        return os.listdir(_path(path))


def makedirs(path: Any) -> None:
    """Creates a directory and its parents, if they do not exist."""
    with errors(path):
        os.makedirs(_path(path), exist_ok=True)


def mkdir(path: Any) -> None:
    """Creates a directory, if it does not exist; its parent must exist."""
    if not isdir(path):
        with errors(path):
            os.mkdir(_path(path))


def remove(path: Any) -> None:
    """Removes a file."""
    with errors(path):
        os.remove(_path(path))


def rmtree(path: Any) -> None:
    """Removes a directory with its contents."""
    with errors(path):
        shutil.rmtree(_path(path))


def _free(path: str, overwrite: bool) -> str:
    if os.path.exists(path) and not overwrite:
        raise AlreadyExistsError(f"The file exists already: {path}. overwrite=True replaces it.")
    return path


def copy(src: Any, dst: Any, overwrite: bool = False) -> None:
    """Copies a file; raises AlreadyExistsError if `dst` exists and `overwrite` is false."""
    with errors(src):
        shutil.copyfile(_path(src), _free(_path(dst), overwrite))


def rename(src: Any, dst: Any, overwrite: bool = False) -> None:
    """Moves a file; raises AlreadyExistsError if `dst` exists and `overwrite` is false."""
    with errors(src):
        os.replace(_path(src), _free(_path(dst), overwrite))


def stat(path: Any) -> FileStatistics:
    """The size in bytes of a path, the time of its last change, and whether it is a directory."""
    with errors(path):
        found = os.stat(_path(path))
    return FileStatistics(found.st_size, found.st_mtime_ns, os.path.isdir(_path(path)))


def join(path: Any, *others: Any) -> Any:
    """Joins the parts of a path."""
    joined = os.path.join(_path(path), *map(_path, others))
    return os.fsencode(joined) if isinstance(path, bytes) else joined


def walk(top: Any, topdown: bool = True, onerror: Any = None) -> Iterator[Any]:
    """The directories below a path, each as `(path, directories, files)`."""
    return os.walk(_path(top), topdown, onerror)


__all__ = [
    *("GFile", "copy", "exists", "get_registered_schemes", "glob", "isdir", "join", "listdir"),
    *("makedirs", "mkdir", "remove", "rename", "rmtree", "stat", "walk"),
]
__dir__ = __all__.copy
