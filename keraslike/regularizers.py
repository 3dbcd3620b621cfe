"""Regularizers, which are functions of a weight whose value is added to the loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core import registry, serialization
from keraslike.core.configured import Configured
from keraslike.ops import nn, numpy
from keraslike.ops.wrap import array


def validate_float_arg(value: Any, name: str) -> float:
    """The value as a float; raises ValueError unless it is a finite number of at least 0."""
    if not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        raise ValueError(
            f"Invalid value for argument {name}: expected a non-negative float. "
            f"Received: {name}={value!r}"
        )
    return float(value)


class Regularizer(Configured):
    """Base of the regularizers; a subclass defines `__call__(x)`, which returns a scalar.

    >>> class Mean(Regularizer):
    ...     def __call__(self, x):
    ...         return jnp.mean(x)
    >>> float(Mean()(jnp.array([1.0, 3.0])))
    2.0
    """

    def __call__(self, x: Any) -> Any:
        return 0.0


class L1L2(Regularizer):
    """`l1 * sum(abs(x)) + l2 * sum(x**2)`.

    Raises ValueError for a negative factor.

    >>> float(L1L2(l1=1.0, l2=0.5)(jnp.array([2.0])))
    4.0
    """

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0):
        self.l1 = validate_float_arg(0.0 if l1 is None else l1, "l1")
        self.l2 = validate_float_arg(0.0 if l2 is None else l2, "l2")

    def __call__(self, x: Any) -> jax.Array:
        x = array(x)
        penalty = jnp.zeros((), x.dtype)
        if self.l1:
            penalty += self.l1 * jnp.sum(numpy.abs(x))
        if self.l2:
            penalty += self.l2 * jnp.sum(jnp.square(x))
        return penalty


class L1(Regularizer):
    """`l1 * sum(abs(x))`.

    >>> float(L1(0.5)(jnp.array([-2.0, 2.0])))
    2.0
    """

    def __init__(self, l1: float | None = 0.01):
        self.l1 = validate_float_arg(0.01 if l1 is None else l1, "l1")

    def __call__(self, x: Any) -> jax.Array:
        return self.l1 * jnp.sum(numpy.abs(array(x)))


class L2(Regularizer):
    """`l2 * sum(x**2)`.

    >>> float(L2(0.5)(jnp.array([-2.0, 2.0])))
    4.0
    """

    def __init__(self, l2: float | None = 0.01):
        self.l2 = validate_float_arg(0.01 if l2 is None else l2, "l2")

    def __call__(self, x: Any) -> jax.Array:
        return self.l2 * jnp.sum(jnp.square(array(x)))


class OrthogonalRegularizer(Regularizer):
    """`factor` times the mean absolute cosine between two rows (or columns) of a matrix.

    Args:
        factor: the factor of the penalty.
        mode: `"rows"` or `"columns"`.

    Raises ValueError for another mode, or for a weight that is not a matrix.

    >>> float(OrthogonalRegularizer(1.0)(jnp.eye(2)))
    0.0
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows"):
        if mode not in ("rows", "columns"):
            raise ValueError(
                'Invalid value for argument `mode`. Expected one of {"rows", "columns"}. '
                f"Received: mode={mode}"
            )
        self.factor, self.mode = validate_float_arg(factor, "factor"), mode

    def __call__(self, inputs: Any) -> jax.Array:
        x = array(inputs)
        if x.ndim != 2:
            raise ValueError(
                "Inputs to OrthogonalRegularizer must have rank 2. "
                f"Received: inputs.shape={x.shape}"
            )
        rows = nn.normalize(x if self.mode == "rows" else x.T, axis=1)
        size = rows.shape[0]
        cosines = numpy.abs(rows @ rows.T) * (1 - jnp.eye(size, dtype=x.dtype))
        return self.factor * jnp.sum(cosines) / (size * (size - 1.0))


_classes = (Regularizer, L1, L2, L1L2, OrthogonalRegularizer)
l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer

registry.publish(
    "keras.regularizers", {c.__name__: c for c in _classes}, aliases={"l1_l2": L1L2, "l1l2": L1L2}
)


def get(identifier: Any) -> Callable | None:
    """A regularizer from a name, a config, a class, a function, or `None` itself.

    Raises ValueError for a name that does not exist.

    >>> get("l2").get_config()
    {'l2': 0.01}
    """
    return serialization.get("regularizers", identifier)


def serialize(regularizer: Any) -> Any:
    """The config dict of a regularizer.

    >>> serialize(L2(0.5))["config"]
    {'l2': 0.5}
    """
    return serialization.serialize(regularizer)


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The regularizer that a config of `serialize` describes.

    >>> deserialize(serialize(L2(0.5))) == L2(0.5)
    True
    """
    with registry.custom_object_scope(custom_objects or {}):
        return get(config)


__all__ = [
    *(c.__name__ for c in _classes),
    *("l1", "l2", "l1_l2", "orthogonal_regularizer", "get", "serialize", "deserialize"),
]
__dir__ = __all__.copy
