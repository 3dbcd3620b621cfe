"""Tracebacks as users are shown them: their own lines and the error, and nothing of what is inside.

A function that users call is an entry. An exception that leaves the outermost entry loses the
frames of keraslike and of the packages that it is built on; those of user code in between stay.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import sys
import sysconfig
import types
from collections.abc import Callable
from typing import Any, TypeVar, cast

import jax

from keraslike.core.notes import note_call

Function = TypeVar("Function", bound=Callable)

# Where this package lies, as the names of its files begin.
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep

_SITE = os.path.dirname(os.path.dirname(os.path.abspath(jax.__file__)))


def _directories(*names: str) -> tuple[str, ...]:
    return tuple(os.path.join(_SITE, name, "") for name in names)


_BELOW = _directories("jax", "jaxlib", "flax", "optax", "orbax")
# What both keraslike and its users call is shown where users do.
_SHARED = (os.path.join(sysconfig.get_paths()["stdlib"], ""), *_directories("numpy", "h5py"))

# As a descriptor: a class of users may refuse to set attributes.
_CONTEXT: Any = BaseException.__dict__["__context__"]

_enabled = True
_entries: set[types.CodeType] = set()


def is_traceback_filtering_enabled() -> bool:
    """Whether tracebacks leave out the frames of keraslike and of JAX.

    >>> is_traceback_filtering_enabled()
    True
    """
    return _enabled


def enable_traceback_filtering() -> None:
    """Leaves the frames of keraslike and of JAX out of the tracebacks of errors; the default.

    >>> enable_traceback_filtering()
    """
    global _enabled
    _enabled = True


def disable_traceback_filtering() -> None:
    """Shows all of keraslike's frames in the tracebacks of errors.

    JAX leaves out its own frames itself where arrays are computed, unless the environment variable
    `JAX_TRACEBACK_FILTERING` is `off`.

    >>> disable_traceback_filtering()
    >>> is_traceback_filtering_enabled()
    False
    >>> enable_traceback_filtering()
    """
    global _enabled
    _enabled = False


def entry(function: Function) -> Function:
    """A function that users call: the tracebacks of its errors are shortened."""

    @handled
    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            shorten(error)
            raise

    return cast(Function, run)


def handled(function: Function) -> Function:
    """Marks an entry that calls `shorten` itself, as one that is called often does, since a
    wrapper takes time and a `try` takes none."""
    _entries.add(cast(Any, function).__code__)
    return function


def shorten(
    error: BaseException,
    function: Callable | None = None,
    args: tuple = (),
    kwargs: dict[str, Any] | None = None,
) -> None:
    """Shortens the traceback of an error that is about to leave the calling entry, and of those
    that it came from, unless another entry is under way around it.

    Args:
        error: the error.
        function, args, kwargs: what the entry called, for a note where the error does not say what
            was given to it.
    """
    frame = sys._getframe(1).f_back
    while frame is not None:
        if frame.f_code in _entries:
            return
        frame = frame.f_back
    if function is not None:
        with contextlib.suppress(Exception):  # a function that cannot be described has no note
            _note(error, function, args, kwargs or {})
    if not _enabled:
        return
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        e = waiting.pop()
        if e is None or id(e) in seen:
            continue
        seen.add(id(e))
        e.with_traceback(_visible(e.__traceback__))  # also of a frozen dataclass
        if isinstance(e, BaseExceptionGroup):
            waiting += e.exceptions
        if e.__cause__ is None and not e.__suppress_context__:
            _CONTEXT.__set__(e, _of_users(e.__context__))
        waiting.append(e.__cause__ or e.__context__)
        # What JAX says of its own frames; ours are many more.
        notes = getattr(e, "__notes__", [])
        notes[:] = [n for n in notes if "JAX_TRACEBACK_FILTERING" not in str(n)]


def _note(error: BaseException, function: Callable, args: tuple, kwargs: dict[str, Any]) -> None:
    if "Received" in str(error):
        return
    names = list(inspect.signature(function).parameters)
    if names[:1] == ["self"]:
        names, args = names[1:], args[1:]
    is_op = is_ours(function, "ops")
    name = f"ops.{function.__name__}" if is_op else function.__qualname__
    note_call(error, name, names, args, kwargs)


def _of_users(context: BaseException | None) -> BaseException | None:
    """The exception that another one was raised after, leaving out those that were raised and
    caught within keraslike."""
    while context is not None and context.__traceback__ and not _visible(context.__traceback__):
        context = context.__cause__ or context.__context__
    return context


def _visible(traceback: types.TracebackType | None) -> types.TracebackType | None:
    """A traceback of the frames that users are shown."""
    hide_below = jax.config.jax_traceback_filtering != "off"  # type: ignore[attr-defined]
    shown: list[types.TracebackType] = []
    inside = True  # whether the frame before is hidden
    while traceback is not None:
        kind = _kind(traceback.tb_frame.f_code.co_filename)
        if kind != "shared":
            inside = kind == "ours" or (kind == "below" and hide_below)
        if not inside:
            shown.append(traceback)
        traceback = traceback.tb_next
    result = None
    for tb in reversed(shown):
        result = types.TracebackType(result, tb.tb_frame, tb.tb_lasti, tb.tb_lineno)
    return result


def is_ours(value: Any, room: str | None = None) -> bool:
    """Whether a class or function is of this package, or of one of its subpackages."""
    # A lambda out of a file has no module, nor has a function that `exec` makes.
    path = (getattr(value, "__module__", None) or "").split(".")
    return path[0] == "keraslike" and (room is None or path[1:2] == [room])


def is_users(filename: str) -> bool:
    """Whether a file holds code of users, and not of keraslike or what it and they call."""
    return _kind(filename) == "users"


@functools.cache
def _kind(filename: str) -> str:
    """Whose code is in a file: `"ours"`, `"below"` (of a package that this one is built on),
    `"shared"` (of one that users call as well) or `"users"`."""
    if filename.startswith(_PACKAGE):
        return "ours"
    if filename.startswith(_BELOW):
        return "below"
    installed = "site-packages" in filename or "dist-packages" in filename
    if filename.startswith("<frozen ") or filename.startswith(_SHARED[1:]):
        return "shared"
    return "shared" if filename.startswith(_SHARED[0]) and not installed else "users"
