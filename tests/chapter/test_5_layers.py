"""12.3.5: layers of one's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import keraslike as keras

from .conftest import FORMATS, THESE, THOSE

pytestmark = pytest.mark.slow


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
        return [X1 + X2, X1 * X2, X1 / X2]

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


class MyRegressor(keras.Model):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.dense, self.noise = MyDense(units, "relu"), MyGaussianNoise(0.1)
        self.out = MyDense(1)

    def call(self, x, training=None):
        return self.out(self.noise(self.dense(x), training=training))


CUSTOM = {c.__name__: c for c in (MyDense, MyMultiLayer, MyGaussianNoise, MyRegressor)}


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
    a, b = MyDense(6, "elu")(x), MyDense(6, keras.activations.softplus)(x)
    joined = keras.layers.Concatenate()(MyMultiLayer()([a, b]))
    return keras.Model(x, MyDense(1)(MyGaussianNoise(0.1)(joined)))


def subclassed():
    return MyRegressor(16)


def with_layers_as_activations():
    return keras.Sequential(
        [
            keras.layers.Input((8,)),
            keras.layers.Dense(6, activation=keras.layers.LeakyReLU(negative_slope=0.1)),
            keras.layers.Dense(6, activation=MyGaussianNoise(0.01)),
            MyDense(6, activation=keras.layers.PReLU()),
            keras.layers.Dense(1),
        ]
    )


@pytest.mark.parametrize(
    "build, formats",
    [
        (sequential, THESE),
        (functional, THOSE),
        (subclassed, FORMATS),
        (with_layers_as_activations, THESE),
    ],
)
def test_round_trip(round_trip, build, formats):
    def make():
        model = build()
        model.compile(loss="mse", optimizer="nadam")
        return model

    round_trip(make, CUSTOM, formats=formats)


def test_round_trip_with_several_inputs_and_outputs(round_trip, data):
    x, y = data

    def make():
        a, b = keras.layers.Input((8,), name="a"), keras.layers.Input((8,), name="b")
        parts = MyMultiLayer(name="multi")([MyDense(4)(a), MyDense(4, "softplus")(b)])
        model = keras.Model([a, b], [MyDense(1, name=f"out{i}")(p) for i, p in enumerate(parts)])
        model.compile(loss=["mse", "mae", "mse"], optimizer="nadam", metrics=[["mae"], [], []])
        return model

    round_trip(make, CUSTOM, [x, 2 * x], [y, -y, 0 * y])


def test_a_layer_as_an_activation_is_a_part_of_the_layer(data):
    x, _ = data
    model = with_layers_as_activations()
    first, second, third = model.layers[:3]
    np.testing.assert_allclose(
        first(x), jax.nn.leaky_relu(x @ first.kernel.numpy() + first.bias.numpy(), 0.1), rtol=1e-4
    )
    z = first(x)
    np.testing.assert_array_equal(second(z), second(z))
    assert np.abs(np.asarray(second(z, training=True) - second(z))).max() > 0.005
    assert [v.shape for v in third.weights] == [(6, 6), (6,), (6,)]
    exponential = keras.layers.Lambda(lambda x: jnp.exp(x))
    layer = keras.layers.Dense(2, activation=exponential)
    np.testing.assert_allclose(layer(x), np.exp(x @ layer.kernel.numpy()), rtol=1e-4)


def test_my_dense_is_dense(data):
    x, y = data
    histories, initial = [], None
    for dense in (MyDense, keras.layers.Dense):
        model = keras.Sequential([keras.layers.Input((8,)), dense(6, "selu"), dense(1)])
        initial = model.get_weights() if initial is None else initial
        model.set_weights(initial)
        model.compile(loss="mse", optimizer="nadam")
        histories.append(model.fit(x, y, epochs=2, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(*histories, rtol=1e-5)


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
    for got, expected in zip(model([x, y]), (9.0, 18.0, 2.0), strict=True):
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


def test_noise_in_a_graph_for_training():
    inputs = keras.layers.Input((3,))
    model = keras.Model(inputs, MyGaussianNoise(1.0)(inputs, training=True))
    x = np.zeros((4, 3), "float32")
    keras.utils.set_random_seed(3)
    first, second = model.predict(x, verbose=0), model.predict(x, verbose=0)
    keras.utils.set_random_seed(3)
    np.testing.assert_array_equal(model.predict(x, verbose=0), first)
    assert np.abs(first - second).max() > 0.1


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


def exponential(x, base=np.e):
    return jnp.power(base, x)


def test_lambda_layers_of_named_functions(round_trip):
    def make():
        model = keras.Sequential(
            [
                keras.layers.Input((8,)),
                keras.layers.Dense(3, kernel_initializer="zeros"),
                keras.layers.Lambda(exponential, arguments={"base": 2.0}),
                keras.layers.Dense(1),
            ]
        )
        model.compile(loss="mse", optimizer="nadam")
        return model

    round_trip(make, {"exponential": exponential})
