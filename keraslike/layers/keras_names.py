"""Private names of Keras's layers that other packages use, and their values here."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from flax import nnx

from keraslike import ops, random
from keraslike.core import base, context
from keraslike.core.errors import InvalidArgument
from keraslike.core.variable import Param, Variable
from keraslike.layers.shapes import kinds_of

INHERITED = frozenset({"training"})


class _Answer:
    """A read-only default for a name, which an attribute of the instance overrides."""

    def __init__(self, of: Any):
        self.of = of

    def __get__(self, layer: Any, cls: type) -> Any:
        return self if layer is None else self.of(layer)


class Backend:
    """The functions that layers which prepare data have as `self.backend`."""

    name = _backend = "jax"
    random = random

    def __getattr__(self, name: str) -> Any:
        return getattr(ops, name)


class _Tracker:
    """Controls whether a layer accepts further weights and sublayers."""

    def __init__(self, layer: Any):
        self._layer = layer

    @property
    def locked(self) -> bool:
        return self._layer._state_complete

    def lock(self, msg: str | None = None) -> None:
        self._layer._state_complete = True

    def unlock(self) -> None:
        self._layer._state_complete = False

    def track(self, attr: Any) -> Any:
        """Adds weights and layers to the layer, as if they were in an attribute; returns them."""
        known = set(map(id, base.own_state(self._layer)))
        if new := [o for o in base.iter_state(attr) if id(o) not in known]:
            if self.locked:
                self._layer._check_open("what is tracked")
            vars(self._layer).setdefault("_added_weights", []).extend(new)
        return attr


def _is_metric(o: Any) -> bool:
    return isinstance(o, base.Object) and o._object_kind == "metric"


def _own(layer: Any, trains: bool) -> list[Any]:
    return [v for v in base.own_variables(layer) if isinstance(v, Param) is trains]


ANSWERS = {
    "_layers": lambda layer: layer._sublayers,
    "_metrics": lambda layer: [m for m in base.own_state(layer) if _is_metric(m)],
    "_trainable_variables": lambda layer: _own(layer, True),
    "_non_trainable_variables": lambda layer: _own(layer, False),
    "_dtype_policy": lambda layer: layer.dtype_policy,
    "_tracker": _Tracker,
}


def shape_first(add_weight: Callable) -> Callable:
    """Wraps `add_weight` to check its positional arguments."""

    @functools.wraps(add_weight)
    def checked(self: Any, *args: Any, **kwargs: Any) -> Variable:
        if len(args) > 3:
            raise TypeError(
                "add_weight() takes at most 3 positional arguments, shape, initializer and dtype. "
                f"Received: {len(args)}"
            )
        if args and isinstance(args[0], str):
            raise InvalidArgument(
                f"`name` must be passed as a keyword argument: add_weight(name={args[0]!r}, "
                f"shape=...). Received: {args[0]!r} as the first argument, which is the shape."
            )
        for name in ("shape", "initializer", "dtype")[: len(args)]:
            if name in kwargs:
                raise InvalidArgument(
                    f"`{name}` was passed both positionally and as a keyword argument."
                )
        return add_weight(self, *args, **kwargs)

    return checked


class KerasNames:
    """The names in `ANSWERS` and some methods."""

    # The shapes and dtypes of the arguments of the first call, once there was one.
    _called: Any = False
    _call_context_args = INHERITED  # The arguments that nested calls inherit.

    def _note_called(self, args: tuple) -> None:
        if not self._called:
            self._called = tuple(map(kinds_of, args)) or True

    def _register_call_context_args(self: Any, *names: str) -> None:
        """Registers arguments, besides `training`, for inheritance: nested calls of layers that
        have registered the same argument receive the value that this layer is called with.

        Raises RuntimeError for a layer that has been called.
        """
        if self._called:
            raise RuntimeError(
                "Cannot add call-context args after the layer has been called. "
                f"Received: {names} for layer '{self.name}'"
            )
        self._call_context_args = self._call_context_args | set(names)

    def _inherit(self: Any, takes: frozenset[str], kwargs: dict[str, Any]) -> None:
        """Adds the inherited arguments to a call's keyword arguments."""
        known = dict(context.state.inherited)
        for name in self._call_context_args - {"training"}:
            if (given := kwargs.pop(name, None)) is not None:
                known[name] = given
            if name in takes and name in known:
                kwargs[name] = known[name]
        context.state.inherited = known

    def _track_variable(self: Any, variable: nnx.Variable) -> None:
        vars(self).setdefault("_added_weights", []).append(variable)

    def _untrack_variable(self: Any, variable: nnx.Variable) -> None:
        """Removes a weight from the layer; attributes that hold it become `None`."""
        if "_added_weights" in vars(self):
            self._added_weights[:] = [v for v in self._added_weights if v is not variable]
        for name, value in list(vars(self).items()):
            if value is variable:
                vars(self)[name] = None


for _name, _of in ANSWERS.items():
    setattr(KerasNames, _name, _Answer(_of))
