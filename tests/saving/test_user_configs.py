"""What users' `get_config`, `get_compile_config` and registered names may hold."""

import json

import keras
import numpy as np
import pytest

import keraslike
from keraslike import layers, saving


@saving.register_keras_serializable(package="user_configs")
class Around(layers.Layer):
    """Its config has objects as they are."""

    def __init__(self, inner, settings=None, **kwargs):
        super().__init__(**kwargs)
        self.inner, self.settings = inner, settings

    def call(self, x):
        return self.inner(x)

    def get_config(self):
        return {
            **super().get_config(),
            "inner": self.inner,
            "settings": {"l2": keraslike.regularizers.L2(0.5)},
        }


@saving.register_keras_serializable(package="user_configs")
class Opens(Around):
    """Makes them again."""

    @classmethod
    def from_config(cls, config):
        inner, settings = map(
            saving.deserialize_keras_object, (config["inner"], config["settings"])
        )
        return cls(**{**config, "inner": inner, "settings": settings})


def test_objects_in_a_config_are_for_its_class_to_make(tmp_path):
    config = json.loads(json.dumps(saving.serialize_keras_object(Around(layers.Dense(2)))))
    loaded = saving.deserialize_keras_object(config)
    assert loaded.inner["class_name"] == "Dense" and loaded.settings["l2"]["config"] == {"l2": 0.5}
    inputs = layers.Input((3,))
    keraslike.Model(inputs, Around(layers.Dense(2))(inputs)).save(tmp_path / "m.keras")
    with pytest.raises(TypeError, match="could not be made .* explicitly deserialized in"):
        saving.load_model(tmp_path / "m.keras")

    config = saving.serialize_keras_object(Opens(layers.Dense(2, name="d")))
    loaded = saving.deserialize_keras_object(json.loads(json.dumps(config)))
    assert type(loaded.inner) is layers.Dense and loaded.inner.name == "d"
    assert type(loaded.settings["l2"]) is keraslike.regularizers.L2
    model = keraslike.Model(inputs, Opens(layers.Dense(2))(inputs))
    assert keraslike.models.model_from_json(model.to_json()).output_shape == (None, 2)
    model.save(tmp_path / "m.keras")
    x = np.ones((1, 3), "float32")
    np.testing.assert_array_equal(saving.load_model(tmp_path / "m.keras")(x), model(x))


@saving.register_keras_serializable(package="user_configs")
class Cell(layers.LSTMCell):
    def __init__(self, units, kind=None, **kwargs):
        super().__init__(units, **kwargs)
        self.kind = kind

    def get_config(self):
        return {**super().get_config(), "kind": self.kind}


def test_what_a_class_of_keraslike_takes_is_made_for_a_class_that_derives_from_it():
    @saving.register_keras_serializable(package="user_configs")
    class Times(layers.TimeDistributed):
        def get_config(self):
            return {**super().get_config(), "dtype": "float32"}

    for layer in (layers.RNN(Cell(2, kind="a")), Times(layers.Dense(2))):
        config = json.loads(json.dumps(saving.serialize_keras_object(layer)))
        loaded = saving.deserialize_keras_object(config)
        assert loaded(np.ones((1, 3, 4), "float32")).shape[-1] == 2
    assert type(loaded.layer) is layers.Dense


@saving.register_keras_serializable(package="user_configs")
class Compiles(layers.Dense):
    """Has a method that Keras asks of models, and of everything else that has it."""

    def get_compile_config(self):
        return {"loss": keraslike.losses.Huber(2.0)}

    def compile_from_config(self, config):
        self.loss = saving.deserialize_keras_object(config["loss"])


def test_a_layer_with_a_config_of_how_it_was_compiled():
    config = json.loads(json.dumps(saving.serialize_keras_object(Compiles(2))))
    assert saving.deserialize_keras_object(config).loss.delta == 2.0


@pytest.mark.parametrize("framework", [keras, keraslike])
def test_a_registered_function_by_its_bare_name(framework):
    @framework.saving.register_keras_serializable(package="user_configs")
    def squared_by_bare_name(x):
        return x**2

    config = {"class_name": "function", "config": "squared_by_bare_name"}
    config = {"module": "builtins", "registered_name": "function", **config}
    assert framework.saving.deserialize_keras_object(config) is squared_by_bare_name


def test_a_bare_name_that_two_packages_have_is_refused():
    for package in ("one", "two"):

        @saving.register_keras_serializable(package=package)
        def twice_registered(x):
            return x

    config = {"module": "builtins", "class_name": "function", "config": "twice_registered"}
    with pytest.raises(TypeError, match="twice_registered"):
        saving.deserialize_keras_object(config)
