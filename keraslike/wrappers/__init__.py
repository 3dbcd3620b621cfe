"""Models as estimators of scikit-learn, which is imported when one of them is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keraslike.wrappers.estimators import (
        SKLearnClassifier,
        SKLearnRegressor,
        SKLearnTransformer,
    )

__all__ = ["SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from keraslike.wrappers import estimators
    except ImportError as error:
        raise ImportError(
            f"{name} needs scikit-learn 1.6 or later. `pip install scikit-learn` installs it."
        ) from error
    return getattr(estimators, name)


__dir__ = __all__.copy
