"""`tf.nest`: structures of tensors.

In contrast to `keraslike.tree`, every sequence and mapping is a structure, also those of users'
classes, and the parts of each mapping are in the sorted order of its keys.
"""

from __future__ import annotations

import collections
import itertools
from collections.abc import Callable, Iterator, Mapping, MappingView, Sequence
from typing import Any

from keraslike.tf.dtypes import TensorShape
from keraslike.tf.extension_type import ExtensionType, ExtensionTypeSpec
from keraslike.tf.ragged_tensor import RaggedTensor
from keraslike.tf.slices import IndexedSlices
from keraslike.tf.sparse_tensor import SparseTensor
from keraslike.tf.specs import IndexedSlicesSpec, RaggedTensorSpec, SparseTensorSpec
from keraslike.tf.type_spec import TypeSpec

_COMPOSITES = (ExtensionType, RaggedTensor, SparseTensor, IndexedSlices)
_SPECS = (ExtensionTypeSpec, RaggedTensorSpec, SparseTensorSpec, IndexedSlicesSpec)

__all__ = ["assert_same_structure", "flatten", "is_nested", "map_structure", "pack_sequence_as"]


def is_nested(seq: Any) -> bool:
    """Whether a value is a structure (a list, a tuple, a dict) rather than a leaf.

    >>> tf.nest.is_nested([1, 2]), tf.nest.is_nested(1)
    (True, False)
    """
    if isinstance(seq, (Sequence, Mapping, MappingView)):
        return not isinstance(seq, (str, bytes, bytearray, TensorShape))
    return _is_object(seq) or hasattr(type(seq), "__attrs_attrs__")


def _is_object(x: Any) -> bool:
    """Whether it is an object of a user's class that names its parts itself."""
    return hasattr(x, "__tf_flatten__") and not isinstance(x, (ExtensionType, type))


def _is_structure(x: Any, expand_composites: bool) -> bool:
    return is_nested(x) or (expand_composites and isinstance(x, _COMPOSITES))


def _sorted(mapping: Mapping) -> list[Any]:
    try:
        return sorted(mapping)
    except TypeError:
        raise TypeError(f"The keys of a dict must be sortable. Received: {[*mapping]}") from None


def _parts(x: Any) -> list[Any]:
    if isinstance(x, Mapping):
        return [x[key] for key in _sorted(x)]
    if hasattr(type(x), "__attrs_attrs__"):
        return [getattr(x, field.name) for field in x.__attrs_attrs__]
    if hasattr(x, "__tf_flatten__"):
        return list(x.__tf_flatten__()[1])
    if isinstance(x, RaggedTensor):
        return [x.flat_values, *x.nested_row_splits]
    if isinstance(x, SparseTensor):
        return [x.indices, x.values, x.dense_shape]
    if isinstance(x, IndexedSlices):
        return [p for p in (x.values, x.indices, x.dense_shape) if p is not None]
    return list(x)


def _of_parts(x: Any, parts: list[Any]) -> Any:
    """A structure like `x` of other parts."""
    kind: Any = type(x)
    if isinstance(x, Mapping):
        found = dict(zip(_sorted(x), parts, strict=True))
        pairs = [(key, found[key]) for key in x]
        if isinstance(x, collections.defaultdict):
            return collections.defaultdict(x.default_factory, pairs)
        return kind(pairs)
    if hasattr(kind, "__attrs_attrs__"):
        return kind(*parts)
    if hasattr(x, "__tf_flatten__"):
        return x.__tf_unflatten__(x.__tf_flatten__()[0], tuple(parts))
    if isinstance(x, RaggedTensor):
        return x._with_parts(*parts)
    if isinstance(x, (SparseTensor, IndexedSlices)) or hasattr(kind, "_fields"):
        return kind(*parts)
    return parts if isinstance(x, (MappingView, range)) else kind(parts)


def flatten(structure: Any, expand_composites: bool = False) -> list[Any]:
    """The leaves in order; those of a dict in the sorted order of its keys.

    Args:
        expand_composites: whether sparse and ragged tensors, `IndexedSlices` and extension types
            are structures of their tensors.

    >>> flatten({"b": 1, "a": [2, (3,)]})
    [2, 3, 1]
    """
    if not _is_structure(structure, expand_composites):
        return [structure]
    return [leaf for part in _parts(structure) for leaf in flatten(part, expand_composites)]


def with_paths(structure: Any, expand_composites: bool = False) -> Iterator[tuple[tuple, Any]]:
    """The leaves as `flatten` returns them, each after the keys and indices that lead to it; the
    name of a class comes before the index of a part of a composite."""
    if not _is_structure(structure, expand_composites):
        yield (), structure
        return
    kind = type(structure)
    keys: Any = itertools.count()
    if isinstance(structure, Mapping):
        keys = _sorted(structure)
    elif hasattr(kind, "__attrs_attrs__"):
        keys = [field.name for field in structure.__attrs_attrs__]
    elif hasattr(kind, "_fields"):
        keys = kind._fields
    above = () if is_nested(structure) else (kind.__name__,)
    for key, part in zip(keys, _parts(structure)):
        for path, leaf in with_paths(part, expand_composites):
            yield (*above, key, *path), leaf


def map_structure(func: Callable, *structure: Any, **kwargs: Any) -> Any:
    """The structure of the results of a function for the leaves of one or several structures.

    Raises TypeError or ValueError for structures that differ: see `assert_same_structure`, which
    has the same options.

    >>> map_structure(lambda x, y: x + y, (1, [2]), (3, [4]))
    (4, [6])
    """
    if not callable(func):
        raise TypeError(f"func must be callable. Received: {func!r}")
    if not structure:
        raise ValueError("map_structure() needs at least one structure.")
    check_types = kwargs.pop("check_types", True)
    expand = kwargs.pop("expand_composites", False)
    if kwargs:
        raise ValueError(
            f"map_structure() takes check_types, expand_composites. Received: {kwargs}"
        )
    for other in structure[1:]:
        assert_same_structure(structure[0], other, check_types, expand)
    leaves = zip(*[flatten(s, expand) for s in structure], strict=True)
    return pack_sequence_as(structure[0], [func(*each) for each in leaves], expand)


def assert_same_structure(
    nest1: Any, nest2: Any, check_types: bool = True, expand_composites: bool = False
) -> None:
    """Raises ValueError if two structures differ, TypeError if only their types differ.

    Args:
        check_types: whether a list differs from a tuple. All dicts are of the same type; so are all
            lists, and named tuples of the same name and fields.
        expand_composites: whether sparse and ragged tensors, `IndexedSlices` and extension types
            must have compatible specs; such a spec may take the place of a value.

    >>> assert_same_structure([1, {"a": 2}], [3, {"a": 4}])
    >>> assert_same_structure([1], (1,), check_types=False)
    """
    if expand_composites and (_is_composite(nest1) or _is_composite(nest2)):
        return _check_specs(nest1, nest2)
    nested = _is_structure(nest1, expand_composites)
    if nested is not _is_structure(nest2, expand_composites):
        raise ValueError(f"One structure is nested, the other is not: {nest1!r} and {nest2!r}.")
    if not nested:
        return
    dicts = isinstance(nest1, Mapping) and isinstance(nest2, Mapping)
    if check_types and not dicts and _kind(nest1) != _kind(nest2):
        raise TypeError(
            f"The structures are of types {type(nest1).__name__} and {type(nest2).__name__}: "
            f"{nest1!r} and {nest2!r}."
        )
    if dicts and set(nest1) != set(nest2):
        raise ValueError(f"The keys differ: {list(nest1)} and {list(nest2)}.")
    parts = _parts(nest1), _parts(nest2)
    if len(parts[0]) != len(parts[1]):
        raise ValueError(f"The numbers of elements differ: {nest1!r} and {nest2!r}.")
    for one, other in zip(*parts, strict=True):
        assert_same_structure(one, other, check_types, expand_composites)


def _is_composite(x: Any) -> bool:
    return isinstance(x, (*_COMPOSITES, *_SPECS))


def _check_specs(one: Any, other: Any) -> None:
    if _is_composite(one) and _is_composite(other):
        specs = [x if isinstance(x, _SPECS) else TypeSpec._of(x) for x in (one, other)]
        if specs[0].most_specific_common_supertype(specs[1:]) is not None:
            return
    raise ValueError(f"The structures differ: {one!r} and {other!r}.")


def _kind(x: Any) -> Any:
    if isinstance(x, list):
        return list
    fields = getattr(x, "_fields", None)
    return type(x) if fields is None else (type(x).__name__, fields)


def pack_sequence_as(structure: Any, flat_sequence: Any, expand_composites: bool = False) -> Any:
    """The leaves, packed into a structure.

    Raises ValueError for another number of leaves, TypeError for leaves that are no sequence.

    >>> pack_sequence_as({"b": None, "a": [None]}, [1, 2])
    {'b': 2, 'a': [1]}
    """
    if not is_nested(flat_sequence):
        raise TypeError(f"flat_sequence must be a sequence. Received: {flat_sequence!r}")
    count = len(flatten(structure, expand_composites))
    if len(flat_sequence) != count:
        raise ValueError(
            f"The structure has {count} leaves. Received: {len(flat_sequence)} leaves."
        )
    leaves = iter(flat_sequence)

    def packed(x: Any) -> Any:
        if not _is_structure(x, expand_composites):
            return next(leaves)
        return _of_parts(x, [packed(part) for part in _parts(x)])

    return packed(structure)


def __dir__() -> list[str]:
    return list(__all__)
