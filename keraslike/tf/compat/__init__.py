"""`tf.compat`: names of other versions of TensorFlow, and texts as bytes or str."""

from __future__ import annotations

import os
from typing import Any

from keraslike.tf.compat import v1


def as_bytes(bytes_or_text: Any, encoding: str = "utf-8") -> bytes:
    """A text as bytes. Raises TypeError for other values.

    >>> as_bytes("é")
    b'\\xc3\\xa9'
    """
    if isinstance(bytes_or_text, str):
        return bytes_or_text.encode(encoding)
    if isinstance(bytes_or_text, (bytes, bytearray)):
        return bytes(bytes_or_text)
    raise TypeError(f"Expected binary or unicode string, got {bytes_or_text!r}")


def as_text(bytes_or_text: Any, encoding: str = "utf-8") -> str:
    """A text as str. Raises TypeError for other values.

    >>> as_text(b"abc")
    'abc'
    """
    if isinstance(bytes_or_text, bytes):
        return bytes_or_text.decode(encoding)
    if isinstance(bytes_or_text, str):
        return bytes_or_text
    raise TypeError(f"Expected binary or unicode string, got {bytes_or_text!r}")


as_str = as_text


def as_str_any(value: Any, encoding: str = "utf-8") -> str:
    """Any value as str; bytes are decoded.

    >>> as_str_any(3)
    '3'
    """
    return as_text(value, encoding) if isinstance(value, bytes) else str(value)


def path_to_str(path: Any) -> Any:
    """A path object as str; other values are returned unchanged.

    >>> from keraslike import tf
    >>> import pathlib
    >>> tf.compat.path_to_str(pathlib.PurePosixPath("a/b"))
    'a/b'
    """
    return os.fspath(path) if hasattr(path, "__fspath__") else path


def forward_compatible(year: int, month: int, day: int) -> bool:
    """True: keraslike has no compatibility window for older versions.

    >>> from keraslike import tf
    >>> tf.compat.forward_compatible(2020, 1, 1)
    True
    """
    return True


__all__ = [
    *("as_bytes", "as_str", "as_str_any", "as_text", "forward_compatible", "path_to_str", "v1"),
    "v2",
]


def __getattr__(name: str) -> Any:
    if name == "v2":
        import keraslike.tf

        return keraslike.tf
    raise AttributeError(f"module 'tf.compat' has no attribute {name!r}")


__dir__ = __all__.copy
