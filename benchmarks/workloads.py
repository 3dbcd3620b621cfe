"""The models that are timed, written once for `keras` and for `keraslike`: both are called `k`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from generative import dcgan, vae


def chapter_mlp(k: Any) -> Any:
    """The textbook chapter's: 8-30-1."""
    return k.Sequential(
        [k.Input((8,)), k.layers.Dense(30, activation="elu"), k.layers.Dense(1)]
    )  # fmt: skip


def wide_mlp(k: Any, width: int = 1024) -> Any:
    hidden = [k.layers.Dense(width, activation="relu") for _ in range(4)]
    return k.Sequential([k.Input((width,)), *hidden, k.layers.Dense(10)])


def deep_mlp(k: Any, layers: int) -> Any:
    hidden = [k.layers.Dense(64, activation="relu") for _ in range(layers)]
    return k.Sequential([k.Input((64,)), *hidden, k.layers.Dense(10)])


def conv_net(k: Any) -> Any:
    layers = k.layers
    return k.Sequential(
        [
            k.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10),
        ]
    )


def residual_net(k: Any, blocks: int = 2) -> Any:
    layers = k.layers

    def conv(x: Any, width: int, size: int = 3, strides: int = 1) -> Any:
        x = layers.Conv2D(width, size, strides=strides, padding="same", use_bias=False)(x)
        return layers.BatchNormalization()(x)

    inputs = k.Input((32, 32, 3))
    x = layers.Activation("relu")(conv(inputs, 16))
    for stage, width in enumerate((16, 32, 64)):
        for block in range(blocks):
            strides = 2 if stage and not block else 1
            y = layers.Activation("relu")(conv(x, width, strides=strides))
            y = conv(y, width)
            if strides > 1:
                x = conv(x, width, size=1, strides=strides)
            x = layers.Activation("relu")(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return k.Model(inputs, layers.Dense(10)(x))


def separable_net(k: Any) -> Any:
    """Depthwise and pointwise convolutions, as MobileNet has them."""
    layers = k.layers

    def activated(x: Any) -> Any:
        return layers.ReLU(6.0)(layers.BatchNormalization()(x))

    inputs = k.Input((32, 32, 3))
    x = activated(layers.Conv2D(32, 3, padding="same", use_bias=False)(inputs))
    for width, strides in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1)):
        x = layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False)(x)
        x = activated(x)
        x = activated(layers.Conv2D(width, 1, use_bias=False)(x))
    return k.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def lstm(k: Any) -> Any:
    layers = k.layers
    return k.Sequential(
        [k.Input((80,)), layers.Embedding(20_000, 128), layers.LSTM(64), layers.Dense(1)]
    )  # fmt: skip


def bidirectional_gru(k: Any) -> Any:
    layers = k.layers
    both = layers.Bidirectional(layers.GRU(48))
    return k.Sequential([k.Input((64, 32)), both, layers.Dense(10)])


def transformer(k: Any, width: int = 64, heads: int = 4) -> Any:
    layers = k.layers
    inputs = k.Input((128,))
    x = layers.Embedding(20_000, width)(inputs)
    for _ in range(2):
        y = layers.MultiHeadAttention(heads, width // heads, dropout=0.1)(x, x)
        x = layers.LayerNormalization(epsilon=1e-6)(layers.Add()([x, y]))
        y = layers.Dense(4 * width, activation="relu")(x)
        y = layers.Dropout(0.1)(layers.Dense(width)(y))
        x = layers.LayerNormalization(epsilon=1e-6)(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling1D()(x)
    return k.Model(inputs, layers.Dense(2)(x))


def numbers(*shape: int) -> Callable[..., np.ndarray]:
    return lambda rng, n: rng.normal(size=(n, *shape)).astype("float32")


def uniform(*shape: int) -> Callable[..., np.ndarray]:
    return lambda rng, n: rng.uniform(size=(n, *shape)).astype("float32")


def integers(most: int, *shape: int) -> Callable[..., np.ndarray]:
    return lambda rng, n: rng.integers(0, most, (n, *shape)).astype("int32")


class Workload(NamedTuple):
    """A model, the data it is trained on, and how.

    Args:
        model: makes it, uncompiled, from `keras` or `keraslike`.
        x, y: make the data from a generator of random numbers and the number of samples.
        batch, steps, epochs: samples a step, steps an epoch, epochs a round.
        loss: Keras's name for it; logits where it is a crossentropy; `"own"` where the model has
            a training step of its own.
    """

    model: Callable[[Any], Any]
    x: Callable[..., np.ndarray]
    y: Callable[..., np.ndarray]
    batch: int
    steps: int
    epochs: int
    loss: str = "sparse_categorical_crossentropy"
    optimizer: str = "adam"
    metric: str = "sparse_categorical_accuracy"

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(0)
        n = self.batch * self.steps
        return self.x(rng, n), self.y(rng, n)

    def compiled(self, k: Any, **options: Any) -> Any:
        model = self.model(k)
        loss: Any = self.loss
        if model is None:
            return None
        if loss == "own":
            model.compile(optimizer=self.optimizer, **options)
            return model
        if loss == "sparse_categorical_crossentropy":
            loss = k.losses.SparseCategoricalCrossentropy(from_logits=True)
        elif loss == "binary_crossentropy":
            loss = k.losses.BinaryCrossentropy(from_logits=True)
        model.compile(loss=loss, optimizer=self.optimizer, metrics=[self.metric], **options)
        return model


_REGRESSION: dict[str, Any] = {"loss": "mse", "metric": "mae"}

WORKLOADS = {
    "chapter's MLP 8-30-1": Workload(
        chapter_mlp, numbers(8), numbers(), 32, 500, 20, optimizer="nadam", **_REGRESSION
    ),
    "the same, 10 times the data": Workload(
        chapter_mlp, numbers(8), numbers(), 32, 5000, 2, optimizer="nadam", **_REGRESSION
    ),
    "10 layers of 64": Workload(
        functools.partial(deep_mlp, layers=10), numbers(64), integers(10), 64, 50, 2
    ),
    "100 layers of 64": Workload(
        functools.partial(deep_mlp, layers=100), numbers(64), integers(10), 64, 50, 2
    ),
    "MLP 1024x4": Workload(wide_mlp, numbers(1024), integers(10), 256, 8, 2),
    "conv 32-64": Workload(conv_net, numbers(28, 28, 1), integers(10), 128, 6, 1),
    "embedding, LSTM 64": Workload(
        lstm, integers(20_000, 80), numbers(1), 32, 30, 2, **_REGRESSION
    ),
    "transformer, 2 blocks": Workload(transformer, integers(20_000, 128), integers(2), 32, 6, 1),
    "residual net": Workload(residual_net, numbers(32, 32, 3), integers(10), 32, 6, 1),
    "residual net, 3 blocks a stage": Workload(
        functools.partial(residual_net, blocks=3), numbers(32, 32, 3), integers(10), 32, 6, 1
    ),
    "depthwise-separable net": Workload(separable_net, numbers(32, 32, 3), integers(10), 32, 6, 1),
    "bidirectional GRU 48": Workload(bidirectional_gru, numbers(64, 32), integers(10), 32, 30, 2),
}  # fmt: skip


# -- larger models, of which there is no form by hand ------------------------------------------


def decoder(k: Any, width: int = 384, heads: int = 6, layers: int = 12, tokens: int = 256) -> Any:
    """A language model with a causal mask, normalization first."""
    inputs = k.Input((tokens,))
    x = k.layers.Embedding(8_000, width)(inputs)
    for _ in range(layers):
        y = k.layers.LayerNormalization()(x)
        y = k.layers.MultiHeadAttention(heads, width // heads)(y, y, use_causal_mask=True)
        x = k.layers.Add()([x, y])
        y = k.layers.Dense(4 * width, activation="gelu")(k.layers.LayerNormalization()(x))
        x = k.layers.Add()([x, k.layers.Dense(width)(y)])
    return k.Model(inputs, k.layers.Dense(8_000)(k.layers.LayerNormalization()(x)))


def u_net(k: Any, size: int = 128, width: int = 16, levels: int = 4) -> Any:
    def twice(x: Any, filters: int) -> Any:
        for _ in range(2):
            x = k.layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
            x = k.layers.Activation("relu")(k.layers.BatchNormalization()(x))
        return x

    inputs = x = k.Input((size, size, 3))
    seen = []
    for level in range(levels):
        seen.append(twice(x, width << level))
        x = k.layers.MaxPooling2D(2)(seen[-1])
    x = twice(x, width << levels)
    for level in reversed(range(levels)):
        x = k.layers.Conv2DTranspose(width << level, 2, strides=2)(x)
        x = twice(k.layers.Concatenate()([x, seen[level]]), width << level)
    return k.Model(inputs, k.layers.Conv2D(2, 1)(x))


def wide_and_deep(k: Any, fields: int = 26, rows: int = 10_000, width: int = 16) -> Any:
    """An embedding for each field of categories, and numbers beside them, all in one array."""
    inputs = k.Input((fields,))
    columns = [inputs[:, i] for i in range(fields)]
    deep = k.layers.Concatenate()([k.layers.Embedding(rows, width)(c) for c in columns])
    for units in (256, 128):
        deep = k.layers.Dense(units, activation="relu")(deep)
    wide = k.layers.Add()([k.layers.Embedding(rows, 1)(c) for c in columns])
    return k.Model(inputs, k.layers.Add()([wide, k.layers.Dense(1)(deep)]))


def conv_lstm(k: Any) -> Any:
    layers = k.layers
    return k.Sequential(
        [
            k.Input((10, 32, 32, 1)),
            layers.ConvLSTM2D(16, 3, padding="same", return_sequences=True),
            layers.BatchNormalization(),
            layers.ConvLSTM2D(16, 3, padding="same"),
            layers.Conv2D(1, 3, padding="same"),
        ]
    )


LARGER = {
    "decoder, 12 layers of 384": Workload(
        decoder, integers(8_000, 256), integers(8_000, 256), 2, 2, 1
    ),
    "U-Net 128": Workload(u_net, numbers(128, 128, 3), integers(2, 128, 128), 4, 2, 1),
    "wide and deep, 26 embeddings": Workload(
        wide_and_deep, integers(10_000, 26), numbers(1), 256, 20, 1, **_REGRESSION
    ),
    "ConvLSTM, 2 layers": Workload(
        conv_lstm, numbers(10, 32, 32, 1), numbers(32, 32, 1), 8, 3, 1, **_REGRESSION
    ),
    "ResNet-50, 224": Workload(
        lambda k: k.applications.ResNet50(weights=None, classes=10, classifier_activation=None),
        numbers(224, 224, 3), integers(10), 8, 2, 1,
    ),
    "EfficientNet-B0, 224": Workload(
        lambda k: k.applications.EfficientNetB0(
            weights=None, classes=10, classifier_activation=None
        ),
        numbers(224, 224, 3), integers(10), 8, 2, 1,
    ),
    "VAE": Workload(vae, uniform(28, 28, 1), numbers(1), 128, 8, 1, loss="own"),
    "DCGAN 64": Workload(dcgan, uniform(64, 64, 3), numbers(1), 32, 2, 1, loss="own"),
}  # fmt: skip
EVERY = WORKLOADS | LARGER
