"""The names that a data set's functions read, as they are when the data set is made.

TensorFlow traces a function when it is given to `map`. Names that are bound to other values later,
such as the variable of a loop that makes several data sets, do not change what it computes.
"""

from __future__ import annotations

import builtins
import dis
import types
from collections.abc import Iterator
from typing import Any


def fixed(function: Any) -> Any:
    """The function with the values that the names from around it have now.

    A name stays as it is where the function assigns to it or has no value for it yet. All names do
    that the functions within a function read if it has some of them called by Python.
    """
    if type(function) is not types.FunctionType:
        return function
    code, closure = function.__code__, function.__closure__ or ()
    around, within = function.__globals__, list(_within(code))
    live = {name for each in (code, *within) for name in _named(each, _ASSIGNING)}
    if _RUN_PYTHON.intersection(code.co_names):
        live.update(name for each in within for name in (*_globals(each), *each.co_freevars))
    cells = [
        types.CellType(cell.cell_contents) if name not in live and _has_value(cell) else cell
        for name, cell in zip(code.co_freevars, closure)
    ]
    read = {name for each in (code, *within) for name in _globals(each)}
    data = {name for name in read if _is_data(around.get(name))}
    if data and not data & live and not any(n not in around for n in read - set(dir(builtins))):
        kept = {name for name in around if name in read or name.startswith("__")}
        around = {name: around[name] for name in kept}
    elif all(a is b for a, b in zip(cells, closure)):
        return function
    made = types.FunctionType(
        code, around, function.__name__, function.__defaults__, tuple(cells) or None
    )
    for name in ("__kwdefaults__", "__doc__", "__module__", "__qualname__", "__annotations__"):
        setattr(made, name, getattr(function, name))
    made.__dict__.update(function.__dict__)
    return made


_RUN_PYTHON = frozenset({"py_function", "numpy_function", "py_func"})
_ASSIGNING = ("STORE_DEREF", "DELETE_DEREF", "STORE_GLOBAL", "DELETE_GLOBAL")


def _within(code: types.CodeType) -> Iterator[types.CodeType]:
    """The code of the functions and comprehensions that a function defines."""
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            yield each
            yield from _within(each)


def _named(code: types.CodeType, instructions: tuple[str, ...]) -> list[str]:
    """The names that some kinds of instructions are about."""
    return [i.argval for i in dis.get_instructions(code) if i.opname in instructions]


def _globals(code: types.CodeType) -> list[str]:
    return _named(code, ("LOAD_GLOBAL", "LOAD_NAME"))


def _has_value(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _is_data(value: Any) -> bool:
    """Whether a global name has a value that is no module, class or function."""
    return value is not None and not isinstance(value, types.ModuleType) and not callable(value)
