"""`tf.lookup`: tables that map keys, texts or numbers, to values.

Texts, and numbers in a mutable table, are looked up on the host. The look-up of numbers in a static
table is compiled as a part of the function that contains it.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import hashing
from keraslike.core.errors import NeedsPython
from keraslike.data import records
from keraslike.data.elements import texts
from keraslike.data.sources import paths
from keraslike.tf import dtypes
from keraslike.tf.conversion import constant, convert_to_tensor
from keraslike.tf.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError
from keraslike.tf.ops import cast
from keraslike.tf.ragged import RaggedTensor
from keraslike.tf.sparse import SparseTensor
from keraslike.tf.strings import as_string
from keraslike.tf.tensor import WIDE, Tensor, run


class TextFileIndex:
    """The parts of a line of a file other than its columns.

    >>> tf.lookup.TextFileIndex.LINE_NUMBER
    -1
    """

    WHOLE_LINE, LINE_NUMBER = -2, -1


class KeyValueTensorInitializer:
    """The contents of a table: keys and their values.

    >>> contents = KeyValueTensorInitializer(["a", "b"], [1, 2])
    >>> StaticHashTable(contents, default_value=-1).lookup(tf.constant(["b", "c"])).numpy().tolist()
    [2, -1]
    """

    def __init__(
        self,
        keys: Any,
        values: Any,
        key_dtype: Any = None,
        value_dtype: Any = None,
        name: str | None = None,
    ):
        self._keys = convert_to_tensor(keys, key_dtype)
        self._values = convert_to_tensor(values, value_dtype)
        self.key_dtype, self.value_dtype = self._keys.dtype, self._values.dtype

    def _contents(self) -> tuple[np.ndarray, np.ndarray]:
        return np.asarray(self._keys._value).ravel(), np.asarray(self._values._value).ravel()


class TextFileInitializer:
    """The contents of a table, from a file with one line for each key.

    Args:
        key_index, value_index: the columns of the keys and of the values, or one of
            `TextFileIndex`.
        vocab_size: the number of lines to read, or `None` for all.
        delimiter: the delimiter of columns.
        value_index_offset: a number that is added to line numbers.

    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "words")
    >>> tf.io.write_file(path, "one" + chr(10) + "two")
    >>> words = tf.lookup.TextFileInitializer(
    ...     path,
    ...     tf.string,
    ...     tf.lookup.TextFileIndex.WHOLE_LINE,
    ...     tf.int64,
    ...     tf.lookup.TextFileIndex.LINE_NUMBER,
    ... )
    >>> tf.lookup.StaticHashTable(words, -1).lookup(tf.constant(["two"])).numpy().tolist()
    [1]
    """

    def __init__(
        self,
        filename: Any,
        key_dtype: Any,
        key_index: int,
        value_dtype: Any,
        value_index: int,
        vocab_size: int | None = None,
        delimiter: str = "\t",
        name: str | None = None,
        value_index_offset: int = 0,
    ):
        self.key_dtype, self.value_dtype = dtypes.as_dtype(key_dtype), dtypes.as_dtype(value_dtype)
        for what, index, dtype in (
            ("key", key_index, self.key_dtype),
            ("value", value_index, self.value_dtype),
        ):
            if index < -2:
                raise ValueError(f"`{what}_index` should be >= -2, received: {index}.")
            wanted = {-1: [dtypes.int64], -2: [dtypes.string, dtypes.int64]}.get(index)
            if wanted and dtype not in wanted:
                raise ValueError(
                    f"`{what}_dtype` must be {' or '.join(w.name for w in wanted)} for "
                    f"`{what}_index` {index}, received: {dtype}"
                )
        if vocab_size is not None and vocab_size <= 0:
            raise ValueError(f"`vocab_size` should be > 0, received: {vocab_size}")
        if isinstance(filename, str) and not filename:
            raise ValueError("`filename` must not be empty.")
        names = list(paths(filename))
        if len(names) != 1:
            raise InvalidArgumentError(f"`filename` must be one name. Received: {filename}")
        self._path = names[0]
        self._indices, self._count = (key_index, value_index), vocab_size
        self._delimiter, self._offset = delimiter.encode(), value_index_offset

    def _contents(self) -> tuple[np.ndarray, np.ndarray]:
        try:
            lines = list(records.lines(self._path))
        except FileNotFoundError:
            raise NotFoundError(f"{self._path}; No such file or directory") from None
        if self._count is not None and self._count > len(lines):
            raise InvalidArgumentError(
                f"Invalid vocab_size in {self._path}: expected {self._count} but got {len(lines)}"
            )
        lines = lines[: self._count]
        keys, values = (
            [self._part(line, number, index) for number, line in enumerate(lines)]
            for index in self._indices
        )
        if self._indices[1] == TextFileIndex.LINE_NUMBER:
            values = [n + self._offset for n in values]
        return self._of_dtype(keys, self.key_dtype), self._of_dtype(values, self.value_dtype)

    def _part(self, line: bytes, number: int, index: int) -> Any:
        if index < 0:
            return number if index == TextFileIndex.LINE_NUMBER else line
        columns = line.split(self._delimiter)
        if index >= len(columns):
            raise InvalidArgumentError(
                f"Invalid number of columns in {self._path} line {number} "
                f"({line.decode(errors='replace')}) : expected at least {index + 1} got "
                f"{len(columns)}"
            )
        return columns[index]

    def _of_dtype(self, items: list[Any], dtype: Any) -> np.ndarray:
        if dtype is dtypes.string:
            return texts(items)
        number = int if dtype.is_integer else float
        try:
            return np.array([number(item) for item in items], dtype.dtype)
        except ValueError as e:
            raise InvalidArgumentError(f"{self._path}: not of dtype {dtype.name}: {e}") from None


class Table:
    """The base class of tables."""

    def __init__(self, key_dtype: Any, value_dtype: Any, default: Any, name: str | None):
        self.key_dtype, self.value_dtype = dtypes.as_dtype(key_dtype), dtypes.as_dtype(value_dtype)
        if default is not None:
            default = convert_to_tensor(default, self.value_dtype)
        self.default_value: Any = default
        self.name = name

    def _found(self, keys: Any, **given: Any) -> Tensor:
        raise NotImplementedError

    def lookup(self, keys: Any, name: str | None = None, **given: Any) -> Any:
        """The value of each key, or the default for unknown keys.

        Raises TypeError for keys of another dtype.
        """
        if isinstance(keys, RaggedTensor):
            return keys.with_flat_values(self.lookup(keys.flat_values, **given))
        if isinstance(keys, SparseTensor):
            found = self.lookup(keys.values, **given)
            return SparseTensor(keys.indices, found, keys.dense_shape)
        keys = convert_to_tensor(keys, dtype_hint=self.key_dtype)
        if keys.dtype is not self.key_dtype:
            raise TypeError(
                f"Dtype of argument `keys` must be {self.key_dtype}, received: {keys.dtype}"
            )
        return self._found(keys, **given)

    def __getitem__(self, keys: Any) -> Any:
        return self.lookup(keys)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self  # a layer and its copy share a table, as in TensorFlow


class StaticHashTable(Table):
    """An immutable table.

    Args:
        initializer: the contents, a `KeyValueTensorInitializer` or `TextFileInitializer`.
        default_value: the value of unknown keys.

    Raises FailedPreconditionError for a key with two values.

    >>> pairs = tf.lookup.KeyValueTensorInitializer(["a", "b"], [1, 2])
    >>> table = tf.lookup.StaticHashTable(pairs, default_value=-1)
    >>> table.lookup(tf.constant(["b", "z"])).numpy().tolist()
    [2, -1]
    """

    def __init__(
        self,
        initializer: Any,
        default_value: Any,
        name: str | None = None,
        experimental_is_anonymous: bool = False,
    ):
        super().__init__(initializer.key_dtype, initializer.value_dtype, default_value, name)
        keys, values = initializer._contents()
        if not len(keys):
            raise InvalidArgumentError("keys and values cannot be empty tensors.")
        if len(keys) != len(values):
            raise InvalidArgumentError(
                f"Expected shape [{len(keys)}] for value, got [{len(values)}]"
            )
        known: dict[Any, Any] = {}
        for key, value in zip(keys.tolist(), values.tolist()):
            if known.setdefault(key, value) != value:
                raise FailedPreconditionError(
                    f"HashTable has different value for same key. Key {_shown(key)} has "
                    f"{_shown(known[key])} and trying to add value {_shown(value)}"
                )
        self._keys, self._values = _array(list(known), keys), _array(list(known.values()), values)
        self._places = {key: place for place, key in enumerate(known)}
        self._order = None if keys.dtype == object else np.argsort(self._keys)

    def size(self, name: str | None = None) -> Tensor:
        """The number of keys."""
        return constant(np.int64(len(self._keys)))

    def export(self, name: str | None = None) -> tuple[Tensor, Tensor]:
        """All keys, and their values."""
        return constant(self._keys), constant(self._values)

    def _at(self, keys: Any) -> Any:
        """The index of each key, and the number of keys for an unknown one."""
        count = len(self._keys)
        if self._order is None:
            keys = np.asarray(keys, object)
            found = [self._places.get(key, count) for key in keys.ravel().tolist()]
            return np.array(found, np.int64).reshape(keys.shape)
        xp: Any = jnp if isinstance(keys, jax.core.Tracer) else np
        ordered = xp.asarray(self._keys[self._order])
        place = xp.minimum(xp.searchsorted(ordered, keys), count - 1)
        return xp.where(ordered[place] == keys, xp.asarray(self._order)[place], count)

    def _found(self, keys: Any) -> Any:
        default = np.asarray(self.default_value._value, self._values.dtype).reshape(1)
        values = np.concatenate([self._values, default])
        if isinstance(keys._value, jax.core.Tracer):
            if values.dtype == object:
                raise NeedsPython("Text cannot leave a traced function: XLA has no strings.")
            return run(lambda k: _wide(lambda: jnp.asarray(values)[self._at(k)]), (keys,))
        return Tensor(np.asarray(values[self._at(np.asarray(keys._value))], values.dtype))


class StaticVocabularyTable(Table):
    """A table of numbers from 0 on, in which unknown keys have one of the next `num_oov_buckets`
    numbers, by a hash.

    Args:
        initializer: the contents, with int64 values, or `None` for a table of hashes only.
        lookup_key_dtype: the dtype of keys to look up, by default that of the contents.

    >>> table = StaticVocabularyTable(KeyValueTensorInitializer(["a"], np.array([0])), 2)
    >>> table.lookup(["a", "b"]).numpy().tolist()
    [0, 1]
    """

    def __init__(
        self,
        initializer: Any,
        num_oov_buckets: int,
        lookup_key_dtype: Any = None,
        name: str | None = None,
        experimental_is_anonymous: bool = False,
    ):
        if num_oov_buckets <= 0:
            raise ValueError("`num_oov_buckets` must be > 0; use StaticHashTable.")
        if initializer is not None and initializer.value_dtype is not dtypes.int64:
            raise TypeError(
                f"Invalid `value_dtype`, expected {dtypes.int64} but got {initializer.value_dtype}."
            )
        known = dtypes.string if initializer is None else initializer.key_dtype
        wanted = known if lookup_key_dtype is None else dtypes.as_dtype(lookup_key_dtype)
        if wanted.is_integer != known.is_integer:
            raise TypeError(f"Invalid key dtype, expected {known} but got {wanted}.")
        super().__init__(wanted, dtypes.int64, None, name)
        self._known = None if initializer is None else StaticHashTable(initializer, -1)
        self._buckets = num_oov_buckets

    def size(self, name: str | None = None) -> Tensor:
        """The number of keys and of buckets."""
        known = 0 if self._known is None else len(self._known._keys)
        return constant(np.int64(known + self._buckets))

    def _found(self, keys: Any) -> Any:
        if isinstance(keys._value, jax.core.Tracer):
            raise NeedsPython("Hashes are computed from texts, and XLA has no strings.")
        known, count = self._known, 0
        if keys.dtype is not dtypes.string and known is not None:
            keys = cast(keys, known.key_dtype)
        shape = np.shape(keys._value)
        found = np.zeros(shape, np.int64)
        missing = np.ones(shape, bool)
        if known is not None:
            count = len(known._keys)
            places = known._at(np.asarray(keys._value))
            missing = places == count
            found = np.concatenate([known._values, [0]])[places]
        others = np.asarray((keys if keys.dtype is dtypes.string else as_string(keys))._value)
        hashes = hashing.hashed(hashing.farm, others[missing].tolist()) if missing.any() else []
        found = np.array(found, np.int64)
        found[missing] = np.asarray(hashes, np.uint64) % np.uint64(self._buckets) + np.uint64(count)
        return Tensor(found)


class MutableHashTable(Table):
    """A mutable table.

    Args:
        default_value: the value of unknown keys, which has the shape of all values.

    >>> table = MutableHashTable(tf.string, tf.int64, -1)
    >>> table.insert(["a"], [5])
    >>> table.lookup(["a", "b"]).numpy().tolist()
    [5, -1]
    """

    def __init__(
        self,
        key_dtype: Any,
        value_dtype: Any,
        default_value: Any,
        name: str = "MutableHashTable",
        checkpoint: bool = True,
        experimental_is_anonymous: bool = False,
    ):
        super().__init__(key_dtype, value_dtype, default_value, name)
        if len(self.default_value.shape) > 1:
            raise InvalidArgumentError(
                "default_value must be a scalar or a vector. Received: shape "
                f"{self.default_value.shape}"
            )
        self._rows: dict[Any, np.ndarray] = {}

    def size(self, name: str | None = None) -> Tensor:
        """The number of keys."""
        return constant(np.int64(len(self._rows)))

    def export(self, name: str | None = None) -> tuple[Tensor, Tensor]:
        """All keys, and their values."""
        keys = constant(_array(list(self._rows), np.empty(0, self.key_dtype.dtype)))
        return keys, self._stacked(list(self._rows.values()), (len(self._rows),))

    def insert(self, keys: Any, values: Any, name: str | None = None) -> None:
        """Sets the value of each key."""
        keys, values = self._keys_of(keys), _known(convert_to_tensor(values, self.value_dtype))
        outer, shape = self._shape_of(keys), tuple(self.default_value.shape)
        if values.shape != (*outer, *shape):
            raise InvalidArgumentError(
                f"Expected shape {[*outer, *shape]} for value, got {list(values.shape)}"
            )
        self._rows.update(zip(self._listed(keys), values.reshape(-1, *shape).copy()))

    def remove(self, keys: Any, name: str | None = None) -> None:
        """Removes keys, if they are in the table."""
        keys = self._keys_of(keys)
        self._shape_of(keys)
        for key in self._listed(keys):
            self._rows.pop(key, None)

    def _listed(self, keys: np.ndarray) -> list[Any]:
        """The keys in an array."""
        return keys.ravel().tolist()

    def _shape_of(self, keys: np.ndarray) -> tuple[int, ...]:
        """The shape of the values' outer axes."""
        return keys.shape

    def lookup(self, keys: Any, dynamic_default_values: Any = None, name: str | None = None) -> Any:
        """The value of each key. That of an unknown key is its row of `dynamic_default_values` or,
        without these, the default."""
        given = {} if dynamic_default_values is None else {"instead": dynamic_default_values}
        return super().lookup(keys, **given)

    # The state of a table in checkpoints, in TensorFlow's format.

    def _stored(self) -> dict[str, np.ndarray]:
        keys, values = self.export()
        return {"-keys": np.asarray(keys._value), "-values": np.asarray(values._value)}

    def _restore(self, found: dict[str, np.ndarray]) -> None:
        self._set_rows(found["-keys"].tolist(), found["-values"])

    def _set_rows(self, keys: list[Any], values: np.ndarray) -> None:
        inner = tuple(self.default_value.shape)
        if values.shape != (len(keys), *inner):
            raise ValueError(
                f"The table takes values of shape {list(inner)}; the checkpoint has "
                f"{list(values.shape)} for {len(keys)} keys."
            )
        values = values.astype(self.value_dtype.dtype)
        self._rows = dict(zip(keys, values.reshape(-1, *inner)))

    def _keys_of(self, keys: Any) -> np.ndarray:
        keys = convert_to_tensor(keys, dtype_hint=self.key_dtype)
        if keys.dtype is not self.key_dtype:
            raise TypeError(
                f"Dtype of argument `keys` must be {self.key_dtype}, received: {keys.dtype}"
            )
        return _known(keys)

    def _found(self, keys: Any, instead: Any = None) -> Any:
        known, default = _known(keys), np.asarray(self.default_value._value)
        shape, places = self._shape_of(known), self._listed(known)
        others = [default] * len(places)
        if instead is not None:
            given = _known(convert_to_tensor(instead, self.value_dtype))
            full = (*shape, *default.shape)
            if given.shape not in (default.shape, full):
                raise InvalidArgumentError(
                    f"dynamic_default_values must be of shape {default.shape} or {full}. "
                    f"Received: shape {given.shape}"
                )
            others = [given] * len(places)
            if given.shape == full:
                others = list(given.reshape(-1, *default.shape))
        rows = [self._rows.get(key, row) for key, row in zip(places, others)]
        return self._stacked(rows, shape)

    def _stacked(self, rows: list[Any], shape: tuple[int, ...]) -> Tensor:
        inner = tuple(self.default_value.shape)
        out = np.empty((len(rows), *inner), self.value_dtype.dtype)
        for place, row in enumerate(rows):
            out[place] = (
                row[()] if isinstance(row, np.ndarray) else row
            )  # a scalar text rather than an array
        return Tensor(out.reshape((*shape, *inner)))


class DenseHashTable(MutableHashTable):
    """A `MutableHashTable` with two reserved keys, `empty_key` and `deleted_key`. If these are
    vectors, so are all keys.

    >>> table = DenseHashTable(tf.int64, tf.int64, -1, empty_key=[0, 0], deleted_key=[-1, -1])
    >>> table.insert([[1, 2], [3, 4]], [5, 6])
    >>> table.lookup([[3, 4], [9, 9]]).numpy().tolist()
    [6, -1]
    """

    def __init__(
        self,
        key_dtype: Any,
        value_dtype: Any,
        default_value: Any,
        empty_key: Any,
        deleted_key: Any,
        initial_num_buckets: int | None = None,
        name: str = "MutableDenseHashTable",
        checkpoint: bool = True,
        experimental_is_anonymous: bool = False,
    ):
        super().__init__(key_dtype, value_dtype, default_value, name)
        empty, deleted = (
            _known(convert_to_tensor(key, self.key_dtype)) for key in (empty_key, deleted_key)
        )
        if empty.shape != deleted.shape or empty.ndim > 1:
            raise InvalidArgumentError(
                "empty_key and deleted_key must be scalars, or vectors of one size. Received: "
                f"shapes {list(empty.shape)} and {list(deleted.shape)}"
            )
        self._of_key = empty.shape
        self._refused = [*self._listed(empty), *self._listed(deleted)]
        count = 1 << 17 if initial_num_buckets is None else initial_num_buckets
        if self._refused[0] == self._refused[1]:
            raise InvalidArgumentError(
                f"empty_key and deleted_key must differ. Received: {empty_key}"
            )
        if count < 4 or count & (count - 1):
            raise InvalidArgumentError(
                f"initial_num_buckets must be a power of 2, at least 4. Received: {count}"
            )
        self._least_buckets = count

    def export(self, name: str | None = None) -> tuple[Tensor, Tensor]:
        """The keys and values of all buckets; that of a free one is the `empty_key`."""
        found = self._stored()
        return constant(found["-keys"]), constant(found["-values"])

    def _listed(self, keys: np.ndarray) -> list[Any]:
        if not self._of_key:
            return super()._listed(keys)
        return list(map(tuple, keys.reshape(-1, *self._of_key).tolist()))

    def _shape_of(self, keys: np.ndarray) -> tuple[int, ...]:
        """The shape of the keys without that of one key. Raises InvalidArgumentError for keys of
        another shape, and for a reserved one."""
        count = keys.ndim - len(self._of_key)
        alike = keys.shape[count:] == self._of_key
        # TensorFlow takes further axes only if their sizes are 1.
        if count < 0 or not alike or any(n != 1 for n in keys.shape[1:count]):
            raise InvalidArgumentError(
                f"Expected keys of shape {list(self._of_key)}. Received: shape {list(keys.shape)}"
            )
        for key in self._listed(keys):
            if key in self._refused:
                raise InvalidArgumentError(f"Using the empty_key or deleted_key: {_shown(key)}")
        return keys.shape[:count]

    # TensorFlow stores the buckets of its hash table. A key is in the first free bucket, starting
    # at that of its hash, with steps that grow by one.

    def _stored(self) -> dict[str, np.ndarray]:
        count = self._least_buckets
        while 5 * len(self._rows) >= 4 * count:
            count *= 2
        width = int(np.prod(self.default_value.shape, dtype=int))
        keys = [self._refused[0]] * count
        values = np.zeros((count, width), self.value_dtype.dtype)
        taken = np.zeros(count, bool)
        for key, row in self._rows.items():
            place, step = (_hash(key) & (count - 1)), 0
            while taken[place]:
                step += 1
                place = (place + step) & (count - 1)
            taken[place], keys[place], values[place] = True, key, row.reshape(-1)
        parts = [part for key in keys for part in (key if self._of_key else [key])]
        flat = _array(parts, np.empty(0, self.key_dtype.dtype))
        return {"-keys": flat.reshape(count, -1), "-values": values}

    def _restore(self, found: dict[str, np.ndarray]) -> None:
        keys = self._listed(found["-keys"])
        used = [place for place, key in enumerate(keys) if key not in self._refused]
        values = found["-values"][used].reshape(-1, *self.default_value.shape)
        self._set_rows([keys[place] for place in used], values)


def _hash(key: Any) -> int:
    if isinstance(key, tuple):
        combined = 0
        for part in key:
            mixed = _hash(part) + 0x9E3779B97F4A7800 + (combined << 10) + (combined >> 4)
            combined ^= mixed % 2**64
        return combined
    return hashing.murmur(key) if isinstance(key, bytes) else int(key)


def _known(tensor: Tensor) -> np.ndarray:
    if isinstance(tensor._value, jax.core.Tracer):
        raise NeedsPython("A mutable table can only be used in Python, not in a compiled function.")
    return np.asarray(tensor._value)


def _array(items: list[Any], like: np.ndarray) -> np.ndarray:
    return texts(items) if like.dtype == object else np.array(items, like.dtype)


def _wide(function: Any) -> Any:
    with WIDE(True):
        return function()


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return str(list(map(_shown, value)))
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


experimental = SimpleNamespace(DenseHashTable=DenseHashTable, MutableHashTable=MutableHashTable)

__all__ = [
    *("KeyValueTensorInitializer", "StaticHashTable", "StaticVocabularyTable"),
    *("TextFileIndex", "TextFileInitializer", "experimental"),
]
__dir__ = __all__.copy
