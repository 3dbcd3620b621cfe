"""`DeviceMesh` and `TensorLayout`: how devices are laid out, and arrays over them."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from keraslike.core.symbolic import KerasTensor
from keraslike.distribution.devices import find_device, list_devices


class DeviceMesh:
    """A grid of devices with named axes.

    Args:
        shape: the sizes of the grid, such as `(8,)` for data parallelism.
        axis_names: a name for each axis.
        devices: names as returned by `list_devices`, or JAX devices; by default all devices.

    Raises ValueError if these are inconsistent. Whether the devices exist is checked when the mesh
    is first used.

    >>> DeviceMesh((2, 1), ["batch", "model"], ["cpu:0", "cpu:1"]).devices.tolist()
    [['cpu:0'], ['cpu:1']]
    """

    def __init__(self, shape: Sequence[int], axis_names: Sequence[str], devices: Any = None):
        if not len(shape) or len(shape) != len(axis_names):
            raise ValueError(
                "axis_names must name every axis of shape, which must have one. "
                f"Received: shape={shape}, axis_names={axis_names}"
            )
        if any(size < 1 for size in shape):
            raise ValueError(f"shape must hold devices along every axis. Received: shape={shape}")
        if len(set(axis_names)) != len(axis_names):
            raise ValueError(f"axis_names must differ. Received: axis_names={axis_names}")
        given = np.array(list_devices() if devices is None else devices)
        if math.prod(shape) != given.size:
            raise ValueError(
                f"shape must hold all devices. Received: shape={shape}, {given.size} devices"
            )
        if len(set(given.flat)) != given.size:
            raise ValueError(f"devices must differ. Received: devices={given.tolist()}")
        self.shape, self.axis_names = shape, axis_names
        self.devices = given.reshape(tuple(shape))

    @functools.cached_property
    def backend_mesh(self) -> Mesh:
        """The same as a `jax.sharding.Mesh`."""
        found = np.array([find_device(d) for d in self.devices.flat]).reshape(self.devices.shape)
        return Mesh(found, tuple(self.axis_names))

    def __repr__(self) -> str:
        return f"<DeviceMesh shape={self.shape}, axis_names={self.axis_names}>"


class TensorLayout:
    """The mesh axes over which the axes of an array are sharded.

    Args:
        axes: for each axis of the array the name of a mesh axis, or `None` if it is not sharded.
        device_mesh: the mesh; it can be set later, once.

    Raises ValueError for an unknown name.

    >>> mesh = DeviceMesh((1,), ["batch"], ["cpu:0"])
    >>> TensorLayout(["batch", None], mesh).backend_layout.shard_shape((8, 3))
    (8, 3)
    """

    def __init__(self, axes: Sequence[str | None], device_mesh: DeviceMesh | None = None):
        self.axes = tuple(axes)
        self._device_mesh: DeviceMesh | None = None
        if device_mesh is not None:
            self.device_mesh = device_mesh

    @property
    def device_mesh(self) -> DeviceMesh | None:
        return self._device_mesh

    @device_mesh.setter
    def device_mesh(self, mesh: DeviceMesh) -> None:
        if self._device_mesh is not None:
            raise ValueError(f"device_mesh is set already: {self._device_mesh}. Make a new layout.")
        unknown = sorted({axis for axis in self.axes if axis is not None} - set(mesh.axis_names))
        if unknown:
            raise ValueError(
                f"axes must be among the mesh's axis_names {list(mesh.axis_names)}. "
                f"Received: {unknown} in axes={self.axes}"
            )
        self._device_mesh = mesh

    @functools.cached_property
    def backend_layout(self) -> NamedSharding:
        """The same as a `jax.sharding.NamedSharding`; raises ValueError where there is no mesh."""
        if self._device_mesh is None:
            raise ValueError(f"{self} has no device_mesh yet: set it first.")
        return NamedSharding(self._device_mesh.backend_mesh, PartitionSpec(*self.axes))

    @functools.cached_property
    def dividing(self) -> NamedSharding:
        """The same without those axes of the mesh that have one device only: XLA's programs are
        slower where they are named."""
        sharding = self.backend_layout
        sizes = sharding.mesh.shape
        axes = [axis if axis is not None and sizes[axis] > 1 else None for axis in self.axes]
        return NamedSharding(sharding.mesh, PartitionSpec(*axes))

    def __repr__(self) -> str:
        return f"<TensorLayout axes={self.axes}, device_mesh={self.device_mesh}>"


def check_fits(
    what: str, shape: Sequence[int | None], layout: TensorLayout, divides: bool = True
) -> None:
    """Raises ValueError for an array that a layout is not for, or, if it is to, does not divide.

    >>> layout = TensorLayout(["batch"], DeviceMesh((2,), ["batch"], ["cpu:0", "cpu:1"]))
    >>> check_fits("The variable 'bias'", (3,), layout)
    Traceback (most recent call last):
    ValueError: The variable 'bias' of shape (3,) does not divide as its layout ('batch',) says: ...
    """
    said = f"{what} of shape {tuple(shape)} does not divide as its layout {layout.axes} says"
    if len(layout.axes) > len(shape):
        raise ValueError(f"{said}: the layout is for {len(layout.axes)} axes.")
    named = [axis for axis in layout.axes if axis is not None]
    twice = [axis for axis in dict.fromkeys(named) if named.count(axis) > 1]
    if twice:
        raise ValueError(f"{said}: it divides several axes over '{twice[0]}' of the mesh.")
    mesh = layout.device_mesh
    if mesh is None or not divides:
        return
    sizes = dict(zip(mesh.axis_names, mesh.shape))
    for number, (size, axis) in enumerate(zip(shape, layout.axes)):
        if axis is not None and size is not None and size % sizes[axis]:
            raise ValueError(
                f"{said}: its axis {number}, of size {size}, is no multiple of the {sizes[axis]} "
                f"devices along the axis '{axis}' of the mesh {sizes}."
            )


def distribute_tensor(tensor: Any, layout: Any) -> Any:
    """The array, sharded over devices, inside or outside of a trace.

    Args:
        tensor: an array; a KerasTensor, which has no device, is returned unchanged.
        layout: a TensorLayout, or a JAX sharding.

    Raises ValueError for a layout with more axes, and outside of a trace for one that does not
    divide the array; in a trace XLA pads the array.

    >>> layout = TensorLayout([None], DeviceMesh((1,), ["batch"], ["cpu:0"]))
    >>> distribute_tensor(np.ones(2), layout).sharding == layout.backend_layout
    True
    """
    if isinstance(tensor, KerasTensor):
        return tensor
    if isinstance(layout, TensorLayout):
        traced = isinstance(tensor, jax.core.Tracer)
        check_fits("The tensor", np.shape(tensor), layout, divides=not traced)
        layout = layout.backend_layout
    if isinstance(tensor, jax.core.Tracer):
        return jax.lax.with_sharding_constraint(tensor, layout)
    return jax.device_put(tensor, layout)
