"""The base class of sparse and ragged tensors, and the dispatch of calls to them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from flax import nnx

from keraslike.core.errors import NeedsPython
from keraslike.tf import promotion


class Operating:
    """What is no dense tensor, and may handle calls of functions of tensors itself."""

    __slots__ = ()

    def _operate(self, name: str, function: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Handles the call of a function of tensors with this tensor among its arguments.

        Raises NotDense if the function does not support it.
        """
        raise NotDense(self)


class Structure(Operating):
    """A composite tensor: a SparseTensor or a RaggedTensor."""

    __slots__ = ()

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self  # tensors are immutable


class NotDense(ValueError):
    """A sparse or ragged tensor was passed where a dense one is expected."""

    def __init__(self, given: Operating):
        super().__init__(given)
        self.given = given

    def __str__(self) -> str:  # formatted lazily, since most of these errors are caught by dispatch
        found = f"A {type(self.given).__name__} was given where a dense tensor is expected: "
        if not isinstance(self.given, Structure):
            return f"{found}{self.given!r}."
        return f"{found}{self.given!r}. tf.sparse.to_dense() and RaggedTensor.to_tensor() make one."


def operates(function: Callable, name: str | None = None) -> Callable:
    """A decorator by which calls with a sparse or ragged argument are dispatched to that."""
    name = name or function.__name__

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if promotion.hook is not None:
            found = promotion.hook(function, args, kwargs)
            if found is not NotImplemented:
                return found
        try:
            return function(*args, **kwargs)
        except NotDense as e:
            given = e.given
        return given._operate(name, function, args, kwargs)

    call._dispatches = True  # type: ignore[attr-defined]
    return call


def is_traced(value: Any) -> bool:
    """Whether the value of a tensor or variable is traced."""
    if isinstance(value, nnx.Variable):
        value = value._raw_value
    return isinstance(getattr(value, "_value", value), jax.core.Tracer)


def host(value: Any, what: str, instead: str) -> np.ndarray:
    """The values of a tensor or array, for computations on the host.

    Raises NeedsPython, a TypeError, while they are being traced.
    """
    value = getattr(value, "_value", value)
    if isinstance(value, jax.core.Tracer):
        raise NeedsPython(
            f"{what} depends on values, which are not known while a function is traced: {instead}"
        )
    return np.asarray(value)
