"""Arguments of linear operators: the properties that are declared, lists of operators, tensors with
the leading axes of several, and those of functions of `tf` that are called on operators."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from keraslike.tf import linalg, ops
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.structure import NotDense

HINTS = "is_non_singular", "is_self_adjoint", "is_positive_definite", "is_square"


def hints_of(given: dict[str, Any], **default: Any) -> dict[str, Any]:
    """The keyword arguments for the properties of an operator, with defaults for those that are
    not given or None."""
    unknown = set(given) - {*HINTS, "name"}
    if unknown:
        raise TypeError(f"Unexpected keyword argument: {sorted(unknown)[0]!r}")
    if default.get("is_non_singular") and given.get("is_non_singular") is False:
        raise ValueError("is_non_singular must not be False: the operator is never singular.")
    return {**default, **{name: value for name, value in given.items() if value is not None}}


def spread(*matrices: Any) -> list[Any]:
    """Matrices with the same leading axes."""
    batch = np.broadcast_shapes(*(tuple(m.shape[:-2]) for m in matrices))
    return [
        m if tuple(m.shape[:-2]) == batch else ops.broadcast_to(m, (*batch, *m.shape[-2:]))
        for m in matrices
    ]


def check_operators(operators: Any) -> list[Any]:
    """The operators as a list. Raises ValueError for none, TypeError for different dtypes."""
    found = list(operators)
    if not found:
        raise ValueError("There must be at least one operator.")
    if len({o.dtype for o in found}) > 1:
        raise TypeError(
            f"Operators must have the same dtype. Received: {[o.dtype.name for o in found]}"
        )
    return found


def require(holds: Any, message: str) -> None:
    if not np.all(np.asarray(holds)):
        raise InvalidArgumentError(message)


def hints_like(operator: Any, what: str, hints: dict[str, Any]) -> dict[str, Any]:
    """The properties that an operator shares with its adjoint and its inverse. Raises ValueError
    for hints that contradict them."""
    said = {name: getattr(operator, name) for name in HINTS[:3]}
    for name, known in said.items():
        given = hints.get(name)
        if given is not None and known is not None and given != known:
            raise ValueError(
                f"{name} is {known} of {operator.name}, and the same of its {what}. "
                f"Received: {name}={given}"
            )
    return said


# Functions of `tf` and the methods of operators that they call.
_METHODS = {
    **{"matmul": "matmul", "linalg.matvec": "matvec", "linalg.logdet": "log_abs_determinant"},
    **{f"linalg.{n}": n for n in ("adjoint", "cholesky", "diag_part", "solve", "trace")},
    **{"linalg.det": "determinant", "linalg.inv": "inverse"},
}


def method_of(operator: Any, name: str, function: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """The result of the method that a function of `tf` calls for an operator among its arguments.
    Raises NotDense if there is none, and ValueError for options that operators do not have."""
    if name not in _METHODS:
        raise NotDense(operator)
    given = dict(inspect.signature(function).bind(*args, **kwargs).arguments)
    if name in ("matmul", "linalg.matvec"):
        left, right = given.pop("a"), given.pop("b")
        adjoint, other = given.pop("adjoint_a", False), given.pop("adjoint_b", False)
        if any(value for key, value in given.items() if key != "name"):
            raise ValueError(f"tf.{name}: operators take no {' or '.join(given)}.")
        if left is not operator:  # a tensor from the left
            if name != "matmul":
                raise NotDense(operator)
            product = operator.matmul(left, adjoint=not other, adjoint_arg=not adjoint)
            return linalg.adjoint(product)  # type: ignore[attr-defined]
        if name == "matmul":
            return operator.matmul(right, adjoint=adjoint, adjoint_arg=other)
        return operator.matvec(right, adjoint=adjoint)
    first, *_ = given
    if given.pop(first) is not operator:
        raise NotDense(operator)
    return getattr(operator, _METHODS[name])(**given)
