"""The base of `tf.random`: TensorFlow's numbers for a counter and a key; checks of arguments."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx

from keraslike.tf import dtypes, effects, philox
from keraslike.tf.conversion import _as_operand, static
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.ops import _check_size, cast
from keraslike.tf.tensor import WIDE, Tensor, _on_device, raw


def check_ends(bounds: tuple[Any, Any], wanted: dtypes.DType, whole: bool = False) -> None:
    """Raises ValueError if integers have no upper bound.

    Args:
        whole: whether both bounds may be left out, for all values of the dtype.
    """
    missing = [bound is None for bound in bounds]
    if any(missing) and not (whole and all(missing)):
        raise ValueError(f"maxval must be given for dtype={wanted.name}. Received: {bounds}")


def sizes_of(shape: Any) -> tuple[int, ...]:
    """The sizes in a shape. Raises InvalidArgumentError if they are impossible."""
    shape = static(shape)
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    check_count(sizes)
    return sizes


def check_count(sizes: Sequence[Any]) -> None:
    """Raises InvalidArgumentError for sizes that are negative, or of too many numbers to draw, and
    ResourceExhaustedError for those of more numbers than fit into memory."""
    known = [n for n in sizes if isinstance(n, int)]
    if min(known, default=0) < 0 or math.prod(known) >= 1 << 63:
        raise InvalidArgumentError(
            f"shape must be of sizes >= 0 that do not overflow an int64. Received: {tuple(sizes)}"
        )
    _check_size(sizes)


def bound(value: Any) -> Any:
    """A bound of integers: a number, or an array where it is traced."""
    if value is None or isinstance(value, (int, np.generic)):
        return value
    array = raw(_as_operand(value))
    return array if isinstance(array, jax.core.Tracer) else static(value)


def stretched(draw: Callable[[], Tensor], low: Any, high: Any, dtype: Any) -> Tensor | None:
    """Draws between bounds that a tape may follow, made of draws from `[0, 1)`; `None` if the
    bounds are plain numbers."""
    if not any(isinstance(value, (Tensor, nnx.Variable)) for value in (low, high)):
        return None
    low, high = cast(low, dtype), cast(1.0 if high is None else high, dtype)
    return draw() * (high - low) + low


def check_bounds(minval: Any, maxval: Any) -> None:
    """Raises InvalidArgumentError unless `minval < maxval` for all integers."""

    def check(low: Any, high: Any) -> None:
        if (low >= high).any():
            raise InvalidArgumentError(f"Need minval < maxval, got {low} >= {high}")

    effects.required(check, *(raw(_as_operand(bound)) for bound in (minval, maxval)))


def drawn(state: Any, kind: str, shape: Any, dtype: str, *rest: Any) -> Any:
    """TensorFlow's numbers for a counter and a key."""
    wanted, count = dtypes.as_dtype(dtype).dtype, math.prod(shape)
    with WIDE(True):
        found = _drawn(philox.on_host(state, count), kind, shape, count, wanted, *rest)
        return _on_device(np.asarray(found) if isinstance(found, np.generic) else found)


def _drawn(state: Any, kind: str, shape: Any, count: int, wanted: Any, *rest: Any) -> Any:
    if kind == "integers":
        low, high = rest
        if low is None:
            return philox.integers(state, count, wanted).reshape(shape)
        return philox.between(state, count, wanted, low, high).reshape(shape)
    if kind == "uniform":
        low, high = (np.asarray(v, wanted) for v in rest)
        return philox.units(state, count, wanted).reshape(shape) * (high - low) + low
    fn = philox.normals if kind == "normal" else philox.truncated_normals
    return fn(state, count, wanted).reshape(shape)
