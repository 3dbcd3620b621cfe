"""`tf.io.gfile`: files of this machine, by TensorFlow's names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

from keraslike.data.sources import matching, paths


def _path(path: Any) -> str:
    return paths(path)[0]


class GFile:
    """A file as Python's `open` gives it."""

    def __new__(cls, name: Any, mode: str = "r") -> Any:
        return open(_path(name), mode)


def exists(path: Any) -> bool:
    """Whether there is a file or a directory."""
    return os.path.exists(_path(path))


def isdir(path: Any) -> bool:
    """Whether there is a directory."""
    return os.path.isdir(_path(path))


def get_registered_schemes() -> list[str]:
    """The schemes of addresses that are read: none, as all are paths of this machine."""
    return [""]


def glob(pattern: Any) -> list[str]:
    """The paths that a pattern, or several, match, sorted."""
    try:
        return matching(pattern)
    except ValueError:
        return []


def listdir(path: Any) -> list[str]:
    """What is in a directory."""
    return os.listdir(_path(path))


def makedirs(path: Any) -> None:
    """Makes a directory, and those above it, where there is none."""
    os.makedirs(_path(path), exist_ok=True)


def mkdir(path: Any) -> None:
    """Makes a directory."""
    os.mkdir(_path(path))


def remove(path: Any) -> None:
    """Removes a file."""
    os.remove(_path(path))


def rmtree(path: Any) -> None:
    """Removes a directory and all that is in it."""
    shutil.rmtree(_path(path))


def _free(path: str, overwrite: bool) -> str:
    if os.path.exists(path) and not overwrite:
        raise FileExistsError(f"There is a file already: {path}. overwrite=True replaces it.")
    return path


def copy(src: Any, dst: Any, overwrite: bool = False) -> None:
    """Copies a file; raises FileExistsError where there is one and `overwrite` is not set."""
    shutil.copyfile(_path(src), _free(_path(dst), overwrite))


def rename(src: Any, dst: Any, overwrite: bool = False) -> None:
    """Moves a file; raises FileExistsError where there is one and `overwrite` is not set."""
    os.replace(_path(src), _free(_path(dst), overwrite))


def stat(path: Any) -> os.stat_result:
    """What the system knows of a file."""
    return os.stat(_path(path))


def join(path: Any, *others: Any) -> str:
    """Parts of a path as one."""
    return os.path.join(_path(path), *map(_path, others))


def walk(top: Any, topdown: bool = True, onerror: Any = None) -> Iterator[Any]:
    """The directories below one, with what is in each."""
    return os.walk(_path(top), topdown, onerror)


__all__ = [
    *("GFile", "copy", "exists", "get_registered_schemes", "glob", "isdir", "join", "listdir"),
    *("makedirs", "mkdir", "remove", "rename", "rmtree", "stat", "walk"),
]
__dir__ = __all__.copy
