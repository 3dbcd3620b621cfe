"""What `clear_session` sets back."""

from __future__ import annotations

import gc
from collections.abc import Callable

from keraslike.core.naming import reset_names
from keraslike.core.tracebacks import enable_traceback_filtering

_at_clear_session: list[Callable[[], None]] = []


def at_clear_session(function: Callable[[], None]) -> Callable[[], None]:
    """Decorator of what sets a setting back to its default when a session is cleared."""
    _at_clear_session.append(function)
    return function


def clear_session(free_memory: bool = True) -> None:
    """Starts automatic names anew, sets the dtype policy, the distribution and the switches of
    logging, tracebacks, flash attention and unsafe deserialization back to their defaults, and
    frees what nobody refers to any more.

    Args:
        free_memory: whether to look for that now.

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
