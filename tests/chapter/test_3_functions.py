"""12.3.3: activations, initializers, regularizers and constraints of one's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import keraslike as keras

from .conftest import FORMATS, THESE, THOSE

pytestmark = pytest.mark.slow


def my_softplus(z):
    return jnp.log(jnp.exp(z) + 1.0)


def my_glorot_initializer(shape, dtype="float32"):
    stddev = jnp.sqrt(2.0 / (shape[0] + shape[1]))
    return keras.random.normal(shape, stddev=stddev, dtype=dtype)


def keyword_initializer(shape, dtype=None, seed=3, **kwargs):
    return 0.1 * jax.random.normal(jax.random.key(seed), shape, dtype=dtype)


def my_l1_regularizer(weights):
    return jnp.sum(jnp.abs(0.01 * weights))


def my_positive_weights(weights):
    return jnp.where(weights < 0.0, jnp.zeros_like(weights), weights)


class MyL1Regularizer(keras.regularizers.Regularizer):
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, weights):
        return jnp.sum(jnp.abs(self.factor * weights))

    def get_config(self):
        return {"factor": self.factor}


class MyInitializer(keras.initializers.Initializer):
    def __init__(self, scale):
        self.scale = scale

    def __call__(self, shape, dtype=None):
        return self.scale * my_glorot_initializer(shape, dtype)

    def get_config(self):
        return {"scale": self.scale}


class Positive(keras.constraints.Constraint):
    def __call__(self, w):
        return my_positive_weights(w)


class Squash:
    """Activations as objects need no base class."""

    def __init__(self, factor=1.0):
        self.factor = factor

    def __call__(self, x):
        return jnp.tanh(self.factor * x)

    def get_config(self):
        return {"factor": self.factor}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


FUNCTIONS = {
    "activation": my_softplus,
    "kernel_initializer": my_glorot_initializer,
    "kernel_regularizer": my_l1_regularizer,
    "kernel_constraint": my_positive_weights,
}
OBJECTS = {
    "activation": Squash(0.5),
    "kernel_initializer": MyInitializer(1.5),
    "kernel_regularizer": MyL1Regularizer(0.01),
    "kernel_constraint": Positive(),
}
CUSTOM = {
    f.__name__: f
    for f in (
        my_softplus,
        my_glorot_initializer,
        my_l1_regularizer,
        my_positive_weights,
        MyL1Regularizer,
        MyInitializer,
        Positive,
        Squash,
    )
}


def make(arguments):
    model = keras.Sequential(
        [
            keras.layers.Input((8,)),
            keras.layers.Dense(30, **arguments),
            keras.layers.Dense(1),
        ]
    )
    model.compile(loss="mse", optimizer=keras.optimizers.Nadam(0.01))
    return model


@pytest.mark.parametrize(
    "arguments, formats", [(FUNCTIONS, THOSE), (OBJECTS, FORMATS)], ids=["functions", "classes"]
)
def test_round_trip(round_trip, arguments, formats):
    _, copies = round_trip(lambda: make(arguments), CUSTOM, formats=formats)
    if arguments is OBJECTS:
        for again in copies:
            assert again.layers[0].kernel_regularizer.factor == 0.01
            assert again.layers[0].kernel_initializer.scale == 1.5


@pytest.mark.parametrize("arguments", [FUNCTIONS, OBJECTS], ids=["functions", "classes"])
def test_they_do_what_they_say(data, arguments):
    x, y = data
    model = make(arguments)
    kernel = model.layers[0].kernel
    penalty = 0.01 * np.abs(kernel.numpy()).sum()
    assert float(sum(model.losses)) == pytest.approx(penalty, rel=1e-5)
    mse = np.mean((y - model.predict(x, verbose=0)[:, 0]) ** 2)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(mse + penalty, rel=1e-4)
    signs = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            signs.append(kernel.numpy().min())

    model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[Watch()])
    assert len(signs) == 12 and min(signs) >= 0.0


def test_they_are_what_the_library_has_already():
    z = jnp.linspace(-3.0, 3.0, 7)
    np.testing.assert_allclose(my_softplus(z), keras.activations.softplus(z), rtol=1e-5)
    np.testing.assert_allclose(my_l1_regularizer(z), keras.regularizers.l1(0.01)(z), rtol=1e-5)
    np.testing.assert_array_equal(my_positive_weights(z), keras.constraints.nonneg()(z))
    w = my_glorot_initializer((200, 200))
    library = keras.initializers.glorot_normal()((200, 200))
    assert float(jnp.std(w)) == pytest.approx(float(jnp.std(library)), rel=0.05)


def test_initializers_with_more_keywords():
    layer = keras.layers.Dense(4, kernel_initializer=keyword_initializer)
    layer.build((None, 8))
    np.testing.assert_allclose(layer.kernel.numpy(), keyword_initializer((8, 4), "float32"))


def test_the_history_is_that_of_keras(data):
    import keras as oracle

    x, y = data
    histories, initial = [], make(FUNCTIONS).get_weights()
    arguments = {
        **FUNCTIONS,
        "kernel_initializer": keyword_initializer,
        "kernel_constraint": lambda w: my_positive_weights(jnp.asarray(w)),  # for Keras's Variable
    }
    for k in (keras, oracle):
        hidden = k.layers.Dense(30, bias_regularizer=my_l1_regularizer, **arguments)
        model = k.Sequential([k.layers.Input((8,)), hidden, k.layers.Dense(1)])
        np.testing.assert_allclose(hidden.kernel, keyword_initializer((8, 30)), rtol=1e-6)
        model.set_weights(initial)
        model.compile(loss="mse", optimizer="nadam")
        history = model.fit(x, y, batch_size=16, epochs=4, shuffle=False, verbose=0).history
        histories.append((history["loss"], model.evaluate(x, y, verbose=0), hidden.get_weights()))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), *histories)


def embedding():
    return keras.Sequential(
        [
            keras.layers.Input((8,), dtype="int32"),
            keras.layers.Embedding(
                5, 3, embeddings_initializer=MyInitializer(1.0),
                embeddings_regularizer=my_l1_regularizer, embeddings_constraint=Positive(),
            ),
            keras.layers.Flatten(),
            keras.layers.Dense(
                6, activation=Squash(2.0), activity_regularizer=my_l1_regularizer,
                bias_initializer=keyword_initializer, bias_regularizer=MyL1Regularizer(0.1),
                bias_constraint=my_positive_weights,
            ),
            keras.layers.BatchNormalization(
                beta_initializer=keyword_initializer, gamma_regularizer=my_l1_regularizer,
                gamma_constraint=my_positive_weights,
            ),
            keras.layers.Activation(my_softplus),
            keras.layers.Dense(1),
        ]
    )  # fmt: skip


def convolution():
    return keras.Sequential(
        [
            keras.layers.Input((8,)),
            keras.layers.Reshape((4, 2, 1)),
            keras.layers.Conv2D(
                4, 2, activation=my_softplus, kernel_initializer=keyword_initializer,
                kernel_regularizer=my_l1_regularizer, kernel_constraint=my_positive_weights,
            ),
            keras.layers.LayerNormalization(gamma_regularizer=MyL1Regularizer(0.01)),
            keras.layers.Flatten(),
            keras.layers.Dense(1),
        ]
    )  # fmt: skip


@pytest.mark.parametrize("build, formats", [(embedding, THOSE), (convolution, THESE)])
def test_on_other_layers(round_trip, data, build, formats):
    x, y = data
    if build is embedding:
        x = np.clip(np.floor(x * 2 + 2), 0, 4).astype("int32")

    def make():
        model = build()
        model.compile(loss="mse", optimizer=keras.optimizers.Nadam(0.01))
        return model

    custom = {**CUSTOM, "keyword_initializer": keyword_initializer}
    model, copies = round_trip(make, custom, x, y, formats)
    penalties = {embedding: 3, convolution: 2}[build]
    for m in (model, *copies):
        constrained = [v for v in m.weights if v.constraint is not None]
        assert constrained and all(v.numpy().min() >= 0.0 for v in constrained)
        assert sum(v.regularizer is not None for v in m.weights) == penalties
        assert len(m.losses) >= penalties


def test_activity_regularizers_are_means_over_the_batch(data):
    x, y = data
    layer = keras.layers.Dense(3, activity_regularizer=my_l1_regularizer)
    out = np.asarray(layer(x))
    assert float(layer.losses[0]) == pytest.approx(0.01 * np.abs(out).sum() / len(x), rel=1e-5)
