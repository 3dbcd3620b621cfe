"""The variance around a known mean, with a gradient that takes few passes over memory."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp


def mean_and_variance(
    x: jax.Array, axes: int | Sequence[int] | None, keepdims: bool = False
) -> tuple[jax.Array, jax.Array]:
    """The mean and the variance of floats along axes, or along all axes.

    >>> [float(m) for m in mean_and_variance(jnp.array([1.0, 3.0]), (0,))]
    [2.0, 1.0]
    """
    along = range(x.ndim) if axes is None else (axes,) if isinstance(axes, int) else axes
    axes = tuple(axis % x.ndim for axis in along)
    mean = jnp.mean(x, axes, keepdims=True)
    variance = _around(x, mean, axes)
    return (mean, variance) if keepdims else (mean.squeeze(axes), variance.squeeze(axes))


# The dependence of the variance on the mean does not contribute to its derivative, since the
# deviations from the mean sum to zero; `jnp.var` computes that sum in a separate pass. A gradient
# in terms of the deviations would make XLA's CPU backend keep them in memory. In terms of the
# values and the mean it is `a * x + b`, which is fused into the loop that adds it to the gradient
# of the normalized values.
@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _around(x: jax.Array, mean: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    return jnp.mean(jnp.square(x - mean), axes, keepdims=True)


@_around.defjvp
def _around_jvp(axes: tuple[int, ...], primals: tuple, tangents: tuple) -> tuple:
    (x, mean), (dx, _) = primals, tangents
    product = jnp.mean(x * dx, axes, keepdims=True) - mean * jnp.mean(dx, axes, keepdims=True)
    return _around(x, mean, axes), 2 * product
