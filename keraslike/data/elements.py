"""Elements of data sets: structures of numpy arrays, what is known of them, who sees them how."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from keraslike.core import dtypes, foreign
from keraslike.core.boxed import Boxed
from keraslike.core.errors import NoSuchFile
from keraslike.core.structures import iter_leaves, map_leaves

AUTOTUNE = -1  # as many threads as there are cores
INFINITE, UNKNOWN = -1, -2  # what `cardinality()` gives where there is no number


class Value(np.ndarray):
    """An array with the method `numpy()`, which programs call on what a data set gives."""

    def numpy(self) -> np.ndarray:
        return self.view(np.ndarray)[()]


@dataclasses.dataclass(frozen=True)
class ArraySpec:
    """The shape and dtype of an array in the elements; a size that varies is `None`, and so is the
    shape where not even the number of axes is known.

    >>> ArraySpec((None, 2), "float32").shape
    (None, 2)
    """

    shape: tuple[int | None, ...] | None
    dtype: str

    def inside(self, size: int | None) -> ArraySpec:
        """With a first axis before the others, as batches have it."""
        return self if self.shape is None else ArraySpec((size, *self.shape), self.dtype)

    def rows(self) -> ArraySpec:
        """Without the first axis."""
        return self if self.shape is None else ArraySpec(self.shape[1:], self.dtype)

    def common(self, other: Any) -> ArraySpec:
        """What holds for arrays of both kinds."""
        if not isinstance(other, ArraySpec) or other.dtype != self.dtype:
            raise TypeError(f"Elements of different kinds: {self} and {other}.")
        if self.shape is None or other.shape is None or len(self.shape) != len(other.shape):
            return ArraySpec(None, self.dtype)
        pairs = zip(self.shape, other.shape)
        return ArraySpec(tuple(a if a == b else None for a, b in pairs), self.dtype)


@dataclasses.dataclass(frozen=True)
class Nested:
    """What is known of a data set that is in an element: of its elements."""

    element: Any

    def common(self, other: Any) -> Nested:
        return self


class View:
    """How elements look to users and their functions: here as numpy arrays.

    A leaf of an element is a numpy array or scalar, `bytes` for one text, `None`, a data set (of a
    window), or what the room that a view belongs to has besides.
    """

    of_tensors: View | None = None  # that of `tf.data`, which the room `tf` puts here
    copies = False  # whether a data set of a user's arrays copies them
    error: type[Exception] = ValueError  # for arguments and elements that do not fit
    missing: type[Exception] = NoSuchFile  # where there is no such file
    unready: type[Exception] = ValueError  # for a state that does not allow what is asked
    damaged: type[Exception] = ValueError  # for elements that are larger than was said
    ended: type[Exception] = StopIteration  # by `get_next` after the last element

    def array(self, value: Any) -> Any:
        """What a user gave as a leaf, or as the rows of one."""
        return leaf_of(np.asarray(value if isinstance(value, list) else host(value)))

    def show(self, leaf: Any) -> Any:
        """A leaf as whoever iterates gets it."""
        if isinstance(leaf, (np.ndarray, np.generic)):
            return np.asarray(leaf).view(Value)
        return leaf

    def given(self, leaf: Any) -> Any:
        """A leaf as functions of the user's get it."""
        return leaf

    def function(self, function: Callable) -> Function:
        """A function of the user's as one of elements."""
        return Function(function, self)

    def spec(self, leaf: Any) -> Any:
        """What is known of a leaf from one of its values."""
        if hasattr(leaf, "_find_spec"):
            return Nested(leaf._spec())
        return ArraySpec(np.shape(leaf), dtype_name(leaf))

    def show_spec(self, spec: Any) -> Any:
        return spec

    def unsized(self, spec: Any) -> Any:
        """What the spec of one leaf says of others that were computed as it was."""
        return spec

    def stack(self, leaves: list[Any]) -> Any:
        """Leaves that are no arrays as the rows of one."""
        raise TypeError(f"What is no array has no batches. Received: {leaves[0]!r}")

    def row(self, leaf: Any, index: int) -> Any:
        """A row of a leaf."""
        return leaf[index]

    def ragged(
        self, leaves: list[Any], shape: tuple[int | None, ...] | None, splits: Any = np.int64
    ) -> Any:
        """Arrays of several sizes as the rows of one."""
        raise TypeError("Ragged arrays are for data sets of tf.data.")

    def ragged_spec(self, spec: ArraySpec, splits: Any = np.int64) -> Any:
        """What is known of these."""
        return spec

    def plain(self, leaf: Any) -> Any:
        """A leaf as numpy's arrays, for who asks for these."""
        return leaf

    def check_single(self, spec: Any) -> None:
        """Raises an error for elements that `unique` is not for."""

    def check_numbers(self, spec: Any) -> None:
        """Raises an error for elements that are no numbers of data sets to choose from."""

    def holds(self, returned: Any) -> bool:
        """What a predicate has returned."""
        return bool(returned)

    def check_state(self, known: Any, state: Any) -> Any:
        """A state that a function has returned, beside the one that it was given."""
        return state

    def called(self, begin: Callable[[], Iterator[Any]]) -> Iterator[Any]:
        """The iterator that a user's generator gives, with errors as users get them."""
        return begin()

    def element(self, returned: Any) -> Any:
        """What a function of the user's returned, as an element."""
        return host(returned)


class Function:
    """A function of the user's, called with leaves of elements and giving an element."""

    def __init__(self, function: Callable, view: View):
        self._function, self._view = function, view

    def raw(self, *arguments: Any) -> Any:
        """What the function itself returns."""
        return self._function(*[map_leaves(self._view.given, a) for a in arguments])

    def __call__(self, *arguments: Any) -> Any:
        return self._view.element(self.raw(*arguments))

    def many(self, specs: Sequence[Any]) -> Callable | None:
        """The function of many elements at once, their leaves stacked, where that is the same."""
        return None

    def specs(self, specs: Sequence[Any]) -> Any:
        """What is known of the results for arguments of which this is known; `None` for nothing."""
        return None

    def supposed(self, specs: Sequence[Any], of: Callable[[Any], Any] | None = None) -> list[Any]:
        """What is known (`of`) of what the function returns for examples of its arguments: where a
        data set has no elements, there are no others. Where it raises, there is nothing."""
        found = []
        for size, text in ((1, b"0"), (2, b"0 0")):

            def example(spec: Any, size: int = size, text: bytes = text) -> Any:
                shape = tuple(size if n is None else n for n in spec.shape)
                if spec.dtype == "string":
                    return np.full(shape, text, object) if shape else text
                return np.zeros(shape, jnp.dtype(spec.dtype))[()]

            with contextlib.suppress(Exception):
                given = [map_leaves(example, spec) for spec in specs]
                if of is None:
                    found.append(map_leaves(self._view.spec, self(*given)))
                else:
                    found.append(of(self.raw(*given)))
        return found


def arguments(element: Any) -> tuple[Any, ...]:
    """What functions are called with: a tuple as several arguments."""
    return element if type(element) is tuple else (element,)


def host(value: Any) -> Any:
    """What a function returned as an element: numpy arrays, in tuples and dicts."""
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, dict):
        return {k: host(v) for k, v in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(host, value))
    if isinstance(value, (list, tuple)):
        return tuple(map(host, value))
    if isinstance(value, bool):
        return np.bool_(value)
    if isinstance(value, int):
        return np.int32(value) if -(2**31) <= value < 2**31 else np.int64(value)
    if isinstance(value, float):
        return np.asarray(value, dtypes.floatx())
    if isinstance(value, Boxed):
        return np.asarray(value.unbox())
    if value is None or isinstance(value, (str, bytes, np.generic)) or hasattr(value, "row_splits"):
        return value
    found = foreign.array_of(value)
    return value if found is None else np.asarray(found)


def leaf_of(array: np.ndarray) -> Any:
    """An array as it is in elements: text is bytes, and one text no array."""
    if array.dtype.kind == "U":
        array = np.char.encode(array)
    if array.dtype.kind == "S":
        array = array.astype(object)
    return array.item() if array.dtype == object and not array.ndim else array


def dtype_name(leaf: Any) -> str:
    dtype = getattr(leaf, "dtype", None)
    if dtype is None:
        dtype = np.asarray(leaf).dtype
    return "string" if getattr(dtype, "kind", "") in "OSUT" else getattr(dtype, "name", str(dtype))


def is_text_scalar(leaf: Any) -> bool:
    return isinstance(leaf, (str, bytes))


def row(tree: Any, index: Any, view: View | None = None) -> Any:
    """Each array of a structure at an index."""
    if view is None:
        return map_leaves(lambda array: array[index], tree)
    return map_leaves(lambda leaf: view.row(leaf, index), tree)


def length(tree: Any) -> int:
    """The one number of rows that all arrays have."""
    leaves = [leaf for leaf in iter_leaves(tree) if leaf is not None]
    for leaf in leaves:
        if is_text_scalar(leaf) or not np.ndim(leaf) and not hasattr(leaf, "shape"):
            raise ValueError(f"Only arrays with a first axis have slices. Received: {leaf!r}")
        if not len(leaf.shape):
            raise ValueError(f"Only arrays with a first axis have slices. Received: {leaf!r}")
    lengths = {int(leaf.shape[0]) for leaf in leaves}
    if len(lengths) != 1:
        raise ValueError(f"Arrays must have one length. Received lengths: {sorted(lengths)}")
    return lengths.pop()


def texts(items: Iterable[Any]) -> np.ndarray:
    """An array of texts."""
    return np.array([*items, None], object)[:-1]  # of bytes alone numpy makes other arrays


def stack(elements: list[Any], view: View | None = None) -> Any:
    """The arrays of several elements, each along a new first axis."""
    return merged(elements, lambda leaves: _stacked(leaves, view))


def merged(elements: list[Any], combine: Callable[[list[Any]], Any]) -> Any:
    """One element of several: `combine` of the leaves that have one place in them."""
    first = elements[0]
    if isinstance(first, dict):
        return {k: merged([e[k] for e in elements], combine) for k in first}
    if isinstance(first, tuple):
        parts = [merged(list(part), combine) for part in zip(*elements)]
        return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)
    return None if first is None else combine(elements)


def _stacked(leaves: list[Any], view: View | None) -> Any:
    first = leaves[0]
    if is_text_scalar(first):
        return texts(leaves)
    if type(first) is not np.ndarray and not isinstance(first, (np.generic, int)):
        return (view or View()).stack(leaves)
    shapes = {np.shape(e) for e in leaves}
    if len(shapes) > 1:
        raise (view or View()).error(
            "Arrays in a batch must have one shape: padded_batch() and ragged_batch() take others. "
            f"Received: {sorted(shapes)}"
        )
    return np.stack(leaves) if shapes != {()} else np.array(leaves, getattr(first, "dtype", None))


def positive(name: str, value: Any, least: int = 1, error: type[Exception] = ValueError) -> int:
    """A whole number, given in any form; raises an error for others."""
    number = as_int(value)
    if number is None or number < least:
        expected = "a positive integer" if least == 1 else f"an integer of at least {least}"
        raise error(f"{name} must be {expected}. Received: {name}={value!r}")
    return number


def as_int(value: Any) -> int | None:
    if isinstance(value, (bool, float, str, bytes)) or value is None:
        return None
    try:
        return value.__index__()
    except (AttributeError, TypeError):
        return None
