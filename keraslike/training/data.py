"""From what the user passes as data to batches: arrays, dicts, generators, `PyDataset`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import arguments, dtypes, foreign, processes, rng
from keraslike.core.shares import Rows, Share
from keraslike.core.structures import map_items
from keraslike.core.text import Text, as_bytes, holds_text, is_text
from keraslike.training.prefetch import made_by, workers
from keraslike.training.sharing import is_batched, moved_to, of_grain, one_by_one, state_of

# `(x,)`, `(x, y)` or `(x, y, sample_weight)`, as a step is given it; or a `Bare` x.
Batch = tuple[Any, ...]


class Bare(NamedTuple):
    """A batch of x alone that came in no tuple, and goes into a step of the user's in none."""

    x: Any


def pack(x: Any, y: Any = None, sample_weight: Any = None) -> Batch:
    """The batch of these arrays, in the form in which Keras gives it to a step.

    >>> pack(1), pack([1, 2]), pack(1, 2), pack(1, 2, 3)
    (Bare(x=1), ([1, 2],), (1, 2), (1, 2, 3))
    """
    if sample_weight is not None:
        return x, y, sample_weight
    if y is not None:
        return x, y
    return (x,) if isinstance(x, (list, tuple)) else Bare(x)


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """A batch of these arrays, as `fit` takes it: `x`, `(x,)`, `(x, y)` or
    `(x, y, sample_weight)`. The second is for an x that is itself a list or tuple.

    >>> pack_x_y_sample_weight(1), pack_x_y_sample_weight([1, 2]), pack_x_y_sample_weight(1, 2)
    (1, ([1, 2],), (1, 2))
    """
    batch = pack(x, y, sample_weight)
    return batch.x if isinstance(batch, Bare) else batch


_PARTS = ("x", "y", "sample_weight")
# The most numbers that a sparse matrix has as a dense one if it is made that at once.
_DENSE = 2**26

# Compared to one of these, a dtype costs less than compared to a type.
_FLOAT32, _FLOAT64, _INT64 = map(np.dtype, ("float32", "float64", "int64"))


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """`(x, y, sample_weight)` from `x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`.

    >>> unpack_x_y_sample_weight((1, 2))
    (1, 2, None)
    """
    if isinstance(data, list):
        data = tuple(data)
    if not isinstance(data, tuple):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(
            "A batch must be x, (x,), (x, y) or (x, y, sample_weight). "
            f"Received a tuple of {len(data)}."
        )
    return (*data, None, None)[:3]  # type: ignore[return-value]


def to_array(value: Any, name: str) -> Any:
    """Data as an array of a dtype that JAX computes in, or as text where it may be that; raises
    ValueError for what is neither."""
    if type(value) is np.ndarray and value.dtype == _FLOAT32:
        return value
    given = value
    if isinstance(value, jax.Array):
        return value
    if not isinstance(value, np.ndarray):
        found = foreign.array_of(value)
        value = value if found is None else found
        if isinstance(value, jax.Array):
            return value
    try:
        array = np.asarray(value)
    except ValueError as e:
        raise ValueError(f"{name} must be an array. Received lists that are none: {e}") from None
    if not foreign.is_numeric(array):
        texts = None if foreign.is_frame(given) or _is_target(name) else as_bytes(array)
        if texts is not None:
            return Text(texts)
        what = foreign.not_numeric(given, array)
        advice = " StringLookup makes integers of texts." if as_bytes(array) is not None else ""
        raise ValueError(f"{name} must hold numbers. Received {what}.{advice}")
    if array.dtype == _FLOAT64:
        return array.astype(dtypes.floatx())
    foreign.refuse_wide(array, name)
    if array.dtype == _INT64:
        return array.astype(np.int32)
    return array


def _is_target(name: str) -> bool:
    return name.startswith(("y", "sample_weight", "validation_data[1", "validation_data[2"))


def _is_tree(value: Any) -> bool:
    """Whether a list or dict is a structure of arrays, rather than one array in Python's form."""
    if isinstance(value, dict):
        return True
    if not isinstance(value, (list, tuple)) or not value:
        return False
    if hasattr(value, "_fields") or any(isinstance(v, dict) for v in value):
        return True
    if any(hasattr(v, "shape") and not isinstance(v, np.generic) for v in value):
        return True
    first = next((v for v in value if v is not None), None)
    return first is None or _is_tree(first)


def to_arrays(value: Any, name: str, sparse: bool = False) -> Any:
    """Every array in a structure made ready by `to_array`; with `sparse`, large sparse matrices
    stay so."""
    if value is None:
        return None
    if isinstance(value, dict):
        return {k: to_arrays(v, f"{name}[{k!r}]", sparse) for k, v in value.items()}
    if _is_tree(value):
        number = itertools.count()
        return map_items(lambda v: to_arrays(v, f"{name}[{next(number)}]", sparse), value)
    if sparse and SparseRows.should_hold(value):
        return SparseRows(foreign.csr(value))
    if isinstance(value, (SparseRows, TextRows)):
        return value if sparse else value[:]
    array = to_array(value, name)
    return TextRows(array.values) if sparse and is_text(array) else array


def one_batch(x: Any, y: Any = None, sample_weight: Any = None) -> Batch:
    """All of the given data as the batch of one step."""
    given = {n: a for n, a in zip(_PARTS, (x, y, sample_weight)) if a is not None}
    if any(type(a) is not np.ndarray or a.dtype.kind not in "fiub" for a in given.values()):
        return ArrayData((x, y, sample_weight), batch_size=2**31).data
    arrays = [to_array(a, n) for n, a in given.items()]
    check(arrays, given)
    if x is None or len({len(a) for a in arrays}) > 1:
        return ArrayData((x, y, sample_weight), batch_size=2**31).data  # which says what is wrong
    return pack(*[None if a is None else arrays.pop(0) for a in (x, y, sample_weight)])


def structure_of(batch: Batch) -> Any:
    """What tells how arrays lie in a batch; texts are taken for arrays."""
    if type(batch) in (tuple, Bare) and all(type(a) is np.ndarray for a in batch):
        return type(batch), len(batch)  # found in a tenth of the time
    return jax.tree.structure(batch, is_leaf=is_text)


def example_of(data: Any, size: int | None = None) -> Batch:
    """The shapes and dtypes of a batch, or of one of that size out of such data."""

    def spec(a: Any) -> Any:
        if isinstance(a, TextRows):
            return a[:size]
        n = a.shape[0] if size is None and a.shape else size
        return a if is_text(a) else jax.ShapeDtypeStruct((n, *a.shape[1:]), a.dtype)

    return jax.tree.map(spec, data, is_leaf=is_text)


class SparseRows:
    """A sparse matrix whose rows become a dense array when they are taken."""

    ndim = 2

    def __init__(self, matrix: Any):
        self.matrix = matrix
        self.shape, self.size = matrix.shape, math.prod(matrix.shape)
        self.dtype = self[:0].dtype

    @staticmethod
    def should_hold(value: Any) -> bool:
        """Whether a value is a sparse matrix that would be too large as a dense one."""
        if not foreign.is_sparse(value):
            return False
        shape = np.asarray(getattr(value, "dense_shape", value.shape))
        return len(shape) == 2 and math.prod(shape.tolist()) > _DENSE

    def __getitem__(self, rows: Any) -> np.ndarray:
        return to_array(self.matrix[rows], "x")

    def part(self, rows: slice) -> SparseRows:
        """Some of the rows, sparse still."""
        return SparseRows(self.matrix[rows])


class TextRows:
    """Texts, which become a `Text` for a step when they are taken."""

    dtype = np.dtype(object)

    def __init__(self, values: np.ndarray):
        self.values = values
        self.shape, self.size, self.ndim = values.shape, values.size, values.ndim

    def __getitem__(self, rows: Any) -> Text:
        return Text(self.values[rows])

    def part(self, rows: slice) -> TextRows:
        """Some of the rows."""
        return TextRows(self.values[rows])


def check(values: Iterable[Any], names: Iterable[str]) -> None:
    """Raises ValueError for arrays that are empty, and does as `look_for_nan`."""
    nan = arguments.nan_in_data() != "ignore"
    found = []
    for value, name in zip(values, names):
        # One array, which `predict` is often given, is not worth jax's search for its leaves.
        if isinstance(value, np.ndarray) and value.size and value.ndim:
            if nan and not _is_clean(value):
                found.append((name, value))
            continue
        for number, array in enumerate(jax.tree.leaves(value)):
            empty = not array.size or not array.ndim
            if not empty and (not nan or _is_clean(array)):
                continue
            path = jax.tree_util.tree_leaves_with_path(value)[number][0]
            where = name + jax.tree_util.keystr(path)
            if not array.ndim:
                raise ValueError(
                    f"{where} must be an array with an axis of samples. "
                    f"Received one number: {array}"
                )
            if empty:
                raise ValueError(f"{where} is empty. Received an array of shape {array.shape}.")
            found.append((where, array))
    if found:
        _tell_of_nan(found)


def look_for_nan(values: Iterable[Any], names: Iterable[str]) -> bool:
    """Whether there is NaN in the arrays: it is told by a warning, once for all of them, or is an
    error where `config.set_nan_in_data` says so."""
    if arguments.nan_in_data() == "ignore":
        return False
    found = [
        (name + jax.tree_util.keystr(path), array)
        for value, name in zip(values, names)
        for path, array in jax.tree_util.tree_leaves_with_path(value)
        if not _is_clean(array)
    ]
    if found:
        _tell_of_nan(found)
    return bool(found)


def _tell_of_nan(found: list[tuple[str, Any]]) -> None:
    told = []
    for name, array in found:
        numbers = array.matrix.data if isinstance(array, SparseRows) else array
        bad = int(np.isnan(np.asarray(numbers, dtype="float32")).sum())
        told.append(f"{name} holds {bad} NaN values in {array.size}")
    if arguments.nan_in_data() == "raise":
        raise ValueError(f"{', '.join(told)}: clean the data first.")
    arguments.warn_user(
        f"{', '.join(told)}. If the model does not deal with them, its loss and its weights become "
        "NaN. keraslike.config.set_nan_in_data('raise') makes this an error, 'ignore' silent."
    )


def _is_clean(array: Any) -> bool:
    if array.dtype != _FLOAT32 and not dtypes.is_float(array.dtype):
        return True
    if isinstance(array, SparseRows):
        array = array.matrix.data
    # A product of the array with itself finds a NaN faster than a mask does; infinity makes none.
    product = (np if isinstance(array, np.ndarray) else jnp).vdot(array, array)
    return bool(product == product)


def class_weights_of(y: Any, class_weight: dict[int, float]) -> np.ndarray:
    """The weight of each sample from the weight of its class; 1 for classes not named.

    >>> class_weights_of(np.array([0, 1, 2]), {1: 5.0}).tolist()
    [1.0, 5.0, 1.0]
    """
    classes = isinstance(class_weight, dict) and bool(class_weight)
    if not classes or not all(isinstance(c, (int, np.integer)) for c in class_weight):
        raise ValueError(
            "class_weight must be a dict of class numbers and their weights. "
            f"Received: class_weight={class_weight!r}"
        )
    if len(jax.tree.leaves(y)) != 1 and _is_tree(y):
        raise ValueError(
            "class_weight is for models of one output: give sample_weight, one for each output. "
            f"Received: class_weight={class_weight!r} and {len(y)} outputs in y."
        )
    y = np.asarray(y)
    if y.ndim > 1 and y.shape[-1] > 1:
        y = y.argmax(axis=-1)
    y = np.round(y.reshape(len(y), -1)[:, 0]).astype(int)
    weights = np.ones(max(int(y.max(initial=0)), *map(int, class_weight)) + 1, dtype="float32")
    for label, weight in class_weight.items():
        weights[int(label)] = weight
    return weights[y]


class ArrayData:
    """Arrays in memory, cut into batches along their first axis.

    Args:
        data: `(x, y, sample_weight)`, each a structure of arrays or `None`.
        batch_size: samples a step; the last batch holds what is left.
        shuffle: whether each epoch takes the samples in a new order.
    """

    told_of_end = False  # that there were fewer batches than asked for
    # Where each process reads its own share: the numbers of its rows in a batch of so many.
    share: Rows | None = None

    def __init__(
        self,
        data: Sequence[Any],
        batch_size: int = 32,
        shuffle: bool = False,
        names: tuple[str, str, str] = _PARTS,
    ):
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
            raise ValueError(f"{names[0]} holds no arrays.")
        if len(set(sizes.values())) > 1:
            listed = ", ".join(f"{k}: {v}" for k, v in sizes.items())
            raise ValueError(f"All arrays must have the same number of samples. Received {listed}.")
        self.num_samples = next(iter(sizes.values()))
        self.steps = math.ceil(self.num_samples / self.batch_size)
        self.ahead = True  # a thread may cut the batches
        self.has_text = any(
            isinstance(a, (Text, TextRows)) for a in jax.tree.leaves(self.data, is_leaf=is_text)
        )
        self._generator = np.random.default_rng(rng.make_seed()) if shuffle else None
        # The generator's state at the beginning of the epoch, and that of the next one with its
        # order where this is drawn already.
        self._began: Any = None
        self._next: tuple[Any, np.ndarray] | None = None
        # Where epochs are shorter than the data, each goes on where the one before ended: how many
        # batches were taken since the data began, and the order of the samples.
        self.goes_on, self.taken = False, 0
        self._order: np.ndarray | None = None

    def order(self) -> np.ndarray | None:
        """The order of the samples in the next epoch; `None` for the one they are in."""
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
        """Finds the order of the next epoch now, where the time for it is to spare."""
        if self._generator is not None and self._next is None:
            state = self._generator.bit_generator.state
            order = self._generator.permutation(self.num_samples)
            self._next = state, order.astype(np.int32)

    def example(self) -> Batch:
        """The shapes and dtypes of a batch."""
        return example_of(self.data, min(self.batch_size, self.num_samples))

    def nbytes(self) -> float:
        """What the data takes where all of it is on a device, which what is sparse cannot be."""
        leaves = jax.tree.leaves(self.data)
        if any(isinstance(a, (SparseRows, TextRows)) for a in leaves):
            return math.inf
        return sum(a.nbytes for a in leaves)

    def get_state(self, step: int) -> dict[str, Any]:
        """Plain values from which `set_state` gives the rest of an epoch after `step` steps.

        With `step=0` the epoch is the next one, otherwise the one that is under way.
        """
        if step or self.taken:
            return {"generator": self._began, "taken": self.taken, **self._shape()}
        if self._next is not None:
            return {"generator": self._next[0]}
        return {"generator": self._generator and self._generator.bit_generator.state}

    def set_state(self, state: dict[str, Any]) -> None:
        """Makes the next epoch that of the state; raises ValueError where it had other data."""
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
        """One epoch of batches on the host from batch number `first` on, each with `None`."""
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
        """Gives from now on only these rows of each batch, or all again."""
        self.share = rows

    def agree(self) -> None:
        """Processes draw the same orders, of the random streams that `initialize` has shared."""

    def took(self, position: Any) -> None:
        """A batch was trained on."""

    def ended(self, steps: int) -> None:
        """An epoch has ended after so many steps."""
        if self.goes_on:
            self.taken += steps
            self.taken = self.taken if self.taken < self.steps else 0


# Packages whose loaders expect that another thread takes their batches.
_LOADERS = ("torch", "grain", "tensorflow")


def _is_loader(source: Any) -> bool:
    return any(c.__module__.partition(".")[0] in _LOADERS for c in type(source).__mro__)


class StreamData:
    """Batches that somebody else makes: a generator, a `PyDataset`, a loader.

    Args:
        source: an iterable of batches; a `PyDataset` is asked for each batch by its number. Those
            of a `PyDataset`, of a loader of torch, grain or TensorFlow, and of an object whose
            attribute `can_prefetch` is true (a `Dataset`) are fetched ahead by a thread.
        steps: batches an epoch; needed for a generator that never ends.
        class_weight: class -> weight, multiplied into each batch's sample weights.
    """

    told_of_end = False  # that there were fewer batches than asked for
    has_text = False  # in its batches, as far as they are known
    share: Rows | None = None  # as of `ArrayData`

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
        # The seed of the order of a PyDataset's batches (of a `Dataset` its `orders`), and how many
        # the iterator has given: of the last one, and as of the last that was trained on.
        self._seed: Any = None
        self._given = 0
        self._position: tuple[Any, int, str | None] = (None, 0, None)
        self._is_dataset = isinstance(source, PyDataset)
        self._has_orders = hasattr(source, "orders")
        self.ahead = bool(getattr(source, "can_prefetch", _is_loader(source)))
        self._told_of_nan = False
        self.steps: int | None = _length(source) if steps is None else steps
        # A generator goes on where it was at the last epoch; anything else starts anew. A loader is
        # not asked for an iterator here: that may start its worker processes.
        self._once = hasattr(source, "__next__") and iter(source) is source
        self._fixed_steps = steps is not None

    def example(self) -> Batch:
        """The shapes and dtypes of the first batch (which is kept for the epoch)."""
        if not self._peeked:
            if self._iterator is None and processes.are_several() and is_batched(self.source):
                self._iterator = one_by_one(self.source)  # grain's own reads far ahead
            try:
                self._peeked.append(self._next())
            except StopIteration:
                raise ValueError("x gives no batches: the generator is empty.") from None
        batch, _ = self._peeked[0]
        self.has_text = holds_text(batch)

        def spec(a: Any) -> Any:
            return a if is_text(a) else jax.ShapeDtypeStruct(a.shape, a.dtype)

        return jax.tree.map(spec, batch, is_leaf=is_text)

    def _next(self) -> tuple[Batch | Share, Any]:
        if self._iterator is None:
            seed = self.source.orders if self._has_orders else None
            if self._is_dataset and self.shuffle:
                seed = rng.make_seed()
            self._iterator = self._start(seed)
        batch = next(self._iterator)
        if isinstance(batch, Share):
            batch = Share(self._ready(batch.batch), batch.size)
        else:
            batch = self._ready(batch)
        self._given += 1
        return batch, (self._seed, self._given, state_of(self._iterator))

    def share_by(self, rows: Rows | None) -> None:
        """Gives from now on only these rows of each batch, or all again."""
        if rows == self.share:
            return
        self.share = rows
        makes_parts = self._is_dataset or self._has_orders or is_batched(self.source)
        if self._iterator is not None and makes_parts:
            self._iterator = self._start(self._seed, self._given)

    def agree(self) -> None:
        """Of what each process would draw for itself, all take what the first one has."""
        if self._has_orders and (self._iterator is None or self._peeked):
            orders = self._seed if self._peeked else self.source.orders
            self._peeked.clear()
            found = processes.of_first("order of a data set", lambda: orders)
            self._iterator = self._start(found)

    def _shared(self, batch: Any) -> Any:
        """Of a batch the rows that this process is to have."""
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
        """The batches from number `first` on; `state` is what the iterator has said of its own."""
        self._seed, self._given = seed, first
        if self._is_dataset:
            order: Any = itertools.count(first)  # it may have as many as are asked for
            if self.source.num_batches is not None:
                order = np.arange(self.source.num_batches)
                if self.shuffle:
                    order = np.random.default_rng(seed).permutation(order)
                order = order[first:]
            if self.share is not None and not self.source.use_multiprocessing:
                return self.source.made(order, self.share)
            return self.source.made(order)
        if self._has_orders:
            if not self._fixed_steps and self.steps is not None and first > self.steps:
                self._refuse_position(self.steps, first)
            elements = self.source.as_numpy_iterator()
            elements.ahead = False  # a thread takes them
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
            f"The data to resume with has {count} batches, of which {first} were taken before."
        )

    def get_state(self, step: int) -> dict[str, Any]:
        """Plain values from which `set_state` gives the batches that have not been taken."""
        del step  # it is known how many were taken since the source began
        seed, taken, state = self._position
        if self._has_orders and not taken:
            seed = self.source.orders if self._iterator is None else self._seed
        return {"seed": seed, "taken": taken, "state": state}

    def set_state(self, state: dict[str, Any]) -> None:
        """Starts anew and passes over the batches that were taken."""
        if not self._once:
            self._iterator, self._peeked = None, []
        if self._has_orders:
            self.source.orders = state["seed"]
        own = state.get("state")
        if state["taken"]:
            self._iterator = self._start(state["seed"], state["taken"], own)
        self._position = (state["seed"], state["taken"], own)

    def _ready(self, batch: Any) -> Batch:
        keeps = getattr(self.source, "keeps_arrays", False)
        given = {id(array) for array in jax.tree.leaves(batch)}

        def own(array: Any) -> Any:
            """A copy of what its maker may overwrite with the next batch while this one waits."""
            if keeps:
                return array
            if isinstance(array, np.ndarray) and (id(array) in given or not array.flags.owndata):
                return array.copy()
            return array

        def ready(part: Any, name: str) -> Any:
            return jax.tree.map(own, to_arrays(part, name), is_leaf=is_text)

        if self.class_weight is not None:
            x, y, weight = unpack_x_y_sample_weight(batch)
            by_class = class_weights_of(y, self.class_weight)
            batch = x, y, by_class if weight is None else weight * by_class
        bare = not isinstance(batch, (list, tuple))
        parts = [batch] if bare else batch
        names = _names(len(parts))
        arrays = [ready(part, name) for part, name in zip(parts, names)]
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
        """The batches of an epoch of which `first` have been taken, each with what `took` takes."""
        count = first
        if self._is_dataset and not first:
            self.source.on_epoch_begin()
        while not self._fixed_steps or count < self.steps:  # type: ignore[operator]
            if self._peeked:
                item = self._peeked.pop()
            else:
                try:
                    item = self._next()
                except StopIteration:
                    self._iterator = None
                    if self._fixed_steps and self._given and not self._once:
                        continue  # start over: more steps were asked for than one pass has
                    break
            count += 1
            yield self._shared(item[0]), item[1]

    def took(self, position: Any) -> None:
        """The batch with this position was trained on."""
        self._position = position

    def ended(self, steps: int) -> None:
        """An epoch has ended: all its batches were trained on."""
        del steps
        if not self._once and not self._fixed_steps:
            self._iterator, self._position = None, (None, 0, None)
        if self._is_dataset:
            self.source.on_epoch_end()


def _names(count: int) -> Sequence[str]:
    """What the parts of a batch are called; a step of the user's may take more than three."""
    return _PARTS[:count] if count <= len(_PARTS) else [f"batch[{i}]" for i in range(count)]


def _length(source: Any) -> int | None:
    """Batches an epoch, where they are known."""
    if isinstance(source, PyDataset):
        return source.num_batches
    try:
        return len(source)
    except TypeError:  # of a dataset that does not know it, too
        return None


class PyDataset:
    """A dataset that makes each batch when asked for its number; to be subclassed.

    A subclass has `__len__` (batches an epoch) and `__getitem__(index)` (a batch); it may have
    `on_epoch_begin` and `on_epoch_end`.

    Args:
        workers: how many batches are made at the same time.
        use_multiprocessing: whether by processes, to which the dataset goes pickled, instead of
            threads.
        max_queue_size: the most batches that are under way or ready, with several workers.

    >>> class Squares(PyDataset):
    ...     def __len__(self):
    ...         return 2
    ...     def __getitem__(self, index):
    ...         x = np.arange(4.0)[:, None] + 4 * index
    ...         return x, x**2
    >>> Squares().num_batches
    2
    """

    can_prefetch = True  # a thread may ask for batches while a step runs

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ):
        self.workers, self.use_multiprocessing = workers, use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__() method.")

    @property
    def num_batches(self) -> int | None:
        """Batches an epoch; `None` where `steps_per_epoch` says how many."""
        return len(self)  # type: ignore[arg-type]

    def part(self, index: int, rows: Rows) -> tuple[Any, int]:
        """What one of several processes needs of a batch, and how many samples the batch has.

        By default the whole batch is made. A subclass that can make some rows alone says so here.

        Args:
            index: of the batch.
            rows: gives for the number of samples of the batch the numbers of the rows, an array.

        >>> class Numbers(PyDataset):
        ...     def __len__(self):
        ...         return 3
        ...     def part(self, index, rows):
        ...         return 4.0 * index + rows(4), 4
        >>> Numbers().part(2, lambda count: np.arange(count // 2))
        (array([8., 9.]), 4)
        """
        batch = self[index]
        size = jax.tree.leaves(batch)[0].shape[0]
        mine = rows(size)
        return jax.tree.map(lambda a: np.asarray(a)[mine], batch), size

    def made(self, numbers: Iterable[int], rows: Rows | None = None) -> Iterator[Any]:
        """The batches with these numbers, in this order; with `rows` a `Share` of each."""
        numbers = map(int, numbers)
        make = self.__getitem__ if rows is None else lambda n: Share(*self.part(n, rows))
        if self.workers <= 1 and not self.use_multiprocessing:
            return map(make, numbers)
        if rows is not None:
            executor: Any = ThreadPoolExecutor(max(1, self.workers))
        else:
            executor, make = workers(self, max(1, self.workers), self.use_multiprocessing)
        return made_by(executor, make, numbers, max(1, self.max_queue_size))

    def on_epoch_begin(self) -> None:
        """Called at the beginning of every epoch."""

    def on_epoch_end(self) -> None:
        """Called at the end of every epoch."""


def adapt(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    steps: int | None = None,
    shuffle: bool = False,
    class_weight: dict[int, float] | None = None,
    names: tuple[str, str, str] = _PARTS,
) -> ArrayData | StreamData:
    """The data source for what a user passed; raises ValueError for what cannot be one."""
    streams = isinstance(x, PyDataset) or (
        not hasattr(x, "shape")
        and not _is_tree(x)
        and not isinstance(x, (list, tuple, str, bytes))
        and hasattr(x, "__iter__")
        and not hasattr(x, "__array__")
    )
    if x is None:
        raise ValueError(f"{names[0]} is missing: pass arrays, a generator or a PyDataset.")
    if streams:
        for value, name in ((y, names[1]), (sample_weight, names[2])):
            if value is not None:
                raise ValueError(
                    f"When providing `{names[0]}` as a generator or dataset, `{name}` should not "
                    "be passed: its batches hold it."
                )
        if steps is None and hasattr(x, "cardinality") and int(x.cardinality()) == -1:
            raise ValueError(
                f"{names[0]} is a data set without end: say how many batches are to be taken "
                "(steps_per_epoch, validation_steps, steps)."
            )
        return StreamData(x, steps, class_weight, shuffle=bool(shuffle))
    if class_weight is not None:
        if y is None:
            raise ValueError("class_weight needs y.")
        by_class = class_weights_of(y, class_weight)
        sample_weight = by_class if sample_weight is None else np.asarray(sample_weight) * by_class
    return ArrayData(
        (x, y, sample_weight), 32 if batch_size is None else batch_size, bool(shuffle), names
    )


def split(arrays: Sequence[Any], validation_split: float) -> tuple[Batch, Batch]:
    """The first part of the samples and the last `validation_split` of them."""
    if not 0 < validation_split < 1:
        raise ValueError(f"validation_split must be between 0 and 1. Received: {validation_split}")
    ready = tuple(to_arrays(a, n, sparse=True) for a, n in zip(arrays, _PARTS))
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
