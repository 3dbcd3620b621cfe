"""Regularizers: values, gradients and configs are Keras's."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from keraslike import regularizers
from keraslike.core.variable import Variable

CASES = [
    ("L1", {}),
    ("L1", {"l1": 0.3}),
    ("L2", {}),
    ("L2", {"l2": 0.3}),
    ("L1L2", {}),
    ("L1L2", {"l1": 0.1, "l2": 0.2}),
    ("OrthogonalRegularizer", {}),
    ("OrthogonalRegularizer", {"factor": 0.5, "mode": "columns"}),
]


@pytest.mark.slow
@pytest.mark.parametrize("name, arguments", CASES)
def test_values_gradients_and_configs(name, arguments, rng):
    x = jnp.asarray(rng.normal(size=(4, 3)), "float32")
    ours = getattr(regularizers, name)(**arguments)
    theirs = getattr(keras.regularizers, name)(**arguments)
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-5)
    np.testing.assert_allclose(ours(Variable(x)), theirs(x), rtol=1e-5)
    np.testing.assert_allclose(jax.grad(ours)(x), jax.grad(theirs)(x), rtol=1e-4, atol=1e-6)
    config, expected = regularizers.serialize(ours), keras.regularizers.serialize(theirs)
    assert config["config"] == pytest.approx(expected["config"])
    assert {**config, "config": 0} == {**expected, "config": 0}
    assert regularizers.deserialize(config) == ours


def test_half_precision_stays():
    assert regularizers.L2(0.1)(jnp.ones(3, "bfloat16")).dtype == "bfloat16"


def test_an_orthogonal_matrix_costs_nothing_and_gradients_are_finite():
    regularizer = regularizers.OrthogonalRegularizer(1.0)
    assert float(regularizer(jnp.eye(3))) == 0.0
    assert np.isfinite(jax.grad(regularizer)(jnp.zeros((3, 3)))).all()
    with pytest.raises(ValueError, match=r"\(2, 2, 2\)"):
        regularizer(jnp.ones((2, 2, 2)))


@pytest.mark.parametrize(
    "name", ["l1", "L1", "l2", "L2", "l1_l2", "L1L2", "orthogonal_regularizer"]
)
def test_names(name):
    expected = type(getattr(keras.regularizers, name)()).__name__
    assert type(regularizers.get(name)).__name__ == expected
    assert getattr(regularizers, name) is type(regularizers.get(name))


def my_l1(weights):
    return jnp.sum(jnp.abs(0.01 * weights))


def test_functions_classes_and_none():
    assert regularizers.get(my_l1) is my_l1
    assert regularizers.get(None) is None
    assert regularizers.get(regularizers.L2) == regularizers.L2()
    np.testing.assert_allclose(my_l1(jnp.ones(5)), regularizers.L1(0.01)(jnp.ones(5)), rtol=1e-6)
    entry = regularizers.serialize(my_l1)
    assert regularizers.deserialize(entry, {"my_l1": my_l1}) is my_l1


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), "0.1"])
def test_bad_factors(value):
    for make in (regularizers.L1, regularizers.L2, regularizers.L1L2):
        with pytest.raises(ValueError, match="non-negative|must be a number"):
            make(value)
    with pytest.raises(ValueError, match="factor"):
        regularizers.OrthogonalRegularizer(value)


def test_bad_mode_and_name():
    with pytest.raises(ValueError, match="mode=cols"):
        regularizers.OrthogonalRegularizer(mode="cols")
    with pytest.raises(ValueError, match="Could not interpret regularizer identifier: 'l3'"):
        regularizers.get("l3")


def test_equality_is_by_class_and_arguments():
    assert regularizers.L2(0.1) == regularizers.L2(0.1)
    assert regularizers.L2(0.1) != regularizers.L2(0.2)
    assert regularizers.L2(0.1) != regularizers.L1(0.1)
    assert hash(regularizers.L2(0.1)) == hash(regularizers.L2(0.1))
    assert repr(regularizers.L2(0.1)) == "L2(l2=0.1)"
