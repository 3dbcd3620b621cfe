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


def test_joined_lists_take_the_dtype_of_the_first_tensor_or_else_of_the_first_item():
    ints, floats = np.array([1]), np.array([1.5])

    def of(tensor):
        return tensor.dtype.name, tensor.numpy().tolist()

    assert of(tf.concat([[2], ints], 0)) == ("int32", [2, 1])
    assert of(tf.concat([ints, [2]], 0)) == ("int64", [1, 2])
    assert of(tf.concat([[2.5], floats], 0)) == ("float32", [2.5, 1.5])
    assert of(tf.concat([floats, [2]], 0)) == ("float64", [1.5, 2.0])
    assert of(tf.concat([ints, tf.constant([3], tf.int32)], 0)) == ("int32", [1, 3])
    assert of(tf.concat([ints, [tf.constant(2)]], 0)) == ("int64", [1, 2])
    assert of(tf.stack([ints, [2]])) == ("int32", [[1], [2]])
    assert of(tf.stack([[2], floats])) == ("float32", [[2.0], [1.5]])
    assert of(tf.stack([[2], [2.5]])) == ("float32", [[2.0], [2.5]])
    assert of(tf.stack([ints, [2]], 1)) == ("int64", [[1, 2]])
    assert of(tf.dynamic_stitch([[0], [1]], [[2.5], floats])) == ("float32", [2.5, 1.5])
    with pytest.raises(TypeError, match="int32"):
        tf.concat([[2], [2.5]], 0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="meshgrid"):
        tf.meshgrid(tf.constant([2]), floats)


def test_lists_of_arrays_keep_the_dtypes_of_floats_only():
    def of(*values):
        return tf.constant(list(values)).dtype.name

    assert [of(np.array([1], d)) for d in ("uint8", "int64", "uint32")] == ["int32"] * 3
    assert [of(np.array([1], d)) for d in ("float16", "float64", "bool")] == [
        *("float16", "float64", "bool")
    ]
    assert of(np.array([2**40])) == "int64" and of(np.array([2**31], "uint32")) == "int64"
    assert of(np.complex64(1)) == of(np.array([1], "complex64")) == "complex128"
    assert of(np.array([], int)) == "float32" and of(np.array([1]), [2.5]) == "float32"
    arrays = tf.data.Dataset.from_tensors([np.array([1], "uint8"), np.array([2], "uint8")])
    assert arrays.element_spec == tf.TensorSpec((2, 1), tf.uint8)
    mixed = tf.data.Dataset.from_tensors([np.array([1], "uint8"), [2]])
    assert mixed.element_spec == tf.TensorSpec((2, 1), tf.int32)
