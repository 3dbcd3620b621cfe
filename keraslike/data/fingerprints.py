"""The fingerprint of a data set: a number that is equal for data sets constructed in the same
way."""

from __future__ import annotations

import hashlib
import types
from collections.abc import Iterator
from typing import Any

import numpy as np

from keraslike.data.pipeline import Pipeline


def fingerprint(dataset: Pipeline, seeds: bool = True) -> np.uint64:
    """The first 8 bytes of a hash of the functions that make the elements, with their closures.

    Args:
        seeds: whether the seeds of random orders are a part of it.
    """
    digest = hashlib.sha256()
    for part in _parts(dataset, {}, seeds):
        digest.update(part)
        digest.update(b"\0")
    return np.uint64(int.from_bytes(digest.digest()[:8], "little"))


def _parts(value: Any, seen: dict[int, tuple[int, Any]], seeds: bool) -> Iterator[bytes]:
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes, type)):
        yield repr(value).encode()
        return
    if id(value) in seen:
        yield b"again %d" % seen[id(value)][0]
        return
    seen[id(value)] = len(seen), value  # The value is kept, so that its id stays its own.
    yield type(value).__qualname__.encode()
    if isinstance(value, np.ndarray) and value.dtype != object:
        yield from (str((value.shape, value.dtype)).encode(), value.tobytes())
        return
    inner: Any = ()
    if isinstance(value, types.FunctionType):
        inner = value.__code__, value.__defaults__, value.__closure__
    elif isinstance(value, types.CodeType):
        inner = value.co_code, value.co_consts, value.co_names
    elif isinstance(value, types.MethodType):
        inner = value.__func__, value.__self__
    elif isinstance(value, types.CellType):
        inner = (value.cell_contents,)
    elif isinstance(value, np.ndarray):
        inner = value.tolist()
    elif isinstance(value, dict):
        inner = [part for pair in value.items() for part in pair]
    elif isinstance(value, (list, tuple, set, frozenset)):
        inner = value if isinstance(value, (list, tuple)) else sorted(value, key=repr)
    elif isinstance(value, Pipeline):
        inner = value._start, value._seeds if seeds else None, value._count
    elif hasattr(value, "_function"):  # a user's function or class
        inner = (value._function,)
    elif hasattr(value, "__array__"):
        inner = (np.asarray(value),)
    for part in inner or ():
        yield from _parts(part, seen, seeds)
