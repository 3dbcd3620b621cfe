"""Values per replica, and batches divided over replicas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import jax

from keraslike.tf.signatures import is_leaf


class DistributedValues:
    """One value for each replica.

    >>> strategy = tf.distribute.get_strategy()
    >>> strategy.experimental_local_results(strategy.run(lambda: 1))
    (1,)
    """

    def __init__(self, values: Sequence[Any]):
        self.values = tuple(values)

    def __repr__(self) -> str:
        shown = "".join(f"\n  {i}: {value}" for i, value in enumerate(self.values))
        return f"{type(self).__name__}:{{{shown}\n}}"


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
        """The spec of the elements of the data set."""
        return self._dataset.element_spec

    def __len__(self) -> int:
        count = len(self._dataset)
        return -(-count // self._replicas) if self._in_parts else count

    def __iter__(self) -> Iterator[Any]:
        if self._replicas == 1:
            return iter(self._dataset)
        return self._groups() if self._in_parts else map(self._divided, self._dataset)

    def _groups(self) -> Iterator[Any]:
        group: list[Any] = []
        for batch in self._dataset:
            group.append(batch)
            if len(group) == self._replicas:
                yield jax.tree.map(lambda *x: PerReplica(x), *group, is_leaf=is_leaf)
                group = []
        if group:
            raise ValueError(
                f"The number of batches must be a multiple of {self._replicas}, the number of "
                f"replicas. {len(group)} batches are left at the end."
            )

    def _divided(self, batch: Any) -> Any:
        return jax.tree.map(self._parts, batch, is_leaf=is_leaf)

    def _parts(self, value: Any) -> PerReplica:
        size = len(value)
        if size % self._replicas:
            raise ValueError(
                f"A batch of {size} samples cannot be divided over {self._replicas} replicas. Use "
                "batch(size, drop_remainder=True) with a multiple of that number."
            )
        part = size // self._replicas
        return PerReplica([value[i * part : (i + 1) * part] for i in range(self._replicas)])
