"""`tf.linalg`, and the products and norms that `tf` has under its own name."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from keraslike.ops import products
from keraslike.tf import gradients
from keraslike.tf.conversion import _as_operand, joined, static
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.operation import operands, operation
from keraslike.tf.ops import add_n
from keraslike.tf.ops import eye as eye
from keraslike.tf.table import l2_normalize as l2_normalize
from keraslike.tf.table import maximum, reduce_sum, sqrt, square
from keraslike.tf.tensor import Tensor, run

# -- products and norms ---------------------------------------------------------------------------


@operation("matmul", "a b")
def matmul(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    transpose_b: bool = False,
    adjoint_a: bool = False,
    adjoint_b: bool = False,
) -> Any:
    """The product of matrices, batched over leading axes."""
    if min(a.ndim, b.ndim) < 2:
        raise InvalidArgumentError(
            f"tf.matmul: both must have 2 axes or more. Received shapes {a.shape} and {b.shape}."
        )
    a = jnp.swapaxes(a, -1, -2) if transpose_a or adjoint_a else a
    b = jnp.swapaxes(b, -1, -2) if transpose_b or adjoint_b else b
    a, b = (jnp.conj(a) if adjoint_a else a), (jnp.conj(b) if adjoint_b else b)
    if a.shape[-1] != b.shape[-2]:
        raise InvalidArgumentError(
            f"tf.matmul: matrices of shapes {a.shape} and {b.shape} do not fit: "
            f"{a.shape[-1]} columns meet {b.shape[-2]} rows."
        )
    return products.matmul(a, b)


@operation("linalg.matvec", "a b")
def matvec(a: Any, b: Any, transpose_a: bool = False) -> Any:
    """The product of a matrix and a vector, batched over leading axes."""
    return jnp.matmul(jnp.swapaxes(a, -1, -2) if transpose_a else a, b[..., None])[..., 0]


@operation("tensordot", "a b")
def tensordot(a: Any, b: Any, axes: Any) -> Any:
    """The sum of products over several axes."""
    return jnp.tensordot(a, b, axes)


def einsum(equation: str, *inputs: Any, **kwargs: Any) -> Tensor:
    """Sums of products, as the equation says."""
    return run(_einsum, joined("einsum", inputs), (), {"equation": equation})


def _einsum(*values: Any, equation: str) -> Any:
    return jnp.einsum(equation, *values)


def norm(
    tensor: Any, ord: Any = "euclidean", axis: Any = None, keepdims: bool = False, name: Any = None
) -> Tensor:
    """The norm: of all elements taken as one vector, or along an axis (of matrices along two).

    Args:
        ord: `"euclidean"`, 1, 2, `np.inf` or another positive number; of matrices also `"fro"`.
    """
    return run(_norm, (_as_operand(tensor),), (ord, static(axis), keepdims))


def _norm(x: Any, ord: Any, axis: Any, keepdims: bool) -> Any:
    of_matrices = isinstance(axis, tuple) and len(axis) == 2
    if ord in ("euclidean", "fro") or (ord == 2 and not of_matrices):
        return jnp.sqrt(jnp.sum(jnp.real(x * jnp.conj(x)), axis, keepdims=keepdims))
    if of_matrices and ord == 2:
        largest = jnp.linalg.svd(jnp.moveaxis(x, axis, (-2, -1)), compute_uv=False)[..., 0]
        return jnp.expand_dims(largest, axis) if keepdims else largest
    sizes = gradients.absolute(x)
    if of_matrices and ord in (1, jnp.inf):
        rows, columns = axis
        summed, other = (rows, columns) if ord == 1 else (columns, rows)
        out = jnp.max(jnp.sum(sizes, summed, keepdims=True), other, keepdims=True)
        return out if keepdims else jnp.squeeze(out, axis)
    if ord == 1:
        return jnp.sum(sizes, axis, keepdims=keepdims)
    if ord == jnp.inf:
        return jnp.max(sizes, axis, keepdims=keepdims)
    if isinstance(ord, str) or not ord > 0 or of_matrices:
        raise ValueError(f"tf.norm: there is no norm ord={ord!r} along axis={axis}.")
    total = jnp.sum(gradients.power(sizes, ord), axis, keepdims=keepdims)
    return gradients.power(total, 1.0 / ord)


def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: Any = None) -> Tensor:
    """Values moved into a range."""
    t = _as_operand(t)
    low, high = (operands("clip_by_value", t, v)[1] for v in (clip_value_min, clip_value_max))
    return run(gradients.clip, (t, low, high))


@operation("clip_by_norm", "t")
def clip_by_norm(t: Any, clip_norm: Any, axes: Any = None) -> Any:
    """The tensor, made shorter where its norm is larger than `clip_norm`."""
    total = jnp.sum(jnp.square(t), axes, keepdims=True)
    some = total > 0
    length = jnp.where(some, jnp.sqrt(jnp.where(some, total, 1)), total)
    return t * clip_norm / gradients.maximum(length, clip_norm)


def global_norm(t_list: Any, name: Any = None) -> Tensor:
    """The norm of all elements of several tensors; those that are None are left out."""
    return sqrt(add_n([reduce_sum(square(t)) for t in t_list if t is not None]))


def clip_by_global_norm(t_list: Any, clip_norm: Any, use_norm: Any = None, name: Any = None) -> Any:
    """The tensors, made shorter together where their `global_norm` is larger; and that norm."""
    length = global_norm(t_list) if use_norm is None else use_norm
    factor = clip_norm / maximum(length, clip_norm)
    return [None if t is None else t * factor for t in t_list], length


# -- decompositions -------------------------------------------------------------------------------


class Qr(NamedTuple):
    q: Any
    r: Any


class LogMatrixDeterminant(NamedTuple):
    sign: Any
    log_abs_determinant: Any


class Lu(NamedTuple):
    lu: Any
    p: Any


def _sqrtm(x: Any) -> Any:
    found = jax.scipy.linalg.sqrtm(x)
    return found if jnp.iscomplexobj(x) else jnp.real(found)


def _diagonal(x: Any) -> Any:
    return jnp.diagonal(x, axis1=-2, axis2=-1)


_TABLE = {
    "det": jnp.linalg.det,
    "slogdet": lambda x: LogMatrixDeterminant(*jnp.linalg.slogdet(x)),
    "logdet": lambda x: 2 * jnp.sum(jnp.log(jnp.real(_diagonal(gradients.cholesky(x)))), -1),
    "trace": lambda x: jnp.trace(x, axis1=-2, axis2=-1),
    "cholesky": gradients.cholesky,
    "qr": lambda x, full_matrices=False: Qr(
        *jnp.linalg.qr(x, "complete" if full_matrices else "reduced")
    ),
    "eigh": lambda x: tuple(jnp.linalg.eigh(gradients.hermitian(x))),
    "eigvalsh": lambda x: jnp.linalg.eigvalsh(gradients.hermitian(x)),
    "pinv": jnp.linalg.pinv,
    "expm": jax.scipy.linalg.expm,
    "eig": lambda x: tuple(jnp.linalg.eig(x)),
    "eigvals": jnp.linalg.eigvals,
    "lu": lambda x: Lu(*jax.lax.linalg.lu(x)[::2]),
    "sqrtm": lambda x: jnp.vectorize(_sqrtm, signature="(n,n)->(n,n)")(x),
    "tensor_diag": lambda x: jnp.diag(x.ravel()).reshape(x.shape * 2),
    "tensor_diag_part": lambda x: _diagonal(
        x.reshape(math.prod(x.shape[: x.ndim // 2]), -1)
    ).reshape(x.shape[: x.ndim // 2]),
    "matrix_rank": jnp.linalg.matrix_rank,
    "diag": lambda x: jnp.vectorize(jnp.diag, signature="(n)->(n,n)")(x),
    "diag_part": lambda x: _diagonal(x),
    "matrix_transpose": lambda x: jnp.swapaxes(x, -1, -2),
    "adjoint": lambda x: jnp.conj(jnp.swapaxes(x, -1, -2)),
}
for _name, _fn in _TABLE.items():
    globals()[_name] = operation(f"linalg.{_name}", "input")(_fn)


@operation("linalg.inv", "input")
def inv(x: Any, adjoint: bool = False) -> Any:
    """The inverse of square matrices."""
    return jnp.linalg.inv(jnp.conj(jnp.swapaxes(x, -1, -2)) if adjoint else x)


@operation("linalg.svd", "tensor")
def svd(x: Any, full_matrices: bool = False, compute_uv: bool = True) -> Any:
    """Singular values, and the left and right vectors as columns: `(s, u, v)`."""
    if not compute_uv:
        return jnp.linalg.svd(x, compute_uv=False)
    u, s, vh = jnp.linalg.svd(x, full_matrices=full_matrices)
    return s, u, jnp.conj(jnp.swapaxes(vh, -1, -2))


@operation("linalg.solve", "matrix rhs")
def solve(a: Any, b: Any, adjoint: bool = False) -> Any:
    """The solution of `matrix @ x == rhs`."""
    return jnp.linalg.solve(jnp.conj(jnp.swapaxes(a, -1, -2)) if adjoint else a, b)


@operation("linalg.triangular_solve", "matrix rhs")
def triangular_solve(a: Any, b: Any, lower: bool = True, adjoint: bool = False) -> Any:
    """As `solve`, for triangular matrices."""
    return jax.scipy.linalg.solve_triangular(a, b, trans=2 if adjoint else 0, lower=lower)


@operation("linalg.cholesky_solve", "chol rhs")
def cholesky_solve(chol: Any, rhs: Any) -> Any:
    """The solution of `a @ x == rhs`, where `chol` is the lower factor of `a`."""
    half = jax.scipy.linalg.solve_triangular(chol, rhs, lower=True)
    return jax.scipy.linalg.solve_triangular(chol, half, lower=True, trans=2)


@operation("linalg.set_diag", "input diagonal")
def set_diag(x: Any, diagonal: Any, k: Any = 0, align: str = "RIGHT_LEFT") -> Any:
    """Matrices with another diagonal: the main one, or the `k`-th above it (below, if negative)."""
    if not isinstance(k, int):
        raise ValueError(f"tf.linalg.set_diag: one diagonal is set at a time. Received: k={k}")
    rows, columns = x.shape[-2:]
    first, second = max(-k, 0), max(k, 0)
    index = jnp.arange(min(rows - first, columns - second))
    return x.at[..., first + index, second + index].set(diagonal)


@operation("linalg.lstsq", "matrix rhs")
def lstsq(a: Any, b: Any, l2_regularizer: float = 0.0, fast: bool = True) -> Any:
    """The least-squares solution of `matrix @ x == rhs`."""
    if l2_regularizer == 0.0:
        return jnp.linalg.lstsq(a, b)[0]
    at = jnp.swapaxes(a, -1, -2)
    return jnp.linalg.solve(at @ a + l2_regularizer * jnp.eye(a.shape[-1], dtype=a.dtype), at @ b)


@operation("linalg.band_part", "input")
def band_part(x: Any, num_lower: int, num_upper: int) -> Any:
    """Zeros outside a band around the diagonal; a negative width keeps all on that side."""
    rows, columns = jnp.ogrid[: x.shape[-2], : x.shape[-1]]
    low = (num_lower < 0) | (rows - columns <= num_lower)
    high = (num_upper < 0) | (columns - rows <= num_upper)
    return jnp.where(low & high, x, 0)


@operation("linalg.cross", "a b")
def cross(a: Any, b: Any) -> Any:
    """The cross product along the last axis."""
    return jnp.cross(a, b)


def normalize(tensor: Any, ord: Any = "euclidean", axis: Any = None) -> tuple[Tensor, Tensor]:
    """The tensor divided by its norm, and the norm."""
    length = norm(tensor, ord, axis, keepdims=True)
    return tensor / length, length


__all__ = sorted(
    [*_TABLE]
    + [
        "band_part",
        "cholesky_solve",
        "cross",
        "einsum",
        "eye",
        "global_norm",
        "inv",
        "lstsq",
        "matmul",
        "matvec",
        "norm",
        "normalize",
        "solve",
        "svd",
    ]
    + ["l2_normalize", "set_diag", "tensordot", "triangular_solve"]
)
__dir__ = __all__.copy
