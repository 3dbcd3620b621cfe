"""`tf.train.Coordinator`, which stops several threads together."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from keraslike.tf.errors import CancelledError, OutOfRangeError


class Coordinator:
    """Lets threads ask one another to stop, and waits for them.

    Args:
        clean_stop_exception_types: errors that request a stop and that `join` does not raise, by
            default OutOfRangeError.

    >>> import threading
    >>> coordinator = tf.train.Coordinator()
    >>> thread = threading.Thread(target=coordinator.wait_for_stop)
    >>> thread.start()
    >>> coordinator.request_stop()
    >>> coordinator.join([thread])
    >>> coordinator.should_stop()
    True
    """

    def __init__(self, clean_stop_exception_types: tuple[type, ...] | None = None):
        self._clean = (OutOfRangeError,) if clean_stop_exception_types is None else tuple(
            clean_stop_exception_types
        )  # fmt: skip
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._error: BaseException | None = None
        self._threads: list[threading.Thread] = []
        self._joined = False

    @property
    def joined(self) -> bool:
        """Whether `join` has ended."""
        return self._joined

    def request_stop(self, ex: Any = None) -> None:
        """Requests all threads to stop; `join` raises the given error, if any."""
        with self._lock:
            error = ex[1] if isinstance(ex, tuple) else ex
            if self._joined:
                if error is not None:
                    raise error
                return
            if error is None and isinstance(ex, BaseException):
                error = ex
            if not self._stop.is_set():
                is_clean = isinstance(error, (*self._clean, CancelledError))
                self._error = None if is_clean else error
            self._stop.set()

    def clear_stop(self) -> None:
        """Withdraws the request to stop."""
        with self._lock:
            self._joined, self._error = False, None
            self._stop.clear()

    def should_stop(self) -> bool:
        """Whether a stop was requested."""
        return self._stop.is_set()

    def wait_for_stop(self, timeout: float | None = None) -> bool:
        """Waits until a stop is requested; returns whether it was."""
        return self._stop.wait(timeout)

    @contextlib.contextmanager
    def stop_on_exception(self) -> Iterator[None]:
        """A block whose errors request all threads to stop."""
        try:
            yield
        except BaseException:
            self.request_stop(sys.exc_info())

    def register_thread(self, thread: threading.Thread) -> None:
        """Adds a thread to those that `join` waits for."""
        self._threads.append(thread)

    def raise_requested_exception(self) -> None:
        """Raises the error that was given to `request_stop`, if any."""
        if self._error is not None:
            raise self._error

    def join(
        self,
        threads: Any = None,
        stop_grace_period_secs: float = 120,
        ignore_live_threads: bool = False,
    ) -> None:
        """Waits for the threads to end; raises the error with which one of them requested the stop.

        Raises RuntimeError if threads still run this number of seconds after the request.
        """
        running = [*self._threads, *(t for t in threads or () if t not in self._threads)]
        while any(t.is_alive() for t in running) and not self._stop.wait(0.05):
            pass
        end = time.monotonic() + stop_grace_period_secs
        for thread in running:
            thread.join(max(end - time.monotonic(), 0))
        alive = [t.name for t in running if t.is_alive()]
        self._joined = True
        self._threads = []
        if self._error is not None:
            raise self._error
        if alive and not ignore_live_threads:
            raise RuntimeError(f"Coordinator stopped with threads still running: {alive}")


__all__ = ["Coordinator"]
