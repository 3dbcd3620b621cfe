"""Encoding and decoding of text: base64, compression, JSON and protocol buffers."""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

from keraslike.tf import dtypes, messages
from keraslike.tf.conversion import convert_to_tensor
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.structure import operates
from keraslike.tf.tensor import Tensor


def _each(function: Callable[[bytes], bytes], given: Any, what: str) -> Tensor:
    array = np.asarray(convert_to_tensor(given, dtype_hint=dtypes.string))
    out = np.empty(array.shape, object)
    for place, item in np.ndenumerate(array):
        try:
            out[place] = function(item)
        except Exception as e:
            raise InvalidArgumentError(f"{what}: {e}") from None
    return Tensor(out)


@operates
def encode_base64(input: Any, pad: bool = False, name: Any = None) -> Tensor:
    """Texts in URL-safe base64, with `pad` padded with `=`.

    >>> encode_base64("a?").numpy()
    b'YT8'
    """

    def encode(text: bytes) -> bytes:
        found = base64.urlsafe_b64encode(text)
        return found if pad else found.rstrip(b"=")

    return _each(encode, input, "Cannot encode")


@operates
def decode_base64(input: Any, name: Any = None) -> Tensor:
    """The decoded bytes of texts in URL-safe base64. Raises InvalidArgumentError for other texts.

    >>> tf.io.decode_base64("aGk").numpy()
    b'hi'
    """

    def decode(text: bytes) -> bytes:
        if b"+" in text or b"/" in text:  # characters of the other alphabet
            raise ValueError
        return base64.b64decode(text + b"=" * (-len(text) % 4), b"-_", validate=True)

    return _each(decode, input, "Invalid character or length found in base64")


@operates
def decode_compressed(bytes: Any, compression_type: str = "", name: Any = None) -> Tensor:
    """Decompressed texts, which were compressed by `"GZIP"` or `"ZLIB"`.

    >>> import zlib
    >>> tf.io.decode_compressed(zlib.compress(b"text"), "ZLIB").numpy()
    b'text'
    """
    known = {"": lambda text: text, "GZIP": gzip.decompress, "ZLIB": zlib.decompress}
    if compression_type not in known:
        raise ValueError(
            f"compression_type must be one of {sorted(known)}. Received: {compression_type!r}"
        )
    return _each(known[compression_type], bytes, "Cannot decompress")


def decode_json_example(json_examples: Any, name: Any = None) -> Tensor:
    """Examples in JSON, converted to the bytes that `parse_example` reads.

    >>> coded = tf.io.decode_json_example(
    ...     '{"features": {"feature": {"a": {"int64List": {"value": ["7"]}}}}}'
    ... )
    >>> tf.train.Example.FromString(coded.numpy()).features.feature["a"].int64_list.value[:]
    [7]
    """
    kind = messages.message("Example")
    return _each(
        lambda text: json_format.Parse(text, kind()).SerializeToString(),
        json_examples,
        "Error while parsing JSON",
    )


class DecodeProto(NamedTuple):
    sizes: Any
    values: Any


def decode_proto(
    bytes: Any,
    message_type: str,
    field_names: Any,
    output_types: Any,
    descriptor_source: Any = "local://",
    message_format: str = "binary",
    sanitize: bool = False,
    name: Any = None,
) -> DecodeProto:
    """Fields of protocol buffers: the number of values of each, and the values.

    Args:
        message_type: the name of the message, with its package.
        field_names: the names of the fields.
        output_types: their dtypes; submessages are strings.
        descriptor_source: the path of a file that `protoc --descriptor_set_out` wrote, or
            `b"bytes://"` followed by the contents of one.
        message_format: `"binary"`.

    Raises ValueError for an unknown message or field, InvalidArgumentError for bytes that cannot be
    parsed.

    >>> from google.protobuf import descriptor_pb2, timestamp_pb2
    >>> described = descriptor_pb2.FileDescriptorSet()
    >>> size = described.file.add().ParseFromString(timestamp_pb2.DESCRIPTOR.serialized_pb)
    >>> source = b"bytes://" + described.SerializeToString()
    >>> data = timestamp_pb2.Timestamp(seconds=7).SerializeToString()
    >>> kind = "google.protobuf.Timestamp"
    >>> sizes, values = tf.io.decode_proto([data], kind, ["seconds"], [tf.int64], source)
    >>> values[0].numpy().tolist()
    [[7]]
    """
    if message_format != "binary":
        raise ValueError(f"message_format must be 'binary'. Received: {message_format!r}")
    message, known = _message(message_type, descriptor_source)
    names = list(field_names)
    missing = [n for n in names if n not in known]
    if missing:
        raise ValueError(f"{message_type} has no field {missing[0]!r}. It has {sorted(known)}.")
    given = np.asarray(convert_to_tensor(bytes, dtype_hint=dtypes.string))
    read = []
    for item in given.ravel().tolist():
        try:
            read.append(message.FromString(item))
        except Exception as e:
            raise InvalidArgumentError(f"Unable to parse {message_type}: {e}") from None
    rows = [[_values(m, known[n]) for m in read] for n in names]
    sizes = np.asarray([[len(v) for v in column] for column in rows], np.int32)
    values = []
    for column, kind in zip(rows, output_types, strict=True):
        kind = dtypes.as_dtype(kind)
        longest = max(map(len, column), default=0)
        filler = b"" if kind is dtypes.string else 0
        out = np.full((len(column), longest), filler, kind.dtype)
        for row, found in zip(out, column):
            row[: len(found)] = found
        values.append(Tensor(out.reshape(*given.shape, longest)))
    return DecodeProto(Tensor(sizes.T.reshape(*given.shape, len(names))), values)


def _message(message_type: str, source: Any) -> tuple[Any, dict[str, Any]]:
    text = source.encode() if isinstance(source, str) else source
    if text in (b"", b"local://"):
        raise ValueError(
            "descriptor_source must be the path of a file of descriptors, or 'bytes://' and "
            f"descriptors. Received: {source!r}"
        )
    if text.startswith(b"bytes://"):
        data = text.removeprefix(b"bytes://")
    else:
        with open(text, "rb") as file:
            data = file.read()
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(data).file:
        pool.Add(file)
    try:
        found = pool.FindMessageTypeByName(message_type)
    except KeyError:
        raise ValueError(f"No descriptor found for message type {message_type!r}.") from None
    return message_factory.GetMessageClass(found), dict(found.fields_by_name)


def _values(message: Any, field: Any) -> list[Any]:
    value = getattr(message, field.name)
    items = list(value) if field.is_repeated else [value] if _is_there(message, field) else []
    return [
        v.SerializeToString() if field.message_type else v.encode() if isinstance(v, str) else v
        for v in items
    ]


def _is_there(message: Any, field: Any) -> bool:
    if field.has_presence:
        return message.HasField(field.name)
    return bool(getattr(message, field.name))


__all__ = [
    *("decode_base64", "decode_compressed", "decode_json_example", "decode_proto"),
    "encode_base64",
]
