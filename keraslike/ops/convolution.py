"""Convolution and pooling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core import arguments
from keraslike.core.notes import show_shape
from keraslike.core.operation import op
from keraslike.ops import cpu_conv, cpu_pool
from keraslike.ops.wrap import array

__all__ = [
    "adaptive_average_pool",
    "adaptive_max_pool",
    "average_pool",
    "conv",
    "conv_transpose",
    "depthwise_conv",
    "max_pool",
    "separable_conv",
]


def _window(inputs: jax.Array, pool_size: Any, strides: Any, padding: Any, data_format: str | None):
    n = inputs.ndim - 2
    size = arguments.sizes(n, pool_size=pool_size)
    steps = size if strides is None else arguments.sizes(n, strides=strides)
    last = arguments.standardize_data_format(data_format) == "channels_last"
    size, steps = ((1, *s, 1) if last else (1, 1, *s) for s in (size, steps))
    padding = _padding(padding)
    for axis, (length, window) in enumerate(zip(inputs.shape, size)):
        if padding == "VALID" and isinstance(length, int) and 0 < length < window:
            raise ValueError(
                f"Computed output size would be zero or negative: pool_size={pool_size} is larger "
                f"than the inputs along axis {axis}. Received: inputs of shape "
                f"{show_shape(inputs.shape)}"
            )
    return size, steps, padding


def _padding(padding: Any) -> str:
    return arguments.one_of(("valid", "same"), padding=padding).upper()


@op
def max_pool(
    inputs: Any,
    pool_size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> jax.Array:
    """The largest value in each window.

    Args:
        inputs: `(batch, *spatial, channels)`, or `(batch, channels, *spatial)`.
        pool_size: the window's size, along each spatial axis.
        strides: from one window to the next; the window's size where `None`.
        padding: `"valid"`, or `"same"` for windows that reach beyond the edge.
        data_format: `"channels_last"` or `"channels_first"`.

    >>> max_pool(jnp.arange(4.0).reshape(1, 4, 1), 2).ravel().tolist()
    [1.0, 3.0]
    """
    x = array(inputs)
    return cpu_pool.max_pool(x, *_window(x, pool_size, strides, padding, data_format))


@op
def average_pool(
    inputs: Any,
    pool_size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> jax.Array:
    """The mean of each window, of what is inside the edge; arguments as for `max_pool`.

    >>> average_pool(jnp.arange(4.0).reshape(1, 4, 1), 2).ravel().tolist()
    [0.5, 2.5]
    """
    x = array(inputs)
    window, steps, padding = _window(x, pool_size, strides, padding, data_format)
    total = cpu_pool.sum_pool(x, window, steps, padding)
    if padding == "VALID":
        return total / math.prod(window)
    ones = jnp.ones([n if w > 1 else 1 for n, w in zip(x.shape, window)], x.dtype)
    return total / jax.lax.reduce_window(ones, 0.0, jax.lax.add, window, steps, padding)


@op
def adaptive_average_pool(
    inputs: Any, output_size: int | Sequence[int], data_format: str | None = None
) -> jax.Array:
    """The means of windows of such sizes that `output_size` of them cover each spatial axis.

    Args:
        inputs: `(batch, *spatial, channels)`, or `(batch, channels, *spatial)`.
        output_size: the number of windows along each spatial axis; they overlap by one where the
            size is not a multiple of it.
        data_format: `"channels_last"` or `"channels_first"`.

    >>> adaptive_average_pool(jnp.arange(5.0).reshape(1, 5, 1), 2).ravel().tolist()
    [1.0, 3.0]
    """
    return _adaptive(jnp.mean, inputs, output_size, data_format)


@op
def adaptive_max_pool(
    inputs: Any, output_size: int | Sequence[int], data_format: str | None = None
) -> jax.Array:
    """The largest values of windows as those of `adaptive_average_pool`.

    >>> adaptive_max_pool(jnp.arange(5.0).reshape(1, 5, 1), 2).ravel().tolist()
    [2.0, 4.0]
    """
    return _adaptive(jnp.max, inputs, output_size, data_format)


def _adaptive(reduce: Any, inputs: Any, output_size: Any, data_format: str | None) -> jax.Array:
    x = array(inputs)
    counts = arguments.sizes(x.ndim - 2, output_size=output_size)
    data_format = arguments.standardize_data_format(data_format)
    for axis, count in zip(arguments.spatial_axes(x.ndim - 2, data_format), counts):
        n = x.shape[axis]
        if not n % count:
            x = x.reshape(*x.shape[:axis], count, n // count, *x.shape[axis + 1 :])
            x = reduce(x, axis + 1)
            continue
        starts = [i * n // count for i in range(count)]
        stops = [-(-(i + 1) * n // count) for i in range(count)]
        # Windows have at most two sizes: a shorter one is padded with its own first value.
        longest = max(b - a for a, b in zip(starts, stops))
        places = jnp.array([[*range(a, b), a][:longest] for a, b in zip(starts, stops)])
        inside = jnp.arange(longest) < jnp.subtract(*map(jnp.array, (stops, starts)))[:, None]
        inside = jnp.expand_dims(inside, range(2, x.ndim - axis + 1))
        x = reduce(jnp.take(x, places, axis), axis + 1, where=inside, **_LEAST.get(reduce, {}))
    return x


_LEAST = {jnp.max: {"initial": -jnp.inf}}


@op
def conv(
    inputs: Any,
    kernel: Any,
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
) -> jax.Array:
    """Convolution over any number of spatial axes.

    Args:
        inputs: `(batch, *spatial, channels)`, or `(batch, channels, *spatial)`.
        kernel: `(*window, channels // groups, filters)`.
        strides: from one window to the next, along each spatial axis.
        padding: `"valid"`, or `"same"` for windows that reach beyond the edge, into zeros.
        data_format: `"channels_last"` or `"channels_first"`.
        dilation_rate: the distance between the inputs of neighbouring elements of the kernel.

    Raises ValueError if the channels do not fit the kernel or the result would be empty.

    >>> conv(jnp.ones((1, 4, 1)), jnp.ones((2, 1, 1))).ravel().tolist()
    [2.0, 2.0, 2.0]
    """
    return biased_conv(inputs, kernel, None, strides, padding, data_format, dilation_rate)


def biased_conv(
    inputs: Any,
    kernel: Any,
    bias: Any,
    strides: int | Sequence[int],
    padding: str,
    data_format: str | None,
    dilation_rate: int | Sequence[int],
) -> jax.Array:
    """`conv` plus a bias for each filter, or `None`."""
    kernel = array(kernel)
    x = array(inputs).astype(kernel.dtype)
    n = x.ndim - 2
    last = arguments.standardize_data_format(data_format) == "channels_last"
    channels = x.shape[-1 if last else 1]
    if channels % kernel.shape[-2]:
        raise ValueError(
            f"input channels must match the kernel: {channels} is no multiple of the kernel's "
            f"{kernel.shape[-2]}. Received: inputs of shape {x.shape}, kernel of {kernel.shape}."
        )
    result = cpu_conv.conv(
        x,
        kernel,
        arguments.sizes(n, strides=strides),
        _padding(padding),
        arguments.sizes(n, dilation_rate=dilation_rate),
        last,
        None if bias is None else array(bias).astype(kernel.dtype),
    )
    if 0 in result.shape and 0 not in x.shape:
        raise ValueError(
            "Computed output size would be zero or negative. "
            f"Inputs of shape {x.shape} are too small for a kernel of shape {kernel.shape} with "
            f"strides={strides}, dilation_rate={dilation_rate}, padding={padding!r}."
        )
    return result


@op
def depthwise_conv(
    inputs: Any,
    kernel: Any,
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
) -> jax.Array:
    """Convolution of each channel by itself; the kernel is `(*window, channels, multiplier)`.

    >>> depthwise_conv(jnp.ones((1, 4, 2)), jnp.ones((2, 2, 1))).shape
    (1, 3, 2)
    """
    x, kernel = array(inputs), array(kernel)
    last = arguments.standardize_data_format(data_format) == "channels_last"
    if x.shape[-1 if last else 1] != kernel.shape[-2]:
        raise ValueError(
            "input channels must match the kernel's. "
            f"Received: inputs of shape {x.shape}, kernel of {kernel.shape}."
        )
    kernel = apart(kernel)
    return conv(inputs, kernel, strides, padding, data_format, dilation_rate)


def apart(kernel: jax.Array) -> jax.Array:
    """A depthwise kernel in the form of a convolution with one group for each channel."""
    return kernel.reshape(*kernel.shape[:-2], 1, kernel.shape[-2] * kernel.shape[-1])


@op
def separable_conv(
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
) -> jax.Array:
    """A depthwise convolution, then one with a window of size 1 that mixes the channels.

    >>> separable_conv(jnp.ones((1, 4, 2)), jnp.ones((2, 2, 1)), jnp.ones((1, 2, 5))).shape
    (1, 3, 5)
    """
    x = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(x, pointwise_kernel, data_format=data_format)


@op
def conv_transpose(
    inputs: Any,
    kernel: Any,
    strides: int | Sequence[int] = 1,
    padding: str = "valid",
    output_padding: int | Sequence[int] | None = None,
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
) -> jax.Array:
    """Transposed convolution: each input adds its multiple of the kernel to the outputs.

    Args:
        inputs: `(batch, *spatial, channels)`, or `(batch, channels, *spatial)`.
        kernel: `(*window, filters, channels)`.
        strides: the distance between the outputs to which neighbouring inputs add.
        padding: `"valid"` gives `(n - 1) * stride + max(window, stride)` outputs along an axis of
            `n` inputs, `"same"` gives `n * stride`.
        output_padding: so many outputs more, at the end, than `(n - 1) * stride + window` or,
            with `"same"`, `(n - 1) * stride + window % 2`.
        data_format: `"channels_last"` or `"channels_first"`.
        dilation_rate: the distance between the outputs that neighbours of the kernel add to.

    Raises ValueError if the channels do not fit the kernel.

    >>> conv_transpose(jnp.array([[[1.0], [2.0]]]), jnp.ones((2, 1, 1)), 2).ravel().tolist()
    [1.0, 1.0, 2.0, 2.0]
    """
    kernel = array(kernel)
    x = array(inputs).astype(kernel.dtype)
    n = x.ndim - 2
    last = arguments.standardize_data_format(data_format) == "channels_last"
    channels = x.shape[-1 if last else 1]
    if channels != kernel.shape[-1]:
        raise ValueError(
            f"input channels must match the kernel: {channels} channels, the kernel is for "
            f"{kernel.shape[-1]}. "
            f"Received: inputs of shape {x.shape}, kernel of {kernel.shape}."
        )
    steps = arguments.sizes(n, strides=strides)
    dilation = arguments.sizes(n, dilation_rate=dilation_rate)
    more = (None,) * n
    if output_padding is not None:
        more = arguments.sizes(n, 0, output_padding=output_padding)
    same = _padding(padding) == "SAME"
    pads = tuple(
        transposed_pads((k - 1) * d + 1, s, same, m)
        for k, s, d, m in zip(kernel.shape, steps, dilation, more)
    )
    return cpu_conv.conv_transpose(x, kernel, steps, pads, dilation, last)


def transposed_pads(window: int, stride: int, same: bool, more: int | None) -> tuple[int, int]:
    """The padding of inputs with zeros between them, with which an ordinary convolution computes
    the transposed one."""
    if not same:
        more = max(stride - window, 0) if more is None else more
        return window - 1, window - 1 + more
    total = window + (stride - 2 if more is None else window % 2 - 2 + more)
    before = min((total + 1) // 2, window - 1)
    return before, total - before
