"""What a Variable is besides its value."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import jax
import numpy as np

from keraslike.core.static import Static

_numbers = itertools.count()


@dataclasses.dataclass(frozen=True, eq=False)
class Info:
    """What a variable is besides its value. Names are kept out of comparisons (see `AutoName`)."""

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
    dtype: Any = None  # the one asked for, where JAX has a narrower one in its place
    user_attributes: dict[str, Any] = dataclasses.field(default_factory=dict)
    number: int = dataclasses.field(default_factory=lambda: next(_numbers))  # order of making

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
    """An array's first numbers on one line; a value that has none yet as it calls itself."""
    if isinstance(value, jax.core.Tracer) or not getattr(value, "is_fully_addressable", True):
        return type(value).__name__
    if isinstance(value, jax.Array) and value.is_deleted():
        return "deleted"
    if value.size <= 6:
        return " ".join(str(np.asarray(value)).split())
    first = np.asarray(value[(0,) * (value.ndim - 1)][:3])
    return f"{'[' * value.ndim}{' '.join(str(first).split()).strip('[] ')} ...]"
