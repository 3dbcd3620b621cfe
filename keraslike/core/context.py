"""What a call inherits from the calls around it: training, dtype, names, losses and masks."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

from keraslike.core.flax_internals import TraceState
from keraslike.core.jax_internals import OUTERMOST, Computed, current_trace


class Attached:
    """Values that belong to objects, by identity, each for as long as its object lives.

    For what cannot have attributes (arrays and tracers), or must not (see `state.losses`).
    """

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[int, tuple[weakref.ref, Any]] = {}

    def __bool__(self) -> bool:
        return bool(self._entries)

    def set(self, owner: Any, value: Any) -> None:
        """Attaches a value; raises TypeError for an owner that nothing can refer to weakly."""
        key, entries = id(owner), self._entries
        entries[key] = (weakref.ref(owner, lambda _: entries.pop(key, None)), value)

    def get(self, owner: Any, default: Any = None) -> Any:
        entry = self._entries.get(id(owner))
        return entry[1] if entry is not None and entry[0]() is owner else default

    def items(self) -> list[tuple[Any, Any]]:
        """The owners that are alive, each with its value."""
        found = [(owner(), value) for owner, value in list(self._entries.values())]
        return [(owner, value) for owner, value in found if owner is not None]

    def pop(self, owner: Any, default: Any = None) -> Any:
        value = self.get(owner, default)
        self._entries.pop(id(owner), None)
        return value


class _State(threading.local):
    """One for each thread: a new thread begins with these values."""

    def __init__(self):
        self.training: bool | None = None  # inherited by every layer called inside
        self.inherited: dict[str, Any] = {}  # other arguments that layers have registered for it
        self.depth = 0  # of layer calls; 0 outside any
        self.autocast: Any = None  # dtype to which floating-point variables are cast on read
        self.names: tuple[str, ...] = ()  # the path of the layer being built
        self.symbolic = False  # shapes only are being traced: nothing is computed
        self.exporting = False  # what is traced goes to where there is no Python
        self.allowance: list[int] | None = None  # bytes that new weights may still take
        self.tapes: tuple[Any, ...] = ()  # gradient tapes that record, the innermost last
        self.choices: dict[Any, Any] | None = None  # functions that stand for those of ops
        self.boxes = False  # objects made now give their results in boxes: see `boxed.Answers`
        self.distribution: Any = None  # says on which devices training puts state and batches
        self.gathered: dict[int, Any] = {}  # arrays of several processes, whole on the host, by id
        # The tracers that Variables hold while a function is lowered, by id: see
        # `lowering.holding`.
        self.held: dict[int, Held] = {}
        # Variables that a lowered function uses although they are not among its arguments, by id,
        # each with whether it was changed; `None` for those that the function makes.
        self.outsiders: dict[int, Any] | None = None
        # Those that an earlier trace of the step has found.
        self.outside: tuple[Any, ...] = ()
        self.scope: Any = None  # the innermost `StatelessScope`, which keeps what is assigned
        self.tracking = True  # whether layers and variables in attributes become a layer's own
        self.remat: Any = None  # what is computed again for gradients: see `scopes.RematScope`
        self.losses = Attached()  # layer -> what it added to the loss in the last call
        self.replicas: str | None = None  # the axis over which `tf.distribute` maps a function
        self.plain = False  # calls run op by op, as `run_eagerly` says
        self.dispatching = False  # a program is being run, for which nothing may be traced now


class Held:
    """What a Variable holds in a lowered function, and the trace in which it may be changed."""

    __slots__ = ("value", "trace")

    def __init__(self, value: Any, trace: TraceState):
        self.value, self.trace = value, trace


state = _State()

# The trace state outside of any trace, where Variables may be changed.
OUTSIDE = TraceState()


def trace_state_clean() -> bool:
    """Whether nothing is being traced."""
    return current_trace() is OUTERMOST


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


def needs_python(name: str) -> None:
    """Raises ValueError while a function is traced for a file that is run without Python.

    Args:
        name: of the layer that computes on the host.
    """
    if state.exporting:
        raise ValueError(
            f"Layer '{name}' computes on the host, with text or in Python, and cannot be part of "
            "an exported graph. Export what is behind it, and call it and the layers before it on "
            f"the data: keras.Model(model.get_layer('{name}').output, model.outputs).export(...), "
            "with a list of outputs where several layers do so. Vocabularies are written beside "
            "the model. Of a class of your own export the part by ExportArchive.add_endpoint."
        )


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


# Masks of what cannot have attributes. They are found by identity: no thread finds the tracers of
# another here.
masks = Attached()


def set_mask(tensor: Any, mask: Any) -> None:
    """Attaches a boolean mask to an array, a tracer or a KerasTensor; `None` takes it off."""
    if type(tensor) is Computed:  # it can, and users read and set it there, as in Keras
        if mask is not None or hasattr(tensor, "_keras_mask"):
            tensor._keras_mask = mask
        return
    if mask is None:
        masks.pop(tensor)
        return
    with contextlib.suppress(TypeError):  # a numpy scalar, say: it cannot carry a mask
        masks.set(tensor, mask)


def get_mask(tensor: Any) -> Any:
    """The mask attached to a tensor, or `None`."""
    if type(tensor) is Computed:
        return getattr(tensor, "_keras_mask", None)
    found = masks.get(tensor) if masks else None
    return getattr(tensor, "_keras_mask", None) if found is None else found


@contextlib.contextmanager
def masked(pairs: Sequence[tuple[Any, Any]]) -> Iterator[None]:
    """Within the block each tensor of the pairs has the mask that is with it."""
    before = [(tensor, get_mask(tensor)) for tensor, _ in pairs]
    for tensor, mask in pairs:
        set_mask(tensor, mask)
    try:
        yield
    finally:
        for tensor, mask in before:
            set_mask(tensor, mask)
