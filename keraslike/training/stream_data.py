"""`StreamData`: batches from an iterable, in the form that `fit` consumes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from keraslike.core import processes, rng
from keraslike.core.shares import Rows, Share
from keraslike.core.text import holds_text, is_text
from keraslike.training.arrays import (
    PARTS,
    Bare,
    Batch,
    look_for_nan,
    to_arrays,
    unpack_x_y_sample_weight,
    with_class_weights,
)
from keraslike.training.py_dataset import PyDataset
from keraslike.training.sharing import is_batched, moved_to, of_grain, one_by_one, state_of

# Packages whose loaders may be iterated in another thread.
_LOADERS = ("torch", "grain", "tensorflow")


def _is_loader(source: Any) -> bool:
    return any(c.__module__.partition(".")[0] in _LOADERS for c in type(source).__mro__)


class StreamData:
    """Batches from a generator, a `PyDataset` or a loader.

    Args:
        source: an iterable of batches, or a `PyDataset`. A thread fetches ahead from a `PyDataset`,
            a loader of torch, grain or TensorFlow, and an object whose attribute `can_prefetch` is
            true (a `Dataset`).
        steps: batches per epoch; required for an infinite generator.
        class_weight: a dict from class to weight, used where a batch has no sample weights.
    """

    warned_of_end = False  # Whether a warning about too few batches was issued.
    has_text = False  # Whether the batches contain text, as far as they are known.
    share: Rows | None = None  # As in `ArrayData`.
    goes_on = False  # As in `ArrayData`; always true for a generator.

    def __init__(
        self,
        source: Any,
        steps: int | None = None,
        class_weight: dict[int, float] | None = None,
        shuffle: bool = True,
    ):
        self.source, self.class_weight, self.shuffle = source, class_weight, shuffle
        self._iterator: Iterator | None = None
        self._peeked: list[Any] = []
        # The seed of the order of a PyDataset's batches (for a `Dataset`, its `orders`), the number
        # of batches that the iterator has returned, and both values at the last batch that was
        # trained on.
        self._seed: Any = None
        self._given = 0
        self._position: tuple[Any, int, str | None] = (None, 0, None)
        self._is_dataset = isinstance(source, PyDataset)
        self._begun = False  # Whether `on_epoch_begin` was called for the epoch.
        self._has_orders = hasattr(source, "orders")
        self.ahead = bool(getattr(source, "can_prefetch", _is_loader(source)))
        self._told_of_nan = False
        self.steps: int | None = _length(source) if steps is None else steps
        # A generator continues where the last epoch ended; other iterables start again. A loader's
        # iterator is not requested here, since that may start its worker processes.
        self._once = hasattr(source, "__next__") and iter(source) is source
        self.fixed_steps = steps is not None

    def is_empty(self) -> bool:
        """Whether there is no first batch; one that there is, is kept for the epoch."""
        if not self._peeked:
            if self._iterator is None and processes.are_several() and is_batched(self.source):
                self._iterator = one_by_one(self.source)  # grain's own iterator reads far ahead.
            self._begin()
            try:
                self._peeked.append(self._next())
            except StopIteration:
                return True
        return False

    def example(self) -> Batch:
        """The shapes and dtypes of the first batch, which is kept for the epoch."""
        if self.is_empty():
            raise ValueError("x gives no batches: the generator is empty.")
        batch, _ = self._peeked[0]
        self.has_text = holds_text(batch)

        def spec(a: Any) -> Any:
            return a if is_text(a) else jax.ShapeDtypeStruct(a.shape, a.dtype)

        return jax.tree.map(spec, batch, is_leaf=is_text)

    def _begin(self) -> None:
        if self._is_dataset and not self._begun:
            self._begun = True
            self.source.on_epoch_begin()

    def _next(self) -> tuple[Batch | Share, Any]:
        if self._iterator is None:
            seed = self.source.orders if self._has_orders else None
            if self._is_dataset and self.shuffle:
                seed = rng.make_seed()
            self._iterator = self._start(seed)
        batch = next(self._iterator)
        if isinstance(batch, Share):
            batch = Share(self.ready(batch.batch), batch.size)
        else:
            batch = self.ready(batch)
        self._given += 1
        return batch, (self._seed, self._given, state_of(self._iterator))

    def share_by(self, rows: Rows | None) -> None:
        """Restricts each batch to these rows from now on, or removes the restriction."""
        if rows == self.share:
            return
        self.share = rows
        makes_parts = self._is_dataset or self._has_orders or is_batched(self.source)
        if self._iterator is not None and makes_parts:
            self._iterator = self._start(self._seed, self._given)

    def begin_again(self) -> Any:
        """Restarts the epoch, so that its batches can be obtained in another way: with the same
        `orders`."""
        if self._iterator is not None:
            self.source.orders = self._seed
            self._iterator, self._peeked = None, []
        return self.source.orders

    def agree(self) -> None:
        """Uses the first process's random choices in all processes."""
        if self._has_orders and (self._iterator is None or self._peeked):
            orders = self._seed if self._peeked else self.source.orders
            self._peeked.clear()
            found = processes.of_first("order of a data set", lambda: orders)
            self._iterator = self._start(found)

    def _shared(self, batch: Any) -> Any:
        """The rows of a batch that belong to this process."""
        if self.share is None or isinstance(batch, Share):
            return batch
        if getattr(self.source, "is_part", False):
            return Share(batch, None)
        sizes = {a.shape[0] for a in jax.tree.leaves(batch)}
        if len(sizes) > 1:
            return batch
        mine = self.share(size := sizes.pop())
        return Share(jax.tree.map(lambda a: a[mine], batch), size)

    def _start(self, seed: Any, first: int = 0, state: str | None = None) -> Iterator:
        """The batches from number `first` on; `state` is the state that the iterator reported."""
        self._seed, self._given = seed, first
        if self._is_dataset:
            order: Any = itertools.count(first)  # The dataset may provide any number of batches.
            if self.source.num_batches is not None:
                order = np.arange(self.source.num_batches)
                if self.shuffle:
                    order = np.random.default_rng(seed).permutation(order)
                order = order[first:]
            if self.share is not None and not self.source.use_multiprocessing:
                return self.source.made(order, self.share)
            return self.source.made(order)
        if self._has_orders:
            if not self.fixed_steps and self.steps is not None and first > self.steps:
                self._refuse_position(self.steps, first)
            elements = self.source.as_numpy_iterator()
            elements.ahead = False  # A thread consumes them.
            elements.share = None if self.source.is_part else self.share
            elements.set_state({"orders": seed, "taken": first})
            return elements
        shares = None if self.share is None else of_grain(self.source, self.share, first)
        if shares is not None:
            return shares
        iterator = iter(self.source)
        if first and not self._peeked and moved_to(iterator, state):
            return iterator
        for n in range(first):
            if self._peeked:
                self._peeked.pop()
            elif next(iterator, self) is self:
                self._refuse_position(n, first)
        return iterator

    def _refuse_position(self, count: int, first: int) -> None:
        raise ValueError(
            f"The data to resume with has {count} batches, but {first} were used before."
        )

    def get_state(self, step: int) -> dict[str, Any]:
        """Plain values from which `set_state` restores the position of the first batch that was not
        trained on."""
        del step  # The number of consumed batches is known.
        seed, taken, state = self._position
        if self._has_orders and not taken:
            seed = self.source.orders if self._iterator is None else self._seed
        return {"seed": seed, "taken": taken, "state": state}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restarts the source and skips the batches that were trained on."""
        if not self._once:
            self._iterator, self._peeked = None, []
        if self._has_orders:
            self.source.orders = state["seed"]
        own = state.get("state")
        if state["taken"]:
            self._iterator = self._start(state["seed"], state["taken"], own)
        self._position = (state["seed"], state["taken"], own)

    def ready(self, batch: Any) -> Batch:
        """A batch, or all of its rows, in the form that a step accepts."""
        if batch is None:
            raise ValueError("A batch must hold x, or a tuple of x and y. Received: None")
        keeps = getattr(self.source, "keeps_arrays", False)
        given = {id(array) for array in jax.tree.leaves(batch)}

        def own(array: Any) -> Any:
            """A copy of a batch whose arrays the source may overwrite with the next batch."""
            if keeps:
                return array
            if isinstance(array, np.ndarray) and (id(array) in given or not array.flags.owndata):
                return array.copy()
            return array

        def made(part: Any, name: str) -> Any:
            return jax.tree.map(own, to_arrays(part, name), is_leaf=is_text)

        if self.class_weight is not None:
            x, y, weight = unpack_x_y_sample_weight(batch)
            batch = x, y, with_class_weights(weight, y, self.class_weight)
        bare = not isinstance(batch, (list, tuple))
        parts = [batch] if bare else batch
        names = _names(len(parts))
        arrays = [made(part, name) for part, name in zip(parts, names)]
        for array, name in zip(arrays, names):
            for leaf in jax.tree.leaves(array):
                if not leaf.ndim:
                    raise ValueError(
                        f"{name} of a batch must be an array with an axis of samples. "
                        f"Received one number: {leaf}"
                    )
        if not self._told_of_nan:
            self._told_of_nan = look_for_nan(arrays, [f"{name} of a batch" for name in names])
        return Bare(*arrays) if bare else tuple(arrays)

    def batches(self, first: int = 0) -> Iterator[tuple[Batch | Share, Any]]:
        """The batches of an epoch from number `first` on, each with its argument for
        `mark_trained`."""
        count = first
        if not first:
            self._begin()
        while not self.fixed_steps or count < self.steps:  # type: ignore[operator]
            if self._peeked:
                item = self._peeked.pop()
            else:
                try:
                    item = self._next()
                except StopIteration:
                    self._iterator = None
                    if self.fixed_steps and self._given and not self._once and not count:
                        continue  # The last epoch ended where the data did.
                    break
            count += 1
            yield self._shared(item[0]), item[1]

    def mark_trained(self, position: Any) -> None:
        """Records that the batch with this position was trained on."""
        self._position = position

    def end_epoch(self, steps: int) -> None:
        """Records that an epoch ended: all of its batches were trained on."""
        del steps
        if not self._once and not (self.fixed_steps and self.goes_on):
            self._iterator, self._position = None, (None, 0, None)
        if self._is_dataset:
            self._begun = False
            self.source.on_epoch_end()


def _names(count: int) -> Sequence[str]:
    """The names of the parts of a batch; a user's step may accept more than three."""
    return PARTS[:count] if count <= len(PARTS) else [f"batch[{i}]" for i in range(count)]


def _length(source: Any) -> int | None:
    """The number of batches in an epoch, if it is known."""
    if isinstance(source, PyDataset):
        return source.num_batches
    try:
        return len(source)
    except TypeError:  # A dataset may raise this if it does not know its length.
        return None
