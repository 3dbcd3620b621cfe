"""`ArrayData`, which cuts arrays in memory into batches, and `adapt`, which finds the source for a
user's data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from keraslike.core import rng
from keraslike.core.shares import Rows, Share
from keraslike.core.text import Text, is_text
from keraslike.training.arrays import (
    PARTS,
    Batch,
    SparseRows,
    TextRows,
    check,
    example_of,
    is_tree,
    pack,
    to_array,
    to_arrays,
    with_class_weights,
)
from keraslike.training.py_dataset import PyDataset
from keraslike.training.stream_data import StreamData


def one_batch(x: Any, y: Any = None, sample_weight: Any = None) -> Batch:
    """All of the given data as a single batch."""
    given = {n: a for n, a in zip(PARTS, (x, y, sample_weight)) if a is not None}
    if any(type(a) is not np.ndarray or a.dtype.kind not in "fiub" for a in given.values()):
        return ArrayData((x, y, sample_weight), batch_size=2**31).data
    arrays = [to_array(a, n) for n, a in given.items()]
    check(arrays, given)
    if x is None or len({len(a) for a in arrays}) > 1:
        # It raises an error that describes the problem.
        return ArrayData((x, y, sample_weight), batch_size=2**31).data
    return pack(*[None if a is None else arrays.pop(0) for a in (x, y, sample_weight)])


class ArrayData:
    """Arrays in memory, cut into batches along their first axis.

    Args:
        data: `(x, y, sample_weight)`, each a structure of arrays or `None`.
        batch_size: samples per step; the last batch contains the rest.
        steps: without `batch_size`, the number of batches; without both, `batch_size` is 32.
        shuffle: whether each epoch has a new order of samples.
    """

    warned_of_end = False  # Whether a warning about too few batches was issued.
    # The rows that this process reads of a batch with a given number of samples, if each process
    # reads its own share.
    share: Rows | None = None

    def __init__(
        self,
        data: Sequence[Any],
        batch_size: int | None = None,
        shuffle: bool = False,
        names: tuple[str, str, str] = PARTS,
        steps: int | None = None,
    ):
        given = batch_size
        batch_size = 32 if batch_size is None else batch_size
        if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)):
            raise ValueError(f"batch_size must be an integer. Received: {batch_size!r}")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1. Received: {batch_size}")
        self.batch_size, self.shuffle = int(batch_size), shuffle
        arrays = [to_arrays(d, n, sparse=self.batch_size < 2**31) for d, n in zip(data, names)]
        check(arrays, names)
        self.data = pack(*arrays)
        sizes = {
            name + jax.tree_util.keystr(path): array.shape[0]
            for value, name in zip(arrays, names)
            for path, array in jax.tree_util.tree_leaves_with_path(value, is_leaf=is_text)
        }
        if not sizes:
            raise ValueError(f"{names[0]} must contain an array. Received: {data[0]!r}")
        if len(set(sizes.values())) > 1:
            listed = ", ".join(f"{k}: {v}" for k, v in sizes.items())
            raise ValueError(f"All arrays must have the same number of samples. Received {listed}.")
        self.num_samples = next(iter(sizes.values()))
        if given is None and steps is not None:
            self.batch_size = max(1, math.ceil(self.num_samples / steps))
        self.steps = math.ceil(self.num_samples / self.batch_size)
        self.ahead = True  # A thread may cut the batches.
        self.has_text = any(
            isinstance(a, (Text, TextRows)) for a in jax.tree.leaves(self.data, is_leaf=is_text)
        )
        self._generator = np.random.default_rng(rng.make_seed()) if shuffle else None
        # The generator's state at the beginning of the epoch, and that of the next epoch with its
        # order, if that was drawn already.
        self._began: Any = None
        self._next: tuple[Any, np.ndarray] | None = None
        # If epochs are shorter than the data, each continues where the previous one ended: the
        # number of batches since the beginning of the data, and the order of the samples.
        self.goes_on, self.taken = False, 0
        self._order: np.ndarray | None = None

    def order(self) -> np.ndarray | None:
        """The order of the samples in the next epoch; `None` for their own order."""
        if not self.taken:
            self._order = self._new_order()
        return self._order

    def _new_order(self) -> np.ndarray | None:
        self.draw()
        if self._next is None:
            return None
        (self._began, order), self._next = self._next, None
        return order

    def draw(self) -> None:
        """Computes the order of the next epoch in advance, while the device is busy."""
        if self._generator is not None and self._next is None:
            state = self._generator.bit_generator.state
            order = self._generator.permutation(self.num_samples)
            self._next = state, order.astype(np.int32)

    def example(self) -> Batch:
        """The shapes and dtypes of a batch."""
        return example_of(self.data, min(self.batch_size, self.num_samples))

    def nbytes(self) -> float:
        """The size of the data on a device; sparse data cannot be kept there."""
        leaves = jax.tree.leaves(self.data)
        if any(isinstance(a, (SparseRows, TextRows)) for a in leaves):
            return math.inf
        return sum(a.nbytes for a in leaves)

    def get_state(self, step: int) -> dict[str, Any]:
        """Plain values from which `set_state` restores the rest of an epoch after `step` steps.

        With `step=0` the epoch is the next one, otherwise the current one.
        """
        if step or self.taken:
            return {"generator": self._began, "taken": self.taken, **self._shape()}
        if self._next is not None:
            return {"generator": self._next[0]}
        return {"generator": self._generator and self._generator.bit_generator.state}

    def set_state(self, state: dict[str, Any]) -> None:
        """Makes the next epoch that of the state; raises ValueError if the data differ."""
        for name, value in self._shape().items():
            if state.get(name, value) != value:
                raise ValueError(
                    f"The epoch that is to be resumed had {name}={state[name]}; fit() was now "
                    f"given data with {name}={value}."
                )
        if self._generator is not None and state["generator"] is not None:
            self._generator.bit_generator.state = state["generator"]
            self._next = None
        self.taken = 0
        if state.get("taken"):
            self.order()
            self.taken = state["taken"]

    def _shape(self) -> dict[str, Any]:
        return {
            "num_samples": self.num_samples,
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
        }

    def batches(self, first: int = 0) -> Iterator[tuple[Batch | Share, Any]]:
        """The host batches of one epoch from number `first` on, each with `None`."""
        order = self.order()
        first = (self.taken + first) * self.batch_size
        for start in range(first, self.num_samples, self.batch_size):
            stop = min(start + self.batch_size, self.num_samples)
            rows: Any = slice(start, stop)
            if self.share is not None:
                rows = start + self.share(stop - start)
            if order is not None:
                rows = order[rows]
            batch = jax.tree.map(lambda a, rows=rows: a[rows], self.data)
            yield (batch if self.share is None else Share(batch, stop - start)), None

    def share_by(self, rows: Rows | None) -> None:
        """Restricts each batch to these rows from now on, or removes the restriction."""
        self.share = rows

    def agree(self) -> None:
        """Does nothing: processes draw the same orders, from the random streams that `initialize`
        shared."""

    def position(self, step: int) -> Any:
        """The argument for `mark_trained` after this number of steps of an epoch."""

    def mark_trained(self, position: Any) -> None:
        """Records that a batch was trained on."""

    def end_epoch(self, steps: int) -> None:
        """Records that an epoch ended after this number of steps."""
        if self.goes_on:
            self.taken += steps
            self.taken = self.taken if self.taken < self.steps else 0


def in_executions(steps: int | None, execution: int) -> int | None:
    """The number of steps that are run if `steps` are requested: complete executions."""
    return None if steps is None else math.ceil(steps / execution) * execution


def _is_stream(x: Any) -> bool:
    return isinstance(x, PyDataset) or (
        not hasattr(x, "shape")
        and not is_tree(x)
        and not isinstance(x, (list, tuple, str, bytes))
        and hasattr(x, "__iter__")
        and not hasattr(x, "__array__")
    )


def adapt(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    steps: int | None = None,
    execution: int = 1,
    shuffle: bool = False,
    class_weight: dict[int, float] | None = None,
    names: tuple[str, str, str] = PARTS,
) -> ArrayData | StreamData:
    """The data source for a user's data; raises ValueError for unsupported data. Streams are read
    in multiples of `execution` batches."""
    if x is None:
        raise ValueError(f"{names[0]} is missing: pass arrays, a generator or a PyDataset.")
    if _is_stream(x):
        for value, name in ((y, names[1]), (sample_weight, names[2])):
            if value is not None:
                raise ValueError(
                    f"When providing `{names[0]}` as a generator or dataset, `{name}` should not "
                    "be passed: its batches hold it."
                )
        if steps is None and hasattr(x, "cardinality") and int(x.cardinality()) == -1:
            raise ValueError(
                f"{names[0]} is an infinite data set: pass the number of batches "
                "(steps_per_epoch, validation_steps or steps)."
            )
        steps = in_executions(steps, execution)
        return StreamData(x, steps, class_weight, shuffle=bool(shuffle))
    if class_weight is not None and y is None:
        raise ValueError("class_weight needs y.")
    sample_weight = with_class_weights(sample_weight, y, class_weight)
    return ArrayData((x, y, sample_weight), batch_size, bool(shuffle), names, steps)


def split(arrays: Sequence[Any], validation_split: float) -> tuple[Batch, Batch]:
    """The first part of the samples and the last `validation_split` of them."""
    if not 0 < validation_split < 1:
        raise ValueError(f"validation_split must be between 0 and 1. Received: {validation_split}")
    if _is_stream(arrays[0]):
        raise ValueError(
            f"validation_split needs x to be arrays. Received: x of type {type(arrays[0]).__name__}"
            "; pass validation_data."
        )
    ready = tuple(to_arrays(a, n, sparse=True) for a, n in zip(arrays, PARTS))
    n = jax.tree.leaves(ready)[0].shape[0]
    at = math.floor(n * (1.0 - validation_split))
    if at == 0 or at == n:
        raise ValueError(
            f"validation_split={validation_split} of {n} samples leaves nothing to "
            f"{'train' if at == 0 else 'validate'} on."
        )

    def cut(rows: slice) -> Any:
        kinds = (SparseRows, TextRows)
        return jax.tree.map(lambda a: a.part(rows) if isinstance(a, kinds) else a[rows], ready)

    return cut(slice(None, at)), cut(slice(at, None))
