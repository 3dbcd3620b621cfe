"""One set-up for all tests: Keras, the oracle, runs on its JAX backend."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import numpy as np
import pytest


@pytest.fixture
def rng():
    """Reproducible random numbers."""
    return np.random.default_rng(0)


@pytest.fixture(autouse=True, scope="session")
def _whole_tracebacks():
    """A test that fails shows where."""
    import keraslike

    keraslike.config.disable_traceback_filtering()


@pytest.fixture(autouse=True)
def _seeded():
    import keraslike

    keraslike.utils.set_random_seed(1)
