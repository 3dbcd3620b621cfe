"""NumPy's functions that select, sort and count elements of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import context, dtypes, sparsity
from keraslike.core.operation import op
from keraslike.ops import wrap
from keraslike.ops.wrap import operand


@op
def take(x: Any, indices: Any, axis: int | None = None) -> jax.Array:
    """The elements at indices along an axis (of the flattened array if `None`). Sparse indices are
    0 where none is stored.

    >>> take([10, 20, 30], [2, 0]).tolist()
    [30, 10]
    """
    return jnp.take(wrap.array(x), wrap.integers(sparsity.dense(indices)), axis)


@op
def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> jax.Array:
    """The elements along an axis at the positions in an array of indices of the same rank.

    >>> take_along_axis([[1, 2], [3, 4]], [[1], [0]], axis=1).tolist()
    [[2], [3]]
    """
    return jnp.take_along_axis(wrap.array(x), wrap.integers(indices), axis)


@op
def sort(x: Any, axis: int = -1) -> jax.Array:
    """The values along an axis in ascending order.

    >>> sort([3, 1, 2]).tolist()
    [1, 2, 3]
    """
    return jnp.sort(wrap.array(x), axis)


@op
def argsort(x: Any, axis: int | None = -1) -> jax.Array:
    """The indices that put the values along an axis in ascending order.

    >>> argsort([3, 1, 2]).tolist()
    [1, 2, 0]
    """
    x = wrap.array(x)
    return jnp.argsort(x, axis if x.ndim else None)


@op
def argpartition(x: Any, kth: int, axis: int | None = -1) -> jax.Array:
    """The indices that move the `kth` smallest value to position `kth`, after all smaller ones.

    >>> argpartition([3.0, 1.0, 2.0], 0)[0].tolist()
    1
    """
    x = wrap.array(x)
    return jnp.argpartition(x.ravel() if axis is None else x, kth, -1 if axis is None else axis)


@op
def unravel_index(indices: Any, shape: Sequence[int]) -> tuple[jax.Array, ...]:
    """The indices along each axis of an array, from those in the flattened array.

    >>> [int(i) for i in unravel_index(5, (2, 3))]
    [1, 2]
    """
    return tuple(jnp.unravel_index(wrap.array(indices), tuple(shape)))


@op
def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> jax.Array:
    """Elements of the first array whose condition holds at their place, else `default`.

    >>> select([[True, False]], [[1.0, 2.0]], 9.0).tolist()
    [1.0, 9.0]
    """
    for name, value in (("condlist", condlist), ("choicelist", choicelist)):
        if not isinstance(value, (list, tuple)):
            raise ValueError(
                f"condlist and choicelist must be lists. Received: type({name}) = {type(value)}"
            )
        if not value:
            raise ValueError(f"condlist and choicelist must not be empty. Received: {name}=[]")
    conditions = [wrap.array(c) for c in condlist]
    return jnp.select(conditions, [operand(c) for c in choicelist], operand(default))


@op
def unique(
    x: Any,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """The different values of an array, or the different parts along an axis.

    Args:
        sorted: whether they are in ascending order.
        return_index: whether to return the first position of each.
        return_inverse: whether to return the index of each value of `x` in the result.
        return_counts: whether to return the number of occurrences of each.
        size: the number of results, truncated or padded; required within `jit`.
        fill_value: the padding, by default the first result.

    >>> unique([3, 1, 3]).tolist()
    [1, 3]
    """
    x = wrap.array(x)
    if context.state.symbolic and size is None:
        shape = [None] if axis is None else list(x.shape)
        if axis is not None:
            shape[axis] = None
        inverse = wrap.found(*(x.shape if axis is None else (x.shape[axis],)))
        more = ((return_index, wrap.found(None)), (return_inverse, inverse))
        more += ((return_counts, wrap.found(None)),)
        results = (wrap.found(*shape, dtype=x.dtype), *(r for wanted, r in more if wanted))
        return results if len(results) > 1 else results[0]
    return jnp.unique(
        x,
        return_index,
        return_inverse,
        return_counts,
        axis,
        equal_nan=False,
        size=size,
        fill_value=fill_value,
        sorted=sorted,
    )


@op
def view(x: Any, dtype: Any = None) -> jax.Array:
    """The same bytes as numbers of another dtype; the last axis gets longer or shorter.

    >>> view(jnp.array([1.0], "float32"), "int32").tolist()
    [1065353216]
    """
    return wrap.array(x).view(None if dtype is None else dtypes.standardize_dtype(dtype))


@op
def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> jax.Array:
    """The indices at which values would be inserted into an ascending sequence.

    >>> searchsorted([1, 3, 5], [3, 4]).tolist()
    [1, 2]
    """
    return jnp.searchsorted(wrap.array(sorted_sequence), wrap.array(values), side)


@op
def digitize(x: Any, bins: Any) -> jax.Array:
    """The number of the bin each value is in.

    >>> digitize([0.5, 2.5], [1.0, 2.0]).tolist()
    [0, 2]
    """
    known = not isinstance(bins, jax.core.Tracer)
    if sparsity.is_sparse(x) and known and np.digitize(0, np.asarray(bins)) == 0:
        return sparsity.elementwise(lambda values: digitize(values, bins), x)
    return jnp.digitize(wrap.array(x), wrap.array(bins))


@op
def bincount(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> jax.Array:
    """The number of occurrences of each integer, or the sum of its weights.

    Under `jit` integers of `minlength` and more are left out, for the size must be known.

    >>> bincount([0, 2, 2]).tolist()
    [1, 0, 2]
    """
    sparse = sparse or sparsity.is_sparse(x)
    x = x if sparsity.is_sparse(x) else wrap.array(x)
    if context.state.symbolic and not (minlength and not sparse):
        dtype = "int32" if weights is None else weights.dtype
        counts = wrap.found(*x.shape[:-1], minlength or None, dtype=dtype)
        return sparsity.empty(counts) if sparse else counts
    if sparse:
        given = weights is None or sparsity.is_sparse(weights)
        return sparsity.bincount(x, weights if given else wrap.array(weights), minlength)
    length = minlength or None if isinstance(x, jax.core.Tracer) else None
    weights = None if weights is None else wrap.array(weights)
    if x.ndim == 2:  # One count for each row.
        length = length or max(minlength, int(x.max()) + 1)
        count = lambda row, w: jnp.bincount(row, w, length=length)  # noqa: E731
        return jax.vmap(count, (0, None if weights is None else 0))(x, weights)
    return jnp.bincount(x, weights, minlength=minlength, length=length)


@op
def diag(x: Any, k: int = 0) -> jax.Array:
    """A matrix's diagonal, or the matrix that has this one.

    >>> diag([1, 2]).tolist(), diag([[1, 2], [3, 4]]).tolist()
    ([[1, 0], [0, 2]], [1, 4])
    """
    return jnp.diag(wrap.array(x), k)


@op
def diagflat(x: Any, k: int = 0) -> jax.Array:
    """The matrix that has all values of `x` on a diagonal.

    >>> diagflat([[1.0], [2.0]]).tolist()
    [[1.0, 0.0], [0.0, 2.0]]
    """
    return jnp.diagflat(wrap.array(x), k)


@op
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> jax.Array:
    """The diagonal in the plane of two axes.

    >>> diagonal([[1, 2], [3, 4]]).tolist()
    [1, 4]
    """
    x = wrap.array(x)
    if axis1 % max(x.ndim, 1) == axis2 % max(x.ndim, 1):
        raise ValueError(f"axis1 and axis2 cannot be same. Received: axis1={axis1}, axis2={axis2}")
    return jnp.diagonal(x, offset, axis1, axis2)


@op
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> jax.Array:
    """The sum of the diagonal.

    >>> trace([[1, 2], [3, 4]]).tolist()
    5
    """
    return jnp.trace(wrap.array(x), offset, axis1, axis2)


@op
def tril(x: Any, k: int = 0) -> jax.Array:
    """`x` with zeros above a diagonal.

    >>> tril([[1, 2], [3, 4]]).tolist()
    [[1, 0], [3, 4]]
    """
    return jnp.tril(wrap.array(x), k)


@op
def triu(x: Any, k: int = 0) -> jax.Array:
    """`x` with zeros below a diagonal.

    >>> triu([[1, 2], [3, 4]]).tolist()
    [[1, 2], [0, 4]]
    """
    return jnp.triu(wrap.array(x), k)


__all__ = wrap.public(globals())
