"""Convolution in one, two and three dimensions, implemented for any rank."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core.arguments import (
    given,
    one_of,
    positive,
    sizes,
    spatial_axes,
    standardize_data_format,
)
from keraslike.core.tensor_methods import applied
from keraslike.layers.input_spec import InputSpec
from keraslike.layers.lora import Adaptable, _AdaptedWeight, _BareWeight
from keraslike.layers.weighted import Weighted
from keraslike.ops import convolution


def check_strides_or_dilation(strides: Sequence[int], dilation_rate: Sequence[int]) -> None:
    """Raises ValueError if both are above 1."""
    if max(strides) > 1 and max(dilation_rate) > 1:
        raise ValueError(
            "Specifying `strides > 1` is not compatible with `dilation_rate > 1`: "
            "`strides > 1` not supported in conjunction with `dilation_rate > 1`. "
            f"Received: {strides=} and {dilation_rate=}"
        )


class Convolutional(Weighted):
    """Base of all convolutions: the window, the layout of the channels, the bias, the activation.

    Args:
        paddings: the values that `padding` may have.
    """

    rank: int
    bias: Any
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str
    data_format: str
    dilation_rate: tuple[int, ...]
    _saves_activity_regularizer = True

    def __init__(self, cls: type, paddings: Sequence[str] = ("valid", "same"), **arguments: Any):
        super().__init__(cls, **arguments)
        self.kernel_size = sizes(self.rank, kernel_size=self.kernel_size)
        self.strides = sizes(self.rank, strides=self.strides)
        self.padding = one_of(paddings, padding=self.padding)
        self.data_format = standardize_data_format(self.data_format)
        self.dilation_rate = sizes(self.rank, dilation_rate=self.dilation_rate)
        self.input_spec = InputSpec(min_ndim=self.rank + 2, max_ndim=self.rank + 2)

    def _input_channels(self, input_shape: Sequence[int | None]) -> Any:
        """The number of channels; from now on the input spec requires it."""
        axis = -1 if self.data_format == "channels_last" else 1
        channels = input_shape[axis]
        self.input_spec = InputSpec(
            min_ndim=self.rank + 2, max_ndim=self.rank + 2, axes={axis: channels}
        )
        return channels

    def _add_bias(self, filters: Any) -> None:
        self.bias = self._add("bias", (filters,)) if self.use_bias else None

    def _finished(self, outputs: jax.Array) -> jax.Array:
        """Adds the bias and applies the activation."""
        if self.bias is not None:
            after = () if self.data_format == "channels_last" else (1,) * self.rank
            outputs = outputs + jnp.reshape(self.bias.value, (-1, *after))
        return outputs if self.activation is None else applied(self.activation, outputs)


class _Conv(Adaptable, Convolutional):
    """Base of convolutions; subclasses define the rank only."""

    filters: int
    groups: int
    kernel = _AdaptedWeight()
    _kernel = _BareWeight("kernel")

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        groups: int = 1,
        activation: str | Callable | None = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        paddings = ("valid", "same", "causal")[: 2 + (self.rank == 1)]
        super().__init__(_Conv, paddings=paddings, **given(locals()))
        self.filters = positive(filters=filters)
        if groups < 1:
            raise ValueError(
                f"The number of groups must be a positive integer. Received: {groups=}."
            )
        if self.filters % self.groups:
            raise ValueError(
                "The number of filters must be evenly divisible by the number of groups. "
                f"Received: {groups=}, {filters=}."
            )
        check_strides_or_dilation(self.strides, self.dilation_rate)

    def build(self, input_shape: Sequence[int | None]) -> None:
        channels = self._input_channels(input_shape)
        if channels is not None and channels % self.groups:
            raise ValueError(
                f"Layer '{self.name}': the number of channels must be a multiple of "
                f"groups={self.groups}. Received: {channels} channels, input_shape={input_shape}"
            )
        per_group = channels and channels // self.groups
        self.kernel = self._add("kernel", (*self.kernel_size, per_group, self.filters))
        self._add_bias(self.filters)
        self._adapt_built()

    def convolution_op(self, inputs: jax.Array, kernel: jax.Array) -> jax.Array:
        """The convolution alone, without bias and activation, which a subclass may override."""
        return self._convolve(inputs, kernel, self.padding)

    def _convolve(self, inputs: jax.Array, kernel: jax.Array, padding: str) -> jax.Array:
        return convolution.conv(
            inputs, kernel, self.strides, padding, self.data_format, self.dilation_rate
        )

    def call(self, inputs: jax.Array) -> jax.Array:
        return self._finished(self.convolution_op(inputs, self._merged()))


class Conv1D(_Conv):
    """Convolution of sequences: `activation(convolve(inputs, kernel) + bias)`.

    Args:
        filters: the number of output channels.
        kernel_size: the window's size.
        strides: the distance between neighbouring windows.
        padding: `"valid"`, `"same"` (zeros around, so that strides of 1 keep the size) or
            `"causal"` (zeros before, so that an output does not depend on later inputs).
        data_format: `"channels_last"`, `(batch, steps, channels)`, or `"channels_first"`.
        dilation_rate: the distance between the window's taps.
        groups: the number of groups of channels, each of which is convolved separately.
        activation: a function or its name; `None` is the identity.

    The kernel is `(kernel_size, channels // groups, filters)`. Raises ValueError for an input of
    another rank, or of another number of channels once built.

    >>> Conv1D(4, 3, padding="causal")(jnp.ones((2, 8, 3))).shape
    (2, 8, 4)
    """

    rank = 1

    def call(self, inputs: jax.Array) -> jax.Array:
        padding = self.padding
        if padding == "causal":  # No output depends on a later step.
            before = self.dilation_rate[0] * (self.kernel_size[0] - 1)
            (steps,) = spatial_axes(1, self.data_format)
            inputs = jnp.pad(inputs, [(before if a == steps else 0, 0) for a in range(3)])
            padding = "valid"
        return self._finished(self._convolve(inputs, self._merged(), padding))


class Conv2D(_Conv):
    """Convolution of images: `activation(convolve(inputs, kernel) + bias)`.

    Args:
        filters: the number of output channels.
        kernel_size: the window's height and width, or one integer for both; likewise `strides` and
            `dilation_rate`, of which only one may be above 1.
        strides: the distance between neighbouring windows.
        padding: `"valid"` or `"same"` (zeros around, so that strides of 1 keep the size).
        data_format: `"channels_last"`, `(batch, height, width, channels)`, or `"channels_first"`.
        dilation_rate: the distance between the window's taps.
        groups: the number of groups of channels, each of which is convolved separately.
        activation: a function or its name; `None` is the identity.

    The kernel is `(height, width, channels // groups, filters)`. Raises ValueError for an input of
    another rank, or of another number of channels once built.

    >>> Conv2D(4, 3, strides=2, padding="same")(jnp.ones((2, 7, 8, 3))).shape
    (2, 4, 4, 4)
    """

    rank = 2
    _shown_defaults = {"strides": (1, 1), "dilation_rate": (1, 1)}


class Conv3D(_Conv):
    """Convolution of volumes, `(batch, depth, height, width, channels)`; see `Conv2D`.

    >>> Conv3D(4, 2)(jnp.ones((1, 3, 4, 5, 2))).shape
    (1, 2, 3, 4, 4)
    """

    rank = 3
    _shown_defaults = {"strides": (1, 1, 1), "dilation_rate": (1, 1, 1)}
