"""Operations, which are functions of tensors as objects, and the decorator `op`, which makes
functions accept symbolic tensors."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from keraslike.core import context
from keraslike.core.annotations import explain
from keraslike.core.base import Object
from keraslike.core.boxed import BoxedResults, boxed_call, dispatcher, unbox
from keraslike.core.errors import InvalidArgument, InvalidIndex
from keraslike.core.naming import auto_name, to_snake_case
from keraslike.core.remat import RematMode, rematerialized
from keraslike.core.static import ComparedByAttributes, Static
from keraslike.core.structures import map_leaves
from keraslike.core.symbolic import (
    _ATTEMPTS,
    History,
    KerasTensor,
    Node,
    is_symbolic,
    output_spec,
    tensors_in,
)
from keraslike.core.tracebacks import handled, is_users, shorten


class Operation(ComparedByAttributes):
    """A function of tensors as an object that a graph of symbolic tensors can contain.

    A subclass defines `call`, and `compute_output_spec` if the shapes and dtypes of the outputs
    cannot be traced. Layers are operations as well.

    Args:
        name: a name, without `/`; generated if it is omitted.

    >>> class Scale(Operation):
    ...     def __init__(self, factor, name=None):
    ...         super().__init__(name=name)
    ...         self.factor = factor
    ...     def call(self, x):
    ...         return x * self.factor
    >>> scale = Scale(3.0)
    >>> scale(2.0), scale(KerasTensor((None, 2))).shape, scale.get_config()["factor"]
    (6.0, (None, 2), 3.0)
    """

    # A graph is part of the static structure by which trees are compared.
    _not_compared = frozenset({"_inbound_nodes", "_init_args", "name"})
    _inbound_nodes: Sequence[Node] = ()  # Where it was applied to symbolic tensors.
    _remat_mode: RematMode | None = None

    def __new__(cls, *args: Any, **kwargs: Any):
        return Object.__new__(cls, *args, **kwargs)  # type: ignore[arg-type]

    def __init__(self, name: str | None = None):
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise ValueError(
                f"name must be a string and cannot contain character `/`. Received: name={name!r}"
            )
        self.name = name or auto_name(to_snake_case(type(self).__name__))
        if context.state.remat is not None:
            self._remat_mode = context.state.remat

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if is_symbolic(args, kwargs):
            return self.symbolic_call(*args, **kwargs)
        call = self.call
        if self._remat_mode is not None:
            call = self.rematerialized_call(call, *args, **kwargs)
        return call(*args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation; every operation defines it."""
        raise NotImplementedError(f"{type(self).__name__} has no call() method.")

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """Adds a node to the graph and returns its symbolic outputs."""
        return record(self, args, kwargs, self.compute_output_spec(*args, **kwargs))

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The shapes and dtypes of the outputs of `call`, as symbolic tensors, from a trace."""
        return output_spec(self.call, args, kwargs, _ATTEMPTS)

    def rematerialized_call(self, fn: Callable, *args: Any, **kwargs: Any) -> Callable:
        """`fn` wrapped as the `RematScope` that the operation was created in requires."""
        return rematerialized(self._remat_mode, fn, self.compute_output_spec, args, kwargs)

    @property
    def input(self) -> Any:
        """The symbolic input of the first application."""
        return _one_or_all(self._first_node().inputs)

    @property
    def output(self) -> Any:
        """The symbolic output of the first application."""
        return _one_or_all(self._first_node().outputs)

    def _first_node(self) -> Node:
        if not self._inbound_nodes:
            raise AttributeError(
                f"{type(self).__name__} '{self.name}' has never been called on symbolic tensors: "
                "it has no input and no output."
            )
        return self._inbound_nodes[0]

    _constructor_args = Object._constructor_args

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values, for `from_config` to make an equal one.

        Raises NotImplementedError for a class with `*args` or with arguments that are not plain
        values, which must define its own `get_config`.
        """
        try:
            config = Object.get_config(self)  # type: ignore[arg-type]
        except TypeError as error:
            problem = str(error)
        else:
            parameters = inspect.signature(type(self).__init__).parameters.values()
            if not any(p.kind == p.VAR_POSITIONAL for p in parameters):
                if any(p.name == "name" or p.kind == p.VAR_KEYWORD for p in parameters):
                    config["name"] = str(self.name)
                return config
            problem = "Its constructor takes `*args`."
        raise NotImplementedError(
            f"{type(self).__name__} needs a get_config() that gives its constructor's arguments as "
            f"plain values. {problem}"
        )

    from_config = classmethod(Object.from_config.__func__)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def _one_or_all(tensors: list[KerasTensor]) -> Any:
    return tensors[0] if len(tensors) == 1 else tensors


class FunctionOperation(Operation):
    """A plain function as an operation of a graph."""

    def __init__(self, function: Callable, name: str | None = None):
        super().__init__(
            name or auto_name(to_snake_case(getattr(function, "__name__", "function")))
        )
        self.function = function

    def call(self, *args: Any, **kwargs: Any) -> Any:
        return unbox(self.function(*args, **kwargs))

    def again(self) -> FunctionOperation:
        """A new operation with the same function."""
        return type(self)(self.function)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and Static(self.function) == Static(other.function)

    def __hash__(self) -> int:
        return hash(Static(self.function))


def record(operation: Any, args: tuple, kwargs: dict[str, Any], outputs: Any) -> Any:
    """Records that `operation(*args, **kwargs)` gave these KerasTensors; returns them."""
    args, kwargs = map_leaves(lambda x: getattr(x, "_cast_from", x), (args, kwargs))
    node = Node(operation, args, kwargs)
    vars(operation).setdefault("_inbound_nodes", []).append(node)
    for index, tensor in enumerate(tensors_in(outputs)):
        tensor._keras_history = History(node, index)
        node.outputs.append(tensor)
    return outputs


def op(function: Callable) -> Callable:
    """Decorator that makes a JAX function callable on KerasTensors as well.

    >>> double = op(lambda x: 2 * x)
    >>> double(KerasTensor((None, 3))).shape, double(4)
    ((None, 3), 8)
    """

    @handled
    @functools.wraps(function)
    def either(*args: Any, **kwargs: Any) -> Any:
        try:
            if is_symbolic(args, kwargs):
                return FunctionOperation(either)(*args, **kwargs)
            choices = context.state.choices
            chosen = function if choices is None else choices.get(function, function)
            dispatch = dispatcher(args, kwargs)
            if dispatch is not None:
                return dispatch(chosen, args, kwargs)
            if choices is None and BoxedResults.everywhere:
                return boxed_call(either, args, kwargs)
            return chosen(*args, **kwargs)
        except Exception as error:
            try:
                explain(function, args, kwargs)
                if is_symbolic(args, kwargs):
                    _raise_as_both(error)
            except (InvalidArgument, InvalidIndex) as better:
                shorten(better, function, args, kwargs)
                raise
            shorten(error, function, args, kwargs)
            raise

    return either


_BOTH = {TypeError: InvalidArgument, IndexError: InvalidIndex}


def _raise_as_both(error: Exception) -> None:
    """Raises JAX's error about symbolic arguments of an op as an exception that is also a
    ValueError, which Keras raises."""
    kind, frame = _BOTH.get(type(error)), error.__traceback__
    while frame is not None and kind is not None:
        # The error was raised in a function that was passed to the op.
        if is_users(frame.tb_frame.f_code.co_filename):
            return
        frame = frame.tb_next
    if kind is not None:
        found = kind(*error.args).with_traceback(error.__traceback__)
        vars(found).update(vars(error))  # The notes of the error.
        raise found from None
