"""Exports to TensorFlow.js, without running them; `runtimes/tensorflow_js.py` does."""

import json

import numpy as np
import pytest

import keraslike as keras
from keraslike import layers
from tests.export import zoo


def _written(folder):
    about = json.loads((folder / "model.json").read_text())
    (group,) = about["weightsManifest"]
    size = sum((folder / name).stat().st_size for name in group["paths"])
    return about, group["weights"], size


def test_a_model_of_its_layers_is_a_layers_model(tmp_path):
    model = zoo.made("convolution, batch norm")
    model.export(tmp_path / "m", format="tfjs", verbose=False)
    about, weights, size = _written(tmp_path / "m")
    assert about["format"] == "layers-model"
    assert size == sum(v.value.nbytes for v in model.weights)
    assert {w["name"] for w in weights} >= {f"{model.layers[1].name}/moving_mean"}
    x = zoo.inputs_for(model, 2)
    again = keras.saving.load_model(tmp_path / "m")
    np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6)


def test_a_damaged_byte_of_the_weights_is_an_error(tmp_path):
    model = zoo.made("MLP")
    model.export(tmp_path / "m", format="tfjs", verbose=False)
    (shard,) = (tmp_path / "m").glob("*.bin")
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    with pytest.raises(keras.errors.DamagedFile, match="has another checksum"):
        keras.saving.load_model(tmp_path / "m")


def test_calls_of_a_graph_are_those_of_keras_2(tmp_path):
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    dense = layers.Dense(3, name="shared")
    y = layers.Add(name="sum")([dense(a), dense(b)])
    model = keras.Model([a, b], [y, layers.Dense(1, name="end")(y)])
    model.export(tmp_path / "m", format="tfjs", verbose=False)
    config = _written(tmp_path / "m")[0]["modelTopology"]["model_config"]["config"]
    calls = {layer["name"]: layer["inbound_nodes"] for layer in config["layers"]}
    assert calls["shared"] == [[["a", 0, 0, {}]], [["b", 0, 0, {}]]]
    assert calls["sum"] == [[["shared", 0, 0, {}], ["shared", 1, 0, {}]]]
    assert config["output_layers"] == [["sum", 0, 0], ["end", 0, 0]]
    again = keras.saving.load_model(tmp_path / "m")
    x = [np.ones((2, 3), "float32"), np.zeros((2, 3), "float32")]
    for y, z in zip(again.predict(x, verbose=0), model.predict(x, verbose=0), strict=True):
        np.testing.assert_allclose(y, z, atol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        layers.GRU(2),  # whose reset gate is applied after the product
        layers.Dense(2, activation="gelu"),
        layers.Dense(2, activation="hard_sigmoid"),  # another line than Keras 2's
        layers.Conv1D(2, 2, padding="causal"),
        layers.ReLU(threshold=0.5),
        layers.Dense(2, dtype="mixed_bfloat16"),
    ],
)
def test_a_layer_that_means_something_else_there_is_none_of_a_layers_model(layer, tmp_path):
    model = keras.Sequential([keras.Input((4, 3)), layer])
    if "bfloat16" in str(layer.compute_dtype):
        with pytest.raises(ValueError, match="numbers of bfloat16"):
            model.export(tmp_path / "m", format="tfjs", verbose=False)
        return
    model.export(tmp_path / "m", format="tfjs", verbose=False)
    assert _written(tmp_path / "m")[0]["format"] == "graph-model"


def test_weights_of_8_bits_stay_so_in_a_graph_model(tmp_path):
    model = keras.Sequential([keras.Input((100,)), layers.Dense(100)])
    model.quantize("int8")
    model.export(tmp_path / "m", format="tfjs", verbose=False)
    about, weights, size = _written(tmp_path / "m")
    assert about["format"] == "graph-model" and size < 100 * 100 + 2000
    (kernel,) = [w for w in weights if w["shape"] == [100, 100]]
    assert kernel["quantization"] == {"dtype": "uint8", "min": -128, "scale": 1}


def test_what_tfjs_cannot_express_is_refused(tmp_path):
    bits = layers.Lambda(
        lambda x: keras.ops.bitwise_and(keras.ops.cast(x, "int32"), 3), name="bits"
    )
    model = keras.Sequential([keras.Input((4,)), bits])
    with pytest.raises(ValueError, match="TensorFlow.js cannot express what '.*/bits' computes"):
        model.export(tmp_path / "m", format="tfjs", verbose=False)
    archive = keras.export.ExportArchive(format="tfjs")
    norm = keras.Sequential([keras.Input((4,)), layers.BatchNormalization()])
    archive.track(norm)
    spec = keras.InputSpec(shape=(None, 4), dtype="float32")
    archive.add_endpoint("train", lambda x: norm(x, training=True), [spec])
    with pytest.raises(ValueError, match="changes state"):
        archive.write_out(tmp_path / "m", verbose=False)
    assert not list(tmp_path.iterdir())


def test_arithmetic_that_wraps_around_is_refused(tmp_path):
    def doubled(x):
        return keras.ops.cast(x, "int8") * 2

    model = keras.Sequential([keras.Input((4,)), layers.Lambda(doubled, name="twice")])
    with pytest.raises(ValueError, match="/twice.*arithmetic of int8"):
        model.export(tmp_path / "m", format="tfjs", verbose=False)
