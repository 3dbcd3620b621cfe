"""`tf.compat`: names of other versions of TensorFlow, and texts as bytes or str."""

from __future__ import annotations

import contextlib
import numbers
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from keraslike.tf.compat import v1
from keraslike.tf.dimensions import Dimension
from keraslike.tf.dtypes import TensorShape


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

    >>> import pathlib
    >>> tf.compat.path_to_str(pathlib.PurePosixPath("a/b"))
    'a/b'
    """
    return os.fspath(path) if hasattr(path, "__fspath__") else path


def forward_compatible(year: int, month: int, day: int) -> bool:
    """True: keraslike has no compatibility window for older versions.

    >>> tf.compat.forward_compatible(2020, 1, 1)
    True
    """
    return True


@contextlib.contextmanager
def forward_compatibility_horizon(year: int, month: int, day: int) -> Iterator[None]:
    """A block for which another date is assumed; it has no effect.

    >>> with tf.compat.forward_compatibility_horizon(2018, 8, 2):
    ...     print(tf.compat.forward_compatible(2018, 8, 1))
    True
    """
    yield


def dimension_value(dimension: Any) -> int | None:
    """The size along an axis of a shape, `None` for one that is unknown.

    >>> tf.compat.dimension_value(tf.TensorShape([None, 3])[1])
    3
    """
    number = dimension.value if isinstance(dimension, Dimension) else dimension
    return number if isinstance(number, int) else None


def dimension_at_index(shape: Any, index: int) -> Any:
    """The size along an axis of a shape, as a `Dimension`.

    >>> tf.compat.dimension_at_index(tf.TensorShape([2, 3]), -1)
    Dimension(3)
    """
    dims = TensorShape(shape).dims
    return Dimension(None) if dims is None else dims[index]


bytes_or_text_types = (bytes, str)
integral_types = (numbers.Integral, np.integer)
real_types = (numbers.Real, np.integer, np.floating)
complex_types = (numbers.Complex, np.number)

__all__ = [
    *("bytes_or_text_types", "complex_types", "dimension_at_index", "dimension_value"),
    *("forward_compatibility_horizon", "integral_types", "real_types"),
    *("as_bytes", "as_str", "as_str_any", "as_text", "forward_compatible", "path_to_str", "v1"),
    "v2",
]


def __getattr__(name: str) -> Any:
    if name == "v2":
        import keraslike.tf

        return keraslike.tf
    raise AttributeError(f"module 'tf.compat' has no attribute {name!r}")


__dir__ = __all__.copy
