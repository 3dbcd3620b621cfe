"""The specs of tensors that are not dense, of data sets and of tensor arrays."""

from __future__ import annotations

from typing import Any

import jax

from keraslike.core.structures import keeping_order, map_leaves
from keraslike.data.elements import ArraySpec, Nested
from keraslike.data.pipeline import DatasetIterator, Optional, Pipeline
from keraslike.tf import dtypes
from keraslike.tf.conversion import convert_to_tensor
from keraslike.tf.dtypes import TensorShape
from keraslike.tf.ragged import RaggedTensor
from keraslike.tf.ragged_tensor import unflatten
from keraslike.tf.signatures import TensorSpec, is_leaf
from keraslike.tf.slices import IndexedSlices
from keraslike.tf.sparse import SparseTensor
from keraslike.tf.tensor import Tensor
from keraslike.tf.tensor_array import TensorArray
from keraslike.tf.type_spec import TypeSpec


class _Spec(TypeSpec):
    """The base class of specs of tensors."""

    shape: TensorShape
    dtype: dtypes.DType

    def common(self, other: Any) -> Any:
        """The most specific spec that values of both specs conform to."""
        found = self.most_specific_common_supertype([other])
        if found is None:
            raise TypeError(f"Elements must have compatible specs. Received: {self} and {other}")
        return found

    def inside(self, size: int | None) -> Any:
        """The spec with an additional first axis."""
        return self._with((size, *self.shape), 1)

    def rows(self) -> Any:
        """The spec without the first axis."""
        return self._with(self.shape[1:], -1)

    def _with(self, shape: Any, more: int) -> Any:
        raise NotImplementedError


class RaggedTensorSpec(_Spec):
    """The shape, dtype and number of ragged axes of a ragged tensor.

    >>> RaggedTensorSpec([None, None], dtypes.int32)
    RaggedTensorSpec(TensorShape([None, None]), tf.int32, 1, tf.int64)
    """

    def __init__(
        self,
        shape: Any = None,
        dtype: Any = dtypes.float32,
        ragged_rank: int | None = None,
        row_splits_dtype: Any = dtypes.int64,
    ):
        self.shape, self.dtype = TensorShape(shape), dtypes.as_dtype(dtype)
        rank = self.shape.rank
        if rank is None if ragged_rank is None else rank is not None and ragged_rank >= rank:
            raise ValueError(
                "ragged_rank must be below the rank of shape, one of which must be given. "
                f"Received: shape={shape}, ragged_rank={ragged_rank}"
            )
        self.ragged_rank = rank - 1 if ragged_rank is None else ragged_rank
        self.row_splits_dtype = dtypes.as_dtype(row_splits_dtype)

    @property
    def value_type(self) -> type:
        """`tf.RaggedTensor`, or `tf.Tensor` where no axis is ragged."""
        return RaggedTensor if self.ragged_rank > 0 else Tensor

    @classmethod
    def from_value(cls, value: Any) -> RaggedTensorSpec:
        splits = value.row_splits.dtype
        return cls(value.shape, value.dtype, value.ragged_rank, splits)

    def in_parts(self) -> Any:
        """A ragged tensor that has specs in place of its values and splits."""
        axes = self.ragged_rank + 1
        made: Any = TensorSpec([None, *self.shape[axes:]], self.dtype)
        for axis in reversed(range(1, axes)):
            rows = self.shape[0] if axis == 1 else None
            splits = TensorSpec([None if rows is None else rows + 1], self.row_splits_dtype)
            made = unflatten((self.shape[axis], self.row_splits_dtype.dtype), (made, splits))
        return made

    @classmethod
    def of_parts(cls, made: Any) -> RaggedTensorSpec:
        """The spec that `in_parts` was called on."""
        levels = list(made._levels())
        rows = made._splits.shape[0]
        axes = [None if rows is None else rows - 1, *(level._uniform for level in levels)]
        flat = levels[-1]._values
        return cls([*axes, *flat.shape[1:]], flat.dtype, len(levels), made._splits.dtype)

    def _with(self, shape: Any, more: int) -> RaggedTensorSpec:
        rank = self.ragged_rank + more
        return RaggedTensorSpec(shape, self.dtype, rank, self.row_splits_dtype)

    def _serialize(self) -> Any:
        return self.shape, self.dtype, self.ragged_rank, self.row_splits_dtype


def in_parts(arguments: Any) -> Any:
    """The arguments with ragged tensors and extension types of specs in place of their specs."""
    if not any(hasattr(x, "in_parts") for x in jax.tree.leaves(arguments, is_leaf=is_leaf)):
        return arguments
    return jax.tree.map(
        lambda x: x.in_parts() if hasattr(x, "in_parts") else x,
        keeping_order(arguments),
        is_leaf=is_leaf,
    )


def of_parts(arguments: Any) -> Any:
    """The arguments that `in_parts` was given."""
    return jax.tree.map(
        lambda x: RaggedTensorSpec.of_parts(x) if isinstance(x, RaggedTensor) else x,
        keeping_order(arguments),
        is_leaf=lambda x: isinstance(x, RaggedTensor) or is_leaf(x),
    )


class SparseTensorSpec(_Spec):
    """The shape and dtype of a sparse tensor.

    >>> SparseTensorSpec([None, 3], dtypes.int32)
    SparseTensorSpec(TensorShape([None, 3]), tf.int32)
    """

    value_type = SparseTensor

    def __init__(self, shape: Any = None, dtype: Any = dtypes.float32):
        self.shape, self.dtype = TensorShape(shape), dtypes.as_dtype(dtype)

    @classmethod
    def from_value(cls, value: Any) -> SparseTensorSpec:
        return cls(value.shape, value.dtype)

    def in_parts(self) -> Any:
        """A sparse tensor that has specs in place of its indices and values; the spec itself if its
        shape, which belongs to the structure of a sparse tensor, is not known."""
        if not self.shape.is_fully_defined():
            return self
        made = object.__new__(SparseTensor)
        made._sizes = tuple(self.shape)
        made._indices = TensorSpec([None, len(made._sizes)], dtypes.int64)
        made._values = TensorSpec([None], self.dtype)
        return made

    def _with(self, shape: Any, more: int) -> SparseTensorSpec:
        return SparseTensorSpec(shape, self.dtype)

    def _serialize(self) -> Any:
        return self.shape, self.dtype


class NoneTensorSpec(_Spec):
    """The spec of `None` in an element.

    >>> NoneTensorSpec()
    NoneTensorSpec()
    """

    def _with(self, shape: Any, more: int) -> NoneTensorSpec:
        return self

    def inside(self, size: int | None) -> NoneTensorSpec:
        """The spec of a batch of such values."""
        return self

    def rows(self) -> NoneTensorSpec:
        """The spec of one value of a batch."""
        return self

    def _serialize(self) -> Any:
        return ()


class DatasetSpec(TypeSpec):
    """The spec of a data set: the spec of its elements.

    >>> DatasetSpec(TensorSpec([], dtypes.int64))
    DatasetSpec(TensorSpec(shape=(), dtype=tf.int64, name=None), TensorShape([]))
    """

    def __init__(self, element_spec: Any, dataset_shape: Any = ()):
        self.element_spec, self._shape = element_spec, TensorShape(dataset_shape)

    @classmethod
    def from_value(cls, value: Any) -> DatasetSpec:
        """The spec of a data set."""
        return cls(value.element_spec)

    def _serialize(self) -> Any:
        return self.element_spec, self._shape


class IteratorSpec(DatasetSpec):
    """The spec of an iterator of a data set: the spec of its elements.

    >>> IteratorSpec(TensorSpec([], dtypes.int64))
    IteratorSpec(TensorSpec(shape=(), dtype=tf.int64, name=None),)
    """

    def __init__(self, element_spec: Any):
        super().__init__(element_spec)

    def _serialize(self) -> Any:
        return (self.element_spec,)


class OptionalSpec(IteratorSpec):
    """The spec of an `Optional`: the spec of its value.

    >>> OptionalSpec(TensorSpec([], dtypes.int64))
    OptionalSpec(TensorSpec(shape=(), dtype=tf.int64, name=None),)
    """


class TensorArraySpec(TypeSpec):
    """The spec of a `TensorArray`: the shape and dtype of its elements.

    >>> TensorArraySpec([2], dtypes.int32)
    TensorArraySpec(TensorShape([2]), tf.int32, False, True)
    """

    def __init__(
        self,
        element_shape: Any = None,
        dtype: Any = dtypes.float32,
        dynamic_size: bool = False,
        infer_shape: bool = True,
    ):
        self.element_shape, self.dtype = TensorShape(element_shape), dtypes.as_dtype(dtype)
        self.dynamic_size, self.infer_shape = dynamic_size, infer_shape

    @classmethod
    def from_value(cls, value: TensorArray) -> TensorArraySpec:
        """The spec of an array."""
        return cls(value.element_shape, value.dtype, value.dynamic_size, value._infer)

    def _serialize(self) -> Any:
        return self.element_shape, self.dtype, self.dynamic_size, self.infer_shape


class IndexedSlicesSpec(TypeSpec):
    """The shape and dtypes of `IndexedSlices`.

    Args:
        shape: the shape of the whole tensor.
        dtype, indices_dtype: the dtypes of the values and the indices.
        dense_shape_dtype: the dtype of `dense_shape`, `None` for slices without one.
        indices_shape: the number of rows as a shape, by default unknown.

    >>> tf.type_spec_from_value(tf.IndexedSlices([[1.0, 2.0]], [1]))
    IndexedSlicesSpec(TensorShape([None, 2]), tf.float32, tf.int32, None, TensorShape([1]))
    """

    value_type = IndexedSlices

    def __init__(
        self,
        shape: Any = None,
        dtype: Any = dtypes.float32,
        indices_dtype: Any = dtypes.int64,
        dense_shape_dtype: Any = None,
        indices_shape: Any = None,
    ):
        self.shape, self.dtype = TensorShape(shape), dtypes.as_dtype(dtype)
        self._indices = dtypes.as_dtype(indices_dtype)
        sizes = dense_shape_dtype
        self._sizes = None if sizes is None else dtypes.as_dtype(sizes)
        self._rows = TensorShape([None] if indices_shape is None else indices_shape).with_rank(1)

    @classmethod
    def from_value(cls, value: IndexedSlices) -> IndexedSlicesSpec:
        """The spec of `IndexedSlices`."""
        sizes = None if value.dense_shape is None else value.dense_shape.dtype
        indices = value.indices
        return cls(value.shape, value.dtype, indices.dtype, sizes, indices.shape)

    def in_parts(self) -> IndexedSlices:
        """`IndexedSlices` that have specs in place of their values and indices."""
        made = object.__new__(IndexedSlices)
        made._values = TensorSpec(self._rows.concatenate(self.shape[1:]), self.dtype)
        made._indices = TensorSpec(self._rows, self._indices)
        made._sizes = None if self._sizes is None else tuple(self.shape)
        return made

    def _serialize(self) -> Any:
        return self.shape, self.dtype, self._indices, self._sizes, self._rows


def shown(spec: Any) -> Any:
    """The spec of a leaf in the form of `element_spec`."""
    if isinstance(spec, ArraySpec):
        return TensorSpec(spec.shape, spec.dtype)
    if isinstance(spec, Nested):
        return DatasetSpec(map_leaves(shown, spec.element), spec.shape)
    return spec


_HOLDERS: tuple[tuple[type, Any], ...] = (
    (TensorArray, TensorArraySpec),
    (Pipeline, DatasetSpec),
    (DatasetIterator, IteratorSpec),
    (Optional, OptionalSpec),
    (IndexedSlices, IndexedSlicesSpec),
)


def type_spec_from_value(value: Any) -> Any:
    """The spec of a tensor of any type.

    >>> type_spec_from_value([1, 2])
    TensorSpec(shape=(2,), dtype=tf.int32, name=None)
    """
    if isinstance(value, RaggedTensor):
        return RaggedTensorSpec.from_value(value)
    if isinstance(value, SparseTensor):
        return SparseTensorSpec.from_value(value)
    for kind, spec in _HOLDERS:
        if isinstance(value, kind):
            return spec.from_value(value)
    if hasattr(type(value), "Spec"):  # an ExtensionType
        return value.Spec.from_value(value)
    if isinstance(getattr(value, "_type_spec", None), TypeSpec):  # an object of a user's class
        return value._type_spec
    return TensorSpec.from_tensor(convert_to_tensor(value))


def _spec_of(value: Any) -> Any:
    return NoneTensorSpec() if value is None else type_spec_from_value(value)


TypeSpec._of = staticmethod(_spec_of)
