"""Recurrent layers and wrappers beside Keras's; cells of one's own; states that stay."""

import inspect
import io

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import keraslike
from keraslike import layers, tf
from keraslike.core import serialization
from keraslike.core.variable import Param

from .test_layer_parity import as_json, assert_close, plain, share_weights

pytestmark = pytest.mark.slow

RNN_LAYERS = ("SimpleRNN", "LSTM", "GRU")
SHAPE = (3, 5, 4)
MASK = np.array([[1, 1, 0, 1, 1], [0, 1, 1, 0, 0], [1, 1, 1, 1, 1]], bool)
RICH = {
    "kernel_regularizer": "l2",
    "recurrent_regularizer": "l1",
    "bias_regularizer": "l2",
    "kernel_constraint": "non_neg",
    "recurrent_constraint": "max_norm",
    "bias_constraint": "max_norm",
    "bias_initializer": "ones",
    "recurrent_initializer": "he_normal",
    "dropout": 0.3,
    "recurrent_dropout": 0.2,
    "go_backwards": True,
    "stateful": True,
    "unroll": True,
    "return_sequences": True,
    "return_state": True,
    "seed": 3,
    "trainable": False,
    "zero_output_for_mask": True,
}


def cells(K, *names):
    return [getattr(K.layers, f"{name}Cell")(n) for name, n in zip(names, (3, 2, 4))]


# name -> a layer of either library
CASES = {
    "SimpleRNN last": ("SimpleRNN", {}),
    "SimpleRNN zeros": (
        "SimpleRNN",
        {"return_sequences": True, "zero_output_for_mask": True, "return_state": True},
    ),
    "SimpleRNN softmax": ("SimpleRNN", {"activation": "softmax", "go_backwards": True}),
    "LSTM last": ("LSTM", {}),
    "LSTM all, backwards": ("LSTM", {"return_sequences": True, "go_backwards": True}),
    "LSTM states": ("LSTM", {"return_state": True, "use_bias": False}),
    "LSTM relu, last zero": ("LSTM", {"activation": "relu", "zero_output_for_mask": True}),
    "LSTM gates": ("LSTM", {"recurrent_activation": "hard_sigmoid", "unit_forget_bias": False}),
    "GRU last": ("GRU", {"use_bias": False}),
    "GRU zeros": ("GRU", {"return_sequences": True, "zero_output_for_mask": True}),
    "GRU relu": ("GRU", {"activation": "relu", "return_sequences": True}),
    "GRU before": ("GRU", {"reset_after": False, "return_state": True}),
    "GRU before, no bias": ("GRU", {"reset_after": False, "use_bias": False}),
    "ConvLSTM1D all, backwards": (
        "ConvLSTM1D",
        {"kernel_size": 3, "padding": "same", "go_backwards": True, "return_sequences": True},
    ),
    "ConvLSTM2D states": (
        "ConvLSTM2D",
        {
            "kernel_size": (2, 3),
            "strides": (2, 1),
            "data_format": "channels_first",
            "return_state": True,
        },
    ),
    "ConvLSTM3D zeros": (
        "ConvLSTM3D",
        {
            "kernel_size": 2,
            "dilation_rate": (1, 2, 1),
            "use_bias": False,
            "zero_output_for_mask": True,
            "return_sequences": True,
        },
    ),
}
IMAGES = {
    "ConvLSTM1D": (3, 5, 4, 2),
    "ConvLSTM2D": (3, 5, 2, 4, 4),
    "ConvLSTM3D": (3, 5, 2, 3, 2, 2),
}


def wrapped(K, name):
    L = K.layers
    return {
        "stacked": lambda: L.RNN(cells(K, "LSTM", "GRU"), return_sequences=True, return_state=True),
        "stacked, last": lambda: L.RNN(cells(K, "GRU", "LSTM"), go_backwards=True),
        "cell": lambda: L.RNN(L.LSTMCell(3), return_sequences=True),
        "concat": lambda: L.Bidirectional(L.GRU(3, return_sequences=True)),
        "sum": lambda: L.Bidirectional(L.LSTM(3), merge_mode="sum"),
        "mul": lambda: L.Bidirectional(L.LSTM(3, return_sequences=True), merge_mode="mul"),
        "ave": lambda: L.Bidirectional(L.SimpleRNN(3), merge_mode="ave"),
        "both": lambda: L.Bidirectional(L.LSTM(3, return_sequences=True), merge_mode=None),
        "both, states": lambda: L.Bidirectional(
            L.GRU(3, return_sequences=True, return_state=True), merge_mode=None
        ),
        "states": lambda: L.Bidirectional(L.LSTM(3, return_state=True)),
        "other backward": lambda: L.Bidirectional(
            L.LSTM(3, return_sequences=True),
            backward_layer=L.GRU(2, go_backwards=True, return_sequences=True),
        ),
    }[name]()


WRAPPED = (
    "stacked",
    "stacked, last",
    "cell",
    "concat",
    "sum",
    "mul",
    "ave",
    "both",
    "both, states",
)
WRAPPED += ("states", "other backward")
# Of those that differ in how two outputs become one, whose gradients are worth the time.
TRAINED = [*CASES, "stacked", "concat", "mul", "both, states", "other backward"]
# Each call is a program to compile: these have one with a mask and one without it, those one
# without it, and the others one with it.
TWICE = ("SimpleRNN last", "LSTM last", "GRU last", "concat")
UNMASKED = ("SimpleRNN softmax", "LSTM states", "LSTM gates", "GRU before, no bias", "mul")


def make(K, name):
    if name in WRAPPED:
        return wrapped(K, name)
    kind, kwargs = CASES[name]
    return getattr(K.layers, kind)(3, **kwargs)


def shape_for(name):
    return IMAGES.get(name.partition(" ")[0], SHAPE)


def both(name, rng):
    shape = shape_for(name)
    theirs, ours = make(keras, name), make(keraslike, name)
    theirs.build(shape)
    ours.build(shape)
    share_weights(rng, theirs, ours)
    for layer in (theirs, ours):
        layer.set_weights([0.5 * (w - 0.5) for w in layer.get_weights()])
    return theirs, ours


def outputs(layer, x):
    values = [jnp.asarray(v.value) for v in layer.trainable_variables]
    others = [jnp.asarray(v.value) for v in layer.non_trainable_variables]

    def run(values, x, mask):
        return layer.stateless_call(values, others, x, mask=mask)[0]

    return jax.jit(run)(values, x, jnp.asarray(MASK))


def gradients(layer, x, *masks):
    """Gradients by weights and inputs, and outputs, with each of the masks, which may be None."""
    trainable = [jnp.asarray(v.value) for v in layer.trainable_variables]
    others = [jnp.asarray(v.value) for v in layer.non_trainable_variables]

    def loss(trainable, x, **kwargs):
        out, _ = layer.stateless_call(trainable, others, x, **kwargs)
        flat = [jnp.ravel(a) for a in jax.tree.leaves(out)]
        return sum(jnp.sum(a * jnp.sin(1.0 + jnp.arange(a.size))) for a in flat), out

    def run(trainable, x):
        derive = jax.grad(loss, argnums=(0, 1), has_aux=True)
        calls = [{} if m is None else {"mask": m} for m in masks]
        return [derive(trainable, x, **call) for call in calls]

    return jax.jit(run)(trainable, x)


@pytest.mark.parametrize("name", [n for n in WRAPPED if n not in TRAINED])
def test_output(name, rng):
    theirs, ours = both(name, rng)
    x = rng.normal(size=SHAPE).astype("float32")
    assert_close(outputs(ours, x), outputs(theirs, x), 2e-5)


@pytest.mark.parametrize("name", TRAINED)
def test_output_and_gradients(name, rng):
    theirs, ours = both(name, rng)
    x = rng.normal(size=shape_for(name)).astype("float32")
    masks = [None] if name in TWICE or name in UNMASKED else []
    if name.startswith("ConvLSTM"):  # Keras on JAX takes no masks for images
        masks = [None]
    elif name not in UNMASKED:
        masks.append(jnp.asarray(MASK))
    given, expected = gradients(ours, x, *masks), gradients(theirs, x, *masks)
    if name != "stacked":  # where a state in a list is one of Keras's tensors
        assert jax.tree.structure(given) == jax.tree.structure(expected)
    assert_close(given, expected, 2e-5)


@pytest.mark.parametrize("name", [*CASES, *WRAPPED])
def test_shapes(name):
    theirs, ours = make(keras, name), make(keraslike, name)
    if name == "other backward":  # Keras takes it for as wide as the forward layer
        assert ours(keraslike.Input((None, 4))).shape == (None, None, 5)
        return
    after = shape_for(name)[2:]
    for shape in ((None, 5, *after), (None, None, *after)):
        expected = jax.tree.leaves(theirs(keras.Input(shape[1:])))
        given = jax.tree.leaves(ours(keraslike.Input(shape[1:])))
        assert [t.shape for t in given] == [t.shape for t in expected]


@pytest.mark.parametrize("name", [*CASES, *WRAPPED, *(f"rich {n}" for n in RNN_LAYERS)])
def test_config(name):
    if name.startswith("rich"):
        theirs, ours = (getattr(K.layers, name[5:])(3, **RICH) for K in (keras, keraslike))
    else:
        theirs, ours = make(keras, name), make(keraslike, name)

    def nameless(layer):
        config = plain(layer.get_config())
        for part in ("layer", "backward_layer", "cell"):
            for entry in [
                config.get(part),
                *config.get(part, {}).get("config", {}).get("cells", []),
            ]:
                if entry:
                    entry["config"].pop("name", None)
                    entry.pop("build_config", None)
            for entry in config.get(part, {}).get("config", {}).get("cells", []):
                entry.pop("shared_object_id", None)
        return config

    assert nameless(ours) == nameless(theirs)
    assert nameless(type(ours).from_config(theirs.get_config())) == nameless(ours)
    again = serialization.deserialize(as_json(keras.saving.serialize_keras_object(theirs)))
    assert type(again) is type(ours) and nameless(again) == nameless(ours)
    again = keras.saving.deserialize_keras_object(as_json(serialization.serialize(ours)))
    assert type(again) is type(theirs) and nameless(again) == nameless(theirs)


@pytest.mark.parametrize("name", ["SimpleRNNCell", "LSTMCell", "GRUCell"])
def test_cells(name, rng):
    theirs, ours = (getattr(K.layers, name)(3, seed=1) for K in (keras, keraslike))
    theirs.build((2, 4))
    ours.build((2, 4))
    share_weights(rng, theirs, ours)
    assert ours.state_size == theirs.state_size and ours.output_size == theirs.output_size
    x = rng.normal(size=(2, 4)).astype("float32")
    states = [rng.normal(size=(2, 3)).astype("float32") for _ in range(1 + (name == "LSTMCell"))]
    assert_close(ours(x, states), theirs(x, states))
    assert_close(ours.get_initial_state(batch_size=2), theirs.get_initial_state(batch_size=2))
    assert plain(ours.get_config()) == plain(theirs.get_config())
    if name != "LSTMCell":
        assert_close(ours(x, states[0]), theirs(x, states[0]))


@pytest.mark.parametrize("name", RNN_LAYERS)
@pytest.mark.parametrize("of_gates", [False, True])
def test_dropout_draws_what_keras_draws(name, of_gates, rng):
    """One mask for the inputs of a sequence; with recurrent dropout one for each gate."""
    kwargs = {"dropout": 0.5, "recurrent_dropout": 0.3 if of_gates else 0.0, "seed": 7}
    theirs, ours = (getattr(K.layers, name)(3, **kwargs) for K in (keras, keraslike))
    theirs.build(SHAPE)
    ours.build(SHAPE)
    share_weights(rng, theirs, ours)
    x = rng.normal(size=SHAPE).astype("float32")
    for _ in range(2):
        assert_close(ours(x, training=True), theirs(x, training=True), 2e-5)
    first = ours(x, training=True)
    assert not np.allclose(first, ours(x, training=True))
    assert np.array_equal(ours(x), ours(x, training=False))


def test_masks_of_gates_before_a_reset(rng):
    theirs, ours = (
        K.layers.RNN(K.layers.GRUCell(3, dropout=0.3, implementation=1, reset_after=False, seed=2))
        for K in (keras, keraslike)
    )
    theirs.build(SHAPE)
    ours.build(SHAPE)
    share_weights(rng, theirs, ours)
    x = rng.normal(size=SHAPE).astype("float32")
    assert_close(ours(x, training=True), theirs(x, training=True), 2e-5)
    ours.cell.recurrent_dropout = theirs.cell.recurrent_dropout = 0.5
    assert_close(ours(x, training=True), theirs(x, training=True), 2e-5)


@pytest.mark.parametrize("name", RNN_LAYERS)
def test_unrolled_is_the_same(name, rng):
    loop = getattr(layers, name)(3, return_sequences=True)
    unrolled = getattr(layers, name)(3, return_sequences=True, unroll=True)
    x = rng.normal(size=SHAPE).astype("float32")
    loop.build(SHAPE)
    unrolled.build(SHAPE)
    unrolled.set_weights(loop.get_weights())
    assert_close(unrolled(x, mask=MASK), loop(x, mask=MASK))
    assert_close(unrolled(x), loop(x))
    # How many steps there are may be found out later.
    assert unrolled(keraslike.Input((None, 4))).shape == (None, None, 3)


@pytest.mark.parametrize(
    ("name", "policy"),
    [("SimpleRNN", "float16"), ("LSTM", "mixed_bfloat16"), ("GRU", "mixed_float16")],
)
def test_half_precision(name, policy, rng):
    theirs, ours = (
        getattr(K.layers, name)(
            3,
            recurrent_initializer="zeros",  # Keras's own is for float32 alone
            return_sequences=True,
            return_state=True,
            dtype=policy,
        )
        for K in (keras, keraslike)
    )
    theirs.build(SHAPE)
    ours.build(SHAPE)
    share_weights(rng, theirs, ours)
    x = rng.normal(size=SHAPE).astype("float32")
    given, expected = ours(x), theirs(x)
    for a, b in zip(given, expected, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a.astype("float32"), b.astype("float32"), rtol=0.05, atol=0.05)
    assert [w.dtype for w in ours.weights] == [w.dtype for w in theirs.weights]


def test_masks_come_from_embeddings_and_masking(rng):
    def model(K):
        L = K.layers
        words = K.Input((6,))
        x = L.Embedding(9, 4, mask_zero=True)(words)
        x = L.Bidirectional(L.LSTM(3, return_sequences=True))(x)
        x = L.GRU(3)(x)
        return K.Model(words, L.Dense(2)(x))

    theirs, ours = model(keras), model(keraslike)
    ours.set_weights(theirs.get_weights())
    x = np.array([[3, 4, 5, 0, 0, 0], [0, 1, 0, 2, 8, 0], [1, 1, 1, 1, 1, 1]])
    np.testing.assert_allclose(ours.predict(x, verbose=0), theirs.predict(x, verbose=0), atol=1e-5)
    shorter = ours.layers[2](ours.layers[1](x[:1, :3]))
    longer = ours.layers[2](ours.layers[1](x[:1]))
    np.testing.assert_allclose(longer[:, :3], shorter, atol=1e-6)
    y = layers.LSTM(3)(layers.Masking()(np.zeros((1, 4, 2), "float32")))
    assert y.tolist() == [[0, 0, 0]]


# -- states -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["LSTM last", "GRU last", "stacked", "both, states"])
def test_initial_state(name, rng):
    theirs, ours = both(name, rng)
    x = rng.normal(size=SHAPE).astype("float32")

    def draw(size):
        return rng.normal(size=(3, size)).astype("float32")

    sizes = {"LSTM last": [3, 3], "stacked": [[3, 3], 2], "both, states": [3, 3]}.get(name, [3])
    state = [[draw(s) for s in n] if isinstance(n, list) else draw(n) for n in sizes]
    if name == "stacked":  # Keras takes states of the form that its cells return
        expected = theirs(x, initial_state=[state[0], [state[1]]])
        state = [state[0], [state[1]]]
    else:
        expected = theirs(x, initial_state=state)
    assert_close(ours(x, initial_state=state), expected, 2e-5)
    if name == "LSTM last":
        with pytest.raises(ValueError, match="must hold 2 states"):
            ours(x, initial_state=state[:1])


def test_symbolic_initial_state(rng):
    """An encoder and a decoder."""

    def model(K):
        L = K.layers
        source, target = K.Input((None, 4)), K.Input((None, 4))
        _, h, c = L.LSTM(3, return_state=True)(source)
        y = L.LSTM(3, return_sequences=True)(target, initial_state=[h, c])
        return K.Model([source, target], y)

    theirs, ours = model(keras), model(keraslike)
    ours.set_weights(theirs.get_weights())
    x = [rng.normal(size=(2, n, 4)).astype("float32") for n in (5, 3)]
    np.testing.assert_allclose(ours.predict(x, verbose=0), theirs.predict(x, verbose=0), atol=1e-5)
    again = keraslike.Model.from_config(as_json(ours.get_config()))
    again.set_weights(ours.get_weights())
    np.testing.assert_allclose(again.predict(x, verbose=0), ours.predict(x, verbose=0), atol=1e-6)


@pytest.mark.parametrize("name", [*RNN_LAYERS, "RNN", "Bidirectional"])
def test_stateful(name, rng):
    def make(stateful):
        if name == "RNN":
            return layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], stateful=stateful)
        if name == "Bidirectional":
            return layers.Bidirectional(layers.GRU(3, stateful=stateful))
        return getattr(layers, name)(3, stateful=stateful)

    x = rng.normal(size=(2, 6, 4)).astype("float32")
    model = keraslike.Sequential([keraslike.Input((3, 4), batch_size=2), make(True)])
    layer, reference = model.layers[0], make(False)
    reference.build((2, 3, 4))
    assert len(layer.weights) == len(reference.weights) == len(model.get_weights())
    reference.set_weights(layer.get_weights())
    assert layer.states is not None and reference.states is None
    first = model.predict(x[:, :3], verbose=0)
    second = model.predict(x[:, 3:], verbose=0)
    np.testing.assert_allclose(first, reference(x[:, :3]), atol=1e-6)
    if name != "Bidirectional":
        np.testing.assert_allclose(second, reference(x), atol=1e-6)
    assert not np.allclose(second, reference(x[:, 3:]))
    layer.reset_state()
    assert all(not np.any(v) for v in jax.tree.leaves(layer.states))
    np.testing.assert_allclose(model.predict(x[:, 3:], verbose=0), reference(x[:, 3:]), atol=1e-6)
    with pytest.raises(ValueError, match="batch"):
        layer(x[:1, :3])


def test_stateful_in_fit_and_in_eager_calls(rng):
    model = keraslike.Sequential(
        [keraslike.Input((3, 2), batch_size=4), layers.LSTM(3, stateful=True), layers.Dense(1)]
    )
    x = rng.normal(size=(4, 3, 2)).astype("float32")
    model.compile("sgd", "mse")
    model.layers[0].trainable = False
    model.fit(x, x[:, 0, :1], batch_size=4, epochs=2, shuffle=False, verbose=0)
    twice = [np.asarray(v) for v in model.layers[0].states]
    model.layers[0].reset_state()
    for _ in range(2):
        model(x)
    for a, b in zip(twice, model.layers[0].states, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    # A layer that keeps no states has nothing to reset.
    layers.LSTM(3).reset_state()
    with pytest.raises(AttributeError, match="not stateful"):
        layers.Bidirectional(layers.LSTM(3)).reset_state()
    with pytest.raises(ValueError, match="batch size must be fixed"):
        layers.LSTM(3, stateful=True)(keraslike.Input((3, 2)))


# -- cells of one's own -----------------------------------------------------------------------


class Minimal(keraslike.layers.Layer):
    """As in Keras's guide."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], self.units), "uniform", name="kernel")
        self.recurrent = self.add_weight((self.units, self.units), "uniform", name="recurrent")

    def call(self, inputs, states):
        output = inputs @ self.kernel + states[0] @ self.recurrent
        return output, [output]

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def test_a_cell_of_ones_own(rng):
    x = rng.normal(size=SHAPE).astype("float32")
    layer = layers.RNN(Minimal(3), return_sequences=True)
    linear = layers.SimpleRNN(3, activation=None, use_bias=False, return_sequences=True)
    layer.build(SHAPE)
    linear.build(SHAPE)
    linear.set_weights(layer.get_weights())
    assert_close(gradients(layer, x, None), gradients(linear, x, None), 2e-5)
    assert_close(layer(x, mask=MASK), linear(x, mask=MASK))
    stacked = layers.RNN([Minimal(3), layers.LSTMCell(4), Minimal(2)], return_state=True)
    y, *states = stacked(x)
    assert y.shape == (3, 2) and [jnp.shape(s) for s in jax.tree.leaves(states)] == [
        (3, 3), (3, 4), (3, 4), (3, 2)]  # fmt: skip
    # It may be wrapped without being registered, and saved with custom_objects.
    assert layers.Bidirectional(layers.RNN(Minimal(3)))(x).shape == (3, 6)
    again = serialization.deserialize(as_json(serialization.serialize(layer)), {"Minimal": Minimal})
    assert again.cell.units == 3


def test_a_cell_with_layers_inside_and_state_that_changes(rng):
    class Noisy(keraslike.layers.Layer):
        state_size = 3
        output_size = 4

        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(3, activation="tanh")
            self.out = layers.Dense(4)
            self.drop = layers.Dropout(0.5, seed=1)
            self.steps = self.add_weight((), "zeros", trainable=False, name="steps")

        def get_initial_state(self, batch_size=None):
            return [jnp.ones((batch_size, 3))]

        def call(self, inputs, states, training=False):
            self.steps.assign_add(1.0)
            new = self.dense(jnp.concatenate([self.drop(inputs), states[0]], -1))
            return self.out(new), new

    layer = layers.RNN(Noisy(), return_sequences=True)
    model = keraslike.Sequential([keraslike.Input((5, 4)), layer])
    assert model.output_shape == (None, 5, 4) and len(layer.trainable_weights) == 4
    x = np.ones(SHAPE, "float32")
    assert not np.allclose(model(x, training=True), model(x, training=True))
    assert float(layer.cell.steps.value) == 10
    model.compile("sgd", "mse")
    model.fit(x, np.ones((3, 5, 4)), batch_size=3, epochs=2, verbose=0)
    assert float(layer.cell.steps.value) == 20
    assert layer.cell.drop.seed_generator.state.numpy()[1] == 20
    with pytest.raises(ValueError, match="zero_output_for_mask"):
        layer(x, mask=MASK)


def test_a_subclass_of_a_cell_is_called_at_every_step(rng):
    class Doubled(layers.GRUCell):
        def __init__(self, units, factor=2.0, **kwargs):
            super().__init__(units, **kwargs)
            self.factor = factor

        def call(self, inputs, states, training=False):
            return super().call(self.factor * inputs, states, training)

    x = rng.normal(size=SHAPE).astype("float32")
    layer, reference = layers.RNN(Doubled(3)), layers.GRU(3)
    layer.build(SHAPE)
    reference.build(SHAPE)
    reference.set_weights(layer.get_weights())
    assert_close(layer(x), reference(2 * x))
    assert Doubled.from_config(layer.cell.get_config()).units == 3


def test_a_cell_that_is_no_layer():
    class Counter:
        state_size = 1

        def call(self, inputs, states):
            return states[0] + 1, [states[0] + 1]

    assert layers.RNN(Counter())(np.zeros((2, 5, 3), "float32")).tolist() == [[5.0], [5.0]]


# -- wrappers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["dense", "conv", "batch norm"])
@pytest.mark.parametrize("training", [False, True])
def test_time_distributed(kind, training, rng):
    def make(K):
        inner = {"dense": lambda: K.layers.Dense(3, activation="relu"),
                 "conv": lambda: K.layers.Conv1D(2, 2, padding="same"),
                 "batch norm": lambda: K.layers.BatchNormalization()}[kind]()  # fmt: skip
        return K.layers.TimeDistributed(inner)

    theirs, ours = make(keras), make(keraslike)
    shape = (3, 5, 4, 2) if kind == "conv" else SHAPE
    theirs.build(shape)
    ours.build(shape)
    share_weights(rng, theirs, ours)
    x = rng.normal(size=shape).astype("float32")
    assert_close(ours(x, training=training), theirs(x, training=training))
    assert_close(ours.get_weights(), theirs.get_weights())  # batch after batch, step after step
    symbol = ours(keraslike.Input((None, *shape[2:])))
    assert symbol.shape == theirs(keras.Input((None, *shape[2:]))).shape
    assert plain(ours.get_config())["layer"]["class_name"] == type(theirs.layer).__name__


def test_time_distributed_random_numbers_and_masks(rng):
    x = np.ones((2, 3, 50), "float32")
    y = layers.TimeDistributed(layers.Dropout(0.5, seed=1))(x, training=True)
    assert not np.array_equal(y[:, 0], y[:, 1])
    inner = layers.LSTM(3)
    layer = layers.TimeDistributed(inner)
    x = rng.normal(size=(2, 3, 5, 4)).astype("float32")
    mask = rng.random((2, 3, 5)) < 0.6
    mask[:, :, 0] = True
    expected = np.stack([inner(x[:, i], mask=mask[:, i]) for i in range(3)], 1)
    np.testing.assert_allclose(layer(x, mask=mask), expected, atol=1e-6)
    with pytest.raises(ValueError, match="not begin with the batch and the steps"):
        layer(x, mask=mask[:, :2])
    with pytest.raises(ValueError, match="at least 3 axes"):
        layers.TimeDistributed(layers.Dense(2))(np.ones((2, 3)))


def test_bidirectional_keeps_use_cudnn():
    both = layers.Bidirectional(layers.GRU(1, use_cudnn=False))
    assert both.forward_layer.use_cudnn is both.backward_layer.use_cudnn is False
    assert not hasattr(layers.SimpleRNN(1), "use_cudnn")


def test_bidirectional_weights_and_names():
    inner = layers.LSTM(3, name="words")
    layer = layers.Bidirectional(inner)
    assert (layer.forward_layer.name, layer.backward_layer.name) == (
        "forward_words", "backward_words")  # fmt: skip
    assert not inner.built and layer.backward_layer.go_backwards
    layer.build(SHAPE)
    twin = layers.Bidirectional(layers.LSTM(3), weights=layer.get_weights())
    twin.build(SHAPE)
    assert_close(twin.get_weights(), layer.get_weights())


def test_constructors_take_what_those_of_keras_take():
    for name in ("RNN", "SimpleRNN", "LSTM", "GRU", "SimpleRNNCell", "LSTMCell", "GRUCell",
                 "StackedRNNCells", "Bidirectional", "TimeDistributed", "Wrapper"):  # fmt: skip
        theirs = inspect.signature(getattr(keras.layers, name)).parameters.values()
        ours = list(inspect.signature(getattr(layers, name)).parameters.values())
        named = [(p.name, p.default) for p in theirs if p.kind != p.VAR_KEYWORD]
        assert [(p.name, p.default) for p in ours[: len(named)]] == named, name


@pytest.mark.parametrize("name", RNN_LAYERS)
def test_initial_weights(name):
    kwargs = {
        "kernel_initializer": ("GlorotUniform", 5),
        "bias_initializer": ("RandomNormal", 4),
        "recurrent_initializer": ("Orthogonal", 6),
    }
    made = []
    for K in (keras, keraslike):
        layer = getattr(K.layers, name)(
            3, **{k: getattr(K.initializers, c)(seed=s) for k, (c, s) in kwargs.items()}
        )
        layer.build(SHAPE)
        made.append(layer.get_weights())
    for a, b in zip(*made, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.LSTM(0), "`units`. Expected a strictly positive"),
        (lambda: layers.GRU(3, dropout="no"), "dropout must be a number"),
        (lambda: layers.LSTM(3, use_cudnn="maybe"), "use_cudnn must be one of"),
        (lambda: layers.RNN(layers.Dense(3)), "no `state_size`"),
        (lambda: layers.StackedRNNCells([object()]), "no `call`"),
        (lambda: layers.TimeDistributed("dense"), "Received: layer='dense'"),
        (lambda: layers.Bidirectional(layers.LSTM(3), merge_mode="max"), "merge_mode must be"),
        (
            lambda: layers.Bidirectional(layers.LSTM(3), backward_layer=layers.LSTM(3)),
            "exactly one must have go_backwards=True",
        ),
        (
            lambda: layers.Bidirectional(
                layers.LSTM(3),
                backward_layer=layers.LSTM(3, go_backwards=True, return_sequences=True),
            ),
            "the same return_sequences",
        ),
        (lambda: layers.LSTM(3)(np.ones((2, 3))), "expected ndim=3"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# -- files ------------------------------------------------------------------------------------


def big(K):
    L = K.layers
    return K.Sequential(
        [
            K.Input((6,)),
            L.Embedding(9, 4, mask_zero=True),
            L.Bidirectional(L.LSTM(3, return_sequences=True, dropout=0.2)),
            L.Bidirectional(
                L.GRU(3, return_sequences=True),
                merge_mode="sum",
                backward_layer=L.GRU(3, go_backwards=True, return_sequences=True, use_bias=False),
            ),
            L.TimeDistributed(L.Dense(4, activation="tanh")),
            L.RNN([L.SimpleRNNCell(3), L.GRUCell(2, reset_after=False)]),
            L.Dense(1),
        ]
    )


@pytest.mark.parametrize("ending", [".keras", ".h5", ".weights.h5"])
@pytest.mark.parametrize("there", [True, False], ids=["of Keras", "of ours"])
def test_files(ending, there, tmp_path):
    writer, reader = (keras, keraslike) if there else (keraslike, keras)
    model, path = big(writer), str(tmp_path / f"model{ending}")
    x = np.array([[3, 4, 5, 0, 0, 0], [1, 2, 3, 4, 5, 6]])
    if ending == ".weights.h5":
        model.save_weights(path)
        again = big(reader)
        again.load_weights(path)
    else:
        model.save(path)
        again = reader.saving.load_model(path)
    for a, b in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-5)


def test_training_goes_on_after_a_file_of_keras(tmp_path, rng):
    theirs = big(keras)
    theirs.layers[1].forward_layer.cell.dropout = theirs.layers[1].backward_layer.cell.dropout = 0.0
    theirs.compile("adam", "mse")
    x, y = rng.integers(0, 9, (8, 6)), rng.normal(size=(8, 1))
    theirs.train_on_batch(x, y)
    theirs.save(tmp_path / "model.keras")
    ours = keraslike.saving.load_model(tmp_path / "model.keras")
    for _ in range(3):
        a, b = ours.train_on_batch(x, y), theirs.train_on_batch(x, y)
        np.testing.assert_allclose(a, b, rtol=1e-4)


def test_a_trained_model_is_a_tree_and_can_be_pickled(rng):
    import pickle

    layer = layers.Bidirectional(layers.LSTM(3))
    x = rng.normal(size=SHAPE).astype("float32")
    y = layer(x)
    assert all(isinstance(w, Param) for w in layer.weights)
    np.testing.assert_allclose(jax.jit(lambda f, x: f(x))(layer, x), y, atol=1e-6)
    again = pickle.load(io.BytesIO(pickle.dumps(layer)))
    np.testing.assert_allclose(again(x), y, atol=1e-6)


def test_conv_lstm_drops_what_that_of_keras_drops(rng):
    def made(K):
        layer = K.layers.ConvLSTM2D(2, 2, dropout=0.4, recurrent_dropout=0.3, seed=5)
        layer.build((2, 3, 4, 4, 2))
        return layer

    theirs, ours = made(keras), made(keraslike)
    share_weights(rng, theirs, ours)
    x = rng.normal(size=(2, 3, 4, 4, 2)).astype("float32")
    a, b = ours(x, training=True), theirs(x, training=True)
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert (a != ours(x)).any()
    mask = np.array([[True, False, True]] * 2)
    np.testing.assert_allclose(ours(x, mask=mask), ours(x[:, ::2]), rtol=1e-5, atol=1e-6)
    assert plain(ours.get_config()) == plain(theirs.get_config())
    with pytest.raises(ValueError, match="all sizes"):
        layers.ConvLSTM1D(2, 2).build((None, 3, None, 2))
    with pytest.raises(ValueError, match="in conjunction"):
        layers.ConvLSTM2D(2, 2, strides=2, dilation_rate=2)


@pytest.mark.parametrize("shape", [tuple, tf.TensorShape])
def test_a_cell_of_structures(rng, shape):
    class Sums(layers.Layer):
        state_size = [shape((2,)), shape((3, 4))]

        def call(self, inputs, states):
            new = [s + i for s, i in zip(states, (inputs["a"], inputs["b"]))]
            return tuple(new), new

    given = {"a": rng.normal(size=(5, 6, 2)), "b": rng.normal(size=(5, 6, 3, 4))}
    symbolic = {k: layers.Input(v.shape[1:]) for k, v in given.items()}
    mask = np.arange(6) < rng.integers(1, 7, (5, 1))
    for sequences in (False, True):
        layer = layers.RNN(Sums(), return_sequences=sequences, zero_output_for_mask=True)
        found = keraslike.Model(symbolic, layer(symbolic)).predict(given, verbose=0)
        for output, value in zip(found, given.values()):
            expected = np.cumsum(value, 1) if sequences else value.sum(1)
            np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-5)
    for output, value in zip(layer(given, mask=mask), given.values()):
        keep = mask.reshape(5, 6, *[1] * (value.ndim - 2))
        np.testing.assert_allclose(output, np.cumsum(value * keep, 1) * keep, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="needs zero_output_for_mask=True"):
        layers.RNN(Sums())(given, mask=mask)
