"""`make_train_function` and its like: functions of state and an iterator, as on Keras with JAX."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import keraslike

pytestmark = pytest.mark.slow

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(8, 3)).astype("float32")
Y = RANDOM.normal(size=(8, 1)).astype("float32")
KERNEL = RANDOM.normal(size=(3, 1)).astype("float32")
BATCHES = [(X[:4], Y[:4]), (X[4:], Y[4:])]


def model_of(framework, cls=None, **settings):
    inputs = framework.Input((3,))
    outputs = framework.layers.Dense(1)(framework.layers.BatchNormalization()(inputs))
    model = (cls or framework.Model)(inputs, outputs)
    model.layers[-1].set_weights([KERNEL, np.zeros(1, "float32")])
    model.compile("adam", "mse", metrics=["mae"], **settings)
    model.optimizer.build(model.trainable_variables)
    model.train_on_batch(*BATCHES[0])  # in Keras metrics are made by the first batch
    return model


def values(variables):
    return [np.asarray(v) for v in variables]


def state_of(model, mode):
    parts = [model.trainable_variables, model.non_trainable_variables]
    parts += [model.optimizer.variables] if mode == "train" else []
    parts += [model.metrics_variables] if mode != "predict" else []
    return tuple([jnp.array(v) for v in values(part)] for part in parts)


@pytest.mark.parametrize("mode", ["train", "test", "predict"])
@pytest.mark.parametrize("steps", [1, 2])
def test_the_functions_that_are_made(mode, steps):
    seen = []
    for framework in (keras, keraslike):
        model = model_of(framework, steps_per_execution=steps)
        setattr(model, f"{mode}_function", None)
        getattr(model, f"make_{mode}_function")()
        function = getattr(model, f"{mode}_function")
        getattr(model, f"make_{mode}_function")()
        assert getattr(model, f"{mode}_function") is function
        before = values(model.variables)
        iterator = iter([(BATCHES[0][0],), (BATCHES[1][0],)] if mode == "predict" else BATCHES)
        results, new = function(state_of(model, mode), iterator)
        assert len(list(iterator)) == 2 - steps
        if framework is keraslike:  # a pure function
            for a, b in zip(values(model.variables), before):
                np.testing.assert_array_equal(a, b)
        seen.append((results, new))
        with pytest.raises(StopIteration):
            function(new, iter([]))
    for theirs, ours in zip(jax.tree.leaves(seen[0]), jax.tree.leaves(seen[1]), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    assert keras.tree.map_structure(np.shape, seen[0]) == keras.tree.map_structure(
        np.shape, seen[1]
    )


def counting(framework):
    class Counting(framework.Model):
        counts = None

        def _wrap(self, mode):
            inner = getattr(self, f"{mode}_function")

            def function(state, iterator):
                self.counts = [*(self.counts or []), mode]
                return inner(state, iterator)

            setattr(self, f"{mode}_function", function)

        def make_train_function(self, force=False):
            if self.train_function is None:
                super().make_train_function(force)
                self._wrap("train")

        def make_test_function(self, force=False):
            if self.test_function is None:
                super().make_test_function(force)
                self._wrap("test")

        def make_predict_function(self, force=False):
            if self.predict_function is None:
                super().make_predict_function(force)
                self._wrap("predict")

    return Counting


def test_a_class_may_make_its_own():
    plain = model_of(keraslike)
    results = []
    for framework, model in [
        (keras, model_of(keras, counting(keras))),
        (keraslike, model_of(keraslike, counting(keraslike))),
        (None, plain),
    ]:
        given = {"batch_size": 4, "shuffle": False, "verbose": 0}
        model.counts = []
        history = model.fit(X, Y, epochs=2, validation_data=(X, Y), **given).history
        logs = model.evaluate(X, Y, batch_size=4, verbose=0)
        outputs = model.predict(X, batch_size=4, verbose=0)
        if framework is not None:
            epoch = ["train", "train", "test", "test"]
            assert model.counts == [*epoch, *epoch, "test", "test", "predict", "predict"]
        results.append((history, logs, outputs, values(model.weights)))
    for other in results[1:]:
        for a, b in zip(jax.tree.leaves(results[0]), jax.tree.leaves(other), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5)


def test_one_that_is_set_serves_until_the_next_compile():
    model = model_of(keraslike)
    model.predict(X, verbose=0)
    model.predict_function = lambda state, iterator: (next(iterator)[:, :1] * 0 + 7, state)
    assert model.predict(X, verbose=0).tolist() == [[7.0]] * 8
    assert model.predict_on_batch(X).tolist() == [[7.0]] * 8
    model.compile("sgd", "mse")
    assert model.predict_function is None
    assert model.predict(X, verbose=0).tolist() != [[7.0]] * 8


def test_one_that_fails_after_it_took_the_memory_leaves_the_model_as_it_was():
    model = model_of(keraslike)
    before = values(model.variables)

    def function(state, iterator):
        jax.jit(lambda s: jax.tree.map(lambda v: v * 0, s), donate_argnums=0)(state)
        raise RuntimeError("no more")

    model.train_function = function
    with pytest.raises(RuntimeError, match="no more"):
        model.fit(X, Y, verbose=0)
    for a, b in zip(values(model.weights), before):
        np.testing.assert_array_equal(a, b)
    model.train_function = None
    assert np.isfinite(model.fit(X, Y, verbose=0).history["loss"][0])


def test_a_step_of_ones_own_is_what_the_function_runs():
    class Own(keraslike.Model):
        def train_step(self, data):
            return {**super().train_step(data), "own": jnp.float32(3)}

    model = model_of(keraslike, Own)
    model.make_train_function()
    logs, _ = model.train_function(state_of(model, "train"), iter(BATCHES))
    assert sorted(logs) == ["loss", "mae", "own"]


# -- layers that cannot be compiled --------------------------------------------------------------


class Positive(keraslike.layers.Layer):
    """Looks at the values, which a compiled step has none of."""

    def __init__(self):
        super().__init__()
        self.supports_jit = False

    def call(self, x):
        return x if bool(jnp.sum(x) > 0) else -x

    def compute_output_shape(self, input_shape):
        return input_shape


def test_a_layer_that_does_not_support_jit():
    x, results = np.abs(X), []
    for first in ([Positive()], []):
        layers = [keraslike.Input((3,)), *first, keraslike.layers.Dense(1)]
        model = keraslike.Sequential(layers)
        model.layers[-1].set_weights([KERNEL, np.zeros(1, "float32")])
        model.compile("sgd", "mse")
        negative = -x if first else x
        losses = [model.fit(data, Y, verbose=0).history["loss"] for data in (x, negative)]
        losses.append(model.evaluate(negative, Y, verbose=0))
        results.append([losses, model.predict(negative, verbose=0)])
        model.compile("sgd", "mse", jit_compile=True)
        if first:
            with pytest.raises(jax.errors.TracerBoolConversionError):
                model.fit(x, Y, verbose=0)
    for seen, expected in zip(*map(jax.tree.leaves, results), strict=True):
        np.testing.assert_allclose(seen, expected, rtol=1e-5)
