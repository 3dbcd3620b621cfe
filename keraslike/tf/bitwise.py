"""`tf.bitwise`: bitwise operations on integers."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from keraslike.tf import documentation
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
for _name, _function in _TABLE.items():
    globals()[_name] = operation(f"bitwise.{_name}", "x y", "x y")(_function)
invert = operation("bitwise.invert", "x", "x")(jnp.invert)

documentation.describe(globals(), "bitwise")

__all__ = [*_TABLE, "invert"]
__dir__ = __all__.copy
