"""Losses of probabilities: cross-entropies, divergences, likelihoods and overlaps.

The functions return one value per sample; the classes reduce these values as `Loss` does.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from keraslike.core import context, dtypes
from keraslike.core.arguments import warn_user
from keraslike.core.operation import op
from keraslike.losses.loss import LossFunctionWrapper, class_numbers, matched
from keraslike.ops import nn, numpy
from keraslike.ops.wrap import array, axes_of


def _clip(p: jax.Array) -> jax.Array:
    return numpy.clip(p, dtypes.epsilon(), 1.0 - dtypes.epsilon())


def _check_axis(axis: Any) -> None:
    if isinstance(axis, bool) or not isinstance(axis, int):
        raise ValueError(f"axis must be an integer. Received: axis={axis!r}")


@op
def kl_divergence(y_true: Any, y_pred: Any) -> jax.Array:
    """`sum(y_true * log(y_true / y_pred))` over the last axis (Kullback and Leibler 1951).

    >>> kl_divergence([[0.5, 0.5]], [[0.5, 0.5]]).tolist()
    [0.0]
    """
    y_true, y_pred = matched(y_true, y_pred, "kl_divergence")
    y_true, y_pred = (numpy.clip(y, dtypes.epsilon(), 1.0) for y in (y_true, y_pred))
    return jnp.sum(y_true * jnp.log(y_true / y_pred), axis=-1)


@op
def poisson(y_true: Any, y_pred: Any) -> jax.Array:
    """`mean(y_pred - y_true * log(y_pred))` over the last axis, for counts and predicted rates.

    >>> poisson([[1.0]], [[1.0]]).round(4).tolist()
    [1.0]
    """
    y_true, y_pred = matched(y_true, y_pred, "poisson")
    return jnp.mean(y_pred - y_true * jnp.log(y_pred + dtypes.epsilon()), axis=-1)


@op
def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> jax.Array:
    """`mean(-y_true * log(y_pred) - (1 - y_true) * log(1 - y_pred))` along an axis.

    Args:
        y_true: targets, 0 or 1 (or between).
        y_pred: of the same shape; probabilities, or logits with `from_logits`.
        from_logits: whether `sigmoid(y_pred)` is the probability.
        label_smoothing: the share by which targets are moved towards 0.5.
        axis: the axis of the mean.

    >>> binary_crossentropy([[1.0]], [[0.5]]).round(4).tolist()
    [0.6930999755859375]
    """
    y_true, y_pred = matched(y_true, y_pred, "binary_crossentropy")
    y_true = _smooth_binary(y_true, label_smoothing)
    return jnp.mean(nn.binary_crossentropy(y_true, y_pred, from_logits), axis=axis)


def _smooth_binary(y_true: jax.Array, label_smoothing: float) -> jax.Array:
    return y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing if label_smoothing else y_true


@op
def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> jax.Array:
    """The binary cross-entropy times `(1 - p)**gamma`, where `p` is the target's probability.

    Args:
        y_true, y_pred, from_logits, label_smoothing, axis: see `binary_crossentropy`.
        apply_class_balancing: whether to weigh class 1 by `alpha` and class 0 by `1 - alpha`.
        alpha, gamma: see above (Lin et al., arXiv:1708.02002).

    >>> binary_focal_crossentropy([[1.0]], [[0.5]]).round(4).tolist()
    [0.17329999804496765]
    """
    y_true, y_pred = matched(y_true, y_pred, "binary_focal_crossentropy")
    y_true = _smooth_binary(y_true, label_smoothing)
    if from_logits:
        y_pred = jax.nn.sigmoid(y_pred)
    p = y_true * y_pred + (1 - y_true) * (1 - y_pred)
    values = jnp.power(1.0 - p, gamma) * nn.binary_crossentropy(y_true, y_pred)
    if apply_class_balancing:
        values = (y_true * alpha + (1 - y_true) * (1 - alpha)) * values
    return jnp.mean(values, axis=axis)


def _classes(
    y_true: Any, y_pred: Any, label_smoothing: float, axis: int, what: str
) -> tuple[jax.Array, jax.Array]:
    _check_axis(axis)
    y_pred = array(y_pred)
    y_true = array(y_true).astype(y_pred.dtype)
    if y_true.shape != y_pred.shape:
        raise ValueError(
            f"{what}: targets y_true of shape {y_true.shape} cannot be matched with predictions "
            f"y_pred of shape {y_pred.shape}. They must have the same shape, targets being "
            "one-hot. Use sparse_categorical_crossentropy for class numbers."
        )
    if y_pred.shape[-1] == 1:
        warn_user(
            f"{what}: predictions of shape {y_pred.shape} have only one class. "
            "Use binary_crossentropy for two classes in one number.",
            SyntaxWarning,
        )
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / y_true.shape[-1]
    return y_true, y_pred


@op
def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> jax.Array:
    """`-sum(y_true * log(y_pred))` along the axis of the classes.

    Args:
        y_true: one-hot targets.
        y_pred: of the same shape; probabilities, which are normalized to sum to 1, or logits.
        from_logits: whether `softmax(y_pred)` are the probabilities.
        label_smoothing: the share by which targets are moved towards `1 / classes`.
        axis: the axis of the classes.

    Raises ValueError for another shape of targets.

    >>> categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).round(4).tolist()
    [0.6930999755859375]
    """
    y_true, y_pred = _classes(y_true, y_pred, label_smoothing, axis, "categorical_crossentropy")
    return nn.categorical_crossentropy(y_true, y_pred, from_logits, axis)


@op
def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> jax.Array:
    """`-sum(alpha * (1 - y_pred)**gamma * y_true * log(y_pred))` along the axis of the classes.

    For the arguments see `categorical_crossentropy` (Lin et al., arXiv:1708.02002).

    >>> categorical_focal_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).round(4).tolist()
    [0.043299999088048935]
    """
    name = "categorical_focal_crossentropy"
    y_true, y_pred = _classes(y_true, y_pred, label_smoothing, axis, name)
    if from_logits:
        y_pred = jax.nn.softmax(y_pred, axis)
    p = _clip(y_pred / jnp.sum(y_pred, axis, keepdims=True))
    return jnp.sum(alpha * jnp.power(1.0 - p, gamma) * -y_true * jnp.log(p), axis=axis)


@op
def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> jax.Array:
    """`-log(y_pred[y_true])` along the axis of the classes.

    Args:
        y_true: class numbers, `(batch, ...)`, or with a last axis of size 1.
        y_pred: `(batch, ..., classes)`; probabilities, which are normalized to sum to 1, or logits.
        from_logits: whether `softmax(y_pred)` are the probabilities.
        ignore_class: a class whose samples are ignored.
        axis: the axis of the classes.

    Raises ValueError for another shape of targets.

    >>> sparse_categorical_crossentropy([1], [[0.5, 0.5]]).round(4).tolist()
    [0.6930999755859375]
    """
    _check_axis(axis)
    name = "sparse_categorical_crossentropy"
    instead = "use categorical_crossentropy for one-hot targets"
    y_true, y_pred = class_numbers(y_true, y_pred, name, axis, instead)
    if ignore_class is None:
        return _sparse(y_true, y_pred, from_logits, axis)
    valid = y_true != ignore_class
    losses = _sparse(jnp.where(valid, y_true, 0), y_pred, from_logits, axis)
    losses = jnp.where(valid, losses, 0.0)
    context.set_mask(losses, valid)
    return losses


def _sparse(y_true: jax.Array, y_pred: jax.Array, from_logits: bool, axis: int) -> jax.Array:
    return nn.sparse_categorical_crossentropy(
        y_true, jnp.moveaxis(y_pred, axis, -1), from_logits, -1
    )


@op
def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> jax.Array:
    """`(1 - y_pred[y_true]**q) / q`: the cross-entropy for `q` towards 0, linear for `q` towards 1.

    Args:
        y_true: class numbers, `(batch, ...)`, or with a last axis of size 1.
        y_pred: probabilities, `(batch, ..., classes)`.
        q: between 0 and 1; larger values are more robust to wrong targets (Zhang and Sabuncu,
            arXiv:1805.07836).

    Raises ValueError for another shape of targets.

    >>> categorical_generalized_cross_entropy([1], [[0.75, 0.25]], q=0.5).tolist()
    [1.0]
    """
    y_true, y_pred = class_numbers(y_true, y_pred, "categorical_generalized_cross_entropy")
    chosen = jax.nn.one_hot(y_true.astype("int32"), y_pred.shape[-1], dtype=y_pred.dtype)
    return (1 - jnp.power(jnp.sum(y_pred * chosen, axis=-1), q)) / q


@op
def ctc(y_true: Any, y_pred: Any) -> jax.Array:
    """Minus the log-likelihood of label sequences, over all their alignments with the predictions.

    Args:
        y_true: labels, `(batch, length)`; 0 is the blank and fills up shorter sequences.
        y_pred: logits, `(batch, steps, classes)`.

    Returns `(batch,)` (connectionist temporal classification; Graves et al. 2006). Raises
    ValueError for other shapes.

    >>> ctc([[1]], [[[0.0, 0.0], [0.0, 0.0]]]).round(4).tolist()  # three of four paths give 1
    [0.2876...]
    """
    y_true, y_pred = array(y_true), array(y_pred)
    if y_true.ndim != 2 or y_pred.ndim != 3 or y_true.shape[0] != y_pred.shape[0]:
        raise ValueError(
            "ctc: targets y_true must be of shape (batch, length) and predictions y_pred of shape "
            f"(batch, steps, classes). Received: y_true of shape {y_true.shape}, y_pred of shape "
            f"{y_pred.shape}."
        )
    y_pred = y_pred.astype(jnp.promote_types(y_pred.dtype, "float32"))
    y_true = y_true.astype("int32")
    # The padding comes last: a blank within a sequence is taken for the end of it.
    lengths = jnp.sum(y_true != 0, axis=-1, keepdims=True)
    label_paddings = (jnp.arange(y_true.shape[1]) >= lengths).astype(y_pred.dtype)
    return optax.ctc_loss(y_pred, jnp.zeros_like(y_pred[..., 0]), y_true, label_paddings)


@op
def dice(y_true: Any, y_pred: Any, axis: Any = None) -> jax.Array:
    """`1 - 2 * sum(y_true * y_pred) / (sum(y_true) + sum(y_pred))` over axes, or all values.

    >>> dice([[1.0, 0.0]], [[1.0, 0.0]]).round(4).tolist()
    0.0
    """
    y_true, y_pred = matched(y_true, y_pred, "dice")
    axis = axes_of(axis)
    both = jnp.sum(y_true * y_pred, axis)
    return 1 - 2.0 * both / (jnp.sum(y_true, axis) + jnp.sum(y_pred, axis) + dtypes.epsilon())


@op
def tversky(
    y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None
) -> jax.Array:
    """Like `dice`, with weights `alpha` and `beta` for what only targets or only predictions have.

    Over axes, or all values (Salehi et al., arXiv:1706.05721).

    >>> tversky([[1.0, 0.0]], [[1.0, 0.0]]).round(4).tolist()
    0.0
    """
    y_true, y_pred = matched(y_true, y_pred, "tversky")
    axis = axes_of(axis)
    both = jnp.sum(y_true * y_pred, axis)
    missed = jnp.sum((1 - y_pred) * y_true, axis)
    invented = jnp.sum(y_pred * (1 - y_true), axis)
    return 1 - both / (both + missed * alpha + invented * beta + dtypes.epsilon())


class KLDivergence(LossFunctionWrapper):
    """`sum(y_true * log(y_true / y_pred))`.

    >>> float(KLDivergence()([[0.5, 0.5]], [[0.5, 0.5]]))
    0.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "kl_divergence",
        dtype: Any = None,
    ):
        super().__init__(kl_divergence, reduction, name, dtype)


class Poisson(LossFunctionWrapper):
    """`mean(y_pred - y_true * log(y_pred))`.

    >>> round(float(Poisson()([[1.0]], [[1.0]])), 4)
    1.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "poisson",
        dtype: Any = None,
    ):
        super().__init__(poisson, reduction, name, dtype)


class BinaryCrossentropy(LossFunctionWrapper):
    """The cross-entropy of targets 0 or 1; see `binary_crossentropy`.

    >>> round(float(BinaryCrossentropy()([[1.0]], [[0.5]])), 4)
    0.6931
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
    ):
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(binary_crossentropy, reduction, name, dtype, **options)
        self.from_logits, self.label_smoothing, self.axis = from_logits, label_smoothing, axis


class BinaryFocalCrossentropy(LossFunctionWrapper):
    """A cross-entropy with less weight on easy samples; see `binary_focal_crossentropy`.

    >>> round(float(BinaryFocalCrossentropy()([[1.0]], [[0.5]])), 4)
    0.1733
    """

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype: Any = None,
    ):
        options = {
            "apply_class_balancing": apply_class_balancing,
            "alpha": alpha,
            "gamma": gamma,
            "from_logits": from_logits,
            "label_smoothing": label_smoothing,
            "axis": axis,
        }
        super().__init__(binary_focal_crossentropy, reduction, name, dtype, **options)
        self.apply_class_balancing, self.alpha, self.gamma = apply_class_balancing, alpha, gamma
        self.from_logits, self.label_smoothing, self.axis = from_logits, label_smoothing, axis


class CategoricalCrossentropy(LossFunctionWrapper):
    """The cross-entropy of one-hot targets; see `categorical_crossentropy`.

    >>> round(float(CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
    0.6931
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
    ):
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(categorical_crossentropy, reduction, name, dtype, **options)
        self.from_logits, self.label_smoothing, self.axis = from_logits, label_smoothing, axis


class CategoricalFocalCrossentropy(LossFunctionWrapper):
    """A cross-entropy with less weight on easy samples; see `categorical_focal_crossentropy`.

    >>> round(float(CategoricalFocalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
    0.0433
    """

    def __init__(
        self,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_focal_crossentropy",
        dtype: Any = None,
    ):
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(
            *(categorical_focal_crossentropy, reduction, name, dtype),
            **{"alpha": alpha, "gamma": gamma, **options},
        )
        self.alpha, self.gamma = alpha, gamma
        self.from_logits, self.label_smoothing, self.axis = from_logits, label_smoothing, axis


class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """The cross-entropy of class numbers; see `sparse_categorical_crossentropy`.

    >>> round(float(SparseCategoricalCrossentropy()([1], [[0.5, 0.5]])), 4)
    0.6931
    """

    _left_out = {**LossFunctionWrapper._left_out, "axis": -1}

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ):
        options = {"from_logits": from_logits, "ignore_class": ignore_class, "axis": axis}
        super().__init__(sparse_categorical_crossentropy, reduction, name, dtype, **options)
        self.from_logits, self.ignore_class, self.axis = from_logits, ignore_class, axis


class CategoricalGeneralizedCrossEntropy(LossFunctionWrapper):
    """A cross-entropy robust to wrong targets; see `categorical_generalized_cross_entropy`.

    Raises ValueError for `q` outside of the interval (0, 1).

    >>> float(CategoricalGeneralizedCrossEntropy()([1], [[0.75, 0.25]]))
    1.0
    """

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_generalized_cross_entropy",
        dtype: Any = None,
    ):
        if not 0 < q < 1:
            raise ValueError(f"q must be in the interval (0, 1). Received: q={q}")
        super().__init__(categorical_generalized_cross_entropy, reduction, name, dtype, q=q)
        self.q = q


class CTC(LossFunctionWrapper):
    """The loss of label sequences of unknown alignment; see `ctc`.

    >>> round(float(CTC()([[1]], [[[0.0, 0.0], [0.0, 0.0]]])), 4)
    0.2877
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "ctc",
        dtype: Any = None,
    ):
        super().__init__(ctc, reduction, name, dtype)


class Dice(LossFunctionWrapper):
    """One minus the overlap of two masks; see `dice`.

    >>> round(float(Dice()([[1.0, 0.0]], [[1.0, 0.0]])), 4)
    0.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "dice",
        axis: Any = None,
        dtype: Any = None,
    ):
        super().__init__(dice, reduction, name, dtype, axis=axis)
        self.axis = axis


class Tversky(LossFunctionWrapper):
    """Like `Dice`, with weights for false negatives and false positives; see `tversky`.

    >>> round(float(Tversky()([[1.0, 0.0]], [[1.0, 0.0]])), 4)
    0.0
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "tversky",
        axis: Any = None,
        dtype: Any = None,
    ):
        super().__init__(tversky, reduction, name, dtype, alpha=alpha, beta=beta, axis=axis)
        self.alpha, self.beta, self.axis = alpha, beta, axis
