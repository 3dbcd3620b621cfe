"""A file beside an exported model, with the vocabularies of the layers in front of it.

Layers that look up text compute on the host, so the exported model begins behind them, except in
SavedModels. Programs that run it must look up the same words. `vocabularies.json` has, by layer
name, the words in the order of their indices, the weights of words, and the plain arguments of the
layer.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from keraslike.core.symbolic import KerasTensor
from keraslike.export import files
from keraslike.export.endpoints import Endpoint

NAME = "vocabularies.json"
_LEFT_OUT = ("vocabulary", "idf_weights", "vocabulary_size", "name", "dtype", "trainable")


def roots(endpoints: Sequence[Endpoint]) -> list[Any]:
    """The layers and models of endpoints."""
    return [root for endpoint in endpoints for root in endpoint.roots]


def text_of(roots: Sequence[Any]) -> bytes | None:
    """The contents of the file, for all layers with vocabularies in `roots` and in front of the
    inputs of its models, or `None` if there are none."""
    found: dict[str, Any] = {}
    known: set[int] = set()
    for root in roots:
        for layer in _with_vocabulary(root, known):
            name, count = layer.name, 1
            while name in found:
                name, count = f"{layer.name}_{count}", count + 1
            found[name] = _described(layer)
    return json.dumps(found, ensure_ascii=False, indent=1).encode() if found else None


def write(folder: str, roots: Sequence[Any]) -> None:
    """Writes the file into a folder, if there are vocabularies."""
    text = text_of(roots)
    if text is not None:
        files.write_new(os.path.join(folder, NAME), text)


def write_beside(path: str, roots: Sequence[Any]) -> None:
    """Writes `MODEL.vocabularies.json` beside the file of a model, if there are vocabularies."""
    text = text_of(roots)
    if text is not None:
        files.place_file(f"{os.path.splitext(path)[0]}.{NAME}", text)


def _with_vocabulary(root: Any, known: set[int]) -> Iterator[Any]:
    if id(root) in known:
        return
    known.add(id(root))
    if callable(getattr(root, "get_vocabulary", None)):
        yield root
        return
    if hasattr(root, "_flatten_layers"):
        for layer in root._flatten_layers(include_self=False, recursive=False):
            yield from _with_vocabulary(layer, known)
    inputs = vars(root).get("_inputs") if hasattr(root, "__dict__") else None
    for tensor in jax.tree.leaves(inputs):
        if isinstance(tensor, KerasTensor):
            yield from _before(tensor, known)


def _before(tensor: KerasTensor, known: set[int]) -> Iterator[Any]:
    """The layers with vocabularies that a symbolic tensor was computed by."""
    rest = [tensor]
    while rest:
        history = rest.pop()._keras_history
        if history is not None and id(history.node) not in known:
            known.add(id(history.node))
            yield from _with_vocabulary(history.operation, known)
            rest += history.node.inputs


def _described(layer: Any) -> dict[str, Any]:
    config = {
        key: value
        for key, value in layer.get_config().items()
        if key not in _LEFT_OUT and isinstance(value, (str, int, float, bool, type(None)))
    }
    about = {"class_name": type(layer).__name__, "config": config}
    about["vocabulary"] = layer.get_vocabulary()
    weights = getattr(getattr(layer, "_lookup_layer", layer), "idf_weights", None)
    if weights is not None:
        about["idf_weights"] = np.asarray(weights).tolist()
    return about
