"""Layers that redistribute the colours of images over the range of values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.layers.image_base import ImageOnlyLayer, two_numbers
from keraslike.ops.image_layout import batched
from keraslike.ops.wrap import array


class AutoContrast(ImageOnlyLayer):
    """Stretches the values of each channel of an image to the whole range.

    Args:
        value_range: the smallest and the largest value of a pixel.

    Applies both in training and in inference; a channel with a single value is unchanged. Accepts
    images of any dtype and returns the layer's floating-point dtype.

    >>> AutoContrast()(jnp.array([[[50.0], [100.0]]])).ravel().tolist()
    [0.0, 255.0]
    """

    def __init__(self, value_range: Any = (0, 255), **kwargs: Any):
        super().__init__(**kwargs)
        self.value_range = sorted(two_numbers(value_range))

    def transform_images(
        self, images: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        given, dtype = self._cast(images), self.compute_dtype
        x = self._transform_value_range(given, self.value_range, (0, 255), dtype)
        low, high = (f(x, self._axes, keepdims=True) for f in (jnp.min, jnp.max))
        x = jnp.clip((x - low) * 255.0 / jnp.where(high == low, 1, high - low), 0, 255)
        x = self._transform_value_range(x, (0, 255), self.value_range, dtype)
        return jnp.where(high == low, given, x)


class Equalization(ImageOnlyLayer):
    """Equalizes the histogram of each channel.

    Args:
        value_range: the smallest and the largest value of a pixel.
        bins: the number of bins of the histogram.
        data_format: `"channels_last"` or `"channels_first"`.

    The histogram is taken over all images of a batch, and only in training. Accepts images of any
    dtype; the result has the layer's floating-point dtype in training and the images' dtype
    otherwise.

    >>> Equalization()(jnp.array([[[10.0], [11.0], [12.0]]])).ravel().tolist()
    [0.0, 128.0, 255.0]
    """

    def __init__(
        self,
        value_range: Any = (0, 255),
        bins: int = 256,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.bins = bins
        self.value_range = sorted(two_numbers(value_range))

    def transform_images(
        self, images: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        if not training:
            return array(images)
        x = self._cast(images)
        axis = -1 if self.data_format == "channels_last" else -3
        channels = jnp.moveaxis(x, axis, 0)
        equalized = jax.vmap(self._equalized)(channels.reshape(channels.shape[0], -1))
        return self._cast(jnp.moveaxis(equalized.reshape(channels.shape), 0, axis))

    def _equalized(self, values: jax.Array) -> jax.Array:
        low, high = self.value_range
        scale = 255 / (high - low)
        values = values * scale - low * scale
        last = self.bins - 1
        counted = jnp.clip((values.astype("float32") * last / 255).astype("int32"), 0, last)
        counts = jnp.zeros(self.bins, "int32").at[counted].add(1)
        total = jnp.cumsum(counts)
        first = total[jnp.argmax(total > 0)]
        rest = total[-1] - first
        table = (total - first) * 255 / jnp.where(rest == 0, 1, rest)
        table = jnp.clip(jnp.round(table), 0, 255)
        places = jnp.clip(values / 255.0 * last, 0, last).astype("int32")
        values = jnp.where(jnp.count_nonzero(counts) <= 1, values, table[places])
        return values * ((high - low) / 255) + low

    def compute_output_spec(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        return data


class ContrastLimitedAdaptiveHistogramEqualization(ImageOnlyLayer):
    """Equalizes the histogram of each tile of an image, with limited contrast (Zuiderveld 1994).

    Args:
        value_range: the smallest and the largest value of a pixel.
        clip_limit: the maximal count of a colour, relative to the average; 0 for no limit.
        tile_grid_size: the numbers of tiles along the height and the width.
        data_format: `"channels_last"` or `"channels_first"`.

    Applies both in training and in inference, to each image and channel separately; the dtype is
    unchanged.

    >>> layer = ContrastLimitedAdaptiveHistogramEqualization(tile_grid_size=(1, 1))
    >>> layer(jnp.ones((2, 4, 4, 3))).shape
    (2, 4, 4, 3)
    """

    def __init__(
        self,
        value_range: Any = (0, 255),
        clip_limit: float = 4.0,
        tile_grid_size: Sequence[int] = (8, 8),
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.value_range = two_numbers(value_range)
        self.clip_limit, self.tile_grid_size = clip_limit, tile_grid_size

    def transform_images(
        self, images: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        x = self._transform_value_range(images, self.value_range, (0, 255))
        # Each channel of each image is processed separately.
        x = batched(self._spread, array(x).astype("float32"), self.data_format)
        x = self._transform_value_range(x, (0, 255), self.value_range)
        return x.astype(images.dtype)

    def _spread(self, images: jax.Array) -> jax.Array:
        batch, height, width, channels = images.shape
        rows, columns = self.tile_grid_size
        high, wide = -(-height // rows), -(-width // columns)
        x = jnp.moveaxis(images, -1, 1).reshape(-1, height, width)
        pads = ((0, 0), (0, high * rows - height), (0, wide * columns - width))
        colors = jnp.clip(jnp.pad(x, pads, mode="symmetric"), 0, 255).astype("int32")
        tiles = colors.reshape(-1, rows, high, columns, wide).swapaxes(2, 3)
        tables = jax.vmap(self._table)(tiles.reshape(-1, high * wide))
        tables = tables.reshape(-1, rows, columns, 256)
        top, bottom, down = _between(height, high, rows)
        left, right, across = _between(width, wide, columns)
        colors = colors[:, :height, :width]
        number = jnp.arange(x.shape[0])[:, None, None]

        def look(tile_row: jax.Array, tile_column: jax.Array) -> jax.Array:
            return tables[number, tile_row[:, None], tile_column, colors]

        above = look(top, left) * (1 - across) + look(top, right) * across
        below = look(bottom, left) * (1 - across) + look(bottom, right) * across
        x = above * (1 - down[:, None]) + below * down[:, None]
        return jnp.moveaxis(x.reshape(batch, channels, height, width), 1, -1)

    def _table(self, colors: jax.Array) -> jax.Array:
        """The new value of each of 256 colours in a tile with these colours."""
        counts = jnp.zeros(256, "float32").at[colors].add(1)
        if self.clip_limit > 0:
            most = self.clip_limit * colors.size / 256
            limited = jnp.clip(counts, 0, most)
            counts = limited + jnp.sum(counts - limited) / 256
        total = jnp.cumsum(counts)
        first = jnp.min(total)
        rest = colors.size - first
        return jnp.clip((total - first) * 255 / jnp.where(rest == 0, 1, rest), 0, 255)


def _between(size: int, tile: int, tiles: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The tiles before and after each pixel along an axis, and the weight of the second."""
    place = (jnp.arange(size, dtype="float32") - tile / 2) / tile
    before = jnp.floor(place)
    first, second = (jnp.clip(n, 0, tiles - 1).astype("int32") for n in (before, before + 1))
    return first, second, place - before
