"""Chooses the number of steps in a dispatch, from an estimate of the work and from measurements."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax

# The most seconds that a dispatch should take, so that the progress bar and Ctrl-C respond.
_TARGET = 0.05
# Dispatching takes up to 0.1 ms, which is negligible for steps longer than this.
_LONG_STEP = 2e-3
# The largest share of a short step's time that running several steps in a dispatch saves.
_SAVING = 0.6
# A larger number of steps is kept if the time of a step falls below this share of the best time so
# far.
_GAIN = 0.95
# The number of steps that is tried first.
_FEW = 8
# The least seconds and dispatches in a measurement.
_WINDOW, _DISPATCHES = 2e-3, 8
# The multiplications, and the elements of all intermediate results, in a step that consists mostly
# of dispatch overhead: 0.2 ms on one core. Its work is defined as 1.
_LIGHT_FLOPS, _LIGHT_ELEMENTS, _LIGHT_SECONDS = 5e6, 5e5, 2e-4
# Up to this amount of work a step is faster in a loop, where XLA does not distribute operations
# over threads: it takes 0.7 to 0.9 of its time outside, with 2 to 100 layers.
LOOPED = 40.0
# Primitives that may be slower in a loop, or whose work cannot be counted.
_HEAVY = ("conv_", "reduce_window", "select_and", "on_cpu", "while", "callback", "custom_call")


class Pace:
    """The number of steps in a dispatch, for one program and one batch size.

    It starts with one. If dispatching takes a relevant part of a step, and the remaining steps
    justify the compilation of a second program for several steps, a few are tried; if that is
    faster, as many as take 50 ms. The fastest number is kept. A step that is `looped` has only the
    program for several steps, so that nothing is compared.

    >>> pace = Pace()
    >>> pace.begin(epochs=200, steps=500)
    >>> pace.steps, pace.in_loop
    (1, False)
    """

    def __init__(self, looped: bool = False) -> None:
        self.looped = looped
        self.steps = 1  # The number of steps in the next dispatch.
        self.settled = False
        self._best = (1, math.inf)  # Steps in a dispatch, seconds for a step.
        # The compilation time of the program for one step, in seconds.
        self._compiling: float | None = None
        # Programs that have run: for one step (false), for several (true).
        self._seen: set[bool] = set()
        self._left = self._most = 0
        self._start()

    @property
    def in_loop(self) -> bool:
        """Whether the next dispatch runs the program for several steps, even for a single one."""
        return self.looped or self.steps > 1

    def begin(self, epochs: int, steps: int) -> None:
        """Announces the number of epochs, and of steps in each."""
        self._left, self._most = epochs * steps, steps
        self._start()
        if self._best[1] == math.inf:
            return
        if self.in_loop:
            self._best = (self._in_time(self._best[1]), self._best[1])
            if self.settled:
                self.steps = self._best[0]
        elif True not in self._seen:
            self._consider(self._best[1])

    def _start(self) -> None:
        self._since, self._count, self._dispatches = self._now(), 0, 0

    def watch(self, run: Callable[[], Any], steps: int) -> Callable[[], Any]:
        """Runs a dispatch and measures it."""

        def watched() -> Any:
            results = run()
            self.ran(steps, results)
            return results

        return watched

    def ran(self, steps: int, results: Any) -> None:
        """Records that a dispatch of `steps` steps was sent; `results` are its outputs."""
        self._left -= steps
        if self.settled:
            return
        if steps != self.steps:  # The last steps of an epoch.
            self._wait(results)
            self._start()
            return
        if self.in_loop not in self._seen:  # The program was compiled in this dispatch.
            self._wait(results)
            self._seen.add(self.in_loop)
            if self.looped:
                self._try(_FEW)
            elif not self.in_loop:
                self._compiling = self._now() - self._since
            self._start()
            return
        self._count += steps
        self._dispatches += 1
        if self._dispatches < _DISPATCHES and not (self.in_loop and self._long_enough()):
            return
        self._wait(results)
        self._decide(steps, (self._now() - self._since) / self._count)
        self._start()

    def _long_enough(self) -> bool:
        return self._now() - self._since >= _WINDOW

    def _decide(self, steps: int, seconds: float) -> None:
        if not self.in_loop:
            self._best = (1, seconds)
            self._consider(seconds)
        elif self.looped:
            self._best = (self._in_time(seconds), seconds)
            self._keep_best()
        elif seconds < _GAIN * self._best[1]:
            self._best = (steps, seconds)
            self._try(self._in_time(seconds))
        else:
            self._keep_best()

    def _consider(self, seconds: float) -> None:
        """Decides whether to try several steps, given the time of one."""
        worth = self._left * seconds * _SAVING > (self._compiling or 0.0)
        if seconds < _LONG_STEP and worth:
            self.settled = False
            self._try(_FEW)
        else:
            self.settled = True

    def _try(self, steps: int) -> None:
        steps = min(steps, self._most)
        if steps > self._best[0]:
            self.steps = steps
        else:
            self._keep_best()

    def _keep_best(self) -> None:
        self.steps, self.settled = self._best[0], True

    def _in_time(self, seconds: float) -> int:
        return max(1, min(self._most, int(_TARGET / seconds)))

    @staticmethod
    def _wait(results: Any) -> None:
        jax.block_until_ready(results)

    @staticmethod
    def _now() -> float:
        return time.perf_counter()


def work(jaxpr: Any) -> float:
    """An estimate of the work in a step. Up to 1, a step takes hardly longer than its dispatch;
    above `LOOPED`, or with operations that are slow in a loop, it must be measured before it is put
    in one.

    >>> import jax.numpy as jnp
    >>> [work(jax.make_jaxpr(lambda x: x @ x)(jnp.ones((n, n)))) < 1 for n in (16, 1024)]
    [True, False]
    """
    flops = elements = 0
    for equation, times in _equations(jaxpr.jaxpr, 1):
        if any(equation.primitive.name.startswith(name) for name in _HEAVY):
            return math.inf
        elements += times * sum(getattr(v.aval, "size", 0) for v in equation.outvars)
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            shape = equation.invars[0].aval.shape
            size = equation.outvars[0].aval.size * math.prod(shape[i] for i in contracted)
            flops += times * size
    return max(flops / _LIGHT_FLOPS, elements / _LIGHT_ELEMENTS)


def has_large_arrays(jaxpr: Any, size: int) -> bool:
    """Whether arrays of more than `size` bytes make up a quarter of all intermediate results.

    >>> import jax.numpy as jnp
    >>> jaxpr = jax.make_jaxpr(lambda x: jnp.sum(x + 1))(jnp.ones(1000))
    >>> has_large_arrays(jaxpr, 1000), has_large_arrays(jaxpr, 4000)
    (True, False)
    """
    large = every = 0
    for equation, times in _equations(jaxpr.jaxpr, 1):
        for variable in equation.outvars:
            count = times * getattr(variable.aval, "size", 0)
            bytes_ = count * getattr(getattr(variable.aval, "dtype", None), "itemsize", 0)
            every += bytes_
            large += bytes_ if bytes_ > size * times else 0
    return large > every / 4


def steps_of(work: float) -> int:
    """How many steps with this amount of work a dispatch should run, without a measurement.

    >>> [steps_of(w) for w in (0.5, 10, 40)]
    [250, 25, 6]
    """
    return max(1, int(_TARGET / (_LIGHT_SECONDS * max(work, 1))))


def has_callbacks(jaxpr: Any) -> bool:
    """Whether a step calls Python while it runs."""
    return any("callback" in equation.primitive.name for equation, _ in _equations(jaxpr.jaxpr, 1))


def _equations(jaxpr: Any, times: int) -> Iterator[tuple[Any, int]]:
    """All operations, including those in nested functions, and how often each of them runs."""
    for equation in jaxpr.eqns:
        yield equation, times
        inside = times * equation.params.get("length", 1)
        for inner in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda v: hasattr(v, "eqns")
        ):
            if hasattr(inner, "eqns"):
                yield from _equations(getattr(inner, "jaxpr", inner), inside)
