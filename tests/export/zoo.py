"""Twelve small models of the kinds that people export, each with numbers that are not its first."""

import numpy as np

import keraslike as keras
from keraslike import layers, ops


class Scaling(layers.Layer):
    """A layer of one's own."""

    def build(self, input_shape):
        self.scale = self.add_weight((input_shape[-1],), "ones", name="scale")

    def call(self, x):
        return x * self.scale


def softened(x):
    return x / (1 + ops.abs(x))


def mlp():
    return keras.Sequential(
        [keras.Input((8,)), layers.Dense(16, activation="relu"), layers.Dense(3)]
    )


def convolution():
    return keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            layers.Conv2D(8, 3, activation="relu", padding="same"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(3, activation="softmax"),
        ]
    )


def lstm():
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(20, 8, mask_zero=True),
            layers.LSTM(8),
            layers.Dense(2),
        ]
    )


def transformer():
    x = inputs = keras.Input((6, 8))
    x = layers.Add()([x, layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True)])
    x = layers.LayerNormalization()(x)
    x = layers.Add()([x, layers.Dense(8)(layers.Dense(16, activation="gelu")(x))])
    return keras.Model(inputs, layers.GlobalAveragePooling1D()(x))


def residual():
    x = inputs = keras.Input((8, 8, 4))
    for strides in (1, 2):
        y = layers.Conv2D(4, 3, strides=strides, padding="same", use_bias=False)(x)
        y = layers.Activation("relu")(layers.BatchNormalization()(y))
        x = layers.Add()([y, x if strides == 1 else layers.Conv2D(4, 1, strides=2)(x)])
    return keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))


def separable():
    return keras.Sequential(
        [
            keras.Input((10, 10, 3)),
            layers.SeparableConv2D(6, 3, activation="relu6"),
            layers.DepthwiseConv2D(3, strides=2, padding="same"),
            layers.AveragePooling2D(2),
            layers.GlobalMaxPooling2D(),
        ]
    )


def bidirectional():
    return keras.Sequential(
        [
            keras.Input((None, 4)),
            layers.Bidirectional(layers.GRU(6, return_sequences=True)),
            layers.Dense(2),
        ]
    )


def unet():
    inputs = keras.Input((8, 8, 1))
    high = layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    low = layers.Conv2D(8, 3, padding="same", activation="relu")(layers.MaxPooling2D(2)(high))
    up = layers.Conv2DTranspose(4, 3, strides=2, padding="same")(low)
    x = layers.Concatenate()([up, high])
    return keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid")(x))


def several_inputs():
    a, b = keras.Input((3,), name="a"), keras.Input((2,), dtype="int32", name="b")
    x = layers.Concatenate()([a, layers.Flatten()(layers.Embedding(10, 4)(b))])
    x = layers.Dense(4, activation="relu")(x)
    return keras.Model({"a": a, "b": b}, {"p": layers.Dense(1)(x), "q": layers.Dense(2)(x)})


def custom():
    return keras.Sequential(
        [keras.Input((4,)), layers.Dense(5, activation=softened), Scaling(), layers.Dense(2)]
    )


def masked():
    tokens = keras.Input((7,), dtype="int32")
    x = layers.Embedding(12, 8, mask_zero=True)(tokens)
    x = layers.LayerNormalization()(layers.MultiHeadAttention(2, 4)(x, x))
    return keras.Model(tokens, layers.GlobalAveragePooling1D()(x))


def int8():
    model = mlp()
    model.quantize("int8")
    return model


MODELS = {
    "MLP": mlp,
    "convolution, batch norm": convolution,
    "LSTM": lstm,
    "transformer": transformer,
    "residual net": residual,
    "separable convolutions": separable,
    "bidirectional GRU": bidirectional,
    "U-Net": unet,
    "several inputs, embeddings": several_inputs,
    "custom layer and activation": custom,
    "attention with masks": masked,
    "int8": int8,
}


def made(name):
    """A model of the zoo, whose batch norms and biases are not what they began with."""
    model, numbers = MODELS[name](), np.random.default_rng(0)
    for v in model.weights:
        if v.dtype == "float32" and name != "int8":
            v.assign(v + 0.1 * np.abs(numbers.normal(size=v.shape)))
    return model


def inputs_for(model, count):
    """Data for so many samples."""
    numbers = np.random.default_rng(count)

    def data(tensor):
        shape = (count, *(5 if n is None else n for n in tensor.shape[1:]))
        if tensor.dtype == "int32":
            return numbers.integers(0, 10, shape).astype("int32")
        return numbers.normal(size=shape).astype("float32")

    given = model.input
    return {k: data(t) for k, t in given.items()} if isinstance(given, dict) else data(given)
