"""Metrics: values that are accumulated over batches."""

from __future__ import annotations

import inspect
from typing import Any

from keraslike.core import registry, serialization
from keraslike.core.naming import to_snake_case
from keraslike.losses import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from keraslike.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from keraslike.metrics.confusion import (
    FalseNegatives,
    FalsePositives,
    Precision,
    Recall,
    TrueNegatives,
    TruePositives,
)
from keraslike.metrics.curves import (
    AUC,
    PrecisionAtRecall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
)
from keraslike.metrics.f_score import F1Score, FBetaScore
from keraslike.metrics.iou import BinaryIoU, IoU, MeanIoU, OneHotIoU, OneHotMeanIoU
from keraslike.metrics.metric import Metric
from keraslike.metrics.probabilistic import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    Hinge,
    KLDivergence,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from keraslike.metrics.reduction import Mean, MeanMetricWrapper, Sum
from keraslike.metrics.regression import (
    ConcordanceCorrelation,
    CosineSimilarity,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    PearsonCorrelation,
    R2Score,
    RootMeanSquaredError,
    concordance_correlation,
    pearson_correlation,
)

_own = [globals()[name] for name in registry.members(globals(), "metrics")]
_classes = [metric for metric in _own if inspect.isclass(metric)]
_short = {
    "bce": BinaryCrossentropy,
    "mse": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "msle": MeanSquaredLogarithmicError,
}

registry.publish(
    "keras.metrics",
    {o.__name__: o for o in _own},
    aliases={
        **{to_snake_case(c.__name__): c for c in _classes},  # classes have priority over functions
        **_short,
        **{name.upper(): c for name, c in _short.items()},
    },
)


def get(identifier: Any) -> Any:
    """A metric from a name, a config, a class, a function, an instance, or `None` itself.

    Raises ValueError for a name that does not exist, with the nearest ones that do.

    >>> get("mse").name
    'mean_squared_error'
    """
    return serialization.get("metrics", identifier)


def serialize(metric: Any) -> Any:
    """The config dict of a metric, or of a function's name.

    >>> serialize(Mean())["class_name"]
    'Mean'
    """
    return serialization.serialize(metric)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The metric for a config by `serialize`, or for a name.

    >>> deserialize(serialize(Mean("distance"))).name
    'distance'
    """
    with registry.custom_object_scope(custom_objects or {}):
        return get(config)


__all__ = registry.members(globals(), "metrics", "losses")
__dir__ = __all__.copy
