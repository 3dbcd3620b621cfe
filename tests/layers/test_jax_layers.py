"""Functions of JAX and modules of flax as layers, beside Keras's: numbers, training, files."""

import copy
import types

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from flax import linen, nnx

import keraslike
from keraslike import layers

from .test_layer_parity import plain


class Block(linen.Module):
    units: int = 3

    @linen.compact
    def __call__(self, inputs, training=False):
        x = linen.Dense(self.units)(inputs)
        x = linen.BatchNorm(use_running_average=not training, momentum=0.5)(x)
        return linen.Dropout(0.5, deterministic=not training)(x)

    def get_config(self):
        return {"units": self.units}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


class NnxBlock(nnx.Module):
    def __init__(self, units=3):
        rngs = nnx.Rngs(0)
        self.units = units
        self.dense = nnx.Linear(4, units, rngs=rngs)
        self.norm = nnx.BatchNorm(units, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, inputs):
        return self.dropout(self.norm(self.dense(inputs)))

    get_config = Block.get_config
    from_config = classmethod(Block.from_config.__func__)


def with_state(params, state, inputs, training):
    return params["w"] * inputs, {"calls": state["calls"] + (1 if training else 0)}


def begin(rng, inputs):
    return {"w": jax.random.normal(rng, inputs.shape[1:])}, {"calls": jnp.zeros((), "int32")}


CUSTOM = {"Block": Block, "NnxBlock": NnxBlock, "with_state": with_state, "begin": begin}


def function_layer(K):
    return K.layers.JaxLayer(with_state, begin)


def linen_layer(K):
    return K.layers.FlaxLayer(Block())


@pytest.mark.slow
@pytest.mark.parametrize("make", [function_layer, linen_layer])
def test_it_is_that_of_keras(make, rng, tmp_path, monkeypatch):
    # Keras asks TensorFlow whether it is tracing, also on JAX.
    outside = types.SimpleNamespace(inside_function=lambda: False)
    monkeypatch.setattr(keras.src.utils.jax_layer, "tf", outside)
    x = rng.normal(size=(6, 4)).astype("float32")
    models = {}
    for K in (keras, keraslike):
        models[K] = model = K.Sequential([K.Input((4,)), make(K)])
        model.compile("sgd", "mse")
    theirs, ours = models[keras], models[keraslike]
    assert [(w.shape, w.trainable) for w in ours.weights] == [
        (w.shape, w.trainable) for w in theirs.weights
    ]
    ours.set_weights(theirs.get_weights())
    config = plain(ours.layers[0].get_config())
    if make is linen_layer:  # whose function differs in nothing but the module's name of the test
        assert set(config) == set(plain(theirs.layers[0].get_config()))
    else:
        assert config == plain(theirs.layers[0].get_config())
    y = rng.normal(size=ours(x).shape)
    if make is function_layer:  # the dropout of flax draws from streams of its own
        for model in (theirs, ours):
            model.fit(x, y, epochs=2, verbose=0)
        for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    for K, model in models.items():
        file = str(tmp_path / f"{K.__name__}.keras")
        model.save(file)
        for L in models:
            again = L.models.load_model(file, custom_objects=CUSTOM)
            np.testing.assert_allclose(again(x), theirs(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("module", [Block, NnxBlock])
def test_a_module_of_flax_trains_and_is_saved(module, rng, tmp_path):
    layer = layers.FlaxLayer(module())
    model = keraslike.Sequential([keraslike.Input((4,)), layer])
    assert len(layer.trainable_weights) == 4 and len(layer.non_trainable_weights) == 2
    x, y = rng.normal(size=(16, 4)).astype("float32"), rng.normal(size=(16, 3))
    model.compile("sgd", "mse")
    before = [np.asarray(w) for w in model.get_weights()]
    model.fit(x, y, epochs=2, verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert (old != new).any()
    expected = np.asarray(model(x))
    np.testing.assert_array_equal(model(x), expected)  # nothing is dropped, nothing moves
    noisy = [np.asarray(model(x, training=True)) for _ in range(2)]
    assert (noisy[0] != noisy[1]).any() and (noisy[0] == 0).any()
    expected = np.asarray(model(x))
    model.save(tmp_path / "model.keras")
    again = keraslike.models.load_model(tmp_path / "model.keras", custom_objects=CUSTOM)
    leaves, structure = jax.tree.flatten(model)
    for other in (again, copy.deepcopy(model), jax.tree.unflatten(structure, leaves)):
        np.testing.assert_allclose(other(x), expected, rtol=1e-6)


def test_methods_and_variables_of_modules(rng):
    x = rng.normal(size=(2, 4)).astype("float32")
    variables = Block().init(jax.random.key(0), x)
    expected = Block().apply(variables, x)
    np.testing.assert_allclose(layers.FlaxLayer(Block(), variables=variables)(x), expected)

    def twice(module, inputs):
        return 2 * module(inputs)

    np.testing.assert_allclose(layers.FlaxLayer(Block(), twice, variables)(x), 2 * expected)
    module = NnxBlock()
    np.testing.assert_allclose(
        layers.FlaxLayer(module, twice)(x),
        2 * np.asarray(layers.FlaxLayer(module)(x)),
        rtol=1e-6,
    )


def test_errors_of_functions():
    with pytest.raises(ValueError, match="None for all three"):
        layers.JaxLayer(lambda params, inputs: inputs)
    with pytest.raises(ValueError, match="`call_fn`: `mode`"):
        layers.JaxLayer(lambda inputs, mode: inputs)
    with pytest.raises(ValueError, match="`init_fn`: `inputs`"):
        layers.JaxLayer(lambda inputs: inputs, lambda rng: {})
    with pytest.raises(ValueError, match="another structure"):
        layers.JaxLayer(lambda state, inputs: (inputs, {"b": 1.0}), state={"a": 1.0})(np.ones(1))
    with pytest.raises(ValueError, match="module must be"):
        layers.FlaxLayer("text")
    kept = layers.JaxLayer(lambda state, inputs: (inputs, state), state={"a": None, "b": "text"})
    assert not kept.built  # as in Keras, until the first call
    assert kept(np.ones(1)).tolist() == [1.0] and kept.state == {"a": None, "b": "text"}
