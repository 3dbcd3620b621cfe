"""Distributions: which of a model's arrays go where; and which distribution is active."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import Any

import jax
from jax.sharding import NamedSharding

from keraslike.core import context, session
from keraslike.core.arguments import warn_user
from keraslike.core.symbolic import KerasTensor
from keraslike.distribution.devices import list_devices
from keraslike.distribution.layout import (
    DeviceMesh,
    TensorLayout,
    check_fits,
    distribute_tensor,
)
from keraslike.training import placement

_MOST_ASKED = 20  # paths that a warning lists


class Distribution:
    """The base of distributions, which place state and batches while they are active.

    Args:
        device_mesh: the devices.
        batch_dim_name: the mesh axis over which batches are sharded.
        auto_shard_dataset: whether, with several processes, each receives all data and uses the
            part that its devices need; otherwise each receives only its own part.

    >>> import keraslike
    >>> isinstance(keraslike.distribution.DataParallel(), Distribution)
    True
    """

    def __init__(
        self,
        device_mesh: DeviceMesh,
        batch_dim_name: str | None = None,
        auto_shard_dataset: bool = True,
    ):
        self.device_mesh, self.batch_dim_name = device_mesh, batch_dim_name
        self.auto_shard_dataset = auto_shard_dataset
        # By Keras's names, which its tests replace.
        self._num_processes, self._process_id = jax.process_count(), jax.process_index()
        self._is_multi_process = self._num_processes > 1

    @property
    def num_processes(self) -> int:
        """The number of processes."""
        return self._num_processes

    @property
    def num_model_replicas(self) -> int:
        """The number of parts into which a batch is divided."""
        if self.batch_dim_name is None:
            raise NotImplementedError(f"{type(self).__name__} has no batch_dim_name.")
        names = list(self.device_mesh.axis_names)
        return self.device_mesh.shape[names.index(self.batch_dim_name)]

    @property
    def data_shard_id(self) -> int:
        """The number of the part of a batch that this process reads. Several processes read the
        same part if it is sharded over their devices."""
        return self._process_id // max(1, self.num_processes // self.num_model_replicas)

    def distribute_dataset(self, dataset: Any) -> Any:
        """A data set with the rows of each batch that this process reads.

        `fit`, `evaluate` and `predict` do not need this call: they accept the whole data set.

        Args:
            dataset: a `tf.data.Dataset` (of keraslike's or of TensorFlow's) of batches.

        Returns `dataset` itself in a single process, and where `auto_shard_dataset` is false.
        Raises ValueError for other data, and for batches that the processes do not divide.

        >>> from keraslike.data import Dataset
        >>> dataset = Dataset.range(8).batch(4)
        >>> DataParallel().distribute_dataset(dataset) is dataset
        True
        """
        if not self._is_multi_process or not self.auto_shard_dataset:
            return dataset
        if not all(hasattr(dataset, name) for name in ("rebatch", "shard", "element_spec")):
            raise ValueError(
                f"dataset of the type {type(dataset)} is not supported for auto-sharding among "
                "several processes: it must be a tf.data.Dataset. fit() takes any data."
            )
        size = _batch_size(dataset)
        if size is None:
            raise ValueError("The batch size of dataset is unknown: make it by dataset.batch(n).")
        parts = min(self.num_processes, self.num_model_replicas)
        if parts == 1:
            return dataset
        if size % parts:
            raise ValueError(
                "Global batch size must be divisible by the number of parts that the processes "
                f"read. Received: a dataset of batches of {size} samples, and {parts} parts."
            )
        part = dataset.rebatch(size // parts).shard(parts, self.data_shard_id)
        part.is_part = True  # so that fit() does not divide it again
        return part

    def get_data_layout(self, data_shape: Sequence[int]) -> TensorLayout:
        """The layout of a batch, which is divided along its first axis."""
        return TensorLayout(
            [self.batch_dim_name, *[None] * (len(data_shape) - 1)], self.device_mesh
        )

    def get_tensor_layout(self, path: str) -> TensorLayout | None:
        """The layout of the outputs of the layer at a path; `None` if XLA decides."""
        return None

    def laid_out(self, path: str, outputs: Any) -> Any:
        """The outputs of the layer at a path, in their layout."""
        layout = self.get_tensor_layout(path)
        if layout is None:
            return outputs

        def one(array: Any) -> Any:
            what = f"The output of the layer '{path}'"
            traced = isinstance(array, (jax.core.Tracer, KerasTensor))
            check_fits(what, array.shape, layout, divides=not traced)
            return distribute_tensor(array, layout)

        return jax.tree.map(one, outputs, is_leaf=lambda a: isinstance(a, KerasTensor))

    @property
    def key(self) -> Any:
        """Distinguishes its programs from those of other distributions with the same layouts."""
        return None

    def get_variable_layout(self, variable: Any) -> TensorLayout:
        """The layout of a Variable."""
        raise NotImplementedError(f"{type(self).__name__} has no get_variable_layout().")

    def sharding_of(self, variable: Any) -> NamedSharding:
        """The same for JAX; raises ValueError for a variable that does not divide so."""
        layout, shape = self.get_variable_layout(variable), variable._raw_value.shape
        check_fits(f"The variable '{getattr(variable, 'path', '')}'", shape, layout)
        return layout.dividing

    def placed(self) -> None:
        """Called when a program was traced whose state and batches it places."""

    def made(self, variable: Any, make: Callable[[], jax.Array], compiled: bool) -> jax.Array:
        """The first value of a Variable, of which each device makes its part.

        Args:
            make: gives all of it.
            compiled: whether it may be compiled; otherwise one device has all of it meanwhile.
        """
        sharding: Any = self.sharding_of(variable)
        if sharding.is_fully_replicated:
            return make()
        placement.note(sharding.mesh)
        if compiled:
            return jax.jit(make, out_shardings=sharding)()
        return placement.put(make(), sharding)

    def assigned(self, old: Any, new: Any) -> Any:
        """A new value of a Variable, divided as the old one is."""
        sharding = getattr(old, "sharding", None)
        if not isinstance(sharding, NamedSharding) or isinstance(new, jax.core.Tracer):
            return new
        return new if sharding.is_fully_replicated else placement.put(new, sharding)

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
    """Data parallelism: the weights are replicated, and each device processes an equal part of a
    batch.

    `fit`, `evaluate` and `predict` give the results of one device except for the order of
    summation: `batch_size` is the total over all devices, batch normalization sees the whole batch,
    and random numbers are the same. A batch that is not divisible, such as the last one of an
    epoch, is padded, and the padding is excluded from every sum. Data that need less than a quarter
    of a device's memory are replicated on all devices.

    Args:
        device_mesh: a mesh; batches are sharded over its first axis.
        devices: names or devices, instead of a mesh; by default all devices.
        auto_shard_dataset: whether, with several processes, each receives all data and uses the
            part that its devices need; otherwise each receives only its own part.

    Raises ValueError if `device_mesh` is not a mesh; warns if `devices` is given as well.

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
            warn_user(f"devices is not used where there is a device_mesh. Received: {devices}")
            devices = None
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
        """The layout that it was created with; replicated by default."""
        return _own_layout(variable) or _whole(variable, self.device_mesh)


class LayoutMap(MutableMapping):
    """Layouts by the paths of Variables, and of layers for their outputs.

    A key is a path or a regular expression for whole paths; a value is a `TensorLayout`, or a tuple
    of names of mesh axes and `None`. A path without a matching key has the layout `None`.

    Args:
        device_mesh: the mesh of layouts without one.

    Raises ValueError for an existing key, an object that is not a layout, and a path that several
    keys match.

    >>> mesh = DeviceMesh((1, 1), ["batch", "model"], ["cpu:0"])
    >>> layouts = LayoutMap(mesh)
    >>> layouts[".*dense.*kernel"] = (None, "model")
    >>> layouts["net/dense_1/kernel"].axes, layouts["net/dense_1/bias"]
    ((None, 'model'), None)
    """

    def __init__(self, device_mesh: DeviceMesh):
        self._layouts: dict[str, TensorLayout] = {}
        self._device_mesh = device_mesh
        self._used: set[str] = set()  # keys that have matched a path
        self._asked: dict[str, None] = {}  # paths
        self._told = False

    def layout_of(self, path: str) -> TensorLayout | None:
        """The layout of a path that there is, which is noted."""
        layout = self[path]
        if len(self._asked) < _MOST_ASKED:
            self._asked[path] = None
        if layout is not None:
            self._used.update(k for k in self._layouts if k == path or re.fullmatch(k, path))
        return layout

    def tell_unused(self) -> None:
        """Warns, once, of keys that no path has matched."""
        unused = [key for key in self._layouts if key not in self._used]
        if self._told or not unused:
            return
        self._told = True
        paths = ", ".join(self._asked)
        warn_user(
            f"These keys of the LayoutMap match no variable and no layer: {unused}. A key is a "
            f"regular expression for the whole path. Paths that were looked for: {paths}"
        )

    @property
    def device_mesh(self) -> DeviceMesh:
        return self._device_mesh

    def __getitem__(self, key: str) -> TensorLayout | None:
        if key in self._layouts:
            return self._layouts[key]
        found = [pattern for pattern in self._layouts if re.fullmatch(pattern, key)]
        if len(found) > 1:
            raise ValueError(
                f"Path '{key}' matches multiple layout specification keys: {found}. Write them so "
                "that a path matches one at most."
            )
        return self._layouts[found[0]] if found else None

    def __setitem__(self, key: str, layout: Any) -> None:
        if key in self._layouts:
            raise ValueError(f"{key} already exist in the LayoutMap, with {self._layouts[key]}.")
        if isinstance(layout, tuple):
            layout = TensorLayout(layout)
        if not isinstance(layout, TensorLayout):
            raise ValueError(
                f"{layout!r} should be a TensorLayout type or a tuple of axes. "
                f"Received: {type(layout).__name__}"
            )
        if layout.device_mesh is None and self._device_mesh is not None:
            layout.device_mesh = self._device_mesh
        self._layouts[key] = layout

    def __delitem__(self, key: str) -> None:
        del self._layouts[key]

    def __len__(self) -> int:
        return len(self._layouts)

    def __iter__(self) -> Iterator[str]:
        return iter(self._layouts)


class ModelParallel(Distribution):
    """Weights sharded over devices according to a LayoutMap, and batches over one axis of its mesh.

    `fit`, `evaluate` and `predict` give the results of one device except for the order of
    summation. An optimizer's moments, averages and accumulated gradients are sharded like the
    weight. A weight without a matching key is replicated.

    Args:
        layout_map: the layouts of weights by their paths (see `model.variables`), and those of the
            outputs of layers by the layers' paths.
        batch_dim_name: the mesh axis over which batches are sharded; the first by default.
        auto_shard_dataset: whether, with several processes, each receives all data and uses the
            part that its devices need; otherwise each receives only its own part.

    Raises ValueError if `layout_map` is not a LayoutMap and, when a weight is created or a program
    is placed, if a layout does not divide it. Warns if a key of the map matches nothing.

    >>> import keraslike as keras, numpy as np
    >>> layouts = LayoutMap(DeviceMesh((1, 1), ["batch", "model"], ["cpu:0"]))
    >>> layouts[".*kernel"] = (None, "model")
    >>> with ModelParallel(layout_map=layouts, batch_dim_name="batch").scope():
    ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4)])
    ...     model.compile(loss="mse")
    ...     history = model.fit(np.ones((8, 2)), np.ones((8, 4)), verbose=0)
    """

    def __init__(
        self,
        *,
        layout_map: LayoutMap | None = None,
        batch_dim_name: str | None = None,
        auto_shard_dataset: bool = True,
        **kwargs: Any,
    ):
        kwargs.pop("device_mesh", None)  # that of the map
        if kwargs:
            raise TypeError(f"ModelParallel does not take {sorted(kwargs)}.")
        if layout_map is None:
            raise ValueError("You must specify a layout_map argument.")
        if not isinstance(layout_map, LayoutMap):
            raise ValueError(
                f"`layout_map` must be a `LayoutMap`. Received: layout_map={layout_map!r}"
            )
        mesh = layout_map.device_mesh
        name = batch_dim_name or mesh.axis_names[0]
        if name not in mesh.axis_names:
            raise ValueError(
                f"batch_dim_name must be among the mesh's axis_names {list(mesh.axis_names)}. "
                f"Received: batch_dim_name={name!r}"
            )
        super().__init__(mesh, name, auto_shard_dataset)
        self._layout_map = layout_map

    @classmethod
    def fsdp(
        cls,
        device_mesh: DeviceMesh | None = None,
        *,
        min_size: int = 1024,
        auto_shard_dataset: bool = True,
    ) -> ModelParallel:
        """Fully sharded data parallelism: batches and weights are sharded over all devices.

        Each weight and its moments are sharded along the longest axis that the first axis of the
        mesh divides; a layer's weights are gathered when it computes (arXiv:2304.11277). Weights
        are created in shards, so that no device has to hold all of them.

        Args:
            device_mesh: a mesh, over whose first axis everything is sharded; all devices by
                default.
            min_size: weights with fewer elements are replicated.

        >>> with ModelParallel.fsdp().scope():
        ...     distribution()
        <FullySharded device_mesh=<DeviceMesh shape=(...,), axis_names=['batch']>>
        """
        if device_mesh is None:
            names = list_devices()
            device_mesh = DeviceMesh((len(names),), ["batch"], names)
        made = FullySharded(
            layout_map=LayoutMap(device_mesh), auto_shard_dataset=auto_shard_dataset
        )
        made.min_size = min_size
        return made

    def get_variable_layout(self, variable: Any) -> TensorLayout:
        """The layout that it was made with, or the map's; otherwise whole on every device."""
        reference = getattr(variable, "reference", None)
        of = variable if reference is None else reference
        layout = _own_layout(of) or self._layout_map.layout_of(getattr(of, "path", ""))
        if layout is None or of._raw_value.shape != variable._raw_value.shape:
            return _whole(variable, self.device_mesh)
        return layout

    def get_tensor_layout(self, path: str) -> TensorLayout | None:
        """The map's layout of this path."""
        return self._layout_map.layout_of(path)

    def placed(self) -> None:
        self._layout_map.tell_unused()

    @property
    def key(self) -> Any:
        return tuple((path, layout.axes) for path, layout in self._layout_map.items())


class FullySharded(ModelParallel):
    """The layout of `ModelParallel.fsdp`: a weight of at least `min_size` numbers is divided along
    the longest axis whose size is a multiple of the number of devices."""

    min_size = 1024

    def get_variable_layout(self, variable: Any) -> TensorLayout:
        """The variable's own layout, or one that divides the longest axis that can be divided."""
        shape = variable._raw_value.shape
        own = _own_layout(variable)
        fitting = [
            i for i, size in enumerate(shape) if size and size % self.num_model_replicas == 0
        ]
        if own is not None or not fitting or math.prod(shape) < self.min_size:
            return own or _whole(variable, self.device_mesh)
        longest = max(fitting, key=lambda i: shape[i])
        axes = [self.batch_dim_name if i == longest else None for i in range(len(shape))]
        return TensorLayout(axes, self.device_mesh)

    @property
    def key(self) -> Any:
        return self.min_size


def _batch_size(dataset: Any) -> int | None:
    """How many samples each batch of a data set has."""
    known = getattr(dataset, "batch_size", None)
    if known is not None or not type(dataset).__module__.startswith("tensorflow."):
        return known
    shapes = [leaf.shape for batch in dataset.take(1) for leaf in jax.tree.leaves(batch)]
    return int(shapes[0][0]) if shapes and all(len(shape) for shape in shapes) else None


def _own_layout(variable: Any) -> TensorLayout | None:
    layout = getattr(variable, "_layout", None)
    return layout if isinstance(layout, TensorLayout) else None


def _whole(variable: Any, mesh: DeviceMesh) -> TensorLayout:
    return TensorLayout([None] * len(variable._raw_value.shape), mesh)


def distribution() -> Distribution | None:
    """The active distribution of this thread, or `None`.

    >>> with DataParallel().scope():
    ...     distribution()
    <DataParallel device_mesh=<DeviceMesh shape=(...,), axis_names=['batch']>>
    >>> distribution()
    """
    return context.state.distribution


def set_distribution(value: Distribution | None) -> None:
    """Sets the active distribution of this thread.

    It applies to the next `fit`, `evaluate` or `predict` of any model, whose weights are moved
    accordingly. With `None` they continue on one device.

    Raises ValueError for an object that is not a Distribution, and for devices that do not exist.

    >>> set_distribution(DataParallel())
    >>> type(distribution()).__name__
    'DataParallel'
    >>> set_distribution(None)
    """
    if value is not None and not isinstance(value, Distribution):
        raise ValueError(f"value must be a Distribution or None. Received: value={value!r}")
    if value is not None:
        _ = value.device_mesh.backend_mesh  # looks for the devices now rather than in fit()
    if value is not context.state.distribution:
        placement.return_random_stream()
    context.state.distribution = value


@session.at_clear_session
def _reset() -> None:
    set_distribution(None)
