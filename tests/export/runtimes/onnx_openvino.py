"""ONNX in onnxruntime, and OpenVINO."""

import jax
import numpy as np
import pytest

import keraslike as keras
from tests.export import zoo
from tests.export.runtimes.operations import functions, operations, placed


@pytest.mark.parametrize("kind", ["onnx", "openvino"])
def test_what_onnx_cannot_express_is_refused(tmp_path, kind):
    path = tmp_path / f"m.{'xml' if kind == 'openvino' else kind}"
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Lambda(keras.ops.erfinv, name="inverse")]
    )
    with pytest.raises(ValueError, match="/inverse' computes: the primitive 'erf_inv'"):
        model.export(path, format=kind, verbose=False)
    spec = keras.InputSpec(shape=(None, 4), dtype="float32")
    archive = keras.export.ExportArchive(format=kind)
    archive.add_endpoint("a", lambda x: x, [spec])
    archive.add_endpoint("b", lambda x: x, [spec])
    with pytest.raises(ValueError, match="with one endpoint"):
        archive.write_out(path, verbose=False)
    model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization()])
    archive = keras.export.ExportArchive(format=kind)
    archive.track(model)
    archive.add_endpoint("train", lambda x: model(x, training=True), [spec])
    with pytest.raises(ValueError, match="changes state"):
        archive.write_out(path, verbose=False)
    if kind == "openvino":
        with pytest.raises(ValueError, match="end in '.xml'"):
            zoo.made("MLP").export(tmp_path / "m", format=kind)
    assert not list(tmp_path.iterdir())


def test_operations_in_onnxruntime(tmp_path):
    import onnxruntime  # pyright: ignore[reportMissingImports]

    of_images, x = operations()
    for name, layer in (of_images | functions() | placed()).items():
        inputs = keras.Input((7, 6, 4))
        model = keras.Model(inputs, layer(inputs))
        model.export(tmp_path / "m.onnx", format="onnx", verbose=False)
        session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
        for part in (x, x[:1]):
            (found,) = session.run(None, {session.get_inputs()[0].name: part})
            wanted = model.predict(part, verbose=0)
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5, err_msg=name)


def test_int4_in_onnxruntime(tmp_path):
    import onnxruntime  # pyright: ignore[reportMissingImports]

    layers = keras.layers
    words = [keras.Input((4,), dtype="int32"), layers.Embedding(10, 4), layers.Flatten()]
    for stack in (words, [keras.Input((8,)), layers.Dense(15, activation="relu")]):
        model = keras.Sequential([*stack, layers.Dense(3)])
        model.quantize("int4")
        model.export(tmp_path / "m.onnx", format="onnx", verbose=False)
        session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
        for count in (1, 3):
            x = zoo.inputs_for(model, count)
            (found,) = session.run(None, {session.get_inputs()[0].name: x})
            np.testing.assert_allclose(found, model.predict(x, verbose=0), atol=1e-5)


def test_operations_in_openvino(tmp_path):
    import openvino  # pyright: ignore[reportMissingImports]

    def backwards(x):  # a loop over no array
        return jax.lax.scan(lambda c, _: (c / 2, c), x[:, 0, 0], length=4, reverse=True)[1]

    of_images, x = operations()
    functions_of = of_images | functions() | placed()
    functions_of["backwards"] = keras.layers.Lambda(lambda x: backwards(x).swapaxes(0, 1))
    inputs = keras.Input((7, 6, 4), name="x")
    model = keras.Model(inputs, {f"o{i}": f(inputs) for i, f in enumerate(functions_of.values())})
    model.export(tmp_path / "m.xml", format="openvino", verbose=False)
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    run = openvino.Core().compile_model(tmp_path / "m.xml", "CPU", settings)
    for part in (x, x[:1]):
        found, wanted = run({"x": part}), model.predict(part, verbose=0)
        for i, name in enumerate(functions_of):
            a, b = found[f"o{i}"], wanted[f"o{i}"]
            assert a.dtype == b.dtype and a.shape == b.shape, name
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg=name)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["m.bin", "m.xml"]
    for file in files:  # a damaged file is an error of OpenVINO's
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(RuntimeError):
            openvino.Core().read_model(tmp_path / "m.xml")
        file.write_bytes(whole)


def test_quantized_weights_stay_small_in_openvino(tmp_path):
    import openvino  # pyright: ignore[reportMissingImports]

    x = np.random.default_rng(0).normal(size=(3, 512)).astype("float32")
    for mode in ("int8", "int4"):
        model = keras.Sequential([keras.Input((512,)), keras.layers.Dense(512)])
        model.quantize(mode)
        model.export(tmp_path / "m.xml", format="openvino", verbose=False)
        size = sum(file.stat().st_size for file in tmp_path.iterdir())
        assert size < 1.2 * sum(v.value.nbytes for v in model.weights) + 100_000
        settings = {"INFERENCE_PRECISION_HINT": "f32"}
        run = openvino.Core().compile_model(tmp_path / "m.xml", "CPU", settings)
        np.testing.assert_allclose(run([x])[0], model.predict(x, verbose=0), atol=1e-4)
