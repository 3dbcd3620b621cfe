"""TensorFlow.js in Node, and what other formats share with it."""

import numpy as np

import keraslike as keras
from tests.export.runtimes.litert import in_litert
from tests.export.runtimes.operations import functions, operations, scattered
from tests.export.runtimes.programs import difference, in_node


def test_operations_in_tfjs(tmp_path):
    of_images, x = operations()
    cases, wanted = {}, {}
    for name, layer in (of_images | functions() | scattered()).items():
        inputs = keras.Input((7, 6, 4))
        model = keras.Model(inputs, layer(inputs))
        spec = keras.InputSpec(shape=(None, 7, 6, 4), dtype="float32")
        path = tmp_path / str(len(cases))
        model.export(path, format="tfjs", verbose=False, input_signature=[spec])
        cases[name] = (path, [x, x[:1]])
        wanted[name] = [model.predict(part, verbose=0) for part in (x, x[:1])]
    for name, (outputs, _) in zip(cases, in_node(cases.values(), tmp_path), strict=True):
        for y, z in zip(outputs, wanted[name], strict=True):
            assert difference(y, z) < 2e-5, name


def test_layers_models_in_tfjs(tmp_path):
    layers = keras.layers
    image, series, words = (7, 6, 4), (5, 4), (5,)
    stacks = {
        "activations": (image, [layers.Activation(a) for a in
                        ("elu", "relu6", "selu", "silu", "softplus", "softsign", "tanh")]),
        "softmax": (image, [layers.Softmax(axis=-1), layers.ReLU(0.2), layers.LeakyReLU(0.1)]),
        "norms": (image, [layers.BatchNormalization(), layers.LayerNormalization(), layers.ELU()]),
        "strides": (image, [layers.Conv2D(3, 3, strides=2, padding="same", use_bias=False)]),
        "dilated": (image, [layers.Conv2D(3, 2, dilation_rate=2, activation="relu")]),
        "transposed": (image, [layers.Conv2DTranspose(3, 4, strides=2, padding="same")]),
        "separable": (image, [layers.SeparableConv2D(3, 3, depth_multiplier=2),
                              layers.DepthwiseConv2D(2, depth_multiplier=2)]),
        "pools": (image, [layers.MaxPooling2D(3, 1, padding="same"),
                          layers.AveragePooling2D(3, 2, padding="same")]),
        "around": (image, [layers.ZeroPadding2D(((1, 2), (3, 0))), layers.Cropping2D(2),
                           layers.UpSampling2D((2, 3))]),
        "global": (image, [layers.GlobalMaxPooling2D(), layers.RepeatVector(3)]),
        "shapes": (image, [layers.Reshape((6, -1)), layers.Permute((2, 1)), layers.Flatten()]),
        "noise": (image, [layers.Dropout(0.5), layers.GaussianNoise(1.0), layers.AlphaDropout(0.2),
                          layers.GaussianDropout(0.3), layers.GlobalAveragePooling2D()]),
        "series": (series, [layers.Conv1D(3, 2, padding="same"), layers.MaxPooling1D(2, 1),
                            layers.SpatialDropout1D(0.5), layers.GlobalAveragePooling1D()]),
        "two ways": (series, [layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
                              layers.TimeDistributed(layers.Dense(2)),
                              layers.Bidirectional(layers.GRU(2, reset_after=False), "sum")]),
        "masks": (words, [layers.Embedding(10, 3, mask_zero=True),
                          layers.LSTM(3, return_sequences=True, go_backwards=True),
                          layers.Dropout(0.2), layers.SimpleRNN(3), layers.Dense(2)]),
        "skipped": (series, [layers.Masking(0.0), layers.LSTM(3)]),
        "a model": (series, [keras.Sequential([keras.Input(series), layers.Dense(3),
                             layers.BatchNormalization()]), layers.Dense(2, activation="relu")]),
    }  # fmt: skip
    cases, wanted, numbers = [], [], np.random.default_rng(0)
    for name, (shape, stack) in stacks.items():
        model = keras.Sequential([keras.Input(shape), *stack])
        for v in model.weights:
            v.assign(v + 0.1 * np.abs(numbers.normal(size=v.shape)))
        model.export(tmp_path / name, format="tfjs", verbose=False)
        assert '"layers-model"' in (tmp_path / name / "model.json").read_text(), name
        x = (
            numbers.integers(0, 4, (3, *shape))
            if shape == words
            else numbers.normal(size=(3, *shape))
        )
        x = x.astype("float32")
        x[1, 2:] = 0
        cases.append((tmp_path / name, [x, x[:1]]))
        wanted.append([model.predict(part, verbose=0) for part in (x, x[:1])])
        again = keras.saving.load_model(tmp_path / name)
        np.testing.assert_allclose(again.predict(x, verbose=0), wanted[-1][0], atol=1e-6)
    for (path, _), (outputs, _), pair in zip(cases, in_node(cases, tmp_path), wanted, strict=True):
        for y, z in zip(outputs, pair, strict=True):
            assert difference(y, z) < 1e-5, path.name


def test_images_of_any_size_in_onnxruntime_and_tfjs(tmp_path):
    import onnxruntime  # pyright: ignore[reportMissingImports]

    layers = keras.layers
    inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same")(inputs)
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    model = keras.Model(inputs, layers.AveragePooling2D(3, 2, padding="same")(x))
    data = [np.random.default_rng(0).normal(size=s).astype("float32")
            for s in ((2, 16, 25, 3), (1, 9, 30, 3))]  # fmt: skip
    wanted = [model.predict(part, verbose=0) for part in data]
    model.export(tmp_path / "m.onnx", format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    found = [session.run(None, {session.get_inputs()[0].name: part})[0] for part in data]
    spec = keras.InputSpec(shape=inputs.shape, dtype="float32")
    model.export(tmp_path / "js", format="tfjs", verbose=False, input_signature=[spec])
    ((outputs, _),) = in_node([(tmp_path / "js", data)], tmp_path)
    for y, js, z in zip(found, outputs, wanted, strict=True):
        np.testing.assert_allclose(y, z, atol=1e-5)
        assert difference(js, z) < 1e-5


def narrowed(x):
    """Floats as narrow integers, which saturate, and integers as narrower ones, which wrap."""
    parts = [x.astype(dtype) for dtype in ("uint8", "int8", "uint16", "int16")]
    parts += [(3 * x).astype("int32").astype(dtype) for dtype in ("uint8", "int8", "int16")]
    parts += [parts[0].astype("int16")]
    return keras.ops.stack([part.astype("float32") for part in parts], -1)


def test_narrow_integers_in_litert_and_tensorflow_js(tmp_path):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Lambda(narrowed)])
    x = np.array(
        [[-70000, -300, -1.5, -0.5, 0, 0.7], [127.5, 128, 255.9, 256, 300, 66000]], "float32"
    )
    wanted = model.predict(x, verbose=0)
    model.export(tmp_path / "m.tflite", format="litert", verbose=False)
    ((found,),) = (list(outputs.values()) for outputs in in_litert(tmp_path / "m.tflite", x))
    np.testing.assert_array_equal(found, wanted)
    model.export(tmp_path / "m", format="tfjs", verbose=False)
    (((outputs,), _),) = in_node([(tmp_path / "m", [x])], tmp_path, 0)
    np.testing.assert_array_equal(next(iter(outputs.values())), wanted)
