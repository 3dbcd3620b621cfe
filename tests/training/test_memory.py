"""`fit` holds parameters and optimizer state once: a step writes where it has read."""

import copy

import jax
import numpy as np
import pytest
from flax import nnx

import keraslike as keras
from keraslike.core import lowering
from keraslike.training.program import Program

X = np.ones((96, 64), "float32")


@pytest.fixture(params=["auto", 1, 3], ids=["auto", "one step", "three steps"])
def trained(request, monkeypatch):
    """A model after `fit`, its program, the state before each dispatch and what was called."""
    before, calls = [], []
    run = Program._attempt

    def recorded(self, function, args):
        given = (*self._arguments(), *args)
        shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(np.shape(a), a.dtype), given)
        calls.append((function, shapes))
        before.append(given[0])
        return run(self, function, args)

    monkeypatch.setattr(Program, "_attempt", recorded)
    model = keras.Sequential([keras.layers.Dense(128, activation="relu"), keras.layers.Dense(1)])
    model.compile("adam", "mse", steps_per_execution=request.param)
    model.fit(X, X[:, 0], batch_size=16, epochs=1, verbose=0)
    return model, before, calls


def test_the_state_is_donated(trained):
    model, before, _ = trained
    # The first dispatch is given copies of what the user may hold; what it gives back is its own.
    assert len(before) > 1
    for state in before[1:]:
        assert all(array.is_deleted() for array in state if array.nbytes > 1000)
    assert not any(v._raw_value.is_deleted() for v in model.variables)


def test_a_step_writes_where_it_has_read(trained):
    _, _, calls = trained
    function, shapes = calls[-1]
    memory = function.lower(*shapes).compile().memory_analysis()
    state = sum(s.size * s.dtype.itemsize for s in jax.tree.leaves(shapes[0]))
    assert memory.alias_size_in_bytes >= 0.99 * state
    own = memory.output_size_in_bytes - memory.alias_size_in_bytes
    assert own < 0.1 * state


def test_activations_are_held_once(trained):
    """What a step needs besides: activations, gradients, and no second state or data."""
    model, _, calls = trained
    function, shapes = calls[-1]
    memory = function.lower(*shapes).compile().memory_analysis()
    gradients = sum(v.size * 4 for v in model.trainable_variables)
    activations = 16 * (64 + 3 * 128 + 4) * 4
    assert memory.temp_size_in_bytes < 1.5 * (gradients + activations)


def test_arrays_that_the_user_holds_live_on():
    model = keras.Sequential([keras.layers.Dense(128), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.build((None, 64))
    held = model.layers[0].kernel.value
    value = np.array(held)
    model.fit(X, X[:, 0], verbose=0)
    np.testing.assert_array_equal(held, value)
    assert not np.array_equal(model.layers[0].kernel.value, value)


def _fitted() -> keras.Model:
    model = keras.Sequential([keras.layers.Dense(16, activation="relu"), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(X, X[:, 0], verbose=0)
    return model


@pytest.mark.parametrize(
    "take",
    [
        lambda model: model.layers[0].kernel.value,
        lambda model: jax.device_put(model.layers[0].kernel.value, jax.devices()[0]),
        lambda model: model.layers[0].kernel.addressable_data(0),
        lambda model: model.layers[0].kernel.get_raw_value(),
        lambda model: np.from_dlpack(model.layers[0].kernel.value),
        lambda model: model.layers[0].kernel.numpy(),
        lambda model: jax.device_put(jax.tree.leaves(model), jax.devices()[0]),
        lambda model: jax.tree.leaves(jax.device_put(model, jax.devices()[0])),
        lambda model: jax.tree.leaves(nnx.split(model)[1]),
        lambda model: [copy.deepcopy(model).layers[0].kernel.value],
        lambda model: jax.tree.leaves(model.optimizer),
    ],
)
def test_what_somebody_was_given_outlives_further_training(take):
    """Also where it is another array of the same memory, which a count of references misses."""
    model = _fitted()
    taken = take(model)
    values = jax.tree.map(np.array, taken)
    model.fit(X, X[:, 0], verbose=0)
    model.train_on_batch(X[:8], X[:8, 0])
    jax.tree.map(np.testing.assert_array_equal, taken, values)


def test_a_model_put_on_a_device_and_the_one_it_came_from_train_apart():
    model = _fitted()
    other = jax.device_put(model, jax.devices()[0])
    other.compile("sgd", "mse")
    before = model.get_weights()
    other.fit(X, X[:, 0], verbose=0)
    for a, b in zip(model.get_weights(), before):
        np.testing.assert_array_equal(a, b)


def test_state_that_nobody_was_given_is_not_copied(monkeypatch):
    model, copied = _fitted(), []
    model.train_on_batch(X[:8], X[:8, 0])  # the first run of a program keeps a copy to go back to
    model.evaluate(X, X[:, 0], verbose=0)
    real = lowering.host.copied
    monkeypatch.setattr(lowering.host, "copied", lambda some: copied.extend(some) or real(some))
    model.fit(X, X[:, 0], verbose=0)
    model.train_on_batch(X[:8], X[:8, 0])
    model.evaluate(X, X[:, 0], verbose=0)
    assert all(a.size == 1 for a in copied)  # metrics that were reset, by assigning to them
    kernel = model.layers[0].kernel.value
    model.fit(X, X[:, 0], verbose=0)
    assert [a is kernel for a in copied if a.size > 1] == [True]
