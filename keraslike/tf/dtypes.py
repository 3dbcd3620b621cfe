"""`tf.DType` and `tf.TensorShape`."""

from __future__ import annotations

import re
from typing import Any

import ml_dtypes
import numpy as np

from keraslike.core.static import Shape
from keraslike.tf.dimensions import Dimension

# The names of dtypes in TensorFlow's errors, if they differ.
_SPOKEN = {"float16": "half", "float32": "float", "float64": "double"}
# Floating-point dtypes that numpy does not have.
_OF_ML = ("bfloat16", "float8_e5m2", "float8_e4m3fn")


class DType:
    """The dtype of a tensor, equal to the corresponding numpy dtype and to its name.

    >>> float32 == np.float32, float32 == "float32", float32 == float64
    (True, True, False)
    >>> float32
    tf.float32
    """

    __slots__ = ("name", "as_numpy_dtype", "_numpy")

    def __init__(self, name: str, numpy_type: Any):
        self.name, self.as_numpy_dtype = name, numpy_type
        self._numpy = np.dtype(numpy_type)

    @property
    def dtype(self) -> np.dtype:
        """The numpy dtype. By this attribute numpy and JAX accept a DType as a dtype."""
        return self._numpy

    def is_subtype_of(self, other: Any) -> bool:
        """Whether it is the same dtype."""
        return other is self

    def most_specific_common_supertype(self, types: Any) -> DType | None:
        """The dtype if all are the same, otherwise `None`."""
        return self if all(other is self for other in types) else None

    @property
    def base_dtype(self) -> DType:
        return self

    @property
    def as_datatype_enum(self) -> int:
        """The number of the dtype in TensorFlow's messages."""
        return next(number for number, dtype in NUMBERS.items() if dtype is self)

    @property
    def size(self) -> int:
        """The number of bytes of an element."""
        return self._numpy.itemsize if self.name != "string" else 1

    @property
    def is_floating(self) -> bool:
        return self._numpy.kind == "f" or self.name in _OF_ML

    @property
    def is_integer(self) -> bool:
        return self._numpy.kind in "iu"

    @property
    def is_complex(self) -> bool:
        return self._numpy.kind == "c"

    @property
    def is_bool(self) -> bool:
        return self._numpy.kind == "b"

    @property
    def min(self) -> Any:
        return self._info().min

    @property
    def max(self) -> Any:
        return self._info().max

    def _info(self) -> Any:
        if self.is_integer:
            return np.iinfo(self._numpy)
        if self.is_floating:
            return ml_dtypes.finfo(self._numpy)
        raise TypeError(f"tf.{self.name} has no minimum and no maximum.")

    @property
    def is_unsigned(self) -> bool:
        return self._numpy.kind == "u"

    @property
    def is_numeric(self) -> bool:
        return self.is_integer or self.is_floating or self.is_complex

    @property
    def is_quantized(self) -> bool:
        return False

    @property
    def is_numpy_compatible(self) -> bool:
        return True

    @property
    def real_dtype(self) -> DType:
        """The dtype of the real part of complex numbers; for all others the dtype itself."""
        return {"complex64": float32, "complex128": float64}.get(self.name, self)

    @property
    def limits(self) -> tuple[Any, Any]:
        """0 and the largest value; 0 and 1 for floating-point dtypes, as in images."""
        return (0, 1) if self.is_floating else (0, self.max)

    def is_compatible_with(self, other: Any) -> bool:
        """Whether it is the same dtype."""
        return self == other

    @property
    def spoken(self) -> str:
        """The name of the dtype in errors."""
        other = _SPOKEN.get(self.name)
        return self.name if other is None else f"{other} ({self.name})"

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        try:
            return as_dtype(other) is self
        except TypeError:
            return False

    def __hash__(self) -> int:
        return hash(self._numpy)

    def __repr__(self) -> str:
        return f"tf.{self.name}"

    def __str__(self) -> str:
        return f"<dtype: '{self.name}'>"

    def __reduce__(self) -> Any:
        return as_dtype, (self.name,)


_BY_NAME = {
    name: DType(name, getattr(np, name))
    for name in [
        *("float16", "float32", "float64", "complex64", "complex128"),
        *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
    ]
}
_BY_NAME["bool"] = DType("bool", np.bool_)
_BY_NAME |= {name: DType(name, getattr(ml_dtypes, name)) for name in _OF_ML}
_BY_NAME["string"] = DType("string", np.object_)
# The numbers of dtypes in TensorFlow's messages.
NUMBERS = {
    int(number): _BY_NAME[name]
    for name, number in re.findall(
        r"(\S+) (\d+)",
        "float32 1 float64 2 int32 3 uint8 4 int16 5 int8 6 string 7 complex64 8 int64 9 bool 10 "
        "bfloat16 14 uint16 17 complex128 18 float16 19 uint32 22 uint64 23 "
        "float8_e5m2 24 float8_e4m3fn 25",
    )
}
_BY_NUMPY = {d._numpy: d for d in _BY_NAME.values()}

bfloat16, string = _BY_NAME["bfloat16"], _BY_NAME["string"]
float16, float32, float64 = (_BY_NAME[f"float{n}"] for n in (16, 32, 64))
half, double = float16, float64
int8, int16, int32, int64 = (_BY_NAME[f"int{n}"] for n in (8, 16, 32, 64))
uint8, uint16, uint32, uint64 = (_BY_NAME[f"uint{n}"] for n in (8, 16, 32, 64))
complex64, complex128 = _BY_NAME["complex64"], _BY_NAME["complex128"]
bool_ = _BY_NAME["bool"]


def as_dtype(type_value: Any) -> DType:
    """The DType for a name, a Python type, a numpy dtype or its number in TensorFlow's messages.

    Raises TypeError if there is none.

    >>> tf.as_dtype("float32")
    tf.float32
    """
    value: Any = type_value
    if isinstance(value, DType):
        return value
    if isinstance(value, str):
        value = {"half": "float16", "float": "float32", "double": "float64"}.get(value, value)
        if value in _BY_NAME:
            return _BY_NAME[value]
    if type(value) is int and value in NUMBERS:
        return NUMBERS[value]
    python = {float: float32, int: int32, bool: bool_, str: string, bytes: string}
    if isinstance(value, type) and value in python:
        return python[value]
    try:
        numpy_dtype = np.dtype(value) if value is not None else None  # type: ignore[call-overload]
    except TypeError:
        numpy_dtype = None
    if numpy_dtype is not None and numpy_dtype.kind in "SU":
        return string
    found = _BY_NUMPY.get(numpy_dtype) if numpy_dtype is not None else None
    if found is None:
        raise TypeError(f"There is no tf.DType for dtype={value!r}.")
    return found


class TensorShape(Shape):
    """The shape of a tensor, with `None` for unknown sizes.

    >>> TensorShape([None, 3]), TensorShape([2, 3]).as_list()
    (TensorShape([None, 3]), [2, 3])
    """

    __slots__ = ()

    def __new__(cls, dims: Any = ()) -> TensorShape:
        if dims is None or isinstance(dims, _Unknown):
            return UNKNOWN_SHAPE
        if isinstance(dims, (int, np.integer, Dimension)):
            dims = (dims,)
        return super().__new__(cls, (d if d is None else _size(d) for d in dims))

    @property
    def ndims(self) -> int:
        return len(self)

    rank = ndims

    def as_list(self) -> list[int | None]:
        """The sizes, with `None` for unknown ones."""
        return [s if isinstance(s, int) else None for s in self]

    @property
    def dims(self) -> list[Dimension]:
        """The sizes as `Dimension`s."""
        return [Dimension(size) for size in self.as_list()]

    def num_elements(self) -> int | None:
        """The product of the sizes, or `None` if one is unknown."""
        product = 1
        for size in self.as_list():
            if size is None:
                return None
            product *= size
        return product

    def is_fully_defined(self) -> bool:
        return None not in self.as_list()

    def is_compatible_with(self, other: Any) -> bool:
        """Whether a tensor may have both shapes."""
        other = TensorShape(other)
        if other is UNKNOWN_SHAPE:
            return True
        return len(self) == len(other) and all(
            None in (a, b) or a == b for a, b in zip(self.as_list(), other.as_list())
        )

    def is_subtype_of(self, other: Any) -> bool:
        """Whether each tensor of this shape also has the other shape."""
        other = TensorShape(other)
        if other is UNKNOWN_SHAPE:
            return True
        return len(self) == len(other) and all(b is None or a == b for a, b in zip(self, other))

    def most_specific_common_supertype(self, others: Any) -> TensorShape | None:
        """The sizes on which all shapes agree; others are unknown. `None` if one is no shape."""
        found = self
        for other in others:
            if not isinstance(other, TensorShape):
                return None
            found = found.most_specific_compatible_shape(other)
        return found

    def merge_with(self, other: Any) -> TensorShape:
        """The known sizes of both shapes; ValueError if they differ."""
        other = TensorShape(other)
        self.assert_is_compatible_with(other)
        if other is UNKNOWN_SHAPE:
            return self
        return TensorShape([b if a is None else a for a, b in zip(self, other)])

    def most_specific_compatible_shape(self, other: Any) -> TensorShape:
        """The sizes on which both agree; others are unknown."""
        other = TensorShape(other)
        if other is UNKNOWN_SHAPE or len(self) != len(other):
            return UNKNOWN_SHAPE
        return TensorShape([a if a == b else None for a, b in zip(self, other)])

    def with_rank(self, rank: int) -> TensorShape:
        """The shape; ValueError if it has another rank."""
        if len(self) != rank:
            raise ValueError(f"Shape {self} must have rank {rank}.")
        return self

    def with_rank_at_least(self, rank: int) -> TensorShape:
        """The shape; ValueError if it has a lower rank."""
        if len(self) < rank:
            raise ValueError(f"Shape {self} must have rank at least {rank}.")
        return self

    def with_rank_at_most(self, rank: int) -> TensorShape:
        """The shape; ValueError if it has a higher rank."""
        if len(self) > rank:
            raise ValueError(f"Shape {self} must have rank at most {rank}.")
        return self

    def assert_has_rank(self, rank: int) -> None:
        """Raises ValueError for another rank."""
        if self.rank not in (None, rank):
            raise ValueError(f"Shape {self} must have rank {rank}.")

    def assert_same_rank(self, other: Any) -> None:
        """Raises ValueError if the other shape has another rank."""
        other = TensorShape(other)
        if None not in (self.rank, other.rank) and self.rank != other.rank:
            raise ValueError(f"Shapes {self} and {other} must have the same rank.")

    def assert_is_compatible_with(self, other: Any) -> None:
        """Raises ValueError if no tensor can have both shapes."""
        if not self.is_compatible_with(other):
            raise ValueError(f"Shapes {self} and {TensorShape(other)} are not compatible.")

    def assert_is_fully_defined(self) -> None:
        """Raises ValueError if a size is unknown."""
        if not self.is_fully_defined():
            raise ValueError(f"Shape {self} is not fully defined.")

    def concatenate(self, other: Any) -> TensorShape:
        """The shape with the sizes of both, one after the other."""
        other = TensorShape(other)
        return other if other is UNKNOWN_SHAPE else TensorShape((*self, *other))

    def __getitem__(self, key: Any) -> Any:
        found = tuple.__getitem__(self, key)
        return TensorShape(found) if isinstance(key, slice) else found

    def __add__(self, other: Any) -> TensorShape:  # type: ignore[override]
        return self.concatenate(other)

    def __radd__(self, other: Any) -> TensorShape:
        return TensorShape(other).concatenate(self)

    def __eq__(self, other: object) -> bool:
        try:
            others = tuple(other)  # type: ignore[arg-type]
        except TypeError:
            return False
        if None in others:  # which the unknown sizes of a traced tensor equal
            return self.as_list() == list(others)
        return tuple.__eq__(self, others)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = tuple.__hash__

    def __repr__(self) -> str:
        return f"TensorShape({self.as_list()})"

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.as_list()))}{',' if len(self) == 1 else ''})"

    def __reduce__(self) -> Any:
        return TensorShape, (list(self),)


class _Unknown(TensorShape):
    """A shape of unknown rank."""

    __slots__ = ()

    rank = ndims = dims = None  # type: ignore[assignment]

    def __new__(cls, dims: Any = None) -> TensorShape:
        return tuple.__new__(cls)

    def num_elements(self) -> None:
        return None

    def is_fully_defined(self) -> bool:
        return False

    def is_compatible_with(self, other: Any) -> bool:
        return True

    def is_subtype_of(self, other: Any) -> bool:
        return TensorShape(other) is self

    def merge_with(self, other: Any) -> TensorShape:
        return TensorShape(other)

    def most_specific_compatible_shape(self, other: Any) -> TensorShape:
        return self

    def with_rank(self, rank: int) -> TensorShape:
        return TensorShape([None] * rank)

    def with_rank_at_least(self, rank: int) -> TensorShape:
        return self

    with_rank_at_most = with_rank_at_least

    def concatenate(self, other: Any) -> TensorShape:
        return self

    def __radd__(self, other: Any) -> TensorShape:
        return self

    def as_list(self) -> Any:
        raise ValueError("as_list() is not defined on an unknown TensorShape.")

    def __len__(self) -> int:
        raise ValueError("Cannot take the length of a shape with unknown rank.")

    def __iter__(self) -> Any:
        raise ValueError("Cannot iterate over a shape with unknown rank.")

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, slice):
            return None
        bounds = key.start or 0, key.stop
        if key.stop is None or min(bounds) < 0 or key.step not in (None, 1):
            return self
        return TensorShape([None] * max(bounds[1] - bounds[0], 0))

    def __bool__(self) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return other is None or isinstance(other, _Unknown)

    def __hash__(self) -> int:
        return hash(None)

    def __repr__(self) -> str:
        return "TensorShape(None)"

    def __str__(self) -> str:
        return "<unknown>"

    def __reduce__(self) -> Any:
        return TensorShape, (None,)


UNKNOWN_SHAPE: TensorShape = _Unknown()


def _size(dim: Any) -> Any:
    if isinstance(dim, Dimension):
        return dim.value
    if isinstance(dim, (int, np.integer)):
        if dim < 0:
            raise ValueError(f"A size must be 0 or more, or None. Received: {dim}")
        return int(dim)
    if isinstance(dim, (str, bytes, float)):
        raise TypeError(f"A size must be an integer or None. Received: {dim!r}")
    return dim  # while shapes are traced a size may be a symbol of JAX's


def __getattr__(name: str) -> Any:
    if name == "bool":  # in this module, the name is Python's type
        return bool_
    raise AttributeError(f"module 'tf.dtypes' has no attribute {name!r}")


# The package `tf` adds the last four, whose modules import this one.
__all__ = [
    *("DType", "as_dtype", "bfloat16", "bool", "complex64", "complex128", "double", "float16"),
    *("float32", "float64", "half", "int8", "int16", "int32", "int64", "string"),
    *("uint8", "uint16", "uint32", "uint64"),
    *("cast", "complex", "experimental", "saturate_cast"),  # noqa: F822
]


__dir__ = __all__.copy
