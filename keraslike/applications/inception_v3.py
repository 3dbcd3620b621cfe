"""InceptionV3: parallel convolutions of different sizes."""

from __future__ import annotations

import functools
from typing import Any

from keraslike import layers
from keraslike.applications.building import SITE, by_hash, channel_axis, constructor
from keraslike.applications.imagenet_utils import decode_predictions, preprocessing

_PAPER = (
    "Szegedy et al., Rethinking the Inception architecture for computer vision, 2015, "
    "https://arxiv.org/abs/1512.00567"
)
Branch = tuple[tuple, ...]  # Convolutions, each given as (filters, kernel[, strides]).
_DOUBLE_3: Branch = ((64, 1), (96, 3), (96, 3))


def conv(
    x: Any,
    filters: int,
    kernel_size: Any,
    strides: int = 1,
    padding: str = "",
    name: str | None = None,
) -> Any:
    """A convolution with normalization and activation; one with strides of 2 is not padded by
    default."""
    padding = padding or ("same" if strides == 1 else "valid")
    x = layers.Conv2D(
        filters, kernel_size, strides=strides, padding=padding, use_bias=False, name=name
    )(x)
    named = [name and f"{name}_{end}" for end in ("bn", "ac")]
    x = layers.BatchNormalization(axis=channel_axis(), scale=False, name=named[0])(x)
    return layers.Activation("relu", name=named[1])(x)


def ends_of(x: Any, branches: tuple[Branch, ...]) -> list[Any]:
    """The outputs of all branches for a tensor."""
    return [functools.reduce(lambda end, step: conv(end, *step), branch, x) for branch in branches]


def stem(x: Any) -> Any:
    """The first layers, which reduce the sides of the image to an eighth."""
    x = conv(x, 32, 3, 2)
    x = conv(x, 32, 3, padding="valid")
    x = layers.MaxPooling2D(3, strides=2)(conv(x, 64, 3))
    x = conv(x, 80, 1, padding="valid")
    return layers.MaxPooling2D(3, strides=2)(conv(x, 192, 3, padding="valid"))


def mean(x: Any) -> Any:
    """Average pooling over 3 x 3 windows."""
    return layers.AveragePooling2D(3, strides=1, padding="same")(x)


def _mixed(x: Any, name: str, *branches: Branch, pool: int | None = None) -> Any:
    """Parallel branches, concatenated. The last one pools: averages, or halving maxima if `pool` is
    `None`."""
    ends = ends_of(x, branches)
    if pool is None:
        ends.append(layers.MaxPooling2D(3, strides=2)(x))
    else:
        ends.append(conv(mean(x), pool, 1))
    return layers.Concatenate(axis=channel_axis(), name=name)(ends)


def _body(x: Any) -> Any:
    x = stem(x)
    for i, pool in enumerate((32, 64, 64)):
        x = _mixed(x, f"mixed{i}", ((64, 1),), ((48, 1), (64, 5)), _DOUBLE_3, pool=pool)
    x = _mixed(x, "mixed3", ((384, 3, 2),), (*_DOUBLE_3[:2], (96, 3, 2)))
    for i, n in enumerate((128, 160, 160, 192), 4):
        row, column = (1, 7), (7, 1)
        x = _mixed(
            x,
            f"mixed{i}",
            ((192, 1),),
            ((n, 1), (n, row), (192, column)),
            ((n, 1), (n, column), (n, row), (n, column), (192, row)),
            pool=192,
        )
    x = _mixed(
        x,
        "mixed8",
        ((192, 1), (320, 3, 2)),
        ((192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3, 2)),
    )
    for i in range(2):
        x = _widest(x, i)
    return x


def _widest(x: Any, i: int) -> Any:
    """Branches that split again."""
    axis = channel_axis()
    single = conv(x, 320, 1)
    one = conv(x, 384, 1)
    one = layers.Concatenate(axis=axis, name=f"mixed9_{i}")(
        [conv(one, 384, (1, 3)), conv(one, 384, (3, 1))]
    )
    two = conv(conv(x, 448, 1), 384, 3)
    two = layers.Concatenate(axis=axis)([conv(two, 384, (1, 3)), conv(two, 384, (3, 1))])
    ends = [single, one, two, conv(mean(x), 192, 1)]
    return layers.Concatenate(axis=axis, name=f"mixed{9 + i}")(ends)


InceptionV3 = constructor(
    "InceptionV3",
    _PAPER,
    _body,
    by_hash(
        f"{SITE}inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels{{1}}.h5",
        ("9a0d58056eeedaa3f26cb7ebd46da564", "bcbd6486424b2319ff4ef7d526e38f63"),
    ),
    name="inception_v3",
    size=299,
    min_size=75,
)

preprocess_input = preprocessing("tf")

__all__ = ["InceptionV3", "decode_predictions", "preprocess_input"]
__dir__ = __all__.copy
