"""The chapter's own code, section 12.3, with `tensorflow` read as `keraslike.tf` and its typing
slips corrected: trained, saved and reloaded in the older format that it uses, and in the newer."""

import numpy as np
import pytest

import keraslike as keras
from keraslike import tf
from keraslike.models import load_model

pytestmark = pytest.mark.slow

X = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
Y = (X[:, 0] - 2 * X[:, 1] + 0.1).astype("float32")


def huber_fn(y_true, y_pred):
    error = y_true - y_pred
    is_small_error = tf.abs(error) < 1
    squared_loss = tf.square(error) / 2
    linear_loss = tf.abs(error) - 0.5
    return tf.where(is_small_error, squared_loss, linear_loss)


def create_huber(threshold=1.0):
    def huber_fn(y_true, y_pred):
        error = y_true - y_pred
        is_small_error = tf.abs(error) < threshold
        squared_loss = tf.square(error) / 2
        linear_loss = threshold * tf.abs(error) - threshold**2 / 2
        return tf.where(is_small_error, squared_loss, linear_loss)

    return huber_fn


class HuberLoss(keras.losses.Loss):
    def __init__(self, threshold=1.0, **kwargs):
        self.threshold = threshold
        super().__init__(**kwargs)

    def call(self, y_true, y_pred):
        error = y_true - y_pred
        is_small_error = tf.abs(error) < self.threshold
        squared_loss = tf.square(error) / 2
        linear_loss = self.threshold * tf.abs(error) - self.threshold**2 / 2
        return tf.where(is_small_error, squared_loss, linear_loss)

    def get_config(self):
        base_config = super().get_config()
        return {**base_config, "threshold": self.threshold}


def my_softplus(z):
    return tf.math.log(tf.exp(z) + 1.0)


def my_glorot_initializer(shape, dtype=tf.float32):
    stddev = tf.sqrt(2.0 / (shape[0] + shape[1]))
    return tf.random.normal(shape, stddev=stddev, dtype=dtype)


def my_l1_regularizer(weights):
    return tf.reduce_sum(tf.abs(0.01 * weights))


def my_positive_weights(weights):
    return tf.where(weights < 0.0, tf.zeros_like(weights), weights)


class HuberMetric(keras.metrics.Metric):
    def __init__(self, threshold=1.0, **kwargs):
        super().__init__(**kwargs)
        self.threshold = threshold
        self.huber_fn = create_huber(threshold)
        self.total = self.add_weight("total", initializer="zeros")
        self.count = self.add_weight("count", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        metric = self.huber_fn(y_true, y_pred)
        self.total.assign_add(tf.reduce_sum(metric))
        self.count.assign_add(tf.cast(tf.size(y_true), tf.float32))

    def result(self):
        return self.total / self.count

    def get_config(self):
        base_config = super().get_config()
        return {**base_config, "threshold": self.threshold}


class MyDense(keras.layers.Layer):
    def __init__(self, units, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.activation = tf.keras.activations.get(activation)

    def build(self, batch_input_shape):
        self.kernel = self.add_weight(
            name="kernel",
            shape=[batch_input_shape[-1], self.units],
            initializer="glorot_normal",
        )
        self.bias = self.add_weight(name="bias", shape=[self.units], initializer="zero")
        super().build(batch_input_shape)

    def call(self, X):
        return self.activation(X @ self.kernel + self.bias)

    def compute_output_shape(self, batch_input_shape):
        return tf.TensorShape(batch_input_shape.as_list()[:-1] + [self.units])

    def get_config(self):
        base_config = super().get_config()
        return {
            **base_config,
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
        }


class MyMultiLayer(tf.keras.layers.Layer):
    def call(self, X):
        X1, X2 = X
        return [X1 + X2, X1 * X2, X1 / X2]

    def compute_output_shape(self, batch_input_shape):
        b1, b2 = batch_input_shape
        return [b1, b1, b1]


class MyGaussianNoise(tf.keras.layers.Layer):
    def __init__(self, stddev, **kwargs):
        super().__init__(**kwargs)
        self.stddev = stddev

    def call(self, X, training=None):
        if training:
            noise = tf.random.normal(tf.shape(X), stddev=self.stddev)
            return X + noise
        return X

    def compute_output_shape(self, batch_input_shape):
        return batch_input_shape


class ResidualBlock(keras.layers.Layer):
    def __init__(self, n_layers, n_neurons, **kwargs):
        super().__init__(**kwargs)
        self.hidden = [
            keras.layers.Dense(n_neurons, activation="elu", kernel_initializer="he_normal")
            for _ in range(n_layers)
        ]

    def call(self, inputs):
        Z = inputs
        for layer in self.hidden:
            Z = layer(Z)
        return inputs + Z


class ResidualRegressor(tf.keras.Model):
    def __init__(self, output_dim, **kwargs):
        super().__init__(**kwargs)
        self.hidden1 = tf.keras.layers.Dense(30, activation="elu", kernel_initializer="he_normal")
        self.block1 = ResidualBlock(2, 30)
        self.block2 = ResidualBlock(2, 30)
        self.out = tf.keras.layers.Dense(output_dim)

    def call(self, inputs):
        Z = self.hidden1(inputs)
        for _ in range(1 + 3):
            Z = self.block1(Z)
        Z = self.block2(Z)
        return self.out(Z)


class ReconstructingRegressor(tf.keras.Model):
    def __init__(self, output_dim, **kwargs):
        super().__init__(**kwargs)
        self.hidden = [
            tf.keras.layers.Dense(30, activation="selu", kernel_initializer="lecun_normal")
            for _ in range(5)
        ]
        self.out = tf.keras.layers.Dense(output_dim)

    def build(self, batch_input_shape):
        n_inputs = batch_input_shape[-1]
        self.reconstruct = keras.layers.Dense(n_inputs)
        super().build(batch_input_shape)

    def call(self, inputs):
        Z = inputs
        for layer in self.hidden:
            Z = layer(Z)
        reconstruction = self.reconstruct(Z)
        recon_loss = tf.reduce_mean(tf.square(reconstruction - inputs))
        self.add_loss(0.05 * recon_loss)
        return self.out(Z)


CUSTOM = {
    c.__name__: c
    for c in (
        huber_fn,
        HuberLoss,
        my_softplus,
        my_glorot_initializer,
        my_l1_regularizer,
        my_positive_weights,
        HuberMetric,
        MyDense,
        MyGaussianNoise,
        ResidualBlock,
        ResidualRegressor,
        ReconstructingRegressor,
    )
}


def mlp(*layers):
    return keras.Sequential([keras.layers.Input((8,)), *layers, keras.layers.Dense(1)])


def functions():
    return keras.layers.Dense(
        30,
        activation=my_softplus,
        kernel_initializer=my_glorot_initializer,
        kernel_regularizer=my_l1_regularizer,
        kernel_constraint=my_positive_weights,
    )


MODELS = {
    "function": lambda: (mlp(keras.layers.Dense(30, "selu")), huber_fn),
    "closure": lambda: (mlp(keras.layers.Dense(30, "selu")), create_huber(2.0)),
    "class": lambda: (mlp(keras.layers.Dense(30, "selu")), HuberLoss(2.0)),
    "functions": lambda: (mlp(functions()), "mse"),
    "layers": lambda: (mlp(MyDense(30, "relu"), MyGaussianNoise(0.1)), "mse"),
    "lambda": lambda: (mlp(MyDense(4), keras.layers.Lambda(lambda x: tf.exp(x))), "mse"),
    "residual": lambda: (ResidualRegressor(1), "mse"),
    "reconstructing": lambda: (ReconstructingRegressor(1), "mse"),
}


@pytest.mark.parametrize("name", MODELS)
def test_trained_saved_and_reloaded(name, tmp_path):
    model, loss = MODELS[name]()
    metrics = [HuberMetric(2.0, name="huber_metric"), create_huber(2.0)]
    model.compile(loss=loss, optimizer="nadam", metrics=metrics)
    history = model.fit(X, Y, epochs=5, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert {"huber_metric", "huber_fn"} <= set(history)
    np.testing.assert_allclose(history["huber_metric"], history["huber_fn"], rtol=1e-5)
    custom = CUSTOM | {"tf": tf}  # a lambda sees what is given here
    if name != "function":
        custom["huber_fn"] = create_huber(2.0)
    endings = ("h5", "keras") if isinstance(model, keras.Sequential) else ("keras",)
    for ending in endings:
        path = tmp_path / f"my_model.{ending}"
        model.save(path)
        again = load_model(path, custom_objects=custom, safe_mode=name != "lambda")
        np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
        if name == "class":
            assert again.loss.threshold == 2.0
        if name == "functions":
            assert (model.layers[0].kernel.numpy() >= 0).all()


def test_several_inputs_and_outputs_and_the_lambda_alone():
    a, b = tf.constant([[1.0, 2.0]]), tf.constant([[3.0, 4.0]])
    added, multiplied, divided = MyMultiLayer()((a, b))
    assert added.numpy().tolist() == [[4.0, 6.0]]
    assert multiplied.numpy().tolist() == [[3.0, 8.0]]
    np.testing.assert_allclose(divided, [[1 / 3, 0.5]], rtol=1e-6)
    inputs = [keras.Input((2,)), keras.Input((2,))]
    outputs = MyMultiLayer()(inputs)
    assert [o.shape for o in outputs] == [(None, 2)] * 3
    exponential_layer = keras.layers.Lambda(lambda x: tf.exp(x))
    np.testing.assert_allclose(exponential_layer(tf.constant([-1.0, 0.0, 1.0])), np.exp([-1, 0, 1]))


def test_finite_differences_as_printed():
    def f(w1, w2):
        return 3 * w1**2 + 2 * w1 * w2

    w1, w2, eps = 5, 3, 1e-6
    assert (f(w1 + eps, w2) - f(w1, w2)) / eps == 36.000003007075065
    assert (f(w1, w2 + eps) - f(w1, w2)) / eps == 10.000000003174137
