"""12.3.7: losses and metrics on what is inside of a model."""

import jax.numpy as jnp
import numpy as np
import pytest

import keraslike as keras

from .conftest import THESE, THOSE

pytestmark = pytest.mark.slow


def reconstructing_regressor(keras):
    """The chapter's class, for keraslike or for Keras."""

    class ReconstructingRegressor(keras.Model):
        def __init__(self, output_dim, **kwargs):
            super().__init__(**kwargs)
            self.hidden = [
                keras.layers.Dense(30, activation="selu", kernel_initializer="lecun_normal")
                for _ in range(5)
            ]
            self.out = keras.layers.Dense(output_dim)

        def build(self, batch_input_shape):
            n_inputs = batch_input_shape[-1]
            self.reconstruct = keras.layers.Dense(n_inputs)
            super().build(batch_input_shape)

        def call(self, inputs):
            Z = inputs
            for layer in self.hidden:
                Z = layer(Z)
            reconstruction = self.reconstruct(Z)
            recon_loss = jnp.mean(jnp.square(reconstruction - inputs))
            self.add_loss(0.05 * recon_loss)
            return self.out(Z)

    return ReconstructingRegressor


ReconstructingRegressor = reconstructing_regressor(keras)


class Monitored(ReconstructingRegressor):
    """With a metric on the reconstruction, and a config written by hand."""

    def __init__(self, output_dim, **kwargs):
        super().__init__(output_dim, **kwargs)
        self.output_dim = output_dim
        self.reconstruction_mean = keras.metrics.Mean(name="reconstruction_error")

    def call(self, inputs, training=None):
        outputs = super().call(inputs)
        if training:
            self.reconstruction_mean(self.losses[-1] / 0.05)
        return outputs

    def get_config(self):
        base_config = super().get_config()
        return {**base_config, "output_dim": self.output_dim}


CUSTOM = {c.__name__: c for c in (ReconstructingRegressor, Monitored)}


def compiled(cls=ReconstructingRegressor):
    model = cls(1)
    model.compile(loss="mse", optimizer=keras.optimizers.Nadam(0.003))
    return model


@pytest.mark.parametrize("cls, formats", [(ReconstructingRegressor, THESE), (Monitored, THOSE)])
def test_round_trip(round_trip, cls, formats):
    _, copies = round_trip(lambda: compiled(cls), CUSTOM, formats=formats)
    assert all(again.reconstruct.kernel.shape == (30, 8) for again in copies)


def test_the_loss_is_part_of_the_loss_and_learns(data):
    x, y = data
    model = compiled(Monitored)
    got = model.evaluate(x, y, batch_size=len(x), verbose=0, return_dict=True)["loss"]
    z = x
    for layer in model.hidden:
        z = layer(z)
    recon = np.mean((np.asarray(model.reconstruct(z)) - x) ** 2)
    mse = np.mean((np.asarray(model.out(z))[:, 0] - y) ** 2)
    assert got == pytest.approx(mse + 0.05 * recon, rel=1e-4)
    assert float(model(x) is not None and model.losses[0]) == pytest.approx(0.05 * recon, rel=1e-4)
    before = model.reconstruct.get_weights()[0]
    history = model.fit(x, y, epochs=6, batch_size=16, verbose=0).history
    assert set(history) == {"loss", "reconstruction_error"}
    assert history["reconstruction_error"][-1] < history["reconstruction_error"][0]
    assert np.abs(model.reconstruct.get_weights()[0] - before).max() > 1e-3
    assert model.losses == [] or all(np.isfinite(float(v)) for v in model.losses)  # no tracer


def test_the_history_is_that_of_keras(data):
    import keras as oracle

    x, y = data
    histories, initial = [], None
    for _, cls in ((keras, ReconstructingRegressor), (oracle, reconstructing_regressor(oracle))):
        model = cls(1)
        model.compile(loss="mse", optimizer="nadam", metrics=["mae"])
        model(x[:2])
        initial = model.get_weights() if initial is None else initial
        model.set_weights(initial)
        history = model.fit(x, y[:, None], batch_size=16, epochs=4, shuffle=False, verbose=0)
        val = model.evaluate(x, y[:, None], verbose=0, return_dict=True)
        histories.append({**history.history, **{f"val_{name}": v for name, v in val.items()}})
    ours, theirs = histories
    assert set(ours) == set(theirs) == {"loss", "mae", "val_loss", "val_mae"}
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-4, err_msg=name)


def test_losses_of_the_last_call_only(data):
    x, _ = data
    model = ReconstructingRegressor(1)
    model(x)
    first = [float(v) for v in model.losses]
    model(x)
    assert [float(v) for v in model.losses] == first and len(first) == 1
    model(2 * x)
    assert float(model.losses[0]) > first[0]


class Shift(keras.layers.Layer):
    """A loss on its own weight, in a layer of a model that has no other loss."""

    def build(self, input_shape):
        self.shift = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="shift")

    def call(self, x):
        self.add_loss(jnp.mean(jnp.square(x + self.shift)))
        return x + self.shift


def test_a_layer_with_a_loss_is_all_that_a_model_needs(round_trip, data):
    x, _ = data
    x = x + 3.0

    def make():
        model = keras.Sequential([keras.layers.Input((8,)), Shift()])
        model.compile(optimizer=keras.optimizers.SGD(1.0))
        return model

    model, _ = round_trip(make, {"Shift": Shift}, x, None)
    np.testing.assert_allclose(model.layers[0].shift.numpy(), -x.mean(0), atol=0.2)
