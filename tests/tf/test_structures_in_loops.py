"""TensorArrays, sparse and ragged tensors as loop variables and as what compiled functions give."""

import numpy as np
import pytest

from keraslike import tf


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"element_shape": [2]}])
@pytest.mark.parametrize("compiled", [False, True])
def test_an_array_filled_by_a_loop(settings, compiled):
    def squares(x):
        array = tf.TensorArray(tf.float32, size=3, **settings)
        step = lambda i, a: (i + 1, a.write(i, tf.cast(i, tf.float32) * x))  # noqa: E731
        filled = tf.while_loop(lambda i, _: i < 3, step, (tf.constant(0), array))[1]
        return filled.stack()

    x = tf.constant([1.0, 2.0])
    function = tf.function(squares) if compiled else squares
    assert function(x).numpy().tolist() == [[0, 0], [1, 2], [2, 4]]


def test_gradient_through_such_a_loop():
    x = tf.Variable([1.0, 2.0])
    with tf.GradientTape() as tape:
        array = tf.TensorArray(tf.float32, size=3)
        step = lambda i, a: (i + 1, a.write(i, tf.cast(i, tf.float32) * x))  # noqa: E731
        y = tf.while_loop(lambda i, _: i < 3, step, (tf.constant(0), array))[1].stack()
    assert tape.gradient(y, x).numpy().tolist() == [3, 3]


def test_structures_as_loop_variables():
    s = tf.sparse.from_dense([[0.0, 1.0]])
    r = tf.ragged.constant([[1.0], [2.0, 3.0]])
    loop = tf.function(
        lambda n, s, r: tf.while_loop(
            lambda i, s, r: i < n, lambda i, s, r: (i + 1, s * 2.0, r + 1.0), (tf.constant(0), s, r)
        )
    )
    _, s, r = loop(tf.constant(3), s, r)
    assert np.asarray(s.values).tolist() == [8] and r.to_list() == [[4], [5, 6]]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sparse", "ragged", "array"])
def test_what_a_compiled_function_gives_stays_on_the_tape(kind):
    def make(x):
        if kind == "sparse":
            return tf.SparseTensor([[0], [2]], x * 2.0, [3])
        if kind == "ragged":
            return tf.RaggedTensor.from_row_lengths(x * 2.0, [0, 2])
        return tf.TensorArray(tf.float32, size=2).unstack(x * 2.0)

    read = {
        "sparse": tf.sparse.to_dense,
        "ragged": lambda r: r.flat_values,
        "array": lambda a: a.stack(),
    }
    x = tf.Variable([1.0, 2.0])
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(read[kind](tf.function(make)(x)) ** 2)
    assert tape.gradient(y, x).numpy().tolist() == [8, 16]


@pytest.mark.parametrize(
    ("fn", "elems", "signature", "expected"),
    [
        (lambda x: 7, [1.0, 2.0], None, ("float32", [7.0, 7.0])),
        (lambda x: 7, [1, 2], tf.float64, ("float64", [7.0, 7.0])),
        (tf.as_string, np.zeros(0, np.int32), tf.string, ("string", [])),
        (tf.range, np.zeros(0, np.int32), tf.RaggedTensorSpec([None], tf.int32), ("int32", [])),
        (lambda x: x, [1, 2], tf.int64, tf.errors.InvalidArgumentError),
        (tf.as_string, [1, 2], None, tf.errors.InvalidArgumentError),
        (lambda x: (x, x), [1, 2], None, ValueError),
        (lambda x: (x, x), [1, 2], [tf.int32, tf.int32], TypeError),
        (lambda x: x, [[1], [2]], tf.TensorSpec([3], tf.int32), ValueError),
    ],
)
def test_results_of_map_fn_fit_the_signature_or_elems(fn, elems, signature, expected):
    def run():
        return tf.map_fn(fn, tf.constant(elems), fn_output_signature=signature)

    if isinstance(expected, tuple):
        assert (run().dtype.name, run().numpy().tolist()) == expected
    else:
        with pytest.raises(expected):
            run()
