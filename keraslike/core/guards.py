"""Locks that protect state which several threads use.

While a function is lowered, only the lowering thread sees the tracers in its Variables (see
`lowering.holding`), so no lock is needed for these. The locks protect what all threads see: the
arrays in the Variables, which a compiled step consumes (they are donated) and replaces.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable
from typing import Any


class Guard:
    """A lock for the state of one model.

    `values` is held while arrays are read, or while a step is dispatched and its results are
    written back; user code never runs under it. `tracing` is held while the model's own code is
    traced, which may set attributes of its objects. `uses` counts the reads and writes outside of
    dispatches: after each of them an array may be referenced from outside.
    """

    __slots__ = ("number", "values", "tracing", "uses")

    _numbers = itertools.count()

    def __init__(self) -> None:
        self.number = next(self._numbers)
        self.values = threading.RLock()
        self.tracing = threading.RLock()
        self.uses = 0


_attaching = threading.Lock()
# Held from the read to the write of `assign_add` and `assign_sub`, so that no thread's update is
# lost. It is acquired before any guard's lock for values, under which no update runs.
updating = threading.RLock()


def guards_of(variables: Iterable[Any]) -> list[Guard]:
    """The guards of Variables, in the order in which they must be locked.

    Variables without a guard get one, shared by all of these.
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
    """The existing guards of Variables, in the order in which they must be locked."""
    found = {guard for guard in map(guard_of, variables) if guard is not None}
    return sorted(found, key=lambda guard: guard.number)


def guard_of(variable: Any) -> Guard | None:
    """The guard of one Variable; `None` for a Variable of flax's own class, or one that no program
    uses."""
    try:
        return object.__getattribute__(variable, "_guard")
    except AttributeError:
        return None


class Locks:
    """Several locks as one context manager, acquired in the given order."""

    __slots__ = ("_locks",)

    def __init__(self, locks: Iterable[Any]):
        self._locks = tuple(locks)

    def __enter__(self) -> None:
        taken = 0
        try:
            for lock in self._locks:
                lock.acquire()
                taken += 1
        except BaseException:  # Ctrl-C while it waits for a lock.
            for lock in self._locks[:taken]:
                lock.release()
            raise

    def __exit__(self, *_: Any) -> None:
        for lock in reversed(self._locks):
            lock.release()
