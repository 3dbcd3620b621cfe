"""`tf.linalg`, and the products and norms of the module `tf` itself."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.ops import products
from keraslike.tf import bands, derivatives, diagonals, documentation, dtypes, table
from keraslike.tf.conversion import _as_operand, joined, static
from keraslike.tf.errors import InvalidArgumentError, NotFoundError
from keraslike.tf.moves import moves
from keraslike.tf.operation import operands, operation
from keraslike.tf.ops import add_n
from keraslike.tf.ops import eye as eye
from keraslike.tf.slices import by_rows, rows_of
from keraslike.tf.structure import operates
from keraslike.tf.table import l2_normalize as l2_normalize
from keraslike.tf.table import maximum, multiply, reduce_sum, sqrt, square
from keraslike.tf.tensor import WIDE, Tensor, run

# -- products and norms ---------------------------------------------------------------------------


@operation("matmul", "a b")
def matmul(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    transpose_b: bool = False,
    adjoint_a: bool = False,
    adjoint_b: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    output_type: Any = None,
    grad_a: bool = False,
    grad_b: bool = False,
) -> Any:
    """The product of matrices, batched over leading axes.

    >>> tf.linalg.matmul([[1, 2]], [[3], [4]]).numpy().tolist()
    [[11]]
    """
    if output_type is not None and output_type != a.dtype.name:
        if (a.dtype.name, output_type) not in (("int8", "int32"), ("uint8", "int32")):
            raise NotFoundError(
                f"tf.matmul has no output_type={output_type!r} for tensors of {a.dtype.name}."
            )
        a, b = a.astype(np.int32), b.astype(np.int32)
    table.check_wide("matmul", a, "" if a.ndim == b.ndim == 2 else "int16")
    if min(a.ndim, b.ndim) < 2:
        raise InvalidArgumentError(
            f"tf.matmul: both must have at least 2 axes. Received shapes {a.shape} and {b.shape}."
        )
    if (transpose_a and adjoint_a) or (transpose_b and adjoint_b):
        raise InvalidArgumentError("tf.matmul: a matrix is either transposed or its adjoint.")
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
def matvec(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    adjoint_a: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
) -> Any:
    """The product of a matrix and a vector, batched over leading axes.

    >>> tf.linalg.matvec([[1, 2], [3, 4]], [1, 10]).numpy().tolist()
    [21, 43]
    """
    table.check_wide("linalg.matvec", a, "int16" if b.ndim > 1 else "")
    if a.ndim < 2 or not b.ndim:
        raise InvalidArgumentError(
            "tf.linalg.matvec: expected a matrix and a vector. Received shapes "
            f"{a.shape} and {b.shape}."
        )
    if transpose_a and adjoint_a:
        raise InvalidArgumentError(
            "tf.linalg.matvec: a matrix is either transposed or its adjoint."
        )
    if adjoint_a:
        a, transpose_a = jnp.conj(a), True
    return jnp.matmul(jnp.swapaxes(a, -1, -2) if transpose_a else a, b[..., None])[..., 0]


@operation("tensordot", "a b")
def tensordot(a: Any, b: Any, axes: Any) -> Any:
    """The sum of products over several axes.

    >>> tf.linalg.tensordot([[1, 2], [3, 4]], [[1, 0], [0, 1]], 2).numpy().tolist()
    5
    """
    table.check_wide("tensordot", a)
    if isinstance(axes, int) and axes < 0:  # for which JAX returns an outer product
        raise ValueError(f"axes must be at least 0. Received: {axes}")
    for array, chosen in zip((a, b), () if isinstance(axes, int) else axes):
        for axis in np.ravel(chosen):
            if not -array.ndim <= axis < array.ndim:
                raise np.exceptions.AxisError(int(axis), array.ndim, "axes")  # an IndexError
    return jnp.tensordot(a, b, axes)


def einsum(equation: str, *inputs: Any, **kwargs: Any) -> Tensor:
    """Sums of products, by an equation in Einstein's notation.

    >>> tf.einsum(
    ...     "ij,j->i", tf.constant([[1, 2], [3, 4]]), tf.constant([1, 10])
    ... ).numpy().tolist()
    [21, 43]
    """
    unknown = sorted(kwargs.keys() - {"name", "optimize", "greedy"})
    if unknown:
        raise TypeError(f"tf.einsum() got unexpected keyword arguments: {', '.join(unknown)}")
    if not re.fullmatch(r"[A-Za-z.,\s]*(->[A-Za-z.\s]*)?", equation):
        raise ValueError(f"tf.einsum: the equation is malformed. Received: {equation!r}")
    return run(_einsum, joined("einsum", inputs), (), {"equation": equation})


def _einsum(*values: Any, equation: str) -> Any:
    _check_labels(equation, values)
    table.check_wide("einsum", values[0])
    return jnp.einsum(equation, *values)


def _check_labels(equation: str, values: Sequence[Any]) -> None:
    """Refuses what numpy broadcasts or sums up, but TensorFlow does not: axes of one label with
    different sizes, and axes of an ellipsis that the output lacks."""
    terms, arrow, output = equation.replace(" ", "").partition("->")
    sizes: dict[str, Any] = {}
    for term, x in zip(terms.split(","), values):
        head, dots, tail = term.partition("...")
        if dots and arrow and x.ndim > len(head + tail) and "..." not in output:
            raise InvalidArgumentError(
                f"tf.einsum: the output of {equation!r} needs an ellipsis for the shape {x.shape}."
            )
        for label, size in [*zip(head, x.shape), *zip(tail[::-1], x.shape[::-1])]:
            if isinstance(size, int) and sizes.setdefault(label, size) != size:
                raise InvalidArgumentError(
                    f"tf.einsum: the axes {label!r} of {equation!r} have the sizes "
                    f"{sizes[label]} and {size}."
                )


def norm(
    tensor: Any, ord: Any = "euclidean", axis: Any = None, keepdims: Any = None, name: Any = None
) -> Tensor:
    """The norm of all elements as one vector, or along an axis (of matrices, along two axes).

    Args:
        ord: `"euclidean"`, 1, 2, `np.inf` or another positive number; of matrices also `"fro"`.

    >>> tf.linalg.norm([3.0, 4.0]).numpy().tolist()
    5.0
    >>> tf.linalg.norm([[3.0, -4.0]], ord=1, axis=1).numpy().tolist()
    [7.0]
    """
    axis = static(axis)
    axis = tuple(axis) if isinstance(axis, list) else axis
    of_matrices = isinstance(axis, tuple)
    if of_matrices and (len(axis) != 2 or axis[0] == axis[1]):
        raise ValueError(f"axis must be None, an axis or two different ones. Received: {axis}")
    if isinstance(ord, str) or of_matrices:
        known = ord in (("euclidean", "fro", 1, 2, np.inf) if of_matrices else ("euclidean",))
    else:
        known = ord > 0
    if not known:
        what = "matrices: give 1, 2, inf, 'euclidean' or 'fro'" if of_matrices else "vectors"
        raise ValueError(f"tf.norm: ord={ord!r} is no norm of {what}.")
    rest = (ord, axis, bool(keepdims))
    return run(_norm, (_as_operand(tensor),), rest, name="norm")


def _norm(x: Any, ord: Any, axis: Any, keepdims: bool) -> Any:
    of_matrices = isinstance(axis, tuple)
    table.check_kind("norm", x, "bu" if ord in (1, np.inf) else "buiO")
    if ord in ("euclidean", "fro") or (ord == 2 and not of_matrices):
        out = derivatives.sqrt(jnp.sum(jnp.real(x * jnp.conj(x)), axis, keepdims=keepdims))
        return out.astype(x.dtype)  # the norm of complex numbers is complex, too
    if of_matrices and ord == 2:
        largest = jnp.max(derivatives.svdvals(jnp.moveaxis(x, axis, (-2, -1))), -1)
        return jnp.expand_dims(largest, axis) if keepdims else largest
    sizes = derivatives.absolute(x)
    if of_matrices and ord in (1, jnp.inf):
        rows, columns = axis
        summed, other = (rows, columns) if ord == 1 else (columns, rows)
        sums = jnp.sum(sizes, summed, keepdims=True, dtype=sizes.dtype)
        out = jnp.max(sums, other, keepdims=True)
        return out if keepdims else jnp.squeeze(out, axis)
    if ord == 1:
        return jnp.sum(sizes, axis, keepdims=keepdims, dtype=sizes.dtype)
    if ord == jnp.inf:
        return jnp.max(sizes, axis, keepdims=keepdims)
    total = jnp.sum(derivatives.power(sizes, ord), axis, keepdims=keepdims)
    return derivatives.power(total, 1.0 / ord)


@by_rows
@operates
def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: Any = None) -> Tensor:
    """Values limited to a range.

    >>> tf.clip_by_value([-1.0, 0.5, 3.0], 0.0, 1.0).numpy().tolist()
    [0.0, 0.5, 1.0]
    """
    t = _as_operand(t)
    table.check_kind("clip_by_value", t._value, "bc")
    low, high = (operands("clip_by_value", t, v)[1] for v in (clip_value_min, clip_value_max))
    shapes = tuple(t.shape), tuple(low.shape), tuple(high.shape)
    if np.broadcast_shapes(*shapes) != shapes[0]:
        raise ValueError(
            "tf.clip_by_value: the limits must broadcast to the shape of t. "
            f"Received shapes: t {shapes[0]}, limits {shapes[1]} and {shapes[2]}"
        )
    return run(derivatives.clip, (t, low, high))


@by_rows
@operation("clip_by_norm", "t")
def clip_by_norm(t: Any, clip_norm: Any, axes: Any = None) -> Any:
    """The tensor, scaled down if its norm is larger than `clip_norm`.

    >>> tf.clip_by_norm([3.0, 4.0], 2.5).numpy().tolist()
    [1.5, 2.0]
    """
    table.check_kind("clip_by_norm", t, "buic")
    total = jnp.sum(jnp.square(t), axes, keepdims=True)
    some = total > 0
    length = jnp.where(some, jnp.sqrt(jnp.where(some, total, 1)), total)
    return t * clip_norm / derivatives.maximum(length, clip_norm)


def global_norm(t_list: Any, name: Any = None) -> Tensor:
    """The norm of all elements of several tensors; None is ignored.

    Raises TypeError if they are not in a list or tuple.

    >>> tf.linalg.global_norm([[3.0], [4.0]]).numpy().tolist()
    5.0
    """
    if not isinstance(t_list, Sequence):
        raise TypeError(f"t_list must be a sequence of tensors. Received: {t_list!r}")
    tensors = [_as_operand(rows_of(t)) for t in t_list if t is not None]
    for t in tensors:
        table.check_kind("linalg.global_norm", t._value, "buic")
    return sqrt(add_n([reduce_sum(square(t)) for t in tensors]))


def clip_by_global_norm(t_list: Any, clip_norm: Any, use_norm: Any = None, name: Any = None) -> Any:
    """The tensors, scaled down if their `global_norm` is larger than `clip_norm`, and that norm.

    >>> clipped, norm = tf.clip_by_global_norm([[3.0], [4.0]], 2.5)
    >>> [t.numpy().tolist() for t in clipped], norm.numpy().tolist()
    ([[1.5], [2.0]], 5.0)
    """
    length = global_norm(t_list) if use_norm is None else use_norm
    factor = clip_norm / maximum(length, clip_norm)
    factor = factor + (length - length)  # NaN in every tensor if the norm is not finite
    scaled = by_rows(lambda t: multiply(t, factor))
    return [None if t is None else scaled(t) for t in t_list], length


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


def _diagonal(x: Any) -> Any:
    return jnp.diagonal(x, axis1=-2, axis2=-1)


def _hermitian(x: Any) -> Any:
    """The Hermitian matrices with given lower triangles; raises if they are known to have NaN."""
    found = derivatives.hermitian(x)
    if not isinstance(found, jax.core.Tracer) and bool(jnp.isnan(found).any()):
        raise InvalidArgumentError("The eigenvalues of a matrix with NaN are not defined.")
    return found


# The names of arguments that are not `input`.
_MATRIX = {
    **dict.fromkeys(("eig", "eigh", "eigvals", "eigvalsh"), "tensor"),
    **{"adjoint": "matrix", "logdet": "matrix", "tensor_diag": "diagonal", "trace": "x"},
}
_TABLE = {
    "det": jnp.linalg.det,
    "slogdet": lambda x: LogMatrixDeterminant(*[v.astype(x.dtype) for v in jnp.linalg.slogdet(x)]),
    "logdet": lambda x: 2 * jnp.sum(jnp.log(jnp.real(_diagonal(derivatives.cholesky(x)))), -1),
    "trace": lambda x: jnp.trace(x, axis1=-2, axis2=-1, dtype=x.dtype),
    "cholesky": derivatives.cholesky,
    "qr": lambda x, full_matrices=False: _qr(x, "complete" if full_matrices else "reduced"),
    "eigh": lambda x: tuple([v.astype(x.dtype) for v in derivatives.eigh(_hermitian(x))]),
    "eigvalsh": lambda x: derivatives.eigh(_hermitian(x))[0].astype(x.dtype),
    "expm": jax.scipy.linalg.expm,
    "eig": derivatives.eig,
    "eigvals": derivatives.eigvals,
    "sqrtm": lambda x: _sqrtm(x),
    "tensor_diag": lambda x: _tensor_diag(x),
    "tensor_diag_part": lambda x: _diagonal(x.reshape([math.prod(_half(x))] * 2)).reshape(_half(x)),
    "adjoint": moves(lambda x: jnp.conj(jnp.swapaxes(x, -1, -2))),
}
# The kinds of numbers that those functions refuse that do not refuse all integers.
_REFUSED = {"trace": "b", "tensor_diag": "", "tensor_diag_part": "", "adjoint": ""}


def _of_floats(name: str, fn: Callable) -> Callable:
    @functools.wraps(fn)
    def checked(x: Any, *args: Any, **kwargs: Any) -> Any:
        table.check_kind(f"linalg.{name}", x, _REFUSED.get(name, "bui"))
        if name.startswith("tensor_diag"):
            table.check_wide(f"linalg.{name}", x)
        return fn(x, *args, **kwargs)

    return checked


def _qr(x: Any, mode: str) -> Qr:
    wide = x.astype("float32") if x.dtype == np.float16 else x  # which LAPACK does not have
    return Qr(*[v.astype(x.dtype) for v in jnp.linalg.qr(wide, mode)])


def _sqrtm(x: Any) -> Any:
    bands.check_square("sqrtm", x)
    if not x.size:
        return x
    return jnp.vectorize(derivatives.sqrtm, signature="(n,n)->(n,n)")(x).astype(x.dtype)


def _tensor_diag(x: Any) -> Any:
    if not x.ndim:
        raise InvalidArgumentError("tf.linalg.tensor_diag: diagonal must have at least 1 axis.")
    return jnp.diag(x.ravel()).reshape(x.shape * 2)


def _half(x: Any) -> tuple[int, ...]:
    """The axes of the diagonal of a tensor that has each of them twice."""
    half = x.shape[: x.ndim // 2]
    if not half or x.shape != half * 2:
        raise InvalidArgumentError(
            f"tf.linalg.tensor_diag_part: the shape must be one shape twice. Received: {x.shape}"
        )
    return half


for _name, _fn in _TABLE.items():
    _fn = _of_floats(_name, _fn)
    globals()[_name] = operation(f"linalg.{_name}", _MATRIX.get(_name, "input"))(_fn)


@operation("linalg.matrix_transpose", "a")
@moves
def matrix_transpose(a: Any, name: str = "matrix_transpose", conjugate: bool = False) -> Any:
    """Matrices with rows and columns exchanged, batched over leading axes.

    >>> tf.linalg.matrix_transpose([[1, 2], [3, 4]]).numpy().tolist()
    [[1, 3], [2, 4]]
    """
    out = jnp.swapaxes(a, -1, -2)
    return jnp.conj(out) if conjugate else out


@operation("linalg.lu", "input")
def lu(x: Any, output_idx_type: Any = dtypes.int32) -> Any:
    """The LU decomposition of matrices: `L` (without its diagonal of ones) and `U` in one matrix,
    and the order of the rows: `(lu, p)`.

    >>> lu, p = tf.linalg.lu([[4.0, 2.0], [2.0, 5.0]])
    >>> lu.numpy().tolist(), p.numpy().tolist()
    ([[4.0, 2.0], [0.5, 4.0]], [0, 1])
    """
    table.check_kind("linalg.lu", x, "bui")
    bands.check_square("lu", x)
    found, _, order = jax.lax.linalg.lu(_invertible(x))
    kind = dtypes.as_dtype(output_idx_type).dtype
    with WIDE(kind.itemsize == 8):
        return Lu(found, jnp.asarray(order).astype(kind))


@operation("linalg.inv", "input")
def inv(x: Any, adjoint: bool = False) -> Any:
    """The inverse of square matrices.

    >>> tf.linalg.inv([[2.0, 0.0], [0.0, 4.0]]).numpy().tolist()
    [[0.5, 0.0], [0.0, 0.25]]
    """
    wide = _invertible(x.astype("float32") if x.dtype == np.float16 else x)
    out = jnp.linalg.inv(jnp.conj(jnp.swapaxes(wide, -1, -2)) if adjoint else wide)
    return out.astype(x.dtype)


def _invertible(x: Any) -> Any:
    """The matrices; raises if their values are known and elimination finds a pivot of 0."""
    if not isinstance(x, jax.core.Tracer):
        with jax.ensure_compile_time_eval():  # of a known matrix, also in a traced function
            pivots = jnp.diagonal(jax.lax.linalg.lu(jnp.asarray(x))[0], axis1=-2, axis2=-1)
            singular = bool(jnp.any(pivots == 0))
        if singular:
            raise InvalidArgumentError("Input is not invertible.")
    return x


@operation("linalg.svd", "tensor")
def svd(x: Any, full_matrices: bool = False, compute_uv: bool = True) -> Any:
    """Singular values, and the left and right vectors as columns: `(s, u, v)`.

    >>> s, u, v = tf.linalg.svd([[3.0, 0.0], [0.0, 2.0]])
    >>> s.numpy().tolist()
    [3.0, 2.0]
    """
    table.check_kind("linalg.svd", x, "bui")
    if not compute_uv:
        return derivatives.svdvals(x)
    if full_matrices and x.shape[-2] != x.shape[-1]:
        u, s, vh = jnp.linalg.svd(x)
    else:
        u, s, vh = derivatives.svd(x)
    return s, u, jnp.conj(jnp.swapaxes(vh, -1, -2))


@operation("linalg.solve", "matrix rhs")
def solve(a: Any, b: Any, adjoint: bool = False) -> Any:
    """The solution of `matrix @ x == rhs`.

    >>> tf.linalg.solve([[2.0, 0.0], [0.0, 4.0]], [[2.0], [8.0]]).numpy().tolist()
    [[1.0], [2.0]]
    """
    bands.check_system("solve", a, b)
    if b.ndim != a.ndim:
        raise InvalidArgumentError(
            f"tf.linalg.solve: matrix and rhs must have the same rank. Received shapes {a.shape} "
            f"and {b.shape}."
        )
    a = _invertible(a)
    return jnp.linalg.solve(jnp.conj(jnp.swapaxes(a, -1, -2)) if adjoint else a, b)


@operation("linalg.triangular_solve", "matrix rhs")
def triangular_solve(a: Any, b: Any, lower: bool = True, adjoint: bool = False) -> Any:
    """Like `solve`, for triangular matrices.

    >>> tf.linalg.triangular_solve([[2.0, 0.0], [1.0, 4.0]], [[2.0], [9.0]]).numpy().tolist()
    [[1.0], [2.0]]
    """
    bands.check_system("triangular_solve", a, b)
    return jax.scipy.linalg.solve_triangular(a, b, trans=2 if adjoint else 0, lower=lower)


@operation("linalg.cholesky_solve", "chol rhs")
def cholesky_solve(chol: Any, rhs: Any) -> Any:
    """The solution of `a @ x == rhs`, where `chol` is the lower factor of `a`.

    >>> tf.linalg.cholesky_solve([[2.0, 0.0], [1.0, 2.0]], [[8.0], [9.0]]).numpy().tolist()
    [[1.375], [1.25]]
    """
    bands.check_system("cholesky_solve", chol, rhs)
    half = jax.scipy.linalg.solve_triangular(chol, rhs, lower=True)
    return jax.scipy.linalg.solve_triangular(chol, half, lower=True, trans=2)


@operation("linalg.pinv", "a")
def pinv(a: Any, rcond: Any = None, validate_args: bool = False) -> Any:
    """The pseudo-inverse of matrices. Singular values up to `rcond` times the largest are replaced
    by 0.

    >>> tf.linalg.pinv([[2.0, 0.0], [0.0, 4.0]]).numpy().round(4).tolist()
    [[0.5, 0.0], [0.0, 0.25]]
    """
    return jnp.linalg.pinv(a, _small(a, 10) if rcond is None else rcond)


@operation("linalg.matrix_rank", "a")
def matrix_rank(a: Any, tol: Any = None, validate_args: bool = False) -> Any:
    """The number of singular values of matrices above `tol`, int32.

    >>> tf.linalg.matrix_rank([[1.0, 2.0], [2.0, 4.0]]).numpy().tolist()
    1
    """
    values = jnp.linalg.svd(a, compute_uv=False)
    if tol is None:
        tol = _small(a, 1) * jnp.max(values, -1, keepdims=True, initial=0)
    return jnp.sum(values > jnp.asarray(tol), -1, dtype="int32")


def _small(a: Any, factor: int) -> float:
    return factor * max(a.shape[-2:]) * float(jnp.finfo(a.dtype).eps)


@operation("linalg.lstsq", "matrix rhs")
def lstsq(a: Any, b: Any, l2_regularizer: float = 0.0, fast: bool = True) -> Any:
    """The least-squares solution of `matrix @ x == rhs`.

    Args:
        l2_regularizer: the weight of the squared solution in what is minimized, without effect if
            `fast` is not set, as in TensorFlow.

    >>> tf.linalg.lstsq([[1.0, 0.0], [0.0, 2.0]], [[3.0], [4.0]]).numpy().round(4).tolist()
    [[3.0], [2.0]]
    """
    bands.check_system("lstsq", a, b)
    batch = jnp.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (jnp.broadcast_to(x, (*batch, *x.shape[-2:])) for x in (a, b))
    if l2_regularizer == 0.0 or not fast:
        solved = jnp.vectorize(derivatives.least_squares, signature="(m,n),(m,k)->(n,k)")
        return solved(a, b)
    at = jnp.conj(jnp.swapaxes(a, -1, -2))
    if a.shape[-2] >= a.shape[-1]:
        own = at @ a + l2_regularizer * jnp.eye(a.shape[-1], dtype=a.dtype)
        return jnp.linalg.solve(own, at @ b)
    own = a @ at + l2_regularizer * jnp.eye(a.shape[-2], dtype=a.dtype)
    return at @ jnp.linalg.solve(own, b)


@operation("linalg.cross", "a b")
def cross(a: Any, b: Any) -> Any:
    """The cross product along the last axis.

    >>> tf.linalg.cross([1, 0, 0], [0, 1, 0]).numpy().tolist()
    [0, 0, 1]
    """
    table.check_kind("linalg.cross", a, "bc")
    if a.shape != b.shape or not a.ndim or a.shape[-1] != 3:
        raise InvalidArgumentError(
            "tf.linalg.cross: a and b must have one shape, with 3 elements along the last axis. "
            f"Received shapes {a.shape} and {b.shape}."
        )
    return jnp.cross(a, b)


def normalize(
    tensor: Any, ord: Any = "euclidean", axis: Any = None, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """The tensor divided by its norm, and the norm.

    >>> unit, norm = tf.linalg.normalize([3.0, 4.0])
    >>> unit.numpy().round(4), norm.numpy().tolist()
    (array([0.6, 0.8], dtype=float32), [5.0])
    """
    length = norm(tensor, ord, axis, keepdims=True)
    return tensor / length, length


for _module in (bands, diagonals):
    globals().update({_name: getattr(_module, _name) for _name in _module.__all__})
documentation.describe(globals(), "linalg")

__all__ = sorted(
    [
        *_TABLE,
        *bands.__all__,
        *diagonals.__all__,
        *("cholesky_solve", "cross", "einsum", "eye", "global_norm", "inv", "l2_normalize"),
        *("lstsq", "lu", "matmul", "matrix_rank", "matrix_transpose", "matvec", "norm"),
        *("normalize", "pinv", "solve", "svd", "tensordot", "triangular_solve"),
    ]
)
__dir__ = __all__.copy
