"""`tf.RaggedTensor`: rows of different lengths, as flat values and row splits.

Splits are kept on the host. In a traced function they may be tracers, as long as the number of
elements does not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.tf import dtypes, ops
from keraslike.tf.conversion import constant, convert_to_tensor, static
from keraslike.tf.dtypes import TensorShape
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.operators import give_operators
from keraslike.tf.ragged_partition import Partitioned, _at, _columns, _count, _elements, _ids
from keraslike.tf.sparse_tensor import SparseTensor
from keraslike.tf.structure import NotDense, is_traced
from keraslike.tf.tensor import WIDE, Tensor, run

OPERATIONS: dict[str, Callable] = {}  # implementations of tensor functions for ragged tensors


class RaggedTensor(Partitioned):
    """Row `i` is `values[row_splits[i] : row_splits[i + 1]]`; `values` may be ragged itself.

    It is created by `tf.ragged.constant` and the `from_...` methods, and is a pytree of values and
    splits.

    >>> r = RaggedTensor.from_row_splits([1, 2, 3], [0, 2, 2, 3])
    >>> r, r[0], r.to_tensor(default_value=-1).numpy().tolist()
    (<tf.RaggedTensor [[1, 2], [], [3]]>,
     <tf.Tensor: shape=(2,), dtype=int32, numpy=array([1, 2], dtype=int32)>,
     [[1, 2], [-1, -1], [3, -1]])
    """

    __slots__ = ()

    def __init__(self, *_: Any, **__: Any):
        raise ValueError(
            "Ragged tensors are created by tf.ragged.constant() and by methods of the class such "
            "as RaggedTensor.from_row_splits()."
        )

    # -- attributes -----------------------------------------------------------------------------

    @property
    def values(self) -> Any:
        """The concatenated rows: a tensor, or a ragged tensor of a rank lower by one."""
        return self._values

    @property
    def flat_values(self) -> Tensor:
        inner = self._values
        return inner.flat_values if isinstance(inner, RaggedTensor) else inner

    @property
    def dtype(self) -> dtypes.DType:
        return self.flat_values.dtype

    @property
    def shape(self) -> TensorShape:
        return TensorShape((self._rows, self._uniform, *tuple(self._values.shape)[1:]))

    def get_shape(self) -> TensorShape:
        return self.shape

    @property
    def ragged_rank(self) -> int:
        """The number of axes that are partitioned into rows."""
        inner = self._values
        return 1 + (inner.ragged_rank if isinstance(inner, RaggedTensor) else 0)

    @property
    def row_splits(self) -> Tensor:
        return self._public(self._splits)

    @property
    def uniform_row_length(self) -> Tensor | None:
        return None if self._uniform is None else self._public(np.asarray(self._uniform))

    @property
    def nested_row_splits(self) -> tuple[Tensor, ...]:
        return tuple(level.row_splits for level in self._levels())

    def nested_row_lengths(self, name: Any = None) -> tuple[Tensor, ...]:
        return tuple(level.row_lengths() for level in self._levels())

    def nested_value_rowids(self, name: Any = None) -> tuple[Tensor, ...]:
        return tuple(level.value_rowids() for level in self._levels())

    def nrows(self, out_type: Any = None, name: Any = None) -> Tensor:
        """The number of rows."""
        kind = self._kind if out_type is None else dtypes.as_dtype(out_type).dtype
        return constant(np.asarray(self._rows, kind))

    def row_lengths(self, axis: Any = 1, name: Any = None) -> Any:
        """The number of elements of each row; along an inner axis, as a ragged tensor."""
        axis = self._axis(axis)
        if axis == 0:
            return self.nrows()
        if axis > 1:
            return self.with_values(_inner_lengths(self._values, axis - 1, self._kind))
        return self._public(self._splits[1:] - self._splits[:-1])

    def row_starts(self, name: Any = None) -> Tensor:
        return self._public(self._splits[:-1])

    def row_limits(self, name: Any = None) -> Tensor:
        return self._public(self._splits[1:])

    def value_rowids(self, name: Any = None) -> Tensor:
        """The row of each value."""
        return self._public(_ids(self._splits, _count(self._values)))

    def bounding_shape(self, axis: Any = None, name: Any = None, out_type: Any = None) -> Tensor:
        """The shape of the smallest dense tensor that can hold all rows."""
        kind = self._kind if out_type is None else dtypes.as_dtype(out_type).dtype
        sizes = np.asarray(self._bounds("RaggedTensor.bounding_shape"), kind)
        return constant(sizes if axis is None else sizes[np.asarray(static(axis))])

    # -- conversions ------------------------------------------------------------------------------

    def numpy(self) -> np.ndarray:
        """A numpy array, or an array of arrays if rows differ in length."""
        splits, inner = self._known("RaggedTensor.numpy"), self._values
        values = inner.numpy() if isinstance(inner, RaggedTensor) else np.asarray(inner)
        rows = [values[a:b] for a, b in zip(splits[:-1], splits[1:], strict=True)]
        if not rows:
            return np.zeros((0, 0, *values.shape[1:]), values.dtype)
        if len({len(row) for row in rows}) == 1:
            return np.stack(rows)
        out = np.empty(len(rows), object)
        for i, row in enumerate(rows):
            out[i] = row
        return out

    def to_list(self) -> list:
        """Nested lists of Python values."""
        splits, inner = self._known("RaggedTensor.to_list"), self._values
        ragged = isinstance(inner, RaggedTensor)
        values = inner.to_list() if ragged else np.asarray(inner).tolist()
        return [values[a:b] for a, b in zip(splits[:-1], splits[1:], strict=True)]

    def to_tensor(self, default_value: Any = None, name: Any = None, shape: Any = None) -> Tensor:
        """A dense tensor, in which short rows are padded with `default_value`, by default 0.

        Args:
            shape: the shape of the result, to which longer rows are truncated; a size of `None` is
                that of the longest row. It must be given while a function is traced.
        """
        flat, rank = self.flat_values, self.ragged_rank + 1
        inner = tuple(flat.shape)[1:]
        asked = static(
            shape.as_list() if isinstance(shape, TensorShape) and shape.rank is not None else shape
        )
        full = rank + len(inner)
        given = [None] * full if asked in (None, -1) else [None if n == -1 else n for n in asked]
        if len(given) != full or any(n not in (None, m) for n, m in zip(given[rank:], inner)):
            raise InvalidArgumentError(f"shape={asked} does not fit the shape {self.shape}.")
        sizes: list[Any] = given[:rank]
        sizes[0] = self._rows if sizes[0] is None else sizes[0]
        if None in sizes:
            bounds = self._bounds("The size that the longest row has", "give shape=.")
            sizes = [b if n is None else n for n, b in zip(sizes, bounds)]
        zero = b"" if flat.dtype is dtypes.string else np.zeros((), flat.dtype.dtype)
        filler = convert_to_tensor(zero if default_value is None else default_value, flat.dtype)
        own = tuple(filler.shape)
        if len(own) > len(inner) or any(n not in (1, m) for n, m in zip(own[::-1], inner[::-1])):
            raise InvalidArgumentError(
                f"default_value of shape {own} does not broadcast to an element's shape {inner}."
            )
        places = self._coordinates()
        if flat.dtype is dtypes.string:
            text = np.empty((*sizes, *inner), object)
            text[...] = filler.numpy()
            fits = (np.stack(places, -1) < np.asarray(sizes)).all(-1)
            text[tuple(p[fits] for p in places)] = np.asarray(flat)[fits]
            return Tensor(text)
        return run(_place, (flat, filler, *places), ((*sizes, *inner),))

    def to_sparse(self, name: Any = None) -> SparseTensor:
        """A sparse tensor with the same elements at the same indices."""
        sizes, flat = self._bounds("RaggedTensor.to_sparse"), self.flat_values
        for level in self._levels():  # unlike others, TensorFlow's to_sparse checks the splits
            level.from_row_splits(level._values, level._splits)
        inner = tuple(flat.shape)[1:]
        outer = np.repeat(np.stack(self._coordinates(), -1), int(np.prod(inner)), axis=0)
        steps = np.moveaxis(np.indices(inner), 0, -1).reshape(int(np.prod(inner)), len(inner))
        within = np.tile(steps, (flat.shape[0], 1))
        places = np.concatenate([outer, within], -1).astype(np.int64)
        return SparseTensor(places, ops.reshape(flat, [-1]), sizes)

    # -- modified copies --------------------------------------------------------------------------

    def with_values(self, new_values: Any) -> RaggedTensor:
        """The same partition of other values, of the same number."""
        values = _elements(new_values)
        if _count(values) != _count(self._values):
            raise ValueError(f"Expected {_count(self._values)} values, received {_count(values)}.")
        return self._make(values, self._splits, self._uniform, self._kind)

    def with_flat_values(self, new_values: Any) -> RaggedTensor:
        """The same partitions of other elements."""
        inner = self._values
        if isinstance(inner, RaggedTensor):
            return self.with_values(inner.with_flat_values(new_values))
        return self.with_values(new_values)

    def with_row_splits_dtype(self, dtype: Any) -> RaggedTensor:
        """The same tensor with splits of int32 or int64. Raises ValueError for another dtype."""
        if dtypes.as_dtype(dtype) not in (dtypes.int32, dtypes.int64):
            raise ValueError(f"Splits are of int32 or int64. Received: {dtype!r}")
        inner = self._values
        if isinstance(inner, RaggedTensor):
            inner = inner.with_row_splits_dtype(dtype)
        return self._make(inner, self._splits, self._uniform, dtypes.as_dtype(dtype).dtype)

    def merge_dims(self, outer_axis: Any, inner_axis: Any) -> Any:
        """The tensor with the axes from `outer_axis` to `inner_axis` merged."""
        outer, inner = self._axis(outer_axis), self._axis(inner_axis)
        if outer > inner:
            raise ValueError(f"outer_axis={outer} must not be after inner_axis={inner}.")
        return _merged(self, outer, inner)

    # -- internals --------------------------------------------------------------------------------

    def _with_parts(self, flat_values: Any, outer: Any, *inner: Any) -> RaggedTensor:
        """Other values and splits, of which uniform rows keep their length."""
        values = self._values._with_parts(flat_values, *inner) if inner else flat_values
        made = self.from_row_splits(values, outer, validate=False)
        made._uniform = self._uniform
        return made

    def _levels(self) -> Iterator[RaggedTensor]:
        level: Any = self
        while isinstance(level, RaggedTensor):
            yield level
            level = level._values

    def _axis(self, axis: Any) -> int:
        axis, rank = static(axis), len(self.shape)
        if not -rank <= axis < rank:
            raise ValueError(f"axis={axis} is out of bounds: expected {-rank} <= axis < {rank}")
        return axis % rank

    def _public(self, splits: Any) -> Tensor:
        if isinstance(splits, jax.core.Tracer):
            return ops.cast(Tensor(splits), self._kind)
        return constant(np.asarray(splits, self._kind))

    def _bounds(self, what: str, instead: str = "call it outside.") -> list[int]:
        longest = [int(np.diff(r._known(what, instead)).max(initial=0)) for r in self._levels()]
        return [self._rows, *longest, *tuple(self.flat_values.shape)[1:]]

    def _coordinates(self) -> list[Any]:
        """The indices of each element along all axes up to the last ragged one."""
        levels = list(self._levels())
        row: Any = None
        out: list[Any] = []
        for level in reversed(levels):
            count, splits = _count(level._values), level._splits
            with WIDE(True):
                ids, columns = _ids(splits, count), _columns(splits, count)
                out.insert(0, columns if row is None else _at(columns, row))
                row = ids if row is None else _at(ids, row)
        return [row, *out]

    def _operate(self, name: str, function: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        if name not in OPERATIONS:
            raise NotDense(self)
        return OPERATIONS[name](function, *args, **kwargs)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(self._rows))  # type: ignore[index]

    def __bool__(self) -> bool:
        raise TypeError("A RaggedTensor has no truth value.")

    def __repr__(self) -> str:
        splits = [level._splits for level in self._levels()]
        if is_traced(self.flat_values) or not all(isinstance(s, np.ndarray) for s in splits):
            return f"<tf.RaggedTensor: shape={self.shape}, dtype={self.dtype.name}, no values yet>"
        with np.printoptions(formatter={"all": _shown}):
            return f"<tf.RaggedTensor {_shown(self.numpy())}>"

    def __reduce__(self) -> Any:
        return RaggedTensor._make, (
            self._values,
            np.asarray(self._splits),
            self._uniform,
            self._kind,
        )


give_operators(RaggedTensor)


def _shown(x: Any) -> str:
    if not isinstance(x, np.ndarray):
        return str(x)
    return np.array2string(x, separator=", ") if x.size else repr(x.tolist())


def unflatten(aux: Any, children: Any) -> RaggedTensor:
    made = object.__new__(RaggedTensor)
    made._uniform, made._kind = aux
    made._values, splits = children
    splits = splits._value if isinstance(splits, Tensor) else splits
    known = isinstance(splits, jax.Array) and not is_traced(splits)
    made._splits = np.asarray(splits, made._kind) if known else splits
    return made


jax.tree_util.register_pytree_node(
    RaggedTensor, lambda r: ((r._values, r._splits), (r._uniform, r._kind)), unflatten
)


def _place(flat: Any, filler: Any, *rest: Any) -> Any:
    *places, sizes = rest
    return jnp.full(sizes, filler).at[tuple(places)].set(flat, mode="drop")


def _inner_lengths(values: Any, axis: int, kind: Any) -> Any:
    if isinstance(values, RaggedTensor):
        return values.row_lengths(axis)
    return constant(np.full(tuple(values.shape)[:axis], values.shape[axis], kind))


def _merged(r: Any, outer: int, inner: int) -> Any:
    if outer == inner:
        return r
    if not isinstance(r, RaggedTensor):
        sizes = tuple(r.shape)
        middle = int(np.prod(sizes[outer : inner + 1]))
        return ops.reshape(r, (*sizes[:outer], middle, *sizes[inner + 1 :]))
    if outer > 1:
        return r.with_values(_merged(r._values, outer - 1, inner - 1))
    if outer == 0:
        return _merged(r._values, 0, inner - 1)
    values, splits = r._values, r._splits  # outer == 1
    if isinstance(values, RaggedTensor):
        splits, values = _at(values._splits, splits), values._values
    else:
        splits, values = splits * values.shape[1], _merged(values, 0, 1)
    return _merged(r._make(values, splits, None, r._kind), 1, inner - 1)
