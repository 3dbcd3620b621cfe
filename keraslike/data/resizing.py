"""Resizing of images in numpy, since JAX would compile a program for each size of image. The values
are those of `tf.image.resize`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np


def _cubic(x: np.ndarray) -> np.ndarray:
    near, far = ((1.5 * x - 2.5) * x) * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _mitchell(x: np.ndarray) -> np.ndarray:
    near, far = (7 / 6 * x - 2) * x * x + 8 / 9, ((-7 / 18 * x + 2) * x - 10 / 3) * x + 16 / 9
    return np.where(x < 1, near, np.where(x < 2, far, 0))


# The weight of a pixel as a function of its distance, and the radius beyond which it is zero.
_KERNELS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    "bilinear": (lambda x: np.maximum(1 - x, 0), 1),
    "bicubic": (_cubic, 2),
    "lanczos3": (lambda x: np.where(x < 3, np.sinc(x) * np.sinc(x / 3), 0), 3),
    "lanczos5": (lambda x: np.where(x < 5, np.sinc(x) * np.sinc(x / 5), 0), 5),
    "gaussian": (lambda x: np.where(x < 1.5, np.exp(-2 * x * x), 0), 1.5),
    "mitchellcubic": (_mitchell, 2),
}
METHODS = ("bilinear", "nearest", "bicubic", "area", *list(_KERNELS)[2:])
_STEPS = 1024  # the values per pixel in TensorFlow's table of the cubic kernel


@functools.lru_cache(256)
def _taps(
    size: int, wanted: int, method: str, antialias: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The indices of the pixels on an axis that contribute to each new one, and their weights.

    With `antialias` the kernel is as wide as a new pixel, where that is larger than an old one.
    """
    at = (np.arange(wanted) + 0.5) * (size / wanted)
    if method == "nearest":
        return np.minimum(at.astype(int), size - 1)[:, None], np.ones((wanted, 1), "float32")
    if method == "area":
        begin, end = at - size / wanted / 2, at + size / wanted / 2
        first, count = np.floor(begin), int(np.ceil(size / wanted)) + 1
        places = first[:, None] + np.arange(count)
        weights = np.minimum(places + 1, end[:, None]) - np.maximum(places, begin[:, None])
        weights = np.maximum(weights, 0)
    else:
        kernel, radius = _KERNELS[method]
        one = np.float32(1)
        step = one / (np.float32(wanted) / np.float32(size))
        at = (np.arange(wanted, dtype="float32") + one / 2) * step
        width = max(step, one) if antialias else one
        if method == "bicubic" and not antialias:
            part = at - one / 2 - np.floor(at - one / 2)
            at = np.floor(at - one / 2) + one / 2 + np.round(part * _STEPS) / np.float32(_STEPS)
        first = np.ceil(at - np.float32(radius) * width - one / 2)
        places = first[:, None] + np.arange(int(np.ceil(2 * radius * width)) + 1, dtype="float32")
        weights = kernel(np.abs((places + one / 2 - at[:, None]) / width))
    weights = weights * ((places >= 0) & (places < size))
    weights /= weights.sum(1, keepdims=True)
    return np.clip(places, 0, size - 1).astype(int), weights.astype("float32")


def matrix(size: int, wanted: int, method: str, antialias: bool = False) -> np.ndarray:
    """The weight of each pixel on an axis in each new one, `(wanted, size)`.

    >>> matrix(4, 2, "area").tolist()
    [[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]
    """
    places, weights = _taps(size, wanted, method, antialias)
    out = np.zeros((wanted, size), "float32")
    np.add.at(out, (np.arange(wanted)[:, None], places), weights)
    return out


@functools.lru_cache(256)
def _between(size: int, wanted: int, channels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The indices of the two pixels along an axis that each new one lies between, and its distance
    from the first, in float32 as TensorFlow computes them. Indices are of a flat axis with
    `channels` values for each pixel."""
    step = np.float32(size) / np.float32(wanted)
    at = (np.arange(wanted, dtype="float32") + np.float32(0.5)) * step - np.float32(0.5)
    first = np.floor(at)
    ends = np.maximum(first, 0), np.minimum(np.ceil(at), size - 1)
    low, high = (
        (end.astype(np.intp)[:, None] * channels + np.arange(channels)).ravel() for end in ends
    )
    return low, high, (at - first).repeat(channels)


def _bilinear(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear resizing, bitwise equal to TensorFlow's: along columns first, then along rows.

    Columns and channels are one flat axis, since inner loops over three channels are slow.
    """
    height, width, channels = image.shape
    rows = image.reshape(height, width * channels)
    if size[1] != width:
        low, high, part = _between(width, size[1], channels)
        rows = _mixed(rows[:, low], rows[:, high], part)  # take() is slower
    if size[0] != height:
        low, high, part = _between(height, size[0], 1)
        rows = _mixed(rows[low], rows[high], part[:, None])
    return rows.reshape(*size, channels).astype("float32", copy=False)


def _mixed(first: np.ndarray, second: np.ndarray, part: np.ndarray) -> np.ndarray:
    first, out = (a.astype("float32", copy=False) for a in (first, second))
    out -= first
    out *= part
    out += first
    return out


def _along(image: np.ndarray, axis: int, wanted: int, method: str, antialias: bool) -> np.ndarray:
    if image.shape[axis] == wanted and method not in _SMOOTHING:
        return image
    places, weights = _taps(image.shape[axis], wanted, method, antialias)
    shape = (-1, *[1] * (image.ndim - 1 - axis))
    out: Any = None
    for p, w in zip(places.T, weights.T):
        part = image.take(p, axis).astype("float32", copy=False)
        part *= w.reshape(shape)  # in place, which is several times faster
        out = part if out is None else np.add(out, part, out=out)
    return out


_SMOOTHING = ("gaussian", "mitchellcubic")  # which change images of the size wanted, too


def resize(
    image: np.ndarray, size: tuple[int, int], method: str = "bilinear", antialias: bool = False
) -> np.ndarray:
    """An image `(height, width, channels)` resized to another height and width, float32.

    >>> resize(np.array([[[0], [2]]]), (1, 4)).ravel().tolist()
    [0.0, 0.5, 1.5, 2.0]
    """
    image = np.asarray(image)
    if image.dtype != np.uint8:  # bytes become floats only after they were gathered
        image = image.astype("float32", copy=False)
    if method == "bilinear" and not antialias:
        return _bilinear(image, size)
    rows_first = size[0] * image.shape[1] <= size[1] * image.shape[0] * 2  # rows are faster to take
    for axis in (0, 1) if rows_first else (1, 0):
        image = _along(image, axis, size[axis], method, antialias)
    return image.astype("float32", copy=False)


def crop_to_aspect(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The largest central crop of an image with the aspect ratio of `size`."""
    (height, width), (rows, columns) = image.shape[:2], size
    most = (width * rows // columns, height * columns // rows)
    high, wide = (max(min(n, m), 1) for n, m in zip((height, width), most))
    top, left = (height - high) // 2, (width - wide) // 2
    return image[top : top + high, left : left + wide]


def pad_to_aspect(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The image, padded with black on two sides to the aspect ratio of `size`."""
    (height, width), (rows, columns) = image.shape[:2], size
    pads = [
        (max(m - n, 0) // 2,) * 2
        for n, m in zip((height, width), (width * rows // columns, height * columns // rows))
    ]
    return np.pad(image, [*pads, (0, 0)])


def resize_with_pad(image: np.ndarray, size: tuple[int, int], method: str) -> np.ndarray:
    """The image resized to fit into `size` and padded with black: `tf.image.resize_with_pad`."""
    ratio = max(n / m for n, m in zip(image.shape, size))
    inner: Any = tuple(min(max(int(n / ratio), 1), m) for n, m in zip(image.shape, size))
    out = np.zeros((*size, image.shape[2]), "float32")
    top, left = (int((m - n / ratio) / 2) for n, m in zip(image.shape, size))
    out[top : top + inner[0], left : left + inner[1]] = resize(image, inner, method)
    return out
