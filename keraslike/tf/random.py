"""`tf.random`: with a seed, the numbers of TensorFlow.

Traced functions draw from keraslike's streams.
"""

from __future__ import annotations

import enum
import functools
import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike import random
from keraslike.core import rng
from keraslike.core.context import trace_state_clean
from keraslike.tf import dtypes, philox, rejection
from keraslike.tf.conversion import _as_operand, convert_to_tensor, static
from keraslike.tf.drawing import bound, check_bounds, check_ends, sizes_of, stretched
from keraslike.tf.drawing import drawn as drawn_of
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.generators import (  # noqa: F401
    Generator,
    binomials,
    create_rng_state,
    get_global_generator,
    set_global_generator,
)
from keraslike.tf.index_shuffle import index_shuffle
from keraslike.tf.indexing import slices_at
from keraslike.tf.ops import broadcast_to, cast, reshape, stack
from keraslike.tf.samplers import (  # noqa: F401
    all_candidate_sampler,
    learned_unigram_candidate_sampler,
    log_uniform_candidate_sampler,
    uniform_candidate_sampler,
)
from keraslike.tf.table import maximum
from keraslike.tf.tensor import WIDE, Tensor, run, wrap


def set_seed(seed: int | None) -> None:
    """Sets the seed of operations that have no seed of their own.

    As in TensorFlow, it does not seed the random numbers of Python and numpy, nor the weights of
    layers, whose seeds come from Python's. `keras.utils.set_random_seed` seeds all of them.

    >>> tf.random.set_seed(1)
    >>> first = tf.random.uniform([2])
    >>> tf.random.set_seed(1)
    >>> bool(tf.reduce_all(tf.random.uniform([2]) == first))
    True
    """
    rng.set_operation_seed(None if seed is None else int(static(seed)))


def operation_seed(seed: Any) -> Any:
    """The seed of an operation as a `seed` argument of `keras.random`."""
    if seed is None or isinstance(seed, rng.SeedGenerator):
        return seed
    return rng.operation_key(int(static(seed)))


def _state(name: str, seed: Any, count: int, always: bool = True, gap: int = philox.GAP) -> Any:
    """The counter and key for an operation that draws this many numbers and continues with its next
    call.

    Args:
        always: whether to draw them, instead of returning `None`, if TensorFlow's are unknown.
        gap: the increment of the counter for each number.
    """
    if trace_state_clean() and (seed is None or isinstance(seed, int)):
        state = philox.state_now(name, seed, count, gap)
        if state is not None:
            return state
    if seed is None and (known := rng.next_operation()) is not None:
        return philox.state_in_run(*known, count, gap)
    if isinstance(seed, int) and not trace_state_clean():
        return philox.state_in_run(seed, rng.operation_key(seed)[1], count, gap)
    if not always:
        return None
    drawn = random.randint((2,), 0, 2**31 - 1, "int32", seed=operation_seed(seed))
    return philox.state_of(drawn)


def _draw(name: str, shape: Any, dtype: Any, seed: Any = None, **kwargs: Any) -> Tensor:
    wanted = dtypes.as_dtype(dtype)
    kwargs = {k: (bound if wanted.is_integer else static)(v) for k, v in kwargs.items()}
    sizes = sizes_of(shape)
    if wanted.is_integer:
        bounds = kwargs.pop("minval"), kwargs.pop("maxval")
        check_ends(bounds, wanted)
    elif name == "uniform":
        low, high = kwargs["minval"], kwargs["maxval"]
        kwargs["maxval"] = high = 1.0 if high is None else high
    kind = "integers" if wanted.is_integer else name
    # JAX's own draws of 64 bits cannot be lowered outside of its 64-bit mode.
    state = _state(f"{kind} {wanted.name}", seed, math.prod(sizes), always=wanted.size == 8)
    if state is not None:
        rest = bounds if wanted.is_integer else (low, high) if name == "uniform" else ()
        with WIDE(True):
            return Tensor(drawn_of(state, kind, sizes, wanted.name, *rest))
    kwargs["seed"] = operation_seed(seed)
    with WIDE(True):
        if wanted.is_integer:
            low, high = bounds
            return Tensor(random.randint(sizes, low, high, wanted.name, **kwargs))
        return Tensor(getattr(random, name)(sizes, dtype=wanted.name, **kwargs))


def normal(
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = dtypes.float32,
    seed: Any = None,
    name: Any = None,
) -> Tensor:
    """Draws of a normal distribution.

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

    >>> bool(tf.reduce_max(tf.abs(tf.random.truncated_normal([9]))) <= 2)
    True
    """
    return _located("truncated_normal", shape, mean, stddev, dtype, seed)


def _located(name: str, shape: Any, mean: Any, stddev: Any, dtype: Any, seed: Any) -> Tensor:
    """Normal draws, whose mean and deviation may be tensors that a tape follows."""
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

    >>> bool(tf.reduce_max(tf.random.uniform([9], maxval=2.0)) < 2)
    True
    """
    if isinstance(seed, Stateless):
        return stateless_uniform(shape, seed.seed, minval, maxval, dtype)
    if not dtypes.as_dtype(dtype).is_integer:
        draw = functools.partial(_draw, "uniform", shape, dtype, minval=0, maxval=1, seed=seed)
        if (found := stretched(draw, minval, maxval, dtype)) is not None:
            return found
    elif maxval is not None:
        check_bounds(minval, maxval)
    return _draw("uniform", shape, dtype, minval=minval, maxval=maxval, seed=seed)


def gamma(
    shape: Any,
    alpha: Any,
    beta: Any = None,
    dtype: Any = dtypes.float32,
    seed: Any = None,
    name: str | None = None,
) -> Tensor:
    """Draws of a gamma distribution.

    >>> tf.random.gamma([2, 3], 1.0).shape
    TensorShape([2, 3])
    """
    alpha, dtype = _as_operand(alpha, dtype), dtypes.as_dtype(dtype)
    shape = np.atleast_1d(static(shape)).tolist()
    beta = 1.0 if beta is None else beta
    shares = np.broadcast_shapes(alpha.shape, _as_operand(beta, dtype).shape)
    alpha = broadcast_to(cast(alpha, dtype), shares)
    each = math.prod(shape)
    state = _state(f"gamma {dtype.name}", seed, each * math.prod(shares))
    drawn = run(rejection.gammas, (state, alpha), (each,), constant=(0,), lasting=False)
    return _above_zero(reshape(drawn, (*shape, *shares)), beta)


def _above_zero(drawn: Any, beta: Any) -> Tensor:
    return maximum(np.finfo(drawn.dtype.as_numpy_dtype).tiny, drawn / beta)


def categorical(
    logits: Any, num_samples: Any, dtype: Any = None, seed: Any = None, name: Any = None
) -> Tensor:
    """Random class numbers for each row of logits.

    >>> tf.random.categorical([[0.0, 0.0]], 5).shape
    TensorShape([1, 5])
    """
    logits, (count,) = convert_to_tensor(logits), sizes_of(num_samples)
    kind = dtypes.int64 if dtype is None else dtype
    total = math.prod(logits.shape[:1]) * count
    # The part of the counter that TensorFlow reserves for it.
    wide = math.prod(logits.shape[:1]) * 2 * (count + -count % 4)
    state = _state("categorical", seed, wide, always=False)
    if state is not None:
        with WIDE(True):
            found = philox.classes(philox.on_host(state, total), logits._value, count)
        return cast(Tensor(found), kind)
    return cast(wrap(random.categorical(logits._value, count, seed=operation_seed(seed))), kind)


def shuffle(value: Any, seed: Any = None, name: Any = None) -> Tensor:
    """The slices along the first axis in random order.

    >>> tf.sort(tf.random.shuffle([1, 2, 3])).numpy().tolist()
    [1, 2, 3]
    """
    value = _as_operand(value)
    count = value.shape[0] if value.ndim else 1
    state = _state("shuffle", seed, -(-max(count - 1, 0) // 4), always=False, gap=1)
    if not value.ndim:
        return value
    if state is not None:
        return slices_at(value, philox.order(state, count).astype(np.int32))
    order = random.shuffle(np.arange(count, dtype=np.int32), seed=operation_seed(seed))
    return slices_at(value, wrap(order))


def stateless_shuffle(value: Any, seed: Any, alg: Any = "auto_select", name: Any = None) -> Tensor:
    """The slices along the first axis in an order determined by a seed of two numbers.

    >>> tf.random.experimental.stateless_shuffle([1, 2, 3], [8, 9]).numpy().tolist()
    [3, 1, 2]
    """
    value, seed = _as_operand(value), _as_operand(seed)
    if tuple(seed.shape) != (2,):
        raise InvalidArgumentError(f"seed must have shape (2,). Received: {tuple(seed.shape)}")
    return slices_at(value, run(_order_of, (seed,), (value.shape[0],))) if value.ndim else value


def _order_of(seed: Any, count: int) -> Any:
    with WIDE(True):
        return philox.order(philox.state_of(seed), count).astype(np.int32)


class Stateless:
    """A seed of two numbers, which determines all draws."""

    def __init__(self, seed: Any):
        self.seed = _as_operand(seed)


def _from_seed(kind: str, seed: Any, shape: Any, dtype: Any, *rest: Any) -> Tensor:
    wanted = dtypes.as_dtype(dtype)
    numbers = tuple(map(bound if kind == "integers" else static, rest))
    with WIDE(True):
        if any(isinstance(number, jax.core.Tracer) for number in numbers):
            ends = map(_as_operand, rest)
            return run(_between, (_as_operand(seed), *ends), (kind, sizes_of(shape), wanted.name))
        return run(_of_seed, (_as_operand(seed),), (kind, sizes_of(shape), wanted.name, *numbers))


def _of_seed(seed: Any, kind: str, shape: Any, dtype: str, *rest: Any) -> Any:
    with WIDE(True):
        return drawn_of(philox.state_of(seed), kind, shape, dtype, *rest)


def _between(seed: Any, low: Any, high: Any, kind: str, shape: Any, dtype: str) -> Any:
    return _of_seed(seed, kind, shape, dtype, low, high)


def stateless_uniform(
    shape: Any,
    seed: Any,
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = dtypes.float32,
    name: Any = None,
    alg: Any = "auto_select",
) -> Tensor:
    """`uniform`, with draws that a seed of two numbers determines.

    >>> first, again = (tf.random.stateless_uniform([2], seed=[1, 2]) for _ in range(2))
    >>> bool(tf.reduce_all(first == again))
    True
    """
    if dtypes.as_dtype(dtype).is_integer:
        check_ends((minval, maxval), dtypes.as_dtype(dtype), whole=True)
        if maxval is not None:
            check_bounds(minval, maxval)
        return _from_seed("integers", seed, shape, dtype, minval, maxval)
    draw = functools.partial(_from_seed, "uniform", seed, shape, dtype, 0, 1)
    if (found := stretched(draw, minval, maxval, dtype)) is not None:
        return found
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
    """`normal`, with draws that a seed of two numbers determines.

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
    """`truncated_normal`, with draws that a seed of two numbers determines.

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
    """`gamma`, with draws that a seed of two numbers determines.

    >>> tf.random.stateless_gamma([2], seed=[1, 2], alpha=1.0).shape
    TensorShape([2])
    """
    alpha, sizes = cast(_as_operand(alpha, dtype), dtype), sizes_of(shape)
    if beta is not None:
        beta = cast(_as_operand(beta, dtype), dtype)
        alpha = broadcast_to(alpha, np.broadcast_shapes(alpha.shape, beta.shape))
    each = _each("stateless_gamma", sizes, alpha.shape)
    drawn = run(_stateless_gammas, (_as_operand(seed), alpha), (each,), constant=(0,))
    return _above_zero(reshape(drawn, sizes), 1.0 if beta is None else beta)


def _stateless_gammas(seed: Any, alpha: Any, each: int) -> Any:
    return rejection.gammas(philox.state_of(seed), alpha, each)


def _each(name: str, sizes: Sequence[int], own: Sequence[int]) -> int:
    """The number of draws for each parameter, in a shape that ends in the parameters' shape."""
    if tuple(sizes[len(sizes) - len(own) :]) != tuple(own):
        raise InvalidArgumentError(
            f"tf.random.{name}: shape must end in the shape of the parameters, {tuple(own)}. "
            f"Received: shape={tuple(sizes)}"
        )
    return math.prod(sizes[: len(sizes) - len(own)])


def stateless_poisson(
    shape: Any, seed: Any, lam: Any, dtype: Any = dtypes.int32, name: Any = None
) -> Tensor:
    """Draws of a Poisson distribution, which a seed of two numbers determines.

    >>> tf.random.stateless_poisson([2], seed=[1, 2], lam=2.0).shape
    TensorShape([2])
    """
    rates, sizes = _as_operand(lam), sizes_of(shape)
    each = _each("stateless_poisson", sizes, rates.shape)
    kind = dtypes.as_dtype(dtype).as_numpy_dtype
    return reshape(run(_stateless_poissons, (_as_operand(seed), rates), (each, kind)), sizes)


def _stateless_poissons(seed: Any, rates: Any, each: int, dtype: Any) -> Any:
    return rejection.poissons(philox.state_of(seed), rates, each, dtype)


def stateless_binomial(
    shape: Any,
    seed: Any,
    counts: Any,
    probs: Any,
    output_dtype: Any = dtypes.int32,
    name: Any = None,
) -> Tensor:
    """Draws from a binomial distribution, determined by a seed of two numbers: the number of
    successes in `counts` trials with the probability `probs`.

    >>> tf.random.stateless_binomial([2], seed=[1, 2], counts=5.0, probs=0.5).shape
    TensorShape([2])
    """
    given = tuple(map(_as_operand, (seed, cast(counts, "float32"), cast(probs, "float32"))))
    kind = dtypes.as_dtype(output_dtype)
    return cast(run(binomials, given, (sizes_of(shape),), constant=(0, 1, 2)), kind)


def stateless_categorical(
    logits: Any, num_samples: Any, seed: Any, dtype: Any = dtypes.int64, name: Any = None
) -> Tensor:
    """`categorical`, with draws that a seed of two numbers determines.

    >>> tf.random.stateless_categorical([[0.0, 0.0]], 5, seed=[1, 2]).shape
    TensorShape([1, 5])
    """
    found = run(_classes, (_as_operand(seed), _as_operand(logits)), (static(num_samples),))
    return cast(found, dtype)


def _classes(seed: Any, logits: Any, count: int) -> Any:
    with WIDE(True):
        state = philox.on_host(philox.state_of(seed), logits.shape[0] * count)
        return philox.classes(state, jnp.asarray(logits), count)


def split(seed: Any, num: int = 2, alg: Any = "auto_select") -> Tensor:
    """New seeds derived from one, in rows.

    >>> tf.random.split([1, 2], 3).shape
    TensorShape([3, 2])
    """
    seed = _as_operand(seed)
    return _from_seed("integers", seed, (static(num), 2), seed.dtype, None, None)


def fold_in(seed: Any, data: Any, alg: Any = "auto_select") -> Tensor:
    """A new seed derived from one and a number.

    >>> tf.random.fold_in([1, 2], 3).shape
    TensorShape([2])
    """
    data = _as_operand(data)
    return stack([_from_seed("integers", seed, (), data.dtype, None, None), data])


def poisson(
    shape: Any, lam: Any, dtype: Any = dtypes.float32, seed: Any = None, name: Any = None
) -> Tensor:
    """Draws of a Poisson distribution, with `shape` draws for each rate in `lam`.

    >>> tf.random.poisson([3], 2.0).shape
    TensorShape([3])
    """
    rates, kind = np.asarray(static(lam), "float32"), dtypes.as_dtype(dtype)
    shape = np.atleast_1d(static(shape)).tolist()
    each = math.prod(shape)
    state = _state(f"poisson {kind.name}", seed, each * rates.size)
    drawn = rejection.poissons(state, rates, each, kind.dtype)
    return Tensor(drawn.reshape(*shape, *rates.shape))


class Algorithm(enum.IntEnum):
    """The kinds of generators, of which `Generator` has the first.

    >>> tf.random.Algorithm.PHILOX.value
    1
    """

    PHILOX, THREEFRY, AUTO_SELECT = 1, 2, 3


experimental = SimpleNamespace(
    Algorithm=Algorithm,
    Generator=Generator,
    create_rng_state=create_rng_state,
    get_global_generator=get_global_generator,
    index_shuffle=index_shuffle,
    set_global_generator=set_global_generator,
    stateless_fold_in=fold_in,
    stateless_shuffle=stateless_shuffle,
    stateless_split=split,
)

__all__ = [
    *("Algorithm", "all_candidate_sampler", "experimental", "log_uniform_candidate_sampler"),
    *("learned_unigram_candidate_sampler", "uniform_candidate_sampler"),
    *(
        "Generator",
        "categorical",
        "create_rng_state",
        "fold_in",
        "gamma",
        "get_global_generator",
        "poisson",
    ),
    "stateless_binomial",
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
