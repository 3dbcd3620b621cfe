"""Writes event files for TensorBoard, with one record for each logged value.

A record consists of its length, the bytes of an `Event` message and a checksum of each. The few
messages that are needed are encoded here, which is less code than a library would add.
"""

from __future__ import annotations

import itertools
import os
import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from keraslike.core.checksums import written
from keraslike.core.errors import naming_file

_FLOAT, _DOUBLE, _STRING = 1, 2, 7  # TensorFlow's numbers for dtypes.
_NUMBERS = {
    **{"float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int16": 5, "int8": 6, "int64": 9},
    **{"complex64": 8, "bool": 10, "bfloat16": 14, "uint16": 17, "complex128": 18, "float16": 19},
    **{"uint32": 22, "uint64": 23},
}
_SCALAR, _TENSOR, _BLOBS = 1, 2, 3  # TensorBoard's numbers for kinds of values.

_numbers = itertools.count()


class EventFile:
    """An event file in a directory; it is created when the first value is logged.

    Values may be anything that numpy converts to an array. The methods are thread-safe.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, EventFile(folder) as events:
    ...     events.scalar("loss", 0.5, step=1)
    ...     events.flush()
    ...     [name.split(".")[:3] for name in os.listdir(folder)]
    [['events', 'out', 'tfevents']]
    """

    def __init__(self, directory: str | os.PathLike, suffix: str = ".v2"):
        self.directory, self._suffix = os.fspath(directory), suffix
        self._file: Any = None
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: dict[int, Any]) -> EventFile:
        return type(self)(self.directory, self._suffix)  # The copy opens its own file.

    def scalar(self, tag: str, value: Any, step: int, description: str = "") -> None:
        """Logs a number."""
        array = _numeric(value, np.float32)
        if array.ndim:
            raise ValueError(f"A scalar is one number. Received for '{tag}': {array.shape}")
        self._log(tag, step, _tensor(_FLOAT, array), "scalars", b"", _SCALAR, description)

    def histogram(
        self, tag: str, values: Any, step: int, buckets: int = 30, description: str = ""
    ) -> None:
        """Logs the distribution of the finite values in an array."""
        values = _numeric(values, np.float64).ravel()
        values = values[np.isfinite(values)]
        table = np.zeros((buckets, 3))  # Left edge, right edge, count.
        if values.size and values.min() == values.max():
            table[:, :2] = values[0]
            table[-1, 2] = values.size
        elif values.size:
            table[:, 2], edges = np.histogram(values, buckets)
            table[:, 0], table[:, 1] = edges[:-1], edges[1:]
        self._log(tag, step, _tensor(_DOUBLE, table), "histograms", b"", _TENSOR, description)

    def image(
        self, tag: str, images: Any, step: int, max_outputs: int = 3, description: str = ""
    ) -> None:
        """Logs images `(samples, height, width, channels)`: floats from 0 to 1, or uint8.

        There are 1 (grey), 2 (grey, alpha), 3 or 4 channels.
        """
        images = np.asarray(images)
        if images.ndim != 4 or images.shape[-1] not in _PNG_KINDS:
            raise ValueError(
                "Images must have shape (samples, height, width, channels), with 1 to 4 channels. "
                f"Received for '{tag}': {images.shape}"
            )
        if images.dtype != np.uint8:
            # Half a step is added, so that values are rounded and 1.0 becomes 255.
            images = np.nan_to_num(_numeric(images, np.float32))
            images = (np.clip(images, 0, 1) * 255 + 0.5).astype(np.uint8)
        height, width = images.shape[1:3]
        texts = [str(width), str(height), *map(_png, images[:max_outputs])]
        self._log(tag, step, _texts(texts, (len(texts),)), "images", b"", _BLOBS, description)

    def audio(
        self, tag: str, sounds: Any, step: int, rate: int, max_outputs: int = 3,
        description: str = "",
    ) -> None:  # fmt: skip
        """Logs audio clips `(clips, frames, channels)` with floats from -1 to 1, at a sampling
        rate."""
        sounds = _numeric(sounds, np.float32)
        if sounds.ndim != 3:
            raise ValueError(
                "Audio clips must have shape (clips, frames, channels). "
                f"Received for '{tag}': {sounds.shape}"
            )
        clips = [part for clip in sounds[:max_outputs] for part in (_wav(clip, rate), "")]
        shape = (len(clips) // 2, 2)  # Each clip has a label.
        self._log(
            tag, step, _texts(clips, shape), "audio", b"\x08\x01\x10\x01", _BLOBS, description
        )

    def text(self, tag: str, texts: Any, step: int, description: str = "") -> None:
        """Logs text, or an array of texts, which TensorBoard renders as Markdown."""
        array = np.asarray(texts)
        self._log(tag, step, _texts(array.ravel().tolist(), array.shape), "text", b"", _TENSOR,
                  description)  # fmt: skip

    def graph(self, tag: str, model_json: str, step: int = 0) -> None:
        """Logs the architecture of a model from its `to_json()`."""
        self._log(tag, step, _texts([model_json], ()), "graph_keras_model", b"1", 0, "")

    def tensor(self, tag: str, value: Any, step: int, metadata: bytes = b"") -> None:
        """Logs an array of numbers or texts, with metadata for a plugin of TensorBoard."""
        array = np.asarray(value)
        text = array.dtype.kind in "SUO"
        tensor = (
            _texts(array.ravel().tolist(), array.shape)
            if text
            else _tensor(_NUMBERS[array.dtype.name], array)
        )
        value = _message((1, str(tag)), (8, tensor), *([(9, metadata)] if metadata else []))
        self._write(_message((1, time.time()), (2, int(step)), (5, _message((1, value)))))

    def graph_def(self, graph: bytes) -> None:
        """Logs a graph of operations."""
        self._write(_message((1, time.time()), (4, graph)))

    def function_graphs(self, tag: str, graphs: list[bytes], step: int) -> None:
        """Logs the graphs of functions that ran in one step."""
        run = _message(*((4, _message((2, graph))) for graph in graphs))
        self._log(tag, step, _texts([run], ()), "graph_run_metadata_graph", b"1", 0, "")

    def flush(self) -> None:
        """Flushes the file to disk."""
        with self._lock, naming_file(self.directory):
            if self._file is not None:
                self._file.flush()

    def close(self) -> None:
        """Closes the file; a new one is created if more is logged."""
        with self._lock, naming_file(self.directory):
            file, self._file = self._file, None
            if file is not None:
                file.close()

    def __enter__(self) -> EventFile:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _log(
        self, tag: str, step: Any, tensor: bytes, plugin: str, content: bytes, kind: int, about: str
    ) -> None:
        plugin_data = _message((1, plugin), (2, content))
        metadata = _message((1, plugin_data), (3, about), (4, kind))
        value = _message((1, str(tag)), (8, tensor), (9, metadata))
        self._write(_message((1, time.time()), (2, int(step)), (5, _message((1, value)))))

    def create(self) -> None:
        """Creates the file, if it is not there yet."""
        with self._lock:
            self._create()

    def _create(self) -> None:
        if self._file is None:
            os.makedirs(self.directory, exist_ok=True)
            now = time.time()
            name = f"events.out.tfevents.{int(now)}.{socket.gethostname()}.{os.getpid()}"
            path = os.path.join(self.directory, f"{name}.{next(_numbers)}{self._suffix}")
            self._file = open(path, "ab")  # noqa: SIM115
            self._file.write(written([_message((1, now), (3, "brain.Event:2"))]))

    def _write(self, event: bytes) -> None:
        with self._lock, naming_file(self.directory):
            self._create()
            self._file.write(written([event]))


# -- messages ---------------------------------------------------------------------------------


def _message(*fields: tuple[int, Any]) -> bytes:
    """A protocol buffer message with integers, doubles, texts and nested messages by field
    number."""
    out = bytearray()
    for number, value in fields:
        if isinstance(value, float):
            out += varint(number << 3 | 1) + struct.pack("<d", value)
        elif isinstance(value, int):
            out += varint(number << 3) + varint(value & (1 << 64) - 1)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return bytes(out)


def varint(value: int) -> bytes:
    """A number as a varint of protocol buffers."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _shape(sizes: tuple[int, ...]) -> bytes:
    return _message(*((2, _message((1, n))) for n in sizes))


def _tensor(dtype: int, array: np.ndarray) -> bytes:
    return _message((1, dtype), (2, _shape(array.shape)), (4, array.tobytes()))


def nodes_of(operations: Iterable[tuple[str, str, list[str]]]) -> bytes:
    """A graph of operations: of each the name, the type and the names of its inputs."""
    return _message(
        *(
            (1, _message((1, name), (2, kind), *((3, given) for given in inputs)))
            for name, kind, inputs in operations
        )
    )


def _texts(texts: list[Any], shape: tuple[int, ...]) -> bytes:
    return _message((1, _STRING), (2, _shape(shape)), *((8, t) for t in texts))


def _numeric(value: Any, dtype: Any) -> np.ndarray:
    return np.ascontiguousarray(np.asarray(value).astype(dtype)).reshape(np.shape(value))


# -- sounds ---------------------------------------------------------------------------------


def _wav(clip: np.ndarray, rate: int) -> bytes:
    frames = np.clip(np.round(clip * 32768), -32768, 32767).astype("<i2").tobytes()
    width = 2 * clip.shape[-1]
    kind = struct.pack("<HHIIHH", 1, clip.shape[-1], rate, rate * width, width, 16)
    head = b"WAVEfmt " + struct.pack("<I", 16) + kind + b"data" + struct.pack("<I", len(frames))
    return b"RIFF" + struct.pack("<I", len(head) + len(frames)) + head + frames


# -- pictures -------------------------------------------------------------------------------


_PNG_KINDS = {1: 0, 2: 4, 3: 2, 4: 6}  # PNG's colour types by the number of channels.


def _png(image: np.ndarray) -> bytes:
    height, width, channels = image.shape
    # Each row starts with the number of its filter, which is 0 for none.
    rows = np.zeros((height, 1 + width * channels), np.uint8)
    rows[:, 1:] = image.reshape(height, -1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, _PNG_KINDS[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows.tobytes())), chunk(b"IEND", b""))
    )
