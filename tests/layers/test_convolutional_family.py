"""Transposed, depthwise and separable convolution, cropping and upsampling, beside Keras's."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import keraslike
from keraslike import layers, ops
from keraslike.core import serialization

from .test_layer_parity import (
    FIRST,
    IMAGE,
    SEQUENCE,
    VOLUME,
    as_json,
    assert_close,
    draw,
    gradients,
    plain,
    share_weights,
    with_unknown,
)

pytestmark = pytest.mark.slow

CASES = [
    ("Conv1DTranspose", {"filters": 3, "kernel_size": 2}, SEQUENCE),
    (
        "Conv1DTranspose",
        {"filters": 3, "kernel_size": 4, "strides": 3, "padding": "same", "output_padding": 1},
        SEQUENCE,
    ),
    ("Conv2DTranspose", {"filters": 3, "kernel_size": 3, "dilation_rate": 2}, IMAGE),
    (
        "Conv2DTranspose",
        {"filters": 3, "kernel_size": (4, 3), "strides": 2, "padding": "same"},
        IMAGE,
    ),
    ("Conv2DTranspose", {"filters": 3, "kernel_size": 1, "strides": (3, 2)}, IMAGE),
    (
        "Conv2DTranspose",
        {
            "filters": 2,
            "kernel_size": 3,
            "strides": (1, 2),
            "output_padding": (0, 1),
            "data_format": "channels_first",
            "activation": "tanh",
            "kernel_regularizer": "l2",
            "bias_constraint": "non_neg",
            "activity_regularizer": "l1",
        },
        FIRST,
    ),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": 3, "use_bias": False}, IMAGE),
    ("Conv3DTranspose", {"filters": 3, "kernel_size": 2, "strides": (2, 1, 2)}, VOLUME),
    (
        "Conv3DTranspose",
        {"filters": 3, "kernel_size": 3, "strides": 2, "output_padding": 1, "padding": "same"},
        VOLUME,
    ),
    ("DepthwiseConv1D", {"kernel_size": 3, "depth_multiplier": 2, "padding": "same"}, SEQUENCE),
    ("DepthwiseConv1D", {"kernel_size": 2, "data_format": "channels_first"}, SEQUENCE),
    ("DepthwiseConv2D", {"kernel_size": 3}, IMAGE),
    (
        "DepthwiseConv2D",
        {
            "kernel_size": (2, 3),
            "strides": 2,
            "padding": "same",
            "depth_multiplier": 3,
            "activation": "relu",
            "depthwise_regularizer": "l2",
            "depthwise_constraint": "max_norm",
            "bias_regularizer": "l1",
        },
        IMAGE,
    ),
    (
        "DepthwiseConv2D",
        {"kernel_size": 2, "dilation_rate": (2, 1), "data_format": "channels_first"},
        FIRST,
    ),
    ("DepthwiseConv2D", {"kernel_size": 2, "use_bias": False, "bias_initializer": "ones"}, IMAGE),
    ("SeparableConv1D", {"filters": 3, "kernel_size": 2, "strides": 2}, SEQUENCE),
    (
        "SeparableConv1D",
        {"filters": 3, "kernel_size": 3, "padding": "same", "data_format": "channels_first"},
        SEQUENCE,
    ),
    ("SeparableConv2D", {"filters": 5, "kernel_size": 3, "depth_multiplier": 2}, IMAGE),
    (
        "SeparableConv2D",
        {
            "filters": 2,
            "kernel_size": 2,
            "dilation_rate": 2,
            "padding": "SAME",
            "data_format": "channels_first",
            "pointwise_regularizer": "l2",
            "pointwise_constraint": "unit_norm",
            "depthwise_regularizer": "l1",
        },
        FIRST,
    ),
    ("Cropping1D", {}, SEQUENCE),
    ("Cropping1D", {"cropping": (0, 2)}, SEQUENCE),
    ("Cropping2D", {}, IMAGE),
    ("Cropping2D", {"cropping": 1}, IMAGE),
    ("Cropping2D", {"cropping": (1, 2), "data_format": "channels_first"}, FIRST),
    ("Cropping2D", {"cropping": ((1, 0), (0, 3))}, IMAGE),
    ("Cropping3D", {}, (1, 4, 5, 6, 2)),
    ("Cropping3D", {"cropping": ((1, 1), (0, 2), (1, 0))}, VOLUME),
    ("UpSampling1D", {"size": 3}, SEQUENCE),
    ("UpSampling2D", {}, IMAGE),
    ("UpSampling2D", {"size": (3, 1), "data_format": "channels_first"}, FIRST),
    ("UpSampling2D", {"size": (2, 3), "interpolation": "bilinear"}, IMAGE),
    (
        "UpSampling2D",
        {"size": 2, "interpolation": "bicubic", "data_format": "channels_first"},
        FIRST,
    ),
    ("UpSampling3D", {"size": (1, 2, 3)}, VOLUME),
    ("UpSampling3D", {"data_format": "channels_first"}, VOLUME),
]
IDS = [f"{i}-{name}" for i, (name, _, _) in enumerate(CASES)]


def make_both(name, kwargs):
    return getattr(keras.layers, name)(**kwargs), getattr(layers, name)(**kwargs)


def make_both_of_zeros(name, kwargs):
    """Without the random initial weights that take a second to compile."""
    started = {
        "Separable": ("depthwise_initializer", "pointwise_initializer"),
        "Depthwise": ("depthwise_initializer",),
        "Conv": ("kernel_initializer",),
    }
    names = next((v for k, v in started.items() if name.startswith(k)), ())
    return make_both(name, {**kwargs, **dict.fromkeys(names, "zeros")})


@pytest.mark.parametrize(("name", "kwargs", "shape"), CASES, ids=IDS)
def test_output_and_gradients(name, kwargs, shape, rng):
    theirs, ours = make_both_of_zeros(name, kwargs)
    theirs.build(shape)
    ours.build(shape)
    share_weights(rng, theirs, ours)
    x = draw(rng, shape)
    assert_close(gradients(ours, x), gradients(theirs, x))


@pytest.mark.parametrize(("name", "kwargs", "shape"), CASES, ids=IDS)
def test_config_and_shapes(name, kwargs, shape):
    theirs, ours = make_both(name, kwargs)
    assert plain(ours.get_config()) == plain(theirs.get_config())
    again = serialization.deserialize(as_json(keras.saving.serialize_keras_object(theirs)))
    assert type(again) is type(ours)
    assert plain(again.get_config()) == plain(ours.get_config())
    again = keras.saving.deserialize_keras_object(as_json(serialization.serialize(ours)))
    assert type(again) is type(theirs)
    assert plain(again.get_config()) == plain(theirs.get_config())
    axis = 1 if kwargs.get("data_format") == "channels_first" else len(shape) - 1
    for unknown in ({0}, set(range(len(shape))) - {axis}):
        asked = with_unknown(shape, unknown)
        assert ours.compute_output_shape(asked) == tuple(theirs.compute_output_shape(asked))


def test_second_names():
    for name in (
        "Convolution1DTranspose",
        "Convolution2DTranspose",
        "Convolution3DTranspose",
        "SeparableConvolution1D",
        "SeparableConvolution2D",
    ):
        assert getattr(layers, name) is getattr(layers, name.replace("olution", ""))


def net(k):
    la = k.layers
    return k.Sequential(
        [
            k.Input((6, 6, 2)),
            la.SeparableConv2D(4, 3, depth_multiplier=2, padding="same", activation="relu"),
            la.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2),
            la.Conv2DTranspose(3, 3, strides=2, padding="same", output_padding=1),
            la.Cropping2D(1),
            la.UpSampling2D(2, interpolation="bilinear"),
            la.Reshape((8, 24)),
            la.SeparableConv1D(3, 2),
            la.DepthwiseConv1D(2),
            la.Conv1DTranspose(2, 3, strides=2),
            la.Cropping1D(1),
            la.UpSampling1D(2),
        ]
    )


@pytest.mark.parametrize("ending", [".keras", ".h5", ".weights.h5"])
@pytest.mark.filterwarnings("ignore:.*HDF5")
def test_files_go_both_ways(ending, tmp_path, rng):
    x = rng.normal(size=(2, 6, 6, 2)).astype("float32")
    for writer, reader in ((keraslike, keras), (keras, keraslike)):
        model = net(writer)
        path = str(tmp_path / (writer.__name__ + ending))
        if ending == ".weights.h5":
            model.save_weights(path)
            again = net(reader)
            again.load_weights(path)
        else:
            model.save(path)
            again = reader.models.load_model(path)
        np.testing.assert_allclose(np.asarray(again(x)), np.asarray(model(x)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float16"])
@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("Conv2DTranspose", {"filters": 3, "kernel_size": 3, "strides": 2}),
        ("DepthwiseConv2D", {"kernel_size": 2, "depth_multiplier": 2}),
        ("SeparableConv2D", {"filters": 3, "kernel_size": 2}),
        ("UpSampling2D", {"interpolation": "bilinear"}),
    ],
)
def test_dtype_policy(name, kwargs, policy, rng):
    theirs, ours = make_both_of_zeros(name, {**kwargs, "dtype": policy})
    theirs.build(IMAGE)
    ours.build(IMAGE)
    share_weights(rng, theirs, ours)
    x = draw(rng, IMAGE)
    a, b = ours(x), theirs(x)
    assert a.dtype == b.dtype
    assert [w.dtype for w in ours.weights] == [w.dtype for w in theirs.weights]
    # Sums in another order are not the same in half precision.
    bound = 0.02 * float(jnp.max(jnp.abs(b)))
    np.testing.assert_allclose(a.astype("float32"), b.astype("float32"), rtol=0.02, atol=bound)


def test_transposed_convolution_is_a_gradient(rng):
    """That of a convolution with respect to its input."""
    x, kernel = draw(rng, (2, 9, 8, 3)), draw(rng, (4, 3, 3, 5))
    y, pull = jax.vjp(lambda x: ops.conv(x, kernel, 2), jnp.asarray(x))
    cotangent = draw(rng, y.shape)
    (expected,) = pull(jnp.asarray(cotangent))
    found = ops.conv_transpose(cotangent, kernel, 2)
    np.testing.assert_allclose(found, expected[:, : found.shape[1], : found.shape[2]], atol=1e-4)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("more", [None, 0, 1])
def test_conv_transpose_beside_keras(padding, more, rng):
    """The shapes have rules that the layers do not cover: strides above the window, both of
    strides and dilation."""
    for window, stride, dilation in ((1, 2, 1), (2, 3, 1), (5, 2, 1), (3, 1, 2), (2, 3, 2)):
        x, kernel = draw(rng, (2, 4, 3)), draw(rng, (window, 2, 3))
        rest = (stride, padding, more, "channels_last", dilation)
        a, b = ops.conv_transpose(x, kernel, *rest), keras.ops.conv_transpose(x, kernel, *rest)
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


ERRORS = [
    (lambda: layers.Conv2DTranspose(0, 3), "filters"),
    (lambda: layers.Conv2DTranspose(3, 0), "kernel_size"),
    (lambda: layers.Conv2DTranspose(3, 3, strides=0), "strides"),
    (lambda: layers.Conv2DTranspose(3, 3, padding="causal"), "padding"),
    (lambda: layers.Conv2DTranspose(3, 3, strides=2, dilation_rate=2), "dilation_rate"),
    (lambda: layers.Conv2DTranspose(3, 3, strides=2, output_padding=2), "output_padding"),
    (lambda: layers.Conv2DTranspose(3, 3, output_padding=(0, 0, 0)), "output_padding"),
    (lambda: layers.DepthwiseConv2D(3, depth_multiplier=0), "depth_multiplier"),
    (lambda: layers.DepthwiseConv2D((3, 3, 3)), "kernel_size"),
    (lambda: layers.DepthwiseConv1D(3, data_format="last"), "data_format"),
    (lambda: layers.SeparableConv2D(0, 3), "filters"),
    (lambda: layers.SeparableConv2D(3, 3, depth_multiplier=-1), "depth_multiplier"),
    (lambda: layers.SeparableConv1D(3, 3, padding="causal"), "padding"),
    (lambda: layers.Cropping1D(-1), "cropping"),
    (lambda: layers.Cropping2D((1, 2, 3)), "cropping"),
    (lambda: layers.Cropping3D(((1, 1), (1,), (1, 1))), "cropping"),
    (lambda: layers.UpSampling1D(0), "size"),
    (lambda: layers.UpSampling2D((1, 2, 3)), "size"),
    (lambda: layers.UpSampling2D(2, interpolation="linear"), "interpolation"),
]


@pytest.mark.parametrize(("make", "message"), ERRORS, ids=range(len(ERRORS)))
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (lambda: layers.Conv2DTranspose(3, 3, name="c"), (2, 4, 4), "'c'.*min_ndim=4"),
        (lambda: layers.DepthwiseConv2D(5), (1, 4, 4, 2), "too small"),
        (lambda: layers.SeparableConv1D(3, 5), (1, 4, 2), "too small"),
        (lambda: layers.Cropping2D(2, name="c"), (1, 4, 5, 2), "(?s)`cropping`.*axis 1.*'c'"),
        (lambda: layers.UpSampling3D(name="u"), (1, 4, 4, 2), "'u'.*ndim=5"),
    ],
)
def test_bad_inputs(make, shape, message):
    with pytest.raises(ValueError, match=message):
        make()(jnp.ones(shape))


def test_another_number_of_channels():
    for layer in (layers.Conv2DTranspose(3, 2), layers.DepthwiseConv2D(2)):
        layer(jnp.ones((1, 4, 4, 2)))
        with pytest.raises(ValueError, match="axis -1"):
            layer(jnp.ones((1, 4, 4, 3)))
    with pytest.raises(ValueError, match="3 channels, the kernel is for 2"):
        ops.conv_transpose(jnp.ones((1, 4, 3)), jnp.ones((2, 5, 2)))


def test_a_subclass_has_a_convolution_of_its_own(rng):
    def standardized(kernel):
        return (kernel - ops.mean(kernel, (0, 1, 2))) / ops.std(kernel, (0, 1, 2))

    class Overriding(layers.Conv2D):
        def convolution_op(self, inputs, kernel):
            return super().convolution_op(inputs, standardized(kernel))

    class Calling(layers.Conv2D):
        def call(self, inputs):
            return self.convolution_op(inputs, standardized(self.kernel)) + self.bias

    x = draw(rng, (2, 5, 5, 2))
    results = []
    for cls in (Overriding, Calling, layers.Conv2D):
        layer = cls(3, 3, strides=2, bias_initializer="ones")
        layer.build(x.shape)
        kernel = draw(np.random.default_rng(1), (3, 3, 2, 3))
        layer.kernel.assign(kernel if cls is not layers.Conv2D else standardized(kernel))
        results.append(layer(x))
    np.testing.assert_allclose(results[0], results[2], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(results[1], results[2], rtol=1e-5, atol=1e-5)
