"""`Dataset`: a pipeline of elements in numpy, made as they are asked for."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import context, dtypes, foreign
from keraslike.core.boxed import Answers, Boxed
from keraslike.core.structures import iter_leaves, map_leaves
from keraslike.training.prefetch import Ahead, made_by

AUTOTUNE = -1  # as many threads as there are cores
INFINITE, UNKNOWN = -1, -2  # what `cardinality()` gives where there is no number


class Value(np.ndarray):
    """An array with the method `numpy()`, which programs call on what a data set gives."""

    def numpy(self) -> np.ndarray:
        return self.view(np.ndarray)[()]


@dataclasses.dataclass(frozen=True)
class ArraySpec:
    """The shape and dtype of an array in the elements; a size that varies is `None`."""

    shape: tuple[int | None, ...]
    dtype: str


class Dataset:
    """Elements that are made as they are asked for, each an array or a tuple or dict of arrays.

    `fit`, `evaluate`, `predict` and `adapt` take one whose elements are batches, and fetch them
    ahead by a thread. Its methods give new data sets. Functions of the user's are given numpy
    arrays, a tuple as several arguments, and may return arrays of any kind.

    Args:
        make: gives an iterator of the elements, each time it is called.
        count: how many there are, `INFINITE` or `UNKNOWN`.
        inputs: the data sets that `make` asks.
        varying: of the first axes of all arrays, whether sizes differ between elements.
        batch_size: of elements that are batches.

    >>> squares = Dataset.from_tensor_slices(np.arange(5)).map(lambda n: n * n).batch(2)
    >>> [batch.tolist() for batch in squares], len(squares)
    ([[0, 1], [4, 9], [16]], 3)
    """

    can_prefetch = True  # a thread may ask for elements while a step runs
    keeps_arrays = True  # no array is written to once it has been given

    def __init__(
        self,
        make: Callable[[], Iterable[Any]],
        count: int,
        inputs: tuple[Dataset, ...] = (),
        varying: tuple[bool, ...] = (),
        batch_size: int | None = None,
    ):
        self._make, self._count, self._inputs, self._varying = make, count, inputs, varying
        self.batch_size = batch_size
        self._times = 0  # how often a shuffled one was begun
        self._spec: Any = None
        self._boxes = context.state.boxes or any(each._boxes for each in inputs)

    # -- where elements come from ---------------------------------------------------------------

    @staticmethod
    def from_tensor_slices(tensors: Any) -> Dataset:
        """The rows of an array, or of the arrays in a tuple or dict, which have one length."""
        arrays = map_leaves(_rows, tensors, lambda value: isinstance(value, list))
        lengths = {len(a) for a in iter_leaves(arrays)}
        if len(lengths) != 1:
            raise ValueError(f"Arrays must have one length. Received lengths: {sorted(lengths)}")
        (count,) = lengths
        return Dataset(lambda: (_row(arrays, i) for i in range(count)), count)

    @staticmethod
    def zip(*datasets: Any) -> Dataset:
        """Tuples of an element of each data set, until one of them ends."""
        parts = datasets[0] if len(datasets) == 1 and isinstance(datasets[0], tuple) else datasets
        counts = [each._count for each in parts if each._count != INFINITE]
        count = INFINITE if not counts else UNKNOWN if UNKNOWN in counts else min(counts)
        varying = max((each._varying for each in parts), key=len)
        return Dataset(lambda: zip(*(each._make() for each in parts)), count, tuple(parts), varying)

    def concatenate(self, dataset: Dataset) -> Dataset:
        """These elements, and then those of another data set."""
        counts = (self._count, dataset._count)
        count = min(counts) if INFINITE not in counts else INFINITE
        return Dataset(
            lambda: itertools.chain(self._make(), dataset._make()),
            count if count < 0 else sum(counts),
            (self, dataset),
            max(self._varying, dataset._varying, key=len),
        )

    # -- each element ---------------------------------------------------------------------------

    def map(
        self,
        map_func: Callable,
        num_parallel_calls: int | None = None,
        deterministic: bool | None = None,
    ) -> Dataset:
        """`map_func` of each element, in order; by that many threads, of `AUTOTUNE` by one a core.

        With `num_parallel_calls` the function must be one that several threads may run.
        """
        del deterministic  # the order is kept in any case

        def apply(element: Any) -> Any:
            return host(_call(map_func, element))

        def make() -> Iterable[Any]:
            if num_parallel_calls is None:
                return (apply(element) for element in self._make())
            count = os.cpu_count() or 1 if num_parallel_calls == AUTOTUNE else num_parallel_calls
            return made_by(ThreadPoolExecutor(count), apply, self._make(), 2 * count)

        return self._then(make)

    def filter(self, predicate: Callable) -> Dataset:
        """The elements of which `predicate` is true."""
        return self._then(lambda: (e for e in self._make() if _call(predicate, e)), _unless(self))

    def enumerate(self, start: int = 0) -> Dataset:
        """Each element with its number."""
        return self._then(lambda: ((np.int64(n), e) for n, e in enumerate(self._make(), start)))

    # -- which elements ---------------------------------------------------------------------------

    def take(self, count: int) -> Dataset:
        """The first `count` elements; all of them where it is -1."""
        if count < 0:
            return self
        known = {INFINITE: count, UNKNOWN: UNKNOWN}.get(self._count, min(self._count, count))
        return self._then(lambda: itertools.islice(self._make(), count), known)

    def skip(self, count: int) -> Dataset:
        """What comes after the first `count` elements; nothing where it is -1."""
        if count < 0:
            return self.take(0)
        known = self._count if self._count < 0 else max(self._count - count, 0)
        return self._then(lambda: itertools.islice(self._make(), count, None), known)

    def repeat(self, count: int | None = None) -> Dataset:
        """All elements `count` times, without end where it is `None` or -1."""
        endless = count is None or count < 0

        def make() -> Iterator[Any]:
            for _ in itertools.count() if endless else range(count):  # type: ignore[arg-type]
                given = False
                for element in self._make():
                    given = True
                    yield element
                if not given:
                    return

        if self._count >= 0 and (not endless or not self._count):
            return self._then(make, self._count * (count or 0))
        return self._then(make, INFINITE if endless else self._count)

    def shuffle(
        self,
        buffer_size: int,
        seed: int | None = None,
        reshuffle_each_iteration: bool | None = None,
    ) -> Dataset:
        """The elements in a random order, each drawn among the next `buffer_size` of them.

        Args:
            seed: of the orders; drawn from numpy's random numbers where it is `None`.
            reshuffle_each_iteration: whether each iteration has an order of its own (the default).
        """
        size = _positive("buffer_size", buffer_size)
        root = int(np.random.randint(2**31)) if seed is None else abs(int(seed))

        def make() -> Iterator[Any]:
            times = 0 if reshuffle_each_iteration is False else shuffled._times
            shuffled._times += 1
            generator, buffer = np.random.default_rng((root, times)), []
            for element in self._make():
                if len(buffer) < size:
                    buffer.append(element)
                    continue
                place = generator.integers(size)
                element, buffer[place] = buffer[place], element
                yield element
            for place in generator.permutation(len(buffer)):
                yield buffer[place]

        shuffled = self._then(make)
        return shuffled

    # -- batches ----------------------------------------------------------------------------------

    def batch(
        self,
        batch_size: int,
        drop_remainder: bool = False,
        num_parallel_calls: int | None = None,
        deterministic: bool | None = None,
    ) -> Dataset:
        """Several elements in one, their arrays along a new first axis.

        With `drop_remainder` elements at the end that do not fill a batch are left out.
        """
        del num_parallel_calls, deterministic  # the order is kept in any case
        return self.grouped(batch_size, stack, drop_remainder)

    def grouped(
        self, batch_size: int, combine: Callable[[list], Any], drop_remainder: bool = False
    ) -> Dataset:
        """What `combine` makes of each `batch_size` elements in a list."""
        size = _positive("batch_size", batch_size)

        def make() -> Iterator[Any]:
            elements = iter(self._make())
            while group := list(itertools.islice(elements, size)):
                if len(group) == size or not drop_remainder:
                    yield combine(group)

        count = self._count
        if count >= 0:
            count = count // size if drop_remainder else -(-count // size)
        return Dataset(make, count, (self,), (not drop_remainder, *self._varying), size)

    def unbatch(self) -> Dataset:
        """The rows of each element as elements."""

        def make() -> Iterator[Any]:
            for element in self._make():
                count = len(next(iter_leaves(element)))
                yield from (_row(element, i) for i in range(count))

        return Dataset(make, _unless(self), (self,), self._varying[1:])

    # -- when they are made -----------------------------------------------------------------------

    def cache(self) -> Dataset:
        """The same elements, which are kept in memory once all of them have been asked for."""
        kept: list[list[Any]] = []

        def make() -> Iterator[Any]:
            if not kept:
                elements = []
                for element in self._make():
                    elements.append(element)
                    yield element
                kept[:] = [elements]
            else:
                yield from kept[0]

        return self._then(make)

    def prefetch(self, buffer_size: int) -> Dataset:
        """The same elements, of which a thread makes up to `buffer_size` ahead."""
        depth = 2 if buffer_size == AUTOTUNE else _positive("buffer_size", buffer_size)

        def make() -> Iterator[Any]:
            with Ahead(self._make(), lambda element: element, depth) as ahead:
                while elements := ahead.take(1, wait=True):
                    yield from elements

        return self._then(make)

    # -- what it is -------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Any]:
        show = _boxed if self._boxes else _shown
        return (map_leaves(show, element) for element in self._make())

    def as_numpy_iterator(self) -> Iterator[Any]:
        """An iterator of the elements as plain numpy arrays."""
        return iter(self._make())

    def cardinality(self) -> Any:
        """The number of elements; -1 where there is no end, -2 where it is not known."""
        return np.asarray(self._count, np.int64).view(Value)

    def __len__(self) -> int:
        if self._count < 0:
            what = "has no end" if self._count == INFINITE else "does not know its length"
            raise TypeError(f"This data set {what}: it has no len().")
        return self._count

    def __bool__(self) -> bool:
        return True

    @property
    def element_spec(self) -> Any:
        """The shapes and dtypes of the elements, for which the first one is made.

        >>> Dataset.from_tensor_slices((np.ones((5, 3)), np.arange(5))).batch(2).element_spec
        (ArraySpec(shape=(None, 3), dtype='float64'), ArraySpec(shape=(None,), dtype='int64'))
        """
        if self._spec is None:
            orders = self.orders
            first = next(iter(self._make()), self)
            self.orders = orders
            if first is self:
                raise ValueError("An empty data set has no element_spec.")
            self._spec = map_leaves(self._spec_of, first)
        return self._spec

    def _spec_of(self, array: Any) -> ArraySpec:
        array = np.asarray(array)
        shape = [None if unknown else n for n, unknown in zip(array.shape, self._varying)]
        return ArraySpec((*shape, *array.shape[len(shape) :]), _dtype_name(array))

    def __repr__(self) -> str:
        count = {INFINITE: "endless", UNKNOWN: "of unknown length"}.get(self._count, self._count)
        return f"<{type(self).__name__}, {count}{' elements' if self._count >= 0 else ''}>"

    @property
    def orders(self) -> list[int]:
        """Plain values that say in which orders the next iteration gives what is shuffled."""
        return [each._times for each in self._all()]

    @orders.setter
    def orders(self, values: list[int]) -> None:
        for each, times in zip(self._all(), values, strict=True):
            each._times = times

    def _all(self) -> Iterator[Dataset]:
        yield self
        for each in self._inputs:
            yield from each._all()

    def _then(self, make: Callable[[], Iterable[Any]], count: int | None = None) -> Dataset:
        count = self._count if count is None else count
        return Dataset(make, count, (self,), self._varying, self.batch_size)


def _unless(dataset: Dataset) -> int:
    """The number of elements where only an infinite one is known."""
    return INFINITE if dataset._count == INFINITE else UNKNOWN


def _positive(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name} must be a positive integer. Received: {name}={value!r}")
    return int(value)


def _call(function: Callable, element: Any) -> Any:
    return function(*element) if type(element) is tuple else function(element)


# -- elements -----------------------------------------------------------------------------------


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


def _rows(value: Any) -> np.ndarray:
    array = np.asarray(value if isinstance(value, list) else host(value))
    if not array.ndim:
        raise ValueError(f"Only arrays with a first axis have slices. Received: {value!r}")
    if array.dtype.kind == "U":  # text is bytes, as in TensorFlow
        array = np.char.encode(array)
    return array.astype(object) if array.dtype.kind == "S" else array


def _row(tree: Any, index: int) -> Any:
    return map_leaves(lambda array: array[index], tree)


def stack(elements: list[Any]) -> Any:
    """The arrays of several elements, each along a new first axis."""
    first = elements[0]
    if isinstance(first, dict):
        return {k: stack([e[k] for e in elements]) for k in first}
    if isinstance(first, tuple):
        parts = [stack(list(part)) for part in zip(*elements)]
        return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)
    if first is None:
        return None
    if isinstance(first, (str, bytes)):
        return np.array([*elements, None], object)[:-1]  # of bytes alone numpy makes other arrays
    shapes = {np.shape(e) for e in elements}
    if len(shapes) > 1:
        raise ValueError(f"Arrays in a batch must have one shape. Received: {sorted(shapes)}")
    return np.stack(elements)


def _dtype_name(array: np.ndarray) -> str:
    return "string" if array.dtype.kind in "OSUT" else array.dtype.name


def _shown(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        return np.asarray(value).view(Value)
    return value


def _boxed(value: Any) -> Any:
    """As a tensor, for callers of `tf.keras`."""
    if isinstance(value, (str, bytes)):
        value = np.array([value, None], object)[:1].reshape(())
    if not isinstance(value, (np.ndarray, np.generic)):
        return value
    if value.dtype.kind in "OSUT":
        return Answers.box(np.asarray(value))  # type: ignore[misc]
    with jax.enable_x64(True):
        return Answers.box(jnp.asarray(value))  # type: ignore[misc]
