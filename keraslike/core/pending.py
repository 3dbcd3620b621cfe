"""Initial values of Variables, which are computed immediately or on the first read."""

from __future__ import annotations

import math
import threading
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from keraslike.core import context, dtypes, host, precision
from keraslike.core.context import state
from keraslike.core.jax_internals import outside_of_traces


class Pending:
    """The content of a Variable whose initial value nobody has read yet: a shape, a dtype and the
    initializer. A value that is assigned before the first read (from a file, for example) replaces
    it. Copies of the Variable may share it; each computes its own array."""

    __slots__ = ("shape", "dtype", "_initializer")

    def __init__(self, initializer: Any, shape: tuple[int, ...], dtype: Any):
        self.shape, self.dtype, self._initializer = shape, dtype, initializer

    ndim = property(lambda self: len(self.shape))
    size = property(lambda self: math.prod(self.shape))
    nbytes = property(lambda self: self.size * self.dtype.itemsize)

    def drawn(self) -> jax.Array:
        # The computation must not be recorded by the caller's trace or tape, and it is not charged
        # to the memory allowance of a file.
        with (
            outside_of_traces(),
            context.using(allowance=None, symbolic=False, tapes=()),
            jax.default_device(None),
            precision.of_dtype(self.dtype),
        ):
            return initial_value(self._initializer, self.shape, self.dtype)


# Held while a pending value is computed and stored, so that no concurrent assignment is lost.
drawing = threading.RLock()


def pending_value(initializer: Any, shape: Any, dtype: Any) -> Pending | None:
    """The pending value of an initializer, or `None` if it must be computed immediately. It is
    deferred only if the result does not depend on the time of the call, and if the call cannot
    fail."""
    default_device = jax.config.jax_default_device  # type: ignore[attr-defined]
    if state.scope is not None or not context.trace_state_clean() or default_device is not None:
        return None
    if type(initializer) is Pending:
        return initializer
    may_wait = getattr(initializer, "may_wait", None)
    if may_wait is None or shape is None:
        return None
    dtype = np.dtype(dtypes.standardize_dtype(dtype))
    shape = tuple(shape)
    if dtype not in _DRAWN or not may_wait(shape):
        return None
    pending = Pending(initializer, shape, dtype)
    context.spend(pending.nbytes)
    return pending


_DRAWN = {np.dtype(name) for name in ("float32", "float16", "bfloat16")}


def zeros_to_come(shape: tuple[int, ...], dtype: Any) -> Pending:
    """A pending value of zeros."""
    return Pending(_zeros, shape, dtype)


def _zeros(shape: tuple[int, ...], dtype: Any) -> jax.Array:
    return host.full(shape, 0, dtype)


def array_of(value: Any) -> Any:
    """The array in a Variable, or made of a list; other values are returned unchanged."""
    if isinstance(value, nnx.Variable):
        return value.get_value()
    return jnp.asarray(value) if isinstance(value, (list, tuple)) else value


def initial_value(initializer: Any, shape: Any, dtype: Any) -> jax.Array:
    """The array that an initializer, or a value in its place, gives; raises ValueError where its
    shape differs from `shape`."""
    if type(initializer) is Pending:
        return initializer.drawn()
    if callable(initializer) and not isinstance(initializer, (jax.Array, nnx.Variable)):
        if shape is None:
            raise ValueError(
                "When creating a Variable from an initializer, the `shape` must be given. "
                f"Received: initializer={initializer!r}, shape=None"
            )
        dtype = jnp.dtype(dtypes.standardize_dtype(dtype))
        context.spend(math.prod(shape) * dtype.itemsize)
        value = initializer(tuple(shape), dtype=dtype)
        if not isinstance(value, jax.Array):
            value = jnp.asarray(value)
        if value.shape != tuple(shape):
            raise ValueError(
                f"initializer {initializer!r} returned shape {value.shape} "
                f"instead of {tuple(shape)}."
            )
        return value if value.dtype == dtype and not value.weak_type else value.astype(dtype)
    value = array_of(initializer)
    if not isinstance(value, jax.Array):
        value = jnp.asarray(value) if hasattr(value, "__jax_array__") else np.asarray(value)
        if value.dtype == object:
            raise ValueError(
                "initializer must be a value, a function or the name of an initializer. "
                f"Received: initializer={initializer!r}"
            )
    if dtype is not None:
        value = value.astype(dtypes.standardize_dtype(dtype))
    if dtype is None and not hasattr(initializer, "dtype") and dtypes.is_float(value.dtype):
        value = value.astype(dtypes.floatx())
    if shape is not None and value.shape != tuple(shape):
        raise ValueError(f"The initial value must have {shape=}. Received: shape {value.shape}")
    # A user's array may be changed or donated elsewhere, so the Variable holds a copy.
    return host.copied([value])[0] if isinstance(value, jax.Array) else host.array(value)
