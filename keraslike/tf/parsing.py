"""`tf.io.parse_example` and related functions, and the specs of features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from keraslike.data.elements import texts
from keraslike.tf import dtypes, messages
from keraslike.tf.conversion import convert_to_tensor
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.ragged import RaggedTensor
from keraslike.tf.sparse import SparseTensor
from keraslike.tf.tensor import Tensor


class FixedLenFeature(NamedTuple):
    """A feature of a fixed shape. An example without it has the default, or is an error.

    >>> example = tf.train.Example(
    ...     features=tf.train.Features(
    ...         feature={"a": tf.train.Feature(int64_list=tf.train.Int64List(value=[7]))}
    ...     )
    ... )
    >>> tf.io.parse_single_example(
    ...     example.SerializeToString(), {"a": tf.io.FixedLenFeature([], tf.int64)}
    ... )["a"].numpy().tolist()
    7
    """

    shape: Any
    dtype: Any
    default_value: Any = None


class FixedLenSequenceFeature(NamedTuple):
    """A feature of any number of values of one shape, padded to the longest of a batch.

    >>> tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True).allow_missing
    True
    """

    shape: Any
    dtype: Any
    allow_missing: bool = False
    default_value: Any = None


class VarLenFeature(NamedTuple):
    """A feature of any number of values, as a sparse tensor.

    >>> tf.io.VarLenFeature(tf.int64).dtype
    tf.int64
    """

    dtype: Any


class _RaggedFeature(NamedTuple):
    dtype: Any
    value_key: str | None = None
    partitions: Sequence[Any] = ()
    row_splits_dtype: Any = dtypes.int32
    validate: bool = False


def _partition(name: str, field: str) -> Any:
    made = NamedTuple(name, [(field, Any)])  # type: ignore[misc]
    made.__doc__ = f"An inner axis whose rows the feature `{field}` divides."
    return made


class RaggedFeature(_RaggedFeature):
    """A feature of any number of values, as a ragged tensor; of one example, a tensor.

    Args:
        value_key: the name of the feature, by default that of the result.
        partitions: the partitions of the values into rows, the outermost first: `RowSplits(key)`,
                `RowLengths(key)`, `RowStarts(key)`, `RowLimits(key)`, `ValueRowIds(key)`, each with
                the name of a feature of integers, or `UniformRowLength(length)`.

    >>> tf.io.RaggedFeature(tf.int64).dtype
    tf.int64
    """

    RowSplits = _partition("RowSplits", "key")
    RowLengths = _partition("RowLengths", "key")
    RowStarts = _partition("RowStarts", "key")
    RowLimits = _partition("RowLimits", "key")
    ValueRowIds = _partition("ValueRowIds", "key")
    UniformRowLength = _partition("UniformRowLength", "length")


class SparseFeature(NamedTuple):
    """A sparse tensor, with its values in one feature and its indices in others.

    >>> tf.io.SparseFeature("places", "values", tf.float32, 10).size
    10
    """

    index_key: Any
    value_key: str
    dtype: Any
    size: Any
    already_sorted: bool = False


_LISTS = {"string": "bytes_list", "float32": "float_list", "int64": "int64_list"}


def parse_single_example(
    serialized: Any, features: dict[str, Any], example_names: Any = None, name: Any = None
) -> dict[str, Any]:
    """The features of a serialized `tf.train.Example`.

    Raises InvalidArgumentError if it is damaged, if a feature without a default is missing, and for
    values of another dtype or number.

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
    """The features of a batch of serialized examples; see `parse_single_example`.

    >>> example = tf.train.Example(
    ...     features=tf.train.Features(
    ...         feature={"a": tf.train.Feature(int64_list=tf.train.Int64List(value=[7]))}
    ...     )
    ... )
    >>> tf.io.parse_example(
    ...     [example.SerializeToString()], {"a": tf.io.FixedLenFeature([], tf.int64)}
    ... )["a"].numpy().tolist()
    [7]
    """
    data = convert_to_tensor(serialized)
    if not data.ndim:
        return parse_single_example(data, features)
    return _parsed(np.asarray(data).tolist(), features, single=False)


def parse_single_sequence_example(
    serialized: Any,
    context_features: dict[str, Any] | None = None,
    sequence_features: dict[str, Any] | None = None,
    example_name: Any = None,
    name: Any = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The features of a serialized `tf.train.SequenceExample`: of its context, and of its steps.

    Raises InvalidArgumentError as `parse_single_example` does.

    >>> step = tf.train.Feature(int64_list=tf.train.Int64List(value=[7]))
    >>> lists = tf.train.FeatureLists(
    ...     feature_list={"a": tf.train.FeatureList(feature=[step, step])}
    ... )
    >>> coded = tf.train.SequenceExample(feature_lists=lists).SerializeToString()
    >>> wanted = {"a": tf.io.FixedLenSequenceFeature([], tf.int64)}
    >>> tf.io.parse_single_sequence_example(coded, sequence_features=wanted)[1][
    ...     "a"
    ... ].numpy().tolist()
    [7, 7]
    """
    data = convert_to_tensor(serialized).numpy()
    if not isinstance(data, bytes):
        raise InvalidArgumentError(f"One text was expected. Received shape: {data.shape}")
    return _sequences([data], context_features, sequence_features, single=True)[:2]


def parse_sequence_example(
    serialized: Any,
    context_features: dict[str, Any] | None = None,
    sequence_features: dict[str, Any] | None = None,
    example_names: Any = None,
    name: Any = None,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The features of a batch of serialized examples; see `parse_single_sequence_example`.

    The third result has the numbers of steps of padded features.

    >>> step = tf.train.Feature(int64_list=tf.train.Int64List(value=[7]))
    >>> lists = tf.train.FeatureLists(
    ...     feature_list={"a": tf.train.FeatureList(feature=[step, step])}
    ... )
    >>> coded = tf.train.SequenceExample(feature_lists=lists).SerializeToString()
    >>> wanted = {"a": tf.io.FixedLenSequenceFeature([], tf.int64)}
    >>> tf.io.parse_sequence_example([coded], sequence_features=wanted)[1]["a"].numpy().tolist()
    [[7, 7]]
    """
    data = np.asarray(convert_to_tensor(serialized)).tolist()
    return _sequences(data, context_features, sequence_features, single=False)


def _messages(kind: str, data: list[bytes]) -> list[Any]:
    parse, found = messages.message(kind).FromString, []
    for item in data:
        try:
            found.append(parse(item))
        except Exception as e:
            raise InvalidArgumentError(f"Could not parse example input: {e}") from None
    return found


def _parsed(data: list[bytes], features: dict[str, Any], single: bool) -> dict[str, Any]:
    if not features:
        raise ValueError(f"features must be a dict of specs. Received: features={features!r}")
    _check_dense(features)
    examples = [m.features.feature for m in _messages("RawExample", data)]
    return {key: _feature(key, kind, examples, single) for key, kind in _ordered(features)}


def _check_dense(features: dict[str, Any]) -> None:
    """Raises ValueError for dense features whose sizes are unknown or which are read as sparse."""
    sparse = {k for k, kind in features.items() if isinstance(kind, VarLenFeature)}
    for kind in features.values():
        if isinstance(kind, SparseFeature):
            keys = kind.index_key
            sparse |= {kind.value_key, *([keys] if isinstance(keys, str) else keys)}
    for key, kind in features.items():
        if isinstance(kind, FixedLenSequenceFeature) and not kind.allow_missing:
            raise ValueError(
                f"features[{key!r}] of parse_example must be a FixedLenSequenceFeature with "
                "allow_missing=True. Received: allow_missing=False"
            )
        if not isinstance(kind, (FixedLenFeature, FixedLenSequenceFeature)):
            continue
        if key in sparse:
            raise ValueError(f"Feature {key!r} cannot be read as dense and as sparse values.")
        if isinstance(kind.shape, (list, tuple)) and None in kind.shape:
            raise ValueError(
                f"The sizes of feature {key!r} must be known; FixedLenSequenceFeature is for an "
                f"unknown first size. Received: shape={kind.shape}"
            )


def _ordered(features: dict[str, Any] | None) -> list[tuple[str, Any]]:
    """Features in the order of TensorFlow's results: sparse, dense, ragged and composed ones, each
    kind by name."""

    def place(item: tuple[str, Any]) -> tuple[int, str]:
        key, kind = item
        if isinstance(kind, VarLenFeature):
            return 0, key
        if isinstance(kind, (FixedLenFeature, FixedLenSequenceFeature)):
            return 1, key
        of_its_own = isinstance(kind, RaggedFeature) and kind.value_key in (None, key)
        return 2 if of_its_own else 3, key

    return sorted((features or {}).items(), key=place)


def _sequences(data: list[bytes], context: Any, sequence: Any, single: bool) -> Any:
    if not context and not sequence:
        raise ValueError("Missing features: context_features or sequence_features must be given.")
    read = _messages("RawSequenceExample", data)
    around = [m.context.feature for m in read]
    whole = {k: _feature(k, kind, around, single) for k, kind in _ordered(context)}
    lists = [m.feature_lists.feature_list for m in read]
    steps, lengths = {}, {}
    for key, kind in _ordered(sequence):
        steps[key], count = _steps(key, kind, lists, single)
        if isinstance(kind, FixedLenSequenceFeature):
            lengths[key] = count
    return whole, steps, lengths


def _type_of(kind: Any) -> Any:
    dtype = dtypes.as_dtype(kind.dtype)
    if dtype.name not in _LISTS:
        raise ValueError(
            f"The dtype of a feature must be string, float32 or int64. Received: {dtype}"
        )
    return dtype


def _feature(key: str, kind: Any, examples: list[Any], single: bool) -> Any:
    dtype = _type_of(kind)
    if isinstance(kind, SparseFeature):
        return _sparse_of(kind, examples, dtype, single)
    if isinstance(kind, FixedLenFeature):
        dense = _dense(key, kind, examples, dtype)
        if dense is not None:
            return Tensor(dense[0, ...] if single else dense)
    source = getattr(kind, "value_key", None) or key
    values = [_values(e.get(source), source, dtype) for e in examples]
    if isinstance(kind, FixedLenFeature):
        rows = [_fixed(key, v, kind, dtype) for v in values]
        return _made(rows[0] if single else np.stack(rows) if rows else np.empty((0,)))
    required = isinstance(kind, FixedLenSequenceFeature) and not kind.allow_missing
    if required and any(v is None for v in values):
        raise InvalidArgumentError(f"Feature: {key} is required but could not be found.")
    found = [_array((), dtype) if v is None else v for v in values]
    if isinstance(kind, FixedLenSequenceFeature):
        shape = _sizes(kind.shape)
        if any(len(a) % (math.prod(shape) or 1) for a in found):
            raise InvalidArgumentError(
                f"Key: {key}. Numbers of values {list(map(len, found))} are not multiples of those "
                f"of shape {list(shape)}."
            )
        found = [a.reshape(-1, *shape) for a in found]
        return _made(found[0]) if single else _padded(found, kind.default_value, dtype, shape)
    if isinstance(kind, RaggedFeature) and kind.partitions:
        made, counts = _partitioned(kind, examples, found)
        return made if single else _ragged(kind, made, counts)
    flat = np.concatenate(found) if found else _array((), dtype)
    lengths = list(map(len, found))
    if isinstance(kind, RaggedFeature):
        return _made(flat) if single else _ragged(kind, _made(flat), lengths)
    if not isinstance(kind, VarLenFeature):
        raise ValueError(
            f"features[{key!r}] must be a spec such as FixedLenFeature. Received: {kind!r}"
        )
    return _sparse_rows([lengths], flat, single)


def _steps(key: str, kind: Any, lists: list[Any], single: bool) -> tuple[Any, Any]:
    """A feature of the steps of sequences, and the numbers of steps."""
    dtype = _type_of(kind)
    source = getattr(kind, "value_key", None) or key
    if not isinstance(kind, (FixedLenSequenceFeature, VarLenFeature, RaggedFeature)):
        raise ValueError(
            f"sequence_features[{key!r}] must be a FixedLenSequenceFeature, a "
            f"VarLenFeature or a RaggedFeature. Received: {kind!r}"
        )
    padded = isinstance(kind, FixedLenSequenceFeature)
    if padded and not kind.allow_missing and any(source not in found for found in lists):
        raise InvalidArgumentError(
            f"Name: <unknown>, Feature list '{key}' is required but could not be found. Did you "
            "mean to include it in feature_list_dense_missing_assumed_empty or "
            "feature_list_dense_defaults?"
        )
    rows = [
        [_values(f, source, dtype) for f in found[source].feature] if source in found else []
        for found in lists
    ]
    counts = list(map(len, rows))
    lengths = _made(np.asarray(counts, np.int64))
    if padded:
        fixed = FixedLenFeature(kind.shape, dtype)
        shape = _sizes(kind.shape)
        made = [np.stack([_fixed(key, v, fixed, dtype) for v in row]) if row
                else np.empty((0, *shape), dtype.dtype) for row in rows]  # fmt: skip
        return (_made(made[0]) if single else _padded(made, None, dtype, shape)), lengths
    each = [_array((), dtype) if v is None else v for row in rows for v in row]
    flat = np.concatenate(each) if each else _array((), dtype)
    sizes = list(map(len, each))
    if isinstance(kind, VarLenFeature):
        return _sparse_rows([counts, sizes], flat, single), lengths
    if kind.partitions:
        made, sizes = _partitioned(kind, _by_step(kind, lists, len(each)), each)
    else:
        made = _made(flat)
    inner = _ragged(kind, made, sizes)
    return (inner if single else _ragged(kind, inner, counts)), lengths


def _padded(rows: list[np.ndarray], filler: Any, dtype: Any, shape: tuple[int, ...]) -> Tensor:
    """Rows of different lengths as one array, padded to the longest."""
    filler = (b"" if dtype is dtypes.string else 0) if filler is None else filler
    filler = filler.encode() if isinstance(filler, str) else filler
    if np.size(filler) != 1:
        raise InvalidArgumentError(
            f"The default_value of a FixedLenSequenceFeature must be one value. Received: {filler}"
        )
    longest = max(map(len, rows), default=0)
    out = np.full((len(rows), longest, *shape), np.reshape(filler, ()), dtype.dtype)
    for row, array in zip(out, rows):
        row[: len(array)] = array
    return _made(out)


def _ragged(kind: RaggedFeature, values: Any, lengths: Any) -> RaggedTensor:
    lengths_ = np.asarray(lengths, dtypes.as_dtype(kind.row_splits_dtype).dtype)
    return RaggedTensor.from_row_lengths(values, lengths_)


def _by_step(kind: RaggedFeature, lists: list[Any], count: int) -> list[dict[str, Any]]:
    """The features that partition the values of each step, for all sequences."""
    steps: list[dict[str, Any]] = [{} for _ in range(count)]
    for key in (by for (by,) in kind.partitions if isinstance(by, str)):
        found = [f for each in lists if key in each for f in each[key].feature]
        if len(found) != count:
            raise InvalidArgumentError(
                f"The partitions '{key}' are of {len(found)} steps, and the values of {count}."
            )
        for step, feature in zip(steps, found):
            step[key] = feature
    return steps


def _partitioned(
    kind: RaggedFeature, examples: list[Any], values: list[np.ndarray]
) -> tuple[Any, list[int]]:
    """The values of all examples in rows, by the partitions of each example, and the numbers of
    rows of the examples."""
    made: Any = _made(np.concatenate(values) if values else _array((), _type_of(kind)))
    counts = list(map(len, values))
    for partition in reversed(kind.partitions):
        (by,) = partition
        if not isinstance(by, str):
            size = int(by)
            if any(n % size if size else n for n in counts):
                raise InvalidArgumentError(
                    f"Numbers of values must be multiples of {size}: {counts}"
                )
            counts = [n // size if size else 0 for n in counts]
            if isinstance(made, Tensor):
                made = _made(np.asarray(made).reshape(sum(counts), size, *made.shape[1:]))
            else:
                made = RaggedTensor.from_uniform_row_length(made, size, nrows=sum(counts))
                made = made.with_row_splits_dtype(kind.row_splits_dtype)
            continue
        found = [_values(example.get(by), by, dtypes.int64) for example in examples]
        lengths = [
            np.zeros(0, np.int64) if f is None or not len(f) else _lengths(partition, f, n)
            for f, n in zip(found, counts)
        ]
        for each, count in zip(lengths, counts):
            if each.sum() != count or (each < 0).any():
                raise InvalidArgumentError(
                    f"'{by}' does not partition {count} values: rows of {each.tolist()}"
                )
        counts = list(map(len, lengths))
        made = _ragged(kind, made, np.concatenate([np.zeros(0, np.int64), *lengths]))
    return made, counts


def _lengths(partition: Any, by: np.ndarray, count: int) -> np.ndarray:
    """The lengths of the rows of `count` values."""
    if isinstance(partition, RaggedFeature.RowLengths):
        return by
    if isinstance(partition, RaggedFeature.ValueRowIds):
        if len(by) != count or (np.diff(by, prepend=0) < 0).any():
            raise InvalidArgumentError(
                f"The partition of {count} values must not decrease. Received: {by.tolist()}"
            )
        return np.bincount(by)
    if isinstance(partition, RaggedFeature.RowStarts):
        by = np.append(by, count)
    elif isinstance(partition, RaggedFeature.RowLimits):
        by = np.insert(by, 0, 0)
    if by[0]:
        raise InvalidArgumentError(f"The first row must begin at 0. Received: {by[0]}")
    return np.diff(by)


def _sparse_rows(counts: list[list[int]], flat: np.ndarray, single: bool) -> SparseTensor:
    """A sparse tensor of values in rows; `counts` has the sizes of the rows along each axis."""
    sizes = [len(counts[0]), *(max(c, default=0) for c in counts)]
    places = np.arange(len(counts[0]))[:, None]
    for count in counts:
        inner = np.concatenate([np.arange(n) for n in count] or [np.zeros(0, int)])
        places = np.concatenate([np.repeat(places, count, 0), inner[:, None]], 1)
    first = 1 if single else 0
    return SparseTensor(places[:, first:].astype(np.int64), _made(flat), sizes[first:])


def _made(array: Any) -> Tensor:
    """A tensor on the host, where functions of data pipelines use it."""
    return Tensor(np.asarray(array))


def _values(feature: Any, key: str, dtype: Any) -> np.ndarray | None:
    """The values of a feature, or `None` if there are none."""
    which = None if feature is None else feature.WhichOneof("kind")
    if which is None:
        return None
    if which != _LISTS[dtype.name]:
        raise InvalidArgumentError(
            f"Key: {key}. Data types don't match: {dtype.name} was expected, and it has a {which}."
        )
    found = getattr(feature, which)
    return messages.floats(found) if which == "float_list" else _array(found.value, dtype)


def _array(values: Any, dtype: Any) -> np.ndarray:
    return texts(values) if dtype is dtypes.string else np.fromiter(values, dtype.dtype)


def _dense(key: str, kind: FixedLenFeature, examples: list[Any], dtype: Any) -> np.ndarray | None:
    """The values of all examples in one array, or `None` if their numbers or dtypes differ."""
    shape, which, flat = _sizes(kind.shape), _LISTS[dtype.name], []
    size = math.prod(shape)
    whole = messages.size_of_floats(size)
    for example in examples:
        feature = example.get(key)
        if feature is None or feature.WhichOneof("kind") != which:
            return None
        found = getattr(feature, which)
        values = found.value
        if which == "float_list":  # all bytes are decoded at once
            if len(values) != 1 or len(values[0]) != 4 * size or found.ByteSize() != whole:
                return None
        elif len(values) != size:
            return None
        flat += values
    if which == "float_list":
        made = np.frombuffer(bytearray().join(flat), "<f4")
    else:
        made = texts(flat) if which == "bytes_list" else np.array(flat, np.int64)
    return made.reshape(len(examples), *shape)


def _sizes(shape: Any) -> tuple[int, ...]:
    if shape is None:
        raise ValueError("A FixedLenFeature needs a shape. Received: shape=None")
    if type(shape) not in (list, tuple):
        shape = np.atleast_1d(np.asarray(shape, int)).tolist()
    return tuple(map(int, shape))


def _fixed(key: str, values: Any, kind: FixedLenFeature, dtype: Any) -> np.ndarray:
    shape = _sizes(kind.shape)
    if values is None:
        if kind.default_value is None:
            raise InvalidArgumentError(
                f"Feature: {key} (data type: {dtype.name}) is required but could not be found."
            )
        given = convert_to_tensor(kind.default_value, dtype_hint=dtype).numpy()
        if np.size(given) != math.prod(shape):
            raise InvalidArgumentError(
                f"The default_value of feature {key} must have shape {list(shape)}. "
                f"Received: {kind.default_value!r}"
            )
        filled = np.empty(shape, dtype.dtype)
        filled[...] = np.reshape(given, shape)
        return filled
    if len(values) != math.prod(shape):
        raise InvalidArgumentError(
            f"Key: {key}. Number of {dtype.name} values != expected. Values size: {len(values)} "
            f"but output shape: {list(shape)}"
        )
    return values.reshape(shape)


def _sparse_of(kind: SparseFeature, examples: list[Any], dtype: Any, single: bool) -> SparseTensor:
    keys = [kind.index_key] if isinstance(kind.index_key, str) else list(kind.index_key)
    sizes = [int(n) for n in np.atleast_1d(kind.size)]
    places, values = [], []

    def read(example: Any, key: str, dtype: Any) -> np.ndarray:
        found = _values(example.get(key), key, dtype)
        return _array((), dtype) if found is None else found

    for number, example in enumerate(examples):
        found = read(example, kind.value_key, dtype)
        columns = [read(example, k, dtypes.int64) for k in keys]
        if any(len(c) != len(found) for c in columns):
            raise InvalidArgumentError(f"The numbers of values and of indices differ: {keys}")
        place = np.stack(columns, 1)
        order = slice(None) if kind.already_sorted else np.lexsort(place.T[::-1])
        values.append(found[order])
        row = np.full((len(found), 0 if single else 1), number)
        places.append(np.concatenate([row, place[order]], 1))
    flat = np.concatenate(values) if values else _array((), dtype)
    return SparseTensor(
        np.concatenate(places).astype(np.int64),
        _made(flat),
        sizes if single else [len(examples), *sizes],
    )


__all__ = [
    *("FixedLenFeature", "FixedLenSequenceFeature", "RaggedFeature", "SparseFeature"),
    *("VarLenFeature", "parse_example", "parse_sequence_example"),
    *("parse_single_example", "parse_single_sequence_example"),
]
