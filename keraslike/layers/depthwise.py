"""Convolution of each channel separately, alone or followed by a mixture of the channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp  # noqa: F401  (for the examples)

from keraslike.core.arguments import given, positive
from keraslike.core.tensor_methods import applied
from keraslike.layers.convolutional import Convolutional
from keraslike.ops import convolution


class _DepthwiseConv(Convolutional):
    """Base of depthwise convolutions, with `depth_multiplier` filters for each channel."""

    depth_multiplier: int
    depthwise_initializer: Any
    depthwise_regularizer: Any
    depthwise_constraint: Any

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: str | Callable | None = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(_DepthwiseConv, **given(locals()))
        self.depth_multiplier = positive(depth_multiplier=depth_multiplier)

    def build(self, input_shape: Sequence[int | None]) -> None:
        channels = self._input_channels(input_shape)
        self.kernel = self._add(
            "kernel", (*self.kernel_size, channels, self.depth_multiplier), "depthwise"
        )
        self._add_bias(channels and channels * self.depth_multiplier)

    def call(self, inputs: jax.Array) -> jax.Array:
        outputs = convolution.biased_conv(
            inputs,
            convolution.apart(self.kernel.value),
            None if self.bias is None else self.bias.value,
            self.strides,
            self.padding,
            self.data_format,
            self.dilation_rate,
        )
        return outputs if self.activation is None else applied(self.activation, outputs)


class DepthwiseConv1D(_DepthwiseConv):
    """Convolution of each channel of sequences by itself; see `DepthwiseConv2D`.

    >>> DepthwiseConv1D(3, depth_multiplier=2)(jnp.ones((2, 8, 3))).shape
    (2, 6, 6)
    """

    rank = 1


class DepthwiseConv2D(_DepthwiseConv):
    """Convolution of each channel of images by itself.

    Args:
        kernel_size: the window's height and width, or one integer for both; likewise `strides` and
            `dilation_rate`.
        strides: the distance between neighbouring windows.
        padding: `"valid"` or `"same"` (zeros around, so that strides of 1 keep the size).
        depth_multiplier: the number of filters for each channel; their outputs are adjacent.
        data_format: `"channels_last"`, `(batch, height, width, channels)`, or `"channels_first"`.
        dilation_rate: the distance between the window's taps.

    The kernel is `(height, width, channels, depth_multiplier)`. Raises ValueError for an input of
    another rank, or of another number of channels once built.

    >>> DepthwiseConv2D(3, strides=2, padding="same")(jnp.ones((2, 7, 8, 3))).shape
    (2, 4, 4, 3)
    """

    rank = 2
    _shown_defaults = {"strides": (1, 1), "dilation_rate": (1, 1)}


class _SeparableConv(Convolutional):
    """A depthwise convolution over `rank` spatial axes, then one that mixes the channels."""

    filters: int
    depth_multiplier: int
    depthwise_initializer: Any
    depthwise_regularizer: Any
    depthwise_constraint: Any
    pointwise_initializer: Any
    pointwise_regularizer: Any
    pointwise_constraint: Any

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        depth_multiplier: int = 1,
        activation: str | Callable | None = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(_SeparableConv, **given(locals()))
        self.filters = positive(filters=filters)
        self.depth_multiplier = positive(depth_multiplier=depth_multiplier)

    def build(self, input_shape: Sequence[int | None]) -> None:
        channels = self._input_channels(input_shape)
        self.depthwise_kernel = self._add(
            "depthwise_kernel", (*self.kernel_size, channels, self.depth_multiplier), "depthwise"
        )
        self.pointwise_kernel = self._add(
            "pointwise_kernel",
            (*(1,) * self.rank, channels and channels * self.depth_multiplier, self.filters),
            "pointwise",
        )
        self._add_bias(self.filters)

    def call(self, inputs: jax.Array) -> jax.Array:
        outputs = convolution.separable_conv(
            inputs,
            self.depthwise_kernel.value,
            self.pointwise_kernel.value,
            self.strides,
            self.padding,
            self.data_format,
            self.dilation_rate,
        )
        return self._finished(outputs)


class SeparableConv1D(_SeparableConv):
    """A depthwise convolution of sequences, then one that mixes the channels.

    See `SeparableConv2D`.

    >>> SeparableConv1D(4, 3)(jnp.ones((2, 8, 3))).shape
    (2, 6, 4)
    """

    rank = 1


class SeparableConv2D(_SeparableConv):
    """A depthwise convolution of images, then one with a window of size 1 that mixes the channels.

    The arguments are those of `DepthwiseConv2D` and, for the second step, `filters`, the number of
    output channels; there is no bias or activation between the two steps (Chollet,
    arXiv:1610.02357).

    The kernels are `(height, width, channels, depth_multiplier)` and
    `(1, 1, channels * depth_multiplier, filters)`. Raises ValueError for an input of another rank,
    or of another number of channels once built.

    >>> SeparableConv2D(4, 3, padding="same")(jnp.ones((2, 7, 8, 3))).shape
    (2, 7, 8, 4)
    """

    rank = 2
    _shown_defaults = {"strides": (1, 1), "dilation_rate": (1, 1)}
