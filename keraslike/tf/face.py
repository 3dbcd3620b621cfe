"""`tf.keras`: keraslike with tensors as eager results.

Its names are those of keraslike, but functions, and the objects that its classes and functions
create, return `tf.Tensor`s from eager calls. The objects are of keraslike's own classes and have a
flag for this (`core/boxed.py`); they can be used, compared and saved like any others.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import types
from typing import Any

import numpy as np

from keraslike import src_names
from keraslike.core import context, registry
from keraslike.core.base import Object
from keraslike.core.boxed import boxed_call
from keraslike.core.configured import Configured
from keraslike.core.variable import Variable
from keraslike.tf.conversion import convert_to_tensor

_ROOT = "keraslike"


class Module(types.ModuleType):
    """A module of keraslike as part of `tf.keras`. Names are looked up on demand."""

    def __init__(self, module: types.ModuleType, name: str):
        super().__init__(name, module.__doc__)
        self._module = module
        self.__all__ = list(getattr(module, "__all__", ()))
        sys.modules[name] = self
        for public in self.__all__:  # so that `import keraslike.tf.keras.layers` finds them
            if isinstance(value := vars(module).get(public), types.ModuleType):
                setattr(self, public, Module(value, f"{name}.{public}"))

    def _old(self) -> types.ModuleType | None:
        place = src_names.OLDER.get(self._module.__name__)
        return importlib.import_module(place) if place else None

    def __getattr__(self, name: str) -> Any:
        old = None if name.startswith("_") or hasattr(self._module, name) else self._old()
        value = getattr(self._module if old is None else old, name)
        if isinstance(value, types.ModuleType) and old is not None:
            value = Module(value, f"{self.__name__}.{name}")
        shown = value if name.startswith("_") else _shown(value)
        setattr(self, name, shown)
        return shown

    def __dir__(self) -> list[str]:
        names = getattr(self._module, "__all__", None) or dir(self._module)
        old = self._old()
        return sorted({*names, *(() if old is None else old.__all__)})

    def __repr__(self) -> str:
        return f"<module {self.__name__!r}, which is {self._module.__name__!r} with tensors>"


def _shown(value: Any) -> Any:
    if inspect.isclass(value):
        return class_of(value) if issubclass(value, (Object, Configured, Variable)) else value
    home = getattr(value, "__module__", None) or ""
    if inspect.isfunction(value) and home.partition(".")[0] == _ROOT:
        return function_of(value)
    return value


class _Function:
    """A function of keraslike whose eager results are tensors. The two are equal, so that
    `layer.activation == tf.keras.activations.relu` holds whichever of them a layer has."""

    def __init__(self, function: Any):
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.__module__.startswith(_OF_VALUES):  # Wide arrays of numpy are wide tensors.
            args, kwargs = tuple(map(_wide, args)), {k: _wide(v) for k, v in kwargs.items()}
        with context.using(boxes=True):
            return boxed_call(self.__wrapped__, args, kwargs)

    def __eq__(self, other: Any) -> bool:
        return other is self or other is self.__wrapped__

    def __hash__(self) -> int:
        return hash(self.__wrapped__)

    def __repr__(self) -> str:
        return repr(self.__wrapped__)

    def __reduce__(self) -> tuple[Any, tuple[Any]]:
        return function_of, (self.__wrapped__,)


_OF_VALUES = (f"{_ROOT}.ops", f"{_ROOT}.activations", f"{_ROOT}.losses", f"{_ROOT}.metrics")


def _wide(x: Any) -> Any:
    if type(x) is np.ndarray and (x.dtype in (np.float64, np.complex128) or _needs_64_bits(x)):
        return convert_to_tensor(x)
    if isinstance(x, np.generic) and _needs_64_bits(np.asarray(x)):
        return convert_to_tensor(x)
    if isinstance(x, list):
        return [_wide(item) for item in x]
    return tuple(map(_wide, x)) if type(x) is tuple else x


def _needs_64_bits(x: np.ndarray) -> bool:
    """Whether some of the integers of an array have no place in 32 bits."""
    if x.dtype not in (np.int64, np.uint64) or not x.size:
        return False
    limits = np.iinfo(np.int32 if x.dtype == np.int64 else np.uint32)
    return bool(x.min() < limits.min or x.max() > limits.max)


@functools.cache
def function_of(function: Any) -> Any:
    """A function of keraslike whose eager results are tensors."""
    if isinstance(function, _Function):
        return function
    call = _Function(function)
    registry.publish_as(call, function)
    return call


# -- classes --------------------------------------------------------------------------------------


class _Stand(type):
    """The metaclass of classes of `tf.keras`, each of which stands for a class of keraslike: it
    creates objects of that class, equals it, and `isinstance` and `issubclass` treat it as that
    class. Classes derived from it are ordinary classes."""

    def __eq__(cls, other: Any) -> bool:
        if not isinstance(other, type):
            return NotImplemented
        return vars(cls).get("_stands_for", cls) is vars(other).get("_stands_for", other)

    def __hash__(cls) -> int:
        return type.__hash__(vars(cls).get("_stands_for", cls))

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        stands_for = vars(cls).get("_stands_for")
        if stands_for is None:
            return super().__call__(*args, **kwargs)
        with context.using(boxes=True):
            return stands_for(*args, **kwargs)

    def __instancecheck__(cls, instance: Any) -> bool:
        stands_for = vars(cls).get("_stands_for")
        if stands_for is None:
            return super().__instancecheck__(instance)
        return stands_for in type(instance).__mro__

    def __subclasscheck__(cls, subclass: type) -> bool:
        stands_for = vars(cls).get("_stands_for")
        if stands_for is None:
            return super().__subclasscheck__(subclass)
        return stands_for in subclass.__mro__  # issubclass() of an ABC would recurse into this


@functools.cache
def _metaclass(kind: type) -> type:
    return type("Stand", (_Stand, kind), {})


@functools.cache
def class_of(cls: type) -> Any:
    """The class of `tf.keras` that stands for one of keraslike."""

    def from_config(sub: type, *args: Any, **kwargs: Any) -> Any:
        with context.using(boxes=True):
            return super(stand, sub).from_config(*args, **kwargs)  # type: ignore[misc]

    stand = stand_for(cls, from_config=classmethod(from_config))
    return stand


def stand_for(cls: type, **more: Any) -> Any:
    """A class that stands for another, whose objects then return tensors."""
    names = {
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
        "_stands_for": cls,
        "_gives_boxes": True,
        **more,
    }
    return _metaclass(type(cls))(cls.__name__, (cls,), names)
