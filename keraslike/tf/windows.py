"""Convolutions and pooling of `tf.nn`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.ops import cpu_conv, cpu_pool
from keraslike.tf import documentation
from keraslike.tf.conversion import _as_operand, static
from keraslike.tf.operation import operands
from keraslike.tf.tensor import Tensor, run


def _sizes(value: Any, rank: int) -> tuple[int, ...]:
    value = static(value)
    sizes = (value,) if isinstance(value, int) else tuple(value)
    sizes = sizes * rank if len(sizes) == 1 else sizes
    return sizes[1:-1] if len(sizes) == rank + 2 else sizes


def _window(value: Any, rank: int) -> tuple[int, ...]:
    """The window sizes for all axes; of four sizes for images, the last one is for channels."""
    value = static(value)
    given = () if isinstance(value, int) else tuple(value)
    return given if len(given) == rank + 2 else (1, *_sizes(value, rank), 1)


def _format(name: str, data_format: Any) -> None:
    if data_format is not None and not data_format.endswith("C"):
        raise ValueError(
            f"tf.nn.{name}: channels must be the last axis. Received: data_format={data_format!r}"
        )


def _padding(padding: Any) -> Any:
    return padding if isinstance(padding, str) else tuple(map(tuple, static(padding)[1:-1]))


_FORMATS = {1: "NWC", 2: "NHWC", 3: "NDHWC"}


def _convolution(rank: int) -> Callable:
    def conv(
        input: Any,
        filters: Any,
        strides: Any,
        padding: Any,
        data_format: Any = _FORMATS[rank],
        dilations: Any = None,
        name: Any = None,
    ) -> Tensor:
        _format(f"conv{rank}d", data_format)
        given = operands(f"nn.conv{rank}d", input, filters)
        dilation = (1,) * rank if dilations is None else _sizes(dilations, rank)
        return run(cpu_conv.conv, given, (_sizes(strides, rank), _padding(padding), dilation))

    conv.__name__ = conv.__qualname__ = f"conv{rank}d"
    conv.__doc__ = f"Convolution over {rank} axes, channels last."
    return conv


_conv1d, conv2d, conv3d = _convolution(1), _convolution(2), _convolution(3)


def conv1d(
    input: Any,
    filters: Any,
    stride: Any,
    padding: Any,
    data_format: Any = "NWC",
    dilations: Any = None,
    name: Any = None,
) -> Tensor:
    """Convolution over one axis, channels last.

    >>> from keraslike import tf
    >>> tf.nn.conv1d([[[1.0], [2.0], [3.0]]], [[[1.0]], [[1.0]]], 1, "VALID").numpy().tolist()
    [[[3.0], [5.0]]]
    """
    return _conv1d(input, filters, stride, padding, data_format, dilations)


def depthwise_conv2d(
    input: Any,
    filter: Any,
    strides: Any,
    padding: Any,
    data_format: Any = None,
    dilations: Any = None,
    name: Any = None,
) -> Tensor:
    """A depthwise convolution, of each channel with its own filters.

    >>> from keraslike import tf
    >>> tf.nn.depthwise_conv2d(
    ...     tf.ones([1, 2, 2, 2]), tf.ones([2, 2, 2, 1]), [1, 1, 1, 1], "VALID"
    ... ).numpy().tolist()
    [[[[4.0, 4.0]]]]
    """
    _format("depthwise_conv2d", data_format)
    given = operands("nn.depthwise_conv2d", input, filter)
    dilation = (1, 1) if dilations is None else _sizes(dilations, 2)
    return run(_depthwise, given, (_sizes(strides, 2), _padding(padding), dilation))


def _depthwise(x: Any, kernel: Any, strides: Any, padding: Any, dilations: Any) -> Any:
    height, width, channels, multiplier = kernel.shape
    kernel = kernel.reshape(height, width, 1, channels * multiplier)
    return cpu_conv.conv(x, kernel, strides, padding, dilations)


def _pool(name_of: str, rank: int, average: bool) -> Callable:
    def pool(
        input: Any,
        ksize: Any,
        strides: Any,
        padding: Any,
        data_format: Any = _FORMATS[rank],
        name: Any = None,
    ) -> Tensor:
        _format(name_of, data_format)
        rest = (_window(ksize, rank), _window(strides, rank), padding, average)
        return run(_pooled, (_as_operand(input),), rest)

    pool.__name__ = pool.__qualname__ = name_of
    pool.__doc__ = f"The {'mean' if average else 'largest'} of each window, channels last."
    return pool


def _check_window(shape: Any, window: Any, padding: Any) -> None:
    """Raises ValueError if there is no padding and the window is larger than the input."""
    if padding == "VALID" and any(
        isinstance(n, int) and w > n for n, w in zip(shape[1:-1], window, strict=False)
    ):
        raise ValueError(f"ksize={window} is larger than the images. Received shape: {shape}")


def _pooled(x: Any, window: Any, strides: Any, padding: str, average: bool) -> Any:
    _check_window(x.shape, window, padding)
    if not average:
        return cpu_pool.max_pool(x, window, strides, padding)
    counts = cpu_pool.sum_pool(jnp.ones(x.shape, x.dtype), window, strides, padding)
    return cpu_pool.sum_pool(x, window, strides, padding) / counts


max_pool1d, max_pool2d = _pool("max_pool1d", 1, False), _pool("max_pool2d", 2, False)


avg_pool1d, avg_pool2d = _pool("avg_pool1d", 1, True), _pool("avg_pool2d", 2, True)


max_pool3d, avg_pool3d = _pool("max_pool3d", 3, False), _pool("avg_pool3d", 3, True)


def _pool_of_any_rank(name_of: str) -> Callable:
    def pool(
        input: Any,
        ksize: Any,
        strides: Any,
        padding: Any,
        data_format: Any = None,
        name: Any = None,
    ) -> Tensor:
        input = _as_operand(input)
        rank = len(input.shape) - 2
        if rank not in (1, 2, 3):
            raise ValueError(
                f"tf.nn.{name_of}: input must have 3, 4 or 5 axes. Received shape {input.shape}."
            )
        pools = globals()[f"{name_of}{rank}d"]
        return pools(input, ksize, strides, padding, data_format or _FORMATS[rank])

    pool.__name__ = pool.__qualname__ = name_of
    pool.__doc__ = f"As `{name_of}1d`, `{name_of}2d` or `{name_of}3d`, by the number of axes."
    return pool


max_pool, avg_pool = _pool_of_any_rank("max_pool"), _pool_of_any_rank("avg_pool")


def _transposed(rank: int) -> Callable:
    name = f"conv{rank}d_transpose"

    def conv_transpose(
        input: Any,
        filters: Any,
        output_shape: Any,
        strides: Any,
        padding: str = "SAME",
        data_format: str = _FORMATS[rank],
        dilations: Any = None,
        name: Any = None,
    ) -> Tensor:
        _format(conv_transpose.__name__, data_format)
        spread = (1,) * rank if dilations is None else _sizes(dilations, rank)
        size = tuple(static(output_shape))[-rank - 1 : -1]
        rest = (size, _sizes(strides, rank), _padding(padding), spread)
        return run(_conv_transposed, (_as_operand(input), _as_operand(filters)), rest)

    conv_transpose.__name__ = conv_transpose.__qualname__ = name
    conv_transpose.__doc__ = "A transposed convolution: the gradient of one by its input."
    return conv_transpose


def _conv_transposed(x: Any, kernel: Any, size: Any, strides: Any, padding: Any, spread: Any):
    # The gradient, with respect to its input, of the convolution with outputs of the shape of `x`.
    spatial = "DHW"[-len(size) :]
    layout = (f"N{spatial}C", f"{spatial}IO", f"N{spatial}C")
    shape = (x.shape[0], *size, kernel.shape[-2])

    def forward(y: Any) -> Any:
        return jax.lax.conv_general_dilated(
            y, kernel, strides, padding, None, spread, dimension_numbers=layout
        )

    return jax.linear_transpose(forward, jax.ShapeDtypeStruct(shape, x.dtype))(x)[0]


conv1d_transpose, conv2d_transpose, conv3d_transpose = map(_transposed, (1, 2, 3))


def separable_conv2d(
    input: Any,
    depthwise_filter: Any,
    pointwise_filter: Any,
    strides: Any,
    padding: str,
    data_format: str | None = None,
    dilations: Any = None,
    name: Any = None,
) -> Tensor:
    """A depthwise convolution, followed by one with a window of size 1.

    >>> from keraslike import tf
    >>> tf.nn.separable_conv2d(
    ...     tf.ones([1, 2, 2, 2]),
    ...     tf.ones([2, 2, 2, 1]),
    ...     tf.ones([1, 1, 2, 1]),
    ...     [1, 1, 1, 1],
    ...     "VALID",
    ... ).numpy().tolist()
    [[[[8.0]]]]
    """
    _format("separable_conv2d", data_format)
    each = depthwise_conv2d(input, depthwise_filter, strides, padding, dilations=dilations)
    return conv2d(each, pointwise_filter, 1, "VALID")


documentation.describe(globals(), "nn")

__all__ = [
    *("avg_pool", "avg_pool1d", "avg_pool2d", "avg_pool3d", "conv1d", "conv1d_transpose"),
    *("conv2d", "conv2d_transpose", "conv3d", "conv3d_transpose", "depthwise_conv2d"),
    *("max_pool", "max_pool1d", "max_pool2d", "max_pool3d", "separable_conv2d"),
]
