"""Functions of the module `tf` itself that belong to none of the other modules."""

from __future__ import annotations

import contextlib
import functools
import inspect
import itertools
import math
import time
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from keraslike.core import context
from keraslike.core.context import trace_state_clean
from keraslike.core.jax_internals import outside_of_traces
from keraslike.tf import dtypes, effects, indexing, messages, ops, sizes
from keraslike.tf.conversion import (
    _as_operand,
    constant,
    convert_to_tensor,
    index_dtype,
    joined,
    stacked,
    static,
)
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.moves import moves
from keraslike.tf.operation import operands, operation
from keraslike.tf.python import run_by_python
from keraslike.tf.structure import host, operates
from keraslike.tf.tensor import WIDE, Tensor, raw, run


def executing_eagerly() -> bool:
    """Whether operations run immediately, outside of functions that are being traced.

    >>> executing_eagerly()
    True
    """
    return trace_state_clean()


def parallel_stack(values: Any, name: str = "parallel_stack") -> Tensor:
    """Tensors of one shape, stacked along a new first axis, as `tf.stack` stacks them.

    Raises RuntimeError outside of functions, as in TensorFlow.

    >>> tf.function(lambda x: tf.parallel_stack([x, x + 1]))(tf.constant([1, 2])).numpy().tolist()
    [[1, 2], [2, 3]]
    """
    if trace_state_clean():
        raise RuntimeError("tf.parallel_stack() is for functions only. Use tf.stack().")
    return stacked(values)


def inside_function() -> bool:
    """Whether a function is being traced.

    >>> tf.inside_function()
    False
    """
    return not trace_state_clean()


def linspace(start: Any, stop: Any, num: Any, name: str | None = None, axis: int = 0) -> Tensor:
    """`num` evenly spaced numbers, both ends included.

    >>> tf.linspace(0.0, 1.0, 5).numpy().tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    start, stop = operands("linspace", start, stop)
    return run(_linspace, (start, stop), (int(ops._only_number(static(num))), axis))


def _linspace(start: Any, stop: Any, num: int, axis: int) -> Any:
    if start.dtype.kind in "ui":
        wide = np.float32 if start.dtype.itemsize < 4 else np.float64
        with WIDE(True):
            start, stop = (jnp.asarray(v).astype(wide) for v in (start, stop))
            return jnp.linspace(start, stop, num, axis=axis)
    return jnp.linspace(start, stop, num, axis=axis)


@contextlib.contextmanager
def init_scope() -> Iterator[None]:
    """A context in which operations run immediately, even while a function is being traced.

    Variables have their values there, and assignments last.

    >>> with tf.init_scope():
    ...     print(tf.executing_eagerly())
    True
    """
    with outside_of_traces(), context.using(held={}, outsiders=None, tapes=()):
        yield


@contextlib.contextmanager
def control_dependencies(control_inputs: Any) -> Iterator[None]:
    """A context without effect but that of functions among its arguments, which are called:
    operations run in the order in which they are called.

    >>> with tf.control_dependencies([]):
    ...     x = tf.constant(1)
    >>> x.numpy().tolist()
    1
    """
    for each in control_inputs or ():
        if inspect.isroutine(each):
            each()
    yield


def group(*inputs: Any, **kwargs: Any) -> None:
    """Does nothing, since the operations have run already.

    >>> tf.group() is None
    True
    """


def no_op(name: Any = None) -> None:
    """Does nothing.

    >>> tf.no_op() is None
    True
    """


def get_current_name_scope() -> str:
    """The names of the enclosing `tf.name_scope`s, joined by `/`.

    >>> with tf.name_scope("outer"):
    ...     print(tf.get_current_name_scope())
    outer
    """
    return "/".join(context.state.names)


def get_static_value(tensor: Any, partial: bool = False) -> Any:
    """The value as a numpy array, or `None` for a tensor that is being traced and for a variable.
    Numbers and text of Python are returned as they are.

    >>> tf.get_static_value(tf.constant([1, 2])).tolist()
    [1, 2]
    """
    if isinstance(tensor, nnx.Variable):
        return None
    if isinstance(tensor, (int, float, complex, str, bytes)):
        return tensor
    value = _as_operand(tensor)._value
    return None if isinstance(value, jax.core.Tracer) else np.asarray(value)


def identity_n(input: Any, name: Any = None) -> list[Tensor]:
    """The tensors, unchanged.

    >>> [t.numpy().tolist() for t in tf.identity_n([[1, 2], 3.0])]
    [[1, 2], 3.0]
    """
    return [ops.identity(x) for x in input]


def shape_n(input: Any, out_type: Any = dtypes.int32, name: Any = None) -> list[Tensor]:
    """The shape of each tensor.

    >>> [s.numpy().tolist() for s in tf.shape_n([[1, 2], [[3]]])]
    [[2], [1, 1]]
    """
    return [sizes.shape(x, out_type) for x in input]


def timestamp(name: Any = None) -> Tensor:
    """The seconds since 1970, float64.

    >>> bool(tf.timestamp() > 0)
    True
    """
    run_by_python("timestamp")
    return constant(np.float64(time.time()))


def make_tensor_proto(
    values: Any,
    dtype: Any = None,
    shape: Any = None,
    verify_shape: bool = False,
    allow_broadcast: bool = False,
) -> Any:
    """A `TensorProto` of values that `tf.constant` accepts. If the shape has more elements, the
    last value stands for the others.

    >>> tf.make_ndarray(tf.make_tensor_proto([1, 2])).tolist()
    [1, 2]
    """
    array = np.asarray(convert_to_tensor(values, dtype))
    if shape is None:
        return messages.tensor_proto(array, by_value=True)
    shape = tuple(int(n) for n in shape)
    if verify_shape and shape != array.shape:
        raise TypeError(f"Expected Tensor's shape: {shape}, got {array.shape}.")
    if 0 < array.size < math.prod(shape):
        return messages.tensor_proto(array, by_value=True, shape=shape)
    return messages.tensor_proto(array.reshape(shape), by_value=True)


def make_ndarray(tensor: Any) -> np.ndarray:
    """The array in a `TensorProto`. Raises TypeError for an unknown dtype.

    >>> make_ndarray(make_tensor_proto([1, 2])).tolist()
    [1, 2]
    """
    try:
        return messages.array_of(tensor)
    except ValueError as e:
        raise TypeError(str(e)) from None


# -- parts of tensors -------------------------------------------------------------------------


@operates
def dynamic_partition(data: Any, partitions: Any, num_partitions: int, name: Any = None) -> list:
    """Tensors of the rows of `data` with the numbers 0, 1, ... in `partitions`.

    >>> [t.numpy().tolist() for t in tf.dynamic_partition([10, 20, 30], [0, 1, 0], 2)]
    [[10, 30], [20]]
    """
    data = _as_operand(data)
    numbers = host(_as_operand(partitions), "tf.dynamic_partition", "use tf.where or a mask.")
    if numbers.size and (numbers.min() < 0 or numbers.max() >= num_partitions):
        raise InvalidArgumentError(f"partitions must be from 0 to {num_partitions - 1}.")
    rows = ops.reshape(data, (numbers.size, *data.shape[numbers.ndim :]))
    places = [np.flatnonzero(numbers.ravel() == n).astype("int32") for n in range(num_partitions)]
    return [indexing.slices_at(rows, p) for p in places]


def dynamic_stitch(indices: Any, data: Any, name: Any = None) -> Tensor:
    """Merges the rows of several tensors into one, each to the position of its index.

    >>> tf.dynamic_stitch([[0, 2], [1]], [[10, 30], [20]]).numpy().tolist()
    [10, 20, 30]
    """
    places = [np.asarray(_as_operand(i)) for i in indices]
    if any(p.dtype.kind != "i" and p.size for p in places):
        raise InvalidArgumentError("tf.dynamic_stitch: indices must be int32.")
    given = joined("dynamic_stitch", data)
    size = 1 + max((int(p.max()) for p in places if p.size), default=-1)
    inner = tuple(given[0].shape[places[0].ndim :])
    out = ops.zeros((size, *inner), given[0].dtype)
    for place, rows in zip(places, given, strict=True):
        rows = ops.reshape(rows, (-1, *inner))
        out = indexing.tensor_scatter_nd_update(out, place.reshape(-1, 1).astype("int32"), rows)
    return out


def reverse_sequence(
    input: Any,
    seq_lengths: Any,
    seq_axis: int | None = None,
    batch_axis: Any = None,
    name: Any = None,
) -> Tensor:
    """The rows of a tensor, with the first `seq_lengths[i]` elements reversed.

    >>> tf.reverse_sequence([[1, 2, 3], [4, 5, 6]], [2, 3], seq_axis=1).numpy().tolist()
    [[2, 1, 3], [6, 5, 4]]
    """
    batch, axis = 0 if batch_axis is None else batch_axis, int(seq_axis or 0)
    x, lengths = _as_operand(input), _as_operand(seq_lengths)

    def check(values: Any) -> None:
        if (values > x.shape[axis]).any() or (values < 0).any():
            raise InvalidArgumentError(
                f"seq_lengths must be from 0 to {x.shape[axis]}, the size of seq_axis. "
                f"Received: {values}"
            )

    if not 0 <= batch < len(x.shape) or not 0 <= axis < len(x.shape) or batch == axis:
        raise InvalidArgumentError(
            "seq_axis and batch_axis must be two axes of the input. "
            f"Received: {seq_axis=}, {batch_axis=} for a tensor of shape {tuple(x.shape)}"
        )
    if tuple(lengths.shape) != (x.shape[batch],):
        raise InvalidArgumentError(
            f"seq_lengths must be a vector of {x.shape[batch]} numbers. Received: {lengths.shape}"
        )
    effects.checked(check, raw(lengths))
    return run(_reversed, (x, lengths), (axis, batch))


@moves
def _reversed(x: Any, lengths: Any, axis: int, batch: int) -> Any:
    moved = jnp.moveaxis(x, (batch, axis), (0, 1))
    steps = jnp.arange(moved.shape[1])
    lengths = lengths[:, None]
    places = jnp.where(steps < lengths, lengths - 1 - steps, steps)
    places = places.reshape(*places.shape, *[1] * (moved.ndim - 2))
    return jnp.moveaxis(jnp.take_along_axis(moved, places, 1), (0, 1), (batch, axis))


@operation("histogram_fixed_width_bins", "values value_range", "values value_range")
def histogram_fixed_width_bins(
    x: Any, bounds: Any, nbins: int = 100, dtype: Any = dtypes.int32
) -> Any:
    """The number of the bin, out of `nbins` of equal width, of each value.

    >>> tf.histogram_fixed_width_bins(
    ...     [-1.0, 0.0, 1.5, 2.0, 5.0, 15.0], [0.0, 5.0], nbins=5
    ... ).numpy().tolist()
    [0, 0, 1, 2, 4, 4]
    """
    _check_bins(nbins, bounds)
    share = (x - bounds[0]) / (bounds[1] - bounds[0])
    return jnp.clip(jnp.floor(share * nbins), 0, nbins - 1).astype("int32")


def histogram_fixed_width(
    values: Any, value_range: Any, nbins: int = 100, dtype: Any = dtypes.int32, name: Any = None
) -> Tensor:
    """The number of values in each of `nbins` bins of equal width.

    >>> tf.histogram_fixed_width(
    ...     [-1.0, 0.0, 1.5, 2.0, 5.0, 15.0], [0.0, 5.0], nbins=5
    ... ).numpy().tolist()
    [2, 1, 1, 0, 2]
    """
    values = _as_operand(values)
    bounds = convert_to_tensor(value_range, dtype_hint=values.dtype)
    count = int(static(nbins))
    _check_bins(count, bounds)
    effects.checked(_check_histogram, raw(values), raw(bounds))
    kind = index_dtype("histogram_fixed_width", dtype)
    return ops.cast(run(_counted, (values, bounds), (count,)), kind)


def _check_bins(nbins: int, bounds: Any) -> None:
    if nbins <= 0 or tuple(bounds.shape) != (2,):
        raise InvalidArgumentError(
            "nbins must be above 0, and value_range must have 2 numbers. "
            f"Received: nbins={nbins}, value_range of shape {bounds.shape}"
        )


def _check_histogram(values: Any, bounds: Any) -> None:
    low, high = np.asarray(bounds).tolist()
    if not low < high or np.isnan(np.asarray(values).astype(float)).any():
        raise InvalidArgumentError(
            f"value_range must begin below its end, and values must not be NaN: {low}, {high}"
        )


def _counted(values: Any, bounds: Any, count: int) -> Any:
    with WIDE(True):  # as TensorFlow counts, so that values at the edges are in the same bins
        low, high = bounds.astype(np.float64)
        place = (jnp.asarray(values).astype(np.float64) - low) / ((high - low) / count)
        bins = jnp.clip(place, 0, count - 1).astype(np.int32)
        return jnp.bincount(bins.ravel(), length=count)


@operates
def bitcast(input: Any, type: Any, name: Any = None) -> Tensor:
    """The bytes of a tensor, reinterpreted as another dtype.

    >>> tf.bitcast([1.0], tf.int32).numpy().tolist()
    [1065353216]
    """
    return run(_bitcast, (_as_operand(input),), (dtypes.as_dtype(type).name,))


def _bitcast(x: Any, dtype: str) -> Any:
    with WIDE(True):
        return jax.lax.bitcast_convert_type(jnp.asarray(x), dtype)


@operation("unravel_index", "indices", "indices")
def unravel_index(x: Any, dims: Any) -> Any:
    """The multi-dimensional indices in a tensor of shape `dims` for flat indices.

    >>> tf.unravel_index([2, 5], [2, 3]).numpy().tolist()
    [[0, 1], [2, 2]]
    """
    count = int(np.prod(dims))

    def check(places: np.ndarray) -> None:
        if ((places < 0) | (places >= count)).any():
            raise InvalidArgumentError(f"An index is out of bounds of {dims}: {places.tolist()}")

    effects.checked(check, x)
    return jnp.stack(jnp.unravel_index(x, dims))


def ensure_shape(x: Any, shape: Any, name: str | None = None) -> Tensor:
    """The tensor. Raises InvalidArgumentError for another shape, in which None fits any size.

    >>> tf.ensure_shape([[1, 2]], [None, 2]).numpy().tolist()
    [[1, 2]]
    """
    x, wanted = _as_operand(x), tuple(shape)
    fits = len(x.shape) == len(wanted)
    if not fits or any(w not in (None, s) for s, w in zip(x.shape, wanted)):
        raise InvalidArgumentError(
            f"Shape must be {wanted}. Received a tensor of shape {tuple(x.shape)}."
        )
    return ops.identity(x)


def broadcast_static_shape(
    shape_x: dtypes.TensorShape, shape_y: dtypes.TensorShape
) -> dtypes.TensorShape:
    """The shape of two tensors that are broadcast against each other.

    Raises ValueError if they cannot be.

    >>> tf.broadcast_static_shape(tf.TensorShape([2, 1]), tf.TensorShape([3]))
    TensorShape([2, 3])
    """
    sizes = []
    for a, b in itertools.zip_longest(*(list(s)[::-1] for s in (shape_x, shape_y)), fillvalue=1):
        if a != b and 1 not in (a, b) and None not in (a, b):
            raise ValueError(f"Incompatible shapes for broadcasting: {shape_x} and {shape_y}")
        known = [n for n in (a, b) if n is not None]
        sizes.append(max(known) if len(known) == 2 or (known and known[0] > 1) else None)
    return dtypes.TensorShape(sizes[::-1])


@operates
def broadcast_dynamic_shape(shape_x: Any, shape_y: Any) -> Tensor:
    """The shape of two tensors that are broadcast against each other, as a tensor.

    Raises InvalidArgumentError if they cannot be.

    >>> tf.broadcast_dynamic_shape([2, 1], [3]).numpy().tolist()
    [2, 3]
    """
    x = _as_operand(shape_x)
    sizes = [dtypes.TensorShape(np.atleast_1d(static(s)).tolist()) for s in (shape_x, shape_y)]
    try:
        found = broadcast_static_shape(*sizes)
    except ValueError as error:
        raise InvalidArgumentError(str(error)) from None
    return constant(np.asarray(found.as_list(), dtypes.as_dtype(x.dtype).dtype))


def edit_distance(
    hypothesis: Any, truth: Any, normalize: bool = True, name: str = "edit_distance"
) -> Tensor:
    """The Levenshtein distance of each sequence of `hypothesis` from that of `truth`: the number of
    insertions, deletions and substitutions, as float32 with the leading axes.

    Args:
        hypothesis, truth: sparse tensors, whose last axis is that of the sequences.
        normalize: whether the numbers are divided by the lengths of the sequences of `truth`.

    >>> one = tf.SparseTensor([[0, 0], [0, 1]], ["a", "b"], [1, 2])
    >>> two = tf.SparseTensor([[0, 0]], ["b"], [1, 1])
    >>> tf.edit_distance(one, two).numpy().tolist()
    [1.0]
    """
    given = []
    for x in (hypothesis, truth):
        if not hasattr(x, "dense_shape"):
            raise TypeError(f"Expected a SparseTensor. Received: {type(x).__name__}")
        own: dict[tuple[int, ...], list[Any]] = {}
        places, values = (host(v, "A distance", "call it outside.") for v in (x.indices, x.values))
        for place, value in zip(places.tolist(), values.tolist()):
            own.setdefault(tuple(place[:-1]), []).append(value)
        given.append(own)
    sizes = [np.asarray(static(x.dense_shape))[:-1] for x in (hypothesis, truth)]
    if len(sizes[0]) != len(sizes[1]):
        raise InvalidArgumentError("hypothesis and truth must have the same rank.")
    out = np.zeros(np.maximum(*sizes), np.float32)
    for place in {*given[0], *given[1]}:
        found, wanted = (own.get(place, []) for own in given)
        steps = _distance(found, wanted)
        if normalize:
            out[place] = steps / len(wanted) if wanted else np.inf if found else 0
        else:
            out[place] = steps
    return constant(out)


def _distance(found: list[Any], wanted: list[Any]) -> int:
    row = list(range(len(wanted) + 1))
    for i, a in enumerate(found, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(wanted, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def is_symbolic_tensor(x: Any) -> bool:
    """Whether it is a tensor that is being traced.

    >>> tf.is_symbolic_tensor(tf.constant(1))
    False
    """
    return isinstance(x, Tensor) and isinstance(x._value, jax.core.Tracer)


@operates
def one_hot(
    indices: Any,
    depth: Any,
    on_value: Any = None,
    off_value: Any = None,
    axis: int | None = None,
    dtype: Any = None,
    name: str | None = None,
) -> Tensor:
    """`on_value`, by default 1, at each index, and `off_value`, by default 0, elsewhere.

    >>> tf.one_hot([1, 0], 3, 1.0, 0.0).numpy().tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    """
    on, off = (
        None if v is None else convert_to_tensor(v, dtype_hint=dtype) for v in (on_value, off_value)
    )
    given = [v.dtype for v in (on, off) if v is not None]
    wanted = dtypes.as_dtype(dtype or (given or [dtypes.float32])[0])
    if {*given} - {wanted}:
        raise TypeError(f"on_value and off_value must be of {wanted}. Received: {given}")
    on, off = (convert_to_tensor(n, wanted) if v is None else v for n, v in ((1, on), (0, off)))
    indices, depth, axis = _as_operand(indices), static(depth), -1 if axis is None else axis
    if wanted is dtypes.string:
        hot = run(_one_hot, (indices, constant(True), constant(False)), (depth, axis))
        return indexing.where(hot, on, off)
    return run(_one_hot, (indices, on, off), (depth, axis), constant=(0, 1, 2))


@functools.partial(jax.jit, static_argnums=(3, 4))
def _one_hot(indices: Any, on: Any, off: Any, depth: int, axis: int) -> Any:
    return jnp.where(jax.nn.one_hot(indices, depth, axis=axis, dtype=bool), on, off)


__all__ = [
    *("broadcast_dynamic_shape", "broadcast_static_shape", "edit_distance", "ensure_shape"),
    *("is_symbolic_tensor", "linspace"),
    *("bitcast", "control_dependencies", "dynamic_partition", "dynamic_stitch"),
    *("executing_eagerly", "get_current_name_scope", "get_static_value", "group"),
    *("histogram_fixed_width", "histogram_fixed_width_bins", "identity_n", "init_scope"),
    *("inside_function", "make_ndarray", "make_tensor_proto", "no_op", "one_hot"),
    "parallel_stack",
    *("reverse_sequence", "shape_n", "timestamp", "unravel_index"),
]
