"""One column of the table, in a process of its own; `run.py` starts it and says what to do.

It reads a line at a time from its input: `make NAME` builds a workload and trains an epoch,
`run EPOCHS` trains on, and answers each with a line of JSON.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import augmentation
import layers_alone
import numpy as np
import paths
import pipelines
import sweep
from workloads import EVERY

# The time of the processor in all threads, or that of the clock.
clock = time.process_time if "--cpu" in sys.argv else time.perf_counter
_SWEPT = 0.06  # seconds of one turn of `sweep.py`


def trained(k: Any, name: str, **options: Any) -> Callable[[int], float] | None:
    workload = EVERY[name]
    x, y = workload.data()
    model = workload.compiled(k, **options)
    if model is None:
        return None

    def run(epochs: int) -> float:
        began = clock()
        model.fit(x, y, batch_size=workload.batch, epochs=epochs, verbose=0)
        return clock() - began

    return run


def loaded(k: Any, source: str, x: Any, y: Any, batch: int) -> Any:
    """The same data from somebody's loader, shuffled; raises ImportError where that is not here."""
    rng, steps = np.random.default_rng(0), len(x) // batch
    if source == "PyDataset":

        class Batches(k.utils.PyDataset):
            def __len__(self) -> int:
                return steps

            def __getitem__(self, index: int) -> Any:
                rows = rng.integers(0, len(x), batch)
                return x[rows], y[rows]

        return Batches()
    if source == "grain":
        import grain

        samples = grain.MapDataset.source(range(len(x))).shuffle(seed=0)
        return samples.map(lambda i: (x[i], y[i])).batch(batch)
    if source == "torch":
        from torch import from_numpy
        from torch.utils.data import DataLoader, TensorDataset

        return DataLoader(TensorDataset(from_numpy(x), from_numpy(y)), batch, shuffle=True)
    if source == "Dataset":
        if k.__name__ == "keras":
            raise ImportError("It is keraslike's.")
        return k.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x)).batch(batch)
    if source == "tf.data":
        import tensorflow as tf

        return tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x)).batch(batch)

    def batches() -> Any:
        while True:
            for rows in rng.permutation(len(x)).reshape(-1, batch):
                yield x[rows], y[rows]

    return batches()


def streamed(k: Any, name: str, source: str, **options: Any) -> Callable[[int], float] | None:
    """`fit` on a generator or a loader that cuts and shuffles the data, as a user's would."""
    workload = EVERY[name]
    try:
        batches = loaded(k, source, *workload.data(), workload.batch)
    except ImportError:
        return None
    model = workload.compiled(k, **options)
    steps = {"steps_per_epoch": workload.steps} if source == "generator" else {}

    def run(epochs: int) -> float:
        began = clock()
        model.fit(batches, epochs=epochs, verbose=0, **steps)
        return clock() - began

    return run


def predicted(k: Any, name: str, samples: int) -> Callable[[int], float]:
    """`predict` on so many samples; of one, a hundred times an epoch."""
    workload = EVERY[name]
    x = workload.data()[0]
    x = np.resize(x, (samples, *x.shape[1:]))
    model = workload.model(k)
    times = 100 if samples == 1 else 1

    def run(epochs: int) -> float:
        began = clock()
        for _ in range(epochs * times):
            model.predict(x, verbose=0)
        return (clock() - began) / times

    return run


def called(k: Any, name: str) -> Callable[[int], float]:
    """`model(x)` on one sample, as plain Python."""
    workload = EVERY[name]
    x = workload.data()[0][:1]
    model = workload.model(k)

    def run(epochs: int) -> float:
        began = clock()
        for _ in range(epochs * 100):
            out = model(x)
        np.asarray(out)
        return (clock() - began) / 100

    return run


def alone(once: Callable[[], Any], seconds: float = 0.25) -> Callable[[int], float]:
    """Something as often as there is room for in a quarter of a second, or in so many.

    A few calls before each turn find the caches and the threads as a training step would.
    """

    def warm() -> float:
        began = clock()
        for _ in range(3):
            once()
        return (clock() - began) / 3

    warm()
    times = max(1, int(seconds / warm()))

    def run(epochs: int) -> float:
        warm()
        began = clock()
        for _ in range(epochs * times):
            once()
        return (clock() - began) / times

    return run


def jitted(name: str) -> Callable[[int], float]:
    """A jitted function of weights and one sample, and its result as a numpy array."""
    import by_hand
    import jax

    x = EVERY[name].data()[0][:1]
    weights = by_hand.Weights()
    by_hand.MODELS[name](weights, x, jax.random.key(0))
    function = jax.jit(lambda w, x: by_hand.MODELS[name](by_hand.Weights(w), x, None))

    def run(epochs: int) -> float:
        began = clock()
        for _ in range(epochs * 100):
            np.asarray(function(weights.made, x))
        return (clock() - began) / 100

    return run


def piped(name: str, column: str) -> Callable[[int], float]:
    """A pipeline of `tf.data`, as often as it is told to."""
    if column.startswith("keraslike"):
        from keraslike import tf
    else:
        import tensorflow as tf
    once = pipelines.timed(name, tf)
    once()

    def run(epochs: int) -> float:
        began = clock()
        for _ in range(epochs):
            once()
        return clock() - began

    return run


def make(kind: str, column: str, name: str) -> Callable[[int], float] | None:
    if kind == "pipeline":
        return piped(name, column)
    if column.startswith("by hand"):
        import by_hand

        if kind == "fit":
            return by_hand.trainer(name, clock, scan=column.endswith("scan"))
        if kind == "layer":
            return (once := layers_alone.timed(name, None)) and alone(once)
        if kind == "path":
            return (once := paths.timed(name, None)) and alone(once)
        return jitted(name) if kind in ("predict 1", "call") else None
    if column.startswith("PyTorch"):
        import by_torch

        if kind == "sweep":
            return alone(by_torch.once(sweep.named(name)), _SWEPT)
        if kind != "fit":
            return None
        return by_torch.trainer(name, clock, compiled=column.endswith("compiled"))
    if column.startswith("keraslike"):
        import keraslike as k
    else:
        import keras as k
    options: dict[str, Any] = {}
    if column.endswith("32"):
        options["steps_per_execution"] = 32
    if kind == "fit":
        return trained(k, name, **options)
    if kind.startswith("stream "):
        return streamed(k, name, kind.split()[1], **options)
    if options:
        return None
    if kind == "path":
        return (once := paths.timed(name, k)) and alone(once)
    if kind == "sweep":
        return alone(layers_alone.compiled(sweep.alone(sweep.named(name)), k), _SWEPT)
    if kind in ("layer", "augment"):
        return alone((layers_alone if kind == "layer" else augmentation).timed(name, k))
    return called(k, name) if kind == "call" else predicted(k, name, int(kind.split()[1]))


def main() -> None:
    column = sys.argv[1]
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["KERAS_BACKEND"] = "tensorflow" if "TensorFlow" in column else "jax"
    answer = os.fdopen(os.dup(1), "w")  # libraries may print
    os.dup2(2, 1)
    began = time.perf_counter()
    if column.startswith("by hand"):
        import jax  # noqa: F401
    elif column.startswith("keraslike"):
        import keraslike

        if column.endswith("kept"):
            keraslike.config.keep_memory()
    elif column.startswith("PyTorch"):
        import torch  # noqa: F401
    elif column == "TensorFlow":
        import tensorflow  # noqa: F401
    else:
        import keras  # noqa: F401
    reply: Any = {"import": time.perf_counter() - began}
    run: Any = None
    while True:
        print(json.dumps(reply), file=answer, flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        order = json.loads(line)
        if "make" in order:
            if "cache" in order:
                keraslike.config.set_compilation_cache(order["cache"])
            began = time.perf_counter()
            run = make(order["kind"], column, order["make"])
            if run is None:
                reply = {"none": True}
                continue
            built = time.perf_counter() - began
            reply = {"build": built, "first": run(1)}
            if order["warm"]:
                run(order["warm"])
        else:
            used, began = time.process_time(), time.perf_counter()
            reply = {
                "seconds": run(order["run"]),
                "share": (time.process_time() - used) / (time.perf_counter() - began),
                "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
            }


if __name__ == "__main__":
    main()
