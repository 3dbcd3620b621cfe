"""TensorFlow's protocol buffers: `tf.train.Example` and its parts, tensors and checkpoints.

The messages are in a separate descriptor pool, so that TensorFlow may be imported as well.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from keraslike.core import protocol_buffers
from keraslike.tf import dtypes
from keraslike.tf.errors import InvalidArgumentError
from keraslike.training.event_files import varint

# Messages in the notation of `protocol_buffers.classes`.
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
    # In these messages packed numbers are bytes, which numpy reads at once.
    "RawFloatList": "value 1 *bytes",
    "RawFeature": "bytes_list 1 |BytesList, float_list 2 |RawFloatList, int64_list 3 |Int64List",
    "RawFeatures": "feature 1 %RawFeature",
    "RawExample": "features 1 RawFeatures",
    "RawFeatureList": "feature 1 *RawFeature",
    "RawFeatureLists": "feature_list 1 %RawFeatureList",
    "RawSequenceExample": "context 1 RawFeatures, feature_lists 2 RawFeatureLists",
    # The contents of checkpoints, and the graphs of their objects.
    "VersionDef": "producer 1 int32",
    "BundleHeader": "num_shards 1 int32, endianness 2 int32, version 3 VersionDef",
    "BundleEntry": "dtype 1 int32, shape 2 TensorShapeProto, shard_id 3 int32, offset 4 int64, "
    "size 5 int64, crc32c 6 fixed32, slices 7 *bytes",
    "ObjectReference": "node_id 1 int32, local_name 2 string",
    "SerializedTensor": "name 1 string, full_name 2 string, checkpoint_key 3 string",
    "TrackableObject": "children 1 *ObjectReference, attributes 2 *SerializedTensor",
    "TrackableObjectGraph": "nodes 1 *TrackableObject",
    "CheckpointState": "model_checkpoint_path 1 string, all_model_checkpoint_paths 2 *string, "
    "all_model_checkpoint_timestamps 3 *double, last_preserved_timestamp 4 double",
    "Dim": "size 1 int64, name 2 string",
    "TensorShapeProto": "dim 2 *Dim, unknown_rank 3 bool",
    "TensorProto": "dtype 1 DataType, tensor_shape 2 TensorShapeProto, version_number 3 int32, "
    "tensor_content 4 bytes, float_val 5 *float, double_val 6 *double, int_val 7 *int32, "
    "string_val 8 *bytes, scomplex_val 9 *float, int64_val 10 *int64, bool_val 11 *bool, "
    "dcomplex_val 12 *double, half_val 13 *int32, uint32_val 16 *uint32, uint64_val 17 *uint64, "
    "float8_val 18 bytes",
}


@functools.cache
def _all() -> dict[str, Any]:
    short = {"float32": "FLOAT", "float64": "DOUBLE", "float16": "HALF"}
    names = {number: dtype.name for number, dtype in dtypes.NUMBERS.items()}
    kinds = {f"DT_{short.get(name, name.upper())}": number for number, name in names.items()}
    enums = {"DataType": {"DT_INVALID": 0} | kinds}
    return protocol_buffers.classes("tensorflow", _MESSAGES, enums)


def message(name: str) -> Any:
    """The class for the name of a message."""
    return _all()[name]


def size_of_floats(count: int) -> int:
    """The number of bytes of a `RawFloatList` of `count` packed numbers."""
    return 4 * count + 2 + (max(4 * count, 1).bit_length() - 1) // 7


def floats(raw: Any) -> np.ndarray:
    """The numbers of a `RawFloatList`."""
    if len(raw.value) == 1:
        data = raw.value[0]
        if len(data) % 4:
            raise InvalidArgumentError(
                f"Could not parse example input: {len(data)} bytes of floats"
            )
        if raw.ByteSize() == size_of_floats(len(data) // 4):
            return np.frombuffer(data, "<f4")
    # The numbers are unpacked, or in several parts.
    whole = message("FloatList").FromString(raw.SerializeToString())
    return np.fromiter(whole.value, np.float32)


# -- tensors ------------------------------------------------------------------------------------

_VALUES = {
    **{"float32": "float_val", "float64": "double_val", "int64": "int64_val", "bool": "bool_val"},
    **{"uint32": "uint32_val", "uint64": "uint64_val", "complex64": "scomplex_val"},
    **{"float16": "half_val", "bfloat16": "half_val", "complex128": "dcomplex_val"},
    **dict.fromkeys(("float8_e5m2", "float8_e4m3fn"), "float8_val"),
}


def number_of(dtype: np.dtype) -> int:
    """TensorFlow's number of a dtype."""
    return dtypes.as_dtype("string" if dtype.kind == "O" else dtype).as_datatype_enum


def dtype_of(number: int) -> dtypes.DType:
    """The dtype for TensorFlow's number. Raises ValueError for an unknown one."""
    try:
        return dtypes.as_dtype(int(number))
    except TypeError:
        raise ValueError(f"The tensor has an unknown dtype, number {number}.") from None


def put_shape(proto: Any, shape: tuple[int, ...]) -> None:
    """Fills a `TensorShapeProto` with sizes."""
    proto.SetInParent()
    for size in shape:
        proto.dim.add(size=size)


def tensor_proto(
    array: np.ndarray,
    packed: bool = False,
    by_value: bool = False,
    shape: tuple[int, ...] | None = None,
) -> Any:
    """A numpy array (for text, of bytes) as a `TensorProto`.

    TensorFlow packs the texts of sparse tensors into one text (`packed`), and
    `tf.make_tensor_proto`
    writes single numbers, bools and complex numbers as values instead of bytes (`by_value`), and
    so the values of a larger `shape`, of which the last one stands for those that follow.
    """
    name = "string" if array.dtype == object else array.dtype.name
    proto = message("TensorProto")(dtype=number_of(array.dtype))
    put_shape(proto.tensor_shape, array.shape if shape is None else shape)
    flat = array.reshape(-1)
    if name == "string" and packed:
        lengths = b"".join(map(varint, map(len, flat)))
        proto.tensor_content = lengths + b"".join(flat)
    elif name == "string":
        proto.string_val.extend(flat.tolist())
    elif by_value and (array.size == 1 or shape or name == "bool" or array.dtype.kind == "c"):
        kind = _VALUES.get(name, "int_val")
        if array.dtype.kind == "c":
            flat = np.stack([flat.real, flat.imag], -1).reshape(-1)
        elif kind == "half_val":
            flat = flat.view("uint16")
        elif kind == "float8_val":
            proto.float8_val = flat.tobytes()
            return proto
        getattr(proto, kind).extend(flat.tolist())
    else:
        proto.tensor_content = np.ascontiguousarray(array).tobytes()
    return proto


def array_of(proto: Any) -> np.ndarray:
    """The array in a `TensorProto`. Raises ValueError for a damaged one."""
    name = dtype_of(proto.dtype).name
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    count = int(np.prod(shape, dtype=np.int64))
    dtype = dtypes.as_dtype(name).dtype
    if name == "string":
        items: Any = list(proto.string_val) or _texts(proto.tensor_content, count)
    elif proto.tensor_content:
        items = np.frombuffer(bytearray(proto.tensor_content), dtype)
    else:
        values = getattr(proto, kind := _VALUES.get(name, "int_val"))
        if kind == "half_val":
            items = np.asarray(values, "uint16").view(dtype)
        elif kind == "float8_val":
            items = np.frombuffer(values, dtype)
        elif name.startswith("complex"):
            items = np.asarray(values, f"float{dtype.itemsize * 4}").view(dtype)
        else:
            items = np.asarray(values, dtype)
    if len(items) < count and len(items) and not proto.tensor_content:
        items = [*items, *[items[-1]] * (count - len(items))]  # the last value is repeated
    if len(items) != count:
        raise ValueError(f"The tensor of shape {shape} has {len(items)} values.")
    out = np.empty(count, dtype)
    out[:] = items
    return out.reshape(shape)


def _texts(content: bytes, count: int) -> list[bytes]:
    lengths, at = varints(content, 0, count)
    return pieces(content, at, lengths)


def varints(content: bytes, at: int, count: int) -> tuple[list[int], int]:
    """A number of varints in bytes, and the position after them."""
    found = []
    for _ in range(count):
        value = shift = 0
        while content[at] & 128:
            value |= (content[at] & 127) << shift
            shift, at = shift + 7, at + 1
        found.append(value | content[at] << shift)
        at += 1
    return found, at


def pieces(content: bytes, at: int, lengths: list[int]) -> list[bytes]:
    """Consecutive parts of bytes with given lengths, from a position on."""
    out = []
    for length in lengths:
        out.append(content[at : at + length])
        at += length
    return out
