"""The same models as `workloads.py`, as one writes them by hand: jnp, optax, a jitted step.

jax's own operations, its defaults for the compiler, and a loop that takes each batch from numpy
arrays. Loss and metric are summed up in the step, as `fit` does.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from workloads import WORKLOADS, Workload

# Of convolutions over 1, 2 and 3 axes: input, kernel, output.
LAYOUTS = {
    1: ("NWC", "WIO", "NWC"),
    2: ("NHWC", "HWIO", "NHWC"),
    3: ("NDHWC", "DHWIO", "NDHWC"),
}


class Weights:
    """Weights by the order in which they are asked for: made the first time, given later."""

    def __init__(self, given: list[Any] | None = None):
        self.given, self.made, self.moving = given, [], []
        self._rng, self._next = np.random.default_rng(0), 0

    def __call__(self, *shape: int, fill: float | None = None) -> Any:
        if self.given is not None:
            self._next += 1
            return self.given[self._next - 1]
        scale = np.sqrt(2 / max(1, np.prod(shape[:-1])))
        value = self._rng.normal(size=shape) * scale if fill is None else np.full(shape, fill)
        self.made.append(jnp.asarray(value, "float32"))
        return self.made[-1]

    def dense(self, x: Any, units: int) -> Any:
        return x @ self(x.shape[-1], units) + self(units, fill=0.0)

    def conv(self, x: Any, filters: int, size: int = 3, groups: int = 1, **options: Any) -> Any:
        n = x.ndim - 2
        return lax.conv_general_dilated(
            x,
            self(*(size,) * n, x.shape[-1] // groups, filters),
            (options.get("strides", 1),) * n,
            options.get("padding", "SAME"),
            rhs_dilation=(options.get("dilation", 1),) * n,
            dimension_numbers=LAYOUTS[n],
            feature_group_count=groups,
        )

    def normalized(self, x: Any, axes: tuple[int, ...], moving: bool = False) -> Any:
        channels = x.shape[-1]
        scale, offset = self(channels, fill=1.0), self(channels, fill=0.0)
        mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
        if moving:  # the moving averages of batch normalization
            olds = self(channels, fill=0.0), self(channels, fill=1.0)
            news = mean.reshape(-1), var.reshape(-1)
            self.moving += [0.99 * old + 0.01 * new for old, new in zip(olds, news)]
        return (x - mean) * lax.rsqrt(var + 1e-3) * scale + offset

    def batch_norm(self, x: Any) -> Any:
        return self.normalized(x, tuple(range(x.ndim - 1)), moving=True)


def dropped(x: Any, rate: float, key: Any) -> Any:
    if key is None:  # not in training
        return x
    return jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x / (1 - rate), 0.0)


def max_pool(x: Any) -> Any:
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def chapter_mlp(w: Weights, x: Any, key: Any) -> Any:
    return w.dense(jax.nn.elu(w.dense(x, 30)), 1)[:, 0]


def wide_mlp(w: Weights, x: Any, key: Any) -> Any:
    for _ in range(4):
        x = jax.nn.relu(w.dense(x, 1024))
    return w.dense(x, 10)


def conv_net(w: Weights, x: Any, key: Any) -> Any:
    for filters in (32, 64):
        x = w.conv(x, filters, padding="VALID") + w(filters, fill=0.0)
        x = max_pool(jax.nn.relu(x))
    return w.dense(dropped(x.reshape(len(x), -1), 0.5, key), 10)


def residual_net(w: Weights, x: Any, key: Any, blocks: int = 2) -> Any:
    x = jax.nn.relu(w.batch_norm(w.conv(x, 16)))
    for stage, width in enumerate((16, 32, 64)):
        for block in range(blocks):
            strides = 2 if stage and not block else 1
            y = jax.nn.relu(w.batch_norm(w.conv(x, width, strides=strides)))
            y = w.batch_norm(w.conv(y, width))
            if strides > 1:
                x = w.batch_norm(w.conv(x, width, 1, strides=strides))
            x = jax.nn.relu(x + y)
    return w.dense(x.mean((1, 2)), 10)


def separable_net(w: Weights, x: Any, key: Any) -> Any:
    x = jax.nn.relu6(w.batch_norm(w.conv(x, 32)))
    for width, strides in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1)):
        channels = x.shape[-1]
        x = jax.nn.relu6(w.batch_norm(w.conv(x, channels, groups=channels, strides=strides)))
        x = jax.nn.relu6(w.batch_norm(w.conv(x, width, 1)))
    return w.dense(x.mean((1, 2)), 10)


def lstm_step(states: tuple, gates: Any, recurrent: Any) -> tuple:
    h, c = states
    i, f, g, o = jnp.split(gates + h @ recurrent, 4, axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def gru_step(states: tuple, gates: Any, recurrent: Any, bias: Any = 0.0) -> tuple:
    (h,) = states
    z, r, n = jnp.split(gates, 3, axis=-1)
    hz, hr, hn = jnp.split(h @ recurrent + bias, 3, axis=-1)
    z, r = jax.nn.sigmoid(z + hz), jax.nn.sigmoid(r + hr)
    return (z * h + (1 - z) * jnp.tanh(n + r * hn),)


def simple_step(states: tuple, x: Any, recurrent: Any) -> tuple:
    return (jnp.tanh(x + states[0] @ recurrent),)


def lstm_of(w: Weights, x: Any, units: int, reverse: bool = False) -> Any:
    projected = jnp.swapaxes(w.dense(x, 4 * units), 0, 1)
    recurrent, zeros = w(units, 4 * units), jnp.zeros((len(x), units))

    def step(states: tuple, gates: Any) -> Any:
        return lstm_step(states, gates, recurrent), None

    return lax.scan(step, (zeros, zeros), projected, reverse=reverse)[0][0]


def gru_of(w: Weights, x: Any, units: int, reverse: bool = False) -> Any:
    """The state at the end, and the states at all times."""
    projected = jnp.swapaxes(w.dense(x, 3 * units), 0, 1)
    recurrent, bias = w(units, 3 * units), w(3 * units, fill=0.0)

    def step(h: Any, gates: Any) -> Any:
        (h,) = gru_step((h,), gates, recurrent, bias)
        return h, h

    return lax.scan(step, jnp.zeros((len(x), units)), projected, reverse=reverse)


def attention_of(w: Weights, x: Any, heads: int, key: Any = None) -> Any:
    """Of a sequence to itself by several heads; with a key a tenth of the scores is dropped."""
    width = x.shape[-1]
    by_head = (*x.shape[:2], heads, width // heads)
    query, keys, value = (w.dense(x, width).reshape(by_head) for _ in range(3))
    scores = jnp.einsum("bqhd,bkhd->bhqk", query, keys) / np.sqrt(width // heads)
    scores = jax.nn.softmax(scores)
    if key is not None:
        scores = dropped(scores, 0.1, key)
    y = jnp.einsum("bhqk,bkhd->bqhd", scores, value).reshape(x.shape)
    return w.dense(y, width)


def lstm(w: Weights, x: Any, key: Any) -> Any:
    return w.dense(lstm_of(w, w(20_000, 128)[x], 64), 1)


def bidirectional_gru(w: Weights, x: Any, key: Any) -> Any:
    ends = [gru_of(w, x, 48, reverse)[0] for reverse in (False, True)]
    return w.dense(jnp.concatenate(ends, axis=-1), 10)


def transformer(w: Weights, x: Any, key: Any, width: int = 64, heads: int = 4) -> Any:
    x = w(20_000, width)[x]
    for _ in range(2):
        key, first, second = jax.random.split(key, 3)
        x = w.normalized(x + attention_of(w, x, heads, first), (-1,))
        y = dropped(w.dense(jax.nn.relu(w.dense(x, 4 * width)), width), 0.1, second)
        x = w.normalized(x + y, (-1,))
    return w.dense(x.mean(1), 2)


def deep_mlp(w: Weights, x: Any, key: Any, layers: int) -> Any:
    for _ in range(layers):
        x = jax.nn.relu(w.dense(x, 64))
    return w.dense(x, 10)


MODELS: dict[str, Callable] = {
    "chapter's MLP 8-30-1": chapter_mlp,
    "the same, 10 times the data": chapter_mlp,
    "10 layers of 64": functools.partial(deep_mlp, layers=10),
    "100 layers of 64": functools.partial(deep_mlp, layers=100),
    "MLP 1024x4": wide_mlp,
    "conv 32-64": conv_net,
    "embedding, LSTM 64": lstm,
    "transformer, 2 blocks": transformer,
    "residual net": residual_net,
    "residual net, 3 blocks a stage": functools.partial(residual_net, blocks=3),
    "depthwise-separable net": separable_net,
    "bidirectional GRU 48": bidirectional_gru,
}


def loss_and_metric(workload: Workload, out: Any, y: Any) -> tuple[Any, Any]:
    if workload.loss == "mse":
        error = out - y
        return jnp.mean(error**2), jnp.mean(jnp.abs(error))
    loss = optax.softmax_cross_entropy_with_integer_labels(out, y).mean()
    return loss, (out.argmax(-1) == y).mean()


def trainer(
    name: str, clock: Callable[[], float] = time.perf_counter, scan: bool = False
) -> Callable[[int], float]:
    """A function that trains for some epochs and returns the seconds they took.

    With `scan` a whole epoch is one program, on data that stays on the device.
    """
    workload, model = WORKLOADS[name], MODELS[name]
    x, y = workload.data()
    weights = Weights()
    model(weights, jnp.asarray(x[:2]), jax.random.key(0))
    tx = {"adam": optax.adam, "nadam": optax.nadam}[workload.optimizer](1e-3)

    def loss_fn(params: Any, x: Any, y: Any, key: Any) -> Any:
        w = Weights(params)
        out = model(w, x, key)
        loss, metric = loss_and_metric(workload, out, y)
        return loss, (metric, w.moving)

    def step(state: Any, sums: Any, x: Any, y: Any) -> Any:
        params, slots, key, _ = state
        key, use = jax.random.split(key)
        (loss, (metric, moving)), grads = jax.value_and_grad(loss_fn, has_aux=True)(
            params, x, y, use
        )
        updates, slots = tx.update(grads, slots, params)
        n = len(x)
        sums = sums[0] + n * loss, sums[1] + n * metric, sums[2] + n
        return (optax.apply_updates(params, updates), slots, key, moving), sums

    def epoch(state: Any, sums: Any, x: Any, y: Any, order: Any) -> Any:
        return lax.scan(lambda c, rows: (step(*c, x[rows], y[rows]), None), (state, sums), order)[0]

    one, whole = jax.jit(step, donate_argnums=(0, 1)), jax.jit(epoch, donate_argnums=(0, 1))
    params = weights.made
    moving = jax.eval_shape(lambda p: loss_fn(p, x[:2], y[:2], jax.random.key(0))[1][1], params)
    moving = [jnp.zeros(m.shape) for m in moving]
    state = (params, tx.init(params), jax.random.key(0), moving)
    rng = np.random.default_rng(0)
    on_device = jax.device_put((x, y)) if scan else None

    def run(epochs: int) -> float:
        nonlocal state
        began = clock()
        for _ in range(epochs):
            order = rng.permutation(len(x)).reshape(-1, workload.batch)
            sums = tuple(np.zeros((), "float32") for _ in range(3))
            if scan:
                state, sums = whole(state, sums, *on_device, order)  # type: ignore[misc]
                continue
            for rows in order:
                state, sums = one(state, sums, x[rows], y[rows])
        jax.block_until_ready(sums)
        return clock() - began

    return run
