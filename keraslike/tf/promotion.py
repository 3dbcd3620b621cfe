"""Promotion of the dtypes of operands where
`tf.experimental.numpy.experimental_enable_numpy_behavior("all")` or `"safe"` asks for it.

A dtype is weak if nobody has named it: that of Python's numbers, and of what is computed of nothing
else. The dtypes are ordered, and two operands get the first one that both can become. Mode "safe"
refuses a dtype that neither operand has, and floats for integers that they do not hold exactly.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any

from keraslike.tf import dtypes
from keraslike.tf.dtypes import DType

# Each dtype, and those that it can become next; `*` marks weak ones.
_ORDER = {
    "bool": "int32*",
    "int32*": "int64*",
    "int64*": "uint8 int8 float32*",
    "uint8": "uint16 int16",
    "int8": "int16",
    "uint16": "uint32 int32",
    "int16": "int32",
    "uint32": "uint64 int64",
    "int32": "int64",
    "uint64": "float64*",
    "int64": "float64*",
    "float32*": "float64*",
    "float64*": "float16 bfloat16 complex128*",
    "float16": "float32",
    "bfloat16": "float32",
    "complex128*": "complex64",
    "float32": "float64 complex64",
    "float64": "complex128",
    "complex64": "complex128",
    "complex128": "",
}

Kind = tuple[DType, bool]  # a dtype, and whether it is weak
WEAK = frozenset(dtypes.as_dtype(name[:-1]) for name in _ORDER if name.endswith("*"))


def _name(kind: Kind) -> str:
    return kind[0].name + "*" * kind[1]


@functools.cache
def _above(name: str) -> frozenset[str]:
    """A dtype, and all that it can become."""
    return frozenset([name]).union(*map(_above, _ORDER[name].split()))


@functools.cache
def _joined(a: str, b: str) -> str:
    both = _above(a) & _above(b)
    return max(both, key=lambda name: len(_above(name)))


def _loses(kind: Kind, to: DType) -> bool:
    """Whether a float of a dtype does not hold all integers of another one."""
    dtype, weak = kind
    if weak or not dtype.is_integer or to.is_integer:
        return False
    return dtype.size * 2 > to.real_dtype.size


def joined(a: Kind, b: Kind, mode: str) -> Kind:
    """The dtype of what is computed of two dtypes, and whether it is weak.

    Raises TypeError in the mode "safe" for one that is not safe, NotImplementedError where there is
    none: between text and numbers, and for quantized numbers.
    """
    if a == b:
        return a
    names = _name(a), _name(b)
    if not all(name in _ORDER for name in names):
        raise NotImplementedError(f"There is no dtype of both {names[0]} and {names[1]}.")
    name = _joined(*names)
    found = dtypes.as_dtype(name.removesuffix("*"))
    if mode == "safe" and (found not in (a[0], b[0]) or _loses(a, found) or _loses(b, found)):
        raise TypeError(
            f"The dtypes {names[0]} and {names[1]} would become {name}, which the mode 'safe' does "
            "not allow (* marks dtypes that nobody has named). Convert an operand by tf.cast(), or "
            "enable the mode 'all'."
        )
    return found, name.endswith("*")


# "off", "legacy", "safe" or "all".
mode = "off"

# If set, calls of functions by users go through it: see `weak_tensor.py`.
hook: Callable[[Callable, tuple, dict[str, Any]], Any] | None = None

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
# Modules whose frames lie between a user's code and the function that it calls.
_BETWEEN = {
    _PACKAGE + os.path.join("tf", f"{name}.py")
    for name in (
        "promotion",
        "operation",
        "structure",
        "slices",
        "operators",
        "autograph",
        "statements",
    )
} | {os.path.join(_PACKAGE, "core", "tracebacks.py")}


def by_user(depth: int) -> bool:
    """Whether the function `depth` frames above is called by code outside of this package, whose
    own functions are written for operands of one dtype."""
    frame = sys._getframe(depth)
    while frame.f_code.co_filename in _BETWEEN and frame.f_back is not None:
        frame = frame.f_back
    return not frame.f_code.co_filename.startswith(_PACKAGE)


def promotes(function: Callable) -> Callable:
    """A decorator of functions whose operands the modes "all" and "safe" promote."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if hook is not None:
            found = hook(function, args, kwargs)
            if found is not NotImplemented:
                return found
        return function(*args, **kwargs)

    return call
