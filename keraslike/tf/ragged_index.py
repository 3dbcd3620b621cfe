"""Indexing of ragged tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from keraslike.tf import ops
from keraslike.tf.conversion import static
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.ragged_partition import _count, _summed, _take
from keraslike.tf.ragged_tensor import RaggedTensor
from keraslike.tf.tensor import Tensor


def get_item(x: RaggedTensor, key: Any) -> Any:
    """`x[key]` with integers, slices, `...` and `tf.newaxis`; along a ragged axis slices only."""
    keys = tuple(key) if isinstance(key, (tuple, list)) else (key,)
    return _rows_of(x, [_checked_key(k) for k in keys])


RaggedTensor.__getitem__ = get_item  # type: ignore[attr-defined]


def _checked_key(key: Any) -> Any:
    if isinstance(key, slice):
        return slice(*map(static, (key.start, key.stop, key.step)))
    if key is None or key is Ellipsis:
        return key
    value = key.numpy() if isinstance(key, Tensor) and not key.ndim else key
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return int(value)
    raise TypeError(
        f"Ragged tensors are indexed by integers, slices, ... and tf.newaxis. Received: {key!r}"
    )


def _spelled(keys: list[Any], rank: int) -> list[Any]:
    if Ellipsis not in keys:
        return keys
    at = keys.index(Ellipsis)
    missing = rank - sum(k is not None for k in keys) + 1
    return [*keys[:at], *[slice(None)] * missing, *keys[at + 1 :]]


def _rows_of(x: Any, keys: list[Any]) -> Any:
    """`x[keys]`."""
    if not isinstance(x, RaggedTensor):
        return x[tuple(keys)] if keys else x
    if not keys:
        return x
    first, *rest = _spelled(keys, len(x.shape))
    if first is None:
        inner = _rows_of(x, rest)
        if not isinstance(inner, RaggedTensor):
            return ops.expand_dims(inner, 0)
        return RaggedTensor.from_uniform_row_length(inner, _count(inner), 1)
    if isinstance(first, slice):
        if first != slice(None):
            x = _take(x, np.arange(x._rows)[first])
        return _within_rows(x, rest)
    if not -x._rows <= first < x._rows:
        kind = IndexError if first >= 0 else InvalidArgumentError  # as TensorFlow raises
        raise kind(f"Row {first} is out of bounds: there are {x._rows}.")
    splits = x._known("The length of a row", "use to_tensor(shape=...) first.")
    row = first % x._rows
    row = _part(x._values, int(splits[row]), int(splits[row + 1]))
    return _rows_of(row, rest)


def _part(x: Any, start: int, stop: int) -> Any:
    return _take(x, np.arange(start, stop)) if isinstance(x, RaggedTensor) else x[start:stop]


def _within_rows(x: RaggedTensor, keys: list[Any]) -> Any:
    """`x[:, keys]`."""
    if not keys:
        return x
    first, *rest = keys
    inner = x._values
    if first is None:
        return RaggedTensor.from_uniform_row_length(_within_rows(x, rest), 1, x._rows)
    if isinstance(first, slice):
        if first != slice(None):
            splits = x._known("A part of each row")
            picked = [np.arange(a, b)[first] for a, b in zip(splits[:-1], splits[1:], strict=True)]
            lengths = np.asarray([len(p) for p in picked], splits.dtype)
            inner = _take(inner, np.concatenate([*picked, np.zeros(0, np.int64)]).astype(np.int64))
            size = None if x._uniform is None else len(range(x._uniform)[first])
            x = x._make(inner, _summed(lengths), size, x._kind)
        if not rest:
            return x
        if isinstance(inner, RaggedTensor):
            return x.with_values(_within_rows(inner, rest))
        return x.with_values(inner[(slice(None), *rest)])
    if x._uniform is None:
        raise ValueError(
            "Rows of different lengths have no common column: index along a ragged axis by a slice."
        )
    if not -x._uniform <= first < x._uniform:
        raise InvalidArgumentError(
            f"Index {first} is out of bounds: rows have {x._uniform} elements."
        )
    return _rows_of(_take(inner, x._splits[:-1] + first % x._uniform), [slice(None), *rest])
