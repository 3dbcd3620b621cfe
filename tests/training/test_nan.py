"""NaN in data: training goes on, and says so once."""

import warnings

import jax.numpy as jnp
import numpy as np
import pytest

import keraslike as keras
from keraslike import layers, ops

X = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")
Y = X[:, :1].copy()
HOLES = X.copy()
HOLES[[3, 17], 1] = np.nan


@pytest.fixture(autouse=True)
def action():
    yield keras.config.set_nan_in_data
    keras.config.set_nan_in_data("warn")


class Imputing(layers.Layer):
    def call(self, x):
        return ops.where(ops.isnan(x), 0.0, x)


def masked(y_true, y_pred):
    known = ~ops.isnan(y_true)
    return ops.where(known, (ops.where(known, y_true, 0.0) - y_pred) ** 2, 0.0)


def make(loss="mse", imputing=True):
    model = keras.Sequential(
        [layers.Input((3,)), *([Imputing()] if imputing else []), layers.Dense(1)]
    )
    model.compile("sgd", loss)
    return model


def once(warned, words):
    told = [str(w.message) for w in warned if "NaN" in str(w.message)]
    assert len(told) == 1 and words in told[0], told
    assert {w.filename for w in warned if "NaN" in str(w.message)} == {__file__}


def batches(x, y, size=8):
    for i in range(0, len(x), size):
        yield x[i : i + size], y[i : i + size]


class Dataset(keras.utils.PyDataset):
    def __len__(self):
        return 5

    def __getitem__(self, i):
        return HOLES[i * 8 : i * 8 + 8], Y[i * 8 : i * 8 + 8]


@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray, lambda x: {"a": x}])
def test_a_model_that_fills_the_holes_trains_and_the_holes_are_counted(kind):
    x = kind(HOLES)
    if isinstance(x, dict):
        inputs = {"a": layers.Input((3,), name="a")}
        model = keras.Model(inputs, layers.Dense(1)(Imputing()(inputs["a"])))
        model.compile("sgd", "mse")
    else:
        model = make()
    with pytest.warns(UserWarning) as warned:
        history = model.fit(x, Y, epochs=3, verbose=0).history
    once(warned, "['a'] holds 2 NaN values in 120" if isinstance(x, dict) else "x holds 2 NaN")
    assert history["loss"][-1] < history["loss"][0]


def test_one_warning_names_each_argument():
    y = Y.copy()
    y[:5] = np.nan
    with pytest.warns(UserWarning) as warned:
        loss = make(masked).fit(HOLES, y, verbose=0).history["loss"]
    once(warned, "x holds 2 NaN values in 120, y holds 5 NaN values in 40")
    assert np.isfinite(loss).all()
    with pytest.warns(UserWarning, match=r"validation_data\[1\] holds 5 NaN"):
        make(masked).fit(X, Y, validation_data=(X, y), verbose=0)


@pytest.mark.parametrize("source", [lambda: Dataset(), lambda: batches(HOLES, Y)])
def test_a_stream_is_told_of_once_at_its_first_hole(source):
    with pytest.warns(UserWarning) as warned:
        loss = make().fit(source(), shuffle=False, verbose=0).history["loss"]
    told = [str(w.message) for w in warned if "NaN" in str(w.message)]
    assert len(told) == 1 and "x of a batch holds 1 NaN values in 24" in told[0]
    assert np.isfinite(loss).all()


def test_a_row_with_a_hole_is_predicted_as_nan_and_the_others_as_ever():
    model = make(imputing=False)
    with pytest.warns(UserWarning) as warned:
        first = model.predict(HOLES, verbose=0)
    once(warned, "x holds 2 NaN")
    with pytest.warns(UserWarning) as warned:
        few = model.predict(HOLES[:20], verbose=0)  # by the short way for one batch
    once(warned, "x holds 2 NaN")
    with pytest.warns(UserWarning, match="x holds 2 NaN"):
        loss = model.evaluate(HOLES, Y, verbose=0)
    rows = np.isnan(HOLES).any(1)
    np.testing.assert_array_equal(np.isnan(first[:, 0]), rows)
    np.testing.assert_allclose(first[:20], few, rtol=1e-6)
    np.testing.assert_allclose(first[~rows], model.predict(X, verbose=0)[~rows], rtol=1e-6)
    assert np.isnan(loss)


def test_terminate_on_nan_stops_at_the_step_or_raises():
    def train(callback):
        model = make(imputing=False)
        steps = []
        watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda b, logs: steps.append(b))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                model.fit(HOLES, Y, batch_size=4, epochs=3, shuffle=False, verbose=0,
                          callbacks=[callback, watch])  # fmt: skip
            finally:
                assert len(steps) in (1, 0)
        return steps

    assert train(keras.callbacks.TerminateOnNaN()) == [0]
    with pytest.raises(RuntimeError, match="encountered at batch 0: nan"):
        train(keras.callbacks.TerminateOnNaN(raise_error=True))


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict", "stream"])
def test_those_who_want_the_error_get_it(method, action):
    action("raise")
    assert keras.config.nan_in_data() == "raise"
    model = make()
    before = model.get_weights()
    with pytest.raises(ValueError, match="holds [12] NaN values in .*: clean the data first"):
        if method == "stream":
            model.fit(batches(HOLES, Y), verbose=0)
        elif method == "predict":
            model.predict(HOLES, verbose=0)
        else:
            getattr(model, method)(HOLES, Y, verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_those_who_want_silence_get_it(action):
    action("ignore")
    model = make()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(HOLES, Y, verbose=0)
        model.fit(batches(HOLES, Y), verbose=0)
        model.predict(HOLES, verbose=0)
    with pytest.raises(ValueError, match="action must be one of"):
        action("sometimes")
