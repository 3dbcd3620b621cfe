"""Context managers that replace values, restrict execution to shapes, or add names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core import context
from keraslike.core.boxed import unbox
from keraslike.core.context import Held, state
from keraslike.core.flax_internals import TraceState
from keraslike.core.variable import Variable


class StatelessScope:
    """A block in which Variables have other values, and assignments do not affect the outside.

    Args:
        state_mapping: pairs of a Variable and the value that it has in the block.
        collect_losses: whether to collect the losses that layers add in `losses`.
        initialize_variables: has no effect, since Variables created in the block have values
            immediately.

    Raises ValueError for an object that is not a Variable and for values of another shape. The
    block belongs to the thread that enters it, and may be within a function that JAX traces.

    >>> count = Variable(1.0)
    >>> with StatelessScope([(count, 5.0)]) as scope:
    ...     total = count.assign_add(2.0)
    >>> float(scope.get_current_value(count)), float(count)
    (7.0, 1.0)
    """

    def __init__(
        self,
        state_mapping: Iterable[tuple[Variable, Any]] | None = None,
        collect_losses: bool = False,
        initialize_variables: bool = True,
    ):
        self.collect_losses = collect_losses
        self.initialize_variables = initialize_variables
        self.losses: list[Any] = []
        # Keyed by id. The Variables are kept alive so that no other object can get the same id.
        self._changed: dict[int, tuple[Variable, Held]] = {}
        self._held: dict[int, Held] = {}
        for variable, value in state_mapping or ():
            if not isinstance(variable, Variable):
                raise ValueError(
                    "Invalid reference variable: all keys in argument `mapping` must be Variable "
                    f"instances. Received: {variable!r}"
                )
            value = unbox(value)
            value = value.value if isinstance(value, Variable) else jnp.asarray(value)
            if value.shape != variable.shape:
                raise ValueError(
                    "Invalid variable value: all values in argument `mapping` must be tensors with "
                    "a shape that matches the corresponding variable shape. Received for "
                    f"{variable.path}, of shape {variable.shape}: a value of shape {value.shape}"
                )
            self.add_update((variable, value.astype(variable._raw_value.dtype)))

    def __enter__(self) -> StatelessScope:
        self.trace = TraceState()
        self._outer = state.scope, state.held
        # Assignments in the block apply to copies of what enclosing blocks hold.
        self._held = {key: Held(h.value, self.trace) for key, h in state.held.items()}
        self._held |= {key: Held(h.value, self.trace) for key, (_, h) in self._changed.items()}
        self._changed = {key: (v, self._held[key]) for key, (v, _) in self._changed.items()}
        state.scope, state.held = self, self._held
        return self

    def __exit__(self, *error: Any) -> None:
        state.scope, state.held = self._outer

    def take(self, variable: Variable, value: Any) -> bool:
        """Whether the block keeps the value that is assigned to a Variable without an entry of its
        own."""
        # A trace began inside the block: its tracers must not leave it.
        if not self.trace.is_valid():
            return False
        held = self._held[id(variable)] = state.held[id(variable)] = Held(value, self.trace)
        self._changed[id(variable)] = variable, held
        return True

    def note(self, variable: Variable, held: Held) -> None:
        """Records that a Variable with a value of its own was changed."""
        if self._held.get(id(variable)) is held:
            self._changed.setdefault(id(variable), (variable, held))

    def add_loss(self, loss: Any) -> None:
        """Appends a scalar to `losses`."""
        self.losses.append(loss)

    def add_update(self, update: tuple[Variable, Any]) -> None:
        """Gives a Variable its value in the block: `(variable, value)`."""
        variable, value = update
        if id(variable) in self._changed:
            self._changed[id(variable)][1].value = value
        else:
            held = self._held.setdefault(id(variable), Held(value, TraceState()))
            held.value = value
            self._changed[id(variable)] = variable, held

    def get_current_value(self, variable: Variable) -> Any:
        """The value that a Variable was given for the block or in it; `None` where it was not."""
        found = self._changed.get(id(variable))
        return None if found is None else found[1].value

    @property
    def state_mapping(self) -> dict[int, Any]:
        """The values by the ids of their Variables."""
        return {key: held.value for key, (_, held) in self._changed.items()}

    @property
    def changed(self) -> list[tuple[Variable, Any]]:
        """The Variables that were assigned to, and their values."""
        return [(variable, held.value) for variable, held in self._changed.values()]


def get_stateless_scope() -> StatelessScope | None:
    """The innermost `StatelessScope` that this thread is in."""
    return state.scope


def in_stateless_scope() -> bool:
    """Whether this thread is in a `StatelessScope`."""
    return state.scope is not None


class SymbolicScope:
    """A block in which only shapes are computed, as for the outputs of a layer.

    >>> with SymbolicScope():
    ...     in_symbolic_scope()
    True
    """

    def __enter__(self) -> SymbolicScope:
        self._outer = state.symbolic
        state.symbolic = True
        return self

    def __exit__(self, *error: Any) -> None:
        state.symbolic = self._outer


def in_symbolic_scope() -> bool:
    """Whether only shapes are being computed.

    >>> in_symbolic_scope()
    False
    """
    return state.symbolic


class _Name(str):
    """A part of a path, and the caller that opened it."""

    caller: Any = None


class name_scope:  # noqa: N801 (Keras's name)
    """A block in which the paths of variables, and the names in profiles, begin with a name.

    Args:
        name: a name, without `/`.
        caller: the object that opens the block.
        deduplicate: whether a block that the same caller opens directly within one of the same name
            adds nothing.
        override_parent: a path that replaces the enclosing names.

    Raises ValueError for another name.

    >>> with name_scope("outer"), name_scope("inner"):
    ...     Variable(1.0, name="x").path
    'outer/inner/x'
    """

    def __init__(
        self,
        name: str,
        caller: Any = None,
        deduplicate: bool = True,
        override_parent: str | None = None,
    ):
        if not isinstance(name, str) or "/" in name:
            raise ValueError(
                "Argument `name` must be a string and cannot contain character `/`. "
                f"Received: name={name!r}"
            )
        self.name, self.caller = name, caller
        self.deduplicate, self.override_parent = deduplicate, override_parent
        self._entered = contextlib.ExitStack()

    def __enter__(self) -> name_scope:
        names = state.names
        last = getattr(names[-1], "caller", None) if names else None
        same = self.caller is not None and last is self.caller and names[-1] == self.name
        if not (self.deduplicate and same):
            if self.override_parent is not None:
                names = tuple(part for part in self.override_parent.split("/") if part)
            own = _Name(self.name)
            own.caller = self.caller
            self._entered.enter_context(context.using(names=(*names, own)))
            self._entered.enter_context(jax.named_scope(self.name))
        return self

    def __exit__(self, *error: Any) -> None:
        self._entered.close()


def current_path() -> str:
    """The names of the blocks and layers that are being built, with `/` between them."""
    return "/".join(state.names)
