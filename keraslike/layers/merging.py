"""Layers that merge several inputs into one output."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from keraslike.core import dtypes, sparsity
from keraslike.core.static import Shape
from keraslike.layers.layer import Layer
from keraslike.ops import nn, numpy


class Merge(Layer):
    """Base of layers that combine a list of arrays, which broadcast except for the batch.

    Axes of size 1 are inserted after the batch of an array of lower rank: `(batch, 3)` merges with
    `(batch, 2, 3)` as `(batch, 1, 3)`. A step of the output is masked if it is in all inputs.
    """

    supports_masking = True
    _keeps_sparse = True

    def build(self, input_shape: list[Shape]) -> None:
        _check_list(self, input_shape)
        rank = max(map(len, input_shape))
        for axis in range(rank):
            found = {_size(shape, axis, rank) for shape in input_shape} - {None}
            if len(found - {1} if axis else found) > 1:
                raise ValueError(
                    f"Layer '{self.name}' ({type(self).__name__}) cannot merge inputs whose "
                    f"{'batch sizes' if axis == 0 else f'sizes along axis {axis}'} differ. "
                    f"Received: inputs of shapes {[tuple(shape) for shape in input_shape]}"
                )

    def call(self, inputs: Sequence[jax.Array]) -> jax.Array:
        return self._merge_function(_same_rank(inputs))

    def _merge_function(self, inputs: list[jax.Array]) -> jax.Array:
        raise NotImplementedError

    def compute_mask(self, inputs: Any, mask: Any = None) -> jax.Array | None:
        if mask is None:
            return None
        _check_masks(inputs, mask)
        return None if any(m is None for m in mask) else functools.reduce(numpy.logical_or, mask)


def _check_list(layer: Layer, shapes: Any, number: int | None = None) -> None:
    if isinstance(shapes, Shape) or not shapes or (number and len(shapes) != number):
        raise ValueError(
            f"Layer '{layer.name}': a {type(layer).__name__} layer should be called on "
            f"{f'exactly {number} inputs' if number else 'a list of inputs'}. "
            f"Received: input_shape={shapes}"
        )


def _check_masks(inputs: Any, mask: Any) -> None:
    for name, value in (("mask", mask), ("inputs", inputs)):
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"`{name}` should be a list. Received: {name}={value}")
    if len(mask) != len(inputs):
        raise ValueError(
            "`inputs` and `mask` should have the same length. "
            f"Received: {len(inputs)} inputs and {len(mask)} masks"
        )


def _size(shape: Shape, axis: int, rank: int) -> int | None:
    """The size along an axis, after missing axes were inserted behind the batch axis."""
    missing = rank - len(shape)
    return shape[0] if axis == 0 else 1 if axis <= missing else shape[axis - missing]


def _same_rank(inputs: Sequence[jax.Array]) -> list[jax.Array]:
    rank = max(x.ndim for x in inputs)
    gaps = [(1,) * (rank - x.ndim) for x in inputs]
    return [
        sparsity.reshape(x, (x.shape[0], *gap, *x.shape[1:])) if gap else x
        for x, gap in zip(inputs, gaps)
    ]


class Add(Merge):
    """The sum of the inputs.

    Accepts a list of arrays that broadcast against each other; raises ValueError where they do not.

    >>> Add()([jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0])]).tolist()
    [4.0, 6.0]
    """

    def _merge_function(self, inputs: list[jax.Array]) -> jax.Array:
        return functools.reduce(numpy.add, inputs)


class Subtract(Merge):
    """The first input minus the second.

    >>> Subtract()([jnp.array([3.0, 4.0]), jnp.array([1.0, 2.0])]).tolist()
    [2.0, 2.0]
    """

    def build(self, input_shape: list[Shape]) -> None:
        _check_list(self, input_shape, 2)
        super().build(input_shape)

    def _merge_function(self, inputs: list[jax.Array]) -> jax.Array:
        return numpy.subtract(inputs[0], inputs[1])


class Average(Merge):
    """The mean of the inputs.

    >>> Average()([jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0])]).tolist()
    [2.0, 3.0]
    """

    def _merge_function(self, inputs: list[jax.Array]) -> jax.Array:
        return numpy.divide(functools.reduce(numpy.add, inputs), len(inputs))


class _MaskedMerge(Merge):
    """A merge that ignores, at each step, the inputs whose mask is false there."""

    _keeps_sparse = True
    _combine: Callable[[jax.Array, jax.Array], jax.Array]

    @staticmethod
    def _neutral(dtype: Any) -> float:
        """The neutral element of the operation for a dtype."""
        raise NotImplementedError

    def _merge_function(self, inputs: list[jax.Array]) -> jax.Array:
        return functools.reduce(type(self)._combine, inputs)

    def call(self, inputs: Sequence[jax.Array], mask: Any = None) -> jax.Array:
        if not mask or all(m is None for m in mask):
            return super().call(inputs)
        keep = [
            jnp.ones(x.shape, bool) if m is None else jnp.broadcast_to(m[..., None], x.shape)
            for x, m in zip(inputs, mask, strict=True)
        ]
        inputs = [sparsity.dense(x) for x in inputs]
        merged = super().call(
            [jnp.where(k, x, self._neutral(x.dtype)) for k, x in zip(keep, inputs)]
        )
        somewhere = functools.reduce(jnp.logical_or, _same_rank(keep))
        return jnp.where(somewhere, merged, self._where_all_are_masked(inputs))

    def _where_all_are_masked(self, inputs: Sequence[jax.Array]) -> Any:
        return _same_rank(inputs)[0]


class Multiply(_MaskedMerge):
    """The product of the inputs; a masked step counts as ones, and is 0 where all are masked.

    >>> Multiply()([jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0])]).tolist()
    [3.0, 8.0]
    """

    _combine = staticmethod(numpy.multiply)

    @staticmethod
    def _neutral(dtype: Any) -> float:
        return 1

    def _where_all_are_masked(self, inputs: Sequence[jax.Array]) -> Any:
        return 0


class Maximum(_MaskedMerge):
    """The largest of the inputs, element by element.

    >>> Maximum()([jnp.array([1.0, 4.0]), jnp.array([3.0, 2.0])]).tolist()
    [3.0, 4.0]
    """

    _combine = staticmethod(numpy.maximum)

    _neutral = staticmethod(dtypes.lowest)


class Minimum(_MaskedMerge):
    """The smallest of the inputs, element by element.

    >>> Minimum()([jnp.array([1.0, 4.0]), jnp.array([3.0, 2.0])]).tolist()
    [1.0, 2.0]
    """

    _combine = staticmethod(numpy.minimum)

    _neutral = staticmethod(dtypes.highest)


class Concatenate(Merge):
    """The inputs concatenated along an axis.

    Accepts a list of arrays whose other sizes are the same; raises ValueError where they are not.

    >>> Concatenate()([jnp.ones((2, 3)), jnp.ones((2, 4))]).shape
    (2, 7)
    """

    def __init__(self, axis: int = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis

    def build(self, input_shape: list[Shape]) -> None:
        _check_list(self, input_shape)
        rank = len(input_shape[0])
        bad = not -rank <= self.axis < rank or any(len(shape) != rank for shape in input_shape)
        for axis in set(range(rank)) - {self.axis % rank if rank else None}:
            bad = bad or len({shape[axis] for shape in input_shape} - {None}) > 1
        if bad:
            raise ValueError(
                f"Layer '{self.name}': a Concatenate layer requires inputs with matching shapes "
                f"except for the concatenation axis. Received: axis={self.axis}, "
                f"shapes {[tuple(shape) for shape in input_shape]}"
            )

    def _merge_function(self, inputs: list[jax.Array]) -> jax.Array:
        return sparsity.concatenate(inputs, self.axis)

    def compute_mask(self, inputs: Any, mask: Any = None) -> jax.Array | None:
        if mask is None:
            return None
        _check_masks(inputs, mask)
        if all(m is None for m in mask):
            return None
        masks = []
        for x, m in zip(inputs, mask):
            if m is None:
                m = numpy.ones_like(x, "bool")
            # The mask has one value for each step, which applies to all features.
            elif len(m.shape) < len(x.shape):
                none = numpy.zeros_like(x, "bool")
                m = numpy.logical_or(numpy.expand_dims(m, -1), none)
            masks.append(numpy.not_equal(m, 0))
        return numpy.any(numpy.concatenate(masks, self.axis), axis=-1)


class Dot(Merge):
    """The sum of products of two inputs along an axis of each, for each sample.

    Args:
        axes: one axis for both inputs, or a pair. The batch is axis 0.
        normalize: whether to scale the inputs to length 1 along the axes, which gives the cosine.

    Returns `(batch, *rest of the first, *rest of the second)`, and `(batch, 1)` if nothing is left.
    Raises ValueError if the sizes along the axes differ.

    >>> Dot(axes=1)([jnp.array([[1.0, 2.0]]), jnp.array([[3.0, 4.0]])]).tolist()
    [[11.0]]
    """

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        pair = (axes, axes) if isinstance(axes, int) else axes
        if (
            not isinstance(pair, (list, tuple))
            or len(pair) != 2
            or not all(isinstance(a, int) for a in pair)
        ):
            raise ValueError(f"axes must be one integer or two. Received: axes={axes!r}")
        self.axes = axes
        self.normalize = normalize

    def _pair(self, shapes: Sequence[Sequence[Any]]) -> list[int]:
        pair = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        return [axis % len(shape) for axis, shape in zip(pair, shapes, strict=True)]

    def build(self, input_shape: list[Shape]) -> None:
        _check_list(self, input_shape, 2)
        pair = self._pair(input_shape)
        found = {shape[axis] for shape, axis in zip(input_shape, pair)} - {None}
        if len(found) > 1 or 0 in pair:
            raise ValueError(
                f"Layer '{self.name}' (Dot) needs the same size along axes={self.axes}, which must "
                f"not include the batch. Received: shapes {[tuple(shape) for shape in input_shape]}"
            )

    _keeps_sparse = True

    def call(self, inputs: Sequence[jax.Array]) -> jax.Array:
        a, b = self._pair([x.shape for x in inputs])
        x, y = map(sparsity.dense, inputs)
        if self.normalize:
            x, y = nn.normalize(x, a), nn.normalize(y, b)
        outputs = lax.dot_general(x, y, (((a,), (b,)), ((0,), (0,))))
        outputs = outputs[:, None] if outputs.ndim == 1 else outputs
        return sparsity.of_dense(outputs) if all(map(sparsity.is_sparse, inputs)) else outputs

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        return None


def add(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Add(**kwargs)(inputs)`.

    >>> add([jnp.array([1.0]), jnp.array([2.0])]).tolist()
    [3.0]
    """
    return Add(**kwargs)(inputs)


def subtract(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Subtract(**kwargs)(inputs)`.

    >>> subtract([jnp.array([1.0]), jnp.array([2.0])]).tolist()
    [-1.0]
    """
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Multiply(**kwargs)(inputs)`.

    >>> multiply([jnp.array([1.0]), jnp.array([2.0])]).tolist()
    [2.0]
    """
    return Multiply(**kwargs)(inputs)


def average(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Average(**kwargs)(inputs)`.

    >>> average([jnp.array([1.0]), jnp.array([2.0])]).tolist()
    [1.5]
    """
    return Average(**kwargs)(inputs)


def maximum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Maximum(**kwargs)(inputs)`.

    >>> maximum([jnp.array([1.0]), jnp.array([2.0])]).tolist()
    [2.0]
    """
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Minimum(**kwargs)(inputs)`.

    >>> minimum([jnp.array([1.0]), jnp.array([2.0])]).tolist()
    [1.0]
    """
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: Any) -> Any:
    """`Concatenate(axis, **kwargs)(inputs)`.

    >>> concatenate([jnp.array([[1.0]]), jnp.array([[2.0]])]).tolist()
    [[1.0, 2.0]]
    """
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Sequence[Any], axes: int | Sequence[int] = -1, **kwargs: Any) -> Any:
    """`Dot(axes, **kwargs)(inputs)`.

    >>> dot([jnp.array([[1.0, 2.0]]), jnp.array([[3.0, 4.0]])]).tolist()
    [[11.0]]
    """
    return Dot(axes=axes, **kwargs)(inputs)
