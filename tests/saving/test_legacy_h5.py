"""Whole models in `.h5` files, from Keras and to it."""

import json
import warnings

import h5py
import keras
import numpy as np
import optax
import pytest

import keraslike
from keraslike import layers, saving

from .small_models import small, weights_equal
from .test_keras_files import convnet, data_for, functional, make_blocks, mlp, nested, steps

pytestmark = pytest.mark.slow

load_model = saving.load_model


def contents(path):
    """The groups and datasets of a file, with the lists that say what is in them."""
    found = {}

    def visit(name, item):
        lists = {k: list(v) for k, v in item.attrs.items() if k.endswith("_names")}
        lists = {k: [getattr(n, "decode", lambda n=n: n)() for n in v] for k, v in lists.items()}
        found[name] = getattr(item, "shape", None), getattr(item, "dtype", None), lists

    with h5py.File(path) as file:
        file.visititems(visit)
        found[""] = set(file.attrs)
    return found


def attribute(path, name):
    with h5py.File(path) as file:
        return json.loads(file.attrs[name])


def same_optimizer(a, b):
    for one, other in zip(a.optimizer.variables, b.optimizer.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def predictions_equal(a, b, x):
    ours, theirs = (np.asarray(m.predict_on_batch(x)) for m in (a, b))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


# -- from Keras and to it ---------------------------------------------------------------------


def ends_in_a_model(K):
    """An inner model, called twice, is the last operation: Keras counts its calls from 1 there."""
    x = K.Input((6,))
    inner = K.Model(x, K.layers.Dense(6)(x))
    middle = K.Sequential([K.Input((6,)), K.layers.Dense(6, activation="tanh")])
    x = K.Input((6,))
    last = K.Model(z := K.Input((6,)), K.layers.Dense(3)(z))
    return K.Model(x, last(middle(inner(inner(x)))))


@pytest.mark.parametrize(
    ("make", "optimizer"),
    [
        (mlp, "Nadam"),
        (convnet, "Adam"),
        (functional, "RMSprop"),
        (nested, "SGD"),
        (ends_in_a_model, "Adam"),
    ],
)
def test_there_and_back(make, optimizer, tmp_path, rng):
    theirs = make(keras)
    theirs.compile(getattr(keras.optimizers, optimizer)(1e-2), "mse", metrics=["mae"])
    x, y = data_for(theirs, rng)
    steps(theirs, x, y)
    theirs.save(tmp_path / "theirs.h5")

    ours = load_model(tmp_path / "theirs.h5")
    same_optimizer(ours, theirs)
    predictions_equal(ours, theirs, x)
    ours.save(tmp_path / "ours.h5")  # before training on: layouts with the same automatic names
    np.testing.assert_allclose(steps(ours, x, y), steps(theirs, x, y), rtol=1e-4)

    ours = load_model(tmp_path / "ours.h5")
    predictions_equal(keras.saving.load_model(tmp_path / "ours.h5", compile=False), ours, x)
    again = keras.saving.load_model(tmp_path / "ours.h5")  # "mse" by its full name, which it knows
    assert again.optimizer.get_config() == theirs.optimizer.get_config()

    theirs, ours = contents(tmp_path / "theirs.h5"), contents(tmp_path / "ours.h5")
    assert ours.pop("") - theirs.pop("") == {"keraslike_version"}

    def weights(found):
        return {k: v[:2] for k, v in found.items() if k.startswith("model_weights/") and v[0]}

    assert sorted(v[0] for v in weights(ours).values()) == sorted(
        v[0] for v in weights(theirs).values()
    )
    assert ours["model_weights"] == theirs["model_weights"]  # the layers and their order


def test_a_model_that_ends_in_a_model_goes_through_keras_files_too(tmp_path, rng):
    x = rng.normal(size=(3, 6)).astype("float32")
    for writer, reader in ((keras, keraslike), (keraslike, keras)):
        model = ends_in_a_model(writer)
        model.save(tmp_path / "m.keras")
        predictions_equal(reader.saving.load_model(tmp_path / "m.keras"), model, x)


def shape_of_config(value):
    """The classes and keys of all configs in a config."""
    if isinstance(value, dict):
        left_out = ("shared_object_id", "inbound_nodes", "build_config")
        inner = {k: shape_of_config(v) for k, v in value.items() if k not in left_out}
        return {**inner, "class_name": value.get("class_name")}
    found = [shape_of_config(v) for v in value] if isinstance(value, list) else []
    return found if any(found) else None


@pytest.mark.parametrize("make", [mlp, convnet, functional, nested])
def test_what_is_written_is_what_keras_writes(make, tmp_path):
    found = []
    for K in (keras, keraslike):
        model = make(K)
        model.compile(K.optimizers.Adam(), K.losses.Huber(), metrics=[K.metrics.MeanSquaredError()])
        model.save(tmp_path / "m.h5")
        config = shape_of_config(attribute(tmp_path / "m.h5", "model_config"))
        training = shape_of_config(attribute(tmp_path / "m.h5", "training_config"))
        training["loss"]["config"].pop("delta", None)  # which Keras 3.15 forgets
        found.append((config, training))
    assert found[0] == found[1]


@pytest.mark.parametrize("K, other", [(keras, keraslike), (keraslike, keras)], ids=["from", "to"])
def test_weights_of_a_subclassed_model(K, other, tmp_path, rng):
    x = rng.normal(size=(4, 6)).astype("float32")
    writer, reader = make_blocks(K), make_blocks(other)
    expected = np.asarray(writer(x))
    assert not np.allclose(np.asarray(reader(x)), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        writer.save(tmp_path / "m.h5")
    reader.load_weights(tmp_path / "m.h5")
    np.testing.assert_allclose(np.asarray(reader(x)), expected, rtol=1e-4, atol=1e-5)


def test_what_keras_calls_by_operators_comes_back(tmp_path, rng):
    """An op's entry has no module in Keras's file, so that `Add` may be the layer or the op."""
    x = keras.Input((4,))
    y = keras.layers.Add()([keras.layers.Dense(4)(x), x])
    model = keras.Model(x, keras.ops.relu(y + 1.0) * y)
    model.save(tmp_path / "m.h5")
    ours = load_model(tmp_path / "m.h5")
    x = rng.normal(size=(3, 4)).astype("float32")
    predictions_equal(ours, model, x)
    ours.save(tmp_path / "again.h5")
    predictions_equal(load_model(tmp_path / "again.h5"), model, x)


# -- training goes on -------------------------------------------------------------------------


def next_epochs(model, x, y):
    return model.fit(x, y, epochs=2, batch_size=4, verbose=0, shuffle=False).history


@pytest.mark.parametrize("ending", ["h5", "hdf5"])
def test_training_goes_on_as_if_never_stopped(tmp_path, batch, ending):
    model = keraslike.Sequential(
        [
            keraslike.Input((4,)),
            layers.Dense(8, activation="relu"),
            layers.Dropout(0.5),  # its random stream is in the file
            layers.BatchNormalization(),
            layers.Dense(2),
        ]
    )
    model.compile("nadam", "mse", metrics=["mae", "accuracy"], steps_per_execution=2)
    next_epochs(model, *batch)
    model.save(tmp_path / f"m.{ending}")
    again = load_model(tmp_path / f"m.{ending}")
    assert weights_equal(model, again) and again.steps_per_execution == 2
    same_optimizer(model, again)
    history = next_epochs(model, *batch)
    assert history == next_epochs(again, *batch)
    assert set(history) == {"loss", "mae", "accuracy"}


def test_a_model_that_was_not_trained_yet(tmp_path):
    model = small(optimizer="adam", loss="mse")
    model.optimizer.learning_rate = 0.5
    model.save(tmp_path / "m.h5")
    again = load_model(tmp_path / "m.h5")
    assert float(again.optimizer.learning_rate) == 0.5
    assert not load_model(tmp_path / "m.h5", compile=False).compiled
    model.save(tmp_path / "m.h5", include_optimizer=False)
    assert not load_model(tmp_path / "m.h5").compiled
    with pytest.raises(ValueError, match=r"include_optimizer=False is for `\.h5`"):
        model.save(tmp_path / "m.keras", include_optimizer=False)


def test_several_outputs(tmp_path, rng):
    x = keraslike.Input((4,))
    model = keraslike.Model(x, {n: layers.Dense(2, name=n)(x) for n in ("a", "b")})
    schedule = keraslike.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    huber = keraslike.losses.Huber(2.0)
    model.compile(
        keraslike.optimizers.SGD(schedule, momentum=0.9),
        loss={"a": "mse", "b": huber},
        loss_weights={"a": 1.0, "b": 2.0},
        metrics={"a": ["mae"], "b": "mse"},
        weighted_metrics={"a": "mae"},
    )
    x, y = rng.normal(size=(8, 4)), {n: rng.normal(size=(8, 2)) for n in ("a", "b")}
    next_epochs(model, x, y)
    model.save(tmp_path / "m.h5")
    again = load_model(tmp_path / "m.h5")
    assert again.loss["b"].delta == 2.0
    assert next_epochs(again, x, y) == next_epochs(model, x, y)


def test_an_optax_transform_is_given_again(tmp_path, batch):
    model = small(optimizer=optax.adam(1e-2), loss="mse")
    model.fit(*batch, verbose=0)
    with pytest.warns(UserWarning, match="optax transform"):
        model.save(tmp_path / "m.h5")
    again = load_model(tmp_path / "m.h5")
    assert not again.compiled
    again.compile(optax.adam(1e-2), "mse")
    again.load_weights(tmp_path / "m.h5")
    assert next_epochs(again, *batch) == next_epochs(model, *batch)


# -- names ------------------------------------------------------------------------------------


def test_awkward_names(tmp_path):
    x = keraslike.Input((3,))
    y = x
    for name in ("a", "a/a", "/model_weights", "..", "../up", "top_level_model_weights", "ü\0"):
        y = layers.Dense(3, name=name)(y)
    model = keraslike.Model(x, y)
    model.save(tmp_path / "m.h5")
    again = load_model(tmp_path / "m.h5")
    assert [v.name for v in again.layers] == [v.name for v in model.layers]
    assert weights_equal(model, again)
    again = keraslike.models.clone_model(model)
    again.load_weights(tmp_path / "m.h5", by_name=True)
    assert weights_equal(model, again)


def test_weights_of_one_name(tmp_path):
    class Twice(keraslike.Layer):
        def build(self, input_shape):
            for i, name in enumerate(("w", "w", "w_1", ".", "..", "")):
                setattr(self, f"w{i}", self.add_weight((i + 1,), "uniform", name=name))

        def call(self, x):
            return x * self.w0

    model = keraslike.Sequential([keraslike.Input((1,)), Twice()])
    model.save(tmp_path / "m.h5")
    assert weights_equal(load_model(tmp_path / "m.h5", {"Twice": Twice}), model)


@pytest.mark.parametrize("K", [keras, keraslike], ids=["keras", "keraslike"])
def test_long_lists_of_names_are_split(tmp_path, K):
    class Many(K.layers.Layer):
        def build(self, input_shape):
            for i in range(300):
                name = f"{i}_{'x' * 250}"
                setattr(self, f"w{i}", self.add_weight(shape=(), initializer="ones", name=name))
            self.w200.assign(5.0)

        def call(self, x):
            return x + self.w200

    model = K.Sequential([K.Input((1,)), Many(name="many")])
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5") as file:
        assert {"weight_names0", "weight_names1"} <= set(file["model_weights/many"].attrs)

    if K is keras:
        return  # its file would need the layer as one of ours
    again = load_model(tmp_path / "m.h5", {"Many": Many})
    assert weights_equal(again, model)


# -- weights alone ----------------------------------------------------------------------------


def old_weights_file(model, path):
    """Weights as Keras 2 wrote them: with no groups around them, and with ":0" after each name."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{v.name}:0" for v in layer.weights]
            group.attrs["weight_names"] = [n.encode() for n in names]
            for name, v in zip(names, layer.weights):
                group[name] = np.asarray(v)


def test_load_weights(tmp_path, batch):
    model = small(optimizer="adam", loss="mse")
    model.fit(*batch, verbose=0)
    model.save(tmp_path / "m.h5")
    old_weights_file(model, tmp_path / "w.h5")
    for name in ("m.h5", "w.h5"):
        other = small(optimizer="adam", loss="mse")
        other.load_weights(tmp_path / name)
        assert weights_equal(model, other)
        assert int(other.optimizer.iterations) == 0  # as in Keras, the weights only


def test_weights_that_do_not_fit(tmp_path):
    model = small(5)
    before = model.get_weights()
    old_weights_file(small(3), tmp_path / "w.h5")
    with pytest.raises(ValueError, match=r"kernel: expected shape \(4, 5\), found \(4, 3\)"):
        model.load_weights(tmp_path / "w.h5")
    deeper = keraslike.Sequential([*small().layers, layers.Dense(2)])
    deeper.build((None, 4))
    with pytest.raises(ValueError, match="has 3 layers with weights, and the file has 2"):
        deeper.load_weights(tmp_path / "w.h5")
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))
    with pytest.warns(UserWarning, match="Left as it was") as record:
        model.load_weights(tmp_path / "w.h5", skip_mismatch=True)
    assert len(record) == 3
    after = model.get_weights()
    assert [np.array_equal(a, b) for a, b in zip(before, after)] == [True, True, True, True]
    assert not before[3].any() and not after[3].any()


def test_load_weights_by_name(tmp_path):
    def make(*names):
        named = [layers.Dense(3, name=n) for n in names]
        return keraslike.Sequential([keraslike.Input((3,)), *named])

    one, two = make("a", "b", "c"), make("c", "x", "a", "y")
    old_weights_file(one, tmp_path / "w.h5")
    before = two.get_weights()
    two.load_weights(tmp_path / "w.h5", by_name=True)
    for mine, theirs in ((0, 2), (2, 0)):
        assert weights_equal(two.layers[mine], one.layers[theirs])
    assert np.array_equal(two.layers[1].get_weights()[0], before[2])
    two.save(tmp_path / "w.keras")
    with pytest.raises(ValueError, match="by_name only supports"):
        two.load_weights(tmp_path / "w.keras", by_name=True)
