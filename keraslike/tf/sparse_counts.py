"""`tf.sparse.bincount`: how often integers occur, as a sparse tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

from keraslike.tf.conversion import _as_operand
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.ragged import RaggedTensor
from keraslike.tf.sparse_tensor import SparseTensor
from keraslike.tf.structure import host

_KNOWN = "The count of elements that tf.sparse.bincount gives", "call it outside."


def bincount(
    values: Any,
    weights: Any = None,
    axis: int | None = 0,
    minlength: int | None = None,
    maxlength: int | None = None,
    binary_output: bool = False,
    name: str | None = None,
) -> SparseTensor:
    """How often each integer from 0 on occurs; a sparse tensor of those that do.

    Args:
        values: a tensor, a ragged or a sparse one, of which the stored values count.
        weights: what each value counts, of the form of `values`.
        axis: 0 for one count of all values, -1 for one of each row.
        minlength, maxlength: the least size of the last axis, and its size; larger values are left
            out.
        binary_output: 1 for each value that occurs.

    Raises InvalidArgumentError for negative values and for weights of another form.

    >>> from keraslike import tf
    >>> found = tf.sparse.bincount([[0, 1, 1], [2, 2, 0]], axis=-1)
    >>> tf.sparse.to_dense(found).numpy().tolist()
    [[1, 2, 0], [1, 0, 2]]
    """
    if axis not in (None, 0, -1):
        raise ValueError(f"axis must be 0 or -1. Received: axis={axis}")
    if weights is not None and binary_output:
        raise ValueError("binary_output and weights exclude one another.")
    rows, flat, count = _rows_of(values)
    each = np.ones(flat.shape, flat.dtype) if weights is None else _rows_of(weights)[1]
    if each.shape != flat.shape:
        raise InvalidArgumentError(
            f"weights must be as many as values. Received: {each.size} and {flat.size}"
        )
    if flat.dtype.kind not in "iu" or (flat < 0).any():
        raise InvalidArgumentError("values must be integers that are not negative.")
    size = max(int(flat.max(initial=0)) + 1, minlength or 0) if maxlength is None else maxlength
    by_row = axis == -1 and count is not None
    keys = (rows if by_row else 0) * np.int64(size) + flat
    kept = flat < size
    places, inverse = np.unique(keys[kept], return_inverse=True)
    totals = np.zeros(places.shape, each.dtype)
    np.add.at(totals, inverse, each[kept])
    if binary_output:
        totals = np.ones_like(totals)
    if not by_row:
        return SparseTensor(places[:, None], totals, (size,))
    return SparseTensor(np.stack(np.divmod(places, size), 1), totals, (count, size))


def _rows_of(values: Any) -> tuple[np.ndarray, np.ndarray, int | None]:
    """The number of the row of each value, the values, and the number of rows, if there are any."""
    if isinstance(values, RaggedTensor):
        rows, flat = host(values.value_rowids(), *_KNOWN), host(values.flat_values, *_KNOWN)
        return rows.astype(np.int64), flat, int(values.nrows())
    if isinstance(values, SparseTensor):
        rows, flat = host(values.indices, *_KNOWN)[:, 0], host(values.values, *_KNOWN)
        return rows.astype(np.int64), flat, int(tuple(values.shape)[0])
    array = host(_as_operand(values), *_KNOWN)
    if array.ndim < 2:
        return np.zeros(array.size, np.int64), array.reshape(-1), None
    return np.repeat(np.arange(len(array)), array[0].size), array.reshape(-1), len(array)
