"""Batches of images from arrays, folders, or files that a table lists.

Orders are drawn from numpy's global random stream, as in Keras.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from keraslike.core import dtypes, messages
from keraslike.core.arguments import one_of, standardize_data_format
from keraslike.training.py_dataset import PyDataset
from keraslike.utils.images import array_to_img, img_to_array, load_img

_CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}


class Iterator(PyDataset):
    """Endless batches of `n` samples. A subclass defines `_get_batches_of_transformed_samples`,
    which returns the batch for an array of sample numbers."""

    white_list_formats = ("png", "jpg", "jpeg", "bmp", "ppm", "tif", "tiff")

    def __init__(self, n: int, batch_size: int, shuffle: bool, seed: int | None, **kwargs: Any):
        super().__init__(**kwargs)
        self.n, self.batch_size, self.shuffle, self.seed = n, batch_size, shuffle, seed
        self.batch_index = self.total_batches_seen = 0
        self.lock = threading.Lock()
        self.index_array: np.ndarray | None = None

    def _set_index_array(self) -> None:
        self.index_array = np.random.permutation(self.n) if self.shuffle else np.arange(self.n)

    def _draw(self) -> None:
        if self.seed is not None:
            np.random.seed(self.seed + self.total_batches_seen)

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def __getitem__(self, idx: int) -> Any:
        if idx >= len(self):
            raise ValueError(f"There are {len(self)} batches. Received: {idx}")
        self._draw()
        self.total_batches_seen += 1
        if self.index_array is None:
            self._set_index_array()
        return self._batch(idx)

    def _batch(self, index: int) -> Any:
        first = index * self.batch_size
        rows = self.index_array[first : first + self.batch_size]  # type: ignore[index]
        return self._get_batches_of_transformed_samples(rows)

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        with self.lock:
            self._draw()
            if self.batch_index == 0:
                self._set_index_array()
            index = self.batch_index
            self.batch_index = (index + 1) % max(1, len(self))
            self.total_batches_seen += 1
        return self._batch(index)

    def on_epoch_end(self) -> None:
        self._set_index_array()

    def reset(self) -> None:
        """Restarts with the first batch."""
        self.batch_index = 0

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        raise NotImplementedError

    def _save(self, batch: np.ndarray, rows: np.ndarray, options: dict[str, Any]) -> None:
        """Writes images to files, for inspection."""
        if options["save_to_dir"]:
            for image, row in zip(batch, rows, strict=True):
                number = np.random.randint(10**7)
                name = f"{options['save_prefix']}_{row}_{number}.{options['save_format']}"
                picture = array_to_img(image, options["data_format"], scale=True)
                picture.save(os.path.join(options["save_to_dir"], name))


class NumpyArrayIterator(Iterator):
    """Batches of an array of images: the result of `ImageDataGenerator.flow`."""

    def __init__(
        self,
        x: Any,
        y: Any,
        image_data_generator: Any,
        batch_size: int = 32,
        shuffle: bool = False,
        sample_weight: Any = None,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        ignore_class_split: bool = False,
        dtype: str | None = None,
    ):
        data_format = standardize_data_format(data_format)
        self.dtype, self.image_data_generator = dtype or dtypes.floatx(), image_data_generator
        more: list[Any] = []
        if isinstance(x, (tuple, list)):
            x, more = x[0], x[1] if isinstance(x[1], list) else [x[1]]
        parts = [x, *more, y, sample_weight]
        lengths = [len(part) for part in parts if part is not None]
        if len(set(lengths)) > 1:
            raise ValueError(
                "`x` (images tensor), `y` (labels) and `sample_weight` should have the same "
                f"length. Received lengths: {lengths}"
            )
        if subset is not None:
            one_of(("training", "validation"), subset=subset)
            cut = int(len(x) * image_data_generator._validation_split)
            classes = [] if y is None else [np.unique(y[:cut]), np.unique(y[cut:])]
            if (
                y is not None
                and not ignore_class_split
                and not np.array_equal(classes[0], classes[1])
            ):
                raise ValueError(
                    "Training and validation subsets have different classes after the split: "
                    f"{classes[1]} and {classes[0]}. Shuffle arrays that are sorted by label."
                )
            which = slice(cut) if subset == "validation" else slice(cut, None)
            parts = [None if part is None else part[which] for part in parts]
        x, *more, y, sample_weight = (None if p is None else np.asarray(p) for p in parts)
        self.x, self.x_misc, self.y, self.sample_weight = (
            x.astype(self.dtype),
            more,
            y,
            sample_weight,
        )
        if self.x.ndim != 4:
            raise ValueError(
                "Images must be an array of rank 4, (images, rows, columns, channels). Received: "
                f"an array of shape {self.x.shape}"
            )
        self._options = {"save_to_dir": save_to_dir, "save_prefix": save_prefix}
        self._options |= {"save_format": save_format, "data_format": data_format}
        super().__init__(len(self.x), batch_size, shuffle, seed)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        images = np.zeros((len(index_array), *self.x.shape[1:]), self.dtype)
        for i, row in enumerate(index_array):
            images[i] = self.image_data_generator._changed(self.x[row])
        self._save(images, index_array, self._options)
        batch = [images, *(part[index_array] for part in self.x_misc)] if self.x_misc else images
        if self.y is None:
            return batch
        more = (self.y, self.sample_weight)
        return (batch, *(part[index_array] for part in more if part is not None))


class _FileIterator(Iterator):
    """Base of iterators over image files; subclasses set what `_from_files` reads."""

    allowed_class_modes: tuple[str, ...]

    def _set_up(self, options: dict[str, Any]) -> None:
        one_of(tuple(_CHANNELS), color_mode=options["color_mode"])
        self.image_data_generator = options["image_data_generator"]
        self.class_mode = options["class_mode"]
        if self.class_mode is not None:
            one_of(self.allowed_class_modes, class_mode=self.class_mode)
        self._options = options | {
            "data_format": standardize_data_format(options["data_format"]),
            "target_size": tuple(options["target_size"]),
        }
        self.dtype, self.subset = options["dtype"] or dtypes.floatx(), options["subset"]
        self.target_size, self.color_mode = self._options["target_size"], options["color_mode"]
        channels = (_CHANNELS[self.color_mode],)
        last = self._options["data_format"] == "channels_last"
        self.image_shape = self.target_size + channels if last else channels + self.target_size
        self.split = None
        if self.subset is not None:
            one_of(("training", "validation"), subset=self.subset)
            part = self.image_data_generator._validation_split
            self.split = (0, part) if self.subset == "validation" else (part, 1)

    def _part(self, count: int) -> slice:
        """The slice of the files that belongs to the subset."""
        return slice(*(int(part * count) for part in self.split)) if self.split else slice(None)

    @property
    def filepaths(self) -> list[str]:
        return [os.path.join(self.directory, name) for name in self.filenames]

    @property
    def labels(self) -> Any:
        return self.classes

    @property
    def sample_weight(self) -> Any:
        return None

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        images = np.zeros((len(index_array), *self.image_shape), self.dtype)
        paths = self.filepaths
        reading = ("color_mode", "target_size", "interpolation", "keep_aspect_ratio")
        for i, row in enumerate(index_array):
            with load_img(paths[row], **{k: self._options[k] for k in reading}) as picture:
                image = img_to_array(picture, self._options["data_format"])
            images[i] = (
                self.image_data_generator._changed(image) if self.image_data_generator else image
            )
        self._save(images, index_array, self._options)
        if self.class_mode is None:
            return images
        labels: Any
        if self.class_mode == "input":
            labels = images.copy()
        elif self.class_mode == "raw":
            labels = self.labels[index_array]
        elif self.class_mode == "multi_output":
            labels = [output[index_array] for output in self.labels]
        elif self.class_mode == "categorical":
            labels = np.zeros((len(images), len(self.class_indices)), self.dtype)
            for i, row in enumerate(index_array):
                labels[i, self.classes[row]] = 1
        else:
            labels = np.array([self.classes[row] for row in index_array], self.dtype)
        weights = self.sample_weight
        return (images, labels) if weights is None else (images, labels, weights[index_array])


class DirectoryIterator(_FileIterator):
    """Batches of images in one folder for each class: `ImageDataGenerator.flow_from_directory`."""

    allowed_class_modes = ("categorical", "binary", "sparse", "input")

    def __init__(
        self,
        directory: Any,
        image_data_generator: Any,
        target_size: Sequence[int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        dtype: str | None = None,
    ):
        self._set_up(_arguments(locals()))
        self.directory = directory
        folders = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
        names = list(classes or folders)
        self.num_classes = len(names)
        self.class_indices = {name: i for i, name in enumerate(names)}
        self.filenames: list[str] = []
        numbers: list[int] = []
        for i, name in enumerate(names):
            walk = os.walk(os.path.join(directory, name), followlinks=follow_links)
            found = [
                os.path.relpath(os.path.join(root, file), directory)
                for root, _, files in sorted(walk, key=lambda entry: entry[0])
                for file in sorted(files)
                if file.lower().endswith(self.white_list_formats)
            ]
            found = found[self._part(len(found))]
            self.filenames += found
            numbers += [i] * len(found)
        self.classes, self.samples = np.array(numbers, "int32"), len(numbers)
        messages.say(f"Found {self.samples} images belonging to {self.num_classes} classes.")
        super().__init__(self.samples, batch_size, shuffle, seed)


class DataFrameIterator(_FileIterator):
    """Batches of images that a table lists: `ImageDataGenerator.flow_from_dataframe`."""

    allowed_class_modes = ("binary", "categorical", "input", "multi_output", "raw", "sparse")

    def __init__(
        self,
        dataframe: Any,
        directory: Any = None,
        image_data_generator: Any = None,
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
        data_format: str | None = "channels_last",
        save_to_dir: str | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        dtype: str | None = "float32",
        validate_filenames: bool = True,
    ):
        self._set_up(_arguments(locals()))
        self.directory = directory or ""
        labelled = class_mode in ("binary", "categorical", "sparse")
        names = list(dataframe[x_col])
        if not all(isinstance(name, str) for name in names):
            raise TypeError(f"All values in column x_col={x_col} must be strings.")
        if class_mode == "multi_output" and not isinstance(y_col, list):
            raise TypeError(
                f'If class_mode="multi_output", y_col must be a list. Received: {y_col!r}'
            )
        labels = list(dataframe[y_col]) if labelled else [None] * len(names)
        kinds = (str, list, tuple) if class_mode == "categorical" else (str,)
        if labelled and not all(isinstance(label, kinds) for label in labels):
            raise TypeError(
                f'If class_mode="{class_mode}", values in y_col={y_col!r} must be strings.'
            )
        each: list[Any] = [
            label if isinstance(label, (list, tuple)) else [label] for label in labels
        ]
        known = (
            list(dict.fromkeys(classes))
            if classes
            else sorted({n for part in each for n in part if labelled})
        )
        if class_mode == "binary" and len(known) != 2:
            raise ValueError(f'If class_mode="binary" there must be 2 classes. Received: {known}')
        kept = [
            i
            for i, name in enumerate(names)
            if (not validate_filenames or self._is_image(name))
            and (not labelled or any(label in known for label in each[i]))
        ]
        if validate_filenames and (lost := sum(not self._is_image(name) for name in names)):
            warnings.warn(
                f'Found {lost} invalid image filename(s) in x_col="{x_col}". These filename(s) '
                "will be ignored.",
                stacklevel=3,
            )
        kept = kept[self._part(len(kept))]
        table = dataframe.iloc[kept]
        self.filenames, self.samples = [names[i] for i in kept], len(kept)
        self._targets = self._weights = None
        if labelled:
            self.class_indices = {name: i for i, name in enumerate(known)}
            numbers = [[known.index(label) for label in each[i] if label in known] for i in kept]
            several = (isinstance(labels[i], (list, tuple)) for i in kept)
            self.classes = [n if many else n[0] for n, many in zip(numbers, several, strict=True)]
        elif class_mode == "multi_output":
            self._targets = [np.array(table[column].tolist()) for column in y_col]
        elif class_mode == "raw":
            self._targets = table[y_col].values
        if weight_col:
            self._weights = table[weight_col].values
            if not np.issubdtype(self._weights.dtype, np.number):
                raise TypeError(f"Column weight_col={weight_col} must be numeric.")
        kind = "validated" if validate_filenames else "non-validated"
        ending = f" belonging to {len(known)} classes" if labelled else ""
        messages.say(f"Found {self.samples} {kind} image filenames{ending}.")
        super().__init__(self.samples, batch_size, shuffle, seed)

    def _is_image(self, name: str) -> bool:
        path = os.path.join(self.directory, name)
        return path.lower().endswith(self.white_list_formats) and os.path.isfile(path)

    @property
    def labels(self) -> Any:
        return self.classes if self._targets is None else self._targets

    @property
    def sample_weight(self) -> Any:
        return self._weights


def _arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a constructor."""
    return {name: value for name, value in arguments.items() if name not in ("self", "__class__")}
