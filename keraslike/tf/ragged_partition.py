"""Row partitions of ragged tensors: the base class with splits, and conversions to them.

Splits are numpy arrays, or tracers in a traced function that has them as arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.tf import dtypes, ops
from keraslike.tf.conversion import convert_to_tensor, static
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.sparse_tensor import _sparse, pick
from keraslike.tf.structure import Structure, host, is_traced
from keraslike.tf.tensor import WIDE


class Partitioned(Structure):
    """`values` in rows that `splits` delimit."""

    __slots__ = ("_values", "_splits", "_uniform", "_kind")

    @classmethod
    def _make(cls, values: Any, splits: Any, uniform: int | None = None, kind: Any = None) -> Self:
        made = object.__new__(cls)
        made._values, made._uniform = values, uniform
        made._kind = np.dtype(splits.dtype if kind is None else kind)
        traced = isinstance(splits, jax.core.Tracer)
        made._splits = splits if traced else np.asarray(splits, made._kind)
        return made

    @property
    def _rows(self) -> int:
        return self._splits.shape[0] - 1

    def _known(self, what: str, instead: str = "call it outside.") -> np.ndarray:
        return host(self._splits, what, instead)

    @classmethod
    def from_row_splits(
        cls, values: Any, row_splits: Any, name: Any = None, validate: bool = True
    ) -> Self:
        """Row `i` is `values[row_splits[i] : row_splits[i + 1]]`."""
        values, splits = _elements(values), _partition(row_splits, "row_splits")
        if not splits.shape[0]:
            raise ValueError("row_splits must have at least one number. Received an empty tensor.")
        if validate and isinstance(splits, np.ndarray):
            count = _count(values)
            if splits[0] != 0 or (np.diff(splits) < 0).any() or splits[-1] != count:
                raise InvalidArgumentError(
                    f"Row splits must begin with 0, end with {count}, and not decrease. "
                    f"Received: {splits.tolist()}"
                )
        return cls._make(values, splits)

    @classmethod
    def from_row_lengths(
        cls, values: Any, row_lengths: Any, name: Any = None, validate: bool = True
    ) -> Self:
        """Row `i` has the next `row_lengths[i]` values."""
        lengths = _partition(row_lengths, "row_lengths")
        if validate and isinstance(lengths, np.ndarray) and (lengths < 0).any():
            raise InvalidArgumentError(f"Lengths must not be negative: {lengths.tolist()}")
        return cls.from_row_splits(values, _summed(lengths), validate=validate)

    @classmethod
    def from_row_starts(
        cls, values: Any, row_starts: Any, name: Any = None, validate: bool = True
    ) -> Self:
        """Row `i` begins at `row_starts[i]`."""
        values, starts = _elements(values), _partition(row_starts, "row_starts")
        return cls.from_row_splits(values, _joined(starts, [_count(values)]), validate=validate)

    @classmethod
    def from_row_limits(
        cls, values: Any, row_limits: Any, name: Any = None, validate: bool = True
    ) -> Self:
        """Row `i` ends before `row_limits[i]`."""
        limits = _partition(row_limits, "row_limits")
        return cls.from_row_splits(values, _joined([0], limits), validate=validate)

    @classmethod
    def from_value_rowids(
        cls,
        values: Any,
        value_rowids: Any,
        nrows: Any = None,
        name: Any = None,
        validate: bool = True,
    ) -> Self:
        """Value `i` belongs to row `value_rowids[i]`; there are `nrows` rows."""
        values, rows = _elements(values), _partition(value_rowids, "value_rowids")
        if rows.shape[0] != _count(values):
            raise ValueError(f"{_count(values)} values have {rows.shape[0]} value_rowids.")
        if isinstance(rows, np.ndarray) and validate and (np.diff(rows, prepend=0) < 0).any():
            raise InvalidArgumentError(
                f"value_rowids must not be negative or decrease: {rows.tolist()}"
            )
        if nrows is None:
            known = host(rows, "The count of rows", "give nrows=.")
            nrows = known[-1] + 1 if known.size else 0
        count = _number(nrows, "nrows")
        if isinstance(rows, np.ndarray) and rows.size and rows[-1] >= count:
            raise ValueError(f"nrows={count} must be above all value_rowids: {rows.tolist()}")
        return cls._make(values, _splits_of_ids(rows, count))

    @classmethod
    def from_uniform_row_length(
        cls,
        values: Any,
        uniform_row_length: Any,
        nrows: Any = None,
        validate: bool = True,
        name: Any = None,
    ) -> Self:
        """All rows have `uniform_row_length` values."""
        values, length = _elements(values), _number(uniform_row_length, "uniform_row_length")
        total = _count(values)
        rows = (total // length if length else 0) if nrows is None else _number(nrows, "nrows")
        if rows * length != total:
            raise ValueError(
                f"{rows} rows of uniform_row_length={length} do not take {total} values."
            )
        kind = getattr(uniform_row_length, "dtype", dtypes.int64)
        kind = values._kind if isinstance(values, Partitioned) else dtypes.as_dtype(kind).dtype
        return cls._make(values, np.arange(rows + 1, dtype=np.int64) * length, length, kind)

    @classmethod
    def from_nested_row_splits(
        cls, flat_values: Any, nested_row_splits: Sequence, name: Any = None, validate: bool = True
    ) -> Any:
        """From the splits of each ragged axis, the outermost first."""
        return _nested(cls.from_row_splits, flat_values, nested_row_splits, validate)

    @classmethod
    def from_nested_row_lengths(
        cls, flat_values: Any, nested_row_lengths: Sequence, name: Any = None, validate: bool = True
    ) -> Any:
        """From the lengths of each ragged axis, the outermost first."""
        return _nested(cls.from_row_lengths, flat_values, nested_row_lengths, validate)

    @classmethod
    def from_nested_value_rowids(
        cls,
        flat_values: Any,
        nested_value_rowids: Sequence,
        nested_nrows: Sequence | None = None,
        name: Any = None,
        validate: bool = True,
    ) -> Any:
        """From the row numbers of each ragged axis, the outermost first."""
        counts = [None] * len(_listed(nested_value_rowids))
        counts = counts if nested_nrows is None else _listed(nested_nrows)
        pairs = list(zip(nested_value_rowids, counts, strict=True))
        make = lambda flat, pair, validate: cls.from_value_rowids(flat, *pair, validate=validate)  # noqa: E731
        return _nested(make, flat_values, pairs, validate)

    @classmethod
    def from_tensor(
        cls,
        tensor: Any,
        lengths: Any = None,
        padding: Any = None,
        ragged_rank: int = 1,
        name: Any = None,
        row_splits_dtype: Any = dtypes.int64,
    ) -> Self:
        """The rows of a dense tensor.

        Args:
            lengths: the number of elements of each row to keep, or a list of them for each axis.
            padding: a value that is removed from the end of each row.
            ragged_rank: the number of ragged axes.
        """
        tensor = convert_to_tensor(tensor)
        if isinstance(lengths, (list, tuple)) and lengths and np.ndim(lengths[0]):
            if ragged_rank not in (1, len(lengths)):
                raise ValueError(
                    f"ragged_rank={ragged_rank} differs from the {len(lengths)} vectors of lengths."
                )
            out = cls.from_tensor(tensor, lengths[0])
            if len(lengths) > 1:
                out = out.with_values(cls.from_tensor(out._values, lengths[1:]))
            return out.with_row_splits_dtype(row_splits_dtype)
        sizes, k = tuple(tensor.shape), ragged_rank
        if not isinstance(k, int):
            raise TypeError(f"ragged_rank must be an integer. Received: {k!r}")
        if not 0 < k < len(sizes) or (lengths is not None and padding is not None):
            raise ValueError(
                f"Expected 0 < ragged_rank < {len(sizes)}, and either lengths or padding. "
                f"Received: ragged_rank={k}, lengths={lengths}, padding={padding}"
            )
        rows, longest = int(np.prod(sizes[:k])), sizes[k]
        out: Any = cls.from_uniform_row_length(
            ops.reshape(tensor, (rows * longest, *sizes[k + 1 :])), longest, rows
        )
        if padding is not None:
            pad = convert_to_tensor(padding, tensor.dtype)
            if tuple(pad.shape) != sizes[k + 1 :]:
                raise ValueError(
                    f"padding must be of the shape {sizes[k + 1 :]} of an element. "
                    f"Received: shape {tuple(pad.shape)}"
                )
            values = host(tensor, "The length of rows", "give lengths=.")
            other = (values != pad.numpy()).any(tuple(range(k + 1, len(sizes))))
            places = np.arange(1, longest + 1)
            lengths = (other.reshape(rows, longest) * places).max(1, initial=0)
        if lengths is not None:
            lengths = convert_to_tensor(lengths, dtype_hint=dtypes.int64)
            if not lengths.dtype.is_integer:
                raise TypeError(f"lengths must be integers. Received: {lengths.dtype.name}")
            known = np.clip(host(lengths, "The count of values", "call it outside."), 0, longest)
            if known.shape != (rows,):
                raise ValueError(
                    f"Expected the lengths of {rows} rows. Received shape: {known.shape}"
                )
            starts = np.arange(rows) * longest
            out = cls._make(_take(out._values, _ranges(starts, known)), _summed(known))
        for at in range(k - 1, 0, -1):
            out = cls.from_uniform_row_length(out, sizes[at], int(np.prod(sizes[:at])))
        return out.with_row_splits_dtype(row_splits_dtype)

    @classmethod
    def from_sparse(
        cls, st_input: Any, name: Any = None, row_splits_dtype: Any = dtypes.int64
    ) -> Self:
        """The rows of a sparse matrix whose values are at the beginning of its rows."""
        s = _sparse(st_input)
        if len(s.shape) != 2:
            raise ValueError(f"Expected a sparse matrix, received shape {s.shape}.")
        places = host(s.indices, "The form of a ragged tensor", "call it outside.")
        rows, columns = places.T
        out = cls.from_value_rowids(s.values, rows, s.shape[0])
        if not np.array_equal(_columns(out._known("from_sparse"), len(rows)), columns):
            raise InvalidArgumentError(
                "The values of the sparse matrix must be at the beginning of its rows. "
                f"Received indices: {places.tolist()}"
            )
        return out.with_row_splits_dtype(row_splits_dtype)


def _elements(values: Any) -> Any:
    if isinstance(values, Partitioned):
        return values
    values = convert_to_tensor(values)
    if not values.ndim:
        raise InvalidArgumentError("The values of a ragged tensor must have at least one axis.")
    return values


def _number(x: Any, name: str) -> int:
    """A count that is not negative."""
    number = static(x)
    if isinstance(number, (tuple, list)) or int(number) < 0:
        raise ValueError(f"{name} must be a number from 0 on. Received: {x}")
    return int(number)


def _listed(x: Any) -> list:
    if not isinstance(x, (list, tuple)):
        raise TypeError(f"Expected a list with one entry for each ragged axis. Received: {x!r}")
    return list(x)


def _count(values: Any) -> int:
    return values._rows if isinstance(values, Partitioned) else values.shape[0]


def _partition(x: Any, name: str) -> Any:
    if type(x) is np.ndarray and x.ndim == 1 and x.dtype in (np.int32, np.int64):
        return x.copy()
    tensor = convert_to_tensor(x, dtype_hint=None if hasattr(x, "dtype") else dtypes.int64)
    if tensor.dtype not in (dtypes.int32, dtypes.int64) or tensor.ndim != 1:
        raise ValueError(
            f"{name} must be a vector of int32 or int64. "
            f"Received: shape {tuple(tensor.shape)}, dtype {tensor.dtype.name}"
        )
    value = tensor._value
    return value if isinstance(value, jax.core.Tracer) else np.asarray(value)


def _nested(make: Callable, flat: Any, partitions: Sequence, validate: bool) -> Any:
    for partition in reversed(_listed(partitions)):
        flat = make(flat, partition, validate=validate)
    return flat


def _joined(*parts: Any) -> Any:
    traced = any(isinstance(p, jax.core.Tracer) for p in parts)
    kind = next(p.dtype for p in parts if not isinstance(p, list))
    with WIDE(True):
        xp: Any = jnp if traced else np
        return xp.concatenate([xp.asarray(p, kind) for p in parts])


def _summed(lengths: Any) -> Any:
    with WIDE(True):
        xp = jnp if isinstance(lengths, jax.core.Tracer) else np
        return _joined([0], xp.cumsum(lengths, dtype=lengths.dtype))


def _steps(count: Any, dtype: Any) -> Any:
    """The numbers up to a count, which may be an unknown size."""
    xp: Any = np if isinstance(count, (int, np.integer)) else jnp
    return xp.arange(count, dtype=dtype)


def _splits_of_ids(rows: Any, count: int) -> Any:
    with WIDE(True):
        xp: Any = jnp if isinstance(rows, jax.core.Tracer) else np
        return xp.searchsorted(rows, _steps(count + 1, rows.dtype)).astype(rows.dtype)


def _ids(splits: Any, count: int) -> Any:
    """The row of each of `count` values."""
    with WIDE(True):
        xp: Any = jnp if isinstance(splits, jax.core.Tracer) else np
        steps = _steps(count, splits.dtype)
        return xp.searchsorted(splits[1:], steps, side="right").astype(splits.dtype)


def _columns(splits: Any, count: int) -> Any:
    """The index of each of `count` values within its row."""
    with WIDE(True):
        return _steps(count, splits.dtype) - splits[_ids(splits, count)]


def _at(x: Any, places: Any) -> Any:
    """`x[places]`, either of which may be traced."""
    with WIDE(True):
        return jnp.asarray(x)[places] if is_traced(places) else x[places]


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The ranges of numbers from each start on, concatenated."""
    before = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(starts - before, lengths)


def _take(x: Any, rows: np.ndarray) -> Any:
    """The rows at several indices."""
    if not isinstance(x, Partitioned):
        return pick(x, rows)
    splits = x._known("A choice of rows")
    lengths = np.diff(splits)[rows]
    values = _take(x._values, _ranges(splits[:-1][rows], lengths))
    return x._make(values, _summed(lengths), x._uniform, x._kind)
