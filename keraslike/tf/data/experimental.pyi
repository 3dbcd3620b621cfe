"""Types of `keraslike.tf.data.experimental`. Written by tests/types/stubs.py, see there."""

import builtins as _builtins
from collections.abc import Callable as _Callable
from collections.abc import Sequence as _Sequence
from typing import Any as _Any

from keraslike.data.options import AutotuneOptions as AutotuneOptions
from keraslike.data.options import DistributeOptions as DistributeOptions
from keraslike.data.options import OptimizationOptions as OptimizationOptions
from keraslike.data.options import ThreadingOptions as ThreadingOptions
from keraslike.data.records import RecordWriter as TFRecordWriter
from keraslike.tf.data.experimental import AutoShardPolicy as AutoShardPolicy

AUTOTUNE: _builtins.int

def Counter(start: _Any = ..., step: _Any = ..., dtype: _Any = ...) -> _Any: ...

CsvDataset: _Any
INFINITE_CARDINALITY: _builtins.int

def RandomDataset(seed: _Any = ...) -> _Any: ...

UNKNOWN_CARDINALITY: _builtins.int

def assert_cardinality(expected_cardinality: _Any) -> _Any: ...
def at(dataset: _Any, index: _Any) -> _Any: ...
def bucket_by_sequence_length(*args: _Any, **kwargs: _Any) -> _Any: ...
def cardinality(dataset: _Any) -> _Any: ...
def choose_from_datasets(
    datasets: _Any, choice_dataset: _Any, stop_on_empty_dataset: _builtins.bool = ...
) -> _Any: ...
def copy_to_device(target_device: _Any, source_device: _builtins.str = ...) -> _Any: ...
def dense_to_ragged_batch(*args: _Any, **kwargs: _Any) -> _Any: ...
def dense_to_sparse_batch(batch_size: _Any, row_shape: _Any) -> _Any: ...
def enumerate_dataset(*args: _Any, **kwargs: _Any) -> _Any: ...
def from_list(elements: _builtins.list[_Any], name: _builtins.str | None = ...) -> _Any: ...
def get_single_element(dataset: _Any) -> _Any: ...
def get_structure(dataset_or_iterator: _Any) -> _Any: ...
def group_by_window(*args: _Any, **kwargs: _Any) -> _Any: ...
def ignore_errors(*args: _Any, **kwargs: _Any) -> _Any: ...
def index_table_from_dataset(
    dataset: _Any = ...,
    num_oov_buckets: _builtins.int = ...,
    vocab_size: _Any = ...,
    default_value: _Any = ...,
    hasher_spec: _Any = ...,
    key_dtype: _Any = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def load(
    path: _Any, element_spec: _Any = ..., compression: _Any = ..., reader_func: _Any = ...
) -> _Any: ...
def make_batched_features_dataset(
    file_pattern: _Any,
    batch_size: _builtins.int,
    features: _builtins.dict[_builtins.str, _Any],
    reader: _Any = ...,
    label_key: _builtins.str | None = ...,
    reader_args: _Any = ...,
    num_epochs: _builtins.int | None = ...,
    shuffle: _builtins.bool = ...,
    shuffle_buffer_size: _builtins.int = ...,
    shuffle_seed: _builtins.int | None = ...,
    prefetch_buffer_size: _Any = ...,
    reader_num_threads: _Any = ...,
    parser_num_threads: _Any = ...,
    sloppy_ordering: _builtins.bool = ...,
    drop_final_batch: _builtins.bool = ...,
) -> _Any: ...
def make_csv_dataset(
    file_pattern: _Any,
    batch_size: _builtins.int,
    column_names: _Sequence[_builtins.str] | None = ...,
    column_defaults: _Sequence[_Any] | None = ...,
    label_name: _builtins.str | None = ...,
    select_columns: _Sequence[_Any] | None = ...,
    field_delim: _builtins.str = ...,
    use_quote_delim: _builtins.bool = ...,
    na_value: _builtins.str = ...,
    header: _builtins.bool = ...,
    num_epochs: _builtins.int | None = ...,
    shuffle: _builtins.bool = ...,
    shuffle_buffer_size: _builtins.int = ...,
    shuffle_seed: _builtins.int | None = ...,
    prefetch_buffer_size: _Any = ...,
    num_parallel_reads: _Any = ...,
    sloppy: _builtins.bool = ...,
    num_rows_for_inference: _builtins.int | None = ...,
    compression_type: _Any = ...,
    ignore_errors: _builtins.bool = ...,
    encoding: _builtins.str = ...,
) -> _Any: ...
def map_and_batch(
    map_func: _Callable,
    batch_size: _Any,
    num_parallel_batches: _Any = ...,
    drop_remainder: _builtins.bool = ...,
    num_parallel_calls: _Any = ...,
) -> _Any: ...
def parallel_interleave(
    map_func: _Callable,
    cycle_length: _Any,
    block_length: _Any = ...,
    sloppy: _builtins.bool = ...,
    buffer_output_elements: _Any = ...,
    prefetch_input_elements: _Any = ...,
) -> _Any: ...
def parse_example_dataset(
    features: _builtins.dict[_builtins.str, _Any],
    num_parallel_calls: _Any = ...,
    deterministic: _Any = ...,
) -> _Any: ...
def prefetch_to_device(device: _Any, buffer_size: _Any = ...) -> _Any: ...
def rejection_resample(*args: _Any, **kwargs: _Any) -> _Any: ...
def sample_from_datasets(
    datasets: _Any,
    weights: _Any = ...,
    seed: _Any = ...,
    stop_on_empty_dataset: _builtins.bool = ...,
) -> _Any: ...
def save(dataset: _Any, path: _Any, compression: _Any = ..., shard_func: _Any = ...) -> _Any: ...
def scan(*args: _Any, **kwargs: _Any) -> _Any: ...
def shuffle_and_repeat(buffer_size: _Any, count: _Any = ..., seed: _Any = ...) -> _Any: ...
def snapshot(*args: _Any, **kwargs: _Any) -> _Any: ...
def table_from_dataset(
    dataset: _Any = ...,
    num_oov_buckets: _builtins.int = ...,
    vocab_size: _Any = ...,
    default_value: _Any = ...,
    hasher_spec: _Any = ...,
    key_dtype: _Any = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def take_while(*args: _Any, **kwargs: _Any) -> _Any: ...
def to_variant(dataset: _Any) -> _Any: ...
def unbatch(*args: _Any, **kwargs: _Any) -> _Any: ...
def unique(*args: _Any, **kwargs: _Any) -> _Any: ...
