"""Variables whose gradient is their new value, as scales of low-precision training are."""

import copy

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import keraslike
from keraslike import Variable, layers, optimizers


def pair(framework):
    overwritten = framework.Variable(np.full(2, 5.0, "float32"), name="scale")
    overwritten.overwrite_with_gradient = True
    overwritten.constraint = framework.constraints.NonNeg()
    return [overwritten, framework.Variable(np.ones(2, "float32"), name="kernel")]


@pytest.mark.parametrize(
    "name, settings",
    [
        ("SGD", {}),
        ("SGD", {"momentum": 0.9, "clipnorm": 0.5, "weight_decay": 0.1}),
        ("Adam", {"loss_scale_factor": 4.0}),
        ("Adam", {"gradient_accumulation_steps": 2}),
        ("Nadam", {"use_ema": True, "ema_momentum": 0.5}),
    ],
)
def test_the_gradient_is_the_new_value(name, settings):
    gradients = np.random.default_rng(0).normal(size=(5, 2, 2)).astype("float32")
    seen = []
    for framework in (keras, keraslike):
        optimizer = getattr(framework.optimizers, name)(0.1, **settings)
        variables = pair(framework)
        values = []
        for step in gradients:
            optimizer.apply([jnp.asarray(g) for g in step], variables)
            values.append([np.asarray(v) for v in variables])
        assert int(np.asarray(optimizer._iterations)) == 5
        seen.append(values)
    np.testing.assert_allclose(seen[1], seen[0], rtol=1e-5, atol=1e-6)
    if "gradient_accumulation_steps" not in settings:
        np.testing.assert_array_equal(seen[1][-1][0], gradients[-1][0])


def test_finalize_leaves_it():
    optimizer, variables = optimizers.SGD(0.1, use_ema=True), pair(keraslike)
    optimizer.apply([jnp.full(2, -3.0), jnp.ones(2)], variables)
    optimizer.finalize_variable_values(variables)
    assert variables[0].numpy().tolist() == [-3.0, -3.0]


def test_it_can_be_said_after_the_first_step_and_taken_back():
    optimizer, v = optimizers.SGD(1.0), Variable(1.0)
    for overwrites, expected in ((False, 0.5), (True, 0.5), (False, 0.0)):
        v.overwrite_with_gradient = overwrites
        optimizer.apply([jnp.array(0.5)], [v])
        assert float(v) == expected
    v.overwrite_with_gradient = True
    assert copy.deepcopy(v).overwrite_with_gradient


def test_a_users_rule_has_no_state_for_it():
    variables = pair(keraslike)
    optimizer = optimizers.SGD(0.1)
    assert optimizer.add_optimizer_variables(variables, "momentum")[0] is None
    assert optimizer.add_optimizer_variables(variables, "momentum")[1].shape == (2,)


def test_other_values_than_booleans_are_refused():
    for framework in (keras, keraslike):
        with pytest.raises(TypeError, match="overwrite_with_gradient"):
            framework.Variable(1.0).overwrite_with_gradient = "yes"


class Scaled(layers.Layer):
    """Divides by the largest input seen in the step before: what its gradient hands over."""

    def build(self, input_shape):
        self.scale = self.add_weight(
            shape=(), initializer="ones", overwrite_with_gradient=True, name="scale"
        )
        super().build(input_shape)

    def call(self, x):
        @jax.custom_vjp
        def scaled(x, scale):
            return x / scale

        def backward(residuals, g):
            x, scale = residuals
            return g / scale, jnp.max(jnp.abs(x))

        scaled.defvjp(lambda x, scale: (x / scale, (x, scale)), backward)
        return scaled(x, self.scale.value)


def test_a_layer_that_hands_values_over_in_fit():
    model = keraslike.Sequential([layers.Input((2,)), layers.Dense(1), Scaled()])
    model.compile("adam", "mse")
    inner = keraslike.Model(model.inputs, model.layers[0].output)
    x = np.random.default_rng(0).normal(size=(4, 2)).astype("float32")
    largest = np.abs(inner.predict(x, verbose=0)).max()
    assert any(v is model.layers[-1].scale for v in model.trainable_variables)
    model.fit(x, x[:, :1], verbose=0)
    assert float(model.layers[-1].scale) == pytest.approx(largest, rel=1e-6)
