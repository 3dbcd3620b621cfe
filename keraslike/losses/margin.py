"""Hinge losses: 0 once the right answer leads by a margin. Targets are -1 or 1, or 0 or 1."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core.symbolic import op
from keraslike.losses.loss import LossFunctionWrapper, matched
from keraslike.ops import numpy


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
    """`max(neg - pos + 1, 0)`: `pos` is the right class's prediction, `neg` the largest other one.

    Targets are one-hot along the last axis.

    >>> categorical_hinge([[0.0, 1.0]], [[0.25, 0.75]]).tolist()
    [0.5]
    """
    y_true, y_pred = matched(y_true, y_pred, "categorical_hinge")
    positive = jnp.sum(y_true * y_pred, axis=-1)
    negative = jnp.max((1 - y_true) * y_pred, axis=-1)
    return numpy.maximum(negative - positive + 1, 0)


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
