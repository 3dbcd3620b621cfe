"""`tf.debugging`: checks of values while a program runs."""

from __future__ import annotations

import logging
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.tensor import Tensor, _as_operand, operation, raw


def check_numerics(tensor: Any, message: str, name: str | None = None) -> Tensor:
    """The tensor, if all its elements are finite.

    Raises InvalidArgumentError with the message where it has NaN or infinite elements. In a traced
    function the check is made whenever the function runs, which then ends with JAX's
    `JaxRuntimeError` with that message.

    >>> from keraslike import tf
    >>> check_numerics(tf.constant([1.0, 2.0]), "weights")
    <tf.Tensor: shape=(2,), dtype=float32, numpy=array([1., 2.], dtype=float32)>
    >>> check_numerics(tf.constant([1.0]) / 0.0, "weights")
    Traceback (most recent call last):
        ...
    keraslike.tf.errors.InvalidArgumentError: weights : Tensor had Inf values
    """
    tensor = _as_operand(tensor)
    value = raw(tensor)
    if not jnp.issubdtype(value.dtype, jnp.floating):
        raise InvalidArgumentError(
            "tf.debugging.check_numerics: expected a tensor of floating-point numbers, received "
            f"one of {value.dtype}."
        )
    if not isinstance(value, jax.core.Tracer):
        _refuse(np.asarray(value), message)
    return _checked(tensor, message)


@operation("debugging.check_numerics")
def _checked(x: Any, message: str) -> Any:
    if isinstance(x, jax.core.Tracer):
        jax.debug.callback(lambda value: _refuse(np.asarray(value), message), x)
    return x


def _refuse(value: np.ndarray, message: str) -> None:
    found = [name for name, is_one in (("Inf", np.isinf), ("NaN", np.isnan)) if is_one(value).any()]
    if found:
        raise InvalidArgumentError(f"{message} : Tensor had {' and '.join(found)} values")


def get_logger() -> logging.Logger:
    """`tf.get_logger`: the logger of this name in Python's logging; nothing is written to it here.

    >>> get_logger().name
    'tensorflow'
    """
    return logging.getLogger("tensorflow")


__all__ = ["check_numerics"]


def __dir__() -> list[str]:
    return list(__all__)
