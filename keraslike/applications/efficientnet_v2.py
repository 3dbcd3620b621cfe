"""EfficientNetV2, whose first stages use full instead of depthwise convolutions."""

from __future__ import annotations

import math
from typing import Any

from keraslike import layers
from keraslike.applications.building import (
    ARGUMENTS,
    SITE,
    by_hash,
    channel_axis,
    constructor,
    pooled_by_name,
)
from keraslike.applications.efficientnet import (
    active,
    added,
    conv,
    initial,
    normalized,
    top,
    weighted,
)
from keraslike.applications.imagenet_utils import decode_predictions, preprocessing

_PAPER = (
    "Tan and Le, EfficientNetV2: smaller models and faster training, 2021, "
    "https://arxiv.org/abs/2104.00298"
)
_HASHES = {
    "b0": ("21ecbf6da12460d5c40bb2f29ceb2188", "893217f2bb855e2983157299931e43ff"),
    "b1": ("069f0534ff22adf035c89e2d9547a9dc", "0e80663031ca32d657f9caa404b6ec37"),
    "b2": ("424e49f28180edbde1e94797771950a7", "1dfe2e7a5d45b6632553a8961ea609eb"),
    "b3": ("1f1fc43bd98a6e4fd8fdfd551e02c7a0", "f6abf7b5849ac99a89b50dd3fd532856"),
    "s": ("e1d88a8495beba45748fedd0cecbe016", "af0682fb74e8c54910f2d4393339c070"),
    "m": ("a3bf6aa3276309f4fc6a34aa114c95cd", "1b8dc055df72dde80d614482840fe342"),
    "l": ("27e6d408b53c7ebc868fefa357689935", "b0b66b5c863aef5b46e8608fe1711615"),
}
# Repeats, filters in, filters out, expansion, strides; the first three stages are fused.
_STAGES = {
    "b": (
        (1, 32, 16, 1, 1),
        (2, 16, 32, 4, 2),
        (2, 32, 48, 4, 2),
        (3, 48, 96, 4, 2),
        (5, 96, 112, 6, 1),
        (8, 112, 192, 6, 2),
    ),
    "s": (
        (2, 24, 24, 1, 1),
        (4, 24, 48, 4, 2),
        (4, 48, 64, 4, 2),
        (6, 64, 128, 4, 2),
        (9, 128, 160, 6, 1),
        (15, 160, 256, 6, 2),
    ),
    "m": (
        (3, 24, 24, 1, 1),
        (5, 24, 48, 4, 2),
        (5, 48, 80, 4, 2),
        (7, 80, 160, 4, 2),
        (14, 160, 176, 6, 1),
        (18, 176, 304, 6, 2),
        (5, 304, 512, 6, 1),
    ),
    "l": (
        (4, 32, 32, 1, 1),
        (7, 32, 64, 4, 2),
        (7, 64, 96, 4, 2),
        (10, 96, 192, 4, 2),
        (19, 192, 224, 6, 1),
        (25, 224, 384, 6, 2),
        (7, 384, 640, 6, 1),
    ),
}
_MEANS, _VARIANCES = (0.485, 0.456, 0.406), (0.229**2, 0.224**2, 0.225**2)


def _rounded(filters: float) -> int:
    return max(8, int(filters + 4) // 8 * 8)


def _body(
    x: Any,
    variant: str,
    width: float,
    depth: float,
    dropout_rate: float,
    include_preprocessing: bool,
) -> Any:
    if include_preprocessing:
        if variant[0] == "b" and x.shape[channel_axis()] == 3:
            x = layers.Rescaling(1 / 255)(x)
            x = layers.Normalization(channel_axis(), list(_MEANS), list(_VARIANCES))(x)
        else:
            x = layers.Rescaling(1 / 128, offset=-1)(x)
    stages = _STAGES[variant[0]]
    x = conv(x, _rounded(stages[0][1] * width), "stem_conv", 3, strides=2)
    x = active(normalized(x, "stem_", momentum=0.9), "stem_")
    total, done = sum(stage[0] for stage in stages), 0
    for i, (repeats, before, after, expansion, strides) in enumerate(stages):
        for j in range(math.ceil(depth * repeats)):
            x = (_fused_block if i < 3 else _block)(
                x,
                _rounded((after if j else before) * width),
                _rounded(after * width),
                1 if j else strides,
                expansion,
                0.2 * done / total,
                f"block{i + 1}{chr(ord('a') + j)}_",
            )
            done += 1
    x = conv(x, _rounded(1280 * width), "top_conv")
    return active(normalized(x, "top_", momentum=0.9), "top_")


def _block(
    inputs: Any, before: int, after: int, strides: int, expansion: int, rate: float, name: str
) -> Any:
    x = conv(inputs, before * expansion, f"{name}expand_conv")
    x = active(normalized(x, f"{name}expand_", momentum=0.9), f"{name}expand_")
    x = layers.DepthwiseConv2D(
        3,
        strides=strides,
        padding="same",
        use_bias=False,
        depthwise_initializer=initial(),
        name=f"{name}dwconv2",
    )(x)
    x = active(normalized(x, name, momentum=0.9), name)
    x = weighted(x, before * expansion, max(1, before // 4), name)
    x = normalized(conv(x, after, f"{name}project_conv"), f"{name}project_", momentum=0.9)
    return added(x, inputs, rate, name) if strides == 1 and before == after else x


def _fused_block(
    inputs: Any, before: int, after: int, strides: int, expansion: int, rate: float, name: str
) -> Any:
    x = inputs
    if expansion != 1:
        x = conv(x, before * expansion, f"{name}expand_conv", 3, strides=strides)
        x = active(normalized(x, f"{name}expand_", momentum=0.9), f"{name}expand_")
        x = conv(x, after, f"{name}project_conv")
    else:
        x = conv(x, after, f"{name}project_conv", 3, strides=strides)
    x = normalized(x, f"{name}project_", momentum=0.9)
    if expansion == 1:
        x = active(x, f"{name}project_")
    return added(x, inputs, rate, name) if strides == 1 and before == after else x


def _efficientnet(variant: str, size: int, width: float = 1.0, depth: float = 1.0) -> Any:
    name = f"efficientnetv2-{variant}"
    arguments = {k: v for k, v in ARGUMENTS.items() if k != "name"}
    return constructor(
        f"EfficientNetV2{variant.upper()}",
        _PAPER,
        _body,
        by_hash(f"{SITE}efficientnet_v2/efficientnetv2-{{0}}{{1}}.h5", _HASHES),
        name=name,
        size=size,
        top=top,
        end=pooled_by_name,
        arguments=arguments | {"include_preprocessing": True},
        variant=variant,
        width=width,
        depth=depth,
        dropout_rate=0.2,
    )


EfficientNetV2B0 = _efficientnet("b0", 224)
EfficientNetV2B1 = _efficientnet("b1", 240, 1.0, 1.1)
EfficientNetV2B2 = _efficientnet("b2", 260, 1.1, 1.2)
EfficientNetV2B3 = _efficientnet("b3", 300, 1.2, 1.4)
EfficientNetV2S = _efficientnet("s", 384)
EfficientNetV2M = _efficientnet("m", 480)
EfficientNetV2L = _efficientnet("l", 480)

preprocess_input = preprocessing(None)

__all__ = [
    "EfficientNetV2B0",
    "EfficientNetV2B1",
    "EfficientNetV2B2",
    "EfficientNetV2B3",
    "EfficientNetV2L",
    "EfficientNetV2M",
    "EfficientNetV2S",
    "decode_predictions",
    "preprocess_input",
]
__dir__ = __all__.copy
