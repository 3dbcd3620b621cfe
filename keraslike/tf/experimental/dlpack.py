"""`tf.experimental.dlpack`: tensors exchanged with other libraries without copying them."""

from __future__ import annotations

import ctypes
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.tf import dtypes
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.structure import is_traced
from keraslike.tf.tensor import WIDE, Tensor

__all__ = ["from_dlpack", "to_dlpack"]

_name = ctypes.pythonapi.PyCapsule_GetName
_name.restype, _name.argtypes = ctypes.c_char_p, [ctypes.py_object]
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


class _Start(ctypes.Structure):
    """The first fields of DLPack's `DLTensor`."""

    _fields_ = (("data", ctypes.c_void_p), ("device", ctypes.c_int32 * 2))


class _Given:
    """A capsule in the form that JAX takes."""

    def __init__(self, capsule: Any):
        self._capsule = capsule

    def __dlpack__(self, **_: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        start = _Start.from_address(_pointer(self._capsule, b"dltensor"))
        return start.device[0], start.device[1]


def to_dlpack(tf_tensor: Any) -> Any:
    """A DLPack capsule with the memory of a tensor, for one use.

    Raises InvalidArgumentError for what is no tensor of known numbers.

    >>> capsule = tf.experimental.dlpack.to_dlpack(tf.constant([1.0, 2.0]))
    >>> tf.experimental.dlpack.from_dlpack(capsule).numpy().tolist()
    [1.0, 2.0]
    """
    if (
        not isinstance(tf_tensor, Tensor)
        or tf_tensor.dtype is dtypes.string
        or is_traced(tf_tensor)
    ):
        raise InvalidArgumentError(
            f"to_dlpack() takes a tensor of numbers outside of functions. Received: {tf_tensor!r}"
        )
    with WIDE(True):
        return jnp.asarray(tf_tensor._value).__dlpack__()


def from_dlpack(dlcapsule: Any) -> Tensor:
    """A tensor that shares the memory of a DLPack capsule, which can be used once.

    Raises TypeError for what is no capsule, InvalidArgumentError for one that was used.

    >>> import numpy as np
    >>> array = np.array([1.0, 2.0])
    >>> tf.experimental.dlpack.from_dlpack(array.__dlpack__()).numpy().tolist()
    [1.0, 2.0]
    """
    if type(dlcapsule).__name__ != "PyCapsule":
        raise TypeError(f"from_dlpack() takes a capsule. Received: {dlcapsule!r}")
    if (found := _name(dlcapsule)) != b"dltensor":
        raise InvalidArgumentError(
            f"A DLPack capsule is named 'dltensor' until it is used. Received: {found!r}"
        )
    with WIDE(True):
        return Tensor(jax.dlpack.from_dlpack(_Given(dlcapsule)))


__dir__ = __all__.copy
