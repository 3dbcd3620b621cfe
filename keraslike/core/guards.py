"""Locks that keep state whole while several threads use it.

While a function is lowered, what its Variables hold is seen by the thread that lowers it alone (see
`lowering.holding`), so nothing has to be locked for that. Locks are for what all threads see: the
arrays in the Variables, which a compiled step takes (they are donated) and replaces.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable
from typing import Any


class Guard:
    """Excludes from each other the threads that use the state of one model.

    `values` is held for the moment in which arrays are read, or in which a step is dispatched and
    its results are written back: never while Python code of a user runs. `tracing` is held while
    the model's own code is traced, which may set attributes of its objects. `uses` counts the reads
    and writes from outside of a dispatch: after one of them somebody may hold an array.
    """

    __slots__ = ("number", "values", "tracing", "uses")

    _numbers = itertools.count()

    def __init__(self) -> None:
        self.number = next(self._numbers)
        self.values = threading.RLock()
        self.tracing = threading.RLock()
        self.uses = 0


_attaching = threading.Lock()


def guards_of(variables: Iterable[Any]) -> list[Guard]:
    """The guards of Variables, in the order in which they may be locked.

    Variables that have none get one in common with the others, and keep it.
    """
    with _attaching:
        ours = [v for v in variables if hasattr(type(v), "_guard")]
        guards = known_guards(ours)
        without = [v for v in ours if guard_of(v) is None]
        if without and not guards:
            guards = [Guard()]
        for variable in without:
            object.__setattr__(variable, "_guard", guards[0])
    return guards


def known_guards(variables: Iterable[Any]) -> list[Guard]:
    """The guards that Variables have, in the order in which they may be locked."""
    found = {guard for guard in map(guard_of, variables) if guard is not None}
    return sorted(found, key=lambda guard: guard.number)


def guard_of(variable: Any) -> Guard | None:
    """The guard of one Variable; `None` for one that no program was made for, or of flax's own."""
    try:
        return object.__getattribute__(variable, "_guard")
    except AttributeError:
        return None


class Locks:
    """Several locks as one context manager, taken in the order in which they are given."""

    __slots__ = ("_locks",)

    def __init__(self, locks: Iterable[Any]):
        self._locks = tuple(locks)

    def __enter__(self) -> None:
        for lock in self._locks:
            lock.acquire()

    def __exit__(self, *_: Any) -> None:
        for lock in reversed(self._locks):
            lock.release()
