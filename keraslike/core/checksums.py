"""CRC-32C checksums, by which records of files are known to be whole."""

from __future__ import annotations

import functools
import struct
from collections.abc import Sequence

import numpy as np

# Above this many bytes numpy's way pays.
_SHORT = 100


def _table() -> np.ndarray:
    crc = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        crc = np.where(crc & 1, crc >> 1 ^ np.uint32(0x82F63B78), crc >> 1)
    return crc


_TABLE = _table()
_LIST = _TABLE.tolist()


@functools.cache
def _shifts(level: int) -> np.ndarray:
    """What `2**level` bytes of zeros make of a state, for each value of each of its bytes."""
    values = np.arange(256, dtype=np.uint32)
    states = np.stack([values << np.uint32(8 * byte) for byte in range(4)])
    if not level:
        return _TABLE[states & 255] ^ states >> 8
    before = _shifts(level - 1)
    return _shifted(_shifted(states, before), before)


def _shifted(states: np.ndarray, tables: np.ndarray) -> np.ndarray:
    out = tables[0][states & 255]
    for byte in range(1, 4):
        out = out ^ tables[byte][states >> np.uint32(8 * byte) & 255]
    return out


def crc32c(records: Sequence[bytes]) -> list[int]:
    """The checksum of each record.

    >>> [hex(n) for n in crc32c([b"123456789", b"", b"a" * 1000])]
    ['0xe3069283', '0x0', '0x9f19ef6a']
    """
    lengths = list(map(len, records))
    if not lengths or max(lengths) < 4 or sum(lengths) < _SHORT:
        return [_one(record) for record in records]
    width = 1 << max(max(lengths) - 1, 1).bit_length()
    if len(lengths) > 1 and width * len(lengths) > 4 * sum(lengths) + 4096:  # of unlike lengths
        return [crc32c([record])[0] for record in records]
    # The states of single bytes, then of two and two neighbours; zeros before a record do nothing.
    data = np.zeros((len(lengths), width), np.uint8)
    for line, record in zip(data, records):
        if record:
            line[width - len(record) :] = np.frombuffer(record, np.uint8)
            line[width - len(record) :][:4] ^= 255
    states = _TABLE[data]
    for level in range(width.bit_length() - 1):
        states = _shifted(states[:, 0::2], _shifts(level)) ^ states[:, 1::2]
    found = (states[:, 0] ^ np.uint32(0xFFFFFFFF)).tolist()
    return [n if size >= 4 else _one(r) for n, size, r in zip(found, lengths, records)]


def joined(first: int, second: int, length: int) -> int:
    """The checksum of two pieces of data, the second of this length, by theirs.

    >>> joined(*crc32c([b"12345", b"6789"]), 4) == crc32c([b"123456789"])[0]
    True
    """
    states = np.array([first], np.uint32)
    for level in range(length.bit_length()):
        if length >> level & 1:
            states = _shifted(states, _shifts(level))
    return int(states[0]) ^ second


def _one(data: bytes) -> int:
    crc, table = 0xFFFFFFFF, _LIST
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def masked(crc: int) -> int:
    """A checksum as records hold it."""
    return (crc >> 15 | crc << 17) + 0xA282EAD8 & 0xFFFFFFFF


def record(data: bytes) -> bytes:
    """The data as a record of a TFRecord or event file: its length, itself, a checksum of each."""
    length = struct.pack("<Q", len(data))
    sums = (struct.pack("<I", masked(crc)) for crc in (_one(length), crc32c([data])[0]))
    return length + next(sums) + data + next(sums)
