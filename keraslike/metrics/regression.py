"""Metrics of regression: errors, correlations and explained variance."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from keraslike import losses
from keraslike.core import dtypes
from keraslike.core.operation import op
from keraslike.losses.loss import matched
from keraslike.metrics.metric import Metric
from keraslike.metrics.reduction import Mean, MeanMetricWrapper
from keraslike.ops.wrap import array, axes_of


class MeanSquaredError(MeanMetricWrapper):
    """The mean of `(y_true - y_pred)**2`.

    >>> float(MeanSquaredError()([[0.0, 1.0]], [[2.0, 1.0]]))
    2.0
    """

    def __init__(self, name: str | None = "mean_squared_error", dtype: Any = None):
        super().__init__(losses.mean_squared_error, name, dtype)


class RootMeanSquaredError(Mean):
    """The root of the mean of `(y_true - y_pred)**2` over all samples.

    >>> float(RootMeanSquaredError()([[0.0], [0.0]], [[3.0], [3.0]]))
    3.0
    """

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None):
        super().__init__(name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = matched(y_true, array(y_pred).astype(self.dtype), str(self.name))
        super().update_state(jnp.square(y_pred - y_true), sample_weight)

    def result(self) -> jax.Array:
        return jnp.sqrt(super().result())


class MeanAbsoluteError(MeanMetricWrapper):
    """The mean of `abs(y_true - y_pred)`.

    >>> float(MeanAbsoluteError()([[0.0, 1.0]], [[2.0, 1.0]]))
    1.0
    """

    def __init__(self, name: str | None = "mean_absolute_error", dtype: Any = None):
        super().__init__(losses.mean_absolute_error, name, dtype)


class MeanAbsolutePercentageError(MeanMetricWrapper):
    """The mean of `100 * abs((y_true - y_pred) / y_true)`, in percent.

    >>> float(MeanAbsolutePercentageError()([[2.0, 1.0]], [[3.0, 1.0]]))
    25.0
    """

    def __init__(self, name: str | None = "mean_absolute_percentage_error", dtype: Any = None):
        super().__init__(losses.mean_absolute_percentage_error, name, dtype)


class MeanSquaredLogarithmicError(MeanMetricWrapper):
    """The mean of `(log(y_true + 1) - log(y_pred + 1))**2`.

    >>> float(MeanSquaredLogarithmicError()([[1.0]], [[1.0]]))
    0.0
    """

    def __init__(self, name: str | None = "mean_squared_logarithmic_error", dtype: Any = None):
        super().__init__(losses.mean_squared_logarithmic_error, name, dtype)


class LogCoshError(MeanMetricWrapper):
    """The mean of `log(cosh(y_pred - y_true))`.

    >>> float(LogCoshError()([[1.0]], [[1.0]]))
    0.0
    """

    def __init__(self, name: str | None = "logcosh", dtype: Any = None):
        super().__init__(losses.log_cosh, name, dtype)


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> jax.Array:
    """The cosine of the angle between targets and predictions along an axis.

    >>> cosine_similarity([[0.0, 1.0]], [[0.0, 5.0]]).tolist()
    [1.0]
    """
    return -losses.cosine_similarity(y_true, y_pred, axis)


class CosineSimilarity(MeanMetricWrapper):
    """The mean cosine of the angle between targets and predictions along `axis`.

    >>> float(CosineSimilarity()([[0.0, 1.0]], [[0.0, 5.0]]))
    1.0
    """

    def __init__(self, name: str | None = "cosine_similarity", dtype: Any = None, axis: int = -1):
        super().__init__(cosine_similarity, name, dtype, axis=axis)
        self.axis = axis

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if config["axis"] == -1:  # Keras never writes the axis; here it is, if not the default
            del config["axis"]
        return config


@op
def pearson_correlation(y_true: Any, y_pred: Any, axis: Any = -1) -> jax.Array:
    """Pearson's coefficient of correlation between targets and predictions along an axis or axes.

    It is 1 if one is an increasing linear function of the other, -1 if it is a decreasing one.

    >>> pearson_correlation([[0.0, 1.0, 2.0]], [[1.0, 3.0, 5.0]]).round(4).tolist()
    [1.0]
    """
    y_true, y_pred = matched(y_true, y_pred, "pearson_correlation")
    axis = axes_of(axis)
    y_true, y_pred = (y - jnp.mean(y, axis, keepdims=True) for y in (y_true, y_pred))
    y_true, y_pred = (y / jnp.std(y, axis, keepdims=True) for y in (y_true, y_pred))
    return jnp.mean(y_true * y_pred, axis)


@op
def concordance_correlation(y_true: Any, y_pred: Any, axis: Any = -1) -> jax.Array:
    """Lin's coefficient of concordance between targets and predictions along an axis or axes.

    It is 1 if they are equal. Unlike Pearson's, it is reduced by a shift and by another scale.

    >>> concordance_correlation([[0.0, 1.0, 2.0]], [[1.0, 2.0, 3.0]]).round(4).tolist()
    [0.5713...]
    """
    y_true, y_pred = matched(y_true, y_pred, "concordance_correlation")
    axis = axes_of(axis)
    shift = jnp.mean(y_true, axis, keepdims=True) - jnp.mean(y_pred, axis, keepdims=True)
    spread = jnp.var(y_true, axis, keepdims=True) + jnp.var(y_pred, axis, keepdims=True)
    y_true, y_pred = (y - jnp.mean(y, axis, keepdims=True) for y in (y_true, y_pred))
    both = 2 * y_true * y_pred / (spread + jnp.square(shift) + dtypes.epsilon())
    return jnp.mean(both, axis)


class PearsonCorrelation(MeanMetricWrapper):
    """The mean of Pearson's coefficient of correlation along `axis`; see `pearson_correlation`.

    >>> round(float(PearsonCorrelation()([[0.0, 1.0, 2.0]], [[1.0, 3.0, 5.0]])), 4)
    1.0
    """

    def __init__(self, name: str | None = "pearson_correlation", dtype: Any = None, axis: Any = -1):
        super().__init__(pearson_correlation, name, dtype, axis=axis)
        self.axis = axis


class ConcordanceCorrelation(MeanMetricWrapper):
    """The mean of Lin's coefficient of concordance along `axis`; see `concordance_correlation`.

    >>> round(float(ConcordanceCorrelation()([[0.0, 1.0, 2.0]], [[1.0, 2.0, 3.0]])), 4)
    0.5714
    """

    def __init__(
        self, name: str | None = "concordance_correlation", dtype: Any = None, axis: Any = -1
    ):
        super().__init__(concordance_correlation, name, dtype, axis=axis)
        self.axis = axis


class R2Score(Metric):
    """`1 - sum((y_true - y_pred)**2) / sum((y_true - mean(y_true))**2)`: the variance explained.

    Args:
        class_aggregation: how the scores of several outputs are combined: `"uniform_average"`,
            `"variance_weighted_average"`, or `None` for one score for each.
        num_regressors: the number of predictors, for the adjusted score; 0 for the plain one.
        name, dtype: see `Metric`.

    Targets and predictions are `(batch, outputs)`. The state is created by the first batch.

    >>> round(float(R2Score()([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]])), 4)
    0.5714
    """

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: Any = None,
    ):
        super().__init__(dtype, name)
        allowed = (None, "uniform_average", "variance_weighted_average")
        if class_aggregation not in allowed:
            raise ValueError(
                "Invalid value for argument `class_aggregation`. It must be one of "
                f"{list(allowed)}. Received: class_aggregation={class_aggregation!r}"
            )
        if num_regressors < 0:
            raise ValueError(
                "Invalid value for argument `num_regressors`. It must be at least 0. Received: "
                f"num_regressors={num_regressors}"
            )
        self.class_aggregation, self.num_regressors = class_aggregation, num_regressors
        self.num_samples = self.add_weight(name="num_samples")

    def _build(self, outputs: int) -> None:
        self.squared_sum = self.add_weight((outputs,), name="squared_sum")
        self.sum = self.add_weight((outputs,), name="sum")
        self.total_mse = self.add_weight((outputs,), name="residual")
        self.count = self.add_weight((outputs,), name="count")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = matched(y_true, array(y_pred).astype(self.dtype), str(self.name))
        if y_true.ndim != 2:
            raise ValueError(
                "R2Score expects 2D inputs with shape (batch_size, output_dim). Received: "
                f"y_true of shape {y_true.shape}, y_pred of shape {y_pred.shape}."
            )
        if not hasattr(self, "sum"):
            self._build(y_pred.shape[-1])
        weight = array(1.0 if sample_weight is None else sample_weight).astype(self.dtype)
        weight = jnp.broadcast_to(weight[:, None] if weight.ndim == 1 else weight, y_true.shape)
        self.sum.assign_add(jnp.sum(y_true * weight, axis=0))
        self.squared_sum.assign_add(jnp.sum(jnp.square(y_true) * weight, axis=0))
        self.total_mse.assign_add(jnp.sum(jnp.square(y_true - y_pred) * weight, axis=0))
        self.count.assign_add(jnp.sum(weight, axis=0))
        self.num_samples.assign_add(y_true.size)

    def result(self) -> jax.Array:
        if not hasattr(self, "sum"):
            return jnp.zeros((), self.dtype)
        mean = self.sum / self.count  # first, so that the variance of equal targets is zero exactly
        total = self.squared_sum - self.sum * mean
        scores = 1 - self.total_mse / total
        scores = jnp.where(jnp.isinf(scores), 0.0, scores)
        if self.class_aggregation == "uniform_average":
            scores = jnp.mean(scores)
        elif self.class_aggregation == "variance_weighted_average":
            scores = jnp.sum(total * scores) / jnp.sum(total)
        if self.num_regressors:
            free = self.num_samples - self.num_regressors - 1
            adjusted = 1 - (1 - scores) * (self.num_samples - 1) / jnp.where(free > 0, free, 1)
            scores = jnp.where(free > 0, adjusted, scores)
        return scores
