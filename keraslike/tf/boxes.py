"""Functions of `tf.image` for boxes `[top, left, bottom, right]` with coordinates from 0 to 1."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from keraslike.tf.conversion import _as_operand, constant, static
from keraslike.tf.structure import host
from keraslike.tf.tensor import Tensor, run

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

    >>> from keraslike import tf
    >>> image = tf.reshape(tf.range(4.0), [1, 2, 2, 1])
    >>> tf.image.crop_and_resize(image, [[0.0, 0.0, 1.0, 1.0]], [0], [1, 1]).numpy().tolist()
    [[[[1.5]]]]
    """
    if method not in ("bilinear", "nearest"):
        raise ValueError(f"method must be 'bilinear' or 'nearest'. Received: method={method!r}")
    given = tuple(map(_as_operand, (image, boxes, box_indices)))
    height, width = static(crop_size)
    return run(_crop, given, (height, width, method, extrapolation_value))


def _crop(x: Any, boxes: Any, indices: Any, height: int, width: int, method: str, fill: float):
    def places(low: Any, high: Any, size: int, count: int) -> Any:
        if count == 1:
            return ((low + high) / 2 * (size - 1))[:, None]
        step = (high - low) * (size - 1) / (count - 1)
        return low[:, None] * (size - 1) + jnp.arange(count) * step[:, None]

    x = x.astype("float32")
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
        upper = at(top, left) * (1 - right) + at(top, left + 1) * right
        lower = at(top + 1, left) * (1 - right) + at(top + 1, left + 1) * right
        out = upper * (1 - down) + lower * down
    return jnp.where((inside[0][:, :, None] & inside[1][:, None, :])[..., None], out, fill)


def _overlaps(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    def area(b: np.ndarray) -> Any:
        return (b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1])

    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    common = np.prod(np.maximum(sides, 0), -1)
    whole = area(box) + area(others) - common
    return np.divide(common, whole, out=np.zeros_like(common), where=whole > 0)


def _chosen(
    boxes: Any, scores: Any, most: Any, overlap: Any, least: Any, sigma: float = 0.0
) -> tuple[list[int], list[float]]:
    boxes, scores = (host(_as_operand(v), "Choosing boxes", _TRACED) for v in (boxes, scores))
    boxes = np.concatenate(
        [np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], 1
    )
    left, chosen, found = scores.astype(np.float32).copy(), [], []
    open_ = left > float(static(least))
    while len(chosen) < int(static(most)) and open_.any():
        best = int(np.argmax(np.where(open_, left, -np.inf)))
        chosen.append(best)
        found.append(float(left[best]))
        open_[best] = False
        shared = _overlaps(boxes[best], boxes)
        if sigma > 0:
            left = np.where(open_, left * np.exp(-0.5 * shared**2 / sigma), left)
            open_ &= left > float(static(least))
        else:
            open_ &= shared <= float(static(overlap))
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

    >>> from keraslike import tf
    >>> boxes = [[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.9], [2.0, 2.0, 3.0, 3.0]]
    >>> tf.image.non_max_suppression(boxes, [0.9, 0.8, 0.7], 3).numpy().tolist()
    [0, 2]
    """
    found, _ = _chosen(boxes, scores, max_output_size, iou_threshold, score_threshold)
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

    >>> from keraslike import tf
    >>> boxes = [[0.0, 0.0, 1.0, 1.0], [2.0, 2.0, 3.0, 3.0]]
    >>> kept, scores = tf.image.non_max_suppression_with_scores(boxes, [0.5, 0.75], 2)
    >>> kept.numpy().tolist(), scores.numpy().tolist()
    ([1, 0], [0.75, 0.5])
    """
    found, values = _chosen(
        boxes, scores, max_output_size, iou_threshold, score_threshold, float(soft_nms_sigma)
    )
    return constant(np.asarray(found, np.int32)), constant(np.asarray(values, np.float32))


def draw_bounding_boxes(images: Any, boxes: Any, colors: Any, name: Any = None) -> Tensor:
    """Images with the outlines of boxes, one pixel wide.

    Args:
        colors: rows of channels, which are assigned to the boxes in turn.

    >>> from keraslike import tf
    >>> image = tf.zeros([1, 3, 3, 1])
    >>> tf.image.draw_bounding_boxes(image, [[[0.0, 0.0, 1.0, 1.0]]], [[1.0]])[
    ...     0, :, :, 0
    ... ].numpy().tolist()
    [[1.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0]]
    """
    given = (_as_operand(v) for v in (images, boxes))
    found, places = (host(v, "Drawing boxes", _TRACED) for v in given)
    out = np.array(found)
    rows, columns = out.shape[1] - 1, out.shape[2] - 1
    palette = [[1.0, 1.0, 0.0, 1.0]] if colors is None else np.asarray(_as_operand(colors))
    for picture, own in zip(out, places):
        for number, box in enumerate(own):
            top, left, bottom, right = (
                int(v * n) for v, n in zip(box.tolist(), (rows, columns, rows, columns))
            )
            color = palette[number % len(palette)][: out.shape[-1]]
            if top >= bottom or left >= right:
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


__all__ = [
    *("crop_and_resize", "draw_bounding_boxes", "non_max_suppression"),
    "non_max_suppression_with_scores",
]
