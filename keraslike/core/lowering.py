"""Lowering: stateful Python code as a pure function of arrays.

During a trace the Variables hold tracers in place of their arrays. Every reference to a Variable
then gives the tracer, including references in closures (such as a loss that reads a layer's
kernel), which a merged copy would miss. The tracers are visible to the tracing thread only: they
are in its context, which the Variables read first.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
from flax import nnx

from keraslike.core import base, context, flax_internals, host, rng
from keraslike.core.boxed import Boxed
from keraslike.core.guards import Locks, known_guards
from keraslike.core.pending import Pending
from keraslike.core.structures import Structured, is_structure, iter_leaves, map_items
from keraslike.core.variable import Variable

# A Variable of flax's own class cannot read the context, so it holds tracers in place. A trace with
# such Variables holds this lock, which excludes other threads that use them.
foreign_lock = threading.RLock()


def is_foreign(variable: Any) -> bool:
    """Whether a Variable is of flax's own class."""
    return not isinstance(variable, Variable)


def values_of(variables: Sequence[nnx.Variable | Boxed]) -> tuple[Any, ...]:
    """The arrays in the Variables (or in boxed arrays given in their place), without a cast."""
    return tuple([_foreign_value(v) if is_foreign(v) else v._raw_value for v in variables])


def _foreign_value(variable: nnx.Variable | Boxed) -> Any:
    if isinstance(variable, Boxed):
        return variable.unbox()
    with foreign_lock:
        return flax_internals.read_value(variable)


def write(variables: Sequence[nnx.Variable], values: Sequence[Any]) -> None:
    """Writes arrays into Variables without checks: they come from the Variables' own step.

    In a trace, TraceContextError is raised for a Variable that the trace must not change.
    """
    if not context.trace_state_clean():
        for variable, value in zip(variables, values, strict=True):
            if isinstance(value, jax.core.Tracer):
                flax_internals.check_can_update(variable, value)
    set_attribute = object.__setattr__
    for variable, value in zip(variables, values, strict=True):
        set_attribute(variable, "_raw_value", value)


@contextlib.contextmanager
def undisturbed(variables: Sequence[nnx.Variable]) -> Iterator[None]:
    """Within the block no other thread's step changes the Variables, so that values read from them
    belong to the same step."""
    with Locks(guard.values for guard in known_guards(variables)):
        yield


def stored(variables: Sequence[nnx.Variable]) -> tuple[Any, ...]:
    """The arrays in the Variables that all threads see; the guards of the Variables must be
    locked."""
    values = tuple(map(flax_internals.read_value, variables))
    if Pending not in map(type, values):
        return values
    for variable, value in zip(variables, values):
        if type(value) is Pending:
            variable._draw()  # type: ignore[attr-defined]
    return tuple(map(flax_internals.read_value, variables))


def number_in(variable: nnx.Variable | jax.Array) -> int:
    """The integer in an array, or in a Variable as all threads see it, without handing out the
    array."""
    if not isinstance(variable, nnx.Variable):
        return int(variable)
    with undisturbed([variable]):
        return int(stored([variable])[0])


def store(variables: Sequence[nnx.Variable], values: Sequence[Any]) -> None:
    """Stores arrays where all threads see them; the guards of the Variables must be locked."""
    if len(variables) != len(values):
        raise ValueError(f"Expected {len(variables)} arrays. Received: {len(values)}")
    collections.deque(map(flax_internals.write_value, variables, values), maxlen=0)


def unshare(
    variables: Sequence[nnx.Variable], copied: Callable[[list[Any]], list[Any]] | None = None
) -> None:
    """Replaces arrays that may be referenced from outside their Variables by copies, before
    donation.

    `copied`, or `host.copied`, makes the copies. An array counts as referenced if anything but its
    Variable refers to it, or if the Variable has handed it out: `jax.device_put` can make another
    array of the same memory. Arrays in flax's own Variables, and in Variables that were assembled
    from arrays, always count. The guards of the Variables must be locked.
    """
    values = stored(variables)
    if _copies_always or not _COUNTS_REFERENCES:
        held = list(range(len(values)))
    else:
        held = [
            i
            for i, n in enumerate(_references(values))
            if n > _UNSHARED_COUNT or _was_handed_out(variables[i], values[i])
        ]
    if held:
        copies = (copied or host.copied)([values[i] for i in held])
        store([variables[i] for i in held], copies)
        for v in (variables[i] for i in held):
            if isinstance(v, Variable):
                object.__setattr__(v, "_escaped", None)


def _was_handed_out(variable: nnx.Variable, value: Any) -> bool:
    try:
        return object.__getattribute__(variable, "_escaped") == id(value)
    except AttributeError:  # A Variable that was assembled from arrays, or one of flax's own class.
        return True


def _references(values: tuple) -> list[int]:
    return [sys.getrefcount(value) for value in values]


# The reference count of an object in a tuple and in a Variable.
_UNSHARED_COUNT = _references((object(),))[0] + 1
# Reference counts are specific to CPython, and are not exact without its global lock.
_COUNTS_REFERENCES = (
    sys.implementation.name == "cpython" and getattr(sys, "_is_gil_enabled", lambda: True)()
)
_copies_always = False


def set_copy_before_donation(value: bool) -> None:
    """Sets whether every step that donates the memory of weights donates copies.

    By default an array is copied only if it may be referenced outside of its Variable, according to
    reference counts. `True` copies all arrays whenever any was read or written since the last step,
    which costs time and memory. Interpreters without exact counts (other than CPython, or
    free-threaded) always do this.

    >>> set_copy_before_donation(False)
    """
    if not isinstance(value, bool):
        raise ValueError(f"value must be True or False. Received: {value!r}")
    global _copies_always
    _copies_always = value


@contextlib.contextmanager
def holding(
    variables: Sequence[nnx.Variable | Boxed],
    values: Sequence[Any],
    roots: Sequence[Any] = (),
    left: list[tuple[Any, str, Any]] | None = None,
) -> Iterator[None]:
    """Within the block the Variables hold `values` for this thread, and afterwards their former
    ones.

    Boxed arrays may be given in place of Variables. Attributes of the objects in `roots` that hold
    tracers at the end of the block are restored, and losses that their layers added are dropped.

    Args:
        left: gets the object, the name and the value of each attribute that was set to tracers; of
            a list or dict that was filled with them, the `Change`.
    """
    state = context.state
    objects = [o for root in roots for o in base.iter_objects(root)]
    before_attributes = [dict(vars(o)) for o in objects]
    containers = {} if left is None else contents_of(before_attributes)
    outer, trace = state.held, flax_internals.TraceState()
    held, foreign = dict(outer), []
    for variable, value in zip(variables, values, strict=True):
        if isinstance(variable, (Variable, Boxed)):
            held[id(variable)] = context.Held(value, trace)
        else:
            foreign.append((variable, value))
    losses = state.losses
    with _holding_in_place(foreign, trace) if foreign else contextlib.nullcontext():
        try:
            state.held = held
            if objects:
                state.losses = context.Attached()
            yield
        finally:
            state.held = outer
            state.losses = losses
            for obj, attributes in zip(objects, before_attributes, strict=True):
                dropped = _drop_tracers(obj, attributes, containers)
                if left is not None:
                    left += dropped


@contextlib.contextmanager
def _holding_in_place(pairs: list[tuple[nnx.Variable, Any]], trace: Any) -> Iterator[None]:
    """The same for Variables of flax's own class."""
    variables = [v for v, _ in pairs]
    with foreign_lock:
        before = stored(variables)
        traces = [flax_internals.read_trace(v) for v in variables]
        try:
            store(variables, [value for _, value in pairs])
            for v in variables:
                flax_internals.write_trace(v, trace)
            yield
        finally:
            store(variables, before)
            for v, t in zip(variables, traces, strict=True):
                flax_internals.write_trace(v, t)


def is_held(variable: nnx.Variable) -> bool:
    """Whether a lowered function that is being traced has the Variable among its arguments."""
    return variable._trace_state.is_valid()


@dataclasses.dataclass(frozen=True)
class Change:
    """What was done to a list or dict: a list has `items` from the position `start` on, and a dict
    has lost the keys in `start` and got the `items`."""

    container: list | dict
    start: Any
    items: Any

    def repeat(self) -> None:
        if isinstance(self.container, dict):
            for key in self.start:
                self.container.pop(key, None)
            self.container.update(self.items)
        else:
            self.container[self.start :] = self.items


def contents_of(attributes: Sequence[dict[str, Any]]) -> dict[int, tuple[Any, Any]]:
    """The lists and dicts among the attributes of objects with copies of them, by their ids."""
    values = [v for names in attributes for v in names.values() if type(v) in (list, dict)]
    return {id(v): (v, v.copy()) for v in values}


def refill(container: Any, items: Any) -> Change:
    """Puts former items back into a list or dict, and returns what was done to it since."""
    now = container.copy()
    if isinstance(container, dict):
        missing = object()
        new = {k: v for k, v in now.items() if items.get(k, missing) is not v}
        change = Change(container, [k for k in items if k not in now], new)
        container.clear()
        container.update(items)
        return change
    same = itertools.takewhile(lambda pair: pair[0] is pair[1], zip(now, items))
    start = sum(1 for _ in same)
    container[:] = items
    return Change(container, start, now[start:])


def _drop_tracers(
    obj: Any, before: dict[str, Any], containers: dict[int, tuple[Any, Any]]
) -> list[tuple[Any, str, Any]]:
    now, transient = vars(obj), getattr(type(obj), "_transient", ())
    dropped = []
    for name, value in list(now.items()):
        if name in transient:
            continue
        if before.get(name, now) is value and not isinstance(value, (list, dict)):
            continue
        if not _holds_tracer(value):
            continue
        if isinstance(value, (list, dict)) and before.get(name) is value:
            if id(value) in containers:  # It was filled during the trace.
                dropped.append((obj, name, refill(*containers[id(value)])))
            else:
                _remove_tracers(value)
            continue
        dropped.append((obj, name, value))
        if name in before:
            now[name] = before[name]
        else:
            del now[name]
    return dropped


def _remove_tracers(container: list | dict) -> None:
    if isinstance(container, dict):
        for key in [k for k, v in container.items() if _holds_tracer(v)]:
            del container[key]
    else:
        container[:] = [v for v in container if not _holds_tracer(v)]


def _holds_tracer(value: Any) -> bool:
    return any(
        isinstance(leaf, jax.core.Tracer)
        for item in iter_leaves(value)  # jax would sort the keys, which may have several types.
        for leaf in jax.tree.leaves(item, is_leaf=base.is_state)
    )


def _read(result: Any) -> Any:
    """A result in which Variables are replaced by their values, since they hold other values after
    `holding`."""
    if isinstance(result, nnx.Variable):
        return values_of([result])[0]
    if isinstance(result, Structured):
        return Structured(_read(result.leaves), result.structure)
    return map_items(_read, result) if is_structure(result) else result


def lower(
    function: Callable, variables: Sequence[nnx.Variable], roots: Sequence[Any] = ()
) -> Callable:
    """The pure function `(values, *args) -> (result, new_values)` of a function that uses the
    Variables.

    >>> from keraslike.core.variable import Variable
    >>> count = Variable(0.0)
    >>> pure = lower(lambda x: count.assign_add(x) * 2, [count])
    >>> result, (new,) = pure((jax.numpy.ones(()),), 2.0)
    >>> float(result), float(new), float(count)
    (6.0, 3.0, 0.0)
    """

    def pure(values: Sequence[Any], *args: Any, **kwargs: Any) -> tuple[Any, tuple[Any, ...]]:
        with holding(variables, values, roots):
            result = _read(function(*args, **kwargs))
            new = values_of(variables)
        for variable, old, value in zip(variables, values, new, strict=True):
            if getattr(old, "shape", ()) != value.shape or getattr(old, "dtype", None) not in (
                None,
                value.dtype,
            ):
                name = getattr(variable, "path", type(variable).__name__)
                raise ValueError(
                    f"Variable '{name}' was changed from shape {old.shape}, dtype {old.dtype} to "
                    f"shape {value.shape}, dtype {value.dtype}. State keeps its shape and dtype; "
                    "use assign()."
                )
        return result, new

    return pure


def changes(function: Callable, variables: Sequence[nnx.Variable]) -> Callable:
    """A function without a result, as the pure function `(values, *args) -> {index: new value}`,
    which returns the values of the Variables that it changed.

    >>> from keraslike.core.variable import Variable
    >>> one, two = Variable(1.0), Variable(2.0)
    >>> pure = changes(lambda x: two.assign_add(one * x), [one, two])
    >>> pure((jax.numpy.ones(()), jax.numpy.ones(())), 3.0)
    {1: Array(4., dtype=float32)}
    """
    lowered = lower(function, variables)

    def pure(values: Sequence[Any], *args: Any) -> dict[int, Any]:
        return changed(lowered(values, *args)[1], values)

    return pure


def changed(new: Sequence[Any], old: Sequence[Any]) -> dict[int, Any]:
    """Those of the new values that are other objects than the old ones, by their indices."""
    return {i: v for i, (v, before) in enumerate(zip(new, old)) if v is not before}


def value_and_grad(function: Callable, has_aux: bool = False) -> Callable:
    """`(value, gradients)` of a scalar function for the trainable weights of its first argument.

    The gradients are a list in the order of `model.trainable_variables`, for `optimizer.apply`.
    Changes of state by the function (moving averages, random streams) are kept.

    Args:
        function: `f(model, *args)`, returning a scalar, or `(scalar, aux)` with `has_aux`.

    Raises TypeError if the first argument is not a model, layer or list of Variables.

    >>> import keraslike, jax.numpy as jnp
    >>> layer = keraslike.layers.Dense(1, kernel_initializer="ones")
    >>> layer.build((None, 2))
    >>> value, grads = value_and_grad(lambda m, x: m(x).sum())(layer, jnp.array([[1.0, 2.0]]))
    >>> float(value), [g.ravel().tolist() for g in grads]
    (3.0, [[1.0, 2.0], [1.0]])
    """

    def with_gradient(model: Any, *args: Any, **kwargs: Any) -> tuple[Any, list[Any]]:
        if isinstance(model, base.Object):
            trainable = list(model.trainable_variables)
            root: Any = model
        elif isinstance(model, (list, tuple)) and all(isinstance(v, nnx.Variable) for v in model):
            trainable, root = list(model), list(model)
        else:
            raise TypeError(
                "The first argument must be a model, a layer or a list of Variables. "
                f"Received: {type(model).__name__}"
            )
        chosen = {id(v) for v in trainable}
        others = [v for v in base.variables_of(root, rng.global_stream()) if id(v) not in chosen]
        return gradient(lambda: function(model, *args, **kwargs), trainable, others, has_aux)

    return with_gradient


def gradient(
    function: Callable[[], Any],
    trainable: Sequence[nnx.Variable],
    others: Sequence[nnx.Variable],
    has_aux: bool = False,
) -> tuple[Any, list[Any]]:
    """Value and gradients of `function()` with respect to `trainable`; new values of `others` are
    kept."""
    known = {id(v) for v in (*trainable, *others)}
    others = [*others, *(v for v in context.state.outside if id(v) not in known)]

    def run(values: list[Any], other_values: tuple[Any, ...]):
        with holding(trainable, values), holding(others, other_values):
            out = _read(function())
            value, aux = out if has_aux else (out, None)
            return value, (aux, values_of(others))

    values = list(values_of(trainable))
    (value, (aux, new)), grads = jax.value_and_grad(run, has_aux=True)(values, values_of(others))
    write(others, new)
    return ((value, aux) if has_aux else value), grads
