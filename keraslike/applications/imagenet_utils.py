"""Preprocessing of images and decoding of predictions for networks that were trained on
ImageNet."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from keraslike import ops
from keraslike.core.arguments import image_data_format
from keraslike.core.dtypes import floatx
from keraslike.utils import get_file

_CLASSES = "https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json"
_MODES = {
    "caffe": (1.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
    "tf": (127.5, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0)),
    "torch": (255.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


def preprocess_input(x: Any, data_format: str | None = None, mode: str = "caffe") -> Any:
    """Pixels from 0 to 255, as a network expects them.

    Args:
        x: images `(batch, height, width, 3)`, or one without a batch; an array or a tensor. A
            numpy array of floats is written over, unless it is read-only.
        data_format: `"channels_last"` or `"channels_first"`; what is set, if `None`.
        mode: `"caffe"` for blue, green and red less their means, `"tf"` for -1 to 1, `"torch"` for
            0 to 1, less the mean and divided by the deviation of each colour.

    Returns:
        The same shape, of floating-point numbers.

    >>> preprocess_input(np.array([[[0.0, 127.5, 255.0]]]), mode="tf")
    array([[[-1.,  0.,  1.]]])
    """
    if mode not in _MODES:
        raise ValueError(f"mode is 'caffe', 'tf' or 'torch', not {mode!r}")
    data_format = data_format or image_data_format()
    if data_format not in ("channels_first", "channels_last"):
        raise ValueError(f"data_format is 'channels_first' or 'channels_last', not {data_format!r}")
    if not hasattr(x, "dtype"):
        x = np.asarray(x)
    rank = len(x.shape)
    axis = rank - 1 if data_format == "channels_last" else rank - 3
    plain = isinstance(x, np.ndarray)
    if "float" not in str(x.dtype):
        x = x.astype(floatx()) if plain else ops.cast(x, floatx())
    elif plain and not x.flags.writeable:
        x = x.copy()
    scale, mean, deviation = _MODES[mode]
    shape = [3 if i == axis else 1 for i in range(rank)]
    as_array = np.asarray if plain else ops.convert_to_tensor
    if mode == "caffe":
        x = np.flip(x, axis) if plain else ops.flip(x, axis)
    if scale != 1:
        x /= scale
    x -= 1.0 if mode == "tf" else as_array(np.reshape(mean, shape), x.dtype)
    if mode == "torch":
        x /= as_array(np.reshape(deviation, shape), x.dtype)
    return x


def preprocessing(mode: str | None) -> Callable[..., Any]:
    """The `preprocess_input` of a network; it returns its input if the network contains
    preprocessing."""

    def preprocess(x: Any, data_format: str | None = None) -> Any:
        return x if mode is None else preprocess_input(x, data_format, mode)

    preprocess.__name__ = preprocess.__qualname__ = "preprocess_input"
    rule = (
        "The same pixels, from 0 to 255: the network scales them itself."
        if mode is None
        else f'Pixels from 0 to 255 as the network expects them: `imagenet_utils`\' mode "{mode}".'
    )
    shown = preprocess(np.full((1, 1, 3), 127.5)).round(4).tolist()
    example = f">>> preprocess_input(np.full((1, 1, 3), 127.5)).round(4).tolist()\n{shown}"
    preprocess.__doc__ = f"{rule}\n\n{example}"
    return preprocess


def decode_predictions(preds: Any, top: int = 5) -> list[list[tuple[Any, ...]]]:
    """The most probable of ImageNet's classes for each image.

    Args:
        preds: scores `(batch, 1000)`.
        top: how many.

    Returns:
        For each image, `(code, name, score)` of its classes, the highest score first.

    Example (it downloads the names):

        decode_predictions(np.eye(1000)[:1], top=1)  # [[('n01440764', 'tench', 1.0)]]
    """
    scores = ops.convert_to_numpy(preds)
    if scores.ndim != 2 or scores.shape[1] != 1000:
        raise ValueError(f"preds has the shape (batch, 1000), not {scores.shape}")
    names = _class_names()
    return [
        [(*names[str(i)], row[i]) for i in np.argsort(-row, kind="stable")[:top]] for row in scores
    ]


@functools.cache
def _class_names() -> dict[str, list[str]]:
    file_hash = "c2c37ea517e94d9795004a39431a14cb"
    name = "imagenet_class_index.json"
    with open(get_file(name, _CLASSES, cache_subdir="models", file_hash=file_hash)) as file:
        return json.load(file)


__all__ = ["decode_predictions", "preprocess_input"]
__dir__ = __all__.copy
