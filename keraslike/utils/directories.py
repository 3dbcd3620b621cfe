"""Data sets of image, text and audio files in a directory."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from keraslike.core import arguments, foreign, messages
from keraslike.core.annotations import checked
from keraslike.data import AUTOTUNE, UNKNOWN, Dataset, resizing
from keraslike.data.elements import ArraySpec
from keraslike.utils.images import load_img, pixels_of

_IMAGES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_PROGRESS_INTERVAL = 5.0  # seconds between messages while files are being listed


@checked
def image_dataset_from_directory(
    directory: str | os.PathLike,
    labels: Any = "inferred",
    label_mode: Any = "int",
    class_names: Any = None,
    color_mode: Any = "rgb",
    batch_size: int | None = 32,
    image_size: Any = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: Any = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: Any = "tf",
    verbose: bool = True,
    *,
    skip_broken: bool = False,
) -> Any:
    """A data set of the images in a directory, which are read on demand.

    Args:
        directory: a directory with a folder for each class.
        labels: `"inferred"` from the folders, `None` for images alone, or a list of numbers, one
            for each file in the order of their paths.
        label_mode: `"int"`, `"categorical"` (one-hot), `"binary"` (float32, of two classes), or
            `None` for images alone.
        class_names: the folders to read, in the order of their class numbers.
        color_mode: `"grayscale"`, `"rgb"` or `"rgba"`.
        batch_size: the size of batches, or `None` for single images.
        image_size: `(height, width)` of the results.
        shuffle: whether the files, and each epoch, are in random order; otherwise they are sorted
            by path.
        seed: the seed of the order, which subsets need so that they do not overlap.
        validation_split: the fraction of the files that is reserved for validation.
        subset: `"training"`, `"validation"`, or `"both"` for a list of the two.
        interpolation: `"bilinear"`, `"nearest"`, `"bicubic"`, `"area"`, `"lanczos3"`, `"lanczos5"`,
            `"gaussian"` or `"mitchellcubic"`.
        follow_links: whether to follow links to folders.
        crop_to_aspect_ratio, pad_to_aspect_ratio: whether to keep the aspect ratio by cropping, or
            by padding with black.
        data_format: `"channels_last"` or `"channels_first"`.
        format: `"tf"` for a new order in each epoch, `"grain"` for the same one, as in Keras. Both
            return a `Dataset`.
        verbose: whether to print how many files were found.
        skip_broken: whether to leave out files that cannot be read, with a warning, instead of
            raising ValueError.

    Returns a `Dataset` of images, or of tuples of images and labels, with the attributes
    `class_names` and `file_paths`. The images are float32, or with `interpolation="nearest"` and
    `format="tf"` uint8. Subsets have the same files as in Keras for the same seed.

    Raises ValueError for invalid arguments, and if there are no images.

    >>> import os, tempfile, numpy as np, keraslike
    >>> folder = tempfile.mkdtemp()
    >>> os.makedirs(folder + "/cat")
    >>> keraslike.utils.save_img(folder + "/cat/1.png", np.zeros((8, 8, 3)))
    >>> data = image_dataset_from_directory(folder, image_size=(4, 4), verbose=False)
    >>> [images.shape for images, labels in data]
    [(1, 4, 4, 3)]
    """
    if color_mode not in ("rgb", "rgba", "grayscale"):
        _refuse(
            "color_mode", '`color_mode` must be one of {"rgb", "rgba", "grayscale"}', color_mode
        )
    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    if not isinstance(size, (list, tuple)) or len(size) != 2:
        _refuse("image_size", "Invalid `image_size` value. Expected a tuple of 2 integers", size)
    height, width = map(int, size)
    if height < 1 or width < 1:
        _refuse("image_size", "`image_size` must be positive", image_size)
    method = interpolation.lower()
    if method not in resizing.METHODS:
        allowed = f"Argument `interpolation` should be one of {resizing.METHODS}"
        _refuse("interpolation", allowed, interpolation)
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError(
            "Only one of `pad_to_aspect_ratio`, `crop_to_aspect_ratio` can be set to `True`."
        )
    last = arguments.standardize_data_format(data_format) == "channels_last"
    size = (height, width)

    def load(path: str) -> np.ndarray:
        read = pixels_of if format == "tf" else load_img
        image = np.asarray(read(path, color_mode))
        image = image[:, :, None] if image.ndim == 2 else image
        if pad_to_aspect_ratio and format == "tf":
            image = resizing.resize_with_pad(image, size, method)
        else:
            if pad_to_aspect_ratio:
                image = resizing.pad_to_aspect(image, size)
            elif crop_to_aspect_ratio:
                image = resizing.crop_to_aspect(image, size)
            image = resizing.resize(image, size, method)
        if method == "nearest" and format == "tf":
            image = image.astype("uint8")
        return image if last else np.ascontiguousarray(image.transpose(2, 0, 1))

    files = _Files("images", _IMAGES, directory, labels, label_mode, class_names, format)
    files.find(shuffle, seed, validation_split, subset, follow_links, verbose)
    return files.datasets(load, batch_size, skip_broken)


@checked
def text_dataset_from_directory(
    directory: str | os.PathLike,
    labels: Any = "inferred",
    label_mode: Any = "int",
    class_names: Any = None,
    batch_size: int | None = 32,
    max_length: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: Any = None,
    follow_links: bool = False,
    format: Any = "tf",
    verbose: bool = True,
    *,
    skip_broken: bool = False,
) -> Any:
    """A data set of the text files (`.txt`) in a directory, which are read on demand.

    Args:
        max_length: the maximum number of bytes of a text, or of characters with `format="grain"`.
        format: `"tf"` for texts as bytes and a new order in each epoch, `"grain"` for strings and
            the same order.
        directory, labels, label_mode, class_names, batch_size, shuffle, seed, validation_split,
            subset, follow_links, verbose, skip_broken: see `image_dataset_from_directory`.

    Returns a `Dataset` of texts, or of tuples of texts and labels; a batch is an array of objects.

    >>> import os, tempfile, pathlib
    >>> folder = tempfile.mkdtemp()
    >>> os.makedirs(folder + "/good")
    >>> _ = pathlib.Path(folder, "good", "1.txt").write_text("fine")
    >>> data = text_dataset_from_directory(folder, verbose=False)
    >>> [labels.tolist() for texts, labels in data]
    [[0]]
    """

    def load(path: str) -> str | bytes:
        if format == "grain":
            with open(path, encoding="utf-8") as file:
                return file.read()[:max_length]
        with open(path, "rb") as file:
            return file.read(-1 if max_length is None else max_length)

    files = _Files("text files", (".txt",), directory, labels, label_mode, class_names, format)
    files.find(shuffle, seed, validation_split, subset, follow_links, verbose)
    return files.datasets(load, batch_size, skip_broken)


@checked
def audio_dataset_from_directory(
    directory: str | os.PathLike,
    labels: Any = "inferred",
    label_mode: Any = "int",
    class_names: Any = None,
    batch_size: int | None = 32,
    sampling_rate: Any = None,
    output_sequence_length: int | None = None,
    ragged: bool = False,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: Any = None,
    follow_links: bool = False,
    verbose: bool = True,
    *,
    skip_broken: bool = False,
) -> Any:
    """A data set of the audio files (`.wav`) in a directory, which are read on demand. Other files
    are left out, as in Keras.

    Args:
        sampling_rate: the samples per second of the results, by default those of each file.
        output_sequence_length: the length to which results are padded with zeros or truncated. If
            it is `None`, they are padded to the longest in their batch, and to the most channels.
        ragged: whether batches are `RaggedTensor`s instead.
        directory, labels, label_mode, class_names, batch_size, shuffle, seed, validation_split,
            subset, follow_links, verbose, skip_broken: see `image_dataset_from_directory`.

    Returns a `Dataset` of float32 arrays `(length, channels)` between -1 and 1, or of tuples of
    them and labels.

    >>> import os, tempfile, wave
    >>> folder = tempfile.mkdtemp()
    >>> os.makedirs(folder + "/hum")
    >>> with wave.open(folder + "/hum/1.wav", "wb") as file:
    ...     file.setparams((1, 2, 8000, 4, "NONE", ""))
    ...     file.writeframes(bytes(8))
    >>> data = audio_dataset_from_directory(folder, verbose=False)
    >>> [sounds.shape for sounds, labels in data]
    [(1, 4, 1)]
    """
    if ragged and output_sequence_length is not None:
        raise ValueError("Cannot set both `ragged` and `output_sequence_length`")
    if sampling_rate is not None:
        if not isinstance(sampling_rate, (int, np.integer)):
            _refuse("sampling_rate", "`sampling_rate` should have an integer value", sampling_rate)
        if sampling_rate <= 0:
            _refuse("sampling_rate", "`sampling_rate` should be higher than 0", sampling_rate)

    def load(path: str) -> np.ndarray:
        rate, sound = _wav(path)
        if sampling_rate is not None and rate != sampling_rate:
            signal = foreign.library("scipy.signal", "audio_dataset_from_directory()")
            sound = signal.resample_poly(sound, sampling_rate, rate).astype("float32")
        if output_sequence_length is None:
            return sound
        sound = sound[:output_sequence_length]
        return np.pad(sound, ((0, output_sequence_length - len(sound)), (0, 0)))

    def combine(elements: list[Any]) -> Any:
        if isinstance(elements[0], tuple):
            sounds, given = zip(*elements)
            return combine(list(sounds)), np.stack(given)
        if ragged:
            return _ragged(elements)
        length, channels = np.max([s.shape for s in elements], 0)
        padding = [((0, length - len(s)), (0, channels - s.shape[1])) for s in elements]
        return np.stack(list(map(np.pad, elements, padding)))

    files = _Files("audio files", (".wav",), directory, labels, label_mode, class_names, "tf")
    files.find(shuffle, seed, validation_split, subset, follow_links, verbose)
    spec = None if ragged else ArraySpec((output_sequence_length, None), "float32")
    return files.datasets(load, batch_size, skip_broken, combine, spec)


def _wav(path: str) -> tuple[int, np.ndarray]:
    wavfile = foreign.library("scipy.io.wavfile", "audio_dataset_from_directory()")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", wavfile.WavFileWarning)  # for chunks other than audio
        rate, sound = wavfile.read(path)
    if sound.dtype == np.uint8:
        sound = (sound.astype("float32") - 128) / 128
    elif sound.dtype.kind == "i":
        sound = sound / np.float32(-float(np.iinfo(sound.dtype).min))
    return rate, np.asarray(sound if sound.ndim == 2 else sound[:, None], "float32")


def _ragged(sounds: list[np.ndarray]) -> Any:
    from keraslike.tf import ragged  # imported on demand, since it takes long

    return ragged.stack([ragged.RaggedTensor.from_tensor(sound) for sound in sounds])


def _refuse(name: str, expected: str, value: Any) -> None:
    raise ValueError(f"{expected}. Received: {name}={value!r}")


# -- files and their labels -----------------------------------------------------------------------


class _Files:
    """The files of a directory with their labels, split into the same subsets as by Keras."""

    def __init__(
        self,
        kind: str,
        endings: tuple[str, ...],
        directory: Any,
        labels: Any,
        label_mode: Any,
        class_names: Any,
        format: Any,
    ):
        given = not (labels is None or isinstance(labels, str) and labels == "inferred")
        if given and not isinstance(labels, (list, tuple)):
            expected = (
                f"`labels` argument should be a list/tuple of integer labels, one for each of the "
                f'{kind}, "inferred" for the names of the subdirectories, or None for {kind} alone'
            )
            _refuse("labels", expected, labels)
        if given and class_names:
            raise ValueError(
                'You can only pass `class_names` if `labels="inferred"`. '
                f"Received: labels={labels}, and class_names={class_names}"
            )
        if label_mode not in ("int", "categorical", "binary", None):
            expected = (
                '`label_mode` argument must be one of "int", "categorical", "binary", or None'
            )
            _refuse("label_mode", expected, label_mode)
        if format not in ("tf", "grain"):
            _refuse("format", '`format` should be either "tf" or "grain"', format)
        if labels is None or label_mode is None:
            labels = label_mode = None
        if labels is None and class_names is not None:
            raise ValueError(
                "`class_names` cannot be given without labels (labels=None or label_mode=None). "
                f"Received: class_names={class_names}"
            )
        self.kind, self.endings, self.directory = kind, endings, os.fspath(directory)
        self.given, self.mode, self.format = labels, label_mode, format
        self.class_names: Any = class_names

    def find(
        self,
        shuffle: bool,
        seed: int | None,
        split: float | None,
        subset: Any,
        follow_links: bool,
        verbose: bool,
    ) -> None:
        """Lists the files, orders them and splits them into subsets."""
        if split and not 0 < split < 1:
            raise ValueError(f"`validation_split` must be between 0 and 1, received: {split}")
        if bool(split) != bool(subset):
            raise ValueError(
                "`validation_split` must be set together with `subset`. "
                f"Received: subset={subset!r}, validation_split={split}"
            )
        if subset not in ("training", "validation", "both", None):
            raise ValueError(
                f'`subset` must be either "training", "validation" or "both", received: {subset}'
            )
        if split and shuffle and seed is None:
            raise ValueError(
                "If using `validation_split` and shuffling the data, you must provide a `seed` "
                "argument, so that the training and the validation subset do not overlap."
            )
        self.shuffle, self.seed = shuffle, np.random.randint(10**6) if seed is None else seed
        self.subset = subset
        paths, labels = self._list(follow_links, verbose)
        if verbose:
            classes = "" if labels is None else f" belonging to {len(self.class_names)} classes"
            messages.say(f"Found {len(paths)} files{classes}.")
        if self.mode == "binary" and len(self.class_names) != 2:
            raise ValueError(
                'When passing `label_mode="binary"`, there must be exactly 2 class_names. '
                f"Received: class_names={self.class_names}"
            )
        if shuffle:  # exactly as in Keras, so that subsets have the same files
            for values in (paths, labels):
                if values is not None:
                    np.random.RandomState(self.seed).shuffle(values)
        first = len(paths) - int((split or 0) * len(paths))
        parts = {"training": slice(first), "validation": slice(first, None)}
        wanted: list[Any] = list(parts) if subset == "both" else [subset]
        self.parts = []
        for name in wanted:
            part = parts.get(name, slice(None))
            self.parts.append((paths[part], None if labels is None else labels[part]))
            count = len(self.parts[-1][0])
            if verbose and name:
                messages.say(f"Using {count} files for {name}.")
            if not count:
                called = f"{name} {self.kind}" if subset == "both" else self.kind
                raise ValueError(
                    f"No {called} found in directory {self.directory}. "
                    f"Allowed formats: {self.endings}"
                )

    def _list(self, follow_links: bool, verbose: bool) -> tuple[list[str], list[int] | None]:
        folders: Sequence[str] = [""]
        if self.given == "inferred":
            with os.scandir(self.directory) as entries:
                found = sorted(e.name for e in entries if e.is_dir() and e.name[0] != ".")
            folders = found if self.class_names is None else list(self.class_names)
            if not set(folders) <= set(found):
                raise ValueError(
                    "The `class_names` passed did not match the names of the subdirectories of "
                    f"the target directory. Expected: {found} (or a subset of it), but received: "
                    f"class_names={self.class_names}"
                )
        paths, labels = [], []
        until = time.monotonic() + _PROGRESS_INTERVAL
        for number, folder in enumerate(folders):
            for path in self._below(os.path.join(self.directory, folder), follow_links):
                paths.append(path)
                labels.append(number)
                if verbose and time.monotonic() > until:
                    messages.say(f"Found {len(paths)} files so far.")
                    until = time.monotonic() + _PROGRESS_INTERVAL
        if self.given == "inferred":
            self.class_names = list(folders)
            return paths, labels
        if self.given is None:
            self.class_names = None
            return paths, None
        if len(self.given) != len(paths):
            raise ValueError(
                "Expected the lengths of `labels` to match the number of files in the target "
                f"directory. len(labels) is {len(self.given)} while we found {len(paths)} files "
                f"in directory {self.directory}."
            )
        self.class_names = [str(label) for label in sorted(set(self.given))]
        values = np.asarray(self.given)
        if values.dtype.kind not in "iubf" or (
            values.dtype.kind == "f" and self.mode == "categorical"
        ):
            _refuse("labels", f"`labels` must be integers for label_mode={self.mode!r}", self.given)
        return paths, values.astype("float32" if values.dtype.kind == "f" else "int32").tolist()

    def _below(self, folder: str, follow_links: bool) -> Iterator[str]:
        walk = os.walk(folder, followlinks=follow_links)
        for root, _, names in sorted(walk, key=lambda found: found[0]):
            for name in sorted(names):
                if name.lower().endswith(self.endings):
                    yield os.path.join(root, name)

    # -- data sets ------------------------------------------------------------------------------

    def datasets(
        self,
        load: Callable[[str], Any],
        batch_size: int | None,
        skip_broken: bool,
        combine: Callable[[list], Any] | None = None,
        spec: ArraySpec | None = None,
    ) -> Any:
        """The data set of each subset; `load` reads the file of a path. `spec` is that of contents,
        if those of the first files do not show it."""
        made = []
        for paths, labels in self.parts:
            shuffle = self.shuffle and not made  # with "both", the validation set is not shuffled
            # The orders are those of Keras, where only `grain` shuffles the files as a whole.
            buffer = len(paths) if self.format != "tf" else 8 * batch_size if batch_size else 1024
            dataset = self._dataset(load, paths, labels, buffer if shuffle else 0, skip_broken)
            if batch_size is not None:
                batched = dataset.batch(batch_size) if combine is None else None
                dataset = batched or dataset.grouped(batch_size, combine)  # type: ignore[arg-type]
            dataset = dataset.prefetch(AUTOTUNE)
            if spec is not None and paths:
                dataset._known_spec = self._spec(
                    spec, None if labels is None else labels[0], batch_size
                )
            dataset.class_names, dataset.file_paths = self.class_names, paths
            made.append(dataset)
        return made if self.subset == "both" else made[0]

    def _dataset(
        self,
        load: Callable[[str], Any],
        paths: list[str],
        labels: list[float] | None,
        buffer: int,
        skip_broken: bool,
    ) -> Dataset:
        def read(number: int) -> Any:
            try:
                content = load(paths[number])
            except (ImportError, MemoryError):
                raise
            except Exception as e:
                error = ValueError(f"The file {paths[number]} cannot be read: {e}")
                if not skip_broken:
                    raise error from e
                arguments.warn_user(f"{error} It is left out.")
                return None
            return content if labels is None else (content, self._label(labels[number]))

        dataset = Dataset(lambda: iter(range(len(paths))), len(paths))
        if buffer:
            dataset = dataset.shuffle(buffer, self.seed, self.format == "tf")
        dataset = dataset.map(read, AUTOTUNE)
        if not skip_broken:
            return dataset
        kept = dataset.filter(lambda *element: element[0] is not None)
        assert kept._count == UNKNOWN
        return kept

    def _spec(self, spec: ArraySpec, label: float | None, batch_size: int | None) -> Any:
        """The spec of contents with their labels, in batches that may be of any size."""
        specs = [spec]
        if label is not None:
            array = self._label(label)
            specs.append(ArraySpec(array.shape, array.dtype.name))
        if batch_size is not None:
            specs = [each.inside(None) for each in specs]
        return specs[0] if label is None else tuple(specs)

    def _label(self, label: float) -> np.ndarray:
        if self.mode == "int":
            return np.asarray(label, np.float32 if isinstance(label, float) else np.int32)
        if self.mode == "binary":
            return np.array([label], "float32")
        return (np.arange(len(self.class_names)) == label).astype("float32")
