"""What an optimizer's state is made with: names for it, ways to read and to write it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
from flax import nnx

from keraslike.core import lowering
from keraslike.core.flax_internals import check_can_update
from keraslike.core.variable import Variable, spec_of


class Cache(dict):
    """The compiled updates of one optimizer. They hold on to its variables: a copy starts empty."""

    def add(self, key: Any, value: Any) -> None:
        if len(self) >= 8:  # a hyperparameter that changes all the time
            self.clear()
        self[key] = value

    def __deepcopy__(self, memo: Any) -> Cache:
        return Cache()

    def __reduce__(self) -> tuple[Any, ...]:
        return Cache, ()


def dtype_of(variable: nnx.Variable) -> Any:
    """The dtype a variable is kept in, whatever it is cast to when read."""
    return spec_of(variable).dtype


def is_overwritten(variable: nnx.Variable) -> bool:
    """Whether the gradient of a variable is its new value."""
    return getattr(variable, "overwrite_with_gradient", False)


def label(variable: nnx.Variable, number: int, attribute: str = "path") -> str:
    """What a variable is called; a plain `nnx.Param` has no name and goes by its number."""
    return getattr(variable, attribute) if isinstance(variable, Variable) else f"variable_{number}"


def state_name(variable: nnx.Variable, number: int, field: str) -> str:
    """The name of a piece of state that belongs to a variable."""
    return f"{label(variable, number)}_{field}".replace("/", "_")


def write(variables: Sequence[nnx.Variable], values: Sequence[Any]) -> None:
    """Puts in values of the right shape and dtype; an error in a trace that is not lowered."""
    for variable in variables:
        check_can_update(variable)
    lowering.write(variables, values)


def owner(path: Sequence[Any], numbers: dict[Any, int]) -> int | None:
    """The variable that a leaf of the rule's state belongs to: the innermost key says."""
    for key in reversed(path):
        if isinstance(key, jax.tree_util.DictKey) and key.key in numbers:
            return numbers[key.key]
    return None


def key_of(path: Sequence[Any]) -> Any:
    """What a leaf of the params goes by: its key in a rule's dict, or its path in another tree."""
    key = getattr(path[-1], "key", None) if len(path) == 1 else None
    return jax.tree_util.keystr(tuple(path), simple=True, separator="/") if key is None else key


def field(path: Sequence[Any]) -> str:
    """The innermost attribute that leads to a leaf: `momentum`, `velocity`, `count`."""
    names = [k.name for k in path if isinstance(k, jax.tree_util.GetAttrKey)]
    return names[-1] if names else "state"
