"""Operations that keraslike writes its own way, each alone: plain jax beside `keraslike.ops`, ms.

The two take turns in one process, and the ratio is the median of the ratios of the turns, since
machines are noisy. `cpu` is the same ratio of processor time, which other programs disturb less.

    python benchmarks/lowerings.py [--rounds 15] [--only depthwise]
"""

from __future__ import annotations

import argparse
import functools
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from by_hand import gru_step, lstm_step, simple_step
from jax import lax

from keraslike import ops
from keraslike.core.compilation import compiler_options
from keraslike.layers import Embedding
from keraslike.ops import recurrent


def normal(*shape: int, seed: int = 0, dtype: str = "float32") -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def plain_conv(x: jax.Array, kernel: jax.Array, strides: int, padding: str, dilation: int):
    n = x.ndim - 2
    layout = (0, n + 1, *range(1, n + 1))
    return lax.conv_general_dilated(
        x,
        kernel,
        (strides,) * n,
        padding.upper(),
        rhs_dilation=(dilation,) * n,
        dimension_numbers=lax.ConvDimensionNumbers(layout, (n + 1, n, *range(n)), layout),
        feature_group_count=x.shape[-1] // kernel.shape[-2],
    )


def conv(name: str, x: tuple, kernel: tuple, strides: int = 1, dilation: int = 1, **kw: Any):
    padding, dtype = kw.get("padding", "same"), kw.get("dtype", "float32")
    shapes = f"{name} {'x'.join(map(str, x))} * {'x'.join(map(str, kernel))}"
    more = (f" /{strides}" if strides > 1 else "") + (f" ~{dilation}" if dilation > 1 else "")
    more += "" if dtype == "float32" else f" {dtype}"
    ours = functools.partial(ops.conv, strides=strides, padding=padding, dilation_rate=dilation)
    plain = functools.partial(plain_conv, strides=strides, padding=padding, dilation=dilation)
    arrays = normal(*x, dtype=dtype), normal(*kernel, seed=1, dtype=dtype)
    return shapes + more, plain, ours, arrays


def transposed(x: tuple, kernel: tuple, strides: int):
    """`padding="same"`, beside what Keras's JAX backend does."""
    n = len(x) - 2
    layout = (0, n + 1, *range(1, n + 1))
    numbers = lax.ConvDimensionNumbers(layout, (n + 1, n, *range(n)), layout)
    pads = []
    for k in kernel[:n]:
        before = min((strides + k - 1) // 2, k - 1)
        pads.append((before, strides + k - 2 - before))

    def plain(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return lax.conv_transpose(
            x, kernel, (strides,) * n, pads, dimension_numbers=numbers, transpose_kernel=True
        )

    name = f"transposed {'x'.join(map(str, x))} * {'x'.join(map(str, kernel))} /{strides}"
    ours = functools.partial(ops.conv_transpose, strides=strides, padding="same")
    return name, plain, ours, (normal(*x), normal(*kernel, seed=1))


def plain_pool(x: jax.Array, size: int, strides: int, padding: str, mean: bool) -> jax.Array:
    n = x.ndim - 2
    window, steps = (1, *(size,) * n, 1), (1, *(strides,) * n, 1)
    if not mean:
        return lax.reduce_window(x, -jnp.inf, lax.max, window, steps, padding.upper())
    total = lax.reduce_window(x, 0.0, lax.add, window, steps, padding.upper())
    if padding == "valid":
        return total / size**n
    ones = jnp.ones((1, *x.shape[1:-1], 1), x.dtype)
    return total / lax.reduce_window(ones, 0.0, lax.add, window, steps, padding.upper())


def pool(x: tuple, size: int, strides: int, padding: str, mean: bool = False):
    op = ops.average_pool if mean else ops.max_pool
    ours = functools.partial(op, pool_size=size, strides=strides, padding=padding)
    plain = functools.partial(plain_pool, size=size, strides=strides, padding=padding, mean=mean)
    kind = "average pool" if mean else "max pool"
    name = f"{kind} {'x'.join(map(str, x))}, {size} /{strides} {padding}"
    return name, plain, ours, (jax.nn.relu(normal(*x)),)


def embedding(rows: int, width: int, count: int):
    indices = jnp.asarray(np.random.default_rng(0).integers(0, rows, (count,)), "int32")
    layer = Embedding(rows, width)
    layer.build()

    tree = jax.tree.structure(layer)

    def ours(table: jax.Array) -> jax.Array:
        return jax.tree.unflatten(tree, [table])(indices)

    def plain(table: jax.Array) -> jax.Array:
        return table[indices]

    return f"embedding {rows}x{width}, {count} rows", plain, ours, (normal(rows, width),)


def product(x: tuple, weights: tuple):
    name = f"product {'x'.join(map(str, x))} @ {'x'.join(map(str, weights))}"
    return name, jnp.matmul, ops.matmul, (normal(*x), normal(*weights, seed=1))


# A scan over steps, the loop of `ops.recurrent`, the gates, the states.
RECURRENT = {
    "LSTM": (lstm_step, recurrent.lstm, 4, 2),
    "GRU": (gru_step, recurrent.gru, 3, 1),
    "simple": (simple_step, recurrent.simple_rnn, 1, 1),
}


def recurrence(kind: str, steps: int, batch: int, features: int, units: int):
    """All outputs; time comes first."""
    step, fast, gates, states = RECURRENT[kind]
    start = (jnp.zeros((batch, units)),) * states

    def plain(x: jax.Array, kernel: jax.Array, again: jax.Array) -> jax.Array:
        def body(states: tuple, x: jax.Array) -> tuple:
            states = step(states, x, again)
            return states, states[0]

        return lax.scan(body, start, x @ kernel)[1]

    def ours(x: jax.Array, kernel: jax.Array, again: jax.Array) -> jax.Array:
        return fast(x, kernel, again, None, *start)[0]

    kernels = (features, gates * units), (units, gates * units)
    arrays = normal(steps, batch, features), *(0.1 * normal(*shape, seed=1) for shape in kernels)
    return f"{kind} {steps}x{batch}x{features}, {units} units", plain, ours, arrays


def attention(batch: int, length: int, heads: int, width: int):
    arrays = [normal(batch, length, heads, width, seed=i) for i in range(3)]
    name = f"attention {batch}x{length}, {heads} heads of {width}"
    return name, jax.nn.dot_product_attention, ops.dot_product_attention, arrays


def batch_norm(*shape: int):
    """In training, and a relu after it."""
    axes = tuple(range(len(shape) - 1))

    def normalized(moments: Callable, x: jax.Array, gamma: jax.Array, beta: jax.Array):
        y = ops.batch_normalization(x, *moments(x), -1, beta, gamma)
        return jax.nn.relu(y)

    plain = functools.partial(normalized, lambda x: (jnp.mean(x, axes), jnp.var(x, axes)))
    ours = functools.partial(normalized, functools.partial(ops.moments, axes=axes))
    arrays = normal(*shape), normal(shape[-1], seed=1), normal(shape[-1], seed=2)
    return f"batch norm {'x'.join(map(str, shape))}", plain, ours, arrays


def work() -> Iterator[tuple[str, Callable, Callable, tuple]]:
    yield conv("conv", (128, 28, 28, 1), (3, 3, 1, 32), padding="valid")
    yield conv("conv", (128, 28, 28, 1), (3, 3, 1, 8))
    yield conv("conv", (64, 64, 64, 1), (5, 5, 1, 16), 2)
    yield conv("conv", (32, 64, 64, 2), (3, 3, 2, 24))
    yield conv("conv", (32, 32, 32, 3), (3, 3, 3, 64))
    yield conv("conv", (8, 112, 112, 3), (7, 7, 3, 64), 2)
    yield conv("conv", (64, 32, 32, 4), (3, 3, 4, 16))
    yield conv("conv", (128, 26, 26, 32), (3, 3, 32, 64), padding="valid")
    yield conv("conv", (32, 16, 16, 128), (3, 3, 128, 128))
    yield conv("conv", (16, 28, 28, 32), (3, 3, 32, 32), 1, 2)
    yield conv("conv", (16, 28, 28, 32), (3, 3, 32, 64), dtype="bfloat16")
    yield conv("conv 1d", (32, 1000, 1), (9, 1, 32))
    yield conv("conv 1d", (32, 128, 32), (5, 32, 64))
    yield conv("conv 3d", (4, 16, 16, 16, 1), (3, 3, 3, 1, 16))
    yield conv("conv 3d", (4, 16, 16, 16, 8), (3, 3, 3, 8, 16))
    yield conv("conv 3d", (2, 16, 16, 16, 32), (3, 3, 3, 32, 32))
    yield conv("conv 3d", (2, 16, 16, 16, 16), (3, 3, 3, 16, 32), 2)
    yield conv("pointwise", (16, 56, 56, 64), (1, 1, 64, 128))
    yield conv("pointwise", (32, 28, 28, 128), (1, 1, 128, 32))
    yield conv("pointwise", (32, 32, 32, 16), (1, 1, 16, 96))
    yield conv("pointwise", (16, 56, 56, 64), (1, 1, 64, 128), 2)
    yield conv("pointwise", (8, 7, 7, 512), (1, 1, 512, 512))
    yield conv("grouped", (16, 28, 28, 32), (3, 3, 16, 32))
    yield conv("grouped", (16, 14, 14, 128), (3, 3, 4, 128))
    yield conv("grouped", (8, 28, 28, 128), (3, 3, 64, 128))
    yield conv("grouped", (8, 14, 14, 256), (3, 3, 8, 256), 2)
    yield conv("depthwise", (32, 32, 32, 64), (3, 3, 1, 64))
    yield conv("depthwise", (32, 57, 57, 32), (3, 3, 1, 32), 2)
    yield conv("depthwise", (16, 16, 16, 256), (5, 5, 1, 256))
    yield conv("depthwise", (32, 28, 28, 16), (3, 3, 1, 32))
    yield conv("depthwise", (8, 7, 7, 512), (7, 7, 1, 512))
    yield conv("depthwise", (16, 32, 32, 8), (3, 3, 1, 8), 1, 2)
    yield conv("depthwise 1d", (32, 256, 64), (4, 1, 64))
    yield transposed((32, 8, 8, 64), (4, 4, 32, 64), 2)
    yield transposed((32, 16, 16, 32), (3, 3, 16, 32), 2)
    yield transposed((64, 7, 7, 128), (5, 5, 64, 128), 2)
    yield transposed((32, 64, 32), (4, 32, 32), 4)
    yield transposed((4, 8, 8, 8, 32), (2, 2, 2, 16, 32), 2)
    for mean in (False, True):
        yield pool((128, 26, 26, 32), 2, 2, "valid", mean)
        yield pool((16, 112, 112, 64), 3, 2, "same", mean)
        yield pool((16, 28, 28, 64), 3, 2, "valid", mean)
        yield pool((32, 32, 32, 64), 3, 1, "same", mean)
        yield pool((32, 27, 27, 128), 2, 2, "same", mean)
        yield pool((16, 30, 30, 32), 4, 4, "valid", mean)
        yield pool((64, 8, 8, 256), 8, 8, "valid", mean)
        yield pool((16, 30, 30, 32), 2, 3, "valid", mean)
        yield pool((32, 200, 64), 3, 2, "same", mean)
        yield pool((4, 16, 16, 16, 32), 2, 2, "valid", mean)
    for channels, size in ((8, 64), (16, 32), (32, 16), (64, 8), (128, 4)):
        for batch in (8, 32, 128):
            yield batch_norm(batch, size, size, channels)
    yield batch_norm(8, 56, 56, 64)
    yield embedding(20_000, 128, 2560)
    yield embedding(1_000, 32, 8192)
    yield product((32, 128, 64), (64, 256))
    yield product((16, 64, 512), (512, 512))
    yield product((8, 16, 16, 32), (32, 96))
    yield attention(32, 128, 4, 16)
    yield attention(4, 512, 8, 64)
    for kind in RECURRENT:
        yield recurrence(kind, 80, 32, 128, 64)
        yield recurrence(kind, 20, 128, 32, 256)


def parts(function: Callable, arrays: tuple, cotangent: jax.Array) -> dict[str, Callable]:
    """The value, the gradients one by one, and all of it, each compiled."""

    def backward(which: tuple[int, ...], cotangent: Any, *arrays: Any) -> Any:
        def of(*chosen: Any) -> Any:
            return function(*(chosen[which.index(i)] if i in which else a
                              for i, a in enumerate(arrays)))  # fmt: skip

        value, pull = jax.vjp(of, *(arrays[i] for i in which))
        return (value, *pull(cotangent)) if which == every else pull(cotangent)

    every = tuple(range(len(arrays)))
    jit = functools.partial(jax.jit, compiler_options=compiler_options())  # as `fit` has it
    programs = {"value": jit(lambda cotangent, *arrays: function(*arrays))}
    if len(arrays) == 2:
        for i, name in enumerate(("input's", "kernel's")):
            programs[name] = jit(functools.partial(backward, (i,)))
    programs["both"] = jit(functools.partial(backward, every))
    return {n: functools.partial(p, cotangent, *arrays) for n, p in programs.items()}


def compare(plain: Callable, ours: Callable, rounds: int) -> tuple[float, float, float, float]:
    """Medians of both in ms, and of the ratio of times and of processor times."""
    counts, times = [], ([], [])
    for run in (plain, ours):
        jax.block_until_ready(run())  # compile
        began = time.perf_counter()
        jax.block_until_ready(run())
        counts.append(max(1, min(200, int(0.005 / (time.perf_counter() - began)))))
    for _ in range(rounds):
        for run, count, found in zip((plain, ours), counts, times):
            processor, began = time.process_time(), time.perf_counter()
            for _ in range(count):
                out = run()
            jax.block_until_ready(out)
            wall = time.perf_counter() - began
            found.append((wall / count, (time.process_time() - processor) / count))
    a, b = (statistics.median(wall for wall, _ in t) * 1e3 for t in times)
    wall, processor = (
        statistics.median(o[i] / max(p[i], 1e-9) for p, o in zip(*times)) for i in (0, 1)
    )
    return a, b, wall, processor


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="", help="what the name begins with")
    args = parser.parse_known_args()[0]
    print(f"jax {jax.__version__}, {jax.devices()[0].platform}")
    print(f"{'':56}{'part':>10}{'plain':>9}{'ours':>9}{'ratio':>8}{'cpu':>7}")
    for name, plain, ours, arrays in work():
        if not name.startswith(args.only):
            continue
        shape = jax.eval_shape(plain, *arrays)
        cotangent = normal(*shape.shape, seed=2, dtype=str(shape.dtype))
        programs = parts(plain, arrays, cotangent), parts(ours, arrays, cotangent)
        for part, run in programs[0].items():
            a, b, wall, cpu = compare(run, programs[1][part], args.rounds)
            print(f"{name:56}{part:>10}{a:9.3f}{b:9.3f}{wall:8.2f}{cpu:7.2f}", flush=True)


if __name__ == "__main__":
    main()
