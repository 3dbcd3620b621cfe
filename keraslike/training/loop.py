"""The compiled steps: model, loss, metrics and optimizer lowered once to one XLA program.

A dispatch takes the state as a flat tuple of arrays, which are donated, runs one step or several,
and what it returns is written back into the Variables before anything else happens. Data that fits
stays on the device: a step cuts its own batch out of it.
"""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import errors

from keraslike.core import base, context, host, lowering, rng
from keraslike.core.compilation import compiler_options
from keraslike.training.callbacks import floats
from keraslike.training.data import ArrayData, Batch, StreamData
from keraslike.training.pace import LOOPED, Pace, work
from keraslike.training.placement import Placement, come_home
from keraslike.training.prefetch import Ahead

# Dispatches that may be under way at once: enough to hide Python's time, few enough that Ctrl-C
# and memory do not suffer.
_IN_FLIGHT = 8
_LONG_IN_FLIGHT = 2  # of those that run several steps
# The most steps a dispatch where the results of all are kept.
_STACKED = 256
# The most batches of a stream that are sent together where they are small.
_TOGETHER = 32
# The part of the device's memory that a data set may take to stay there for a whole `fit`.
_RESIDENT_SHARE = 0.25
_RESIDENT_BYTES = 2 << 30  # where the device does not say how much memory it has


class Program:
    """One step of a model, lowered over its state and compiled when first run.

    Args:
        step: a stateful function of a batch that returns a structure of arrays.
        roots: the objects whose state it may read and change.
        fixed: Variables among that state which it only reads: they are not donated.
        jit: `False` runs the step as plain Python, for debugging.
        stack: whether a dispatch of several steps gives the results of all of them, one after the
            other along the first axis, or the last one's.
    """

    def __init__(
        self,
        step: Callable,
        roots: list[Any],
        fixed: list[Any],
        jit: bool = True,
        stack: bool = False,
    ):
        self.roots, self.step, self.jit, self.stack = roots, step, jit, stack
        self._fixed_ids = {id(v) for v in fixed}
        self._collect()

    def _collect(self) -> None:
        every = base.variables_of(*self.roots)
        self.fixed = [v for v in every if id(v) in self._fixed_ids]
        self.state = [v for v in every if id(v) not in self._fixed_ids]
        self.key = _key(every)
        self._snapshot = base.Snapshot(*self.roots)
        self.placement: Placement | None = None  # where there is a distribution
        self._paces: dict[int, Pace] = {}
        self._work: dict[int, float] = {}
        self._settled = False
        self._compiled: dict[Any, Callable] = {}
        self._compiled_for: dict[Any, dict[Any, Callable]] = {None: self._compiled}
        run = lowering.lower(self.step, [*self.state, *self.fixed], self.roots)
        n = len(self.state)

        def pure(state: tuple, fixed: tuple, batch: Any) -> tuple[tuple, Any]:
            result, new = run((*state, *fixed), batch)
            return new[:n], result

        self._pure = pure
        self._step = jax.jit(pure)  # which is traced once for all programs that it is part of

    def _changes(self, state: tuple, fixed: tuple, batch: Any) -> tuple[dict[int, Any], Any]:
        """A step that gives only the state that it changes: passing the rest takes time."""
        new, result = self._pure(state, fixed, batch)
        return {i: v for i, v in enumerate(new) if v is not state[i]}, result

    def is_current(self) -> bool:
        """Whether the objects still hold the Variables that this program was made for."""
        if self._snapshot.is_current():
            return True
        if self.key != _key(base.variables_of(*self.roots)):
            return False
        self._snapshot = base.Snapshot(*self.roots)
        return True

    def settle(self, example: Batch) -> None:
        """Traces the step, so that all state exists that it makes when it is first run.

        Where a step is run as plain Python it comes to be with the first batch.
        """
        while self.jit and not self._settled:
            state, fixed = lowering.values_of(self.state), lowering.values_of(self.fixed)
            try:
                self._step.trace(state, fixed, example)
                self._settled = True
            except errors.TraceContextError:
                if self.is_current():
                    raise
                self._collect()

    def pace(self, batch_size: int, example: Batch) -> Pace:
        """What is known of how many steps a dispatch should run."""
        if batch_size not in self._paces:
            self._paces[batch_size] = Pace(looped=self.work(batch_size, example) <= LOOPED)
        return self._paces[batch_size]

    def work(self, batch_size: int, example: Batch) -> float:
        """How much a step has to compute, as `pace.work` counts it."""
        if batch_size not in self._work:
            state, fixed = lowering.values_of(self.state), lowering.values_of(self.fixed)
            try:
                jaxpr = self._step.trace(state, fixed, example).jaxpr
            except errors.TraceContextError:  # state to come, which the first step makes
                return math.inf
            self._work[batch_size] = work(jaxpr)
        return self._work[batch_size]

    def is_light(self, batch_size: int, example: Batch) -> bool:
        """Whether a step is little more than its dispatch."""
        return self.work(batch_size, example) <= 1

    def own_state(self) -> None:
        """Gives the Variables arrays that nobody else holds, since a dispatch donates them.

        They are put where the active distribution says, or brought home where there is none.
        """
        distribution = context.state.distribution
        if distribution is None:
            if self.placement is not None:
                self._placed(None)
            come_home(self.state)
            come_home(self.fixed)
            if not self.stack:
                lowering.own(self.state)
            return
        placement = self.placement
        if placement is None or placement.distribution is not distribution:
            placement = Placement(distribution, self.state, self.fixed)
            self._placed(placement)
        # In this order: an array that is replicated keeps the memory that it had on its device.
        lowering.write(self.state, self._copies())
        placement.put_state(self.state, self.fixed)

    def _placed(self, placement: Placement | None) -> None:
        self.placement = placement
        key = None if placement is None else placement.key
        self._compiled = self._compiled_for.setdefault(key, {})

    def put(self, tree: Any) -> Any:
        """Arrays of the host, whole on every device that the program runs on."""
        return jax.device_put(tree) if self.placement is None else self.placement.replicate(tree)

    def _copies(self) -> list[jax.Array]:
        values = list(lowering.values_of(self.state))
        if self.placement is not None and self.placement.several:
            return [jnp.copy(value) for value in values]
        return host.copied(values)

    @contextlib.contextmanager
    def unchanged(self) -> Iterator[None]:
        """After the block the state is what it was before."""
        before = self._copies()
        yield
        lowering.write(self.state, before)

    def _run(self, function: Callable, *args: Any) -> Any:
        with _no_interrupt:
            out = function(lowering.values_of(self.state), lowering.values_of(self.fixed), *args)
            new = out[0]
            if type(new) is tuple:
                lowering.write(self.state, new)
            elif new:
                lowering.write([self.state[i] for i in new], list(new.values()))
        return out[1:]

    def _dispatch(self, key: Any, make: Callable[[], Callable], *args: Any) -> Any:
        function = self._compiled.get(key)
        if function is not None:
            return self._run(function, *args)
        while True:
            function = self._compiled[key] = make()
            try:
                return self._run(function, *args)
            except errors.TraceContextError:
                # State that first came to be while tracing (a metric made by its first batch, the
                # slots of a second optimizer): each trace may come a little further.
                if self.is_current():
                    raise
                self._collect()
                self.own_state()

    def run_batch(self, batch: Batch) -> Any:
        """One step on a batch from the host."""
        if self.placement is not None:
            batch = self.placement.batch(batch)
        if not self.jit:
            batch = jax.device_put(batch)
        return self._dispatch("batch", self._whole, batch)[0]

    def _whole(self) -> Callable:
        if not self.jit:
            return self._pure
        # Where the state is donated, all of it has to be given back.
        return self._compile(self._changes if self.stack and self.placement is None else self._step)

    def _compile(
        self, function: Callable, donate: tuple = (0,), on_all: int = 0, in_loop: bool = False
    ) -> Callable:
        """`(state, fixed, *on_all, ...) -> (state, *donated others, results)` as one program.

        With a distribution the arguments numbered by `on_all` are whole on every device, and the
        state is afterwards where it was before.
        """
        p = self.placement
        # A program that gives all its results changes little state: copying it takes longer than
        # leaving it where it is.
        donated = donate[1:] if self.stack else donate
        options = compiler_options(in_loop)
        if p is None:
            return jax.jit(function, donate_argnums=donated, compiler_options=options)
        others = (p.replicated,) * on_all or (None,)
        kept = (p.replicated,) * (len(donate) - 1)
        return jax.jit(
            function,
            donate_argnums=donated,
            in_shardings=(p.state, p.fixed, *others),
            out_shardings=(p.state, *kept, p.results),
            compiler_options=options,
        )

    def run_batches(self, batches: list[Batch], most: int) -> Any:
        """A step on each of up to `most` batches of one shape from the host, in one dispatch."""
        size = _samples(batches[0])

        def together(*arrays: Any) -> np.ndarray:
            out = np.empty((most * size, *arrays[0].shape[1:]), arrays[0].dtype)
            np.concatenate(arrays, out=out[: len(arrays) * size])
            return out

        data = jax.tree.map(together, *batches)
        cursor, data = self.put((np.int32(0), data))
        return self.run_resident(cursor, data, None, size, len(batches), most)[1]

    def run_resident(
        self, cursor: Any, data: Batch, order: Any, batch_size: int, steps: int, most: int = 1
    ) -> tuple[Any, Any]:
        """`steps` steps on consecutive batches of data on the device: `(cursor, results)`.

        With `most` above 1 they run in a loop, and one program serves for any number up to it.
        """

        def one(state: tuple, fixed: tuple, cursor: Any, data: Batch, order: Any):
            batch = _cut(data, order, cursor, batch_size)
            if self.placement is not None:
                batch = self.placement.spread(batch)
            new, result = self._step(state, fixed, batch)
            return new, cursor + batch_size, result

        def several(state: tuple, fixed: tuple, cursor: Any, data: Batch, order: Any, n: Any):
            shapes = jax.eval_shape(one, state, fixed, cursor, data, order)[2]
            all_of = (most,) if self.stack else ()
            results = jax.tree.map(lambda s: jnp.zeros((*all_of, *s.shape), s.dtype), shapes)

            def body(i: Any, carry: Any) -> Any:
                state, cursor, results = carry
                state, cursor, result = one(state, fixed, cursor, data, order)
                if self.stack:
                    result = jax.tree.map(lambda a, r: a.at[i].set(r), results, result)
                return state, cursor, result

            state, cursor, results = jax.lax.fori_loop(0, n, body, (state, cursor, results))
            if self.stack:
                results = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), results)
            return state, cursor, results

        def make() -> Callable:
            if most == 1:
                return self._compile(one, donate=(0, 2), on_all=3)
            return self._compile(several, donate=(0, 2), on_all=4, in_loop=True)

        # Without `stack` the most steps that there may be are not a part of the program.
        key = (batch_size, most if self.stack else most > 1, order is None)
        rest = () if most == 1 else (np.int32(steps),)
        cursor, results = self._dispatch(key, make, cursor, data, order, *rest)
        if self.stack and steps < most:
            results = jax.tree.map(lambda a: np.asarray(a)[: len(a) // most * steps], results)
        return cursor, results


def _key(variables: list[Any]) -> tuple:
    return tuple((id(v), getattr(v, "trainable", None)) for v in variables)


def _cut(data: Batch, order: Any, cursor: Any, size: int) -> Batch:
    if order is None:
        return jax.tree.map(lambda a: jax.lax.dynamic_slice_in_dim(a, cursor, size), data)
    rows = jax.lax.dynamic_slice_in_dim(order, cursor, size)
    return jax.tree.map(lambda a: a.at[rows].get(mode="promise_in_bounds"), data)


def _samples(batch: Batch) -> int:
    return jax.tree.leaves(batch)[0].shape[0]


class Feed:
    """Runs a program over a data source, an epoch at a time.

    Args:
        program, source: what runs, and on what.
        steps: a dispatch; `None` finds out how many are fastest.
        epochs: how many there will be, which says what finding out may cost.
    """

    def __init__(
        self, program: Program, source: ArrayData | StreamData, steps: int | None, epochs: int = 1
    ):
        self.program, self.source = program, source
        self._steps, self._epochs = steps, epochs  # a dispatch; epochs to come
        self._data: Any = None
        self._light: bool | None = None  # of a stream's steps
        self._data_placement: Any = self  # no placement yet

    def _settle(self) -> None:
        """Puts data that fits where the program's state is, on each device all of it.

        So a step needs no samples from another device, in whatever order they are taken.
        """
        source, placement = self.source, self.program.placement
        if self._data_placement is placement:
            return
        self._data, self._data_placement = None, placement
        if not isinstance(source, ArrayData) or (self.program.stack and source.steps == 1):
            return
        copies = 1
        if placement is not None:
            if placement.in_parts:  # no process has all of it
                return
            copies = placement.sharing
            if source.batch_size % placement.parts:
                warnings.warn(
                    f"batch_size={source.batch_size} is no multiple of the {placement.parts} "
                    "devices that the distribution spreads a batch over: each of them computes "
                    "every step whole, and nothing is gained.",
                    stacklevel=2,
                )
        if self.program.jit and source.nbytes() * copies <= _resident_limit():
            self._data = self.program.put(source.data)

    def epoch(
        self, max_steps: int | None = None, first: int = 0
    ) -> Iterator[tuple[int, Callable[[], Any], int]]:
        """`(first step, run, number of steps)` for each dispatch; `run()` gives its results.

        The first `first` steps of the epoch are passed over.
        """
        self._settle()
        if self._data is not None:
            yield from self._resident_epoch(max_steps, first)
            return
        if self.program.jit:
            yield from self._streamed_epoch(max_steps, first)
            return
        for step, (batch, position) in enumerate(self.source.batches(first), first):
            if max_steps is not None and step >= max_steps:
                return
            yield step, self._runner([(batch, position)], 1), 1
        self.source.ended()

    def _streamed_epoch(self, max_steps: int | None, first: int):
        """Batches that a thread fetches, and sends to the device, while the steps run.

        Where a step is little work, as many as are ready go in one dispatch.
        """
        program, source = self.program, self.source
        most, placement = self._steps, program.placement
        if most is None:
            if self._light is None:  # asked once: it costs a stream its first batch
                example = source.example()
                self._light = program.is_light(_samples(example), example)
            most = _TOGETHER if placement is None and self._light else 1

        def send(item: tuple[Batch, Any]) -> tuple[Batch, Any]:
            if most > 1 or placement is not None:  # it is sent with others, or by the placement
                return item
            return program.put(item[0]), item[1]

        step, left = first, []
        with Ahead(source.batches(first), send, depth=max(2, most)) as ahead:
            while max_steps is None or step < max_steps:
                allowed = most if max_steps is None else min(most, max_steps - step)
                if len(left) < allowed:
                    left += ahead.take(allowed - len(left), wait=self._steps is not None)
                if not left:
                    source.ended()
                    return
                shapes = [jax.tree.map(np.shape, batch) for batch, _ in left]
                n = next((i for i, s in enumerate(shapes) if s != shapes[0]), len(left))
                yield step, self._runner(left[:n], most), n
                step, left = step + n, left[n:]

    def _runner(self, items: list[tuple[Batch, Any]], most: int) -> Callable[[], Any]:
        def run() -> Any:
            if most == 1:
                results = self.program.run_batch(items[0][0])
            else:
                results = self.program.run_batches([batch for batch, _ in items], most)
            self.source.took(items[-1][1])
            return results

        return run

    def _resident_epoch(self, max_steps: int | None, first: int):
        source: Any = self.source
        placement = self.program.placement
        order = self.program.put(source.order())
        size = min(source.batch_size, source.num_samples)
        whole = source.num_samples // size
        if max_steps is not None:
            whole = min(whole, max_steps)
        cursor = self.program.put(np.int32(first * size))

        def runner(size: int, steps: int, most: int) -> Callable[[], Any]:
            def run() -> Any:
                nonlocal cursor
                cursor, results = self.program.run_resident(
                    cursor, self._data, order, size, steps, most
                )
                return results

            return run

        step = first
        steps, pace = self._steps, None
        if placement is not None and placement.several:
            steps = steps or 1  # processes must agree, and each would find out something else
        if steps is None and self.program.stack:
            light = self.program.is_light(size, source.example())
            steps = min(whole, _STACKED) if light else 1
        elif steps is None:
            pace = self.program.pace(size, source.example())
            pace.begin(self._epochs, whole - step)
        while step < whole:
            n = min(steps or pace.steps, whole - step)  # type: ignore[union-attr]
            if pace is None:
                yield step, runner(size, n, steps or 1), n
            else:
                yield step, pace.watch(runner(size, n, 2 if pace.in_loop else 1), n), n
            step += n
        self._epochs -= 1
        rest = source.num_samples - whole * size
        if rest and step == whole and (max_steps is None or step < max_steps):
            yield step, runner(rest, 1, 1), 1
        if self._epochs > 0:
            source.draw()  # while the device computes


class Position:
    """Where a `fit` stands, and all but the model's own state that is needed to go on from there.

    `step` steps of the epoch number `epoch` are finished; between two epochs it is 0 and `epoch`
    the next one. `updates` counts steps since the model was first compiled, `before` is its value
    before the last dispatch.

    Args:
        epoch, updates: where it begins.
        sources: of the data to train and to validate on, which know what they have given.
        example: the shapes and dtypes of a batch.
        history: the History that `fit` returns.
        callbacks: whose state (the attributes that their class lists in `_kept`) goes with it.
    """

    def __init__(
        self,
        epoch: int,
        updates: int,
        sources: list[ArrayData | StreamData],
        example: Batch,
        history: Any,
        callbacks: list[Any],
    ):
        self.epoch, self.step = epoch, 0
        self.updates = self.before = updates
        self.logs: dict[str, Any] = {}  # of the last finished step
        self.sources, self.example = sources, example
        self.history, self.callbacks = history, callbacks

    def advance(self, step: int, logs: dict[str, Any]) -> None:
        """`step` steps of the epoch are finished now."""
        self.before = self.updates
        self.updates += step - self.step
        self.step, self.logs = step, logs

    def next_epoch(self) -> None:
        self.epoch, self.step, self.logs = self.epoch + 1, 0, {}

    def get_state(self) -> dict[str, Any]:
        """Plain values, arrays and the shapes of a batch, from which `set_state` restores it."""
        steps = [self.step, *[0] * len(self.sources)]  # no validation is under way
        return {
            "epoch": self.epoch,
            "step": self.step,
            "updates": self.updates,
            "example": self.example,
            "logs": floats(self.logs),
            "data": [source.get_state(step) for source, step in zip(self.sources, steps)],
            "random": rng.get_state(),
            "history": [self.history.epoch, self.history.history],
            "callbacks": [[type(c).__name__, _kept(c)] for c in self.callbacks if _kept(c)],
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Moves to where another `fit` was; raises ValueError where it had other data."""
        for source, saved in zip(self.sources, state["data"]):
            source.set_state(saved)
        rng.set_state(state["random"])
        self.epoch, self.step = state["epoch"], state["step"]
        self.updates = self.before = state["updates"]
        self.logs = state["logs"]
        self.history.epoch, self.history.history = state["history"]
        saved = list(state["callbacks"])
        for callback in self.callbacks:
            found = [s for s in saved if s[0] == type(callback).__name__]
            if found:
                saved.remove(found[0])
                vars(callback).update(found[0][1])


def _kept(callback: Any) -> dict[str, Any]:
    names = getattr(type(callback), "_kept", ())
    return {name: vars(callback)[name] for name in names if name in vars(callback)}


class Throttle:
    """Keeps the number of dispatches under way small."""

    def __init__(self):
        self._pending: deque[Any] = deque()

    def add(self, results: Any, steps: int = 1) -> None:
        leaves = jax.tree.leaves(results)
        if leaves:
            self._pending.append(leaves[0])
        if len(self._pending) > (_IN_FLIGHT if steps == 1 else _LONG_IN_FLIGHT):
            jax.block_until_ready(self._pending.popleft())


def _resident_limit() -> int:
    stats = jax.local_devices()[0].memory_stats()
    limit = (stats or {}).get("bytes_limit")
    return int(limit * _RESIDENT_SHARE) if limit else _RESIDENT_BYTES


# -- interrupts -------------------------------------------------------------------------------


class _Interrupt(threading.local):
    def __init__(self):
        self.deferring = False
        self.pending = False


_interrupt = _Interrupt()


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Within the block Ctrl-C waits for the end of a dispatch, so that no state is half written."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    if not callable(before):  # ignored, or handled outside of Python
        yield
        return

    def handle(number: int, frame: Any) -> None:
        if _interrupt.deferring:
            _interrupt.pending = True
        else:
            before(number, frame)

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class _NoInterrupt:
    """A dispatch and its write-back: an interrupt comes after it. Costs two attribute writes."""

    __slots__ = ()

    def __enter__(self) -> None:
        _interrupt.deferring = True

    def __exit__(self, *_: Any) -> None:
        _interrupt.deferring = False
        if _interrupt.pending:
            _interrupt.pending = False
            raise KeyboardInterrupt


_no_interrupt = _NoInterrupt()


def global_roots() -> list[Any]:
    """State that belongs to no model: the global random stream."""
    return [rng.global_stream()]
