"""The arrays of a checkpoint: what their groups and checksums are, each read when asked for."""

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
    """Where the arrays of the object at a path are in the tree."""
    return [*path.split("/"), "vars"] if path else ["vars"]


def checksum(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view("uint8").data)


class Array:
    """An array in a checkpoint; read when `[()]` asks for it, as one of HDF5 is."""

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
        self.sharding: Any = None  # of the Variable that it is read for, if that is in parts
        self.value: Any = None if path else np.zeros(shape, dtype)

    def read_for(self, value: jax.Array) -> None:
        """It is read into the parts that this value of a Variable is divided into."""
        if self.path and host.is_divided(value):
            self.sharding = value.sharding

    def check(self) -> None:
        """A piece larger than the whole array would take memory that nobody asked for."""
        if math.prod(self.chunk) > max(1, math.prod(self.shape)):
            raise DamagedCheckpoint(
                f"'{self.checkpoint.directory}' is damaged or not safe to load: "
                f"{'/'.join(self.path)} of shape {self.shape} has pieces of shape {self.chunk}."
            )

    def accept(self, value: Any) -> None:
        """Keeps what was read; raises ValueError where it is not what was written."""
        where = "/".join(self.path)
        wanted = self.checkpoint.checksums.get(where)
        # Of an array that several processes have parts of nobody has all to check.
        checked = wanted is not None and getattr(value, "is_fully_addressable", True)
        if value.shape != self.shape or (checked and wanted != checksum(np.asarray(value))):
            raise ValueError(f"{where} is not what was written")
        self.value = value

    def __getitem__(self, key: tuple[()]) -> Any:
        self.checkpoint.fetch([self])
        return self.value


class Weights:
    """The arrays of a checkpoint as `weights_h5.load` asks for them."""

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
