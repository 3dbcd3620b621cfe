"""Lists, tuples, named tuples and dicts in any nesting, each keeping its type and its order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def map_items(function: Callable, container: Any) -> Any:
    """A container of the same type with `function` of each item; what is none is given back.

    >>> map_items(str, {"b": 1, "a": 2})
    {'b': '1', 'a': '2'}
    """
    if isinstance(container, dict):
        return {k: function(v) for k, v in container.items()}
    if isinstance(container, tuple) and hasattr(container, "_fields"):
        return type(container)(*map(function, container))
    if isinstance(container, (list, tuple)):
        return type(container)(map(function, container))
    return container


def map_leaves(function: Callable, tree: Any) -> Any:
    """A structure of the same types with `function` of each leaf; `None` is a leaf.

    >>> map_leaves(lambda x: x + 1, {"b": (1, [2]), "a": 3})
    {'b': (2, [3]), 'a': 4}
    """
    if isinstance(tree, (dict, list, tuple)):
        return map_items(lambda item: map_leaves(function, item), tree)
    return function(tree)
