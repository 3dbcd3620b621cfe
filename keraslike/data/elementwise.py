"""Methods of data sets that select, order and transform single elements."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any

import numpy as np

from keraslike.core.arguments import warn_user
from keraslike.core.iteration import Enduring, Failed, attempted, caught, cut, tried
from keraslike.core.structures import iter_leaves, map_leaves
from keraslike.data import philox
from keraslike.data.composed import whole
from keraslike.data.elements import (
    AUTOTUNE,
    INFINITE,
    UNKNOWN,
    ArraySpec,
    Function,
    arguments,
    as_int,
    positive,
)
from keraslike.data.options import Options
from keraslike.data.pipeline import (
    Fetched,
    NoElements,
    Pipeline,
    Start,
    check_outside_of_traces,
    common,
    enduring,
    passing,
    unless,
)
from keraslike.training.prefetch import Ahead, made_by

# With AUTOTUNE, threads are tried only for calls that take at least this number of seconds.
_WORTH_A_THREAD = 5e-4
# Elements whose classes are counted before the distribution of classes is estimated again.
_COUNTED = 32


class Elementwise(Pipeline):
    """Methods that transform, select and order elements."""

    # -- each element ---------------------------------------------------------------------------

    def map(
        self,
        map_func: Callable,
        num_parallel_calls: Any = None,
        deterministic: bool | None = None,
        synchronous: bool | None = None,
        use_unbounded_threadpool: bool = False,
        name: str | None = None,
    ) -> Any:
        """The results of `map_func` for each element.

        Functions of data sets of `tf.data` receive tensors, are traced once for the shapes of the
        elements if possible, and run on the CPU; others receive numpy arrays. With
        `num_parallel_calls` the function must be thread-safe.

        Args:
            num_parallel_calls: the number of threads; with `AUTOTUNE` it is measured whether
                threads are faster.
            deterministic: `False` to return results in the order in which they become ready.
        """
        function = self._view.function(map_func)
        calls = self._calls(num_parallel_calls)
        faster: list[bool] = []  # whether threads are faster, once it has been measured

        def apply(element: Any) -> Any:
            return function(*arguments(element))

        def start(first: int) -> Iterator[Any]:
            if first:
                function.skip(first)
            elements = self._start(first)
            if calls is None:
                return map(apply, elements)
            return in_threads(apply, elements, calls, deterministic is False, faster)

        def fetched() -> Fetched | None:
            found = self._fetched()
            many = None if found is None else function.many(arguments(self._spec()))
            if found is None or many is None:
                return None
            return Fetched(found.keys, lambda keys: many(*arguments(found.many(keys))))

        def known() -> Any:
            return made._spec_of_call(function, arguments(self._spec()), self)

        made = self._then(start, spec=known, fetched=fetched)
        made.is_map, made.functions, made.computes_spec = True, (function,), True
        made._known_spec = self._traced(function)
        return made

    def _traced(self, function: Function, *before: Any) -> Any:
        """The specs of a function's results for the elements, after the arguments `before`; `None`
        if it is not traced before there are elements."""
        spec = self._spec_at_once()
        given = (*before, spec) if before else arguments(spec)
        return None if spec is None else function.traced(given)

    def _calls(self, num_parallel_calls: Any) -> int | None:
        """The number of threads, AUTOTUNE or `None`; raises an error for anything else."""
        number = as_int(num_parallel_calls)
        if num_parallel_calls is None or number == AUTOTUNE:
            return number
        return positive("num_parallel_calls", num_parallel_calls, error=self._view.error)

    def _spec_of_call(
        self,
        function: Function,
        given: tuple[Any, ...],
        dataset: Any,
        part: Callable[[Any], Any] = lambda results: results,
    ) -> Any:
        """The specs of a function's results: from its trace or, if elements are batches of unknown
        size, from the first results, with the size of the first axis unknown.

        Args:
            given: the specs of the arguments.
            dataset: the data set whose elements are among them.
            part: gives what of the results the elements of this data set are.
        """
        found = function.specs(given)
        if found is not None:
            return part(found)
        of_text = any("string" in str(getattr(s, "dtype", "")) for s in iter_leaves(given))
        try:
            peeked = self._peeked([*map(part, function.supposed(given))] if of_text else ())
        except NoElements:
            examples = function.supposed(given)
            if not examples:
                raise
            return part(common(examples[0], examples[-1]))
        shapes = [getattr(leaf, "shape", None) for leaf in iter_leaves(dataset._spec())]
        if not any(shape and shape[0] is None for shape in shapes):
            return peeked
        return map_leaves(
            lambda spec: spec.rows().inside(None) if getattr(spec, "shape", None) else spec, peeked
        )

    def _predicate(self, predicate: Callable) -> Function:
        test = self._view.function(predicate)
        found = self._traced(test)
        if found is not None:
            self._view.check_predicate(found)
        return test

    def filter(self, predicate: Callable, name: str | None = None) -> Any:
        """The elements for which `predicate` is true."""
        test, holds = self._predicate(predicate), self._view.holds
        made = self._then(
            passing(lambda: filter(lambda e: holds(test(*arguments(e))), self._start(0))),
            UNKNOWN,
        )
        made.functions = (test,)
        return made

    def take_while(self, predicate: Callable, name: str | None = None) -> Any:
        """The elements before the first one for which `predicate` is false."""
        test, holds = self._predicate(predicate), self._view.holds
        return self._then(
            passing(
                lambda: itertools.takewhile(lambda e: holds(test(*arguments(e))), self._start(0))
            ),
            UNKNOWN,
        )

    def enumerate(self, start: int = 0, name: str | None = None) -> Any:
        """Pairs of a number, from `start` on, and an element."""
        begin = _count(start)

        def numbered(start: Start) -> Start:
            return lambda first: zip(map(np.int64, itertools.count(begin + first)), start(first))

        def fetched() -> Fetched | None:
            found = self._fetched()
            if found is None:
                return None

            def many(keys: list[Any]) -> Any:
                numbers, rest = zip(*keys)
                return np.asarray(numbers), found.many(list(rest))

            return Fetched(numbered(found.keys), many)

        return self._then(
            numbered(self._start),
            spec=lambda: (ArraySpec((), "int64"), self._spec()),
            fetched=fetched,
        )

    def scan(self, initial_state: Any, scan_func: Callable, name: str | None = None) -> Any:
        """The outputs of `scan_func(state, element)`, which returns a next state and an output."""
        function, state = self._view.function(scan_func), self._initial(initial_state)

        def make() -> Iterator[Any]:
            now = state

            def apply(element: Any) -> Any:
                nonlocal now
                new, out = function(now, element)
                now = self._view.check_state(now, new)
                return out

            return map(apply, self._start(0))

        def known() -> Any:
            before = map_leaves(self._view.spec, state)
            found = function.specs((before, self._spec()))
            if found is not None:
                before = common(before, found[0])  # its sizes may change
            return made._spec_of_call(function, (before, self._spec()), self, lambda pair: pair[1])

        made = self._then(passing(make), spec=known)
        made.functions, made.computes_spec = (function,), True
        self._traced(function, map_leaves(self._view.spec, state))
        return made

    def _initial(self, state: Any) -> Any:
        """A state that a user gave, in which lists are arrays."""
        return self._view.arrays(state)

    def reduce(self, initial_state: Any, reduce_func: Callable, name: str | None = None) -> Any:
        """The last state of `reduce_func(state, element)`, which returns the next state."""
        check_outside_of_traces()
        function = self._view.function(reduce_func)
        state = self._initial(initial_state)
        for element in self._start(0):
            state = self._view.check_state(state, function(state, element))
        return whole(map_leaves(self._view.show, state))

    def get_single_element(self, name: str | None = None) -> Any:
        """The only element. Raises ValueError if there is none, or more than one."""
        check_outside_of_traces()
        found = list(itertools.islice(self._start(0), 2))
        if len(found) != 1:
            raise self._view.error(
                "The dataset was empty." if not found else "The dataset has more than one element."
            )
        return whole(map_leaves(self._view.show, found[0]))

    # -- which elements -------------------------------------------------------------------------

    def take(self, count: Any, name: str | None = None) -> Any:
        """The first `count` elements, or all if it is -1."""
        count = _count(count)
        if count < 0:
            return self._ordered(lambda start: start)
        known = {INFINITE: count, UNKNOWN: UNKNOWN}.get(self._count, min(self._count, count))
        return self._ordered(
            lambda start: lambda first: cut(start(first), 0, max(count - first, 0)), known
        )

    def skip(self, count: Any, name: str | None = None) -> Any:
        """The elements after the first `count`, or none if it is -1."""
        count = _count(count)
        if count < 0:
            return self.take(0)
        known = self._count if self._count < 0 else max(self._count - count, 0)
        return self._ordered(lambda start: lambda first: start(first + count), known)

    def shard(self, num_shards: Any, index: Any, name: str | None = None) -> Any:
        """The elements whose number is `index` modulo `num_shards`."""
        number = positive("num_shards", num_shards, error=self._view.error)
        place = _count(index)
        if not 0 <= place < number:
            raise self._view.error(
                f"index must be between 0 and {number - 1}. Received: index={place}"
            )
        known = self._count if self._count < 0 else max(-(-(self._count - place) // number), 0)
        return self._ordered(
            lambda start: lambda first: cut(start(place + first * number), 0, None, number), known
        )

    def repeat(self, count: Any = None, name: str | None = None) -> Any:
        """All elements `count` times, or forever if it is `None` or -1."""
        times = -1 if count is None else _count(count)

        def repeated(start: Start) -> Start:
            def make() -> Iterator[Any]:
                produced = False  # whether any epoch had an element
                for _ in itertools.count() if times < 0 else range(times):
                    given = False
                    for element in tried(start(0)):
                        given = True
                        produced = produced or type(element) is not Failed
                        yield element
                    # As in TensorFlow, where a shuffle and its endless repetition are one.
                    endless = times < 0 and (self._seeds is None or not produced)
                    if not given and (endless or self._count == 0):
                        return
                # At the end TensorFlow starts the input once more, which advances the seeds of a
                # shuffle in it, unless the input is the shuffle itself.
                for each in self._begun_at_once() if self._seeds is None and times != 1 else ():
                    each._times += each._seeds is not None

            return enduring(make)

        if self._count == 0 or times == 0:
            known = 0
        elif times < 0:
            known = INFINITE
        else:
            known = self._count if self._count < 0 else self._count * times
        return self._ordered(repeated, known)

    def shuffle(
        self,
        buffer_size: Any,
        seed: Any = None,
        reshuffle_each_iteration: bool | None = None,
        name: str | None = None,
    ) -> Any:
        """The elements in random order, each drawn from a buffer of the next `buffer_size`.

        Args:
            seed: the seed of the order, which is TensorFlow's for the same seed. If `None`, it is
                drawn from numpy's random numbers.
            reshuffle_each_iteration: whether each iteration has a different order (the default).
        """
        size = as_int(buffer_size)
        if size == UNKNOWN:  # all elements
            size = max(self._count, 1) if self._count >= 0 else 2**62
        size = positive(
            "buffer_size", buffer_size if size is None else size, error=self._view.error
        )

        def shuffled(start: Start) -> Start:
            def make() -> Iterator[Any]:
                seeds = made._next_seeds(reshuffle_each_iteration is not False)
                # TensorFlow shuffles all elements where they are asked for by their numbers.
                buffered = 2**62 if made._by_number else size
                return philox.rolled(tried(start(0)), buffered, philox.numbers(seeds))

            return enduring(make)

        made = self._ordered(shuffled)
        made._seeds = philox.seeds(seed)
        return made

    def unique(self, name: str | None = None) -> Any:
        """The elements without repetitions, in the order of their first occurrence."""
        self._view.check_single(self._spec())

        def make() -> Iterator[Any]:
            seen = set()

            def is_new(element: Any) -> bool:
                key = tuple(
                    (np.shape(a), a.tobytes() if hasattr(a, "tobytes") else a)
                    for a in iter_leaves(element)
                )
                new = key not in seen
                seen.add(key)
                return new

            return filter(is_new, self._start(0))

        return self._then(passing(make), UNKNOWN)

    def rejection_resample(
        self,
        class_func: Callable,
        target_dist: Any,
        initial_dist: Any = None,
        seed: Any = None,
        name: str | None = None,
    ) -> Any:
        """Pairs of class and element, resampled to a distribution of classes.

        Args:
            class_func: gives the class of an element.
            target_dist: the fraction of each class in the result.
            initial_dist: the fraction of each class in this data set; if `None`, it is estimated
                during iteration.

        As in TensorFlow, the result samples from two iterations over this data set, one of all
        elements and one of accepted elements, so an element may occur twice.
        """
        target = np.asarray(target_dist, "float32")
        given = None if initial_dist is None else np.asarray(initial_dist, "float32")
        drawn = philox.seeds(seed)

        def with_class(*element: Any) -> Any:
            return class_func(*element), element[0] if len(element) == 1 else element

        every = self.map(with_class)

        def distributions() -> Iterator[np.ndarray]:
            if given is not None:
                yield from itertools.repeat(given)
            seen, classes = np.full(len(target), 10), (c for c, _ in every._start(0))
            while group := list(itertools.islice(classes, _COUNTED)):
                seen = seen + np.bincount(np.asarray(group, int), minlength=len(target))
                yield from itertools.repeat((seen / seen.sum()).astype("float32"), _COUNTED)

        def accepted() -> Iterator[Any]:
            draws = philox.rates(drawn)
            for initial, element in zip(distributions(), every._start(0)):
                ratio = _ratio(target, initial)
                least = ratio.min()
                if next(draws) < ((ratio - least) / (ratio.max() - least))[int(element[0])]:
                    yield element

        # The result alternates between all elements and those accepted by their class.
        passed = every._then(passing(accepted), unless(self._count))
        whole = None if given is None else _ratio(target, given).min()
        if whole is not None and whole in (0, 1):
            return every if whole else passed

        def weights() -> Iterator[np.ndarray]:
            for initial in distributions():
                least = _ratio(target, initial).min()
                yield np.array([least, 1 - least])

        shares = self._make(passing(weights), UNKNOWN, (), lambda: ArraySpec((2,), "float64"))
        return self.sample_from_datasets([every, passed], shares, seed, stop_on_empty_dataset=True)

    # -- prefetching, options and errors --------------------------------------------------------

    def prefetch(self, buffer_size: Any, name: str | None = None) -> Any:
        """The same elements, up to `buffer_size` of which a thread computes ahead; `None` is
        `AUTOTUNE`."""
        size = AUTOTUNE if buffer_size is None else as_int(buffer_size)
        if size == 0:
            return self._ordered(lambda start: start)
        depth = (
            2 if size == AUTOTUNE else positive("buffer_size", buffer_size, error=self._view.error)
        )

        def made_ahead(first: int) -> Iterator[Any]:
            with Ahead(self._start(first), lambda element: element, depth) as ahead:
                while True:
                    try:
                        elements = ahead.take(1, wait=True)
                    except Exception as error:
                        elements = [caught(error)]
                    if not elements:
                        return
                    yield elements[0]

        made = self._then(lambda first: Enduring(made_ahead(first)))
        made._start_unhurried, made._shares = self._start_unhurried, self._shares
        made._rows = self._rows
        return made

    def apply(self, transformation_func: Callable, name: str | None = None) -> Any:
        """The data set that `transformation_func` returns for this one."""
        made = transformation_func(self)
        if not isinstance(made, Pipeline):
            raise TypeError(f"transformation_func must return a Dataset. Received: {made!r}")
        return made

    def with_options(self, options: Any, name: str | None = None) -> Any:
        """The same data set with options, which do not change the elements."""
        made = self._ordered(lambda start: start)
        made._options, made._rows = self.options().merge(options), self._rows
        return made

    def options(self) -> Options:
        """The options of this data set and of its inputs, merged."""
        return Options() if self._options is None else self._options

    def of_known_length(self, count: int) -> Any:
        """The same data set with an asserted number of elements. Iteration raises an error if there
        are more or fewer."""

        def make() -> Iterator[Any]:
            number = 0
            for element in tried(self._start(0)):
                number += type(element) is not Failed
                if number > count >= 0:
                    break
                yield element
            if count != UNKNOWN and number != count:
                found = f"more than {count}" if number > count >= 0 else number
                many = "infinitely many" if count == INFINITE else count
                yield Failed(
                    self._view.unready(
                        f"The data set was declared to have {many} elements, but has {found}."
                    )
                )

        return self._then(enduring(make), count)

    def ignore_errors(self, log_warning: bool = False, name: str | None = None) -> Any:
        """The elements that can be computed, without those that raise an error."""

        def make() -> Iterator[Any]:
            for element in tried(self._start(0)):
                if type(element) is not Failed:
                    yield element
                elif log_warning:
                    warn_user(f"An element was left out: {element.error}")

        return self._then(passing(make), UNKNOWN)


def _count(value: Any) -> int:
    number = as_int(value)
    if number is None:
        raise TypeError(f"An integer was expected. Received: {value!r}")
    return number


def in_threads(
    apply: Callable,
    elements: Iterator[Any],
    calls: int | None,
    as_ready: bool = False,
    faster: list[bool] | None = None,
) -> Iterator[Any]:
    """The results of `apply` for each element, computed by threads.

    Args:
        calls: the number of threads; with `AUTOTUNE` they are used only if they are faster.
        as_ready: whether results come in the order in which they become ready.
        faster: whether threads are faster, if known; otherwise empty, and filled by the call.
    """
    apply, elements = attempted(apply), tried(elements)
    if calls is not None and calls != AUTOTUNE:
        return Enduring(_pooled(apply, elements, calls, as_ready))
    return Enduring(_measured(apply, elements, as_ready, [] if faster is None else faster))


def _measured(
    apply: Callable, elements: Iterator[Any], as_ready: bool, faster: list[bool]
) -> Iterator[Any]:
    """Uses threads only if a trial is faster with them: Python's interpreter runs one thread at a
    time, so threads slow down functions in pure Python."""
    count = os.cpu_count() or 1
    if not faster:
        alone: list[float] = []
        together: list[float] = []
        yield from _timed(map(apply, itertools.islice(elements, 4)), alone)
        seconds = min(np.diff(alone), default=0)  # the first call may have compiled something
        if count > 1 and seconds >= _WORTH_A_THREAD:
            trial = itertools.islice(elements, 4 * count)
            yield from _timed(_pooled(apply, trial, count, as_ready), together)
        if len(alone) == 4:
            elapsed = together[-1] - alone[-1] if together else 0
            faster[:] = [elapsed < 0.75 * len(together) * seconds]
    threads = bool(faster) and faster[0]
    yield from _pooled(apply, elements, count, as_ready) if threads else map(apply, elements)


def _timed(elements: Iterator[Any], times: list[float]) -> Iterator[Any]:
    """The elements. The time at which each arrives is appended to `times`."""
    for element in elements:
        times.append(time.perf_counter())
        yield element


def _pooled(apply: Callable, elements: Iterator, count: int, as_ready: bool) -> Iterator[Any]:
    executor = ThreadPoolExecutor(count)
    if not as_ready:
        yield from made_by(executor, apply, elements, 2 * count)
        return
    try:
        pending = {executor.submit(apply, e) for e in itertools.islice(elements, 2 * count)}
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for each in done:
                yield each.result()
                pending |= {executor.submit(apply, e) for e in itertools.islice(elements, 1)}
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _ratio(target: np.ndarray, initial: np.ndarray) -> np.ndarray:
    return target / (initial + np.finfo("float32").tiny)
