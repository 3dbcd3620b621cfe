"""Masks that a graph uses by itself, as `tensor._keras_mask`, in files and copies."""

import copy
import pickle

import jax.numpy as jnp
import keras as oracle
import numpy as np
import pytest

import keraslike
from keraslike import layers, models, saving

X = np.array([[1, 2, 0, 0, 3], [4, 0, 0, 0, 0]])


def embedded(k):
    i = k.layers.Input((5,), dtype="int32")
    x = k.layers.Embedding(7, 3, mask_zero=True)(i)
    return i, x, x._keras_mask


def merged(k):
    i, x, _ = embedded(k)
    x = k.layers.Add()([x, k.layers.Masking()(x)])
    return i, x, x._keras_mask


def passed_on(k):
    i, x, _ = embedded(k)
    x = k.layers.Dropout(0.5)(x)
    return i, x, x._keras_mask


class Own(keraslike.Layer):
    """Its mask is computed by a function that takes arrays only."""

    def call(self, x):
        return x * 2

    def compute_mask(self, inputs, previous_mask=None):
        return jnp.any(inputs > 0, axis=-1)


def own(k):
    i, x, _ = embedded(k)
    x = Own()(x)
    return i, x, x._keras_mask


def inside(k):
    i, x, _ = embedded(k)
    x = k.Model(i, x)(i)
    return i, x, x._keras_mask


def model_of(k, make):
    i, x, mask = make(k)
    return k.Model(i, k.layers.LSTM(2)(x, mask=mask))


def check(again, model):
    found, expected = np.asarray(again(X)), np.asarray(model(X))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("make", [embedded, merged, passed_on, own, inside])
def test_files_and_copies(make, tmp_path):
    model = model_of(keraslike, make)
    known = {"Own": Own}
    for ending in ("keras", "h5"):
        model.save(tmp_path / f"m.{ending}")
        check(saving.load_model(tmp_path / f"m.{ending}", custom_objects=known), model)
    again = models.clone_model(model)
    again.set_weights(model.get_weights())
    for copied in (again, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        check(copied, model)


@pytest.mark.parametrize("make", [embedded, merged, passed_on])
def test_keras_reads_them_and_we_read_its(make, tmp_path):
    ours, theirs = model_of(keraslike, make), model_of(oracle, make)
    ours.save(tmp_path / "ours.keras")
    check(oracle.saving.load_model(tmp_path / "ours.keras"), ours)
    theirs.save(tmp_path / "theirs.keras")
    check(saving.load_model(tmp_path / "theirs.keras"), theirs)


def test_a_mask_on_an_array_is_not_in_the_way(tmp_path):
    layer = layers.Embedding(7, 3, mask_zero=True)
    model = keraslike.Sequential([layers.Input((5,), dtype="int32"), layer, layers.LSTM(2)])
    out = layer(X)
    assert out.shape == (2, 5, 3)
    layer.last = out  # an array that carries a mask, as an attribute
    model.save(tmp_path / "m.keras")
    check(saving.load_model(tmp_path / "m.keras"), model)
