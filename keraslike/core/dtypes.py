"""Floating-point defaults, and the names of dtypes. Policies are in `policies`."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

_floatx = "float32"
_epsilon = 1e-7


def floatx() -> str:
    """The dtype of floats where none is given.

    >>> floatx()
    'float32'
    """
    return _floatx


def set_floatx(value: str) -> None:
    """Sets the default float dtype: float16, bfloat16, float32 or float64."""
    global _floatx
    if value not in ("float16", "bfloat16", "float32", "float64"):
        raise ValueError(
            f"floatx must be float16, bfloat16, float32 or float64. Received: {value!r}"
        )
    _floatx = str(value)


def epsilon() -> float:
    """The small number added where a division or a logarithm could fail.

    >>> epsilon()
    1e-07
    """
    return _epsilon


def set_epsilon(value: float) -> None:
    """Sets the small number that `epsilon()` returns."""
    global _epsilon
    _epsilon = float(value)


def standardize_dtype(dtype: Any) -> str:
    """The canonical name of a dtype, `"string"` for text; `None` gives `floatx()`.

    >>> standardize_dtype(jnp.int32)
    'int32'
    """
    if dtype is None:
        return floatx()
    if getattr(dtype, "name", dtype) == "string":  # `tf.string` as well
        return "string"
    if isinstance(dtype, str):
        dtype = {"float": floatx(), "int": "int32"}.get(dtype, dtype)
        if not hasattr(jnp, dtype):  # numpy has abbreviations, some of them deprecated
            raise ValueError(f"Invalid dtype: {dtype!r}")
    try:
        found = jnp.dtype(getattr(dtype, "as_numpy_dtype", dtype))
    except (TypeError, ValueError, SyntaxError) as e:  # of numpy's ways of writing a dtype
        raise ValueError(f"Invalid dtype: {dtype!r}") from e
    numeric = jnp.issubdtype(found, jnp.number) or found == jnp.bool_
    if found.shape or found.fields or not numeric:
        raise ValueError(f"Invalid dtype: {dtype!r}")
    return found.name


def is_float(dtype: Any) -> bool:
    """Whether a dtype is floating point, bfloat16 included."""
    if isinstance(dtype, str) and dtype == "string":
        return False
    return jnp.issubdtype(dtype, jnp.floating)


def is_half(dtype: Any) -> bool:
    """Whether a dtype is float16 or bfloat16, in which sums are not to be computed."""
    return dtype in ("float16", "bfloat16")
