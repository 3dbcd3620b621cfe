"""Batches made ready while a step runs: by a thread, where what makes them allows that."""

from __future__ import annotations

import itertools
import multiprocessing
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

from keraslike.core.iteration import Failed, attempted, tried

_END = object()
# Seconds that further items are waited for. A dispatch for each item would take Python from the
# thread that makes them.
_PATIENCE = 5e-3


class Ahead:
    """The items of an iterator, taken from it by a thread that is some items ahead.

    An exception of the iterator is raised where its item would have come, with the traceback of
    where it happened.

    Args:
        items: where they come from; used by the thread only.
        prepare: what the thread does with each of them.
        depth: the most items that wait to be taken.

    >>> with Ahead(range(5), lambda n: n * n, depth=2) as squares:
    ...     [squares.take(1), squares.take(9, wait=True), squares.take(1)]
    [[0], [1, 4, 9, 16], []]
    """

    def __init__(self, items: Iterable, prepare: Callable[[Any], Any], depth: int):
        self._items, self._prepare = items, prepare
        self._queue: queue.Queue = queue.Queue(depth)
        self._stopped = False
        self._failed: Failed | None = None  # an error behind the items that were taken last
        self._error: BaseException | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._work, name="keraslike-batches", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        items = iter(self._items)
        prepare = attempted(self._prepare)
        try:
            for item in tried(items):
                self._queue.put(prepare(item))
                del item  # a batch that is under way is held once
                if self._stopped:
                    break
        except BaseException as error:
            self._error = error
        finally:
            if hasattr(items, "close") and self._stopped:
                items.close()
            self._queue.put(_END)

    def take(self, most: int, wait: bool = False) -> list[Any]:
        """The next items: one at least, and up to `most` of those that come soon; none at the end.

        With `wait` it is `most`, unless the end comes before.
        """
        taken: list[Any] = []
        until = 0.0
        failed, self._failed = self._failed, None
        if failed is not None:
            raise failed.error
        while len(taken) < most and not self._ended:
            left = None if wait or not taken else max(0.0, until - time.monotonic())
            try:
                item = self._queue.get(timeout=left)
            except queue.Empty:
                break
            if not taken:
                until = time.monotonic() + _PATIENCE
            if item is _END:
                self._ended = True
            elif type(item) is not Failed:
                taken.append(item)
            elif taken:
                self._failed = item
                break
            else:
                raise item.error
        if not taken and self._error is not None:
            raise self._error
        return taken

    def close(self) -> None:
        """Ends the thread when it has finished what it is at, and drops what is ready."""
        self._stopped = True
        while not self._ended:
            self._ended = self._queue.get() is _END

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class OnDemand:
    """The items of an iterator as they are asked for, in the place of `Ahead`.

    For iterators that run code of the user's, which may call or train models, draw random numbers
    and expect the model to be as the last step left it.

    >>> with OnDemand(range(3), lambda n: n * n) as squares:
    ...     [squares.take(1), squares.take(9, wait=True), squares.take(1)]
    [[0], [1, 4], []]
    """

    def __init__(self, items: Iterable, prepare: Callable[[Any], Any]):
        self._items = iter(items)
        self._prepare = prepare

    def take(self, most: int, wait: bool = False) -> list[Any]:
        """The next item, or with `wait` the next `most` of them; fewer at the end."""
        items = itertools.islice(self._items, most if wait else 1)
        return [self._prepare(item) for item in items]

    def __enter__(self) -> OnDemand:
        return self

    def __exit__(self, *_: Any) -> None:
        if hasattr(self._items, "close"):
            self._items.close()


def made_by(
    executor: Executor, make: Callable[[int], Any], numbers: Iterable[int], most: int
) -> Iterator[Any]:
    """`make(n)` for each number, in order, of which `most` are under way at a time.

    >>> list(made_by(ThreadPoolExecutor(2), abs, [-1, -2, -3], most=2))
    [1, 2, 3]
    """
    pending: deque[Any] = deque()
    try:
        for number in numbers:
            if len(pending) >= most:
                yield pending.popleft().result()
            pending.append(executor.submit(make, number))
        while pending:
            yield pending.popleft().result()
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def workers(dataset: Any, count: int, processes: bool) -> tuple[Executor, Callable[[int], Any]]:
    """What runs `dataset[n]`, in threads or in processes of their own, and the function to run.

    Processes start anew and get a pickled copy: a fork of a process that jax runs in may hang.
    """
    if not processes:
        return ThreadPoolExecutor(count), dataset.__getitem__
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(count, context, initializer=_receive, initargs=(dataset,))
    return executor, _make


_received: Any = None


def _receive(dataset: Any) -> None:
    global _received
    _received = dataset


def _make(number: int) -> Any:
    return _received[number]
