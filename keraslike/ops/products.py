"""Products of arrays with a matrix of weights, in two dimensions."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from keraslike.ops.cpu import once


def matmul(x1: Any, x2: Any) -> jax.Array:
    """`jnp.matmul`, fast in its gradients where `x2` is a matrix or a vector.

    Two arrays of int8, whose sums that dtype is too narrow for, give one of int32.

    >>> matmul(jnp.ones((2, 3, 4)), jnp.ones((4, 5))).shape
    (2, 3, 5)
    """
    if jnp.result_type(x1) == jnp.result_type(x2) == jnp.int8:
        return jnp.matmul(x1, x2, preferred_element_type=jnp.int32)
    rows, columns = jnp.shape(x1), jnp.shape(x2)
    if len(rows) > 1 and len(columns) in (1, 2) and rows[-1] == columns[0]:
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
    if _is_narrow(rows, columns):
        columns = once(columns.T).T  # its gradient is now that of what is narrow by what is wide
    return lax.reshape(rows @ columns, (*free, *new))


def _is_narrow(rows: jax.Array, columns: jax.Array) -> bool:
    """Whether the gradient with respect to `columns` is to be computed transposed."""
    sizes = (*rows.shape, *columns.shape[1:])
    if len(sizes) < 3 or not all(isinstance(n, int) for n in sizes):
        return False
    free, inside, new = sizes
    return 4 <= new <= inside // 2 and free >= max(128, new)
