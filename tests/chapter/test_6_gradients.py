"""12.3.8: gradients, those of one's own, and training loops written by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import keraslike as keras


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


def test_round_trip_with_a_gradient_of_ones_own(round_trip):
    def make():
        model = keras.Sequential(
            [
                keras.layers.Input((8,)),
                keras.layers.Dense(16, activation=my_better_softplus),
                keras.layers.Dense(1),
            ]
        )
        model.compile(loss="mse", optimizer="nadam")
        return model

    round_trip(make, {"my_better_softplus": my_better_softplus})


def regressor():
    return keras.Sequential(
        [keras.layers.Input((8,)), keras.layers.Dense(16, activation="elu"), keras.layers.Dense(1)]
    )


def test_a_loop_of_jax_and_optax_over_the_model(data):
    x, y = data
    model, tx = regressor(), optax.adam(0.01)
    state = tx.init(model)

    @jax.jit
    def step(model, state):
        loss, grads = jax.value_and_grad(lambda m: jnp.mean((m(x)[:, 0] - y) ** 2))(model)
        updates, state = tx.update(grads, state, model)
        return jax.tree.map(lambda p, u: p + u, model, updates), state, loss

    losses = []
    for _ in range(30):
        model, state, loss = step(model, state)
        losses.append(float(loss))
    assert losses[-1] < 0.5 * losses[0]
    assert np.isfinite(model.predict(x, verbose=0)).all()


def test_the_loop_of_keras_jax_guide(data):
    x, y = data
    model, optimizer = regressor(), keras.optimizers.Adam(0.01)
    metric, loss_fn = keras.metrics.MeanAbsoluteError(), keras.losses.MeanSquaredError()
    optimizer.build(model.trainable_variables)

    def compute_loss(trainable, others, x, y):
        y_pred, others = model.stateless_call(trainable, others, x, training=True)
        return loss_fn(y, y_pred), (y_pred, others)

    @jax.jit
    def step(state, x, y):
        trainable, others, opt, met = state
        (loss, (y_pred, others)), grads = jax.value_and_grad(compute_loss, has_aux=True)(
            trainable, others, x, y
        )
        trainable, opt = optimizer.stateless_apply(opt, grads, trainable)
        return loss, (trainable, others, opt, metric.stateless_update_state(met, y, y_pred))

    state = tuple(
        [v.value for v in group]
        for group in (
            model.trainable_variables,
            model.non_trainable_variables,
            optimizer.variables,
            metric.variables,
        )
    )
    losses = []
    for _ in range(30):
        loss, state = step(state, x, y)
        losses.append(float(loss))
    assert losses[-1] < 0.5 * losses[0] and np.isfinite(metric.stateless_result(state[3]))
    for variable, value in zip(model.trainable_variables, state[0], strict=True):
        variable.assign(value)
    mse = np.mean((model.predict(x, verbose=0)[:, 0] - y) ** 2)
    assert mse < losses[0]


def test_flax_transforms_and_optimizer(data):
    x, y = data
    model = regressor()
    optimizer = nnx.Optimizer(model, optax.adam(0.01), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, x, y):
        loss, grads = nnx.value_and_grad(lambda m: jnp.mean((m(x)[:, 0] - y) ** 2))(model)
        optimizer.update(model, grads)
        return loss

    losses = [float(step(model, optimizer, x, y)) for _ in range(30)]
    assert losses[-1] < 0.5 * losses[0]


def test_a_stateful_step_by_hand_equals_fit(data):
    x, y = data
    one, two = regressor(), regressor()
    two.set_weights(one.get_weights())
    one.compile(loss="mse", optimizer=keras.optimizers.Nadam(0.01))
    one.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
    optimizer, loss_fn = keras.optimizers.Nadam(0.01), keras.losses.MeanSquaredError()
    for _ in range(2):
        for i in range(0, len(x), 16):
            _, grads = keras.value_and_grad(
                lambda m, i=i: loss_fn(y[i : i + 16], m(x[i : i + 16], training=True))
            )(two)
            optimizer.apply_gradients(zip(grads, two.trainable_variables, strict=True))
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
