"""Detection of what Python functions do besides computing their results from their arguments."""

from __future__ import annotations

import argparse
import contextlib
import dis
import operator
import random
import sys
import types
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from flax import nnx

from keraslike.core import base
from keraslike.core.boxed import Boxed


class Surroundings:
    """A snapshot of the globals and closures that users' functions below an object read.

    A compiled call has such values as constants, so it must be traced again when they change. The
    functions are `call` of users' classes, functions in attributes, and those that they refer to.

    A call whose functions print, draw numbers that are not TensorFlow's, or read the items of a
    list or the attributes of an object that change, is not to be compiled at all: `need_python`.

    >>> from keraslike import layers
    >>> def layer_of(scale):
    ...     def rescale(value):
    ...         nonlocal scale
    ...         scale = value
    ...     return layers.Lambda(lambda x: x * scale), rescale
    >>> layer, rescale = layer_of(2.0)
    >>> surroundings = Surroundings(layer)
    >>> surroundings.are_current()
    True
    >>> rescale(3.0)
    >>> surroundings.are_current()
    False
    """

    def __init__(self, *roots: Any):
        self._globals: list[tuple[dict[str, Any], str]] = []
        self._cells: list[Any] = []
        self._seen: set[int] = set()
        self._read: list[tuple[Any, tuple[str, ...]]] = []  # values, and names of their attributes
        self._acts = False  # whether a function has effects
        for root in roots:
            for obj in base.iter_objects(root):
                self._add_functions_of(obj)
        self._known = self._now()
        self._contents = self._contents_now()

    def are_current(self) -> bool:
        """Whether each name still refers to the same object."""
        return all(map(operator.is_, self._now(), self._known))

    def need_python(self) -> bool:
        """Whether the functions have effects, or what the objects contain has changed."""
        if not self._acts:
            now = self._contents_now()
            self._acts = len(now) != len(self._contents) or not all(
                map(_are_same, now, self._contents)
            )
        return self._acts

    def _contents_now(self) -> list[Any]:
        found: list[Any] = []
        for value, names in self._read:
            _add_contents(value, names, found)
        return found

    def _now(self) -> list[Any]:
        found = [names.get(name, _MISSING) for names, name in self._globals]
        for cell in self._cells:
            try:
                found.append(cell.cell_contents)
            except ValueError:  # the variable of the closure is unassigned
                found.append(_MISSING)
        return found

    def _add_functions_of(self, obj: Any) -> None:
        methods: dict[str, Any] = {}
        for kind in type(obj).__mro__:
            for name, value in vars(kind).items():
                methods.setdefault(name, getattr(value, "__func__", value))
        names = ["call", "__call__"]
        for name in names:  # the loop appends to the list
            function = methods.pop(name, None)
            if _is_users(function):
                names += self._add(function)
        users = _is_of_users(type(obj))
        for value in list(vars(obj).values()):
            self._add(getattr(value, "__func__", value))
            if users and not isinstance(value, (dict, list, tuple)):  # they are state of the object
                self._note(value, ())

    def _add(self, function: Any) -> list[str]:
        """Adds a function and those that it refers to. Returns the attribute names that it uses."""
        if not _is_users(function) or id(function) in self._seen:
            return []
        self._seen.add(id(function))
        attributes, read = [], []
        for code in _codes(function.__code__):
            attributes += code.co_names
            before = None
            for step in dis.get_instructions(code):
                name, found = step.argval, None
                if step.opname == "LOAD_GLOBAL" and name in function.__globals__:
                    self._globals.append((function.__globals__, name))
                    found = function.__globals__[name]
                    read.append(found)
                elif step.opname == "LOAD_GLOBAL":
                    self._acts |= name in _EFFECTS
                self._acts |= step.opname == "STORE_GLOBAL"
                self._acts |= before is np and name == "random"
                before = found
        self._cells += function.__closure__ or ()
        for cell in function.__closure__ or ():
            with contextlib.suppress(ValueError):
                read.append(cell.cell_contents)
        for value in read:
            self._add(value)
            self._note(value, tuple(attributes))
        return attributes

    def _note(self, value: Any, names: tuple[str, ...]) -> None:
        """Notes a value that a function reads, whose contents may change."""
        if isinstance(value, types.ModuleType):
            self._acts |= value.__name__ in _OF_CHANCE
            if not _is_of_users(value):
                return
        self._acts |= isinstance(value, (*_GENERATORS, Iterator))
        if _has_contents(value):
            self._read.append((value, names))


_MISSING = object()
# What a call does in addition to returning a value, or what has another value in each call.
_EFFECTS = ("print", "next", "input", "open")
_OF_CHANCE = ("random", "time", "datetime", "secrets", "uuid", "numpy.random")
_GENERATORS = (random.Random, np.random.Generator, np.random.RandomState)
_CONSTANTS = (bool, int, float, complex, str, bytes, type(None))
# Arrays of more bytes, and lists of more items, are not compared.
_LARGEST, _MOST_ITEMS = 4096, 256


def _has_contents(value: Any) -> bool:
    if isinstance(value, (*_CONSTANTS, types.FunctionType)):
        return False
    if isinstance(value, (list, tuple, set, frozenset, dict, np.ndarray)):
        return True
    if isinstance(value, (type, types.ModuleType)):
        return _is_of_users(value)
    if isinstance(value, (nnx.Variable, Boxed, base.Object)):
        return False
    return isinstance(value, _NAMESPACES) or _is_of_users(type(value))


def _add_contents(value: Any, names: Iterable[str], found: list[Any], depth: int = 3) -> None:
    """Adds a value, and what it contains, to a list. Of the attributes of a class or a module of
    users, those of the given names are its contents."""
    found.append(value)
    if not _has_contents(value):
        return
    if isinstance(value, np.ndarray):
        if value.nbytes <= _LARGEST and value.dtype != object:
            found.append(value.tobytes())
        return
    inner: Iterable[Any]
    if isinstance(value, (list, tuple, set, frozenset, dict)):
        found.append(len(value))
        if len(value) > _MOST_ITEMS:
            return
        inner = [*value, *value.values()] if isinstance(value, dict) else value
    elif isinstance(value, (type, types.ModuleType)):
        inner = [vars(value)[name] for name in names if name in vars(value)]
    else:
        inner = list(getattr(value, "__dict__", {}).values())
    if depth:
        for item in inner:
            _add_contents(item, names, found, depth - 1)


_NAMESPACES = (types.SimpleNamespace, argparse.Namespace)


def _are_same(a: Any, b: Any) -> bool:
    return a is b or (type(a) is type(b) and isinstance(a, _CONSTANTS) and a == b)


def _is_of_users(value: Any) -> bool:
    """Whether a class or module is the user's, and not a library's."""
    module = sys.modules.get(value.__module__, None) if isinstance(value, type) else value
    path = getattr(module, "__file__", None)
    if path is None:  # of a notebook or a session, or built in
        return getattr(module, "__name__", None) == "__main__"
    return not ("site-packages" in path or path.startswith((_OURS, _PYTHONS)))


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """The code of a function and of its nested functions."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _is_users(value: Any) -> bool:
    """Whether a function is the user's, and not a library's, which does not change."""
    if not isinstance(value, types.FunctionType):
        return False
    path = value.__code__.co_filename
    return not ("site-packages" in path or path.startswith(_OURS))


_OURS = __file__.rpartition("tf")[0]
_PYTHONS = operator.__file__.rpartition("operator")[0]
