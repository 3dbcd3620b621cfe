"""CRC-32C and CRC-32 checksums, which detect damaged records of files."""

from __future__ import annotations

import functools
import itertools
import os
import struct
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

# Below this number of bytes a plain loop is as fast.
_SHORT = 1024
# Records are split into parts of at most this many bytes, whose states are computed in parallel.
_PART = 64
# The polynomials of CRC-32C and of CRC-32, which is `zlib.crc32`, in reversed bit order.
_CASTAGNOLI, _ISO = 0x82F63B78, 0xEDB88320


def _table(polynomial: int) -> np.ndarray:
    crc = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        crc = np.where(crc & 1, crc >> 1 ^ np.uint32(polynomial), crc >> 1)
    return crc


_TABLE = _table(_CASTAGNOLI)
_LIST = _TABLE.tolist()


@functools.cache
def _pairs() -> np.ndarray:
    """How two bytes of zeros change a state below 2**16."""
    state = np.arange(2**16, dtype=np.uint32)
    for _ in range(2):
        state = _TABLE[state & 255] ^ state >> 8
    return state


@functools.cache
def _shifts(level: int, polynomial: int = _CASTAGNOLI) -> np.ndarray:
    """How `2**level` bytes of zeros change a state, for each value of each of its bytes."""
    values = np.arange(256, dtype=np.uint32)
    states = np.stack([values << np.uint32(8 * byte) for byte in range(4)])
    if not level:
        return _table(polynomial)[states & 255] ^ states >> 8
    before = _shifts(level - 1, polynomial)
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
    sizes = list(map(len, records))
    if sum(sizes) < _SHORT:
        return [_one(record) for record in records]
    width = min(_PART, max(2, 1 << (max(sizes) - 1).bit_length()))
    # Leading zeros do not change a CRC, so each record is padded to a whole number of parts.
    zeros, pieces = bytes(width), []
    for record, size in zip(records, sizes):
        pieces += (zeros[: -size % width], record) if size else (zeros,)
    data = np.frombuffer(bytearray().join(pieces), np.uint8)
    lengths = np.asarray(sizes)
    counts = np.maximum(-(-lengths // width), 1)
    ends = np.cumsum(counts)
    begun = (ends * width - lengths)[lengths >= 4]  # The first four bytes are inverted.
    data[begun[:, None] + np.arange(4)] ^= 255
    words = np.ascontiguousarray(data.view("<u2").reshape(-1, width // 2).T)
    table = _pairs()
    states = table[words[0]]
    for word in words[1:]:
        states = table.take(states.astype(np.uint16) ^ word) ^ states >> 16
    # A part's state is shifted by the number of parts of its record that follow it.
    after = np.repeat(ends, counts) - np.arange(1, len(states) + 1)
    for bit in range(int(after.max()).bit_length()):
        some = np.flatnonzero(after >> bit & 1)
        states[some] = _shifted(states[some], _shifts(width.bit_length() - 1 + bit))
    found = (~np.bitwise_xor.reduceat(states, ends - counts)).tolist()
    return [n if size >= 4 else _one(r) for n, size, r in zip(found, sizes, records)]


def joined(first: int, second: int, length: int, polynomial: int = _CASTAGNOLI) -> int:
    """The checksum of two concatenated pieces of data, computed from their checksums and the length
    of the second.

    >>> joined(*crc32c([b"12345", b"6789"]), 4) == crc32c([b"123456789"])[0]
    True
    """
    states = np.array([first], np.uint32)
    for level in range(length.bit_length()):
        if length >> level & 1:
            states = _shifted(states, _shifts(level, polynomial))
    return int(states[0]) ^ second


# The bytes that are read at a time, so that they are in the cache when their checksum is computed,
# and the fewest bytes for which a thread is started.
_PIECE, _LEAST = 1 << 20, 8 << 20


def crc32_of_file(descriptor: int, begin: int, size: int) -> int:
    """The CRC-32 of `size` bytes of an open file from `begin` on, or of those that it has.

    Each of several threads computes it for a part: reading and `zlib.crc32` release Python's lock.
    """
    at_once = hasattr(os, "preadv")
    count = max(1, min(os.cpu_count() or 1, 8, size // _LEAST)) if at_once else 1
    ends = [size * i // count for i in range(count + 1)]

    def part(number: int) -> tuple[int, int]:
        found, place, piece = 0, ends[number], memoryview(bytearray(_PIECE))
        while True:
            wanted = piece[: ends[number + 1] - place]
            if at_once:
                n = os.preadv(descriptor, [wanted], begin + place)
            else:
                os.lseek(descriptor, begin + place, os.SEEK_SET)
                n = len(data := os.read(descriptor, len(wanted)))
                wanted[:n] = data
            if not n:
                return found, place - ends[number]
            found, place = zlib.crc32(piece[:n], found), place + n

    if count == 1:
        return part(0)[0]
    found = 0
    with ThreadPoolExecutor(count) as threads:
        for checksum, length in threads.map(part, range(count)):
            found = joined(found, checksum, length, _ISO)
    return found


def _one(data: bytes) -> int:
    crc, table = 0xFFFFFFFF, _LIST
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def masked(crc: int) -> int:
    """A checksum in the masked form in which records hold it."""
    return (crc >> 15 | crc << 17) + 0xA282EAD8 & 0xFFFFFFFF


@functools.lru_cache(4096)
def head(length: int) -> bytes:
    """The bytes before the data of a record: the length of the data, and a checksum of the
    length."""
    data = struct.pack("<Q", length)
    return data + struct.pack("<I", masked(_one(data)))


def tails(records: Sequence[bytes]) -> list[bytes]:
    """The bytes after the data of each record: a checksum of the data."""
    sums = np.asarray(crc32c(records), np.uint32)
    sums = (sums >> 15 | sums << 17) + np.uint32(0xA282EAD8)
    whole = sums.astype("<u4").tobytes()
    return [whole[at : at + 4] for at in range(0, len(whole), 4)]


def written(records: Sequence[bytes]) -> bytes:
    """Records in the format of TFRecord and event files: length, data, and a checksum of each."""
    parts = zip(map(head, map(len, records)), records, tails(records))
    return b"".join(itertools.chain.from_iterable(parts))
