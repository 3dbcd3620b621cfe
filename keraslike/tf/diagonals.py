"""Functions of `tf.linalg` for the diagonals and bands of matrices."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.operation import operation

__all__ = ["band_part", "diag", "diag_part", "set_diag"]


def _bounds(k: Any) -> tuple[int, int]:
    """The lowest and the highest diagonal."""
    k = k if isinstance(k, tuple) else (k,)
    if not 0 < len(k) < 3 or k[0] > k[-1]:
        raise ValueError(f"k must be a diagonal, or the lowest and the highest. Received: k={k}")
    return int(k[0]), int(k[-1])


def _starts(low: int, high: int, rows: int, columns: int, align: str) -> dict[int, int]:
    """The offset of each diagonal's elements in a row that has the length of the longest one."""
    sides = align.split("_")
    if len(sides) != 2 or set(sides) - {"LEFT", "RIGHT"}:
        raise ValueError(f"align must be like 'RIGHT_LEFT'. Received: align={align!r}")
    lengths = {d: min(rows + min(d, 0), columns - max(d, 0)) for d in range(low, high + 1)}
    longest = max(lengths.values())
    left = {d: "LEFT" in (sides[0] * (d >= 0), sides[1] * (d <= 0)) for d in lengths}
    return {d: 0 if left[d] else longest - lengths[d] for d in lengths}


def _in_band(diagonals: Any, low: int, high: int, rows: int, columns: int, align: str) -> Any:
    """The values of diagonals for each element of matrices, and which elements are on them."""
    starts = _starts(low, high, rows, columns, align)
    if low == high:
        diagonals = diagonals[..., None, :]
    i, j = np.indices((rows, columns))
    inside = (j - i >= low) & (j - i <= high)
    d = np.clip(j - i, low, high)
    place = np.minimum(i, j) + np.vectorize(starts.get, otypes=[int])(d)
    return diagonals[..., high - d, np.where(inside, place, 0)], inside


@operation("linalg.diag", "diagonal")
def diag(
    diagonal: Any,
    name: str = "diag",
    k: Any = 0,
    num_rows: int = -1,
    num_cols: int = -1,
    padding_value: Any = 0,
    align: str = "RIGHT_LEFT",
) -> Any:
    """Matrices with given diagonals: the main one, the `k`-th above it (below, if negative), or all
    from `k[0]` to `k[1]`, the highest first.

    >>> tf.linalg.diag([1, 2]).numpy().tolist()
    [[1, 0], [0, 2]]
    >>> tf.linalg.diag([[0, 8, 9], [1, 2, 3], [4, 5, 0]], k=(-1, 1)).numpy().tolist()
    [[1, 8, 0], [4, 2, 9], [0, 5, 3]]
    """
    low, high = _bounds(k)
    least = (diagonal.shape[-1] - min(high, 0), diagonal.shape[-1] + max(low, 0))
    sizes = (num_rows, num_cols)
    if sizes == (-1, -1):
        sizes = (max(least),) * 2
    rows, columns = (m if n == -1 else n for n, m in zip(sizes, least))
    if rows < least[0] or columns < least[1]:
        raise InvalidArgumentError(
            f"tf.linalg.diag: diagonals of shape {tuple(diagonal.shape)} are too long for "
            f"{rows} rows and {columns} columns."
        )
    padding = jnp.asarray(padding_value, diagonal.dtype)
    if not diagonal.shape[-1]:  # of which no element can be chosen
        batch = diagonal.shape[: -1 if low == high else -2]
        return jnp.broadcast_to(padding, (*batch, rows, columns))
    values, inside = _in_band(diagonal, low, high, rows, columns, align)
    return jnp.where(inside, values, padding)


@operation("linalg.diag_part", "input")
def diag_part(
    x: Any,
    name: str = "diag_part",
    k: Any = 0,
    padding_value: Any = 0,
    align: str = "RIGHT_LEFT",
) -> Any:
    """The main diagonal of matrices, the `k`-th above it (below, if negative), or all from `k[0]`
    to `k[1]`, the highest first. Shorter ones are padded opposite to `align`.

    >>> tf.linalg.diag_part([[1, 2], [3, 4]]).numpy().tolist()
    [1, 4]
    >>> tf.linalg.diag_part([[1, 2], [3, 4]], k=1).numpy().tolist()
    [2]
    """
    low, high = _bounds(k)
    rows, columns = x.shape[-2:]
    if low and low <= -rows or high and high >= columns:  # empty matrices have an empty diagonal
        raise InvalidArgumentError(
            f"tf.linalg.diag_part: matrices of shape {tuple(x.shape)} have no diagonal k={k}."
        )
    starts = _starts(low, high, rows, columns, align)
    longest = min(rows + min(high, 0), columns - max(low, 0))
    d, place = np.mgrid[low : high + 1, :longest][:, ::-1]
    place = place - np.vectorize(starts.get, otypes=[int])(d)
    i, j = place + np.maximum(-d, 0), place + np.maximum(d, 0)
    inside = (place >= 0) & (i < rows) & (j < columns)
    values = x[..., np.where(inside, i, 0), np.where(inside, j, 0)]
    out = jnp.where(inside, values, jnp.asarray(padding_value, x.dtype))
    return out[..., 0, :] if low == high else out


@operation("linalg.set_diag", "input diagonal")
def set_diag(
    x: Any, diagonal: Any, name: str = "set_diag", k: Any = 0, align: str = "RIGHT_LEFT"
) -> Any:
    """Matrices with replaced diagonals; for `k` see `diag`.

    >>> tf.linalg.set_diag([[1, 2], [3, 4]], [7, 8]).numpy().tolist()
    [[7, 2], [3, 8]]
    """
    low, high = _bounds(k)
    rows, columns = x.shape[-2:]
    longest = max(min(rows + min(d, 0), columns - max(d, 0)) for d in range(low, high + 1))
    expected = (*x.shape[:-2], *([high - low + 1] if low < high else []), longest)
    if diagonal.shape != expected:
        raise InvalidArgumentError(
            f"tf.linalg.set_diag: diagonal must be of shape {expected}. Received: {diagonal.shape}"
        )
    values, inside = _in_band(diagonal, low, high, rows, columns, align)
    return jnp.where(inside, values, x)


@operation("linalg.band_part", "input")
def band_part(x: Any, num_lower: int, num_upper: int) -> Any:
    """Matrices set to zero outside a band around the diagonal; a negative width is unlimited.

    >>> tf.linalg.band_part([[1, 2, 3], [4, 5, 6], [7, 8, 9]], 0, 1).numpy().tolist()
    [[1, 2, 0], [0, 5, 6], [0, 0, 9]]
    """
    if num_lower > x.shape[-2] or num_upper > x.shape[-1]:
        raise ValueError(
            f"num_lower={num_lower} and num_upper={num_upper} are beyond shape {x.shape}."
        )
    rows, columns = jnp.ogrid[: x.shape[-2], : x.shape[-1]]
    low = (num_lower < 0) | (rows - columns <= num_lower)
    high = (num_upper < 0) | (columns - rows <= num_upper)
    return jnp.where(low & high, x, jnp.zeros((), x.dtype))
