"""Files whose large arrays go to the disk from where they are, and come from it the same way."""

import contextlib
import gc
import io
import os
import tracemalloc
import zipfile
import zlib

import h5py
import jax.numpy as jnp
import keras as oracle
import numpy as np
import pytest

import keraslike as keras
from keraslike.core import checksums
from keraslike.saving import h5_writer, keras_archive, weights_h5

from .small_models import weights_equal
from .test_damaged_files import _opening

FORMS = ["model.keras", "model.h5", "model.weights.h5", "model.weights.json"]


def large(width=1100):
    model = keras.Sequential([keras.Input((width,)), *[keras.layers.Dense(width) for _ in "ab"]])
    model.compile(loss="mse", optimizer="sgd")
    return model


def save(model, path):
    if path.name.endswith(".json"):
        model.save_weights(path, max_shard_size=0.005)
    elif "weights" in path.name:
        model.save_weights(path)
    else:
        model.save(path)


def test_h5py_reads_what_lies_in_pieces():
    values = {
        "small": jnp.arange(3.0),
        "large": jnp.arange(40_000.0).reshape(200, 200),
        "deep/er/half": jnp.arange(70_000).astype("bfloat16"),
        "whole": jnp.arange(50_000, dtype="int32"),
        "none": jnp.zeros((0, 3)),
        "one": jnp.float32(2.5),
        "last": jnp.ones((300, 300)),
    }
    with h5_writer.filled() as (image, file):
        for name, value in values.items():
            weights_h5.write_array(file, name, value)
            file[f"{name}_again"] = np.asarray(value)
            file.attrs[name.replace("/", "_")] = "x" * 2000
    path_like = b"".join(h5_writer.pieces_of(image))
    assert len(path_like) == len(image)
    held = sum(map(len, image._blocks.values()))
    assert held < len(image) < held + sum(v.nbytes for v in values.values()) + 4096
    with h5py.File(io.BytesIO(path_like)) as file:
        for name, value in values.items():
            np.testing.assert_array_equal(file[name][()], file[f"{name}_again"][()])
            assert file[name].shape == value.shape
        assert file["deep/er/half"].attrs["dtype"] == "bfloat16"


@pytest.mark.parametrize("form", FORMS)
def test_saving_copies_no_large_array(tmp_path, form):
    model = large()
    nbytes = sum(v.numpy().nbytes for v in model.weights)
    gc.collect()
    tracemalloc.start()
    try:
        save(model, tmp_path / form)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.2 * nbytes
    other = large()
    other.load_weights(tmp_path / form)
    assert weights_equal(other, model)
    if form != "model.weights.json":
        theirs = oracle.Sequential(
            [oracle.Input((1100,)), *[oracle.layers.Dense(1100) for _ in "ab"]]
        )
        if form == "model.h5":
            theirs = oracle.saving.load_model(tmp_path / form, compile=False)
        else:
            theirs.load_weights(tmp_path / form)
        for a, b in zip(theirs.get_weights(), model.get_weights()):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("form", [*FORMS, "folder"])
def test_loading_takes_little_memory_besides_the_weights(tmp_path, form):
    model = large()
    nbytes = sum(v.numpy().nbytes for v in model.weights)
    if form == "folder":
        model.save(tmp_path / form, zipped=False)
    else:
        save(model, tmp_path / form)
    into = large()
    gc.collect()
    tracemalloc.start()
    try:
        if "weights" in form:
            into.load_weights(tmp_path / form)
        else:
            into = keras.saving.load_model(tmp_path / form)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert weights_equal(into, model)
    assert nbytes <= peak < 1.2 * nbytes


def test_weights_that_are_packed_or_damaged(tmp_path):
    model = large(200)
    model.save(tmp_path / "model.keras")
    packed = tmp_path / "packed.keras"
    with zipfile.ZipFile(tmp_path / "model.keras") as old:
        members = {name: old.read(name) for name in old.namelist()}
        begin = old.getinfo(keras_archive.WEIGHTS).header_offset
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in members.items():
            new.writestr(name, data)
    assert weights_equal(keras.saving.load_model(packed), model)
    data = bytearray((tmp_path / "model.keras").read_bytes())
    data[begin + 100_000] ^= 1
    (tmp_path / "model.keras").write_bytes(data)
    before = [w.copy() for w in model.get_weights()]
    with pytest.raises(ValueError, match="(?s)damaged.*CRC"):
        keras.saving.load_model(tmp_path / "model.keras")
    with pytest.raises(ValueError, match="(?s)damaged.*CRC"):
        model.load_weights(tmp_path / "model.keras")
    for a, b in zip(model.get_weights(), before):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("begin, size", [(0, 0), (5, 999), (3, 17 << 20), (0, 18 << 20)])
def test_the_checksum_of_a_part_of_a_file_is_joined_from_those_of_threads(tmp_path, begin, size):
    data = np.random.default_rng(0).bytes(17 << 20)
    (tmp_path / "data").write_bytes(data)
    with open(tmp_path / "data", "rb") as file:
        found = checksums.crc32_of_file(file.fileno(), begin, size)
    assert found == zlib.crc32(data[begin : begin + size])


@pytest.mark.parametrize(
    "form, room",
    [(form, 3_000_000) for form in FORMS] + [(form, 9_000_000) for form in FORMS[:3]],
)
def test_a_disk_that_is_full_within_an_array_leaves_the_old_file(tmp_path, monkeypatch, form, room):
    model = large()
    save(model, tmp_path / form)
    before = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}
    with monkeypatch.context() as patch:
        patch.setattr(keras_archive, "open", _opening(room), raising=False)
        with pytest.raises(OSError, match="No space left"):
            save(large(), tmp_path / form)
    assert before == {n: (tmp_path / n).read_bytes() for n in os.listdir(tmp_path)}
    save(model, tmp_path / form)
    other = large()
    other.load_weights(tmp_path / form)
    assert weights_equal(other, model)


@keras.saving.register_keras_serializable(package="h5_writer")
class Scratch(keras.layers.Dense):
    """Hands out one array again and again, with other numbers in it."""

    shared = np.zeros((300, 300), "float32")

    def save_own_variables(self, store):
        self.shared[:] = self.kernel
        store["kernel"] = self.shared

    def load_own_variables(self, store):
        self.kernel.assign(store["kernel"])


def test_arrays_of_users_are_written_as_they_were_given(tmp_path):
    model = keras.Sequential([keras.Input((300,)), Scratch(300), Scratch(300)])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert not np.array_equal(loaded.layers[0].kernel, loaded.layers[1].kernel)
    for a, b in zip(loaded.layers, model.layers):
        np.testing.assert_array_equal(a.kernel, b.kernel)


def test_training_in_another_thread_does_not_reach_the_file(tmp_path):
    """A step donates the memory of the weights: not while a file is written from it."""
    model = large(600)
    x = np.ones((4, 600), "float32")
    model.train_on_batch(x, x)
    expected = [w.copy() for w in model.get_weights()]
    real = keras_archive.replacing

    @contextlib.contextmanager
    def training(path):
        model.train_on_batch(x, x)
        with real(path) as file:
            yield file

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras_archive, "replacing", training)
        model.save(tmp_path / "model.keras")
    assert not np.array_equal(expected[0], model.get_weights()[0])
    for a, b in zip(keras.saving.load_model(tmp_path / "model.keras").get_weights(), expected):
        np.testing.assert_array_equal(a, b)
