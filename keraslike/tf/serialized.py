"""Serialization of tensors: `serialize_tensor`, `parse_tensor`, and those for sparse tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from keraslike.tf import dtypes, messages
from keraslike.tf.conversion import constant, convert_to_tensor
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.parsing import _made
from keraslike.tf.sparse import SparseTensor
from keraslike.tf.tensor import Tensor


def serialize_tensor(tensor: Any, name: str | None = None) -> Tensor:
    """A tensor as the bytes of a `TensorProto`, which `parse_tensor` reads.

    >>> tf.io.parse_tensor(tf.io.serialize_tensor([1.0]), tf.float32).numpy().tolist()
    [1.0]
    """
    return constant(
        messages.tensor_proto(np.asarray(convert_to_tensor(tensor))).SerializeToString()
    )


def serialize_sparse(sp_input: Any, out_type: Any = dtypes.string, name: Any = None) -> Tensor:
    """The indices, values and shape of a sparse tensor, each as the bytes of a `TensorProto`.

    >>> tf.io.serialize_sparse(tf.sparse.from_dense([[0, 5]])).shape
    TensorShape([3])
    """
    parts = (sp_input.indices, sp_input.values, sp_input.dense_shape)
    arrays = [np.asarray(convert_to_tensor(part)) for part in parts]
    return constant([messages.tensor_proto(a, packed=True).SerializeToString() for a in arrays])


def serialize_many_sparse(sp_input: Any, out_type: Any = dtypes.string, name: Any = None) -> Tensor:
    """`serialize_sparse` of each row, which `deserialize_many_sparse` combines again.

    >>> tf.io.serialize_many_sparse(tf.sparse.from_dense([[0, 5], [6, 0]])).shape
    TensorShape([2, 3])
    """
    places, values = np.asarray(sp_input.indices), np.asarray(sp_input.values)
    count, *sizes = np.asarray(sp_input.dense_shape).tolist()
    bounds = np.searchsorted(places[:, 0], np.arange(count + 1))
    rows = [
        SparseTensor(places[start:stop, 1:], _made(values[start:stop]), sizes)
        for start, stop in zip(bounds, bounds[1:])
    ]
    return constant(np.stack([serialize_sparse(row).numpy() for row in rows]))


def deserialize_many_sparse(
    serialized_sparse: Any, dtype: Any, rank: Any = None, name: Any = None
) -> SparseTensor:
    """The sparse tensors in rows of `serialize_sparse`, stacked along a new first axis.

    >>> x = tf.sparse.from_dense([[0, 5], [6, 0]])
    >>> back = tf.io.deserialize_many_sparse(tf.io.serialize_many_sparse(x), tf.int32)
    >>> tf.sparse.to_dense(back).numpy().tolist()
    [[0, 5], [6, 0]]
    """
    rows = np.asarray(convert_to_tensor(serialized_sparse))
    if rows.ndim != 2 or rows.shape[1] != 3:
        raise InvalidArgumentError(
            f"Texts of shape (rows, 3) were expected. Received: {rows.shape}"
        )
    indices, values, sizes = (
        [np.asarray(parse_tensor(text, kind)) for text in column]
        for column, kind in zip(rows.T, (dtypes.int64, dtype, dtypes.int64))
    )
    places = [np.insert(place, 0, row, 1) for row, place in enumerate(indices)]
    largest = np.max(sizes, 0).tolist() if sizes else []
    return SparseTensor(
        np.concatenate(places), _made(np.concatenate(values)), [len(rows), *largest]
    )


def parse_tensor(serialized: Any, out_type: Any, name: str | None = None) -> Tensor:
    """The tensor in the bytes of a `TensorProto`.

    Raises InvalidArgumentError for other bytes, and for a tensor of another dtype.

    >>> tf.io.parse_tensor(tf.io.serialize_tensor([1, 2]), tf.int32).numpy().tolist()
    [1, 2]
    """
    try:
        proto = messages.message("TensorProto").FromString(convert_to_tensor(serialized).numpy())
        found = constant(messages.array_of(proto))
    except Exception as e:
        raise InvalidArgumentError(f"Could not parse a tensor: {e}") from None
    if found.dtype != out_type:
        raise InvalidArgumentError(
            f"Type mismatch between parsed tensor ({found.dtype.name}) and dtype "
            f"({dtypes.as_dtype(out_type).name})"
        )
    return found


__all__ = [
    *("deserialize_many_sparse", "parse_tensor", "serialize_many_sparse", "serialize_sparse"),
    "serialize_tensor",
]
