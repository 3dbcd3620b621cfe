"""Protocol buffers of TensorFlow's: `tf.train.Example` and its parts, and tensors as bytes.

The messages are described here, in a pool of their own, so that TensorFlow may be imported too.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from keraslike.tf import dtypes

# Fields by name: number and kind; `*` is for repeated, `%` a map from texts, `|` one of several.
_MESSAGES = {
    "BytesList": "value 1 *bytes",
    "FloatList": "value 1 *float",
    "Int64List": "value 1 *int64",
    "Feature": "bytes_list 1 |BytesList, float_list 2 |FloatList, int64_list 3 |Int64List",
    "Features": "feature 1 %Feature",
    "Example": "features 1 Features",
    "FeatureList": "feature 1 *Feature",
    "FeatureLists": "feature_list 1 %FeatureList",
    "SequenceExample": "context 1 Features, feature_lists 2 FeatureLists",
    "Dim": "size 1 int64, name 2 string",
    "TensorShapeProto": "dim 2 *Dim, unknown_rank 3 bool",
    "TensorProto": "dtype 1 int32, tensor_shape 2 TensorShapeProto, version_number 3 int32, "
    "tensor_content 4 bytes, float_val 5 *float, double_val 6 *double, int_val 7 *int32, "
    "string_val 8 *bytes, scomplex_val 9 *float, int64_val 10 *int64, bool_val 11 *bool, "
    "dcomplex_val 12 *double, half_val 13 *int32, uint32_val 16 *uint32, uint64_val 17 *uint64",
}
_KINDS = {
    **{"double": 1, "float": 2, "int64": 3, "uint64": 4, "int32": 5, "bool": 8, "string": 9},
    **{"message": 11, "bytes": 12, "uint32": 13},
}


def _describe(message: Any, fields: str) -> None:
    for line in fields.split(", "):
        name, number, kind = line.split()
        mark, kind = (kind[0], kind[1:]) if kind[0] in "*%|" else ("", kind)
        if mark == "%":
            entry = message.nested_type.add(
                name=name.title().replace("_", "") + "Entry", options={"map_entry": True}
            )
            _describe(entry, f"key 1 string, value 2 {kind}")
            kind = f"{message.name}.{entry.name}"
        field = message.field.add(name=name, number=int(number))
        field.label = 3 if mark in ("*", "%") else 1
        field.type = _KINDS.get(kind, _KINDS["message"])
        if field.type == _KINDS["message"]:
            field.type_name = f".tensorflow.{kind}"
        if mark == "|":
            field.oneof_index = 0


@functools.cache
def _all() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="keraslike/messages.proto", package="tensorflow", syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        if "|" in fields:
            message.oneof_decl.add(name="kind")
        _describe(message, fields)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tensorflow.{name}"))
        for name in _MESSAGES
    }


def message(name: str) -> Any:
    """The class of a message."""
    return _all()[name]


# -- tensors ------------------------------------------------------------------------------------

_NUMBERS = {
    **{"float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int16": 5, "int8": 6, "string": 7},
    **{"complex64": 8, "int64": 9, "bool": 10, "bfloat16": 14, "uint16": 17, "complex128": 18},
    **{"float16": 19, "uint32": 22, "uint64": 23},
}
_NAMES = {number: name for name, number in _NUMBERS.items()}
_VALUES = {
    **{"float32": "float_val", "float64": "double_val", "int64": "int64_val", "bool": "bool_val"},
    **{"uint32": "uint32_val", "uint64": "uint64_val"},
}


def tensor_proto(array: np.ndarray) -> Any:
    """A numpy array, of bytes where it is text, as a `TensorProto`."""
    name = "string" if array.dtype == object else array.dtype.name
    proto = message("TensorProto")(dtype=_NUMBERS[name])
    proto.tensor_shape.SetInParent()
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if name == "string":
        proto.string_val.extend(array.reshape(-1).tolist())
    else:
        proto.tensor_content = np.ascontiguousarray(array).tobytes()
    return proto


def array_of(proto: Any) -> np.ndarray:
    """The array in a `TensorProto`; raises ValueError for one that is damaged."""
    name = _NAMES.get(proto.dtype)
    if name is None:
        raise ValueError(f"A tensor of a dtype that is not known, number {proto.dtype}.")
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    count = int(np.prod(shape, dtype=np.int64))
    dtype = dtypes.as_dtype(name).dtype
    if name == "string":
        items: Any = list(proto.string_val) or _texts(proto.tensor_content, count)
    elif proto.tensor_content:
        items = np.frombuffer(bytearray(proto.tensor_content), dtype)
    elif name in ("float16", "bfloat16"):
        items = np.asarray(proto.half_val, "uint16").view(dtype)
    elif name.startswith("complex"):
        parts = proto.scomplex_val if name == "complex64" else proto.dcomplex_val
        items = np.asarray(parts, f"float{dtype.itemsize * 4}").view(dtype)
    else:
        items = np.asarray(getattr(proto, _VALUES.get(name, "int_val")), dtype)
    if len(items) < count and len(items) and not proto.tensor_content:
        items = [*items, *[items[-1]] * (count - len(items))]  # the last one stands for the rest
    if len(items) != count:
        raise ValueError(f"A tensor of shape {shape} with {len(items)} values.")
    out = np.empty(count, dtype)
    out[:] = items
    return out.reshape(shape)


def _texts(content: bytes, count: int) -> list[bytes]:
    lengths, at = [], 0
    for _ in range(count):
        length = shift = 0
        while content[at] & 128:
            length |= (content[at] & 127) << shift
            shift, at = shift + 7, at + 1
        lengths.append(length | content[at] << shift)
        at += 1
    out = []
    for length in lengths:
        out.append(content[at : at + length])
        at += length
    return out
