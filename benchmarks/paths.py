"""What scripts do beside a long `fit`: short epochs, callbacks, single steps, eager calls, files.

The same columns as `run.py`, which take turns; "by hand" is a jitted step of jax and optax called
with host arrays, whose loss is read, and for files h5py writing arrays of the same sizes.

    python benchmarks/paths.py --tensorflow /path/to/python [--rounds 5] [--only on_batch]

`make bench` runs it, too.

Two tables: time by the clock, and the time of the processor in all threads, which says more where
others use the machine. `--profile PATH` shows where Python spends one path's time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

BATCH, STEPS, WIDTH = 32, 100, 64
RNG = np.random.default_rng(0)
X = RNG.normal(size=(BATCH * STEPS, 8)).astype("float32")
Y = (X.sum(1, keepdims=True) > 0).astype("float32")
FIRST = X[:BATCH], Y[:BATCH]


def network(k: Any, *, inputs: int = 8, outputs: int = 1, optimizer: str = "adam") -> Any:
    hidden = [k.layers.Dense(WIDTH, activation="relu") for _ in range(2)]
    model = k.Sequential([k.Input((inputs,)), *hidden, k.layers.Dense(outputs)])
    model.compile(loss="mse", optimizer=optimizer, metrics=["mae"])
    return model


def fitted(of: Callable[[Any], dict[str, Any]] = lambda k: {}, steps: int = STEPS) -> Callable:
    """One epoch a call, with the arguments that `of(k)` gives."""

    def make(k: Any) -> Callable[[], Any]:
        model, n = network(k), BATCH * steps
        options = {"x": X[:n], "y": Y[:n], "batch_size": BATCH, "verbose": 0, **of(k)}
        return lambda: model.fit(**options)

    return make


def watching(k: Any, hook: str, reads: bool = False) -> dict[str, Any]:
    seen = []

    def note(self: Any, number: int, logs: Any = None) -> None:
        seen.append(logs["loss"] if reads else number)

    kind = type("Noting", (k.callbacks.Callback,), {hook: note})
    return {"callbacks": [kind()]}


def stopping(k: Any) -> dict[str, Any]:
    stop = k.callbacks.EarlyStopping(monitor="loss", patience=10**9)
    return {"callbacks": [stop, *watching(k, "on_epoch_end")["callbacks"]]}


def generated(k: Any) -> dict[str, Any]:
    def batches() -> Any:
        while True:
            for i in range(0, len(X), BATCH):
                yield X[i : i + BATCH], Y[i : i + BATCH]

    return {"x": batches(), "y": None, "batch_size": None, "steps_per_epoch": STEPS}


def sequence(k: Any) -> dict[str, Any]:
    class Batches(k.utils.PyDataset):
        def __len__(self) -> int:
            return STEPS

        def __getitem__(self, i: int) -> Any:
            return X[i * BATCH : (i + 1) * BATCH], Y[i * BATCH : (i + 1) * BATCH]

    return {"x": Batches(), "y": None, "batch_size": None}


def on_batch(method: str) -> Callable:
    def make(k: Any) -> Callable[[], Any]:
        call = getattr(network(k), method)
        batch = FIRST[:1] if method.startswith("predict") else FIRST
        return lambda: call(*batch)

    return make


def called(training: bool) -> Callable:
    def make(k: Any) -> Callable[[], Any]:
        model = network(k)
        return lambda: np.asarray(model(FIRST[0], training=training))

    return make


def one_layer(k: Any) -> Callable[[], Any]:
    layer = k.layers.Dense(WIDTH, activation="relu")
    return lambda: np.asarray(layer(FIRST[0]))


def adversarial(k: Any) -> Callable[[], Any]:
    """A step of a GAN: samples are made, the discriminator sees real ones and those, and the
    generator is trained through it."""
    generator, discriminator = network(k, outputs=8), network(k)
    discriminator.trainable = False
    both = k.Sequential([generator, discriminator])
    both.compile(loss="mse", optimizer="adam")
    discriminator.trainable = True
    discriminator.compile(loss="mse", optimizer="adam")
    ones = np.ones((BATCH, 1), "float32")

    def step() -> None:
        made = generator.predict_on_batch(FIRST[0])
        discriminator.train_on_batch(FIRST[0], ones)
        discriminator.train_on_batch(made, 0 * ones)
        both.train_on_batch(FIRST[0], ones)

    return step


def deep(k: Any, layers: int = 200) -> Any:
    x = inputs = k.Input((WIDTH,))
    for _ in range(layers):
        x = k.layers.Dense(WIDTH)(x)
    return k.Model(inputs, x)


def large(k: Any) -> Any:
    """8.4 million weights with the two slots of Adam."""
    model = k.Sequential([k.Input((1024,)), *[k.layers.Dense(2048) for _ in range(2)]])
    model.add(k.layers.Dense(1024))
    model.compile(loss="mse", optimizer="adam")
    model.train_on_batch(np.zeros((1, 1024), "float32"), np.zeros((1, 1024), "float32"))
    return model


def filed(ending: str, load: bool) -> Callable:
    def make(k: Any) -> Callable[[], Any]:
        path = os.path.join(tempfile.mkdtemp(), f"model{ending}")
        model = large(k)
        model.save(path)
        return (lambda: k.models.load_model(path)) if load else (lambda: model.save(path))

    return make


def cloned(k: Any) -> Callable[[], Any]:
    model = deep(k, 20)
    return lambda: k.models.clone_model(model)


PATHS: dict[str, Callable] = {
    "fit, 100 steps, one epoch a call": fitted(),
    "fit, 1 step": fitted(steps=1),
    "the same with validation data": fitted(lambda k: {"validation_data": FIRST}, steps=1),
    "100 steps, EarlyStopping and an epoch callback": fitted(stopping),
    "a batch callback": fitted(lambda k: watching(k, "on_train_batch_end")),
    "a batch callback that reads the loss": fitted(
        lambda k: watching(k, "on_train_batch_end", reads=True)
    ),
    "class weights": fitted(lambda k: {"class_weight": {0: 1.0, 1: 2.0}}),
    "a generator": fitted(generated),
    "a PyDataset": fitted(sequence),
    "train_on_batch": on_batch("train_on_batch"),
    "test_on_batch": on_batch("test_on_batch"),
    "predict_on_batch": on_batch("predict_on_batch"),
    "model(x), inference": called(False),
    "model(x), training": called(True),
    "a layer": one_layer,
    "a GAN's step by four on_batch calls": adversarial,
    "200 layers, functional": lambda k: lambda: deep(k),
    "save .keras": filed(".keras", load=False),
    "load .keras": filed(".keras", load=True),
    "save .h5": filed(".h5", load=False),
    "load .h5": filed(".h5", load=True),
    "clone_model of 20 layers": cloned,
}


def _by_hand() -> dict[str, Callable]:
    """The paths as one writes them with jax, optax and h5py."""
    import h5py
    import jax
    import jax.numpy as jnp
    import optax

    sizes = (8, WIDTH, WIDTH, 1)

    def network(outputs: int = 1) -> Any:
        widths = (*sizes[:-1], outputs)
        pairs = zip(widths, widths[1:])
        return [(RNG.normal(size=s).astype("float32") / 8, np.zeros(s[1], "f")) for s in pairs]

    def forward(weights: Any, x: Any) -> Any:
        for w, b in weights[:-1]:
            x = jax.nn.relu(x @ w + b)
        return x @ weights[-1][0] + weights[-1][1]

    def loss(weights: Any, x: Any, y: Any) -> Any:
        error = forward(weights, x) - y
        return jnp.mean(error**2), jnp.mean(jnp.abs(error))

    tx = optax.adam(1e-3)

    def step(state: Any, x: Any, y: Any, through: Any = None) -> Any:
        def whole(weights: Any) -> Any:
            return loss([*weights, *(through or ())], x, y)

        logs, grads = jax.value_and_grad(whole, has_aux=True)(state[0])
        updates, slots = tx.update(grads, state[1])
        return (optax.apply_updates(state[0], updates), slots), logs

    one, predict = jax.jit(step, donate_argnums=0), jax.jit(forward)

    def begun(outputs: int = 1) -> Any:
        weights = jax.device_put(network(outputs))
        return weights, tx.init(weights)

    def epoch(steps: int = STEPS, reads: bool = False, again: int = 0) -> Callable:
        def make() -> Callable[[], Any]:
            state, test = begun(), jax.jit(loss)

            def run() -> None:
                nonlocal state
                order = RNG.permutation(steps * BATCH).reshape(-1, BATCH)
                for rows in order:
                    state, logs = one(state, X[rows], Y[rows])
                    if reads:
                        float(logs[0])
                jax.device_get(logs)
                for _ in range(again):
                    jax.device_get(test(state[0], *FIRST))

            return run

        return make

    def train() -> Callable[[], Any]:
        state = begun()

        def run() -> Any:
            nonlocal state
            state, logs = one(state, *FIRST)
            return jax.device_get(logs)

        return run

    def test() -> Callable[[], Any]:
        weights, function = jax.device_put(network()), jax.jit(loss)
        return lambda: jax.device_get(function(weights, *FIRST))

    def infer() -> Callable[[], Any]:
        weights = jax.device_put(network())
        return lambda: np.asarray(predict(weights, FIRST[0]))

    def layer() -> Callable[[], Any]:
        (w, b), *_ = jax.device_put(network())
        function = jax.jit(lambda w, b, x: jax.nn.relu(x @ w + b))
        return lambda: np.asarray(function(w, b, FIRST[0]))

    def adversarial() -> Callable[[], Any]:
        generator, discriminator = begun(8), begun()
        ones = np.ones((BATCH, 1), "float32")
        second = jax.jit(step, donate_argnums=0)

        def run() -> None:
            nonlocal generator, discriminator
            made = np.asarray(predict(generator[0], FIRST[0]))
            discriminator, logs = one(discriminator, FIRST[0], ones)
            jax.device_get(logs)
            discriminator, logs = one(discriminator, made, 0 * ones)
            jax.device_get(logs)
            generator, logs = second(generator, FIRST[0], ones, discriminator[0])
            jax.device_get(logs)

        return run

    def file(load: bool) -> Callable:
        def make() -> Callable[[], Any]:
            path = os.path.join(tempfile.mkdtemp(), "arrays.h5")
            shapes = ((1024, 2048), (2048, 2048), (2048, 1024))
            arrays = {f"{i}{j}": np.ones(s, "f") for i, s in enumerate(shapes) for j in range(3)}

            def save() -> None:
                with h5py.File(path, "w") as f:
                    for name, array in arrays.items():
                        f[name] = array

            def read() -> Any:
                with h5py.File(path) as f:
                    return [jnp.asarray(f[name][()]) for name in arrays]

            save()
            return read if load else save

        return make

    return {
        **dict.fromkeys(PATHS, lambda: None),
        **{name: epoch() for name in list(PATHS)[:9]},
        "fit, 1 step": epoch(1),
        "the same with validation data": epoch(1, again=1),
        "a batch callback that reads the loss": epoch(reads=True),
        "train_on_batch": train,
        "test_on_batch": test,
        **dict.fromkeys(("predict_on_batch", "model(x), inference", "model(x), training"), infer),
        "a layer": layer,
        "a GAN's step by four on_batch calls": adversarial,
        **{name: file("load" in name) for name in PATHS if name.split()[0] in ("save", "load")},
    }


def timed(name: str, k: Any) -> Callable[[], Any] | None:
    """What one turn calls over and over; `None` for `k` is "by hand". `None` where a column has no
    such path: Keras does not load the `.h5` of a model that was compiled with "mse"."""
    if name.split()[0] in ("save", "load"):
        # A virtual machine gets memory from its host when it is first used, which takes thirty
        # times as long as using it again: 100 MB take 220 ms here.
        np.ones(1 << 29, "f4").sum()
    once = PATHS[name](k) if k is not None else _by_hand()[name]()
    try:
        return once and (once(), once)[1]
    except Exception:
        if k is None or k.__name__ == "keraslike":
            raise
        return None


def main() -> None:
    import run

    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="paths with this in their name")
    parser.add_argument("--tensorflow", default=sys.executable, help="a Python that has it")
    parser.add_argument("--profile", help="the path to profile instead")
    args = parser.parse_known_args()[0]
    args.cpu = False
    if args.profile:
        return profile(args.profile)
    names = [run.OURS, run.HAND, run.KERAS]
    names += [run.TENSORFLOW] * run.has(args.tensorflow, "tensorflow")
    print(f"{run.machine()}.", flush=True)
    found = {}
    with run.started(names, args) as columns:
        for name in [n for n in PATHS if args.only in n]:
            found[name] = run.measure(columns, "path", name, 1, args)
            print(f"  {name}: done", file=sys.stderr, flush=True)
    print("\n".join(run.table("Paths, by the clock", found, "ms", dict.fromkeys(found, 1e3))))
    for columns_of_path in found.values():
        for column in columns_of_path.values():
            column["rounds"] = [a * b for a, b in zip(column["rounds"], column["share"])]
    title = "Paths, time of the processor in all threads"
    print("\n".join(run.table(title, found, "ms", dict.fromkeys(found, 1e3))))


def profile(name: str, seconds: float = 1.0) -> None:
    import cProfile

    import keraslike

    once = timed(name, keraslike)
    times = []
    for _ in range(5):
        once()
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        used = time.process_time()
        once()
        times.append(time.process_time() - used)
    print(f"{1e3 * statistics.median(times):.3f} ms of the processor")
    profiler = cProfile.Profile()
    profiler.enable()
    for _ in range(max(1, len(times) // 4)):
        once()
    profiler.disable()
    import pstats

    pstats.Stats(profiler).sort_stats("cumtime").print_stats(60)


if __name__ == "__main__":
    main()
