"""What comes back from a file, and what happens where it cannot."""

import builtins
import io
import pathlib

import h5py
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest
from flax import nnx

import keraslike
from keraslike import layers, saving
from keraslike.saving import weights_h5

from .small_models import small, weights_equal

pytestmark = pytest.mark.slow


class ScaledHuber(keraslike.losses.Loss):
    def __init__(self, threshold=1.0, **kwargs):
        super().__init__(**kwargs)
        self.threshold = threshold

    def call(self, y_true, y_pred):
        error = y_true - y_pred
        small = jnp.abs(error) < self.threshold
        return jnp.where(small, error**2 / 2, self.threshold * (jnp.abs(error) - 0.5))

    def get_config(self):
        return {**super().get_config(), "threshold": self.threshold}


class Gate(keraslike.Layer):
    def __init__(self, units, inner=None, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.inner = inner or layers.Dense(units)

    def build(self, input_shape):
        self.inner.build(input_shape)
        self.gate = self.add_weight(shape=(self.units,), initializer="ones", name="gate")

    def call(self, x):
        return self.inner(x) * self.gate

    def get_config(self):
        return {**super().get_config(), "units": np.int64(self.units), "inner": self.inner}

    @classmethod
    def from_config(cls, config):
        inner = saving.deserialize_keras_object(config["inner"])
        return cls(**{**config, "inner": inner})


# -- what comes back --------------------------------------------------------------------------


def test_training_goes_on_as_if_never_stopped(tmp_path, batch):
    x, y = batch
    model = keraslike.Sequential(
        [
            keraslike.Input((4,)),
            layers.Dense(8, activation="relu"),
            layers.Dropout(0.5),
            layers.BatchNormalization(),
            layers.Dense(2),
        ]
    )
    model.compile("nadam", "mse", metrics=["mae"])
    model.fit(x, y, epochs=2, batch_size=4, verbose=0, shuffle=False)
    model.save(tmp_path / "model.keras")
    again = saving.load_model(tmp_path / "model.keras")
    assert weights_equal(model, again)
    for a, b in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    one = model.fit(x, y, epochs=2, batch_size=4, verbose=0, shuffle=False).history
    two = again.fit(x, y, epochs=2, batch_size=4, verbose=0, shuffle=False).history
    assert one == two
    assert weights_equal(model, again)


def test_an_optax_transform_is_given_again(tmp_path, batch):
    x, y = batch
    path = tmp_path / "model.keras"
    model = small(optimizer=optax.adam(1e-2), loss="mse")
    model.fit(x, y, verbose=0)
    with pytest.warns(UserWarning, match="optax transform"):
        model.save(path)
    again = saving.load_model(path)
    assert not again.compiled
    again.compile(optimizer=optax.adam(1e-2), loss="mse")
    again.load_weights(path)
    one = model.fit(x, y, verbose=0, shuffle=False).history
    assert one == again.fit(x, y, verbose=0, shuffle=False).history


class Tower(keraslike.Model):
    def __init__(self, units, rate=0.5, **kwargs):
        super().__init__(**kwargs)
        self.units, self.rate = units, rate
        self.steps = [layers.Dense(units, activation="relu"), layers.Dropout(rate)]
        self.last = layers.Dense(2)

    def call(self, x, training=False):
        for step in self.steps:
            x = step(x, training=training) if isinstance(step, layers.Dropout) else step(x)
        return self.last(x)


def test_a_subclassed_model(tmp_path, batch):
    x, y = batch
    model = Tower(5, name="tower")
    model.compile("nadam", "mse", metrics=["mae"])
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    again = saving.load_model(tmp_path / "model.keras", {"Tower": Tower})
    assert (again.name, again.units, again.rate) == ("tower", 5, 0.5)
    assert weights_equal(model, again)
    one = model.fit(x, y, epochs=2, verbose=0, shuffle=False).history
    assert one == again.fit(x, y, epochs=2, verbose=0, shuffle=False).history


def test_custom_loss_and_layer(tmp_path, batch):
    x, y = batch
    model = keraslike.Sequential([keraslike.Input((4,)), Gate(2)])
    model.compile("adam", ScaledHuber(2.0))
    model.fit(x, y, verbose=0)
    path = tmp_path / "model.keras"
    model.save(path)
    with pytest.raises(TypeError) as error:
        saving.load_model(path)
    assert "custom_objects={'Gate': Gate}" in str(error.value) and str(path) in str(error.value)
    custom = {"Gate": Gate, "ScaledHuber": ScaledHuber}
    again = saving.load_model(path, custom_objects=custom)
    assert again.loss.threshold == 2.0 and isinstance(again.layers[0], Gate)
    assert weights_equal(model, again)
    with saving.custom_object_scope(custom):
        assert weights_equal(model, saving.load_model(path))
    one = model.fit(x, y, verbose=0, shuffle=False).history
    assert one == again.fit(x, y, verbose=0, shuffle=False).history


def test_registered_classes_need_no_custom_objects(tmp_path):
    @saving.register_keras_serializable(package="tests")
    class Registered(Gate):
        pass

    model = keraslike.Sequential([keraslike.Input((4,)), Registered(2)])
    model.save(tmp_path / "model.keras")
    assert weights_equal(model, saving.load_model(tmp_path / "model.keras"))


def test_compile_false(tmp_path, batch):
    model = small(loss=ScaledHuber())
    model.fit(*batch, verbose=0)
    model.save(tmp_path / "model.keras")
    again = saving.load_model(tmp_path / "model.keras", compile=False)
    assert not again.compiled and weights_equal(model, again)


def test_a_lambda_needs_safe_mode_false(tmp_path, batch):
    model = keraslike.Sequential([keraslike.Input((4,)), layers.Lambda(lambda x: x * 2)])
    model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match="safe_mode=False"):
        saving.load_model(tmp_path / "model.keras")
    again = saving.load_model(tmp_path / "model.keras", safe_mode=False)
    np.testing.assert_array_equal(again(batch[0]), model(batch[0]))


def test_a_layer_s_own_way_of_saving(tmp_path):
    class Own(layers.Dense):
        def save_own_variables(self, store):
            super().save_own_variables(store)
            store["note"] = np.array([7])

        def load_own_variables(self, store):
            self.note = int(store["note"][0])
            super().load_own_variables({k: v for k, v in store.items() if k != "note"})

    model = keraslike.Sequential([keraslike.Input((4,)), Own(2)])
    model.save(tmp_path / "model.keras")
    again = saving.load_model(tmp_path / "model.keras", {"Own": Own})
    assert again.layers[0].note == 7 and weights_equal(model, again)


def test_plain_flax_modules_are_saved(tmp_path):
    class Mixed(keraslike.Model):
        def __init__(self, seed):
            super().__init__()
            rngs = nnx.Rngs(seed)
            self.linear = nnx.Linear(4, 3, rngs=rngs)
            self.stack = nnx.List([nnx.BatchNorm(3, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)])
            self.free = nnx.Param(jnp.full(3, float(seed)))

        def call(self, x):
            return self.stack[0](self.linear(x)) + self.free

    one, two = Mixed(1), Mixed(2)
    x = jnp.ones((2, 4))
    assert not np.allclose(one(x), two(x))
    one.save_weights(tmp_path / "w.weights.h5")
    two.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_array_equal(one(x), two(x))
    assert one.stack[1].rngs.key.get_value() == two.stack[1].rngs.key.get_value()
    with h5py.File(tmp_path / "w.weights.h5") as file:
        assert set(file["linear/vars"]) == {"kernel", "bias"}


def test_weights_out_of_a_whole_model(tmp_path, batch):
    model, other = small(loss="mse"), small()
    model.fit(*batch, verbose=0)
    model.save(tmp_path / "model.keras")
    other.load_weights(tmp_path / "model.keras")
    assert weights_equal(model, other)


# -- what does not fit ------------------------------------------------------------------------


def test_weights_of_other_shapes(tmp_path):
    path = tmp_path / "w.weights.h5"
    small(5).save_weights(path)
    model = small(3)
    before = model.get_weights()
    with pytest.raises(ValueError) as error:
        model.load_weights(path)
    message = str(error.value)
    assert str(path) in message and "layers/dense/vars/0" in message
    assert "expected shape (4, 3), found (4, 5)" in message
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))


def test_skip_mismatch_names_what_does_not_fit(tmp_path):
    small(5).save_weights(tmp_path / "w.weights.h5")
    model = small(3)
    before = model.get_weights()
    with pytest.warns(UserWarning) as warned:
        model.load_weights(tmp_path / "w.weights.h5", skip_mismatch=True)
    places = ["layers/dense/vars/0", "layers/dense/vars/1", "layers/dense_1/vars/0"]
    assert len(warned) == 3
    assert all(place in str(w.message) for place, w in zip(places, warned))
    assert all(map(np.array_equal, before, model.get_weights()))


def filled(library, value, wide=False, use_bias=True, center=True):
    """A model whose weights all have one value."""
    units = 3 if wide else 2
    model = library.Sequential(
        [
            library.Input((2,)),
            library.layers.Dense(units, use_bias=use_bias),
            library.layers.BatchNormalization(center=center),
            library.layers.Dense(2),
        ]
    )
    model.set_weights([np.full(w.shape, value, "float32") for w in model.get_weights()])
    return model


@pytest.mark.parametrize("ending", [".weights.h5", ".keras", ".weights.json"])
@pytest.mark.parametrize(
    ("written", "read", "taken"),
    [
        ({"wide": True}, {}, [0, 0, 0, 0, 0, 0, 0, 0]),  # The last bias follows its kernel.
        ({"use_bias": False}, {}, [0, 0, 1, 1, 1, 1, 1, 1]),
        ({}, {"use_bias": False}, [0, 1, 1, 1, 1, 1, 1]),
        ({"center": False}, {}, [1, 1, 0, 0, 0, 0, 1, 1]),
    ],
)
def test_skip_mismatch_takes_of_a_layer_what_keras_takes(tmp_path, ending, written, read, taken):
    path = tmp_path / f"w{ending}"
    source = filled(keraslike, 1.0, **written)
    if ending == ".keras":
        source.save(path)
    else:
        source.save_weights(path, max_shard_size=1 if ending == ".weights.json" else None)
    for library in (keras, keraslike):
        model = filled(library, 0.0, **read)
        with pytest.warns(UserWarning):
            model.load_weights(path, skip_mismatch=True)
        assert [float(w.max()) for w in model.get_weights()] == taken


def test_missing_and_surplus_weights(tmp_path):
    path = tmp_path / "w.weights.h5"
    model = small()
    model.save_weights(path)
    with h5py.File(path, "a") as file:
        del file["layers/dense/vars/1"]
        file["layers/dense_1/vars/2"] = np.zeros(3)
    with pytest.raises(ValueError) as error:
        model.load_weights(path)
    assert "layers/dense/vars/1 (sequential" in str(error.value)
    assert "expected shape (3,), found none" in str(error.value)
    assert "layers/dense_1/vars/2: expected none, found shape (3,)" in str(error.value)


def test_layers_that_the_model_lacks_are_named(tmp_path):
    model = small()
    model.add(layers.Dense(2))
    model.save_weights(tmp_path / "w.weights.h5")
    with pytest.warns(UserWarning, match="no place for: layers/dense_2"):
        small().load_weights(tmp_path / "w.weights.h5")


def test_an_error_half_way_changes_nothing(tmp_path):
    class Failing(layers.Dense):
        def load_own_variables(self, store):
            self.kernel.assign(store["0"])
            raise RuntimeError("no more")

    def make():
        return keraslike.Sequential([keraslike.Input((4,)), layers.Dense(3), Failing(2)])

    make().save_weights(tmp_path / "w.weights.h5")
    model = make()
    before = model.get_weights()
    with pytest.raises(ValueError, match="RuntimeError: no more"):
        model.load_weights(tmp_path / "w.weights.h5")
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))


def test_weights_of_another_kind(tmp_path):
    path = tmp_path / "w.weights.h5"
    model = small()
    model.save_weights(path)
    with h5py.File(path, "a") as file:
        del file["layers/dense/vars/1"]
        file["layers/dense/vars/1"] = np.zeros(3, "complex64")
    before = model.get_weights()
    with pytest.raises(ValueError, match="layers/dense/vars/1"):
        model.load_weights(path)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))


def test_unbuilt_models(tmp_path):
    small().save_weights(tmp_path / "w.weights.h5")
    unbuilt = keraslike.Sequential([layers.Dense(3), layers.Dense(2)])
    with pytest.raises(ValueError, match="no weights to save yet"):
        unbuilt.save_weights(tmp_path / "none.weights.h5")
    with pytest.raises(ValueError, match="no weights to load yet"):
        unbuilt.load_weights(tmp_path / "w.weights.h5")
    with pytest.warns(UserWarning, match="saved without weights"):
        unbuilt.save(tmp_path / "model.keras")
    again = saving.load_model(tmp_path / "model.keras")
    assert [x.units for x in again.layers] == [3, 2] and not again.built


# -- paths ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [FileNotFoundError, ValueError])
def test_a_missing_file(tmp_path, kind):
    with pytest.raises(kind, match="nowhere.keras"):
        saving.load_model(tmp_path / "nowhere.keras")
    with pytest.raises(kind, match="nowhere.weights.h5"):
        small().load_weights(tmp_path / "nowhere.weights.h5")


def test_endings(tmp_path):
    model = small()
    for call, wanted in (
        (lambda p: model.save(p), "`.keras`"),
        (lambda p: model.save_weights(p), "`.weights.h5`"),
    ):
        with pytest.raises(ValueError, match=wanted):
            call(tmp_path / "model.tf")
    (tmp_path / "model.tf").write_bytes(b"")
    for call in (saving.load_model, model.load_weights):
        with pytest.raises(ValueError, match="whose name ends in"):
            call(tmp_path / "model.tf")
        with pytest.raises(ValueError, match="folder"):
            call(tmp_path)
        with pytest.raises(TypeError, match="filepath"):
            call(3)
    with pytest.raises(FileNotFoundError, match="no folder"):
        model.save(tmp_path / "no" / "model.keras")
    with pytest.raises(TypeError, match="model=3"):
        saving.save_model(3, tmp_path / "model.keras")


def test_overwrite(tmp_path, monkeypatch):
    path = tmp_path / "model.keras"
    one, two = small(), small()
    one.save(path)
    with pytest.raises(FileExistsError, match="overwrite=False"):
        two.save(path, overwrite=False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(builtins, "input", lambda _: "n")
    two.save(path, overwrite=False)
    assert weights_equal(saving.load_model(path), one)
    monkeypatch.setattr(builtins, "input", lambda _: "y")
    two.save(path, overwrite=False)
    assert weights_equal(saving.load_model(path), two)


def test_a_link_goes_on_pointing_to_the_file(tmp_path):
    small().save(tmp_path / "real.keras")
    (tmp_path / "link.keras").symlink_to(tmp_path / "real.keras")
    (tmp_path / "real.keras").chmod(0o640)
    model = small()
    model.save(tmp_path / "link.keras")
    assert (tmp_path / "link.keras").is_symlink()
    assert (tmp_path / "real.keras").stat().st_mode & 0o777 == 0o640
    assert weights_equal(saving.load_model(tmp_path / "real.keras"), model)


# -- the walk ---------------------------------------------------------------------------------


def test_the_walk_ends_where_things_hold_each_other():
    class Node(keraslike.Layer):
        pass

    one, two = Node(), Node()
    one.other, two.other = two, one
    one.things = [one, two]
    one.things.append(one.things)
    assert [path for path, _ in weights_h5.walk(one)] == ["", "other"]


def test_h5py_is_imported_when_first_used():
    import subprocess
    import sys

    code = "import sys, keraslike; assert 'h5py' not in sys.modules"
    root = pathlib.Path(keraslike.__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


def test_the_public_face():
    assert set(dir(saving)) == set(saving.__all__)
    assert saving.CustomObjectScope is saving.custom_object_scope
    assert saving.deserialize_keras_object(3) == 3


def test_a_file_object_takes_what_is_in_an_archive():
    model = small()
    file = io.BytesIO()
    saving.save_model(model, file)
    file.seek(0)
    assert weights_equal(saving.load_model(file), model)
    with pytest.raises(ValueError, match="damaged|no `.keras` file"):
        saving.load_model(io.BytesIO(b"nothing"))


def test_loading_draws_no_initial_values_but_those_that_no_file_has(tmp_path, monkeypatch):
    from keraslike.core import host

    @keraslike.saving.register_keras_serializable(package="to_come")
    class Forgetful(layers.Dense):
        def save_own_variables(self, store):
            """Keeps nothing."""

        def load_own_variables(self, store):
            """Gets nothing."""

    drawn = []
    real = host.uniform
    monkeypatch.setattr(host, "uniform", lambda *a, **k: drawn.append(1) or real(*a, **k))
    kernel = keraslike.initializers.GlorotUniform(seed=3)
    for layer, draws in ((layers.Dense, 0), (Forgetful, 1)):
        model = keraslike.Sequential([keraslike.Input((3,)), layer(4, kernel_initializer=kernel)])
        model.compile(loss="mse", optimizer="adam")
        model.save(tmp_path / "model.keras")
        drawn.clear()
        loaded = keraslike.models.load_model(tmp_path / "model.keras")
        assert len(drawn) == draws
        np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])
        assert np.any(loaded.get_weights()[0])
        loaded.fit(np.ones((4, 3)), np.ones((4, 4)), verbose=0)
        keraslike.Sequential.from_config(model.get_config()).get_weights()
        assert len(drawn) == draws + 1
