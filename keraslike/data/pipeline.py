"""The base of all data sets: the source of elements, their specs, and iteration."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from keraslike.core import context
from keraslike.core.compilation import steady_memory
from keraslike.core.errors import NeedsPython
from keraslike.core.iteration import Enduring, Failed, cut, tried
from keraslike.core.shares import Rows, Share
from keraslike.core.structures import iter_leaves, map_leaves
from keraslike.data import philox
from keraslike.data.composed import whole
from keraslike.data.elements import INFINITE, UNKNOWN, Value, View

# Returns an iterator of the elements from the given number on.
Start = Callable[[int], Iterator[Any]]


class Fetched(NamedTuple):
    """Elements that have cheap keys, so that a batch can be gathered at once."""

    keys: Start
    many: Callable[[list[Any]], Any]  # the elements of several keys, stacked
    arrays: Any = None  # arrays whose rows are the elements, if keys are the numbers of rows


_TRIED = 9  # elements to try at most for the spec, if they raise errors


class RowsOf(NamedTuple):
    """Batches that are rows of arrays, selected by row numbers."""

    arrays: Any
    keys: Start
    batch_size: int
    drop_remainder: bool


class Pipeline:
    """A data set without the methods that derive others; see `Dataset`."""

    can_prefetch = True  # whether a thread may iterate while a step runs
    keeps_arrays = True  # whether arrays are never written to after they were returned
    _gives_boxes = False  # whether the class is that of `tf.data`, whose elements are tensors
    _base: type[Pipeline]  # `Dataset`
    _shown_as = ""  # the name of TensorFlow's class for this data set
    inputs_at_once: int | None = None  # the number of inputs that an iteration starts, if not all
    functions: tuple[Any, ...] = ()  # the user's functions, which are notified of a new iteration
    computes_spec = False  # whether elements or users' functions are computed for the spec
    is_map = False  # whether `map` made it; TensorFlow fuses `map` and `batch`

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
        # If elements are batches of which a part can be computed alone: the start of `Share`s.
        self._shares: Callable[[Rows], Start] | None = None
        self._rows: Callable[[], RowsOf | None] = lambda: None
        self.is_part = False  # of what several processes have together
        self._known_spec: Any = None
        self._times = 0  # how often a shuffled one was begun
        self._by_number = False  # whether elements are asked for by their numbers
        self._seeds: Any = None  # of its draws
        self._options: Any = None

    @classmethod
    def _own_view(cls, inputs: tuple[Any, ...] = ()) -> View:
        of_tensors = View.of_tensors
        boxes = cls._gives_boxes or context.state.boxes
        if of_tensors is not None and (boxes or any(i._view is of_tensors for i in inputs)):
            return of_tensors
        return View()

    @classmethod
    def _make(cls, start: Start, count: int, *args: Any, **kwargs: Any) -> Any:
        """A data set with the arguments of `_set`."""
        made = object.__new__(Pipeline._base)
        made._set(start, count, *args, view=kwargs.pop("view", None) or cls._own_view(), **kwargs)
        return made

    def _then(self, start: Start, count: int | None = None, **kwargs: Any) -> Any:
        """A data set derived from this one, by default with elements of the same spec."""
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
        for options in (each._options for each in inputs if each._options is not None):
            made._options = options if made._options is None else made._options.merge(options)
        made.is_part = self.is_part
        return made

    def _ordered(self, order: Callable[[Start], Start], count: int | None = None) -> Any:
        """A data set that selects or orders elements, by `order` of a start of elements or keys."""

        def fetched() -> Fetched | None:
            found = self._fetched()
            return None if found is None else found._replace(keys=order(found.keys))

        made = self._then(order(self._start), count, fetched=fetched)
        shares = self._shares
        if shares is not None:
            made._shares = lambda rows: order(shares(rows))
        return made

    def _next_seeds(self, each_has_its_own: bool | None) -> philox.Seeds:
        """The seeds of the iteration that begins."""
        seeds = self._seeds
        if each_has_its_own and not self._by_number:
            seeds = philox.of_iteration(seeds, self._times)
        self._times += 1
        return seeds

    def rows_of_arrays(self) -> RowsOf | None:
        """The arrays of which the batches are rows, if they are nothing else. With these arrays on
        a device the batches themselves are not needed."""
        return self._rows()

    # -- how it is asked for ------------------------------------------------------------------

    def __iter__(self) -> DatasetIterator:
        return DatasetIterator(self, self._view.show)

    def as_numpy_iterator(self) -> DatasetIterator:
        """An iterator of the elements as plain numpy arrays."""
        return DatasetIterator(self, self._view.plain)

    def cardinality(self, name: str | None = None) -> Any:
        """The number of elements: -1 if it is infinite, -2 if it is unknown."""
        return self._view.show(np.asarray(self._count, np.int64).view(Value))

    def __len__(self) -> int:
        if self._count < 0:
            what = (
                "The data set is infinite" if self._count == INFINITE else "Its length is unknown"
            )
            raise TypeError(f"{what}: the data set has no len().")
        return self._count

    def __bool__(self) -> bool:
        return True

    @property
    def element_spec(self) -> Any:
        """The specs of the elements. If nothing else determines them, the first ones are computed.

        >>> from keraslike.data import Dataset
        >>> Dataset.from_tensor_slices((np.ones((5, 3)), np.arange(5))).batch(2).element_spec
        (ArraySpec(shape=(None, 3), dtype='float64'), ArraySpec(shape=(None,), dtype='int64'))
        """
        return whole(map_leaves(self._view.show_spec, self._spec()))

    def _spec(self) -> Any:
        if self._known_spec is None:
            found = None if self._find_spec is None else self._find_spec()
            self._known_spec = self._peeked() if found is None else found
        return self._known_spec

    def _spec_at_once(self) -> Any:
        """The spec if nothing is computed for it, otherwise `None`."""
        if self._known_spec is None and (
            self._find_spec is None
            or self.computes_spec
            or any(each._spec_at_once() is None for each in self._inputs)
        ):
            return None
        return self._spec()

    def _peeked(self, supposed: Sequence[Any] = ()) -> Any:
        """The spec of the first two elements.

        Args:
            supposed: specs of further possible elements; a size that differs in them is unknown.
        """
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
        spec = _loosened(common(*found), [each for each in supposed if alike(found[0], each)])
        return map_leaves(self._view.unsized, spec)

    def __repr__(self) -> str:
        if self._view is View.of_tensors:
            name = self._shown_as or f"{type(self).__name__}V2"
            try:
                return f"<{name} element_spec={self.element_spec!r}>"
            except Exception:  # the first element cannot be computed
                return f"<{name}>"
        count = {INFINITE: "endless", UNKNOWN: "of unknown length"}.get(self._count, self._count)
        return f"<{type(self).__name__}, {count}{' elements' if self._count >= 0 else ''}>"

    @property
    def orders(self) -> list[Any]:
        """Plain values that determine the random order of the next iteration."""
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

    def _begun_at_once(self) -> Iterator[Any]:
        """The data sets whose iterations start when this one's starts."""
        yield self
        for each in self._inputs[: self.inputs_at_once]:
            yield from each._begun_at_once()


class NoElements(ValueError):
    """Raised if there is no element, and nothing else determines the spec."""


_NOTHING: Any = object()


class Optional:
    """An element, or the absence of one.

    >>> Optional.from_value(3).get_value(), bool(Optional.empty(None).has_value())
    (3, False)
    """

    def __init__(self, value: Any = _NOTHING, element_spec: Any = None, view: View | None = None):
        self._value, self.element_spec = value, element_spec
        self._view = view or Pipeline._own_view()

    @classmethod
    def from_value(cls, value: Any) -> Optional:
        """An Optional that has a value."""
        return cls(value)

    @classmethod
    def empty(cls, element_spec: Any) -> Optional:
        """An Optional without a value, of elements of a spec."""
        return cls(element_spec=element_spec)

    def has_value(self, name: str | None = None) -> Any:
        """Whether there is a value, as a boolean array."""
        return self._view.show(np.asarray(self._value is not _NOTHING).view(Value))

    def get_value(self, name: str | None = None) -> Any:
        """The value. Raises InvalidArgumentError if there is none."""
        if self._value is _NOTHING:
            raise (View.of_tensors or View()).error("The Optional has no value.")
        return self._value


class DatasetIterator:
    """An iterator of a data set, whose position can be saved and restored.

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
        self.ahead = True  # false if the elements are already taken in a thread
        self.share: Rows | None = None  # the rows of each batch that are wanted, if it can select
        self._orders, self._taken = dataset.orders, 0
        steady_memory()
        self._elements: Iterator[Any] | None = None

    def __iter__(self) -> DatasetIterator:
        return self

    def __next__(self) -> Any:
        check_outside_of_traces()
        if self._elements is None:
            self._elements = self._begun(0)
        element = next(self._elements)
        self._taken += 1
        if isinstance(element, Share):
            return Share(whole(map_leaves(self._show, element.batch)), element.size)
        return whole(map_leaves(self._show, element))

    def get_next(self) -> Any:
        """The next element."""
        try:
            return next(self)
        except StopIteration:
            raise self._dataset._view.ended("End of sequence") from None

    next = __next__

    def get_next_as_optional(self) -> Optional:
        """The next element as an `Optional`, which is empty at the end."""
        try:
            found = next(self)
        except StopIteration:
            found = _NOTHING
        view = self._dataset._view
        return (view.optional or Optional)(found, self.element_spec, view)

    @property
    def element_spec(self) -> Any:
        return self._dataset.element_spec

    def get_state(self) -> dict[str, Any]:
        """Plain values from which `set_state` resumes, on an iterator of a data set that the same
        program made."""
        return {"orders": list(self._orders), "taken": self._taken}

    def save(self) -> Any:
        """The position as a scalar of text, from which `restore` resumes."""
        return self._dataset._view.show(json.dumps(self.get_state()).encode())

    def restore(self, state: Any) -> None:
        """Resumes at the position that `save` returned."""
        self.set_state(json.loads(getattr(state, "numpy", lambda: state)()))

    def set_state(self, state: dict[str, Any]) -> None:
        """Resumes at the position of another iterator. Earlier elements are computed only if later
        ones depend on them."""
        if len(state["orders"]) != len(self._orders):
            raise ValueError(
                f"The state is that of a data set of {len(state['orders'])} parts, but this one "
                f"has {len(self._orders)}. Make the data set as it was when the state was saved."
            )
        self._dataset.orders = state["orders"]
        self._orders, self._taken = list(state["orders"]), state["taken"]
        self._elements = self._begun(self._taken)

    def _begun(self, first: int) -> Iterator[Any]:
        dataset = self._dataset
        for function in (f for each in dataset._all() for f in each.functions):
            function.begin()
        if self.share is not None and dataset._shares is not None:
            return dataset._shares(self.share)(first)
        return (dataset._start if self.ahead else dataset._start_unhurried)(first)


def check_outside_of_traces() -> None:
    if not context.trace_state_clean():
        raise NeedsPython(
            "A data set cannot be iterated over in a function that is being traced, since its "
            "elements would become constants. Iterate outside, and pass it the batches."
        )


def common(first: Any, *others: Any) -> Any:
    """The most specific spec that elements of all specs conform to."""
    for other in others:
        if not alike(first, other):
            raise TypeError(f"Incompatible dataset elements: {first} vs. {other}")
        theirs = iter_leaves(other)
        first = map_leaves(
            lambda s, theirs=theirs: s.common(next(theirs)) if hasattr(s, "common") else s, first
        )
    return first


def _loosened(spec: Any, others: Sequence[Any]) -> Any:
    """A spec in which sizes that differ in other specs of the same dtypes and ranks are unknown."""
    for other in others:
        theirs = iter_leaves(other)

        def both(leaf: Any, theirs: Iterator[Any] = theirs) -> Any:
            each = next(theirs)
            same = all(
                getattr(leaf, name, None) == getattr(each, name, None)
                for name in ("dtype", "ragged_rank")
            )
            ranks = [
                None if getattr(s, "shape", None) is None else len(s.shape) for s in (leaf, each)
            ]
            fits = type(leaf) is type(each) and same and None not in ranks and len({*ranks}) == 1
            return leaf.common(each) if fits else leaf

        spec = map_leaves(both, spec)
    return spec


def alike(first: Any, other: Any) -> bool:
    """Whether two structures have the same parts."""
    if isinstance(first, dict):
        return isinstance(other, dict) and all(
            k in other and alike(v, other[k]) for k, v in first.items()
        )
    if isinstance(first, tuple):
        return (
            isinstance(other, tuple) and len(first) == len(other) and all(map(alike, first, other))
        )
    return not isinstance(other, (dict, tuple))


def passing(make: Callable[[], Iterable[Any]]) -> Start:
    """A start that computes and skips the first elements, for iterators that cannot seek."""
    return lambda first: cut(iter(make()), first)


def enduring(make: Callable[[], Iterable[Any]]) -> Start:
    """Like `passing`, for a generator that gives a `Failed` in place of an error."""
    return passing(lambda: Enduring(make()))


def counted(counts: Iterable[int], combine: Callable[[list[int]], int]) -> int:
    """The combined number of elements of several data sets."""
    known = list(counts)
    if INFINITE in known:
        return INFINITE
    return UNKNOWN if UNKNOWN in known else combine(known)


def unless(count: int) -> int:
    """The number of elements of a data set that drops or adds some to one of `count`."""
    return INFINITE if count == INFINITE else UNKNOWN
