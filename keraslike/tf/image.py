"""`tf.image`: operations on images `(height, width, channels)`, or batches of images."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core.context import trace_state_clean
from keraslike.data import resizing
from keraslike.tf import (
    boxes,
    colors,
    distorted,
    documentation,
    dtypes,
    effects,
    image_measures,
    pictures,
    random,
    table,
)
from keraslike.tf.conversion import _as_operand, convert_to_tensor, static
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.indexing import where
from keraslike.tf.moves import moves
from keraslike.tf.operation import operation
from keraslike.tf.ops import cast, concat, pad, reverse
from keraslike.tf.pictures import convert_image_dtype
from keraslike.tf.structure import operates
from keraslike.tf.table import maximum, reduce_mean, reduce_std, reduce_sum, rsqrt
from keraslike.tf.tensor import Tensor, raw, run

for _module in (boxes, colors, distorted, image_measures, pictures):
    globals().update({_name: getattr(_module, _name) for _name in _module.__all__})


class ResizeMethod:
    """The names of the methods of `resize`.

    >>> tf.image.ResizeMethod.BILINEAR
    'bilinear'
    """

    BILINEAR, NEAREST_NEIGHBOR, BICUBIC, AREA = "bilinear", "nearest", "bicubic", "area"
    LANCZOS3, LANCZOS5, GAUSSIAN = "lanczos3", "lanczos5", "gaussian"
    MITCHELLCUBIC = "mitchellcubic"


@operates
def resize(
    images: Any,
    size: Any,
    method: str = "bilinear",
    preserve_aspect_ratio: bool = False,
    antialias: bool = False,
    name: Any = None,
) -> Tensor:
    """Images resized to `size`, float32; the method `"nearest"` keeps the dtype.

    >>> tf.image.resize([[[1.0], [3.0]]], [1, 1]).numpy().tolist()
    [[[2.0]]]
    >>> tf.image.resize([[[1], [3]]], [2, 2], method="nearest").numpy().ravel().tolist()
    [1, 3, 1, 3]
    """
    images = _as_operand(images)
    table.check_kind("image.resize", raw(images), "bcO")
    if dtypes.as_dtype(images.dtype) in (dtypes.uint32, dtypes.uint64):
        raise InvalidArgumentError("tf.image.resize: images of uint32 and uint64 are not resized.")
    if method not in resizing.METHODS:
        raise ValueError(
            f"method must be one of {sorted(resizing.METHODS)}. Received: method={method!r}"
        )
    sizes = static(size)
    whole = isinstance(sizes, tuple) and all(isinstance(n, (int, np.integer)) for n in sizes)
    if len(images.shape) not in (3, 4) or not whole or len(sizes) != 2:
        raise ValueError(
            "tf.image.resize: images must have 3 or 4 axes, and size must be (height, width). "
            f"Received: images of shape {tuple(images.shape)}, size={size}"
        )
    height, width = map(int, sizes)
    if preserve_aspect_ratio:
        have = np.asarray(images.shape[-3:-1], np.float32)
        height, width = map(int, np.round((np.asarray(sizes, np.float32) / have).min() * have))
    if images.shape[-1] == 0:
        raise InvalidArgumentError("tf.image.resize: images must have at least one channel.")
    if min(height, width) <= 0:
        raise InvalidArgumentError(
            f"tf.image.resize: size must be positive. Received: {(height, width)}"
        )
    return run(_resize, (images,), (height, width, method, antialias))


def _resize(x: Any, height: int, width: int, method: str, antialias: bool) -> Any:
    shape = (*x.shape[:-3], height, width, x.shape[-1])
    exact = method != "nearest" or x.dtype.itemsize < 4 or x.dtype == np.float32
    if exact and x.size and jax.default_backend() == "cpu" and trace_state_clean():
        images = np.asarray(x).reshape(-1, *x.shape[-3:])  # numpy needs no program for each size
        made = [resizing.resize(image, (height, width), method, antialias) for image in images]
        made = made[0] if x.ndim == 3 else np.stack(made).reshape(shape)
        return made.astype(x.dtype) if method == "nearest" else made
    if method == "nearest":
        return jax.image.resize(x, shape, "nearest")
    x = x.astype(np.float32)
    if method == "bilinear" and not antialias:
        return jax.image.resize(x, shape, "linear", antialias=False)
    rows, columns = (
        resizing.matrix(size, wanted, method, antialias)
        for size, wanted in zip(x.shape[-3:-1], (height, width))
    )
    return jnp.einsum("Hh,...hwc,Ww->...HWc", rows, x, columns, precision="highest")


def flip_left_right(image: Any) -> Tensor:
    """Images mirrored horizontally.

    >>> tf.image.flip_left_right([[[1], [2]]]).numpy().tolist()
    [[[2], [1]]]
    """
    return _mirrored(image, -2)


def flip_up_down(image: Any) -> Tensor:
    """Images mirrored vertically.

    >>> tf.image.flip_up_down([[[1]], [[2]]]).numpy().tolist()
    [[[2]], [[1]]]
    """
    return _mirrored(image, -3)


def _mirrored(image: Any, axis: int) -> Tensor:
    image = _as_operand(image)
    boxes.check_images("flip", image.shape)
    return reverse(image, [axis])


@operation("image.transpose", "image")
@moves
def transpose(x: Any) -> Any:
    """Images with rows and columns exchanged.

    >>> tf.image.transpose([[[1], [2]]]).numpy().tolist()
    [[[1]], [[2]]]
    """
    boxes.check_images("transpose", x.shape)
    return jnp.swapaxes(x, -3, -2)


@operation("image.rot90", "image")
@moves
def rot90(x: Any, k: int = 1) -> Any:
    """Images rotated counter-clockwise by `k` times 90 degrees.

    >>> tf.image.rot90([[[1], [2]], [[3], [4]]]).numpy().ravel().tolist()
    [2, 4, 1, 3]
    """
    boxes.check_images("rot90", x.shape)
    return jnp.rot90(x, k, (-3, -2))


@operation("image.central_crop", "image", named=False)
def central_crop(x: Any, central_fraction: float) -> Any:
    """The central part of images, a fraction of their height and width.

    >>> tf.image.central_crop(tf.reshape(tf.range(4), [4, 1, 1]), 0.5).numpy().tolist()
    [[[1]], [[2]]]
    """
    if not 0 < central_fraction <= 1:
        raise ValueError(
            f"central_fraction must be above 0 and at most 1. Received: {central_fraction}"
        )
    boxes.check_images("central_crop", x.shape)
    rows, columns = (int((n - n * central_fraction) / 2) for n in x.shape[-3:-1])
    return x[..., rows : x.shape[-3] - rows, columns : x.shape[-2] - columns, :]


@operation("image.crop_to_bounding_box", "image", named=False)
def crop_to_bounding_box(
    x: Any, offset_height: int, offset_width: int, target_height: int, target_width: int
) -> Any:
    """The part of images with a given corner and size.

    >>> tf.image.crop_to_bounding_box(
    ...     tf.reshape(tf.range(6), [2, 3, 1]), 0, 1, 2, 2
    ... ).numpy().tolist()
    [[[1], [2]], [[4], [5]]]
    """
    bottom, right = offset_height + target_height, offset_width + target_width
    corner = offset_height, offset_width
    boxes.check_box("crop_to_bounding_box", x.shape, x.shape, *corner, bottom, right)
    return x[..., offset_height:bottom, offset_width:right, :]


def pad_to_bounding_box(
    image: Any, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any
) -> Tensor:
    """Images padded with zeros to a given size.

    >>> tf.image.pad_to_bounding_box(tf.constant([[[5]]]), 0, 1, 1, 3).numpy().tolist()
    [[[0], [5], [0]]]
    """
    image = _as_operand(image)
    given = static((offset_height, offset_width, target_height, target_width))
    boxes.check_padding("pad_to_bounding_box", tuple(image.shape), *given)
    rows = (offset_height, target_height - offset_height - image.shape[-3])
    columns = (offset_width, target_width - offset_width - image.shape[-2])
    return pad(image, [(0, 0)] * (len(image.shape) - 3) + [rows, columns, (0, 0)])


def rgb_to_grayscale(images: Any, name: Any = None) -> Tensor:
    """The luminance of colours, as one channel.

    >>> tf.image.rgb_to_grayscale(tf.constant([[[1.0, 0.0, 0.0]]])).numpy().round(4).tolist()
    [[[0.2989000082015991]]]
    """
    images = _as_operand(images)
    if images.shape[-1] != 3:
        raise InvalidArgumentError(
            f"tf.image.rgb_to_grayscale: images must have 3 channels. Received: {images.shape}"
        )
    weights = convert_to_tensor(np.asarray([0.2989, 0.587, 0.114], np.float32))
    floats = convert_image_dtype(images, dtypes.float32)
    gray = reduce_sum(floats * weights, -1, keepdims=True)
    return convert_image_dtype(gray, images.dtype)


def grayscale_to_rgb(images: Any, name: Any = None) -> Tensor:
    """Images of one channel, which is repeated three times.

    >>> tf.image.grayscale_to_rgb(tf.constant([[[5]]])).numpy().tolist()
    [[[5, 5, 5]]]
    """
    images = _as_operand(images)
    if images.shape[-1] != 1:
        raise ValueError(f"Images of 1 channel are expected. Received shape {images.shape}.")
    return concat([images] * 3, -1)


_FLOATS = (dtypes.float16, dtypes.float32)


def _in_floats(change: Callable[[Tensor], Tensor], image: Any) -> Tensor:
    image = _as_operand(image)
    given = dtypes.as_dtype(image.dtype)
    return convert_image_dtype(
        change(convert_image_dtype(image, given if given in _FLOATS else dtypes.float32)),
        given,
        saturate=True,
    )


@operates
def adjust_brightness(image: Any, delta: Any) -> Tensor:
    """Images with `delta` added to all values.

    >>> tf.image.adjust_brightness([[[0.5, 1.0]]], 0.25).numpy().tolist()
    [[[0.75, 1.25]]]
    """
    return _in_floats(lambda x: x + cast(delta, x.dtype), image)


def adjust_contrast(images: Any, contrast_factor: Any) -> Tensor:
    """Images with the deviations from each channel's mean scaled by a factor.

    >>> tf.image.adjust_contrast([[[1.0], [3.0]]], 2.0).numpy().tolist()
    [[[0.0], [4.0]]]
    """

    def change(x: Tensor) -> Tensor:
        mean = reduce_mean(x, (-3, -2), keepdims=True)
        return (x - mean) * contrast_factor + mean

    if len(_as_operand(contrast_factor).shape) or len(_as_operand(images).shape) < 3:
        raise InvalidArgumentError("images must have 3 axes, and contrast_factor none.")
    return _in_floats(change, images)


def per_image_standardization(image: Any) -> Tensor:
    """Images standardized to the mean 0 and the variance 1 each.

    >>> tf.image.per_image_standardization([[[1.0], [3.0]]]).numpy().round(4).tolist()
    [[[-1.0], [1.0]]]
    """
    image = cast(image, dtypes.float32)
    boxes.check_images("per_image_standardization", image.shape, np.inf)
    axes = (-3, -2, -1)
    count = int(np.prod(image.shape[-3:]))
    least = rsqrt(convert_to_tensor(float(count)))
    spread = reduce_std(image, axes, keepdims=True)
    return (image - reduce_mean(image, axes, keepdims=True)) / maximum(spread, least)


@operates
def adjust_gamma(image: Any, gamma: float = 1, gain: float = 1) -> Tensor:
    """`gain * image ** gamma`.

    >>> tf.image.adjust_gamma([[[0.5]]], gamma=2.0).numpy().tolist()
    [[[0.25]]]
    """
    effects.check_range("gamma", raw(_as_operand(gamma)), 0, np.inf)
    return _in_floats(lambda x: gain * x**gamma, image)


def _colored(image: Any) -> Any:
    image = _as_operand(image)
    if len(image.shape) < 3 or image.shape[-1] != 3:
        raise InvalidArgumentError(
            f"image must have 3 axes or more, and 3 channels. Received shape: {image.shape}"
        )
    return image


def adjust_hue(image: Any, delta: Any, name: Any = None) -> Tensor:
    """Images with the hue shifted by a fraction of the colour circle, from -1 to 1.

    >>> tf.image.adjust_hue([[[1.0, 0.0, 0.0]]], 0.5).numpy().round(4).tolist()
    [[[0.0, 1.0, 1.0]]]
    """
    image = _colored(image)
    effects.check_range("delta", raw(_as_operand(delta)), -1, 1)
    return _in_floats(lambda x: colors.turned(x, delta), image)


def adjust_saturation(image: Any, saturation_factor: Any, name: Any = None) -> Tensor:
    """Images with the saturation scaled by a factor.

    >>> tf.image.adjust_saturation([[[1.0, 0.5, 0.5]]], 0.0).numpy().tolist()
    [[[1.0, 1.0, 1.0]]]
    """
    return _in_floats(lambda x: colors.saturated(x, saturation_factor), _colored(image))


def adjust_jpeg_quality(image: Any, jpeg_quality: Any, dct_method: str = "", name: Any = None):
    """An image after JPEG compression with a given quality.

    >>> tf.image.adjust_jpeg_quality(tf.zeros([8, 8, 3]), 50).shape
    TensorShape([8, 8, 3])
    """
    image = _as_operand(image)
    coded = pictures.encode_jpeg(
        convert_image_dtype(image, dtypes.uint8, saturate=True), quality=int(static(jpeg_quality))
    )
    channels = int(image.shape[-1])
    return convert_image_dtype(pictures.decode_jpeg(coded, channels), image.dtype, saturate=True)


def resize_with_crop_or_pad(image: Any, target_height: int, target_width: int) -> Tensor:
    """Images cropped centrally, or padded with zeros, to a given size.

    >>> tf.image.resize_with_crop_or_pad(
    ...     tf.reshape(tf.range(4), [4, 1, 1]), 2, 1
    ... ).numpy().ravel().tolist()
    [1, 2]
    """
    image = _as_operand(image)
    if len(image.shape) not in (3, 4):
        raise ValueError(f"image must have 3 or 4 axes. Received shape: {image.shape}")
    for axis, size in ((-3, int(static(target_height))), (-2, int(static(target_width)))):
        have = image.shape[axis]
        if have > size:
            first = (have - size) // 2
            corner = (first, 0) if axis == -3 else (0, first)
            sizes = (size, image.shape[-2]) if axis == -3 else (image.shape[-3], size)
            image = crop_to_bounding_box(image, *corner, *sizes)
        elif have < size:
            first = (size - have) // 2
            corner = (first, 0) if axis == -3 else (0, first)
            sizes = (size, image.shape[-2]) if axis == -3 else (image.shape[-3], size)
            image = pad_to_bounding_box(image, *corner, *sizes)
    return image


def resize_with_pad(
    image: Any,
    target_height: int,
    target_width: int,
    method: str = "bilinear",
    antialias: bool = False,
) -> Tensor:
    """Images resized with their aspect ratio, and padded with zeros to a given size.

    >>> tf.image.resize_with_pad(tf.ones([2, 1, 1]), 2, 3).numpy()[..., 0].tolist()
    [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]
    """
    image = _as_operand(image)
    height, width = image.shape[-3:-1]
    ratio = max(width / target_width, height / target_height)
    exact = (height / ratio, width / ratio)
    top, left = int((target_height - exact[0]) / 2), int((target_width - exact[1]) / 2)
    made = resize(image, [int(n) for n in exact], method, antialias=antialias)
    return pad_to_bounding_box(made, top, left, target_height, target_width)


def random_hue(image: Any, max_delta: float, seed: Any = None) -> Tensor:
    """`adjust_hue` by a random number.

    >>> tf.image.random_hue(tf.zeros([2, 2, 3]), 0.25).shape
    TensorShape([2, 2, 3])
    """
    if not 0 <= max_delta <= 0.5:
        raise ValueError(f"max_delta must be from 0 to 0.5. Received: {max_delta}")
    return adjust_hue(image, random.uniform([], -max_delta, max_delta, seed=seed))


def _check_factors(lower: float, upper: float) -> None:
    if not 0 <= lower < upper:
        raise ValueError(f"0 <= lower < upper was expected. Received: {lower=}, {upper=}")


def random_saturation(image: Any, lower: float, upper: float, seed: Any = None) -> Tensor:
    """`adjust_saturation` by a random factor.

    >>> tf.image.random_saturation(tf.zeros([2, 2, 3]), 0.5, 1.5).shape
    TensorShape([2, 2, 3])
    """
    _check_factors(lower, upper)
    return adjust_saturation(image, random.uniform([], lower, upper, seed=seed))


def random_jpeg_quality(
    image: Any, min_jpeg_quality: int, max_jpeg_quality: int, seed: Any = None
) -> Tensor:
    """`adjust_jpeg_quality` with a random quality.

    >>> tf.image.random_jpeg_quality(tf.zeros([8, 8, 3]), 50, 90).shape
    TensorShape([8, 8, 3])
    """
    bounds = (min_jpeg_quality, max_jpeg_quality)
    return adjust_jpeg_quality(image, random.uniform([], *bounds, dtypes.int32, seed))


def random_crop(value: Any, size: Any, seed: Any = None, name: Any = None) -> Tensor:
    """A part of a tensor, of a given size and at a random position.

    >>> tf.image.random_crop([1, 2, 3, 4], [2]).shape
    TensorShape([2])
    """
    value, size = _as_operand(value), tuple(static(size))
    room = [have - want for have, want in zip(value.shape, size, strict=True)]
    if min(room) < 0:
        raise InvalidArgumentError(
            f"Need value.shape >= size, got {list(value.shape)} and {list(size)}"
        )
    drawn = random.uniform([len(room)], maxval=2**31 - 1, dtype=dtypes.int32, seed=seed)
    return run(_cropped, (value, drawn), (tuple(room), size))


@moves
def _cropped(x: Any, drawn: Any, room: Any, size: Any) -> Any:
    starts = drawn % (jnp.asarray(room, drawn.dtype) + 1)
    return jax.lax.dynamic_slice(x, list(starts), size)


def _of(signature: inspect.Signature) -> Any:
    return signature.parameters.values()


def _stateless(name: str) -> Callable:
    drawing = globals()[name]

    signature = inspect.signature(drawing)
    if name != "random_saturation":  # its seed has the default None in TensorFlow as well
        seeded = [p.replace(default=p.empty) if p.name == "seed" else p for p in _of(signature)]
        signature = signature.replace(parameters=seeded)

    def draw(*args: Any, **kwargs: Any) -> Tensor:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        given.arguments["seed"] = random.Stateless(given.arguments["seed"])
        return drawing(*given.args, **given.kwargs)

    draw.__name__ = draw.__qualname__ = f"stateless_{name}"
    draw.__signature__ = signature  # type: ignore[attr-defined]
    draw.__doc__ = f"`{name}` with draws that a seed of two numbers determines."
    return draw


def _flipped(flip: Callable, image: Any, seed: Any) -> Tensor:
    image = convert_to_tensor(image)
    boxes.check_images("random_flip", image.shape)
    drawn = random.uniform(image.shape[:-3], seed=seed)  # one number for each image
    if not drawn.ndim and not isinstance(drawn._value, jax.core.Tracer):
        return flip(image) if drawn.numpy() < 0.5 else image
    # TensorFlow rounds the draws for a batch, but compares the draw for a single image.
    chosen = drawn > 0.5 if drawn.ndim else drawn < 0.5
    return where(chosen[..., None, None, None], flip(image), image)


def random_flip_left_right(image: Any, seed: Any = None) -> Tensor:
    """Images mirrored horizontally with probability one half, each image independently.

    >>> bool(tf.reduce_sum(tf.image.random_flip_left_right([[[1], [2]]])) == 3)
    True
    """
    return _flipped(flip_left_right, image, seed)


def random_flip_up_down(image: Any, seed: Any = None) -> Tensor:
    """Images mirrored vertically with probability one half, each image independently.

    >>> bool(tf.reduce_sum(tf.image.random_flip_up_down([[[1]], [[2]]])) == 3)
    True
    """
    return _flipped(flip_up_down, image, seed)


@operates
def random_brightness(image: Any, max_delta: float, seed: Any = None) -> Tensor:
    """`adjust_brightness` by a random number.

    >>> tf.image.random_brightness(tf.zeros([2, 2, 3]), 0.5).shape
    TensorShape([2, 2, 3])
    """
    if max_delta < 0:
        raise ValueError(f"max_delta must not be negative. Received: {max_delta}")
    return adjust_brightness(image, random.uniform([], -max_delta, max_delta, seed=seed))


def random_contrast(image: Any, lower: float, upper: float, seed: Any = None) -> Tensor:
    """`adjust_contrast` by a random factor.

    >>> tf.image.random_contrast(tf.zeros([2, 2, 3]), 0.5, 1.5).numpy().max()
    np.float32(0.0)
    """
    _check_factors(lower, upper)
    return adjust_contrast(image, random.uniform([], lower, upper, seed=seed))


_RANDOM = "brightness contrast crop flip_left_right flip_up_down hue jpeg_quality saturation"
_STATELESS = [f"stateless_random_{_name}" for _name in _RANDOM.split()]
for _name in _STATELESS:
    globals()[_name] = _stateless(_name.removeprefix("stateless_"))


documentation.describe(globals(), "image")

__all__ = [
    *boxes.__all__,
    *distorted.__all__,
    *image_measures.__all__,
    *pictures.__all__,
    *colors.__all__,
    *_STATELESS,
    *("ResizeMethod", "adjust_gamma", "adjust_hue", "adjust_jpeg_quality", "adjust_saturation"),
    *("random_crop", "random_hue"),
    *("random_jpeg_quality", "random_saturation", "resize_with_crop_or_pad", "resize_with_pad"),
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
    "random_brightness",
    "random_contrast",
    "random_flip_left_right",
    "random_flip_up_down",
    "resize",
    "rgb_to_grayscale",
    "rot90",
    "transpose",
]
__dir__ = __all__.copy
