"""Files of records, lines and elements: how their bytes are read and written."""

from __future__ import annotations

import contextlib
import gzip
import io
import itertools
import json
import os
import struct
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from typing import IO, Any

import numpy as np

from keraslike.core import checksums
from keraslike.core.errors import DamagedFile
from keraslike.data.elements import is_text_scalar, texts

_BLOCK = 2**20


class DataLossError(DamagedFile):
    """A file of records that is damaged; the message says where.

    >>> issubclass(DataLossError, ValueError)
    True
    """


class _Inflated(io.RawIOBase):
    """The contents of a file compressed by zlib."""

    def __init__(self, path: str):
        self._file, self._inflate = open(path, "rb"), zlib.decompressobj()  # noqa: SIM115

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = b""
        while not data and not self._inflate.eof:
            left = self._inflate.unconsumed_tail or self._file.read(_BLOCK)
            if not left:
                break
            data = self._inflate.decompress(left, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def compression(kind: Any) -> str:
    """The name of a way of compression; raises ValueError for one that is not known."""
    name = "" if kind is None else kind.decode() if isinstance(kind, bytes) else str(kind)
    name = {"NONE": "", "AUTO": "", "None": ""}.get(name, name)
    if name not in ("", "GZIP", "ZLIB"):
        raise ValueError(f"compression_type must be '', 'GZIP' or 'ZLIB'. Received: {kind!r}")
    return name


def opened(path: str, kind: Any = "") -> Any:
    """A file for reading, decompressed."""
    kind = compression(kind)
    if kind == "GZIP":
        return gzip.open(path, "rb")
    if kind == "ZLIB":
        return io.BufferedReader(_Inflated(path), _BLOCK)
    return open(path, "rb", buffering=_BLOCK)


def lines(path: str, kind: Any = "") -> Iterator[bytes]:
    """The lines of a text file, without their ends."""
    with opened(path, kind) as file:
        for line in file:
            end = -2 if line.endswith(b"\r\n") else -1 if line.endswith(b"\n") else None
            yield line[:end]


def pieces(path: str, size: int, header: int, footer: int, kind: Any = "") -> Iterator[bytes]:
    """Records of one size; raises DataLossError where the file's size does not fit."""
    with opened(path, kind) as file:
        skipped = file.read(header)
        held = b""
        at = len(skipped)
        while len(held) < size + footer:
            block = file.read(max(_BLOCK, size + footer))
            held += block
            count = max(len(held) - footer, 0) // size
            yield from (held[i * size : (i + 1) * size] for i in range(count))
            at, held = at + count * size, held[count * size :]
            if not block:
                break
        if len(held) != footer:
            raise DataLossError(
                f"{path}: the file does not end with a whole record of {size} bytes and a footer "
                f"of {footer}: {len(held)} bytes are left at {at}."
            )


def records(path: str, kind: Any = "") -> Iterator[bytes]:
    """The records of a TFRecord file; raises DataLossError for one that is cut or has changed."""
    with opened(path, kind) as file:
        at, more = 0, True
        while more:
            group: list[tuple[int, bytes, bytes]] = []  # place, the length with its sum, the rest
            size = 0
            try:
                while size < _BLOCK and len(group) < 256:
                    head = file.read(12)
                    if not head:
                        more = False
                        break
                    if len(head) < 12:
                        raise _damaged(path, at, "is cut off")
                    length = struct.unpack_from("<Q", head)[0]
                    if length >= 2**16:  # before so much is read
                        _check([head[:8]], [head[8:]], [at], path)
                    body = file.read(length + 4)
                    if len(body) < length + 4:
                        _check([head[:8]], [head[8:]], [at], path)
                        raise _damaged(path, at, "is cut off")
                    group.append((at, head, body))
                    at, size = at + length + 16, size + length
            except DataLossError:
                yield from _checked(group, path)  # those before it are whole
                raise
            except (zlib.error, gzip.BadGzipFile, EOFError) as e:
                yield from _checked(group, path)
                raise DataLossError(
                    f"{path}: the record at {at} cannot be decompressed: {e}"
                ) from e
            yield from _checked(group, path)


def _damaged(path: str, at: int, what: str) -> DataLossError:
    return DataLossError(f"{path}: the record at {at} {what}.")


def _checked(group: list[tuple[int, bytes, bytes]], path: str) -> Iterator[bytes]:
    if not group:
        return
    places, heads, bodies = zip(*group)
    _check([h[:8] for h in heads], [h[8:] for h in heads], places, path)
    data = [body[:-4] for body in bodies]
    for place, body, crc in zip(places, bodies, checksums.crc32c(data)):
        if struct.pack("<I", checksums.masked(crc)) != body[-4:]:
            raise _damaged(path, place, "is corrupted: its checksum is another")
        yield body[:-4]


def _check(data: Iterable[bytes], sums: Iterable[bytes], places: Iterable[int], path: str) -> None:
    for place, crc, known in zip(places, checksums.crc32c(list(data)), sums):
        if struct.pack("<I", checksums.masked(crc)) != known:
            raise _damaged(path, place, "is corrupted: the checksum of its length is another")


class RecordWriter:
    """Writes a TFRecord file.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with RecordWriter(os.path.join(folder, "a"), "GZIP") as writer:
    ...         writer.write(b"one")
    ...     list(records(os.path.join(folder, "a"), "GZIP"))
    [b'one']
    """

    def __init__(self, path: Any, options: Any = None):
        kind = compression(getattr(options, "compression_type", options))
        self._file: Any = (gzip.open if kind == "GZIP" else open)(path, "wb")
        self._deflate = zlib.compressobj() if kind == "ZLIB" else None

    def write(self, record: Any) -> None:
        """Adds a record: bytes, or a text."""
        record = getattr(record, "numpy", lambda: record)()
        data = checksums.record(record.encode() if isinstance(record, str) else bytes(record))
        self._file.write(data if self._deflate is None else self._deflate.compress(data))

    def flush(self) -> None:
        """Writes out what is held back."""
        if self._deflate is not None:
            self._file.write(self._deflate.flush(zlib.Z_SYNC_FLUSH))
        self._file.flush()

    def close(self) -> None:
        """Ends the file."""
        if not self._file.closed:
            if self._deflate is not None:
                self._file.write(self._deflate.flush())
            self._file.close()

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


# -- elements -------------------------------------------------------------------------------------


def packed(element: Any) -> bytes:
    """An element of arrays and texts as bytes; raises TypeError for what else may be in one."""
    parts: list[bytes] = []
    structure = _packed(element, parts)
    head = json.dumps(structure).encode()
    return struct.pack("<I", len(head)) + head + b"".join(parts)


def _packed(value: Any, parts: list[bytes]) -> Any:
    if isinstance(value, dict):
        return {"dict": [[k, _packed(v, parts)] for k, v in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_packed(v, parts) for v in value]}
    if value is None:
        return None
    array = np.asarray(value, object) if is_text_scalar(value) else np.asarray(value)
    if not isinstance(value, (np.ndarray, np.generic)) and not is_text_scalar(value):
        raise TypeError(f"Only arrays and texts can be kept in a file. Received: {value!r}")
    if array.dtype == object:
        items = [x.encode() if isinstance(x, str) else x for x in array.reshape(-1).tolist()]
        parts += items
        return ["string", list(array.shape), list(map(len, items))]
    parts.append(np.ascontiguousarray(array).tobytes())
    return [array.dtype.name, list(array.shape)]


def unpacked(data: bytes) -> Any:
    """The element that `packed` made these bytes of."""
    size = struct.unpack_from("<I", data)[0]
    return _unpacked(json.loads(data[4 : 4 + size]), io.BytesIO(data[4 + size :]))


def _unpacked(known: Any, data: IO[bytes]) -> Any:
    if known is None:
        return None
    if isinstance(known, dict):
        if "dict" in known:
            return {k: _unpacked(v, data) for k, v in known["dict"]}
        return tuple(_unpacked(v, data) for v in known["tuple"])
    if known[0] == "string":
        items = [data.read(n) for n in known[2]]
        return texts(items).reshape(known[1]) if known[1] else items[0]
    dtype, shape = np.dtype(known[0]), tuple(known[1])
    count = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    return np.frombuffer(bytearray(data.read(count)), dtype).reshape(shape)[()]


def kept(elements: Iterator[Any], path: str, kind: Any = "") -> Iterator[Any]:
    """The elements, which a file holds once all have been asked for."""
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=os.path.basename(path) + ".part")
    os.close(handle)
    try:
        with RecordWriter(temporary, kind) as writer:
            for element in elements:
                writer.write(packed(element))
                yield element
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)


def read_back(path: str, kind: Any = "", first: int = 0) -> Iterator[Any]:
    """The elements in a file."""
    return map(unpacked, itertools.islice(records(path, kind), first, None))
