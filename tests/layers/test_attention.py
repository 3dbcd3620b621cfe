"""The attention family beside Keras's: values, gradients, masks, configs, files, errors."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import keraslike
from keraslike import layers, models
from keraslike.core import context

pytestmark = pytest.mark.slow


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


QUERY, VALUE, KEY = normal(2, 5, 8), normal(2, 7, 6, seed=1), normal(2, 7, 4, seed=2)
RANDOM = np.random.default_rng(5)
SEEN = RANDOM.random((2, 5, 7)) < 0.6
SEEN[..., 0] = True  # in this one each target sees something
OF_QUERY, OF_VALUE = RANDOM.random((2, 5)) < 0.6, RANDOM.random((2, 7)) < 0.6
OF_VALUE[:, 0] = True


def pair(name, arguments, shapes):
    """Keras's layer and ours, built, with the same weights: other than those they began with."""
    theirs, ours = getattr(keras.layers, name)(**arguments), getattr(layers, name)(**arguments)
    for layer in (theirs, ours):
        if isinstance(shapes, dict):
            layer.build(**shapes)
        else:
            layer.build(shapes)
    assert [w.shape for w in ours.weights] == [w.shape for w in theirs.weights]
    assert [w.path.split("/")[1:] for w in ours.weights] == [
        w.path.split("/")[1:] for w in theirs.weights
    ]
    values = [normal(*w.shape, seed=i) for i, w in enumerate(ours.weights)]
    theirs.set_weights(values)
    ours.set_weights(values)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    return theirs, ours


def derivatives(layer, inputs, **call):
    """The outputs, and the gradients by weights and inputs of a sum in which no two count alike."""

    def loss(weights, inputs):
        args = inputs if isinstance(inputs, tuple) else (inputs,)
        out, _ = layer.stateless_call(
            weights, [v.value for v in layer.non_trainable_variables], *args, **call
        )
        return sum(jnp.sum(jnp.sin(o + i)) for i, o in enumerate(jax.tree.leaves(out))), out

    values = [jnp.asarray(np.asarray(v.value)) for v in layer.trainable_variables]
    inputs = jax.tree.map(jnp.asarray, inputs)
    derive = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))
    (_, out), grads = derive(values, inputs)
    return jax.tree.leaves(out), jax.tree.leaves(grads)


def same(given, expected, bound=4e-5):
    """Equal to a part of the largest value, as sums in another order are."""
    for a, b in zip(given, expected, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        np.testing.assert_allclose(a, b, rtol=0, atol=bound * max(1, np.abs(b).max()))


# Of the arguments and of the calls, every one with some of the others.
HEADS = [
    ({"num_heads": 2, "key_dim": 3}, {"attention_mask": SEEN}),
    ({"num_heads": 2, "key_dim": 3}, {"use_causal_mask": True}),
    ({"num_heads": 2, "key_dim": 3}, {"value_mask": OF_VALUE, "return_attention_scores": True}),
    (
        {"num_heads": 2, "key_dim": 3, "use_bias": False, "output_shape": 9, "use_gate": True},
        {"attention_mask": SEEN, "use_causal_mask": True, "key_mask": OF_VALUE},
    ),
    (
        {"num_heads": 1, "key_dim": 4, "value_dim": 5, "output_shape": (2, 3), "dropout": 0.1},
        {"attention_mask": SEEN[:1, :1].astype("int32")},
    ),
    (
        {"num_heads": 2, "key_dim": 3, "sliding_window": 2, "dropout": 0.3, "seed": 1},
        {"use_causal_mask": True, "return_attention_scores": True},
    ),
    ({"num_heads": 2, "key_dim": 3, "dropout": 0.3}, {"use_causal_mask": True}),
]
GROUPS = [
    ({}, {}),
    ({"use_gate": True}, {"use_causal_mask": True}),
    ({"sliding_window": 3}, {"attention_mask": SEEN, "query_mask": OF_QUERY}),
    ({"dropout": 0.2}, {"query_mask": OF_QUERY, "value_mask": OF_VALUE}),
    ({"use_bias": False}, {"return_attention_scores": True, "use_causal_mask": True}),
]
SHAPES = {"query_shape": (None, 5, 8), "value_shape": (None, 7, 6), "key_shape": (None, 7, 4)}


@pytest.mark.parametrize("arguments,call", HEADS)
def test_heads_compute_what_keras_computes(arguments, call):
    theirs, ours = pair("MultiHeadAttention", arguments, SHAPES)
    inputs = (QUERY, VALUE, KEY)
    out, grads = derivatives(ours, inputs, **call)
    expected, expected_grads = derivatives(theirs, inputs, **call)
    same(out, expected)
    same(grads, expected_grads)


@pytest.mark.parametrize("more,call", GROUPS)
def test_grouped_heads_compute_what_keras_computes(more, call):
    arguments = {"head_dim": 3, "num_query_heads": 6, "num_key_value_heads": 2, **more}
    shapes = {"query_shape": (None, 5, 8), "value_shape": (None, 7, 8)}
    theirs, ours = pair("GroupQueryAttention", arguments, shapes)
    inputs = (QUERY, normal(2, 7, 8, seed=4))
    out, grads = derivatives(ours, inputs, **call)
    expected, expected_grads = derivatives(theirs, inputs, **call)
    same(out, expected)
    same(grads, expected_grads)


@pytest.mark.parametrize("more", [{}, {"value_dim": 5}, {"value_dim": 2}])
def test_the_outputs_are_the_same_whether_or_not_the_weights_are_wanted(more):
    layer = layers.MultiHeadAttention(2, 3, **more)
    layer.build(**SHAPES)
    call = {"attention_mask": SEEN, "use_causal_mask": True}
    out, weights = layer(QUERY, VALUE, KEY, return_attention_scores=True, **call)
    same([layer(QUERY, VALUE, KEY, **call)], [out])
    assert not np.any(np.asarray(weights)[~np.broadcast_to(SEEN[:, None], weights.shape)])


@pytest.mark.parametrize("training", [False, True])
def test_dropout_falls_on_the_same_weights_whether_or_not_they_are_wanted(training):
    found = []
    for wanted in (False, True):
        layer = layers.MultiHeadAttention(2, 3, dropout=0.4, seed=5)
        layer.build(**SHAPES)
        layer.set_weights([normal(*w.shape, seed=i) for i, w in enumerate(layer.get_weights())])
        call = {"attention_mask": SEEN, "query_mask": OF_QUERY, "training": training}
        out = layer(QUERY, VALUE, KEY, return_attention_scores=wanted, **call)
        found.append(out[0] if wanted else out)
    same([found[0]], [found[1]])


@pytest.mark.parametrize("axes", [None, 1, (2,), (1, 2), (-2,)])
def test_attention_over_several_axes(axes):
    arguments = {"num_heads": 2, "key_dim": 3, "attention_axes": axes}
    query, value = normal(2, 3, 4, 6), normal(2, 3, 4, 5, seed=1)
    shapes = {"query_shape": query.shape, "value_shape": value.shape}
    theirs, ours = pair("MultiHeadAttention", arguments, shapes)
    assert ours.get_config()["attention_axes"] == theirs.get_config()["attention_axes"]
    out, grads = derivatives(ours, (query, value))
    expected, expected_grads = derivatives(theirs, (query, value))
    same(out, expected)
    same(grads, expected_grads)
    _, weights = ours(query, value, return_attention_scores=True)
    _, expected = theirs(query, value, return_attention_scores=True)
    same([weights], [expected])


LISTS = [
    ("Attention", {}, {}),
    ("Attention", {"use_scale": True}, {"return_attention_scores": True}),
    ("Attention", {"score_mode": "concat", "use_scale": True}, {"use_causal_mask": True}),
    ("Attention", {"score_mode": "concat"}, {"mask": [OF_QUERY, OF_VALUE]}),
    ("Attention", {"dropout": 0.5}, {"mask": [None, OF_VALUE], "use_causal_mask": True}),
    ("AdditiveAttention", {}, {"mask": [OF_QUERY, OF_VALUE]}),
    ("AdditiveAttention", {"use_scale": False}, {"return_attention_scores": True}),
]


@pytest.mark.parametrize("name,arguments,call", LISTS)
def test_lists_compute_what_keras_computes(name, arguments, call):
    inputs = [QUERY, normal(2, 7, 8, seed=1), normal(2, 7, 8, seed=2)]
    theirs, ours = pair(name, arguments, [x.shape for x in inputs])
    call = {k: jax.tree.map(jnp.asarray, v) if k == "mask" else v for k, v in call.items()}
    out, grads = derivatives(ours, inputs, **call)
    expected, expected_grads = derivatives(theirs, inputs, **call)
    same(out, expected)
    same(grads, expected_grads)


EQUATIONS = [
    ("ab,bc->ac", 3, "c", (2, 4)),
    ("abc,cd->abd", (None, 3), "d", (2, 5, 4)),
    ("abc,cde->abde", (5, 3, 2), "de", (2, 5, 4)),
    ("abc,bd->adc", (3, 4), "d", (2, 5, 4)),
    ("abcd,cde->abe", (None, 6), None, (2, 5, 3, 4)),
    ("...c,cd->...d", 3, "d", (2, 5, 6, 4)),
    ("...bc,cd->...bd", (5, 3), "b", (2, 6, 5, 4)),
    ("ab...,bc->ac...", 3, "c", (2, 4, 5)),
    ("abc,bcd->abcd", (5, 4, 3), "bd", (2, 5, 4)),
]


@pytest.mark.parametrize("equation,output,bias,shape", EQUATIONS)
def test_einsum_dense_computes_what_keras_computes(equation, output, bias, shape):
    arguments = {"equation": equation, "output_shape": output, "bias_axes": bias}
    arguments |= {"activation": "tanh"}
    theirs, ours = pair("EinsumDense", arguments, shape)
    x = normal(*shape, seed=3)
    out, grads = derivatives(ours, x)
    expected, expected_grads = derivatives(theirs, x)
    same(out, expected)
    same(grads, expected_grads)
    assert ours.compute_output_shape(shape) == out[0].shape


@pytest.mark.parametrize("name", ["GlorotUniform", "HeNormal", "LecunUniform"])
def test_einsum_kernels_begin_as_kerass(name):
    made = []
    for library in (keras, keraslike):
        layer = library.layers.EinsumDense(
            "abc,cde->abde",
            (5, 3, 2),
            kernel_initializer=getattr(library.initializers, name)(seed=3),
        )
        layer.build((None, 5, 4))
        made.append(layer.get_weights())
    same(*made)


CONFIGS = [
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3}),
    (
        "MultiHeadAttention",
        {
            "num_heads": 2,
            "key_dim": 3,
            "value_dim": 4,
            "dropout": 0.1,
            "use_bias": False,
            "output_shape": 5,
            "attention_axes": 1,
            "sliding_window": 3,
            "flash_attention": False,
            "kernel_regularizer": "l2",
            "bias_regularizer": "l2",
            "activity_regularizer": "l2",
            "kernel_constraint": "non_neg",
            "bias_constraint": "max_norm",
            "use_gate": True,
            "seed": 7,
        },
    ),
    ("GroupQueryAttention", {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}),
    ("Attention", {"use_scale": True, "score_mode": "concat", "dropout": 0.2, "seed": 3}),
    ("AdditiveAttention", {"use_scale": False, "dropout": 0.2}),
    ("EinsumDense", {"equation": "abc,cd->abd", "output_shape": (None, 3), "bias_axes": "d"}),
]


def plain(value):
    """As JSON has it."""
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return {k: plain(v) for k, v in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("name,arguments", CONFIGS)
def test_configs_are_kerass(name, arguments):
    theirs, ours = getattr(keras.layers, name)(**arguments), getattr(layers, name)(**arguments)
    config, expected = plain(ours.get_config()), plain(theirs.get_config())
    for c in (config, expected):
        c.pop("name")
    assert config == expected
    again = type(ours).from_config(ours.get_config())
    assert again.get_config() == ours.get_config()
    assert (
        keraslike.saving.serialize_keras_object(ours)["class_name"]
        == (keras.saving.serialize_keras_object(theirs)["class_name"])
    )


def regularized(library):
    x = library.Input((5, 8))
    y = library.layers.MultiHeadAttention(
        2, 3, kernel_regularizer="l2", activity_regularizer="l2", bias_regularizer="l1"
    )(x, x)
    return library.Model(x, y)


def test_regularizers_are_the_projections():
    ours, theirs = regularized(keraslike), regularized(keras)
    theirs.set_weights(ours.get_weights())
    ours(QUERY), theirs(QUERY)
    assert float(sum(ours.losses)) == pytest.approx(float(sum(theirs.losses)), rel=1e-5)
    assert len(ours.losses) == len(theirs.losses)


# -- models, masks --------------------------------------------------------------------------------


def translator(library, dropout=0.0, everything=True):
    """Two sequences of words, padded with 0; the decoder sees the encoder's by cross-attention."""
    source, target = library.Input((None,), name="source"), library.Input((None,), name="target")
    x = library.layers.Embedding(11, 8, mask_zero=True)(source)
    y = library.layers.Embedding(13, 6, mask_zero=True)(target)
    x = library.layers.MultiHeadAttention(2, 3, dropout=dropout, seed=1)(x, x)
    y = library.layers.MultiHeadAttention(2, 4)(y, y, use_causal_mask=True)
    # Keras's layer takes the masks off its inputs: whoever comes later sees none.
    a, b, c = (library.layers.Dense(8)(x) for _ in range(3))
    y = library.layers.MultiHeadAttention(3, 2, output_shape=8)(y, value=a)
    if everything:
        y = library.layers.GroupQueryAttention(4, 4, 2)(y, b, b)
        y = library.layers.Attention(use_scale=True)([y, c])
    y = library.layers.AdditiveAttention()([y, y])
    y = library.layers.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d")(y)
    return library.Model([source, target], library.layers.Dense(2)(y))


WORDS = [np.array([[3, 4, 9, 0, 0], [5, 1, 2, 8, 0]]), np.array([[7, 0, 0], [2, 12, 4]])]


@pytest.mark.filterwarnings(r"error:Layer .(query|key|value). \(EinsumDense\)")
def test_masks_go_through_a_functional_model_as_in_keras():
    ours, theirs = translator(keraslike), translator(keras)
    paths, expected = ([re.sub(r"_\d+/", "/", w.path) for w in m.weights] for m in (ours, theirs))
    assert paths == expected
    theirs.set_weights(ours.get_weights())
    found = ours.predict(WORDS, verbose=0)
    same([found], [theirs.predict(WORDS, verbose=0)])
    assert ours.output_shape == theirs.output_shape
    padded = [np.pad(w, ((0, 0), (0, 2))) for w in WORDS]  # more padding changes nothing
    same([ours.predict(padded, verbose=0)[:, :3]], [found])


def test_masks_of_arrays_and_of_the_call_are_one():
    layer = layers.MultiHeadAttention(2, 3)
    layer.build(**SHAPES)
    query, value = jnp.asarray(QUERY), jnp.asarray(VALUE)
    expected = layer(query, value, KEY, attention_mask=OF_QUERY[:, :, None] & OF_VALUE[:, None])
    context.set_mask(query, jnp.asarray(OF_QUERY))
    context.set_mask(value, jnp.asarray(OF_VALUE))
    out = layer(query, value, KEY)
    same([out], [expected])
    assert context.get_mask(out) is context.get_mask(query)


@pytest.mark.parametrize("ending", ["keras", "h5", "weights.h5"])
@pytest.mark.parametrize("to_keras", [True, False])
def test_files_go_both_ways(tmp_path, ending, to_keras):
    one, other = (keraslike, keras) if to_keras else (keras, keraslike)
    # Keras cannot read its own HDF5 files of some of these layers, much less ours.
    everything = not (ending == "h5" and to_keras)
    model, path = translator(one, 0.2, everything), str(tmp_path / f"m.{ending}")
    if ending == "weights.h5":
        model.save_weights(path)
        loaded = translator(other, 0.2)
        loaded.load_weights(path)
    else:
        model.save(path)
        loaded = other.models.load_model(path)
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    same([loaded.predict_on_batch(WORDS)], [model.predict_on_batch(WORDS)])


def test_a_model_trains_with_dropout_the_same_however_many_steps_are_fused():
    def train(steps):
        keraslike.utils.set_random_seed(3)
        x = keraslike.Input((6, 4))
        y = layers.MultiHeadAttention(2, 4, dropout=0.5)(x, x)
        model = models.Model(x, layers.Dense(1)(layers.GlobalAveragePooling1D()(y)))
        model.compile("adam", "mse", steps_per_execution=steps)
        data = normal(32, 6, 4)
        model.fit(data, data.mean((1, 2)), batch_size=4, epochs=2, verbose=0, shuffle=False)
        return model.get_weights()

    same(train(1), train(4), 1e-4)


def test_dropout_of_the_weights_keeps_their_mean():
    layer = layers.MultiHeadAttention(1, 4, dropout=0.5, seed=0)
    x = normal(1, 6, 4)
    expected = layer(x, x)
    drawn = [layer(x, x, training=True) for _ in range(400)]
    assert np.abs(drawn[0] - drawn[1]).max() > 1e-3
    np.testing.assert_allclose(np.mean(drawn, 0), expected, atol=0.15)


def test_half_precision_and_a_compute_dtype():
    ours = layers.MultiHeadAttention(2, 4, dtype="mixed_bfloat16")
    wide = layers.MultiHeadAttention(2, 4)
    for layer in (ours, wide):
        layer.build(QUERY.shape, QUERY.shape)
    ours.set_weights(wide.get_weights())
    out = ours(QUERY, QUERY)
    assert out.dtype == "bfloat16" and ours.query_dense.compute_dtype == "bfloat16"
    np.testing.assert_allclose(out.astype("float32"), wide(QUERY, QUERY), atol=0.05)


@pytest.mark.parametrize(("shape", "axes"), [((2, 3, 4), None), ((2, 5, 6, 4), (2,))])
def test_a_subclass_may_ask_for_the_formulas_and_the_weights(shape, axes):
    found = []
    for library in (keras, keraslike):
        layer = library.layers.MultiHeadAttention(2, 4, attention_axes=axes)
        layer(np.zeros(shape, "float32"), np.zeros(shape, "float32"))
        found.append((layer._dot_product_equation, layer._combine_equation))
        scores, mask = np.ones((2, 2, 3, 3), "float32"), np.eye(3, dtype=bool)[None]
        if axes is None:
            found[-1] += (np.asarray(layer._masked_softmax(scores, mask)).tolist(),)
    assert found[0] == found[1]


def test_a_subclass_may_compute_the_attention():
    class Mean(layers.MultiHeadAttention):
        def _compute_attention(self, query, key, value, attention_mask=None, **kwargs):
            return jnp.broadcast_to(value.mean(1, keepdims=True), query.shape), None

    layer = Mean(2, 3)
    out = layer(QUERY, QUERY)
    np.testing.assert_allclose(out[:, 0], out[:, 1], rtol=1e-6)


ERRORS = [
    ("MultiHeadAttention", {"num_heads": 0, "key_dim": 3}, "num_heads"),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": -1}, "key_dim"),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "value_dim": 0}, "value_dim"),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "output_shape": "x"}, "output_shape"),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "attention_axes": 1.5}, "attention_axes"),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "sliding_window": 0}, "sliding_window"),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 3, "dropout": 2}, "dropout"),
    (
        "MultiHeadAttention",
        {"num_heads": 2, "key_dim": 3, "dropout": 0.1, "flash_attention": True},
        "flash_attention",
    ),
    (
        "GroupQueryAttention",
        {"head_dim": 2, "num_query_heads": 3, "num_key_value_heads": 2},
        "num_query_heads",
    ),
    (
        "GroupQueryAttention",
        {"head_dim": 0, "num_query_heads": 3, "num_key_value_heads": 3},
        "head_dim",
    ),
    ("Attention", {"score_mode": "sum"}, "score_mode"),
    ("Attention", {"dropout": -0.1}, "dropout"),
    ("EinsumDense", {"equation": "ab,bc", "output_shape": 3}, "equation"),
    ("EinsumDense", {"equation": "...b,bc->c", "output_shape": 3}, "equation"),
    ("EinsumDense", {"equation": "ab,bd->ac", "output_shape": 3}, "equation"),
]


@pytest.mark.parametrize("name,arguments,named", ERRORS)
def test_errors_name_the_argument(name, arguments, named):
    with pytest.raises(ValueError, match=named):
        getattr(layers, name)(**arguments)


def test_errors_of_calls_say_what_was_given():
    with pytest.raises(ValueError, match="list of length 2 or 3.*Received"):
        layers.Attention()(QUERY)
    with pytest.raises(ValueError, match="mask must be a list"):
        layers.Attention()([QUERY, QUERY], mask=OF_QUERY)
    with pytest.raises(ValueError, match="value and key"):
        layers.MultiHeadAttention(2, 3)(QUERY, VALUE, QUERY)
    with pytest.raises(ValueError, match="return_attention_scores"):
        layers.MultiHeadAttention(2, 3, flash_attention=True)(
            QUERY, QUERY, return_attention_scores=True
        )
    with pytest.raises(ValueError, match="attention_axes"):
        layers.MultiHeadAttention(2, 3, attention_axes=2)(QUERY, QUERY)
    with pytest.raises(ValueError, match="query must have 3 axes"):
        layers.GroupQueryAttention(2, 2, 1)(normal(2, 3, 4, 5), VALUE)
    for equation, output, bias, shape, named in [
        ("abc,cd->abd", (4, 3), None, (2, 5, 4), "axis 'b'"),
        ("abc,cd->abd", 3, None, (2, 5, 4), "output_shape"),
        ("abc,cd->abd", (None, 3), "c", (2, 5, 4), "bias_axes"),
        ("abc,cd->abd", (None, 3), "", (2, 5, 4), "bias_axes"),
        ("abc,cd->abd", (None, 3), None, (2, 5), "input of shape"),
    ]:
        with pytest.raises(ValueError, match=named):
            layers.EinsumDense(equation, output, bias_axes=bias)(normal(*shape))
