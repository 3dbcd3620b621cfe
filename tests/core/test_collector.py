"""Models that a program has dropped do not keep their memory."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import keraslike as keras
from keraslike import tf
from keraslike.core import collector

X = np.ones((4, 8), "float32")


def fit(model):
    model.compile("adam", "mse")
    model.fit(X, X, verbose=0)


def predict(model):
    model.predict(X, verbose=0)


def loop_of_ones_own(model):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(X) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    keras.optimizers.Adam().apply_gradients(zip(gradients, model.trainable_variables, strict=True))


@pytest.fixture
def only_by_memory(monkeypatch):
    """The number of new objects starts no collection, and 100 kB of arrays do."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.set_threshold(0)
    monkeypatch.setattr(collector, "_bytes_before", 0)
    monkeypatch.setattr(collector, "GROWTH", 100_000)
    yield
    gc.set_threshold(*thresholds)


@pytest.mark.parametrize("use", [fit, loop_of_ones_own])
def test_dropped_models_are_freed_as_memory_grows(only_by_memory, monkeypatch, use):
    # Arrays of other tests would hide the growth.
    others = collector._bytes_of_arrays()
    own = collector._bytes_of_arrays
    monkeypatch.setattr(collector, "_bytes_of_arrays", lambda: max(own() - others, 0))
    models = []
    for _ in range(5):
        model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4000, "relu")])
        model.add(keras.layers.Dense(8))  # 272 kB
        use(model)
        models.append(weakref.ref(model))
    alive = sum(reference() is not None for reference in models)
    assert 1 <= alive <= 3


def test_the_users_choice_to_disable_the_collector_is_kept(only_by_memory):
    class Cycle:
        def __init__(self):
            self.own = self

    cycle = weakref.ref(Cycle())
    gc.disable()
    try:
        predict(keras.Sequential([keras.Input((8,)), keras.layers.Dense(8000)]))
        assert cycle() is not None
    finally:
        gc.enable()
