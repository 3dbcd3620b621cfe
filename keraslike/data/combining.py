"""Methods that combine several data sets into one."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from keraslike.core.iteration import Failed, Steps, attempted, begun, cut, tried
from keraslike.core.structures import iter_leaves, map_items, map_leaves
from keraslike.data import philox
from keraslike.data.composed import apart, is_composed
from keraslike.data.elements import (
    AUTOTUNE,
    INFINITE,
    UNKNOWN,
    Function,
    Nested,
    arguments,
    as_int,
    positive,
)
from keraslike.data.pipeline import Fetched, NoElements, Pipeline, Start, common, counted, enduring


class Combining(Pipeline):
    """Methods that combine several data sets."""

    @classmethod
    def zip(cls, *args: Any, datasets: Any = None, name: str | None = None) -> Any:
        """Structures of one element of each data set, until the first data set ends."""
        if bool(args) == (datasets is not None):
            raise TypeError(
                "zip() takes data sets either by position or as the argument datasets. "
                f"Received: args={args!r}, datasets={datasets!r}"
            )
        structure = datasets if datasets is not None else args[0] if len(args) == 1 else args
        if isinstance(structure, list):
            structure = tuple(structure)
        structure = _apart(structure)
        parts = list(iter_leaves(structure))
        for part in parts:
            _check(part, "zip")

        def packed(items: Any) -> Any:
            left = iter(items)
            return map_leaves(lambda _: next(left), structure)

        def together(starts: list[Start], pack: Callable) -> Start:
            return lambda first: map(pack, _together([start(first) for start in starts]))

        def fetched() -> Fetched | None:
            found = [part._fetched() for part in parts]
            if None in found:
                return None

            def many(keys: list[Any]) -> Any:
                return packed([f.many(list(k)) for f, k in zip(found, zip(*keys))])  # type: ignore

            return Fetched(together([f.keys for f in found], lambda keys: keys), many)  # type: ignore

        known = [part._count for part in parts if part._count != -1]
        return parts[0]._then(
            together([part._start for part in parts], packed),
            counted(known, min) if known else -1,
            spec=lambda: packed([part._spec() for part in parts]),
            others=tuple(parts[1:]),
            fetched=fetched,
            view=cls._own_view(tuple(parts)),
        )

    def concatenate(self, dataset: Any, name: str | None = None) -> Any:
        """The elements of this data set, followed by those of another."""
        _check(dataset, "concatenate")
        with contextlib.suppress(NoElements):
            if self._find_spec is not None and dataset._find_spec is not None:
                common(self._spec(), dataset._spec())

        def both(first: int) -> Iterator[Any]:
            starts = itertools.chain([lambda: self._start(first)], [lambda: dataset._start(0)])
            return itertools.chain.from_iterable(begin() for begin in starts)

        def start(first: int) -> Iterator[Any]:
            if self._count == UNKNOWN:  # it may have fewer elements than `first`
                return cut(both(0), first)
            if self._count == INFINITE or first < self._count:
                return both(first)
            return dataset._start(first - self._count)

        def known() -> Any:
            return common(self._spec(), dataset._spec())

        made = self._then(
            start, counted((self._count, dataset._count), sum), spec=known, others=(dataset,)
        )
        made.inputs_at_once = 1
        return made

    def flat_map(self, map_func: Callable, name: str | None = None) -> Any:
        """The elements of the data sets that `map_func` returns for each element, in order."""
        function = self._view.function(map_func)
        opened = functools.partial(_opened, function)

        def make() -> Iterator[Any]:
            for element in tried(self._start(0)):
                if type(element) is Failed:
                    yield element
                else:
                    yield from begun(functools.partial(opened, element))

        made = self._then(enduring(make), UNKNOWN, spec=self._inner_spec(function), batch_size=None)
        made.functions, made.computes_spec = (function,), True
        return made

    def _inner_spec(self, function: Any) -> Callable[[], Any]:
        def known() -> Any:
            orders = self.orders
            first = next(self._start(0), self)
            self.orders = orders
            if first is not self:
                return _dataset(function.raw(*arguments(first)))._spec()
            given = map_leaves(self._without_elements, arguments(self._spec()))
            examples = function.supposed(given, lambda d: _dataset(d)._spec())
            return common(examples[0], examples[-1]) if examples else None

        return known

    def _without_elements(self, spec: Any) -> Any:
        """A data set for the spec of one, and any other spec unchanged."""
        if not isinstance(spec, Nested):
            return spec
        return self._make(lambda first: iter(()), 0, (), lambda: spec.element, view=self._view)

    def interleave(
        self,
        map_func: Callable,
        cycle_length: Any = None,
        block_length: Any = None,
        num_parallel_calls: Any = None,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Any:
        """The elements of the data sets that `map_func` returns, `block_length` of each in turn.

        Args:
            cycle_length: how many data sets are read at a time, by default the number that
                TensorFlow uses for this number of cores.
            block_length: how many elements of a data set are consecutive, by default 1.
            num_parallel_calls: if given, each of the open data sets is read ahead by a thread.
            deterministic: accepted for TensorFlow's sake; the order is always deterministic.
        """
        wanted, threads = as_int(cycle_length), as_int(num_parallel_calls)
        error = self._view.error
        if num_parallel_calls is not None and threads != AUTOTUNE:
            threads = positive("num_parallel_calls", num_parallel_calls, error=error)
        if wanted in (None, AUTOTUNE):
            cycle = os.cpu_count() or 1
            if threads is not None:  # TensorFlow prefetches two data sets for each open one
                cycle = -(-cycle // 3) if threads == AUTOTUNE else min(cycle, threads)
        else:
            cycle = positive("cycle_length", wanted, error=error)
            if threads is not None and threads > cycle:
                raise error(
                    "num_parallel_calls must be at most cycle_length. Received: "
                    f"num_parallel_calls={threads}, cycle_length={cycle}"
                )
        block = 1 if block_length is None else positive("block_length", block_length, error=error)
        function = self._view.function(map_func)
        opened = functools.partial(_opened, function)

        def make() -> Iterator[Any]:
            elements = tried(self._start(0))
            parallel = num_parallel_calls is not None
            if not parallel:
                yield from _interleaved(elements, opened, cycle, block, tried)
                return
            with ThreadPoolExecutor(cycle) as executor:
                ahead = lambda items: _ahead(executor, tried(items), block)  # noqa: E731
                yield from _interleaved(elements, opened, cycle, block, ahead)

        endless = self._count == INFINITE and num_parallel_calls is not None  # as in TensorFlow
        count = INFINITE if endless else UNKNOWN
        made = self._then(enduring(make), count, spec=self._inner_spec(function), batch_size=None)
        made.computes_spec = True
        return made

    @classmethod
    def sample_from_datasets(
        cls,
        datasets: Any,
        weights: Any = None,
        seed: int | None = None,
        stop_on_empty_dataset: bool = False,
        rerandomize_each_iteration: bool | None = None,
        name: str | None = None,
    ) -> Any:
        """Elements of several data sets, in random alternation.

        Args:
            weights: the probability of each data set: a list, or a data set of lists.
            stop_on_empty_dataset: whether to end when the first data set has ended, rather than
                when all have.
        """
        parts = list(datasets)
        each = isinstance(weights, Pipeline)
        if not parts:
            raise ValueError("Invalid `datasets`. `datasets` should not be empty.")
        share = np.ones(len(parts)) if weights is None or each else np.asarray(weights, "float64")
        if not each and (share.shape != (len(parts),) or (share < 0).any()):
            raise ValueError(
                f"weights must be {len(parts)} numbers of at least 0. Received: weights={weights!r}"
            )
        if not share.any():
            return parts[0].take(0)
        if not each and (share == 0).any():
            parts = [part for part, weight in zip(parts, share) if weight]
            share = share[share > 0]

        def numbers() -> Iterator[int]:
            seeds = made._next_seeds(rerandomize_each_iteration)
            shares: Any = itertools.repeat(share)
            if isinstance(weights, Pipeline):
                shares = (np.ravel(now).astype("float64") for now in weights._start(0))
            return philox.chosen(shares, philox.numbers(seeds))

        made = _chosen(cls, parts, numbers, stop_on_empty_dataset, (weights,) if each else ())
        made._seeds = philox.seeds(seed)
        return made

    @classmethod
    def choose_from_datasets(
        cls,
        datasets: Any,
        choice_dataset: Any,
        stop_on_empty_dataset: bool = True,
        name: str | None = None,
    ) -> Any:
        """Elements of several data sets, which another data set chooses by their numbers.

        Args:
            choice_dataset: a data set of int64 scalars, the indices of data sets.
            stop_on_empty_dataset: whether to end when a data set is chosen that has ended;
                otherwise the choice is skipped.
        """
        parts = list(datasets)
        _check(choice_dataset, "choose_from_datasets")
        if not parts:
            raise ValueError("Invalid `datasets`. `datasets` should not be empty.")
        choice_dataset._view.check_numbers(choice_dataset._spec())

        def numbers() -> Iterator[int]:
            for number in choice_dataset._start(0):
                if not 0 <= int(number) < len(parts):
                    raise choice_dataset._view.error(
                        f"A number below {len(parts)} was expected. Received: {int(number)}"
                    )
                yield int(number)

        return _chosen(cls, parts, numbers, stop_on_empty_dataset, (choice_dataset,))


def _chosen(
    cls: Any,
    parts: list[Any],
    numbers: Callable[[], Iterator[int]],
    stop: bool,
    others: tuple[Any, ...] = (),
) -> Any:
    for part in parts:
        _check(part, "datasets")
    known_now = [part._spec_at_once() for part in parts]
    if all(spec is not None for spec in known_now):
        common(*known_now)  # raises an error for elements of different kinds

    def make() -> Iterator[Any]:
        ended: set[int] = set()
        iterators = [tried(part._start(0)) for part in parts]
        for number in numbers():
            if number in ended:
                continue
            element = next(iterators[number], ended)
            if element is not ended:
                yield element
                continue
            ended.add(number)
            if stop or len(ended) == len(parts):
                return

    def known() -> Any:
        return common(*[part._spec() for part in parts])

    return parts[0]._then(
        enduring(make),
        counted([*(part._count for part in parts), UNKNOWN], sum),
        spec=known,
        others=(*parts[1:], *others),
        batch_size=None,
        view=cls._own_view(tuple(parts)),
    )


def _together(iterators: list[Iterator[Any]]) -> Iterator[Any]:
    """Like `zip`, but if one iterator raises an error the others advance by an element, too."""

    def following() -> Any:
        items, failed = [], None
        for elements in iterators:
            try:
                items.append(next(elements))
            except StopIteration:
                raise
            except Exception as error:
                failed = failed or error
        if failed is not None:
            raise failed
        return tuple(items)

    return Steps(following)


def _apart(structure: Any) -> Any:
    """A structure of data sets with named tuples in place of the objects of users' classes."""
    if is_composed(structure):
        return apart(structure, _apart)
    return map_items(_apart, structure) if isinstance(structure, (dict, tuple)) else structure


def _check(dataset: Any, name: str) -> None:
    if not isinstance(dataset, Pipeline):
        raise TypeError(f"{name}() takes data sets. Received: {dataset!r}")


def _opened(function: Function, element: Any) -> Iterator[Any]:
    """The elements of the data set that a function returns for an element."""
    return _dataset(function.raw(*arguments(element)))._start(0)


def _dataset(made: Any) -> Any:
    if not isinstance(made, Pipeline):
        raise TypeError(f"map_func must return a Dataset. Received: {made!r}")
    return made


def _interleaved(
    elements: Iterator[Any],
    opened: Callable[[Any], Iterator[Any]],
    cycle: int,
    block: int,
    read: Callable[[Iterator[Any]], Iterator[Any]],
) -> Iterator[Any]:
    slots: list[Iterator[Any] | None] = [None] * cycle
    more, end = True, object()
    place = given = 0
    while more or any(slot is not None for slot in slots):
        slot = slots[place]
        if slot is None:
            if more:
                element = next(elements, end)
                if element is not end:
                    begun = attempted(opened)(element)
                    if type(begun) is Failed:
                        yield begun
                    else:
                        slots[place] = read(begun)
                    continue
                more = False
            place, given = (place + 1) % cycle, 0
            continue
        element = next(slot, end)
        if element is end:
            slots[place] = None
            place, given = (place + 1) % cycle, 0
            continue
        yield element
        given += type(element) is not Failed
        if given == block:
            place, given = (place + 1) % cycle, 0


def _ahead(executor: ThreadPoolExecutor, items: Iterator[Any], block: int) -> Iterator[Any]:
    """The items, which a thread of the pool reads one run of several items ahead."""
    size = max(16, block)
    pending = executor.submit(lambda: list(itertools.islice(items, size)))
    while run := pending.result():
        pending = executor.submit(lambda: list(itertools.islice(items, size)))
        yield from run
