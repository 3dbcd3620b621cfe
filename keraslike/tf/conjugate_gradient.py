"""`tf.linalg.experimental.conjugate_gradient`: solutions of systems of which only products are
known."""

from __future__ import annotations

from typing import Any, NamedTuple

from keraslike.tf import control, ops, table
from keraslike.tf.conversion import convert_to_tensor
from keraslike.tf.tensor import Tensor


class CGState(NamedTuple):
    """The number of iterations, the solution, what is left of the right-hand side, the direction of
    search, and the product of what is left with itself, after preconditioning."""

    i: Tensor
    x: Tensor
    r: Tensor
    p: Tensor
    gamma: Tensor


def conjugate_gradient(
    operator: Any,
    rhs: Any,
    preconditioner: Any = None,
    x: Any = None,
    tol: float = 1e-5,
    max_iter: int = 20,
    name: str = "conjugate_gradient",
) -> CGState:
    """Solves `operator @ x = rhs` for a self-adjoint, positive definite operator.

    Args:
        operator: a `tf.linalg.LinearOperator`, or an object with its method `matvec`.
        rhs: (..., N).
        preconditioner: an operator close to the inverse.
        x: (..., N), where the search begins, by default zeros.
        tol: the search ends when the norm of what is left is below this fraction of that of `rhs`.
        max_iter: the greatest number of iterations.

    Raises ValueError for an operator that is known not to be self-adjoint or positive definite.

    >>> operator = tf.linalg.LinearOperatorFullMatrix(
    ...     [[4.0, 1.0], [1.0, 3.0]], is_self_adjoint=True, is_positive_definite=True
    ... )
    >>> state = tf.linalg.experimental.conjugate_gradient(operator, tf.constant([1.0, 2.0]))
    >>> state.x.numpy().round(3)
    array([0.091, 0.636], dtype=float32)
    """
    for needed in ("is_self_adjoint", "is_positive_definite"):
        if not getattr(operator, needed, True):
            raise ValueError(f"conjugate_gradient() needs an operator with {needed}=True.")
    rhs = convert_to_tensor(rhs)
    start = table.zeros_like(rhs) if x is None else convert_to_tensor(x)
    left = rhs if x is None else rhs - operator.matvec(start)
    bound = ops.cast(tol, rhs.dtype) ** 2 * table.reduce_sum(rhs * rhs, -1)

    def conditioned(r: Any) -> Any:
        return r if preconditioner is None else preconditioner.matvec(r)

    def goes_on(i: Any, x: Any, r: Any, p: Any, gamma: Any) -> Any:
        return (i < max_iter) & table.reduce_any(table.reduce_sum(r * r, -1) > bound)

    def step(i: Any, x: Any, r: Any, p: Any, gamma: Any) -> tuple[Any, ...]:
        product = operator.matvec(p)
        alpha = ops.expand_dims(gamma / table.reduce_sum(p * product, -1), -1)
        x, r = x + alpha * p, r - alpha * product
        q = conditioned(r)
        new = table.reduce_sum(r * q, -1)
        p = q + ops.expand_dims(new / gamma, -1) * p
        return i + 1, x, r, p, new

    first = conditioned(left)
    gamma = table.reduce_sum(left * first, -1)
    zero = convert_to_tensor(0)
    return CGState(*control.while_loop(goes_on, step, (zero, start, left, first, gamma)))
