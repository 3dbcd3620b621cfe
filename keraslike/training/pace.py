"""How many steps a dispatch runs, found by measurement."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax

# A dispatch is to take about this long at most: the progress bar and Ctrl-C stay alive.
_TARGET = 0.05
# Dispatching costs up to a tenth of a millisecond: of longer steps than this it is no part.
_LONG_STEP = 2e-3
# What running several steps a dispatch may save of a short step's time.
_HOPE = 0.6
# A larger number of steps has to be so much faster to be kept.
_GAIN = 0.95
# The time that a measurement takes at least, and the dispatches.
_WINDOW, _DISPATCHES = 2e-3, 8


class Pace:
    """The number of steps a dispatch, for one program and one size of batch.

    It begins with one. Where a step is so short that dispatching is a part of it, and so many are
    to come that compiling a second program for several pays, four times as many are tried each
    time, up to dispatches of 50 ms, as long as that is faster; the fastest is kept.

    >>> pace = Pace()
    >>> pace.begin(epochs=200, steps=500)
    >>> pace.steps
    1
    """

    def __init__(self) -> None:
        self.steps = 1  # what the next dispatch should run
        self.settled = False
        self._best = (1, float("inf"))  # steps a dispatch, seconds a step
        self._compiling: float | None = None  # seconds that the program for one step took
        self._seen: set[bool] = set()  # programs that have run: for one step, for several
        self._left = self._most = 0
        self._start()

    def begin(self, epochs: int, steps: int) -> None:
        """So many epochs are to come, each of so many steps."""
        self._left, self._most = epochs * steps, steps
        self._start()
        if True not in self._seen and self._best[1] < float("inf"):
            self._consider(self._best[1])

    def _start(self) -> None:
        self._since, self._count, self._dispatches = self._now(), 0, 0

    def watch(self, run: Callable[[], Any], steps: int) -> Callable[[], Any]:
        """The dispatch, and then what there is to be learned from it."""

        def watched() -> Any:
            results = run()
            self.ran(steps, results)
            return results

        return watched

    def ran(self, steps: int, results: Any) -> None:
        """A dispatch of `steps` steps was sent off; `results` is what it will give."""
        self._left -= steps
        if self.settled:
            return
        if steps != self.steps:  # the rest of an epoch
            self._wait(results)
            self._start()
            return
        several = steps > 1
        if several not in self._seen:  # it was compiled
            self._wait(results)
            if not several:
                self._compiling = self._now() - self._since
            self._seen.add(several)
            self._start()
            return
        self._count += steps
        self._dispatches += 1
        if self._dispatches < _DISPATCHES and not (several and self._long_enough()):
            return
        self._wait(results)
        self._decide(steps, (self._now() - self._since) / self._count)
        self._start()

    def _long_enough(self) -> bool:
        return self._now() - self._since >= _WINDOW

    def _decide(self, steps: int, seconds: float) -> None:
        if steps == 1:
            self._best = (1, seconds)
            self._consider(seconds)
        elif seconds < _GAIN * self._best[1]:
            self._best = (steps, seconds)
            self._try(4 * steps)
        else:
            self.steps, self.settled = self._best[0], True

    def _consider(self, seconds: float) -> None:
        """Whether to try several steps at all, one taking so long."""
        worth = self._left * seconds * _HOPE > (self._compiling or 0.0)
        self.settled = seconds >= _LONG_STEP or not worth
        if not self.settled:
            self._try(4)

    def _try(self, steps: int) -> None:
        most = min(self._most, int(_TARGET / self._best[1]))
        if min(steps, most) > self._best[0]:
            self.steps = min(steps, most)
        else:
            self.steps, self.settled = self._best[0], True

    @staticmethod
    def _wait(results: Any) -> None:
        jax.block_until_ready(results)

    @staticmethod
    def _now() -> float:
        return time.perf_counter()
