"""Calls that take another way: those given an array in a box, those that a tape records, and those
whose caller has asked for results in boxes.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any, cast

import jax

from keraslike.core import context
from keraslike.core.tracebacks import Function, handled, shorten


class Boxed:
    """An array in a box. Ops, layers and losses that are given one hand their call to its class,
    as numpy does with `__array_function__`."""

    __slots__ = ()

    def unbox(self) -> jax.Array:
        """The array."""
        raise NotImplementedError

    @staticmethod
    def take(function: Callable, args: tuple, kwargs: dict[str, Any], owner: Any = None) -> Any:
        """The call of `function`, whose state is in the object `owner`, with boxed results."""
        raise NotImplementedError


class Taking:
    """A Variable that takes calls over, as a boxed array does, and stays what it is."""

    __slots__ = ()

    take = Boxed.take


def is_boxed(x: Any) -> bool:
    return isinstance(x, Boxed)


def taker(args: tuple, kwargs: dict[str, Any]) -> Callable | None:
    """What takes a call over: the innermost active tape, or the class of a boxed argument."""
    tapes = context.state.tapes
    if tapes:
        return tapes[-1].take
    for x in args:
        found = _find(x, (Boxed, Taking))
        if found is not None:
            return found.take
    for x in kwargs.values():
        found = _find(x, (Boxed, Taking))
        if found is not None:
            return found.take
    return None


def _find(x: Any, kinds: Any = Boxed) -> Any:
    if isinstance(x, kinds):
        return x
    kind = type(x)
    if kind is dict:
        x = x.values()
    elif kind is not list and kind is not tuple:
        return None
    return next((found for each in x if (found := _find(each, kinds)) is not None), None)


def unbox(tree: Any) -> Any:
    """The lists, tuples and dicts of `tree` with arrays in place of boxed ones."""
    if isinstance(tree, Boxed):
        return tree.unbox()
    if _find(tree) is None:
        return tree
    if isinstance(tree, dict):
        return {k: unbox(v) for k, v in tree.items()}
    return type(tree)(map(unbox, tree))


def unboxed(method: Callable) -> Callable:
    """A method that is given arrays where the caller has boxed ones, and that no tape records."""

    @handled
    @functools.wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            if taker(args, kwargs) is None:
                return respond(self, method, self, *args, **kwargs)
            with context.using(tapes=()):
                return method(self, *unbox(args), **unbox(kwargs))
        except Exception as error:
            shorten(error, method, (self, *args), kwargs)
            raise

    return run


# -- results in boxes ---------------------------------------------------------------------------


class Answers:
    """Who gets boxed results: callers of objects that were made while `context.state.boxes` was
    set, and all callers where `everywhere` is.

    Only the outermost of nested calls boxes its result, and only outside of any trace: within,
    everything is arrays. `box` and `choices` (see `operation.op`) are those of the room that boxes.
    """

    everywhere = False
    box: Callable[[Any], Any] | None = None  # an array as a box
    choices: dict[Any, Any] = {}
    ragged: Callable[[Any, Any], Any] | None = None  # a ragged box of values and rows' lengths


def respond(owner: Any, function: Callable, *args: Any, **kwargs: Any) -> Any:
    """`function(*args, **kwargs)`, the result in boxes where the caller of `owner` gets them."""
    if not (owner._boxes or Answers.everywhere):
        return function(*args, **kwargs)
    return in_boxes(function, args, kwargs)


def in_boxes(function: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
    """`function(*args, **kwargs)` in boxes, if no other call is under way that will box."""
    state = context.state
    outermost = state.choices is None and not state.depth and context.trace_state_clean()
    with context.using(choices=Answers.choices):
        out = function(*args, **kwargs)
    return _boxed(out) if outermost else out


def _boxed(tree: Any) -> Any:
    kind = type(tree)
    if kind is list or kind is tuple:
        return kind([_boxed(item) for item in tree])
    if kind is dict:
        return {key: _boxed(item) for key, item in tree.items()}
    if hasattr(tree, "_fields"):
        return kind(*map(_boxed, tree))
    if not isinstance(tree, jax.Array):
        return tree
    box = Answers.box(tree)  # type: ignore[misc]
    context.set_mask(box, context.get_mask(tree))
    return box


def answers(method: Callable) -> Callable:
    """A method whose result is in boxes where its object's caller gets them."""

    @handled
    @functools.wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return respond(self, method, self, *args, **kwargs)
        except Exception as error:
            shorten(error, method, (self, *args), kwargs)
            raise

    return run


def takes(method: Callable) -> Callable:
    """The `__call__` of an object without state: it can be recorded, and it answers in boxes."""

    @handled
    @functools.wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            take = taker(args, kwargs)
            if take is None:
                return respond(self, method, self, *args, **kwargs)
            # `self` would be asked again if the taker made the call at once.
            return respond(self, take, types.MethodType(method, self), args, kwargs)
        except Exception as error:
            shorten(error, method, (self, *args), kwargs)
            raise

    return run


def inherits(method: Function) -> Function:
    """A method that makes objects: they answer as its own object does."""

    @functools.wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        with context.using(boxes=self._boxes or context.state.boxes):
            return method(self, *args, **kwargs)

    return cast(Function, run)


# -- what a tape records ------------------------------------------------------------------------


def is_recorded(x: Any) -> bool:
    """Whether an active tape follows a tensor or a variable."""
    return any(tape._follows(x) for tape in context.state.tapes)


def refuse_recorded(x: Any) -> None:
    """Raises TypeError where a gradient would be lost."""
    if context.state.tapes and is_recorded(x):
        raise TypeError(Refusal.message)


class Refusal:
    """What a recorded tensor or variable gives JAX in place of its array.

    JAX's operators leave the operation to the tensor then, which records it; everything else
    raises, for the gradient would be lost.
    """

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError(self.message)

    message = (
        "A GradientTape records this tensor or variable, and a plain JAX or numpy function would "
        "lose its gradient. Use functions of tf or keraslike.ops, wrap your own with "
        "keraslike.op(function), or stop the gradient first: tf.stop_gradient(x)."
    )

    def __repr__(self) -> str:
        return f"<{self.message}>"
