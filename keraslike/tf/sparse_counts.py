"""`tf.sparse.bincount`: counts of integers as a sparse tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

from keraslike.tf.conversion import _as_operand
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.ragged import RaggedTensor
from keraslike.tf.sorting import check_weights
from keraslike.tf.sparse_tensor import SparseTensor
from keraslike.tf.structure import host

_KNOWN = "The number of elements in the result of tf.sparse.bincount", "call it outside."


def bincount(
    values: Any,
    weights: Any = None,
    axis: int | None = 0,
    minlength: int | None = None,
    maxlength: int | None = None,
    binary_output: bool = False,
    name: str | None = None,
) -> SparseTensor:
    """Counts how often each integer from 0 on occurs, as a sparse tensor without zero counts.

    Args:
        values: a tensor, ragged tensor or sparse tensor; of the last the stored values are counted.
        weights: what each value adds to its count, in the structure of `values`.
        axis: 0 to count all values together, -1 to count each row.
        minlength, maxlength: the least and the largest size of the last axis; values that do not
            fit are ignored.
        binary_output: whether to give 1 for each value that occurs instead of its count.

    Raises InvalidArgumentError for negative values and for weights of another structure, and
    ValueError for weights of another class of tensors.

    >>> found = tf.sparse.bincount([[0, 1, 1], [2, 2, 0]], axis=-1)
    >>> tf.sparse.to_dense(found).numpy().tolist()
    [[1, 2, 0], [1, 0, 2]]
    """
    if axis not in (None, 0, -1):
        raise ValueError(f"axis must be 0 or -1. Received: axis={axis}")
    if weights is not None and binary_output:
        raise ValueError("binary_output cannot be combined with weights.")
    if weights is not None:
        check_weights(values, weights, axis == -1)
    rows, flat, count = _rows_of(values)
    each = np.ones(flat.shape, flat.dtype) if weights is None else _rows_of(weights)[1]
    if flat.dtype.kind not in "iu" or (flat < 0).any():
        raise InvalidArgumentError("values must be nonnegative integers.")
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
    """The row index of each value, the values, and the number of rows, if there are rows."""
    if isinstance(values, RaggedTensor):
        rows, flat = host(values.value_rowids(), *_KNOWN), host(values.flat_values, *_KNOWN)
        return rows.astype(np.int64), flat, int(values.nrows())
    if isinstance(values, SparseTensor):
        rows, flat = host(values.indices, *_KNOWN)[:, 0], host(values.values, *_KNOWN)
        sizes = tuple(values.shape)
        return rows.astype(np.int64), flat, int(sizes[0]) if len(sizes) > 1 else None
    array = host(_as_operand(values), *_KNOWN)
    if array.ndim < 2:
        return np.zeros(array.size, np.int64), array.reshape(-1), None
    return np.repeat(np.arange(len(array)), array[0].size), array.reshape(-1), len(array)
