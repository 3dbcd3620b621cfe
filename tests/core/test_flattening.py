"""A tree that was flattened before is flattened anew where anything but a value has changed."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import keraslike as keras
from keraslike.layers import Dense, Layer


class Several(list):
    """A list of a class of its own."""


class Holder(Layer):
    def __init__(self):
        super().__init__()
        self.first = Dense(2)
        self.first.build((None, 3))
        self.names, self.numbers, self.table = {"a"}, [1, [2]], {"x": 1}
        self.several = Several([self.first])
        self.last = None

    def call(self, x):
        return self.first(x)


class Other(Dense):
    """Another class with the same attributes."""


def anew(layer):
    """The leaves and the structure as nobody remembers them."""
    for each in layer._flatten_layers():
        vars(each).pop("_gathered", None)
    return jax.tree.flatten(layer)


def rename(layer):
    layer.following = layer.last
    del layer.last


CHANGES = {
    "attribute": lambda layer: setattr(layer, "last", 3),
    "attribute of a part": lambda layer: setattr(layer.first, "units", 7),
    "another name": rename,
    "removed": lambda layer: delattr(layer, "last"),
    "set": lambda layer: layer.names.add("b"),
    "part of a set": lambda layer: layer.names.add(built(4)),
    "list": lambda layer: layer.numbers.append(3),
    "list in a list": lambda layer: layer.numbers[1].append(3),
    "dict": lambda layer: layer.table.update(x=2),
    "key of a dict": lambda layer: layer.table.update(y=layer.table.pop("x")),
    "class": lambda layer: setattr(layer.first, "__class__", Other),
    "does not train": lambda layer: setattr(layer.first.kernel, "trainable", False),
    "weight": lambda layer: layer.add_weight((2,), name="more"),
    "part": lambda layer: setattr(layer, "last", nnx.Linear(2, 2, rngs=nnx.Rngs(0))),
    "in a list of a class of its own": lambda layer: layer.several.append(built(4)),
}


def built(features):
    layer = Dense(2)
    layer.build((None, features))
    return layer


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen(change):
    layer = Holder()
    before = jax.tree.structure(layer)
    assert jax.tree.structure(layer) == before
    CHANGES[change](layer)
    leaves, structure = jax.tree.flatten(layer)
    assert structure != before
    expected, same = anew(layer)
    assert structure == same
    assert [id(x) for x in leaves] == [id(x) for x in expected]


def test_values_are_those_of_now():
    layer = Holder()
    structure = jax.tree.structure(layer)
    layer.first.bias.assign([1.0, 2.0])
    bias, kernel = jax.tree.leaves(layer)
    np.testing.assert_array_equal(bias, [1.0, 2.0])
    assert kernel.shape == (3, 2)
    assert jax.tree.structure(layer) == structure
    assert jax.tree.structure(Holder()) == structure


def test_flattened_within_a_trace():
    layer = Holder()
    layer(jnp.ones((1, 3)))
    jax.tree.flatten(layer)

    @jax.jit
    def total(layer):
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(layer))

    @jax.jit
    def lowered(values):
        out, _ = layer.stateless_call(values, [], jnp.ones((1, 3)))
        return out

    assert float(total(layer)) == pytest.approx(sum(map(float, map(jnp.sum, layer.weights))))
    values = [v.value for v in layer.trainable_variables]
    np.testing.assert_allclose(lowered(values), layer(jnp.ones((1, 3))), rtol=1e-6)
    gradient = jax.grad(lambda layer: jnp.sum(layer(jnp.ones((1, 3)))))(layer)
    np.testing.assert_array_equal(gradient.first.kernel, np.ones((3, 2)))


def test_a_step_keeps_the_arrays_that_were_given_away():
    model = keras.Sequential([keras.Input((3,)), Dense(1)])
    model.compile(loss="mse", optimizer="sgd")
    x = np.ones((4, 3), "float32")
    for _ in range(3):
        leaves = jax.tree.leaves(model)
        before = [np.array(leaf) for leaf in leaves]
        model.fit(x, np.ones((4, 1)), verbose=0)
        for leaf, value in zip(leaves, before):
            np.testing.assert_array_equal(leaf, value)


def test_a_model_goes_into_a_program_and_comes_out(monkeypatch):
    model = keras.Sequential([keras.Input((3,)), Dense(1), keras.layers.BatchNormalization()])
    traces = collections.Counter()

    @jax.jit
    def halved(model):
        traces["halved"] += 1
        return jax.tree.map(lambda x: 0.5 * x, model)

    for _ in range(3):
        expected = [0.5 * np.asarray(w) for w in model.weights]
        model = halved(model)
        for w, value in zip(model.weights, expected):
            np.testing.assert_array_equal(w, value)
    assert traces["halved"] == 1
    # Nothing is walked again for a model that is as it was.
    halved(model)
    monkeypatch.setattr(nnx, "split", None)
    halved(model)


def test_initial_values_are_drawn():
    layer = Dense(2)
    layer.build((None, 3))
    jax.tree.structure(layer)
    for leaf in jax.tree.leaves(layer):
        assert isinstance(leaf, jax.Array)
