"""EfficientNet: width, depth and image size are scaled together."""

from __future__ import annotations

import math
from typing import Any

from keraslike import layers
from keraslike.applications.building import (
    by_hash,
    channel_axis,
    constructor,
    divisible,
    padding_before_strides,
    pooled_by_name,
)
from keraslike.applications.imagenet_utils import decode_predictions, preprocessing
from keraslike.initializers import VarianceScaling

_PAPER = (
    "Tan and Le, EfficientNet: rethinking model scaling for convolutional neural networks, 2019, "
    "https://arxiv.org/abs/1905.11946"
)
_HASHES = {
    "0": ("902e53a9f72be733fc0bcb005b3ebbac", "50bc09e76180e00e4465e1a485ddc09d"),
    "1": ("1d254153d4ab51201f1646940f018540", "74c4e6b3e1f6a1eea24c589628592432"),
    "2": ("b15cce36ff4dcbd00b6dd88e7857a6ad", "111f8e2ac8aa800a7a99e3239f7bfb39"),
    "3": ("ffd1fdc53d0ce67064dc6a9c7960ede0", "af6d107764bb5b1abb91932881670226"),
    "4": ("18c95ad55216b8f92d7e70b3a046e2fc", "ebc24e6d6c33eaebbd558eafbeedf1ba"),
    "5": ("ace28f2a6363774853a83a0b21b9421a", "38879255a25d3c92d5e44e04ae6cec6f"),
    "6": ("165f6e37dce68623721b423839de8be5", "9ecce42647a20130c1f39a5d4cb75743"),
    "7": ("8c03f828fec3ef71311cd463b6759d99", "cbcfe4450ddf6f3ad90b1b398090fe4a"),
}
_STAGES = (  # kernel, repeats, filters in, filters out, expansion, strides
    (3, 1, 32, 16, 1, 1),
    (3, 2, 16, 24, 6, 2),
    (5, 2, 24, 40, 6, 2),
    (3, 3, 40, 80, 6, 2),
    (5, 3, 80, 112, 6, 1),
    (5, 4, 112, 192, 6, 2),
    (3, 1, 192, 320, 6, 1),
)
_DEVIATIONS = (0.229, 0.224, 0.225)


def initial() -> VarianceScaling:
    """For convolutions."""
    return VarianceScaling(2.0, "fan_out", "truncated_normal")


def normalized(x: Any, name: str, **options: Any) -> Any:
    return layers.BatchNormalization(axis=channel_axis(), name=f"{name}bn", **options)(x)


def active(x: Any, name: str) -> Any:
    return layers.Activation("swish", name=f"{name}activation")(x)


def conv(x: Any, filters: int, name: str, kernel_size: int = 1, **options: Any) -> Any:
    """A convolution with `"same"` padding; without a bias by default."""
    options = {"padding": "same", "use_bias": False} | options
    return layers.Conv2D(filters, kernel_size, kernel_initializer=initial(), name=name, **options)(
        x
    )


def weighted(x: Any, filters: int, narrow: int, name: str) -> Any:
    """Squeeze and excitation: channels scaled by weights that depend on their means."""
    weights = layers.GlobalAveragePooling2D(name=f"{name}se_squeeze")(x)
    shape = (filters, 1, 1) if channel_axis() == 1 else (1, 1, filters)
    weights = layers.Reshape(shape, name=f"{name}se_reshape")(weights)
    weights = conv(weights, narrow, f"{name}se_reduce", activation="swish", use_bias=True)
    weights = conv(weights, filters, f"{name}se_expand", activation="sigmoid", use_bias=True)
    return layers.Multiply(name=f"{name}se_excite")([x, weights])


def added(x: Any, inputs: Any, rate: float, name: str) -> Any:
    """Adds a block's result to its inputs; in training it is dropped at random."""
    if rate > 0:
        x = layers.Dropout(rate, noise_shape=(None, 1, 1, 1), name=f"{name}drop")(x)
    return layers.Add(name=f"{name}add")([x, inputs])


def top(x: Any, classes: int, activation: Any, dropout_rate: float) -> Any:
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    if dropout_rate > 0:
        x = layers.Dropout(dropout_rate, name="top_dropout")(x)
    initializer = VarianceScaling(1 / 3, "fan_out", "uniform")
    return layers.Dense(
        classes, activation=activation, kernel_initializer=initializer, name="predictions"
    )(x)


def _body(
    x: Any, variant: str, width: float, depth: float, dropout_rate: float, weights: Any
) -> Any:
    x = layers.Normalization(axis=channel_axis())(layers.Rescaling(1 / 255)(x))
    if weights == "imagenet":  # They were trained with a wrong scale.
        x = layers.Rescaling([1 / math.sqrt(d) for d in _DEVIATIONS])(x)
    x = layers.ZeroPadding2D(padding_before_strides(x, 3), name="stem_conv_pad")(x)
    x = conv(x, divisible(32 * width), "stem_conv", 3, strides=2, padding="valid")
    x = active(normalized(x, "stem_"), "stem_")
    repeats = [math.ceil(depth * stage[1]) for stage in _STAGES]
    done = 0
    for i, (kernel_size, _, before, after, expansion, strides) in enumerate(_STAGES):
        for j in range(repeats[i]):
            x = _block(
                x,
                divisible((after if j else before) * width),
                divisible(after * width),
                kernel_size,
                1 if j else strides,
                expansion,
                0.2 * done / sum(repeats),
                f"block{i + 1}{chr(ord('a') + j)}_",
            )
            done += 1
    x = conv(x, divisible(1280 * width), "top_conv")
    return active(normalized(x, "top_"), "top_")


def _block(
    inputs: Any,
    before: int,
    after: int,
    kernel_size: int,
    strides: int,
    expansion: int,
    rate: float,
    name: str,
) -> Any:
    x, filters = inputs, before * expansion
    if expansion != 1:
        x = conv(x, filters, f"{name}expand_conv")
        x = active(normalized(x, f"{name}expand_"), f"{name}expand_")
    if strides == 2:
        padding = padding_before_strides(x, kernel_size)
        x = layers.ZeroPadding2D(padding, name=f"{name}dwconv_pad")(x)
    x = layers.DepthwiseConv2D(
        kernel_size,
        strides=strides,
        padding="same" if strides == 1 else "valid",
        use_bias=False,
        depthwise_initializer=initial(),
        name=f"{name}dwconv",
    )(x)
    x = active(normalized(x, name), name)
    x = weighted(x, filters, max(1, before // 4), name)
    x = normalized(conv(x, after, f"{name}project_conv"), f"{name}project_")
    return added(x, inputs, rate, name) if strides == 1 and before == after else x


def _efficientnet(variant: str, width: float, depth: float, size: int, dropout_rate: float) -> Any:
    return constructor(
        f"EfficientNetB{variant}",
        _PAPER,
        _body,
        by_hash(
            "https://storage.googleapis.com/keras-applications/efficientnetb{0}{1}.h5", _HASHES
        ),
        name=f"efficientnetb{variant}",
        size=size,
        top=top,
        end=pooled_by_name,
        variant=variant,
        width=width,
        depth=depth,
        dropout_rate=dropout_rate,
    )


EfficientNetB0 = _efficientnet("0", 1.0, 1.0, 224, 0.2)
EfficientNetB1 = _efficientnet("1", 1.0, 1.1, 240, 0.2)
EfficientNetB2 = _efficientnet("2", 1.1, 1.2, 260, 0.3)
EfficientNetB3 = _efficientnet("3", 1.2, 1.4, 300, 0.3)
EfficientNetB4 = _efficientnet("4", 1.4, 1.8, 380, 0.4)
EfficientNetB5 = _efficientnet("5", 1.6, 2.2, 456, 0.4)
EfficientNetB6 = _efficientnet("6", 1.8, 2.6, 528, 0.5)
EfficientNetB7 = _efficientnet("7", 2.0, 3.1, 600, 0.5)

preprocess_input = preprocessing(None)

__all__ = [
    "EfficientNetB0",
    "EfficientNetB1",
    "EfficientNetB2",
    "EfficientNetB3",
    "EfficientNetB4",
    "EfficientNetB5",
    "EfficientNetB6",
    "EfficientNetB7",
    "decode_predictions",
    "preprocess_input",
]
__dir__ = __all__.copy
