"""Sizes that are unknown while a function is traced. The values are those of TensorFlow 2.21."""

import numpy as np
import pytest

import keraslike as keras
from keraslike import tf


def results(function, *shapes):
    """The results for tensors of these shapes, of a function that is traced once for any size."""
    spec = tf.TensorSpec([None, None], tf.float32)
    traced = tf.function(function, input_signature=[spec])
    found = [
        tf.nest.map_structure(lambda t: t.numpy().tolist(), traced(tf.ones(shape)))
        for shape in shapes
    ]
    assert traced.experimental_get_tracing_count() == 1
    return found


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: tf.shape(x) + tf.shape(x), [[4, 6], [8, 2]]),
        (lambda x: tf.shape(x) * 2 - [1, 2], [[3, 4], [7, 0]]),
        (lambda x: [1, 2] + tf.shape(x), [[3, 5], [5, 3]]),
        (lambda x: tf.shape(x)[:1], [[2], [4]]),
        (lambda x: tf.shape(x) == [2, 3], [[True, True], [False, False]]),
        (lambda x: tf.shape(x) != tf.shape(x)[::-1], [[True, True], [True, True]]),
        (lambda x: tf.shape(x)[0] == 2, [True, False]),
        (lambda x: tf.shape(x)[0] != 2, [False, True]),
        (lambda x: tf.shape(x)[0] % 2 == tf.shape(x)[1] % 2, [False, False]),
        (lambda x: tf.size(x) == 6, [True, False]),
        (lambda x: tf.shape(x)[0] / 2 + 2.0, [3.0, 4.0]),
        (lambda x: 2 ** tf.shape(x)[0], [4, 16]),
        (lambda x: tf.shape(x, tf.int64), [[2, 3], [4, 1]]),
        (lambda x: list(tf.shape(x)), [[2, 3], [4, 1]]),
        (lambda x: tf.shape(tf.shape(x)), [[2], [2]]),
        (lambda x: [tf.size(x), tf.rank(x)], [[6, 2], [4, 2]]),
        (lambda x: tf.cond(tf.size(x) == 6, lambda: x[0, 0] * 2.0, lambda: x[0, 0]), [2.0, 1.0]),
    ],
)  # fmt: skip
def test_sizes_are_numbers_like_any_other(function, expected):
    assert results(function, [2, 3], [4, 1]) == expected


def test_branches_on_sizes():
    def doubled_if_two(x):
        if tf.shape(x)[0] == 2:
            return x * 2.0
        return x

    assert results(doubled_if_two, [2, 1], [3, 1]) == [[[2.0]] * 2, [[1.0]] * 3]


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (lambda x: tf.zeros(tf.shape(x) * 2), [[4, 6], [8, 2]]),
        (lambda x: tf.zeros(tf.shape(x)[:1] * 2), [[4], [8]]),
        (lambda x: tf.zeros(tf.concat([tf.shape(x), [2]], 0)), [[2, 3, 2], [4, 1, 2]]),
        (lambda x: tf.zeros(tf.concat([tf.shape(x)[:-1], tf.shape(x)], 0)), [[2, 2, 3], [4, 4, 1]]),
        (lambda x: tf.reshape(x, tf.stack([tf.shape(x)[1], -1])), [[3, 2], [1, 4]]),
        (lambda x: tf.reshape(x, [tf.reduce_prod(tf.shape(x))]), [[6], [4]]),
        (lambda x: tf.zeros(tf.unstack(tf.cast(tf.shape(x), tf.int64))), [[2, 3], [4, 1]]),
        (lambda x: tf.zeros(tf.gather(tf.shape(x), [1, 1, 0])), [[3, 3, 2], [1, 1, 4]]),
        (lambda x: x[: tf.shape(x)[0] - 1], [[1, 3], [3, 1]]),
        (lambda x: tf.range(tf.shape(x)[0] + 1), [[3], [5]]),
        (lambda x: tf.sequence_mask([1, 2], tf.shape(x)[0]), [[2, 2], [2, 4]]),
        (lambda x: keras.ops.zeros(tf.shape(x)), [[2, 3], [4, 1]]),
        (lambda x: keras.random.normal((tf.shape(x)[0], 5), seed=1), [[2, 5], [4, 5]]),
    ],
)  # fmt: skip
def test_what_is_computed_from_sizes_can_be_a_shape(function, shapes):
    found = results(function, [2, 3], [4, 1])
    assert [list(np.shape(each)) for each in found] == shapes


@pytest.mark.parametrize(
    ("draw", "expected"),
    [
        (lambda n, g: tf.random.stateless_uniform(n, [1, 2], maxval=9.0), [7, 1, 8, 1, 2]),
        (lambda n, g: tf.random.stateless_normal(n, [1, 2]) * 100, [54, 20, 7, 4, -130]),
        (lambda n, g: tf.random.stateless_truncated_normal(n, [1, 2]) * 100, [54, 20, 7, 4, 16]),
        (lambda n, g: g.uniform(n, maxval=100, dtype=tf.int32), [5, 35, 44, 42, 0]),
        (lambda n, g: g.normal(n) * 100, [-132, 28, -87, -8, 69]),
    ],
)
def test_draws_of_unknown_sizes_are_saved(tmp_path, draw, expected):
    module = tf.Module()
    module.generator = tf.random.Generator.from_seed(7)
    spec = tf.TensorSpec([None], tf.float32)
    module.draw = tf.function(
        lambda x: tf.cast(draw(tf.shape(x), module.generator), tf.int32), input_signature=[spec]
    )
    tf.saved_model.save(module, tmp_path / "saved")
    loaded = tf.saved_model.load(tmp_path / "saved")
    assert loaded.draw(tf.ones([5])).numpy().tolist() == expected
    assert module.draw(tf.ones([5])).numpy().tolist() == expected
    for size in (3, 5):  # a generator goes on
        given = tf.ones([size])
        assert loaded.draw(given).numpy().tolist() == module.draw(given).numpy().tolist()


class Noisy(keras.layers.Layer):
    def call(self, x):
        noise = keras.random.normal(keras.ops.shape(x), seed=1)
        return x + noise + keras.random.uniform((keras.ops.shape(x)[0], 1), seed=2)


def test_a_layer_that_draws_is_exported_for_any_batch(tmp_path):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, Noisy()(inputs))
    model.export(tmp_path / "model", format="stablehlo", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "model")
    for size in (2, 5):
        x = np.ones((size, 3), "float32")
        np.testing.assert_allclose(loaded.serve(x), model(x), atol=1e-5)
