"""Convolution and pooling on the CPU equal the plain JAX operations, in value and derivatives."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jax import export, lax

from keraslike import ops
from keraslike.layers import Conv2D, MaxPooling2D
from keraslike.ops import cpu, cpu_conv, cpu_pool

pytestmark = pytest.mark.slow

quick = functools.partial(
    settings, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


def normal(shape: Any, seed: int, dtype: str = "float32") -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def plain_conv(x, kernel, strides, padding, dilation, last=True):
    n = x.ndim - 2
    layout = (0, n + 1, *range(1, n + 1)) if last else tuple(range(n + 2))
    return lax.conv_general_dilated(
        x,
        kernel,
        strides,
        padding,
        rhs_dilation=dilation,
        dimension_numbers=lax.ConvDimensionNumbers(layout, (n + 1, n, *range(n)), layout),
        feature_group_count=x.shape[layout[1]] // kernel.shape[-2],
    )


def plain_pool(x, mean, size, strides, padding):
    if not mean:
        return lax.reduce_window(x, -jnp.inf, lax.max, size, strides, padding)
    return lax.reduce_window(x, 0.0, lax.add, size, strides, padding)


# Half precision is summed in float32 and rounded once, the plain operations may round on the way.
BOUNDS = {"float32": 1e-5, "float16": 4e-3, "bfloat16": 3e-2}


def same(given: Any, expected: Any, bound: float) -> None:
    """Equal to a part of the largest value, as sums in another order are."""
    assert given.shape == expected.shape and given.dtype == expected.dtype
    a, b = (np.asarray(v, "float64") for v in (given, expected))
    if b.size:
        assert np.abs(a - b).max() <= bound * max(1.0, np.abs(b).max())


def assert_equal(ours: Callable, plain: Callable, *arrays: jax.Array) -> None:
    """Values and gradients, compiled as one."""
    shape = jax.eval_shape(plain, *arrays)
    cotangent = normal(shape.shape, 9, str(shape.dtype))
    dtype = str(arrays[0].dtype)

    def both(function: Callable) -> Any:
        @jax.jit
        def run(cotangent, *arrays):
            value, pull = jax.vjp(function, *arrays)
            return value, *pull(cotangent)

        return run(cotangent, *arrays)

    for a, b in zip(both(ours), both(plain)):
        same(a, b, BOUNDS[dtype])


@st.composite
def convolutions(draw) -> tuple:
    rank = draw(st.sampled_from([1, 2, 2, 2, 3]))
    window = tuple(draw(st.integers(1, (7, 4, 3)[rank - 1])) for _ in range(rank))
    if draw(st.integers(0, 3)) == 0:
        window = (1,) * rank
    strides = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    dilation = tuple(draw(st.integers(1, 2)) for _ in range(rank))
    if draw(st.booleans()):
        strides, dilation = (strides, (1,) * rank) if max(strides) > 1 else (strides, dilation)
    size = tuple((k - 1) * d + 1 + draw(st.integers(0, 5)) for k, d in zip(window, dilation))
    padding = draw(st.sampled_from(["VALID", "SAME", "explicit"]))
    if padding == "explicit":
        padding = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in range(rank))
    kind = draw(st.sampled_from(["full", "grouped", "depthwise"]))
    groups = draw(st.sampled_from([2, 3, 4, 18])) if kind != "full" else 1
    depth = draw(st.sampled_from([1, 2, 3, 5, 8])) if kind != "depthwise" else 1
    filters = groups * draw(st.sampled_from([1, 2, 3] if groups > 1 else [1, 3, 8, 33]))
    last = draw(st.booleans())
    batch = draw(st.integers(1, 3))
    shape = (batch, *size, groups * depth) if last else (batch, groups * depth, *size)
    dtype = draw(st.sampled_from(["float32", "float32", "float16", "bfloat16"]))
    return shape, (*window, depth, filters), strides, padding, dilation, last, dtype


@given(convolutions(), st.booleans())
@quick(max_examples=20)
def test_convolutions(case, biased):
    shape, kernel, *rest, dtype = case

    def plain(x, k, *bias):
        at = (1,) * (x.ndim - 2) if not rest[-1] else ()
        return sum((b.reshape(-1, *at) for b in bias), plain_conv(x, k, *rest))

    assert_equal(
        lambda x, k, *bias: cpu_conv.conv(x, k, *rest, *bias),
        plain,
        normal(shape, 0, dtype),
        normal(kernel, 1, dtype),
        *([normal(kernel[-1:], 2, dtype)] if biased else []),
    )


def plain_transposed(x, kernel, strides, pads, dilation, last=True):
    n = x.ndim - 2
    layout = (0, n + 1, *range(1, n + 1)) if last else tuple(range(n + 2))
    return lax.conv_transpose(
        x,
        kernel,
        strides,
        pads,
        dilation,
        lax.ConvDimensionNumbers(layout, (n + 1, n, *range(n)), layout),
        transpose_kernel=True,
    )


@st.composite
def transposed(draw) -> tuple:
    rank = draw(st.sampled_from([1, 2, 2, 3]))
    window = tuple(draw(st.integers(1, (6, 4, 3)[rank - 1])) for _ in range(rank))
    strides = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    dilation = tuple(draw(st.integers(1, 2)) for _ in range(rank))
    size = tuple(draw(st.integers(1, 4)) for _ in range(rank))
    reach = [(k - 1) * d + 1 for k, d in zip(window, dilation)]
    pads = tuple(
        (draw(st.integers(r // 2, r)), r - 1 + draw(st.integers(-(r // 2), 3))) for r in reach
    )
    last = draw(st.booleans())
    batch, channels = draw(st.integers(1, 3)), draw(st.sampled_from([1, 3, 8]))
    shape = (batch, *size, channels) if last else (batch, channels, *size)
    filters = draw(st.sampled_from([1, 2, 5]))
    dtype = draw(st.sampled_from(["float32", "float32", "float16", "bfloat16"]))
    return shape, (*window, filters, channels), strides, pads, dilation, last, dtype


@given(transposed())
@quick(max_examples=20)
def test_transposed_convolutions(case):
    shape, kernel, *rest, dtype = case
    assert_equal(
        lambda x, k: cpu_conv.conv_transpose(x, k, *rest),
        lambda x, k: plain_transposed(x, k, *rest),
        normal(shape, 0, dtype),
        normal(kernel, 1, dtype),
    )


@st.composite
def poolings(draw) -> tuple:
    rank = draw(st.sampled_from([1, 2, 2, 2, 3]))
    window = tuple(draw(st.integers(1, 4)) for _ in range(rank))
    strides = tuple(draw(st.integers(1, 4)) for _ in range(rank))
    if draw(st.booleans()):
        strides = window
    size = tuple(k + draw(st.integers(0, 6)) for k in window)
    padding = draw(st.sampled_from(["VALID", "SAME", "explicit"]))
    last = draw(st.booleans())

    def whole(spatial: tuple, other: Any) -> tuple:
        return (other, *spatial, other) if last else (other, other, *spatial)

    if padding == "explicit":
        spatial = tuple((draw(st.integers(0, k - 1)), draw(st.integers(0, k - 1))) for k in window)
        padding = whole(spatial, (0, 0))
    dtype = draw(st.sampled_from(["float32", "float32", "float16", "bfloat16"]))
    return whole(size, 2), whole(window, 1), whole(strides, 1), padding, dtype, draw(st.booleans())


@given(poolings())
@quick(max_examples=20)
def test_poolings(case):
    shape, *rest, dtype, mean = case
    pool = cpu_pool.sum_pool if mean else cpu_pool.max_pool
    x = jnp.round(normal(shape, 0, dtype))  # rounded, for equal values in a window
    assert_equal(lambda x: pool(x, *rest), lambda x: plain_pool(x, mean, *rest), x)


# One of each form: (input, kernel, strides).
FORMS = {
    "few": ((2, 6, 6, 1), (3, 3, 1, 32), 1),
    "few, strided": ((2, 7, 7, 3), (3, 3, 3, 4), 2),
    "pointwise": ((2, 5, 5, 6), (1, 1, 6, 3), 1),
    "pointwise, strided": ((2, 5, 5, 6), (1, 1, 6, 3), 2),
    "volume": ((1, 4, 4, 4, 2), (2, 2, 2, 2, 3), 1),
    "volume, many channels": ((2, 4, 3, 3, 8), (3, 2, 2, 8, 5), 1),
    "volume, many filters": ((1, 4, 3, 3, 8), (2, 2, 2, 8, 17), 1),
    "volume, strided": ((1, 5, 5, 5, 9), (2, 2, 2, 9, 3), 2),
    "depthwise": ((2, 6, 6, 4), (3, 3, 1, 8), 1),
    "grouped": ((2, 6, 6, 12), (3, 3, 2, 6), 1),
    "full": ((2, 6, 6, 5), (3, 3, 5, 4), 2),
    "full, strided, a line": ((2, 9, 16), (4, 16, 3), 2),
    "full, strided, many channels": ((2, 6, 7, 17), (2, 3, 17, 4), 2),
    "full, few filters": ((2, 6, 7, 5), (3, 2, 5, 3), 1),
    "full, large": ((2, 9, 8, 5), (4, 3, 5, 4), 2),
    "transposed": ((2, 3, 4, 3), (3, 3, 2, 3), 2),
    "transposed, large": ((2, 3, 4, 3), (4, 4, 2, 3), 2),
    "transposed, few filters": ((2, 3, 4, 6), (3, 4, 3, 6), 2),
    "transposed volume": ((1, 2, 2, 2, 3), (2, 2, 2, 2, 3), 2),
}


def pair(name: str) -> tuple[Callable, Callable, jax.Array, jax.Array]:
    shape, kernel, s = FORMS[name]
    n = len(shape) - 2
    if name.startswith("transposed"):
        around = ((s,) * n, ((1, 2),) * n, (1,) * n)
        return (
            lambda x, k: cpu_conv.conv_transpose(x, k, *around),
            lambda x, k: plain_transposed(x, k, *around),
            normal(shape, 0),
            normal(kernel, 1),
        )
    rest = ((s,) * n, "SAME", (1,) * n)
    return (
        lambda x, k: cpu_conv.conv(x, k, *rest),
        lambda x, k: plain_conv(x, k, *rest),
        normal(shape, 0),
        normal(kernel, 1),
    )


@pytest.mark.parametrize("name", FORMS)
def test_further_derivatives_and_vmap(name):
    ours, plain, x, k = pair(name)
    assert cpu_conv._form(x.shape[-1], k.shape) is not None  # else there is nothing to test
    dx, dk = normal(x.shape, 3), normal(k.shape, 4)
    xs, ks = normal((3, *x.shape), 5), normal((3, *k.shape), 6)

    def loss(f: Callable) -> Callable:
        return lambda x, k: jnp.sum(jnp.tanh(f(x, k)))

    def results(f: Callable) -> Any:
        directional = lambda x, k: jnp.vdot(jax.grad(loss(f))(x, k), dx)  # noqa: E731
        return (
            jax.jvp(f, (x, k), (dx, dk)),
            jax.grad(directional, (0, 1))(x, k),  # reverse over reverse
            jax.jvp(jax.grad(loss(f), 1), (x, k), (dx, dk)),  # forward over reverse
            jax.vmap(f)(xs, ks),
            jax.vmap(f, (None, 0), 1)(x, ks),
            jax.vmap(jax.grad(loss(f), (0, 1)), (0, None))(xs, k),
        )

    for a, b in zip(*map(jax.tree.leaves, (jax.jit(results, static_argnums=0)(f)
                                           for f in (ours, plain)))):  # fmt: skip
        same(a, b, 2e-5)


@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize(
    "size, strides, padding", [(3, 2, "SAME"), (3, 1, "SAME"), (3, 3, "VALID")]
)
def test_further_derivatives_of_pooling(mean, size, strides, padding):
    x, dx = normal((2, 7, 7, 3), 0), normal((2, 7, 7, 3), 1)
    rest = ((1, size, size, 1), (1, strides, strides, 1), padding)
    pool = cpu_pool.sum_pool if mean else cpu_pool.max_pool

    def results(f: Callable) -> Any:
        def loss(x):
            return jnp.sum(jnp.tanh(f(x)) ** 2)

        return (
            jax.grad(lambda x: jnp.vdot(jax.grad(loss)(x), dx))(x),
            jax.vmap(jax.grad(loss))(jnp.stack([x, dx])),
        )

    ours, plain = (
        jax.jit(lambda f=f: results(f))()
        for f in (lambda x: pool(x, *rest), lambda x: plain_pool(x, mean, *rest))
    )
    for a, b in zip(ours, plain):
        same(a, b, 1e-5)
    # Forward mode agrees with reverse mode.
    tangent = jax.jvp(lambda x: pool(x, *rest), (x,), (dx,))[1]
    weights = normal(tangent.shape, 2)
    (back,) = jax.vjp(lambda x: pool(x, *rest), x)[1](weights)
    np.testing.assert_allclose(jnp.vdot(tangent, weights), jnp.vdot(dx, back), rtol=1e-4)


def test_the_first_of_equal_values_gets_the_gradient():
    def total(x: jax.Array, size: int, strides: int) -> jax.Array:
        return jnp.sum(ops.max_pool(x, size, strides))

    for size, strides in ((2, 2), (3, 1)):
        slope = jax.grad(total)(jnp.ones((1, 4, 4, 1)), size, strides)[0, :, :, 0]
        expected = np.zeros((4, 4))
        for i in range(0, 5 - size, strides):
            for j in range(0, 5 - size, strides):
                expected[i, j] += 1
        np.testing.assert_array_equal(slope, expected)


def test_nan_and_infinities_pass_through_max_pooling():
    x = jnp.asarray([[1.0, jnp.nan, 2.0, 3.0, -jnp.inf, -jnp.inf, jnp.inf, 0.0]]).T[None]
    out = ops.max_pool(x, 2)
    np.testing.assert_array_equal(out[0, :, 0], [jnp.nan, 3.0, -jnp.inf, jnp.inf])


@pytest.mark.parametrize("batch", [1, 3, 8, 19])
def test_a_depthwise_gradient_takes_a_batch_of_any_size_in_parts(batch):
    x, k = normal((batch, 9, 8, 6), 0), normal((3, 2, 1, 12), 1)
    rest = ((2, 1), "SAME", (1, 1))
    assert_equal(
        lambda x, k: cpu_conv.conv(x, k, *rest), lambda x, k: plain_conv(x, k, *rest), x, k
    )


def test_a_large_kernel_gradient_is_computed_for_a_few_samples_at_a_time():
    x, k, rest = normal((37, 24, 24, 32), 0), normal((3, 3, 32, 64), 1), ((1, 1), "VALID", (1, 1))
    assert 37 % cpu_conv._each(x.shape, 37 * 22 * 22 * 64 * k[..., 0].size)  # a rest of the batch
    assert_equal(
        lambda x, k: cpu_conv.conv(x, k, *rest), lambda x, k: plain_conv(x, k, *rest), x, k
    )


def test_other_platforms_get_the_plain_operations():
    def model(x, k):
        return ops.max_pool(ops.depthwise_conv(x, k, padding="same"), 2)

    gradient = jax.jit(jax.grad(lambda x, k: jnp.sum(model(x, k)), (0, 1)))
    args = (
        jax.ShapeDtypeStruct((2, 8, 8, 4), "float32"),
        jax.ShapeDtypeStruct((3, 3, 4, 1), "float32"),
    )
    modules = {
        name: export.export(gradient, platforms=[name])(*args).mlir_module()
        for name in ("cpu", "cuda", "tpu")
    }
    for name in ("convolution", "select_and_scatter"):
        assert f"stablehlo.{name}" not in modules["cpu"]
    for name in ("cuda", "tpu"):
        assert "stablehlo.convolution" in modules[name]
        assert "select_and_scatter" in modules[name]
    # One program for both: each finds its own.
    both = export.export(gradient, platforms=["cpu", "cuda"])(*args)
    arrays = normal(args[0].shape, 0), normal(args[1].shape, 1)
    for a, b in zip(both.call(*arrays), gradient(*arrays)):
        same(a, b, 1e-6)


def test_once_is_the_identity():
    x = normal((3, 4), 0).at[0, 0].set(jnp.nan).at[0, 1].set(jnp.inf)

    def twice(x):
        return 2 * cpu.once(x)

    np.testing.assert_array_equal(jax.jit(twice)(x), 2 * x)
    np.testing.assert_array_equal(twice(x), 2 * x)
    values, tangents = jax.jvp(twice, (x,), (x,))
    np.testing.assert_array_equal(tangents, values)
    slope = jax.jit(jax.grad(lambda x: jnp.sum(jnp.sin(twice(x)))))(jnp.ones(3))
    np.testing.assert_allclose(slope, 2 * jnp.cos(2.0) * jnp.ones(3), rtol=1e-6)
    np.testing.assert_array_equal(jax.jit(jax.vmap(twice, 1, 1))(x), 2 * x)
    assert jax.grad(lambda x: jnp.where(cpu.once(x > 0), x, 0.0))(1.0) == 1


def test_once_of_an_argument_is_an_array_of_its_own_unless_it_is_donated():
    x = normal((100,), 0)
    for donated in (False, True):
        y = jax.jit(cpu.once, donate_argnums=[0] if donated else [])(x)
        assert x.is_deleted() == donated
        assert donated or y.unsafe_buffer_pointer() != x.unsafe_buffer_pointer()


def test_derivatives_of_a_bilinear_function_are_its_three_forms():
    """None of which is ever differentiated itself: here they could not be."""

    def opaque(function: Callable) -> Callable:
        def of(a, b):
            shape = jax.eval_shape(function, a, b)
            given = lambda *arrays: function(*map(np.asarray, arrays))  # noqa: E731
            return jax.pure_callback(given, shape, a, b, vmap_method="sequential")

        return of

    product = cpu.Bilinear(
        opaque(lambda x, w: x @ w), opaque(lambda dy, w: dy @ w.T), opaque(lambda x, dy: x.T @ dy)
    )
    x, w, dx, dw = normal((4, 3), 0), normal((3, 2), 1), normal((4, 3), 2), normal((3, 2), 3)

    def results(f: Callable) -> Any:
        def loss(x, w):
            return jnp.sum(jnp.tanh(f(x, w)) * f(x, w))

        def mapped(axes, *arrays):
            def loss_of_all(x, w):
                return jnp.sum(jax.vmap(f, axes)(x, w) ** 2)

            each = jax.vmap(jax.grad(loss, (0, 1)), axes)(*arrays)
            return each, jax.grad(loss_of_all, (0, 1))(*arrays)

        directional = lambda x, w: jnp.vdot(jax.grad(loss)(x, w), dx)  # noqa: E731
        xs, ws = jnp.stack([x, dx], 1), jnp.stack([w, dw])
        return (
            jax.jvp(f, (x, w), (dx, dw)),
            jax.grad(directional, (0, 1))(x, w),  # reverse over reverse
            jax.jvp(jax.grad(loss, (0, 1)), (x, w), (dx, dw)),  # forward over reverse
            mapped((1, 0), xs, ws),
            mapped((None, 0), x, ws),
            mapped((1, None), xs, w),
        )

    for a, b in zip(
        *(jax.tree.leaves(jax.jit(lambda f=f: results(f))()) for f in (product, jnp.matmul))
    ):
        same(a, b, 1e-5)


def test_what_a_convolution_reads_is_computed_once():
    """And not again by its gradient with respect to the kernel, in the order of that one."""

    def loss(k, x):
        return jnp.sum(ops.conv(jnp.tanh(x) * 3 + 1, k) ** 2)

    args = normal((3, 3, 8, 8), 1), normal((4, 9, 9, 8), 0)
    hlo = jax.jit(jax.grad(loss)).lower(*args).compile().as_text()
    assert hlo.count(" tanh(") == 1


def test_a_small_value_that_no_derivative_is_taken_of_is_xla_s_own():
    """One loop convolves and pools, as `predict` on one sample does."""

    def ours(k, x):
        return ops.max_pool(ops.conv(x, k), 2)

    def plain(k, x):
        y = plain_conv(x, k, (1, 1), "VALID", (1, 1))
        return plain_pool(y, False, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

    for channels in (1, 8):
        for batch, is_plain in ((1, True), (64, False)):
            args = normal((3, 3, channels, 16), 1), normal((batch, 14, 14, channels), 0)
            compiled = jax.jit(ours).lower(*args).compile()
            assert ("reduce-window" in compiled.as_text()) == is_plain
            gradient = jax.jit(jax.grad(lambda *args: jnp.sum(ours(*args)))).lower(*args).compile()
            assert "select-and-scatter" not in gradient.as_text()
            same(compiled(*args), plain(*args), 1e-5)
            one_by_one = jax.vmap(ours, (None, 0))(args[0], args[1][:, None])[:, 0]
            same(one_by_one, plain(*args), 1e-5)


def test_export_with_an_unknown_batch():
    batch, height = export.symbolic_shape("b, h")
    k = normal((3, 3, 4, 1), 1)

    def model(x):
        return ops.average_pool(ops.max_pool(ops.depthwise_conv(x, k), 2), 2)

    for shape in ((batch, 12, 12, 4), (batch, height, 12, 4)):
        program = export.export(jax.jit(model))(jax.ShapeDtypeStruct(shape, "float32"))
        x = normal((5, 12, 12, 4), 0)
        same(program.call(x), model(x), 1e-6)


def test_layers_under_jit_grad_and_checkpoint():
    x = normal((4, 10, 10, 1), 0)
    layers = [Conv2D(8, 3), Conv2D(8, 3, groups=4), MaxPooling2D(2), Conv2D(2, 1)]

    def loss(layers, x):
        for layer in layers:
            x = layer(x)
        return jnp.mean(x**2)

    eager = loss(layers, x)
    np.testing.assert_allclose(jax.jit(loss)(layers, x), eager, rtol=1e-5)
    plain, remat = jax.grad(loss)(layers, x), jax.grad(jax.checkpoint(loss))(layers, x)
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(remat)):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_integers_and_empty_batches_stay_plain():
    x = jnp.arange(16).reshape(1, 4, 4, 1)
    assert ops.max_pool(x, 2).ravel().tolist() == [5, 7, 13, 15]
    assert ops.conv(jnp.ones((0, 4, 4, 2)), jnp.ones((3, 3, 1, 2))).shape == (0, 2, 2, 2)
    assert ops.max_pool(jnp.ones((0, 4, 4, 2)), 2).shape == (0, 2, 2, 2)
    for depth in (1, 4):  # The gradients of a depthwise and of an ordinary convolution.
        x, kernel = jnp.ones((0, 5, 5, 4)), jnp.ones((2, 2, depth, 8))
        y, back = jax.vjp(lambda x, kernel: ops.conv(x, kernel, 2, "same"), x, kernel)
        assert y.shape == (0, 3, 3, 8) and not back(y)[1].any()
        assert [g.shape for g in back(y)] == [x.shape, kernel.shape]


@pytest.mark.parametrize(
    "shape, filters, strides, last",
    [((2, 8, 8, 8), 16, 1, True), ((2, 8, 9, 16), 8, 2, True), ((2, 8, 8, 8), 16, 1, False)],
)
def test_convolutions_in_a_loop_have_the_order_of_axes_that_is_fast(shape, filters, strides, last):
    # XLA reorders axes outside loops only: jax issue 12868.
    channels = shape[-1] if last else shape[1]
    kernel = normal((3, 3, channels, filters), 1)

    def total(x, kernel):
        data_format = "channels_last" if last else "channels_first"
        y = ops.conv(x, kernel, strides, "same", data_format)
        return jnp.sum(y * y)

    def looped(x, kernel):
        step = jax.grad(total, (0, 1))
        return lax.fori_loop(0, 3, lambda i, a: step(*a), (x, kernel))

    assert orders(looped, normal(shape, 0), kernel) == {"b01f_01io->b01f"}


def orders(function: Callable, *arrays: jax.Array) -> set[str]:
    """The orders of axes of all convolutions in a compiled function."""
    text = jax.jit(function).lower(*arrays).compile().as_text()
    return set(re.findall(r"convolution\(.*dim_labels=(\S+),", text))


@pytest.mark.parametrize(
    "shape, kernel, padding",
    [
        ((4, 2, 2, 8), (3, 3, 8, 8), "same"),  # a window larger than the image
        ((2, 8, 8, 16), (3, 3, 16, 8), "valid"),  # fewer filters: dy is the input
        ((2, 4, 16), (9, 16, 16), "same"),
    ],
)
def test_convolutions_keep_their_operands_where_a_window_is_larger_than_an_input(
    shape, kernel, padding
):
    def total(x, kernel):
        y = ops.conv(x, kernel, 1, padding)
        return jnp.sum(y * y)

    ours, letters = normal(kernel, 1), "01"[: len(shape) - 2]
    found = orders(jax.value_and_grad(total, (0, 1)), normal(shape, 0), ours)
    assert found == {f"b{letters}f_{letters}io->b{letters}f"}


@pytest.mark.parametrize("strides, dilation", [(1, 1), (2, 1), (1, 2)])
@pytest.mark.parametrize("size, window", [((2, 3), (3, 5)), ((1, 1), (3, 3)), ((4, 5), (5, 4))])
def test_convolutions_with_windows_larger_than_the_image(size, window, strides, dilation):
    x, kernel = normal((2, *size, 8), 0), normal((*window, 8, 6), 1)
    steps, holes = (strides,) * 2, (dilation,) * 2

    def of(conv):
        def total(x, kernel):
            return jnp.sum(jnp.sin(conv(x, kernel, steps, "SAME", holes)))

        return jax.value_and_grad(total, (0, 1))(x, kernel)

    for ours, expected in zip(jax.tree.leaves(of(cpu_conv.conv)), jax.tree.leaves(of(plain_conv))):
        same(ours, expected, 1e-5)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8", "uint8", "bool"])
def test_places_of_extremes(name: str, dtype: str) -> None:
    # Of 40 values, few of which differ, so that the first of equal ones counts.
    shapes = {(5, 40): 1, (40, 3): 0, (2, 3, 40): -1, (2, 20): None}
    arrays = {s: (normal(s, 0) * 3).astype("int8").astype(dtype) for s in shapes}

    @functools.partial(jax.jit, static_argnums=0)  # one program for all
    def found(module: Any, arrays: dict) -> list:
        function = getattr(module, name)
        axes = [(arrays[s], axis) for s, axis in shapes.items()]
        return [function(x, axis, keepdims=k) for x, axis in axes for k in (False, True)]

    expected = found(jnp, arrays)
    by_itself = getattr(ops, name)(arrays[5, 40], 1)
    for a, b in zip([by_itself, *found(ops, arrays)], [expected[0], *expected], strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_places_of_extremes_of_nan_and_of_infinities() -> None:
    x = np.full((4, 40), -np.inf, "float32")
    x[1, [7, 9]] = np.nan
    x[2, 5:] = np.inf
    for function in (ops.argmax, jax.jit(ops.argmax, static_argnums=1)):
        assert function(x, 1).tolist() == [0, 7, 5, 0]
    assert ops.argmin(x, 1).tolist() == [0, 7, 0, 0]
    assert jax.grad(lambda v: v[ops.argmax(v)] ** 2)(jnp.arange(40.0)).sum() == 78
