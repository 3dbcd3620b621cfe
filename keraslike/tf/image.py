"""`tf.image`: pictures as tensors `(height, width, channels)`, or batches of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.tf import dtypes, pictures, random
from keraslike.tf.ops import cast, concat, pad, reverse, saturate_cast, where
from keraslike.tf.table import maximum, reduce_mean, reduce_std, reduce_sum, rsqrt
from keraslike.tf.tensor import Tensor, _as_operand, convert_to_tensor, operation, run, static

_METHODS = {"bilinear": "linear", "nearest": "nearest", "bicubic": "cubic", "lanczos3": "lanczos3"}

globals().update({name: getattr(pictures, name) for name in pictures.__all__})


def resize(
    images: Any,
    size: Any,
    method: str = "bilinear",
    preserve_aspect_ratio: bool = False,
    antialias: bool = False,
    name: Any = None,
) -> Tensor:
    """Pictures of another size, float32; the method `"nearest"` keeps the dtype."""
    images = _as_operand(images)
    if method not in _METHODS:
        raise ValueError(f"method must be one of {sorted(_METHODS)}. Received: method={method!r}")
    height, width = static(size)
    if preserve_aspect_ratio:
        factor = min(height / images.shape[-3], width / images.shape[-2])
        height, width = round(images.shape[-3] * factor), round(images.shape[-2] * factor)
    return run(_resize, (images,), (height, width, method, antialias))


def _resize(x: Any, height: int, width: int, method: str, antialias: bool) -> Any:
    shape = (*x.shape[:-3], height, width, x.shape[-1])
    if method == "nearest":
        return jax.image.resize(x, shape, "nearest")
    return jax.image.resize(x.astype(np.float32), shape, _METHODS[method], antialias=antialias)


def flip_left_right(image: Any) -> Tensor:
    """Pictures mirrored, left to right."""
    return reverse(image, [-2])


def flip_up_down(image: Any) -> Tensor:
    """Pictures mirrored, top to bottom."""
    return reverse(image, [-3])


@operation("image.transpose", "image")
def transpose(x: Any) -> Any:
    """Rows and columns exchanged."""
    return jnp.swapaxes(x, -3, -2)


@operation("image.rot90", "image")
def rot90(x: Any, k: int = 1) -> Any:
    """Pictures turned by `k` quarters, counter-clockwise."""
    return jnp.rot90(x, k, (-3, -2))


@operation("image.central_crop", "image")
def central_crop(x: Any, central_fraction: float) -> Any:
    """The middle of a picture, a fraction of its height and width."""
    rows, columns = (int((n - n * central_fraction) / 2) for n in x.shape[-3:-1])
    return x[..., rows : x.shape[-3] - rows, columns : x.shape[-2] - columns, :]


@operation("image.crop_to_bounding_box", "image")
def crop_to_bounding_box(x: Any, top: int, left: int, height: int, width: int) -> Any:
    """The part of a picture that begins at a corner."""
    return x[..., top : top + height, left : left + width, :]


def pad_to_bounding_box(image: Any, top: Any, left: Any, height: Any, width: Any) -> Tensor:
    """A picture on a larger black one."""
    image = _as_operand(image)
    rows = (top, height - top - image.shape[-3])
    columns = (left, width - left - image.shape[-2])
    return pad(image, [(0, 0)] * (len(image.shape) - 3) + [rows, columns, (0, 0)])


def rgb_to_grayscale(images: Any, name: Any = None) -> Tensor:
    """The brightness of colours, one channel."""
    images = _as_operand(images)
    weights = convert_to_tensor(np.asarray([0.2989, 0.587, 0.114], np.float32))
    gray = reduce_sum(cast(images, dtypes.float32) * weights, -1, keepdims=True)
    return cast(gray, images.dtype)


def grayscale_to_rgb(images: Any, name: Any = None) -> Tensor:
    """One channel three times."""
    return concat([images] * 3, -1)


def convert_image_dtype(image: Any, dtype: Any, saturate: bool = False, name: Any = None) -> Tensor:
    """A picture in another dtype: floats run from 0 to 1, integers to the largest of theirs."""
    image, wanted = _as_operand(image), dtypes.as_dtype(dtype)
    given = dtypes.as_dtype(image.dtype)
    if given is wanted:
        return image
    if given.is_integer and wanted.is_integer:
        scale = (wanted.max + 1) / (given.max + 1)
        return cast(cast(image, dtypes.float32) * scale, wanted)
    if given.is_integer:
        return cast(image, wanted) * (1.0 / given.max)
    if wanted.is_integer:
        scaled = image * (wanted.max + 0.5)
        return saturate_cast(scaled, wanted) if saturate else cast(scaled, wanted)
    return cast(image, wanted)


def _in_floats(change: Callable[[Tensor], Tensor], image: Any) -> Tensor:
    image = _as_operand(image)
    given = dtypes.as_dtype(image.dtype)
    return convert_image_dtype(
        change(convert_image_dtype(image, dtypes.float32 if given.is_integer else given)),
        given,
        saturate=True,
    )


def adjust_brightness(image: Any, delta: Any) -> Tensor:
    """A number added to all values."""
    return _in_floats(lambda x: x + delta, image)


def adjust_contrast(images: Any, contrast_factor: Any) -> Tensor:
    """The distances from each channel's mean, times a factor."""

    def change(x: Tensor) -> Tensor:
        mean = reduce_mean(x, (-3, -2), keepdims=True)
        return (x - mean) * contrast_factor + mean

    return _in_floats(change, images)


def per_image_standardization(image: Any) -> Tensor:
    """Each picture with mean 0 and variance 1."""
    image = cast(image, dtypes.float32)
    axes = (-3, -2, -1)
    count = int(np.prod(image.shape[-3:]))
    least = rsqrt(convert_to_tensor(float(count)))
    spread = reduce_std(image, axes, keepdims=True)
    return (image - reduce_mean(image, axes, keepdims=True)) / maximum(spread, least)


def random_flip_left_right(image: Any, seed: Any = None) -> Tensor:
    """Mirrored with probability one half."""
    return where(random.uniform([], seed=seed) < 0.5, flip_left_right(image), image)


def random_flip_up_down(image: Any, seed: Any = None) -> Tensor:
    """Turned upside down with probability one half."""
    return where(random.uniform([], seed=seed) < 0.5, flip_up_down(image), image)


def random_brightness(image: Any, max_delta: float, seed: Any = None) -> Tensor:
    """`adjust_brightness` by a random number."""
    return adjust_brightness(image, random.uniform([], -max_delta, max_delta, seed=seed))


def random_contrast(image: Any, lower: float, upper: float, seed: Any = None) -> Tensor:
    """`adjust_contrast` by a random factor."""
    return adjust_contrast(image, random.uniform([], lower, upper, seed=seed))


def total_variation(images: Any, name: Any = None) -> Tensor:
    """The sum of the differences between neighbours."""
    return run(_total_variation, (_as_operand(images),))


def _total_variation(x: Any) -> Any:
    down, right = jnp.abs(jnp.diff(x, axis=-3)), jnp.abs(jnp.diff(x, axis=-2))
    return jnp.sum(down, (-3, -2, -1)) + jnp.sum(right, (-3, -2, -1))


def psnr(a: Any, b: Any, max_val: float, name: Any = None) -> Tensor:
    """The signal-to-noise ratio of two pictures, decibels."""
    return run(_psnr, (cast(a, dtypes.float32), cast(b, dtypes.float32)), (float(max_val),))


def _psnr(a: Any, b: Any, largest: float) -> Any:
    error = jnp.mean(jnp.square(a - b), (-3, -2, -1))
    return 20 * jnp.log10(largest) - 10 * jnp.log10(error)


__all__ = [
    "adjust_brightness",
    "adjust_contrast",
    "central_crop",
    "convert_image_dtype",
    "crop_to_bounding_box",
    "flip_left_right",
    "flip_up_down",
    "grayscale_to_rgb",
    "pad_to_bounding_box",
    "per_image_standardization",
    "psnr",
    "random_brightness",
    "random_contrast",
    "random_flip_left_right",
    "random_flip_up_down",
    "resize",
    "rgb_to_grayscale",
    "rot90",
    "total_variation",
    "transpose",
    *pictures.__all__,
]


def __dir__() -> list[str]:
    return list(__all__)
