"""Layers that are timed alone, forward and backward: made from `keras` or `keraslike`, called `k`.

Each is one compiled function: from weights and inputs to the output in training, and the gradients
of the sum of the output's products with fixed numbers, by the weights and by an input of floats.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Alone(NamedTuple):
    """A layer, the shape of its input, and how it is called."""

    make: Callable[[Any], Any]
    shape: tuple[int, ...]
    call: Callable[..., Any] = lambda layer, x, **options: layer(x, **options)
    indices: int = 0  # the input is of integers below this


def _itself(layer: Any, x: Any, **options: Any) -> Any:
    return layer(x, x, **options)


def _listed(layer: Any, x: Any, **options: Any) -> Any:
    return layer([x, x], **options)


_IMAGE, _WIDE, _WORDS = (32, 28, 28, 32), (16, 32, 32, 64), (32, 64, 64)

LAYERS = {
    "Dense 512": Alone(lambda k: k.layers.Dense(512, activation="relu"), (256, 512)),
    "Dense 256, 3 axes": Alone(lambda k: k.layers.Dense(256), (32, 128, 64)),
    "EinsumDense": Alone(
        lambda k: k.layers.EinsumDense("abc,cde->abde", (None, 4, 16)), (32, 128, 64)
    ),
    "Embedding": Alone(lambda k: k.layers.Embedding(5000, 64), (32, 100), indices=5000),
    "Conv1D": Alone(lambda k: k.layers.Conv1D(64, 5, padding="same"), (32, 128, 32)),
    "Conv2D, 1 channel": Alone(lambda k: k.layers.Conv2D(32, 3), (64, 28, 28, 1)),
    "Conv2D": Alone(lambda k: k.layers.Conv2D(64, 3, padding="same"), _IMAGE),
    "Conv2D, strides 2": Alone(lambda k: k.layers.Conv2D(64, 3, 2, padding="same"), _IMAGE),
    "Conv2D, dilated": Alone(
        lambda k: k.layers.Conv2D(32, 3, padding="same", dilation_rate=2), _IMAGE
    ),
    "Conv2D, 4 groups": Alone(lambda k: k.layers.Conv2D(64, 3, padding="same", groups=4), _IMAGE),
    "Conv2D, fewer filters": Alone(lambda k: k.layers.Conv2D(16, 3), _IMAGE),
    "Conv2D, 2 x 2": Alone(lambda k: k.layers.Conv2D(512, 3, padding="same"), (32, 2, 2, 512)),
    "Conv3D": Alone(lambda k: k.layers.Conv3D(16, 3, padding="same"), (4, 16, 16, 16, 8)),
    "Conv2DTranspose": Alone(
        lambda k: k.layers.Conv2DTranspose(32, 4, 2, padding="same"), (16, 14, 14, 64)
    ),
    "Conv2DTranspose, strides 1": Alone(lambda k: k.layers.Conv2DTranspose(64, 3), _IMAGE),
    "DepthwiseConv2D": Alone(lambda k: k.layers.DepthwiseConv2D(3, padding="same"), _WIDE),
    "SeparableConv2D": Alone(lambda k: k.layers.SeparableConv2D(64, 3, padding="same"), _WIDE),
    "MaxPooling2D": Alone(lambda k: k.layers.MaxPooling2D(2), _WIDE),
    "AveragePooling2D": Alone(lambda k: k.layers.AveragePooling2D(2), _WIDE),
    "GlobalAveragePooling2D": Alone(lambda k: k.layers.GlobalAveragePooling2D(), _WIDE),
    "BatchNormalization": Alone(lambda k: k.layers.BatchNormalization(), _WIDE),
    "LayerNormalization": Alone(lambda k: k.layers.LayerNormalization(), (32, 128, 64)),
    "Dropout": Alone(lambda k: k.layers.Dropout(0.5), (256, 1024)),
    "UpSampling2D": Alone(lambda k: k.layers.UpSampling2D(2), (16, 16, 16, 64)),
    "SimpleRNN": Alone(lambda k: k.layers.SimpleRNN(64), _WORDS),
    "LSTM": Alone(lambda k: k.layers.LSTM(64), _WORDS),
    "GRU": Alone(lambda k: k.layers.GRU(64, return_sequences=True), _WORDS),
    "Bidirectional LSTM": Alone(lambda k: k.layers.Bidirectional(k.layers.LSTM(32)), _WORDS),
    "ConvLSTM2D": Alone(lambda k: k.layers.ConvLSTM2D(16, 3, padding="same"), (8, 10, 16, 16, 8)),
    "MultiHeadAttention": Alone(lambda k: k.layers.MultiHeadAttention(4, 16), _WORDS, _itself),
    "Attention": Alone(lambda k: k.layers.Attention(), _WORDS, _listed),
    "AdditiveAttention": Alone(lambda k: k.layers.AdditiveAttention(), (8, 64, 64), _listed),
}


def timed(name: str, k: Any) -> Callable[[], Any] | None:
    """Runs the layer once and waits for all results; `k` is `None` for the layer by hand, which not
    every layer has."""
    return _by_hand(name, _inputs(LAYERS[name])) if k is None else compiled(LAYERS[name], k)


def _inputs(alone: Alone) -> Any:
    rng = np.random.default_rng(0)
    if alone.indices:
        return rng.integers(0, alone.indices, alone.shape).astype("int32")
    return rng.normal(size=alone.shape).astype("float32")


def compiled(alone: Alone, k: Any) -> Callable[[], Any]:
    """The same for any layer that `k` makes."""
    x = _inputs(alone)
    layer = alone.make(k)
    cotangent = _cotangent(alone.call(layer, x))
    takes = "training" in inspect.signature(layer.call).parameters
    mode: dict[str, Any] = {"training": True} if takes else {}
    if k.__name__ == "keras" and k.backend.backend() == "tensorflow":
        return _tensorflow(alone, layer, x, cotangent, mode)
    if k.__name__ == "keras":
        weights = [v.value for v in layer.trainable_variables]
        others = [v.value for v in layer.non_trainable_variables]
        options = None

        def outputs(weights: Any, others: Any, x: Any) -> Any:
            stateless = functools.partial(layer.stateless_call, weights, others)
            return alone.call(stateless, x, **mode)

    else:
        from keraslike.core import base, compilation, lowering
        from keraslike.core import rng as streams

        trained = layer.trainable_variables
        rest = [v for v in base.variables_of(layer, streams.global_stream())
                if not any(v is t for t in trained)]  # fmt: skip
        weights, others = lowering.values_of(trained), lowering.values_of(rest)
        options = compilation.compiler_options()
        pure = lowering.lower(lambda x: alone.call(layer, x, **mode), [*trained, *rest], [layer])

        def outputs(weights: Any, others: Any, x: Any) -> Any:
            out, new = pure([*weights, *others], x)
            return out, new[len(weights) :]

    return _jitted(alone, outputs, (weights, x, others, cotangent), options)


def _cotangent(out: Any) -> np.ndarray:
    return np.random.default_rng(1).normal(size=np.shape(out)).astype("float32")


def _jitted(alone: Alone, outputs: Callable, arrays: tuple, options: Any) -> Callable[[], Any]:
    import jax

    def total(weights: Any, x: Any, others: Any, cotangent: Any) -> Any:
        out, new = outputs(weights, others, x)
        return (out * cotangent).sum(), (out, new)

    by = 0 if alone.indices else (0, 1)
    program = jax.jit(jax.value_and_grad(total, by, has_aux=True), compiler_options=options)
    arrays = jax.device_put(arrays)
    return lambda: jax.block_until_ready(program(*arrays))


def _by_hand(name: str, x: np.ndarray) -> Callable[[], Any] | None:
    import by_hand
    import jax
    from layers_by_hand import LAYERS as FUNCTIONS

    if name not in FUNCTIONS:
        return None
    function, made, key = FUNCTIONS[name], by_hand.Weights(), jax.random.key(0)
    cotangent = _cotangent(function(made, jax.numpy.asarray(x), key))

    def outputs(weights: Any, key: Any, x: Any) -> Any:
        w = by_hand.Weights(weights)
        return function(w, x, key), w.moving

    return _jitted(LAYERS[name], outputs, (made.made, x, key, cotangent), None)


def _tensorflow(
    alone: Alone, layer: Any, x: Any, cotangent: Any, mode: dict[str, Any]
) -> Callable[[], Any]:
    import tensorflow as tf

    x, cotangent = tf.constant(x), tf.constant(cotangent)

    @tf.function
    def program(x: Any, cotangent: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            out = alone.call(layer, x, **mode)
            total = tf.reduce_sum(out * cotangent)
        weights = [v.value for v in layer.trainable_variables]
        return out, tape.gradient(total, weights if alone.indices else [*weights, x])

    return lambda: program(x, cotangent)  # which returns when it is done
