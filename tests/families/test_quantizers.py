"""Quantizers beside Keras's, on one table of calls."""

import jax
import keras
import numpy as np
import pytest
from keras.src.quantizers.gptq_core import get_dataloader as their_dataloader

import keraslike
from keraslike.quantizers.calibration import get_dataloader

RNG = np.random.default_rng(0)
X, M = RNG.normal(size=(3, 5)).astype("float32"), RNG.normal(size=(6, 4)).astype("float32")
NIBBLES = RNG.integers(-8, 8, (5, 3)).astype("int8")
HALVES = jax.numpy.asarray(RNG.normal(size=(32, 8)), "bfloat16")
HISTORY = np.array([0.5, 3.0, 1.0], "float32")

CALLS = [
    (lambda q: q.abs_max_quantize(X, axis=-1)),
    (lambda q: q.abs_max_quantize(X, axis=(0, 1), value_range=(-8, 7), to_numpy=True)),
    (lambda q: q.abs_max_quantize(HALVES, axis=0, to_numpy=True)),
    (lambda q: q.AbsMaxQuantizer(axis=0)(X)),
    (lambda q: q.AbsMaxQuantizer()(X.astype("bfloat16"))),
    (lambda q: q.abs_max_quantize_grouped_with_zero_point(M, 4)),
    (lambda q: q.abs_max_quantize_grouped_with_zero_point(M, 4, to_numpy=True)),
    (lambda q: q.abs_max_quantize_grouped_with_zero_point(HALVES, 8, to_numpy=True)),
    (lambda q: q.compute_float8_scale(np.float32(3), np.float32(4), 448.0)),
    (lambda q: q.compute_float8_scale(np.float32(0), np.float32(4), 448.0, margin=1)),
    (lambda q: q.compute_float8_amax_history(X, HISTORY)),
    (lambda q: q.quantize_and_dequantize(X, np.float32(0.01), "float8_e4m3fn", "float32")),
    (lambda q: q.quantize_and_dequantize(X, np.float32(0.01), "float8_e5m2", "bfloat16")),
    (lambda q: q.pack_int4(NIBBLES, axis=0)),
    (lambda q: q.pack_int4(NIBBLES, axis=-1)),
    (lambda q: q.unpack_int4(q.pack_int4(NIBBLES, axis=1)[0], 3, axis=1)),
    (lambda q: q.unpack_int4(np.array([[45], [255]], "uint8"), 3, dtype="uint8")),
    (lambda q: q.fake_quant_with_min_max_vars(X, -1.0, 1.5, num_bits=4)),
    (lambda q: q.fake_quant_with_min_max_vars(X, -X.max(0), X.max(0) + 1, 3, True, axis=-1)),
]


@pytest.mark.parametrize("call", CALLS)
def test_functions_are_those_of_keras(call):
    ours, theirs = (
        jax.tree.leaves(call(keraslike.quantizers)),
        jax.tree.leaves(call(keras.quantizers)),
    )
    for mine, its in zip(ours, theirs, strict=True):
        assert np.asarray(mine).dtype == np.asarray(its).dtype
        np.testing.assert_allclose(
            np.asarray(mine, "float32"), np.asarray(its, "float32"), rtol=1e-5, atol=1e-6
        )


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["linspace", "random"])
def test_data_that_are_too_short_are_repeated_whole_as_in_keras(strategy):
    arguments = None, 5, [np.arange(4), np.arange(3)], 6
    ours = get_dataloader(*arguments, strategy=strategy)
    np.testing.assert_array_equal(ours, their_dataloader(*arguments, strategy=strategy))


def test_gradients_of_fake_quant_are_those_of_keras():
    def gradients(q):
        def of(x, low, high):
            return (q.fake_quant_with_min_max_vars(x, low, high, 4, axis=-1) * M[:3, :1]).sum()

        return jax.grad(of, argnums=(0, 1, 2))(X, -np.ones(5, "float32"), np.ones(5, "float32"))

    for mine, its in zip(gradients(keraslike.quantizers), gradients(keras.quantizers)):
        np.testing.assert_allclose(mine, its, rtol=1e-5, atol=1e-6)


CONFIGS = [
    ("Int8QuantizationConfig", {}),
    ("Int8QuantizationConfig", {"activation_quantizer": None}),
    ("Int4QuantizationConfig", {"block_size": 64}),
    ("Float8QuantizationConfig", {}),
    ("GPTQConfig", {"dataset": ["a"], "tokenizer": len, "group_size": 64, "symmetric": True}),
    ("AWQConfig", {"dataset": ["a"], "tokenizer": len, "num_grid_points": 3}),
    ("AbsMaxQuantizer", {"axis": 0, "value_range": (-8, 7)}),
]


@pytest.mark.parametrize(("name", "arguments"), CONFIGS)
def test_configurations_go_to_keras_and_back(name, arguments):
    ours, theirs = (getattr(K.quantizers, name)(**arguments) for K in (keraslike, keras))
    assert ours.get_config().keys() == theirs.get_config().keys()
    config = keraslike.saving.serialize_keras_object(ours)
    again = keras.saving.deserialize_keras_object(config)
    back = keraslike.quantizers.deserialize(keras.saving.serialize_keras_object(again))
    assert type(back) is type(ours)
    assert back.get_config() == ours.get_config()


ERRORS = [
    (lambda q: q.AbsMaxQuantizer(value_range=(-200, 127)), "value_range to be within"),
    (lambda q: q.Int4QuantizationConfig(block_size=0), "block_size must be"),
    (lambda q: q.Int4QuantizationConfig(q.AbsMaxQuantizer()), "does not support custom"),
    (lambda q: q.Int4QuantizationConfig(q.AbsMaxQuantizer(), block_size=-1), "value_range=.-8, 7"),
    (lambda q: q.Int8QuantizationConfig(q.AbsMaxQuantizer(output_dtype="int16")), "output_dtype"),
    (lambda q: q.GPTQConfig(None, None, weight_bits=5), "Unsupported weight_bits"),
    (lambda q: q.GPTQConfig(None, None, hessian_damping=2), "hessian_damping must be"),
    (lambda q: q.AWQConfig(None, None, weight_bits=8), "4-bit"),
    (lambda q: q.AWQConfig(None, None, num_samples=0), "num_samples must be"),
    (lambda q: q.AWQConfig(None, None, group_size=0), "Invalid group_size"),
    (lambda q: q.pack_int4(NIBBLES, dtype="int16"), "'int8' or 'uint8'"),
    (lambda q: q.get("typo"), "typo"),
]


@pytest.mark.parametrize(("call", "message"), ERRORS)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(keraslike.quantizers)
