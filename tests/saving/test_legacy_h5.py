"""Whole models in `.h5` files, from Keras and to it, and from before Keras 3."""

import base64
import copy
import io
import json
import marshal
import warnings

import h5py
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest

import keraslike
from keraslike import layers, saving
from keraslike.saving import keras_archive, old_config, weights_h5
from keraslike.saving.old_names import Origin

from .small_models import small, weights_equal
from .test_keras_files import convnet, data_for, functional, make_blocks, mlp, nested, steps

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


# -- the chapter's objects --------------------------------------------------------------------


def huber_fn(y_true, y_pred):
    error = y_true - y_pred
    return jnp.where(jnp.abs(error) < 1, error**2 / 2, jnp.abs(error) - 0.5)


def create_huber(threshold=1.0):
    def huber_fn(y_true, y_pred):
        error = y_true - y_pred
        linear = threshold * jnp.abs(error) - threshold**2 / 2
        return jnp.where(jnp.abs(error) < threshold, error**2 / 2, linear)

    return huber_fn


class HuberLoss(keraslike.losses.Loss):
    def __init__(self, threshold=1.0, **kwargs):
        self.threshold = threshold
        super().__init__(**kwargs)

    def call(self, y_true, y_pred):
        return create_huber(self.threshold)(y_true, y_pred)

    def get_config(self):
        return {**super().get_config(), "threshold": self.threshold}


class HuberMetric(keraslike.metrics.Metric):
    def __init__(self, threshold=1.0, **kwargs):
        super().__init__(**kwargs)
        self.threshold = threshold
        self.total = self.add_weight("total", initializer="zeros")
        self.count = self.add_weight("count", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        values = create_huber(self.threshold)(y_true, y_pred)
        self.total.assign_add(jnp.sum(values))
        self.count.assign_add(float(np.prod(values.shape)))

    def result(self):
        return self.total / self.count

    def get_config(self):
        return {**super().get_config(), "threshold": self.threshold}


class MyDense(keraslike.Layer):
    def __init__(self, units, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.activation = keraslike.activations.get(activation)

    def build(self, batch_input_shape):
        shape = [batch_input_shape[-1], self.units]
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer="glorot_normal")
        self.bias = self.add_weight(name="bias", shape=[self.units], initializer="zero")
        super().build(batch_input_shape)

    def call(self, x):
        return self.activation(x @ self.kernel + self.bias)

    def get_config(self):
        activation = keraslike.activations.serialize(self.activation)
        return {**super().get_config(), "units": self.units, "activation": activation}


def my_softplus(z):
    return jnp.log(jnp.exp(z) + 1.0)


def my_glorot_initializer(shape, dtype="float32"):
    return keraslike.random.normal(shape, stddev=jnp.sqrt(2.0 / sum(shape)), dtype=dtype)


def my_l1_regularizer(weights):
    return jnp.sum(jnp.abs(0.01 * weights))


def my_positive_weights(weights):
    return jnp.where(weights < 0.0, 0.0, weights)


class MyL1(keraslike.regularizers.Regularizer):
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, weights):
        return self.factor * my_l1_regularizer(weights)

    def get_config(self):
        return {"factor": self.factor}


FUNCTIONS = [my_softplus, my_glorot_initializer, my_l1_regularizer, my_positive_weights]
CUSTOM = {o.__name__: o for o in (*FUNCTIONS, HuberLoss, HuberMetric, MyDense, MyL1)}


@pytest.mark.parametrize(
    ("loss", "given"),
    [(huber_fn, huber_fn), (create_huber(2.0), create_huber(2.0)), (HuberLoss(2.0), huber_fn)],
    ids=["function", "closure", "class"],
)
def test_custom_objects(tmp_path, batch, loss, given):
    hidden = layers.Dense(
        3,
        activation=my_softplus,
        kernel_initializer=my_glorot_initializer,
        kernel_regularizer=my_l1_regularizer,
        kernel_constraint=my_positive_weights,
        bias_regularizer=MyL1(0.1),
    )
    model = keraslike.Sequential([keraslike.Input((4,)), hidden, MyDense(2, "elu")])
    model.compile("nadam", loss, metrics=[HuberMetric(2.0), huber_fn])
    model.fit(*batch, verbose=0)
    model.save(tmp_path / "m.h5")
    again = load_model(tmp_path / "m.h5", {**CUSTOM, "huber_fn": given})
    assert getattr(again.loss, "threshold", None) == getattr(loss, "threshold", None)
    assert again.layers[0].kernel_regularizer is my_l1_regularizer
    assert again.layers[0].bias_regularizer.factor == 0.1
    one, two = next_epochs(again, *batch), next_epochs(model, *batch)
    if given is not huber_fn:  # a file does not hold the closure's threshold
        one.pop("huber_fn"), two.pop("huber_fn")
    assert one == two


def test_a_custom_object_that_is_not_given_is_named(tmp_path):
    path = tmp_path / "m.h5"
    small(loss=huber_fn).save(path)
    for match in (r"m\.h5", r"custom_objects=\{'huber_fn': huber_fn\}"):
        with pytest.raises(TypeError, match=match):
            load_model(path)
    assert load_model(path, compile=False).loss is None
    with saving.custom_object_scope({"huber_fn": huber_fn}):
        assert load_model(path).loss is huber_fn
    keraslike.Sequential([keraslike.Input((4,)), MyDense(2)]).save(path)
    with pytest.raises(TypeError, match=r"m\.h5(.|\n)*custom_objects=\{'MyDense': MyDense\}"):
        load_model(path)


def test_registered_objects_go_by_their_registered_name(tmp_path, batch):
    @saving.register_keras_serializable(package="h5tests")
    class Registered(MyDense):
        pass

    @saving.register_keras_serializable(package="h5tests")
    def registered_loss(y_true, y_pred):
        return jnp.abs(y_true - y_pred)

    model = keraslike.Sequential([keraslike.Input((4,)), Registered(2)])
    model.compile(loss=registered_loss)
    model.save(tmp_path / "m.h5")
    config = attribute(tmp_path / "m.h5", "model_config")
    assert config["config"]["layers"][1]["class_name"] == "h5tests>Registered"
    again = load_model(tmp_path / "m.h5")
    assert type(again.layers[0]) is Registered and again.loss is registered_loss


def test_a_function_from_keras_s_file(tmp_path, batch):
    x, y = batch
    theirs = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(2, kernel_constraint="non_neg")]
    )
    theirs.compile("nadam", create_huber(2.0), metrics=[create_huber(2.0)])
    steps(theirs, x, y)
    theirs.save(tmp_path / "m.h5")
    ours = load_model(tmp_path / "m.h5", {"huber_fn": create_huber(2.0)})
    np.testing.assert_allclose(steps(ours, x, y), steps(theirs, x, y), rtol=1e-4)


class Tower(keraslike.Model):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.hidden = [layers.Dense(units, activation="relu") for _ in range(2)]
        self.drop, self.last = layers.Dropout(0.5), layers.Dense(2)

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(2,), initializer="ones", name="scale")
        super().build(input_shape)

    def call(self, x):
        for layer in self.hidden:
            x = layer(x)
        return self.last(self.drop(x)) * self.scale


def test_a_subclassed_model(tmp_path, batch):
    """Keras 3.15 makes no weights when it reads such a file, and fails."""
    model = Tower(5, name="tower")
    model.compile("nadam", "mse")
    model.fit(*batch, verbose=0)
    model.save(tmp_path / "m.h5")
    again = load_model(tmp_path / "m.h5", {"Tower": Tower})
    assert (again.name, again.units) == ("tower", 5) and weights_equal(model, again)
    assert next_epochs(again, *batch) == next_epochs(model, *batch)


class Own(layers.Dense):
    """A layer with something of its own in the file."""

    note = 0

    def save_own_variables(self, store):
        super().save_own_variables(store)
        store["note"] = np.array([7])

    def load_own_variables(self, store):
        self.note = int(store["note"][0])
        super().load_own_variables({k: v for k, v in store.items() if k != "note"})


def test_a_layer_s_own_way_of_saving(tmp_path):
    model = keraslike.Sequential([keraslike.Input((4,)), Own(2)])
    model.save(tmp_path / "m.h5")
    again = load_model(tmp_path / "m.h5", {"Own": Own})
    assert again.layers[0].note == 7 and weights_equal(model, again)
    with h5py.File(tmp_path / "m.h5", "a") as file:
        del file["keraslike"]  # as if Keras had written it, which does not ask the layer
    again = load_model(tmp_path / "m.h5", {"Own": Own})
    assert again.layers[0].note == 0 and weights_equal(model, again)


def test_low_precision_weights(tmp_path):
    model = keraslike.Sequential([keraslike.Input((4,)), layers.Dense(2, dtype="bfloat16")])
    model.save(tmp_path / "m.h5")
    again = load_model(tmp_path / "m.h5")
    assert again.layers[0].kernel.dtype == "bfloat16" and weights_equal(model, again)


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
    with pytest.raises(ValueError, match="by_name is for"):
        two.load_weights(tmp_path / "w.keras", by_name=True)


# -- files from before Keras 3 ----------------------------------------------------------------


def old_file(path, model_config, weights, training_config=None, optimizer_weights=()):
    """A file as tf.keras wrote it; `weights` by layer."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = "2.4.0", "tensorflow"
        file.attrs["model_config"] = json.dumps(model_config).encode()
        if training_config is not None:
            file.attrs["training_config"] = json.dumps(training_config).encode()
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in weights]
        for name, arrays in weights.items():
            inner = group.create_group(name)
            inner.attrs["weight_names"] = [f"{name}/w{i}:0".encode() for i in range(len(arrays))]
            for i, array in enumerate(arrays):
                inner[f"{name}/w{i}:0"] = array
        if optimizer_weights:
            group = file.create_group("optimizer_weights")
            group.attrs["weight_names"] = [f"Adam/{i}:0" for i in range(len(optimizer_weights))]
            for i, array in enumerate(optimizer_weights):
                group[f"Adam/{i}:0"] = array


def dense(name, units, **config):
    return {
        "class_name": "Dense",
        "config": {
            "name": name,
            "trainable": True,
            "dtype": "float32",
            "units": units,
            "activation": "linear",
            "use_bias": True,
            "kernel_initializer": {
                "class_name": "VarianceScaling",
                "config": {
                    "scale": 1.0,
                    "mode": "fan_avg",
                    "distribution": "uniform",
                    "seed": None,
                    "dtype": "float32",
                },
            },
            "bias_initializer": {"class_name": "Zeros", "config": {"dtype": "float32"}},
            "kernel_regularizer": None,
            "bias_regularizer": None,
            "activity_regularizer": None,
            "kernel_constraint": None,
            "bias_constraint": None,
            **config,
        },
    }


ADAM = {
    "class_name": "Adam",
    "config": {
        "name": "Adam",
        "lr": 0.25,
        "decay": 0.0,
        "beta_1": 0.9,
        "beta_2": 0.999,
        "epsilon": 1e-07,
        "amsgrad": False,
    },
}


def old_sequential():
    norm = {
        "name": "bn",
        "trainable": True,
        "dtype": {"class_name": "Policy", "config": {"name": "float32"}},
        "axis": [1],
        "momentum": 0.9,
        "epsilon": 0.001,
        "center": True,
        "scale": True,
        "beta_initializer": {"class_name": "Zeros", "config": {}},
        "gamma_initializer": {"class_name": "Ones", "config": {}},
        "moving_mean_initializer": {"class_name": "Zeros", "config": {}},
        "moving_variance_initializer": {"class_name": "Ones", "config": {}},
        "beta_regularizer": None,
        "gamma_regularizer": None,
        "beta_constraint": None,
        "gamma_constraint": None,
    }
    l1l2 = {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.01}}
    first = dense("d1", 3, batch_input_shape=[None, 4], kernel_regularizer=l1l2, activation="relu")
    norm = {"class_name": "BatchNormalization", "config": norm}
    return {"name": "seq", "layers": [first, norm, dense("d2", 2, activation="my_softplus")]}


OLD_WEIGHTS = {
    "d1": [np.full((4, 3), 0.5, "f4"), np.ones(3, "f4")],
    "bn": [np.full(3, v, "f4") for v in (2.0, 1.0, 0.5, 4.0)],
    "d2": [np.full((3, 2), 0.25, "f4"), np.zeros(2, "f4")],
}


def old_sequential_output(x):
    hidden = np.maximum(x @ OLD_WEIGHTS["d1"][0] + 1, 0)
    hidden = 2 * (hidden - 0.5) / np.sqrt(4.001) + 1
    return np.log(np.exp(hidden @ OLD_WEIGHTS["d2"][0]) + 1)


@pytest.mark.parametrize("layout", ["tf.keras", "a list"])
def test_an_old_sequential(tmp_path, batch, layout):
    x, y = batch
    config = old_sequential()
    config = {"class_name": "Sequential", "config": config}
    if layout == "a list":
        config["config"] = config["config"]["layers"]
    training = {
        "optimizer_config": ADAM,
        "loss": {"class_name": "MeanSquaredError", "config": {"reduction": "auto", "name": "m"}},
        "metrics": [
            [
                {
                    "class_name": "MeanMetricWrapper",
                    "config": {"name": "mae", "dtype": "float32", "fn": "mean_absolute_error"},
                },
                {"class_name": "MeanSquaredError", "config": {"name": "mse", "dtype": "float32"}},
            ]
        ],
        "weighted_metrics": None,
        "loss_weights": None,
        "sample_weight_mode": None,
    }
    state = [np.int64(5), *(np.zeros(3, "f4") for _ in range(12))]  # no learning rate among it
    old_file(tmp_path / "m.h5", config, OLD_WEIGHTS, training, state)
    custom = {"my_softplus": my_softplus}
    with pytest.warns(UserWarning, match="starts afresh"):
        model = load_model(tmp_path / "m.h5", custom)
    np.testing.assert_allclose(model.predict_on_batch(x), old_sequential_output(x), rtol=1e-5)
    assert type(model.layers[0].kernel_regularizer) is keraslike.regularizers.L1L2
    assert model.layers[1].axis == 1 and model.input_shape == (None, 4)
    assert float(model.optimizer.learning_rate) == 0.25
    result = model.evaluate(x, y, verbose=0, return_dict=True)
    error = old_sequential_output(x) - y
    assert set(result) == {"loss", "mae", "mse"}
    np.testing.assert_allclose(result["mae"], np.abs(error).mean(), rtol=1e-4)
    np.testing.assert_allclose(result["mse"], (error**2).mean(), rtol=1e-4)
    np.testing.assert_allclose(result["loss"], result["mse"] + 0.01 * 12 * 0.25, rtol=1e-4)
    model.save(tmp_path / "again.h5")
    again = load_model(tmp_path / "again.h5", custom)
    assert next_epochs(again, x, y) == next_epochs(model, x, y)


def old_input(name, size):
    config = {"batch_input_shape": [None, size], "dtype": "float32", "sparse": False}
    return {
        "class_name": "InputLayer",
        "config": {**config, "ragged": False, "name": name},
        "name": name,
        "inbound_nodes": [],
    }


def old_functional():
    """Two inputs, a shared layer, a nested model (whose calls count from 1), keywords, a Lambda
    with a function by name."""

    def called(entry, *nodes):
        return {**entry, "name": entry["config"]["name"], "inbound_nodes": list(nodes)}

    inner = {
        "class_name": "Sequential",
        "config": {"name": "inner", "layers": [dense("d", 3, batch_input_shape=[None, 3])]},
    }
    add = {"class_name": "Add", "config": {"name": "add", "trainable": True, "dtype": "float32"}}
    twice = {
        "class_name": "Lambda",
        "config": {
            "name": "twice",
            "trainable": True,
            "dtype": "float32",
            "function": "times",
            "function_type": "function",
            "module": "builtins",
            "output_shape": None,
            "output_shape_type": "raw",
            "output_shape_module": None,
            "arguments": {"factor": 2.0},
        },
    }
    return {
        "class_name": "Model",
        "config": {
            "name": "net",
            "layers": [
                old_input("a", 3),
                old_input("b", 3),
                called(dense("shared", 3), [["a", 0, 0, {}]], [["b", 0, 0, {}]]),
                called(add, [["shared", 0, 0, {}], ["shared", 1, 0, {}]]),
                called(inner, [["add", 0, 0, {}]], [["inner", 1, 0, {"training": False}]]),
                called(twice, [["inner", 2, 0, {}]]),
            ],
            "input_layers": [["a", 0, 0], ["b", 0, 0]],
            "output_layers": [["twice", 0, 0]],
        },
    }


def times(x, factor):
    return x * factor


def test_an_old_functional_model(tmp_path, rng):
    kernels = {n: rng.normal(size=(3, 3)).astype("f4") for n in ("shared", "inner")}
    bias = np.ones(3, "f4")
    stored = {n: [k, bias] for n, k in kernels.items()}
    weights = {"a": [], "b": [], "shared": stored["shared"], "add": [], "inner": stored["inner"]}
    old_file(tmp_path / "m.h5", old_functional(), {**weights, "twice": []})
    with pytest.raises(TypeError, match="custom_objects={'times': times}"):
        load_model(tmp_path / "m.h5")
    model = load_model(tmp_path / "m.h5", {"times": times})
    assert [v.name for v in model.layers] == ["a", "b", "shared", "add", "inner", "twice"]
    a, b = rng.normal(size=(2, 5, 3)).astype("f4")
    hidden = a @ kernels["shared"] + b @ kernels["shared"] + 2
    for _ in range(2):
        hidden = hidden @ kernels["inner"] + 1
    np.testing.assert_allclose(model.predict_on_batch([a, b]), 2 * hidden, rtol=1e-4, atol=1e-5)
    config = old_functional()
    config["config"]["output_layers"] = [["inner", 1, 0], ["twice", 0, 0]]
    old_file(tmp_path / "m.h5", config, {**weights, "twice": []})
    first, last = load_model(tmp_path / "m.h5", {"times": times}).predict_on_batch([a, b])
    np.testing.assert_allclose(last, 2 * hidden, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(first @ kernels["inner"] + 1, hidden, rtol=1e-4, atol=1e-5)


def test_old_shapes_tuples_and_keyword_tensors():
    modern = old_config.modern(
        {
            "a": {"class_name": "TensorShape", "items": [None, 3]},
            "b": {
                "class_name": "__tuple__",
                "items": [1, {"class_name": "__tuple__", "items": []}],
            },
        },
        "",
        Origin(),
    )
    assert modern == {"a": [None, 3], "b": [1, []]}
    layer = {"class_name": "MyLayer", "config": {"name": "c"}, "name": "c"}
    node = [["a", 0, 0, {"other": ["b", 0, 0], "n": 2}]]
    config = {
        "layers": [old_input("a", 3), old_input("b", 3), {**layer, "inbound_nodes": [node]}],
        "input_layers": [["a", 0, 0], ["b", 0, 0]],
        "output_layers": [["c", 0, 0]],
    }
    found = {"class_name": "Model", "config": config}
    found = old_config.modern(found, "layers", Origin())["config"]
    (call,) = found["layers"][2]["inbound_nodes"]
    assert call["args"][0]["config"] == {"keras_history": ["a", 0, 0]}
    assert call["kwargs"]["other"]["config"] == {"keras_history": ["b", 0, 0]}
    assert call["kwargs"]["n"] == 2
    assert found["output_layers"] == ["c", 0, 0]


# -- what is not to be trusted ----------------------------------------------------------------


def old_lambda():
    code = base64.b64encode(marshal.dumps((lambda x: x * 3).__code__)).decode()
    return {
        "class_name": "Lambda",
        "config": {
            "name": "l",
            "trainable": True,
            "batch_input_shape": [None, 4],
            "dtype": "float32",
            "function": [code, None, None],
            "function_type": "lambda",
            "module": "__main__",
            "output_shape": None,
            "output_shape_type": "raw",
            "arguments": {},
        },
    }


def test_lambdas_need_safe_mode_false(tmp_path, batch):
    path = tmp_path / "m.h5"
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [old_lambda()]}}
    old_file(path, config, {"l": []})
    wrapped = copy.deepcopy(old_lambda())
    wrapped["config"]["output_shape"] = wrapped["config"]["function"]
    wrapped["config"] |= {"function": "times", "function_type": "function"}
    wrapped["config"]["output_shape_type"] = "lambda"
    old_file(tmp_path / "n.h5", {**config, "config": {"layers": [wrapped]}}, {"l": []})
    keraslike.Sequential([keraslike.Input((4,)), layers.Lambda(lambda x: x * 3)]).save(
        tmp_path / "o.h5"
    )
    small(loss=lambda a, b: (a - b) ** 2).save(tmp_path / "p.h5")
    for name in ("m", "n", "o", "p"):
        with pytest.raises(ValueError, match="safe_mode=False"):
            load_model(tmp_path / f"{name}.h5", {"times": times})
    x, y = batch
    for name in ("m", "o"):
        model = load_model(tmp_path / f"{name}.h5", safe_mode=False)
        np.testing.assert_array_equal(model.predict_on_batch(x), x * 3)
    assert np.isfinite(load_model(tmp_path / "p.h5", safe_mode=False).train_on_batch(x, y))


@pytest.fixture(scope="module")
def trained():
    model = small(optimizer="adam", loss="mse")
    model.layers[0].name = "first"
    model.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0)
    buffer = io.BytesIO()
    from keraslike.saving import legacy_h5

    with h5py.File(buffer, "w") as file:
        legacy_h5.write(model, file)
    return model, buffer.getvalue()


@pytest.fixture
def saved(tmp_path, trained):
    model, data = trained
    (tmp_path / "m.h5").write_bytes(data)
    return model, tmp_path / "m.h5"


def refused(path, match, error=ValueError):
    with pytest.raises(error, match=match) as caught:
        load_model(path)
    assert str(path) in str(caught.value)


def test_truncated_and_foreign_files(saved, tmp_path):
    _, path = saved
    data = path.read_bytes()
    for end in (0, 1, 8, 100, len(data) // 3, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:end])
        refused(path, "damaged|no HDF5")
    path.write_text("hello")
    refused(path, "no HDF5")
    with h5py.File(path, "w") as file:
        file["x"] = 1
    refused(path, "holds no model: it has no attribute 'model_config'. It holds: x")
    model = small()
    with pytest.raises(ValueError, match=r"m\.h5(.|\n)*lacks 'model_weights'"):
        model.load_weights(path)
    small().save_weights(tmp_path / "w.weights.h5")
    refused(tmp_path / "w.weights.h5", r"Weights alone are read by load_weights\(\)")
    with pytest.raises(ValueError, match="save_model"):
        small().save(tmp_path / "w.weights.h5")


def test_a_flipped_bit_is_seen_or_harmless(saved, rng):
    """HDF5 has no checksums here: a weight may come out as another number, and nothing worse."""
    model, path = saved
    data = path.read_bytes()
    seen = 0
    for place in [*rng.integers(0, len(data), 40), *range(0, 2000, 40)]:
        changed = bytearray(data)
        changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(changed))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                again = load_model(path)
        except (ValueError, TypeError) as e:
            assert str(path) in str(e)
            seen += 1
        else:
            shapes = [w.shape for w in model.get_weights()]
            assert [w.shape for w in again.get_weights()] == shapes
    assert seen > 5


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("model_config", "{", "no JSON"),
        ("model_config", "[]", "describes no model"),
        ("model_config", "[" * 100_000, "too deeply"),
        ("model_config", '{"class_name":"a","config":' + '{"a":' * 300 + "1" + "}" * 301, "levels"),
        ("model_config", '{"class_name": "Dense", "config": 3}', "must be a dict"),
        ("model_config", '{"class_name": "Sequential", "config": {}}', "could not be loaded"),
        ("model_config", '{"class_name": "Zeros", "config": {}}', "no model"),
        ("model_config", '{"class_name": ["a"], "config": {}}', "must be a string"),
        ("model_config", 3, "no text"),
        ("training_config", "{", "no JSON"),
        ("training_config", "[" * 300 + "]" * 300, "levels"),
        ("training_config", "[]", "could not be loaded"),
        ("training_config", "{}", "optimizer_config"),
        ("training_config", '{"optimizer_config": {"class_name": "eval", "config": {}}}', "'eval'"),
    ],
)
def test_bad_attributes(saved, name, value, match):
    _, path = saved
    with h5py.File(path, "a") as file:
        file.attrs[name] = value
    refused(path, match, (ValueError, TypeError))
    if name == "training_config":
        load_model(path, compile=False)


def test_a_config_runs_nobody_s_code(saved):
    _, path = saved
    for entry in (
        {"class_name": "system", "config": {}, "module": "os"},
        {"class_name": "os>system", "config": {}},
        {"class_name": "Sequential", "config": [{"class_name": "Popen", "config": {}}]},
    ):
        with h5py.File(path, "a") as file:
            file.attrs["model_config"] = json.dumps(entry)
        refused(path, "is not known here", TypeError)


def test_a_config_that_asks_for_more_than_its_file_can_hold(saved):
    _, path = saved
    config = attribute(path, "model_config")
    config["config"]["layers"][1]["config"]["units"] = 10**9
    with h5py.File(path, "a") as file:
        file.attrs["model_config"] = json.dumps(config)
    refused(path, "asks for weights of")


def change(file, kind, outside):
    group = file["model_weights/first"]
    kernel = "model_weights/first/" + group.attrs["weight_names"][0].decode()
    if kind == "soft":
        del file[kernel]
        file[kernel] = h5py.SoftLink("/" + kernel.replace("kernel", "bias"))
    elif kind == "external link":
        del file[kernel]
        file[kernel] = h5py.ExternalLink(outside, "x")
    elif kind == "external data":
        del file[kernel]
        file.create_dataset(kernel, (4, 3), "f4", external=[(outside, 0, 48)])
    elif kind == "virtual":
        del file[kernel]
        layout = h5py.VirtualLayout((4, 3), "f4")
        layout[:] = h5py.VirtualSource(outside, "x", (4, 3))
        file.create_virtual_dataset(kernel, layout)
    elif kind == "huge":
        del file[kernel]
        file.create_dataset(kernel, (1 << 40,), "f4", chunks=(1 << 20,))
    elif kind == "text":
        del file[kernel]
        file[kernel] = "hello"
    elif kind == "linked group":
        file.move("model_weights/first", "elsewhere")
        file["model_weights/first"] = h5py.SoftLink("/elsewhere")
    elif kind == "linked file":
        file.move("model_weights", "elsewhere")
        file["model_weights"] = h5py.ExternalLink(outside, "/")
    elif kind == "missing":
        del file[kernel]
    elif kind == "path":
        group.attrs["weight_names"] = ["../../optimizer_weights/x", "b"]
    elif kind == "absolute":
        group.attrs["weight_names"] = ["/model_weights/first", "b"]
    elif kind == "numbers":
        group.attrs["weight_names"] = [1, 2]
    elif kind == "a name twice":
        group.attrs["weight_names"] = [b"a"] * 2
    elif kind == "no names":
        del group.attrs["weight_names"]
    elif kind == "optimizer":
        file.move("optimizer_weights", "elsewhere")
        file["optimizer_weights"] = h5py.SoftLink("/elsewhere")
    elif kind == "names without end":
        del file["model_weights"].attrs["layer_names"]
        for i in range(40):
            file["model_weights"].attrs[f"layer_names{i}"] = np.array([b"x" * 60_000])


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        ("soft", "is a link"),
        ("external link", "is a link"),
        ("external data", "outside the file"),
        ("virtual", "outside the file"),
        ("huge", "are stored for it"),
        ("text", "not numbers"),
        ("linked group", "'model_weights/first' is a link"),
        ("linked file", "'model_weights' is a link"),
        ("missing", "lacks"),
        ("path", "not safe to load: it names"),
        ("absolute", "not safe to load: it names"),
        ("numbers", "is no list of names"),
        ("no names", "no attribute 'weight_names'"),
        ("optimizer", "'optimizer_weights' is a link"),
        ("names without end", "has a name twice"),
        ("a name twice", "'weight_names' has a name twice"),
    ],
)
def test_hostile_files(saved, tmp_path, kind, match):
    _, path = saved
    outside = str(tmp_path / "outside.h5")
    with h5py.File(outside, "w") as file:
        file["x"] = np.zeros((4, 3), "f4")
    with h5py.File(path, "a") as file:
        change(file, kind, outside)
    refused(path, match)
    if kind == "optimizer":
        return
    model = small()
    before = model.get_weights()
    with pytest.raises(ValueError, match=match):
        model.load_weights(path)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))


# -- faults while saving ----------------------------------------------------------------------


class FullDisk(io.FileIO):
    room = 0

    def write(self, data):
        if self.tell() + len(data) > self.room:
            raise OSError(28, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize("room", [0, 900])
def test_a_fault_leaves_the_old_file(saved, monkeypatch, room):
    _, path = saved
    old = path.read_bytes()

    def opened(path, mode="r"):
        file = FullDisk(path, mode.replace("b", ""))
        file.room = room
        return file

    monkeypatch.setattr(keras_archive, "open", opened, raising=False)
    with pytest.raises(OSError, match="No space"):
        small(8).save(path)
    monkeypatch.undo()
    monkeypatch.setattr(weights_h5, "write_array", None)
    with pytest.raises(TypeError):
        small(8).save(path)
    assert path.read_bytes() == old
    assert [p.name for p in path.parent.iterdir()] == [path.name]
