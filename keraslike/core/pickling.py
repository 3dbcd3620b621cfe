"""Pickling of what pickle refuses: nested functions, lambdas, and objects of nested classes."""

from __future__ import annotations

import copyreg
import dataclasses
import importlib
import marshal
import sys
import types
import weakref
from typing import Any

import jax

from keraslike.core import registry
from keraslike.core.structures import map_leaves


def picklable(value: Any) -> Any:
    """A value in which functions that cannot be imported by name are packed, in lists, tuples and
    dicts too.

    A packed function is restored from its code and its closure.

    >>> import pickle
    >>> def create_scale(factor):
    ...     return lambda x: factor * x
    >>> (function,) = pickle.loads(pickle.dumps(picklable([create_scale(3)])))
    >>> function(2)
    6
    """
    return map_leaves(_picklable, value, lambda v: type(v) not in (list, tuple, dict))


def _picklable(value: Any) -> Any:
    if isinstance(value, types.FunctionType):
        return value if is_found(value) else _packed.setdefault(id(value), _ByValue(value))
    if isinstance(value, (jax.custom_jvp, jax.custom_vjp)):  # pickle would look into them.
        return _ByName(value) if is_found(value) else value
    return value


def reduce(self: Any, protocol: Any) -> Any:
    """`__reduce_ex__` for objects whose class may have been defined in a function.

    As where Keras unpickles a model, such a class is found by the name under which it was
    registered, or among the custom objects in scope.
    """
    reduced = object.__reduce_ex__(self, protocol)
    if reduced[0] is not copyreg.__newobj__ or is_found(type(self)):  # type: ignore[attr-defined]
        return reduced
    return _new, (_ByRegisteredName(type(self)),), *reduced[2:]


def is_found(function: Any) -> bool:
    try:
        return find(function.__module__, function.__qualname__) is function
    except (AttributeError, KeyError):
        return False


def find(module: str, qualname: str) -> Any:
    found = sys.modules[module] if module in sys.modules else importlib.import_module(module)
    for name in qualname.split("."):
        found = getattr(found, name)
    return found


@dataclasses.dataclass(eq=False)
class _ByName:
    function: Any

    def __reduce__(self) -> Any:
        return find, (self.function.__module__, self.function.__qualname__)


@dataclasses.dataclass(eq=False)
class _ByRegisteredName:
    cls: type

    def __reduce__(self) -> Any:
        return _find_registered, (registry.get_registered_name(self.cls),)


def _find_registered(name: str) -> type:
    found = registry.get_registered_object(name)
    if found is None:
        raise TypeError(
            f"The class {name!r} is not known here. Register it by "
            "@register_keras_serializable(), or unpickle the object within a custom_object_scope "
            "that has it."
        )
    return found


def _new(cls: Any) -> Any:
    """An object without attributes; copy.copy passes the class as it was packed."""
    return object.__new__(cls.cls if isinstance(cls, _ByRegisteredName) else cls)


@dataclasses.dataclass(eq=False)
class _ByValue:
    function: types.FunctionType

    def __reduce__(self) -> Any:
        f = self.function
        cells = tuple(cell.cell_contents for cell in f.__closure__ or ())
        return _make, (
            marshal.dumps(f.__code__),
            f.__module__,
            (f.__name__, f.__qualname__),
            picklable(f.__defaults__),
            picklable(f.__kwdefaults__),
            picklable(cells),
        )


# While a pickle is written, a function that occurs twice is packed once, so that it is restored as
# one function.
_packed: weakref.WeakValueDictionary[int, _ByValue] = weakref.WeakValueDictionary()


def _make(
    code: bytes,
    module: str,
    names: tuple[str, str],
    defaults: tuple | None,
    keyword_defaults: dict[str, Any] | None,
    cells: tuple,
) -> types.FunctionType:
    namespace = vars(importlib.import_module(module))
    closure = tuple(map(types.CellType, cells))
    function = types.FunctionType(marshal.loads(code), namespace, names[0], defaults, closure)
    function.__qualname__, function.__kwdefaults__ = names[1], keyword_defaults
    return function
