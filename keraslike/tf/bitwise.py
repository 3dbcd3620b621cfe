"""`tf.bitwise`: the bits of integers."""

from __future__ import annotations

import jax.numpy as jnp

from keraslike.tf import documentation
from keraslike.tf.operation import operation

_TABLE = {
    "bitwise_and": jnp.bitwise_and,
    "bitwise_or": jnp.bitwise_or,
    "bitwise_xor": jnp.bitwise_xor,
    "left_shift": jnp.left_shift,
    "right_shift": jnp.right_shift,
}
for _name, _function in _TABLE.items():
    globals()[_name] = operation(f"bitwise.{_name}", "x y", "x y")(_function)
invert = operation("bitwise.invert", "x", "x")(jnp.invert)

documentation.describe(globals(), "bitwise")

__all__ = [*_TABLE, "invert"]
__dir__ = __all__.copy
