"""Objects as trees: what is compared, and containers that hold themselves."""

import copy
import functools
import pickle

import jax
import numpy as np
import pytest
from flax import nnx

import keraslike
from keraslike.core.static import Static


@pytest.mark.parametrize("count", range(2, 8))
def test_any_one_difference_counts(count):
    """What a comparison makes on its way is freed and its memory used again."""

    def partials(changed=None):
        return [functools.partial(pow, i, 99 if i == changed else 100) for i in range(count)]

    def closures(changed=None):
        return [(lambda n: lambda x: x + n)(9 if i == changed else 0) for i in range(count)]

    for make in (partials, closures):
        assert Static(make()) == Static(make())
        for changed in range(count):
            assert Static(make()) != Static(make(changed)), (make.__name__, changed)


class Cyclic(keraslike.Layer):
    """A layer whose lists and dicts hold themselves."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = [keraslike.layers.Dense(2)]
        self.inner.append(self.inner)
        self.notes = {"seen": 0}
        self.notes["self"] = self.notes
        self.mixed = {"list": ([],)}
        self.mixed["list"][0].append(self.mixed)

    def call(self, x):
        self.notes["calls"] = [self.notes]
        return self.inner[0](x)


def test_lists_and_dicts_that_hold_themselves(tmp_path):
    model = keraslike.Sequential([keraslike.Input((3,)), Cyclic()])
    model.compile("sgd", "mse")
    x = np.ones((4, 3), "float32")
    model.fit(x, np.zeros((4, 2)), verbose=0)
    layer = model.layers[0]
    assert len(model.weights) == 2
    graphdef, state = nnx.split(layer)
    for copied in (
        jax.tree.map(lambda v: v * 1, layer),
        nnx.merge(graphdef, state),
        copy.deepcopy(layer),
        pickle.loads(pickle.dumps(layer)),
    ):
        assert copied.inner[1] is copied.inner is not layer.inner
        assert copied.notes["self"] is copied.notes
        assert copied.mixed["list"][0][0] is copied.mixed
        np.testing.assert_array_equal(copied(x), layer(x))
    assert jax.tree.structure(layer) == jax.tree.structure(jax.tree.map(lambda v: v, layer))
    path = tmp_path / "m.weights.h5"
    model.save_weights(path)
    again = keraslike.models.clone_model(model)
    again.load_weights(path)
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
