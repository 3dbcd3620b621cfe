"""Conversion of users' data to arrays that a step accepts, and checks of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from numbers import Real
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import arguments, dtypes, foreign
from keraslike.core.structures import InOrder, map_items
from keraslike.core.text import Text, as_bytes, is_text

# `(x,)`, `(x, y)` or `(x, y, sample_weight)`, in the form that a step receives; or a `Bare` x.
Batch = tuple[Any, ...]


class Bare(NamedTuple):
    """A batch that consists of x only and was not in a tuple; a user's step receives x without
    one."""

    x: Any


def pack(x: Any, y: Any = None, sample_weight: Any = None) -> Batch:
    """A batch with these arrays, in the form in which Keras passes it to a step.

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


# The names of the parts of a batch.
PARTS = ("x", "y", "sample_weight")


# The most elements of a sparse matrix that is converted to a dense one as a whole.
_DENSE = 2**26


# Comparing a dtype with one of these is faster than comparing it with a type.
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
    """Data as an array in a dtype that JAX supports, or as text where that is allowed; raises
    ValueError for other values."""
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
        raise ValueError(
            f"{name} must be an array. Received lists that do not form one: {e}"
        ) from None
    if array.ndim == 1 and foreign.is_column(given):
        array = array[:, None]  # as in Keras, a column is one feature or target of each sample
    if not foreign.is_numeric(array):
        texts = None if foreign.is_frame(given) or _is_target(name) else as_bytes(array)
        if texts is not None:
            return Text(texts)
        what = foreign.not_numeric(given, array)
        advice = " StringLookup converts text to integers." if as_bytes(array) is not None else ""
        raise ValueError(f"{name} must hold numbers. Received {what}.{advice}")
    if array.dtype == _FLOAT64:
        return array.astype(dtypes.floatx())
    foreign.refuse_wide(array, name)
    if array.dtype == _INT64:
        return array.astype(np.int32)
    return array


def _is_target(name: str) -> bool:
    return name.startswith(("y", "sample_weight", "validation_data[1", "validation_data[2"))


def is_tree(value: Any) -> bool:
    """Whether a list or dict is a structure of arrays, rather than one array as nested lists."""
    if isinstance(value, dict):
        return True
    if not isinstance(value, (list, tuple)) or not value:
        return False
    if hasattr(value, "_fields") or any(isinstance(v, dict) for v in value):
        return True
    if any(hasattr(v, "shape") and not isinstance(v, np.generic) for v in value):
        return True
    first = next((v for v in value if v is not None), None)
    return first is None or is_tree(first)


def to_arrays(value: Any, name: str, sparse: bool = False) -> Any:
    """Applies `to_array` to every array in a structure; with `sparse`, large sparse matrices stay
    sparse. A dict becomes one whose order of keys JAX keeps; see `as_given`."""
    if value is None:
        return None
    if isinstance(value, dict):
        return InOrder((k, to_arrays(v, f"{name}[{k!r}]", sparse)) for k, v in value.items())
    if is_tree(value):
        number = itertools.count()
        return map_items(lambda v: to_arrays(v, f"{name}[{next(number)}]", sparse), value)
    if sparse and SparseRows.should_hold(value):
        return SparseRows(foreign.csr(value))
    if isinstance(value, (SparseRows, TextRows)):
        return value if sparse else value[:]
    array = to_array(value, name)
    return TextRows(array.values) if sparse and is_text(array) else array


def as_given(batch: Any) -> Any:
    """A batch for a step, which takes dicts as the user gives them.

    >>> as_given(to_arrays(({"b": 1.0, "a": 2.0},), "x"))
    ({'b': array(1., dtype=float32), 'a': array(2., dtype=float32)},)
    """
    return map_items(as_given, batch)  # which makes plain dicts


def structure_of(batch: Batch) -> Any:
    """A hashable description of the structure of a batch; texts count as arrays."""
    if type(batch) in (tuple, Bare) and all(type(a) is np.ndarray for a in batch):
        return type(batch), len(batch)  # This takes a tenth of the time.
    return jax.tree.structure(batch, is_leaf=is_text)


def example_of(data: Any, size: int | None = None) -> Batch:
    """The shapes and dtypes of a batch, or of a batch of a given size taken from data."""

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
        """Whether a value is a sparse matrix that would be too large as a dense array."""
        if not foreign.is_sparse(value):
            return False
        shape = np.asarray(getattr(value, "dense_shape", value.shape))
        return len(shape) == 2 and math.prod(shape.tolist()) > _DENSE

    def __getitem__(self, rows: Any) -> np.ndarray:
        return to_array(self.matrix[rows], "x")

    def part(self, rows: slice) -> SparseRows:
        """Some of the rows, as a sparse matrix."""
        return SparseRows(self.matrix[rows])


class TextRows:
    """Texts whose selected rows become a `Text`."""

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
    """Raises ValueError for empty arrays, and calls `look_for_nan`."""
    nan = arguments.nan_in_data() != "ignore"
    found = []
    for value, name in zip(values, names):
        # A single array, a frequent input of `predict`, needs no search for leaves.
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
    """Checks arrays for NaN. If there is any, it warns, once for all of them, or raises an error if
    `config.set_nan_in_data` requests that. Returns whether there was any."""
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
    # The dot product of the array with itself is NaN if an element is, and is faster than a mask.
    # Infinities do not make it NaN.
    product = (np if isinstance(array, np.ndarray) else jnp).vdot(array, array)
    return bool(product == product)


def class_weights_of(y: Any, class_weight: dict[int, float]) -> np.ndarray:
    """The weight of each sample from the weight of its class; 1 for classes without a weight.

    >>> class_weights_of(np.array([0, 1, 2]), {1: 5.0}).tolist()
    [1.0, 5.0, 1.0]
    """

    def is_class(key: Any) -> bool:
        return isinstance(key, Real) and float(key).is_integer()

    if not isinstance(class_weight, dict) or not all(map(is_class, class_weight)):
        raise ValueError(
            "class_weight must be a dict of class numbers and their weights. "
            f"Received: class_weight={class_weight!r}"
        )
    if is_tree(y):
        outputs = jax.tree.leaves(y)
        if len(outputs) != 1:
            raise ValueError(
                "class_weight is for models of one output: give sample_weight, one for each "
                f"output. Received: class_weight={class_weight!r} and {len(y)} outputs in y."
            )
        y = outputs[0]
    y = np.asarray(y)
    shape = y.shape
    one_hot = y.ndim > 1 and shape[-1] != 1
    numbers = one_hot and y.dtype.kind in "iu" and y.max(initial=0) > 1
    if y.ndim > 1:
        y = y.argmax(axis=-1) if one_hot else y.squeeze(-1)
    if y.ndim != 1 or numbers:
        raise ValueError(
            "class_weight needs one class for each sample: give sample_weight. "
            f"Received: class_weight={class_weight!r} and y of shape {shape}."
        )
    found, which = np.unique(np.round(y).astype(int), return_inverse=True)
    return np.array([class_weight.get(int(c), 1.0) for c in found], dtypes.floatx())[which]


def with_class_weights(sample_weight: Any, y: Any, class_weight: dict[int, float] | None) -> Any:
    """The sample weights, or those of the samples' classes; there cannot be both."""
    if class_weight is None:
        return sample_weight
    if sample_weight is not None:
        raise ValueError(
            "sample_weight and class_weight cannot be given together: multiply the sample weights "
            "by those of their classes."
        )
    return class_weights_of(y, class_weight)


def cut_batch(data: Batch, order: Any, cursor: Any, size: int) -> Batch:
    """Slices a batch of `size` samples from a position, in the given order, within a compiled
    program."""
    if order is None:
        return jax.tree.map(lambda a: jax.lax.dynamic_slice_in_dim(a, cursor, size), data)
    rows = jax.lax.dynamic_slice_in_dim(order, cursor, size)
    return jax.tree.map(lambda a: a.at[rows].get(mode="promise_in_bounds"), data)


def samples_of(batch: Batch) -> int:
    """The number of samples in a batch."""
    return jax.tree.leaves(batch, is_leaf=is_text)[0].shape[0]
