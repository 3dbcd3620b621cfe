"""`tf.ragged`: creation of ragged tensors, and operations on them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core.boxed import BoxedResults
from keraslike.tf import dtypes, ops, ragged_moves  # noqa: F401  (it registers operations)
from keraslike.tf.conversion import convert_to_tensor, static
from keraslike.tf.crossing import cross, cross_hashed
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.ragged_broadcast import _expand_dims, _operand, map_flat_values
from keraslike.tf.ragged_math import _rows_joined, _rows_of, stack
from keraslike.tf.ragged_partition import (
    _count,
    _ids,
    _number,
    _partition,
    _splits_of_ids,
    _take,
)
from keraslike.tf.ragged_tensor import OPERATIONS, RaggedTensor
from keraslike.tf.structure import host
from keraslike.tf.tensor import Tensor


def constant(
    pylist: Any,
    dtype: Any = None,
    ragged_rank: int | None = None,
    inner_shape: Any = None,
    name: str | None = None,
    row_splits_dtype: Any = dtypes.int64,
) -> Any:
    """A ragged tensor of nested lists, or a dense tensor of a flat list or a number.

    Args:
        dtype: the dtype of the elements, by default that of `tf.constant`.
        ragged_rank: the number of ragged axes, by default all but the first and those in
            `inner_shape`.
        inner_shape: the sizes of the innermost axes, which are uniform.

    Raises ValueError if elements are at different depths.

    >>> constant([[1, 2], [], [3]])
    <tf.RaggedTensor [[1, 2], [], [3]]>
    """
    if dtype is None and isinstance(pylist, np.ndarray):
        dtype = pylist.dtype if pylist.dtype.kind != "O" else None
    data = _as_lists(pylist)
    depths = _depths(data, 0)
    scalars = {depth for is_scalar, depth in depths if is_scalar}
    deepest = max(depth for _, depth in depths)
    if len(scalars) > 1 or (scalars and max(scalars) < deepest):
        raise ValueError(f"All elements must be at one depth. Received: {pylist!r}")
    inner = () if inner_shape is None else tuple(static(inner_shape))
    # The depth of empty lists is only known from `ragged_rank`.
    rank = max(scalars) if scalars else max(deepest, 1, (ragged_rank or 0) + 1 + len(inner))
    if ragged_rank is None:
        ragged_rank = max(0, rank - 1 - len(inner))
    scalar = not isinstance(data, list)
    if ragged_rank < 0 or (scalar and (ragged_rank or inner)):
        raise ValueError(
            f"ragged_rank={ragged_rank} and inner_shape={inner_shape} do not fit {pylist!r}."
        )
    if scalar or ragged_rank == 0:
        dense = convert_to_tensor(data, dtype)
        if dense.ndim and inner_shape is not None and np.size(dense) != np.prod(inner):
            raise TypeError(f"{pylist!r} does not have the inner_shape {inner_shape}.")
        return dense if inner_shape is None else ops.reshape(dense, inner)
    if ragged_rank >= rank or (inner and ragged_rank + 1 + len(inner) != rank and scalars):
        raise ValueError(
            f"Lists of depth {rank} do not have ragged_rank={ragged_rank} and "
            f"inner_shape={inner_shape}."
        )
    splits = []
    for _ in np.arange(ragged_rank):  # in this module `range` is that of tf.ragged
        splits.append(np.cumsum([0, *[len(row) for row in data]]))
        data = [item for row in data for item in row]
    if not data:
        kind = dtypes.float32 if dtype is None else dtypes.as_dtype(dtype)
        missing = inner or (0,) * (rank - ragged_rank - 1)
        values = ops.reshape(convert_to_tensor([], kind), (0, *missing))
    else:
        values = convert_to_tensor(data, dtype)
    kind = dtypes.as_dtype(row_splits_dtype).dtype
    return RaggedTensor.from_nested_row_splits(values, [s.astype(kind) for s in splits])


def _as_lists(x: Any) -> Any:
    if isinstance(x, (np.ndarray, np.generic)):
        x = x.tolist()
    return [_as_lists(item) for item in x] if isinstance(x, (list, tuple)) else x


def _depths(x: Any, depth: int) -> set[tuple[bool, int]]:
    """For each element and each empty list, whether it is an element, and its depth."""
    if not isinstance(x, list):
        return {(True, depth)}
    return set().union(*[_depths(item, depth + 1) for item in x]) or {(False, depth + 1)}


def range(  # noqa: A001
    starts: Any,
    limits: Any = None,
    deltas: Any = 1,
    dtype: Any = None,
    name: str | None = None,
    row_splits_dtype: Any = dtypes.int64,
) -> RaggedTensor:
    """Rows of numbers, each from a start, by default 0, to a limit, which is excluded.

    >>> range([3, 0, 2])
    <tf.RaggedTensor [[0, 1, 2], [], [0, 1]]>
    """
    starts, limits = (0, starts) if limits is None else (starts, limits)
    given = [convert_to_tensor(x) for x in (starts, limits, deltas)]
    floats = [x.dtype for x in given if x.dtype.is_floating]
    wide = [x.dtype for x in given if x.dtype is dtypes.int64]
    kind = dtypes.as_dtype(dtype) if dtype else (*floats, *wide, dtypes.int32)[0]
    known = [host(x, "The count of numbers", "pass numbers.") for x in given]
    sizes = {k.size for k in known if k.ndim}
    if any(k.ndim > 1 for k in known) or len(sizes) > 1:
        raise InvalidArgumentError(
            "starts, limits and deltas must be scalars, or vectors of one size. "
            f"Received shapes: {[k.shape for k in known]}"
        )
    wide_kind = np.float64 if kind.is_floating else np.int64
    rows = np.broadcast_arrays(*[k.astype(wide_kind) for k in np.atleast_1d(*known)])
    if (rows[2] == 0).any():
        raise InvalidArgumentError(f"deltas must not be 0. Received: {rows[2].tolist()}")
    counts = np.ceil((rows[1].astype(float) - rows[0]) / rows[2])
    if (counts > 2**48).any():
        raise InvalidArgumentError(f"A range of {counts.max():.3g} numbers is too long.")
    parts = [np.arange(a, b, d) for a, b, d in zip(*rows, strict=True)]
    values = np.concatenate([*parts, np.zeros(0)]).astype(kind.dtype)
    lengths = np.asarray([len(p) for p in parts], dtypes.as_dtype(row_splits_dtype).dtype)
    return RaggedTensor.from_row_lengths(values, lengths)


def boolean_mask(data: Any, mask: Any, name: str | None = None) -> Any:
    """The elements, or rows, where the mask holds, in their original rows.

    >>> boolean_mask([[1, 2, 3], [4, 5, 6]], [[True, False, True], [False, False, False]])
    <tf.RaggedTensor [[1, 3], []]>
    """
    data = data if isinstance(data, RaggedTensor) else convert_to_tensor(data)
    mask = mask if isinstance(mask, RaggedTensor) else convert_to_tensor(mask, dtypes.bool)
    if mask.dtype is not dtypes.bool:
        raise ValueError(f"mask must be of dtype bool. Received: {mask.dtype.name}")
    if len(mask.shape) == 1:
        keep = host(mask, "The count of rows", "use tf.where(mask, data, 0) there.")
        if len(keep) != _count(data):
            raise ValueError(f"A mask of {len(keep)} does not fit {_count(data)} rows.")
        return _take(data, np.flatnonzero(keep))
    if not isinstance(mask, RaggedTensor):
        mask = RaggedTensor.from_tensor(mask)
    if not isinstance(data, RaggedTensor):
        data = RaggedTensor.from_tensor(data)
    splits = data._known("The count of elements")
    if not np.array_equal(splits, mask._known("The count of elements")):
        raise InvalidArgumentError(f"The mask {mask} and the data {data} must have the same rows.")
    values = boolean_mask(data._values, mask._values)
    if len(mask.shape) > 2:
        return data.with_values(values)
    kept = np.append(0, np.cumsum(np.asarray(mask._values)))
    return data._make(values, kept[splits].astype(data._kind))


def segment_ids_to_row_splits(
    segment_ids: Any, num_segments: Any = None, out_type: Any = None, name: Any = None
) -> Tensor:
    """The row splits for the row number of each value, in any order.

    >>> tf.ragged.segment_ids_to_row_splits([0, 0, 2]).numpy().tolist()
    [0, 2, 2, 3]
    """
    ids = _partition(segment_ids, "segment_ids")
    if num_segments is None:
        known = host(ids, "The count of segments", "give num_segments=.")
        num_segments = known.max(initial=-1) + 1
    xp = jnp if isinstance(ids, jax.core.Tracer) else np
    return _typed(_splits_of_ids(xp.sort(ids), int(static(num_segments))), out_type)


def row_splits_to_segment_ids(splits: Any, name: Any = None, out_type: Any = None) -> Tensor:
    """The row number of each value for row splits.

    >>> tf.ragged.row_splits_to_segment_ids([0, 2, 2, 3]).numpy().tolist()
    [0, 0, 2]
    """
    splits = _partition(splits, "splits")
    if not splits.shape[0]:
        raise ValueError("splits must have at least one number. Received an empty tensor.")
    count = host(splits, "The count of values", "use RaggedTensor.value_rowids().")[-1]
    return _typed(_ids(splits, int(count)), out_type)


def _typed(value: Any, out_type: Any) -> Tensor:
    kind = value.dtype if out_type is None else out_type
    return ops.cast(convert_to_tensor(value), kind)


def stack_dynamic_partitions(
    data: Any, partitions: Any, num_partitions: Any, name: str | None = None
) -> RaggedTensor:
    """A ragged tensor whose row `i` has the elements with the number `i` in `partitions`.

    >>> tf.ragged.stack_dynamic_partitions([10, 20, 30], [0, 1, 0], 2).to_list()
    [[10, 30], [20]]
    """
    data, partitions = _operand(data), _operand(partitions)
    count = _number(num_partitions, "num_partitions")
    if not len(partitions.shape):
        data, partitions = _expand_dims(ops.expand_dims, data, 0), ops.reshape(partitions, [1])
    while len(partitions.shape) > 1:
        if len(data.shape) < 2 or not np.array_equal(_rows_of(data), _rows_of(partitions)):
            raise ValueError(
                "The shape of partitions must begin the shape of data. "
                f"Received: {partitions.shape} and {data.shape}"
            )
        data, partitions = _rows_joined(data), _rows_joined(partitions)
    which = host(partitions, "The length of rows", "call it outside.")
    if (which < 0).any() or (which >= count).any():
        raise InvalidArgumentError(f"partitions must be in [0, {count}): {which.tolist()}")
    if len(which) != _count(data):
        raise ValueError(f"{len(which)} partitions do not fit {_count(data)} rows of data.")
    order = np.argsort(which, kind="stable")
    return RaggedTensor.from_value_rowids(_take(data, order), which[order], count)


def _dynamic_partition(
    function: Any, data: Any, partitions: Any, num_partitions: Any, name: Any = None
) -> list:
    return list(stack_dynamic_partitions(data, partitions, num_partitions))


OPERATIONS["dynamic_partition"] = _dynamic_partition

__all__ = [
    "boolean_mask",
    "constant",
    "cross",
    "cross_hashed",
    "map_flat_values",
    "range",
    "row_splits_to_segment_ids",
    "segment_ids_to_row_splits",
    "stack",
    "stack_dynamic_partitions",
]
__dir__ = __all__.copy


BoxedResults.ragged = RaggedTensor.from_row_lengths
