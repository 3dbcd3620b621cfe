"""Runs the guides of Keras's documentation with keraslike in Keras's place (`as_keras()`).

    python tests/conformance/guides.py                          all of `GUIDES`, downloaded once
    python tests/conformance/guides.py functional_api           only some
    python tests/conformance/guides.py --folder PATH            guides that lie in a folder

They run as they stand, but for: data sets, which are random arrays of the same shapes; networks
whose weights would be downloaded; `fit` and its like, which take a few steps, and data sets, which
give a few batches; and `torch.utils.data` and `tensorflow_datasets`, whose place small stand-ins
take.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile
import time
import types
import urllib.request
from collections.abc import Iterator
from typing import Any

import numpy as np

HERE = pathlib.Path(__file__)
ROOT = HERE.parent.parent.parent
CACHE = ROOT / ".conformance" / "guides"
SOURCE = "https://raw.githubusercontent.com/keras-team/keras-io/master/guides"
GUIDES = (
    *("functional_api", "sequential_model", "making_new_layers_and_models_via_subclassing"),
    *("training_with_built_in_methods", "custom_train_step_in_jax"),
    *("writing_a_custom_training_loop_in_jax", "understanding_masking_and_padding"),
    *("working_with_rnns", "serialization_and_saving", "customizing_saving_and_serialization"),
    *("writing_your_own_callbacks", "preprocessing_layers", "transfer_learning"),
)
LIMIT = 900  # seconds a guide may take
STEPS, EPOCHS = 12, 3


def main() -> None:
    """Runs guides, each in a process and a folder of its own, and says which fail, and where."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=GUIDES)
    parser.add_argument("--folder", type=pathlib.Path)
    parser.add_argument("--run", type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        return run(options.run)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}
    failed = []
    for name in options.names:
        path = options.folder / f"{name}.py" if options.folder else downloaded(name)
        command, start = (
            [sys.executable, str(HERE.resolve()), "--run", str(path.resolve())],
            time.time(),
        )
        with tempfile.TemporaryDirectory() as folder:
            try:
                done = subprocess.run(
                    *(command,),
                    cwd=folder,
                    env=environment,
                    timeout=LIMIT,
                    text=True,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                )
                error, output = done.returncode, done.stdout
            except subprocess.TimeoutExpired:
                error, output = -1, f"not done after {LIMIT} s"
        print(f"{name}: {'FAILED' if error else 'runs'} ({time.time() - start:.0f} s)", flush=True)
        if error:
            failed.append(name)
            print("    " + "\n    ".join(output.splitlines()[-25:]), flush=True)
    if failed:
        raise SystemExit(f"{len(failed)} of {len(options.names)} guides fail: {', '.join(failed)}")


def downloaded(name: str) -> pathlib.Path:
    """The guide's file, brought once."""
    path = CACHE / f"{name}.py"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(f"{SOURCE}/{name}.py", timeout=60) as response:
            new = path.with_suffix(".new")
            new.write_bytes(response.read())
        new.replace(path)
    return path


def run(path: pathlib.Path) -> None:
    """Runs one guide in this process."""
    import keraslike
    from keraslike.applications import building

    keras = keraslike.as_keras()
    for name, shape, column, classes in (
        ("mnist", (28, 28), (), 10),
        ("fashion_mnist", (28, 28), (), 10),
        ("cifar10", (32, 32, 3), (1,), 10),
    ):
        set_data(getattr(keraslike.datasets, name), shape, column, classes)
    for method in ("fit", "evaluate", "predict"):
        shorten(keraslike.Model, method)
    if not hasattr(keras, "applications"):
        keras.applications = types.SimpleNamespace()
    keras.applications.VGG19 = small_network
    building.get_file = lambda *args, **kwargs: None  # in whose place random weights stay
    if importlib.util.find_spec("torch") is None:
        stand_in_for_torch()
    if importlib.util.find_spec("tensorflow") is None or "tensorflow" not in sys.modules:
        import tensorflow as tf  # keraslike.tf where there is no TensorFlow

        if not hasattr(tf, "data"):
            count = types.SimpleNamespace(cardinality=keraslike.data.Dataset.cardinality)
            tf.data = types.SimpleNamespace(Dataset=keraslike.data.Dataset, experimental=count)
        few_batches(keraslike.data.Dataset)
        stand_in_for_tfds(tf.data.Dataset)
    runpy.run_path(str(path), run_name="__main__")


def set_data(module: Any, shape: tuple[int, ...], column: tuple[int, ...], classes: int) -> None:
    """Makes a module of data sets give random values, as many as there are of the real ones."""

    def load_data() -> Any:
        rng = np.random.default_rng(0)
        return tuple(
            (
                np.resize(rng.integers(0, 256, (500, *shape), "uint8"), (n, *shape)),
                rng.integers(0, classes, (n, *column), "uint8"),
            )
            for n in (60000 if len(shape) == 2 else 50000, 10000)
        )

    module.load_data = load_data


def shorten(model: Any, method: str) -> None:
    """Lets `fit` or one of its like take a few steps only."""
    whole = getattr(model, method)

    def few(self: Any, *args: Any, **kwargs: Any) -> Any:
        steps = "steps_per_epoch" if method == "fit" else "steps"
        if method == "fit":
            kwargs["epochs"] = min(kwargs.get("epochs", 1), EPOCHS)
            kwargs["validation_steps"] = min(kwargs.get("validation_steps") or STEPS, STEPS)
        data = args[0] if args else kwargs.get("x")
        count = int(data.cardinality()) if hasattr(data, "cardinality") else 0
        if 0 < count <= STEPS:
            pass
        elif len(data) > 2000 if hasattr(data, "shape") else hasattr(data, "__iter__"):
            kwargs[steps] = min(kwargs.get(steps) or STEPS, STEPS)
        return whole(self, *args, **kwargs)

    setattr(model, method, few)


def small_network() -> Any:
    """A network in the place of one whose weights would be downloaded."""
    from keraslike import Sequential, layers

    convolutions = [layers.Conv2D(4, 3, strides=4, activation="relu") for _ in range(3)]
    return Sequential([layers.Input((224, 224, 3)), *convolutions, layers.Flatten()])


def few_batches(dataset: Any) -> None:
    """Lets the data sets of this class end after a few batches."""
    batch = dataset.batch
    dataset.batch = lambda self, *args, **kwargs: batch(self, *args, **kwargs).take(STEPS)


def stand_in_for_tfds(dataset: Any) -> None:
    """Makes `tensorflow_datasets` importable, whose images are random, of two sizes."""

    def load(name: str, split: list[str], as_supervised: bool) -> list[Any]:
        rng = np.random.default_rng(0)
        sizes = ((120, 160, 3), (200, 180, 3))
        images = [rng.integers(0, 256, sizes[i % 2], "uint8") for i in range(9)]
        indices = dataset.from_tensor_slices(np.arange(len(images)))
        return [indices.map(lambda i: (images[int(i)], int(i) % 2)) for _ in split]

    module = types.ModuleType("tensorflow_datasets")
    module.load, module.disable_progress_bar = load, lambda: None
    sys.modules["tensorflow_datasets"] = module


def stand_in_for_torch() -> None:
    """Makes `torch.utils.data` importable, with data sets and a loader of arrays."""

    class TorchDataset:
        __module__ = "torch.utils.data"

    class DataLoader:
        __module__ = "torch.utils.data"

        def __init__(self, dataset: Any, batch_size: int = 1, shuffle: bool = False):
            self.dataset, self.batch_size = dataset, batch_size

        def __len__(self) -> int:
            return min(STEPS, -(-len(self.dataset) // self.batch_size))

        def __iter__(self) -> Iterator[Any]:
            for i in range(len(self)):
                places = range(
                    i * self.batch_size, min((i + 1) * self.batch_size, len(self.dataset))
                )
                yield [np.stack(values) for values in zip(*(self.dataset[p] for p in places))]

    torch, utils, data = (types.ModuleType(f"torch{n}") for n in ("", ".utils", ".utils.data"))
    torch.utils, utils.data = utils, data
    data.Dataset, data.DataLoader = TorchDataset, DataLoader
    sys.modules.update({m.__name__: m for m in (torch, utils, data)})


if __name__ == "__main__":
    main()
