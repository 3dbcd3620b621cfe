"""Random draws. An integer seed gives the same numbers at every call, the ones Keras gives on JAX;
a SeedGenerator gives new ones each time; no seed draws from the global stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from keraslike.core import dtypes, host, registry
from keraslike.core.annotations import checked
from keraslike.core.boxed import with_sizes
from keraslike.core.operation import op
from keraslike.core.rng import SeedGenerator, draw_key
from keraslike.ops import cpu_random
from keraslike.ops.wrap import array

Seed = int | SeedGenerator | jax.Array | None


def _key(seed: Seed) -> jax.Array:
    return seed if isinstance(seed, jax.Array) else draw_key(seed)


def _sizes(shape: Any) -> tuple[int, ...]:
    shape = with_sizes(shape)
    if export.is_symbolic_dim(shape):
        return (shape,)  # type: ignore[return-value]
    return (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(shape)


def _float(dtype: Any, function: str) -> str:
    dtype = dtypes.standardize_dtype(dtype)
    if not dtypes.is_float(dtype):
        raise ValueError(
            f"`keras.random.{function}` requires a floating point `dtype`. Received: dtype={dtype}"
        )
    return dtype


@checked
def normal(
    shape: int | Sequence[int],
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: Any = None,
    seed: Seed = None,
) -> jax.Array:
    """Draws from a normal distribution.

    Args:
        shape: the shape of the result; an integer is the size of its only axis.
        mean: the mean of the distribution.
        stddev: its standard deviation.
        dtype: a floating-point or complex dtype; `floatx()` by default.
        seed: an integer, a SeedGenerator, a key of `jax.random`, or `None`.

    >>> normal((2, 3), seed=0).shape
    (2, 3)
    """
    dtype = dtypes.standardize_dtype(dtype)
    if not dtype.startswith("complex"):
        dtype = _float(dtype, "normal")
    key, shape = _key(seed), _sizes(shape)
    if host.draws(key, shape, dtype, mean, stddev):
        return host.array(host.normal(key, shape) * np.float32(stddev) + np.float32(mean))
    return jax.random.normal(key, shape, dtype) * stddev + mean


@checked
def truncated_normal(
    shape: int | Sequence[int],
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: Any = None,
    seed: Seed = None,
) -> jax.Array:
    """Draws from a normal distribution truncated at two `stddev` from the mean; see `normal`.

    >>> bool(abs(truncated_normal((100,), seed=0)).max() <= 2)
    True
    """
    dtype = _float(dtype, "truncated_normal")
    key, shape = _key(seed), _sizes(shape)
    if host.draws(key, shape, dtype, mean, stddev):
        sample = host.truncated_normal(key, shape, 2.0)
        return host.array(sample * np.float32(stddev) + np.float32(mean))
    return jax.random.truncated_normal(key, -2.0, 2.0, shape, dtype) * stddev + mean


@checked
def uniform(
    shape: int | Sequence[int],
    minval: float = 0.0,
    maxval: float = 1.0,
    dtype: Any = None,
    seed: Seed = None,
) -> jax.Array:
    """Draws floating-point numbers uniformly from `[minval, maxval)`.

    >>> uniform((2, 3), seed=0).shape
    (2, 3)
    """
    dtype = _float(dtype, "uniform")
    key, shape = _key(seed), _sizes(shape)
    if host.draws(key, shape, dtype, minval, maxval):
        return host.array(host.uniform(key, shape, minval, maxval))
    return jax.random.uniform(key, shape, dtype, minval, maxval)


@checked
def randint(
    shape: int | Sequence[int],
    minval: int,
    maxval: int,
    dtype: Any = "int32",
    seed: Seed = None,
) -> jax.Array:
    """Draws integers uniformly from `[minval, maxval)`.

    >>> bool((randint((10,), 0, 2, seed=0) < 2).all())
    True
    """
    dtype = dtypes.standardize_dtype(dtype or "int32")
    if not jnp.issubdtype(dtype, jnp.integer):
        raise ValueError(
            f"`keras.random.randint` requires an integer `dtype`. Received: dtype={dtype}"
        )
    return jax.random.randint(_key(seed), _sizes(shape), minval, maxval, dtype)


@op
def categorical(
    logits: Any, num_samples: int, dtype: Any = "int32", seed: Seed = None
) -> jax.Array:
    """Draws `num_samples` classes for each row of unnormalized log-probabilities.

    Args:
        logits: `(batch, classes)`.
        num_samples: the number of draws; the output is `(batch, num_samples)`.
        dtype: of the output.
        seed: as for `normal`.

    >>> categorical(jnp.array([[0.0, 100.0]]), 3, seed=0).tolist()
    [[1, 1, 1]]
    """
    logits = array(logits)
    if logits.ndim != 2:
        raise ValueError(f"logits must be (batch, classes). Received: shape {logits.shape}")
    shape = (logits.shape[0], num_samples)
    drawn = jax.random.categorical(_key(seed), logits[..., None], axis=1, shape=shape)
    return drawn.astype(dtypes.standardize_dtype(dtype))


@op
def dropout(
    inputs: Any, rate: float, noise_shape: Sequence[int | None] | None = None, seed: Seed = None
) -> jax.Array:
    """Sets a fraction `rate` of the inputs to 0 and divides the others by `1 - rate`.

    Args:
        inputs: any shape, floating point.
        rate: between 0 and 1.
        noise_shape: the shape of the mask, which is broadcast to that of the inputs; `None` in it
            stands for the input's size.
        seed: as for `normal`.

    Raises ValueError for a rate outside of [0, 1].

    >>> sorted(set(dropout(jnp.ones(100), 0.5, seed=0).tolist()))
    [0.0, 2.0]
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"rate must be in [0, 1]. Received: rate={rate}")
    inputs = array(inputs)
    if rate == 0:
        return inputs
    if rate == 1:
        return jnp.zeros_like(inputs)
    shape = inputs.shape
    if noise_shape is not None:
        if len(noise_shape) > inputs.ndim:
            raise ValueError(
                f"noise_shape has more axes than the inputs, whose shape is {inputs.shape}. "
                f"Received: noise_shape={noise_shape}"
            )
        sizes = zip(inputs.shape, noise_shape, strict=False)
        shape = tuple(n if s is None else s for n, s in sizes)
    keep = _kept(shape, rate, seed)
    if noise_shape is not None:
        keep = jnp.broadcast_to(keep, inputs.shape)
    return jnp.where(keep, inputs / (1.0 - rate), jnp.zeros((), inputs.dtype))


def _kept(shape: Sequence[int], rate: float, seed: Seed) -> jax.Array:
    """A mask that is true for the elements that dropout keeps."""
    return cpu_random.bernoulli(_key(seed), 1.0 - rate, tuple(shape))


@op
def shuffle(x: Any, axis: int = 0, seed: Seed = None) -> jax.Array:
    """Shuffles the elements along an axis, independently for each position along the other axes.

    >>> sorted(shuffle(jnp.arange(4), seed=0).tolist())
    [0, 1, 2, 3]
    """
    return jax.random.permutation(_key(seed), array(x), axis, independent=True)


@checked
def gamma(
    shape: int | Sequence[int], alpha: Any, dtype: Any = None, seed: Seed = None
) -> jax.Array:
    """Draws from gamma distributions with shape parameter `alpha` (broadcast to `shape`).

    >>> bool((gamma((3,), 2.0, seed=0) > 0).all())
    True
    """
    return jax.random.gamma(_key(seed), array(alpha), _sizes(shape), _float(dtype, "gamma"))


@checked
def beta(
    shape: int | Sequence[int], alpha: Any, beta: Any, dtype: Any = None, seed: Seed = None
) -> jax.Array:
    """Draws from beta distributions with parameters `alpha` and `beta` (broadcast to `shape`).

    >>> bool((beta((3,), 2.0, 1.0, seed=0) <= 1).all())
    True
    """
    dtype = _float(dtype, "beta")
    return jax.random.beta(_key(seed), array(alpha), array(beta), _sizes(shape), dtype)


@checked
def binomial(
    shape: int | Sequence[int],
    counts: Any,
    probabilities: Any,
    dtype: Any = None,
    seed: Seed = None,
) -> jax.Array:
    """Draws the number of successes in `counts` trials that succeed with `probabilities`.

    >>> bool((binomial((3,), 5, 0.5, seed=0) <= 5).all())
    True
    """
    dtype = _float(dtype, "binomial")
    n, p = array(counts), array(probabilities)
    return jax.random.binomial(_key(seed), n, p, _sizes(shape), dtype)


_functions = (
    *(normal, truncated_normal, uniform, randint, categorical, dropout, shuffle),
    *(gamma, beta, binomial),
)
registry.publish(
    "keras.random", {"SeedGenerator": SeedGenerator, **{f.__name__: f for f in _functions}}
)

__all__ = ["SeedGenerator", *(f.__name__ for f in _functions)]
__dir__ = __all__.copy
