"""Solves for unknown sizes that a function fixes, by the errors of its traces.

A trace of `x @ w` with symbols for the sizes of `x` fails if `w` has 784 rows, because the columns
of `x` must be 784 as well. The trace succeeds under the constraint that they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

_MOST_TRACES = 32
_REMAINDER = re.compile(r"\bmod\([^()]+, -? ?\d+\)")
_NUMBER = re.compile(r"(?<![\w.])\d+(?![\w.]*\w)")


def remainders(error: Exception) -> list[str]:
    """The constraints that the remainders are 0 on which an operation has failed, such as that of
    a division of elements into rows by `reshape`."""
    return [f"{found} == 0" for found in dict.fromkeys(_REMAINDER.findall(str(error)))]


def solved(
    trace: Callable[[tuple[str, ...]], Any],
    names: Sequence[str],
    fatal: tuple[type[Exception], ...] = (),
) -> Any:
    """The result of `trace` under constraints on its unknown sizes, or `None` if none are found.

    A size is fixed only if the trace fails for the next number, so that a function that needs its
    sizes as numbers, but accepts any, is not restricted to one.

    Args:
        trace: a function of constraints, in the form of `jax.export.SymbolicScope`.
        names: the symbols of the unknown sizes.
        fatal: classes of errors of a trace that no constraints avoid.
    """
    left = _MOST_TRACES

    def attempt(constraints: tuple[str, ...]) -> Any:
        nonlocal left
        left -= 1
        try:
            return trace(constraints)
        except fatal:
            raise
        except Exception as failed:
            return failed

    def fixes(constraints: tuple[str, ...]) -> bool:
        others = [_next(c) for c in constraints]
        return all(
            isinstance(attempt((*constraints[:i], other, *constraints[i + 1 :])), Exception)
            for i, other in enumerate(others)
            if other
        )

    def search(constraints: tuple[str, ...], error: Exception) -> Any:
        further = []
        for extra in _constraints(error, names):
            if left <= 0:
                return None
            found = attempt((*constraints, extra))
            if not isinstance(found, Exception):
                return found if fixes((*constraints, extra)) else None
            if str(found) != str(error):
                further.append(((*constraints, extra), found))
        for more, failed in further:
            if (found := search(more, failed)) is not None:
                return found
        return None

    found = attempt(())
    return search((), found) if isinstance(found, Exception) else found


def _constraints(error: Exception, names: Sequence[str]) -> Iterator[str]:
    """Constraints under which an operation that has failed may be valid, the likeliest first."""
    text = str(error).partition("\n")[0]
    yield from remainders(error)
    numbers = [n for n in dict.fromkeys(map(int, _NUMBER.findall(text))) if n > 1]
    named = [name for name in names if re.search(rf"\b{name}\b", text)]
    for name in reversed(named or list(names)):
        yield from (f"{name} == {size}" for size in _sizes(name, text, numbers))
    for i, name in enumerate(named):
        yield from (f"{name} == {other}" for other in named[:i])


def _sizes(name: str, text: str, numbers: Sequence[int]) -> Iterator[int]:
    """The sizes for which the expressions of a symbol in a text, such as `2*d1 + 1`, have one of
    the numbers as their values."""
    expressions = re.findall(rf"(?:(\d+)\*)?\b{name}\b(?: ([+-]) (\d+)(?!\*))?", text)
    for factor, sign, rest in dict.fromkeys([*expressions, ("", "", "")]):
        for number in numbers:
            size, left = divmod(number - int(f"{sign}{rest or 0}"), int(factor or 1))
            if not left and size > 0:
                yield size


def _next(constraint: str) -> str | None:
    """The constraint with the next number, if it fixes a size."""
    name, _, number = constraint.partition(" == ")
    return f"{name} == {int(number) + 1}" if name.isidentifier() and number.isdigit() else None
