"""DenseNet: each layer's input is the concatenation of all previous outputs in its block."""

from __future__ import annotations

from typing import Any

from keraslike import layers
from keraslike.applications.building import (
    SITE,
    by_hash,
    channel_axis,
    constructor,
    pooled_by_name,
)
from keraslike.applications.imagenet_utils import decode_predictions, preprocessing
from keraslike.core.arguments import image_data_format

_PAPER = (
    "Huang et al., Densely connected convolutional networks, 2016, https://arxiv.org/abs/1608.06993"
)
_HASHES = {
    "densenet121": ("9d60b8095a5708f2dcce2bca79d332c7", "30ee3e1110167f948a6b9946edeeb738"),
    "densenet169": ("d699b8f76981ab1b30698df4c175e90b", "b8c4d4c20dd625c148057b9ff1c1176b"),
    "densenet201": ("1ceb130c1ea1b78c3bf6114dbdfd8807", "c13680b51ded0fb44dff2d8f86ac8bb1"),
}


def _active(x: Any, bn: str, relu: str) -> Any:
    x = layers.BatchNormalization(axis=channel_axis(), epsilon=1.001e-5, name=bn)(x)
    return layers.Activation("relu", name=relu)(x)


def _body(x: Any, variant: str, repeats: tuple[int, ...]) -> Any:
    if image_data_format() == "channels_first":
        raise ValueError("DenseNet takes images whose channels are the last axis")
    x = layers.Conv2D(64, 7, strides=2, use_bias=False, name="conv1_conv")(
        layers.ZeroPadding2D(3)(x)
    )
    x = layers.ZeroPadding2D(1)(_active(x, "conv1_bn", "conv1_relu"))
    x = layers.MaxPooling2D(3, strides=2, name="pool1")(x)
    for stage, n in enumerate(repeats, 2):
        for i in range(1, n + 1):
            x = _block(x, f"conv{stage}_block{i}")
        if stage < 5:
            name = f"pool{stage}"
            x = _active(x, f"{name}_bn", f"{name}_relu")
            half = x.shape[-1] // 2
            x = layers.Conv2D(half, 1, use_bias=False, name=f"{name}_conv")(x)
            x = layers.AveragePooling2D(2, strides=2, name=f"{name}_pool")(x)
    return _active(x, "bn", "relu")


def _block(x: Any, name: str) -> Any:
    new = _active(x, f"{name}_0_bn", f"{name}_0_relu")
    new = layers.Conv2D(128, 1, use_bias=False, name=f"{name}_1_conv")(new)
    new = _active(new, f"{name}_1_bn", f"{name}_1_relu")
    new = layers.Conv2D(32, 3, padding="same", use_bias=False, name=f"{name}_2_conv")(new)
    return layers.Concatenate(name=f"{name}_concat")([x, new])


def _densenet(depth: int, *repeats: int) -> Any:
    return constructor(
        f"DenseNet{depth}",
        _PAPER,
        _body,
        by_hash(f"{SITE}densenet/{{0}}_weights_tf_dim_ordering_tf_kernels{{1}}.h5", _HASHES),
        name=f"densenet{depth}",
        size=224,
        end=pooled_by_name,
        variant=f"densenet{depth}",
        repeats=repeats,
    )


DenseNet121 = _densenet(121, 6, 12, 24, 16)
DenseNet169 = _densenet(169, 6, 12, 32, 32)
DenseNet201 = _densenet(201, 6, 12, 48, 32)

preprocess_input = preprocessing("torch")

__all__ = ["DenseNet121", "DenseNet169", "DenseNet201", "decode_predictions", "preprocess_input"]
__dir__ = __all__.copy
