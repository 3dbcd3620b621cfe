"""Lowering: stateful Python code as a pure function of arrays, and back.

For the time of a trace the arrays inside the Variables are replaced by tracers, in place. Any
reference to a Variable then sees the tracer, also one that a closure holds (a loss that reads a
layer's kernel, say), which a merged copy would miss.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
from flax import nnx
from flax.nnx import tracers

from keraslike.core import base, host, rng
from keraslike.core.variable import Variable


def values_of(variables: Sequence[nnx.Variable]) -> tuple[Any, ...]:
    """The arrays in the Variables as they are (no cast)."""
    return tuple([v._raw_value for v in variables])


def write(variables: Sequence[nnx.Variable], values: Sequence[Any]) -> None:
    """Puts arrays into Variables, with no check: they come from the variables' own step."""
    set_attribute = object.__setattr__
    for variable, value in zip(variables, values, strict=True):
        set_attribute(variable, "_raw_value", value)


def own(variables: Sequence[nnx.Variable]) -> None:
    """Gives Variables copies of those of their arrays that somebody else may hold.

    That is anybody who refers to an array, or was given one by its Variable: `jax.device_put` can
    make another array of the same memory. A Variable that was put together from arrays does not
    say, nor does one of flax.
    """
    values = values_of(variables)
    lent = [getattr(v, "_lent", id(a)) == id(a) for v, a in zip(variables, values)]
    held = [i for i, n in enumerate(_references(values)) if n > _ALONE or lent[i]]
    if held:
        write([variables[i] for i in held], host.copied([values[i] for i in held]))
        for v in (variables[i] for i in held):
            if isinstance(v, Variable):
                object.__setattr__(v, "_lent", None)


def _references(values: tuple) -> list[int]:
    return [sys.getrefcount(value) for value in values]


_ALONE = _references((object(),))[0] + 1  # in a tuple and in a Variable


@contextlib.contextmanager
def holding(
    variables: Sequence[nnx.Variable], values: Sequence[Any], roots: Sequence[Any] = ()
) -> Iterator[None]:
    """Within the block the Variables hold `values`; afterwards they hold what they held.

    Attributes of the objects in `roots` that came to hold tracers in the block are put back too.
    """
    objects = [o for root in roots for o in base.iter_objects(root)]
    before_attributes = [dict(vars(o)) for o in objects]
    before = values_of(variables)
    traces = [v._trace_state for v in variables]
    trace = tracers.TraceState()
    try:
        write(variables, values)
        for v in variables:
            object.__setattr__(v, "_trace_state", trace)
        yield
    finally:
        write(variables, before)
        for v, t in zip(variables, traces, strict=True):
            object.__setattr__(v, "_trace_state", t)
        for obj, attributes in zip(objects, before_attributes, strict=True):
            _drop_tracers(obj, attributes)


def is_held(variable: nnx.Variable) -> bool:
    """Whether a lowered function that is being traced right now holds the Variable."""
    return variable._trace_state.is_valid()


def _drop_tracers(obj: Any, before: dict[str, Any]) -> None:
    now = vars(obj)
    for name, value in list(now.items()):
        if before.get(name, now) is value and not isinstance(value, (list, dict)):
            continue
        if not _holds_tracer(value):
            continue
        if name in before and before[name] is not value:
            now[name] = before[name]
        elif isinstance(value, (list, dict)) and name in before:
            value.clear()  # a log of tensors that was filled while tracing
        else:
            del now[name]


def _holds_tracer(value: Any) -> bool:
    leaves = jax.tree.leaves(value, is_leaf=base.is_state)
    return any(isinstance(leaf, jax.core.Tracer) for leaf in leaves)


def lower(
    function: Callable, variables: Sequence[nnx.Variable], roots: Sequence[Any] = ()
) -> Callable:
    """A pure `(values, *args) -> (result, new_values)` of a function that uses the Variables.

    >>> from keraslike.core.variable import Variable
    >>> count = Variable(0.0)
    >>> pure = lower(lambda x: count.assign_add(x) * 2, [count])
    >>> result, (new,) = pure((jax.numpy.ones(()),), 2.0)
    >>> float(result), float(new), float(count)
    (6.0, 3.0, 0.0)
    """

    def pure(values: Sequence[Any], *args: Any, **kwargs: Any) -> tuple[Any, tuple[Any, ...]]:
        with holding(variables, values, roots):
            result = function(*args, **kwargs)
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


def value_and_grad(function: Callable, has_aux: bool = False) -> Callable:
    """`(value, gradients)` of a scalar function by the trainable weights of its first argument.

    The gradients are a list in the order of `model.trainable_variables`, as `optimizer.apply`
    takes it. State that the function changes (moving averages, random streams) is changed.

    Args:
        function: `f(model, *args)`, returning a scalar, or `(scalar, aux)` with `has_aux`.

    Raises TypeError where the first argument is no model, layer or list of Variables.

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
    """Value and gradients of `function()` by `trainable`; new values of `others` are kept."""

    def run(values: list[Any], other_values: tuple[Any, ...]):
        with holding(trainable, values), holding(others, other_values):
            out = function()
            value, aux = out if has_aux else (out, None)
            return value, (aux, values_of(others))

    values = list(values_of(trainable))
    (value, (aux, new)), grads = jax.value_and_grad(run, has_aux=True)(values, values_of(others))
    write(others, new)
    return ((value, aux) if has_aux else value), grads
