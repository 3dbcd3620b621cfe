"""The format, the signatures and the custom operators of exported files.

The files are read as data, without the libraries that run them. A file that does not conform to its
format raises DamagedFile.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import struct
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree

from flatbuffers import number_types
from flatbuffers.table import Table
from google.protobuf.message import DecodeError

from keraslike.core import json_texts, protocol_buffers, tensorflow_host
from keraslike.core.errors import DamagedFile
from keraslike.export.endpoints import Spec

_MAX_BYTES = 2 << 30  # the limit of protocol buffers and flat buffers


@dataclasses.dataclass(frozen=True)
class Signature:
    """A function in a file, with its name, inputs and outputs."""

    name: str
    inputs: list[Spec]
    outputs: list[Spec]


@dataclasses.dataclass(frozen=True)
class Described:
    """The format of a file, its functions, and its operators that are not standard."""

    kind: str
    signatures: list[Signature]
    custom: list[str] = dataclasses.field(default_factory=list)


def described(path: str) -> Described | None:
    """The description of a file or folder, or `None` if its name and content show none of these
    formats."""
    reader: Callable[[str], Described] | None = None
    if os.path.isdir(path):
        if tensorflow_host.is_saved_model(path):
            reader = _saved_model
        elif _is_graph_model(path):
            reader = _graph_model
    else:
        reader = _BY_ENDING.get(os.path.splitext(path)[1]) or _by_content(path)
    if reader is None:
        return None
    try:
        return reader(path)
    except DamagedFile:
        raise
    except (
        *(DecodeError, ElementTree.ParseError, struct.error, ValueError, KeyError, TypeError),
        *(AttributeError, IndexError, OverflowError, RecursionError),
    ) as error:
        raise DamagedFile(f"'{path}' is damaged, or of another format: {error}") from error


def _by_content(path: str) -> Callable[[str], Described] | None:
    with open(path, "rb") as file:
        head = file.read(8)
    if head[4:] == _LITERT_MARK:
        return _litert
    if head[:1] == b"\x08":  # the tag of the first field of an ONNX message, the version
        return _onnx
    return _graph_model if path.endswith(".json") and _is_graph_model(path) else None


def _bytes(path: str) -> bytes:
    if os.path.getsize(path) > _MAX_BYTES:
        raise ValueError(f"it has more than {_MAX_BYTES:,} bytes")
    with open(path, "rb") as file:
        return file.read()


# -- protocol buffers: SavedModels and ONNX -------------------------------------------------------

_SAVED_MODEL_MESSAGES = {
    "SavedModel": "schema 1 int64, meta_graphs 2 *MetaGraph",
    "MetaGraph": "about 1 About, signatures 5 %SignatureDef",
    "About": "tags 4 *string, tensorflow_version 5 string",
    "SignatureDef": "inputs 1 %TensorInfo, outputs 2 %TensorInfo",
    "TensorInfo": "dtype 2 int32, shape 3 Shape",
    "Shape": "dim 2 *Dim, unknown_rank 3 bool",
    "Dim": "size 1 int64",
}
_ONNX_MESSAGES = {
    "Model": "producer 2 string, graph 7 Graph, opsets 8 *Opset",
    "Opset": "domain 1 string, version 2 int64",
    "Graph": "nodes 1 *Node, name 2 string, weights 5 *Weight, inputs 11 *Value, outputs 12 *Value",
    "Node": "kind 4 string, domain 7 string",
    "Weight": "name 8 string",
    "Value": "name 1 string, type 2 Type",
    "Type": "tensor 1 Tensor",
    "Tensor": "dtype 1 int32, shape 2 Shape",
    "Shape": "dim 1 *Dim",
    "Dim": "size 1 int64, symbol 2 string",
}
_TENSORFLOW_DTYPES = (
    "? float32 float64 int32 uint8 int16 int8 string complex64 int64 bool qint8 quint8 qint32 "
    "bfloat16 qint16 quint16 uint16 complex128 float16 resource variant uint32 uint64"
)
_ONNX_DTYPES = (
    "? float32 uint8 int8 uint16 int16 int32 int64 string bool float16 float64 uint32 uint64 "
    "complex64 complex128 bfloat16"
)


@functools.cache
def _saved_classes() -> dict[str, Any]:
    return protocol_buffers.classes("keraslike.saved_model", _SAVED_MODEL_MESSAGES)


@functools.cache
def _onnx_classes() -> dict[str, Any]:
    return protocol_buffers.classes("keraslike.onnx", _ONNX_MESSAGES)


def _saved_model(path: str) -> Described:
    file = os.path.join(path, "saved_model.pb")
    if not os.path.isfile(file):
        return Described("SavedModel as text, whose signatures are not read", [])
    model = _saved_classes()["SavedModel"].FromString(_bytes(file))
    if not model.meta_graphs:
        raise ValueError("it has no graph")

    def specs(of: Any) -> list[Spec]:
        return [
            Spec(
                tuple(_size(d.size) for d in of[name].shape.dim),
                _dtype_name(_TENSORFLOW_DTYPES, of[name].dtype),
                name,
            )
            for name in sorted(of)
        ]

    signatures = [
        Signature(name, specs(graph.signatures[name].inputs), specs(graph.signatures[name].outputs))
        for graph in model.meta_graphs
        for name in sorted(graph.signatures)
        if not name.startswith("__")  # the initialization functions of TensorFlow 1
    ]
    about = model.meta_graphs[0].about
    return Described(
        f"SavedModel of TensorFlow {about.tensorflow_version}, for {', '.join(sorted(about.tags))}",
        signatures,
    )


def _program(name: str | None) -> str:
    return name or "an unknown program"


def _size(n: int) -> int | None:
    return None if n < 0 else n


def _dtype_name(names: str, number: int) -> str:
    """The dtype of an enumeration's number, from its names in order."""
    each = names.split()
    return each[number] if 0 <= number < len(each) else f"dtype {number}"


def _onnx(path: str) -> Described:
    model = _onnx_classes()["Model"].FromString(_bytes(path))
    graph = model.graph
    if not graph.nodes or not graph.outputs:
        raise ValueError("it has no graph")
    weights = {weight.name for weight in graph.weights}

    def spec(value: Any) -> Spec:
        tensor = value.type.tensor
        shape = tuple(None if dim.symbol or dim.size < 0 else dim.size for dim in tensor.shape.dim)
        return Spec(shape, _dtype_name(_ONNX_DTYPES, tensor.dtype), value.name)

    inputs = [spec(value) for value in graph.inputs if value.name not in weights]
    standard = ("", "ai.onnx")
    versions = [str(o.version) for o in model.opsets if o.domain in standard]
    custom = {f"{n.domain}.{n.kind}" for n in graph.nodes if n.domain not in standard}
    return Described(
        f"ONNX, operators of version {', '.join(versions)}, by {_program(model.producer)}",
        [Signature(graph.name, inputs, [spec(value) for value in graph.outputs])],
        sorted(custom),
    )


# -- flat buffers: LiteRT -------------------------------------------------------------------------

_LITERT_DTYPES = (
    "float32 float16 int32 uint8 int64 string bool int16 complex64 int8 float64 complex128 uint64 "
    "resource variant uint32 uint16 int4 bfloat16"
)
_LITERT_MARK = b"TFL3"
_MAX_ENTRIES = 1_000_000  # of a list
_CUSTOM_CODE = 32  # the code of operators that the file names itself


class _FlatTable:
    """A table of a flat buffer, whose fields are read by number."""

    def __init__(self, data: bytes, at: int):
        self.data, self.table = data, Table(data, at)

    def _at(self, field: int) -> int:
        offset = self.table.Offset(4 + 2 * field)
        return offset and self.table.Pos + offset

    def number(self, field: int, flags: Any) -> int:
        at = self._at(field)
        return self.table.Get(flags, at) if at else 0

    def text(self, field: int) -> str:
        at = self._at(field)
        return bytes(self.table.String(at)).decode() if at else ""

    def _items(self, field: int) -> Iterator[int]:
        at = self._at(field)
        if not at:
            return
        start, count = (
            self.table.Vector(at - self.table.Pos),
            self.table.VectorLen(at - self.table.Pos),
        )
        if count > _MAX_ENTRIES or not 0 <= start <= start + 4 * count <= len(self.data):
            raise ValueError(f"a list of {count:,} entries")
        yield from range(start, start + 4 * count, 4)

    def tables(self, field: int) -> list[_FlatTable]:
        return [_FlatTable(self.data, self.table.Indirect(at)) for at in self._items(field)]

    def numbers(self, field: int) -> list[int]:
        return [self.table.Get(number_types.Int32Flags, at) for at in self._items(field)]


def _litert(path: str) -> Described:
    data = _bytes(path)
    if data[4:8] != _LITERT_MARK:
        raise ValueError("it does not begin as files of LiteRT do")
    model = _FlatTable(data, struct.unpack_from("<I", data)[0])
    graphs = model.tables(2)

    tensors = functools.cache(lambda graph: graph.tables(0))

    def spec(graph: _FlatTable, number: int, name: str = "") -> Spec:
        tensor = tensors(graph)[number]
        sizes = tensor.numbers(7) or tensor.numbers(0)
        dtype = _dtype_name(_LITERT_DTYPES, tensor.number(1, number_types.Int8Flags))
        return Spec(tuple(map(_size, sizes)), dtype, name or tensor.text(3))

    def named(graph: _FlatTable, entries: list[_FlatTable]) -> list[Spec]:
        kind = number_types.Uint32Flags
        return [spec(graph, entry.number(1, kind), entry.text(0)) for entry in entries]

    signatures = [
        Signature(about.text(2), named(graph, about.tables(0)), named(graph, about.tables(1)))
        for about in model.tables(7)
        for graph in [graphs[about.number(4, number_types.Uint32Flags)]]
    ]
    if not signatures:  # a file of an older converter
        graph = graphs[0]
        inputs, outputs = ([spec(graph, n) for n in graph.numbers(field)] for field in (1, 2))
        signatures = [Signature("", inputs, outputs)]
    codes = model.tables(1)
    kinds = (
        max(c.number(0, number_types.Int8Flags), c.number(3, number_types.Int32Flags))
        for c in codes
    )
    custom = sorted({c.text(1) for c, kind in zip(codes, kinds) if kind == _CUSTOM_CODE})
    return Described(f"LiteRT, by {_program(model.text(3))}", signatures, custom)


# -- XML: OpenVINO --------------------------------------------------------------------------------

_OPENVINO_DTYPES = {"fp32": "float32", "fp64": "float64", "fp16": "float16", "bf16": "bfloat16"}
_OPENVINO_DTYPES |= {
    f"{kind}{n}": f"{'u' * (kind == 'u')}int{n}" for kind in "iu" for n in (4, 8, 16, 32, 64)
}
_OPENVINO_DTYPES |= {"boolean": "bool", "bool": "bool"}


def _openvino(path: str) -> Described:
    text = _bytes(path)
    if re.search(rb"\0|<!(DOCTYPE|ENTITY)", text):
        raise ValueError("it defines entities")
    net = ElementTree.fromstring(text)
    layers = net.findall("layers/layer")
    if net.tag != "net" or not layers:
        raise ValueError("it has no graph")

    def spec(layer: Any, port: Any) -> Spec:
        name = (port.get("names") or layer.get("name")).split(",")[0]
        shape = tuple(_size(int(dim.text or "")) for dim in port.findall("dim"))
        kind = str(port.get("precision")).lower()
        return Spec(shape, _OPENVINO_DTYPES.get(kind, kind), name)

    sources = {}  # the id of a result -> the port that it is connected to
    ports = {
        (layer.get("id"), port.get("id")): port
        for layer in layers
        for port in layer.findall("output/port")
    }
    for edge in net.findall("edges/edge"):
        sources[edge.get("to-layer")] = ports[edge.get("from-layer"), edge.get("from-port")]
    inputs, outputs = [], []
    for layer in layers:
        if layer.get("type") == "Parameter":
            inputs.append(spec(layer, layer.find("output/port")))
        elif layer.get("type") == "Result":
            outputs.append(spec(layer, sources[layer.get("id")]))
    versions = {layer.get("version", "") for layer in layers}
    newest = max(versions, key=lambda v: int("".join(filter(str.isdigit, v)) or 0))
    custom = {
        f"{layer.get('version')}.{layer.get('type')}"
        for layer in layers
        if not re.fullmatch(r"opset\d+", layer.get("version", ""))
    }
    kind = f"OpenVINO, operators up to {newest}"
    return Described(kind, [Signature(net.get("name", ""), inputs, outputs)], sorted(custom))


# -- JSON: graph-models of TensorFlow.js ----------------------------------------------------------

_MODEL = "model.json"
_GRAPH_MODEL_DTYPES = {
    "DT_FLOAT": "float32",
    "DT_BOOL": "bool",
    "DT_STRING": "string",
    "DT_INT32": "int32",
}


def _model_json(path: str) -> Any:
    file = os.path.join(path, _MODEL) if os.path.isdir(path) else path
    return json_texts.parse_json(_bytes(file).decode())


def _is_graph_model(path: str) -> bool:
    file = os.path.join(path, _MODEL) if os.path.isdir(path) else path
    if not os.path.isfile(file):
        return False
    try:
        about = _model_json(path)
    except ValueError:
        return False
    return isinstance(about, dict) and about.get("format") == "graph-model"


def _graph_model(path: str) -> Described:
    about = _model_json(path)

    def specs(of: dict[str, Any]) -> list[Spec]:
        found = []
        for name, one in of.items():
            sizes = [int(dim["size"]) for dim in one.get("tensorShape", {}).get("dim", [])]
            dtype = str(one["dtype"])
            found.append(
                Spec(tuple(map(_size, sizes)), _GRAPH_MODEL_DTYPES.get(dtype, dtype), name)
            )
        return found

    found = about.get("signature") or {}
    signature = Signature("", specs(found.get("inputs", {})), specs(found.get("outputs", {})))
    nodes = about["modelTopology"]["node"]
    kind = f"Graph-model of TensorFlow.js, by {_program(about.get('generatedBy'))}"
    return Described(f"{kind}, {len(nodes)} nodes", [signature])


_BY_ENDING = {".onnx": _onnx, ".tflite": _litert, ".xml": _openvino}
