"""Types of `keraslike.tf.linalg`. Written by tests/types/stubs.py, see there."""

import builtins as _builtins
from collections.abc import Callable as _Callable
from collections.abc import Sequence as _Sequence
from typing import Any as _Any

from keraslike.tf.circulants import LinearOperatorCirculant as LinearOperatorCirculant
from keraslike.tf.circulants import LinearOperatorCirculant2D as LinearOperatorCirculant2D
from keraslike.tf.circulants import LinearOperatorCirculant3D as LinearOperatorCirculant3D
from keraslike.tf.linear_operator import LinearOperator as LinearOperator
from keraslike.tf.linear_operator import LinearOperatorAdjoint as LinearOperatorAdjoint
from keraslike.tf.linear_operator import LinearOperatorComposition as LinearOperatorComposition
from keraslike.tf.linear_operator import LinearOperatorDiag as LinearOperatorDiag
from keraslike.tf.linear_operator import LinearOperatorIdentity as LinearOperatorIdentity
from keraslike.tf.linear_operator import LinearOperatorInversion as LinearOperatorInversion
from keraslike.tf.linear_operator import (
    LinearOperatorLowerTriangular as LinearOperatorLowerTriangular,
)
from keraslike.tf.linear_operators import LinearOperatorBlockDiag as LinearOperatorBlockDiag
from keraslike.tf.linear_operators import (
    LinearOperatorBlockLowerTriangular as LinearOperatorBlockLowerTriangular,
)
from keraslike.tf.linear_operators import LinearOperatorFullMatrix as LinearOperatorFullMatrix
from keraslike.tf.linear_operators import LinearOperatorHouseholder as LinearOperatorHouseholder
from keraslike.tf.linear_operators import LinearOperatorKronecker as LinearOperatorKronecker
from keraslike.tf.linear_operators import LinearOperatorLowRankUpdate as LinearOperatorLowRankUpdate
from keraslike.tf.linear_operators import LinearOperatorPermutation as LinearOperatorPermutation
from keraslike.tf.linear_operators import (
    LinearOperatorScaledIdentity as LinearOperatorScaledIdentity,
)
from keraslike.tf.linear_operators import LinearOperatorToeplitz as LinearOperatorToeplitz
from keraslike.tf.linear_operators import LinearOperatorTridiag as LinearOperatorTridiag
from keraslike.tf.linear_operators import LinearOperatorZeros as LinearOperatorZeros

def adjoint(matrix: _Any, name: _builtins.str | None = ...) -> _Any: ...
def band_part(
    input: _Any,
    num_lower: _builtins.int,
    num_upper: _builtins.int,
    name: _builtins.str | None = ...,
) -> _Any: ...
def banded_triangular_solve(
    bands: _Any,
    rhs: _Any,
    lower: _builtins.bool = ...,
    adjoint: _builtins.bool = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def cholesky(input: _Any, name: _builtins.str | None = ...) -> _Any: ...
def cholesky_solve(chol: _Any, rhs: _Any, name: _builtins.str | None = ...) -> _Any: ...
def cross(a: _Any, b: _Any, name: _builtins.str | None = ...) -> _Any: ...
def det(input: _Any, name: _builtins.str | None = ...) -> _Any: ...
def diag(
    diagonal: _Any,
    name: _builtins.str = ...,
    k: _Any = ...,
    num_rows: _builtins.int = ...,
    num_cols: _builtins.int = ...,
    padding_value: _Any = ...,
    align: _builtins.str = ...,
) -> _Any: ...
def diag_part(
    input: _Any,
    name: _builtins.str = ...,
    k: _Any = ...,
    padding_value: _Any = ...,
    align: _builtins.str = ...,
) -> _Any: ...
def eig(tensor: _Any, name: _builtins.str | None = ...) -> _Any: ...
def eigh(tensor: _Any, name: _builtins.str | None = ...) -> _Any: ...
def eigh_tridiagonal(
    alpha: _Any,
    beta: _Any,
    eigvals_only: _builtins.bool = ...,
    select: _builtins.str = ...,
    select_range: _Any = ...,
    tol: _Any = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def eigvals(tensor: _Any, name: _builtins.str | None = ...) -> _Any: ...
def eigvalsh(tensor: _Any, name: _builtins.str | None = ...) -> _Any: ...
def einsum(equation: _builtins.str, *inputs: _Any, **kwargs: _Any) -> _Any: ...

experimental: _Any

def expm(input: _Any, name: _builtins.str | None = ...) -> _Any: ...
def eye(
    num_rows: _Any,
    num_columns: _Any = ...,
    batch_shape: _Any = ...,
    dtype: _Any = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def global_norm(t_list: _Any, name: _Any = ...) -> _Any: ...
def inv(input: _Any, adjoint: _builtins.bool = ..., name: _builtins.str | None = ...) -> _Any: ...
def l2_normalize(
    x: _Any,
    axis: _Any = ...,
    epsilon: _builtins.float = ...,
    name: _builtins.str | None = ...,
    dim: _Any = ...,
) -> _Any: ...
def logdet(matrix: _Any, name: _builtins.str | None = ...) -> _Any: ...
def logm(input: _Any, name: _builtins.str | None = ...) -> _Any: ...
def lstsq(
    matrix: _Any,
    rhs: _Any,
    l2_regularizer: _builtins.float = ...,
    fast: _builtins.bool = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def lu(input: _Any, output_idx_type: _Any = ..., name: _builtins.str | None = ...) -> _Any: ...
def lu_matrix_inverse(
    lower_upper: _Any,
    perm: _Any,
    validate_args: _builtins.bool = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def lu_reconstruct(
    lower_upper: _Any,
    perm: _Any,
    validate_args: _builtins.bool = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def lu_solve(
    lower_upper: _Any,
    perm: _Any,
    rhs: _Any,
    validate_args: _builtins.bool = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def matmul(
    a: _Any,
    b: _Any,
    transpose_a: _builtins.bool = ...,
    transpose_b: _builtins.bool = ...,
    adjoint_a: _builtins.bool = ...,
    adjoint_b: _builtins.bool = ...,
    a_is_sparse: _builtins.bool = ...,
    b_is_sparse: _builtins.bool = ...,
    output_type: _Any = ...,
    grad_a: _builtins.bool = ...,
    grad_b: _builtins.bool = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def matrix_rank(
    a: _Any, tol: _Any = ..., validate_args: _builtins.bool = ..., name: _builtins.str | None = ...
) -> _Any: ...
def matrix_transpose(
    a: _Any, name: _builtins.str = ..., conjugate: _builtins.bool = ...
) -> _Any: ...
def matvec(
    a: _Any,
    b: _Any,
    transpose_a: _builtins.bool = ...,
    adjoint_a: _builtins.bool = ...,
    a_is_sparse: _builtins.bool = ...,
    b_is_sparse: _builtins.bool = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def norm(
    tensor: _Any, ord: _Any = ..., axis: _Any = ..., keepdims: _Any = ..., name: _Any = ...
) -> _Any: ...
def normalize(
    tensor: _Any, ord: _Any = ..., axis: _Any = ..., name: _builtins.str | None = ...
) -> _Any: ...
def pinv(
    a: _Any,
    rcond: _Any = ...,
    validate_args: _builtins.bool = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def qr(input: _Any, full_matrices: _Any = ..., name: _builtins.str | None = ...) -> _Any: ...
def set_diag(
    input: _Any,
    diagonal: _Any,
    name: _builtins.str = ...,
    k: _Any = ...,
    align: _builtins.str = ...,
) -> _Any: ...
def slogdet(input: _Any, name: _builtins.str | None = ...) -> _Any: ...
def solve(
    matrix: _Any, rhs: _Any, adjoint: _builtins.bool = ..., name: _builtins.str | None = ...
) -> _Any: ...
def sqrtm(input: _Any, name: _builtins.str | None = ...) -> _Any: ...
def svd(
    tensor: _Any,
    full_matrices: _builtins.bool = ...,
    compute_uv: _builtins.bool = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def tensor_diag(diagonal: _Any, name: _builtins.str | None = ...) -> _Any: ...
def tensor_diag_part(input: _Any, name: _builtins.str | None = ...) -> _Any: ...
def tensordot(a: _Any, b: _Any, axes: _Any, name: _builtins.str | None = ...) -> _Any: ...
def trace(x: _Any, name: _builtins.str | None = ...) -> _Any: ...
def triangular_solve(
    matrix: _Any,
    rhs: _Any,
    lower: _builtins.bool = ...,
    adjoint: _builtins.bool = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def tridiagonal_matmul(
    diagonals: _Any,
    rhs: _Any,
    diagonals_format: _builtins.str = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def tridiagonal_solve(
    diagonals: _Any,
    rhs: _Any,
    diagonals_format: _builtins.str = ...,
    transpose_rhs: _builtins.bool = ...,
    conjugate_rhs: _builtins.bool = ...,
    name: _builtins.str | None = ...,
    partial_pivoting: _builtins.bool = ...,
    perturb_singular: _builtins.bool = ...,
) -> _Any: ...
