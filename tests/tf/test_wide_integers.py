"""Integers of 64 bits where tensors meet arrays of JAX's."""

import numpy as np

import keraslike as keras
from keraslike import ops, tf


def test_labels_of_a_data_set_meet_argmax_in_a_step() -> None:
    class Counts(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, x):
            return self.dense(x)

        def train_step(self, data):
            x, y = data
            guess = tf.argmax(self(x), axis=1)
            return {"right": tf.reduce_sum(tf.cast(tf.equal(y, guess), tf.float32))}

    model = Counts()
    model(np.ones((1, 2), "float32"))
    model.set_weights([np.array([[0.0, 1, 0], [0, 0, 3]]), np.zeros(3)])
    model.compile()
    x = np.array([[1, 0], [0, 1], [1, 1], [2, 0]], "float32")
    data = tf.data.Dataset.from_tensor_slices((x, np.array([1, 2, 1, 1], "int64"))).batch(4)
    assert model.fit(data, verbose=0).history["right"] == [3.0]


def test_argmax_by_kind_of_values() -> None:
    nan = float("nan")
    assert tf.argmax([[1.0, nan, 3.0], [nan, nan, nan]], -1).numpy().tolist() == [2, 0]
    assert tf.argmin(np.array([2.0, 1.0])).numpy() == 1
    assert tf.argmax([[1, 2], [3, 0]]).dtype is tf.int64
    assert tf.argmax([[1, 2], [3, 0]], output_type=tf.int32).dtype is tf.int32


def test_ops_give_tensors_the_dtype_of_64_bits_they_are_asked_for() -> None:
    x = tf.constant([[0.0, 1.0]])
    assert ops.cast(x, "int64").dtype is tf.int64
    assert ops.cast(x, dtype=tf.float64).dtype is tf.float64
    assert ops.cast(x, "int32").dtype is tf.int32
    places = tf.SparseTensor(ops.cast(ops.zeros((1, 1)), "int64"), [7], [3])
    assert tf.sparse.to_dense(places).numpy().tolist() == [7, 0, 0]


def test_utilities_of_tensors_are_operations() -> None:
    x = tf.Variable([[3.0, 4.0]])
    with tf.GradientTape() as tape:
        y = tf.keras.utils.normalize(x, axis=1)
        total = tf.reduce_sum(y * [[1.0, 2.0]])
    np.testing.assert_allclose(tape.gradient(total, x).numpy(), [[-0.064, 0.048]], atol=1e-6)
    coded = tf.function(lambda n: tf.keras.utils.to_categorical(n, 4))
    expected = [[0, 1, 0, 0], [0, 0, 0, 1]]
    assert coded(tf.constant([[1], [3]])).numpy().tolist() == expected
    assert tf.keras.utils.to_categorical(tf.constant([1, 3]), 4).numpy().tolist() == expected


def test_steps_of_a_range_that_no_int32_holds() -> None:
    assert tf.range(-(2**31), 2**31 - 1, 2**31 - 1).numpy().tolist() == [-(2**31), -1, 2**31 - 2]
    assert tf.range(1136033460, -2110457150, -1849827689).shape == (2,)
    assert tf.range(10, 0, -3).numpy().tolist() == [10, 7, 4, 1] and tf.range(5, 5).shape == (0,)
