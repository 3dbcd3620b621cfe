"""The names in the `repr` of data sets of `tf.data`, which depend on the method that made them."""

from __future__ import annotations

import copy
import functools
import inspect
from typing import Any

from keraslike.data.pipeline import Pipeline

# Methods with a parallel variant have two names, the second for the parallel one.
_NAMES = {
    "batch": "_BatchDataset _ParallelBatchDataset",
    "bucket_by_sequence_length": "_GroupByWindowDataset",
    "cache": "CacheDataset",
    "choose_from_datasets": "_DirectedInterleaveDataset",
    "concatenate": "_ConcatenateDataset",
    "counter": "_ScanDataset",
    "enumerate": "_ZipDataset",
    "filter": "_FilterDataset",
    "flat_map": "_FlatMapDataset",
    "from_generator": "_FlatMapDataset",
    "from_tensor_slices": "_TensorSliceDataset",
    "from_tensors": "_TensorDataset",
    "group_by_window": "_GroupByWindowDataset",
    "ignore_errors": "_IgnoreErrorsDataset",
    "interleave": "_InterleaveDataset _ParallelInterleaveDataset",
    "list_files": "_ShuffleDataset",
    "load": "_LoadDataset",
    "map": "_MapDataset _ParallelMapDataset",
    "padded_batch": "_PaddedBatchDataset",
    "prefetch": "_PrefetchDataset",
    "ragged_batch": "_BatchDataset",
    "random": "_RandomDataset",
    "range": "_RangeDataset",
    "rebatch": "_RebatchDataset",
    "rejection_resample": "_DirectedInterleaveDataset",
    "repeat": "_RepeatDataset",
    "sample_from_datasets": "_DirectedInterleaveDataset",
    "scan": "_ScanDataset",
    "shard": "_ShardDataset",
    "shuffle": "_ShuffleDataset",
    "skip": "_SkipDataset",
    "snapshot": "_MapDataset",
    "sparse_batch": "_DenseToSparseBatchDataset",
    "take": "_TakeDataset",
    "take_while": "_TakeWhileDataset",
    "unbatch": "_UnbatchDataset",
    "unique": "_UniqueDataset",
    "window": "_WindowDataset",
    "with_options": "_OptionsDataset",
    "zip": "_ZipDataset",
}


def name_results(kind: type[Pipeline]) -> None:
    """Wraps the methods of a class so that they name the data sets that they return."""
    for method, names in _NAMES.items():
        found = inspect.getattr_static(kind, method)
        wrapper = type(found) if isinstance(found, (classmethod, staticmethod)) else lambda f: f
        setattr(kind, method, wrapper(_naming(getattr(found, "__func__", found), names.split())))


def _naming(method: Any, names: list[str]) -> Any:
    signature = inspect.signature(method)

    @functools.wraps(method)
    def named(*args: Any, **kwargs: Any) -> Any:
        made = method(*args, **kwargs)
        if args and made is args[0]:
            made = copy.copy(made)
        if isinstance(made, Pipeline):
            parallel = "num_parallel_calls" in signature.parameters and (
                signature.bind(*args, **kwargs).arguments.get("num_parallel_calls") is not None
            )
            made._shown_as = names[-1] if parallel else names[0]
        return made

    return named
