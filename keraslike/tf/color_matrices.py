"""Functions of `tf.image` that convert colors by a matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from keraslike.tf import table
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

__all__ = list(_MATRICES)
