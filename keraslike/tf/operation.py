"""The conversion of functions of arrays to functions of tensors."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any

import jax
from flax import nnx

from keraslike.core import symbolic
from keraslike.core.context import trace_state_clean
from keraslike.core.operation import FunctionOperation
from keraslike.core.tracebacks import handled, shorten
from keraslike.tf import promotion
from keraslike.tf.conversion import _as_operand, convert_to_tensor, mismatch, static
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.structure import NotDense
from keraslike.tf.tensor import Tensor, _value_dtype, run


def operands(name: str, x: Any, y: Any) -> tuple[Any, Any]:
    """Two operands as tensors of one dtype; a number takes the dtype of the other operand.

    Raises DtypesDiffer, with both dtypes, if they differ.
    """
    x_is, y_is = isinstance(x, (Tensor, nnx.Variable)), isinstance(y, (Tensor, nnx.Variable))
    if not x_is:
        x = _meeting(x, _value_dtype(y) if y_is else None)
    if not y_is:
        y = _meeting(y, _value_dtype(x))
    a, b = _value_dtype(x), _value_dtype(y)
    if a != b:
        raise DtypesDiffer(mismatch(name, a, b))
    return x, y


class DtypesDiffer(InvalidArgumentError, TypeError):
    """The dtypes of two operands differ. TensorFlow raises the first kind of error eagerly, and the
    second kind in functions."""


# What users see is the name of the eager error.
DtypesDiffer.__name__ = DtypesDiffer.__qualname__ = InvalidArgumentError.__name__


def _meeting(value: Any, dtype: Any) -> Tensor:
    """A number, list or array as a tensor of a dtype, if it can be converted to that."""
    if type(value) not in (int, float):
        return convert_to_tensor(value, dtype_hint=dtype)
    if not trace_state_clean():  # in a trace it stays a numpy array, so that results stay known
        return convert_to_tensor(value, dtype_hint=dtype)
    key = (type(value), value, dtype, math.copysign(1, value))  # 0.0 and -0.0 are equal
    found = _numbers.get(key)
    if found is None:
        found = convert_to_tensor(value, dtype_hint=dtype)
        if len(_numbers) < 1000 and isinstance(found._value, jax.Array):
            _numbers[key] = found
            _number_ids.add(id(found))
    return found


_numbers: dict[Any, Tensor] = {}  # a cache, since transfers of numbers to the device are slow


_number_ids: set[int] = set()


def is_shared_number(x: Tensor) -> bool:
    """Whether a tensor is one of the shared tensors for Python numbers."""
    return id(x) in _number_ids


def operation(
    name: str,
    tensors: str = "x",
    constant: str = "",
    stops: bool = False,
    named: bool = True,
    hint: Any = None,
) -> Callable:
    """A decorator that makes a function of arrays one of tensors.

    Args:
        name: the name of the function in errors.
        tensors: the names of the leading parameters that are tensors, all of one dtype; after `;`
            those of further tensors of any dtype. The other parameters are plain values, or
            tensors with known values.
        constant: the names of tensors without a gradient.
        stops: whether tapes do not follow results that depend only on those.
        named: whether TensorFlow's function has the parameter `name`, as nearly all have.
        hint: the dtype of arguments that are no tensors, if they can be converted to it.
    """
    alike, _, free = tensors.partition(";")
    alike, free = alike.split(), free.split()
    names = (*alike, *free)
    count = len(names)
    places = frozenset(i for i, n in enumerate(names) if n in constant.split())

    def decorate(fn: Callable) -> Callable:
        shown, most = _signature(fn, names, named)

        @handled
        @functools.wraps(fn)
        def of_tensors(*args: Any, **kwargs: Any) -> Any:
            try:
                if promotion.hook is not None:
                    found = promotion.hook(of_tensors, args, kwargs)
                    if found is not NotImplemented:
                        return found
                if symbolic.is_symbolic(args, kwargs):
                    return FunctionOperation(of_tensors)(*args, **kwargs)
                if kwargs:
                    kwargs.pop("name", None)
                    if len(args) < count:
                        args = (*args, *[kwargs.pop(n) for n in names[len(args) :] if n in kwargs])
                if len(args) < count:
                    missing = ", ".join(names[len(args) :])
                    raise TypeError(f"tf.{name}() is missing the arguments: {missing}")
                try:
                    if len(alike) == 2:
                        given = [*operands(name, args[0], args[1]), *args[2:count]]
                        given[2:] = [_as_operand(a) for a in given[2:]]
                    else:
                        given = [_as_operand(a, hint) for a in args[:count]]
                    rest = tuple([static(a) for a in args[count:most]])
                    if kwargs:
                        kwargs = {k: static(v) for k, v in kwargs.items()}
                except NotDense as e:
                    structure = e.given
                else:
                    structure = None
                # Outside of `except`, so that further errors do not have this one as their context.
                if structure is not None:
                    return structure._operate(name, of_tensors, args, kwargs)
                return run(fn, given, rest, kwargs, constant=places, stops=stops, name=name)
            except Exception as error:
                shorten(error)
                raise

        of_tensors.__name__ = of_tensors.__qualname__ = name.rpartition(".")[2]
        del of_tensors.__wrapped__
        of_tensors._dispatches = True  # type: ignore[attr-defined]
        of_tensors.__signature__ = shown  # type: ignore[attr-defined]
        return of_tensors

    return decorate


def _signature(fn: Callable, names: tuple[str, ...], named: bool) -> tuple[inspect.Signature, int]:
    """The signature of a function of tensors (the tensors, the other parameters of the function of
    arrays, and TensorFlow's `name`), and the number of arguments of the function of arrays."""
    rest = list(inspect.signature(fn).parameters.values())[len(names) :]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    tensors = [inspect.Parameter(n, kind, annotation="Any") for n in names]
    plain = [p for p in rest if p.kind is kind]
    count = len(tensors) + len(plain)
    if named and all(p.name != "name" for p in plain):
        plain.append(inspect.Parameter("name", kind, default=None, annotation="str | None"))
    return inspect.Signature([*tensors, *plain], return_annotation="Any"), count
