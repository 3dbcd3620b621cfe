"""Data sets of sliding windows of a time series."""

from __future__ import annotations

from typing import Any

import numpy as np

from keraslike.core import foreign
from keraslike.core.annotations import checked
from keraslike.data import AUTOTUNE, Dataset


@checked
def timeseries_dataset_from_array(
    data: Any,
    targets: Any,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
    format: Any = "tf",
) -> Dataset:
    """A data set of sliding windows of an array, along its first axis.

    Args:
        data: the time steps.
        targets: the targets, `targets[i]` for the window that begins at `data[i]`, or `None`.
        sequence_length: the number of steps in a window.
        sequence_stride: the distance of the starts of consecutive windows.
        sampling_rate: the distance of consecutive steps of a window.
        batch_size: the size of batches, or `None` for single windows.
        shuffle: whether the windows are in random order.
        seed: the seed of the order.
        start_index, end_index: the range of steps to use, without the last.
        format: `"tf"` for a new order in each epoch, `"grain"` for the same one.

    Raises ValueError for arguments that do not fit the data.

    >>> windows = timeseries_dataset_from_array(np.arange(6), None, 3, sequence_stride=2)
    >>> [batch.tolist() for batch in windows]
    [[[0, 1, 2], [2, 3, 4]]]
    """
    total = len(data)
    given = {"start_index": start_index, "end_index": end_index}
    for name, value in given.items():
        if value and not 0 < value < total:
            what = f"`{name}` must be lower than the length of the data, {total}"
            if value < 0:
                what = f"`{name}` must be {'0 or greater' if name[0] == 's' else 'higher than 0'}"
            raise ValueError(f"{what}. Received: {name}={value}")
    if start_index and end_index and end_index <= start_index:
        raise ValueError(f"`end_index` must be higher than `start_index`. Received: {given}")
    for name, value in (("sampling_rate", sampling_rate), ("sequence_stride", sequence_stride)):
        if value <= 0:
            raise ValueError(f"`{name}` must be higher than 0. Received: {name}={value}")
        if value >= total:
            raise ValueError(
                f"`{name}` must be lower than the length of the data. "
                f"Received: {name}={value}, for data of length {total}"
            )
    if sequence_length <= 0:
        raise ValueError(
            f"`sequence_length` must be higher than 0. Received: sequence_length={sequence_length}"
        )
    if format not in ("tf", "grain"):
        raise ValueError(f'`format` should be either "tf" or "grain". Received: format={format}')
    part = slice(start_index or 0, total if end_index is None else end_index)
    steps = _rows(data)[part]
    answers = None if targets is None else _rows(targets)[part]
    span = (sequence_length - 1) * sampling_rate
    count = len(steps) - span
    if answers is not None:
        count = min(count, len(answers))
    starts = np.arange(0, count, sequence_stride)
    if shuffle:
        seed = np.random.randint(10**6) if seed is None else seed
        np.random.RandomState(seed).shuffle(starts)
    within = np.arange(0, span + 1, sampling_rate)

    def cut(begin: Any) -> Any:
        windows = steps[begin[..., None] + within]
        return windows if answers is None else (windows, answers[begin])

    dataset = Dataset.from_tensor_slices(starts)
    if shuffle:
        dataset = dataset.shuffle(max(len(starts), 1), seed, format == "tf")
    if batch_size is not None:
        dataset = dataset.batch(batch_size)
    return dataset.map(cut).prefetch(AUTOTUNE)


def _rows(values: Any) -> Any:
    """Values as an array; a list has the dtype that a data set would give it."""
    found = foreign.array_of(values)
    return Dataset._own_view().array(values) if found is None else np.asarray(found)
