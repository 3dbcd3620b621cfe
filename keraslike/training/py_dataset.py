"""`PyDataset`, whose batches are requested by index."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from keraslike.core.shares import Rows, Share
from keraslike.training.prefetch import made_by, workers


class PyDataset:
    """A base class for data sets that create each batch by its index.

    A subclass defines `__len__` (the batches per epoch) and `__getitem__(index)` (a batch), and may
    define `on_epoch_begin` and `on_epoch_end`.

    Args:
        workers: how many batches are created concurrently.
        use_multiprocessing: whether to use processes, which receive a pickled copy, instead of
            threads.
        max_queue_size: with several workers, the most batches in progress or ready.

    >>> class Squares(PyDataset):
    ...     def __len__(self):
    ...         return 2
    ...     def __getitem__(self, index):
    ...         x = np.arange(4.0)[:, None] + 4 * index
    ...         return x, x**2
    >>> Squares().num_batches
    2
    """

    can_prefetch = True  # A thread may request batches while a step runs.
    # For subclasses, as those of Keras 2's `Sequence`, that do not call this class's `__init__`.
    workers, use_multiprocessing, max_queue_size = 1, False, 10

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ):
        self.workers, self.use_multiprocessing = workers, use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__() method.")

    def __iter__(self) -> Iterator[Any]:
        # A StopIteration in `__getitem__` is an error here, and not the end of the data.
        return (self[n] for n in self._numbers())

    def _numbers(self) -> Iterable[int]:
        return itertools.count() if self.num_batches is None else range(self.num_batches)

    @property
    def num_batches(self) -> int | None:
        """The number of batches in an epoch; `None` if `steps_per_epoch` determines it."""
        if not hasattr(self, "__len__"):
            raise NotImplementedError(f"{type(self).__name__} has no __len__() or num_batches.")
        return len(self)  # type: ignore[arg-type]

    def part(self, index: int, rows: Rows) -> tuple[Any, int]:
        """The part of a batch that one of several processes needs, and the number of samples in the
        batch.

        By default the whole batch is created. A subclass that can create a part of it overrides
        this.

        Args:
            index: of the batch.
            rows: a function from the number of samples in the batch to an array of row numbers.

        >>> class Numbers(PyDataset):
        ...     def __len__(self):
        ...         return 3
        ...     def part(self, index, rows):
        ...         return 4.0 * index + rows(4), 4
        >>> Numbers().part(2, lambda count: np.arange(count // 2))
        (array([8., 9.]), 4)
        """
        batch = self[index]
        size = jax.tree.leaves(batch)[0].shape[0]
        mine = rows(size)
        return jax.tree.map(lambda a: np.asarray(a)[mine], batch), size

    def made(self, numbers: Iterable[int], rows: Rows | None = None) -> Iterator[Any]:
        """The batches with these numbers, in this order; with `rows`, a `Share` of each."""
        numbers = map(int, numbers)
        make = self.__getitem__ if rows is None else lambda n: Share(*self.part(n, rows))
        if self.workers <= 1 and not self.use_multiprocessing:
            return (make(n) for n in numbers)  # See `__iter__`.
        if rows is not None:
            executor: Any = ThreadPoolExecutor(max(1, self.workers))
        else:
            executor, make = workers(self, max(1, self.workers), self.use_multiprocessing)
        return made_by(executor, make, numbers, max(1, self.max_queue_size))

    def on_epoch_begin(self) -> None:
        """Called at the beginning of every epoch."""

    def on_epoch_end(self) -> None:
        """Called at the end of every epoch."""
