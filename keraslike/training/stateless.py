"""Steps in Keras's stateless form: pure functions of lists of values, in and out."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from keraslike.core import lowering, rng


def takes_state(step: Callable) -> bool:
    """Whether a step is written as `(state, data) -> (logs, state)`: it needs two arguments."""
    parameters = inspect.signature(step).parameters.values()
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return sum(p.default is p.empty for p in positional) >= 2


def stateful(model: Any, step: Callable, mode: str) -> Callable:
    """A step `(state, data) -> (logs, state)` over lists of values, as one that changes state."""

    def run(data: Any) -> Any:
        parts = parts_of(model, mode)
        result, new = step(tuple(list(lowering.values_of(p)) for p in parts), data)
        if mode == "predict":  # Keras's predict_step gives back only what it may change
            new = (parts[0], new)
        for variables, values in zip(parts, new):
            for v, value in zip(variables, values):
                v.assign(value) if hasattr(v, "assign") else lowering.write([v], [value])
        return result

    return run


def in_either_form(mode: str) -> Callable:
    """Lets a step that takes `data` be called with `(state, data)` as well, as `super()` is by a
    user's step in the stateless form."""

    def decorate(step: Callable) -> Callable:
        @functools.wraps(step)
        def either(self: Any, *given: Any) -> Any:
            if len(given) != 2:
                return step(self, *given)
            state, data = given
            parts = parts_of(self, mode)
            result, new = run(functools.partial(step, self, data), self, parts, state)
            return result, new[1] if mode == "predict" else new

        return either

    return decorate


def run(function: Callable, model: Any, parts: Any, values: Any) -> tuple[Any, tuple]:
    """`function()` where the lists of Variables in `parts` hold the lists of `values`, and their
    new values; the Variables themselves stay as they are."""
    variables = [v for part in parts for v in part]
    flat = [value for part in values for value in part]
    if len(flat) != len(variables):
        expected, got = [len(p) for p in parts], [len(v) for v in values]
        raise ValueError(
            f"The state of '{model.name}' is made of lists of {expected} values. Received: {got}"
        )
    stream = rng.global_stream().state  # a step may draw from it, whoever holds the rest
    hidden = [] if any(v is stream for v in variables) else [stream]
    pure = lowering.lower(function, [*variables, *hidden], roots=[model])
    result, new = pure([*flat, *lowering.values_of(hidden)])
    if hidden and lowering.is_held(stream):
        lowering.write(hidden, new[len(variables) :])
    remaining = iter(new)
    return result, tuple([next(remaining) for _ in part] for part in parts)


def parts_of(model: Any, mode: str) -> list[list[Any]]:
    """The lists of Variables whose values a step of this mode is given."""
    parts = [model.trainable_variables, model.non_trainable_variables]
    if mode == "train":
        parts.append([] if model.optimizer is None else model.optimizer.variables)
    if mode != "predict":
        parts.append(model.metrics_variables)
    return parts
