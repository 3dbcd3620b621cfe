"""Variables of text, which no compiled program can hold: functions that use one run in Python."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from keraslike.core.boxed import Boxed
from keraslike.core.context import trace_state_clean
from keraslike.core.errors import NeedsPython
from keraslike.tf import dtypes, indexing
from keraslike.tf.conversion import convert_to_tensor, static
from keraslike.tf.dtypes import TensorShape
from keraslike.tf.operators import give_operators
from keraslike.tf.slices import IndexedSlices
from keraslike.tf.tensor import Tensor, TensorRef


def is_text(value: Any) -> bool:
    """Whether a tensor of the value has texts as its elements."""
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    if isinstance(value, (str, bytes)):
        return True
    dtype = getattr(value, "dtype", None)
    return dtype == dtypes.string or getattr(dtype, "kind", "") in ("S", "U", "O")


class TextVariable(Boxed):
    """A `tf.Variable` of text.

    >>> names = tf.Variable(["a", "b"])
    >>> names[0].assign("c").numpy().tolist()
    [b'c', b'b']
    """

    def __init__(self, value: Any, trainable: Any, name: str | None, shape: Any):
        tensor = convert_to_tensor(value, dtypes.string)
        if shape is not None and not TensorShape(shape).is_compatible_with(tensor.shape):
            raise ValueError(f"initial_value must have the shape {shape}. Received: {tensor.shape}")
        self._tensor, self.trainable = tensor, trainable is not False
        self.name = f"{name or 'Variable'}:0"
        self._shape = tensor.shape if shape is None else TensorShape(shape)

    dtype = dtypes.string
    shape = property(lambda self: self._tensor.shape)

    def _as_tensor(self) -> Tensor:
        if not trace_state_clean():
            raise NeedsPython("A variable of text cannot be read while a function is traced.")
        return self._tensor

    value = read_value = _as_tensor

    def unbox(self) -> Any:
        return self._as_tensor()._value

    _raw_value = property(unbox)

    def numpy(self) -> Any:
        """The texts as a numpy array, or one text."""
        return self._tensor.numpy()

    def ref(self) -> TensorRef:
        """A key for dicts and sets, by identity."""
        return TensorRef(self)

    def assign(
        self, value: Any, use_locking: bool = False, name: Any = None, read_value: bool = True
    ) -> TextVariable:
        """Replaces the texts by others of the same shape."""
        if not trace_state_clean():
            raise NeedsPython("A variable of text cannot be assigned while a function is traced.")
        given = convert_to_tensor(value, dtypes.string)
        if not self._shape.is_compatible_with(given.shape):
            raise ValueError(
                f"Cannot assign to variable '{self.name}' of shape {self._shape} a value of shape "
                f"{given.shape}."
            )
        self._tensor = given
        return self

    def scatter_nd_update(self, indices: Any, updates: Any, name: Any = None) -> TextVariable:
        """Sets the texts at `indices[i]` to `updates[i]`."""
        given = convert_to_tensor(updates, dtypes.string)
        return self.assign(indexing.tensor_scatter_nd_update(self._as_tensor(), indices, given))

    def scatter_update(
        self, sparse_delta: IndexedSlices, use_locking: bool = False, name: Any = None
    ) -> TextVariable:
        """Replaces rows."""
        rows = static(sparse_delta.indices)
        return self.scatter_nd_update(np.asarray(rows)[..., None], sparse_delta.values)

    def sparse_read(self, indices: Any, name: Any = None) -> Tensor:
        """Gathers the rows at the indices."""
        return indexing.gather(self._as_tensor(), indices)

    def gather_nd(self, indices: Any, name: Any = None) -> Tensor:
        """The texts, or slices, at the multi-dimensional indices in `indices`."""
        return indexing.gather_nd(self._as_tensor(), indices)

    def is_initialized(self, name: Any = None) -> Tensor:
        """True, since variables are always initialized."""
        return convert_to_tensor(True)

    def _assign_slice(self, key: Any, how: str, value: Any) -> TextVariable:
        if how != "set":
            raise TypeError(f"Texts cannot be added to or subtracted from '{self.name}'.")
        texts = np.array(self._as_tensor()._value)
        given = convert_to_tensor(value, dtypes.string)._value
        given = given if given.ndim else given.item()
        texts[static(key) if not isinstance(key, slice) else key] = given
        return self.assign(Tensor(texts))

    def __repr__(self) -> str:
        return (
            f"<tf.Variable '{self.name}' shape={self.shape} dtype=string, numpy={self.numpy()!r}>"
        )

    def __len__(self) -> int:
        return len(self._tensor)

    def __iter__(self) -> Any:
        return iter(self._as_tensor())


give_operators(TextVariable)


def _slice(variable: Any, key: Any) -> Tensor:
    tensor = Tensor(indexing.get_item(variable._as_tensor(), key)._value)
    tensor._place = functools.partial(variable._assign_slice, key)
    return tensor


TextVariable.__getitem__ = _slice  # type: ignore[method-assign]
