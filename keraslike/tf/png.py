"""PNGs with TensorFlow's values: Pillow has no colours of 16 bits, and other weights for grey."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np

from keraslike.core import foreign

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the type of colours in the header
_COLORS = {1: 0, 2: 4, 3: 2, 4: 6}
_PALETTE = 3


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(SIGNATURE)
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        if zlib.crc32(kind + body) != int.from_bytes(data[place + 8 + length :][:4]):
            raise ValueError(f"The checksum of the chunk {kind!r} is wrong, or its end is missing.")
        yield kind, body
        place += 12 + length


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _file(width: int, height: int, depth: int, color: int, rows: bytes, level: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    body = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows, level))
    return SIGNATURE + body + _chunk(b"IEND", b"")


def decoded(data: bytes, channels: int) -> np.ndarray:
    """The pixels (height, width, channels), uint16 if the file has 16 bits and uint8 otherwise.

    Args:
        channels: 0 for those of the file.

    Raises ValueError for bytes that are not a PNG.
    """
    chunks: dict[bytes, bytes] = {}
    for kind, body in _chunks(data):
        chunks[kind] = chunks.get(kind, b"") + body if kind == b"IDAT" else body
    width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    key = chunks.get(b"tRNS")
    wanted = channels or (_CHANNELS[color] if color != _PALETTE else 3 if key is None else 4)
    if depth == 16:
        pixels = _wide(chunks[b"IDAT"], width, height, _CHANNELS[color], bool(interlaced))
    else:
        pixels = _narrow(data, color, key is not None)
    if key is not None and color in (0, 2) and not wanted % 2:
        levels = np.frombuffer(key, ">u2").astype(int)
        if depth < 8:
            levels = levels * 255 // (2**depth - 1)
        most = np.iinfo(pixels.dtype).max
        alpha = np.where((pixels == levels).all(-1, keepdims=True), 0, most)
        pixels = np.concatenate([pixels, alpha.astype(pixels.dtype)], -1)
    return of_channels(pixels, wanted, 2**depth - 1)


def _narrow(data: bytes, color: int, transparent: bool) -> np.ndarray:
    pillow = foreign.library("PIL.Image", "tf.io.decode_png()", "pillow")
    picture = pillow.open(io.BytesIO(data), formats=("PNG",))
    if color == _PALETTE:
        picture = picture.convert("RGBA" if transparent else "RGB")
    elif picture.mode == "1":
        picture = picture.convert("L")
    pixels = np.asarray(picture)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _wide(data: bytes, width: int, height: int, channels: int, interlaced: bool) -> np.ndarray:
    """Pixels of 16 bits. The filters of PNG predict a byte from those at the same place in other
    pixels, so each byte of the pixels is an image of its own, which Pillow decodes."""
    if interlaced:
        raise ValueError("Interlaced PNGs of 16 bits are not supported.")
    pillow = foreign.library("PIL.Image", "tf.io.decode_png()", "pillow")
    count = 2 * channels
    rows = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, 1 + width * count)
    filters, values = rows[:, :1], rows[:, 1:].reshape(height, width, count)
    planes = []
    for place in range(count):
        plane = np.concatenate([filters, values[..., place]], 1).tobytes()
        plane = _file(width, height, 8, 0, plane, 0)
        planes.append(np.asarray(pillow.open(io.BytesIO(plane))).astype(np.uint16))
    return np.stack([256 * h + low for h, low in zip(planes[::2], planes[1::2])], -1)


def of_channels(pixels: np.ndarray, wanted: int, opaque: int) -> np.ndarray:
    """The pixels with as many channels as are wanted: grey or colours, with or without alpha.

    Args:
        opaque: the alpha of files without one; libpng does not scale what has fewer than 8 bits.
    """
    have = pixels.shape[-1]
    colors, alpha = pixels[..., : have - 1 + have % 2], pixels[..., have - 1 + have % 2 :]
    if wanted < 3 < colors.shape[-1] + 1:
        colors = _grey(colors)
    elif wanted > 2 and colors.shape[-1] == 1:
        colors = colors.repeat(3, -1)
    if wanted % 2:
        return colors
    if not alpha.size:
        alpha = np.full((*pixels.shape[:2], 1), opaque, pixels.dtype)
    return np.concatenate([colors, alpha], -1)


def _grey(colors: np.ndarray) -> np.ndarray:
    """Grey from colours, with libpng's weights in units of 2**-15 and its rounding."""
    parts = colors.astype(np.int64) @ np.array([9797, 19234, 3737])
    half = 16384 if colors.dtype == np.uint16 else 0
    same = (colors == colors[..., :1]).all(-1)
    found = np.where(same, colors[..., 0], (parts + half) >> 15)
    return found.astype(colors.dtype)[..., None]


def encoded(pixels: np.ndarray, level: int) -> bytes:
    """A PNG of pixels of uint16, with the differences of neighbouring rows."""
    height, width, channels = pixels.shape
    rows = pixels.astype(">u2").view(np.uint8).reshape(height, -1)
    above = np.concatenate([np.zeros_like(rows[:1]), rows[:-1]])
    filters = np.full((height, 1), 2, np.uint8)
    data = np.concatenate([filters, rows - above], 1).tobytes()
    return _file(width, height, 16, _COLORS[channels], data, level)
