"""12.3.5: layers of one's own."""

import jax.numpy as jnp
import numpy as np
import pytest

import keraslike as keras


class MyDense(keras.layers.Layer):
    def __init__(self, units, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)

    def build(self, batch_input_shape):
        self.kernel = self.add_weight(
            name="kernel", shape=[batch_input_shape[-1], self.units], initializer="glorot_normal"
        )
        self.bias = self.add_weight(name="bias", shape=[self.units], initializer="zero")
        super().build(batch_input_shape)

    def call(self, X):
        return self.activation(X @ self.kernel + self.bias)

    def compute_output_shape(self, batch_input_shape):
        return tuple(batch_input_shape.as_list()[:-1] + [self.units])

    def get_config(self):
        base_config = super().get_config()
        return {
            **base_config,
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
        }


class MyMultiLayer(keras.layers.Layer):
    def call(self, X):
        X1, X2 = X
        return [X1 + X2, X1 * X2, X1 / (1 + jnp.square(X2))]

    def compute_output_shape(self, batch_input_shape):
        b1, b2 = batch_input_shape
        return [b1, b1, b1]


class MyGaussianNoise(keras.layers.Layer):
    def __init__(self, stddev, **kwargs):
        super().__init__(**kwargs)
        self.stddev = stddev

    def call(self, X, training=None):
        if training:
            noise = keras.random.normal(jnp.shape(X), stddev=self.stddev)
            return X + noise
        return X

    def compute_output_shape(self, batch_input_shape):
        return batch_input_shape


CUSTOM = {c.__name__: c for c in (MyDense, MyMultiLayer, MyGaussianNoise)}


def sequential():
    return keras.Sequential(
        [
            keras.layers.Input((8,)),
            MyDense(16, activation="relu"),
            MyGaussianNoise(0.1),
            MyDense(1),
        ]
    )


def functional():
    x = keras.layers.Input((8,))
    a, b = MyDense(6, "elu")(x), MyDense(6)(x)
    return keras.Model(x, MyDense(1)(keras.layers.Concatenate()(MyMultiLayer()([a, b]))))


def subclassed():
    class Sub(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense, self.out = MyDense(16, "relu"), MyDense(1)

        def call(self, x):
            return self.out(self.dense(x))

    CUSTOM["Sub"] = Sub
    return Sub()


@pytest.mark.parametrize("build", [sequential, functional, subclassed])
def test_round_trip(round_trip, build):
    def make():
        model = build()
        model.compile(loss="mse", optimizer="nadam")
        return model

    round_trip(make, CUSTOM)


def test_my_dense_shapes_and_config():
    layer = MyDense(3, activation="relu", name="mine")
    assert tuple(layer.compute_output_shape((None, 4, 8))) == (None, 4, 3)
    layer(np.ones((2, 8)))
    assert [v.name for v in layer.weights] == ["kernel", "bias"]
    again = MyDense.from_config(layer.get_config())
    assert (again.name, again.units) == ("mine", 3) and again.activation is keras.activations.relu


def test_two_inputs_and_three_outputs():
    a, b = keras.layers.Input((2,)), keras.layers.Input((2,))
    outputs = MyMultiLayer()([a, b])
    assert [o.shape for o in outputs] == [(None, 2)] * 3
    model = keras.Model([a, b], outputs)
    x, y = np.full((1, 2), 6.0), np.full((1, 2), 3.0)
    for got, expected in zip(model([x, y]), (9.0, 18.0, 0.6), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_noise_in_training_only_and_other_noise_at_every_step():
    layer = MyGaussianNoise(1.0)
    x = np.zeros((4, 3), "float32")
    np.testing.assert_array_equal(layer(x), x)
    first, second = layer(x, training=True), layer(x, training=True)
    assert np.abs(np.asarray(first) - np.asarray(second)).max() > 0.1

    class Collect(keras.Model):
        def __init__(self):
            super().__init__()
            self.noise = MyGaussianNoise(1.0)
            self.seen = self.add_weight(name="seen", shape=(), initializer="zeros")

        def call(self, x, training=None):
            return self.noise(x, training=training) + 0 * self.seen

    seen = []

    def run():
        keras.utils.set_random_seed(5)
        model = Collect()
        model.compile(loss=lambda y, p: jnp.sum(p, axis=-1), optimizer="sgd")
        logs = []
        watch = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda b, s: logs.append(s["loss"])
        )
        model.fit(np.zeros((12, 3)), np.zeros((12, 3)), batch_size=4, epochs=2, verbose=0,
                  callbacks=[watch])  # fmt: skip
        seen.append(logs)

    run()
    run()
    assert seen[0] == seen[1] and len(set(seen[0])) == 6


def test_lambda_layers(tmp_path, data):
    x, _ = data
    exponential_layer = keras.layers.Lambda(lambda x: jnp.exp(x))
    model = keras.Sequential([keras.layers.Input((8,)), keras.layers.Dense(2), exponential_layer])
    np.testing.assert_allclose(
        model(x), np.exp(x @ model.layers[0].kernel.numpy()), rtol=1e-4, atol=1e-5
    )
    model.save(tmp_path / "m.keras")
    with pytest.raises(ValueError, match="safe_mode=False"):
        keras.saving.load_model(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras", safe_mode=False)
    np.testing.assert_array_equal(again(x), model(x))
