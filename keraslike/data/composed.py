"""Objects of users' classes in elements: classes made by `attrs`, and those with TensorFlow's
protocol, whose `__tf_flatten__` returns metadata and components, from which `__tf_unflatten__`
reconstructs the object.

Within a data set such an object is a named tuple of its components, which all code for elements
supports; users and their functions see the object.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Any

from keraslike.core.static import Static
from keraslike.core.structures import map_items

_KINDS: dict[Any, type] = {}  # the class of named tuples for a class and its metadata


def is_composed(value: Any) -> bool:
    """Whether a value is an object of such a class."""
    return hasattr(type(value), "__tf_flatten__") or hasattr(type(value), "__attrs_attrs__")


def apart(value: Any, convert: Callable[[Any], Any]) -> Any:
    """The converted components of an object, as a named tuple from which `whole` reconstructs
    it."""
    made: Any = type(value)
    if hasattr(made, "__tf_flatten__"):
        constant, parts = value.__tf_flatten__()
        unflatten = value.__tf_unflatten__  # of the object or of its class
        remade = lambda parts: unflatten(constant, tuple(parts))  # noqa: E731
    else:
        constant, parts = None, [getattr(value, each.name) for each in made.__attrs_attrs__]
        remade = lambda parts: made(*parts)  # noqa: E731
    key = made, Static(constant)
    if key not in _KINDS:
        kind: Any = collections.namedtuple(  # noqa: PYI024 (the fields are known only here)
            type(value).__name__, [f"part{i}" for i in range(len(parts))]
        )
        kind.composed = staticmethod(remade)
        _KINDS[key] = kind
    return _KINDS[key](*map(convert, parts))


def whole(tree: Any) -> Any:
    """A structure in which the named tuples are replaced by the objects that they represent."""
    if not _KINDS or not any(hasattr(part, "composed") for part in _inner(tree)):
        return tree
    made = map_items(whole, tree)
    return type(made).composed(made) if hasattr(made, "composed") else made


def _inner(tree: Any) -> Any:
    """All tuples and dicts of a structure."""
    if isinstance(tree, (dict, tuple)):
        yield tree
        for part in tree.values() if isinstance(tree, dict) else tree:
            yield from _inner(part)
