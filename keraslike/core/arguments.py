"""Shared checks and conversions of arguments: data formats, sizes per axis, numbers, strings."""

from __future__ import annotations

import functools
import inspect
import operator
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keraslike.core.tracebacks import is_users

_data_format = "channels_last"


def image_data_format() -> str:
    """The default position of the channels in images.

    >>> image_data_format()
    'channels_last'
    """
    return _data_format


def set_image_data_format(data_format: str) -> None:
    """Sets the default data format: `"channels_last"` or `"channels_first"`.

    >>> set_image_data_format("channels_last")
    >>> image_data_format()
    'channels_last'
    """
    global _data_format
    _data_format = standardize_data_format(data_format)


def standardize_data_format(data_format: str | None) -> str:
    """The data format in lower case; `None` gives the default. Raises ValueError for other values.

    >>> standardize_data_format("Channels_First")
    'channels_first'
    """
    if data_format is None:
        return _data_format
    return one_of(("channels_last", "channels_first"), data_format=data_format)


_nan_in_data = "warn"


def nan_in_data() -> str:
    """The reaction to NaN in data that is passed to a model: `"warn"`, `"raise"` or `"ignore"`.

    >>> nan_in_data()
    'warn'
    """
    return _nan_in_data


def set_nan_in_data(action: str) -> None:
    """Sets what `fit`, `evaluate` and `predict` do if their data contains NaN.

    Args:
        action: `"warn"` issues one warning per call, with their number; `"raise"` raises
            ValueError; `"ignore"` does not check.

    >>> set_nan_in_data("warn")
    """
    global _nan_in_data
    _nan_in_data = one_of(("warn", "raise", "ignore"), action=action)


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Issues a warning at the line of user code that the call came from."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and not is_users(frame.f_code.co_filename):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def one_of(allowed: Sequence[str], **argument: Any) -> str:
    """The one argument given, in lower case; raises ValueError unless it is among those allowed.

    >>> one_of(("valid", "same"), padding="SAME")
    'same'
    """
    ((name, value),) = argument.items()
    if not isinstance(value, str) or value.lower() not in allowed:
        raise ValueError(f"{name} must be one of {list(allowed)}. Received: {name}={value!r}")
    return value.lower()


def sizes(rank: int, minimum: int = 1, **argument: Any) -> tuple[int, ...]:
    """One integer for each of `rank` axes, from one integer for all or a sequence of them.

    Raises ValueError, naming the argument, for another number of them or one below `minimum`.

    >>> sizes(2, kernel_size=3)
    (3, 3)
    """
    ((name, value),) = argument.items()
    try:
        given = value if isinstance(value, Sequence) else (value,) * rank
        found = tuple(operator.index(v) for v in given)
    except TypeError:
        found = ()
    wrong = {v for v in found if v < minimum}
    if len(found) == rank and not wrong:
        return found
    if rank == 1:
        raise ValueError(
            f"{name} must be an integer of at least {minimum}. Received: {name}={value!r}"
        )
    which = f", including values {wrong} that do not satisfy `value > {minimum - 1}`"
    raise ValueError(
        f"The `{name}` argument must be a tuple of {rank} integers. Received {name}={value!r}"
        f"{which if wrong else ''} (one integer stands for all of them)"
    )


def positive(**argument: Any) -> int:
    """The one argument given, an integer of at least 1; raises ValueError for anything else.

    >>> positive(units=3)
    3
    """
    ((name, value),) = argument.items()
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or number < 1:
        raise ValueError(
            f"Invalid value for argument `{name}`. Expected a strictly positive value. "
            f"Received {name}={value!r}. It must be a positive integer."
        )
    return number


def whole(minimum: int = 0, **argument: Any) -> int:
    """The one argument given, an integer of at least `minimum`; raises ValueError otherwise.

    >>> whole(epochs=2)
    2
    """
    ((name, value),) = argument.items()
    try:
        number = operator.index(value)
    except TypeError:
        number = minimum - 1
    if number < minimum:
        raise ValueError(
            f"{name} must be an integer of at least {minimum}. Received: {name}={value!r}"
        )
    return number


def boolean(**argument: Any) -> bool:
    """The one argument given, `True` or `False` (or 1, 0, or numpy's); raises ValueError otherwise.

    >>> boolean(shuffle=True)
    True
    """
    ((name, value),) = argument.items()
    if not isinstance(value, (bool, int, np.bool_)) or value not in (0, 1):
        raise ValueError(
            f"Expected `{name}` to be a boolean, True or False. Received: {name}={value!r}"
        )
    return bool(value)


def verbosity(verbose: Any) -> int:
    """0, 1 or 2 for what `verbose` may be; `"auto"` is 1. Raises ValueError for anything else.

    >>> verbosity("auto"), verbosity(False), verbosity(2)
    (1, 0, 2)
    """
    if isinstance(verbose, str) and verbose == "auto":
        return 1
    if not isinstance(verbose, (int, np.integer, np.bool_)) or verbose not in (0, 1, 2):
        raise ValueError(f"verbose must be 'auto', 0, 1 or 2. Received: verbose={verbose!r}")
    return int(verbose)


def fraction(**argument: Any) -> float:
    """The one argument given, a number from 0 to 1; raises ValueError for anything else.

    >>> fraction(rate=0.5)
    0.5
    """
    ((name, value),) = argument.items()
    if not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError(f"{name} must be a number from 0 to 1. Received: {name}={value!r}")
    return value


def given(scope: dict[str, Any]) -> dict[str, Any]:
    """The arguments that a constructor was called with, from its `locals()`; it must have
    `**kwargs`.

    >>> class Named:
    ...     def __init__(self, name, size=3, **kwargs):
    ...         super().__init__()
    ...         self.given = given(locals())
    >>> Named("a", more=1).given
    {'name': 'a', 'size': 3, 'more': 1}
    """
    return {**{name: scope[name] for name in names_of(scope["__class__"])}, **scope["kwargs"]}


def names_of(cls: type) -> list[str]:
    """The names of a constructor's arguments, without `self` and `**kwargs`."""
    return list(inspect.signature(cls.__init__).parameters)[1:-1]


def unsupported(**arguments: Any) -> None:
    """Raises ValueError for an argument of Keras's that is not supported here, if it is passed."""
    for name, value in arguments.items():
        if value is not None and value is not False:
            raise ValueError(f"{name} is not supported: omit it. Received: {name}={value!r}")


def spatial_axes(rank: int, data_format: str) -> tuple[int, ...]:
    """The spatial axes of a batch with `rank` spatial axes.

    >>> spatial_axes(2, "channels_last"), spatial_axes(2, "channels_first")
    ((1, 2), (2, 3))
    """
    first = 1 if data_format == "channels_last" else 2
    return tuple(range(first, first + rank))


def require(fits: bool, expected: str, **argument: Any) -> None:
    """Raises ValueError about the argument unless it fits."""
    if not fits:
        ((name, value),) = argument.items()
        raise ValueError(f"{name} must be {expected}. Received: {name}={value!r}")


def name_first(method: Callable) -> Callable:
    """Lets `add_weight` be called with the name first, `add_weight("total", ...)`, as well."""

    @functools.wraps(method)
    def either(self: Any, *args: Any, **kwargs: Any) -> Any:
        if args and isinstance(args[0], str):
            return method(self, *args[1:], name=args[0], **kwargs)
        return method(self, *args, **kwargs)

    return either
