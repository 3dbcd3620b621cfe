"""Time of a `fit` step: keraslike beside Keras 3 (JAX) and a hand-written jitted loop.

All run in one process, interleaved, and medians are printed, since machines are noisy:

    make bench            # or: python benchmarks/run.py --rounds 7
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import jax.numpy as jnp
import numpy as np
import optax


def mlp(k):
    """The demo's model: 8-30-1."""
    return k.Sequential(
        [k.layers.Input((8,)), k.layers.Dense(30, activation="elu"), k.layers.Dense(1)]
    )


def make(k, steps_per_execution=1):
    model = mlp(k)
    model.compile(
        loss="mse", optimizer="nadam", metrics=["mae"], steps_per_execution=steps_per_execution
    )
    return model


def fitter(model, x, y, batch):
    """A function that runs some epochs of `fit` and returns seconds a step."""
    steps = -(-len(x) // batch)

    def run(epochs: int) -> float:
        began = time.perf_counter()
        model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0)
        return (time.perf_counter() - began) / steps / epochs

    return run


def by_hand(x, y, batch, scan=False):
    """A jitted step of jnp and optax that takes each batch from the host; with `scan` a whole
    epoch is one program, on data that stays on the device."""
    keys = jax.random.split(jax.random.key(0))
    params = {
        "w1": jax.random.normal(keys[0], (8, 30)) * 0.3,
        "b1": jnp.zeros(30),
        "w2": jax.random.normal(keys[1], (30, 1)) * 0.2,
        "b2": jnp.zeros(1),
    }
    tx = optax.nadam(1e-3)
    state = tx.init(params)

    def loss_fn(p, x, y):
        pred = jax.nn.elu(x @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"]
        return jnp.mean((pred[:, 0] - y) ** 2)

    @jax.jit
    def step(params, state, x, y):
        loss, grads = jax.value_and_grad(loss_fn)(params, x, y)
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state, loss

    @jax.jit
    def epoch(params, state, x, y, order):
        def body(carry, rows):
            *carry, loss = step(*carry, x[rows], y[rows])
            return tuple(carry), loss

        (params, state), losses = jax.lax.scan(body, (params, state), order)
        return params, state, losses[-1]

    rng = np.random.default_rng(0)
    steps = -(-len(x) // batch)
    on_device = jax.device_put((x, y))

    def run(epochs: int) -> float:
        nonlocal params, state
        began = time.perf_counter()
        for _ in range(epochs):
            order = rng.permutation(len(x))
            if scan:
                rows = order[: len(x) // batch * batch].reshape(-1, batch)
                params, state, loss = epoch(params, state, *on_device, rows)
                continue
            for i in range(0, len(x), batch):
                rows = order[i : i + batch]
                params, state, loss = step(params, state, x[rows], y[rows])
        loss.block_until_ready()
        return (time.perf_counter() - began) / steps / epochs

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=16_000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=20, help="a round")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_known_args()[0]

    import keras

    import keraslike

    rng = np.random.default_rng(0)
    x = rng.normal(size=(args.samples, 8)).astype("float32")
    y = (x[:, 0] * x[:, 1] + x[:, 2]).astype("float32")
    contenders = {
        "keraslike": fitter(make(keraslike, "auto"), x, y, args.batch),
        "keraslike, steps_per_execution=1": fitter(make(keraslike, 1), x, y, args.batch),
        "Keras 3 (JAX)": fitter(make(keras), x, y, args.batch),
        "Keras 3 (JAX), steps_per_execution=32": fitter(make(keras, 32), x, y, args.batch),
        "jitted loop by hand": by_hand(x, y, args.batch),
        "lax.scan over an epoch by hand": by_hand(x, y, args.batch, scan=True),
    }
    first = {name: run(1) for name, run in contenders.items()}  # compiles
    for run in contenders.values():  # and finds out how many steps at a time
        run(args.epochs)
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(args.rounds):
        for name, run in contenders.items():
            times[name].append(run(args.epochs))
    steps = -(-args.samples // args.batch)
    base = statistics.median(times["keraslike"])
    print(f"Python {sys.version.split()[0]}, jax {jax.__version__}, Keras {keras.__version__}, "
          f"{jax.devices()[0].device_kind}, {os.cpu_count()} cores")  # fmt: skip
    print(f"MLP 8-30-1, batch {args.batch}, {steps} steps an epoch, "
          f"{args.rounds} rounds of {args.epochs} epochs")  # fmt: skip
    print(f"{'':40}{'us/step':>10}{'ratio':>8}{'first epoch, s':>16}")
    for name, seconds in times.items():
        median = statistics.median(seconds)
        print(f"{name:40}{median * 1e6:10.1f}{median / base:8.2f}{first[name] * steps:16.2f}")


if __name__ == "__main__":
    main()
