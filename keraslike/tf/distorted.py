"""Random parts of images that still show enough of an object: with a seed, those of TensorFlow."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from keraslike.tf import philox
from keraslike.tf.conversion import _as_operand, constant, static
from keraslike.tf.errors import InvalidArgumentError
from keraslike.tf.samplers import Words, state_of
from keraslike.tf.structure import host

_INSTEAD = "draw boxes outside of tf.function."
_Box = tuple[int, int, int, int]  # top, left, bottom, right


class SampleDistortedBoundingBoxV2(NamedTuple):
    begin: Any
    size: Any
    bboxes: Any


def sample_distorted_bounding_box(
    image_size: Any,
    bounding_boxes: Any,
    seed: int = 0,
    min_object_covered: Any = 0.1,
    aspect_ratio_range: Any = None,
    area_range: Any = None,
    max_attempts: int | None = None,
    use_image_if_no_bounding_boxes: bool | None = None,
    name: str | None = None,
) -> SampleDistortedBoundingBoxV2:
    """A random part of an image that covers enough of an object; the whole image if there is none.

    Args:
        image_size: height, width and channels.
        bounding_boxes: `(batch, boxes, 4)`: top, left, bottom and right of objects, from 0 to 1.
        seed: 0 for another part in each run.
        min_object_covered: how much of at least one object must be covered, from 0 to 1.
        aspect_ratio_range: of width by height, by default from 0.75 to 1.33.
        area_range: of the part's area by that of the image, by default from 0.05 to 1.
        max_attempts: how many parts to try, by default 100.
        use_image_if_no_bounding_boxes: whether the image is the object if there is none.

    Returns `(begin, size, bboxes)`: what `tf.slice` takes, and the part as a box `(1, 1, 4)`.

    >>> begin, size, box = tf.image.sample_distorted_bounding_box(
    ...     [8, 8, 3], [[[0.0, 0.0, 1.0, 1.0]]], seed=1
    ... )
    >>> begin.shape, int(size[2]), box.shape
    (TensorShape([3]), -1, TensorShape([1, 1, 4]))
    """
    rest = _options(
        min_object_covered, aspect_ratio_range, area_range, max_attempts,
        use_image_if_no_bounding_boxes,
    )  # fmt: skip
    given = static(seed)
    state = state_of(f"distorted {rest}", given or None, rest[3], 1)
    return _part(image_size, bounding_boxes, Words(state), *rest)


def stateless_sample_distorted_bounding_box(
    image_size: Any,
    bounding_boxes: Any,
    seed: Any,
    min_object_covered: Any = 0.1,
    aspect_ratio_range: Any = None,
    area_range: Any = None,
    max_attempts: int | None = None,
    use_image_if_no_bounding_boxes: bool | None = None,
    name: str | None = None,
) -> SampleDistortedBoundingBoxV2:
    """`sample_distorted_bounding_box`, with a part that a seed of two numbers determines.

    >>> given = [8, 8, 3], [[[0.0, 0.0, 1.0, 1.0]]]
    >>> one, two = (
    ...     tf.image.stateless_sample_distorted_bounding_box(*given, seed=[1, 2]) for _ in range(2)
    ... )
    >>> bool(tf.reduce_all(one.size == two.size))
    True
    """
    rest = _options(
        min_object_covered, aspect_ratio_range, area_range, max_attempts,
        use_image_if_no_bounding_boxes,
    )  # fmt: skip
    seeds = host(_as_operand(seed), "A random part", _INSTEAD)
    return _part(image_size, bounding_boxes, Words(np.asarray(philox.state_of(seeds))), *rest)


def _options(covered: Any, ratios: Any, areas: Any, attempts: Any, whole: Any) -> tuple:
    ratios = (0.75, 1.33) if ratios is None else tuple(map(float, static(ratios)))
    areas = (0.05, 1.0) if areas is None else tuple(map(float, static(areas)))
    attempts = 100 if attempts is None else int(static(attempts))
    if not 0 < ratios[0] <= ratios[1] or not 0 < areas[0] <= areas[1] <= 1 or attempts < 1:
        raise InvalidArgumentError(
            "aspect_ratio_range and area_range must be ascending and positive, areas at most 1, "
            f"and max_attempts at least 1. Received: {ratios}, {areas}, {attempts}"
        )
    return float(static(covered)), ratios, areas, attempts, bool(whole)


def _part(
    image_size: Any, boxes: Any, words: Words, covered: float, ratios: Any, areas: Any,
    attempts: int, whole: bool,
) -> SampleDistortedBoundingBoxV2:  # fmt: skip
    sizes = host(_as_operand(image_size), "A random part", _INSTEAD)
    height, width = (int(n) for n in sizes[:2])
    corners = host(_as_operand(boxes), "A random part", _INSTEAD).reshape(-1, 4)
    if ((corners < 0) | (corners > 1)).any():
        raise InvalidArgumentError("All bounding box coordinates must be in [0.0, 1.0].")
    image = (0, 0, height, width)
    scale = np.array([height, width] * 2, np.float32)
    objects: list[Any] = (corners.astype(np.float32) * scale).astype(int).tolist()
    if not objects:
        if not whole:
            raise InvalidArgumentError(
                "No bounding boxes: give some, or use_image_if_no_bounding_boxes=True."
            )
        objects = [image]
    low, high = (np.float32(r) for r in ratios)
    chosen: _Box = image
    for _ in range(attempts):
        ratio = np.float32(words.unit()) * (high - low) + low
        box = _drawn(height, width, areas, ratio, words)
        if box is not None and _covers(box, covered, objects):
            chosen = box
            break
    top, left, bottom, right = chosen
    kind = sizes.dtype
    return SampleDistortedBoundingBoxV2(
        constant(np.array([top, left, 0], kind)),
        constant(np.array([bottom - top, right - left, -1], kind)),
        constant(np.array([[chosen]], np.float32) / scale),
    )


def _rounded(x: Any) -> int:
    return int(np.rint(np.float32(x)))


def _drawn(height: int, width: int, areas: Any, ratio: Any, words: Words) -> _Box | None:
    """A random box of an aspect ratio whose area is within limits, if that can be."""
    least, most = (np.float32(a) * np.float32(width) * np.float32(height) for a in areas)
    rows, highest = (_rounded(np.sqrt(area / ratio)) for area in (least, most))
    if _rounded(highest * ratio) > width:
        highest = int(np.float32((width + 0.5 - 1e-7) / ratio))
        highest -= _rounded(highest * ratio) > width
    highest = min(highest, height)
    rows = min(rows, highest)
    if rows < highest:
        rows += words.below(highest - rows + 1)
    columns = _rounded(rows * ratio)
    if rows * columns < least:
        rows += 1
        columns = _rounded(rows * ratio)
    if rows * columns > most:
        rows -= 1
        columns = _rounded(rows * ratio)
    inside = 0 < columns <= width and 0 < rows <= height
    if not inside or not least <= rows * columns <= most:
        return None
    top = words.below(height - rows) if rows < height else 0
    left = words.below(width - columns) if columns < width else 0
    return top, left, top + rows, left + columns


def _covers(box: _Box, covered: float, objects: list[Any]) -> bool:
    for other in objects:
        area = (other[2] - other[0]) * (other[3] - other[1])
        sides = [min(box[i + 2], other[i + 2]) - max(box[i], other[i]) for i in (0, 1)]
        if area >= 1 and max(sides[0], 0) * max(sides[1], 0) / area >= np.float32(covered):
            return True
    return False


__all__ = ["sample_distorted_bounding_box", "stateless_sample_distorted_bounding_box"]
