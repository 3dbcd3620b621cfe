"""Texts of varying length in HDF5 files, looked at before HDF5 reads them.

An attribute says how long each of its texts is and where it lies. HDF5 sets aside that much before
it looks, a copy for each however many lie in one place; it goes round for ever over a heap that is
made so, and breaks down over kinds of data that there are not.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

_MOST_TEXTS = 1 << 20  # of all attributes of one name in a file


def lengths(data: Any, name: bytes) -> Iterator[float]:
    """How many bytes the texts have together of each attribute of this name, by HDF5's format:
    sizes of name, dtype and shape; these three; then 16 bytes a text, its length first."""
    place, seen = data.find(name), 0
    while place >= 0:
        for version, header, unit in ((1, 8, 8), (2, 8, 1), (3, 9, 1)):  # unit: of alignment
            start = place - header
            if start < 0 or data[start] != version:
                continue
            sizes = struct.unpack_from("<HHH", data, start + 2)
            spans = [-(-size // unit) * unit for size in sizes]
            shape = place + spans[0] + spans[1]
            texts = shape + spans[2]
            if sizes[0] < len(name) or texts > len(data):
                continue
            if unit == 1 and data[start + 1]:  # the dtype or the shape is elsewhere
                yield math.inf
            if data[place + spans[0]] & 15 != 9:  # not of varying length
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


# How a text of varying length is named: its length, and where it lies.
_TEXT = np.dtype([("length", "<u4"), ("heap", "<u8"), ("index", "<u4")])


def _is_sound(data: Any, heap: int) -> bool:
    """Whether HDF5 comes to an end with the heap at an address: over a piece without a size it
    goes round for ever."""
    if data[heap : heap + 4] != b"GCOL":
        return True  # which it refuses
    (size,) = struct.unpack_from("<Q", data, heap + 8)
    place, end = heap + 16, heap + size
    while end - place >= 16 and end <= len(data):
        index, length = struct.unpack_from("<H6xQ", data, place)
        place += 16 + -(-length // 8) * 8 if index else length
        if index == 0 and length < 16:
            return False
    return place <= end <= len(data)


def is_text(attribute: Any) -> bool:
    """Whether an attribute holds texts; HDF5 breaks down over some of what calls itself so."""
    import h5py

    return isinstance(attribute.get_type(), h5py.h5t.TypeStringID)
