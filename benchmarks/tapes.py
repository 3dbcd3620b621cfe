"""What eager code costs beside plain JAX: ops of `keraslike.tf`, a tape around a model, a taped
step of `fit`; and repeated calls of losses and metrics, which are compiled, beside those op by op.

All run in one process, interleaved, and medians are printed, since machines are noisy:

    make bench            # or: python benchmarks/tapes.py --rounds 7
"""

from __future__ import annotations

import argparse
import functools
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import keraslike as keras
from keraslike import tf
from keraslike.core import context


def timed(run: Callable, count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        out = run()
    jax.block_until_ready(out)
    return (time.perf_counter() - began) / count * 1e6


def ops() -> dict[str, tuple[Callable, Callable]]:
    x = jnp.ones((64, 64))
    t = tf.constant(x)
    pairs = {
        "add": (lambda: jnp.add(x, x), lambda: tf.add(t, t)),
        "x + 1": (lambda: x + 1.0, lambda: t + 1.0),
        "square": (lambda: jnp.square(x), lambda: tf.square(t)),
        "reduce_sum": (lambda: jnp.sum(x), lambda: tf.reduce_sum(t)),
        "matmul": (lambda: x @ x, lambda: t @ t),
        "where": (lambda: jnp.where(x > 0, x, x), lambda: tf.where(t > 0, t, t)),
        "concat": (lambda: jnp.concatenate([x, x], 0), lambda: tf.concat([t, t], 0)),
        "slice": (lambda: x[1:, 2], lambda: t[1:, 2]),
    }
    return {name: (a, lambda b=b: b().unbox()) for name, (a, b) in pairs.items()}


def model_of(*units: int) -> keras.Sequential:
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(n, activation="elu") for n in units]
    return keras.Sequential([keras.layers.Input((8,)), *layers, keras.layers.Dense(1)])


def gradients(units: tuple[int, ...], batch: int) -> tuple[Callable, Callable]:
    """Loss and gradients of one batch: `jax.jit(jax.value_and_grad)` of the model, and a tape."""
    model = model_of(*units)
    loss_fn = keras.losses.MeanSquaredError()
    x = jax.random.normal(jax.random.key(0), (batch, 8))
    y = x[:, :1]
    of_model = jax.jit(jax.value_and_grad(lambda m, x, y: loss_fn(y, m(x))))

    def taped() -> list:
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(x))
        return [g.unbox() for g in tape.gradient(loss, model.trainable_variables)]

    return lambda: of_model(model, x, y), taped


class Taped(keras.Sequential):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
        self.metrics[0].update_state(loss, sample_weight=x.shape[0])
        self.metrics[1].update_state(y, y_pred)
        return {m.name: m.result() for m in self.metrics}


def steps() -> tuple[Callable, Callable]:
    """An epoch of `fit` of 500 steps, by the built-in step and by one with a tape."""
    x = np.random.default_rng(0).normal(size=(16_000, 8)).astype("float32")

    def fitter(cls: type) -> Callable:
        model = cls(
            [keras.layers.Input((8,)), keras.layers.Dense(30, "elu"), keras.layers.Dense(1)]
        )
        model.compile("nadam", "mse", metrics=["mae"])
        return lambda: model.fit(x, x[:, 0], batch_size=32, verbose=0).history["loss"]

    return fitter(keras.Sequential), fitter(Taped)


def repeated() -> dict[str, tuple[Callable, Callable]]:
    """Calls of losses and metrics as plain Python, op by op, and as they are run."""
    rng = np.random.default_rng(0)
    p, q = (rng.uniform(0.01, 1, (32, 10)).astype("float32") for _ in range(2))
    y, p = (a / a.sum(1, keepdims=True) for a in (q, p))
    numbers, above = rng.integers(0, 10, 32), (y > 0.1).astype("float32")
    losses, metrics = keras.losses, keras.metrics
    found = {
        "MeanSquaredError": (losses.MeanSquaredError(), y),
        "CategoricalCrossentropy": (losses.CategoricalCrossentropy(), y),
        "SparseCategoricalCrossentropy": (losses.SparseCategoricalCrossentropy(), numbers),
        "CategoricalAccuracy": (metrics.CategoricalAccuracy().update_state, y),
        "Precision": (metrics.Precision().update_state, above),
        "AUC": (metrics.AUC().update_state, above),
    }

    def plain(call: Callable, target: np.ndarray) -> Any:
        with context.using(plain=True):
            return call(target, p)

    return {
        name: (functools.partial(plain, *pair), lambda pair=pair: pair[0](pair[1], p))
        for name, pair in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_known_args()[0].rounds
    plain_step, taped_step = steps()
    work = {f"tf.{name}": (*pair, 500) for name, pair in ops().items()}
    work["tape, MLP 8-30-1, batch 32"] = (*gradients((30,), 32), 100)
    work["tape, MLP 8-512-512-1, batch 256"] = (*gradients((512, 512), 256), 20)
    work["fit step with a tape (500 steps)"] = (plain_step, taped_step, 1)
    work |= {f"{name}, op by op": (*pair, 100) for name, pair in repeated().items()}
    print(f"{'':40}{'plain, us':>12}{'ours, us':>12}{'ratio':>8}{'more, us':>10}")
    for name, (plain, boxed, count) in work.items():
        for _ in range(
            2 if count == 1 else 40
        ):  # compile; metrics and losses are compiled when they are repeated
            plain(), boxed()
        a, b = [], []
        for _ in range(rounds):
            a.append(timed(plain, count))
            b.append(timed(boxed, count))
        plain_time, time_of = statistics.median(a), statistics.median(b)
        print(f"{name:40}{plain_time:12.1f}{time_of:12.1f}{time_of / plain_time:8.2f}"
              f"{time_of - plain_time:10.1f}")  # fmt: skip


if __name__ == "__main__":
    main()
