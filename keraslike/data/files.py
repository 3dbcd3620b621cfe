"""Data sets of the lines, records and rows of files."""

from __future__ import annotations

import gzip
import io
import itertools
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from keraslike.core.iteration import Failed, begun, caught, tried
from keraslike.data import records
from keraslike.data.dataset import Dataset
from keraslike.data.elements import (
    UNKNOWN,
    ArraySpec,
    as_int,
    host,
    is_text_scalar,
    positive,
    stack,
)
from keraslike.data.pipeline import Pipeline, enduring
from keraslike.data.sources import matching, paths

_TEXT = ArraySpec((), "string")
_NUMBERS = ("float32", "float64", "int32", "int64")


class _OfFiles(Dataset):
    """The elements that `read` yields for each file, one file after the other.

    Args:
        filenames: one or several names, or a data set of them.
        parallel: how many files are read at a time, one element of each in turn.
    """

    def __init__(
        self, filenames: Any, read: Callable[[str], Iterator[Any]], parallel: Any, spec: Any
    ):
        known = isinstance(filenames, Pipeline)
        sure = known and (filenames._known_spec or filenames._find_spec) is not None
        if sure and filenames._spec() != _TEXT:
            raise TypeError(f"filenames must be a data set of texts. Received: {filenames._spec()}")
        names = filenames if known else Dataset.from_tensor_slices(paths(filenames))
        if parallel is None:

            def make() -> Iterator[Any]:
                for name in tried(names._start(0)):
                    if type(name) is Failed:
                        yield name
                        continue
                    for each in [name] if is_text_scalar(name) else np.ravel(name).tolist():
                        yield from self._of_file(read, *paths(each))
        else:
            cycle = as_int(parallel)

            def opened(name: Any) -> Any:
                (path,) = paths(name)
                return Dataset._make(enduring(lambda: self._of_file(read, path)), UNKNOWN)

            names = names.interleave(opened, cycle, 1, cycle)

            def make() -> Iterator[Any]:
                return names._start(0)

        self._set(enduring(make), UNKNOWN, (names,) if known else (), lambda: spec)

    def _of_file(self, read: Callable[[str], Iterator[Any]], path: str) -> Iterator[Any]:
        """The elements that are read; errors have the types that users expect."""
        for element in begun(lambda: read(path)):
            error = element.error if type(element) is Failed else None
            if isinstance(error, FileNotFoundError):
                element = Failed(self._view.missing(f"{path}; No such file or directory"))
            elif isinstance(error, (zlib.error, gzip.BadGzipFile, EOFError)):
                element = Failed(records.DataLossError(f"{path}: cannot be decompressed: {error}"))
            elif isinstance(error, ValueError) and not isinstance(error, records.DataLossError):
                element = Failed(self._view.error(str(error)))
            yield element


class _OfRecords(_OfFiles):
    """The elements that `_read` yields for each file, which may be compressed."""

    _read: Callable[[str, Any], Iterator[bytes]]

    def __init__(
        self,
        filenames: Any,
        compression_type: Any = None,
        buffer_size: Any = None,
        num_parallel_reads: Any = None,
        name: str | None = None,
    ):
        kind, read = records.compression(compression_type), self._read
        super().__init__(filenames, lambda p: read(p, kind), num_parallel_reads, _TEXT)


class TextLineDataset(_OfRecords):
    """The lines of text files, without line endings.

    Args:
        filenames: one or several names, or a data set of them.
        compression_type: `"GZIP"`, `"ZLIB"` or none.
        num_parallel_reads: how many files are read at a time, one line of each in turn.

    >>> from keraslike import tf
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "lines")
    >>> tf.io.write_file(path, "one" + chr(10) + "two")
    >>> [line.numpy() for line in tf.data.TextLineDataset(path)]
    [b'one', b'two']
    """

    _read = staticmethod(records.lines)


class TFRecordDataset(_OfRecords):
    """The records of TFRecord files, as bytes. Checksums are verified: DataLossError names the file
    and the position of a damaged record. The arguments are those of `TextLineDataset`.

    >>> from keraslike import tf
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "records")
    >>> with tf.io.TFRecordWriter(path) as writer:
    ...     writer.write(b"one")
    >>> [r.numpy() for r in tf.data.TFRecordDataset(path)]
    [b'one']
    """

    _read = staticmethod(records.records)


class FixedLengthRecordDataset(_OfFiles):
    """Records of `record_bytes` bytes each, between a header and a footer. The other arguments are
    those of `TextLineDataset`.

    >>> from keraslike import tf
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "records")
    >>> tf.io.write_file(path, "aabb")
    >>> [r.numpy() for r in tf.data.FixedLengthRecordDataset(path, 2)]
    [b'aa', b'bb']
    """

    def __init__(
        self,
        filenames: Any,
        record_bytes: Any,
        header_bytes: Any = None,
        footer_bytes: Any = None,
        buffer_size: Any = None,
        compression_type: Any = None,
        num_parallel_reads: Any = None,
        name: str | None = None,
    ):
        kind, size = records.compression(compression_type), as_int(record_bytes) or 0
        if size < 1:
            raise ValueError(f"record_bytes must be positive. Received: {record_bytes!r}")
        header, footer = as_int(header_bytes) or 0, as_int(footer_bytes) or 0
        if header < 0 or footer < 0:
            raise ValueError(
                "header_bytes and footer_bytes must be at least 0. "
                f"Received: {header_bytes!r} and {footer_bytes!r}"
            )

        def read(path: str) -> Iterator[bytes]:
            return records.pieces(path, size, header, footer, kind)

        super().__init__(filenames, read, num_parallel_reads, _TEXT)


# -- tables -----------------------------------------------------------------------------------


def number_of(text: str) -> float:
    """A number in C's notation, which includes hexadecimal digits; raises ValueError for others."""
    if not text.isascii() or "_" in text:
        raise ValueError(f"Not a number: {text!r}")
    return float.fromhex(text) if text.lstrip("+-")[:2] in ("0x", "0X") else float(text)


class Column:
    """The dtype of a CSV column, and the default for its empty fields."""

    def __init__(self, default: Any):
        default = getattr(default, "numpy", lambda: default)()
        self.default: Any = None
        if hasattr(default, "as_numpy_dtype") or isinstance(default, type):
            dtype = np.dtype(getattr(default, "as_numpy_dtype", default))
        else:
            known = isinstance(default, (np.ndarray, np.generic))
            array = np.asarray(default if known else host(default))
            if isinstance(default, (list, tuple)):
                array = np.asarray([host(x) for x in default] or np.zeros(0, "float32"))
            dtype = array.dtype
            if array.ndim > 1:
                raise Dataset._own_view().error(
                    f"The default of a CSV column must be one value. Received: {default!r}"
                )
            if array.size:
                self.default = array.reshape(-1)[0]
        self.name = "string" if dtype.kind in "OSU" else dtype.name
        if self.name != "string" and self.name not in _NUMBERS:
            raise TypeError(
                f"The dtype of a CSV column must be one of {(*_NUMBERS, 'string')}. "
                f"Received: {dtype}"
            )
        self.type = None if self.name == "string" else dtype.type
        if self.default is not None and self.type is None:
            self.default = (
                str(self.default).encode() if isinstance(self.default, str) else bytes(self.default)
            )

    def value(self, field: str, na_value: str, number: int) -> Any:
        """The value of a field. Raises ValueError if it is missing or not a number of the dtype."""
        if field == na_value or field == "":
            if self.default is None:
                raise ValueError(f"Field {number} is required but missing in record!")
            return self.default
        if self.type is None:
            return field.encode("utf-8", "surrogateescape")
        try:
            text = field.strip()
            if self.name.startswith("int"):
                if not text.isascii() or "_" in text:
                    raise ValueError
                found = int(text)
                info = np.iinfo(self.type)
                if not info.min <= found <= info.max:
                    raise ValueError
                return self.type(found)
            return self.type(number_of(text))
        except ValueError:
            raise ValueError(
                f"Field {number} in record is not a valid {self.name}: {field}"
            ) from None


_QUOTED = re.compile(r'"((?:[^"]|"")*+)"')


class _Open(ValueError):
    """Raised for a quoted field that continues on the next line."""


def split(text: str, delimiter: str = ",", quotes: bool = True) -> list[str]:
    """The fields of a row of CSV text without its line end; raises ValueError for quotes and line
    ends in an unquoted field."""
    found, place = [], 0
    while True:
        quoted = quotes and text.startswith('"', place)
        if quoted:
            match = _QUOTED.match(text, place)
            if match is None:
                raise _Open("Quoted field has to end with quote followed by delim or end")
            found.append(match[1].replace('""', '"'))
            end = match.end()
            if end < len(text) and text[end] != delimiter:
                raise ValueError("Quote inside a string has to be escaped by another quote")
        else:
            end = text.find(delimiter, place)
            end = len(text) if end < 0 else end
            field = text[place:end]
            if (quotes and '"' in field) or "\n" in field or "\r" in field:
                raise ValueError("Unquoted fields cannot have quotes/CRLFs inside")
            found.append(field)
        place = end + 1
        if end >= len(text):
            return found


def rows(lines: Iterable[str], delimiter: str = ",", quotes: bool = True) -> Iterator[Any]:
    """The rows of CSV text, each as a list of fields, or a `Failed` for a malformed row. A quoted
    field may span several lines."""
    row = ""
    for line in lines:
        row += line
        whole = row.rstrip("\r\n")
        if not quotes or '"' not in whole:
            yield whole.split(delimiter)
        else:
            try:
                yield split(whole, delimiter, quotes)
            except _Open:
                continue
            except ValueError as error:
                yield caught(error)
        row = ""
    if row:
        yield Failed(ValueError("Reached end of file without closing quoted field in record"))


def check_layout(delimiter: Any, select_cols: Any, columns: int, error: type[Exception]) -> None:
    """Raises an error for a delimiter of several characters and for unordered columns."""
    if not isinstance(delimiter, str) or len(delimiter) != 1:
        raise error(f"field_delim should be only 1 char. Received: field_delim={delimiter!r}")
    if select_cols is None:
        return
    chosen = [int(n) for n in select_cols]
    if len(chosen) != columns:
        raise error(
            f"select_cols should match output size: there are {columns} in record_defaults. "
            f"Received: select_cols={chosen}"
        )
    if any(a >= b for a, b in itertools.pairwise(chosen)):
        raise error(
            f"select_cols should be strictly increasing indices. Received: select_cols={chosen}"
        )
    if chosen and chosen[0] < 0:
        raise error(f"select_cols should not be negative. Received: select_cols={chosen}")


class CsvDataset(_OfFiles):
    """The rows of CSV files, as tuples.

    Args:
        filenames: one or several names, or a data set of them.
        record_defaults: for each column, its dtype or the default for an empty field.
        header: whether the first line of each file is skipped.
        field_delim, use_quote_delim: the delimiter, and whether fields may be quoted.
        na_value: a text that is equivalent to an empty field.
        select_cols, exclude_cols: the numbers of the columns to include, or to leave out.

    Iteration raises ValueError for missing fields without a default, and for invalid numbers.

    >>> from keraslike import tf
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "table.csv")
    >>> tf.io.write_file(path, "1,a" + chr(10) + "2,b")
    >>> rows = tf.data.experimental.CsvDataset(path, [tf.int32, tf.string])
    >>> [(a.numpy().tolist(), b.numpy()) for a, b in rows]
    [(1, b'a'), (2, b'b')]
    """

    def __init__(
        self,
        filenames: Any,
        record_defaults: Sequence[Any],
        compression_type: Any = None,
        buffer_size: Any = None,
        header: bool = False,
        field_delim: str = ",",
        use_quote_delim: bool = True,
        na_value: str = "",
        select_cols: Sequence[int] | None = None,
        exclude_cols: Sequence[int] | None = None,
    ):
        columns = [Column(default) for default in record_defaults]
        kind = records.compression(compression_type)
        error = self._own_view().error
        if select_cols is not None and exclude_cols is not None:
            raise error("Only one of select_cols and exclude_cols may be given.")
        if buffer_size is not None:
            positive("buffer_size", buffer_size, error=error)
        check_layout(field_delim, select_cols, len(columns), error)
        left_out = set(map(int, exclude_cols or ()))

        def values(path: str, line: int, row: Any) -> Any:
            if type(row) is Failed:
                return Failed(ValueError(f"{row.error} (row {line} of {path})"))
            chosen = range(len(row)) if select_cols is None else [int(n) for n in select_cols]
            if left_out:
                chosen = [n for n in chosen if n not in left_out]
            if len(chosen) != len(columns) or (chosen and chosen[-1] >= len(row)):
                what = f"Expect {len(columns)} fields but have {len(row)} in record"
                return Failed(ValueError(f"{what}: row {line} of {path}"))
            try:
                pairs = enumerate(zip(columns, chosen))
                return tuple(c.value(row[n], na_value, i) for i, (c, n) in pairs)
            except ValueError as e:
                return Failed(ValueError(f"{e} (row {line} of {path})"))

        def read(path: str) -> Iterator[Any]:
            binary = records.opened(path, kind)
            with io.TextIOWrapper(binary, "utf-8", "surrogateescape", newline="") as file:
                found = enumerate(rows(file, field_delim, use_quote_delim), 1)
                if header and next(found, None) is None:
                    raise ValueError(f"{path} has no header.")
                for line, row in found:
                    yield values(path, line, row)

        spec = tuple(ArraySpec((), c.name) for c in columns)
        super().__init__(filenames, read, None, spec)


def make_csv_dataset(
    file_pattern: Any,
    batch_size: int,
    column_names: Sequence[str] | None = None,
    column_defaults: Sequence[Any] | None = None,
    label_name: str | None = None,
    select_columns: Sequence[Any] | None = None,
    field_delim: str = ",",
    use_quote_delim: bool = True,
    na_value: str = "",
    header: bool = True,
    num_epochs: int | None = None,
    shuffle: bool = True,
    shuffle_buffer_size: int = 10000,
    shuffle_seed: int | None = None,
    prefetch_buffer_size: Any = None,
    num_parallel_reads: Any = None,
    sloppy: bool = False,
    num_rows_for_inference: int | None = 100,
    compression_type: Any = None,
    ignore_errors: bool = False,
    encoding: str = "utf-8",
) -> Any:
    """Batches of the rows of CSV files, as dicts of columns or pairs of a dict and the labels.

    Args:
        file_pattern: one or several patterns of file names.
        column_names: the names of the columns, by default the fields of the first row.
        column_defaults: for each column, its dtype or the default for an empty field; by default
            the narrowest of int32, int64, float32, float64 and text that fits the first rows.
        label_name: the name of the column with the labels.
        select_columns: the names or numbers of the columns to include.
        num_epochs: how often the data is repeated; forever if `None`.
        shuffle, shuffle_buffer_size, shuffle_seed: the order of files and rows.
        num_rows_for_inference: the number of rows from which dtypes are inferred.
        ignore_errors: whether rows that cannot be read are left out.

    Raises ValueError if no file matches, and for unknown column names.

    >>> from keraslike import tf
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "table.csv")
    >>> tf.io.write_file(path, "a,b" + chr(10) + "1,2")
    >>> batches = tf.data.experimental.make_csv_dataset(path, 1, label_name="b", num_epochs=1)
    >>> [(x["a"].numpy().tolist(), y.numpy().tolist()) for x, y in batches]
    [([1], [2])]
    """
    files = matching(file_pattern)

    def rows_of(path: str) -> Iterator[list[str]]:
        with io.TextIOWrapper(records.opened(path, compression_type), encoding, newline="") as file:
            found = rows(file, field_delim, use_quote_delim)
            yield from (row for row in found if type(row) is not Failed)

    if column_names is None:
        if not header:
            raise ValueError("With header=False, column_names must be given.")
        column_names = next(rows_of(files[0]), [])
        for path in files[1:]:
            if next(rows_of(path), []) != column_names:
                raise ValueError(
                    f"All files must have the column names of the first one, {column_names}. "
                    f"{path} has others."
                )
    names = [str(n) for n in column_names]
    if len(set(names)) != len(names):
        raise ValueError(f"Column names must differ. Received: {names}")
    places = list(range(len(names)))
    if select_columns is not None:
        places = sorted(names.index(c) if isinstance(c, str) else int(c) for c in select_columns)
    if label_name is not None and label_name not in [names[n] for n in places]:
        raise ValueError(f"label_name must be one of the columns. Received: {label_name!r}")
    if column_defaults is None:
        column_defaults = _inferred(
            rows_of, files, places, len(names), na_value, header, num_rows_for_inference
        )
    elif len(column_defaults) != len(places):
        raise ValueError(
            f"column_defaults must have a default for each of the {len(places)} columns that are "
            f"read. Received: {len(column_defaults)} defaults."
        )

    def packed(*columns: Any) -> Any:
        found = {names[n]: c for n, c in zip(places, columns)}
        return found if label_name is None else (found, found.pop(label_name))

    dataset = Dataset.from_tensor_slices(files)
    if shuffle:
        dataset = dataset.shuffle(len(files), shuffle_seed)

    def read(path: Any) -> Any:
        made = CsvDataset(
            path,
            column_defaults,
            compression_type,
            None,
            header,
            field_delim,
            use_quote_delim,
            na_value,
            select_cols=None if select_columns is None else places,
        )
        made._view = dataset._view
        return made

    dataset = dataset.interleave(read, as_int(num_parallel_reads) or 1)
    if ignore_errors:
        dataset = dataset.ignore_errors()
    if shuffle:
        dataset = dataset.shuffle(shuffle_buffer_size, shuffle_seed)
    if num_epochs != 1:
        dataset = dataset.repeat(num_epochs)

    def combine(rows: list[Any]) -> Any:
        return packed(*stack(rows))

    columns = [Column(default) for default in column_defaults]
    drop = num_epochs is None

    def known(_: Any, rows: int | None) -> Any:
        return packed(*[ArraySpec((rows,), c.name) for c in columns])

    dataset = dataset.grouped(batch_size, combine, drop, known)
    ahead = 1 if prefetch_buffer_size is None else prefetch_buffer_size
    return dataset.prefetch(ahead)


def _inferred(
    rows_of: Callable,
    files: list[str],
    places: list[int],
    width: int,
    na: str,
    header: bool,
    most: Any,
) -> list[Any]:
    """Defaults of the narrowest dtypes that fit the fields of the first rows."""
    kinds = [0] * len(places)
    seen = [False] * len(places)
    left = float("inf") if most is None else most
    for path in files:
        for number, row in enumerate(rows_of(path)):
            if header and not number:
                continue
            if left <= 0:
                break
            left -= 1
            if len(row) != width:
                raise ValueError(
                    "The dtypes of the columns cannot be inferred: "
                    f"row {number + 1} of {path} has {len(row)} fields, not {width}."
                )
            for i, place in enumerate(places):
                if row[place] not in ("", na):
                    seen[i] = True
                    kinds[i] = max(kinds[i], _kind(row[place]))
    defaults = [np.int32(0), np.int64(0), np.float32(0), np.float64(0), ""]
    return [defaults[k] if s else "" for k, s in zip(kinds, seen)]


def _kind(field: str) -> int:
    try:
        number = int(field)
        if -(2**31) <= number < 2**31:
            return 0
        if -(2**63) <= number < 2**63:
            return 1
    except ValueError:
        pass
    try:
        number = float(field)
        return 3 if float(np.finfo("float32").max) < abs(number) < float("inf") else 2
    except ValueError:
        return 4
