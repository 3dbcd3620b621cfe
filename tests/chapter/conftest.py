"""What the chapter's sections share: small data, and the round trip through each format."""

import numpy as np
import pytest

import keraslike as keras

X = np.random.default_rng(0).normal(size=(48, 8)).astype("float32")
Y = (X[:, 0] - 2 * X[:, 1] + 0.1).astype("float32")


@pytest.fixture
def data():
    return X, Y


def _keras(model, path, custom_objects, rebuild):
    model.save(path / "m.keras")
    return keras.models.load_model(path / "m.keras", custom_objects=custom_objects)


def _weights(model, path, custom_objects, rebuild):
    model.save_weights(path / "m.weights.h5")
    again = rebuild()
    again.load_weights(path / "m.weights.h5")
    return again


FORMATS = {".keras": _keras, ".weights.h5": _weights}


@pytest.fixture(params=FORMATS)
def round_trip(request, tmp_path):
    """Trains a model, sends it through a format, and holds the copy against the original.

    `make()` gives a compiled model. A copy must predict the same and train on the same, whole
    files with the optimizer's state and the compile arguments, weights alone from there on.
    """
    name, reload = request.param, FORMATS[request.param]

    def check(make, custom_objects=None, x=X, y=Y):
        model = make()
        losses = model.fit(x, y, batch_size=16, epochs=4, verbose=0).history["loss"]
        assert np.isfinite(losses).all() and losses[-1] < losses[0]

        def rebuild():
            again = make()
            again(x[:2] if not isinstance(x, (list, tuple)) else [a[:2] for a in x])
            return again

        again = reload(model, tmp_path, custom_objects, rebuild)
        np.testing.assert_array_equal(
            np.asarray(again.predict(x, verbose=0)), np.asarray(model.predict(x, verbose=0))
        )
        if name == ".weights.h5":
            # Weights alone hold no optimizer: both begin with a new one.
            for m in (model, again):
                m.compile(loss=m.loss, optimizer="sgd")
        goes_on = []
        for m in (model, again):
            keras.utils.set_random_seed(7)  # for noise that draws from no stream of the model's
            goes_on.append(m.fit(x, y, batch_size=16, verbose=0).history)
        assert goes_on[0] == goes_on[1]
        return model, again

    check.format = name
    return check
