"""`tf.math.segment_*`: reductions of rows with the same segment number."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.ops.math import segment_product
from keraslike.tf import documentation, effects
from keraslike.tf.conversion import _as_operand, static
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.indexing import _concrete
from keraslike.tf.ops import _check_size, cast
from keraslike.tf.structure import operates
from keraslike.tf.tensor import WIDE, Tensor, raw, run


def _check_ids(count: int, ids: Any) -> None:
    if (ids >= count).any():
        raise InvalidArgumentError(
            f"segment_ids must be below num_segments={count}. Received: {ids}"
        )


def _segment(
    name: str,
    kind: str,
    fn: Callable,
    of_none: Callable | None = None,
    prefix: str = "",
    refused: str = "",
) -> Callable:
    """A segment reduction.

    Args:
        of_none: gives the value of empty segments for a dtype.
        refused: the kinds of dtypes that are not accepted.
    """

    def segment(data: Any, segment_ids: Any, name: Any = None) -> Tensor:
        ids = _as_operand(segment_ids)
        known, data = _concrete(f"math.segment_{kind}", ids), _as_operand(data)
        if known.ndim != 1 or known.size and known[0] < 0 or (np.diff(known) < 0).any():
            raise InvalidArgumentError(
                f"segment_ids must be numbers from 0 on that do not decrease. Received: {known}"
            )
        count = int(known[-1]) + 1 if known.size else 0
        _check_size((count, *data.shape[1:]))
        return run(of, (data, ids), (count,))

    def unsorted(data: Any, segment_ids: Any, num_segments: Any, name: Any = None) -> Tensor:
        ids, count = _as_operand(segment_ids), static(num_segments)
        effects.checked(functools.partial(_check_ids, count), raw(ids))
        return run(of, (_as_operand(data), ids), (count,))

    def of(data: Any, ids: Any, count: int) -> Any:
        if ids.shape != data.shape[: ids.ndim]:
            raise InvalidArgumentError(
                "The shape of data must begin with the shape of segment_ids. "
                f"Received shapes: {data.shape} and {ids.shape}"
            )
        if data.dtype.kind in refused:
            raise InvalidArgumentError(
                f"tf.math.{prefix}segment_{name} does not accept tensors of {data.dtype.name}."
            )
        data, ids = data.reshape(ids.size, *data.shape[ids.ndim :]), ids.reshape(-1)
        out = fn(data, ids, num_segments=count)
        if of_none is None:
            return out
        found = jax.ops.segment_sum(jnp.ones_like(ids), ids, count)
        empty = (found == 0).reshape(found.shape + (1,) * (out.ndim - found.ndim))
        return jnp.where(empty, jnp.asarray(of_none(out.dtype), out.dtype), out)

    made = unsorted if prefix else segment
    made.__name__ = made.__qualname__ = f"{prefix}segment_{name}"
    made.__doc__ = f"The {kind} of the rows that have one segment number."
    return operates(made) if prefix else made


def _count(data: Any, ids: Any, num_segments: int) -> Any:
    return jnp.maximum(jax.ops.segment_sum(jnp.ones_like(data), ids, num_segments), 1)


def _segment_mean(data: Any, ids: Any, num_segments: int) -> Any:
    total, count = jax.ops.segment_sum(data, ids, num_segments), _count(data, ids, num_segments)
    # Integer means are rounded towards 0, as in C++.
    return jax.lax.div(total, count) if data.dtype.kind in "ui" else total / count


def _unsorted_segment_mean(data: Any, ids: Any, num_segments: int) -> Any:
    if data.dtype.kind not in "ui":
        return _segment_mean(data, ids, num_segments)
    total, count = jax.ops.segment_sum(data, ids, num_segments), _count(data, ids, num_segments)
    with WIDE(True):
        wide = np.float32 if data.dtype.itemsize < 4 else np.float64
        return jnp.asarray(total).astype(wide) / jnp.asarray(count).astype(wide)


def _segment_sqrt_n(data: Any, ids: Any, num_segments: int) -> Any:
    return jax.ops.segment_sum(data, ids, num_segments) / jnp.sqrt(_count(data, ids, num_segments))


def _limits(dtype: Any) -> Any:
    return jnp.iinfo(dtype) if dtype.kind in "ui" else jnp.finfo(dtype)


_lowest = lambda dtype: _limits(dtype).min  # noqa: E731
_highest = lambda dtype: _limits(dtype).max  # noqa: E731
_nothing = lambda dtype: 0  # noqa: E731
segment_sum = _segment("sum", "sum", jax.ops.segment_sum)
segment_prod = _segment("prod", "product", segment_product)
segment_mean = _segment("mean", "mean", _segment_mean)
segment_max = _segment("max", "max", jax.ops.segment_max, _nothing, refused="c")
segment_min = _segment("min", "min", jax.ops.segment_min, _nothing, refused="c")

_unsorted = functools.partial(_segment, prefix="unsorted_")
unsorted_segment_sum = _unsorted("sum", "sum", jax.ops.segment_sum)
unsorted_segment_prod = _unsorted("prod", "product", segment_product)
unsorted_segment_mean = _unsorted("mean", "mean", _unsorted_segment_mean, refused="c")
unsorted_segment_max = _unsorted("max", "max", jax.ops.segment_max, _lowest, refused="c")
unsorted_segment_min = _unsorted("min", "min", jax.ops.segment_min, _highest, refused="c")
unsorted_segment_sqrt_n = _unsorted(
    "sqrt_n", "sum, divided by the root of the number,", _segment_sqrt_n, refused="uic"
)


def isotonic_regression(inputs: Any, decreasing: bool = True, axis: int = -1) -> Any:
    """The nonincreasing values along an axis with the smallest sum of squared differences, and the
    numbers of the segments in which they are constant.

    Each is the mean of its segment: `y[i] = min over j <= i of max over k >= i of mean(x[j:k+1])`.

    Args:
        decreasing: `False` for nondecreasing values.

    >>> values, segments = tf.nn.isotonic_regression([3.0, 1.0, 2.0])
    >>> values.numpy().tolist(), segments.numpy().tolist()
    ([3.0, 1.5, 1.5], [0, 1, 1])
    """
    x = _as_operand(inputs)
    if x.dtype.name not in ("float16", "bfloat16", "float32", "float64"):
        x = cast(x, "float32" if x.dtype.name in ("int8", "int16") else "float64")
    return run(_isotonic, (x,), (decreasing, axis))


def _isotonic(x: Any, decreasing: bool, axis: int) -> Any:
    rows = jnp.moveaxis(x, axis, -1)
    count = rows.shape[-1]
    signed = jax.lax.stop_gradient(rows if decreasing else -rows)
    sums = jnp.cumsum(jnp.pad(signed, [(0, 0)] * (rows.ndim - 1) + [(1, 0)]), -1)
    place = np.arange(count)
    lengths = place[None, :] - place[:, None] + 1
    means = (sums[..., None, 1:] - sums[..., :-1, None]) / np.maximum(lengths, 1).astype(rows.dtype)
    # For each j and i, the largest mean from j to any end at or after i.
    ahead = jnp.where(lengths > 0, means, -jnp.inf)
    ahead = jax.lax.cummax(ahead, axis=means.ndim - 1, reverse=True)
    ahead = jnp.flip(jnp.where(lengths > 0, ahead, jnp.inf), -2)  # of equal means the last j counts
    starts = count - 1 - jnp.argmin(ahead, -2)
    new = jnp.pad(jnp.diff(starts, axis=-1) != 0, [(0, 0)] * (rows.ndim - 1) + [(1, 0)])
    segments = jnp.cumsum(new.astype(np.int32), -1, dtype=np.int32)
    one = jax.nn.one_hot(segments, count, dtype=rows.dtype)
    total = jnp.einsum("...i,...is->...s", rows, one)
    mean = total / jnp.maximum(one.sum(-2), 1)
    values = jnp.take_along_axis(mean, segments, -1)
    return jnp.moveaxis(values, -1, axis), jnp.moveaxis(segments, -1, axis)


documentation.describe(globals())
