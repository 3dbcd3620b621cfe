"""Attention, dropout and layer normalization on the CPU equal the plain operations."""

from __future__ import annotations

import functools
import re
from collections import Counter
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax import export

from keraslike import ops, random
from keraslike.core.symbolic import KerasTensor
from keraslike.ops import attention, cpu_random
from keraslike.ops.attention import _dropped_attention, _plain

from .test_cpu_lowerings import BOUNDS, normal, quick, same

pytestmark = pytest.mark.slow

sizes = functools.partial(st.integers, 1)
DTYPES = st.sampled_from(["float32", "float32", "float32", "bfloat16", "float16"])


@st.composite
def attentions(draw):
    """Arrays, keyword arguments."""
    batch, targets, sources = draw(sizes(3)), draw(sizes(9)), draw(sizes(9))
    groups, shared, dim = draw(sizes(2)), draw(sizes(3)), draw(sizes(9))
    dtype, heads = draw(DTYPES), groups * shared
    arrays = [
        normal((batch, targets, heads, dim), 0, dtype),
        normal((batch, sources, groups, dim), 1, dtype),
        normal((batch, sources, groups, draw(st.sampled_from([dim, dim, 3]))), 2, dtype),
    ]
    scores = (batch, heads, targets, sources)
    part = [n if draw(st.booleans()) else 1 for n in scores][draw(st.sampled_from([0, 0, 2])) :]
    call = {"scale": draw(st.sampled_from([None, 0.3])), "is_causal": draw(st.booleans())}
    if draw(st.booleans()):
        call["mask"] = normal(part, 3) > -0.5
    if draw(st.booleans()):
        call["bias"] = normal(part, 4, dtype)
    return arrays, call


def plain(q, k, v, bias=None, mask=None, scale=None, is_causal=False):
    whole = (q.shape[0], q.shape[2], q.shape[1], k.shape[1])
    extra = {
        n: jnp.broadcast_to(x, whole) for n, x in {"bias": bias, "mask": mask}.items()
        if x is not None
    }  # fmt: skip
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    return _plain(q, k, v, *extra.values(), tuple(extra), scale, is_causal, 0.0, None)


def by_definition(q, k, v, bias=None, mask=None, scale=None, is_causal=False):
    """In float64, one score after the other."""
    q, k, v = (np.asarray(x, "float64") for x in (q, k, v))
    k, v = (np.repeat(x, q.shape[2] // k.shape[2], 2) for x in (k, v))
    scores = np.einsum("bthd,bshd->bhts", q, k) * (q.shape[-1] ** -0.5 if scale is None else scale)
    scores = scores + (0 if bias is None else np.asarray(bias, "float64"))
    seen = np.ones(scores.shape, bool) if mask is None else np.broadcast_to(mask, scores.shape)
    if is_causal:
        seen = seen & np.tri(*scores.shape[2:], dtype=bool)
    scores = np.where(seen, scores, -1e30)
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return np.einsum("bhts,bshd->bthd", powers / powers.sum(-1, keepdims=True), v)


@given(attentions())
@quick(max_examples=7)
def test_attention_is_the_plain_one(case):
    arrays, call = case
    dtype = str(arrays[0].dtype)
    ours = functools.partial(ops.dot_product_attention, **call)
    theirs = functools.partial(plain, **call)
    wide = [a.astype("float32") for a in arrays]  # JAX's form of half precision has no CPU program
    cotangent = normal(jax.eval_shape(theirs, *wide).shape, 9, dtype)

    def both(function, cotangent, *arrays):
        def run(cotangent, *arrays):
            value, pull = jax.vjp(function, *arrays)
            return value, *pull(cotangent)

        return jax.jit(run)(cotangent, *arrays)

    expected = both(theirs, cotangent.astype("float32"), *wide)
    for a, b in zip(both(ours, cotangent, *arrays), expected):
        same(a, b.astype(dtype), BOUNDS[dtype])
    same(expected[0], by_definition(*wide, **call).astype("float32"), 1e-5)


@given(attentions(), st.sampled_from([0.0, 0.3]), st.sampled_from([100, 400]))
@quick(max_examples=5)
def test_attention_of_a_few_samples_at_a_time_and_with_dropout(case, rate, cached):
    (q, k, v), call = case
    q, k, v = (jnp.concatenate([x, x + 1]).astype("float32") for x in (q, k, v))
    call["bias"] = normal((1, 1, q.shape[1], 1), 4) if rate == 0 else None
    seen = normal((len(q), 1, 1, k.shape[1]), 3) > -1
    whole = (len(q), q.shape[2], q.shape[1], k.shape[1])
    kept = normal(whole, 6) > -0.5
    extra = {"mask": seen, **({"kept": kept} if rate else {"bias": call["bias"]})}
    scale = q.shape[-1] ** -0.5 if call["scale"] is None else call["scale"]
    settings = scale, call["is_causal"], rate
    moves = tuple(normal(x.shape, 7) for x in (q, k, v))
    cotangent = normal((*q.shape[:3], v.shape[3]), 8)

    def ours(q, k, v):
        if rate:
            return _dropped_attention(q, k, v, kept, rate, seen, *settings[:2])
        return ops.dot_product_attention(q, k, v, **{**call, "mask": seen})

    def by_softmax(q, k, v):
        some = {n: jnp.broadcast_to(x, whole) for n, x in extra.items()}
        return _plain(q, k, v, *some.values(), tuple(some), *settings, None)

    def all_of(function):
        value, pull = jax.vjp(function, q, k, v)
        twice = jax.jvp(jax.grad(lambda *x: jnp.sum(jnp.sin(function(*x)))), (q, k, v), moves)
        return value, pull(cotangent), twice

    with mock.patch.object(attention, "_CACHED", cached):
        found = jax.jit(lambda: all_of(ours))()
    for a, b in zip(*map(jax.tree.leaves, (found, jax.jit(lambda: all_of(by_softmax))()))):
        same(a, b, 5e-5)


@pytest.mark.parametrize("targets,sources,rate", [(9, 9, 0.3), (7, 4, 0.0), (6, 9, 0.0)])
def test_causal_attention_in_blocks(targets, sources, rate):
    q = normal((4, targets, 4, 3), 0)
    k, v = normal((4, sources, 2, 3), 1), normal((4, sources, 2, 5), 2)
    kept = normal((4, 4, targets, sources), 6) > -0.5
    cotangent = normal((4, targets, 4, 5), 8)

    def ours(q, k, v):
        if rate:
            return _dropped_attention(q, k, v, kept, rate, is_causal=True)
        return ops.dot_product_attention(q, k, v, is_causal=True)

    def by_softmax(q, k, v):
        names, arrays = (("kept",), (kept,)) if rate else ((), ())
        return _plain(q, k, v, *arrays, names, 3**-0.5, True, rate, None)

    def all_of(function):
        value, pull = jax.vjp(function, q, k, v)
        return value, pull(cotangent)

    for cached in (100, 1 << 22):
        with mock.patch.multiple(attention, _IN_BLOCKS=5, _CACHED=cached):
            found = jax.jit(lambda: all_of(ours))()
        for a, b in zip(*map(jax.tree.leaves, (found, jax.jit(lambda: all_of(by_softmax))()))):
            same(a, b, 5e-5)


def test_long_causal_attention_computes_what_is_seen():
    x = jax.ShapeDtypeStruct((1, 1024, 1, 8), "float32")
    work = [
        jax.jit(lambda x, causal=causal: ops.dot_product_attention(x, x, x, is_causal=causal))
        .lower(x)
        .compile()
        .cost_analysis()["flops"]
        for causal in (False, True)
    ]
    assert work[1] < 0.7 * work[0]


def test_long_scores_are_not_held():
    x = jnp.ones((256, 128, 4, 16))
    step = jax.jit(jax.grad(lambda x: ops.dot_product_attention(x, x, x).sum()))
    memory = step.lower(x).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 0.5 * 256 * 4 * 128 * 128 * 4


@given(attentions())
@quick(max_examples=2)
def test_forward_mode_second_derivatives_and_vmap(case):
    arrays, call = case
    call = {k: v for k, v in call.items() if k != "bias"}
    arrays = [a.astype("float32") for a in arrays]
    moves = [normal(a.shape, 5 + i) for i, a in enumerate(arrays)]

    def results(of):
        def size(*x):
            return jnp.sum(jnp.sin(of(*x)))

        twice = jax.jvp(jax.grad(size, (0, 1, 2)), arrays, moves)
        stacked = [jnp.stack([a, 2 * a]) for a in arrays]
        return jax.jvp(of, arrays, moves), twice, jax.vmap(of)(*stacked)

    ours, expected = (
        jax.jit(lambda f=f: results(functools.partial(f, **call)))()
        for f in (ops.dot_product_attention, plain)
    )
    for a, b in zip(*map(jax.tree.leaves, (ours, expected))):
        same(a, b, 5e-5)


def test_scores_of_any_size_are_no_overflow():
    x = jnp.full((1, 4, 1, 2), 3e4)
    out, pull = jax.vjp(lambda v: ops.dot_product_attention(x, x, v), x)
    assert np.isfinite(np.asarray(out)).all() and np.isfinite(np.asarray(pull(out)[0])).all()
    hidden = ops.dot_product_attention(x, x, normal(x.shape, 1), mask=jnp.zeros((4, 4), bool))
    np.testing.assert_allclose(hidden, np.broadcast_to(hidden[:, :1], hidden.shape), rtol=1e-5)


def test_programs_for_other_platforms_hold_the_plain_form():
    x = jnp.ones((2, 4, 2, 8))

    def kinds(function, platform):
        text = export.export(jax.jit(function), platforms=[platform])(x, x, x).mlir_module()
        return Counter(re.findall(r"stablehlo\.(\w+)", text))

    ours, plain = ops.dot_product_attention, jax.nn.dot_product_attention
    assert kinds(ours, "cuda") == kinds(plain, "cuda") != kinds(ours, "cpu")


def test_symbolic_sizes():
    t = KerasTensor((None, None, 2, 8))
    assert ops.dot_product_attention(t, t, t, is_causal=True).shape == (None, None, 2, 8)
    grouped = KerasTensor((None, None, 1, 8))
    assert ops.dot_product_attention(t, grouped, grouped).shape == (None, None, 2, 8)


@pytest.mark.parametrize(
    "shapes,call,named",
    [
        ([(2, 3, 4)] * 3, {}, "query must have 4 axes"),
        ([(1, 2, 3, 4), (1, 2, 2, 4), (1, 2, 2, 4)], {}, "heads must be a multiple"),
        ([(1, 2, 2, 4), (1, 2, 2, 4), (1, 2, 1, 4)], {}, "heads must be a multiple"),
        ([(1, 2, 2, 4)] * 3, {"mask": np.ones((3, 2), bool)}, "mask must broadcast"),
        ([(1, 2, 2, 4)] * 3, {"bias": np.ones((1, 1, 3, 2, 2))}, "bias must broadcast"),
        ([(1, 2, 2, 4)] * 3, {"attn_logits_soft_cap": 1.0}, "attn_logits_soft_cap"),
    ],
)
def test_errors_name_the_argument(shapes, call, named):
    with pytest.raises(ValueError, match=named):
        ops.dot_product_attention(*(normal(s, 0) for s in shapes), **call)


# -- random bits ----------------------------------------------------------------------------------


@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(0, 40), max_size=3),
    st.floats(0, 1),
)
@quick(max_examples=12)
def test_the_bits_are_those_of_jax(one, other, shape, p):
    key = jnp.asarray([one, other], "uint32")
    expected = jax.random.bernoulli(key, p, tuple(shape))
    np.testing.assert_array_equal(cpu_random.bernoulli(key, p, tuple(shape)), expected)
    run = jax.jit(cpu_random.bernoulli, static_argnums=(1, 2))
    np.testing.assert_array_equal(run(key, p, tuple(shape)), expected)


def test_keys_may_be_batched_and_of_other_generators():
    keys = jax.random.split(jax.random.PRNGKey(3), 4)
    draw = functools.partial(cpu_random.bernoulli, p=0.4, shape=(7,))
    expected = [jax.random.bernoulli(k, 0.4, (7,)) for k in keys]
    np.testing.assert_array_equal(jax.vmap(draw)(keys), np.stack(expected))
    typed = jax.random.key(1, impl="rbg")
    np.testing.assert_array_equal(draw(typed), jax.random.bernoulli(typed, 0.4, (7,)))


def test_the_gradient_of_dropout_is_its_mask():
    x = normal((50,), 0)
    out, pull = jax.vjp(lambda x: random.dropout(x, 0.3, seed=1), x)
    (grad,) = pull(jnp.ones(50))
    np.testing.assert_allclose(grad, np.asarray(out != 0) / 0.7, rtol=1e-6)


# -- layer normalization --------------------------------------------------------------------------


@given(st.lists(sizes(6), min_size=2, max_size=4), st.booleans(), DTYPES, st.floats(-30, 30))
@quick(max_examples=6)
def test_layer_normalization_is_its_definition(shape, several, dtype, mean):
    axes = (-1, -2) if several else (-1,)
    x = (normal(shape, 0) + mean).astype(dtype)
    shape = x.shape[-len(axes) :]
    gamma, beta = normal(shape, 1), normal(shape, 2)

    def ours(x, gamma, beta):
        return ops.layer_normalization(x, gamma, beta, axes, 0.1)

    def definition(x, gamma, beta):
        wide = x.astype("float32")
        away = wide - wide.mean(axes, keepdims=True)
        deviation = jnp.sqrt(wide.var(axes, keepdims=True) + 0.1)
        return (gamma * away / deviation + beta).astype(x.dtype)

    @functools.partial(jax.jit, static_argnums=0)
    def both(function, cotangent, *arrays):
        value, pull = jax.vjp(function, *arrays)
        return value, pull(cotangent)

    cotangent = normal(x.shape, 3, dtype)
    out, slopes = both(ours, cotangent, x, gamma, beta)
    expected, expected_slopes = both(definition, cotangent, x, gamma, beta)
    same(out, expected, BOUNDS[dtype])
    for a, b in zip(slopes, expected_slopes):
        same(a, b, 2 * BOUNDS[dtype])
