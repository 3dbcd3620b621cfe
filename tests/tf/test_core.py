"""Tensors of numbers, their arithmetic, dtypes and errors, beside what TensorFlow gives."""

import json

import numpy as np
import pytest

from keraslike import tf
from tests.tf import core_programs

pytestmark = pytest.mark.slow

with open(core_programs.PATH) as _file:
    REFERENCE = json.load(_file)


def _same(found, wanted):
    if isinstance(wanted, list) and len(wanted) == 3 and isinstance(wanted[0], str):
        dtype, shape, values = wanted
        assert found[:2] == [dtype, shape]
        if isinstance(values, str):
            assert found[2] == values
        else:
            np.testing.assert_allclose(found[2], values, rtol=1e-4, atol=1e-5)
    elif isinstance(wanted, list):
        assert len(found) == len(wanted)
        for f, w in zip(found, wanted):
            _same(f, w)
    elif isinstance(wanted, dict):
        assert list(found) == list(wanted)
        for key in wanted:
            _same(found[key], wanted[key])
    else:
        assert found == wanted


def test_results_are_those_of_tensorflow():
    known = core_programs.names(tf)
    assert list(REFERENCE) == core_programs.PROGRAMS
    wrong = []
    for program, wanted in REFERENCE.items():
        found = core_programs.result(program, known)
        try:
            _same(found, wanted)
        except (AssertionError, TypeError):
            wrong.append(f"{program}\n  gives {found}\n  wanted {wanted}")
    assert not wrong, "\n".join(wrong)


def test_refused_arguments_are_errors_of_both_kinds():
    with pytest.raises(tf.errors.InvalidArgumentError, match="tf.squeeze"):
        tf.squeeze(tf.constant([[1, 2]]), 1)
    with pytest.raises(ValueError):
        tf.constant([1, 2]) + tf.constant([1, 2, 3])
    with pytest.raises(ValueError, match="axes must be at least 0"):
        tf.tensordot([[1, 2]], [[1, 2]], -1)
    with pytest.raises(IndexError, match="out of bounds"):
        tf.constant([1, 2])[5]
    with pytest.raises(ValueError), tf.GradientTape() as tape:
        x = tf.constant([1.0, 2.0])
        tape.watch(x)
        x + tf.constant([1.0, 2.0, 3.0])
    with pytest.raises(ValueError):
        tf.function(lambda x: x + tf.constant([1, 2, 3]))(tf.constant([1, 2]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="ksize"):
        tf.nn.max_pool2d(tf.zeros([1, 3, 3, 1]), 4, 1, "VALID")
    for refused in (
        lambda x: tf.nn.conv2d(x, x, 1, [[0, 1], [0, 0], [0, 0], [0, 0]]),
        lambda x: tf.nn.depthwise_conv2d(x, tf.zeros([5, 1, 1, 1]), [1, 1, 1, 1], "VALID"),
        lambda x: tf.nn.avg_pool2d(x, [1, 2**31, 1, 1], 1, "SAME"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError):
            refused(tf.zeros([3, 3, 1, 1]))
    # What a function of the user's raises stays what it is.
    with pytest.raises(KeyError):
        tf.custom_gradient(lambda x: {}[1])(tf.constant(1.0))


def test_seeded_draws_go_on_in_traced_functions():
    tf.random.set_seed(3)
    draw = tf.function(lambda: tf.random.normal([4], seed=1))
    assert not np.allclose(draw(), draw())
    generator = tf.random.Generator.from_seed(7)
    eager = [generator.normal([3]).numpy() for _ in range(2)]
    generator.reset_from_seed(7)
    traced = tf.function(lambda: generator.normal([3]))
    np.testing.assert_allclose([traced().numpy() for _ in range(2)], eager, rtol=1e-5)
