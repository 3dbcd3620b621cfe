"""Weights of older versions: their places in `.weights.h5` files, and their layout in `.h5` files.

Weights of Keras 1, of Keras 2 with Theano and of cuDNN layers have another layout than in the
current layers: separate gates, other axis orders, mirrored kernels.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from keraslike import layers
from keraslike.models import Model, Sequential
from keraslike.saving.old_names import Origin

_CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
_MIRRORED = (*_CONVOLUTIONS, layers.Conv2DTranspose)
_LSTM_GATES = (0, 2, 1, 3)  # The positions of the input, forget, cell and output gate in Keras 1.


# Attributes of MultiHeadAttention that hold layers -> their names in Keras 2.
_ATTENTION = {f"{name}_dense": f"_{name}_dense" for name in ("query", "key", "value", "output")}
_DEPENDENCIES = "_layer_checkpoint_dependencies"


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a version of Keras walks through objects to the places of their arrays in a weights file.

    Args:
        is_old: whether it is Keras 2, which visits attributes in the order of `dir`, lists the
            layers of every model under `layers`, and stores no objects that it does not reach
            this way.
        enters_containers: whether it visits containers inside of containers.
        counts_all: whether an object in a container that is already stored elsewhere takes a
            number.
        from_last: whether it visits the attributes in reverse order.
        has_dependencies: whether it stores the layers of a model with a graph under a second name,
            and those with weights twice.
    """

    is_old: bool = False
    enters_containers: bool = False
    counts_all: bool = True
    from_last: bool = False
    has_dependencies: bool = False

    def children(self, obj: Any, names: Iterable[str]) -> Iterator[tuple[str, Any]]:
        """The attributes with these names, by Keras 2's names and in its order."""
        is_attention = isinstance(obj, layers.MultiHeadAttention)
        found = {_ATTENTION.get(n, n) if is_attention else n: n for n in names}
        if self.has_dependencies and _has_graph(obj):
            found[_DEPENDENCIES] = ""
        for place in sorted(found, reverse=self.from_last):
            if place == _DEPENDENCIES:
                yield place, [x for x in _listed(obj) for _ in range(1 + bool(x.weights))]
            elif place == "layers" and isinstance(obj, Model):
                yield place, _listed(obj)
            else:
                with contextlib.suppress(Exception):  # A property that raises contains nothing.
                    yield place, getattr(obj, found[place])


KERAS_3 = Layout(enters_containers=True)
_KERAS_3_AT_FIRST = Layout()
_TENSORFLOW_2_12 = Layout(is_old=True, has_dependencies=True)
_TENSORFLOW_2_14 = Layout(is_old=True, has_dependencies=True, counts_all=False)
_TENSORFLOW_2_15 = Layout(is_old=True, from_last=True, counts_all=False)


def layouts(version: tuple[int, ...] | None, names_layers: bool) -> list[Layout]:
    """The layouts that a file may have; the most likely comes first if the version is known.

    Args:
        version: that of the Keras that wrote the file, if it is recorded.
        names_layers: whether the file contains names of layers, which Keras 2 does not write.

    >>> len(layouts((2, 13, 1), names_layers=False)), len(layouts(None, names_layers=False))
    (2, 5)
    """
    if version is not None and version < (3,):
        later = _TENSORFLOW_2_15 if version >= (2, 15) else _TENSORFLOW_2_14
        return [later if version >= (2, 14) else _TENSORFLOW_2_12, KERAS_3]
    if names_layers or version is not None:
        return [KERAS_3, _KERAS_3_AT_FIRST]
    return [
        *(KERAS_3, _KERAS_3_AT_FIRST),
        *(_TENSORFLOW_2_15, _TENSORFLOW_2_14, _TENSORFLOW_2_12),
    ]


def _has_graph(obj: Any) -> bool:
    return isinstance(obj, Sequential) or getattr(obj, "_tensor_graph", None) is not None


def _listed(model: Any) -> list[Any]:
    """The layers of a model in the order of Keras 2, which sorts dicts by their keys."""
    found: dict[int, Any] = {}

    def visit(value: Any) -> None:
        if isinstance(value, layers.Layer):
            found.setdefault(id(value), value)
        elif isinstance(value, dict):
            for key in sorted(value, key=str):
                visit(value[key])
        elif isinstance(value, (list, tuple)):
            for item in value:
                visit(item)

    has_graph = _has_graph(model)
    if has_graph:
        visit(list(model.layers))
    for name, value in model._state_attributes():
        if not (has_graph and name in OF_GRAPHS):
            visit(value)
    return list(found.values())


# Attributes of models with a graph that hold their layers.
OF_GRAPHS = frozenset({"layers", "_layers", "_operations"})


def converted(layer: Any, stored: Sequence[Any], origin: Origin) -> list[Any]:
    """The arrays of a layer in the current layout; arrays that need no conversion are returned
    unchanged.

    Args:
        layer: a layer of the current version, built.
        stored: the file's datasets, the trainable ones first.
        origin: the version that wrote the file.
    """
    arrays = list(stored)
    if not origin.is_old or not arrays:
        return arrays
    if isinstance(layer, layers.Bidirectional) and len(arrays) % 2 == 0:
        half = len(arrays) // 2
        inner = [(layer.forward_layer, arrays[:half]), (layer.backward_layer, arrays[half:])]
        return [a for one, theirs in inner for a in converted(one, theirs, origin)]
    if isinstance(layer, layers.Wrapper) and not isinstance(layer, layers.Bidirectional):
        return converted(layer.layer, arrays, origin)
    if getattr(layer, "_tensor_graph", None) is not None:
        return _of_model(layer, arrays, origin)
    if isinstance(layer, (layers.LSTM, layers.GRU)):
        return _of_gates(layer, arrays)
    if isinstance(layer, _MIRRORED):
        return [_kernel(layer, arrays[0], origin), *arrays[1:]]
    return arrays


def _of_model(model: Any, arrays: list[Any], origin: Origin) -> list[Any]:
    """A nested model: first the trainable weights of all its layers, then the others."""
    inner = [layer for layer in _listed(model) if layer.weights]
    found: list[list[Any]] = [[], []]
    counts = [(_count(x, arrays, origin), len(x.non_trainable_weights)) for x in inner]
    trained = sum(n for n, _ in counts)
    rest = [arrays[:trained], arrays[trained:]]
    for layer, of in zip(inner, counts):
        theirs = [part[:n] for part, n in zip(rest, of)]
        rest = [part[n:] for part, n in zip(rest, of)]
        new = converted(layer, [*theirs[0], *theirs[1]], origin)
        split = len(layer.trainable_weights)
        found[0] += new[:split]
        found[1] += new[split:]
    return [*found[0], *found[1], *rest[0], *rest[1]]


def _count(layer: Any, arrays: list[Any], origin: Origin) -> int:
    """The number of arrays in the file for the trainable weights of a layer: Keras 1 stores gates
    separately."""
    count = len(layer.trainable_weights)
    gates = {layers.LSTM: 4, layers.GRU: 3}.get(type(layer))
    return gates * 3 if gates and origin.version < (2,) and count == 3 else count


def _of_gates(layer: Any, arrays: list[Any]) -> list[Any]:
    is_lstm = isinstance(layer, layers.LSTM)
    gates = 4 if is_lstm else 3
    if len(arrays) == 3 * gates:  # Keras 1: kernel, recurrent kernel and bias of each gate.
        order = _LSTM_GATES if is_lstm else range(gates)
        values = [np.asarray(a[()]) for a in arrays]
        return [np.concatenate([values[3 * gate + i] for gate in order], axis=-1) for i in range(3)]
    if len(arrays) != 3 or tuple(arrays[2].shape) != (2 * gates * layer.units,):
        return arrays
    # cuDNN: transposed kernels, and two concatenated biases.
    kernel, recurrent, bias = (np.asarray(a[()]) for a in arrays)
    shape = (kernel.shape[0], layer.units)
    kernel = np.concatenate(
        [part.T.reshape(shape, order="F") for part in np.split(kernel, gates, axis=1)], axis=1
    )
    recurrent = np.concatenate([part.T for part in np.split(recurrent, gates, axis=1)], axis=1)
    bias = bias.reshape(2, -1)
    return [kernel, recurrent, bias.sum(axis=0) if is_lstm else bias]


def _kernel(layer: Any, stored: Any, origin: Origin) -> Any:
    rank = len(layer.kernel_size)
    before, kernel = stored, stored
    is_first = origin.version < (2,) and isinstance(layer, _CONVOLUTIONS)
    if is_first and rank == 1 and len(stored.shape) == 4:
        kernel = np.asarray(stored[()])
        if kernel.shape[1] != 1:  # Keras 1.0 and 1.1: the filters come first.
            kernel = kernel.transpose(2, 3, 1, 0)
        kernel = kernel[:, 0]
    elif is_first and rank > 1 and layer.data_format == "channels_first":
        kernel = np.asarray(stored[()])
        kernel = kernel.transpose(*range(2, rank + 2), 1, 0)
    if tuple(kernel.shape) != tuple(layer.kernel.shape):
        return before  # The mismatch is reported elsewhere.
    if origin.backend == "theano":  # Theano computes true convolutions, which mirror the kernel.
        kernel = np.asarray(kernel[()])
        kernel = np.flip(kernel, axis=tuple(range(rank)))
    return kernel
