"""Sums of segments, distances and complex numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core import context
from keraslike.core.operation import op
from keraslike.ops.wrap import array, found, public

# -- segments ---------------------------------------------------------------------------------


def segment_product(
    data: jax.Array, ids: jax.Array, num_segments: int, indices_are_sorted: bool = False
) -> jax.Array:
    """`jax.ops.segment_prod` with a derivative: by an element it is the product of the others.

    >>> jax.grad(lambda x: segment_product(x, jnp.array([0, 0]), 1)[0])(jnp.array([2.0, 0.0]))
    Array([0., 2.], dtype=float32)
    """

    @jax.custom_jvp
    def prod(data: Any) -> Any:
        return jax.ops.segment_prod(data, ids, num_segments, indices_are_sorted)

    @prod.defjvp
    def jvp(primals: tuple, tangents: tuple) -> tuple[Any, Any]:
        (data,), (t,) = primals, tangents
        zero = data == 0
        zeros = jax.ops.segment_sum(zero.astype(data.dtype), ids, num_segments)[ids]
        some = jnp.where(zero, 1, data)
        rest = prod(some)[ids] / some  # The product of the other elements that are not 0.
        others = jnp.where(zeros - zero == 0, rest, 0)
        return prod(data), jax.ops.segment_sum(t * others, ids, num_segments)

    return prod(data)


def _segments(name: str, like: Callable, of_what: str) -> Callable:
    def segment(
        data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
    ) -> jax.Array:
        x, ids = array(data), array(segment_ids)
        shapes = f"Received: segment_ids of shape {ids.shape}, data of shape {x.shape}"
        if ids.ndim != 1:
            raise ValueError(
                f"Argument `segment_ids` should be an 1-D vector, flatten it. {shapes}"
            )
        sizes = (ids.shape[0], *(x.shape[:1] or (0,)))
        if all(isinstance(n, int) for n in sizes) and sizes[0] != sizes[1]:
            raise ValueError(
                "Argument `segment_ids` and `data` should have same leading dimension. " + shapes
            )
        if num_segments is None and context.state.symbolic:
            return found(None, *x.shape[1:], dtype=x.dtype)
        if num_segments is None:
            raise ValueError("Argument `num_segments` must be set when using the JAX backend.")
        return like(x, ids, num_segments, sorted)

    segment.__name__ = segment.__qualname__ = name
    segment.__doc__ = f"""The {of_what} of the rows of `data` that have one number in `segment_ids`.

    Args:
        data: any array.
        segment_ids: a vector of integers, one for each row.
        num_segments: how many results there are; it must be given.
        sorted: whether the numbers are in ascending order, which is faster.

    >>> {name}([1.0, 2.0, 4.0], [0, 0, 1], 2).shape
    (2,)
    """
    return op(segment)


segment_sum = _segments("segment_sum", jax.ops.segment_sum, "sum")
segment_max = _segments("segment_max", jax.ops.segment_max, "largest")
segment_min = _segments("segment_min", jax.ops.segment_min, "smallest")
segment_prod = _segments("segment_prod", segment_product, "product")


# -- distances --------------------------------------------------------------------------------


@op
def cdist(x: Any, y: Any) -> jax.Array:
    """The Euclidean distance of each row of `x`, `(..., m, d)`, from each of `y`, `(..., n, d)`.

    Raises ValueError for vectors and for rows of different lengths.

    >>> cdist([[0.0, 0.0]], [[3.0, 4.0], [0.0, 1.0]]).tolist()
    [[5.0, 1.0]]
    """
    x, y = array(x), array(y)
    if x.ndim < 2 or y.ndim < 2:
        raise ValueError(
            f"cdist: x and y must have rank >= 2. Received: shapes {x.shape} and {y.shape}"
        )
    if x.shape[-1] != y.shape[-1]:
        raise ValueError(
            "cdist: the last dimension of x and y must match. "
            f"Received: shapes {x.shape} and {y.shape}"
        )
    difference = jnp.expand_dims(x, -2) - jnp.expand_dims(y, -3)
    square = jnp.sum(difference * difference, -1)
    nothing = square == 0  # The square root has no derivative there.
    return jnp.where(nothing, 0, jnp.sqrt(jnp.where(nothing, 1, square)))


# -- complex numbers --------------------------------------------------------------------------


@op
def view_as_complex(x: Any) -> jax.Array:
    """Complex numbers of their real and imaginary parts, which are the last axis of `x`.

    >>> view_as_complex([[1.0, 2.0]]).tolist()
    [(1+2j)]
    """
    x = array(x)
    if not x.ndim or x.shape[-1] != 2:
        raise ValueError(
            f"Last dimension of input must be size 2, real and imaginary. Received: shape {x.shape}"
        )
    x = x.astype(jnp.promote_types(x.dtype, "float32"))
    return jax.lax.complex(x[..., 0], x[..., 1])


@op
def view_as_real(x: Any) -> jax.Array:
    """The real and the imaginary parts of `x` along a new last axis.

    >>> view_as_real([1 + 2j]).tolist()
    [[1.0, 2.0]]
    """
    x = array(x)
    return jnp.stack([jnp.real(x), jnp.imag(x)], -1)


__all__ = [n for n in public(globals()) if n != "segment_product"]
