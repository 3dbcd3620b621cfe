"""The placement of a step's arrays on several devices.

The active distribution (`context.state.distribution`) has these attributes:
`device_mesh.backend_mesh`, a `jax.sharding.Mesh`; `batch_dim_name`, the mesh axis over which
batches are sharded; `sharding_of(variable)`, a `jax.sharding.NamedSharding`;
`get_data_layout(shape)`, whose `backend_layout` is one; `auto_shard_dataset`; `key`; and, used by
layers when they are called, `laid_out(path, outputs)`. XLA inserts the communication between the
devices: the result of a step is the same as on one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from keraslike.core import host, lowering, rng
from keraslike.core.shares import Share

# The meshes on which state was placed. They distinguish state that must return to the default
# device afterwards from state that a user placed explicitly.
_meshes: set[Mesh] = set()


class Placement:
    """The placement of the state and the batches of one program by a distribution.

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
        self._shares: dict[int, np.ndarray] = {}
        self.state, self.fixed = (
            tuple(distribution.sharding_of(v) for v in variables) for variables in (state, fixed)
        )
        # Whether there are several processes.
        self.several = len({d.process_index for d in mesh.devices.flat}) > 1
        # With several processes the results of a step are replicated, so that each process can read
        # them.
        self.results = self.replicated if self.several else None
        # Distributions with equal placements share compiled programs.
        self.key = (self.state, self.fixed, self.rows((self.parts,)), distribution.key)
        # The number of devices that share one memory, such as those into which a CPU is divided.
        self.sharing = len(mesh.local_devices) if mesh.devices.flat[0].platform == "cpu" else 1
        note(mesh)

    @property
    def in_parts(self) -> bool:
        """Whether each process supplies the part of the data that its own devices need."""
        return self.several and not self.distribution.auto_shard_dataset

    @property
    def in_shares(self) -> bool:
        """Whether each process needs only some rows of a batch that is the same in all of them."""
        return self.several and self.distribution.auto_shard_dataset

    def rows(self, shape: tuple[int, ...]) -> NamedSharding:
        """The sharding of an array in a batch along its first axis."""
        found = self._rows.get(shape)
        if found is None:
            found = self.replicated
            if shape:
                found = self.distribution.get_data_layout(shape).backend_layout
            self._rows[shape] = found
        return found

    def filled(self, size: int) -> int:
        """The smallest multiple of the number of shards that is at least `size`."""
        return -(-size // self.parts) * self.parts

    def share(self, size: int) -> np.ndarray:
        """The numbers of the rows, of a batch of this size, that this process's devices need."""
        found = self._shares.get(size)
        if found is None:
            full = self.filled(size)
            slices = self.rows((full,)).addressable_devices_indices_map((full,)).values()
            needed = {n for (rows,) in slices for n in range(*rows.indices(full))}  # type: ignore
            found = self._shares[size] = np.array(sorted(n for n in needed if n < size), np.intp)
        return found

    def put_state(self, state: Sequence[Any], fixed: Sequence[Any]) -> None:
        """Moves the values of the Variables, whose guards are locked, to the devices of their
        shardings."""
        for variables, shardings in ((state, self.state), (fixed, self.fixed)):
            values = lowering.stored(variables)
            elsewhere = [
                i
                for i, (value, sharding) in enumerate(zip(values, shardings))
                # All processes must move the same arrays.
                if self.several or not value.committed or value.sharding != sharding
            ]
            placed = put([values[i] for i in elsewhere], [shardings[i] for i in elsewhere])
            lowering.store([variables[i] for i in elsewhere], placed)

    def replicate(self, tree: Any) -> Any:
        """Replicates every array of a structure on all devices."""
        return put(tree, jax.tree.map(lambda _: self.replicated, tree))

    def batch(self, batch: Any) -> tuple[Any, tuple[int, ...] | None]:
        """Shards a batch from the host; also returns the sizes of its arrays before they were
        padded to a divisible size, if any was.

        Args:
            batch: whole, or the `Share` of this process; with `auto_shard_dataset=False` its part.
        """
        own = isinstance(batch, Share) and batch.size is None
        if isinstance(batch, Share) and batch.size is not None:
            return self._of_shares(batch.batch, batch.size)
        if own or self.in_parts:
            batch = batch.batch if own else batch
            return self._of_parts(batch), None
        leaves, structure = jax.tree.flatten(batch)
        shapes = [np.shape(a) for a in leaves]
        if all(not s or s[0] % self.parts == 0 for s in shapes):
            return put(batch, structure.unflatten(map(self.rows, shapes))), None
        sizes = tuple(s[0] if s else 0 for s in shapes)
        full = [_filled(np.asarray(a), self.filled(n)) for a, n in zip(leaves, sizes)]
        placed = put(full, [self.rows(a.shape) for a in full])
        return structure.unflatten(placed), sizes

    def _of_shares(self, share: Any, size: int) -> tuple[Any, tuple[int, ...] | None]:
        full, mine = self.filled(size), self.share(size)

        def one(array: Any) -> jax.Array:
            array = np.asarray(array)
            shape = (full, *array.shape[1:])

            def part(index: Any) -> np.ndarray:
                start, stop, _ = index[0].indices(full)
                first, last = np.searchsorted(mine, [start, stop])
                return _filled(array[first:last], stop - start)[(slice(None), *index[1:])]

            return jax.make_array_from_callback(shape, self.rows(shape), part)

        leaves, structure = jax.tree.flatten(share)
        sizes = None if size == full else (size,) * len(leaves)
        return structure.unflatten(map(one, leaves)), sizes

    def _of_parts(self, batch: Any) -> Any:
        own = jax.tree.map(np.asarray, batch)
        count = jax.process_count()
        for size in {a.shape[0] for a in jax.tree.leaves(own)}:
            if size * count % self.parts:
                raise ValueError(
                    "With auto_shard_dataset=False each process passes its own part of a batch, "
                    f"and the {count} parts together must be divisible by {self.parts} devices. "
                    f"Received a part of {size} samples."
                )
        sharding = self.rows((self.parts,))
        return jax.tree.map(lambda a: jax.make_array_from_process_local_data(sharding, a), own)

    def spread(self, batch: Any, sizes: tuple[int, ...] | None = None) -> Any:
        """Shards a batch within a trace: one that was sliced there, or that was padded. If its size
        is not divisible, XLA pads it and excludes the padding from every sum."""
        leaves, structure = jax.tree.flatten(batch)
        if sizes is not None:
            leaves = [a[:n] if a.ndim else a for a, n in zip(leaves, sizes)]
        spread = jax.lax.with_sharding_constraint
        return structure.unflatten(spread(a, self.rows(a.shape)) for a in leaves)


def _filled(array: np.ndarray, size: int) -> np.ndarray:
    """An array with rows of zeros appended, up to a given size."""
    missing = size - len(array) if array.ndim else 0
    return np.pad(array, [(0, missing), *[(0, 0)] * (array.ndim - 1)]) if missing else array


def note(mesh: Mesh) -> None:
    """Records that state is on a mesh and must return to the default device when its distribution
    ends."""
    _meshes.add(mesh)


def put(tree: Any, shardings: Any) -> Any:
    """Moves the arrays of a structure to the given shardings."""

    def one(array: Any, sharding: NamedSharding) -> Any:
        if not getattr(array, "is_fully_addressable", True):
            return jax.device_put(array, sharding)
        whole = np.asarray(array)  # All processes have the same values.
        return jax.make_array_from_callback(whole.shape, sharding, whole.__getitem__)

    leaves = jax.tree.leaves(shardings)
    if all(sharding.is_fully_addressable for sharding in leaves):
        return jax.device_put(tree, shardings)
    return jax.tree.map(one, tree, shardings)


def was_used() -> bool:
    """Whether state was placed on several devices in this process."""
    return bool(_meshes)


def return_to_default_device(variables: Sequence[Any]) -> None:
    """Moves Variables that a distribution sharded back to the default device, uncommitted; others
    are unchanged."""
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


def return_random_stream() -> None:
    """Moves the global random stream, which belongs to no program, to the default device."""
    if _meshes:
        return_to_default_device([rng.global_stream().state])
