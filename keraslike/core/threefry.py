"""Threefry-2x32 with 20 rounds (Salmon et al., SC 2011), the generator of `jax.random`.

The functions accept uint32 arrays of numpy and JAX. With numpy nothing is compiled; in a compiled
program this is one fused pass over the counters, where JAX's own implementation writes all words to
memory five times.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_WORD = 0xFFFFFFFF
# Up to this many numbers, Python integers are faster than a hundred calls of numpy.
_FEW = 8


def is_used(key: Any) -> bool:
    """Whether `jax.random` uses this generator: for a raw key, in its default mode."""
    return (
        np.shape(key) == (2,)
        and key.dtype == np.uint32
        and jax.config.jax_default_prng_impl == "threefry2x32"  # type: ignore[attr-defined]
        and jax.config.jax_threefry_partitionable  # type: ignore[attr-defined]
    )


def uniform(first: Any, second: Any, count: Any) -> Any:
    """For each counter a float32 in `[0, 1)`: the number that `jax.random.uniform` has at that
    place.

    Args:
        first, second: the two words of a key, uint32.
        count: places below 2**32, uint32.

    >>> key = np.array([3, 4], "uint32")
    >>> drawn = uniform(*key, np.arange(5, dtype="uint32"))
    >>> bool((drawn == jax.random.uniform(key, (5,))).all())
    True
    """
    # The 23 bits are the mantissa of a number from 1 to 2.
    bits = _bits(first, second, count) >> 9 | np.uint32(0x3F800000)
    return bits.view("float32") - np.float32(1)


def _bits(first: Any, second: Any, count: Any) -> Any:
    if isinstance(count, np.ndarray) and count.size <= _FEW and type(first) is np.uint32:
        words = [_bits_of_one(int(first), int(second), n) for n in count.ravel().tolist()]
        return np.array(words, np.uint32).reshape(count.shape)
    keys = (first, second, first ^ second ^ np.uint32(_PARITY))
    # Scalars are only added to arrays: numpy warns where the sum of two scalars overflows.
    x, y = count * np.uint32(0) + first, count + second
    for turn in range(5):
        for distance in _ROTATIONS[turn % 2]:
            x = x + y
            y = (y << distance | y >> 32 - distance) ^ x
        x = x + keys[(turn + 1) % 3]
        y = y + keys[(turn + 2) % 3] + np.uint32(turn + 1)
    return x ^ y


def _bits_of_one(first: int, second: int, count: int) -> int:
    keys = (first, second, first ^ second ^ _PARITY)
    x, y = first, count + second & _WORD
    for turn in range(5):
        for distance in _ROTATIONS[turn % 2]:
            x = x + y & _WORD
            y = (y << distance | y >> 32 - distance) & _WORD ^ x
        x = x + keys[(turn + 1) % 3] & _WORD
        y = y + keys[(turn + 2) % 3] + turn + 1 & _WORD
    return x ^ y
