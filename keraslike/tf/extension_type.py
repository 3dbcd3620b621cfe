"""`tf.experimental.ExtensionType`: users' classes whose fields are tensors and constants."""

from __future__ import annotations

import abc
import collections.abc
import contextlib
import functools
import inspect
import itertools
import sys
import types
import typing
from collections.abc import Callable
from typing import Any

import jax
from flax import nnx

from keraslike.core.boxed import Boxed
from keraslike.core.static import Static
from keraslike.core.structures import map_leaves
from keraslike.data.pipeline import Pipeline
from keraslike.tf import dispatch, dtypes, ops, table
from keraslike.tf.conversion import convert_to_tensor
from keraslike.tf.dtypes import DType, TensorShape
from keraslike.tf.signatures import TensorSpec, is_leaf
from keraslike.tf.slices import IndexedSlices
from keraslike.tf.specs import in_parts, type_spec_from_value
from keraslike.tf.structure import Operating, Structure
from keraslike.tf.tensor import Tensor
from keraslike.tf.type_spec import TypeSpec


class ImmutableDict(collections.abc.Mapping):
    """A mapping in a field of an extension type."""

    __slots__ = ("_items",)

    def __init__(self, *args: Any, **kwargs: Any):
        self._items = dict(*args, **kwargs)

    def __getitem__(self, key: Any) -> Any:
        return self._items[key]

    def __iter__(self) -> Any:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"ImmutableDict({self._items!r})"


jax.tree_util.register_pytree_node(
    ImmutableDict,
    lambda x: (tuple(x.values()), tuple(x)),
    lambda keys, values: ImmutableDict(zip(keys, values, strict=True)),
)


def _frozen(value: Any) -> Any:
    """The value of a field, with immutable mappings for dicts."""
    if isinstance(value, dict):
        return ImmutableDict({key: _frozen(item) for key, item in value.items()})
    return tuple(map(_frozen, value)) if type(value) is tuple else value


def _thawed(value: Any) -> Any:
    """The value of a field, with dicts for immutable mappings."""
    if isinstance(value, ImmutableDict):
        return {key: _thawed(item) for key, item in value.items()}
    return tuple(map(_thawed, value)) if type(value) is tuple else value


class _Kind(type):
    """The type of extension types, whose objects are checked and frozen once they are made."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls in (ExtensionType, BatchableExtensionType):
            raise AssertionError(f"{cls.__name__} is abstract: derive a class from it.")
        made: Any = object.__new__(cls)
        made.__init__(*args, **kwargs)
        hints = _hints(cls)
        unknown = sorted(set(vars(made)) - set(hints))
        missing = [name for name in hints if name not in vars(made) and not hasattr(cls, name)]
        if unknown or missing:
            raise TypeError(
                f"{cls.__name__} has the fields {list(hints)}. Unknown: {unknown}. Missing: "
                f"{missing}."
            )
        values = {name: _converted(name, hint, getattr(made, name)) for name, hint in hints.items()}
        vars(made).clear()
        vars(made).update(values)
        vars(made)[_OF_TENSORS] = frozenset(n for n, v in values.items() if _has_tensors(v))
        made.__validate__()
        return made


# The attribute with the names of the fields that hold tensors, which an object has once it is made.
# A trace may replace the tensors by any objects.
_OF_TENSORS = "_of_tensors"


class ExtensionTypeSpec(TypeSpec):
    """The base class of `Spec`, which each extension type has: its fields, with specs in place of
    tensors.

    >>> class Point(tf.experimental.ExtensionType):
    ...     x: tf.Tensor
    >>> tf.type_spec_from_value(Point(tf.constant([1.0]))).x
    TensorSpec(shape=(1,), dtype=tf.float32, name=None)
    """

    value_type: Any
    __slots__ = ("_is_made",)

    def __init__(self, *args: Any, **kwargs: Any):
        fields = _signature(self.value_type).parameters.values()
        needed = inspect.Signature([p.replace(default=p.empty) for p in fields])
        vars(self).update(needed.bind(*args, **kwargs).arguments)

    @classmethod
    def from_value(cls, value: Any) -> Any:
        """The spec of an object."""
        made = object.__new__(cls)
        for name in _hints(type(value)):
            field = _thawed(vars(value)[name])
            spec = map_leaves(type_spec_from_value, field) if _has_tensors(field) else field
            vars(made)[name] = _frozen(spec)
        made._is_made = True
        return made

    def __setattr__(self, name: str, value: Any) -> None:
        _refuse_changes(self, name, hasattr(self, "_is_made"))
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        _refuse_changes(self, name)

    def in_parts(self) -> Any:
        """An object that has specs in place of its tensors."""
        names = _hints(self.value_type)
        fields = {name: _frozen(in_parts(_thawed(getattr(self, name)))) for name in names}
        made = object.__new__(self.value_type)
        vars(made).update(fields)
        vars(made)[_OF_TENSORS] = frozenset(n for n, v in fields.items() if _has_tensors(v))
        return made

    def _serialize(self) -> Any:
        return tuple(vars(self).items())

    @classmethod
    def _deserialize(cls, serialization: Any) -> Any:
        return cls(**dict(serialization))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={_thawed(value)!r}" for name, value in vars(self).items())
        return f"{type(self).__qualname__}({fields})"


def _refuse_changes(made: Any, name: str, is_made: bool = True) -> None:
    if is_made:
        raise AttributeError(f"{type(made).__qualname__} is immutable: {name!r} cannot be changed.")


class _SpecKind(abc.ABCMeta):
    """The type of the specs of extension types, which are frozen once they are made."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        made = super().__call__(*args, **kwargs)
        made._is_made = True
        return made


def _signature(cls: type) -> inspect.Signature:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    fields = [
        inspect.Parameter(
            name, kind, default=getattr(cls, name, inspect.Parameter.empty), annotation=hint
        )
        for name, hint in _annotations(cls).items()
    ]
    fields.sort(key=lambda p: p.default is not p.empty)  # a stable sort
    return inspect.Signature(fields, return_annotation=cls)


def _constructor(cls: type) -> Callable:
    """A constructor that takes the fields of a class."""
    signature = _signature(cls)

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        vars(self).update(signature.bind(*args, **kwargs).arguments)

    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = [this, *signature.parameters.values()]
    __init__.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return __init__


def fields_of(made: Any) -> dict[str, Any]:
    """The fields of an extension type by name."""
    return {name: vars(made)[name] for name in _hints(type(made))}


def _flatten(made: Any) -> tuple[Any, Any]:
    constant, parts = made.__tf_flatten__()
    return parts, constant


def _is_reserved(name: str) -> bool:
    """Whether a field may not have the name, since extension types or their specs use it."""
    if name in ("self", "Spec", "value_type") or name.startswith("_tf_extension_type"):
        return True
    used = {*dir(ExtensionType), *dir(ExtensionTypeSpec), *_OF_COMPOSITES} - {"from_value"}
    return name in used and not name.startswith("__")


# The names that TensorFlow's composite tensors and their specs use besides ours.
_OF_COMPOSITES = (
    *("_type_spec", "_shape_invariant_to_type_spec", "_consumers", "_with_tensor_ranks_only"),
    *("_to_components", "_from_components", "_component_specs", "_to_tensor_list", "_keras_mask"),
    *("_from_tensor_list", "_from_compatible_tensor_list", "_flat_tensor_specs"),
    *("_to_legacy_output_types", "_to_legacy_output_shapes", "_to_legacy_output_classes"),
)


def _annotations(cls: type) -> dict[str, Any]:
    """The annotated fields of a class, those of its bases first."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base is not ExtensionType and issubclass(base, ExtensionType):
            own = inspect.get_annotations(base)
            found |= {n: h for n, h in own.items() if "ClassVar" not in str(h)}
    return found


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    """The annotated fields of a class with their annotations, which are resolved.

    Raises TypeError for an annotation that cannot be resolved, or is of another kind.
    """
    found = _annotations(cls)
    for base in reversed(cls.__mro__):
        with contextlib.suppress(NameError):  # names of the function that defines the class
            known = typing.get_type_hints(base)
            own = {n: h for n, h in inspect.get_annotations(base).items() if n in found}
            found |= {name: known.get(name, hint) for name, hint in own.items()}
    for name, hint in found.items():
        if isinstance(hint, str):
            raise TypeError(f"{name} has an annotation that cannot be resolved: {hint!r}.")
        _check_hint(name, hint)
    return found


def _check_hint(name: str, hint: Any) -> None:
    """Raises TypeError for an annotation of no kind that a field can have. Those that are text are
    looked at later."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, str) or origin is typing.ClassVar:
        return
    if origin is typing.Annotated:
        return _check_hint(name, args[0])
    if origin in (tuple, typing.Union, types.UnionType):
        for each in args:
            if each is not ...:
                _check_hint(name, each)
        return
    keys = args[:1] if origin in (collections.abc.Mapping, dict) else ()
    if keys and keys[0] in (int, str, bytes, bool, float):
        return _check_hint(name, args[1])
    plain = (int, float, bool, str, bytes, type(None), Tensor, DType, TensorShape)
    of_tensors = (Structure, IndexedSlices, ExtensionType, Pipeline, nnx.Variable)
    fits = isinstance(hint, type) and issubclass(hint, of_tensors)
    if not fits and hint not in (*plain, None, Any):
        raise TypeError(f"{name} has an annotation that is not supported: {_shown(hint)}.")


class ExtensionType(Operating, metaclass=_Kind):
    """The base of classes whose annotated fields are tensors, constants and further such objects.

    Objects are immutable. They can be arguments and results of `tf.function`, and elements of data
    sets. A field is converted to its annotation: `tf.Tensor`, a class of tensors, a number, a
    string, `tf.DType`, `tf.TensorShape`, or tuples, mappings and unions of these. A class may
    define `__validate__`, which is called for each new object.

    A class without a constructor has one that takes its fields.

    Raises TypeError for a missing or unknown field, a value that does not fit its annotation, and
    an annotation of another kind; ValueError for a field with the name of a method; AttributeError
    for an assignment.

    >>> class Masked(tf.experimental.ExtensionType):
    ...     values: tf.Tensor
    ...     mask: tf.Tensor
    >>> masked = Masked([1.0, 2.0, 3.0], [True, False, True])
    >>> total = tf.function(lambda x: tf.reduce_sum(tf.where(x.mask, x.values, 0.0)))
    >>> total(masked).numpy().tolist()
    4.0
    """

    Spec: type

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        reserved = [name for name in inspect.get_annotations(cls) if _is_reserved(name)]
        if reserved:
            raise ValueError(f"The names {reserved} of fields of {cls.__name__} are reserved.")
        spec = vars(cls).get("Spec", ExtensionTypeSpec)
        if not isinstance(spec, type):
            raise ValueError(f"{cls.__name__}.Spec must be a nested class. Received: {spec!r}")
        own = () if spec is ExtensionTypeSpec else (spec,)  # with methods of the class
        around = sys._getframe(1)  # of the class statement: classes may be those of a function
        for name, hint in inspect.get_annotations(cls).items():
            if isinstance(hint, str):
                with contextlib.suppress(NameError, AttributeError):  # of a class that comes later
                    hint = eval(hint, around.f_globals, around.f_locals)
                    cls.__annotations__[name] = hint
            _check_hint(name, hint)
        if "__init__" not in vars(cls):
            cls.__init__ = _constructor(cls)
        named = {"value_type": cls, "__module__": cls.__module__}
        named["__qualname__"] = f"{cls.__qualname__}.Spec"
        cls.Spec = _SpecKind("Spec", (*own, ExtensionTypeSpec), named)
        jax.tree_util.register_pytree_node(
            cls,
            _flatten,
            lambda constant, parts: cls.__tf_unflatten__(constant, parts),
        )

    def _operate(self, name: str, function: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        found = self if name == "identity" else dispatch.operate(function, args, kwargs)
        return super()._operate(name, function, args, kwargs) if found is NotImplemented else found

    def __validate__(self) -> None:
        """Raises an error if the fields do not fit each other."""

    def __setattr__(self, name: str, value: Any) -> None:
        _refuse_changes(self, name, _OF_TENSORS in vars(self))
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        _refuse_changes(self, name)

    def __tf_flatten__(self) -> tuple[Any, tuple[Any, ...]]:
        """The constants with the names of all fields, and the tensors."""
        tensors = vars(self)[_OF_TENSORS]
        fields = {name: _thawed(value) for name, value in fields_of(self).items()}
        constant = tuple(
            (name, None if name in tensors else Static(value)) for name, value in fields.items()
        )
        return constant, tuple(value for name, value in fields.items() if name in tensors)

    @classmethod
    def __tf_unflatten__(cls, constant: Any, parts: tuple[Any, ...]) -> Any:
        return _unflatten(cls, constant, parts)

    def __eq__(self, other: object) -> Any:
        if type(other) is not type(self):
            return False
        (constant, parts), (theirs, others) = self.__tf_flatten__(), other.__tf_flatten__()
        if constant != theirs:
            return False
        pairs = zip(jax.tree.leaves(parts), jax.tree.leaves(others), strict=True)
        equal = [tuple(a.shape) == tuple(b.shape) and table.equal(a, b) for a, b in pairs]
        if any(e is False for e in equal):
            return convert_to_tensor(False)
        return table.reduce_all(ops.stack([table.reduce_all(e) for e in equal] or [True]))

    def __ne__(self, other: object) -> Any:
        equal = self == other
        return table.logical_not(equal) if isinstance(equal, Tensor) else not equal

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in fields_of(self).items())
        return f"{type(self).__qualname__}({fields})"


class BatchableExtensionType(ExtensionType):
    """An `ExtensionType` whose objects data sets can divide and batch, as they can all here. A
    `tf.TensorShape` in a field gets the axes that are added to the tensors, and loses those that
    are removed.

    >>> class Point(tf.experimental.BatchableExtensionType):
    ...     x: tf.Tensor
    >>> dataset = tf.data.Dataset.from_tensor_slices(Point(tf.constant([1, 2])))
    >>> [int(point.x) for point in dataset]
    [1, 2]
    """

    def __tf_flatten__(self) -> tuple[Any, tuple[Any, ...]]:
        constant, parts = super().__tf_flatten__()
        return (constant, _first_shape(parts)), parts

    @classmethod
    def __tf_unflatten__(cls, constant: Any, parts: tuple[Any, ...]) -> Any:
        fields, before = constant
        now = _first_shape(parts)
        if before is not None and now is not None:
            fields = tuple((name, _batched(field, before, now)) for name, field in fields)
        return _unflatten(cls, fields, parts)


def _first_shape(parts: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The shape of the first tensor, if it has one."""
    leaves = jax.tree.leaves(parts, is_leaf=is_leaf)
    shape: Any = getattr(leaves[0], "shape", None) if leaves else None
    if shape is None or getattr(shape, "rank", 0) is None:
        return None
    return tuple(shape)


def _batched(field: Static | None, before: Any, now: Any) -> Static | None:
    """A constant field of an object whose first tensor had one shape and now has another. The axes
    that a TensorShape has in common with the former shape are those of the latter."""
    if field is None or before == now or not isinstance(field.value, TensorShape):
        return field
    old = field.value.as_list()
    alike = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(old, before)))
    count = alike + len(now) - len(before)
    return Static(TensorShape([*now[: max(count, 0)], *old[alike - min(count, 0) :]]))


def _unflatten(cls: type, constant: Any, parts: Any) -> Any:
    made: Any = object.__new__(cls)
    left = iter(parts)
    fields = {
        name: _frozen(next(left) if value is None else value.value) for name, value in constant
    }
    vars(made).update(fields)
    vars(made)[_OF_TENSORS] = frozenset(name for name, value in constant if value is None)
    return made


def _has_tensors(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return any(map(_has_tensors, value))
    if isinstance(value, collections.abc.Mapping):
        return any(map(_has_tensors, value.values()))
    kinds = (Boxed, Structure, ExtensionType, nnx.Variable, jax.Array, TensorSpec)
    return isinstance(value, kinds)


def _converted(name: str, hint: Any, value: Any) -> Any:
    """The value of a field as its annotation says."""
    refused = lambda: TypeError(f"{name} must be {_shown(hint)}. Received: {value!r}")  # noqa: E731
    if hint is Tensor:
        if isinstance(value, (Structure, ExtensionType)) or value is None:
            raise refused()
        return convert_to_tensor(value)
    convert = _FROM_ANY.get(hint)
    if convert is not None:
        return convert(value)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        for each in typing.get_args(hint):
            try:
                return _converted(name, each, value)
            except (TypeError, ValueError):
                continue
        raise refused()
    return _of_structure(name, hint, value, refused)


_FROM_ANY: dict[Any, Callable] = {
    Any: lambda value: value,
    DType: dtypes.as_dtype,
    TensorShape: TensorShape,
}


def _of_structure(name: str, hint: Any, value: Any, refused: Callable) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        if not isinstance(value, (tuple, list)):
            raise refused()
        hints = args[:1] * len(value) if args[1:] == (...,) else args
        if len(hints) != len(value):
            raise refused()
        return tuple(_converted(name, *pair) for pair in zip(hints, value))
    if origin in (collections.abc.Mapping, dict):
        if not isinstance(value, collections.abc.Mapping):
            raise refused()
        return ImmutableDict({k: _converted(name, args[1], v) for k, v in value.items()})
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    kind = type(None) if hint is None else hint
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise refused()
    return value


def _shown(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint)
