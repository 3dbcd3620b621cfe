"""Base classes of layers that transform images, alone or together with labels, masks and boxes."""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from keraslike import ops, random
from keraslike.core import base, context, foreign, lowering, rng
from keraslike.core.arguments import standardize_data_format
from keraslike.core.rng import SeedGenerator
from keraslike.core.tracebacks import is_ours
from keraslike.layers.layer import Layer
from keraslike.ops.wrap import array

# The transformed keys, in order, with the name of a single item of each.
_SINGLE = {
    "images": "single_image",
    "bounding_boxes": "single_bounding_box",
    "labels": "single_label",
    "segmentation_masks": "single_segmentation_mask",
}


class _Backend(types.SimpleNamespace):
    """The value of `self.backend` in layers of Keras's users: functions, and modules of
    functions."""

    name = _backend = "jax"
    random = random

    def __getattr__(self, name: str) -> Any:
        return getattr(ops, name)


class DataLayer(Layer):
    """A layer that may be called in a data pipeline, with host arrays as well as any others.

    Subclasses with randomness set `seed` and `generator`. `self.backend` has Keras's functions:
    `self.backend.numpy.mean`, `self.backend.random.uniform`, `self.backend.image.resize`.
    """

    backend = _Backend()

    def _check_positional(self, argument: Any) -> None:
        """Accepts all arguments, since boxes may be lists."""

    def _get_seed_generator(self, backend: Any = None) -> SeedGenerator:
        if not hasattr(self, "seed") or not hasattr(self, "generator"):
            raise ValueError(
                f"Layer '{self.name}' has no random generator: its constructor must set "
                "`seed` and `generator`."
            )
        return self.generator

    def convert_weight(self, weight: Any) -> Any:
        return weight


class BaseImagePreprocessingLayer(DataLayer):
    """Base of layers that transform images, labels, masks and boxes consistently.

    Args:
        factor: the strength of the change, one number or two, within `_FACTOR_BOUNDS`.
        bounding_box_format: the format of the boxes, as in `utils.bounding_boxes.convert_format`.
        data_format: `"channels_last"` or `"channels_first"`.

    A call takes an image `(height, width, channels)`, a batch of them, or a dict of `"images"` and
    any of `"labels"`, `"segmentation_masks"` and `"bounding_boxes"` (a dict of `"boxes"`
    and `"labels"`). A subclass draws the transformation in `get_random_transformation`, once for a
    batch or for each image, and applies it in `transform_images`, `transform_labels`,
    `transform_bounding_boxes` and `transform_segmentation_masks`. These receive batches, of size
    one if the input is a single image.

    Raises ValueError for boxes if `bounding_box_format` is missing.

    >>> class Darker(BaseImagePreprocessingLayer):
    ...     def transform_images(self, images, transformation, training=True):
    ...         return images / 2 if training else images
    >>> Darker()(jnp.ones((1, 1, 1))).tolist()
    [[[0.5]]]
    """

    _USE_BASE_FACTOR = True
    _FACTOR_BOUNDS: tuple[float, float] = (-1, 1)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in ("get_random_transformation", *(f"transform_{what}" for what in _SINGLE)):
            if name in vars(cls):
                setattr(cls, name, foreign.graph_method(vars(cls)[name]))

    def __init__(
        self,
        factor: Any = None,
        bounding_box_format: str | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.bounding_box_format = bounding_box_format
        self.data_format = standardize_data_format(data_format)
        if self._USE_BASE_FACTOR:
            self._set_factor(factor or 0.0)
        elif factor is not None:
            raise ValueError(
                f"Layer {type(self).__name__} does not take a `factor` argument. "
                f"Received: factor={factor}"
            )

    def _set_factor(self, factor: Any) -> None:
        self.factor = factor_range("factor", factor, *self._FACTOR_BOUNDS, overlaps=True)

    @property
    def _axes(self) -> tuple[int, int]:
        """The axes of height and width, counted from the end."""
        return (-3, -2) if self.data_format == "channels_last" else (-2, -1)

    # -- what subclasses define ---------------------------------------------------------------

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """Draws the transformation for the images in `data`."""
        return None

    def _transform_images(self, images: Any, transformation: Any, interpolation: str) -> Any:
        raise NotImplementedError

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = self._cast(images)
        if training:
            images = self._transform_images(images, transformation, self.interpolation)
        return images

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no transform_labels().")

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no transform_bounding_boxes().")

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        if training:
            return self._transform_images(segmentation_masks, transformation, "nearest")
        return segmentation_masks

    # The same for a single image, which is transformed as a batch of one.

    def transform_single_image(self, image: Any, transformation: Any, training: bool = True) -> Any:
        return self._single("images", image, transformation, training)

    def transform_single_label(self, label: Any, transformation: Any, training: bool = True) -> Any:
        return self._single("labels", label, transformation, training)

    def transform_single_bounding_box(
        self, bounding_box: Any, transformation: Any, training: bool = True
    ) -> Any:
        return self._single("bounding_boxes", bounding_box, transformation, training)

    def transform_single_segmentation_mask(
        self, segmentation_mask: Any, transformation: Any, training: bool = True
    ) -> Any:
        return self._single("segmentation_masks", segmentation_mask, transformation, training)

    def _single(self, what: str, value: Any, transformation: Any, training: bool) -> Any:
        batch = jax.tree.map(lambda x: array(x)[None], value)
        change = getattr(self, f"transform_{what}")
        changed = change(batch, transformation=transformation, training=training)
        return jax.tree.map(lambda x: jnp.squeeze(x, 0), changed)

    # -- calling ------------------------------------------------------------------------------

    def call(self, data: Any, training: bool = True) -> Any:
        if isinstance(data, (list, tuple)):  # Images of one size.
            data = array(data)
        images = data["images"] if isinstance(data, dict) else data
        batched = is_batched(images)
        if isinstance(data, dict) and "bounding_boxes" in data:
            if not self.bounding_box_format:
                raise ValueError(
                    f"Layer '{self.name}' was given bounding boxes of unknown format: pass "
                    f"`bounding_box_format`, as in {type(self).__name__}(..., "
                    "bounding_box_format='xyxy')."
                )
            data = {
                **data,
                "bounding_boxes": densify_bounding_boxes(data["bounding_boxes"], batched),
            }
        if isinstance(data, dict):
            given = {k: data[k] for k in _SINGLE if k in data}
            return {**data, **self._compiled(given, batched, bool(training))}
        return self._compiled({"images": data}, batched, bool(training), alone=True)["images"]

    def _transformed(self, data: dict[str, Any], batched: bool, training: bool, alone: bool) -> Any:
        whole = data["images"] if alone else data
        transformation = self.get_random_transformation(whole, training=training)
        changed = {}
        for what, value in data.items():
            value = jax.tree.map(array, value)
            change = getattr(self, f"transform_{what if batched else _SINGLE[what]}")
            changed[what] = change(value, transformation=transformation, training=training)
        return changed

    def _compiled(
        self, data: dict[str, Any], batched: bool, training: bool, alone: bool = False
    ) -> dict[str, Any]:
        """The result of `_transformed`, outside of traces from a program that is compiled for each
        shape.

        Subclasses defined by users are not compiled, since their methods may have side effects.
        """
        if not is_ours(type(self)) or not context.trace_state_clean() or context.state.tapes:
            return self._transformed(data, batched, training, alone)
        variables, programs = self._programs()
        how = (tuple(data), batched, training, alone, self.compute_dtype)
        if how not in programs:

            def change(leaves: Any) -> Any:
                return self._transformed({k: leaves[k] for k in how[0]}, *how[1:4])

            programs[how] = jax.jit(lowering.lower(change, variables, [self]))
        with rng.drawing if variables else context.using():
            changed, new = programs[how](lowering.values_of(variables), data)
            lowering.write(variables, new)
        return {k: changed[k] for k in data}

    def _programs(self) -> tuple[list[Any], dict[Any, Any]]:
        known = self._cached_facts()
        if "programs" not in known:
            known["programs"] = base.variables_of(self), {}
        return known["programs"]

    def compute_output_spec(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(data, dict):
            return self._traced_spec((data, *args), kwargs)
        return super().compute_output_spec(data, *args, **kwargs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if config.get("bounding_box_format", "") is None:
            del config["bounding_box_format"]
        return config

    # -- colours ------------------------------------------------------------------------------

    def _cast(self, images: Any) -> jax.Array:
        return array(images).astype(self.compute_dtype)

    def _transform_value_range(
        self,
        images: Any,
        original_range: Sequence[float],
        target_range: Sequence[float],
        dtype: Any = "float32",
    ) -> jax.Array:
        """Rescales colours from one range of values to another; equal ranges leave them
        unchanged."""
        low, high = original_range
        new_low, new_high = target_range
        if (low, high) == (new_low, new_high):
            return images
        return (array(images).astype(dtype) - low) / (high - low) * (new_high - new_low) + new_low


class ImageOnlyLayer(BaseImagePreprocessingLayer):
    """Base of layers that only change images, and leave labels, masks and boxes unchanged."""

    _USE_BASE_FACTOR = False

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Any:
        return labels

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        return bounding_boxes

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        return segmentation_masks


class RandomImageLayer(BaseImagePreprocessingLayer):
    """Base of keraslike's random layers: `_drawn` draws the transformation from a random stream."""

    _USE_BASE_FACTOR = False

    def __init__(self, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.seed = seed
        self.generator = SeedGenerator(seed)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        seed = self._get_seed_generator() if seed is None else seed
        return self._drawn(sizes_of(data, self.data_format), seed)

    def _drawn(self, sizes: Sizes, seed: Any) -> Any:
        raise NotImplementedError

    def _chosen(self, sizes: Sizes, seed: Any) -> jax.Array:
        """Which images are transformed; the probability itself is drawn from `factor`."""
        probability = random.uniform((sizes.batch,), *self.factor, seed=seed)
        return random.uniform((sizes.batch,), 0, 1, seed=seed) < probability

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Any:
        return labels


# -- arguments --------------------------------------------------------------------------------


def factor_range(
    name: str,
    factor: Any,
    low: float,
    high: float,
    least: float | None = None,
    overlaps: bool = False,
    above: bool = False,
) -> tuple[float, float]:
    """The range from which a factor is drawn, given one number or two.

    Args:
        low, high: the allowed range.
        least: the lower bound if one number is given; `low` if omitted.
        overlaps: whether the range of two numbers need only overlap with `low` to `high`.
        above: whether numbers must be greater than `low`.

    Raises ValueError, which names the argument, for anything else.
    """
    numbers = factor if isinstance(factor, (tuple, list)) else [factor]
    fits = all(isinstance(n, (int, float, np.number)) for n in numbers)
    if fits and len(numbers) == 2 and overlaps:
        fits = numbers[0] <= high and numbers[1] >= low
    elif fits:
        fits = all((low < n if above else low <= n) and n <= high for n in numbers)
    if not fits or len(numbers) != (2 if numbers is factor else 1):
        raise ValueError(
            f"The `{name}` argument should be a number, or two, in the range "
            f"{'(' if above else '['}{low}, {high}]. Received: {name}={factor}"
        )
    if len(numbers) == 2:
        return min(numbers), max(numbers)
    size = abs(numbers[0])
    return max(-size, low if least is None else least), size


def two_numbers(value_range: Any) -> Any:
    """The least and the largest value of a pixel; raises ValueError unless there are two."""
    if not isinstance(value_range, (tuple, list)) or len(value_range) != 2:
        raise ValueError(
            "The `value_range` argument should be a list of two numbers. "
            f"Received: value_range={value_range}"
        )
    return value_range


def supported(names: Sequence[str], **argument: Any) -> str:
    ((name, value),) = argument.items()
    if value not in names:
        raise NotImplementedError(f"Unknown `{name}` {value}. Expected of one {tuple(names)}.")
    return value


# -- images and boxes -------------------------------------------------------------------------


def is_batched(images: Any) -> bool:
    if len(images.shape) not in (3, 4):
        raise ValueError(
            "Expected the input image to be rank 3 or 4. "
            f"Received: inputs.shape={tuple(images.shape)}"
        )
    return len(images.shape) == 4


class Sizes(NamedTuple):
    """The sizes of the images in the input of a layer."""

    shape: tuple[int, ...]
    batch: int  # 1 for a single image.
    height: int
    width: int

    @property
    def each(self) -> tuple[int, ...]:
        """The shape of one number for each image, which broadcasts to the images."""
        return (*self.shape[:-3], 1, 1, 1)


def sizes_of(data: Any, data_format: str) -> Sizes:
    images = data["images"] if isinstance(data, dict) else data
    batch = images.shape[0] if is_batched(images) else 1
    first = -3 if data_format == "channels_last" else -2
    return Sizes(tuple(images.shape), batch, images.shape[first], images.shape[first + 1])


def per_image(values: Any, like: Any) -> jax.Array:
    """One number per image, reshaped to broadcast to `like`."""
    values = array(values)
    return values.reshape(values.size, *[1] * (len(like.shape) - 1)) if like.ndim else values


def densify_bounding_boxes(
    bounding_boxes: Any,
    is_batched: bool = False,
    max_boxes: int | None = None,
    boxes_default_value: float = 0,
    labels_default_value: int = -1,
    backend: Any = None,
) -> dict[str, Any]:
    """Boxes and labels as arrays; lists of different lengths are padded.

    >>> boxes = {"boxes": [[[0, 0, 1, 1]], []], "labels": [[3], []]}
    >>> densify_bounding_boxes(boxes, is_batched=True)["labels"].tolist()
    [[3], [-1]]
    """
    validate_bounding_boxes(bounding_boxes)
    boxes, labels = bounding_boxes["boxes"], bounding_boxes["labels"]
    if isinstance(boxes, list):
        most = max_boxes
        if most is None:
            most = max(map(len, boxes), default=0) if is_batched else len(boxes)

        def filled(values: Any, default: float, *each: int) -> np.ndarray:
            x = np.asarray(values, "float32").reshape(-1, *each)[:most]
            return np.concatenate([x, np.full((most - len(x), *each), default, "float32")])

        rows, numbers = (boxes, labels) if is_batched else ([boxes], [labels])
        boxes = np.stack([filled(row, boxes_default_value, 4) for row in rows])
        labels = np.stack([filled(row, labels_default_value) for row in numbers]).astype("int32")
        boxes, labels = (boxes, labels) if is_batched else (boxes[0], labels[0])
    return {**bounding_boxes, "boxes": array(boxes).astype("float32"), "labels": array(labels)}


def validate_bounding_boxes(bounding_boxes: Any) -> None:
    """Raises ValueError unless these are boxes with matching labels."""
    if not isinstance(bounding_boxes, dict) or not {"boxes", "labels"} <= set(bounding_boxes):
        raise ValueError(
            "Expected `bounding_boxes` argument to be a dict with keys 'boxes' and 'labels'. "
            f"Received: bounding_boxes={bounding_boxes}"
        )
    boxes, labels = bounding_boxes["boxes"], bounding_boxes["labels"]
    if isinstance(boxes, list):
        if not isinstance(labels, list) or len(boxes) != len(labels):
            raise ValueError(
                "If `bounding_boxes['boxes']` is a list, then `bounding_boxes['labels']` must also "
                f"be a list, of the same length. Received: {len(boxes)} boxes, labels={labels}"
            )
        return
    rank, of_labels = len(boxes.shape), len(labels.shape)
    if rank not in (2, 3):
        raise ValueError(
            "bounding_boxes['boxes'] must be of shape (boxes, 4), or (batch, boxes, 4). "
            f"Received: bounding_boxes['boxes'].shape={boxes.shape}"
        )
    if of_labels not in (rank - 1, rank):
        raise ValueError(
            f"bounding_boxes['labels'] must be of rank {rank - 1} or {rank} beside boxes of shape "
            f"{boxes.shape}. Received: bounding_boxes['labels'].shape={labels.shape}"
        )
