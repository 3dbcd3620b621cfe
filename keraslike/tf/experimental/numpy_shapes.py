"""Functions of `tf.experimental.numpy` that make arrays, or put elements in other places."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from keraslike.tf import indexing, ops, sorting, table
from keraslike.tf.conversion import static
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.experimental.numpy_values import (
    alike,
    array_of,
    at_least,
    call,
    flat,
    floats,
    is_tensor,
    kind_of,
    named,
    no_output,
    result_type,
)
from keraslike.tf.tensor import run

# -- new arrays -----------------------------------------------------------------------------------


def _made(fn: Callable) -> Callable:
    def filled(shape: Any, dtype: Any = float) -> Any:
        return array_of(fn(static(shape)), result_type(dtype or float))

    return filled


def _made_like(fn: Callable) -> Callable:
    def filled(a: Any, dtype: Any = None) -> Any:
        return fn(array_of(a) if dtype is None else array_of(a, result_type(dtype)))

    return filled


def _eye(N: Any, M: Any = None, k: int = 0, dtype: Any = float) -> Any:  # noqa: N803
    return array_of(np.eye(int(N), int(M or N), int(k)), result_type(dtype or float))


def _full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    return ops.broadcast_to(array_of(fill_value, dtype), np.atleast_1d(static(shape)).tolist())


def _full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: bool = True,
    shape: Any = None,
) -> Any:  # fmt: skip
    if order != "K" or not subok or shape:
        raise ValueError("tf.experimental.numpy.full_like: order, subok and shape are not taken.")
    a = array_of(a)
    return ops.broadcast_to(array_of(fill_value, dtype or a.dtype), a.shape)


def _new(val: Any, dtype: Any = None, copy: bool = True, ndmin: int = 0) -> Any:
    return at_least(array_of(val, None if dtype is None else result_type(dtype)), ndmin)


def _arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Any:
    if not step:
        raise ValueError("step must be non-zero.")
    given = (start, step) if stop is None else (start, step, stop)
    kind = result_type(*given) if dtype is None else result_type(dtype)
    first, last = (0, start) if stop is None else (start, stop)
    return array_of(np.arange(*map(static, (first, last, step))), kind)


def _linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False,
    dtype: Any = float, axis: int = 0,
) -> Any:  # fmt: skip
    if num < 0:
        raise ValueError(f"num must not be negative. Received: num={num}")
    a, b = map(floats, alike(start, stop))
    found = call(jnp.linspace, a, b, num=int(num), endpoint=bool(endpoint), axis=axis)
    step = (b - a) / max(num - 1 if endpoint else num, 1)
    return (found, step) if retstep else found


def _logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: float = 10.0,
    dtype: Any = None, axis: int = 0,
) -> Any:  # fmt: skip
    found = _linspace(start, stop, num, endpoint, axis=axis)
    return table.pow(array_of(base, found.dtype), found)


def _geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Any:
    kind = result_type(start, stop, float(num)) if dtype is None else named(dtype)
    wide = np.promote_types(kind.as_numpy_dtype, np.float32)
    a, b = array_of(start, wide), array_of(stop, wide)
    found = call(jnp.geomspace, a, b, num=int(num), endpoint=bool(endpoint), axis=axis)
    return ops.cast(found, kind)


def _tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:  # noqa: N803
    return array_of(np.tri(N, M, k), result_type(dtype or float))


def _meshgrid(*xi: Any, **kwargs: Any) -> Any:
    if kwargs.get("sparse", False) or not kwargs.get("copy", True):
        raise ValueError("tf.experimental.numpy.meshgrid: sparse must be False and copy True.")
    return ops.meshgrid(*map(array_of, xi), indexing=kwargs.get("indexing", "xy"))


# -- other shapes ---------------------------------------------------------------------------------


def _reshape(a: Any, newshape: Any, order: str = "C") -> Any:
    if order not in ("C", "F"):
        raise ValueError(f"order must be 'C' or 'F'. Received: order={order!r}")
    return call(jnp.reshape, array_of(a), shape=static(newshape), order=order)


def _flatten(a: Any, order: str = "C") -> Any:
    if order not in "CAKF":
        raise ValueError(f"order must be 'C', 'A', 'K' or 'F'. Received: order={order!r}")
    return _reshape(a, -1, "F" if order == "F" else "C")


def _pad(array: Any, pad_width: Any, mode: str, **kwargs: Any) -> Any:
    if mode not in ("constant", "reflect", "symmetric"):
        raise ValueError(f"Unsupported padding mode: {mode}")
    return ops.pad(array_of(array), pad_width, mode.upper(), kwargs.get("constant_values", 0))


def _take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "clip") -> Any:
    no_output(out)
    if mode not in ("clip", "wrap"):
        raise ValueError(f"mode must be 'clip' or 'wrap'. Received: mode={mode!r}")
    return call(jnp.take, array_of(a), array_of(indices), axis=axis, mode=mode)


def _compress(condition: Any, a: Any, axis: Any = None) -> Any:
    condition, a = array_of(condition, np.bool_), array_of(a)
    if len(condition.shape) != 1:
        raise ValueError("condition must be a 1-d array.")
    if axis is None:
        a, axis = flat(a), 0
    missing = a.shape[axis] - condition.shape[0]
    mask = ops.pad(condition, [[0, missing]]) if missing > 0 else condition
    return indexing.boolean_mask(a, mask, axis=axis % len(a.shape))


def _where(condition: Any, x: Any = None, y: Any = None) -> Any:
    condition = array_of(condition, np.bool_)
    if x is None and y is None:
        return _nonzero(condition)
    if x is None or y is None:
        raise ValueError("Both x and y must be given, or neither.")
    return indexing.where(condition, *alike(x, y))


def _nonzero(a: Any) -> Any:
    a = at_least(array_of(a, np.bool_), 1)
    return indexing.unstack(indexing.where(a), axis=1)


def _select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    if not condlist or len(condlist) != len(choicelist):
        raise ValueError(
            "condlist and choicelist must have the same length, of at least 1. Received: "
            f"{len(condlist)} and {len(choicelist)}"
        )
    found, *choices = alike(default, *choicelist)
    for condition, choice in zip(condlist[::-1], choices[::-1]):
        found = _where(condition, choice, found)
    return found


def _concatenate(arys: Any, axis: Any = 0) -> Any:
    arys = arys if isinstance(arys, (list, tuple)) else [arys]
    if not arys:
        raise ValueError("Need at least one array to concatenate.")
    return ops.concat(alike(*arys), axis)


def _append(arr: Any, values: Any, axis: Any = None) -> Any:
    given = (arr, values) if axis is not None else map(flat, map(array_of, (arr, values)))
    return _concatenate(list(given), axis or 0)


def _stacked(fn: Callable) -> Callable:
    def of_arrays(tup: Any) -> Any:
        return run(lambda *arrays: fn(arrays), alike(*tup), lasting=False, name=fn.__name__)

    return of_arrays


def _stack(arrays: Any, axis: int = 0) -> Any:
    return ops.stack(alike(*arrays), axis)


def _ranked(fn: Callable) -> Callable:
    def of_arrays(*arys: Any) -> Any:
        found = [call(fn, array_of(x)) for x in arys]
        return found[0] if len(found) == 1 else found

    return of_arrays


def _split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    ary = array_of(ary)
    parts = static(indices_or_sections)
    if isinstance(parts, int) and ary.shape[axis] % parts:
        raise InvalidArgumentError(
            f"An axis of size {ary.shape[axis]} cannot be split into {parts} equal parts."
        )
    if isinstance(parts, tuple):
        if any(a > b for a, b in itertools.pairwise(parts)):
            raise ValueError(f"indices_or_sections must not decrease. Received: {parts}")
        parts = tuple(min(place, ary.shape[axis]) for place in parts)
    return list(call(jnp.split, ary, indices_or_sections=parts, axis=axis))


def _split_along(axis: int) -> Callable:
    def parts(ary: Any, indices_or_sections: Any) -> Any:
        ary = array_of(ary)
        along = 0 if len(ary.shape) == 1 and axis == 1 else axis
        parts = static(indices_or_sections)
        if isinstance(parts, int) and ary.shape[along] % parts:
            raise ValueError("array split does not result in an equal division")
        return _split(ary, parts, along)

    return parts


def _sort(a: Any, axis: Any = -1, kind: str = "quicksort", order: Any = None) -> Any:
    if kind != "quicksort" or order is not None:
        raise ValueError(f"kind must be 'quicksort' and order None. Received: {kind!r}, {order!r}")
    a = array_of(a)
    return sorting.sort(flat(a), 0) if axis is None else sorting.sort(a, axis)


def _argsort(a: Any, axis: Any = -1, kind: str = "quicksort", order: Any = None) -> Any:
    if kind not in ("quicksort", "stable") or order is not None:
        raise ValueError(
            f"kind must be 'quicksort' or 'stable', and order None. Received: {kind!r}, {order!r}"
        )
    a = array_of(a)
    if np.issubdtype(kind_of(a), np.complexfloating):
        raise TypeError(f"argsort does not take complex numbers. Received: {a.dtype}")
    a = at_least(a, 1)
    found = sorting.argsort(flat(a), 0) if axis is None else sorting.argsort(a, axis)
    return array_of(found, result_type(int))


def _ix(*args: Any) -> list[Any]:
    found = []
    for i, arg in enumerate(map(array_of, args)):
        if len(arg.shape) != 1 or kind_of(arg).kind not in "biu":
            raise ValueError(f"Arguments must be 1-d integers or bools. Received: {arg!r}")
        arg = _nonzero(arg)[0] if kind_of(arg).kind == "b" else arg
        found.append(ops.reshape(arg, [-1 if i == j else 1 for j in range(len(args))]))
    return found


def _size(x: Any, axis: Any = None) -> Any:
    if axis is not None:
        raise NotImplementedError("tf.experimental.numpy.size: axis must be None.")
    if isinstance(x, (int, float)):
        return 1
    return np.prod(array_of(x).shape, dtype=int)


def _isscalar(val: Any) -> bool:
    return not val.shape if is_tensor(val) else np.isscalar(val)


def get_item(x: Any, key: Any) -> Any:
    """A part of a tensor, as numpy finds it: keys may be lists, arrays and masks, too."""
    keys = key if isinstance(key, tuple) else (key,)
    several = (list, tuple, np.ndarray)
    if not any(isinstance(k, several) or getattr(k, "shape", ()) for k in keys):
        return indexing.get_item(x, key)
    places: list[Any] = []
    for k in keys:
        if isinstance(k, several) or is_tensor(k):
            k = array_of(k)
            places += _nonzero(k) if kind_of(k).kind == "b" else [k]
        else:
            places.append(k)
    arrays = [k for k in places if is_tensor(k)]
    plain = tuple(None if is_tensor(k) else (k,) for k in places)

    def found(x: Any, *given: Any) -> Any:
        left = iter(given)
        return x[tuple(next(left) if k is None else k[0] for k in plain)]

    return run(found, (x, *arrays), lasting=False, name="getitem")


def _broadcast(*arrays: Any) -> Any:
    return run(lambda *given: tuple(jnp.broadcast_arrays(*given)), arrays, lasting=False)


def _by_jax(name: str) -> Callable:
    """The function of `jax.numpy` of this name, whose leading arguments are arrays."""
    fn = getattr(jnp, name)
    signature = inspect.signature(fn)
    count = 2 if name == "take_along_axis" else 1

    def of_array(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        arrays = [array_of(given.pop(n)) for n in list(signature.parameters)[:count]]
        return call(fn, *arrays, **given)

    of_array.__signature__ = signature  # type: ignore[attr-defined]
    return of_array


_BY_JAX = (
    "diag diagflat diagonal diff expand_dims flip fliplr flipud moveaxis roll rot90 squeeze "
    "swapaxes take_along_axis tile transpose tril triu vander"
)
# Name: the function, with numpy's arguments.
FUNCTIONS: dict[str, Callable] = {
    **{name: _by_jax(name) for name in _BY_JAX.split()},
    "append": _append,
    "arange": _arange,
    "argsort": _argsort,
    "array": _new,
    "asarray": lambda a, dtype=None: array_of(a, dtype and result_type(dtype)),
    "ascontiguousarray": lambda a, dtype=None: _new(a, dtype, ndmin=1),
    **{f"atleast_{n}d": _ranked(getattr(jnp, f"atleast_{n}d")) for n in (1, 2, 3)},
    "broadcast_arrays": lambda *args: list(_broadcast(*map(array_of, args))),
    "broadcast_to": lambda array, shape: _full(shape, array),
    "compress": _compress,
    "concatenate": _concatenate,
    "copy": lambda a: ops.identity(array_of(a)),
    "diag_indices": lambda n, ndim=2: (ops.range(n),) * ndim,
    **{f"{c}split": _split_along(axis) for axis, c in enumerate("vhd")},
    **{f"{c}stack": _stacked(getattr(jnp, f"{c}stack")) for c in "vhd"},
    "empty": _made(np.zeros),
    "empty_like": _made_like(table.zeros_like),
    "eye": _eye,
    "flatten": _flatten,
    "full": _full,
    "full_like": _full_like,
    "geomspace": _geomspace,
    "identity": lambda n, dtype=float: _eye(n, n, dtype=dtype),
    "isscalar": _isscalar,
    "ix_": _ix,
    "linspace": _linspace,
    "logspace": _logspace,
    "meshgrid": _meshgrid,
    "ndim": lambda a: len(array_of(a).shape),
    "nonzero": _nonzero,
    "ones": _made(np.ones),
    "ones_like": _made_like(table.ones_like),
    "pad": _pad,
    "positive": array_of,
    "ravel": lambda a: flat(array_of(a)),
    "repeat": lambda a, repeats, axis=None: ops.repeat(array_of(a), repeats, axis),
    "reshape": _reshape,
    "select": _select,
    "shape": lambda a: array_of(a).shape,
    "size": _size,
    "sort": _sort,
    "split": _split,
    "stack": _stack,
    "take": _take,
    "tri": _tri,
    "where": _where,
    "zeros": _made(np.zeros),
    "zeros_like": _made_like(table.zeros_like),
}
