"""Checks of arguments by their annotations: functions that users call reject values of the wrong
type at once, with an error that names the argument.

Only annotations of built-in types are checked. An argument that may be a layer, an array or another
object is checked where it is used.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import numpy as np
from jax import export

from keraslike.core.errors import InvalidArgument
from keraslike.core.notes import shown
from keraslike.core.tracebacks import Function, handled, is_ours, shorten


class Kind(NamedTuple):
    """A kind of values: a predicate, its name in messages, and types whose values always belong to
    the kind, so that the predicate need not be called for them."""

    fits: Callable[[Any], bool]
    name: str
    plural: str = ""
    types: tuple[type, ...] = ()


def _is_number(value: Any) -> bool:
    # Scalar arrays and tracers are numbers, too; their rank is not checked here.
    return any(hasattr(value, name) for name in ("__index__", "__float__", "__jax_array__"))


def _is_boolean(value: Any) -> bool:
    if isinstance(value, (bool, int, np.integer)) or value is None:
        return value in (0, 1, None)  # `None` counts as false.
    return str(getattr(value, "dtype", "")) == "bool"


def _is_integer(value: Any) -> bool:
    # The symbol of an unknown size in an export is an integer as well.
    return hasattr(value, "__index__") or export.is_symbolic_dim(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, (str, bytes))


_KINDS = {
    "None": Kind(lambda v: v is None, "None", types=(type(None),)),
    "bool": Kind(_is_boolean, "True or False", types=(bool, type(None))),
    "int": Kind(_is_integer, "an integer", "integers", (int, bool)),
    "float": Kind(_is_number, "a number", "numbers", (float, int, bool)),
    "str": Kind(lambda v: isinstance(v, str), "a string", "strings", (str,)),
    "os.PathLike": Kind(lambda v: isinstance(v, os.PathLike), "a path"),
    "Callable": Kind(callable, "callable"),
}
# Keras accepts any number where a single one is expected: `patience=epochs / 10` is common.
_ALONE = {
    "int": Kind(_is_number, "an integer", types=(int, bool, float)),
    "int | None": Kind(
        lambda v: v is None or _is_number(v), "an integer or None", types=(int, type(None))
    ),
}
_MANY = {
    "list": Kind(lambda v: hasattr(v, "__len__") and not _is_text(v), "a list"),
    "dict": Kind(lambda v: isinstance(v, Mapping), "a dict"),
}
_MANY["Iterable"] = Kind(lambda v: hasattr(v, "__iter__") and not _is_text(v), "a list")
_MANY["Sequence"] = _MANY["tuple"] = _MANY["list"]


@functools.cache
def kind_of(annotation: str) -> Kind | None:
    """The kind of values that an annotation names; `None` where it names types that are not built
    in.

    >>> kind_of("int | Sequence[int] | None").name
    'an integer or a list of integers or None'
    >>> kind_of("int | Sequence[int] | None").fits(["a"])
    False
    >>> kind_of("Any")
    """
    if annotation == "None":  # An argument of Keras's that has no effect here.
        return None
    return _ALONE.get(annotation) or _any_of(annotation)


def _any_of(annotation: str) -> Kind | None:
    found = [_kind_of_part(part) for part in _parts(annotation, "|")]
    known = [kind for kind in found if kind is not None]
    if len(known) < len(found):
        return None
    if len(known) == 1:
        return known[0]
    return Kind(
        lambda value: any(kind.fits(value) for kind in known),
        " or ".join(kind.name for kind in known),
        " or ".join(kind.plural or kind.name for kind in known),
        tuple(of for kind in known for of in kind.types),
    )


def _kind_of_part(part: str) -> Kind | None:
    outer, _, inside = part.partition("[")
    if outer == "Callable":
        return _KINDS[outer]
    many = _MANY.get(outer)
    if many is None:
        return _KINDS.get(part)
    if many is not _MANY["list"]:  # Inspecting an iterator would consume it.
        return many
    of = _any_of(_parts(inside.removesuffix("]"), ",")[0])
    if of is None:
        return many
    each = of.fits
    return Kind(
        lambda value: many.fits(value) and all(map(each, value)),
        f"{many.name} of {of.plural or of.name}",
    )


def _parts(text: str, separator: str) -> list[str]:
    """The parts of a text between separators that are outside of brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "[") - (character == "]")
        if character == separator and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def checked(function: Function, is_constructor: bool = False) -> Function:
    """Wraps a function that users call: its arguments are checked by their annotations, and the
    tracebacks of its errors are shortened.

    The wrapped function raises InvalidArgument for an argument of another kind, unless it is the
    default.

    >>> @checked
    ... def wait(seconds: float = 1.0, name: str | None = None):
    ...     return seconds
    >>> wait(2)
    2
    >>> wait("long")
    Traceback (most recent call last):
    keraslike.errors.InvalidArgument: seconds must be a number. Received: seconds='long'
    """

    @handled
    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        refused = None
        try:
            try:
                check(function, args, kwargs)
            except InvalidArgument as error:
                refused = error
            if refused is None:
                return function(*args, **kwargs)
            # The constructor can be run again to obtain its own error, since the object is
            # discarded.
            raise (
                _error_of_constructor(function, args, kwargs, refused)
                if is_constructor
                else refused
            )
        except Exception as error:
            shorten(error)
            raise

    return cast(Function, run)


def check(function: Callable, args: tuple, kwargs: dict[str, Any]) -> None:
    """Raises InvalidArgument for an argument that a function's annotations exclude."""
    names, kinds = _known(function)
    for name, value in (*zip(names, args), *kwargs.items()):
        found = kinds.get(name)
        if found is None or type(value) in found[0].types or value is found[1]:
            continue
        if not found[0].fits(value):
            error: Any = InvalidArgument(
                f"{name} must be {found[0].name}. Received: {name}={shown(value)}"
            )
            error.argument = name
            raise error


def explain(function: Callable, args: tuple, kwargs: dict[str, Any]) -> None:
    """Like `check`, for an op that has failed: its `axis` is checked against the rank as well."""
    if not is_ours(function):
        return
    check(function, args, kwargs)
    given = {**dict(zip(_known(function)[0], args)), **kwargs}
    first: Any = next(iter(given.values()), None)
    axis = given.get("axis")
    if not hasattr(first, "ndim") or not isinstance(axis, (int, list, tuple)):
        return
    rank = first.ndim + (function.__name__ == "expand_dims")
    for each in [axis] if isinstance(axis, int) else axis:
        if isinstance(each, int) and not -rank <= each < rank:
            raise InvalidArgument(
                f"axis {each} is out of bounds: it must be from {-rank} to {rank - 1} for "
                f"{shown(first)}. Received: axis={axis}"
            )


@functools.lru_cache(maxsize=4096)
def _known(function: Callable) -> tuple[list[str], dict[str, tuple[Kind, Any]]]:
    """The names of the positional parameters, and the kinds and defaults of the checked ones."""
    parameters = inspect.signature(function).parameters.values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    kinds = {
        p.name: (kind, p.default)
        for p in parameters
        if p.annotation is not p.empty
        and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        and (kind := kind_of(str(p.annotation))) is not None
    }
    return [p.name for p in parameters if p.kind in positional], kinds


def check_constructor(cls: type) -> None:
    """Makes the constructor that a class of keraslike defines a checked one."""
    if is_ours(cls) and "__init__" in vars(cls):
        cls.__init__ = checked(cls.__init__, is_constructor=True)


def _error_of_constructor(
    constructor: Callable, args: tuple, kwargs: dict[str, Any], found: Any
) -> Any:
    """The error that a constructor raises itself for the same argument: it may be more specific."""
    try:
        constructor(*args, **kwargs)
    except (TypeError, ValueError) as error:
        if re.search(f"[`']{found.argument}[`'].*Received", str(error), re.DOTALL):
            return error
    except Exception:
        pass
    return found


def with_defaults(init: Any, defaults: dict[str, Any]) -> Any:
    """A constructor whose signature shows other defaults of the same meaning, such as `(1, 1)` for
    an integer 1 that applies to every axis."""

    @functools.wraps(init)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)

    signature = inspect.signature(init)
    parameters = [
        p.replace(default=defaults[p.name]) if p.name in defaults else p
        for p in signature.parameters.values()
    ]
    __init__.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return __init__
