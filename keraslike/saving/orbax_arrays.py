"""The arrays of a checkpoint, with their groups and checksums, which are read on access."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from keraslike.core import host
from keraslike.core.errors import DamagedCheckpoint


def group_of(path: str) -> list[str]:
    """The subtree with the arrays of the object at a path."""
    return [*path.split("/"), "vars"] if path else ["vars"]


def checksum(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view("uint8").data)


class Array:
    """An array in a checkpoint; `[()]` reads it, as with a dataset of HDF5."""

    attrs: dict[str, Any] = {}

    def __init__(
        self,
        checkpoint: Any,
        path: tuple[str, ...],
        shape: tuple[int, ...],
        dtype: Any,
        chunk: tuple[int, ...] = (),
    ):
        self.checkpoint, self.path, self.shape, self.dtype = checkpoint, path, shape, dtype
        self.chunk = chunk
        # The sharding of the Variable that it is read for, if that is sharded.
        self.sharding: Any = None
        self.value: Any = None if path else np.zeros(shape, dtype)

    def read_for(self, value: jax.Array) -> None:
        """Makes it be read with the sharding of this value of a Variable."""
        if self.path and host.is_divided(value):
            self.sharding = value.sharding

    def check(self) -> None:
        """Rejects a chunk that is larger than the array, since it would take memory that is not
        needed."""
        if math.prod(self.chunk) > max(1, math.prod(self.shape)):
            raise DamagedCheckpoint(
                f"'{self.checkpoint.directory}' is damaged or not safe to load: "
                f"{'/'.join(self.path)} of shape {self.shape} has pieces of shape {self.chunk}."
            )

    def accept(self, value: Any) -> None:
        """Keeps a value that was read; raises ValueError if its checksum is wrong."""
        where = "/".join(self.path)
        wanted = self.checkpoint.checksums.get(where)
        # If several processes have shards of an array, no process has all of it to check.
        checked = wanted is not None and getattr(value, "is_fully_addressable", True)
        if value.shape != self.shape or (checked and wanted != checksum(np.asarray(value))):
            raise ValueError(f"{where} is not what was written")
        self.value = value

    def __getitem__(self, key: tuple[()]) -> Any:
        self.checkpoint.fetch([self])
        return self.value


class Weights:
    """The arrays of a checkpoint, with the interface that `weights_h5.load` reads from."""

    def __init__(self, checkpoint: Any, groups: dict[str, Any]):
        self.label, self.fetch, self._groups = checkpoint.directory, checkpoint.fetch, groups

    def own(self, path: str) -> dict[str, Array]:
        """The arrays of the object at a path, by name."""
        group = self._groups
        for part in group_of(path):
            group = group.get(part)
            if not isinstance(group, dict):
                return {}
        return {k: v for k, v in group.items() if isinstance(v, Array)}

    def unused(self, places: set[str]) -> list[str]:
        """The paths with arrays that are not among `places`."""

        def paths(group: dict[str, Any], path: str) -> Iterator[str]:
            if any(isinstance(v, Array) for v in group.get("vars", {}).values()):
                yield path
            for name, child in group.items():
                if isinstance(child, dict):
                    yield from paths(child, f"{path}/{name}" if path else name)

        return [path for path in paths(self._groups, "") if path not in places]
