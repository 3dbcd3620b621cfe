"""Files go from Keras to keraslike and back, and training goes on in either."""

import io
import json
import zipfile

import h5py
import keras
import numpy as np
import pytest

import keraslike

pytestmark = pytest.mark.slow

BOTH = pytest.mark.parametrize("K", [keras, keraslike], ids=["keras", "keraslike"])


def mlp(K):
    L = K.layers
    return K.Sequential(
        [
            K.Input((6,)),
            L.Dense(8, activation="relu", kernel_regularizer=K.regularizers.L2(1e-3)),
            L.BatchNormalization(),
            L.LayerNormalization(),
            L.Dense(3, kernel_initializer=K.initializers.HeNormal(seed=3)),
        ]
    )


def dense(K):
    """What shows that an optimizer's state goes there and back: not much to compile."""
    L = K.layers
    return K.Sequential([K.Input((6,)), L.Dense(4, activation="relu"), L.Dense(3)])


def convnet(K):
    L = K.layers
    return K.Sequential(
        [
            K.Input((8, 8, 2)),
            L.Conv2D(4, 3, padding="same", activation="relu"),
            L.BatchNormalization(scale=False),
            L.MaxPooling2D(),
            L.Conv2D(4, (2, 3), strides=2),
            L.Activation("tanh"),
            L.GlobalAveragePooling2D(),
            L.Dense(3),
        ]
    )


def functional(K):
    """Two inputs, a layer used twice, a nested Sequential and an Embedding."""
    L = K.layers
    words = K.Input((5,), dtype="int32", name="words")
    numbers = K.Input((6,), name="numbers")
    tower = K.Sequential([K.Input((10,)), L.Dense(6, activation="tanh"), L.BatchNormalization()])
    shared = L.Dense(6, name="shared")
    x = tower(L.Flatten()(L.Embedding(11, 2)(words)))
    a, b = shared(x), shared(numbers)
    x = L.Concatenate()([L.Add()([a, b]), L.Reshape((6,))(b)])
    return K.Model([words, numbers], L.Dense(3)(x))


def nested(K):
    """A functional model in a Sequential in a functional model."""
    L = K.layers
    x = K.Input((6,))
    inner = K.Model(x, L.Dense(6)(L.LayerNormalization()(x)))
    middle = K.Sequential([K.Input((6,)), inner, L.Dense(4, activation="relu")])
    x = K.Input((6,))
    return K.Model(x, L.Dense(3, use_bias=False)(middle(x)))


def data_for(model, rng):
    shapes = {"words": (16, 5), "numbers": (16, 6)}
    inputs = []
    for t in model.inputs:
        if "int" in str(t.dtype):
            inputs.append(rng.integers(0, 11, shapes["words"]).astype("int32"))
        else:
            inputs.append(rng.normal(size=(16, *t.shape[1:])).astype("float32"))
    return inputs if len(inputs) > 1 else inputs[0], rng.normal(size=(16, 3)).astype("float32")


def same_state(a, b):
    for one, other in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(a.optimizer.variables, b.optimizer.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def steps(model, x, y, count=2):
    losses = []
    for _ in range(count):
        model.reset_metrics()
        losses.append(float(model.train_on_batch(x, y)[0]))
    return losses


def made(name):
    """One of Keras's optimizers."""
    rules = keras.optimizers
    if name == "LossScaleOptimizer":
        return rules.LossScaleOptimizer(rules.Adam(1e-2), initial_scale=8.0, dynamic_growth_steps=2)
    if name == "MultiOptimizer":
        return rules.MultiOptimizer(
            rules.OptimizerMap(rules.SGD(1e-2, momentum=0.9), {".*bias": rules.Adam()})
        )
    arguments = {"SGD": {"momentum": 0.9}, "RMSprop": {"momentum": 0.5, "centered": True}}
    return getattr(rules, name)(1e-2, **arguments.get(name, {}))


@pytest.mark.parametrize(
    ("make", "optimizer"),
    [
        (mlp, "Nadam"),
        (convnet, "Adam"),
        (functional, "RMSprop"),
        (nested, "SGD"),
        (dense, "Ftrl"),
        (dense, "Adafactor"),
        (dense, "Lamb"),
        (dense, "Muon"),
        (dense, "ScheduleFreeAdamW"),
        (dense, "LossScaleOptimizer"),
        (dense, "MultiOptimizer"),
    ],
)
def test_there_and_back(make, optimizer, tmp_path, rng):
    theirs = make(keras)
    theirs.compile(
        made(optimizer),
        loss=keras.losses.Huber(),  # Keras 3.15 does not save a delta that is not 1
        metrics=["mae"],
    )
    x, y = data_for(theirs, rng)
    steps(theirs, x, y)
    theirs.save(tmp_path / "theirs.keras")

    ours = keraslike.saving.load_model(tmp_path / "theirs.keras")
    same_state(ours, theirs)
    np.testing.assert_allclose(steps(ours, x, y), steps(theirs, x, y), rtol=1e-4)

    ours.save(tmp_path / "ours.keras")
    again = keras.saving.load_model(tmp_path / "ours.keras")
    same_state(again, ours)
    np.testing.assert_allclose(
        again.predict_on_batch(x), ours.predict_on_batch(x), rtol=1e-4, atol=1e-5
    )
    if optimizer == "MultiOptimizer":  # its config is of objects
        assert [o.name for o in again.optimizer.optimizers] == [
            o.name for o in theirs.optimizer.optimizers
        ]
    else:
        assert again.optimizer.get_config() == theirs.optimizer.get_config()
    assert again.loss.get_config() == theirs.loss.get_config()


def groups(path):
    """What lies where in the weights file of a `.keras` or `.weights.h5` file."""
    source = path
    if str(path).endswith(".keras"):
        source = io.BytesIO(zipfile.ZipFile(path).read("model.weights.h5"))
    found = {}
    with h5py.File(source) as file:
        file.visititems(lambda name, x: found.update({name: getattr(x, "shape", None)}))
    return found


@pytest.mark.parametrize("make", [mlp, convnet, functional, nested])
def test_the_layout_is_that_of_keras(make, tmp_path):
    for K, name in ((keras, "theirs"), (keraslike, "ours")):
        model = make(K)
        model.compile(K.optimizers.Adam(), "mse")
        model.optimizer.build(model.trainable_variables)
        model.save(tmp_path / f"{name}.keras")
        model.save_weights(tmp_path / f"{name}.weights.h5")
    for ending in ("keras", "weights.h5"):
        assert groups(tmp_path / f"ours.{ending}") == groups(tmp_path / f"theirs.{ending}")
    members = zipfile.ZipFile(tmp_path / "ours.keras").infolist()
    assert [(m.filename, m.compress_type) for m in members] == [
        (m.filename, m.compress_type) for m in zipfile.ZipFile(tmp_path / "theirs.keras").infolist()
    ]


def keys_of(value):
    """The keys of all configs in a config, for comparing models with other automatic names."""
    if isinstance(value, dict):
        own = {"shared_object_id", "build_config", "compile_config", "inbound_nodes"}
        return {k: keys_of(v) for k, v in value.items() if k not in own}
    found = [keys_of(v) for v in value] if isinstance(value, list) else []
    return found if any(found) else None


@pytest.mark.parametrize("make", [mlp, convnet, functional, nested])
def test_configs_have_the_keys_of_keras(make, tmp_path):
    configs = []
    for K in (keras, keraslike):
        make(K).save(tmp_path / "model.keras")
        text = zipfile.ZipFile(tmp_path / "model.keras").read("config.json")
        configs.append(keys_of(json.loads(text)["config"]))
    assert configs[0] == configs[1]


def test_metadata(tmp_path):
    mlp(keraslike).save(tmp_path / "model.keras")
    metadata = json.loads(zipfile.ZipFile(tmp_path / "model.keras").read("metadata.json"))
    assert set(metadata) == {"keras_version", "keraslike_version", "date_saved"}
    assert metadata["keras_version"].startswith("3.")


def make_blocks(K):
    """A subclassed model whose layers lie in lists, dicts, behind a property and are private."""

    class Inner(K.layers.Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units

        def build(self, input_shape):
            self.kernels, self.biases = [], []
            for _ in range(2):
                shape = (self.units, self.units)
                self.kernels.append(self.add_weight(shape=shape, initializer="glorot_uniform"))
                self.biases.append(self.add_weight(shape=(self.units,), initializer="zeros"))
            self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False)
            self.scale = self.add_weight(shape=(self.units,), initializer="ones")

        def call(self, x):
            for kernel, bias in zip(self.kernels, self.biases):
                x = x @ K.ops.convert_to_tensor(kernel) + bias
            return x * self.scale

    class Blocks(K.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            D = K.layers.Dense
            self.zed = D(6)
            self.blocks = [D(6), D(6), [Inner(6), D(6)], {"q": D(6)}]
            self.table = {"b": D(6), "a": D(6)}
            self._private = D(6)
            self.offset = self.add_weight(shape=(6,), initializer="ones", name="offset")

        @property
        def also_zed(self):
            return self.zed

        def call(self, x):
            one, two, (three, four), five = self.blocks
            for layer in (one, two, three, four, five["q"], *self.table.values()):
                x = layer(x)
            return self._private(self.zed(x)) + self.offset

    return Blocks()


@pytest.mark.parametrize("K, other", [(keras, keraslike), (keraslike, keras)], ids=["from", "to"])
def test_weights_of_a_subclassed_model(K, other, tmp_path, rng):
    x = rng.normal(size=(4, 6)).astype("float32")
    writer, reader = make_blocks(K), make_blocks(other)
    expected, before = np.asarray(writer(x)), np.asarray(reader(x))
    assert not np.allclose(expected, before)
    writer.save_weights(tmp_path / "w.weights.h5")
    reader.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_allclose(np.asarray(reader(x)), expected, rtol=1e-4, atol=1e-5)
    reader.save_weights(tmp_path / "again.weights.h5")
    assert groups(tmp_path / "w.weights.h5") == groups(tmp_path / "again.weights.h5")


def test_random_streams_are_passed_over_by_keras(tmp_path):
    def make(K):
        return K.Sequential([K.Input((4,)), K.layers.Dense(3), K.layers.Dropout(0.5, seed=3)])

    ours = make(keraslike)
    ours.save(tmp_path / "ours.keras")
    theirs = keras.saving.load_model(tmp_path / "ours.keras")
    np.testing.assert_array_equal(theirs.get_weights()[0], ours.get_weights()[0])
    extra = set(groups(tmp_path / "ours.keras"))
    theirs.save(tmp_path / "theirs.keras")
    assert extra - set(groups(tmp_path / "theirs.keras")) == {
        f"layers/dropout/seed_generator{rest}" for rest in ("", "/vars", "/vars/0")
    }
    again = keraslike.saving.load_model(tmp_path / "theirs.keras")
    np.testing.assert_array_equal(again.get_weights()[0], ours.get_weights()[0])


def test_a_layer_shared_by_two_nested_models(tmp_path, rng):
    """Keras reads this file of ours; its own it cannot read (it leaves out who shares)."""
    L = keraslike.layers
    shared = L.Dense(4)
    x = keraslike.Input((4,))
    one, two = keraslike.Model(x, shared(x)), keraslike.Model(x, L.Dense(4)(shared(x)))
    y = keraslike.Input((4,))
    ours = keraslike.Model(y, L.Add()([one(y), two(y)]))
    ours.save(tmp_path / "ours.keras")
    x = rng.normal(size=(4, 4)).astype("float32")
    for K in (keras, keraslike):
        again = K.saving.load_model(tmp_path / "ours.keras")
        assert len(again.weights) == 4
        np.testing.assert_allclose(again(x), ours(x), rtol=1e-5)


@BOTH
def test_half_precision_weights(K, tmp_path):
    other = keras if K is keraslike else keraslike
    model = K.Sequential([K.Input((4,)), K.layers.Dense(3, dtype="bfloat16")])
    model.save(tmp_path / "half.keras")
    again = other.saving.load_model(tmp_path / "half.keras")
    for a, b in zip(model.get_weights(), again.get_weights()):
        assert a.dtype == b.dtype == "bfloat16"
        np.testing.assert_array_equal(a, b)


@BOTH
def test_saved_before_the_first_step(K, tmp_path, recwarn):
    """The optimizer's file holds a count and a learning rate and no moments yet."""
    model = mlp(K)
    model.compile(K.optimizers.SGD(0.25, momentum=0.9), "mse")
    model.save(tmp_path / "model.keras")
    ours = keraslike.saving.load_model(tmp_path / "model.keras")
    assert float(ours.optimizer.learning_rate) == 0.25 and int(ours.optimizer.iterations) == 0
    assert not [w for w in recwarn if "optimizer" in str(w.message)]


def test_one_optimizer_s_state_is_not_given_to_another(tmp_path):
    theirs, ours = mlp(keras), mlp(keraslike)
    theirs.compile("adam", "mse")
    theirs.optimizer.build(theirs.trainable_variables)
    theirs.save_weights(tmp_path / "adam.weights.h5")
    ours.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="optimizer 'sgd.*' starts afresh"):
        ours.load_weights(tmp_path / "adam.weights.h5")
    np.testing.assert_array_equal(ours.get_weights()[0], theirs.get_weights()[0])
    assert int(ours.optimizer.iterations) == 0
