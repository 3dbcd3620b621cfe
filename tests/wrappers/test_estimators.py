"""Models as scikit-learn's estimators: its own checks pass as far as they do for Keras."""

import sys

import numpy as np
import pytest
import sklearn
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from keraslike import layers, models, optimizers, utils, wrappers

pytestmark = pytest.mark.slow
rng = np.random.default_rng(0)
X = rng.normal(size=(60, 3))


def make(X, y, loss="mse", activation=None, rate=0.05):
    model = models.Sequential([layers.Dense(y.shape[1], activation=activation)])
    model.compile(loss=loss, optimizer=optimizers.SGD(rate))
    return model


def make_again(X, y, **kwargs):
    """As `make`, with the same weights and the same order of samples each time."""
    utils.set_random_seed(7)
    return make(X, y, **kwargs)


CLASSIFIED = {"loss": "categorical_crossentropy", "activation": "softmax", "rate": 0.5}
QUIET = {"verbose": 0}
# Those that do not pass for Keras either (its wrappers/sklearn_test.py says why).
NOT_PASSED = {
    "check_classifiers_one_label_sample_weights": "weights of 0 are not the same as no sample",
    "check_classifiers_classes": "few samples do not always teach all classes",
    "check_classifiers_train": "decision_function gives a column for each of two classes, too",
}


def test_the_checks_of_scikit_learn_pass():
    # Those of the other two estimators run with Keras's own tests (`make conformance`).
    estimator = wrappers.SKLearnClassifier(make_again, model_kwargs=CLASSIFIED, fit_kwargs=QUIET)
    options = {"on_fail": None, "on_skip": None, "expected_failed_checks": NOT_PASSED}
    found = check_estimator(estimator, **options)
    failed = {f["check_name"]: f["exception"] for f in found if f["status"] == "failed"}
    assert not failed
    assert sum(f["status"] == "passed" for f in found) > 30


def test_a_classifier():
    y = np.where(X[:, 0] > 0, "yes", "no")
    classifier = wrappers.SKLearnClassifier(make, model_kwargs=CLASSIFIED)
    assert classifier.epoch_ == 0
    assert classifier.fit(X, y, epochs=20, verbose=0) is classifier
    assert classifier.classes_.tolist() == ["no", "yes"]
    assert classifier.epoch_ == 20 == len(classifier.history_.history["loss"])
    assert classifier.score(X, y) > 0.9
    chosen = classifier.decision_function(X).argmax(axis=-1)
    np.testing.assert_array_equal(classifier.predict(X), classifier.classes_[chosen])


def test_a_regressor_in_a_pipeline_and_in_a_search():
    y = X @ [1.0, -2.0, 0.5]
    regressor = wrappers.SKLearnRegressor(make, fit_kwargs={"epochs": 30, **QUIET})
    search = GridSearchCV(regressor, {"model_kwargs": [{"rate": 1e-4}, {"rate": 0.1}]}, cv=2)
    pipeline = make_pipeline(StandardScaler(), search).fit(X, y)
    assert search.best_params_ == {"model_kwargs": {"rate": 0.1}}
    assert pipeline.score(X, y) > 0.9
    both = regressor.fit(X, np.stack([y, -y], axis=1), epochs=1)
    assert both.predict(X).shape == (60, 2)
    assert regressor.fit_kwargs == {"epochs": 30, **QUIET}


def test_a_given_model_is_copied_unless_the_start_is_warm():
    y = X[:, 0]
    model = models.Sequential([layers.Input((3,)), layers.Dense(1)])
    regressor = wrappers.SKLearnRegressor(model, fit_kwargs=QUIET)
    with pytest.raises(RuntimeError, match="must be compiled"):
        regressor.fit(X, y)
    model.compile(loss="mse", optimizer="sgd")
    before = model.get_weights()[0]
    assert regressor.fit(X, y).model_ is not model
    np.testing.assert_array_equal(model.get_weights()[0], before)
    assert sklearn.base.clone(regressor).fit_kwargs == QUIET
    warm = wrappers.SKLearnRegressor(model, warm_start=True, fit_kwargs=QUIET)
    assert sklearn.base.clone(warm).model is not model
    assert warm.fit(X, y).model_ is warm.fit(X, y).model_ is model
    assert model.optimizer.iterations.numpy() == 2 * 2


def test_weights_are_routed_to_fit():
    y = X[:, 0]
    regressor = wrappers.SKLearnRegressor(make, fit_kwargs=QUIET)
    with pytest.raises(RuntimeError, match="enable_metadata_routing"):
        regressor.set_fit_request(sample_weight=True)
    with sklearn.config_context(enable_metadata_routing=True):
        regressor.set_fit_request(sample_weight=True)
        pipeline = make_pipeline(sklearn.base.clone(regressor))
        pipeline.fit(X, y, sample_weight=np.zeros(60))
    assert pipeline[-1].history_.history["loss"] == [0.0]


def test_targets_that_it_cannot_learn():
    classifier = wrappers.SKLearnClassifier(make, model_kwargs=CLASSIFIED, fit_kwargs=QUIET)
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        classifier.fit(X, X[:, 0])
    with pytest.raises(ValueError, match="only one class"):
        classifier.fit(X, np.ones(60))


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    monkeypatch.delitem(sys.modules, "keraslike.wrappers.estimators")
    monkeypatch.delattr(wrappers, "estimators")
    with pytest.raises(ImportError, match="SKLearnRegressor needs .*pip install scikit-learn"):
        _ = wrappers.SKLearnRegressor
    with pytest.raises(AttributeError, match="SKLearnRegresser"):
        _ = wrappers.SKLearnRegresser
