"""Pictures: what is drawn where, and what is plotted into files."""

import numpy as np
import pytest

import keraslike

V = keraslike.visualization
GRAY = np.full((2, 30, 40, 3), 100, "uint8")
BOXES = {
    "boxes": np.array([[[5, 6, 20, 18], [0, 0, 9, 9]]] * 2, "float32"),
    "labels": np.array([[1, -1], [0, -1]]),
}


def test_masks_have_the_colors_that_keras_gives_them():
    keras = pytest.importorskip("keras").visualization
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 5, 4, 3)).astype("uint8")
    masks = rng.integers(0, 4, (2, 5, 4, 1)).astype("int32")
    theirs = keras.draw_segmentation_masks(images, masks, 4, alpha=0.6, ignore_index=0)
    # Keras counts the background among the classes and paints it black unless it is left out.
    ours = V.draw_segmentation_masks(images, masks, 3, alpha=0.6)
    assert ours.dtype == "uint8" and np.abs(ours.astype(int) - theirs).max() <= 1
    assert (ours[masks[..., 0] == 0] == images[masks[..., 0] == 0]).all()
    assert (ours == V.draw_segmentation_masks(images, masks[..., 0], alpha=0.6)).all()
    first = V.draw_segmentation_masks(
        images.transpose(0, 3, 1, 2), masks.transpose(0, 3, 1, 2), 3, None, 0.6,
        data_format="channels_first",
    )  # fmt: skip
    assert (first == ours.transpose(0, 3, 1, 2)).all()
    plain = V.draw_segmentation_masks(images / 255, masks, None, {2: (1, 2, 3)}, blend=False)
    assert (plain[masks[..., 0] == 2] == (1, 2, 3)).all()
    with pytest.raises(TypeError, match="integer dtype"):
        V.draw_segmentation_masks(images, masks.astype(float))
    with pytest.raises(ValueError, match="height and width"):
        V.draw_segmentation_masks(images, masks[:, :2])


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_boxes_are_drawn_at_their_places(channels, data_format):
    images = GRAY[..., :channels]
    if data_format == "channels_first":
        images = images.transpose(0, 3, 1, 2)
    drawn = V.draw_bounding_boxes(
        images, BOXES, "xyxy", color=(9, 8, 7), line_thickness=1, data_format=data_format
    )
    assert drawn.shape == images.shape
    changed = (drawn != images).any(1 if data_format == "channels_first" else -1)
    wanted = np.zeros((30, 40), bool)
    wanted[6:19, 5:21] = True
    wanted[7:18, 6:20] = False
    assert (changed == wanted).all()
    relative = {**BOXES, "boxes": BOXES["boxes"] / np.array([40, 30, 40, 30])}
    again = V.draw_bounding_boxes(
        images / 255, relative, "rel_xyxy", None, (9, 8, 7), 1, data_format=data_format
    )
    assert (again == drawn).all()


def test_names_of_classes_are_written():
    named = V.draw_bounding_boxes(GRAY, BOXES, "xyxy", {1: "cat"}, font_scale=0.5)
    plain = V.draw_bounding_boxes(GRAY, BOXES, "xyxy", {})
    assert (named != plain).any((1, 2, 3)).tolist() == [True, False]
    with pytest.raises(ValueError, match="'boxes' and 'labels'"):
        V.draw_bounding_boxes(GRAY, {"boxes": BOXES["boxes"]}, "xyxy")
    with pytest.raises(TypeError, match="should be a dict"):
        V.draw_bounding_boxes(GRAY, BOXES["boxes"], "xyxy")
    with pytest.raises(ValueError, match="batched 4D"):
        V.draw_bounding_boxes(GRAY[0], BOXES, "xyxy")


def test_galleries(tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    five = np.concatenate([GRAY, GRAY, GRAY[:1]]) / 255
    size = {"dpi": 20, "scale": 1}
    paths = [tmp_path / f"{n}.png" for n in range(3)]
    V.plot_image_gallery(
        five, [0, 1, 0, 1, 2], label_map={0: "a", 1: "b"}, value_range=(0, 1), path=paths[0], **size
    )
    V.plot_bounding_box_gallery(GRAY, "xyxy", BOXES, BOXES, legend=True, path=paths[1], **size)
    masks = np.ones((2, 30, 40, 1))
    V.plot_segmentation_mask_gallery(GRAY, 1, y_true=masks, y_pred=masks, path=paths[2], **size)
    for path in paths:
        picture = np.asarray(keraslike.utils.load_img(path, color_mode="rgba"))
        assert (picture[..., 3] > 0).any() and min(picture.shape[:2]) > 10
    with pytest.raises(ValueError, match="label_map"):
        V.plot_image_gallery(five, y_true=[0] * 5)
    with pytest.raises(ValueError, match="either `path` or `show`"):
        V.plot_image_gallery(five, path=paths[0], show=True)
    with pytest.raises(ValueError, match="legend"):
        V.plot_bounding_box_gallery(GRAY, "xyxy", legend=True, legend_handles=[1])
