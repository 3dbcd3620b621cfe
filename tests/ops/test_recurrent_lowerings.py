"""The fast recurrent loops equal the plain ones, in value and in derivatives of every kind."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jax import export, lax

from keraslike.core.rng import SeedGenerator
from keraslike.core.variable import Variable
from keraslike.ops import recurrent

pytestmark = pytest.mark.slow

quick = functools.partial(
    settings, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
GATES = {"lstm": 4, "gru": 3, "simple_rnn": 1}
BOUNDS = {"float32": 1e-5, "float16": 5e-3, "bfloat16": 5e-2}


def lstm_step(a, h, c, kernel, bias):
    z = a + h @ kernel + bias
    i, f, g, o = jnp.split(z, 4, -1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def gru_step(a, h, kernel, bias):
    z, r, x = jnp.split(a + bias[0], 3, -1)
    u, v, w = jnp.split(h @ kernel + bias[1], 3, -1)
    z, r = jax.nn.sigmoid(z + u), jax.nn.sigmoid(r + v)
    return (z * h + (1 - z) * jnp.tanh(x + r * w),)


def simple_step(a, h, kernel, bias):
    return (jnp.tanh(a + h @ kernel + bias),)


STEPS = {"lstm": lstm_step, "gru": gru_step, "simple_rnn": simple_step}


def plain(name, reverse, mask, x, kernel, recurrent_kernel, bias, *states):
    """The definition, step by step."""

    def body(states, given):
        x, keep = given
        new = STEPS[name](x @ kernel, *states, recurrent_kernel, bias)
        if keep is not None:
            new = tuple(jnp.where(keep[:, None], a, b) for a, b in zip(new, states))
        return new, new[0]

    last, outputs = lax.scan(body, states, (x, mask), reverse=reverse)
    return outputs, last


def fast(name, reverse, mask, *arrays, unroll=False):
    return getattr(recurrent, name)(*arrays, mask=mask, reverse=reverse, unroll=unroll)


# Compiling takes longer than running by far: less care of the compiler.
compiled = functools.partial(
    jax.jit,
    compiler_options={
        "xla_backend_optimization_level": 0,
        "xla_llvm_disable_expensive_passes": True,
    },
)


def arrays_for(name, steps, batch, features, units, dtype="float32", seed=0):
    n = GATES[name] * units
    shapes = [(steps, batch, features), (features, n), (units, n)]
    shapes += [(2, n) if name == "gru" else (n,)] + [(batch, units)] * (1 + (name == "lstm"))
    rng = np.random.default_rng(seed)
    return [jnp.asarray(rng.normal(size=shape) * 0.5, dtype) for shape in shapes]


def weigh(tree: Any) -> Any:
    """A scalar in which every element of the outputs counts with another weight."""
    leaves = jax.tree.leaves(tree)
    return sum(jnp.sum(a * jnp.cos(jnp.arange(a.size, dtype=a.dtype)).reshape(a.shape))
               for a in leaves)  # fmt: skip


def same(given: Any, expected: Any, bound: float) -> None:
    given, expected = jax.tree.leaves(given), jax.tree.leaves(expected)
    assert len(given) == len(expected)
    for a, b in zip(given, expected):
        assert a.shape == b.shape and a.dtype == b.dtype
        a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
        assert np.abs(a - b).max() <= bound * max(1.0, np.abs(b).max())


def value_and_gradients(function, *arrays):
    def run(*arrays):
        out = function(*arrays)
        return weigh(out), out

    return compiled(jax.value_and_grad(run, range(len(arrays)), has_aux=True))(*arrays)


@pytest.mark.parametrize("name", list(GATES))
@quick(max_examples=4)
@given(
    steps=st.integers(1, 7),
    batch=st.integers(1, 5),
    features=st.integers(1, 5),
    units=st.integers(1, 6),
    reverse=st.booleans(),
    unroll=st.booleans(),
    masked=st.booleans(),
    dtype=st.sampled_from(list(BOUNDS)),
)
def test_equals_the_definition(name, steps, batch, features, units, reverse, unroll, masked, dtype):
    arrays = arrays_for(name, steps, batch, features, units, dtype)
    mask = np.random.default_rng(1).random((steps, batch)) < 0.6 if masked else None
    ours = functools.partial(fast, name, reverse, mask, unroll=unroll)
    # Rounded in every step the definition would be the less exact of the two.
    wide = [a.astype("float32") for a in arrays]
    (value, out), grads = value_and_gradients(ours, *arrays)
    (_, expected), expected_grads = value_and_gradients(
        functools.partial(plain, name, reverse, mask), *wide
    )
    assert value.dtype == dtype
    cast = functools.partial(jax.tree.map, lambda a: a.astype(dtype))
    same(out, cast(expected), BOUNDS[dtype])
    same(grads, cast(expected_grads), BOUNDS[dtype])
    # Without a derivative another program runs.
    same(compiled(ours)(*arrays), cast(expected), BOUNDS[dtype])


@pytest.mark.parametrize(("name", "masked"), [*((name, True) for name in GATES), ("lstm", False)])
def test_forward_mode_second_derivatives_and_vmap(name, masked):
    arrays = arrays_for(name, 4, 3, 2, 3)
    moved = arrays_for(name, 4, 3, 2, 3, seed=5)
    mask = jnp.asarray(np.random.default_rng(1).random((4, 3)) < 0.6) if masked else None
    ours, reference = (functools.partial(f, name, False, mask) for f in (fast, plain))
    pairs = [jnp.stack([a, 2 * a]) for a in arrays]
    shared = [a if i in (1, 2, 3) else p for i, (a, p) in enumerate(zip(arrays, pairs))]
    axes = (0, None, None, None, *(0,) * (len(arrays) - 4))
    every = range(len(arrays))

    def derived(f):
        def scalar(*a):
            return weigh(f(*a))

        def of_gradients(*a):
            return weigh([g**2 for g in jax.grad(scalar, (0, 2, 3))(*a)])

        return (
            jax.jvp(f, arrays, moved),
            jax.vmap(f, axes)(*shared),
            jax.vmap(jax.grad(scalar, 2))(*pairs),
            jax.jvp(jax.grad(scalar, every), tuple(arrays), tuple(moved)),
            jax.grad(of_gradients, every)(*arrays),
        )

    same(compiled(lambda: derived(ours))(), compiled(lambda: derived(reference))(), 1e-4)


def test_the_weights_gradients_are_formed_after_the_loop():
    arrays = arrays_for("lstm", 9, 2, 3, 5)

    def gradients(*arrays):
        return jax.grad(lambda *a: weigh(recurrent.lstm(*a)), range(len(arrays)))(*arrays)

    text = str(jax.make_jaxpr(gradients)(*arrays))
    assert text.count("= scan[") == 2  # one there, one back
    # And no loop sums up anything of a weight's shape.
    loops = [e for e in jax.make_jaxpr(gradients)(*arrays).eqns if e.primitive.name == "scan"]
    assert all(v.aval.shape != (5, 20) for loop in loops for v in loop.outvars)


@pytest.mark.parametrize("activation", [jax.nn.relu, jax.nn.sigmoid, lambda z: z])
def test_simple_rnn_takes_any_activation_of_elements(activation):
    x, kernel, recurrent_kernel, bias, h = arrays_for("simple_rnn", 5, 2, 3, 4)

    def reference(x, kernel, recurrent_kernel, bias, h):
        outputs = []
        for a in x:
            h = activation(a @ kernel + h @ recurrent_kernel + bias)
            outputs.append(h)
        return jnp.stack(outputs), (h,)

    ours = functools.partial(recurrent.simple_rnn, activation=activation)
    arrays = (x, kernel, recurrent_kernel, bias, h)
    same(value_and_gradients(ours, *arrays), value_and_gradients(reference, *arrays), 1e-5)


@pytest.mark.parametrize("name", list(GATES))
def test_sizes_that_are_not_known_yet(name):
    arrays = arrays_for(name, 5, 3, 2, 4)
    steps, batch = export.symbolic_shape("t, b")
    shapes = [(steps, batch, 2), *(a.shape for a in arrays[1:4]), *[(batch, 4)] * len(arrays[4:])]
    exported = export.export(jax.jit(functools.partial(fast, name, True, None)))(
        *(jax.ShapeDtypeStruct(s, "float32") for s in shapes)
    )
    same(exported.call(*arrays), plain(name, True, None, *arrays), 1e-5)


def test_saturated_gates_are_finite():
    x, *rest = arrays_for("lstm", 3, 2, 2, 3)
    (_, out), grads = value_and_gradients(recurrent.lstm, x * 1e4, *rest)
    assert all(bool(jnp.isfinite(a).all()) for a in jax.tree.leaves((out, grads)))


# -- any cell ---------------------------------------------------------------------------------


def accumulate(x, states):
    new = states[0] + x
    return new, [new]


@pytest.mark.parametrize("unroll", [False, True])
def test_masked_steps_repeat_or_are_zero(unroll):
    x = jnp.arange(1.0, 5.0)[:, None, None]
    mask = jnp.array([False, True, False, True])[:, None]
    states = [jnp.full((1, 1), 10.0)]
    run = functools.partial(recurrent.rnn, accumulate, x, states, mask, unroll=unroll)
    outputs, (last,) = run()
    assert outputs.ravel().tolist() == [10, 12, 12, 16] and float(last[0, 0]) == 16
    assert run(zero_output_for_mask=True)[0].ravel().tolist() == [0, 12, 0, 16]
    outputs, (last,) = run(reverse=True)
    assert outputs.ravel().tolist() == [16, 16, 14, 14] and float(last[0, 0]) == 16


def test_an_output_that_cannot_be_repeated():
    def step(x, states):
        return jnp.concatenate([x, x], -1), states

    x, mask = jnp.ones((3, 1, 1)), jnp.ones((3, 1), bool)
    with pytest.raises(ValueError, match="zero_output_for_mask=True"):
        recurrent.rnn(step, x, [jnp.ones((1, 1))], mask)
    outputs, _ = recurrent.rnn(step, x, [jnp.ones((1, 1))], mask, zero_output_for_mask=True)
    assert outputs.shape == (3, 1, 2)


def test_variables_change_from_step_to_step():
    count, stays, stream = Variable(0.0), Variable(5.0), SeedGenerator(1)

    def step(x, states):
        count.assign_add(1.0)
        noise = jax.random.uniform(stream.next(), x.shape)
        return count.value + stays.value + 0 * x, [noise]

    variables = [count, stays, stream.state]
    outputs, _ = recurrent.rnn(step, jnp.ones((3, 1)), [jnp.ones(1)], variables=variables)
    assert outputs.ravel().tolist() == [6, 7, 8]
    assert float(count.value) == 3 and stream.state.numpy().tolist() == [1, 3]
