"""Reading arrays from untrusted HDF5 files."""

from __future__ import annotations

import contextlib
import math
import mmap
import os
from collections.abc import Iterator, Mapping
from typing import IO, Any

import jax
import ml_dtypes
import numpy as np

from keraslike.core import host
from keraslike.saving import hdf5_texts, old_weights

# The dtypes that HDF5 has no name for.
_LOW_PRECISION = frozenset(
    n for n, t in vars(ml_dtypes).items() if isinstance(t, type) and issubclass(t, np.generic)
)

_LONGEST_NAME = 64  # The longest name of a dtype, in bytes.


class Reader:
    """Reads arrays from an untrusted weights file.

    Only groups and datasets in the file itself are read: links and external storage are not
    followed. A dataset is rejected, before memory is allocated, if its stated size exceeds its
    stored size or if it is compressed.

    Args:
        file: an open `h5py.File`.
        label: what errors call the file.
        data: its bytes, or a file of them, where they are not those of the file at `label`.
        version: of the Keras that wrote it, where that is known.
    """

    def __init__(
        self,
        file: Any,
        label: str,
        data: bytes | IO[bytes] | None = None,
        version: tuple[int, ...] | None = None,
    ):
        self.file, self.label, self._data, self._version = file, label, data, version
        self._longest = _longest_of(label) if data is None else {}

    def layouts(self) -> list[old_weights.Layout]:
        """The layouts that the file may have."""

        def has_name(name: str, item: Any) -> bool | None:
            return (name.rpartition("/")[2] == "vars" and "name" in item.attrs) or None

        return old_weights.layouts(self._version, bool(self.file.visititems(has_name)))

    def own(self, path: str) -> dict[str, Any]:
        """The datasets in `<path>/vars` by name; none if there is no such group."""
        group = self._group([*path.split("/"), "vars"] if path else ["vars"])
        return {} if group is None else {k: self._dataset(group, k) for k in group}

    def fetch(self, datasets: list[Any]) -> None:
        """Called with the datasets that are read next, in order."""

    def check_texts(self, attribute: str, most: int) -> None:
        """Rejects attributes of this name whose texts have more than `most` bytes.

        Variable-length texts are stored elsewhere in the file, possibly many in one place, and HDF5
        allocates their stated sizes before it reads them. So their lengths are found in the bytes
        of the file first, wherever an attribute of this name may be.
        """
        longest = self._longest.get(attribute)
        if longest is None:
            with contextlib.ExitStack() as stack:
                data = self._data
                if data is None:
                    file = stack.enter_context(open(self.label, "rb"))
                    data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                    stack.enter_context(data)
                elif not isinstance(data, bytes):
                    data.seek(0)
                    data = data.read()
                longest = max(
                    hdf5_texts.lengths(data, attribute.encode() + b"\0"), default=math.inf
                )
            plan = self.file.file.id.get_create_plist()
            if plan.get_sizes() != (8, 8) or plan.get_userblock():
                # Other integer sizes than those by which the format is parsed here.
                longest = math.inf
            self._longest[attribute] = longest
        if longest > most:
            what = "cannot be read" if longest == math.inf else f"says to hold {longest:,.0f} bytes"
            raise ValueError(
                f"'{self.label}' is damaged or not safe to load: '{attribute}' {what}."
            )

    def unused(self, places: set[str]) -> list[str]:
        """The groups with arrays that are not among `places`."""
        unused: list[str] = []

        def visit(name: str, item: Any) -> None:
            path, _, last = name.rpartition("/")
            if last == "vars" and path not in places and hasattr(item, "keys") and len(item):
                unused.append(path)

        self.file.visititems(visit)  # This follows neither soft nor external links.
        return unused

    def child(self, group: Any, name: str) -> Any:
        """A group within another group, which must not be a link."""
        return self._child(group, name, "Group")

    def _group(self, parts: list[str]) -> Any:
        group = self.file
        for part in parts:
            if part not in group:
                return None
            group = self._child(group, part, "Group")
        return group

    def _child(self, group: Any, name: str, kind: str) -> Any:
        import h5py

        where = f"{group.name.rstrip('/')}/{name}".lstrip("/")
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise ValueError(
                f"'{self.label}' is not safe to load: '{where}' is a link ({type(link).__name__}) "
                "to data elsewhere."
            )
        child = group[name]
        if not isinstance(child, getattr(h5py, kind)):
            raise ValueError(
                f"'{self.label}' is no weights file: '{where}' should be a {kind.lower()} and is "
                f"a {type(child).__name__.lower()}."
            )
        return child

    def _dataset(self, group: Any, name: str) -> Any:
        dataset = self._child(group, name, "Dataset")
        where = dataset.name.lstrip("/")
        if dataset.external or dataset.is_virtual:
            kind = "an external" if dataset.external else "a virtual"
            raise ValueError(
                f"'{self.label}' is not safe to load: the data of '{where}', {kind} dataset, lies "
                "outside the file."
            )
        dtype = dataset.dtype
        if dtype.kind not in "biufcV" or dtype.fields or dtype.subdtype or dataset.shape is None:
            raise ValueError(
                f"'{self.label}' is no weights file: '{where}' holds {dtype}, not numbers."
            )
        # HDF5 decompresses all of the packed data, whatever the shape says.
        if dataset.id.get_create_plist().get_nfilters():
            raise ValueError(
                f"'{self.label}' is not safe to load: '{where}' is compressed, which Keras's files "
                "are not, and may unpack to any size (a shape bomb). If you trust it, unpack it: "
                "h5repack -f NONE"
            )
        if dtype.kind == "V" and "dtype" in dataset.attrs:
            self.check_texts("dtype", _LONGEST_NAME)
        declared = math.prod(dataset.shape) * dtype.itemsize
        stored = dataset.id.get_storage_size()
        if declared > stored:
            raise ValueError(
                f"'{self.label}' is damaged or not safe to load: '{where}' says to hold {declared} "
                f"bytes, but {stored} are stored for it (a shape bomb)."
            )
        return dataset


_last: tuple[Any, dict[str, float]] = (None, {})


def _longest_of(path: str) -> dict[str, float]:
    """A cache of the lengths of the texts in a file, since several readers of it follow each
    other."""
    global _last
    try:
        found = os.stat(path)
    except OSError:
        return {}
    key = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
    if _last[0] != key:
        _last = key, {}
    return _last[1]


def safe_dataset(group: Any, name: str) -> Any:
    """A dataset that is stored in the file itself, and takes no more memory than its stored
    size."""
    return Reader(group.file, group.file.filename)._dataset(group, name)


def read(dataset: Any) -> Any:
    """The array in a dataset; one that is read in shards (`orbax_arrays`) is returned unread."""
    array = _array(dataset)
    if isinstance(array, jax.Array):
        return array
    if array.dtype.kind != "V" or "dtype" not in dataset.attrs:
        return array
    found = dataset.attrs.get_id("dtype")
    if found.shape != () or not hdf5_texts.is_text(found):
        return array
    name = dataset.attrs["dtype"]
    is_dtype = isinstance(name, str) and name in _LOW_PRECISION
    return array.view(getattr(ml_dtypes, name)) if is_dtype else array


def _array(dataset: Any) -> Any:
    if not hasattr(dataset, "read_direct"):  # Not every dataset is one of h5py's.
        array = dataset[()]
        return array if isinstance(array, jax.Array) else np.asarray(array)
    if not dataset.shape or not dataset.size:
        return np.asarray(dataset[()])
    dtype = dataset.dtype
    if dtype.kind not in "iuf" or not dtype.isnative:
        return np.asarray(dataset[()])
    array = host.memory(dataset.shape, dtype)  # JAX uses this memory without a copy.
    dataset.read_direct(array)
    return array


class Store(Mapping[str, np.ndarray]):
    """The argument of a class's own `load_own_variables`: arrays by name, which are read on
    access."""

    def __init__(self, datasets: dict[str, Any]):
        self._datasets = datasets

    def __getitem__(self, key: str) -> np.ndarray:
        return read(self._datasets[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._datasets)

    def __len__(self) -> int:
        return len(self._datasets)
