"""A checksum at the end of an HDF5 file, since the format itself has none."""

from __future__ import annotations

import os
import struct
import zlib
from typing import IO, Any

from keraslike.core.checksums import crc32_of_file
from keraslike.saving.h5_writer import WriteBehind, pieces_of

# The end of a file that was written here: this marker, then the CRC-32 of everything before it. For
# HDF5 it lies outside of the file, so that every reader ignores it and every writer removes it.
_SEAL = b"keraslk\0"
_LENGTH = len(_SEAL) + 4


def write(file: IO[bytes], data: Any) -> bytes:
    """Writes an HDF5 file, an `Image` or bytes, followed by a seal, which is returned: `check_seal`
    uses it to detect changes of the file."""
    checksum = 0
    with WriteBehind(file) as behind:
        for piece in pieces_of(data):
            behind.write(piece)
            checksum = zlib.crc32(piece, checksum)
    file.write(seal := _sealed(checksum))
    return seal


def _sealed(checksum: int) -> bytes:
    return _SEAL + struct.pack("<I", checksum)


def of_file(path: str) -> bytes:
    """The last bytes of a file, where its seal is."""
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - _LENGTH))
        return file.read()


def check_seal(path: str) -> None:
    """Raises ValueError if a file that ends in a seal differs from what was written.

    Files of other programs have no seal, and a file that HDF5 changed has lost it.
    """
    size, seal = os.path.getsize(path) - _LENGTH, of_file(path)
    if not seal.startswith(_SEAL):
        return
    with open(path, "rb") as file:
        found = crc32_of_file(file.fileno(), 0, size)
    if seal != _sealed(found):
        raise ValueError(f"'{path}' is damaged: its checksum is not that of what it holds.")
