"""12.3.3: activations, initializers, regularizers and constraints of one's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import keraslike as keras


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


@pytest.mark.parametrize("arguments", [FUNCTIONS, OBJECTS], ids=["functions", "classes"])
def test_round_trip(round_trip, arguments):
    _, again = round_trip(lambda: make(arguments), CUSTOM)
    if arguments is OBJECTS:
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


def test_initializers_with_more_keywords():
    layer = keras.layers.Dense(4, kernel_initializer=keyword_initializer)
    layer.build((None, 8))
    np.testing.assert_allclose(layer.kernel.numpy(), keyword_initializer((8, 4), "float32"))


def test_they_work_on_other_layers_too(data):
    x = keras.layers.Input((6, 6, 3))
    conv = keras.layers.Conv2D(
        4, 3, activation=my_softplus, kernel_regularizer=my_l1_regularizer,
        kernel_constraint=my_positive_weights, kernel_initializer=keyword_initializer,
    )  # fmt: skip
    model = keras.Model(x, keras.layers.GlobalAveragePooling2D()(conv(x)))
    model.compile(loss="mse", optimizer="sgd")
    model.fit(np.ones((4, 6, 6, 3)), np.zeros((4, 4)), verbose=0)
    assert conv.kernel.numpy().min() >= 0.0 and len(model.losses) == 1


def test_layers_as_activations(data):
    x, _ = data
    layer = keras.layers.Dense(5, activation=keras.layers.LeakyReLU(negative_slope=0.1))
    plain = keras.layers.Dense(5)
    a = layer(x)
    plain.build((None, 8))
    plain.set_weights(layer.get_weights())
    np.testing.assert_allclose(a, jax.nn.leaky_relu(plain(x), 0.1), rtol=1e-6)
