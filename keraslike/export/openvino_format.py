"""The format `openvino`: OpenVINO's own files, a graph as `.xml`, and as `.bin` its weights.

OpenVINO reads the graph that `onnx_graph.py` makes, in memory, simplifies it as its own converter
does, and writes it. That converter, `openvino.convert_model`, would send statistics to its makers.
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
    """The constants that are numbers, and more than one."""
    return [
        node
        for node in model.get_ops()
        if node.get_type_name() == "Constant" and math.prod(node.get_output_shape(0)) > 1
    ]


class _Graph(onnx_graph.Graph):
    """A graph of those operators that OpenVINO reads."""

    format = "OpenVINO"
    scans = False


def write(
    path: str,
    endpoints: Sequence[Endpoint],
    arrays: dict[str, tuple[Any, np.ndarray]],
    collections: dict[str, list[str]],
    platforms: Sequence[str],
) -> None:
    """Writes the only endpoint into the files `NAME.xml` and `NAME.bin`, with whole weights.

    Raises ImportError without the packages `openvino` and `onnx`, and ValueError for a path with
    another ending, for several endpoints, for one that changes state, and for what ONNX or OpenVINO
    has no operator for, with the layer's name.
    """
    del collections, platforms
    if not path.endswith(".xml"):
        raise ValueError(f"OpenVINO's files end in '.xml'. Received: filepath={path!r}")
    openvino = foreign.library("openvino", "The format 'openvino'", "keraslike[openvino]")
    graph = onnx_format.made(endpoints, arrays, "A file of OpenVINO", "keraslike[openvino]", _Graph)
    simplify = foreign.library("openvino._offline_transformations", "The format 'openvino'")
    try:
        model = openvino.Core().read_model(io.BytesIO(graph.SerializeToString()))
        # It would make numbers of four bytes of weights that are quantized.
        if not any(c.get_element_type().bitwidth <= 8 for c in _weights(model)):
            simplify.apply_moc_transformations(model, cf=True, smart_reshape=False)
    except RuntimeError as error:
        raise ValueError(f"OpenVINO cannot express a part of the model:\n{error}") from error
    names = {about.name for about in (*graph.graph.input, *graph.graph.output)}
    # An output has the name of the node before it, too.
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
    if os.path.isfile(graph_file):  # one graph is never beside the weights of another
        os.remove(graph_file)
    files.place_file(weights_file, weights)
    files.place_file(graph_file, text)
    vocabularies.beside(path, vocabularies.roots(endpoints))
