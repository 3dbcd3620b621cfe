"""`tf.TensorArray`: a list of tensors that is written and read by index, in loops too."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core.context import trace_state_clean
from keraslike.data.pipeline import NeedsPython
from keraslike.tf import dtypes, effects, indexing, ops
from keraslike.tf.conversion import constant, convert_to_tensor, static
from keraslike.tf.dtypes import TensorShape
from keraslike.tf.errors import InvalidArgumentError, OutOfRangeError
from keraslike.tf.tensor import Tensor, raw, run

_CLEARED = object()  # in place of a tensor that was read
_Slots = list[Any]  # a Tensor each, None where nothing was written, _CLEARED


class TensorArray:
    """Tensors of one dtype, written and read by index; every write gives the array to go on with.

    Outside of traced functions an array that was written to and the one that `write` gave are the
    same list, as in TensorFlow. While a function is traced each is what it was.

    An index that is traced (that of a `tf.while_loop`, say) cannot be checked: writes beyond the
    end are lost, reads beyond it give the last element. Then all elements are of one shape, and an
    array that enters a loop or a compiled function needs an element or `element_shape` to know it.

    Args:
        dtype: of the elements.
        size: how many there are.
        dynamic_size: whether writing beyond the end makes the array longer.
        clear_after_read: whether an element that was read is forgotten: to read it again raises.
        infer_shape: whether all elements must be of the first one's shape.
        element_shape: the shape of all elements.

    Raises ValueError where `size` is missing.

    >>> array = TensorArray(dtypes.float32, size=2)
    >>> array = array.write(0, constant([1.0, 2.0])).write(1, constant([3.0, 4.0]))
    >>> array.read(1).numpy().tolist(), array.stack().numpy().tolist()
    ([3.0, 4.0], [[1.0, 2.0], [0.0, 0.0]])
    """

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
            raise ValueError("TensorArray needs size=, the number of elements.")
        self._dtype = dtypes.as_dtype(dtype)
        self._dynamic, self._infer = bool(dynamic_size), infer_shape
        self._clear = clear_after_read is None or bool(clear_after_read)
        self._shape = None if element_shape is None else TensorShape(element_shape)
        # Either a list of elements, or all of them in one tensor: as a pytree, and in loops.
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
        """The shape of the elements, `None` where it is not known."""
        return self._shape

    def size(self, name: str | None = None) -> Tensor:
        """The number of elements."""
        return constant(np.int32(self._length()))

    def identity(self) -> TensorArray:
        """An array of the same elements."""
        return self._next()

    def close(self, name: str | None = None) -> None:
        """Lets the elements go."""
        if self._slots is not None:
            self._slots.clear()
        self._slots, self._stacked = [], None

    # -- writing ----------------------------------------------------------------------------------

    def write(self, index: Any, value: Any, name: str | None = None) -> TensorArray:
        """The array with an element written.

        Raises OutOfRangeError beyond the end of an array that has no `dynamic_size`,
        InvalidArgumentError for another dtype, ValueError for another shape.
        """
        value = self._element(value)
        at = _index(index)
        out = self._next()
        if isinstance(at, Tensor):
            if self._dynamic:
                raise NeedsPython(
                    "A TensorArray of dynamic_size is written to at an index that is traced: how "
                    "long it becomes is not known."
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
            raise ValueError("A scalar cannot be unstacked.")
        count = value.shape[0]
        if count != self._length() and not (self._dynamic and count > self._length()):
            raise ValueError(f"{count} elements do not fit an array of size {self._length()}.")
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
        """The array with consecutive parts of a tensor as its elements, of the lengths given."""
        value, parts = self._converted(value), [int(n) for n in static(lengths)]
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
        """An element; zeros where none was written.

        Raises InvalidArgumentError for one that was read before and cleared, OutOfRangeError
        beyond the end.
        """
        at = _index(index)
        if isinstance(at, Tensor):
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
        """All elements along a new first axis; zeros where none was written or it was cleared."""
        if self._slots and trace_state_clean():
            self._slots[:] = self._filled(self._slots)
        return self._all()

    def gather(self, indices: Any, name: str | None = None) -> Tensor:
        """Several elements along a new first axis."""
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
        """All elements end to end along their first axis."""
        if self._slots is None:
            return ops.concat(indexing.unstack(self._all()), 0)
        if not self._slots:
            return ops.zeros((0,), self._dtype)
        return ops.concat(self._filled(self._slots), 0)

    # -- inside -----------------------------------------------------------------------------------

    def _next(self) -> TensorArray:
        out = object.__new__(TensorArray)
        vars(out).update(vars(self))
        if out._slots is not None and not trace_state_clean():
            out._slots = list(out._slots)
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
                "Nothing was written yet, so the shape of the elements is not known: write to the "
                "array first, or give TensorArray(..., element_shape=...)."
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
    """A number, or a Tensor while it is traced."""
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
    """A loop variable, in the form in which the loop's body gives it.

    That of an array to which nothing was written yet depends on what the body writes.
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
