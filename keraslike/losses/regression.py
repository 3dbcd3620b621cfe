"""Losses of regression.

The functions return one value per sample, the mean over the last axis; the classes reduce these
values as `Loss` does.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core import dtypes
from keraslike.core.operation import op
from keraslike.losses.loss import LossFunctionWrapper, matched
from keraslike.ops import nn, numpy


@op
def mean_squared_error(y_true: Any, y_pred: Any) -> jax.Array:
    """`mean((y_true - y_pred)**2)` over the last axis.

    Args:
        y_true: targets, `(batch, ..., n)`.
        y_pred: predictions of the same shape, apart from a last axis of size 1 that one of the two
            may lack.

    Returns `(batch, ...)`. Raises ValueError for incompatible shapes.

    >>> mean_squared_error([[0.0, 1.0]], [[2.0, 1.0]]).tolist()
    [2.0]
    """
    y_true, y_pred = matched(y_true, y_pred, "mean_squared_error")
    return jnp.mean(jnp.square(y_true - y_pred), axis=-1)


@op
def mean_absolute_error(y_true: Any, y_pred: Any) -> jax.Array:
    """`mean(abs(y_true - y_pred))` over the last axis; shapes as in `mean_squared_error`.

    >>> mean_absolute_error([[0.0, 1.0]], [[2.0, 1.0]]).tolist()
    [1.0]
    """
    y_true, y_pred = matched(y_true, y_pred, "mean_absolute_error")
    return jnp.mean(numpy.abs(y_true - y_pred), axis=-1)


@op
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> jax.Array:
    """`100 * mean(abs((y_true - y_pred) / y_true))` over the last axis, in percent.

    The divisor is at least `epsilon()`. For the shapes see `mean_squared_error`.

    >>> mean_absolute_percentage_error([[2.0, 1.0]], [[3.0, 1.0]]).tolist()
    [25.0]
    """
    y_true, y_pred = matched(y_true, y_pred, "mean_absolute_percentage_error")
    share = (y_true - y_pred) / numpy.maximum(numpy.abs(y_true), dtypes.epsilon())
    return 100.0 * jnp.mean(numpy.abs(share), axis=-1)


@op
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> jax.Array:
    """`mean((log(y_true + 1) - log(y_pred + 1))**2)` over the last axis.

    Values below `epsilon()` are replaced by it. For the shapes see `mean_squared_error`.

    >>> mean_squared_logarithmic_error([[1.0]], [[1.0]]).tolist()
    [0.0]
    """
    y_true, y_pred = matched(y_true, y_pred, "mean_squared_logarithmic_error")
    least = dtypes.epsilon()
    first, second = (jnp.log(numpy.maximum(y, least) + 1.0) for y in (y_pred, y_true))
    return jnp.mean(jnp.square(first - second), axis=-1)


@op
def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> jax.Array:
    """The mean over the last axis of `e**2 / 2` where the error `e = abs(y_true - y_pred)` is at
    most `delta`, and of `delta * e - delta**2 / 2` where it is larger.

    Shapes as in `mean_squared_error` (Huber 1964, doi:10.1214/aoms/1177703732).

    >>> huber([[0.0, 0.0]], [[1.0, 3.0]]).tolist()
    [1.5]
    """
    y_true, y_pred = matched(y_true, y_pred, "huber")
    error = y_pred - y_true
    size = numpy.abs(error)
    values = jnp.where(size <= delta, 0.5 * jnp.square(error), delta * size - 0.5 * delta**2)
    return jnp.mean(values, axis=-1)


@op
def log_cosh(y_true: Any, y_pred: Any) -> jax.Array:
    """`mean(log(cosh(y_pred - y_true)))` over the last axis; shapes as in `mean_squared_error`.

    >>> log_cosh([[1.0]], [[1.0]]).tolist()
    [0.0]
    """
    y_true, y_pred = matched(y_true, y_pred, "log_cosh")
    error = y_pred - y_true
    return jnp.mean(error + jax.nn.softplus(-2.0 * error) - math.log(2.0), axis=-1)


@op
def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> jax.Array:
    """Minus the cosine of the angle between targets and predictions along an axis.

    -1 for the same direction, 0 at a right angle and where one is all zeros.

    >>> cosine_similarity([[0.0, 1.0]], [[0.0, 5.0]]).tolist()
    [-1.0]
    """
    y_true, y_pred = matched(y_true, y_pred, "cosine_similarity")
    return -jnp.sum(nn.normalize(y_true, axis) * nn.normalize(y_pred, axis), axis=axis)


class MeanSquaredError(LossFunctionWrapper):
    """`mean((y_true - y_pred)**2)`.

    >>> float(MeanSquaredError()([[0.0, 1.0]], [[2.0, 1.0]]))
    2.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_error",
        dtype: Any = None,
    ):
        super().__init__(mean_squared_error, reduction, name, dtype)


class MeanAbsoluteError(LossFunctionWrapper):
    """`mean(abs(y_true - y_pred))`.

    >>> float(MeanAbsoluteError()([[0.0, 1.0]], [[2.0, 1.0]]))
    1.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_error",
        dtype: Any = None,
    ):
        super().__init__(mean_absolute_error, reduction, name, dtype)


class MeanAbsolutePercentageError(LossFunctionWrapper):
    """`100 * mean(abs((y_true - y_pred) / y_true))`, in percent.

    >>> float(MeanAbsolutePercentageError()([[2.0, 1.0]], [[3.0, 1.0]]))
    25.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_percentage_error",
        dtype: Any = None,
    ):
        super().__init__(mean_absolute_percentage_error, reduction, name, dtype)


class MeanSquaredLogarithmicError(LossFunctionWrapper):
    """`mean((log(y_true + 1) - log(y_pred + 1))**2)`.

    >>> float(MeanSquaredLogarithmicError()([[1.0]], [[1.0]]))
    0.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_logarithmic_error",
        dtype: Any = None,
    ):
        super().__init__(mean_squared_logarithmic_error, reduction, name, dtype)


class Huber(LossFunctionWrapper):
    """Quadratic for errors up to `delta`, linear beyond; see `huber`.

    >>> float(Huber(delta=2.0)([[0.0]], [[3.0]]))
    4.0
    """

    _left_out = {**LossFunctionWrapper._left_out, "delta": 1.0}

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: Any = None,
    ):
        super().__init__(huber, reduction, name, dtype, delta=delta)
        self.delta = delta


class LogCosh(LossFunctionWrapper):
    """`mean(log(cosh(y_pred - y_true)))`.

    >>> float(LogCosh()([[1.0]], [[1.0]]))
    0.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "log_cosh",
        dtype: Any = None,
    ):
        super().__init__(log_cosh, reduction, name, dtype)


class CosineSimilarity(LossFunctionWrapper):
    """Minus the cosine of the angle between targets and predictions along `axis`.

    >>> float(CosineSimilarity()([[0.0, 1.0]], [[0.0, 5.0]]))
    -1.0
    """

    _left_out = {**LossFunctionWrapper._left_out, "axis": -1}

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "cosine_similarity",
        dtype: Any = None,
    ):
        super().__init__(cosine_similarity, reduction, name, dtype, axis=axis)
        self.axis = axis
