"""12.3.6 and 12.3.7: models of one's own, and losses on what is inside of them."""

import jax.numpy as jnp
import numpy as np
import pytest

import keraslike as keras


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


class ResidualRegressor(keras.Model):
    def __init__(self, output_dim, **kwargs):
        super().__init__(**kwargs)
        self.hidden1 = keras.layers.Dense(30, activation="elu", kernel_initializer="he_normal")
        self.block1 = ResidualBlock(2, 30)
        self.block2 = ResidualBlock(2, 30)
        self.out = keras.layers.Dense(output_dim)

    def call(self, inputs):
        Z = self.hidden1(inputs)
        for _ in range(1 + 3):
            Z = self.block1(Z)
        Z = self.block2(Z)
        return self.out(Z)


class ReconstructingRegressor(keras.Model):
    def __init__(self, output_dim, **kwargs):
        super().__init__(**kwargs)
        self.hidden = [
            keras.layers.Dense(30, activation="selu", kernel_initializer="lecun_normal")
            for _ in range(5)
        ]
        self.out = keras.layers.Dense(output_dim)
        self.reconstruction_mean = keras.metrics.Mean(name="reconstruction_error")

    def build(self, batch_input_shape):
        n_inputs = batch_input_shape[-1]
        self.reconstruct = keras.layers.Dense(n_inputs)
        super().build(batch_input_shape)

    def call(self, inputs, training=None):
        Z = inputs
        for layer in self.hidden:
            Z = layer(Z)
        reconstruction = self.reconstruct(Z)
        recon_loss = jnp.mean(jnp.square(reconstruction - inputs))
        self.add_loss(0.05 * recon_loss)
        if training:
            self.reconstruction_mean.update_state(recon_loss)
        return self.out(Z)


CUSTOM = {c.__name__: c for c in (ResidualBlock, ResidualRegressor, ReconstructingRegressor)}


@pytest.mark.parametrize("model_class", [ResidualRegressor, ReconstructingRegressor])
def test_round_trip(round_trip, model_class):
    def make():
        model = model_class(1)
        model.compile(loss="mse", optimizer=keras.optimizers.Nadam(0.003))
        return model

    round_trip(make, CUSTOM)


def test_a_block_used_four_times_is_counted_once(data):
    x, _ = data
    model = ResidualRegressor(1)
    model(x)
    assert model.count_params() == (8 * 30 + 30) + 2 * 2 * (30 * 30 + 30) + 31
    assert len({id(v) for v in model.weights}) == len(model.weights) == 12
    z = np.asarray(model.hidden1(x))
    for block in [model.block1] * 4 + [model.block2]:
        z = np.asarray(block(z))
    np.testing.assert_allclose(model(x), model.out(z), rtol=1e-5)


def test_the_reconstruction_loss_is_part_of_the_loss_and_learns(data):
    x, y = data
    model = ReconstructingRegressor(1)
    model.compile(loss="mse", optimizer=keras.optimizers.Nadam(0.003))
    got = model.evaluate(x, y, batch_size=len(x), verbose=0, return_dict=True)["loss"]
    z = x
    for layer in model.hidden:
        z = layer(z)
    recon = np.mean((np.asarray(model.reconstruct(z)) - x) ** 2)
    mse = np.mean((np.asarray(model.out(z))[:, 0] - y) ** 2)
    assert got == pytest.approx(mse + 0.05 * recon, rel=1e-4)
    before = model.reconstruct.get_weights()[0]
    history = model.fit(x, y, epochs=6, batch_size=16, verbose=0).history
    assert set(history) == {"loss", "reconstruction_error"}
    assert history["reconstruction_error"][-1] < history["reconstruction_error"][0]
    assert np.abs(model.reconstruct.get_weights()[0] - before).max() > 1e-3
    assert float(history["loss"][-1]) < float(history["loss"][0])


def test_steps_and_losses_overridden(data):
    x, y = data

    class Custom(ResidualRegressor):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return super().compute_loss(x, y, y_pred, sample_weight, training) + 100.0

        def test_step(self, data):
            return {**super().test_step(data), "extra": jnp.asarray(7.0)}

        def predict_step(self, data):
            return super().predict_step(data) * 0 + 3.0

    model = Custom(1)
    model.compile(loss="mse", optimizer="nadam", metrics=["mae"])
    assert model.fit(x, y, verbose=0).history["loss"][0] > 100
    result = model.evaluate(x, y, verbose=0, return_dict=True)
    assert result["extra"] == 7.0 and result["loss"] > 100
    np.testing.assert_array_equal(model.predict(x, verbose=0), 3.0)


def test_parts_of_a_model_keep_their_weights(tmp_path, data):
    x, _ = data
    model = ResidualRegressor(1)
    model(x)
    model.save_weights(tmp_path / "m.weights.h5")
    other = ResidualRegressor(2)
    other(x)
    with pytest.raises(ValueError, match=r"(?s)\(30, 1\).*\(30, 2\)|\(30, 2\).*\(30, 1\)"):
        other.load_weights(tmp_path / "m.weights.h5")
    with pytest.warns(UserWarning):
        other.load_weights(tmp_path / "m.weights.h5", skip_mismatch=True)
    np.testing.assert_array_equal(other.hidden1.kernel.numpy(), model.hidden1.kernel.numpy())
    block = ResidualBlock(2, 30)
    block(np.ones((1, 30)))
    block.set_weights(model.block1.get_weights())
    z = np.ones((2, 30), "float32")
    np.testing.assert_array_equal(block(z), model.block1(z))
