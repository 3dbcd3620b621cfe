"""Values per replica, and batches divided over replicas."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax

from keraslike.core.structures import tree_map
from keraslike.data.pipeline import DatasetIterator, check_outside_of_traces
from keraslike.tf.signatures import TensorSpec, is_leaf


class DistributedValues:
    """One value for each replica.

    >>> strategy = tf.distribute.get_strategy()
    >>> strategy.experimental_local_results(strategy.run(lambda: 1))
    (1,)
    """

    def __init__(self, values: Sequence[Any]):
        self.values = tuple(values)

    def __repr__(self) -> str:
        return self._shown(repr)

    def __str__(self) -> str:
        return self._shown(str)

    def _shown(self, show: Callable) -> str:
        values = ",".join(f"\n  {i}: {show(value)}" for i, value in enumerate(self.values))
        return f"{type(self).__name__}:{{{values}\n}}"


class PerReplica(DistributedValues):
    """The values of several replicas, in results of `run` and in data sets of a strategy."""


jax.tree_util.register_pytree_node(
    PerReplica, lambda x: (x.values, None), lambda _, values: PerReplica(values)
)


class InputContext:
    """The argument of the function of `distribute_datasets_from_function`.

    >>> context = tf.distribute.InputContext(num_replicas_in_sync=2)
    >>> context.get_per_replica_batch_size(8)
    4
    """

    def __init__(
        self,
        num_input_pipelines: int = 1,
        input_pipeline_id: int = 0,
        num_replicas_in_sync: int = 1,
    ):
        self.num_input_pipelines, self.input_pipeline_id = num_input_pipelines, input_pipeline_id
        self.num_replicas_in_sync = num_replicas_in_sync

    def get_per_replica_batch_size(self, global_batch_size: int) -> int:
        """The size of a replica's part of a batch. Raises ValueError if it does not divide."""
        if global_batch_size % self.num_replicas_in_sync:
            raise ValueError(
                f"The global_batch_size {global_batch_size} is not divisible by "
                f"num_replicas_in_sync {self.num_replicas_in_sync}"
            )
        return global_batch_size // self.num_replicas_in_sync


class DistributedIterator(DatasetIterator):
    """An iterator of a `DistributedDataset`."""

    def __init__(self, dataset: Any, elements: Iterator[Any]):
        self._dataset, self._elements = dataset, elements

    def __next__(self) -> Any:
        check_outside_of_traces()
        return next(self._elements)  # type: ignore[arg-type]

    next = __next__


class DistributedDataset:
    """The batches of a data set, each divided over the replicas.

    >>> strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
    >>> batches = strategy.experimental_distribute_dataset(tf.data.Dataset.range(4).batch(2))
    >>> [strategy.run(tf.reduce_sum, (batch,)).numpy().tolist() for batch in batches]
    [1, 5]
    """

    def __init__(self, dataset: Any, replicas: int, in_parts: bool):
        self._dataset, self._replicas, self._in_parts = dataset, replicas, in_parts

    @property
    def element_spec(self) -> Any:
        """The spec of the elements, of which each replica has a part."""
        spec = self._dataset.element_spec
        if self._replicas == 1:
            return spec
        return tree_map(lambda x: PerReplica([self._part(x)] * self._replicas), spec)

    def _part(self, spec: Any) -> Any:
        if self._in_parts or not isinstance(spec, TensorSpec) or spec.shape[0] is None:
            return spec
        return TensorSpec([spec.shape[0] // self._replicas, *spec.shape[1:]], spec.dtype)

    def __len__(self) -> int:
        count = len(self._dataset)
        return -(-count // self._replicas) if self._in_parts else count

    def __iter__(self) -> Iterator[Any]:
        if self._replicas == 1:
            return iter(self._dataset)
        parts = self._groups() if self._in_parts else map(self._divided, self._dataset)
        return DistributedIterator(self._dataset, iter(parts))

    def _groups(self) -> Iterator[Any]:
        group: list[Any] = []
        for batch in self._dataset:
            group.append(batch)
            if len(group) == self._replicas:
                yield tree_map(lambda *x: PerReplica(x), *group, is_leaf=is_leaf)
                group = []
        if group:
            raise ValueError(
                f"The number of batches must be a multiple of {self._replicas}, the number of "
                f"replicas. {len(group)} batches are left at the end."
            )

    def _divided(self, batch: Any) -> Any:
        return tree_map(self._parts, batch, is_leaf=is_leaf)

    def _parts(self, value: Any) -> PerReplica:
        size = len(value)
        if size % self._replicas:
            raise ValueError(
                f"A batch of {size} samples cannot be divided over {self._replicas} replicas. Use "
                "batch(size, drop_remainder=True) with a multiple of that number."
            )
        part = size // self._replicas
        return PerReplica([value[i * part : (i + 1) * part] for i in range(self._replicas)])
