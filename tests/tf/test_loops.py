"""Gradients of loops whose number of steps only tensors tell. The values are TensorFlow 2.21's."""

import sys

import numpy as np
import pytest

from keraslike import tf

weights = tf.Variable([[0.5, 0.1], [0.2, 0.3]])
total = tf.Variable(0.0)


@tf.function
def until_large(x):
    y = tf.constant(1.0)
    while y < 50.0:
        y = y * x
    return y


@tf.function
def power(x, n):
    y = tf.constant(1.0)
    for _ in tf.range(n):
        y = y * x
    return y


@tf.function
def waves(x, n):
    y = x
    for i in tf.range(n):
        y = tf.sin(y) + 0.01 * x * tf.cast(i, tf.float32)
    return tf.reduce_sum(y)


@tf.function
def recurrent(x, n):
    h = x
    i = tf.constant(0)
    while i < n:
        h = tf.tanh(h @ weights + x)
        i += 1
    return tf.reduce_sum(h)


@tf.function
def changing(x):
    y = x
    while y < 50.0:
        tf.print("y", y, output_stream=sys.stdout)
        y = y * x
        total.assign_add(y)
    return y


def derivatives(function, x, *args):
    """The first and second gradient by `x`."""
    x = tf.constant(x)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = function(x, *args)
        first = inner.gradient(y, x)
    return first.numpy().tolist(), outer.gradient(first, x).numpy().tolist()


def test_first_and_second_gradients():
    assert derivatives(until_large, 3.0) == (108.0, 108.0)
    assert derivatives(power, 2.0, tf.constant(3)) == (12.0, 12.0)
    assert derivatives(power, 2.0, tf.constant(0)) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [(3, [0.72446, 0.97156]), (100, [1.08129, 1.88979]), (1500, [10.0668, 7.50714])],
)
def test_loops_of_few_and_of_many_steps(steps, expected):
    x = tf.constant([0.5, 0.2])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = waves(x, tf.constant(steps))
    np.testing.assert_allclose(tape.gradient(y, x), expected, rtol=1e-4)


def test_what_a_loop_reads_has_its_gradient():
    x = tf.constant([[0.5, 0.2]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = recurrent(x, tf.constant(3))
    by_x, by_weights = tape.gradient(y, [x, weights])
    np.testing.assert_allclose(by_x, [[0.73578, 1.34855]], rtol=1e-4)
    np.testing.assert_allclose(by_weights, [[0.47095, 0.88467], [0.22122, 0.41546]], rtol=1e-4)


def test_a_loop_prints_and_changes_variables_once(capsys):
    total.assign(0.0)
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = changing(x)
    assert float(tape.gradient(y, x)) == 108.0 and float(total) == 9.0 + 27.0 + 81.0
    assert capsys.readouterr().out == "y 3\ny 9\ny 27\n"


@pytest.mark.parametrize(
    "body, start",
    [
        (lambda i, x: i + 1, [0, 1]),
        (lambda i, x: (i + 1, x, x), [0, 1]),
        (lambda i, x: (i + 1, [x, x]), [0, tf.ones([1])]),
        (lambda i, x: (i + 1, x[0]), [0, [tf.ones([1])]]),
        (lambda i, x: (i + 1, {"b": x["a"]}), [0, {"a": 1.0}]),
    ],
)
def test_the_variables_of_a_loop_keep_their_structure(body, start):
    for loop in (tf.while_loop, tf.function(tf.while_loop)):
        with pytest.raises((ValueError, TypeError)):
            loop(lambda i, x: i < 3, body, start)


def test_vectorized_map_broadcasts_elements_with_one_slice():
    a, b = tf.constant([[3.0, 1.0]]), tf.constant([-2.0, 6.0])
    found = tf.vectorized_map(lambda pair: pair[0] * pair[1], (a, b))
    assert found.numpy().tolist() == [[-6.0, -2.0], [18.0, 6.0]]


def test_vectorized_map_solves_with_a_known_matrix():
    matrix = tf.constant([[2.0, 0.0], [0.0, 4.0]])
    found = tf.vectorized_map(lambda b: tf.linalg.solve(matrix, b), tf.ones((3, 2, 1)))
    assert found[2].numpy().tolist() == [[0.5], [0.25]]


TEXTS = {
    "scan": (lambda x: tf.scan(lambda a, e: a + e, x), [b"a", b"ab", b"abc"]),
    "from the end": (
        lambda x: tf.scan(lambda a, e: a + e, x, tf.constant("z"), reverse=True),
        [b"zcba", b"zcb", b"zc"],
    ),
    "numbers of texts": (
        lambda x: tf.scan(lambda a, e: a + tf.strings.length(e), x, initializer=0),
        [1, 2, 3],
    ),
    "no texts": (lambda x: tf.scan(lambda a, e: a + e, x[:0], tf.constant("z")), []),
    "foldl": (lambda x: tf.foldl(lambda a, e: a + e, x), b"abc"),
    "foldr": (lambda x: tf.foldr(lambda a, e: a + e, x, tf.constant("z")), b"zcba"),
}


@pytest.mark.parametrize("case", TEXTS)
def test_scans_and_folds_of_text(case):
    function, expected = TEXTS[case]
    for call in (function, tf.function(function)):
        assert np.array(call(tf.constant(["a", "b", "c"]))).tolist() == expected
