"""12.3.8: gradients, those of one's own, and training loops written by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import keraslike as keras

from .conftest import THESE, THOSE

pytestmark = pytest.mark.slow


def f(w1, w2):
    return 3 * w1**2 + 2 * w1 * w2


def my_softplus(z):
    return jnp.log(jnp.exp(z) + 1.0)


@keras.ops.custom_gradient
def my_better_softplus(z):
    exp = jnp.exp(z)

    def my_softplus_gradients(grad):
        return grad / (1 + 1 / exp)

    return jnp.log(exp + 1), my_softplus_gradients


@jax.custom_vjp
def vjp_softplus(z):
    return jnp.log(jnp.exp(z) + 1)


vjp_softplus.defvjp(lambda z: (vjp_softplus(z), z), lambda z, grad: (grad / (1 + 1 / jnp.exp(z)),))


# In 32 bits exp() overflows at 89: a function to train with goes around it, which does not help the
# gradient of the plain one (0 * inf), but leaves that of one's own as it is.
def safe_softplus(z):
    return jnp.where(z > 30.0, z, jnp.log(jnp.exp(z) + 1.0))


@keras.ops.custom_gradient
def safe_better_softplus(z):
    def gradients(grad):
        return grad / (1 + jnp.exp(-z))

    return safe_softplus(z), gradients


@jax.custom_vjp
def safe_vjp_softplus(z):
    return safe_softplus(z)


safe_vjp_softplus.defvjp(
    lambda z: (safe_softplus(z), z), lambda z, grad: (grad / (1 + jnp.exp(-z)),)
)


def test_derivatives_of_the_function():
    assert jax.grad(f, argnums=(0, 1))(5.0, 3.0) == (36.0, 10.0)
    w1, w2 = keras.Variable(5.0), keras.Variable(3.0)
    value, grads = keras.value_and_grad(lambda ws: f(*ws))([w1, w2])
    assert float(value) == 105.0 and [float(g) for g in grads] == [36.0, 10.0]


@pytest.mark.parametrize("better", [my_better_softplus, vjp_softplus])
def test_large_inputs(better):
    assert np.isnan(jax.grad(my_softplus)(1000.0))
    assert float(jax.grad(better)(1000.0)) == pytest.approx(1.0)
    z = jnp.linspace(-5.0, 5.0, 11)
    np.testing.assert_allclose(
        jax.vmap(jax.grad(better))(z), jax.nn.sigmoid(z), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("activation", [safe_better_softplus, safe_vjp_softplus])
@pytest.mark.parametrize("place", ["activation", "layer", "loss"])
def test_through_fit(data, activation, place):
    x, y = data
    x = np.where(np.arange(8) == 0, 200.0, x).astype("float32")  # naive gradients are NaN here

    def make(function):
        class Inside(keras.layers.Layer):
            def call(self, x):
                return function(x)

        hidden = keras.layers.Dense(
            8, activation=function if place == "activation" else None, kernel_initializer="ones"
        )
        tail = [Inside()] if place == "layer" else []
        model = keras.Sequential([keras.layers.Input((8,)), hidden, *tail, keras.layers.Dense(1)])
        loss = "mse"
        if place == "loss":

            def loss(y_true, y_pred):
                return function(jnp.abs(y_true - y_pred))

        model.compile(loss=loss, optimizer=keras.optimizers.SGD(1e-9))
        return model

    naive, good = make(safe_softplus), make(activation)
    for model in (naive, good):
        model.layers[-1].kernel.assign(np.full((8, 1), 0.3))
        model.fit(x, y, verbose=0)
    assert all(np.isfinite(w).all() for w in good.get_weights())
    assert not all(np.isfinite(w).all() for w in naive.get_weights())


class Better(keras.layers.Layer):
    def call(self, x):
        return my_better_softplus(x)


def better_loss(y_true, y_pred):
    return my_better_softplus(jnp.abs(y_true - y_pred))


@pytest.mark.parametrize(
    "place, formats", [("activation", THESE), ("vjp", THOSE), ("layer", THESE), ("loss", THOSE)]
)
def test_round_trip(round_trip, place, formats):
    def make():
        activations = {"activation": my_better_softplus, "vjp": vjp_softplus}
        hidden = keras.layers.Dense(16, activation=activations.get(place, "elu"))
        model = keras.Sequential(
            [
                keras.layers.Input((8,)),
                hidden,
                *([Better()] if place == "layer" else []),
                keras.layers.Dense(1),
            ]
        )
        model.compile(loss=better_loss if place == "loss" else "mse", optimizer="nadam")
        return model

    custom = [my_better_softplus, vjp_softplus, better_loss, Better]
    round_trip(make, {f.__name__: f for f in custom}, formats=formats)
