import jax
import jax.numpy as jnp
import numpy as np
import pytest

import keraslike as keras
from keraslike.core import one_kernel
from keraslike.core.one_kernel import run_in_one_kernel


def many(arrays):
    return [jnp.sqrt(jnp.abs(a)) * 2 - jnp.sum(a) for a in arrays], jnp.where(arrays[0] > 0, 1, 0)


def compiled(function, *args):
    return jax.jit(lambda *args: run_in_one_kernel(function, *args)).lower(*args).compile()


def kernels(program):
    """The operations that the outermost computation starts."""
    text = program.as_text()
    entry = text[text.index("ENTRY") :]
    return entry.count(" fusion(") + entry.count(" call(")


ARRAYS = [jnp.linspace(-1, n, 7 * n).reshape(7, n) for n in (3, 5, 8)]


def test_small_arrays():
    program = compiled(many, ARRAYS)
    assert kernels(program) == 1
    for found, expected in zip(jax.tree.leaves(program(ARRAYS)), jax.tree.leaves(many(ARRAYS))):
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "function, args",
    [
        (many, [jnp.ones((600, 300)), jnp.ones(3)]),
        (many, [jnp.ones(2) for _ in range(200)]),
        (lambda arrays: arrays[0] @ arrays[0].T, ARRAYS),
        (lambda arrays: jax.lax.cond(arrays[0][0, 0] > 0, jnp.sin, jnp.cos, arrays[1]), ARRAYS),
    ],
    ids=["large", "many", "a product", "control flow"],
)
def test_what_is_left_to_xla(function, args):
    text = compiled(function, args).as_text()
    assert "xla_cpu_small_call" not in text
    assert "xla_cpu_small_call" in compiled(many, ARRAYS).as_text()


def test_arguments_that_nothing_depends_on():
    """With such an argument, which does not change in a loop, XLA ended the process."""

    def step(_, carry):
        x, kept = carry
        (x,) = run_in_one_kernel(
            lambda x, kept: (x + 1, kept * 2)[:1], x, jnp.tanh(x @ kept)[:, :1]
        )
        return x, kept

    loop = jax.jit(lambda x, kept, n: jax.lax.fori_loop(0, n, step, (x, kept)), donate_argnums=0)
    assert loop(jnp.zeros((4, 6)), jnp.ones((6, 5)), 3)[0].tolist() == [[3.0] * 6] * 4


def test_gradients_of_a_step():
    """Derivatives, of arguments that nothing depends on, are plain functions."""
    optimizer = keras.optimizers.Adam(0.1, clipnorm=0.5)
    variable = keras.Variable(np.ones((3, 2), "float32"))
    optimizer.build([variable])
    state = [v.value for v in optimizer.variables]

    def after(weights):
        (new,), _ = optimizer.stateless_apply(state, [jnp.cos(weights)], [weights])
        return jnp.sum(new**2)

    found = jax.jit(jax.grad(after))(variable.value)
    step = 1e-3
    difference = (after(variable.value + step) - after(variable.value - step)) / (2 * step)
    np.testing.assert_allclose(found.sum(), difference, rtol=1e-2)


def test_transformations():
    batch = [jnp.stack([a, 2 * a]) for a in ARRAYS]
    found = jax.jit(jax.vmap(lambda arrays: run_in_one_kernel(many, arrays)))(batch)
    for one, both in zip(jax.tree.leaves(many([2 * a for a in ARRAYS])), jax.tree.leaves(found)):
        np.testing.assert_allclose(both[1], one, rtol=1e-6)

    def total(function, arrays):
        return sum(jnp.sum(a**2) for a in function(arrays)[0])

    grads = jax.jit(jax.grad(lambda a: total(lambda a: run_in_one_kernel(many, a), a)))(ARRAYS)
    for one, other in zip(grads, jax.grad(lambda a: total(many, a))(ARRAYS)):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_an_optimizer_does_the_same_without(monkeypatch):
    x = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")

    def weights():
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
        model.compile(keras.optimizers.Adam(0.01, clipnorm=0.5), "mse")
        model.fit(x, x[:, :1], batch_size=8, epochs=3, verbose=0)
        model.train_on_batch(x, x[:, :1])
        return model.get_weights()

    found = weights()
    monkeypatch.setattr(one_kernel, "_MOST_ARRAYS", 0)
    for one, other in zip(found, weights()):
        np.testing.assert_allclose(one, other, rtol=1e-5)
