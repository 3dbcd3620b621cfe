"""`tf.io`: reading, writing and decoding of files, records, images and tables."""

from __future__ import annotations

import errno
import math
import os
from typing import Any

import numpy as np

from keraslike.data import records
from keraslike.data.elements import texts
from keraslike.data.files import Column, check_layout, split
from keraslike.data.sources import matching, paths
from keraslike.tf import coding, dtypes, gfile, parsing, pictures, serialized  # noqa: F401
from keraslike.tf.conversion import constant, convert_to_tensor
from keraslike.tf.errors import FailedPreconditionError, InvalidArgumentError
from keraslike.tf.python import run_by_python
from keraslike.tf.tensor import Tensor

for _module in (coding, parsing, pictures, serialized):
    globals().update({_name: getattr(_module, _name) for _name in _module.__all__})


class TFRecordOptions:
    """The compression of a file of records: `"GZIP"`, `"ZLIB"` or none.

    >>> tf.io.TFRecordOptions(compression_type="GZIP").compression_type
    'GZIP'
    """

    def __init__(
        self,
        compression_type: Any = None,
        flush_mode: Any = None,
        input_buffer_size: Any = None,
        output_buffer_size: Any = None,
        window_bits: Any = None,
        compression_level: Any = None,
        compression_method: Any = None,
        mem_level: Any = None,
        compression_strategy: Any = None,
    ):
        if isinstance(compression_type, TFRecordOptions):
            compression_type = compression_type.compression_type
        self.compression_type = records.compression(compression_type)
        self.flush_mode, self.window_bits = flush_mode, window_bits
        self.input_buffer_size, self.output_buffer_size = input_buffer_size, output_buffer_size
        self.compression_level, self.mem_level = compression_level, mem_level
        self.compression_method = compression_method
        self.compression_strategy = compression_strategy

    @classmethod
    def get_compression_type_string(cls, options: Any) -> str:
        """The name of the compression that `TFRecordOptions` or a name specify."""
        return (
            options.compression_type if isinstance(options, cls) else records.compression(options)
        )


class TFRecordWriter(records.RecordWriter):
    """Writes a TFRecord file.

    Args:
        options: the compression: `"GZIP"`, `"ZLIB"`, or `TFRecordOptions`.

    Raises NotFoundError if the file's directory is missing, FailedPreconditionError for a record
    after `close()`.

    >>> import tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "records")
    >>> with tf.io.TFRecordWriter(path) as writer:
    ...     writer.write(b"one")
    >>> [record.numpy() for record in tf.data.TFRecordDataset(path)]
    [b'one']
    """

    def __init__(self, path: Any, options: Any = None):
        with gfile.errors(path):
            super().__init__(path, options)

    def write(self, record: Any) -> None:
        """Writes a record: bytes or a string."""
        if self._file.closed:
            raise FailedPreconditionError("Writer is closed.")
        super().write(record)


def _one(filename: Any) -> str:
    shape = () if isinstance(filename, os.PathLike) else tuple(convert_to_tensor(filename).shape)
    if shape:
        raise InvalidArgumentError(
            f"A single file name was expected. Received a tensor of shape {shape}"
        )
    return paths(filename)[0]


def read_file(filename: Any, name: str | None = None) -> Tensor:
    """The contents of a file, as one text.

    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "text")
    >>> tf.io.write_file(path, "text")
    >>> tf.io.read_file(path).numpy()
    b'text'
    """
    run_by_python("io.read_file")
    path = _one(filename)
    with gfile.errors(path), open(path, "rb") as file:
        return constant(file.read())


def write_file(filename: Any, contents: Any, name: str | None = None) -> None:
    """Writes a text to a file, whose directory is created if necessary.

    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "text")
    >>> tf.io.write_file(path, "text")
    >>> tf.io.gfile.exists(path)
    True
    """
    run_by_python("io.write_file")
    path = _one(filename)
    data = convert_to_tensor(contents, dtypes.string).numpy()
    temporary = f"{path}.{os.getpid()}.part"
    with gfile.errors(path):
        if os.path.isdir(path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(data)
        os.replace(temporary, path)


def matching_files(pattern: Any, name: str | None = None) -> Tensor:
    """The paths that match one or several patterns, sorted.

    >>> tf.io.matching_files("/no/such/file*").shape
    TensorShape([0])
    """
    run_by_python("io.matching_files")
    try:
        found = matching(pattern)
    except ValueError:
        found = []
    return Tensor(texts(path.encode() for path in found))


def decode_csv(
    records: Any,
    record_defaults: Any,
    field_delim: str = ",",
    use_quote_delim: bool = True,
    na_value: str = "",
    select_cols: Any = None,
    name: str | None = None,
) -> list[Tensor]:
    """The columns of rows of CSV text, each a tensor of the shape of `records`.

    Args:
        record_defaults: for each column, its dtype or the default for an empty field.
        select_cols: the numbers of the columns to include.

    Raises InvalidArgumentError for a row with another number of fields, for missing fields without
    a default, and for invalid numbers.

    >>> decode_csv("1,,x", [0, 2.5, ""])
    [<tf.Tensor: shape=(), dtype=int32, numpy=1>, <tf.Tensor: shape=(), dtype=float32, numpy=2.5>,
     <tf.Tensor: shape=(), dtype=string, numpy=b'x'>]
    """
    given = np.asarray(convert_to_tensor(records))
    for i, default in enumerate(record_defaults):
        shape = getattr(default, "shape", None)
        shape = np.shape(default) if shape is None else tuple(shape)
        if len(shape) > 1 or math.prod(shape) > 1:
            raise InvalidArgumentError(
                f"There should only be 1 default per field but field {i} has shape {shape}"
            )
    columns = [Column(default) for default in record_defaults]
    if select_cols is not None and any(int(n) < 0 for n in select_cols):
        raise ValueError(f"select_cols must not be negative. Received: {select_cols}")
    check_layout(field_delim, select_cols, len(columns), InvalidArgumentError)
    found: list[list[Any]] = [[] for _ in columns]
    for number, text in enumerate(given.reshape(-1).tolist()):
        try:
            decoded = text.decode("utf-8", "surrogateescape")
            row = split(decoded, field_delim, use_quote_delim) if decoded else []
        except ValueError as e:
            raise InvalidArgumentError(f"{e} (record {number})") from None
        chosen = range(len(row)) if select_cols is None else [int(n) for n in select_cols]
        if len(chosen) != len(columns) or (chosen and max(chosen) >= len(row)):
            raise InvalidArgumentError(
                f"Expect {len(columns)} fields but have {len(row)} in record {number}"
            )
        for i, (column, place) in enumerate(zip(columns, chosen)):
            try:
                found[i].append(column.value(row[place], na_value, i))
            except ValueError as e:
                raise InvalidArgumentError(f"{e} (record {number})") from None
    out = []
    for column, values in zip(columns, found):
        array = texts(values) if column.type is None else np.asarray(values, column.type)
        out.append(Tensor(array.reshape(given.shape)))  # on the host, as data is prepared there
    return out


def decode_raw(
    input_bytes: Any,
    out_type: Any,
    little_endian: bool = True,
    fixed_length: Any = None,
    name: str | None = None,
) -> Tensor:
    """The bytes of texts, reinterpreted as numbers along a last axis.

    >>> decode_raw(["ab", "cd"], dtypes.uint8).numpy().tolist()
    [[97, 98], [99, 100]]
    """
    given = np.asarray(convert_to_tensor(input_bytes, dtype_hint=dtypes.string))
    if given.dtype != object:
        raise InvalidArgumentError(
            f"A tensor of strings was expected. Received: tensor of {given.dtype.name}"
        )
    dtype = dtypes.as_dtype(out_type).dtype
    items = given.reshape(-1).tolist()
    if fixed_length is not None:
        items = [item[:fixed_length].ljust(int(fixed_length), b"\0") for item in items]
    lengths = set(map(len, items))
    if len(lengths) > 1 or any(n % dtype.itemsize for n in lengths):
        raise InvalidArgumentError(
            f"Texts of one length, a multiple of {dtype.itemsize} bytes, were expected. Received "
            f"lengths: {sorted(lengths)}"
        )
    order = dtype if little_endian else dtype.newbyteorder(">")
    flat = np.frombuffer(b"".join(items), order).astype(dtype)
    return Tensor(flat.reshape(*given.shape, -1 if items else 0))


__all__ = [
    *("TFRecordOptions", "TFRecordWriter", "decode_csv", "decode_raw", "gfile"),
    *("matching_files", "read_file", "write_file"),
    *coding.__all__,
    *parsing.__all__,
    *serialized.__all__,
    *pictures.__all__,
]
__dir__ = __all__.copy
