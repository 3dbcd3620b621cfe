"""Objects that stand in a model more than once, and what looks like them and is none."""

import json
import zipfile

import numpy as np
import pytest

import keraslike
from keraslike import layers, models, regularizers, saving
from keraslike.core import serialization
from keraslike.saving import weights_h5

RECURRENT = {
    "lstm": lambda **k: layers.LSTM(4, **k),
    "simple_rnn": lambda **k: layers.SimpleRNN(4, **k),
    "gru": lambda **k: layers.GRU(4, **k),
    "cells": lambda **k: layers.RNN([layers.LSTMCell(4, **k), layers.GRUCell(4, **k)]),
}


def marks(config):
    """The number of times that each mark of a shared object occurs.

    Dtype policies are left out: layers share the one that `set_dtype_policy` was given.
    """
    found = {}
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if value.get("class_name") != "DTypePolicy":
                number = value.get("shared_object_id")
                found[number] = found.get(number, 0) + 1
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    found.pop(None, None)
    return found


def config_in(path):
    return json.loads(zipfile.ZipFile(path).read("config.json"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind, ending", [*((kind, ".keras") for kind in RECURRENT), ("simple_rnn", ".h5")]
)
def test_both_directions_come_back_as_they_were(tmp_path, kind, ending):
    inner = RECURRENT[kind](
        kernel_initializer="he_normal",
        recurrent_initializer=keraslike.initializers.RandomUniform(-0.5, 0.5, seed=3),
        bias_initializer="ones",
    )
    model = models.Sequential([layers.Input((5, 3)), layers.Bidirectional(inner)])
    path = tmp_path / f"model{ending}"
    model.save(path)
    again = saving.load_model(path)
    assert again.get_config() == model.get_config()
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    np.testing.assert_array_equal(again(x), model(x))
    if ending == ".keras":
        assert not marks(config_in(path))


def test_one_object_in_two_layers_is_one_again(tmp_path):
    penalty, start = regularizers.L2(0.5), keraslike.initializers.RandomUniform(seed=1)
    model = models.Sequential(
        [
            layers.Input((3,)),
            layers.Dense(3, kernel_regularizer=penalty, kernel_initializer=start),
            layers.Dense(3, bias_regularizer=penalty, bias_initializer=start),
            layers.Dense(3, kernel_regularizer=regularizers.L2(0.5)),
        ]
    )
    path = tmp_path / "model.keras"
    model.save(path)
    assert sorted(marks(config_in(path)).values()) == [2, 2]
    first, second, third = saving.load_model(path).layers
    assert first.kernel_regularizer is second.bias_regularizer
    assert first.kernel_initializer is second.bias_initializer
    assert third.kernel_regularizer is not first.kernel_regularizer


@keraslike.saving.register_keras_serializable("shared")
class Twin(keraslike.Layer):
    """Makes a copy of the layer it is given, and says in its config what it does not keep."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner
        self.copy = type(inner).from_config(inner.get_config())

    def call(self, x):
        return self.inner(x) + self.copy(x)

    def get_config(self):
        for i in range(50):
            serialization.serialize(regularizers.L2(i))
        self.inner.get_config()
        return {**super().get_config(), "inner": self.inner}

    @classmethod
    def from_config(cls, config):
        inner = serialization.deserialize(config["inner"])
        return cls(**{**config, "inner": inner})


def test_copies_made_while_a_file_is_read(tmp_path):
    inner = layers.Dense(2, kernel_regularizer=regularizers.L1(0.25), bias_initializer="ones")
    model = models.Sequential(
        [layers.Input((2,)), Twin(inner), layers.Dense(2, kernel_regularizer=regularizers.L2(0.5))]
    )
    path = tmp_path / "model.keras"
    model.save(path)
    assert not marks(config_in(path))
    twin, last = saving.load_model(path).layers
    assert type(twin.copy.kernel_regularizer) is regularizers.L1
    assert float(last.kernel_regularizer.l2) == 0.5
    np.testing.assert_array_equal(twin(np.ones((1, 2))), model.layers[0](np.ones((1, 2))))


def test_a_mark_on_two_different_objects_is_none():
    """Keras tells objects by `id()`, and two of which one was gone have the same."""

    def dense(name, l2):
        penalty = {
            "module": "keras.regularizers",
            "class_name": "L2",
            "config": {"l2": l2},
            "registered_name": None,
            "shared_object_id": 7,
        }
        config = {"name": name, "units": 1, "kernel_regularizer": penalty}
        return {"module": "keras.layers", "class_name": "Dense", "config": config}

    with serialization.sharing():
        first, same, other = [
            serialization.deserialize(dense(name, l2))
            for name, l2 in (("a", 0.5), ("b", 0.5), ("c", 0.25))
        ]
    assert first.kernel_regularizer is same.kernel_regularizer
    assert float(other.kernel_regularizer.l2) == 0.25


class Spare(keraslike.Layer):
    """A property whose layers live as long as somebody looks at them."""

    def __init__(self):
        super().__init__()
        self.zero = layers.Dense(1)
        self.nested = [[layers.Dense(1)] for _ in range(20)]

    def build(self, shape):
        for layer in [self.zero, *(row[0] for row in self.nested)]:
            layer.build(shape)

    def call(self, x):
        return self.zero(x) + sum(row[0](x) for row in self.nested)

    @property
    def fresh(self):
        return [keraslike.Layer() for _ in range(20)]

    @property
    def more(self):
        return [keraslike.Layer() for _ in range(20)]


def test_layers_that_vanish_during_the_walk():
    layer = Spare()
    layer.build((None, 2))
    walked = [(path, type(obj)) for path, obj in weights_h5.walk(layer)]
    assert sum(path.startswith("fresh/") for path, _ in walked) == 20
    assert sum(path.startswith("more/") for path, _ in walked) == 20
    assert sum(cls is layers.Dense for _, cls in walked) == 21
