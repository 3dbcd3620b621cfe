"""Pictures decoded and resized: value by value what TensorFlow gives."""

import base64
import json

import numpy as np
import pytest

from keraslike import tf
from tests.tf import picture_facts

with open(picture_facts.PATH) as _file:
    FACTS = json.load(_file)


@pytest.mark.parametrize("name", FACTS["files"])
def test_jpegs(name):
    data, expected = FACTS["files"][name]
    assert picture_facts.decoded(tf, base64.b64decode(data)) == expected


@pytest.mark.parametrize("number", range(len(picture_facts.SIZES)))
def test_resizing(number):
    found = picture_facts.resized(tf, *picture_facts.SIZES[number])
    assert found == FACTS["resized"][number]


def test_files_without_an_end_are_recovered_if_asked_for():
    data = base64.b64decode(FACTS["files"]["no end"][0])
    whole = base64.b64decode(FACTS["files"]["colours at half size"][0])
    np.testing.assert_array_equal(
        tf.io.decode_jpeg(data, try_recover_truncated=True), tf.io.decode_jpeg(whole)
    )


@pytest.mark.parametrize("options", [{"ratio": 3}, {"dct_method": "INTEGER_SLOW"}])
def test_arguments(options):
    data = base64.b64decode(FACTS["files"]["grey"][0])
    with pytest.raises(ValueError, match=next(iter(options))):
        tf.io.decode_jpeg(data, **options)


@pytest.mark.parametrize("window", [[2, 3, 50, 7], [0, 0, 0, 7], [-1, 0, 4, 4], [1, 0, 4]])
def test_a_window_that_is_no_part_of_a_jpeg(window):
    picture = tf.io.encode_jpeg(np.zeros((20, 30, 3), "uint8"))
    with pytest.raises(tf.errors.InvalidArgumentError, match="crop_window"):  # as in TensorFlow
        tf.io.decode_and_crop_jpeg(picture, window)
    assert tf.io.decode_and_crop_jpeg(picture, [15, 20, 5, 10]).shape == (5, 10, 3)


RGB = tf.constant(np.linspace(0, 1, 24, dtype="float32").reshape(2, 4, 3))
EMPTY = tf.zeros([0, 4, 3])


@pytest.mark.parametrize(
    "call",
    [
        lambda: tf.image.adjust_brightness(RGB > 0.5, 0.25),
        lambda: tf.image.adjust_contrast(tf.cast(RGB, tf.complex64), 2.0),
        lambda: tf.image.convert_image_dtype(RGB, tf.complex64),
        lambda: tf.image.convert_image_dtype(RGB > 0.5, tf.float32),
        lambda: tf.image.rgb_to_grayscale(RGB > 0.5),
        lambda: tf.image.ssim(RGB > 0.5, RGB > 0.5, 1, filter_size=2),
    ],
)
def test_dtypes_that_are_not_those_of_images(call):
    with pytest.raises(AttributeError):  # as in TensorFlow
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: tf.image.adjust_hue(RGB[0, 0], 0.1),
        lambda: tf.image.adjust_saturation(RGB[0, 0], 0.5),
        lambda: tf.image.central_crop(EMPTY, 0.5),
        lambda: tf.image.flip_left_right(EMPTY),
        lambda: tf.image.rot90(EMPTY),
        lambda: tf.image.rot90(RGB[None, None]),
        lambda: tf.image.transpose(RGB[None, None]),
        lambda: tf.image.transpose(EMPTY),
        lambda: tf.image.per_image_standardization(EMPTY),
        lambda: tf.image.random_flip_up_down(RGB[0]),
        lambda: tf.image.stateless_random_flip_left_right(RGB[0], seed=[1, 2]),
        lambda: tf.image.total_variation(RGB[None, None]),
        lambda: tf.image.psnr(RGB, RGB[..., :1], 1.0),
        lambda: tf.image.psnr(RGB > 0.5, RGB > 0.5, 1.0),
        lambda: tf.image.resize(RGB > 0.5, [1, 1]),
        lambda: tf.image.resize(tf.strings.as_string(RGB), [1, 1]),
        lambda: tf.image.resize(tf.cast(RGB, tf.uint32), [1, 1]),
        lambda: tf.image.resize(tf.cast(RGB, tf.complex64), [1, 1], "nearest"),
        lambda: tf.image.resize(RGB[..., :0], [1, 1]),
        lambda: tf.image.rgb_to_hsv(tf.cast(RGB, tf.int32)),
        lambda: tf.image.hsv_to_rgb(RGB[..., :2]),
        lambda: tf.image.crop_and_resize(RGB, [[0.0, 0.0, 1.0, 1.0]], [0], [1, 1]),
        lambda: tf.image.crop_and_resize(RGB[None] > 0, [[0.0, 0.0, 1.0, 1.0]], [0], [1, 1]),
        lambda: tf.image.extract_glimpse(tf.ones([1, 4, 4, 1], tf.uint8), [2, 2], [[0.0, 0.0]]),
        lambda: tf.image.non_max_suppression_overlaps([[1, 0], [0, 1]], [0.5, 0.75], 2),
        lambda: tf.image.non_max_suppression_padded(tf.ones([2, 3]), [0.5, 0.75], 2),
        lambda: tf.image.combined_non_max_suppression(
            tf.ones([1, 2, 1, 4], tf.uint8), tf.ones([1, 2, 1], tf.uint8), 2, 2
        ),
        lambda: tf.image.is_jpeg(RGB),
        lambda: tf.image.is_jpeg([b"a"]),
    ],
)
def test_images_that_tensorflow_refuses(call):
    with pytest.raises((ValueError, TypeError)):  # of which InvalidArgumentError is one
        call()


def test_colors_with_any_number_of_axes():
    for shape in ([3], [8, 3], [1, 1, 2, 4, 3]):
        given = tf.reshape(RGB[0, 0] if shape == [3] else RGB, shape)
        back = tf.image.hsv_to_rgb(tf.image.rgb_to_hsv(given))
        np.testing.assert_allclose(back.numpy(), given.numpy(), atol=1e-6)
        if len(shape) < 3:
            continue
        gray = tf.image.adjust_saturation(given, 0.0)
        brightest = given.numpy().max(-1, keepdims=True)
        np.testing.assert_allclose(gray.numpy(), np.broadcast_to(brightest, shape), atol=1e-6)


def test_what_is_drawn_takes_the_dtype_of_the_image():
    half = tf.cast(RGB, tf.float16)
    brighter = tf.image.stateless_random_brightness(half, 0.5, seed=[1, 2])
    assert brighter.dtype is tf.float16
    delta = brighter.numpy().astype("float32") - half.numpy()
    assert np.ptp(delta) < 2e-3 and 0 < abs(delta.mean()) < 0.5


def test_text_is_turned_like_images():
    words = tf.constant([[["a"], ["b"]], [["c"], ["d"]]])
    assert tf.image.rot90(words).numpy().ravel().tolist() == [b"b", b"d", b"a", b"c"]
    assert tf.image.transpose(words).numpy().ravel().tolist() == [b"a", b"c", b"b", b"d"]
    cropped = tf.image.stateless_random_crop(words, [1, 1, 1], seed=[1, 2])
    assert cropped.numpy().item() in (b"a", b"b", b"c", b"d")
