"""Functions of `tf` for ragged tensors that rearrange rows, or work row by row."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keraslike.tf import indexing, ops, ragged_broadcast, ragged_math, table
from keraslike.tf.conversion import convert_to_tensor, static
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.ragged_partition import _count, _ranges, _summed, _take
from keraslike.tf.ragged_tensor import OPERATIONS, RaggedTensor
from keraslike.tf.structure import host


def _axis(x: Any, axis: Any) -> int:
    rank, axis = len(x.shape), int(static(axis))
    if not -rank <= axis < rank:
        raise ValueError(f"axis={axis} is out of bounds: expected {-rank} <= axis < {rank}")
    return axis % rank


def _reverse(function: Callable, tensor: Any, axis: Any, name: Any = None) -> Any:
    axes = static(axis)
    for one in axes if isinstance(axes, tuple) else (axes,):
        tensor = _reversed(function, tensor, _axis(tensor, one))
    return tensor


def _reversed(function: Callable, x: Any, axis: int) -> Any:
    if not isinstance(x, RaggedTensor):
        return function(x, [axis])
    if axis == 0:
        return _take(x, np.arange(x._rows)[::-1])
    if axis > 1:
        return x.with_values(_reversed(function, x._values, axis - 1))
    splits = x._known("The order of values")
    rows = np.repeat(np.arange(x._rows), np.diff(splits))
    order = splits[:-1][rows] + splits[1:][rows] - 1 - np.arange(len(rows))
    return x.with_values(_take(x._values, order))


def _tile(function: Callable, input: Any, multiples: Any, name: Any = None) -> Any:
    return _tiled(function, input, list(static(multiples)))


def _tiled(function: Callable, x: Any, counts: list[int]) -> Any:
    if not isinstance(x, RaggedTensor):
        return function(x, counts)
    if len(counts) != len(x.shape):
        raise ValueError(f"multiples must have {len(x.shape)} numbers. Received: {counts}")
    first, second, *rest = counts
    values = _tiled(function, x._values, [1, *rest]) if rest else x._values
    splits = x._known("The order of values")
    lengths = np.diff(splits)
    order = _ranges(np.repeat(splits[:-1], second), np.repeat(lengths, second))
    uniform = None if x._uniform is None else x._uniform * second
    found = x._make(_take(values, order), _summed(lengths * second), uniform, x._kind)
    return _take(found, np.tile(np.arange(x._rows), first))


def _softmax(function: Callable, logits: Any, axis: Any = None, name: Any = None) -> Any:
    axis = _axis(logits, -1 if axis is None else axis)
    if axis > logits.ragged_rank:
        return logits.with_flat_values(function(logits.flat_values, axis - logits.ragged_rank))
    if axis > 1:
        return logits.with_values(_softmax(function, logits._values, axis - 1))
    largest = table.reduce_max(logits, axis, keepdims=True)
    powers = table.exp(logits - largest)
    return powers / table.reduce_sum(powers, axis, keepdims=True)


def _split(
    function: Callable, value: Any, num_or_size_splits: Any, axis: Any = 0, num: Any = None,
    name: Any = None,
) -> Any:  # fmt: skip
    axis, sizes = _axis(value, axis), static(num_or_size_splits)
    if sizes == 1 and value.shape[axis] is None:
        return [value]
    if value.shape[axis] is None:
        raise ValueError(f"tf.split: axis={axis} is ragged and has no common size.")
    if axis > value.ragged_rank:  # the rows within are dense
        parts = function(value.flat_values, num_or_size_splits, axis - value.ragged_rank)
        return [value.with_flat_values(part) for part in parts]
    if isinstance(sizes, int):
        if sizes < 1:
            raise ValueError(f"tf.split: num_or_size_splits must be above 0. Received: {sizes}")
        if value.shape[axis] % sizes:
            raise InvalidArgumentError(
                f"{value.shape[axis]} rows cannot be split into {sizes} equal parts."
            )
        sizes = (value.shape[axis] // sizes,) * sizes
    elif not all(isinstance(size, int) for size in sizes):
        raise TypeError(f"tf.split: the sizes must be integers. Received: {num_or_size_splits}")
    if sum(sizes) != value.shape[axis] or min(sizes, default=0) < 0:
        raise InvalidArgumentError(
            f"The sizes must add up to {value.shape[axis]} rows. Received: {sizes}"
        )
    if num is not None and num != len(sizes):
        raise ValueError(f"tf.split: num={num} differs from the number of sizes, {len(sizes)}.")
    ends = np.cumsum(sizes)
    every = (slice(None),) * axis
    return [value[(*every, slice(end - size, end))] for size, end in zip(sizes, ends)]


def _gather_nd(
    function: Callable, params: Any, indices: Any, batch_dims: Any = 0, name: Any = None,
    bad_indices_policy: Any = None,
) -> Any:  # fmt: skip
    indices = indices if isinstance(indices, RaggedTensor) else convert_to_tensor(indices)
    if static(batch_dims):
        raise ValueError("tf.gather_nd: batch_dims must be 0 where a tensor is ragged.")
    if bad_indices_policy not in (None, "", "DEFAULT"):
        raise ValueError("tf.gather_nd: bad_indices_policy is for dense tensors only.")
    if not indices.shape or indices.shape[-1] is None:
        raise ValueError(
            "tf.gather_nd: indices must have a last axis of one size. "
            f"Received: shape {indices.shape}"
        )
    if isinstance(indices, RaggedTensor):
        return indices.with_flat_values(_gather_nd(function, params, indices.flat_values))
    places = host(indices, "The count of values", "call it outside.")
    return _elements(function, params, places)


def _elements(function: Callable, params: Any, places: np.ndarray) -> Any:
    count = places.shape[-1]
    if not isinstance(params, RaggedTensor):
        return function(params, places)
    if not count:  # everything, for each index
        row = ragged_broadcast._expand_dims(ops.expand_dims, params, 0)
        return indexing.gather(row, np.zeros(places.shape[:-1], np.int64))
    first = places[..., 0]
    if (first < 0).any() or (first >= params._rows).any():
        raise InvalidArgumentError(f"Rows must be below {params._rows}. Received: {first.tolist()}")
    if count == 1:
        return indexing.gather(params, first)
    splits = params._known("The place of an element")
    if ((places[..., 1] < 0) | (places[..., 1] >= np.diff(splits)[first])).any():
        raise InvalidArgumentError(f"An index is beyond its row: {places.tolist()}")
    inner = np.concatenate([(splits[first] + places[..., 1])[..., None], places[..., 2:]], -1)
    return _elements(function, params._values, inner)


def _matmul(function: Callable, a: Any, b: Any, *args: Any, **kwargs: Any) -> Any:
    """Products of the matrices in a batch, whose sizes differ."""
    given = [x if isinstance(x, RaggedTensor) else convert_to_tensor(x) for x in (a, b)]
    if min(len(x.shape) for x in given) < 2 or len(given[0].shape) != len(given[1].shape):
        raise ValueError(
            "tf.matmul: ragged tensors must have as many axes as the other operand, at least 2. "
            f"Received shapes {given[0].shape} and {given[1].shape}."
        )
    shapes = [x.shape for x in given]
    if len(shapes[0]) == 2:
        return function(*map(_dense, given), *args, **kwargs)
    if len(shapes[0]) > 3:
        lengths = [ragged_math._rows_of(x)[1] for x in given]
        if not np.array_equal(lengths[0], lengths[1]):
            raise InvalidArgumentError(f"The batches of the matrices differ: {shapes}")
        joined = map(ragged_math._rows_joined, given)
        return RaggedTensor.from_row_lengths(
            _matmul(function, *joined, *args, **kwargs), lengths[0]
        )
    if _count(given[0]) != _count(given[1]):
        raise InvalidArgumentError(f"The batches of the matrices differ: {shapes}")
    products = [function(_dense(x), _dense(y), *args, **kwargs) for x, y in zip(*given)]
    if products:
        first, second = given
        columns = {p.shape[1] for p in products}
        if len(columns) > 1 or getattr(second, "ragged_rank", 0) > 1:
            return ragged_math._with_splits_of(given, ragged_math.stack(products))
        rows = ops.concat(products, 0)
        if not isinstance(first, RaggedTensor):
            found = RaggedTensor.from_uniform_row_length(rows, products[0].shape[0])
        else:
            found = RaggedTensor.from_row_lengths(rows, [p.shape[0] for p in products])
        return ragged_math._with_splits_of(given, found)
    return RaggedTensor.from_tensor(ops.zeros((0, 0, 0), given[0].dtype), ragged_rank=2)


def _dense(x: Any) -> Any:
    if not isinstance(x, RaggedTensor):
        return x
    lengths = np.diff(x._known("The size of a matrix"))
    if len(set(lengths.tolist())) > 1:
        raise InvalidArgumentError(
            f"Rows of a matrix have different lengths: {lengths.tolist()}. to_tensor() pads them."
        )
    return ops.reshape(x.flat_values, [x._rows, -1])


def _cumsum(function: Callable, x: Any, axis: Any = 0, *args: Any, **kwargs: Any) -> Any:
    axis = _axis(x, axis)
    if axis > x.ragged_rank:
        return x.with_flat_values(function(x.flat_values, axis - x.ragged_rank, *args, **kwargs))
    dense = function(x.to_tensor(), axis, *args, **kwargs)
    return RaggedTensor.from_tensor(dense, x.nested_row_lengths())


def _add_n(function: Callable, inputs: Sequence[Any], name: Any = None) -> Any:
    return functools.reduce(table.add, inputs)


def _squeeze(function: Callable, input: Any, axis: Any = None, name: Any = None) -> Any:
    if axis is None:
        raise ValueError("tf.squeeze: axis must be given for a ragged tensor.")
    axes = static(axis)
    if not all(isinstance(one, int) for one in (axes if isinstance(axes, tuple) else (axes,))):
        raise TypeError(f"tf.squeeze: axis must be a number or several. Received: {axis!r}")
    wanted = {_axis(input, one) for one in (axes if isinstance(axes, tuple) else (axes,))}
    for one in sorted(wanted, reverse=True):
        input = _without(function, input, one)
    return input


def _without(function: Callable, x: Any, axis: int) -> Any:
    if not isinstance(x, RaggedTensor):
        return function(x, [axis])
    if axis > 1:
        return x.with_values(_without(function, x._values, axis - 1))
    lengths = np.diff(x._known("The size of an axis")) if axis else np.array([x._rows])
    if (lengths != 1).any():
        raise InvalidArgumentError(f"Axis {axis} has other sizes than 1: {lengths.tolist()}")
    rows: Any = x  # another module adds the method for `x[0]`
    return x._values if axis else rows[0]


def _resize(function: Callable, images: Any, size: Any, *args: Any, **kwargs: Any) -> Any:
    """Images of different sizes, resized to a batch."""
    if len(images.shape) != 4:
        raise ValueError(f"tf.image.resize: images must have 4 axes. Received: {images.shape}")
    made = [function(_padded(image), size, *args, **kwargs) for image in images]
    if made:
        return ops.stack(made)
    one = ops.zeros((1, 1, 1, images.flat_values.shape[-1] or 1), images.dtype)
    return function(one, size, *args, **kwargs)[:0]


def _padded(x: Any) -> Any:
    return x.to_tensor() if isinstance(x, RaggedTensor) else x


OPERATIONS.update(
    {
        "add_n": _add_n,
        "cumsum": _cumsum,
        "gather_nd": _gather_nd,
        "matmul": _matmul,
        "nn.softmax": _softmax,
        "resize": _resize,
        "reverse": _reverse,
        "split": _split,
        "squeeze": _squeeze,
        "tile": _tile,
    }
)
