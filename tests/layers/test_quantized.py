"""Quantized layers beside Keras's: variables, outputs, gradients, training and files both ways."""

import keras
import numpy as np
import pytest
from keras.src.quantizers.awq import AWQ as TheirAWQ
from keras.src.quantizers.gptq import GPTQ as TheirGPTQ

import keraslike
from keraslike import layers
from keraslike.quantizers.awq import AWQ
from keraslike.quantizers.gptq import GPTQ

ATTENTION = {"equation": "abc,cde->abde", "output_shape": (4, 2, 3), "bias_axes": "de"}
LAYERS = [
    ("Dense", {"units": 7}, (10,)),
    ("EinsumDense", ATTENTION, (4, 6)),
    ("EinsumDense", {"equation": "abde,dec->abc", "output_shape": (4, 5)}, (4, 2, 3)),
    ("EinsumDense", {"equation": "ab,cb->ac", "output_shape": (5,)}, (6,)),
    ("Embedding", {"input_dim": 9, "output_dim": 7}, (2,)),
    ("ReversibleEmbedding", {"input_dim": 9, "output_dim": 7}, (2,)),
    ("ReversibleEmbedding", {"input_dim": 9, "output_dim": 7, "tie_weights": False}, (2,)),
]
MODES = [
    ("int8", {"activation_quantizer": None}),
    ("int4", {}),
    ("int4", {"block_size": 4}),
    ("int4", {"block_size": None}),
    ("float8", {}),
]


@pytest.fixture(autouse=True)
def _no_collections(monkeypatch):
    """Keras collects garbage for each weight that a layer drops, which took most of the time."""
    monkeypatch.setattr("gc.collect", lambda *_: 0)


def config_of(K, mode, arguments):
    return getattr(K.quantizers, f"{mode.capitalize()}QuantizationConfig")(**arguments)


def pair(name, kwargs, shape, rng):
    """Keras's layer and ours with the same weights."""
    theirs, ours = (getattr(K.layers, name)(**kwargs) for K in (keras, keraslike))
    for layer in (theirs, ours):
        layer.build((None, *shape))
    ours.set_weights([rng.normal(size=w.shape) for w in theirs.weights])
    theirs.set_weights(ours.get_weights())
    return theirs, ours


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "arguments"), MODES)
@pytest.mark.parametrize(("name", "kwargs", "shape"), LAYERS)
def test_layers_are_those_of_keras(name, kwargs, shape, mode, arguments, rng):
    embeds = "Embedding" in name
    theirs, ours = pair(name, kwargs, shape, rng)
    if embeds and mode == "float8":
        with pytest.raises(NotImplementedError, match="Expected one of .'int8', 'int4'."):
            ours.quantize(mode)
        return
    for K, layer in ((keras, theirs), (keraslike, ours)):
        layer.quantize(mode, config=config_of(K, mode, arguments))
    assert ours.dtype_policy.name == theirs.dtype_policy.name
    seen = [[(w.name, w.shape, str(w.dtype)) for w in x.weights] for x in (theirs, ours)]
    assert seen[1] == seen[0]
    stores = {}, {}
    theirs.save_own_variables(stores[0])
    ours.save_own_variables(stores[1])
    assert list(stores[0]) == list(stores[1])
    for key, its in stores[0].items():
        np.testing.assert_allclose(stores[1][key], its, rtol=1e-6, atol=1e-6)
    x = rng.integers(0, 9, (3, *shape)) if embeds else rng.normal(size=(3, *shape))
    calls = [(x, {})]
    if name == "ReversibleEmbedding":
        calls.append((rng.normal(size=(3, 7)), {"reverse": True}))
    for inputs, more in calls:
        np.testing.assert_allclose(
            ours(inputs, **more), theirs(inputs, **more), rtol=1e-5, atol=2e-5
        )


def test_ellipses_are_quantized_as_axes_with_letters(rng):
    kernel, x = rng.normal(size=(4, 7)), rng.normal(size=(2, 3, 4))
    outputs = []
    for equation, shape in (("...b,bc->...c", (7,)), ("abc,cd->abd", (3, 7))):
        for mode in ("int8", "int4"):
            layer = layers.EinsumDense(equation, shape)
            layer.build((None, 3, 4))
            layer.set_weights([kernel])
            layer.quantize(mode)
            outputs.append(layer(x))
    np.testing.assert_allclose(outputs[:2], outputs[2:], rtol=1e-6, atol=1e-6)


def model_of(K):
    L = K.layers
    x = inputs = K.Input((5,), dtype="int32")
    x = L.Embedding(9, 6, name="e")(x)
    x = L.EinsumDense("abc,cd->abd", (5, 4), bias_axes="d", activation="relu", name="m")(x)
    return K.Model(inputs, L.Dense(3, name="d")(L.Flatten(name="f")(x)))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")  # an Embedding has no float8
@pytest.mark.parametrize(("mode", "lora"), [("float8", 0), ("int4", 2)])
def test_training_and_files_are_those_of_keras(mode, lora, rng, tmp_path):
    theirs, ours = model_of(keras), model_of(keraslike)
    ours.set_weights(theirs.get_weights())
    for model in (theirs, ours):
        for name in "emd" if lora else "":
            model.get_layer(name).enable_lora(lora)
    ours.set_weights(theirs.get_weights())
    x, y = rng.integers(0, 9, (4, 5)), rng.normal(size=(4, 3))
    for model in (theirs, ours):
        model.quantize(mode)
        model.compile("sgd" if lora else "adam", "mse")
        model.fit(x, y, epochs=3, batch_size=2, shuffle=False, verbose=0)
    assert len(ours.optimizer.variables) == len(theirs.optimizer.variables)
    for mine, its in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(mine.numpy(), its.numpy(), rtol=1e-4, atol=5e-5)
    expected = ours.predict(x, verbose=0)
    near = {"atol": 0.2 if lora else 1e-5}  # what is adapted is rounded anew for a file
    found = []
    for model in (theirs, ours):
        model.save(tmp_path / "m.keras")
        model.save_weights(tmp_path / "m.weights.h5")
        for L in (keras, keraslike):
            again = L.models.load_model(tmp_path / "m.keras")
            found.append(again.predict(x, verbose=0))
        bare = model_of(keraslike)
        bare.quantize(mode)
        bare.load_weights(tmp_path / "m.weights.h5")
        found.append(bare.predict(x, verbose=0))
    for outputs in found:
        np.testing.assert_allclose(outputs, expected, **near)
        np.testing.assert_allclose(outputs, found[0], atol=1e-3)


CALIBRATED = [
    (GPTQ, TheirGPTQ, "GPTQConfig", {"group_size": 4, "activation_order": True}),
    (AWQ, TheirAWQ, "AWQConfig", {"group_size": 4}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "their_kind", "config", "arguments"), CALIBRATED)
def test_gptq_and_awq_are_those_of_keras(kind, their_kind, config, arguments, rng):
    for name, kwargs, shape in (("EinsumDense", ATTENTION, (4, 6)),):
        theirs, ours = pair(name, kwargs, shape, rng)
        seen = rng.normal(size=(40, shape[-1])).astype("float32")
        for K, layer, make in ((keras, theirs, their_kind), (keraslike, ours, kind)):
            how = getattr(K.quantizers, config)(None, None, **arguments)
            layer.quantize(how.mode, config=how)
            calibrator = make(layer, how)
            its = ("update_hessian_with_batch", "update_activation_magnitudes")
            getattr(calibrator, next(n for n in its if hasattr(calibrator, n)))(seen)
            its = ("quantize_and_correct_layer", "quantize_layer")
            getattr(calibrator, next(n for n in its if hasattr(calibrator, n)))()
        for mine, its in zip(ours.weights, theirs.weights, strict=True):
            np.testing.assert_allclose(mine.numpy(), its.numpy(), rtol=1e-4, atol=1e-5)
        x = rng.normal(size=(3, *shape))
        np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["gptq", "awq"])
def test_a_model_is_calibrated_by_its_data(mode, rng, tmp_path):
    """Keras 3.15 prepares the layers, but shows them no data: what it gives is no reference."""
    block = keraslike.Sequential([keraslike.Input((4, 6)), layers.Dense(6, name="in")], name="b")
    embed = layers.Embedding(9, 6)
    model = keraslike.Sequential([keraslike.Input((4,)), embed, block, layers.Dense(2, name="o")])
    scales = np.array([10, 1, 0.1, 0.1, 0.1, 0.1])
    embed.set_weights([rng.normal(size=(9, 6)) * scales])
    kernel = rng.normal(size=(6, 6)).astype("float32")
    block.layers[0].set_weights([kernel, np.zeros(6)])
    x = rng.integers(0, 9, (16, 4))
    expected = block(embed(x))
    config = (
        keraslike.quantizers.GPTQConfig if mode == "gptq" else keraslike.quantizers.AWQConfig
    )(
        list(x),
        tokenizer=object(),
        num_samples=16,
        sequence_length=4,
        group_size=-1,
        quantization_layer_structure={"pre_block_layers": [embed], "sequential_blocks": [block]},
    )
    model.quantize(mode, config=config)
    assert model.get_layer("o").quantization_mode is None  # in no block
    plain = layers.Dense(6, use_bias=False)
    plain.build((None, 6))
    plain.set_weights([kernel])
    plain.quantize("int4", config=keraslike.quantizers.Int4QuantizationConfig(block_size=6))
    errors = [np.square(y - expected).mean() for y in (block(embed(x)), plain(embed(x)))]
    assert 0 < errors[0] < 0.9 * errors[1]
    model.save(tmp_path / "m.keras")
    again = keraslike.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(again(x), model(x), rtol=1e-5, atol=1e-6)


def test_a_model_is_quantized_by_filters_also_after_training(rng):
    model = model_of(keraslike)
    x, y = rng.integers(0, 9, (4, 5)), rng.normal(size=(4, 3))
    model.compile("sgd", "mse")
    model.fit(x, y, verbose=0)
    before = model.predict(x, verbose=0)
    model.quantize("int8", filters=["^d$", "e"])
    assert [layer.quantization_mode for layer in model.layers] == [None, "int8", None, None, "int8"]
    change = np.abs(model.predict(x, verbose=0) - before).max()
    assert 0 < change < 0.05
    model.fit(x, y, verbose=0)
    with pytest.raises(ValueError, match="already quantized with dtype_policy='int8_from_float32'"):
        model.quantize("int4")
    assert model.get_layer("m").quantization_mode is None


def built(units=2, **kwargs):
    layer = layers.Dense(units, name="x", **kwargs)
    layer.build((None, 4))
    return layer


def test_policies_quantize_and_quantization_errors_change_nothing():
    layer = built()
    layer.dtype_policy = "int8_from_float32"
    assert [str(w.dtype) for w in layer.weights] == ["float32", "int8", "float32"]
    assert built(dtype="int4/2_from_float32").kernel_zero.shape == (2, 2)

    class Own(layers.Dense):
        pass

    own = Own(2)
    own.build((None, 4))
    gptq = keraslike.quantizers.GPTQConfig(None, None)
    waiting = built()
    waiting.quantize(config=gptq)
    cases = [
        (lambda: layers.Dense(2).quantize("int8"), ValueError, "isn't yet built"),
        (lambda: built().quantize("int7"), ValueError, "Invalid quantization mode"),
        (lambda: built().quantize(), ValueError, "needs a `mode` or a `config`"),
        (lambda: built().quantize("gptq"), ValueError, "must pass a `GPTQConfig`"),
        (lambda: built().quantize("int8", config=gptq), ValueError, "Contradictory"),
        (lambda: built(dtype="float16").quantize("int8"), ValueError, "float16"),
        (lambda: own.quantize("int8"), NotImplementedError, "type_check=False"),
        (lambda: built(lora_rank=1).quantize("float8"), NotImplementedError, "lora"),
        (lambda: waiting.enable_lora(2), NotImplementedError, "lora"),
        (lambda: waiting.save_own_variables({}), ValueError, "is not calibrated"),
        (lambda: setattr(built(), "dtype_policy", "awq/4/2_from_float32"), ValueError, "config="),
        (lambda: setattr(layer, "dtype_policy", "float32"), ValueError, "quantized to int8"),
        (lambda: setattr(layer, "dtype_policy", "int4_from_float32"), ValueError, "quantized to"),
        (lambda: model_of(keraslike).quantize("gptq", config=gptq), ValueError, "structure"),
        (lambda: model_of(keraslike).quantize("int8", filters=3), ValueError, "filters"),
        (lambda: model_of(keraslike).quantize("int8", by=3), ValueError, "Unrecognized"),
    ]
    for call, kind, message in cases:
        with pytest.raises(kind, match=message):
            call()
    layer.dtype_policy = "int8_from_bfloat16"
    eighth = built()
    eighth.quantize("float8")
    eighth.dtype_policy = "float32"  # The floats are still there.
    x = np.eye(4, dtype="float32")
    np.testing.assert_array_equal(eighth(x), x @ eighth.kernel + eighth.bias)
    own.quantize("int8", type_check=False)
    assert own.quantization_mode == "int8"


class Doubled(keras.layers.Layer):
    """A class of one's own that is quantized as Keras's documentation has it."""

    def build(self, shape):
        if self.quantization_mode:
            self.quantized_build(shape, self.quantization_mode)
        else:
            self.w = self.add_weight((shape[-1],), initializer="ones", name="w")

    def call(self, x):
        return x * self.w

    def quantize(self, mode=None, type_check=True, config=None):
        self.quantized_build(self.w.shape, mode)
        if self.dtype_policy.quantization_mode is None:
            self.dtype_policy = f"{mode}_from_{self.dtype_policy.name}"

    def quantized_build(self, shape, mode, config=None):
        self.w = self.add_weight((shape[-1],), "zeros", "int8", trainable=False, name="w")
        self._is_quantized = True

    def _int8_call(self, x):
        return 2 * x


def test_a_class_of_ones_own_has_a_call_by_mode(tmp_path):
    members = {k: v for k, v in vars(Doubled).items() if k != "__dict__" and k != "__weakref__"}
    own = type("Doubled", (layers.Layer,), members)
    model = keraslike.Sequential([keraslike.Input((3,)), own()])
    assert model(np.ones((1, 3))).tolist() == [[1, 1, 1]]
    model.quantize("int8")
    assert model(np.ones((1, 3))).tolist() == [[2, 2, 2]]
    model.save(tmp_path / "m.keras")
    again = keraslike.models.load_model(tmp_path / "m.keras", custom_objects={"Doubled": own})
    assert again.predict(np.ones((1, 3)), verbose=0).tolist() == [[2, 2, 2]]
    with pytest.raises(ValueError, match="does not support quantization"):
        layers.Softmax(dtype="int8_from_float32")
    with pytest.raises(NotImplementedError, match="quantization_mode=None"):
        built().quantized_call(np.ones((1, 4)))


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_quantized_parts_of_a_layer_are_in_its_file(mode, rng, tmp_path):
    class Own(layers.Layer):  # it builds what is inside by calling it
        def __init__(self, dtype=None, **kwargs):
            super().__init__(dtype=dtype, **kwargs)
            self.inner = layers.Dense(3, dtype=dtype, name="inner")

        def call(self, x):
            return self.inner(x)

        def get_config(self):
            found = {x.path: x.dtype_policy for x in [self.inner] if x.quantization_mode}
            policy = keraslike.dtype_policies.DTypePolicyMap(None, found)
            return {**super().get_config(), "dtype": policy}

    inputs = keraslike.Input((5, 8))
    heads = layers.MultiHeadAttention(2, 4)
    model = keraslike.Model(inputs, Own(name="own")(heads(inputs, inputs)))
    model.quantize(mode)
    model.save(tmp_path / "m.keras")
    again = keraslike.models.load_model(tmp_path / "m.keras", custom_objects={"Own": Own})
    x = rng.normal(size=(2, 5, 8))
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(again.predict(x, verbose=0), expected, rtol=1e-6, atol=1e-6)
    assert {w.path for w in again.weights} == {w.path for w in model.weights}
    heads = keraslike.Model(inputs, heads(inputs, inputs))
    heads.save(tmp_path / "h.keras")  # which Keras cannot load of its own
    theirs = keras.models.load_model(tmp_path / "h.keras").predict(x, verbose=0)
    np.testing.assert_allclose(theirs, heads.predict(x, verbose=0), rtol=1e-5, atol=1e-5)

    bare = layers.MultiHeadAttention(2, 4)
    bare.build((2, 5, 8), (2, 5, 8))
    bare._query_dense.quantize(config=keraslike.quantizers.Int8QuantizationConfig(None, None))
    with pytest.raises(ValueError, match="'query'.*activation_quantizer=None"):
        bare.get_config()


def test_a_quantized_layer_that_was_built_alone_is_built_in_its_file(tmp_path):
    x = np.array([[1, 2]])
    for shapes in [(), (None,)]:
        layer = layers.Embedding(4, 3)
        layer.build(*shapes)
        layer.quantize("int8")
        model = keraslike.Sequential([layer])
        model.save(tmp_path / "m.keras")  # with no warning: there are weights
        again = keraslike.models.load_model(tmp_path / "m.keras")
        np.testing.assert_array_equal(again.predict(x, verbose=0), layer(x))
