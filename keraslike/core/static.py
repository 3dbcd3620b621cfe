"""Static attributes, compared by their contents, so that models built alike have equal trees."""

from __future__ import annotations

import functools
import types
from typing import Any

import jax
import numpy as np

from keraslike.core.structures import iter_leaves, map_leaves


class Shape(tuple):
    """A shape, `None` where a size is unknown; `as_list()` as TensorFlow's has.

    >>> Shape((None, 8)).as_list()
    [None, 8]
    """

    __slots__ = ()

    def as_list(self) -> list[int | None]:
        return list(self)

    @property
    def rank(self) -> int:
        return len(self)


class AutoName(str):
    """An automatic name. Any two of them compare equal, which keeps them out of a tree's
    structure."""

    __slots__ = ()


class ComparedByAttributes:
    """A base of objects that are equal if they are of one class and have equal attributes.

    >>> class Point(ComparedByAttributes):
    ...     def __init__(self, x):
    ...         self.x = x
    >>> Point([1]) == Point([1]), Point([1]) == Point([2])
    (True, False)
    """

    # Attributes that are ignored when two objects are compared.
    _not_compared: frozenset[str] = frozenset()

    def _compared(self) -> Static:
        return Static({k: v for k, v in vars(self).items() if k not in self._not_compared})

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._compared() == other._compared()

    def __hash__(self) -> int:
        return hash(type(self))


class Static:
    """A hashable snapshot of any Python value, equal to another of the same structure.

    Functions are equal if their code, defaults and closures are; plain objects if their
    attributes are; containers are copied, so a later change of the original is seen.

    >>> Static({"a": [1, 2]}) == Static({"a": [1, 2]})
    True
    >>> Static(lambda x: x + 1) == Static(lambda x: x + 2)
    False
    """

    __slots__ = ("_value", "_hash")

    def __init__(self, value: Any):
        self._value = _copy(value)
        self._hash = _hash(self._value)

    @property
    def value(self) -> Any:
        return _copy(self._value)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Static)
            and self._hash == other._hash
            and _same(self._value, other._value, {})
        )

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"Static({self._value!r})"


def _copy(value: Any) -> Any:
    return map_leaves(lambda v: set(v) if type(v) is set else v, value, _is_whole)


def _is_whole(value: Any) -> bool:
    return type(value) not in (list, tuple, dict)


def _hash(value: Any) -> int:
    kind = type(value)
    if kind in (bool, int, float, complex, str, bytes, type(None)):
        return hash((kind, value))
    if kind in (list, tuple):
        return hash((kind, len(value), *map(_hash, iter_leaves(value, _is_whole))))
    if kind is dict:
        return hash((kind, *map(str, value)))
    if isinstance(value, types.FunctionType):
        return hash(value.__code__)
    if isinstance(value, (np.ndarray, jax.Array)):
        return hash((value.shape, str(value.dtype)))
    return hash(kind)


def _cells(function: types.FunctionType) -> list[Any]:
    cells = []
    for cell in function.__closure__ or ():
        try:
            cells.append(cell.cell_contents)
        except ValueError:  # The cell is still empty.
            cells.append(None)
    return cells


def _same(a: Any, b: Any, seen: dict[tuple[int, int], tuple[Any, Any]]) -> bool:
    if a is b:
        return True
    kind = type(a)
    if kind is not type(b):
        return False
    if kind is AutoName:
        return True
    if (id(a), id(b)) in seen:  # A cycle: the rest of the comparison decides.
        return True
    seen[id(a), id(b)] = (a, b)  # Keeping the objects alive keeps their ids unique.
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(_same(x, y, seen) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return list(a) == list(b) and all(_same(a[k], b[k], seen) for k in a)
    if isinstance(a, types.FunctionType):
        return (
            a.__code__ == b.__code__
            and _same(a.__defaults__, b.__defaults__, seen)
            and _same(a.__kwdefaults__, b.__kwdefaults__, seen)
            and _same(_cells(a), _cells(b), seen)
        )
    if isinstance(a, types.MethodType):
        return a.__func__ is b.__func__ and _same(a.__self__, b.__self__, seen)
    if isinstance(a, functools.partial):
        return _same((a.func, a.args, a.keywords), (b.func, b.args, b.keywords), seen)
    if isinstance(a, jax.core.Tracer):
        return False
    if isinstance(a, (np.ndarray, jax.Array)):
        return a.shape == b.shape and a.dtype == b.dtype and bool(np.array_equal(a, b))
    if kind.__eq__ is object.__eq__ and hasattr(a, "__dict__"):
        return _same(vars(a), vars(b), seen)
    try:
        return bool(a == b)
    # A user's __eq__ that raises means that the values are not known to be equal.
    except Exception:
        return False
