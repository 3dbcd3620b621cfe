"""The base of `tf.random`: TensorFlow's numbers for a counter and a key; checks of arguments."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from keraslike.tf import dtypes, effects, philox
from keraslike.tf.conversion import _as_operand, static
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.tensor import WIDE, _on_device, raw


def check_ends(bounds: tuple[Any, Any], wanted: dtypes.DType, whole: bool = False) -> None:
    """Raises ValueError if integers have no upper bound.

    Args:
        whole: whether both bounds may be left out, for all values of the dtype.
    """
    if None in bounds and not (whole and bounds == (None, None)):
        raise ValueError(f"maxval must be given for dtype={wanted.name}. Received: {bounds}")


def sizes_of(shape: Any) -> tuple[int, ...]:
    shape = static(shape)
    return (shape,) if isinstance(shape, int) else tuple(shape)


def check_bounds(minval: Any, maxval: Any) -> None:
    """Raises InvalidArgumentError unless `minval < maxval` for all integers."""

    def check(low: Any, high: Any) -> None:
        if (low >= high).any():
            raise InvalidArgumentError(f"Need minval < maxval, got {low} >= {high}")

    effects.checked(check, *(raw(_as_operand(bound)) for bound in (minval, maxval)))


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
