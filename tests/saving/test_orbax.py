"""Checkpoints in orbax's layout: what comes back from them, and what happens where it cannot."""

import inspect
import json
import os
import shutil
import subprocess
import sys
import zlib

import jax.numpy as jnp
import keras as oracle
import numpy as np
import orbax.checkpoint as ocp
import pytest
import tensorstore
from flax import nnx

import keraslike
from keraslike import layers, saving
from keraslike.callbacks import Callback, OrbaxCheckpoint
from keraslike.saving import orbax_store

from .small_models import small, weights_equal

pytestmark = pytest.mark.slow


def fit(model, batch, *callbacks, epochs=1, **kwargs):
    return model.fit(
        *batch, epochs=epochs, batch_size=4, verbose=0, callbacks=list(callbacks), **kwargs
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A trained model and the directory of its checkpoints 1 and 2."""
    rng = np.random.default_rng(0)
    batch = rng.normal(size=(12, 4)).astype("float32"), rng.normal(size=(12, 2)).astype("float32")
    directory = tmp_path_factory.mktemp("saved") / "checkpoints"
    model = small(optimizer="adam", loss="mse", metrics=["mae"])
    fit(model, batch, OrbaxCheckpoint(directory, max_to_keep=2), epochs=3)
    return model, directory


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved[1], tmp_path / "copy")


def refuses(model, directory, match, load=None):
    """Loading raises a ValueError that names the directory, and changes nothing."""
    model.optimizer.build(model.trainable_variables)
    before = [v.numpy() for v in [*model.weights, *model.optimizer.variables]]
    with pytest.raises(ValueError, match=match) as error:
        (load or model.load_weights)(directory)
    assert str(directory) in str(error.value)
    after = [v.numpy() for v in [*model.weights, *model.optimizer.variables]]
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


# -- what comes back --------------------------------------------------------------------------


def test_training_goes_on_as_if_never_stopped(tmp_path, batch):
    hidden = [layers.Dropout(0.5), layers.BatchNormalization()]
    model = keraslike.Sequential([keraslike.Input((4,)), *hidden, layers.Dense(2)])
    model.compile("nadam", "mse", metrics=["mae"])
    fit(model, batch, OrbaxCheckpoint(tmp_path), epochs=2, shuffle=False)
    again = saving.load_model(tmp_path)
    assert weights_equal(model, again)
    for a, b in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert again.get_metrics_result() == model.get_metrics_result() != {}
    one, two = fit(model, batch, shuffle=False), fit(again, batch, shuffle=False)
    assert one.history == two.history
    assert weights_equal(model, again)


class Block(layers.Layer):
    """Weights of every kind: its own way to save some, of bfloat16, without elements, of flax."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.half = self.add_weight(name="half", shape=(4,), dtype="bfloat16", initializer="ones")
        self.none = self.add_weight(name="none", shape=(0, 3))
        self.linear = nnx.Linear(4, 4, rngs=nnx.Rngs(0))
        self.inner = [layers.Dense(4), {"b": Table()}]

    def call(self, x):
        x = self.inner[1]["b"](self.inner[0](x))
        return self.linear(x) * self.half.value.astype(x.dtype)


class Table(layers.Layer):
    def build(self, shape):
        self.table = self.add_weight(name="table", shape=(4,), initializer="ones")

    def call(self, x):
        return x * self.table

    def save_own_variables(self, store):
        store["half of it/.x"] = np.asarray(self.table) / 2

    def load_own_variables(self, store):
        self.table.assign(store["half of it/.x"] * 2)


class Nested(keraslike.Model):
    """Not built by its config: only data does."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.block, self.out = Block(), layers.Dense(2)

    def build(self, shape):
        self.built = True

    def call(self, x):
        return self.out(self.block(x))


def test_weights_of_every_kind(tmp_path, batch):
    model = Nested()
    model.compile("sgd", "mse")
    fit(model, batch, OrbaxCheckpoint(tmp_path))
    custom = {"Nested": Nested, "Block": Block, "Table": Table}
    again = saving.load_model(tmp_path, custom_objects=custom)
    np.testing.assert_array_equal(again.predict(batch[0]), model.predict(batch[0]))
    assert again.block.half.value.dtype == jnp.bfloat16
    one, two = fit(model, batch, shuffle=False), fit(again, batch, shuffle=False)
    assert one.history == two.history


def test_any_program_with_orbax_can_read_the_arrays(saved):
    model, directory = saved
    with ocp.CheckpointManager(directory, item_names=("state",)) as manager:
        state = manager.restore(2, args=ocp.args.Composite(state=ocp.args.PyTreeRestore())).state
    kernel = state["model"]["layers"]["dense"]["vars"]["0"]
    np.testing.assert_array_equal(kernel, model.get_weights()[0])
    assert int(state["updates"]) == 9


def test_weights_only(tmp_path, batch):
    model = small(optimizer="adam", loss="mse")
    fit(model, batch, OrbaxCheckpoint(tmp_path, save_weights_only=True))
    other = small(optimizer="adam", loss="mse")
    other.load_weights(tmp_path)
    assert weights_equal(model, other)
    assert int(other.optimizer.iterations) == 0
    with pytest.raises(ValueError, match="without the model's architecture"):
        saving.load_model(tmp_path)


def test_an_older_checkpoint_and_no_compile(saved):
    model, directory = saved
    first = saving.load_model(directory / "1", compile=False)
    assert not first.compiled and not weights_equal(first, model)
    last = small(optimizer="adam", loss="mse")
    last.load_weights(directory / "2")
    assert weights_equal(last, model)
    assert int(last.optimizer.iterations) == 9


def test_a_mismatch_can_be_skipped(saved):
    _, directory = saved
    wide = small(5)
    before = wide.get_weights()
    with pytest.warns(UserWarning, match=r"expected shape \(4, 5\), found \(4, 3\)"):
        wide.load_weights(directory, skip_mismatch=True)
    assert all(map(np.array_equal, before, wide.get_weights()))


# -- when it is saved -------------------------------------------------------------------------


class Snapshots(Callback):
    def __init__(self):
        self.taken = []

    def on_train_batch_end(self, batch, logs=None):
        self.taken.append(self.model.get_weights())


@pytest.mark.parametrize("background", [True, False])
def test_every_so_many_steps(tmp_path, batch, background):
    model, snapshots = small(optimizer="sgd", loss="mse"), Snapshots()
    saver = OrbaxCheckpoint(tmp_path, save_freq=2, max_to_keep=None, save_on_background=background)
    fit(model, batch, saver, snapshots, epochs=3)
    assert sorted(os.listdir(tmp_path)) == ["2", "4", "6", "8"]
    other = small()
    for number in (2, 4, 6, 8):  # while it was written, training went on
        other.load_weights(tmp_path / str(number))
        for a, b in zip(other.get_weights(), snapshots.taken[number - 1], strict=True):
            np.testing.assert_array_equal(a, b)


def test_only_the_best(tmp_path, batch):
    class Logs(Callback):
        values = (3.0, 2.0, 2.5, 1.0, 1.5)

        def on_epoch_end(self, epoch, logs=None):
            logs["mine"] = self.values[epoch]

    model = small(optimizer="sgd", loss="mse")

    def numbers(directory, **kwargs):
        kwargs = {"mode": "min", "save_best_only": True, "max_to_keep": None, **kwargs}
        saver = OrbaxCheckpoint(directory, "mine", **kwargs)
        fit(model, batch, saver, Logs(), epochs=5)
        return sorted(os.listdir(directory)) if directory.exists() else []

    assert numbers(tmp_path / "min") == ["0", "1", "3"]
    assert numbers(tmp_path / "max", mode="max") == ["0"]
    assert numbers(tmp_path / "than", initial_value_threshold=2.0) == ["3"]
    saver = OrbaxCheckpoint(tmp_path / "none", save_best_only=True)
    with pytest.warns(UserWarning, match="val_loss"):
        fit(model, batch, saver)


def test_the_directory_of_an_earlier_run_is_counted_on(copy, batch):
    model = small(optimizer="adam", loss="mse")
    fit(model, batch, OrbaxCheckpoint(copy, max_to_keep=2))
    assert sorted(os.listdir(copy)) == ["2", "3"]
    assert weights_equal(saving.load_model(copy), model)


def test_what_is_being_saved_is_waited_for(tmp_path, batch):
    class Stop(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    saver = OrbaxCheckpoint(tmp_path)
    model = small(optimizer="sgd", loss="mse")
    with pytest.raises(KeyboardInterrupt):
        fit(model, batch, saver, Stop(), epochs=2)
    assert weights_equal(saving.load_model(tmp_path), model)
    saver.wait_until_finished()
    fit(model, batch, saver)
    assert os.listdir(tmp_path) == ["1"]


def test_verbose_says_where(tmp_path, batch, capsys):
    fit(small(optimizer="sgd", loss="mse"), batch, OrbaxCheckpoint(tmp_path, verbose=1))
    assert f"saving to {tmp_path}/0" in capsys.readouterr().out


def test_arguments(tmp_path):
    def arguments(cls):
        return [(p.name, p.default) for p in inspect.signature(cls).parameters.values()]

    assert arguments(OrbaxCheckpoint) == arguments(oracle.callbacks.OrbaxCheckpoint)
    for bad in (
        {"directory": None},
        {"save_freq": "batch"},
        {"save_freq": 0},
        {"max_to_keep": 0},
    ):
        with pytest.raises(ValueError, match=next(iter(bad))):
            OrbaxCheckpoint(**{"directory": tmp_path, **bad})
    with pytest.warns(UserWarning, match="OrbaxCheckpoint mode 'best' is unknown"):
        assert OrbaxCheckpoint(tmp_path, mode="best").mode == "auto"
    with pytest.raises(RuntimeError, match="within fit"):
        saver = OrbaxCheckpoint(tmp_path)
        saver.set_model(small(optimizer="sgd", loss="mse"))
        saver.on_epoch_end(0, {})


def test_orbax_is_imported_when_it_is_needed():
    code = "import sys, keraslike; keraslike.callbacks.OrbaxCheckpoint('x'); print([m for m in "
    code += "sys.modules if m.startswith(('orbax', 'tensorstore'))])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


# -- what is not there, or of something else --------------------------------------------------


def test_missing_empty_and_foreign_directories(tmp_path):
    model = small(optimizer="adam", loss="mse")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        model.load_weights(tmp_path / "nowhere")
    for load in (model.load_weights, saving.load_model):
        refuses(model, tmp_path, "without a finished checkpoint. It holds: nothing", load)
    (tmp_path / "notes").write_text("mine")
    (tmp_path / "3").write_text("a file")
    refuses(model, tmp_path, "It holds: 3, notes")
    foreign = tmp_path / "foreign"
    with ocp.CheckpointManager(foreign) as manager:
        manager.save(5, args=ocp.args.StandardSave({"a": jnp.ones(3)}))
    refuses(model, foreign, "is no checkpoint of keraslike's: it has no 'training'")
    refuses(model, foreign / "5", "is no checkpoint of keraslike's", saving.load_model)


def test_weights_that_do_not_fit(saved):
    wide = small(5, optimizer="adam", loss="mse")
    refuses(wide, saved[1], r"do not fit(.|\n)*expected shape \(4, 5\), found \(4, 3\)")
    with pytest.raises(ValueError, match="no weights to load"):
        keraslike.Sequential([layers.Dense(3)]).load_weights(saved[1])


def test_unfinished_saves_do_not_count(copy, batch):
    for name in ("7.orbax-checkpoint-tmp", "8.orbax-checkpoint-tmp-1700000000"):
        shutil.copytree(copy / "2", copy / name)
        shutil.rmtree(copy / name / "training")
    os.remove(copy / name / "_CHECKPOINT_METADATA")
    model = small(optimizer="adam", loss="mse")
    model.load_weights(copy)
    assert int(model.optimizer.iterations) == 9
    refuses(model, copy / "7.orbax-checkpoint-tmp", "never finished")
    fit(model, batch, OrbaxCheckpoint(copy, max_to_keep=None))
    assert sorted(os.listdir(copy)) == ["1", "2", "3"]  # which the next run clears away


def test_a_disk_that_fills_up_leaves_what_was_there(copy, batch, monkeypatch):
    saver = OrbaxCheckpoint(copy, save_on_background=False)

    def full(*_, **__):
        raise OSError("No space left on device")

    model = small(optimizer="adam", loss="mse")
    with monkeypatch.context() as patch:
        patch.setattr(ocp.JsonCheckpointHandler, "_save_fn", full)
        with pytest.raises(OSError, match="No space left"):
            fit(model, batch, saver)
    again = saving.load_model(copy)
    assert int(again.optimizer.iterations) == 9
    fit(model, batch, OrbaxCheckpoint(copy))
    assert weights_equal(saving.load_model(copy), model)


# -- damage and attacks -----------------------------------------------------------------------


def test_every_changed_or_missing_byte_is_found(saved, copy):
    """A file cut short, removed or with one bit changed: an error, or it did not matter."""
    good, _ = saved
    rng = np.random.default_rng(1)
    step = copy / "2"
    files = [p for p in step.rglob("*") if p.is_file() and p.name != "commit_success.txt"]
    assert len(files) > 8
    found = 0
    for path in files:
        raw = path.read_bytes()
        flipped = bytearray(raw)
        flipped[rng.integers(len(raw))] ^= 1 << rng.integers(8)
        for damage in (None, raw[: rng.integers(len(raw))], bytes(flipped)):
            os.remove(path) if damage is None else path.write_bytes(damage)
            model = small(optimizer="adam", loss="mse")
            before = model.get_weights()
            try:
                model.load_weights(step)
                assert weights_equal(model, good)
            except ValueError as e:
                found += 1
                assert str(step) in str(e)
                assert all(map(np.array_equal, before, model.get_weights()))
            path.write_bytes(raw)
    assert found >= 9


def test_large_arrays_have_checksums_too(tmp_path, batch):
    model = small(9000, optimizer="sgd", loss="mse")
    fit(model, batch, OrbaxCheckpoint(tmp_path, save_weights_only=True))
    largest = max((p for p in tmp_path.rglob("*") if p.is_file()), key=os.path.getsize)
    raw = bytearray(largest.read_bytes())
    raw[len(raw) // 2] ^= 16
    largest.write_bytes(raw)
    refuses(model, tmp_path, "is damaged")


def rewrite(directory, item, change):
    path = directory / "2" / item / "metadata"
    value = json.loads(path.read_text())["value"]
    value = change(value) or value
    checksum = zlib.crc32(json.dumps(value).encode())
    path.write_text(json.dumps({"checksum": checksum, "value": value}))


def test_no_class_is_found_that_is_not_known(copy, batch, tmp_path):
    def name_another(config):
        config["config"]["layers"][1].update(module="subprocess", class_name="Popen")

    rewrite(copy, "model", name_another)
    with pytest.raises(TypeError, match="'Popen' is not known here.*custom_objects") as error:
        saving.load_model(copy)
    assert str(copy) in str(error.value)


def test_bytecode_is_read_only_where_it_is_allowed(tmp_path, batch):
    model = keraslike.Sequential([keraslike.Input((4,)), layers.Lambda(lambda x: x * 3)])
    model.add(layers.Dense(2))
    model.compile("sgd", "mse")
    fit(model, batch, OrbaxCheckpoint(tmp_path))
    with pytest.raises(ValueError, match="safe_mode=False"):
        saving.load_model(tmp_path)
    again = saving.load_model(tmp_path, safe_mode=False)
    np.testing.assert_array_equal(again.predict(batch[0]), model.predict(batch[0]))


def test_custom_objects(tmp_path, batch):
    def cubed(y_true, y_pred):
        return jnp.abs(y_true - y_pred) ** 3

    model = small(optimizer="sgd", loss=cubed)
    fit(model, batch, OrbaxCheckpoint(tmp_path))
    with pytest.raises(TypeError, match="'cubed' is not known here") as error:
        saving.load_model(tmp_path)
    assert str(tmp_path) in str(error.value)
    again = saving.load_model(tmp_path, custom_objects={"cubed": cubed})
    one, two = fit(model, batch, shuffle=False), fit(again, batch, shuffle=False)
    assert one.history == two.history


def test_json_without_end_is_refused(copy):
    (copy / "2" / "model" / "metadata").write_text("[" * 100_000 + "]" * 100_000)
    refuses(small(optimizer="adam", loss="mse"), copy, "damaged", saving.load_model)

    def deep(config):
        for _ in range(300):
            config = {"class_name": "a", "config": config}
        return config

    shutil.copy(copy / "1" / "model" / "metadata", copy / "2" / "model" / "metadata")
    rewrite(copy, "model", deep)
    refuses(small(optimizer="adam", loss="mse"), copy, "nested more than", saving.load_model)


def test_an_array_that_would_take_more_memory_than_its_shape_says(copy):
    base = {"driver": "file", "path": f"{copy}/2/state/"}
    files = tensorstore.KvStore.open({"driver": "ocdbt", "base": base}).result()
    name = "model.layers.dense.vars.0/.zarray"
    for shape, chunks in (((4, 3), (1 << 30, 64)), ((1 << 40, 1 << 10), (4, 3))):
        said = json.loads(files.read(name).result().value)
        said.update(shape=shape, chunks=chunks)
        files.write(name, json.dumps(said).encode()).result()
        match = "not safe to load|do not fit"
        refuses(small(optimizer="adam", loss="mse"), copy / "2", match)


def test_only_what_the_format_says_is_read(copy):
    rewrite(copy, "training", lambda value: {**value, "format": 99})
    refuses(small(optimizer="adam", loss="mse"), copy, "newer version of keraslike")
    assert orbax_store.finished(str(copy)) == [1, 2]
