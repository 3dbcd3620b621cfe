"""Functions of `tf.image` for boxes `[top, left, bottom, right]` with coordinates from 0 to 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from keraslike.tf import effects, ops, random, table
from keraslike.tf.conversion import _as_operand, constant, static
from keraslike.tf.errors import InvalidArgumentError, OutOfRangeError
from keraslike.tf.operation import operation
from keraslike.tf.structure import host
from keraslike.tf.tensor import Tensor, raw, run

_TRACED = "choose boxes outside of compiled functions."


def crop_and_resize(
    image: Any,
    boxes: Any,
    box_indices: Any,
    crop_size: Any,
    method: str = "bilinear",
    extrapolation_value: float = 0.0,
    name: Any = None,
) -> Tensor:
    """Crops of images, resized to `crop_size`, float32.

    Args:
        box_indices: the number of the image of each box.
        method: `"bilinear"` or `"nearest"`.
        extrapolation_value: the value outside of an image.

    >>> image = tf.reshape(tf.range(4.0), [1, 2, 2, 1])
    >>> tf.image.crop_and_resize(image, [[0.0, 0.0, 1.0, 1.0]], [0], [1, 1]).numpy().tolist()
    [[[[1.5]]]]
    """
    if method not in ("bilinear", "nearest"):
        raise ValueError(f"method must be 'bilinear' or 'nearest'. Received: method={method!r}")
    given = tuple(map(_as_operand, (image, boxes, box_indices)))
    height, width = static(crop_size)
    if min(height, width) <= 0:
        raise InvalidArgumentError(f"crop_size must be positive. Received: {(height, width)}")
    count = given[0].shape[0]

    def check(numbers: np.ndarray) -> None:
        if ((numbers < 0) | (numbers >= count)).any():
            raise OutOfRangeError(f"box_indices must be in [0, {count}): {numbers.tolist()}")

    shapes = [tuple(x.shape) for x in given]
    table.check_kind("image.crop_and_resize", raw(given[0]), "bcO")
    if len(shapes[0]) != 4:
        raise InvalidArgumentError(
            "tf.image.crop_and_resize: image must be (batch, height, width, channels). Received "
            f"shape {shapes[0]}."
        )
    if len(shapes[1]) != 2 or len(shapes[2]) != 1 or shapes[1] != (shapes[2][0], 4):
        raise InvalidArgumentError(
            "tf.image.crop_and_resize: expected boxes (boxes, 4) and as many box_indices. Received "
            f"shapes {shapes[1]} and {shapes[2]}."
        )
    effects.checked(check, raw(given[2]))
    return run(_crop, given, (height, width, method, extrapolation_value))


def _crop(x: Any, boxes: Any, indices: Any, height: int, width: int, method: str, fill: float):
    def places(low: Any, high: Any, size: int, count: int) -> Any:
        if count == 1:
            return ((low + high) / 2 * (size - 1))[:, None]
        step = (high - low) * (size - 1) / (count - 1)
        return low[:, None] * (size - 1) + jnp.arange(count) * step[:, None]

    x, boxes = x.astype("float32"), boxes.astype("float32")
    rows = places(boxes[:, 0], boxes[:, 2], x.shape[1], height)
    columns = places(boxes[:, 1], boxes[:, 3], x.shape[2], width)
    inside = [(p >= 0) & (p <= n - 1) for p, n in ((rows, x.shape[1]), (columns, x.shape[2]))]

    def at(row: Any, column: Any) -> Any:
        row = jnp.clip(row, 0, x.shape[1] - 1).astype("int32")
        column = jnp.clip(column, 0, x.shape[2] - 1).astype("int32")
        return x[indices[:, None, None], row[:, :, None], column[:, None, :]]

    if method == "nearest":
        out = at(jnp.floor(rows + 0.5), jnp.floor(columns + 0.5))
    else:
        top, left = jnp.floor(rows), jnp.floor(columns)
        down, right = (rows - top)[:, :, None, None], (columns - left)[:, None, :, None]
        # Exactly at a pixel both neighbours are that pixel, so the gradient for the box is zero.
        bottom, end = jnp.ceil(rows), jnp.ceil(columns)
        upper = at(top, left) * (1 - right) + at(top, end) * right
        lower = at(bottom, left) * (1 - right) + at(bottom, end) * right
        out = upper * (1 - down) + lower * down
    return jnp.where((inside[0][:, :, None] & inside[1][:, None, :])[..., None], out, fill)


def _overlaps(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    def area(b: np.ndarray) -> Any:
        return (b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1])

    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    common = np.prod(np.maximum(sides, 0), -1)
    whole = area(box) + area(others) - common
    return np.divide(common, whole, out=np.zeros_like(common), where=whole > 0)


def _limits(name: str, **given: Any) -> list[float]:
    """The limits of a choice of boxes as numbers."""
    values = {key: static(value) for key, value in given.items()}
    for key, value in values.items():
        most = 1 if key == "iou_threshold" else np.inf
        if np.ndim(value) or (key != "score_threshold" and not 0 <= value <= most):
            raise InvalidArgumentError(
                f"tf.image.{name}: {key} must be one number, and from 0 to {most} unless it is a "
                f"score. Received: {value}"
            )
    return list(values.values())


def _chosen(
    name: str, boxes: Any, scores: Any, most: Any, overlap: Any, least: Any, sigma: Any = 0.0
) -> tuple[list[int], list[float]]:
    most, overlap, least, sigma = _limits(
        name,
        max_output_size=most,
        iou_threshold=overlap,
        score_threshold=least,
        soft_nms_sigma=sigma,
    )
    boxes, scores = (host(_as_operand(v), "Choosing boxes", _TRACED) for v in (boxes, scores))
    if scores.ndim != 1 or boxes.shape != (len(scores), 4):
        raise InvalidArgumentError(
            f"tf.image.{name}: expected boxes (boxes, 4) and scores (boxes). Received shapes "
            f"{boxes.shape} and {scores.shape}."
        )
    boxes = np.concatenate(
        [np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], 1
    )
    left, chosen, found = scores.astype(np.float32).copy(), [], []
    open_ = left > least
    while len(chosen) < most and open_.any():
        best = int(np.argmax(np.where(open_, left, -np.inf)))
        chosen.append(best)
        found.append(float(left[best]))
        open_[best] = False
        shared = _overlaps(boxes[best], boxes)
        if sigma > 0:
            left = np.where(open_, left * np.exp(-0.5 * shared**2 / sigma), left)
            open_ &= left > least
        else:
            open_ &= shared <= overlap
    return chosen, found


def non_max_suppression(
    boxes: Any,
    scores: Any,
    max_output_size: Any,
    iou_threshold: Any = 0.5,
    score_threshold: Any = float("-inf"),
    name: Any = None,
) -> Tensor:
    """The indices of the boxes with the highest scores that do not overlap.

    >>> boxes = [[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.9], [2.0, 2.0, 3.0, 3.0]]
    >>> tf.image.non_max_suppression(boxes, [0.9, 0.8, 0.7], 3).numpy().tolist()
    [0, 2]
    """
    found, _ = _chosen(
        "non_max_suppression", boxes, scores, max_output_size, iou_threshold, score_threshold
    )
    return constant(np.asarray(found, np.int32))


def non_max_suppression_with_scores(
    boxes: Any,
    scores: Any,
    max_output_size: Any,
    iou_threshold: Any = 0.5,
    score_threshold: Any = float("-inf"),
    soft_nms_sigma: float = 0.0,
    name: Any = None,
) -> tuple[Tensor, Tensor]:
    """Like `non_max_suppression`, with the scores, which overlaps reduce if `soft_nms_sigma` is
    not 0.

    >>> boxes = [[0.0, 0.0, 1.0, 1.0], [2.0, 2.0, 3.0, 3.0]]
    >>> kept, scores = tf.image.non_max_suppression_with_scores(boxes, [0.5, 0.75], 2)
    >>> kept.numpy().tolist(), scores.numpy().tolist()
    ([1, 0], [0.75, 0.5])
    """
    given = (max_output_size, iou_threshold, score_threshold, soft_nms_sigma)
    found, values = _chosen("non_max_suppression_with_scores", boxes, scores, *given)
    return constant(np.asarray(found, np.int32)), constant(np.asarray(values, np.float32))


# -- for batches, of sizes that are known in advance ----------------------------------------------


def _shares(box: Any, others: Any) -> Any:
    """The part of their union that a box has in common with each other box."""
    corners = [
        (jnp.minimum(b[..., :2], b[..., 2:]), jnp.maximum(b[..., :2], b[..., 2:]))
        for b in (box, others)
    ]
    (low, high), (lows, highs) = corners
    areas = [jnp.prod(upper - lower, -1) for lower, upper in corners]
    common = jnp.prod(jnp.maximum(jnp.minimum(high, highs) - jnp.maximum(low, lows), 0), -1)
    whole = areas[0] + areas[1] - common
    there = (areas[0] > 0) & (areas[1] > 0)
    return jnp.where(there, common / jnp.where(there, whole, 1), 0)


def _best(boxes: Any, scores: Any, *rest: Any) -> tuple[Any, Any]:
    return _apart(lambda i: _shares(boxes[i], boxes), scores, *rest)


def _apart(
    overlaps: Callable, scores: Any, count: int, overlap: float, least: float
) -> tuple[Any, Any]:
    """The indices of at most `count` boxes that do not overlap, the best first, and their number;
    `overlaps(i)` are the overlaps of box `i` with each box."""

    if not len(scores):
        return jnp.zeros(count, "int32"), jnp.zeros((), "int32")

    def step(state: Any, _: Any) -> tuple[Any, tuple[Any, Any]]:
        best = jnp.argmax(jnp.where(state, scores, -jnp.inf))
        there = state[best]
        near = (overlaps(best) > overlap) | (jnp.arange(len(scores)) == best)
        return state & ~near, (best, there)

    _, (found, there) = jax.lax.scan(step, scores > least, None, count)
    return jnp.where(there, found, 0).astype("int32"), jnp.sum(there, dtype="int32")


class CombinedNonMaxSuppression(NamedTuple):
    nmsed_boxes: Any
    nmsed_scores: Any
    nmsed_classes: Any
    valid_detections: Any


def combined_non_max_suppression(
    boxes: Any,
    scores: Any,
    max_output_size_per_class: Any,
    max_total_size: Any,
    iou_threshold: Any = 0.5,
    score_threshold: Any = float("-inf"),
    pad_per_class: bool = False,
    clip_boxes: bool = True,
    name: Any = None,
) -> CombinedNonMaxSuppression:
    """The boxes with the highest scores for each class that do not overlap, of a batch of images.

    Args:
        boxes: `(batch, boxes, q, 4)`, where `q` is 1 or the number of classes.
        scores: `(batch, boxes, classes)`.
        max_output_size_per_class, max_total_size: the numbers of boxes to keep, of each class and
            in all.
        pad_per_class: whether there are at most `max_output_size_per_class * classes` boxes.
        clip_boxes: whether coordinates are limited to `[0, 1]`.

    Returns `(nmsed_boxes, nmsed_scores, nmsed_classes, valid_detections)`: boxes, scores and
    classes of each image, the best first and filled up by zeros, and how many there are.

    >>> boxes = tf.constant([[[[0.0, 0.0, 1.0, 1.0]], [[0.0, 0.0, 1.0, 0.9]]]])
    >>> found = tf.image.combined_non_max_suppression(boxes, [[[0.5], [0.75]]], 2, 2)
    >>> found.nmsed_scores.numpy().tolist(), found.valid_detections.numpy().tolist()
    ([[0.75, 0.0]], [1])
    """
    boxes, scores = _as_operand(boxes), _as_operand(scores)
    for x in (boxes, scores):
        table.check_kind("image.combined_non_max_suppression", raw(x), "buicO")
    if len(boxes.shape) != 4 or len(scores.shape) != 3 or boxes.shape[1] != scores.shape[1]:
        raise InvalidArgumentError(
            "tf.image.combined_non_max_suppression: expected boxes (batch, boxes, q, 4) and scores "
            f"(batch, boxes, classes). Received shapes {boxes.shape} and {scores.shape}."
        )
    if boxes.shape[2] not in (1, scores.shape[2]):
        raise InvalidArgumentError(
            "tf.image.combined_non_max_suppression: there must be boxes for all classes together, "
            f"or for each of {scores.shape[2]}. Received: {boxes.shape[2]}"
        )
    each, total = int(static(max_output_size_per_class)), int(static(max_total_size))
    limits = float(static(iou_threshold)), float(static(score_threshold))
    if min(each, total) <= 0 or not 0 <= limits[0] <= 1:
        raise InvalidArgumentError(
            "tf.image.combined_non_max_suppression: sizes must be positive, and iou_threshold from "
            f"0 to 1. Received: {each}, {total} and {limits[0]}"
        )
    rest = (each, total, *limits, bool(pad_per_class), bool(clip_boxes))
    return run(_combined, (boxes, scores), rest, constant=(0, 1), stops=True)


def _combined(
    boxes: Any, scores: Any, each: int, total: int, overlap: float, least: float, pad: bool,
    clip: bool,
) -> Any:  # fmt: skip
    classes = scores.shape[-1]
    each = min(each, scores.shape[1])
    size = min(total, each * classes) if pad else total

    def of_image(boxes: Any, scores: Any) -> Any:
        own = jnp.broadcast_to(jnp.moveaxis(boxes, 1, 0), (classes, len(boxes), 4))
        found, counts = jax.vmap(lambda b, s: _best(b, s, each, overlap, least))(own, scores.T)
        there = jnp.arange(each) < counts[:, None]
        points = jnp.where(there, jnp.take_along_axis(scores.T, found, 1), -jnp.inf).reshape(-1)
        kept = jnp.take_along_axis(own, found[..., None], 1).reshape(-1, 4)
        order = jnp.argsort(points, descending=True, stable=True)[:size]
        valid = there.reshape(-1)[order]
        kept = jnp.clip(kept, 0, 1) if clip else kept
        more = [(0, size - len(order))]
        return (
            jnp.pad(jnp.where(valid[:, None], kept[order], 0), [*more, (0, 0)]),
            jnp.pad(jnp.where(valid, points[order], 0), more),
            jnp.pad(jnp.where(valid, order // each, 0), more).astype(scores.dtype),
            jnp.sum(valid, dtype="int32"),
        )

    return CombinedNonMaxSuppression(*jax.vmap(of_image)(boxes, scores))


def non_max_suppression_padded(
    boxes: Any,
    scores: Any,
    max_output_size: Any,
    iou_threshold: Any = 0.5,
    score_threshold: Any = float("-inf"),
    pad_to_max_output_size: bool = False,
    name: Any = None,
    sorted_input: bool = False,
    canonicalized_coordinates: bool = False,
    tile_size: int = 512,
) -> tuple[Tensor, Tensor]:
    """Like `non_max_suppression`, also for batches `(batch, boxes, 4)`: indices, filled up by
    zeros, and how many there are.

    Args:
        pad_to_max_output_size: whether there are `max_output_size` indices even if fewer would do.
        sorted_input, canonicalized_coordinates, tile_size: accepted without effect: they only
            promise what saves TensorFlow time.

    >>> boxes = [[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.9]]
    >>> kept, count = tf.image.non_max_suppression_padded(
    ...     boxes, [0.5, 0.75], 2, pad_to_max_output_size=True
    ... )
    >>> kept.numpy().tolist(), int(count)
    ([1, 0], 1)
    """
    boxes, scores = _as_operand(boxes), _as_operand(scores)
    for x in (boxes, scores):
        table.check_kind("image.non_max_suppression_padded", raw(x), "bcO")
    if boxes.shape[-1] != 4:
        raise ValueError(f"boxes must have 4 coordinates. Received shape: {tuple(boxes.shape)}")
    if len(boxes.shape) > 2 and not pad_to_max_output_size:
        raise ValueError("'pad_to_max_output_size' must be True for batches of boxes.")
    if not len(boxes.shape) == len(scores.shape) + 1 >= 2:
        raise InvalidArgumentError(
            "tf.image.non_max_suppression_padded: expected boxes (..., boxes, 4) and scores "
            f"(..., boxes). Received shapes {boxes.shape} and {scores.shape}."
        )
    count = int(static(max_output_size))
    rest = (count, float(static(iou_threshold)), float(static(score_threshold)))
    found, valid = run(_padded, (boxes, scores), rest, constant=(0, 1), stops=True)
    return (found if pad_to_max_output_size else found[: int(static(valid))]), valid


def _padded(boxes: Any, scores: Any, count: int, overlap: float, least: float) -> Any:
    batch = scores.shape[:-1]
    best = jax.vmap(lambda b, s: _best(b, s, count, overlap, least))
    found, valid = best(boxes.reshape(-1, *boxes.shape[-2:]), scores.reshape(-1, scores.shape[-1]))
    return found.reshape(*batch, count), valid.reshape(batch)


@operation("image.non_max_suppression_overlaps", "overlaps scores", "overlaps scores")
def _of_overlaps(overlaps: Any, scores: Any, count: int, overlap: float, least: float) -> Any:
    table.check_kind("image.non_max_suppression_overlaps", overlaps, "buicO")
    if scores.ndim != 1 or overlaps.shape != scores.shape * 2:
        raise InvalidArgumentError(
            "tf.image.non_max_suppression_overlaps: expected overlaps (boxes, boxes) and scores "
            f"(boxes). Received shapes {overlaps.shape} and {scores.shape}."
        )
    return _apart(lambda i: overlaps[:, i], scores, min(count, len(scores)), overlap, least)


def non_max_suppression_overlaps(
    overlaps: Any,
    scores: Any,
    max_output_size: Any,
    overlap_threshold: Any = 0.5,
    score_threshold: Any = float("-inf"),
    name: Any = None,
) -> Tensor:
    """Like `non_max_suppression`, for boxes of which the overlaps `(boxes, boxes)` are given.

    >>> overlaps = [[1.0, 0.9], [0.9, 1.0]]
    >>> tf.image.non_max_suppression_overlaps(overlaps, [0.5, 0.75], 2).numpy().tolist()
    [1]
    """
    count, *limits = _limits(
        "non_max_suppression_overlaps",
        max_output_size=max_output_size,
        overlap_threshold=overlap_threshold,
        score_threshold=score_threshold,
    )
    found, valid = _of_overlaps(overlaps, scores, int(count), *map(float, limits))
    return found[: int(static(valid))]


def check_images(name: str, shape: Any, most: float = 4) -> None:
    """Raises ValueError unless a shape is that of an image, or of a batch of them with at most
    `most` axes, that is not empty."""
    if not 3 <= len(shape) <= most or any(n == 0 for n in shape[-3:]):
        raise ValueError(
            f"tf.image.{name}: an image has 3 axes, with more for a batch of them, and is not "
            f"empty. Received shape: {tuple(shape)}"
        )


def check_box(name: str, shape: Any, room: Any, top: int, left: int, *ends: int) -> None:
    """Raises ValueError unless the box (the top left corner, the ends of rows and columns) is not
    empty, and within `room` (rows, columns, channels)."""
    check_images(name, shape)
    bottom, right = ends
    inside = 0 <= top < bottom <= room[-3] and 0 <= left < right <= room[-2]
    if not inside:
        raise ValueError(
            f"tf.image.{name}: rows {top} to {bottom} and columns {left} to {right} are not within "
            f"an image of shape {tuple(room)}, or are empty."
        )


def check_padding(name: str, shape: Any, top: int, left: int, height: int, width: int) -> None:
    """Raises ValueError unless images fit into a size at this corner."""
    ends = [n + first for n, first in zip(shape[-3:], (top, left))]
    check_box(name, shape, (height, width, 1), top, left, *ends)


# TensorFlow's colors where none are given: yellow, blue, red, lime, purple, olive, maroon, navy,
# aqua and fuchsia.
_PALETTE = (
    *((1, 1, 0, 1), (0, 0, 1, 1), (1, 0, 0, 1), (0, 1, 0, 1), (0.5, 0, 0.5, 1)),
    *((0.5, 0.5, 0, 1), (0.5, 0, 0, 1), (0, 0, 0.5, 1), (0, 1, 1, 1), (1, 0, 1, 1)),
)


def draw_bounding_boxes(images: Any, boxes: Any, colors: Any, name: Any = None) -> Tensor:
    """Images with the outlines of boxes, one pixel wide.

    Args:
        colors: rows of channels, which are assigned to the boxes in turn.

    >>> image = tf.zeros([1, 3, 3, 1])
    >>> tf.image.draw_bounding_boxes(image, [[[0.0, 0.0, 1.0, 1.0]]], [[1.0]])[
    ...     0, :, :, 0
    ... ].numpy().tolist()
    [[1.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0]]
    """
    if isinstance(images, np.ndarray) and images.dtype != np.float16:
        images = images.astype(np.float32)  # an array takes a dtype that the operation has
    given = (_as_operand(v) for v in (images, boxes))
    found, places = (host(v, "Drawing boxes", _TRACED) for v in given)
    out = np.array(found)
    if out.dtype not in (np.float16, np.float32):
        raise InvalidArgumentError(
            "tf.image.draw_bounding_boxes: images must be float16 or float32. Received: "
            f"{out.dtype}"
        )
    if out.ndim == 4 and out.shape[-1] not in (1, 3, 4):
        raise InvalidArgumentError(
            "tf.image.draw_bounding_boxes: images must have 1, 3 or 4 channels. Received shape: "
            f"{out.shape}"
        )
    if out.ndim != 4 or places.shape[1:] != (places.shape[1:2] + (4,)) or len(out) != len(places):
        raise InvalidArgumentError(
            "tf.image.draw_bounding_boxes: expected images (batch, height, width, channels) and "
            f"boxes (batch, boxes, 4). Received shapes {out.shape} and {places.shape}."
        )
    rows, columns = out.shape[1] - 1, out.shape[2] - 1
    palette = np.asarray(_PALETTE if colors is None else _as_operand(colors))
    if colors is None and out.shape[-1] == 1:
        palette = np.ones((1, 1))
    if palette.ndim != 2 or palette.shape[1] < out.shape[-1]:
        raise InvalidArgumentError(
            f"tf.image.draw_bounding_boxes: colors must have {out.shape[-1]} channels each. "
            f"Received the shape {palette.shape}."
        )
    for picture, own in zip(out, places):
        for number, box in enumerate(own):
            top, left, bottom, right = (
                int(v * n) for v, n in zip(box.tolist(), (rows, columns, rows, columns))
            )
            color = palette[number % len(palette)][: out.shape[-1]]
            if top > bottom or left > right:
                continue
            inside = slice(max(left, 0), min(right, columns) + 1)
            for row in (top, bottom):
                if 0 <= row <= rows:
                    picture[row, inside] = color
            inside = slice(max(top, 0), min(bottom, rows) + 1)
            for column in (left, right):
                if 0 <= column <= columns:
                    picture[inside, column] = color
    return constant(out)


def extract_glimpse(
    input: Any,
    size: Any,
    offsets: Any,
    centered: bool = True,
    normalized: bool = True,
    noise: str = "uniform",
    name: Any = None,
) -> Tensor:
    """A window of each image, filled with noise where it is outside of the image.

    Args:
        size: height and width of the windows.
        offsets: `(batch, 2)`, row and column of the upper left corner of each window.
        centered: whether offsets count from the center of an image; with `normalized`, they are
            those of the window's center.
        normalized: whether offsets are fractions of the image's sizes, with `centered` from -1 to
            1.
        noise: `"uniform"` (from 0 to 1), `"gaussian"` (with the mean and deviation of the channel)
            or `"zero"`.

    >>> image = tf.reshape(tf.range(9.0), [1, 3, 3, 1])
    >>> tf.image.extract_glimpse(image, [1, 2], [[1.0, 1.0]], False, False)[0, ..., 0].numpy()
    array([[4., 5.]], dtype=float32)
    """
    images, places = _as_operand(input), _as_operand(offsets)
    if noise not in ("uniform", "gaussian", "zero"):
        raise InvalidArgumentError(
            f"noise must be 'uniform', 'gaussian' or 'zero'. Received: noise={noise!r}"
        )
    table.check_kind("image.extract_glimpse", raw(images), "buicO")
    if images.ndim != 4 or tuple(places.shape) != (images.shape[0], 2):
        raise InvalidArgumentError(
            "input must be (batch, height, width, channels) and offsets (batch, 2). Received "
            f"shapes: {tuple(images.shape)} and {tuple(places.shape)}"
        )
    height, width = (int(n) for n in static(size))
    shape = (images.shape[0], height, width, images.shape[3])
    filling = {"uniform": random.uniform, "gaussian": random.normal}.get(noise, ops.zeros)(shape)
    given = images, places, filling
    return run(_glimpses, given, (centered, normalized, noise == "gaussian"))


def _glimpses(x: Any, offsets: Any, filling: Any, centered: bool, normalized: bool, scaled: bool):
    sizes = jnp.asarray(x.shape[1:3], offsets.dtype)
    window = filling.shape[1:3]
    if normalized:
        offsets = offsets * sizes
    if centered:
        halves = jnp.asarray(window, offsets.dtype) / 2 if normalized else 0
        offsets = (offsets / 2 if normalized else offsets) + sizes / 2 - halves
    first = jnp.trunc(offsets).astype(jnp.int32)
    rows, columns = (first[:, i, None] + jnp.arange(n) for i, n in enumerate(window))
    inside = ((rows >= 0) & (rows < x.shape[1]))[:, :, None]
    inside &= ((columns >= 0) & (columns < x.shape[2]))[:, None, :]
    numbers = jnp.arange(x.shape[0])[:, None, None]
    found = x.at[numbers, rows[:, :, None], columns[:, None, :]].get(mode="clip")
    if scaled:
        deviation, mean = x.std((1, 2), keepdims=True), x.mean((1, 2), keepdims=True)
        filling = filling * deviation + mean
    return jnp.where(inside[..., None], found, filling)


__all__ = [
    "extract_glimpse",
    *("combined_non_max_suppression", "non_max_suppression_overlaps"),
    "non_max_suppression_padded",
    *("crop_and_resize", "draw_bounding_boxes", "non_max_suppression"),
    "non_max_suppression_with_scores",
]
