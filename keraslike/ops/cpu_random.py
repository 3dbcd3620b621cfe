"""Random bits on the CPU: those of `jax.random`, three times as fast.

Threefry mixes in twenty rounds. On the CPU JAX compiles them as a loop that carries all words
through memory, five times; written out they are one pass over the array in registers.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from keraslike.ops.cpu import Call, on_cpu

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def bernoulli(key: jax.Array, p: float, shape: tuple[int, ...]) -> jax.Array:
    """`jax.random.bernoulli` of a probability: the same booleans for the same key.

    >>> key = jax.random.PRNGKey(0)
    >>> bool((bernoulli(key, 0.5, (99,)) == jax.random.bernoulli(key, 0.5, (99,))).all())
    True
    """
    if not _is_threefry(key) or math.prod(shape) >= 2**32:
        return jax.random.bernoulli(key, p, shape)
    return on_cpu(Call(_written_out, (p, shape)), Call(jax.random.bernoulli, (p, shape)), key)


def _is_threefry(key: jax.Array) -> bool:
    """Whether the bits are those below: a raw key of the default generator, in its usual mode."""
    return (
        key.dtype == jnp.uint32
        and key.shape == (2,)
        and jax.config.jax_default_prng_impl == "threefry2x32"  # type: ignore[attr-defined]
        and jax.config.jax_threefry_partitionable  # type: ignore[attr-defined]
    )


def _written_out(key: jax.Array, p: float, shape: tuple[int, ...]) -> jax.Array:
    bits = _threefry(key, lax.iota(jnp.uint32, math.prod(shape))).reshape(shape)
    # As `jax.random.uniform`: 23 bits of mantissa, of a number from 1 to 2.
    ones = jnp.float32(1).view(jnp.uint32)
    uniform = lax.bitcast_convert_type((bits >> 9) | ones, jnp.float32) - 1
    return uniform < jnp.float32(p)


def _threefry(key: jax.Array, count: Any) -> jax.Array:
    """Threefry-2x32 (Salmon et al., SC 2011) of counters below 2**32, both words in one."""
    keys = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(0x1BD11BDA))
    x, y = jnp.zeros_like(count) + keys[0], count + keys[1]
    for i in range(5):
        for r in _ROTATIONS[i % 2]:
            x = x + y
            y = ((y << r) | (y >> (32 - r))) ^ x
        x = x + keys[(i + 1) % 3]
        y = y + keys[(i + 2) % 3] + jnp.uint32(i + 1)
    return x ^ y
