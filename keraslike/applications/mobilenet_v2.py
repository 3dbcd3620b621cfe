"""MobileNetV2: inverted residual blocks with linear bottlenecks."""

from __future__ import annotations

import functools
from typing import Any

from keraslike import layers
from keraslike.applications.building import (
    ARGUMENTS,
    SITE,
    channel_axis,
    constructor,
    dense_top,
    divisible,
    padding_before_strides,
)
from keraslike.applications.imagenet_utils import decode_predictions, preprocessing

_PAPER = (
    "Sandler et al., MobileNetV2: inverted residuals and linear bottlenecks, 2018, "
    "https://arxiv.org/abs/1801.04381"
)
_ALPHAS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
_BLOCKS = (  # filters, strides
    *((16, 1), (24, 2), (24, 1), (32, 2), (32, 1), (32, 1), (64, 2), (64, 1), (64, 1), (64, 1)),
    *((96, 1), (96, 1), (96, 1), (160, 2), (160, 1), (160, 1), (320, 1)),
)


def normalized(x: Any, name: str) -> Any:
    return layers.BatchNormalization(axis=channel_axis(), epsilon=1e-3, momentum=0.999, name=name)(
        x
    )


def _body(x: Any, alpha: float) -> Any:
    x = layers.Conv2D(
        divisible(32 * alpha), 3, strides=2, padding="same", use_bias=False, name="Conv1"
    )(x)
    x = layers.ReLU(6.0, name="Conv1_relu")(normalized(x, "bn_Conv1"))
    for i, (filters, strides) in enumerate(_BLOCKS):
        x = _block(x, divisible(int(filters * alpha)), strides, i)
    x = layers.Conv2D(divisible(1280 * max(alpha, 1.0)), 1, use_bias=False, name="Conv_1")(x)
    return layers.ReLU(6.0, name="out_relu")(normalized(x, "Conv_1_bn"))


def _block(inputs: Any, filters: int, strides: int, i: int) -> Any:
    x, channels = inputs, inputs.shape[channel_axis()]
    name = f"block_{i}_" if i else "expanded_conv_"
    if i:
        x = layers.Conv2D(6 * channels, 1, padding="same", use_bias=False, name=f"{name}expand")(x)
        x = layers.ReLU(6.0, name=f"{name}expand_relu")(normalized(x, f"{name}expand_BN"))
    if strides == 2:
        x = layers.ZeroPadding2D(padding_before_strides(x, 3), name=f"{name}pad")(x)
    x = layers.DepthwiseConv2D(
        3,
        strides=strides,
        padding="same" if strides == 1 else "valid",
        use_bias=False,
        name=f"{name}depthwise",
    )(x)
    x = layers.ReLU(6.0, name=f"{name}depthwise_relu")(normalized(x, f"{name}depthwise_BN"))
    x = layers.Conv2D(filters, 1, padding="same", use_bias=False, name=f"{name}project")(x)
    x = normalized(x, f"{name}project_BN")
    if channels == filters and strides == 1:
        x = layers.Add(name=f"{name}add")([inputs, x])
    return x


def _weights(include_top: bool, size: int, alpha: float, **_: Any) -> tuple[str, None]:
    end = "" if include_top else "_no_top"
    name = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{float(alpha)}_{size}{end}.h5"
    return f"{SITE}mobilenet_v2/{name}", None


def _check(weights: Any, alpha: float, **_: Any) -> None:
    if weights == "imagenet" and alpha not in _ALPHAS:
        raise ValueError(f"ImageNet's weights are for alpha in {_ALPHAS}, not {alpha}")


MobileNetV2 = constructor(
    "MobileNetV2",
    _PAPER,
    _body,
    _weights,
    name=lambda rows, alpha, **_: f"mobilenetv2_{alpha:0.2f}_{rows}",
    size=224,
    sizes=(96, 128, 160, 192, 224),
    top=functools.partial(dense_top, pool=None),
    check=_check,
    arguments={"input_shape": None, "alpha": 1.0} | ARGUMENTS,
)

preprocess_input = preprocessing("tf")

__all__ = ["MobileNetV2", "decode_predictions", "preprocess_input"]
__dir__ = __all__.copy
