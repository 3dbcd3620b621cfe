"""Products of arrays with a weight matrix, computed as two-dimensional products."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from keraslike.core.context import trace_state_clean
from keraslike.ops.cpu import Call, on_cpu, once


def matmul(x1: Any, x2: Any) -> jax.Array:
    """`jnp.matmul`, fast in its gradients where `x2` is a matrix or a vector.

    Two arrays of int8, whose sums that dtype is too narrow for, give one of int32.

    >>> matmul(jnp.ones((2, 3, 4)), jnp.ones((4, 5))).shape
    (2, 3, 5)
    """
    rows, columns = jnp.shape(x1), jnp.shape(x2)
    bytes_ = jnp.result_type(x1) == jnp.result_type(x2) == jnp.int8
    if bytes_ and not (len(rows) > 1 and len(columns) == 2):
        return jnp.matmul(x1, x2, preferred_element_type=jnp.int32)
    fits = len(rows) > 1 and len(columns) in (1, 2) and rows[-1] == columns[0]
    if fits and (bytes_ or not trace_state_clean()):  # Outside of traces there is no gradient.
        return contract(jnp.asarray(x1), jnp.asarray(x2))
    return jnp.matmul(x1, x2)


def contract(x: jax.Array, weights: jax.Array, axes: int = 1) -> jax.Array:
    """The sum over the last `axes` of `x` and the first of `weights`: `tensordot`.

    Of more than two axes, XLA's CPU backend transposes the larger factor of the weights' gradient,
    which takes longer than the product. Of two, it needs up to three times as long for it where the
    wider factor comes first.

    >>> contract(jnp.ones((2, 3, 4)), jnp.ones((3, 4, 5, 6)), 2).shape
    (2, 5, 6)
    """
    free, inside = x.shape[:-axes], x.shape[x.ndim - axes :]
    if inside != weights.shape[:axes]:
        raise ValueError(
            f"The last axes of an array and the first of weights must be of equal size. "
            f"Received: axes={axes} and arrays of shapes {x.shape} and {weights.shape}."
        )
    new = weights.shape[axes:]
    rows = lax.reshape(x, (math.prod(free), math.prod(inside)))
    columns = lax.reshape(weights, (math.prod(inside), *([math.prod(new)] if new else ())))
    if rows.dtype == columns.dtype == jnp.int8:
        return lax.reshape(_product_of_bytes(rows, columns), (*free, *new))
    if _is_narrow(rows, columns):
        # The gradient is now the product of the narrow factor with the wide one.
        columns = once(columns.T).T
    return lax.reshape(rows @ columns, (*free, *new))


# float32 represents sums of this number of int8 products exactly, and such a block of the matrix
# fits into the processor's cache.
_BYTES = 256


def _product_of_bytes(rows: jax.Array, columns: jax.Array) -> jax.Array:
    """The int32 product of two int8 matrices.

    XLA's CPU backend is slow at it for few rows: one row by 4096 x 4096 takes forty times as long
    as with float32. In blocks of floats the result is exact as well, and less memory is read.
    """
    plain = Call(_as_int32)
    sizes = (*rows.shape, *columns.shape)
    if columns.ndim != 2 or not all(isinstance(n, int) for n in sizes):
        return _as_int32(rows, columns)
    return on_cpu(Call(_in_blocks), plain, rows, columns)


def _as_int32(rows: jax.Array, columns: jax.Array) -> jax.Array:
    return jnp.matmul(rows, columns, preferred_element_type=jnp.int32)


def _in_blocks(rows: jax.Array, columns: jax.Array) -> jax.Array:
    size = rows.shape[1]

    def block(start: Any, length: int) -> jax.Array:
        x = lax.dynamic_slice_in_dim(rows, start, length, 1).astype(jnp.float32)
        weights = lax.dynamic_slice_in_dim(columns, start, length, 0).astype(jnp.float32)
        return (x @ weights).astype(jnp.int32)

    whole, rest = divmod(size, _BYTES)
    found = block(whole * _BYTES, rest)
    if not whole:
        return found
    return lax.fori_loop(0, whole, lambda i, sum_: sum_ + block(i * _BYTES, _BYTES), found)


def _is_narrow(rows: jax.Array, columns: jax.Array) -> bool:
    """Whether the gradient with respect to `columns` should be computed transposed."""
    sizes = (*rows.shape, *columns.shape[1:])
    if len(sizes) < 3 or not all(isinstance(n, int) for n in sizes):
        return False
    free, inside, new = sizes
    return 4 <= new <= inside // 2 and free >= max(128, new)
