"""Private names that classes of users give to attributes and methods of their own."""

import numpy as np
import pytest

from keraslike import Model, Sequential, layers

ATTRIBUTES = "_attributes _graph _inherit _number _path _places _policy _position _rank _symbols"
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
