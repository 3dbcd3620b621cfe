"""The variance's gradient in few passes is that of `jnp.var`, whatever derivative is taken."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from keraslike import ops
from keraslike.ops.variance import mean_and_variance

RNG = np.random.default_rng(0)
X, COTANGENT = RNG.normal(size=(2, 4, 3, 2, 5)) + np.array([[[[[2.0]]]], [[[[0.0]]]]])
CASES = {"channels last": (0, 1, 2), "channels first": (0, -1, 2), "one": 1, "all": None}


def plain(x, axes, keepdims=False):
    return jnp.mean(x, axes, keepdims=keepdims), jnp.var(x, axes, keepdims=keepdims)


def normalized(moments, axes):
    def function(x):
        mean, variance = moments(x, axes, True)
        return jnp.sum(jnp.tanh((x - mean) * lax.rsqrt(variance + 1e-3)) * COTANGENT)

    return function


DERIVATIVES = {
    "reverse": jax.grad,
    "forward": jax.jacfwd,
    "twice": jax.hessian,
    "reverse of reverse": lambda f: jax.grad(lambda x: jnp.sum(jax.grad(f)(x) ** 2)),
    "of a batch": lambda f: lambda x: jax.vmap(jax.grad(f))(jnp.stack([x, 2 * x])),
}


@pytest.mark.parametrize("axes", CASES.values(), ids=CASES)
def test_values(axes):
    for keepdims in (False, True):
        with jax.enable_x64(True):
            found = mean_and_variance(jnp.asarray(X), axes, keepdims)
            expected = plain(jnp.asarray(X), axes, keepdims)
        for one, other in zip(found, expected, strict=True):
            assert one.shape == other.shape
            np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("derivative", DERIVATIVES)
@pytest.mark.parametrize("axes", CASES.values(), ids=CASES)
def test_derivatives(axes, derivative):
    take = DERIVATIVES[derivative]
    with jax.enable_x64(True):
        x = jnp.asarray(X)
        found = jax.jit(take(normalized(mean_and_variance, axes)))(x)
        expected = jax.jit(take(normalized(plain, axes)))(x)
    assert np.max(np.abs(expected)) > 1e-6
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("mean", [0.0, 10.0, 1000.0])
def test_float32_is_as_exact(mean):
    x = RNG.normal(size=(64, 8)) + mean
    cotangent = RNG.normal(size=x.shape)

    def gradient(moments, dtype):
        def function(x):
            center, variance = moments(x, 0)
            return jnp.sum((x - center) * lax.rsqrt(variance + 1e-3) * cotangent.astype(dtype))

        return np.asarray(jax.jit(jax.grad(function))(jnp.asarray(x, dtype)))

    with jax.enable_x64(True):
        exact = gradient(plain, "float64")
    ours, jaxs = (
        np.max(np.abs(gradient(m, "float32") - exact)) for m in (mean_and_variance, plain)
    )
    assert ours <= 4 * jaxs + 1e-6


def test_moments_of_other_numbers():
    for x in (np.array([[1, 2], [3, 5]]), np.array([[1 + 2j, 3], [0, 1j]], "complex64")):
        for one, other in zip(ops.moments(x, 0), (x.mean(0), x.var(0)), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)
