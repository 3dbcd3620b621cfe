"""Bounding boxes: their formats, their transformations with images, and their overlap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from keraslike.core import dtypes
from keraslike.core.operation import op
from keraslike.ops.wrap import array, public

FORMATS = (
    *("xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw"),
    *("rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh"),
)


def columns(boxes: jax.Array) -> list[jax.Array]:
    """The four numbers of each box, each with a last axis of one."""
    return jnp.split(boxes, 4, axis=-1)


def joined(*numbers: jax.Array) -> jax.Array:
    return jnp.concatenate(jnp.broadcast_arrays(*numbers), axis=-1)


def _to_corners(boxes: jax.Array, layout: str) -> jax.Array:
    a, b, c, d = columns(boxes)
    if layout.endswith(("yxyx", "yxhw")):
        a, b, c, d = b, a, d, c
    if layout.startswith("center_"):
        a, b, c, d = a - c / 2, b - d / 2, a + c / 2, b + d / 2
    elif layout == "xywh":
        c, d = a + c, b + d
    return joined(a, b, c, d)


def _from_corners(boxes: jax.Array, layout: str) -> jax.Array:
    a, b, c, d = columns(boxes)
    if layout.startswith("center_"):
        a, b, c, d = a + (c - a) / 2, b + (d - b) / 2, c - a, d - b
    elif layout == "xywh":
        c, d = c - a, d - b
    if layout.endswith(("yxyx", "yxhw")):
        a, b, c, d = b, a, d, c
    return joined(a, b, c, d)


@op
def convert_format(
    boxes: Any,
    source: str,
    target: str,
    height: Any = None,
    width: Any = None,
    dtype: Any = "float32",
) -> Any:
    """Boxes in another format.

    Args:
        boxes: `(..., 4)`, or a dict with this array under `"boxes"`, which results in a dict.
        source: `"xyxy"` (left, top, right, bottom), `"yxyx"`, `"xywh"` (left, top, width, height),
            `"center_xywh"`, `"center_yxhw"`, or one of these but the last with `"rel_"` before it:
            shares of the image's width and height.
        target: likewise.
        height, width: those of the image, for `"rel_"`.
        dtype: of the result.

    Raises ValueError for another format or shape, and where `height` and `width` are missing.

    >>> convert_format([[10, 20, 30, 60]], "xyxy", "center_xywh").tolist()
    [[20.0, 40.0, 20.0, 40.0]]
    """
    if isinstance(boxes, dict):
        changed = convert_format(boxes["boxes"], source, target, height, width, dtype)
        return {**boxes, "boxes": changed}
    x = array(boxes)
    if x.shape[-1] != 4:
        raise ValueError(
            f"The last dimension of `boxes` must be 4. Received: boxes.shape={x.shape}"
        )
    source, target = source.lower(), target.lower()
    if source not in FORMATS or target not in FORMATS:
        raise ValueError(
            f"Invalid source or target format. Supported formats: {FORMATS}. "
            f"Received: source={source!r}, target={target!r}"
        )
    shares = [layout.startswith("rel_") for layout in (source, target)]
    if any(shares) and (height is None or width is None):
        raise ValueError(
            "convert_format() must receive `height` and `width` for relative formats. "
            f"Received: source={source!r}, target={target!r}, height={height}, width={width}"
        )
    x = x.astype(dtype)
    if source == target:
        return x
    x = _to_corners(x, source.removeprefix("rel_"))
    if shares[0] != shares[1]:
        across, down = (array(n).astype(dtype) for n in (width, height))
        sides = (across, down, across, down)
        x = joined(*(c * n if shares[0] else c / n for c, n in zip(columns(x), sides)))
    return _from_corners(x, target.removeprefix("rel_"))


@op
def clip_to_image_size(
    bounding_boxes: dict[str, Any],
    height: Any = None,
    width: Any = None,
    bounding_box_format: str = "xyxy",
) -> dict[str, Any]:
    """Boxes clipped to the image; the labels of boxes outside of it become -1.

    Args:
        bounding_boxes: a dict of `"boxes"` and, if they have them, `"labels"`.
        height, width: of the image, for `"xyxy"`.
        bounding_box_format: `"xyxy"` or `"rel_xyxy"`.

    >>> clipped = clip_to_image_size({"boxes": [[-1.0, 2.0, 9.0, 4.0]]}, 8, 8)
    >>> clipped["boxes"].tolist()
    [[0.0, 2.0, 8.0, 4.0]]
    """
    if bounding_box_format not in ("xyxy", "rel_xyxy"):
        raise NotImplementedError(
            "bounding_box_format must be 'xyxy' or 'rel_xyxy'. "
            f"Received: bounding_box_format={bounding_box_format!r}"
        )
    if bounding_box_format == "rel_xyxy":
        height = width = 1.0
    elif height is None or width is None:
        raise ValueError("`height` and `width` must be set if `format='xyxy'`.")
    boxes = array(bounding_boxes["boxes"])
    across, down = (array(n).astype(boxes.dtype) for n in (width, height))
    x1, y1, x2, y2 = (
        jnp.clip(c, 0, n) for c, n in zip(columns(boxes), (across, down, across, down))
    )
    clipped = {**bounding_boxes, "boxes": joined(x1, y1, x2, y2)}
    if (labels := bounding_boxes.get("labels")) is not None:
        left = jnp.squeeze((x2 - x1) * (y2 - y1), -1) > 0
        clipped["labels"] = jnp.where(left, array(labels), -1)
    return clipped


def _only_corners(bounding_box_format: str) -> None:
    if bounding_box_format != "xyxy":
        raise NotImplementedError(
            f"bounding_box_format must be 'xyxy'. Received: {bounding_box_format!r}"
        )


@op
def affine_transform(
    boxes: Any,
    angle: Any,
    translate_x: Any,
    translate_y: Any,
    scale: Any,
    shear_x: Any,
    shear_y: Any,
    height: int,
    width: int,
    center_x: Any = None,
    center_y: Any = None,
    bounding_box_format: str = "xyxy",
) -> jax.Array:
    """The bounding boxes of rotated, shifted, scaled and sheared boxes `(batch, boxes, 4)`.

    Args:
        boxes: in the format `"xyxy"`.
        angle: `(batch,)`, in degrees, as are `shear_x` and `shear_y`.
        translate_x: `(batch,)`, a share of the width less one; `translate_y` of the height.
        scale: `(batch,)`.
        height, width: of the image.
        center_x, center_y: what stays where it is, as shares; the middle if omitted.
        bounding_box_format: must be `"xyxy"`.

    >>> zero, one = jnp.zeros(1), jnp.ones(1)
    >>> box = [[[1.0, 2.0, 3.0, 4.0]]]
    >>> affine_transform(box, zero, zero, zero, one, zero, zero, 8, 8).astype(int).tolist()
    [[[1, 2, 3, 4]]]
    """
    _only_corners(bounding_box_format)
    turn, *slant = (-jnp.deg2rad(array(a)) for a in (angle, shear_x, shear_y))
    middle_x = (0.5 if center_x is None else array(center_x)) * (width - 1)
    middle_y = (0.5 if center_y is None else array(center_y)) * (height - 1)
    from_x = middle_x - array(translate_x) * (width - 1)
    from_y = middle_y - array(translate_y) * (height - 1)
    a = jnp.cos(turn - slant[1]) / jnp.cos(slant[1])
    c = -jnp.sin(turn - slant[1]) / jnp.cos(slant[1])
    b = a * jnp.tan(slant[0]) + jnp.sin(turn)
    d = jnp.cos(turn) - c * jnp.tan(slant[0])
    a0, a1, b0, b1 = (n * array(scale) for n in (d, -b, -c, a))
    rows = [
        jnp.stack(jnp.broadcast_arrays(a0, a1, middle_x - a0 * from_x - a1 * from_y), -1),
        jnp.stack(jnp.broadcast_arrays(b0, b1, middle_y - b0 * from_x - b1 * from_y), -1),
    ]
    matrix = jnp.stack(rows, -2)
    x1, y1, x2, y2 = columns(array(boxes).astype(matrix.dtype))
    corners = ((x1, y1), (x2, y1), (x2, y2), (x1, y2))
    points = jnp.stack([joined(*p, jnp.ones_like(x1)) for p in corners], -2)
    moved = jnp.einsum("bnpk,bck->bnpc", points, matrix)
    return jnp.concatenate([moved.min(-2), moved.max(-2)], -1)


@op
def crop(
    boxes: Any, top: Any, left: Any, height: Any, width: Any, bounding_box_format: str = "xyxy"
) -> jax.Array:
    """Boxes in a part of an image, clipped to it.

    >>> crop([[1.0, 2.0, 9.0, 4.0]], top=1, left=2, height=4, width=4).tolist()
    [[0.0, 1.0, 4.0, 3.0]]
    """
    _only_corners(bounding_box_format)
    moved = pad(boxes, -top, -left)
    return joined(*(jnp.clip(c, 0, n) for c, n in zip(columns(moved), (width, height) * 2)))


@op
def pad(
    boxes: Any,
    top: Any,
    left: Any,
    height: Any = None,
    width: Any = None,
    bounding_box_format: str = "xyxy",
) -> jax.Array:
    """Boxes in an image that was padded at its top and its left; its size has no effect.

    >>> pad([[1.0, 2.0, 9.0, 4.0]], top=1, left=2).tolist()
    [[3.0, 3.0, 11.0, 5.0]]
    """
    _only_corners(bounding_box_format)
    return joined(*(c + n for c, n in zip(columns(array(boxes)), (left, top, left, top))))


# -- differences from anchors -----------------------------------------------------------------


def _encoding(layout: str, variance: Any, image_shape: Any, name: str) -> tuple[Any, dict]:
    if variance is not None:
        variance = array(variance).astype("float32")
        if variance.shape[-1] != 4:
            raise ValueError(f"`variance` must be length 4, got {variance}")
    if layout not in ("center_xywh", "center_yxhw"):
        raise ValueError(
            f"`{name}` should be one of 'center_xywh' or 'center_yxhw', got {layout!r}"
        )
    return variance, _size(image_shape)


def _size(image_shape: Sequence[int] | None) -> dict[str, Any]:
    height, width, _ = (None, None, None) if image_shape is None else image_shape
    return {"height": height, "width": width}


@op
def encode_box_to_deltas(
    anchors: Any,
    boxes: Any,
    anchor_format: str,
    box_format: str,
    encoding_format: str = "center_yxhw",
    variance: Sequence[float] | None = None,
    image_shape: Sequence[int] | None = None,
) -> jax.Array:
    """Boxes as differences from anchors: the distance of the centers relative to the anchor's
    size, and the logarithm of the ratio of sizes.

    Args:
        anchors: `(anchors, 4)`.
        boxes: those that belong to them, of the same shape or `(batch, anchors, 4)`.
        anchor_format, box_format: their formats, see `convert_format`.
        encoding_format: `"center_yxhw"` or `"center_xywh"`, the order in the result.
        variance: four numbers by which the differences are divided.
        image_shape: `(height, width, channels)`, for formats that begin with `"rel_"`.

    >>> encode_box_to_deltas([[0, 0, 2, 2]], [[1, 1, 3, 3]], "xyxy", "xyxy").tolist()
    [[0.5, 0.5, 0.0, 0.0]]
    """
    variance, size = _encoding(encoding_format, variance, image_shape, "encoding_format")
    from_anchors = convert_format(anchors, anchor_format, encoding_format, **size)
    x = convert_format(boxes, box_format, encoding_format, **size)
    least = dtypes.epsilon()
    sides, own = (jnp.maximum(b[..., 2:], least) for b in (from_anchors, x))
    deltas = _side_by_side((x[..., :2] - from_anchors[..., :2]) / sides, jnp.log(own / sides))
    return deltas if variance is None else deltas / jnp.asarray(variance)


def _side_by_side(first: jax.Array, second: jax.Array) -> jax.Array:
    return jnp.concatenate([first, second], -1)


@op
def decode_deltas_to_boxes(
    anchors: Any,
    boxes_delta: Any,
    anchor_format: str,
    box_format: str,
    encoded_format: str = "center_yxhw",
    variance: Sequence[float] | None = None,
    image_shape: Sequence[int] | None = None,
) -> Any:
    """The inverse of `encode_box_to_deltas`; both arguments may be dicts by level.

    >>> decode_deltas_to_boxes([[0, 0, 2, 2]], [[0.5, 0.5, 0.0, 0.0]], "xyxy", "xyxy").tolist()
    [[1.0, 1.0, 3.0, 3.0]]
    """
    variance, size = _encoding(encoded_format, variance, image_shape, "encoded_format")

    def decoded(anchor: Any, delta: Any) -> jax.Array:
        start = convert_format(anchor, anchor_format, encoded_format, **size)
        delta = array(delta) if variance is None else array(delta) * jnp.asarray(variance)
        sides = start[..., 2:]
        x = _side_by_side(delta[..., :2] * sides + start[..., :2], jnp.exp(delta[..., 2:]) * sides)
        return convert_format(x, encoded_format, box_format, **size)

    if isinstance(anchors, dict) and isinstance(boxes_delta, dict):
        return {level: decoded(anchor, boxes_delta[level]) for level, anchor in anchors.items()}
    return decoded(anchors, boxes_delta)


# -- overlap ----------------------------------------------------------------------------------


@op
def compute_iou(
    boxes1: Any,
    boxes2: Any,
    bounding_box_format: str,
    use_masking: bool = False,
    mask_val: float = -1,
    image_shape: Sequence[int] | None = None,
) -> jax.Array:
    """The intersection over union (IoU) of each of `boxes1` with each of `boxes2`.

    Args:
        boxes1: `(n, 4)` or `(batch, n, 4)`.
        boxes2: `(m, 4)` or `(batch, m, 4)`.
        bounding_box_format: of both, see `convert_format`.
        use_masking: whether the result is `mask_val` for boxes whose numbers are all negative,
            which represent no box.
        mask_val: see `use_masking`.
        image_shape: `(height, width, channels)`, for formats that begin with `"rel_"`.

    Returns `(n, m)`, or `(batch, n, m)` where one of them is a batch.

    >>> compute_iou([[0, 0, 2, 2]], [[0, 0, 2, 2], [0, 0, 1, 2]], "xyxy").round(3).tolist()
    [[1.0, 0.5]]
    """
    for name, boxes in (("boxes1", boxes1), ("boxes2", boxes2)):
        if (rank := array(boxes).ndim) not in (2, 3):
            raise ValueError(
                f"compute_iou() expects {name} to be batched, or to be unbatched. Expected "
                f"len({name}.shape)=2 or len({name}.shape)=3. Received len({name}.shape)={rank}"
            )
    if "rel" in bounding_box_format and image_shape is None:
        raise ValueError(
            "Boxes in relative numbers, such as those of 'rel_yxyx', need an `image_shape`. "
            f"Received: image_shape={image_shape}"
        )
    size = _size(image_shape)
    first, second = (
        convert_format(b, bounding_box_format, "xyxy", **size) for b in (boxes1, boxes2)
    )
    x1, y1, x2, y2 = columns(first)
    u1, v1, u2, v2 = (jnp.swapaxes(c, -1, -2) for c in columns(second))
    across = jnp.maximum(jnp.minimum(x2, u2) - jnp.maximum(x1, u1), 0)
    common = across * jnp.maximum(jnp.minimum(y2, v2) - jnp.maximum(y1, v1), 0)
    union = (x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - common
    result = common / (union + dtypes.epsilon())
    if not use_masking:
        return result
    none = (jnp.max(first, -1, keepdims=True) < 0) | (jnp.max(second, -1)[..., None, :] < 0)
    return jnp.where(none, mask_val, result)


@op
def compute_ciou(
    boxes1: Any,
    boxes2: Any,
    bounding_box_format: str,
    image_shape: Sequence[int] | None = None,
) -> jax.Array:
    """The complete IoU (Zheng et al. 2020) of each box with the one at the same position.

    Args:
        boxes1, boxes2: `(..., 4)`.
        bounding_box_format: of both, see `convert_format`; not one that begins with `"rel_"`.
        image_shape: ignored.

    >>> compute_ciou([[0.0, 0.0, 2.0, 2.0]], [[0.0, 0.0, 2.0, 2.0]], "xyxy").round(3).tolist()
    [1.0]
    """
    if "rel" in bounding_box_format:
        raise ValueError(
            "compute_ciou() takes no relative bounding box formats (e.g. `rel_yxyx`). "
            f"Received: bounding_box_format={bounding_box_format!r}, image_shape={image_shape}"
        )
    both = [convert_format(b, bounding_box_format, "xyxy") for b in (boxes1, boxes2)]
    (x1, y1, x2, y2), (u1, v1, u2, v2) = (jnp.moveaxis(b, -1, 0) for b in both)
    tiny = dtypes.epsilon()
    width, height, other_width, other_height = x2 - x1, y2 - y1 + tiny, u2 - u1, v2 - v1 + tiny
    across = jnp.maximum(jnp.minimum(x2, u2) - jnp.maximum(x1, u1), 0)
    common = across * jnp.maximum(jnp.minimum(y2, v2) - jnp.maximum(y1, v1), 0)
    iou = common / (width * height + other_width * other_height - common + 2 * tiny)
    around = (jnp.maximum(x2, u2) - jnp.minimum(x1, u1)) ** 2
    around += (jnp.maximum(y2, v2) - jnp.minimum(y1, v1)) ** 2 + tiny
    apart = ((x1 + x2) / 2 - (u1 + u2) / 2) ** 2 + ((y1 + y2) / 2 - (v1 + v2) / 2) ** 2
    turned = jnp.arctan(other_width / other_height) - jnp.arctan(width / height)
    unlike = 4 / math.pi**2 * turned**2
    return iou - (apart / around + unlike * unlike / (unlike - iou + (1 + tiny)))


__all__ = [n for n in public(globals()) if n not in ("columns", "joined")]
