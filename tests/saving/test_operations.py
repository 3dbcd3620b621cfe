"""Functions in a graph (slices, sums, ...) come back from a file, Keras's and ours, in either."""

import json

import keras
import numpy as np
import pytest

import keraslike
import keraslike.tf
from keraslike import saving

pytestmark = pytest.mark.slow

# What is called on x of shape (batch, 5, 4), y of (batch, 5, 4) and i of (batch, 2), integers.
SLICES = [
    "x[:, 1]",
    "x[:, -1, 2]",
    "x[:, ::-1]",
    "x[:, 3:0:-2]",
    "x[..., 0]",
    "x[:, None]",
    "x[:, None, ..., 1:3]",
    "x[..., None, ::2]",
    "x[0]",
    "ops.get_item(x, (slice(None), 1))",
]
OURS_ONLY = [  # for Keras, a symbolic index is no array, and a key no slice alone
    "x[1:]",
    "x[:, np.array([2, 0])]",
    "x[:, [2, 0]]",
    "x[:, np.array([[2], [0]]), [1, 3]]",
    "x[:, np.array([True, False, True, True, False])]",
    "x[:, i[0]]",
    "ops.norm(x, axis=1)",
    "ops.layer_normalization(x, gamma=np.ones(4, 'float32'))",
]
CALLS = [
    "ops.take(x, np.array([2, 0]), axis=1)",
    "ops.take_along_axis(x, ops.expand_dims(i, -1), axis=1)",
    "ops.reshape(x, (-1, 2, 10))",
    "ops.concatenate([x, y], axis=1)",
    "ops.stack([x, y], axis=2)",
    "1 - x",
    "x / y",
    "x * np.arange(4, dtype='float32')",
    "abs(x)",
    "ops.sum(x, axis=1, keepdims=True)",
    "ops.where(x > 0, x, 0.5)",
    "ops.where(x > 0, 0.5, y)",
    "ops.average(x, weights=y)",
    "ops.average(x, axis=1, weights=y)",
    "ops.einsum('abc,adc->abd', x, y)",
    "ops.clip(x, -0.5, 0.5)",
    "ops.relu(x)",
    "ops.softmax(x, axis=1)",
    "ops.one_hot(i, 4)",
    "ops.top_k(x, 2, sorted=True)",
    "ops.logsumexp(x, axis=1)",
    "ops.svd(x, compute_uv=False)",
    "ops.pad(x, ((0, 0), (1, 0), (0, 0)), constant_values=2.0)",
    "ops.cast(i, 'float32')",
    "ops.split(x, 2, axis=2)[1]",
    "ops.unstack(x, axis=1)[3]",
    "ops.max_pool(x, 2, strides=1, padding='same')",
    "ops.conv(x, np.ones((2, 4, 3), 'float32'), padding='same')",
    "ops.dot_product_attention(x[:, :, None], y[:, :, None], x[:, :, None], scale=0.5)",
    "ops.isclose(x, y, rtol=0.5)",
    "ops.searchsorted(np.arange(4.0, dtype='float32'), x, side='right')",
    "ops.slice(x, (0, 1, 0), (2, 2, 4))",
    "ops.layer_normalization(x, gamma=np.ones(4, 'float32'), beta=np.ones(4, 'float32'))",
    "ops.image.resize(ops.expand_dims(x, -1), (3, 3), antialias=True)",
    "ops.image.rgb_to_hsv(ops.expand_dims(y[..., :3], 1))",
    "ops.image.affine_transform(x[..., None], np.ones((2, 8), 'float32'), fill_value=2.0)",
    "ops.stft(x, 2, 1, 3, window=None, center=False)[0]",
    "ops.fft((x, y))[1]",
    "ops.cdist(x, y)",
    "ops.trapezoid(x, dx=2.0, axis=1)",
    "ops.select([x > 0.5, x > 0], [x, y])",
]

RNG = np.random.default_rng(0)
DATA = [
    RNG.normal(size=(2, 5, 4)).astype("float32"),
    RNG.uniform(1, 2, size=(2, 5, 4)).astype("float32"),
    np.array([[1, 3], [0, 2]], "int32"),
]


def model_of(text, library):
    x, y = (library.Input((5, 4), name=n) for n in "xy")
    i = library.Input((2,), dtype="int32", name="i")
    outputs = eval(text, {"x": x, "y": y, "i": i, "ops": library.ops, "np": np})
    return library.Model([x, y, i], outputs)


def outputs_of(model):
    return [np.asarray(a) for a in keras.tree.flatten(model(DATA))]


def assert_same(outputs, wanted):
    assert [a.dtype for a in outputs] == [a.dtype for a in wanted]
    for a, b in zip(outputs, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("text", SLICES + OURS_ONLY + CALLS)
def test_our_files(tmp_path, text):
    model = model_of(text, keraslike)
    wanted = outputs_of(model)
    for ending in (".keras", ".h5"):
        path = tmp_path / f"model{ending}"
        model.save(path)
        again = saving.load_model(path)
        assert_same(outputs_of(again), wanted)
    assert_same(outputs_of(keraslike.models.model_from_json(again.to_json())), wanted)
    assert json.loads(again.to_json())["config"] == json.loads(model.to_json())["config"]


@pytest.mark.parametrize("text", SLICES + CALLS)
def test_keras_and_keraslike_read_each_other(tmp_path, text):
    theirs, ours = model_of(text, keras), model_of(text, keraslike)
    wanted = outputs_of(theirs)
    assert_same(outputs_of(ours), wanted)
    path = tmp_path / "model.keras"
    ours.save(path)
    assert_same(outputs_of(keras.saving.load_model(path)), wanted)
    theirs.save(path)
    assert_same(outputs_of(saving.load_model(path)), wanted)


def test_a_call_that_is_none():
    config = model_of("ops.sum(x, axis=1)", keraslike).to_json()
    for old, new in (('"axis": 1', '"axes": 1'), ('"Sum"', '"Summ"')):
        assert old in config
        with pytest.raises((TypeError, ValueError), match="axes|Summ|summ"):
            keraslike.models.model_from_json(config.replace(old, new))
    config = json.loads(config)
    call = config["config"]["layers"][-1]["inbound_nodes"][0]
    call["args"] *= 9
    with pytest.raises(TypeError, match="9 by their place"):
        keraslike.models.model_from_json(json.dumps(config))


def test_a_graph_with_a_tensor_and_a_layer_that_must_be_told_the_mode(tmp_path):  # as in Keras
    class Scaled(keraslike.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = keraslike.layers.Dense(2)

        def call(self, inputs, training, mask=None):
            return self.dense(inputs) * (2 if training else 1)

    inputs = keraslike.layers.Input((3,))
    outputs = Scaled()(inputs + keraslike.tf.constant([1.0, 2.0, 3.0]), training=False)
    model = keraslike.Model(inputs, outputs)
    model.save(tmp_path / "m.keras")
    again = keraslike.models.load_model(tmp_path / "m.keras", custom_objects={"Scaled": Scaled})
    x = np.ones((2, 3))
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
