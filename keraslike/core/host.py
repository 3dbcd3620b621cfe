"""Arrays made by numpy, where compiling a program for their shape takes longer than filling them.

jax compiles even `zeros` once for each shape, and drawing initial values for a tenth of a second:
the layers of a model together would wait for that longer than for its training step. The numbers
drawn here are those that `jax.random` draws: uniform ones to the bit, normal ones to 1e-5, since
XLA's inverse of the error function is less exact than scipy's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import threefry
from keraslike.core.context import state, trace_state_clean
from keraslike.core.jax_internals import put

# The alignment in bytes of memory that the CPU backend takes without a copy.
_ALIGNED = 64
# Above this number of elements a compiled program is faster than numpy.
_LARGEST = 2**21
# Up to this number of elements leaving memory unfilled saves nothing.
_SMALL = 2**12
# Elements of a block, so that the twenty rounds of Threefry stay within the cache.
_BLOCK = 2**14


def full(shape: Sequence[int], value: Any, dtype: Any) -> jax.Array:
    """An array of one value.

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


def whole(array: Any) -> np.ndarray:
    """All of an array as numpy's. Where its parts are in several processes, all have to ask.

    >>> whole(jnp.ones(2))
    array([1., 1.], dtype=float32)
    """
    if not is_in_processes(array):
        return np.asarray(array)
    known = state.gathered.get(id(array))
    if known is not None:
        return known
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(array, tiled=True)


def is_in_processes(array: Any) -> bool:
    """Whether no process has all of an array."""
    if not isinstance(array, jax.Array) or isinstance(array, jax.core.Tracer):
        return False
    return not (array.is_fully_addressable or array.is_fully_replicated)


def is_divided(array: Any) -> bool:
    """Whether devices hold different parts of an array."""
    if not isinstance(array, jax.Array) or isinstance(array, jax.core.Tracer):
        return False
    return not array.is_fully_replicated


def memory(shape: Sequence[int], dtype: Any, make: Callable = np.empty) -> np.ndarray:
    """An array whose memory becomes that of a JAX array on the CPU."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    data = make(size + _ALIGNED, np.uint8)
    begin = -data.ctypes.data % _ALIGNED
    return data[begin : begin + size].view(dtype).reshape(shape)


def zeros(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """The same of zeros. A large one takes no memory, and no time, before it is read or written:
    of a model that is loaded, none are."""
    return memory(shape, dtype, np.zeros)


def own(value: np.ndarray) -> np.ndarray:
    """A copy: of an array that JAX is given, the CPU backend may keep the memory."""
    if value.dtype.hasobject:
        return value.copy()
    copy = memory(value.shape, value.dtype)
    copy[...] = value
    return copy


def array(value: Any, dtype: Any = None) -> jax.Array:
    """An array with memory of its own of numbers, a list of them or a numpy array.

    >>> array([1, 2], "uint32").tolist()
    [1, 2]
    """
    value = np.array(value, dtype)
    return put(value) if trace_state_clean() else jnp.asarray(value)


def asarray(value: Any, dtype: Any = None) -> jax.Array:
    """`jnp.asarray`, which compiles a program for each shape of numpy array that it is given.

    A dtype is one of floats for floats.

    >>> asarray(np.ones(2), "float32").dtype.name, asarray(1.0).weak_type
    ('float32', True)
    """
    if type(value) is not np.ndarray or value.dtype.kind not in "biufc":
        return jnp.asarray(value, dtype)
    return array(value, dtype)


def copied(values: Sequence[Any]) -> list[jax.Array]:
    """The same values in arrays that may be donated, whoever holds the given ones.

    On the CPU it is the memory of the given arrays that they refer to: donated, such an array is
    copied by the program that it is donated to.
    """
    if jax.default_backend() != "cpu" or not trace_state_clean():
        return jax.device_put(list(values), may_alias=False)
    return jax.device_put([_viewed(v) for v in values], may_alias=False)


def _viewed(value: Any) -> Any:
    """The memory of an array on the default device; another array, and one of keys, itself."""
    if getattr(value, "committed", False) or jnp.issubdtype(value.dtype, jax.dtypes.extended):
        return value
    return np.asarray(value)


def is_here(value: Any) -> bool:
    """Whether an array's numbers are at hand without waiting for a device or passing them on."""
    return (
        trace_state_clean()
        and isinstance(value, jax.Array)
        and jax.default_backend() == "cpu"
        and len(value.devices()) == 1
    )


def draws(key: Any, shape: Sequence[int], dtype: Any, *others: Any) -> bool:
    """Whether random numbers of this shape are drawn here."""
    return (
        trace_state_clean()
        and dtype == "float32"
        and 0 < math.prod(shape) <= _LARGEST
        and threefry.is_used(key)
        and not any(isinstance(x, jax.Array) for x in others)
    )


def uniform(key: Any, shape: Sequence[int], minval: float = 0.0, maxval: float = 1.0) -> np.ndarray:
    """What `jax.random.uniform` gives, in float32.

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
        part[:] = unit * np.float64(high - low) + low  # rounded once, as a fused multiply-add is
    return np.maximum(out, low, out=out).reshape(shape)


def normal(key: Any, shape: Sequence[int]) -> np.ndarray:
    """What `jax.random.normal` gives, in float32, to 1e-5."""
    return _quantiles(uniform(key, shape, np.nextafter(np.float32(-1), np.float32(0)), 1.0))


def truncated_normal(key: Any, shape: Sequence[int], cut: float) -> np.ndarray:
    """What `jax.random.truncated_normal` gives between `-cut` and `cut`, to 1e-5."""
    edge = math.erf(cut / math.sqrt(2))
    most = np.nextafter(np.float32(cut), np.float32(0))
    return np.clip(_quantiles(uniform(key, shape, -edge, edge)), -most, most)


def _quantiles(x: np.ndarray) -> np.ndarray:
    from scipy.special import erfinv

    return np.float32(math.sqrt(2)) * erfinv(x)
