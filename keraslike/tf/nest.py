"""`tf.nest`: structures of tensors, by the functions of `keraslike.tree`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keraslike import tree
from keraslike.tree import is_nested as _is_nested

__all__ = ["assert_same_structure", "flatten", "is_nested", "map_structure", "pack_sequence_as"]


def is_nested(seq: Any) -> bool:
    """Whether a value is a structure (a list, a tuple, a dict) rather than a leaf.

    >>> from keraslike import tf
    >>> tf.nest.is_nested([1, 2]), tf.nest.is_nested(1)
    (True, False)
    """
    return _is_nested(seq)


def flatten(structure: Any, expand_composites: bool = False) -> list[Any]:
    """The leaves in order; of a dict in the order of its keys.

    >>> flatten({"b": 1, "a": [2, (3,)]})
    [2, 3, 1]
    """
    return tree.flatten(structure)


def map_structure(func: Callable, *structure: Any, **kwargs: Any) -> Any:
    """The structure of what the function gives for the leaves of one or several structures.

    >>> map_structure(lambda x, y: x + y, (1, [2]), (3, [4]))
    (4, [6])
    """
    for name in ("check_types", "expand_composites"):
        kwargs.pop(name, None)
    if kwargs:
        raise ValueError(
            f"map_structure() takes check_types, expand_composites. Received: {kwargs}"
        )
    return tree.map_structure(func, *structure)


def assert_same_structure(
    nest1: Any, nest2: Any, check_types: bool = True, expand_composites: bool = False
) -> None:
    """Raises ValueError or TypeError where two structures differ.

    >>> assert_same_structure([1, {"a": 2}], [3, {"a": 4}])
    """
    tree.assert_same_structure(nest1, nest2)


def pack_sequence_as(structure: Any, flat_sequence: Any, expand_composites: bool = False) -> Any:
    """The leaves in the form of the structure.

    >>> pack_sequence_as({"b": None, "a": [None]}, [1, 2])
    {'b': 2, 'a': [1]}
    """
    return tree.pack_sequence_as(structure, flat_sequence)


def __dir__() -> list[str]:
    return list(__all__)
