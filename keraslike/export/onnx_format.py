"""The format `onnx`: one graph of ONNX's operators, which onnxruntime and others run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keraslike.core import foreign
from keraslike.export import (
    files,
    onnx_loops,  # noqa: F401 (the import registers its rules with `onnx_graph`)
    primitives,
    vocabularies,
)
from keraslike.export.endpoints import Endpoint
from keraslike.export.onnx_graph import Graph

_MAX_BYTES = 2 << 30  # the limit of a protocol buffer


def write(
    path: str,
    endpoints: Sequence[Endpoint],
    arrays: dict[str, tuple[Any, np.ndarray]],
    collections: dict[str, list[str]],
    platforms: Sequence[str],
) -> None:
    """Writes the only endpoint into a file.

    Raises ImportError without the package `onnx`; ValueError for several endpoints, for one that
    changes state, and, with the layer's name, for a computation that ONNX has no operator for.
    """
    del collections, platforms
    model = made(endpoints, arrays, "A file of ONNX", "keraslike[onnx]")
    vocabularies.write_beside(path, vocabularies.roots(endpoints))
    files.place_file(path, model.SerializeToString())


def made(
    endpoints: Sequence[Endpoint],
    arrays: dict[str, tuple[Any, np.ndarray]],
    what: str,
    package: str,
    kind: type[Graph] | None = None,
) -> Any:
    """The only endpoint as an ONNX `ModelProto`. Raises what `write` does.

    Args:
        what: what is being written, for errors.
        package: the requirement that installs `onnx`, for errors.
        kind: the class that builds the graph.
    """
    onnx = foreign.library("onnx", what, package)
    model = (kind or Graph)(onnx).model(primitives.only(endpoints, what), arrays)
    if model.ByteSize() >= _MAX_BYTES:
        raise ValueError(
            "An ONNX graph must be smaller than 2 GiB, weights included. "
            f"This one has {model.ByteSize():,} bytes."
        )
    onnx.checker.check_model(model)
    return model
