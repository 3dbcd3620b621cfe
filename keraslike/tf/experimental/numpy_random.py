"""`tf.experimental.numpy.random`: numpy's names for what `tf.random` draws."""

from __future__ import annotations

from typing import Any

import numpy as np

from keraslike.tf import dtypes
from keraslike.tf import random as draws
from keraslike.tf.conversion import static
from keraslike.tf.experimental.numpy_values import array_of, result_type
from keraslike.tf.tensor import Tensor


def _shape(size: Any) -> Any:
    return () if size is None else np.atleast_1d(static(size)).tolist()


def seed(s: int) -> None:
    """Sets the seed of all later draws.

    >>> tf.experimental.numpy.random.seed(1)
    """
    if not isinstance(s, (int, np.integer)):
        raise ValueError(f"s must be an integer. Received: s={s!r}")
    draws.set_seed(int(s))


def standard_normal(size: Any = None) -> Tensor:
    """Draws of the normal distribution.

    >>> tf.experimental.numpy.random.standard_normal([2, 3]).shape
    TensorShape([2, 3])
    """
    return draws.normal(_shape(size), dtype=result_type(float))


def randn(*args: int) -> Tensor:
    """Draws of the normal distribution.

    >>> tf.experimental.numpy.random.randn(2, 3).dtype
    tf.float64
    """
    return standard_normal(args)


def uniform(low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Tensor:
    """Draws of the uniform distribution over `[low, high)`.

    >>> tf.experimental.numpy.random.uniform(1.0, 2.0, [3]).shape
    TensorShape([3])
    """
    kind = result_type(float)
    low, high = array_of(low, kind), array_of(high, kind)
    shape = np.broadcast_shapes(low.shape, high.shape) if size is None else _shape(size)
    return draws.uniform(shape, dtype=kind) * (high - low) + low


def random(size: Any = None) -> Tensor:
    """Draws of the uniform distribution over `[0, 1)`.

    >>> tf.experimental.numpy.random.random([3]).shape
    TensorShape([3])
    """
    return uniform(size=_shape(size))


def rand(*size: int) -> Tensor:
    """Draws of the uniform distribution over `[0, 1)`.

    >>> tf.experimental.numpy.random.rand(3, 2).shape
    TensorShape([3, 2])
    """
    return uniform(size=size)


def poisson(lam: Any = 1.0, size: Any = None) -> Tensor:
    """Draws of the Poisson distribution.

    >>> tf.experimental.numpy.random.poisson(2.0, [3]).dtype
    tf.int64
    """
    return draws.poisson(_shape(size), lam, dtypes.int64)


def randint(low: Any, high: Any = None, size: Any = None, dtype: Any = np.int64) -> Tensor:
    """Draws of the integers from `low` up to and without `high`, or of those below `low`.

    >>> bool(tf.reduce_all(tf.experimental.numpy.random.randint(3, size=[9]) < 3))
    True
    """
    kind = result_type(dtype)
    if kind not in (dtypes.int32, dtypes.int64):
        raise ValueError(f"dtype must be int32 or int64. Received: dtype={dtype!r}")
    first, end = (0, int(low)) if high is None else (int(low), int(high))
    return draws.uniform(_shape(size), first, end, kind)


__all__ = ["poisson", "rand", "randint", "randn", "random", "seed", "standard_normal", "uniform"]
__dir__ = __all__.copy
