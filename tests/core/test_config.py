"""Settings do what they say."""

import numpy as np
import pytest

import keraslike
from keraslike import config, layers
from keraslike.core import serialization


@pytest.fixture
def model():
    model = keraslike.Sequential([layers.Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def test_epochs_and_steps_are_limited(model):
    x, y = np.ones((12, 2), "float32"), np.ones((12, 1), "float32")
    config.set_max_epochs(2)
    config.set_max_steps_per_epoch(3)
    try:
        with pytest.warns(UserWarning, match="limited to"):
            history = model.fit(x, y, batch_size=2, epochs=5, verbose=0)
            assert len(history.epoch) == 2 and int(model.optimizer.iterations) == 6
            assert model.predict(x, batch_size=2, verbose=0).shape == (6, 1)
        model.fit(x, y, batch_size=4, epochs=1, verbose=0)  # which is within: no warning
        assert int(model.optimizer.iterations) == 9
        batches = ((x[:2], y[:2]) for _ in range(100))
        with pytest.warns(UserWarning, match="steps is limited to 3"):
            model.fit(batches, epochs=2, verbose=0)
        assert int(model.optimizer.iterations) == 15
    finally:
        config.set_max_epochs(None)
        config.set_max_steps_per_epoch(None)
    with pytest.raises(ValueError, match="max_epochs must be an integer of at least 1"):
        config.set_max_epochs(0)


def test_unsafe_deserialization(monkeypatch):
    from keraslike.core import config as switches

    monkeypatch.setattr(switches, "_unsafe_deserialization", False)
    entry = serialization.serialize(lambda x: x + 1)
    with pytest.raises(ValueError, match="safe_mode=False"):
        serialization.deserialize(entry)
    config.enable_unsafe_deserialization()
    assert serialization.deserialize(entry)(1) == 2


def test_the_backend_is_jax():
    assert config.backend() == keraslike.backend.backend() == "jax"
    config.set_backend("jax")
    with pytest.raises(ValueError, match="JAX only"):
        config.set_backend("torch")
