"""Combinations of the features in each row, of ragged and sparse tensors."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from keraslike.core import hashing
from keraslike.tf import dtypes, ops
from keraslike.tf.conversion import constant, convert_to_tensor, static
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.ragged_tensor import RaggedTensor
from keraslike.tf.sparse_tensor import SparseTensor
from keraslike.tf.structure import host
from keraslike.tf.tensor import Tensor

_KEY = 0xDECAFCAFFE  # TensorFlow's default
_MASK = 2**64 - 1


def _combinations(inputs: Sequence[Any], allowed: tuple[type, ...]) -> tuple[Any, np.ndarray]:
    """The combinations of all rows, as a matrix of objects, and their number in each row."""
    if not isinstance(inputs, (list, tuple)):
        raise TypeError(f"inputs must be a list of tensors. Received: {inputs!r}")
    given = [x if isinstance(x, allowed) else convert_to_tensor(x) for x in inputs]
    for x in given:
        if len(x.shape) != 2:
            raise InvalidArgumentError(f"Inputs must have two axes. Received shape {x.shape}.")
    rows = [_rows(x) for x in given]
    if len({len(x) for x in rows}) > 1:
        raise InvalidArgumentError(
            f"Inputs must have equally many rows. Received: {[len(x) for x in rows]}"
        )
    found = [list(itertools.product(*own)) for own in zip(*rows)]
    flat = np.empty((sum(map(len, found)), len(given)), object)
    for place, parts in enumerate(itertools.chain(*found)):
        flat[place] = parts
    return flat, np.array([len(own) for own in found], np.int64)


def _rows(x: Any) -> list[list]:
    if isinstance(x, RaggedTensor):
        return x.to_list()
    instead = "call it outside."
    if not isinstance(x, SparseTensor):
        return host(x, "What is combined", instead).tolist()
    rows: list[list] = [[] for _ in range(x._sizes[0])]
    places, values = (host(part, "What is combined", instead) for part in (x.indices, x.values))
    for (row, _), value in zip(places.tolist(), values.tolist()):
        rows[row].append(value)
    return rows


def _joined(parts: np.ndarray, separator: bytes) -> Tensor:
    out = np.empty(len(parts), object)
    out[:] = [
        separator.join(v if isinstance(v, bytes) else str(v).encode() for v in own) for own in parts
    ]
    return Tensor(out)


def _hashed(parts: np.ndarray, num_buckets: Any, hash_key: Any) -> Tensor:
    buckets, key = static(num_buckets), _KEY if hash_key is None else static(hash_key)
    out = np.full(len(parts), key, np.uint64)
    for column in parts.T:
        texts = any(isinstance(v, bytes) for v in column)
        integers = lambda: np.array([v & _MASK for v in column], np.uint64)  # noqa: B023, E731
        features = hashing.hashed(hashing.farm, column.tolist()) if texts else integers()
        out = hashing.combined(out, features)
    return constant((out % np.uint64(buckets or 2**63 - 1)).astype(np.int64))


def _ragged(inputs: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    for i, x in enumerate(inputs):
        kind = x.dtype if hasattr(x, "dtype") else convert_to_tensor(x).dtype
        kind = dtypes.as_dtype(kind)
        if kind is not dtypes.string and not kind.is_integer:
            raise ValueError(f"Expected text or integers. Received at position {i}: {kind.name}")
    return _combinations(inputs, (RaggedTensor, SparseTensor))


def cross(inputs: Sequence[Any], name: str | None = None) -> RaggedTensor:
    """Each combination of the texts or numbers in the same row of several tensors, joined by `_X_`.

    >>> tf.ragged.cross([[["a"], ["b"]], tf.ragged.constant([["c"], ["d", "e"]])]).to_list()
    [[b'a_X_c'], [b'b_X_d', b'b_X_e']]
    """
    parts, lengths = _ragged(inputs)
    return RaggedTensor.from_row_lengths(_joined(parts, b"_X_"), lengths)


def cross_hashed(
    inputs: Sequence[Any], num_buckets: Any = 0, hash_key: Any = None, name: str | None = None
) -> RaggedTensor:
    """The hash, an int64, of each combination that `tf.ragged.cross` joins.

    Args:
        num_buckets: hashes are below this number; 0 means below `2**63 - 1`.
        hash_key: the number that FarmHash's FingerprintCat64 combines with the features first.

    >>> tf.ragged.cross_hashed([[["a"], ["b"]], [[1], [2]]], num_buckets=10).to_list()
    [[5], [7]]
    """
    parts, lengths = _ragged(inputs)
    return RaggedTensor.from_row_lengths(_hashed(parts, num_buckets, hash_key), lengths)


def _sparse(values: Tensor, lengths: np.ndarray) -> SparseTensor:
    columns = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    places = np.stack([np.repeat(np.arange(len(lengths)), lengths), columns], -1)
    return SparseTensor(places, values, (len(lengths), int(lengths.max(initial=0))))


def _dense_or_sparse(inputs: Any) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(inputs, (list, tuple)) or any(isinstance(x, RaggedTensor) for x in inputs):
        raise TypeError(f"inputs must be a list of dense and sparse tensors. Received: {inputs!r}")
    given = [x if isinstance(x, SparseTensor) else convert_to_tensor(x) for x in inputs]
    given.sort(key=lambda x: not isinstance(x, SparseTensor))  # as TensorFlow passes them on
    integral = [x if x.dtype is dtypes.string else _whole(x) for x in given]
    return _combinations(integral, (SparseTensor,))


def _whole(x: Any) -> Any:
    if isinstance(x, SparseTensor):
        return x.with_values(ops.cast(x.values, dtypes.int64))
    return ops.cast(x, dtypes.int64)


def sparse_cross(
    inputs: Sequence[Any], name: str | None = None, separator: str | None = None
) -> SparseTensor:
    """Each combination of the texts or numbers in the same row of several matrices, joined.

    Args:
        inputs: dense or sparse matrices of text or numbers, which are cast to int64.
        separator: the text between two parts, by default `_X_`.

    >>> tf.sparse.cross([[["a", "b"]], [["c"]]]).values.numpy().tolist()
    [b'a_X_c', b'b_X_c']
    """
    between = "_X_" if separator is None else separator
    between = between if isinstance(between, bytes) else str(between).encode()
    parts, lengths = _dense_or_sparse(inputs)
    return _sparse(_joined(parts, between), lengths)


def sparse_cross_hashed(
    inputs: Sequence[Any], num_buckets: Any = 0, hash_key: Any = None, name: str | None = None
) -> SparseTensor:
    """The hash, an int64, of each combination that `tf.sparse.cross` joins.

    Args:
        num_buckets: hashes are below this number; 0 means below `2**63 - 1`.
        hash_key: the number that FarmHash's FingerprintCat64 combines with the features first.

    >>> tf.sparse.cross_hashed([[["a", "b"]], [["c"]]], num_buckets=10).values.numpy().tolist()
    [6, 4]
    """
    parts, lengths = _dense_or_sparse(inputs)
    return _sparse(_hashed(parts, num_buckets, hash_key), lengths)
