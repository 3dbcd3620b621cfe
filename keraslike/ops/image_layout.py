"""The layout of images in an array: single or batched, channels first or last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core import arguments
from keraslike.ops.wrap import array


def ranked(images: Any, ranks: Sequence[int] = (3, 4), name: str = "images") -> jax.Array:
    x = array(images)
    if x.ndim not in ranks:
        kinds = {3: "3 (single image)", 4: "4 (batch of images)"}
        raise ValueError(
            f"Invalid {name} rank: expected rank {' or rank '.join(kinds[r] for r in ranks)}. "
            f"Received: {name} of shape {x.shape}"
        )
    return x


def is_last(data_format: str | None) -> bool:
    return arguments.standardize_data_format(data_format) == "channels_last"


def image_axes(data_format: str | None) -> tuple[int, int, int]:
    """The axes of height, width and channels, counted from the end."""
    return (-3, -2, -1) if is_last(data_format) else (-2, -1, -3)


def batched(change: Callable, images: Any, data_format: str | None) -> jax.Array:
    """Applies `change` to images as `(batch, height, width, channels)` and restores the layout."""
    x = ranked(images)
    one, last = x.ndim == 3, is_last(data_format)
    x = x[None] if one else x
    x = change(x if last else jnp.moveaxis(x, 1, -1))
    x = x if last else jnp.moveaxis(x, -1, 1)
    return x[0] if one else x
