"""Images of clothes."""

import gzip
import os

import numpy as np

from keraslike.datasets.files import Arrays, fetch


def load_data() -> Arrays:
    """Fashion-MNIST: 60,000 and 10,000 images of 28 x 28 pixels of ten classes of clothes.

    Returns:
        `(x_train, y_train), (x_test, y_test)`, uint8: images `(n, 28, 28)` from 0 to 255, labels
        `(n,)`: 0 T-shirt or top, 1 trouser, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt,
        7 sneaker, 8 bag, 9 ankle boot.

    Xiao, Rasul and Vollgraf, Fashion-MNIST, 2017, https://arxiv.org/abs/1708.07747

    Example (it downloads):

        (x_train, y_train), (x_test, y_test) = load_data()
    """
    train, test = _read("train"), _read("t10k")
    return train, test


def _read(part: str) -> tuple[np.ndarray, np.ndarray]:
    labels = _bytes(f"{part}-labels-idx1-ubyte.gz", 8)
    images = _bytes(f"{part}-images-idx3-ubyte.gz", 16)
    return images.reshape(len(labels), 28, 28), labels


def _bytes(name: str, header: int) -> np.ndarray:
    path = fetch(name, cache_subdir=os.path.join("datasets", "fashion-mnist"))
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


__all__ = ["load_data"]
__dir__ = __all__.copy
