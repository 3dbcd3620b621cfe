"""Automatic names: `dense`, `dense_1`, …"""

from __future__ import annotations

import re
import threading
from collections import defaultdict

from keraslike.core.static import AutoName

_counts: dict[str, int] = defaultdict(int)


_counts_lock = threading.Lock()


def to_snake_case(name: str) -> str:
    """The snake case that automatic names and file paths are written in.

    >>> to_snake_case("Conv2D"), to_snake_case("LayerNormalization")
    ('conv2d', 'layer_normalization')
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def get_uid(prefix: str = "") -> int:
    """The next number for this prefix, from 1 on. Automatic names contain these numbers.

    >>> get_uid("an_example"), get_uid("an_example")
    (1, 2)
    """
    with _counts_lock:
        _counts[prefix] += 1
        return _counts[prefix]


def auto_name(prefix: str) -> AutoName:
    """A name not used before: `dense`, `dense_1`, …"""
    number = get_uid(prefix) - 1
    return AutoName(f"{prefix}_{number}" if number else prefix)


def reset_names() -> None:
    """Starts automatic names again from the beginning."""
    _counts.clear()
