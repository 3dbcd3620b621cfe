"""What of a layer is asked for by names of Keras's that are not public: packages and layers that
derive from Keras's use them."""

from __future__ import annotations

from typing import Any

from flax import nnx

from keraslike.core import base
from keraslike.core.variable import Param


class _Answer:
    """A name that a layer answers to unless an attribute of its own has it."""

    def __init__(self, of: Any):
        self.of = of

    def __get__(self, layer: Any, cls: type) -> Any:
        return self if layer is None else self.of(layer)


class _Tracker:
    """Whether a layer takes weights and layers that it has not got yet."""

    def __init__(self, layer: Any):
        self._layer = layer

    @property
    def locked(self) -> bool:
        return self._layer._complete

    def lock(self, msg: str | None = None) -> None:
        self._layer._complete = True

    def unlock(self) -> None:
        self._layer._complete = False


def _own(layer: Any, trains: bool) -> list[Any]:
    return [v for v in base.own_variables(layer) if isinstance(v, Param) is trains]


ANSWERS = {
    "_layers": lambda layer: layer._sublayers,
    "_trainable_variables": lambda layer: _own(layer, True),
    "_non_trainable_variables": lambda layer: _own(layer, False),
    "_dtype_policy": lambda layer: layer.dtype_policy,
    "_tracker": _Tracker,
}


class KerasNames:
    """The names in `ANSWERS` and some methods."""

    def _track_variable(self: Any, variable: nnx.Variable) -> None:
        vars(self).setdefault("_weights", []).append(variable)

    def _untrack_variable(self: Any, variable: nnx.Variable) -> None:
        """Takes a weight from the layer: attributes that hold it are `None` then."""
        if "_weights" in vars(self):
            self._weights[:] = [v for v in self._weights if v is not variable]
        for name, value in list(vars(self).items()):
            if value is variable:
                vars(self)[name] = None


for _name, _of in ANSWERS.items():
    setattr(KerasNames, _name, _Answer(_of))
