"""Functions of `tf.image` for edges, gradients, patches and quality measures."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from keraslike.ops import image as colors
from keraslike.ops import image_transforms
from keraslike.tf import derivatives, documentation, dtypes, table
from keraslike.tf.conversion import _as_operand, static
from keraslike.tf.errors import InvalidArgumentError, UnimplementedError
from keraslike.tf.operation import operation
from keraslike.tf.ops import cast
from keraslike.tf.pictures import convert_image_dtype
from keraslike.tf.structure import operates
from keraslike.tf.tensor import Tensor, raw, run


@operation("image.sobel_edges", "image", named=False)
def sobel_edges(x: Any) -> Any:
    """Sobel filters for vertical and horizontal gradients, along a last axis.

    >>> edges = tf.image.sobel_edges(tf.reshape(tf.range(9.0), [1, 3, 3, 1]))
    >>> edges[0, 1, 1, 0].numpy().tolist()
    [24.0, 8.0]
    """
    table.check_kind("image.sobel_edges", x, "buic")
    x = jnp.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], "reflect")
    down, right = x[:, 2:] - x[:, :-2], x[:, :, 2:] - x[:, :, :-2]
    smooth = [down[:, :, i : down.shape[2] - 2 + i] for i in range(3)]
    side = [right[:, i : right.shape[1] - 2 + i] for i in range(3)]
    return jnp.stack([p[0] + 2 * p[1] + p[2] for p in (smooth, side)], -1)


def image_gradients(image: Any) -> tuple[Tensor, Tensor]:
    """The differences to the pixels below and to the right, 0 at the edge.

    >>> down, right = tf.image.image_gradients(tf.reshape(tf.range(4.0), [1, 2, 2, 1]))
    >>> down.numpy().ravel().tolist(), right.numpy().ravel().tolist()
    ([2.0, 2.0, 0.0, 0.0], [1.0, 0.0, 1.0, 0.0])
    """
    return run(_image_gradients, (_as_operand(image),))


def _image_gradients(x: Any) -> Any:
    down = jnp.pad(x[:, 1:] - x[:, :-1], [(0, 0), (0, 1), (0, 0), (0, 0)])
    return down, jnp.pad(x[:, :, 1:] - x[:, :, :-1], [(0, 0), (0, 0), (0, 1), (0, 0)])


@operates
def extract_patches(
    images: Any, sizes: Any, strides: Any, rates: Any, padding: str, name: Any = None
) -> Tensor:
    """Patches of images, whose values become channels.

    Args:
        sizes, strides, rates: `[1, rows, columns, 1]`: the sizes of patches, the distances between
            patches, and those between the pixels of a patch.
        padding: `"VALID"` or `"SAME"`.

    >>> image = tf.reshape(tf.range(4), [1, 2, 2, 1])
    >>> tf.image.extract_patches(
    ...     image, [1, 2, 2, 1], [1, 1, 1, 1], [1, 1, 1, 1], "VALID"
    ... ).numpy().tolist()
    [[[[0, 1, 2, 3]]]]
    """
    return _patches_of("image.extract_patches", 2, images, sizes, strides, rates, padding)


def extract_volume_patches(
    input: Any, ksizes: Any, strides: Any, padding: str, name: Any = None
) -> Tensor:
    """Patches of volumes, whose values become channels.

    Args:
        input: `(batch, planes, rows, columns, channels)`.
        ksizes, strides: `[1, planes, rows, columns, 1]`, as in `tf.image.extract_patches`.
        padding: `"VALID"` or `"SAME"`.

    >>> volume = tf.reshape(tf.range(4), [1, 1, 2, 2, 1])
    >>> ones = [1, 1, 1, 1, 1]
    >>> tf.extract_volume_patches(volume, [1, 1, 2, 2, 1], ones, "VALID").numpy().ravel().tolist()
    [0, 1, 2, 3]
    """
    ones = [1, 1, 1, 1, 1]
    return _patches_of("extract_volume_patches", 3, input, ksizes, strides, ones, padding)


def _patches_of(name: str, rank: int, x: Any, *given: Any) -> Tensor:
    sizes, padding = [static(v) for v in given[:-1]], given[-1]
    x = _as_operand(x)
    if any(len(n) != rank + 2 for n in (x.shape, *sizes)):
        raise InvalidArgumentError(
            f"tf.{name}: the input must have {rank + 2} axes, and all sizes a number for each. "
            f"Received: a shape {tuple(x.shape)} and {sizes}"
        )
    if any((n[0], n[-1]) != (1, 1) for n in sizes):
        raise UnimplementedError(
            f"tf.{name}: sizes must be 1 along the batch and the channels. Received: {sizes}"
        )
    if padding not in ("SAME", "VALID") or min(map(min, sizes)) < 1:
        raise InvalidArgumentError(
            f"tf.{name}: padding must be 'SAME' or 'VALID', and all sizes above 0. Received: "
            f"{padding!r}, {sizes}"
        )
    return run(_patches, (x,), (*[n[1:-1] for n in sizes], padding.lower()))


def _patches(x: Any, size: Any, strides: Any, rates: Any, padding: str) -> Any:
    return colors.extract_patches(x, size, strides, rates, padding, "channels_last")


def ssim(
    img1: Any,
    img2: Any,
    max_val: float,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    return_index_map: bool = False,
) -> Tensor:
    """The structural similarity of two images, which is 1 for equal ones.

    >>> picture = tf.ones([16, 16, 1])
    >>> tf.image.ssim(picture, picture, max_val=1.0).numpy().tolist()
    1.0
    """
    first, second, largest = _comparable(img1, img2, max_val, filter_size)
    rest = (bool(return_index_map), largest, filter_size, filter_sigma, k1, k2)
    return run(_ssim, (first, second), rest, name="image.ssim")


def _check_alike(first: Any, second: Any) -> None:
    if len(first.shape) < 3 or first.shape[-3:] != second.shape[-3:]:
        raise ValueError(
            "Images must have the same height, width and channels. Received shapes "
            f"{first.shape} and {second.shape}."
        )


def _comparable(img1: Any, img2: Any, max_val: float, size: int, scales: int = 1) -> Any:
    first, second = (convert_image_dtype(i, dtypes.float32) for i in (img1, img2))
    _check_alike(first, second)
    smallest = min(-(-n // 2 ** (scales - 1)) for n in first.shape[-3:-1])
    if smallest < size:
        raise InvalidArgumentError(
            f"Images of shape {first.shape} are smaller than filter_size={size} at a scale."
        )
    kind = dtypes.as_dtype(_as_operand(img1).dtype)
    return first, second, float(max_val) / (kind.max if kind.is_integer else 1)


def _alike(a: Any, b: Any, *rest: Any) -> tuple[Any, Any]:
    """The similarity around each pixel, and the same without the luminance term."""
    batch = jnp.broadcast_shapes(a.shape[:-3], b.shape[:-3])
    flat = [jnp.broadcast_to(x, (*batch, *x.shape[-3:])).reshape(-1, *x.shape[-3:]) for x in (a, b)]
    luminance, contrast = image_transforms.similarities(flat[0], flat[1], *rest)
    shape = (*batch, *contrast.shape[1:])
    return (luminance * contrast).reshape(shape), contrast.reshape(shape)


def _ssim(a: Any, b: Any, whole: bool, *rest: Any) -> Any:
    return jnp.mean(_alike(a, b, *rest)[0], -1 if whole else (-3, -2, -1))


_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def ssim_multiscale(
    img1: Any,
    img2: Any,
    max_val: float,
    power_factors: Any = _WEIGHTS,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
) -> Tensor:
    """The product of the structural similarities of two images at several scales, each half the
    size of the previous one (Wang et al. 2003).

    Args:
        power_factors: the power of the similarity of each scale, the largest first.

    >>> picture = tf.ones([32, 32, 1])
    >>> tf.image.ssim_multiscale(picture, picture, 1.0, [0.5, 0.5]).numpy().round(4).tolist()
    1.0
    """
    powers = tuple(map(float, static(power_factors)))
    first, second, largest = _comparable(img1, img2, max_val, filter_size, len(powers))
    rest = (powers, largest, filter_size, filter_sigma, k1, k2)
    return run(_multiscale, (first, second), rest, name="image.ssim_multiscale")


def _multiscale(a: Any, b: Any, powers: tuple[float, ...], *rest: Any) -> Any:
    product: Any = 1.0
    for scale, power in enumerate(powers):
        if scale:
            a, b = map(_halved, (a, b))
        both, contrast = _alike(a, b, *rest)
        found = jnp.mean(both if scale == len(powers) - 1 else contrast, (-3, -2))
        product = product * derivatives.power(derivatives.relu(found), power)
    return jnp.mean(product, -1)


def _halved(x: Any) -> Any:
    height, width = x.shape[-3:-1]
    odd = [(0, 0)] * (x.ndim - 3) + [(0, height % 2), (0, width % 2), (0, 0)]
    x = jnp.pad(x, odd, "symmetric")
    blocks = x.reshape(*x.shape[:-3], -(-height // 2), 2, -(-width // 2), 2, x.shape[-1])
    return jnp.mean(blocks, (-4, -2))


def total_variation(images: Any, name: Any = None) -> Tensor:
    """The sum of the absolute differences between neighbouring pixels.

    >>> tf.image.total_variation(tf.constant([[[1.0], [4.0]]])).numpy().tolist()
    3.0
    """
    images = _as_operand(images)
    if len(images.shape) not in (3, 4):
        raise ValueError(f"images must have 3 or 4 axes. Received shape: {tuple(images.shape)}")
    return run(_total_variation, (images,))


def _total_variation(x: Any) -> Any:
    table.check_kind("image.total_variation", x, "buc")
    down, right = (derivatives.absolute(jnp.diff(x, axis=axis)) for axis in (-3, -2))
    axes = (-3, -2, -1)  # sums of integers keep their dtype, as in TensorFlow
    return jnp.sum(down, axes, dtype=x.dtype) + jnp.sum(right, axes, dtype=x.dtype)


def psnr(a: Any, b: Any, max_val: float, name: Any = None) -> Tensor:
    """The peak signal-to-noise ratio of two images, in decibels.

    >>> tf.image.psnr(
    ...     tf.constant([[[0.0]]]), tf.constant([[[1.0]]]), max_val=10.0
    ... ).numpy().round(4).tolist()
    20.0
    """
    first, second = _as_operand(a), _as_operand(b)
    for x in (first, second):
        table.check_kind("image.psnr", raw(x), "bcO")
    _check_alike(first, second)
    given = cast(first, dtypes.float32), cast(second, dtypes.float32)
    return run(_psnr, given, (float(max_val),))


def _psnr(a: Any, b: Any, largest: float) -> Any:
    error = jnp.mean(jnp.square(a - b), (-3, -2, -1))
    return 20 * jnp.log10(largest) - 10 * jnp.log10(error)


documentation.describe(globals(), "image")

__all__ = [
    *("extract_patches", "image_gradients", "psnr", "sobel_edges", "ssim"),
    *("ssim_multiscale", "total_variation"),
]
