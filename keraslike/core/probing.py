"""Output shapes by trying sizes, for functions that JAX cannot trace with a size that is any.

A function of a size that is not known gives a shape, of which some sizes are the same whatever the
unknown one turns out to be. Which ones these are is found out by trying, with sizes chosen so that
the answer does not depend on which they are: beyond any constant in the function and divisible by
all that it may divide by, that and one more, and some that Python code can count to.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import export

from keraslike.core.static import Shape

# A size of which every number to 128 is a divisor, and products of small ones; and one with as many
# divisors as go well with the numbers of 32 bits that some functions count elements by. Neither is
# traced as it stands, but times a symbol: no memory and no loop in Python can come of that.
_DIVISIBLE = math.lcm(*range(1, 129)) * 2**12 * 3**3 * 5**3
_DIVISIBLE_32 = 2**6 * 3**3 * 5**3 * 7 * 11
_MOST_32 = 2**31 - 2

# Unknown sizes that get a symbol each: JAX's formulas grow exponentially with more.
_MOST_SYMBOLS = 8

# Sizes that are tried, a row for each attempt: its numbers go to the axes in turn. They are not
# equal where an equality might pass for a rule, and in the next row all are, where one is needed.
_FEW: tuple[Sequence[int], ...] = ((7, 11, 13, 17, 19, 23, 5, 9), (6,))
_SOME: tuple[Sequence[int], ...] = ((67, 71, 73, 79, 83, 89, 61, 59), (64,))
_MORE: tuple[Sequence[int], ...] = ((120, 144, 168, 180, 240, 360, 96, 192), (96,))
_MOST_COUNTED = 10_000
_ONE: tuple[Sequence[int], ...] = ((1,),)

Size = Callable[[int, int], Any]


class NoUseTrying(ValueError):
    """What the function says of a size that is unknown, whatever others are tried for it."""


class SizeTooLarge(NoUseTrying):
    """A size beyond any computer's, or a formula as long: other sizes would only take longer."""


@functools.cache
def _symbols(most: int | None) -> Sequence[Any]:
    """A symbol for every axis, which stands for any size of at least 1 and at most so many."""
    names = [f"n{axis}" for axis in range(_MOST_SYMBOLS)]
    scope = export.SymbolicScope([f"{n} <= {most}" for n in names] if most else [])
    return export.symbolic_shape(", ".join(names), scope=scope)


def probed(trace: Callable[[Size], Any], axes: int, numbers: Sequence[int] = ()) -> Any:
    """The output of `trace` for unknown sizes, with the sizes that all attempts have in common;
    `None` where too few attempts succeed to say anything.

    Args:
        trace: gives the output's structure, of things that have a shape and a dtype, for a function
            that says which size to take for an unknown one: `size(operand, axis)`. It raises where
            sizes do not suit the function.
        axes: the largest number of unknown sizes that an operand has.
        numbers: what the function was given, of which sizes may have to be multiples.
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
    # What one attempt gives may be that size's own; a symbol is many sizes.
    if not found or (len(found) == 1 and by_symbol == [None, None]):
        return None
    # With few elements a function may do something else: the structure and the number of axes are
    # those of many.
    spec = found[-1]
    for other in found:
        if _kind(other) == _kind(spec):
            spec = jax.tree.map(common, spec, other)
    return spec


def _multiples(numbers: Sequence[int]) -> list[tuple[int, int | None]]:
    """By what a symbol is multiplied, and how large it is at most."""
    multiples: list[tuple[int, int | None]] = []
    for start, end in ((_DIVISIBLE, 2**400), (_DIVISIBLE_32, _MOST_32 // 4)):
        for number in numbers:
            wider = math.lcm(start, number)
            start = wider if 0 < wider < end else start
        multiples.append((start, _MOST_32 // start if end < 2**32 else None))
    return multiples


def _kind(spec: Any) -> Any:
    leaves, structure = jax.tree.flatten(spec)
    return structure, [(len(leaf.shape), leaf.dtype) for leaf in leaves]


def common(a: Any, b: Any) -> Spec:
    """What two outputs have in common: the sizes that are the same in both."""
    shape = [
        m if isinstance(m, int) and isinstance(n, int) and m == n else None
        for m, n in zip(a.shape, b.shape, strict=True)
    ]
    return Spec(shape, a.dtype)


class Spec:
    """A shape with unknown sizes, and a dtype."""

    def __init__(self, shape: Sequence[int | None], dtype: Any):
        self.shape, self.dtype = Shape(shape), dtype
