"""Models, layers, losses and metrics in float64, where JAX's 64-bit dtypes are disabled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import keraslike as keras
from keraslike import tf

X = np.random.default_rng(1).normal(size=(8, 3))
Y = np.random.default_rng(2).normal(size=(8, 1))
W = np.random.default_rng(3).normal(size=(3, 1))


@pytest.fixture
def in_float64():
    policy = keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy(policy)


def model(**kwargs):
    layers = [keras.Input((3,), dtype="float64"), keras.layers.Dense(1, **kwargs)]
    made = keras.Sequential(layers)
    made.set_weights([W, np.zeros(1)])
    return made


def by_hand(rule, epochs=2, batch=4):
    """Weights and the losses of each epoch of a linear model that a rule trains."""
    params, losses, state = np.concatenate([W, [[0.0]]]), [], {}
    rows = np.concatenate([X, np.ones((8, 1))], axis=1)
    for _ in range(epochs):
        sums = 0.0
        for i in range(0, 8, batch):
            error = rows[i : i + batch] @ params - Y[i : i + batch]
            sums += np.mean(error**2)
            params = params - rule(rows[i : i + batch].T @ error * 2 / batch, state)
        losses.append(sums / (8 // batch))
    return params, losses


def sgd(gradient, state):
    return 0.01 * gradient


def adam(gradient, state):
    t = state["t"] = state.get("t", 0) + 1
    m = state["m"] = 0.9 * state.get("m", 0.0) + 0.1 * gradient
    v = state["v"] = 0.999 * state.get("v", 0.0) + 0.001 * gradient**2
    return 0.001 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-7)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, i):
        return X[4 * i : 4 * i + 4], Y[4 * i : 4 * i + 4]


@pytest.mark.parametrize("rule", [sgd, adam], ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("source", ["arrays", "PyDataset"])
def test_training_is_that_by_hand(rule, source, in_float64):
    net = model()
    net.compile(rule.__name__, "mse", metrics=["mae"])
    data = (X, Y) if source == "arrays" else (Batches(),)
    history = net.fit(*data, batch_size=4, epochs=2, shuffle=False, verbose=0).history
    params, losses = by_hand(rule)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-13)
    kernel, bias = net.get_weights()
    assert kernel.dtype == bias.dtype == np.float64
    np.testing.assert_allclose(np.concatenate([kernel, bias[None]]), params, rtol=1e-12)
    outputs = X @ params[:3] + params[3]
    for found in (net.predict(X, verbose=0), net.predict_on_batch(X), np.asarray(net(X))):
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, outputs, rtol=1e-12)
    loss, mae = net.evaluate(X, Y, verbose=0)
    np.testing.assert_allclose(
        [loss, mae], [np.mean((outputs - Y) ** 2), np.mean(abs(outputs - Y))], rtol=1e-12
    )
    assert not jax.config.jax_enable_x64 and jnp.ones(1).dtype == "float32"


@pytest.mark.parametrize("name", ["m.keras", "m.weights.h5"])
def test_files_keep_all_digits(name, tmp_path, in_float64):
    net = model()
    net.compile("adam", "mse")
    net.fit(X, Y, verbose=0)
    path = tmp_path / name
    if name.endswith(".keras"):
        net.save(path)
        loaded = keras.models.load_model(path)
    else:
        net.save_weights(path)
        loaded = model()
        loaded.load_weights(path)
    for found, expected in zip(loaded.get_weights(), net.get_weights()):
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), net.predict(X, verbose=0))


def test_one_layer_of_a_model():
    net = model(dtype="float64")
    for found in (net(X), net.predict_on_batch(X.astype("float32")), net.layers[0](X)):
        assert found.dtype == np.float64
    np.testing.assert_allclose(net(X), X @ W, rtol=1e-14)
    assert keras.layers.Dense(1)(X).dtype == "float32"


def test_a_layer_of_a_user_gets_arrays():
    seen = []

    class Doubled(keras.layers.Layer):
        def call(self, x):
            seen.append(isinstance(x, jax.Array))
            return jnp.multiply(x, 2)

    np.testing.assert_array_equal(Doubled(dtype="float64")(X), X * 2)
    assert all(seen)


def test_assignments_keep_all_digits(in_float64):
    kernel = model().weights[0]
    kernel.assign(W / 3)
    kernel.assign_add(W / 7)
    kernel.assign_sub([[1 / 3]] * 3)
    np.testing.assert_array_equal(kernel.numpy(), W / 3 + W / 7 - 1 / 3)


def test_losses_and_metrics():
    a, b = X[:, :1], Y
    expected = np.mean((a - b) ** 2)
    loss = keras.losses.MeanSquaredError(dtype="float64")
    np.testing.assert_allclose(loss(a, b), expected, rtol=1e-15)
    metric = keras.metrics.MeanSquaredError(dtype="float64")
    metric.update_state(a, b)
    metric.update_state(b, a)
    assert metric.result().dtype == "float64"
    np.testing.assert_allclose(metric.result(), expected, rtol=1e-14)


def test_a_loss_of_a_model_in_float32():
    net = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    net.set_weights([W, np.zeros(1)])
    metric = keras.metrics.MeanAbsoluteError(dtype="float64", name="mae")
    loss = keras.losses.MeanSquaredError(dtype="float64")
    net.compile(keras.optimizers.SGD(0.01), loss, metrics=[metric])
    history = net.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0).history
    params, losses = by_hand(sgd)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-6)
    kernel, bias = net.get_weights()
    assert kernel.dtype == np.float32
    np.testing.assert_allclose(np.concatenate([kernel, bias[None]]), params, rtol=1e-5)


def test_a_loop_with_a_tape(in_float64):
    net, optimizer = tf.keras.Sequential([tf.keras.layers.Dense(1)]), tf.keras.optimizers.SGD()
    net.build((None, 3))
    net.set_weights([W, np.zeros(1)])
    for _ in range(2):
        for i in (0, 4):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((net(X[i : i + 4]) - Y[i : i + 4]) ** 2)
            gradients = tape.gradient(loss, net.trainable_variables)
            assert all(g.dtype == tf.float64 for g in gradients)
            optimizer.apply_gradients(zip(gradients, net.trainable_variables))
    kernel, bias = net.get_weights()
    np.testing.assert_allclose(np.concatenate([kernel, bias[None]]), by_hand(sgd)[0], rtol=1e-12)


def test_derivatives_by_jax(in_float64):
    net = model()
    values = [v.value for v in net.trainable_variables]

    def loss(values, x):
        outputs, _ = net.stateless_call(values, [], x)
        return jnp.mean(outputs**2)

    with jax.enable_x64(True):
        found = jax.grad(loss)(values, X)[0]
    np.testing.assert_allclose(found, X.T @ (X @ W) * 2 / 8, rtol=1e-13)
