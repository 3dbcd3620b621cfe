"""Models and optimizers of Keras 2 compute here what tf_keras computed of them, in every format."""

import json
import shutil
import zipfile

import h5py
import numpy as np
import pytest

import keraslike
from keraslike import activations, models, saving
from keraslike.saving import old_optimizer

from . import keras2

pytestmark = pytest.mark.slow

MODELS = keras2.record("models")
OPTIMIZERS = keras2.record("optimizers")


def as_of_2_4(config):
    """A config as TensorFlow wrote it before 2.13: entries without modules."""
    if isinstance(config, list):
        return [as_of_2_4(v) for v in config]
    if not isinstance(config, dict):
        return config
    left_out = ("module", "registered_name", "build_config") if "class_name" in config else ()
    return {k: as_of_2_4(v) for k, v in config.items() if k not in left_out}


def inputs_of(recorded):
    arrays = [
        keras2.numbers(shape, i, dtype) for i, (shape, dtype) in enumerate(recorded["inputs"])
    ]
    return arrays if len(arrays) > 1 else arrays[0]


def check_outputs(model, recorded):
    found = model.predict_on_batch(inputs_of(recorded))
    found = found if isinstance(found, (list, tuple)) else [found]
    for ours, theirs in zip(found, recorded["outputs"], strict=True):
        np.testing.assert_allclose(np.ravel(ours), theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_outputs(name):
    recorded = MODELS[name]
    model = models.model_from_json(json.dumps(recorded["json"]))
    model.set_weights(keras2.weights([w.shape for w in model.get_weights()]))
    check_outputs(model, recorded)
    # The same, as older versions wrote it, and as it is written here.
    older = {**as_of_2_4(recorded["json"]), "keras_version": "2.4.0"}
    again = models.model_from_json(json.dumps(older))
    assert again.get_config() == model.get_config()
    again = models.model_from_json(model.to_json())
    assert again.get_config() == model.get_config()


# -- whole files ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["whole.h5", *("whole.keras", "whole_2_12.keras", "whole_2_13.keras", "whole_2_15.keras")],
)
def test_whole_files(name, tmp_path, recwarn):
    path, ending = keras2.FOLDER / name, name.rpartition(".")[2]
    recorded = keras2.record(name.partition(".")[0].replace("whole", "files"))
    x, y = keras2.numbers((2, 4, 3)), keras2.numbers((2, 2), 3)
    model = saving.load_model(path)
    np.testing.assert_allclose(model.predict_on_batch(x), recorded[ending], rtol=1e-4, atol=1e-5)
    assert int(model.optimizer.iterations) == 1
    assert model.layers[1].backward_layer.name == "backward_lstm"
    model.save(tmp_path / "m.keras")
    model.train_on_batch(x, y)
    later = recorded[f"{ending} later"]
    np.testing.assert_allclose(model.predict_on_batch(x), later, rtol=1e-4, atol=1e-5)
    again = saving.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(again.predict_on_batch(x), recorded[ending], rtol=1e-4, atol=1e-5)
    model.load_weights(path)
    np.testing.assert_allclose(model.predict_on_batch(x), recorded[ending], rtol=1e-4, atol=1e-5)
    assert not [w for w in recwarn if path.name in str(w.message)]


def test_hdf5_in_a_file_of_the_other_name(tmp_path):
    """As TensorFlow up to 2.12 wrote it, where it was not told otherwise."""
    path = shutil.copy(keras2.FOLDER / "whole.h5", tmp_path / "m.keras")
    model = saving.load_model(path)
    outputs = keras2.record("files")["h5"]
    x = keras2.numbers((2, 4, 3))
    np.testing.assert_allclose(model.predict_on_batch(x), outputs, rtol=1e-4, atol=1e-5)
    model.set_weights([0 * w for w in model.get_weights()])
    model.load_weights(path)
    np.testing.assert_allclose(model.predict_on_batch(x), outputs, rtol=1e-4, atol=1e-5)


def test_a_name_means_what_it_meant_in_the_version_that_wrote_the_file(tmp_path):
    path = tmp_path / "m.keras"
    model = keraslike.Sequential([keraslike.Input((3,)), keraslike.layers.Dense(2, "hard_sigmoid")])
    model.save(path)
    assert saving.load_model(path).layers[0].activation is activations.hard_sigmoid
    with zipfile.ZipFile(path) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    members["metadata.json"] = json.dumps({"keras_version": "2.13.1"}).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    again = saving.load_model(path)
    assert again.layers[0].activation is activations.keras2_hard_sigmoid
    x = keras2.numbers((4, 3)) * 5
    expected = np.clip(0.2 * (x @ np.asarray(model.layers[0].kernel)) + 0.5, 0, 1)
    np.testing.assert_allclose(again.predict_on_batch(x), expected, rtol=1e-5, atol=1e-6)


# -- optimizers -------------------------------------------------------------------------------


def h5_of(recorded, path):
    """A `.h5` file laid out as tf_keras lays it out."""
    with h5py.File(path, "w") as file:
        file.attrs.update({"keras_version": b"2.21.0", "backend": b"tensorflow"})
        file.attrs["model_config"] = json.dumps(recorded["model"])
        file.attrs["training_config"] = json.dumps(recorded["training"])
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [b"a", b"b"]
        for name, value in zip("ab", recorded["weights"], strict=True):
            group = weights.create_group(name)
            group.attrs["weight_names"] = [f"{name}/kernel:0".encode()]
            group[f"{name}/kernel:0"] = np.asarray(value, "float32")
        state = file.create_group("optimizer_weights")
        state.attrs["weight_names"] = [name.encode() for name, _, _ in recorded["state"]]
        for name, value, dtype in recorded["state"]:
            state[name] = np.asarray(value, dtype)


def train_on(model):
    for _ in range(3):
        model.train_on_batch(keras2.numbers((4, 2), 5), keras2.numbers((4, 2), 6))


def check_later(model, recorded):
    train_on(model)
    for ours, theirs in zip(model.get_weights(), recorded["later"], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", [n for n in OPTIMIZERS if n != "legacy Nadam"])
def test_training_goes_on(name, tmp_path, recwarn):
    recorded = OPTIMIZERS[name]
    h5_of(recorded, tmp_path / "m.h5")
    model = saving.load_model(tmp_path / "m.h5")
    assert int(model.optimizer.iterations) == 3
    check_later(model, recorded)
    assert not [w for w in recwarn if "starts afresh" in str(w.message)]


def test_an_adafactor_of_vectors():
    """Keras 2 keeps nothing of the axes of a vector, for which Keras 3 has numbers."""
    rule = keraslike.optimizers.Adafactor()
    rule.build([keraslike.Variable(np.ones(shape), name="w") for shape in ((3,), (2, 3))])
    stored = [np.full(shape, i) for i, shape in enumerate([(), (3,), (2,), (3,), (2, 3)])]
    found = old_optimizer.places(rule, stored, False)
    names = [variable.name for variable, _ in found]
    assert names == ["iteration", "w_velocity", "w_r", "w_c", "w_velocity"]
    for i, (variable, array) in enumerate(found):
        assert variable._raw_value.shape == array.shape and (array == i).all()


def test_nadam_of_the_older_family_starts_afresh(tmp_path):
    h5_of(OPTIMIZERS["legacy Nadam"], tmp_path / "m.h5")
    with pytest.warns(UserWarning, match="starts afresh"):
        model = saving.load_model(tmp_path / "m.h5")
    assert int(model.optimizer.iterations) == 0
    assert isinstance(model.optimizer, keraslike.optimizers.Nadam)
    train_on(model)
