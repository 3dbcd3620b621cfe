"""Masks given to the call of a model."""

import jax.numpy as jnp
import keras
import numpy as np
import pytest

import keraslike

STEPS = np.arange(8, dtype="float32").reshape(1, 4, 2)
FIRST_TWO = np.array([[True, True, False, False]])


def mean_model(framework, kind):
    layers = framework.layers
    if kind == "functional":
        inputs = framework.Input((4, 2))
        return framework.Model(inputs, layers.GlobalAveragePooling1D()(layers.ReLU()(inputs)))
    first = [framework.Input((4, 2))] if kind == "sequential" else []
    return framework.Sequential([*first, layers.ReLU(), layers.GlobalAveragePooling1D()])


@pytest.mark.parametrize("kind", ["functional", "sequential", "sequential without Input"])
def test_a_mask_given_to_the_call_of_a_model(kind):
    theirs, ours = mean_model(keras, kind), mean_model(keraslike, kind)
    for dtype in ("float32", "float64"):  # the inputs are cast, and keep the mask
        x = STEPS.astype(dtype)
        expected = theirs(x, mask=FIRST_TWO)
        np.testing.assert_allclose(ours(x, mask=FIRST_TWO), expected)
    assert np.asarray(expected).tolist() == [[1.0, 2.0]]
    x = jnp.asarray(STEPS)
    ours(x, mask=FIRST_TWO)
    assert ours(x).tolist() == [[3.0, 4.0]]  # the mask was that call's


def test_masks_of_several_inputs():
    results = []
    for framework in (keras, keraslike):
        layers = framework.layers
        a, b = framework.Input((4, 2)), framework.Input((4, 2))
        pooled = [layers.GlobalAveragePooling1D()(x) for x in (a, b)]
        model = framework.Model([a, b], pooled)
        results.append(model([STEPS, STEPS + 1], mask=[None, FIRST_TWO]))
    for theirs, ours in zip(*results):
        np.testing.assert_allclose(ours, theirs)


def test_a_symbolic_mask_given_to_an_inner_model():
    x, mask = keraslike.Input((4, 2)), keraslike.Input((4,), dtype="bool")
    outer = keraslike.Model([x, mask], mean_model(keraslike, "functional")(x, mask=mask))
    assert outer([STEPS, FIRST_TWO]).tolist() == [[1.0, 2.0]]
