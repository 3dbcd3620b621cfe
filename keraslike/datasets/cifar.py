"""Reading of CIFAR-10 and CIFAR-100."""

import os

import numpy as np

from keraslike.core.arguments import image_data_format
from keraslike.datasets.files import Arrays, fetch, read_pickle

_SITE = "https://www.cs.toronto.edu/~kriz/"


def load(classes: int, train: list[str], test: str, labels: str) -> Arrays:
    """The arrays of a data set, with images in the current `image_data_format()`."""
    name = f"cifar-{classes}"
    inner = f"{name}-batches-py" if classes == 10 else f"{name}-python"
    folder = fetch(f"{name}-python.tar.gz", f"{inner}-target", folder=_SITE, extract=True)
    parts = [_read(os.path.join(folder, inner, file), labels) for file in train]
    x, y = (np.concatenate(p) for p in zip(*parts, strict=True))
    return (x, y), _read(os.path.join(folder, inner, test), labels)


def _read(path: str, labels: str) -> tuple[np.ndarray, np.ndarray]:
    with open(path, "rb") as file:
        contents = read_pickle(file, encoding="bytes")
    images = contents[b"data"].reshape(-1, 3, 32, 32)
    if image_data_format() == "channels_last":
        images = images.transpose(0, 2, 3, 1)
    return images, np.array(contents[labels.encode()], np.uint8).reshape(-1, 1)
