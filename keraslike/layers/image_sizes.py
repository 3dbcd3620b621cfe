"""Layers that change the size of images or the number of bounding boxes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from keraslike import ops, random
from keraslike.core import rng
from keraslike.core.arguments import positive
from keraslike.layers.image_base import BaseImagePreprocessingLayer, RandomImageLayer, sizes_of
from keraslike.ops.bounding_boxes import clip_to_image_size, columns, convert_format, joined
from keraslike.ops.wrap import array


class _Sized(BaseImagePreprocessingLayer):
    """Base of layers whose outputs have a fixed `height` and `width`, in training and inference."""

    _USE_BASE_FACTOR = False

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        sizes = sizes_of(data, self.data_format)
        return sizes.height, sizes.width

    def transform_labels(
        self, labels: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return labels

    def _change_boxes(self, bounding_boxes: Any, size: tuple[int, int], change: Any) -> Any:
        """Converts boxes of images of `size` to boxes of the layer's outputs."""
        layout, own = self.bounding_box_format, (self.height, self.width)
        corners = convert_format(bounding_boxes, layout, "xyxy", *size)
        changed = {**corners, "boxes": joined(*change(*columns(corners["boxes"])))}
        return convert_format(clip_to_image_size(changed, *own), "xyxy", layout, *own)

    def compute_output_shape(self, input_shape: Any) -> tuple:
        if len(input_shape) not in (3, 4) or isinstance(input_shape[0], (list, tuple)):
            raise ValueError(
                "`input_shape` must be a tuple or list of three sizes, or of four with the "
                f"batch's. Received: input_shape={input_shape}"
            )
        shape = list(input_shape)
        for axis, size in zip(self._axes, (self.height, self.width)):
            shape[axis] = size
        return tuple(shape)


def _window(height: int, width: int, rows: int, columns: int) -> tuple[int, int, int, int]:
    """Top, left, height and width of the largest centred window with the aspect ratio of `rows` by
    `columns`."""
    high = max(min(height, int(width * rows / columns)), 1)
    wide = max(min(width, int(height * columns / rows)), 1)
    return (height - high) // 2, (width - wide) // 2, high, wide


class Resizing(_Sized):
    """Resizes images.

    Args:
        height, width: the size. Both can be None if they are set before the first call.
        interpolation: `"bilinear"`, `"nearest"`, `"bicubic"`, `"lanczos3"` or `"lanczos5"`.
        crop_to_aspect_ratio: whether to crop images to the new aspect ratio instead of distorting
            them.
        pad_to_aspect_ratio: whether to pad them with `fill_value` instead.
        fill_mode: must be `"constant"`.
        antialias: whether to smooth images that are reduced.
        data_format: `"channels_last"` or `"channels_first"`.

    Accepts an image `(height, width, channels)` or a batch of them, and returns the same dtype,
    with integers rounded. Of a dict, `segmentation_masks` are resized by the nearest value, boxes
    that are all 0 or all -1 become 0, and `labels` are unchanged.

    >>> Resizing(4, 5)(jnp.ones((1, 2, 2, 3))).shape
    (1, 4, 5, 3)
    """

    def __init__(
        self,
        height: int | None,
        width: int | None,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self.height = None if height is None else positive(height=height)
        self.width = None if width is None else positive(width=width)
        self.interpolation = interpolation
        self.crop_to_aspect_ratio = crop_to_aspect_ratio
        self.pad_to_aspect_ratio = pad_to_aspect_ratio
        self.fill_mode, self.fill_value = fill_mode, fill_value
        self.antialias = bool(antialias)

    def transform_images(
        self, images: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return self._transform_images(images, transformation, self.interpolation)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return self._transform_images(segmentation_masks, transformation, "nearest")

    def _transform_images(self, images: Any, transformation: Any, interpolation: str) -> Any:
        return ops.image.resize(
            images,
            (self.height, self.width),
            interpolation,
            self.antialias,
            self.crop_to_aspect_ratio,
            self.pad_to_aspect_ratio,
            self.fill_mode,
            self.fill_value,
            self.data_format,
        )

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        height, width = transformation
        given = array(bounding_boxes["boxes"])
        none = jnp.all(given == -1, -1, keepdims=True) | jnp.all(given == 0, -1, keepdims=True)
        down, across, top, left = self.height / height, self.width / width, 0, 0
        if self.pad_to_aspect_ratio:
            down = across = min(down, across)
            top, left = (self.height - height * down) // 2, (self.width - width * across) // 2
        elif self.crop_to_aspect_ratio:
            down = across = max(down, across)
            top, left = -((height * down - self.height) // 2), -((width * across - self.width) // 2)

        def change(x1: Any, y1: Any, x2: Any, y2: Any) -> tuple:
            moved = x1 * across + left, y1 * down + top, x2 * across + left, y2 * down + top
            return tuple(jnp.where(none, 0, n) for n in moved)

        return self._change_boxes(bounding_boxes, (height, width), change)

    def compute_output_spec(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        return self._traced_spec((data, *args), kwargs)  # The output has the dtype of the images.


class CenterCrop(_Sized):
    """Crops the centre of images; smaller images are cropped to the aspect ratio and resized.

    Args:
        height, width: the size.
        data_format: `"channels_last"` or `"channels_first"`.

    Accepts images of any dtype and returns the layer's floating-point dtype.

    >>> CenterCrop(2, 2)(jnp.arange(16.0).reshape(4, 4, 1))[..., 0].tolist()
    [[5.0, 6.0], [9.0, 10.0]]
    """

    def __init__(self, height: int, width: int, data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format=data_format, **kwargs)
        self.height, self.width = height, width

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        return {"input_shape": sizes_of(data, self.data_format).shape}

    def _window_of(self, shape: Any) -> tuple[int, int, int, int]:
        height, width = (shape[axis] for axis in self._axes)
        if height >= self.height and width >= self.width:
            parts = (height - self.height) // 2, (width - self.width) // 2
            return *parts, self.height, self.width
        return _window(height, width, self.height, self.width)

    def transform_images(
        self, images: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        images = self._cast(images)
        top, left, high, wide = self._window_of(images.shape)
        images = _sliced(images, self._axes, (top, left), (high, wide))
        return self._cast(_resized(images, self))

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        return self.transform_images(segmentation_masks, transformation, training=training)

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        shape = transformation["input_shape"]
        size = (shape[self._axes[0]], shape[self._axes[1]])
        return self._change_boxes(bounding_boxes, size, _box_mapping(self._window_of(shape), self))


def _box_mapping(part: tuple, layer: Any) -> Any:
    """The function that maps boxes when a window of an image becomes the layer's output."""
    top, left, high, wide = part
    down, across = layer.height / high, layer.width / wide

    def change(x1: Any, y1: Any, x2: Any, y2: Any) -> tuple:
        xs = ((jnp.clip(x, left, left + wide) - left) * across for x in (x1, x2))
        ys = ((jnp.clip(y, top, top + high) - top) * down for y in (y1, y2))
        return tuple(n for pair in zip(xs, ys) for n in pair)

    return change


def _sliced(images: jax.Array, axes: tuple[int, int], starts: Any, sizes: Any) -> jax.Array:
    for axis, start, size in zip(axes, starts, sizes):
        images = jax.lax.dynamic_slice_in_dim(images, start, size, axis % images.ndim)
    return images


def _resized(images: jax.Array, layer: Any) -> jax.Array:
    size = (layer.height, layer.width)
    if tuple(images.shape[a] for a in layer._axes) == size:
        return images
    return ops.image.resize(images, size, data_format=layer.data_format)


class RandomCrop(RandomImageLayer, _Sized):
    """Crops images to a random window, which is the same for a whole batch, in training, and to
    their centre otherwise.

    Images that are not larger than the window in both directions are resized. Outside training the
    largest centred part with the result's aspect ratio is resized.

    Args:
        height, width: the size.
        seed: the seed of the random stream; drawn if it is omitted.

    Accepts images of any dtype; the result has the layer's floating-point dtype in training and the
    images' dtype otherwise.

    >>> RandomCrop(2, 2, seed=1)(jnp.ones((3, 5, 5, 1))).shape
    (3, 2, 2, 1)
    """

    def __init__(
        self,
        height: int,
        width: int,
        seed: int | None = None,
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        seed = rng.make_seed() if seed is None else seed
        super().__init__(seed=seed, data_format=data_format, name=name, **kwargs)
        self.height, self.width = height, width

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """The row and the column where the window starts, and the size of the images."""
        _, _, height, width = sizes_of(data, self.data_format)
        seed = self._get_seed_generator() if seed is None else seed
        starts: Any = _window(height, width, self.height, self.width)[:2]
        if training and height > self.height and width > self.width:
            most = (float(height - self.height + 1), float(width - self.width + 1))
            starts = [random.uniform((), 0, n, seed=seed).astype("int32") for n in most]
        return *starts, height, width

    def _window_of(self, transformation: Any, size: tuple[int, int], training: bool) -> tuple:
        if not training:
            return _window(*size, self.height, self.width)
        starts, own = transformation[:2], (self.height, self.width)
        left = (n - start if isinstance(start, int) else n for n, start in zip(size, starts))
        return *starts, *map(min, own, left)

    def transform_images(
        self, images: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        images = self._cast(images) if training else array(images)
        size = (images.shape[self._axes[0]], images.shape[self._axes[1]])
        part = self._window_of(transformation, size, training)
        cropped = _sliced(images, self._axes, part[:2], part[2:])
        return _resized(cropped, self).astype(images.dtype)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        return self.transform_images(segmentation_masks, transformation, training)

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        size = tuple(transformation[2:]) or (self.height, self.width)
        part = self._window_of(transformation, size, training)
        return self._change_boxes(bounding_boxes, size, _box_mapping(part, self))


class MaxNumBoundingBoxes(BaseImagePreprocessingLayer):
    """Limits or pads the bounding boxes of each image to a fixed number.

    Args:
        max_number: the number of boxes.
        fill_value: the value of added boxes and labels.

    >>> layer = MaxNumBoundingBoxes(2, bounding_box_format="xyxy")
    >>> boxes = {"boxes": jnp.ones((1, 1, 4)), "labels": jnp.zeros((1, 1))}
    >>> layer({"images": jnp.ones((1, 2, 2, 3)), "bounding_boxes": boxes})["bounding_boxes"][
    ...     "labels"
    ... ].tolist()
    [[0.0, -1.0]]
    """

    _USE_BASE_FACTOR = False

    def __init__(self, max_number: int, fill_value: int = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.max_number, self.fill_value = int(max_number), int(fill_value)

    def transform_images(
        self, images: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return images

    def transform_labels(
        self, labels: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return labels

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return segmentation_masks

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        def cut(values: Any) -> jax.Array:
            x = array(values)[:, : self.max_number]
            pads = [(0, self.max_number - x.shape[1] if a == 1 else 0) for a in range(x.ndim)]
            return jnp.pad(x, pads, constant_values=self.fill_value)

        changed = {name: cut(bounding_boxes[name]) for name in ("boxes", "labels")}
        return {**bounding_boxes, **changed}

    def compute_output_shape(self, input_shape: Any) -> Any:
        if not isinstance(input_shape, dict) or "bounding_boxes" not in input_shape:
            return input_shape
        boxes = input_shape["bounding_boxes"]
        if extra := sorted(set(boxes) - {"boxes", "labels"}):
            raise KeyError(
                f"`bounding_boxes` has `boxes` and `labels` and no other keys. Received: {extra}"
            )
        changed = {k: (s[0], self.max_number, *s[2:]) for k, s in boxes.items()}
        return {**input_shape, "bounding_boxes": changed}
