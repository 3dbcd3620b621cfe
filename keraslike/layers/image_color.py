"""Layers that change the colours of images at random, and leave labels, masks and boxes
unchanged."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from keraslike import ops, random
from keraslike.core import dtypes
from keraslike.layers.image_base import (
    ImageOnlyLayer,
    RandomImageLayer,
    Sizes,
    factor_range,
    per_image,
    two_numbers,
)
from keraslike.ops.wrap import array


class ColorLayer(ImageOnlyLayer, RandomImageLayer):
    """Base of layers that change images only, in `_colored`, and in training only."""

    _ALWAYS_CASTS = False  # whether images become floats outside of training, too, as in Keras

    def transform_images(
        self, images: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        images = self._cast(images) if training or self._ALWAYS_CASTS else array(images)
        if not training or transformation is None:
            return images
        return self._colored(images, transformation)

    def _colored(self, images: jax.Array, transformation: Any) -> jax.Array:
        raise NotImplementedError

    def _clip(self, images: jax.Array) -> jax.Array:
        return jnp.clip(images, *self.value_range)


class RandomBrightness(ColorLayer):
    """Adds a random number to all pixels of each image, and clips the result.

    Args:
        factor: the range of the number, `-factor` to `factor` or two numbers in `[-1, 1]`, as a
            fraction of the range of values.
        value_range: the smallest and the largest value of a pixel.
        seed: the seed of the random stream; drawn if it is omitted.

    Accepts images of any dtype. In training the result has the layer's floating-point dtype, as
    with the layers below; otherwise images are returned unchanged.

    >>> x = jnp.full((2, 2, 2, 3), 100.0)
    >>> y = RandomBrightness(0.2, seed=1)(x)
    >>> bool((abs(y - x) <= 51).all()), bool((y[0] != y[1]).all())
    (True, True)
    """

    _USE_BASE_FACTOR = True

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(factor=factor, seed=seed, **kwargs)
        self.value_range = sorted(two_numbers(value_range))

    def _drawn(self, sizes: Sizes, seed: Any) -> Any:
        share = random.uniform(sizes.each, *self.factor, seed=seed)
        return {"rgb_delta": share * (self.value_range[1] - self.value_range[0])}

    def _colored(self, images: jax.Array, transformation: Any) -> jax.Array:
        return self._clip(images + self._cast(transformation["rgb_delta"]))


class _FactorLayer(ColorLayer):
    """Base of layers that change colours by a factor, which is drawn for each image."""

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, seed=seed, **kwargs)
        self._set_factor(factor)
        self.value_range = sorted(two_numbers(value_range))

    def _drawn(self, sizes: Sizes, seed: Any) -> Any:
        return {"factor": random.uniform((sizes.batch,), *self.factor, seed=seed)}


class RandomColorDegeneration(_FactorLayer):
    """Blends images with their greyscale version: 1 makes them grey.

    Args:
        factor: the strength, drawn between `-factor` and `factor` or two numbers in `[-1, 1]`.
        value_range: the smallest and the largest value of a pixel.

    >>> x = jnp.array([[[255.0, 0.0, 0.0]]])
    >>> RandomColorDegeneration((1.0, 1.0))(x).astype(int).tolist()
    [[[76, 76, 76]]]
    """

    def _colored(self, images: jax.Array, transformation: Any) -> jax.Array:
        grey = ops.image.rgb_to_grayscale(images, data_format=self.data_format)
        factor = per_image(self._cast(transformation["factor"]), images)
        return self._clip(images + factor * (grey - images))

    def compute_output_shape(self, input_shape: Any) -> Any:
        channels = input_shape[-1 if self.data_format == "channels_last" else -3]
        if len(input_shape) not in (3, 4) or channels not in (3, None):
            raise ValueError(
                "Input images must have rank 3 (one image) or 4 (a batch) and 3 channels, but "
                f"received images with {channels} channels: input_shape={tuple(input_shape)}"
            )
        return input_shape


class RandomContrast(ColorLayer):
    """Scales the difference of pixels from the mean of their image and channel, and clips.

    Args:
        factor: `(low, high)` for factors between `1 - low` and `1 + high`, or one number for
            factors between 1 and `1 + factor`.
        value_range: the smallest and the largest value of a pixel.

    >>> x = jnp.array([[[100.0], [200.0]]])
    >>> y = RandomContrast((0.0, 0.5), seed=1)(x)
    >>> float(y.mean()), bool(y[0, 1, 0] - y[0, 0, 0] >= 100)
    (150.0, True)
    """

    _FACTOR_BOUNDS = (0, 1)

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, **kwargs)
        self._set_factor(factor)
        self.value_range = two_numbers(value_range)

    def _drawn(self, sizes: Sizes, seed: Any) -> Any:
        low, high = 1.0 - self.factor[0], 1.0 + self.factor[1]
        dtype = self.compute_dtype
        return {"contrast_factor": random.uniform(sizes.each, low, high, dtype, seed)}

    def _colored(self, images: jax.Array, transformation: Any) -> jax.Array:
        height, width = self._axes
        # The axes are reduced one after the other: XLA vectorizes the first loop on the CPU.
        mean = jnp.mean(jnp.mean(images, height, keepdims=True), width, keepdims=True)
        factor = self._cast(transformation["contrast_factor"])
        return self._clip((images - mean) * factor + mean)


class RandomGrayscale(ColorLayer):
    """Converts some images to greyscale; the number of channels and the dtype are unchanged.

    Args:
        factor: the fraction of images.

    >>> RandomGrayscale(1.0)(jnp.array([[[255, 0, 0]]], "uint8")).tolist()
    [[[76, 76, 76]]]
    """

    def __init__(
        self,
        factor: float = 0.5,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, seed=seed, **kwargs)
        if factor < 0 or factor > 1:
            raise ValueError(f"`factor` should be between 0 and 1. Received: factor={factor}")
        self.factor = factor

    def _drawn(self, sizes: Sizes, seed: Any) -> Any:
        drawn = random.uniform((sizes.batch,), 0, 1, seed=seed)
        return jnp.expand_dims(drawn < self.factor, (1, 2, 3))

    def _cast(self, images: Any) -> jax.Array:
        return array(images)

    def transform_images(
        self, images: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        if training and transformation is None:
            transformation = self.get_random_transformation(images)
        return super().transform_images(images, transformation, training)

    def _colored(self, images: jax.Array, transformation: Any) -> jax.Array:
        grey = ops.image.rgb_to_grayscale(images, data_format=self.data_format)
        return jnp.where(transformation, grey, images)

    def transform_labels(self, labels: Any, transformations: Any = None, **kwargs: Any) -> Any:
        return labels

    def transform_bounding_boxes(self, bounding_boxes: Any, *args: Any, **kwargs: Any) -> Any:
        return bounding_boxes

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformations: Any = None, **kwargs: Any
    ) -> Any:
        return segmentation_masks

    def compute_output_spec(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        return self._traced_spec((data, *args), kwargs)


class _HsvLayer(_FactorLayer):
    """Base of layers that change hue or saturation: channel `_channel`, by `_changed_channel`."""

    _channel: int

    def _colored(self, images: jax.Array, transformation: Any) -> jax.Array:
        axis = -1 if self.data_format == "channels_last" else -3
        hsv = ops.image.rgb_to_hsv(images, data_format=self.data_format)
        channels = [jnp.squeeze(c, axis) for c in jnp.split(hsv, 3, axis)]
        factor = per_image(array(transformation["factor"]).astype(hsv.dtype), channels[0])
        channels[self._channel] = self._changed_channel(channels[self._channel], factor)
        return ops.image.hsv_to_rgb(jnp.stack(channels, axis), data_format=self.data_format)

    def _changed_channel(self, channel: jax.Array, factor: jax.Array) -> jax.Array:
        raise NotImplementedError


class RandomHue(_HsvLayer):
    """Shifts the hue of images.

    Args:
        factor: the shift as a fraction of half a circle, drawn between 0 and `factor` or two
            numbers in `[0, 1]`, in either direction.
        value_range: the smallest and the largest value of a pixel.

    >>> RandomHue(0.5, seed=1)(jnp.ones((2, 4, 4, 3))).shape
    (2, 4, 4, 3)
    """

    _FACTOR_BOUNDS = (0, 1)
    _channel = 0

    def _drawn(self, sizes: Sizes, seed: Any) -> Any:
        invert = jnp.where(random.uniform((sizes.batch,), seed=seed) > 0.5, -1.0, 1.0)
        return {"factor": invert * super()._drawn(sizes, seed)["factor"] * 0.5}

    def _colored(self, images: jax.Array, transformation: Any) -> jax.Array:
        images = self._transform_value_range(images, self.value_range, (0, 1))
        images = jnp.clip(super()._colored(images, transformation), 0, 1)
        return self._cast(self._transform_value_range(images, (0, 1), self.value_range))

    def _changed_channel(self, channel: jax.Array, factor: jax.Array) -> jax.Array:
        turned = channel + factor
        turned = jnp.where(turned > 1, turned - 1, turned)
        return jnp.where(turned < 0, turned + 1, turned)


class RandomSaturation(_HsvLayer):
    """Scales the saturation of images by `factor / (1 - factor)`.

    Args:
        factor: drawn between `-factor` and `factor` or between two numbers; 0 makes images grey,
            and 0.5 leaves them unchanged.
        value_range: the smallest and the largest value of a pixel.

    >>> RandomSaturation((0.0, 0.0))(jnp.array([[[1.0, 0.5, 0.5]]])).tolist()
    [[[1.0, 1.0, 1.0]]]
    """

    _channel = 1

    def _drawn(self, sizes: Sizes, seed: Any) -> Any:
        factor = super()._drawn(sizes, seed)["factor"]
        return {"factor": factor / (1 - factor + dtypes.epsilon())}

    def _changed_channel(self, channel: jax.Array, factor: jax.Array) -> jax.Array:
        return self._clip(channel * factor)


class RandomSharpness(_FactorLayer):
    """Smooths or sharpens images.

    Args:
        factor: drawn between 0 and `factor` or two numbers in `[0, 1]`; 0 smooths images, 0.5
            leaves them unchanged, and larger numbers sharpen them.
        value_range: the smallest and the largest value of a pixel.

    >>> x = jnp.full((4, 4, 1), 13.0)
    >>> RandomSharpness((0.0, 0.0))(x)[1:3, 1:3].astype(int).ravel().tolist()
    [13, 13, 13, 13]
    """

    _ALWAYS_CASTS = True
    _FACTOR_BOUNDS = (0, 1)

    def _colored(self, images: jax.Array, transformation: Any) -> jax.Array:
        factor = per_image(self._cast(transformation["factor"] * 2), images)
        summed = images
        for axis in self._axes:  # Sums over a pixel and its neighbours, with zeros beyond the edge.
            size = images.shape[axis]
            pads = [(1, 1) if a == axis % images.ndim else (0, 0) for a in range(images.ndim)]
            padded = jnp.pad(summed, pads)
            parts = (jax.lax.slice_in_dim(padded, i, i + size, axis=axis) for i in range(3))
            summed = sum(parts)
        smooth = (summed + 4 * images) / 13
        return self._clip(images + (1 - factor) * (smooth - images))


class RandomPosterization(_FactorLayer):
    """Reduces the number of bits of each colour.

    Args:
        factor: the number of bits, drawn from 1 to `factor - 1`, or between two numbers in `[1,
            8]`, the second of which is excluded unless they are equal.
        value_range: the smallest and the largest value of a pixel.

    >>> RandomPosterization((1, 1))(jnp.array([[[100.0, 200.0]]])).tolist()
    [[[0.0, 128.0]]]
    """

    _FACTOR_BOUNDS = (1, 8)

    def _drawn(self, sizes: Sizes, seed: Any) -> Any:
        low, high = map(int, self.factor)
        if low == high:
            kept = jnp.full((sizes.batch,), low, "uint8")
        else:
            kept = random.randint((sizes.batch,), low, high, "uint8", seed)
        return {"shift_factor": 8 - kept}

    def _colored(self, images: jax.Array, transformation: Any) -> jax.Array:
        shift = per_image(transformation["shift_factor"], images).astype("uint8")
        dtype = self.compute_dtype
        images = self._transform_value_range(images, self.value_range, (0, 255), dtype)
        images = self._cast(images.astype("uint8") >> shift << shift)
        return self._transform_value_range(images, (0, 255), self.value_range, dtype)


class RandomInvert(ColorLayer):
    """Inverts the colours of some images: `value_range[1] - pixel`.

    Args:
        factor: the probability, drawn between 0 and `factor` or two numbers of `[0, 1]`.
        value_range: the smallest and the largest value of a pixel.

    >>> RandomInvert((1.0, 1.0))(jnp.array([[[100.0, 200.0]]])).tolist()
    [[[155.0, 55.0]]]
    """

    _FACTOR_BOUNDS = (0, 1)

    def __init__(
        self,
        factor: Any = 1.0,
        value_range: Any = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, seed=seed, **kwargs)
        self._set_factor(factor)
        self.value_range = two_numbers(value_range)

    def _drawn(self, sizes: Sizes, seed: Any) -> Any:
        return {"apply_inversion": self._chosen(sizes, seed)}

    def _colored(self, images: jax.Array, transformation: Any) -> jax.Array:
        chosen = per_image(transformation["apply_inversion"], images)
        return jnp.where(chosen, self.value_range[1] - images, images)


class RandomGaussianBlur(ColorLayer):
    """Smooths some images with a Gaussian filter.

    Args:
        factor: the probability, drawn between 0 and `factor` or two numbers of `[0, 1]`.
        kernel_size: the filter's size, one odd number or two.
        sigma: the standard deviations are drawn between 0 and `sigma` or two numbers in `[0, 1]`.
        value_range: the smallest and the largest value of a pixel.

    >>> RandomGaussianBlur(seed=1)(jnp.ones((2, 8, 8, 3))).shape
    (2, 8, 8, 3)
    """

    _ALWAYS_CASTS = True
    _FACTOR_BOUNDS = (0, 1)

    def __init__(
        self,
        factor: Any = 1.0,
        kernel_size: Any = 3,
        sigma: Any = 1.0,
        value_range: Any = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, seed=seed, **kwargs)
        self._set_factor(factor)
        pair = kernel_size if isinstance(kernel_size, (tuple, list)) else (kernel_size,) * 2
        if len(pair) != 2 or not all(isinstance(n, (int, float)) for n in pair):
            raise ValueError(
                "The `kernel_size` argument should be a number (or a list of two numbers) "
                f"Received: kernel_size={kernel_size}"
            )
        if any(n % 2 == 0 for n in pair):
            raise ValueError(
                f"kernel_size must be an odd number. Received: kernel_size={kernel_size}"
            )
        self.kernel_size = tuple(pair)
        self.sigma = factor_range("sigma", sigma, *self._FACTOR_BOUNDS, overlaps=True)
        self.value_range = two_numbers(value_range)

    def _drawn(self, sizes: Sizes, seed: Any) -> Any:
        chosen = self._chosen(sizes, seed)
        sigma = random.uniform((2,), *self.sigma, dtype=self.compute_dtype, seed=seed)
        return {"should_apply_blur": chosen, "blur_factor": sigma + 1e-6}

    def _colored(self, images: jax.Array, transformation: Any) -> jax.Array:
        blurred = ops.image.gaussian_blur(
            images, self.kernel_size, transformation["blur_factor"], self.data_format
        )
        chosen = per_image(transformation["should_apply_blur"], images)
        return self._clip(jnp.where(chosen, blurred, images))


class Solarization(ColorLayer):
    """Adds a number to images, then inverts pixels that are not below a threshold.

    Args:
        addition_factor: the number, drawn between 0 and `addition_factor` or two numbers in `[0,
            1]`, as a fraction of 255.
        threshold_factor: the threshold, likewise.
        value_range: the smallest and the largest value of a pixel.

    >>> Solarization()(jnp.array([[[100.0, 200.0]]])).tolist()
    [[[155.0, 55.0]]]
    """

    _ALWAYS_CASTS = True

    def __init__(
        self,
        addition_factor: Any = 0.0,
        threshold_factor: Any = 0.0,
        value_range: Any = (0, 255),
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(seed=seed, **kwargs)
        self.addition_factor = factor_range("addition_factor", addition_factor, 0, 1)
        self.threshold_factor = factor_range("threshold_factor", threshold_factor, 0, 1)
        self.value_range = sorted(two_numbers(value_range))

    def _drawn(self, sizes: Sizes, seed: Any) -> Any:
        named = {"additions": self.addition_factor, "thresholds": self.threshold_factor}
        return {
            name: random.uniform(sizes.each, low, high * 255, self.compute_dtype, seed)
            for name, (low, high) in named.items()
        }

    def _colored(self, images: jax.Array, transformation: Any) -> jax.Array:
        dtype = self.compute_dtype
        images = self._transform_value_range(images, self.value_range, (0, 255), dtype)
        images = jnp.clip(images + self._cast(transformation["additions"]), 0, 255)
        dark = images < self._cast(transformation["thresholds"])
        images = jnp.where(dark, images, 255 - images)
        return self._transform_value_range(images, (0, 255), self.value_range, dtype)


class RandomColorJitter(ColorLayer):
    """Changes brightness, contrast, saturation and hue, in this order.

    Args:
        value_range: the smallest and the largest value of a pixel.
        brightness_factor, contrast_factor, saturation_factor, hue_factor: the factors of
            `RandomBrightness`, `RandomContrast`, `RandomSaturation` and `RandomHue`; with `None`
            that change is omitted.

    >>> RandomColorJitter(hue_factor=0.1, seed=1)(jnp.ones((2, 4, 4, 3))).shape
    (2, 4, 4, 3)
    """

    def __init__(
        self,
        value_range: Any = (0, 255),
        brightness_factor: Any = None,
        contrast_factor: Any = None,
        saturation_factor: Any = None,
        hue_factor: Any = None,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(data_format=data_format, seed=seed, **kwargs)
        self.value_range = two_numbers(value_range)
        self.brightness_factor, self.contrast_factor = brightness_factor, contrast_factor
        self.saturation_factor, self.hue_factor = saturation_factor, hue_factor
        shared = {"value_range": value_range, "seed": seed, "dtype": self.dtype_policy}
        shared["data_format"] = self.data_format
        for name, layer in _JITTERED.items():
            factor = getattr(self, f"{name}_factor")
            try:
                made = None if factor is None else layer(factor, **shared)
            except ValueError as error:
                raise ValueError(f"{name}_factor: {error}") from None
            setattr(self, f"random_{name}", made)

    def transform_images(
        self, images: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        images = self._cast(images) if training else array(images)
        for name in _JITTERED if training else ():
            if (layer := getattr(self, f"random_{name}")) is not None:
                drawn = layer.get_random_transformation(images, seed=self._get_seed_generator())
                images = layer.transform_images(images, drawn)
        return images

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        return None  # Each layer draws its own transformation.


_JITTERED = {
    "brightness": RandomBrightness,
    "contrast": RandomContrast,
    "saturation": RandomSaturation,
    "hue": RandomHue,
}
