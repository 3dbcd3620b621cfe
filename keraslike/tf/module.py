"""`tf.Module`, the base class of objects with variables, and `tf.name_scope`."""

from __future__ import annotations

import abc
import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import jax

from keraslike.core import base, context, flax_internals, naming
from keraslike.layers.layer import Layer
from keraslike.tf import nest

_entered = threading.local()  # The scopes that the thread has entered, in `stacks`.


class name_scope:  # noqa: N801 (TensorFlow's name)
    """A context in which names of variables have a prefix.

    Args:
        name: the prefix, which may contain `/`. One that ends with `/`, or is empty, replaces the
            enclosing prefixes.

    >>> with tf.name_scope("outer") as scope:
    ...     scope, tf.Variable(1.0, name="x").name
    ('outer/', 'outer/x:0')
    """

    def __init__(self, name: str | None):
        self.name = name or ""

    def __enter__(self) -> str:
        own = tuple(part for part in self.name.split("/") if part)
        around = () if not own or self.name.endswith("/") else context.state.names
        stack = contextlib.ExitStack()
        stack.enter_context(context.using(names=(*around, *own)))
        if own:
            stack.enter_context(jax.named_scope("/".join(own)))
        vars(_entered).setdefault("stacks", []).append(stack)
        return "".join(f"{name}/" for name in (*around, *own))

    def __exit__(self, *error: Any) -> None:
        _entered.stacks.pop().close()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, name_scope) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)


class Module(base.Object):
    """An object with variables and other modules in its attributes.

    Args:
        name: a Python identifier, by default the name of the class in snake case.

    Raises ValueError for another name.

    >>> class Dense(tf.Module):
    ...     def __init__(self, inputs, outputs, name=None):
    ...         super().__init__(name=name)
    ...         self.w = tf.Variable(tf.ones([inputs, outputs]), name="w")
    ...         self.b = tf.Variable(tf.zeros([outputs]), name="b")
    ...     def __call__(self, x):
    ...         return x @ self.w + self.b
    >>> dense = Dense(2, 3)
    >>> dense.name, [v.name for v in dense.variables], dense(tf.ones([1, 2])).shape
    ('dense', ['b:0', 'w:0'], TensorShape([1, 3]))
    """

    # Names of attributes that `_flatten` leaves out.
    _TF_MODULE_IGNORED_PROPERTIES: ClassVar[frozenset[str]] = frozenset()

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        # Otherwise done by flax's metaclass, which this class does not have: see below.
        return flax_internals.prepared(super().__new__(cls, *args, **kwargs))

    def __init__(self, name: str | None = None):
        if name is None:
            name = naming.to_snake_case(type(self).__name__)
        if not str(name).isidentifier():
            raise ValueError(f"{name!r} is not a valid module name: it must be a Python name.")
        self._name = str(name)
        scope = "".join(f"{part}/" for part in (*context.state.names, self._name))
        self._name_scope = name_scope(scope)

    @property
    def name(self) -> str:
        """The name of the module."""
        return self._name

    @property
    def name_scope(self) -> Any:
        """A context in which names begin with that of the module, regardless of enclosing
        scopes."""
        return self._name_scope

    @classmethod
    def with_name_scope(cls, method: Callable) -> Callable:
        """A decorator of a method, which runs it in the module's `name_scope`."""

        @functools.wraps(method)
        def named(self: Any, *args: Any, **kwargs: Any) -> Any:
            with self.name_scope:
                return method(self, *args, **kwargs)

        return named

    def _flatten(
        self,
        recursive: bool = True,
        predicate: Callable[[Any], bool] | None = None,
        attribute_traversal_key: Callable[[str], Any] | None = None,
        with_path: bool = False,
        expand_composites: bool = False,
    ) -> Iterator[Any]:
        """The values in the attributes of this module, then those of its submodules.

        Subclasses call or override it: libraries list parameters of types of their own by it.

        Args:
            recursive: whether to list the values in submodules.
            predicate: a function that tells which values are listed, by default all.
            attribute_traversal_key: by what attributes are sorted, by default by name.
            with_path: whether to yield pairs of a path of attributes, keys and indices, and a
                value, which is then listed for each of its paths.
            expand_composites: whether to list the parts of sparse and ragged tensors,
                `IndexedSlices` and extension types.
        """
        key, expand = attribute_traversal_key, expand_composites
        seen = None if with_path else {id(self)}
        found = _values(self, (), recursive, predicate, key, expand, seen, ())
        return found if with_path else (value for _, value in found)

    @property
    def variables(self) -> tuple[Any, ...]:
        """The variables of this module and of its submodules."""
        return tuple(self._flatten(predicate=base.is_variable, expand_composites=True))

    @property
    def trainable_variables(self) -> tuple[Any, ...]:
        """The trainable variables."""
        return tuple(self._flatten(predicate=_is_trainable, expand_composites=True))

    @property
    def non_trainable_variables(self) -> tuple[Any, ...]:
        """The variables that are not trainable."""
        wanted = lambda x: base.is_variable(x) and not _is_trainable(x)  # noqa: E731
        return tuple(self._flatten(predicate=wanted, expand_composites=True))

    @property
    def submodules(self) -> tuple[Any, ...]:
        """All modules and layers in its attributes, and in theirs."""
        return tuple(self._flatten(predicate=lambda x: isinstance(x, (Module, Layer))))


# A class and its base class need related metaclasses. Without one of its own, `Module` leaves the
# metaclass to the classes that derive from it, as in TensorFlow: Sonnet's modules have one.
Module.__class__ = abc.ABCMeta  # type: ignore[assignment]


def _is_trainable(x: Any) -> bool:
    return base.is_variable(x) and bool(getattr(x, "trainable", False))


def _values(
    obj: Any,
    path: tuple[Any, ...],
    recursive: bool,
    predicate: Callable[[Any], bool] | None,
    key: Callable[[str], Any] | None,
    expand: bool,
    seen: set[int] | None,
    above: tuple[Any, ...],
) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """The values of `Module._flatten` with their paths, those in layers included."""
    inner: list[tuple[tuple[Any, ...], Any]] = []
    cyclic = any(obj is each for each in above)
    for name, value in _attributes(obj, key):
        try:
            leaves = list(_leaves(obj, value, expand))
        except Exception as cause:
            raise ValueError(f"Error processing property {name!r} of {value!r}") from cause
        for place, leaf in leaves:
            if seen is not None:
                if id(leaf) in seen:
                    continue
                seen.add(id(leaf))
            place = (*path, name, *place)
            if predicate is None or predicate(leaf):
                yield place, leaf
            if base.is_state(leaf) and not base.is_variable(leaf):
                inner.append((place, leaf))
    if recursive and not cyclic:
        for place, leaf in inner:
            yield from _values(leaf, place, recursive, predicate, key, expand, seen, (*above, obj))


def _attributes(obj: Any, key: Callable[[str], Any] | None) -> list[tuple[str, Any]]:
    """A module's attributes in their order; those of other objects in the order of assignment."""
    if isinstance(obj, Module):
        ignored = obj._TF_MODULE_IGNORED_PROPERTIES
        found = {name: value for name, value in obj._state_attributes() if name not in ignored}
        return [(name, found[name]) for name in sorted(found, key=key)]
    return list(obj._state_attributes() if isinstance(obj, base.Object) else vars(obj).items())


def _leaves(obj: Any, value: Any, expand: bool) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(obj, Module):
        return nest.with_paths(value, expand)
    return (((i,), item) for i, item in enumerate(base.iter_state(value)))
