"""Lists, tuples, named tuples and dicts in any nesting, each keeping its type and its order."""

from __future__ import annotations

import functools
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax


def map_items(function: Callable, container: Any) -> Any:
    """A container of the same type with `function` applied to each item; a value that is no
    container is returned unchanged.

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


def map_leaves(
    function: Callable,
    tree: Any,
    is_leaf: Callable[[Any], bool] | None = None,
    _above: dict[int, Any] | None = None,
) -> Any:
    """A structure of the same types with `function` of each leaf; `None` is a leaf.

    Args:
        is_leaf: which lists, tuples and dicts are leaves, too.

    A list or dict that holds itself becomes one that holds itself.

    >>> map_leaves(lambda x: x + 1, {"b": (1, [2]), "a": 3})
    {'b': (2, [3]), 'a': 4}
    """
    if not _is_container(tree, is_leaf):
        return function(tree)
    above = {} if _above is None else _above
    if id(tree) in above:
        return above[id(tree)]

    def each(item: Any) -> Any:
        return map_leaves(function, item, is_leaf, above)

    if isinstance(tree, tuple):  # A tuple can only contain itself through a list or a dict.
        return map_items(each, tree)
    new = above[id(tree)] = {} if isinstance(tree, dict) else type(tree)()
    if isinstance(tree, dict):
        new.update((k, each(v)) for k, v in tree.items())
    else:
        new.extend(map(each, tree))
    del above[id(tree)]
    return new


class _Keys:
    """The keys of a dict. Their order does not matter to comparisons."""

    __slots__ = ("make", "order", "sorted")

    def __init__(self, of: dict):
        self.order, self.sorted = tuple(of), tuple(sorted(of))
        is_default = isinstance(of, defaultdict)
        self.make = functools.partial(defaultdict, of.default_factory) if is_default else type(of)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Keys) and self.sorted == other.sorted

    def __hash__(self) -> int:
        return hash(self.sorted)

    def dict_of(self, values: Iterable[Any]) -> dict:
        found = dict(zip(self.sorted, values))
        return self.make((key, found[key]) for key in self.order)


class _Dict:
    """A dict that JAX makes again with its keys in the order in which they were."""

    __slots__ = ("items",)

    def __init__(self, items: dict):
        self.items = items

    def flat(self) -> tuple[list[Any], _Keys]:
        keys = _Keys(self.items)
        return [self.items[key] for key in keys.sorted], keys


jax.tree_util.register_pytree_node(_Dict, _Dict.flat, _Keys.dict_of)  # type: ignore[arg-type]


def keeping_order(tree: Any) -> Any:
    """The structure for functions of `jax.tree`, which make its dicts again with their keys in the
    order in which they are here; in the order of JAX alone, keys are sorted."""
    kind = type(tree)
    if kind is list or kind is tuple:
        return kind(map(keeping_order, tree))
    if kind in (dict, OrderedDict, defaultdict):
        made = tree.copy()
        made.update((key, keeping_order(item)) for key, item in tree.items())
        return _Dict(made)
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return kind(*map(keeping_order, tree))
    return tree


def flatten(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list[Any], Any]:
    """The leaves of a structure in the order of `jax.tree.flatten`, and the structure for
    `jax.tree.unflatten`, which keeps the order of keys. Structures of the same keys are equal.

    >>> leaves, structure = flatten({"b": 1, "a": 2})
    >>> leaves, jax.tree.unflatten(structure, leaves)
    ([2, 1], {'b': 1, 'a': 2})
    """
    return jax.tree.flatten(keeping_order(tree), is_leaf=is_leaf)


def iter_leaves(
    tree: Any, is_leaf: Callable[[Any], bool] | None = None, _above: tuple[Any, ...] = ()
) -> Iterator[Any]:
    """The leaves of a structure, in order; a container that contains itself is entered once.

    >>> list(iter_leaves({"b": (1, [2]), "a": None}))
    [1, 2, None]
    """
    if not _is_container(tree, is_leaf):
        yield tree
    elif not any(tree is container for container in _above):
        for item in tree.values() if isinstance(tree, dict) else tree:
            yield from iter_leaves(item, is_leaf, (*_above, tree))


def _is_container(value: Any, is_leaf: Callable[[Any], bool] | None) -> bool:
    return isinstance(value, (dict, list, tuple)) and (is_leaf is None or not is_leaf(value))
