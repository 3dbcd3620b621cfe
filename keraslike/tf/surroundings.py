"""Detection of changes in globals and closures that Python functions read."""

from __future__ import annotations

import contextlib
import dis
import operator
import types
from collections.abc import Iterator
from typing import Any

from keraslike.core import base


class Surroundings:
    """A snapshot of the globals and closures that users' functions below an object read.

    A compiled call has such values as constants, so it must be traced again when they change. The
    functions are `call` of users' classes, functions in attributes, and those that they refer to.

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
        for root in roots:
            for obj in base.iter_objects(root):
                self._add_functions_of(obj)
        self._known = self._now()

    def are_current(self) -> bool:
        """Whether each name still refers to the same object."""
        return all(map(operator.is_, self._now(), self._known))

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
        for value in list(vars(obj).values()):
            self._add(getattr(value, "__func__", value))

    def _add(self, function: Any) -> list[str]:
        """Adds a function and those that it refers to. Returns the attribute names that it uses."""
        if not _is_users(function) or id(function) in self._seen:
            return []
        self._seen.add(id(function))
        attributes, read = [], []
        for code in _codes(function.__code__):
            attributes += code.co_names
            for step in dis.get_instructions(code):
                if step.opname == "LOAD_GLOBAL" and step.argval in function.__globals__:
                    self._globals.append((function.__globals__, step.argval))
                    read.append(function.__globals__[step.argval])
        self._cells += function.__closure__ or ()
        for cell in function.__closure__ or ():
            with contextlib.suppress(ValueError):
                read.append(cell.cell_contents)
        for value in read:
            self._add(value)
        return attributes


_MISSING = object()


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
