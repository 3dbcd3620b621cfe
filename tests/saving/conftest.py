import pytest


@pytest.fixture
def batch(rng):
    x = rng.normal(size=(12, 4)).astype("float32")
    return x, rng.normal(size=(12, 2)).astype("float32")
