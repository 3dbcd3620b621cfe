"""Arrays made by numpy are what jax would have made, and no program is compiled for them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import monitoring

import keraslike as keras
from keraslike.core import host

SHAPES = [(1,), (3, 5), (2, 3, 4), (16_384,), (20_000, 2)]
KEYS = [(0, 0), (1, 2**32 - 1), (123456789, 7)]


@pytest.mark.slow
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("shape", SHAPES)
def test_uniform_is_that_of_jax_bit_by_bit(shape, key):
    key = np.array(key, "uint32")
    # As users have it, with products and sums in one instruction (see tests/conftest.py).
    options = {"xla_backend_optimization_level": 3, "xla_llvm_disable_expensive_passes": False}

    def uniform(key, low, high):
        return jax.random.uniform(key, shape, "float32", low, high)

    uniform = jax.jit(uniform, compiler_options=options)
    for low, high in ((0.0, 1.0), (-0.3, 0.3), (2.0, 7.0)):
        expected = uniform(key, low, high)
        np.testing.assert_array_equal(host.uniform(key, shape, low, high), expected)


@pytest.mark.slow
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("shape", SHAPES)
def test_normal_is_that_of_jax(shape, key):
    key = np.array(key, "uint32")
    expected = jax.random.normal(key, shape, "float32")
    np.testing.assert_allclose(host.normal(key, shape), expected, rtol=1e-5, atol=1e-6)
    expected = jax.random.truncated_normal(key, -2.0, 2.0, shape, "float32")
    np.testing.assert_allclose(
        host.truncated_normal(key, shape, 2.0), expected, rtol=1e-5, atol=1e-6
    )


def test_inside_a_trace_it_is_jax_that_makes_them():
    drawn = jax.jit(lambda key: keras.random.normal((2, 3), seed=key))(jnp.array([0, 5], "uint32"))
    expected = jax.random.normal(jnp.array([0, 5], "uint32"), (2, 3))
    np.testing.assert_allclose(drawn, expected, rtol=1e-6)
    jaxpr = jax.make_jaxpr(lambda: host.full((1000, 1000), 0.0, "float32"))()
    assert not jaxpr.consts, "a constant of that size would be a part of the program"


def test_a_copy_survives_the_donation_of_the_other():
    value = jnp.arange(10_000.0)
    for giver, keeper in ((0, 1), (1, 0)):
        pair = [value + 0, None]
        pair[1] = host.copied([pair[0]])[0]
        jax.block_until_ready(jax.jit(lambda x: x * 0 - 1, donate_argnums=0)(pair[giver]))
        np.testing.assert_array_equal(pair[keeper], np.arange(10_000.0))


def test_state_is_not_the_users_memory():
    theirs = np.ones(5000, "float32")
    variable = keras.Variable(theirs)
    theirs[:] = 7
    assert float(variable.value.max()) == 1.0


def test_a_model_is_made_without_compiling_anything():
    compiled = []

    def listen(event, seconds, **more):
        if "backend_compile" in event:
            compiled.append(more.get("fun_name"))

    monitoring.register_event_duration_secs_listener(listen)
    try:
        model = keras.Sequential(
            [keras.layers.Input((13, 11, 3)), keras.layers.Conv2D(5, 3), keras.layers.Flatten()]
        )
        model.add(keras.layers.Dense(17, kernel_initializer="he_normal"))
        model.compile(loss="mse", optimizer="adam", metrics=["mae"])
        model.optimizer.build(model.trainable_variables)
        assert compiled == []
        x, y = np.ones((8, 13, 11, 3), "float32"), np.ones((8, 17), "float32")
        model.fit(x, y, batch_size=4, verbose=0)
        assert len(compiled) == 1, compiled  # the step
    finally:
        jax.monitoring.clear_event_listeners()


@pytest.mark.parametrize("shape", [(), (3,), (100, 100), (2048, 2048)])
def test_zeros_are_zeros_and_may_be_donated(shape):
    a, b = host.full(shape, 0, "float32"), host.full(shape, 0.0, "int32")
    assert a.dtype == "float32" and b.dtype == "int32" and a.shape == b.shape == shape
    added = jax.jit(lambda x: x + 1, donate_argnums=0)(a)
    assert float(added.min()) == float(added.max()) == 1.0
    other = host.full(shape, 0, "float32")  # memory that the last one had, perhaps
    assert not np.asarray(other).any() and not np.asarray(b).any()
