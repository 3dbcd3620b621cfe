"""Layers that prepare images beside Keras's: the same transformation gives the same images."""

import jax
import keras
import numpy as np
import pytest

import keraslike
from keraslike import layers

# Of each layer its constructor's arguments.
CASES = {
    "RandomBrightness": {"factor": 0.5},
    "RandomColorDegeneration": {"factor": 0.7},
    "RandomContrast": {"factor": 0.5},
    "RandomGrayscale": {"factor": 0.5},
    "RandomHue": {"factor": 0.5},
    "RandomInvert": {"factor": 0.7},
    "RandomPosterization": {"factor": 5},
    "RandomSaturation": {"factor": (0.2, 0.8)},
    "RandomSharpness": {"factor": 0.9},
    "RandomGaussianBlur": {"kernel_size": (3, 5)},
    "Solarization": {"addition_factor": 0.3, "threshold_factor": 0.8},
    "RandomFlip": {},
    "RandomRotation": {"factor": 0.3},
    "RandomTranslation": {"height_factor": 0.3, "width_factor": 0.4},
    "RandomZoom": {"height_factor": 0.4, "width_factor": (-0.3, 0.1)},
    "RandomShear": {"x_factor": 0.4, "y_factor": 0.2, "fill_mode": "constant"},
    "RandomPerspective": {"scale": 0.5},
    "RandomErasing": {"fill_value": 7.0},
    "CutMix": {},
    "MixUp": {"alpha": 0.5},
    "AutoContrast": {},
    "Equalization": {"bins": 64},
    "ContrastLimitedAdaptiveHistogramEqualization": {"tile_grid_size": (2, 3)},
    "CenterCrop": {"height": 4, "width": 9},
}
SHAPE = (4, 7, 8, 3)
BOXES = {
    "boxes": np.array([[[1, 1, 4, 5], [2, 3, 8, 7]]] * 4, "float32"),
    "labels": np.array([[0, 1]] * 4),
}


def images():
    return np.random.default_rng(0).uniform(1, 250, SHAPE).astype("float32")


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_same_seed_gives_the_images_of_keras(name):
    kwargs, x = dict(CASES[name]), images()
    theirs, ours = getattr(keras.layers, name), getattr(layers, name)
    drawn = {"seed": 3} if hasattr(ours(**kwargs), "seed") else {}
    keras_layer, layer = theirs(**kwargs, **drawn), ours(**kwargs, **drawn)
    transformation = keras_layer.get_random_transformation(x, training=True)
    expected = keras_layer.transform_images(x, transformation=transformation)
    got = layer(x, training=True)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=2e-4)
    config = keras_layer.get_config()
    for key in ("name", "dtype"):
        config.pop(key)
    found = layer.get_config()
    assert set(config) <= set(found)
    for key, value in config.items():
        assert np.all(np.asarray(found[key], object) == np.asarray(value, object)), key
    assert ours.from_config(found).get_config() == found


def test_inference_leaves_images_and_one_program_serves_all_calls():
    x = images()
    for name in ("RandomBrightness", "RandomFlip", "RandomZoom", "CutMix"):
        layer = getattr(layers, name)(**CASES[name], seed=1)
        np.testing.assert_array_equal(layer(x, training=False), x)
        first, second = layer(x, training=True), layer(x, training=True)
        assert (first != second).any()  # the stream goes on
        assert len(layer._programs()[1]) == 2
    layer.factor = (0.0, 0.0)  # a change is seen: next to nothing is cut out
    assert len(layer._programs()[1]) == 0


@pytest.mark.parametrize("name", ["RandomFlip", "RandomTranslation", "RandomZoom", "CenterCrop"])
def test_boxes_masks_and_labels(name):
    kwargs = {**CASES[name], "bounding_box_format": "xyxy"}
    if name != "CenterCrop":
        kwargs["seed"] = 5
    data = {"images": images(), "labels": np.eye(4, dtype="float32"), "path": np.arange(4)}
    data |= {"segmentation_masks": images()[..., :1].round(), "bounding_boxes": dict(BOXES)}
    got = getattr(layers, name)(**kwargs)(data, training=True)
    given = {**data, "bounding_boxes": dict(BOXES)}
    expected = getattr(keras.layers, name)(**kwargs)(given, training=True)
    assert list(got) == list(data)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-3),
        dict(got),
        {k: jax.tree.map(np.asarray, expected[k]) for k in got},
    )
    with pytest.raises(ValueError, match="bounding_box_format"):
        getattr(layers, name)(**CASES[name])(data)


def test_which_layers_keep_integers_outside_of_training():
    """As in Keras."""
    made = [layers.RandomContrast(0.2), layers.RandomInvert(0.5), layers.RandomColorJitter()]
    made += [layers.Equalization(), layers.RandomCrop(3, 4), layers.RandomCrop(6, 9)]
    x, floats = images().astype("uint8"), [layers.RandomSharpness(0.5), layers.RandomErasing(0.5)]
    assert {layer(x, training=False).dtype.name for layer in made} == {"uint8"}
    assert {layer(x, training=False).dtype.name for layer in floats} == {"float32"}
    assert layers.Equalization()(keraslike.Input((8, 8, 3), dtype="uint8")).dtype == "uint8"
    # A layer that works in uint8 has floats in between.
    stretched = layers.AutoContrast(dtype="uint8")(np.array([[[50], [60], [100]]], "uint8"))
    assert np.ravel(stretched).tolist() == [0, 51, 255]
    hue = layers.RandomHue(0.4, seed=1, dtype="uint8")(x, training=True)
    exact = layers.RandomHue(0.4, seed=1)(x, training=True)
    np.testing.assert_array_equal(hue, np.asarray(exact).astype("uint8"))


def test_boxes_in_lists_and_one_image_alone():
    layer = layers.RandomFlip("horizontal", bounding_box_format="rel_xyxy", seed=1)
    boxes = {"boxes": [[[0.0, 0.0, 0.5, 1.0]], []], "labels": [[3], []]}
    out = layer({"images": images()[:2], "bounding_boxes": boxes})["bounding_boxes"]
    assert out["boxes"].shape == (2, 1, 4) and out["labels"].tolist() == [[3], [-1]]
    one = {"boxes": [[0.0, 0.0, 0.5, 1.0]], "labels": [3]}
    out = layer({"images": images()[0], "bounding_boxes": one})
    assert out["images"].shape == SHAPE[1:] and out["bounding_boxes"]["boxes"].shape == (1, 4)


def test_sizes_can_be_set_before_the_first_call():
    layer = layers.Resizing.from_config(layers.Resizing(None, None).get_config())
    with pytest.raises(ValueError, match="size"):
        layer(np.ones((1, 4, 4, 3)))
    layer.height, layer.width = 2, 3
    assert layer(np.ones((1, 4, 4, 3))).shape == (1, 2, 3, 3)


@pytest.mark.slow
def test_crops_and_mixtures_of_masks_go_with_the_images():
    x = images()
    data = {"images": x, "segmentation_masks": x}
    for layer in (layers.RandomCrop(3, 5, seed=1), layers.RandomElasticTransform(seed=1),
                  layers.RandAugment(seed=1, num_ops=1)):  # fmt: skip
        out = layer(data, training=True)
        assert out["images"].shape == out["segmentation_masks"].shape
        if isinstance(layer, layers.RandomCrop):
            np.testing.assert_array_equal(out["images"], out["segmentation_masks"])
    assert layers.RandomCrop(3, 5)(x, training=False).shape == (4, 3, 5, 3)


def test_a_model_trains_with_them_and_is_saved(tmp_path):
    model = keraslike.Sequential(
        [layers.RandomFlip(seed=1), layers.RandomContrast(0.2), layers.Flatten(), layers.Dense(1)]
    )
    model.compile(loss="mse")
    model.fit(images() / 255, np.zeros(4), verbose=0)
    model.save(tmp_path / "m.keras")
    x = images() / 255
    expected = model.predict(x, verbose=0)
    for load in (keraslike.models.load_model, keras.models.load_model):
        again = load(tmp_path / "m.keras").predict(x, verbose=0)
        np.testing.assert_allclose(again, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: layers.RandomBrightness(1.5), "`factor` argument should be a number"),
        (lambda: layers.RandomZoom(-1.0), "`height_factor` argument"),
        (lambda: layers.RandomContrast(0.1, value_range=3), "`value_range` argument"),
        (lambda: layers.CutMix(factor=2.0), "range .0, 1"),
        (lambda: layers.RandomGaussianBlur(kernel_size=4), "odd"),
        (lambda: layers.RandomFlip("sideways"), "mode"),
        (lambda: layers.RandomBrightness(0.1)(np.ones((2, 2))), "rank 3 or 4"),
    ],
)
def test_errors_name_the_argument(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_a_list_of_images_is_a_batch():
    images = np.random.default_rng(0).uniform(size=(2, 6, 5, 3)).astype("float32")
    layer = layers.CenterCrop(4, 2)
    assert np.array_equal(layer(list(images)), layer(images))
