"""What all data sets are: where elements come from, what is known of them, how they are taken."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from keraslike.core import context
from keraslike.core.iteration import Enduring, Failed, cut, tried
from keraslike.core.shares import Rows, Share
from keraslike.core.structures import iter_leaves, map_leaves
from keraslike.data.elements import INFINITE, UNKNOWN, Value, View

# Gives the elements, the first so many passed over.
Start = Callable[[int], Iterator[Any]]


class Fetched(NamedTuple):
    """Elements that are named by keys, which cost nothing: batches are fetched as a whole."""

    keys: Start
    many: Callable[[list[Any]], Any]  # the elements of these keys, stacked
    arrays: Any = None  # whose rows the elements are, where the keys are the numbers of these


_TRIED = 9  # elements that are made, at most, to find out what they are like, if they raise errors


class RowsOf(NamedTuple):
    """Batches that are rows of arrays, by their numbers."""

    arrays: Any
    keys: Start
    batch_size: int
    drop_remainder: bool


class Pipeline:
    """A data set without its methods that make others; see `Dataset`."""

    can_prefetch = True  # a thread may ask for elements while a step runs
    keeps_arrays = True  # no array is written to once it has been given
    _boxes = False  # of the class by whose name it was made, whether elements are tensors
    _base: type[Pipeline]  # `Dataset`
    _shown_as = ""  # TensorFlow's name of its kind
    is_map = False  # whether it is made by `map`, which TensorFlow makes one with a `batch`

    def _set(
        self,
        start: Start,
        count: int,
        inputs: tuple[Any, ...] = (),
        spec: Callable[[], Any] | None = None,
        batch_size: int | None = None,
        fetched: Callable[[], Fetched | None] = lambda: None,
        view: View | None = None,
    ) -> None:
        self._start, self._count, self._inputs = start, count, inputs
        self._start_unhurried = start  # without a thread of its own that makes elements ahead
        self._find_spec, self._fetched = spec, fetched
        self._view = view or self._own_view(inputs)
        self.batch_size = batch_size
        # Where elements are batches of which a part can be made alone: the start of `Share`s.
        self._shares: Callable[[Rows], Start] | None = None
        self._rows: Callable[[], RowsOf | None] = lambda: None
        self.is_part = False  # of what several processes have together
        self._known_spec: Any = None
        self._times = 0  # how often a shuffled one was begun
        self._seeds: Any = None  # of its draws
        self._options: Any = None

    @classmethod
    def _own_view(cls, inputs: tuple[Any, ...] = ()) -> View:
        of_tensors = View.of_tensors
        boxes = cls._boxes or context.state.boxes
        if of_tensors is not None and (boxes or any(i._view is of_tensors for i in inputs)):
            return of_tensors
        return View()

    @classmethod
    def _make(cls, start: Start, count: int, *args: Any, **kwargs: Any) -> Any:
        """A data set of the given parts (`_set`)."""
        made = object.__new__(Pipeline._base)
        made._set(start, count, *args, view=kwargs.pop("view", None) or cls._own_view(), **kwargs)
        return made

    def _then(self, start: Start, count: int | None = None, **kwargs: Any) -> Any:
        """Another data set made of this one's elements, whose form they keep by default."""
        kwargs.setdefault("batch_size", self.batch_size)
        inputs = (self, *kwargs.pop("others", ()))
        kwargs.setdefault("view", self._own_view(inputs))
        made = self._make(
            start,
            self._count if count is None else count,
            inputs,
            kwargs.pop("spec", self._spec),
            **kwargs,
        )
        made._options, made.is_part = self._options, self.is_part
        return made

    def _ordered(self, order: Callable[[Start], Start], count: int | None = None) -> Any:
        """Another with some of the elements, in some order: keys serve as well as elements."""

        def fetched() -> Fetched | None:
            found = self._fetched()
            return None if found is None else found._replace(keys=order(found.keys))

        made = self._then(order(self._start), count, fetched=fetched)
        shares = self._shares
        if shares is not None:
            made._shares = lambda rows: order(shares(rows))
        return made

    def rows_of_arrays(self) -> RowsOf | None:
        """Of which arrays the batches are rows, and how these are found, where they are nothing
        else: whoever has the arrays on a device can do without the batches."""
        return self._rows()

    # -- how it is asked for ------------------------------------------------------------------

    def __iter__(self) -> DatasetIterator:
        return DatasetIterator(self, self._view.show)

    def as_numpy_iterator(self) -> DatasetIterator:
        """An iterator of the elements as plain numpy arrays."""
        return DatasetIterator(self, self._view.plain)

    def cardinality(self, name: str | None = None) -> Any:
        """The number of elements; -1 where there is no end, -2 where it is not known."""
        return self._view.show(np.asarray(self._count, np.int64).view(Value))

    def __len__(self) -> int:
        if self._count < 0:
            what = "is infinite, has no end" if self._count == INFINITE else "length is unknown"
            raise TypeError(f"The data set {what}: it has no len().")
        return self._count

    def __bool__(self) -> bool:
        return True

    @property
    def element_spec(self) -> Any:
        """The shapes and dtypes of the elements, for which the first one is made where only that
        can tell.

        >>> from keraslike.data import Dataset
        >>> Dataset.from_tensor_slices((np.ones((5, 3)), np.arange(5))).batch(2).element_spec
        (ArraySpec(shape=(None, 3), dtype='float64'), ArraySpec(shape=(None,), dtype='int64'))
        """
        return map_leaves(self._view.show_spec, self._spec())

    def _spec(self) -> Any:
        if self._known_spec is None:
            found = None if self._find_spec is None else self._find_spec()
            self._known_spec = self._peeked() if found is None else found
        return self._known_spec

    def _peeked(self) -> Any:
        """What the first two elements have in common."""
        orders = self.orders
        few = list(itertools.islice(tried(self._start(0)), 2))
        if few and all(type(element) is Failed for element in few):
            few += itertools.islice(tried(self._start(0)), 2, _TRIED)
        found = [map_leaves(self._view.spec, e) for e in few if type(e) is not Failed][:2]
        self.orders = orders
        if few and not found:
            raise few[0].error
        if not found:
            raise NoElements("An empty data set has no element_spec.")
        return map_leaves(self._view.unsized, common(*found))

    def __repr__(self) -> str:
        if self._view is View.of_tensors:
            name = self._shown_as or f"{type(self).__name__}V2"
            try:
                return f"<{name} element_spec={self.element_spec!r}>"
            except Exception:  # of an element that cannot be made
                return f"<{name}>"
        count = {INFINITE: "endless", UNKNOWN: "of unknown length"}.get(self._count, self._count)
        return f"<{type(self).__name__}, {count}{' elements' if self._count >= 0 else ''}>"

    @property
    def orders(self) -> list[Any]:
        """Plain values that say in which orders the next iteration gives what is shuffled."""
        return [
            each._times if each._seeds is None else [each._times, *each._seeds]
            for each in self._all()
        ]

    @orders.setter
    def orders(self, values: list[Any]) -> None:
        for each, known in zip(self._all(), values, strict=True):
            if isinstance(known, list):
                known, *seeds = known
                each._seeds = tuple(seeds)
            each._times = known

    def _all(self) -> Iterator[Any]:
        yield self
        for each in self._inputs:
            yield from each._all()


class NoElements(ValueError):
    """There is no element, and nothing else says what elements would be."""


class NeedsPython(TypeError):
    """What a function does that is being traced, and that only Python can do."""


_NOTHING: Any = object()


class Optional:
    """An element that there may be.

    >>> Optional.from_value(3).get_value(), bool(Optional.empty(None).has_value())
    (3, False)
    """

    def __init__(self, value: Any = _NOTHING, element_spec: Any = None):
        self._value, self.element_spec = value, element_spec

    @classmethod
    def from_value(cls, value: Any) -> Optional:
        """One that there is."""
        return cls(value)

    @classmethod
    def empty(cls, element_spec: Any) -> Optional:
        """None, of elements of this kind."""
        return cls(element_spec=element_spec)

    def has_value(self, name: str | None = None) -> Any:
        """Whether there is one, a boolean array."""
        return Pipeline._own_view().show(np.asarray(self._value is not _NOTHING).view(Value))

    def get_value(self, name: str | None = None) -> Any:
        """The element; raises InvalidArgumentError where there is none."""
        if self._value is _NOTHING:
            raise (View.of_tensors or View()).error("There is no element.")
        return self._value


class DatasetIterator:
    """The elements of a data set; where it stands can be saved.

    >>> from keraslike.data import Dataset
    >>> elements = iter(Dataset.range(100).shuffle(9))
    >>> first, state = next(elements), elements.get_state()
    >>> second = next(elements)
    >>> elements.set_state(state)
    >>> bool(next(elements) == second)
    True
    """

    def __init__(self, dataset: Pipeline, show: Callable[[Any], Any]):
        self._dataset, self._show = dataset, show
        self.ahead = True  # false for who takes the elements in a thread already
        self.share: Rows | None = None  # which rows of each batch are to be had, where it can tell
        self._orders, self._taken = dataset.orders, 0
        self._elements: Iterator[Any] | None = None

    def __iter__(self) -> DatasetIterator:
        return self

    def __next__(self) -> Any:
        if not context.trace_state_clean():
            raise NeedsPython(
                "A data set is iterated over in a function that is being traced: its elements "
                "would become constants. Give the function a batch, and iterate outside."
            )
        if self._elements is None:
            self._elements = self._begun(0)
        element = next(self._elements)
        self._taken += 1
        if isinstance(element, Share):
            return Share(map_leaves(self._show, element.batch), element.size)
        return map_leaves(self._show, element)

    def get_next(self) -> Any:
        """The next element."""
        try:
            return next(self)
        except StopIteration:
            raise self._dataset._view.ended("End of sequence") from None

    next = __next__

    def get_next_as_optional(self) -> Optional:
        """The next element, or that there is none."""
        try:
            return Optional(next(self), self.element_spec)
        except StopIteration:
            return Optional(element_spec=self.element_spec)

    @property
    def element_spec(self) -> Any:
        return self._dataset.element_spec

    def get_state(self) -> dict[str, Any]:
        """Plain values from which `set_state`, of an iterator of a data set that was made by the
        same program, goes on with the next element."""
        return {"orders": list(self._orders), "taken": self._taken}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes to where another iterator was; the elements before are made only where what follows
        depends on them."""
        if len(state["orders"]) != len(self._orders):
            raise ValueError(
                f"The state is of a data set of {len(state['orders'])} parts, and this one has "
                f"{len(self._orders)}."
            )
        self._dataset.orders = state["orders"]
        self._orders, self._taken = list(state["orders"]), state["taken"]
        self._elements = self._begun(self._taken)

    def _begun(self, first: int) -> Iterator[Any]:
        dataset = self._dataset
        if self.share is not None and dataset._shares is not None:
            return dataset._shares(self.share)(first)
        return (dataset._start if self.ahead else dataset._start_unhurried)(first)


def common(first: Any, *others: Any) -> Any:
    """What holds for elements of each of several kinds."""
    for other in others:
        if not _alike(first, other):
            raise TypeError(f"Incompatible dataset elements: {first} vs. {other}")
        theirs = iter_leaves(other)
        first = map_leaves(
            lambda s, theirs=theirs: s.common(next(theirs)) if hasattr(s, "common") else s, first
        )
    return first


def _alike(first: Any, other: Any) -> bool:
    """Whether two structures have the same parts."""
    if isinstance(first, dict):
        return isinstance(other, dict) and all(
            k in other and _alike(v, other[k]) for k, v in first.items()
        )
    if isinstance(first, tuple):
        return (
            isinstance(other, tuple) and len(first) == len(other) and all(map(_alike, first, other))
        )
    return not isinstance(other, (dict, tuple))


def passing(make: Callable[[], Iterable[Any]]) -> Start:
    """A start of an iterator that cannot be begun further on."""
    return lambda first: cut(iter(make()), first)


def enduring(make: Callable[[], Iterable[Any]]) -> Start:
    """As `passing`, of a generator that gives a `Failed` in the place of an error."""
    return passing(lambda: Enduring(make()))


def counted(counts: Iterable[int], combine: Callable[[list[int]], int]) -> int:
    """The number of elements of several data sets together."""
    known = list(counts)
    if INFINITE in known:
        return INFINITE
    return UNKNOWN if UNKNOWN in known else combine(known)


def unless(count: int) -> int:
    """The number of elements where only an infinite one is known."""
    return INFINITE if count == INFINITE else UNKNOWN
