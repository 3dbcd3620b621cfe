"""Functions that only move elements, and therefore also take text."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from keraslike.core import context
from keraslike.core.errors import NeedsPython
from keraslike.core.text import Text


def moves(fn: Callable) -> Callable:
    """Extends a function that only moves elements of arrays to arrays of text.

    XLA has no strings. The function is applied to indices of the strings, and its result tells the
    place of each string. Index 0 is the empty string, with which TensorFlow pads.
    """

    @functools.wraps(fn)
    def of_any(*args: Any, **kwargs: Any) -> Any:
        if not any(map(is_text, args)):
            return fn(*args, **kwargs)
        texts, numbered = [np.array([b""], object)], []
        count = 1
        for arg in args:
            if is_text(arg):
                texts.append(np.ravel(arg))
                end = count + np.size(arg)
                arg, count = np.arange(count, end, dtype=np.int32).reshape(np.shape(arg)), end
            numbered.append(arg)
        with jax.ensure_compile_time_eval():
            out = fn(*numbered, **kwargs)
        return jax.tree.map(functools.partial(_named, np.concatenate(texts)), out)

    return of_any


def is_text(value: Any) -> bool:
    """Whether a value is an array of text.

    >>> is_text(np.array([b"a"], object)), is_text(np.ones(2)), is_text("a")
    (True, False, False)
    """
    return isinstance(value, np.ndarray) and value.dtype.kind == "O"


def _named(texts: np.ndarray, numbers: Any) -> Any:
    if isinstance(numbers, jax.core.Tracer):
        if context.state.makes_text:
            return Text(None, numbers.shape, chosen=(texts, numbers))
        raise NeedsPython("Text cannot be moved by the values of a traced tensor.")
    return texts[np.asarray(numbers)]
