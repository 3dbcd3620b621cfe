"""F-scores: means of precision and recall."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core import dtypes
from keraslike.losses.loss import matched
from keraslike.metrics.metric import Metric
from keraslike.ops.wrap import array


def _check_float(**argument: Any) -> None:
    ((name, value),) = argument.items()
    if not isinstance(value, float):
        raise ValueError(
            f"Invalid `{name}` argument value. It should be a Python float. Received: "
            f"{name}={value} of type '{type(value)}'"
        )


class FBetaScore(Metric):
    """`(1 + beta**2) * precision * recall / (beta**2 * precision + recall)`, of each class.

    Args:
        average: how the scores of classes are combined: `"macro"` (their mean), `"weighted"`
            (weighted by frequency), `"micro"` (the score of the summed counts), or `None` for one
            score for each class.
        beta: the weight of recall relative to precision.
        threshold: a number in (0, 1] above which a prediction is positive; by default the largest
            prediction of a sample is.
        name, dtype: see `Metric`.

    Targets and predictions are `(batch, classes)`. The state is created by the first batch.

    >>> metric = FBetaScore(beta=2.0, threshold=0.5)
    >>> metric([[1, 1, 1], [1, 0, 0]], [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6]]).round(4).tolist()
    [0.0, 0.8332..., 0.8332...]
    """

    def __init__(
        self,
        average: str | None = None,
        beta: Any = 1.0,
        threshold: Any = None,
        name: str | None = "fbeta_score",
        dtype: Any = None,
    ):
        super().__init__(dtype, name)
        allowed = (None, "micro", "macro", "weighted")
        if average not in allowed:
            raise ValueError(
                "Invalid `average` argument value. Expected one of: {None, 'micro', 'macro', "
                f"'weighted'}}. Received: average={average}"
            )
        _check_float(beta=beta)
        if beta <= 0.0:
            raise ValueError(
                f"Invalid `beta` argument value. It should be > 0. Received: beta={beta}"
            )
        if threshold is not None:
            _check_float(threshold=threshold)
            if not 0 < threshold <= 1:
                raise ValueError(
                    "Invalid `threshold` argument value. It should verify 0 < threshold <= 1. "
                    f"Received: threshold={threshold}"
                )
        self.average, self.beta, self.threshold = average, beta, threshold

    def _build(self, y_true_shape: Any, y_pred_shape: Any) -> None:
        flat = len(y_true_shape) == len(y_pred_shape) == 2
        if not flat or None in (y_true_shape[1], y_pred_shape[1]):
            raise ValueError(
                "FBetaScore expects 2D inputs with shape (batch_size, output_dim)"
                f"{', with output_dim fully defined (not None)' if flat else ''}. Received input "
                f"shapes: y_pred.shape={y_pred_shape} and y_true.shape={y_true_shape}."
            )
        shape = () if self.average == "micro" else (y_pred_shape[-1],)
        for count in ("true_positives", "false_positives", "false_negatives"):
            setattr(self, count, self.add_weight(shape, dtype=self.dtype, name=count))
        self.intermediate_weights = self.add_weight(
            shape, dtype=self.dtype, name="intermediate_weights"
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true, y_pred = matched(y_true, array(y_pred).astype(self.dtype), str(self.name))
        if not hasattr(self, "true_positives"):
            self._build(y_true.shape, y_pred.shape)
        if self.threshold is None:
            largest = jnp.max(y_pred, axis=-1, keepdims=True)
            positive = (y_pred >= largest) & (jnp.abs(y_pred) > 1e-9)  # all zeros are negative
        else:
            positive = y_pred > self.threshold
        y_pred = positive.astype(self.dtype)
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
        threshold: Any = None,
        name: str | None = "f1_score",
        dtype: Any = None,
    ):
        super().__init__(average, 1.0, threshold, name, dtype)
