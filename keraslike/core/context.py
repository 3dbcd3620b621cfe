"""The state that a call inherits from enclosing calls: training, dtype, names, losses and masks."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from keraslike.core.flax_internals import TraceState
from keraslike.core.jax_internals import OUTERMOST, Computed, current_trace


class Attached:
    """Values that belong to objects, looked up by identity and kept as long as the object lives.

    For objects that cannot have attributes (arrays and tracers), or must not (see `state.losses`).
    """

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[int, tuple[weakref.ref, Any]] = {}

    def __bool__(self) -> bool:
        return bool(self._entries)

    def set(self, owner: Any, value: Any) -> None:
        """Attaches a value; raises TypeError for an owner without weak references."""
        key, entries = id(owner), self._entries
        entries[key] = (weakref.ref(owner, lambda _: entries.pop(key, None)), value)

    def get(self, owner: Any, default: Any = None) -> Any:
        entry = self._entries.get(id(owner))
        return entry[1] if entry is not None and entry[0]() is owner else default

    def items(self) -> list[tuple[Any, Any]]:
        """The owners that are alive, with their values."""
        found = [(owner(), value) for owner, value in list(self._entries.values())]
        return [(owner, value) for owner, value in found if owner is not None]

    def pop(self, owner: Any, default: Any = None) -> Any:
        value = self.get(owner, default)
        self._entries.pop(id(owner), None)
        return value


class _State(threading.local):
    """The call context of one thread; a new thread starts with these values."""

    def __init__(self):
        self.training: bool | None = None  # Inherited by every layer that is called inside.
        # Other arguments that layers have registered for inheritance.
        self.inherited: dict[str, Any] = {}
        self.depth = 0  # The number of nested layer calls; 0 outside of any.
        # The dtype to which floating-point variables are cast when they are read.
        self.autocast: Any = None
        self.names: tuple[str, ...] = ()  # The path of the layer that is being built.
        self.symbolic = False  # Only shapes are traced: nothing is computed.
        self.exporting = False  # The traced program will be run without Python.
        # Whether the exported program gets the results of functions of text from operations of
        # TensorFlow, which run before it.
        self.exports_text = False
        self.makes_text = False  # Whether the exported program may have texts among its results.
        # The number of bytes that new weights may still take.
        self.allowance: list[int] | None = None
        self.tapes: tuple[Any, ...] = ()  # The gradient tapes that record, the innermost last.
        # Is told of rows that a traced call gathers from arrays: see `boxed.note_rows`.
        self.gathers: Any = None
        self.choices: dict[Any, Any] | None = None  # Replacements for functions of ops.
        self.boxes = False  # Objects made now give boxed results: see `boxed.BoxedResults`.
        # The distribution, which decides on which devices training places state and batches.
        self.distribution: Any = None
        # Complete host copies of arrays that are distributed over processes, by id.
        self.gathered: dict[int, Any] = {}
        # The tracers that Variables hold while a function is lowered, by id: see
        # `lowering.holding`.
        self.held: dict[int, Held] = {}
        # Variables that a lowered function uses although they are not among its arguments, by id,
        # each with whether it was changed; `None` for those that the function creates.
        self.outsiders: dict[int, Any] | None = None
        # Variables of that kind that an earlier trace of the step found.
        self.outside: tuple[Any, ...] = ()
        self.scope: Any = None  # The innermost `StatelessScope`, which keeps assigned values.
        self.tracking = True  # Whether layers and variables in attributes are tracked by the layer.
        self.remat: Any = None  # The rematerialization settings: see `remat.RematScope`.
        self.losses = Attached()  # Layer -> the losses that it added in the last call.
        self.replicas: str | None = None  # The mapped axis of `tf.distribute`.
        # The functions of `tf.variable_creator_scope`, the innermost last.
        self.creators: tuple[Any, ...] = ()
        # 64-bit dtypes are enabled for a layer, loss, metric or model that computes in float64.
        self.in_float64 = False
        self.plain = False  # Calls run op by op, as `run_eagerly` requests.
        self.dispatching = False  # A program is being dispatched; nothing may be traced meanwhile.


class Held:
    """The value of a Variable in a lowered function, and the trace in which it may be changed.

    `assigned`, if it is set, is applied to each value that is assigned to the Variable.
    """

    __slots__ = ("assigned", "trace", "value")

    def __init__(self, value: Any, trace: TraceState):
        self.value, self.trace = value, trace
        self.assigned: Callable | None = None


state = _State()

# The trace state outside of any trace, in which Variables may be changed.
OUTSIDE = TraceState()


def trace_state_clean() -> bool:
    """Whether nothing is being traced."""
    return current_trace() is OUTERMOST


def using(**values: Any) -> contextlib.AbstractContextManager[None]:
    """Sets fields of the call context for a block.

    >>> with using(training=True):
    ...     state.training
    True
    """
    return changing(state, **values)


@contextlib.contextmanager
def changing(holder: Any, **values: Any) -> Iterator[None]:
    """Sets attributes of an object for a block."""
    before = {name: getattr(holder, name) for name in values}
    vars(holder).update(values)
    try:
        yield
    finally:
        vars(holder).update(before)


def needs_python(name: str) -> None:
    """Raises ValueError while a function is traced for a file whose program runs without Python.

    Args:
        name: the name of the layer that computes on the host.
    """
    if state.exporting:
        raise ValueError(
            f"Layer '{name}' computes on the host, with text or in Python, and cannot be part of "
            "an exported graph. SavedModels can contain StringLookup, TextVectorization and "
            "Hashing of text in inputs, and functions of each text in `tf.strings`. Otherwise, "
            "export what is behind it, and call it and the layers before it on the data: "
            f"keras.Model(model.get_layer('{name}').output, model.outputs).export(...), "
            "with a list of outputs where several layers do so. Vocabularies are written beside "
            "the model. For a model class of your own, export that part with ExportArchive."
        )


def spend(nbytes: int) -> None:
    """Subtracts the memory of a weight from the allowance of `using(allowance=[...])`.

    A file of a few bytes can request a layer of any size, so loaders set an allowance. Raises
    ValueError if it is exceeded, before any memory is allocated.
    """
    if state.allowance is None:
        return
    state.allowance[0] -= nbytes
    if state.allowance[0] < 0:
        raise ValueError(
            f"The config asks for weights of {nbytes:,} bytes, far more than its file can hold."
        )


# The masks of objects without attributes. They are found by identity, so no thread finds the
# tracers of another one here.
masks = Attached()


def set_mask(tensor: Any, mask: Any) -> None:
    """Attaches a boolean mask to an array, a tracer or a KerasTensor; `None` removes it."""
    # This class has attributes; users read and set the mask there, as in Keras.
    if type(tensor) is Computed:
        if mask is not None or hasattr(tensor, "_keras_mask"):
            tensor._keras_mask = mask
        return
    if mask is None:
        masks.pop(tensor)
        return
    # Some objects, such as numpy scalars, cannot carry a mask.
    with contextlib.suppress(TypeError):
        masks.set(tensor, mask)


def get_mask(tensor: Any) -> Any:
    """The mask attached to a tensor, or `None`."""
    if type(tensor) is Computed:
        return getattr(tensor, "_keras_mask", None)
    found = masks.get(tensor) if masks else None
    return getattr(tensor, "_keras_mask", None) if found is None else found


@contextlib.contextmanager
def masked(pairs: Sequence[tuple[Any, Any]]) -> Iterator[None]:
    """A block in which each tensor of the pairs has the corresponding mask."""
    before = [(tensor, get_mask(tensor)) for tensor, _ in pairs]
    for tensor, mask in pairs:
        set_mask(tensor, mask)
    try:
        yield
    finally:
        for tensor, mask in before:
            set_mask(tensor, mask)
