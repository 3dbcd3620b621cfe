"""Matches unknown sizes of several operands to each other and to the sizes that are known.

An unknown size may stand for any number. Where an operation on shapes `(None, 3)` and `(2, None)`
is valid for some sizes only, the output has the sizes that all of these have in common: the sum of
the two has shape `(2, 3)`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from keraslike.core import probing
from keraslike.core.structures import tree_map

Place = tuple[int, int]  # The number of an operand, and an axis of it.

# Numbers that are unlikely to be sizes in a model: many numbers divide the first, none the second.
_WITH_MANY_DIVISORS, _NO_DIVISOR = 2**4 * 3**3 * 5**2 * 7 * 11, 100_003


def unified(
    trace: Callable[[probing.Size], Any],
    shapes: Mapping[int, Any],
    symbolic: set[int],
    any_size: Any,
    attempts: int,
) -> Any:
    """The output of `trace` if unknown sizes of different operands can be made to agree, or `None`.

    Args:
        trace: a function that returns the output's structure, given a function that assigns sizes
            to unknown ones; raises if sizes are inconsistent.
        shapes: the shapes of all operands, by number.
        symbolic: the numbers of the operands whose unknown sizes must be determined.
        any_size: a symbol for an arbitrary size.
        attempts: the number of ways of matching sizes to try.
    """
    unknown = [(i, axis) for i in symbolic for axis, s in enumerate(shapes[i]) if s is None]
    if len(shapes) < 2 or not unknown:
        return None

    def attempt(bound: Mapping[Place, Any]) -> Any:
        try:
            return trace(lambda i, axis: bound.get((i, axis), any_size))
        except Exception:
            return None

    tried: set[tuple] = set()
    for bound in itertools.islice(_matches(shapes, unknown), attempts):
        key = tuple(sorted(bound.items()))
        if key in tried:
            continue
        tried.add(key)
        found = attempt(bound)
        if found is not None:
            return _relaxed(attempt, bound, found)
    return None


def _relaxed(attempt: Callable, bound: dict[Place, int], found: Any) -> Any:
    """The output with those sizes unknown again that did not have to be bound."""
    for place in list(bound):
        rest = {k: v for k, v in bound.items() if k != place}
        wider = attempt(rest)
        if wider is not None:
            bound, found = rest, wider
    # A symbol may be refused although every number, or many numbers, would be accepted.
    for place in bound:
        for size in (_WITH_MANY_DIVISORS, _NO_DIVISOR):
            other = attempt({**bound, place: size})
            if other is not None:
                found = tree_map(probing.common, found, other)
    return found


def _matches(shapes: Mapping[int, Any], unknown: list[Place]) -> Iterator[dict[Place, int]]:
    """Candidate values for some of the unknown sizes, the most likely first."""
    yield {}  # All of them are equal.
    for place_of in (lambda axis, shape: axis - len(shape), lambda axis, shape: axis):
        # Broadcasting: the sizes of other operands at the same axis, counted from the end or the
        # start.
        bound: dict[Place, int] = {}
        for i, axis in unknown:
            place = place_of(axis, shapes[i])
            found = {
                shape[place]
                for shape in shapes.values()
                if (-len(shape) <= place if place < 0 else place < len(shape))
            } - {None}
            found = found - {1} or found
            if len(found) == 1:
                bound[i, axis] = found.pop()
        yield bound
    sizes = sorted({s for shape in shapes.values() for s in shape if s is not None})
    for count in range(1, len(unknown) + 1):
        for places in itertools.combinations(unknown, count):
            for values in itertools.product(sizes, repeat=count):
                yield dict(zip(places, values))
