"""More linear operators: structured matrices, and those made of other operators."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from keraslike.tf import bands, dtypes, general, indexing, linalg, ops
from keraslike.tf.conversion import _as_operand, static
from keraslike.tf.linear_operator import (
    LinearOperator,
    LinearOperatorDiag,
    LinearOperatorIdentity,
)
from keraslike.tf.operator_arguments import HINTS, check_operators, hints_of, spread
from keraslike.tf.tensor import Tensor

# -- dense and structured matrices ----------------------------------------------------------------


_OF_MATRICES = (
    *(dtypes.float16, dtypes.float32, dtypes.float64),
    *(dtypes.complex64, dtypes.complex128),
)


class LinearOperatorFullMatrix(LinearOperator):
    """The operator of a dense matrix.

    >>> operator = tf.linalg.LinearOperatorFullMatrix([[1.0, 2.0], [3.0, 4.0]])
    >>> operator.matvec([1.0, 1.0]).numpy().tolist()
    [3.0, 7.0]
    """

    def __init__(self, matrix: Any, **hints: Any):
        self._matrix = _as_operand(matrix)
        if len(self._matrix.shape) < 2:
            raise ValueError(f"matrix must have at least 2 axes. Received: {self._matrix.shape}")
        kind = dtypes.as_dtype(self._matrix.dtype)
        if kind not in _OF_MATRICES:
            raise TypeError(f"matrix must be of floating-point numbers. Received: {kind.name}")
        super().__init__(self._matrix.dtype, **hints_of(hints))

    matrix = property(lambda self: self._matrix)
    _parts: ClassVar = {"_matrix": 2}

    def to_dense(self, name: Any = None) -> Tensor:
        return ops.identity(self._matrix)

    def _shape(self) -> Sequence[int]:
        return self._matrix.shape


class LinearOperatorScaledIdentity(LinearOperatorDiag):
    """The operator that multiplies by a number, or by one for each of a batch.

    >>> tf.linalg.LinearOperatorScaledIdentity(2, 3.0).matvec([1.0, 2.0]).numpy().tolist()
    [3.0, 6.0]
    """

    def __init__(self, num_rows: Any, multiplier: Any, **hints: Any):
        hints.pop("assert_proper_shapes", None)
        self._multiplier = _as_operand(multiplier)
        size = static(num_rows)
        diag = ops.broadcast_to(
            ops.expand_dims(self._multiplier, -1), (*self._multiplier.shape, size)
        )
        super().__init__(diag, **hints)

    multiplier = property(lambda self: self._multiplier)
    _parts: ClassVar = {"_diag": 1, "_multiplier": 0}


def _operator_of(name: str, dense: Callable, rule: str, example: str, **default: Any) -> type:
    """The class of operators whose matrix is a function of tensors and options."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        hints = {k: kwargs.pop(k) for k in (*HINTS, "name") if k in kwargs}
        self._dense = dense(*args, **kwargs)
        said = {k: v(self._dense) if callable(v) else v for k, v in default.items()}
        for key, known in said.items():
            if known is not None and hints.get(key) is not None and hints[key] != known:
                raise ValueError(f"{name}: {key} is always {known}. Received: {hints[key]}")
        LinearOperator.__init__(self, self._dense.dtype, **hints_of(hints, **said))

    own = {"__init__": __init__, "__module__": __name__, "_parts": {"_dense": 2}}
    made = type(name, (LinearOperator,), own)
    made.to_dense = lambda self, name=None: self._dense  # type: ignore[attr-defined]
    made.__doc__ = f"{rule}\n\n>>> {example}"
    return made


def _zeros(
    num_rows: Any, num_columns: Any = None, batch_shape: Any = None, dtype: Any = None,
    assert_proper_shapes: bool = False,
) -> Any:  # fmt: skip
    sizes = [static(num_rows), static(num_rows if num_columns is None else num_columns)]
    batch = () if batch_shape is None else tuple(static(batch_shape))
    return ops.zeros([*batch, *sizes], dtype or dtypes.float32)


def _reflection(reflection_axis: Any) -> Any:
    axis = _as_operand(reflection_axis)
    axis = ops.expand_dims(linalg.normalize(axis, axis=-1)[0], -1)
    return ops.eye(axis.shape[-2], dtype=axis.dtype) - 2.0 * linalg.matmul(
        axis, axis, adjoint_b=True
    )


def _permutation(perm: Any, dtype: Any = dtypes.float32) -> Any:
    order = _as_operand(perm)
    if not dtypes.as_dtype(order.dtype).is_integer:
        raise TypeError(f"perm must be of integers. Received: {dtypes.as_dtype(order.dtype).name}")
    if not order.shape:
        raise ValueError("perm must have at least 1 axis.")
    known = general.get_static_value(order)
    if known is not None and (np.sort(known, -1) != np.arange(known.shape[-1])).any():
        raise ValueError(
            f"perm must have each number from 0 to {known.shape[-1] - 1} once. Received: {known}"
        )
    return general.one_hot(order, order.shape[-1], dtype=dtype)


def _toeplitz(col: Any, row: Any) -> Any:
    col, row = _as_operand(col), _as_operand(row)
    if not col.shape or not row.shape:
        raise ValueError("col and row must have at least 1 axis.")
    if col.shape[-1] != row.shape[-1]:
        raise ValueError(
            f"col and row must be equally long. Received: {col.shape[-1]}, {row.shape[-1]}"
        )
    shape = np.broadcast_shapes(tuple(col.shape), tuple(row.shape))
    col, row = ops.broadcast_to(col, shape), ops.broadcast_to(row, shape)
    size = col.shape[-1]
    values = ops.concat([ops.reverse(row[..., 1:], [-1]), col], -1)
    i, j = np.indices((size, size))
    return indexing.gather(values, (i - j + size - 1).astype(np.int32), axis=-1)


def _tridiagonal(diagonals: Any, diagonals_format: str = "compact") -> Any:
    given = diagonals
    if diagonals_format == "matrix":
        return linalg.band_part(given, 1, 1)
    main = _as_operand(
        given[1] if diagonals_format == "sequence" else _as_operand(given)[..., 1, :]
    )
    eye = ops.eye(main.shape[-1], batch_shape=main.shape[:-1], dtype=main.dtype)
    return bands.tridiagonal_matmul(given, eye, diagonals_format)


_OF = "tf.linalg.LinearOperator"
LinearOperatorZeros = _operator_of(
    "LinearOperatorZeros", _zeros, "The operator of a matrix of zeros.",
    f"{_OF}Zeros(2).matvec([1.0, 2.0]).numpy().tolist()\n[0.0, 0.0]",
    is_non_singular=False, is_positive_definite=False,
    is_self_adjoint=lambda x: x.shape[-1] == x.shape[-2] or None,
)  # fmt: skip
LinearOperatorHouseholder = _operator_of(
    "LinearOperatorHouseholder", _reflection,
    "The operator of a reflection: it changes the sign along one axis.",
    f"{_OF}Householder([1.0, 0.0]).matvec([1.0, 2.0]).numpy().tolist()\n[-1.0, 2.0]",
    is_non_singular=True, is_self_adjoint=True, is_positive_definite=False,
)  # fmt: skip
LinearOperatorPermutation = _operator_of(
    "LinearOperatorPermutation", _permutation,
    "The operator that puts elements in another order.",
    f"{_OF}Permutation([1, 0]).matvec([1.0, 2.0]).numpy().tolist()\n[2.0, 1.0]",
)  # fmt: skip
LinearOperatorToeplitz = _operator_of(
    "LinearOperatorToeplitz", _toeplitz,
    "The operator of a matrix with equal elements along each diagonal: its first column and row.",
    f"{_OF}Toeplitz([1.0, 2.0], [1.0, 3.0]).to_dense().numpy().tolist()\n"
    "[[1.0, 3.0], [2.0, 1.0]]",
)  # fmt: skip
LinearOperatorTridiag = _operator_of(
    "LinearOperatorTridiag", _tridiagonal,
    "The operator of a matrix with three diagonals; for these see `tf.linalg.tridiagonal_solve`.",
    f"{_OF}Tridiag([[1.0, 0.0], [2.0, 3.0], [0.0, 4.0]]).to_dense().numpy().tolist()\n"
    "[[2.0, 1.0], [4.0, 3.0]]",
)  # fmt: skip

# -- of other operators ---------------------------------------------------------------------------


class _OfOperators(LinearOperator):
    """A matrix made of several others: how their names are joined, and its sizes from theirs."""

    _between_names: str
    _size_of: Callable[..., int]

    def __init__(self, operators: Sequence[LinearOperator], **hints: Any):
        self._operators = check_operators(operators)
        name = hints.pop("name", self._between_names.join(o.name for o in self._operators))
        said = {n: all(getattr(o, n) for o in self._operators) or None for n in HINTS[:3]}
        super().__init__(self._operators[0].dtype, name=name, **hints_of(hints, **said))

    operators = property(lambda self: self._operators)
    _parts: ClassVar = {"_operators": None}

    def _shape(self) -> Sequence[int]:
        batch = np.broadcast_shapes(*(tuple(o.batch_shape) for o in self._operators))
        sizes = [
            type(self)._size_of(getattr(o, n) for o in self._operators)
            for n in ("range_dimension", "domain_dimension")
        ]
        return (*batch, *sizes)


class LinearOperatorKronecker(_OfOperators):
    """The Kronecker product of operators.

    >>> one, two = (tf.linalg.LinearOperatorDiag(d) for d in ([1.0, 2.0], [3.0, 4.0]))
    >>> tf.linalg.LinearOperatorKronecker([one, two]).diag_part().numpy().tolist()
    [3.0, 4.0, 6.0, 8.0]
    """

    _between_names, _size_of = "_x_", math.prod

    def to_dense(self, name: Any = None) -> Tensor:
        found = self._operators[0].to_dense()
        for operator in self._operators[1:]:
            a, b = spread(found, operator.to_dense())
            made = linalg.einsum("...ij,...kl->...ikjl", a, b)
            sizes = (a.shape[-2] * b.shape[-2], a.shape[-1] * b.shape[-1])
            found = ops.reshape(made, (*a.shape[:-2], *sizes))
        return found

    def _determinant(self) -> Any:
        return math.prod(
            o.determinant() ** (self.domain_dimension // o.domain_dimension)
            for o in self._operators
        )

    def _log_abs_determinant(self) -> Any:
        return sum(
            o.log_abs_determinant() * (self.domain_dimension // o.domain_dimension)
            for o in self._operators
        )


class LinearOperatorBlockDiag(_OfOperators):
    """Operators along the diagonal of a matrix.

    >>> one = tf.linalg.LinearOperatorFullMatrix([[1.0, 2.0], [3.0, 4.0]])
    >>> two = tf.linalg.LinearOperatorDiag([5.0])
    >>> tf.linalg.LinearOperatorBlockDiag([one, two]).matvec([1.0, 1.0, 2.0]).numpy().tolist()
    [3.0, 7.0, 10.0]
    """

    _between_names, _size_of = "_ds_", sum

    def _each(self, x: Any, rows: bool, apply: Callable) -> Any:
        sizes = [o.range_dimension if rows else o.domain_dimension for o in self._operators]
        batch = np.broadcast_shapes(tuple(self.batch_shape), tuple(x.shape[:-2]))
        x = ops.broadcast_to(x, (*batch, *x.shape[-2:]))
        parts = indexing.split(x, sizes, axis=-2)
        return ops.concat([apply(o, p) for o, p in zip(self._operators, parts)], -2)

    def _matmul(self, x: Any, adjoint: bool) -> Any:
        return self._each(x, adjoint, lambda o, part: o.matmul(part, adjoint))

    def _solve(self, rhs: Any, adjoint: bool) -> Any:
        return self._each(rhs, not adjoint, lambda o, part: o.solve(part, adjoint))

    def _determinant(self) -> Any:
        return math.prod(o.determinant() for o in self._operators)

    def _log_abs_determinant(self) -> Any:
        return sum(o.log_abs_determinant() for o in self._operators)


class LinearOperatorBlockLowerTriangular(LinearOperator):
    """Operators in the lower triangle of a matrix of blocks, a list for each row.

    >>> one, two, three = (tf.linalg.LinearOperatorFullMatrix([[n]]) for n in (1.0, 2.0, 3.0))
    >>> operator = tf.linalg.LinearOperatorBlockLowerTriangular([[one], [two, three]])
    >>> operator.to_dense().numpy().tolist()
    [[1.0, 0.0], [2.0, 3.0]]
    """

    def __init__(self, operators: Sequence[Sequence[LinearOperator]], **hints: Any):
        self._operators = [check_operators(row) for row in operators]
        for number, row in enumerate(self._operators):
            if len(row) != number + 1:
                raise ValueError(
                    f"Row {number} must have {number + 1} operators. Received: {len(row)}"
                )
        diagonal = [row[-1] for row in self._operators]
        if any(o.is_square is False for o in diagonal):
            raise ValueError("The last operator of each row must be square.")
        for row, own in zip(self._operators, diagonal):
            for operator, other in zip(row, diagonal):
                wanted = (own.range_dimension, other.domain_dimension)
                if tuple(operator.shape[-2:]) != wanted:
                    raise ValueError(
                        f"{operator.name} must have {wanted[0]} rows and {wanted[1]} columns, as "
                        f"the last operators of its row and column. Received: {operator.shape}"
                    )
        known = all(o.is_non_singular for o in diagonal) or None
        super().__init__(diagonal[0].dtype, **hints_of(hints, is_non_singular=known))

    operators = property(lambda self: self._operators)
    _parts: ClassVar = {"_operators": None}

    def to_dense(self, name: Any = None) -> Tensor:
        rows = []
        diagonal = [row[-1] for row in self._operators]
        blocks = [o.to_dense() for row in self._operators for o in row]
        batch = np.broadcast_shapes(*(tuple(b.shape[:-2]) for b in blocks))
        for row, own in zip(self._operators, diagonal):
            there = [ops.broadcast_to(o.to_dense(), (*batch, *o.shape[-2:])) for o in row]
            there += [
                ops.zeros((*batch, own.range_dimension, o.domain_dimension), self.dtype)
                for o in diagonal[len(row) :]
            ]
            rows.append(ops.concat(there, -1))
        return ops.concat(rows, -2)


class LinearOperatorLowRankUpdate(LinearOperator):
    """An operator with a product of narrow matrices added: `base + u @ diag(d) @ v^H`.

    >>> base = tf.linalg.LinearOperatorDiag([1.0, 2.0])
    >>> tf.linalg.LinearOperatorLowRankUpdate(base, [[1.0], [1.0]]).to_dense().numpy().tolist()
    [[2.0, 1.0], [1.0, 3.0]]
    """

    def __init__(
        self,
        base_operator: LinearOperator,
        u: Any,
        diag_update: Any = None,
        v: Any = None,
        is_diag_update_positive: bool | None = None,
        **hints: Any,
    ):
        self._base, self._u = base_operator, _as_operand(u)
        self._v = self._u if v is None else _as_operand(v)
        rank = self._u.shape[-1]
        sizes = (self._u.shape[-2], self._v.shape[-2], self._v.shape[-1])
        if sizes != (base_operator.range_dimension, base_operator.domain_dimension, rank):
            raise ValueError(
                f"u and v must have as many rows as the operator, of shape {base_operator.shape}, "
                f"and as many columns as each other. Received: {self._u.shape}, {self._v.shape}"
            )
        self._middle: LinearOperator = (
            LinearOperatorIdentity(rank, dtype=base_operator.dtype)
            if diag_update is None
            else LinearOperatorDiag(diag_update, is_positive_definite=is_diag_update_positive)
        )
        if self._middle.shape[-1] != rank:
            raise ValueError(
                f"diag_update must have {rank} numbers. Received: {self._middle.shape[-1]}"
            )
        self._shape()  # which raises ValueError for batches that do not broadcast
        self.is_diag_update_positive = True if diag_update is None else is_diag_update_positive
        alike = v is None and base_operator.is_self_adjoint and self._middle.is_self_adjoint
        positive = alike and base_operator.is_positive_definite and self.is_diag_update_positive
        said = {"is_self_adjoint": alike or None, "is_positive_definite": positive or None}
        super().__init__(base_operator.dtype, **hints_of(hints, is_square=True, **said))

    _parts: ClassVar = {"_base": None, "_u": 2, "_v": 2, "_middle": None}
    base_operator = property(lambda self: self._base)
    u = property(lambda self: self._u)
    v = property(lambda self: self._v)
    diag_operator = property(lambda self: self._middle)

    def _shape(self) -> Sequence[int]:
        batch = np.broadcast_shapes(
            *(tuple(x.shape[:-2]) for x in (self._base, self._u, self._v, self._middle))
        )
        return (*batch, *self._base.shape[-2:])

    def _matmul(self, x: Any, adjoint: bool) -> Any:
        left, right = (self._v, self._u) if adjoint else (self._u, self._v)
        inner = linalg.matmul(*spread(right, x), adjoint_a=True)
        update = linalg.matmul(*spread(left, self._middle.matmul(inner, adjoint)))
        return self._base.matmul(x, adjoint) + update

    def _capacitance(self) -> Any:
        """The capacitance matrix of Woodbury's identity, which is as large as the update."""
        inner = linalg.matmul(*spread(self._v, self._base.solve(self._u)), adjoint_a=True)
        return self._middle.inverse().to_dense() + inner

    def _solve(self, rhs: Any, adjoint: bool) -> Any:
        left, right = (self._v, self._u) if adjoint else (self._u, self._v)
        first = self._base.solve(rhs, adjoint)
        inner = linalg.matmul(*spread(right, first), adjoint_a=True)
        inner = linalg.solve(*spread(self._capacitance(), inner), adjoint=adjoint)
        update = linalg.matmul(*spread(left, inner))
        return first - self._base.solve(update, adjoint)

    def _determinant(self) -> Any:
        own = linalg.det(self._capacitance())  # type: ignore[attr-defined]
        return own * self._middle.determinant() * self._base.determinant()

    def _log_abs_determinant(self) -> Any:
        own = linalg.slogdet(self._capacitance())[1]  # type: ignore[attr-defined]
        return own + self._middle.log_abs_determinant() + self._base.log_abs_determinant()


__all__ = [
    f"LinearOperator{name}"
    for name in (
        *("BlockDiag", "BlockLowerTriangular", "FullMatrix", "Householder"),
        *(
            "Kronecker",
            "LowRankUpdate",
            "Permutation",
            "ScaledIdentity",
            "Toeplitz",
            "Tridiag",
            "Zeros",
        ),
    )
]
