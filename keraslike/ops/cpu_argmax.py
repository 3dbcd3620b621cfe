"""The index of the largest or smallest value, in the form that XLA's CPU backend computes fastest.

XLA compares pairs of value and index there, sequentially. Finding the value first, and then the
first index that has it, takes a tenth of the time for a thousand classes and equal time for twenty;
for fewer, XLA's own form is used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from keraslike.core import dtypes
from keraslike.ops.cpu import Call, on_cpu, once


def argmax(
    x: jax.Array, axis: int | None = None, keepdims: bool = False, dtype: Any = int
) -> jax.Array:
    """`jnp.argmax`: the first index of the largest value, or of NaN if there is one.

    >>> argmax(jnp.array([[1.0, 3.0, 3.0], [jnp.nan, 1.0, 2.0]]), 1).tolist()
    [1, 0]
    """
    return _place(lax.argmax, jnp.max, x, axis, keepdims, dtype)


def argmin(
    x: jax.Array, axis: int | None = None, keepdims: bool = False, dtype: Any = int
) -> jax.Array:
    """`jnp.argmin`: the first index of the smallest value, or of NaN if there is one.

    >>> argmin(jnp.array([3.0, 1.0, 1.0])).tolist()
    1
    """
    return _place(lax.argmin, jnp.min, x, axis, keepdims, dtype)


def _place(
    plain: Callable, extreme: Callable, x: jax.Array, axis: int | None, keepdims: bool, dtype: Any
) -> jax.Array:
    if axis is None:
        place = _place(plain, extreme, x.ravel(), 0, False, dtype)
        return place.reshape((1,) * x.ndim) if keepdims else place
    axis = range(x.ndim)[axis]
    size, kind = x.shape[axis], jax.dtypes.canonicalize_dtype(dtype)
    x = lax.stop_gradient(x.astype("float32") if dtypes.is_half(x.dtype) else x)
    if isinstance(size, int) and size >= 32 and not jnp.iscomplexobj(x):
        place = on_cpu(Call(_first, (extreme, axis, kind)), Call(plain, (axis, kind)), x)
    else:
        place = plain(x, axis, kind)
    return jnp.expand_dims(place, axis) if keepdims else place


def _first(x: jax.Array, extreme: Callable, axis: int, kind: Any) -> jax.Array:
    best = once(extreme(x, axis, keepdims=True))
    places = lax.broadcasted_iota(kind, x.shape, axis)
    return jnp.min(jnp.where((x == best) | (x != x), places, x.shape[axis]), axis)
