"""`tf.nest`: structures of tensors, over the functions of `keraslike.tree`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keraslike import tree
from keraslike.tf.slices import IndexedSlices
from keraslike.tree import is_nested as _is_nested

__all__ = ["assert_same_structure", "flatten", "is_nested", "map_structure", "pack_sequence_as"]


def is_nested(seq: Any) -> bool:
    """Whether a value is a structure (a list, a tuple, a dict) rather than a leaf.

    >>> tf.nest.is_nested([1, 2]), tf.nest.is_nested(1)
    (True, False)
    """
    return _is_nested(seq)


def flatten(structure: Any, expand_composites: bool = False) -> list[Any]:
    """The leaves in order; those of a dict in the sorted order of its keys.

    >>> flatten({"b": 1, "a": [2, (3,)]})
    [2, 3, 1]
    """
    leaves = tree.flatten(structure)
    if not expand_composites:
        return leaves
    return [part for leaf in leaves for part in _parts_of(leaf)]


def _parts_of(leaf: Any) -> list[Any]:
    """The component tensors of a sparse or ragged tensor or of `IndexedSlices`; any other leaf
    unchanged."""
    if isinstance(leaf, IndexedSlices):
        parts = [leaf.values, leaf.indices, leaf.dense_shape]
        return parts if parts[-1] is not None else parts[:-1]
    if hasattr(leaf, "__tf_flatten__"):
        return flatten(list(leaf.__tf_flatten__()[1]), expand_composites=True)
    if hasattr(leaf, "nested_row_splits"):
        return [leaf.flat_values, *leaf.nested_row_splits]
    if hasattr(leaf, "dense_shape"):
        return [leaf.indices, leaf.values, leaf.dense_shape]
    return [leaf]


def _with_parts(leaf: Any, parts: list[Any]) -> Any:
    """A composite tensor like `leaf` of other component tensors; a plain leaf is its one part."""
    if isinstance(leaf, IndexedSlices):
        return IndexedSlices(*parts)
    if hasattr(leaf, "__tf_flatten__"):
        metadata, fields = leaf.__tf_flatten__()
        made = pack_sequence_as(list(fields), parts, expand_composites=True)
        return leaf.__tf_unflatten__(metadata, tuple(made))
    if hasattr(leaf, "nested_row_splits"):
        return leaf._with_parts(*parts)
    if hasattr(leaf, "dense_shape"):
        return type(leaf)(*parts)
    return parts[0]


def map_structure(func: Callable, *structure: Any, **kwargs: Any) -> Any:
    """The structure of the results of a function for the leaves of one or several structures.

    >>> map_structure(lambda x, y: x + y, (1, [2]), (3, [4]))
    (4, [6])
    """
    kwargs.pop("check_types", None)
    expand = kwargs.pop("expand_composites", False)
    if kwargs:
        raise ValueError(
            f"map_structure() takes check_types, expand_composites. Received: {kwargs}"
        )
    if not expand:
        return tree.map_structure(func, *structure)

    def call(*leaves: Any) -> Any:
        parts = zip(*map(_parts_of, leaves), strict=True)
        return _with_parts(leaves[0], [func(*part) for part in parts])

    return tree.map_structure(call, *structure)


def assert_same_structure(
    nest1: Any, nest2: Any, check_types: bool = True, expand_composites: bool = False
) -> None:
    """Raises ValueError if two structures differ, TypeError if only their types differ.

    Args:
        check_types: whether a list differs from a tuple.

    >>> assert_same_structure([1, {"a": 2}], [3, {"a": 4}])
    >>> assert_same_structure([1], (1,), check_types=False)
    """
    if _is_nested(nest1) is not _is_nested(nest2):
        raise ValueError(f"One structure is nested, the other is not: {nest1!r} and {nest2!r}.")
    if not _is_nested(nest1):
        return
    dicts = isinstance(nest1, dict) and isinstance(nest2, dict)
    if check_types and not dicts and type(nest1) is not type(nest2):
        raise TypeError(
            f"The structures are of types {type(nest1).__name__} and {type(nest2).__name__}: "
            f"{nest1!r} and {nest2!r}."
        )
    if dicts and set(nest1) != set(nest2):
        raise ValueError(f"The keys differ: {list(nest1)} and {list(nest2)}.")
    pairs = [
        list(n.values()) if isinstance(n, dict) else list(n)
        for n in (nest1, {k: nest2[k] for k in nest1} if dicts else nest2)
    ]
    if len(pairs[0]) != len(pairs[1]):
        raise ValueError(f"The numbers of elements differ: {nest1!r} and {nest2!r}.")
    for one, other in zip(*pairs, strict=True):
        assert_same_structure(one, other, check_types, expand_composites)


def pack_sequence_as(structure: Any, flat_sequence: Any, expand_composites: bool = False) -> Any:
    """The leaves, packed into a structure.

    >>> pack_sequence_as({"b": None, "a": [None]}, [1, 2])
    {'b': 2, 'a': [1]}
    """
    if not expand_composites:
        return tree.pack_sequence_as(structure, flat_sequence)
    given, packed = list(flat_sequence), []
    for leaf in tree.flatten(structure):
        count = len(_parts_of(leaf))
        if len(given) < count:
            break
        packed.append(_with_parts(leaf, given[:count]))
        given = given[count:]
    return tree.pack_sequence_as(structure, packed + given)  # checks their number


def __dir__() -> list[str]:
    return list(__all__)
