"""Parts of images as columns or channels, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core import arguments
from keraslike.core.operation import op
from keraslike.ops.plain_conv import Geometry, slices_of
from keraslike.ops.wrap import array, public


def _check_rank(x: jax.Array, rank: int) -> None:
    if x.ndim != rank:
        raise ValueError(f"x must be a {rank}D tensor. Received: x of shape {x.shape}")


@op
def unfold(
    x: Any,
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> jax.Array:
    """The windows of images as columns (im2col).

    Args:
        x: `(batch, channels, height, width)`.
        kernel_size: of a window.
        dilation: the distance between neighbours in a window.
        padding: rows and columns of zeros on each side.
        stride: from one window to the next.

    Returns `(batch, channels * window, number of windows)`.

    >>> unfold(jnp.ones((1, 3, 4, 4)), 2).shape
    (1, 12, 9)
    """
    x = array(x)
    _check_rank(x, 4)
    window = arguments.sizes(2, kernel_size=kernel_size)
    pads = [(n, n) for n in arguments.sizes(2, 0, padding=padding)]
    strides, rates = arguments.sizes(2, stride=stride), arguments.sizes(2, dilation=dilation)
    found = slices_of(jnp.moveaxis(x, 1, -1), Geometry(strides, pads, rates), window)
    out = jnp.moveaxis(jnp.stack(found, -1), (-2, -1), (1, 2))
    return out.reshape(x.shape[0], x.shape[1] * len(found), -1)


@op
def fold(
    x: Any,
    output_size: int | Sequence[int],
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> jax.Array:
    """Images of their windows, overlaps added: the transpose of `unfold` (col2im).

    Args:
        x: `(batch, channels * window, number of windows)`.
        output_size: height and width of the images.

    Returns `(batch, channels, *output_size)`.

    >>> fold(jnp.ones((1, 4, 4)), 3, 2)[0, 0].tolist()
    [[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]
    """
    x = array(x)
    _check_rank(x, 3)
    size = arguments.sizes(2, output_size=output_size)
    window = math.prod(arguments.sizes(2, kernel_size=kernel_size))
    if x.shape[1] % window:
        raise ValueError(
            f"The second dimension of x must be divisible by that of a window, {window}. "
            f"Received: x of shape {x.shape}, kernel_size={kernel_size}"
        )
    shape = (x.shape[0], x.shape[1] // window, *size)
    windows = lambda image: unfold(image, kernel_size, dilation, padding, stride)  # noqa: E731
    (out,) = jax.linear_transpose(windows, jax.ShapeDtypeStruct(shape, x.dtype))(x)
    return out


def _blocks(x: Any, block_size: int, data_format: str) -> tuple[jax.Array, bool]:
    x = array(x)
    _check_rank(x, 4)
    if block_size < 2:
        raise ValueError(f"`block_size` must be at least 2. Received: block_size={block_size}")
    last = arguments.standardize_data_format(data_format) == "channels_last"
    return x if last else jnp.moveaxis(x, 1, -1), last


@op
def depth_to_space(x: Any, block_size: int, data_format: str = "channels_last") -> jax.Array:
    """Channels laid out as square blocks of pixels.

    Args:
        x: `(batch, height, width, channels)`, or `(batch, channels, height, width)`.
        block_size: of a block, at least 2.
        data_format: `"channels_last"` or `"channels_first"`.

    Returns images `block_size` times as high and wide, with that much fewer channels: of a pixel's
    channels, those of the block's first pixel come first (with `"channels_first"`, each result
    channel's block comes as a whole).

    >>> depth_to_space(jnp.arange(4.0).reshape(1, 1, 1, 4), 2)[0, ..., 0].tolist()
    [[0.0, 1.0], [2.0, 3.0]]
    """
    x, last = _blocks(x, block_size, data_format)
    n, height, width, channels = x.shape
    b = block_size
    if channels % (b * b):
        raise ValueError(
            f"The number of channels must be divisible by block_size**2, {b * b}. "
            f"Received: {channels} channels"
        )
    depth = channels // (b * b)
    x = x.reshape(n, height, width, *((b, b, depth) if last else (depth, b, b)))
    x = x.transpose(0, 1, 3, 2, 4, 5) if last else x.transpose(0, 1, 4, 2, 5, 3)
    x = x.reshape(n, height * b, width * b, depth)
    return x if last else jnp.moveaxis(x, -1, 1)


@op
def space_to_depth(x: Any, block_size: int, data_format: str = "channels_last") -> jax.Array:
    """Square blocks of pixels as channels: the inverse of `depth_to_space`.

    >>> space_to_depth(jnp.arange(4.0).reshape(1, 2, 2, 1), 2).ravel().tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    x, last = _blocks(x, block_size, data_format)
    n, height, width, depth = x.shape
    b = block_size
    for name, size in (("Height", height), ("Width", width)):
        if size % b:
            raise ValueError(f"{name} must be divisible by block_size, {b}. Received: {size}")
    x = x.reshape(n, height // b, b, width // b, b, depth)
    x = x.transpose(0, 1, 3, 2, 4, 5) if last else x.transpose(0, 1, 3, 5, 2, 4)
    x = x.reshape(n, height // b, width // b, b * b * depth)
    return x if last else jnp.moveaxis(x, -1, 1)


__all__ = public(globals())
