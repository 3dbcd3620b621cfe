"""`tf.map_fn` for ragged tensors, sparse tensors and text, as a Python loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from keraslike.tf import dtypes, nest, ops, ragged_math, sparse_shape
from keraslike.tf.conversion import convert_to_tensor, stacked
from keraslike.tf.dtypes import DType
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.ragged_tensor import RaggedTensor
from keraslike.tf.signatures import TensorSpec
from keraslike.tf.sparse_tensor import SparseTensor
from keraslike.tf.specs import RaggedTensorSpec, SparseTensorSpec
from keraslike.tf.structure import Structure
from keraslike.tf.tensor import Tensor


def is_dense(tree: Any) -> bool:
    """Whether all leaves of a structure are dense tensors of numbers, or dtypes or specs of
    such."""

    def dense(x: Any) -> bool:
        if isinstance(x, (Structure, RaggedTensorSpec, SparseTensorSpec)):
            return False
        if x is None or isinstance(x, (TensorSpec, DType)):
            return getattr(x, "dtype", None) is not dtypes.string and x is not dtypes.string
        return convert_to_tensor(x).dtype is not dtypes.string

    return all(map(dense, nest.flatten(tree)))


def specs(signature: Any) -> Any:
    """The signature of a result, with DTypes for names of dtypes, Python's types and numpy's."""

    def spec(x: Any) -> Any:
        return dtypes.as_dtype(x) if isinstance(x, (str, type, np.dtype)) else x

    return nest.map_structure(spec, signature)


def one_by_one(fn: Callable, elems: Any, signature: Any) -> Any:
    """`map_fn` with ragged tensors or text as arguments or results, as a Python loop.

    `None` as the signature stands for any result.
    """
    flat: list[Any] = [
        x if isinstance(x, Structure) else convert_to_tensor(x) for x in nest.flatten(elems)
    ]
    count = int(flat[0].nrows()) if hasattr(flat[0], "nrows") else flat[0].shape[0]
    found = [fn(nest.pack_sequence_as(elems, [_slice(x, i) for x in flat])) for i in range(count)]
    if not found:
        return nest.map_structure(_none, signature)
    specs = (
        nest.flatten(signature) if signature is not None else [None] * len(nest.flatten(found[0]))
    )
    columns = zip(*map(nest.flatten, found), strict=True)
    outs = [_stack(spec, list(c)) for c, spec in zip(columns, specs, strict=True)]
    return nest.pack_sequence_as(found[0], outs)


def _slice(x: Any, place: int) -> Any:
    if not isinstance(x, SparseTensor):
        return x[place]
    sizes = list(x.shape)[1:]
    part = sparse_shape.slice(x, [place, *[0] * len(sizes)], [1, *sizes])
    return sparse_shape.reshape(part, sizes)


def _stack(spec: Any, values: list[Any]) -> Any:
    if isinstance(spec, RaggedTensorSpec):
        return ragged_math.stack(values).with_row_splits_dtype(spec.row_splits_dtype)
    if isinstance(values[0], SparseTensor):
        return sparse_shape.concat(0, [sparse_shape.expand_dims(v, 0) for v in values])
    return stacked(values)


def _none(spec: Any) -> Any:
    """No results of a spec or dtype."""
    if spec is None or isinstance(spec, SparseTensorSpec):
        raise InvalidArgumentError("tf.map_fn: elems must have at least one element.")
    if isinstance(spec, DType):
        spec = TensorSpec([], spec)
    dense = isinstance(spec, TensorSpec)
    inner = spec.shape if dense else spec.shape[spec.ragged_rank + 1 :]
    shape = (0, *(size or 0 for size in inner))
    text = spec.dtype is dtypes.string
    empty = Tensor(np.empty(shape, object)) if text else ops.zeros(shape, spec.dtype)
    if dense:
        return empty
    for _ in range(spec.ragged_rank + 1):
        empty = RaggedTensor.from_row_lengths(empty, np.zeros(0, np.int64))
    return empty
