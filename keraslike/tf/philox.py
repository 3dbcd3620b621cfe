"""The random numbers of TensorFlow's operations for a seed: the generator Philox 4x32-10, and the
distributions made from its 32-bit words."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import rng
from keraslike.data import philox
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.tensor import WIDE

_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
# Values of the counter that are kept for each output, or for each four that may be rejected.
GAP = 256
_MOST = 2**31 - 1  # the upper bound of seeds
_DEFAULT = 87654321  # the global seed if only an operation has a seed


def library_of(array: Any) -> Any:
    """numpy for arrays on the host, for which JAX would have to compile, otherwise `jax.numpy`."""
    return np if isinstance(array, (np.ndarray, np.generic)) else jnp


def on_host(state: Any, count: int) -> Any:
    """The state as a numpy array if its values are known and too few numbers are drawn to justify a
    program, otherwise as a JAX array."""
    known = isinstance(count, int) and not isinstance(state, jax.core.Tracer)
    if known and count <= _FEW:
        return np.asarray(state, np.uint64)
    return jnp.asarray(state).astype(np.uint64)


_FEW = 2**16


def _whole(count: Any) -> Any:
    """A count as a number of 64 bits. It may be the symbol of an unknown size."""
    with WIDE(True):
        return np.uint64(count) if isinstance(count, int) else jnp.asarray(count).astype(np.uint64)


def _below(count: Any) -> Any:
    """The numbers below a count."""
    xp = np if isinstance(count, int) else jnp
    return xp.arange(count, dtype=np.uint64)


def state_of(seeds: Any) -> Any:
    """The counter (two numbers of 64 bits) and the key for the seeds of a stateless operation."""
    with WIDE(True):
        xp = jnp if isinstance(seeds, jax.core.Tracer) else np
        given = xp.asarray(seeds)
        if given.shape != (2,) or given.dtype.kind not in "iu":
            raise InvalidArgumentError(
                "seed must be two integers. Received the shape "
                f"{list(given.shape)} and the dtype {given.dtype}"
            )
        given = given.astype(np.int64).astype(np.uint64)
        words = philox.scrambled((given[:1], given[1:2]))
        key, high = (words[i] | words[i + 1] << _HALF for i in (0, 2))
        return xp.concatenate([xp.zeros_like(key), high, key])


def state_now(name: str, seed: int | None, count: int, gap: int = GAP) -> np.ndarray | None:
    """The same for a stateful operation, whose next call continues after the given count of
    numbers; `None` if neither a global seed nor its own is set, and in a function of a data set."""
    if rng.in_run() or (seed is None and rng.chosen is None):
        return None
    own, chosen = _seeds(rng.operation_seed() if seed is None else seed)
    key = (name, chosen, own)
    start = rng.drawn.get(key, 0) if seed is not None else 0
    if seed is not None:
        rng.drawn[key] = start + count * gap
    return np.array([start, own, chosen], np.uint64)


def state_in_run(seed: int, run: Any, count: int, gap: int = GAP) -> Any:
    """The same in a traced function, where each operation continues in the function's next run.

    Args:
        run: the number of the run, from 0.
    """
    with WIDE(True):
        xp = np if isinstance(run, int) else jnp
        start = xp.asarray(run).astype(np.uint64) * _whole(count * gap)
        return library_of(start).stack([start, *map(np.uint64, _seeds(seed))])


def _seeds(seed: int) -> tuple[int, int]:
    """The seed of an operation and the global one."""
    chosen = _DEFAULT if rng.chosen is None else rng.chosen % _MOST
    return int(seed) % _MOST or (0 if chosen else _MOST), chosen


def after(state: Any, count: int) -> Any:
    """The state of a generator after it has drawn the given count of numbers."""
    with WIDE(True):
        state = on_host(state, 0)
        low = state[:1] + _whole(count * GAP)
        high = state[1:2] + (low < state[:1]).astype(np.uint64)
        return library_of(low).concatenate([low, high, state[2:]])


def _words(state: Any, count: int, step: int = 1, more: int = 1) -> Any:
    """Words in rows of four, `more` rows for each of `count` values of the counter."""
    at = _below(count)[:, None] * np.uint64(step)
    return words_at(state, (at + np.arange(more, dtype=np.uint64)).reshape(-1))


def words_at(state: Any, at: Any) -> Any:
    """Rows of four words, for successive values of the counter."""
    low = state[0] + at
    high = state[1] + (low < state[0]).astype(np.uint64)
    counter = (low & _LOW, low >> _HALF, high & _LOW, high >> _HALF)
    key = (state[2] & _LOW, state[2] >> _HALF)
    return library_of(low).stack(philox.mixed(counter, key), 1)


def _pairs(words: Any) -> Any:
    """Numbers of 64 bits; two words are the lower and the upper half of each."""
    return (words[:, 0::2] | words[:, 1::2] << _HALF).reshape(-1)


def _unit(words: Any, bits: int) -> Any:
    return (words & np.uint64(2**bits - 1)).astype(np.float64) * 2.0**-bits


def doubles(words: Any) -> Any:
    """Numbers in [0, 1) with 52 bits, from two words each."""
    upper, lower = words[:, 0::2] & np.uint64(0xFFFFF), words[:, 1::2]
    return ((upper << _HALF) | lower).astype(np.float64).reshape(-1) * 2.0**-52


def units(state: Any, count: int, dtype: Any = np.float64) -> Any:
    """Numbers in `[0, 1)`."""
    size = np.dtype(dtype).itemsize
    if size == 8:
        return doubles(_words(state, -(-count // 2)))[:count]
    bits = {"float32": 23, "float16": 10, "bfloat16": 7}[np.dtype(dtype).name]
    return _unit(_words(state, -(-count // 4)).reshape(-1)[:count], bits).astype(dtype)


def integers(state: Any, count: int, dtype: Any) -> Any:
    """Integers among all values of 32 or 64 bits."""
    dtype = np.dtype(dtype)
    if dtype.itemsize == 8:
        return _pairs(_words(state, -(-count // 2)))[:count].astype(dtype)
    words = _words(state, -(-count // 4)).reshape(-1)[:count]
    return words.astype(np.uint32).astype(dtype)


def between(state: Any, count: int, dtype: Any, low: Any, high: Any) -> Any:
    """Integers in `[low, high)`; the bounds may be traced."""
    dtype = np.dtype(dtype)
    drawn = integers(state, count, np.uint64 if dtype.itemsize == 8 else np.uint32)
    if isinstance(low, jax.core.Tracer) or isinstance(high, jax.core.Tracer):
        low, high = (jnp.asarray(end).astype(np.int64) for end in (low, high))
        return (drawn % (high - low).astype(drawn.dtype)).astype(dtype) + low.astype(dtype)
    rest = drawn % np.asarray(int(high) - int(low), drawn.dtype)
    return rest.astype(dtype) + np.asarray(low, dtype)


def normal_pairs(first: Any, second: Any, dtype: Any) -> Any:
    """Normal numbers, which the Box-Muller transform makes in pairs from two of `[0, 1)`."""
    first, second, xp = first.astype(dtype), second.astype(dtype), library_of(first)
    length = xp.sqrt(-2.0 * xp.log(xp.maximum(first, np.asarray(1e-7, dtype)))).astype(dtype)
    angle = np.asarray(2 * math.pi, dtype) * second
    return xp.stack([xp.sin(angle) * length, xp.cos(angle) * length], -1)


def normals(state: Any, count: int, dtype: Any) -> Any:
    """Numbers of the normal distribution."""
    if np.dtype(dtype).itemsize == 8:
        drawn = doubles(_words(state, -(-count // 2))).reshape(-1, 2)
        return normal_pairs(drawn[:, 0], drawn[:, 1], np.float64).reshape(-1)[:count]
    drawn = _unit(_words(state, -(-count // 4)), 23)
    return (
        normal_pairs(drawn[:, 0::2], drawn[:, 1::2], np.float32).reshape(-1)[:count].astype(dtype)
    )


_ROWS = 6  # of words, for twelve or more numbers, of which four lie within the bounds


def truncated_normals(state: Any, count: int, dtype: Any) -> Any:
    """Normal numbers within two standard deviations, which TensorFlow draws in groups of four, or
    of two if they have 64 bits."""
    if np.dtype(dtype).itemsize == 8:
        groups, kind = -(-count // 2), np.float64
        drawn = doubles(_words(state, groups, GAP // 2, 2 * _ROWS)).reshape(groups, -1, 2)
    else:
        groups, kind = -(-count // 4), np.float32
        drawn = _unit(_words(state, groups, GAP, _ROWS), 23).reshape(groups, -1, 2)
    found = normal_pairs(drawn[..., 0], drawn[..., 1], kind).reshape(groups, -1)
    xp = library_of(found)
    order = xp.argsort(xp.abs(found) >= 2.0, axis=1, stable=True)
    each = 2 if kind is np.float64 else 4
    kept = xp.take_along_axis(found, order[:, :each], 1)
    return kept.reshape(-1)[:count].astype(dtype)


def classes(state: Any, logits: Any, count: int) -> Any:
    """The indices of drawn classes for each row of logits."""
    rows = logits.shape[0]
    drawn = units(state, rows * count).reshape(rows, count)
    wide = logits.astype(np.float64)
    wide = wide - jnp.max(jnp.where(jnp.isfinite(wide), wide, -jnp.inf), -1, keepdims=True)
    edges = jnp.cumsum(jnp.where(jnp.isfinite(wide), jnp.exp(wide), 0), -1)
    wanted = drawn * edges[:, -1:]
    return jnp.sum(edges[:, None, :] <= wanted[..., None], -1)


def order(state: Any, count: int) -> Any:
    """The integers below `count` in random order."""
    if isinstance(state, jax.core.Tracer):
        with WIDE(True):
            words = _words(state, -(-max(count - 1, 0) // 4)).reshape(-1)

            def swapped(i: Any, out: Any) -> Any:
                j = i + (words[i] % (count - i).astype(np.uint64)).astype(i.dtype)
                return out.at[i].set(out[j]).at[j].set(out[i])

            return jax.lax.fori_loop(0, count - 1, swapped, jnp.arange(count))
    seeds = int(state[2]), int(state[1])
    drawn = philox.draw(seeds, int(state[0]), -(-max(count - 1, 0) // 4)).tolist()
    out = np.arange(count)
    for i in range(count - 1):
        j = i + drawn[i] % (count - i)
        out[i], out[j] = out[j], out[i]
    return out
