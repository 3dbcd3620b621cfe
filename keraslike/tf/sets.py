"""`tf.sets`: operations on sets, which are rows (along the last axis) of dense or sparse tensors.
Results are sparse tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from keraslike.tf import dtypes
from keraslike.tf.conversion import constant, convert_to_tensor
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.sparse_tensor import SparseTensor, _validate, check_bounds
from keraslike.tf.structure import host
from keraslike.tf.tensor import Tensor

_KINDS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "string")
_Row = tuple[int, ...]


def union(a: Any, b: Any, validate_indices: bool = True) -> SparseTensor:
    """The elements of either set, sorted and without repetitions.

    >>> union([[2, 3, 5]], [[5, 4]]).values.numpy().tolist()
    [2, 3, 4, 5]
    """
    return _combined("union", a, b, validate_indices, set.union)


def intersection(a: Any, b: Any, validate_indices: bool = True) -> SparseTensor:
    """The elements that are in both sets.

    >>> tf.sparse.to_dense(tf.sets.intersection([[1, 2, 3]], [[2, 3]])).numpy().tolist()
    [[2, 3]]
    """
    return _combined("intersection", a, b, validate_indices, set.intersection)


def difference(a: Any, b: Any, aminusb: bool = True, validate_indices: bool = True) -> SparseTensor:
    """The elements of `a` that are not in `b`, or with `aminusb=False` the reverse.

    >>> tf.sparse.to_dense(tf.sets.difference([[1, 2, 3]], [[2]])).numpy().tolist()
    [[1, 3]]
    """
    if not aminusb:
        a, b = b, a
    return _combined("difference", a, b, validate_indices, set.difference)


def size(a: Any, validate_indices: bool = True) -> Tensor:
    """The number of different elements of each set of a sparse tensor, int32.

    >>> tf.sets.size(tf.sparse.from_dense([[1, 2, 2]])).numpy().tolist()
    [2]
    """
    if not isinstance(a, SparseTensor):
        raise TypeError(f"tf.sets.size: expected a SparseTensor, received {a!r}")
    rows, shape = _rows("size", a, validate_indices)
    out = np.zeros(shape, np.int32)
    for place, row in rows.items():
        out[place] = len(row)
    return constant(out)


def _combined(
    name: str, a: Any, b: Any, validate: bool, operation: Callable[[set, set], set]
) -> SparseTensor:
    """Raises TypeError for unsupported or different dtypes, InvalidArgumentError for shapes that
    differ in other axes than the last."""
    a, b = (x if isinstance(x, SparseTensor) else convert_to_tensor(x) for x in (a, b))
    if a.dtype.name not in _KINDS:
        raise TypeError(
            f"tf.sets.{name}: sets must be of integers or text. Received dtype: {a.dtype.name}"
        )
    if a.dtype is not b.dtype:
        raise TypeError(f"tf.sets.{name}: dtypes differ: {a.dtype.name} and {b.dtype.name}")
    (rows_a, shape), (rows_b, other) = (_rows(name, x, validate) for x in (a, b))
    if shape != other:
        raise InvalidArgumentError(
            f"tf.sets.{name}: shapes before the last axis differ: {shape} and {other}"
        )
    indices, values, longest = [], [], 0
    for place in np.ndindex(shape):
        row = sorted(operation(rows_a.get(place, set()), rows_b.get(place, set())))
        indices += [(*place, i) for i in range(len(row))]
        values += row
        longest = max(longest, len(row))
    kind = object if a.dtype is dtypes.string else a.dtype.as_numpy_dtype
    return SparseTensor(
        np.asarray(indices, np.int64).reshape(-1, len(shape) + 1),
        constant(np.asarray(values, kind)),
        (*shape, longest),
    )


def _rows(name: str, x: Any, validate: bool) -> tuple[dict[_Row, set], _Row]:
    """The sets by their indices, and the shape of all axes but the last."""
    sizes = tuple(x.shape)
    if len(sizes) < 2:
        raise InvalidArgumentError(
            f"tf.sets.{name}: expected a tensor of rank 2 or more, whose rows are sets. "
            f"Received shape: {sizes}"
        )
    why = f"The count of elements that tf.sets.{name} gives", "call it outside."
    if not isinstance(x, SparseTensor):
        values = host(x, *why)
        return {place: set(values[place].tolist()) for place in np.ndindex(sizes[:-1])}, sizes[:-1]
    places, values = host(x.indices, *why), host(x.values, *why)
    check_bounds(x)
    if validate:
        _validate(places, sizes)
    rows: dict[_Row, set] = {}
    for place, value in zip(places[:, :-1].tolist(), values.tolist(), strict=True):
        rows.setdefault(tuple(place), set()).add(value)
    return rows, sizes[:-1]


__all__ = ["difference", "intersection", "size", "union"]
__dir__ = __all__.copy
