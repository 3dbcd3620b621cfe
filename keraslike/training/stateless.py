"""Steps in Keras's stateless form: pure functions of lists of values."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import host, lowering, rng


def takes_state(step: Callable) -> bool:
    """Whether a step has the form `(state, data) -> (logs, state)`: it has two parameters, or
    passes on `*args`, which are these two in Keras."""
    parameters = inspect.signature(step).parameters.values()
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if not positional and any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return True
    return sum(p.default is p.empty for p in positional) >= 2


def stateful(model: Any, step: Callable, mode: str, whole: bool = False) -> Callable:
    """A step `(state, data) -> (logs, state)` over lists of values, as one that changes state.

    Keras's `predict_step` gives back only the state that it may change, unless `whole` is true.
    """

    def run(data: Any) -> Any:
        parts = parts_of(model, mode)
        result, new = step(tuple(list(lowering.values_of(p)) for p in parts), data)
        if mode == "predict" and not whole:
            new = (parts[0], new)
        for variables, values in zip(parts, new):
            for v, value in zip(variables, values):
                v.assign(value) if hasattr(v, "assign") else lowering.write([v], [value])
        return result

    return run


def in_either_form(mode: str) -> Callable:
    """Lets a step that takes `data` be called with `(state, data)` as well, as a user's step in the
    stateless form does through `super()`."""

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
    """Calls `function()` while the lists of Variables in `parts` hold the lists of `values`;
    returns its result and the new values. The Variables themselves are unchanged."""
    variables = [v for part in parts for v in part]
    flat = [value for part in values for value in part]
    if len(flat) != len(variables):
        expected, got = [len(p) for p in parts], [len(v) for v in values]
        raise ValueError(
            f"The state of '{model.name}' consists of lists of {expected} values. Received: {got}"
        )
    stream = rng.global_stream().state  # A step may draw from it.
    hidden = [] if any(v is stream for v in variables) else [stream]
    pure = lowering.lower(function, [*variables, *hidden], roots=[model])
    result, new = pure([*flat, *lowering.values_of(hidden)])
    if hidden and lowering.is_held(stream):
        lowering.write(hidden, new[len(variables) :])
    remaining = iter(new)
    return result, tuple([next(remaining) for _ in part] for part in parts)


def parts_of(model: Any, mode: str) -> list[list[Any]]:
    """The lists of Variables whose values a step of this mode receives."""
    parts = [model.trainable_variables, model.non_trainable_variables]
    if mode == "train":
        optimizer = getattr(model, "optimizer", None)  # Only a compiled model has one.
        parts.append([] if optimizer is None else optimizer.variables)
    if mode != "predict":
        parts.append(model.metrics_variables)
    return parts


# -- steps on batches of an iterator ------------------------------------------------------------


class StepFunction:
    """The functions that `make_train_function` and the like create: `(state, iterator) -> (results,
    state)`.

    It consumes up to `steps_per_execution` batches and returns the logs of the last step, or the
    predictions for all of them.
    """

    def __init__(self, model: Any, mode: str):
        self.model, self.mode = model, mode
        eagerly = model.run_eagerly or not model._supports_jit()
        self._run = self._step if eagerly else jax.jit(self._step)

    def _step(self, state: Any, data: Any) -> tuple[Any, Any]:
        step = getattr(self.model, f"{self.mode}_step")
        if takes_state(step):
            results, new = step(state, data)
            return results, (state[0], new) if self.mode == "predict" else new
        call = functools.partial(step, data)
        return run(call, self.model, parts_of(self.model, self.mode), state)

    def __call__(self, state: Any, iterator: Iterator) -> tuple[Any, Any]:
        steps = self.model.steps_per_execution
        every = []
        for data in itertools.islice(iterator, 1 if steps == "auto" else steps):
            results, state = self._run(state, data)
            every.append(results)
        if not every:
            raise StopIteration
        if self.mode == "predict" and len(every) > 1:
            return jax.tree.map(lambda *parts: jnp.concatenate(parts), *every), state
        return every[-1], state


def by_function(model: Any, function: Callable, mode: str) -> Callable:
    """A step that changes state, from a user's `(state, iterator) -> (results, state)`."""

    def step(state: Any, data: Any) -> Any:
        # The function may donate its arguments, so it receives copies.
        return function(jax.tree.map(jnp.copy, state), iter([data]))

    return stateful(model, step, mode, whole=True)


# -- state by the paths of its Variables ---------------------------------------------------------

_GROUPS = ("trainable_variables", "non_trainable_variables", "optimizer_variables",
           "metrics_variables")  # fmt: skip


def _by_group(model: Any) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for group, variables in zip(_GROUPS, parts_of(model, "train")):
        found[group] = {}
        for i, variable in enumerate(variables):
            path = getattr(variable, "path", str(i))
            if path in found[group]:
                raise ValueError(
                    f"The following variable path is found twice in the model '{model.name}', "
                    f"among the {group}: '{path}'. Give layers and weights names of their own."
                )
            found[group][path] = variable
    return found


def get_tree(model: Any, as_numpy: bool) -> dict[str, Any]:
    """The values of all Variables of a model in nested dicts, keyed by the parts of their paths."""
    tree: dict[str, Any] = {}
    for group, variables in _by_group(model).items():
        tree[group] = {}
        for path, variable in variables.items():
            *parents, name = path.split("/")
            place = tree[group]
            for parent in parents:
                place = place.setdefault(parent, {})
            value = variable.get_raw_value()
            place[name] = host.whole(value) if as_numpy else value
    return tree


def set_tree(model: Any, tree: dict[str, Any]) -> None:
    """Sets Variables to the values of `get_tree`; Variables that are missing in it are
    unchanged."""
    groups = _by_group(model)
    unknown = sorted(set(tree) - set(groups))
    if unknown:
        raise ValueError(f"A state tree has the parts {list(groups)}. Received: {unknown}")
    found = []
    for group, values in tree.items():
        for path, value in _flat(values, ""):
            variable = groups[group].get(path)
            if variable is None:
                raise ValueError(f"'{model.name}' has no variable '{path}' among its {group}.")
            if tuple(np.shape(value)) != tuple(variable.shape):
                raise ValueError(
                    f"Variable '{path}' of '{model.name}' has shape {tuple(variable.shape)}. "
                    f"Received: a value of shape {tuple(np.shape(value))}"
                )
            found.append((variable, value))
    for variable, value in found:
        variable.assign(value)


def _flat(tree: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}/")
        else:
            yield prefix + name, value
