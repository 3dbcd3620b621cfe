"""`tf.data.experimental`: older names of methods of data sets, and CSV files."""

from __future__ import annotations

import contextlib
import enum
import inspect
import os
import re
import sqlite3
from collections.abc import Callable
from typing import Any

from keraslike.core.structures import iter_leaves, map_leaves
from keraslike.data import dataset as _dataset
from keraslike.data import elements, files, options, pipeline, records, sources
from keraslike.tf import documentation, dtypes, face, lookup, parsing
from keraslike.tf.data import applied, view
from keraslike.tf.errors import InvalidArgumentError, OutOfRangeError, UnknownError

Dataset = face.stand_for(_dataset.Dataset)
AUTOTUNE = elements.AUTOTUNE
INFINITE_CARDINALITY, UNKNOWN_CARDINALITY = elements.INFINITE, elements.UNKNOWN
AutotuneOptions, DistributeOptions = options.AutotuneOptions, options.DistributeOptions
ServiceOptions = options.ServiceOptions
OptimizationOptions, ThreadingOptions = options.OptimizationOptions, options.ThreadingOptions
CsvDataset = face.stand_for(files.CsvDataset)
make_csv_dataset = face.function_of(files.make_csv_dataset)
globals().update({_name: getattr(applied, _name) for _name in applied.__all__})


class TFRecordWriter:
    """Writes a data set of strings to a TFRecord file.

    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "records")
    >>> writer = tf.data.experimental.TFRecordWriter(path)
    >>> writer.write(tf.data.Dataset.from_tensor_slices(["one", "two"]))
    >>> [record.numpy() for record in tf.data.TFRecordDataset(path)]
    [b'one', b'two']
    """

    def __init__(self, filename: Any, compression_type: Any = None):
        self._path, self._compression = sources.paths(filename)[0], compression_type

    def write(self, dataset: Any) -> None:
        """Writes the elements; raises TypeError for a data set of anything but strings."""
        if not isinstance(dataset, pipeline.Pipeline):
            raise TypeError(f"A data set was expected. Received: {dataset!r}")
        if dataset._spec() != elements.ArraySpec((), "string"):
            raise TypeError(f"A data set of strings was expected. Received: {dataset.element_spec}")
        with records.RecordWriter(self._path, self._compression) as writer:
            for record in dataset._start(0):
                writer.write(record)


class Optional(pipeline.Optional):
    """An element or its absence; an iterator's `get_next_as_optional` returns one.

    >>> some = tf.data.experimental.Optional.from_value([1, 2])
    >>> bool(some.has_value()), some.get_value().numpy().tolist()
    (True, [1, 2])
    """

    @classmethod
    def from_value(cls, value: Any) -> Optional:
        """An `Optional` that contains the value."""
        view: Any = elements.View.of_tensors
        found = view.arrays(value)
        spec = map_leaves(lambda leaf: view.show_spec(view.spec(leaf)), found)
        return cls(map_leaves(view.show, found), spec)


view.TensorView.optional = Optional


def get_next_as_optional(iterator: Any) -> Any:
    """The next element of an iterator as an `Optional`, which is empty at the end.

    >>> elements = iter(tf.data.Dataset.range(1))
    >>> found = [tf.data.experimental.get_next_as_optional(elements) for _ in range(2)]
    >>> [bool(each.has_value()) for each in found]
    [True, False]
    """
    return iterator.get_next_as_optional()


class AutoShardPolicy(enum.IntEnum):
    """How data is sharded among workers.

    >>> tf.data.experimental.AutoShardPolicy.DATA.name
    'DATA'
    """

    OFF, AUTO, FILE, DATA, HINT = -1, 0, 1, 2, 3


SHARD_HINT = -1


class ExternalStatePolicy(enum.Enum):
    """What TensorFlow's runtime does about state outside of a data set that is saved.

    >>> tf.data.experimental.ExternalStatePolicy.FAIL.value
    2
    """

    WARN, IGNORE, FAIL = 0, 1, 2


class AutotuneAlgorithm(enum.Enum):
    """How TensorFlow's runtime chooses numbers of threads.

    >>> tf.data.experimental.AutotuneAlgorithm.HILL_CLIMB.value
    1
    """

    DEFAULT, HILL_CLIMB, GRADIENT_DESCENT, MAX_PARALLELISM, STAGE_BASED = range(5)


options.DistributeOptions._names["auto_shard_policy"] = AutoShardPolicy.AUTO


def enable_debug_mode() -> None:
    """Runs the functions of data sets in Python from now on, so that a debugger can stop in them.

    Example (it would start a debugger):

        tf.data.experimental.enable_debug_mode()
        tf.data.Dataset.range(3).map(lambda x: breakpoint() or x)
    """
    view.debugging = True


def _transformation(name: str, method: str | None = None) -> Callable:
    def make(*args: Any, **kwargs: Any) -> Callable:
        return lambda dataset: getattr(dataset, method or name)(*args, **kwargs)

    shown = inspect.signature(getattr(_dataset.Dataset, method or name))
    kept = [p for p in shown.parameters.values() if p.name not in ("self", "name")]
    if name == "dense_to_ragged_batch":
        kept[-1] = kept[-1].replace(default=dtypes.int64)
    make.__signature__ = shown.replace(  # type: ignore[attr-defined]
        parameters=kept, return_annotation="Callable"
    )
    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"`Dataset.{method or name}` as a function for `Dataset.apply`."
    return make


_RENAMED = {
    "dense_to_ragged_batch": "ragged_batch",
    "dense_to_sparse_batch": "sparse_batch",
    "enumerate_dataset": "enumerate",
}
_SAME = (
    "bucket_by_sequence_length group_by_window ignore_errors rejection_resample scan snapshot "
    "take_while unbatch unique"
)
for _name in (*_SAME.split(), *_RENAMED):
    globals()[_name] = _transformation(_name, _RENAMED.get(_name))


def SqlDataset(  # noqa: N802
    driver_name: Any, data_source_name: Any, query: Any, output_types: Any
) -> Any:
    """The rows that a query of a data base gives, as tuples.

    Args:
        driver_name: `"sqlite"`.
        data_source_name: the file of the data base.
        query: the query, in SQL.
        output_types: the dtypes of the columns.

    >>> rows = tf.data.experimental.SqlDataset(
    ...     "sqlite", ":memory:", "SELECT 1, 'a'", (tf.int32, tf.string)
    ... )
    >>> [(int(n), text.numpy()) for n, text in rows]
    [(1, b'a')]
    """
    driver, source, text = (
        sources.paths(given)[0] for given in (driver_name, data_source_name, query)
    )
    if driver != "sqlite":
        raise InvalidArgumentError(f"driver_name must be 'sqlite'. Received: {driver!r}")

    several = isinstance(output_types, tuple)
    kinds = [dtypes.as_dtype(t) for t in iter_leaves(output_types)]

    def rows() -> Any:
        with contextlib.closing(sqlite3.connect(source)) as database:
            try:
                found = database.execute(text)
            except sqlite3.Error as error:
                raise UnknownError(None, None, f"{source}: {error}") from error
            if found.description is None:
                raise ValueError(f"query must select rows. Received: {text!r}")
            for row in found:
                row = tuple(_cell(*pair) for pair in zip(row, kinds, strict=True))
                yield row if several else row[0]

    shapes = map_leaves(lambda _: (), output_types)
    return Dataset.from_generator(rows, output_types, shapes)


_WHOLE = re.compile(r"\s*[+-]?\d+")
_REAL = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def _cell(value: Any, kind: dtypes.DType) -> Any:
    """A value of a table in a dtype, as SQLite converts it: a text to the number that it begins
    with, and NULL to zero or an empty text."""
    if kind is dtypes.string:
        if isinstance(value, float):
            digits, *exponent = f"{value:.15g}".partition("e")
            return "".join([digits, "" if "." in digits else ".0", *exponent])
        return "" if value is None else value if isinstance(value, bytes) else str(value)
    if isinstance(value, (str, bytes)):
        number = _REAL if kind.is_floating else _WHOLE
        found = number.match(os.fsdecode(value))
        value = found and (float if kind.is_floating else int)(found[0])
    value = value or 0
    return float(value) if kind.is_floating else bool(value) if kind is dtypes.bool else int(value)


def cardinality(dataset: Any) -> Any:
    """The number of elements: -1 if it is infinite, -2 if it is unknown.

    >>> tf.data.experimental.cardinality(tf.data.Dataset.range(5)).numpy().tolist()
    5
    """
    return dataset.cardinality()


def get_single_element(dataset: Any) -> Any:
    """The only element of a data set.

    >>> tf.data.experimental.get_single_element(tf.data.Dataset.range(7, 8)).numpy().tolist()
    7
    """
    return dataset.get_single_element()


def to_variant(dataset: Any) -> Any:
    """The data set itself, since it need not be wrapped here.

    >>> tf.data.experimental.to_variant(tf.data.Dataset.range(2)) is not None
    True
    """
    return dataset


def sample_from_datasets(
    datasets: Any, weights: Any = None, seed: Any = None, stop_on_empty_dataset: bool = False
) -> Any:
    """`Dataset.sample_from_datasets`.

    >>> datasets = [tf.data.Dataset.range(2), tf.data.Dataset.range(10, 12)]
    >>> sorted(
    ...     int(n)
    ...     for n in tf.data.experimental.sample_from_datasets(datasets, [0.5, 0.5], seed=1)
    ... )
    [0, 1, 10, 11]
    """
    return datasets[0].sample_from_datasets(datasets, weights, seed, stop_on_empty_dataset)


def choose_from_datasets(
    datasets: Any, choice_dataset: Any, stop_on_empty_dataset: bool = False
) -> Any:
    """`Dataset.choose_from_datasets`.

    >>> first, second = tf.data.Dataset.range(2), tf.data.Dataset.range(10, 12)
    >>> order = tf.data.Dataset.from_tensor_slices(tf.constant([1, 0, 1, 0], tf.int64))
    >>> [int(n) for n in tf.data.experimental.choose_from_datasets([first, second], order)]
    [10, 0, 11, 1]
    """
    return datasets[0].choose_from_datasets(datasets, choice_dataset, stop_on_empty_dataset)


def save(
    dataset: Any,
    path: Any,
    compression: Any = None,
    shard_func: Any = None,
    checkpoint_args: Any = None,
) -> None:
    """`Dataset.save`. Raises NotImplementedError for `checkpoint_args`.

    >>> import tempfile
    >>> path = tempfile.mkdtemp()
    >>> tf.data.experimental.save(tf.data.Dataset.range(2), path)
    >>> [int(n) for n in tf.data.Dataset.load(path)]
    [0, 1]
    """
    if checkpoint_args is not None:
        raise NotImplementedError("save: checkpoint_args is not supported.")
    dataset.save(path, compression, shard_func)


def load(
    path: Any, element_spec: Any = None, compression: Any = None, reader_func: Any = None
) -> Any:
    """`Dataset.load`.

    >>> import tempfile
    >>> path = tempfile.mkdtemp()
    >>> tf.data.Dataset.range(2).save(path)
    >>> [int(n) for n in tf.data.experimental.load(path)]
    [0, 1]
    """
    return Dataset.load(path, element_spec, compression, reader_func)


def Counter(start: Any = 0, step: Any = 1, dtype: Any = dtypes.int64) -> Any:  # noqa: N802
    """The infinite sequence `start`, `start + step`, ...

    >>> [int(n) for n in tf.data.experimental.Counter(5).take(2)]
    [5, 6]
    """
    return Dataset.counter(start, step, getattr(dtype, "as_numpy_dtype", dtype))


def RandomDataset(  # noqa: N802
    seed: Any = None, rerandomize_each_iteration: bool | None = None, name: str | None = None
) -> Any:
    """`Dataset.random`.

    >>> len(list(tf.data.experimental.RandomDataset(1).take(2)))
    2
    """
    return Dataset.random(seed, rerandomize_each_iteration)


def from_list(elements: list[Any], name: str | None = None) -> Any:
    """A data set of the elements of a list.

    >>> [int(n) for n in from_list([1, 2])]
    [1, 2]
    """
    if not isinstance(elements, list) or not elements:
        raise ValueError(f"from_list needs a list of elements. Received: elements={elements!r}")
    view = Dataset.range(0)._view
    made = [sources._converted(element, view) for element in elements]
    return Dataset._make(lambda first: iter(made[first:]), len(made), view=view)


def at(dataset: Any, index: Any) -> Any:
    """The element with this number.

    >>> tf.data.experimental.at(tf.data.Dataset.range(5), 3).numpy().tolist()
    3
    """
    orders = dataset.orders  # so that the order of a shuffle is the same in each call
    inputs = list(dataset._all())
    for each in inputs:
        each._by_number = True
    try:
        found = list(dataset.skip(index).take(1)) if index >= 0 else []
    finally:
        for each in inputs:
            each._by_number = False
        dataset.orders = orders
    if not found:
        raise OutOfRangeError(f"There is no element of this number. Received: index={index}")
    return found[0]


class DatasetInitializer(lookup.KeyValueTensorInitializer):
    """The contents of a table: the pairs of key and value that a data set gives.

    Raises ValueError for a data set whose elements are not pairs of scalars.

    >>> words = tf.data.Dataset.from_tensor_slices(["a", "b"]).enumerate(start=1)
    >>> contents = tf.data.experimental.DatasetInitializer(words)
    >>> table = tf.lookup.StaticHashTable(contents, default_value="")
    >>> table.lookup(tf.constant([2, 3], tf.int64)).numpy().tolist()
    [b'b', b'']
    """

    def __init__(self, dataset: Any):
        spec = dataset.element_spec
        pairs = type(spec) is tuple and len(spec) == 2
        if not pairs or any(getattr(part, "shape", None) != () for part in spec):
            raise ValueError(f"A data set of pairs of scalars was expected. Received: {spec}")
        keys, values = list(zip(*dataset.as_numpy_iterator())) or ([], [])
        super().__init__(list(keys), list(values), spec[0].dtype, spec[1].dtype)


def table_from_dataset(
    dataset: Any = None,
    num_oov_buckets: int = 0,
    vocab_size: Any = None,
    default_value: Any = None,
    hasher_spec: Any = None,
    key_dtype: Any = "string",
    name: str | None = None,
) -> Any:
    """A look-up table of a data set's pairs of key and value.

    >>> pairs = tf.data.Dataset.from_tensor_slices((["a", "b"], [5, 7]))
    >>> table = tf.data.experimental.table_from_dataset(pairs, default_value=-1)
    >>> table.lookup(tf.constant(["b", "z"])).numpy().tolist()
    [7, -1]
    """
    contents = DatasetInitializer(dataset if vocab_size is None else dataset.take(vocab_size))
    if num_oov_buckets:
        sought = dtypes.as_dtype(key_dtype)
        sought = contents.key_dtype if sought is dtypes.string else sought
        return lookup.StaticVocabularyTable(contents, num_oov_buckets, sought)
    if default_value is None and contents.value_dtype not in (dtypes.int32, dtypes.int64):
        raise ValueError(
            f"default_value must be given for values of {contents.value_dtype}. Received: None"
        )
    return lookup.StaticHashTable(contents, -1 if default_value is None else default_value)


def index_table_from_dataset(
    dataset: Any = None,
    num_oov_buckets: int = 0,
    vocab_size: Any = None,
    default_value: Any = -1,
    hasher_spec: Any = None,
    key_dtype: Any = "string",
    name: str | None = None,
) -> Any:
    """A look-up table from the elements of a data set to their numbers.

    >>> words = tf.data.Dataset.from_tensor_slices(["a", "b"])
    >>> table = tf.data.experimental.index_table_from_dataset(words)
    >>> table.lookup(tf.constant(["b", "z"])).numpy().tolist()
    [1, -1]
    """
    pairs = dataset.enumerate().map(lambda number, key: (key, number))
    return table_from_dataset(
        pairs, num_oov_buckets, vocab_size, default_value, hasher_spec, key_dtype
    )


def get_structure(dataset_or_iterator: Any) -> Any:
    """The spec of the elements.

    >>> tf.data.experimental.get_structure(tf.data.Dataset.range(2)).dtype
    tf.int64
    """
    return dataset_or_iterator.element_spec


def parse_example_dataset(
    features: dict[str, Any], num_parallel_calls: Any = 1, deterministic: Any = None
) -> Callable:
    """A function for `Dataset.apply` that parses batches of serialized examples.

    >>> feature = tf.train.Feature(int64_list=tf.train.Int64List(value=[7]))
    >>> example = tf.train.Example(features=tf.train.Features(feature={"a": feature}))
    >>> parse = tf.data.experimental.parse_example_dataset(
    ...     {"a": tf.io.FixedLenFeature([], tf.int64)}
    ... )
    >>> dataset = tf.data.Dataset.from_tensors([example.SerializeToString()]).apply(parse)
    >>> [batch["a"].numpy().tolist() for batch in dataset]
    [[7]]
    """
    return lambda dataset: dataset.map(
        lambda data: parsing.parse_example(data, features), num_parallel_calls, deterministic
    )


def make_batched_features_dataset(
    file_pattern: Any,
    batch_size: int,
    features: dict[str, Any],
    reader: Any = None,
    label_key: str | None = None,
    reader_args: Any = None,
    num_epochs: int | None = None,
    shuffle: bool = True,
    shuffle_buffer_size: int = 10000,
    shuffle_seed: int | None = None,
    prefetch_buffer_size: Any = None,
    reader_num_threads: Any = None,
    parser_num_threads: Any = None,
    sloppy_ordering: bool = False,
    drop_final_batch: bool = False,
) -> Any:
    """Batches of parsed examples from files of records.

    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "records")
    >>> feature = tf.train.Feature(int64_list=tf.train.Int64List(value=[7]))
    >>> example = tf.train.Example(features=tf.train.Features(feature={"a": feature}))
    >>> with tf.io.TFRecordWriter(path) as writer:
    ...     writer.write(example.SerializeToString())
    >>> wanted = {"a": tf.io.FixedLenFeature([], tf.int64)}
    >>> batches = tf.data.experimental.make_batched_features_dataset(
    ...     path, 1, wanted, num_epochs=1
    ... )
    >>> [batch["a"].numpy().tolist() for batch in batches]
    [[7]]
    """
    read = face.stand_for(files.TFRecordDataset) if reader is None else reader
    dataset = Dataset.from_tensor_slices(sources.matching(file_pattern))
    if shuffle:
        dataset = dataset.shuffle(len(dataset), shuffle_seed)
    dataset = dataset.interleave(
        lambda name: read(name, *(reader_args or ())), reader_num_threads or 1
    )
    if shuffle:
        dataset = dataset.shuffle(shuffle_buffer_size, shuffle_seed)
    dataset = dataset.repeat(num_epochs).batch(batch_size, drop_final_batch or num_epochs is None)
    dataset = dataset.apply(parse_example_dataset(features, parser_num_threads or 2))
    if label_key is not None:
        dataset = dataset.map(lambda found: (found, found.pop(label_key)))
    return dataset.prefetch(AUTOTUNE if prefetch_buffer_size is None else prefetch_buffer_size)


_OTHERS = {"Any", "Callable", "Dataset", "annotations", "elements", "enum", "face", "files"}
_OTHERS |= {"documentation", "dtypes", "inspect", "lookup", "options", "parsing", "records"}
_OTHERS |= {"InvalidArgumentError", "OutOfRangeError", "applied", "contextlib", "sqlite3"}
_OTHERS |= {"UnknownError", "os", "re", "iter_leaves", "map_leaves", "pipeline", "sources", "view"}
documentation.describe(globals(), "data.experimental")
__all__ = sorted(name for name in dir() if name[0] != "_" and name not in _OTHERS)
__dir__ = __all__.copy
