"""Signatures of functions of tensors, and keys that decide which calls share a trace."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx

from keraslike.core import base
from keraslike.tf import dtypes
from keraslike.tf.dtypes import UNKNOWN_SHAPE, DType, TensorShape
from keraslike.tf.structure import Structure
from keraslike.tf.tensor import Tensor, WeakTensor
from keraslike.tf.type_spec import TypeSpec


class TensorSpec(TypeSpec):
    """The shape and dtype of a tensor; sizes may be `None`.

    >>> TensorSpec([None, 3])
    TensorSpec(shape=(None, 3), dtype=tf.float32, name=None)
    """

    value_type = Tensor

    def __init__(self, shape: Any, dtype: Any = dtypes.float32, name: str | None = None):
        self.shape: Any = TensorShape(shape)
        self.dtype, self.name = dtypes.as_dtype(dtype), name

    def _serialize(self) -> Any:
        return self.shape, self.dtype, self.name

    @classmethod
    def from_tensor(cls, tensor: Any, name: str | None = None) -> TensorSpec:
        return cls(tensor.shape, tensor.dtype, name)

    @classmethod
    def from_spec(cls, spec: Any, name: str | None = None) -> TensorSpec:
        """The shape and dtype of another spec, with its name unless one is given."""
        return cls(spec.shape, spec.dtype, name or spec.name)

    def is_compatible_with(self, spec_or_value: Any) -> bool:
        """Whether a tensor, or another spec, has this dtype and a compatible shape."""
        other = spec_or_value
        return (
            hasattr(other, "dtype")
            and (isinstance(other, TensorSpec) or not isinstance(other, (TypeSpec, Structure)))
            and dtypes.as_dtype(other.dtype) is self.dtype
            and self.shape.is_compatible_with(other.shape)
        )

    def is_subtype_of(self, other: Any) -> bool:
        """Whether each tensor of this spec conforms to the other; a name of this
        spec must be that of the other."""
        return (
            type(other) is type(self)
            and self.shape.is_subtype_of(other.shape)
            and self.dtype is other.dtype
            and self.name in (None, other.name)
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorSpec) and self._serialize() == other._serialize()

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))

    def __repr__(self) -> str:
        return f"TensorSpec(shape={self.shape}, dtype={self.dtype!r}, name={self.name!r})"


class _Same:
    """An object as a part of a key, compared by identity."""

    __slots__ = ("of",)

    def __init__(self, of: Any):
        self.of = of

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.of is other.of

    def __hash__(self) -> int:
        return id(self.of)


def encoded_parameters(signature: inspect.Signature) -> list[Any]:
    """The parameters for JSON: of each its name, its kind, and its default if it is plain."""
    found = []
    for parameter in signature.parameters.values():
        value = parameter.default
        is_plain = value is None or isinstance(value, (bool, int, float, str))
        found.append([parameter.name, parameter.kind.name, {"value": value} if is_plain else {}])
    return found


def name_of(function: Any) -> str:
    """The name of a function, or of the one that `functools.partial` has bound arguments of."""
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__name__", type(function).__name__)


def is_leaf(x: Any) -> bool:
    return isinstance(x, (Tensor, TensorSpec, nnx.Variable, base.Object))


def is_tensor(x: Any) -> bool:
    return isinstance(x, (Tensor, TensorSpec, jax.Array, np.ndarray, np.generic))


def key_of(x: Any) -> Any:
    if is_tensor(x):
        spec = TensorSpec(x.shape, x.dtype)
        return ("weak", spec) if isinstance(x, WeakTensor) else spec
    if type(x) in (bool, int, float, complex, str, bytes, type(None), DType):
        return x  # 1, 1.0 and True are equal arguments, as in TensorFlow
    own = getattr(type(x), "__tf_tracing_type__", None)
    return _Same(x) if own is None else own(x, None)


def call_key(structure: Any, leaves: Sequence[Any]) -> Any:
    return structure, tuple(map(key_of, leaves))


def has_unknown(specs: Sequence[Any]) -> bool:
    return any(is_tensor(s) and (s.shape is UNKNOWN_SHAPE or None in s.shape) for s in specs)


MISMATCH = object()


def common(x: Any, y: Any) -> Any:
    """A signature that both arguments conform to, or `MISMATCH`."""
    if not (is_tensor(x) and is_tensor(y)):
        return x if key_of(x) == key_of(y) else MISMATCH
    if UNKNOWN_SHAPE in (x.shape, y.shape):
        return MISMATCH
    a, b = TensorSpec(x.shape, x.dtype), TensorSpec(y.shape, y.dtype)
    if a.dtype is not b.dtype or len(a.shape) != len(b.shape):
        return MISMATCH
    return TensorSpec([m if m == n else None for m, n in zip(a.shape, b.shape)], a.dtype)
