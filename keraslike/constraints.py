"""Constraints, which are functions that are applied to a weight after every update.

Constraints on norms compute them along `axis`: 0 for the kernel of a dense layer and `[0, 1, 2]`
for that of a two-dimensional convolution give one norm for each unit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core import dtypes, registry, serialization
from keraslike.core.configured import Configured
from keraslike.ops.wrap import array


class Constraint(Configured):
    """Base of the constraints; a subclass defines `__call__(w)`, which returns a weight of w's
    shape.

    >>> class Rounded(Constraint):
    ...     def __call__(self, w):
    ...         return jnp.round(w)
    >>> Rounded()(jnp.array([1.2])).tolist()
    [1.0]
    """

    def __call__(self, w: Any) -> Any:
        return w


def _norms(w: jax.Array, axis: int | Sequence[int] | None) -> jax.Array:
    axis = tuple(axis) if isinstance(axis, (list, tuple)) else axis
    return jnp.sqrt(jnp.sum(jnp.square(w), axis=axis, keepdims=True))


class MaxNorm(Constraint):
    """Scales down weights whose norm exceeds `max_value`.

    >>> MaxNorm(2.0)(jnp.array([[4.0], [0.0]])).round().tolist()
    [[2.0], [0.0]]
    """

    def __init__(self, max_value: float = 2, axis: int | Sequence[int] | None = 0):
        self.max_value, self.axis = max_value, axis

    def __call__(self, w: Any) -> jax.Array:
        w = array(w)
        norms = _norms(w, self.axis)
        return w * (jnp.clip(norms, 0, self.max_value) / (dtypes.epsilon() + norms))


class NonNeg(Constraint):
    """Sets negative weights to 0.

    >>> NonNeg()(jnp.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    def __call__(self, w: Any) -> jax.Array:
        return jnp.maximum(array(w), 0)


class UnitNorm(Constraint):
    """Scales weights to norm 1.

    >>> UnitNorm()(jnp.array([[4.0], [0.0]])).round().tolist()
    [[1.0], [0.0]]
    """

    def __init__(self, axis: int | Sequence[int] | None = 0):
        self.axis = axis

    def __call__(self, w: Any) -> jax.Array:
        w = array(w)
        return w / (dtypes.epsilon() + _norms(w, self.axis))


class MinMaxNorm(Constraint):
    """Moves norms towards `[min_value, max_value]`, all the way if `rate` is 1.

    The new norm is `rate * clip(norm, min_value, max_value) + (1 - rate) * norm`.

    >>> MinMaxNorm(max_value=2.0, rate=0.5)(jnp.array([[4.0], [0.0]])).round().tolist()
    [[3.0], [0.0]]
    """

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: int | Sequence[int] | None = 0,
    ):
        self.min_value, self.max_value, self.rate, self.axis = min_value, max_value, rate, axis

    def __call__(self, w: Any) -> jax.Array:
        w = array(w)
        norms = _norms(w, self.axis)
        clipped = jnp.clip(norms, self.min_value, self.max_value)
        wanted = self.rate * clipped + (1 - self.rate) * norms
        return w * (wanted / (dtypes.epsilon() + norms))


_classes = (Constraint, MaxNorm, MinMaxNorm, NonNeg, UnitNorm)
max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm
nonneg = NonNeg

registry.publish("keras.constraints", {c.__name__: c for c in _classes}, aliases={"nonneg": NonNeg})


def get(identifier: Any) -> Callable | None:
    """A constraint from a name, a config, a class, a function, or `None` itself.

    Raises ValueError for a name that does not exist.

    >>> get("non_neg") == NonNeg()
    True
    """
    return serialization.get("constraints", identifier)


def serialize(constraint: Any) -> Any:
    """The config dict of a constraint.

    >>> serialize(UnitNorm())["config"]
    {'axis': 0}
    """
    return serialization.serialize(constraint)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The constraint that a config of `serialize` describes.

    >>> deserialize(serialize(MaxNorm(3.0))) == MaxNorm(3.0)
    True
    """
    with registry.custom_object_scope(custom_objects or {}):
        return get(config)


__all__ = [
    *(c.__name__ for c in _classes),
    *("max_norm", "min_max_norm", "non_neg", "nonneg", "unit_norm"),
    *("get", "serialize", "deserialize"),
]
__dir__ = __all__.copy
