"""Default dtypes, and canonical names of dtypes. Policies are in `policies`."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from keraslike.core import precision

_floatx = "float32"
_epsilon = 1e-7


def floatx() -> str:
    """The dtype of floats where none is given.

    >>> floatx()
    'float32'
    """
    return _floatx


def set_floatx(value: str) -> None:
    """Sets the default float dtype: float16, bfloat16, float32 or float64.

    >>> set_floatx("float64")
    >>> floatx()
    'float64'
    >>> set_floatx("float32")
    """
    global _floatx
    if value not in ("float16", "bfloat16", "float32", "float64"):
        raise ValueError(
            f"floatx must be float16, bfloat16, float32 or float64. Received: {value!r}"
        )
    _floatx = str(value)
    precision.ask(_floatx)


def epsilon() -> float:
    """The small number added where a division or a logarithm could fail.

    >>> epsilon()
    1e-07
    """
    return _epsilon


def set_epsilon(value: float) -> None:
    """Sets the small number that `epsilon()` returns.

    >>> set_epsilon(1e-5)
    >>> epsilon()
    1e-05
    >>> set_epsilon(1e-7)
    """
    global _epsilon
    _epsilon = float(value)


def standardize_dtype(dtype: Any) -> str:
    """The canonical name of a dtype, `"string"` for text; `None` gives `floatx()`.

    >>> standardize_dtype(jnp.int32)
    'int32'
    """
    if dtype is None:
        return floatx()
    kind = type(dtype)
    if kind is str and dtype not in _DEFAULTS or isinstance(dtype, np.dtype):
        name = _names.get((kind, dtype))
        if name is None:
            name = _names[kind, dtype] = _name_of(dtype)
        return name
    return _name_of(dtype)


# The name of a dtype, and whether it is a floating-point one, cached: numpy takes microseconds to
# compute them.
_names: dict[Any, str] = {}
_floats: dict[Any, bool] = {}
_DEFAULTS = ("float", "int")  # These depend on `floatx()`.


def _name_of(dtype: Any) -> str:
    if getattr(dtype, "name", dtype) == "string":  # `tf.string` as well.
        return "string"
    if isinstance(dtype, str):
        dtype = {"float": floatx(), "int": "int32"}.get(dtype, dtype)
        if not hasattr(jnp, dtype):  # numpy has abbreviations, some of them deprecated.
            raise ValueError(f"Invalid dtype: {dtype!r}")
    try:
        found = jnp.dtype(getattr(dtype, "as_numpy_dtype", dtype))
    except (TypeError, ValueError, SyntaxError) as e:  # A notation that only numpy understands.
        raise ValueError(f"Invalid dtype: {dtype!r}") from e
    numeric = jnp.issubdtype(found, jnp.number) or found == jnp.bool_
    if found.shape or found.fields or not numeric:
        raise ValueError(f"Invalid dtype: {dtype!r}")
    return found.name


def is_float(dtype: Any) -> bool:
    """Whether a dtype is floating point, bfloat16 included."""
    if isinstance(dtype, str) and dtype == "string":
        return False
    if not isinstance(dtype, (str, np.dtype)):
        return jnp.issubdtype(dtype, jnp.floating)
    key = type(dtype), dtype
    found = _floats.get(key)
    if found is None:
        found = _floats[key] = bool(jnp.issubdtype(dtype, jnp.floating))
    return found


def lowest(dtype: Any) -> Any:
    """The value that changes no maximum: minus infinity, the smallest integer, or False."""
    if is_float(dtype):
        return -np.inf
    return False if np.dtype(dtype).kind == "b" else jnp.iinfo(dtype).min


def highest(dtype: Any) -> Any:
    """The value that changes no minimum: infinity, the largest integer, or True."""
    if is_float(dtype):
        return np.inf
    return True if np.dtype(dtype).kind == "b" else jnp.iinfo(dtype).max


def is_half(dtype: Any) -> bool:
    """Whether a dtype is float16 or bfloat16, which are too imprecise for sums."""
    return dtype in ("float16", "bfloat16")
