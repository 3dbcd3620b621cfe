"""Functions of `tf` that sort, deduplicate, search and count."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from keraslike.tf import dtypes, ops, table
from keraslike.tf.conversion import _as_operand, constant, index_dtype, static
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.indexing import _concrete
from keraslike.tf.operation import operands
from keraslike.tf.ops import cast, expand_dims
from keraslike.tf.table import less, reduce_max
from keraslike.tf.tensor import WIDE, Tensor, run


def sort(values: Any, axis: int = -1, direction: str = "ASCENDING", name: Any = None) -> Tensor:
    """The elements, sorted along an axis.

    >>> tf.sort([3, 1, 2]).numpy().tolist()
    [1, 2, 3]
    """
    return run(_sort, (_as_operand(values),), (static(axis), _is_descending(direction)))


def _is_descending(direction: str) -> bool:
    if direction not in ("ASCENDING", "DESCENDING"):
        raise ValueError(
            f"direction must be 'ASCENDING' or 'DESCENDING'. Received: direction={direction!r}"
        )
    return direction == "DESCENDING"


def _is_negated(x: Any, descending: bool) -> bool:
    """Whether an array is sorted as its negative: a stable order, in which NaN is the last."""
    if x.dtype.kind in "bc":
        raise ValueError(f"tensors of {x.dtype.name} cannot be sorted.")
    return descending and jnp.issubdtype(x.dtype, jnp.floating)


def _sort(x: Any, axis: int, descending: bool) -> Any:
    if _is_negated(x, descending):
        return -jnp.sort(-x, axis=axis)
    return jnp.sort(x, axis=axis, descending=descending)


def argsort(
    values: Any,
    axis: int = -1,
    direction: str = "ASCENDING",
    stable: bool = False,
    name: Any = None,
) -> Tensor:
    """The indices that sort the elements, int32.

    >>> tf.argsort([3, 1, 2], direction="DESCENDING").numpy().tolist()
    [0, 2, 1]
    """
    return run(_argsort, (_as_operand(values),), (static(axis), _is_descending(direction)))


def _argsort(x: Any, axis: int, descending: bool) -> Any:
    if _is_negated(x, descending):
        x, descending = -x, False
    return jnp.argsort(x, axis=axis, descending=descending, stable=True).astype(np.int32)


class TopKV2(NamedTuple):
    values: Any
    indices: Any


def top_k(
    input: Any,
    k: Any = 1,
    sorted: bool = True,
    index_type: Any = dtypes.int32,
    name: Any = None,
) -> TopKV2:
    """The `k` largest elements along the last axis, as `values` and `indices`.

    >>> values, indices = tf.math.top_k([1, 3, 2], 2)
    >>> values.numpy().tolist(), indices.numpy().tolist()
    ([3, 2], [1, 2])
    """
    kind = index_dtype("math.top_k", index_type, dtypes.int16).dtype
    return run(_top_k, (_as_operand(input),), (static(k), kind))


def _top_k(x: Any, k: int, kind: Any) -> Any:
    table.check_kind("math.top_k", x, "bc")
    values, indices = jax.lax.top_k(x, k)
    with WIDE(kind.itemsize == 8):
        return TopKV2(values, jnp.asarray(indices).astype(kind))


class Unique(NamedTuple):
    y: Tensor
    idx: Tensor


class UniqueWithCounts(NamedTuple):
    y: Tensor
    idx: Tensor
    count: Tensor


def unique(x: Any, out_idx: Any = dtypes.int32, name: Any = None) -> Unique:
    """The different elements in the order of their first occurrence (`y`), and the index of each
    element in them (`idx`).

    >>> y, idx = tf.unique([7, 8, 7])
    >>> y.numpy().tolist(), idx.numpy().tolist()
    ([7, 8], [0, 1, 0])
    """
    return Unique(*unique_with_counts(x, out_idx)[:2])


def unique_with_counts(x: Any, out_idx: Any = dtypes.int32, name: Any = None) -> UniqueWithCounts:
    """Like `unique`, with the `count` of each different element.

    >>> [t.numpy().tolist() for t in unique_with_counts(constant([7, 1, 7]))]
    [[7, 1], [0, 1, 0], [2, 1]]
    """
    values = _concrete("unique", _as_operand(x))
    _, first, inverse, counts = np.unique(
        values, return_index=True, return_inverse=True, return_counts=True, equal_nan=False
    )
    order = np.argsort(first)
    places = np.argsort(order)[inverse.reshape(-1)]
    kind = index_dtype("unique", out_idx)
    idx, count = (cast(constant(n.astype(np.int64)), kind) for n in (places, counts[order]))
    return UniqueWithCounts(constant(values[first[order]]), idx, count)


def searchsorted(
    sorted_sequence: Any,
    values: Any,
    side: str = "left",
    out_type: Any = dtypes.int32,
    name: str | None = None,
) -> Tensor:
    """The positions at which values would be inserted into a sorted sequence.

    >>> tf.searchsorted([1, 3, 5], [0, 3, 9]).numpy().tolist()
    [0, 1, 3]
    """
    given = operands("searchsorted", sorted_sequence, values)
    kind = index_dtype("searchsorted", out_type)
    return cast(run(_searchsorted, given, (side,), constant=(0, 1)), kind)


def _searchsorted(a: Any, v: Any, side: str) -> Any:
    if a.shape[:-1] != v.shape[:-1]:
        raise ValueError(
            "sorted_sequence and values must have the same leading sizes. "
            f"Received shapes: {a.shape} and {v.shape}"
        )
    if a.ndim == 1:
        return jnp.searchsorted(a, v, side=side)
    count = math.prod(v.shape[:-1])
    rows, wanted = a.reshape(count, a.shape[-1]), v.reshape(count, v.shape[-1])
    found = jax.vmap(lambda a, v: jnp.searchsorted(a, v, side=side))(rows, wanted)
    return found.reshape(v.shape)


def check_weights(values: Any, weights: Any, by_row: bool) -> None:
    """Raises an error unless weights have the structure of the values that they are for: ValueError
    for another class of tensors, else InvalidArgumentError."""
    (kind, parts), (other, others) = map(_structure, (values, weights))
    if kind != other:
        raise ValueError(f"weights must be {kind} tensor, as values are. Received {other} tensor.")
    if kind == "a dense" and not by_row:
        parts, others = [math.prod(parts[0])], [math.prod(others[0])]
    if not all(map(np.array_equal, parts, others)):
        raise InvalidArgumentError(
            f"weights must have the structure of values: {parts}. Received: {others}"
        )


def _structure(x: Any) -> tuple[str, list[Any]]:
    if hasattr(x, "indices"):
        return "a sparse", [tuple(x.shape), np.asarray(x.indices)]
    if hasattr(x, "nested_row_splits"):
        return "a ragged", [np.asarray(splits) for splits in x.nested_row_splits]
    return "a dense", [tuple(_as_operand(x).shape)]


def bincount(
    arr: Any,
    weights: Any = None,
    minlength: Any = None,
    maxlength: Any = None,
    dtype: Any = dtypes.int32,
    name: Any = None,
    axis: int | None = None,
    binary_output: bool = False,
) -> Tensor:
    """The number of occurrences of each integer, or the sum of their weights.

    Args:
        minlength, maxlength: limits of the number of counts; larger integers are ignored.
        axis: `None` or 0 to count all elements together, -1 to count each row.
        binary_output: whether to return 1 for integers that occur, and 0 for others.

    >>> bincount([1, 1, 3], minlength=5).numpy().tolist()
    [0, 2, 0, 1, 0]
    """
    if binary_output and weights is not None:
        raise ValueError("weights cannot be given with binary_output=True.")
    if axis not in (None, 0, -1):
        raise ValueError(f"axis must be None, 0 or -1. Received: axis={axis}")
    if weights is not None:
        check_weights(arr, weights, axis == -1)
    splits = getattr(arr, "row_splits", None)  # of a ragged tensor
    if splits is not None:
        arr, weights = arr.flat_values, getattr(weights, "flat_values", weights)
    indices = getattr(arr, "indices", None)  # of a sparse tensor, whose stored values are counted
    if indices is not None:
        rows, sizes = np.asarray(indices)[:, 0], tuple(arr.shape)
        arr, weights = arr.values, getattr(weights, "values", weights)
    values = _concrete("math.bincount", _as_operand(arr))
    if values.dtype.kind != "i":
        values = values.astype(np.int64)
    w = None if weights is None else _concrete("math.bincount", _as_operand(weights))
    if values.size and values.min() < 0:
        raise InvalidArgumentError(f"arr must not have negative numbers. Received: {values.min()}")
    kind = dtypes.as_dtype(dtype).as_numpy_dtype if w is None else w.dtype
    size = max(int(values.max(initial=-1)) + 1, int(static(minlength) or 0))
    if maxlength is not None:
        size = min(size, int(static(maxlength)))
    rank = values.ndim if indices is None else len(sizes)
    by_row = axis == -1 and (splits is not None or rank > 1)
    if not by_row:
        numbers, count = np.zeros(values.size, int), 1
    elif indices is not None:
        numbers, count = rows, sizes[0]
    elif splits is not None:
        lengths: Any = np.diff(np.asarray(splits))
        numbers, count = np.repeat(np.arange(len(lengths)), lengths), len(lengths)
    else:
        numbers, count = np.repeat(np.arange(len(values)), values.shape[1]), len(values)
    out, values = np.zeros((count, size), kind), values.reshape(-1)
    within = values < size
    np.add.at(out, (numbers[within], values[within]), 1 if w is None else w.reshape(-1)[within])
    if binary_output:
        out = (out > 0).astype(kind)
    return constant(out if by_row else out[0])


class ListDiff(NamedTuple):
    """The elements of a list that are not in another, and their indices."""

    out: Tensor
    idx: Tensor


def list_diff(x: Any, y: Any, out_idx: Any = dtypes.int32) -> ListDiff:
    """The elements of `x` that are not in `y`, in their order, and their indices.

    >>> [t.numpy().tolist() for t in tf.raw_ops.ListDiff(x=[1, 2, 3, 4], y=[2, 4])]
    [[1, 3], [0, 2]]
    """
    ours, theirs = operands("ListDiff", x, y)
    values, known = (_concrete("ListDiff", tensor) for tensor in (ours, theirs))
    kept = np.flatnonzero(~np.isin(values, known))
    return ListDiff(constant(values[kept], ours.dtype), cast(constant(kept), out_idx))


def sequence_mask(
    lengths: Any, maxlen: Any = None, dtype: Any = dtypes.bool_, name: str | None = None
) -> Tensor:
    """A mask that is true for the first `lengths[i]` elements of row `i`.

    >>> tf.sequence_mask([1, 3], 3).numpy().tolist()
    [[True, False, False], [True, True, True]]
    """
    lengths = _as_operand(lengths)
    longest = static(reduce_max(lengths) if maxlen is None else maxlen)
    if not isinstance(longest, int) and not export.is_symbolic_dim(longest):
        raise ValueError(f"maxlen must be a scalar. Received: {maxlen}")
    steps = ops.range(longest, dtype=lengths.dtype)
    return cast(less(steps, expand_dims(lengths, -1)), dtype)
