"""Reading and writing files of records, lines and elements."""

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
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from keraslike.core import checksums
from keraslike.core.errors import DamagedFile, naming_file
from keraslike.core.iteration import Failed
from keraslike.data.elements import is_text_scalar, texts

_BLOCK = 2**18


class DataLossError(DamagedFile):
    """A file of records is damaged; the message has the position.

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
    """The name of a compression type. Raises ValueError for an unknown one."""
    name = "" if kind is None else kind.decode() if isinstance(kind, bytes) else str(kind)
    name = {"NONE": "", "AUTO": "", "None": ""}.get(name, name)
    if name not in ("", "GZIP", "ZLIB"):
        raise ValueError(f"compression_type must be '', 'GZIP' or 'ZLIB'. Received: {kind!r}")
    return name


def opened(path: str, kind: Any = "") -> Any:
    """A file opened for reading, which is decompressed."""
    kind = compression(kind)
    if kind == "GZIP":
        return gzip.open(path, "rb")
    if kind == "ZLIB":
        return io.BufferedReader(_Inflated(path), _BLOCK)
    return open(path, "rb", buffering=_BLOCK)


def lines(path: str, kind: Any = "") -> Iterator[bytes]:
    """The lines of a text file, without line endings."""
    with opened(path, kind) as file:
        for line in file:
            if b"\r" in line:  # TensorFlow drops every carriage return
                line = line.replace(b"\r", b"")
            yield line[:-1] if line.endswith(b"\n") else line


def pieces(path: str, size: int, header: int, footer: int, kind: Any = "") -> Iterator[bytes]:
    """Records of one size. Raises DataLossError if the size of the file does not fit."""
    if not compression(kind) and (os.path.getsize(path) - header - footer) % size:
        left = os.path.getsize(path) - header - footer
        raise ValueError(
            f"{path}: {left} bytes between a header of {header} and a footer of {footer} are not "
            f"records of {size} bytes each."
        )
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
    """The records of a TFRecord file. Raises DataLossError for a truncated or damaged one."""
    at, held, wanted = 0, b"", 12  # position of the buffer, the buffer, bytes of the next record
    with opened(path, kind) as file:
        while True:
            blocks, size = [held], len(held)
            try:
                while size < wanted and (block := file.read1(_BLOCK)):
                    blocks.append(block)
                    size += len(block)
            except (zlib.error, gzip.BadGzipFile, EOFError) as e:
                raise _damaged(path, at, f"cannot be decompressed: {e}") from e
            if not size:
                return
            if size < wanted:
                raise _damaged(path, at, "is cut off")
            held, starts, begin, wanted, known = b"".join(blocks), [], 0, 12, True
            while known and size - begin >= 12:
                length = struct.unpack_from("<Q", held, begin)[0]
                known = held[begin : begin + 12] == checksums.head(length)
                if known and size - begin < length + 16:
                    wanted = length + 16
                    break
                starts.append(begin)
                begin += length + 16 if known else 0
            yield from _checked(held, [*starts, begin] if known else starts, at, path)
            if not known:
                what = "is corrupted: the checksum of its length is another"
                raise _damaged(path, at + begin, what)
            at, held = at + begin, held[begin:]


def _damaged(path: str, at: int, what: str) -> DataLossError:
    return DataLossError(f"{path}: the record at {at} {what}.")


def _checked(held: bytes, starts: list[int], at: int, path: str) -> Iterator[bytes]:
    """The data of records that begin at `starts`, the last of which is the end of the others."""
    data = [held[a + 12 : b - 4] for a, b in itertools.pairwise(starts)]
    for start, record, tail in zip(starts, data, checksums.tails(data)):
        end = start + 12 + len(record)
        if held[end : end + 4] != tail:
            raise _damaged(path, at + start, "is corrupted: its checksum is another")
        yield record


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
        level = getattr(options, "compression_level", None)
        level = -1 if level is None else int(level)
        if kind == "GZIP":
            self._file: Any = gzip.open(path, "wb", level if level >= 0 else 9)  # noqa: SIM115
        else:
            self._file = open(path, "wb")  # noqa: SIM115
        self._path = os.fspath(path)
        self._deflate = zlib.compressobj(level) if kind == "ZLIB" else None
        self._held: list[bytes] = []  # buffered, since checksums are computed for many at once
        self._size = 0

    def write(self, record: Any) -> None:
        """Appends a record, bytes or a text."""
        if self._file.closed:
            raise ValueError("write() was called on a RecordWriter that is closed.")
        if not isinstance(record, bytes):
            record = getattr(record, "numpy", lambda: record)()
            if not isinstance(record, (str, bytes, bytearray, memoryview)):
                raise TypeError(f"A record must be bytes or a string. Received: {record!r}")
            record = record.encode() if isinstance(record, str) else bytes(record)
        self._held.append(record)
        self._size += len(record) + 16
        if self._size > _BLOCK:
            self._put()

    def _put(self) -> None:
        data = checksums.written(self._held)
        self._held, self._size = [], 0
        with naming_file(self._path):
            self._file.write(data if self._deflate is None else self._deflate.compress(data))

    def flush(self) -> None:
        """Writes the buffered records."""
        self._put()
        with naming_file(self._path):
            if self._deflate is not None:
                self._file.write(self._deflate.flush(zlib.Z_SYNC_FLUSH))
            self._file.flush()

    def close(self) -> None:
        """Writes the buffered records, and closes the file."""
        if not self._file.closed:
            with naming_file(self._path), self._file:
                self._put()
                if self._deflate is not None:
                    self._file.write(self._deflate.flush())

    def __del__(self) -> None:
        if hasattr(self, "_size"):
            self.close()

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


# Other values that an element may contain, by their names in files: the class, a function that
# returns the arrays and strings of a value as a tuple, and one that makes a value of such a tuple.
STRUCTURES: dict[str, tuple[type, Any, Any]] = {}


# -- elements -------------------------------------------------------------------------------------


def packed(element: Any) -> bytes:
    """An element of arrays and texts as bytes. Raises TypeError for other leaves."""
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
    for name, (kind, parts_of, _) in STRUCTURES.items():
        if isinstance(value, kind):
            return {"of": name, "tuple": [_packed(v, parts) for v in parts_of(value)]}
    array = np.asarray(value, object) if is_text_scalar(value) else np.asarray(value)
    if not isinstance(value, (np.ndarray, np.generic)) and not is_text_scalar(value):
        raise TypeError(f"Only arrays and texts can be written to a file. Received: {value!r}")
    if array.dtype == object:
        items = [x.encode() if isinstance(x, str) else x for x in array.reshape(-1).tolist()]
        parts += items
        return ["string", list(array.shape), list(map(len, items))]
    parts.append(np.ascontiguousarray(array).tobytes())
    return [array.dtype.name, list(array.shape)]


def unpacked(data: bytes) -> Any:
    """The element that `packed` encoded."""
    size = struct.unpack_from("<I", data)[0]
    return _unpacked(json.loads(data[4 : 4 + size]), io.BytesIO(data[4 + size :]))


def _unpacked(known: Any, data: IO[bytes]) -> Any:
    if known is None:
        return None
    if isinstance(known, dict):
        if "dict" in known:
            return {k: _unpacked(v, data) for k, v in known["dict"]}
        items = tuple(_unpacked(v, data) for v in known["tuple"])
        return STRUCTURES[known["of"]][2](items) if "of" in known else items
    if known[0] == "string":
        items = [data.read(n) for n in known[2]]
        return texts(items).reshape(known[1]) if known[1] else items[0]
    dtype, shape = np.dtype(known[0]), tuple(known[1])
    count = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    return np.frombuffer(bytearray(data.read(count)), dtype).reshape(shape)[()]


def kept(elements: Iterator[Any], path: str, count: int) -> Iterator[Any]:
    """The elements, which are also written to a file, without errors; it appears after number
    `count` or, if that is negative, after the last one."""
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=os.path.basename(path) + ".part")
    os.close(handle)
    written = 0
    try:
        with RecordWriter(temporary) as writer:
            for element in elements:
                if type(element) is not Failed:
                    writer.write(packed(element))
                    written += 1
                    if written == count:
                        writer.close()
                        os.replace(temporary, path)
                yield element
        if written != count:
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(temporary)


def read_back(path: str, kind: Any = "", first: int = 0) -> Iterator[Any]:
    """The elements in a file, from number `first` on."""
    return map(unpacked, itertools.islice(records(path, kind), first, None))
