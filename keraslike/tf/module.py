"""`tf.Module`, the base class of objects with variables, and `tf.name_scope`."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax

from keraslike.core import base, context, naming
from keraslike.core.structures import iter_leaves
from keraslike.layers.layer import Layer


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
        self._entered = contextlib.ExitStack()

    def __enter__(self) -> str:
        own = tuple(part for part in self.name.split("/") if part)
        around = () if not own or self.name.endswith("/") else context.state.names
        self._entered.enter_context(context.using(names=(*around, *own)))
        if own:
            self._entered.enter_context(jax.named_scope("/".join(own)))
        return "".join(f"{name}/" for name in (*around, *own))

    def __exit__(self, *error: Any) -> None:
        self._entered.close()


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

    def __init__(self, name: str | None = None):
        if name is None:
            name = naming.to_snake_case(type(self).__name__)
        if not str(name).isidentifier():
            raise ValueError(f"{name!r} is not a valid module name: it must be a Python name.")
        self._name = str(name)
        self._scope = "".join(f"{part}/" for part in (*context.state.names, self._name))

    @property
    def name(self) -> str:
        """The name of the module."""
        return self._name

    @property
    def name_scope(self) -> Any:
        """A context in which names begin with that of the module, regardless of enclosing
        scopes."""
        return name_scope(self._scope)

    @classmethod
    def with_name_scope(cls, method: Callable) -> Callable:
        """A decorator of a method, which runs it in the module's `name_scope`."""

        @functools.wraps(method)
        def named(self: Any, *args: Any, **kwargs: Any) -> Any:
            with self.name_scope:
                return method(self, *args, **kwargs)

        return named

    # Variables are in the order of the names of their attributes, those of an object before those
    # of its submodules, without repetitions.
    def _all(self, wanted: Callable[[Any], bool]) -> tuple[Any, ...]:
        found: dict[int, Any] = {}
        objects: list[Any] = [self]
        seen = {id(self)}
        for obj in objects:  # the loop appends to the list
            for item in _held(obj):
                if wanted(item):
                    found.setdefault(id(item), item)
                if not base.is_variable(item) and id(item) not in seen:
                    seen.add(id(item))
                    objects.append(item)
        return tuple(found.values())

    @property
    def variables(self) -> tuple[Any, ...]:
        """The variables of this module and of its submodules."""
        return self._all(base.is_variable)

    @property
    def trainable_variables(self) -> tuple[Any, ...]:
        """The trainable variables."""
        return self._all(lambda x: base.is_variable(x) and bool(getattr(x, "trainable", False)))

    @property
    def non_trainable_variables(self) -> tuple[Any, ...]:
        """The variables that are not trainable."""
        return self._all(lambda x: base.is_variable(x) and not getattr(x, "trainable", False))

    @property
    def submodules(self) -> tuple[Any, ...]:
        """All modules and layers in its attributes, and in theirs."""
        return tuple(
            x for x in self._all(lambda x: isinstance(x, (Module, Layer))) if x is not self
        )


def _held(obj: Any) -> Iterator[Any]:
    if not isinstance(obj, Module):
        yield from base.own_state(obj)
        return
    for _, value in sorted(obj._state_attributes()):
        yield from filter(base.is_state, iter_leaves(value, base.is_state))
