"""Training beside Keras 3 from the same weights on the same batches."""

import jax
import jax.numpy as jnp
import keras as oracle
import numpy as np
import pytest

import keraslike as ours

pytestmark = pytest.mark.slow

OPTIMIZERS = {
    "sgd": ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}),
    "adam": ("Adam", {"learning_rate": 3e-3}),
    "adamw": ("AdamW", {"learning_rate": 3e-3, "weight_decay": 0.01}),
}


def mlp(k):
    return k.Sequential(
        [
            k.layers.Input((8,)),
            k.layers.Dense(16, activation="elu", kernel_initializer="he_normal"),
            k.layers.LayerNormalization(),
            k.layers.Dense(8, activation="tanh", kernel_regularizer="l2"),
            k.layers.Dense(1),
        ]
    )


def convnet(k):
    x = k.layers.Input((8, 8, 3))
    h = k.layers.Conv2D(4, 3, padding="same", use_bias=False)(x)
    h = k.layers.BatchNormalization()(h)
    h = k.layers.Activation("relu")(h)
    h = k.layers.MaxPooling2D()(h)
    h = k.layers.Conv2D(6, 3, activation="relu")(h)
    h = k.layers.GlobalAveragePooling2D()(h)
    return k.Model(x, k.layers.Dense(1)(h))


def data(model, count=76):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(count, *model.input_shape[1:])).astype("float32")
    y = np.tanh(x.reshape(count, -1)[:, :5].sum(1, keepdims=True)).astype("float32")
    return x, y


class Batches:
    """Mixed with either Callback: the loss after every step."""

    def __init__(self):
        super().__init__()
        self.losses = []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(float(logs["loss"]))


def run(k, build, optimizer, weights=None, steps_per_execution=1):
    name, arguments = OPTIMIZERS[optimizer]
    model = build(k)
    if weights is not None:
        model.set_weights(weights)
    model.compile(
        loss="mse",
        optimizer=getattr(k.optimizers, name)(**arguments),
        metrics=["mae"],
        steps_per_execution=steps_per_execution,
    )
    start = model.get_weights()
    # With SGD the last batches are smaller ones, each of which is a program to compile.
    count, validated = (76, 20) if optimizer == "sgd" else (80, 21)
    x, y = data(model, count)
    watch = type("Watch", (Batches, k.callbacks.Callback), {})()
    history = model.fit(
        x, y, batch_size=8, epochs=20, shuffle=False, verbose=0, callbacks=[watch],
        validation_data=(x[:validated], y[:validated]), validation_batch_size=7,
    )  # fmt: skip
    return start, watch.losses, history.history, model


@pytest.mark.parametrize(
    ("optimizer", "build"),  # what a rule does is the same for any model
    [*((name, mlp) for name in OPTIMIZERS), ("adam", convnet)],
)
def test_the_first_200_steps(build, optimizer):
    start, expected, history, keras_model = run(oracle, build, optimizer)
    _, losses, mine, model = run(ours, build, optimizer, start)
    assert len(losses) == len(expected) == 200
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    assert set(mine) == set(history) == {"loss", "mae", "val_loss", "val_mae"}
    for key in history:
        np.testing.assert_allclose(mine[key], history[key], rtol=2e-4)
    for v, w in zip(model.get_weights(), keras_model.get_weights(), strict=True):
        np.testing.assert_allclose(v, w, rtol=2e-3, atol=2e-4)
    np.testing.assert_allclose(
        [np.asarray(v) for v in model.optimizer.variables][0],
        np.asarray(keras_model.optimizer.variables[0]),
    )


def test_the_gradient_is_that_of_fit():
    model = mlp(ours)
    model.compile(loss="mse", optimizer=ours.optimizers.SGD(1.0))
    x, y = data(model)
    loss = ours.losses.MeanSquaredError()
    grads = jax.grad(lambda m: loss(y, m(x)) + sum(m.losses))(model)
    before = model.get_weights()
    model.fit(x, y, batch_size=len(x), shuffle=False, verbose=0)
    for g, old, new in zip(grads.weights, before, model.get_weights(), strict=True):
        np.testing.assert_allclose(g.numpy(), old - new, rtol=1e-4, atol=1e-6)
    value, listed = ours.value_and_grad(lambda m: loss(y, m(x)))(model)
    assert np.isfinite(value) and len(listed) == len(model.trainable_variables)


def two_heads(k, form):
    a, b = k.layers.Input((4,), name="a"), k.layers.Input((3,), name="b")
    shared = k.layers.Dense(5, activation="relu", name="shared")
    h = k.layers.Concatenate()([shared(a), k.layers.Dense(5)(b), shared(a)])
    left, right = k.layers.Dense(1, name="left")(h), k.layers.Dense(3, name="right")(h)
    outputs = [left, right] if form == "list" else {"left": left, "right": right}
    return k.Model([a, b], outputs)


@pytest.mark.parametrize("form", ["list", "dict"])
def test_several_outputs(form):
    rng = np.random.default_rng(0)
    xa, xb = rng.normal(size=(20, 4)).astype("float32"), rng.normal(size=(20, 3)).astype("float32")
    left, right = rng.normal(size=(20, 1)).astype("float32"), rng.integers(0, 3, size=20)
    weight = rng.uniform(size=20).astype("float32")
    results = []
    start = None
    for k in (oracle, ours):
        model = two_heads(k, form)
        if start is None:
            start = model.get_weights()
        model.set_weights(start)
        crossentropy = k.losses.SparseCategoricalCrossentropy(from_logits=True)
        if form == "list":
            model.compile(
                loss=["mse", crossentropy], loss_weights=[0.5, 2.0], optimizer="sgd",
                metrics=[["mae"], ["accuracy"]],
            )  # fmt: skip
            x, y = [xa, xb], [left, right]
        else:
            model.compile(
                loss={"left": "mse", "right": crossentropy}, optimizer="sgd",
                metrics={"right": ["accuracy"]}, weighted_metrics={"left": "mae"},
            )  # fmt: skip
            x, y = {"a": xa, "b": xb}, {"left": left, "right": right}
        history = model.fit(
            x, y, sample_weight=[weight, weight] if form == "list" else
            {"left": weight, "right": weight},
            batch_size=8, epochs=3, shuffle=False, verbose=0,
        ).history  # fmt: skip
        results.append((history, model.evaluate(x, y, verbose=0, return_dict=True)))
    (expected, evaluated), (got, mine) = results
    assert set(got) == set(expected) and set(mine) == set(evaluated)
    for key in expected:
        np.testing.assert_allclose(got[key], expected[key], rtol=1e-4)
        np.testing.assert_allclose(mine[key], evaluated[key], rtol=1e-4)


@pytest.mark.parametrize("loss", ["binary", "categorical", "sparse"])
def test_classification_with_class_weights(loss):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 4)).astype("float32")
    labels = rng.integers(0, 2 if loss == "binary" else 3, size=40)
    y = np.eye(3, dtype="float32")[labels] if loss == "categorical" else labels
    units, activation = (1, "sigmoid") if loss == "binary" else (3, "softmax")
    name = {"binary": "binary_crossentropy", "categorical": "categorical_crossentropy"}.get(
        loss, "sparse_categorical_crossentropy"
    )
    start, results = None, []
    for k in (oracle, ours):
        model = k.Sequential([k.layers.Input((4,)), k.layers.Dense(units, activation=activation)])
        if start is None:
            start = model.get_weights()
        model.set_weights(start)
        model.compile(loss=name, optimizer="adam", metrics=["accuracy"])
        history = model.fit(
            x, y, epochs=4, batch_size=16, shuffle=False, verbose=0,
            class_weight={0: 1.0, 1: 3.0, 2: 0.5}, validation_split=0.25,
        )  # fmt: skip
        results.append((history.history, model.evaluate(x, y, verbose=0)))
    (expected, evaluated), (got, mine) = results
    for key in expected:
        np.testing.assert_allclose(got[key], expected[key], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(mine, evaluated, rtol=1e-4)


def test_several_steps_an_execution_give_the_same_numbers():
    start, one, history, _ = run(ours, mlp, "adam")
    _, _, many, _ = run(ours, mlp, "adam", start, steps_per_execution=4)
    np.testing.assert_allclose(history["loss"], many["loss"], rtol=1e-5)
    np.testing.assert_allclose(history["val_loss"], many["val_loss"], rtol=1e-5)


def test_losses_of_internals_train():
    class Regularized(ours.layers.Layer):
        def build(self, input_shape):
            self.dense = ours.layers.Dense(input_shape[-1])
            self.wide = ours.layers.Dense(4)

        def call(self, x):
            h = self.wide(x)
            self.add_loss(0.05 * jnp.mean((self.dense(h) - x) ** 2))
            return h

    model = ours.Sequential([ours.layers.Input((3,)), Regularized(), ours.layers.Dense(1)])
    model.compile(loss="mse", optimizer=ours.optimizers.SGD(0.1))
    x, y = np.random.default_rng(0).normal(size=(32, 3)), np.zeros((32, 1))
    before = model.layers[0].dense.kernel.numpy()
    first = model.evaluate(x, y, verbose=0)
    expected = float(np.mean(model.predict(x, verbose=0) ** 2)) + float(model(x).sum() * 0)
    model(x)
    np.testing.assert_allclose(first, expected + float(sum(model.losses)), rtol=1e-5)
    model.fit(x, y, epochs=5, verbose=0)
    assert np.abs(model.layers[0].dense.kernel.numpy() - before).max() > 1e-4
