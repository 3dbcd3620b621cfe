"""Computation in float64, which JAX has only where its 64-bit dtypes are enabled.

A layer, loss, metric or model of that dtype enables them for its own calls, wherever else they are
disabled. Nothing is looked up until a program first asks for float64.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from typing import Any, cast

import jax

from keraslike.core import context
from keraslike.core.tracebacks import Function

_asked = threading.Event()


def ask(dtype: str) -> None:
    """Notes that a policy or `floatx()` is of this dtype."""
    if dtype == "float64":
        _asked.set()


def needed(owner: Any) -> bool:
    """Whether `owner` computes in float64 while JAX's 64-bit dtypes are disabled."""
    return (
        _asked.is_set()
        and not jax.config.jax_enable_x64  # type: ignore[attr-defined]
        and owner._is_in_float64()
    )


@contextlib.contextmanager
def in_float64() -> Iterator[None]:
    """A context in which JAX keeps 64-bit dtypes."""
    with context.using(in_float64=True), jax.enable_x64(True):
        yield


def of(owner: Any) -> contextlib.AbstractContextManager[Any]:
    """A context in which JAX keeps the dtypes of `owner`."""
    return in_float64() if needed(owner) else contextlib.nullcontext()


def of_dtype(dtype: Any) -> contextlib.AbstractContextManager[Any]:
    """A context in which JAX keeps float64, if the dtype is that."""
    wide = dtype == "float64" and not jax.config.jax_enable_x64  # type: ignore[attr-defined]
    return in_float64() if wide else contextlib.nullcontext()


def kept(method: Function) -> Function:
    """A method in which JAX keeps the dtypes of its object."""

    @functools.wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not needed(self):
            return method(self, *args, **kwargs)
        with in_float64():
            return method(self, *args, **kwargs)

    return cast(Function, run)
