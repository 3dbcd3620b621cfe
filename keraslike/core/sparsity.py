"""Sparse arrays of JAX's (`BCOO`): told apart, made dense, and what is computed without that."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp


def is_sparse(x: Any) -> bool:
    """Whether a value is a sparse array of JAX's."""
    sparse = sys.modules.get("jax.experimental.sparse")  # which takes a tenth of a second to import
    return sparse is not None and isinstance(x, sparse.JAXSparse)


def _sparse() -> Any:
    from jax.experimental import sparse

    return sparse


def dense(x: Any) -> Any:
    """A sparse array as a dense one; anything else as it is.

    >>> from jax.experimental import sparse
    >>> dense(sparse.BCOO.fromdense(jnp.eye(2))).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    return x.todense() if is_sparse(x) else x


def from_dense(x: Any, most: int) -> Any:
    """A dense array, traced or not, as a sparse one that keeps at most so many values."""
    return _sparse().BCOO.fromdense(x, nse=most)


def from_coordinates(indices: Any, values: Any, shape: tuple) -> Any:
    """The sparse array that has values at indices, a row each in order."""
    parts = jnp.asarray(values), jnp.asarray(indices, "int32")
    return _sparse().BCOO(parts, shape=shape, indices_sorted=True, unique_indices=True)


def cast(x: Any, dtype: Any) -> Any:
    """A sparse array with its values in another dtype."""
    x = _coo(x)
    return _sparse().BCOO(
        (x.data.astype(dtype), x.indices),
        shape=x.shape,
        indices_sorted=x.indices_sorted,
        unique_indices=x.unique_indices,
    )


def _coo(x: Any) -> Any:
    return x if isinstance(x, _sparse().BCOO) else _sparse().BCOO.fromdense(x.todense())


def coordinates(x: Any) -> tuple[Any, Any, tuple[int, ...]]:
    """Where the values are that a sparse array keeps, a row each, the values, and its shape.

    >>> from jax.experimental import sparse
    >>> coordinates(sparse.BCOO.fromdense(jnp.array([[0, 5]])))[0].tolist()
    [[0, 1]]
    """
    x = _coo(x)
    if x.n_batch or x.n_dense:
        x = _sparse().BCOO.fromdense(x.todense())
    inside = (x.indices < jnp.array(x.shape)).all(-1)  # what is padded is not
    return x.indices[inside], x.data[inside], x.shape


def matmul(x1: Any, x2: Any) -> Any:
    """A product of which a factor is sparse; sparse itself if both are.

    >>> from jax.experimental import sparse
    >>> matmul(sparse.BCOO.fromdense(jnp.eye(2)), jnp.ones((2, 3))).shape
    (2, 3)
    """
    if x1.ndim > 2 or x2.ndim > 2 or x1.ndim == 0 or x2.ndim == 0:
        return jnp.matmul(dense(x1), dense(x2))
    return _sparse().sparsify(jnp.matmul)(x1, x2)


def of_both(function: Callable) -> Callable:
    """A function of two operands that is 0 where both are: of sparse arrays of the same shape, a
    sparse one.

    >>> from jax.experimental import sparse
    >>> x, y = (sparse.BCOO.fromdense(jnp.array(v)) for v in ([0, 3, 0], [1, 0, 0]))
    >>> of_both(jnp.maximum)(x, y).todense().tolist()
    [1, 3, 0]
    """

    def union(x1: Any, x2: Any) -> Any:
        if not (is_sparse(x1) and is_sparse(x2) and x1.shape == x2.shape):
            return function(dense(x1), dense(x2))
        x1, x2 = _unbatched(x1), _unbatched(x2)
        # The places of both, in the same order: each array gets the other's, with zeros there.
        places = jnp.concatenate([x1.indices, x2.indices])
        first, second = (
            _sparse().bcoo_sum_duplicates(
                _sparse().BCOO((jnp.concatenate(values), places), shape=x1.shape),
                nse=len(places),
            )
            for values in (
                (x1.data, jnp.zeros_like(x2.data, x1.dtype)),
                (jnp.zeros_like(x1.data, x2.dtype), x2.data),
            )
        )
        return _sparse().BCOO(
            (function(first.data, second.data), first.indices),
            shape=x1.shape,
            indices_sorted=True,
            unique_indices=True,
        )

    return union


add, subtract = of_both(jnp.add), of_both(jnp.subtract)
maximum, minimum = of_both(jnp.maximum), of_both(jnp.minimum)
_product = of_both(jnp.multiply)


def _unbatched(x: Any) -> Any:
    """A sparse array of a place and a number for each value."""
    x = _coo(x)
    if not x.n_batch and not x.n_dense:
        return x
    # No more values than that are other than 0.
    size = x.nse * math.prod((*x.shape[: x.n_batch], *x.shape[x.ndim - x.n_dense :]))
    return _sparse().BCOO.fromdense(x.todense(), nse=size)


def concatenate(arrays: Sequence[Any], axis: int) -> Any:
    """Arrays one after the other, as a sparse one if all are."""
    if not all(map(is_sparse, arrays)):
        return jnp.concatenate(list(map(dense, arrays)), axis)
    dtype = jnp.result_type(*(x.dtype for x in arrays))
    arrays = [cast(_unbatched(x), dtype) for x in arrays]
    return _sparse().bcoo_concatenate(arrays, dimension=axis % arrays[0].ndim)


def reshape(x: Any, shape: tuple[int, ...]) -> Any:
    """The elements of an array, sparse or not, in another shape."""
    if not is_sparse(x):
        return jnp.reshape(x, shape)
    return _sparse().sparsify(lambda x: jnp.reshape(x, shape))(_unbatched(x))


def transpose(x: Any, order: tuple[int, ...]) -> Any:
    """An array, sparse or not, with its axes in another order."""
    if not is_sparse(x):
        return jnp.transpose(x, order)
    return _sparse().bcoo_transpose(_unbatched(x), permutation=order)


def multiply(x1: Any, x2: Any) -> Any:
    """A product element by element, sparse with a sparse array, a number or an array of the same
    shape."""
    if is_sparse(x1) and is_sparse(x2):
        return _product(x1, x2)
    if is_sparse(x2):
        x1, x2 = x2, x1
    if jnp.shape(x2) not in ((), x1.shape):
        return jnp.multiply(dense(x1), dense(x2))
    x2 = jnp.asarray(x2) if hasattr(x2, "dtype") else x2
    x1 = cast(x1, jnp.result_type(x1.dtype, x2))
    return x1 * x2


def divide(x1: Any, x2: Any) -> Any:
    """A quotient, sparse where a sparse array is divided by a number."""
    if is_sparse(x2) or jnp.shape(x2) != ():
        return jnp.divide(dense(x1), dense(x2))
    return elementwise(lambda values: jnp.divide(values, x2), x1)


def elementwise(function: Any, x: Any) -> Any:
    """A sparse array of a function, which is 0 at 0, of each value.

    >>> from jax.experimental import sparse
    >>> elementwise(jnp.sqrt, sparse.BCOO.fromdense(jnp.array([0.0, 4.0]))).todense().tolist()
    [0.0, 2.0]
    """
    x = _unbatched(x)
    if not x.unique_indices:
        x = _sparse().bcoo_sum_duplicates(x, nse=x.nse)
    return _sparse().BCOO(
        (function(x.data), x.indices),
        shape=x.shape,
        indices_sorted=x.indices_sorted,
        unique_indices=True,
    )


def negative(x: Any) -> Any:
    """Every value with the other sign."""
    return cast(x, x.dtype) * -1 if jnp.issubdtype(x.dtype, jnp.number) else -dense(x)


def one_hot(x: jax.Array, num_classes: int, axis: int, dtype: Any) -> Any:
    """Ones at the places of classes along a new axis; nothing is kept of the zeros.

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
    """A sparse array of a shape and dtype, of no values."""
    places = jnp.zeros((0, len(like.shape)), "int32")
    return _sparse().BCOO((jnp.zeros(0, like.dtype), places), shape=like.shape)


def of_dense(x: jax.Array) -> Any:
    """An array as a sparse one that has a place for each number."""
    return _sparse().BCOO.fromdense(x, nse=math.prod(x.shape))


def from_parts(values: Any, indices: Any, shape: tuple[int, ...]) -> Any:
    """A sparse array of values and where they are, a row of indices each."""
    return _sparse().BCOO((values, indices), shape=shape)


def multi_hot(x: jax.Array, num_classes: int, axis: int, dtype: Any) -> Any:
    """Ones at the places of all classes of a row; `axis` is that of the classes before rows are
    put together.

    >>> multi_hot(jnp.array([[2, 0, 2]]), 3, -1, "float32").todense().tolist()
    [[1.0, 0.0, 1.0]]
    """
    rows = 1 if x.ndim > 1 else 0  # the axis that goes, as it is in `one_hot`'s result
    own = rows if axis % (x.ndim + 1) > rows else rows - 1  # as it is in `x`
    x = jnp.moveaxis(x, own, -1)
    earlier = jnp.tril(jnp.ones((x.shape[-1],) * 2, bool), -1)
    again = jnp.any((x[..., None] == x[..., None, :]) & earlier, -1)
    ones = one_hot(jnp.moveaxis(jnp.where(again, -1, x), -1, own), num_classes, axis, dtype)
    shape = (*ones.shape[:rows], *ones.shape[rows + 1 :])
    return _sparse().BCOO((ones.data, jnp.delete(ones.indices, rows, 1)), shape=shape)
