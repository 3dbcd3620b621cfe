"""`tf.shape` and functions like it, whose results may have symbols for unknown sizes.

While a function is traced with unknown sizes, its shapes hold symbols. A tensor of such sizes is an
integer tensor like any other, and remembers the sizes, so that it can be used as a shape.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from keraslike.tf import dtypes, recording, tensor
from keraslike.tf.conversion import _as_operand, cast_value, constant, index_dtype, static
from keraslike.tf.structure import operates
from keraslike.tf.tensor import WIDE, Tensor


class SizeTensor(Tensor):
    """A traced tensor of sizes, some of which are symbols."""

    __slots__ = ("_held",)

    def __init__(self, sizes: np.ndarray, dtype: np.dtype, array: Any = None):
        if array is None:
            with WIDE(True):
                given = [jnp.asarray(n).astype(dtype) for n in sizes.ravel().tolist()]
                array = jnp.stack(given).reshape(sizes.shape)
        super().__init__(array)
        self._held = sizes

    def as_sizes(self) -> Any:
        return static(self)

    __hash__ = None  # type: ignore[assignment]


jax.tree_util.register_pytree_node(
    SizeTensor,
    lambda x: ((x._value,), None),
    tensor._unflatten,  # type: ignore[arg-type]
)


def _made(sizes: Any, dtype: Any, array: Any = None) -> Tensor:
    """A tensor of sizes, with a known value if none of them is a symbol."""
    held = np.empty(np.shape(sizes), object)
    held[...] = sizes
    dtype = dtypes.as_dtype(dtype).as_numpy_dtype
    if all(isinstance(n, int) for n in held.ravel().tolist()):
        return Tensor(held.astype(dtype))
    return SizeTensor(held, np.dtype(dtype), array)


# The functions of arrays of sizes for operations that compute with numbers. Those that only move
# elements are themselves functions of such arrays.
_COMPUTING: dict[str, Callable] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "floordiv": np.floor_divide,
    "floormod": np.mod,
    "negative": np.negative,
    "reduce_prod": np.prod,
    "reduce_sum": np.sum,
    recording.ROWS: lambda sizes, indices, *_: np.take(sizes, indices.astype(int)),
}


def _followed(
    fn: Callable, name: str, tensors: Sequence[Any], rest: tuple, kwargs: dict[str, Any], out: Any
) -> Any:
    """The results of an operation; if they can be computed as sizes from those among the tensors,
    they remember them."""
    if not any(type(t) is SizeTensor for t in tensors):
        return out
    if fn is cast_value:
        fn = _whole
    given = list(map(_sizes_in, tensors))
    if any(sizes is None for sizes in given):
        return out
    with contextlib.suppress(Exception):  # it is no function of sizes
        found = _COMPUTING.get(name, fn)(*given, *rest, **kwargs)
        return jax.tree.map(_remembering, out, _tuples_as(out, found), is_leaf=_is_tensor)
    return out


tensor.follows_sizes = _followed


def _is_tensor(x: Any) -> bool:
    return isinstance(x, Tensor)


def _tuples_as(out: Any, found: Any) -> Any:
    return found if isinstance(out, Tensor) else type(out)(found)


def _remembering(out: Tensor, sizes: Any) -> Tensor:
    is_whole = out.dtype.is_integer and tuple(np.shape(sizes)) == tuple(out.shape)
    items = np.ravel(sizes).tolist()
    if is_whole and all(isinstance(n, int) or export.is_symbolic_dim(n) for n in items):
        return _made(sizes, out.dtype, out._value)
    return out


def _sizes_in(x: Any) -> np.ndarray | None:
    """The sizes in a tensor as an array of objects; `None` if they are not known."""
    if type(x) is SizeTensor:
        return x._held
    value = x._value if isinstance(x, Tensor) else x
    is_known = isinstance(value, (np.ndarray, jax.Array)) and not isinstance(value, jax.core.Tracer)
    return np.asarray(value).astype(object) if is_known and value.dtype.kind in "iu" else None


def _whole(sizes: np.ndarray, wanted: dtypes.DType) -> np.ndarray | None:
    return sizes if wanted.is_integer else None


@operates
def shape(input: Any, out_type: Any = None, name: str | None = None) -> Tensor:
    """The shape, as a tensor that can be used as a shape.

    >>> tf.shape([[1, 2]]).numpy().tolist()
    [1, 2]
    """
    sizes = tuple(_as_operand(input).shape)
    return _made(sizes, index_dtype("shape", out_type or dtypes.int32))


@operates
def size(input: Any, out_type: Any = None, name: str | None = None) -> Tensor:
    """The number of elements.

    >>> tf.size([[1, 2], [3, 4]]).numpy().tolist()
    4
    """
    return _made(math.prod(_as_operand(input).shape), out_type or dtypes.int32)


@operates
def rank(input: Any, name: str | None = None) -> Tensor:
    """The number of axes.

    >>> tf.rank([[1, 2]]).numpy().tolist()
    2
    """
    return constant(len(_as_operand(input).shape))
