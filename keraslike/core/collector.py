"""Python's garbage collector: paused during imports, and run where dropped arrays take memory."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

import jax

# The bytes by which the arrays of a process may grow without a collection, which takes some 0.15 s.
GROWTH = 256 << 20
_bytes_before = 0


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Within the block the collector is paused. One pass over all objects of jax and flax takes
    longer than importing a hundred modules.

    >>> with paused():
    ...     gc.isenabled()
    False
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def collect_dropped_models() -> None:
    """Runs the collector if arrays take more than twice the memory that its last run left.

    A model, its layers and its programs refer to each other, so that only the collector frees a
    model that the program no longer refers to. Python runs it by the number of new objects, of
    which a model has few, whatever the size of its arrays. Called before a program is compiled,
    which takes longer. It does nothing while the collector is disabled.

    >>> collect_dropped_models()
    """
    global _bytes_before
    now = _bytes_of_arrays()
    if now > 2 * _bytes_before + GROWTH and gc.isenabled():
        gc.collect()
        _bytes_before = _bytes_of_arrays()
    _bytes_before = min(_bytes_before, now)


def _bytes_of_arrays() -> int:
    return sum(array.nbytes for array in jax.live_arrays())
