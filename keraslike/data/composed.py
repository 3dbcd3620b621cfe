"""Objects of users' classes in elements, by TensorFlow's protocol: `__tf_flatten__` returns
metadata and components, from which `__tf_unflatten__` reconstructs the object.

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
    """Whether a value is an object of a class with this protocol."""
    return hasattr(value, "__tf_flatten__") and not isinstance(value, type)


def apart(value: Any, convert: Callable[[Any], Any]) -> Any:
    """The converted components of an object, as a named tuple from which `whole` reconstructs
    it."""
    constant, parts = value.__tf_flatten__()
    key = type(value), Static(constant)
    if key not in _KINDS:
        kind: Any = collections.namedtuple(  # noqa: PYI024 (the fields are known only here)
            type(value).__name__, [f"part{i}" for i in range(len(parts))]
        )
        kind.composed = lambda parts: type(value).__tf_unflatten__(constant, tuple(parts))
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
