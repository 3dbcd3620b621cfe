"""Image files, as Pillow images and as arrays."""

from __future__ import annotations

import io
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from keraslike.core import arguments, dtypes
from keraslike.core.annotations import checked
from keraslike.core.foreign import library
from keraslike.ops import image as ops

_CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}
_MODES = {"grayscale": ("L", "I;16", "I"), "rgb": ("RGB",), "rgba": ("RGBA",)}
_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")


def _pillow(needed_by: str) -> Any:
    return library("PIL.Image", needed_by, "pillow")


def array_to_img(
    x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None
) -> Any:
    """An array of three axes as a Pillow image.

    Args:
        x: an array with 1, 3 or 4 channels.
        data_format: `"channels_last"` or `"channels_first"`.
        scale: whether to scale the values so that the least is 0 and the largest 255.
        dtype: the dtype of the computation, by default `floatx()`.

    Raises ValueError for other shapes, ImportError without Pillow.

    >>> array_to_img(np.ones((4, 6, 3))).size
    (6, 4)
    """
    image = _pillow("array_to_img()")
    last = arguments.standardize_data_format(data_format) == "channels_last"
    x = np.asarray(x, dtype or dtypes.floatx())
    if x.ndim != 3:
        raise ValueError(
            f"x must be one image, an array of rank 3. Received: an array of shape {x.shape}"
        )
    x = x if last else x.transpose(1, 2, 0)
    if scale:
        x = x - x.min()
        x = x * (255 / x.max()) if x.max() else x
    if x.shape[2] == 1:
        x = x[:, :, 0]
        return image.fromarray(x.astype("int32" if x.max() > 255 else "uint8"))
    if x.shape[2] not in (3, 4):
        raise ValueError(f"Unsupported channel number: {x.shape[2]}")
    return image.fromarray(x.astype("uint8"))


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """A Pillow image as an array of three axes.

    >>> img_to_array(array_to_img(np.ones((4, 6, 3)))).shape
    (4, 6, 3)
    """
    last = arguments.standardize_data_format(data_format) == "channels_last"
    x = np.asarray(img, dtype or dtypes.floatx())
    if x.ndim not in (2, 3):
        raise ValueError(f"Unsupported image shape: {x.shape}")
    x = x[:, :, None] if x.ndim == 2 else x
    return x if last else x.transpose(2, 0, 1)


def save_img(
    path: Any,
    x: Any,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **kwargs: Any,
) -> None:
    """Writes an array as an image file.

    Args:
        path: a path, or an open file.
        x: an array with 1, 3 or 4 channels; JPEG files lose the fourth.
        file_format: the format, by default the suffix of the path.
        scale: see `array_to_img`.
        kwargs: arguments of Pillow's `save()`.

    >>> import tempfile, numpy as np
    >>> path = tempfile.mkdtemp() + "/grey.png"
    >>> save_img(path, np.full((4, 6, 3), 128.0))
    >>> load_img(path).size
    (6, 4)
    """
    if file_format is None and isinstance(path, (str, os.PathLike)):
        file_format = pathlib.Path(path).suffix[1:]
    file_format = "jpeg" if (file_format or "").lower() == "jpg" else file_format
    img = array_to_img(x, data_format, scale)
    if img.mode == "RGBA" and (file_format or "").lower() == "jpeg":
        arguments.warn_user("The JPEG format has no alpha channel: the image is saved as RGB.")
        img = img.convert("RGB")
    img.save(path, format=file_format or None, **kwargs)


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: Sequence[int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """Reads an image file as a Pillow image.

    Args:
        path: a path, or the contents of the file as `io.BytesIO`.
        color_mode: `"grayscale"`, `"rgb"` or `"rgba"`.
        target_size: `(height, width)` to resize to; by default the image is not resized.
        interpolation: `"nearest"`, `"bilinear"`, `"bicubic"`, `"hamming"`, `"box"` or `"lanczos"`.
        keep_aspect_ratio: whether to keep the aspect ratio by cropping the sides.

    Raises ValueError for invalid arguments, Pillow's errors for a file that is not an image.

    >>> file = io.BytesIO()
    >>> save_img(file, np.ones((4, 6, 3)), file_format="png")
    >>> load_img(file, target_size=(8, 8)).size
    (8, 8)
    """
    image = _pillow("load_img()")
    if not isinstance(path, (str, bytes, os.PathLike, io.BytesIO)):
        raise TypeError(f"path should be path-like or io.BytesIO, not {type(path)}")
    if color_mode not in _MODES:
        raise ValueError(
            f'color_mode must be "grayscale", "rgb", or "rgba". Received: color_mode={color_mode!r}'
        )
    if interpolation not in _INTERPOLATIONS:
        raise ValueError(
            f"Invalid interpolation method {interpolation} specified. Supported methods are "
            f"{', '.join(_INTERPOLATIONS)}"
        )
    with image.open(path) as img:
        img.load()
    img = _of_mode(img, color_mode)
    if target_size is None or img.size == (target_size[1], target_size[0]):
        return img
    height, width = target_size
    box = None
    if keep_aspect_ratio:
        wide = min(img.width, img.height * width // height)
        high = min(img.height, img.width * height // width)
        left, top = (img.width - wide) // 2, (img.height - high) // 2
        box = (left, top, left + wide, top + high)
    return img.resize((width, height), image.Resampling[interpolation.upper()], box=box)


def pixels_of(path: str, color_mode: str) -> np.ndarray:
    """The pixels of an image file in 8 bits, as TensorFlow decodes them.

    Pillow takes another cosine transform for JPEGs and other weights for grey, and its conversion
    of 16 bits to colors saturates, where TensorFlow's takes the upper 8.

    >>> import tempfile
    >>> file = tempfile.mkdtemp() + "/image.png"
    >>> array_to_img(np.full((1, 2, 1), 0x1234), scale=False).convert("I;16").save(file, "png")
    >>> pixels_of(file, "rgb").tolist(), np.asarray(load_img(file)).tolist()
    ([[[18, 18, 18], [18, 18, 18]]], [[[255, 255, 255], [255, 255, 255]]])
    """
    from keraslike.tf import pictures  # imported on demand, since it takes long

    image = _pillow("image_dataset_from_directory()")
    data = pathlib.Path(path).read_bytes()
    kind = pictures.format_of(data)
    if kind == "PNG":
        return pictures.decode_png(data, _CHANNELS[color_mode]).numpy()
    if kind != "JPEG":
        with image.open(io.BytesIO(data)) as img:
            return np.asarray(_of_mode(img, color_mode))
    pixels = pictures.decode_jpeg(data, 1 if color_mode == "grayscale" else 3).numpy()
    return np.insert(pixels, 3, 255, -1) if color_mode == "rgba" else pixels


def _of_mode(img: Any, color_mode: str) -> Any:
    modes = _MODES[color_mode]
    return img if img.mode in modes else img.convert(modes[0])


@checked
def smart_resize(
    x: Any,
    size: Sequence[int],
    interpolation: str = "bilinear",
    data_format: str = "channels_last",
) -> Any:
    """The largest central crop of images with the aspect ratio of `size`, resized to `size`.

    >>> smart_resize(np.ones((4, 6, 3)), (8, 8)).shape
    (8, 8, 3)
    """
    if len(size) != 2:
        raise ValueError(f"Expected `size` as a tuple (height, width). Received: size={size}")
    if np.ndim(x) not in (3, 4):
        raise ValueError(
            "Expected an image array with shape `(height, width, channels)`, or `(batch_size, "
            f"height, width, channels)`, but got input with incorrect rank, of shape {np.shape(x)}."
        )
    images = jnp.asarray(x)
    out = ops.resize(
        images, tuple(size), interpolation, crop_to_aspect_ratio=True, data_format=data_format
    )
    return np.asarray(out) if isinstance(x, np.ndarray) else out
