"""Functions of `tf.sparse` that rearrange, slice and combine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from keraslike.tf import dtypes, indexing, ops, table
from keraslike.tf.conversion import constant, convert_to_tensor, mismatch, static
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.sparse_tensor import SparseTensor, _flat, _make, _sparse, _strides, pick, reorder
from keraslike.tf.structure import host
from keraslike.tf.tensor import Tensor, run


def _places(s: SparseTensor, name: str) -> np.ndarray:
    return host(
        s.indices,
        f"The count of values that tf.sparse.{name} gives",
        "call it outside, or on a tensor whose indices are constants.",
    )


def _axis(axis: Any, rank: int, name: str) -> int:
    axis = static(axis)
    if isinstance(axis, tuple) or not -rank <= axis < rank:
        raise InvalidArgumentError(
            f"tf.sparse.{name}: axis must be in [{-rank}, {rank}). Received: {axis}"
        )
    return axis % rank


def eye(
    num_rows: Any, num_columns: Any = None, dtype: Any = dtypes.float32, name: Any = None
) -> SparseTensor:
    """A matrix with ones on the diagonal.

    >>> tf.sparse.to_dense(tf.sparse.eye(2)).numpy().tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    rows = static(num_rows)
    columns = rows if num_columns is None else static(num_columns)
    steps = np.arange(min(rows, columns))
    return SparseTensor(np.stack([steps, steps], -1), ops.ones(len(steps), dtype), (rows, columns))


def to_indicator(sp_input: Any, vocab_size: int, name: Any = None) -> Tensor:
    """A tensor that is true at the values, as indices along a last axis of size `vocab_size`.

    >>> tf.sparse.to_indicator(
    ...     tf.sparse.SparseTensor([[0, 0]], [2], [1, 1]), 4
    ... ).numpy().tolist()
    [[False, False, True, False]]
    """
    s = _sparse(sp_input)
    sizes = (*s._sizes[:-1], static(vocab_size))
    indexing.check_places("sp_input", ops.expand_dims(s._values, -1), sizes[-1:])
    return run(_indicate, (s._values, s.indices), (sizes,))


def _indicate(values: Any, indices: Any, sizes: tuple[int, ...]) -> Any:
    return jnp.zeros(sizes, bool).at[(*indices.T[:-1], values)].set(True)


def transpose(sp_input: Any, perm: Any = None, name: str | None = None) -> SparseTensor:
    """The tensor with its axes in another order, by default reversed.

    >>> tf.sparse.to_dense(tf.sparse.transpose(tf.sparse.from_dense([[0, 1]]))).numpy().tolist()
    [[0], [1]]
    """
    s = _sparse(sp_input)
    rank = len(s._sizes)
    perm = tuple(range(rank))[::-1] if perm is None else tuple(static(perm))
    if sorted(perm) != list(range(rank)):
        raise ValueError(f"perm must be a permutation of {rank} axes. Received: {list(perm)}")
    columns = indexing.gather(s.indices, np.asarray(perm), axis=1)
    return reorder(_make(columns, s._values, [s._sizes[p] for p in perm]))


def reshape(sp_input: Any, shape: Any, name: str | None = None) -> SparseTensor:
    """The same elements in another shape; one size may be -1.

    >>> tf.sparse.to_dense(
    ...     tf.sparse.reshape(tf.sparse.from_dense([0, 1, 2, 0]), [2, 2])
    ... ).numpy().tolist()
    [[0, 1], [2, 0]]
    """
    s = _sparse(sp_input)
    wanted, count = list(static(shape)), math.prod(s._sizes)
    if wanted.count(-1) > 1:
        raise InvalidArgumentError(f"Only one size may be -1. Received: shape={wanted}")
    known = math.prod(n for n in wanted if n != -1)
    if -1 in wanted and known and count % known == 0:
        wanted[wanted.index(-1)] = count // known
    if math.prod(wanted) != count or -1 in wanted:
        raise InvalidArgumentError(
            f"A sparse tensor of shape {list(s._sizes)} has {count} places, which do not fill "
            f"shape={wanted}."
        )
    return _make(run(_reshape, (s.indices,), (s._sizes, tuple(wanted))), s._values, wanted)


def _reshape(indices: Any, old: tuple[int, ...], new: tuple[int, ...]) -> Any:
    flat = _flat(indices, old)[:, None]
    return flat // _strides(new) % np.asarray(new, np.int64)


def expand_dims(sp_input: Any, axis: Any = None, name: str | None = None) -> SparseTensor:
    """The tensor with an additional axis of size 1, by default the last.

    >>> tf.sparse.expand_dims(tf.sparse.from_dense([0, 1]), 0).shape
    TensorShape([1, 2])
    """
    s = _sparse(sp_input)
    at = _axis(-1 if axis is None else axis, len(s._sizes) + 1, "expand_dims")
    indices = ops.pad(s.indices, [[0, 0], [1, 0]])
    order = [*range(1, at + 1), 0, *range(at + 1, len(s._sizes) + 1)]
    sizes = (*s._sizes[:at], 1, *s._sizes[at:])
    return _make(indexing.gather(indices, np.asarray(order), axis=1), s._values, sizes)


def concat(
    axis: Any, sp_inputs: Sequence[Any], expand_nonconcat_dims: bool = False, name: Any = None
) -> SparseTensor:
    """Sparse tensors concatenated along an axis.

    Args:
        expand_nonconcat_dims: whether other sizes may differ; the largest is used.

    >>> x = tf.sparse.from_dense([[0, 1]])
    >>> tf.sparse.to_dense(tf.sparse.concat(0, [x, x])).numpy().tolist()
    [[0, 1], [0, 1]]
    """
    given = [_sparse(s) for s in sp_inputs]
    if not given:
        raise InvalidArgumentError("tf.sparse.concat: sp_inputs must have at least one tensor.")
    if len(given) == 1:  # TensorFlow does not look at the axis.
        return given[0]
    rank = len(given[0]._sizes)
    at = _axis(axis, rank, "concat")
    for i, s in enumerate(given):
        others = [n for a, n in enumerate(s._sizes) if a != at]
        first = [n for a, n in enumerate(given[0]._sizes) if a != at]
        if len(s._sizes) != rank or (others != first and not expand_nonconcat_dims):
            raise InvalidArgumentError(
                f"tf.sparse.concat: sizes must match except along axis {at}: "
                f"{given[0]._sizes}, but at position {i} {s._sizes}."
            )
        if s.dtype is not given[0].dtype:
            raise InvalidArgumentError(mismatch("sparse.concat", given[0].dtype, s.dtype, i))
    sizes = [max(n) for n in zip(*[s._sizes for s in given], strict=True)]
    sizes[at] = sum(s._sizes[at] for s in given)
    starts = np.cumsum([0, *[s._sizes[at] for s in given]])
    offset = np.eye(rank, dtype=np.int64)[at]
    indices = [table.add(s.indices, offset * n) for s, n in zip(given, starts)]
    values = ops.concat([s._values for s in given], 0)
    return reorder(_make(ops.concat(indices, 0), values, sizes))


def slice(sp_input: Any, start: Any, size: Any, name: Any = None) -> SparseTensor:  # noqa: A001
    """The slice that begins at `start`, of `size` at most.

    >>> x = tf.sparse.from_dense([[0, 1], [2, 3]])
    >>> tf.sparse.to_dense(tf.sparse.slice(x, [0, 1], [2, 1])).numpy().tolist()
    [[1], [3]]
    """
    s = _sparse(sp_input)
    start, size = static(start), static(size)
    if not len(start) == len(size) == len(s._sizes):
        raise InvalidArgumentError(
            f"start and size must have {len(s._sizes)} elements. Received: {start}, {size}"
        )
    sizes = [max(0, min(n, m - b)) for b, n, m in zip(start, size, s._sizes)]
    moved = _places(s, "slice") - np.asarray(start, np.int64)
    keep = ((moved >= 0) & (moved < np.asarray(sizes, np.int64))).all(-1)
    return _make(constant(moved[keep]), pick(s._values, np.flatnonzero(keep)), sizes)


def split(
    sp_input: Any = None, num_split: Any = None, axis: Any = None, name: Any = None
) -> list[SparseTensor]:
    """`num_split` parts along an axis; the first ones are longer if it does not divide evenly.

    >>> x = tf.sparse.from_dense([[0, 1], [2, 3]])
    >>> [tf.sparse.to_dense(part).numpy().tolist() for part in tf.sparse.split(x, 2, 1)]
    [[[0], [2]], [[1], [3]]]
    """
    for key, value in (("sp_input", sp_input), ("num_split", num_split), ("axis", axis)):
        if value is None:
            raise ValueError(f"tf.sparse.split: {key} must be given.")
    s = _sparse(sp_input)
    at, count = _axis(axis, len(s._sizes), "split"), static(num_split)
    if not 1 <= count <= s._sizes[at]:
        raise InvalidArgumentError(
            f"num_split must be between 1 and the size {s._sizes[at]}. Received: {count}"
        )
    lengths = [s._sizes[at] // count + (i < s._sizes[at] % count) for i in range(count)]
    starts = np.cumsum([0, *lengths])
    place = np.eye(len(s._sizes), dtype=np.int64)[at]
    return [
        slice(s, place * b, [n if a == at else m for a, m in enumerate(s._sizes)])
        for b, n in zip(starts, lengths)
    ]


def retain(sp_input: Any, to_retain: Any) -> SparseTensor:
    """The tensor with only those values for which the boolean vector `to_retain` is true.

    >>> x = tf.sparse.from_dense([1, 2])
    >>> tf.sparse.to_dense(tf.sparse.retain(x, [False, True])).numpy().tolist()
    [0, 2]
    """
    s = _sparse(sp_input)
    keep = host(
        convert_to_tensor(to_retain),
        "The count of values that tf.sparse.retain gives",
        "multiply the values by the mask instead.",
    )
    if keep.shape != tuple(s._values.shape):
        raise ValueError(
            f"to_retain must be of shape {tuple(s._values.shape)}. Received: {keep.shape}"
        )
    places = np.flatnonzero(keep)
    return _make(pick(s.indices, places), pick(s._values, places, by_rows=True), s._sizes)


def reset_shape(sp_input: Any, new_shape: Any = None) -> SparseTensor:
    """The tensor with another shape: the smallest that holds the indices, or a given larger one.

    >>> tf.sparse.reset_shape(tf.sparse.from_dense([0, 1]), [4]).shape
    TensorShape([4])
    """
    s = _sparse(sp_input)
    if new_shape is None:
        places = _places(s, "reset_shape")
        return _make(s.indices, s._values, (places.max(0, initial=-1) + 1).tolist())
    sizes = static(new_shape)
    if len(sizes) != len(s._sizes) or any(n < m for n, m in zip(sizes, s._sizes)):
        raise ValueError(f"new_shape must be {s._sizes} or larger. Received: {sizes}")
    return _make(s.indices, s._values, sizes)


def fill_empty_rows(sp_input: Any, default_value: Any, name: Any = None) -> tuple:
    """The tensor with a value at the start of each empty row, and a mask of empty rows.

    >>> x = tf.sparse.from_dense([[0, 1], [0, 0]])
    >>> filled, empty = tf.sparse.fill_empty_rows(x, 7)
    >>> tf.sparse.to_dense(filled).numpy().tolist(), empty.numpy().tolist()
    ([[0, 1], [7, 0]], [False, True])
    """
    s = _sparse(sp_input)
    places = _places(s, "fill_empty_rows")
    outside = (places[:, 0] < 0) | (places[:, 0] >= s._sizes[0])
    if outside.any():
        raise InvalidArgumentError(
            f"The index {places[outside][0].tolist()} is outside of the shape {s._sizes}."
        )
    empty = np.bincount(places[:, 0], minlength=s._sizes[0]) == 0
    added = np.zeros((empty.sum(), len(s._sizes)), np.int64)
    added[:, 0] = np.flatnonzero(empty)
    filler = ops.reshape(convert_to_tensor(default_value, s.dtype), [1])
    filler = indexing.gather(filler, np.zeros(len(added), np.int32))
    out = _make(
        ops.concat([s.indices, constant(added)], 0), ops.concat([s._values, filler], 0), s._sizes
    )
    rows = np.append(places[:, 0], added[:, 0])
    order = np.argsort(rows, kind="stable")  # within a row the given order remains
    return _make(pick(out.indices, order), pick(out._values, order), s._sizes), constant(empty)


def mask(a: Any, mask_indices: Any, name: str | None = None) -> Any:
    """`IndexedSlices` without the rows in `mask_indices`.

    >>> rows = tf.IndexedSlices([[1.0], [2.0]], [0, 3])
    >>> tf.sparse.mask(rows, [3]).values.numpy().tolist()
    [[1.0]]
    """
    gone = np.asarray(convert_to_tensor(mask_indices))
    keep = np.flatnonzero(
        ~np.isin(host(a.indices, "Which rows are kept", "call it outside."), gone)
    )
    rows = pick(a.values, keep, by_rows=True)
    return type(a)(rows, pick(a.indices, keep), a.dense_shape)
