"""What the chapter's sections share: small data, and the round trip through each format."""

import contextlib

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


# How a model goes to a file and comes back: `reload(model, folder, custom_objects, rebuild)` gives
# the copy, and `rebuild()` makes a compiled model with weights of its own, for a format that holds
# weights only.


def _whole(ending):
    def reload(model, folder, custom_objects, rebuild):
        model.save(folder / f"m{ending}")
        return keras.saving.load_model(folder / f"m{ending}", custom_objects=custom_objects)

    return reload


def _weights(model, folder, custom_objects, rebuild):
    model.save_weights(folder / "m.weights.h5")
    again = rebuild()
    again.load_weights(folder / "m.weights.h5")
    return again


def _checkpoint(model, folder, custom_objects, rebuild):
    return keras.saving.load_model(folder / "checkpoints", custom_objects=custom_objects)


FORMATS = {
    ".keras": _whole(".keras"),
    ".h5": _whole(".h5"),
    ".weights.h5": _weights,
    "orbax": _checkpoint,  # what a callback wrote while the model trained
}
# Of several models of a kind, some go through these and the others through those.
THESE, THOSE = (".keras", "orbax"), (".h5", ".weights.h5")


@contextlib.contextmanager
def named(format):
    """An error within says which format it is about."""
    try:
        yield
    except Exception as error:
        error.add_note(f"with the format {format}")
        raise


def predictions(model, x):
    return jax.tree.leaves(model.predict(x, batch_size=BATCH, verbose=0))


def next_epoch(model, x, y):
    keras.utils.set_random_seed(7)  # the order of samples, and noise that no stream of its own has
    return model.fit(x, y, batch_size=BATCH, verbose=0).history


def results(model, x, y):
    """Predictions, and the losses of the epoch after them."""
    return predictions(model, x), next_epoch(model, x, y)


def assert_same(again, model, x=X, y=Y):
    """Both predict the same, and have the same losses in the next epoch."""
    assert_equal(results(again, x, y), results(model, x, y))


def assert_equal(results, wanted):
    for a, b in zip(results[0], wanted[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert results[1] == wanted[1]


@pytest.fixture
def round_trip(tmp_path):
    """Trains what `make()` gives, a compiled model, sends it through each of the formats, and holds
    the copies against the original; returns the original and the copies."""

    def check(make, custom_objects=None, x=X, y=Y, formats=tuple(FORMATS)):
        model = make()
        last = EPOCHS * len(X) // BATCH
        saver = keras.callbacks.OrbaxCheckpoint(tmp_path / "checkpoints", save_freq=last)
        callbacks = [saver] if "orbax" in formats else []
        arguments = {"batch_size": BATCH, "epochs": EPOCHS, "callbacks": callbacks, "verbose": 0}
        losses = model.fit(x, y, **arguments).history["loss"]
        assert np.isfinite(losses).all() and losses[-1] < losses[0]

        def rebuild():
            again = make()
            again(jax.tree.map(lambda a: a[:2], x))
            pairs = zip(again.get_weights(), model.get_weights(), strict=True)
            assert any((a != b).any() for a, b in pairs)
            return again

        copies = []
        for format in formats:
            with named(format):
                again = FORMATS[format](model, tmp_path, custom_objects, rebuild)
                assert type(again) is type(model)
                assert int(again.optimizer.iterations) == int(model.optimizer.iterations) > 0
                copies.append(again)
        wanted = results(model, x, y)
        for format, again in zip(formats, copies, strict=True):
            with named(format):
                assert_equal(results(again, x, y), wanted)
        return model, copies

    return check
