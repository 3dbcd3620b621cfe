"""Activations: values and gradients are Keras's, names come and go, KerasTensors pass."""

import inspect

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from keraslike import activations, layers
from keraslike.core import registry
from keraslike.core.symbolic import KerasTensor

pytestmark = pytest.mark.slow

NAMES = sorted(
    n
    for n in activations.__all__
    if n not in ("get", "serialize", "deserialize", "threshold", "glu")
)
X = np.concatenate([np.linspace(-4, 4, 23), [-100.0, 100.0, 0.0]]).astype("float32").reshape(2, 13)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "sparsemax"])
def test_values_and_gradients_are_keras_s(name):
    ours, theirs = getattr(activations, name), getattr(keras.activations, name, None)
    theirs = theirs or keras.activations.get(name)
    x = X if name != "exponential" else X.clip(-10, 10)
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-6, atol=1e-6)
    for f in (ours, theirs):
        assert f(jnp.asarray(x)).dtype == "float32"
    weights = np.linspace(-1, 1, x.size).reshape(x.shape)
    grads = [
        jax.grad(lambda v, f=f: jnp.sum(f(v) * weights))(jnp.asarray(x)) for f in (ours, theirs)
    ]
    np.testing.assert_allclose(*grads, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("relu", {"negative_slope": 0.1}),
        ("relu", {"max_value": 6}),
        ("relu", {"max_value": 2.5, "threshold": 1.0}),
        ("relu", {"negative_slope": 0.2, "threshold": 0.5, "max_value": 3.0}),
        ("leaky_relu", {"negative_slope": 0.3}),
        ("elu", {"alpha": 0.5}),
        ("celu", {"alpha": 2.0}),
        ("gelu", {"approximate": True}),
        ("squareplus", {"b": 2}),
        ("softmax", {"axis": 0}),
        ("log_softmax", {"axis": 0}),
        ("soft_shrink", {"threshold": 1.0}),
        ("hard_shrink", {"threshold": 1.0}),
        ("threshold", {"threshold": 0.5, "default_value": -1.0}),
    ],
)
def test_arguments_mean_what_they_do_in_keras(name, arguments):
    x = X.clip(-5, 5)
    ours = getattr(activations, name)(x, **arguments)
    np.testing.assert_allclose(
        ours, getattr(keras.activations, name)(x, **arguments), rtol=1e-6, atol=1e-6
    )


def test_glu_halves_the_axis():
    x = X[:, :12]
    np.testing.assert_allclose(activations.glu(x), keras.activations.glu(x), rtol=1e-6)
    assert activations.glu(KerasTensor((None, 12))).shape == (None, 6)


@pytest.mark.parametrize("axis", [-1, 0])
def test_sparsemax_is_the_nearest_point_of_the_simplex(axis, rng):
    # Keras 3.15's values do not sum to 1 where more than one of them is positive.
    x = rng.normal(size=(4, 5)).astype("float32")
    p = np.asarray(activations.sparsemax(x, axis))
    np.testing.assert_allclose(p.sum(axis), 1.0, rtol=1e-5)
    assert (p >= 0).all()
    # What makes it the nearest: x - p is the same wherever p > 0, and no larger elsewhere.
    tau = np.where(p > 0, x - p, -np.inf).max(axis, keepdims=True)
    np.testing.assert_allclose(
        np.where(p > 0, x - p, tau), np.broadcast_to(tau, p.shape), atol=1e-5
    )
    assert (x <= tau + 1e-5)[p == 0].all()


@pytest.mark.parametrize("name", [*NAMES, "threshold"])
def test_signatures_are_keras_s(name):
    ours = inspect.signature(getattr(activations, name)).parameters
    theirs = inspect.signature(keras.activations.get(name)).parameters
    assert [(p.name, p.default) for p in ours.values()] == [
        (p.name, p.default) for p in theirs.values()
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_kerastensor_goes_through(name):
    out = getattr(activations, name)(KerasTensor((None, 4)))
    assert out.shape == (None, 4)
    assert out.dtype == "float32"


@pytest.mark.parametrize("name", NAMES)
def test_names_come_and_go(name):
    function = activations.get(name)
    assert function is getattr(activations, name)
    assert activations.serialize(function) == keras.activations.serialize(
        keras.activations.get(name)
    )
    assert activations.deserialize(activations.serialize(function)) is function


def test_none_is_linear():
    assert activations.get(None) is activations.linear
    assert activations.linear(X) is X


def double(x):
    return 2 * x


def test_functions_layers_and_custom_names():
    assert activations.get(double) is double
    layer = layers.Dense(2)
    assert activations.get(layer) is layer
    config = activations.serialize(double)
    assert config == keras.activations.serialize(double)
    assert activations.deserialize(config, custom_objects={"double": double}) is double
    assert activations.deserialize("double", custom_objects={"double": double}) is double


def test_a_registered_function_is_named_with_its_package():
    @registry.register_keras_serializable(package="acts")
    def tripled(x):
        return 3 * x

    assert activations.serialize(tripled)["config"] == "acts>tripled"
    assert activations.deserialize(activations.serialize(tripled)) is tripled


def my_softplus(z):
    return jnp.log(jnp.exp(z) + 1.0)


def test_own_softplus_overflows_where_ours_does_not():
    assert np.isinf(my_softplus(1000.0))
    assert float(activations.softplus(1000.0)) == 1000.0
    assert float(jax.grad(activations.softplus)(1000.0)) == 1.0


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'relu'"):
        activations.get("rellu")
    with pytest.raises(ValueError, match="activation"):
        activations.get(3)


def test_lists_and_variables_are_taken():
    from keraslike.core.variable import Variable

    assert activations.relu([-1.0, 2.0]).tolist() == [0.0, 2.0]
    assert activations.tanh(Variable([0.0])).tolist() == [0.0]


def test_dir_lists_functions_only():
    assert "jnp" not in dir(activations)
    assert {"relu", "get", "swish"} <= set(dir(activations))
