"""Convolution as XLA's CPU backend computes it fastest.

The form is picked by shape, from measurements of the value and of each gradient by itself
(`benchmarks/lowerings.py`); where plain was not slower, plain it stays. Inside, channels come last.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from keraslike.ops.cpu import Call, known, on_cpu, once, pad, pads_of, spread


class _Geometry(NamedTuple):
    """Where the windows of a convolution lie, an entry for each spatial axis."""

    strides: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]


def conv(
    x: jax.Array,
    kernel: jax.Array,
    strides: tuple[int, ...],
    padding: Any,
    dilation: tuple[int, ...],
    channels_last: bool = True,
) -> jax.Array:
    """`lax.conv_general_dilated` with as many groups as the shapes say.

    Args:
        x: `(batch, *spatial, channels)`, or `(batch, channels, *spatial)`.
        kernel: `(*window, channels // groups, filters)`, of the dtype of `x`.
        strides, dilation: a number for each spatial axis.
        padding: `"VALID"`, `"SAME"` or a pair of numbers for each spatial axis.

    >>> conv(jnp.ones((1, 4, 1)), jnp.ones((2, 1, 1)), (1,), "VALID", (1,)).ravel().tolist()
    [2.0, 2.0, 2.0]
    """
    if not isinstance(padding, str):
        padding = tuple(map(tuple, padding))
    plain = Call(_plain, (strides, padding, dilation, channels_last))
    spatial = x.shape[1:-1] if channels_last else x.shape[2:]
    if not (known(x) and known(kernel, -1) and jnp.issubdtype(x.dtype, jnp.floating)):
        return plain(x, kernel)[0]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel.shape, dilation)]
    geometry = _Geometry(strides, pads_of(spatial, reach, strides, padding), dilation)
    fits = all(n + sum(p) >= r for n, p, r in zip(spatial, geometry.pads, reach))
    if not fits or _form(x.shape[-1 if channels_last else 1], kernel.shape) is None:
        return plain(x, kernel)[0]
    return on_cpu(Call(_fast_conv, (geometry, channels_last)), plain, x, kernel)


def conv_transpose(
    x: jax.Array,
    kernel: jax.Array,
    strides: tuple[int, ...],
    pads: tuple[tuple[int, int], ...],
    dilation: tuple[int, ...],
    channels_last: bool = True,
) -> jax.Array:
    """A convolution of `x` with zeros between its elements, by the kernel turned round.

    Args:
        x: `(batch, *spatial, channels)`, or `(batch, channels, *spatial)`.
        kernel: `(*window, filters, channels)`, of the dtype of `x`.
        strides, dilation: a number for each spatial axis.
        pads: around `x` when the zeros are in it, a pair for each spatial axis.

    >>> conv_transpose(jnp.ones((1, 2, 1)), jnp.ones((2, 1, 1)), (2,), ((1, 1),), (1,)).ravel()
    Array([1., 1., 1., 1.], dtype=float32)
    """
    kernel = jnp.flip(jnp.swapaxes(kernel, -1, -2), range(kernel.ndim - 2))
    if max(strides) == 1:
        return conv(x, kernel, strides, pads, dilation, channels_last)
    rest = (strides, pads, dilation, channels_last)
    plain = Call(_plain_transposed, rest)
    floating = jnp.issubdtype(x.dtype, jnp.floating)
    if not floating or not known(x) or 0 in kernel.shape or math.prod(strides) > 64:
        return plain(x, kernel)[0]
    if any(s > 1 and d > 1 for s, d in zip(strides, dilation)):
        return plain(x, kernel)[0]
    return on_cpu(Call(_fast_transposed, rest), plain, x, kernel)


def _plain_transposed(
    x: jax.Array, kernel: jax.Array, strides: Any, pads: Any, dilation: Any, last: bool
) -> jax.Array:
    n = x.ndim - 2
    layout = (0, n + 1, *range(1, n + 1)) if last else tuple(range(n + 2))
    return lax.conv_general_dilated(
        x,
        kernel,
        (1,) * n,
        pads,
        lhs_dilation=strides,
        rhs_dilation=dilation,
        dimension_numbers=lax.ConvDimensionNumbers(layout, (n + 1, n, *range(n)), layout),
    )


def _fast_transposed(
    x: jax.Array, kernel: jax.Array, strides: Any, pads: Any, dilation: Any, last: bool
) -> jax.Array:
    x = once(x if last else jnp.moveaxis(x, 1, -1), kernel)
    apart = functools.partial(_phases, strides=strides, pads=pads, dilation=dilation)
    plain = functools.partial(
        _plain_transposed, strides=strides, pads=pads, dilation=dilation, last=True
    )
    # XLA turns the gradient of the kernel into a convolution with holes in it, up to thirty times
    # slower, and over three axes all of it.
    other = apart if len(strides) == 3 else plain
    y = once(_bilinear(other, other, apart)(x, kernel), kernel)
    return y if last else jnp.moveaxis(y, -1, 1)


def _phases(x: jax.Array, kernel: jax.Array, strides: Any, pads: Any, dilation: Any) -> jax.Array:
    """For outputs that lie `strides` apart, one ordinary convolution by those taps that meet
    an input there; then the results side by side."""
    window = kernel.shape[:-2]
    n = len(window)
    out = [
        (size - 1) * s + sum(p) - (k - 1) * d + 1
        for size, s, p, k, d in zip(x.shape[1:-1], strides, pads, window, dilation)
    ]
    each = [-(-o // s) for o, s in zip(out, strides)]
    found = []
    for phase in itertools.product(*map(range, strides)):
        first = [(p[0] - r) % s for p, r, s in zip(pads, phase, strides)]
        if any(f >= k for f, k in zip(first, window)):  # more strides than taps
            found.append(jnp.zeros((x.shape[0], *each, kernel.shape[-1]), x.dtype))
            continue
        taps = kernel[tuple(slice(f, None, s) for f, s in zip(first, strides))]
        around = []
        for i, (before, _) in enumerate(pads):
            at = (phase[i] + first[i] - before) // strides[i]  # the input that the first meets
            reach = (taps.shape[i] - 1) * dilation[i]
            around.append((-at, each[i] + at + reach - x.shape[1 + i]))
        found.append(_applied(x, taps, _Geometry((1,) * n, tuple(around), tuple(dilation))))
    y = jnp.stack(found, -2).reshape(x.shape[0], *each, *strides, kernel.shape[-1])
    order = [axis for i in range(1, n + 1) for axis in (i, n + i)]
    y = y.transpose(0, *order, 2 * n + 1)
    y = y.reshape(x.shape[0], *(e * s for e, s in zip(each, strides)), kernel.shape[-1])
    return lax.slice(y, [0] * (n + 2), [x.shape[0], *out, kernel.shape[-1]])


def _fast_conv(x: jax.Array, kernel: jax.Array, g: _Geometry, last: bool) -> jax.Array:
    x = x if last else jnp.moveaxis(x, 1, -1)
    form = _form(x.shape[-1], kernel.shape)
    if form not in (_few, _pointwise, _depthwise):  # these read once what is made of x
        x = once(x, kernel)
    y = _applied(x, kernel, g)
    if form not in (_few, _pointwise):
        y = once(y, kernel)
    return y if last else jnp.moveaxis(y, -1, 1)


def _plain(
    x: jax.Array, kernel: jax.Array, strides: Any, padding: Any, dilation: Any, last: bool
) -> jax.Array:
    n = x.ndim - 2
    layout = (0, n + 1, *range(1, n + 1)) if last else tuple(range(n + 2))
    return lax.conv_general_dilated(
        x,
        kernel,
        strides,
        padding,
        rhs_dilation=dilation,
        dimension_numbers=lax.ConvDimensionNumbers(layout, (n + 1, n, *range(n)), layout),
        feature_group_count=x.shape[layout[1]] // kernel.shape[-2],
    )


def _applied(x: jax.Array, kernel: jax.Array, g: _Geometry) -> jax.Array:
    return (_form(x.shape[-1], kernel.shape) or _plain_last)(x, kernel, g)


def _plain_last(x: jax.Array, kernel: jax.Array, g: _Geometry) -> jax.Array:
    return _plain(x, kernel, g.strides, g.pads, g.dilation, True)


def _form(channels: int, kernel: Sequence[int]) -> Callable | None:
    """The form that a convolution takes by the shapes; `None` is the same as everywhere."""
    *window, depth, filters = kernel
    taps = math.prod(window)
    groups = channels // depth if depth else 0
    if not groups or not filters:
        return None
    if groups > 1:
        if depth == 1 and taps * (filters // groups) <= 128:
            return _depthwise
        return _grouped if groups // _merged(groups, depth) <= 64 else None
    if taps == 1:
        return _pointwise if channels > 1 else None
    if len(window) == 3:
        return _volume
    return _few if channels <= 4 and taps <= 64 else _plain_last


def _bilinear(value: Callable, along_x: Callable, along_kernel: Callable) -> Callable:
    """One function of an input and a kernel in three forms, all equal, each fast at its own task.

    `value` gives the result, the transpose of `along_x` in its first argument the gradient with
    respect to the input, that of `along_kernel` in its second that with respect to the kernel.
    """

    @jax.custom_jvp
    def function(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return value(x, kernel)

    def jvp(primals: tuple, tangents: tuple) -> tuple:
        (x, kernel), (dx, dk) = primals, tangents
        y = function(x, kernel)
        parts = []
        if not isinstance(dx, SymbolicZero):
            parts.append(along_x(dx, kernel))
        if not isinstance(dk, SymbolicZero):
            parts.append(along_kernel(x, dk))
        return y, sum(parts[1:], parts[0]) if parts else jnp.zeros_like(y)

    function.defjvp(jvp, symbolic_zeros=True)
    return function


def _slices(x: jax.Array, window: Sequence[int], g: _Geometry) -> list[jax.Array]:
    """For each tap of the window, in the kernel's order, the inputs that it meets."""
    x = pad(x, 0, ((0, 0), *g.pads, (0, 0)))
    out = [
        (n - (k - 1) * d - 1) // s + 1
        for n, k, s, d in zip(x.shape[1:-1], window, g.strides, g.dilation)
    ]
    found = []
    for tap in itertools.product(*map(range, window)):
        first = [t * d for t, d in zip(tap, g.dilation)]
        stop = [f + (n - 1) * s + 1 for f, n, s in zip(first, out, g.strides)]
        limits = (x.shape[0], *stop, x.shape[-1])
        found.append(lax.slice(x, (0, *first, 0), limits, (1, *g.strides, 1)))
    return found


def _pointwise(x: jax.Array, kernel: jax.Array, g: _Geometry) -> jax.Array:
    """A window of one element: a matrix product.

    Reshaped to two axes its kernel's gradient is fast, its value is so as it is.
    """

    def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
        (x,) = _slices(x, kernel.shape[:-2], g)
        kernel = kernel.reshape(kernel.shape[-2:])
        return lax.dot_general(x, kernel, (((x.ndim - 1,), (0,)), ((), ())))

    value = product if max(g.strides) == 1 else functools.partial(_plain_last, g=g)
    return _bilinear(value, product, functools.partial(_patches, g=g))(x, kernel)


def _depthwise(x: jax.Array, kernel: jax.Array, g: _Geometry) -> jax.Array:
    """A filter or several for each channel: products with shifted inputs, added up."""
    *window, _, filters = kernel.shape
    weights = kernel.reshape(-1, x.shape[-1], filters // x.shape[-1])
    scattered = functools.partial(_scattered, window=window, g=g)
    gathered = functools.partial(_gathered, window=window, g=g)
    parts = functools.partial(_gathered_in_parts, window=window, g=g)
    return _bilinear(gathered, scattered, parts)(x, weights)


def _gathered(x: jax.Array, weights: jax.Array, window: Sequence[int], g: _Geometry) -> jax.Array:
    """For each output, what the taps meet times their weights."""
    x, g = _padded(x, x, g)
    taps = _slices(x, window, g)
    return _side_by_side(
        [
            jnp.asarray(sum(tap * weights[i, :, j] for i, tap in enumerate(taps)))
            for j in range(weights.shape[-1])
        ]
    )


def _scattered(x: jax.Array, weights: jax.Array, window: Sequence[int], g: _Geometry) -> jax.Array:
    """Each input's products put where they belong, so that the transpose is like `_gathered`."""
    reach = [(k - 1) * d for k, d in zip(window, g.dilation)]
    crop = [(0, 0), *((b - r, a - r) for (b, a), r in zip(g.pads, reach)), (0, 0)]
    found = []
    for j in range(weights.shape[-1]):
        total: Any = 0
        for i, tap in enumerate(itertools.product(*map(range, window))):
            ahead = [t * d for t, d in zip(tap, g.dilation)]
            place = [(0, 0), *((r - a, a) for r, a in zip(reach, ahead)), (0, 0)]
            total = total + pad(x * weights[i, :, j], 0, place)
        y = pad(once(total, weights), 0, crop)
        found.append(lax.slice(y, [0] * y.ndim, y.shape, (1, *g.strides, 1)))
    return _side_by_side(found)


def _gathered_in_parts(
    x: jax.Array, weights: jax.Array, window: Sequence[int], g: _Geometry, parts: int = 8
) -> jax.Array:
    """As `_gathered`, for parts of the batch with weights laid out over each element.

    Transposed, the parts' products are added up element by element, for all taps in one loop, and
    what remains to be summed is small.
    """
    batch = x.shape[0]
    if not isinstance(batch, int):
        return _gathered(x, weights, window, g)
    parts = max(1, min(parts, batch))
    each = -(-batch // parts)
    x, g = _padded(x, x, g, each * parts - batch)
    taps = [tap.reshape(parts, each, *tap.shape[1:]) for tap in _slices(x, window, g)]
    filters = range(weights.shape[-1])
    wide = [
        jnp.broadcast_to(weights[i, :, j], tap.shape[1:])
        for j in filters
        for i, tap in enumerate(taps)
    ]
    wide = spread(parts, wide)
    found = [sum(t * w for t, w in zip(taps, wide[j * len(taps) :])) for j in filters]
    y = _side_by_side([jnp.asarray(f) for f in found])
    return y.reshape(each * parts, *y.shape[2:])[:batch]


def _padded(
    x: jax.Array, by: jax.Array, g: _Geometry, more: int = 0
) -> tuple[jax.Array, _Geometry]:
    """With the zeros around it, and `more` samples, in memory: the loops need not ask for them."""
    x = once(pad(x, 0, ((0, more), *g.pads, (0, 0))), by)
    return x, g._replace(pads=((0, 0),) * len(g.pads))


def _side_by_side(found: list[jax.Array]) -> jax.Array:
    """For each channel the filters that it has."""
    if len(found) == 1:
        return found[0]
    y = jnp.stack(found, -1)
    return y.reshape(*y.shape[:-2], y.shape[-2] * y.shape[-1])


def _merged(groups: int, depth: int) -> int:
    """How many groups are computed as one, with zeros between them: up to 16 channels."""
    return max(n for n in range(1, max(1, 16 // depth) + 1) if groups % n == 0)


def _grouped(x: jax.Array, kernel: jax.Array, g: _Geometry) -> jax.Array:
    """A convolution for each group of channels, or for a few small groups at once."""
    groups = x.shape[-1] // kernel.shape[-2]
    merged = _merged(groups, kernel.shape[-2])
    kernels = jnp.split(kernel, groups, -1)
    inputs = jnp.split(x, groups // merged, -1)
    return lax.concatenate(
        [
            _applied(part, _diagonal(kernels[i * merged : (i + 1) * merged]), g)
            for i, part in enumerate(inputs)
        ],
        x.ndim - 1,
    )


def _diagonal(kernels: Sequence[jax.Array]) -> jax.Array:
    """The kernel of several groups as that of one, with zeros where they do not meet.

    It is put together from padded pieces: jaxlib 0.10 crashes on the gradient of a product with an
    identity matrix, which has seven axes (jax issue 39257).
    """
    before = [(0, 0)] * (kernels[0].ndim - 1)
    filters, last = kernels[0].shape[-1], len(kernels) - 1
    rows = [
        pad(kernel, 0, [*before, (i * filters, (last - i) * filters)])
        for i, kernel in enumerate(kernels)
    ]
    return lax.concatenate(rows, kernels[0].ndim - 2)


def _products(x: jax.Array, kernel: jax.Array, g: _Geometry) -> jax.Array:
    """Products of each channel, shifted, with a tap's weights for all filters, added up."""
    weights = kernel.reshape(-1, *kernel.shape[-2:])
    return jnp.asarray(
        sum(
            tap[..., c : c + 1] * weights[i, c]
            for i, tap in enumerate(_slices(x, kernel.shape[:-2], g))
            for c in range(x.shape[-1])
        )
    )


def _patches(x: jax.Array, kernel: jax.Array, g: _Geometry) -> jax.Array:
    """One matrix product with what each window sees."""
    seen = jnp.concatenate(_slices(x, kernel.shape[:-2], g), -1)
    rows = lax.reshape(seen, (math.prod(seen.shape[:-1]), seen.shape[-1]))
    y = rows @ kernel.reshape(-1, kernel.shape[-1])
    return lax.reshape(y, (*seen.shape[:-1], y.shape[-1]))


def _patches_apart(x: jax.Array, kernel: jax.Array, g: _Geometry) -> jax.Array:
    """As `_patches`, with the windows along the last axis: for few channels less is moved."""
    *window, channels, filters = kernel.shape
    planes = jnp.moveaxis(x, -1, 0)[..., None]
    planes = planes.reshape(channels * x.shape[0], *x.shape[1:-1], 1)
    taps = _slices(planes, window, g)
    out = (x.shape[0], *taps[0].shape[1:-1])
    seen = jnp.stack([tap.reshape(channels, -1) for tap in taps])
    seen = seen.reshape(-1, seen.shape[-1])
    y = lax.dot_general(seen, kernel.reshape(-1, filters), (((0,), (0,)), ((), ())))
    return y.reshape(*out, filters)


def _few(x: jax.Array, kernel: jax.Array, g: _Geometry) -> jax.Array:
    """A convolution of up to four channels."""
    *window, channels, filters = kernel.shape
    seen = math.prod(window) * channels
    apart = functools.partial(_patches_apart, g=g)
    plain = functools.partial(_plain_last, g=g)
    return _bilinear(
        functools.partial(_products, g=g) if seen <= 32 else plain,
        apart if max(g.strides) == 1 or channels == 1 else plain,
        apart if seen <= 16 and filters >= 32 else plain,
    )(x, kernel)


def _volume(x: jax.Array, kernel: jax.Array, g: _Geometry) -> jax.Array:
    """A convolution over three axes: one over two, of channels that the first axis' taps see."""
    depth, *window, channels, filters = kernel.shape
    first = _Geometry((g.strides[0], 1, 1), (g.pads[0], (0, 0), (0, 0)), (g.dilation[0], 1, 1))
    seen = jnp.concatenate(_slices(x, (depth, 1, 1), first), -1)
    planes = seen.reshape(-1, *seen.shape[2:])
    flat = jnp.moveaxis(kernel, 0, -3).reshape(*window, depth * channels, filters)
    y = _applied(planes, flat, _Geometry(g.strides[1:], g.pads[1:], g.dilation[1:]))
    return y.reshape(*seen.shape[:2], *y.shape[1:])
