"""Layers that move, rotate, scale and distort images at random, with their masks and boxes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from keraslike import ops, random
from keraslike.core.rng import draw_key
from keraslike.layers.image_base import (
    RandomImageLayer,
    Sizes,
    factor_range,
    per_image,
    supported,
    two_numbers,
)
from keraslike.ops import bounding_boxes as boxes_of
from keraslike.ops import image_transforms
from keraslike.ops.wrap import array


class GeometricLayer(RandomImageLayer):
    """Base of layers that move pixels, with masks (by nearest neighbour) and boxes.

    A subclass defines `_transform_images` and `_moved_boxes`.
    """

    def _transform_images(self, images: Any, transformation: Any, interpolation: str) -> Any:
        images = array(images)
        if transformation is None:
            return images
        if images.ndim == 3:
            return self._moved(images[None], transformation, interpolation)[0]
        return self._moved(images, transformation, interpolation)

    def _moved(self, images: jax.Array, transformation: Any, interpolation: str) -> jax.Array:
        raise NotImplementedError

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        if not training or transformation is None:
            return bounding_boxes
        size = self._size(transformation)
        corners = boxes_of.convert_format(bounding_boxes, self.bounding_box_format, "xyxy", *size)
        moved = self._moved_boxes(array(corners["boxes"]), transformation, *size)
        clipped = boxes_of.clip_to_image_size({**corners, "boxes": moved}, *size)
        return boxes_of.convert_format(clipped, "xyxy", self.bounding_box_format, *size)

    def _size(self, transformation: Any) -> tuple[int, int]:
        shape = transformation["input_shape"]
        return shape[self._axes[0]], shape[self._axes[1]]

    def _moved_boxes(
        self, boxes: jax.Array, transformation: Any, height: int, width: int
    ) -> jax.Array:
        raise NotImplementedError(f"{type(self).__name__} does not move bounding boxes.")


class RandomFlip(GeometricLayer):
    """Flips half of the images.

    Args:
        mode: `"horizontal"`, `"vertical"` or `"horizontal_and_vertical"`.
        seed: the seed of the random stream; drawn if it is omitted.
        data_format: `"channels_last"` or `"channels_first"`.

    Accepts images of any dtype and returns the layer's floating-point dtype, as do the layers
    below.

    >>> y = RandomFlip("horizontal", seed=1)(jnp.array([[[1], [2]]] * 8)[:, None, :, 0, None])
    >>> sorted({tuple(row) for row in y[:, 0, :, 0].tolist()})
    [(1.0, 2.0), (2.0, 1.0)]
    """

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.mode = mode
        if mode not in ("horizontal", "vertical", "horizontal_and_vertical"):
            raise ValueError(
                "mode must be 'horizontal', 'vertical' or 'horizontal_and_vertical'. "
                f"Received: mode={mode!r}"
            )

    def _drawn(self, sizes: Sizes, seed: Any) -> Any:
        flips = random.uniform(sizes.each, seed=seed) <= 0.5
        return {"flips": flips, "input_shape": sizes.shape}

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = self._cast(images)
        return self._transform_images(images, transformation, "nearest") if training else images

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        return self.transform_images(segmentation_masks, transformation, training)

    def _moved(self, images: jax.Array, transformation: Any, interpolation: str) -> jax.Array:
        vertical, horizontal = self._axes
        axes = [a for a, name in ((horizontal, "horizontal"), (vertical, "vertical"))
                if name in self.mode]  # fmt: skip
        return jnp.where(transformation["flips"], jnp.flip(images, axes), images)

    def _moved_boxes(
        self, boxes: jax.Array, transformation: Any, height: int, width: int
    ) -> jax.Array:
        flips = jnp.squeeze(array(transformation["flips"]), -1)
        x1, y1, x2, y2 = boxes_of.columns(boxes)
        if "horizontal" in self.mode:
            x1, x2 = width - x2, width - x1
        if "vertical" in self.mode:
            y1, y2 = height - y2, height - y1
        return jnp.where(flips, boxes_of.joined(x1, y1, x2, y2), boxes)


# -- affine -----------------------------------------------------------------------------------


class _AffineLayer(GeometricLayer):
    """Base of layers that move pixels by a matrix for each image, as `ops.image.affine_transform`
    does."""

    def __init__(self, *, fill_mode: str, interpolation: str, fill_value: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.fill_mode = supported(("reflect", "wrap", "constant", "nearest"), fill_mode=fill_mode)
        self.interpolation = supported(("nearest", "bilinear"), interpolation=interpolation)
        self.fill_value = fill_value

    def _moved(self, images: jax.Array, transformation: Any, interpolation: str) -> jax.Array:
        height, width = (images.shape[a] for a in self._axes)
        return ops.image.affine_transform(
            images,
            self._matrix(transformation, height, width),
            interpolation,
            self.fill_mode,
            self.fill_value,
            self.data_format,
        )

    def _matrix(self, transformation: Any, height: int, width: int) -> jax.Array:
        raise NotImplementedError


def _rows(a0: Any, a1: Any, a2: Any, b0: Any, b1: Any, b2: Any) -> jax.Array:
    """The matrices `(images, 8)`, from numbers for all images and arrays with one entry for
    each."""
    return jnp.stack(jnp.broadcast_arrays(a0, a1, a2, b0, b1, b2, 0.0, 0.0), -1)


def _pair(name: str, factor: Any, low: float, above: bool = False) -> tuple[float, float]:
    return factor_range(name, factor, low, 1.0, least=-float("inf"), above=above)


def _shear_range(name: str, factor: Any) -> tuple[float, float]:
    if isinstance(factor, (tuple, list)) and len(factor) == 2 and factor[0] == -factor[1]:
        factor = factor[1]  # The form in which a config contains a single number.
    return _pair(name, factor, 0.0)


class RandomRotation(_AffineLayer):
    """Rotates images about their centre.

    Args:
        factor: the angle as a fraction of a full turn, drawn between `-factor` and `factor` or two
            numbers in `[-1, 1]`.
        fill_mode: how to continue an image beyond its edge: `"reflect"`, `"wrap"`, `"constant"` or
            `"nearest"`.
        interpolation: `"nearest"` or `"bilinear"`.
        fill_value: the constant.

    >>> x = jnp.arange(4.0).reshape(1, 2, 2, 1)
    >>> RandomRotation((0.25, 0.25), interpolation="nearest")(x)[0, :, :, 0].tolist()
    [[1.0, 3.0], [0.0, 2.0]]
    """

    _USE_BASE_FACTOR = True

    def __init__(
        self,
        factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        fill: Any = {"fill_mode": fill_mode, "fill_value": fill_value}
        super().__init__(
            factor=factor, interpolation=interpolation, seed=seed, data_format=data_format,
            **fill, **kwargs,
        )  # fmt: skip

    def _drawn(self, sizes: Sizes, seed: Any) -> Any:
        low, high = (n * 360.0 for n in self.factor)
        angle = random.uniform((sizes.batch,), low, high, seed=seed)
        cos, sin = jnp.cos(jnp.deg2rad(angle)), jnp.sin(jnp.deg2rad(angle))
        x, y = 0.5 * (sizes.width - 1), 0.5 * (sizes.height - 1)
        matrix = _rows(cos, -sin, x - x * cos + y * sin, sin, cos, y - x * sin - y * cos)
        return {
            "angle": angle,
            "rotation_matrix": matrix if len(sizes.shape) == 4 else matrix[0],
            "image_height": sizes.height,
            "image_width": sizes.width,
            "batch_size": sizes.batch,
        }

    def _size(self, transformation: Any) -> tuple[int, int]:
        return transformation["image_height"], transformation["image_width"]

    def _matrix(self, transformation: Any, height: int, width: int) -> jax.Array:
        return transformation["rotation_matrix"]

    def _moved_boxes(
        self, boxes: jax.Array, transformation: Any, height: int, width: int
    ) -> jax.Array:
        angle = array(transformation["angle"])
        none, one = jnp.zeros_like(angle), jnp.ones_like(angle)
        return boxes_of.affine_transform(
            boxes, angle, none, none, one, none, none, height, width
        )  # fmt: skip


class RandomTranslation(_AffineLayer):
    """Translates images vertically and horizontally.

    Args:
        height_factor: the shift as a fraction of the height, drawn between `-height_factor` and
            `height_factor` or two numbers in `[-1, 1]`; positive numbers shift downwards.
        width_factor: the same for the width; positive numbers shift to the right.
        fill_mode, interpolation, fill_value: see `RandomRotation`.

    >>> x = jnp.arange(3.0).reshape(1, 1, 3, 1)
    >>> layer = RandomTranslation(0.0, (1 / 3, 1 / 3), fill_mode="constant")
    >>> layer(x).ravel().round().tolist()
    [0.0, 0.0, 1.0]
    """

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        fill: Any = {"fill_mode": fill_mode, "fill_value": fill_value}
        super().__init__(
            interpolation=interpolation, seed=seed, data_format=data_format, **fill, **kwargs
        )  # fmt: skip
        self.height_factor, self.width_factor = height_factor, width_factor
        self.height_lower, self.height_upper = _pair("height_factor", height_factor, -1.0)
        self.width_lower, self.width_upper = _pair("width_factor", width_factor, -1.0)

    def _drawn(self, sizes: Sizes, seed: Any) -> Any:
        shape = (sizes.batch, 1)
        down = random.uniform(shape, self.height_lower, self.height_upper, seed=seed)
        right = random.uniform(shape, self.width_lower, self.width_upper, seed=seed)
        moved = jnp.concatenate([right * sizes.width, down * sizes.height], 1)
        return {"translations": moved.astype("float32"), "input_shape": sizes.shape}

    def _matrix(self, transformation: Any, height: int, width: int) -> jax.Array:
        right, down = jnp.moveaxis(array(transformation["translations"]), -1, 0)
        return _rows(1.0, 0.0, -right, 0.0, 1.0, -down)

    def _moved_boxes(
        self, boxes: jax.Array, transformation: Any, height: int, width: int
    ) -> jax.Array:
        moved = jnp.moveaxis(array(transformation["translations"]), -1, 0)
        right, down = (per_image(n, boxes) for n in moved)
        x1, y1, x2, y2 = boxes_of.columns(boxes)
        return boxes_of.joined(x1 + right, y1 + down, x2 + right, y2 + down)


class RandomZoom(_AffineLayer):
    """Zooms images in or out.

    Args:
        height_factor: the relative change of the visible height, drawn between `-height_factor` and
            `height_factor` or two numbers in `(-1, 1]`; positive numbers zoom out, negative ones
            zoom in.
        width_factor: the same for the width; `None` keeps the aspect ratio.
        fill_mode, interpolation, fill_value: see `RandomRotation`.

    >>> x = jnp.arange(25.0).reshape(1, 5, 5, 1)
    >>> RandomZoom((-0.5, -0.5))(x)[0, 0, :, 0].tolist()
    [6.0, 6.5, 7.0, 7.5, 8.0]
    """

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        fill: Any = {"fill_mode": fill_mode, "fill_value": fill_value}
        super().__init__(
            interpolation=interpolation, seed=seed, data_format=data_format, **fill, **kwargs
        )  # fmt: skip
        self.height_factor, self.width_factor = height_factor, width_factor
        self.height_lower, self.height_upper = _pair("height_factor", height_factor, -1.0, True)
        if width_factor is not None:
            self.width_lower, self.width_upper = _pair("width_factor", width_factor, -1.0, True)

    def _drawn(self, sizes: Sizes, seed: Any) -> Any:
        shape = (sizes.batch, 1)
        down = random.uniform(shape, 1.0 + self.height_lower, 1.0 + self.height_upper, seed=seed)
        across = down
        if self.width_factor is not None:
            low, high = 1.0 + self.width_lower, 1.0 + self.width_upper
            across = random.uniform(shape, low, high, seed=seed)
        return {"height_zoom": down, "width_zoom": across, "input_shape": sizes.shape}

    def _matrix(self, transformation: Any, height: int, width: int) -> jax.Array:
        across, down = (
            array(transformation[name])[:, 0].astype("float32")
            for name in ("width_zoom", "height_zoom")
        )
        x, y = (width - 1) / 2 * (1 - across), (height - 1) / 2 * (1 - down)
        return _rows(across, 0.0, x, 0.0, down, y)

    def _moved_boxes(
        self, boxes: jax.Array, transformation: Any, height: int, width: int
    ) -> jax.Array:
        matrix = self._matrix(transformation, height, width)[:, :, None, None]
        sides = (matrix[:, 0], matrix[:, 2], width), (matrix[:, 4], matrix[:, 5], height)
        x1, y1, x2, y2 = boxes_of.columns(boxes)
        moved = [
            [(jnp.clip(n, start, zoom * size + start) - start) / zoom for n in pair]
            for pair, (zoom, start, size) in zip(((x1, x2), (y1, y2)), sides)
        ]
        return boxes_of.joined(moved[0][0], moved[1][0], moved[0][1], moved[1][1])


class RandomShear(_AffineLayer):
    """Shears images.

    Args:
        x_factor: the shift between neighbouring rows, in pixels, drawn between `-x_factor` and
            `x_factor` or two numbers in `[0, 1]`, in either direction.
        y_factor: the same for columns.
        interpolation, fill_mode, fill_value: see `RandomRotation`.

    >>> x = jnp.arange(4.0).reshape(1, 2, 2, 1)
    >>> RandomShear((1.0, 1.0), fill_mode="constant", seed=2)(x)[0, 0, :, 0].tolist()
    [0.0, 1.0]
    """

    def __init__(
        self,
        x_factor: Any = 0.0,
        y_factor: Any = 0.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        fill: Any = {"fill_mode": fill_mode, "fill_value": fill_value}
        super().__init__(
            interpolation=interpolation, seed=seed, data_format=data_format, **fill, **kwargs
        )  # fmt: skip
        self.x_factor = _shear_range("x_factor", x_factor)
        self.y_factor = _shear_range("y_factor", y_factor)

    def _drawn(self, sizes: Sizes, seed: Any) -> Any:
        shape, dtype = (sizes.batch, 1), self.compute_dtype
        invert = jnp.where(random.uniform(shape, 0, 1, dtype, seed) > 0.5, -1.0, 1.0)
        down = random.uniform(shape, *self.y_factor, dtype=dtype, seed=seed)
        across = random.uniform(shape, *self.x_factor, dtype=dtype, seed=seed)
        shear = (jnp.concatenate([across, down], 1) * invert).astype(dtype)
        return {"shear_factor": shear, "input_shape": sizes.shape}

    def _matrix(self, transformation: Any, height: int, width: int) -> jax.Array:
        across, down = jnp.moveaxis(array(transformation["shear_factor"]), -1, 0)
        return _rows(1.0, across, 0.0, down, 1.0, 0.0)

    def _moved_boxes(
        self, boxes: jax.Array, transformation: Any, height: int, width: int
    ) -> jax.Array:
        across, down = jnp.moveaxis(array(transformation["shear_factor"]), -1, 0)[..., None]
        sides = (width, height, width, height)
        x1, y1, x2, y2 = (jnp.squeeze(n / m, -1) for n, m in zip(boxes_of.columns(boxes), sides))
        x1 = x1 - across * jnp.where(across < 0, y1, y2)
        x2 = x2 - across * jnp.where(across < 0, y2, y1)
        y1, y2 = (
            y1 - down * jnp.where(down > 0, x2, x1),
            y2 - down * jnp.where(down > 0, x1, x2),
        )
        return jnp.stack([n * m for n, m in zip((x1, y1, x2, y2), sides)], -1)


# -- others -----------------------------------------------------------------------------------


class RandomPerspective(GeometricLayer):
    """Applies a random perspective transformation to some images, which moves their corners.

    Args:
        factor: the probability, drawn between 0 and `factor` or two numbers of `[0, 1]`.
        scale: the maximal displacement of the corners, from 0 to 1.
        interpolation: `"nearest"` or `"bilinear"`.
        fill_value: the value of pixels outside of the image.

    >>> RandomPerspective(seed=1)(jnp.ones((2, 8, 8, 3))).shape
    (2, 8, 8, 3)
    """

    _FACTOR_BOUNDS = (0, 1)

    def __init__(
        self,
        factor: Any = 1.0,
        scale: float = 1.0,
        interpolation: str = "bilinear",
        fill_value: float = 0.0,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self._set_factor(factor)
        if scale < 0.0 or scale > 1.0:
            raise ValueError(f"`scale` must be a number from 0 to 1. Received: scale={scale}")
        self.scale, self.fill_value = scale, fill_value
        self.interpolation = supported(("nearest", "bilinear"), interpolation=interpolation)

    def _drawn(self, sizes: Sizes, seed: Any) -> Any:
        chosen = self._chosen(sizes, seed)
        shape, most, dtype = (sizes.batch, 4, 2), 0.5 * self.scale, self.compute_dtype
        moved = random.uniform(shape, -most, most, dtype, seed)
        x, y = sizes.width - 1, sizes.height - 1
        start = jnp.array([[[0, 0], [x, 0], [0, y], [x, y]]], dtype)
        start = jnp.repeat(start, sizes.batch, axis=0)
        return {
            "apply_perspective": chosen,
            "start_points": start,
            "end_points": start + start * moved,
            "input_shape": sizes.shape,
        }

    def _moved(self, images: jax.Array, transformation: Any, interpolation: str) -> jax.Array:
        moved = ops.image.perspective_transform(
            images,
            transformation["start_points"],
            transformation["end_points"],
            interpolation,
            self.fill_value,
            self.data_format,
        )
        return jnp.where(per_image(transformation["apply_perspective"], images), moved, images)

    def _moved_boxes(
        self, boxes: jax.Array, transformation: Any, height: int, width: int
    ) -> jax.Array:
        points = (
            array(transformation[n]).astype("float32") for n in ("start_points", "end_points")
        )
        matrix = image_transforms.projection(*points)[:, :, None, None]
        a0, a1, a2, b0, b1, b2, c0, c1 = jnp.moveaxis(matrix, 1, 0)
        left, top, right, bottom = boxes_of.columns(boxes)
        x = jnp.concatenate([left, right, left, right], -1)
        y = jnp.concatenate([top, bottom, bottom, top], -1)
        depth = c0 * x + c1 * y + 1
        xs, ys = (a0 * x + a1 * y + a2) / depth, (b0 * x + b1 * y + b2) / depth
        moved = jnp.stack([xs.min(-1), ys.min(-1), xs.max(-1), ys.max(-1)], -1)
        return jnp.where(per_image(transformation["apply_perspective"], moved), moved, boxes)


class RandomElasticTransform(GeometricLayer):
    """Distorts some images by smooth random displacements of their pixels.

    Args:
        factor: the probability, drawn between 0 and `factor` or two numbers of `[0, 1]`.
        scale: the strength of the distortion, drawn between 0 and `scale` or two numbers in `[0,
            1]`.
        interpolation: `"nearest"` or `"bilinear"`.
        fill_mode: what is beyond an image's edge: `"constant"`, `"nearest"`, `"wrap"`,
            `"mirror"` or `"reflect"`.
        fill_value: the constant.
        value_range: the smallest and the largest value of a pixel.

    >>> RandomElasticTransform(seed=1)(jnp.ones((2, 8, 8, 3))).shape
    (2, 8, 8, 3)
    """

    _FACTOR_BOUNDS = (0, 1)

    def __init__(
        self,
        factor: Any = 1.0,
        scale: Any = 1.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        value_range: Any = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self._set_factor(factor)
        self.scale = factor_range("scale", scale, *self._FACTOR_BOUNDS, overlaps=True)
        self.interpolation = supported(("nearest", "bilinear"), interpolation=interpolation)
        modes = ("constant", "nearest", "wrap", "mirror", "reflect")
        self.fill_mode = supported(modes, fill_mode=fill_mode)
        self.fill_value, self.value_range = fill_value, two_numbers(value_range)

    def _drawn(self, sizes: Sizes, seed: Any) -> Any:
        if self.scale[1] == 0 or self.factor[1] == 0:
            return None
        chosen = self._chosen(sizes, seed)
        factor = random.uniform((), *self.scale, dtype=self.compute_dtype, seed=seed)
        # A fixed key, so that masks are distorted like their images.
        return {"apply_transform": chosen, "distortion_factor": factor, "seed": draw_key(seed)}

    def _moved(self, images: jax.Array, transformation: Any, interpolation: str) -> jax.Array:
        height, width = (images.shape[a] for a in self._axes)
        factor = transformation["distortion_factor"]
        bent = image_transforms.bent(
            images,
            max(height, width) * 0.1 * factor,
            min(height, width) * 0.05 * factor,
            interpolation,
            self.fill_mode,
            self.fill_value,
            transformation["seed"],
            self.data_format,
            largest=min(height, width) * 0.05 * self.scale[1],
        )
        bent = jnp.where(per_image(transformation["apply_transform"], images), bent, images)
        return self._cast(jnp.clip(bent, *self.value_range))
