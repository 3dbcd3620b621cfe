"""`Share`: the part of a batch that belongs to one of several processes."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

# Maps the size of a batch to the numbers of the rows that a process needs, in their order.
Rows = Callable[[int], np.ndarray]


@functools.partial(jax.tree_util.register_dataclass, data_fields=["batch"], meta_fields=["size"])
@dataclasses.dataclass
class Share:
    """The rows that one process needs of a batch of `size` samples, in their order. Where `size` is
    `None`, the process contributes its own samples, as many as every other process."""

    batch: Any
    size: int | None


def share_of(group: list[Any], rows: Rows, make: Callable[[list[Any]], Any]) -> Share:
    """The value that `make` gives for some elements of a group; there may be none.

    >>> share_of([3, 4, 5], lambda count: np.arange(1, count), np.array)
    Share(batch=array([4, 5]), size=3)
    """
    mine = rows(len(group))
    if len(mine):
        return Share(make([group[i] for i in mine]), len(group))
    return Share(jax.tree.map(lambda a: a[:0], make(group[:1])), len(group))
