"""MobileNetV3: from an architecture search, with hard swish and squeeze-and-excitation."""

from __future__ import annotations

from typing import Any

from keraslike import layers
from keraslike.applications.building import (
    SITE,
    channel_axis,
    constructor,
    divisible,
    padding_before_strides,
    pooled_by_name,
)
from keraslike.applications.imagenet_utils import decode_predictions, preprocessing
from keraslike.applications.mobilenet_v2 import normalized

_PAPER = "Howard et al., Searching for MobileNetV3, 2019, https://arxiv.org/abs/1905.02244"
_HASHES = {
    "large_224_0.75": ("765b44a33ad4005b3ac83185abf1d0eb", "40af19a13ebea4e2ee0c676887f69a2e"),
    "large_224_1.0": ("59e551e166be033d707958cf9e29a6a7", "07fb09a5933dd0c8eaafa16978110389"),
    "large_minimalistic_224_1.0": (
        "675e7b876c45c57e9e63e6d90a36599c",
        "ec5221f64a2f6d1ef965a614bdae7973",
    ),
    "small_224_0.75": ("cb65d4e5be93758266aa0a7f2c6708b7", "ebdb5cc8e0b497cd13a7c275d475c819"),
    "small_224_1.0": ("8768d4c2e7dee89b9d02b2d03d65d862", "d3e8ec802a04aa4fc771ee12a9a9b836"),
    "small_minimalistic_224_1.0": (
        "99cd97fb2fcdad2bf028eb838de69e37",
        "cde8136e733e811080d9fcd8a252f7e4",
    ),
}
# Expansion, filters, whether the kernel is large, strides, squeeze and excitation, hard swish.
_BLOCKS = {
    "small": (
        (1, 16, False, 2, True, False),
        (72 / 16, 24, False, 2, False, False),
        (88 / 24, 24, False, 1, False, False),
        (4, 40, True, 2, True, True),
        *((6, 40, True, 1, True, True),) * 2,
        *((3, 48, True, 1, True, True),) * 2,
        (6, 96, True, 2, True, True),
        *((6, 96, True, 1, True, True),) * 2,
    ),
    "large": (
        (1, 16, False, 1, False, False),
        (4, 24, False, 2, False, False),
        (3, 24, False, 1, False, False),
        (3, 40, True, 2, True, False),
        *((3, 40, True, 1, True, False),) * 2,
        (6, 80, False, 2, False, True),
        (2.5, 80, False, 1, False, True),
        *((2.3, 80, False, 1, False, True),) * 2,
        *((6, 112, False, 1, True, True),) * 2,
        (6, 160, True, 2, True, True),
        *((6, 160, True, 1, True, True),) * 2,
    ),
}


def _active(x: Any, swish: bool) -> Any:
    return (layers.Activation("hard_swish") if swish else layers.ReLU())(x)


def _conv(x: Any, filters: int, name: str, use_bias: bool = False) -> Any:
    return layers.Conv2D(filters, 1, padding="same", use_bias=use_bias, name=name)(x)


def _body(
    x: Any,
    variant: str,
    alpha: float,
    minimalistic: bool,
    include_preprocessing: bool,
    dropout_rate: float,
) -> Any:
    if include_preprocessing:
        x = layers.Rescaling(1 / 127.5, offset=-1.0)(x)
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False, name="conv")(x)
    x = _active(normalized(x, "conv_bn"), not minimalistic)
    for i, (expansion, filters, large, strides, weighted, swish) in enumerate(_BLOCKS[variant]):
        x = _block(
            x,
            divisible(x.shape[channel_axis()] * expansion),
            divisible(filters * alpha),
            5 if large and not minimalistic else 3,
            strides,
            weighted and not minimalistic,
            swish and not minimalistic,
            i,
        )
    x = _conv(x, divisible(x.shape[channel_axis()] * 6), "conv_1")
    return _active(normalized(x, "conv_1_bn"), not minimalistic)


def _block(
    inputs: Any,
    wide: int,
    filters: int,
    kernel_size: int,
    strides: int,
    weighted: bool,
    swish: bool,
    i: int,
) -> Any:
    x, name = inputs, f"expanded_conv_{i}_" if i else "expanded_conv_"
    if i:
        x = _active(normalized(_conv(x, wide, f"{name}expand"), f"{name}expand_bn"), swish)
    if strides == 2:
        padding = padding_before_strides(x, kernel_size)
        x = layers.ZeroPadding2D(padding, name=f"{name}depthwise_pad")(x)
    x = layers.DepthwiseConv2D(
        kernel_size,
        strides=strides,
        padding="same" if strides == 1 else "valid",
        use_bias=False,
        name=f"{name}depthwise",
    )(x)
    x = _active(normalized(x, f"{name}depthwise_bn"), swish)
    if weighted:
        x = _weighted(x, wide, f"{name}squeeze_excite_")
    x = normalized(_conv(x, filters, f"{name}project"), f"{name}project_bn")
    if strides == 1 and inputs.shape[channel_axis()] == filters:
        x = layers.Add(name=f"{name}add")([inputs, x])
    return x


def _weighted(x: Any, filters: int, name: str) -> Any:
    weights = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}avg_pool")(x)
    weights = _conv(weights, divisible(filters / 4), f"{name}conv", use_bias=True)
    weights = layers.ReLU(name=f"{name}relu")(weights)
    weights = _conv(weights, filters, f"{name}conv_1", use_bias=True)
    weights = layers.ReLU(6.0)(weights + 3.0) * (1.0 / 6.0)
    return layers.Multiply(name=f"{name}mul")([x, weights])


def _top(
    x: Any,
    classes: int,
    activation: Any,
    variant: str,
    alpha: float,
    minimalistic: bool,
    dropout_rate: float,
) -> Any:
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    width = {"small": 1024, "large": 1280}[variant]
    width = divisible(width * alpha) if alpha > 1 else width
    x = _active(_conv(x, width, "conv_2", use_bias=True), not minimalistic)
    if dropout_rate > 0:
        x = layers.Dropout(dropout_rate)(x)
    x = layers.Flatten()(_conv(x, classes, "logits", use_bias=True))
    return layers.Activation(activation, name="predictions")(x)


def _variant(variant: str, alpha: float, minimalistic: bool) -> str:
    return f"{variant}{'_minimalistic' if minimalistic else ''}_224_{float(alpha)}"


def _weights(
    include_top: bool, size: Any, variant: str, alpha: float, minimalistic: bool, **_: Any
) -> tuple[str, str]:
    name = _variant(variant, alpha, minimalistic)
    end = "" if include_top else "_no_top_v2"
    address = f"{SITE}mobilenet_v3/weights_mobilenet_v3_{name}_float{end}.h5"
    return address, _HASHES[name][0 if include_top else 1]


def _check(weights: Any, variant: str, alpha: float, minimalistic: bool, **_: Any) -> None:
    if weights == "imagenet" and _variant(variant, alpha, minimalistic) not in _HASHES:
        raise ValueError(
            "ImageNet's weights are for alpha 0.75 or 1.0, and 1.0 if minimalistic, not "
            f"alpha={alpha}, minimalistic={minimalistic}"
        )


def _mobilenet(variant: str) -> Any:
    title = f"MobileNetV3{variant.capitalize()}"
    return constructor(
        title,
        _PAPER,
        _body,
        _weights,
        name=title,
        size=None,
        top=_top,
        end=pooled_by_name,
        check=_check,
        arguments={
            "input_shape": None,
            "alpha": 1.0,
            "minimalistic": False,
            "include_top": True,
            "weights": "imagenet",
            "input_tensor": None,
            "classes": 1000,
            "pooling": None,
            "dropout_rate": 0.2,
            "classifier_activation": "softmax",
            "include_preprocessing": True,
        },
        variant=variant,
    )


MobileNetV3Small, MobileNetV3Large = _mobilenet("small"), _mobilenet("large")

preprocess_input = preprocessing(None)

__all__ = ["decode_predictions", "preprocess_input"]
__dir__ = __all__.copy
