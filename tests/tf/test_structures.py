"""Dicts, named tuples and lists that layers take and return, on tapes and in functions.

The expected values are TensorFlow 2.21's.
"""

import collections

import numpy as np
import pytest

from keraslike import tf
from keraslike.tf import keras

pytestmark = pytest.mark.slow

Pair = collections.namedtuple("Pair", "b a")
STRUCTURES = {
    "dict": lambda b, a: {"b": b, "a": a},
    "OrderedDict": lambda b, a: collections.OrderedDict(b=b, a=a),
    "defaultdict": lambda b, a: collections.defaultdict(list, {"b": b, "a": a}),
    "named tuple": Pair,
    "nested": lambda b, a: [collections.OrderedDict(b=b, a=(Pair(a, a),))],
}


def in_order(structure):
    if isinstance(structure, dict):
        structure = list(structure.values())
    if not isinstance(structure, (list, tuple)):
        return [structure]
    return [leaf for item in structure for leaf in in_order(item)]


class Products(keras.layers.Layer):
    def __init__(self, results):
        super().__init__()
        self.results = results
        self.w = self.add_weight(shape=(), initializer="ones")

    def call(self, given):
        b, a = in_order(given)[:2]
        return self.results(b * self.w * 2.0, a * self.w * b)


@pytest.mark.parametrize("taken", STRUCTURES)
@pytest.mark.parametrize("returned", STRUCTURES)
def test_layers_take_and_return_structures(taken, returned):
    b, a = tf.constant(3.0), tf.constant(4.0)
    layer = Products(STRUCTURES[returned])

    def gradients(b, a):
        with tf.GradientTape() as tape:
            tape.watch([b, a])
            given = layer(STRUCTURES[taken](b, a))
            first, second = in_order(given)[:2]
            y = first + 2.0 * second
        return tape.gradient(y, [b, a, layer.w])

    for run in (gradients, tf.function(gradients)):
        assert [float(g) for g in run(b, a)] == [10.0, 6.0, 30.0]
    function = tf.function(lambda given: layer(given))
    for run in (layer, layer, layer, function, function):  # The third call of a layer is compiled.
        found, expected = run(STRUCTURES[taken](b, a)), layer.results(6.0, 12.0)
        assert type(found) is type(expected)
        assert [float(x) for x in in_order(found)] == in_order(expected)


def test_gradients_have_the_structure_of_their_sources():
    sources = collections.OrderedDict(
        b=tf.constant(3.0), a=Pair(tf.constant(4.0), tf.constant(5.0))
    )
    with tf.GradientTape() as tape:
        tape.watch(sources)
        y = sources["b"] + 2.0 * sources["a"].b + 3.0 * sources["a"].a
    found = tape.gradient(y, sources)
    assert type(found) is collections.OrderedDict and type(found["a"]) is Pair
    assert [float(g) for g in in_order(found)] == [1.0, 2.0, 3.0]


class DependsOnSize(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.w = self.add_weight(shape=(), initializer="ones")
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x):
        if x.shape[0] == 2:
            return {"q": x * 2.0, "p": x * self.w * 3.0}
        self.calls.assign_add(1.0)
        self.add_loss(tf.reduce_sum(x) * self.w)
        return x * self.w


def test_a_layer_whose_results_depend_on_sizes_keeps_a_trace_for_each_size():
    layer = DependsOnSize()
    for size in (2, 3, 2, 3, 3, 2):
        x = tf.ones(size)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = sum(map(tf.reduce_sum, in_order(layer(x)))) + sum(layer.losses)
        found = [g.numpy().tolist() for g in tape.gradient(y, [x, layer.w])]
        assert found == ([[5.0] * 2, 6.0] if size == 2 else [[2.0] * 3, 6.0])
    assert float(layer.calls) == 3.0


class Doubles(keras.Model):
    def __init__(self, results):
        super().__init__()
        self.results = results

    def call(self, x):
        return self.results(tf.nn.relu(x), tf.nn.relu(x) * 2.0)


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize("returned", STRUCTURES)
def test_predict_returns_arrays_in_the_structure(returned, eagerly):
    model = Doubles(STRUCTURES[returned])
    model.compile(run_eagerly=eagerly)
    x = np.ones((2, 3), "float32")
    for found in (model.predict(x, verbose=0), model.predict_on_batch(x)):
        assert type(found) is type(model.results(0, 0))
        assert [type(a) for a in in_order(found)] == [np.ndarray] * len(in_order(found))
        assert [a[0, 0] for a in in_order(found)] == in_order(model.results(1.0, 2.0))
