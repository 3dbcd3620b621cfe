"""NASNet: cells from an architecture search; each receives the outputs of the two previous
cells."""

from __future__ import annotations

import functools
from typing import Any

from keraslike import layers
from keraslike.applications.building import (
    ARGUMENTS,
    SITE,
    constructor,
    dense_top,
    padding_before_strides,
)
from keraslike.applications.imagenet_utils import decode_predictions, preprocessing
from keraslike.core.arguments import image_data_format

_PAPER = (
    "Zoph et al., Learning transferable architectures for scalable image recognition, 2017, "
    "https://arxiv.org/abs/1707.07012"
)
_HASHES = {
    "mobile": ("020fb642bf7360b370c678b08e0adf61", "1ed92395b5b598bdda52abe5c0dbfd63"),
    "large": ("11577c9a518f0070763c2b964a382f17", "d81d89dc07e6e56530c4e77faddd61b5"),
}


def _normalized(x: Any, name: str) -> Any:
    return layers.BatchNormalization(momentum=0.9997, epsilon=1e-3, name=name)(x)


def _conv(x: Any, filters: int, name: str) -> Any:
    return layers.Conv2D(
        filters, 1, padding="same", use_bias=False, kernel_initializer="he_normal", name=name
    )(x)


def _relu(x: Any, name: str | None = None) -> Any:
    return layers.Activation("relu", name=name)(x)


def _body(
    x: Any, variant: str, last_filters: int, stem_filters: int, cells: int, skip: bool
) -> Any:
    if image_data_format() == "channels_first":
        raise ValueError("NASNet takes images whose channels are the last axis")
    filters = last_filters // 24
    x = layers.Conv2D(
        stem_filters,
        3,
        strides=2,
        use_bias=False,
        kernel_initializer="he_normal",
        name="stem_conv1",
    )(x)
    before, x = None, _normalized(x, "stem_bn1")
    for i, part in ((1, 4), (2, 2)):
        x, before = _reduction_cell(x, before, filters // part, f"stem_{i}")
    for stage in range(3):
        if stage:
            x, reduced = _reduction_cell(x, before, filters, f"reduce_{stage * cells}")
            before = before if skip else reduced
        for i in range(cells):
            x, before = _normal_cell(x, before, filters, str(stage * cells + min(stage, 1) + i))
        filters *= 2
    return _relu(x)


def _separable(x: Any, filters: int, kernel_size: int, name: str, strides: int = 1) -> Any:
    """Two separable convolutions, the first of which may have strides."""
    x = _relu(x)
    if strides == 2:
        x = layers.ZeroPadding2D(
            padding_before_strides(x, kernel_size), name=f"separable_conv_1_pad_{name}"
        )(x)
    x = layers.SeparableConv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="valid" if strides == 2 else "same",
        use_bias=False,
        name=f"separable_conv_1_{name}",
    )(x)
    x = _relu(_normalized(x, f"separable_conv_1_bn_{name}"))
    x = layers.SeparableConv2D(
        filters, kernel_size, padding="same", use_bias=False, name=f"separable_conv_2_{name}"
    )(x)
    return _normalized(x, f"separable_conv_2_bn_{name}")


def _adjusted(before: Any, x: Any, filters: int, name: str) -> Any:
    """The output of the cell before the last, resized to the number of positions and filters of
    this cell."""
    if before is None:
        return x
    if before.shape[2] != x.shape[2]:
        before = _relu(before, f"adjust_relu_1_{name}")
        shifted = layers.Cropping2D(((1, 0), (1, 0)))(
            layers.ZeroPadding2D(((0, 1), (0, 1)))(before)
        )
        halves = []
        for i, half in ((1, before), (2, shifted)):
            half = layers.AveragePooling2D(1, strides=2, name=f"adjust_avg_pool_{i}_{name}")(half)
            halves.append(_conv(half, filters // 2, f"adjust_conv_{i}_{name}"))
        return _normalized(layers.Concatenate()(halves), f"adjust_bn_{name}")
    if before.shape[-1] != filters:
        before = _conv(_relu(before), filters, f"adjust_conv_projection_{name}")
        return _normalized(before, f"adjust_bn_{name}")
    return before


def _added(a: Any, b: Any, name: str | None = None) -> Any:
    return layers.Add(name=name)([a, b])


def _normal_cell(x: Any, before: Any, filters: int, i: str) -> tuple[Any, Any]:
    p = _adjusted(before, x, filters, i)
    h = _normalized(_conv(_relu(x), filters, f"normal_conv_1_{i}"), f"normal_bn_1_{i}")

    def separable(of: Any, kernel_size: int, place: str) -> Any:
        return _separable(of, filters, kernel_size, f"normal_{place}_{i}")

    def mean(of: Any, place: str) -> Any:
        return layers.AveragePooling2D(3, strides=1, padding="same", name=f"normal_{place}_{i}")(of)

    ends = [
        p,
        _added(separable(h, 5, "left1"), separable(p, 3, "right1"), f"normal_add_1_{i}"),
        _added(separable(p, 5, "left2"), separable(p, 3, "right2"), f"normal_add_2_{i}"),
        _added(mean(h, "left3"), p, f"normal_add_3_{i}"),
        _added(mean(p, "left4"), mean(p, "right4"), f"normal_add_4_{i}"),
        _added(separable(h, 3, "left5"), h, f"normal_add_5_{i}"),
    ]
    return layers.Concatenate(name=f"normal_concat_{i}")(ends), x


def _reduction_cell(x: Any, before: Any, filters: int, i: str) -> tuple[Any, Any]:
    p = _adjusted(before, x, filters, i)
    h = _normalized(_conv(_relu(x), filters, f"reduction_conv_1_{i}"), f"reduction_bn_1_{i}")
    padded = layers.ZeroPadding2D(padding_before_strides(h, 3), name=f"reduction_pad_1_{i}")(h)

    def separable(of: Any, kernel_size: int, place: str, strides: int = 2) -> Any:
        return _separable(of, filters, kernel_size, f"reduction_{place}_{i}", strides)

    one = _added(separable(h, 5, "left1"), separable(p, 7, "right1"), f"reduction_add_1_{i}")
    two = layers.MaxPooling2D(3, strides=2, name=f"reduction_left2_{i}")(padded)
    two = _added(two, separable(p, 7, "right2"), f"reduction_add_2_{i}")
    three = layers.AveragePooling2D(3, strides=2, name=f"reduction_left3_{i}")(padded)
    three = _added(three, separable(p, 5, "right3"), f"reduction_add3_{i}")
    four = layers.AveragePooling2D(3, strides=1, padding="same", name=f"reduction_left4_{i}")(one)
    four = _added(two, four)
    five = separable(one, 3, "left4", strides=1)
    largest = layers.MaxPooling2D(3, strides=2, name=f"reduction_right5_{i}")(padded)
    five = _added(five, largest, f"reduction_add4_{i}")
    return layers.Concatenate(name=f"reduction_concat_{i}")([two, three, four, five]), x


def _weights(include_top: bool, size: Any, variant: str, **_: Any) -> tuple[str, str]:
    end = "" if include_top else "-no-top"
    return f"{SITE}nasnet/NASNet-{variant}{end}.h5", _HASHES[variant][0 if include_top else 1]


def _nasnet(variant: str, size: int, *sizes: Any) -> Any:
    last_filters, stem_filters, cells, skip = sizes
    return constructor(
        f"NASNet{variant.capitalize()}",
        _PAPER,
        _body,
        _weights,
        name=f"nasnet_{variant}",
        size=size,
        top=functools.partial(dense_top, pool=None),
        arguments={"input_shape": None} | ARGUMENTS,
        variant=variant,
        last_filters=last_filters,
        stem_filters=stem_filters,
        cells=cells,
        skip=skip,
    )


NASNetMobile = _nasnet("mobile", 224, 1056, 32, 4, False)
NASNetLarge = _nasnet("large", 331, 4032, 96, 6, True)

preprocess_input = preprocessing("tf")

__all__ = ["NASNetLarge", "NASNetMobile", "decode_predictions", "preprocess_input"]
__dir__ = __all__.copy
