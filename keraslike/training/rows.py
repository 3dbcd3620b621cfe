"""Data sets whose batches are rows of arrays: the arrays are transferred to the device once, and
for each epoch only the numbers of the rows."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from keraslike.training.arrays import Batch, example_of
from keraslike.training.stream_data import StreamData


class RowData:
    """The arrays of a data set and the orders of its rows, with the interface of `ArrayData`.

    The position and the length of epochs are those of the underlying stream.
    """

    taken = 0  # Each epoch is a complete one.

    def __init__(self, stream: StreamData, found: Any):
        arrays, self._keys, self.batch_size, self._drop = found
        self._stream, self.data = stream, stream.ready(arrays)
        self.num_samples = 0  # The number of samples in the epoch that `order` was called for.
        self._seed: Any = None  # The seed of that epoch.
        # For the next epoch: the seeds before and after, and the rows.
        self._drawn: tuple[Any, Any, Any] | None = None

    @classmethod
    def of(cls, stream: StreamData) -> RowData | None:
        """The row data of a stream; `None` if its batches are not merely rows of arrays."""
        source = stream.source
        if stream.fixed_steps or not stream.steps or not hasattr(source, "rows_of_arrays"):
            return None
        found = source.rows_of_arrays()
        if found is None or any(a.dtype.hasobject for a in jax.tree.leaves(found.arrays)):
            return None
        return cls(stream, found)

    def nbytes(self) -> int:
        return sum(a.nbytes for a in jax.tree.leaves(self.data))

    def example(self) -> Batch:
        """The shapes and dtypes of a batch."""
        return example_of(self.data, min(self.batch_size, self.num_samples))

    def order(self) -> np.ndarray:
        """The numbers of the rows in the epoch that starts."""
        self._seed = self._stream.begin_again()
        drawn, self._drawn = self._drawn, None
        if drawn is None or drawn[0] != self._seed:
            drawn = self._draw()
        self._stream.source.orders = drawn[1]
        return drawn[2]

    def _draw(self) -> tuple[Any, Any, np.ndarray]:
        source = self._stream.source
        before = source.orders
        rows = np.fromiter(self._keys(0), np.int32)
        after, source.orders = source.orders, before
        if self._drop:
            rows = rows[: len(rows) // self.batch_size * self.batch_size]
        self.num_samples = len(rows)
        return before, after, rows

    def draw(self) -> None:
        """Computes the order of the next epoch in advance, while the device is busy."""
        self._drawn = self._draw()

    def position(self, step: int) -> Any:
        """The argument for `mark_trained` after this number of steps of the epoch."""
        return self._seed, step, None

    def mark_trained(self, position: Any) -> None:
        self._stream.mark_trained(position)

    def end_epoch(self, steps: int) -> None:
        self._stream.end_epoch(steps)
