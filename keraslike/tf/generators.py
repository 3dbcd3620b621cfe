"""`tf.random.Generator`: streams of random numbers, and the program's global one."""

from __future__ import annotations

import functools
import math
import secrets
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import base
from keraslike.tf import dtypes, philox
from keraslike.tf.conversion import static
from keraslike.tf.drawing import bound, check_bounds, check_ends, drawn, sizes_of, stretched
from keraslike.tf.ops import cast, stack
from keraslike.tf.tensor import WIDE, Tensor, run
from keraslike.tf.variables import Variable

_global: list[Any] = []


def _nowhere() -> tuple[Any, Any]:
    return None, None


# The strategy whose scope is entered, and the number of the replica for which a function runs.
# `distribute` sets this.
place: Callable[[], tuple[Any, Any]] = _nowhere


def get_global_generator() -> Generator:
    """The global generator of the program; the first call creates it with a random seed.

    >>> tf.random.get_global_generator().normal([2]).shape
    TensorShape([2])
    """
    if not _global:
        _global.append(Generator.from_non_deterministic_state())
    return _global[0]


def set_global_generator(generator: Generator | None) -> None:
    """Makes a generator the global one of the program; after `None`, the next call of
    `get_global_generator` creates one.

    >>> tf.random.set_global_generator(tf.random.Generator.from_seed(1))
    >>> tf.random.get_global_generator().uniform([2]).shape
    TensorShape([2])
    """
    _global[:] = [] if generator is None else [generator]


class Generator(base.Object):
    """An independent random stream, which gives the same numbers for a seed as TensorFlow.

    Args:
        state: two numbers of the counter, then the key, int64; or a variable with them, which the
            generator then changes.
        alg: only `"philox"`, which `"auto_select"` stands for.

    >>> Generator.from_seed(7).uniform([2]).numpy().round(4)
    array([0.3993, 0.7841], dtype=float32)
    """

    def __init__(self, copy_from: Generator | None = None, state: Any = None, alg: Any = None):
        if getattr(alg, "value", alg) not in (None, 1, 3, "philox", "auto_select"):
            raise ValueError(f"tf.random.Generator: alg must be 'philox'. Received: {alg!r}")
        if (copy_from is None) == (state is None):
            raise ValueError("tf.random.Generator takes either copy_from or state.")
        # In the replicas of the strategy in whose scope it is made, it gives numbers of their own.
        self._in_strategy = place()[0] is not None
        if isinstance(state, Variable):
            self._state_var = state
            return
        given = copy_from.state if copy_from is not None else state
        value = np.asarray(static(given), np.int64).reshape(-1)
        if value.shape != (3,):
            raise ValueError(f"state must have 3 numbers. Received shape {value.shape}.")
        how = "only_first_replica" if self._in_strategy else None
        self._state_var = Variable(value, trainable=False, name="StateVar", aggregation=how)

    @classmethod
    def from_seed(cls, seed: int, alg: Any = None) -> Generator:
        """A generator for a seed."""
        return cls(state=create_rng_state(seed), alg=alg)

    @classmethod
    def from_state(cls, state: Any, alg: Any = None) -> Generator:
        """A generator with the given state."""
        return cls(state=state, alg=alg)

    @classmethod
    def from_key_counter(cls, key: Any, counter: Any, alg: Any = None) -> Generator:
        """A generator for a key and a counter of two numbers."""
        return cls(state=[*static(counter), static(key)], alg=alg)

    @classmethod
    def from_non_deterministic_state(cls, alg: Any = None) -> Generator:
        """A generator with a random state."""
        return cls(state=[*(secrets.randbits(63) for _ in range(2)), 0], alg=alg)

    @property
    def algorithm(self) -> int:
        return 1

    @property
    def state(self) -> Variable:
        """The two numbers of the counter, then the key."""
        return self._state_var

    @property
    def key(self) -> Tensor:
        return self._state_var[2]

    def reset(self, state: Any) -> None:
        """Sets the state."""
        self._state_var.assign(np.asarray(static(state), np.int64))

    def reset_from_seed(self, seed: int) -> None:
        """Sets the state to that of a seed."""
        self.reset(create_rng_state(seed))

    def reset_from_key_counter(self, key: Any, counter: Any) -> None:
        """Sets the state to a key and a counter of two numbers."""
        self.reset([*static(counter), static(key)])

    def skip(self, delta: Any) -> Tensor:
        """Returns the state, then advances it as if `delta` numbers had been drawn."""
        before = self._state_var.value()
        with WIDE(True):
            new = philox.after(before._value.astype(np.uint64), static(delta))
            self._state_var.assign(Tensor(new.astype(np.int64)))
        return before

    def _draws(self, kind: str, shape: Any, dtype: Any, *rest: Any) -> Tensor:
        sizes, wanted = sizes_of(shape), dtypes.as_dtype(dtype)
        before = self._of_replica(self.skip(math.prod(sizes)))
        with WIDE(True):
            known = map(bound if kind == "integers" else static, rest)
            return Tensor(drawn(before._value, kind, sizes, wanted.name, *known))

    def _of_replica(self, state: Tensor) -> Tensor:
        """The state, with a key that depends on the number of the replica."""
        replica = place()[1] if self._in_strategy else None
        if replica is None:
            return state
        with WIDE(True):
            number = cast(replica, dtypes.int64)
            counter = stack([number, cast(0, dtypes.int64), state[2]])
            key = Tensor(drawn(counter._value, "integers", (1,), "int64", None, None))
            return stack([state[0], state[1], key[0]])

    def _scaled(self, kind: str, shape: Any, mean: Any, stddev: Any, dtype: Any) -> Tensor:
        return self._draws(kind, shape, dtype) * cast(stddev, dtype) + cast(mean, dtype)

    def normal(
        self,
        shape: Any,
        mean: Any = 0.0,
        stddev: Any = 1.0,
        dtype: Any = dtypes.float32,
        name: Any = None,
    ) -> Tensor:
        """Draws from a normal distribution."""
        return self._scaled("normal", shape, mean, stddev, dtype)

    def truncated_normal(
        self,
        shape: Any,
        mean: Any = 0.0,
        stddev: Any = 1.0,
        dtype: Any = dtypes.float32,
        name: Any = None,
    ) -> Tensor:
        """Draws from a normal distribution, truncated at two standard deviations."""
        return self._scaled("truncated_normal", shape, mean, stddev, dtype)

    def uniform(
        self,
        shape: Any,
        minval: Any = 0,
        maxval: Any = None,
        dtype: Any = dtypes.float32,
        name: Any = None,
    ) -> Tensor:
        """Draws from the uniform distribution over `[minval, maxval)`; integers from all values of
        the dtype if both are `None`."""
        wanted = dtypes.as_dtype(dtype)
        if wanted.is_integer:
            check_ends((minval, maxval), wanted, whole=True)
            if minval is not None:
                check_bounds(minval, maxval)
            return self._draws("integers", shape, dtype, minval, maxval)
        draw = functools.partial(self._draws, "uniform", shape, dtype, 0, 1)
        found = stretched(draw, minval, maxval, dtype)
        high = 1.0 if maxval is None else maxval
        return self._draws("uniform", shape, dtype, minval, high) if found is None else found

    def uniform_full_int(self, shape: Any, dtype: Any = dtypes.uint64, name: Any = None) -> Tensor:
        """Integers drawn from all values of the dtype."""
        return self._draws("integers", shape, dtype, None, None)

    def binomial(
        self, shape: Any, counts: Any, probs: Any, dtype: Any = dtypes.int32, name: Any = None
    ) -> Tensor:
        """Draws the number of successes in `counts` trials with the probability `probs`. The
        numbers are not TensorFlow's."""
        key = self._draws("integers", [2], "int32", None, None)
        given = (key, cast(counts, "float32"), cast(probs, "float32"))
        return cast(run(binomials, given, (sizes_of(shape),), constant=(0, 1, 2)), dtype)

    def make_seeds(self, count: int = 1) -> Tensor:
        """Seeds for stateless functions, one in each column."""
        keys = self.uniform_full_int([count], dtypes.int64)
        return stack([keys, cast([0] * count, dtypes.int64)])

    def split(self, count: int = 1) -> list[Generator]:
        """New generators, whose numbers do not depend on one another."""
        keys = self.uniform_full_int([count], dtypes.int64).numpy().tolist()
        return [Generator(state=[0, 0, key]) for key in keys]


def binomials(seed: Any, counts: Any, probs: Any, shape: Any) -> Any:
    """Draws from binomial distributions, for arrays."""
    key = jax.random.wrap_key_data(jnp.asarray(seed).astype("uint32"), impl="threefry2x32")
    drawn = jax.random.binomial(key, counts, probs, shape, "float32")
    return jnp.where(counts <= 0, 0, drawn)  # also for a probability that JAX answers with NaN


def create_rng_state(seed: Any, alg: Any = "philox") -> Tensor:
    """The state of a generator for a seed, int64.

    Args:
        seed: an integer, of which each number of the state has 64 bits, or a vector, before which
            zeros are added.
        alg: `"philox"`, for three numbers, or `"threefry"`, for two.

    >>> tf.random.create_rng_state(7, "philox").numpy().tolist()
    [7, 0, 0]
    """
    size = 2 if alg in (2, "threefry") else 3
    if isinstance(seed, int):
        numbers = [(seed >> 64 * i) % 2**64 for i in range(size)]
    else:
        given = np.atleast_1d(static(seed)).tolist()[:size]
        numbers = [0] * (size - len(given)) + [number % 2**64 for number in given]
    return Tensor(np.array(numbers, np.uint64).astype(np.int64))
