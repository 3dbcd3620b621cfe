"""Slicing, masking, gather and scatter, with TensorFlow's rules."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from keraslike.core.boxed import note_rows
from keraslike.ops.wrap import check_index
from keraslike.tf import documentation, dtypes, effects, recording
from keraslike.tf.conversion import (
    _as_operand,
    constant,
    static,
)
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.moves import is_text, moves
from keraslike.tf.operation import operands, operation
from keraslike.tf.ops import cast, reshape, zeros
from keraslike.tf.structure import host, operates
from keraslike.tf.tensor import Tensor, array_in, raw, run


def slice_(input_: Any, begin: Any, size: Any, name: str | None = None) -> Tensor:
    """The slice that begins at `begin`, of `size` along each axis; -1 stands for the rest.

    >>> tf.slice([[1, 2, 3], [4, 5, 6]], [0, 1], [2, -1]).numpy().tolist()
    [[2, 3], [5, 6]]
    """
    begin, size = static(begin), static(size)
    for axis, (b, s, n) in enumerate(zip(begin, size, tuple(_as_operand(input_).shape))):
        if isinstance(n, int) and not (0 <= b <= n and -1 <= s <= n - b):
            raise InvalidArgumentError(
                f"begin[{axis}]={b} and size[{axis}]={s} are not within an axis of size {n}."
            )
    return get_item(
        input_, tuple(slice(b, None if s == -1 else b + s) for b, s in zip(begin, size))
    )


def strided_slice(
    input_: Any,
    begin: Any,
    end: Any,
    strides: Any = None,
    begin_mask: int = 0,
    end_mask: int = 0,
    ellipsis_mask: int = 0,
    new_axis_mask: int = 0,
    shrink_axis_mask: int = 0,
    var: Any = None,
    name: str | None = None,
) -> Tensor:
    """The slice `input_[begin:end:strides]`, along each axis.

    Args:
        begin_mask, end_mask: bits of the axes along which `begin`, or `end`, is ignored.
        ellipsis_mask, new_axis_mask, shrink_axis_mask: bits of the positions in the key that are
            `...`, `tf.newaxis`, or the integer index `begin`.

    >>> strided_slice([1, 2, 3, 4], [0], [4], [2]).numpy().tolist()
    [1, 3]
    """
    begin, end = static(begin), static(end)
    steps = (1,) * len(begin) if strides is None else static(strides)
    key: list[Any] = []
    for i, (first, last, step) in enumerate(zip(begin, end, steps)):
        bit = 1 << i
        if ellipsis_mask & bit:
            key.append(Ellipsis)
        elif new_axis_mask & bit:
            key.append(None)
        elif shrink_axis_mask & bit:
            key.append(first)
        else:
            start = None if begin_mask & bit else first
            key.append(slice(start, None if end_mask & bit else last, step))
    return get_item(input_, tuple(key))


def get_item(x: Any, key: Any) -> Tensor:
    """`x[key]` with integers, slices, `...`, `tf.newaxis`, and a boolean mask or a 0-d tensor."""
    x = _as_operand(x)
    parts = tuple(key) if isinstance(key, (tuple, list)) else (key,)  # a list counts as a tuple
    plain: list[Any] = []
    indices: list[Any] = []
    for part in parts:
        if isinstance(part, (Tensor, nnx.Variable, np.ndarray, jax.Array)):
            part = _as_operand(part)
            if part.dtype is dtypes.bool_ or part.dtype == "bool":
                return boolean_mask(x, part) if len(parts) == 1 else _mixed_mask()
            if part.shape:
                raise TypeError(
                    "Tensors are indexed by integers, slices, ... and tf.newaxis; "
                    "use tf.gather() for several indices."
                )
            indices.append(part)
            plain.append(_Index(len(indices) - 1))
        elif isinstance(part, slice):
            plain.append(_Slice(*map(static, (part.start, part.stop, part.step))))
        elif isinstance(part, bool):
            raise ValueError(f"A tensor is indexed by a mask of its shape. Received: {part}")
        elif part is None or part is Ellipsis or isinstance(part, (int, np.integer)):
            plain.append(part if part is None or part is Ellipsis else int(part))
        else:
            raise TypeError(
                f"Tensors are indexed by integers, slices, ... and tf.newaxis. Received: {part!r}"
            )
    return run(_get, (x, *indices), (tuple(plain),), name="strided_slice")


def _mixed_mask() -> Any:
    raise TypeError("A boolean mask must be the only index: use tf.boolean_mask().")


class _Index(int):
    """The position of a tensor among the indices."""

    def __hash__(self) -> int:
        return hash(("index", int(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Index) and int(self) == int(other)


class _Slice(tuple):
    """A slice that can be hashed."""

    def __new__(cls, *parts: Any):
        return tuple.__new__(cls, parts)


@moves
def _get(x: Any, *rest: Any) -> Any:
    *indices, key = rest
    known = (slice(None) if isinstance(p, (_Slice, _Index)) else p for p in key)
    check_index(tuple(known), tuple(x.shape))
    axis = 0
    for part in key:
        if part is Ellipsis:
            axis += x.ndim - sum(p is not None and p is not Ellipsis for p in key)
        elif part is not None:
            if isinstance(part, _Index):
                effects.checked(functools.partial(_check_place, axis, x.shape[axis]), indices[part])
            axis += 1
    parts = [
        slice(*p) if isinstance(p, _Slice) else indices[p] if isinstance(p, _Index) else p
        for p in key
    ]
    # A numpy array cannot be indexed by a tracer.
    return (jnp.asarray(x) if indices else x)[tuple(parts)]


def _check_place(axis: int, size: int, index: Any) -> None:
    if not -size <= index < size:
        raise InvalidArgumentError(f"slice index {index} of dimension {axis} out of bounds.")


@operates
def where(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Tensor:
    """`x` where the condition holds, `y` elsewhere; without both, the indices of true values.

    >>> tf.where([True, False], [1, 2], [3, 4]).numpy().tolist()
    [1, 4]
    """
    condition = _as_operand(condition)
    if x is None and y is None:
        found = np.argwhere(_concrete("where", condition))
        return constant(found.astype(np.int64))
    x, y = operands("where", x, y)
    return run(_where, (condition, x, y))


@moves
def _where(condition: Any, x: Any, y: Any) -> Any:
    return jnp.where(condition, x, y)


def _concrete(name: str, tensor: Any) -> np.ndarray:
    """The values of a tensor that determine the size of a result."""
    what = f"The size of the result of tf.{name}"
    return host(raw(tensor), what, "call it outside, or use tf.where(condition, x, y).")


@operates
def boolean_mask(tensor: Any, mask: Any, axis: Any = None, name: str = "boolean_mask") -> Tensor:
    """The elements, or slices, where the mask holds.

    >>> tf.boolean_mask([1, 2, 3], [True, False, True]).numpy().tolist()
    [1, 3]
    """
    tensor, mask = _as_operand(tensor), _concrete("boolean_mask", _as_operand(mask))
    if not mask.ndim:
        raise ValueError("mask must not be a scalar.")
    first = 0 if axis is None else static(axis)
    if tuple(tensor.shape[first : first + mask.ndim]) != mask.shape:
        raise ValueError(f"A mask of shape {mask.shape} does not fit shape {tuple(tensor.shape)}.")
    flat = np.flatnonzero(mask)
    sizes = tuple(tensor.shape)
    joined = reshape(tensor, (*sizes[:first], mask.size, *sizes[first + mask.ndim :]))
    return slices_at(joined, flat.astype(np.int32), axis=first)


@operates
def gather(
    params: Any,
    indices: Any,
    validate_indices: Any = None,
    axis: Any = None,
    batch_dims: int = 0,
    name: str | None = None,
) -> Tensor:
    """The slices at `indices` along an axis.

    >>> tf.gather([[1, 2], [3, 4], [5, 6]], [2, 0], axis=0).numpy().tolist()
    [[5, 6], [1, 2]]
    """
    params, indices = _as_operand(params), _as_operand(indices)
    axis, batch_dims = static(axis), static(batch_dims) or 0
    axis = batch_dims if axis is None else axis
    by_rows = axis == 0 and not batch_dims  # and not for an axis that is counted from the end
    axis = _counted("axis", axis, len(params.shape) - 1)
    batch_dims = _counted("batch_dims", batch_dims, len(indices.shape))
    return slices_at(params, indices, axis, batch_dims, by_rows)


def slices_at(
    params: Any, indices: Any, axis: int = 0, batch_dims: int = 0, by_rows: bool = False
) -> Tensor:
    """The slices of a tensor, with a gradient as a whole or by rows."""
    params, indices = _as_operand(params), _as_operand(indices)
    check_places("indices", indices, tuple(params.shape)[axis])
    name = recording.ROWS if by_rows else "GatherV2"
    found = run(_gather, (params, indices), (axis, batch_dims), name=name)
    if by_rows and isinstance(found, Tensor):  # and no text of a signature to be saved
        note_rows(array_in(params), raw(indices), raw(found))
    return found


def _counted(name: str, place: int, last: int) -> int:
    """A place counted from the front, of one that may be negative."""
    count = last + (name == "axis")
    if not -count <= place <= last:
        raise InvalidArgumentError(f"{name} must be in [{-count}, {last}]. Received: {place}")
    return place + count if place < 0 else place


def check_places(name: str, indices: Any, sizes: Any) -> None:
    """Raises InvalidArgumentError for an index outside of its axis.

    In a trace values are unknown. There XLA gathers NaN, or the lowest integer, for such an index,
    and drops values that are scattered to it. Functions of `tf.data` raise.

    Args:
        sizes: the size of the axis, or the sizes of the axes that the last axis of `indices` has
            one index each for.
    """
    effects.checked(functools.partial(_check_places, name, sizes), raw(indices))


def _check_places(name: str, sizes: Any, indices: Any) -> None:
    values = np.asarray(indices)
    wrong = (values < 0) | (values >= np.asarray(sizes, np.int64))
    if wrong.any():
        place = tuple(np.argwhere(wrong)[0].tolist())
        at = f"[{', '.join(map(str, place))}]" if place else ""
        size = sizes if isinstance(sizes, int) else sizes[place[-1]]
        raise InvalidArgumentError(f"{name}{at} = {values[place]} is not in [0, {size}).")


@moves
def _gather(params: Any, indices: Any, axis: int, batch_dims: int) -> Any:
    fn = functools.partial(jnp.take, axis=axis - batch_dims)
    for _ in np.arange(batch_dims):
        fn = jax.vmap(fn)
    return fn(params, indices)


@operates
def gather_nd(
    params: Any,
    indices: Any,
    batch_dims: int = 0,
    name: str | None = None,
    bad_indices_policy: str = "",
) -> Tensor:
    """The elements, or slices, at the multi-dimensional indices in the last axis of `indices`.

    Args:
        bad_indices_policy: `"ERROR"`, the default, or `"IGNORE"`, by which indices out of range
            give zeros.

    >>> tf.gather_nd([[1, 2], [3, 4]], [[0, 1], [1, 0]]).numpy().tolist()
    [2, 3]
    """
    ignores = _ignores("gather_nd", bad_indices_policy)
    params, indices, batch_dims = _as_operand(params), _as_operand(indices), static(batch_dims)
    if batch_dims < 0:
        raise ValueError(f"batch_dims must not be negative. Received: batch_dims={batch_dims}")
    if not len(indices.shape):
        raise InvalidArgumentError("tf.gather_nd: indices must be at least a vector.")
    sizes = tuple(params.shape)[batch_dims:][: indices.shape[-1]]
    if ignores:
        fits = run(_fitting, (indices,), (sizes,))
        found = gather_nd(params, where(fits, indices, zeros((), indices.dtype)), batch_dims)
        shape = (*fits.shape[:-1], *(1,) * (len(found.shape) - len(fits.shape) + 1))
        return where(reshape(fits, shape), found, zeros((), found.dtype))
    check_places("indices", indices, sizes)
    if len(indices.shape) == 2 and indices.shape[1] == 1 and not batch_dims:
        return gather(params, indices[:, 0])  # whose gradient has rows, as in TensorFlow
    return run(_gather_nd, (params, indices), (batch_dims,))


def _ignores(name: str, policy: str) -> bool:
    """Whether a policy ignores indices out of range; by any other they are errors."""
    if policy not in ("", "DEFAULT", "ERROR", "IGNORE"):
        raise InvalidArgumentError(
            f"tf.{name}: bad_indices_policy must be 'DEFAULT', 'ERROR' or 'IGNORE'. "
            f"Received: {policy!r}"
        )
    return policy == "IGNORE"


def _fitting(indices: Any, sizes: Any) -> Any:
    """Whether each index, along the last axis, which is kept, is within the sizes of its axes."""
    indices = jnp.asarray(indices)
    return ((indices >= 0) & (indices < np.asarray(sizes))).all(-1, keepdims=True)


def _at_end(indices: Any, sizes: Any) -> Any:
    """The indices with those out of range at the end of their axes, where updates are dropped."""
    return jnp.where(_fitting(indices, sizes), indices, np.asarray(sizes, indices.dtype))


@moves
def _gather_nd(params: Any, indices: Any, batch_dims: int) -> Any:
    def fn(p: Any, i: Any) -> Any:
        if not i.shape[-1]:  # an index without numbers is of everything
            return jnp.broadcast_to(p, (*i.shape[:-1], *p.shape))
        return jnp.asarray(p)[tuple(jnp.moveaxis(i, -1, 0))]

    for _ in np.arange(batch_dims):
        fn = jax.vmap(fn)
    return fn(params, indices)


def _scatter(name: str, method: str) -> Callable:
    def place(x: Any, updates: Any, indices: Any) -> Any:
        indices, x = jnp.asarray(indices), jnp.asarray(x)
        wanted = (*indices.shape[:-1], *x.shape[indices.shape[-1] :])
        if updates.shape != wanted:
            raise InvalidArgumentError(
                f"tf.{scatter.__name__}: updates must have the shape {wanted} for a tensor of the "
                f"shape {x.shape} and indices of the shape {indices.shape}. "
                f"Received shape: {updates.shape}"
            )
        return getattr(x.at[tuple(jnp.moveaxis(indices, -1, 0))], method)(updates)

    def scatter(
        tensor: Any,
        indices: Any,
        updates: Any,
        bad_indices_policy: str = "",
        name: str | None = None,
    ) -> Tensor:
        ignores = _ignores(scatter.__name__, bad_indices_policy)
        tensor, updates = operands(method, tensor, updates)
        if method in ("max", "min") and not (tensor.dtype.is_floating or tensor.dtype.is_integer):
            raise InvalidArgumentError(
                f"tf.{scatter.__name__}: tensor must be of integers or floats. Received: "
                f"{tensor.dtype.name}"
            )
        indices = _as_operand(indices)
        if len(indices.shape) < 2 or not len(updates.shape):
            raise InvalidArgumentError(
                f"tf.{scatter.__name__}: expected indices (..., n, depth) and updates (..., n, *). "
                f"Received shapes: {tuple(indices.shape)} and {tuple(updates.shape)}"
            )
        sizes = tuple(tensor.shape)[: indices.shape[-1]]
        if ignores:
            indices = run(_at_end, (indices,), (sizes,))
        else:
            check_places("indices", indices, sizes)
        return run(place, (tensor, updates, indices))

    if method == "set":
        place = moves(place)
    if method == "add":
        place = _or_appended(place)
    scatter.__name__ = scatter.__qualname__ = name
    scatter.__doc__ = f"The tensor with `{method}` of updates at the given indices."
    return scatter


def _or_appended(place: Callable) -> Callable:
    """Extends the addition of updates to text, to which updates are appended in their order."""

    def of_any(x: Any, updates: Any, indices: Any) -> Any:
        if not is_text(x):
            return place(x, updates, indices)
        known = host(indices, "The place of text", "call it outside.")
        places = known.reshape(-1, known.shape[-1])
        out = np.array(x, object)
        for at, text in zip(map(tuple, places), updates.reshape(-1, *out.shape[known.shape[-1] :])):
            if all(i < n for i, n in zip(at, out.shape)):
                out[at] = out[at] + text
        return out

    return of_any


_update = _scatter("tensor_scatter_nd_update", "set")


tensor_scatter_nd_add = _scatter("tensor_scatter_nd_add", "add")


tensor_scatter_nd_sub = _scatter("tensor_scatter_nd_sub", "subtract")


tensor_scatter_nd_max = _scatter("tensor_scatter_nd_max", "max")


tensor_scatter_nd_min = _scatter("tensor_scatter_nd_min", "min")


def tensor_scatter_nd_update(
    tensor: Any, indices: Any, updates: Any, name: str | None = None
) -> Tensor:
    """The tensor with the elements, or slices, at `indices` replaced by updates.

    >>> tf.tensor_scatter_nd_update([1, 2, 3], [[0], [2]], [10, 20]).numpy().tolist()
    [10, 2, 20]
    """
    return _update(tensor, indices, updates)


def scatter_nd(
    indices: Any,
    updates: Any,
    shape: Any,
    bad_indices_policy: str = "",
    name: str | None = None,
) -> Tensor:
    """Zeros of a shape, with updates added at `indices`.

    >>> tf.scatter_nd([[1], [3]], [5, 6], [4]).numpy().tolist()
    [0, 5, 0, 6]
    """
    updates = _as_operand(updates)
    if updates.dtype is dtypes.bool_:
        counts = scatter_nd(indices, cast(updates, dtypes.int32), shape, bad_indices_policy)
        return cast(counts, dtypes.bool_)
    zero = zeros(shape, updates.dtype)
    return tensor_scatter_nd_add(zero, indices, updates, bad_indices_policy)


@operation("unstack", "value")
@moves
def unstack(x: Any, num: int | None = None, axis: int = 0, name: str = "unstack") -> Any:
    """A list of the slices along an axis.

    >>> [t.numpy().tolist() for t in tf.unstack([[1, 2], [3, 4]], 2, 1)]
    [[1, 3], [2, 4]]
    """
    return [jnp.take(x, i, axis) for i in np.arange(x.shape[axis])]


@operation("split", "value")
@moves
def split(
    x: Any, num_or_size_splits: Any, axis: int = 0, num: int | None = None, name: str = "split"
) -> Any:
    """A list of parts along an axis: a number of equal parts, or parts of given sizes.

    >>> [t.numpy().tolist() for t in tf.split([1, 2, 3, 4], [1, 3])]
    [[1], [2, 3, 4]]
    """
    size = x.shape[axis]
    if isinstance(num_or_size_splits, int):
        if isinstance(size, int) and (num_or_size_splits < 1 or size % num_or_size_splits):
            raise InvalidArgumentError(
                f"An axis of size {size} cannot be divided into {num_or_size_splits} equal parts."
            )
        return list(jnp.split(x, num_or_size_splits, axis))
    sizes = list(num_or_size_splits)
    if num not in (None, len(sizes)):
        raise InvalidArgumentError(
            f"num must be {len(sizes)}, the number of sizes. Received: {num}"
        )
    if -1 in sizes:
        sizes[sizes.index(-1)] = size - sum(sizes) - 1
    if isinstance(size, int) and (sum(sizes) != size or min(sizes, default=0) < 0):
        raise InvalidArgumentError(
            f"num_or_size_splits must add up to {size}, the size of axis {axis}. "
            f"Received: {list(num_or_size_splits)}"
        )
    return list(jnp.split(x, np.cumsum(sizes)[:-1].tolist(), axis))


documentation.describe(globals())
