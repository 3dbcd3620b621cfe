"""Metrics from confusion counts at many thresholds: areas under curves, and the largest value of
one ratio subject to a lower bound of another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import dtypes
from keraslike.core.arguments import positive
from keraslike.core.errors import InvalidArgument
from keraslike.metrics.confusion import Confusion, check_thresholds
from keraslike.ops import divide_no_nan
from keraslike.ops.wrap import array

# Each ratio is the first count divided by the sum of both.
_RATIOS = {
    "sensitivity": ("true_positives", "false_negatives"),
    "recall": ("true_positives", "false_negatives"),
    "specificity": ("true_negatives", "false_positives"),
    "precision": ("true_positives", "false_positives"),
}


def _ratio(metric: Confusion, name: str) -> jax.Array:
    hits, others = (getattr(metric, count).value for count in _RATIOS[name])
    return divide_no_nan(hits, hits + others)


def _inner_thresholds(n: int) -> list[float]:
    n = positive(num_thresholds=n)
    return [i / (n - 1) for i in range(1, n - 1)]


class _BestAtLeast(Confusion):
    """The largest value of one ratio over the thresholds at which another is large enough."""

    _constrained: ClassVar[str]  # the ratio that the constructor's first argument bounds
    _sought: ClassVar[str]

    def __init__(
        self, value: float, num_thresholds: int, class_id: int | None, name: str | None, dtype: Any
    ):
        if not 0 <= value <= 1:
            raise ValueError(
                f"Argument `{self._constrained}` must be in the range [0, 1]. Received: "
                f"{self._constrained}={value}"
            )
        if num_thresholds <= 0:
            raise ValueError(
                "Argument `num_thresholds` must be an integer > 0. Received: "
                f"num_thresholds={num_thresholds}"
            )
        self.num_thresholds = num_thresholds
        setattr(self, self._constrained, value)
        several = [0.0, *_inner_thresholds(num_thresholds), 1.0] if num_thresholds > 1 else [0.5]
        super().__init__(several, name, dtype, class_id=class_id)

    def result(self) -> jax.Array:
        enough = _ratio(self, self._constrained) >= getattr(self, self._constrained)
        return jnp.max(jnp.where(enough, _ratio(self, self._sought), 0.0))


class SensitivityAtSpecificity(_BestAtLeast):
    """The largest sensitivity `tp / (tp + fn)` with at least a given specificity `tn / (tn + fp)`.

    Args:
        specificity: the lower bound of the specificity, in [0, 1].
        num_thresholds: how many thresholds, evenly spaced over [0, 1], are tried.
        class_id: the only class to evaluate, along the last axis.
        name, dtype: see `Metric`.

    The result is 0 if no threshold reaches the bound.

    >>> float(SensitivityAtSpecificity(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]))
    0.5
    """

    _constrained, _sought = "specificity", "sensitivity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(specificity, num_thresholds, class_id, name, dtype)


class SpecificityAtSensitivity(_BestAtLeast):
    """The largest specificity with at least a given sensitivity; see `SensitivityAtSpecificity`.

    >>> metric = SpecificityAtSensitivity(0.5)
    >>> round(float(metric([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])), 4)
    0.6667
    """

    _constrained, _sought = "sensitivity", "specificity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)


class PrecisionAtRecall(_BestAtLeast):
    """The largest precision with at least a given recall; see `SensitivityAtSpecificity`.

    >>> float(PrecisionAtRecall(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]))
    0.5
    """

    _constrained, _sought = "recall", "precision"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(recall, num_thresholds, class_id, name, dtype)


class RecallAtPrecision(_BestAtLeast):
    """The largest recall with at least a given precision; see `SensitivityAtSpecificity`.

    >>> float(RecallAtPrecision(0.8)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9]))
    0.5
    """

    _constrained, _sought = "precision", "recall"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(precision, num_thresholds, class_id, name, dtype)


def _choice(given: Any, allowed: Sequence[str], **what: str) -> str:
    for name in allowed:
        if str(getattr(given, "value", given)) in (name, name.lower(), name.capitalize()):
            return name
    ((argument, kind),) = what.items()
    raise ValueError(
        f'Invalid AUC {kind} value: "{given}". Expected values of {argument} are {list(allowed)}.'
    )


class AUC(Confusion):
    """The area under a curve of two ratios, approximated by a sum over many thresholds.

    Args:
        num_thresholds: the number of thresholds, evenly spaced over [0, 1].
        curve: `"ROC"` (true over false positive rate), `"PR"` (precision over recall) or
            `"PRGAIN"` (both as gains over the always-positive classifier; Flach and Kull 2015).
        summation_method: `"interpolation"`, `"minoring"` or `"majoring"`: the curve between two
            thresholds is linear (for `"PR"`, the counts are; Davis and Goadrich 2006), or constant
            with the lower or the higher value of its ends.
        name, dtype: see `Metric`.
        thresholds: the thresholds between 0 and 1, instead of `num_thresholds`.
        multi_label: whether to average the areas of one curve for each label, along the last of two
            axes, rather than to evaluate all values together.
        num_labels: the number of labels with `multi_label`, by default that of the first batch.
        label_weights: the weights of labels: of their areas with `multi_label`, otherwise of their
            values.
        from_logits: whether `sigmoid(y_pred)` is the probability.

    >>> float(AUC(num_thresholds=3)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9]))
    0.75
    """

    def __init__(
        self,
        num_thresholds: int | None = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ):
        self.curve = _choice(curve, ("ROC", "PR", "PRGAIN"), curve="curve")
        methods = ("interpolation", "majoring", "minoring")
        self.summation_method = _choice(
            summation_method, methods, summation_method="summation method"
        )
        self._init_from_thresholds = thresholds is not None
        if thresholds is None:
            if num_thresholds is None or num_thresholds <= 1:
                raise ValueError(
                    "Argument `num_thresholds` must be an integer > 1. Received: "
                    f"num_thresholds={num_thresholds}"
                )
            thresholds = _inner_thresholds(num_thresholds)
        check_thresholds(thresholds)
        if num_labels and not multi_label:
            raise ValueError(
                f"num_labels is for multi_label=True only. Received: num_labels={num_labels}"
            )
        least, most = -dtypes.epsilon(), 1 + dtypes.epsilon()
        self.num_thresholds = len(thresholds) + 2
        self.multi_label = self._by_label = multi_label
        self.num_labels, self.from_logits = num_labels, from_logits
        self.label_weights = None
        if label_weights is not None:
            try:
                self.label_weights = np.asarray(label_weights, "float32").reshape(-1).tolist()
            except (TypeError, ValueError) as e:
                raise InvalidArgument(
                    f"label_weights must be a list of numbers. Received: {label_weights=}"
                ) from e
        super().__init__([least, *sorted(thresholds), most], name, dtype)
        if multi_label and num_labels:
            self._add_counts((self.num_thresholds, num_labels))

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_pred = array(y_pred)
        if self.multi_label:
            if y_pred.ndim != 2:
                raise ValueError(
                    f"Metric '{self.name}' has multi_label=True: y_pred must be of shape (samples, "
                    f"labels). Received: shape {y_pred.shape}"
                )
            if not hasattr(self, "true_positives"):
                self._add_counts((self.num_thresholds, y_pred.shape[1]))
        if self.label_weights is not None and y_pred.shape[-1:] != (len(self.label_weights),):
            raise ValueError(
                f"Metric '{self.name}' has {len(self.label_weights)} label_weights: y_pred must "
                f"have as many labels. Received: shape {y_pred.shape}"
            )
        if self.from_logits:
            y_pred = jax.nn.sigmoid(y_pred)
        super().update_state(y_true, y_pred, sample_weight)

    def result(self) -> jax.Array:
        if not hasattr(self, "true_positives"):
            return jnp.zeros((), self.dtype)
        if (self.curve, self.summation_method) == ("PR", "interpolation"):
            areas = self._interpolated_precision()
        else:
            x, y = self._points()
            if self.summation_method == "interpolation":
                heights = (y[:-1] + y[1:]) / 2
            else:
                pick = jnp.minimum if self.summation_method == "minoring" else jnp.maximum
                heights = pick(y[:-1], y[1:])
            areas = (x[:-1] - x[1:]) * heights
        if not self.multi_label:
            return jnp.sum(areas)
        by_label = jnp.sum(areas, axis=0)
        if self.label_weights is None:
            return jnp.mean(by_label)
        weights = jnp.asarray(self.label_weights, by_label.dtype)
        return divide_no_nan(jnp.sum(by_label * weights), jnp.sum(weights))

    def _points(self) -> tuple[jax.Array, jax.Array]:
        recall = _ratio(self, "recall")
        if self.curve == "ROC":
            false, no = self.false_positives.value, self.true_negatives.value
            return divide_no_nan(false, false + no), recall
        if self.curve == "PR":
            return recall, _ratio(self, "precision")
        hits = self.true_positives.value
        odds = divide_no_nan(
            hits + self.false_negatives.value, self.true_negatives + self.false_positives.value
        )
        recall = jnp.where(hits == 0, 0.0, 1 - odds * divide_no_nan(self.false_negatives, hits))
        precision = jnp.where(hits == 0, 1.0, 1 - odds * divide_no_nan(self.false_positives, hits))
        return jnp.maximum(recall, 0.0), precision

    def _interpolated_precision(self) -> jax.Array:
        """The areas between thresholds if the counts `tp` and `fp` are linear between them.

        With `p = tp + fp` that is `tp = slope * p + intercept`, and the precision `tp / p` is
        integrated over `tp`, which is `slope * (change of tp + intercept * log(ratio of p))`.
        """
        hits = self.true_positives.value
        said = hits + self.false_positives.value
        change = hits[:-1] - hits[1:]
        slope = divide_no_nan(change, jnp.maximum(said[:-1] - said[1:], 0))
        intercept = hits[1:] - slope * said[1:]
        both = (said[:-1] > 0) & (said[1:] > 0)
        ratio = jnp.where(both, divide_no_nan(said[:-1], jnp.maximum(said[1:], 0)), 1.0)
        return divide_no_nan(
            slope * (change + intercept * jnp.log(ratio)), hits[1:] + self.false_negatives[1:]
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        inner = config.pop("thresholds")[1:-1]
        if self._init_from_thresholds:
            config["thresholds"] = inner
        if self.label_weights is not None:
            config["label_weights"] = jnp.asarray(self.label_weights, self.dtype)  # as in Keras
        return config
