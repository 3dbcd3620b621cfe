"""MobileNet: depthwise convolutions followed by 1 x 1 convolutions."""

from __future__ import annotations

from typing import Any

from keraslike import layers
from keraslike.applications.building import ARGUMENTS, SITE, channel_axis, constructor
from keraslike.applications.imagenet_utils import decode_predictions, preprocessing

_PAPER = (
    "Howard et al., MobileNets: efficient convolutional neural networks for mobile vision "
    "applications, 2017, https://arxiv.org/abs/1704.04861"
)
_ALPHAS = {1.0: "1_0", 0.75: "7_5", 0.5: "5_0", 0.25: "2_5"}
_BLOCKS = (  # filters, strides
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1),) * 5,
    *((1024, 2), (1024, 1)),
)


def _active(x: Any, name: str) -> Any:
    x = layers.BatchNormalization(axis=channel_axis(), name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x)


def _body(x: Any, alpha: float, depth_multiplier: int, dropout: float) -> Any:
    x = layers.Conv2D(int(32 * alpha), 3, strides=2, padding="same", use_bias=False, name="conv1")(
        x
    )
    x = _active(x, "conv1")
    for i, (filters, strides) in enumerate(_BLOCKS, 1):
        if strides == 2:
            x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{i}")(x)
        x = layers.DepthwiseConv2D(
            3,
            strides=strides,
            padding="same" if strides == 1 else "valid",
            depth_multiplier=depth_multiplier,
            use_bias=False,
            name=f"conv_dw_{i}",
        )(x)
        x = layers.Conv2D(
            int(filters * alpha), 1, padding="same", use_bias=False, name=f"conv_pw_{i}"
        )(_active(x, f"conv_dw_{i}"))
        x = _active(x, f"conv_pw_{i}")
    return x


def _top(x: Any, classes: int, activation: Any, dropout: float) -> Any:
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Conv2D(classes, 1, padding="same", name="conv_preds")(x)
    x = layers.Reshape((classes,), name="reshape_2")(x)
    return layers.Activation(activation, name="predictions")(x)


def _weights(include_top: bool, size: int, alpha: float, **_: Any) -> tuple[str, None]:
    end = "" if include_top else "_no_top"
    return f"{SITE}mobilenet/mobilenet_{_ALPHAS[alpha]}_{size}_tf{end}.h5", None


def _check(weights: Any, alpha: float, depth_multiplier: int, **_: Any) -> None:
    if weights == "imagenet" and (alpha not in _ALPHAS or depth_multiplier != 1):
        raise ValueError(
            f"ImageNet's weights are for alpha in {tuple(_ALPHAS)} and depth_multiplier=1, not "
            f"{alpha} and {depth_multiplier}"
        )


MobileNet = constructor(
    "MobileNet",
    _PAPER,
    _body,
    _weights,
    name=lambda rows, alpha, **_: f"mobilenet_{alpha:0.2f}_{rows}",
    size=224,
    sizes=(128, 160, 192, 224),
    top=_top,
    check=_check,
    arguments={"input_shape": None, "alpha": 1.0, "depth_multiplier": 1, "dropout": 0.001}
    | ARGUMENTS,
)

preprocess_input = preprocessing("tf")

__all__ = ["MobileNet", "decode_predictions", "preprocess_input"]
__dir__ = __all__.copy
