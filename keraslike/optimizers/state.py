"""Helpers for an optimizer's state: names, reads and writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from flax import nnx

from keraslike.core import lowering
from keraslike.core.flax_internals import check_can_update
from keraslike.core.variable import Variable, spec_of


class Cache(dict):
    """The compiled updates of one optimizer. They refer to its variables, so the cache of a copy is
    empty."""

    def compiled(self, key: Any, step: Callable) -> Callable:
        """`step` as one compiled program, cached by this key, instead of a dispatch for each
        operation."""
        if key not in self:
            if len(self) >= 8:  # A hyperparameter that changes with each step.
                self.clear()
            self[key] = jax.jit(step)
        return self[key]

    def __deepcopy__(self, memo: Any) -> Cache:
        return Cache()

    def __reduce__(self) -> tuple[Any, ...]:
        return Cache, ()


def dtype_of(variable: nnx.Variable) -> Any:
    """The dtype in which a variable is stored, whatever it is cast to when read."""
    return spec_of(variable).dtype


def is_overwritten(variable: nnx.Variable) -> bool:
    """Whether a variable's gradient is its new value."""
    return getattr(variable, "overwrite_with_gradient", False)


def label(variable: nnx.Variable, number: int, attribute: str = "path") -> str:
    """The name of a variable; a plain `nnx.Param` has none and is named by its number."""
    return getattr(variable, attribute) if isinstance(variable, Variable) else f"variable_{number}"


def state_name(variable: nnx.Variable, number: int, field: str) -> str:
    """The name of a state Variable that belongs to a variable."""
    return f"{label(variable, number)}_{field}".replace("/", "_")


def write(variables: Sequence[nnx.Variable], values: Sequence[Any]) -> None:
    """Assigns a value of the right shape and dtype; raises in a trace that is not a lowered
    function's."""
    for variable in variables:
        check_can_update(variable)
    lowering.write(variables, values)


def owner(path: Sequence[Any], numbers: dict[Any, int]) -> int | None:
    """The index of the variable that a leaf of the rule's state belongs to, from the innermost
    key."""
    for key in reversed(path):
        if isinstance(key, jax.tree_util.DictKey) and key.key in numbers:
            return numbers[key.key]
    return None


def key_of(path: Sequence[Any]) -> Any:
    """The key of a leaf of the parameters: its key in a rule's dict, or its path in another
    tree."""
    key = getattr(path[-1], "key", None) if len(path) == 1 else None
    return jax.tree_util.keystr(tuple(path), simple=True, separator="/") if key is None else key


def field(path: Sequence[Any]) -> str:
    """The innermost attribute on the path to a leaf: `momentum`, `velocity`, `count`."""
    names = [k.name for k in path if isinstance(k, jax.tree_util.GetAttrKey)]
    return names[-1] if names else "state"
