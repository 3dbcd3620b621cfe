"""JAX's sparse arrays (`BCOO`): recognising and converting them, and operations that keep them
sparse."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core import dtypes


def is_sparse(x: Any) -> bool:
    """Whether a value is a sparse array of JAX's."""
    sparse = sys.modules.get("jax.experimental.sparse")  # Importing it takes a tenth of a second.
    return sparse is not None and isinstance(x, sparse.JAXSparse)


def is_bcoo(x: Any) -> bool:
    """Whether a value is a `BCOO`."""
    return is_sparse(x) and isinstance(x, _sparse().BCOO)


def _sparse() -> Any:
    from jax.experimental import sparse

    return sparse


def dense(x: Any) -> Any:
    """A sparse array as a dense one; anything else as it is.

    >>> from jax.experimental import sparse
    >>> dense(sparse.BCOO.fromdense(jnp.eye(2))).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    if is_sparse(x) and x.dtype == bool:  # JAX does not sum boolean duplicates.
        return _todense(cast(x, "int32")) > 0
    return _todense(x) if is_sparse(x) else x


@jax.jit  # Compiled as one program; each of JAX's operations would be a program of its own.
def _todense(x: Any) -> Any:
    return x.todense()


def from_dense(x: Any, most: int) -> Any:
    """A dense array as a sparse one that stores at most this many values; it may be a tracer."""
    return _sparse().BCOO.fromdense(x, nse=most)


def from_coordinates(indices: Any, values: Any, shape: tuple) -> Any:
    """A sparse array with values at the given indices, one row for each value, in order."""
    parts = jnp.asarray(values), jnp.asarray(indices, "int32")
    return _sparse().BCOO(parts, shape=shape, indices_sorted=True, unique_indices=True)


def cast(x: Any, dtype: Any) -> Any:
    """A sparse array with its values in another dtype."""
    x = _coo(x)
    return _with_values(x, x.data.astype(dtype))


def _coo(x: Any) -> Any:
    return x if isinstance(x, _sparse().BCOO) else _sparse().BCOO.fromdense(x.todense())


def coordinates(x: Any) -> tuple[Any, Any, tuple[int, ...]]:
    """The indices that a sparse array stores, one row for each value, the values, and its shape.

    >>> from jax.experimental import sparse
    >>> coordinates(sparse.BCOO.fromdense(jnp.array([[0, 5]])))[0].tolist()
    [[0, 1]]
    """
    x = _coo(x)
    if x.n_batch or x.n_dense:
        x = _sparse().BCOO.fromdense(x.todense())
    inside = (x.indices < jnp.array(x.shape)).all(-1)  # Padding has indices outside of the shape.
    return x.indices[inside], x.data[inside], x.shape


def matmul(x1: Any, x2: Any) -> Any:
    """The product of two arrays of which at least one is sparse; the result is sparse if both are.

    >>> from jax.experimental import sparse
    >>> matmul(sparse.BCOO.fromdense(jnp.eye(2)), jnp.ones((2, 3))).shape
    (2, 3)
    """
    batch = x1.ndim - 2
    if batch > 0 and _alike_but_last(x1, x2):
        x1, x2 = (
            _sparse().bcoo_update_layout(_coo(x), n_batch=batch, on_inefficient=None)
            for x in (x1, x2)
        )
    elif x1.ndim > 2 or x2.ndim > 2 or x1.ndim == 0 or x2.ndim == 0:
        return jnp.matmul(dense(x1), dense(x2))
    return _sparse().sparsify(jnp.matmul)(x1, x2)


def _alike_but_last(x1: Any, x2: Any) -> bool:
    both = is_sparse(x1) and is_sparse(x2) and x1.ndim == x2.ndim
    return both and x1.shape[:-2] == x2.shape[:-2]


def _unbatched(x: Any) -> Any:
    """A sparse array without batch and dense dimensions: one index row and one number for each
    value."""
    x = _coo(x)
    if not x.n_batch and not x.n_dense:
        return x
    # An upper bound of the number of values that are not 0.
    size = x.nse * math.prod((*x.shape[: x.n_batch], *x.shape[x.ndim - x.n_dense :]))
    return _sparse().BCOO.fromdense(x.todense(), nse=size)


def concatenate(arrays: Sequence[Any], axis: int) -> Any:
    """Concatenates arrays; the result is sparse if all of them are."""
    if not all(map(is_sparse, arrays)):
        return jnp.concatenate(list(map(dense, arrays)), axis)
    dtype = jnp.result_type(*(x.dtype for x in arrays))
    arrays = [cast(_unbatched(x), dtype) for x in arrays]
    return _sparse().bcoo_concatenate(arrays, dimension=axis % arrays[0].ndim)


def reshape(x: Any, shape: tuple[int, ...]) -> Any:
    """Reshapes an array, sparse or dense."""
    if not is_sparse(x):
        return jnp.reshape(x, shape)
    return _sparse().sparsify(lambda x: jnp.reshape(x, shape))(_unbatched(x))


def transpose(x: Any, order: tuple[int, ...]) -> Any:
    """Transposes an array, sparse or dense."""
    if not is_sparse(x):
        return jnp.transpose(x, order)
    return _sparse().bcoo_transpose(_unbatched(x), permutation=order)


def bincount(x: Any, weights: Any, minlength: int) -> Any:
    """Counts how often each integer occurs among the stored values of a sparse array; the result is
    sparse."""
    if is_sparse(x):
        if weights is not None and not (
            is_sparse(weights) and jnp.array_equal(_coo(x).indices, _coo(weights).indices)
        ):
            raise ValueError("bincount: sparse x and weights must have the same indices.")
        x, weights = _coo(x).data, None if weights is None else _coo(weights).data
    dtype = "int32" if weights is None else weights.dtype
    ones = one_hot(x, max(int(x.max()) + 1, minlength), -1, dtype)
    if weights is not None:
        ones = multiply(ones, jnp.expand_dims(weights, -1))
    return _sparse().bcoo_reduce_sum(ones, axes=(x.ndim - 1,))


def add(x1: Any, x2: Any) -> Any:
    """The sum, sparse if both operands are and have the same shape."""
    return _union(jnp.add, x1, x2)


def subtract(x1: Any, x2: Any) -> Any:
    """The difference, sparse if both operands are and have the same shape."""
    return _union(jnp.subtract, x1, x2)


def _union(function: Any, x1: Any, x2: Any) -> Any:
    if _alike(x1, x2):
        dtype = jnp.promote_types(x1.dtype, x2.dtype)
        return _sparse().sparsify(function)(cast(x1, dtype), cast(x2, dtype))
    return function(dense(x1), dense(x2))


def _alike(x1: Any, x2: Any) -> bool:
    both = is_sparse(x1) and is_sparse(x2) and x1.shape == x2.shape
    return both and _coo(x1).n_dense == _coo(x2).n_dense


def maximum(x1: Any, x2: Any) -> Any:
    """The element-wise maximum, sparse if both operands are and have the same shape."""
    return _extreme(jnp.maximum, x1, x2)


def minimum(x1: Any, x2: Any) -> Any:
    """The element-wise minimum, sparse if both operands are and have the same shape."""
    return _extreme(jnp.minimum, x1, x2)


def _extreme(function: Any, x1: Any, x2: Any) -> Any:
    if not _alike(x1, x2):
        return function(dense(x1), dense(x2))
    x1, x2 = _with_indices(_coo(x1), _coo(x2)), _with_indices(_coo(x2), _coo(x1))
    return _with_values(x1, function(x1.data, x2.data))


def _with_indices(x: Any, other: Any) -> Any:
    """The same array, which also stores zeros at the indices of the other one; indices are unique
    and sorted."""
    data = jnp.concatenate([x.data, jnp.zeros_like(other.data, x.dtype)], x.n_batch)
    indices = jnp.concatenate([x.indices, other.indices.astype(x.indices.dtype)], x.n_batch)
    return _once(_sparse().BCOO((data, indices), shape=x.shape))


def _once(x: Any) -> Any:
    """The same array with unique indices; in a trace their number is unknown."""
    if x.unique_indices:
        return x
    nse = x.nse if isinstance(x.indices, jax.core.Tracer) else None
    return _sparse().bcoo_sum_duplicates(x, nse=nse)


def _with_values(x: Any, values: Any) -> Any:
    how = {"indices_sorted": x.indices_sorted, "unique_indices": x.unique_indices}
    return _sparse().BCOO((values, x.indices), shape=x.shape, **how)


def multiply(x1: Any, x2: Any) -> Any:
    """The element-wise product, sparse unless the sparse operand is broadcast."""
    if is_sparse(x1) and is_sparse(x2):
        if not _alike(x1, x2):
            return jnp.multiply(dense(x1), dense(x2))
        dtype = jnp.promote_types(x1.dtype, x2.dtype)
        return _sparse().bcoo_multiply_sparse(cast(x1, dtype), cast(x2, dtype))
    if is_sparse(x2):
        x1, x2 = x2, x1
    x2 = jnp.asarray(x2) if hasattr(x2, "dtype") else x2
    if jnp.broadcast_shapes(x1.shape, jnp.shape(x2)) != x1.shape:
        return jnp.multiply(dense(x1), x2)
    x1 = cast(x1, jnp.result_type(x1.dtype, x2))
    return x1 * x2


def divide(x1: Any, x2: Any) -> Any:
    """The quotient, sparse if the dividend is and the divisor is a number or an array of the same
    shape.

    Where the divisor is 0 or NaN, the quotient is NaN even at indices that are not stored. If the
    values are known, such indices are added; a scalar divisor of 0 gives a dense array.
    """
    if is_sparse(x2) or jnp.shape(x2) not in ((), x1.shape):
        return jnp.divide(dense(x1), dense(x2))
    x1 = _coo(x1)
    known = not any(isinstance(x, jax.core.Tracer) for x in (x1.data, x1.indices, x2))
    undefined = (jnp.equal(x2, 0) | jnp.isnan(x2)) if known else None
    if jnp.shape(x2) == ():
        if undefined is not None and undefined:
            return jnp.divide(dense(x1), x2)
        return _with_values(x1, jnp.divide(x1.data, x2))
    if undefined is not None and undefined.any():
        places = _sparse().bcoo_fromdense(undefined, n_batch=x1.n_batch, n_dense=x1.n_dense)
        x1 = _with_indices(x1, places)
    divisors = _sparse().bcoo_extract(x1, x2, assume_unique=True).data
    return _with_values(x1, jnp.divide(x1.data, divisors))


def by_structure(function: Any, x: Any, **kwargs: Any) -> Any:
    """A function on sparse arrays from one of JAX's functions that rearrange or sum stored values.

    >>> from jax.experimental import sparse
    >>> by_structure(jnp.transpose, sparse.BCOO.fromdense(jnp.ones((2, 3)))).shape
    (3, 2)
    """
    return _sparse().sparsify(lambda x: function(x, **kwargs))(_coo(x))


def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The mean along axes, sparse unless it is over all of them."""
    x = x if jnp.issubdtype(x.dtype, jnp.inexact) else cast(x, dtypes.floatx())
    total = by_structure(jnp.sum, x, axis=axis, keepdims=keepdims)
    axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    count = math.prod(x.shape[a] for a in axes)
    return _with_values(total, total.data / count) if is_sparse(total) else total / count


def elementwise(function: Any, x: Any) -> Any:
    """A function on sparse arrays that applies an element-wise function with value 0 at 0.

    >>> from jax.experimental import sparse
    >>> elementwise(jnp.sqrt, sparse.BCOO.fromdense(jnp.array([0.0, 4.0]))).todense().tolist()
    [0.0, 2.0]
    """
    x = _once(_coo(x))
    return _with_values(x, function(x.data))


def negative(x: Any) -> Any:
    """The negated values."""
    return cast(x, x.dtype) * -1 if jnp.issubdtype(x.dtype, jnp.number) else -dense(x)


def one_hot(x: jax.Array, num_classes: int, axis: int, dtype: Any) -> Any:
    """One-hot codes of classes along a new axis; the zeros are not stored.

    >>> one_hot(jnp.array([2, -1]), 3, -1, "float32").todense().tolist()
    [[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """
    axis = axis % (x.ndim + 1)
    places = [i.ravel() for i in jnp.indices(x.shape)]
    classes = x.astype("int32").ravel()
    there = (classes >= 0) & (classes < num_classes)
    places.insert(axis, jnp.where(there, classes, 0))
    shape = (*x.shape[:axis], num_classes, *x.shape[axis:])
    return _sparse().BCOO(
        (there.astype(dtype), jnp.stack(places, -1)), shape=shape, unique_indices=True
    )


def empty(like: Any) -> Any:
    """A sparse array of a shape and dtype without stored values."""
    places = jnp.zeros((0, len(like.shape)), "int32")
    return _sparse().BCOO((jnp.zeros(0, like.dtype), places), shape=like.shape)


def of_dense(x: jax.Array) -> Any:
    """A dense array as a sparse one that stores every element."""
    return _sparse().BCOO.fromdense(x, nse=math.prod(x.shape))


def from_parts(values: Any, indices: Any, shape: tuple[int, ...]) -> Any:
    """A sparse array made of values and their indices, one row each."""
    return _sparse().BCOO((values, indices), shape=shape)


def multi_hot(x: jax.Array, num_classes: int, axis: int, dtype: Any) -> Any:
    """Multi-hot codes: ones at all classes of a row; `axis` is that of the classes before rows are
    combined.

    >>> multi_hot(jnp.array([[2, 0, 2]]), 3, -1, "float32").todense().tolist()
    [[1.0, 0.0, 1.0]]
    """
    rows = 1 if x.ndim > 1 else 0  # The axis to sum over, as numbered in the result of `one_hot`.
    own = rows if axis % (x.ndim + 1) > rows else rows - 1  # The same axis as numbered in `x`.
    x = jnp.moveaxis(x, own, -1)
    earlier = jnp.tril(jnp.ones((x.shape[-1],) * 2, bool), -1)
    again = jnp.any((x[..., None] == x[..., None, :]) & earlier, -1)
    ones = one_hot(jnp.moveaxis(jnp.where(again, -1, x), -1, own), num_classes, axis, dtype)
    shape = (*ones.shape[:rows], *ones.shape[rows + 1 :])
    return _sparse().BCOO((ones.data, jnp.delete(ones.indices, rows, 1)), shape=shape)
