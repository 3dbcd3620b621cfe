"""Functions of `tf.linalg` for matrices that are given by their factors or by a few diagonals."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.tf import table
from keraslike.tf.conversion import _as_operand
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.operation import operation
from keraslike.tf.tensor import WIDE, Tensor, run

# -- factors of an LU decomposition ---------------------------------------------------------------


def _check_factors(name: str, lu: Any, perm: Any, rhs: Any = None) -> None:
    if lu.ndim < 2 or lu.shape[-1] != lu.shape[-2] or perm.shape[-1:] != lu.shape[-1:]:
        raise ValueError(
            f"tf.linalg.{name}: expected square matrices and as many numbers of rows. Received "
            f"shapes {tuple(lu.shape)} and {tuple(perm.shape)}."
        )
    if lu.ndim != perm.ndim + 1:
        raise ValueError(
            f"tf.linalg.{name}: perm must have one axis less than lower_upper. Received shapes "
            f"{tuple(perm.shape)} and {tuple(lu.shape)}."
        )
    if rhs is not None and (rhs.ndim < 2 or rhs.shape[-2] != lu.shape[-1]):
        raise ValueError(
            f"tf.linalg.{name}: rhs must have {lu.shape[-1]} rows. Received shape "
            f"{tuple(rhs.shape)}."
        )


def _lower(lu: Any) -> Any:
    return jnp.tril(lu, -1) + jnp.eye(lu.shape[-1], dtype=lu.dtype)


def check_system(name: str, a: Any, b: Any) -> None:
    """Raises InvalidArgumentError unless `a` and `b` are floating-point or complex matrices with
    the same number of rows."""
    table.check_kind(f"linalg.{name}", a, "bui")
    if min(a.ndim, b.ndim) < 2 or a.shape[-2] != b.shape[-2]:
        raise InvalidArgumentError(
            f"tf.linalg.{name}: expected matrices with the same number of rows. Received shapes "
            f"{a.shape} and {b.shape}."
        )


def check_square(name: str, x: Any) -> None:
    """Raises InvalidArgumentError for what are no square matrices."""
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise InvalidArgumentError(
            f"tf.linalg.{name}: expected square matrices. Received shape {x.shape}."
        )


def _solved(lu: Any, rhs: Any, perm: Any) -> Any:
    table.check_kind("linalg.lu_solve", lu, "bui")
    batch = jnp.broadcast_shapes(lu.shape[:-2], rhs.shape[:-2])
    lu, rhs = (jnp.broadcast_to(x, (*batch, *x.shape[-2:])) for x in (lu, rhs))
    perm = jnp.broadcast_to(perm, (*batch, perm.shape[-1]))
    rhs = jnp.take_along_axis(rhs, perm[..., None], -2)
    half = jax.scipy.linalg.solve_triangular(_lower(lu), rhs, lower=True)
    return jax.scipy.linalg.solve_triangular(lu, half)


def lu_solve(
    lower_upper: Any, perm: Any, rhs: Any, validate_args: bool = False, name: str | None = None
) -> Tensor:
    """The solution of `matrix @ x == rhs` for the factors that `tf.linalg.lu` gives.

    Args:
        lower_upper, perm: the factors in one matrix `(..., n, n)`, and the order of the rows.
        rhs: `(..., n, k)`.

    Raises ValueError for shapes that do not fit.

    >>> lu, p = tf.linalg.lu([[1.0, 2.0], [4.0, 4.0]])
    >>> tf.linalg.lu_solve(lu, p, [[5.0], [12.0]]).numpy().tolist()
    [[1.0], [2.0]]
    """
    lu, perm = _as_operand(lower_upper), _as_operand(perm)
    rhs = _as_operand(rhs, lu.dtype)
    _check_factors("lu_solve", *(t._value for t in map(_plain, (lu, perm, rhs))))
    return run(_solved, (lu, rhs, perm), constant=(2,), name="linalg.lu_solve")


def lu_matrix_inverse(
    lower_upper: Any, perm: Any, validate_args: bool = False, name: str | None = None
) -> Tensor:
    """The inverse of the matrices of which `tf.linalg.lu` gave the factors.

    >>> tf.linalg.lu_matrix_inverse(*tf.linalg.lu([[0.0, 2.0], [4.0, 0.0]])).numpy().tolist()
    [[0.0, 0.25], [0.5, 0.0]]
    """
    lu, perm = _as_operand(lower_upper), _as_operand(perm)
    _check_factors("lu_matrix_inverse", *(t._value for t in map(_plain, (lu, perm))))
    return run(_inverted, (lu, perm), constant=(1,), name="linalg.lu_matrix_inverse")


def _inverted(lu: Any, perm: Any) -> Any:
    table.check_kind("linalg.lu_matrix_inverse", lu, "bui")
    return _solved(lu, jnp.eye(lu.shape[-1], dtype=lu.dtype), perm)


def lu_reconstruct(
    lower_upper: Any, perm: Any, validate_args: bool = False, name: str | None = None
) -> Tensor:
    """The matrices of which `tf.linalg.lu` gave the factors.

    >>> tf.linalg.lu_reconstruct(*tf.linalg.lu([[1.0, 2.0], [4.0, 4.0]])).numpy().tolist()
    [[1.0, 2.0], [4.0, 4.0]]
    """
    lu, perm = _as_operand(lower_upper), _as_operand(perm)
    _check_factors("lu_reconstruct", *(t._value for t in map(_plain, (lu, perm))))
    return run(_reconstructed, (lu, perm), constant=(1,), name="linalg.lu_reconstruct")


def _reconstructed(lu: Any, perm: Any) -> Any:
    table.check_wide("linalg.lu_reconstruct", lu)
    return jnp.take_along_axis(_lower(lu) @ jnp.triu(lu), jnp.argsort(perm, -1)[..., None], -2)


def _plain(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) else x.value()


# -- diagonals ------------------------------------------------------------------------------------


def _three(diagonals: Any, form: str) -> tuple[Any, Any, Any]:
    """The diagonals above, on and below the main one, of equal lengths; the last element of the
    first and the first one of the last are not used."""
    if form == "compact":
        if diagonals.ndim < 2 or diagonals.shape[-2] != 3:
            raise ValueError(
                f"Expected 3 diagonals (..., 3, n). Received shape {tuple(diagonals.shape)}."
            )
        return diagonals[..., 0, :], diagonals[..., 1, :], diagonals[..., 2, :]
    if diagonals.shape[-1] != diagonals.shape[-2]:
        raise ValueError(f"Expected square matrices. Received shape {tuple(diagonals.shape)}.")
    upper, main, lower = (jnp.diagonal(diagonals, k, -2, -1) for k in (1, 0, -1))
    return _padded(upper, main, False), main, _padded(lower, main, True)


def _padded(side: Any, main: Any, first: bool) -> Any:
    missing = main.shape[-1] - side.shape[-1]
    if missing not in (0, 1):
        raise ValueError(
            f"A diagonal beside one of length {main.shape[-1]} must have that length or one less. "
            f"Received: {side.shape[-1]}"
        )
    width = (missing, 0) if first else (0, missing)
    return jnp.pad(side, [(0, 0)] * (side.ndim - 1) + [width])


def _with_diagonals(
    function: Any, diagonals: Any, rhs: Any, form: str, name: str, rest: tuple = ()
) -> Tensor:
    if form not in ("compact", "sequence", "matrix"):
        raise ValueError(
            "diagonals_format must be 'compact', 'sequence' or 'matrix'. "
            f"Received: diagonals_format={form!r}"
        )
    if form != "sequence":
        given = (_as_operand(diagonals),)
    elif not isinstance(diagonals, (list, tuple)) or len(diagonals) != 3:
        raise ValueError("diagonals must be a sequence of 3 tensors where its format is 'sequence'")
    else:
        given = tuple(map(_as_operand, diagonals))
    rhs = _as_operand(rhs, given[0].dtype)
    try:
        return run(function, (*given, rhs), (form, *rest), name=name)
    except InvalidArgumentError as error:
        if isinstance(error.__context__, ValueError):
            raise ValueError(str(error)) from None
        raise


def tridiagonal_solve(
    diagonals: Any,
    rhs: Any,
    diagonals_format: str = "compact",
    transpose_rhs: bool = False,
    conjugate_rhs: bool = False,
    name: str | None = None,
    partial_pivoting: bool = True,
    perturb_singular: bool = False,
) -> Tensor:
    """The solution of `matrix @ x == rhs` for matrices with three diagonals.

    Args:
        diagonals: the diagonals above, on and below the main one: `(..., 3, n)` for the format
            `"compact"` (the last element of the first and the first of the last do not count), a
            list of three for `"sequence"`, the whole matrices for `"matrix"`.
        rhs: `(..., n)` or `(..., n, k)`.
        partial_pivoting: accepted without effect: rows are always exchanged where it is better.
        perturb_singular: must be False.

    Raises ValueError for shapes that do not fit.

    >>> tf.linalg.tridiagonal_solve(
    ...     [[1.0, 0.0], [2.0, 4.0], [0.0, 1.0]], [4.0, 9.0]
    ... ).numpy().tolist()
    [1.0, 2.0]
    """
    if perturb_singular:
        raise NotImplementedError("tf.linalg.tridiagonal_solve: perturb_singular must be False.")
    rest = (bool(transpose_rhs), bool(conjugate_rhs))
    return _with_diagonals(
        _tridiagonal_solved, diagonals, rhs, diagonals_format, "linalg.tridiagonal_solve", rest
    )


def _diagonals(given: tuple[Any, ...], form: str) -> tuple[Any, Any, Any]:
    table.check_kind("linalg.tridiagonal_solve and tridiagonal_matmul", given[0], "bui")
    if form != "sequence":
        return _three(given[0], form)
    upper, main, lower = given
    return _padded(upper, main, False), main, _padded(lower, main, True)


def _tridiagonal_solved(*given: Any) -> Any:
    *tensors, form, transpose, conjugate = given
    *diagonals, rhs = tensors
    upper, main, lower = _diagonals(tuple(diagonals), form)
    flat = rhs.ndim == main.ndim
    if not flat and rhs.ndim != main.ndim + 1:
        raise ValueError(
            f"rhs must have {main.ndim} or {main.ndim + 1} axes. Received shape {rhs.shape}."
        )
    rhs = jnp.conj(rhs) if conjugate else rhs
    if flat:
        rhs = rhs[..., None]
    elif transpose:
        rhs = jnp.swapaxes(rhs, -1, -2)
    if rhs.shape[-2] != main.shape[-1]:
        raise ValueError(f"rhs must have {main.shape[-1]} rows. Received shape {rhs.shape}.")
    place = np.arange(main.shape[-1])
    lower, upper = jnp.where(place == 0, 0, lower), jnp.where(place == place.size - 1, 0, upper)
    if main.shape[-1] < 3:  # LAPACK's function wants more
        out = jnp.linalg.solve(_dense(upper, main, lower), rhs)
    else:
        out = jax.lax.linalg.tridiagonal_solve(lower, main, upper, rhs)
    return out[..., 0] if flat else out


def _dense(upper: Any, main: Any, lower: Any) -> Any:
    size = main.shape[-1]
    i, j = np.indices((size, size))
    out = jnp.where(i == j, main[..., None], jnp.zeros((), main.dtype))
    out = jnp.where(j == i + 1, upper[..., None], out)
    return jnp.where(j == i - 1, lower[..., None], out)


def tridiagonal_matmul(
    diagonals: Any, rhs: Any, diagonals_format: str = "compact", name: str | None = None
) -> Tensor:
    """The product of matrices with three diagonals and `rhs` `(..., n, k)`; for the diagonals see
    `tridiagonal_solve`.

    >>> tf.linalg.tridiagonal_matmul(
    ...     [[1.0, 0.0], [2.0, 4.0], [0.0, 1.0]], [[1.0], [2.0]]
    ... ).numpy().tolist()
    [[4.0], [9.0]]
    """
    return _with_diagonals(
        _tridiagonal_product, diagonals, rhs, diagonals_format, "linalg.tridiagonal_matmul"
    )


def _tridiagonal_product(*given: Any) -> Any:
    *diagonals, rhs, form = given
    upper, main, lower = _diagonals(tuple(diagonals), form)
    if rhs.ndim < 2 or rhs.shape[-2] != main.shape[-1]:
        raise ValueError(f"rhs must have {main.shape[-1]} rows. Received shape {rhs.shape}.")
    none = jnp.zeros_like(rhs[..., :1, :])
    below = jnp.concatenate([rhs[..., 1:, :], none], -2)
    above = jnp.concatenate([none, rhs[..., :-1, :]], -2)
    return main[..., None] * rhs + upper[..., None] * below + lower[..., None] * above


@operation("linalg.banded_triangular_solve", "bands rhs")
def banded_triangular_solve(bands: Any, rhs: Any, lower: bool = True, adjoint: bool = False) -> Any:
    """Like `triangular_solve`, for matrices whose diagonals are given where they are not zero.

    Args:
        bands: `(..., m, n)`: where `lower`, the main diagonal first and then those below it, whose
            first elements do not count; else those above it, whose last elements do not count, the
            highest first and the main diagonal last.

    >>> tf.linalg.banded_triangular_solve([[2.0, 4.0], [0.0, 1.0]], [[2.0], [9.0]]).numpy().tolist()
    [[1.0], [2.0]]
    """
    table.check_kind("linalg.banded_triangular_solve", bands, "bui")
    if min(bands.ndim, rhs.ndim) < 2 or bands.shape[-1] != rhs.shape[-2]:
        raise InvalidArgumentError(
            "tf.linalg.banded_triangular_solve: the bands (..., m, n) and rhs (..., n, k) do not "
            f"fit. Received shapes {bands.shape} and {rhs.shape}."
        )
    count, size = bands.shape[-2:]
    i, j = np.indices((size, size))
    row = i - j if lower else count - 1 - (j - i)
    inside = (row >= 0) & (row < count) & ((i >= j) if lower else (i <= j))
    place = i
    full = jnp.where(inside, bands[..., np.where(inside, row, 0), place], 0)
    return jax.scipy.linalg.solve_triangular(full, rhs, trans=2 if adjoint else 0, lower=lower)


def eigh_tridiagonal(
    alpha: Any,
    beta: Any,
    eigvals_only: bool = True,
    select: str = "a",
    select_range: Any = None,
    tol: Any = None,
    name: str | None = None,
) -> Any:
    """The eigenvalues, in ascending order, of a Hermitian matrix with the diagonal `alpha` and
    `beta` above it; with `eigvals_only=False` the eigenvectors as columns, too.

    Args:
        select: `"a"` for all, `"i"` for those with the numbers from `select_range[0]` up to and
            with `select_range[1]`, `"v"` for those in the interval `select_range`, up to rounding.
        tol: accepted without effect: values are as exact as the dtype.

    Raises ValueError for another `select` and for an empty range.

    >>> tf.linalg.eigh_tridiagonal([2.0, 2.0], [1.0]).numpy().round(4).tolist()
    [1.0, 3.0]
    """
    if select not in ("a", "i", "v"):
        raise ValueError(f"select must be 'a', 'i' or 'v'. Received: select={select!r}")
    alpha = _as_operand(alpha)
    beta = _as_operand(beta, alpha.dtype)
    if alpha.dtype != beta.dtype:
        raise ValueError(
            f"alpha and beta must have the same dtype. Received: {alpha.dtype} and {beta.dtype}"
        )
    values, vectors = run(_eigen, (alpha, beta), name="linalg.eigh_tridiagonal")
    low, high = (0.0, 0.0) if select == "a" else (float(n) for n in select_range)
    if low > high or (low == high and select == "v"):
        raise InvalidArgumentError(f"select_range must not be empty. Received: {select_range}")
    if select == "i":
        first, end = int(low), int(high) + 1
        values, vectors = values[first:end], vectors[:, first:end]
    elif select == "v":
        known = np.asarray(values)
        rounding = 8 * np.finfo(known.dtype).eps * np.abs(known).max(initial=0)
        kept = np.flatnonzero((known >= low - rounding) & (known <= high + rounding))
        first, end = (int(kept[0]), int(kept[-1]) + 1) if kept.size else (0, 0)
        values, vectors = values[first:end], vectors[:, first:end]
    return values if eigvals_only else (values, vectors)


def _eigen(alpha: Any, beta: Any) -> Any:
    off = jnp.pad(beta, (0, 1))
    below = jnp.pad(jnp.conj(beta), (1, 0))
    return tuple(jnp.linalg.eigh(_dense(off, alpha, below), symmetrize_input=False))


@operation("linalg.logm", "input")
def logm(x: Any) -> Any:
    """The logarithm of square matrices of complex numbers: the inverse of `expm`.

    >>> tf.linalg.logm([[1 + 0j, 0], [0, 1]]).numpy().tolist()
    [[0j, 0j], [0j, 0j]]
    """
    if not jnp.iscomplexobj(x):
        raise InvalidArgumentError(
            f"tf.linalg.logm: expected complex numbers. Received: {x.dtype.name}"
        )
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise InvalidArgumentError(f"tf.linalg.logm: matrices must be square: {x.shape}")
    with WIDE(x.dtype == np.complex128):
        shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
        return jax.pure_callback(_logarithms, shape, x, vmap_method="expand_dims")


def _logarithms(x: Any) -> np.ndarray:
    from scipy.linalg import logm  # imported here, because its import is slow

    x = np.asarray(x)  # of 128 bits, as scipy's bounds on errors expect it
    found = [logm(m) for m in x.reshape(-1, *x.shape[-2:]).astype(np.complex128)]
    return np.asarray(found, x.dtype).reshape(x.shape)


__all__ = [
    *("banded_triangular_solve", "eigh_tridiagonal", "logm", "lu_matrix_inverse"),
    *("lu_reconstruct", "lu_solve", "tridiagonal_matmul", "tridiagonal_solve"),
]
