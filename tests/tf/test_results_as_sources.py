"""TensorFlow writes many a gradient by an operation's result, and takes gradients by that."""

import json

import numpy as np
import pytest

from keraslike import tf
from tests.tf.results_as_sources import OPERATIONS, RECORDED, outcomes


@pytest.mark.slow
def test_the_result_of_an_operation_is_a_source_of_its_gradient():
    recorded = json.loads(RECORDED.read_text())
    for name in OPERATIONS:
        for i, (ours, theirs) in enumerate(zip(outcomes(tf, name), recorded[name], strict=True)):
            assert (ours is None) == (theirs is None), (name, i)
            if theirs is not None:
                np.testing.assert_allclose(ours, theirs, 2e-3, 2e-5, err_msg=f"{name} {i}")


def test_a_program_of_the_fuzz():
    """The result of a standard deviation, as a source of the square of its own gradient."""
    w = tf.Variable([1.0, 2.0, 4.0])
    with tf.GradientTape(persistent=True) as outer:
        with tf.GradientTape(persistent=True) as inner:
            y = tf.math.reduce_std(w)
        squared = inner.gradient(y, w) ** 2
    np.testing.assert_allclose(outer.gradient(squared, y), -0.534522, rtol=1e-4)
