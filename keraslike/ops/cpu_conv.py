"""Convolutions in the forms that XLA's CPU backend computes fastest.

The form is selected by shape, from measurements of the value and of each gradient separately
(`benchmarks/lowerings.py`); XLA's own form is kept where it was not slower. Internally, channels
come last.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from keraslike.ops.cpu import (
    Bilinear,
    Call,
    is_small,
    known,
    on_cpu,
    once,
    pad,
    transposed,
)
from keraslike.ops.plain_conv import (
    Geometry,
    around_of,
    fits,
    geometry_of,
    ordered,
    plain_conv,
    plain_last,
    plain_transposed,
    slices_of,
    turned,
)
from keraslike.ops.products import contract


def conv(
    x: jax.Array,
    kernel: jax.Array,
    strides: tuple[int, ...],
    padding: Any,
    dilation: tuple[int, ...],
    channels_last: bool = True,
    bias: jax.Array | None = None,
) -> jax.Array:
    """`lax.conv_general_dilated` with as many groups as the shapes say, plus a bias.

    Args:
        x: `(batch, *spatial, channels)`, or `(batch, channels, *spatial)`.
        kernel: `(*window, channels // groups, filters)`, of the dtype of `x`.
        strides, dilation: a number for each spatial axis.
        padding: `"VALID"`, `"SAME"` or a pair of numbers for each spatial axis.
        bias: `(filters,)`.

    >>> conv(jnp.ones((1, 4, 1)), jnp.ones((2, 1, 1)), (1,), "VALID", (1,)).ravel().tolist()
    [2.0, 2.0, 2.0]
    """
    if not isinstance(padding, str):
        padding = tuple(map(tuple, padding))
    plain = Call(plain_conv, (strides, padding, dilation, channels_last))
    arrays = (x, kernel) if bias is None else (x, kernel, bias)
    if _has_no_samples(x):
        return _of_no_samples(plain, *arrays)
    spatial = x.shape[1:-1] if channels_last else x.shape[2:]
    if not (known(x) and known(kernel, -1) and jnp.issubdtype(x.dtype, jnp.floating)):
        return plain(*arrays)[0]
    window = kernel.shape[:-2]
    geometry = geometry_of(spatial, window, strides, padding, dilation)
    if (
        not fits(spatial, window, geometry)
        or _form(x.shape[-1 if channels_last else 1], kernel.shape) is None
    ):
        return plain(*arrays)[0]
    fast, alone = (
        Call(_fast_conv, (geometry, channels_last, trained)) for trained in (True, False)
    )
    return on_cpu(fast, plain, *arrays, alone=alone)


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
    if max(strides) == 1:
        return conv(x, turned(kernel), strides, pads, dilation, channels_last)
    rest = (strides, pads, dilation, channels_last)
    plain = Call(plain_transposed, rest)
    if _has_no_samples(x):
        return _of_no_samples(plain, x, kernel)
    floating = jnp.issubdtype(x.dtype, jnp.floating)
    if not floating or not known(x) or 0 in kernel.shape:
        return plain(x, kernel)[0]
    return on_cpu(Call(_fast_transposed, rest), plain, x, kernel)


def _has_no_samples(x: jax.Array) -> bool:
    return isinstance(x.shape[0], int) and x.shape[0] == 0


def _of_no_samples(plain: Call, *arrays: jax.Array) -> jax.Array:
    """The convolution of an empty batch. JAX 0.10 cannot differentiate its own form of it."""
    (like,) = jax.eval_shape(lambda *given: plain(*given), *arrays)
    total = math.prod(jnp.sum(array, dtype=like.dtype) for array in arrays)
    return jnp.broadcast_to(total, like.shape)


def _fast_transposed(
    x: jax.Array, kernel: jax.Array, strides: Any, pads: Any, dilation: Any, last: bool
) -> jax.Array:
    """The gradient of a strided convolution with respect to its input."""
    x = once(x if last else jnp.moveaxis(x, 1, -1))
    reach = [(k - 1) * d for k, d in zip(kernel.shape, dilation)]
    out = [(n - 1) * s + 1 + sum(p) - r for n, s, p, r in zip(x.shape[1:], strides, pads, reach)]
    around = [
        (r - before, (n - 1) * s + 1 + before - size)
        for n, s, (before, _), r, size in zip(x.shape[1:], strides, pads, reach, out)
    ]
    g = Geometry(tuple(strides), tuple(around), tuple(dilation))
    like = jax.ShapeDtypeStruct((x.shape[0], *out, kernel.shape[-2]), x.dtype)
    (y,) = jax.linear_transpose(lambda y: _applied(y, kernel, g), like)(x)
    y = once(y)
    return y if last else jnp.moveaxis(y, -1, 1)


def _fast_conv(*given: Any) -> jax.Array:
    """`trained` says whether derivatives are taken."""
    x, kernel, *bias, g, last, trained = given
    x = x if last else jnp.moveaxis(x, 1, -1)
    form = _form(x.shape[-1], kernel.shape) or plain_last
    small = is_small((*x.shape[:-1], kernel.shape[-1]))
    if small and not trained and form in (_few, _dense):
        form = plain_last  # XLA can fuse it with a following pooling.
    if form in (_few, _pointwise, plain_last):
        y = sum(bias, form(x, kernel, g))
    elif form is _depthwise:  # A loop that includes the bias and reads x once.
        y = once(sum(bias, form(x, kernel, g)))
    else:
        y = sum(bias, once(form(once(x), kernel, g)))
    return y if last else jnp.moveaxis(y, -1, 1)


def _applied(x: jax.Array, kernel: jax.Array, g: Geometry) -> jax.Array:
    return (_form(x.shape[-1], kernel.shape) or plain_last)(x, kernel, g)


def _form(channels: int, kernel: Sequence[int]) -> Callable | None:
    """The form of a convolution for its shapes; `None` is the form of all platforms."""
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
    return _few if channels <= 4 and taps <= 64 else _dense


def _pointwise(x: jax.Array, kernel: jax.Array, g: Geometry) -> jax.Array:
    """A window of one element: a matrix product.

    The gradient of its kernel is faster after a reshape to two axes, its value without.
    """

    def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
        (x,) = slices_of(x, g, kernel.shape[:-2])
        kernel = kernel.reshape(kernel.shape[-2:])
        return lax.dot_general(x, kernel, (((x.ndim - 1,), (0,)), ((), ())))

    value = product if max(g.strides) == 1 else functools.partial(plain_last, g=g)
    along_kernel = transposed(functools.partial(_patches, g=g), 1, kernel)
    return Bilinear(value, transposed(product, 0, x), along_kernel)(x, kernel)


def _dense(x: jax.Array, kernel: jax.Array, g: Geometry) -> jax.Array:
    """For many channels XLA's own form is fast, except for two gradients: that of the kernel, which
    reads memory in large strides, and, with strides, that of the input, which would mostly process
    zeros."""

    def patches(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return _patches(once(x), kernel, g)

    def along_kernel(x: jax.Array, dy: jax.Array) -> jax.Array:
        each = _each(x.shape, reads * dy.size)
        if each is None:
            return gradient(x, dy)
        parts = [gradient(x[i : i + each], dy[i : i + each]) for i in range(0, x.shape[0], each)]
        return sum(parts[1:], parts[0])

    plain = functools.partial(plain_last, g=g)
    along_x, gradient = transposed(plain, 0, x), transposed(plain, 1, kernel)
    *window, channels, filters = kernel.shape
    taps = math.prod(window)
    reads = taps * channels
    if max(g.strides) == 1:
        if filters < channels:
            gradient = functools.partial(_correlated_by_filters, window=window, g=g)
    elif taps <= 9:
        few = channels <= 16 and math.prod(g.strides) <= 4 and max(g.dilation) == 1
        along_x = transposed(functools.partial(_by_blocks, g=g) if few else patches, 0, x)
    elif math.prod(g.strides) <= 9 and all(1 in pair for pair in zip(g.strides, g.dilation)):
        along_x = functools.partial(_phases, g=g, size=x.shape[1:-1])
    return Bilinear(plain, along_x, along_kernel)(x, kernel)


def _by_blocks(x: jax.Array, kernel: jax.Array, g: Geometry) -> jax.Array:
    """A strided convolution, computed as one without strides: the positions of a block of inputs
    become channels."""
    *window, channels, filters = kernel.shape
    n, (size, strides) = len(window), (x.shape[1:-1], g.strides)
    taps = [-(-k // s) for k, s in zip(window, strides)]
    blocks = [
        (m + sum(p) - k) // s + t for m, p, k, s, t in zip(size, g.pads, window, strides, taps)
    ]
    around = [
        (before, b * s - m - before) for (before, _), b, s, m in zip(g.pads, blocks, strides, size)
    ]
    x = pad(x, 0, ((0, 0), *around, (0, 0)))
    x = x.reshape(x.shape[0], *(k for pair in zip(blocks, strides) for k in pair), channels)
    x = x.transpose(0, *range(1, 2 * n, 2), *range(2, 2 * n + 1, 2), 2 * n + 1)
    x = once(x.reshape(x.shape[0], *blocks, -1))
    beyond = [(0, t * s - k) for t, s, k in zip(taps, strides, window)]
    kernel = pad(kernel, 0, (*beyond, (0, 0), (0, 0)))
    kernel = kernel.reshape(*(k for pair in zip(taps, strides) for k in pair), channels, filters)
    kernel = kernel.transpose(*range(0, 2 * n, 2), *range(1, 2 * n, 2), 2 * n, 2 * n + 1)
    kernel = kernel.reshape(*taps, -1, filters)
    return plain_last(x, kernel, Geometry((1,) * n, ((0, 0),) * n, (1,) * n))


def _correlated_by_filters(
    x: jax.Array, dy: jax.Array, window: Sequence[int], g: Geometry
) -> jax.Array:
    """The gradient of a kernel as a convolution of `dy` by `x` instead of `x` by `dy`: the first
    operand is copied for each tap, so the smaller array should be the first."""
    around = around_of(x.shape[1:-1], dy.shape[1:-1], window, g)
    dy, x = jnp.swapaxes(dy, 0, -1), jnp.moveaxis(x, 0, -2)
    y = ordered(dy, x, Geometry(g.dilation, tuple(around), g.strides))
    return turned(jnp.moveaxis(y, 0, -2))


def _each(shape: Sequence[Any], products: Any) -> int | None:
    """The number of samples for which a kernel's gradient is computed at once: 8 or 16, in up to 16
    parts.

    `None` stands for all of them: if a part exceeds 2 MB, and if compiling the parts takes longer
    than they save.
    """
    batch, sample = shape[0], math.prod(shape[1:])
    if not isinstance(batch, int) or products < 1 << 28:
        return None
    each = max(8 if sample >= 1 << 14 else 16, -(-batch // 16))
    return each if each < batch and each * sample <= 1 << 19 else None


def _phases(dy: jax.Array, kernel: jax.Array, g: Geometry, size: Sequence[int]) -> jax.Array:
    """The gradient for inputs at a distance of `strides`: ordinary convolutions with the taps that
    read them, whose results are interleaved."""
    kernel = turned(kernel)
    window, n = kernel.shape[:-2], len(size)
    each = [-(-m // s) for m, s in zip(size, g.strides)]
    before = [b for b, _ in around_of(size, dy.shape[1:-1], window, g)]
    found = []
    for phase in itertools.product(*map(range, g.strides)):
        first = [(b - r) % s for b, r, s in zip(before, phase, g.strides)]
        if any(f >= k for f, k in zip(first, window)):  # There are more strides than taps.
            found.append(jnp.zeros((dy.shape[0], *each, kernel.shape[-1]), dy.dtype))
            continue
        taps = kernel[tuple(slice(f, None, s) for f, s in zip(first, g.strides))]
        around = []
        for i, s in enumerate(g.strides):
            # The output to which the first tap contributed.
            at = (phase[i] + first[i] - before[i]) // s
            reach = (taps.shape[i] - 1) * g.dilation[i]
            around.append((-at, each[i] + at + reach - dy.shape[1 + i]))
        found.append(_applied(dy, taps, Geometry((1,) * n, tuple(around), g.dilation)))
    y = jnp.stack(found, -2).reshape(dy.shape[0], *each, *g.strides, kernel.shape[-1])
    order = [axis for i in range(1, n + 1) for axis in (i, n + i)]
    y = y.transpose(0, *order, 2 * n + 1)
    y = y.reshape(dy.shape[0], *(e * s for e, s in zip(each, g.strides)), kernel.shape[-1])
    return lax.slice(y, [0] * (n + 2), [dy.shape[0], *size, kernel.shape[-1]])


def _depthwise(x: jax.Array, kernel: jax.Array, g: Geometry) -> jax.Array:
    """A filter or several for each channel: a sum of products with shifted inputs."""
    *window, _, filters = kernel.shape
    weights = kernel.reshape(-1, x.shape[-1], filters // x.shape[-1])
    given: Any = {"window": window, "g": g}
    return Bilinear(
        functools.partial(_gathered, **given),
        functools.partial(_gathered_back, size=x.shape[1:-1], **given),
        functools.partial(_correlated, **given),
    )(x, weights)


def _gathered(x: jax.Array, weights: jax.Array, window: Sequence[int], g: Geometry) -> jax.Array:
    """For each output, the sum of the taps' inputs times their weights."""
    taps = slices_of(*_padded(x, g), window)
    found = [
        jnp.asarray(sum(tap * weights[i, :, j] for i, tap in enumerate(taps)))
        for j in range(weights.shape[-1])
    ]
    if len(found) == 1:
        return found[0]
    y = jnp.stack(found, -1)  # For each channel its filters.
    return y.reshape(*y.shape[:-2], y.shape[-2] * y.shape[-1])


def _gathered_back(
    dy: jax.Array, weights: jax.Array, window: Sequence[int], g: Geometry, size: Sequence[int]
) -> jax.Array:
    """For each input, the sum of the outputs that it contributed to, times the weights."""
    around = around_of(size, dy.shape[1:-1], window, g)
    zeros = [(0, 0, 0), *((*p, s - 1) for p, s in zip(around, g.strides)), (0, 0, 0)]
    dy = dy.reshape(*dy.shape[:-1], *weights.shape[1:])
    g = g._replace(strides=(1,) * len(window), pads=((0, 0),) * len(window))
    found = []
    for j in range(weights.shape[-1]):
        wide = once(lax.pad(dy[..., j], jnp.zeros((), dy.dtype), zeros))
        found.append(_gathered(wide, weights[::-1, :, j : j + 1], window, g))
    return sum(found[1:], found[0])


def _correlated(
    x: jax.Array, dy: jax.Array, window: Sequence[int], g: Geometry, parts: int = 8
) -> jax.Array:
    """For each tap, the sum of its inputs times the outputs.

    Parts of the batch are added element by element, which leaves a small array to sum. All taps are
    computed in one loop: separate loops would each read all of the memory. LLVM vectorizes this
    loop for up to 8 parts and 9 sums.
    """
    batch = x.shape[0]
    parts = max(1, min(parts, batch)) if isinstance(batch, int) else 1
    each = -(-batch // parts)
    more = each * parts - batch
    taps = slices_of(*_padded(x, g, more), window)
    dy = pad(dy, 0, ((0, more), *((0, 0),) * (dy.ndim - 1)))
    dy = dy.reshape(*taps[0].shape, -1)
    products = [tap * dy[..., j] for tap in taps for j in range(dy.shape[-1])]
    products = [p.reshape(parts, each, *p.shape[1:]) for p in products]
    found = []
    for some in (products[i : i + 9] for i in range(0, len(products), 9)):
        zeros = tuple(jnp.zeros((), x.dtype) for _ in some)
        found += lax.reduce(tuple(some), zeros, _added, (0,))
    sums = jnp.stack([f.sum(range(f.ndim - 1)) for f in found])
    return sums.reshape(len(taps), -1, x.shape[-1]).swapaxes(1, 2)


def _added(x: Sequence[jax.Array], y: Sequence[jax.Array]) -> tuple[jax.Array, ...]:
    return tuple(a + b for a, b in zip(x, y))


def _padded(x: jax.Array, g: Geometry, more: int = 0) -> tuple[jax.Array, Geometry]:
    """The padded input, with `more` additional samples, in memory, so that the loops need no bounds
    checks."""
    x = once(pad(x, 0, ((0, more), *g.pads, (0, 0))))
    return x, g._replace(pads=((0, 0),) * len(g.pads))


def _merged(groups: int, depth: int) -> int:
    """How many groups are computed as one, with zeros between them: up to 16 channels."""
    return max(n for n in range(1, max(1, 16 // depth) + 1) if groups % n == 0)


def _grouped(x: jax.Array, kernel: jax.Array, g: Geometry) -> jax.Array:
    """A convolution for each group of channels, or for a few small groups at once."""
    groups = x.shape[-1] // kernel.shape[-2]
    merged = _merged(groups, kernel.shape[-2])
    kernels = jnp.split(kernel, groups, -1)
    inputs = jnp.split(x, groups // merged, -1)
    return lax.concatenate(
        [
            _applied(once(part), _diagonal(kernels[i * merged : (i + 1) * merged]), g)
            for i, part in enumerate(inputs)
        ],
        x.ndim - 1,
    )


def _diagonal(kernels: Sequence[jax.Array]) -> jax.Array:
    """The kernels of several groups as one kernel, with zeros between the groups.

    It is assembled from padded pieces: jaxlib 0.10 crashes on the gradient of a product with an
    identity matrix, which has seven axes (jax issue 39257).
    """
    before = [(0, 0)] * (kernels[0].ndim - 1)
    filters, last = kernels[0].shape[-1], len(kernels) - 1
    rows = [
        pad(kernel, 0, [*before, (i * filters, (last - i) * filters)])
        for i, kernel in enumerate(kernels)
    ]
    return lax.concatenate(rows, kernels[0].ndim - 2)


def _products(x: jax.Array, kernel: jax.Array, g: Geometry) -> jax.Array:
    """The sum of the products of each shifted channel with a tap's weights for all filters."""
    weights = kernel.reshape(-1, *kernel.shape[-2:])
    return jnp.asarray(
        sum(
            tap[..., c : c + 1] * weights[i, c]
            for i, tap in enumerate(slices_of(x, g, kernel.shape[:-2]))
            for c in range(x.shape[-1])
        )
    )


def _patches(x: jax.Array, kernel: jax.Array, g: Geometry) -> jax.Array:
    """One matrix product with the patches of all windows."""
    seen = jnp.concatenate(slices_of(x, g, kernel.shape[:-2]), -1)
    return contract(seen, kernel.reshape(-1, kernel.shape[-1]))


def _patches_apart(x: jax.Array, kernel: jax.Array, g: Geometry) -> jax.Array:
    """Like `_patches`, with the windows along the last axis: for few channels this moves less
    memory."""
    *window, channels, filters = kernel.shape
    planes = jnp.moveaxis(x, -1, 0)[..., None]
    planes = planes.reshape(channels * x.shape[0], *x.shape[1:-1], 1)
    taps = slices_of(planes, g, window)
    out = (x.shape[0], *taps[0].shape[1:-1])
    seen = jnp.stack([tap.reshape(channels, -1) for tap in taps])
    seen = seen.reshape(-1, seen.shape[-1])
    y = lax.dot_general(seen, kernel.reshape(-1, filters), (((0,), (0,)), ((), ())))
    return y.reshape(*out, filters)


def _few(x: jax.Array, kernel: jax.Array, g: Geometry) -> jax.Array:
    """A convolution with up to four channels."""
    *window, channels, filters = kernel.shape
    seen = math.prod(window) * channels
    apart = functools.partial(_patches_apart, g=g)
    plain = functools.partial(plain_last, g=g)
    if max(g.strides) == 1 or channels == 1:
        along_x = apart
    else:  # The value of a transposed convolution, such as the last one of a decoder.
        along_x = functools.partial(_patches, g=g) if math.prod(window) <= 16 else plain
    along_kernel = apart if seen <= 16 and filters >= 32 else plain
    return Bilinear(
        functools.partial(_products, g=g) if seen <= 32 else plain,
        transposed(along_x, 0, x),
        transposed(along_kernel, 1, kernel),
    )(x, kernel)


def _volume(x: jax.Array, kernel: jax.Array, g: Geometry) -> jax.Array:
    """A convolution over three axes, computed as one over two."""
    by_inputs = functools.partial(_volume_by_inputs, g=g)
    by_filters = functools.partial(_volume_by_filters, g=g)
    channels, filters = kernel.shape[-2:]
    if channels < 8 or g.strides[0] > 1:
        return by_inputs(x, kernel)
    along_kernel = by_filters if filters <= 2 * channels else by_inputs
    return Bilinear(by_filters, transposed(by_inputs, 0, x), transposed(along_kernel, 1, kernel))(
        x, kernel
    )


def _volume_by_inputs(x: jax.Array, kernel: jax.Array, g: Geometry) -> jax.Array:
    """The taps along the first axis become additional channels."""
    depth, *window, channels, filters = kernel.shape
    first = Geometry((g.strides[0], 1, 1), (g.pads[0], (0, 0), (0, 0)), (g.dilation[0], 1, 1))
    seen = jnp.concatenate(slices_of(x, first, (depth, 1, 1)), -1)
    planes = seen.reshape(-1, *seen.shape[2:])
    flat = jnp.moveaxis(kernel, 0, -3).reshape(*window, depth * channels, filters)
    y = _applied(planes, flat, Geometry(g.strides[1:], g.pads[1:], g.dilation[1:]))
    return y.reshape(*seen.shape[:2], *y.shape[1:])


def _volume_by_filters(x: jax.Array, kernel: jax.Array, g: Geometry) -> jax.Array:
    """The taps along the first axis become additional filters, whose results are shifted and
    added."""
    depth, *window, channels, filters = kernel.shape
    planes = x.reshape(-1, *x.shape[2:])
    flat = jnp.moveaxis(kernel, 0, -2).reshape(*window, channels, depth * filters)
    y = _applied(planes, flat, Geometry(g.strides[1:], g.pads[1:], g.dilation[1:]))
    y = once(y.reshape(*x.shape[:2], *y.shape[1:]))
    (before, after), step = g.pads[0], g.dilation[0]
    beyond = after - (depth - 1) * step  # The end of the results of the first tap.
    found = []
    for i in range(depth):
        shift = ((0, 0), (before - i * step, beyond + i * step), *((0, 0),) * 3)
        found.append(pad(y[..., i * filters : (i + 1) * filters], 0, shift))
    return sum(found[1:], found[0])
