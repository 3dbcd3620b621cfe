"""Dispatch of calls with boxed arrays, of calls that a tape records, and of calls whose caller gets
boxed results.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any, cast

import jax
import numpy as np

from keraslike.core import context
from keraslike.core.structures import is_structure, map_items
from keraslike.core.tracebacks import Function, handled, shorten


class Boxed:
    """A boxed array. Ops, layers and losses that receive one dispatch their call to its class, as
    numpy does with `__array_function__`."""

    __slots__ = ()

    def unbox(self) -> jax.Array:
        """The array."""
        raise NotImplementedError

    def as_sizes(self) -> Any:
        """What stands for it in the shape of an array: symbols for unknown sizes, or itself."""
        return self

    @staticmethod
    def _dispatch(
        function: Callable, args: tuple, kwargs: dict[str, Any], owner: Any = None
    ) -> Any:
        """Calls `function`, whose state is in the object `owner`, with boxed results."""
        raise NotImplementedError


class Dispatching:
    """A Variable that takes over calls like a boxed array, without being unboxed."""

    __slots__ = ()

    _dispatch = Boxed._dispatch


def is_boxed(x: Any) -> bool:
    return isinstance(x, Boxed)


def dispatcher(args: tuple, kwargs: dict[str, Any]) -> Callable | None:
    """The object that takes over a call: the innermost active tape, or the class of a boxed
    argument."""
    tapes = context.state.tapes
    if tapes:
        return tapes[-1]._dispatch
    for x in args:
        found = find_boxed(x, (Boxed, Dispatching))
        if found is not None:
            return found._dispatch
    for x in kwargs.values():
        found = find_boxed(x, (Boxed, Dispatching))
        if found is not None:
            return found._dispatch
    return None


def find_boxed(x: Any, kinds: Any = Boxed) -> Any:
    if isinstance(x, kinds):
        return x
    if not is_structure(x):
        return None
    if isinstance(x, dict):
        x = x.values()
    return next((found for each in x if (found := find_boxed(each, kinds)) is not None), None)


def unbox(tree: Any) -> Any:
    """The lists, tuples and dicts of `tree` with their boxed arrays unboxed."""
    if isinstance(tree, Boxed):
        return tree.unbox()
    return tree if find_boxed(tree) is None else map_items(unbox, tree)


def with_sizes(tree: Any) -> Any:
    """The lists, tuples and dicts of `tree` with what stands for its boxed arrays in shapes."""
    if isinstance(tree, Boxed):
        return tree.as_sizes()
    kind = type(tree)
    if kind is list or kind is tuple:
        return kind([with_sizes(item) for item in tree])
    return {key: with_sizes(item) for key, item in tree.items()} if kind is dict else tree


def takes_sizes(function: Function) -> Function:
    """Wraps a function whose arguments are sizes and numbers."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        return function(*with_sizes(args), **with_sizes(kwargs))

    return cast(Function, run)


def note_rows(value: Any, indices: Any, rows: Any) -> None:
    """Notes that `rows` of an array were gathered at `indices`: a tape that follows the array then
    has the gradient with respect to these rows."""
    gathers = context.state.gathers
    if gathers is not None:
        gathers.note(value, indices, rows)


def unboxed(method: Callable) -> Callable:
    """Makes a method receive plain arrays for boxed ones, and hides its call from tapes."""

    @handled
    @functools.wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            if dispatcher(args, kwargs) is None:
                return boxed_if_asked(self, method, self, *args, **kwargs)
            with context.using(tapes=()):
                return method(self, *unbox(args), **unbox(kwargs))
        except Exception as error:
            shorten(error, method, (self, *args), kwargs)
            raise

    return run


# -- results in boxes ---------------------------------------------------------------------------


class BoxedResults:
    """Decides who gets boxed results: callers of objects that were made while `context.state.boxes`
    was set, and all callers where `everywhere` is true.

    Only the outermost of nested calls boxes its result, and only outside of any trace, where all
    values are plain arrays. `box` and `choices` (see `operation.op`) are set by the package that
    defines the boxes.
    """

    everywhere = False
    box: Callable[[Any], Any] | None = None  # Boxes an array.
    choices: dict[Any, Any] = {}
    # The boxed elements of a Variable at a key.
    item: Callable[[Any, Any], Any] | None = None
    # Makes a boxed ragged array from values and row lengths.
    ragged: Callable[[Any, Any], Any] | None = None


def boxed_if_asked(owner: Any, function: Callable, *args: Any, **kwargs: Any) -> Any:
    """Calls `function(*args, **kwargs)` and boxes its result if the caller of `owner` gets boxed
    results."""
    if not (owner._gives_boxes or BoxedResults.everywhere):
        return function(*args, **kwargs)
    return boxed_call(function, args, kwargs)


def boxed_call(function: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
    """Calls `function(*args, **kwargs)` and boxes its result, unless an enclosing call will do
    so."""
    outermost = is_outermost()
    with context.using(choices=BoxedResults.choices):
        out = function(*args, **kwargs)
    return boxed(out) if outermost else out


def is_outermost() -> bool:
    """Whether a call made now is by a user's code for tensors: outside of any trace, in that of a
    `tf.function`, or under a tape."""
    state = context.state
    for_tensors = bool(state.tapes) or context.trace_state_clean()
    return state.choices is None and not state.depth and for_tensors


def boxed(tree: Any) -> Any:
    """The lists, tuples and dicts of `tree` with their arrays, and arrays of text, boxed."""
    if is_structure(tree):
        return map_items(boxed, tree)
    if not isinstance(tree, jax.Array) and not is_array_of_text(tree):
        return tree
    box = BoxedResults.box(tree)  # type: ignore[misc]
    context.set_mask(box, context.get_mask(tree))
    return box


def is_array_of_text(value: Any) -> bool:
    """Whether a value is an array of byte strings, as the tensors of `keraslike.tf` hold text."""
    if not isinstance(value, np.ndarray) or value.dtype != object:
        return False
    return all(isinstance(item, bytes) for item in value.flat)


def boxes_result(method: Callable) -> Callable:
    """Makes a method box its result where its object's caller gets boxed results."""

    @handled
    @functools.wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return boxed_if_asked(self, method, self, *args, **kwargs)
        except Exception as error:
            shorten(error, method, (self, *args), kwargs)
            raise

    return run


def dispatches_calls(method: Callable) -> Callable:
    """Wraps the `__call__` of an object without state: it can be recorded, and boxes its result."""

    @handled
    @functools.wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            dispatch = dispatcher(args, kwargs)
            if dispatch is None:
                return boxed_if_asked(self, method, self, *args, **kwargs)
            # Calling it immediately would ask `self` again.
            return boxed_if_asked(self, dispatch, types.MethodType(method, self), args, kwargs)
        except Exception as error:
            shorten(error, method, (self, *args), kwargs)
            raise

    return run


def inherits_boxes(method: Function) -> Function:
    """Wraps a method that creates objects: their results are boxed if those of its own object
    are."""

    @functools.wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        with context.using(boxes=self._gives_boxes or context.state.boxes):
            return method(self, *args, **kwargs)

    return cast(Function, run)


# -- what a tape records ------------------------------------------------------------------------


def is_recorded(x: Any) -> bool:
    """Whether an active tape follows a tensor or a variable."""
    return any(tape._follows(x) for tape in context.state.tapes)


def refuse_recorded(x: Any) -> None:
    """Raises TypeError if a gradient would be lost."""
    if context.state.tapes and is_recorded(x):
        raise TypeError(Refusal.message)


class Refusal:
    """Given to JAX by a recorded tensor or variable in place of its array.

    JAX's operators then return NotImplemented, so that the tensor's own operator runs and is
    recorded; any other use raises, since the gradient would be lost.
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
