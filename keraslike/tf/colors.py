"""Functions of `tf.image` that convert colors: by a matrix, to and from hue and saturation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from keraslike.ops import image as colors
from keraslike.tf import table
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.operation import operation


def _times(name: str, matrix: Any) -> Callable:
    def times(images: Any) -> Any:
        table.check_kind(f"image.{name}", images, "bui")
        return images @ jnp.asarray(matrix, images.dtype)

    return times


_MATRICES = {
    "rgb_to_yiq": [[0.299, 0.59590059, 0.2115], [0.587, -0.27455667, -0.52273617],
                   [0.114, -0.32134392, 0.31119955]],
    "yiq_to_rgb": [[1, 1, 1], [0.95598634, -0.27201283, -1.10674021],
                   [0.6208248, -0.64720424, 1.70423049]],
    "rgb_to_yuv": [[0.299, -0.14714119, 0.61497538], [0.587, -0.28886916, -0.51496512],
                   [0.114, 0.43601035, -0.10001026]],
    "yuv_to_rgb": [[1, 1, 1], [0, -0.394642334, 2.03206185], [1.13988303, -0.58062185, 0]],
}  # fmt: skip
for _name, _matrix in _MATRICES.items():
    globals()[_name] = operation(f"image.{_name}", "images", named=False)(_times(_name, _matrix))


def _check_colors(name: str, x: Any) -> None:
    table.check_kind(name, x, "buic")
    if not x.ndim or x.shape[-1] != 3:
        raise InvalidArgumentError(
            f"tf.{name}: images must have 3 channels. Received shape: {x.shape}"
        )


def _to_hsv(x: Any) -> Any:
    _check_colors("image.rgb_to_hsv", x)
    return jnp.stack(colors._hsv_of(*jnp.moveaxis(x, -1, 0)), -1)


def _of_hsv(x: Any) -> Any:
    _check_colors("image.hsv_to_rgb", x)
    return colors.hsv_to_rgb(x.reshape(1, -1, 3), "channels_last").reshape(x.shape)


rgb_to_hsv = operation("image.rgb_to_hsv", "images")(_to_hsv)
# TensorFlow has no gradient of it.
hsv_to_rgb = operation("image.hsv_to_rgb", "images", "images")(_of_hsv)


@operation("image.adjust_hue", "image delta")
def turned(x: Any, delta: Any) -> Any:
    # The comparisons of TensorFlow's kernel give the sector of the colour circle and the values
    # in their order, so that a NaN has the same effect.
    r, g, b = x[..., 0], x[..., 1], x[..., 2]
    after = jnp.where(b < r, 1, jnp.where(b > g, 3, 2))
    sector = jnp.where(r < g, after, jnp.where(b < g, 0, jnp.where(b > r, 4, 5)))
    orders = ([r, g, g, b, b, r], [g, r, b, g, r, b], [b, b, r, r, g, g])
    most, middle, least = (jnp.choose(sector, of, mode="clip") for of in orders)
    part = (middle - least) / jnp.where(most == least, 1, most - least)
    hue = jnp.where(most == least, 0, sector + jnp.where(sector % 2 == 0, part, 1 - part))
    hue = jnp.mod(hue + delta * 6, 6)
    sector = jnp.where(jnp.isnan(hue), 5, jnp.clip(hue, 0, 5.5)).astype(sector.dtype)
    part = jnp.where(sector % 2 == 0, hue - sector, 1 - (hue - sector))
    middle = least + part * (most - least)
    orders = (
        [most, middle, least, least, middle, most],
        [middle, most, most, middle, least, least],
    )
    orders = (*orders, [least, least, middle, most, most, middle])
    return jnp.stack([jnp.choose(sector, of, mode="clip") for of in orders], -1).astype(x.dtype)


@operation("image.adjust_saturation", "image factor")
def saturated(x: Any, factor: Any) -> Any:
    hsv = _to_hsv(x)
    return _of_hsv(hsv.at[..., 1].set(jnp.clip(hsv[..., 1] * factor, 0, 1)))


__all__ = [*_MATRICES, "hsv_to_rgb", "rgb_to_hsv"]
