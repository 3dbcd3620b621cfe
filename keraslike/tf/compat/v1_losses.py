"""`tf.compat.v1.losses`: losses per element, with weights and the reductions of TensorFlow 1."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

from keraslike.tf.conversion import convert_to_tensor


def library() -> Any:
    """The module `keraslike.tf`, which imports this one and is complete only at run time."""
    return sys.modules["keraslike.tf"]


class Reduction:
    """The ways to reduce losses of elements to one number."""

    NONE, SUM, MEAN = "none", "weighted_sum", "weighted_mean"
    SUM_OVER_BATCH_SIZE = "weighted_sum_over_batch_size"
    SUM_OVER_NONZERO_WEIGHTS = SUM_BY_NONZERO_WEIGHTS = "weighted_sum_by_nonzero_weights"

    @classmethod
    def all(cls) -> tuple[str, ...]:
        """All reductions."""
        return (
            *(cls.NONE, cls.SUM, cls.MEAN, cls.SUM_OVER_BATCH_SIZE),
            *(cls.SUM_OVER_NONZERO_WEIGHTS, cls.SUM_BY_NONZERO_WEIGHTS),
        )

    @classmethod
    def validate(cls, key: str) -> None:
        """Raises ValueError for an unknown reduction."""
        if key not in cls.all():
            raise ValueError(f"Invalid Reduction Key {key}.")


_BY_NONZERO = Reduction.SUM_BY_NONZERO_WEIGHTS


def compute_weighted_loss(
    losses: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: Any = None,
    reduction: str = _BY_NONZERO,
) -> Any:
    """The weighted losses, reduced to one number.

    Args:
        losses: one loss per element.
        weights: a number, or a tensor whose axes have the sizes of the losses or 1.
        reduction: one of `Reduction`.

    >>> compute_weighted_loss([2.0, 4.0], [1.0, 0.0]).numpy()
    np.float32(2.0)
    """
    tf = library()
    Reduction.validate(reduction)
    losses = convert_to_tensor(losses)
    weights = tf.cast(convert_to_tensor(weights), losses.dtype)
    if weights.shape.rank not in (0, losses.shape.rank):
        raise ValueError(
            f"weights must be a number or have the rank of the losses, {losses.shape.rank}. "
            f"Received weights of shape {weights.shape}."
        )
    weighted = losses * weights
    if reduction == Reduction.NONE:
        return weighted
    total = tf.reduce_sum(weighted)
    everywhere = tf.broadcast_to(weights, tf.shape(losses))
    if reduction == Reduction.SUM:
        return total
    if reduction == Reduction.MEAN:
        count = tf.reduce_sum(everywhere)
    elif reduction == Reduction.SUM_OVER_BATCH_SIZE:
        count = tf.cast(tf.size(losses), losses.dtype)
    else:
        count = tf.math.count_nonzero(everywhere, dtype=losses.dtype)
    return tf.math.divide_no_nan(total, count)


def _reduced(losses: Callable, squeezed: bool = False) -> Callable:
    """A function that weights and reduces the losses of elements that another one returns.
    `squeezed` says whether weights may have one more axis than the losses, of size 1."""
    own = inspect.signature(losses)
    common = inspect.signature(compute_weighted_loss).parameters
    tail = [common[name] for name in ("scope", "loss_collection", "reduction")]
    signature = own.replace(parameters=[*own.parameters.values(), *tail])

    @functools.wraps(losses)
    def call(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        values = losses(**{name: given[name] for name in own.parameters})
        weights = convert_to_tensor(given["weights"])
        if squeezed and weights.shape.rank == values.shape.rank + 1 and weights.shape[-1] == 1:
            weights = library().squeeze(weights, -1)
        return compute_weighted_loss(values, weights, reduction=given["reduction"])

    call.__signature__ = signature  # type: ignore[attr-defined]
    return call


def _pair(labels: Any, predictions: Any, dtype: Any = "float32") -> tuple[Any, Any]:
    """Both as tensors of this dtype, by default float32 as in TensorFlow 1."""
    tf = library()
    labels, predictions = (tf.cast(convert_to_tensor(x), dtype) for x in (labels, predictions))
    if labels.shape != predictions.shape:
        raise ValueError(
            f"labels and predictions must have the same shape. Received: {labels.shape}, "
            f"{predictions.shape}"
        )
    return labels, predictions


@_reduced
def absolute_difference(labels: Any, predictions: Any, weights: Any = 1.0) -> Any:
    """`|predictions - labels|`."""
    labels, predictions = _pair(labels, predictions)
    return library().abs(predictions - labels)


@_reduced
def mean_squared_error(labels: Any, predictions: Any, weights: Any = 1.0) -> Any:
    """`(predictions - labels)**2`."""
    labels, predictions = _pair(labels, predictions)
    return (predictions - labels) ** 2


@_reduced
def huber_loss(labels: Any, predictions: Any, weights: Any = 1.0, delta: float = 1.0) -> Any:
    """Half the squared error, linear for errors above `delta`."""
    tf = library()
    labels, predictions = _pair(labels, predictions)
    error = tf.abs(predictions - labels)
    near = tf.minimum(error, delta)
    return 0.5 * near**2 + delta * (error - near)


@_reduced
def log_loss(labels: Any, predictions: Any, weights: Any = 1.0, epsilon: float = 1e-7) -> Any:
    """The cross-entropy of the probabilities of two classes."""
    log = library().math.log
    labels, predictions = _pair(labels, predictions)
    return -labels * log(predictions + epsilon) - (1 - labels) * log(1 - predictions + epsilon)


@_reduced
def hinge_loss(labels: Any, logits: Any, weights: Any = 1.0) -> Any:
    """`max(0, 1 - y * logits)` with y of -1 and 1 for labels of 0 and 1."""
    labels, logits = _pair(labels, logits)
    return library().nn.relu(1 - (2 * labels - 1) * logits)


@_reduced
def cosine_distance(
    labels: Any, predictions: Any, axis: int | None = None, weights: Any = 1.0
) -> Any:
    """One minus the scalar product along an axis, for tensors of length one along it."""
    if axis is None:
        raise ValueError("You must specify argument `axis`.")
    labels, predictions = _pair(labels, predictions)
    return 1 - library().reduce_sum(labels * predictions, axis=axis, keepdims=True)


@_reduced
def sigmoid_cross_entropy(
    multi_class_labels: Any, logits: Any, weights: Any = 1.0, label_smoothing: float = 0
) -> Any:
    """The cross-entropy of logits of two classes each."""
    logits = convert_to_tensor(logits)
    labels, logits = _pair(multi_class_labels, logits, logits.dtype)
    labels = labels * (1 - label_smoothing) + 0.5 * label_smoothing
    return library().nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)


@_reduced
def softmax_cross_entropy(
    onehot_labels: Any, logits: Any, weights: Any = 1.0, label_smoothing: float = 0
) -> Any:
    """The cross-entropy of logits along the last axis."""
    tf = library()
    logits = convert_to_tensor(logits)
    labels, logits = _pair(onehot_labels, logits, logits.dtype)
    labels = labels * (1 - label_smoothing) + label_smoothing / int(labels.shape[-1])
    return tf.nn.softmax_cross_entropy_with_logits(tf.stop_gradient(labels), logits)


@functools.partial(_reduced, squeezed=True)
def sparse_softmax_cross_entropy(labels: Any, logits: Any, weights: Any = 1.0) -> Any:
    """The cross-entropy of logits along the last axis, for class numbers. Labels and weights may
    have a last axis of size 1."""
    tf, labels = library(), convert_to_tensor(labels)
    if labels.shape.rank == convert_to_tensor(logits).shape.rank and labels.shape[-1] == 1:
        labels = tf.squeeze(labels, -1)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


__all__ = [
    *("Reduction", "absolute_difference", "compute_weighted_loss", "cosine_distance"),
    *("hinge_loss", "huber_loss", "log_loss", "mean_squared_error", "sigmoid_cross_entropy"),
    *("softmax_cross_entropy", "sparse_softmax_cross_entropy"),
]


def __getattr__(name: str) -> Any:
    raise AttributeError(
        f"keraslike has no tf.compat.v1.losses.{name}: collections of losses are of the graphs of "
        "TensorFlow 1."
    )


__dir__ = __all__.copy
