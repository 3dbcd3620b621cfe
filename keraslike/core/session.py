"""`clear_session`, and the settings that it resets."""

from __future__ import annotations

import gc
from collections.abc import Callable

from keraslike.core.naming import reset_names
from keraslike.core.tracebacks import enable_traceback_filtering

_at_clear_session: list[Callable[[], None]] = []


def at_clear_session(function: Callable[[], None]) -> Callable[[], None]:
    """Decorator for functions that reset a setting to its default when a session is cleared."""
    _at_clear_session.append(function)
    return function


def clear_session(free_memory: bool = True) -> None:
    """Restarts automatic names, resets the dtype policy, the distribution and the switches for
    logging, tracebacks, flash attention and unsafe deserialization to their defaults, and frees
    unreferenced memory.

    Args:
        free_memory: whether to free memory now.

    >>> import keraslike
    >>> clear_session()
    >>> keraslike.layers.Dense(2).name
    'dense'
    """
    reset_names()
    enable_traceback_filtering()
    for function in _at_clear_session:
        function()
    if free_memory:
        gc.collect()
