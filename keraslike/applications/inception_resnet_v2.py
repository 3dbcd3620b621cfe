"""InceptionResNetV2: Inception's branches with residual connections."""

from __future__ import annotations

from typing import Any

from keraslike import layers
from keraslike.applications.building import SITE, by_hash, channel_axis, constructor
from keraslike.applications.imagenet_utils import decode_predictions, preprocessing
from keraslike.applications.inception_v3 import Branch, conv, ends_of, mean, stem

_PAPER = (
    "Szegedy et al., Inception-v4, Inception-ResNet and the impact of residual connections on "
    "learning, 2016, https://arxiv.org/abs/1602.07261"
)
_BLOCKS: dict[str, tuple[Branch, ...]] = {
    "block35": (((32, 1),), ((32, 1), (32, 3)), ((32, 1), (48, 3), (64, 3))),
    "block17": (((192, 1),), ((128, 1), (160, (1, 7)), (192, (7, 1)))),
    "block8": (((192, 1),), ((192, 1), (224, (1, 3)), (256, (3, 1)))),
}
_REDUCTIONS: dict[str, tuple[Branch, ...]] = {
    "mixed_6a": (((384, 3, 2),), ((256, 1), (256, 3), (384, 3, 2))),
    "mixed_7a": (
        ((256, 1), (384, 3, 2)),
        ((256, 1), (288, 3, 2)),
        ((256, 1), (288, 3), (320, 3, 2)),
    ),
}


class CustomScaleLayer(layers.Layer):
    """`first + scale * second`, of two tensors of one shape.

    >>> import numpy as np
    >>> CustomScaleLayer(0.5)([np.ones(2), np.full(2, 4.0)]).tolist()
    [3.0, 3.0]
    """

    def __init__(self, scale: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs: Any) -> Any:
        return inputs[0] + inputs[1] * self.scale


def _body(x: Any) -> Any:
    axis = channel_axis()
    x = stem(x)
    ends = ends_of(x, (((96, 1),), ((48, 1), (64, 5)), ((64, 1), (96, 3), (96, 3))))
    ends.append(conv(mean(x), 64, 1))
    x = layers.Concatenate(axis=axis, name="mixed_5b")(ends)
    for i in range(10):
        x = _block(x, "block35", i + 1, 0.17)
    x = _reduction(x, "mixed_6a")
    for i in range(20):
        x = _block(x, "block17", i + 1, 0.1)
    x = _reduction(x, "mixed_7a")
    for i in range(9):
        x = _block(x, "block8", i + 1, 0.2)
    x = _block(x, "block8", 10, 1.0, active=False)
    return conv(x, 1536, 1, name="conv_7b")


def _reduction(x: Any, name: str) -> Any:
    ends = [*ends_of(x, _REDUCTIONS[name]), layers.MaxPooling2D(3, strides=2)(x)]
    return layers.Concatenate(axis=channel_axis(), name=name)(ends)


def _block(x: Any, kind: str, i: int, scale: float, active: bool = True) -> Any:
    name = f"{kind}_{i}"
    mixed = layers.Concatenate(axis=channel_axis(), name=f"{name}_mixed")(ends_of(x, _BLOCKS[kind]))
    wide = layers.Conv2D(x.shape[channel_axis()], 1, padding="same", name=f"{name}_conv")(mixed)
    x = CustomScaleLayer(scale)([x, wide])
    return layers.Activation("relu", name=f"{name}_ac")(x) if active else x


InceptionResNetV2 = constructor(
    "InceptionResNetV2",
    _PAPER,
    _body,
    by_hash(
        f"{SITE}inception_resnet_v2/inception_resnet_v2_weights_tf_dim_ordering_tf_kernels{{1}}.h5",
        ("e693bd0210a403b3192acc6073ad2e96", "d19885ff4a710c122648d3b5c3b684e4"),
    ),
    name="inception_resnet_v2",
    size=299,
    min_size=75,
)

preprocess_input = preprocessing("tf")

__all__ = ["InceptionResNetV2", "decode_predictions", "preprocess_input"]
__dir__ = __all__.copy
