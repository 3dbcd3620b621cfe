"""Arrays made ready for training."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from keraslike.core.annotations import checked


@checked
def to_categorical(x: Any, num_classes: int | None = None) -> Any:
    """One-hot rows of integer labels: `(...)` or `(..., 1)` gives `(..., num_classes)`.

    Of a JAX array it is a JAX array, of anything else numpy's.

    Raises ValueError for labels outside of `0 … num_classes - 1`.

    >>> to_categorical([0, 2], num_classes=3).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    labels = np.asarray(x, dtype="int64")
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if num_classes is None:
        num_classes = int(labels.max(initial=-1)) + 1
    if labels.size and not 0 <= labels.min() <= labels.max() < num_classes:
        raise ValueError(
            f"Labels must be between 0 and num_classes - 1 = {num_classes - 1}. "
            f"Received labels from {labels.min()} to {labels.max()}."
        )
    return _as_given(x, np.eye(num_classes, dtype="float32")[labels])


def _as_given(x: Any, result: np.ndarray) -> Any:
    return jax.device_put(result) if isinstance(x, jax.Array) else result


@checked
def normalize(x: Any, axis: int = -1, order: int = 2) -> Any:
    """`x / norm(x)` along an axis; rows of zeros stay zeros.

    Of a JAX array it is a JAX array, of anything else numpy's.

    >>> normalize([[3.0, 4.0]]).tolist()
    [[0.6, 0.8]]
    """
    given, x = x, np.asarray(x)
    norm = np.atleast_1d(np.linalg.norm(x, order, axis))
    norm[norm == 0] = 1
    return _as_given(given, x / np.expand_dims(norm, axis))
