"""Pooling in the forms that XLA's CPU backend computes fastest, for the value and for the gradient
separately.

The form is selected by shape, from measurements (`benchmarks/lowerings.py`); XLA's own form is kept
where it was not slower.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from keraslike.core import dtypes
from keraslike.ops.cpu import Call, is_small, known, on_cpu, pad, pads_of


class _Windows(NamedTuple):
    """The windows of a pooling, in XLA's form: an entry for each axis of the array."""

    size: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]


def max_pool(x: jax.Array, size: tuple, strides: tuple, padding: Any) -> jax.Array:
    """The largest value in each window; sizes and strides have an entry for each axis of `x`.

    Where several are the largest, the first gets the gradient.

    >>> max_pool(jnp.arange(4.0), (2,), (2,), "VALID").tolist()
    [1.0, 3.0]
    """
    if not _pools(x, size, strides):
        return _plain_max(x, size, strides, padding)
    w = _Windows(size, strides, pads_of(x.shape, size, strides, padding))
    plain = Call(_plain_max, w)
    return on_cpu(Call(_fast_max, (w,)), plain, x, alone=plain if is_small(x.shape) else None)


def sum_pool(x: jax.Array, size: tuple, strides: tuple, padding: Any) -> jax.Array:
    """The sum of each window; sizes and strides have an entry for each axis of `x`.

    >>> sum_pool(jnp.arange(4.0), (2,), (2,), "VALID").tolist()
    [1.0, 5.0]
    """
    tiles = tuple(size) == tuple(strides)
    one_axis = sum(n > 1 for n in size) == 1
    if not _pools(x, size, strides) or one_axis or (tiles and math.prod(size) <= 4):
        return _plain_sum(x, size, strides, padding)
    w = _Windows(size, strides, pads_of(x.shape, size, strides, padding))
    return on_cpu(Call(_fast_sum, (w,)), Call(_plain_sum, w), x)


def _pools(x: jax.Array, size: tuple, strides: tuple) -> bool:
    return (
        known(x)
        and jnp.issubdtype(x.dtype, jnp.floating)
        and size[0] == strides[0] == 1
        and math.prod(size) > 1
        and sum(n for n in size if n > 1) <= 32
    )


def _plain_max(x: jax.Array, size: tuple, strides: tuple, padding: Any) -> jax.Array:
    return lax.reduce_window(x, _lowest(x.dtype), lax.max, size, strides, padding)


def _plain_sum(x: jax.Array, size: tuple, strides: tuple, padding: Any) -> jax.Array:
    return lax.reduce_window(x, 0.0, lax.add, size, strides, padding)


def _lowest(dtype: Any) -> Any:
    value = dtypes.lowest(dtype)
    return value if dtypes.is_float(dtype) else np.array(value, dtype)


def _slices_pay(w: _Windows) -> bool:
    """Whether slices are faster for the value (they nearly always are for the gradient)."""
    padded, strided = any(map(any, w.pads)), max(w.strides) > 1
    apart = all(n <= s for n, s in zip(w.size, w.strides))
    return math.prod(w.size) <= (9 if apart else 49) and not (padded and strided)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _fast_max(x: jax.Array, w: _Windows) -> jax.Array:
    return _max_of_slices(x, w) if _slices_pay(w) else _plain_max(x, *w)


@_fast_max.defjvp
def _(w: _Windows, primals: tuple, tangents: tuple) -> tuple:
    return jax.jvp(functools.partial(_max_of_slices, w=w), primals, tangents)


@jax.custom_jvp
def _larger(a: jax.Array, b: jax.Array) -> jax.Array:
    return lax.max(a, b)


@_larger.defjvp
def _(primals: tuple, tangents: tuple) -> tuple:
    a, b = primals
    # lax.max would give each of two equal values half of the gradient.
    return _larger(a, b), lax.select(a >= b, *tangents)


def _max_of_slices(x: jax.Array, w: _Windows) -> jax.Array:
    """Reduces axis by axis, the last one first, so that the first of equal values in a window is
    selected."""
    for axis in reversed(range(x.ndim)):
        if w.size[axis] > 1 or w.strides[axis] > 1:
            x = functools.reduce(_larger, _along(x, axis, w))
    return x


def _along(x: jax.Array, axis: int, w: _Windows) -> list[jax.Array]:
    """For each position in the windows along an axis, the values there.

    They are slices of the strides' phases and not strided slices: the transpose is then a
    concatenation, and not a sum of arrays with gaps.
    """
    size, stride, (before, after) = w.size[axis], w.strides[axis], w.pads[axis]
    out = (x.shape[axis] + before + after - size) // stride + 1
    length = out + (size - 1) // stride
    pads = [(0, 0)] * x.ndim
    pads[axis] = (before, length * stride - before - x.shape[axis])
    x = pad(x, _lowest(x.dtype), pads)
    phases = [x]
    if stride > 1:
        x = x.reshape(*x.shape[:axis], length, stride, *x.shape[axis + 1 :])
        phases = [jnp.squeeze(p, axis + 1) for p in lax.split(x, (1,) * stride, axis + 1)]
    return [
        lax.slice_in_dim(phases[i % stride], i // stride, i // stride + out, 1, axis)
        for i in range(size)
    ]


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _fast_sum(x: jax.Array, w: _Windows) -> jax.Array:
    if w.size != w.strides and _slices_pay(w):
        return _sum_of_slices(x, w)
    return _plain_sum(x, *w)


@_fast_sum.defjvp
def _(w: _Windows, primals: tuple, tangents: tuple) -> tuple:
    (t,) = tangents
    if w.size == w.strides:
        moved = _sum_of_tiles(t, w)
    elif max(w.strides) > 1:
        moved = _sum_of_slices(t, w)
    else:
        moved = _plain_sum(t, *w)
    return _fast_sum(*primals, w), moved


def _sum_of_slices(x: jax.Array, w: _Windows) -> jax.Array:
    x = pad(x, 0, w.pads)
    for axis, (size, stride) in enumerate(zip(w.size, w.strides)):
        if size > 1 or stride > 1:
            span = x.shape[axis] - size + 1
            taps = [lax.slice_in_dim(x, i, i + span, stride, axis) for i in range(size)]
            x = functools.reduce(lax.add, taps)
    return x


def _sum_of_tiles(x: jax.Array, w: _Windows) -> jax.Array:
    """Windows that tile the axes without gaps, so that each window is an axis of its own."""
    shape, pads, axes = [], [], []
    for n, size, (before, after) in zip(x.shape, w.size, w.pads):
        tiles = (n + before + after) // size if size > 1 else n
        pads.append((before, tiles * size - before - n) if size > 1 else (0, 0))
        shape.append(tiles)
        if size > 1:
            axes.append(len(shape))
            shape.append(size)
    return jnp.sum(pad(x, 0, pads).reshape(shape), axes)
