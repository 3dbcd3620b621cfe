"""`tf.compat.v1.Dimension`, the size of an axis, which may be unknown."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any


class Dimension:
    """The size of an axis, or `None` for an unknown one, as `TensorShape.dims` lists them.

    Arithmetic and comparisons with an unknown size give an unknown one and `None`. A known size
    is also an index: `range(d)`, `tf.zeros(d)`.

    Raises TypeError for what is no integer, ValueError below 0.

    >>> from keraslike import tf
    >>> d = Dimension(3)
    >>> d.value, d + 1, d * None, d == 3, d < None
    (3, Dimension(4), Dimension(None), True, None)
    """

    __slots__ = ("_value",)

    def __init__(self, value: Any):
        if isinstance(value, Dimension):
            value = value._value
        if value is not None:
            try:
                value = operator.index(value)
            except TypeError:
                raise TypeError(
                    f"The size of an axis must be an integer or None. Received: {value!r}"
                ) from None
            if value < 0:
                raise ValueError(f"The size of an axis must be 0 or more. Received: {value}")
        self._value: int | None = value

    @property
    def value(self) -> int | None:
        """The size, `None` if it is unknown."""
        return self._value

    def is_compatible_with(self, other: Any) -> bool:
        """Whether an axis may have both sizes."""
        other = Dimension(other)
        return None in (self._value, other._value) or self._value == other._value

    def assert_is_compatible_with(self, other: Any) -> None:
        """Raises ValueError if no axis can have both sizes."""
        if not self.is_compatible_with(other):
            raise ValueError(f"Dimensions {self} and {Dimension(other)} are not compatible.")

    def merge_with(self, other: Any) -> Dimension:
        """The known one of two sizes; ValueError if they differ."""
        self.assert_is_compatible_with(other)
        return Dimension(other) if self._value is None else Dimension(self)

    def __repr__(self) -> str:
        return f"Dimension({self._value})"

    def __str__(self) -> str:
        return "?" if self._value is None else str(self._value)

    def __int__(self) -> int:
        return self.__index__()

    def __index__(self) -> int:
        if self._value is None:
            raise TypeError("The size of this axis is unknown.")
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> Any:
        return Dimension, (self._value,)

    def __eq__(self, other: object) -> Any:
        return _both(operator.eq, self, other)

    def __ne__(self, other: object) -> Any:
        return _both(operator.ne, self, other)

    __hash__ = None  # type: ignore[assignment]

    def __lt__(self, other: Any) -> Any:
        return _both(operator.lt, self, other)

    def __le__(self, other: Any) -> Any:
        return _both(operator.le, self, other)

    def __gt__(self, other: Any) -> Any:
        return _both(operator.gt, self, other)

    def __ge__(self, other: Any) -> Any:
        return _both(operator.ge, self, other)

    def __add__(self, other: Any) -> Any:
        return _sized(operator.add, self, other)

    def __radd__(self, other: Any) -> Any:
        return _sized(operator.add, other, self)

    def __sub__(self, other: Any) -> Any:
        return _sized(operator.sub, self, other)

    def __rsub__(self, other: Any) -> Any:
        return _sized(operator.sub, other, self)

    def __mul__(self, other: Any) -> Any:
        return _sized(operator.mul, self, other)

    def __rmul__(self, other: Any) -> Any:
        return _sized(operator.mul, other, self)

    def __floordiv__(self, other: Any) -> Any:
        return _sized(operator.floordiv, self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return _sized(operator.floordiv, other, self)

    def __mod__(self, other: Any) -> Any:
        return _sized(operator.mod, self, other)

    def __rmod__(self, other: Any) -> Any:
        return _sized(operator.mod, other, self)


def _both(function: Callable, a: Any, b: Any) -> Any:
    """A function of two sizes, `None` if one is unknown."""
    try:
        a, b = Dimension(a).value, Dimension(b).value
    except (TypeError, ValueError):
        return NotImplemented
    return None if a is None or b is None else function(a, b)


def _sized(function: Callable, a: Any, b: Any) -> Any:
    found = _both(function, a, b)
    return found if found is NotImplemented else Dimension(found)


__all__ = ["Dimension"]
