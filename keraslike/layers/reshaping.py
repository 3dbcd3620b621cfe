"""Layers that reshape, pad, crop and repeat."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core import sparsity
from keraslike.core.arguments import one_of, sizes, spatial_axes, standardize_data_format
from keraslike.layers.input_spec import InputSpec
from keraslike.layers.layer import Layer


class Flatten(Layer):
    """Flattens each sample, from `(batch, ...)` to `(batch, features)`.

    Args:
        data_format: with `"channels_first"` the channels are moved to the end first, so that the
            result is the same in either layout.

    >>> Flatten()(jnp.ones((2, 3, 4))).shape
    (2, 12)
    """

    input_spec = InputSpec(min_ndim=1)
    _keeps_sparse = True

    def __init__(self, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)

    def call(self, inputs: jax.Array) -> jax.Array:
        if self.data_format == "channels_first" and inputs.ndim > 2:
            inputs = sparsity.transpose(inputs, (0, *range(2, inputs.ndim), 1))
        return sparsity.reshape(inputs, (inputs.shape[0], math.prod(inputs.shape[1:])))


class Reshape(Layer):
    """Reshapes each sample.

    Args:
        target_shape: the shape without the batch; one size may be -1 and is inferred.

    Raises ValueError if a sample has another number of values than `target_shape`.

    >>> Reshape((2, -1))(jnp.ones((5, 6))).shape
    (5, 2, 3)
    """

    built = True
    _keeps_sparse = True

    def __init__(self, target_shape: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs)
        self.target_shape = tuple(target_shape)
        if any(n < -1 for n in self.target_shape) or self.target_shape.count(-1) > 1:
            raise ValueError(
                "Each size must be a non-negative integer or -1, and there must be at most one "
                f"unknown dimension (-1). Received: target_shape={target_shape}"
            )

    def call(self, inputs: jax.Array) -> jax.Array:
        given, known = inputs.shape[1:], math.prod(n for n in self.target_shape if n != -1)
        if all(isinstance(n, int) for n in given):
            total = math.prod(given)
            fits = total % known == 0 if -1 in self.target_shape and known else total == known
            if not fits:
                raise ValueError(
                    f"Layer '{self.name}' (Reshape) cannot reshape {total} values per sample to "
                    f"target_shape={self.target_shape}. Received: inputs of shape {inputs.shape}"
                )
        target = self.target_shape
        if -1 in target and known and 0 not in given:
            # For an empty batch JAX cannot infer the size -1.
            target = tuple(math.prod(given) // known if n == -1 else n for n in target)
        return sparsity.reshape(inputs, (inputs.shape[0], *target))


class Permute(Layer):
    """Permutes the axes of each sample.

    Args:
        dims: the axes, counted from 1, without the batch.

    >>> Permute((2, 1))(jnp.ones((5, 2, 3))).shape
    (5, 3, 2)
    """

    _keeps_sparse = True

    def __init__(self, dims: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                "Invalid permutation argument `dims`: it must hold each of 1, 2, ... once. "
                f"Received: dims={dims}"
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: jax.Array) -> jax.Array:
        return sparsity.transpose(inputs, (0, *self.dims))


class RepeatVector(Layer):
    """Repeats each row `n` times, from `(batch, features)` to `(batch, n, features)`.

    >>> RepeatVector(3)(jnp.ones((2, 4))).shape
    (2, 3, 4)
    """

    input_spec = InputSpec(ndim=2)

    def __init__(self, n: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.n = _repetitions(n=n)

    def call(self, inputs: jax.Array) -> jax.Array:
        batch, features = inputs.shape
        return jnp.broadcast_to(inputs[:, None], (batch, self.n, features))


def _repetitions(**argument: Any) -> int:
    ((name, value),) = argument.items()
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(
            f"Expected an integer value for `{name}`. Received: {name}={value!r} "
            f"(of type {type(value).__name__})"
        )
    if value < 1:
        raise ValueError(f"`{name}` should be a positive integer. Received: {name}={value}")
    return int(value)


def _pairs(rank: int, **argument: Any) -> tuple[tuple[int, ...], ...]:
    """A pair of numbers for each axis, from one number for all axes, or a number or a pair for
    each."""
    ((name, value),) = argument.items()
    pairs = (value,) if rank == 1 else value
    if isinstance(value, int):
        pairs = (value,) * rank
    if not isinstance(pairs, Sequence) or len(pairs) != rank:
        raise ValueError(
            f"{name} must be an integer or {rank} integers or pairs of them. "
            f"Received: {name}={value}"
        )
    return tuple(sizes(2, 0, **{name: pair}) for pair in pairs)


class _ZeroPadding(Layer):
    """Base of layers that add zeros before and after each of `rank` spatial axes."""

    rank: int

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self._pairs = _pairs(self.rank, padding=padding)
        self.padding = self._pairs[0] if self.rank == 1 else self._pairs
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: jax.Array) -> jax.Array:
        widths: list[Any] = [(0, 0)] * inputs.ndim
        for axis, pair in zip(spatial_axes(self.rank, self.data_format), self._pairs):
            widths[axis] = pair
        return jnp.pad(inputs, widths)


class ZeroPadding1D(_ZeroPadding):
    """Adds zeros before and after sequences, `(batch, steps, channels)`.

    Args:
        padding: the number of zeros on both sides, or a pair of numbers.
        data_format: `"channels_last"` or `"channels_first"`.

    >>> ZeroPadding1D((1, 2))(jnp.ones((1, 3, 4))).shape
    (1, 6, 4)
    """

    rank = 1


class ZeroPadding2D(_ZeroPadding):
    """Adds zeros around images, `(batch, height, width, channels)`.

    Args:
        padding: the number of zeros on each side, a pair of numbers for height and width, or a pair
            of pairs `(before, after)`.
        data_format: `"channels_last"` or `"channels_first"`.

    >>> ZeroPadding2D(((1, 0), (2, 2)))(jnp.ones((1, 3, 3, 4))).shape
    (1, 4, 7, 4)
    """

    rank = 2
    _shown_defaults = {"padding": (1, 1)}


class ZeroPadding3D(_ZeroPadding):
    """Adds zeros around volumes, `(batch, depth, height, width, channels)`; see `ZeroPadding2D`.

    >>> ZeroPadding3D(1)(jnp.ones((1, 2, 3, 4, 5))).shape
    (1, 4, 5, 6, 5)
    """

    rank = 3
    _shown_defaults = {"padding": ((1, 1), (1, 1), (1, 1))}


class _Cropping(Layer):
    """Base of layers that remove the beginning and the end of each of `rank` spatial axes."""

    rank: int
    data_format: str | None = None

    def __init__(self, cropping: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self._pairs = _pairs(self.rank, cropping=cropping)
        self.cropping = self._pairs[0] if self.rank == 1 else self._pairs
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: jax.Array) -> jax.Array:
        kept = [slice(None)] * inputs.ndim
        axes = spatial_axes(self.rank, standardize_data_format(self.data_format))
        for axis, (before, after) in zip(axes, self._pairs):
            size = inputs.shape[axis]
            if isinstance(size, int) and before + after >= size:
                raise ValueError(
                    "Values in `cropping` argument should be smaller than the corresponding "
                    f"spatial dimension of the input. The `cropping` parameter of "
                    f"`{type(self).__name__}` layer must be smaller than the size of axis {axis}. "
                    f"Received: cropping={self.cropping}, inputs of shape {tuple(inputs.shape)}"
                )
            kept[axis] = slice(before, size - after)
        return inputs[tuple(kept)]


class Cropping1D(_Cropping):
    """Removes the first and last steps of sequences, `(batch, steps, channels)`.

    Args:
        cropping: the number of steps to remove on both sides, or a pair of numbers.

    >>> Cropping1D((1, 2))(jnp.ones((1, 6, 4))).shape
    (1, 3, 4)
    """

    rank = 1

    def __init__(self, cropping: int | Sequence[int] = (1, 1), **kwargs: Any):
        super().__init__(cropping, **kwargs)
        self.data_format = "channels_last"


class Cropping2D(_Cropping):
    """Removes the edges of images, `(batch, height, width, channels)`.

    Args:
        cropping: the number of pixels to remove on each side, a pair of numbers for height and
            width, or a pair of pairs `(before, after)`.
        data_format: `"channels_last"` or `"channels_first"`.

    Raises ValueError if nothing would be left.

    >>> Cropping2D(((1, 0), (2, 2)))(jnp.ones((1, 4, 7, 4))).shape
    (1, 3, 3, 4)
    """

    rank = 2

    def __init__(
        self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any
    ):
        super().__init__(cropping, **kwargs)
        self.data_format = standardize_data_format(data_format)


class Cropping3D(_Cropping):
    """Removes the edges of volumes, `(batch, depth, height, width, channels)`; see `Cropping2D`.

    >>> Cropping3D()(jnp.ones((1, 4, 5, 6, 5))).shape
    (1, 2, 3, 4, 5)
    """

    rank = 3

    def __init__(
        self,
        cropping: Any = ((1, 1), (1, 1), (1, 1)),
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(cropping, **kwargs)
        self.data_format = standardize_data_format(data_format)


def _repeated(x: jax.Array, axes: Sequence[int], times: Sequence[int]) -> jax.Array:
    for axis, n in zip(axes, times):
        x = jnp.repeat(x, n, axis)
    return x


class UpSampling1D(Layer):
    """Repeats each step of sequences `size` times, `(batch, steps, channels)`.

    >>> UpSampling1D(3)(jnp.ones((1, 2, 4))).shape
    (1, 6, 4)
    """

    input_spec = InputSpec(ndim=3)

    def __init__(self, size: int = 2, **kwargs: Any):
        super().__init__(**kwargs)
        self.size = _repetitions(size=size)

    def call(self, inputs: jax.Array) -> jax.Array:
        return _repeated(inputs, (1,), (self.size,))


_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")


class UpSampling2D(Layer):
    """Enlarges images by integer factors, `(batch, height, width, channels)`.

    Args:
        size: the factors of height and width, or one integer for both.
        data_format: `"channels_last"` or `"channels_first"`.
        interpolation: `"nearest"`, `"bilinear"`, `"bicubic"`, `"lanczos3"` or `"lanczos5"`.

    >>> UpSampling2D((1, 2))(jnp.arange(4.0).reshape(1, 2, 2, 1)).ravel().tolist()
    [0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0]
    """

    input_spec = InputSpec(ndim=4)

    def __init__(
        self,
        size: int | Sequence[int] = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.size = sizes(2, size=size)
        self.data_format = standardize_data_format(data_format)
        self.interpolation = one_of(_INTERPOLATIONS, interpolation=interpolation)

    def call(self, inputs: jax.Array) -> jax.Array:
        axes = spatial_axes(2, self.data_format)
        if self.interpolation == "nearest":
            return _repeated(inputs, axes, self.size)
        shape = list(inputs.shape)
        for axis, factor in zip(axes, self.size):
            shape[axis] *= factor
        return jax.image.resize(inputs, shape, self.interpolation, antialias=False)


class UpSampling3D(Layer):
    """Repeats each value of volumes along depth, height and width.

    Args:
        size: the factor for each axis, or one integer for all.
        data_format: `"channels_last"`, `(batch, depth, height, width, channels)`, or
            `"channels_first"`.

    >>> UpSampling3D((1, 2, 3))(jnp.ones((1, 2, 2, 2, 5))).shape
    (1, 2, 4, 6, 5)
    """

    input_spec = InputSpec(ndim=5)

    def __init__(
        self,
        size: int | Sequence[int] = (2, 2, 2),
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.size = sizes(3, size=size)
        self.data_format = standardize_data_format(data_format)

    def call(self, inputs: jax.Array) -> jax.Array:
        return _repeated(inputs, spatial_axes(3, self.data_format), self.size)
