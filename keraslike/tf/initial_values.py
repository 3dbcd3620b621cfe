"""The initializers of `tf` itself. Unlike Keras's, they return tensors and draw new numbers in each
call unless they have a seed, so that several variables can share one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keraslike import initializers
from keraslike.core.rng import make_seed
from keraslike.core.serialization import serialize
from keraslike.tf import dtypes, ops, random
from keraslike.tf.conversion import constant
from keraslike.tf.tensor import Tensor

_OPTIONS = ("partition_shape", "partition_offset")


class _Initializer:
    """What the initializers share: Keras's class of the same name is in their configs."""

    get_config: Any
    _values: Callable[[Any, Any], Tensor]  # from a shape and a dtype

    def __call__(self, shape: Any, dtype: Any = dtypes.float32, **kwargs: Any) -> Tensor:
        for name in kwargs:
            if name not in _OPTIONS:
                raise TypeError(f"Unexpected keyword argument '{name}'. Expected: {_OPTIONS}")
        return self._values(kwargs.get("partition_shape") or shape, dtype)

    def may_wait(self, shape: tuple[int, ...]) -> bool:
        return False

    def __serialize__(self) -> Any:
        kind = getattr(initializers, type(self).__name__)
        return serialize(kind.from_config(self.get_config()))


class _Random(_Initializer):
    seed: Any

    def _seed(self) -> list[int]:
        return [make_seed() if self.seed is None else self.seed, 0]


class Zeros(_Initializer, initializers.Zeros):
    """Zeros.

    >>> tf.zeros_initializer()((2,), tf.int32).numpy().tolist()
    [0, 0]
    """

    def _values(self, shape: Any, dtype: Any) -> Tensor:
        return ops.zeros(shape, dtype)


class Ones(_Initializer, initializers.Ones):
    """Ones.

    >>> tf.ones_initializer()((2,), tf.int32).numpy().tolist()
    [1, 1]
    """

    def _values(self, shape: Any, dtype: Any) -> Tensor:
        return ops.ones(shape, dtype)


class Constant(_Initializer, initializers.Constant):
    """The elements of `value` in the shape that is asked for, or a single one everywhere.

    The dtype is that of `value` unless one is given. Raises TypeError for another number of
    elements.

    >>> tf.constant_initializer([1, 2, 3, 4])((2, 2)).numpy().tolist()
    [[1, 2], [3, 4]]
    """

    def __init__(self, value: Any = 0, support_partition: bool = False):
        super().__init__(value)

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Tensor:
        return super().__call__(shape, dtype, **kwargs)

    def _values(self, shape: Any, dtype: Any) -> Tensor:
        return constant(self.value, dtype, shape)


class RandomNormal(_Random, initializers.RandomNormal):
    """Numbers from a normal distribution, with a seed those of
    `tf.random.stateless_normal(shape, [seed, 0])`. Raises ValueError for integers.

    >>> initializer = tf.random_normal_initializer()
    >>> bool(tf.reduce_all(initializer((2,)) == initializer((2,))))
    False
    """

    def _values(self, shape: Any, dtype: Any) -> Tensor:
        if not dtypes.as_dtype(dtype).is_floating:
            raise ValueError(f"dtype must be floating point. Received: {dtype}")
        return random.stateless_normal(shape, self._seed(), self.mean, self.stddev, dtype)


class RandomUniform(_Random, initializers.RandomUniform):
    """Numbers from `[minval, maxval)`, with a seed those of
    `tf.random.stateless_uniform(shape, [seed, 0])`.

    >>> tf.random_uniform_initializer(0, 9, seed=3)((4,), tf.int32).numpy().tolist()
    [0, 2, 7, 5]
    """

    def _values(self, shape: Any, dtype: Any) -> Tensor:
        return random.stateless_uniform(shape, self._seed(), self.minval, self.maxval, dtype)
