"""Networks: as Keras builds them, with its weights; arguments, pixels and predictions."""

import inspect
import json

import numpy as np
import pytest

import keraslike
from keraslike import applications, layers
from keraslike.applications import imagenet_utils
from tests.applications import facts

RECORDED = json.loads(facts.FILE.read_text())
SMALL = ["MobileNet", "MobileNetV2", "MobileNetV3Small"]
NAMES = [n for n in applications.__all__ if n[0].isupper()]


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_network_is_the_one_of_keras(name):
    keraslike.utils.clear_session()  # names count up from the beginning
    assert not facts.differences(facts.facts_of(applications, name), RECORDED[name])


def test_all_networks_are_there_with_keras_arguments():
    import keras

    assert sorted(RECORDED) == NAMES
    for name in NAMES:
        theirs = inspect.signature(getattr(keras.applications, name)).parameters
        ours = inspect.signature(getattr(applications, name)).parameters
        assert [(p.name, p.default) for p in ours.values()] == [
            (p.name, p.default) for p in theirs.values()
        ]


@pytest.fixture
def small():
    return lambda **options: applications.MobileNet(
        alpha=0.25, weights=None, input_shape=options.pop("input_shape", (32, 32, 3)), **options
    )


@pytest.mark.slow
def test_weights_from_a_file_of_keras(small, tmp_path, rng):
    import keras

    options = {"alpha": 0.25, "weights": None, "input_shape": (32, 32, 3), "classes": 7}
    theirs = keras.applications.MobileNet(**options)
    path = str(tmp_path / "a.weights.h5")
    theirs.save_weights(path)
    ours = applications.MobileNet(**options | {"weights": path})
    images = rng.uniform(-1, 1, (2, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(ours(images), theirs(images), atol=1e-5)
    assert ours.name == theirs.name == "mobilenet_0.25_32"


@pytest.mark.slow
def test_without_the_classifier(small):
    images = np.zeros((1, 32, 32, 3), "float32")
    assert small(include_top=False)(images).shape == (1, 1, 1, 256)
    assert small(include_top=False, pooling="max")(images).shape == (1, 256)
    assert small(include_top=False, input_shape=(None, None, 3)).input_shape[1] is None
    on_top = layers.Conv2D(3, 1)(layers.Input((32, 32, 1)))
    model = applications.MobileNet(alpha=0.25, weights=None, include_top=False, input_tensor=on_top)
    assert model.input_shape == (None, 32, 32, 1)


def test_channels_first():
    keraslike.config.set_image_data_format("channels_first")
    try:
        model = applications.MobileNetV3Small(weights=None, include_top=False, pooling="avg")
        assert model.input_shape == (None, 3, None, None)
        with pytest.raises(ValueError, match="channels are the last axis"):
            applications.DenseNet121(weights=None, input_shape=(3, 32, 32))
    finally:
        keraslike.config.set_image_data_format("channels_last")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weights": "nowhere.h5"}, "the path of a file"),
        ({"classes": 10}, "1000 classes"),
        ({"classifier_activation": "relu"}, "'softmax' or None"),
        ({"input_shape": (32, 32, 3)}, r"input_shape is \(224, 224, 3\)"),
        ({"input_shape": (32, 32, 1), "include_top": False}, "3 channels"),
        ({"input_shape": (16, 16, 3), "weights": None}, "at least 32 x 32"),
        ({"input_shape": (None, None, 3), "weights": None}, "every size is known"),
        ({"input_shape": (32, 3), "weights": None}, "three numbers"),
        ({"pooling": "sum", "weights": None, "include_top": False}, "'avg', 'max' or None"),
    ],
    ids=str,
)
def test_arguments_that_make_no_network(options, words):
    with pytest.raises(ValueError, match=words):
        applications.ResNet50(**options)


def test_imagenet_weights_are_downloaded(monkeypatch):
    asked = []

    def get_file(name, origin, **options):
        asked.append((name, origin, options["file_hash"]))
        raise ConnectionError

    monkeypatch.setattr("keraslike.applications.building.get_file", get_file)
    for name, options in (("MobileNet", {"alpha": 0.5}), ("MobileNetV3Small", {"alpha": 0.75})):
        with pytest.raises(ConnectionError):
            getattr(applications, name)(include_top=False, **options)
    site = "https://storage.googleapis.com/tensorflow/keras-applications/"
    assert asked == [
        ("mobilenet_5_0_224_tf_no_top.h5", f"{site}mobilenet/mobilenet_5_0_224_tf_no_top.h5", None),
        (
            "weights_mobilenet_v3_small_224_0.75_float_no_top_v2.h5",
            f"{site}mobilenet_v3/weights_mobilenet_v3_small_224_0.75_float_no_top_v2.h5",
            "ebdb5cc8e0b497cd13a7c275d475c819",
        ),
    ]


@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_pixels(mode, data_format, dtype, rng):
    import keras

    theirs = keras.applications.imagenet_utils.preprocess_input
    for shape in ((2, 3, 3, 3), (3, 3, 3)):
        x = rng.integers(0, 256, shape).astype(dtype)
        written, ours_written = x.copy(), x.copy()  # floats are written over, as in Keras
        expected = np.asarray(theirs(written, data_format, mode))
        ours = imagenet_utils.preprocess_input(ours_written, data_format, mode)
        assert ours.dtype == expected.dtype and isinstance(ours, np.ndarray)
        np.testing.assert_allclose(ours, expected, atol=1e-4)
        np.testing.assert_allclose(ours_written, written, atol=1e-4)
        tensor = keraslike.ops.convert_to_tensor(x)
        ours = imagenet_utils.preprocess_input(tensor, data_format, mode)
        np.testing.assert_allclose(ours, expected, atol=1e-4)
    symbolic = imagenet_utils.preprocess_input(keraslike.Input((3, 3, 3)), data_format, mode)
    assert symbolic.shape == (None, 3, 3, 3)


def test_pixels_of_networks():
    x = np.full((1, 1, 1, 3), 255.0)
    assert applications.xception.preprocess_input(x).tolist() == [[[[1.0] * 3]]]
    assert applications.efficientnet.preprocess_input(x) is x
    with pytest.raises(ValueError, match="mode is"):
        imagenet_utils.preprocess_input(x, mode="jax")
    with pytest.raises(ValueError, match="data_format is"):
        imagenet_utils.preprocess_input(x, data_format="last")


def test_predictions(monkeypatch):
    names = {str(i): [f"n{i}", f"class {i}"] for i in range(1000)}
    monkeypatch.setattr(imagenet_utils, "_class_names", lambda: names)
    scores = np.zeros((2, 1000), "float32")
    scores[0, 5], scores[0, 7], scores[1, 999] = 0.5, 0.25, 1.0
    first, second = applications.vgg16.decode_predictions(scores, top=2)
    assert first == [("n5", "class 5", 0.5), ("n7", "class 7", 0.25)]
    assert second[0] == ("n999", "class 999", 1.0)
    with pytest.raises(ValueError, match=r"\(batch, 1000\)"):
        imagenet_utils.decode_predictions(scores[:, :10])
