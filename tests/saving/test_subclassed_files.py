"""Weights of models of classes of their own, in files of Keras 2 and Keras 3, by the values that
each layer has: layers are of equal shapes, so an exchange would not be an error."""

import copy
import io
import json
import pickle
import zipfile

import h5py
import jax
import keras
import numpy as np
import pytest
from flax import nnx

import keraslike
from keraslike.saving import h5_reader, weights_h5

from . import keras2
from .keras2 import subclassed

VERSIONS = {"2.12.1": "2_12", "2.14.1": "2_14", "2.15.0": "2_15"}
OURS = subclassed.models(keraslike)
KERAS = subclassed.models(keras)


def ours(name):
    """A model, with weights of zeros, and the values that they should have after a load."""
    model = OURS[name]()
    model.built = True
    weights = list(model.weights)
    wanted = [np.asarray(w) for w in weights]
    for w in weights:
        w.assign(np.zeros(w.shape))
    return model, weights, wanted


def h5_of(recorded):
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        for path, (shape, value) in recorded.items():
            file[path] = np.full(shape, value, "float32")
    return data.getvalue()


def check(weights, wanted):
    for found, expected in zip(weights, wanted, strict=True):
        np.testing.assert_array_equal(np.asarray(found).ravel()[:1], expected.ravel()[:1])


@pytest.mark.parametrize("version", VERSIONS)
def test_files_of_keras_2(version, tmp_path):
    for name, recorded in keras2.record(f"subclassed_{VERSIONS[version]}").items():
        model, weights, wanted = ours(name)
        data = h5_of(recorded)
        h5, archive = tmp_path / "m.weights.h5", tmp_path / "m.keras"
        h5.write_bytes(data)
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("config.json", "{}")
            file.writestr("metadata.json", json.dumps({"keras_version": version}))
            file.writestr("model.weights.h5", data)
        if name == "Unreached":
            with pytest.raises(ValueError, match="of which Keras 2 stores nothing"):
                model.load_weights(archive)
            check(weights, [np.zeros(1)] * len(wanted))
            continue
        model.load_weights(archive)
        check(weights, wanted)
        for w in weights:
            w.assign(np.zeros(w.shape))
        if name == "Nested" and version < "2.15":  # Keras 3 has other layers in these places
            with pytest.raises(ValueError, match="does not say which weights are of which layer"):
                model.load_weights(h5)
            check(weights, [np.zeros(1)] * len(wanted))
        else:
            model.load_weights(h5)
            check(weights, wanted)


@pytest.mark.slow
@pytest.mark.parametrize("name", OURS)
def test_files_of_keras_3(name, tmp_path):
    theirs = KERAS[name]()
    theirs.built = True
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    model, weights, wanted = ours(name)
    if name == "Reassigned":  # whose first layers Keras goes on listing
        with pytest.raises(ValueError, match="found none"):
            model.load_weights(tmp_path / "theirs.weights.h5")
        check(weights, [np.zeros(1)] * len(wanted))
        return
    check(wanted, theirs.get_weights())
    with h5py.File(tmp_path / "theirs.weights.h5") as file:
        assert h5_reader.Reader(file, "m").layouts()[0] == weights_h5.KERAS_3
    model.load_weights(tmp_path / "theirs.weights.h5")
    check(weights, wanted)
    # As versions up to 3.7 wrote it, without names.
    for w in weights:
        w.assign(np.zeros(w.shape))
    with h5py.File(tmp_path / "theirs.weights.h5", "r+") as file:
        groups = []
        file.visit(groups.append)
        for group in groups:
            file[group].attrs.pop("name", None)
        file.attrs.pop("keraslike_seal", None)
    model.load_weights(tmp_path / "theirs.weights.h5")
    check(weights, wanted)
    model.save_weights(tmp_path / "ours.weights.h5")
    theirs.set_weights([np.zeros_like(w) for w in wanted])
    theirs.load_weights(tmp_path / "ours.weights.h5")
    check(theirs.get_weights(), wanted)


@pytest.mark.parametrize("copied", ["deepcopy", "pickle", "tree", "nnx"])
def test_copies_list_their_layers_in_the_same_order(copied):
    model = ours("Appended")[0]
    copy_of = {
        "deepcopy": copy.deepcopy,
        "pickle": lambda m: pickle.loads(pickle.dumps(m)),
        "tree": lambda m: jax.tree.map(lambda x: x, m),
        "nnx": nnx.clone,
    }[copied]
    if copied == "pickle":  # which takes no class out of a function
        model = keraslike.Sequential([keraslike.layers.ReLU()])
        model.first, model.second = [], []
        for size in (1, 2):
            model.first.append(keraslike.layers.Dense(size))
            model.second.append(keraslike.layers.Dense(size + 2))
    model.third = {keraslike.layers.Dense(n) for n in range(1, 4)}  # tracked, as in Keras
    assert model.third <= set(model._sublayers)
    names = [layer.name for layer in model._sublayers]
    for again in (copy_of(model), copy_of(copy_of(model))):
        assert [layer.name for layer in again._sublayers] == names
    again.more = keraslike.layers.Dense(1)
    assert [layer.name for layer in again._sublayers][:-1] == names


def test_layers_that_build_only_creates_are_loaded(tmp_path):
    class Late(keraslike.Model):
        def build(self, input_shape):
            self.inner = keraslike.layers.Dense(2)

        def call(self, x):
            return self.inner(x)

    model = Late()
    wanted = model(np.ones((1, 3)))
    model.save(tmp_path / "late.keras")
    again = keraslike.models.load_model(tmp_path / "late.keras", custom_objects={"Late": Late})
    np.testing.assert_array_equal(again(np.ones((1, 3))), wanted)
