"""Private names that classes of users give to attributes and methods of their own."""

import numpy as np
import pytest

from keraslike import Model, Sequential, layers, metrics

ATTRIBUTES = (
    "_attributes _boxes _building _complete _eager _functions _graph _inherit _kind _number _path "
    "_places _policy _position _programs _rank _remat _results _running _symbols _weights"
)
METHODS = (
    "_call _check_inputs _convert _evaluate _gather _prepare _program _ready _run_epoch _shapes "
    "_sorted _trace _walk"
)


def refuse(self, *args, **kwargs):
    raise AssertionError("this is the user's own method")


@pytest.mark.parametrize("base", [layers.Layer, Model])
def test_private_names_of_users(base, tmp_path):
    class Own(base):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            for name in ATTRIBUTES.split():
                setattr(self, name, name)
            self.dense = layers.Dense(1)

        def call(self, x):
            return self.dense(x)

    for name in METHODS.split():
        setattr(Own, name, refuse)
    own = Own()
    model = Sequential([layers.Input((2,)), own]) if base is layers.Layer else own
    x, y = np.ones((4, 2)), np.ones((4, 1))
    model.compile("sgd", "mse")
    model.fit(x, y, verbose=0)
    model.evaluate(x, y, verbose=0)
    before = model.predict(x, verbose=0)
    model.save_weights(tmp_path / "own.weights.h5")
    own.dense.kernel.assign(own.dense.kernel + 1)
    model.load_weights(tmp_path / "own.weights.h5")
    np.testing.assert_array_equal(model.predict(x, verbose=0), before)
    assert len(model.weights) == 2 and own._policy == "_policy"


def test_attributes_before_the_constructor_of_a_functional_model():
    class Net(Model):
        def __init__(self):
            self._weights = self._kind = self._complete = None
            x = layers.Input((2,))
            super().__init__(x, layers.Dense(1)(x))

    net = Net()
    net.compile("sgd", "mse")
    net.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
    assert len(net.trainable_weights) == 2 and net._weights is None


def test_attributes_of_a_metric():
    class Count(metrics.Metric):
        def __init__(self):
            super().__init__(name="count")
            self._results, self._kind, self._boxes = [], "count", np.zeros(2)
            self.total = self.add_weight(initializer="zeros", name="total")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.total.assign_add(2.0)

        def result(self):
            return self.total + 0.0

    model = Sequential([layers.Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse", metrics=[Count()])
    found = model.evaluate(np.ones((4, 2)), np.ones((4, 1)), batch_size=2, verbose=0)
    assert found[1] == 4.0
