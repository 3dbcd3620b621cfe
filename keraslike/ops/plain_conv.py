"""Convolutions in XLA's own form, with the order of axes and operands that its CPU backend computes
fast.

There, a convolution is fast only for one order of axes, and if its window is not larger than its
input. XLA converts other orders to this one, but not inside loops, where the gradients that JAX
derives take ten to a hundred times as long (jax issue 12868). If the window is larger, XLA
exchanges the operands, and the convolution takes up to fifty times as long.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from keraslike.ops.cpu import Bilinear, once, pad, pads_of


class Geometry(NamedTuple):
    """The geometry of a convolution's windows, with an entry for each spatial axis."""

    strides: Sequence[int]
    pads: Sequence[tuple[int, int]]
    dilation: Sequence[int]


def geometry_of(
    size: Sequence[Any],
    window: Sequence[int],
    strides: Sequence[int],
    padding: Any,
    dilation: Sequence[int],
) -> Geometry:
    """The geometry over an input of this size; `padding` is a name or a pair for each axis."""
    reach = [(k - 1) * d + 1 for k, d in zip(window, dilation)]
    return Geometry(strides, pads_of(size, reach, strides, padding), dilation)


def fits(size: Sequence[Any], window: Sequence[int], g: Geometry) -> bool:
    """Whether a window lies within the padded input, along the axes whose sizes are numbers."""
    return all(
        n + sum(p) > (k - 1) * d
        for n, k, p, d in zip(size, window, g.pads, g.dilation)
        if isinstance(n, int)
    )


def _conv(
    x: jax.Array, kernel: jax.Array, strides: Any, pads: Any, spread: Any, dilation: Any, last: bool
) -> jax.Array:
    n = x.ndim - 2
    layout = (0, n + 1, *range(1, n + 1)) if last else tuple(range(n + 2))
    return lax.conv_general_dilated(
        x,
        kernel,
        strides,
        pads,
        lhs_dilation=spread,
        rhs_dilation=dilation,
        dimension_numbers=lax.ConvDimensionNumbers(layout, (n + 1, n, *range(n)), layout),
        feature_group_count=x.shape[layout[1]] // kernel.shape[-2],
    )


def plain_conv(*given: Any) -> jax.Array:
    """The form of all platforms: with a bias, and channels last or first."""
    x, kernel, *bias, strides, padding, dilation, last = given
    y = _conv(x, kernel, strides, padding, None, dilation, last)
    return sum((b if last else b.reshape(-1, *(1,) * (x.ndim - 2)) for b in bias), y)


def plain_transposed(
    x: jax.Array, kernel: jax.Array, strides: Any, pads: Any, dilation: Any, last: bool
) -> jax.Array:
    """The form of all platforms of a transposed convolution."""
    ones = (1,) * (x.ndim - 2)
    return _conv(x, turned(kernel), ones, pads, strides, dilation, last)


def turned(kernel: jax.Array) -> jax.Array:
    """The kernel of the transposed convolution."""
    return jnp.flip(jnp.swapaxes(kernel, -1, -2), range(kernel.ndim - 2))


def plain_last(x: jax.Array, kernel: jax.Array, g: Geometry) -> jax.Array:
    """XLA's own form for channels that come last, as are its gradients."""

    def value(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return ordered(x, kernel, g)

    def along_x(dy: jax.Array, kernel: jax.Array) -> jax.Array:
        around = around_of(size, dy.shape[1:-1], window, g)
        windows = Geometry((1,) * len(window), around, g.dilation)
        return ordered(dy, turned(kernel), windows, g.strides)

    def along_kernel(x: jax.Array, dy: jax.Array) -> jax.Array:
        pads = [
            (before, (m - 1) * s + (k - 1) * d + 1 - n - before)
            for n, m, k, s, (before, _), d in zip(size, dy.shape[1:-1], window, *g)
        ]
        x, dy = jnp.swapaxes(x, 0, -1), jnp.moveaxis(dy, 0, -2)
        return jnp.moveaxis(ordered(x, dy, Geometry(g.dilation, pads, g.strides)), 0, -2)

    size, window = x.shape[1:-1], kernel.shape[:-2]
    if x.shape[-1] != kernel.shape[-2]:
        return plain_conv(x, kernel, *g, True)
    return Bilinear(value, along_x, along_kernel)(x, kernel)


def ordered(
    x: jax.Array, kernel: jax.Array, g: Geometry, spread: Sequence[int] | None = None
) -> jax.Array:
    """A convolution, without groups, of `x` dilated by `spread`.

    If the window is larger than `x`, `x` is padded first.
    """
    pads, n = g.pads, x.ndim - 2
    if math.prod(kernel.shape[:-2]) > math.prod(x.shape[1:-1]):
        between = [s - 1 for s in spread or (1,) * n]
        around = ((0, 0, 0), *((*p, b) for p, b in zip(pads, between)), (0, 0, 0))
        x = once(lax.pad(x, jnp.zeros((), x.dtype), around))
        spread, pads = None, ((0, 0),) * n
    return _conv(x, kernel, g.strides, pads, spread, g.dilation, True)


def around_of(
    size: Sequence[int], out: Sequence[int], window: Sequence[int], g: Geometry
) -> list[tuple[int, int]]:
    """The padding of a result's gradient with which every tap has a value for each input."""
    first = [(k - 1) * d - before for k, d, (before, _) in zip(window, g.dilation, g.pads)]
    return [
        (f, n + (k - 1) * d - f - (m - 1) * s - 1)
        for f, n, m, k, d, s in zip(first, size, out, window, g.dilation, g.strides)
    ]


def slices_of(x: jax.Array, g: Geometry, window: Sequence[int]) -> list[jax.Array]:
    """For each tap of the window, in the kernel's order, the inputs that it is multiplied with."""
    x = pad(x, 0, ((0, 0), *g.pads, (0, 0)))
    out = [
        (n - (k - 1) * d - 1) // s + 1
        for n, k, s, d in zip(x.shape[1:-1], window, g.strides, g.dilation)
    ]
    found = []
    for tap in itertools.product(*map(range, window)):
        first = [t * d for t, d in zip(tap, g.dilation)]
        stop = [f + (n - 1) * s + 1 for f, n, s in zip(first, out, g.strides)]
        limits = (x.shape[0], *stop, x.shape[-1])
        found.append(lax.slice(x, (0, *first, 0), limits, (1, *g.strides, 1)))
    return found
