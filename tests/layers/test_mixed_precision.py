"""Policies: their objects beside Keras's, and the dtypes of layers that have them."""

import jax
import keras
import numpy as np
import pytest

import keraslike
from keraslike import dtype_policies, layers
from tests.layers.test_layer_parity import CASES

NAMES = ["float32", "mixed_float16", "bfloat16", "int8_from_float32", "int4_from_mixed_bfloat16"]
NAMES += ["float8_from_float32", "int4/64_from_float32", "gptq/4/-1_from_float32"]
NAMES += ["awq/4/128_from_mixed_float16"]
WRONG = ["mixed_float15", "", "int8_from_mixed_float16", "int9_from_float32", "gptq/4_from_float32"]
WRONG += ["awq/3/128_from_float32", "gptq/4/0_from_float32", "int4/a_from_float32", "float8"]


def said(policy):
    attributes = ("name", "compute_dtype", "variable_dtype", "quantization_mode")
    extra = ("block_size", "weight_bits", "group_size", "amax_history_length")
    return [getattr(policy, a, None) for a in (*attributes, *extra)], repr(policy)


@pytest.mark.parametrize("name", NAMES)
def test_policies_are_those_of_keras(name):
    theirs, ours = keras.dtype_policies.get(name), dtype_policies.get(name)
    assert type(ours).__name__ == type(theirs).__name__
    assert said(ours) == said(theirs)
    config = dtype_policies.serialize(ours)
    assert config == keras.dtype_policies.serialize(theirs)
    again = dtype_policies.deserialize(config)
    assert again == ours and hash(again) == hash(ours) and again is not ours
    assert [dtype_policies.get(n) == ours for n in NAMES] == [n == name for n in NAMES]


@pytest.mark.parametrize("name", WRONG)
def test_names_that_are_errors_in_keras_are_errors_here(name):
    for K in (keras, keraslike):
        with pytest.raises(ValueError):
            K.dtype_policies.get(name)


def test_the_default_is_that_of_the_program():
    keraslike.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        assert dtype_policies.DTypePolicy().name == "mixed_bfloat16"
        assert dtype_policies.QuantizedDTypePolicy("int8").name == "int8_from_mixed_bfloat16"
        policies = dtype_policies.DTypePolicyMap(policy_map={"a": dtype_policies.get("float16")})
        config = dtype_policies.serialize(policies)
        keraslike.config.set_dtype_policy("float32")  # what is saved without one takes this one
        assert dtype_policies.deserialize(config)["a"].name == "float32"
        assert policies["a"].name == "float16"
    finally:
        keraslike.config.set_dtype_policy("float32")


LAYERS = [
    (name, policy)
    for name in sorted({case[0] for case in CASES})
    for policy in ("mixed_float16", "mixed_bfloat16")
    # Its call refuses bfloat16, in Keras, too, but not on symbolic tensors there.
    if (name, policy) != ("STFTSpectrogram", "mixed_bfloat16")
]


@pytest.mark.parametrize(("name", "policy"), LAYERS)
def test_dtypes_are_those_of_keras(name, policy):
    _, kwargs, shape = next(case for case in CASES if case[0] == name)
    seen = []
    for K in (keras, keraslike):
        layer = getattr(K.layers, name)(**kwargs, dtype=policy)
        inputs = [K.KerasTensor(s) for s in (shape if isinstance(shape, list) else [shape])]
        out = layer(inputs if isinstance(shape, list) else inputs[0])
        dtypes = [str(o.dtype) for o in jax.tree.leaves(out)]
        seen.append((dtypes, [str(w.dtype) for w in layer.weights], layer.compute_dtype))
    assert seen[0] == seen[1]


def test_layers_have_the_policies_of_their_paths(tmp_path):
    class Block(layers.Layer):
        def __init__(self, dtype):
            super().__init__(dtype=dtype, name="block")
            self.inner = layers.Dense(2, dtype=dtype, name="inner")
            self.outer = layers.Dense(2, dtype=dtype, name="outer")

        def call(self, x):
            return self.outer(self.inner(x))

    policies = dtype_policies.DTypePolicyMap(
        "float32", {"block/inner": dtype_policies.get("float16")}
    )
    block = Block(policies)
    assert block(np.ones((1, 3))).dtype == "float32"
    assert block.inner.path == "block/inner" and block.inner.dtype_policy is policies
    assert [v.dtype for v in block.weights] == ["float16", "float16", "float32", "float32"]

    x = layers.Input((3,))
    policies = dtype_policies.DTypePolicyMap("float32", {"dense_.": dtype_policies.get("bfloat16")})
    model = keraslike.Model(x, layers.Dense(2, dtype=policies, name="dense_a")(x))
    model.save(tmp_path / "model.keras")
    for K in (keraslike, keras):
        again = K.models.load_model(tmp_path / "model.keras")
        assert str(again.layers[1].compute_dtype) == "bfloat16"


@pytest.mark.parametrize("policies", [("float32", "mixed_float16"), ("mixed_bfloat16", "float32")])
def test_masks_are_kept_where_inputs_are_cast_and_the_graph_is_that_of_keras(policies):
    ids, weights, seen = np.array([[1, 2, 0, 0], [3, 0, 0, 0]]), None, []
    for K in (keras, keraslike):
        embedding = K.layers.Embedding(5, 3, mask_zero=True, dtype=policies[0])
        rnn = K.layers.SimpleRNN(2, dtype=policies[1])
        x = K.layers.Input((4,), dtype="int32")
        model = K.Model(x, rnn(embedding(x)))
        weights = weights or model.get_weights()
        model.set_weights(weights)
        graph = [
            (layer["class_name"], layer["config"]["dtype"])
            for layer in model.get_config()["layers"]
        ]
        seen.append((model(ids), rnn(embedding(ids)), graph))
    (functional, called, graph), ours = seen
    np.testing.assert_allclose(
        np.asarray(ours[0], "float32"), np.asarray(functional, "float32"), atol=5e-3
    )
    np.testing.assert_allclose(
        np.asarray(ours[1], "float32"), np.asarray(called, "float32"), atol=5e-3
    )
    assert ours[2] == graph


def test_a_constructor_is_given_the_name_of_a_policy():
    class Named(layers.Dense):
        def __init__(self, units, dtype="float32", **kwargs):
            assert isinstance(dtype, str)
            super().__init__(units, dtype=dtype, **kwargs)

    layer = Named.from_config(layers.Dense(2, dtype="mixed_float16").get_config())
    assert layer.dtype_policy.name == "mixed_float16"


def test_a_layer_refuses_to_be_quantized():
    quantized = dtype_policies.get("int8_from_float32")
    with pytest.raises(ValueError, match="'d' .Conv1D. does not support quantization"):
        layers.Conv1D(2, 1, dtype=quantized, name="d")
    policy = dtype_policies.DTypePolicyMap("float32", {"d": quantized})
    layer = layers.Conv1D(2, 1, dtype=policy, name="d")
    with pytest.raises(ValueError, match="does not support quantization"):
        layer(np.ones((1, 2, 2)))
