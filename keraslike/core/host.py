"""Arrays made by numpy, where compiling a program for their shape would take longer than filling
them.

JAX compiles even `zeros` once for each shape, and a program that draws initial values for a tenth
of a second: together the layers of a model would take longer to initialize than to compile. The
numbers drawn here equal those of `jax.random`: uniform ones to the bit, normal ones to 1e-5, since
XLA's inverse of the error function is less exact than scipy's.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import threefry
from keraslike.core.context import state, trace_state_clean
from keraslike.core.jax_internals import Computed, put

# The alignment in bytes of memory that the CPU backend uses without copying.
_ALIGNED = 64
# Above this number of elements a compiled program is faster than numpy.
_LARGEST = 2**21
# Up to this number of elements, leaving memory uninitialized saves nothing.
_SMALL = 2**12
# The number of elements in a block, chosen so that the twenty rounds of Threefry stay in the cache.
_BLOCK = 2**14
# How often `awaited` polls, which takes some 40 us in all, and what it does in between: the thread
# that runs the program may need this core.
_POLLS = 60
_give_way = getattr(os, "sched_yield", lambda: None)


def full(shape: Sequence[int], value: Any, dtype: Any) -> jax.Array:
    """An array filled with one value.

    >>> full((2,), 1, "float32").tolist()
    [1.0, 1.0]
    """
    size = math.prod(shape)
    if not trace_state_clean():
        return jnp.full(shape, value, dtype)
    is_zero = type(value) in (int, float) and value == 0
    if is_zero and size > _SMALL and jax.default_backend() == "cpu":
        return put(zeros(shape, dtype))
    if size > _LARGEST:
        return jnp.full(shape, value, dtype)
    return put(np.full(shape, value, dtype))


def awaited(value: Any) -> Any:
    """The same value; if it is an array that is being computed, this waits for it by polling, for
    a short time.

    A thread that blocks goes to sleep, and waking it takes longer than a small step.

    >>> awaited(jnp.ones(2)).is_ready()
    True
    """
    if type(value) is Computed:
        is_ready = value.is_ready
        for _ in range(_POLLS):
            if is_ready():
                break
            _give_way()
    return value


def whole(array: Any) -> np.ndarray:
    """A complete array as numpy's. Where its shards belong to several processes, all of them must
    call this.

    >>> whole(jnp.ones(2))
    array([1., 1.], dtype=float32)
    """
    if not is_in_processes(array):
        return np.asarray(awaited(array))
    known = state.gathered.get(id(array))
    if known is not None:
        return known
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(array, tiled=True)


def is_in_processes(array: Any) -> bool:
    """Whether an array is distributed over processes, so that none of them has all of it."""
    if not isinstance(array, jax.Array) or isinstance(array, jax.core.Tracer):
        return False
    return not (array.is_fully_addressable or array.is_fully_replicated)


def is_divided(array: Any) -> bool:
    """Whether devices hold different shards of an array."""
    if not isinstance(array, jax.Array) or isinstance(array, jax.core.Tracer):
        return False
    return not array.is_fully_replicated


def memory(shape: Sequence[int], dtype: Any, make: Callable = np.empty) -> np.ndarray:
    """An uninitialized numpy array whose memory a JAX array on the CPU can use without copying."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    data = make(size + _ALIGNED, np.uint8)
    begin = -data.ctypes.data % _ALIGNED
    return data[begin : begin + size].view(dtype).reshape(shape)


def zeros(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """Like `memory`, with zeros. Large arrays take no memory and no time before they are first
    accessed, which may be never, if a model's weights are loaded."""
    return memory(shape, dtype, np.zeros)


def own(value: np.ndarray) -> np.ndarray:
    """A copy of a numpy array: the CPU backend may keep using the memory of an array that it is
    given."""
    if value.dtype.hasobject:
        return value.copy()
    copy = memory(value.shape, value.dtype)
    copy[...] = value
    return copy


def array(value: Any, dtype: Any = None) -> jax.Array:
    """A JAX array with memory of its own, made of a number, a list of numbers or a numpy array.

    >>> array([1, 2], "uint32").tolist()
    [1, 2]
    """
    value = np.array(value, dtype)
    return put(value) if trace_state_clean() else jnp.asarray(value)


def asarray(value: Any, dtype: Any = None) -> jax.Array:
    """Like `jnp.asarray`, but compiles nothing for numpy arrays.

    For an array of floats, `dtype` must be a floating-point one.

    >>> asarray(np.ones(2), "float32").dtype.name, asarray(1.0).weak_type
    ('float32', True)
    """
    if type(value) is not np.ndarray or value.dtype.kind not in "biufc":
        return jnp.asarray(value, dtype)
    return array(value, dtype)


def copied(values: Sequence[Any]) -> list[jax.Array]:
    """Copies of arrays that may be donated, whoever refers to the originals.

    On the CPU the copies alias the original memory: when such an array is donated, the program that
    it is donated to copies it.
    """
    if jax.default_backend() != "cpu" or not trace_state_clean():
        return jax.device_put(list(values), may_alias=False)
    return jax.device_put([_viewed(v) for v in values], may_alias=False)


def _viewed(value: Any) -> Any:
    """An array that aliases the memory of one on the default device; other arrays, and key arrays,
    are returned unchanged."""
    if getattr(value, "committed", False) or jnp.issubdtype(value.dtype, jax.dtypes.extended):
        return value
    return np.asarray(value)


def is_here(value: Any) -> bool:
    """Whether an array's values are available without waiting for a device or transferring them."""
    return (
        trace_state_clean()
        and isinstance(value, jax.Array)
        and jax.default_backend() == "cpu"
        and len(value.devices()) == 1
    )


def draws(key: Any, shape: Sequence[int], dtype: Any, *others: Any) -> bool:
    """Whether random numbers of this shape are drawn by numpy."""
    return (
        trace_state_clean()
        and dtype == "float32"
        and 0 < math.prod(shape) <= _LARGEST
        and threefry.is_used(key)
        and not any(isinstance(x, jax.Array) for x in others)
    )


def uniform(key: Any, shape: Sequence[int], minval: float = 0.0, maxval: float = 1.0) -> np.ndarray:
    """The numbers of `jax.random.uniform`, in float32.

    >>> key = np.array([3, 4], "uint32")
    >>> bool((uniform(key, (5, 3)) == jax.random.uniform(key, (5, 3))).all())
    True
    """
    low, high = np.float32(minval), np.float32(maxval)
    size = math.prod(shape)
    out = np.empty(size, "float32")
    first, second = (np.uint32(word) for word in np.asarray(key))
    for start in range(0, size, _BLOCK):
        part = out[start : start + _BLOCK]
        count = np.arange(start, start + len(part), dtype="uint32")
        unit = threefry.uniform(first, second, count)
        part[:] = unit * np.float64(high - low) + low  # Rounded once, as in a fused multiply-add.
    return np.maximum(out, low, out=out).reshape(shape)


def normal(key: Any, shape: Sequence[int]) -> np.ndarray:
    """The numbers of `jax.random.normal`, in float32, to 1e-5."""
    return _quantiles(uniform(key, shape, np.nextafter(np.float32(-1), np.float32(0)), 1.0))


def truncated_normal(key: Any, shape: Sequence[int], cut: float) -> np.ndarray:
    """The numbers of `jax.random.truncated_normal` between `-cut` and `cut`, to 1e-5."""
    edge = math.erf(cut / math.sqrt(2))
    most = np.nextafter(np.float32(cut), np.float32(0))
    return np.clip(_quantiles(uniform(key, shape, -edge, edge)), -most, most)


def _quantiles(x: np.ndarray) -> np.ndarray:
    from scipy.special import erfinv

    return np.float32(math.sqrt(2)) * erfinv(x)
