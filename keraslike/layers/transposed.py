"""Transposed convolution in one, two and three dimensions, implemented for any rank."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp  # noqa: F401  (for the examples)

from keraslike.core.arguments import given, positive, sizes
from keraslike.layers.convolutional import Convolutional, check_strides_or_dilation
from keraslike.ops import convolution


class _ConvTranspose(Convolutional):
    """Base of transposed convolutions, which compute the gradient of a convolution by its
    inputs."""

    filters: int

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        output_padding: int | Sequence[int] | None = None,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
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
        super().__init__(_ConvTranspose, **given(locals()))
        self.filters = positive(filters=filters)
        self.output_padding = self._check_output_padding(output_padding)
        check_strides_or_dilation(self.strides, self.dilation_rate)

    def _check_output_padding(self, output_padding: Any) -> tuple[int, ...] | None:
        if output_padding is None:
            return None
        found = sizes(self.rank, 0, output_padding=output_padding)
        if any(more >= stride for more, stride in zip(found, self.strides)):
            raise ValueError(
                "`output_padding` must be strictly less than `strides`. "
                f"Received: output_padding={output_padding}, strides={self.strides}"
            )
        return found

    def build(self, input_shape: Sequence[int | None]) -> None:
        channels = self._input_channels(input_shape)
        self.kernel = self._add("kernel", (*self.kernel_size, self.filters, channels))
        self._add_bias(self.filters)

    def call(self, inputs: jax.Array) -> jax.Array:
        outputs = convolution.conv_transpose(
            inputs,
            self.kernel.value,
            self.strides,
            self.padding,
            self.output_padding,
            self.data_format,
            self.dilation_rate,
        )
        return self._finished(outputs)


class Conv1DTranspose(_ConvTranspose):
    """Transposed convolution of sequences, `(batch, steps, channels)`; see `Conv2DTranspose`.

    >>> Conv1DTranspose(4, 3, strides=2)(jnp.ones((2, 8, 3))).shape
    (2, 17, 4)
    """

    rank = 1


class Conv2DTranspose(_ConvTranspose):
    """Transposed convolution of images: each input adds its multiple of the kernel to the outputs.

    It maps the shape of a convolution's output to that of its input.

    Args:
        filters: the number of output channels.
        kernel_size: the window's height and width, or one integer for both; likewise `strides` and
            `dilation_rate`, of which only one may be above 1.
        strides: the distance between the outputs to which neighbouring inputs add.
        padding: `"valid"`, for `(size - 1) * stride + max(kernel, stride)` outputs along an axis,
            or `"same"` for `size * stride`.
        output_padding: the number of outputs at the end of each axis, less than the stride, beyond
            `(size - 1) * stride + kernel` or, with `"same"`, `(size - 1) * stride + kernel % 2`.
        data_format: `"channels_last"`, `(batch, height, width, channels)`, or `"channels_first"`.
        dilation_rate: the distance between the window's taps.

    The kernel is `(height, width, filters, channels)`. Raises ValueError for an input of another
    rank, or of another number of channels once built.

    >>> Conv2DTranspose(4, 3, strides=2, padding="same")(jnp.ones((2, 7, 8, 3))).shape
    (2, 14, 16, 4)
    """

    rank = 2
    _shown_defaults = {"strides": (1, 1), "dilation_rate": (1, 1)}


class Conv3DTranspose(_ConvTranspose):
    """Transposed convolution of volumes, `(batch, depth, height, width, channels)`.

    See `Conv2DTranspose`; as in Keras, `data_format` comes before `output_padding` here.

    >>> Conv3DTranspose(4, 2, strides=2)(jnp.ones((1, 3, 4, 5, 2))).shape
    (1, 6, 8, 10, 4)
    """

    rank = 3
    _shown_defaults = {"strides": (1, 1, 1), "dilation_rate": (1, 1, 1)}

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        output_padding: int | Sequence[int] | None = None,
        dilation_rate: int | Sequence[int] = 1,
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
        super().__init__(**given(locals()))
