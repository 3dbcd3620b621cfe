"""`tf.TensorArray`: a list of tensors that is written and read by index, also in loops."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core.context import trace_state_clean
from keraslike.core.errors import NeedsPython
from keraslike.tf import dtypes, effects, indexing, ops
from keraslike.tf.conversion import constant, convert_to_tensor, static
from keraslike.tf.dtypes import TensorShape
from keraslike.tf.errors import InvalidArgumentError, OutOfRangeError
from keraslike.tf.tensor import Tensor, raw, run

_CLEARED = object()  # replaces an element that was read
_Slots = list[Any]  # each a Tensor, None if nothing was written, or _CLEARED


class TensorArray:
    """Tensors of one dtype, written and read by index. Every write returns the array to use
    further.

    Outside of traced functions, an array that was written to and the one that `write` returned
    share their elements, as in TensorFlow. In a traced function the former is unchanged.

    A traced index, such as that of a `tf.while_loop`, is checked in functions of `tf.data` only.
    Elsewhere writes beyond the end are lost, and reads return the last element. All elements then
    have one shape, which an array in a loop or a compiled function knows from an element or from
    `element_shape`.

    Args:
        dtype: the dtype of the elements.
        size: the number of elements.
        dynamic_size: whether writes beyond the end make the array longer.
        clear_after_read: whether an element is cleared after it was read once.
        infer_shape: whether all elements must have the shape of the first one.
        element_shape: the shape of all elements.

    Raises ValueError without `size`.

    >>> array = TensorArray(dtypes.float32, size=2)
    >>> array = array.write(0, constant([1.0, 2.0])).write(1, constant([3.0, 4.0]))
    >>> array.read(1).numpy().tolist(), array.stack().numpy().tolist()
    ([3.0, 4.0], [[1.0, 2.0], [0.0, 0.0]])
    """

    _apart = False  # whether writes leave this array as it is, outside of traces too

    def __init__(
        self,
        dtype: Any,
        size: Any = None,
        dynamic_size: bool | None = None,
        clear_after_read: bool | None = None,
        tensor_array_name: str | None = None,
        handle: Any = None,
        flow: Any = None,
        infer_shape: bool = True,
        element_shape: Any = None,
        colocate_with_first_write_call: bool = True,
        name: str | None = None,
    ):
        if size is None:
            raise ValueError("TensorArray: size, the number of elements, must be given.")
        self._dtype = dtypes.as_dtype(dtype)
        self._dynamic, self._infer = bool(dynamic_size), infer_shape
        self._clear = clear_after_read is None or bool(clear_after_read)
        self._shape = None if element_shape is None else TensorShape(element_shape)
        # Either a list of elements or, as a pytree and in loops, all elements in one tensor.
        self._slots: _Slots | None = [None] * max(0, int(static(size)))
        self._stacked: Tensor | None = None

    @property
    def dtype(self) -> dtypes.DType:
        return self._dtype

    @property
    def dynamic_size(self) -> bool:
        return self._dynamic

    @property
    def element_shape(self) -> TensorShape | None:
        """The shape of the elements, or `None` if it is unknown."""
        return self._shape

    def size(self, name: str | None = None) -> Tensor:
        """The number of elements."""
        return constant(np.int32(self._length()))

    def identity(self) -> TensorArray:
        """An array of the same elements."""
        return self._next()

    def close(self, name: str | None = None) -> None:
        """Releases the elements."""
        if self._slots is not None:
            self._slots.clear()
        self._slots, self._stacked = [], None

    # -- writing ----------------------------------------------------------------------------------

    def write(self, index: Any, value: Any, name: str | None = None) -> TensorArray:
        """Writes an element, and returns the array.

        Raises OutOfRangeError beyond the end of an array without `dynamic_size`,
        InvalidArgumentError for another dtype, ValueError for another shape.
        """
        value = self._element(value)
        at = _index(index)
        out = self._next()
        if isinstance(at, Tensor):
            if self._dynamic:
                raise NeedsPython(
                    "A TensorArray with dynamic_size cannot be written at a traced index, since "
                    "its length would be unknown."
                )
            stacked = out._all()
            effects.checked(functools.partial(_check_place, int(stacked.shape[0])), raw(at))
            out._stacked, out._slots = run(_set, (stacked, value, at)), None
            return out
        if at < 0:
            raise OutOfRangeError(f"A negative index cannot be written to: {at}")
        slots = out._list()
        if at >= len(slots):
            if not self._dynamic:
                raise OutOfRangeError(
                    f"Index {at} is beyond the end: the array is of size {len(slots)} and not "
                    "resizeable (dynamic_size=False)."
                )
            slots.extend([None] * (at + 1 - len(slots)))
        slots[at] = value
        return out

    def unstack(self, value: Any, name: str | None = None) -> TensorArray:
        """The array with the slices of a tensor as its elements."""
        value = self._converted(value)
        if not value.ndim:
            raise ValueError(
                "value must have at least one axis to be unstacked. Received a scalar."
            )
        count = value.shape[0]
        if count != self._length() and not (self._dynamic and count > self._length()):
            raise ValueError(
                f"value must have {self._length()} slices, the size of the array. Received: {count}"
            )
        return self._written(range(count), indexing.unstack(value))

    def scatter(self, indices: Any, value: Any, name: str | None = None) -> TensorArray:
        """The array with the slices of a tensor written at several indices."""
        value, places = self._converted(value), convert_to_tensor(indices)
        if not isinstance(places._value, jax.core.Tracer):
            return self._written(np.asarray(places).tolist(), indexing.unstack(value))
        out = self
        for i in range(places.shape[0]):
            out = out.write(places[i], value[i])
        return out

    def split(self, value: Any, lengths: Any, name: str | None = None) -> TensorArray:
        """The array with consecutive parts of a tensor, of given lengths, as its elements."""
        value, parts = self._converted(value), static(lengths)
        if not isinstance(parts, tuple) or not value.ndim:
            raise InvalidArgumentError(
                "lengths must be a vector, and value at least one. Received: "
                f"lengths={lengths} and value of shape {value.shape}"
            )
        parts = [int(n) for n in parts]
        if sum(parts) != value.shape[0]:
            raise InvalidArgumentError(
                f"lengths must sum to the {value.shape[0]} rows of value. Received: {parts}"
            )
        ends = np.cumsum([0, *parts]).tolist()
        out = self._next()
        if len(set(parts)) > 1:
            out._infer, out._shape = False, None
        return out._written(
            range(len(parts)), [value[a:b] for a, b in zip(ends[:-1], ends[1:], strict=True)]
        )

    # -- reading ----------------------------------------------------------------------------------

    def read(self, index: Any, name: str | None = None) -> Tensor:
        """An element, or zeros if none was written.

        Raises InvalidArgumentError for an element that was cleared after it was read,
        OutOfRangeError beyond the end.
        """
        at = _index(index)
        if isinstance(at, Tensor):
            effects.checked(functools.partial(_check_place, self._length()), raw(at))
            return run(_get, (self._all(), at))
        if not 0 <= at < self._length():
            raise OutOfRangeError(f"Index {at} is outside of an array of size {self._length()}.")
        slots = self._list()
        if slots[at] is _CLEARED:
            raise InvalidArgumentError(
                f"Element {at} was cleared after it was read: clear_after_read=False keeps it."
            )
        value = self._zeros() if slots[at] is None else slots[at]
        if self._clear and trace_state_clean():
            slots[at] = _CLEARED
        return value

    def stack(self, name: str | None = None) -> Tensor:
        """All elements, stacked along a new first axis; missing and cleared ones are zeros."""
        if self._slots and trace_state_clean():
            self._slots[:] = self._filled(self._slots)
        return self._all()

    def gather(self, indices: Any, name: str | None = None) -> Tensor:
        """Several elements, stacked along a new first axis."""
        places = convert_to_tensor(indices)
        if isinstance(places._value, jax.core.Tracer) or self._slots is None:
            return indexing.gather(self._all(), places)
        numbers = np.asarray(places).tolist()
        for at in numbers:
            if not 0 <= at < self._length():
                raise OutOfRangeError(
                    f"Index {at} is outside of an array of size {self._length()}."
                )
        return self._joined([self._slots[at] for at in numbers])

    def concat(self, name: str | None = None) -> Tensor:
        """All elements, concatenated along their first axis."""
        if self._slots is None:
            return ops.concat(indexing.unstack(self._all()), 0)
        if not self._slots:
            return ops.zeros((0,), self._dtype)
        return ops.concat(self._filled(self._slots), 0)

    # -- internals --------------------------------------------------------------------------------

    def _next(self) -> TensorArray:
        out = object.__new__(TensorArray)
        vars(out).update(vars(self))
        if out._slots is not None and (self._apart or not trace_state_clean()):
            out._slots = list(out._slots)
        return out

    def _kept(self) -> TensorArray:
        """An array of the same elements, which writes leave as it is, as in traced functions."""
        self._apart, shared = True, self._apart
        out, self._apart = self._next(), shared
        return out

    def _length(self) -> int:
        return self._stacked.shape[0] if self._slots is None else len(self._slots)  # type: ignore

    def _list(self) -> _Slots:
        if self._slots is None:
            self._slots, self._stacked = list(indexing.unstack(self._stacked)), None
        return self._slots

    def _all(self) -> Tensor:
        return self._joined(self._slots) if self._slots is not None else self._stacked  # type: ignore

    def _joined(self, slots: Sequence[Any]) -> Tensor:
        if not slots:
            return ops.zeros((0, *(self._shape or ())), self._dtype)
        return ops.stack(self._filled(slots))

    def _filled(self, slots: Sequence[Any]) -> list[Tensor]:
        return [s if isinstance(s, Tensor) else self._zeros() for s in slots]

    def _zeros(self) -> Tensor:
        if self._shape is None or None in self._shape:
            raise ValueError(
                "The shape of the elements is unknown, since nothing was written yet. Write to the "
                "array first, or pass TensorArray(..., element_shape=...)."
            )
        if self._dtype is dtypes.string:
            return Tensor(np.full(self._shape, b"", object))
        return ops.zeros(self._shape, self._dtype)

    def _converted(self, value: Any) -> Tensor:
        value = convert_to_tensor(value, dtype_hint=self._dtype)
        if value.dtype is not self._dtype:
            raise InvalidArgumentError(
                f"The TensorArray is of dtype {self._dtype.name}, the value of {value.dtype.name}."
            )
        return value

    def _element(self, value: Any) -> Tensor:
        value = self._converted(value)
        if self._shape is not None and not self._shape.is_compatible_with(value.shape):
            raise ValueError(
                f"Elements must be of shape {self._shape}. Received: {tuple(value.shape)}"
            )
        if self._infer:
            self._shape = value.shape
        return value

    def _written(self, indices: Any, values: Sequence[Any]) -> TensorArray:
        out = self
        for at, value in zip(indices, values, strict=False):
            out = out.write(at, value)
        return out.identity() if out is self else out

    def __repr__(self) -> str:
        return (
            f"<tf.TensorArray: size={self._length()}, dtype={self._dtype.name}, "
            f"element_shape={self._shape}>"
        )

    def __getstate__(self) -> dict[str, Any]:
        state = dict(vars(self))
        if self._slots is not None:
            state["_slots"] = [Ellipsis if s is _CLEARED else s for s in self._slots]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if self._slots is not None:
            self._slots = [_CLEARED if s is Ellipsis else s for s in self._slots]


def _index(index: Any) -> Any:
    """An index as a number, or as a Tensor if it is traced."""
    if isinstance(index, jax.core.Tracer):
        return Tensor(index)
    if isinstance(index, Tensor) and isinstance(index._value, jax.core.Tracer):
        return index
    return int(static(index))


def _check_place(size: int, index: Any) -> None:
    if not 0 <= index < size:
        raise OutOfRangeError(f"Index {index} is outside of an array of size {size}.")


def _set(all_: Any, value: Any, at: Any) -> Any:
    return jnp.asarray(all_).at[at].set(value, mode="drop")


def _get(all_: Any, at: Any) -> Any:
    return jax.lax.dynamic_index_in_dim(jnp.asarray(all_), at, keepdims=False)


def settled(before: Any, after: Any) -> Any:
    """A loop variable in the form in which the loop's body returns it.

    The element shape of an array without elements is that of the body's writes.
    """
    if not isinstance(before, TensorArray) or not isinstance(after, TensorArray):
        return before
    if before._shape is not None and None not in before._shape:
        return before
    out = before._next()
    out._shape = after._shape
    return out


_SETTINGS = ("_dtype", "_dynamic", "_clear", "_infer", "_shape")


def _flatten(array: TensorArray) -> tuple[tuple[Any, ...], Any]:
    settings = tuple(getattr(array, name) for name in _SETTINGS)
    if array._slots is None or (array._shape is not None and None not in array._shape):
        return (array._all(),), ("stacked", *settings)
    slots = [s if isinstance(s, Tensor) else None for s in array._slots]
    return tuple(slots), ("slots", *settings)


def _unflatten(aux: Any, children: tuple[Any, ...]) -> TensorArray:
    out = object.__new__(TensorArray)
    form, *settings = aux
    vars(out).update(zip(_SETTINGS, settings, strict=True))
    out._slots = None if form == "stacked" else list(children)
    out._stacked = children[0] if form == "stacked" else None
    return out


jax.tree_util.register_pytree_node(TensorArray, _flatten, _unflatten)

__all__ = ["TensorArray"]
__dir__ = __all__.copy
