"""Values that are assigned to Variables, as arrays of their dtypes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core import host, precision
from keraslike.core.errors import InvalidArgument

# From the narrowest to the widest: a cast to a narrower kind loses values.
_KINDS = (jnp.bool_, jnp.integer, jnp.floating, jnp.complexfloating)


def cast(value: Any, variable: Any) -> jax.Array:
    """The array that a Variable holds once the value is assigned to it.

    Raises TypeError for an array of another kind of numbers that the Variable's dtype cannot hold,
    and InvalidArgument for a value that holds no numbers.
    """
    dtype = variable._spec.dtype
    with precision.of_dtype(dtype):
        given = converted(value, variable)
        if _kind(given.dtype) > _kind(dtype) and not _is_exact(given, dtype):
            raise TypeError(
                f"Variable '{variable.path}' has dtype {dtype}; a value of dtype {given.dtype} "
                "would lose information. Cast it explicitly if that is intended."
            )
        return given.astype(dtype)


def converted(value: Any, variable: Any) -> Any:
    """The array made of a value; raises InvalidArgument for a value that holds no numbers."""
    try:
        return host.asarray(value)
    except (TypeError, ValueError) as e:
        if hasattr(value, "dtype") or hasattr(value, "__jax_array__"):
            raise  # That error is more specific.
        raise InvalidArgument(
            f"Variable '{variable.path}' takes numbers of shape {variable.shape}. "
            f"Received: value={value!r}"
        ) from e


def _kind(dtype: Any) -> int:
    return next((i for i, kind in enumerate(_KINDS) if jnp.issubdtype(dtype, kind)), len(_KINDS))


def _is_exact(given: Any, dtype: Any) -> bool:
    """Whether all values of a real array exist in a dtype. In a trace they are unknown, and the
    array is cast, as in Keras."""
    if jnp.iscomplexobj(given):
        return False
    return isinstance(given, jax.core.Tracer) or bool(jnp.all(given.astype(dtype) == given))
