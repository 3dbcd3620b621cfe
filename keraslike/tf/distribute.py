"""`tf.distribute`: strategies that distribute training, over `keras.distribution`.

`fit` uses the active distribution: one step on the whole batch, which is sharded over the devices.
`run` calls a function once for all replicas, by `jax.vmap`: a replica sees its part of a batch,
optimizers sum gradients over the replicas, and so are changes of the state of metrics.

>>> strategy = tf.distribute.MirroredStrategy(["cpu:0"])
>>> strategy.num_replicas_in_sync
1
>>> with strategy.scope():
...     v = tf.Variable(2.0)
>>> strategy.run(lambda x: x * v, args=(tf.constant(3.0),))
<tf.Tensor: shape=(), dtype=float32, numpy=6.0>
"""

from __future__ import annotations

import contextlib
import enum
import threading
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from keraslike import distribution
from keraslike.core import context, lowering, rng
from keraslike.core.boxed import unbox
from keraslike.core.structures import flatten, tree_map
from keraslike.core.variable import MetricState, RandomState
from keraslike.tf import clusters, config, control, generators, ops, table
from keraslike.tf.concrete import wrap_values
from keraslike.tf.conversion import convert_to_tensor
from keraslike.tf.distribute_values import (
    DistributedDataset,
    DistributedValues,
    InputContext,
    PerReplica,
)
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.signatures import is_leaf
from keraslike.tf.tensor import Tensor, precision

_AXIS = "replica"


class ReduceOp(enum.Enum):
    """The ways to reduce the values of replicas to one.

    >>> tf.distribute.ReduceOp.SUM.name
    'SUM'
    """

    SUM = "SUM"
    MEAN = "MEAN"


class _Current(threading.local):
    def __init__(self) -> None:
        self.strategy: Strategy | None = None  # the strategy of the current scope() or run()
        self.replica: ReplicaContext | None = None  # the replica within run()


_current = _Current()


class ReplicaContext:
    """The replica for which a function is run by `Strategy.run`.

    >>> tf.distribute.get_replica_context().num_replicas_in_sync
    1
    """

    def __init__(self, strategy: Strategy, replica_id: Any = 0):
        self.strategy, self._replica_id = strategy, replica_id

    @property
    def replica_id_in_sync_group(self) -> Any:
        """The number of the replica, a tensor if there are several."""
        return self._replica_id

    @property
    def num_replicas_in_sync(self) -> int:
        return self.strategy.num_replicas_in_sync

    def all_reduce(self, reduce_op: Any, value: Any, options: Any = None) -> Any:
        """The sum or the mean of the values of all replicas."""
        how = ReduceOp(str(getattr(reduce_op, "value", reduce_op)).upper())
        if self.num_replicas_in_sync == 1:
            return value
        collective = jax.lax.psum if how is ReduceOp.SUM else jax.lax.pmean
        return tree_map(lambda x: collective(x, _AXIS), value)

    def merge_call(self, merge_fn: Callable, args: tuple = (), kwargs: Any = None) -> Any:
        """The result of `merge_fn(strategy, *args, **kwargs)` for a single replica.

        Raises NotImplementedError for several replicas, which run here as one program.
        """
        if self.num_replicas_in_sync > 1:
            raise NotImplementedError(
                "merge_call() needs the values of all replicas at once, but the replicas run "
                "here as one program. Use all_reduce() or all_gather() to combine values."
            )
        return merge_fn(self.strategy, *args, **(kwargs or {}))

    def all_gather(self, value: Any, axis: int, options: Any = None) -> Any:
        """The values of all replicas, concatenated along an axis."""
        if self.num_replicas_in_sync == 1:
            return value
        return tree_map(lambda x: jax.lax.all_gather(x, _AXIS, axis=axis, tiled=True), value)


class Strategy:
    """The devices over which training is distributed. The default strategy has a single device.

    Args:
        devices: the names of the devices.

    >>> isinstance(tf.distribute.get_strategy(), tf.distribute.Strategy)
    True
    """

    def __init__(self, devices: Sequence[Any] | None = None):
        self._devices = None if devices is None else [_spelled(d) for d in devices]
        self._distribution: Any = None
        if devices is not None:
            self._distribution = distribution.DataParallel(devices=self._devices)

    @property
    def num_replicas_in_sync(self) -> int:
        """The number of devices, over which `fit` and `run` divide a batch."""
        return 1 if self._distribution is None else self._distribution.num_model_replicas

    @property
    def extended(self) -> Any:
        """The devices, as the attributes that TensorFlow has here."""
        names = tuple(f"/device:{d.upper()}" for d in self._devices or ["cpu:0"])
        return SimpleNamespace(worker_devices=names, parameter_devices=names)

    @property
    def cluster_resolver(self) -> Any:
        """The resolver of the cluster, or `None` on a single machine."""
        return None

    @contextlib.contextmanager
    def scope(self) -> Iterator[Strategy]:
        """Makes this the current strategy in the block. Its distribution stays active afterwards,
        so that `fit` is distributed after the block as well, until another one is set."""
        if self._distribution is not None:
            distribution.set_distribution(self._distribution)
        with context.changing(_current, strategy=self):
            yield self

    def run(self, fn: Callable, args: Any = (), kwargs: Any = None, options: Any = None) -> Any:
        """The results of a function for all replicas, a `PerReplica` if there are several.

        Args:
            fn: a function of tensors. With several replicas it is traced, so this method is best
                called within a `tf.function`.
            args, kwargs: its arguments. Each replica receives its own value of a `PerReplica`.

        Raises ValueError if values of replicas differ in shape, and if `fn` changes a variable that
        is not trainable and has no `aggregation`.
        """
        args, kwargs = tuple(args), dict(kwargs or {})
        if self.num_replicas_in_sync == 1:
            with context.changing(_current, strategy=self, replica=ReplicaContext(self)):
                return fn(*args, **kwargs)
        return _run(self, fn, args, kwargs)

    def reduce(self, reduce_op: Any, value: Any, axis: Any = None) -> Any:
        """The sum or the mean of results of `run` over the replicas.

        Args:
            reduce_op: `ReduceOp.SUM`, `ReduceOp.MEAN` or their names.
            axis: an axis of each value to reduce as well.
        """
        how = ReduceOp(str(getattr(reduce_op, "value", reduce_op)).upper())
        parts = tree_map(lambda x: _Parts(self._values(x)), value, is_leaf=_is_value)
        return tree_map(lambda p: _reduced(how, p.values, axis), parts, is_leaf=_is_parts)

    def gather(self, value: Any, axis: int) -> Any:
        """The values of all replicas, concatenated along an axis."""
        return ops.concat(self._values(value), axis)

    def experimental_local_results(self, value: Any) -> tuple[Any, ...]:
        """The values of the replicas as a tuple."""
        return value.values if isinstance(value, DistributedValues) else (value,)

    def _values(self, value: Any) -> list[Any]:
        if isinstance(value, DistributedValues):
            return list(value.values)
        return [convert_to_tensor(value)] * self.num_replicas_in_sync

    def experimental_distribute_dataset(self, dataset: Any, options: Any = None) -> Any:
        """The batches of a data set, each divided over the replicas."""
        return DistributedDataset(dataset, self.num_replicas_in_sync, in_parts=False)

    def distribute_datasets_from_function(self, dataset_fn: Callable, options: Any = None) -> Any:
        """The batches of the data set that a function of an `InputContext` returns, one per
        replica."""
        made = dataset_fn(InputContext(num_replicas_in_sync=self.num_replicas_in_sync))
        return DistributedDataset(made, self.num_replicas_in_sync, in_parts=True)

    def experimental_distribute_values_from_function(self, value_fn: Callable) -> Any:
        """The results of a function of a `ValueContext` for all replicas."""
        count = self.num_replicas_in_sync
        made = [
            value_fn(SimpleNamespace(replica_id_in_sync_group=i, num_replicas_in_sync=count))
            for i in range(count)
        ]
        return made[0] if count == 1 else PerReplica(made)


class MirroredStrategy(Strategy):
    """Replicates variables on all devices, and shards every batch over them.

    Args:
        devices: names such as `"/gpu:0"`; by default all visible GPUs, or the CPU.

    >>> strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
    >>> with strategy.scope():
    ...     v = tf.Variable(1.0)
    >>> strategy.num_replicas_in_sync
    1
    """

    def __init__(self, devices: Any = None, cross_device_ops: Any = None):
        super().__init__(list(devices or ()) or _visible())


class CentralStorageStrategy(MirroredStrategy):
    """Like `MirroredStrategy`, since XLA replicates variables on every device."""

    def __init__(self, compute_devices: Any = None, parameter_device: Any = None):
        super().__init__(compute_devices)


class OneDeviceStrategy(Strategy):
    """A strategy with a single device.

    Args:
        device: its name, such as `"/gpu:0"`.

    >>> strategy = tf.distribute.OneDeviceStrategy("/cpu:0")
    >>> strategy.run(lambda: tf.constant(2)).numpy().tolist()
    2
    """

    def __init__(self, device: str):
        super().__init__([device])


class MultiWorkerMirroredStrategy(Strategy):
    """Like `MirroredStrategy`, over several machines whose processes run the same program.

    Args:
        cluster_resolver: resolves the processes, by default from the environment variable
            `TF_CONFIG`. If there are several, create the strategy before any computation.

    Example (in a process of each machine)::

        cluster = {"worker": ["one:1234", "two:1234"]}
        task = {"type": "worker", "index": 0}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    """

    def __init__(self, cluster_resolver: Any = None, communication_options: Any = None):
        resolver = cluster_resolver or clusters.TFConfigClusterResolver()
        self._resolver = resolver
        addresses = clusters.workers(resolver)
        if len(addresses) > 1 and jax.process_count() == 1:
            number = clusters.number_of(resolver)
            distribution.initialize(addresses[0], len(addresses), number)
        super().__init__(_visible() if jax.process_count() == 1 else distribution.list_devices())

    @property
    def cluster_resolver(self) -> Any:
        return self._resolver


class TPUStrategy(Strategy):
    """A strategy with all cores of a TPU.

    Args:
        tpu_cluster_resolver: a `TPUClusterResolver`.

    Example (where there is a TPU)::

        strategy = tf.distribute.TPUStrategy()
        with strategy.scope():
            model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
    """

    def __init__(
        self,
        tpu_cluster_resolver: Any = None,
        experimental_device_assignment: Any = None,
        experimental_spmd_xla_partitioning: bool = False,
    ):
        self._resolver = tpu_cluster_resolver or clusters.TPUClusterResolver()
        super().__init__(distribution.list_devices("tpu"))

    @property
    def cluster_resolver(self) -> Any:
        return self._resolver


def _spelled(device: Any) -> str:
    """The JAX name of a device, for a name of TensorFlow's."""
    name = str(device).rpartition("/")[2].removeprefix("device:").lower()
    return name if ":" in name else f"{name}:0"


def _visible() -> list[str]:
    devices = config.list_logical_devices()
    chosen = [d for d in devices if d.device_type != "CPU"] or devices
    return [d.name for d in chosen]


def _is_value(x: Any) -> bool:
    return isinstance(x, DistributedValues) or is_leaf(x)


class _Parts:
    """The values of the replicas, as one leaf of a structure."""

    def __init__(self, values: list[Any]):
        self.values = values


def _is_parts(x: Any) -> bool:
    return isinstance(x, _Parts)


def _reduced(how: ReduceOp, values: list[Any], axis: Any) -> Any:
    if axis is not None:
        values = [ops.concat(values, axis if isinstance(axis, int) else axis[0])]
    elif len(values) == 1:
        return values[0]
    else:
        values, axis = [ops.stack(values)], 0
    reduce = table.reduce_sum if how is ReduceOp.SUM else table.reduce_mean
    return reduce(values[0], axis)


# -- losses ---------------------------------------------------------------------------------------


def compute_average_loss(
    per_example_loss: Any, sample_weight: Any = None, global_batch_size: Any = None
) -> Tensor:
    """The weighted sum of losses, divided by the number of samples of all replicas.

    >>> tf.nn.compute_average_loss([1.0, 3.0], global_batch_size=4).numpy().tolist()
    1.0
    """
    loss = convert_to_tensor(per_example_loss)
    if not loss.ndim:
        raise ValueError("per_example_loss must have a batch axis. Received a scalar.")
    if global_batch_size is None:
        global_batch_size = loss.shape[0] * get_strategy().num_replicas_in_sync
    if sample_weight is not None:
        loss = loss * ops.cast(sample_weight, loss.dtype)
    size = convert_to_tensor(global_batch_size)
    if size.ndim:
        raise ValueError(f"global_batch_size must be a number. Received: {global_batch_size}")
    if not size.dtype.is_integer:
        raise TypeError(f"global_batch_size must be an integer. Received: {global_batch_size}")
    if isinstance(global_batch_size, int) and global_batch_size < 0:
        raise InvalidArgumentError(f"global_batch_size must be >= 0, not {global_batch_size}")
    return table.divide_no_nan(table.reduce_sum(loss), ops.cast(size, loss.dtype))


def scale_regularization_loss(regularization_loss: Any) -> Tensor:
    """The sum of regularization losses, divided by the number of replicas.

    >>> tf.nn.scale_regularization_loss(2.0).numpy().tolist()
    2.0
    """
    return table.reduce_sum(regularization_loss) / float(get_strategy().num_replicas_in_sync)


# -- a function for all replicas ------------------------------------------------------------------


def _run(strategy: Strategy, fn: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
    count = strategy.num_replicas_in_sync
    leaves, structure = flatten((args, kwargs), _is_value)
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, DistributedValues)]
    stacked = [_stacked(strategy, leaves[i].values) for i in places]
    rng.global_stream()  # so that it is among the variables
    variables = control._variables()
    changed: list[int] = []
    found: list[Any] = []

    def one(replica: Any, state: Sequence[Any], *values: Any) -> Any:
        filled = list(leaves)
        for i, value in zip(places, values):
            filled[i] = Tensor(value)
        given, named = jax.tree.unflatten(structure, filled)
        around = ReplicaContext(strategy, Tensor(replica))
        own = [_of_replica(v, x, replica) for v, x in zip(variables, state)]
        with (
            lowering.holding(variables, own),
            context.using(replicas=_AXIS),
            context.changing(_current, strategy=strategy, replica=around),
        ):
            out = unbox(wrap_values(fn(*given, **named)))
            new = lowering.values_of(variables)
        changed[:] = [i for i, (a, b) in enumerate(zip(own, new)) if a is not b]
        flat, tree = flatten(out)
        found[:] = [tree]
        return flat, [_agreed(variables[i], state[i], new[i]) for i in changed]

    mapped = jax.vmap(
        one, (0, None, *[0] * len(stacked)), (0, None), axis_name=_AXIS, axis_size=count
    )
    state = lowering.values_of(variables)
    with precision([*stacked, *state]):
        out, new = mapped(jnp.arange(count, dtype="int32"), state, *stacked)
    lowering.write([variables[i] for i in changed], new)
    parts = [jax.tree.unflatten(found[0], [Tensor(x[i]) for x in out]) for i in range(count)]
    if found[0].num_leaves == 0:
        return parts[0]
    return tree_map(lambda *x: PerReplica(x), *parts, is_leaf=is_leaf)


def _stacked(strategy: Strategy, values: Sequence[Any]) -> Any:
    arrays = [convert_to_tensor(v)._value for v in values]
    if len({(a.shape, a.dtype) for a in arrays}) > 1:
        raise ValueError(
            "The values of replicas must have the same shape. Received: "
            f"{[tuple(a.shape) for a in arrays]}"
        )
    with precision(arrays):
        whole = jnp.stack(arrays)
        mesh = strategy._distribution.device_mesh.backend_mesh
        sharding = NamedSharding(mesh, PartitionSpec(mesh.axis_names[0]))
        return jax.lax.with_sharding_constraint(whole, sharding)


def _of_replica(variable: Any, value: Any, replica: Any) -> Any:
    """A replica's value of a variable. Each draws random numbers of its own, and the state of the
    first one is kept."""
    if not isinstance(variable, RandomState) or variable.shape != (2,):  # a seed and a count
        return value
    other = replica.astype("uint32") * np.uint32(0x9E3779B1)
    return value ^ jnp.stack([other, jnp.uint32(0)])


def _agreed(variable: Any, before: Any, new: Any) -> Any:
    """The common value of a variable that the replicas have changed, by its aggregation."""
    aggregation = str(getattr(variable, "aggregation", "none")).lower()
    if isinstance(variable, MetricState) or aggregation == "sum":
        return before + jax.lax.psum(new - before, _AXIS)
    if aggregation == "none" and not variable.trainable and hasattr(variable, "scatter_nd_add"):
        raise ValueError(
            "You must specify an aggregation method to update a variable in a function that runs "
            f"on several replicas. Received: {variable.name}"
        )
    if not jnp.issubdtype(new.dtype, jnp.inexact) or aggregation == "only_first_replica":
        return jax.lax.all_gather(new, _AXIS)[0]  # the values are equal
    return jax.lax.pmean(new, _AXIS)


# -- the current strategy -------------------------------------------------------------------------


def _place() -> tuple[Any, Any]:
    strategy, replica = _current.strategy, _current.replica
    return strategy, None if replica is None else replica.replica_id_in_sync_group


generators.place = _place

_default = Strategy()


def get_strategy() -> Strategy:
    """The strategy of the current `scope()`, or the default one.

    >>> tf.distribute.get_strategy().num_replicas_in_sync
    1
    """
    return _current.strategy or _default


def has_strategy() -> bool:
    """Whether the current strategy is not the default one.

    >>> tf.distribute.has_strategy()
    False
    """
    return _current.strategy not in (None, _default)


def get_replica_context() -> ReplicaContext | None:
    """The replica for which a function is run; `None` in a `scope()` outside of `run`.

    >>> tf.distribute.get_replica_context().num_replicas_in_sync
    1
    """
    if _current.strategy is None:
        return ReplicaContext(_default)
    return _current.replica


def in_cross_replica_context() -> bool:
    """Whether the code is in a `scope()` outside of `run`.

    >>> tf.distribute.in_cross_replica_context()
    False
    """
    return get_replica_context() is None


class _Way:
    """TensorFlow's options of communication between devices, which XLA chooses by itself.

    >>> way = tf.distribute.ReductionToOneDevice()
    >>> tf.distribute.MirroredStrategy(["/cpu:0"], cross_device_ops=way).num_replicas_in_sync
    1
    """

    def __init__(self, *_: Any, **options: Any):
        self.options = options


HierarchicalCopyAllReduce = NcclAllReduce = ReductionToOneDevice = CrossDeviceOps = _Way


class CommunicationImplementation(enum.Enum):
    """The library for communication, which JAX chooses by itself."""

    AUTO, RING, NCCL = "AUTO", "RING", "NCCL"


class InputReplicationMode(enum.Enum):
    """Whether a data set gives batches for a worker or for a replica.

    >>> tf.distribute.InputReplicationMode.PER_WORKER.value
    'PER_WORKER'
    """

    PER_WORKER, PER_REPLICA = "PER_WORKER", "PER_REPLICA"


class InputOptions(NamedTuple):
    """TensorFlow's options of where batches are made, which JAX decides by itself.

    >>> tf.distribute.InputOptions().experimental_per_replica_buffer_size
    1
    """

    experimental_fetch_to_device: bool = True
    experimental_replication_mode: InputReplicationMode = InputReplicationMode.PER_WORKER
    experimental_place_dataset_on_device: bool = False
    experimental_per_replica_buffer_size: int = 1


class RunOptions(NamedTuple):
    """TensorFlow's options of `Strategy.run`, which XLA decides by itself.

    >>> tf.distribute.RunOptions().experimental_xla_options is None
    True
    """

    experimental_enable_dynamic_batch_size: bool = True
    experimental_bucketizing_dynamic_shape: bool = False
    experimental_xla_options: Any = None


experimental = SimpleNamespace(
    CollectiveCommunication=CommunicationImplementation,
    CollectiveHints=_Way,
    CommunicationImplementation=CommunicationImplementation,
    CommunicationOptions=_Way,
    CentralStorageStrategy=CentralStorageStrategy,
    MultiWorkerMirroredStrategy=MultiWorkerMirroredStrategy,
    TPUStrategy=TPUStrategy,
)
cluster_resolver = clusters

__all__ = [
    *("InputOptions", "InputReplicationMode", "RunOptions"),
    *("CrossDeviceOps", "HierarchicalCopyAllReduce", "NcclAllReduce", "ReductionToOneDevice"),
    *("DistributedDataset", "DistributedValues", "InputContext", "MirroredStrategy"),
    *("MultiWorkerMirroredStrategy", "OneDeviceStrategy", "ReduceOp", "ReplicaContext"),
    *("Strategy", "TPUStrategy", "cluster_resolver", "experimental", "get_replica_context"),
    *("get_strategy", "has_strategy", "in_cross_replica_context"),
]
__dir__ = __all__.copy
