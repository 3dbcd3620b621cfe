"""`tf.random`, on keraslike's random streams: what it draws differs from what TensorFlow draws."""

from __future__ import annotations

from typing import Any

import numpy as np

from keraslike import random
from keraslike.core import rng
from keraslike.tf import dtypes
from keraslike.tf.ops import cast, gather
from keraslike.tf.tensor import WIDE, Tensor, _as_operand, static, wrap


def set_seed(seed: int) -> None:
    """Begins the global random stream anew: the same numbers follow each time."""
    rng.set_random_seed(seed)


def _draw(name: str, shape: Any, dtype: Any, **kwargs: Any) -> Tensor:
    wanted = dtypes.as_dtype(dtype)
    kwargs = {k: static(v) for k, v in kwargs.items()}
    if wanted.is_integer:  # from 0 where no end is given, as TensorFlow wants one
        low, high = kwargs.pop("minval"), kwargs.pop("maxval")
        if high is None:
            raise ValueError(f"maxval must be given for dtype={wanted.name}.")
        with WIDE(True):
            return Tensor(random.randint(static(shape), int(low), int(high), wanted.name, **kwargs))
    if kwargs.get("maxval", 0) is None:
        kwargs["maxval"] = 1.0
    with WIDE(True):
        return Tensor(getattr(random, name)(static(shape), dtype=wanted.name, **kwargs))


def normal(
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = dtypes.float32,
    seed: Any = None,
    name: Any = None,
) -> Tensor:
    """Draws of a normal distribution."""
    return _located("normal", shape, mean, stddev, dtype, seed)


def truncated_normal(
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = dtypes.float32,
    seed: Any = None,
    name: Any = None,
) -> Tensor:
    """Draws of a normal distribution within two standard deviations."""
    return _located("truncated_normal", shape, mean, stddev, dtype, seed)


def _located(name: str, shape: Any, mean: Any, stddev: Any, dtype: Any, seed: Any) -> Tensor:
    """Mean and deviation may be tensors that are computed; a tape sees them."""
    drawn = _draw(name, shape, dtype, seed=seed)
    scaled = drawn if _is_number(stddev, 1) else drawn * cast(stddev, drawn.dtype)
    return scaled if _is_number(mean, 0) else scaled + cast(mean, drawn.dtype)


def _is_number(value: Any, number: float) -> bool:
    return isinstance(value, (int, float)) and value == number


def uniform(
    shape: Any,
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = dtypes.float32,
    seed: Any = None,
    name: Any = None,
) -> Tensor:
    """Draws of a uniform distribution over `[minval, maxval)`."""
    return _draw("uniform", shape, dtype, minval=minval, maxval=maxval, seed=seed)


def gamma(
    shape: Any, alpha: Any, beta: Any = None, dtype: Any = dtypes.float32, seed: Any = None
) -> Tensor:
    """Draws of a gamma distribution."""
    drawn = _draw("gamma", shape, dtype, alpha=float(static(alpha)), seed=seed)
    return drawn if beta is None else drawn / beta


def categorical(
    logits: Any, num_samples: Any, dtype: Any = dtypes.int64, seed: Any = None, name: Any = None
) -> Tensor:
    """Numbers of classes, drawn for each row of logits."""
    drawn = random.categorical(_as_operand(logits)._value, static(num_samples), seed=seed)
    return cast(wrap(drawn), dtype)


def shuffle(value: Any, seed: Any = None, name: Any = None) -> Tensor:
    """The slices along the first axis in random order."""
    value = _as_operand(value)
    order = random.shuffle(np.arange(value.shape[0], dtype=np.int32), seed=seed)
    return gather(value, wrap(order))


class Generator:
    """A random stream of its own.

    >>> first, again = Generator.from_seed(3), Generator.from_seed(3)
    >>> bool(first.normal([2])[0] == again.normal([2])[0])
    True
    """

    def __init__(self, seed: int | None = None):
        self._stream = rng.SeedGenerator(seed)

    @classmethod
    def from_seed(cls, seed: int, alg: Any = None) -> Generator:
        return cls(seed)

    @classmethod
    def from_non_deterministic_state(cls, alg: Any = None) -> Generator:
        return cls()

    def normal(self, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = dtypes.float32):
        """Draws of a normal distribution."""
        return normal(shape, mean, stddev, dtype, self._stream)

    def truncated_normal(
        self, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = dtypes.float32
    ):
        """Draws of a normal distribution within two standard deviations."""
        return truncated_normal(shape, mean, stddev, dtype, self._stream)

    def uniform(self, shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = dtypes.float32):
        """Draws of a uniform distribution over `[minval, maxval)`."""
        return uniform(shape, minval, maxval, dtype, self._stream)


__all__ = [
    "Generator",
    "categorical",
    "gamma",
    "normal",
    "set_seed",
    "shuffle",
    "truncated_normal",
    "uniform",
]


def __dir__() -> list[str]:
    return list(__all__)
