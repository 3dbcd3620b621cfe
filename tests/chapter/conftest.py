"""What the chapter's sections share: small data, and the round trip through each format."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
import pytest

import keraslike as keras

X = np.random.default_rng(0).normal(size=(48, 8)).astype("float32")
Y = (X[:, 0] - 2 * X[:, 1] + 0.1).astype("float32")
BATCH, EPOCHS = 16, 4


@pytest.fixture
def data():
    return X, Y


class Format(NamedTuple):
    """How a model goes to a file and comes back.

    `reload(model, folder, custom_objects, rebuild)` gives the copy; `rebuild()` makes a compiled
    model with weights of its own, for a format that holds weights only.
    """

    reload: Callable
    whole: bool = True  # architecture and compile arguments, too
    saver: Callable = lambda folder: []  # callbacks, for a format that is written by training


def _whole(ending):
    def reload(model, folder, custom_objects, rebuild):
        model.save(folder / f"m{ending}")
        return keras.saving.load_model(folder / f"m{ending}", custom_objects=custom_objects)

    return Format(reload)


def _weights(model, folder, custom_objects, rebuild):
    model.save_weights(folder / "m.weights.h5")
    again = rebuild()
    again.load_weights(folder / "m.weights.h5")
    return again


def _checkpoint(model, folder, custom_objects, rebuild):
    return keras.saving.load_model(folder / "checkpoints", custom_objects=custom_objects)


def _saver(folder):
    last = EPOCHS * len(X) // BATCH
    return [keras.callbacks.OrbaxCheckpoint(folder / "checkpoints", save_freq=last)]


FORMATS = {
    ".keras": _whole(".keras"),
    ".h5": _whole(".h5"),
    ".weights.h5": Format(_weights, whole=False),
    "orbax": Format(_checkpoint, saver=_saver),
}


def predictions(model, x):
    return jax.tree.leaves(model.predict(x, batch_size=BATCH, verbose=0))


def next_epoch(model, x, y):
    keras.utils.set_random_seed(7)  # the order of samples, and noise that no stream of its own has
    return model.fit(x, y, batch_size=BATCH, verbose=0).history


def assert_same(again, model, x=X, y=Y):
    """Both predict the same, and have the same losses in the next epoch."""
    for a, b in zip(predictions(again, x), predictions(model, x), strict=True):
        np.testing.assert_array_equal(a, b)
    assert next_epoch(again, x, y) == next_epoch(model, x, y)


@pytest.fixture(params=FORMATS)
def round_trip(request, tmp_path):
    """Trains what `make()` gives, a compiled model, sends it through a format, and holds the copy
    against the original; returns both."""
    chosen = FORMATS[request.param]

    def check(make, custom_objects=None, x=X, y=Y):
        model = make()
        saver = chosen.saver(tmp_path)
        arguments = {"batch_size": BATCH, "epochs": EPOCHS, "callbacks": saver, "verbose": 0}
        losses = model.fit(x, y, **arguments).history["loss"]
        assert np.isfinite(losses).all() and losses[-1] < losses[0]

        def rebuild():
            again = make()
            again(jax.tree.map(lambda a: a[:2], x))
            pairs = zip(again.get_weights(), model.get_weights(), strict=True)
            assert any((a != b).any() for a, b in pairs)
            return again

        again = chosen.reload(model, tmp_path, custom_objects, rebuild)
        assert type(again) is type(model)
        assert int(again.optimizer.iterations) == int(model.optimizer.iterations) > 0
        assert_same(again, model, x, y)
        return model, again

    check.whole = chosen.whole
    return check
