"""Users' layers that map text, in a trace: they are called on the host, before the program runs."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from keraslike.core import base, context, flax_internals
from keraslike.core.boxed import unbox
from keraslike.core.errors import NeedsPython
from keraslike.core.repeated import MISSED
from keraslike.core.text import Text, as_bytes, narrow
from keraslike.layers.layer_state import number_of

_SOME_VARIABLE = {0: context.Held(None, flax_internals.TraceState())}


def mapped(layer: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """The output of a layer for text without values, or `MISSED` for other arguments, and for a
    layer with state, which is called in the trace.

    The layer becomes a function that is applied to the texts of each batch. Raises NeedsPython
    where that would lose something: a gradient, a loss, a mask, a further output.
    """
    if len(args) != 1 or type(args[0]) is not Text or args[0].values is not None:
        return MISSED
    state, options = context.state, tuple(kwargs.items())
    keeps_wide = bool(state.tapes)  # Tensors keep 64 bits; arrays in steps have 32.
    plain = all(isinstance(v, (bool, int, str, type(None))) for v in kwargs.values())
    if state.symbolic or state.exporting or not plain or base.variables_of(layer):
        return MISSED
    training = state.training

    def call(texts: np.ndarray) -> np.ndarray:
        read: dict[int, Any] = {}
        # In a context that holds some variable, every read of another one is noted.
        with context.using(held=_SOME_VARIABLE, outsiders=read, training=training, tapes=()):
            output = unbox(layer(Text(texts), **kwargs))
        lost = read or layer.losses or context.get_mask(output) is not None
        if lost or not isinstance(output, (np.ndarray, jax.Array)):
            raise NeedsPython(
                f"Layer '{layer.name}' ({type(layer).__name__}) does more with text than to map it "
                "to one tensor: it uses variables, adds losses or masks, or has several outputs. "
                "Compile the model with run_eagerly=True."
            )
        output = narrow(np.asarray(output), keeps_wide)
        texts_out = as_bytes(output)
        return output if texts_out is None else texts_out

    return args[0].apply((number_of(layer), training, options), call, None)
