"""Compiled steps: the model, losses, metrics and optimizer are lowered to one XLA program.

A dispatch passes the state as a flat tuple of arrays, which are donated, and runs one step or
several. Its outputs are written back to the Variables before anything else happens.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import errors

from keraslike.core import context, host, lowering
from keraslike.core.collector import collect_dropped_models
from keraslike.core.compilation import BLOCK, adapt_memory, compiler_options, uses_blocks
from keraslike.core.guards import Locks
from keraslike.core.jax_internals import compile_trace, put
from keraslike.core.structures import Structured
from keraslike.core.text import holds_text, keeping_text
from keraslike.training.arrays import Batch, cut_batch, samples_of
from keraslike.training.interrupts import no_interrupt
from keraslike.training.lowered_step import LoweredStep
from keraslike.training.pace import has_callbacks, has_large_arrays
from keraslike.training.placement import Placement, return_to_default_device, was_used


class _NotTraced(Exception):
    """Raised in a dispatch whose function was not traced for these arguments."""


class Program(LoweredStep):
    """A lowered step that is compiled on its first run. The arguments are those of
    `LoweredStep`."""

    @property
    def is_spread(self) -> bool:
        """Whether several processes compute the steps together."""
        return self.placement is not None and self.placement.several

    def place_state(self) -> None:
        """Moves the state to the devices of the active distribution; without one, to the default
        device."""
        distribution = context.state.distribution
        placement = self.placement
        if distribution is None and placement is None and not was_used():
            return
        with self._locks:
            if distribution is None:
                if placement is not None:
                    self._placed(None)
                return_to_default_device([*self.state, self.stream, *self.fixed])
                return
            if placement is None or placement.distribution is not distribution:
                placement = Placement(distribution, self.state, self.fixed)
                self._placed(placement)
                self._uses = None
            if self._uses == self._count_uses():
                return
            # The order matters: a replicated array keeps the memory that it had on its device.
            if placement.several:  # Reference counts may differ between processes.
                lowering.store(self.state, self._copies())
            else:
                lowering.unshare(self.state, self._copied)
            placement.put_state(self.state, self.fixed)
            lowering.store([self.stream], placement.replicate(lowering.stored([self.stream])))
            self._uses = self._count_uses()

    def _placed(self, placement: Placement | None) -> None:
        self.placement = placement
        key = None if placement is None else placement.key
        self._compiled = self._compiled_for.setdefault(key, {})

    def compiled_for(self, example: Batch, placement: Placement) -> Any:
        """XLA's program for one step on a batch of these shapes, with the shardings of a placement.
        Nothing is moved or run."""

        def specs(tree: Any, shardings: Any) -> Any:
            return jax.tree.map(
                lambda a, where: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=where),
                tree,
                shardings,
            )

        before, self.placement = self.placement, placement
        sizes = tuple(a.shape[0] if a.shape else 0 for a in jax.tree.leaves(example))
        example = jax.tree.map(
            lambda a: jax.ShapeDtypeStruct(
                a.shape and (placement.filled(a.shape[0]), *a.shape[1:]), a.dtype
            ),
            example,
        )
        try:
            state, stream, fixed = self._arguments()
            given = (
                specs(state, placement.state),
                specs(stream, placement.replicated),
                specs(fixed, placement.fixed),
                specs(example, jax.tree.map(lambda a: placement.rows(a.shape), example)),
            )
            with self.tracing():
                return self._whole(sizes).lower(*given).compile()
        finally:
            self.placement = before

    def put(self, tree: Any) -> Any:
        """Transfers host arrays, complete, to every device of the program."""
        return jax.tree.map(put, tree) if self.placement is None else self.placement.replicate(tree)

    def send(self, batch: Batch) -> Batch:
        """Transfers a batch before its dispatch."""
        if not holds_text(batch):
            return self.put(batch)
        return keeping_text(self.put, self._of_text.applied(batch)) if self.jit else batch

    def _copies(self) -> list[jax.Array]:
        return self._copied(lowering.stored(self.state))

    def _copied(self, values: Sequence[jax.Array]) -> list[jax.Array]:
        if self.placement is not None and self.placement.several:
            return [jnp.copy(value) for value in values]
        return host.copied(values)

    @contextlib.contextmanager
    def unchanged(self) -> Iterator[None]:
        """Within the block the state may change; it is restored at the end."""
        with self._locks:
            before = self._copies()
        yield
        lowering.write(self.state, before)

    # -- dispatching --------------------------------------------------------------------------

    @contextlib.contextmanager
    def tracing(self) -> Iterator[None]:
        """Within the block no other thread traces the model: a trace may set attributes of its
        objects."""
        with Locks(guard.tracing for guard in self._guards):
            yield

    def _count_uses(self) -> int:
        return sum([guard.uses for guard in self._guards])

    def _arguments(self) -> tuple:
        stored = lowering.stored
        return stored(self.state), *stored([self.stream]), stored(self.fixed)

    def _dispatch(self, key: Any, make: Callable[[], Callable], *args: Any) -> Any:
        """Runs the function of `make`, which is compiled for each combination of argument
        shapes."""
        held = context.state.held
        within = bool(held) and any(id(v) in held for v in (*self.state, *self.fixed))
        key = key, _signature(args)
        with no_interrupt:
            while True:
                function = self._compiled.get(key)
                try:
                    if within or not self.jit:
                        return self._run_in_place(make() if function is None else function, args)
                    if function is not None:
                        return self._run(function, *args)
                    # State that was reset meanwhile must be placed as the program expects.
                    if self.placement is not None:
                        self.place_state()
                    function = self._compiled_function(make, args)
                    self._compiled[key] = function
                    return self._run_safely(function, args)
                except _NotTraced:  # The dtypes of the state have changed.
                    self._compiled.pop(key, None)
                except errors.TraceContextError:  # Each trace may create or find more state.
                    self._collect_again()
                    self.place_state()

    def _run(self, function: Callable, *args: Any) -> Any:
        return (self._run_safely if self._fails_late else self._attempt)(function, args)

    def _run_in_place(self, function: Callable, args: tuple) -> Any:
        """Runs a step as plain Python, or within a function that is lowered over the same state."""
        state = list(lowering.values_of(self.state))
        if self.jit and not self.stack:
            state = [jnp.copy(value) for value in state]
        (stream,), fixed = lowering.values_of([self.stream]), lowering.values_of(self.fixed)
        new, drawn, *results = function(tuple(state), stream, fixed, *args)
        if type(new) is tuple:
            new = dict(enumerate(new))
        lowering.write([self.state[i] for i in new], list(new.values()))
        if drawn is not None:
            lowering.write([self.stream], [drawn])
        return results

    def _attempt(self, function: Callable, args: tuple) -> Any:
        """Dispatches the compiled function and writes its outputs back."""
        with self._locks:
            if not self.stack:
                self._own_state()
            context.state.dispatching = True
            try:
                new, drawn, *results = function(*self._arguments(), *args)
            finally:
                context.state.dispatching = False
            if type(new) is tuple:
                lowering.store(self.state, new)
            elif new:
                lowering.store([self.state[i] for i in new], list(new.values()))
            if drawn is not None:
                lowering.store([self.stream], [drawn])
        return results

    def _own_state(self) -> None:
        """Ensures that the donated arrays are not referenced from outside."""
        uses = self._count_uses()
        # Reads of flax's own Variables are not counted.
        if uses == self._uses and not self._foreign:
            return
        if self.placement is None:
            lowering.unshare(self.state)
        else:
            self.place_state()
        self._uses = uses

    def _compiled_function(self, make: Callable[[], Callable], args: tuple) -> Callable:
        """Traces and compiles a function, while other threads may use the model."""
        collect_dropped_models()
        function, began = make(), time.perf_counter()
        with self.tracing():
            traced = function.trace(*self._arguments(), *args)
            if self._in_blocks and uses_blocks() and has_large_arrays(traced.jaxpr, BLOCK):
                self._in_blocks = False
                function = make()
                traced = function.trace(*self._arguments(), *args)
            compiled = compile_trace(traced)
        adapt_memory(compiled, time.perf_counter() - began)
        self._fails_late = self._fails_late or has_callbacks(traced.jaxpr)
        if self.placement is not None:
            self.placement.distribution.placed()
        return function

    def _run_safely(self, function: Callable, args: tuple) -> Any:
        """A dispatch that restores the state if it fails.

        When a dispatch fails at run time (out of memory, an exception in a callback), the arrays of
        the state have been donated. A program uses the same amount of memory each time, so running
        out of memory shows in its first run; a program with callbacks may fail at any time.
        """
        with self._locks:
            restore = self._backup()
        try:
            results = self._attempt(function, args)
            # Waits for the results and not for the state, which another thread's dispatch may have
            # donated meanwhile: the outputs of one program fail together.
            jax.block_until_ready(results)
        except _NotTraced:
            raise
        except BaseException:
            restore()
            raise
        return results

    def _backup(self) -> Callable[[], None]:
        """Makes a backup of the state; the returned function restores it."""
        state, (stream,) = lowering.stored(self.state), lowering.stored([self.stream])
        shardings = [value.sharding for value in state]
        if self.stack:  # Nothing is donated.
            kept = list(state)
        elif jax.default_backend() == "cpu":
            kept = self._copies()
        elif self.placement is None:  # An accelerator may not have enough memory for a second copy.
            kept = jax.device_put(list(state), jax.local_devices(backend="cpu")[0])
        else:  # A host may not have enough memory for the shards of other hosts.
            kept = jax.device_put(
                list(state), [s.with_memory_kind("pinned_host") for s in shardings]
            )

        def restore() -> None:
            values = [
                value if value.sharding == sharding else jax.device_put(value, sharding)
                for value, sharding in zip(kept, shardings)
            ]
            with self._locks:
                lowering.store(self.state, values)
                lowering.store([self.stream], [stream])

        return restore

    def run_batch(self, batch: Batch, anew: bool = False) -> Any:
        """One step on a batch from the host. With `anew`, `begin` runs before it in the same
        program, which then returns a list of numbers as one array."""
        if self.jit and holds_text(batch):
            return self._of_text.run(lambda batch: self._run_numbers(batch, anew), batch)
        return self._run_numbers(batch, anew)

    def key_of(self, batch: Batch) -> tuple:
        """The key with which `run_known` finds the program for batches like this one."""
        return "batch", _signature((batch,))

    def knows(self, batch: Batch) -> bool:
        """Whether the program was compiled for batches like this one."""
        return self.key_of(batch) in self._compiled

    def run_known(self, key: tuple, batch: Batch) -> Any:
        """The result of `run_batch` for numbers, outside of any trace, if it was compiled for such
        a batch before; else `None`."""
        function = self._compiled.get(key)
        if function is None or self.placement is not None or not self.jit or was_used():
            return None
        try:
            with no_interrupt:
                return self._run(function, batch)[0]
        except _NotTraced:  # The dtypes of the state have changed.
            return None

    def _run_numbers(self, batch: Batch, anew: bool = False) -> Any:
        sizes = None
        if not self.jit:
            batch = keeping_text(self.put, batch)
        elif self.placement is not None:
            batch, sizes = self.placement.batch(batch)
        key, make = ("anew", self._anew) if anew else ("batch", self._whole)
        if sizes is None:
            return self._dispatch(key, make, batch)[0]
        return self._dispatch((key, sizes), lambda: make(sizes), batch)[0]

    def _whole(self, sizes: tuple[int, ...] | None = None) -> Callable:
        """The function for a step on a batch; `sizes` are the sizes of its arrays before
        padding."""
        if not self.jit:
            return self._pure
        if sizes is not None:
            spread = self.placement.spread  # type: ignore[union-attr]
            return self._jitted(lambda *args: self._step(*args[:3], spread(args[3], sizes)))
        # If the state is donated, all of it must be returned.
        return self._jitted(self._changes if self.stack and self.placement is None else self._step)

    def _anew(self, sizes: tuple[int, ...] | None = None) -> Callable:
        def step(batch: Any) -> Any:
            self.begin()  # type: ignore[misc]
            if sizes is not None:
                batch = self.placement.spread(batch, sizes)  # type: ignore[union-attr]
            return _together(self.step(batch))

        pure = self._lowered(step)
        return self._jitted(pure) if self.jit else pure

    def _jitted(
        self, function: Callable, donate: tuple = (0,), on_all: int = 0, in_loop: bool = False
    ) -> Callable:
        """The compiled program `(state, stream, fixed, *on_all, ...) -> (state, drawn, *donated
        others, results)`.

        With a distribution, the arguments numbered by `on_all` are replicated, and the state keeps
        its placement.
        """
        p = self.placement
        # A program that stacks its results changes little state, so that donation saves nothing.
        donated = donate[1:] if self.stack else donate
        options = compiler_options(in_loop, self._in_blocks)

        def program(*args: Any) -> Any:
            if context.state.dispatching:
                raise _NotTraced
            return function(*args)

        if p is None:
            return jax.jit(program, donate_argnums=donated, compiler_options=options)
        others = (p.replicated,) * on_all or (None,)
        kept = (p.replicated,) * (len(donate) - 1)
        return jax.jit(
            program,
            donate_argnums=donated,
            in_shardings=(p.state, p.replicated, p.fixed, *others),
            out_shardings=(p.state, p.replicated, *kept, p.results),
            compiler_options=options,
        )

    def run_batches(self, batches: list[Batch], most: int) -> Any:
        """One step on each of up to `most` host batches of equal shape, in one dispatch."""
        size = samples_of(batches[0])

        def together(*arrays: Any) -> np.ndarray:
            out = np.empty((most * size, *arrays[0].shape[1:]), arrays[0].dtype)
            np.concatenate(arrays, out=out[: len(arrays) * size])
            return out

        data = jax.tree.map(together, *batches)
        cursor, data = self.put((np.zeros((), np.int32), data))
        return self.run_resident(cursor, data, None, size, len(batches), most)[1]

    def run_resident(
        self, cursor: Any, data: Batch, order: Any, batch_size: int, steps: int, most: int = 1
    ) -> tuple[Any, Any]:
        """`steps` steps on consecutive batches of data on the device; returns `(cursor, results)`.
        With `most` above 1 they run in a loop, and one program serves for any number of steps up to
        it.
        """

        def one(state: tuple, stream: Any, fixed: tuple, cursor: Any, data: Batch, order: Any):
            batch = cut_batch(data, order, cursor, batch_size)
            if self.placement is not None:
                batch = self.placement.spread(batch)
            new, drawn, result = self._step(state, stream, fixed, batch)
            return new, drawn, cursor + batch_size, result

        def several(
            state: tuple, stream: Any, fixed: tuple, cursor: Any, data: Batch, order: Any, n: Any
        ):
            _, drawn, _, shapes = jax.eval_shape(one, state, stream, fixed, cursor, data, order)
            all_of = (most,) if self.stack else ()
            results = jax.tree.map(lambda s: _room(s, all_of), shapes)

            def body(i: Any, carry: Any) -> Any:
                state, before, cursor, results = carry
                state, after, cursor, result = one(
                    state, stream if before is None else before, fixed, cursor, data, order
                )
                result = jax.tree.map(_halves, result)
                if self.stack:
                    result = jax.tree.map(lambda a, r: a.at[i].set(r), results, result)
                return state, after, cursor, result

            drawn = None if drawn is None else stream
            carry = jax.lax.fori_loop(0, n, body, (state, drawn, cursor, results))
            state, drawn, cursor, results = carry
            results = jax.tree.map(_whole_of, results, shapes)
            if self.stack:
                results = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), results)
            return state, drawn, cursor, results

        def make() -> Callable:
            if most == 1:
                return self._jitted(one, donate=(0, 3), on_all=3)
            return self._jitted(several, donate=(0, 3), on_all=4, in_loop=True)

        # Without `stack` one program serves for any number of steps.
        key = (batch_size, most if self.stack else most > 1, order is None)
        rest = () if most == 1 else (np.int32(steps),)
        cursor, results = self._dispatch(key, make, cursor, data, order, *rest)
        if self.stack and steps < most:
            results = jax.tree.map(lambda a: np.asarray(a)[: len(a) // most * steps], results)
        return cursor, results


# 64-bit results pass through a loop as two halves, since JAX would narrow its variables.


def _is_wide(value: Any) -> bool:
    wide = np.dtype(value.dtype).kind in "iuf" and value.dtype.itemsize == 8
    return wide and not jax.config.read("jax_enable_x64")


def _room(spec: Any, leading: tuple[int, ...]) -> Any:
    """Zeros for the results of all steps of a loop."""
    if _is_wide(spec):
        return jnp.zeros((*leading, *spec.shape, 2), np.uint32)
    return jnp.zeros((*leading, *spec.shape), spec.dtype)


def _halves(result: Any) -> Any:
    return jax.lax.bitcast_convert_type(result, np.uint32) if _is_wide(result) else result


def _whole_of(halves: Any, spec: Any) -> Any:
    if not _is_wide(spec):
        return halves
    with jax.enable_x64(True):
        return jax.lax.bitcast_convert_type(halves, spec.dtype)


def _together(results: Any) -> Any:
    """Packs several numbers into one array: transferring each separately takes longer than a
    step."""
    numbers = results.leaves if isinstance(results, Structured) else None
    if not isinstance(numbers, list) or not numbers:
        return results
    if any(jnp.shape(r) or jnp.result_type(r) != jnp.float32 for r in numbers):
        return results
    return Structured(jnp.stack(numbers), results.structure)


def _signature(args: Any) -> tuple:
    """The cache key of a compiled function, which determines the shapes of its arguments, so that
    no dispatch traces anything.

    (If jax detected a new shape itself, in a call that then fails, it would not use its fast path
    for later calls.)"""
    leaves, structure = jax.tree.flatten(args)
    return structure, tuple([(a.shape, a.dtype) for a in leaves])
