"""Ctrl-C that waits for the end of a dispatch, so that no state is half written."""

from __future__ import annotations

import threading
from typing import Any

try:  # what `signal` wraps, which looks up each number in an enumeration, for ten times as long
    import _signal as signal  # type: ignore[import-not-found]
except ImportError:
    import signal


class _Interrupt(threading.local):
    def __init__(self):
        self.deferring = False
        self.pending = False


_interrupt = _Interrupt()


class interruptible:
    """Within the block Ctrl-C waits for the end of a dispatch, so that no state is half written."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before: Any = None
        if threading.current_thread() is not threading.main_thread():
            return
        before = signal.getsignal(signal.SIGINT)
        if not callable(before):  # ignored, or handled outside of Python
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
    """A dispatch and its write-back: an interrupt comes after it. Costs two attribute writes."""

    __slots__ = ()

    def __enter__(self) -> None:
        _interrupt.deferring = True

    def __exit__(self, *_: Any) -> None:
        _interrupt.deferring = False
        if _interrupt.pending:
            _interrupt.pending = False
            raise KeyboardInterrupt


no_interrupt = _NoInterrupt()
