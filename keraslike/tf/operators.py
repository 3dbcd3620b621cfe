"""The operators of tensors and variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from keraslike.tf import bitwise, dtypes, indexing, linalg, ops, table
from keraslike.tf.conversion import _as_operand, convert_to_tensor
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.operation import operation
from keraslike.tf.tensor import Tensor


def _product(a: Any, b: Any) -> Any:
    """`a * b`, which for booleans is that both are true."""
    if next(x.dtype for x in (a, b) if hasattr(x, "dtype")) != dtypes.bool_:
        return table.multiply(a, b)
    return table.logical_and(*(bool(x) if isinstance(x, int) else x for x in (a, b)))


_ARITHMETIC = {
    "add": table.add,
    "sub": table.subtract,
    "mul": _product,
    "truediv": table.truediv,
    "floordiv": table.floordiv,
    "mod": table.floormod,
    "pow": table.pow,
    "matmul": linalg.matmul,
}


def _alike(fn: Callable, otherwise: bool, a: Any, b: Any) -> Any:
    """An elementwise comparison. Tensors of incompatible shapes, and None, are unequal as a
    whole."""
    if b is None:
        return otherwise
    try:
        return fn(a, b)
    except InvalidArgumentError:
        if _fit(a, b):
            raise
    return convert_to_tensor(otherwise)


def _fit(a: Any, b: Any) -> bool:
    """Whether two shapes can be broadcast together."""
    try:
        np.broadcast_shapes(*(tuple(_as_operand(x).shape) for x in (a, b)))
    except ValueError:
        return False
    return True


_COMPARISONS = {
    "eq": lambda a, b: _alike(table.equal, False, a, b),
    "ne": lambda a, b: _alike(table.not_equal, True, a, b),
    "lt": table.less,
    "le": table.less_equal,
    "gt": table.greater,
    "ge": table.greater_equal,
}
_SINGLE = {
    "neg": table.negative,
    "pos": ops.identity,
    "abs": table.abs,
    "invert": lambda x: (table.logical_not if x.dtype == dtypes.bool_ else bitwise.invert)(x),
}


def _bits(name: str) -> Callable:
    of_bools, of_integers = getattr(jnp, f"logical_{name}"), getattr(jnp, f"bitwise_{name}")

    @operation(f"bitwise.bitwise_{name}", "x y")
    def bits(x: Any, y: Any) -> Any:
        return (of_bools if x.dtype.kind == "b" else of_integers)(x, y)

    return bits


_BITS = {name: _bits(name) for name in ("and", "or", "xor")}


# Promotes two operands to one dtype, where they may differ: see `tf.experimental.numpy`.
promoted: Callable[[Any, Any], Any] | None = None


def _of_two(fn: Callable, a: Any, b: Any) -> Any:
    if promoted is not None and a is not None and b is not None:
        a, b = promoted(a, b)
    return fn(a, b)


def give_operators(cls: type) -> None:
    """Adds the operators of a tensor to a class."""
    for name, fn in (_ARITHMETIC | _BITS).items():
        setattr(cls, f"__{name}__", lambda a, b, fn=fn: _of_two(fn, a, b))
        setattr(cls, f"__r{name}__", lambda b, a, fn=fn: _of_two(fn, a, b))
    for name, fn in _COMPARISONS.items():
        setattr(cls, f"__{name}__", lambda a, b, fn=fn: _of_two(fn, a, b))
    for name, fn in _SINGLE.items():
        setattr(cls, f"__{name}__", lambda a, fn=fn: fn(a))
    cls.__getitem__ = lambda a, key: indexing.get_item(a, key)  # type: ignore[attr-defined]
    cls.__hash__ = None  # type: ignore[assignment]  # equality compares elements: use ref()


give_operators(Tensor)
