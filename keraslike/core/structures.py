"""Lists, tuples, named tuples and dicts in any nesting, each keeping its type and its order."""

from __future__ import annotations

import functools
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax


class Keyed(NamedTuple):
    """A dict without its values, which is called with the values of a new one.

    Of subclasses of dict only those of the standard library are kept: the constructors of others
    are not known.

    >>> Keyed.of({"b": 1, "a": 2})("xy")
    {'b': 'x', 'a': 'y'}
    """

    kind: type
    keys: tuple
    default: Callable | None

    @classmethod
    def of(cls, items: dict) -> Keyed:
        kind = type(items)
        if kind is not defaultdict:
            return cls(OrderedDict if kind is OrderedDict else dict, tuple(items), None)
        return cls(kind, tuple(items), items.default_factory)  # type: ignore[attr-defined]

    def empty(self) -> dict:
        return defaultdict(self.default) if self.kind is defaultdict else self.kind()

    def __call__(self, values: Iterable[Any]) -> dict:
        new = self.empty()
        new.update(zip(self.keys, values))
        return new


def holds_dict(x: Any) -> bool:
    """Whether it is a dict, or a list or tuple with one in it."""
    return isinstance(x, dict) or (isinstance(x, (list, tuple)) and any(map(holds_dict, x)))


_KINDS = frozenset({list, tuple, dict, OrderedDict, defaultdict})


def is_structure(x: Any) -> bool:
    """Whether it is a container of a type that can be made again from other items.

    >>> is_structure({}), is_structure(type("Settings", (dict,), {})())
    (True, False)
    """
    return type(x) in _KINDS or (isinstance(x, tuple) and hasattr(x, "_fields"))


def map_items(function: Callable, container: Any) -> Any:
    """A container of the same type with `function` applied to each item; a value that is no
    container is returned unchanged.

    >>> map_items(str, {"b": 1, "a": 2})
    {'b': '1', 'a': '2'}
    """
    if isinstance(container, dict):
        return Keyed.of(container)(map(function, container.values()))
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
    new = above[id(tree)] = Keyed.of(tree).empty() if isinstance(tree, dict) else type(tree)()
    if isinstance(tree, dict):
        new.update((k, each(v)) for k, v in tree.items())
    else:
        new.extend(map(each, tree))
    del above[id(tree)]
    return new


class InOrder(dict):
    """A dict whose keys JAX does not sort.

    >>> jax.tree.map(abs, InOrder(b=-1, a=-2))
    {'b': 1, 'a': 2}
    """

    __slots__ = ()

    def _with_paths(self) -> tuple[tuple, tuple]:
        return tuple((jax.tree_util.DictKey(k), v) for k, v in self.items()), tuple(self)

    def _flat(self) -> tuple[tuple, tuple]:
        return tuple(self.values()), tuple(self)


jax.tree_util.register_pytree_with_keys(
    InOrder,
    InOrder._with_paths,
    lambda keys, values: InOrder(zip(keys, values)),
    InOrder._flat,
)


class _Keys:
    """The keys of a dict. As in JAX, their order matters to comparisons of OrderedDicts only."""

    __slots__ = ("given", "sorted")

    def __init__(self, of: dict):
        self.given = Keyed.of(of)
        is_ordered = self.given.kind is OrderedDict
        self.sorted = self.given.keys if is_ordered else tuple(sorted(of))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Keys) and self.sorted == other.sorted

    def __hash__(self) -> int:
        return hash(self.sorted)

    def dict_of(self, values: Iterable[Any]) -> dict:
        found = dict(zip(self.sorted, values))
        return self.given(found[key] for key in self.given.keys)


class _Dict:
    """The values of a dict, of which JAX makes one with the keys in the same order."""

    __slots__ = ("of", "values")

    def __init__(self, of: dict, values: list[Any]):
        self.of, self.values = of, values

    def flat(self) -> tuple[list[Any], _Keys]:
        keys, found = _Keys(self.of), dict(zip(self.of, self.values))
        return [found[key] for key in keys.sorted], keys


class _DictOfOrder(_Dict):
    """A dict that differs from another one with the same keys in another order."""

    __slots__ = ()

    def by_key(self) -> tuple[list[Any], Keyed]:
        return self.values, Keyed.of(self.of)


jax.tree_util.register_pytree_node(_Dict, _Dict.flat, _Keys.dict_of)  # type: ignore[arg-type]
jax.tree_util.register_pytree_node(
    _DictOfOrder,
    _DictOfOrder.by_key,
    Keyed.__call__,  # type: ignore[arg-type]
)


def keeping_order(tree: Any, node: type[_Dict] = _Dict) -> Any:
    """The structure for functions of `jax.tree`, which make its dicts again with their keys in the
    order in which they are here; in the order of JAX alone, keys are sorted."""
    if not is_structure(tree):
        return tree
    if isinstance(tree, dict):
        return node(tree, [keeping_order(value, node) for value in tree.values()])
    return map_items(lambda item: keeping_order(item, node), tree)


def flatten(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list[Any], Any]:
    """The leaves of a structure in the order of `jax.tree.flatten`, and the structure for
    `jax.tree.unflatten`, which keeps the order of keys. Structures of the same keys are equal.

    >>> leaves, structure = flatten({"b": 1, "a": 2})
    >>> leaves, jax.tree.unflatten(structure, leaves)
    ([2, 1], {'b': 1, 'a': 2})
    """
    return jax.tree.flatten(keeping_order(tree), is_leaf=_except_dicts(is_leaf))


def flatten_in_order(tree: Any) -> tuple[list[Any], Any]:
    """Like `flatten`, but structures with the same keys in another order differ.

    >>> flatten_in_order({"b": 1, "a": 2})[1] == flatten_in_order({"a": 1, "b": 2})[1]
    False
    """
    return jax.tree.flatten(keeping_order(tree, _DictOfOrder))


@jax.tree_util.register_pytree_node_class
class Structured:
    """Results of a program with their structure, which belongs to the trace that they come from;
    another trace of the same program, for other shapes, may have another one.

    >>> jax.jit(lambda x: Structured([x, -x], ("b", "a")))(1).structure
    ('b', 'a')
    """

    def __init__(self, leaves: Any, structure: Any):
        self.leaves, self.structure = leaves, structure

    def tree_flatten(self) -> tuple[tuple[Any], Any]:
        return (self.leaves,), self.structure

    @classmethod
    def tree_unflatten(cls, structure: Any, leaves: tuple[Any]) -> Structured:
        return cls(*leaves, structure)


def ordered(function: Callable) -> Callable:
    """The function for a transformation of JAX: its results keep the order of keys. Those of
    `jax.jit` do so in its first call only, since later ones have the structure of the first result.

    >>> jax.vmap(ordered(lambda x: {"b": x, "a": x}))(jax.numpy.ones(2)).keys()
    dict_keys(['b', 'a'])
    """

    @functools.wraps(function, updated=())
    def run(*args: Any, **kwargs: Any) -> Any:
        return keeping_order(function(*args, **kwargs))

    return run


def tree_map(
    function: Callable, tree: Any, *rest: Any, is_leaf: Callable[[Any], bool] | None = None
) -> Any:
    """Like `jax.tree.map`, but keeps the order of keys.

    >>> tree_map(lambda x: -x, {"b": 1, "a": 2})
    {'b': -1, 'a': -2}
    """
    trees = map(keeping_order, (tree, *rest))
    return jax.tree.map(function, *trees, is_leaf=_except_dicts(is_leaf))


def _except_dicts(is_leaf: Callable[[Any], bool] | None) -> Callable[[Any], bool] | None:
    return is_leaf and (lambda x: not isinstance(x, _Dict) and is_leaf(x))


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
