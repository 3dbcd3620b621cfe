import numpy as np
import pytest

from keraslike.callbacks import OrbaxCheckpoint

from .small_models import small

collect_ignore = ["keras2/make.py"]  # which needs TensorFlow


@pytest.fixture
def batch(rng):
    x = rng.normal(size=(12, 4)).astype("float32")
    return x, rng.normal(size=(12, 2)).astype("float32")


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A folder with a trained model in every format."""
    folder = tmp_path_factory.mktemp("template")
    model = small(optimizer="adam", loss="mse")
    x, y = np.ones((8, 4)), np.ones((8, 2))
    saver = OrbaxCheckpoint(folder / "orbax", save_on_background=False)
    model.fit(x, y, verbose=0, callbacks=[saver])
    model.save(folder / "m.keras")
    model.save(folder / "m.h5")
    model.save_weights(folder / "m.weights.h5")
    return folder
