"""The metadata of a Variable."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from keraslike.core.static import Static
from keraslike.core.tracebacks import is_ours

_numbers = itertools.count()


@dataclasses.dataclass(frozen=True, eq=False)
class Info:
    """The metadata of a variable. Names are excluded from comparisons (see `AutoName`)."""

    name: str
    path: str
    trainable: bool
    autocast: bool
    regularizer: Any = None
    constraint: Any = None
    overwrite_with_gradient: bool = False
    aggregation: str = "none"
    synchronization: str = "auto"
    layout: Any = None
    boxes: bool = False  # Whether its users get boxed arrays: see `boxed.BoxedResults`.
    dtype: Any = None  # The requested dtype, where JAX uses a narrower one instead.
    user_attributes: dict[str, Any] = dataclasses.field(default_factory=dict)
    # The order of creation.
    number: int = dataclasses.field(default_factory=lambda: next(_numbers))

    def _key(self) -> Static:
        how = (self.trainable, self.autocast, self.overwrite_with_gradient)
        return Static((*how, self.regularizer, self.constraint))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Info) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())


AGGREGATIONS = ("none", "mean", "sum", "only_first_replica")


SYNCHRONIZATIONS = ("none", "on_read", "on_write", "auto")


def function_or_none(attribute: str, value: Any) -> Any:
    if value is None or callable(value):
        return value
    raise ValueError(
        f"Invalid value for attribute `{attribute}`: it must be a function of the value, or None. "
        f"Received: {attribute}={value!r}"
    )


def few_numbers(value: Any) -> str:
    """The first elements of an array on one line; a pending value is described by its repr."""
    if isinstance(value, jax.core.Tracer) or not getattr(value, "is_fully_addressable", True):
        return type(value).__name__
    if isinstance(value, jax.Array) and value.is_deleted():
        return "deleted"
    if value.size <= 6:
        return " ".join(str(np.asarray(value)).split())
    first = np.asarray(value[(0,) * (value.ndim - 1)][:3])
    return f"{'[' * value.ndim}{' '.join(str(first).split()).strip('[] ')} ...]"


def is_compilable(initializer: Any) -> bool:
    """Whether an initializer is defined in keraslike, which means that it can be traced."""
    of = initializer if hasattr(initializer, "__code__") else type(initializer)
    return callable(initializer) and is_ours(of)


def made_with_layout(sharding: Any, initializer: Any, make: Callable[[], jax.Array]) -> jax.Array:
    """An initial value; each device computes its own part if the initializer can be compiled."""
    if is_compilable(initializer):
        return jax.jit(make, out_shardings=sharding)()
    return jax.device_put(make(), sharding)
