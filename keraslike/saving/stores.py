"""`H5IOStore`, with which other packages store their own arrays in the layout of a weights file."""

from __future__ import annotations

import io
import pathlib
from collections.abc import Iterator, MutableMapping
from typing import Any

import numpy as np

from keraslike.saving import h5_reader, keras_archive, seal, weights_h5


class H5IOStore:
    """Arrays by name in the groups of an HDF5 file: those of a path are in `<path>/vars`.

    Args:
        path_or_io: where the file is, or a buffer with it.
        archive: the `zipfile.ZipFile` that the file at the path is in, if it is in one.
        mode: `"w"` writes a file, which exists once the store is closed; `"r"` reads one.

    Raises TypeError or ValueError for other arguments.

    >>> buffer = io.BytesIO()
    >>> store = H5IOStore(buffer, mode="w")
    >>> store.make("lora")["rank"] = 4
    >>> store.close()
    >>> H5IOStore(buffer).get("lora")["rank"]
    array(4)
    """

    def __init__(self, path_or_io: Any, archive: Any = None, mode: str = "r"):
        import h5py

        if not isinstance(path_or_io, (str, pathlib.Path, io.BytesIO)):
            raise TypeError(
                "`path_or_io` should be a `str`, `pathlib.Path` or `io.BytesIO` object. "
                f"Received: path_or_io={path_or_io!r}"
            )
        if mode not in ("w", "r"):
            raise ValueError(f"`mode` should be either 'w' or 'r'. Received: mode={mode!r}")
        if archive is not None and isinstance(path_or_io, io.BytesIO):
            raise ValueError(
                "When `path_or_io` is an `io.BytesIO` object, `archive` should be `None`."
            )
        self.path_or_io, self.archive, self.mode = path_or_io, archive, mode
        self._buffer = path_or_io
        if not isinstance(path_or_io, io.BytesIO):
            self._buffer = io.BytesIO(self._bytes() if mode == "r" else b"")
        self.h5_file = h5py.File(self._buffer, mode)

    def _bytes(self) -> bytes:
        if self.archive is not None:
            return self.archive.read(str(self.path_or_io))
        return pathlib.Path(str(self.path_or_io)).read_bytes()

    def make(self, path: str, metadata: dict[str, Any] | None = None) -> MutableMapping:
        """The arrays of a path, for writing, with attributes of the group."""
        if metadata is not None and not isinstance(metadata, dict):
            raise ValueError(f"`metadata` should be a dict or `None`. Received: {metadata!r}")
        group = self.h5_file.require_group(f"{path}/vars" if path else "vars")
        group.attrs.update(metadata or {})
        return _Arrays(self, group)

    def get(self, path: str) -> MutableMapping:
        """The arrays of a path; none if the path does not exist."""
        return _Arrays(self, self.h5_file.get(f"{path}/vars" if path else "vars"))

    def close(self) -> None:
        """Closes the file, and moves a written file to its place."""
        self.h5_file.close()
        if self.mode == "r" or self.path_or_io is self._buffer:
            return
        data = self._buffer.getbuffer()
        if self.archive is not None:
            self.archive.writestr(str(self.path_or_io), data)
            return
        with keras_archive.replacing(str(self.path_or_io)) as file:
            seal.write(file, data)


class _Arrays(MutableMapping[str, np.ndarray]):
    def __init__(self, store: H5IOStore, group: Any):
        self._store, self._group = store, group
        self.path = getattr(group, "name", None)

    def __getitem__(self, key: str) -> np.ndarray:
        if key not in self:
            raise KeyError(key)
        data = self._store._buffer.getvalue() if self._store.mode == "r" else b""
        reader = h5_reader.Reader(self._store.h5_file, str(self.path), data)
        return h5_reader.read(reader._dataset(self._group, key))

    def _check_writable(self, what: str) -> None:
        if self._store.mode != "w":
            raise ValueError(f"{what} a value is only allowed in write mode.")

    def __setitem__(self, key: str, value: Any) -> None:
        self._check_writable("Setting")
        if key in self:
            del self[key]
        weights_h5.write_array(self._group, key, value)

    def __delitem__(self, key: str) -> None:
        self._check_writable("Deleting")
        del self._group[key]

    def __contains__(self, key: object) -> bool:
        return self._group is not None and key in self._group

    def __iter__(self) -> Iterator[str]:
        return iter(self._group or ())

    def __len__(self) -> int:
        return len(self._group or ())
