"""`tf.sparse`: functions of sparse tensors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.tf import documentation, dtypes, indexing, ops, segments, table
from keraslike.tf.conversion import constant, convert_to_tensor, mismatch, static
from keraslike.tf.crossing import sparse_cross as cross
from keraslike.tf.crossing import sparse_cross_hashed as cross_hashed
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.sparse_counts import bincount
from keraslike.tf.sparse_shape import (
    _axis,
    _places,
    concat,
    expand_dims,
    eye,
    fill_empty_rows,
    mask,
    reset_shape,
    reshape,
    retain,
    slice,
    split,
    to_indicator,
    transpose,
)
from keraslike.tf.sparse_tensor import (
    SparseTensor,
    _flat,
    _make,
    _of_value,
    _sparse,
    check_bounds,
    from_dense,
    reorder,
    to_dense,
)
from keraslike.tf.structure import host
from keraslike.tf.tensor import Tensor, run


def map_values(op: Callable, *args: Any, **kwargs: Any) -> SparseTensor:
    """`op` applied to the values of sparse arguments, which must have the same indices.

    >>> s = SparseTensor([[0, 1]], [3.0], [1, 2])
    >>> map_values(table.square, s).values
    <tf.Tensor: shape=(1,), dtype=float32, numpy=array([9.], dtype=float32)>
    """
    given = [a for a in (*args, *kwargs.values()) if isinstance(a, SparseTensor)]
    if not given:
        raise ValueError("tf.sparse.map_values: at least one argument must be a SparseTensor.")
    first = given[0]
    for other in given[1:]:
        if other is first or other._indices is first._indices:
            continue
        if other._sizes != first._sizes or not np.array_equal(
            _places(other, "map_values"), _places(first, "map_values")
        ):
            raise InvalidArgumentError("tf.sparse.map_values: indices and shapes must be equal.")
    values = lambda a: a._values if isinstance(a, SparseTensor) else a  # noqa: E731
    return first.with_values(op(*map(values, args), **{k: values(v) for k, v in kwargs.items()}))


def _aligned(name: str, a: SparseTensor, b: SparseTensor) -> tuple:
    """The union of the indices of both tensors, sorted, and the position of each value in it."""
    if a._sizes != b._sizes:
        raise InvalidArgumentError(
            f"tf.sparse.{name}: shapes must be equal. Received: {a._sizes} and {b._sizes}"
        )
    if a.dtype is not b.dtype:
        raise InvalidArgumentError(mismatch(f"sparse.{name}", a.dtype, b.dtype))
    check_bounds(a)
    check_bounds(b)
    places = np.concatenate([_places(a, name), _places(b, name)])
    _, first, number = np.unique(_flat(places, a._sizes), return_index=True, return_inverse=True)
    number = number.reshape(-1)
    count = a._values.shape[0]
    return places[first], number[:count], number[count:]


def add(a: Any, b: Any, threshold: Any = 0) -> Any:
    """The sum, which is sparse for two sparse tensors, and dense if one is dense.

    Args:
        threshold: sums of two sparse values below this magnitude are removed.

    >>> x = tf.sparse.from_dense([[0, 1]])
    >>> tf.sparse.to_dense(tf.sparse.add(x, x)).numpy().tolist()
    [[0, 2]]
    """
    a, b = _of_value(a), _of_value(b)
    if not isinstance(a, SparseTensor) and not isinstance(b, SparseTensor):
        raise TypeError("One argument must be a SparseTensor. Use tf.add() for dense tensors.")
    if not isinstance(a, SparseTensor) or not isinstance(b, SparseTensor):
        s, dense = (a, b) if isinstance(a, SparseTensor) else (b, a)
        dense = convert_to_tensor(dense, dtype_hint=s.dtype)
        if tuple(dense.shape) != s._sizes:
            raise InvalidArgumentError(
                f"a and b must have the same shape. Received: {s._sizes} and {tuple(dense.shape)}"
            )
        if dense.dtype is not s.dtype:
            raise InvalidArgumentError(mismatch("sparse.add", s.dtype, dense.dtype))
        check_bounds(s)
        return run(_add_to, (dense, s._values, s.indices))
    places, of_a, of_b = _aligned("add", a, b)
    number, values = np.concatenate([of_a, of_b]), ops.concat([a._values, b._values], 0)
    total = segments.unsorted_segment_sum(values, number, len(places))
    out = _make(constant(places), total, a._sizes)
    if static(threshold) == 0:
        return out
    sums = host(total, "What is smaller than a threshold", "leave threshold out.")
    return retain(out, (np.bincount(number) < 2) | (np.abs(sums) >= static(threshold)))


def _add_to(dense: Any, values: Any, indices: Any) -> Any:
    return jnp.asarray(dense).at[tuple(indices.T)].add(values)


def _extremum(name: str, function: Callable) -> Callable:
    def extremum(sp_a: Any, sp_b: Any, name: str | None = None) -> SparseTensor:
        a, b = _sparse(sp_a), _sparse(sp_b)
        places, of_a, of_b = _aligned(extremum.__name__, a, b)
        x, y = (
            segments.unsorted_segment_sum(s._values, number, len(places))
            for s, number in ((a, of_a), (b, of_b))
        )
        return _make(constant(places), function(x, y), a._sizes)

    extremum.__name__ = extremum.__qualname__ = name
    extremum.__doc__ = f"The {name} of both at each place where either has a value."
    return extremum


maximum, minimum = _extremum("maximum", table.maximum), _extremum("minimum", table.minimum)


def _reduction(name: str) -> Callable:
    def reduce(
        sp_input: Any,
        axis: Any = None,
        keepdims: bool | None = None,
        output_is_sparse: bool = False,
        name: str | None = None,
    ) -> Any:
        s = _sparse(sp_input)
        rank, axis = len(s._sizes), static(axis)
        axes = range(rank) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        gone = {_axis(a, rank, reduce.__name__) for a in axes}
        kept = [a for a in range(rank) if a not in gone]
        sizes = tuple(s._sizes[a] for a in kept)
        shape = [1 if a in gone else n for a, n in enumerate(s._sizes)] if keepdims else sizes
        check_bounds(s)
        if not output_is_sparse:
            out = run(_reduce, (s._values, s.indices), (tuple(kept), sizes, reduce.__name__))
            return ops.reshape(out, shape)
        places = _places(s, reduce.__name__)[:, kept]
        _, first, number = np.unique(_flat(places, sizes), return_index=True, return_inverse=True)
        of = (
            segments.unsorted_segment_sum
            if reduce.__name__ == "reduce_sum"
            else segments.unsorted_segment_max
        )
        values = of(s._values, number.reshape(-1), len(first))
        places = places[first]
        if keepdims:
            full = np.zeros((len(first), rank), np.int64)
            full[:, kept] = places
            places = full
        return _make(constant(places), values, shape)

    reduce.__name__ = reduce.__qualname__ = name
    reduce.__doc__ = (
        f"The {name[7:]} of the values along the axes, of all where `axis` is None; 0 where there "
        "is no value. Dense, or sparse with `output_is_sparse`."
    )
    return reduce


def _reduce(values: Any, indices: Any, kept: tuple, sizes: tuple, name: str) -> Any:
    where, count = _flat(indices[:, np.asarray(kept, int)], sizes), math.prod(sizes)
    if name == "reduce_sum":
        return jax.ops.segment_sum(values, where, count)
    largest = jax.ops.segment_max(values, where, count)
    found = jax.ops.segment_sum(jnp.ones_like(where), where, count)
    return jnp.where(found > 0, largest, jnp.zeros_like(largest))


reduce_sum, reduce_max = _reduction("reduce_sum"), _reduction("reduce_max")


def sparse_dense_matmul(
    sp_a: Any, b: Any, adjoint_a: bool = False, adjoint_b: bool = False, name: str | None = None
) -> Tensor:
    """The dense product of two matrices, one of which is sparse, by JAX's `BCOO`.

    Args:
        adjoint_a, adjoint_b: whether to use the conjugate transpose of a matrix.

    >>> s = SparseTensor([[0, 1]], [3.0], [1, 2])
    >>> sparse_dense_matmul(s, constant([[1.0], [2.0]]))
    <tf.Tensor: shape=(1, 1), dtype=float32, numpy=array([[6.]], dtype=float32)>
    """
    sp_a = _of_value(sp_a)
    if not isinstance(sp_a, SparseTensor):  # computes (b' a')', so that the sparse matrix is first
        out = sparse_dense_matmul(_sparse(b), sp_a, not adjoint_b, not adjoint_a)
        return ops.transpose(out, conjugate=True)
    b = convert_to_tensor(b, dtype_hint=sp_a.dtype)
    if b.dtype is not sp_a.dtype:
        raise InvalidArgumentError(mismatch("sparse.sparse_dense_matmul", sp_a.dtype, b.dtype))
    if b.ndim != 2 or len(sp_a._sizes) != 2:
        raise InvalidArgumentError(
            f"Expected two matrices, received shapes: {sp_a._sizes} and {tuple(b.shape)}"
        )
    inner = sp_a._sizes[not adjoint_a], b.shape[adjoint_b]
    if inner[0] != inner[1]:
        raise InvalidArgumentError(
            f"The inner sizes {inner[0]} and {inner[1]} differ. Shapes: {sp_a._sizes}, "
            f"adjoint_a={adjoint_a}, and {tuple(b.shape)}, adjoint_b={adjoint_b}."
        )
    check_bounds(sp_a)
    return run(_matmul, (sp_a._values, b, sp_a.indices), (sp_a._sizes, adjoint_a, adjoint_b))


def _matmul(values: Any, b: Any, indices: Any, sizes: tuple, of_a: bool, of_b: bool) -> Any:
    if max(sizes, default=0) < 2**31:  # JAX's kernels use 32-bit indices
        indices = indices.astype(np.int32)
    if of_a:
        values, indices, sizes = values.conj(), indices[:, ::-1], sizes[::-1]
    from jax.experimental.sparse import BCOO  # imported here, because its import is slow

    return BCOO((values, indices), shape=sizes) @ (b.conj().T if of_b else b)


def softmax(sp_input: Any, name: str | None = None) -> SparseTensor:
    """The softmax over the explicit values of each row (the last axis).

    >>> tf.sparse.softmax(
    ...     tf.sparse.from_dense([[0.0, 1.0], [1.0, 1.0]])
    ... ).values.numpy().tolist()
    [1.0, 0.5, 0.5]
    """
    s = _sparse(sp_input)
    if len(s._sizes) < 2 or not s.dtype.is_floating:
        raise InvalidArgumentError(
            "tf.sparse.softmax: expected floating-point numbers of rank 2 or more. "
            f"Received: {s.dtype.name}, shape {s._sizes}"
        )
    return s.with_values(run(_softmax, (s._values, s.indices), (s._sizes[:-1],)))


def _softmax(values: Any, indices: Any, sizes: tuple[int, ...]) -> Any:
    row, count = _flat(indices[:, :-1], sizes), math.prod(sizes)
    largest = jax.lax.stop_gradient(jax.ops.segment_max(values, row, count))
    powers = jnp.exp(values - largest[row])
    return powers / jax.ops.segment_sum(powers, row, count)[row]


def _summed(rows: Any, ids: Any, count: Any) -> Tensor:
    if count is None:
        return segments.segment_sum(rows, ids)
    return segments.unsorted_segment_sum(rows, ids, count)


def _segment(name: str, power: float) -> Callable:
    def segment(
        data: Any,
        indices: Any,
        segment_ids: Any,
        num_segments: Any = None,
        name: str | None = None,
        sparse_gradient: bool = False,
    ) -> Tensor:
        indices, ids = (convert_to_tensor(x, dtype_hint="int32") for x in (indices, segment_ids))
        rows = indexing.slices_at(data, indices, by_rows=sparse_gradient)
        total = _summed(rows, ids, num_segments)
        if not power:
            return total
        ones = ops.ones((rows.shape[0],) + (1,) * (rows.ndim - 1), rows.dtype)
        count = table.maximum(_summed(ones, ids, num_segments), 1)
        return table.truediv(total, table.pow(count, power))

    segment.__name__ = segment.__qualname__ = f"segment_{name}"
    segment.__doc__ = (
        f"The rows of `data` that `indices` names, by segment: their sum, divided by n^{power}."
    )
    return segment


segment_sum = _segment("sum", 0)
segment_mean = _segment("mean", 1.0)
segment_sqrt_n = _segment("sqrt_n", 0.5)

documentation.describe(globals(), "sparse")


def sampled_addmm(
    indices: Any,
    values: Any,
    dense_shape: Any,
    mat1: Any,
    mat2: Any,
    beta: Any = 1.0,
    alpha: Any = 1.0,
    output_type: Any = dtypes.float32,
) -> tuple[Tensor, Tensor, Tensor]:
    """`alpha * mat1 @ mat2 + beta * values` at the places of a sparse matrix only, as the indices,
    the values and the dense shape of the result.

    Args:
        indices: (N, 2), the places.
        values: (N,).
        dense_shape: the shape of the product.
        mat1, mat2: dense matrices.
        output_type: the dtype of the product.

    >>> a, b = [[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]
    >>> out = tf.sparse.sampled_addmm([[0, 1]], [1.0], [1, 2], a, b)
    >>> out[1].numpy().tolist()
    [17.0]
    """
    indices, values = convert_to_tensor(indices), ops.cast(values, output_type)
    left = indexing.gather(ops.cast(mat1, output_type), indices[:, 0])
    right = indexing.gather(ops.cast(mat2, output_type), indices[:, 1], axis=1)
    products = table.reduce_sum(left * ops.transpose(right), 1)
    found = products * ops.cast(alpha, output_type) + values * ops.cast(beta, output_type)
    return indices, found, convert_to_tensor(dense_shape)


__all__ = [
    "SparseTensor",
    "add",
    "bincount",
    "concat",
    "cross",
    "cross_hashed",
    "expand_dims",
    "eye",
    "fill_empty_rows",
    "from_dense",
    "map_values",
    "mask",
    "maximum",
    "minimum",
    "reduce_max",
    "reduce_sum",
    "reorder",
    "reset_shape",
    "reshape",
    "retain",
    "sampled_addmm",
    "segment_mean",
    "segment_sqrt_n",
    "segment_sum",
    "slice",
    "softmax",
    "sparse_dense_matmul",
    "split",
    "to_dense",
    "to_indicator",
    "transpose",
]
__dir__ = __all__.copy
