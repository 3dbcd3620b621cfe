"""A step of a model as a pure function of the state that it uses."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
from flax import errors

from keraslike.core import base, context, lowering, rng
from keraslike.core.boxed import unbox
from keraslike.core.guards import Locks, guards_of
from keraslike.core.text import Functions, no_text
from keraslike.training.arrays import Batch, as_given
from keraslike.training.pace import LOOPED, Pace, work
from keraslike.training.placement import Placement


class LoweredStep:
    """A stateful step, lowered over all Variables that it uses.

    All programs share the global random stream, so none of them donates it. It is passed separately
    from the state, and returned if the step draws from it.

    Args:
        step: a stateful function of a batch that returns a structure of arrays.
        roots: the objects whose state the step may read and change.
        fixed: Variables in that state that it only reads, and that are not donated.
        jit: `False` runs the step as plain Python, for debugging.
        stack: whether a dispatch of several steps returns the results of all of them, stacked along
            the first axis, or only the last.
        begin: a stateful function that `run_batch` runs before the step on request.
    """

    def __init__(
        self,
        step: Callable,
        roots: list[Any],
        fixed: list[Any],
        jit: bool = True,
        stack: bool = False,
        begin: Callable[[], None] | None = None,
    ):
        self.roots, self.step, self.jit, self.stack = roots, step, jit, stack
        self.begin = begin
        self._fixed_ids = {id(v) for v in fixed}
        self._in_blocks = True  # See `compiler_options`.
        self._of_text = Functions()
        # Other Variables that the step uses, such as one in a closure.
        self._outside: dict[int, Any] = {}
        self._noted: dict[int, Any] = {}  # Recorded by the last trace.
        self._collect()

    def _variables(self) -> list[Any]:
        return base.variables_of(*self.roots, *self._outside.values())

    def _key(self, variables: list[Any]) -> tuple:
        """The cache key of the program: its Variables, and adapted values of layers."""
        objects = [o for root in self.roots for o in base.iter_objects(root)]
        adapted = [(id(o), n) for o in objects if (n := getattr(o, "_adapted", 0))]
        return tuple((id(v), getattr(v, "trainable", None)) for v in variables), tuple(adapted)

    def _collect(self) -> None:
        every = self._variables()
        self.stream = rng.global_stream().state
        self.fixed = [v for v in every if id(v) in self._fixed_ids]
        others = (v for v in every if id(v) not in self._fixed_ids)
        self.state = [v for v in others if v is not self.stream]
        self.key = self._key(every)
        self._snapshot = base.Snapshot(*self.roots)
        self.listed: dict[Any, list[str]] = {}  # The order of the logs, by their names.
        self.placement: Placement | None = None  # Set if there is a distribution.
        self._paces: dict[int, Pace] = {}
        self._work: dict[int, float] = {}
        self._settled = False
        self.prepared: set[Any] = set()  # Structures of batches for which all state was created.
        self._compiled: dict[Any, Callable] = {}
        self._compiled_for: dict[Any, dict[Any, Callable]] = {None: self._compiled}

        own = [*self.state, *self.fixed]
        self._foreign = any(map(lowering.is_foreign, own))
        self._guards = guards_of(own)
        # The number of outside accesses to the state when it was last unshared.
        self._uses: int | None = None
        self._fails_late = False  # A callback in the step may raise in any dispatch.
        self._draws = False  # Whether the step draws from the global random stream.
        self._set_locks()
        self._pure = self._lowered(self.step)
        self._step = jax.jit(self._pure)  # Traced once for all programs that contain it.

    def _lowered(self, step: Callable) -> Callable:
        """The step as a pure function of the state."""
        run = lowering.lower(step, [*self.state, *self.fixed, self.stream], self.roots)
        n = len(self.state)

        def pure(state: tuple, stream: Any, fixed: tuple, batch: Any) -> tuple[tuple, Any, Any]:
            self._noted = {}
            noted = None if context.trace_state_clean() else self._noted
            with context.using(outsiders=noted, outside=tuple(self._outside.values())):
                result, new = run((*state, *fixed, stream), as_given(batch))
            result = unbox(result)
            for v, before, after in zip(self.fixed, fixed, new[n:]):
                if before is not after and id(v) in self._outside:
                    self._noted[id(v)] = (v, True)
            if self._outside_variables():
                raise errors.TraceContextError("The step uses variables that are not its model's.")
            if self.jit:
                no_text(result)
            drawn = None if new[-1] is stream else new[-1]
            if drawn is not None and not self._draws:
                self._draws = True
                self._set_locks()
            return new[:n], drawn, result

        return pure

    def _set_locks(self) -> None:
        """The locks that a dispatch holds, in the order in which all dispatches acquire them."""
        locks = [lowering.foreign_lock] if self._foreign else []
        locks += [rng.drawing] if self._draws else []
        locks += [guard.values for guard in self._guards]
        self._locks: Any = locks[0] if len(locks) == 1 else Locks(locks)

    def _changes(self, state: tuple, stream: Any, fixed: tuple, batch: Any) -> tuple:
        """The step restricted to the state that it changes: returning the rest takes time."""
        new, drawn, result = self._pure(state, stream, fixed, batch)
        return lowering.changed(new, state), drawn, result

    def is_current(self) -> bool:
        """Whether the objects still hold the Variables that this program was made for."""
        if self._snapshot.is_current():
            return True
        if self.key != self._key(self._variables()):
            return False
        self._snapshot = base.Snapshot(*self.roots)
        self.listed.clear()  # Metrics may have been renamed.
        return True

    def create_state(self, example: Batch) -> None:
        """Traces the step, which creates the state that its first run would create. A step that
        runs as plain Python creates it with the first batch.
        """
        while self.jit and not self._settled:
            try:
                self._of_text.run(self._traced, example)
                self._settled = True
            except errors.TraceContextError:
                self._collect_again()

    def _traced(self, example: Batch) -> Any:
        with self.tracing():
            return self._step.trace(*self._arguments(), example)

    def _collect_again(self) -> None:
        """Collects the Variables again after a trace that created state (a metric in its first
        batch, the slots of a second optimizer) or used state outside of the model. Raises the error
        again if there is nothing new."""
        found = self._outside_variables()
        for variable, is_changed in found:
            self._outside[id(variable)] = variable
            (self._fixed_ids.discard if is_changed else self._fixed_ids.add)(id(variable))
        if not found and self.is_current():
            raise
        with self._locks:
            self._collect()

    def _outside_variables(self) -> list[tuple[Any, bool]]:
        """The Variables outside of the state that the last trace used, each with whether it was
        changed; this includes those that were known to be read, if they were changed."""
        return [pair for pair in self._noted.values() if pair is not None]

    def pace(self, batch_size: int, example: Batch) -> Pace:
        """The measurements for the number of steps in a dispatch."""
        if batch_size not in self._paces:
            self._paces[batch_size] = Pace(looped=self.work(batch_size, example) <= LOOPED)
        return self._paces[batch_size]

    def work(self, batch_size: int, example: Batch) -> float:
        """The work in a step, as `pace.work` estimates it."""
        if batch_size not in self._work:
            try:
                jaxpr = self._of_text.run(self._traced, example).jaxpr
            except errors.TraceContextError:  # The first step creates state.
                return math.inf
            self._work[batch_size] = work(jaxpr)
        return self._work[batch_size]

    def is_light(self, batch_size: int, example: Batch) -> bool:
        """Whether a step takes hardly longer than its dispatch."""
        return self.work(batch_size, example) <= 1
