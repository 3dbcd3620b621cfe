"""Notes on errors: the layer in whose call an error was raised, and what it was called with."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from keraslike.core.symbolic import show_shape

_LONGEST = 60  # characters of an argument that is no tensor


def note_call(
    error: Exception, layer: Any, names: Sequence[str], args: tuple, kwargs: dict[str, Any]
) -> None:
    """Adds to an error what the layer that raised it was called with, unless the error names it.

    The layers around that one, which the error passes on its way, add nothing.

    Args:
        error: what the call raised.
        layer: the layer, which has a name.
        names: what the positional arguments are called.
        args, kwargs: the arguments of the call.
    """
    # What cannot be described must not take the place of the error.
    with contextlib.suppress(Exception):
        if "_in_layer" in vars(error):
            return
        vars(error)["_in_layer"] = layer.name
        if f"'{layer.name}'" in str(error):
            return
        given = [f"  {name}={_described(a)}" for name, a in (*zip(names, args), *kwargs.items())]
        given += [f"  {_described(a)}" for a in args[len(names) :]]
        error.add_note(
            "\n".join(
                [f"In the call of layer '{layer.name}' ({type(layer).__name__}) with", *given]
            )
        )


def _described(value: Any) -> str:
    """A tensor's shape and dtype, in any nesting; other values as they are where that is short."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"<shape {show_shape(value.shape)}, {value.dtype}>"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {_described(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_described, value)) + "]"
    shown = repr(value)
    return shown if len(shown) <= _LONGEST else f"<{type(value).__name__}>"
