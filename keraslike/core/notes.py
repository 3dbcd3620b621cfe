"""Notes on errors, which name the call that raised them and show its arguments."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

_LONGEST = 100  # The most characters shown of a value that is not a tensor.


def note_call(
    error: BaseException, what: str, names: Sequence[str], args: tuple, kwargs: dict[str, Any]
) -> None:
    """Adds a note to an error with the call that raised it and its arguments, unless the error
    names the call.

    Enclosing calls add nothing.

    Args:
        error: the exception.
        what: a description of the call; a quoted name in it is searched for in the error.
        names: the names of the positional arguments.
        args, kwargs: the arguments of the call.
    """
    # An error while the arguments are described must not replace the original error.
    with contextlib.suppress(Exception):
        if "_noted" in vars(error):
            return
        vars(error)["_noted"] = True
        name = what.partition("'")[2].partition("'")[0]
        if name and f"'{name}'" in str(error):
            return
        given = [f"  {name}={shown(a)}" for name, a in (*zip(names, args), *kwargs.items())]
        given += [f"  {shown(a)}" for a in args[len(names) :]]
        error.add_note("\n".join([f"In the call of {what} with", *given]))


def shown(value: Any) -> str:
    """The text for a value in an error message: tensors, in any nesting, by shape and dtype.

    >>> shown({"a": 1.5, "b": "c" * 200})
    "{'a': 1.5, 'b': <str>}"
    """
    if hasattr(value, "shape") and hasattr(value, "dtype") and not isinstance(value, type):
        return f"<shape {show_shape(value.shape)}, {value.dtype}>"
    text = repr(value) if _is_plain(value) else ""
    if text and len(text) <= _LONGEST:
        return text
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {shown(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)) and len(value) <= _LONGEST:
        return "[" + ", ".join(map(shown, value)) + "]"
    return f"<{type(value).__name__}>"


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return not hasattr(value, "shape")


def show_shape(shape: Any) -> tuple[int | None, ...]:
    """A shape for error messages, with `None` for a size that is unknown."""
    return tuple(s if isinstance(s, int) else None for s in shape)
