"""Constraints: values and configs are Keras's."""

import jax.numpy as jnp
import keras
import numpy as np
import pytest

from keraslike import constraints
from keraslike.core.variable import Variable

CASES = [
    ("MaxNorm", {}),
    ("MaxNorm", {"max_value": 0.5, "axis": [0, 1]}),
    ("NonNeg", {}),
    ("UnitNorm", {}),
    ("UnitNorm", {"axis": 1}),
    ("MinMaxNorm", {}),
    ("MinMaxNorm", {"min_value": 2.0, "max_value": 3.0, "rate": 0.3, "axis": [0, 1]}),
]


@pytest.mark.parametrize("name, arguments", CASES)
def test_values_and_configs(name, arguments, rng):
    w = np.asarray(rng.normal(size=(5, 4)), "float32")
    w[:, 0] = 0
    ours = getattr(constraints, name)(**arguments)
    theirs = getattr(keras.constraints, name)(**arguments)
    np.testing.assert_allclose(ours(w), theirs(w), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(ours(Variable(w)), theirs(w), rtol=1e-6, atol=1e-7)
    config = constraints.serialize(ours)
    assert config == keras.constraints.serialize(theirs)
    assert constraints.deserialize(config) == ours


def test_norms_are_inside_their_bounds(rng):
    w = rng.normal(size=(50, 8)) * rng.uniform(0, 2, size=8)
    norms = np.linalg.norm(constraints.MinMaxNorm(0.5, 1.5)(w), axis=0)
    assert (norms > 0.5 - 1e-5).all() and (norms < 1.5 + 1e-5).all()
    assert (np.linalg.norm(constraints.MaxNorm(1.0)(w), axis=0) < 1 + 1e-5).all()


@pytest.mark.parametrize("name", ["max_norm", "MaxNorm", "non_neg", "unit_norm", "min_max_norm"])
def test_names(name):
    assert type(constraints.get(name)).__name__ == type(keras.constraints.get(name)).__name__


def my_positive_weights(weights):
    return jnp.where(weights < 0.0, jnp.zeros_like(weights), weights)


def test_nonneg_functions_and_none():
    assert constraints.get("nonneg") == constraints.NonNeg() == constraints.nonneg()
    assert constraints.get(my_positive_weights) is my_positive_weights
    assert constraints.get(None) is None
    w = jnp.array([-1.0, 2.0])
    np.testing.assert_array_equal(my_positive_weights(w), constraints.NonNeg()(w))
    assert constraints.Constraint()(w) is w


def test_unknown_names():
    with pytest.raises(
        ValueError,
        match="Could not interpret constraint identifier: 'max_nrm'. Did you mean 'max_norm'",
    ):
        constraints.get("max_nrm")
