"""`tf.experimental.extension_type`: functions of extension types."""

from __future__ import annotations

from typing import Any

from keraslike.tf.extension_type import ExtensionType, fields_of

__all__ = ["as_dict"]
__dir__ = __all__.copy


def as_dict(value: ExtensionType) -> dict[str, Any]:
    """The fields of an extension type by name.

    >>> class Point(tf.experimental.ExtensionType):
    ...     x: tf.Tensor
    ...     name: str
    >>> tf.experimental.extension_type.as_dict(Point(tf.constant(1), "a"))["name"]
    'a'
    """
    return fields_of(value)
