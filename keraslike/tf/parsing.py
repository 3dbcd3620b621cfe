"""`tf.io.parse_example` and what says how: examples in bytes as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from keraslike.data.elements import texts
from keraslike.tf import dtypes, messages
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.ragged import RaggedTensor
from keraslike.tf.sparse import SparseTensor
from keraslike.tf.tensor import Tensor, constant, convert_to_tensor


class FixedLenFeature(NamedTuple):
    """A feature of one shape; an example without it has the default, or is refused."""

    shape: Any
    dtype: Any
    default_value: Any = None


class FixedLenSequenceFeature(NamedTuple):
    """A feature of any number of values of one shape, padded to the longest of a batch."""

    shape: Any
    dtype: Any
    allow_missing: bool = False
    default_value: Any = None


class VarLenFeature(NamedTuple):
    """A feature of any number of values, as a sparse tensor."""

    dtype: Any


class RaggedFeature(NamedTuple):
    """A feature of any number of values, as a ragged tensor; of one example, a tensor."""

    dtype: Any
    value_key: str | None = None
    partitions: Sequence[Any] = ()
    row_splits_dtype: Any = dtypes.int32
    validate: bool = False


class SparseFeature(NamedTuple):
    """A sparse tensor, of which one feature has the values and others the indices."""

    index_key: Any
    value_key: str
    dtype: Any
    size: Any
    already_sorted: bool = False


_LISTS = {"string": "bytes_list", "float32": "float_list", "int64": "int64_list"}


def parse_single_example(
    serialized: Any, features: dict[str, Any], example_names: Any = None, name: Any = None
) -> dict[str, Any]:
    """The features of one `tf.train.Example` in bytes.

    Raises InvalidArgumentError for one that is damaged, lacks a feature without a default, or holds
    values of another dtype or number.

    >>> from keraslike import tf
    >>> whole = tf.train.Int64List(value=[7])
    >>> features = tf.train.Features(feature={"a": tf.train.Feature(int64_list=whole)})
    >>> data = tf.train.Example(features=features).SerializeToString()
    >>> parse_single_example(data, {"a": FixedLenFeature([], tf.int64)})
    {'a': <tf.Tensor: shape=(), dtype=int64, numpy=7>}
    """
    data = convert_to_tensor(serialized).numpy()
    if not isinstance(data, bytes):
        raise InvalidArgumentError(f"One text was expected. Received shape: {data.shape}")
    return _parsed([data], features, single=True)


def parse_example(
    serialized: Any, features: dict[str, Any], example_names: Any = None, name: Any = None
) -> dict[str, Any]:
    """The features of several examples, along a first axis; see `parse_single_example`."""
    data = convert_to_tensor(serialized)
    if not data.ndim:
        return parse_single_example(data, features)
    return _parsed(np.asarray(data).tolist(), features, single=False)


def _parsed(data: list[bytes], features: dict[str, Any], single: bool) -> dict[str, Any]:
    examples = []
    for item in data:
        try:
            examples.append(messages.message("Example").FromString(item).features.feature)
        except Exception as e:
            raise InvalidArgumentError(f"Could not parse example input: {e}") from None
    return {key: _feature(key, kind, examples, single) for key, kind in features.items()}


def _feature(key: str, kind: Any, examples: list[Any], single: bool) -> Any:
    dtype = dtypes.as_dtype(kind.dtype)
    if dtype.name not in _LISTS:
        raise ValueError(f"A feature's dtype is string, float32 or int64. Received: {dtype}")
    if isinstance(kind, SparseFeature):
        return _sparse_of(kind, examples, dtype, single)
    source = getattr(kind, "value_key", None) or key
    values = [_values(e, source, dtype) for e in examples]
    if isinstance(kind, FixedLenFeature):
        rows = [_fixed(key, v, kind, dtype) for v in values]
        return _made(rows[0] if single else np.stack(rows) if rows else np.empty((0,)))
    found = [_array([] if v is None else v, dtype) for v in values]
    if isinstance(kind, FixedLenSequenceFeature):
        shape = tuple(int(n) for n in kind.shape)
        if not kind.allow_missing and None in values:
            raise InvalidArgumentError(f"Feature: {key} is required but could not be found.")
        found = [a.reshape(-1, *shape) for a in found]
        if single:
            return _made(found[0])
        filler = kind.default_value
        filler = (b"" if dtype is dtypes.string else 0) if filler is None else filler
        longest = max(map(len, found), default=0)
        out = np.full((len(found), longest, *shape), filler, dtype.dtype)
        for row, array in zip(out, found):
            row[: len(array)] = array
        return _made(out)
    flat = np.concatenate(found) if found else _array([], dtype)
    lengths = list(map(len, found))
    if isinstance(kind, RaggedFeature):
        if kind.partitions:
            raise NotImplementedError("RaggedFeature with partitions is not supported.")
        if single:
            return _made(flat)
        whole = RaggedTensor.from_row_lengths(_made(flat), lengths)
        return whole.with_row_splits_dtype(kind.row_splits_dtype)
    if not isinstance(kind, VarLenFeature):
        raise ValueError(f"features[{key!r}] must say what it is. Received: {kind!r}")
    columns = np.concatenate([np.arange(n) for n in lengths] or [np.zeros(0, int)])
    if single:
        return SparseTensor(columns[:, None].astype(np.int64), _made(flat), [len(flat)])
    rows = np.repeat(np.arange(len(lengths)), lengths)
    indices = np.stack([rows, columns], 1).astype(np.int64)
    return SparseTensor(indices, _made(flat), [len(lengths), max(lengths, default=0)])


def _made(array: Any) -> Tensor:
    """A tensor on the host, where the functions that prepare data go on with it."""
    return Tensor(np.asarray(array))


def _values(example: Any, key: str, dtype: Any) -> Any:
    """The values of a feature; `None` where there are none."""
    if key not in example:
        return None
    feature = example[key]
    which = feature.WhichOneof("kind")
    if which is None:
        return None
    if which != _LISTS[dtype.name]:
        raise InvalidArgumentError(
            f"Key: {key}. Data types don't match: {dtype.name} was expected, and it has a {which}."
        )
    return getattr(feature, which).value


def _array(values: Any, dtype: Any) -> np.ndarray:
    return texts(values) if dtype is dtypes.string else np.asarray(values, dtype.dtype)


def _fixed(key: str, values: Any, kind: FixedLenFeature, dtype: Any) -> np.ndarray:
    shape = tuple(int(n) for n in np.atleast_1d(np.asarray(kind.shape, int)))
    size = int(np.prod(shape, dtype=int))
    if values is None:
        if kind.default_value is None:
            raise InvalidArgumentError(
                f"Feature: {key} (data type: {dtype.name}) is required but could not be found."
            )
        given = convert_to_tensor(kind.default_value, dtype_hint=dtype).numpy()
        filled = np.empty(shape, dtype.dtype)
        filled[...] = given if np.size(given) == 1 else np.reshape(given, shape)
        return filled
    if len(values) != size:
        raise InvalidArgumentError(
            f"Key: {key}. Number of {dtype.name} values != expected. Values size: {len(values)} "
            f"but output shape: {list(shape)}"
        )
    return _array(values, dtype).reshape(shape)


def _sparse_of(kind: SparseFeature, examples: list[Any], dtype: Any, single: bool) -> SparseTensor:
    keys = [kind.index_key] if isinstance(kind.index_key, str) else list(kind.index_key)
    sizes = [int(n) for n in np.atleast_1d(kind.size)]
    places, values = [], []
    for number, example in enumerate(examples):
        found = _array(_values(example, kind.value_key, dtype) or [], dtype)
        columns = [np.asarray(_values(example, k, dtypes.int64) or [], np.int64) for k in keys]
        if any(len(c) != len(found) for c in columns):
            raise InvalidArgumentError(f"There are other numbers of values and of indices: {keys}")
        place = np.stack(columns, 1)
        order = np.lexsort(place.T[::-1])
        values.append(found[order])
        row = np.full((len(found), 0 if single else 1), number)
        places.append(np.concatenate([row, place[order]], 1))
    flat = np.concatenate(values) if values else _array([], dtype)
    return SparseTensor(
        np.concatenate(places).astype(np.int64),
        _made(flat),
        sizes if single else [len(examples), *sizes],
    )


def serialize_tensor(tensor: Any, name: str | None = None) -> Tensor:
    """A tensor as the bytes of a `TensorProto`, which `parse_tensor` reads."""
    return constant(
        messages.tensor_proto(np.asarray(convert_to_tensor(tensor))).SerializeToString()
    )


def parse_tensor(serialized: Any, out_type: Any, name: str | None = None) -> Tensor:
    """The tensor in the bytes of a `TensorProto`.

    Raises InvalidArgumentError for other bytes, and for a tensor of another dtype.
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
    *("FixedLenFeature", "FixedLenSequenceFeature", "RaggedFeature", "SparseFeature"),
    *("VarLenFeature", "parse_example", "parse_single_example", "parse_tensor", "serialize_tensor"),
]
