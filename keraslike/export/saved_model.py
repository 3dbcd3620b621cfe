"""The format `tf_saved_model`, which `tf.saved_model.load` reads.

TensorFlow is not imported in this process. A separate process of an interpreter that has TensorFlow
reads the programs as StableHLO and the weights as `.npz`, and writes the SavedModel. It needs no
JAX, and may have other versions of packages.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from keraslike.core import tensorflow_host
from keraslike.export import files, stablehlo, vocabularies
from keraslike.export.endpoints import Endpoint

_WRITER = os.path.join(os.path.dirname(__file__), "tensorflow_process.py")
_NEEDED = (
    "SavedModels are written by TensorFlow: pip install keraslike[tensorflow], or name an "
    f"interpreter that has it in the environment variable {tensorflow_host.INTERPRETER}."
)


def write(
    path: str,
    endpoints: Sequence[Endpoint],
    arrays: dict[str, tuple[Any, np.ndarray]],
    collections: dict[str, list[str]],
    platforms: Sequence[str],
    objects: dict[str, Any] | None = None,
) -> None:
    """Writes a SavedModel whose variables have the names of `arrays`.

    Args:
        objects: the description by `tf.saved_model` of the objects that hold the endpoints.

    Raises ImportError if TensorFlow is not installed, RuntimeError with TensorFlow's message if it
    cannot write the programs.
    """
    with (
        files.placing(path, tensorflow_host.SAVED_MODEL_FILES) as target,
        tempfile.TemporaryDirectory(prefix="keraslike-export-") as staged,
    ):
        stablehlo.write(staged, endpoints, arrays, collections, platforms, True, objects)
        try:
            tensorflow_host.run_program(_WRITER, staged, target, needed=_NEEDED)
        except (KeyError, OSError, TypeError, ValueError, RuntimeError) as error:
            raise RuntimeError(f"TensorFlow could not write '{path}':\n{error}") from None
        vocabularies.write(target, vocabularies.roots(endpoints))
