"""12.3.4: metrics of one's own, gathered over the batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import keraslike as keras

from .conftest import FORMATS, THESE, THOSE
from .test_1_losses import create_huber, make, mean_huber

pytestmark = pytest.mark.slow


class HuberMetric(keras.metrics.Metric):
    def __init__(self, threshold=1.0, **kwargs):
        super().__init__(**kwargs)
        self.threshold = threshold
        self.huber_fn = create_huber(threshold)
        self.total = self.add_weight("total", initializer="zeros")
        self.count = self.add_weight("count", initializer="zeros")

    def update_state(self, y_true, y_pred):
        metric = self.huber_fn(y_true, y_pred)
        self.total.assign_add(jnp.sum(metric))
        self.count.assign_add(jnp.asarray(y_true.size, "float32"))

    def result(self):
        return self.total / self.count

    def get_config(self):
        base_config = super().get_config()
        return {**base_config, "threshold": self.threshold}


class HuberMean(keras.metrics.Mean):
    def __init__(self, threshold=1.0, name="huber_mean", dtype=None):
        self.threshold = threshold
        self.huber_fn = create_huber(threshold)
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        metric = self.huber_fn(y_true, y_pred)
        super().update_state(metric, sample_weight)

    def get_config(self):
        base_config = super().get_config()
        return {**base_config, "threshold": self.threshold}


class Range(keras.metrics.Metric):
    """A dict of results, and metrics within a metric."""

    def __init__(self, name="range", **kwargs):
        super().__init__(name=name, **kwargs)
        self.low = self.add_weight(name="low", shape=(), initializer="zeros")
        self.parts = [keras.metrics.Mean(name="mean_true"), keras.metrics.Mean(name="mean_pred")]

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.low.assign(jnp.minimum(self.low, jnp.min(y_pred)))
        self.parts[0].update_state(y_true)
        self.parts[1].update_state(y_pred)

    def result(self):
        return {"low": self.low.value, **{p.name: p.result() for p in self.parts}}

    def reset_state(self):
        self.low.assign(0.0)
        for part in self.parts:
            part.reset_state()


CUSTOM = {"HuberMetric": HuberMetric, "HuberMean": HuberMean, "Range": Range}


@pytest.mark.parametrize(
    "metric, formats", [(HuberMetric, THESE), (HuberMean, THOSE), (Range, FORMATS)]
)
def test_round_trip(round_trip, metric, formats):
    def compiled():
        given = Range() if metric is Range else metric(2.0, name="mine")
        return make("mse", ["mae", given])

    _, copies = round_trip(compiled, CUSTOM, formats=formats)
    for again in copies:
        found = [m for m in again.metrics[1].metrics if type(m) is metric]
        assert len(found) == 1
        if metric is not Range:
            assert (found[0].threshold, found[0].name) == (2.0, "mine")


def test_round_trip_of_a_function_and_a_weighted_metric(round_trip):
    def compiled():
        model = make("mse")
        model.compile(
            loss="mse",
            optimizer="nadam",
            metrics=[create_huber(2.0)],
            weighted_metrics=[HuberMean(2.0)],
        )
        return model

    model, copies = round_trip(compiled, {"huber_fn": create_huber(2.0), **CUSTOM})
    for each in (model, *copies):
        assert each.metrics_names == ["loss", "compile_metrics"]
        assert [m.name for m in each.metrics[1].metrics] == ["huber_fn", "huber_mean"]


@pytest.mark.parametrize("metric", [HuberMetric, HuberMean])
def test_called_like_a_function(metric):
    m = metric(2.0)
    assert float(m(jnp.array([[2.0]]), jnp.array([[10.0]]))) == pytest.approx(14.0)
    assert float(m(jnp.array([[0.0], [5.0]]), jnp.array([[1.0], [9.25]]))) == pytest.approx(7.0)
    assert float(m.result()) == pytest.approx(7.0)
    assert [float(v) for v in m.variables] == [21.0, 3.0]
    m.reset_state()
    assert [float(v) for v in m.variables] == [0.0, 0.0]


def test_in_fit_and_evaluate(data):
    x, y = data
    model = make("mse", [HuberMetric(2.0, name="streamed"), HuberMean(2.0), Range()])
    history = model.fit(x, y, batch_size=10, epochs=2, verbose=0, validation_data=(x, y)).history
    assert {"streamed", "huber_mean", "low", "mean_true", "mean_pred"} <= set(history)
    assert history["streamed"] == pytest.approx(history["huber_mean"], rel=1e-5)
    expected = mean_huber(2.0, y, model(x))
    assert history["val_streamed"][-1] == pytest.approx(expected, rel=1e-5)
    assert history["val_mean_true"][-1] == pytest.approx(y.mean(), rel=1e-4)
    assert history["val_low"][-1] == pytest.approx(min(0.0, float(np.min(model(x)))), rel=1e-5)


def test_metrics_and_weighted_metrics(data):
    x, y = data
    weights = np.linspace(0, 3, len(y)).astype("float32")
    model = make("mse")
    model.compile(loss="mse", metrics=[HuberMean(2.0, name="plain")],
                  weighted_metrics=[HuberMean(2.0, name="weighted")])  # fmt: skip
    got = model.evaluate(x, y, sample_weight=weights, batch_size=11, verbose=0, return_dict=True)
    error = np.abs(y - np.asarray(model(x))[:, 0])
    each = np.where(error < 2, error**2 / 2, 2 * error - 2)
    assert got["plain"] == pytest.approx(each.mean(), rel=1e-5)
    assert got["weighted"] == pytest.approx((each * weights).sum() / weights.sum(), rel=1e-4)


def test_stateless_form_under_jit():
    metric = HuberMetric(2.0)
    step = jax.jit(metric.stateless_update_state)
    state = [v.value for v in metric.variables]
    for true, pred in ((2.0, 10.0), (0.0, 1.0)):
        state = step(state, jnp.array([[true]]), jnp.array([[pred]]))
    assert float(metric.stateless_result(state)) == pytest.approx((14.0 + 0.5) / 2)
    assert float(metric.total) == 0.0


def test_results_are_those_of_keras(data):
    import keras as oracle

    class Theirs(oracle.metrics.Mean):
        def __init__(self, threshold=1.0, name="huber_mean", dtype=None):
            self.huber_fn = create_huber(threshold)
            super().__init__(name=name, dtype=dtype)

        def update_state(self, y_true, y_pred, sample_weight=None):
            super().update_state(self.huber_fn(y_true, y_pred), sample_weight)

    x, y = data
    weights = np.linspace(0, 3, len(y)).astype("float32")
    initial, results = make("mse").get_weights(), []
    for k, metric in ((keras, HuberMean), (oracle, Theirs)):
        model = k.Sequential([k.layers.Input((8,)), k.layers.Dense(30, "selu"), k.layers.Dense(1)])
        model.set_weights(initial)
        model.compile(
            loss="mse",
            metrics=[metric(2.0), create_huber(1.0)],
            weighted_metrics=[metric(2.0), metric(0.5, name="other")],
        )
        results.append(
            model.evaluate(
                x, y[:, None], sample_weight=weights, batch_size=10, verbose=0, return_dict=True
            )
        )
    ours, theirs = results
    assert set(ours) == {"loss", "huber_mean", "huber_fn", "weighted_huber_mean", "other"}
    assert ours == pytest.approx(theirs, rel=1e-5)


def test_state_is_seen_and_named():
    metric = HuberMetric()
    assert [v.name for v in metric.variables] == ["total", "count"]
    assert [v.shape for v in metric.variables] == [(), ()]
    assert len(Range().variables) == 5
    assert metric.get_config() == {"name": metric.name, "dtype": "float32", "threshold": 1.0}


def test_the_state_starts_anew_at_every_epoch_and_evaluation(data):
    x, y = data
    metric = HuberMetric(2.0)
    model = make("mse", [metric])
    seen = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(float(metric.count))
    )
    model.fit(x, y, epochs=3, verbose=0, callbacks=[watch])
    assert seen == [len(x)] * 3
    model.evaluate(x[:20], y[:20], verbose=0)
    assert float(metric.count) == 20.0


def test_metrics_in_a_layer(data):
    """A metric in an attribute of a layer is reported, too."""

    class Watched(keras.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.largest = keras.metrics.Mean(name="largest")

        def call(self, x):
            self.largest.update_state(jnp.max(jnp.abs(x)))
            return x

    x, y = data
    model = keras.Sequential([keras.layers.Input((8,)), Watched(), keras.layers.Dense(1)])
    model.compile(loss="mse")
    history = model.fit(x, y, batch_size=len(x), epochs=2, verbose=0).history
    assert history["largest"] == pytest.approx([np.abs(x).max()] * 2)
