"""VGG16: thirteen 3 x 3 convolutions and three dense layers."""

from __future__ import annotations

from typing import Any

from keraslike import layers
from keraslike.applications.building import SITE, by_hash, constructor
from keraslike.applications.imagenet_utils import decode_predictions, preprocessing

_PAPER = (
    "Simonyan and Zisserman, Very deep convolutional networks for large-scale image recognition, "
    "2014, https://arxiv.org/abs/1409.1556"
)


def _body(x: Any, repeats: tuple[int, ...]) -> Any:
    for i, (filters, n) in enumerate(zip((64, 128, 256, 512, 512), repeats, strict=True), 1):
        for j in range(1, n + 1):
            x = layers.Conv2D(
                filters, 3, padding="same", activation="relu", name=f"block{i}_conv{j}"
            )(x)
        x = layers.MaxPooling2D(2, strides=2, name=f"block{i}_pool")(x)
    return x


def _top(x: Any, classes: int, activation: Any) -> Any:
    x = layers.Flatten(name="flatten")(x)
    for name in ("fc1", "fc2"):
        x = layers.Dense(4096, activation="relu", name=name)(x)
    return layers.Dense(classes, activation=activation, name="predictions")(x)


def vgg(title: str, repeats: tuple[int, ...], hashes: tuple[str, str]) -> Any:
    """A network with five blocks, with the given number of convolutions in each."""
    name = title.lower()
    files = by_hash(f"{SITE}{name}/{name}_weights_tf_dim_ordering_tf_kernels{{1}}.h5", hashes)
    return constructor(title, _PAPER, _body, files, name=name, size=224, top=_top, repeats=repeats)


VGG16 = vgg(
    "VGG16",
    (2, 2, 3, 3, 3),
    ("64373286793e3c8b2b4e3219cbf3544b", "6d6bbae143d832006294945121d1f1fc"),
)

preprocess_input = preprocessing("caffe")

__all__ = ["VGG16", "decode_predictions", "preprocess_input"]
__dir__ = __all__.copy
