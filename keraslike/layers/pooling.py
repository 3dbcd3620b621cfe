"""Pooling over windows and over whole images, implemented for any rank."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from keraslike import ops
from keraslike.core.arguments import one_of, sizes, spatial_axes, standardize_data_format
from keraslike.layers.input_spec import InputSpec
from keraslike.layers.layer import Layer
from keraslike.ops import convolution


class _Pooling(Layer):
    """A reduction over windows along `rank` spatial axes."""

    built = True
    rank: int
    _pool: Callable[..., jax.Array]

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        self.pool_size = sizes(self.rank, pool_size=pool_size)
        self.strides = self.pool_size if strides is None else sizes(self.rank, strides=strides)
        self.padding = one_of(("valid", "same"), padding=padding)
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: jax.Array) -> jax.Array:
        window = (self.pool_size, self.strides, self.padding, self.data_format)
        return type(self)._pool(inputs, *window)


class _MaxPooling(_Pooling):
    _pool = staticmethod(convolution.max_pool)


class _AveragePooling(_Pooling):
    _pool = staticmethod(convolution.average_pool)

    def __init__(
        self,
        pool_size: int | Sequence[int],
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


class MaxPooling1D(_MaxPooling):
    """The largest value of each window, for sequences `(batch, steps, channels)`.

    >>> MaxPooling1D(2)(jnp.array([[[1.0], [3.0], [2.0], [0.0]]])).ravel().tolist()
    [3.0, 2.0]
    """

    rank = 1


class MaxPooling2D(_MaxPooling):
    """The largest value of each window, channel by channel.

    Args:
        pool_size: the window's height and width, or one integer for both.
        strides: the distance between neighbouring windows; `pool_size` by default.
        padding: `"valid"` or `"same"` (as many windows as the strides fit into the size).
        data_format: `"channels_last"`, `(batch, height, width, channels)`, or `"channels_first"`.

    Raises ValueError for an input that is not of rank 4 or smaller than the window.

    >>> MaxPooling2D()(jnp.arange(16.0).reshape(1, 4, 4, 1)).ravel().tolist()
    [5.0, 7.0, 13.0, 15.0]
    """

    rank = 2
    _shown_defaults = {"pool_size": (2, 2)}


class MaxPooling3D(_MaxPooling):
    """The largest value of each window, for volumes `(batch, depth, height, width, channels)`.

    >>> MaxPooling3D()(jnp.ones((1, 4, 4, 4, 2))).shape
    (1, 2, 2, 2, 2)
    """

    rank = 3
    _shown_defaults = {"pool_size": (2, 2, 2)}


class AveragePooling1D(_AveragePooling):
    """The mean of each window, for sequences `(batch, steps, channels)`.

    >>> AveragePooling1D(2)(jnp.array([[[1.0], [3.0], [2.0], [0.0]]])).ravel().tolist()
    [2.0, 1.0]
    """

    rank = 1


class AveragePooling2D(_AveragePooling):
    """The mean of each window, channel by channel; padding is excluded from the mean.

    The arguments are those of `MaxPooling2D`.

    >>> AveragePooling2D(2)(jnp.arange(16.0).reshape(1, 4, 4, 1)).ravel().tolist()
    [2.5, 4.5, 10.5, 12.5]
    """

    rank = 2


class AveragePooling3D(_AveragePooling):
    """The mean of each window, for volumes `(batch, depth, height, width, channels)`.

    >>> AveragePooling3D(2)(jnp.ones((1, 4, 4, 4, 2))).shape
    (1, 2, 2, 2, 2)
    """

    rank = 3


class _AdaptivePooling(Layer):
    """Base of pooling layers with a fixed number of windows along `rank` spatial axes."""

    rank: int
    _op: str

    def __init__(
        self, output_size: int | Sequence[int], data_format: str | None = None, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.output_size = sizes(self.rank, output_size=output_size)
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: jax.Array) -> jax.Array:
        return getattr(ops, self._op)(inputs, self.output_size, self.data_format)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        if self.data_format == "channels_last":
            return input_shape[0], *self.output_size, input_shape[-1]
        return *input_shape[:2], *self.output_size


class _AdaptiveAveragePooling(_AdaptivePooling):
    _op = "adaptive_average_pool"


class _AdaptiveMaxPooling(_AdaptivePooling):
    _op = "adaptive_max_pool"


class AdaptiveAveragePooling1D(_AdaptiveAveragePooling):
    """The means of `output_size` windows of sequences; see `AdaptiveAveragePooling2D`.

    >>> AdaptiveAveragePooling1D(2)(jnp.arange(5.0).reshape(1, 5, 1)).ravel().tolist()
    [1.0, 3.0]
    """

    rank = 1


class AdaptiveAveragePooling2D(_AdaptiveAveragePooling):
    """The mean of each window, for windows that divide an image evenly.

    Args:
        output_size: the numbers of windows along height and width, or one integer for both. Windows
            overlap if the size is not a multiple of it.
        data_format: `"channels_last"`, `(batch, height, width, channels)`, or `"channels_first"`.

    >>> AdaptiveAveragePooling2D(1)(jnp.arange(4.0).reshape(1, 2, 2, 1)).ravel().tolist()
    [1.5]
    """

    rank = 2


class AdaptiveAveragePooling3D(_AdaptiveAveragePooling):
    """The mean of each window of volumes; see `AdaptiveAveragePooling2D`.

    >>> AdaptiveAveragePooling3D((1, 2, 2))(jnp.ones((1, 2, 3, 4, 5))).shape
    (1, 1, 2, 2, 5)
    """

    rank = 3


class AdaptiveMaxPooling1D(_AdaptiveMaxPooling):
    """The largest values of windows of sequences; see `AdaptiveAveragePooling2D`.

    >>> AdaptiveMaxPooling1D(2)(jnp.arange(5.0).reshape(1, 5, 1)).ravel().tolist()
    [2.0, 4.0]
    """

    rank = 1


class AdaptiveMaxPooling2D(_AdaptiveMaxPooling):
    """The largest values of windows of images; see `AdaptiveAveragePooling2D`.

    >>> AdaptiveMaxPooling2D(1)(jnp.arange(4.0).reshape(1, 2, 2, 1)).ravel().tolist()
    [3.0]
    """

    rank = 2


class AdaptiveMaxPooling3D(_AdaptiveMaxPooling):
    """The largest values of windows of volumes; see `AdaptiveAveragePooling2D`.

    >>> AdaptiveMaxPooling3D(1)(jnp.ones((1, 2, 3, 4, 5))).shape
    (1, 1, 1, 1, 5)
    """

    rank = 3


class _GlobalPooling(Layer):
    """A reduction over all of `rank` spatial axes."""

    built = True
    rank: int

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = standardize_data_format(data_format)
        self.keepdims = keepdims
        self.input_spec = InputSpec(ndim=self.rank + 2)

    @property
    def _axes(self) -> tuple[int, ...]:
        return spatial_axes(self.rank, self.data_format)


class _GlobalAveragePooling(_GlobalPooling):
    def call(self, inputs: jax.Array) -> jax.Array:
        return jnp.mean(inputs, self._axes, keepdims=self.keepdims)


class _GlobalMaxPooling(_GlobalPooling):
    def call(self, inputs: jax.Array) -> jax.Array:
        return jnp.max(inputs, self._axes, keepdims=self.keepdims)


class GlobalAveragePooling1D(_GlobalAveragePooling):
    """The mean over all unmasked steps of `(batch, steps, channels)`.

    >>> GlobalAveragePooling1D()(jnp.array([[[1.0], [3.0]]])).tolist()
    [[2.0]]
    """

    rank = 1
    supports_masking = True

    def call(self, inputs: jax.Array, mask: jax.Array | None = None) -> jax.Array:
        if mask is None:
            return super().call(inputs)
        keep = jnp.expand_dims(mask.astype(bool), 2 if self.data_format == "channels_last" else 1)
        total = jnp.sum(jnp.where(keep, inputs, 0), self._axes, keepdims=self.keepdims)
        return total / jnp.sum(keep.astype(inputs.dtype), self._axes, keepdims=self.keepdims)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        return None  # The output has no steps.


class GlobalAveragePooling2D(_GlobalAveragePooling):
    """The mean over height and width of each channel.

    Args:
        data_format: `"channels_last"`, `(batch, height, width, channels)`, or `"channels_first"`.
        keepdims: whether to keep height and width as axes of size 1.

    Returns `(batch, channels)`. Raises ValueError for an input that is not of rank 4.

    >>> GlobalAveragePooling2D()(jnp.arange(4.0).reshape(1, 2, 2, 1)).tolist()
    [[1.5]]
    """

    rank = 2


class GlobalAveragePooling3D(_GlobalAveragePooling):
    """The mean over depth, height and width of each channel.

    >>> GlobalAveragePooling3D()(jnp.ones((2, 3, 4, 5, 6))).shape
    (2, 6)
    """

    rank = 3


class GlobalMaxPooling1D(_GlobalMaxPooling):
    """The largest value over all steps of `(batch, steps, channels)`.

    >>> GlobalMaxPooling1D()(jnp.array([[[1.0], [3.0]]])).tolist()
    [[3.0]]
    """

    rank = 1


class GlobalMaxPooling2D(_GlobalMaxPooling):
    """The largest value over height and width of each channel; see `GlobalAveragePooling2D`.

    >>> GlobalMaxPooling2D()(jnp.arange(4.0).reshape(1, 2, 2, 1)).tolist()
    [[3.0]]
    """

    rank = 2


class GlobalMaxPooling3D(_GlobalMaxPooling):
    """The largest value over depth, height and width of each channel.

    >>> GlobalMaxPooling3D()(jnp.ones((2, 3, 4, 5, 6))).shape
    (2, 6)
    """

    rank = 3
