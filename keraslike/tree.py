"""`keras.tree`: functions of nested structures.

A structure is a list, tuple, named tuple, deque, dict (ordered ones and those with defaults
included) or an object of a class that `register_tree_node_class` was told of, and what it holds;
all else is a leaf, `None` too. Dicts are gone through in the order of their keys where these can be
sorted, ordered dicts in their own.
"""

from __future__ import annotations

import collections
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from keraslike.core.static import Shape


class MAP_TO_NONE:  # noqa: N801 (Keras's name)
    """The value that a function for `traverse` returns for a part that should become `None`.

    >>> import keraslike
    >>> keraslike.tree.traverse(lambda x: MAP_TO_NONE if x == 2 else None, [1, 2])
    [1, None]
    """


class _Node(NamedTuple):
    """A structure's parts with their keys, and the function that rebuilds it."""

    keys: Sequence[Any]
    parts: Sequence[Any]
    rebuild: Callable[[Iterable[Any]], Any]


_DICTS = (dict, collections.OrderedDict, collections.defaultdict)
_registered: set[type] = set()


def register_tree_node_class(cls: type) -> type:
    """Makes objects of a class nested structures; can be used as a decorator.

    The class has a method `tree_flatten()`, which returns the parts, metadata and, optionally, the
    parts' keys, and a class method `tree_unflatten(metadata, parts)`.

    >>> @register_tree_node_class
    ... class Pair:
    ...     def __init__(self, a, b):
    ...         self.a, self.b = a, b
    ...     def tree_flatten(self):
    ...         return (self.a, self.b), None
    ...     @classmethod
    ...     def tree_unflatten(cls, metadata, parts):
    ...         return cls(*parts)
    >>> flatten([Pair(1, 2), 3])
    [1, 2, 3]
    """
    if not callable(getattr(cls, "tree_flatten", None)):
        raise TypeError(f"cls must have a method tree_flatten(). Received: cls={cls!r}")
    _registered.add(cls)
    return cls


def _node(structure: Any) -> _Node | None:
    """The parts of a structure; `None` for a leaf."""
    cls = type(structure)
    if cls in _DICTS:
        return _dict_node(structure)
    if cls in _registered:
        parts, metadata, *rest = structure.tree_flatten()
        parts = list(parts)
        keys = list(rest[0]) if rest and rest[0] is not None else range(len(parts))
        return _Node(keys, parts, lambda new: cls.tree_unflatten(metadata, tuple(new)))
    if cls.__module__ != "builtins" and hasattr(structure, "__tf_flatten__"):
        constant, given = structure.__tf_flatten__()
        remade = lambda new: structure.__tf_unflatten__(constant, (*new,))  # noqa: E731
        return _Node(range(len(given)), given, remade)
    rebuild: Callable = cls
    if cls is collections.deque:
        rebuild = lambda new: collections.deque(new, structure.maxlen)  # noqa: E731
    elif _is_named(structure):
        rebuild = cls._make  # type: ignore[attr-defined]
    elif cls not in (list, tuple, Shape):
        return None
    return _Node(range(len(structure)), structure, rebuild)


def _dict_node(structure: Any) -> _Node:
    keys = list(structure)
    if type(structure) is not collections.OrderedDict:
        try:
            keys.sort()
        except TypeError:
            keys = list(structure)

    def rebuild(new: Iterable[Any]) -> Any:
        found = dict(zip(keys, new))
        pairs = [(k, found[k]) for k in structure]  # In the order of its keys.
        if isinstance(structure, collections.defaultdict):
            return collections.defaultdict(structure.default_factory, pairs)
        return type(structure)(pairs)

    return _Node(keys, [structure[k] for k in keys], rebuild)


def _is_named(structure: Any) -> bool:
    return isinstance(structure, tuple) and hasattr(type(structure), "_fields")


def is_nested(structure: Any) -> bool:
    """Whether a value is a structure rather than a leaf.

    >>> is_nested(42), is_nested({"a": 42}), is_nested([])
    (False, True, True)
    """
    return _node(structure) is not None


def traverse(func: Callable, structure: Any, top_down: bool = True) -> Any:
    """The structure with parts replaced by the results of `func`.

    Args:
        func: a function of the structure and of each part; it returns `None` to leave a part
            unchanged, and `MAP_TO_NONE` to replace it by `None`.
        structure: any structure.
        top_down: whether to visit a structure before its parts; parts of a replaced structure are
            then not visited.

    Raises TypeError if `func` cannot be called.

    >>> traverse(lambda x: tuple(x) if isinstance(x, list) else None, {"a": [1, 2]}, top_down=False)
    {'a': (1, 2)}
    """
    _check_callable(func)

    def visit(part: Any) -> Any:
        if top_down:
            found = func(part)
            if found is None:
                return inside(part)
        else:
            part = inside(part)
            found = func(part)
            if found is None:
                return part
        return None if found is MAP_TO_NONE else found

    def inside(part: Any) -> Any:
        node = _node(part)
        return part if node is None else node.rebuild([visit(p) for p in node.parts])

    return visit(structure)


def flatten(structure: Any) -> list[Any]:
    """The leaves of a structure.

    >>> flatten({"b": [1, (2, None)], "a": 3})
    [3, 1, 2, None]
    """
    return [leaf for _, leaf in _leaves(structure, ())]


def flatten_with_path(structure: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """The leaves, each with its path of keys and indices.

    >>> flatten_with_path([{"a": 42}])
    [((0, 'a'), 42)]
    """
    return list(_leaves(structure, ()))


def _leaves(structure: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    node = _node(structure)
    if node is None:
        yield path, structure
        return
    for key, part in zip(node.keys, node.parts):
        yield from _leaves(part, (*path, key))


def map_structure(func: Callable, *structures: Any, none_is_leaf: bool = True) -> Any:
    """The first structure with each leaf replaced by `func` of the corresponding leaves of all
    structures.

    Args:
        func: a function with one argument per structure.
        structures: equal structures (see `assert_same_structure`).
        none_is_leaf: whether to call `func` for `None`, which otherwise remains `None`.

    Raises TypeError if `func` cannot be called, ValueError for structures that differ.

    >>> map_structure(lambda x, y: x * y, [1, {"a": 2}], [3, {"a": 4}])
    [3, {'a': 8}]
    """
    _check_callable(func)
    _check_any(structures)

    def visit(first: Any, *others: Any) -> Any:
        node = _node(first)
        if node is not None:
            parts = [_parts_like(node, first, other) for other in others]
            return node.rebuild([visit(*p) for p in zip(node.parts, *parts)])
        for other in others:
            if is_nested(other):
                raise _differ(first, other)
            if not none_is_leaf and (first is None) != (other is None):
                raise _differ(first, other)
        return None if first is None and not none_is_leaf else func(first, *others)

    return visit(*structures)


def map_structure_up_to(shallow_structure: Any, func: Callable, *structures: Any) -> Any:
    """`func` of what the structures hold at the places of the leaves of a shallow one.

    Raises TypeError if `func` cannot be called, ValueError for a structure that is not as deep.

    >>> map_structure_up_to([None, [None, None]], str, [[1, 1], [2, 2]])
    ['[1, 1]', ['2', '2']]
    """
    _check_callable(func)
    _check_any(structures)

    def visit(shallow: Any, *others: Any) -> Any:
        node = _node(shallow)
        if node is None:
            return func(*others)
        parts = [_parts_like(node, shallow, other) for other in others]
        return node.rebuild([visit(*p) for p in zip(node.parts, *parts)])

    return visit(shallow_structure, *structures)


def assert_same_structure(a: Any, b: Any, check_types: bool | None = None) -> None:
    """Raises ValueError unless two structures differ in their leaves only.

    All dicts are of the same kind; lists, tuples, deques and each class of named tuples are of
    different kinds. `check_types` has no effect; `assert_same_paths` compares only paths.

    >>> assert_same_structure([(0, 1)], [(2, 3)])
    >>> assert_same_structure([0, 1], (2, 3))
    Traceback (most recent call last):
    ...
    ValueError: The structures don't have the same nested structure: expected a list, got a tuple.
    """
    if check_types is not None:
        warnings.warn("check_types has no effect any more.", DeprecationWarning, stacklevel=2)
    map_structure(lambda *leaves: None, a, b)


def assert_same_paths(a: Any, b: Any) -> None:
    """Raises ValueError unless the leaves of two structures are reached by the same paths.

    >>> assert_same_paths([0, (1, 2)], (3, [4, 5]))
    """
    ours, others = (dict(_leaves(x, ())).keys() for x in (a, b))
    if ours != others:
        raise ValueError(
            "`a` and `b` don't have the same paths. Only in `a`: "
            f"{[p for p in ours if p not in others]}; only in `b`: "
            f"{[p for p in others if p not in ours]}"
        )


def pack_sequence_as(structure: Any, flat_sequence: Iterable[Any]) -> Any:
    """A structure like the given one with other leaves: the inverse of `flatten`.

    Raises TypeError for what is no sequence, ValueError for too many or too few leaves.

    >>> pack_sequence_as({"a": 0, "b": [0, 0]}, [1, 2, 3])
    {'a': 1, 'b': [2, 3]}
    """
    leaves = list(flat_sequence)
    wanted = len(flatten(structure))
    if len(leaves) != wanted:
        problem = "few" if len(leaves) < wanted else "many"
        raise ValueError(
            f"Too {problem} leaves in flat_sequence; expected: {wanted}, got {len(leaves)}."
        )
    left = iter(leaves)
    return map_structure(lambda _: next(left), structure)


def lists_to_tuples(structure: Any) -> Any:
    """The structure with tuples in place of lists.

    >>> lists_to_tuples([1, {"a": [2]}])
    (1, {'a': (2,)})
    """
    return traverse(lambda x: tuple(x) if isinstance(x, list) else None, structure, top_down=False)


def map_shape_structure(func: Callable, structure: Any) -> Any:
    """Like `map_structure`, with shapes (lists and tuples of integers and `None`) as leaves.

    >>> map_shape_structure(len, {"a": (None, 3), "b": [(2,)]})
    {'a': 2, 'b': [1]}
    """
    _check_callable(func)

    def visit(part: Any) -> Any:
        sizes = isinstance(part, (list, tuple))
        node = None if sizes and all(x is None or isinstance(x, int) for x in part) else _node(part)
        return func(part) if node is None else node.rebuild(map(visit, node.parts))

    return visit(structure)


# -- checks -----------------------------------------------------------------------------------


def _check_callable(func: Any) -> None:
    if not callable(func):
        raise TypeError(f"func must be callable. Received: func={func!r}")


def _check_any(structures: Sequence[Any]) -> None:
    if not structures:
        raise ValueError("There must be at least one structure.")


def _parts_like(node: _Node, structure: Any, other: Any) -> Sequence[Any]:
    """The parts of another structure of the same kind, in the order of the first one's."""
    found = _node(other)
    kinds = [dict if type(x) in _DICTS else type(x) for x in (structure, other)]
    if found is None or kinds[0] is not kinds[1]:
        raise _differ(structure, other)
    if kinds[0] is dict and set(structure) == set(other):
        return [other[k] for k in node.keys]
    if isinstance(node.keys, range) and len(found.parts) != len(node.parts):
        raise ValueError(f"Arity mismatch; expected: {len(node.parts)}, got: {len(found.parts)}.")
    if list(node.keys) != list(found.keys):
        ours, others = list(node.keys), list(found.keys)
        raise ValueError(f"Dictionary key mismatch; expected key(s): {ours}, got key(s): {others}.")
    return found.parts


def _differ(structure: Any, other: Any) -> ValueError:
    return ValueError(
        "The structures don't have the same nested structure: expected "
        f"{_kind(structure)}, got {_kind(other)}."
    )


def _kind(structure: Any) -> str:
    cls = type(structure)
    if not is_nested(structure):
        return "a leaf"
    if _is_named(structure):
        return f"a namedtuple {cls.__module__}.{cls.__qualname__}"
    return f"{'an' if cls.__name__[0] in 'AEIOU' else 'a'} {cls.__name__}"


__all__ = [
    "MAP_TO_NONE",
    "assert_same_paths",
    "assert_same_structure",
    "flatten",
    "flatten_with_path",
    "is_nested",
    "lists_to_tuples",
    "map_shape_structure",
    "map_structure",
    "map_structure_up_to",
    "pack_sequence_as",
    "traverse",
]


def __dir__() -> list[str]:
    return list(__all__)
