"""`tf.bitwise`: bitwise operations on integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from keraslike.tf import documentation, table
from keraslike.tf.operation import operation


def _places(x: Any, y: Any) -> Any:
    """The number of bits to shift by, clipped to those that the dtype has."""
    return jnp.clip(y, 0, x.dtype.itemsize * 8 - 1).astype(y.dtype)


_TABLE = {
    "bitwise_and": jnp.bitwise_and,
    "bitwise_or": jnp.bitwise_or,
    "bitwise_xor": jnp.bitwise_xor,
    "left_shift": lambda x, y: jnp.left_shift(x, _places(x, y)),
    "right_shift": lambda x, y: jnp.right_shift(x, _places(x, y)),
}


def _of_integers(name: str, fn: Callable) -> Callable:
    """A function of arrays that refuses booleans, whose bits only JAX combines."""

    def of_integers(x: Any, *y: Any) -> Any:
        table.check_kind(name, x, "bfc")
        return fn(x, *y)

    return of_integers


for _name, _function in _TABLE.items():
    _full = f"bitwise.{_name}"
    globals()[_name] = operation(_full, "x y", "x y")(_of_integers(_full, _function))
invert = operation("bitwise.invert", "x", "x")(_of_integers("bitwise.invert", jnp.invert))

documentation.describe(globals(), "bitwise")

__all__ = [*_TABLE, "invert"]
__dir__ = __all__.copy
