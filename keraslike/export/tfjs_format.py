"""The format `tfjs`: a folder of `model.json` and files of weights, for TensorFlow.js.

It holds a graph-model (`tf.loadGraphModel`), whose inputs and outputs have names.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from keraslike.export import (
    files,
    primitives,
    tf_graph,
    tf_loops,
    tf_slices,
    tf_windows,
    vocabularies,
)
from keraslike.export.endpoints import Endpoint

MODEL = "model.json"
_SHARD = 4 << 20  # bytes of a file that browsers cache
_RULES = (tf_loops, tf_slices, tf_windows)  # importing them registers their rules with `tf_graph`


def write(
    path: str,
    endpoints: Sequence[Endpoint],
    arrays: dict[str, tuple[Any, np.ndarray]],
    collections: dict[str, list[str]],
    platforms: Sequence[str],
) -> None:
    """Writes the only endpoint as a graph-model.

    Raises ValueError for several endpoints, for one that changes state, and, with the layer's name,
    for a computation that TensorFlow.js has no operation for.
    """
    del collections, platforms
    endpoint = primitives.only(endpoints, "A graph-model of TensorFlow.js")
    graph = tf_graph.Graph()
    inputs, outputs = graph.fill(endpoint, arrays)
    signature = {
        "inputs": {name: _described(name, aval) for name, aval in inputs.items()},
        "outputs": {name: _described(name, aval) for name, aval in outputs.items()},
    }
    roots = vocabularies.roots(endpoints)
    place(path, "graph-model", graph.as_json(), graph.values, roots, signature=signature)


def _described(name: str, aval: Any) -> dict[str, Any]:
    sizes = [{"size": str(n) if isinstance(n, int) else "-1"} for n in aval.shape]
    dtype = tf_graph.type_(tf_graph.kind_of(aval.dtype))["type"]
    return {"name": f"{name}:0", "dtype": dtype, "tensorShape": {"dim": sizes}}


def place(
    path: str,
    kind: str,
    topology: dict[str, Any],
    arrays: dict[str, np.ndarray],
    roots: Sequence[Any],
    **more: Any,
) -> None:
    """Writes the folder of a model, and replaces an older one.

    Args:
        kind: the format that `model.json` names.
        roots: the layers and models that are exported, which may have vocabularies.
        more: additional entries of `model.json`.
    """
    weights, parts = [], []
    for name, array in arrays.items():
        about, data = _stored(array)
        weights.append({"name": name, "shape": list(array.shape), **about})
        parts.append(data)
    data = b"".join(parts)
    pieces = [data[i : i + _SHARD] for i in range(0, len(data), _SHARD)] or [b""]
    names = [f"group1-shard{i + 1}of{len(pieces)}.bin" for i in range(len(pieces))]
    sums = {n: hashlib.sha256(piece).hexdigest() for n, piece in zip(names, pieces, strict=True)}
    model = {
        "format": kind,
        "generatedBy": "keraslike",
        "convertedBy": None,
        **more,
        "userDefinedMetadata": {"sha256": sums},  # the format itself has no checksums
        "modelTopology": topology,
        "weightsManifest": [{"paths": names, "weights": weights}],
    }
    with files.placing(path, (MODEL,)) as folder:
        contents = {MODEL: json.dumps(model).encode(), **dict(zip(names, pieces, strict=True))}
        for name, content in contents.items():
            files.write_new(os.path.join(folder, name), content)
        vocabularies.write(folder, roots)


def _stored(array: np.ndarray) -> tuple[dict[str, Any], bytes]:
    """The manifest's description of an array, and its bytes. 8-bit integers keep one byte each."""
    kind = tf_graph.kind_of(array.dtype)
    if array.dtype.name in ("int8", "uint8"):
        least = -128 if array.dtype.name == "int8" else 0
        packed = {"dtype": "uint8", "min": least, "scale": 1}
        data = (array.astype("int16") - least).astype("uint8").tobytes()
        return {"dtype": "int32", "quantization": packed}, data
    return {"dtype": kind}, np.ascontiguousarray(array.astype(kind)).tobytes()
