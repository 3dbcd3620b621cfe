"""Data that ends before the steps that were asked for: a warning, and what was done until then."""

import warnings

import numpy as np
import pytest

import keraslike as keras

X = np.random.default_rng(0).normal(size=(24, 3)).astype("float32")
Y = X[:, :1]


def generator(count):
    for i in range(count):
        yield X[4 * i : 4 * i + 4], Y[4 * i : 4 * i + 4]


def make():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    model.compile("sgd", "mse")
    return model


def run(function):
    """The History or result, and the warnings about the end of data."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        result = function(make())
    told = [w for w in warned if "ran out of data" in str(w.message)]
    assert {w.filename for w in told} <= {__file__}
    return result, len(told)


@pytest.mark.parametrize(
    "batches, arguments, epochs, steps",
    [
        (3, {"steps_per_epoch": 5}, 1, 3),
        (3, {"steps_per_epoch": 5, "epochs": 3}, 1, 3),
        (4, {"steps_per_epoch": 2, "epochs": 3}, 2, 4),
        (5, {"steps_per_epoch": 2, "epochs": 4}, 3, 5),
        (3, {"epochs": 3}, 1, 3),
    ],
)
def test_a_generator_that_ends_early(batches, arguments, epochs, steps):
    def fit(model):
        history = model.fit(generator(batches), verbose=0, **arguments)
        assert int(model.optimizer.iterations) == steps
        return history

    history, told = run(fit)
    assert told == 1 and history.epoch == list(range(epochs))
    assert len(history.history["loss"]) == epochs and np.isfinite(history.history["loss"]).all()


def test_enough_data_is_not_spoken_of():
    assert run(lambda m: m.fit(generator(4), steps_per_epoch=2, epochs=2, verbose=0))[1] == 0
    assert run(lambda m: m.fit(generator(3), verbose=0))[1] == 0
    assert run(lambda m: m.fit(X, Y, batch_size=8, steps_per_epoch=1, epochs=4, verbose=0))[1] == 0

    class Stops(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = True

    assert run(lambda m: m.fit(X, Y, steps_per_epoch=1, verbose=0, callbacks=[Stops()]))[1] == 0


def test_without_a_batch_size_arrays_are_cut_into_as_many_batches_as_there_are_steps():
    """As in Keras."""
    cut = make().fit(X[:23], Y[:23], steps_per_epoch=3, epochs=2, shuffle=False, verbose=0)
    expected = make().fit(X[:23], Y[:23], batch_size=8, epochs=2, shuffle=False, verbose=0)
    assert cut.history == expected.history and cut.params["steps"] == 3


def test_more_steps_than_arrays_have_are_those_that_they_have():
    few, told = run(
        lambda m: m.fit(X, Y, batch_size=8, steps_per_epoch=9, epochs=2, shuffle=False, verbose=0)
    )
    expected = make().fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    assert told == 1 and few.history == expected.history


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize("stop", [None, 2])
def test_short_epochs_go_on_in_the_data(eagerly, stop, tmp_path):
    """As in Keras: what all epochs together take are the batches in their order."""

    def fit(model, epochs=3, callbacks=()):
        model.run_eagerly = eagerly
        arguments = {"steps_per_epoch": 2, "shuffle": True, "verbose": 0, "callbacks": callbacks}
        model.fit(X, Y, batch_size=4, epochs=epochs, **arguments)
        return model.get_weights()

    keras.utils.set_random_seed(1)
    expected = make()
    expected.fit(X, Y, batch_size=4, verbose=0)  # six batches
    keras.utils.set_random_seed(1)
    model = make()
    if stop is not None:  # and it goes on there after a break, too
        backup = [keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)]
        fit(model, stop, backup)
        model = make()
        fit(model, 3, backup)
    else:
        fit(model)
    for a, b in zip(model.get_weights(), expected.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("source", [lambda: (generator(3), None), lambda: (X[:12], Y[:12])])
def test_evaluate_and_predict_say_so_too(source):
    x, y = source()
    loss, told = run(lambda m: m.evaluate(x, y, batch_size=4, steps=5, verbose=0))
    assert told == 1 and loss == pytest.approx(np.mean(Y[:12] ** 2), rel=1e-5)
    outputs, told = run(lambda m: m.predict(source()[0], batch_size=4, steps=5, verbose=0))
    assert told == 1 and outputs.shape == (12, 1)


def test_validation_goes_on_as_long_as_its_generator_does():
    history, told = run(
        lambda m: m.fit(X, Y, epochs=3, validation_data=generator(4), validation_steps=2, verbose=0)
    )
    assert told == 1 and len(history.history["loss"]) == 3 and len(history.history["val_loss"]) == 2


class Numbers(keras.utils.PyDataset):
    """Batches whose loss is 1, 2 and 3."""

    def __len__(self):
        return 3

    def __getitem__(self, number):
        return np.zeros((2, 3)), np.full((2, 1), (number + 1.0) ** 0.5)


@pytest.mark.parametrize(
    "arguments, name, expected",
    [
        ({"validation_data": Numbers(), "validation_steps": 2}, "val_loss", [1.5, 1.5, 1.5]),
        ({"steps_per_epoch": 2}, "loss", [1.5, 3.0, 1.5]),
        ({"steps_per_epoch": 5}, "loss", [2.0, 2.0, 2.0]),
    ],
)
def test_a_dataset_is_begun_anew_where_keras_does(arguments, name, expected):
    """Evaluations begin at the first batch, training goes on, and an epoch ends with the data."""
    model = make()
    model.compile(keras.optimizers.SGD(0.0), "mse")
    history = model.fit(Numbers(), epochs=3, shuffle=False, verbose=0, **arguments).history
    np.testing.assert_allclose(history[name], expected, rtol=1e-6)
