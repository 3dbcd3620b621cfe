"""Tensors that a call leaves in attributes, such as the attention scores of a layer.

A recorded call is one program. What its code assigns to attributes is a result of this program like
what it returns, so that the attributes hold tensors after each call, with their gradients.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax
from flax import nnx

from keraslike.core import base
from keraslike.core.boxed import Boxed, unbox
from keraslike.core.errors import NeedsPython
from keraslike.core.lowering import Change, contents_of, refill
from keraslike.core.structures import iter_leaves
from keraslike.core.text import Text


class Traced:
    """What the trace of a program has found out. As a result of the program, which it passes
    through unchanged, it belongs to the trace of the shapes that the program was called with."""

    def __init__(self, found: Any):
        self.found = found


jax.tree_util.register_pytree_node(Traced, lambda t: ((), t), lambda t, _: t)


def attributes_of(left: list[tuple[Any, str, Any]], split: Callable) -> tuple[list[Any], Traced]:
    """The arrays of `lowering.holding(left=)` and the attributes that they belong to, without those
    that hold objects of other classes with arrays in them.

    Args:
        split: moves the arrays of a value to a list and returns the structure.
    """
    values: list[Any] = []
    items = []
    for obj, name, value in left:
        if isinstance(value, Change):
            value, name = value.items, value
        arrays: list[Any] = []
        spec = split(unbox(value), arrays)
        if not _is_foreign(spec) and not any(isinstance(x, nnx.Variable) for x in arrays):
            items.append((obj, name, split(unbox(value), values)))
    return values, Traced(items)


def set_attributes(attributes: tuple[list[Any], Traced], joined: Callable) -> None:
    """Sets the attributes of `attributes_of`."""
    values, places = attributes
    for obj, name, spec in places.found:
        value, known = joined(spec, values), vars(obj)
        if isinstance(name, Change):
            change = dataclasses.replace(name, items=value)
            change.repeat()
            value = change.container
            name = next(n for n, v in known.items() if v is value)
        known[name] = value
        if not any(map(base.is_state, iter_leaves(value))):
            known["_by_calls"] = obj._by_calls | {name}


class _Earlier:
    """Takes the place of a result of an earlier call, which is no input of the program of a
    call. A call that reads it runs in Python."""

    def _refuse(self, *args: Any) -> Any:
        raise NeedsPython("A call reads a tensor that an earlier call has left in an attribute.")

    __getattr__ = __iter__ = __len__ = __bool__ = __getitem__ = __jax_array__ = __array__ = _refuse
    __add__ = __radd__ = __mul__ = __rmul__ = __sub__ = __rsub__ = __truediv__ = __eq__ = _refuse


@contextlib.contextmanager
def without_results(owner: Any) -> Iterator[None]:
    """Within the block attributes do not show what earlier calls have left in them."""
    earlier = _Earlier()
    found = []
    for obj in base.iter_objects(owner):
        attributes = vars(obj)
        for name in getattr(obj, "_by_calls", ()):
            if name in attributes:
                found.append((attributes, name, attributes[name]))
                attributes[name] = earlier
    try:
        yield
    finally:
        for attributes, name, value in found:
            if attributes.get(name) is earlier:
                attributes[name] = value


@contextlib.contextmanager
def without_leaving(owner: Any) -> Iterator[None]:
    """Attributes that are set to arrays and numbers within the block get their former values
    after it."""
    before = [(vars(obj), dict(vars(obj))) for obj in base.iter_objects(owner)]
    containers = contents_of([known for _, known in before])
    try:
        yield
    finally:
        for container, items in containers.values():
            if any(map(_is_array, iter_leaves(container))):
                refill(container, items)
        for attributes, known in before:
            for name, value in list(attributes.items()):
                is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
                is_result = is_number or any(map(_is_array, iter_leaves(value)))
                if known.get(name) is value or not is_result:
                    continue
                if name in known:
                    attributes[name] = known[name]
                else:
                    del attributes[name]


def _is_array(x: Any) -> bool:
    return isinstance(x, (jax.Array, Boxed))


def _is_foreign(spec: Any) -> bool:
    """Whether a tracer is in an object of which `split` does not know how it is made."""
    if type(spec) is not tuple:
        return False
    kind, rest = spec
    if kind is None:
        return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(rest))
    return kind is Text or any(map(_is_foreign, rest))
