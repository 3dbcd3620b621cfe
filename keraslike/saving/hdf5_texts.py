"""Checks of variable-length texts in HDF5 files, before HDF5 reads them.

An attribute states the length and the position of each of its texts. HDF5 allocates the stated
sizes before it checks them, and separately for each text, even if they share a position; a crafted
heap makes it loop forever, and invalid kinds of data make it crash.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

_MOST_TEXTS = 1 << 20  # For all attributes of one name in a file.


def lengths(data: Any, name: bytes) -> Iterator[float]:
    """The total length in bytes of the texts of each attribute with this name, by HDF5's format:
    the sizes of name, dtype and shape; these three; then 16 bytes for each text, of which the first
    are its length."""
    place, seen = data.find(name), 0
    while place >= 0:
        for version, header, unit in ((1, 8, 8), (2, 8, 1), (3, 9, 1)):  # `unit` is the alignment.
            start = place - header
            if start < 0 or data[start] != version:
                continue
            sizes = struct.unpack_from("<HHH", data, start + 2)
            spans = [-(-size // unit) * unit for size in sizes]
            shape = place + spans[0] + spans[1]
            texts = shape + spans[2]
            if sizes[0] < len(name) or texts > len(data):
                continue
            if unit == 1 and data[start + 1]:  # The dtype or the shape is stored elsewhere.
                yield math.inf
            if data[place + spans[0]] & 15 != 9:  # It has no variable length.
                continue
            first = shape + (8 if data[shape] == 1 else 4)
            (count,) = struct.unpack_from("<Q", data, first) if data[shape + 1] else (1,)
            seen += count
            if seen > _MOST_TEXTS or texts + 16 * count > len(data):
                yield math.inf
                return
            rows = np.frombuffer(data[texts : texts + 16 * count], _TEXT)
            sound = all(_is_sound(data, heap) for heap in np.unique(rows["heap"]).tolist())
            yield float(rows["length"].sum(dtype="u8")) if sound else math.inf
        place = data.find(name, place + 1)


# A reference to a variable-length text: its length and its position.
_TEXT = np.dtype([("length", "<u4"), ("heap", "<u8"), ("index", "<u4")])


def _is_sound(data: Any, heap: int) -> bool:
    """Whether HDF5 terminates on the heap at an address: a piece of size 0 makes it loop
    forever."""
    if data[heap : heap + 4] != b"GCOL":
        return True  # HDF5 rejects it.
    (size,) = struct.unpack_from("<Q", data, heap + 8)
    place, end = heap + 16, heap + size
    while end - place >= 16 and end <= len(data):
        index, length = struct.unpack_from("<H6xQ", data, place)
        place += 16 + -(-length // 8) * 8 if index else length
        if index == 0 and length < 16:
            return False
    return place <= end <= len(data)


def is_text(attribute: Any) -> bool:
    """Whether an attribute contains texts; HDF5 crashes on some invalid dtypes of texts."""
    import h5py

    return isinstance(attribute.get_type(), h5py.h5t.TypeStringID)
