"""Losses: functions that return one value per sample, and classes that reduce these values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keraslike.core import registry, serialization
from keraslike.losses.loss import Loss, LossFunctionWrapper
from keraslike.losses.margin import (
    CategoricalHinge,
    Circle,
    Hinge,
    SquaredHinge,
    categorical_hinge,
    circle,
    hinge,
    squared_hinge,
)
from keraslike.losses.probabilistic import (
    CTC,
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    Dice,
    KLDivergence,
    Poisson,
    SparseCategoricalCrossentropy,
    Tversky,
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
    ctc,
    dice,
    kl_divergence,
    poisson,
    sparse_categorical_crossentropy,
    tversky,
)
from keraslike.losses.regression import (
    CosineSimilarity,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    cosine_similarity,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
)

_short = {
    "bce": binary_crossentropy,
    "kld": kl_divergence,
    "mae": mean_absolute_error,
    "mape": mean_absolute_percentage_error,
    "mse": mean_squared_error,
    "msle": mean_squared_logarithmic_error,
}

registry.publish(
    "keras.losses",
    {name: globals()[name] for name in registry.members(globals(), "losses")},
    aliases={**_short, **{name.upper(): f for name, f in _short.items()}},
)


def get(identifier: Any) -> Callable | None:
    """A loss from a name, a config, a class, a function, an instance, or `None` itself.

    Raises ValueError for a name that does not exist, with the nearest ones that do.

    >>> get("mse") is mean_squared_error
    True
    """
    return serialization.get("losses", identifier)


def serialize(loss: Any) -> Any:
    """The config dict of a loss, or of a function's name.

    >>> serialize(Huber(2.0))["config"]["delta"]
    2.0
    """
    return serialization.serialize(loss)


def deserialize(name: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The loss for a config by `serialize`, or for a name.

    >>> deserialize(serialize(Huber(2.0))).delta
    2.0
    """
    with registry.custom_object_scope(custom_objects or {}):
        return get(name)


__all__ = registry.members(globals(), "losses")
__dir__ = __all__.copy
