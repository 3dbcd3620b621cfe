"""Rows of embedding tables, single or combined (`tf.nn.embedding_lookup*`)."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.tf import ops, sorting, table
from keraslike.tf.conversion import _as_operand, convert_to_tensor
from keraslike.tf.indexing import _concrete, gather
from keraslike.tf.linalg import clip_by_norm
from keraslike.tf.ragged_tensor import RaggedTensor
from keraslike.tf.sparse_tensor import SparseTensor
from keraslike.tf.structure import operates
from keraslike.tf.tensor import Tensor, raw, run


def embedding_lookup(params: Any, ids: Any, max_norm: Any = None, name: Any = None) -> Tensor:
    """The rows of a table at `ids`, scaled down if their norm is larger than `max_norm`.

    A list of tensors is a table divided into ranges of rows.

    >>> tf.nn.embedding_lookup(tf.constant([[1, 2], [3, 4]]), [1, 0]).numpy().tolist()
    [[3, 4], [1, 2]]
    """
    return _looked_up(params, ids, max_norm=max_norm)


@operates
def _looked_up(params: Any, ids: Any, strategy: str = "div", max_norm: Any = None) -> Any:
    if params is None:
        raise ValueError("params must be a table, or a list of at least one.")
    if max_norm is not None and isinstance(ids, RaggedTensor):
        return ids.with_flat_values(_looked_up(params, ids.flat_values, strategy, max_norm))
    rows = partitioned(params, ids, strategy)
    if max_norm is None:
        return rows
    return clip_by_norm(rows, max_norm, list(range(len(_as_operand(ids).shape), rows.ndim)))


def partitioned(params: Any, ids: Any, strategy: str = "div") -> Tensor:
    """The rows of a table, or of a list of tables that contain ranges of rows (`"div"`) or every
    n-th row (`"mod"`).

    >>> partitioned([np.zeros((1, 1)), np.ones((1, 1))], [1]).numpy().tolist()
    [[1.0]]
    """
    if not isinstance(params, (list, tuple)):
        return gather(params, ids)
    if not params:
        raise ValueError("params must be a table, or a list of at least one.")
    if len(params) == 1:
        return gather(params[0], ids)
    if strategy not in ("div", "mod"):
        raise ValueError(f"partition_strategy must be 'div' or 'mod'. Received: {strategy!r}")
    parts = [_as_operand(p) for p in params]
    ids = convert_to_tensor(ids)
    if strategy == "mod":
        starts = np.cumsum([0, *[p.shape[0] for p in parts[:-1]]]).astype(ids.dtype.dtype)
        ids = gather(starts, ids % len(parts)) + ids // len(parts)
    return gather(ops.concat(parts, 0), ids)


def embedding_lookup_sparse(
    params: Any,
    sp_ids: Any,
    sp_weights: Any,
    combiner: str | None = None,
    max_norm: Any = None,
    name: Any = None,
    allow_fast_lookup: bool = False,
) -> Tensor:
    """For each row of `sp_ids`, the combination of the table's rows at these indices.

    Args:
        params: the table `(rows, ...)`, or a list of tensors that it is divided into.
        sp_ids: a SparseTensor or a RaggedTensor `(batch, numbers)`.
        sp_weights: weights of the same form, or `None` for 1.
        combiner: `"sum"` of the weighted rows, or this sum divided by the sum of the weights
            (`"mean"`, the default) or by the square root of the sum of their squares (`"sqrtn"`).
        max_norm: rows with a larger norm are scaled down to it.

    Returns a row for each row up to the last one with indices. Raises TypeError if `sp_ids` or
    `sp_weights` are dense, and ValueError for another combiner.

    >>> ids = tf.sparse.from_dense([[1, 2], [2, 0]])
    >>> table = tf.constant([[0.0], [2.0], [4.0]])
    >>> tf.nn.embedding_lookup_sparse(table, ids, None).numpy().tolist()
    [[3.0], [4.0]]
    """
    ids, segments = _numbers_of("sp_ids", sp_ids)
    weights = None
    if sp_weights is not None:
        weights, _ = _numbers_of("sp_weights", sp_weights)
        if type(sp_weights) is not type(sp_ids) or tuple(weights.shape) != tuple(ids.shape):
            raise ValueError(
                f"sp_ids and sp_weights must have values at the same indices. Received: {sp_ids}, "
                f"{sp_weights}"
            )
    known = _concrete("nn.embedding_lookup_sparse", _as_operand(segments))
    count = int(known[-1]) + 1 if len(known) else 0
    rows = _looked_up_once(params, ids, max_norm)
    return _combined(rows, weights, segments, count, combiner or "mean")


def _looked_up_once(params: Any, ids: Any, max_norm: Any) -> Any:
    """The rows at `ids`, each gathered once, as in TensorFlow, where the indices are known."""
    if isinstance(raw(ids), jax.core.Tracer):
        return _looked_up(params, ids, max_norm=max_norm)
    ids, places = sorting.unique(ids)
    return gather(_looked_up(params, ids, max_norm=max_norm), places)


def _numbers_of(name: str, given: Any) -> tuple[Any, Any]:
    """The values of a sparse or ragged tensor, and the row of each value."""
    if isinstance(given, SparseTensor):
        return given.values, given.indices[:, 0]
    if isinstance(given, RaggedTensor):
        return given.flat_values, given.value_rowids()
    raise TypeError(
        f"{name} must be a SparseTensor or a RaggedTensor. Received: {type(given).__name__}"
    )


_COMBINERS = ("mean", "sqrtn", "sum")


def _combined(rows: Tensor, weights: Any, segments: Any, count: int, combiner: str) -> Tensor:
    if combiner not in _COMBINERS:
        raise ValueError(f"combiner must be one of {_COMBINERS}. Received: combiner={combiner!r}")
    if weights is None:
        weights = ops.ones(rows.shape[:1], rows.dtype)
    given = (rows, ops.cast(weights, rows.dtype), _as_operand(segments))
    return run(_weighed, given, (count, combiner))


def _weighed(rows: Any, weights: Any, segments: Any, count: int, combiner: str) -> Any:
    spread = (1,) * (rows.ndim - 1)
    total = jax.ops.segment_sum(rows * weights.reshape(-1, *spread), segments, count)
    if combiner == "sum":
        return total
    power = weights if combiner == "mean" else jnp.square(weights)
    divisor = jax.ops.segment_sum(power, segments, count)
    safe = jnp.where(divisor == 0, 1, divisor)
    safe = jnp.sqrt(safe) if combiner == "sqrtn" else safe
    scale = jnp.where(divisor == 0, 0, 1 / safe).reshape(-1, *spread)
    return total * scale


def safe_embedding_lookup_sparse(
    embedding_weights: Any,
    sparse_ids: Any,
    sparse_weights: Any = None,
    combiner: str = "mean",
    default_id: Any = None,
    max_norm: Any = None,
    name: Any = None,
    allow_fast_lookup: bool = False,
) -> Tensor:
    """`embedding_lookup_sparse` without negative indices and, unless they are summed, without
    entries whose weight is not positive.

    Args:
        embedding_weights: the table `(rows, ...)`, or a list of tensors that it is divided into.
        sparse_ids: a SparseTensor `(..., numbers)`.
        default_id: the row used where there are no indices, zeros by default.

    Returns a row for each position along the axes before the last.

    >>> ids = tf.SparseTensor([[0, 0], [2, 1]], [1, -1], [3, 2])
    >>> table = tf.constant([[5.0], [2.0]])
    >>> tf.nn.safe_embedding_lookup_sparse(table, ids, default_id=0).numpy().tolist()
    [[2.0], [5.0], [5.0]]
    """
    if embedding_weights is None:
        raise ValueError("embedding_weights must be a table, or a list of at least one.")
    if not isinstance(sparse_ids, SparseTensor):
        raise TypeError(f"sparse_ids must be a SparseTensor. Received: {type(sparse_ids).__name__}")
    sizes = tuple(sparse_ids._sizes)
    strides = tuple(math.prod(sizes[i + 1 : -1]) for i in range(len(sizes) - 1))
    values, weights = sparse_ids.values, None
    if sparse_weights is not None:
        weights = sparse_weights.values
    counted = weights if combiner != "sum" else None
    valid = run(_valid, (values, *([] if counted is None else [counted])))
    ids = table.multiply(values, ops.cast(valid, values.dtype))
    rows = _looked_up_once(embedding_weights, ids, max_norm)
    weights = ops.ones(rows.shape[:1], rows.dtype) if weights is None else weights
    given = [rows, ops.cast(weights, rows.dtype), valid, sparse_ids.indices]
    if default_id is not None:
        given.append(_looked_up(embedding_weights, [default_id], max_norm=max_norm))
    if combiner not in _COMBINERS:
        raise ValueError(f"combiner must be one of {_COMBINERS}. Received: combiner={combiner!r}")
    out = run(_safely_weighed, given, (math.prod(sizes[:-1]), strides, combiner))
    return ops.reshape(out, [*sizes[:-1], *out.shape[1:]])


def _valid(ids: Any, weights: Any = None) -> Any:
    return ids >= 0 if weights is None else (ids >= 0) & (weights > 0)


def _safely_weighed(rows: Any, weights: Any, valid: Any, indices: Any, *rest: Any) -> Any:
    *default, count, strides, combiner = rest
    segments = (indices[:, :-1] * np.asarray(strides, np.int64)).sum(-1)
    rows = jnp.where(valid.reshape(-1, *(1,) * (rows.ndim - 1)), rows, 0)
    out = _weighed(rows, jnp.where(valid, weights, 0), segments, count, combiner)
    found = jax.ops.segment_sum(valid.astype(jnp.int32), segments, count) > 0
    return jnp.where(found.reshape(-1, *(1,) * (out.ndim - 1)), out, default[0] if default else 0)


__all__ = ["embedding_lookup", "embedding_lookup_sparse", "safe_embedding_lookup_sparse"]
