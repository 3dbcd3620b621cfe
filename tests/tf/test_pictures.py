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
