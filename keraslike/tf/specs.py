"""`tf.RaggedTensorSpec`, `tf.SparseTensorSpec` and `tf.data.DatasetSpec`."""

from __future__ import annotations

import abc
from typing import Any

import jax

from keraslike.core.structures import iter_leaves, map_leaves
from keraslike.data.elements import ArraySpec, Nested
from keraslike.data.pipeline import DatasetIterator, Optional, Pipeline, alike
from keraslike.tf import dtypes
from keraslike.tf.conversion import convert_to_tensor
from keraslike.tf.dtypes import TensorShape
from keraslike.tf.ragged import RaggedTensor
from keraslike.tf.ragged_tensor import unflatten
from keraslike.tf.signatures import TensorSpec, is_leaf
from keraslike.tf.sparse import SparseTensor
from keraslike.tf.tensor import Tensor
from keraslike.tf.tensor_array import TensorArray


class _AnySpec:
    """The base class of specs, which are equal if their representations are."""

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def is_compatible_with(self, spec_or_value: Any) -> bool:
        """Whether a value conforms to this spec, or values of another spec may conform to it."""
        other = spec_or_value
        if not isinstance(other, TypeSpec):
            other = NoneTensorSpec() if other is None else type_spec_from_value(other)
        if type(other) is not type(self):
            return False
        ours, theirs = dict(vars(self)), dict(vars(other))
        return ours.keys() == theirs.keys() and all(
            _compatible(ours[name], theirs[name]) for name in ours
        )


def _compatible(ours: Any, theirs: Any) -> bool:
    """Whether parts of two specs are compatible: shapes, specs, structures of specs and others."""
    if hasattr(ours, "is_compatible_with"):
        return bool(ours.is_compatible_with(theirs))
    if isinstance(ours, (dict, tuple)):
        left = iter_leaves(theirs)
        return alike(ours, theirs) and all(_compatible(x, next(left)) for x in iter_leaves(ours))
    return ours == theirs


class _Spec(_AnySpec):
    """The base class of specs of tensors."""

    shape: TensorShape
    dtype: dtypes.DType

    def common(self, other: Any) -> Any:
        """The most specific spec that values of both specs conform to."""
        if type(other) is not type(self) or other.dtype != self.dtype:
            raise TypeError(f"Elements must have compatible specs. Received: {self} and {other}")
        sizes = [a if a == b else None for a, b in zip(self.shape, other.shape)]
        return self._with(sizes, 0)

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

    def __repr__(self) -> str:
        return (
            f"RaggedTensorSpec({self.shape!r}, {self.dtype!r}, {self.ragged_rank}, "
            f"{self.row_splits_dtype!r})"
        )


def in_parts(arguments: Any) -> Any:
    """The arguments with ragged tensors and extension types of specs in place of their specs."""
    if not any(hasattr(x, "in_parts") for x in jax.tree.leaves(arguments, is_leaf=is_leaf)):
        return arguments
    return jax.tree.map(
        lambda x: x.in_parts() if hasattr(x, "in_parts") else x, arguments, is_leaf=is_leaf
    )


def of_parts(arguments: Any) -> Any:
    """The arguments that `in_parts` was given."""
    return jax.tree.map(
        lambda x: RaggedTensorSpec.of_parts(x) if isinstance(x, RaggedTensor) else x,
        arguments,
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

    def _with(self, shape: Any, more: int) -> SparseTensorSpec:
        return SparseTensorSpec(shape, self.dtype)

    def __repr__(self) -> str:
        return f"SparseTensorSpec({self.shape!r}, {self.dtype!r})"


class NoneTensorSpec(_Spec):
    """The spec of `None` in an element.

    >>> NoneTensorSpec()
    NoneTensorSpec()
    """

    def common(self, other: Any) -> Any:
        """The most specific spec that values of both specs satisfy."""
        return self

    def _with(self, shape: Any, more: int) -> NoneTensorSpec:
        return self

    def inside(self, size: int | None) -> NoneTensorSpec:
        """The spec of a batch of such values."""
        return self

    def rows(self) -> NoneTensorSpec:
        """The spec of one value of a batch."""
        return self

    def __repr__(self) -> str:
        return "NoneTensorSpec()"


class DatasetSpec(_AnySpec):
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

    def __repr__(self) -> str:
        return f"DatasetSpec({self.element_spec!r}, {self._shape!r})"


class IteratorSpec(DatasetSpec):
    """The spec of an iterator of a data set: the spec of its elements.

    >>> IteratorSpec(TensorSpec([], dtypes.int64))
    IteratorSpec(TensorSpec(shape=(), dtype=tf.int64, name=None),)
    """

    def __init__(self, element_spec: Any):
        super().__init__(element_spec)

    def __repr__(self) -> str:
        return f"IteratorSpec({self.element_spec!r},)"


class OptionalSpec(IteratorSpec):
    """The spec of an `Optional`: the spec of its value.

    >>> OptionalSpec(TensorSpec([], dtypes.int64))
    OptionalSpec(TensorSpec(shape=(), dtype=tf.int64, name=None),)
    """

    def __init__(self, element_spec: Any):
        super().__init__(element_spec)

    def __repr__(self) -> str:
        return f"OptionalSpec({self.element_spec!r},)"


class TensorArraySpec(_AnySpec):
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

    def __repr__(self) -> str:
        return (
            f"TensorArraySpec({self.element_shape!r}, {self.dtype!r}, {self.dynamic_size}, "
            f"{self.infer_shape})"
        )


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
    return TensorSpec.from_tensor(convert_to_tensor(value))


class TypeSpec(abc.ABC):  # noqa: B024
    """The common base class of specs, for `isinstance`.

    >>> isinstance(tf.TensorSpec([2]), tf.TypeSpec)
    True
    """


for _kind in (
    TensorSpec,
    RaggedTensorSpec,
    SparseTensorSpec,
    NoneTensorSpec,
    DatasetSpec,
    TensorArraySpec,
):
    TypeSpec.register(_kind)
