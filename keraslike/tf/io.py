"""`tf.io`: files and records, as text tensors."""

from __future__ import annotations

import os
from typing import Any

from keraslike.data import records
from keraslike.data.elements import texts
from keraslike.data.sources import matching, paths
from keraslike.tf.tensor import Tensor, constant, convert_to_tensor


class TFRecordOptions:
    """How a file of records is compressed: `"GZIP"`, `"ZLIB"` or not at all."""

    def __init__(self, compression_type: Any = None, **_: Any):
        self.compression_type = records.compression(compression_type)


TFRecordWriter = records.RecordWriter


def read_file(filename: Any, name: str | None = None) -> Tensor:
    """What is in a file, as one text."""
    (path,) = paths(filename)
    with open(path, "rb") as file:
        return constant(file.read())


def write_file(filename: Any, contents: Any, name: str | None = None) -> None:
    """Writes a text into a file, in a directory that is made where there is none."""
    (path,) = paths(filename)
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    temporary = f"{path}.{os.getpid()}.part"
    with open(temporary, "wb") as file:
        file.write(convert_to_tensor(contents).numpy())
    os.replace(temporary, path)


def matching_files(pattern: Any, name: str | None = None) -> Tensor:
    """The paths that a pattern, or several, match, sorted."""
    try:
        found = matching(pattern)
    except ValueError:
        found = []
    return Tensor(texts(path.encode() for path in found))


__all__ = ["TFRecordOptions", "TFRecordWriter", "matching_files", "read_file", "write_file"]


def __dir__() -> list[str]:
    return list(__all__)
