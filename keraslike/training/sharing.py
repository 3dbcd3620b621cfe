"""What loaders of others can do beside giving batches: begin further on, make a part of a batch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from keraslike.core.shares import Rows, Share, share_of


def state_of(iterator: Any) -> str | None:
    """Where an iterator of grain's is, as it says itself; `None` for others."""
    if not type(iterator).__module__.startswith("grain."):
        return None
    state = iterator.get_state()
    try:
        return json.dumps([state.decode()] if isinstance(state, bytes) else state)
    except (TypeError, UnicodeDecodeError):  # its batches are counted instead
        return None


def moved_to(iterator: Any, state: str | None) -> bool:
    """Whether an iterator could be moved to where another one was that said so of itself."""
    if state is None or not hasattr(iterator, "set_state"):
        return False
    found = json.loads(state)
    before = iterator.get_state()
    try:
        iterator.set_state(found[0].encode() if isinstance(found, list) else found)
    except Exception:  # of other workers, or a source that has no name: its batches are counted
        iterator.set_state(before)
        return False
    return True


class _Parts:
    """The share of each batch, as a source of grain's."""

    def __init__(self, batches: Any, rows: Rows):
        self.batches, self.rows = batches, rows

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Share:
        # Names that are private in grain; a test looks at them.
        samples, size = self.batches._parent, self.batches._batch_size
        numbers = list(range(index * size, min(len(samples), (index + 1) * size)))

        def make(some: list[int]) -> Any:
            return self.batches._batch_fn([samples[n] for n in some])

        return share_of(numbers, self.rows, make)


def is_batched(source: Any) -> bool:
    """Whether it is a `grain.MapDataset` that ends in `batch`."""
    kind = type(source)
    return kind.__name__ == "BatchMapDataset" and kind.__module__.startswith("grain.")


def one_by_one(source: Any) -> Iterator[Any]:
    """The batches of such a data set, each made when it is asked for."""
    return (source[n] for n in range(len(source)))


def of_grain(source: Any, rows: Rows, first: int) -> Iterator[Any] | None:
    """The shares of the batches from number `first` on of a `grain.MapDataset` that ends in
    `batch`: of the samples only those of the share are made. `None` for other sources."""
    if not is_batched(source):
        return None
    import grain

    parts = grain.MapDataset.source(_Parts(source, rows))
    # Not grain's own iterator, whose state would be of these parts.
    return (part for part in parts.slice(slice(first, None)))
