"""What users' functions in layers and models get. The values are those of TensorFlow 2.21."""

import numpy as np

from keraslike import tf

keras = tf.keras


def _slope(x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.square(x)
    return tape.gradient(y, x)


class _Applies(keras.layers.Layer):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, inputs):
        return self.function(inputs)


def test_functions_given_to_layers_that_differentiate_their_inputs_get_tensors():
    x = tf.constant([[1.0, 2.0]])
    dense = keras.layers.Dense(2, activation=_slope, kernel_initializer="ones")
    assert dense.activation is _slope
    for layer, expected in (
        (dense, [[6.0, 6.0]]),
        (keras.layers.Activation(_slope), [[2.0, 4.0]]),
        (_Applies(_slope), [[2.0, 4.0]]),
        (keras.layers.SimpleRNN(1, _slope, kernel_initializer="ones"), [[6.0]]),
    ):
        given = x[:, None] if isinstance(layer, keras.layers.RNN) else x
        assert layer(given).numpy().tolist() == expected
        assert tf.function(layer)(given).numpy().tolist() == expected
    with tf.GradientTape() as tape:
        y = dense(x)
    assert tape.gradient(y, dense.kernel).numpy().tolist() == [[2.0, 2.0], [4.0, 4.0]]
    model = keras.Sequential([keras.Input((2,)), dense, _Applies(_slope)])
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 2)), np.ones((4, 2)), verbose=0)
    assert model.predict(np.ones((1, 2)), verbose=0).shape == (1, 2)


def test_overridden_losses_and_metrics_of_models_get_and_give_tensors():
    seen = []

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(1, kernel_initializer="ones")

        def call(self, inputs):
            return self.dense(inputs)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            loss = super().compute_loss(x, y, y_pred, sample_weight, training)
            seen.extend((x, y, y_pred, loss))
            return loss + tf.reduce_sum(self.dense.kernel)

        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            seen.extend((x, y, y_pred))
            return super().compute_metrics(x, y, y_pred, sample_weight)

    model = Model()
    model.compile("sgd", "mse", metrics=["mae"])
    x, y = np.ones((4, 2), "float32"), np.ones((4, 1), "float32")
    assert model.fit(x, y, verbose=0).history == {"loss": [3.0], "mae": [1.0]}
    model.evaluate(x, y, verbose=0)
    assert seen and all(isinstance(value, tf.Tensor) for value in seen)
    plain = keras.Sequential([keras.layers.Dense(1, kernel_initializer="ones")])
    plain.compile("sgd", "mse")
    loss = plain.compute_loss(y=tf.ones((1, 1)), y_pred=plain(tf.constant([[1.0, 2.0]])))
    assert isinstance(loss, tf.Tensor) and loss.numpy() == 4.0


def test_initial_states_of_recurrent_layers_are_tensors():
    cells = [keras.layers.GRUCell(3), keras.layers.StackedRNNCells([keras.layers.LSTMCell(2)])]
    for layer in (*cells, keras.layers.LSTM(3)):
        states = tf.nest.flatten(layer.get_initial_state(batch_size=2))
        assert states and all(isinstance(s, tf.Tensor) for s in states)
        assert {float(tf.reduce_sum(tf.abs(s))) for s in states} == {0.0}
    layer = keras.layers.RNN([keras.layers.LSTMCell(2), keras.layers.GRUCell(3)], stateful=True)
    assert layer(tf.ones((2, 3, 4))).shape == (2, 3)


def test_tensors_of_keras_ops_keep_gradients_and_wide_floats():
    x, v = tf.constant([1.0, 2.0]), tf.Variable(2.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = keras.ops.convert_to_tensor(x) ** 2
        z = keras.ops.convert_to_tensor(v) ** 2
        stacked = keras.ops.convert_to_tensor([v, 3 * v])
    assert tape.gradient(y, x).numpy().tolist() == [2.0, 4.0]
    assert tape.gradient(z, v).numpy() == tape.gradient(stacked, v).numpy() == 4.0

    @tf.function
    def wide():
        return keras.ops.convert_to_tensor(np.array([1.0, 2.0]))

    assert wide().dtype is keras.ops.convert_to_tensor(np.array([1.0])).dtype is tf.float64


def test_keras_ops_of_numpy_s_integers_that_need_64_bits():
    large, ops = np.array([2**40, 1]), keras.ops
    for value, expected in (
        (ops.convert_to_tensor(large), [2**40, 1]),
        (ops.convert_to_tensor(np.int64(2**40)), 2**40),
        (ops.add(large, large), [2**41, 2]),
        (ops.sum(large), 2**40 + 1),
        (tf.function(lambda: ops.multiply(large, 2))(), [2**41, 2]),
        (ops.equal(large, large + 2**32), [False, False]),
        (ops.convert_to_tensor(np.array([2**63], "uint64")), [2**63]),
    ):
        assert value.numpy().tolist() == expected
    assert ops.mean(np.array([1, 2])).dtype is tf.float32
