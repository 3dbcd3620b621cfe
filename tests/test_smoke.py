"""The whole house in a few seconds, with no oracle: for interpreters beside the default one."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np

import keraslike as keras


class HuberLoss(keras.losses.Loss):
    def __init__(self, threshold=1.0, **kwargs):
        self.threshold = threshold
        super().__init__(**kwargs)

    def call(self, y_true, y_pred):
        error = y_true - y_pred
        is_small_error = jnp.abs(error) < self.threshold
        squared_loss = jnp.square(error) / 2
        linear_loss = self.threshold * jnp.abs(error) - self.threshold**2 / 2
        return jnp.where(is_small_error, squared_loss, linear_loss)

    def get_config(self):
        base_config = super().get_config()
        return {**base_config, "threshold": self.threshold}


def test_train_save_reload_and_train_on(tmp_path):
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
    y = x[:, :1] * 3
    model = keras.Sequential(
        [
            keras.layers.Input((8,)),
            keras.layers.Dense(30, activation="elu", kernel_initializer="he_normal"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(1),
        ]
    )
    model.compile(loss=HuberLoss(2.0), optimizer="nadam", metrics=["mae"])
    losses = model.fit(x, y, epochs=8, verbose=0, validation_split=0.25).history["loss"]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras", custom_objects={"HuberLoss": HuberLoss})
    assert again.loss.threshold == 2.0
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    go_on = [m.fit(x, y, shuffle=False, verbose=0).history["loss"] for m in (again, model)]
    assert go_on[0] == go_on[1]
    grads = jax.grad(lambda m: jnp.mean((m(x) - y) ** 2), allow_int=True)(model)
    assert np.isfinite(grads.layers[0].kernel.numpy()).all()


def test_what_is_imported_when_first_used():
    code = (
        "import jax, flax.nnx, optax, sys; before = set(sys.modules); import keraslike; "
        "print([m for m in ('h5py', 'orbax', 'rich', 'matplotlib', 'keras', 'tensorflow')"
        " if m in sys.modules and m not in before])"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONWARNINGS"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_public_names_are_all_there_and_no_modules_of_ours():
    for face in (keras.layers, keras.losses, keras.metrics, keras.optimizers, keras.models):
        for name in dir(face):
            assert type(getattr(face, name)).__name__ != "module" or name in (
                "legacy",
                "schedules",
            ), name
    assert {"Dense", "Layer", "Input"} <= set(dir(keras.layers))
