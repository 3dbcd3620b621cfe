"""Weights of Keras 1 and 2: where they are in a `.weights.h5` file, and how in a `.h5` file.

There those of Keras 1, of Keras 2 on Theano and of layers for cuDNN lie in another layout than the
layer of today has them: gates apart, axes in another order, kernels mirrored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keraslike import layers
from keraslike.saving.old_names import Origin

_CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
_MIRRORED = (*_CONVOLUTIONS, layers.Conv2DTranspose)
_LSTM_GATES = (0, 2, 1, 3)  # the places of input, forget, cell and output gate in Keras 1


# Attributes that hold layers -> their names in Keras 2.
_ATTRIBUTES = {f"{name}_dense": f"_{name}_dense" for name in ("query", "key", "value", "output")}


def places(path: str, before_2_15: bool) -> list[str]:
    """Where in a weights file the arrays of an object may be: the first group that is there.

    Args:
        path: by the attributes of today.
        before_2_15: whether it is of a version that had another name for `layers`, and counted in
            it each layer with weights twice.

    >>> places("layers/dense_1", before_2_15=True)[-1]
    '_layer_checkpoint_dependencies/dense_2'
    """
    parts = path.split("/")
    found = [path, "/".join(_ATTRIBUTES.get(part, part) for part in parts)]
    if before_2_15:
        for place in list(found):
            parts = place.split("/")
            for i, part in enumerate(parts):
                if part == "layers" and i + 1 < len(parts):
                    parts[i : i + 2] = ["_layer_checkpoint_dependencies", _doubled(parts[i + 1])]
            found.append("/".join(parts))
    return list(dict.fromkeys(found))


def _doubled(name: str) -> str:
    stem, _, number = name.rpartition("_")
    return f"{stem}_{2 * int(number)}" if stem and number.isdigit() else name


def converted(layer: Any, stored: Sequence[Any], origin: Origin) -> list[Any]:
    """The arrays of a layer in today's layout; those that need no change are as they were given.

    Args:
        layer: of today, built.
        stored: the file's datasets, those that train first.
        origin: of the file.
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
    if getattr(layer, "_graph", None) is not None:
        return _of_model(layer, arrays, origin)
    if isinstance(layer, (layers.LSTM, layers.GRU)):
        return _of_gates(layer, arrays, origin)
    if isinstance(layer, _MIRRORED):
        return [_kernel(layer, arrays[0], origin), *arrays[1:]]
    return arrays


def _of_model(model: Any, arrays: list[Any], origin: Origin) -> list[Any]:
    """A model within a model: all that trains of its layers, then all else."""
    inner = [layer for layer in model.layers if layer.weights]
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
    """How many arrays in the file are a layer's that train: Keras 1 has the gates apart."""
    count = len(layer.trainable_weights)
    gates = {layers.LSTM: 4, layers.GRU: 3}.get(type(layer))
    return gates * 3 if gates and origin.version < (2,) and count == 3 else count


def _of_gates(layer: Any, arrays: list[Any], origin: Origin) -> list[Any]:
    is_lstm = isinstance(layer, layers.LSTM)
    gates = 4 if is_lstm else 3
    if len(arrays) == 3 * gates:  # Keras 1: kernel, recurrent kernel and bias of each gate
        order = _LSTM_GATES if is_lstm else range(gates)
        values = [np.asarray(a[()]) for a in arrays]
        return [np.concatenate([values[3 * gate + i] for gate in order], axis=-1) for i in range(3)]
    if len(arrays) != 3 or tuple(arrays[2].shape) != (2 * gates * layer.units,):
        return arrays
    # cuDNN's: kernels transposed, two biases one after the other.
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
        if kernel.shape[1] != 1:  # Keras 1.0 and 1.1: filters first
            kernel = kernel.transpose(2, 3, 1, 0)
        kernel = kernel[:, 0]
    elif is_first and rank > 1 and layer.data_format == "channels_first":
        kernel = np.asarray(stored[()])
        kernel = kernel.transpose(*range(2, rank + 2), 1, 0)
    if tuple(kernel.shape) != tuple(layer.kernel.shape):
        return before  # which will be said not to fit
    if origin.backend == "theano":  # which mirrors kernels, as convolutions of mathematics do
        kernel = np.asarray(kernel[()])
        kernel = np.flip(kernel, axis=tuple(range(rank)))
    return kernel
