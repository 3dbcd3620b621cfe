"""Counts of right and wrong answers to a yes-or-no question, and their ratios."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from keraslike import ops
from keraslike.losses.loss import squeeze_or_expand_to_same_rank
from keraslike.metrics.metric import Metric
from keraslike.ops.wrap import array


class _Confusion(Metric):
    """Counts, at one or more thresholds, of predictions above them and of targets that are true."""

    # The counts that are kept: what the answer is, and whether the prediction says yes.
    _kept: ClassVar[dict[str, tuple[bool, bool]]]

    def __init__(
        self,
        thresholds: float | Sequence[float] | None,
        top_k: int | None,
        class_id: int | None,
        name: str | None,
        dtype: Any,
    ):
        super().__init__(dtype, name)
        self.top_k, self.class_id = top_k, class_id
        if thresholds is None:
            values = [0.5 if top_k is None else -jnp.inf]
        else:
            values = [thresholds] if isinstance(thresholds, (int, float)) else list(thresholds)
            if any(t is None or not 0 <= t <= 1 for t in values):
                raise ValueError(f"thresholds must be in [0, 1]. Received: thresholds={thresholds}")
        self.init_thresholds = thresholds
        self.thresholds = [float(t) for t in values]
        for count in self._kept:
            setattr(self, count, self.add_weight((len(values),), name=count))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Counts a batch.

        Args:
            y_true: targets, 0 or 1, `(batch, ...)`.
            y_pred: predictions of the same shape, 0 to 1.
            sample_weight: a weight of each sample, or of each target.
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
            # What is not chosen says no at every threshold, and what is says yes at the lowest.
            y_pred = jnp.where(chosen, y_pred, -jnp.inf)
        if self.class_id is not None:
            if y_pred.ndim < 2 or not -y_pred.shape[-1] <= self.class_id < y_pred.shape[-1]:
                raise ValueError(
                    f"Metric '{self.name}' has class_id={self.class_id}: y_pred must be of shape "
                    f"(samples, classes) and have that class. Received: shape {y_pred.shape}"
                )
            y_true, y_pred = y_true[..., self.class_id, None], y_pred[..., self.class_id, None]
        weight = array(1.0 if sample_weight is None else sample_weight).astype("float32")
        if weight.ndim:
            weight = weight.reshape(weight.shape + (1,) * (y_pred.ndim - weight.ndim))
        weight = jnp.broadcast_to(weight, y_pred.shape).ravel()
        says_yes = y_pred.ravel() > jnp.asarray(self.thresholds)[:, None]
        is_yes = y_true.ravel().astype(bool)
        for count, (answer, said) in self._kept.items():
            both = (is_yes == answer) & (says_yes == said)
            getattr(self, count).assign_add(jnp.sum(both * weight, axis=1))

    def _one_or_all(self, values: jax.Array) -> jax.Array:
        return values[0] if len(self.thresholds) == 1 else values

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "thresholds": self.init_thresholds}


class _Count(_Confusion):
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

    _kept = {"accumulator": (True, True)}


class TrueNegatives(_Count):
    """The number of targets that are false and predicted at or below the threshold.

    >>> float(TrueNegatives()([0, 1, 1], [1.0, 0.0, 1.0]))
    0.0
    """

    _kept = {"accumulator": (False, False)}


class FalsePositives(_Count):
    """The number of targets that are false and predicted above the threshold.

    >>> float(FalsePositives()([0, 1, 1], [1.0, 0.0, 1.0]))
    1.0
    """

    _kept = {"accumulator": (False, True)}


class FalseNegatives(_Count):
    """The number of targets that are true and predicted at or below the threshold.

    >>> float(FalseNegatives()([0, 1, 1], [1.0, 0.0, 1.0]))
    1.0
    """

    _kept = {"accumulator": (True, False)}


class Precision(_Confusion):
    """The share of what is predicted true that is: `tp / (tp + fp)`.

    Args:
        thresholds: a number of [0, 1] above which a prediction says yes, or several; 0.5 by
            default, or, with `top_k`, any value.
        top_k: whether only the `k` largest predictions of a sample say yes.
        class_id: the only class that counts, along the last axis.
        name, dtype: as for `Metric`.

    >>> float(Precision()([0, 1, 1, 1], [1, 0, 1, 1])).__round__(4)
    0.6667
    """

    _kept = {"true_positives": (True, True), "false_positives": (False, True)}

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(thresholds, top_k, class_id, name, dtype)

    def result(self) -> jax.Array:
        hits = self.true_positives.value
        return self._one_or_all(ops.divide_no_nan(hits, hits + self.false_positives.value))


class Recall(_Confusion):
    """The share of what is true that is predicted: `tp / (tp + fn)`; arguments as `Precision`'s.

    >>> float(Recall()([0, 1, 1, 1], [1, 0, 1, 1])).__round__(4)
    0.6667
    """

    _kept = {"true_positives": (True, True), "false_negatives": (True, False)}

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(thresholds, top_k, class_id, name, dtype)

    def result(self) -> jax.Array:
        hits = self.true_positives.value
        return self._one_or_all(ops.divide_no_nan(hits, hits + self.false_negatives.value))
