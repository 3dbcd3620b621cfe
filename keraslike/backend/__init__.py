"""`keras.backend`: settings, names and dtypes, and Keras 2's backend functions."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from keraslike.backend import functions
from keraslike.backend.functions import *  # noqa: F403
from keraslike.config import backend
from keraslike.core import context
from keraslike.core.arguments import image_data_format, set_image_data_format
from keraslike.core.dtypes import epsilon, floatx, set_epsilon, set_floatx, standardize_dtype
from keraslike.core.naming import get_uid
from keraslike.core.promotion import result_type
from keraslike.core.session import clear_session
from keraslike.core.symbolic import KerasTensor, is_keras_tensor


def get_keras_mask(x: Any) -> Any:
    """The mask that an array or a symbolic tensor carries, or `None`.

    >>> get_keras_mask(jnp.ones((1, 2))) is None
    True
    """
    return x._keras_mask if isinstance(x, KerasTensor) else context.get_mask(x)


def set_keras_mask(x: Any, mask: Any) -> None:
    """Attaches a mask to an array or a symbolic tensor, for the layers that are called on it.

    `None` removes it. Results of operations other than layers have no mask.

    >>> x = jnp.ones((1, 2))
    >>> set_keras_mask(x, jnp.array([[True, False]]))
    >>> get_keras_mask(x).tolist()
    [[True, False]]
    """
    if isinstance(x, KerasTensor):
        x._keras_mask = mask
    else:
        context.set_mask(x, mask)


def is_float_dtype(dtype: Any) -> bool:
    """Whether a dtype is one of floating-point numbers.

    >>> is_float_dtype("bfloat16"), is_float_dtype("int32")
    (True, False)
    """
    return bool(jnp.issubdtype(standardize_dtype(dtype), jnp.floating))


def is_int_dtype(dtype: Any) -> bool:
    """Whether a dtype is one of whole numbers.

    >>> is_int_dtype("uint8"), is_int_dtype("bool")
    (True, False)
    """
    return bool(jnp.issubdtype(standardize_dtype(dtype), jnp.integer))


__all__ = [
    *functions.__all__,
    "backend",
    "clear_session",
    "epsilon",
    "floatx",
    "get_keras_mask",
    "get_uid",
    "image_data_format",
    "is_float_dtype",
    "is_int_dtype",
    "is_keras_tensor",
    "result_type",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "set_keras_mask",
    "standardize_dtype",
]
__dir__ = __all__.copy
