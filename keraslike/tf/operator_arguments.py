"""Arguments of linear operators: the properties that are declared, lists of operators, and tensors
with the leading axes of several."""

from __future__ import annotations

from typing import Any

import numpy as np

from keraslike.tf import ops
from keraslike.tf.errors import InvalidArgumentError

HINTS = "is_non_singular", "is_self_adjoint", "is_positive_definite", "is_square"


def hints_of(given: dict[str, Any], **default: Any) -> dict[str, Any]:
    """The keyword arguments for the properties of an operator, with defaults."""
    unknown = set(given) - {*HINTS, "name"}
    if unknown:
        raise TypeError(f"Unexpected keyword argument: {sorted(unknown)[0]!r}")
    return {**default, **given}


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
