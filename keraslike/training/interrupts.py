"""Delays handlers of signals to the end of a dispatch, so that state is never written partially.

A handler may raise: that of Ctrl-C does, and those of time limits and of `kill` often do.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

# The functions that `signal` wraps. The wrappers look up each number in an enumeration, which takes
# ten times as long.
try:
    import _signal as signal  # type: ignore[import-not-found]
except ImportError:
    import signal

# The signals whose handlers may raise, where the system has them.
_NAMES = "SIGINT SIGTERM SIGALRM SIGVTALRM SIGPROF SIGUSR1 SIGUSR2 SIGHUP SIGQUIT SIGXCPU SIGBREAK"
_SIGNALS = tuple(getattr(signal, name) for name in _NAMES.split() if hasattr(signal, name))


class _Interrupt(threading.local):
    def __init__(self):
        self.deferring = 0  # The number of blocks that this thread is in.
        self.pending: list[tuple] = []  # Handlers with their arguments.


_interrupt = _Interrupt()


class interruptible:
    """Within the block, the handlers of signals run at the end of a dispatch if they are called
    during one."""

    __slots__ = ("_handlers",)

    def __enter__(self) -> None:
        self._handlers: list[tuple[int, Callable, Callable]] = []
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _SIGNALS:
            before = signal.getsignal(number)
            if callable(before):  # Else the signal is ignored, or handled outside of Python.
                handler = _delayed(before)
                self._handlers.append((number, handler, before))
                signal.signal(number, handler)

    def __exit__(self, *_: Any) -> None:
        for number, handler, before in self._handlers:
            if signal.getsignal(number) is handler:  # Else it was replaced within the block.
                signal.signal(number, before)


def _delayed(handler: Callable) -> Callable:
    def handle(number: int, frame: Any) -> None:
        if _interrupt.deferring:
            _interrupt.pending.append((handler, number, frame))
        else:
            handler(number, frame)

    return handle


class _NoInterrupt:
    """A block for a dispatch and its write-back, after which the delayed handlers run. Entering and
    leaving it costs two attribute writes."""

    __slots__ = ()

    def __enter__(self) -> None:
        _interrupt.deferring += 1

    def __exit__(self, *_: Any) -> None:
        _interrupt.deferring -= 1
        if _interrupt.pending and not _interrupt.deferring:
            pending, _interrupt.pending = _interrupt.pending, []
            with contextlib.ExitStack() as stack:  # Each runs, even if others raise.
                for call in reversed(pending):
                    stack.callback(*call)


no_interrupt = _NoInterrupt()
