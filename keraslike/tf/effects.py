"""What a compiled function does besides computing: text that it prints, checks that fail."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from keraslike.core import context
from keraslike.core.jax_internals import current_trace

_failed: list[Exception] = []  # in the function that runs now
_waiting = 0  # how many blocks wait for what runs


def call_back(function: Callable, values: Sequence[Any]) -> None:
    """Calls a function with a list of arrays and other values; while something is traced, whenever
    the compiled program runs.

    Such calls are made in the order in which they were traced. JAX orders them on one device only,
    so not within a distribution.
    """

    if context.trace_state_clean():
        function(values)
        return
    places = [i for i, value in enumerate(values) if isinstance(value, jax.core.Tracer)]
    known = [None if i in places else value for i, value in enumerate(values)]

    def called(*given: Any) -> None:
        if _failed:  # XLA may go on for a while after a failure
            return
        try:
            filled = list(known)
            for place, value in zip(places, given, strict=True):
                filled[place] = np.asarray(value)
            function(filled)
        except Exception as error:
            if _waiting:
                _failed.append(error)
            raise

    traced = [values[i] for i in places]
    jax.debug.callback(called, *traced, ordered=context.state.distribution is None)


class Watch:
    """The checks that a function makes while it is traced, of values which its program gives."""

    def __init__(self) -> None:
        self.trace = current_trace()
        self.checks: list[tuple[Callable, int]] = []  # each with how many of the values are its
        self.values: list[Any] = []

    def verify(self, values: Sequence[Any]) -> None:
        """Makes the checks of what a program has given; raises what they raise."""
        left = iter(values)
        for check, count in self.checks:
            check(*[next(left) for _ in range(count)])


_watches = threading.local()


@contextlib.contextmanager
def watched() -> Iterator[Watch]:
    """A block in which a function is traced whose program is to be followed by its checks, which
    costs less than that the program calls them."""
    before = getattr(_watches, "watch", None)
    _watches.watch = watch = Watch()
    try:
        yield watch
    finally:
        _watches.watch = before


def noted(check: Callable, values: Sequence[Any]) -> bool:
    """Whether `check`, which raises an error or does nothing, will be called with the arrays each
    time that what is traced runs: within `watched`."""
    watch = getattr(_watches, "watch", None)
    if watch is None:
        return False
    if current_trace() is watch.trace:
        watch.checks.append((check, len(values)))
        watch.values += values
    else:  # in the body of a loop or of a branch, which need not run
        call_back(lambda given: check(*given), values)
    return True


def checked(check: Callable, *values: Any) -> None:
    """Calls `check` with the arrays now or, if one of them is traced, as `noted` does."""
    if any(isinstance(value, jax.core.Tracer) for value in values):
        noted(check, values)
    else:
        check(*map(np.asarray, values))


@contextlib.contextmanager
def awaited() -> Iterator[None]:
    """A block at whose end what compiled functions were to call has been called.

    An error that was raised there is raised here, where JAX would raise a JaxRuntimeError.
    """
    global _waiting
    _waiting += 1
    try:
        yield
        jax.effects_barrier()
    except jax.errors.JaxRuntimeError:
        if not _failed:
            raise
        raise _failed[0] from None
    finally:
        _waiting -= 1
        if not _waiting:
            _failed.clear()
