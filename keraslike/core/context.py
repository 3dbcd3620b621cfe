"""What a call inherits from the calls around it: training, dtype, names, losses and masks."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Iterator
from typing import Any

from flax.nnx import tracers


class _State(threading.local):
    def __init__(self):
        self.training: bool | None = None  # inherited by every layer called inside
        self.depth = 0  # of layer calls; 0 outside any
        self.autocast: Any = None  # dtype to which floating-point variables are cast on read
        self.names: tuple[str, ...] = ()  # the path of the layer being built
        self.symbolic = False  # shapes only are being traced: nothing is computed
        self.allowance: list[int] | None = None  # bytes that new weights may still take
        self.tapes: tuple[Any, ...] = ()  # gradient tapes that record, the innermost last
        self.distribution: Any = None  # says on which devices training puts state and batches


state = _State()

# Where variables may be changed unless a lowered function holds them: outside of any trace.
OUTSIDE = tracers.TraceState()


def trace_state_clean() -> bool:
    """Whether nothing is being traced."""
    return OUTSIDE.is_valid()


@contextlib.contextmanager
def using(**values: Any) -> Iterator[None]:
    """Sets fields of the call context for a block.

    >>> with using(training=True):
    ...     state.training
    True
    """
    before = {name: getattr(state, name) for name in values}
    state.__dict__.update(values)
    try:
        yield
    finally:
        state.__dict__.update(before)


def spend(nbytes: int) -> None:
    """Takes from the allowance that `using(allowance=[...])` sets for weights made in its block.

    A file of a few bytes can ask for a layer of any size; so its loader sets one. Raises
    ValueError where the allowance is used up, before any memory is taken.
    """
    if state.allowance is None:
        return
    state.allowance[0] -= nbytes
    if state.allowance[0] < 0:
        raise ValueError(
            f"The config asks for weights of {nbytes:,} bytes, far more than its file can hold."
        )


# A mask belongs to a tensor but arrays and tracers take no attributes: an entry lives exactly as
# long as the tensor it describes.
_masks: dict[int, tuple[weakref.ref, Any]] = {}


def set_mask(tensor: Any, mask: Any) -> None:
    """Attaches a boolean mask to an array, a tracer or a KerasTensor; `None` takes it off."""
    key = id(tensor)
    if mask is None:
        _masks.pop(key, None)
        return
    try:
        ref = weakref.ref(tensor, lambda _: _masks.pop(key, None))
    except TypeError:  # a numpy scalar, say: it cannot carry a mask
        return
    _masks[key] = (ref, mask)


def get_mask(tensor: Any) -> Any:
    """The mask attached to a tensor, or `None`."""
    if not _masks:
        return None
    entry = _masks.get(id(tensor))
    return entry[1] if entry is not None and entry[0]() is tensor else None
