"""ResNet: residual blocks; V2 normalizes before each convolution."""

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

_PAPERS = {
    "": "He et al., Deep residual learning for image recognition, 2015, "
    "https://arxiv.org/abs/1512.03385",
    "V2": "He et al., Identity mappings in deep residual networks, 2016, "
    "https://arxiv.org/abs/1603.05027",
}
_REPEATS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
_HASHES = {
    "resnet50": ("2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626"),
    "resnet101": ("f1aeb4b969a6efcfb50fad2f0c20cfc5", "88cf7a10940856eca736dc7b7e228a21"),
    "resnet152": ("100835be76be38e30d865e96f2aaae62", "ee4c566cf9a93f14d82f913c2dc6dd0c"),
    "resnet50v2": ("3ef43a0b657b3be2300d5770ece849e0", "fac2f116257151a9d068a22e544a4917"),
    "resnet101v2": ("6343647c601c52e1368623803854d971", "c0ed64b8031c3730f411d2eb4eea35b5"),
    "resnet152v2": ("a49b44d1979771252814e80f8ec446f9", "ed17cf2e0169df9d443503ef94b23b33"),
}


def _normalized(x: Any, name: str) -> Any:
    return layers.BatchNormalization(axis=channel_axis(), epsilon=1.001e-5, name=f"{name}_bn")(x)


def _active(x: Any, name: str) -> Any:
    return layers.Activation("relu", name=f"{name}_relu")(_normalized(x, name))


def _body(x: Any, variant: str, repeats: tuple[int, ...], second_form: bool) -> Any:
    x = layers.ZeroPadding2D(3, name="conv1_pad")(x)
    x = layers.Conv2D(64, 7, strides=2, name="conv1_conv")(x)
    x = x if second_form else _active(x, "conv1")
    x = layers.ZeroPadding2D(1, name="pool1_pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name="pool1_pool")(x)
    for stage, n in enumerate(repeats):
        filters = 64 * 2**stage
        for i in range(n):
            name = f"conv{stage + 2}_block{i + 1}"
            if second_form:  # In V2, the last block of a stage has the strides.
                strides = 2 if i == n - 1 and stage < 3 else 1
                x = _block_of_second_form(x, filters, strides, i == 0, name)
            else:
                strides = 2 if i == 0 and stage > 0 else 1
                x = _block(x, filters, strides, i == 0, name)
    return _active(x, "post") if second_form else x


def _block(x: Any, filters: int, strides: int, projected: bool, name: str) -> Any:
    shortcut = x
    if projected:
        shortcut = layers.Conv2D(4 * filters, 1, strides=strides, name=f"{name}_0_conv")(x)
        shortcut = _normalized(shortcut, f"{name}_0")
    x = _active(layers.Conv2D(filters, 1, strides=strides, name=f"{name}_1_conv")(x), f"{name}_1")
    x = layers.Conv2D(filters, 3, padding="same", name=f"{name}_2_conv")(x)
    x = _active(x, f"{name}_2")
    x = _normalized(layers.Conv2D(4 * filters, 1, name=f"{name}_3_conv")(x), f"{name}_3")
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.Activation("relu", name=f"{name}_out")(x)


def _block_of_second_form(x: Any, filters: int, strides: int, projected: bool, name: str) -> Any:
    shortcut, x = x, _active(x, f"{name}_preact")
    if projected:
        shortcut = layers.Conv2D(4 * filters, 1, strides=strides, name=f"{name}_0_conv")(x)
    elif strides > 1:
        shortcut = layers.MaxPooling2D(1, strides=strides)(shortcut)
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_1_conv")(x)
    x = layers.ZeroPadding2D(1, name=f"{name}_2_pad")(_active(x, f"{name}_1"))
    x = layers.Conv2D(filters, 3, strides=strides, use_bias=False, name=f"{name}_2_conv")(x)
    x = layers.Conv2D(4 * filters, 1, name=f"{name}_3_conv")(_active(x, f"{name}_2"))
    return layers.Add(name=f"{name}_out")([shortcut, x])


def resnet(depth: int, form: str = "") -> Any:
    """A network with the given numbers of layers, in the form `""` or `"V2"`."""
    title = f"ResNet{depth}{form}"
    return constructor(
        title,
        _PAPERS[form],
        _body,
        by_hash(f"{SITE}resnet/{{0}}_weights_tf_dim_ordering_tf_kernels{{1}}.h5", _HASHES),
        name=title.lower(),
        size=224,
        end=pooled_by_name,
        variant=title.lower(),
        repeats=_REPEATS[depth],
        second_form=form == "V2",
    )


ResNet50, ResNet101, ResNet152 = resnet(50), resnet(101), resnet(152)

preprocess_input = preprocessing("caffe")

__all__ = ["ResNet50", "ResNet101", "ResNet152", "decode_predictions", "preprocess_input"]
__dir__ = __all__.copy
