"""Elements of data sets: structures of numpy arrays, their specs, and how users see them."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import dtypes, foreign
from keraslike.core.boxed import Boxed
from keraslike.core.errors import NeedsPython, NoSuchFile
from keraslike.core.structures import iter_leaves, map_leaves
from keraslike.data.composed import whole

AUTOTUNE = -1  # the number of threads is chosen automatically
INFINITE, UNKNOWN = -1, -2  # the results of `cardinality()` other than a number of elements


class Value(np.ndarray):
    """An array with the method `numpy()`, which programs call on elements of data sets."""

    def numpy(self) -> np.ndarray:
        return self.view(np.ndarray)[()]


@dataclasses.dataclass(frozen=True)
class ArraySpec:
    """The shape and dtype of an array in the elements. A size that varies is `None`; so is the
    shape if the number of axes is unknown.

    >>> ArraySpec((None, 2), "float32").shape
    (None, 2)
    """

    shape: tuple[int | None, ...] | None
    dtype: str

    def inside(self, size: int | None) -> ArraySpec:
        """The spec of a batch: with an additional first axis of this size."""
        return self if self.shape is None else ArraySpec((size, *self.shape), self.dtype)

    def rows(self) -> ArraySpec:
        """The spec of a row: without the first axis."""
        return self if self.shape is None else ArraySpec(self.shape[1:], self.dtype)

    def common(self, other: Any) -> ArraySpec:
        """The most specific spec that arrays of both specs conform to."""
        if not isinstance(other, ArraySpec) or other.dtype != self.dtype:
            raise TypeError(
                f"The elements of a data set must have one dtype. Received: {self} and {other}."
            )
        if self.shape is None or other.shape is None or len(self.shape) != len(other.shape):
            return ArraySpec(None, self.dtype)
        pairs = zip(self.shape, other.shape)
        return ArraySpec(tuple(a if a == b else None for a, b in pairs), self.dtype)


def no_rows(spec: Any) -> np.ndarray:
    """A batch without rows, of a spec of rows. Raises StopIteration for rows that are no arrays.

    >>> no_rows(ArraySpec((None, 2), "int32")).shape
    (0, 0, 2)
    """
    if not isinstance(spec, ArraySpec):
        raise StopIteration
    kind = object if spec.dtype == "string" else np.dtype(spec.dtype)
    return np.empty((0, *(n or 0 for n in spec.shape or ())), kind)


class Datasets(np.ndarray):
    """An array of data sets, such as those of the windows in a batch."""

    @classmethod
    def of(cls, items: list[Any]) -> Any:
        out = np.empty(len(items), object)
        for place, item in enumerate(items):  # numpy would iterate over the data sets
            out[place] = item
        return out.view(cls)


@dataclasses.dataclass(frozen=True)
class Nested:
    """The spec of a data set within an element, or of an array of them: the spec of its
    elements."""

    element: Any
    shape: tuple[int | None, ...] = ()

    def inside(self, size: int | None) -> Nested:
        return Nested(self.element, (size, *self.shape))

    def rows(self) -> Nested:
        return Nested(self.element, self.shape[1:])

    def common(self, other: Any) -> Nested:
        return self


class View:
    """How elements look to users and their functions: here as numpy arrays.

    A leaf of an element is a numpy array or scalar, `bytes` for one text, `None`, a data set (of a
    window), or another type of the package that the view belongs to.
    """

    of_tensors: View | None = None  # the view of `tf.data`, which `tf` sets
    copies = False  # whether a data set of a user's arrays copies them
    error: type[Exception] = ValueError  # for arguments and elements that do not fit
    missing: type[Exception] = NoSuchFile  # for missing files
    unready: type[Exception] = ValueError  # for a request that the current state does not allow
    damaged: type[Exception] = ValueError  # for elements larger than declared
    ended: type[Exception] = StopIteration  # by `get_next` after the last element
    optional: Any = None  # the class of what `get_next_as_optional` returns, if it is another

    def array(self, value: Any, dtype: str | None = None) -> Any:
        """The leaf for a value that a user gave, or the array whose rows are leaves. Python's
        numbers are converted so that they are exact in `dtype`, if it is given."""
        kept = isinstance(value, list) or dtype is not None and isinstance(value, (int, float))
        return leaf_of(np.asarray(value if kept else host(value)))

    def arrays(self, tree: Any) -> Any:
        """The leaves for a structure that a user gave."""
        return map_leaves(self.array, tree, self.is_leaf)

    def is_leaf(self, part: Any) -> bool:
        """Whether a list, tuple or dict that a user gave is one leaf, as a list is."""
        return isinstance(part, list)

    def show(self, leaf: Any) -> Any:
        """A leaf as iteration returns it."""
        if isinstance(leaf, (np.ndarray, np.generic)):
            return np.asarray(leaf).view(Value)
        return leaf

    def given(self, leaf: Any) -> Any:
        """A leaf as users' functions receive it."""
        return leaf

    def function(self, function: Callable) -> Function:
        """A user's function as a function of elements."""
        return Function(function, self)

    def spec(self, leaf: Any) -> Any:
        """The spec of a leaf."""
        if hasattr(leaf, "_find_spec"):
            return Nested(leaf._spec())
        if isinstance(leaf, Datasets):
            return Nested(leaf.flat[0]._spec(), leaf.shape)
        return ArraySpec(np.shape(leaf), dtype_name(leaf))

    def show_spec(self, spec: Any) -> Any:
        """A spec as `element_spec` returns it."""
        return spec

    def unsized(self, spec: Any) -> Any:
        """The spec of all leaves that are computed like one leaf of this spec."""
        return spec

    def stack(self, leaves: list[Any]) -> Any:
        """Leaves that are not arrays, stacked."""
        raise TypeError(f"Only arrays can be batched. Received: {leaves[0]!r}")

    def row(self, leaf: Any, index: int) -> Any:
        """A row of a leaf."""
        return leaf[index]

    def ragged(
        self, leaves: list[Any], shape: tuple[int | None, ...] | None, splits: Any = np.int64
    ) -> Any:
        """A ragged array whose rows are arrays of different sizes."""
        raise TypeError("ragged_batch() needs a data set of tf.data.")

    def ragged_spec(self, spec: ArraySpec, splits: Any = np.int64) -> Any:
        """The spec of such a ragged array."""
        return spec

    def sparse(self, leaves: list[Any], sizes: list[int | None]) -> Any:
        """A sparse array whose rows are arrays of different sizes, at most those given."""
        raise TypeError("sparse_batch() needs a data set of tf.data.")

    def sparse_spec(self, spec: ArraySpec) -> Any:
        """The spec of such a sparse array."""
        return spec

    def plain(self, leaf: Any) -> Any:
        """A leaf as `as_numpy_iterator` returns it."""
        return leaf

    def check_single(self, spec: Any) -> None:
        """Raises an error for elements that `unique` does not support."""

    def check_numbers(self, spec: Any) -> None:
        """Raises an error for elements that are not integers, as `choose_from_datasets` needs."""

    def holds(self, returned: Any) -> bool:
        """The value that a predicate returned, as a bool."""
        return bool(returned)

    def check_predicate(self, specs: Any) -> None:
        """Raises an error for the specs of what a predicate cannot return."""

    def check_state(self, known: Any, state: Any) -> Any:
        """The state that a function returned for the state `known`. Raises if they differ in
        structure or dtype."""
        return state

    def example(self, spec: Any, size: int) -> Any:
        """A leaf of a spec that is not an array's; raises TypeError where there is none."""
        raise TypeError(f"There is no example of {spec}.")

    def called(self, begin: Callable[[], Iterator[Any]]) -> Iterator[Any]:
        """The iterator of a user's generator, whose errors have the types that users expect."""
        return begin()

    def element(self, returned: Any) -> Any:
        """The element for a value that a user's function returned."""
        return host(returned)


class Function:
    """A user's function, which is called with elements and returns an element."""

    def __init__(self, function: Callable, view: View):
        self._function, self._view = function, view

    def begin(self) -> None:
        """Called when an iteration begins."""

    def skip(self, count: int) -> None:
        """Called when an iteration skips its first results."""

    def raw(self, *arguments: Any) -> Any:
        """The value that the user's function returns, unconverted."""
        given = [whole(map_leaves(self._view.given, a)) for a in arguments]
        return self.unended(lambda: self._function(*given))

    def unended(self, call: Callable[[], Any]) -> Any:
        """The result of a call, in which the end of another iterator is an error: it must not end
        the iteration over the data set."""
        try:
            return call()
        except (StopIteration, self._view.ended) as error:
            name = getattr(self._function, "__name__", "A function of a data set")
            raise self._view.error(f"{name} raised {type(error).__name__}: {error}") from error

    def __call__(self, *arguments: Any) -> Any:
        return self._view.element(self.raw(*arguments))

    def many(self, specs: Sequence[Any]) -> Callable | None:
        """The function of stacked elements, if there is one that gives the same results."""
        return None

    def specs(self, specs: Sequence[Any]) -> Any:
        """The specs of the results for arguments of these specs, or `None` if unknown."""
        return None

    def traced(self, specs: Sequence[Any]) -> Any:
        """The specs of the results, where the function is traced when its data set is made. Raises
        the errors of the function that do not depend on values."""
        return None

    def supposed(self, specs: Sequence[Any], of: Callable[[Any], Any] | None = None) -> list[Any]:
        """The specs of results for example arguments, for data sets without elements. An example
        for which the function raises is left out.

        Args:
            of: computes the spec of a value that the user's function returns.
        """
        found = []
        for size, text in ((1, b"0"), (2, b"0 0"), (3, b"")):

            def example(spec: Any, size: int = size, text: bytes = text) -> Any:
                if hasattr(spec, "_find_spec"):  # a data set for the spec of one
                    return spec
                if not isinstance(spec, ArraySpec) or spec.shape is None:
                    return self._view.example(spec, size)
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
    """The arguments of a call with an element: a tuple becomes several arguments."""
    return element if type(element) is tuple else (element,)


def host(value: Any) -> Any:
    """The element for a returned value: numpy arrays, in tuples and dicts."""
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
    """An array as a leaf of an element: text becomes bytes, and scalar text is not an array."""
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
    """The rows at an index of all arrays in a structure."""
    if view is None:
        return map_leaves(lambda array: array[index], tree)
    return map_leaves(lambda leaf: view.row(leaf, index), tree)


def length(tree: Any) -> int:
    """The number of rows, which all arrays must share."""
    leaves = [leaf for leaf in iter_leaves(tree) if leaf is not None]
    for leaf in leaves:
        if is_text_scalar(leaf) or not len(getattr(leaf, "shape", np.shape(leaf))):
            raise ValueError(f"Only arrays with a first axis have slices. Received: {leaf!r}")
    lengths = {int(leaf.shape[0]) for leaf in leaves}
    if len(lengths) != 1:
        raise ValueError(f"Arrays must have the same length. Received lengths: {sorted(lengths)}")
    return lengths.pop()


def texts(items: Iterable[Any]) -> np.ndarray:
    """An object array of texts."""
    return np.array([*items, None], object)[:-1]  # the None keeps numpy from parsing the texts


def stack(elements: list[Any], view: View | None = None) -> Any:
    """The arrays of several elements, each along a new first axis."""
    return merged(elements, lambda leaves: _stacked(leaves, view))


def merged(elements: list[Any], combine: Callable[[list[Any]], Any]) -> Any:
    """Several elements merged into one: `combine` of the leaves in the same position."""
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
    if hasattr(first, "_find_spec"):
        return Datasets.of(leaves)
    if type(first) not in (np.ndarray, Datasets) and not isinstance(first, (np.generic, int)):
        return (view or View()).stack(leaves)
    shapes = {np.shape(e) for e in leaves}
    if len(shapes) > 1:
        raise (view or View()).error(
            f"Arrays in a batch must have the same shape. Received shapes: {sorted(shapes)}. Use "
            "padded_batch() or ragged_batch() for arrays of different shapes."
        )
    return np.stack(leaves) if shapes != {()} else np.array(leaves, getattr(first, "dtype", None))


def positive(name: str, value: Any, least: int = 1, error: type[Exception] = ValueError) -> int:
    """An integer of at least `least`, from any integer type. Raises `error` for other values."""
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
        check_known(value)
        return None


def check_known(value: Any) -> None:
    """Raises NeedsPython for an array that is being traced."""
    if isinstance(value.unbox() if isinstance(value, Boxed) else value, jax.core.Tracer):
        raise NeedsPython(
            "A data set cannot be made of what is being traced: its elements would be constants. "
            "Make it outside, of values that are known."
        )
