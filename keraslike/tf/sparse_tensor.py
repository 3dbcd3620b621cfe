"""`tf.SparseTensor`: tensors with mostly zeros, as indices and values.

Indices are computed on the host, and values by operations that a tape records. In a traced function
the indices may be tracers, as long as the number of values does not depend on them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import sparsity
from keraslike.tf import dtypes, indexing, ops, table
from keraslike.tf.conversion import constant, convert_to_tensor, static
from keraslike.tf.dtypes import TensorShape
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.structure import NotDense, Structure, host, is_traced
from keraslike.tf.tensor import Tensor, run

_UNARY = ("abs", "negative", "sign", "square", "sqrt", "tanh", "erf")  # functions that map 0 to 0


class SparseTensorValue(NamedTuple):
    """The components of a sparse tensor as numpy arrays: indices of shape `(n, rank)`, `n` values,
    and the dense shape.

    >>> SparseTensorValue(np.array([[0, 1]]), np.array([5]), np.array([1, 2])).values
    array([5])
    """

    indices: np.ndarray
    values: np.ndarray
    dense_shape: np.ndarray


class SparseTensor(Structure):
    """`values[i]` at `indices[i]` of a tensor of shape `dense_shape`, zeros elsewhere.

    A pytree of indices and values; the shape belongs to its structure.

    Args:
        indices: int64, (N, rank), in row-major order for most functions; see `tf.sparse.reorder`.
        values: (N,), of any dtype.
        dense_shape: (rank,).

    Raises ValueError if the three are inconsistent.

    >>> s = SparseTensor(indices=[[0, 1], [1, 0]], values=[1.0, 2.0], dense_shape=[2, 3])
    >>> to_dense(s)
    <tf.Tensor: shape=(2, 3), dtype=float32, numpy=
    array([[0., 1., 0.],
           [2., 0., 0.]], dtype=float32)>
    """

    __slots__ = ("_indices", "_values", "_sizes")

    def __init__(self, indices: Any, values: Any, dense_shape: Any):
        indices = convert_to_tensor(indices, dtypes.int64)
        values = convert_to_tensor(values)
        sizes = static(dense_shape)
        if not isinstance(sizes, (tuple, list)):
            raise ValueError(f"dense_shape must be a vector. Received: {dense_shape!r}")
        if indices.ndim != 2 or values.ndim != 1:
            raise ValueError(
                "indices must be of shape (N, rank) and values of shape (N,). "
                f"Received shapes: {tuple(indices.shape)} and {tuple(values.shape)}"
            )
        if indices.shape[0] != values.shape[0] or indices.shape[1] != len(sizes):
            raise ValueError(
                f"{values.shape[0]} values in a shape of rank {len(sizes)} need indices of shape "
                f"{(values.shape[0], len(sizes))}. Received: {tuple(indices.shape)}"
            )
        self._indices, self._values, self._sizes = indices, values, tuple(int(n) for n in sizes)
        if any(n < -1 for n in self._sizes):
            raise ValueError(f"The sizes in dense_shape must be >= 0. Received: {self._sizes}")

    @classmethod
    def from_value(cls, sparse_tensor_value: Any) -> SparseTensor:
        """A SparseTensor from one, from a `SparseTensorValue` or from JAX's `BCOO`."""
        if sparsity.is_bcoo(sparse_tensor_value):
            given = sparse_tensor_value
            if given.n_batch or given.n_dense:
                raise ValueError("A BCOO with batch or dense axes cannot become a SparseTensor.")
            indices = ops.cast(Tensor(given.indices), dtypes.int64)
            return cls(indices, Tensor(given.data), given.shape)
        return _sparse(sparse_tensor_value)

    @property
    def indices(self) -> Tensor:
        if self._indices.dtype is dtypes.int64:
            return self._indices
        return ops.cast(self._indices, dtypes.int64)  # a compiled function may return int32

    @property
    def values(self) -> Tensor:
        return self._values

    @property
    def dense_shape(self) -> Tensor:
        return constant(np.asarray(self._sizes, np.int64))

    @property
    def shape(self) -> TensorShape:
        return TensorShape(self._sizes)

    def get_shape(self) -> TensorShape:
        return self.shape

    def set_shape(self, shape: Any) -> None:
        """Raises ValueError for another shape."""
        if not self.shape.is_compatible_with(shape):
            raise ValueError(f"Shapes {self.shape} and {TensorShape(shape)} are not compatible.")

    @property
    def dtype(self) -> dtypes.DType:
        return self._values.dtype

    def with_values(self, new_values: Any) -> SparseTensor:
        """A sparse tensor with the same indices and other values."""
        return SparseTensor(self.indices, new_values, self._sizes)

    def to_bcoo(self) -> Any:
        """JAX's sparse array of the same contents, a `BCOO`."""
        from jax.experimental.sparse import BCOO  # imported here, because its import is slow

        indices = ops.cast(self._indices, dtypes.int32)  # the dtype of indices in JAX
        return BCOO((self._values.__jax_array__(), indices._value), shape=self._sizes)

    def __mul__(self, y: Any) -> SparseTensor:
        return self._with_dense(table.multiply, y)

    def __truediv__(self, y: Any) -> SparseTensor:
        return self._with_dense(table.truediv, y)

    def _with_dense(self, function: Callable, y: Any) -> SparseTensor:
        y = convert_to_tensor(y, self.dtype)
        rank, sizes = len(self._sizes), tuple(y.shape)
        fits = y.ndim <= rank and all(
            n in (1, m) for n, m in zip(sizes[::-1], self._sizes[::-1], strict=False)
        )
        if not fits:
            raise InvalidArgumentError(
                f"A dense tensor of shape {sizes} cannot be broadcast to the shape {self._sizes} "
                "of a sparse tensor."
            )
        check_bounds(self)
        there = run(_broadcast_pick, (y, self.indices))
        return self.with_values(function(self._values, there))

    def _operate(self, name: str, function: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        if name == "multiply" and len(args) == 2:
            x, y = args
            return x * y if isinstance(x, SparseTensor) else y * x
        if name in ("truediv", "divide") and len(args) == 2 and args[0] is self:
            return self / args[1]
        if name in (*_UNARY, "cast", "identity"):
            return self.with_values(function(self._values, *args[1:], **kwargs))
        if name == "rank":
            return constant(len(self._sizes))
        if name in ("shape", "size"):
            kind = kwargs.get("out_type") or (*args, None, None)[1] or dtypes.int32
            sizes = self._sizes if name == "shape" else math.prod(self._sizes)
            return constant(np.asarray(sizes, dtypes.as_dtype(kind).as_numpy_dtype))
        raise NotDense(self)

    def __repr__(self) -> str:
        return (
            f"SparseTensor(indices={self.indices!s}, values={self._values!s}, "
            f"dense_shape={self.dense_shape!s})"
        )

    def __reduce__(self) -> Any:
        return SparseTensor, (self.indices, self._values, self._sizes)


def _make(indices: Any, values: Any, sizes: Any) -> SparseTensor:
    made = object.__new__(SparseTensor)
    made._indices, made._values, made._sizes = indices, values, tuple(sizes)
    return made


jax.tree_util.register_pytree_node(
    SparseTensor,
    lambda s: ((s._indices, s._values), s._sizes),
    lambda sizes, children: _make(*children, sizes),
)


def _of_value(x: Any) -> Any:
    """The sparse tensor for a `SparseTensorValue`; anything else unchanged."""
    return SparseTensor(*x) if isinstance(x, SparseTensorValue) else x


def _sparse(x: Any) -> SparseTensor:
    x = _of_value(x)
    if not isinstance(x, SparseTensor):
        raise TypeError(f"Expected a SparseTensor, received {type(x).__name__}: {x!r}")
    return x


def _broadcast_pick(y: Any, indices: Any) -> Any:
    columns = indices.T[indices.shape[1] - y.ndim :]
    return jnp.asarray(y)[
        tuple(c if n > 1 else jnp.zeros_like(c) for c, n in zip(columns, y.shape))
    ]


def pick(x: Any, rows: Any, by_rows: bool = False) -> Tensor:
    """The rows of a tensor at several indices, with a gradient as a whole or by rows."""
    if not is_traced(rows):  # as int32, since tapes compile pullbacks in 32-bit mode
        rows = np.asarray(rows).astype(np.int32 if x.shape[0] < 2**31 else np.int64)
    return indexing.slices_at(x, rows, by_rows=by_rows)


def _strides(sizes: Sequence[int]) -> np.ndarray:
    return np.asarray([math.prod(sizes[i + 1 :]) for i in range(len(sizes))], np.int64)


def _flat(indices: Any, sizes: Sequence[int]) -> Any:
    return (indices * _strides(sizes)).sum(-1)


# -- to and from dense ------------------------------------------------------------------------


def from_dense(tensor: Any, name: str | None = None) -> SparseTensor:
    """A sparse tensor of the elements other than zero, `False` or empty text.

    >>> from_dense([[0, 1], [2, 0]]).values
    <tf.Tensor: shape=(2,), dtype=int32, numpy=array([1, 2], dtype=int32)>
    """
    tensor = convert_to_tensor(tensor)
    if not tensor.ndim:
        raise InvalidArgumentError("tf.sparse.from_dense: a scalar has no indices.")
    found = host(
        tensor,
        "The count of values that tf.sparse.from_dense gives",
        "call it outside and pass the SparseTensor in.",
    )
    is_there = np.asarray(found != (b"" if found.dtype == object else 0))
    indices = np.argwhere(is_there).astype(np.int64)
    return SparseTensor(indices, _pick(tensor, indices), tensor.shape)


def _pick(tensor: Tensor, indices: np.ndarray) -> Tensor:
    if tensor.dtype is dtypes.string:
        return Tensor(tensor._value[tuple(indices.T)])
    return indexing.gather_nd(tensor, indices)


def check_bounds(s: SparseTensor) -> None:
    """Raises InvalidArgumentError for an index outside the shape, unless indices are traced."""
    if not is_traced(s._indices):
        places = np.asarray(s._indices)
        outside = ((places < 0) | (places >= np.asarray(s._sizes, np.int64))).any(-1)
        if outside.any():
            raise InvalidArgumentError(
                f"The index {places[outside][0].tolist()} is outside of the shape {s._sizes}."
            )


def _validate(indices: np.ndarray, sizes: tuple[int, ...]) -> None:
    outside = np.any((indices < 0) | (indices >= np.asarray(sizes, np.int64)), axis=-1)
    flat = _flat(indices, sizes)
    for i in np.flatnonzero(outside | np.append(False, np.diff(flat) <= 0))[:1].tolist():
        place = indices[i].tolist()
        if outside[i]:
            raise InvalidArgumentError(
                f"indices[{i}] = {place} is out of bounds: need 0 <= index < {list(sizes)}"
            )
        if flat[i] == flat[i - 1]:
            raise InvalidArgumentError(f"indices[{i}] = {place} is repeated")
        raise InvalidArgumentError(
            f"indices[{i}] = {place} is out of order. Use tf.sparse.reorder() to sort them."
        )


def to_dense(
    sp_input: Any, default_value: Any = None, validate_indices: bool = True, name: Any = None
) -> Tensor:
    """A dense tensor, with `default_value`, by default 0, for missing values.

    Raises InvalidArgumentError for indices that are out of order, repeated or out of bounds. In a
    traced function they are not checked.

    >>> tf.sparse.to_dense(tf.sparse.SparseTensor([[0, 1]], [5], [1, 2])).numpy().tolist()
    [[0, 5]]
    """
    s = _sparse(sp_input)
    if validate_indices and not is_traced(s.indices):
        _validate(np.asarray(s.indices), s._sizes)
    if s.dtype is dtypes.string:
        filler = b"" if default_value is None else convert_to_tensor(default_value).numpy()
        out = np.full(s._sizes, filler, object)
        out[tuple(np.asarray(s.indices).T)] = s._values._value
        return Tensor(out)
    filler = np.zeros((), s.dtype.dtype) if default_value is None else default_value
    given = (s._values, convert_to_tensor(filler, s.dtype), s.indices)
    return run(_scatter, given, (s._sizes,))


def _scatter(values: Any, filler: Any, indices: Any, sizes: tuple[int, ...]) -> Any:
    return jnp.full(sizes, filler).at[tuple(indices.T)].set(values)


def reorder(sp_input: Any, name: str | None = None) -> SparseTensor:
    """The same tensor with indices in row-major order.

    >>> x = tf.sparse.SparseTensor([[1, 0], [0, 0]], [2, 1], [2, 1])
    >>> tf.sparse.reorder(x).values.numpy().tolist()
    [1, 2]
    """
    s = _sparse(sp_input)
    if is_traced(s._indices):
        order = run(_order, (s.indices,), (s._sizes,))
    else:  # numpy needs no program for each number of values
        order = np.argsort(_flat(np.asarray(s.indices), s._sizes), kind="stable")
    return _make(pick(s.indices, order), pick(s._values, order), s._sizes)


def _order(indices: Any, sizes: tuple[int, ...]) -> Any:
    return jnp.argsort(_flat(indices, sizes), stable=True)
