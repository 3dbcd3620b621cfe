"""Calls that are compiled when they are made again: nothing but their speed may tell."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import keraslike as keras
from keraslike import layers
from keraslike.core import context
from keraslike.training import eager

X = np.random.default_rng(0).normal(size=(4, 3, 8)).astype("float32")
IDS = np.array([[1, 2, 0], [3, 0, 0]])


def programs_of(layer):
    """For how many kinds of calls a layer has programs."""
    calls = vars(layer).get("_eager_calls")
    return len(calls._compiled._programs) if calls and calls._compiled else 0


def dense_net():
    return keras.Sequential(
        [
            keras.Input((3, 8)),
            layers.Dense(4, "relu", activity_regularizer="l2", kernel_regularizer="l1"),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.ActivityRegularization(0.1),
        ]
    )


def two_outputs():
    x = keras.Input((3, 8))
    return keras.Model(x, {"b": layers.Dense(2)(x), "a": keras.ops.exp(x), "x": x})


CASES = {
    "losses, state, randomness": (dense_net, X),
    "masks": (
        lambda: keras.Sequential([layers.Embedding(5, 3, mask_zero=True), layers.GRU(2)]),
        IDS,
    ),
    "a mask out": (lambda: layers.Embedding(5, 3, mask_zero=True), IDS),
    "a dict of outputs": (two_outputs, X),
    "several outputs": (lambda: layers.LSTM(3, return_state=True), X),
    "a weight that is changed": (lambda: layers.SpectralNormalization(layers.Dense(2)), X),
}


@pytest.mark.parametrize("case", CASES)
def test_a_compiled_call_is_the_call(case):
    make, x = CASES[case]
    found = []
    for plain in (True, False):
        keras.utils.set_random_seed(1)
        layer, told = make(), []
        for training in (None, True, False, True, True, True, None, False, None):
            with context.using(plain=plain):
                out = layer(x, training=training)
            values = jax.tree.leaves(out)
            masks = [m for v in values if (m := context.get_mask(v)) is not None]
            told.append((values, masks, layer.losses, layer.get_weights(), type(out)))
        assert bool(programs_of(layer)) is not plain
        found.append(told)
    assert jax.tree.structure(found[0]) == jax.tree.structure(found[1])
    for a, b in zip(*map(jax.tree.leaves, found)):
        if isinstance(a, type):
            assert a is b
        else:
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)


def test_code_of_users_runs_each_time_and_what_it_calls_is_compiled():
    class Counting(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense, self.count = layers.Dense(3), 0
            self.dense.build((None, 3, 8))

        def call(self, x):
            self.count += 1
            return self.dense(x) if jnp.sum(x) > 0 else -self.dense(x)

    model, x = Counting(), np.abs(X)
    for n in range(1, 6):
        np.testing.assert_allclose(model(x), model(-x), rtol=1e-5)
        assert model.count == 2 * n
    assert not programs_of(model) and programs_of(model.dense)
    seen = []
    model = keras.Sequential([keras.Input((3, 8)), layers.Dense(2, lambda x: seen.append(x) or x)])
    seen.clear()
    for _ in range(5):
        model(X)
    assert len(seen) == 5 and not any(isinstance(x, jax.core.Tracer) for x in seen)


def test_changes_are_seen_by_the_next_call():
    layer = layers.Dense(2, activation="relu")
    for _ in range(4):
        before = layer(X)
    assert programs_of(layer)
    layer.activation = keras.activations.tanh
    np.testing.assert_allclose(layer(X)[before > 0], np.tanh(before[before > 0]), rtol=1e-5)
    layer.set_weights([0 * w for w in layer.get_weights()])
    for _ in range(4):
        assert not np.any(layer(X))
    layer.bias.assign([1.0, 2.0])
    np.testing.assert_allclose(layer(X)[0, 0], np.tanh([1.0, 2.0]), rtol=1e-5)
    norm = layers.BatchNormalization()
    for _ in range(4):
        norm(X, training=True)
    norm.trainable = False
    weights = norm.get_weights()
    norm(X, training=True)
    for a, b in zip(weights, norm.get_weights()):
        np.testing.assert_array_equal(a, b)
    assert not np.any(copy.deepcopy(layer)(X) - layer(X))
    assert not np.any(pickle.loads(pickle.dumps(layer))(X) - layer(X))


def test_who_wants_plain_python_gets_it():
    model = dense_net()
    model.compile(loss="mse", run_eagerly=True)
    with jax.disable_jit():
        layer = layers.Dense(2)
        for _ in range(4):
            layer(X)
        x = np.ones((1, 4, 4, 3), "float32")
        conv, attention = layers.Conv2D(2, 3), layers.MultiHeadAttention(1, 2)
        images, tokens = conv(x), attention(x[0], x[0])
    np.testing.assert_allclose(conv(x), images, rtol=1e-5)
    np.testing.assert_allclose(attention(x[0], x[0]), tokens, rtol=1e-5)
    for _ in range(4):
        model(X)
    assert not any(map(programs_of, [layer, model, *model.layers]))


def test_gradients_and_traces_of_users_go_through_a_compiled_layer():
    layer = layers.Dense(2, "tanh")
    for _ in range(4):
        value = layer(X)
    np.testing.assert_allclose(jax.jit(layer)(X), value, rtol=1e-5)
    np.testing.assert_allclose(jax.vmap(layer)(jnp.asarray(X)), value, rtol=1e-5)
    by_input = jax.grad(lambda x: layer(x).sum())(jnp.asarray(X))
    expected = (1 - value**2) @ layer.kernel.value.T
    np.testing.assert_allclose(by_input, expected, rtol=1e-4, atol=1e-6)
    grads = keras.value_and_grad(lambda m: m(X).sum())(layer)[1]
    np.testing.assert_allclose(grads[1], (1 - value**2).sum((0, 1)), rtol=1e-4)


def test_what_is_wrong_is_said_as_ever():
    layer = layers.Dense(2)
    for _ in range(4):
        layer(X)
    for _ in range(4):
        with pytest.raises(ValueError, match="axis -1"):
            layer(X[..., :5])
    layer(X)


def test_arrays_of_numpy_are_taken_as_they_are_when_they_are_given():
    dense, flat, embed = layers.Dense(2), layers.Dropout(0.5), layers.Embedding(4, 2)
    both = two_outputs()
    for _ in range(4):
        dense(X), flat(X), embed(IDS.astype("int32")), both(X)
    assert programs_of(dense) == programs_of(flat) == programs_of(embed) == programs_of(both) == 1
    large = np.ones((500, 3, 8), "float32")
    for _ in range(4):
        dense(large)
    wanted = np.asarray(dense(jnp.asarray(large)))
    out = dense(large)
    large[:] = 0  # what was called must not see it
    np.testing.assert_array_equal(out, wanted)
    given, all_given = flat(X), both(X)["x"]
    assert isinstance(given, jax.Array) and isinstance(all_given, jax.Array)
    np.testing.assert_array_equal(given, X)
    for other in (X.astype("float64"), X.astype("float16"), X[:, ::-1], np.asfortranarray(X)):
        np.testing.assert_allclose(dense(other), dense(jnp.asarray(other)), rtol=1e-5)
        assert dense(other).dtype == "float32"
    half = layers.Dense(2, dtype="mixed_float16")
    assert [half(X).dtype for _ in range(4)] == [np.dtype("float16")] * 4


def test_threads_may_make_the_first_calls_at_once():
    from concurrent.futures import ThreadPoolExecutor

    layer = layers.Dense(2)
    expected = layer(X)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            layer.activation = keras.activations.get("linear" if _ % 2 else lambda x: x)
            layer.activation = keras.activations.linear
            for out in pool.map(lambda _: layer(X), range(16)):
                np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)


P = np.random.default_rng(1).uniform(0.05, 0.95, (6, 4))
PROBABILITIES = (P / P.sum(1, keepdims=True)).astype("float32")
ONE_HOT = np.eye(4)[[0, 1, 3, 2, 1, 0]]  # float64, as numpy makes it
CLASSES = np.array([0, 1, 3, 2, 1, 0])
WEIGHTS = np.array([1.0, 0.0, 2.0, 1.0, 0.5, 1.0])
METRICS = {
    "Mean": lambda: keras.metrics.Mean(),
    "CategoricalAccuracy": lambda: keras.metrics.CategoricalAccuracy(),
    "AUC": lambda: keras.metrics.AUC(num_thresholds=9),
    "Precision": lambda: keras.metrics.Precision([0.2, 0.5]),
    "F1Score": lambda: keras.metrics.F1Score(),
    "R2Score": lambda: keras.metrics.R2Score(),
    "a loss's": lambda: keras.metrics.MeanMetricWrapper(keras.losses.kl_divergence),
}


@pytest.mark.parametrize("name", METRICS)
def test_a_compiled_metric_is_the_metric(name, monkeypatch):
    monkeypatch.setattr(eager, "_METHODS_OP_BY_OP", 1)
    found = []
    for plain in (True, False):
        metric, told = METRICS[name](), []
        batches = [(ONE_HOT, PROBABILITIES), (jnp.asarray(ONE_HOT), PROBABILITIES, WEIGHTS)]
        for batch in 4 * batches:
            if name == "Mean":
                batch = batch[1:]
            with context.using(plain=plain):
                metric.update_state(*batch)
                told.append((metric.result(), [np.asarray(v) for v in metric.variables]))
        metric.reset_state()
        told.append([np.asarray(v) for v in metric.variables])
        made = [
            calls._compiled is not None for calls in vars(metric).get("_eager_calls", {}).values()
        ]
        assert any(made) is not plain
        np.testing.assert_array_equal(copy.deepcopy(metric).result(), metric.result())
        found.append(told)
    for a, b in zip(*map(jax.tree.leaves, found)):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)


def test_a_compiled_loss_is_the_loss(monkeypatch):
    monkeypatch.setattr(eager, "_METHODS_OP_BY_OP", 1)
    weight = WEIGHTS.astype("float32")
    for make, target in (
        (keras.losses.MeanSquaredError, ONE_HOT),
        (keras.losses.SparseCategoricalCrossentropy, CLASSES),
        (keras.losses.CategoricalFocalCrossentropy, jnp.asarray(ONE_HOT)),
    ):
        loss = make(reduction="sum")
        for _ in range(4):
            with context.using(plain=True):
                expected = [loss(target, PROBABILITIES), loss(target, PROBABILITIES, weight)]
            found = [loss(target, PROBABILITIES), loss(target, PROBABILITIES, weight)]
            np.testing.assert_allclose(found, expected, rtol=1e-5)
        (calls,) = vars(loss)["_eager_calls"].values()
        assert calls._compiled is not None
        loss.reduction = "mean"
        np.testing.assert_allclose(6 * loss(target, PROBABILITIES), expected[0], rtol=1e-5)
        with pytest.raises((ValueError, TypeError)):
            loss(target, PROBABILITIES[:2, :3])
        again = pickle.loads(pickle.dumps(loss))
        np.testing.assert_allclose(again(target, PROBABILITIES), expected[0] / 6, rtol=1e-5)
    masked = jnp.asarray(PROBABILITIES)
    context.set_mask(masked, jnp.asarray(WEIGHTS > 0))
    loss = keras.losses.MeanSquaredError()
    values = [float(loss(ONE_HOT, masked)) for _ in range(4)]
    np.testing.assert_allclose(values, values[0], rtol=1e-6)
    assert abs(values[0] - float(loss(ONE_HOT, PROBABILITIES))) > 1e-4


def test_a_users_loss_runs_each_time(monkeypatch):
    monkeypatch.setattr(eager, "_METHODS_OP_BY_OP", 1)
    seen = []

    class Own(keras.losses.Loss):
        def call(self, y_true, y_pred):
            seen.append(y_pred)
            return jnp.mean(jnp.abs(y_true - y_pred), -1)

    function = keras.losses.LossFunctionWrapper(lambda y, p: seen.append(p) or jnp.abs(y - p)[:, 0])
    for loss in (Own(), function):
        seen.clear()
        for _ in range(5):
            loss(ONE_HOT, PROBABILITIES)
        assert len(seen) == 5 and not any(isinstance(x, jax.core.Tracer) for x in seen)
