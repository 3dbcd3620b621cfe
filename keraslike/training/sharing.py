"""Optional abilities of other libraries' loaders: starting at a position, and creating a part of a
batch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from keraslike.core.shares import Rows, Share, share_of


def state_of(iterator: Any) -> str | None:
    """The state of an iterator of grain's; `None` for others."""
    if not type(iterator).__module__.startswith("grain."):
        return None
    state = iterator.get_state()
    try:
        return json.dumps([state.decode()] if isinstance(state, bytes) else state)
    except (TypeError, UnicodeDecodeError):  # Its batches are counted instead.
        return None


def moved_to(iterator: Any, state: str | None) -> bool:
    """Whether an iterator could be moved to the state of another one."""
    if state is None or not hasattr(iterator, "set_state"):
        return False
    found = json.loads(state)
    before = iterator.get_state()
    try:
        iterator.set_state(found[0].encode() if isinstance(found, list) else found)
    # The number of workers differs, or the source has no name: its batches are counted.
    except Exception:
        iterator.set_state(before)
        return False
    return True


class _Parts:
    """The share of each batch, as a data source of grain's."""

    def __init__(self, batches: Any, rows: Rows):
        self.batches, self.rows = batches, rows

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Share:
        # Names that are private in grain; a test checks them.
        samples, size = self.batches._parent, self.batches._batch_size
        numbers = list(range(index * size, min(len(samples), (index + 1) * size)))

        def make(some: list[int]) -> Any:
            return self.batches._batch_fn([samples[n] for n in some])

        return share_of(numbers, self.rows, make)


def is_batched(source: Any) -> bool:
    """Whether it is a `grain.MapDataset` whose last operation is `batch`."""
    kind = type(source)
    return kind.__name__ == "BatchMapDataset" and kind.__module__.startswith("grain.")


def one_by_one(source: Any) -> Iterator[Any]:
    """The batches of such a data set, each created on request."""
    return (source[n] for n in range(len(source)))


def of_grain(source: Any, rows: Rows, first: int) -> Iterator[Any] | None:
    """The shares of the batches of a `grain.MapDataset` whose last operation is `batch`, from
    number `first` on. Only the samples of the share are created. `None` for other sources."""
    if not is_batched(source):
        return None
    import grain

    parts = grain.MapDataset.source(_Parts(source, rows))
    # grain's own iterator is not used, since its state would refer to these parts.
    return (part for part in parts.slice(slice(first, None)))
