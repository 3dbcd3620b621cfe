"""Iterators that continue after an error: only the element that raised it is missing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple


class Failed(NamedTuple):
    """Stands for an element that could not be made, and holds the error."""

    error: Exception


def caught(error: Exception) -> Failed:
    """A `Failed` for an error that a generator has just caught.

    The generator's frame is removed from the traceback: `assertRaises` of unittest clears all
    frames of an error, which would end the generator.
    """
    trace = error.__traceback__
    return Failed(error.with_traceback(None if trace is None else trace.tb_next))


# Iterators that raise no errors: of rows' numbers and of elements that are there.
_SAFE = (type(iter(range(0))), type(iter([])), type(iter(())), itertools.count)


def tried(elements: Iterable[Any]) -> Iterator[Any]:
    """The elements; each one that raises an error is replaced by a `Failed`.

    >>> [type(x).__name__ for x in tried(map(int, ["1", "x", "3"]))]
    ['int', 'Failed', 'int']
    """
    elements = iter(elements)
    if type(elements) is Enduring:
        return elements._elements
    return elements if isinstance(elements, _SAFE) else _tried(elements.__next__)


def _tried(take: Callable[[], Any]) -> Iterator[Any]:
    while True:
        try:
            element = take()
        except StopIteration:
            return
        except Exception as error:
            element = caught(error)
        yield element


def begun(begin: Callable[[], Iterable[Any]]) -> Iterator[Any]:
    """Like `tried`, for the iterator that a function makes; a `Failed` if the function raises."""
    try:
        elements = begin()
    except Exception as error:
        yield caught(error)
    else:
        yield from tried(elements)


def attempted(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The function, changed to return a `Failed` for an error, and a `Failed` it is given."""

    def attempt(element: Any) -> Any:
        if type(element) is Failed:
            return element
        try:
            return function(element)
        except Exception as error:
            return Failed(error)

    return attempt


class Enduring:
    """The elements of a generator, which would end with the first error that it raised: it yields
    `Failed`s, and these are raised here.

    >>> numbers = Enduring(tried(map(int, ["x", "3"])))
    >>> try:
    ...     next(numbers)
    ... except ValueError:
    ...     next(numbers)
    3
    """

    def __init__(self, elements: Iterable[Any]):
        self._elements = iter(elements)

    def __iter__(self) -> Enduring:
        return self

    def __next__(self) -> Any:
        element = next(self._elements)
        if type(element) is Failed:
            raise element.error
        return element

    def close(self) -> None:
        """Ends the generator."""
        close = getattr(self._elements, "close", None)
        if close is not None:
            close()


class Steps:
    """The results of repeated calls of a function, until it raises StopIteration."""

    def __init__(self, step: Callable[[], Any]):
        self._step = step

    def __iter__(self) -> Steps:
        return self

    def __next__(self) -> Any:
        return self._step()


def cut(elements: Iterator[Any], first: int, end: int | None = None, step: int = 1) -> Any:
    """Like `itertools.islice`, but continues after an error.

    >>> list(cut(iter(range(9)), 2, 7, 2))
    [2, 4, 6]
    """
    if end is None and step == 1 and not first:
        return elements
    place, wanted = 0, first

    def following() -> Any:
        nonlocal place, wanted
        if end is not None and wanted >= end:
            raise StopIteration
        while place < wanted:
            next(elements)
            place += 1
        element = next(elements)
        place += 1
        wanted += step
        return element

    return Steps(following)
