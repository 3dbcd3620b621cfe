"""Types of `keraslike.tf.data.experimental`. Written by tests/types/stubs.py, see there."""

import builtins as _builtins
from collections.abc import Callable as _Callable
from collections.abc import Sequence as _Sequence
from typing import Any as _Any

from keraslike.data.options import AutotuneOptions as AutotuneOptions
from keraslike.data.options import DistributeOptions as DistributeOptions
from keraslike.data.options import OptimizationOptions as OptimizationOptions
from keraslike.data.options import ServiceOptions as ServiceOptions
from keraslike.data.options import ThreadingOptions as ThreadingOptions
from keraslike.tf.data.applied import Reducer as Reducer

AUTOTUNE: _builtins.int

class AutoShardPolicy(_Any): ...
class AutotuneAlgorithm(_Any): ...

def Counter(start: _Any = ..., step: _Any = ..., dtype: _Any = ...) -> _Any: ...

CsvDataset: _Any

class DatasetInitializer(_Any): ...
class ExternalStatePolicy(_Any): ...

INFINITE_CARDINALITY: _builtins.int

class Optional(_Any): ...

def RandomDataset(
    seed: _Any = ...,
    rerandomize_each_iteration: _builtins.bool | None = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...

SHARD_HINT: _builtins.int

def SqlDataset(
    driver_name: _Any, data_source_name: _Any, query: _Any, output_types: _Any
) -> _Any: ...

class TFRecordWriter(_Any): ...

UNKNOWN_CARDINALITY: _builtins.int

def assert_cardinality(expected_cardinality: _Any) -> _Any: ...
def at(dataset: _Any, index: _Any) -> _Any: ...
def bucket_by_sequence_length(
    element_length_func: _Callable,
    bucket_boundaries: _Any,
    bucket_batch_sizes: _Any,
    padded_shapes: _Any = ...,
    padding_values: _Any = ...,
    pad_to_bucket_boundary: _builtins.bool = ...,
    no_padding: _builtins.bool = ...,
    drop_remainder: _builtins.bool = ...,
) -> _Any: ...
def cardinality(dataset: _Any) -> _Any: ...
def choose_from_datasets(
    datasets: _Any, choice_dataset: _Any, stop_on_empty_dataset: _builtins.bool = ...
) -> _Any: ...
def copy_to_device(target_device: _Any, source_device: _builtins.str = ...) -> _Any: ...
def dense_to_ragged_batch(
    batch_size: _Any, drop_remainder: _builtins.bool = ..., row_splits_dtype: _Any = ...
) -> _Any: ...
def dense_to_sparse_batch(batch_size: _Any, row_shape: _Any) -> _Any: ...
def enable_debug_mode() -> _Any: ...
def enumerate_dataset(start: _builtins.int = ...) -> _Any: ...
def from_list(elements: _builtins.list[_Any], name: _builtins.str | None = ...) -> _Any: ...
def get_next_as_optional(iterator: _Any) -> _Any: ...
def get_single_element(dataset: _Any) -> _Any: ...
def get_structure(dataset_or_iterator: _Any) -> _Any: ...
def group_by_reducer(key_func: _Callable, reducer: _Any) -> _Any: ...
def group_by_window(
    key_func: _Callable,
    reduce_func: _Callable,
    window_size: _Any = ...,
    window_size_func: _Callable | None = ...,
) -> _Any: ...
def ignore_errors(log_warning: _builtins.bool = ...) -> _Any: ...
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
def pad_to_cardinality(cardinality: _Any, mask_key: _builtins.str = ...) -> _Any: ...
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
def rejection_resample(
    class_func: _Callable, target_dist: _Any, initial_dist: _Any = ..., seed: _Any = ...
) -> _Any: ...
def sample_from_datasets(
    datasets: _Any,
    weights: _Any = ...,
    seed: _Any = ...,
    stop_on_empty_dataset: _builtins.bool = ...,
) -> _Any: ...
def save(
    dataset: _Any,
    path: _Any,
    compression: _Any = ...,
    shard_func: _Any = ...,
    checkpoint_args: _Any = ...,
) -> _Any: ...
def scan(initial_state: _Any, scan_func: _Callable) -> _Any: ...
def shuffle_and_repeat(buffer_size: _Any, count: _Any = ..., seed: _Any = ...) -> _Any: ...
def snapshot(
    path: _Any,
    compression: _builtins.str | None = ...,
    reader_func: _Callable | None = ...,
    shard_func: _Callable | None = ...,
) -> _Any: ...
def table_from_dataset(
    dataset: _Any = ...,
    num_oov_buckets: _builtins.int = ...,
    vocab_size: _Any = ...,
    default_value: _Any = ...,
    hasher_spec: _Any = ...,
    key_dtype: _Any = ...,
    name: _builtins.str | None = ...,
) -> _Any: ...
def take_while(predicate: _Callable) -> _Any: ...
def to_variant(dataset: _Any) -> _Any: ...
def unbatch() -> _Any: ...
def unique() -> _Any: ...
