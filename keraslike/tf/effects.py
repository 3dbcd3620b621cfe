"""What a compiled function does besides computing: text that it prints, checks that fail."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from keraslike.core import context

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
