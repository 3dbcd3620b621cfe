"""The models that are timed, written once for `keras` and for `keraslike`: both are called `k`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


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


def integers(most: int, *shape: int) -> Callable[..., np.ndarray]:
    return lambda rng, n: rng.integers(0, most, (n, *shape)).astype("int32")


class Workload(NamedTuple):
    """A model, the data it is trained on, and how.

    Args:
        model: makes it, uncompiled, from `keras` or `keraslike`.
        x, y: make the data from a generator of random numbers and the number of samples.
        batch, steps, epochs: samples a step, steps an epoch, epochs a round.
        loss: Keras's name for it; logits where it is a crossentropy.
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
