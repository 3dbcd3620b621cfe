"""F-scores: means of precision and recall."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core import dtypes
from keraslike.losses.loss import matched
from keraslike.metrics.metric import Metric
from keraslike.ops.wrap import array


class FBetaScore(Metric):
    """`(1 + beta**2) * precision * recall / (beta**2 * precision + recall)`, of each class.

    Args:
        average: how the scores of the classes become one: `"macro"` (their mean), `"weighted"`
            (weighted by how often they occur), `"micro"` (the score of all counts together), or
            `None` for one score each.
        beta: how much more recall counts than precision.
        threshold: a number of (0, 1] above which a prediction says yes; by default the largest
            prediction of a sample does.
        name, dtype: as for `Metric`.

    Targets and predictions are `(batch, classes)`. The state is made at the first batch.

    >>> metric = FBetaScore(beta=2.0, threshold=0.5)
    >>> metric([[1, 1, 1], [1, 0, 0]], [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6]]).round(4).tolist()
    [0.0, 0.8332..., 0.8332...]
    """

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: Any = None,
    ):
        super().__init__(dtype, name)
        allowed = (None, "micro", "macro", "weighted")
        if average not in allowed:
            raise ValueError(f"average must be one of {list(allowed)}. Received: {average!r}")
        if beta <= 0.0:
            raise ValueError(f"beta must be larger than 0. Received: beta={beta}")
        if threshold is not None and not 0 < threshold <= 1:
            raise ValueError(f"threshold must be in (0, 1]. Received: threshold={threshold}")
        self.average, self.beta, self.threshold = average, beta, threshold

    def _build(self, classes: int) -> None:
        shape = () if self.average == "micro" else (classes,)
        for count in ("true_positives", "false_positives", "false_negatives"):
            setattr(self, count, self.add_weight(shape, dtype=self.dtype, name=count))
        self.intermediate_weights = self.add_weight(
            shape, dtype=self.dtype, name="intermediate_weights"
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = matched(y_true, array(y_pred).astype(self.dtype), str(self.name))
        if y_true.ndim != 2:
            raise ValueError(
                f"Metric '{self.name}' expects 2D inputs with shape (batch, classes). Received: "
                f"y_true of shape {y_true.shape}, y_pred of shape {y_pred.shape}."
            )
        if not hasattr(self, "true_positives"):
            self._build(y_pred.shape[-1])
        if self.threshold is None:
            largest = jnp.max(y_pred, axis=-1, keepdims=True)
            says_yes = (y_pred >= largest) & (jnp.abs(y_pred) > 1e-9)  # zeros alone say no
        else:
            says_yes = y_pred > self.threshold
        y_pred = says_yes.astype(self.dtype)
        weight = array(1.0 if sample_weight is None else sample_weight).astype(self.dtype)
        weight = weight[:, None] if weight.ndim == 1 else weight
        for variable, values in (
            (self.true_positives, y_pred * y_true),
            (self.false_positives, y_pred * (1 - y_true)),
            (self.false_negatives, (1 - y_pred) * y_true),
            (self.intermediate_weights, y_true),
        ):
            variable.assign_add(jnp.sum(values * weight, axis=0 if variable.ndim else None))

    def result(self) -> jax.Array:
        if not hasattr(self, "true_positives"):
            return jnp.zeros((), self.dtype)
        eps, hits = dtypes.epsilon(), self.true_positives.value
        precision = hits / (hits + self.false_positives.value + eps)
        recall = hits / (hits + self.false_negatives.value + eps)
        squared = self.beta**2
        scores = (1 + squared) * (precision * recall / (squared * precision + recall + eps))
        if self.average == "weighted":
            support = self.intermediate_weights.value
            return jnp.sum(scores * support / (jnp.sum(support) + eps))
        return scores if self.average is None else jnp.mean(scores)


class F1Score(FBetaScore):
    """The harmonic mean of precision and recall, of each class; see `FBetaScore`.

    >>> metric = F1Score(threshold=0.5)
    >>> metric([[1, 1, 1], [1, 0, 0]], [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6]]).round(4).tolist()
    [0.0, 0.6667..., 0.6667...]
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: Any = None,
    ):
        super().__init__(average, 1.0, threshold, name, dtype)
