"""NumPy's functions that create, reshape and join arrays."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.core import context, dtypes, sparsity
from keraslike.core.boxed import takes_sizes
from keraslike.core.operation import op
from keraslike.core.symbolic import KerasTensor
from keraslike.ops import wrap
from keraslike.ops.wrap import axes_of, operand

# -- making arrays ----------------------------------------------------------------------------


def _dtype(dtype: Any) -> str:
    return dtypes.standardize_dtype(dtype)


@op
def array(x: Any, dtype: Any = None) -> jax.Array:
    """An array of a list, a number or another array.

    >>> array([[1, 2], [3, 4]], dtype="float32").shape
    (2, 2)
    """
    return jnp.array(wrap.array(x), dtype=None if dtype is None else _dtype(dtype))


@takes_sizes
def zeros(shape: Sequence[int] | int, dtype: Any = None) -> jax.Array:
    """Zeros, of the dtype `floatx()` if none is given.

    >>> zeros((2,)).tolist()
    [0.0, 0.0]
    """
    return jnp.zeros(shape, _dtype(dtype))


@takes_sizes
def ones(shape: Sequence[int] | int, dtype: Any = None) -> jax.Array:
    """Ones, of the dtype `floatx()` if none is given.

    >>> ones((2,)).tolist()
    [1.0, 1.0]
    """
    return jnp.ones(shape, _dtype(dtype))


@takes_sizes
def empty(shape: Sequence[int] | int, dtype: Any = None) -> jax.Array:
    """An array whose values do not matter.

    >>> empty((2, 3)).shape
    (2, 3)
    """
    return jnp.empty(shape, _dtype(dtype))


@takes_sizes
def full(shape: Sequence[int] | int, fill_value: Any, dtype: Any = None) -> jax.Array:
    """The same value everywhere, of the dtype `floatx()` if none is given.

    >>> full((2,), 7.0).tolist()
    [7.0, 7.0]
    """
    return jnp.full(shape, operand(fill_value), _dtype(dtype))


@takes_sizes
def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> jax.Array:
    """Ones on a diagonal and zeros elsewhere.

    >>> eye(2, 3).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    return jnp.eye(N, M, k, _dtype(dtype))


@takes_sizes
def identity(n: int, dtype: Any = None) -> jax.Array:
    """The identity matrix.

    >>> identity(2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    return jnp.identity(n, _dtype(dtype))


@takes_sizes
def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> jax.Array:
    """Ones on and below a diagonal, zeros above.

    >>> tri(2).tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    return jnp.tri(N, M, k, _dtype(dtype))


@takes_sizes
def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> jax.Array:
    """The numbers from `start` to before `stop` (from 0 to before `start`) in steps.

    >>> arange(3).tolist(), arange(1, 7, 2).tolist()
    ([0, 1, 2], [1, 3, 5])
    """
    return jnp.arange(start, stop, step, None if dtype is None else _dtype(dtype))


@op
def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """`num` numbers from `start` to `stop`, equally far apart.

    >>> linspace(0.0, 1.0, 3).tolist()
    [0.0, 0.5, 1.0]
    """
    return jnp.linspace(operand(start), operand(stop), num, endpoint, retstep, dtype, axis)


@op
def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10,
    dtype: Any = None,
    axis: int = 0,
) -> jax.Array:
    """`base` to the power of `num` numbers from `start` to `stop`, equally far apart.

    >>> logspace(0.0, 2.0, 3).tolist()
    [1.0, 10.0, 100.0]
    """
    dtype = None if dtype is None else _dtype(dtype)
    return jnp.logspace(operand(start), operand(stop), num, endpoint, operand(base), dtype, axis)


@op
def geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> jax.Array:
    """`num` numbers from `start` to `stop`, each the same multiple of the one before.

    >>> geomspace(1.0, 4.0, 3).round(4).tolist()
    [1.0, 2.0, 4.0]
    """
    dtype = None if dtype is None else _dtype(dtype)
    return jnp.geomspace(operand(start), operand(stop), num, endpoint, dtype, axis)


def _like(name: str, function: Callable) -> Callable:
    def like(x: Any, dtype: Any = None) -> Any:
        return function(wrap.array(x), dtype=None if dtype is None else _dtype(dtype))

    return wrap._named(like, function, name)


zeros_like = _like("zeros_like", jnp.zeros_like)
ones_like = _like("ones_like", jnp.ones_like)
empty_like = _like("empty_like", jnp.empty_like)


@op
def full_like(x: Any, fill_value: Any, dtype: Any = None) -> jax.Array:
    """The same value everywhere, in the shape of `x`.

    >>> full_like([1, 2], 7).tolist()
    [7, 7]
    """
    return jnp.full_like(wrap.array(x), operand(fill_value), dtype=dtype)


# -- shapes -----------------------------------------------------------------------------------


@op
def reshape(x: Any, newshape: Sequence[int] | int) -> jax.Array:
    """The values in another shape; a size of -1 follows from the others.

    >>> reshape([1.0, 2.0, 3.0, 4.0], (2, -1)).shape
    (2, 2)
    """
    sizes = newshape if isinstance(newshape, (list, tuple)) else ()
    if [n for n in sizes if isinstance(n, int) and n < 0] not in ([], [-1]):
        raise ValueError(
            "newshape must hold non-negative integers, and at most one unknown dimension, -1. "
            f"Received: newshape={newshape}"
        )
    return wrap.moved(jnp.reshape, x, shape=newshape)


@op
def get_item(x: Any, key: Any) -> Any:
    """`x[key]`; a list of indices, which is what files have, is a tuple of them.

    Raises IndexError for an integer that is beyond the size of its axis.

    >>> get_item([[1, 2], [3, 4]], (0, slice(None))).tolist()
    [1, 2]
    """
    x, key = wrap.array(x), tuple(key) if isinstance(key, list) else key
    wrap.check_index(key, x.shape)
    return x[key]


@op
def expand_dims(x: Any, axis: int | Sequence[int]) -> jax.Array:
    """`x` with an additional axis of size 1.

    >>> expand_dims([1, 2], 0).shape
    (1, 2)
    """
    return wrap.moved(jnp.expand_dims, x, axis=axes_of(axis))


@op
def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> jax.Array:
    """`x` without the axes of size 1.

    >>> squeeze([[[1, 2]]]).tolist()
    [1, 2]
    """
    return wrap.moved(jnp.squeeze, x, axis=axes_of(axis))


@op
def transpose(x: Any, axes: Sequence[int] | None = None) -> jax.Array:
    """The axes in another order, by default reversed.

    >>> transpose([[1, 2], [3, 4]]).tolist()
    [[1, 3], [2, 4]]
    """
    x = x if sparsity.is_sparse(x) else wrap.array(x)
    n = x.ndim
    if axes is not None and sorted(a + n if a < 0 else a for a in axes) != list(range(n)):
        raise ValueError(
            "`axes` must be a list of the same length as the input shape, and a valid permutation. "
            f"Each axis in `axes` must be an integer in [-{n}, {n}). Received: axes={axes}"
        )
    return wrap.moved(jnp.transpose, x, axes=axes)


@op
def swapaxes(x: Any, axis1: int, axis2: int) -> jax.Array:
    """`x` with two axes exchanged.

    >>> swapaxes(jnp.ones((2, 3, 4)), 0, 2).shape
    (4, 3, 2)
    """
    x = wrap.array(x)
    for axis in (axis1, axis2):
        if not -x.ndim <= axis < x.ndim:
            raise ValueError(f"axis {axis} is out of bounds for array of dimension {x.ndim}")
    return jnp.swapaxes(x, axis1, axis2)


@op
def moveaxis(x: Any, source: Any, destination: Any) -> jax.Array:
    """`x` with axes moved to other places, the others in their order.

    >>> moveaxis(jnp.ones((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    return jnp.moveaxis(wrap.array(x), source, destination)


@op
def broadcast_to(x: Any, shape: Sequence[int]) -> jax.Array:
    """`x` repeated along axes of size 1 and new ones to fill a shape.

    >>> broadcast_to([1, 2], (2, 2)).tolist()
    [[1, 2], [1, 2]]
    """
    return jnp.broadcast_to(wrap.array(x), tuple(shape))


@op
def rearrange(tensor: Any, pattern: str, **axes_lengths: int) -> jax.Array:
    """The axes in another order, some of them split or merged.

    Args:
        tensor: any array.
        pattern: names of its axes, `->`, and the same names as they are to be; what stands in
            parentheses is one axis (the notation of the package einops).
        axes_lengths: sizes of named axes: of an axis that is taken apart, all but one.

    Raises ValueError for a pattern that does not fit.

    >>> rearrange(jnp.ones((2, 4, 6, 3)), "b (h i) w c -> b h w (i c)", i=2).shape
    (2, 2, 6, 6)
    """
    x = wrap.array(tensor)
    sides = [re.findall(r"\(([^()]*)\)|([^\s()]+)", side) for side in pattern.split("->")]
    groups = [[(inside or one).split() for inside, one in side] for side in sides]
    names = [[name for group in side for name in group] for side in groups]
    if len(groups) != 2 or sorted(names[0]) != sorted(set(names[1])) or len(groups[0]) != x.ndim:
        raise ValueError(
            f"pattern must name the {x.ndim} axes of the tensor, '->', and the same names once "
            f"more. Received: pattern={pattern!r}, tensor of shape {x.shape}"
        )
    lengths: dict[str, Any] = {}
    for size, group in zip(x.shape, groups[0]):
        unknown = [name for name in group if name not in axes_lengths]
        known = _product([axes_lengths[name] for name in group if name in axes_lengths])
        if len(unknown) > 1 or (size % known if unknown else size != known):
            raise ValueError(
                f"An axis of size {size} cannot be taken apart as ({' '.join(group)}). "
                f"Received: pattern={pattern!r}, axes_lengths={axes_lengths}"
            )
        lengths |= {n: size // known if n in unknown else axes_lengths[n] for n in group}
    x = x.reshape([lengths[name] for name in names[0]])
    x = x.transpose([names[0].index(name) for name in names[1]])
    return x.reshape([_product([lengths[name] for name in group]) for group in groups[1]])


@op
def concatenate(xs: Sequence[Any], axis: int = 0) -> jax.Array:
    """Arrays joined along an axis.

    >>> concatenate([[1.0], [2.0]]).tolist()
    [1.0, 2.0]
    """
    if any(sparsity.is_sparse(x) for x in xs):
        return sparsity.concatenate(
            [x if sparsity.is_sparse(x) else wrap.array(x) for x in xs], axis
        )
    return jnp.concatenate([wrap.array(x) for x in xs], axis)


@op
def stack(x: Sequence[Any], axis: int = 0) -> jax.Array:
    """Arrays of one shape joined along a new axis.

    >>> stack([[1, 2], [3, 4]], axis=1).tolist()
    [[1, 3], [2, 4]]
    """
    return jnp.stack([wrap.array(i) for i in x], axis)


@op
def hstack(xs: Sequence[Any]) -> jax.Array:
    """Arrays joined along their second axis, vectors along their only one.

    >>> hstack([[1, 2], [3]]).tolist()
    [1, 2, 3]
    """
    return jnp.hstack([wrap.array(x) for x in xs])


@op
def dstack(xs: Sequence[Any]) -> jax.Array:
    """Arrays joined along their third axis, which vectors and matrices receive.

    >>> dstack([[1.0, 2.0], [3.0, 4.0]]).tolist()
    [[[1.0, 3.0], [2.0, 4.0]]]
    """
    return jnp.dstack([wrap.array(x) for x in xs])


@op
def vstack(xs: Sequence[Any]) -> jax.Array:
    """Arrays joined along their first axis, vectors as rows.

    >>> vstack([[1, 2], [3, 4]]).tolist()
    [[1, 2], [3, 4]]
    """
    return jnp.vstack([wrap.array(x) for x in xs])


@op
def append(x1: Any, x2: Any, axis: int | None = None) -> jax.Array:
    """`x2` after `x1` along an axis, both flattened where it is `None`.

    >>> append([1, 2], [3]).tolist()
    [1, 2, 3]
    """
    return jnp.append(wrap.array(x1), wrap.array(x2), axis)


@op
def split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[jax.Array]:
    """Equal parts along an axis, or those between indices.

    >>> [part.tolist() for part in split([1, 2, 3, 4], 2)]
    [[1, 2], [3, 4]]
    """
    return list(jnp.split(wrap.array(x), _parts(indices_or_sections), axis))


@op
def array_split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[jax.Array]:
    """Like `split`, but parts may differ in size by 1.

    >>> [part.tolist() for part in array_split([1, 2, 3], 2)]
    [[1, 2], [3]]
    """
    return list(jnp.array_split(wrap.array(x), _parts(indices_or_sections), axis))


def _parts(indices_or_sections: Any) -> Any:
    if isinstance(indices_or_sections, (int, list, tuple)):
        return wrap.steps(indices_or_sections=indices_or_sections)
    return np.asarray(indices_or_sections)


def _split(like: Callable) -> Callable:
    def split(x: Any, indices_or_sections: int | Sequence[int]) -> list[jax.Array]:
        return list(like(wrap.array(x), _parts(indices_or_sections)))

    return wrap._named(split, like, None)


hsplit = _split(jnp.hsplit)
vsplit = _split(jnp.vsplit)
dsplit = _split(jnp.dsplit)


@op
def tile(x: Any, repeats: int | Sequence[int]) -> jax.Array:
    """`x` laid side by side `repeats` times along each axis.

    >>> tile([1, 2], 2).tolist()
    [1, 2, 1, 2]
    """
    return jnp.tile(wrap.array(x), repeats)


@op
def repeat(x: Any, repeats: Any, axis: int | None = None) -> jax.Array:
    """Each element along an axis repeated.

    >>> repeat([1, 2], 2).tolist()
    [1, 1, 2, 2]
    """
    repeats = np.asarray(repeats) if isinstance(repeats, (list, tuple)) else repeats
    return jnp.repeat(wrap.array(x), repeats, axis)


@op
def flip(x: Any, axis: Any = None) -> jax.Array:
    """`x` with the order along axes reversed.

    >>> flip([1, 2, 3]).tolist()
    [3, 2, 1]
    """
    return jnp.flip(wrap.array(x), axes_of(axis))


@op
def roll(x: Any, shift: Any, axis: Any = None) -> jax.Array:
    """Elements shifted along axes; those shifted beyond the end reappear at the beginning.

    >>> roll([1, 2, 3], 1).tolist()
    [3, 1, 2]
    """
    return jnp.roll(wrap.array(x), shift, axis)


@op
def rot90(array: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> jax.Array:
    """`x` rotated by 90 degrees `k` times in the plane of two axes.

    >>> rot90([[1, 2], [3, 4]]).tolist()
    [[2, 4], [1, 3]]
    """
    return jnp.rot90(wrap.array(array), k, (axes[0], axes[1]))


@op
def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> jax.Array:
    """`x` with `(before, after)` additional values along each axis.

    >>> pad([1.0], ((1, 2),)).tolist()
    [0.0, 1.0, 0.0, 0.0]
    """
    if constant_values is not None and mode != "constant":
        raise ValueError(
            "Argument `constant_values` can only be provided when `mode == 'constant'`. "
            f"Received: mode={mode!r}"
        )
    extra = {} if constant_values is None else {"constant_values": constant_values}
    x = wrap.array(x)
    if mode in ("reflect", "symmetric"):  # As many pieces as necessary.
        for size, pair in zip(x.shape, np.broadcast_to(pad_width, (x.ndim, 2)).tolist()):
            wrap.steps(pad_width=max(pair) // max(size - 1, 1) if isinstance(size, int) else 1)
    return jnp.pad(x, pad_width, mode, **extra)


@op
def meshgrid(*x: Any, indexing: str = "xy") -> list[jax.Array]:
    """The coordinates of all points of a grid.

    >>> [axis.tolist() for axis in meshgrid([1, 2], [3, 4])]
    [[[1, 2], [1, 2]], [[3, 3], [4, 4]]]
    """
    return jnp.meshgrid(*[wrap.array(i) for i in x], indexing=indexing)


def ndim(x: Any) -> int:
    """The number of axes.

    >>> ndim([[1, 2]])
    2
    """
    return x.ndim if isinstance(x, KerasTensor) else wrap.array(x).ndim


@op
def size(x: Any) -> Any:
    """The number of elements: an integer or, for a KerasTensor, a KerasTensor with this value.

    >>> size([[1, 2], [3, 4]])
    4
    """
    count = _product(wrap.array(x).shape)
    return jnp.asarray(count, "int32") if context.state.symbolic else int(count)


def _product(shape: Sequence[Any]) -> Any:
    product = 1
    for s in shape:
        product *= s
    return product


__all__ = wrap.public(globals())
