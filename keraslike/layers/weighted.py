"""`Weighted`: layers whose arguments say how each of their weights is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keraslike import activations, constraints, initializers, regularizers
from keraslike.core.arguments import names_of
from keraslike.layers.layer import Layer

_FAMILIES: dict[str, Any] = {
    "activation": activations,
    "initializer": initializers,
    "regularizer": regularizers,
    "constraint": constraints,
}
_OF_LAYER = frozenset({"activity_regularizer", "autocast", "dtype", "name", "trainable"})


def resolved(name: str, value: Any) -> Any:
    """The value of a constructor's argument: names and configs of activations, initializers,
    regularizers and constraints become objects, and other arguments stay as they are.

    >>> resolved("bias_initializer", "zeros").__class__.__name__, resolved("units", 3)
    ('Zeros', 3)
    """
    family = _FAMILIES.get(name.rpartition("_")[2])
    return value if family is None else family.get(value)


class Weighted(Layer):
    """Base of layers that have an initializer, a regularizer and a constraint for each weight.

    Args:
        cls: the class whose constructor calls this one.
        arguments: those of that constructor, as `core.arguments.given` collects them. Each becomes
            an attribute; those of `Layer` go to its constructor.
    """

    activation: Any
    use_bias: bool
    kernel_initializer: Any
    kernel_regularizer: Any
    kernel_constraint: Any
    bias_initializer: Any
    bias_regularizer: Any
    bias_constraint: Any

    def __init__(self, cls: type, **arguments: Any):
        own = [n for n in names_of(cls) if n in arguments and n not in _OF_LAYER]
        values = {name: arguments.pop(name) for name in own}
        super().__init__(**arguments)
        for name, value in values.items():
            setattr(self, name, resolved(name, value))

    def _options(self, kind: str) -> dict[str, Any]:
        """The keyword arguments of `add_weight` for weights of this kind, such as `"kernel"`."""
        return {
            "initializer": getattr(self, f"{kind}_initializer"),
            "regularizer": getattr(self, f"{kind}_regularizer"),
            "constraint": getattr(self, f"{kind}_constraint"),
        }

    def _add(self, name: str, shape: Sequence[Any], kind: str | None = None, **options: Any) -> Any:
        """Makes a weight of a kind, which is its name unless another one is given."""
        return self.add_weight(shape, name=name, **{**self._options(kind or name), **options})
