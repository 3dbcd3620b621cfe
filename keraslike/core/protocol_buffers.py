"""Protocol buffer messages that are described in a compact table, without the protobuf compiler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_KINDS = {
    **{"double": 1, "float": 2, "int64": 3, "uint64": 4, "int32": 5, "bool": 8, "string": 9},
    **{"fixed32": 7, "bytes": 12, "uint32": 13},
}
_MESSAGE, _ENUM = 11, 14


def classes(
    package: str, messages: Mapping[str, str], enums: Mapping[str, Mapping[str, int]] | None = None
) -> dict[str, Any]:
    """The classes of messages, in a descriptor pool of their own, since other libraries may define
    messages of the same names.

    Args:
        messages: by a message's name its fields, each a name, a number and a kind; `*` before the
            kind is for repeated ones, `%` for a map from texts, `|` for one of several.
        enums: numbers by their names.

    >>> point = classes("doc", {"Point": "x 1 int64, names 2 *string"})["Point"]
    >>> point.FromString(point(x=3, names=["a"]).SerializeToString()).x
    3
    """
    enums = enums or {}
    file = descriptor_pb2.FileDescriptorProto(
        name=f"keraslike/{package}.proto", package=package, syntax="proto3"
    )
    for name, numbers in enums.items():
        enum = file.enum_type.add(name=name)
        for label, number in numbers.items():
            enum.value.add(name=label, number=number)
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        if "|" in fields:
            message.oneof_decl.add(name="kind")
        _describe(message, fields, package, enums)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in messages
    }


def _describe(message: Any, fields: str, package: str, enums: Mapping[str, Any]) -> None:
    for line in fields.split(", "):
        name, number, kind = line.split()
        mark, kind = (kind[0], kind[1:]) if kind[0] in "*%|" else ("", kind)
        if mark == "%":
            entry = message.nested_type.add(
                name=name.title().replace("_", "") + "Entry", options={"map_entry": True}
            )
            _describe(entry, f"key 1 string, value 2 {kind}", package, enums)
            kind = f"{message.name}.{entry.name}"
        field = message.field.add(name=name, number=int(number))
        field.label = 3 if mark in ("*", "%") else 1
        field.type = _KINDS.get(kind, _ENUM if kind in enums else _MESSAGE)
        if field.type in (_MESSAGE, _ENUM):
            field.type_name = f".{package}.{kind}"
        if mark == "|":
            field.oneof_index = 0
