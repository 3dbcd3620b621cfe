"""Every name that Keras has for something that keraslike has as well is known in a file, too."""

import inspect

import keras
import pytest

import keraslike
from keraslike import initializers, layers, models
from keraslike.core import serialization

FAMILIES = (
    *("activations", "constraints", "initializers", "layers", "losses", "metrics"),
    *("optimizers", "regularizers"),
)
NOT_NAMES = ("get", "serialize", "deserialize", "legacy", "schedules")


def names_of_keras(family):
    """`(name, the name of the object's own)` of all that a module of Keras's has."""
    module = getattr(keras, family)
    for name in dir(module):
        found = getattr(module, name)
        if not name.startswith("_") and name not in NOT_NAMES:
            yield name, found


def ours_of(family, theirs):
    """What keraslike has under the own name of an object of Keras's."""
    return vars(getattr(keraslike, family)).get(theirs.__name__)


@pytest.mark.parametrize("family", FAMILIES)
def test_names_and_aliases(family):
    missing, checked = [], 0
    for name, theirs in names_of_keras(family):
        ours = ours_of(family, theirs)
        if ours is None or theirs.__name__ in ("Input", "InputSpec"):
            continue
        is_function = not inspect.isclass(theirs)
        for module in (f"keras.{family}", f"keras.src.{family}.somewhere.deep", "builtins"):
            if module == "builtins" and not is_function:
                module = None
            elif module == "builtins" and family == "metrics":
                continue  # a bare name is that of a loss first
            found = serialization.find(module, name, None, is_function)
            checked += 1
            if getattr(found, "__name__", None) != theirs.__name__:
                missing.append((module, name, found))
    assert checked > 10 and not missing


def test_aliases_in_a_file(tmp_path):
    """Keras's own files have first names only, but those of its users have others."""
    model = keraslike.Sequential(
        [
            keraslike.Input((4, 4, 1)),
            layers.Conv2D(2, 2, kernel_initializer="orthogonal"),
            layers.MaxPooling2D(3),
            layers.Dense(2, kernel_initializer="identity", kernel_regularizer="l2"),
        ]
    )
    text = model.to_json()
    for name, alias in (
        ('"Conv2D"', '"Convolution2D"'),
        ('"MaxPooling2D"', '"MaxPool2D"'),
        ('"Orthogonal"', '"OrthogonalInitializer"'),
        ('"Identity"', '"IdentityInitializer"'),
        ('"class_name": "L2"', '"class_name": "l2"'),
    ):
        assert name in text
        text = text.replace(name, alias)
    again = models.model_from_json(text)
    assert again.get_config() == model.get_config()


def test_short_names_without_a_module():
    def found(class_name, module=None, **config):
        return serialization.deserialize(
            {"module": module, "class_name": class_name, "config": config}
        )

    assert type(found("OrthogonalInitializer")) is initializers.Orthogonal
    assert type(found("glorot_uniform")) is initializers.GlorotUniform
    assert type(found("AvgPool2D", pool_size=2)) is layers.AveragePooling2D
    mse = {"class_name": "function", "config": "mse", "module": "builtins"}
    assert serialization.deserialize(mse) is keraslike.losses.mean_squared_error


@pytest.mark.parametrize("name", ["save_model", "load_model", "EarlyStopping", "early_stopping"])
def test_what_a_file_must_not_name(name):
    for module in (None, "keras.saving", "keras.callbacks", "builtins"):
        for entry in (
            {"class_name": name, "config": {}},
            {"class_name": "function", "config": name},
        ):
            with pytest.raises(TypeError, match="not known here"):
                serialization.deserialize({**entry, "module": module})


def test_a_bare_name_is_not_taken_for_that_of_a_registered_class():
    """As in Keras: a function alone is found without its package, as Keras 3.6 wrote it."""

    @keraslike.saving.register_keras_serializable("bare_names")
    class Bare(layers.Layer):
        pass

    @keraslike.saving.register_keras_serializable("bare_names")
    def bare(x):
        return x

    config = keraslike.saving.serialize_keras_object(Bare())
    assert type(keraslike.saving.deserialize_keras_object(config)) is Bare
    with pytest.raises(TypeError, match="'Bare' is not known here"):
        keraslike.saving.deserialize_keras_object({**config, "registered_name": None})
    entry = {"module": "builtins", "class_name": "function", "config": "bare"}
    assert keraslike.saving.deserialize_keras_object(entry) is bare
