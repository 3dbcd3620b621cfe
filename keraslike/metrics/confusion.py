"""Counts of true and false positives and negatives, and their ratios."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from keraslike import ops
from keraslike.core import dtypes
from keraslike.losses.loss import squeeze_or_expand_to_same_rank
from keraslike.metrics.metric import Metric
from keraslike.ops.wrap import array

# The counts, each by the target and by whether the prediction is positive.
COUNTS = {
    "true_positives": (True, True),
    "false_positives": (False, True),
    "true_negatives": (False, False),
    "false_negatives": (True, False),
}
# Up to this number of thresholds, each prediction is compared with each threshold.
_FEW = 8


def above_thresholds(weight: jax.Array, y_pred: jax.Array, thresholds: Sequence[float]) -> Any:
    """The weight of the predictions above each threshold, column by column.

    Args:
        weight, y_pred: `(values, columns)`.
        thresholds: numbers in any order.

    Returns `(thresholds, columns)`. The time for many thresholds does not depend on their number:
    weights between neighbouring thresholds are summed first, and then these sums are cumulated.
    """
    limits = np.asarray(thresholds, "float32")
    n, (_, columns) = len(limits), y_pred.shape
    if n > 2 and np.allclose(limits, np.linspace(0, 1, n), atol=2 * dtypes.epsilon()):
        y_pred = jnp.clip(y_pred, 0.0, 1.0)  # as Keras does for evenly spaced thresholds
    if n <= _FEW:
        return jnp.sum((y_pred > limits[:, None, None]) * weight, axis=1)
    order = np.argsort(limits)
    below = jnp.searchsorted(limits[order], y_pred)  # the number of thresholds below each
    places = below + (n + 1) * jnp.arange(columns)
    between = jax.ops.segment_sum(weight.ravel(), places.ravel(), (n + 1) * columns)
    above = jnp.cumsum(between.reshape(columns, n + 1)[:, :0:-1], axis=1)[:, ::-1].T
    return above[np.argsort(order)]


def check_thresholds(thresholds: Sequence[float]) -> None:
    """Raises ValueError for thresholds outside of [0, 1]."""
    outside = [t for t in thresholds if t is None or not 0 <= t <= 1]
    if outside:
        raise ValueError(
            "Invalid `thresholds`. Threshold values must be in [0, 1]. "
            f"Received: {outside} in thresholds={thresholds}"
        )


class Confusion(Metric):
    """Confusion counts at one or more thresholds."""

    # The names of the counts of a metric, with entries of `COUNTS`.
    _counts: ClassVar[dict[str, tuple[bool, bool]]] = COUNTS
    _by_label = False  # whether columns of the last axis are counted separately
    label_weights: list[float] | None = None  # weights of columns that are counted together

    def __init__(
        self,
        thresholds: Sequence[float],
        name: str | None,
        dtype: Any,
        top_k: int | None = None,
        class_id: int | None = None,
    ):
        super().__init__(dtype, name)
        self.top_k, self.class_id = top_k, class_id
        self.thresholds = [float(t) for t in thresholds]
        if not self._by_label:
            self._add_counts((len(self.thresholds),))

    def _add_counts(self, shape: tuple[int, ...]) -> None:
        for count in self._counts:
            setattr(self, count, self.add_weight(shape, name=count))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch to the counts.

        Args:
            y_true: targets, 0 or 1, `(batch, ...)`.
            y_pred: predictions of the same shape, 0 to 1.
            sample_weight: a weight for each sample, or for each target.
        """
        y_pred, y_true = squeeze_or_expand_to_same_rank(array(y_pred), array(y_true))
        if y_pred.shape != y_true.shape:
            raise ValueError(
                f"Metric '{self.name}': targets y_true of shape {y_true.shape} cannot be matched "
                f"with predictions y_pred of shape {y_pred.shape}."
            )
        if self.top_k is not None:
            _, places = jax.lax.top_k(y_pred, self.top_k)
            chosen = jnp.sum(jax.nn.one_hot(places, y_pred.shape[-1]), axis=-2) > 0
            # The other predictions are negative at every threshold.
            y_pred = jnp.where(chosen, y_pred, -jnp.inf)
        if self.class_id is not None:
            if y_pred.ndim < 2 or not -y_pred.shape[-1] <= self.class_id < y_pred.shape[-1]:
                raise ValueError(
                    "When class_id is provided, y_pred must be a 2D array with shape (num_samples, "
                    f"num_classes), found shape: {y_pred.shape}. Metric '{self.name}' has class_id="
                    f"{self.class_id}, which has to be one of the classes."
                )
            y_true, y_pred = y_true[..., self.class_id, None], y_pred[..., self.class_id, None]
        weight = array(1.0 if sample_weight is None else sample_weight).astype("float32")
        if weight.ndim:
            weight = weight.reshape(weight.shape + (1,) * (y_pred.ndim - weight.ndim))
        weight = jnp.broadcast_to(weight, y_pred.shape)
        if self.label_weights is not None and not self._by_label:
            weight = weight * jnp.asarray(self.label_weights, weight.dtype)
        columns = y_pred.shape[-1] if self._by_label else 1
        y_pred, weight, is_true = (
            a.reshape(-1, columns) for a in (y_pred, weight, y_true.astype(bool))
        )
        for answer in {answer for answer, _ in self._counts.values()}:
            of_answer = (is_true == answer) * weight
            above = above_thresholds(of_answer, y_pred, self.thresholds)
            for count, kept in self._counts.items():
                if kept[0] != answer:
                    continue
                variable = getattr(self, count)
                value = above if kept[1] else jnp.sum(of_answer, axis=0) - above
                variable.assign_add(value.reshape(variable.shape))

    def _one_or_all(self, values: jax.Array) -> jax.Array:
        return values[0] if len(self.thresholds) == 1 else values


class _AtThresholds(Confusion):
    """Confusion counts at thresholds that the user gives."""

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        if thresholds is None:
            values = [0.5 if top_k is None else -jnp.inf]
        else:
            values = [thresholds] if isinstance(thresholds, (int, float)) else list(thresholds)
            check_thresholds(values)
        self.init_thresholds = thresholds
        super().__init__(values, name, dtype, top_k, class_id)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "thresholds": self.init_thresholds}


class _Count(_AtThresholds):
    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(thresholds, None, None, name, dtype)

    def result(self) -> jax.Array:
        return self._one_or_all(self.accumulator.value)


class TruePositives(_Count):
    """The number of targets that are true and predicted above the threshold.

    >>> float(TruePositives()([0, 1, 1], [1.0, 0.0, 1.0]))
    1.0
    """

    _counts = {"accumulator": COUNTS["true_positives"]}


class TrueNegatives(_Count):
    """The number of targets that are false and predicted at or below the threshold.

    >>> float(TrueNegatives()([0, 1, 1], [1.0, 0.0, 1.0]))
    0.0
    """

    _counts = {"accumulator": COUNTS["true_negatives"]}


class FalsePositives(_Count):
    """The number of targets that are false and predicted above the threshold.

    >>> float(FalsePositives()([0, 1, 1], [1.0, 0.0, 1.0]))
    1.0
    """

    _counts = {"accumulator": COUNTS["false_positives"]}


class FalseNegatives(_Count):
    """The number of targets that are true and predicted at or below the threshold.

    >>> float(FalseNegatives()([0, 1, 1], [1.0, 0.0, 1.0]))
    1.0
    """

    _counts = {"accumulator": COUNTS["false_negatives"]}


class Precision(_AtThresholds):
    """The fraction of positive predictions that are true: `tp / (tp + fp)`.

    Args:
        thresholds: one or several numbers in [0, 1] above which a prediction is positive; by
            default 0.5 or, with `top_k`, no threshold.
        top_k: if given, only the `k` largest predictions of a sample are positive.
        class_id: the only class to evaluate, along the last axis.
        name, dtype: see `Metric`.

    >>> float(Precision()([0, 1, 1, 1], [1, 0, 1, 1])).__round__(4)
    0.6667
    """

    _counts = {k: COUNTS[k] for k in ("true_positives", "false_positives")}

    def result(self) -> jax.Array:
        hits = self.true_positives.value
        return self._one_or_all(ops.divide_no_nan(hits, hits + self.false_positives.value))


class Recall(_AtThresholds):
    """The fraction of true targets that are predicted: `tp / (tp + fn)`; see `Precision`.

    >>> float(Recall()([0, 1, 1, 1], [1, 0, 1, 1])).__round__(4)
    0.6667
    """

    _counts = {k: COUNTS[k] for k in ("true_positives", "false_negatives")}

    def result(self) -> jax.Array:
        hits = self.true_positives.value
        return self._one_or_all(ops.divide_no_nan(hits, hits + self.false_negatives.value))
