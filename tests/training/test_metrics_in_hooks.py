"""Callbacks that reset metrics, evaluate the model or change logs, beside Keras."""

import keras
import numpy as np
import pytest

import keraslike

pytestmark = pytest.mark.slow

X = np.linspace(-1, 1, 18, dtype="float32").reshape(6, 3)
Y = np.ones((6, 2), "float32")


def history(library, hook, at, act):
    """What fit reports if the call of this number of a hook does something to the model."""

    def once(callback, logs=None):
        callback.calls += 1
        if callback.calls == at:
            act(callback.model, logs)

    def numbered(callback, number, logs=None):
        once(callback, logs)

    called = once if hook in ("on_test_begin", "on_test_end") else numbered
    kind = type("Acting", (library.callbacks.Callback,), {hook: called, "calls": 0})
    model = library.Sequential(
        [library.Input((3,)), library.layers.Dense(2, kernel_initializer="ones")]
    )
    model.compile(
        library.optimizers.SGD(0.05),
        library.losses.MeanSquaredError(),
        metrics=[library.metrics.MeanAbsoluteError(name="mae")],
    )
    done = model.fit(
        X,
        Y,
        batch_size=2,
        epochs=2,
        shuffle=False,
        verbose=0,
        validation_data=(X[:4], Y[:4]),
        validation_batch_size=2,
        callbacks=[kind()],
    )
    return done.history


ACTIONS = {
    "reset": lambda model, logs: model.reset_metrics(),
    "evaluate": lambda model, logs: model.evaluate(X, Y, batch_size=2, verbose=0),
    "add": lambda model, logs: logs is None or logs.update(extra=1.5),
    "clear": lambda model, logs: logs is None or logs.clear(),
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    ("hook", "at"),
    [
        ("on_train_batch_end", 2),
        ("on_train_batch_end", 3),  # The last one of an epoch.
        ("on_test_begin", 2),
        ("on_test_batch_end", 2),
        ("on_test_end", 1),
        ("on_epoch_end", 1),
    ],
)
def test_history_is_that_of_keras(hook, at, action):
    theirs, ours = (history(k, hook, at, ACTIONS[action]) for k in (keras, keraslike))
    assert sorted(ours) == sorted(theirs)
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, rtol=1e-4, err_msg=name)


def test_metrics_are_those_of_training_when_a_validation_begins():
    seen = []

    class Looking(keraslike.callbacks.Callback):
        def on_test_begin(self, logs=None):
            seen.append(float(self.model.get_metrics_result()["loss"]))

    model = keraslike.Sequential([keraslike.Input((3,)), keraslike.layers.Dense(2)])
    model.compile("sgd", "mse")
    done = model.fit(X, Y, verbose=0, validation_data=(X, Y), callbacks=[Looking()])
    np.testing.assert_allclose(seen, done.history["loss"], rtol=1e-6)


def test_a_function_of_a_lambda_callback_changes_metrics_too():
    model = keraslike.Sequential([keraslike.Input((3,)), keraslike.layers.Dense(2)])
    model.compile("sgd", "mse")
    reset = keraslike.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: model.reset_metrics()
    )
    assert model.fit(X, Y, verbose=0, callbacks=[reset]).history["loss"] == [0.0]


@pytest.mark.parametrize("library", [keras, keraslike], ids=["keras", "keraslike"])
def test_batch_hooks_may_take_logs_as_a_keyword(library):
    seen = []

    class Seeing(library.callbacks.Callback):
        def on_train_batch_end(self, batch, **kwargs):
            seen.append((batch, *kwargs["logs"]))

        def on_test_batch_end(self, batch, *, logs):
            seen.append((batch, *logs))

        def on_predict_batch_begin(self, batch, logs=None):
            seen.append((batch, logs is None or logs == {}))

    model = library.Sequential([library.Input((3,)), library.layers.Dense(2)])
    model.compile("sgd", library.losses.MeanSquaredError())
    model.fit(X, Y, batch_size=3, verbose=0, callbacks=[Seeing()])
    model.evaluate(X, Y, verbose=0, callbacks=[Seeing()])
    model.predict(X, verbose=0, callbacks=[Seeing()])
    assert seen == [(0, "loss"), (1, "loss"), (0, "loss"), (0, True)]
