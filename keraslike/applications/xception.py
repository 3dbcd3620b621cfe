"""Xception: blocks of separable convolutions with residual connections."""

from __future__ import annotations

from typing import Any

from keraslike import layers
from keraslike.applications.building import SITE, by_hash, channel_axis, constructor
from keraslike.applications.imagenet_utils import decode_predictions, preprocessing

_PAPER = (
    "Chollet, Xception: deep learning with depthwise separable convolutions, 2016, "
    "https://arxiv.org/abs/1610.02357"
)


def _normalized(x: Any, name: str | None = None) -> Any:
    return layers.BatchNormalization(axis=channel_axis(), name=name)(x)


def _separable(x: Any, filters: int, name: str) -> Any:
    x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
    return _normalized(x, f"{name}_bn")


def _body(x: Any) -> Any:
    for i, filters in enumerate((32, 64), 1):
        name = f"block1_conv{i}"
        x = layers.Conv2D(filters, 3, strides=3 - i, use_bias=False, name=name)(x)
        x = layers.Activation("relu", name=f"{name}_act")(_normalized(x, f"{name}_bn"))
    for i, filters in enumerate((128, 256, 728), 2):
        x = _reducing_block(x, i, filters, filters)
    for i in range(5, 13):
        inputs = x
        for j in range(1, 4):
            x = layers.Activation("relu", name=f"block{i}_sepconv{j}_act")(x)
            x = _separable(x, 728, f"block{i}_sepconv{j}")
        x = layers.Add()([x, inputs])
    x = _reducing_block(x, 13, 728, 1024)
    for j, filters in enumerate((1536, 2048), 1):
        x = _separable(x, filters, f"block14_sepconv{j}")
        x = layers.Activation("relu", name=f"block14_sepconv{j}_act")(x)
    return x


def _reducing_block(x: Any, i: int, first: int, second: int) -> Any:
    shortcut = layers.Conv2D(second, 1, strides=2, padding="same", use_bias=False)(x)
    shortcut = _normalized(shortcut)
    for j, filters in enumerate((first, second), 1):
        if i > 2 or j > 1:
            x = layers.Activation("relu", name=f"block{i}_sepconv{j}_act")(x)
        x = _separable(x, filters, f"block{i}_sepconv{j}")
    x = layers.MaxPooling2D(3, strides=2, padding="same", name=f"block{i}_pool")(x)
    return layers.Add()([x, shortcut])


Xception = constructor(
    "Xception",
    _PAPER,
    _body,
    by_hash(
        f"{SITE}xception/xception_weights_tf_dim_ordering_tf_kernels{{1}}.h5",
        ("0a58e3b7378bc2990ea3b43d5981f1f6", "b0042744bf5b25fce3cb969f33bebb97"),
    ),
    name="xception",
    size=299,
    min_size=71,
)

preprocess_input = preprocessing("tf")

__all__ = ["Xception", "decode_predictions", "preprocess_input"]
__dir__ = __all__.copy
