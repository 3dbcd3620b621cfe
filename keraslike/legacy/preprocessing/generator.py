"""`ImageDataGenerator`, which creates batches of randomly transformed images."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keraslike.core import dtypes
from keraslike.core.arguments import standardize_data_format
from keraslike.legacy.preprocessing.changes import (
    apply_affine_transform,
    apply_brightness_shift,
    apply_channel_shift,
    two,
)
from keraslike.legacy.preprocessing.iterators import (
    DataFrameIterator,
    DirectoryIterator,
    NumpyArrayIterator,
)


class ImageDataGenerator:
    """Changes images at random while they are read.

    Args:
        featurewise_center, featurewise_std_normalization: whether the mean of each channel, found
            by `fit`, is subtracted, and whether images are divided by its standard deviation.
        samplewise_center, samplewise_std_normalization: the same with the mean and the standard
            deviation of each image.
        zca_whitening, zca_epsilon: whether pixels are decorrelated, with the matrix that `fit`
            computes.
        rotation_range, shear_range: the largest angle in degrees.
        width_shift_range, height_shift_range: the largest shift, a fraction of the size or, from 1
            on, a number of pixels; or a list of shifts.
        brightness_range: the smallest and the largest factor.
        zoom_range: the smallest and the largest factor, or their distance from 1.
        channel_shift_range: the largest number that is added to values.
        fill_mode, cval, interpolation_order: those of `scipy.ndimage.affine_transform`.
        horizontal_flip, vertical_flip: whether half of the images are mirrored.
        rescale: a factor for all values.
        preprocessing_function: a function of each image, called after its transformation and before
            its normalization.
        data_format: `"channels_last"` or `"channels_first"`.
        validation_split: the fraction of images that `subset="validation"` selects.
        dtype: the dtype of batches.

    >>> generator = ImageDataGenerator(rescale=1 / 2)
    >>> generator.flow(np.ones((3, 2, 2, 1)), batch_size=2)[0].shape
    (2, 2, 2, 1)
    """

    def __init__(
        self,
        featurewise_center: bool = False,
        samplewise_center: bool = False,
        featurewise_std_normalization: bool = False,
        samplewise_std_normalization: bool = False,
        zca_whitening: bool = False,
        zca_epsilon: float = 1e-6,
        rotation_range: float = 0,
        width_shift_range: Any = 0.0,
        height_shift_range: Any = 0.0,
        brightness_range: Sequence[float] | None = None,
        shear_range: float = 0.0,
        zoom_range: Any = 0.0,
        channel_shift_range: float = 0.0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        rescale: float | None = None,
        preprocessing_function: Callable[[Any], Any] | None = None,
        data_format: str | None = None,
        validation_split: float = 0.0,
        interpolation_order: int = 1,
        dtype: str | None = None,
    ):
        if validation_split and not 0 < validation_split < 1:
            raise ValueError(
                f"`validation_split` must lie between 0 and 1. Received: {validation_split}"
            )
        if isinstance(zoom_range, (int, float)):
            zoom_range = [1 - zoom_range, 1 + zoom_range]
        two("zoom_range", zoom_range)
        if brightness_range is not None:
            two("brightness_range", brightness_range)
        self.data_format = standardize_data_format(data_format)
        axes = (3, 1, 2) if self.data_format == "channels_last" else (1, 2, 3)
        self.channel_axis, self.row_axis, self.col_axis = axes
        self._axes = tuple(axis - 1 for axis in (axes[1], axes[2], axes[0]))
        self.featurewise_std_normalization = featurewise_std_normalization and not zca_whitening
        self.featurewise_center = featurewise_center or featurewise_std_normalization
        self.featurewise_center = self.featurewise_center or zca_whitening
        self.samplewise_center = samplewise_center or samplewise_std_normalization
        self.samplewise_std_normalization = samplewise_std_normalization
        self.zca_whitening, self.zca_epsilon = zca_whitening, zca_epsilon
        self.rotation_range, self.shear_range = rotation_range, shear_range
        self.width_shift_range, self.height_shift_range = width_shift_range, height_shift_range
        self.zoom_range, self.brightness_range = list(zoom_range), brightness_range
        self.channel_shift_range, self.fill_mode, self.cval = channel_shift_range, fill_mode, cval
        self.horizontal_flip, self.vertical_flip = horizontal_flip, vertical_flip
        self.rescale, self.preprocessing_function = rescale, preprocessing_function
        self.interpolation_order, self.dtype = interpolation_order, dtype or dtypes.floatx()
        self._validation_split = validation_split
        self.mean = self.std = self.zca_whitening_matrix = None

    def flow(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 32,
        shuffle: bool = True,
        sample_weight: Any = None,
        seed: int | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        ignore_class_split: bool = False,
        subset: str | None = None,
    ) -> NumpyArrayIterator:
        """Batches of an array of images; with `y`, pairs."""
        given = {name: value for name, value in locals().items() if name not in ("self", "x", "y")}
        more: dict[str, Any] = {"data_format": self.data_format, "dtype": self.dtype}
        return NumpyArrayIterator(x, y, self, **given, **more)

    def flow_from_directory(
        self,
        directory: Any,
        target_size: Sequence[int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
    ) -> DirectoryIterator:
        """Batches of the images in a directory with one folder for each class."""
        given = {k: v for k, v in locals().items() if k not in ("self", "directory")}
        more: dict[str, Any] = {"data_format": self.data_format, "dtype": self.dtype}
        return DirectoryIterator(directory, self, **given, **more)

    def flow_from_dataframe(
        self,
        dataframe: Any,
        directory: Any = None,
        x_col: str = "filename",
        y_col: Any = "class",
        weight_col: str | None = None,
        target_size: Sequence[int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "nearest",
        validate_filenames: bool = True,
        **kwargs: Any,
    ) -> DataFrameIterator:
        """Batches of the images whose paths are in a table of pandas."""
        own = ("self", "dataframe", "directory", "kwargs", "own")
        given = {name: value for name, value in locals().items() if name not in own}
        if class_mode == "other":  # An older name.
            given["class_mode"] = "raw"
        more: dict[str, Any] = {"data_format": self.data_format, "dtype": self.dtype}
        return DataFrameIterator(dataframe, directory, self, **given, **more)

    def standardize(self, x: np.ndarray) -> np.ndarray:
        """Normalizes images, in place if possible."""
        if self.preprocessing_function:
            x = self.preprocessing_function(x)
        if self.rescale:
            x *= self.rescale
        if self.samplewise_center:
            x -= np.mean(x, keepdims=True)
        if self.samplewise_std_normalization:
            x /= np.std(x, keepdims=True) + 1e-6
        if self.featurewise_center and self._found("featurewise_center", self.mean):
            x -= self.mean
        scaled = self.featurewise_std_normalization
        if scaled and self._found("featurewise_std_normalization", self.std):
            x /= self.std + 1e-6  # type: ignore[operator]
        if self.zca_whitening and self._found("zca_whitening", self.zca_whitening_matrix):
            flat = x.reshape(-1, np.prod(x.shape[-3:], dtype=int))
            x = (flat @ self.zca_whitening_matrix).reshape(x.shape)
        return x

    def _found(self, wanted: str, value: Any) -> bool:
        if value is None:
            warnings.warn(
                f"This ImageDataGenerator specifies `{wanted}`, but it hasn't been fit on any "
                "training data. Fit it first by calling `.fit(numpy_data)`.",
                stacklevel=3,
            )
        return value is not None

    def _shift(self, given: Any, size: int) -> float:
        if not given:
            return 0
        try:  # One of several shifts, or a range of pixels.
            shift = np.random.choice(given) * np.random.choice([-1, 1])
        except ValueError:
            shift = np.random.uniform(-given, given)
        return shift * size if np.max(given) < 1 else shift

    def get_random_transform(
        self, img_shape: Sequence[int], seed: int | None = None
    ) -> dict[str, Any]:
        """Random arguments for `apply_transform`."""
        if seed is not None:
            np.random.seed(seed)

        def spread(most: float) -> float:
            return np.random.uniform(-most, most) if most else 0

        rows, columns, _ = self._axes
        theta = spread(self.rotation_range)
        tx = self._shift(self.height_shift_range, img_shape[rows])
        ty = self._shift(self.width_shift_range, img_shape[columns])
        shear = spread(self.shear_range)
        low, high = self.zoom_range
        zx, zy = (1, 1) if low == high == 1 else np.random.uniform(low, high, 2)
        flips = np.random.random() < 0.5, np.random.random() < 0.5
        shift = spread(self.channel_shift_range) if self.channel_shift_range else None
        bright = None
        if self.brightness_range is not None:
            low, high = self.brightness_range
            bright = np.random.uniform(low, high)
        return {
            **{"theta": theta, "tx": tx, "ty": ty, "shear": shear, "zx": zx, "zy": zy},
            "flip_horizontal": flips[0] * self.horizontal_flip,
            "flip_vertical": flips[1] * self.vertical_flip,
            "channel_shift_intensity": shift,
            "brightness": bright,
        }

    def apply_transform(self, x: Any, transform_parameters: dict[str, Any]) -> np.ndarray:
        """Applies a transformation of `get_random_transform` to an image; missing keys have no
        effect."""
        names = ("theta", "tx", "ty", "shear", "zx", "zy")
        given = {k: transform_parameters[k] for k in names if k in transform_parameters}
        how = dict(zip(("row_axis", "col_axis", "channel_axis"), self._axes, strict=True))
        order = self.interpolation_order
        x = apply_affine_transform(
            x, **given, **how, fill_mode=self.fill_mode, cval=self.cval, order=order
        )
        if transform_parameters.get("channel_shift_intensity") is not None:
            shift = transform_parameters["channel_shift_intensity"]
            x = apply_channel_shift(x, shift, self._axes[2])
        for name, axis in (("flip_horizontal", self._axes[1]), ("flip_vertical", self._axes[0])):
            x = np.flip(x, axis) if transform_parameters.get(name) else x
        if transform_parameters.get("brightness") is not None:
            x = apply_brightness_shift(x, transform_parameters["brightness"], False)
        return x

    def random_transform(self, x: Any, seed: int | None = None) -> np.ndarray:
        """Applies a random transformation to an image."""
        return self.apply_transform(x, self.get_random_transform(x.shape, seed))

    def _changed(self, x: np.ndarray) -> np.ndarray:
        return self.standardize(self.random_transform(x).astype(self.dtype))

    def fit(self, x: Any, augment: bool = False, rounds: int = 1, seed: int | None = None) -> None:
        """Computes the statistics for normalization from images, with `augment` after `rounds`
        random transformations."""
        x = np.array(x, self.dtype)
        if x.ndim != 4:
            raise ValueError(
                f"Input to `.fit()` should have rank 4. Got array with shape: {x.shape}"
            )
        if seed is not None:
            np.random.seed(seed)
        if self.rescale:
            x *= self.rescale
        if augment:
            x = np.stack([self.random_transform(image) for _ in range(rounds) for image in x])
        axes = (0, self.row_axis, self.col_axis)
        if self.featurewise_center:
            self.mean = np.mean(x, axes, keepdims=True)[0]
            x -= self.mean
        if self.featurewise_std_normalization:
            self.std = np.std(x, axes, keepdims=True)[0]
            x /= self.std + 1e-6
        if self.zca_whitening:
            u, s, _ = np.linalg.svd(x.reshape(len(x), -1).T, full_matrices=False)
            self.zca_whitening_matrix = (u * (np.sqrt(len(x)) / (s + self.zca_epsilon))) @ u.T
