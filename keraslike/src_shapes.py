"""Functions of `keras.src` for shapes, axes and the padding of convolutions that packages use;
`src_names.py` lists them."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from keraslike import ops
from keraslike.core.arguments import one_of, sizes
from keraslike.core.symbolic import KerasTensor
from keraslike.ops.convolution import transposed_pads


def shape_equal(
    a_shape: Sequence[Any], b_shape: Sequence[Any], axis: Any = None, allow_none: bool = True
) -> bool:
    """Whether two shapes are equal, ignoring some axes and (`allow_none`) unknown sizes.

    >>> shape_equal((2, None), (2, 3)), shape_equal((2,), (3,)), shape_equal((2,), (3,), axis=0)
    (True, False, True)
    """
    rank, axes = len(a_shape), axis if isinstance(axis, (list, tuple)) else [axis]
    left_out = {a % rank for a in axes if a is not None}
    return rank == len(b_shape) and all(
        a == b or i in left_out or (allow_none and None in (a, b))
        for i, (a, b) in enumerate(zip(a_shape, b_shape))
    )


def canonicalize_axis(axis: Any, num_dims: int) -> int:
    """An axis as a non-negative number; ValueError if it is out of range.

    >>> canonicalize_axis(-1, 4)
    3
    """
    index = operator.index(axis)
    if not -num_dims <= index < num_dims:
        raise ValueError(f"axis {axis} is out of bounds for an array with dimension {num_dims}.")
    return index % num_dims


def canonicalize_axes(axis: Any, num_dims: int) -> tuple[int, ...]:
    """One or several axes as non-negative numbers.

    >>> canonicalize_axes([0, -1], 4), canonicalize_axes(1, 4)
    ((0, 3), (1,))
    """
    axes = axis if isinstance(axis, (list, tuple)) else (axis,)
    return tuple(canonicalize_axis(each, num_dims) for each in axes)


def broadcast_shapes(shape1: Sequence[Any], shape2: Sequence[Any]) -> list[Any]:
    """The shape to which two shapes broadcast.

    >>> broadcast_shapes((2, 1), (1, 3))
    [2, 3]
    """
    try:
        return list(ops.add(KerasTensor(shape1), KerasTensor(shape2)).shape)
    except ValueError:
        raise ValueError(
            f"Cannot broadcast shapes {shape1} and {shape2} against each other."
        ) from None


def reduce_shape(shape: Sequence[Any], axis: Any = None, keepdims: bool = False) -> tuple:
    """The shape of a reduction over some axes.

    >>> reduce_shape((2, None, 3), axis=-1)
    (2, None)
    """
    return tuple(ops.sum(KerasTensor(shape), axis=axis, keepdims=keepdims).shape)


def compute_reshape_output_shape(
    input_shape: Sequence[Any], newshape: Any, newshape_arg_name: str = "newshape"
) -> tuple:
    """The shape of an array after a reshape.

    >>> compute_reshape_output_shape((2, 6), (4, -1))
    (4, 3)
    """
    return tuple(ops.reshape(KerasTensor(input_shape), newshape).shape)


def compute_conv_output_shape(
    input_shape: Sequence[Any],
    filters: int,
    kernel_size: Sequence[int],
    strides: Any = 1,
    padding: str = "valid",
    data_format: str = "channels_last",
    dilation_rate: Any = 1,
) -> tuple:
    """The shape of the output of a convolution.

    >>> compute_conv_output_shape((None, 8, 8, 3), 16, (3, 3), strides=2)
    (None, 3, 3, 16)
    """
    channels = input_shape[-1 if data_format == "channels_last" else 1]
    kernel = KerasTensor((*kernel_size, channels, filters))
    x = KerasTensor(input_shape)
    return tuple(ops.conv(x, kernel, strides, padding, data_format, dilation_rate).shape)


def compute_conv_transpose_output_shape(
    input_shape: Sequence[Any],
    kernel_size: Sequence[int],
    filters: int,
    strides: Any,
    padding: str,
    output_padding: Any = None,
    data_format: str = "channels_last",
    dilation_rate: Any = 1,
) -> list[Any]:
    """The shape of the output of a transposed convolution.

    >>> compute_conv_transpose_output_shape((None, 4, 3), (3,), 16, 2, "same")
    [None, 8, 16]
    """
    channels = input_shape[-1 if data_format == "channels_last" else 1]
    kernel = KerasTensor((*kernel_size[: len(input_shape) - 2], filters, channels))
    options = (strides, padding, output_padding, data_format, dilation_rate)
    return list(ops.conv_transpose(KerasTensor(input_shape), kernel, *options).shape)


def compute_conv_transpose_padding_args_for_jax(
    input_shape: Sequence[Any],
    kernel_shape: Sequence[int],
    strides: Any,
    padding: str,
    output_padding: Any,
    dilation_rate: Any,
) -> list[tuple[int, int]]:
    """The padding argument of `jax.lax.conv_transpose` for a transposed convolution.

    >>> compute_conv_transpose_padding_args_for_jax((1, 4, 3), (3, 16, 3), 2, "same", None, 1)
    [(2, 1)]
    """
    n = len(input_shape) - 2
    steps, dilation = sizes(n, strides=strides), sizes(n, dilation_rate=dilation_rate)
    more = (None,) * n if output_padding is None else sizes(n, 0, output_padding=output_padding)
    return [
        conv_transpose_padding(k, s, d, padding, m)
        for k, s, d, m in zip(kernel_shape, steps, dilation, more)
    ]


def conv_transpose_padding(
    kernel_size: int, stride: int, dilation_rate: int, padding: str, output_padding: int | None
) -> tuple[int, int]:
    """The same for one axis.

    >>> conv_transpose_padding(3, 2, 1, "valid", None)
    (2, 2)
    """
    same = one_of(("valid", "same"), padding=padding.lower()) == "same"
    return transposed_pads((kernel_size - 1) * dilation_rate + 1, stride, same, output_padding)


def conv_transpose_size(
    input_size: int | None,
    kernel_size: int,
    strides: int,
    padding: str,
    output_padding: int | None,
    dilation_rate: int,
) -> int | None:
    """The size of a transposed convolution along one axis.

    >>> conv_transpose_size(5, 3, 2, "same", None, 1)
    10
    """
    shape, kernel = (None, input_size, 1), (kernel_size,)
    rest = (strides, padding, output_padding, "channels_last", dilation_rate)
    return compute_conv_transpose_output_shape(shape, kernel, 1, *rest)[1]


def compute_pooling_output_shape(
    input_shape: Sequence[Any],
    pool_size: Any,
    strides: Any = None,
    padding: str = "valid",
    data_format: str = "channels_last",
) -> tuple:
    """The shape of the output of pooling.

    >>> compute_pooling_output_shape((None, 8, 8, 3), (2, 2), (2, 2))
    (None, 4, 4, 3)
    """
    x = KerasTensor(input_shape)
    return tuple(ops.max_pool(x, pool_size, strides, padding, data_format).shape)
