"""Regularization layers, which add noise in training or penalize activations."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from keraslike import random, regularizers
from keraslike.core.arguments import standardize_data_format
from keraslike.core.rng import SeedGenerator
from keraslike.layers.input_spec import InputSpec
from keraslike.layers.layer import Layer


class _Noise(Layer):
    """Base of layers that change their inputs at random, in training only.

    Each layer has its own random stream, which advances with every call; two layers with the same
    seed draw the same numbers.
    """

    built = True
    supports_masking = True

    def __init__(self, seed: int | None, strength: float, argument: str, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(strength, (int, float)) or not 0 <= strength <= 1:
            raise ValueError(
                f"Invalid value received for argument `{argument}`. Expected a float value between "
                f"0 and 1. Received: {argument}={strength!r}"
            )
        self.seed = seed
        if strength > 0:
            self.seed_generator = SeedGenerator(seed)

    def call(self, inputs: jax.Array, training: bool | None = False) -> jax.Array:
        if training and hasattr(self, "seed_generator"):
            return self._noisy(inputs)
        return inputs

    def _noisy(self, inputs: jax.Array) -> jax.Array:
        raise NotImplementedError


class Dropout(_Noise):
    """In training: zero with probability `rate`, `inputs / (1 - rate)` otherwise.

    The expected value is unchanged (Srivastava et al., JMLR 15, 2014).

    Args:
        rate: from 0 to 1.
        noise_shape: of the mask, broadcast to the inputs; `None` in it is the inputs' size.
        seed: the seed of the random stream; drawn if it is omitted.

    Accepts and returns any shape. Raises ValueError for an invalid rate or `noise_shape`.

    >>> layer = Dropout(0.5, seed=0)
    >>> x = jnp.ones((1, 100))
    >>> sorted(set(layer(x, training=True).ravel().tolist())), bool((layer(x) == x).all())
    ([0.0, 2.0], True)
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed, rate, "rate", **kwargs)
        self.rate = rate
        self.noise_shape = _check_noise_shape(noise_shape)

    def _noisy(self, inputs: jax.Array) -> jax.Array:
        shape = self._mask_shape(inputs)
        return random.dropout(inputs, self.rate, shape, self.seed_generator)

    def _mask_shape(self, inputs: jax.Array) -> tuple[int | None, ...] | None:
        return self.noise_shape


def _check_noise_shape(shape: Any) -> tuple[int | None, ...] | None:
    if shape is None:
        return None
    sizes = list(shape) if isinstance(shape, Sequence) and not isinstance(shape, str) else None
    if sizes is None:
        expected = "a tuple or list of integers"
    elif not all(n is None or hasattr(n, "__index__") for n in sizes):
        expected = "all elements to be integers or None"
    elif any(n is not None and n < 1 for n in sizes):
        expected = "all dimensions to be positive integers or None"
    else:
        return tuple(n if n is None else operator.index(n) for n in sizes)
    raise ValueError(
        f"Invalid value received for argument `noise_shape`. Expected {expected}. "
        f"Received: noise_shape={shape!r}"
    )


class _SpatialDropout(Dropout):
    rank: int

    def _mask_shape(self, inputs: jax.Array) -> tuple[int | None, ...]:
        same = (1,) * self.rank
        return (None, *same, None) if self.data_format == "channels_last" else (None, None, *same)


class SpatialDropout1D(_SpatialDropout):
    """Dropout of whole channels of sequences, `(batch, steps, channels)`.

    >>> y = SpatialDropout1D(0.5, seed=0)(jnp.ones((1, 3, 8)), training=True)
    >>> bool((y[:, 0] == y[:, 2]).all())
    True
    """

    rank = 1
    data_format = "channels_last"

    def __init__(
        self, rate: float, seed: int | None = None, name: str | None = None, dtype: Any = None
    ):
        super().__init__(rate, seed=seed, name=name, dtype=dtype)
        self.input_spec = InputSpec(ndim=3)


class SpatialDropout2D(_SpatialDropout):
    """Dropout of whole channels of images, `(batch, height, width, channels)`.

    >>> y = SpatialDropout2D(0.5, seed=0)(jnp.ones((1, 2, 2, 8)), training=True)
    >>> bool((y[:, 0, 0] == y[:, 1, 1]).all())
    True
    """

    rank = 2

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(rate, seed=seed, name=name, dtype=dtype)
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)


class SpatialDropout3D(SpatialDropout2D):
    """Dropout of whole channels of volumes, `(batch, depth, height, width, channels)`.

    >>> y = SpatialDropout3D(0.5, seed=0)(jnp.ones((1, 2, 2, 2, 8)), training=True)
    >>> bool((y[:, 0, 0, 0] == y[:, 1, 1, 1]).all())
    True
    """

    rank = 3


class AlphaDropout(Dropout):
    """Dropout that preserves mean and variance, for `selu` (Klambauer et al., 1706.02515).

    In training, values are set with probability `rate` to the limit of `selu` at minus infinity,
    and all values are then scaled and shifted.

    Args:
        rate: at least 0 and below 1.
        noise_shape: of the mask, broadcast to the inputs; `None` in it is the inputs' size.
        seed: the seed of the random stream; drawn if it is omitted.

    >>> y = AlphaDropout(0.5, seed=0)(jnp.zeros((1, 100)), training=True)
    >>> len(set(y.ravel().tolist()))
    2
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(rate, noise_shape, seed, **kwargs)
        if rate == 1:
            raise ValueError(f"rate must be below 1. Received: rate={rate}")

    def _noisy(self, inputs: jax.Array) -> jax.Array:
        given = self.noise_shape or (None,) * inputs.ndim
        shape = tuple(n if m is None else m for n, m in zip(inputs.shape, given, strict=True))
        kept = random.uniform(shape, seed=self.seed_generator) >= self.rate
        # The limit of selu for large negative inputs.
        least = -1.6732632423543772 * 1.0507009873554805
        scale = ((1 - self.rate) * (1 + self.rate * least**2)) ** -0.5
        return scale * jnp.where(kept, inputs, least) - scale * least * self.rate


class GaussianNoise(_Noise):
    """In training: `inputs + noise`, with normal noise of mean 0.

    Args:
        stddev: the standard deviation of the noise, from 0 to 1.
        seed: the seed of the random stream; drawn if it is omitted.

    >>> x = jnp.ones((2, 3))
    >>> bool((GaussianNoise(0.1, seed=0)(x, training=True) != x).all())
    True
    """

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any):
        super().__init__(seed, stddev, "stddev", **kwargs)
        self.stddev = stddev

    def _noisy(self, inputs: jax.Array) -> jax.Array:
        seed, dtype = self.seed_generator, self.compute_dtype
        return inputs + random.normal(inputs.shape, 0.0, self.stddev, dtype, seed)


class GaussianDropout(_Noise):
    """In training: `inputs * noise`, normal with mean 1 and variance `rate / (1 - rate)`.

    Args:
        rate: the rate, below 1, of a `Dropout` whose noise has the same variance.
        seed: the seed of the random stream; drawn if it is omitted.

    >>> x = jnp.ones((2, 3))
    >>> bool((GaussianDropout(0.1, seed=0)(x, training=True) != x).all())
    True
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any):
        super().__init__(seed, rate, "rate", **kwargs)
        if rate == 1:
            raise ValueError(f"rate must be below 1. Received: rate={rate}")
        self.rate = rate

    def _noisy(self, inputs: jax.Array) -> jax.Array:
        stddev = math.sqrt(self.rate / (1.0 - self.rate))
        seed, dtype = self.seed_generator, self.compute_dtype
        return inputs * random.normal(inputs.shape, 1.0, stddev, dtype, seed)


class ActivityRegularization(Layer):
    """Returns its inputs; adds `l1 * sum(abs(x)) + l2 * sum(x**2)` for each sample to the loss.

    >>> layer = ActivityRegularization(l1=0.5)
    >>> y = layer(jnp.array([[1.0, -3.0]]))
    >>> [float(loss) for loss in layer.losses]
    [2.0]
    """

    supports_masking = True
    built = True

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0, **kwargs: Any):
        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **kwargs)
        self.l1 = l1
        self.l2 = l2

    def call(self, inputs: jax.Array) -> jax.Array:
        return inputs

    def _constructor_args(self) -> dict[str, Any]:
        args = super()._constructor_args()
        args.pop("activity_regularizer", None)  # It is made from l1 and l2.
        return args
