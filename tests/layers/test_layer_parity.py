"""Every layer beside Keras's: outputs, gradients, shapes, configs, initial weights."""

import inspect
import json

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from keraslike import layers
from keraslike.core import serialization

IMAGE = (2, 6, 7, 4)
FIRST = (2, 4, 6, 7)
SEQUENCE = (3, 5, 4)
VOLUME = (1, 4, 5, 4, 2)

# name, constructor's arguments, shape(s) of the input
CASES = [
    ("Dense", {"units": 3}, (2, 4)),
    ("Dense", {"units": 3, "activation": "relu", "use_bias": False}, (2, 4)),
    (
        "Dense",
        {
            "units": 3,
            "activation": "tanh",
            "kernel_initializer": "he_normal",
            "bias_initializer": "ones",
            "kernel_regularizer": "l2",
            "bias_regularizer": "l1",
            "activity_regularizer": "l2",
            "kernel_constraint": "non_neg",
            "bias_constraint": "max_norm",
            "trainable": False,
        },
        (2, 3, 4),
    ),
    ("Activation", {"activation": "gelu"}, (2, 4)),
    ("Activation", {"activation": None}, (2, 4)),
    ("Conv1D", {"filters": 3, "kernel_size": 3, "padding": "causal", "dilation_rate": 2}, SEQUENCE),
    ("Conv1D", {"filters": 2, "kernel_size": 2, "strides": 2, "padding": "same"}, SEQUENCE),
    (
        "Conv1D",
        {"filters": 2, "kernel_size": 2, "data_format": "channels_first", "padding": "causal"},
        SEQUENCE,
    ),
    ("Conv2D", {"filters": 3, "kernel_size": 3}, IMAGE),
    ("Conv2D", {"filters": 3, "kernel_size": (2, 3), "strides": 2, "padding": "same"}, IMAGE),
    ("Conv2D", {"filters": 3, "kernel_size": 2, "strides": (2, 1), "padding": "valid"}, IMAGE),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "groups": 2, "activation": "relu"}, IMAGE),
    ("Conv2D", {"filters": 3, "kernel_size": 2, "dilation_rate": (2, 1)}, IMAGE),
    (
        "Conv2D",
        {
            "filters": 4,
            "kernel_size": 3,
            "padding": "SAME",
            "data_format": "channels_first",
            "strides": 2,
            "groups": 4,
            "kernel_regularizer": "l2",
            "activity_regularizer": "l1",
            "bias_constraint": "unit_norm",
        },
        FIRST,
    ),
    ("Conv2D", {"filters": 3, "kernel_size": 3, "use_bias": False}, IMAGE),
    ("Conv3D", {"filters": 3, "kernel_size": 2, "strides": (1, 2, 1)}, VOLUME),
    ("MaxPooling1D", {}, SEQUENCE),
    ("MaxPooling2D", {}, IMAGE),
    ("MaxPooling2D", {"pool_size": (2, 3), "strides": 1, "padding": "same"}, IMAGE),
    ("MaxPooling2D", {"pool_size": 3, "strides": (2, 1), "padding": "same"}, IMAGE),
    ("MaxPooling2D", {"pool_size": 3, "data_format": "channels_first"}, FIRST),
    ("MaxPooling3D", {"pool_size": 2}, VOLUME),
    ("AveragePooling1D", {"pool_size": 3, "strides": 2, "padding": "same"}, SEQUENCE),
    ("AveragePooling2D", {"pool_size": 2}, IMAGE),
    (
        "AveragePooling2D",
        {"pool_size": 3, "strides": 2, "padding": "same", "data_format": "channels_first"},
        FIRST,
    ),
    ("AveragePooling3D", {"pool_size": (2, 1, 3)}, VOLUME),
    ("AdaptiveAveragePooling1D", {"output_size": 2}, SEQUENCE),
    (
        "AdaptiveAveragePooling2D",
        {"output_size": (2, 3), "data_format": "channels_first"},
        FIRST,
    ),
    ("AdaptiveAveragePooling3D", {"output_size": (2, 3, 2)}, VOLUME),
    ("AdaptiveMaxPooling1D", {"output_size": 3, "data_format": "channels_first"}, SEQUENCE),
    ("AdaptiveMaxPooling2D", {"output_size": 4}, IMAGE),
    ("AdaptiveMaxPooling3D", {"output_size": 2}, VOLUME),
    ("Resizing", {"height": 4, "width": 9}, IMAGE),
    (
        "Resizing",
        {
            "height": 3,
            "width": 4,
            "interpolation": "bicubic",
            "crop_to_aspect_ratio": True,
            "antialias": True,
            "data_format": "channels_first",
        },
        FIRST,
    ),
    (
        "Resizing",
        {
            "height": 8,
            "width": 3,
            "pad_to_aspect_ratio": True,
            "fill_value": 1.0,
            "interpolation": "nearest",
        },
        (6, 7, 2),
    ),
    (
        "MelSpectrogram",
        {"fft_length": 32, "sequence_stride": 8, "num_mel_bins": 4, "ref_power": 2.0},
        (3, 77),
    ),
    (
        "MelSpectrogram",
        {
            "fft_length": 32,
            "sequence_stride": 8,
            "num_mel_bins": 3,
            "power_to_db": False,
            "mag_exp": 1.0,
            "max_freq": 5000.0,
        },
        (100,),
    ),
    ("GlobalAveragePooling1D", {"data_format": "channels_first"}, SEQUENCE),
    ("GlobalAveragePooling2D", {}, IMAGE),
    ("GlobalAveragePooling2D", {"data_format": "channels_first", "keepdims": True}, FIRST),
    ("GlobalAveragePooling3D", {"keepdims": True}, VOLUME),
    ("GlobalMaxPooling1D", {}, SEQUENCE),
    ("GlobalMaxPooling2D", {"keepdims": True}, IMAGE),
    ("GlobalMaxPooling3D", {"data_format": "channels_first"}, VOLUME),
    ("BatchNormalization", {}, (5, 4)),
    (
        "BatchNormalization",
        {
            "axis": 1,
            "momentum": 0.9,
            "epsilon": 0.01,
            "beta_initializer": "random_normal",
            "gamma_regularizer": "l2",
            "beta_constraint": "non_neg",
            "moving_mean_initializer": "ones",
        },
        FIRST,
    ),
    ("BatchNormalization", {"center": False, "scale": False}, IMAGE),
    ("BatchNormalization", {"center": False}, (5, 4)),
    ("BatchNormalization", {"renorm": True, "renorm_clipping": {"rmax": 3.0}}, (5, 4)),
    ("LayerNormalization", {}, SEQUENCE),
    ("LayerNormalization", {"axis": [1, 2], "epsilon": 0.1, "gamma_initializer": "zeros"}, IMAGE),
    ("LayerNormalization", {"axis": (-2, -1), "center": False}, SEQUENCE),
    ("LayerNormalization", {"axis": 1, "scale": False, "beta_regularizer": "l1"}, SEQUENCE),
    ("LayerNormalization", {"axis": [1, 2], "rms_scaling": True}, SEQUENCE),
    ("GroupNormalization", {"groups": 2}, IMAGE),
    ("GroupNormalization", {"groups": -1, "axis": 1, "center": False, "epsilon": 0.1}, FIRST),
    ("GroupNormalization", {"groups": 1, "axis": -2, "gamma_regularizer": "l2"}, SEQUENCE),
    ("RMSNormalization", {}, SEQUENCE),
    ("RMSNormalization", {"axis": [-1, 1], "epsilon": 0.1}, (2, 3, 3)),
    ("UnitNormalization", {}, SEQUENCE),
    ("UnitNormalization", {"axis": (1, 2)}, SEQUENCE),
    ("AlphaDropout", {"rate": 0.5, "noise_shape": (None, 1), "seed": 3}, (2, 4)),
    ("Dropout", {"rate": 0.0}, (2, 4)),
    ("Dropout", {"rate": 0.5, "noise_shape": (None, 1), "seed": 3}, (2, 4)),
    ("GaussianNoise", {"stddev": 0.5, "seed": 3}, (2, 4)),
    ("GaussianDropout", {"rate": 0.5, "seed": 3}, (2, 4)),
    ("ActivityRegularization", {"l1": 0.5, "l2": 0.1}, (2, 4)),
    ("Flatten", {}, IMAGE),
    ("Flatten", {"data_format": "channels_first"}, FIRST),
    ("Flatten", {}, (3,)),
    ("Reshape", {"target_shape": (2, -1)}, (3, 4, 2)),
    ("Reshape", {"target_shape": (8,)}, (3, 4, 2)),
    ("Permute", {"dims": (2, 3, 1)}, IMAGE),
    ("RepeatVector", {"n": 3}, (2, 4)),
    ("ZeroPadding1D", {}, SEQUENCE),
    ("ZeroPadding1D", {"padding": (2, 0)}, SEQUENCE),
    ("ZeroPadding2D", {}, IMAGE),
    ("ZeroPadding2D", {"padding": ((1, 2), (3, 4)), "data_format": "channels_first"}, FIRST),
    ("ZeroPadding2D", {"padding": (1, 2)}, IMAGE),
    ("ZeroPadding3D", {"padding": ((1, 1), (0, 2), (1, 0))}, VOLUME),
    ("Add", {}, [(2, 4), (2, 4), (2, 4)]),
    ("Add", {}, [(2, 3, 4), (2, 4)]),
    ("Subtract", {}, [(2, 3, 1), (2, 1, 4)]),
    ("Multiply", {}, [(2, 4), (2, 4)]),
    ("Average", {}, [(2, 4), (2, 4), (2, 4)]),
    ("Maximum", {}, [(2, 4), (2, 4)]),
    ("Minimum", {}, [(2, 4), (2, 1)]),
    ("Concatenate", {}, [(2, 3), (2, 4)]),
    ("Concatenate", {"axis": 1}, [(2, 3, 4), (2, 1, 4)]),
    ("Dot", {"axes": 1}, [(2, 4), (2, 4)]),
    ("Dot", {"axes": (2, 1), "normalize": True}, [(2, 3, 4), (2, 4, 5)]),
    ("Dot", {"axes": -1}, [(2, 3, 4), (2, 4)]),
    ("ReLU", {"max_value": 1.0, "negative_slope": 0.1, "threshold": 0.2}, (2, 4)),
    ("LeakyReLU", {}, (2, 4)),
    ("LeakyReLU", {"negative_slope": 0.1}, (2, 4)),
    ("ELU", {"alpha": 0.5}, (2, 4)),
    ("PReLU", {"alpha_initializer": "ones", "shared_axes": [1]}, SEQUENCE),
    ("PReLU", {}, (2, 4)),
    ("Softmax", {}, (2, 4)),
    ("Softmax", {"axis": [1, 2]}, SEQUENCE),
    ("Softmax", {"axis": None}, SEQUENCE),
    ("Normalization", {}, (5, 4)),
    (
        "Normalization",
        {"axis": (1, -1), "mean": [1.0, 2.0], "variance": [2.0, 0.5], "invert": True},
        (2, 3, 4, 2),
    ),
    ("Normalization", {"axis": None, "mean": 1.0, "variance": 2.0}, (5, 4)),
    ("STFTSpectrogram", {"frame_length": 8, "frame_step": 3, "fft_length": 16}, (2, 20, 3)),
    (
        "STFTSpectrogram",
        {"mode": "psd", "frame_length": 6, "data_format": "channels_first", "window": None},
        (2, 3, 20),
    ),
    (
        "STFTSpectrogram",
        {"mode": "stft", "frame_length": 8, "expand_dims": True, "scaling": "spectrum"},
        (2, 20, 3),
    ),
    (
        "STFTSpectrogram",
        {
            "mode": "angle",
            "frame_length": 8,
            "expand_dims": True,
            "data_format": "channels_first",
            "padding": "same",
            "periodic": True,
            "window": "hamming",
        },
        (2, 3, 20),
    ),
    ("Identity", {}, (2, 4)),
    ("Masking", {"mask_value": 0.5}, SEQUENCE),
]
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*rms_scaling")]
IDS = [f"{i}-{name}" for i, (name, _, _) in enumerate(CASES)]
SPATIAL = ("Conv", "MaxP", "AverageP", "Global", "ZeroP", "Flatten")


def make_both(name, kwargs):
    return getattr(keras.layers, name)(**kwargs), getattr(layers, name)(**kwargs)


def make_both_of_zeros(name, kwargs):
    """Without the random initial weights that take a second to compile."""
    if name.startswith(("Dense", "Conv1D", "Conv2D", "Conv3D")):
        kwargs = {**kwargs, "kernel_initializer": "zeros"}
    return make_both(name, kwargs)


def as_json(config):
    return json.loads(json.dumps(config))


def plain(config):
    """As JSON has it, without the automatic name; Keras has a few numbers in float32."""
    config = json.loads(json.dumps(config), parse_float=lambda number: round(float(number), 6))
    return {k: v for k, v in config.items() if k != "name"}


def draw(rng, shapes):
    if isinstance(shapes, list):
        return [draw(rng, shape) for shape in shapes]
    return rng.normal(size=shapes).astype("float32")


def share_weights(rng, theirs, ours):
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    assert [w.shape for w in ours.weights] == [w.shape for w in theirs.weights]
    assert [w.trainable for w in ours.weights] == [w.trainable for w in theirs.weights]
    weights = [(np.abs(rng.normal(size=w.shape)) + 0.1).astype(w.dtype) for w in theirs.weights]
    theirs.set_weights(weights)
    getattr(theirs, "finalize_state", int)()  # Keras's Normalization keeps copies of its weights
    ours.set_weights(weights)


def gradients(layer, x, training=None):
    """Output and new state, and gradients by weights and input, of one layer of either library."""
    takes = {} if training is None else {"training": training}
    trainable = [jnp.asarray(v.value) for v in layer.trainable_variables]
    others = [jnp.asarray(v.value) for v in layer.non_trainable_variables]

    def run(trainable, x):
        def loss(trainable, x):
            out, state = layer.stateless_call(trainable, others, x, **takes)
            weights = jnp.sin(1.0 + jnp.arange(out.size, dtype="float32")).reshape(out.shape)
            return jnp.sum(out * weights), (out, state)

        return jax.grad(loss, argnums=(0, 1), has_aux=True)(trainable, x)

    return jax.jit(run)(trainable, x)


def assert_close(ours, theirs, atol=1e-5):
    ours, theirs = jax.tree.leaves(ours), jax.tree.leaves(theirs)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=atol)


@pytest.mark.parametrize(("name", "kwargs", "shape"), CASES, ids=IDS)
def test_output_and_gradients(name, kwargs, shape, rng):
    theirs, ours = make_both_of_zeros(name, kwargs)
    x = draw(rng, shape)
    theirs.build(shape)
    ours.build(shape)
    share_weights(rng, theirs, ours)
    assert_close(gradients(ours, x), gradients(theirs, x))


@pytest.mark.parametrize(("name", "kwargs", "shape"), CASES, ids=IDS)
def test_config(name, kwargs, shape):
    theirs, ours = make_both(name, kwargs)
    assert plain(ours.get_config()) == plain(theirs.get_config())
    # Each library makes an equal layer of the other's config, and of what it writes in a file.
    again = type(ours).from_config(theirs.get_config())
    assert plain(again.get_config()) == plain(ours.get_config())
    assert again.name == theirs.name
    again = serialization.deserialize(as_json(keras.saving.serialize_keras_object(theirs)))
    assert type(again) is type(ours)
    assert plain(again.get_config()) == plain(ours.get_config())
    again = keras.saving.deserialize_keras_object(as_json(serialization.serialize(ours)))
    assert type(again) is type(theirs)
    assert plain(again.get_config()) == plain(theirs.get_config())


def with_unknown(shape, axes):
    if isinstance(shape, list):
        return [with_unknown(s, axes) for s in shape]
    return tuple(None if axis in axes else n for axis, n in enumerate(shape))


@pytest.mark.parametrize(("name", "kwargs", "shape"), CASES, ids=IDS)
def test_symbolic_shape(name, kwargs, shape):
    theirs, ours = make_both_of_zeros(name, kwargs)
    batch = with_unknown(shape, {0})
    expected = tuple(theirs.compute_output_shape(batch))
    assert ours.compute_output_shape(batch) == expected
    tensors = [layers.Input(s[1:]) for s in batch] if isinstance(batch, list) else None
    out = ours(layers.Input(batch[1:]) if tensors is None else tensors)
    assert out.shape == expected
    if name.startswith(SPATIAL) and len(shape) > 2:
        first = kwargs.get("data_format") == "channels_first"
        spatial = set(range(2, len(shape))) if first else set(range(1, len(shape) - 1))
        unknown = with_unknown(shape, {0} | spatial)
        theirs, ours = make_both_of_zeros(name, kwargs)
        assert ours.compute_output_shape(unknown) == tuple(theirs.compute_output_shape(unknown))


@pytest.mark.parametrize(
    ("name", "kwargs", "shape"),
    [
        ("Dense", {"units": 3, "kernel_initializer": ("GlorotUniform", 5)}, (2, 4)),
        ("Conv2D", {"filters": 3, "kernel_size": 2, "kernel_initializer": ("HeNormal", 5)}, IMAGE),
        (
            "Conv2D",
            {
                "filters": 4,
                "kernel_size": 2,
                "groups": 2,
                "kernel_initializer": ("Orthogonal", 5),
                "bias_initializer": ("RandomNormal", 5),
            },
            IMAGE,
        ),
        (
            "Embedding",
            {"input_dim": 5, "output_dim": 3, "embeddings_initializer": ("RandomUniform", 5)},
            (2, 4),
        ),
    ],
)
def test_initial_weights(name, kwargs, shape):
    from keraslike import initializers

    def made(module):
        return {
            k: getattr(module, v[0])(seed=v[1]) if k.endswith("initializer") else v
            for k, v in kwargs.items()
        }

    theirs = getattr(keras.layers, name)(**made(keras.initializers))
    ours = getattr(layers, name)(**made(initializers))
    theirs.build(shape)
    ours.build(shape)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float16"])
@pytest.mark.parametrize(
    ("name", "kwargs", "shape"),
    [
        ("Dense", {"units": 3}, (2, 4)),
        ("Conv1D", {"filters": 3, "kernel_size": 2}, SEQUENCE),
        ("BatchNormalization", {}, (5, 4)),
        ("LayerNormalization", {}, (5, 4)),
        ("GroupNormalization", {"groups": 2}, (5, 4)),
        ("RMSNormalization", {}, (5, 4)),
        ("MaxPooling2D", {}, IMAGE),
        ("AveragePooling2D", {"pool_size": 2, "padding": "same"}, IMAGE),
        ("GlobalAveragePooling2D", {}, IMAGE),
        ("Add", {}, [(2, 4), (2, 4)]),
        ("Activation", {"activation": "softmax"}, (2, 4)),
    ],
)
def test_dtype_policy(name, kwargs, shape, policy, rng):
    theirs, ours = make_both_of_zeros(name, {**kwargs, "dtype": policy})
    theirs.build(shape)
    ours.build(shape)
    share_weights(rng, theirs, ours)
    x = draw(rng, shape)
    training = {"training": True} if name == "BatchNormalization" else {}
    a, b = ours(x, **training), theirs(x, **training)
    assert a.dtype == b.dtype
    assert [w.dtype for w in ours.weights] == [w.dtype for w in theirs.weights]
    # Sums in another order are not the same in half precision.
    np.testing.assert_allclose(a.astype("float32"), b.astype("float32"), rtol=0.02, atol=0.02)
    for v, w in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(v.astype("float32"), w.astype("float32"), rtol=0.01, atol=0.01)


def test_constructors_take_what_those_of_keras_take():
    """The same names in the same order with the same defaults."""
    for name in layers.__all__:
        theirs = inspect.signature(getattr(keras.layers, name)).parameters
        ours = inspect.signature(getattr(layers, name)).parameters
        if name in ("Layer", "InputSpec"):  # these take keyword arguments
            continue
        named = [p.name for p in theirs.values() if p.kind != p.VAR_KEYWORD]
        assert list(ours)[: len(named)] == named, name
        for n in named:
            assert theirs[n].default == ours[n].default, (name, n)
