"""When the initial values of Variables are drawn: when they are first asked for."""

import concurrent.futures
import copy
import pickle
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import keraslike
from keraslike import Variable, layers


@pytest.fixture
def draws(monkeypatch):
    """The shapes that are drawn, in order."""
    from keraslike.core import host

    seen, real = [], {name: getattr(host, name) for name in ("uniform", "truncated_normal")}

    def noting(name):
        def draw(key, shape, *args):
            seen.append(tuple(shape))
            return real[name](key, shape, *args)

        return draw

    for name in ("uniform", "truncated_normal"):
        monkeypatch.setattr(host, name, noting(name))
    return seen


def test_initial_values_are_drawn_when_they_are_first_asked_for(draws):
    keraslike.utils.set_random_seed(5)
    model = keraslike.Sequential([keraslike.Input((3,)), layers.Dense(4), layers.Dense(5)])
    clone = keraslike.models.clone_model(model)
    model.compile(loss="mse", optimizer="adam")
    model.optimizer.build(model.trainable_variables)
    model.summary(print_fn=lambda line: None)
    first, second = model.layers[0].kernel, model.layers[1].kernel
    assert (first.shape, first.ndim, first.size, first.dtype) == ((3, 4), 2, 12, "float32")
    copied = copy.deepcopy(model)
    assert draws == []
    initializer = model.layers[0].kernel_initializer
    np.testing.assert_array_equal(first, initializer((3, 4)))
    assert draws == [(3, 4)] * 2
    np.testing.assert_array_equal(copied.layers[0].kernel, first)
    np.testing.assert_array_equal(clone.layers[0].kernel.numpy().shape, (3, 4))
    second.assign(np.ones((4, 5)))
    draws.clear()
    assert second.numpy().sum() == 20 and draws == []
    assert "kernel" in repr(copied.layers[1].kernel) and draws == [(4, 5)]


def test_initial_values_do_not_depend_on_where_they_are_drawn():
    def made():
        init = keraslike.initializers.HeNormal(seed=3)
        return Variable(init, shape=(3, 4), name="v"), init((3, 4))

    at_once, expected = made()
    np.testing.assert_array_equal(at_once, expected)
    in_trace, _ = made()
    sums = jax.jit(lambda x: (x + in_trace.value).sum())(0.0)
    np.testing.assert_array_equal(in_trace, expected)
    np.testing.assert_allclose(sums, expected.sum(), rtol=1e-5)
    in_gradient, _ = made()
    grads = jax.grad(lambda x: (x * in_gradient.value).sum())(jnp.ones((3, 4)))
    np.testing.assert_array_equal(grads, expected)
    mapped, _ = made()
    rows = jax.vmap(lambda i: mapped.value[i])(jnp.arange(3))
    np.testing.assert_array_equal(rows, expected)
    pickled, _ = made()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(pickled)), expected)
    in_tree, _ = made()
    np.testing.assert_array_equal(jax.tree.leaves(in_tree)[0], expected)
    wide, init = made()[0], keraslike.initializers.HeNormal(seed=3)
    with jax.enable_x64(True):
        assert wide.value.dtype == "float32"
        double = Variable(init, shape=(3, 4), dtype="float64", name="double")
    assert double.value.dtype == "float64"


@pytest.mark.parametrize(
    "initializer, shape",
    [("orthogonal", (3,)), ("identity", (3,)), (lambda shape, dtype: 1 / 0, (3,))],
)
def test_what_cannot_be_drawn_raises_when_a_variable_is_made(initializer, shape):
    with pytest.raises((ValueError, ZeroDivisionError)):
        Variable(initializer, shape=shape)
    with pytest.raises(ValueError, match="floating"):
        Variable("glorot_uniform", shape=(2, 3), dtype="int32")


def test_initial_values_that_change_from_call_to_call_are_drawn_in_order(draws):
    stream = keraslike.random.SeedGenerator(3)
    init = keraslike.initializers.RandomUniform(seed=stream)
    first, second = (Variable(init, shape=(2,), name=name) for name in "ab")
    assert draws == [(2,)] * 2
    assert second.numpy().tolist() != first.numpy().tolist()


def test_threads_that_ask_for_an_initial_value_get_one():
    for _ in range(20):
        v = Variable(keraslike.initializers.RandomUniform(seed=1), shape=(64, 64), name="v")
        start = threading.Barrier(3)

        def read(v=v, start=start):
            start.wait()
            return v.numpy()

        def change(v=v, start=start):
            start.wait()
            v.assign(jnp.full((64, 64), 7.0))

        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            reads = [pool.submit(read), pool.submit(read)]
            pool.submit(change).result()
        assert all(r.result().shape == (64, 64) for r in reads)
        assert (v.numpy() == 7).all()
