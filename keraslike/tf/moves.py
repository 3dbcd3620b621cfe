"""Functions that put elements in other places, of text as of numbers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from keraslike.data.pipeline import NeedsPython


def moves(fn: Callable) -> Callable:
    """The function of arrays, which only moves elements, for arrays of text, too.

    XLA has no strings: the function is run on the numbers of the texts, and what it gives says
    which text is where. Number 0 is the empty text, with which TensorFlow fills.
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
    """Whether it is an array of text.

    >>> is_text(np.array([b"a"], object)), is_text(np.ones(2)), is_text("a")
    (True, False, False)
    """
    return isinstance(value, np.ndarray) and value.dtype.kind == "O"


def _named(texts: np.ndarray, numbers: Any) -> Any:
    if isinstance(numbers, jax.core.Tracer):
        raise NeedsPython("Text cannot be placed by a tensor that is being traced.")
    return texts[np.asarray(numbers)]
