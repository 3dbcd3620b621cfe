"""`tf.queue`: queues of tuples of tensors, for communication between threads.

A queue cannot be used in a compiled function: it raises TypeError while one is traced.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from keraslike.tf import dtypes
from keraslike.tf.conversion import constant, static
from keraslike.tf.dtypes import DType, TensorShape
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.queue_base import Item, QueueBase, listed, shapes_of
from keraslike.tf.tensor import Tensor


class FIFOQueue(QueueBase):
    """A first-in, first-out queue.

    >>> queue = FIFOQueue(3, [dtypes.int32, dtypes.string], shapes=[(), ()])
    >>> queue.enqueue([10, b"windy"])
    >>> queue.enqueue([15, b"sunny"])
    >>> queue.size().numpy(), [t.numpy() for t in queue.dequeue()]
    (np.int32(2), [np.int32(10), b'windy'])
    """

    def __init__(
        self,
        capacity: int,
        dtypes: Any,
        shapes: Any = None,
        names: Any = None,
        shared_name: str | None = None,
        name: str = "fifo_queue",
    ):
        super().__init__(capacity, dtypes, shapes, names, name)
        self._items: deque[Item] = deque()

    def _count(self) -> int:
        return len(self._items)

    def _push(self, item: Item) -> None:
        self._items.append(item)

    def _pop(self) -> Item:
        return self._items.popleft()

    def _put_back(self, items: Sequence[Item]) -> None:
        self._items.extendleft(reversed(items))


class PaddingFIFOQueue(FIFOQueue):
    """A first-in, first-out queue whose elements are padded with zeros along sizes of `None`.

    >>> queue = tf.queue.PaddingFIFOQueue(2, [tf.int32], [[None]])
    >>> queue.enqueue([[1]])
    >>> queue.enqueue([[2, 3]])
    >>> queue.dequeue_many(2).numpy().tolist()
    [[1, 0], [2, 3]]
    """

    _takes_partial_shapes = True

    def __init__(
        self,
        capacity: int,
        dtypes: Any,
        shapes: Any,
        names: Any = None,
        shared_name: str | None = None,
        name: str = "padding_fifo_queue",
    ):
        super().__init__(capacity, dtypes, shapes, names, shared_name, name)

    def _stack(self, values: Sequence[Tensor], shape: Any, kind: DType) -> Tensor:
        if len({tuple(v.shape) for v in values}) < 2:
            return super()._stack(values, shape, kind)
        sizes = np.max([tuple(v.shape) for v in values], axis=0)
        filler = b"" if kind is dtypes.string else 0
        out = np.full((len(values), *sizes), filler, kind.as_numpy_dtype)
        for row, value in zip(out, values, strict=True):
            row[tuple(slice(n) for n in value.shape)] = value.numpy()
        return constant(out)


class PriorityQueue(QueueBase):
    """A queue that returns the element of the lowest priority, its first component (int64), first.

    >>> queue = tf.queue.PriorityQueue(2, [tf.string], [[]])
    >>> queue.enqueue([tf.constant(5, tf.int64), "late"])
    >>> queue.enqueue([tf.constant(1, tf.int64), "soon"])
    >>> queue.dequeue()[1].numpy()
    b'soon'
    """

    def __init__(
        self,
        capacity: int,
        types: Any,
        shapes: Any = None,
        names: Any = None,
        shared_name: str | None = None,
        name: str = "priority_queue",
    ):
        types = listed(types)
        if shapes is not None:
            shapes = [TensorShape(()), *shapes_of(shapes, len(types), False)]
        super().__init__(capacity, [dtypes.int64, *types], shapes, names, name)
        self._items: list[tuple[int, int, Item]] = []
        self._order = 0  # the order of elements of the same priority

    def _count(self) -> int:
        return len(self._items)

    def _push(self, item: Item) -> None:
        self._order += 1
        heapq.heappush(self._items, (int(item[0]), self._order, item))

    def _pop(self) -> Item:
        return heapq.heappop(self._items)[-1]


class RandomShuffleQueue(QueueBase):
    """A queue that returns elements in random order.

    Args:
        min_after_dequeue: the number of elements that stay in an open queue, for better mixing.
        seed: the seed of the order.

    >>> queue = tf.queue.RandomShuffleQueue(2, 0, [tf.int32], [[]])
    >>> queue.enqueue_many([[1, 2]])
    >>> sorted(queue.dequeue_many(2).numpy().tolist())
    [1, 2]
    """

    def __init__(
        self,
        capacity: int,
        min_after_dequeue: int,
        dtypes: Any,
        shapes: Any = None,
        names: Any = None,
        seed: int | None = None,
        shared_name: str | None = None,
        name: str = "random_shuffle_queue",
    ):
        super().__init__(capacity, dtypes, shapes, names, name)
        self._least = int(static(min_after_dequeue))
        if 0 <= self._capacity <= self._least:
            raise InvalidArgumentError(
                f"min_after_dequeue={self._least} must be below capacity={self._capacity}."
            )
        self._items: list[Item] = []
        self._random = random.Random(seed)

    def _count(self) -> int:
        return len(self._items)

    def _push(self, item: Item) -> None:
        self._items.append(item)

    def _pop(self) -> Item:
        at = self._random.randrange(len(self._items))
        self._items[at], self._items[-1] = self._items[-1], self._items[at]
        return self._items.pop()

    def _is_ready(self) -> bool:
        return len(self._items) > self._least


__all__ = ["FIFOQueue", "PaddingFIFOQueue", "PriorityQueue", "QueueBase", "RandomShuffleQueue"]
__dir__ = __all__.copy
