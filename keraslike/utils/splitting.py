"""`split_dataset`: the samples of a data set in two parts."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from keraslike.core.annotations import checked
from keraslike.core.structures import map_items
from keraslike.training.data import PyDataset


class Samples:
    """Samples of a data set by their numbers: what `split_dataset` returns.

    It is iterated over a sample at a time; `batch(size)` gives what `fit` takes.
    """

    def __init__(self, dataset: Any, numbers: Sequence[int]):
        self._dataset, self._numbers = dataset, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def cardinality(self) -> int:
        """The number of samples."""
        return len(self)

    def __getitem__(self, index: int) -> Any:
        return self._dataset[int(self._numbers[index])]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def batch(self, batch_size: int, drop_remainder: bool = False) -> PyDataset:
        """A data set of batches of these samples, in their order."""
        return _Batches(self, batch_size, drop_remainder)


class _Batches(PyDataset):
    def __init__(self, samples: Any, batch_size: int, drop_remainder: bool = False):
        super().__init__()
        self._samples, self._size = samples, batch_size
        self._count = len(samples) // batch_size
        if len(samples) % batch_size and not drop_remainder:
            self._count += 1

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Any:
        first = index * self._size
        numbers = range(first, min(first + self._size, len(self._samples)))
        return _stacked([self._samples[i] for i in numbers])


def _stacked(samples: list[Any]) -> Any:
    one = samples[0]
    if isinstance(one, dict):
        return type(one)((k, _stacked([s[k] for s in samples])) for k in one)
    if isinstance(one, (list, tuple)):
        parts = iter([_stacked(list(part)) for part in zip(*samples)])
        return map_items(lambda _: next(parts), one)
    return np.stack([np.asarray(s) for s in samples])


class _Rows:
    """Arrays in a structure, as a sequence of samples."""

    def __init__(self, arrays: Any):
        self._arrays = arrays

    def __getitem__(self, index: int) -> Any:
        return _map(lambda array: array[index], self._arrays)


def _map(function: Any, value: Any) -> Any:
    if isinstance(value, dict):
        return type(value)((k, _map(function, v)) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return map_items(lambda v: _map(function, v), value)
    return function(value)


@checked
def split_dataset(
    dataset: Any,
    left_size: Any = None,
    right_size: Any = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[Samples, Samples]:
    """The samples of a data set in two parts, the first of them and the last.

    Args:
        dataset: an array; a list or tuple of arrays of the same length; what has `len()` and gives
            a sample by its number (a data set of torch); a loader of torch, a `PyDataset` or a
            generator, whose batches are taken apart; any other iterable of samples.
        left_size, right_size: the number of samples in each part, or their share; one of them is
            enough.
        shuffle: whether the samples are put into another order first.
        seed: of that order.
        preferred_backend: taken for the sake of Keras; the parts are the same.

    Raises TypeError for what is no data set, ValueError where there are no samples, arrays are of
    several lengths, or the parts are not within the whole.

    >>> left, right = split_dataset(np.arange(10.0), left_size=0.8)
    >>> len(left), [float(x) for x in right]
    (8, [8.0, 9.0])
    """
    del preferred_backend
    samples, total = _samples(dataset)
    left, right = _sizes(left_size, right_size, total)
    numbers = list(range(total))
    if shuffle:
        random.Random(seed).shuffle(numbers)
    return Samples(samples, numbers[:left]), Samples(samples, numbers[total - right :])


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
    if isinstance(dataset, PyDataset):
        return _apart(dataset[i] for i in range(dataset.num_batches))
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
    """The samples in batches."""
    found: list[Any] = []
    for batch in batches:
        rows = _Rows(_map(np.asarray, batch))
        sizes = {len(a) for a in jax.tree.leaves(rows._arrays)}
        if len(sizes) != 1:
            raise ValueError(f"The arrays of a batch have several lengths: {sorted(sizes)}")
        found += [rows[i] for i in range(sizes.pop())]
    if not found:
        raise ValueError("Received an empty dataset.")
    return found, len(found)


def _sizes(left: Any, right: Any, total: int) -> tuple[int, int]:
    if left is None and right is None:
        raise ValueError(
            "At least one of the `left_size` or `right_size` must be specified. Received: None."
        )

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
            f"The sum of `left_size` and `right_size` is {first + last}, and there are {total} "
            f"samples. Received: left_size={left}, right_size={right}"
        )
    return first, last
