"""Images and batches of them: colours, sizes and parts; see `image_transforms` for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from keraslike.core import arguments, dtypes
from keraslike.core.operation import op
from keraslike.ops import image_transforms
from keraslike.ops.core import saturate_cast
from keraslike.ops.image_layout import image_axes, is_last, ranked
from keraslike.ops.image_transforms import *  # noqa: F403
from keraslike.ops.plain_conv import fits, geometry_of, slices_of
from keraslike.ops.wrap import array, public

# -- colours ----------------------------------------------------------------------------------


@op
def rgb_to_grayscale(images: Any, data_format: str | None = None) -> jax.Array:
    """The brightness of colours, one channel; images of one channel stay as they are.

    >>> rgb_to_grayscale(jnp.ones((2, 2, 3))).shape
    (2, 2, 1)
    """
    x = ranked(images)
    axis = image_axes(data_format)[2]
    if x.shape[axis] not in (1, 3):
        raise ValueError(
            "Invalid channel size: expected 3 (RGB) or 1 (Grayscale). "
            f"Received: images of shape {x.shape}"
        )
    if x.shape[axis] == 1:
        return x
    wide = x.astype(jnp.result_type(x.dtype, float))
    weights = jnp.array([0.2989, 0.5870, 0.1140], wide.dtype)
    return jnp.expand_dims(jnp.tensordot(wide, weights, (axis, 0)), axis).astype(x.dtype)


def _colours(images: Any, data_format: str | None) -> tuple[list[jax.Array], int]:
    x = ranked(images)
    if not dtypes.is_float(x.dtype):
        raise ValueError(f"Invalid images dtype: expected float dtype. Received: {x.dtype}")
    axis = image_axes(data_format)[2]
    return [jnp.squeeze(c, axis) for c in jnp.split(x, 3, axis)], axis


@op
def rgb_to_hsv(images: Any, data_format: str | None = None) -> jax.Array:
    """Red, green and blue, from 0 to 1, as hue, saturation and value.

    >>> rgb_to_hsv(jnp.array([[[0.0, 0.5, 0.0]]])).ravel().round(3).tolist()
    [0.3330000042915344, 1.0, 0.5]
    """
    colours, axis = _colours(images, data_format)
    least = jnp.finfo(colours[0].dtype).eps
    return jnp.stack(_hsv_of(*(jnp.where(jnp.abs(c) < least, 0, c) for c in colours)), axis)


def _hsv_of(r: jax.Array, g: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Hue, saturation and value of red, green and blue."""
    value = jnp.maximum(jnp.maximum(r, g), b)
    spread = value - jnp.minimum(jnp.minimum(r, g), b)
    saturation = jnp.where(value > 0, spread / jnp.where(value > 0, value, 1), 0)
    sixth = 1 / (6 * jnp.where(spread > 0, spread, 1))
    hue = jnp.where(value == g, sixth * (b - r) + 2 / 6, sixth * (r - g) + 4 / 6)
    hue = jnp.where(value == r, sixth * (g - b), hue)
    hue = jnp.where(spread > 0, hue, 0) + (hue < 0).astype(hue.dtype)
    return hue, saturation, value


@op
def hsv_to_rgb(images: Any, data_format: str | None = None) -> jax.Array:
    """Hue, saturation and value, from 0 to 1, as red, green and blue.

    >>> hsv_to_rgb(jnp.array([[[0.0, 1.0, 0.5]]])).ravel().tolist()
    [0.5, 0.0, 0.0]
    """
    (hue, saturation, value), axis = _colours(images, data_format)
    return jnp.stack([value * (1 - saturation + saturation * s) for s in _hue_shares(hue)], axis)


def _hue_shares(hue: jax.Array) -> list[jax.Array]:
    """How far red, green and blue are from the least to the largest of the three, for a hue."""
    sixths = jnp.mod(hue, 1) * 6
    shares = (jnp.abs(sixths - 3) - 1, 2 - jnp.abs(sixths - 2), 2 - jnp.abs(sixths - 4))
    return [jnp.clip(share, 0, 1) for share in shares]


# -- sizes ------------------------------------------------------------------------------------


@op
def resize(
    images: Any,
    size: Sequence[int],
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> jax.Array:
    """Images of another size.

    Args:
        images: `(height, width, channels)`, or a batch of them.
        size: `(height, width)` of the results.
        interpolation: `"bilinear"`, `"nearest"`, `"bicubic"`, `"lanczos3"` or `"lanczos5"`.
        antialias: whether smaller images are smoothed.
        crop_to_aspect_ratio: whether to crop an image instead of distorting it.
        pad_to_aspect_ratio: whether to pad an image with `fill_value` instead.
        fill_mode: must be `"constant"`.
        data_format: `"channels_last"` or `"channels_first"`.

    >>> resize(jnp.ones((2, 2, 3)), (4, 5)).shape
    (4, 5, 3)
    """
    methods = ("bilinear", "nearest", "lanczos3", "lanczos5", "bicubic")
    if interpolation not in methods:
        raise ValueError(
            "Invalid value for argument `interpolation`. Expected of one "
            f"{methods}. Received: interpolation={interpolation}"
        )
    if fill_mode != "constant":
        raise ValueError(
            "Invalid value for argument `fill_mode`. Only `'constant'` is supported. "
            f"Received: fill_mode={fill_mode}"
        )
    if pad_to_aspect_ratio and crop_to_aspect_ratio:
        raise ValueError(
            "Only one of `pad_to_aspect_ratio` & `crop_to_aspect_ratio` can be `True`."
        )
    if not isinstance(size, Sequence) or len(size) != 2:
        raise ValueError(
            "Expected `size` to be a tuple of 2 integers: `size` must be a tuple of two elements "
            f"(height, width). Received: size={size}"
        )
    x = ranked(images)
    *axes, _ = image_axes(data_format)
    height, width = (x.shape[a] for a in axes)
    # The size with this width or height and the target's aspect ratio.
    wanted = (width * size[0] // size[1], height * size[1] // size[0])
    if crop_to_aspect_ratio:
        for axis, n, m in zip(axes, (height, width), wanted):
            m = max(min(n, m), 1)
            x = lax.slice_in_dim(x, (n - m) // 2, (n - m) // 2 + m, axis=axis % x.ndim)
    elif pad_to_aspect_ratio:
        pads = [(0, 0)] * x.ndim
        for axis, n, m in zip(axes, (height, width), wanted):
            pads[axis] = (max(m - n, 0) // 2, max(m - n, 0) // 2)
        x = jnp.pad(x, pads, constant_values=jnp.asarray(fill_value).astype(x.dtype))
    shape = list(x.shape)
    for axis, n in zip(axes, size):
        shape[axis] = n
    out = jax.image.resize(x, shape, interpolation, antialias=antialias)
    if jnp.issubdtype(x.dtype, jnp.integer) and out.dtype != x.dtype:
        out = jnp.round(out)
    return saturate_cast(out, x.dtype)


def _sides(length: Any, before: Any, after: Any, target: Any, sign: int, names: tuple) -> tuple:
    """The amounts to add (`sign` 1) or to crop (-1) before and after, and the resulting length."""
    given = dict(zip(names, (before, after, target)))
    if list(given.values()).count(None) != 1:
        raise ValueError(
            f"Must specify exactly two of {', '.join(names)}. "
            f"Received: {', '.join(f'{k}={v}' for k, v in given.items())}"
        )
    if before is None:
        before = sign * (target - length) - after
    elif after is None:
        after = sign * (target - length) - before
    target = length + sign * (before + after)
    for name, value in zip(names, (before, after, target)):
        if value < 0:
            raise ValueError(f"{name} must be >= 0. Received: {name}={value}")
    return before, after, target


@op
def pad_images(
    images: Any,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> jax.Array:
    """Images padded with zeros; for each direction two of the three numbers are given.

    >>> pad_images(jnp.ones((2, 2, 3)), 1, 0, target_height=5, target_width=4).shape
    (5, 4, 3)
    """
    x = ranked(images)
    rows, columns, _ = image_axes(data_format)
    pads = [(0, 0)] * x.ndim
    names = ("top_padding", "bottom_padding", "target_height")
    pads[rows] = _sides(x.shape[rows], top_padding, bottom_padding, target_height, 1, names)[:2]
    names = ("left_padding", "right_padding", "target_width")
    pads[columns] = _sides(x.shape[columns], left_padding, right_padding, target_width, 1, names)[
        :2
    ]
    return jnp.pad(x, pads)


@op
def crop_images(
    images: Any,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> jax.Array:
    """Parts of images; for each direction two of the three numbers are given.

    >>> crop_images(jnp.ones((4, 5, 3)), 1, 0, target_height=2, target_width=2).shape
    (2, 2, 3)
    """
    x = ranked(images)
    rows, columns, _ = image_axes(data_format)
    names = ("top_cropping", "bottom_cropping", "target_height")
    top, _, height = _sides(x.shape[rows], top_cropping, bottom_cropping, target_height, -1, names)
    names = ("left_cropping", "right_cropping", "target_width")
    left, _, width = _sides(
        x.shape[columns], left_cropping, right_cropping, target_width, -1, names
    )
    x = lax.dynamic_slice_in_dim(x, top, height, rows % x.ndim)
    return lax.dynamic_slice_in_dim(x, left, width, columns % x.ndim)


@op
def extract_patches(
    images: Any,
    size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    dilation_rate: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> jax.Array:
    """Windows of images, the values of each as channels.

    Args:
        images: `(height, width, channels)`, or a batch of them.
        size: of a window; three integers for volumes.
        strides: from one window to the next; the window's size where `None`.
        dilation_rate: the distance between neighbours in a window.
        padding: `"valid"`, or `"same"` for windows that reach beyond the edge, into zeros.
        data_format: `"channels_last"` or `"channels_first"`.

    >>> extract_patches(jnp.ones((4, 4, 3)), 2).shape
    (2, 2, 12)
    """
    rank = 2 if isinstance(size, int) else len(size)
    x = array(images)
    if rank not in (2, 3):
        raise TypeError(
            "Invalid `size` argument. Expected an int or a tuple of length 2 (of 3 for volumes). "
            f"Received: size={size}"
        )
    if x.ndim not in (rank + 1, rank + 2):
        raise ValueError(
            f"Invalid images rank: expected rank {rank + 1} or rank {rank + 2} (a batch). "
            f"Received: images of shape {x.shape}"
        )
    one = x.ndim == rank + 1
    x = x[None] if one else x
    window = arguments.sizes(rank, size=size)
    strides = arguments.sizes(rank, strides=window if strides is None else strides)
    rates = arguments.sizes(rank, dilation_rate=dilation_rate)
    x = x if is_last(data_format) else jnp.moveaxis(x, 1, -1)
    padding = arguments.one_of(("valid", "same"), padding=padding).upper()
    geometry = geometry_of(x.shape[1:-1], window, strides, padding, rates)
    if not fits(x.shape[1:-1], window, geometry):
        raise ValueError(
            f"A window of size={size} with dilation_rate={dilation_rate} is larger than the "
            f"images. Received: images of shape {images.shape}"
        )
    out = jnp.concatenate(slices_of(x, geometry, window), -1)
    out = out if is_last(data_format) else jnp.moveaxis(out, -1, 1)
    return out[0] if one else out


def extract_patches_3d(
    volumes: Any,
    size: int | Sequence[int],
    strides: int | Sequence[int] | None = None,
    dilation_rate: int | Sequence[int] = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> jax.Array:
    """Like `extract_patches`, for `(depth, height, width, channels)` or batches of them.

    >>> extract_patches_3d(jnp.ones((4, 4, 4, 1)), 2).shape
    (2, 2, 2, 8)
    """
    size = (size,) * 3 if isinstance(size, int) else tuple(size)
    if len(size) != 3:
        raise TypeError(
            "Invalid `size` argument. Expected an int or a tuple of length 3. "
            f"Received: size={size}"
        )
    return extract_patches(volumes, size, strides, dilation_rate, padding, data_format)


__all__ = [*image_transforms.__all__, *public(globals())]


def __dir__() -> list[str]:
    return list(__all__)
