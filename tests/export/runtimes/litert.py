"""LiteRT, and `tf.lite`."""

import numpy as np
import pytest

import keraslike as keras
from keraslike import tf as ktf
from tests.export import zoo
from tests.export.runtimes.operations import functions, operations, scattered


def in_litert(path, *inputs):
    """The outputs, by their names, of a file's only input for each of several arrays."""
    from ai_edge_litert.interpreter import Interpreter  # pyright: ignore[reportMissingImports]

    runner = Interpreter(str(path)).get_signature_runner("serving_default")
    (name,) = runner.get_input_details()
    return [{k: np.copy(v) for k, v in runner(**{name: x}).items()} for x in inputs]


def test_operations_in_litert(tmp_path):
    ops, (of_images, x) = keras.ops, operations()
    composed = (ops.arctan, ops.arcsinh, ops.sinh, ops.cosh, ops.tan, ops.erf, ops.gelu)
    within = (ops.arcsin, ops.arccos, ops.arctanh)  # of numbers up to 1
    more = {
        "composed": lambda x: ops.stack([f(x) for f in composed]),
        "within": lambda x: ops.stack([f(ops.tanh(x)) for f in within]),
        "without": lambda x: ops.arccosh(1 + ops.abs(x)),
        "products": lambda x: ops.cumprod(x, 1),
        "largest": lambda x: ops.top_k(x, 2)[1],
        "tiled": lambda x: ops.tile(x, (1, 2, 1, 1)),
        "mean": keras.layers.Lambda(lambda x: ops.mean(x, axis=(1, 2)) * ops.shape(x)[0]),
    }
    functions_of = of_images | functions() | scattered() | more
    del functions_of["pooled"]  # along three axes: it has none
    inputs = keras.Input((7, 6, 4))
    outputs = {f"o{i}": f(inputs) for i, f in enumerate(functions_of.values())}
    model = keras.Model(inputs, outputs)
    model.export(tmp_path / "m.tflite", format="litert", verbose=False)
    for part, found in zip((x, x[:1]), in_litert(tmp_path / "m.tflite", x, x[:1]), strict=True):
        wanted = model.predict(part, verbose=0)
        for i, name in enumerate(functions_of):
            a, b = found[f"o{i}"], wanted[f"o{i}"]
            assert a.dtype == b.dtype and a.shape == b.shape, name
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg=name)


def test_settings_of_the_converter_of_litert(tmp_path):
    layers, path = keras.layers, tmp_path / "m.tflite"
    model = keras.Sequential([keras.Input((1500,), dtype="uint8"), layers.Rescaling(1 / 255),
                              layers.Dense(64, activation="relu"), layers.Dense(4)])  # fmt: skip
    nbytes = sum(v.value.nbytes for v in model.weights)
    x = np.random.default_rng(0).integers(0, 256, (3, 1500)).astype("uint8")
    samples = ktf.lite.RepresentativeDataset(lambda: ([row[None]] for row in x))
    dtypes = {"inference_output_type": np.int8, "representative_dataset": samples}
    quantized = {"optimizations": ["DEFAULT"]}
    for settings, ratio in (({}, 1), (quantized, 0.25), (quantized | dtypes, 0.25)):
        model.export(path, format="litert", verbose=False, **settings)
        assert ratio * nbytes < path.stat().st_size < 1.1 * ratio * nbytes + 9000
        wanted = model.predict(x, verbose=0)
        (found,) = in_litert(path, x)
        (y,) = found.values()
        if "inference_output_type" in settings:
            assert y.dtype == np.int8 and (y.argmax(1) == wanted.argmax(1)).all()
        else:
            np.testing.assert_allclose(y, wanted, atol=0.02 if settings else 1e-4)
    for settings, words in (
        ({"speed": 1}, "'speed' is no setting"),
        ({"target_spec": {"speed": 1}}, "'speed' is no setting"),
        ({"optimizations": ["SMALL"]}, "optimizations: expected"),
        ({"representative_dataset": lambda: [[x, x]]}, "an array for each"),
        ({"optimizations": [object()]}, "'optimizations' cannot be"),
    ):
        with pytest.raises(ValueError, match=words):
            model.export(path, format="litert", **settings)
    model.quantize("int8")
    model.export(path, format="litert", verbose=False)  # sums of more than float32 has exactly
    assert path.stat().st_size < 1.2 * sum(v.value.nbytes for v in model.weights) + 10_000
    (y,) = in_litert(path, x)[0].values()
    np.testing.assert_allclose(y, model.predict(x, verbose=0), atol=1e-5)
    words = keras.Sequential([keras.Input((6,), dtype="int32"), layers.Embedding(2000, 64)])
    words.quantize("int8")
    words.export(path, format="litert", verbose=False)
    assert path.stat().st_size < 1.2 * sum(v.value.nbytes for v in words.weights)
    x = np.arange(12, dtype="int32").reshape(2, 6)
    (y,) = in_litert(path, x)[0].values()
    np.testing.assert_allclose(y, words.predict(x, verbose=0), rtol=1e-6)


def test_several_endpoints_in_a_file_of_litert(tmp_path):
    from ai_edge_litert.interpreter import Interpreter  # pyright: ignore[reportMissingImports]

    inputs = keras.Input((40,))
    code = keras.layers.Dense(2000, activation="tanh")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(code))
    encoder = keras.Model(inputs, code)
    archive = keras.export.ExportArchive("litert")
    archive.track(model)
    spec = keras.InputSpec(shape=(None, 40), dtype="float32")
    archive.add_endpoint("predict", model.call, [spec])
    archive.add_endpoint("encode", encoder.call, [spec])
    path = tmp_path / "m.tflite"
    archive.write_out(path, verbose=False)
    # A weight of both is in the file once.
    assert path.stat().st_size < 1.2 * sum(v.value.nbytes for v in model.weights) + 10_000
    interpreter = Interpreter(str(path))
    assert set(interpreter.get_signature_list()) == {"predict", "encode"}
    for name, of in (("predict", model), ("encode", encoder)):
        runner = interpreter.get_signature_runner(name)
        (at,) = runner.get_input_details()
        for count in (1, 3):
            x = np.random.default_rng(count).normal(size=(count, 40)).astype("float32")
            (y,) = runner(**{at: x}).values()
            np.testing.assert_allclose(y, of.predict(x, verbose=0), atol=1e-5)


def test_tf_lite(tmp_path):
    import tensorflow as tf

    model, lite = zoo.made("custom layer and activation"), ktf.lite
    x = zoo.inputs_for(model, 1)
    wanted = model.predict(x, verbose=0)
    converter = lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [ktf.float16]
    interpreter = lite.Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    (given,), (found,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert given["shape"].tolist() == [1, 4] and given["shape_signature"].tolist() == [-1, 4]
    interpreter.set_tensor(given["index"], ktf.constant(x))
    interpreter.invoke()
    np.testing.assert_allclose(interpreter.get_tensor(found["index"]), wanted, atol=0.01)

    w = ktf.Variable([[1.0, 2.0]])

    @ktf.function(input_signature=[ktf.TensorSpec([None, 1]), ktf.TensorSpec([], name="b")])
    def f(a, b):
        return {"product": a @ w, "sum": ktf.reduce_sum(a) + b}

    data = lite.TFLiteConverter.from_concrete_functions([f.get_concrete_function()]).convert()
    run = lite.Interpreter(model_content=data).get_signature_runner()
    found = run(a=ktf.constant([[3.0], [4.0]]), b=ktf.constant(1.0))
    assert found["product"].tolist() == [[3, 6], [4, 8]] and found["sum"] == 8

    class Doubled(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None])])
        def __call__(self, x):
            return {"y": 2 * x}

    doubled = Doubled()
    tf.saved_model.save(doubled, str(tmp_path / "m"), signatures=doubled.__call__)
    converter = lite.TFLiteConverter.from_saved_model(str(tmp_path / "m"))
    converter.representative_dataset = lambda: [[np.ones(3, "float32")]]
    run = lite.Interpreter(model_content=converter.convert()).get_signature_runner()
    assert run(x=np.array([1.0, 2.0], "float32"))["y"].tolist() == [2, 4]
    model.export(tmp_path / "ours", verbose=False)
    data = lite.TFLiteConverter.from_saved_model(str(tmp_path / "ours")).convert()
    (tmp_path / "ours.tflite").write_bytes(data)
    (y,) = in_litert(tmp_path / "ours.tflite", x)[0].values()
    np.testing.assert_allclose(y, wanted, atol=1e-6)
    converter = lite.TFLiteConverter.from_saved_model(str(tmp_path / "no"))
    with pytest.raises(OSError, match="There is no SavedModel"):
        converter.convert()


def test_what_litert_cannot_express_is_refused(tmp_path):
    path, layers = tmp_path / "m.tflite", keras.layers
    model = keras.Sequential([keras.Input((4, 4, 4, 2)), layers.MaxPooling3D(2, name="deep")])
    with pytest.raises(ValueError, match="/deep' computes: .* operations MaxPool3D"):
        model.export(path, format="litert", verbose=False)
    assert not list(tmp_path.iterdir())
    both = {"supported_ops": ["TFLITE_BUILTINS", "SELECT_TF_OPS"]}
    model.export(path, format="litert", verbose=False, target_spec=both)
    with pytest.raises(RuntimeError, match="FlexMaxPool3D"):
        in_litert(path, np.ones((1, 4, 4, 4, 2), "float32"))
