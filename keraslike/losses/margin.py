"""Losses that are 0, or nearly 0, once the correct class leads by a margin.

Targets of the hinge losses are -1 or 1, or 0 or 1; those of the circle loss are class numbers.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core import context
from keraslike.core.operation import op
from keraslike.losses.loss import LossFunctionWrapper, matched
from keraslike.ops import numpy
from keraslike.ops.wrap import array


def _signs(y_true: jax.Array) -> jax.Array:
    binary = jnp.all((y_true == 0) | (y_true == 1))
    return jnp.where(binary, 2 * y_true - 1, y_true)


@op
def hinge(y_true: Any, y_pred: Any) -> jax.Array:
    """`mean(max(1 - y_true * y_pred, 0))` over the last axis.

    >>> hinge([[-1.0, 1.0]], [[-2.0, 0.0]]).tolist()
    [0.5]
    """
    y_true, y_pred = matched(y_true, y_pred, "hinge")
    return jnp.mean(numpy.maximum(1 - _signs(y_true) * y_pred, 0), axis=-1)


@op
def squared_hinge(y_true: Any, y_pred: Any) -> jax.Array:
    """`mean(max(1 - y_true * y_pred, 0)**2)` over the last axis.

    >>> squared_hinge([[-1.0, 1.0]], [[-2.0, -1.0]]).tolist()
    [2.0]
    """
    y_true, y_pred = matched(y_true, y_pred, "squared_hinge")
    return jnp.mean(jnp.square(numpy.maximum(1 - _signs(y_true) * y_pred, 0)), axis=-1)


@op
def categorical_hinge(y_true: Any, y_pred: Any) -> jax.Array:
    """`max(neg - pos + 1, 0)`: `pos` is the correct class's prediction, `neg` the largest other.

    Targets are one-hot along the last axis.

    >>> categorical_hinge([[0.0, 1.0]], [[0.25, 0.75]]).tolist()
    [0.5]
    """
    y_true, y_pred = matched(y_true, y_pred, "categorical_hinge")
    positive = jnp.sum(y_true * y_pred, axis=-1)
    negative = jnp.max((1 - y_true) * y_pred, axis=-1)
    return numpy.maximum(negative - positive + 1, 0)


@op
def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> jax.Array:
    """The circle loss, which pulls embeddings of one class together, and pushes others apart.

    Args:
        y_true: class numbers, `(batch,)` or `(batch, 1)`.
        y_pred: embeddings of length 1, `(batch, features)`.
        ref_labels, ref_embeddings: the references to compare with, by default the batch itself.
        remove_diagonal: whether to exclude the comparison of the `i`-th embedding with the `i`-th
            reference of its class.
        gamma: the scale.
        margin: the relaxation of similarities from 0 and 1 (Sun et al., arXiv:2002.10857).

    Returns `(batch,)`. Means ignore values of 0. Raises ValueError for other shapes.

    >>> circle([0, 0, 1], [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]).round(4).tolist()
    [0.0, 0.0, 0.0]
    """
    y_pred = array(y_pred)
    labels = array(y_true).astype("int32").ravel()
    if y_pred.ndim != 2 or labels.shape != y_pred.shape[:1]:
        raise ValueError(
            "circle: y_pred must be embeddings of shape (batch, features) and y_true their class "
            f"numbers. Received: y_true of shape {jnp.shape(y_true)}, y_pred of shape "
            f"{y_pred.shape}."
        )
    references = y_pred if ref_embeddings is None else array(ref_embeddings)
    ref_labels = labels if ref_labels is None else array(ref_labels).astype("int32").ravel()
    same = labels[:, None] == ref_labels
    other = ~same
    if remove_diagonal:
        same &= ~jnp.eye(*same.shape, dtype=bool)
    distances = numpy.maximum(1 - y_pred @ references.T, 0.0)
    pull = gamma * numpy.maximum(distances + margin, 0.0) * (distances - margin)
    push = gamma * numpy.maximum(1 + margin - distances, 0.0) * (1 - margin - distances)
    pull, push = (
        jax.nn.logsumexp(jnp.where(mask, values, -jnp.inf), axis=1)
        for mask, values in ((same, pull), (other, push))
    )
    losses = jax.nn.softplus(pull + push)
    context.set_mask(losses, losses > 0)
    return losses


class Hinge(LossFunctionWrapper):
    """`mean(max(1 - y_true * y_pred, 0))`.

    >>> float(Hinge()([[-1.0, 1.0]], [[-2.0, 0.0]]))
    0.5
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "hinge",
        dtype: Any = None,
    ):
        super().__init__(hinge, reduction, name, dtype)


class SquaredHinge(LossFunctionWrapper):
    """`mean(max(1 - y_true * y_pred, 0)**2)`.

    >>> float(SquaredHinge()([[-1.0, 1.0]], [[-2.0, -1.0]]))
    2.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "squared_hinge",
        dtype: Any = None,
    ):
        super().__init__(squared_hinge, reduction, name, dtype)


class CategoricalHinge(LossFunctionWrapper):
    """`max(neg - pos + 1, 0)`; see `categorical_hinge`.

    >>> float(CategoricalHinge()([[0.0, 1.0]], [[0.25, 0.75]]))
    0.5
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_hinge",
        dtype: Any = None,
    ):
        super().__init__(categorical_hinge, reduction, name, dtype)


class Circle(LossFunctionWrapper):
    """The circle loss of embeddings and class numbers; see `circle`.

    >>> round(float(Circle()([0, 0, 1], [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])), 4)
    0.0
    """

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "circle",
        dtype: Any = None,
    ):
        options = {"gamma": gamma, "margin": margin, "remove_diagonal": remove_diagonal}
        super().__init__(circle, reduction, name, dtype, **options)
        self.gamma, self.margin, self.remove_diagonal = gamma, margin, remove_diagonal
