"""Slices, Bidirectional and shared layers, alone and in other models, in all kinds of copies."""

import copy
import pickle

import numpy as np
import pytest

import keraslike
from keraslike import layers, models, saving
from keraslike.saving import orbax_store


def graph():
    i = layers.Input((4, 3))
    shared, both = layers.Dense(3), layers.Bidirectional(layers.SimpleRNN(2), merge_mode="sum")
    parts = [shared(i)[:, 1], shared(i[:, ::-1])[:, 0], i[..., 0], layers.Flatten()(i[:, None])]
    parts += [both(i), both(i[:, 1:-1]), layers.Bidirectional(layers.SimpleRNN(2))(i)]
    return keraslike.Model(i, layers.Dense(2)(layers.Concatenate()(parts)))


def nested():
    i = layers.Input((4, 3))
    inner = graph()
    return keraslike.Model(i, inner(i) + inner(i[:, ::-1]))


def of_each_step():
    steps = layers.TimeDistributed(nested())
    return keraslike.Sequential([layers.Input((2, 4, 3)), steps, layers.Flatten()])


def copies(model, folder):
    for ending in ("keras", "h5"):
        model.save(folder / f"m.{ending}")
        yield ending, saving.load_model(folder / f"m.{ending}")
    model.save_weights(folder / "m.weights.h5")
    again = models.model_from_json(model.to_json())
    again.load_weights(folder / "m.weights.h5")
    yield "json", again
    # What `OrbaxCheckpoint` writes, without a step of `fit`, whose compilation takes the longest.
    store = orbax_store.open_checkpoints(folder / "orbax", max_to_keep=1, background=False)
    store.save(0, model, {"epoch": 0, "step": 0, "updates": 0})
    store.close()
    yield "orbax", saving.load_model(folder / "orbax")
    again = models.clone_model(model)
    again.set_weights(model.get_weights())
    yield "clone", again
    yield "deepcopy", copy.deepcopy(model)
    yield "pickle", pickle.loads(pickle.dumps(model))


@pytest.mark.slow
@pytest.mark.parametrize("make", [graph, of_each_step])
def test_copies_compute_the_same(make, tmp_path, rng):
    model = make()
    model.compile("sgd", "mse")
    x = rng.normal(size=(2, *model.input_shape[1:])).astype("float32")
    expected = model.predict_on_batch(x)
    for how, again in copies(model, tmp_path):
        found = again.predict_on_batch(x)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6, err_msg=how)
        assert len(again.weights) == len(model.weights), how
        assert again.count_params() == model.count_params(), how
