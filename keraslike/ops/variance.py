"""The variance around a mean that is there already, with a gradient of few passes over memory."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp


def mean_and_variance(
    x: jax.Array, axes: int | Sequence[int] | None, keepdims: bool = False
) -> tuple[jax.Array, jax.Array]:
    """The mean and the variance of floats along axes, or along all.

    >>> [float(m) for m in mean_and_variance(jnp.array([1.0, 3.0]), (0,))]
    [2.0, 1.0]
    """
    along = range(x.ndim) if axes is None else (axes,) if isinstance(axes, int) else axes
    axes = tuple(axis % x.ndim for axis in along)
    mean = jnp.mean(x, axes, keepdims=True)
    variance = _around(x, mean, axes)
    return (mean, variance) if keepdims else (mean.squeeze(axes), variance.squeeze(axes))


# How the variance depends on the mean is no part of its derivative: the sum of the differences
# from the mean is zero, which `jnp.var` adds up in a pass of its own. And a gradient written with
# the differences makes XLA's CPU backend keep them in memory: by the values and the mean it is
# `a * x + b`, which goes into the loop that adds it to the gradient of what is normalized.
@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _around(x: jax.Array, mean: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    return jnp.mean(jnp.square(x - mean), axes, keepdims=True)


@_around.defjvp
def _around_jvp(axes: tuple[int, ...], primals: tuple, tangents: tuple) -> tuple:
    (x, mean), (dx, _) = primals, tangents
    product = jnp.mean(x * dx, axes, keepdims=True) - mean * jnp.mean(dx, axes, keepdims=True)
    return _around(x, mean, axes), 2 * product
