"""Layers that combine several images, and augmentation policies."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from keraslike import random
from keraslike.core.rng import SeedGenerator, draw_key
from keraslike.layers.image_base import (
    RandomImageLayer,
    Sizes,
    factor_range,
    per_image,
    two_numbers,
)
from keraslike.layers.image_color import (
    ColorLayer,
    RandomBrightness,
    RandomColorDegeneration,
    RandomContrast,
    RandomPosterization,
    RandomSharpness,
    Solarization,
)
from keraslike.layers.image_geometry import RandomRotation, RandomShear, RandomTranslation
from keraslike.layers.image_histogram import AutoContrast, Equalization
from keraslike.ops.wrap import array


def _drawn_windows(layer: Any, sizes: Sizes, fractions: Any, seed: Any) -> tuple[jax.Array, Any]:
    """A window of each image, as a mask to be broadcast, and its area.

    Args:
        fractions: of the width and of the height, an array for each.
    """
    within, area = jnp.ones((), bool), 1.0
    for name, fraction in zip(("width", "height"), fractions):
        length = getattr(sizes, name)
        axis = layer._axes[name == "width"]
        size = (fraction * length).astype(layer.compute_dtype)
        start = random.uniform((sizes.batch,), 0, 1, layer.compute_dtype, seed) * (length - size)
        shape = [1] * 4
        shape[axis] = length
        place = jnp.arange(length, dtype=layer.compute_dtype).reshape(shape)
        start, end = (n[:, None, None, None] for n in (start, start + size))
        within = within & (place >= start) & (place < end)
        area = area * (end - start)
    return within, area


class RandomErasing(ColorLayer):
    """Fills a random rectangle of some images with noise, or with a colour.

    Args:
        factor: the probability, drawn between 0 and `factor` or two numbers of `[0, 1]`.
        scale: the fraction of the image, drawn from this range for each side.
        fill_value: a number, or one per channel for three channels; `None` for noise.
        value_range: the smallest and the largest value of a pixel.

    >>> RandomErasing(seed=1)(jnp.ones((2, 8, 8, 3))).shape
    (2, 8, 8, 3)
    """

    _ALWAYS_CASTS = True
    _FACTOR_BOUNDS = (0, 1)

    def __init__(
        self,
        factor: Any = 1.0,
        scale: Any = (0.02, 0.33),
        fill_value: Any = None,
        value_range: Any = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, seed=seed, **kwargs)
        self._set_factor(factor)
        self.scale = factor_range("scale", scale, *self._FACTOR_BOUNDS, overlaps=True)
        several = isinstance(fill_value, (tuple, list))
        if (
            len(fill_value) != 3
            if several
            else not isinstance(fill_value, (int, float, type(None)))
        ):
            raise ValueError(
                "The `fill_value` argument should be a number (or a list of three numbers) "
                f"Received: fill_value={fill_value}"
            )
        self.fill_value, self.value_range = fill_value, two_numbers(value_range)

    def _drawn(self, sizes: Sizes, seed: Any) -> Any:
        dtype = self.compute_dtype
        shares = jnp.sqrt(random.uniform((sizes.batch, 2), *self.scale, dtype=dtype, seed=seed))
        masks, _ = _drawn_windows(self, sizes, shares.T, seed)
        chosen = self._chosen(sizes, seed)
        if self.fill_value is None:
            fill = random.normal(sizes.shape, dtype=dtype, seed=seed) * self.value_range[1]
        else:
            fill = jnp.asarray(self.fill_value, dtype)
            if fill.ndim and self.data_format == "channels_first":
                fill = fill[:, None, None]
        return {"apply_erasing": chosen, "batch_masks": masks, "fill_value": self._clip(fill)}

    def _colored(self, images: jax.Array, transformation: Any) -> jax.Array:
        erased = array(transformation["batch_masks"])
        erased = erased & per_image(transformation["apply_erasing"], images)
        return jnp.where(erased, self._cast(transformation["fill_value"]), images)


class CutMix(RandomImageLayer):
    """Replaces a rectangle of each image by that of another image of the batch, and mixes the
    labels.

    Args:
        factor: the fraction replaced is drawn from a beta distribution whose parameters are drawn
            between 0 and `factor` or two numbers; larger numbers replace large parts more often.

    Labels must be numbers that can be mixed, such as one-hot codes. A single image is unchanged.
    Boxes raise NotImplementedError.

    >>> CutMix(seed=1)({"images": jnp.ones((4, 8, 8, 3)), "labels": jnp.eye(4)})["labels"].shape
    (4, 4)
    """

    _FACTOR_BOUNDS = (0, 1)

    def __init__(
        self,
        factor: Any = 1.0,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self._set_factor(factor)

    def _drawn(self, sizes: Sizes, seed: Any) -> Any:
        if len(sizes.shape) == 3:
            return None
        dtype = self.compute_dtype
        alpha = random.uniform((), *self.factor, dtype=dtype, seed=seed) + 1e-6
        weight = random.beta((sizes.batch,), alpha, alpha, dtype, seed)
        share = jnp.sqrt(1 - weight)
        masks, area = _drawn_windows(self, sizes, (share, share), seed)
        order = random.shuffle(jnp.arange(sizes.batch, dtype="int32"), seed=seed)
        weight = 1 - area / (sizes.width * sizes.height)
        return {"permutation_order": order, "batch_masks": masks, "mix_weight": weight}

    def transform_images(
        self, images: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        images = self._cast(images)
        if not training or transformation is None:
            return images
        others = jnp.take(images, array(transformation["permutation_order"]), axis=0)
        return jnp.where(transformation["batch_masks"], others, images)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        return self.transform_images(segmentation_masks, transformation, training)

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Any:
        if not training or transformation is None:
            return labels
        return _mixed(labels, transformation)


def _mixed(values: Any, transformation: Any, rank: int | None = None) -> jax.Array:
    values = array(values)
    weight = array(transformation["mix_weight"])
    weight = weight.reshape(-1, *[1] * ((rank or values.ndim) - 1))
    others = jnp.take(values, array(transformation["permutation_order"]), axis=0)
    return weight * values + (1 - weight) * others


class MixUp(RandomImageLayer):
    """Mixes each image with another one of the batch, and their labels (Zhang et al. 1710.09412).

    Args:
        alpha: both parameters of the beta distribution from which the weights are drawn.

    Labels must be numbers that can be mixed, such as one-hot codes. The result has the boxes of
    both images.

    >>> MixUp(seed=1)({"images": jnp.ones((4, 8, 8, 3)), "labels": jnp.eye(4)})["labels"].shape
    (4, 4)
    """

    def __init__(
        self,
        alpha: float = 0.2,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, seed=seed, **kwargs)
        self.alpha = alpha

    def _drawn(self, sizes: Sizes, seed: Any) -> Any:
        order = random.shuffle(jnp.arange(sizes.batch, dtype="int32"), seed=seed)
        weight = random.beta((sizes.batch,), self.alpha, self.alpha, seed=seed)
        return {"mix_weight": weight, "permutation_order": order}

    def transform_images(
        self, images: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        if not training:
            return array(images)
        return self._cast(_mixed(self._cast(images), transformation, 4))

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Any:
        return _mixed(labels, transformation) if training else labels

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        return _mixed(segmentation_masks, transformation) if training else segmentation_masks

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        if not training:
            return bounding_boxes
        order = array(transformation["permutation_order"])

        def both(values: Any) -> jax.Array:
            values = array(values)
            others = jnp.take(values, order, axis=0)
            return jnp.concatenate([values, others], min(1, values.ndim - 1))

        return {name: both(bounding_boxes[name]) for name in ("boxes", "labels")}


# -- policies ---------------------------------------------------------------------------------


class _Keys(SeedGenerator):
    """A key stream derived from one key, for branches of a program in which no state may change."""

    def __init__(self, key: jax.Array):
        self._key, self._count = key, 0

    def _draw(self) -> jax.Array:
        self._count += 1
        return jax.random.fold_in(self._key, self._count)


class _Policy(RandomImageLayer):
    """Base of layers that apply other layers, which are attributes with the names in `_names`."""

    _FACTOR_BOUNDS = (0, 1)
    _names: tuple[str, ...] = (
        *("random_shear", "random_translation", "random_rotation", "random_brightness"),
        *("random_color_degeneration", "random_contrast", "random_sharpness"),
        *("random_posterization", "solarization", "auto_contrast", "equalization"),
    )

    def _make_layers(self) -> None:
        factor, value_range = self.factor, {"value_range": self.value_range}
        shared: dict[str, Any] = {"data_format": self.data_format, "dtype": self.dtype_policy}
        shared["bounding_box_format"] = self.bounding_box_format
        drawn: dict[str, Any] = {**shared, "seed": self.seed}
        moved: dict[str, Any] = drawn | {"interpolation": self.interpolation}
        bits = max(1, int(8 * factor[1]))
        makers: dict[str, Callable] = {
            "random_shear": lambda: RandomShear(factor, factor, **moved),
            "random_translation": lambda: RandomTranslation(factor, factor, **moved),
            "random_rotation": lambda: RandomRotation(factor, **moved),
            "solarization": lambda: Solarization(factor, factor, **value_range, **drawn),
            "random_posterization": lambda: RandomPosterization(bits, **value_range, **drawn),
            "auto_contrast": lambda: AutoContrast(**value_range, **shared),
            "equalization": lambda: Equalization(**value_range, **shared),
            "random_brightness": lambda: RandomBrightness(factor, **value_range, **drawn),
            "random_color_degeneration": lambda: RandomColorDegeneration(
                factor, **value_range, **drawn
            ),
            "random_contrast": lambda: RandomContrast(factor, **value_range, **drawn),
            "random_sharpness": lambda: RandomSharpness(factor, **value_range, **drawn),
        }
        for name, make in makers.items():
            if name in self._names:
                setattr(self, name, make())

    def _applied(self, method: str, value: Any, transformation: Any) -> Any:
        """The result of applying this method of the chosen layers to a value."""
        raise NotImplementedError

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = self._cast(images)
        if not training:
            return images
        return self._applied("transform_images", images, transformation)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any, training: bool = True
    ) -> Any:
        if not training:
            return segmentation_masks
        masks = array(segmentation_masks)
        return self._applied("transform_segmentation_masks", masks, transformation)


class RandAugment(_Policy):
    """Applies random transformations, selected from eleven, to images (Cubuk et al. 1909.13719).

    Args:
        value_range: the smallest and the largest value of a pixel.
        num_ops: the number of successive transformations.
        factor: how much is changed, up to `factor` or between two numbers of `[0, 1]`.
        interpolation: `"nearest"` or `"bilinear"`.

    Which changes are done is drawn for a batch, how much for each image.

    >>> RandAugment(seed=1, num_ops=1)(jnp.ones((2, 8, 8, 3))).shape
    (2, 8, 8, 3)
    """

    def __init__(
        self,
        value_range: Any = (0, 255),
        num_ops: int = 2,
        factor: Any = 0.5,
        interpolation: str = "bilinear",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.value_range, self.num_ops = two_numbers(value_range), num_ops
        self._set_factor(factor)
        self.interpolation = interpolation
        self._make_layers()

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        seed = self._get_seed_generator() if seed is None else seed
        which = random.randint((self.num_ops,), 0, len(self._names), seed=seed)
        transforms = {
            name: getattr(self, name).get_random_transformation(data, seed=seed)
            for name in self._names
        }
        return {"transforms": transforms, "layer_idxes": which}

    def _applied(self, method: str, value: Any, transformation: Any) -> Any:
        """The result of applying this method of the chosen layers, one after another, to a
        value."""

        def branch(name: str, drawn: Any) -> Callable:
            return lambda x: _like(x, getattr(getattr(self, name), method)(x, drawn))

        branches = [branch(*item) for item in transformation["transforms"].items()]
        which = array(transformation["layer_idxes"])
        return lax.scan(lambda x, i: (lax.switch(i, branches, x), None), value, which)[0]

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        if not training:
            return bounding_boxes
        boxes = jax.tree.map(array, bounding_boxes)
        return self._applied("transform_bounding_boxes", boxes, transformation)


def _like(given: Any, changed: Any) -> Any:
    return jax.tree.map(lambda x, y: jnp.asarray(y).astype(x.dtype), given, changed)


class AugMix(_Policy):
    """Mixes images with the results of chains of random transformations (Hendrycks et al.
    1912.02781).

    Args:
        value_range: the smallest and the largest value of a pixel.
        num_chains: the number of chains.
        chain_depth: the maximal number of transformations in a chain.
        factor: how much is changed, up to `factor` or between two numbers of `[0, 1]`.
        alpha: the parameter of the distributions of the weights.
        all_ops: whether to include brightness, contrast, sharpness and saturation.
        interpolation: `"nearest"` or `"bilinear"`.

    The transformations are drawn for the batch, their strength for each image. Boxes are unchanged.

    >>> AugMix(seed=1, num_chains=1, all_ops=False)(jnp.ones((2, 8, 8, 3))).shape
    (2, 8, 8, 3)
    """

    def __init__(
        self,
        value_range: Any = (0, 255),
        num_chains: int = 3,
        chain_depth: int = 3,
        factor: Any = 0.3,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: str = "bilinear",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.value_range = two_numbers(value_range)
        self.num_chains, self.chain_depth = num_chains, chain_depth
        self._set_factor(factor)
        self.alpha, self.all_ops, self.interpolation = alpha, all_ops, interpolation
        if not all_ops:
            self._names = (*self._names[:3], *self._names[7:])
        self._make_layers()

    def _drawn(self, sizes: Sizes, seed: Any) -> Any:
        chains = (self.num_chains, self.chain_depth)
        weights = random.gamma((self.num_chains,), self.alpha, seed=seed)
        return {
            "chain_mixing_weights": weights / jnp.sum(weights),
            "weight_sample": random.beta((), self.alpha, self.alpha, seed=seed),
            # The index of a layer (or of the identity, which comes last) and the key for its
            # transformation.
            "chain_transforms": {
                "layer_idx": random.randint(chains, 0, len(self._names) + 1, seed=seed),
                "key": jax.random.split(draw_key(seed), chains),
            },
        }

    def _applied(self, method: str, value: jax.Array, transformation: Any) -> jax.Array:
        """The weighted mean of a value and of the results of chains that apply this method of
        layers."""

        def change(name: str, x: Any, key: Any) -> Any:
            layer = getattr(self, name)
            drawn = layer.get_random_transformation(x, seed=_Keys(key))
            return _like(x, getattr(layer, method)(x, drawn))

        branches: list[Callable] = [functools.partial(change, name) for name in self._names]
        branches.append(lambda x, key: x)

        def step(x: Any, position: Any) -> Any:
            return lax.switch(position["layer_idx"], branches, x, position["key"]), None

        chains = transformation["chain_transforms"]
        weights = array(transformation["chain_mixing_weights"]).astype(self.compute_dtype)
        if isinstance(chains, dict):

            def chain(mixed: Any, item: Any) -> Any:
                positions, weight = item
                return mixed + lax.scan(step, value, positions)[0] * weight, None

            start = jnp.zeros(value.shape, self.compute_dtype)
            mixed = lax.scan(chain, start, (chains, weights))[0]
        else:  # In Keras's form: layers by name, with their transformations.
            mixed = 0.0
            for i, positions in enumerate(chains):
                x = value
                for p in positions:
                    x = getattr(getattr(self, p["layer_name"]), method)(x, p["transformation"])
                mixed = mixed + x * weights[i]
        weight = array(transformation["weight_sample"]).astype(self.compute_dtype)
        return weight * value + (1 - weight) * mixed

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        mixed = super().transform_images(images, transformation, training)
        return jnp.clip(mixed, *self.value_range) if training else mixed

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any, training: bool = True
    ) -> Any:
        return bounding_boxes
