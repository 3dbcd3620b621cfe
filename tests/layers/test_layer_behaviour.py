"""What layers do over time: training, masks, random streams, pytrees, errors."""

import inspect
import json

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import keraslike
from keraslike import layers
from keraslike.core import serialization
from keraslike.core.symbolic import KerasTensor

pytestmark = pytest.mark.slow

# -- batch normalization ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kwargs", "shape"),
    [
        ({"momentum": 0.8}, (6, 4)),
        ({"axis": 1, "momentum": 0.5, "epsilon": 0.1}, (3, 4, 2, 2)),
        ({"scale": False}, (3, 5, 4)),
        ({"renorm": True, "momentum": 0.5, "renorm_momentum": 0.7}, (6, 4)),
        (
            {
                "renorm": True,
                "momentum": 0.9,
                "renorm_momentum": 0.5,
                "renorm_clipping": {"rmax": 1.1, "rmin": 0.9, "dmax": 0.1},
                "scale": False,
            },
            (6, 4),
        ),
    ],
)
def test_batch_normalization_trains_as_that_of_keras(kwargs, shape, rng):
    theirs, ours = keras.layers.BatchNormalization(**kwargs), layers.BatchNormalization(**kwargs)
    theirs.build(shape)
    ours.build(shape)
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    for step in range(4):
        x = (rng.normal(size=shape) * (step + 1) + step).astype("float32")
        a, b = ours(x, training=True), theirs(x, training=True)
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


def test_batch_normalization_gradients_in_training_equal_those_of_keras(rng):
    x = rng.normal(size=(6, 4)).astype("float32")
    weights = [rng.normal(size=4) + 2 for _ in range(4)]
    found = []
    for layer in (keras.layers.BatchNormalization(), layers.BatchNormalization()):
        layer.build(x.shape)
        layer.set_weights(weights)
        trainable = [jnp.asarray(v.value) for v in layer.trainable_variables]
        others = [jnp.asarray(v.value) for v in layer.non_trainable_variables]

        def loss(trainable, x, layer=layer, others=others):
            out, _ = layer.stateless_call(trainable, others, x, training=True)
            return jnp.sum(out**3)

        found.append(jax.grad(loss, argnums=(0, 1))(trainable, x))
    for a, b in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_batch_normalization_does_not_count_masked_steps(rng):
    theirs = keras.layers.BatchNormalization(momentum=0.0)
    ours = layers.BatchNormalization(momentum=0.0)
    x = rng.normal(size=(2, 3, 4)).astype("float32")
    mask = np.array([[True, True, False], [True, False, False]])
    a, b = ours(x, training=True, mask=mask), theirs(x, training=True, mask=mask)
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours.moving_mean, x[mask].mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours.moving_variance, x[mask].var(0), rtol=1e-4, atol=1e-6)
    # One channel is no special case.
    one = layers.BatchNormalization()
    assert one(x[..., :1], training=True, mask=mask).shape == (2, 3, 1)
    with pytest.raises(ValueError, match="one axis less"):
        ours(x, training=True, mask=np.ones((2, 3, 4), bool))


def test_frozen_batch_normalization_uses_and_keeps_its_moving_averages(rng):
    layer = layers.BatchNormalization()
    layer.build((None, 4))
    layer.trainable = False
    before = layer.get_weights()
    x = rng.normal(size=(5, 4)).astype("float32") + 3
    np.testing.assert_allclose(layer(x, training=True), x / np.sqrt(1.001), rtol=1e-5)
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# -- dropout and noise ------------------------------------------------------------------------

NOISY = [
    ("Dropout", {"rate": 0.4, "seed": 7}, (4, 5, 6)),
    ("Dropout", {"rate": 0.4, "seed": 7, "noise_shape": (None, 1, 6)}, (4, 5, 6)),
    ("SpatialDropout1D", {"rate": 0.4, "seed": 7}, (4, 5, 6)),
    ("SpatialDropout2D", {"rate": 0.4, "seed": 7}, (2, 3, 4, 5)),
    ("SpatialDropout2D", {"rate": 0.4, "seed": 7, "data_format": "channels_first"}, (2, 3, 4, 5)),
    ("SpatialDropout3D", {"rate": 0.4, "seed": 7}, (2, 2, 2, 2, 5)),
    ("AlphaDropout", {"rate": 0.4, "seed": 7}, (4, 5)),
    ("AlphaDropout", {"rate": 0.4, "seed": 7, "noise_shape": (4, None, 1)}, (4, 5, 6)),
    ("GaussianNoise", {"stddev": 0.4, "seed": 7}, (4, 5)),
    ("GaussianDropout", {"rate": 0.4, "seed": 7}, (4, 5)),
]


@pytest.mark.parametrize(("name", "kwargs", "shape"), NOISY)
def test_noise_is_that_of_keras_for_the_same_seed(name, kwargs, shape, rng):
    theirs, ours = getattr(keras.layers, name)(**kwargs), getattr(layers, name)(**kwargs)
    x = rng.normal(size=shape).astype("float32")
    draws = [(ours(x, training=True), theirs(x, training=True)) for _ in range(2)]
    for a, b in draws:
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)
    assert (draws[0][0] != draws[1][0]).any()  # the stream goes on
    np.testing.assert_array_equal(ours(x), x)
    np.testing.assert_array_equal(ours(x, training=False), x)


@pytest.mark.parametrize(("name", "kwargs", "shape"), NOISY)
def test_noise_config(name, kwargs, shape):
    theirs, ours = getattr(keras.layers, name)(**kwargs), getattr(layers, name)(**kwargs)
    expected, config = theirs.get_config(), ours.get_config()
    assert set(config) == set(expected)
    for key in set(config) - {"name", "dtype"}:
        assert config[key] == expected[key]
    assert type(ours).from_config(expected).get_config() == {**config, "name": theirs.name}
    assert type(theirs).from_config(config).get_config()["rate" if "rate" in config else "stddev"]


def test_spectral_normalization_is_that_of_keras(rng):
    def made(lib):
        inner = lib.Conv2D(3, 2, use_bias=False)
        layer = lib.SpectralNormalization(inner, power_iterations=2)
        layer.build((None, 4, 4, 2))
        return layer

    theirs, ours = made(keras.layers), made(layers)
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    ours.set_weights(theirs.get_weights())
    x = rng.normal(size=(2, 4, 4, 2)).astype("float32")
    for training in (True, False, True):
        np.testing.assert_allclose(
            ours(x, training=training), theirs(x, training=training), rtol=1e-4, atol=1e-5
        )
        for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    config = theirs.get_config()
    again = layers.SpectralNormalization.from_config(config)
    assert again.get_config()["power_iterations"] == 2 and again.layer.filters == 3
    assert set(again.get_config()) == set(config)
    ours.layer.kernel.assign(jnp.zeros((2, 2, 2, 3)))
    assert not ours(x, training=True).any()
    with pytest.raises(ValueError, match="nor .embeddings."):
        layers.SpectralNormalization(layers.ReLU()).build((None, 3))


def test_dropout_keeps_the_mean_and_the_rate():
    x = jnp.ones((100, 100))
    y = layers.Dropout(0.3, seed=1)(x, training=True)
    assert abs(float((y == 0).mean()) - 0.3) < 0.02
    assert abs(float(y.mean()) - 1) < 0.02
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.7], rtol=1e-6)
    assert not layers.Dropout(1.0)(x, training=True).any()
    assert layers.Dropout(0.0).variables == []


def test_dropout_is_reproducible_under_set_random_seed():
    x = jnp.ones((4, 50))

    def draw():
        keraslike.utils.set_random_seed(5)
        return layers.Dropout(0.5)(x, training=True)

    first, second = draw(), draw()
    np.testing.assert_array_equal(first, second)
    assert (layers.Dropout(0.5)(x, training=True) != first).any()


def test_dropout_draws_anew_in_compiled_calls_whose_state_is_carried():
    layer = layers.Dropout(0.5, seed=0)
    layer.build((None, 50))
    x = jnp.ones((4, 50))
    call = jax.jit(lambda state, x: layer.stateless_call([], state, x, training=True))
    state = [v.value for v in layer.non_trainable_variables]
    first, state = call(state, x)
    second, state = call(state, x)
    assert (first != second).any()
    np.testing.assert_array_equal(first, layer(x, training=True))
    np.testing.assert_array_equal(second, layer(x, training=True))


# -- embedding and masks ----------------------------------------------------------------------


def test_embedding_equals_that_of_keras(rng):
    kwargs = {
        "input_dim": 7,
        "output_dim": 3,
        "embeddings_regularizer": "l2",
        "embeddings_constraint": "unit_norm",
        "mask_zero": True,
    }
    theirs, ours = keras.layers.Embedding(**kwargs), layers.Embedding(**kwargs)
    theirs.build((2, 4))
    ours.build((2, 4))
    table = rng.normal(size=(7, 3)).astype("float32")
    theirs.set_weights([table])
    ours.set_weights([table])
    ids = np.array([[1, 2, 6, 0], [3, 0, 0, 0]])
    np.testing.assert_array_equal(ours(ids), theirs(ids))
    np.testing.assert_array_equal(ours(ids.astype("float32")), ours(ids))
    np.testing.assert_array_equal(ours.compute_mask(ids), theirs.compute_mask(ids))
    config, expected = ours.get_config(), theirs.get_config()
    assert json.loads(json.dumps(config)) == {**expected, "name": ours.name}
    assert layers.Embedding.from_config(config).get_config() == config
    assert ours.compute_output_shape((None, 4)) == theirs.compute_output_shape((None, 4))
    assert ours(layers.Input((None,), dtype="int32")).shape == (None, None, 3)

    def loss(layer):
        others = [jnp.asarray(v.value) for v in layer.non_trainable_variables]
        run = layer.stateless_call
        return jax.grad(lambda t: jnp.sum(run(t, others, ids)[0] ** 2))([jnp.asarray(table)])[0]

    np.testing.assert_allclose(loss(ours), loss(theirs), rtol=1e-6)
    np.testing.assert_allclose(ours.losses[0], theirs.losses[0], rtol=1e-6)


def test_embedding_begins_with_the_weights_given():
    table = np.arange(6.0).reshape(3, 2)
    for weights in (table, [table]):
        layer = layers.Embedding(3, 2, weights=weights)
        assert layer(jnp.array([2])).tolist() == [[4.0, 5.0]]
        assert "weights" not in layer.get_config()
    with pytest.raises(ValueError, match=r"shape \(3, 2\)"):
        layers.Embedding(3, 2, weights=np.ones((2, 2)))


def test_embedding_of_large_indices_in_half_precision():
    layer = layers.Embedding(1000, 2, dtype="mixed_bfloat16")
    out = layer(np.array([[999, 0]], dtype="float32"))
    assert out.dtype == "bfloat16" and layer.embeddings.dtype == "float32"
    np.testing.assert_array_equal(out[0, 0], layer.embeddings.numpy()[999].astype("bfloat16"))


class Average(layers.Layer):
    """The mean of the steps that are not masked."""

    def call(self, x, mask=None):
        self.seen = mask
        return x.mean(1)


def test_masks_pass_through_the_layers_that_support_them():
    ids = jnp.array([[1, 2, 0], [3, 0, 0]])
    x = layers.Embedding(5, 4, mask_zero=True)(ids)
    for layer in (
        layers.Dense(4),
        layers.Activation("relu"),
        layers.Dropout(0.5),
        layers.LayerNormalization(),
        layers.BatchNormalization(),
        layers.Identity(),
        layers.ReLU(),
    ):
        x = layer(x)
    last = Average()
    last(x)
    np.testing.assert_array_equal(last.seen, ids != 0)
    last = Average()
    last(layers.GlobalAveragePooling1D(keepdims=True)(x))
    assert last.seen is None
    with pytest.warns(UserWarning, match="does not support masking"):
        layers.Flatten()(x)


def test_global_average_pooling_leaves_masked_steps_out(rng):
    x = rng.normal(size=(2, 3, 4)).astype("float32")
    mask = np.array([[True, False, True], [True, False, False]])
    for kwargs in ({}, {"keepdims": True}):
        a = layers.GlobalAveragePooling1D(**kwargs)(x, mask=mask)
        b = keras.layers.GlobalAveragePooling1D(**kwargs)(x, mask=mask)
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_masking_masks_and_zeroes(rng):
    x = rng.normal(size=(2, 3, 4)).astype("float32")
    x[0, 1] = x[1, 0] = 9.0
    ours = layers.Masking(mask_value=9.0)
    np.testing.assert_array_equal(ours(x), keras.layers.Masking(mask_value=9.0)(x))
    last = Average()
    last(ours(x))
    np.testing.assert_array_equal(last.seen, [[True, False, True], [False, True, True]])


@pytest.mark.parametrize(
    "name", ["Add", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Subtract"]
)
def test_merging_of_masked_inputs(name):
    """One masked input, and both."""
    first, second = np.array([[1, 2, 0], [3, 0, 0]]), np.array([[1, 0, 0], [0, 2, 0]])
    table = np.linspace(-1, 1, 20).reshape(5, 4)

    def run(library, both, probe):
        a = library.Embedding(5, 4, mask_zero=True)
        b = library.Embedding(5, 4, mask_zero=both)
        a.build(first.shape)
        b.build(second.shape)
        a.set_weights([table])
        b.set_weights([table[::-1]])
        merged = getattr(library, name)()([a(first), b(second)])
        return merged, probe(merged)

    from keraslike.core.context import get_mask

    for both in (True, False):
        ours, our_mask = run(layers, both, get_mask)
        theirs, their_mask = run(keras.layers, both, lambda t: getattr(t, "_keras_mask", None))
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)
        assert (our_mask is None) == (their_mask is None)
        if our_mask is not None:
            np.testing.assert_array_equal(our_mask, their_mask)


def test_merging_of_masked_integers_gives_integers():
    x = layers.Masking(dtype="int32")(jnp.array([[[1, 2], [0, 0]]]))
    y = layers.Masking(dtype="int32")(jnp.array([[[3, 1], [5, 5]]]))
    for layer, expected in (
        (layers.Maximum(), [[[3, 2], [5, 5]]]),
        (layers.Minimum(), [[[1, 1], [5, 5]]]),
        (layers.Multiply(), [[[3, 2], [5, 5]]]),
    ):
        merged = layer([x, y])
        assert merged.dtype == "int32" and merged.tolist() == expected


def test_softmax_with_a_mask(rng):
    x = rng.normal(size=(2, 4)).astype("float32")
    mask = np.array([[True, False, True, True], [False, True, True, False]])
    for given in (mask, mask.astype("float32")):
        a, b = layers.Softmax()(x, mask=given), keras.layers.Softmax()(x, mask=given)
        np.testing.assert_allclose(a, b, rtol=1e-6)
    with pytest.raises(ValueError, match="broadcast"):
        layers.Softmax()(x, mask=np.ones((2, 3), bool))


# -- Lambda -----------------------------------------------------------------------------------


def test_a_lambda_is_built_by_its_first_call():
    layer = layers.Lambda(lambda x: 2 * x)
    assert not layer.built
    layer(jnp.ones((1, 2)))
    assert layer.built


def twice(x, factor=2.0):
    return x * factor


def with_context(x, mask=None, training=None):
    return x + 1 if training else x


def test_lambda_calls_its_function_with_what_it_asks_for():
    x = jnp.ones((2, 3))
    assert (layers.Lambda(twice, arguments={"factor": 3.0})(x) == 3).all()
    assert (layers.Lambda(with_context)(x, training=True) == 2).all()
    assert (layers.Lambda(with_context)(x) == 1).all()
    seen = []
    masked = layers.Embedding(3, 2, mask_zero=True)(jnp.array([[1, 0]]))
    layers.Lambda(lambda t, mask: seen.append(mask) or t)(masked)
    assert seen[0].tolist() == [[True, False]]
    last = Average()
    last(layers.Lambda(twice, mask=lambda inputs, mask: ~mask)(masked))
    assert last.seen.tolist() == [[False, True]]
    with pytest.raises(TypeError, match="callable"):
        layers.Lambda("twice")


def test_lambda_shapes():
    x = layers.Input((4, 3))
    assert layers.Lambda(lambda t: t.sum(1))(x).shape == (None, 3)

    # A function that no trace goes through needs telling.
    def opaque(t):
        return jnp.asarray(np.asarray(t)[:, 0])

    assert layers.Lambda(opaque, output_shape=(3,))(x).shape == (None, 3)
    assert layers.Lambda(opaque, output_shape=lambda s: (s[0], s[2]))(x).shape == (None, 3)


@pytest.mark.parametrize("safe", [True, False])
def test_lambda_is_loaded_only_where_that_is_allowed(safe):
    scale = 3.0
    layer = layers.Lambda(lambda x, power=2: scale * x**power, output_shape=(3,))
    config = json.loads(json.dumps(layer.get_config()))
    assert set(config["function"]["config"]) == {"code", "defaults", "closure"}
    entry = json.loads(json.dumps(serialization.serialize(layer)))
    if safe:
        for load in (layers.Lambda.from_config, keras.layers.Lambda.from_config):
            with pytest.raises(ValueError, match="safe_mode=False"):
                load(config)
        with pytest.raises(ValueError, match="safe_mode=False"):
            serialization.deserialize(entry)
        return
    x = jnp.array([[1.0, 2.0, 3.0]])
    for again in (
        layers.Lambda.from_config(config, safe_mode=False),
        serialization.deserialize(entry, safe_mode=False),
    ):
        assert again(x).tolist() == [[3.0, 12.0, 27.0]]
    # Keras reads ours (but no defaults: those it does not read of its own files either), we theirs.
    config = json.loads(json.dumps(layers.Lambda(lambda x: scale * x).get_config()))
    again = keras.layers.Lambda.from_config(config, safe_mode=False)
    assert again(x).tolist() == [[3.0, 6.0, 9.0]]
    theirs = keras.layers.Lambda(lambda x, power=2: scale * x**power)
    again = layers.Lambda.from_config(theirs.get_config(), safe_mode=False)
    assert again(x).tolist() == [[3.0, 12.0, 27.0]]


def test_lambda_of_a_named_function_needs_that_function():
    layer = layers.Lambda(twice, arguments={"factor": 3.0})
    config = json.loads(json.dumps(layer.get_config()))
    expected = keras.layers.Lambda(twice, arguments={"factor": 3.0}).get_config()
    assert set(config) == set(expected)
    assert config["function"]["config"] == expected["function"]["config"] == "twice"
    with pytest.raises(TypeError, match="custom_objects"):
        layers.Lambda.from_config(config)
    again = layers.Lambda.from_config(config, custom_objects={"twice": twice})
    assert (again(jnp.ones(2)) == 3).all()
    assert again.get_config() == layer.get_config()


# -- inputs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kwargs",
    [
        {"shape": (3,)},
        {"batch_shape": (2, None), "dtype": "int32", "name": "ids"},
        {"shape": (), "batch_size": 4, "optional": True},
    ],
)
def test_input_layer_config(kwargs):
    theirs, ours = keras.layers.InputLayer(**kwargs), layers.InputLayer(**kwargs)
    config = json.loads(json.dumps(ours.get_config()))
    expected = json.loads(json.dumps(theirs.get_config()))
    assert {**config, "name": ""} == {**expected, "name": ""}
    again = layers.InputLayer.from_config(expected)
    assert json.loads(json.dumps(again.get_config())) == expected
    assert keras.layers.InputLayer.from_config(config).name == ours.name


def test_input_is_the_output_of_an_input_layer():
    x = layers.Input((3, None), batch_size=2, dtype="int32", name="ids")
    assert isinstance(x, KerasTensor) and x.shape == (2, 3, None) and x.dtype == "int32"
    layer = x._keras_history.operation
    assert isinstance(layer, layers.InputLayer) and layer.name == "ids" and layer.output is x
    assert jax.tree.structure(layers.Input((3,))._keras_history.operation) == jax.tree.structure(
        layers.Input((3,))._keras_history.operation
    )
    tensor = KerasTensor((None, 5), "float32")
    assert layers.Input(tensor=tensor) is tensor


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({}, "shape"),
        ({"shape": (3,), "batch_shape": (2, 3)}, "cannot pass both"),
        ({"batch_size": 2, "batch_shape": (2, 3)}, "cannot pass both"),
        ({"shape": (3,), "ragged": True}, "ragged=True. is not supported"),
        ({"shape": (3, -1)}, "[Nn]egative"),
        ({"shape": (3,), "dtype": "floaty"}, "dtype"),
        ({"tensor": 3}, "must be a KerasTensor"),
        ({"tensor": KerasTensor((2, 3)), "shape": (4,)}, "shape"),
        ({"tensor": KerasTensor((2, 3)), "batch_size": 4}, "batch_size"),
        ({"tensor": KerasTensor((2, 3)), "dtype": "int32"}, "dtype"),
    ],
)
def test_input_rejects_contradictions(kwargs, match):
    with pytest.raises(ValueError, match=match):
        layers.Input(**kwargs)


# -- layers as pytrees ------------------------------------------------------------------------

PYTREES = [
    (lambda: layers.Dense(3, activation="relu"), (2, 4)),
    (lambda: layers.Conv2D(3, 2, padding="same"), (2, 4, 4, 2)),
    (lambda: layers.BatchNormalization(), (5, 4)),
    (lambda: layers.LayerNormalization(), (5, 4)),
    (lambda: layers.Embedding(6, 3), None),
    (lambda: layers.PReLU(), (2, 4)),
]


@pytest.mark.parametrize(("make", "shape"), PYTREES)
def test_a_layer_is_a_pytree(make, shape, rng):
    x = jnp.array([[1, 2]]) if shape is None else rng.normal(size=shape).astype("float32")
    layer, other = make(), make()
    y = layer(x)
    other(x)
    assert len(jax.tree.leaves(layer)) == len(layer.variables)
    assert jax.tree.structure(layer) == jax.tree.structure(other)
    np.testing.assert_allclose(jax.jit(lambda m, x: m(x))(layer, x), y, rtol=1e-5, atol=1e-6)
    # The gradient of the pytree is that by its weights; state that is not used has gradient 0.
    grads = jax.grad(lambda m: (m(x) ** 2).sum())(layer)
    _, expected = keraslike.value_and_grad(lambda m: (m(x) ** 2).sum())(layer)
    found = [v.value for v in grads.trainable_variables]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    stacked = jax.tree.map(lambda a, b: jnp.stack([a, b]), layer, other)
    both = jax.vmap(lambda m: m(x))(stacked)
    np.testing.assert_allclose(both[1], other(x), rtol=1e-5, atol=1e-6)


def test_gradients_by_finite_differences():
    """Independently of Keras: convolution, normalization and pooling together."""
    from jax.test_util import check_grads

    conv, norm = layers.Conv2D(2, 2, activation="tanh"), layers.LayerNormalization()
    mean = layers.GlobalAveragePooling2D()
    x = jax.random.normal(jax.random.key(0), (1, 4, 4, 2))
    norm(conv(x))
    check_grads(
        lambda m, n: mean(n(m(x))).sum() ** 2, (conv, norm), order=1, modes=["rev"], rtol=0.05
    )


def test_state_changes_within_a_compiled_copy_stay_there(rng):
    layer = layers.BatchNormalization()
    x = rng.normal(size=(5, 4)).astype("float32") + 2
    layer.build(x.shape)

    @jax.jit
    def step(layer, x):
        layer(x, training=True)
        return layer

    new = step(layer, x)
    assert not layer.moving_mean.numpy().any()
    np.testing.assert_allclose(new.moving_mean, 0.01 * x.mean(0), rtol=1e-4)


# -- losses -----------------------------------------------------------------------------------


def test_regularizers_join_the_losses(rng):
    kwargs = {"kernel_regularizer": "l2", "bias_regularizer": "l1", "activity_regularizer": "l2"}
    x = rng.normal(size=(4, 5)).astype("float32")
    theirs, ours = keras.layers.Dense(3, **kwargs), layers.Dense(3, **kwargs)
    theirs.build(x.shape)
    ours.build(x.shape)
    weights = [rng.normal(size=(5, 3)), rng.normal(size=3)]
    theirs.set_weights(weights)
    ours.set_weights(weights)
    theirs(x)
    ours(x)
    assert len(ours.losses) == 3
    np.testing.assert_allclose(
        sorted(map(float, ours.losses)), sorted(map(float, theirs.losses)), rtol=1e-5
    )


# -- settings ---------------------------------------------------------------------------------


def _with_channels():
    """The layers of images that have channels, with the arguments that they need."""
    needed = {"filters": 3, "kernel_size": 2, "pool_size": 2, "output_size": 3, "rate": 0.5}
    needed |= {"height": 4, "width": 4, "factor": 0.5, "height_factor": 0.5, "width_factor": 0.5}
    of_one = {"RandomPosterization": {"factor": 4}, "RandomGaussianBlur": {"kernel_size": 3}}
    for name, cls in vars(layers).items():
        if inspect.isclass(cls) and cls.__name__ == name:
            parameters = inspect.signature(cls).parameters
            rank = next((int(d) for d in "123" if f"{d}D" in name), 2)
            if "data_format" in parameters and hasattr(keras.layers, name) and "Spec" not in name:
                arguments = {k: v for k, v in needed.items() if k in parameters}
                arguments |= of_one.get(name, {})
                yield pytest.param(name, arguments, rank, id=name)


@pytest.mark.parametrize(("name", "arguments", "rank"), _with_channels())
def test_layers_follow_the_default_data_format(name, arguments, rank):
    steps = (2,) if name.startswith("ConvLSTM") else ()
    shape = (2, *steps, 3, *(7, 6, 5)[:rank])
    shapes = []
    for library in (keras, keraslike):
        library.config.set_image_data_format("channels_first")
        try:
            layer = getattr(library.layers, name)(**arguments)
        finally:
            library.config.set_image_data_format("channels_last")
        assert layer.data_format == layer.get_config()["data_format"] == "channels_first"
        shapes.append(tuple(layer.compute_output_shape(shape)))
        assert getattr(library.layers, name)(**arguments).data_format == "channels_last"
    assert shapes[0] == shapes[1]


def test_empty_batches_give_empty_outputs():
    for layer, shape in (
        (layers.Conv2D(3, 2), (0, 4, 4, 2)),
        (layers.MaxPooling2D(), (0, 4, 4, 2)),
        (layers.Flatten(), (0, 4, 2)),
        (layers.Reshape((2, -1)), (0, 4)),
        (layers.Dense(3), (0, 4)),
    ):
        assert layer(jnp.ones(shape)).shape[0] == 0


# -- errors -----------------------------------------------------------------------------------

BAD_ARGUMENTS = [
    (lambda: layers.Dense(0), "units"),
    (lambda: layers.Dense("3"), "units"),
    (lambda: layers.Dense(3, activation="rellu"), "relu"),
    (lambda: layers.Dense(3, quantization_config={"a": 1}), "quantization_config must be"),
    (lambda: layers.Dense(3, kernel_init="zeros"), "kernel_init"),
    (lambda: layers.Embedding(0, 3), "input_dim"),
    (lambda: layers.Embedding(3, 2.5), "output_dim"),
    (lambda: layers.Conv2D(0, 3), "filters"),
    (lambda: layers.Conv2D(3, (3, 3, 3)), "kernel_size"),
    (lambda: layers.Conv2D(3, 0), "kernel_size"),
    (lambda: layers.Conv2D(3, 2, strides=0), "strides"),
    (lambda: layers.Conv2D(3, 2, padding="causal"), "padding"),
    (lambda: layers.Conv2D(3, 2, data_format="channels"), "data_format"),
    (lambda: layers.Conv2D(3, 2, groups=2), "groups"),
    (lambda: layers.Conv2D(3, 2, strides=2, dilation_rate=2), "dilation_rate"),
    (lambda: layers.MaxPooling2D(pool_size=(2,)), "pool_size"),
    (lambda: layers.MaxPooling2D(padding="full"), "padding"),
    (lambda: layers.Dropout(1.5), "rate"),
    (lambda: layers.Dropout(0.5, noise_shape=(0,)), "noise_shape"),
    (lambda: layers.Dropout(0.5, noise_shape="ab"), "noise_shape"),
    (lambda: layers.Dropout(0.5, seed=1.5), "seed"),
    (lambda: layers.GaussianNoise(-1), "stddev"),
    (lambda: layers.GaussianDropout(1), "rate"),
    (lambda: layers.BatchNormalization(synchronized=True), "synchronized"),
    (lambda: layers.BatchNormalization(renorm=True, renorm_clipping={"max": 1}), "renorm_clipping"),
    (lambda: layers.Reshape((-1, -1)), "target_shape"),
    (lambda: layers.Permute((0, 1)), "dims"),
    (lambda: layers.RepeatVector(0), "`n`"),
    (lambda: layers.ZeroPadding2D((1, 2, 3)), "padding"),
    (lambda: layers.ZeroPadding2D(-1), "padding"),
    (lambda: layers.Dot((1, 2, 3)), "axes"),
    (lambda: layers.ReLU(max_value=-1), "max_value"),
    (lambda: layers.LeakyReLU(-1), "negative_slope"),
]


@pytest.mark.parametrize(("make", "match"), BAD_ARGUMENTS)
def test_bad_arguments_are_named(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_axis_must_be_a_number():
    with pytest.raises(TypeError, match="axis"):
        layers.LayerNormalization(axis="last")


BAD_INPUTS = [
    (lambda: layers.Dense(3, name="d"), (4,), r"'d' \(Dense\).*min_ndim=2, found ndim=1"),
    (lambda: layers.Conv2D(3, 2, name="c"), (4, 4, 2), r"'c' \(Conv2D\).*min_ndim=4"),
    (lambda: layers.Conv2D(3, 2, name="c"), (1, 4, 4, 4, 2), r"'c' \(Conv2D\).*max_ndim=4"),
    (lambda: layers.Conv2D(4, 2, groups=2, name="c"), (1, 4, 4, 3), "'c'.*groups=2"),
    (lambda: layers.Conv2D(4, 5), (1, 4, 4, 3), "too small"),
    (lambda: layers.MaxPooling2D(name="p"), (4, 4, 2), "'p'.*ndim=4"),
    (lambda: layers.MaxPooling2D(5, name="p"), (1, 6, 4, 2), "(?s)axis 2.*'p'"),
    (lambda: layers.GlobalAveragePooling2D(name="p"), (4, 2), "'p'.*ndim=4"),
    (lambda: layers.BatchNormalization(axis=3, name="b"), (4, 2), "'b'.*axis=3"),
    (lambda: layers.LayerNormalization(axis=(1, 4), name="l"), (4, 2), "'l'.*axis=4"),
    (lambda: layers.Reshape((3,), name="r"), (2, 4), "'r'.*4 values"),
    (lambda: layers.Reshape((3, -1), name="r"), (2, 4), "'r'.*4 values"),
    (lambda: layers.Permute((2, 1)), (2, 4), "ndim=3"),
    (lambda: layers.RepeatVector(2), (2, 4, 3), "ndim=2"),
    (lambda: layers.Add(name="a"), (2, 4), "'a'.*list"),
    (lambda: layers.Add(name="a"), [(2, 4), (2, 3)], "'a'.*axis 1"),
    (lambda: layers.Add(name="a"), [(2, 4), (3, 4)], "'a'.*batch"),
    (lambda: layers.Subtract(), [(2, 4)] * 3, "exactly 2 inputs"),
    (lambda: layers.Concatenate(name="c"), [(2, 3, 4), (2, 2, 4)], "'c'.*axis=-1"),
    (lambda: layers.Concatenate(), [(2, 3, 4), (2, 4)], "matching shapes"),
    (lambda: layers.Concatenate(axis=3), [(2, 3), (2, 4)], "axis=3"),
    (lambda: layers.Dot(1, name="d"), [(2, 3), (2, 4)], "'d'.*axes=1"),
    (lambda: layers.Dot(0, name="d"), [(2, 3), (2, 3)], "'d'.*axes=0"),
    (lambda: layers.PReLU(shared_axes=[-1], name="p"), (2, 3, 4), r"'p'.*shared_axes.*\[-1\]"),
    (lambda: layers.PReLU(shared_axes=[1, 3], name="p"), (2, 3, 4), r"'p'.*shared_axes.*\[3\]"),
]


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize(("make", "shape", "match"), BAD_INPUTS)
def test_bad_inputs_name_the_layer(make, shape, match, symbolic):
    def given(shape):
        return KerasTensor(shape) if symbolic else jnp.ones(shape)

    x = [given(s) for s in shape] if isinstance(shape, list) else given(shape)
    layer = make()
    with pytest.raises(ValueError, match=match):
        layer(x)


def test_another_number_of_features_names_layer_and_axis():
    for layer, first, second, axis in (
        (layers.Dense(3, name="one"), (2, 4), (2, 5), "axis -1"),
        (layers.Conv2D(3, 2, name="one"), (1, 4, 4, 2), (1, 4, 4, 3), "axis -1"),
        (layers.BatchNormalization(axis=1, name="one"), (2, 4), (2, 5), "axis 1"),
    ):
        layer(jnp.ones(first))
        weights = layer.get_weights()
        with pytest.raises(ValueError, match=f"'one'.*{axis}.*{first[-1] if axis else ''}"):
            layer(jnp.ones(second))
        assert all((a == b).all() for a, b in zip(weights, layer.get_weights(), strict=True))


def test_a_layer_given_a_wrong_rank_first_is_not_built_by_it():
    layer = layers.Conv2D(3, 2)
    with pytest.raises(ValueError, match="min_ndim=4"):
        layer(jnp.ones((4, 4, 2)))
    assert not layer.built and layer.weights == []
    assert layer(jnp.ones((1, 4, 4, 2))).shape == (1, 3, 3, 3)


def test_a_size_that_is_unknown_cannot_be_built():
    with pytest.raises(ValueError, match="unknown"):
        layers.Dense(3)(layers.Input((None,)))
    with pytest.raises(ValueError, match="unknown"):
        layers.Conv2D(3, 2)(layers.Input((4, 4, None)))


def test_the_room_shows_layers_only():
    names = [n for n in dir(layers) if not n.startswith("_")]
    assert names == sorted(layers.__all__)
    assert set(names) <= set(dir(keras.layers))
    assert layers.MaxPool2D is layers.MaxPooling2D
    assert serialization.serialize(layers.MaxPool2D())["class_name"] == "MaxPooling2D"


def test_an_empty_batch_adds_no_activity_loss():
    layer = layers.Dense(3, activity_regularizer="l1")
    layer(np.ones((0, 4), "float32"))
    assert [float(x) for x in layer.losses] == [0.0]


def test_an_activation_may_be_taken_away():
    for layer in (layers.Dense(2, activation="relu"), layers.Conv1D(2, 1, activation="relu")):
        x = np.ones((1, 2, 2), "float32")
        layer.build((1, 2, 2))
        layer.activation = None
        layer.kernel.assign(-np.ones(layer.kernel.shape))
        assert (np.asarray(layer(x)) == -2).all()


def test_compute_output_shape_by_keyword():
    shapes = [(2, 3, 4), (2, 3, 5), (2, 3, 4)]
    assert layers.Attention().compute_output_shape(input_shape=shapes) == (2, 3, 5)
    assert layers.Dense(2).compute_output_shape(input_shape=(None, 3)) == (None, 2)


def test_a_build_of_ones_own_may_call_that_of_layer_first():
    def built(k):
        class Late(k.layers.Layer):
            def __init__(self):
                super().__init__()
                self.inner, self.calls = k.layers.Dense(2), 0

            def build(self, shape):
                super().build(shape)
                self.scale = self.add_weight(shape=(), initializer="ones")

            def call(self, x):
                self.calls += 1
                return self.inner(x) * self.scale

        layer = Late()
        layer.build((None, 3))
        return len(layer.weights), layer.calls, layer(np.ones((1, 3), "float32")).shape

    assert built(keraslike) == built(keras) == (1, 0, (1, 2))


def test_shapes_of_several_tensors_lie_in_what_the_tensors_lie_in():
    def found(k):
        class Both(k.layers.Layer):
            def build(self, shapes):
                self.kinds = [type(shapes)]

            def call(self, tensors):
                return tensors[0] + tensors[1]

            def compute_output_shape(self, shapes):
                self.kinds.append(type(shapes))
                return shapes[0]

        layers = Both(), Both()
        for layer, kind in zip(layers, (tuple, list)):
            layer(kind([k.Input((3,)), k.Input((3,))]))
        return [layer.kinds for layer in layers]

    assert found(keraslike) == found(keras) == [[tuple, tuple], [list, list]]


def test_shapes_are_those_of_the_first_argument_of_call_in_any_order_of_keywords():
    def found(k):
        class First(k.layers.Layer):
            def build(self, shape=None, **options):
                self.was_built_for = shape

            def call(self, one, another=None):
                return one

            def compute_output_shape(self, one_shape):
                return one_shape

        one, another = k.Input((3,)), k.Input((4,))
        layer = First()
        output = layer(another=another, one=one)
        again = k.Model([one, another], output)([one, another])
        return [tuple(s) for s in (layer.was_built_for, output.shape, again.shape)]

    assert found(keraslike) == found(keras) == [(None, 3)] * 3


def test_layers_of_lists_come_when_they_were_added():
    def found(k):
        class Chain(k.Model):
            def __init__(self):
                self.first, self.others = k.layers.Dense(2, name="first"), []
                self.others.append(k.layers.Dense(2, name="other"))
                self.last = k.layers.Dense(2, name="last")
                inputs = k.Input((2,), name="inputs")
                super().__init__(inputs, self.last(self.others[0](self.first(inputs))))
                self.again = self.others[0]

        model = Chain()
        layers = model._flatten_layers(include_self=False, recursive=False)
        return [layer.name for layer in layers], [v.path for v in model.weights[::2]]

    names = ["first", "other", "last", "inputs"]
    assert found(keraslike) == found(keras) == (names, [f"{name}/kernel" for name in names[:3]])


def test_layers_that_prepare_data_have_the_functions_of_a_backend():
    def found(k):
        class Times(k.layers.Rescaling):
            def call(self, x):
                given = self.backend.numpy.flip(self.backend.cast(x, "float32"))
                return given * self.scale + self.backend.random.uniform((1,), 0, 1e-9, seed=1)

        return np.round(Times(2.0)(np.arange(1, 3))).tolist()

    assert found(keraslike) == found(keras) == [4, 2]


def test_shapes_that_a_layer_says_hold_where_a_trace_cannot_find_them():
    def found(k):
        class Merge(k.layers.Layer):
            def build(self, shapes):
                self.up, self.add = k.layers.UpSampling1D(2), k.layers.Add()

            def call(self, pair):
                return self.add([self.up(pair[0]), pair[1]])  # whose sizes only the values say

            def compute_output_shape(self, shapes):
                return shapes[1]

        pair = [k.Input((None, 3)), k.Input((None, 3))]
        output = Merge()(pair)
        values = k.Model(pair, output)([np.ones((1, 2, 3)), np.ones((1, 4, 3))])
        return tuple(output.shape), tuple(values.shape)

    assert found(keraslike) == found(keras) == ((None, None, 3), (1, 4, 3))


def test_weights_come_in_the_order_in_which_they_were_made():
    def found(k):
        class Scaled(k.layers.Layer):
            def __init__(self):
                super().__init__()
                self.late, self.early = 1.0, None

            def build(self, shape):
                self.early = self.add_weight(name="early", trainable=False)
                self.late = self.add_weight(name="late", trainable=False)

        layer = Scaled()
        layer.build((1,))
        return [v.name for v in layer.weights]

    assert found(keraslike) == found(keras) == ["early", "late"]


def test_methods_need_not_take_shapes():
    def found(k):
        class Scaled(k.layers.Layer):
            def build(self):
                self.scale = self.add_weight(shape=(2,))

            def call(self, one, another):
                return one * self.scale

            def compute_output_shape(self, **shapes):
                return (None, 2) if not shapes else ()

        return tuple(Scaled()(k.Input((2,)), k.Input((3,))).shape)

    assert found(keraslike) == found(keras) == (None, 2)


def test_attention_takes_lists():
    with pytest.raises(ValueError, match="a list of length 2 or 3"):
        layers.AdditiveAttention()(np.ones((1, 2, 2), "float32"))


def test_build_of_nothing_known():
    class Outer(layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = layers.Layer(name="inner")
            self.inner.v = self.inner.add_variable(shape=(1,), name="v")

    outer = Outer()
    outer.build(None)
    assert outer.built and [v.path for v in outer.variables] == ["inner/v"]


def test_a_symbolic_loss_is_refused_where_it_is_added():
    x = keraslike.Input((3,))
    y = keraslike.layers.Dense(2)(x)
    model = keraslike.Model(x, y)
    for add_loss in (model.add_loss, model.layers[1].add_loss):
        with pytest.raises(ValueError, match=r"add_loss\(\) of .* symbolic tensor"):
            add_loss(keraslike.ops.mean(y))
    assert not model.losses


def test_a_loss_may_be_added_while_a_call_is_symbolic():
    class Penalized(keraslike.layers.Layer):
        def call(self, x):
            self.add_loss([keraslike.ops.mean(x), keraslike.ops.mean(x, -1)])
            return x

    x = keraslike.Input((3,))
    model = keraslike.Model(x, Penalized()(x))
    ones = np.ones((2, 3))
    model(ones)
    assert [np.ravel(loss).tolist() for loss in model.losses] == [[1.0], [1.0, 1.0]]
    model.compile(loss="mse")
    assert model.evaluate(ones, ones, verbose=0) == 3.0  # The sum of an array, as in Keras.


# -- data ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [-1, (1, 2), None])
def test_normalization_adapts_as_that_of_keras(axis, rng, tmp_path):
    x = (rng.normal(size=(12, 3, 4)) * 3 + 5).astype("float32")
    batches = [x[:5], (x[5:9], 1), x[9:]]
    theirs, ours = keras.layers.Normalization(axis=axis), layers.Normalization(axis=axis)
    theirs.adapt(x)
    for data in (x, jnp.asarray(x), batches, (b for b in batches)):
        ours.adapt(data)
        for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours.mean, theirs.mean, rtol=1e-5)
    for K, layer in ((keras, theirs), (keraslike, ours)):
        model = K.Sequential([K.Input(x.shape[1:]), layer])
        model.save(tmp_path / "model.keras")
        for L in (keras, keraslike):
            again = L.models.load_model(tmp_path / "model.keras")
            np.testing.assert_allclose(again(x), theirs(x), rtol=1e-4, atol=1e-5)


def test_normalization_errors():
    with pytest.raises(ValueError, match="both `mean` and `variance` must be set"):
        layers.Normalization(mean=1.0)
    with pytest.raises(ValueError, match="known sizes"):
        layers.Normalization().build((3, None))
    layer = layers.Normalization()
    with pytest.raises(ValueError, match="empty"):
        layer.adapt([])
    with pytest.raises(TypeError, match="Unsupported data type"):
        layer.adapt(3)
    layer.adapt(np.ones((3, 2)))
    with pytest.raises(ValueError, match="incompatible shape"):
        layer.adapt(np.ones((3, 4)))
    with pytest.raises(ValueError, match="not given"):
        layers.Normalization(mean=1.0, variance=1.0).adapt(np.ones((3, 4)))


@pytest.mark.parametrize("kwargs", [{}, {"tie_weights": False, "logit_soft_cap": 2.0}])
def test_reversible_embedding_is_that_of_keras(kwargs, rng, tmp_path):
    def made(K):
        layer = K.layers.ReversibleEmbedding(6, 3, mask_zero=True, **kwargs)
        inputs = K.Input((4,), dtype="int32")
        vectors = layer(inputs)
        summary = K.layers.GlobalAveragePooling1D()(vectors)  # over what the mask leaves in
        return K.Model(inputs, [layer(vectors, reverse=True), summary])

    theirs, ours = made(keras), made(keraslike)
    assert [w.shape for w in ours.weights] == [w.shape for w in theirs.weights]
    ours.set_weights([rng.normal(size=w.shape) for w in theirs.weights])
    theirs.set_weights(ours.get_weights())
    x = np.array([[1, 2, 0, 0], [5, 4, 3, 0]])
    expected = theirs(x)
    found, config = ours(x), ours.layers[1].get_config()
    assert {**config, "name": None} == {**theirs.layers[1].get_config(), "name": None}
    ours.save(tmp_path / "ours.keras")
    theirs.save(tmp_path / "theirs.keras")
    for outputs in (
        found,
        keras.models.load_model(tmp_path / "ours.keras")(x),
        keraslike.models.load_model(tmp_path / "theirs.keras")(x),
    ):
        for a, b in zip(outputs, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_a_layer_is_serialized_and_read_again():
    config = layers.serialize(layers.Dense(3))
    assert layers.deserialize(config).units == 3
    with pytest.raises(ValueError, match="that of a layer"):
        layers.deserialize(keraslike.losses.serialize(keraslike.losses.Huber()))


def test_the_config_of_a_layer_without_one_of_its_own_keeps_autocast():
    class Plain(layers.Layer):
        def call(self, x):
            return x

    assert Plain(autocast=False).get_config()["autocast"] is False
    assert not Plain.from_config(Plain(autocast=False).get_config()).autocast
    assert layers.Dense.from_config(layers.Dense(2).get_config()).autocast


@jax.custom_vjp
def _scaled(weight, x):
    return weight * x


_scaled.defvjp(
    lambda weight, x: (weight * x, (weight, x)),
    lambda kept, g: (3 * (g * kept[1]).sum(0), g * kept[0]),  # Three times the gradient.
)


def test_a_weight_is_an_argument_of_jaxs_transformations():
    class Scaled(layers.Layer):
        def build(self, shape):
            self.scale = self.add_weight(shape=shape[1:], initializer="ones")

        def call(self, x):
            slopes = jax.jacfwd(lambda scale: scale**2)(self.scale)  # 2 on the diagonal
            return _scaled(self.scale, x) + jax.lax.stop_gradient(x @ slopes)

    model, x = keraslike.Sequential([keraslike.Input((3,)), Scaled()]), np.ones((2, 3), "float32")
    model.compile(keraslike.optimizers.SGD(0.1), lambda y, outputs: jnp.sum(outputs, axis=-1))
    assert model.fit(x, x, verbose=0).history["loss"] == [9.0]
    np.testing.assert_allclose(model.get_weights()[0], 1 - 0.1 * 3, rtol=1e-6)
