"""Side effects of compiled functions: printed text and failing checks."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from keraslike.core import context
from keraslike.core.jax_internals import current_trace
from keraslike.tf.errors import InvalidArgumentError

_failed: list[Exception] = []  # errors of the running function
_waiting = 0  # the number of blocks that wait for running programs


def call_back(function: Callable, values: Sequence[Any]) -> None:
    """Calls a function with a list of arrays and other values; in a trace, each time that the
    compiled program runs.

    Such calls are made in the order in which they were traced. JAX orders them on one device only,
    so not within a distribution.
    """

    if context.trace_state_clean():
        function(values)
        return
    places = [i for i, value in enumerate(values) if isinstance(value, jax.core.Tracer)]
    known = [None if i in places else value for i, value in enumerate(values)]

    def called(*given: Any) -> None:
        if _failed:  # XLA may run on for a while after a failure
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
    """The checks that a function makes during its trace, of values that its program returns."""

    def __init__(self) -> None:
        self.trace = current_trace()
        self.checks: list[tuple[Callable, int]] = []  # each with the number of its values
        self.values: list[Any] = []

    def verify(self, values: Sequence[Any]) -> None:
        """Runs the checks of the values that a program has returned; raises their errors."""
        left = iter(values)
        for check, count in self.checks:
            check(*[next(left) for _ in range(count)])


_watches = threading.local()


@contextlib.contextmanager
def watched() -> Iterator[Watch]:
    """A block in which a function is traced whose checks run after its program. This costs less
    than calls from within the program."""
    before = getattr(_watches, "watch", None)
    _watches.watch = watch = Watch()
    try:
        yield watch
    finally:
        _watches.watch = before


def noted(check: Callable, values: Sequence[Any]) -> bool:
    """Arranges that `check`, which raises an error or does nothing, is called with the arrays each
    time that the traced function runs; returns whether it could, which is within `watched`."""
    watch = getattr(_watches, "watch", None)
    if watch is None:
        return False
    if current_trace() is watch.trace:
        watch.checks.append((check, len(values)))
        watch.values += values
    else:  # in the body of a loop or a branch, which may not run
        call_back(lambda given: check(*given), values)
    return True


def checked(check: Callable, *values: Any) -> None:
    """Calls `check` with the arrays now or, if one of them is traced, as `noted` does. Nothing is
    checked in a trace of shapes, where values may be examples."""
    if any(isinstance(value, jax.core.Tracer) for value in values):
        noted(check, values)
    elif not context.state.symbolic:
        check(*map(np.asarray, values))


def check_range(name: str, value: Any, least: float, most: float) -> None:
    """Raises InvalidArgumentError, as `checked` does, for an array with values out of a range."""

    def check(given: Any) -> None:
        if not ((given >= least) & (given <= most)).all():
            raise InvalidArgumentError(f"{name} must be from {least} to {most}. Received: {given}")

    checked(check, value)


def required(check: Callable, *values: Any) -> None:
    """Calls `check`, which raises an error or does nothing, with the arrays now or, if one of them
    is traced, whenever the traced function runs."""
    if not any(isinstance(value, jax.core.Tracer) for value in values):
        check(*map(np.asarray, values))
    elif not noted(check, values):
        call_back(lambda given: check(*map(np.asarray, given)), values)


@contextlib.contextmanager
def awaited() -> Iterator[None]:
    """A block at whose end all calls that compiled functions make have been made.

    An error raised in such a call is raised here; JAX would raise a JaxRuntimeError.
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
