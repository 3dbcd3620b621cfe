"""Matrices that are given by their parts: `tf.linalg.LinearOperatorDiag` and others.

Each defines its matrix (`to_dense`) and, where that is cheaper, also products and solutions; all
other functions are derived from these.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from keraslike.tf import dtypes, linalg, ops, table
from keraslike.tf import math as tf_math
from keraslike.tf.conversion import _as_operand, constant, convert_to_tensor, static
from keraslike.tf.dtypes import TensorShape
from keraslike.tf.module import Module
from keraslike.tf.operator_arguments import (
    HINTS,
    check_operators,
    hints_like,
    hints_of,
    method_of,
    require,
    spread,
)
from keraslike.tf.structure import Structure
from keraslike.tf.tensor import Tensor


class LinearOperator(Module, Structure):
    """A matrix, or a batch of them, that need not be stored as a dense tensor.

    Args:
        dtype: of the elements.
        is_non_singular, is_self_adjoint, is_positive_definite, is_square: its properties;
            `None` if unknown.

    Raises ValueError if these contradict one another.

    >>> issubclass(tf.linalg.LinearOperatorDiag, tf.linalg.LinearOperator)
    True
    """

    # The attributes that hold tensors, with the number of axes that belong to one matrix, and
    # those that hold operators, with None.
    _parts: ClassVar[Mapping[str, int | None]] = {}

    def __init__(
        self,
        dtype: Any,
        graph_parents: Any = None,
        is_non_singular: bool | None = None,
        is_self_adjoint: bool | None = None,
        is_positive_definite: bool | None = None,
        is_square: bool | None = None,
        name: str | None = None,
        parameters: Any = None,
    ):
        super().__init__(name=name or type(self).__name__)
        if is_positive_definite:
            if is_non_singular is False:
                raise ValueError("A positive definite matrix is always non-singular.")
            is_non_singular = True
        if (is_non_singular or is_self_adjoint) and is_square is False:
            raise ValueError("A non-singular or self-adjoint matrix is always square.")
        self._dtype = dtypes.as_dtype(dtype)
        self._non_singular, self._self_adjoint = is_non_singular, is_self_adjoint
        self._positive_definite, self._square = is_positive_definite, is_square

    # -- properties ---------------------------------------------------------------------------

    dtype = property(lambda self: self._dtype)
    is_non_singular = property(lambda self: self._non_singular)
    is_self_adjoint = property(lambda self: self._self_adjoint)
    is_positive_definite = property(lambda self: self._positive_definite)

    @property
    def is_square(self) -> bool | None:
        """Whether there are as many rows as columns. Raises ValueError if the operator was declared
        not to be square, but is."""
        found = self.shape[-1] == self.shape[-2]
        if found and self._square is False:
            raise ValueError(f"{self.name} is square, but was given is_square=False.")
        return found

    @property
    def shape(self) -> TensorShape:
        """The sizes of the batch, the rows and the columns."""
        return TensorShape(self._shape())

    def _shape(self) -> Sequence[int]:
        return self.to_dense().shape

    batch_shape = property(lambda self: self.shape[:-2])
    tensor_rank = property(lambda self: len(self.shape))
    domain_dimension = property(lambda self: self.shape[-1])
    range_dimension = property(lambda self: self.shape[-2])

    def shape_tensor(self, name: Any = None) -> Tensor:
        """The shape as a tensor."""
        return constant(self.shape.as_list(), dtypes.int32)

    def batch_shape_tensor(self, name: Any = None) -> Tensor:
        """The sizes of the batch as a tensor."""
        return constant(self.batch_shape.as_list(), dtypes.int32)

    def tensor_rank_tensor(self, name: Any = None) -> Tensor:
        """The number of axes as a tensor."""
        return constant(self.tensor_rank)

    def domain_dimension_tensor(self, name: Any = None) -> Tensor:
        """The number of columns as a tensor."""
        return constant(self.domain_dimension)

    def range_dimension_tensor(self, name: Any = None) -> Tensor:
        """The number of rows as a tensor."""
        return constant(self.range_dimension)

    def to_dense(self, name: Any = None) -> Tensor:
        """The matrix."""
        return self._matmul(ops.eye(self.domain_dimension, dtype=self.dtype), False)

    def __getitem__(self, slices: Any) -> Self:
        """The operator of some matrices of a batch: an index of its leading axes.

        Raises InvalidArgumentError for an index that is outside of these.

        >>> tf.linalg.LinearOperatorDiag([[1.0, 2.0], [3.0, 4.0]])[1].to_dense().numpy().tolist()
        [[3.0, 0.0], [0.0, 4.0]]
        """
        batch = tuple(self.batch_shape)
        given = tuple(slices) if isinstance(slices, (list, tuple)) else (slices,)
        if not any(part is Ellipsis for part in given):
            given = (*given, Ellipsis)

        def chosen(x: Any, axes: int) -> Any:
            own = tuple(x.shape)[len(x.shape) - axes :]
            return ops.broadcast_to(x, (*batch, *own))[(*given, *[slice(None)] * axes)]

        return self._with_tensors(chosen)

    def _with_tensors(self, change: Callable[[Any, int], Any]) -> Self:
        """The operator with each of its tensors changed; the second argument is the number of axes
        that belong to one matrix."""

        def changed(value: Any) -> Any:
            if isinstance(value, LinearOperator):
                return value._with_tensors(change)
            return [changed(operator) for operator in value]

        made = copy.copy(self)
        for name, axes in self._parts.items():
            value = getattr(self, name)
            setattr(made, name, changed(value) if axes is None else change(value, axes))
        return made

    def _needs_square(self, what: str) -> None:
        if not self.is_square:
            raise NotImplementedError(f"{what} of a matrix of shape {self.shape}: it is not square")

    # -- products and solutions ---------------------------------------------------------------

    def matmul(
        self, x: Any, adjoint: bool = False, adjoint_arg: bool = False, name: Any = None
    ) -> Any:
        """The product with matrices, or with another operator, which gives an operator."""
        if isinstance(x, LinearOperator):
            left = self.adjoint() if adjoint else self
            right = x.adjoint() if adjoint_arg else x
            if left.domain_dimension != right.range_dimension:
                raise ValueError(
                    f"Operators of shapes {left.shape} and {right.shape} have no product."
                )
            return _product(left, right)
        size = self.range_dimension if adjoint else self.domain_dimension
        return self._matmul(self._fitting(x, adjoint_arg, size), adjoint)

    def _fitting(self, x: Any, adjoint_arg: bool, size: int) -> Any:
        """A tensor of matrices with as many rows as the operator takes. Raises ValueError for
        another number: some operators would broadcast them."""
        x = _adjoint(self._taken(x), adjoint_arg)
        if len(x.shape) < 2 or not TensorShape([x.shape[-2]]).is_compatible_with([size]):
            raise ValueError(
                f"{self.name} takes matrices with {size} rows. Received shape: {tuple(x.shape)}"
            )
        return x

    def _taken(self, x: Any) -> Any:
        x = convert_to_tensor(x, dtype_hint=self.dtype)
        if x.dtype != self.dtype:
            raise TypeError(f"Expected a tensor of dtype {self.dtype}. Received: {x.dtype}")
        return x

    def _matmul(self, x: Any, adjoint: bool) -> Any:
        return linalg.matmul(*spread(self.to_dense(), x), adjoint_a=adjoint)

    def matvec(self, x: Any, adjoint: bool = False, name: Any = None) -> Tensor:
        """The product with vectors."""
        return self.matmul(ops.expand_dims(self._taken(x), -1), adjoint)[..., 0]

    def __matmul__(self, other: Any) -> Any:
        return self.matmul(other)

    def solve(
        self, rhs: Any, adjoint: bool = False, adjoint_arg: bool = False, name: Any = None
    ) -> Any:
        """The solution of `matrix @ x == rhs`. Raises NotImplementedError for a singular one."""
        if self.is_non_singular is False:
            raise NotImplementedError(
                f"{self.name}: there is no exact solution for a singular matrix."
            )
        self._needs_square("A solution")
        if isinstance(rhs, LinearOperator):
            left = self.adjoint() if adjoint else self
            return _product(left.inverse(), rhs.adjoint() if adjoint_arg else rhs)
        return self._solve(self._fitting(rhs, adjoint_arg, self.range_dimension), adjoint)

    def _solve(self, rhs: Any, adjoint: bool) -> Any:
        return linalg.solve(*spread(self.to_dense(), rhs), adjoint=adjoint)

    def solvevec(self, rhs: Any, adjoint: bool = False, name: Any = None) -> Tensor:
        """The solution of `matrix @ x == rhs` for vectors."""
        return self.solve(ops.expand_dims(self._taken(rhs), -1), adjoint)[..., 0]

    def _operate(self, name: str, function: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        """A function of `tf.linalg` of this operator."""
        return method_of(self, name, function, args, kwargs)

    # -- numbers ------------------------------------------------------------------------------

    def determinant(self, name: Any = None) -> Tensor:
        """The determinant. Raises NotImplementedError for a matrix that is not square."""
        self._needs_square("The determinant")
        return self._determinant()

    def log_abs_determinant(self, name: Any = None) -> Tensor:
        """The logarithm of the absolute value of the determinant."""
        self._needs_square("The determinant")
        return self._log_abs_determinant()

    def _determinant(self) -> Any:
        return linalg.det(self.to_dense())  # type: ignore[attr-defined]

    def _log_abs_determinant(self) -> Any:
        return linalg.slogdet(self.to_dense())[1]  # type: ignore[attr-defined]

    def diag_part(self, name: Any = None) -> Tensor:
        """The main diagonal."""
        return linalg.diag_part(self.to_dense())

    def trace(self, name: Any = None) -> Tensor:
        """The sum of the main diagonal."""
        return table.reduce_sum(self.diag_part(), -1)

    def add_to_tensor(self, x: Any, name: Any = None) -> Tensor:
        """The sum of the matrix and a tensor."""
        return self.to_dense() + self._taken(x)

    def eigvals(self, name: Any = None) -> Tensor:
        """The eigenvalues of an operator that is declared to be self-adjoint."""
        if not self.is_self_adjoint:
            raise NotImplementedError("Only self-adjoint matrices are supported.")
        return linalg.eigvalsh(self.to_dense())  # type: ignore[attr-defined]

    def cond(self, name: Any = None) -> Tensor:
        """The condition number: the largest singular value divided by the smallest one."""
        values = linalg.svd(self.to_dense(), compute_uv=False)
        return table.reduce_max(values, -1) / table.reduce_min(values, -1)

    # -- other operators ----------------------------------------------------------------------

    def adjoint(self, name: Any = None) -> LinearOperator:
        """The operator of the conjugate transpose."""
        return self if self.is_self_adjoint else LinearOperatorAdjoint(self)

    H = property(lambda self: self.adjoint())

    def inverse(self, name: Any = None) -> LinearOperator:
        """The operator of the inverse. Raises ValueError for a singular or rectangular matrix."""
        if not self.is_square or self.is_non_singular is False:
            raise ValueError(f"Cannot take the inverse of {self.name}, of shape {self.shape}.")
        return LinearOperatorInversion(self)

    def cholesky(self, name: Any = None) -> LinearOperator:
        """The lower factor, of an operator declared to be self-adjoint and positive
        definite."""
        if not (self.is_positive_definite and self.is_self_adjoint):
            raise ValueError("Cannot take the Cholesky decomposition: not known to be positive.")
        return LinearOperatorLowerTriangular(
            linalg.cholesky(self.to_dense()),  # type: ignore[attr-defined]
            is_non_singular=True,
            is_self_adjoint=False,
            is_square=True,
        )

    def _times(self, right: LinearOperator) -> LinearOperator:
        return LinearOperatorComposition([self, right])

    # -- assertions ---------------------------------------------------------------------------

    def assert_non_singular(self, name: Any = None) -> None:
        """Raises InvalidArgumentError for a matrix that is nearly singular."""
        worst = 1 / np.finfo(self.dtype.real_dtype.as_numpy_dtype).eps
        require(self.cond() < worst, f"Singular matrix up to precision: {self.name}")

    def assert_self_adjoint(self, name: Any = None) -> None:
        """Raises InvalidArgumentError for a matrix that differs from its conjugate transpose."""
        dense = self.to_dense()
        differs = table.abs(dense - linalg.adjoint(dense)) > 1e-5  # type: ignore[attr-defined]
        require(~differs, f"Matrix was not equal to its adjoint: {self.name}")

    def assert_positive_definite(self, name: Any = None) -> None:
        """Raises InvalidArgumentError for a matrix that is not positive definite."""
        half = self.to_dense()
        half = half + linalg.adjoint(half)  # type: ignore[attr-defined]
        require(tf_math.real(linalg.eigvalsh(half)) > 0, f"Not positive definite: {self.name}")  # type: ignore[attr-defined]


def _product(left: LinearOperator, right: LinearOperator) -> LinearOperator:
    if isinstance(left, LinearOperatorIdentity):
        return right
    if isinstance(right, LinearOperatorIdentity):
        return left
    return left._times(right)


def _adjoint(x: Any, wanted: bool) -> Any:
    return linalg.adjoint(x) if wanted else x  # type: ignore[attr-defined]


# -- of one tensor --------------------------------------------------------------------------------


class LinearOperatorDiag(LinearOperator):
    """The operator of a diagonal matrix.

    >>> operator = tf.linalg.LinearOperatorDiag([2.0, 4.0])
    >>> operator.solvevec([2.0, 2.0]).numpy().tolist(), float(operator.determinant())
    ([1.0, 0.5], 8.0)
    """

    def __init__(self, diag: Any, **hints: Any):
        self._diag = _as_operand(diag)
        if not len(self._diag.shape):
            raise ValueError("diag must have at least 1 axis.")
        is_real = not dtypes.as_dtype(self._diag.dtype).is_complex
        adjoint = True if is_real else None
        super().__init__(
            self._diag.dtype, **hints_of(hints, is_self_adjoint=adjoint, is_square=True)
        )

    diag = property(lambda self: self._diag)
    _parts: ClassVar = {"_diag": 1}

    def _times(self, right: LinearOperator) -> LinearOperator:
        if type(self) is type(right) is LinearOperatorDiag:
            return LinearOperatorDiag(self._diag * right.diag)
        return super()._times(right)

    def _shape(self) -> Sequence[int]:
        return (*self._diag.shape, self._diag.shape[-1])

    def to_dense(self, name: Any = None) -> Tensor:
        return linalg.diag(self._diag)

    def diag_part(self, name: Any = None) -> Tensor:
        return ops.identity(self._diag)

    def _scale(self, adjoint: bool) -> Any:
        return ops.expand_dims(tf_math.conj(self._diag) if adjoint else self._diag, -1)

    def _matmul(self, x: Any, adjoint: bool) -> Any:
        return self._scale(adjoint) * x

    def _solve(self, rhs: Any, adjoint: bool) -> Any:
        return rhs * (1.0 / self._scale(adjoint))

    def _determinant(self) -> Any:
        return table.reduce_prod(self._diag, -1)

    def _log_abs_determinant(self) -> Any:
        return table.reduce_sum(table.log(table.abs(self._diag)), -1)

    def inverse(self, name: Any = None) -> LinearOperator:
        return LinearOperatorDiag(1.0 / self._diag, is_non_singular=True)

    def adjoint(self, name: Any = None) -> LinearOperator:
        return self if self.is_self_adjoint else LinearOperatorDiag(tf_math.conj(self._diag))

    def eigvals(self, name: Any = None) -> Tensor:
        return self.diag_part()

    def cholesky(self, name: Any = None) -> LinearOperator:
        if not (self.is_positive_definite and self.is_self_adjoint):
            raise ValueError("Cannot take the Cholesky decomposition: not known to be positive.")
        return LinearOperatorDiag(table.sqrt(self._diag), is_positive_definite=True)


class LinearOperatorLowerTriangular(LinearOperator):
    """The operator of the lower triangle of a matrix.

    >>> operator = tf.linalg.LinearOperatorLowerTriangular([[2.0, 9.0], [1.0, 4.0]])
    >>> operator.to_dense().numpy().tolist()
    [[2.0, 0.0], [1.0, 4.0]]
    """

    def __init__(self, tril: Any, **hints: Any):
        self._tril = _as_operand(tril)
        if len(self._tril.shape) < 2:
            raise ValueError(f"tril must have at least 2 axes. Received: {self._tril.shape}")
        super().__init__(self._tril.dtype, **hints_of(hints, is_square=True))

    tril = property(lambda self: self._tril)
    _parts: ClassVar = {"_tril": 2}

    def to_dense(self, name: Any = None) -> Tensor:
        return linalg.band_part(self._tril, -1, 0)

    def _shape(self) -> Sequence[int]:
        return self._tril.shape

    def _solve(self, rhs: Any, adjoint: bool) -> Any:
        return linalg.triangular_solve(*spread(self.to_dense(), rhs), adjoint=adjoint)

    def _determinant(self) -> Any:
        return table.reduce_prod(self.diag_part(), -1)

    def _log_abs_determinant(self) -> Any:
        return table.reduce_sum(table.log(table.abs(self.diag_part())), -1)

    def eigvals(self, name: Any = None) -> Tensor:
        return self.diag_part()


class LinearOperatorIdentity(LinearOperatorDiag):
    """The operator that changes nothing.

    >>> tf.linalg.LinearOperatorIdentity(2).matvec([1.0, 2.0]).numpy().tolist()
    [1.0, 2.0]
    """

    def __init__(self, num_rows: Any, batch_shape: Any = None, dtype: Any = None, **hints: Any):
        hints.pop("assert_proper_shapes", None)
        batch = () if batch_shape is None else tuple(static(batch_shape))
        ones = ops.ones([*batch, static(num_rows)], dtype or dtypes.float32)
        if wrong := [name for name in HINTS if hints.get(name) is False]:
            raise ValueError(f"Of an identity operator {wrong[0]} is always True.")
        yes = dict.fromkeys(HINTS, True)
        super().__init__(ones, **hints_of(hints, **yes))

    def inverse(self, name: Any = None) -> LinearOperator:
        return self


# -- of other operators ---------------------------------------------------------------------------


class LinearOperatorAdjoint(LinearOperator):
    """The operator of the conjugate transpose of another one.

    >>> operator = tf.linalg.LinearOperatorFullMatrix([[1.0, 2.0], [3.0, 4.0]])
    >>> tf.linalg.LinearOperatorAdjoint(operator).to_dense().numpy().tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """

    def __init__(self, operator: LinearOperator, **hints: Any):
        self._operator = operator
        said = hints_like(operator, "adjoint", hints)
        hints.setdefault("name", f"{operator.name}_adjoint")
        super().__init__(operator.dtype, **hints_of(hints, **said))

    operator = property(lambda self: self._operator)
    _parts: ClassVar = {"_operator": None}

    def _shape(self) -> Sequence[int]:
        *batch, rows, columns = self._operator.shape
        return (*batch, columns, rows)

    def to_dense(self, name: Any = None) -> Tensor:
        return _adjoint(self._operator.to_dense(), True)

    def _matmul(self, x: Any, adjoint: bool) -> Any:
        return self._operator._matmul(x, not adjoint)

    def _solve(self, rhs: Any, adjoint: bool) -> Any:
        return self._operator._solve(rhs, not adjoint)

    def adjoint(self, name: Any = None) -> LinearOperator:
        return self._operator


class LinearOperatorInversion(LinearOperator):
    """The operator of the inverse of another one.

    >>> operator = tf.linalg.LinearOperatorFullMatrix([[2.0, 0.0], [0.0, 4.0]])
    >>> tf.linalg.LinearOperatorInversion(operator).matvec([2.0, 2.0]).numpy().tolist()
    [1.0, 0.5]
    """

    def __init__(self, operator: LinearOperator, **hints: Any):
        if False in (operator.is_non_singular, hints.get("is_non_singular")):
            raise ValueError(f"operator must not be singular. Received: {operator.name}")
        self._operator = operator
        said = hints_like(operator, "inverse", hints)
        hints.setdefault("name", f"{operator.name}_inv")
        super().__init__(operator.dtype, **hints_of(hints, **said))

    operator = property(lambda self: self._operator)
    _parts: ClassVar = {"_operator": None}

    def _shape(self) -> Sequence[int]:
        return self._operator.shape

    def _matmul(self, x: Any, adjoint: bool) -> Any:
        return self._operator.solve(x, adjoint)

    def _solve(self, rhs: Any, adjoint: bool) -> Any:
        return self._operator.matmul(rhs, adjoint)

    def _determinant(self) -> Any:
        return 1.0 / self._operator.determinant()

    def _log_abs_determinant(self) -> Any:
        return -self._operator.log_abs_determinant()

    def inverse(self, name: Any = None) -> LinearOperator:
        return self._operator


class LinearOperatorComposition(LinearOperator):
    """The product of operators: the last one is applied first.

    >>> one = tf.linalg.LinearOperatorFullMatrix([[1.0, 2.0], [3.0, 4.0]])
    >>> two = tf.linalg.LinearOperatorDiag([1.0, 10.0])
    >>> tf.linalg.LinearOperatorComposition([one, two]).matvec([1.0, 1.0]).numpy().tolist()
    [21.0, 43.0]
    """

    def __init__(self, operators: Sequence[LinearOperator], **hints: Any):
        self._operators = check_operators(operators)
        known = all(o.is_non_singular for o in self._operators) or None
        name = hints.pop("name", "_o_".join(o.name for o in self._operators))
        super().__init__(
            self._operators[0].dtype, name=name, **hints_of(hints, is_non_singular=known)
        )

    operators = property(lambda self: self._operators)
    _parts: ClassVar = {"_operators": None}

    def _shape(self) -> Sequence[int]:
        batch = np.broadcast_shapes(*(tuple(o.batch_shape) for o in self._operators))
        first, last = self._operators[0], self._operators[-1]
        return (*batch, first.range_dimension, last.domain_dimension)

    def _matmul(self, x: Any, adjoint: bool) -> Any:
        for operator in self._operators if adjoint else self._operators[::-1]:
            x = operator.matmul(x, adjoint)
        return x

    def _solve(self, rhs: Any, adjoint: bool) -> Any:
        for operator in self._operators[::-1] if adjoint else self._operators:
            rhs = operator.solve(rhs, adjoint)
        return rhs

    def _determinant(self) -> Any:
        return math.prod(o.determinant() for o in self._operators)

    def _log_abs_determinant(self) -> Any:
        return sum(o.log_abs_determinant() for o in self._operators)


__all__ = [
    f"LinearOperator{name}"
    for name in (
        *("", "Adjoint", "Composition", "Diag", "Identity", "Inversion", "LowerTriangular"),
    )
]
