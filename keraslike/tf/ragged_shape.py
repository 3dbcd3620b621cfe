"""`tf.experimental.RowPartition` and `DynamicRaggedShape`: the shapes of ragged tensors.

A row partition is kept as a ragged tensor whose values are zeros, so that its rows are made,
checked and broadcast in one place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from keraslike.tf import dtypes, ops, table
from keraslike.tf.conversion import constant, convert_to_tensor, static
from keraslike.tf.dtypes import DType
from keraslike.tf.extension_type import BatchableExtensionType
from keraslike.tf.ragged_broadcast import _aligned, _of_rank, _spread
from keraslike.tf.ragged_partition import _columns, _count, _joined, _number, _partition, _summed
from keraslike.tf.ragged_tensor import OPERATIONS, RaggedTensor
from keraslike.tf.structure import NotDense, Structure, host
from keraslike.tf.tensor import Tensor

_KINDS = (dtypes.int32, dtypes.int64)


class RowPartition(Structure):
    """How a sequence of values is divided into rows: a `tf.RaggedTensor` without its values.

    It is created by the `from_...` methods. Row `i` consists of the values from `row_splits[i]` to
    `row_splits[i + 1]`. All methods take `dtype`, which is int32 or int64, or `dtype_hint`, the
    dtype if the numbers that are given have none, by default int64. Unless `validate` is false,
    numbers that are no partition raise InvalidArgumentError or ValueError.

    >>> rows = tf.experimental.RowPartition.from_row_lengths([2, 0, 3])
    >>> rows, rows.value_rowids().numpy().tolist(), rows.offsets_in_rows().numpy().tolist()
    (tf.RowPartition(row_splits=[0 2 2 5]), [0, 0, 2, 2, 2], [0, 1, 0, 1, 2])
    """

    __slots__ = ("_ragged",)

    def __init__(self, *_: Any, **__: Any):
        raise ValueError(
            "Row partitions are created by methods of the class such as "
            "RowPartition.from_row_lengths()."
        )

    @classmethod
    def _of(cls, ragged: RaggedTensor, dtype: Any = None) -> RowPartition:
        made = object.__new__(cls)
        made._ragged = ragged.with_values(_nothing(_count(ragged.values)))
        return made if dtype is None else made.with_dtype(dtype)

    @classmethod
    def _of_splits(cls, splits: Any, validate: bool) -> RowPartition:
        known = host(splits, "The count of values", "call it outside.")
        if not known.size:
            raise ValueError("row_splits must have at least one number. Received an empty tensor.")
        values = _nothing(max(int(known[-1]), 0))
        return cls._of(RaggedTensor.from_row_splits(values, known, validate=validate))

    @classmethod
    def from_row_splits(
        cls, row_splits: Any, validate: bool = True, dtype: Any = None, dtype_hint: Any = None
    ) -> RowPartition:
        """Row `i` is the values from `row_splits[i]` to `row_splits[i + 1]`."""
        return cls._of_splits(_vector(row_splits, "row_splits", dtype, dtype_hint), validate)

    @classmethod
    def from_row_lengths(
        cls, row_lengths: Any, validate: bool = True, dtype: Any = None, dtype_hint: Any = None
    ) -> RowPartition:
        """Row `i` has the next `row_lengths[i]` values."""
        lengths = _vector(row_lengths, "row_lengths", dtype, dtype_hint)
        return cls._of_splits(_summed(lengths), validate)

    @classmethod
    def from_row_starts(
        cls,
        row_starts: Any,
        nvals: Any,
        validate: bool = True,
        dtype: Any = None,
        dtype_hint: Any = None,
    ) -> RowPartition:
        """Row `i` begins at `row_starts[i]`; there are `nvals` values."""
        starts = _vector(row_starts, "row_starts", dtype, dtype_hint)
        return cls._of_splits(_joined(starts, [_number(nvals, "nvals")]), validate)

    @classmethod
    def from_row_limits(
        cls, row_limits: Any, validate: bool = True, dtype: Any = None, dtype_hint: Any = None
    ) -> RowPartition:
        """Row `i` ends before `row_limits[i]`."""
        limits = _vector(row_limits, "row_limits", dtype, dtype_hint)
        return cls._of_splits(_joined([0], limits), validate)

    @classmethod
    def from_value_rowids(
        cls,
        value_rowids: Any,
        nrows: Any = None,
        validate: bool = True,
        dtype: Any = None,
        dtype_hint: Any = None,
    ) -> RowPartition:
        """Value `i` belongs to row `value_rowids[i]`; there are `nrows` rows."""
        ids = _vector(value_rowids, "value_rowids", dtype, dtype_hint)
        values = _nothing(ids.shape[0])
        return cls._of(RaggedTensor.from_value_rowids(values, ids, nrows, validate=validate))

    @classmethod
    def from_uniform_row_length(
        cls,
        uniform_row_length: Any,
        nvals: Any = None,
        nrows: Any = None,
        validate: bool = True,
        dtype: Any = None,
        dtype_hint: Any = None,
    ) -> RowPartition:
        """All rows have `uniform_row_length` values; `nvals`, `nrows` or both must be given."""
        length = _number(uniform_row_length, "uniform_row_length")
        if nvals is None and nrows is None:
            raise ValueError("from_uniform_row_length() needs nvals or nrows.")
        count = length * _number(nrows, "nrows") if nvals is None else _number(nvals, "nvals")
        made = RaggedTensor.from_uniform_row_length(_nothing(count), length, nrows, validate)
        return cls._of(made, dtype or getattr(uniform_row_length, "dtype", dtype_hint))

    @property
    def dtype(self) -> DType:
        """The dtype of the splits, int32 or int64."""
        return dtypes.as_dtype(self._ragged._kind)

    @property
    def static_nrows(self) -> int | None:
        """The number of rows."""
        return self._ragged._rows

    @property
    def static_nvals(self) -> int | None:
        """The number of values."""
        return _count(self._ragged.values)

    @property
    def static_uniform_row_length(self) -> int | None:
        """The length of all rows, if the partition was made with it."""
        return self._ragged._uniform

    def row_splits(self) -> Tensor:
        """Where each row begins, and where the last one ends."""
        return self._ragged.row_splits

    def row_lengths(self) -> Tensor:
        """The number of values of each row."""
        return self._ragged.row_lengths()

    def row_starts(self) -> Tensor:
        """Where each row begins."""
        return self._ragged.row_starts()

    def row_limits(self) -> Tensor:
        """Where each row ends."""
        return self._ragged.row_limits()

    def value_rowids(self) -> Tensor:
        """The row of each value."""
        return self._ragged.value_rowids()

    def offsets_in_rows(self) -> Tensor:
        """The index of each value within its row."""
        ragged = self._ragged
        return ragged._public(_columns(ragged._splits, _count(ragged.values)))

    def nrows(self) -> Tensor:
        """The number of rows, as a tensor."""
        return self._ragged.nrows()

    def nvals(self) -> Tensor:
        """The number of values, as a tensor."""
        return constant(np.asarray(self.static_nvals, self._ragged._kind))

    def uniform_row_length(self) -> Tensor | None:
        """The length of all rows, if the partition was made with it, as a tensor."""
        return self._ragged.uniform_row_length

    def is_uniform(self) -> bool:
        """Whether the partition was made with one length for all rows."""
        return self._ragged._uniform is not None

    def with_dtype(self, dtype: Any) -> RowPartition:
        """The same partition with splits of int32 or int64."""
        return self._of(self._ragged.with_row_splits_dtype(_kind(dtype)))

    def __repr__(self) -> str:
        ragged = self._ragged
        if self.is_uniform():
            return f"tf.RowPartition(nrows={ragged._rows}, uniform_row_length={ragged._uniform})"
        return f"tf.RowPartition(row_splits={ragged._splits})"


def _unflatten(_: Any, parts: Any) -> RowPartition:
    made = object.__new__(RowPartition)
    (made._ragged,) = parts
    return made


jax.tree_util.register_pytree_node(RowPartition, lambda p: ((p._ragged,), None), _unflatten)


def _nothing(count: Any) -> Tensor:
    return ops.zeros([count], dtypes.bool)


def _kind(dtype: Any) -> DType:
    kind = dtypes.as_dtype(dtype)
    if kind not in _KINDS:
        raise ValueError(f"dtype must be int32 or int64. Received: {kind.name}")
    return kind


def _vector(x: Any, name: str, dtype: Any, hint: Any) -> Any:
    """The numbers of a partition in the dtype that is asked for."""
    wanted = hint if dtype is None and not hasattr(x, "dtype") else dtype
    numbers = _partition(x, name)
    return numbers if wanted is None else numbers.astype(_kind(wanted).dtype)


class DynamicRaggedShape(BatchableExtensionType):
    """The shape of a ragged tensor, which `tf.shape` returns: the partitions of its ragged axes,
    and the shape of its flat values.

    `tf.reshape`, `tf.zeros`, `tf.ones`, `tf.fill`, `tf.broadcast_to` and
    `tf.broadcast_dynamic_shape` take it in place of a dense shape. An index is the size of a
    uniform axis, and a slice the shape of some of the axes. The inner shape must be known while a
    function is traced.

    Args:
        row_partitions: the partitions, those of the outermost ragged axis first.
        inner_shape: the shape of the flat values. The first size is the number of values that the
            last partition has.
        dtype: int32 or int64, by default that of the partitions or of `inner_shape`.

    Raises ValueError if the partitions and the inner shape do not fit each other.

    >>> tf.shape(tf.ragged.constant([[1], [2, 3, 4], []]))
    <DynamicRaggedShape lengths=[3, (1, 3, 0)] num_row_partitions=1>
    >>> tf.zeros(tf.experimental.DynamicRaggedShape.from_lengths([2, (1, 2)]), tf.int32)
    <tf.RaggedTensor [[0], [0, 0]]>
    """

    row_partitions: tuple[RowPartition, ...]
    _inner: tuple[Any, ...]
    dtype: DType

    def __init__(
        self,
        row_partitions: Sequence[RowPartition],
        inner_shape: Any,
        dtype: Any = None,
        validate: bool = False,
        static_inner_shape: Any = None,
    ):
        wrong = [p for p in row_partitions if not isinstance(p, RowPartition)]
        if wrong:
            raise TypeError(f"row_partitions must be of RowPartition. Received: {wrong[0]!r}")
        inner = static(inner_shape)
        if not isinstance(inner, tuple) or any(isinstance(n, tuple) for n in inner):
            raise ValueError(f"inner_shape must be a vector. Received: {inner_shape!r}")
        first = [p.dtype for p in row_partitions] or [getattr(inner_shape, "dtype", dtypes.int64)]
        kind = _kind(first[0] if dtype is None else dtype)
        counts = [p.static_nvals for p in row_partitions]
        rows = [*(p.static_nrows for p in row_partitions[1:]), *(inner[:1] if counts else ())]
        if counts != rows:
            raise ValueError(
                f"row_partitions and inner_shape do not fit: the partitions have {counts} values, "
                f"which should be {rows} by what follows them."
            )
        self.row_partitions = tuple(p.with_dtype(kind) for p in row_partitions)
        self._inner, self.dtype = inner, kind

    @classmethod
    def from_lengths(
        cls,
        lengths: Sequence[Sequence[int] | int],
        num_row_partitions: int | None = None,
        dtype: Any = dtypes.int64,
    ) -> DynamicRaggedShape:
        """The shape with a size for each uniform axis, and a tuple of lengths for each ragged one.

        >>> tf.experimental.DynamicRaggedShape.from_lengths([2, (2, 1), 5])
        <DynamicRaggedShape lengths=[2, (2, 1), 5] num_row_partitions=1>
        """
        if not isinstance(lengths, (list, tuple)):
            raise ValueError(f"lengths must be a list. Received: {lengths!r}")
        ragged = [i for i, size in enumerate(lengths) if isinstance(size, (list, tuple))]
        least = ragged[-1] if ragged else 0
        count = least if num_row_partitions is None else num_row_partitions
        if 0 in ragged or not least <= count <= max(len(lengths) - 1, 0):
            raise ValueError(
                f"The first axis of lengths={lengths!r} must be uniform, and num_row_partitions "
                f"from {least} to {max(len(lengths) - 1, 0)}. Received: {num_row_partitions}"
            )
        partitions, rows = [], static(lengths[0]) if lengths else 0
        for size in lengths[1 : count + 1]:
            if isinstance(size, (list, tuple)):
                partition = RowPartition.from_row_lengths(list(size), dtype=dtype)
            else:
                partition = RowPartition.from_uniform_row_length(size, nrows=rows, dtype=dtype)
            if partition.static_nrows != rows:
                raise ValueError(
                    f"lengths={lengths!r}: {size} should be the lengths of {rows} rows."
                )
            partitions.append(partition)
            rows = partition.static_nvals
        inner = [*([rows] if lengths else []), *lengths[count + 1 :]]
        return cls(partitions, inner, dtype)

    @classmethod
    def from_row_partitions(
        cls, row_partitions: Sequence[RowPartition], dtype: Any = None
    ) -> DynamicRaggedShape:
        """The shape that ends with a ragged axis.

        >>> rows = tf.experimental.RowPartition.from_row_lengths([2, 1])
        >>> tf.experimental.DynamicRaggedShape.from_row_partitions([rows])
        <DynamicRaggedShape lengths=[2, (2, 1)] num_row_partitions=1>
        """
        if not row_partitions:
            raise ValueError("row_partitions must not be empty.")
        return cls(row_partitions, [row_partitions[-1].static_nvals], dtype)

    @classmethod
    def from_tensor(cls, t: Any, dtype: Any = None) -> DynamicRaggedShape:
        """The shape of a ragged or a dense tensor.

        >>> tf.experimental.DynamicRaggedShape.from_tensor([[1, 2], [3, 4]])
        <DynamicRaggedShape lengths=[2, 2] num_row_partitions=0>
        """
        ragged = t if isinstance(t, RaggedTensor) else None
        values = convert_to_tensor(t) if ragged is None else ragged.flat_values
        levels = [] if ragged is None else list(ragged._levels())
        return cls([RowPartition._of(level) for level in levels], tuple(values.shape), dtype)

    @property
    def rank(self) -> int:
        """The number of axes."""
        return self.num_row_partitions + self.inner_rank

    @property
    def inner_rank(self) -> int:
        """The number of axes of the flat values."""
        return len(self._inner)

    @property
    def num_row_partitions(self) -> int:
        """The number of row partitions."""
        return len(self.row_partitions)

    @property
    def inner_shape(self) -> Tensor:
        """The shape of the flat values, as a tensor."""
        return constant(self._inner, self.dtype)

    def static_lengths(self, ragged_lengths: bool = True) -> list[Any]:
        """The size of each uniform axis, and for each ragged one the tuple of its lengths.

        These are `None` where they are not known or not wanted.
        """
        if not self.row_partitions:
            return list(self._inner)
        sizes: list[Any] = [self.row_partitions[0].static_nrows]
        for partition in self.row_partitions:
            splits = partition._ragged._splits
            known = ragged_lengths and isinstance(splits, np.ndarray)
            lengths = tuple(np.diff(splits).tolist()) if known else None
            sizes.append(partition.static_uniform_row_length if partition.is_uniform() else lengths)
        return [*sizes, *self._inner[1:]]

    def is_uniform(self, axis: int) -> bool:
        """Whether an axis has one size.

        Raises IndexError if there is no such axis.
        """
        if not 0 <= axis < self.rank:
            raise IndexError(f"axis must be from 0 to {self.rank - 1}. Received: {axis}")
        inside = 0 < axis <= self.num_row_partitions
        return not inside or self.row_partitions[axis - 1].is_uniform()

    def with_dtype(self, dtype: Any) -> DynamicRaggedShape:
        """The same shape with row splits and an inner shape of int32 or int64."""
        return type(self)(self.row_partitions, self._inner, dtype)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._slice(index)
        if not isinstance(index, int):
            raise TypeError(f"A shape is indexed by integers and slices. Received: {index!r}")
        axis = index + self.rank if index < 0 else index
        if not self.is_uniform(axis):
            raise ValueError(f"Axis {axis} is ragged, and has no single size.")
        return constant(np.asarray(self.static_lengths(False)[axis], self.dtype.dtype))

    def _slice(self, axes: slice) -> DynamicRaggedShape:
        if axes.step not in (None, 1):
            raise IndexError(f"The axes of a slice must be adjacent. Received: {axes}")
        start, stop, _ = axes.indices(self.rank)
        if start == 0 < stop:
            count = min(stop - 1, self.num_row_partitions)
            kept = self.row_partitions[:count]
            rows = kept[-1].static_nvals if kept else self.static_lengths(False)[0]
            inner = [rows, *self._inner[1 : stop - count]]
            return type(self)(kept, inner, self.dtype)
        sizes = self.static_lengths(False)[start:stop]
        if None in sizes:
            raise ValueError(f"Axes {start} to {stop - 1} are not all uniform.")
        return type(self)([], sizes, self.dtype)

    def _with_rows(self, flat_values: Any) -> Any:
        """The tensor of this shape with these flat values."""
        for partition in reversed(self.row_partitions):
            flat_values = partition._ragged.with_values(flat_values)
        return flat_values

    def _broadcast(self, x: Any) -> Any:
        if not self.row_partitions:
            return ops.broadcast_to(x, self._inner)
        pattern = self._with_rows(ops.zeros(self._inner, dtypes.bool))
        if isinstance(x, RaggedTensor):
            values = _aligned(pattern, _of_rank(x, self.rank))
        else:
            values = _spread(pattern, convert_to_tensor(x))
        return self._with_rows(ops.broadcast_to(values, self._inner))

    def _operate(self, name: str, function: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        if name in _TAKES:
            return _TAKES[name](*args, **{k: v for k, v in kwargs.items() if k != "name"})
        return super()._operate(name, function, args, kwargs)

    def __repr__(self) -> str:
        lengths = ", ".join(map(str, self.static_lengths()))
        count = self.num_row_partitions
        return f"<DynamicRaggedShape lengths=[{lengths}] num_row_partitions={count}>"


def _reshape(tensor: Any, shape: DynamicRaggedShape) -> Any:
    return shape._with_rows(ops.reshape(tensor, shape._inner))


def _broadcast_to(input: Any, shape: Any) -> Any:
    if not isinstance(shape, DynamicRaggedShape):
        raise NotDense(input)
    return shape._broadcast(input)


def _broadcast_shapes(shape_x: Any, shape_y: Any) -> DynamicRaggedShape:
    """The shape of the sum of tensors of two shapes."""
    shapes = [
        s if isinstance(s, DynamicRaggedShape) else DynamicRaggedShape([], s)
        for s in (shape_x, shape_y)
    ]
    x, y = (s._with_rows(ops.zeros(s._inner, dtypes.int32)) for s in shapes)
    return DynamicRaggedShape.from_tensor(table.add(x, y), shapes[0].dtype)


def _shape(function: Callable, input: Any, out_type: Any = None, name: Any = None) -> Any:
    return DynamicRaggedShape.from_tensor(input, out_type or dtypes.int32)


_TAKES: dict[str, Callable] = {
    "broadcast_dynamic_shape": _broadcast_shapes,
    "broadcast_to": _broadcast_to,
    "reshape": _reshape,
}
OPERATIONS.update(
    broadcast_to=lambda function, *args, **kwargs: _broadcast_to(*args, **kwargs), shape=_shape
)

__all__ = ["DynamicRaggedShape", "RowPartition"]
