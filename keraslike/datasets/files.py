"""The URLs and hashes of data sets, and the reading of their files."""

from __future__ import annotations

import json
import pickle
import zipfile
from typing import Any, BinaryIO

import numpy as np

from keraslike.utils.downloads import get_file

_FOLDER = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"

_HASHES = {
    "boston_housing.npz": "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5",
    "california_housing.npz": "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f",
    "imdb.npz": "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f",
    "imdb_word_index.json": "bfafd718b763782e994055a2d397834f",
    "mnist.npz": "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
    "reuters.npz": "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916",
    "reuters_word_index.json": "4d44cc38712099c9e383dc6e5f11a921",
    "cifar-10-python.tar.gz": "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    "cifar-100-python.tar.gz": "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
}

Arrays = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def fetch(name: str, path: Any = None, folder: str = _FOLDER, **options: Any) -> str:
    """The path of a downloaded file, which is cached under the name `path` if that is given."""
    return get_file(path or name, folder + name, file_hash=_HASHES.get(name), **options)


def read_npz(path: str) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file. Its pickles may contain lists and numbers only."""
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as file:
                arrays[name.removesuffix(".npy")] = _read_array(file)
    return arrays


def _read_array(file: Any) -> np.ndarray:
    try:
        return np.lib.format.read_array(file, allow_pickle=False)
    except ValueError:  # an array of lists
        file.seek(0)
        if np.lib.format.read_magic(file)[0] == 1:
            np.lib.format.read_array_header_1_0(file)
        else:
            np.lib.format.read_array_header_2_0(file)
        return read_pickle(file)


def read_pickle(file: BinaryIO, **options: Any) -> Any:
    """The contents of a pickle of plain values and numpy arrays. Raises UnpicklingError for
    others."""
    return _ArraysOnly(file, **options).load()


class _ArraysOnly(pickle.Unpickler):
    """An unpickler for untrusted files, which calls only the constructors of numpy arrays."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if name == "_reconstruct" and module in _MULTIARRAY:
            return super().find_class("numpy._core.multiarray", name)
        raise pickle.UnpicklingError(
            f"Refusing to load {module}.{name}: a data set may only have plain values and arrays."
        )


_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")


def read_json(path: str) -> Any:
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def shuffle(random: np.random.RandomState, *arrays: np.ndarray) -> list[np.ndarray]:
    """The arrays in the same random order, which is Keras's."""
    order = np.arange(len(arrays[0]))
    random.shuffle(order)
    return [a[order] for a in arrays]


def split(x: Any, y: Any, test_split: float) -> Arrays:
    """The first rows, and the last ones with the share `test_split`."""
    if not 0 <= test_split < 1:
        raise ValueError(
            f"test_split must be at least 0 and less than 1. Received: test_split={test_split}"
        )
    n = int(len(x) * (1 - test_split))
    return (x[:n], y[:n]), (x[n:], y[n:])
