"""The loop over a data source: which batches a dispatch processes, and the position of `fit`.

Data that fits is kept on the device, where a step slices its own batch.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from keraslike.core import rng
from keraslike.core.arguments import warn_user
from keraslike.training.arrays import Batch, samples_of
from keraslike.training.callbacks import floats
from keraslike.training.data import ArrayData
from keraslike.training.pace import LOOPED, steps_of
from keraslike.training.prefetch import Ahead, OnDemand
from keraslike.training.program import Program
from keraslike.training.rows import RowData
from keraslike.training.stream_data import StreamData

# The most dispatches in flight: enough to hide Python's overhead, and few enough for Ctrl-C to
# respond and memory to suffice.
_IN_FLIGHT = 8
_LONG_IN_FLIGHT = 2  # For dispatches with several steps.
# The most steps in a dispatch that returns the results of all of them.
_STACKED = 256
# The most batches of a stream, and the most bytes, that are sent to the device together.
_TOGETHER, _TOGETHER_BYTES = 32, 8 << 20
# The fraction of the device's memory that a data set may occupy for a whole `fit`.
_RESIDENT_SHARE = 0.25
_RESIDENT_BYTES = 2 << 30  # For devices that do not report the size of their memory.


class Feed:
    """Runs a program over a data source, one epoch at a time.

    Args:
        program, source: the compiled step, and the data.
        steps: the number of steps per dispatch; `None` measures which number is fastest.
        epochs: the number of epochs, which limits the time spent on measuring.
    """

    def __init__(
        self, program: Program, source: ArrayData | StreamData, steps: int | None, epochs: int = 1
    ):
        self.program, self.source = program, source
        self._steps, self._epochs = steps, epochs  # Steps per dispatch; remaining epochs.
        self._data: Any = None
        self._rows: RowData | None = None  # Set if the batches are rows of the data set's arrays.
        self._most_batches: int | None = None  # The most batches of a stream per dispatch.
        self._data_placement: Any = self  # A sentinel: there is no placement yet.
        self._share()

    def _share(self) -> None:
        """Lets each of several processes read only the rows of a batch that its devices need."""
        placement, source = self.program.placement, self.source
        own = placement is not None and placement.in_shares and self.program.jit
        own = own and self._steps in (None, 1) and not source.has_text
        source.share_by(placement.share if own else None)  # type: ignore[union-attr]

    def _place_data(self) -> None:
        """Moves data that fits to the devices of the program's state, complete on each of them.

        A step then needs no samples from another device, whatever their order.
        """
        source, placement = self.source, self.program.placement
        if self._data_placement is placement:
            return
        self._data, self._data_placement = None, placement
        if self.program.stack and source.steps == 1:
            return
        if not isinstance(source, ArrayData):
            self._rows = rows = RowData.of(source) if placement is None else None
            if rows is not None and self.program.jit and rows.nbytes() <= _resident_limit():
                self._data = self.program.put(rows.data)
            return
        copies = 1
        if placement is not None:
            if placement.in_parts:  # No process has all of it.
                return
            copies = placement.sharing
            if source.batch_size % placement.parts:
                warn_user(
                    f"batch_size={source.batch_size} is not a multiple of the {placement.parts} "
                    "devices over which the distribution shards a batch: each batch is padded to "
                    f"{placement.filled(source.batch_size)} rows, and the padding is ignored."
                )
        if self.program.jit and source.nbytes() * copies <= _resident_limit():
            self._data = self.program.put(source.data)

    def epoch(
        self, max_steps: int | None = None, first: int = 0
    ) -> Iterator[tuple[int, Callable[[], Any], int]]:
        """`(first step, run, number of steps)` for each dispatch; `run()` returns its results.

        The epoch begins with step number `first`. If the number of steps per dispatch was given,
        only the last dispatch may have fewer, at the end of the data.
        """
        self._place_data()
        if self._data is not None:
            yield from self._resident_epoch(max_steps, first)
            return
        if self.program.jit:
            yield from self._streamed_epoch(max_steps, first)
            return
        step, batches, most = first, iter(self.source.batches(first)), self._steps or 1
        while max_steps is None or step < max_steps:
            allowed = most if max_steps is None else min(most, max_steps - step)
            items = list(itertools.islice(batches, allowed))
            if not items:
                break
            yield step, self._runner(items, 1), len(items)
            step += len(items)
        self.source.end_epoch(step)

    def _streamed_epoch(self, max_steps: int | None, first: int):
        """Batches from the host, which a thread fetches and transfers while steps run; if the
        source runs user code, the thread that called `fit` does so.

        Where steps are faster in a loop, all available batches are processed in one dispatch.
        """
        program, source = self.program, self.source
        most, placement = self._steps, program.placement
        if source.has_text or (most is None and not source.ahead):
            most = 1
        if most is None and placement is None:
            if self._most_batches is None:  # Computed once: it consumes the stream's first batch.
                self._most_batches = self._find_most_batches()
            most = self._most_batches
        most = most or 1

        def send(item: tuple[Batch, Any]) -> tuple[Batch, Any]:
            # It is transferred with others, or by the placement.
            if most > 1 or placement is not None:
                return item
            return program.send(item[0]), item[1]

        self._share()
        if placement is not None and placement.several and not first:
            source.agree()
        step, left = first, []
        batches = source.batches(first)
        fetched = Ahead(batches, send, max(2, most)) if source.ahead else OnDemand(batches, send)
        with fetched:
            while max_steps is None or step < max_steps:
                allowed = self._steps or most
                allowed = allowed if max_steps is None else min(allowed, max_steps - step)
                if len(left) < allowed:
                    left += fetched.take(allowed - len(left), wait=self._steps is not None)
                if not left:
                    break
                n = len(left) if self._steps else len(_alike(left))
                yield step, self._runner(left[:n], most), n
                step, left = step + n, left[n:]
        source.end_epoch(step)

    def _find_most_batches(self) -> int:
        """The most batches of the stream per dispatch."""
        example = self.source.example()
        work = self.program.work(samples_of(example), example)
        if self.source.has_text or work > LOOPED:
            return 1
        size = sum(math.prod(a.shape) * a.dtype.itemsize for a in jax.tree.leaves(example))
        return max(1, min(_TOGETHER, steps_of(work), _TOGETHER_BYTES // max(size, 1)))

    def _runner(self, items: list[Any], most: int) -> Callable[[], Any]:
        def run() -> Any:
            results, left = [], items
            while left:
                batches = [batch for batch, _ in (_alike(left) if most > 1 else left[:1])]
                if most == 1:
                    results.append(self.program.run_batch(batches[0]))
                else:
                    results.append(self.program.run_batches(batches, most))
                left = left[len(batches) :]
            self.source.mark_trained(items[-1][1])
            return self._result(results)

        return run

    def _result(self, results: list[Any]) -> Any:
        """The results of a dispatch that was run in parts: the last ones, or all of them."""
        if not self.program.stack or len(results) == 1:
            return results[-1]
        return jax.tree.map(lambda *parts: np.concatenate([*map(np.asarray, parts)]), *results)

    def _resident_epoch(self, max_steps: int | None, first: int):
        source: Any = self._rows or self.source
        placement = self.program.placement
        order = self.program.put(source.order())
        size = min(source.batch_size, source.num_samples)
        whole_batches = source.num_samples // size - source.taken
        whole = whole_batches if max_steps is None else min(whole_batches, max_steps)
        cursor = self.program.put(np.asarray((source.taken + first) * size, np.int32))

        def runner(size: int, steps: int, most: int) -> Callable[[], Any]:
            def run() -> Any:
                nonlocal cursor, at
                cursor, results = self.program.run_resident(
                    cursor, self._data, order, size, steps, most
                )
                at += steps
                source.mark_trained(source.position(at))
                return results

            return run

        step, rest = first, source.num_samples % size
        at = first
        if rest and (max_steps is not None and max_steps <= whole_batches):
            rest = 0
        steps, pace = self._steps, None
        if placement is not None and placement.several:
            steps = steps or 1  # Processes must agree, but their measurements would differ.
        if steps is None and self.program.stack:
            light = self.program.is_light(size, source.example())
            steps = min(whole, _STACKED) if light else 1
        elif steps is None:
            pace = self.program.pace(size, source.example())
            pace.begin(self._epochs, max(1, whole - step))
        while step < whole:
            n = min(steps or pace.steps, whole - step)  # type: ignore[union-attr]
            # The last, smaller batch belongs to these steps.
            if self._steps and n < self._steps and rest:
                parts, rest = [runner(size, n, self._steps), runner(rest, 1, 1)], 0
                yield step, lambda parts=parts: self._result([part() for part in parts]), n + 1
                step += 1
            elif pace is None:
                yield step, runner(size, n, steps or 1), n
            else:
                yield step, pace.watch(runner(size, n, 2 if pace.in_loop else 1), n), n
            step += n
        self._epochs -= 1
        if rest and step == whole_batches:
            yield step, runner(rest, 1, 1), 1
            step += 1
        source.end_epoch(step)
        if self._epochs > 0:
            source.draw()  # Done while the device computes.


class Position:
    """The position of a `fit`, with everything but the model's own state that resuming it needs.

    `step` steps of the epoch number `epoch` are finished; between two epochs it is 0 and `epoch`
    the next one. `updates` counts steps since the model was first compiled, `before` is its value
    before the last dispatch.

    Args:
        epoch, updates: the initial position.
        sources: the training and validation data, which know their positions.
        example: the shapes and dtypes of a batch.
        history: the History that `fit` returns.
        callbacks: callbacks whose state (the attributes listed in `_kept`) is included.
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
        self.logs: dict[str, Any] = {}  # Of the last finished step.
        self.sources, self.example = sources, example
        self.history, self.callbacks = history, callbacks

    def advance(self, step: int, logs: dict[str, Any]) -> None:
        """Records that `step` steps of the epoch are finished."""
        self.before = self.updates
        self.updates += step - self.step
        self.step, self.logs = step, logs

    def next_epoch(self) -> None:
        self.epoch, self.step, self.logs = self.epoch + 1, 0, {}

    def get_state(self) -> dict[str, Any]:
        """Plain values, arrays and the shapes of a batch, from which `set_state` restores the
        position."""
        steps = [self.step, *[0] * len(self.sources)]  # No validation is running.
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
        """Moves to the position of another `fit`; raises ValueError if that had other data."""
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


def _alike(items: list[tuple[Batch, Any]]) -> list[tuple[Batch, Any]]:
    """The first of these batches and those that follow it with the same shapes."""
    shapes = [jax.tree.flatten(jax.tree.map(np.shape, batch)) for batch, _ in items]
    return items[: next((i for i, s in enumerate(shapes) if s != shapes[0]), len(items))]


def _kept(callback: Any) -> dict[str, Any]:
    names = getattr(type(callback), "_kept", ())
    return {name: vars(callback)[name] for name in names if name in vars(callback)}


class Throttle:
    """Limits the number of dispatches in flight."""

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
