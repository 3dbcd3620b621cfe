"""`tf.random`, on keraslike's random streams: what it draws differs from what TensorFlow draws."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike import random
from keraslike.core import rng
from keraslike.tf import dtypes, effects
from keraslike.tf.conversion import _as_operand, static
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.indexing import gather
from keraslike.tf.ops import cast
from keraslike.tf.tensor import WIDE, Tensor, raw, run, wrap


def set_seed(seed: int) -> None:
    """Begins the global random stream anew: the same numbers follow each time.

    >>> from keraslike import tf
    >>> tf.random.set_seed(1)
    >>> first = tf.random.uniform([2])
    >>> tf.random.set_seed(1)
    >>> bool(tf.reduce_all(tf.random.uniform([2]) == first))
    True
    """
    rng.set_random_seed(seed)


def operation_seed(seed: Any) -> Any:
    """What a function of `keras.random` takes for the seed of an operation."""
    if seed is None or isinstance(seed, rng.SeedGenerator):
        return seed
    return rng.operation_key(int(static(seed)))


def _draw(name: str, shape: Any, dtype: Any, seed: Any = None, **kwargs: Any) -> Tensor:
    wanted = dtypes.as_dtype(dtype)
    kwargs = {k: static(v) for k, v in kwargs.items()}
    kwargs["seed"] = operation_seed(seed)
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
    """Draws of a normal distribution.

    >>> from keraslike import tf
    >>> tf.random.normal([2, 3]).shape
    TensorShape([2, 3])
    """
    return _located("normal", shape, mean, stddev, dtype, seed)


def truncated_normal(
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = dtypes.float32,
    seed: Any = None,
    name: Any = None,
) -> Tensor:
    """Draws of a normal distribution within two standard deviations.

    >>> from keraslike import tf
    >>> bool(tf.reduce_max(tf.abs(tf.random.truncated_normal([9]))) <= 2)
    True
    """
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
    """Draws of a uniform distribution over `[minval, maxval)`.

    >>> from keraslike import tf
    >>> bool(tf.reduce_max(tf.random.uniform([9], maxval=2.0)) < 2)
    True
    """
    if isinstance(seed, Stateless):
        return stateless_uniform(shape, seed.seed, minval, maxval, dtype)
    if dtypes.as_dtype(dtype).is_integer and maxval is not None:
        _check_bounds(minval, maxval)
    return _draw("uniform", shape, dtype, minval=minval, maxval=maxval, seed=seed)


def _check_bounds(minval: Any, maxval: Any) -> None:
    """Raises InvalidArgumentError where no integer is at least `minval` and below `maxval`."""

    def check(low: Any, high: Any) -> None:
        if (np.asarray(low) >= np.asarray(high)).any():
            raise InvalidArgumentError(f"Need minval < maxval, got {low} >= {high}")

    bounds = [raw(_as_operand(bound)) for bound in (minval, maxval)]
    if not any(isinstance(bound, jax.core.Tracer) for bound in bounds):
        check(*bounds)
    else:
        effects.noted(check, bounds)


def gamma(
    shape: Any,
    alpha: Any,
    beta: Any = None,
    dtype: Any = dtypes.float32,
    seed: Any = None,
    name: str | None = None,
) -> Tensor:
    """Draws of a gamma distribution.

    >>> from keraslike import tf
    >>> tf.random.gamma([2, 3], 1.0).shape
    TensorShape([2, 3])
    """
    drawn = _draw("gamma", shape, dtype, alpha=float(static(alpha)), seed=seed)
    return drawn if beta is None else drawn / beta


def categorical(
    logits: Any, num_samples: Any, dtype: Any = None, seed: Any = None, name: Any = None
) -> Tensor:
    """Numbers of classes, drawn for each row of logits.

    >>> from keraslike import tf
    >>> tf.random.categorical([[0.0, 0.0]], 5).shape
    TensorShape([1, 5])
    """
    drawn = random.categorical(
        _as_operand(logits)._value, static(num_samples), seed=operation_seed(seed)
    )
    return cast(wrap(drawn), dtypes.int64 if dtype is None else dtype)


def shuffle(value: Any, seed: Any = None, name: Any = None) -> Tensor:
    """The slices along the first axis in random order.

    >>> from keraslike import tf
    >>> tf.sort(tf.random.shuffle([1, 2, 3])).numpy().tolist()
    [1, 2, 3]
    """
    value = _as_operand(value)
    order = random.shuffle(np.arange(value.shape[0], dtype=np.int32), seed=operation_seed(seed))
    return gather(value, wrap(order))


class Stateless:
    """A seed of two numbers, from which all draws follow."""

    def __init__(self, seed: Any):
        self.seed = _as_operand(seed)


def _key(seed: Any) -> Any:
    return jax.random.wrap_key_data(jnp.asarray(seed).astype("uint32"), impl="threefry2x32")


def _from_seed(kind: str, seed: Any, shape: Any, dtype: Any, *rest: Any) -> Tensor:
    wanted = dtypes.as_dtype(dtype)
    with WIDE(True):
        numbers = tuple(map(static, rest))
        return run(_drawn, (_as_operand(seed),), (kind, static(shape), wanted.name, *numbers))


def _drawn(seed: Any, kind: str, shape: Any, dtype: str, *rest: Any) -> Any:
    key, shape = _key(seed), (shape,) if isinstance(shape, int) else shape
    with WIDE(True):
        if kind == "randint":
            return jax.random.randint(key, shape, rest[0], rest[1], dtype)
        if kind == "poisson":
            return jax.random.poisson(key, jnp.asarray(rest[0]), shape).astype(dtype)
        if kind == "uniform":
            return jax.random.uniform(key, shape, dtype, *rest)
        if kind == "gamma":
            return jax.random.gamma(key, jnp.asarray(rest[0], dtype), shape, dtype)
        if kind == "truncated_normal":
            return jax.random.truncated_normal(key, -2.0, 2.0, shape, dtype)
        return jax.random.normal(key, shape, dtype)


def stateless_uniform(
    shape: Any,
    seed: Any,
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = dtypes.float32,
    name: Any = None,
    alg: Any = "auto_select",
) -> Tensor:
    """`uniform`, whose draws follow from a seed of two numbers.

    >>> from keraslike import tf
    >>> first, again = (tf.random.stateless_uniform([2], seed=[1, 2]) for _ in range(2))
    >>> bool(tf.reduce_all(first == again))
    True
    """
    if dtypes.as_dtype(dtype).is_integer:
        if maxval is None:
            raise ValueError(f"maxval must be given for dtype={dtypes.as_dtype(dtype).name}.")
        _check_bounds(minval, maxval)
        return _from_seed("randint", seed, shape, dtype, minval, maxval)
    return _from_seed("uniform", seed, shape, dtype, minval, 1.0 if maxval is None else maxval)


def _scaled(kind: str, seed: Any, shape: Any, dtype: Any, mean: Any, stddev: Any) -> Tensor:
    return _from_seed(kind, seed, shape, dtype) * cast(stddev, dtype) + cast(mean, dtype)


def stateless_normal(
    shape: Any,
    seed: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = dtypes.float32,
    name: Any = None,
    alg: Any = "auto_select",
) -> Tensor:
    """`normal`, whose draws follow from a seed of two numbers.

    >>> from keraslike import tf
    >>> tf.random.stateless_normal([2], seed=[1, 2]).shape
    TensorShape([2])
    """
    return _scaled("normal", seed, shape, dtype, mean, stddev)


def stateless_truncated_normal(
    shape: Any,
    seed: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = dtypes.float32,
    name: Any = None,
    alg: Any = "auto_select",
) -> Tensor:
    """`truncated_normal`, whose draws follow from a seed of two numbers.

    >>> from keraslike import tf
    >>> bool(tf.reduce_max(tf.abs(tf.random.stateless_truncated_normal([9], seed=[1, 2]))) <= 2)
    True
    """
    return _scaled("truncated_normal", seed, shape, dtype, mean, stddev)


def stateless_gamma(
    shape: Any,
    seed: Any,
    alpha: Any,
    beta: Any = None,
    dtype: Any = dtypes.float32,
    name: Any = None,
) -> Tensor:
    """`gamma`, whose draws follow from a seed of two numbers.

    >>> from keraslike import tf
    >>> tf.random.stateless_gamma([2], seed=[1, 2], alpha=1.0).shape
    TensorShape([2])
    """
    drawn = _from_seed("gamma", seed, shape, dtype, alpha)
    return drawn if beta is None else drawn / beta


def stateless_poisson(
    shape: Any, seed: Any, lam: Any, dtype: Any = dtypes.int32, name: Any = None
) -> Tensor:
    """Draws of a Poisson distribution that follow from a seed of two numbers.

    >>> from keraslike import tf
    >>> tf.random.stateless_poisson([2], seed=[1, 2], lam=2.0).shape
    TensorShape([2])
    """
    return _from_seed("poisson", seed, shape, dtype, lam)


def stateless_categorical(
    logits: Any, num_samples: Any, seed: Any, dtype: Any = dtypes.int64, name: Any = None
) -> Tensor:
    """`categorical`, whose draws follow from a seed of two numbers.

    >>> from keraslike import tf
    >>> tf.random.stateless_categorical([[0.0, 0.0]], 5, seed=[1, 2]).shape
    TensorShape([1, 5])
    """
    found = run(_classes, (_as_operand(seed), _as_operand(logits)), (static(num_samples),))
    return cast(found, dtype)


def _classes(seed: Any, logits: Any, count: int) -> Any:
    drawn = jax.random.categorical(_key(seed), logits, -1, shape=(count, logits.shape[0]))
    return drawn.T.astype("int32")


def split(seed: Any, num: int = 2, alg: Any = "auto_select") -> Tensor:
    """Seeds that follow from one, in rows.

    >>> from keraslike import tf
    >>> tf.random.split([1, 2], 3).shape
    TensorShape([3, 2])
    """
    return run(_split, (_as_operand(seed),), (static(num),))


def _split(seed: Any, num: int) -> Any:
    return jax.random.key_data(jax.random.split(_key(seed), num)).astype("int32")


def fold_in(seed: Any, data: Any, alg: Any = "auto_select") -> Tensor:
    """The seed that follows from one and a number.

    >>> from keraslike import tf
    >>> tf.random.fold_in([1, 2], 3).shape
    TensorShape([2])
    """
    return run(_folded, (_as_operand(seed), _as_operand(data)))


def _folded(seed: Any, data: Any) -> Any:
    return jax.random.key_data(jax.random.fold_in(_key(seed), data)).astype("int32")


def poisson(
    shape: Any, lam: Any, dtype: Any = dtypes.float32, seed: Any = None, name: Any = None
) -> Tensor:
    """Draws of a Poisson distribution, of `shape` for each rate in `lam`.

    >>> from keraslike import tf
    >>> tf.random.poisson([3], 2.0).shape
    TensorShape([3])
    """
    rates, shape = np.asarray(static(lam), "float32"), tuple(np.atleast_1d(static(shape)).tolist())
    state = random.randint((2,), 0, 2**31 - 1, "int32", seed=operation_seed(seed))
    rates = tuple(rates.ravel().tolist()) if rates.ndim else float(rates)
    more = (len(rates),) if isinstance(rates, tuple) else ()
    return _from_seed("poisson", state, (*shape, *more), dtype, rates)


_global: list[Any] = []


def get_global_generator() -> Generator:
    """The generator of the program, which is made with a random seed at first.

    >>> from keraslike import tf
    >>> tf.random.get_global_generator().normal([2]).shape
    TensorShape([2])
    """
    if not _global:
        _global.append(Generator())
    return _global[0]


def set_global_generator(generator: Generator) -> None:
    """Makes a generator that of the program.

    >>> from keraslike import tf
    >>> tf.random.set_global_generator(tf.random.Generator.from_seed(1))
    >>> tf.random.get_global_generator().uniform([2]).shape
    TensorShape([2])
    """
    _global[:] = [generator]


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
    *("Generator", "categorical", "fold_in", "gamma", "get_global_generator", "poisson"),
    *("set_global_generator", "split", "stateless_categorical", "stateless_gamma"),
    *("stateless_normal", "stateless_poisson", "stateless_truncated_normal"),
    "stateless_uniform",
    "normal",
    "set_seed",
    "shuffle",
    "truncated_normal",
    "uniform",
]
__dir__ = __all__.copy
