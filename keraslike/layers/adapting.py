"""The batches of data that is passed to `adapt`."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import numpy as np

from keraslike.core import foreign
from keraslike.core.boxed import unbox
from keraslike.core.variable import Variable


def batches(data: Any, steps: int | None = None, lists: bool = True) -> Iterator[Any]:
    """The batches in data, which is an array, a `PyDataset`, or any iterable of batches. Of a batch
    that is a tuple, the first item is used.

    Args:
        steps: the most batches; all by default.
        lists: whether a list is one batch, and not several.

    Raises TypeError for other things.
    """
    if is_batch(data) or (lists and isinstance(data, (list, tuple))):
        yield data
        return
    elif hasattr(data, "__iter__") and not isinstance(data, (str, bytes, dict)):
        found: Iterable[Any] = data
    else:
        raise TypeError(
            f"Unsupported data type: {type(data)}. `adapt` takes an array, a PyDataset, or an "
            "iterable of batches."
        )
    for batch in itertools.islice(found, steps):
        yield unbox(batch[0] if isinstance(batch, tuple) else batch)


def is_batch(data: Any) -> bool:
    """Whether data is an array of any library."""
    kinds = (np.ndarray, jax.Array, Variable)
    return isinstance(data, kinds) or foreign.array_of(data) is not None
