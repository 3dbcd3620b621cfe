"""What sparse and ragged tensors share: how a call that was given one finds its way to it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from flax import nnx

from keraslike.data.pipeline import NeedsPython


class Structure:
    """Several tensors that stand for one: a SparseTensor, a RaggedTensor."""

    __slots__ = ()

    def _operate(self, name: str, function: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        """The call of a function of tensors that was given this among its arguments.

        Raises NotDense where the function has no meaning for it.
        """
        raise NotDense(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self  # it never changes


class NotDense(ValueError):
    """A sparse or ragged tensor was given where a dense one is expected."""

    def __init__(self, given: Structure):
        super().__init__(given)
        self.given = given

    def __str__(self) -> str:  # when it is asked for: mostly another function takes the call
        return (
            f"A {type(self.given).__name__} was given where a dense tensor is expected: "
            f"{self.given!r}. tf.sparse.to_dense() and RaggedTensor.to_tensor() make one."
        )


def operates(function: Callable, name: str | None = None) -> Callable:
    """The function; a sparse or ragged tensor that it finds among its arguments takes the call."""
    name = name or function.__name__

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except NotDense as e:
            given = e.given
        return given._operate(name, function, args, kwargs)

    return call


def is_traced(value: Any) -> bool:
    """Whether only the compiled program will know the value of a tensor or variable."""
    if isinstance(value, nnx.Variable):
        value = value._raw_value
    return isinstance(getattr(value, "_value", value), jax.core.Tracer)


def host(value: Any, what: str, instead: str) -> np.ndarray:
    """The values of a tensor or array, for what cannot be computed without them.

    Raises NeedsPython, a TypeError, while they are being traced.
    """
    value = getattr(value, "_value", value)
    if isinstance(value, jax.core.Tracer):
        raise NeedsPython(
            f"{what} depends on values, which are not known while a function is traced: {instead}"
        )
    return np.asarray(value)
