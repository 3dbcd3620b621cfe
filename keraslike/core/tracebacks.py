"""Tracebacks that show users their own lines and the error, without the frames of this package.

A function that users call is an entry. When an exception leaves the outermost entry, the frames of
keraslike and of the packages that it is built on are removed from its traceback; frames of user
code between them stay.
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

# The directory of this package, as a prefix of the names of its files.
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep

_SITE = os.path.dirname(os.path.dirname(os.path.abspath(jax.__file__)))


def _directories(*names: str) -> tuple[str, ...]:
    return tuple(os.path.join(_SITE, name, "") for name in names)


_BELOW = _directories("jax", "jaxlib", "flax", "optax", "orbax")
# Frames of packages that both keraslike and its users call are shown where users call them.
_SHARED = (os.path.join(sysconfig.get_paths()["stdlib"], ""), *_directories("numpy", "h5py"))

# Set through the descriptor, since a user's exception class may refuse to set attributes.
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
    """Marks an entry that calls `shorten` itself. A function that is called often does so, since a
    `try` is cheaper than a wrapper."""
    _entries.add(cast(Any, function).__code__)
    return function


def shorten(
    error: BaseException,
    function: Callable | None = None,
    args: tuple = (),
    kwargs: dict[str, Any] | None = None,
) -> None:
    """Shortens the traceback of an error that is about to leave the entry that calls this, and
    those of the errors in its chain, unless another entry is active around this one.

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
        with contextlib.suppress(Exception):  # A function without a signature gets no note.
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
        # This also works for exceptions that are frozen dataclasses.
        e.with_traceback(_visible(e.__traceback__))
        if isinstance(e, BaseExceptionGroup):
            waiting += e.exceptions
        if e.__cause__ is None and not e.__suppress_context__:
            _CONTEXT.__set__(e, _of_users(e.__context__))
        waiting.append(e.__cause__ or e.__context__)
        # Drops JAX's note about its own hidden frames; many more frames of ours are hidden.
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
    """The exception that another one was raised after, skipping those that were raised and caught
    within keraslike."""
    while context is not None and context.__traceback__ and not _visible(context.__traceback__):
        context = context.__cause__ or context.__context__
    return context


def _visible(traceback: types.TracebackType | None) -> types.TracebackType | None:
    """The part of a traceback that users are shown."""
    hide_below = jax.config.jax_traceback_filtering != "off"  # type: ignore[attr-defined]
    shown: list[types.TracebackType] = []
    inside = True  # Whether the previous frame is hidden.
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


def is_ours(value: Any, package: str | None = None) -> bool:
    """Whether a class or function is defined in this package, or in the given
    subpackage."""
    # A lambda loaded from a file and a function made by `exec` have no module.
    path = (getattr(value, "__module__", None) or "").split(".")
    return path[0] == "keraslike" and (package is None or path[1:2] == [package])


def is_users(filename: str) -> bool:
    """Whether a file holds user code: neither keraslike's, nor that of packages below or shared
    ones."""
    return _kind(filename) == "users"


@functools.cache
def _kind(filename: str) -> str:
    """The owner of a file's code: `"ours"`, `"below"` (a package that this one is built on),
    `"shared"` (a package that users call as well) or `"users"`."""
    if filename.startswith(_PACKAGE):
        return "ours"
    if filename.startswith(_BELOW):
        return "below"
    installed = "site-packages" in filename or "dist-packages" in filename
    if filename.startswith("<frozen ") or filename.startswith(_SHARED[1:]):
        return "shared"
    return "shared" if filename.startswith(_SHARED[0]) and not installed else "users"
