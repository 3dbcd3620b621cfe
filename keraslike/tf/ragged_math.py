"""Operations on ragged tensors: reductions and concatenation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.ops.math import segment_product
from keraslike.tf import dtypes, indexing, ops, segments, special, table
from keraslike.tf.conversion import constant, convert_to_tensor, mismatch, static
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.ragged_broadcast import (
    _aligned,
    _check_splits,
    _elementwise,
    _expand_dims,
    _operand,
    _spread,
    map_flat_values,
)
from keraslike.tf.ragged_index import get_item
from keraslike.tf.ragged_partition import _columns, _count, _ids, _joined, _ranges, _summed, _take
from keraslike.tf.ragged_tensor import OPERATIONS, RaggedTensor
from keraslike.tf.sparse_tensor import pick
from keraslike.tf.structure import host, is_traced
from keraslike.tf.tensor import run

# -- reductions ---------------------------------------------------------------------------------

_SEGMENTS = {
    "reduce_sum": jax.ops.segment_sum,
    "reduce_prod": segment_product,
    "reduce_max": jax.ops.segment_max,
    "reduce_min": jax.ops.segment_min,
    "reduce_any": jax.ops.segment_max,
    "reduce_all": jax.ops.segment_min,
}


def _segment(values: Any, ids: Any, count: int, name: str) -> Any:
    bools = values.dtype.kind == "b"
    out = _SEGMENTS[name](values.astype(np.int8) if bools else values, ids, count)
    if name in ("reduce_max", "reduce_min") and jnp.issubdtype(values.dtype, jnp.floating):
        limits = jnp.finfo(values.dtype)  # the results of empty rows
        found = jax.ops.segment_sum(jnp.ones(values.shape[0], np.int32), ids, count)
        empty = (found == 0).reshape(-1, *(1,) * (values.ndim - 1))
        return jnp.where(empty, limits.min if name == "reduce_max" else limits.max, out)
    return out > 0 if bools else out


def _aggregate(reduce: Callable, values: Any, ids: Any, count: int) -> Any:
    """The elementwise reductions of the rows of `values` with equal numbers.

    `reduce` computes them for dense values.
    """
    if not isinstance(values, RaggedTensor):
        return reduce(values, convert_to_tensor(ids), count)
    splits = values._known("The length of rows")
    ids = host(ids, "The length of rows", "call it outside.")
    longest = np.zeros(count, values._kind)
    np.maximum.at(longest, ids, np.diff(splits))
    out = _summed(longest)
    n = _count(values._values)
    inner = out[ids][_ids(splits, n)] + _columns(splits, n)
    return values._make(_aggregate(reduce, values._values, inner, int(out[-1])), out)


def _reduce(name: str, function: Callable, x: Any, axis: Any, keepdims: Any) -> Any:
    if not isinstance(x, RaggedTensor):
        return function(x, axis=axis, keepdims=bool(keepdims))
    rank = len(x.shape)
    axes = [x._axis(a) for a in (range(rank) if axis is None else np.atleast_1d(static(axis)))]
    if name in _COMPOSED:
        return _COMPOSED[name](x, axis, keepdims)
    if len(set(axes)) == rank and not keepdims:
        return function(x.flat_values)
    out: Any = x
    for a in sorted(set(axes), reverse=True):
        out = _reduce_axis(name, function, out, a)
        if keepdims:
            out = _expand_dims(ops.expand_dims, out, a)
    return out


def _reduce_axis(name: str, function: Callable, x: Any, axis: int) -> Any:
    if not isinstance(x, RaggedTensor):
        return function(x, axis=axis)
    values = x._values
    if axis > 1:
        return x.with_values(_reduce_axis(name, function, values, axis - 1))
    reduce = lambda rows, ids, count: run(_segment, (rows, ids), (count, name))  # noqa: E731
    if axis == 1:
        return _aggregate(reduce, values, _ids(x._splits, _count(values)), x._rows)
    longest = x._bounds(f"The size that tf.{name}(axis=0) gives", "use to_tensor(shape=...).")[1]
    return _aggregate(reduce, values, _columns(x._splits, _count(values)), longest)


def _segments(function: Callable, data: Any, segment_ids: Any, num_segments: Any, **_: Any) -> Any:
    """`tf.math.unsorted_segment_...` of ragged rows, or of ragged numbers of segments."""
    data, ids, count = _operand(data), _operand(segment_ids), int(static(num_segments))
    while isinstance(ids, RaggedTensor):
        if not isinstance(data, RaggedTensor):
            raise ValueError("segment_ids is ragged, but data is not: its shape must begin data's.")
        _check_splits(data, ids)
        data, ids = data._values, ids._values
    if not isinstance(data, RaggedTensor):
        return function(data, ids, count)
    known = host(ids, "The length of rows", "call it outside.")
    if known.shape != (data._rows,) or (known < 0).any() or (known >= count).any():
        raise InvalidArgumentError(
            f"segment_ids must be {data._rows} numbers from 0 to {count - 1}. "
            f"Received: {known.tolist()}"
        )
    return _aggregate(function, data, known, count)


def _segment_mean(
    function: Callable, data: Any, segment_ids: Any, num_segments: Any, **_: Any
) -> Any:
    if not isinstance(data, RaggedTensor):
        return _segments(function, data, segment_ids, num_segments)
    total = _segments(segments.unsorted_segment_sum, data, segment_ids, num_segments)
    ones = data.with_flat_values(table.ones_like(data.flat_values))
    return total / _segments(segments.unsorted_segment_sum, ones, segment_ids, num_segments)


def _mean(x: Any, axis: Any, keepdims: Any) -> Any:
    total = _reduce("reduce_sum", table.reduce_sum, x, axis, keepdims)
    ones = x.with_flat_values(table.ones_like(x.flat_values))
    return total / _reduce("reduce_sum", table.reduce_sum, ones, axis, keepdims)


def _variance(x: Any, axis: Any, keepdims: Any) -> Any:
    if x.dtype.is_complex:
        raise ValueError("The variance of ragged tensors of complex numbers is not supported.")
    mean = _mean(x, axis, True)
    apart = _minus(ops.cast(x, mean.dtype), mean)
    return _mean(apart * apart, axis, keepdims)


def _minus(x: RaggedTensor, reduced: Any) -> Any:
    """Elements minus what was computed of their group, with `keepdims`."""
    of = _aligned if isinstance(reduced, RaggedTensor) else _spread
    return x.with_flat_values(x.flat_values - of(x, reduced, exact=False))


def _std(x: Any, axis: Any, keepdims: Any) -> Any:
    return table.sqrt(_variance(x, axis, keepdims))


def _logsumexp(x: Any, axis: Any, keepdims: Any) -> Any:
    largest = lambda keepdims: _reduce("reduce_max", table.reduce_max, x, axis, keepdims)  # noqa: E731
    powers = table.exp(_minus(x, _finite(largest(True))))  # so that exp does not overflow
    total = _reduce("reduce_sum", table.reduce_sum, powers, axis, keepdims)
    return table.log(total) + _finite(largest(keepdims))


def _finite(x: Any) -> Any:
    if isinstance(x, RaggedTensor):
        return x.with_flat_values(_finite(x.flat_values))
    return ops.stop_gradient(indexing.where(table.is_finite(x), x, table.zeros_like(x)))


_COMPOSED = {
    "reduce_mean": _mean,
    "reduce_variance": _variance,
    "reduce_std": _std,
    "reduce_logsumexp": _logsumexp,
}


def _reduction(name: str) -> Callable:
    def reduce(
        function: Callable, input_tensor: Any, axis: Any = None, keepdims: Any = False
    ) -> Any:
        if name in ("reduce_any", "reduce_all"):  # for which dense tensors must be boolean
            values = ops.cast(input_tensor.flat_values, dtypes.bool_)
            input_tensor = input_tensor.with_flat_values(values)
        if name in ("reduce_max", "reduce_min"):
            table.check_kind(name, input_tensor.flat_values._value, "c")
        return _reduce(name, function, input_tensor, axis, keepdims)

    return reduce


# -- concatenation and rearrangement ------------------------------------------------------------


def concat(values: Any, axis: Any, name: str | None = None) -> Any:
    """Ragged and dense tensors concatenated along an axis."""
    if isinstance(values, RaggedTensor):
        return values
    given = [_operand(v) for v in values]
    ragged = next((v for v in given if isinstance(v, RaggedTensor)), None)
    rank = len(given[0].shape) if ragged is None else len(ragged.shape)
    axis = static(axis)
    if not -rank <= axis < rank:
        raise ValueError(f"axis={axis} is out of bounds: expected {-rank} <= axis < {rank}")
    for i, v in enumerate(given):
        if len(v.shape) != rank:
            raise ValueError(f"All must be of rank {rank}; at position {i}: shape {v.shape}")
        if v.dtype is not given[0].dtype:
            raise InvalidArgumentError(mismatch("concat", given[0].dtype, v.dtype, i))
    return _with_splits_of(given, _concat(given, axis % rank))


def _with_splits_of(given: Sequence[Any], made: Any) -> Any:
    """A tensor with the dtype of splits that the ragged ones among the given tensors share.

    Raises ValueError if they differ.
    """
    kinds = {v._kind for v in given if isinstance(v, RaggedTensor)}
    if len(kinds) > 1:
        raise ValueError(
            f"The splits of ragged tensors have different dtypes: {sorted(map(str, kinds))}. Use "
            "with_row_splits_dtype()."
        )
    if not kinds or not isinstance(made, RaggedTensor):
        return made
    return made.with_row_splits_dtype(kinds.pop())


def _concat(given: Sequence[Any], axis: int, within: bool = False) -> Any:
    """Tensors of one rank, concatenated; those `within` ragged tensors stay dense."""
    if len(given) == 1:
        return given[0]
    if axis > 0 and len({_count(v) for v in given}) > 1:
        raise InvalidArgumentError(f"Row counts differ: {[_count(v) for v in given]}")
    ranks = [v.ragged_rank for v in given if isinstance(v, RaggedTensor)]
    sizes = {tuple(v.shape)[:axis] + tuple(v.shape)[axis + 1 :] for v in given}
    if not ranks and (within or len(sizes) == 1):
        return ops.concat(given, axis)
    is_last = axis == len(given[0].shape) - 1  # a dense last axis stays dense, as in TensorFlow
    wanted = max([*ranks, 1 if is_last else axis, 1])
    given = [_with_rank(v, wanted) for v in given]
    if axis > 1:
        for other in given[1:]:
            if not np.array_equal(other._known("concat"), given[0]._known("concat")):
                raise InvalidArgumentError("The rows of the tensors are not of one length.")
        return given[0].with_values(_concat([v._values for v in given], axis - 1, within=True))
    values, kind = _concat([v._values for v in given], 0, within=True), given[0]._kind
    if axis == 0:
        lengths = _joined(*[v._splits[1:] - v._splits[:-1] for v in given])
        return given[0]._make(values, _summed(lengths), None, kind)
    splits = np.stack([v._known("The order of values") for v in given], -1)
    starts = splits[:-1] + np.append(0, np.cumsum([_count(v._values) for v in given])[:-1])
    lengths = np.diff(splits, axis=0)
    order = _ranges(starts.reshape(-1), lengths.reshape(-1))
    return given[0]._make(_take(values, order), _summed(lengths.sum(-1)), None, kind)


def _with_rank(x: Any, ragged_rank: int) -> RaggedTensor:
    if not isinstance(x, RaggedTensor):
        return RaggedTensor.from_tensor(x, ragged_rank=ragged_rank)
    if x.ragged_rank < ragged_rank:
        return x.with_values(_with_rank(x._values, ragged_rank - 1))
    return x


def stack(values: Any, axis: Any = 0, name: str | None = None) -> Any:
    """Ragged and dense tensors of one rank, whose sizes may differ, stacked along a new axis.

    >>> stack([constant([1, 2]), constant([3])])
    <tf.RaggedTensor [[1, 2], [3]]>
    """
    if isinstance(values, RaggedTensor):
        return _expand_dims(ops.expand_dims, values, 0)
    given = [_operand(v) for v in values]
    if not given:
        raise ValueError("Expected at least one tensor. Received an empty list.")
    rank, axis = len(given[0].shape) + 1, static(axis)
    if not -rank <= axis < rank:
        raise ValueError(f"axis={axis} is out of bounds: expected {-rank} <= axis < {rank}")
    if rank == 1:
        return ops.stack(given)
    axis = axis % rank
    if axis and not any(isinstance(v, RaggedTensor) for v in given):
        return ops.stack(given, axis)
    alike = [_with_rank(v, 1) for v in given] if rank > 2 else given
    alike = [
        v.with_row_splits_dtype(dtypes.int64) if isinstance(v, RaggedTensor) else v for v in alike
    ]
    out = concat([_expand_dims(ops.expand_dims, v, axis) for v in alike], axis)
    if not isinstance(out, RaggedTensor) and rank >= 2:
        out = RaggedTensor.from_tensor(out, ragged_rank=rank - 1)
    if rank == 2:  # the splits are sums of sizes, which TensorFlow counts in int32
        return out.with_row_splits_dtype(dtypes.int32)
    return _with_splits_of(given, out)


def _gather(
    function: Callable,
    params: Any,
    indices: Any,
    validate_indices: Any = None,
    axis: Any = None,
    batch_dims: Any = 0,
    name: Any = None,
) -> Any:
    params, indices = _operand(params), _operand(indices)
    batch = static(batch_dims)
    batch = batch + len(indices.shape) if batch < 0 else batch
    axis = batch if axis is None else static(axis)
    axis = axis + len(params.shape) if axis < 0 else axis
    if axis < batch:
        raise ValueError(f"tf.gather: axis={axis} must not be below batch_dims={batch}.")
    return _gathered(function, params, indices, axis, batch)


def _gathered(function: Callable, params: Any, indices: Any, axis: int, batch: int) -> Any:
    """`tf.gather` of tensors of which any may be ragged."""
    if not isinstance(params, RaggedTensor) and not isinstance(indices, RaggedTensor):
        return function(params, indices, axis=axis, batch_dims=batch)
    if not axis:
        return _rows_at(function, params, indices)
    starts, lengths = _rows_of(params)
    if not batch:  # every row has the same indices
        row = _expand_dims(function, indices, 0)
        indices, batch = _rows_at(function, row, constant(np.zeros(len(lengths), np.int64))), 1
    known, kind = indices.shape[0], dtypes.int64
    if known is not None and known != len(lengths):
        raise InvalidArgumentError(
            f"tf.gather: indices must have a row for each of the {len(lengths)} rows of params. "
            f"Received indices of shape {indices.shape}"
        )
    if axis == 1:
        shape = (-1, *(1,) * (len(indices.shape) - 1))
        given = ops.cast(indices, kind)
        _check_columns(given, lengths.reshape(shape))
        places = given + constant(starts.reshape(shape))
        return _gathered(function, _rows_joined(params), places, 0, 0)
    if batch == 1:
        which = constant(np.repeat(np.arange(len(lengths)), lengths))
        pattern, within = params, _rows_at(function, indices, which)
    else:
        pattern, within = indices, _rows_joined(indices)
        if not np.array_equal(_rows_of(indices)[1], lengths):
            raise InvalidArgumentError(
                f"tf.gather: the rows of params and indices differ within the {batch} batch_dims."
            )
    found = _gathered(function, _rows_joined(params), within, axis - 1, max(batch - 1, 1))
    return RaggedTensor.from_row_lengths(found, _rows_of(pattern)[1])


def _rows_of(x: Any) -> tuple[np.ndarray, np.ndarray]:
    """Where the rows along the second axis begin, and their lengths."""
    if isinstance(x, RaggedTensor):
        splits = x._known("The place of a row").astype(np.int64)
        return splits[:-1], np.diff(splits)
    rows, length = tuple(x.shape)[:2]
    return np.arange(rows, dtype=np.int64) * length, np.full(rows, length, np.int64)


def _rows_joined(x: Any) -> Any:
    """The first two axes merged."""
    return x._values if isinstance(x, RaggedTensor) else ops.reshape(x, (-1, *x.shape[2:]))


def _check_columns(indices: Any, lengths: np.ndarray) -> None:
    ragged = isinstance(indices, RaggedTensor)
    flat = indices.flat_values if ragged else indices
    if is_traced(flat):
        return
    known = np.asarray(flat)
    ends = _spread(indices, constant(lengths)) if ragged else lengths
    wrong = (known < 0) | (known >= np.asarray(ends))
    if wrong.any():
        raise InvalidArgumentError(
            f"tf.gather: index {known[wrong][0]} is outside of its row of "
            f"{np.broadcast_to(np.asarray(ends), known.shape)[wrong][0]} elements."
        )


def _rows_at(function: Callable, params: Any, indices: Any) -> Any:
    if not isinstance(params, RaggedTensor):
        fn = lambda i: function(params, i)  # noqa: E731
        return _elementwise(fn, indices) if isinstance(indices, RaggedTensor) else fn(indices)
    if isinstance(indices, RaggedTensor):
        return indices.with_flat_values(_rows_at(function, params, indices.flat_values))
    rows = host(convert_to_tensor(indices), "The count of values", "call it outside.")
    if (rows < 0).any() or (rows >= params._rows).any():
        raise InvalidArgumentError(f"Rows must be below {params._rows}. Received: {rows.tolist()}")
    out: Any = _take(params, rows.reshape(-1))
    if not rows.ndim:
        return out[0]
    for size in rows.shape[:0:-1]:
        out = RaggedTensor.from_uniform_row_length(out, size)
    return out


def _one_hot(function: Callable, indices: Any, depth: Any, *args: Any, **kwargs: Any) -> Any:
    given = dict(zip(("on_value", "off_value", "axis", "dtype", "name"), args)) | kwargs
    axis = static(given.get("axis"))
    if axis not in (None, -1):
        if axis <= indices.ragged_rank:
            raise ValueError(
                f"tf.one_hot: axis={axis} must be above the {indices.ragged_rank} ragged axes."
            )
        given["axis"] = axis - indices.ragged_rank
    return map_flat_values(function, indices, depth, **given)


def _where(
    function: Callable, condition: Any, x: Any = None, y: Any = None, name: Any = None
) -> Any:
    if x is None and y is None:
        found = indexing.where(condition.flat_values)
        return pick(condition.to_sparse().indices, np.asarray(found)[:, 0])
    return _elementwise(function, condition, x, y)


def _size(function: Callable, input: Any, out_type: Any = dtypes.int32, name: Any = None) -> Any:
    return function(input.flat_values, out_type)


def _rank(function: Callable, input: Any, name: Any = None) -> Any:
    return constant(len(input.shape))


_ELEMENTWISE = [
    entry.partition("=")[0]
    for kind, names in table._TABLE.items()
    if not kind.startswith("input")
    for entry in names.split()
]
_ELEMENTWISE += [
    *("cast", "ones_like", "saturate_cast", "truediv", "zeros_like"),
    *("squared_difference", "xlogy", "xlog1py", "xdivy", "lgamma", "digamma", "ndtri", "erfcinv"),
    *("multiply_no_nan", "reciprocal_no_nan", "nextafter", "zeta", "bessel_i0", "bessel_i0e"),
    *("bessel_i1", "bessel_i1e", "clip_by_value", "stop_gradient", "identity"),
    *("angle", "complex", "conj", "imag", "real", "math.truncatediv", "math.truncatemod"),
    *[f"math.special.{name}" for name in special.__all__],
    *("bitcast", "check_numerics", "encode_base64", "decode_base64"),
    "sigmoid_cross_entropy_with_logits",
    *("bitwise.bitwise_and", "bitwise.bitwise_or", "bitwise.bitwise_xor"),
    *("bitwise.invert", "bitwise.left_shift", "bitwise.right_shift"),
    *[f"nn.{n}" for n in ("relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu")],
]

OPERATIONS.update(dict.fromkeys(_ELEMENTWISE, _elementwise))
OPERATIONS.update({name: _reduction(name) for name in (*_SEGMENTS, *_COMPOSED)})
OPERATIONS.update(
    {
        f"unsorted_segment_{name}": _segment_mean if name == "mean" else _segments
        for name in ("max", "mean", "min", "prod", "sqrt_n", "sum")
    }
)
OPERATIONS.update(
    concat=lambda function, *args, **kwargs: concat(*args, **kwargs),
    stack=lambda function, *args, **kwargs: stack(*args, **kwargs),
    expand_dims=_expand_dims,
    gather=_gather,
    general_dropout=lambda function, x, *args: x.with_flat_values(function(x.flat_values, *args)),
    one_hot=_one_hot,
    reshape=lambda function, tensor, *args, **kwargs: function(tensor.flat_values, *args, **kwargs),
    where=_where,
    size=_size,
    rank=_rank,
    get_item=lambda function, x, key: get_item(x, key),
)
