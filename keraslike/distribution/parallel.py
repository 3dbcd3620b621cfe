"""Distributions: which of a model's arrays go where; and which distribution is active."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import jax

from keraslike.core import base, context
from keraslike.core.arguments import warn_user
from keraslike.distribution.devices import list_devices
from keraslike.distribution.layout import DeviceMesh, TensorLayout
from keraslike.training import placement


class Distribution:
    """Says where state and batches go while it is active; a subclass says where that is.

    Args:
        device_mesh: the devices.
        batch_dim_name: the axis of the mesh that batches are spread over.
        auto_shard_dataset: where there are several processes, whether each is given all of the
            data, of which it uses what its devices need; otherwise each is given its own part.
    """

    def __init__(
        self,
        device_mesh: DeviceMesh,
        batch_dim_name: str,
        auto_shard_dataset: bool = True,
    ):
        self.device_mesh, self.batch_dim_name = device_mesh, batch_dim_name
        self.auto_shard_dataset = auto_shard_dataset

    @property
    def num_processes(self) -> int:
        """How many processes there are in all."""
        return jax.process_count()

    @property
    def num_model_replicas(self) -> int:
        """Into how many parts a batch is divided."""
        names = list(self.device_mesh.axis_names)
        return self.device_mesh.shape[names.index(self.batch_dim_name)]

    def get_data_layout(self, data_shape: Sequence[int]) -> TensorLayout:
        """Where a batch goes: divided along its first axis."""
        return TensorLayout(
            [self.batch_dim_name, *[None] * (len(data_shape) - 1)], self.device_mesh
        )

    def get_variable_layout(self, variable: Any) -> TensorLayout:
        """Where a Variable goes."""
        raise NotImplementedError(f"{type(self).__name__} has no get_variable_layout().")

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Within the block this is the active distribution."""
        before = distribution()
        set_distribution(self)
        try:
            yield
        finally:
            set_distribution(before)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} device_mesh={self.device_mesh}>"


class DataParallel(Distribution):
    """Every device has all weights and takes an equal part of every batch.

    What `fit`, `evaluate` and `predict` compute is what they compute on one device, but for the
    order of sums: `batch_size` is that of all devices together, batch normalization sees the whole
    batch, random numbers are the same. A batch that does not divide, such as the last one of an
    epoch, is computed whole on each device. Data that fits is kept whole on each device.

    Args:
        device_mesh: a mesh; batches are spread over its first axis.
        devices: names or devices, instead of a mesh; all there are where neither is given.
        auto_shard_dataset: where there are several processes, whether each is given all of the
            data, of which it uses what its devices need; otherwise each is given its own part.

    Raises ValueError for a `device_mesh` that is none, and where `devices` is given as well.

    >>> import keraslike as keras, numpy as np
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile(loss="mse")
    >>> with DataParallel().scope():
    ...     history = model.fit(np.ones((64, 2)), np.ones(64), verbose=0)
    """

    def __init__(
        self,
        device_mesh: DeviceMesh | None = None,
        devices: Sequence[Any] | None = None,
        auto_shard_dataset: bool = True,
    ):
        if device_mesh is not None and devices is not None:
            raise ValueError(
                f"Give device_mesh or devices, not both. Received: device_mesh={device_mesh}, "
                f"devices={devices}"
            )
        if devices is not None and not len(devices):
            raise ValueError(f"devices must hold one at least. Received: devices={devices}")
        if device_mesh is None:
            devices = list_devices() if devices is None else devices
            device_mesh = DeviceMesh((len(devices),), ["batch"], devices)
        elif not isinstance(device_mesh, DeviceMesh):
            raise ValueError(
                "device_mesh must be a DeviceMesh. "
                f"Received: device_mesh={device_mesh!r} of type {type(device_mesh).__name__}"
            )
        elif len(device_mesh.shape) > 1:
            warn_user(
                f"device_mesh has the axes {list(device_mesh.axis_names)}: batches are spread over "
                f"'{device_mesh.axis_names[0]}' alone, and the others compute the same."
            )
        super().__init__(device_mesh, device_mesh.axis_names[0], auto_shard_dataset)

    def get_variable_layout(self, variable: Any) -> TensorLayout:
        """Whole on every device."""
        return TensorLayout([None] * len(variable._raw_value.shape), self.device_mesh)


def distribution() -> Distribution | None:
    """The active distribution of this thread; `None` where there is none.

    >>> with DataParallel().scope():
    ...     distribution()
    <DataParallel device_mesh=<DeviceMesh shape=(...,), axis_names=['batch']>>
    >>> distribution()
    """
    return context.state.distribution


def set_distribution(value: Distribution | None) -> None:
    """Makes a distribution the active one of this thread.

    The next `fit`, `evaluate` or `predict` follows it, of models made before and after alike, and
    moves their weights. With `None` they go on on one device.

    Raises ValueError for what is no Distribution, and for devices that do not exist.
    """
    if value is not None and not isinstance(value, Distribution):
        raise ValueError(f"value must be a Distribution or None. Received: value={value!r}")
    if value is not None:
        _ = value.device_mesh.backend_mesh  # its devices are looked for now, not in fit()
    if value is not context.state.distribution:
        placement.leave()
    context.state.distribution = value


@base.at_clear_session
def _reset() -> None:
    set_distribution(None)
