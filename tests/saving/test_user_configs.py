"""What users' `get_config`, `get_compile_config` and registered names may hold."""

import json

import keras
import numpy as np
import pytest

import keraslike
from keraslike import layers, saving


@saving.register_keras_serializable(package="user_configs")
class Around(layers.Layer):
    """Its config has the inner layer as it is."""

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


def test_objects_as_they_are_in_a_config(tmp_path):
    config = saving.serialize_keras_object(Around(layers.Dense(2, name="d")))
    loaded = saving.deserialize_keras_object(json.loads(json.dumps(config)))
    assert type(loaded.inner) is layers.Dense and loaded.inner.name == "d"
    assert type(loaded.settings["l2"]) is keraslike.regularizers.L2
    inputs = layers.Input((3,))
    model = keraslike.Model(inputs, Around(layers.Dense(2))(inputs))
    assert keraslike.models.model_from_json(model.to_json()).output_shape == (None, 2)
    model.save(tmp_path / "m.keras")
    x = np.ones((1, 3), "float32")
    np.testing.assert_array_equal(saving.load_model(tmp_path / "m.keras")(x), model(x))


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
