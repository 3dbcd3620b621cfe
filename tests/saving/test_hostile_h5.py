"""Whole-model `.h5` files that are damaged or made to do harm, and faults while one is saved."""

import base64
import copy
import io
import json
import marshal
import warnings

import h5py
import numpy as np
import pytest

import keraslike
from keraslike import layers, saving
from keraslike.saving import keras_archive, weights_h5

from .small_models import small
from .test_legacy_h5 import attribute
from .test_old_files import old_file, times

load_model = saving.load_model


def old_lambda():
    code = base64.b64encode(marshal.dumps((lambda x: x * 3).__code__)).decode()
    return {
        "class_name": "Lambda",
        "config": {
            "name": "l",
            "trainable": True,
            "batch_input_shape": [None, 4],
            "dtype": "float32",
            "function": [code, None, None],
            "function_type": "lambda",
            "module": "__main__",
            "output_shape": None,
            "output_shape_type": "raw",
            "arguments": {},
        },
    }


def test_lambdas_need_safe_mode_false(tmp_path, batch):
    path = tmp_path / "m.h5"
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [old_lambda()]}}
    old_file(path, config, {"l": []})
    wrapped = copy.deepcopy(old_lambda())
    wrapped["config"]["output_shape"] = wrapped["config"]["function"]
    wrapped["config"] |= {"function": "times", "function_type": "function"}
    wrapped["config"]["output_shape_type"] = "lambda"
    old_file(tmp_path / "n.h5", {**config, "config": {"name": "s", "layers": [wrapped]}}, {"l": []})
    keraslike.Sequential([keraslike.Input((4,)), layers.Lambda(lambda x: x * 3)]).save(
        tmp_path / "o.h5"
    )
    small(loss=lambda a, b: (a - b) ** 2).save(tmp_path / "p.h5")
    for name in ("m", "n", "o", "p"):
        with pytest.raises(ValueError, match="safe_mode=False"):
            load_model(tmp_path / f"{name}.h5", {"times": times})
    x, y = batch
    for name in ("m", "o"):
        model = load_model(tmp_path / f"{name}.h5", safe_mode=False)
        np.testing.assert_array_equal(model.predict_on_batch(x), x * 3)
    assert np.isfinite(load_model(tmp_path / "p.h5", safe_mode=False).train_on_batch(x, y))


@pytest.fixture(scope="module")
def trained():
    model = small(optimizer="adam", loss="mse")
    model.layers[0].name = "first"
    model.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0)
    buffer = io.BytesIO()
    from keraslike.saving import legacy_h5

    with h5py.File(buffer, "w") as file:
        legacy_h5.write(model, file)
    return model, buffer.getvalue()


@pytest.fixture
def saved(tmp_path, trained):
    model, data = trained
    (tmp_path / "m.h5").write_bytes(data)
    return model, tmp_path / "m.h5"


def refused(path, match, error=ValueError):
    with pytest.raises(error, match=match) as caught:
        load_model(path)
    assert str(path) in str(caught.value)


def test_truncated_and_foreign_files(saved, tmp_path):
    _, path = saved
    data = path.read_bytes()
    for end in (0, 1, 8, 100, len(data) // 3, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:end])
        refused(path, "damaged|no HDF5")
    path.write_text("hello")
    refused(path, "no HDF5")
    with h5py.File(path, "w") as file:
        file["x"] = 1
    refused(path, "holds no model: it has no attribute 'model_config'. It holds: x")
    model = small()
    with pytest.raises(ValueError, match=r"m\.h5(.|\n)*lacks 'model_weights'"):
        model.load_weights(path)
    small().save_weights(tmp_path / "w.weights.h5")
    refused(tmp_path / "w.weights.h5", r"Weights alone are read by load_weights\(\)")
    with pytest.raises(ValueError, match="save_model"):
        small().save(tmp_path / "w.weights.h5")


@pytest.mark.slow
def test_a_flipped_bit_is_seen_or_harmless(saved, rng):
    """HDF5 has no checksums here: a weight may come out as another number, and nothing worse."""
    model, path = saved
    data = path.read_bytes()
    seen = 0
    for place in [*rng.integers(0, len(data), 40), *range(0, 2000, 40)]:
        changed = bytearray(data)
        changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(changed))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                again = load_model(path)
        except (ValueError, TypeError) as e:
            assert str(path) in str(e)
            seen += 1
        else:
            shapes = [w.shape for w in model.get_weights()]
            assert [w.shape for w in again.get_weights()] == shapes
    assert seen > 5


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("model_config", "{", "no JSON"),
        ("model_config", "[]", "describes no model"),
        ("model_config", "[" * 100_000, "too deeply"),
        ("model_config", '{"class_name":"a","config":' + '{"a":' * 300 + "1" + "}" * 301, "levels"),
        ("model_config", '{"class_name": "Dense", "config": 3}', "must be a dict"),
        ("model_config", '{"class_name": "Sequential", "config": {}}', "could not be loaded"),
        ("model_config", '{"class_name": "Zeros", "config": {}}', "no model"),
        ("model_config", '{"class_name": ["a"], "config": {}}', "must be a string"),
        ("model_config", 3, "no text"),
        ("training_config", "{", "no JSON"),
        ("training_config", "[" * 300 + "]" * 300, "levels"),
        ("training_config", "[]", "could not be loaded"),
        ("training_config", "{}", "optimizer_config"),
        ("training_config", '{"optimizer_config": {"class_name": "eval", "config": {}}}', "'eval'"),
    ],
)
def test_bad_attributes(saved, name, value, match):
    _, path = saved
    with h5py.File(path, "a") as file:
        file.attrs[name] = value
    refused(path, match, (ValueError, TypeError))
    if name == "training_config":
        load_model(path, compile=False)


def test_a_config_runs_nobody_s_code(saved):
    _, path = saved
    for entry in (
        {"class_name": "system", "config": {}, "module": "os"},
        {"class_name": "os>system", "config": {}},
        {"class_name": "Sequential", "config": [{"class_name": "Popen", "config": {}}]},
    ):
        with h5py.File(path, "a") as file:
            file.attrs["model_config"] = json.dumps(entry)
        refused(path, "is not known here", TypeError)


def test_a_config_that_asks_for_more_than_its_file_can_hold(saved):
    _, path = saved
    config = attribute(path, "model_config")
    config["config"]["layers"][1]["config"]["units"] = 10**9
    with h5py.File(path, "a") as file:
        file.attrs["model_config"] = json.dumps(config)
    refused(path, "asks for weights of")


def change(file, kind, outside):
    group = file["model_weights/first"]
    kernel = "model_weights/first/" + group.attrs["weight_names"][0].decode()
    if kind == "soft":
        del file[kernel]
        file[kernel] = h5py.SoftLink("/" + kernel.replace("kernel", "bias"))
    elif kind == "external link":
        del file[kernel]
        file[kernel] = h5py.ExternalLink(outside, "x")
    elif kind == "external data":
        del file[kernel]
        file.create_dataset(kernel, (4, 3), "f4", external=[(outside, 0, 48)])
    elif kind == "virtual":
        del file[kernel]
        layout = h5py.VirtualLayout((4, 3), "f4")
        layout[:] = h5py.VirtualSource(outside, "x", (4, 3))
        file.create_virtual_dataset(kernel, layout)
    elif kind == "huge":
        del file[kernel]
        file.create_dataset(kernel, (1 << 40,), "f4", chunks=(1 << 20,))
    elif kind == "text":
        del file[kernel]
        file[kernel] = "hello"
    elif kind == "linked group":
        file.move("model_weights/first", "elsewhere")
        file["model_weights/first"] = h5py.SoftLink("/elsewhere")
    elif kind == "linked file":
        file.move("model_weights", "elsewhere")
        file["model_weights"] = h5py.ExternalLink(outside, "/")
    elif kind == "missing":
        del file[kernel]
    elif kind == "path":
        group.attrs["weight_names"] = ["../../optimizer_weights/x", "b"]
    elif kind == "absolute":
        group.attrs["weight_names"] = ["/model_weights/first", "b"]
    elif kind == "numbers":
        group.attrs["weight_names"] = [1, 2]
    elif kind == "a name twice":
        group.attrs["weight_names"] = [b"a"] * 2
    elif kind == "no names":
        del group.attrs["weight_names"]
    elif kind == "optimizer":
        file.move("optimizer_weights", "elsewhere")
        file["optimizer_weights"] = h5py.SoftLink("/elsewhere")
    elif kind == "names without end":
        del file["model_weights"].attrs["layer_names"]
        for i in range(40):
            file["model_weights"].attrs[f"layer_names{i}"] = np.array([b"x" * 60_000])


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        ("soft", "is a link"),
        ("external link", "is a link"),
        ("external data", "outside the file"),
        ("virtual", "outside the file"),
        ("huge", "are stored for it"),
        ("text", "not numbers"),
        ("linked group", "'model_weights/first' is a link"),
        ("linked file", "'model_weights' is a link"),
        ("missing", "lacks"),
        ("path", "not safe to load: it names"),
        ("absolute", "not safe to load: it names"),
        ("numbers", "is no list of names"),
        ("no names", "no attribute 'weight_names'"),
        ("optimizer", "'optimizer_weights' is a link"),
        ("names without end", "has a name twice"),
        ("a name twice", "'weight_names' has a name twice"),
    ],
)
def test_hostile_files(saved, tmp_path, kind, match):
    _, path = saved
    outside = str(tmp_path / "outside.h5")
    with h5py.File(outside, "w") as file:
        file["x"] = np.zeros((4, 3), "f4")
    with h5py.File(path, "a") as file:
        change(file, kind, outside)
    refused(path, match)
    if kind == "optimizer":
        return
    model = small()
    before = model.get_weights()
    with pytest.raises(ValueError, match=match):
        model.load_weights(path)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))


# -- faults while saving ----------------------------------------------------------------------


class FullDisk(io.FileIO):
    room = 0

    def write(self, data):
        if self.tell() + len(data) > self.room:
            raise OSError(28, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize("room", [0, 900])
def test_a_fault_leaves_the_old_file(saved, monkeypatch, room):
    _, path = saved
    old = path.read_bytes()

    def opened(path, mode="r"):
        file = FullDisk(path, mode.replace("b", ""))
        file.room = room
        return file

    monkeypatch.setattr(keras_archive, "open", opened, raising=False)
    with pytest.raises(OSError, match="No space"):
        small(8).save(path)
    monkeypatch.undo()
    monkeypatch.setattr(weights_h5, "write_array", None)
    with pytest.raises(TypeError):
        small(8).save(path)
    assert path.read_bytes() == old
    assert [p.name for p in path.parent.iterdir()] == [path.name]
