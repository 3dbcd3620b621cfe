"""The frames of GIFs, laid over each other as TensorFlow does, which never disposes of one."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from keraslike.core import foreign

_EXTENSION, _IMAGE = 0x21, 0x2C
_CONTROL = 0xF9


class _Frame(NamedTuple):
    left: int
    top: int
    file: bytes  # a GIF of this frame only
    palette: np.ndarray
    transparent: int


def _palette(data: bytes, place: int, flags: int) -> bytes:
    return data[place : place + (3 << (flags & 7) + 1)] if flags & 0x80 else b""


def _end_of_blocks(data: bytes, place: int) -> int:
    while data[place]:
        place += 1 + data[place]
    return place + 1


def _frames(data: bytes) -> Iterator[_Frame]:
    shared = _palette(data, 13, data[10])
    place, transparent = 13 + len(shared), -1
    while data[place] in (_EXTENSION, _IMAGE):
        if data[place] == _EXTENSION:
            if data[place + 1] == _CONTROL:
                transparent = data[place + 6] if data[place + 3] & 1 else -1
            place = _end_of_blocks(data, place + 2)
            continue
        left, top, width, height, flags = struct.unpack_from("<HHHHB", data, place + 1)
        own = _palette(data, place + 10, flags)
        begin = place + 10 + len(own)
        place = _end_of_blocks(data, begin + 1)
        palette = own or shared
        if not palette:
            raise ValueError("A frame has no colours.")
        size = len(palette).bit_length() - 3  # of the palette, as the flags have it
        screen = struct.pack("<HHBBB", width, height, 0x80 | size, 0, 0)
        frame = struct.pack("<BHHHHB", _IMAGE, 0, 0, width, height, flags & 0x40)
        file = b"GIF89a" + screen + palette + frame + data[begin:place] + b";"
        yield _Frame(left, top, file, np.frombuffer(palette, np.uint8).reshape(-1, 3), transparent)
        transparent = -1


def decoded(data: bytes) -> np.ndarray:
    """The frames, `(frames, height, width, 3)` of uint8, black where no frame has a pixel.

    Raises ValueError or IndexError for bytes that are not a GIF.
    """
    pillow = foreign.library("PIL.Image", "tf.io.decode_gif()", "pillow")
    frames = list(_frames(data))
    indices = [np.asarray(pillow.open(io.BytesIO(f.file), formats=("GIF",))) for f in frames]
    height, width = np.max([i.shape for i in indices], 0)
    canvas = np.zeros((height, width, 3), np.uint8)
    found = []
    for frame, chosen in zip(frames, indices):
        part = canvas[frame.top :, frame.left :][: chosen.shape[0], : chosen.shape[1]]
        chosen = chosen[: part.shape[0], : part.shape[1]]
        painted = chosen != frame.transparent
        part[painted] = frame.palette[chosen[painted]]
        found.append(canvas.copy())
    return np.stack(found)
