"""Convolutions and pooling of `tf.nn`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.ops import cpu_conv
from keraslike.tf import documentation
from keraslike.tf.conversion import _as_operand, static
from keraslike.tf.errors import InvalidArgumentError, UnimplementedError
from keraslike.tf.operation import operands
from keraslike.tf.ops import transpose
from keraslike.tf.promotion import promotes
from keraslike.tf.table import check_kind
from keraslike.tf.tensor import WIDE, Tensor, run


def all_sizes(value: Any, rank: int) -> tuple[int, ...]:
    """Sizes for all axes, of which those of the batch and of the channels are 1 by default."""
    value = static(value)
    sizes = (value,) if isinstance(value, int) else tuple(value)
    if len(sizes) not in (1, rank, rank + 2):
        raise ValueError(f"Expected 1, {rank} or {rank + 2} numbers. Received: {value}")
    sizes = sizes if len(sizes) == rank + 2 else (1, *(sizes * rank)[:rank], 1)
    if min(sizes) < 1 or max(sizes) >= 1 << 31:
        raise InvalidArgumentError(
            f"Sizes of windows and steps must be > 0 and fit an int32. Received: {value}"
        )
    return sizes


def _sizes(value: Any, rank: int) -> tuple[int, ...]:
    first, *sizes, last = all_sizes(value, rank)
    if (first, last) != (1, 1):
        raise UnimplementedError(
            f"Windows and steps must be 1 along the batch and the channels. Received: {value}"
        )
    return tuple(sizes)


def _vector(sizes: Any) -> tuple[int, ...]:
    sizes = static(sizes)
    if not isinstance(sizes, tuple):
        raise InvalidArgumentError(f"A shape must be a list of sizes. Received: {sizes}")
    return sizes


def steps_and_rates(
    strides: Any, dilations: Any, rank: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Strides and dilations for each spatial axis; raises ValueError if both are above 1."""
    steps, rates = ((1,) * rank if v is None else _sizes(v, rank) for v in (strides, dilations))
    if max(rates) > 1 and max(steps) > 1:
        raise ValueError(
            f"Either strides or dilations must be 1. Received: strides={steps}, dilations={rates}"
        )
    return steps, rates


def _format(name: str, data_format: Any) -> None:
    if data_format is not None and not data_format.endswith("C"):
        raise ValueError(
            f"tf.nn.{name}: channels must be the last axis. Received: data_format={data_format!r}"
        )


def either_order(function: Callable) -> Callable:
    """Extends a function of tensors whose channels come last to those whose channels come first: it
    transposes them, and permutes the sizes given for all axes."""
    signature = inspect.signature(function)
    place = list(signature.parameters).index("data_format")

    @promotes
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        layout = kwargs.get("data_format") or (args[place] if len(args) > place else None)
        if not isinstance(layout, str) or layout[:2] != "NC":
            return function(*args, **kwargs)
        given = signature.bind(*args, **kwargs).arguments
        first = next(iter(given))
        x = _as_operand(given[first])
        rank = len(x.shape)
        if layout not in ("NCW", "NCHW", "NCDHW") or len(layout) != rank:
            raise ValueError(
                f"data_format must fit the {rank} axes of {first}. Received: data_format={layout!r}"
            )
        given[first] = transpose(x, [0, *range(2, rank), 1])
        for name in ("ksize", "stride", "strides", "dilations", "output_shape", "padding"):
            value = given.get(name)
            value = value if isinstance(value, (str, int)) else static(value)
            if isinstance(value, tuple) and len(value) == rank:
                given[name] = (value[0], *value[2:], value[1])
        given["data_format"] = layout.replace("C", "") + "C"
        out = function(**given)
        return transpose(out, [0, rank - 1, *range(1, rank - 1)])

    return call


def _padding(padding: Any, rank: int) -> Any:
    if not isinstance(padding, str):
        pairs = tuple(map(tuple, static(padding)))
        ends = {n for pair in (*pairs[:1], *pairs[-1:]) for n in pair}
        if len(pairs) != rank + 2 or min(map(min, pairs)) < 0 or ends != {0}:
            raise InvalidArgumentError(
                f"padding must be a name, or two numbers >= 0 for each of {rank + 2} axes, which "
                f"are 0 for the batch and the channels. Received: {padding}"
            )
        return pairs[1:-1]
    if padding not in ("SAME", "VALID"):
        raise InvalidArgumentError(f"padding must be 'SAME' or 'VALID'. Received: {padding!r}")
    return padding


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
        return run(_convolved, given, (_sizes(strides, rank), _padding(padding, rank), dilation))

    conv.__name__ = conv.__qualname__ = f"conv{rank}d"
    conv.__doc__ = f"Convolution over {rank} axes, channels last."
    return either_order(conv)


def _check_numbers(x: Any, rank: int) -> None:
    if x.dtype != "int32" or rank == 3:
        check_kind(f"nn.conv{rank}d", x, "buic")


def _convolved(x: Any, kernel: Any, strides: Any, padding: Any, dilations: Any) -> Any:
    """A convolution of images with any number of batch axes."""
    _check_numbers(x, len(strides))
    _check_reach(x, kernel, padding, dilations)
    return _linear(x, kernel, strides, padding, dilations)


def _linear(x: Any, kernel: Any, strides: Any, padding: Any, dilations: Any) -> Any:
    inner = kernel.ndim - 1
    batch = x.shape[:-inner]
    if not batch or kernel.ndim != len(strides) + 2 or 0 in kernel.shape[:-1]:
        raise InvalidArgumentError(
            f"A convolution over {len(strides)} axes needs an input of at least {len(strides) + 2} "
            f"axes, and filters of as many, which are not empty. Received shapes: {x.shape}, "
            f"{kernel.shape}"
        )
    if len(batch) == 1:
        return cpu_conv.conv(x, kernel, strides, padding, dilations)
    out = cpu_conv.conv(x.reshape(-1, *x.shape[-inner:]), kernel, strides, padding, dilations)
    return out.reshape(*batch, *out.shape[1:])


def _check_reach(x: Any, kernel: Any, padding: Any, dilations: Any) -> None:
    """Raises if filters are larger by more than one element than images without padding."""
    reach = [(k - 1) * d for k, d in zip(kernel.shape, dilations)]
    sizes = x.shape[1 - kernel.ndim : -1]
    if padding == "VALID" and any(isinstance(n, int) and r > n for n, r in zip(sizes, reach)):
        raise InvalidArgumentError(
            f"The filters are larger than the input: {kernel.shape}, {x.shape}"
        )


_conv1d, conv2d, conv3d = _convolution(1), _convolution(2), _convolution(3)


@either_order
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

    >>> tf.nn.conv1d([[[1.0], [2.0], [3.0]]], [[[1.0]], [[1.0]]], 1, "VALID").numpy().tolist()
    [[[3.0], [5.0]]]
    """
    return _conv1d(input, filters, stride, padding, dilations=dilations)


@either_order
def convolution(
    input: Any,
    filters: Any,
    strides: Any = None,
    padding: Any = "VALID",
    data_format: Any = None,
    dilations: Any = None,
    name: Any = None,
) -> Tensor:
    """A convolution over one, two or three axes, according to the rank of `filters`.

    Args:
        input: `(batch, *spatial, channels)`.
        filters: `(*window, channels, filters)`.
        strides, dilations: a number for each spatial axis, or one for all.

    Raises ValueError for strides combined with dilations.

    >>> tf.nn.convolution([[[1.0], [2.0], [3.0]]], [[[1.0]], [[1.0]]]).numpy().tolist()
    [[[3.0], [5.0]]]
    """
    _format("convolution", data_format)
    filters = _as_operand(filters)
    rank = len(filters.shape) - 2
    if rank not in _FORMATS:
        raise ValueError(f"filters must have 3, 4 or 5 axes. Received shape: {filters.shape}")
    steps, rates = steps_and_rates(strides, dilations, rank)
    return (_conv1d, conv2d, conv3d)[rank - 1](input, filters, steps, padding, dilations=rates)


def conv(
    input: Any,
    filter: Any,
    strides: Any,
    padding: str,
    explicit_paddings: Any = (),
    data_format: str = "CHANNELS_LAST",
    dilations: Any = (),
    batch_dims: int = 1,
    groups: int = 1,
    name: Any = None,
) -> Tensor:
    """A convolution over two or three axes, with any number of batch axes.

    Args:
        input: `(*batch, *spatial, channels)`, or `(*batch, channels, *spatial)`.
        filter: `(*window, channels / groups, filters)`.
        strides, dilations: a number for each axis of `filter`, in the order of those of `input`.
        padding: `"SAME"`, `"VALID"` or `"EXPLICIT"`.
        explicit_paddings: two numbers for each of these axes.
        data_format: `"CHANNELS_LAST"` or `"CHANNELS_FIRST"`.

    >>> tf.conv(tf.ones([1, 2, 2, 1]), tf.ones([2, 2, 1, 1]), [1, 1, 1, 1], "VALID").numpy().item()
    4.0
    """
    x, filter = operands("conv", input, filter)
    rank, axes = len(filter.shape) - 2, len(x.shape)
    if rank not in (2, 3) or axes != batch_dims + rank + 1:
        raise InvalidArgumentError(
            f"tf.conv: filter must have 4 or 5 axes, and input batch_dims={batch_dims} + 3 or 4. "
            f"Received shapes: {x.shape}, {filter.shape}"
        )
    if data_format not in ("CHANNELS_LAST", "CHANNELS_FIRST"):
        raise InvalidArgumentError(
            "tf.conv: data_format must be 'CHANNELS_LAST' or 'CHANNELS_FIRST'. Received: "
            f"{data_format!r}"
        )
    if (padding == "EXPLICIT") != bool(explicit_paddings):
        raise InvalidArgumentError(
            f"tf.conv: explicit_paddings must be given with padding='EXPLICIT' only. Received: "
            f"padding={padding!r}, explicit_paddings={explicit_paddings}"
        )
    pairs = list(zip(explicit_paddings[::2], explicit_paddings[1::2]))
    given: list[Any] = [strides, dilations or [1] * (rank + 2), pairs or padding]
    first, batch = data_format == "CHANNELS_FIRST", range(batch_dims)
    if first:
        x = transpose(x, [*batch, *range(batch_dims + 1, axes), batch_dims])
        given = [v if isinstance(v, str) else [v[0], *v[2:], v[1]] for v in given]
    if x.shape[-1] != groups * filter.shape[-2]:
        raise InvalidArgumentError(
            f"tf.conv: input must have groups={groups} times as many channels as filter. Received "
            f"shapes: {input.shape}, {filter.shape}"
        )
    steps, rates, pads = _sizes(given[0], rank), _sizes(given[1], rank), _padding(given[2], rank)
    out = run(_convolved, (x, filter), (steps, pads, rates))
    return transpose(out, [*batch, axes - 1, *range(batch_dims, axes - 1)]) if first else out


def atrous_conv2d(value: Any, filters: Any, rate: Any, padding: Any, name: Any = None) -> Tensor:
    """A convolution of images with filters whose positions are `rate` pixels apart.

    >>> x = tf.reshape(tf.range(9.0), [1, 3, 3, 1])
    >>> tf.nn.atrous_conv2d(x, tf.ones([2, 2, 1, 1]), 2, "VALID").numpy().tolist()
    [[[[16.0]]]]
    """
    return convolution(value, filters, None, padding, dilations=_sizes(rate, 2))


@either_order
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

    >>> tf.nn.depthwise_conv2d(
    ...     tf.ones([1, 2, 2, 2]), tf.ones([2, 2, 2, 1]), [1, 1, 1, 1], "VALID"
    ... ).numpy().tolist()
    [[[[4.0, 4.0]]]]
    """
    _format("depthwise_conv2d", data_format)
    given = operands("nn.depthwise_conv2d", input, filter)
    dilation = (1, 1) if dilations is None else _sizes(dilations, 2)
    steps = _sizes(strides, 2)
    if max(steps) > 1 and max(dilation) > 1:
        raise ValueError(
            f"strides must be 1 with dilations. Received: strides={steps}, dilations={dilation}"
        )
    return run(_depthwise, given, (steps, _padding(padding, 2), dilation))


def _depthwise(x: Any, kernel: Any, strides: Any, padding: Any, dilations: Any) -> Any:
    check_kind("nn.depthwise_conv2d", x, "buic")
    _check_reach(x, kernel, padding, dilations)
    height, width, channels, multiplier = kernel.shape
    kernel = kernel.reshape(height, width, 1, channels * multiplier)
    return cpu_conv.conv(x, kernel, strides, padding, dilations)


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
        shape = _vector(output_shape)
        rest = (shape, _sizes(strides, rank), _padding(padding, rank), spread)
        return run(_conv_transposed, (_as_operand(input), _as_operand(filters)), rest)

    conv_transpose.__name__ = conv_transpose.__qualname__ = name
    conv_transpose.__doc__ = "A transposed convolution: the gradient of one by its input."
    return either_order(conv_transpose)


def _conv_transposed(x: Any, kernel: Any, shape: Any, *rest: Any) -> Any:
    """The gradient of a convolution with respect to its input, for outputs of the shape of `x`."""
    _check_numbers(x, kernel.ndim - 2)
    if len(shape) == kernel.ndim - 2:
        shape = (-1, *shape, kernel.shape[-2])
    shape = (x.shape[0], *shape[1:]) if shape[0] in (-1, None) else shape
    return _gradient(lambda y: _linear(y, kernel.astype(y.dtype), *rest), shape, x)


def _gradient(linear: Callable, shape: Any, output: Any) -> Any:
    """The gradient of a linear function with an input of this shape, given that of its output."""
    if not jnp.issubdtype(output.dtype, jnp.inexact):  # JAX does not transpose these functions.
        with WIDE(True):
            return _gradient(linear, shape, output.astype("float64")).astype(output.dtype)
    given = jax.ShapeDtypeStruct(shape, output.dtype)
    expected = jax.eval_shape(linear, given).shape
    if expected != output.shape:
        raise InvalidArgumentError(
            f"A convolution of an input of shape {tuple(shape)} has outputs of shape {expected}. "
            f"Received an output of shape {output.shape}."
        )
    return jax.linear_transpose(linear, given)(output)[0]


conv1d_transpose, conv2d_transpose, conv3d_transpose = map(_transposed, (1, 2, 3))


@either_order
def conv_transpose(
    input: Any,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: str = "SAME",
    data_format: Any = None,
    dilations: Any = None,
    name: Any = None,
) -> Tensor:
    """A transposed convolution over one, two or three axes, according to the rank of `filters`.

    >>> tf.nn.conv_transpose(
    ...     [[[1.0], [2.0]]], [[[1.0]], [[1.0]]], [1, 4, 1], 2
    ... ).numpy().ravel().tolist()
    [1.0, 1.0, 2.0, 2.0]
    """
    filters = _as_operand(filters)
    rank = len(filters.shape) - 2
    if rank not in _FORMATS:
        raise ValueError(f"filters must have 3, 4 or 5 axes. Received shape: {filters.shape}")
    transposed = (conv1d_transpose, conv2d_transpose, conv3d_transpose)[rank - 1]
    layout = data_format or _FORMATS[rank]
    return transposed(input, filters, output_shape, strides, padding, layout, dilations)


def atrous_conv2d_transpose(
    value: Any, filters: Any, output_shape: Any, rate: Any, padding: Any, name: Any = None
) -> Tensor:
    """The gradient of `atrous_conv2d` with respect to its input: from `value` to `output_shape`.

    Args:
        filters: `(rows, columns, channels of the output, channels of value)`.

    >>> x = tf.ones([1, 1, 1, 1])
    >>> tf.nn.atrous_conv2d_transpose(
    ...     x, tf.ones([2, 2, 1, 1]), [1, 3, 3, 1], 2, "VALID"
    ... ).numpy().ravel().tolist()
    [1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0]
    """
    return conv2d_transpose(value, filters, output_shape, 1, padding, dilations=_sizes(rate, 2))


def _backprops(depthwise: bool, rank: int = 2) -> tuple[Callable, Callable]:
    """The gradients of a convolution with respect to its input and its filters."""
    forward = _depthwise if depthwise else _linear
    ones = [1] * (rank + 2)

    def by_input(kernel: Any, output: Any, shape: Any, *rest: Any) -> Any:
        if not depthwise:
            return _conv_transposed(output, kernel, shape, *rest)
        return _gradient(lambda x: forward(x, kernel, *rest), shape, output)

    def by_filter(x: Any, output: Any, shape: Any, *rest: Any) -> Any:
        return _gradient(lambda kernel: forward(x, kernel, *rest), shape, output)

    def conv_backprop_input(
        input_sizes: Any,
        filter: Any,
        out_backprop: Any,
        strides: Any,
        padding: Any,
        data_format: str = _FORMATS[rank],
        dilations: Any = ones,
        name: Any = None,
    ) -> Tensor:
        _format("conv_backprop_input", data_format)
        given = operands("nn.conv_backprop_input", filter, out_backprop)
        rest = (_sizes(strides, rank), _padding(padding, rank), _sizes(dilations, rank))
        return run(by_input, given, (_vector(input_sizes), *rest))

    def conv_backprop_filter(
        input: Any,
        filter_sizes: Any,
        out_backprop: Any,
        strides: Any,
        padding: Any,
        data_format: str = _FORMATS[rank],
        dilations: Any = ones,
        name: Any = None,
    ) -> Tensor:
        _format("conv_backprop_filter", data_format)
        given = operands("nn.conv_backprop_filter", input, out_backprop)
        rest = (_sizes(strides, rank), _padding(padding, rank), _sizes(dilations, rank))
        return run(by_filter, given, (_vector(filter_sizes), *rest))

    for function in (conv_backprop_input, conv_backprop_filter):
        of = "depthwise_conv" if depthwise else "conv"
        function.__name__ = function.__name__.replace("conv", f"{of}{rank}d")
        function.__qualname__ = function.__name__
    return conv_backprop_input, conv_backprop_filter


depthwise_conv2d_backprop_input, depthwise_conv2d_backprop_filter = _backprops(True)
conv2d_backprop_input, conv2d_backprop_filter = _backprops(False)
conv3d_backprop_input, conv3d_backprop_filter = _backprops(False, 3)


@either_order
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
    pointwise_filter = _as_operand(pointwise_filter)
    if tuple(pointwise_filter.shape)[:2] != (1, 1):
        raise ValueError(
            "pointwise_filter must have a window of size 1. Received shape: "
            f"{tuple(pointwise_filter.shape)}"
        )
    each = depthwise_conv2d(input, depthwise_filter, strides, padding, dilations=dilations)
    return conv2d(each, pointwise_filter, 1, "VALID")


documentation.describe(globals(), "nn")

__all__ = [
    *("atrous_conv2d", "atrous_conv2d_transpose", "conv1d", "conv1d_transpose", "conv2d"),
    *("conv2d_transpose", "conv3d", "conv3d_transpose", "conv_transpose", "convolution"),
    *("depthwise_conv2d", "depthwise_conv2d_backprop_filter", "depthwise_conv2d_backprop_input"),
    "separable_conv2d",
]
