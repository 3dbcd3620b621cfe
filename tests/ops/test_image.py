"""`ops.image`: values and dtypes are Keras's, KerasTensors of unknown sizes give shapes."""

import keras
import numpy as np
import pytest

from keraslike import ops
from keraslike.core.symbolic import KerasTensor

pytestmark = pytest.mark.slow

rng = np.random.default_rng(0)
X = rng.uniform(size=(2, 7, 9, 3)).astype("float32")
U = (255 * X).astype("uint8")
FIRST = {"data_format": "channels_first"}
LAST = {"data_format": "channels_last"}
C = X.transpose(0, 3, 1, 2)
MOVES = np.array([[1, 0.2, 1, 0.1, 0.9, -1, 0, 0], [0.5, 0, 0, 0, 2, 1, 0, 0]], "float32")
CORNERS = np.array([[0, 0], [8, 0], [0, 6], [8, 6]], "float32")
OTHERS = CORNERS + rng.uniform(-1, 1, (4, 2)).astype("float32")
PLACES = rng.uniform(-3, 9, (2, 5, 3)).astype("float32")
SCALED = ((2, 5, 6, 3), np.float32([0.7, 0.6]), np.float32([0.3, -0.2]), (1, 2))
HALVES = {"crop_to_aspect_ratio": True, "interpolation": "nearest"}

CASES = [
    ("rgb_to_grayscale", (X,), {}),
    ("rgb_to_grayscale", (U[0],), {}),
    ("rgb_to_hsv", (X,), {}),
    ("rgb_to_hsv", (C,), FIRST),
    ("hsv_to_rgb", (X,), {}),
    ("resize", (U, (5, 4)), {}),
    ("resize", (U, (14, 4)), {"interpolation": "bicubic", "antialias": True}),
    ("resize", (C, (3, 9)), {**HALVES, **FIRST}),
    ("resize", (X[0], (5, 4)), {"pad_to_aspect_ratio": True, "fill_value": 0.5}),
    ("pad_images", (X, 1, 2), {"target_height": 10, "target_width": 13}),
    ("crop_images", (X, None, 2), {"bottom_cropping": 1, "target_height": 4, "target_width": 3}),
    ("extract_patches", (X[0], (3, 2)), {"strides": 1, "padding": "same"}),
    ("extract_patches", (C, 2), {"dilation_rate": 2, "strides": 1, **FIRST}),
    ("extract_patches", (X[None], (2, 2, 3)), {}),
    ("extract_patches_3d", (X, 2), {}),
    ("map_coordinates", (U[0, :, :, 0], PLACES, 1), {"fill_mode": "reflect"}),
    ("affine_transform", (U, MOVES), {"fill_mode": "mirror"}),
    ("affine_transform", (C, MOVES), {"interpolation": "nearest", "fill_value": 2.0, **FIRST}),
    ("perspective_transform", (X, np.stack([CORNERS, OTHERS]), np.stack([OTHERS, CORNERS])), {}),
    ("perspective_transform", (U[0], CORNERS, OTHERS), {"fill_value": 1.0}),
    ("elastic_transform", (X, 3.0, 2.0), {"seed": 3}),
    ("scale_and_translate", (U, *SCALED, "linear"), {}),
    ("gaussian_blur", (X, (5, 3), (1.0, 2.0)), LAST),
    ("gaussian_blur", (C[0],), FIRST),
    ("sobel_edges", (X,), {}),
    ("sobel_edges", (C,), FIRST),
    ("ssim", (X, X * X), {"filter_size": 5, "max_val": 3.0}),
    ("ssim", (U[0], U[1]), {"filter_size": 5, "max_val": 255.0}),
]


@pytest.mark.parametrize("name, args, kwargs", CASES)
def test_images_are_keras_s(name, args, kwargs):
    ours, theirs = getattr(ops.image, name), getattr(keras.ops.image, name)
    out, expected = ours(*args, **kwargs), theirs(*args, **kwargs)
    assert (out.shape, out.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(
        np.asarray(out, "float64"), np.asarray(expected, "float64"), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    "call, shape",
    [
        (lambda x: ops.image.resize(x, (4, 5)), (None, 4, 5, 3)),
        (lambda x: ops.image.pad_images(x, 1, 2, 3, 4), (None, None, None, 3)),
        (lambda x: ops.image.crop_images(x, 1, 2, None, 4, target_height=3), (None, 3, None, 3)),
        (lambda x: ops.image.extract_patches(x, 2), (None, None, None, 12)),
        (lambda x: ops.image.rgb_to_hsv(x), (None, None, None, 3)),
        (lambda x: ops.image.affine_transform(x, MOVES[0]), (None, None, None, 3)),
        (lambda x: ops.image.perspective_transform(x, CORNERS, OTHERS), (None, None, None, 3)),
        (lambda x: ops.image.elastic_transform(x), (None, None, None, 3)),
        (lambda x: ops.image.gaussian_blur(x), (None, None, None, 3)),
        (lambda x: ops.image.sobel_edges(x), (None, None, None, 3, 2)),
        (lambda x: ops.image.ssim(x, x), (None,)),
    ],
)
def test_shapes_of_images_of_unknown_sizes(call, shape):
    assert call(KerasTensor((None, None, None, 3))).shape == shape


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ops.image.resize(X, (2, 3), fill_mode="wrap"), "fill_mode"),
        (lambda: ops.image.resize(X[0, 0], (2, 3)), r"rank 3.*\(9, 3\)"),
        (lambda: ops.image.rgb_to_hsv(U), "float dtype.*uint8"),
        (lambda: ops.image.rgb_to_grayscale(X[..., :2]), "channel size"),
        (lambda: ops.image.pad_images(X, 1, 1), "exactly two"),
        (lambda: ops.image.crop_images(X, 9, 0, 0, 0), "target_height must be >= 0"),
        (lambda: ops.image.map_coordinates(X, PLACES, 1), "First dim"),
        (lambda: ops.image.affine_transform(X, MOVES, interpolation="cubic"), "interpolation"),
        (lambda: ops.image.perspective_transform(X, OTHERS[:3], CORNERS), "start_points"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_patches_hold_the_values_as_they_are():
    # As sums of products with ones and zeros, infinities would become NaN in other places.
    x = np.ones((1, 4, 4, 1), "float32")
    x[0, 0, 0], x[0, 3, 3] = np.nan, np.inf
    patches = np.asarray(ops.image.extract_patches(x, 2))
    assert np.isnan(patches).sum() == np.isinf(patches).sum() == 1
    columns = np.asarray(ops.unfold(np.moveaxis(x, -1, 1), 2, stride=2))
    assert np.isnan(columns).sum() == np.isinf(columns).sum() == 1
