"""Masks of lists and dicts of tensors, beside Keras."""

import jax
import keras as oracle
import numpy as np
import pytest

import keraslike as keras
from keraslike.core import context

pytestmark = pytest.mark.slow

WORDS = np.array([[1, 2, 0], [3, 0, 0]])


def masked(library):
    return library.layers.Embedding(5, 2, mask_zero=True)(WORDS)


def bare(library):
    return library.ops.ones((2, 3, 2))


def layer(library, call, compute_mask=None):
    methods = {"call": call} | ({"compute_mask": compute_mask} if compute_mask else {})
    made = type("Made", (library.layers.Layer,), methods)()
    made.supports_masking = True
    return made


CASES = {
    "two outputs": lambda k: layer(k, lambda self, x: [x * 1, x * 2])(masked(k)),
    "a dict of outputs": lambda k: layer(k, lambda self, x: {"z": x * 1, "y": x * 2})(masked(k)),
    "a dict of masks": lambda k: layer(
        k,
        lambda self, x: {"z": x * 1, "y": x * 2},
        lambda self, inputs, previous_mask=None: {"z": previous_mask, "y": ~previous_mask},
    )(masked(k)),
    "a list of masks": lambda k: layer(
        k,
        lambda self, x: [x * 1, x * 2],
        lambda self, inputs, previous_mask=None: [None, previous_mask],
    )(masked(k)),
    "a dict of inputs": lambda k: layer(k, lambda self, x: {"z": x["z"] * 1, "y": x["y"] * 1})(
        {"z": masked(k), "y": bare(k)}
    ),
    "nested inputs": lambda k: layer(k, lambda self, x: [x[0][0] * 1, [x[1] * 1]])(
        [[masked(k)], masked(k)]
    ),
    "an argument": lambda k: layer(
        k, lambda self, x, mask=None: x[0] * (1.0 if mask[1] is None else 5.0)
    )([masked(k), bare(k)]),
    "an argument without masks": lambda k: layer(
        k, lambda self, x, mask=None: x[0] * (1.0 if mask[1] is None else 5.0)
    )([bare(k), bare(k)]),
    "compute_mask without masks": lambda k: layer(
        k, lambda self, x: x[0] * 1, lambda self, inputs, previous_mask=None: previous_mask[0]
    )([bare(k), bare(k)]),
}


@pytest.mark.parametrize("case", CASES)
def test_masks_of_structures(case):
    found = jax.tree.map(context.get_mask, CASES[case](keras))
    expected = jax.tree.map(lambda x: getattr(x, "_keras_mask", None), CASES[case](oracle))
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
