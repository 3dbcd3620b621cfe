"""Delays Ctrl-C to the end of a dispatch, so that state is never written partially."""

from __future__ import annotations

import threading
from typing import Any

# The functions that `signal` wraps. The wrappers look up each number in an enumeration, which takes
# ten times as long.
try:
    import _signal as signal  # type: ignore[import-not-found]
except ImportError:
    import signal


class _Interrupt(threading.local):
    def __init__(self):
        self.deferring = False
        self.pending = False


_interrupt = _Interrupt()


class interruptible:
    """Within the block, Ctrl-C is delayed to the end of a dispatch, so that state is never written
    partially."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before: Any = None
        if threading.current_thread() is not threading.main_thread():
            return
        before = signal.getsignal(signal.SIGINT)
        if not callable(before):  # The signal is ignored, or handled outside of Python.
            return

        def handle(number: int, frame: Any) -> None:
            if _interrupt.deferring:
                _interrupt.pending = True
            else:
                before(number, frame)

        signal.signal(signal.SIGINT, handle)
        self._before = before

    def __exit__(self, *_: Any) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)


class _NoInterrupt:
    """A block for a dispatch and its write-back, after which a pending interrupt is raised.
    Entering and leaving it costs two attribute writes."""

    __slots__ = ()

    def __enter__(self) -> None:
        _interrupt.deferring = True

    def __exit__(self, *_: Any) -> None:
        _interrupt.deferring = False
        if _interrupt.pending:
            _interrupt.pending = False
            raise KeyboardInterrupt


no_interrupt = _NoInterrupt()
