"""Exports to LiteRT as far as they need no TensorFlow; the rest is in `runtimes/litert.py`."""

import jax
import numpy as np
import pytest
from jax import lax

import keraslike as keras
from keraslike import tf
from keraslike.core import tensorflow_host
from keraslike.export import litert_format


@pytest.fixture
def model():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])


@pytest.mark.parametrize("name", sorted(set(litert_format._COMPOSED) - {"cumprod"}))
def test_composed_functions(name):
    x = np.concatenate([np.linspace(-0.99, 0.99, 100), [0]]).astype("float32")
    if name not in ("acos", "asin", "atanh"):
        x *= 5
    x = 1 + np.abs(x) if name == "acosh" else x
    wanted = getattr(lax, name)(x)
    found = litert_format._COMPOSED[name]({}, x)
    np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=2e-6)


def test_composed_function_of_what_is_not_finite():
    x = np.array([np.inf, -np.inf, np.nan], "float32")
    for name in ("atan", "erf", "erfc", "cosh", "sinh", "acosh"):
        found = litert_format._COMPOSED[name]({}, x)
        np.testing.assert_allclose(found, getattr(lax, name)(x), rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("reverse", [False, True])
def test_cumulative_products(reverse):
    x = np.random.default_rng(0).normal(size=(3, 5)).astype("float32")
    found = litert_format._COMPOSED["cumprod"]({"axis": 1, "reverse": reverse}, x)
    np.testing.assert_allclose(found, lax.cumprod(x, 1, reverse), rtol=1e-5)


def test_errors(model, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"must end in '.tflite'. Received: filepath='.*/m'"):
        model.export(tmp_path / "m", format="litert")
    path = tmp_path / "m.tflite"
    for samples, words in (
        (3, "must be a function"),
        (lambda: [], "it yielded none"),
        (lambda: [[np.ones(3), np.ones(3)]], r"an array for each of .* Received: 2 arrays"),
        (lambda: [{"y": np.ones(3)}], r"Received: \['y'\]"),
    ):
        with pytest.raises(ValueError, match=words):
            model.export(path, format="litert", representative_dataset=samples)
    with pytest.raises(ValueError, match="The setting 'optimizations' cannot be"):
        model.export(path, format="litert", optimizations=[print])
    spec = keras.InputSpec(shape=(None, 4), dtype="float32")
    archive = keras.export.ExportArchive("litert")
    archive.add_endpoint("a", lambda x: x, [spec])
    with pytest.raises(ValueError, match="are taken with format='litert' only, as a dict"):
        archive.write_out(path, options=3)
    archive.add_endpoint("b", lambda x: x, [spec])
    with pytest.raises(
        ValueError, match=r"with one endpoint. Received the endpoints: \['a', 'b'\]"
    ):
        archive.write_out(path, options={"representative_dataset": lambda: [[np.ones(4)]]})
    wide = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, dtype="bfloat16")])
    with pytest.raises(
        ValueError, match="cannot express the endpoint 'serve', which has numbers of bfloat16"
    ):
        wide.export(path, format="litert")
    order = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lax.erf_inv, name="inverse")])
    with pytest.raises(ValueError, match="/inverse' computes: the primitive 'erf_inv'"):
        order.export(path, format="litert")
    monkeypatch.setattr(tensorflow_host, "interpreter", lambda: None)
    with pytest.raises(ImportError, match=r"pip install keraslike\[litert\]"):
        model.export(path, format="litert")
    assert not list(tmp_path.iterdir())


def test_whole_numbers_of_eight_bits_stay_so():
    graph = litert_format._Graph()
    x = graph.input("x", jax.ShapeDtypeStruct((2,), "uint8"))
    w = graph.constant(np.arange(20, dtype="int8"))
    kinds = {n["name"]: n["attr"].get("dtype", {}).get("type") for n in graph.nodes}
    assert kinds["x"] == "DT_UINT8" and graph.values["n2"].dtype == np.int8
    assert kinds["n2"] == "DT_INT8" and {x, w} == {"n1", "n3"}


def test_converters(model, tmp_path, monkeypatch):
    lite = tf.lite
    with pytest.raises(TypeError, match="must be a `keras.Model`"):
        lite.TFLiteConverter.from_keras_model(lambda x: x)
    with pytest.raises(ValueError, match="not yet been built"):
        lite.TFLiteConverter.from_keras_model(keras.Sequential([keras.layers.Dense(1)]))
    with pytest.raises(ValueError, match="a list of one function. Received: 2"):
        lite.TFLiteConverter.from_concrete_functions([1, 2])
    with pytest.raises(ValueError, match="Expected a TensorFlow function"):
        lite.TFLiteConverter.from_concrete_functions([lambda x: x])
    with pytest.raises(ValueError, match="tags other than"):
        lite.TFLiteConverter.from_saved_model("m", tags=["train"])
    with pytest.raises(OSError, match="no SavedModel of TensorFlow's"):
        lite.TFLiteConverter.from_saved_model(str(tmp_path)).convert()
    monkeypatch.setattr(tensorflow_host, "interpreter", lambda: None)
    with pytest.raises(ImportError, match=r"pip install keraslike\[litert\]"):
        lite.TFLiteConverter.from_keras_model(model).convert()
    with pytest.raises(ImportError, match=r"pip install keraslike\[litert\]"):
        lite.Interpreter(model_path="m.tflite")
    assert {m.name for m in lite.OpsSet} >= {"TFLITE_BUILTINS", "SELECT_TF_OPS"}
