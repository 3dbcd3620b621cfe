"""Output shapes by trying numbers for unknown sizes, for functions that JAX cannot trace
symbolically.

Sizes of the output that are equal in all attempts do not depend on the unknown size. The numbers
are chosen so that the answer does not depend on the choice: some are larger than any constant in
the function and divisible by all likely divisors, some are one more than that, and some are small
enough for Python loops.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from jax import export

from keraslike.core.static import Shape
from keraslike.core.structures import flatten, tree_map

# A size that is divisible by every number up to 128 and by products of small numbers, and one with
# as many divisors as fit into the 32-bit numbers with which some functions count elements. Neither
# is traced as a number but as a multiple of a symbol, so that it causes neither large arrays nor
# long Python loops.
_DIVISIBLE = math.lcm(*range(1, 129)) * 2**12 * 3**3 * 5**3
_DIVISIBLE_32 = 2**6 * 3**3 * 5**3 * 7 * 11
_MOST_32 = 2**31 - 2

# The most unknown sizes that get a symbol each: the size of JAX's formulas grows exponentially with
# their number.
_MOST_SYMBOLS = 8

# Sizes to try, one row for each attempt; the axes get the numbers of a row in turn. The numbers in
# a row differ, so that an accidental equality is not taken for a rule. In the next row all are
# equal, for functions that require that.
_FEW: tuple[Sequence[int], ...] = ((7, 11, 13, 17, 19, 23, 5, 9), (6,))
_SOME: tuple[Sequence[int], ...] = ((67, 71, 73, 79, 83, 89, 61, 59), (64,))
_MORE: tuple[Sequence[int], ...] = ((120, 144, 168, 180, 240, 360, 96, 192), (96,))
_MOST_COUNTED = 10_000
_ONE: tuple[Sequence[int], ...] = ((1,),)

Size = Callable[[int, int], Any]


class InvalidForAllSizes(ValueError):
    """Raised if trying other numbers for the unknown size would give the same error."""


class SizeTooLarge(InvalidForAllSizes):
    """A size or a formula is too large for any number: trying others would only take longer."""


@functools.cache
def _symbols(most: int | None) -> Sequence[Any]:
    """A symbol for every axis, which stands for sizes from 1 to a maximum."""
    names = [f"n{axis}" for axis in range(_MOST_SYMBOLS)]
    scope = export.SymbolicScope([f"{n} <= {most}" for n in names] if most else [])
    return export.symbolic_shape(", ".join(names), scope=scope)


def probed(trace: Callable[[Size], Any], axes: int, numbers: Sequence[int] = ()) -> Any:
    """The output of `trace` for unknown sizes, with the sizes that all attempts have in common;
    `None` where too few attempts succeed to say anything.

    Args:
        trace: a function that returns the output's structure, whose leaves have a shape and a
            dtype, given a function `size(operand, axis)` that assigns sizes to unknown ones. It
            raises if the sizes are invalid.
        axes: the largest number of unknown sizes of an operand.
        numbers: the arguments of the function, of which sizes may have to be multiples.
    """

    def first(attempts: Sequence[Size]) -> Any:
        for size in attempts:
            try:
                return trace(size)
            except Exception:
                continue
        return None

    def large(extra: int) -> list[Size]:
        sizes: list[Size] = []
        for least, most in _multiples(numbers):
            n = _symbols(most)
            if axes <= _MOST_SYMBOLS:
                sizes.append(lambda _, axis, k=least, n=n: k * n[axis % len(n)] + extra)
            sizes.append(lambda _, axis, k=least, n=n: k * n[0] + extra)
        return sizes

    def each(rows: Sequence[Sequence[int]]) -> list[Size]:
        return [lambda operand, axis, row=row: row[axis % len(row)] for row in rows]

    given = [(n,) for n in numbers if 1 < n <= _MOST_COUNTED]
    by_size = [first(each(rows)) for rows in (_ONE, given, _FEW, _SOME, _MORE)]
    by_symbol = [first(large(extra)) for extra in (1, 0)]
    found = [spec for spec in (*by_size, *by_symbol) if spec is not None]
    # The sizes of a single attempt may be specific to its numbers; a symbol represents many
    # numbers.
    if not found or (len(found) == 1 and by_symbol == [None, None]):
        return None
    # For few elements a function may behave differently: the structure and the ranks are taken from
    # the attempts with many.
    spec = found[-1]
    for other in found:
        if _kind(other) == _kind(spec):
            spec = tree_map(common, spec, other)
    return spec


def _multiples(numbers: Sequence[int]) -> list[tuple[int, int | None]]:
    """The factor by which a symbol is multiplied, and the maximum of the product."""
    multiples: list[tuple[int, int | None]] = []
    for start, end in ((_DIVISIBLE, 2**400), (_DIVISIBLE_32, _MOST_32 // 4)):
        for number in numbers:
            wider = math.lcm(start, number)
            start = wider if 0 < wider < end else start
        multiples.append((start, _MOST_32 // start if end < 2**32 else None))
    return multiples


def _kind(spec: Any) -> Any:
    leaves, structure = flatten(spec)
    return structure, [(len(leaf.shape), leaf.dtype) for leaf in leaves]


def common(a: Any, b: Any) -> Spec:
    """The sizes that two outputs have in common."""
    shape = [
        m if isinstance(m, int) and isinstance(n, int) and m == n else None
        for m, n in zip(a.shape, b.shape, strict=True)
    ]
    return Spec(shape, a.dtype)


class Spec:
    """A shape with unknown sizes, and a dtype."""

    def __init__(self, shape: Sequence[int | None], dtype: Any):
        self.shape, self.dtype = Shape(shape), dtype
