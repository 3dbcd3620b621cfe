"""Writes HDF5 files without copying large arrays.

HDF5 writes everything that is small, to memory. A large array only gets a place in the file, and
its memory is written there when the bytes of the file are written in order. So a file takes no
additional memory, and HDF5 never writes to a disk: it cannot recover if the disk is full.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Any

import jax
import numpy as np

# The size in bytes from which on an array is not copied.
_LARGE = 1 << 16
# The size of the blocks of bytes that HDF5 writes; blocks that it does not touch are not kept.
_BLOCK = 1 << 14
# The number of bytes that are processed at a time, so that they are still in the cache between the
# checksum and the write.
_CHUNK = 1 << 20

# The images of open files, by HDF5's numbers for these.
_open: dict[int, Image] = {}


class Image(io.RawIOBase):
    """The bytes of a new HDF5 file, in memory except for the arrays that are placed in it."""

    def __init__(self) -> None:
        self._blocks: dict[int, bytearray] = {}
        self._size = self._position = 0
        self._arrays: dict[int, tuple[np.ndarray, Any]] = {}  # By their offset.

    def __len__(self) -> int:
        return self._size

    # -- what HDF5 asks of a file ---------------------------------------------------------------

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def truncate(self, size: int | None = None) -> int:
        self._size = self._position if size is None else size
        return self._size

    def write(self, data: Any) -> int:
        given, done = memoryview(data).cast("B"), 0
        while done < len(given):
            number, begin = divmod(self._position + done, _BLOCK)
            n = min(_BLOCK - begin, len(given) - done)
            block = self._blocks.setdefault(number, bytearray(_BLOCK))
            block[begin : begin + n] = given[done : done + n]
            done += n
        self._position += done
        self._size = max(self._size, self._position)
        return done

    def readinto(self, buffer: Any) -> int:
        target, done = memoryview(buffer).cast("B"), 0
        for part in self._own(self._position, min(self._position + len(target), self._size)):
            target[done : done + len(part)] = part
            done += len(part)
        self._position += done
        return done

    def _own(self, begin: int, end: int) -> Iterator[memoryview]:
        """The bytes of this range that HDF5 itself wrote."""
        while begin < end:
            number, first = divmod(begin, _BLOCK)
            n = min(_BLOCK - first, end - begin)
            yield memoryview(self._blocks.get(number, _NOTHING))[first : first + n]
            begin += n

    # -- arrays ---------------------------------------------------------------------------------

    def place(self, group: Any, name: str, array: np.ndarray, owner: Any) -> Any:
        """Makes a dataset for an array, which must not be changed afterwards.

        Args:
            owner: the object that holds the memory of the array; it is kept alive until the array
                is written.
        """
        from h5py import h5d, h5p

        how = h5p.create(h5p.DATASET_CREATE)
        how.set_alloc_time(h5d.ALLOC_TIME_EARLY)
        how.set_fill_time(h5d.FILL_TIME_NEVER)
        dataset = group.create_dataset(name, shape=array.shape, dtype=array.dtype, dcpl=how)
        begin = dataset.id.get_offset()
        if begin is None:
            dataset[...] = array
        else:
            self._arrays[begin] = array, owner
        return dataset

    def pieces(self) -> Iterator[memoryview]:
        """All bytes of the file, in order."""
        position = 0
        for begin, (array, _) in sorted(self._arrays.items(), key=lambda item: item[0]):
            yield from self._own(position, begin)
            data = memoryview(array.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
            for i in range(0, len(data), _CHUNK):
                yield data[i : i + _CHUNK]
            position = begin + len(data)
        yield from self._own(position, self._size)


_NOTHING = bytes(_BLOCK)


@contextlib.contextmanager
def filled() -> Iterator[tuple[Image, Any]]:
    """An `Image`, and an `h5py.File` that writes to it and is closed at the end of the block."""
    import h5py

    image = Image()
    with h5py.File(image, "w") as file:
        number = h5py.h5o.get_info(file.id).fileno
        _open[number] = image
        try:
            yield image, file
        finally:
            del _open[number]


def dataset_of(group: Any, name: str, array: np.ndarray, owner: Any) -> Any:
    """Makes a dataset of an array in a group of any file.

    Args:
        owner: the object that holds the memory of the array. The memory of a JAX array never
            changes, so it is written later; that of others is copied now.
    """
    import h5py

    if (
        array.nbytes >= _LARGE
        and isinstance(owner, jax.Array)
        and array.flags.c_contiguous
        and (image := _open.get(h5py.h5o.get_info(group.id).fileno)) is not None
    ):
        return image.place(group, name, array, owner)
    return group.create_dataset(name, data=array)


def pieces_of(data: Any) -> Iterator[Any]:
    """The bytes of an `Image`, or of an object with a single buffer."""
    if isinstance(data, Image):
        yield from data.pieces()
        return
    view = memoryview(data).cast("B")
    for i in range(0, len(view), _CHUNK):
        yield view[i : i + _CHUNK]


class WriteBehind:
    """A file that another thread writes to, while the caller computes checksums of what it writes.

    What is written must not be changed afterwards. An error of a write is raised by the next call
    of another method, and when the block ends.
    """

    def __init__(self, file: IO[bytes]):
        self._file, self._thread = file, ThreadPoolExecutor(1)
        self._pending: list[Future] = []

    def __enter__(self) -> Any:
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        self._thread.shutdown(cancel_futures=kind is not None)
        if kind is None:
            self._finish()

    def write(self, data: Any) -> int:
        self._pending.append(self._thread.submit(self._file.write, data))
        return len(data)

    def _finish(self) -> None:
        while self._pending:
            self._pending.pop(0).result()

    def tell(self) -> int:
        self._finish()
        return self._file.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._finish()
        return self._file.seek(offset, whence)

    def flush(self) -> None:
        self._finish()
        self._file.flush()
