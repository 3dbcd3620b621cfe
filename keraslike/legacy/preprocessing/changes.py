"""Transformations of one image, fixed or random. Random numbers come from numpy's global stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keraslike.utils.images import array_to_img, img_to_array


def apply_affine_transform(
    x: Any,
    theta: float = 0,
    tx: float = 0,
    ty: float = 0,
    shear: float = 0,
    zx: float = 1,
    zy: float = 1,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    order: int = 1,
) -> np.ndarray:
    """An image rotated and sheared (in degrees), shifted (in pixels) and zoomed about its middle.

    Pixels outside of the image are filled as by `scipy.ndimage` with `mode=fill_mode`.

    >>> apply_affine_transform(np.arange(4.0).reshape(1, 2, 2), tx=1)[0].tolist()
    [[1.0, 1.0], [3.0, 3.0]]
    """
    from scipy import ndimage

    if x.ndim != 3 or {row_axis, col_axis, channel_axis} != {0, 1, 2} or channel_axis == 1:
        raise ValueError(
            "x must have three axes, channels being the first or the last. Received: "
            f"x.shape={x.shape}, {row_axis=}, {col_axis=}, {channel_axis=}"
        )
    turn, lean = np.deg2rad(theta), np.deg2rad(shear)
    matrix = np.array(
        [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
    )
    matrix = matrix @ np.array([[1, 0, tx], [0, 1, ty], [0, 0, 1.0]])
    matrix = matrix @ np.array([[1, -np.sin(lean), 0], [0, np.cos(lean), 0], [0, 0, 1]])
    matrix = matrix @ np.diag([zx, zy, 1.0])
    if np.array_equal(matrix, np.eye(3)):
        return x
    middle = np.eye(3)
    middle[:2, 2] = x.shape[row_axis] / 2 - 0.5, x.shape[col_axis] / 2 - 0.5
    back = np.eye(3)
    back[:2, 2] = -middle[:2, 2]
    matrix = middle @ matrix @ back
    if col_axis > row_axis:  # The matrix lists columns first.
        matrix = matrix[[1, 0, 2]][:, [1, 0, 2]]
    offset: Any = matrix[:2, 2]
    channels = [
        ndimage.affine_transform(
            channel, matrix[:2, :2], offset, order=order, mode=fill_mode, cval=cval
        )
        for channel in np.moveaxis(x, channel_axis, 0)
    ]
    return np.stack(channels, channel_axis)


def apply_channel_shift(x: Any, intensity: float, channel_axis: int = 0) -> np.ndarray:
    """An image with a number added to its values, which are then clipped to their original range.

    >>> apply_channel_shift(np.array([[[1.0, 5.0]]]), 3).tolist()
    [[[4.0, 5.0]]]
    """
    return np.clip(x + intensity, np.min(x), np.max(x))


def apply_brightness_shift(x: Any, brightness: float, scale: bool = True) -> np.ndarray:
    """An image whose brightness is multiplied by `brightness`, as whole numbers from 0 to 255.

    Images with values outside of this range are scaled to it first, and back afterwards if `scale`
    is False. If it is True, all images are stretched to the whole range.

    >>> apply_brightness_shift(np.full((1, 1, 1), 100.0), 0.5, scale=False).tolist()
    [[[50.0]]]
    """
    from PIL import ImageEnhance

    low, high = np.min(x), np.max(x)
    outside = low < 0 or high > 255
    picture = array_to_img(x, scale=bool(outside or scale))
    values = img_to_array(ImageEnhance.Brightness(picture).enhance(brightness))
    return values / 255 * (high - low) + low if outside and not scale else values


def random_rotation(
    x: Any,
    rg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """`apply_affine_transform` with a random angle, at most `rg` degrees."""
    how = (row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order)
    return apply_affine_transform(x, np.random.uniform(-rg, rg), 0, 0, 0, 1, 1, *how)


def random_shift(
    x: Any,
    wrg: float,
    hrg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """`apply_affine_transform` with a random shift, at most these parts of width and height."""
    how = (row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order)
    tx = np.random.uniform(-hrg, hrg) * x.shape[row_axis]
    ty = np.random.uniform(-wrg, wrg) * x.shape[col_axis]
    return apply_affine_transform(x, 0, tx, ty, 0, 1, 1, *how)


def random_shear(
    x: Any,
    intensity: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """`apply_affine_transform` with a random shear, at most `intensity` degrees."""
    how = (row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order)
    shear = np.random.uniform(-intensity, intensity)
    return apply_affine_transform(x, 0, 0, 0, shear, 1, 1, *how)


def random_zoom(
    x: Any,
    zoom_range: Sequence[float],
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """`apply_affine_transform` with a random zoom between two factors, another for each axis."""
    two("zoom_range", zoom_range)
    how = (row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order)
    low, high = zoom_range
    zx, zy = (1, 1) if low == high == 1 else np.random.uniform(low, high, 2)
    return apply_affine_transform(x, 0, 0, 0, 0, zx, zy, *how)


def random_channel_shift(x: Any, intensity_range: float, channel_axis: int = 0) -> np.ndarray:
    """`apply_channel_shift` by a random number, at most `intensity_range`."""
    return apply_channel_shift(x, np.random.uniform(-intensity_range, intensity_range))


def random_brightness(x: Any, brightness_range: Sequence[float], scale: bool = True) -> np.ndarray:
    """`apply_brightness_shift` by a random factor between two."""
    two("brightness_range", brightness_range)
    low, high = brightness_range
    return apply_brightness_shift(x, np.random.uniform(low, high), scale)


def two(name: str, given: Any) -> None:
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise ValueError(f"`{name}` should be a tuple or list of two floats. Received: {given}")
