"""Where the arrays of a step are, when there are several devices.

The active distribution (`context.state.distribution`) is asked by these of its attributes:
`device_mesh.backend_mesh`, a `jax.sharding.Mesh`; `batch_dim_name`, the mesh's axis that batches
are spread over; `get_variable_layout(variable)` and `get_data_layout(shape)`, each with a
`backend_layout` that is a `jax.sharding.NamedSharding`; `auto_shard_dataset`; `key`; by layers as
they are called, `laid_out(path, outputs)`. What then happens
between the devices is XLA's business: a step computes what it would on one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from keraslike.core import host, lowering, rng

# The meshes that state was put on: by them is known what has to come home afterwards, and what a
# user has put on devices by hand.
_meshes: set[Mesh] = set()


class Placement:
    """Where a distribution puts the state of one program, and its batches.

    Args:
        distribution: see the module.
        state, fixed: the program's Variables.
    """

    def __init__(self, distribution: Any, state: Sequence[Any], fixed: Sequence[Any]):
        self.distribution = distribution
        mesh: Mesh = distribution.device_mesh.backend_mesh
        self.replicated = NamedSharding(mesh, PartitionSpec())
        self.parts = mesh.shape[distribution.batch_dim_name]
        self._rows: dict[tuple[int, ...], NamedSharding] = {}
        self.state, self.fixed = (
            tuple(distribution.get_variable_layout(v).backend_layout for v in variables)
            for variables in (state, fixed)
        )
        self.several = len({d.process_index for d in mesh.devices.flat}) > 1  # processes
        # What a step returns is for this process to read; on one it is where it comes to be.
        self.results = self.replicated if self.several else None
        # Distributions that put everything in the same places share what is compiled.
        self.key = (self.state, self.fixed, self.rows((self.parts,)), distribution.key)
        # Devices that share one memory, as those that a CPU is divided into do.
        self.sharing = len(mesh.local_devices) if mesh.devices.flat[0].platform == "cpu" else 1
        note(mesh)

    @property
    def in_parts(self) -> bool:
        """Whether each process gives the part of the data that its own devices are to have."""
        return self.several and not self.distribution.auto_shard_dataset

    def rows(self, shape: tuple[int, ...]) -> NamedSharding:
        """Where an array of a batch goes: spread by its first axis, whole if that does not divide.

        In either case a step computes the same; of a batch that is whole each device computes all.
        """
        found = self._rows.get(shape)
        if found is None:
            found = self.replicated
            if shape and shape[0] % self.parts == 0:
                found = self.distribution.get_data_layout(shape).backend_layout
            self._rows[shape] = found
        return found

    def put_state(self, state: Sequence[Any], fixed: Sequence[Any]) -> None:
        """Moves the values of the Variables, whose guards are locked, to where they belong."""
        for variables, shardings in ((state, self.state), (fixed, self.fixed)):
            lowering.store(variables, put(list(lowering.stored(variables)), list(shardings)))

    def replicate(self, tree: Any) -> Any:
        """Every array of a structure, whole on each device."""
        return put(tree, jax.tree.map(lambda _: self.replicated, tree))

    def batch(self, batch: Any) -> Any:
        """A batch from the host, spread over the devices."""
        if not self.in_parts:
            return put(batch, jax.tree.map(lambda a: self.rows(np.shape(a)), batch))
        own = jax.tree.map(np.asarray, batch)
        count = jax.process_count()
        for size in {a.shape[0] for a in jax.tree.leaves(own)}:
            if size * count % self.parts:
                raise ValueError(
                    "With auto_shard_dataset=False each process gives its own part of a batch, "
                    f"and the {count} parts together must divide over {self.parts} devices. "
                    f"Received a part of {size} samples."
                )
        sharding = self.rows((self.parts,))
        return jax.tree.map(lambda a: jax.make_array_from_process_local_data(sharding, a), own)

    def spread(self, batch: Any) -> Any:
        """The same within a trace, for a batch that was cut there."""
        return jax.tree.map(
            lambda a: jax.lax.with_sharding_constraint(a, self.rows(a.shape)), batch
        )


def note(mesh: Mesh) -> None:
    """Says that state is on a mesh, and has to come home when its distribution ends."""
    _meshes.add(mesh)


def put(tree: Any, shardings: Any) -> Any:
    """The arrays of a structure where each is to be."""

    def one(array: Any, sharding: NamedSharding) -> Any:
        if not getattr(array, "is_fully_addressable", True):
            return jax.device_put(array, sharding)
        whole = np.asarray(array)  # all processes have the same
        return jax.make_array_from_callback(whole.shape, sharding, whole.__getitem__)

    leaves = jax.tree.leaves(shardings)
    if all(sharding.is_fully_addressable for sharding in leaves):
        return jax.device_put(tree, shardings)
    return jax.tree.map(one, tree, shardings)


def was_used() -> bool:
    """Whether state was put on several devices in this process."""
    return bool(_meshes)


def come_home(variables: Sequence[Any]) -> None:
    """Variables that a distribution had spread are on the default device again, and not bound to
    it; others stay where they are."""
    if not _meshes:
        return
    for v in variables:
        value = v._raw_value
        sharding = getattr(value, "sharding", None)
        if not isinstance(sharding, NamedSharding) or sharding.mesh not in _meshes:
            continue
        if jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
            data = jnp.asarray(np.asarray(jax.random.key_data(value)))
            value = jax.random.wrap_key_data(data, impl=jax.random.key_impl(value))
        else:
            value = jnp.asarray(host.whole(value))
        lowering.write([v], [value])


def leave() -> None:
    """Brings home what belongs to no program: the global random stream."""
    if _meshes:
        come_home([rng.global_stream().state])
