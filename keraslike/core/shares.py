"""`Share`: what one of several processes has of a batch."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

# The numbers of those rows of a batch of so many that a process needs, in their order.
Rows = Callable[[int], np.ndarray]


@functools.partial(jax.tree_util.register_dataclass, data_fields=["batch"], meta_fields=["size"])
@dataclasses.dataclass
class Share:
    """The rows that one process needs, in their order, of a batch of `size` samples; where `size`
    is `None`, what it gives besides the others, which give as many."""

    batch: Any
    size: int | None


def share_of(group: list[Any], rows: Rows, make: Callable[[list[Any]], Any]) -> Share:
    """What `make` gives of some elements of a group, which may be none of them.

    >>> share_of([3, 4, 5], lambda count: np.arange(1, count), np.array)
    Share(batch=array([4, 5]), size=3)
    """
    mine = rows(len(group))
    if len(mine):
        return Share(make([group[i] for i in mine]), len(group))
    return Share(jax.tree.map(lambda a: a[:0], make(group[:1])), len(group))
