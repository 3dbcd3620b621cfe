"""12.3.4: metrics of one's own, gathered over the batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_1_losses import create_huber, make, mean_huber

import keraslike as keras


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


@pytest.mark.parametrize("metric", [HuberMetric, HuberMean])
def test_round_trip(round_trip, metric):
    _, again = round_trip(lambda: make("mse", [metric(2.0)]), CUSTOM)
    if round_trip.format == ".keras":
        found = [m for m in again.metrics if isinstance(m, metric)]
        assert [m.threshold for m in found] == [2.0]


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
