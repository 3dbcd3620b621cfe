"""What a user is told of bad input: the argument, what was given, what was expected."""

import numpy as np
import pytest

import keraslike as keras
from keraslike import layers

X, Y = np.ones((8, 3), "float32"), np.ones((8, 1), "float32")


def _model(**compiled):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    model.compile("sgd", "mse", **compiled)
    return model


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: keras.Sequential(layers.Dense(3), layers.Dense(2)), "trainable.* True or"),
        (lambda: keras.Sequential([layers.Dense]), "class Dense: make a layer of it"),
        (lambda: keras.Sequential().add(layers.Dense), "class Dense: make a layer of it"),
        (lambda: keras.Sequential([int]), "Only instances of Layer can be added"),
        (lambda: layers.Dense(3)(5), r"Only input tensors.* Received: 5 .*\(Dense\)"),
        (lambda: layers.Dense(3)("a"), r"\(Dense\) takes numbers. Received text"),
        (lambda: layers.Dense(3)(layers.Dense(2)), r"\(Dense\) must be called on arrays"),
        (lambda: keras.Input((3,)) + keras.Input((4,)), r"\(None, 3\), \(None, 4\)"),
    ],
)
def test_layers_and_models_say_what_they_were_given(make, said):
    with pytest.raises((TypeError, ValueError), match=said):
        make()


def test_a_call_without_inputs_names_what_is_missing():
    with pytest.raises(TypeError, match="missing a required argument: 'inputs'"):
        layers.Dense(3)()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"x": 3, "y": 4}, "x must be an array with an axis of samples. Received one number: 3"),
        ({"verbose": "loud"}, "verbose must be .* Received: verbose='loud'"),
        ({"epochs": "2"}, "epochs must be an integer.* Received: epochs='2'"),
        ({"epochs": 2.5}, "epochs must be an integer .* Received: epochs=2.5"),
        ({"initial_epoch": "2"}, "initial_epoch must be an integer"),
        ({"steps_per_epoch": "2"}, "steps_per_epoch must be an integer"),
        ({"validation_split": "2"}, "validation_split must be a number"),
        ({"class_weight": [1.0, 2.0]}, r"class_weight must be a dict .* class_weight=\[1.0, 2.0\]"),
        ({"class_weight": {"a": 1.0}}, "class_weight must be a dict of class numbers"),
        ({"class_weight": {0.5: 1.0}}, "class_weight must be a dict of class numbers"),
        ({"class_weight": {0: 1.0}, "sample_weight": Y}, "sample_weight and class_weight cannot"),
        ({"class_weight": {0: 1.0}, "y": np.ones((8, 3, 2))}, "class_weight needs one class"),
        ({"class_weight": {0: 1.0}, "y": np.full((8, 3), 2)}, "class_weight needs one class"),
        ({"callbacks": 3}, "callbacks must be a list of Callback objects. Received: 3"),
        ({"callbacks": [keras.callbacks.EarlyStopping]}, "callbacks must hold Callback objects"),
    ],
)
def test_fit_names_the_argument_and_changes_nothing(arguments, said):
    model = _model()
    before = model.get_weights()
    with pytest.raises((TypeError, ValueError), match=said):
        model.fit(**{"x": X, "y": Y, "verbose": 0, **arguments})
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_evaluate_and_predict_check_verbose():
    model = _model()
    with pytest.raises(ValueError, match="verbose='loud'"):
        model.predict(X, verbose="loud")
    with pytest.raises(ValueError, match="verbose='loud'"):
        model.evaluate(X, Y, verbose="loud")


def test_class_weight_of_two_outputs_speaks_of_class_weight():
    x = keras.Input((3,))
    model = keras.Model(x, [layers.Dense(1)(x), layers.Dense(1)(x)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="class_weight is for models of one output"):
        model.fit(X, [Y, Y], class_weight={0: 1.0}, verbose=0)


def test_a_dict_with_the_wrong_key_shows_the_keys_given():
    x = keras.Input((3,), name="left")
    model = keras.Model({"left": x}, layers.Dense(1)(x))
    with pytest.raises(ValueError, match=r"lacks \['left'\]. Its keys: \['right'\]"):
        model.predict({"right": X}, verbose=0)


def test_errors_of_files_have_public_names(tmp_path):
    assert keras.errors.NoSuchFile.__module__ == "keraslike.errors"
    with pytest.raises(keras.errors.NoSuchFile, match="there is no file"):
        keras.models.load_model(tmp_path / "none.keras")
    (tmp_path / "bad.keras").write_bytes(b"no zip archive")
    with pytest.raises(keras.errors.DamagedFile, match="bad.keras"):
        keras.models.load_model(tmp_path / "bad.keras")
    with pytest.raises(keras.errors.NoCheckpoint, match="without a finished checkpoint"):
        keras.models.load_model(tmp_path)


def test_a_variable_shows_a_few_numbers():
    shown = repr(keras.Variable(np.zeros((1000, 1000), "float32"), name="big"))
    assert "shape=(1000, 1000)" in shown and "float32" in shown
    assert len(shown) < 150 and "\n" not in shown
    assert "value=[1. 2.]" in repr(keras.Variable([1.0, 2.0]))
