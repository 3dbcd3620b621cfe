"""Images as they are seen through projections of their plane."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.tf import dtypes
from keraslike.tf.conversion import convert_to_tensor, static
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.tensor import Tensor, run


def image_projective_transform(
    images: Any,
    transforms: Any,
    output_shape: Any,
    fill_value: Any = 0.0,
    interpolation: str = "NEAREST",
    fill_mode: str = "CONSTANT",
) -> Tensor:
    """Images as they are seen through projections of their plane.

    The value at column `x` and row `y` of the result is taken from column
    `(a0 x + a1 y + a2) / k` and row `(b0 x + b1 y + b2) / k`, with `k = c0 x + c1 y + 1`.

    Args:
        images: `(batch, height, width, channels)`.
        transforms: `[a0, a1, a2, b0, b1, b2, c0, c1]` for each image, or for all.
        output_shape: the height and width of the result.
        fill_value: the value beyond the edges, with `fill_mode="CONSTANT"`.
        interpolation: `"NEAREST"` or `"BILINEAR"`.
        fill_mode: `"CONSTANT"`, `"REFLECT"`, `"WRAP"` or `"NEAREST"`.

    Raises InvalidArgumentError for other shapes and names.

    The gradient is TensorFlow's: that of the result, seen through the inverse projections.

    >>> tf.raw_ops.ImageProjectiveTransformV3(
    ...     images=[[[[1.0], [2.0], [3.0]]]],
    ...     transforms=[[1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0]],
    ...     output_shape=[1, 3],
    ...     fill_value=9.0,
    ...     interpolation="NEAREST",
    ... ).numpy().ravel().tolist()
    [2.0, 3.0, 9.0]
    """
    images, transforms = convert_to_tensor(images), convert_to_tensor(transforms, dtypes.float32)
    interpolation, fill_mode = interpolation.upper(), fill_mode.upper()
    if len(images.shape) != 4:
        raise InvalidArgumentError(f"Input images must have rank 4. Received: {images.shape}")
    if len(transforms.shape) != 2 or tuple(transforms.shape) not in ((1, 8), (images.shape[0], 8)):
        raise InvalidArgumentError(
            f"Input transform should be num_images x 8 or 1 x 8. Received: {transforms.shape}"
        )
    if interpolation not in ("NEAREST", "BILINEAR") or fill_mode not in _PLACES:
        raise InvalidArgumentError(
            "interpolation is 'NEAREST' or 'BILINEAR', and fill_mode one of "
            f"{list(_PLACES)}. Received: {interpolation!r}, {fill_mode!r}"
        )
    how = (tuple(static(output_shape)), float(static(fill_value)), interpolation, fill_mode)
    return run(_projected, (images, transforms), how, name="ImageProjectiveTransformV3")


def _reflected(at: Any, size: int) -> Any:
    whole = 2 * size
    low = whole * jnp.trunc(-at / whole) + at
    low = jnp.where(low < -size, low + whole, -low - 1)
    high = at - whole * jnp.trunc(at / whole)
    high = jnp.where(high >= size, whole - high - 1, high)
    return jnp.where(at < 0, low, jnp.where(at > size - 1, high, at))


def _wrapped(at: Any, size: int) -> Any:
    most = max(size - 1, 1)
    low, high = at + size * (jnp.trunc(-at / most) + 1), at - size * jnp.trunc(at / most)
    return jnp.where(at < 0, low, jnp.where(at > size - 1, high, at))


def _within(function: Callable) -> Callable:
    return lambda at, size: jnp.clip(function(at, size), 0, size - 1)


# Where the value for a position beyond the edges is taken from.
_PLACES: dict[str, Callable] = {
    "CONSTANT": lambda at, size: at,
    "REFLECT": _within(_reflected),
    "WRAP": _within(_wrapped),
    "NEAREST": _within(lambda at, size: at),
}


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4, 5))
def _projected(
    images: Any, transforms: Any, shape: Any, fill: float, interpolation: str, mode: str
) -> Any:
    height, width = images.shape[1:3]
    y, x = jnp.meshgrid(*(jnp.arange(n, dtype=np.float32) for n in shape), indexing="ij")
    beyond = jnp.asarray(fill).astype(images.dtype)

    def value(image: Any, rows: Any, columns: Any) -> Any:
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        at = (jnp.where(inside, i, 0).astype(np.int32) for i in (rows, columns))
        return jnp.where(inside[..., None], image[tuple(at)], beyond)

    def one(image: Any, t: Any) -> Any:
        k = t[6] * x + t[7] * y + 1
        columns = _PLACES[mode]((t[0] * x + t[1] * y + t[2]) / k, width)
        rows = _PLACES[mode]((t[3] * x + t[4] * y + t[5]) / k, height)
        if interpolation == "NEAREST":
            away = lambda v: jnp.trunc(v + jnp.copysign(0.5, v))  # noqa: E731
            found = value(image, away(rows), away(columns))
        else:
            top, left = jnp.floor(rows), jnp.floor(columns)
            down, right = (rows - top)[..., None], (columns - left)[..., None]
            corners = [value(image, top + i, left + j) for i in (0, 1) for j in (0, 1)]
            a, b, c, d = (v.astype(np.float32) for v in corners)
            above, below = (1 - right) * a + right * b, (1 - right) * c + right * d
            found = ((1 - down) * above + down * below).astype(images.dtype)
        return jnp.where((k == 0)[..., None], beyond, found)

    return jax.vmap(one)(images, jnp.broadcast_to(transforms, (len(images), 8)))


def _projected_forward(images: Any, transforms: Any, *how: Any) -> Any:
    return _projected(images, transforms, *how), (images.shape, transforms)


def _projected_back(shape: Any, fill: float, interpolation: str, mode: str, kept: Any, g: Any):
    (_, height, width, _), transforms = kept
    ends = jnp.ones_like(transforms[:, :1])
    matrices = jnp.concatenate([transforms, ends], 1).reshape(-1, 3, 3)
    inverse = jnp.linalg.inv(matrices).reshape(-1, 9)
    inverse = (inverse / inverse[:, 8:])[:, :8]
    back = _projected(g, inverse, (height, width), 0.0, interpolation, mode)
    return back, jnp.zeros_like(transforms)


_projected.defvjp(_projected_forward, _projected_back)
