"""Threads that train, call and save models at the same time, and generators that use models.

`KERASLIKE_STRESS_ROUNDS=200` runs each scenario that often; one round is part of the suite.
"""

import os
import threading
import warnings

import jax
import numpy as np
import pytest

import keraslike as keras
import keraslike.tf
from keraslike.core import base, context, guards, lowering, rng

ROUNDS = range(int(os.environ.get("KERASLIKE_STRESS_ROUNDS", "1")))
X = np.random.default_rng(0).normal(size=(96, 4)).astype("float32")
Y = X.sum(axis=1, keepdims=True)


class AddsLoss(keras.layers.Layer):
    def call(self, x):
        self.last = x  # a tracer, while a step is traced
        self.add_loss(1e-3 * keras.ops.mean(x**2))
        return x


def make(seed=0):
    init = lambda k: keras.initializers.GlorotUniform(seed=seed + k)  # noqa: E731
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(8, activation="relu", kernel_initializer=init(1)),
            AddsLoss(),
            keras.layers.Dropout(0.2, seed=seed),
            keras.layers.Dense(1, kernel_initializer=init(2)),
        ]
    )
    model.compile("adam", "mse")
    return model


def at_once(*functions):
    """Runs functions in threads that begin together; returns what they gave, in order."""
    gate, results, errors = threading.Barrier(len(functions)), [None] * len(functions), []

    def run(i, function):
        gate.wait()
        try:
            results[i] = function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def trained(model):
    model.fit(X, Y, batch_size=16, epochs=2, shuffle=False, verbose=0)
    return model.get_weights()


def assert_usable(*models):
    """No object holds a tracer or an array that is gone, and everything goes on."""
    assert not context.state.held
    for v in base.variables_of(*models, rng.global_stream()):
        value = v._raw_value
        assert not isinstance(value, jax.core.Tracer) and not value.is_deleted()
    for model in models:
        assert not any(lowering._holds_tracer(vars(o)) for o in base.iter_objects(model))
        assert all(np.isfinite(w).all() for w in trained(model))
    keras.random.normal((2,))


def same(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("number", ROUNDS)
def test_two_threads_train_two_models(number):
    expected = [trained(make(number)), trained(make(number + 50))]
    models = [make(number), make(number + 50)]
    found = at_once(*[lambda m=m: trained(m) for m in models])
    for a, b in zip(found, expected):
        same(a, b)
    assert_usable(*models)


@pytest.mark.parametrize("number", ROUNDS)
def test_training_beside_predict_and_eager_calls_of_another_model(number):
    expected = trained(make(number))
    training, other = make(number), make(7)
    outputs = np.asarray(other(X))

    def predict():
        return [other.predict(X[:n], verbose=0) for n in (3, 96, 5 + number % 40)]

    def call():
        return [np.asarray(other(X)) for _ in range(5)]

    weights, predicted, called = at_once(lambda: trained(training), predict, call)
    same(weights, expected)
    for p in predicted:
        np.testing.assert_allclose(p, outputs[: len(p)], rtol=1e-5, atol=1e-6)
    for c in called:
        np.testing.assert_array_equal(c, outputs)
    assert_usable(training, other)


@pytest.mark.parametrize("number", ROUNDS)
def test_predict_with_sizes_that_compile_anew(number):
    model = make(number)
    outputs = np.asarray(model(X))

    def predict(first):
        return [model.predict(X[:n], verbose=0, batch_size=96) for n in range(first, first + 6, 2)]

    for some in at_once(lambda: predict(3), lambda: predict(4), lambda: predict(3)):
        for p in some:
            np.testing.assert_allclose(p, outputs[: len(p)], rtol=1e-5, atol=1e-6)
    assert_usable(model)


@pytest.mark.parametrize("number", ROUNDS)
def test_the_model_in_training_is_called_read_and_saved(number, tmp_path):
    expected = trained(make(number))
    model = make(number)
    model.predict(X, verbose=0)
    path = str(tmp_path / "model.keras")

    def read():
        for _ in range(5):
            assert np.isfinite(model.predict(X[:7], verbose=0)).all()
            assert np.isfinite(np.asarray(model(X))).all()
            held = model.layers[0].kernel.value
            assert np.isfinite(np.asarray(held)).all()

    def save():
        for _ in range(2):
            model.save(path)
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # the optimizer's state is whole, or not there yet
                saved = keras.saving.load_model(path, custom_objects={"AddsLoss": AddsLoss})
            assert np.isfinite(saved.predict(X, verbose=0)).all()

    weights, _, _ = at_once(lambda: trained(model), read, save)
    same(weights, expected)
    assert_usable(model)


@pytest.mark.parametrize("number", ROUNDS)
def test_a_generator_that_uses_models(number):
    model, other = make(number), make(3)
    seen = []

    def batches():
        while True:
            x = np.asarray(keras.random.normal((16, 4)))
            seen.append(int(model.optimizer.iterations))
            target = model.predict(x, verbose=0) * 0.5 + np.asarray(model(x)) * 0.5
            other.train_on_batch(X[:16], Y[:16])
            yield x, target

    model.fit(batches(), steps_per_epoch=4, epochs=2, verbose=0)
    assert int(other.optimizer.iterations) == 8
    assert seen == [0, *range(1, 8)]  # each batch is made after the step before it
    assert_usable(model, other)


@pytest.mark.parametrize("make_variable", [keras.Variable, keras.tf.Variable])
def test_no_update_is_lost(make_variable):
    variable = make_variable(0.0)

    def count():
        for _ in range(50):
            variable.assign_add(3.0)
            variable.assign_sub(1.0)

    at_once(*[count] * 4)
    assert float(variable.numpy()) == 400


@pytest.mark.parametrize("fails", ["while tracing", "in a callback", "without memory"])
def test_a_failure_leaves_the_state_as_it_was(fails):
    class Fails(keras.layers.Layer):
        active = False

        def call(self, x):
            self.last = x
            if not self.active:
                return x
            if fails == "while tracing":
                raise RuntimeError("mine")
            if fails == "in a callback":
                return x + jax.pure_callback(_raises, jax.ShapeDtypeStruct((), "float32"), x)
            many = keras.ops.ones((1 << 23,)) * x[0, 0]
            return x + keras.ops.max(keras.ops.sort(many[:, None] * many[None], axis=0)[::7, ::7])

    layer = Fails()
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), layer])
    model.compile("adam", "mse")
    model.fit(X, X, verbose=0)
    before = model.get_weights()
    layer.active = True
    model.compile(model.optimizer, "mse")
    with pytest.raises(Exception):  # noqa: B017 (each fails in its own way)
        model.fit(X, X, verbose=0)
    layer.active = False
    same(model.get_weights(), before)
    model.compile(model.optimizer, "mse")
    assert_usable()
    model.fit(X, X, verbose=0)


def _raises(x):
    raise RuntimeError("mine")


def test_an_interrupt_while_waiting_for_locks_leaves_none_held():
    class Interrupted:
        def acquire(self):
            raise KeyboardInterrupt

    first = threading.Lock()
    with pytest.raises(KeyboardInterrupt), guards.Locks([first, Interrupted()]):
        pass
    assert not first.locked()


def test_the_switch_that_copies_always():
    expected = trained(make())
    keras.config.set_copy_before_donation(True)
    try:
        model = make()
        held = model.layers[0].kernel.value
        value = np.array(held)
        same(trained(model), expected)
        np.testing.assert_array_equal(held, value)
    finally:
        keras.config.set_copy_before_donation(False)
    with pytest.raises(ValueError, match="value must be True or False"):
        keras.config.set_copy_before_donation("yes")
