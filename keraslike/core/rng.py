"""Random streams: a seed and a counter in a Variable, which advances with every draw."""

from __future__ import annotations

import contextlib
import itertools
import operator
import random
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.errors import TraceContextError

from keraslike.core import context, host
from keraslike.core.base import Object
from keraslike.core.boxed import boxed_if_asked
from keraslike.core.errors import InvalidArgument
from keraslike.core.jax_internals import current_trace
from keraslike.core.naming import auto_name
from keraslike.core.variable import RandomState

# Held while keys are drawn from a stream that all threads share, so that no two threads get the
# same key.
drawing = threading.RLock()


class UnseededDraw(TraceContextError, ValueError):
    """A draw from the global stream in a trace that does not have it among its arguments."""

    def __init__(self, message: str):
        Exception.__init__(self, message)


class SeedGenerator(Object):
    """A stream of keys for `jax.random`, with the uint32 pair `(seed, count)` as its state.

    Args:
        seed: an integer; drawn from the global stream if it is `None`.

    >>> stream = SeedGenerator(42)
    >>> bool((stream.next() != stream.next()).any())
    True
    """

    def __init__(self, seed: int | None = None, name: str | None = None, **kwargs: Any):
        kwargs.pop("backend", None)  # Packages name a module with functions of JAX.
        if kwargs:
            raise ValueError(f"Unrecognized keyword arguments: {sorted(kwargs)}")
        self._name = auto_name("seed_generator") if name is None else name
        if seed is None:
            seed = make_seed()
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise ValueError(f"Argument `seed` must be an integer. Received: seed={seed!r}")
        self.seed = int(seed)
        value = host.array([self.seed & 0xFFFFFFFF, 0], "uint32")
        self.state = RandomState(value, trainable=False, name="seed_generator_state")

    @property
    def name(self) -> str:
        return str(self._name)

    def next(self) -> jax.Array:
        """The next key (a raw uint32 pair, which every `jax.random` function takes)."""
        return boxed_if_asked(self.state, self._draw)

    def _draw(self) -> jax.Array:
        """The next key, an array of JAX's also for a caller who gets boxed results."""
        if id(self.state) in context.state.held:  # The stream belongs to the trace.
            return self._next()
        if context.state.symbolic:  # Only the shapes of an op are traced: no key is drawn.
            return self.state.get_value()
        with drawing:
            return self._next()

    def _next(self) -> jax.Array:
        key = self.state.get_value()
        try:
            self.state.assign(_counted(key))
        except TraceContextError:
            if self is not _global:
                raise
            raise UnseededDraw(
                "When tracing a JAX function, you should only use seeded random ops: the global "
                "stream cannot advance in it. Pass `seed=` a key, an integer, or a SeedGenerator "
                "that is created in it or whose state is an argument of it."
            ) from None
        return key


def _counted(key: jax.Array) -> jax.Array:
    """The key after this one. A key on the host is computed there, so that a draw does not wait for
    a device."""
    one = np.array([0, 1], "uint32")
    return host.array(np.asarray(key) + one) if host.is_here(key) else key + one


# The source of seeds. By default it is Python's own stream, as in Keras: programs are reproducible
# under `random.seed`. Where several processes have to agree, it is a stream of keraslike's own.
_seeds: Any = random
_global: SeedGenerator | None = None
chosen: int | None = None  # The last argument of `set_operation_seed`.
# Seeds for TensorFlow's operations without a seed, after `set_random_seed`.
_of_operations = random.Random()
# How far each seeded generator has counted.
drawn: dict[Any, Any] = {}


def make_seed() -> int:
    """A seed for an object without one; reproducible under `set_random_seed`, and under
    `random.seed`."""
    return _seeds.randint(1, 2**31 - 1)


def operation_seed() -> int:
    """The seed that TensorFlow would give to the next operation after `set_random_seed`."""
    return _of_operations.randint(0, 2**31 - 1)


def global_stream() -> SeedGenerator:
    """The stream that draws without a seed use."""
    global _global
    stream = _global
    if stream is None:
        with drawing, jax.ensure_compile_time_eval():
            stream = _global
            if stream is None:
                # The seeds of other objects must not depend on when this stream is first used. The
                # XOR makes its numbers differ from those of the object that gets the same seed.
                state = _seeds.getstate()
                stream = SeedGenerator(make_seed() ^ 0x5BD1E995, name="global_seed_generator")
                _global = stream
                _seeds.setstate(state)
    return stream


# Counters for the runs of traced functions with seeded operations, one for each function.
_runs: Any = None
_FUNCTIONS = 256
_function_count = itertools.count()
_run_count = 0  # of functions that are not traced
_counts: dict[int, int] = {}  # of draws elsewhere, by the seeds of operations
_SEEDED, _WORD, _MOST_COUNTS = 87654321, 0xFFFFFFFF, 4096


class _Here(threading.local):
    """The state that all draws in one run of a function share, in this thread."""

    run: list[int] | None = None  # the number of the run, 0 before its first draw
    trace: tuple[Any, Any] | None = None  # the active trace, and the number of its run
    # The counter, in `_runs`, of the function that is being traced; _NEW if none is taken yet.
    counter = 0
    shared = 0  # if not 0, the counter for all functions that are traced
    # The trace of the function that runs, or None if it is not traced, and the number of operations
    # without a seed so far.
    operations: tuple[Any, Iterator[int]] | None = None
    numbered = True  # whether they are numbered
    continued = False  # whether the loop that is being traced continues steps of the function


_here = _Here()
_NEW = -1


def in_run() -> bool:
    """Whether all operations with the same seed now draw the same numbers, as in one run of a
    function."""
    return _here.run is not None


def operation_key(seed: int) -> jax.Array:
    """A key for an operation of TensorFlow that was given a seed; each run of the operation gets a
    new key. In one run of a function all operations with this seed get the same key, since an
    image and its mask must be flipped together.

    >>> first, second = operation_key(7), operation_key(7)
    >>> bool((first == second).all())
    False
    """
    global _run_count
    mixed = (int(seed) * 0x9E3779B1 ^ (_SEEDED if chosen is None else chosen * 0x85EBCA6B)) & _WORD
    if context.trace_state_clean():
        run = _here.run
        with drawing:
            if run is None:
                number = _counts[seed] = _counts.pop(seed, 0) + 1
                if len(_counts) > _MOST_COUNTS:
                    del _counts[next(iter(_counts))]
            else:
                if not run[0]:
                    _run_count += 1
                    run[0] = _run_count
                number = run[0]
        return host.array([mixed, number & _WORD], "uint32")
    trace = current_trace()
    known = _here.trace
    if known is None or known[0]() is not trace:
        try:
            number = _next_run()
        except TraceContextError:  # the stream is no argument of the traced function
            number = np.uint32(0)
        _here.trace = known = weakref.ref(trace), number
    return jnp.stack([jnp.uint32(mixed), jnp.asarray(known[1]).astype("uint32")])


def one_run(number: int = 0, numbered: bool = True) -> contextlib.AbstractContextManager[None]:
    """A block that `operation_key` treats as one run of a function: the next one, or the one with
    the given number, from 1.

    Args:
        numbered: whether operations without a seed are numbered, see `next_operation`.
    """
    operations = (None, itertools.count()) if number and numbered else None
    return context.changing(_here, run=[number], operations=operations)


def counted_operations() -> contextlib.AbstractContextManager[None]:
    """A block that is the trace of a function, in which operations without a seed are numbered."""
    return context.changing(_here, operations=(weakref.ref(current_trace()), itertools.count()))


def inlined() -> contextlib.AbstractContextManager[None]:
    """A block in which one traced function becomes part of another, with numbers of its own."""
    if not _is_numbered():
        return contextlib.nullcontext()
    return counted_operations()


def _is_numbered() -> bool:
    if chosen is None or _here.operations is None or not _here.numbered:
        return False
    trace = _here.operations[0]
    return context.trace_state_clean() if trace is None else trace() is current_trace()


def next_operation() -> tuple[int, Any] | None:
    """The number of an operation without a seed in the function that is traced or run, and that of
    the run of the function, from 0.

    It is `None` elsewhere and without a global seed.
    """
    if not _is_numbered():
        return None
    _, numbers = _here.operations  # type: ignore[misc]
    number, run = next(numbers), _here.run
    if context.trace_state_clean():
        return number, run[0] - 1  # type: ignore[index]
    return number, operation_key(number)[1]


def one_function(counter: int = 0) -> contextlib.AbstractContextManager[None]:
    """A block in which a function is traced, with its own counter of runs or the given one."""
    return context.changing(_here, counter=_here.shared or counter or new_counter())


def one_step() -> contextlib.AbstractContextManager[None]:
    """A block that is one step of a loop in a traced function, to `operation_key` a run of its
    own."""
    return context.changing(_here, trace=None)


def inner_graph() -> contextlib.AbstractContextManager[None]:
    """A block in which a branch or the body of a loop of a function is traced. As in TensorFlow's
    graphs, its operations have numbers and a counter of runs of their own."""
    if not _here.counter or _here.shared or _here.operations is None or _here.continued:
        return contextlib.nullcontext()
    operations = (weakref.ref(current_trace()), itertools.count())
    return context.changing(_here, counter=_NEW, trace=None, operations=operations)


def continued() -> contextlib.AbstractContextManager[None]:
    """A block in which a loop is traced whose first steps belong to the function: it continues
    their counter."""
    return context.changing(_here, continued=True)


def new_counter() -> int:
    """A new counter for the runs of a function."""
    return 1 + next(_function_count) % (_FUNCTIONS - 1)


def counted_at(counter: int, numbered: bool = True) -> contextlib.AbstractContextManager[None]:
    """A block in which all traced functions share one counter of runs.

    Args:
        numbered: whether operations without a seed are numbered, see `next_operation`.
    """
    return context.changing(_here, shared=counter, numbered=numbered)


def begin_at(counter: int, count: int) -> None:
    """Sets the number of runs of a function."""
    with drawing:
        counts = np.array(_run_counts().value)
        counts[counter] = count
        _run_counts().assign(host.array(counts))


def _next_run() -> Any:
    """The number of the run of the function that is being traced."""
    if _here.counter == _NEW:
        _here.counter = new_counter()
    runs, counter = _run_counts(), _here.counter
    counts = runs.value
    runs.assign(jnp.asarray(counts).at[counter].add(np.uint32(1)))
    return counts[counter]


def _run_counts() -> RandomState:
    global _runs
    if _runs is None:
        with drawing, jax.ensure_compile_time_eval():
            if _runs is None:
                none = host.array(np.zeros(_FUNCTIONS, "uint32"))
                _runs = RandomState(none, trainable=False, name="runs")
    return _runs


def set_random_seed(seed: int) -> None:
    """Seeds Python's and numpy's random numbers and keraslike's own.

    >>> set_random_seed(0)
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"seed must be an integer of at least 0. Received: seed={seed!r}")
    random.seed(seed)
    np.random.seed(seed % 2**32)
    if _seeds is not random:
        _seeds.seed(int(seed))
    set_operation_seed(int(seed))


def set_operation_seed(seed: int | None) -> None:
    """Seeds keraslike's global stream and the operations of `tf` that have no seed of their own.

    Args:
        seed: `None` for random draws.
    """
    global chosen, _run_count
    stream = global_stream()
    _run_count = 0
    chosen = seed
    _of_operations.seed(chosen)
    _counts.clear()
    _run_counts().assign(host.array(np.zeros(_FUNCTIONS, "uint32")))
    drawn.clear()
    stream.seed = make_seed() if seed is None else seed
    stream.state.assign(host.array([stream.seed & 0xFFFFFFFF, 0], "uint32"))


def get_state() -> dict[str, Any]:
    """The streams that belong to no object, as plain values for `set_state`.

    >>> state = get_state()
    >>> first = make_seed()
    >>> set_state(state)
    >>> make_seed() == first
    True
    """
    stream = global_stream()
    version, words, gauss = _seeds.getstate()
    return {
        "seeds": [version, list(words), gauss],
        "global": [stream.seed, *np.asarray(stream.state._raw_value).tolist()],
    }


def set_state(state: dict[str, Any]) -> None:
    """Restores the streams that belong to no object from the result of `get_state`."""
    version, words, gauss = state["seeds"]
    seed, *pair = state["global"]
    _seeds.setstate((version, tuple(words), gauss))
    stream = global_stream()
    stream.seed = seed
    stream.state.assign(host.array(pair, "uint32"))


def share_state(state: dict[str, Any]) -> None:
    """Sets the streams to those of another process, except for the ones that a program draws from
    independently."""
    global _seeds
    _seeds = random.Random()
    set_state(state)


def draw_key(seed: int | SeedGenerator | None) -> jax.Array:
    """A key from a stream, an integer (always the same one) or the global stream (`None`)."""
    if seed is None:
        return global_stream()._draw()
    if isinstance(seed, SeedGenerator):
        return seed._draw()
    try:
        number = operator.index(seed)
    except TypeError:
        raise InvalidArgument(
            "Argument `seed` must be either an integer, a SeedGenerator or None. "
            f"Received: seed={seed!r}"
        ) from None
    return host.array([number & 0xFFFFFFFF, 0], "uint32")
