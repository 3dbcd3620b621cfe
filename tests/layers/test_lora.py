"""Low-rank adaptation beside Keras's: outputs, what trains, files both ways."""

import keras
import numpy as np
import pytest

import keraslike
from keraslike import layers

from .test_layer_parity import plain

CASES = [
    ("Dense", {"units": 3}, (4,), "kernel"),
    ("EinsumDense", {"equation": "ab,bcd->acd", "output_shape": (2, 3)}, (4,), "kernel"),
    ("Embedding", {"input_dim": 5, "output_dim": 3}, (2,), "embeddings"),
    ("Conv1D", {"filters": 3, "kernel_size": 2}, (4, 2), "kernel"),
    ("Conv2D", {"filters": 4, "kernel_size": 2, "groups": 2}, (4, 4, 4), "kernel"),
]


def made(K, name, kwargs, shape, **lora):
    layer = getattr(K.layers, name)(**kwargs, **lora)
    dtype = "int32" if name == "Embedding" else "float32"
    return K.Sequential([K.Input(shape, dtype=dtype), layer])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kwargs", "shape", "weight"), CASES)
def test_lora_is_that_of_keras(name, kwargs, shape, weight, rng, tmp_path):
    theirs, ours = made(keras, name, kwargs, shape), made(keraslike, name, kwargs, shape)
    x = rng.integers(0, 5, (3, *shape)) if name == "Embedding" else rng.normal(size=(3, *shape))
    for model in (theirs, ours):
        model.layers[0].enable_lora(2, lora_alpha=3.0)
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    assert [w.shape for w in ours.weights] == [w.shape for w in theirs.weights]
    assert [w.name for w in ours.trainable_weights] == [w.name for w in theirs.trainable_weights]
    ours.set_weights([rng.normal(size=w.shape) for w in theirs.weights])
    theirs.set_weights(ours.get_weights())
    expected = np.asarray(theirs(x))
    np.testing.assert_allclose(ours(x), expected, rtol=1e-4, atol=1e-5)
    merged = getattr(ours.layers[0], weight)
    np.testing.assert_allclose(merged, getattr(theirs.layers[0], weight), rtol=1e-5, atol=1e-5)
    assert plain(ours.layers[0].get_config()) == plain(theirs.layers[0].get_config())
    ours.trainable = False
    ours.trainable = True
    assert not vars(ours.layers[0])[weight].trainable

    # Either's file has merged weights, for the other, for itself and for a model without lora.
    for K, model in ((keras, theirs), (keraslike, ours)):
        file = str(tmp_path / f"{K.__name__}.keras")
        model.save(file)
        for L in (keras, keraslike):
            again = L.models.load_model(file)
            assert again.layers[0].lora_enabled
            np.testing.assert_allclose(again(x), expected, rtol=1e-4, atol=1e-5)
        weights = file.replace(".keras", ".weights.h5")
        model.save_weights(weights)
        bare = made(keraslike, name, kwargs, shape)
        bare.load_weights(weights)
        np.testing.assert_allclose(bare(x), expected, rtol=1e-4, atol=1e-5)
    bare.save_weights(weights)
    ours.load_weights(weights)
    np.testing.assert_allclose(ours(x), expected, rtol=1e-4, atol=1e-5)


def test_lora_trains_its_factors_only(rng, tmp_path):
    model = made(keraslike, "Dense", {"units": 3, "use_bias": False}, (4,), lora_rank=2)
    kernel, a, b = model.layers[0].weights
    before = [w.numpy() for w in (kernel, a, b)]
    model.compile("sgd", "mse")
    x, y = rng.normal(size=(8, 4)), rng.normal(size=(8, 3))
    model.fit(x, y, epochs=2, verbose=0)
    changed = [(w.numpy() != old).any() for w, old in zip((kernel, a, b), before)]
    assert changed == [False, True, True]
    file = tmp_path / "model.keras"
    model.save(file)
    again = keraslike.models.load_model(file)
    np.testing.assert_allclose(again(x), model(x), rtol=1e-5, atol=1e-6)
    again.fit(x, y, verbose=0)  # of what is loaded `a` is not zero, so it goes on training
    assert (again.layers[0].lora_kernel_b.numpy() != 0).any()


def test_lora_errors(tmp_path):
    layer = layers.Dense(3)
    with pytest.raises(ValueError, match="isn't yet built"):
        layer.enable_lora(2)
    layer.build((None, 4))
    with pytest.raises(ValueError, match="rank must be"):
        layer.enable_lora(0)
    layer.enable_lora(2)
    with pytest.raises(ValueError, match="already enabled"):
        layer.enable_lora(2)
    with pytest.raises(ValueError, match="kernel constraints"):
        layers.Dense(3, kernel_constraint="non_neg", lora_rank=2).build((None, 4))
    with pytest.raises(ValueError, match="the file has"):
        layer.load_own_variables({"0": np.ones((4, 3))})
    wrong = made(keraslike, "Dense", {"units": 2}, (4,))
    wrong.save_weights(tmp_path / "wrong.weights.h5")
    model = made(keraslike, "Dense", {"units": 3}, (4,), lora_rank=2)
    before = model.get_weights()
    with pytest.raises(ValueError, match="shapes"):
        model.load_weights(tmp_path / "wrong.weights.h5")
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
