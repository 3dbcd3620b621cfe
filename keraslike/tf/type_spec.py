"""`tf.TypeSpec`, the base class of specs of tensors and of objects that consist of tensors."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from keraslike.tf.dtypes import TensorShape


class TypeSpec(abc.ABC):
    """The base class of specs.

    A spec is described by the arguments of its class that `_serialize` returns: shapes, dtypes,
    specs, other values, and structures of these. Two specs of one class are equal if they are
    described alike.

    >>> isinstance(tf.TensorSpec([2]), tf.TypeSpec)
    True
    """

    # Returns the spec of a value. It is set by `specs`, which knows all classes.
    _of: ClassVar[Callable[[Any], Any]]

    @abc.abstractmethod
    def _serialize(self) -> Any:
        """The arguments that make an equal spec."""

    @classmethod
    def _deserialize(cls, serialization: Any) -> Any:
        return cls(*serialization)

    def is_compatible_with(self, spec_or_value: Any) -> bool:
        """Whether a value conforms to this spec, or values of another spec may conform to it."""
        other = spec_or_value
        if not isinstance(other, TypeSpec):
            other = TypeSpec._of(other)
        return type(other) is type(self) and _all(_is_compatible, self, other)

    def is_subtype_of(self, other: Any) -> bool:
        """Whether each value that conforms to this spec also conforms to the other."""
        return type(other) is type(self) and _all(_is_subtype, self, other)

    def most_specific_common_supertype(self, others: Sequence[Any]) -> Any:
        """The most specific spec to which values of this spec and of the others conform, or
        `None`."""
        if any(type(other) is not type(self) for other in others):
            return None
        described = [other._serialize() for other in others]
        try:
            return self._deserialize(_mapped(_supertype, self._serialize(), *described))
        except (ValueError, TypeError):
            return None

    def most_specific_compatible_type(self, other: Any) -> Any:
        """Like `most_specific_common_supertype` of one other spec, but raises ValueError if there
        is none."""
        found = self.most_specific_common_supertype([other])
        if found is None:
            raise ValueError(f"No TypeSpec is compatible with both {self} and {other}.")
        return found

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self._serialize()!r}"


def _mapped(function: Callable, mine: Any, *others: Any) -> Any:
    """The structure of the results of a function for the leaves of structures.

    Raises ValueError if the structures differ.
    """
    if isinstance(mine, dict):
        if any(not isinstance(o, dict) or o.keys() != mine.keys() for o in others):
            raise ValueError("The keys differ.")
        return {k: _mapped(function, v, *[o[k] for o in others]) for k, v in mine.items()}
    if isinstance(mine, (list, tuple)) and not isinstance(mine, TensorShape):
        if any(type(o) is not type(mine) or len(o) != len(mine) for o in others):
            raise ValueError("The structures differ.")
        parts = [_mapped(function, *each) for each in zip(mine, *others)]
        return type(mine)(*parts) if hasattr(mine, "_fields") else type(mine)(parts)
    return function(mine, *others)


def _all(holds: Callable[[Any, Any], bool], mine: TypeSpec, other: TypeSpec) -> bool:
    """Whether a relation holds between the descriptions of two specs."""

    def check(a: Any, b: Any) -> None:
        if not holds(a, b):
            raise ValueError("The specs differ.")

    try:
        _mapped(check, mine._serialize(), other._serialize())
    except (ValueError, TypeError):
        return False
    return True


def _is_compatible(a: Any, b: Any) -> bool:
    return bool(a.is_compatible_with(b) if hasattr(a, "is_compatible_with") else a == b)


def _is_subtype(a: Any, b: Any) -> bool:
    return bool(a.is_subtype_of(b) if hasattr(a, "is_subtype_of") else a == b)


def _supertype(mine: Any, *others: Any) -> Any:
    if hasattr(mine, "most_specific_common_supertype"):
        found = mine.most_specific_common_supertype(others)
        if found is None:
            raise ValueError("There is no common type.")
        return found
    if any(mine != other for other in others):
        raise ValueError("The values differ.")
    return mine
