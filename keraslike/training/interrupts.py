"""Ctrl-C that waits for the end of a dispatch, so that no state is half written."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


class _Interrupt(threading.local):
    def __init__(self):
        self.deferring = False
        self.pending = False


_interrupt = _Interrupt()


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Within the block Ctrl-C waits for the end of a dispatch, so that no state is half written."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    if not callable(before):  # ignored, or handled outside of Python
        yield
        return

    def handle(number: int, frame: Any) -> None:
        if _interrupt.deferring:
            _interrupt.pending = True
        else:
            before(number, frame)

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


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
