"""`tf.space_to_batch` and its inverse: blocks of positions moved to the batch axis."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from keraslike.tf.conversion import _as_operand, constant, static
from keraslike.tf.moves import moves
from keraslike.tf.operation import operation
from keraslike.tf.tensor import Tensor, run


@operation("space_to_batch", "input")
@moves
def space_to_batch(x: Any, block_shape: Any, paddings: Any) -> Any:
    """Divides the spatial axes into blocks and moves the positions within a block to the batch
    axis.

    Args:
        input: `(batch, *spatial, *rest)`.
        block_shape: the size of blocks along each spatial axis.
        paddings: how many zeros are added before and after each spatial axis.

    Returns `(batch * prod(block_shape), *(padded sizes / block_shape), *rest)`. Raises
    InvalidArgumentError if a padded size is not a multiple of the block's.

    >>> tf.space_to_batch([[[[1], [2]], [[3], [4]]]], [2, 2], [[0, 0], [0, 0]]).numpy().tolist()
    [[[[1]]], [[[2]]], [[[3]]], [[[4]]]]
    """
    count = len(block_shape)
    _check(x.shape, block_shape, paddings, "paddings")
    x = jnp.pad(x, [(0, 0), *paddings, *[(0, 0)] * (x.ndim - count - 1)])
    inner = x.shape[1 : count + 1]
    if any(n % b for n, b in zip(inner, block_shape, strict=True)):
        raise ValueError(f"the padded sizes {inner} are no multiples of block_shape={block_shape}")
    outer = [n // b for n, b in zip(inner, block_shape, strict=True)]
    pairs = [size for pair in zip(outer, block_shape, strict=True) for size in pair]
    apart = x.reshape(x.shape[0], *pairs, *x.shape[count + 1 :])
    blocks = [2 * i + 2 for i in range(count)]
    spatial = [2 * i + 1 for i in range(count)]
    apart = apart.transpose(*blocks, 0, *spatial, *range(2 * count + 1, apart.ndim))
    return apart.reshape(x.shape[0] * math.prod(block_shape), *outer, *x.shape[count + 1 :])


def space_to_batch_nd(input: Any, block_shape: Any, paddings: Any, name: Any = None) -> Tensor:
    """`space_to_batch` under its name in graphs.

    >>> tf.space_to_batch_nd([[1, 2, 3, 4]], [2], [[0, 0]]).numpy().tolist()
    [[1, 3], [2, 4]]
    """
    return space_to_batch(input, block_shape, paddings)


def batch_to_space(input: Any, block_shape: Any, crops: Any, name: Any = None) -> Tensor:
    """The inverse of `space_to_batch`: interleaves elements of the batch along the spatial axes.

    Args:
        input: `(batch, *spatial, *rest)`.
        block_shape: the size of blocks along each spatial axis, or one number for two axes.
        crops: how many positions are removed before and after each spatial axis.

    Returns `(batch / prod(block_shape), *(sizes * block_shape - crops), *rest)`. Raises
    InvalidArgumentError if the batch is not a multiple of the block's size.

    >>> tf.batch_to_space([[1, 3], [2, 4]], [2], [[0, 0]]).numpy().tolist()
    [[1, 2, 3, 4]]
    """
    sizes = static(block_shape)
    sizes = (sizes, sizes) if isinstance(sizes, int) else sizes
    return run(_batch_to_space, (_as_operand(input),), (sizes, static(crops)))


@moves
def _batch_to_space(x: Any, block_shape: Any, crops: Any) -> Any:
    count, blocks = len(block_shape), math.prod(block_shape)
    _check(x.shape, block_shape, crops, "crops")
    if x.shape[0] % blocks:
        raise ValueError(f"a batch of {x.shape[0]} is no multiple of block_shape={block_shape}")
    apart = x.reshape(*block_shape, x.shape[0] // blocks, *x.shape[1:])
    order = [axis for i in range(count) for axis in (count + 1 + i, i)]
    apart = apart.transpose(count, *order, *range(2 * count + 1, apart.ndim))
    whole = [n * b for n, b in zip(x.shape[1:], block_shape)]
    if any(n < before + after for n, (before, after) in zip(whole, crops, strict=True)):
        raise ValueError(f"crops={crops} are larger than the sizes {whole}")
    out = apart.reshape(x.shape[0] // blocks, *whole, *x.shape[count + 1 :])
    kept = [slice(before, n - after) for n, (before, after) in zip(whole, crops, strict=True)]
    return out[(slice(None), *kept)]


def _check(shape: Any, block_shape: Any, ends: Any, name: str) -> None:
    if len(shape) < len(block_shape) + 1 or min(block_shape, default=1) < 1:
        raise ValueError(
            f"block_shape must have a positive number for each spatial axis. Received: "
            f"block_shape={block_shape} for shape {shape}"
        )
    if len(ends) != len(block_shape) or any(len(e) != 2 or min(e) < 0 for e in ends):
        raise ValueError(
            f"{name} must be two numbers from 0 on for each of {len(block_shape)} axes. "
            f"Received: {ends}"
        )


def required_space_to_batch_paddings(
    input_shape: Any, block_shape: Any, base_paddings: Any = None, name: Any = None
) -> tuple[Tensor, Tensor]:
    """The paddings with which the sizes are multiples of the block's, and the crops that undo them.

    Args:
        input_shape: the sizes of the spatial axes.
        base_paddings: the least paddings, none by default.

    >>> paddings, crops = tf.required_space_to_batch_paddings([5], [2])
    >>> paddings.numpy().tolist(), crops.numpy().tolist()
    ([[0, 1]], [[0, 1]])
    """
    sizes, blocks = np.asarray(static(input_shape)), np.asarray(static(block_shape))
    count = len(blocks)
    base = np.zeros((count, 2), np.int32)
    if base_paddings is not None:
        base = np.asarray(static(base_paddings)).reshape(count, 2)
    more = -(sizes + base.sum(1)) % blocks
    crops = np.stack([np.zeros(count, int), more], 1)
    return constant((base + crops).astype(np.int32)), constant(crops.astype(np.int32))


def with_space_to_batch(
    input: Any,
    dilation_rate: Any,
    padding: str,
    op: Callable,
    filter_shape: Any = None,
    spatial_dims: Any = None,
    data_format: Any = None,
) -> Any:
    """Applies `op` to positions that are `dilation_rate` apart, between `space_to_batch` and
    `batch_to_space`.

    Args:
        padding: `"VALID"` or `"SAME"`, which adds zeros for windows of `filter_shape`.
        op: called as `op(input, number of spatial axes, padding)`.
        filter_shape: the sizes of windows, where `padding` is `"SAME"`.
        spatial_dims: the axes that are dilated; those after the batch by default.

    >>> def differences(x, rank, padding):
    ...     return x[:, 1:] - x[:, :-1]
    >>> tf.nn.with_space_to_batch([[1, 2, 4, 8]], [2], "VALID", differences).numpy().tolist()
    [[3, 6]]
    """
    input, rates = _as_operand(input), np.atleast_1d(static(dilation_rate))
    count = len(rates)
    if rates.ndim != 1 or (rates < 1).any():
        raise ValueError(f"dilation_rate must be positive. Received: {dilation_rate}")
    first = 2 if data_format is not None and data_format.startswith("NC") else 1
    axes = sorted(range(first, first + count) if spatial_dims is None else static(spatial_dims))
    if len(axes) != count or axes[0] < 1:
        raise ValueError(f"spatial_dims must be {count} axes from 1 on. Received: {spatial_dims}")
    if (rates == 1).all():
        return op(input, count, padding)
    room = np.zeros(count, int)
    if padding == "SAME":
        if filter_shape is None:
            raise ValueError("filter_shape must be given where padding='SAME'.")
        room = (np.asarray(static(filter_shape))[:count] - 1) * rates
    elif padding != "VALID":
        raise ValueError(f"padding must be 'VALID' or 'SAME'. Received: padding={padding!r}")
    blocks, base = np.ones(axes[-1], int), np.zeros((axes[-1], 2), int)
    places = np.asarray(axes) - 1
    blocks[places], base[places] = rates, np.stack([room // 2, room - room // 2], 1)
    paddings, crops = required_space_to_batch_paddings(input.shape[1 : axes[-1] + 1], blocks, base)
    out = op(space_to_batch(input, blocks, paddings), count, "VALID")
    return batch_to_space(out, blocks, crops)


__all__ = [
    *("batch_to_space", "required_space_to_batch_paddings", "space_to_batch"),
    *("space_to_batch_nd", "with_space_to_batch"),
]
