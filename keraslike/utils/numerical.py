"""Preparation of arrays for training."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from flax import nnx

from keraslike import ops
from keraslike.core.annotations import checked
from keraslike.core.boxed import is_boxed
from keraslike.core.errors import InvalidArgument


@checked
def to_categorical(x: Any, num_classes: int | None = None) -> Any:
    """One-hot rows of integer labels: `(...)` or `(..., 1)` gives `(..., num_classes)`.

    The result is a float32 JAX array for a JAX array, otherwise a float64 numpy array, as in Keras.

    Raises ValueError for labels outside of `0 … num_classes - 1`.

    >>> to_categorical([0, 2], num_classes=3).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    if _is_computed(x) and num_classes is not None:
        is_column = len(x.shape) > 1 and x.shape[-1] == 1
        return ops.one_hot(ops.squeeze(x, -1) if is_column else x, num_classes)
    try:
        labels = np.asarray(x, dtype="int64")
    except (TypeError, ValueError) as e:
        raise InvalidArgument(f"x must hold integer labels. Received: x={x!r}") from e
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if num_classes is None:
        num_classes = int(labels.max(initial=-1)) + 1
    if labels.size and not 0 <= labels.min() <= labels.max() < num_classes:
        raise ValueError(
            f"Labels must be between 0 and num_classes - 1 = {num_classes - 1}. "
            f"Received labels from {labels.min()} to {labels.max()}."
        )
    dtype = "float32" if isinstance(x, jax.Array) else "float64"
    return _as_given(x, np.eye(num_classes, dtype=dtype)[labels])


def _is_computed(x: Any) -> bool:
    """Whether a value is traced, or may be watched by a tape."""
    return isinstance(x, (jax.core.Tracer, nnx.Variable)) or is_boxed(x)


def _as_given(x: Any, result: np.ndarray) -> Any:
    return jax.device_put(result) if isinstance(x, jax.Array) else result


@checked
def normalize(x: Any, axis: int = -1, order: int = 2) -> Any:
    """`x / norm(x)` along an axis; rows of zeros stay zeros.

    The result is a JAX array for a JAX array, otherwise a numpy array.

    >>> normalize([[3.0, 4.0]]).tolist()
    [[0.6, 0.8]]
    """
    if _is_computed(x):
        return ops.normalize(x, axis, order)
    given, x = x, np.asarray(x)
    norm = np.atleast_1d(np.linalg.norm(x, order, axis))
    norm[norm == 0] = 1
    return _as_given(given, x / np.expand_dims(norm, axis))


@checked
def pad_sequences(
    sequences: Any,
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Sequences of different lengths as one padded array `(samples, maxlen, ...)`.

    Args:
        sequences: a list of lists or arrays, whose items are numbers or arrays of one shape.
        maxlen: the length to pad or truncate to, by default that of the longest sequence.
        dtype: the dtype of the array; `object` for texts.
        padding: whether to pad at the start (`"pre"`) or at the end (`"post"`).
        truncating: whether to truncate at the start or at the end.
        value: the value of the padding.

    Raises ValueError for items that are not sequences or differ in shape, and for a text as the
    value of an array of numbers.

    >>> pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2).tolist()
    [[0, 1], [2, 3], [5, 6]]
    """
    if not hasattr(sequences, "__len__"):
        raise ValueError(f"`sequences` must be iterable. Received: sequences={sequences!r}")
    for side, name in ((padding, "Padding"), (truncating, "Truncating")):
        if side not in ("pre", "post"):
            raise ValueError(f'{name} type "{side}" not understood. Expected "pre" or "post".')
    for sequence in sequences:
        if not hasattr(sequence, "__len__"):
            raise ValueError(f"`sequences` must be a list of iterables. Found: {sequence!r}")
    is_text = np.issubdtype(dtype, np.str_) or np.issubdtype(dtype, np.bytes_)
    if isinstance(value, str) and np.dtype(dtype) != object and not is_text:
        raise ValueError(
            f"`dtype` {dtype} is not compatible with value={value!r}. Use dtype=object for texts."
        )
    if maxlen is None:
        maxlen = max(map(len, sequences), default=0)
    first = next((s for s in sequences if len(s)), ())
    shape = np.shape(np.asarray(first, dtype))[1:]
    result = np.full((len(sequences), maxlen, *shape), value, dtype)
    for number, sequence in enumerate(sequences):
        kept = sequence[max(0, len(sequence) - maxlen) :]
        if truncating == "post":
            kept = sequence[:maxlen]
        if not len(kept):
            continue
        items = np.asarray(kept, dtype)
        if items.shape[1:] != shape:
            raise ValueError(
                f"Shape of sample {items.shape[1:]} of sequence at position {number} is different "
                f"from expected shape {shape}"
            )
        rows = slice(len(kept)) if padding == "post" else slice(maxlen - len(kept), None)
        result[number, rows] = items
    return result
