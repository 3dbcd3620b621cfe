"""Geometric transformations and filters of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core import dtypes
from keraslike.core.operation import op
from keraslike.core.rng import draw_key
from keraslike.ops import cpu_conv
from keraslike.ops.image_layout import batched, is_last, ranked
from keraslike.ops.wrap import array, public

_ORDERS = {"nearest": 0, "bilinear": 1}  # For `map_coordinates`.
_FILL_MODES = ("constant", "nearest", "wrap", "mirror", "reflect")

# -- places -----------------------------------------------------------------------------------


@op
def map_coordinates(
    inputs: Any, coordinates: Any, order: int, fill_mode: str = "constant", fill_value: float = 0
) -> jax.Array:
    """The values at positions between the elements of an array, by interpolation.

    Args:
        inputs: any array.
        coordinates: a row for each axis of `inputs`, of any shape.
        order: 0 for the nearest value, 1 for linear interpolation.
        fill_mode: the values beyond the edge: `"constant"`, `"nearest"`, `"wrap"`, `"mirror"` or
            `"reflect"`.
        fill_value: the constant.

    >>> map_coordinates(jnp.array([0.0, 10.0]), [[0.5, 0.25]], 1).tolist()
    [5.0, 2.5]
    """
    x, places = array(inputs), array(coordinates)
    if places.ndim and places.shape[0] != x.ndim:
        raise ValueError(
            "First dim of `coordinates` must be the same as the rank of `inputs`. "
            f"Received: inputs of shape {x.shape} and coordinates of shape {places.shape}"
        )
    if places.ndim < 2:
        raise ValueError(
            "Invalid coordinates rank: expected at least rank 2. "
            f"Received: coordinates of shape {places.shape}"
        )
    _check_fill_mode(fill_mode)
    if order not in (0, 1):
        raise ValueError(
            f"Invalid value for argument `order`. Expected one of [0, 1]. Received: order={order}"
        )
    return jax.scipy.ndimage.map_coordinates(x, tuple(places), order, fill_mode, fill_value)


def _check_fill_mode(fill_mode: str) -> None:
    if fill_mode not in _FILL_MODES:
        raise ValueError(
            "Invalid value for argument `fill_mode`. Expected one of "
            f"{_FILL_MODES}. Received: fill_mode={fill_mode}"
        )


def _order(interpolation: str) -> int:
    if interpolation not in _ORDERS:
        raise ValueError(
            "Invalid value for argument `interpolation`. Expected of one "
            f"{set(_ORDERS)}. Received: interpolation={interpolation}"
        )
    return _ORDERS[interpolation]


def _moved(x: jax.Array, rows: Any, columns: Any, order: int, mode: str, value: Any) -> jax.Array:
    """Values `(batch, height, width, channels)` at the coordinates `(batch, height, width)`."""

    def one(image: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
        def channel(c: jax.Array) -> jax.Array:
            return jax.scipy.ndimage.map_coordinates(c, (rows, columns), order, mode, value)

        return jax.vmap(channel, -1, -1)(image)

    return jax.vmap(one)(x, rows, columns)


def _grid(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The row and the column of each pixel."""
    rows, columns = jnp.arange(x.shape[1])[:, None], jnp.arange(x.shape[2])[None]
    return jnp.broadcast_to(rows, x.shape[1:3]), jnp.broadcast_to(columns, x.shape[1:3])


@op
def affine_transform(
    images: Any,
    transform: Any,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0,
    data_format: str | None = None,
) -> jax.Array:
    """Images shifted, rotated, scaled and sheared.

    Args:
        images: `(height, width, channels)`, or a batch of them.
        transform: `(a0, a1, a2, b0, b1, b2, c0, c1)`, or one such row for each image. The result
            at `(x, y)` is the image at `(a0 x + a1 y + a2, b0 x + b1 y + b2)`; `c0` and `c1`,
            which would be those of a projection, must be 0.
        interpolation: `"bilinear"` or `"nearest"`.
        fill_mode: as in `map_coordinates`.
        fill_value: the constant.
        data_format: `"channels_last"` or `"channels_first"`.

    >>> x = jnp.arange(4.0).reshape(2, 2, 1)
    >>> affine_transform(x, [1, 0, 1, 0, 1, 0, 0, 0])[..., 0].tolist()
    [[1.0, 0.0], [3.0, 0.0]]
    """
    order = _order(interpolation)
    _check_fill_mode(fill_mode)
    matrix = array(transform)
    if matrix.ndim not in (1, 2):
        raise ValueError(
            "Invalid transform rank: expected rank 1, or rank 2 with a row for each image. "
            f"Received: transform of shape {matrix.shape}"
        )

    def moved(x: jax.Array) -> jax.Array:
        rows, columns = _grid(x)
        each = jnp.broadcast_to(matrix, (x.shape[0], matrix.shape[-1]))
        a0, a1, a2, b0, b1, b2 = (each[:, i, None, None] for i in range(6))
        places = (b0 * columns + b1 * rows + b2, a0 * columns + a1 * rows + a2)
        return _moved(x, *places, order, fill_mode, fill_value)

    return batched(moved, images, data_format)


@op
def perspective_transform(
    images: Any,
    start_points: Any,
    end_points: Any,
    interpolation: str = "bilinear",
    fill_value: float = 0,
    data_format: str | None = None,
) -> jax.Array:
    """Images in another perspective: four points of each are mapped to four others.

    Args:
        images: `(height, width, channels)`, or a batch of them.
        start_points: `(4, 2)`, `(x, y)` of the four points, or one such array for each image.
        end_points: their positions in the result.
        interpolation: `"bilinear"` or `"nearest"`.
        fill_value: the value outside of the image.
        data_format: `"channels_last"` or `"channels_first"`.

    >>> corners = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    >>> perspective_transform(jnp.ones((2, 2, 1)), corners, corners).ravel().round(4).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    order = _order(interpolation)
    points = {"start_points": array(start_points), "end_points": array(end_points)}
    for name, p in points.items():
        if p.shape[-2:] != (4, 2) or p.ndim not in (2, 3):
            raise ValueError(
                f"Invalid {name} shape: expected (4,2) for a single image or (N,4,2) for a batch. "
                f"Received: {name} of shape {p.shape}"
            )
    start, end = (p.astype("float32") for p in points.values())
    if start.shape != end.shape:
        raise ValueError(
            "start_points and end_points must have the same shape. "
            f"Received: {start.shape} and {end.shape}"
        )
    matrices = projection(*(p if p.ndim == 3 else p[None] for p in (end, start)))

    def moved(x: jax.Array) -> jax.Array:
        rows, columns = _grid(x)
        each = jnp.broadcast_to(matrices, (x.shape[0], 8))
        a0, a1, a2, b0, b1, b2, c0, c1 = (each[:, i, None, None] for i in range(8))
        depth = c0 * columns + c1 * rows + 1
        places = ((b0 * columns + b1 * rows + b2) / depth, (a0 * columns + a1 * rows + a2) / depth)
        return _moved(x, *places, order, "constant", fill_value)

    return batched(moved, images, data_format)


def projection(start: jax.Array, end: jax.Array) -> jax.Array:
    """The eight parameters `(batch, 8)` of the projection that maps four points to four others."""
    (x, y), (u, v) = (jnp.moveaxis(p, -1, 0) for p in (start, end))
    one, zero = jnp.ones_like(x), jnp.zeros_like(x)
    of_u = jnp.stack([x, y, one, zero, zero, zero, -u * x, -u * y], -1)
    of_v = jnp.stack([zero, zero, zero, x, y, one, -v * x, -v * y], -1)
    matrix = jnp.concatenate([of_u, of_v], 1)
    return jnp.linalg.solve(matrix, jnp.concatenate([u, v], -1)[..., None])[..., 0]


@op
def elastic_transform(
    images: Any,
    alpha: float = 20.0,
    sigma: float = 5.0,
    interpolation: str = "bilinear",
    fill_mode: str = "reflect",
    fill_value: float = 0.0,
    seed: Any = None,
    data_format: str | None = None,
) -> jax.Array:
    """Images whose pixels are shifted by a smooth random field (Simard et al. 2003).

    Args:
        images: `(height, width, channels)`, or a batch of them.
        alpha: the scale of the shifts.
        sigma: the standard deviation of the smoothing, a number; the smaller, the rougher.
        interpolation: `"bilinear"` or `"nearest"`.
        fill_mode: as in `map_coordinates`.
        fill_value: the constant.
        seed: an integer, a SeedGenerator or `None`.
        data_format: `"channels_last"` or `"channels_first"`.

    >>> elastic_transform(jnp.ones((4, 4, 3)), seed=1).shape
    (4, 4, 3)
    """
    given = (images, alpha, sigma, interpolation, fill_mode, fill_value, seed, data_format)
    return bent(*given, largest=float(sigma))


def bent(
    images: Any,
    alpha: Any,
    sigma: Any,
    interpolation: str,
    fill_mode: str,
    fill_value: float,
    seed: Any,
    data_format: str | None,
    largest: float,
) -> jax.Array:
    """Like `elastic_transform`; `sigma` (at most `largest`) may be a tracer, and `seed` a key."""
    order = _order(interpolation)
    _check_fill_mode(fill_mode)
    # The same key for both directions.
    key = seed if isinstance(seed, jax.Array) else draw_key(seed)

    def moved(x: jax.Array) -> jax.Array:
        dtype = x.dtype if dtypes.is_float(x.dtype) else dtypes.floatx()
        noise = jax.random.normal(key, x.shape[:3], dtype) * sigma
        size = int(6 * largest) | 1
        within = jnp.abs(jnp.arange(size) - size // 2) <= jnp.floor(6 * sigma) // 2
        bell = jnp.where(within, jnp.exp(-0.5 * ((jnp.arange(size) - size // 2) / sigma) ** 2), 0)
        bell = (bell / jnp.sum(bell)).astype(dtype)
        noise = _filtered(noise[..., None], bell, bell)
        rows, columns = (places + alpha * noise[..., 0] for places in _grid(x))
        return _moved(x, rows, columns, order, fill_mode, fill_value).astype(x.dtype)

    return batched(moved, images, data_format)


@op
def scale_and_translate(
    images: Any,
    output_shape: Sequence[int],
    scale: Any,
    translation: Any,
    spatial_dims: Sequence[int],
    method: str,
    antialias: bool = True,
) -> jax.Array:
    """Arrays scaled and shifted along some axes.

    Args:
        images: any array.
        output_shape: the shape of the result.
        scale: a factor for each of `spatial_dims`.
        translation: the shift of the result along each of them.
        spatial_dims: the axes.
        method: `"linear"`, `"cubic"` (and `bi-`, `tri-` before them), `"lanczos3"`, `"lanczos5"`.
        antialias: whether images are smoothed when they become smaller.

    >>> scale_and_translate(jnp.ones(2), (4,), [2.0], [0.0], (0,), "linear").tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    methods = [k + m for k in ("", "bi", "tri") for m in ("linear", "cubic")]
    methods += ["lanczos3", "lanczos5"]
    if method not in methods:
        raise ValueError(
            "Invalid value for argument `method`. Expected of one "
            f"{methods}. Received: method={method}"
        )
    return jax.image.scale_and_translate(
        *(array(images), tuple(output_shape), tuple(spatial_dims)),
        *(array(scale), array(translation), method, antialias),
    )


# -- filters ----------------------------------------------------------------------------------


def _bell(size: int, sigma: Any, dtype: Any) -> jax.Array:
    """`size` values of a Gaussian density, normalized to sum to 1."""
    x = jnp.arange(size, dtype=dtype) - jnp.array((size - 1) / 2, dtype)
    values = jnp.exp(-0.5 * jnp.square(x / sigma))
    return values / jnp.sum(values)


def _filtered(x: jax.Array, rows: Any, columns: Any, padding: str = "SAME") -> jax.Array:
    """Applies a filter along both spatial axes to each channel of `(batch, height, width,
    channels)`."""
    one = jnp.ones(x.shape[-1:], x.dtype)
    for kernel in (rows[:, None, None, None] * one, columns[None, :, None, None] * one):
        x = cpu_conv.conv(x, kernel.astype(x.dtype), (1, 1), padding, (1, 1))
    return x


@op
def gaussian_blur(
    images: Any,
    kernel_size: Sequence[int] = (3, 3),
    sigma: Sequence[float] = (1.0, 1.0),
    data_format: str | None = None,
) -> jax.Array:
    """Images smoothed with a Gaussian filter.

    Args:
        images: `(height, width, channels)`, or a batch of them.
        kernel_size: the filter's width and height.
        sigma: its standard deviations in these directions.
        data_format: `"channels_last"` or `"channels_first"`.

    >>> gaussian_blur(jnp.ones((5, 5, 1)))[2, 2].round(4).tolist()
    [1.0]
    """

    def blurred(x: jax.Array) -> jax.Array:
        deviations = array(sigma).astype(x.dtype)
        columns, rows = (_bell(n, d, x.dtype) for n, d in zip(kernel_size, deviations))
        return _filtered(x, rows, columns)

    return batched(blurred, images, data_format)


@op
def sobel_edges(images: Any, data_format: str | None = None) -> jax.Array:
    """The vertical and the horizontal gradient of a batch of images, along a new last axis.

    >>> sobel_edges(jnp.ones((1, 4, 4, 3))).shape
    (1, 4, 4, 3, 2)
    """
    x = ranked(images, (4,))
    slope, smooth = jnp.array([-1, 0, 1], x.dtype), jnp.array([1, 2, 1], x.dtype)
    filters = ((slope, smooth), (smooth, slope))
    edges = [batched(lambda i, f=f: _filtered(i, *f), x, data_format) for f in filters]
    return jnp.stack(edges, -1)


@op
def ssim(
    image1: Any,
    image2: Any,
    max_val: float = 1.0,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format: str | None = None,
) -> jax.Array:
    """The structural similarity of two images, 1 where they are equal (Wang et al. 2004).

    Args:
        image1: `(height, width, channels)`, or a batch of them.
        image2: of the same shape.
        max_val: the largest value that a pixel may have.
        filter_size: of the Gaussian window in which means and variances are taken.
        filter_sigma: its standard deviation.
        k1: with `k2`, makes sure that nothing is divided by 0.
        data_format: `"channels_last"` or `"channels_first"`.

    Returns a number for each image.

    >>> round(float(ssim(jnp.eye(12)[..., None], jnp.eye(12)[..., None])), 4)
    1.0
    """
    given = ranked(image1, name="image1")
    x, y = given, ranked(image2, name="image2")
    wide = jnp.result_type(x.dtype, float)
    one, last = x.ndim == 3, is_last(data_format)
    x, y = (i.astype(wide)[None] if one else i.astype(wide) for i in (x, y))
    x, y = (i if last else jnp.moveaxis(i, 1, -1) for i in (x, y))
    luminance, contrast = similarities(x, y, max_val, filter_size, filter_sigma, k1, k2)
    result = jnp.mean(luminance * contrast, (1, 2, 3)).astype(given.dtype)
    return result[0] if one else result


def similarities(
    x: Any, y: Any, max_val: float, size: int, sigma: float, k1: float, k2: float
) -> tuple[jax.Array, jax.Array]:
    """The similarity of batches of images around each pixel, in luminance, and in contrast and
    structure; for the arguments see `ssim`."""
    bell = _bell(size, sigma, x.dtype)
    mean = lambda i: _filtered(i, bell, bell, "VALID")  # noqa: E731
    of_x, of_y = mean(x), mean(y)
    c1, c2 = (k1 * max_val) ** 2, (k2 * max_val) ** 2
    both = mean(x * y) - of_x * of_y
    squares = of_x * of_x + of_y * of_y
    spread = mean(x * x) + mean(y * y) - squares
    return (2 * of_x * of_y + c1) / (squares + c1), (2 * both + c2) / (spread + c2)


__all__ = [n for n in public(globals()) if n not in ("bent", "projection", "similarities")]
