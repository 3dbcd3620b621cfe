"""Accuracies: the fraction of correct predictions. The functions return 1 or 0 for each."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core import dtypes
from keraslike.core.operation import op
from keraslike.losses.loss import class_numbers, matched
from keraslike.metrics.reduction import MeanMetricWrapper
from keraslike.ops import nn
from keraslike.ops.cpu_argmax import argmax


def _as_floats(hits: jax.Array) -> jax.Array:
    return hits.astype(dtypes.floatx())


@op
def accuracy(y_true: Any, y_pred: Any) -> jax.Array:
    """1 where the prediction is the target.

    >>> accuracy([1, 2], [1, 0]).tolist()
    [1.0, 0.0]
    """
    y_true, y_pred = matched(y_true, y_pred, "accuracy")
    return _as_floats(y_true == y_pred)


@op
def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> jax.Array:
    """1 where the prediction is above the threshold if and only if the target is 1.

    >>> binary_accuracy([[1.0], [1.0]], [[0.7], [0.2]]).tolist()
    [[1.0], [0.0]]
    """
    y_true, y_pred = matched(y_true, y_pred, "binary_accuracy")
    return _as_floats((y_pred > threshold).astype(y_true.dtype) == y_true)


@op
def categorical_accuracy(y_true: Any, y_pred: Any) -> jax.Array:
    """1 where the class of the largest prediction is that of the one-hot target.

    Args:
        y_true, y_pred: `(batch, ..., classes)`.

    Returns `(batch, ...)`.

    >>> categorical_accuracy([[0.0, 1.0]], [[0.4, 0.6]]).tolist()
    [1.0]
    """
    y_true, y_pred = matched(y_true, y_pred, "categorical_accuracy")
    return _as_floats(argmax(y_true, -1) == argmax(y_pred, -1))


@op
def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> jax.Array:
    """1 where the class of the largest prediction is the target.

    Args:
        y_true: class numbers, `(batch, ...)`, or with a last axis of size 1.
        y_pred: `(batch, ..., classes)`.

    Returns `(batch, ...)`.

    >>> sparse_categorical_accuracy([1, 0], [[0.4, 0.6], [0.4, 0.6]]).tolist()
    [1.0, 0.0]
    """
    y_true, y_pred = class_numbers(y_true, y_pred, "sparse_categorical_accuracy")
    return _as_floats(y_true == argmax(y_pred, -1))


@op
def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> jax.Array:
    """1 where the class of the one-hot target is among the `k` with the largest predictions.

    >>> top_k_categorical_accuracy([[1.0, 0.0, 0.0]], [[0.3, 0.2, 0.5]], k=2).tolist()
    [1.0]
    """
    y_true, y_pred = matched(y_true, y_pred, "top_k_categorical_accuracy")
    return _as_floats(nn.in_top_k(argmax(y_true, -1), y_pred, k))


@op
def sparse_top_k_categorical_accuracy(
    y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False
) -> jax.Array:
    """1 where the target is among the `k` classes with the largest predictions.

    Args:
        y_true, y_pred: see `sparse_categorical_accuracy`.
        k: see above.
        from_sorted_ids: whether `y_pred` holds class numbers instead, the best first.

    >>> sparse_top_k_categorical_accuracy([0], [[0.3, 0.2, 0.5]], k=2).tolist()
    [1.0]
    """
    y_true, y_pred = class_numbers(y_true, y_pred, "sparse_top_k_categorical_accuracy")
    if from_sorted_ids:
        return _as_floats(jnp.any(y_true[..., None].astype(y_pred.dtype) == y_pred[..., :k], -1))
    return _as_floats(nn.in_top_k(y_true.astype("int32"), y_pred, k))


class Accuracy(MeanMetricWrapper):
    """The fraction of predictions that are equal to the target.

    >>> float(Accuracy()([1, 2], [1, 0]))
    0.5
    """

    def __init__(self, name: str | None = "accuracy", dtype: Any = None):
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(MeanMetricWrapper):
    """The fraction of predictions that are on the target's side of the threshold.

    >>> float(BinaryAccuracy()([[1.0], [1.0]], [[0.7], [0.2]]))
    0.5
    """

    def __init__(
        self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5
    ):
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)
        self.threshold = threshold


class CategoricalAccuracy(MeanMetricWrapper):
    """The fraction of predictions whose largest class is that of the one-hot target.

    >>> float(CategoricalAccuracy()([[0.0, 1.0], [1.0, 0.0]], [[0.4, 0.6], [0.4, 0.6]]))
    0.5
    """

    def __init__(self, name: str | None = "categorical_accuracy", dtype: Any = None):
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """The fraction of predictions whose largest class is the target.

    >>> float(SparseCategoricalAccuracy()([1, 0], [[0.4, 0.6], [0.4, 0.6]]))
    0.5
    """

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: Any = None):
        super().__init__(sparse_categorical_accuracy, name, dtype)


class TopKCategoricalAccuracy(MeanMetricWrapper):
    """The fraction of one-hot targets among the `k` classes with the largest predictions.

    >>> float(TopKCategoricalAccuracy(k=2)([[1.0, 0.0, 0.0]], [[0.3, 0.2, 0.5]]))
    1.0
    """

    def __init__(
        self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: Any = None
    ):
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)
        self.k = k


class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """The fraction of targets among the `k` classes with the largest predictions.

    >>> float(SparseTopKCategoricalAccuracy(k=2)([0], [[0.3, 0.2, 0.5]]))
    1.0
    """

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ):
        options = {"k": k, "from_sorted_ids": from_sorted_ids}
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, **options)
        self.k, self.from_sorted_ids = k, from_sorted_ids

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if not self.from_sorted_ids:  # Keras writes it only where it holds
            del config["from_sorted_ids"]
        return config
