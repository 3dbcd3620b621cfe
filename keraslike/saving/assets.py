"""Files that objects write themselves, with Keras's methods `save_assets` and `load_assets`.

Each object with `save_assets(directory)` receives a directory of its own, at the object's path in a
weights file (see `weights_h5`). The files are stored by name and content: in a `.keras` file below
`assets/`, in a checkpoint as arrays. For `load_assets(directory)` they are written to a temporary
directory. Names from a file are untrusted, so each is checked before it is used as a path.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from keraslike.saving import old_weights, weights_h5
from keraslike.saving.old_weights import KERAS_3, Layout

# The files of a model by path; an empty directory ends in a slash.
Assets = dict[str, bytes]


def collect(root: Any) -> Assets:
    """The files that `save_assets` of an object, and of all objects below it, writes.

    >>> import keraslike, pathlib
    >>> class Words(keraslike.Layer):
    ...     def save_assets(self, dir_path):
    ...         (pathlib.Path(dir_path) / "words.txt").write_text("to be")
    >>> collect(keraslike.Sequential([Words()]))
    {'layers/words/words.txt': b'to be'}
    """
    found: Assets = {}
    with tempfile.TemporaryDirectory() as folder:
        for path, save_assets in _methods(root, "save_assets"):
            directory = os.path.join(folder, *_parts(path))
            os.makedirs(directory, exist_ok=True)
            save_assets(directory)
        for directory, folders, files in os.walk(folder):
            folders.sort()
            place = os.path.relpath(directory, folder).replace(os.sep, "/")
            if not files and not folders and place != ".":
                found[f"{place}/"] = b""
            for name in sorted(files):
                with open(os.path.join(directory, name), "rb") as file:
                    found[name if place == "." else f"{place}/{name}"] = file.read()
    return found


def are_saved(root: Any) -> bool:
    """Whether an object, or one below it, has a `save_assets` method."""
    return any(True for _ in _methods(root, "save_assets"))


@contextlib.contextmanager
def unpacked(
    root: Any, assets: Assets, version: tuple[int, ...] | None = None
) -> Iterator[list[tuple[str, Callable, str]]]:
    """Writes assets to a temporary directory, which exists within the block, and gives the calls
    that load them: `(where, load_assets, directory)`.

    Args:
        version: of the Keras that wrote the file, where that is known.

    Raises ValueError for a name that leads elsewhere.
    """
    layout = old_weights.layouts(version, True)[0]
    methods = list(_methods(root, "load_assets", layout)) if assets else []
    if not methods:
        yield []
        return
    with tempfile.TemporaryDirectory() as folder:
        for name, data in assets.items():
            try:
                _write(folder, name, data)
            except OSError as e:
                if e.errno not in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG):
                    raise
                raise ValueError(f"An asset cannot be called {name[:200]!r}: {e.strerror}.") from e
        found = [(f"assets/{p}", m, os.path.join(folder, *_parts(p))) for p, m in methods]
        yield [call for call in found if os.path.isdir(call[2])]


def _write(folder: str, name: str, data: bytes) -> None:
    path = os.path.join(folder, *_parts(name.removesuffix("/")))
    if name.endswith("/"):
        os.makedirs(path, exist_ok=True)
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "xb") as file:
        file.write(data)


def _methods(root: Any, name: str, layout: Layout = KERAS_3) -> Iterator[tuple[str, Callable]]:
    for path, obj in weights_h5.walk(root, layout):
        method = getattr(obj, name, None)
        if callable(method):
            yield path, method


def _parts(path: str) -> list[str]:
    parts = path.split("/") if path else []
    for part in parts:
        if part in ("", ".", "..") or any(c in part for c in "\\:\0"):
            raise ValueError(f"An asset cannot be called {path[:200]!r}.")
    return parts
