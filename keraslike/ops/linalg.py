"""Linear algebra on the last two axes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core.symbolic import op
from keraslike.ops.wrap import array, axes_of, public, unary

det = unary(jnp.linalg.det)
inv = unary(jnp.linalg.inv)
eigh = unary(lambda x: tuple(jnp.linalg.eigh(x)), "eigh")
eig = unary(lambda x: tuple(jnp.linalg.eig(x)), "eig")


@op
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> jax.Array:
    """A vector's or a matrix's norm, of all values where no axis is given.

    >>> float(norm([3.0, 4.0]))
    5.0
    """
    return jnp.linalg.norm(array(x), ord, axes_of(axis), keepdims)


@op
def cholesky(x: Any, upper: bool = False) -> jax.Array:
    """The lower (or upper) triangular factor of a positive definite matrix; NaN if it is none."""
    return jnp.linalg.cholesky(array(x), upper=upper)


@op
def qr(x: Any, mode: str = "reduced") -> tuple[jax.Array, jax.Array]:
    """An orthogonal and an upper triangular matrix whose product is `x`."""
    if mode not in ("reduced", "complete"):
        raise ValueError(f"mode must be 'reduced' or 'complete'. Received: mode={mode!r}")
    q, r = jnp.linalg.qr(array(x), mode=mode)
    return q, r


@op
def svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """The singular values of `x`, with the singular vectors: `x = u @ diag(s) @ v`."""
    result = jnp.linalg.svd(array(x), full_matrices, compute_uv)
    return tuple(result) if compute_uv else result


@op
def solve(a: Any, b: Any) -> jax.Array:
    """The `x` for which `a @ x = b`."""
    return jnp.linalg.solve(array(a), array(b))


@op
def solve_triangular(a: Any, b: Any, lower: bool = False) -> jax.Array:
    """As `solve`, for a triangular matrix."""
    return jax.scipy.linalg.solve_triangular(array(a), array(b), lower=lower)


@op
def lstsq(a: Any, b: Any, rcond: float | None = None) -> jax.Array:
    """The `x` for which `a @ x` is nearest to `b`."""
    return jnp.linalg.lstsq(array(a), array(b), rcond=rcond)[0]


@op
def pinv(x: Any, rcond: float | None = None) -> jax.Array:
    """The pseudo-inverse."""
    return jnp.linalg.pinv(array(x), rcond)


__all__ = public(globals())
