"""Sums and means of values over all samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from keraslike import ops
from keraslike.core import context
from keraslike.core.tensor_methods import with_tensors
from keraslike.losses.loss import apply_mask, squeeze_or_expand_to_same_rank, with_function
from keraslike.metrics.metric import Metric
from keraslike.ops.wrap import array


def _weighted(
    values: jax.Array, sample_weight: Any, reduce: Callable
) -> tuple[jax.Array, jax.Array]:
    """Values times their weights, and the weights, both `(batch,)` or scalars."""
    dtype = values.dtype
    weight = array(sample_weight).astype(dtype)
    mask = context.get_mask(values)
    weight = array(apply_mask(weight, mask, dtype, "sum"))
    values, weight = squeeze_or_expand_to_same_rank(values, weight)
    rank = weight.ndim
    if values.ndim > rank:
        values = reduce(values, tuple(range(rank, values.ndim)))
    weight = jnp.broadcast_to(weight, values.shape)
    values = values * weight
    if rank > 1:
        weight = reduce(weight, tuple(range(1, rank)))
        values = reduce(values, tuple(range(1, values.ndim)))
    return values, weight


class Sum(Metric):
    """The sum of all values, weighted.

    >>> metric = Sum()
    >>> metric.update_state([1.0, 3.0])
    >>> float(metric.result())
    4.0
    """

    def __init__(self, name: str | None = "sum", dtype: Any = None):
        super().__init__(dtype, name)
        self.total = self.add_weight(dtype=self.dtype, name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values = _cast(values, self.dtype)
        if sample_weight is not None:
            values, _ = _weighted(values, sample_weight, jnp.sum)
        self.total.assign_add(jnp.sum(values))

    def result(self) -> jax.Array:
        return self.total.value


class Mean(Metric):
    """The weighted mean of all values. The mean of the values of a sample is its value.

    >>> metric = Mean()
    >>> metric.update_state([1.0, 3.0])
    >>> metric.update_state([5.0], sample_weight=[2.0])
    >>> float(metric.result())
    3.5
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None):
        super().__init__(dtype, name)
        self.total = self.add_weight(dtype=self.dtype, name="total")
        self.count = self.add_weight(dtype=self.dtype, name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values = _cast(values, self.dtype)
        if sample_weight is not None:
            values, weight = _weighted(values, sample_weight, jnp.mean)
            self.total.assign_add(jnp.sum(values))
            self.count.assign_add(jnp.sum(weight))
            return
        total = jnp.sum(values)
        if values.ndim > 1:
            total = total / max(1, math.prod(values.shape[1:]))
        self.total.assign_add(total)
        self.count.assign_add(values.shape[0] if values.ndim else 1)

    def result(self) -> jax.Array:
        return ops.divide_no_nan(self.total, self.count)


def _cast(values: Any, dtype: str) -> jax.Array:
    """The values cast to a dtype, with their mask."""
    given = array(values)
    values = given.astype(dtype)
    if values is not given:
        context.set_mask(values, context.get_mask(given))
    return values


class MeanMetricWrapper(Mean):
    """The mean of a function of targets and predictions.

    Args:
        fn: a function `fn(y_true, y_pred, **kwargs)` that returns values of shape `(batch, ...)`.
        name, dtype: see `Metric`.
        kwargs: passed to the function.

    If only targets or only predictions have a last axis of size 1, it is added to the others.

    >>> metric = MeanMetricWrapper(lambda y_true, y_pred: abs(y_true - y_pred), name="distance")
    >>> metric.update_state(jnp.array([1.0, 2.0]), jnp.array([[1.0], [5.0]]))
    >>> float(metric.result())
    1.5
    """

    def __init__(self, fn: Callable, name: str | None = None, dtype: Any = None, **kwargs: Any):
        super().__init__(name, dtype)
        self.fn = fn
        self._fn_kwargs = kwargs

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        mask = context.get_mask(y_pred)
        if not isinstance(y_true, dict | tuple) and not isinstance(y_pred, dict | tuple):
            y_true, y_pred = squeeze_or_expand_to_same_rank(array(y_true), array(y_pred))
        values = with_tensors(self.fn, self.fn)(y_true, y_pred, **self._fn_kwargs)
        super().update_state(values, apply_mask(sample_weight, mask, self.dtype, "sum"))

    def get_config(self) -> dict[str, Any]:
        return with_function(super().get_config(), self)
