"""The chapter's title, training algorithms of one's own: loops written by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

import keraslike as keras


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
