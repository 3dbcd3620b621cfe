"""Calls of layers and losses whose Python does more than to compute their results runs each time.

The expected values are TensorFlow 2.21's.
"""

import types

import numpy as np
import pytest

from keraslike import tf

SETTINGS = {"scale": 1.0, "scales": [1.0]}
WEIGHTS = np.ones(2, "float32")
SPACE = types.SimpleNamespace(scale=1.0, function=lambda x: x * 2.0, v=None)


class Holder:
    scale = 1.0


HOLDER = Holder()


class OfDict(tf.keras.layers.Layer):
    def call(self, x):
        return x * SETTINGS["scale"]


class OfList(tf.keras.layers.Layer):
    def call(self, x):
        return x * sum(SETTINGS["scales"])


class OfClass(tf.keras.layers.Layer):
    def call(self, x):
        return x * Holder.scale


class OfObject(tf.keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.held = HOLDER

    def call(self, x):
        return x * self.held.scale


class OfArray(tf.keras.layers.Layer):
    def call(self, x):
        return x * WEIGHTS


class OfFunction(tf.keras.layers.Layer):
    def call(self, x):
        return SPACE.function(x)


class OfLoss(tf.keras.losses.Loss):
    def call(self, y_true, y_pred):
        return y_pred * SETTINGS["scale"]


def of_lambda():
    return tf.keras.layers.Lambda(lambda x: x * SPACE.scale)


def set_all(n):
    SETTINGS["scale"] = Holder.scale = HOLDER.scale = SPACE.scale = n
    SETTINGS["scales"][:] = [n - 1.0, 1.0]
    WEIGHTS[:] = n
    SPACE.function = lambda x: x * n


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize(
    "made", [OfDict, OfList, OfClass, OfObject, OfArray, OfFunction, of_lambda, OfLoss]
)
def test_what_objects_around_a_call_contain_may_change(made, watched):
    x = tf.constant([1.0, 1.0])
    layer = made()
    call = (lambda x: layer(x, x) * 2.0) if made is OfLoss else lambda x: tf.reduce_sum(layer(x))
    for n in (1.0, 1.0, 3.0, 5.0, 5.0, 2.0):
        set_all(n)
        if not watched:
            assert float(call(x)) == 2 * n
            continue
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = call(x)
        assert (float(y), tape.gradient(y, x).numpy().tolist()) == (2 * n, [n, n])


def test_another_variable_may_be_in_an_object_that_a_call_reads():
    layer = tf.keras.layers.Lambda(lambda x: x * SPACE.v)
    x, found = tf.constant(2.0), []
    for n in (1.0, 3.0):
        SPACE.v = tf.Variable(n)
        for _ in range(2):
            with tf.GradientTape() as tape:
                y = layer(x)
            found.append((float(y), float(tape.gradient(y, SPACE.v))))
            SPACE.v.assign_add(1.0)
    assert found == [(2.0, 2.0), (4.0, 2.0), (6.0, 2.0), (8.0, 2.0)]


def test_a_call_that_prints_or_draws_numbers_does_so_each_time(capsys):
    class Shown(tf.keras.layers.Layer):
        def call(self, x):
            print("called")
            return x + np.random.random()

    layer, x = Shown(), tf.constant(1.0)
    layer(x)
    capsys.readouterr()
    assert len({float(layer(x)) for _ in range(3)}) == 3
    assert capsys.readouterr().out == "called\n" * 3


def test_a_call_that_counts_itself():
    class Counted(tf.keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.count = 0

        def call(self, x):
            self.count += 1
            return x * self.count

    layer = Counted()
    assert [float(layer(tf.constant(2.0))) for _ in range(3)] == [2.0, 4.0, 6.0]


def test_a_source_that_does_not_matter_has_no_gradient_if_python_runs_a_call():
    class Two(tf.keras.layers.Layer):
        def build(self, shape):
            self.used = self.add_weight(shape=(), initializer="ones")
            self.other = self.add_weight(shape=(), initializer="ones")

        def call(self, x):
            return x * self.used * SETTINGS["scale"]

    layer, x = Two(), tf.constant(2.0)
    for n in (1.0, 2.0, 3.0):
        set_all(n)
        with tf.GradientTape() as tape:
            y = layer(x)
        used, other = tape.gradient(y, [layer.used, layer.other])
        assert float(used) == 2 * n and other is None
