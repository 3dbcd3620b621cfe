"""Intersection over union of classes, for image segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core import dtypes
from keraslike.core.arguments import positive, warn_user
from keraslike.metrics.metric import Metric
from keraslike.ops.cpu_argmax import argmax
from keraslike.ops.wrap import array


class IoU(Metric):
    """The mean of `tp / (tp + fp + fn)` over those target classes that occur.

    Args:
        num_classes: the number of classes.
        target_class_ids: the classes to average over.
        name: see `Metric`.
        dtype: the dtype of the counts; with the default int32, weights are truncated to integers.
        ignore_class: a class whose targets are ignored.
        sparse_y_true, sparse_y_pred: whether targets and predictions are class numbers, rather
            than scores whose argmax along `axis` is the class.
        axis: the axis of the classes.

    Class numbers outside of `[0, num_classes)` are ignored.

    >>> round(float(IoU(num_classes=2, target_class_ids=[0])([0, 0, 1, 1], [0, 1, 0, 1])), 4)
    0.3333
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        super().__init__(dtype or "int32", name)
        num_classes, ids = positive(num_classes=num_classes), list(target_class_ids)
        if not all(0 <= i < num_classes for i in ids):
            raise ValueError(
                f"target_class_ids must be in the range [0, {num_classes}), num_classes being "
                f"{num_classes}. Received: target class id {max(ids)} is out of range"
            )
        self.num_classes, self.target_class_ids, self.ignore_class = num_classes, ids, ignore_class
        self.sparse_y_true, self.sparse_y_pred, self.axis = sparse_y_true, sparse_y_pred, axis
        self.total_cm = self.add_weight(
            (num_classes, num_classes), dtype=self.dtype, name="total_confusion_matrix"
        )

    def _class_numbers(self, name: str, y: jax.Array, sparse: bool) -> jax.Array:
        if not sparse and y.ndim < 2:
            raise ValueError(
                f"Metric '{self.name}': {name} must be the scores of each class, of shape "
                f"(samples, ..., classes). Received: {name} of shape {y.shape}"
            )
        return (y if sparse else argmax(y, self.axis)).astype("int32")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch to the confusion matrix.

        Args:
            y_true, y_pred: class numbers, or scores of the classes along `axis`.
            sample_weight: a weight for each class number, or for each sample.
        """
        y_true = self._class_numbers("y_true", array(y_true), self.sparse_y_true)
        y_pred = self._class_numbers("y_pred", array(y_pred), self.sparse_y_pred)
        if y_true.size != y_pred.size:
            raise ValueError(
                f"Metric '{self.name}': class numbers y_true of shape {y_true.shape} cannot be "
                f"matched with class numbers y_pred of shape {y_pred.shape}."
            )
        weight = array(1 if sample_weight is None else sample_weight)
        if weight.dtype.kind not in "biu" and jnp.dtype(self.dtype).kind in "biu":
            warn_user(
                f"sample_weight is in {weight.dtype}, but metric '{self.name}' counts in "
                f"{self.dtype}, to which weights are truncated. Use dtype='float32' to keep them."
            )
        if 1 <= weight.ndim < y_true.ndim:
            weight = weight.reshape(weight.shape + (1,) * (y_true.ndim - weight.ndim))
        if weight.size != y_true.size:
            weight = jnp.broadcast_to(weight, y_true.shape)
        y_true, y_pred, weight = y_true.ravel(), y_pred.ravel(), weight.ravel().astype(self.dtype)
        n = self.num_classes
        counts = (y_true >= 0) & (y_true < n) & (y_pred >= 0) & (y_pred < n)
        if self.ignore_class is not None:
            counts &= y_true != self.ignore_class
        place = jnp.where(counts, y_true * n + y_pred, n * n)  # the last segment is dropped
        matrix = jax.ops.segment_sum(weight, place, n * n + 1)[:-1].reshape(n, n)
        self.total_cm.assign_add(matrix)

    def result(self) -> jax.Array:
        matrix = self.total_cm.value
        hits = jnp.diag(matrix)
        union = jnp.sum(matrix, axis=0) + jnp.sum(matrix, axis=1) - hits
        ids = jnp.asarray(self.target_class_ids, "int32")
        hits, union = (a[ids].astype("float32") for a in (hits, union))
        occurs = union > 1e-9
        shares = jnp.where(occurs, hits / (union + dtypes.epsilon()), 0.0)
        return jnp.sum(shares) / (jnp.sum(occurs) + dtypes.epsilon())


class BinaryIoU(IoU):
    """`IoU` of the classes 0 and 1, where predictions of at least `threshold` are 1.

    >>> round(float(BinaryIoU(threshold=0.3)([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7])), 4)
    0.3333
    """

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = threshold

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_pred = array(y_pred).astype("float32") >= self.threshold
        super().update_state(y_true, y_pred, sample_weight)


class MeanIoU(IoU):
    """`IoU` of all classes.

    >>> round(float(MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1])), 4)
    0.3333
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ):
        super().__init__(
            *(num_classes, range(positive(num_classes=num_classes)), name, dtype, ignore_class),
            *(sparse_y_true, sparse_y_pred, axis),
        )


class OneHotIoU(IoU):
    """`IoU` of one-hot targets, and of predictions with a score for each class.

    >>> metric = OneHotIoU(num_classes=2, target_class_ids=[1])
    >>> round(float(metric([[0, 1], [1, 0]], [[0.2, 0.8], [0.4, 0.6]])), 4)
    0.5
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ):
        super().__init__(
            *(num_classes, target_class_ids, name, dtype, ignore_class),
            *(False, sparse_y_pred, axis),
        )


class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` of one-hot targets, and of predictions with a score for each class.

    >>> metric = OneHotMeanIoU(num_classes=2)
    >>> round(float(metric([[0, 1], [1, 0]], [[0.2, 0.8], [0.4, 0.6]])), 4)
    0.25
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: Any = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ):
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)
