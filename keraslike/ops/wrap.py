"""Wrappers that make ops of JAX functions: Keras's argument names, array-likes, and
KerasTensors."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import EllipsisType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from keraslike.core import context, dtypes, foreign, host, sparsity
from keraslike.core.errors import InvalidIndex
from keraslike.core.notes import show_shape
from keraslike.core.operation import op
from keraslike.core.symbolic import size_of_values
from keraslike.ops.documentation import DOCUMENTATION

_HOME = "keraslike.ops"


def array(x: Any) -> jax.Array:
    """Converts an array, a Variable, a number or a nested list to a JAX array."""
    if isinstance(x, jax.Array):
        return x
    if isinstance(x, nnx.Variable):
        return x.get_value()
    if sparsity.is_sparse(x):
        return sparsity.dense(x)
    if isinstance(x, (list, tuple)):
        x = jax.tree.map(lambda i: i.get_value() if isinstance(i, nnx.Variable) else i, x)
    elif not isinstance(x, (np.ndarray, np.generic)) and not hasattr(x, "__jax_array__"):
        found = foreign.array_of(x)
        x = x if found is None else found
    return host.asarray(x)


def operand(x: Any) -> Any:
    """Like `array`, but a Python number is returned unchanged, so that it takes the dtype of the
    other operand."""
    return x if isinstance(x, (bool, int, float, complex)) else array(x)


def floats(x: jax.Array) -> jax.Array:
    """An array of floats: integers and booleans are cast, complex numbers are not."""
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(dtypes.floatx())


def integers(x: Any) -> jax.Array:
    """An array of indices; in a trace of shapes, any dtype is accepted."""
    x = array(x)
    if context.state.symbolic and not jnp.issubdtype(x.dtype, jnp.integer):
        return x.astype("int32")
    return x


def found(*shape: Any, dtype: Any = "int32") -> jax.Array:
    """The result, in a trace of shapes, of an operation whose sizes along the axes given as `None`
    depend on values."""
    return jnp.zeros([size_of_values() if n is None else n for n in shape], dtype)


def check_index(key: Any, shape: Any) -> None:
    """Raises IndexError for an integer in `x[key]` that is out of bounds, where jax would use the
    last element."""
    parts = [k for k in (key if isinstance(key, tuple) else (key,)) if k is not None]
    if not all(isinstance(k, (slice, EllipsisType)) or type(k) is int for k in parts):
        return
    at = parts.index(...) if ... in parts else len(parts)
    for k, n in (*zip(parts[:at], shape), *zip(parts[:at:-1], shape[::-1])):
        if isinstance(k, int) and isinstance(n, int) and not -n <= k < n:
            raise InvalidIndex(
                f"index {k} is out of bounds for an axis of size {n}. "
                f"Received: key={key}, x of shape {show_shape(shape)}"
            )


# The longest Python loop in an op; its length is an argument, and a file may contain any number.
_MOST_STEPS = 1 << 13


def steps(**argument: Any) -> Any:
    """The one argument given; raises ValueError for an unreasonably large integer."""
    ((name, value),) = argument.items()
    if isinstance(value, int) and value > _MOST_STEPS:
        raise ValueError(f"{name} must be at most {_MOST_STEPS}. Received: {name}={value}")
    return value


def axes_of(axis: Any) -> Any:
    """An axis, or several axes as a tuple, as JAX expects them."""
    return tuple(axis) if isinstance(axis, (list, tuple)) else axis


def _named(function: Callable, like: Callable, name: str | None) -> Callable:
    """Gives an op that is made here the name and the documentation of the corresponding JAX
    function."""
    # A jit-compiled jnp function has a name, a partial does not.
    name = name or like.__name__
    function.__name__ = function.__qualname__ = name
    function.__module__ = _HOME
    function.__doc__ = DOCUMENTATION[name]
    return op(function)


def _floats_of(x: Any) -> jax.Array:
    return floats(array(x))


def public(namespace: dict[str, Any]) -> list[str]:
    """The names of a module's own functions that do not begin with an underscore."""
    homes = (_HOME, namespace["__name__"])
    return [
        name
        for name, value in namespace.items()
        if inspect.isfunction(value) and value.__module__ in homes and name[0] != "_"
    ]


def unary(
    like: Callable, name: str | None = None, floats: bool = False, sparse: bool = False
) -> Callable:
    """The op `f(x)`. With `floats` integers are cast to floats; with `sparse` the function is 0 at
    0, so that it keeps sparse arrays sparse."""
    prepared = _floats_of if floats else array

    def function(x: Any) -> Any:
        if sparse and sparsity.is_sparse(x):
            return sparsity.elementwise(lambda values: like(prepared(values)), x)
        return like(prepared(x))

    return _named(function, like, name)


def binary(
    like: Callable,
    name: str | None = None,
    sparse: Callable | None = None,
    strong: bool = False,
) -> Callable:
    """The op `f(x1, x2)` with broadcasting. Sparse arrays are passed to `sparse(x1, x2)` if there
    is such a function, and converted to dense ones otherwise. With `strong` a Python float is an
    array of the dtype `floatx()`, as in some of Keras's ops."""

    def function(x1: Any, x2: Any) -> Any:
        if strong:
            x1, x2 = (np.asarray(x, dtypes.floatx()) if type(x) is float else x for x in (x1, x2))
        if sparse is not None and (sparsity.is_sparse(x1) or sparsity.is_sparse(x2)):
            return sparse(*[x if sparsity.is_sparse(x) else operand(x) for x in (x1, x2)])
        return like(operand(x1), operand(x2))

    return _named(function, like, name)


def bitwise(like: Callable, name: str | None = None) -> Callable:
    """Like `binary`, with Keras's argument names `x` and `y`."""

    def function(x: Any, y: Any) -> Any:
        return like(operand(x), operand(y))

    return _named(function, like, name)


def reduction(like: Callable, name: str | None = None, sparse: Callable | None = None) -> Callable:
    """The op `f(x, axis=None, keepdims=False)`; `sparse` is its implementation for sparse
    arrays."""

    def function(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        if sparse is not None and sparsity.is_sparse(x):
            return sparse(x, axis=axes_of(axis), keepdims=keepdims)
        return like(array(x), axis=axes_of(axis), keepdims=keepdims)

    return _named(function, like, name)


def moved(function: Callable, x: Any, **kwargs: Any) -> Any:
    """A function of JAX's that moves values in an array; an array whose axes are all sparse stays
    sparse."""
    if sparsity.is_sparse(x) and not getattr(x, "n_dense", 0):
        return sparsity.by_structure(function, x, **kwargs)
    return function(array(x), **kwargs)
