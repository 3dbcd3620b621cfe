"""Pooling of `tf.nn`, and the operations of morphology."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np

from keraslike.ops import cpu_pool
from keraslike.ops.cpu import pads_of
from keraslike.tf import documentation, dtypes, random
from keraslike.tf.blocks import with_space_to_batch
from keraslike.tf.conversion import _as_operand, static
from keraslike.tf.errors import InvalidArgumentError, UnimplementedError
from keraslike.tf.operation import operands
from keraslike.tf.ops import cast, reverse
from keraslike.tf.table import check_kind
from keraslike.tf.tensor import Tensor, run
from keraslike.tf.windows import (
    _FORMATS,
    _format,
    _padding,
    _sizes,
    all_sizes,
    either_order,
    steps_and_rates,
)


def _windows(name: str, ksize: Any, strides: Any, rank: int) -> tuple[tuple[int, ...], ...]:
    """The sizes and steps of windows for all axes. Windows of images may be those of channels
    only, in steps of their size."""
    window, steps = all_sizes(ksize, rank), all_sizes(strides, rank)
    alone = max(*window[:-1], *steps[:-1]) == 1 and window[-1] == steps[-1]
    if (window[0], steps[0]) != (1, 1) or (
        (window[-1], steps[-1]) != (1, 1) and not (alone and rank < 3)
    ):
        raise UnimplementedError(
            f"tf.nn.{name}: windows and steps must be 1 along the batch and the channels. "
            f"Received: ksize={ksize}, strides={strides}"
        )
    return window, steps


def _pads(name: str, padding: Any, rank: int) -> Any:
    if isinstance(padding, str) or name.startswith("max_pool"):
        pads = _padding(padding, rank)
        return pads if isinstance(pads, str) else ((0, 0), *pads, (0, 0))
    raise TypeError(f"tf.nn.{name}: padding must be a str. Received: {padding}")


def _pool(name_of: str, rank: int, average: bool) -> Callable:
    def pool(
        input: Any,
        ksize: Any,
        strides: Any,
        padding: Any,
        data_format: Any = _FORMATS[rank],
        name: Any = None,
    ) -> Tensor:
        _format(name_of, data_format)
        windows = _windows(name_of, ksize, strides, rank)
        rest = (*windows, _pads(name_of, padding, rank), average)
        return run(_pooled, (_as_operand(input),), rest)

    pool.__name__ = pool.__qualname__ = name_of
    pool.__doc__ = f"The {'mean' if average else 'largest'} of each window, channels last."
    return either_order(pool)


def _check_window(shape: Any, window: Any, padding: Any) -> None:
    """Raises ValueError if there is no padding and the window is larger than the input."""
    if padding == "VALID" and any(
        isinstance(n, int) and w > n for n, w in zip(shape[1:-1], window[1:], strict=False)
    ):
        raise ValueError(f"ksize={window} is larger than the images. Received shape: {shape}")


def _pooled(x: Any, window: Any, strides: Any, padding: str, average: bool) -> Any:
    if average:
        check_kind("nn.avg_pool", x, "buic")
    if x.ndim != len(window):
        raise InvalidArgumentError(f"ksize={window} does not fit an input of shape {x.shape}.")
    if x.shape[-1] % window[-1]:
        raise UnimplementedError(f"ksize={window} must divide the channels of shape {x.shape}.")
    if not isinstance(padding, str) and any(max(p) >= w for p, w in zip(padding, window)):
        raise InvalidArgumentError(f"padding={padding} must be less than ksize={window}.")
    _check_window(x.shape, window, padding)
    if not average:
        return cpu_pool.max_pool(x, window, strides, padding)
    counts = cpu_pool.sum_pool(jnp.ones(x.shape, x.dtype), window, strides, padding)
    return cpu_pool.sum_pool(x, window, strides, padding) / counts


max_pool1d, max_pool2d = _pool("max_pool1d", 1, False), _pool("max_pool2d", 2, False)


avg_pool1d, avg_pool2d = _pool("avg_pool1d", 1, True), _pool("avg_pool2d", 2, True)


max_pool3d, avg_pool3d = _pool("max_pool3d", 3, False), _pool("avg_pool3d", 3, True)


def _pool_of_any_rank(name_of: str) -> Callable:
    def pool(
        input: Any,
        ksize: Any,
        strides: Any,
        padding: Any,
        data_format: Any = None,
        name: Any = None,
    ) -> Tensor:
        input = _as_operand(input)
        rank = len(input.shape) - 2
        if rank not in (1, 2, 3):
            raise ValueError(
                f"tf.nn.{name_of}: input must have 3, 4 or 5 axes. Received shape {input.shape}."
            )
        pools = globals()[f"{name_of}{rank}d"]
        return pools(input, ksize, strides, padding, data_format or _FORMATS[rank])

    pool.__name__ = pool.__qualname__ = name_of
    pool.__doc__ = f"As `{name_of}1d`, `{name_of}2d` or `{name_of}3d`, by the number of axes."
    return either_order(pool)


max_pool, avg_pool = _pool_of_any_rank("max_pool"), _pool_of_any_rank("avg_pool")


@either_order
def pool(
    input: Any,
    window_shape: Any,
    pooling_type: str,
    strides: Any = None,
    padding: Any = "VALID",
    data_format: Any = None,
    dilations: Any = None,
    name: Any = None,
) -> Tensor:
    """The maximum or the mean of windows whose positions may be `dilations` apart.

    Args:
        input: `(batch, *spatial, channels)`.
        window_shape, strides, dilations: a number for each spatial axis.
        pooling_type: `"MAX"` or `"AVG"`.

    Raises ValueError for dilations together with strides or with `padding="SAME"`.

    >>> x = tf.reshape(tf.range(4.0), [1, 4, 1])
    >>> tf.nn.pool(x, [2], "MAX", dilations=[2]).numpy().ravel().tolist()
    [2.0, 3.0]
    """
    _format("pool", data_format)
    input, window = _as_operand(input), static(window_shape)
    for name, value in {"window_shape": window, "strides": strides, "dilations": dilations}.items():
        if isinstance(value, int):
            raise TypeError(f"{name} must have a number for each spatial axis. Received: {value}")
    rank = len(window)
    if pooling_type not in ("MAX", "AVG"):
        raise ValueError(f"pooling_type must be 'MAX' or 'AVG'. Received: {pooling_type!r}")
    if len(input.shape) != rank + 2:
        raise ValueError(
            f"input must have {rank + 2} axes, for window_shape={window}. Received: {input.shape}"
        )
    steps, rates = steps_and_rates(strides, dilations, rank)
    if max(rates) > 1 and padding != "VALID":
        raise ValueError(
            f"padding must be 'VALID' with dilations. Received: {padding!r}, dilations={rates}"
        )
    if any(step > size for step, size in zip(steps, window)):
        raise ValueError(f"strides={steps} must not be above window_shape={window}.")
    pooled = max_pool if pooling_type == "MAX" else avg_pool

    def op(x: Any, count: int, padding: Any) -> Tensor:
        return pooled(x, window, steps, padding)

    return with_space_to_batch(input, rates, padding, op, window)


# -- positions of windows -------------------------------------------------------------------------


def _places(
    shape: Any, window: Any, strides: Any, padding: Any, rates: Any = (1, 1)
) -> Iterator[tuple[tuple[int, ...], np.ndarray, np.ndarray, np.ndarray]]:
    """For each position in a window: the position, the rows and columns of the image that are
    there, and whether they are within the image."""
    reach = [(k - 1) * r + 1 for k, r in zip(window, rates)]
    pads = pads_of(shape[1:3], reach, strides, padding)
    counts = [
        max((n + sum(p) - r) // s + 1, 0) for n, p, r, s in zip(shape[1:3], pads, reach, strides)
    ]
    starts = [np.arange(c) * s - p[0] for c, s, p in zip(counts, strides, pads)]
    for position in itertools.product(*map(range, window)):
        rows, columns = (at + i * r for at, i, r in zip(starts, position, rates))
        inside = [(v >= 0) & (v < n) for v, n in zip((rows, columns), shape[1:3])]
        yield position, rows, columns, inside[0][:, None] & inside[1]


def _part(x: Any, rows: Any, columns: Any) -> Any:
    """The values of images at rows and columns; those outside are replaced by the nearest ones."""
    x = jnp.take(x, jnp.clip(rows, 0, x.shape[1] - 1), 1)
    return jnp.take(x, jnp.clip(columns, 0, x.shape[2] - 1), 2)


def _window_4d(name: str, given: Any, of: str) -> tuple[int, int]:
    sizes = static(given)
    if len(sizes) != 4 or sizes[0] != 1 or sizes[3] != 1 or min(sizes) < 1:
        raise InvalidArgumentError(
            f"tf.nn.{name}: {of} must be [1, rows, columns, 1]. Received: {given}"
        )
    return sizes[1], sizes[2]


def max_pool_with_argmax(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: str,
    data_format: str = "NHWC",
    output_dtype: Any = dtypes.int64,
    include_batch_in_index: bool = False,
    name: Any = None,
) -> tuple[Tensor, Tensor]:
    """The maximum of each window, and its index `(row * columns + column) * channels + channel`.

    Of equal values the first is chosen. With `include_batch_in_index` the index continues over the
    images of a batch.

    >>> x = tf.reshape(tf.constant([1.0, 4.0, 3.0, 2.0]), [1, 2, 2, 1])
    >>> values, places = tf.nn.max_pool_with_argmax(x, 2, 2, "VALID")
    >>> values.numpy().ravel().tolist(), places.numpy().ravel().tolist()
    ([4.0], [1])
    """
    _format("max_pool_with_argmax", data_format)
    rest = (_sizes(ksize, 2), _sizes(strides, 2), padding, include_batch_in_index)
    values, places = run(_with_argmax, (_as_operand(input),), rest)
    return values, cast(places, output_dtype)


def _with_argmax(x: Any, window: Any, strides: Any, padding: Any, counted: bool) -> Any:
    if min(window) < 1 or min(strides) < 1:
        raise ValueError(f"ksize and strides must be positive. Received: {window}, {strides}")
    _check_window(x.shape, (1, *window, 1), padding)
    batch, height, width, channels = x.shape
    numbers = jnp.arange((batch if counted else 1) * height * width * channels, dtype=jnp.int32)
    numbers = jnp.broadcast_to(numbers.reshape(-1, height, width, channels), x.shape)
    best: Any = None
    place: Any = None
    found: Any = None
    for _, rows, columns, inside in _places(x.shape, window, strides, padding):
        inside, value = inside[..., None], _part(x, rows, columns)
        number = _part(numbers, rows, columns)
        if best is None:
            best, place, found = value, number, jnp.broadcast_to(inside, value.shape)
            continue
        better = inside & (~found | (value > best))
        best, place = jnp.where(better, value, best), jnp.where(better, number, place)
        found |= inside
    return best, place


def dilation2d(
    input: Any,
    filters: Any,
    strides: Any,
    padding: str,
    data_format: str,
    dilations: Any,
    name: Any = None,
) -> Tensor:
    """Grayscale dilation: the maximum of `input + filters` in each window.

    Args:
        input: `(batch, rows, columns, channels)`.
        filters: `(rows, columns, channels)`.
        strides, dilations: `[1, rows, columns, 1]`.

    >>> x = tf.reshape(tf.constant([1.0, 4.0, 3.0, 2.0]), [1, 2, 2, 1])
    >>> ones = [1, 1, 1, 1]
    >>> tf.nn.dilation2d(x, tf.zeros([2, 2, 1]), ones, "VALID", "NHWC", ones).numpy().tolist()
    [[[[4.0]]]]
    """
    if data_format != "NHWC":
        raise ValueError(f"data_format must be 'NHWC'. Received: data_format={data_format!r}")
    given = operands("nn.dilation2d", input, filters)
    steps = _window_4d("dilation2d", strides, "strides")
    return run(_dilated, given, (steps, padding, _window_4d("dilation2d", dilations, "dilations")))


def _dilated(x: Any, kernel: Any, strides: Any, padding: Any, rates: Any) -> Any:
    if x.ndim != 4 or kernel.ndim != 3 or x.shape[-1] != kernel.shape[-1]:
        raise ValueError(
            f"input must have 4 axes, filters 3, and both the same channels. Received shapes: "
            f"{x.shape}, {kernel.shape}"
        )
    window = kernel.shape[:2]
    _check_window(x.shape, (1, *[(k - 1) * r + 1 for k, r in zip(window, rates)], 1), padding)
    kinds = jnp.finfo if jnp.issubdtype(x.dtype, jnp.floating) else jnp.iinfo
    least = jnp.asarray(kinds(x.dtype).min, x.dtype)
    best = least
    for position, rows, columns, inside in _places(x.shape, window, strides, padding, rates):
        value = _part(x, rows, columns) + kernel[position]
        best = jnp.where(inside[..., None] & (value > best), value, best)
    return best


def erosion2d(
    value: Any,
    filters: Any,
    strides: Any,
    padding: str,
    data_format: str,
    dilations: Any,
    name: Any = None,
) -> Tensor:
    """Grayscale erosion: the minimum of `value - filters` in each window, with `filters` reversed.

    Args: see `dilation2d`.

    >>> x = tf.reshape(tf.constant([1.0, 4.0, 3.0, 2.0]), [1, 2, 2, 1])
    >>> ones = [1, 1, 1, 1]
    >>> tf.nn.erosion2d(x, tf.zeros([2, 2, 1]), ones, "VALID", "NHWC", ones).numpy().tolist()
    [[[[1.0]]]]
    """
    turned = reverse(filters, [0, 1])
    return -dilation2d(-_as_operand(value), turned, strides, padding, data_format, dilations)


# -- fractional pooling ---------------------------------------------------------------------------


def _ends(drawn: Any, size: int, count: int, pseudo_random: bool) -> Any:
    """The beginnings and ends of `count` regions of one or two lengths that fill an axis (Graham
    2014)."""
    ratio, least = size / count, size // count
    if not pseudo_random:
        sizes = jnp.where(jnp.arange(count) < size % count, least + 1, least)
        sizes = sizes[jnp.argsort(drawn)]
        return jnp.concatenate([jnp.zeros(1, sizes.dtype), jnp.cumsum(sizes)])
    most = min((least + 2) / ratio - 1, (size + 1 - least) / ratio - (count - 1))
    inner = jnp.ceil(ratio * (jnp.arange(1, count) + drawn[0] * most)).astype(jnp.int32) - 1
    return jnp.concatenate([jnp.zeros(1, inner.dtype), inner, jnp.full(1, size, inner.dtype)])


def _fractional(name_of: str, average: bool) -> Callable:
    def pool(
        value: Any,
        pooling_ratio: Any,
        pseudo_random: bool = False,
        overlapping: bool = False,
        seed: Any = 0,
        name: Any = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        value, ratio = _as_operand(value), static(pooling_ratio)
        ratio = _ratios(name_of, ratio, average)
        sizes = [int(n) for n in value.shape[1:3]]
        counts = [int(n / r) for n, r in zip(sizes, ratio)]
        seeds = (None, None) if not seed else (seed, seed + 1)
        ends = [
            run(_ends, (random.uniform([c], seed=s),), (n, c, pseudo_random))
            for n, c, s in zip(sizes, counts, seeds)
        ]
        rest = (tuple(n // c for n, c in zip(sizes, counts)), overlapping, average)
        out = run(_pooled_between, (value, *ends), rest)
        return out, *[cast(e, dtypes.int64) for e in ends]

    pool.__name__ = pool.__qualname__ = name_of
    return pool


def _ratios(name: str, given: Any, average: bool) -> tuple[float, float]:
    """The regions of rows and columns. As in TensorFlow, the mean needs four values only."""
    ratio = given if isinstance(given, tuple) else (given,)
    if average and not isinstance(given, tuple):
        raise TypeError(f"tf.nn.{name}: pooling_ratio must be a list. Received: {given}")
    if average and len(ratio) != 4:
        raise InvalidArgumentError(f"tf.nn.{name}: pooling_ratio must be four numbers, not {given}")
    if len(ratio) == 4 and ratio[::3] != (1, 1):
        raise UnimplementedError(f"tf.nn.{name}: the first and last ratio must be 1, not {given}")
    ratio = {1: ratio * 2, 2: ratio}.get(len(ratio), ratio[1:3] if ratio[::3] == (1, 1) else ())
    if not ratio or min(ratio) < 1:
        raise InvalidArgumentError(
            f"tf.nn.{name}: pooling_ratio must be one or two numbers, or four of which the first "
            f"and last are 1, at least 1. Received: {given}"
        )
    return ratio


def _pooled_between(x: Any, rows: Any, columns: Any, least: Any, overlapping: bool, average: bool):
    lengths = [n + 2 + overlapping for n in least]
    best: Any = None
    total: Any = None
    number: Any = None
    for down, right in itertools.product(*map(range, lengths)):
        inside, places = [], []
        for ends, step, size in ((rows, down, x.shape[1]), (columns, right, x.shape[2])):
            at = ends[:-1] + step
            inside.append((at < ends[1:] + overlapping) & (at < size))
            places.append(at)
        here, value = (inside[0][:, None] & inside[1])[..., None], _part(x, *places)
        if best is None:
            best, total, number = value, jnp.zeros_like(value), jnp.zeros(here.shape, x.dtype)
        best = jnp.where(here & (value > best), value, best)
        total, number = total + jnp.where(here, value, 0), number + here
    if not average:
        return best
    return total / number if jnp.issubdtype(x.dtype, jnp.floating) else total // number


fractional_max_pool = _fractional("fractional_max_pool", False)
fractional_avg_pool = _fractional("fractional_avg_pool", True)

documentation.describe(globals(), "nn")

__all__ = [
    *("avg_pool", "avg_pool1d", "avg_pool2d", "avg_pool3d", "dilation2d", "erosion2d"),
    *("fractional_avg_pool", "fractional_max_pool", "max_pool", "max_pool1d", "max_pool2d"),
    *("max_pool3d", "max_pool_with_argmax", "pool"),
]
