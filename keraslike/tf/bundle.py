"""The files of TensorFlow's checkpoints.

`NAME.index` is a sorted table in LevelDB's format with the name, dtype, shape, offset and checksum
of each tensor; `NAME.data-00000-of-00001` has the tensors' bytes.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from keraslike.core import checksums
from keraslike.core.errors import DamagedFile, naming_file
from keraslike.data.elements import texts
from keraslike.tf import messages
from keraslike.tf.errors import NotFoundError

_MAGIC = 0xDB4775248B80FB57
_BLOCK = 1 << 16  # the approximate size of a block of an index
_CHUNK = 1 << 20  # the number of bytes whose checksum is computed at once


def _checksum(data: bytes) -> int:
    """The masked checksum of bytes of any length."""
    whole = len(data) // _CHUNK * _CHUNK
    crc = 0
    for start in range(0, whole, _CHUNK):
        crc = checksums.joined(crc, checksums.crc32c([data[start : start + _CHUNK]])[0], _CHUNK)
    rest = data[whole:]
    return checksums.masked(checksums.joined(crc, checksums.crc32c([rest])[0], len(rest)))


# -- tables -----------------------------------------------------------------------------------


def _block(entries: list[tuple[bytes, bytes]]) -> bytes:
    """A block of keys, without prefix compression, and values."""
    out, starts = bytearray(), []
    for key, value in entries:
        starts.append(len(out))
        out += messages.varint(0) + messages.varint(len(key)) + messages.varint(len(value))
        out += key + value
    starts = starts or [0]
    return bytes(out) + struct.pack(f"<{len(starts) + 1}I", *starts, len(starts))


def _table(entries: list[tuple[bytes, bytes]]) -> bytes:
    out, index = bytearray(), []

    def add(block: bytes) -> bytes:
        place = messages.varint(len(out)) + messages.varint(len(block))
        whole = block + b"\0"  # not compressed
        out.extend(whole + struct.pack("<I", _checksum(whole)))
        return place

    group: list[tuple[bytes, bytes]] = []
    size = 0
    for entry in entries:
        group.append(entry)
        size += len(entry[0]) + len(entry[1])
        if size > _BLOCK:
            index.append((entry[0], add(_block(group))))
            group, size = [], 0
    if group:
        index.append((group[-1][0], add(_block(group))))
    others = add(_block([]))
    footer = others + add(_block(index))
    return bytes(out) + footer.ljust(40, b"\0") + struct.pack("<Q", _MAGIC)


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    (count,) = struct.unpack_from("<I", block, len(block) - 4)
    end, at, key = len(block) - 4 * (count + 1), 0, b""
    while at < end:
        (shared, more, size), at = messages.varints(block, at, 3)
        key = key[:shared] + block[at : at + more]
        yield key, block[at + more : at + more + size]
        at += more + size


def _read_table(path: str) -> dict[bytes, bytes]:
    with open(path, "rb") as file:
        data = file.read()

    def block(place: bytes) -> bytes:
        (start, size), _ = messages.varints(place, 0, 2)
        found = data[start : start + size + 1]
        if (
            len(found) <= size
            or struct.pack("<I", _checksum(found)) != data[start + size + 1 :][:4]
        ):
            raise DamagedFile(f"{path} is damaged: the checksum of a block does not match.")
        if found[-1]:
            raise DamagedFile(f"{path} is not a checkpoint's index: its blocks are compressed.")
        return found[:-1]

    if len(data) < 48 or struct.unpack("<Q", data[-8:])[0] != _MAGIC:
        raise DamagedFile(f"{path} is not the index of a checkpoint, or is truncated.")
    footer = data[-48:-8]
    _, at = messages.varints(footer, 0, 2)
    try:
        index = _entries(block(footer[at:]))
        return {key: value for _, place in index for key, value in _entries(block(place))}
    except (IndexError, struct.error) as e:
        raise DamagedFile(f"{path} is damaged: {e}") from e


# -- checkpoints ------------------------------------------------------------------------------


def write(prefix: str, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes tensors by name. An older checkpoint is replaced once everything is written."""
    entries: list[tuple[bytes, bytes]] = []
    index, data = f"{prefix}.index", f"{prefix}.data-00000-of-00001"
    os.makedirs(os.path.dirname(os.path.abspath(prefix)), exist_ok=True)
    parts = {path: f"{path}.{os.getpid()}.part" for path in (data, index)}
    try:
        with naming_file(data), open(parts[data], "wb") as file:
            for name in sorted(tensors, key=str.encode):
                array = tensors[name]
                content, crc = _content(array)
                entry = messages.message("BundleEntry")(
                    dtype=messages.number_of(array.dtype),
                    offset=file.tell(),
                    size=len(content),
                    crc32c=crc,
                )
                messages.put_shape(entry.shape, array.shape)
                file.write(content)
                entries.append((name.encode(), entry.SerializeToString()))
        header = messages.message("BundleHeader")(num_shards=1, version={"producer": 1})
        with naming_file(index), open(parts[index], "wb") as file:
            file.write(_table([(b"", header.SerializeToString()), *entries]))
        for path, part in parts.items():
            os.replace(part, path)
    finally:
        for part in parts.values():
            if os.path.exists(part):
                os.remove(part)


def _content(array: np.ndarray) -> tuple[bytes, int]:
    """The bytes of a tensor, and their checksum."""
    if array.dtype != object:
        content = np.ascontiguousarray(array).tobytes()
        return content, _checksum(content)
    items = array.reshape(-1).tolist()
    # The checksum is that of the lengths as numbers of four bytes, or of eight if necessary.
    sizes = b"".join(struct.pack("<I" if len(i) < 2**32 else "<Q", len(i)) for i in items)
    own, joined = struct.pack("<I", _checksum(sizes)), b"".join(items)
    lengths = b"".join(map(messages.varint, map(len, items)))
    return lengths + own + joined, _checksum(sizes + own + joined)


class Reader:
    """The tensors in a checkpoint, which `tf.train.load_checkpoint` returns.

    Raises NotFoundError if the checkpoint does not exist, DamagedFile if it is damaged.
    """

    def __init__(self, prefix: str):
        self.prefix = prefix
        if not os.path.exists(f"{prefix}.index"):
            raise NotFoundError(f"Unsuccessful TensorSliceReader constructor: there is no {prefix}")
        table = _read_table(f"{prefix}.index")
        self._shards = messages.message("BundleHeader").FromString(table.pop(b"", b"")).num_shards
        parse = messages.message("BundleEntry").FromString
        self._entries = {key.decode(): parse(value) for key, value in table.items()}

    def has_tensor(self, tensor_str: str) -> bool:
        """Whether there is a tensor of this name."""
        return tensor_str in self._entries

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        """The shapes of all tensors."""
        return {name: list(_shape(entry)) for name, entry in self._entries.items()}

    def get_variable_to_dtype_map(self) -> dict[str, Any]:
        """The dtypes of all tensors."""
        return {name: messages.dtype_of(entry.dtype) for name, entry in self._entries.items()}

    def get_tensor(self, tensor_str: str) -> Any:
        """A tensor as a numpy array, or a text."""
        found = self.read(tensor_str)
        return found[()] if found.dtype == object and not found.shape else found

    def read(self, name: str) -> np.ndarray:
        """A tensor; of text, an array of objects."""
        if name not in self._entries:
            raise NotFoundError(f"Key {name} not found in checkpoint {self.prefix}")
        entry = self._entries[name]
        if entry.slices:
            raise NotImplementedError(
                f"The tensor {name} is partitioned, and partitioned tensors cannot be read."
            )
        path = f"{self.prefix}.data-{entry.shard_id:05d}-of-{self._shards:05d}"
        with open(path, "rb") as file:
            file.seek(entry.offset)
            content = file.read(entry.size)
        shape, dtype = _shape(entry), messages.dtype_of(entry.dtype).dtype
        count = math.prod(shape)
        try:
            array = _array(content, dtype, count)
        except (IndexError, ValueError):
            array = np.zeros(0)
        if array.size != count or _content(array)[1] != entry.crc32c:
            raise DamagedFile(f"{path} is damaged: the checksum of {name} does not match.")
        return array.reshape(shape)


def _shape(entry: Any) -> tuple[int, ...]:
    return tuple(dim.size for dim in entry.shape.dim)


def _array(content: bytes, dtype: Any, count: int) -> np.ndarray:
    if dtype.kind != "O":
        return np.frombuffer(content, dtype)
    lengths, at = messages.varints(content, 0, count)
    return texts(messages.pieces(content, at + 4, lengths))
