"""Functions of `tf` that create, reduce and rearrange tensors.

Shapes, axes and other plain arguments may be tensors with known values.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from keraslike.core import host
from keraslike.core.jax_internals import put
from keraslike.ops import cpu_argmax
from keraslike.tf import derivatives, documentation, dtypes, table
from keraslike.tf.conversion import (
    _as_operand,
    _holds_sizes,
    cast_value,
    constant,
    convert_to_tensor,
    index_dtype,
    joined,
    library,
    same_dtype,
    stacked,
    static,
)
from keraslike.tf.errors import InvalidArgumentError, ResourceExhaustedError
from keraslike.tf.moves import moves
from keraslike.tf.operation import operation
from keraslike.tf.structure import Structure, operates
from keraslike.tf.table import not_equal, reduce_sum
from keraslike.tf.tensor import WIDE, Tensor, _identity, run

# -- shapes and dtypes ------------------------------------------------------------------------


@operates
def cast(x: Any, dtype: Any, name: str | None = None) -> Tensor:
    """The values cast to another dtype.

    >>> tf.cast(tf.constant(2.7), "int32")
    <tf.Tensor: shape=(), dtype=int32, numpy=2>
    """
    x, wanted = _as_operand(x), dtypes.as_dtype(dtype)
    if dtypes.as_dtype(x.dtype) is wanted and isinstance(x, Tensor):
        return convert_to_tensor(x)
    return run(cast_value, (x,), (wanted,), name="cast")


@operates
def saturate_cast(value: Any, dtype: Any, name: str | None = None) -> Tensor:
    """Like `cast`, with values limited to the dtype's range.

    >>> tf.saturate_cast([-5.0, 300.0], tf.uint8).numpy().tolist()
    [0, 255]
    """
    value, wanted = convert_to_tensor(value), dtypes.as_dtype(dtype)
    if wanted.is_complex and value.dtype.is_complex:
        parts = [run(part, (value,)) for part in (jnp.real, jnp.imag)]
        return run(jax.lax.complex, [saturate_cast(p, wanted.real_dtype) for p in parts])
    if wanted.is_complex:
        return cast(saturate_cast(value, wanted.real_dtype), wanted)
    value = cast(value, value.dtype.real_dtype)
    low, high = (max(wanted.min, value.dtype.min), min(wanted.max, value.dtype.max))
    low, high = (np.asarray(float(v) if value.dtype.is_floating else int(v)) for v in (low, high))
    low, high = (v.astype(value.dtype.as_numpy_dtype) for v in (low, high))
    if value.dtype.is_floating and float(high) > float(wanted.max):
        low = np.asarray(jnp.nextafter(low, high)) if float(low) < float(wanted.min) else low
        high = np.asarray(jnp.nextafter(high, low))
    clipped = run(derivatives.clip, (value, Tensor(low), Tensor(high)), name="saturate_cast")
    return cast(clipped, wanted)


@operates
def identity(input: Any, name: str | None = None) -> Tensor:
    """The tensor, unchanged.

    >>> tf.identity([1, 2]).numpy().tolist()
    [1, 2]
    """
    return run(_identity, (_as_operand(input),), name="identity")


def tuple_(tensors: Any, control_inputs: Any = None, name: str | None = None) -> list[Any]:
    """The tensors, unchanged. TensorFlow's dependencies between them are not needed here.

    >>> [t.numpy().tolist() for t in tf.tuple([tf.constant(1), tf.constant(2)])]
    [1, 2]
    """
    return [None if t is None else identity(t) for t in tensors]


@operation("stop_gradient", "input", constant="input", stops=True)
@moves
def stop_gradient(x: Any) -> Any:
    """The tensor as a constant, without a gradient.

    >>> tf.stop_gradient([1.0, 2.0]).numpy().tolist()
    [1.0, 2.0]
    """
    return jax.lax.stop_gradient(x)


def zeros(
    shape: Any, dtype: Any = dtypes.float32, name: str | None = None, layout: Any = None
) -> Tensor:
    """A tensor of zeros.

    >>> tf.zeros([2, 2]).numpy().tolist()
    [[0.0, 0.0], [0.0, 0.0]]
    """
    kind = dtypes.as_dtype(dtype).as_numpy_dtype
    return fill(shape, "" if kind is np.object_ else np.zeros((), kind))


def ones(
    shape: Any, dtype: Any = dtypes.float32, name: str | None = None, layout: Any = None
) -> Tensor:
    """A tensor of ones.

    >>> tf.ones([2, 2]).numpy().tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    return fill(shape, np.ones((), dtypes.as_dtype(dtype).as_numpy_dtype))


def fill(dims: Any, value: Any, name: str | None = None, layout: Any = None) -> Tensor:
    """A tensor of one value.

    >>> tf.fill([2, 2], 7).numpy().tolist()
    [[7, 7], [7, 7]]
    """
    value = _as_operand(value)
    if value.shape != ():
        raise InvalidArgumentError(f"value must be a scalar. Received shape: {value.shape}")
    return broadcast_to(value, dims)


def eye(
    num_rows: Any,
    num_columns: Any = None,
    batch_shape: Any = None,
    dtype: Any = dtypes.float32,
    name: str | None = None,
) -> Tensor:
    """Matrices with ones on the diagonal.

    >>> tf.eye(2).numpy().tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    rows, columns = static(num_rows), static(num_columns)
    if _holds_sizes((rows, columns)):
        one = Tensor(jnp.eye(rows, columns, dtype=dtypes.as_dtype(dtype).as_numpy_dtype))
    else:
        one = constant(np.eye(rows, columns, dtype=dtypes.as_dtype(dtype).as_numpy_dtype))
    return one if batch_shape is None else broadcast_to(one, (*static(batch_shape), *one.shape))


def range(  # noqa: A001
    start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, name: str = "range"
) -> Tensor:
    """The numbers from `start`, by default 0, to `limit`, which is excluded. Each may be a vector
    of one number.

    >>> tf.range(1, 10, 3).numpy().tolist()
    [1, 4, 7]
    """
    start, limit = (0, start) if limit is None else (start, limit)
    parts = (start, limit, delta)
    kinds = [
        dtypes.as_dtype(p.dtype)
        if isinstance(p, (Tensor, nnx.Variable))
        else convert_to_tensor(p, dtype).dtype
        for p in parts
    ]
    if dtype is None:
        dtype = max(kinds, key=lambda k: (k.is_floating, k.size))
    parts = [static(p) for p in parts]
    kind = dtypes.as_dtype(dtype).as_numpy_dtype
    if _holds_sizes(parts):  # such as an unknown size of a batch
        with WIDE(np.dtype(kind).itemsize == 8):
            return Tensor(jnp.arange(*parts).astype(kind))
    first, last, step = (_only_number(p).astype(kind) for p in parts)
    if not step or (first > last if step > 0 else first < last):
        raise InvalidArgumentError(
            f"delta must lead from start to limit. Received: {start=}, {limit=}, {delta=}"
        )
    if first.dtype.kind in "iu":  # Python's integers do not overflow
        count = -((int(first) - int(last)) // int(step))
    else:
        count = max(int(np.ceil(np.abs((last - first) / step))), 0)
    _check_size((count,))
    return constant(first + np.arange(count).astype(kind) * step)


def _only_number(value: Any) -> np.ndarray:
    array = np.asarray(value)
    if array.shape not in ((), (1,)):
        raise InvalidArgumentError(f"A single number was expected. Received: {value}")
    return array.reshape(())


# -- reductions that are not in `table.py` ---------------------------------------------------------


def _arg(name: str, fn: Callable, worst: float, *more: dtypes.DType) -> Callable:
    def arg(
        input: Any, axis: Any = None, output_type: Any = dtypes.int64, name: Any = None
    ) -> Tensor:
        kind = index_dtype(arg.__name__, output_type, *more).as_numpy_dtype
        return run(
            pick, (_as_operand(input),), (0 if axis is None else static(axis), kind), constant=(0,)
        )

    def pick(x: Any, axis: int, kind: Any) -> Any:
        with WIDE(True):
            if x.dtype.kind == "f":  # comparisons with NaN are false
                x = jnp.where(jnp.isnan(x), worst, x)
            # 32-bit indices, since programs with 64-bit ones compile within this block only.
            return fn(jnp.asarray(x), axis, dtype=np.int32).astype(kind)

    arg.__name__ = arg.__qualname__ = name
    arg.__doc__ = f"Where along an axis the value is that of reduce_{name[3:]}."
    return arg


argmax = _arg("argmax", cpu_argmax.argmax, -math.inf, dtypes.int16, dtypes.uint16)
argmin = _arg("argmin", cpu_argmax.argmin, math.inf)


@operation("cumsum", "x")
def cumsum(x: Any, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Any:
    """The cumulative sums along an axis.

    >>> tf.cumsum([1, 2, 3], 0, exclusive=True).numpy().tolist()
    [0, 1, 3]
    """
    return _cumulative(jnp.cumsum, 0, x, axis, exclusive, reverse)


@operation("cumprod", "x")
def cumprod(x: Any, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Any:
    """The cumulative products along an axis.

    >>> tf.math.cumprod([1, 2, 3]).numpy().tolist()
    [1, 2, 6]
    """
    return _cumulative(jnp.cumprod, 1, x, axis, exclusive, reverse)


def _cumulative(fn: Callable, first: int, x: Any, axis: int, exclusive: bool, reverse: bool) -> Any:
    table.check_kind(f"math.{fn.__name__}", x, "b")
    x = jnp.flip(x, axis) if reverse else x
    out = fn(x, axis=axis, dtype=x.dtype)
    if exclusive:
        out = jnp.roll(out, 1, axis).at[(slice(None),) * (axis % x.ndim) + (0,)].set(first)
    return jnp.flip(out, axis) if reverse else out


@operation("reduce_euclidean_norm", "input_tensor")
def reduce_euclidean_norm(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The square root of the sum of squares.

    >>> tf.math.reduce_euclidean_norm([[3.0, 4.0], [0.0, 1.0]], 1).numpy().tolist()
    [5.0, 1.0]
    """
    total = jnp.sum(jnp.real(x * jnp.conj(x)), axis=axis, keepdims=keepdims)
    return jnp.sqrt(total.astype(float) if x.dtype.kind in "iu" else total).astype(x.dtype)


def count_nonzero(
    input: Any,
    axis: Any = None,
    keepdims: Any = None,
    dtype: Any = dtypes.int64,
    name: str | None = None,
) -> Tensor:
    """The number of elements that are not 0.

    >>> tf.math.count_nonzero([[0, 1], [2, 3]], 1).numpy().tolist()
    [1, 2]
    """
    kind = _as_operand(input).dtype
    zero = "" if kind == dtypes.string else False if kind == dtypes.bool else 0
    return reduce_sum(cast(not_equal(input, zero), dtype), axis, bool(keepdims))


@operates
def add_n(inputs: Sequence[Any], name: str | None = None) -> Tensor:
    """The sum of several tensors of one shape and dtype.

    >>> tf.add_n([[1.0, 2.0], [3.0, 4.0]]).numpy().tolist()
    [4.0, 6.0]
    """
    given = [_as_operand(x) for x in inputs]
    if not given:
        raise ValueError("tf.add_n: inputs must have at least one tensor. Received an empty list.")
    same_dtype("add_n", given)
    if len(shapes := {tuple(x.shape) for x in given}) > 1:
        raise InvalidArgumentError(f"tf.add_n: inputs must have the same shape. Received {shapes}")
    return run(_sum_of, given) if len(given) > 1 else convert_to_tensor(given[0])


def _sum_of(*values: Any) -> Any:
    table.check_kind("add_n", values[0], "b")
    return functools.reduce(jnp.add, values)


# -- rearranging ------------------------------------------------------------------------------


@operation("transpose", "a")
@moves
def transpose(a: Any, perm: Any = None, conjugate: bool = False, name: str = "transpose") -> Any:
    """The tensor with its axes in another order, by default reversed.

    >>> tf.transpose([[1, 2], [3, 4]], [1, 0]).numpy().tolist()
    [[1, 3], [2, 4]]
    """
    out = jnp.transpose(a, perm)
    return jnp.conj(out) if conjugate else out


@operation("reshape", "tensor")
def reshape(x: Any, shape: Any) -> Any:
    """The same elements in another shape; one size may be -1.

    Raises InvalidArgumentError for a shape of another number of elements.

    >>> tf.reshape([1, 2, 3, 4], [2, -1]).numpy().tolist()
    [[1, 2], [3, 4]]
    """
    wanted = shape if isinstance(shape, tuple) else (shape,)
    if all(isinstance(n, int) for n in (*wanted, *x.shape)):
        known, count = math.prod(n for n in wanted if n != -1), math.prod(x.shape)
        if known != count if -1 not in wanted else known and count % known:
            raise InvalidArgumentError(
                f"tf.reshape: a tensor of shape {tuple(x.shape)} has {count} elements, which do "
                f"not fit shape {wanted}."
            )
        if -1 in wanted and not known:  # the sizes that are not 0 give the unknown one
            given, left = (math.prod(n for n in s if n > 0) for s in (x.shape, wanted))
            shape = tuple(given // left if n == -1 else n for n in wanted)
    return x.reshape(shape) if x.dtype.kind == "O" else jnp.reshape(x, shape)


@operation("expand_dims", "input")
@moves
def expand_dims(x: Any, axis: int) -> Any:
    """The tensor with an additional axis of size 1 at `axis`.

    >>> tf.expand_dims([1, 2], 0).numpy().tolist()
    [[1, 2]]
    """
    if isinstance(axis, tuple):
        if len(axis) != 1:
            raise InvalidArgumentError(f"axis must be one number. Received: {axis}")
        axis = axis[0]
    return jnp.expand_dims(x, axis)


@operation("squeeze", "input")
@moves
def squeeze(x: Any, axis: Any = None) -> Any:
    """The tensor without axes of size 1.

    >>> tf.squeeze([[[1], [2]]], [0]).numpy().tolist()
    [[1], [2]]
    """
    return jnp.squeeze(x, None if axis == () else axis)  # in TensorFlow, no axes stand for all


@operation("broadcast_to", "input")
@moves
def broadcast_to(x: Any, shape: Any) -> Any:
    """The tensor broadcast to a shape.

    >>> tf.broadcast_to([1, 2], [2, 2]).numpy().tolist()
    [[1, 2], [1, 2]]
    """
    _check_size(shape)
    return jnp.broadcast_to(x, shape)


def _check_size(shape: Any) -> None:
    """Refuses shapes of more elements than can be addressed, for which XLA ends the process, and
    those for which no machine has the memory."""
    sizes = shape if isinstance(shape, (tuple, list)) else ()
    known = all(isinstance(n, (int, np.integer)) for n in sizes)
    count = math.prod(map(int, sizes)) if known else 0
    if count >= 1 << 46:
        kind = InvalidArgumentError if count >= 1 << 60 else ResourceExhaustedError
        raise kind(f"There is no memory for a tensor of the shape {shape}.")


@operation("tile", "input")
@moves
def tile(x: Any, multiples: Any) -> Any:
    """The tensor repeated several times along each axis.

    >>> tf.tile([[1, 2]], [2, 2]).numpy().tolist()
    [[1, 2, 1, 2], [1, 2, 1, 2]]
    """
    if len(multiples) != x.ndim:
        raise InvalidArgumentError(
            f"multiples must have a number for each of {x.ndim} axes. Received: {list(multiples)}"
        )
    _check_size([n * m for n, m in zip(x.shape, multiples)])
    return jnp.tile(x, multiples)


@operation("repeat", "input")
@moves
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """The tensor with each element repeated.

    >>> tf.repeat([1, 2], [2, 3]).numpy().tolist()
    [1, 1, 2, 2, 2]
    """
    return jnp.repeat(x, np.asarray(repeats), axis=axis)


@operation("reverse", "tensor")
def reverse(x: Any, axis: Any) -> Any:
    """The tensor with elements in reversed order along the axes.

    >>> tf.reverse([[1, 2], [3, 4]], [1]).numpy().tolist()
    [[2, 1], [4, 3]]
    """
    if type(x) is np.ndarray:
        return np.flip(x, axis)
    return jnp.flip(x, axis)


@operation("roll", "input")
@moves
def roll(x: Any, shift: Any, axis: Any) -> Any:
    """The tensor with elements shifted cyclically along the axes.

    >>> tf.roll([1, 2, 3], 1, 0).numpy().tolist()
    [3, 1, 2]
    """
    return jnp.roll(x, shift, axis)


def pad(
    tensor: Any,
    paddings: Any,
    mode: str = "CONSTANT",
    constant_values: Any = 0,
    name: str | None = None,
) -> Tensor:
    """The tensor padded by `paddings[i] = (before, after)` elements along axis `i`.

    >>> tf.pad([[1, 2]], [[1, 0], [0, 1]]).numpy().tolist()
    [[0, 0, 0], [1, 2, 0]]
    """
    tensor = _as_operand(tensor)
    sizes = np.shape(static(paddings))
    if sizes not in ((tensor.shape.rank, 2), (0,)[: 1 - tensor.shape.rank]):
        raise InvalidArgumentError(
            f"tf.pad: paddings must have the shape ({tensor.shape.rank}, 2). Received: {sizes}"
        )
    if mode.lower() not in ("constant", "reflect", "symmetric"):
        raise ValueError(
            f"tf.pad: mode must be CONSTANT, REFLECT or SYMMETRIC. Received: mode={mode!r}"
        )
    if not tensor.shape.rank:
        return tensor
    rest = (static(paddings), mode.lower())
    if dtypes.as_dtype(tensor.dtype) is dtypes.string:
        text = _as_operand("" if isinstance(constant_values, int) else constant_values)
        return run(_pad, (tensor, text), rest)
    return run(_pad, (tensor,), (static(constant_values), *rest))


@moves
def _pad(x: Any, value: Any, paddings: Any, mode: str) -> Any:
    most = [n - (mode == "reflect") if isinstance(n, int) else np.inf for n in x.shape]
    short = mode != "constant" and any(max(p) > n for p, n in zip(paddings, most))
    if len(paddings) != x.ndim or short:
        raise ValueError(f"{mode}: paddings={paddings} do not fit an array of shape {x.shape}.")
    _check_size([n + sum(p) for n, p in zip(x.shape, paddings) if isinstance(n, int)])
    return jnp.pad(x, paddings, mode, **({"constant_values": value} if mode == "constant" else {}))


@operates
def concat(values: Any, axis: Any, name: str = "concat") -> Tensor:
    """Tensors concatenated along an axis.

    >>> tf.concat([[1, 2], [3]], 0).numpy().tolist()
    [1, 2, 3]
    """
    at = int(_only_number(static(axis)))
    if isinstance(values, (np.ndarray, Tensor, nnx.Variable, Structure)):
        return identity(values)  # one tensor is not a list of its rows
    return run(_concat, joined("concat", values), (), {"axis": at})


def _concat(*values: Any, axis: int) -> Any:
    if all(map(_is_on_host, values)) and sum(v.size for v in values) <= _FEW:
        with contextlib.suppress(ValueError):  # JAX says what does not fit
            return put(np.concatenate(values, axis))  # a list may grow: no program for each length
    return library(values).concatenate(values, axis)


_FEW = 2**16  # numbers, which numpy copies in less time than JAX compiles a program


def _is_on_host(value: Any) -> bool:
    return host.is_here(value) and value.device == jax.local_devices()[0]


@operates
def stack(values: Any, axis: Any = 0, name: str = "stack") -> Tensor:
    """Tensors of one shape, stacked along a new axis.

    >>> tf.stack([[1, 2], [3, 4]], 1).numpy().tolist()
    [[1, 3], [2, 4]]
    """
    return stacked(values, static(axis))


def meshgrid(*args: Any, **kwargs: Any) -> list[Tensor]:
    """The coordinates of a grid: one tensor of the grid's shape for each vector.

    Args:
        indexing: `"xy"`, in which the first axis is that of the second vector, or `"ij"`.

    >>> [t.numpy().tolist() for t in tf.meshgrid([1, 2], [3, 4])]
    [[[1, 2], [1, 2]], [[3, 3], [4, 4]]]
    """
    indexing = kwargs.pop("indexing", "xy")
    kwargs.pop("name", None)
    if kwargs:
        raise TypeError(f"tf.meshgrid() got an unexpected keyword argument {min(kwargs)!r}")
    if not args:
        return []
    given = [convert_to_tensor(vector) for vector in args]
    same_dtype("meshgrid", given)
    return run(_meshgrid, given, (), {"indexing": indexing})


@moves
def _meshgrid(*values: Any, indexing: str) -> Any:
    return list(jnp.meshgrid(*map(jnp.ravel, values), indexing=indexing))


documentation.describe(globals())
