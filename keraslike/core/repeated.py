"""Methods whose repeated calls are compiled by `training.eager`, which this module must not
import."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

MISSED = object()  # The result of a call that no compiled program runs.


class Repeated:
    """The function that runs calls as compiled programs, or returns `MISSED`; set by
    `training.eager`."""

    run_layer: Callable = staticmethod(lambda layer, args, kwargs: MISSED)
    run_method: Callable = staticmethod(lambda method, owner, args, kwargs: MISSED)


def compiled_if_repeated(method: Callable) -> Callable:
    """Compiles calls of a method outside of traces to one program once they are repeated with
    arrays of the same shapes. The method must have no effects except on Variables."""

    @functools.wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        out = Repeated.run_method(method, self, args, kwargs)
        return method(self, *args, **kwargs) if out is MISSED else out

    return run
