"""One of two processes that train together.

python -m tests.distribution.two_processes ID ADDRESS FOLDER prints what it trained as JSON, and
saves it to the folder.
"""

import contextlib
import io
import json
import pathlib
import random
import sys

import jax
import numpy as np

import keraslike as keras
from keraslike import layers
from keraslike.distribution import (
    DataParallel,
    DeviceMesh,
    LayoutMap,
    ModelParallel,
    get_device_count,
    initialize,
    set_distribution,
)

from . import shared_data

X = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
Y = X[:, :1] * 2


def make():
    model = keras.Sequential([layers.Input((3,)), layers.Dense(1)])
    model.compile(loss="mse", optimizer="sgd")
    return model


def train(process):
    """Results of fits with all data given to each process, or its own part of each batch."""
    results = {}
    set_distribution(DataParallel())
    model = make()
    history = model.fit(X, Y, batch_size=8, epochs=2, verbose=0).history
    results["whole"] = [history["loss"], model.predict(X, batch_size=8, verbose=0).tolist()]
    for name, whole in (("ordered", True), ("parts", False)):
        set_distribution(DataParallel(auto_shard_dataset=whole))
        model = make()
        model.set_weights([np.ones((3, 1)), np.zeros(1)])
        size, first = (8, 0) if whole or process is None else (4, 4 * process)
        own = [np.concatenate([a[i + first : i + first + size] for i in (0, 8)]) for a in (X, Y)]
        history = model.fit(*own, batch_size=size, shuffle=False, verbose=0).history
        results[name] = [history["loss"], *[w.tolist() for w in model.get_weights()]]
    if process is not None:
        try:
            model.fit(X[:3], Y[:3], batch_size=3, verbose=0)
        except ValueError as e:
            results["error"] = str(e)
    return results


def fit_in_parts():
    """The losses and weights of a model that is divided over the devices of all processes."""
    keras.utils.set_random_seed(4)
    model = keras.Sequential([layers.Input((3,)), layers.Dense(8, "tanh"), layers.Dense(1)])
    model.compile(loss="mse", optimizer="adam")
    loss = model.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0).history["loss"]
    return model, [loss, model.predict(X, verbose=0).tolist()]


def in_parts(folder):
    """What is in a model that no process has all of, read, saved and brought together."""
    set_distribution(ModelParallel.fsdp(min_size=8))
    model, results = fit_in_parts()
    results += [w.tolist() for w in model.get_weights()]
    parts = model.layers[0].kernel._raw_value
    assert not parts.is_fully_addressable and not parts.is_fully_replicated
    assert "shape=(3, 8)" in repr(model.layers[0].kernel)
    model.summary(print_fn=lambda line: None)
    model.save(folder / "parts.keras")
    model.save(folder / "parts.h5")
    model.save_weights(folder / "parts.weights.h5")
    model.export(folder / "program", format="stablehlo", verbose=False)
    board = keras.callbacks.TensorBoard(folder / "board", histogram_freq=1)
    model.fit(X, Y, batch_size=8, verbose=0, callbacks=[board])
    model.set_weights([np.asarray(w) for w in results[2:]])
    loaded = keras.saving.load_model(folder / "parts.keras")
    assert [w.tolist() for w in loaded.get_weights()] == results[2:]
    assert not loaded.layers[0].kernel._raw_value.is_fully_addressable
    model.load_weights(folder / "parts.weights.h5")
    set_distribution(None)
    model.fit(X, Y, verbose=0)
    assert model.layers[0].kernel._raw_value.is_fully_addressable
    return results


class Stop(keras.callbacks.Callback):
    """Stops in one process only."""

    def __init__(self, hook, when):
        super().__init__()
        setattr(self, hook, lambda number, logs=None: self.stop(number == when))

    def stop(self, now):
        if now and jax.process_index() == 1:
            self.model.stop_training = True


def agreed(folder):
    """What one process decides all do, and what one writes none of the others does."""
    set_distribution(DataParallel())
    model, results = make(), {}
    kwargs = {"batch_size": 8, "epochs": 3, "shuffle": False}
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        log = keras.callbacks.CSVLogger(folder / "log.csv")
        model.fit(X, Y, **kwargs, verbose=2, callbacks=[log])
    results["said"] = said.getvalue().count("loss:")
    results["rows"] = (folder / "log.csv").read_text().count("\n")
    made = model.optimizer.iterations.numpy().item()
    for hook, when in (("on_epoch_end", 1), ("on_train_batch_end", 1)):
        stop = Stop(hook, when)
        history = model.fit(X, Y, **kwargs, verbose=0, callbacks=[stop])
        results[hook] = [history.epoch, model.optimizer.iterations.numpy().item() - made]
        made = model.optimizer.iterations.numpy().item()
    stop = [Stop("on_train_batch_end", 1)] if jax.process_index() == 1 else []  # of one only
    results["epochs"] = len(model.fit(X, Y, **kwargs, verbose=0, callbacks=stop).epoch)
    set_distribution(None)
    return results


def orbax_in_parts(folder):
    """Checkpoints of which each process writes and reads its parts, under several layouts."""
    set_distribution(ModelParallel.fsdp(min_size=8))
    saver = keras.callbacks.OrbaxCheckpoint(folder / "orbax in parts")
    keras.utils.set_random_seed(4)
    up, down = layers.Dense(8, "tanh", name="up"), layers.Dense(1, name="down")
    model = keras.Sequential([layers.Input((3,)), up, down])
    model.compile(loss="mse", optimizer="adam")
    model.fit(X, Y, batch_size=8, shuffle=False, verbose=0, callbacks=[saver])
    expected = [w.tolist() for w in model.get_weights()]
    layouts = LayoutMap(DeviceMesh((2, 2), ("batch", "model")))
    layouts[".*up/kernel"], layouts[".*up/bias"] = (None, "model"), ("model",)
    layouts[".*down/kernel"] = ("batch", None)
    for other in (ModelParallel.fsdp(min_size=8), ModelParallel(layout_map=layouts), None):
        set_distribution(other)
        again = keras.saving.load_model(folder / "orbax in parts")
        assert [w.tolist() for w in again.get_weights()] == expected
        if other is not None:
            assert not again.layers[1].kernel._raw_value.is_fully_addressable
            assert not again.layers[1].kernel._raw_value.is_fully_replicated
        slots = [v.numpy().tolist() for v in again.optimizer.variables]
        assert slots == [v.numpy().tolist() for v in model.optimizer.variables]
    set_distribution(None)
    return expected


class Words(layers.Layer):
    """Saves which process wrote it."""

    def call(self, x):
        return x

    def save_assets(self, dir_path):
        (pathlib.Path(dir_path) / "process").write_text(str(jax.process_index()))

    def load_assets(self, dir_path):
        self.process = (pathlib.Path(dir_path) / "process").read_text()


def save(process, folder):
    """Both save to the same paths, and read what is there as soon as they may."""
    set_distribution(DataParallel())
    model = keras.Sequential([layers.Input((3,)), Words(), layers.Dense(1)])
    model.compile(loss="mse", optimizer="sgd")
    backup = keras.callbacks.BackupAndRestore(folder / "backup", delete_checkpoint=False)
    model.fit(X, Y, batch_size=8, epochs=1, verbose=0, callbacks=[backup])
    kept = {
        "best.keras": keras.callbacks.ModelCheckpoint(folder / "best.keras", monitor="loss"),
        "orbax": keras.callbacks.OrbaxCheckpoint(folder / "orbax"),
    }
    fit = model.fit(X, Y, batch_size=8, epochs=2, verbose=0, callbacks=[backup, *kept.values()])
    results = {"epochs": fit.epoch}
    model.save(folder / "m.keras")
    model.save(folder / "m.h5")
    model.save_weights(folder / "m.weights.h5")
    results["seen"] = sorted(p.name for p in folder.iterdir())
    loaded = {}
    for name in ("m.keras", "m.h5", *kept):
        again = keras.saving.load_model(folder / name, custom_objects={"Words": Words})
        loaded[name] = [w.tolist() for w in again.get_weights()]
        if name == "m.keras":
            results["written by"] = again.layers[0].process
    model.load_weights(folder / "m.weights.h5")
    results["equal"] = all(v == [w.tolist() for w in model.get_weights()] for v in loaded.values())
    try:
        model.save(folder / "none" / "m.keras")
    except FileNotFoundError as e:
        results["error"] = str(e)
    if process == 0:  # a program may leave it to the first one
        model.save(folder / "alone.keras")
    set_distribution(None)
    return results


if __name__ == "__main__":
    process, address, folder = int(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
    random.seed(process)  # what one process draws is another's business
    initialize(address, num_processes=2, process_id=process)
    results = {"devices": get_device_count(), **train(process), "saved": save(process, folder)}
    results["in parts"] = in_parts(folder)
    results["agreed"] = agreed(folder)
    results["orbax"] = orbax_in_parts(folder)
    (folder / "shares").mkdir(exist_ok=True)
    results["shares"] = shared_data.in_shares(process, folder / "shares")
    print(json.dumps(results))
