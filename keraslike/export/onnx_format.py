"""The format `onnx`: one graph of ONNX's operators, which onnxruntime and others run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keraslike.core import foreign
from keraslike.export import (
    files,
    onnx_loops,  # noqa: F401 (it puts its rules into the table)
    primitives,
    vocabularies,
)
from keraslike.export.endpoints import Endpoint
from keraslike.export.onnx_graph import Graph

_MOST = 2 << 30  # bytes that a protocol buffer may have


def write(
    path: str,
    endpoints: Sequence[Endpoint],
    arrays: dict[str, tuple[Any, np.ndarray]],
    collections: dict[str, list[str]],
    platforms: Sequence[str],
) -> None:
    """Writes the only endpoint into a file.

    Raises ImportError without the package `onnx`, and ValueError for several endpoints, for one
    that changes state, and for what ONNX has no operator for, with the layer's name.
    """
    del collections, platforms
    model = made(endpoints, arrays, "A file of ONNX", "keraslike[onnx]")
    vocabularies.beside(path, vocabularies.roots(endpoints))
    files.place_file(path, model.SerializeToString())


def made(
    endpoints: Sequence[Endpoint],
    arrays: dict[str, tuple[Any, np.ndarray]],
    what: str,
    package: str,
    kind: type[Graph] | None = None,
) -> Any:
    """The only endpoint as ONNX's message, made by a kind of graph. `what` is to hold it, and
    `package` brings onnx. Raises as `write` does."""
    onnx = foreign.library("onnx", what, package)
    model = (kind or Graph)(onnx).model(primitives.only(endpoints, what), arrays)
    if model.ByteSize() >= _MOST:
        raise ValueError("A graph of ONNX has less than 2 GiB, weights included.")
    onnx.checker.check_model(model)
    return model
