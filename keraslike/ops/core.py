"""Conversion, control flow and updates of parts of arrays."""

from __future__ import annotations

import builtins
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from keraslike.core import context, dtypes, foreign, sparsity
from keraslike.core.arguments import unsupported
from keraslike.core.boxed import dispatcher, is_boxed
from keraslike.core.methods import DecoratedMethod, is_in_class_body
from keraslike.core.operation import FunctionOperation, op
from keraslike.core.probing import InvalidForAllSizes
from keraslike.core.structures import keeping_order, ordered
from keraslike.core.symbolic import KerasTensor
from keraslike.core.text import as_bytes
from keraslike.ops.wrap import array, found, integers, public, steps


@op
def cast(x: Any, dtype: Any) -> jax.Array:
    """The values in another dtype.

    >>> cast([1.5, 2.0], "int32").tolist()
    [1, 2]
    """
    dtype = dtypes.standardize_dtype(dtype)
    return sparsity.cast(x, dtype) if sparsity.is_sparse(x) else array(x).astype(dtype)


@op
def saturate_cast(x: Any, dtype: Any) -> jax.Array:
    """Like `cast`, but values out of range become the nearest value of the dtype.

    >>> saturate_cast([-5, 300], "uint8").tolist()
    [0, 255]
    """
    x, dtype = array(x), jnp.dtype(dtypes.standardize_dtype(dtype))
    if jnp.bool_ in (dtype, x.dtype):
        return x.astype(dtype)
    info = jnp.finfo if jnp.issubdtype(dtype, jnp.floating) else jnp.iinfo
    low, high = float(info(dtype).min), float(info(dtype).max)
    if jnp.issubdtype(x.dtype, jnp.integer):
        own = jnp.iinfo(x.dtype)
        low, high = builtins.max(low, own.min), builtins.min(high, own.max)
        return jnp.clip(x, builtins.int(low), builtins.int(high)).astype(dtype)
    # The limits may not be representable in the dtype of x; the nearest representable number is
    # within them.
    kind = np.dtype(x.dtype) if x.dtype != jnp.bfloat16 else np.dtype("float32")
    bounds = np.array([low, high]).clip(
        float(jnp.finfo(x.dtype).min), float(jnp.finfo(x.dtype).max)
    )
    bounds = bounds.astype(kind)
    outside = [float(bounds[0]) < low, float(bounds[1]) > high]
    bounds = np.where(outside, np.nextafter(bounds, np.zeros_like(bounds)), bounds)
    return jnp.clip(x, bounds[0], bounds[1]).astype(dtype)


def convert_to_tensor(
    x: Any, dtype: Any = None, sparse: bool | None = None, ragged: bool | None = None
) -> Any:
    """A JAX array of an array, a Variable, a number or a list; a KerasTensor stays one.

    A sparse array stays sparse unless `sparse` is `False`. Text, which layers and models take but
    JAX does not, becomes an array of numpy.

    >>> convert_to_tensor([1.0, 2.0]).shape
    (2,)
    """
    unsupported(ragged=ragged)
    if sparse is False:
        if isinstance(x, KerasTensor) and x.sparse:
            x = FunctionOperation(convert_to_tensor)(x, sparse=False)
        x = sparsity.dense(x)
    if dtype is not None and dtype != "string":
        return cast(x, dtype)
    if isinstance(x, KerasTensor) or sparsity.is_sparse(x) or is_boxed(x):
        return x
    dispatch = dispatcher((x,), {})
    try:
        return array(x) if dispatch is None else dispatch(array, (x,), {})
    except TypeError:
        if isinstance(x, (jax.Array, dict)) or as_bytes(np.asarray(x, object)) is None:
            raise
        return np.asarray(x)


def convert_to_numpy(x: Any) -> np.ndarray:
    """A copy of the values as a numpy array on the host.

    >>> convert_to_numpy(jnp.ones(2)).tolist()
    [1.0, 1.0]
    """
    if isinstance(x, KerasTensor):
        raise ValueError(f"x is symbolic and has no values. Received: x={x!r}")
    return np.array(x if isinstance(x, np.ndarray) else array(x))


def is_tensor(x: Any) -> bool:
    """Whether a value is a JAX array, a sparse one included.

    >>> is_tensor(jnp.ones(2)), is_tensor([1.0])
    (True, False)
    """
    return isinstance(x, jax.Array) or sparsity.is_sparse(x)


def shape(x: Any) -> tuple[Any, ...]:
    """The sizes along the axes: integers, or `None` for an unknown size of a symbolic tensor.

    >>> shape(jnp.ones((2, 3)))
    (2, 3)
    """
    has_no_values = isinstance(x, KerasTensor) or foreign.is_in_graph(x)
    return tuple(x.shape if has_no_values or sparsity.is_sparse(x) else array(x).shape)


def dtype(x: Any) -> str:
    """The name of the dtype.

    >>> dtype(jnp.ones(2))
    'float32'
    """
    return dtypes.standardize_dtype(x.dtype if hasattr(x, "dtype") else array(x).dtype)


@op
def stop_gradient(variable: Any) -> jax.Array:
    """The values, as a constant of which no gradient is taken.

    >>> float(jax.grad(lambda x: x * stop_gradient(x))(3.0))
    3.0
    """
    return jax.lax.stop_gradient(array(variable))


@op
def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[jax.Array]:
    """The parts along an axis, without that axis.

    >>> [part.tolist() for part in unstack([[1, 2], [3, 4]])]
    [[1, 2], [3, 4]]
    """
    x = array(x)
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"axis {axis} is out of bounds for an array of shape {x.shape}.")
    size = x.shape[axis]
    if not isinstance(size, int):
        if num is None:
            raise InvalidForAllSizes(f"Cannot infer argument `num` from shape {x.shape}.")
        size = num
    if num is not None and num != size:
        raise ValueError(f"num must be the size along axis {axis}, {size}. Received: {num}")
    return [jnp.take(x, i, axis) for i in range(steps(num=size))]


# -- control flow -----------------------------------------------------------------------------


@op
def cond(pred: Any, true_fn: Callable, false_fn: Callable) -> Any:
    """`true_fn()` if `pred` holds, else `false_fn()`; under `jit` too, where both are compiled.

    >>> float(cond(True, lambda: jnp.float32(1), lambda: jnp.float32(2)))
    1.0
    """
    if isinstance(pred, (bool, np.bool_)):  # The branch is known already.
        return true_fn() if pred else false_fn()
    try:
        return jax.lax.cond(array(pred), ordered(true_fn), ordered(false_fn))
    except TypeError:
        kinds = [jax.tree.map(jnp.shape, jax.eval_shape(f)) for f in (true_fn, false_fn)]
        if kinds[0] == kinds[1]:
            raise
    raise ValueError(
        "`true_fn` and `false_fn` must give outputs of the same structure and shapes. "
        f"Received: {kinds[0]} and {kinds[1]}"
    )


@op
def switch(index: Any, branches: Sequence[Callable], *operands: Any) -> Any:
    """`branches[index](*operands)`, with the index clamped to the valid range.

    >>> switch(1, [lambda x: x + 1, lambda x: x * 10], 2.0).tolist()
    20.0
    """
    branches, given = [ordered(branch) for branch in branches], keeping_order(operands)
    return jax.lax.switch(integers(index), branches, *given)


@op
def while_loop(
    cond: Callable, body: Callable, loop_vars: Any, maximum_iterations: int | None = None
) -> Any:
    """`loop_vars = body(*loop_vars)` while `cond(*loop_vars)`, at most `maximum_iterations` times.

    >>> int(while_loop(lambda i: i < 10, lambda i: (i + 3,), (0,))[0])
    12
    """
    several = isinstance(loop_vars, (list, tuple))
    start = tuple(loop_vars) if several else (loop_vars,)

    def go_on(carry: Any) -> Any:
        count, values = carry
        wanted = cond(*values)
        return wanted if maximum_iterations is None else wanted & (count < maximum_iterations)

    def step(carry: Any) -> Any:
        count, values = carry
        new = body(*values)
        return count + 1, tuple(new) if isinstance(new, (list, tuple)) else (new,)

    _, values = jax.lax.while_loop(go_on, ordered(step), keeping_order((0, start)))
    return values if several else values[0]


@op
def fori_loop(lower: Any, upper: Any, body_fun: Callable, init_val: Any) -> Any:
    """`value = body_fun(i, value)` for every `i` from `lower` to before `upper`.

    >>> int(fori_loop(0, 4, lambda i, total: total + i, 0))
    6
    """
    return jax.lax.fori_loop(lower, upper, ordered(body_fun), keeping_order(init_val))


@op
def scan(
    f: Callable,
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
) -> tuple[Any, Any]:
    """`carry, y = f(carry, x)` along the first axis of `xs`; returns the last carry and all `y`.

    >>> total, sums = scan(lambda c, x: (c + x, c + x), 0.0, jnp.array([1.0, 2.0]))
    >>> float(total), sums.tolist()
    (3.0, [1.0, 3.0])
    """
    if not callable(f):
        raise TypeError(f"`f` should be a callable. Received: f={f!r}")
    if not isinstance(unroll, bool) and (not isinstance(unroll, int) or unroll < 1):
        raise ValueError(
            f"`unroll` must be an positive integer or boolean. Received: unroll={unroll!r}"
        )
    if xs is None and length is None:
        raise ValueError("There is no `xs` to scan over and no `length`: give one of them.")
    return jax.lax.scan(ordered(f), keeping_order(init), keeping_order(xs), length, reverse, unroll)


@op
def associative_scan(f: Callable, elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """A scan with an associative function of two elements, computed in logarithmic depth.

    >>> associative_scan(jnp.add, jnp.array([1, 2, 3])).tolist()
    [1, 3, 6]
    """
    return jax.lax.associative_scan(ordered(f), keeping_order(elems), reverse, axis)


@op
def map(f: Callable, xs: Any) -> Any:
    """`f` of each element along the first axis, one after another.

    >>> map(lambda x: x + 1, jnp.array([1, 2])).tolist()
    [2, 3]
    """
    return jax.lax.map(ordered(f), keeping_order(xs))


@op
def vectorized_map(function: Callable, elements: Any) -> Any:
    """`function` of each element along the first axis, all at once.

    >>> vectorized_map(lambda x: x + 1, jnp.array([1, 2])).tolist()
    [2, 3]
    """
    return jax.vmap(ordered(function))(keeping_order(elements))


# -- parts of arrays --------------------------------------------------------------------------


@op
def scatter(indices: Any, values: Any, shape: Sequence[int]) -> jax.Array:
    """Zeros with values added at indices, `indices[..., :]` being the coordinates of one.

    >>> scatter([[0], [2]], [5.0, 6.0], (3,)).tolist()
    [5.0, 0.0, 6.0]
    """
    values, places = array(values), _coordinates(indices)
    if len(places) > len(shape):
        raise ValueError(
            f"indices has {len(places)} coordinates for each value, more than there are axes in "
            f"shape={tuple(shape)}"
        )
    return jnp.zeros(tuple(shape), values.dtype).at[places].add(values)


@op
def scatter_update(
    inputs: Any, indices: Any, updates: Any, reduction: str | None = None
) -> jax.Array:
    """`inputs` with values at indices replaced by `updates`, or combined with them.

    Args:
        inputs: the array; it is not changed.
        indices: `(n, rank)`, the coordinates of each place.
        updates: `n` values (or parts).
        reduction: `None`, `"add"`, `"mul"`, `"max"` or `"min"`.

    >>> scatter_update([1.0, 2.0], [[1]], [9.0]).tolist()
    [1.0, 9.0]
    """
    methods = {None: "set", "add": "add", "mul": "multiply", "max": "max", "min": "min"}
    if reduction not in methods:
        raise ValueError(f"reduction must be one of {list(methods)}. Received: {reduction!r}")
    x, places, updates = array(inputs), integers(indices), array(updates)
    try:
        return getattr(x.at[_coordinates(places)], methods[reduction])(updates)
    except (TypeError, ValueError):
        # The numbers of updates and of indices are equal, whatever formulas of unknown sizes say.
        sizes = (*x.shape, *places.shape, *updates.shape)
        if context.state.symbolic and not all(isinstance(n, int) for n in sizes):
            return x
        raise


def _coordinates(indices: Any) -> tuple[jax.Array, ...]:
    return tuple(jnp.moveaxis(integers(indices), -1, 0))


@op
def slice(inputs: Any, start_indices: Any, shape: Sequence[int]) -> jax.Array:
    """The part of a given shape that begins at indices; a size of -1 extends to the end.

    >>> slice([1.0, 2.0, 3.0], (1,), (2,)).tolist()
    [2.0, 3.0]
    """
    x = array(inputs)
    if len(shape) != x.ndim:
        raise ValueError(
            "The number of dimensions in `inputs` must match the number of dimensions in `shape`. "
            f"Received: inputs of shape {x.shape}, shape={shape}"
        )
    starts = _starts(start_indices, x)
    sizes = [n - i if s == -1 else s for i, n, s in zip(starts, x.shape, shape)]
    if context.state.symbolic and any(isinstance(s, jax.core.Tracer) for s in sizes):
        return found(*(None if isinstance(s, jax.core.Tracer) else s for s in sizes), dtype=x.dtype)
    return jax.lax.dynamic_slice(x, starts, sizes)


def _starts(start_indices: Any, x: jax.Array) -> tuple[Any, ...]:
    """An index for each axis: Python integers where they are known."""
    if not isinstance(start_indices, (list, tuple)):
        start_indices = integers(start_indices)
    starts = tuple(start_indices)
    if len(starts) != x.ndim:
        raise ValueError(
            "The number of dimensions in `start_indices` must match the number of dimensions in "
            f"`inputs`. Received: start_indices={start_indices}, inputs of shape {x.shape}"
        )
    return starts


@op
def slice_update(inputs: Any, start_indices: Any, updates: Any) -> jax.Array:
    """`inputs` with the part that begins at indices replaced.

    >>> slice_update([1.0, 2.0, 3.0], (1,), [9.0]).tolist()
    [1.0, 9.0, 3.0]
    """
    x = array(inputs)
    return jax.lax.dynamic_update_slice(x, array(updates), _starts(start_indices, x))


# -- gradients --------------------------------------------------------------------------------


def custom_gradient(f: Callable) -> Callable:
    """Decorator for a function that returns `(output, grad_fn)`: its gradient is `grad_fn`'s.

    Args:
        f: takes arrays; `grad_fn(upstream)`, or `grad_fn(*args, upstream)` with the keyword,
            gives the gradient by each argument (one, or a tuple). In the body of a class, the
            first argument is the object.

    >>> @custom_gradient
    ... def halved(x):
    ...     return x, lambda upstream: upstream / 2
    >>> float(jax.grad(halved)(3.0))
    0.5
    """

    if is_in_class_body(f):
        return DecoratedMethod(custom_gradient, f)

    def decorated(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = jax.tree.map(_value, (args, kwargs), is_leaf=_is_variable)

        def of_arrays(*args: Any) -> Any:
            output, grad_fn = f(*args, **kwargs)
            if _wants_keyword(grad_fn):
                return output, lambda upstream: grad_fn(*args, upstream=upstream)
            return output, grad_fn

        return jax.custom_gradient(of_arrays)(*args)

    decorated.__name__ = getattr(f, "__name__", "custom_gradient")
    decorated.__doc__ = f.__doc__
    decorated.__wrapped__ = f
    return op(decorated)


def _is_variable(x: Any) -> bool:
    return isinstance(x, nnx.Variable)


def _value(x: Any) -> Any:
    return x.get_value() if _is_variable(x) else x


def _wants_keyword(grad_fn: Callable) -> bool:
    upstream = inspect.signature(grad_fn).parameters.get("upstream")
    return (
        upstream is not None
        and upstream.kind is upstream.KEYWORD_ONLY
        and upstream.default is upstream.empty
    )


__all__ = public(globals())
