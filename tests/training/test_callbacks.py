"""Callbacks in what their arguments and odd cases mean."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import keraslike as keras

X = np.ones((8, 3), "float32")
Y = np.ones((8, 1), "float32")


def make():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("kind", ["ModelCheckpoint", "OrbaxCheckpoint"])
def test_a_model_that_cannot_be_told_to_be_better_is_saved_with_a_warning(kind, tmp_path):
    path = tmp_path / ("m.keras" if kind == "ModelCheckpoint" else "checkpoints")
    saver = getattr(keras.callbacks, kind)(path, monitor="unknown", save_best_only=True, mode="min")
    with pytest.warns(UserWarning, match="'unknown', which is not among the logs: loss"):
        model = make()
        model.fit(X, Y, verbose=0, callbacks=[saver])
    loaded = keras.saving.load_model(path)
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_model_that_is_no_better_is_not_saved_but_orbaxs_directory_is_made(tmp_path):
    saver = keras.callbacks.OrbaxCheckpoint(
        tmp_path / "a" / "b", monitor="loss", save_best_only=True, initial_value_threshold=-1.0
    )
    best = keras.callbacks.ModelCheckpoint(
        tmp_path / "m.keras", monitor="loss", save_best_only=True, initial_value_threshold=-1.0
    )
    make().fit(X, Y, verbose=0, callbacks=[saver, best])
    assert os.listdir(tmp_path / "a" / "b") == [] and not (tmp_path / "m.keras").exists()


def test_lambda_callback_keeps_other_functions_as_attributes():
    callback = keras.callbacks.LambdaCallback(custom=max, on_train_end=lambda logs: None)
    assert callback.custom(1, 2) == 2
    with pytest.raises(ValueError, match="on_nothing is no hook"):
        keras.callbacks.LambdaCallback(on_nothing=print)


def test_history_sorts_its_names_and_callbacks_add_theirs_at_the_end():
    class Adds(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["added"] = 1.0

    model = make()
    model.compile("sgd", "mse", metrics=["mae", "accuracy"])
    history = model.fit(X, Y, validation_data=(X, Y), verbose=0, callbacks=[Adds()]).history
    assert list(history) == [
        "accuracy", "loss", "mae", "val_accuracy", "val_loss", "val_mae", "added"
    ]  # fmt: skip


def test_utilities_give_jax_arrays_of_jax_arrays():
    labels, rows = jnp.array([0, 2]), jnp.array([[3.0, 4.0]])
    one_hot, unit = keras.utils.to_categorical(labels, 3), keras.utils.normalize(rows)
    assert isinstance(one_hot, jax.Array) and isinstance(unit, jax.Array)
    np.testing.assert_array_equal(one_hot, keras.utils.to_categorical([0, 2], 3))
    np.testing.assert_allclose(unit, [[0.6, 0.8]], rtol=1e-6)
    assert isinstance(keras.utils.normalize([[3.0, 4.0]]), np.ndarray)


def test_a_compile_that_takes_other_arguments_is_left_to_its_author(tmp_path):
    @keras.saving.register_keras_serializable(package="test_callbacks")
    class Own(keras.Sequential):
        def compile(self, rate):
            super().compile(keras.optimizers.SGD(rate), "mse")

    model = Own([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(0.1)
    model.save(tmp_path / "m.keras")
    with pytest.warns(UserWarning, match=r"compile\(\) of Own does not take what was saved"):
        loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert not loaded.compiled  # Keras says that it is, and fails in fit()
    loaded.compile(0.1)
    loaded.fit(X, Y, verbose=0)
