"""Dtype promotion: the dtype in which values of several dtypes are computed, by Keras's lattice."""

from __future__ import annotations

import functools
from typing import Any

import jax

from keraslike.core.dtypes import floatx, standardize_dtype

BOOL_TYPES = ("bool",)
INT_TYPES = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
FLOAT_TYPES = ("bfloat16", "float16", "float32", "float64")
FLOAT8_TYPES = ("float8_e4m3fn", "float8_e5m2")
COMPLEX_TYPES = ("complex64", "complex128")
# Python's numbers take the width of the dtype that they are combined with.
WEAK_TYPES = ("int", "float")
ALLOWED_DTYPES = (*FLOAT_TYPES[1:], *INT_TYPES, "bfloat16", *BOOL_TYPES, "string") + (
    *FLOAT8_TYPES,
    *COMPLEX_TYPES,
)

_NEXT = """
bool: int
int: uint8 int8 complex64
uint8: uint16 int16
uint16: uint32 int32
uint32: uint64 int64
uint64: float
int8: int16
int16: int32
int32: int64
int64: float
float: bfloat16 float16
bfloat16: float32
float16: float32
float32: float64 complex64
float64: complex128
complex64: complex128
complex128:
"""


def lattice() -> dict[str, list[str]]:
    """Each dtype with its direct successors, which can represent all of its values."""
    lines = (line.partition(":") for line in _NEXT.strip().split("\n"))
    return {dtype: [*above.split()] for dtype, _, above in lines}


def upper_bounds() -> dict[str, set[str]]:
    """Each dtype with all of its upper bounds, itself among them; raises ValueError for a cycle."""
    above = lattice()
    bounds: dict[str, set[str]] = {}

    def of(dtype: str, below: tuple[str, ...]) -> set[str]:
        if dtype in below:
            raise ValueError(f"cycle detected in type promotion lattice for node {dtype}")
        if dtype not in bounds:
            bounds[dtype] = {dtype}.union(*[of(a, (*below, dtype)) for a in above[dtype]])
        return bounds[dtype]

    for dtype in above:
        of(dtype, ())
    return bounds


UPPER_BOUNDS = upper_bounds()


@functools.lru_cache(512)
def least_upper_bound(*dtypes: str) -> str:
    """The least upper bound of dtypes; raises ValueError if there is none.

    >>> least_upper_bound("float16", "bfloat16"), least_upper_bound("int8", "uint8")
    ('float32', 'int16')
    """
    for dtype in dtypes:
        if dtype not in UPPER_BOUNDS:
            raise ValueError(f"{dtype=} is not a valid dtype for Keras type promotion.")
    common = set.intersection(*[UPPER_BOUNDS[dtype] for dtype in dtypes])
    for dtype in common:
        if common <= UPPER_BOUNDS[dtype]:
            return dtype
    raise ValueError(
        f"Input dtypes {dtypes} have no available implicit dtype promotion path: cast them first."
    )


def weak(dtype: str, weak_type: bool = True) -> str:
    """The weak type of a dtype, as a Python number has it: `bool`, `int`, `float` or `complex`.

    >>> weak("uint8"), weak("uint8", False)
    ('int', 'uint8')
    """
    if not weak_type:
        return dtype
    for kind in ("bool", "float", "int", "complex"):
        if kind in dtype:
            return kind
    raise ValueError(
        f"Invalid value for argument `dtype`. Expected one of {ALLOWED_DTYPES}. "
        f"Received: dtype={dtype!r}"
    )


def of_width(dtype: str, precision: str = "32") -> str:
    """The dtype of the same kind with this number of bits.

    >>> of_width("int", "16"), of_width("bfloat16"), of_width("bool")
    ('int16', 'float32', 'bool')
    """
    if precision not in ("16", "32", "64"):
        raise ValueError(
            "Invalid value for argument `precision`. Expected one of '16', '32' and '64'. "
            f"Received: precision={precision!r}"
        )
    if dtype not in ALLOWED_DTYPES + WEAK_TYPES:
        raise ValueError(
            "Invalid value for argument `dtype`. Expected one of "
            f"{ALLOWED_DTYPES + WEAK_TYPES}. Received: dtype={dtype!r}"
        )
    kind = weak(dtype)
    unsigned = "u" if dtype.startswith("u") else ""
    return kind if kind == "bool" else f"{unsigned}{kind}{precision}"


def result_type(*dtypes: Any) -> str:
    """The dtype of results computed from values of these dtypes; without any, `floatx()`.

    Python's `int` and `float` adopt the width of the other operands, or that of `floatx()`. 64-bit
    dtypes become 32-bit ones unless JAX's 64-bit mode is on. Raises ValueError for eight-bit
    floats, which must be cast explicitly.

    >>> result_type("int32", "float16"), result_type("uint8", "int8"), result_type("int8", int)
    ('float16', 'int16', 'int8')
    """
    if any(dtype in FLOAT8_TYPES for dtype in dtypes):
        raise ValueError(
            "There is no implicit conversions from float8 dtypes to others: cast them first. "
            f"Received: dtypes={dtypes}"
        )
    is_weak = [dtype is int or dtype is float for dtype in dtypes]
    names = [standardize_dtype(dtype) for dtype in dtypes] or [floatx()]
    if len(set(names)) == 1:
        found = names[0]
    elif all(is_weak):
        found = least_upper_bound(*names)
    else:
        found = least_upper_bound(*[weak(n, w) for n, w in zip(names, is_weak)])
    if found in WEAK_TYPES or (is_weak and all(is_weak)):
        found = floatx() if weak(found) == "float" else of_width(found, floatx()[-2:])
    return jax.dtypes.canonicalize_dtype(found).name if found != "string" else found
