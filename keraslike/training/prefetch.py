"""Prefetching of batches by a thread, where their source allows that."""

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

import jax

from keraslike.core.iteration import Failed, attempted, tried

_END = object()
# How long to wait for further items, in seconds. A dispatch for each single item would take
# Python's lock from the thread that prepares them.
_TIMEOUT = 5e-3


class Ahead:
    """The items of an iterator, which a thread takes from it in advance.

    An exception of the iterator is raised in place of its item, with the original traceback.

    Args:
        items: the source, used only by the thread.
        prepare: a function that the thread applies to each item.
        depth: the most items in the queue.

    >>> with Ahead(range(5), lambda n: n * n, depth=2) as squares:
    ...     [squares.take(1), squares.take(9, wait=True), squares.take(1)]
    [[0], [1, 4, 9, 16], []]
    """

    def __init__(self, items: Iterable, prepare: Callable[[Any], Any], depth: int):
        self._items, self._prepare = items, prepare
        self._queue: queue.Queue = queue.Queue(depth)
        self._stopped = False
        self._failed: Failed | None = None  # An error that follows the items that were taken last.
        self._error: BaseException | None = None
        self._ended = False
        self._wide = jax.config.jax_enable_x64  # type: ignore[attr-defined]  # of this thread
        self._thread = threading.Thread(target=self._work, name="keraslike-batches", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        with jax.enable_x64(self._wide):
            self._fetch()

    def _fetch(self) -> None:
        items = iter(self._items)
        prepare = attempted(self._prepare)
        try:
            for item in tried(items):
                self._queue.put(prepare(item))
                del item  # Drops the reference, so that a batch in flight is kept alive once only.
                if self._stopped:
                    break
        except BaseException as error:
            self._error = error
        finally:
            if hasattr(items, "close") and self._stopped:
                items.close()
            self._queue.put(_END)

    def take(self, most: int, wait: bool = False) -> list[Any]:
        """The next items: at least one, and up to `most` that arrive soon; none at the end. With
        `wait` it returns exactly `most`, unless the end comes first.
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
                until = time.monotonic() + _TIMEOUT
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
        """Stops the thread after its current item, and discards prepared items."""
        self._stopped = True
        while not self._ended:
            self._ended = self._queue.get() is _END

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class OnDemand:
    """The items of an iterator on request, with the interface of `Ahead`.

    For iterators that run user code, which may call or train models, draw random numbers, and
    expect the model to be in the state after the last step.

    >>> with OnDemand(range(3), lambda n: n * n) as squares:
    ...     [squares.take(1), squares.take(9, wait=True), squares.take(1)]
    [[0], [1, 4], []]
    """

    def __init__(self, items: Iterable, prepare: Callable[[Any], Any]):
        self._items = iter(items)
        self._prepare = prepare

    def take(self, most: int, wait: bool = False) -> list[Any]:
        """The next item, or with `wait` the next `most`; fewer at the end."""
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
    """`make(n)` for each number, in order, of which up to `most` run concurrently.

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
    """The executor that runs `dataset[n]` in threads or in processes, and the function to run.

    Processes are spawned and receive a pickled copy: forking a process with jax in it may deadlock.
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
