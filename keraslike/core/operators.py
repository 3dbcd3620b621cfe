"""Python's operators and the functions of `keraslike.ops` that implement them."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

from flax import nnx

from keraslike.core import context, registry
from keraslike.core.boxed import (
    BoxedResults,
    boxed_if_asked,
    dispatcher,
    find_boxed,
    is_outermost,
)

OF_TWO = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "true_divide",
    "floordiv": "floor_divide",
    "mod": "mod",
    "pow": "power",
    "matmul": "matmul",
    "and": "logical_and",
    "or": "logical_or",
    "xor": "logical_xor",
}
COMPARISONS = {
    "eq": "equal",
    "ne": "not_equal",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
}
OF_ONE = {"neg": "negative", "abs": "absolute", "invert": "logical_not"}


def call_op(name: str, *args: Any) -> Any:
    """Calls `keraslike.ops.NAME(*args)`, by name, since `ops` imports this package."""
    return registry.named("ops", name)(*args)


def give_to_variables(cls: type) -> None:
    """Defines operators that tapes record and that leave operations with boxed arrays to these."""

    def either(function: Callable, plain: Callable) -> Callable:
        def apply(*operands: Any) -> Any:
            if any(isinstance(x, cls) for x in operands):  # the dispatcher only notes what is read
                with context.using(tapes=()):
                    return plain(*operands)
            return function(*operands)

        def operate(*operands: Any) -> Any:
            dispatch = dispatcher(operands, {})
            if dispatch is None:
                return boxed_if_asked(operands[0], plain, *operands)
            return dispatch(apply, operands, {})

        return operate

    for name, op in (OF_TWO | COMPARISONS).items():
        function = getattr(operator, f"__{name}__")
        setattr(cls, f"__{name}__", either(function, functools.partial(_operate, op)))
        if name in OF_TWO:
            reflected = either(
                functools.partial(_reflected, function),
                functools.partial(_reflected, functools.partial(_operate, op)),
            )
            setattr(cls, f"__r{name}__", reflected)
            # As in Keras `v += x` names the sum `v`. flax.nnx refuses to change the Variable.
            setattr(cls, f"__i{name}__", getattr(cls, f"__{name}__"))
    for name in ("neg", "abs", "getitem", "invert"):
        plain = getattr(nnx.Variable, f"__{name}__")
        setattr(cls, f"__{name}__", either(getattr(operator, name), plain))
    item = cls.__getitem__

    def __getitem__(self: Any, key: Any) -> Any:
        boxes = self._gives_boxes or BoxedResults.everywhere
        in_code_for_tensors = bool(context.state.tapes) or is_outermost()
        if BoxedResults.item and ((boxes and in_code_for_tensors) or find_boxed(key) is not None):
            return BoxedResults.item(self, key)  # which assigns to the elements, too
        return item(self, key)

    cls.__getitem__ = __getitem__


def _operate(name: str, a: Any, b: Any) -> Any:
    if b is None and name in ("equal", "not_equal"):
        return name == "not_equal"
    return call_op(name, a, b)


def _reflected(function: Callable, b: Any, a: Any) -> Any:
    return function(a, b)
