"""The format `openvino`: OpenVINO's own files, the graph as `.xml` and its weights as `.bin`.

OpenVINO reads the ONNX graph in memory, simplifies it as its converter does, and writes it. The
converter itself, `openvino.convert_model`, is not used because it sends telemetry.
"""

from __future__ import annotations

import io
import math
import os
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from keraslike.core import foreign
from keraslike.export import files, onnx_format, onnx_graph, vocabularies
from keraslike.export.endpoints import Endpoint


def _weights(model: Any) -> list[Any]:
    """The constants of more than one element."""
    return [
        node
        for node in model.get_ops()
        if node.get_type_name() == "Constant" and math.prod(node.get_output_shape(0)) > 1
    ]


class _Graph(onnx_graph.Graph):
    """A graph of the ONNX operators that OpenVINO supports."""

    format = "OpenVINO"
    scans = False


def write(
    path: str,
    endpoints: Sequence[Endpoint],
    arrays: dict[str, tuple[Any, np.ndarray]],
    collections: dict[str, list[str]],
    platforms: Sequence[str],
) -> None:
    """Writes the only endpoint into `NAME.xml` and `NAME.bin`, with weights in full precision.

    Raises ImportError without the packages `openvino` and `onnx`; ValueError for a path with
    another ending, for several endpoints, for one that changes state, and, with the layer's name,
    for a computation that ONNX or OpenVINO has no operator for.
    """
    del collections, platforms
    if not path.endswith(".xml"):
        raise ValueError(f"OpenVINO's files end in '.xml'. Received: filepath={path!r}")
    openvino = foreign.library("openvino", "The format 'openvino'", "keraslike[openvino]")
    graph = onnx_format.made(endpoints, arrays, "A file of OpenVINO", "keraslike[openvino]", _Graph)
    simplify = foreign.library("openvino._offline_transformations", "The format 'openvino'")
    try:
        model = openvino.Core().read_model(io.BytesIO(graph.SerializeToString()))
        # The transformations would expand quantized weights to four bytes each.
        if not any(c.get_element_type().bitwidth <= 8 for c in _weights(model)):
            simplify.apply_moc_transformations(model, cf=True, smart_reshape=False)
    except RuntimeError as error:
        raise ValueError(f"OpenVINO cannot express a part of the model:\n{error}") from error
    names = {about.name for about in (*graph.graph.input, *graph.graph.output)}
    # Each output also has the name of the node that computes it, which is removed here.
    for node in model.get_ops():
        for tensor in node.outputs():
            tensor.tensor.set_names(tensor.names & names)
    graph_file, weights_file = path, f"{os.path.splitext(path)[0]}.bin"
    with tempfile.TemporaryDirectory(prefix="keraslike-export-") as folder:
        new = os.path.join(folder, "model.xml")
        openvino.save_model(model, new, compress_to_fp16=False)
        with open(new, "rb") as file:
            text = file.read()
        with open(os.path.join(folder, "model.bin"), "rb") as file:
            weights = file.read()
    if os.path.isfile(graph_file):  # an old graph must never be beside new weights
        os.remove(graph_file)
    files.place_file(weights_file, weights)
    files.place_file(graph_file, text)
    vocabularies.write_beside(path, vocabularies.roots(endpoints))
