"""`split_dataset`: splits the samples of a data set into two parts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from keraslike.core.annotations import checked
from keraslike.core.structures import map_items, map_leaves
from keraslike.data import Dataset
from keraslike.data.elements import host
from keraslike.training.py_dataset import PyDataset


class _Rows:
    """A structure of arrays as a sequence of samples."""

    def __init__(self, arrays: Any):
        self._arrays = arrays

    def __getitem__(self, index: int) -> Any:
        return map_leaves(lambda array: array[index], self._arrays)


@checked
def split_dataset(
    dataset: Any,
    left_size: Any = None,
    right_size: Any = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[Dataset, Dataset]:
    """Splits the samples of a data set into the first and the last ones.

    Args:
        dataset: an array; a list or tuple of arrays of the same length; a `Dataset`, whose batch
            size the parts keep; an object with `len()` and samples by number, such as a torch data
            set; a torch loader, a `PyDataset` or a generator, whose batches are split into samples;
            or any other iterable of samples.
        left_size, right_size: the number or the fraction of samples in each part, or of one of
            them.
        shuffle: whether the samples are shuffled first.
        seed: the seed of the order.
        preferred_backend: accepted as in Keras, and ignored.

    Raises TypeError for other objects, ValueError if there are no samples, if arrays differ in
    length, and if the parts exceed the data set or one of them is empty.

    >>> left, right = split_dataset(np.arange(10.0), left_size=0.8)
    >>> len(left), [float(x) for x in right]
    (8, [8.0, 9.0])
    """
    del preferred_backend
    samples, total = _samples(dataset)
    size = dataset.batch_size if isinstance(dataset, Dataset) else None
    left, right = _sizes(left_size, right_size, total)
    numbers = list(range(total))
    if shuffle:
        random.Random(seed).shuffle(numbers)

    def part(numbers: Sequence[int]) -> Dataset:
        found = Dataset(lambda: (host(samples[n]) for n in numbers), len(numbers))
        return found if size is None else found.batch(size)

    return part(numbers[:left]), part(numbers[total - right :])


def _samples(dataset: Any) -> tuple[Any, int]:
    if isinstance(dataset, (list, tuple)):
        kind = type(dataset).__name__
        if not dataset:
            raise ValueError(f"Received an empty {kind} dataset: it must hold arrays.")
        if any(isinstance(a, (str, bytes)) or not np.ndim(a) for a in dataset):
            raise ValueError(f"Expected a {kind} of arrays. Received: {dataset!r}")
        arrays = map_items(lambda a: a if hasattr(a, "shape") else np.asarray(a), dataset)
        lengths = [len(a) for a in arrays]
        if len(set(lengths)) > 1:
            raise ValueError(f"Received a {kind} of arrays with different lengths: {lengths}")
        return _Rows(arrays), lengths[0]
    if isinstance(dataset, (np.ndarray, jax.Array)):
        return dataset, len(dataset)
    if isinstance(dataset, Dataset):
        samples = dataset if dataset.batch_size is None else dataset.unbatch()
        found = list(samples.as_numpy_iterator())
        if not found:
            raise ValueError("Received an empty dataset.")
        return found, len(found)
    if isinstance(dataset, PyDataset):
        if dataset.num_batches is None:
            raise ValueError("dataset must have an end. Received: a PyDataset without a length")
        return _apart(dataset)
    if hasattr(dataset, "__next__") or hasattr(dataset, "batch_size"):  # of torch's loaders
        return _apart(dataset)
    if hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__"):
        if not len(dataset):
            raise ValueError("Received an empty dataset.")
        return dataset, len(dataset)
    if hasattr(dataset, "__iter__") and not isinstance(dataset, (str, bytes)):
        found = list(dataset)
        return found, len(found)
    raise TypeError(
        "dataset must be an array, a list or tuple of arrays, a PyDataset, a generator or a data "
        f"set of torch. Received: dataset={dataset!r}"
    )


def _apart(batches: Any) -> tuple[list[Any], int]:
    """The samples of all batches."""
    found: list[Any] = []
    for batch in batches:
        rows = _Rows(map_leaves(np.asarray, batch))
        sizes = {len(a) for a in jax.tree.leaves(rows._arrays)}
        if len(sizes) != 1:
            raise ValueError(
                f"The arrays of a batch must have the same length. Received: {sorted(sizes)}"
            )
        found += [rows[i] for i in range(sizes.pop())]
    if not found:
        raise ValueError("Received an empty dataset.")
    return found, len(found)


def _sizes(left: Any, right: Any, total: int) -> tuple[int, int]:
    if left is None and right is None:
        raise ValueError("left_size or right_size must be given. Received: None for both")

    def size(name: str, value: Any) -> int | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(
                f"Invalid `{name}` Type. Expected: int or float or None, received: {value!r}"
            )
        if not 0 < value < (1 if isinstance(value, float) else total):
            raise ValueError(
                f"`{name}` should be either a positive integer smaller than {total}, or a float "
                f"within the range `[0, 1]`. Received: {name}={value}"
            )
        return round(value * total) if isinstance(value, float) else value

    found = size("left_size", left), size("right_size", right)
    first = total - found[1] if found[0] is None else found[0]  # type: ignore[operator]
    last = total - first if found[1] is None else found[1]
    if first + last > total:
        raise ValueError(
            f"The sum of `left_size` and `right_size` is {first + last}, but there are only "
            f"{total} samples. Received: left_size={left}, right_size={right}"
        )
    if not (first and last):
        raise ValueError(
            f"One of the parts would be empty: {first} and {last} of {total} samples. "
            f"Received: left_size={left}, right_size={right}"
        )
    return first, last
