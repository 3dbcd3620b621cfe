"""Layers-models of TensorFlow.js: those in `tfjs/` were written by TensorFlow.js 4.22 (`tfjs`) and
by its converter, of a model of tf_keras 2.21 (`keras2`) and of Keras 3.15 (`keras3`); `io.json` has
what the model gave there."""

import json
import pathlib
import shutil

import numpy as np
import pytest

import keraslike as keras
from keraslike.errors import DamagedFile
from keraslike.saving import saving_api

FILES = pathlib.Path(__file__).parent / "tfjs"


@pytest.fixture
def folder(tmp_path):
    return pathlib.Path(shutil.copytree(FILES / "tfjs", tmp_path / "model"))


def _change(folder, change):
    file = folder / "model.json"
    about = json.loads(file.read_text())
    change(about)
    file.write_text(json.dumps(about))


@pytest.mark.parametrize("kind", ["tfjs", "keras2", "keras3"])
def test_it_predicts_what_it_did_where_it_was_written(kind):
    said = json.loads((FILES / kind / "io.json").read_text())
    x = np.array(said["x"], "float32")
    for path in (FILES / kind, FILES / kind / "model.json"):
        model = keras.saving.load_model(path)
        np.testing.assert_allclose(model.predict(x, verbose=0), said["y"], atol=2e-6)
    assert model.compiled == (kind != "tfjs")
    model.compile("adam", "mse")
    model.fit(x, np.array(said["y"]), verbose=0)


def test_quantized_weights_are_what_scale_and_least_value_say(folder):
    whole = keras.saving.load_model(folder)

    def pack(about):
        (group,) = about["weightsManifest"]
        data, at = (folder / "weights.bin").read_bytes(), 0
        parts = []
        for number, weight in enumerate(group["weights"]):
            size = 4 * int(np.prod(weight["shape"]))
            value = np.frombuffer(data[at : at + size], "float32")
            at += size
            dtype = ("uint8", "uint16", "float16")[number % 3]
            if dtype == "float16":
                weight["quantization"] = {"dtype": dtype}
                parts.append(value.astype(dtype).tobytes())
                continue
            least, steps = value.min(), np.iinfo(dtype).max
            scale = float((value.max() - least) / steps) or 1.0
            weight["quantization"] = {"dtype": dtype, "min": float(least), "scale": scale}
            parts.append(np.round((value - least) / scale).astype(dtype).tobytes())
        packed = b"".join(parts)
        (folder / "a.bin").write_bytes(packed[:100])
        (folder / "b.bin").write_bytes(packed[100:])
        group["paths"] = ["a.bin", "b.bin"]

    _change(folder, pack)
    packed = keras.saving.load_model(folder)
    for a, b in zip(whole.get_weights(), packed.get_weights(), strict=True):
        np.testing.assert_allclose(b, a, atol=np.ptp(a) / 255 + 1e-3)


def test_packed_weights_may_fill_four_times_their_files(tmp_path, monkeypatch):
    monkeypatch.setattr(saving_api, "_MIN_ALLOWANCE", 0)
    model = keras.Sequential([keras.Input((200,)), keras.layers.Dense(200, use_bias=False)])
    model.export(tmp_path, format="tfjs", verbose=False)
    packed = np.arange(40_000).astype("uint8")

    def pack(about):
        del about["userDefinedMetadata"]  # the checksums are of the old weights
        (group,) = about["weightsManifest"]
        group["weights"][0]["quantization"] = {"dtype": "uint8", "min": -1.0, "scale": 0.5}
        (tmp_path / group["paths"][0]).write_bytes(packed.tobytes())

    _change(tmp_path, pack)
    (kernel,) = keras.saving.load_model(tmp_path).get_weights()
    np.testing.assert_array_equal(kernel.ravel(), packed * np.float32(0.5) - 1)


def _named(about, **changes):
    about["weightsManifest"][0]["weights"][0].update(changes)


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda a: a["weightsManifest"][0].update(paths=["../model/weights.bin"]), "not safe"),
        (lambda a: a["weightsManifest"][0].update(paths=["/etc/hostname"]), "not safe"),
        (lambda a: a["weightsManifest"][0].update(paths=["none.bin"]), "no file"),
        (lambda a: _named(a, shape=[1 << 40, 1 << 20]), "beyond the end"),
        (lambda a: _named(a, shape=[-1, 3]), "shape"),
        (lambda a: _named(a, dtype="string"), "string"),
        (lambda a: _named(a, name=["x"]), "shape"),
        (lambda a: _named(a, shape=[3, 3, 1, 3]), "bytes"),
        (lambda a: _named(a, name="conv2d_Conv2D1/bias"), "two weights"),
        (lambda a: a.update(weightsManifest=[{}]), "paths"),
        (lambda a: a.update(weightsManifest={"a": 1}), "does not fit"),
        (lambda a: a.update(format="graph-model"), "graph-model"),
        (lambda a: a.pop("modelTopology"), "modelTopology"),
        (lambda a: a["modelTopology"].pop("config"), "describes no model"),
    ],
)
def test_what_is_damaged_or_leads_elsewhere_is_refused(folder, change, said):
    _change(folder, change)
    with pytest.raises(DamagedFile, match=said):
        keras.saving.load_model(folder)


def test_weights_have_to_be_those_of_the_layers(folder):
    _change(folder, lambda a: _named(a, name="elsewhere/kernel"))
    with pytest.raises(ValueError, match="'elsewhere/kernel' is of no layer"):
        keras.saving.load_model(folder)
    _change(folder, lambda a: _named(a, name="conv2d_Conv2D1/kernel", shape=[3, 3, 3, 2]))
    with pytest.raises(ValueError, match=r"expected shape \(3, 3, 2, 3\), found \(3, 3, 3, 2\)"):
        keras.saving.load_model(folder)


def test_a_config_runs_no_code(folder):
    def put(about):
        layers = about["modelTopology"]["config"]["layers"]
        layers[1].update(class_name="Lambda")
        layers[1]["config"] = {
            "name": layers[1]["name"],
            "function_type": "lambda",
            "function": ["4wEAAAA=", None, None],
        }

    _change(folder, put)
    with pytest.raises(ValueError, match="lambda"):
        keras.saving.load_model(folder)


def test_inspect_says_what_is_in_it(folder):
    from keraslike.export.command import inspected

    said = "\n".join(inspected(str(folder)))
    assert "weights.bin: 1,940" in said and "bidirectional_Bidirectional1" in said
