"""Images with annotations: boxes, masks, labels. Pillow draws and matplotlib plots; both are
imported on first use."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keraslike.core import arguments, foreign
from keraslike.utils import bounding_boxes as boxes_of

__all__ = [
    "draw_bounding_boxes",
    "draw_segmentation_masks",
    "plot_bounding_box_gallery",
    "plot_image_gallery",
    "plot_segmentation_mask_gallery",
]


def _array(value: Any) -> np.ndarray:
    found = foreign.array_of(value)
    return np.asarray(value if found is None else found)


def _is_first(data_format: str | None) -> bool:
    return arguments.standardize_data_format(data_format) == "channels_first"


def _images(images: Any, data_format: str | None) -> np.ndarray:
    """A batch of images with the channels last."""
    images = _array(images)
    if images.ndim != 4:
        raise ValueError(f"`images` must be batched 4D tensor. Received: shape {images.shape}")
    return images.transpose(0, 2, 3, 1) if _is_first(data_format) else images


def _pixels(images: np.ndarray, value_range: Sequence[float] | None = None) -> np.ndarray:
    """Images from 0 to 255 as uint8; floats without a known range are from 0 to 1 or to 255."""
    if value_range is None:
        unit = images.dtype.kind == "f" and images.size and images.max() <= 1
        value_range = (0, 1) if unit else (0, 255)
    low, high = value_range
    if (low, high) != (0, 255):
        images = (images - low) * (255 / (high - low))
    return np.clip(images, 0, 255).astype("uint8")


# -- drawing --------------------------------------------------------------------------------------


def draw_bounding_boxes(
    images: Any,
    bounding_boxes: Mapping[str, Any],
    bounding_box_format: str,
    class_mapping: Mapping[int, str] | None = None,
    color: Sequence[int] = (128, 128, 128),
    line_thickness: int = 2,
    text_thickness: int | None = 1,
    font_scale: float = 1.0,
    data_format: str | None = None,
) -> np.ndarray:
    """Draws boxes around objects, and the names of their classes, on images.

    Args:
        images: a batch; floats are from 0 to 1 or from 0 to 255.
        bounding_boxes: a dict of `"boxes"` `(batch, boxes, 4)`, `"labels"` `(batch, boxes)`, where
            -1 means no box, and optionally `"confidences"` `(batch, boxes)`.
        bounding_box_format: a format of `utils.bounding_boxes.convert_format`, such as `"xyxy"`.
        class_mapping: a dict from labels to names.
        color: red, green and blue, from 0 to 255.
        line_thickness, text_thickness: in pixels; by default the second equals the first.
        font_scale: 1 gives text about 22 pixels high.
        data_format: `"channels_last"` or `"channels_first"`.

    Returns the images as uint8, in their layout.

    Raises ValueError for images that are not a batch and boxes without `"boxes"` and `"labels"`,
    TypeError for boxes that are not a dict, ImportError without Pillow.

    >>> boxes = {"boxes": np.array([[[1, 1, 6, 6]]]), "labels": np.array([[0]])}
    >>> draw_bounding_boxes(np.zeros((1, 8, 8, 3)), boxes, "xyxy", (255, 0, 0)).shape
    (1, 8, 8, 3)
    """
    batch = _images(images, data_format)
    if not isinstance(bounding_boxes, Mapping):
        raise TypeError(f"`bounding_boxes` should be a dict. Received: {bounding_boxes!r}")
    if not {"boxes", "labels"} <= set(bounding_boxes):
        raise ValueError(
            "`bounding_boxes` should be a dict containing 'boxes' and 'labels' keys. "
            f"Received keys: {list(bounding_boxes)}"
        )
    image = foreign.library("PIL.Image", "draw_bounding_boxes()", "pillow")
    drawing = foreign.library("PIL.ImageDraw", "draw_bounding_boxes()", "pillow")
    font = foreign.library("PIL.ImageFont", "draw_bounding_boxes()", "pillow").load_default(
        22 * font_scale
    )
    given = {k: _array(v) for k, v in bounding_boxes.items()}
    corners = boxes_of.convert_format(
        {"boxes": given["boxes"], "labels": given["labels"]},
        bounding_box_format,
        "xyxy",
        *batch.shape[1:3],
    )["boxes"]
    # The lines of a letter are two pixels wide.
    weight = max((text_thickness or line_thickness) - 2, 0)
    drawn = []
    for n, pixels in enumerate(_pixels(batch)):
        gray = pixels.shape[-1] == 1
        picture = image.fromarray(pixels[:, :, 0] if gray else pixels)
        pen, ink = drawing.Draw(picture), int(color[0]) if gray else tuple(map(int, color))
        for i, (box, label) in enumerate(zip(np.asarray(corners)[n], given["labels"][n])):
            if int(label) == -1:
                continue
            x1, y1, x2, y2 = (int(v) for v in box)
            outside = line_thickness // 2
            edges = (x1 - outside, y1 - outside, x2 + outside, y2 + outside)
            if edges[0] <= edges[2] and edges[1] <= edges[3]:
                pen.rectangle(edges, outline=ink, width=line_thickness)
            if int(label) in (class_mapping or {}):
                text = str(class_mapping[int(label)])  # type: ignore[index]
                if "confidences" in given:
                    text = f"{text} | {given['confidences'][n][i]:.2f}"
                above = y1 - 8 - 24 * font_scale > 0
                at = (x1, y1 - 8) if above else (x1 + 3, y1 + line_thickness + 3)
                anchor = "ls" if above else "la"
                pen.text(at, text, ink, font, anchor, stroke_width=weight)
        drawn.append(np.asarray(picture).reshape(pixels.shape))
    result = np.stack(drawn)
    return result.transpose(0, 3, 1, 2) if _is_first(data_format) else result


def draw_segmentation_masks(
    images: Any,
    segmentation_masks: Any,
    num_classes: int | None = None,
    color_mapping: Mapping[int, Sequence[int]] | None = None,
    alpha: float = 0.8,
    blend: bool = True,
    ignore_index: int = -1,
    data_format: str | None = None,
) -> np.ndarray:
    """Colors the pixels of images by their classes.

    Args:
        images: a batch; floats are from 0 to 1 or from 0 to 255.
        segmentation_masks: integers `(batch, height, width)`, with an axis of one channel or
            without: classes from 1 to `num_classes`. 0 is the background, which is not colored.
        num_classes: the largest of the classes by default.
        color_mapping: a dict from the classes to color to red, green and blue.
        alpha: the opacity of the colors.
        blend: whether to mix colors and images, according to `alpha`.
        ignore_index: a class that is not colored.
        data_format: `"channels_last"` or `"channels_first"`.

    Returns the images as uint8, in their layout.

    >>> masks = np.array([[[0, 1]]])
    >>> draw_segmentation_masks(np.ones((1, 1, 2, 3)), masks, color_mapping={1: (9, 0, 0)}, alpha=1)
    array([[[[255, 255, 255],
             [  9,   0,   0]]]], dtype=uint8)
    """
    batch, masks = _images(images, data_format), _array(segmentation_masks)
    if masks.dtype.kind not in "iu":
        raise TypeError(
            "`segmentation_masks` must be in integer dtype. "
            f"Received: segmentation_masks.dtype={masks.dtype}"
        )
    if masks.ndim == 4:
        masks = masks[:, 0] if _is_first(data_format) else masks[..., 0]
    if masks.shape != batch.shape[:3]:
        raise ValueError(
            "`segmentation_masks` must have the batch, height and width of the images. "
            f"Received: masks of shape {masks.shape}, images of shape {batch.shape}"
        )
    if color_mapping is None:
        count = int(masks.max(initial=0)) if num_classes is None else num_classes
        color_mapping = {i: _color(i) for i in range(1, count + 1)}
    result = _pixels(batch)
    for number, color in color_mapping.items():
        place = (masks == number) & (masks != ignore_index)
        share = alpha if blend else 1.0
        mixed = result[place] * (1 - share) + np.asarray(color, "float32") * share
        result[place] = mixed.astype("uint8")
    return result.transpose(0, 3, 1, 2) if _is_first(data_format) else result


def _color(number: int) -> list[int]:
    return [number * step % 255 for step in (2**25 - 1, 2**15 - 1, 2**21 - 1)]


# -- plotting -------------------------------------------------------------------------------------


def plot_image_gallery(
    images: Any,
    y_true: Any = None,
    y_pred: Any = None,
    label_map: Mapping[int, str] | None = None,
    rows: int | None = None,
    cols: int | None = None,
    value_range: Sequence[float] = (0, 255),
    scale: float = 2,
    path: Any = None,
    show: bool | None = None,
    transparent: bool = True,
    dpi: float = 60,
    legend_handles: Any = None,
    data_format: str | None = None,
) -> None:
    """Plots images in rows and columns, with their labels.

    Args:
        images: a batch; those that do not fit the grid are omitted.
        y_true, y_pred: the true and the predicted labels.
        label_map: a dict from labels to names; required with labels.
        rows, cols: the grid; by default as square as possible.
        value_range: the range of the images' values.
        scale: the size of an image in inches.
        path: a file for the plot, which is shown if there is no path.
        show: whether to show the plot; not with a `path`.
        transparent, dpi: options of the file.
        legend_handles: matplotlib handles for a legend.
        data_format: `"channels_last"` or `"channels_first"`.

    Raises ValueError for other arguments, ImportError without matplotlib.

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/images.png"
    >>> plot_image_gallery(np.zeros((2, 8, 8, 3)), rows=1, cols=2, path=path)
    """
    if path is not None and show:
        raise ValueError("plot_image_gallery() expects either `path` or `show`. Received both.")
    given = {"Label": y_true, "Pred": y_pred}
    labels = {name: _array(y).ravel() for name, y in given.items() if y is not None}
    if labels and label_map is None:
        raise ValueError(
            "`y_true` and `y_pred` need a `label_map`, which names the classes. Received: None"
        )
    pictures = _pixels(_images(images, data_format), value_range)
    count = len(pictures)
    rows = rows or math.ceil(count / cols if cols else math.sqrt(count))
    cols = cols or math.ceil(count / rows)
    plt = foreign.library("matplotlib.pyplot", "plot_image_gallery()", "matplotlib")
    size = (cols * scale, rows * scale)
    figure, axes = plt.subplots(
        rows, cols, figsize=size, frameon=False, layout="tight", squeeze=False
    )
    if legend_handles is not None:
        figure.legend(handles=legend_handles, loc="lower center")
    for n, axis in enumerate(axes.flat):
        axis.axis("off")
        if n >= count:
            continue
        gray = pictures.shape[-1] == 1
        axis.imshow(pictures[n, :, :, 0] if gray else pictures[n], "gray", vmin=0, vmax=255)
        titles = [
            f"{name}: {label_map.get(y[n].item(), 'Unknown')}"  # type: ignore[union-attr]
            for name, y in labels.items()
            if n < len(y)
        ]
        axis.set_title("  ".join(titles), fontsize=8)
    try:
        if path is not None:
            how = {"pad_inches": 0.03, "bbox_inches": "tight", "transparent": transparent}
            figure.savefig(path, dpi=dpi, **how)
        elif show or show is None:
            plt.show()
    finally:
        plt.close(figure)


def plot_bounding_box_gallery(
    images: Any,
    bounding_box_format: str,
    y_true: Any = None,
    y_pred: Any = None,
    value_range: Sequence[float] = (0, 255),
    true_color: Sequence[int] = (0, 188, 212),
    pred_color: Sequence[int] = (255, 235, 59),
    line_thickness: int = 2,
    font_scale: float = 1.0,
    text_thickness: int | None = None,
    class_mapping: Mapping[int, str] | None = None,
    ground_truth_mapping: Mapping[int, str] | None = None,
    prediction_mapping: Mapping[int, str] | None = None,
    legend: bool = False,
    legend_handles: Any = None,
    rows: int | None = None,
    cols: int | None = None,
    data_format: str | None = None,
    **kwargs: Any,
) -> None:
    """Plots images in rows and columns, with true and predicted boxes around objects.

    Args:
        y_true, y_pred: the boxes, in the form of `draw_bounding_boxes`.
        true_color, pred_color: the colors of the boxes.
        class_mapping: a dict from labels to names; `ground_truth_mapping` and `prediction_mapping`
            apply to one kind of boxes.
        legend: whether to add a legend of the colors.
        kwargs: further arguments of `plot_image_gallery`.

    >>> boxes = {"boxes": np.array([[[1, 1, 6, 6]]]), "labels": np.array([[0]])}
    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/boxes.png"
    >>> plot_bounding_box_gallery(np.zeros((1, 8, 8, 3)), "xyxy", y_true=boxes, path=path)
    """
    if legend and legend_handles:
        raise ValueError("Only pass `legend` OR `legend_handles`. Received both.")
    pictures = _pixels(_images(images, data_format), value_range)
    for boxes, color, mapping in (
        (y_true, true_color, ground_truth_mapping),
        (y_pred, pred_color, prediction_mapping),
    ):
        if boxes is not None:
            pictures = draw_bounding_boxes(
                pictures,
                boxes,
                bounding_box_format,
                mapping or class_mapping,
                color,
                line_thickness,
                text_thickness,
                font_scale,
                "channels_last",
            )
    if legend:
        patches = foreign.library("matplotlib.patches", "plot_image_gallery()", "matplotlib")
        kinds = {"Ground Truth": true_color, "Prediction": pred_color}
        legend_handles = [
            patches.Patch(color=np.asarray(color) / 255, label=name)
            for name, color in kinds.items()
        ]
    kwargs.update(rows=rows, cols=cols, legend_handles=legend_handles, data_format="channels_last")
    plot_image_gallery(pictures, **kwargs)


def plot_segmentation_mask_gallery(
    images: Any,
    num_classes: int,
    value_range: Sequence[float] = (0, 255),
    y_true: Any = None,
    y_pred: Any = None,
    color_mapping: Mapping[int, Sequence[int]] | None = None,
    blend: bool = True,
    alpha: float = 0.8,
    ignore_index: int = -1,
    data_format: str | None = None,
    **kwargs: Any,
) -> None:
    """Plots images in a column, each beside its true and its predicted mask.

    Args:
        y_true, y_pred: the masks, in the form of `draw_segmentation_masks`, with any numeric dtype.
        kwargs: for `plot_image_gallery`; the other arguments are of `draw_segmentation_masks`.

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/masks.png"
    >>> images, masks = np.zeros((1, 8, 8, 3)), np.zeros((1, 8, 8))
    >>> plot_segmentation_mask_gallery(images, 2, y_true=masks, path=path)
    """
    pictures = _pixels(_images(images, data_format), value_range)
    columns = [pictures]
    for masks in (y_true, y_pred):
        if masks is not None:
            masks = _array(masks).astype("int32")
            if masks.ndim == 4 and _is_first(data_format):
                masks = masks[:, 0]
            columns.append(
                draw_segmentation_masks(
                    pictures,
                    masks,
                    num_classes,
                    color_mapping,
                    alpha,
                    blend,
                    ignore_index,
                    "channels_last",
                )
            )
    gallery = np.stack(columns, 1).reshape(-1, *pictures.shape[1:])
    kwargs.update(rows=len(pictures), cols=len(columns), data_format="channels_last")
    plot_image_gallery(gallery, **kwargs)


def __dir__() -> list[str]:
    return list(__all__)
