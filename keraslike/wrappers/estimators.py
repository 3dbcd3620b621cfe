"""Models as scikit-learn's estimators: parameters, cloning, checks of data and targets."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
from sklearn.utils.metadata_routing import MetadataRequest
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from keraslike.models import Model, clone_model


class _Estimator(BaseEstimator):
    """A model with scikit-learn's `fit` and `predict`."""

    model_: Model

    def __init__(
        self,
        model: Any,
        warm_start: bool = False,
        model_kwargs: dict[str, Any] | None = None,
        fit_kwargs: dict[str, Any] | None = None,
    ):
        self.model = model
        self.warm_start = warm_start
        self.model_kwargs = model_kwargs
        self.fit_kwargs = fit_kwargs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        return tags

    def __sklearn_clone__(self) -> Any:
        model = copy.deepcopy(self.model) if isinstance(self.model, Model) else self.model
        kwargs = (copy.copy(k) for k in (self.model_kwargs, self.fit_kwargs))
        clone = type(self)(model, self.warm_start, *kwargs)
        if hasattr(self, "_metadata_request"):
            clone._metadata_request = copy.deepcopy(self._metadata_request)
        return clone

    def set_fit_request(self, **kwargs: Any) -> Any:
        """Says which further arguments of `fit` scikit-learn's metadata routing passes on.

        Args:
            kwargs: `name=alias`, an alias being `True`, `False`, `None` or a string. Returns the
                estimator itself. Raises RuntimeError unless metadata routing is enabled.
        """
        if not sklearn.get_config()["enable_metadata_routing"]:
            raise RuntimeError(
                "set_fit_request needs metadata routing. Enable it with "
                "sklearn.set_config(enable_metadata_routing=True)."
            )
        self._metadata_request = MetadataRequest(owner=type(self).__name__)
        for name, alias in kwargs.items():
            self._metadata_request.fit.add_request(param=name, alias=alias)
        return self

    @property
    def epoch_(self) -> int:
        """How many epochs the last `fit` trained for; 0 before it."""
        return len(self.history_.epoch) if hasattr(self, "history_") else 0

    def _get_model(self, X: Any, y: Any) -> Model:
        if self.warm_start and hasattr(self, "model_"):
            return self.model_
        if not isinstance(self.model, Model):
            return self.model(X=X, y=y, **(self.model_kwargs or {}))
        return self.model if self.warm_start else clone_model(self.model)

    def fit(self, X: Any, y: Any, **kwargs: Any) -> Any:
        """Trains the model.

        Args:
            X: `(samples, features)`.
            y: targets, `(samples,)` or `(samples, outputs)`.
            kwargs: arguments of the model's `fit`.

        Returns the estimator itself.
        """
        shape = np.asarray(y).shape
        X, y = validate_data(self, X, y, multi_output=len(shape) == 2 and shape[1] > 1)
        y = self._encoded(y)
        model = self._get_model(X, y)
        if not model.compiled or not model.loss or not model.optimizer:
            raise RuntimeError(
                "The model must be compiled, with a loss and an optimizer. Received: model="
                f"{model.name!r}, which is not."
            )
        self.history_ = model.fit(X, y, **{**(self.fit_kwargs or {}), **kwargs})
        self.model_ = model
        return self

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return self.model_.predict(validate_data(self, X, reset=False))

    def predict(self, X: Any) -> np.ndarray:
        """Targets predicted for samples, `(samples, features)`."""
        return self._decoded(self._outputs(X))

    def _encoded(self, y: np.ndarray) -> np.ndarray:
        """Targets as the model is trained on; what is needed to undo it is kept."""
        if type_of_target(y) == "unknown":
            raise ValueError(f"y must be targets of a known type. Unknown label type: {y!r}")
        self._target_ndim = y.ndim
        return y.reshape(-1, 1) if y.ndim == 1 else y

    def _decoded(self, outputs: np.ndarray) -> np.ndarray:
        column = self._target_ndim == 1 and outputs.ndim == 2
        return np.squeeze(outputs, axis=1) if column else outputs


class SKLearnClassifier(ClassifierMixin, _Estimator):
    """A model as scikit-learn's classifier; it is trained on one-hot targets.

    Args:
        model: a compiled model, which is copied before it is trained; or a function of keyword
            arguments `X` and `y` (and those of `model_kwargs`) that returns one.
        warm_start: whether `fit` continues with the model as it is: the one given, or the one that
            was fitted before.
        model_kwargs: more arguments of the function `model`.
        fit_kwargs: arguments of the model's `fit`; those given to this `fit` go before them.

    After `fit`, `model_` is the trained model and `history_` what its `fit` returned. Raises
    RuntimeError for a model that is not compiled with a loss and an optimizer.

    >>> from keraslike import Sequential, layers
    >>> def make(X, y):
    ...     model = Sequential([layers.Dense(y.shape[1], activation="softmax")])
    ...     model.compile(loss="categorical_crossentropy", optimizer="sgd")
    ...     return model
    >>> estimator = SKLearnClassifier(make, fit_kwargs={"verbose": 0})
    >>> estimator.fit([[0.0], [1.0], [2.0]], ["a", "b", "c"]).classes_.tolist()
    ['a', 'b', 'c']
    """

    def decision_function(self, X: Any) -> np.ndarray:
        """The model's outputs for samples: a column for each class."""
        return self._outputs(X)

    def _encoded(self, y: np.ndarray) -> np.ndarray:
        kind = type_of_target(y)
        if kind not in ("binary", "multiclass"):
            raise ValueError(f"y must be binary or multiclass targets. Unknown label type: {kind}.")
        self.classes_ = np.unique(y)
        if len(self.classes_) == 1:
            raise ValueError(
                "Classifier can't train when only one class is present. Received: y holds "
                f"{self.classes_.tolist()} only."
            )
        return (y.reshape(-1, 1) == self.classes_).astype("float32")

    def _decoded(self, outputs: np.ndarray) -> np.ndarray:
        if outputs.shape[1:] != self.classes_.shape:
            raise ValueError(
                f"The model must have an output for each of the {len(self.classes_)} classes. "
                f"Received: outputs of shape {outputs.shape}"
            )
        return self.classes_[np.argmax(outputs, axis=1)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags


class SKLearnRegressor(RegressorMixin, _Estimator):
    """A model as scikit-learn's regressor; arguments as for `SKLearnClassifier`.

    >>> from keraslike import Sequential, layers
    >>> model = Sequential([layers.Input((1,)), layers.Dense(1)])
    >>> model.compile(loss="mse", optimizer="sgd")
    >>> estimator = SKLearnRegressor(model, fit_kwargs={"verbose": 0})
    >>> estimator.fit([[0.0], [1.0]], [0.0, 2.0]).epoch_
    1
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags


class SKLearnTransformer(TransformerMixin, _Estimator):
    """A model as scikit-learn's transformer: what it gives for samples is their new form.

    Arguments as for `SKLearnClassifier`.

    >>> from keraslike import Sequential, layers
    >>> model = Sequential([layers.Input((1,)), layers.Dense(3)])
    >>> model.compile(loss="mse", optimizer="sgd")
    >>> estimator = SKLearnTransformer(model, fit_kwargs={"verbose": 0})
    >>> outputs = estimator.fit([[0.0], [1.0]], [0.0, 2.0]).transform([[1.0]])
    1/1...
    >>> outputs.shape
    (1, 3)
    """

    def transform(self, X: Any) -> np.ndarray:
        """The model's outputs for samples, `(samples, features)`."""
        return self._outputs(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags
