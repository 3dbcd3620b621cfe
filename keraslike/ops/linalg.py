"""Linear algebra on the last two axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core.operation import op
from keraslike.ops.wrap import array, axes_of, floats, public, unary


def _matrices(x: Any, square: bool = False) -> jax.Array:
    """The array, after a check that its last two axes are matrices."""
    x = array(x)
    if x.ndim < 2:
        raise ValueError(f"Input should have rank >= 2. Received: input.shape = {x.shape}")
    if square and x.shape[-2] != x.shape[-1]:
        raise ValueError(f"Expected a square matrix. Received: non-square input, shape {x.shape}")
    return x


def _of_square(like: Callable, name: str | None = None) -> Callable:
    return unary(lambda x: like(_matrices(x, square=True)), name or like.__name__)


det = _of_square(jnp.linalg.det)
inv = _of_square(jnp.linalg.inv)
logdet = _of_square(lambda x: jnp.linalg.slogdet(x)[1], "logdet")
eigh = _of_square(lambda x: tuple(jnp.linalg.eigh(x)), "eigh")
eig = _of_square(lambda x: tuple(jnp.linalg.eig(x)), "eig")


@op
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> jax.Array:
    """A vector's or a matrix's norm, of all values where no axis is given.

    >>> float(norm([3.0, 4.0]))
    5.0
    """
    return jnp.linalg.norm(array(x), ord, axes_of(axis), keepdims)


@op
def cholesky(x: Any, upper: bool = False) -> jax.Array:
    """The lower (or upper) triangular factor of a positive definite matrix.

    Raises ValueError for a matrix that is not; within `jit`, where that is not known yet, the
    result is NaN.

    >>> cholesky([[4.0, 0.0], [0.0, 9.0]]).tolist()
    [[2.0, 0.0], [0.0, 3.0]]
    """
    x = _matrices(x, square=True)
    out = jnp.linalg.cholesky(x, upper=upper)
    if not isinstance(out, jax.core.Tracer) and jnp.isnan(out).any() and not jnp.isnan(x).any():
        raise ValueError("Cholesky decomposition failed: x is not positive definite.")
    return out


@op
def cholesky_inverse(x: Any, upper: bool = False) -> jax.Array:
    """The inverse of the matrix whose lower (or upper) triangular factor is `x`.

    >>> cholesky_inverse([[2.0, 0.0], [0.0, 1.0]]).tolist()
    [[0.25, 0.0], [0.0, 1.0]]
    """
    x = _matrices(x, square=True)
    one = jnp.broadcast_to(jnp.eye(x.shape[-1], dtype=x.dtype), x.shape)
    inverse = jax.scipy.linalg.solve_triangular(x, one, lower=not upper)
    turned = jnp.swapaxes(inverse, -2, -1)
    return inverse @ turned if upper else turned @ inverse


@op
def lu_factor(x: Any) -> tuple[jax.Array, jax.Array]:
    """The LU factors of a matrix, in one array, and the pivots: the exchanged rows.

    >>> lu_factor([[2.0, 0.0], [1.0, 1.0]])[0].tolist()
    [[2.0, 0.0], [0.5, 1.0]]
    """
    lu, pivots, _ = jax.lax.linalg.lu(floats(_matrices(x)))
    return lu, pivots


@op
def qr(x: Any, mode: str = "reduced") -> tuple[jax.Array, jax.Array]:
    """An orthogonal and an upper triangular matrix whose product is `x`.

    >>> q, r = qr([[3.0], [4.0]])
    >>> (q @ r).round(3)
    Array([[3.0000002],
           [4.       ]], dtype=float32)
    """
    if mode not in ("reduced", "complete"):
        raise ValueError(
            f"`mode`: Expected one of {{'reduced', 'complete'}}. Received: mode={mode}"
        )
    q, r = jnp.linalg.qr(_matrices(x), mode=mode)
    return q, r


@op
def svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """The singular values of `x`, with the singular vectors: `x = u @ diag(s) @ v`.

    >>> svd([[3.0, 0.0], [0.0, 4.0]], compute_uv=False).tolist()
    [4.0, 3.0]
    """
    result = jnp.linalg.svd(_matrices(x), full_matrices, compute_uv)
    return tuple(result) if compute_uv else result


def _system(a: Any, b: Any) -> tuple[jax.Array, jax.Array, bool]:
    """The matrix, the right-hand side as a matrix, and whether it was a vector."""
    a, b = _matrices(a, square=True), array(b)
    if b.ndim < 1:
        raise ValueError("b: Expected input to have rank >= 1. Received: a scalar.")
    vectors = a.ndim == b.ndim + 1
    size = b.shape[-1 if vectors else -2]
    if size != a.shape[-1]:
        raise ValueError(
            "Incompatible shapes between `a` and `b`: b must have as many rows as a. "
            f"Received: a of shape {a.shape}, b of shape {b.shape}"
        )
    return a, b[..., None] if vectors else b, vectors


@op
def solve(a: Any, b: Any) -> jax.Array:
    """The `x` for which `a @ x = b`; `b` are vectors if it has one axis less than `a`.

    >>> solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 2.0]).tolist()
    [1.0, 0.5]
    """
    a, b, vectors = _system(a, b)
    x = jnp.linalg.solve(a, b)
    return x[..., 0] if vectors else x


@op
def solve_triangular(a: Any, b: Any, lower: bool = False) -> jax.Array:
    """Like `solve`, for a triangular matrix.

    >>> solve_triangular([[2.0, 0.0], [1.0, 1.0]], [2.0, 3.0], lower=True).tolist()
    [1.0, 2.0]
    """
    a, b, vectors = _system(a, b)
    x = jax.scipy.linalg.solve_triangular(a, b, lower=lower)
    return x[..., 0] if vectors else x


@op
def lstsq(a: Any, b: Any, rcond: float | None = None) -> jax.Array:
    """The `x` for which `a @ x` is nearest to `b`.

    >>> lstsq([[1.0, 0.0], [0.0, 2.0]], [1.0, 4.0]).round(4)
    Array([1., 2.], dtype=float32)
    """
    return jnp.linalg.lstsq(array(a), array(b), rcond=rcond)[0]


@op
def matrix_rank(x: Any, tol: float | None = None) -> jax.Array:
    """The number of singular values of a matrix larger than `tol`, by default a rounding error.

    >>> int(matrix_rank([[1.0, 2.0], [2.0, 4.0]]))
    1
    """
    return jnp.linalg.matrix_rank(_matrices(x), tol).astype("int32")


@op
def pinv(x: Any, rcond: float | None = None) -> jax.Array:
    """The pseudo-inverse.

    >>> pinv([[2.0, 0.0]]).tolist()
    [[0.5], [0.0]]
    """
    return jnp.linalg.pinv(_matrices(x), rcond)


@op
def jvp(fun: Callable, primals: Any, tangents: Any, has_aux: bool = False) -> Any:
    """The value of a function and its derivative along a direction (forward mode).

    Args:
        fun: of arrays; with `has_aux` it returns a pair, of which the second is not derived.
        primals: a list or tuple of its arguments.
        tangents: the direction, of the same structure.

    Returns `(value, derivative)`, and what else the function gave with `has_aux`.

    >>> [float(v) for v in jvp(lambda x: x * x, (3.0,), (1.0,))]
    [9.0, 6.0]
    """
    primals, tangents = jax.tree.map(array, (tuple(primals), tuple(tangents)))
    return jax.jvp(fun, primals, tangents, has_aux=has_aux)


__all__ = public(globals())


def __dir__() -> list[str]:
    return list(__all__)
