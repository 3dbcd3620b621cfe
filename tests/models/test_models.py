"""Sequential, Functional and subclassed models."""

import copy
import pickle
import re

import jax
import jax.numpy as jnp
import keras as oracle
import numpy as np
import pytest

import keraslike as keras
from keraslike import layers

pytestmark = pytest.mark.slow


def branching(k):
    a, b = k.layers.Input((4,), name="a"), k.layers.Input((3,), name="b")
    shared = k.layers.Dense(5, activation="relu", name="shared")
    left = shared(a)
    right = k.layers.Dense(5, name="right")(b)
    h = k.layers.Add(name="add")([left, right])
    h = k.layers.Concatenate(name="cat")([h, shared(a) * 2.0])
    inner_in = k.layers.Input((10,), name="inner_in")
    inner = k.Model(inner_in, k.layers.Dense(6, name="inner_dense")(inner_in), name="inner")
    h = k.layers.Dropout(0.5, name="drop")(inner(h))
    return k.Model([a, b], [k.layers.Dense(1, name="y")(h), left], name="branching")


def test_weights_of_a_sequential_are_in_the_order_of_its_layers():
    early = keras.layers.Dense(3, name="early")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, name="late"), early])
    for m in (model, pickle.loads(pickle.dumps(model))):
        assert [v.path.split("/")[-2] for v in m.weights] == ["late", "late", "early", "early"]


def test_functional_order_and_numbers_equal_keras():
    mine, theirs = branching(keras), branching(oracle)
    assert [x.name for x in mine.layers] == [x.name for x in theirs.layers]
    assert [v.shape for v in mine.weights] == [tuple(v.shape) for v in theirs.weights]
    assert mine.input_shape == theirs.input_shape and mine.output_shape == theirs.output_shape
    assert mine.output_names == theirs.output_names and mine.count_params() == theirs.count_params()
    mine.set_weights(theirs.get_weights())
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(6, 4)).astype("float32"), rng.normal(size=(6, 3)).astype("float32")]
    for p, q in zip(mine.predict(x, verbose=0), theirs.predict(x, verbose=0), strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-5, atol=1e-6)
    by_name = mine({"a": x[0], "b": x[1]})
    np.testing.assert_allclose(by_name[0], mine(x)[0])


def test_functional_config_round_trip_and_equality_with_keras():
    mine, theirs = branching(keras), branching(oracle)
    config = mine.get_config()
    again = keras.Model.from_config(config)
    again.set_weights(mine.get_weights())
    x = [np.ones((2, 4), "float32"), np.ones((2, 3), "float32")]
    np.testing.assert_allclose(again(x)[0], mine(x)[0], rtol=1e-6)
    assert [v.path for v in again.weights] == [v.path for v in mine.weights]

    expected = theirs.get_config()
    assert set(config) == set(expected)
    assert config["input_layers"] == expected["input_layers"]
    assert config["output_layers"] == expected["output_layers"]
    for ours, keras_layer in zip(config["layers"], expected["layers"], strict=True):
        assert set(ours) >= {"module", "class_name", "config", "name", "inbound_nodes"}
        assert ours["class_name"] == keras_layer["class_name"]
        assert set(ours["config"]) == set(keras_layer["config"]), ours["class_name"]
        assert _plain(ours["inbound_nodes"]) == _plain(keras_layer["inbound_nodes"]), ours["name"]


def _plain(value):
    # Keras also notes mask=None and training=False, which are the defaults.
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if k not in ("mask", "training")}
    return "multiply" if str(value).startswith("multiply") else value  # an automatic name


def test_models_are_pytrees_with_a_graph():
    model = branching(keras)
    x = [jnp.ones((2, 4)), jnp.ones((2, 3))]
    doubled = jax.tree.map(lambda a: a * 2, model)
    np.testing.assert_allclose(doubled.get_layer("shared").kernel.numpy(),
                               2 * model.get_layer("shared").kernel.numpy())  # fmt: skip
    grads = jax.grad(lambda m: jnp.sum(m(x)[0] ** 2), allow_int=True)(model)
    eps = 1e-3
    bias = model.get_layer("shared").bias
    start, values = bias.numpy(), []
    for sign in (1, -1):
        bias.assign(start + sign * eps)
        values.append(float(jnp.sum(model(x)[0] ** 2)))
    bias.assign(start)
    numeric = (values[0] - values[1]) / (2 * eps)
    got = float(jnp.sum(grads.get_layer("shared").bias.value))
    np.testing.assert_allclose(got, numeric, rtol=2e-2, atol=1e-2)


def test_part_of_a_model_is_a_model():
    model = branching(keras)
    features = keras.Model(model.inputs, model.get_layer("cat").output)
    out = features([np.ones((2, 4)), np.ones((2, 3))])
    assert out.shape == (2, 10)
    assert features.get_layer("shared") is model.get_layer("shared")
    middle = keras.Model(model.get_layer("cat").output, model.outputs[0])
    assert middle(np.ones((2, 10))).shape == (2, 1)


def test_graph_errors():
    a, b = layers.Input((4,)), layers.Input((4,))
    with pytest.raises(ValueError, match="not among the inputs"):
        keras.Model(a, layers.Add()([a, b]))
    with pytest.raises(ValueError, match="symbolic tensors"):
        keras.Model(np.ones((2, 4)), a)
    same = [layers.Dense(2, name="x")(a), layers.Dense(2, name="x")(a)]
    with pytest.raises(ValueError, match="different names.*'x'"):
        keras.Model(a, same)
    model = keras.Model([a, b], layers.Add()([a, b]))
    with pytest.raises(ValueError, match=r"2 input\(s\)"):
        model(np.ones((2, 4)))
    with pytest.raises(ValueError, match="axis 1 of input shape to have value 4"):
        model([np.ones((2, 4)), np.ones((2, 5))])
    with pytest.raises(ValueError, match="No layer is named 'z'"):
        model.get_layer("z")


def test_sequential_builds_when_it_can():
    deferred = keras.Sequential([layers.Dense(4), layers.Dense(1)])
    assert not deferred.built and deferred.weights == []
    deferred(np.ones((2, 3)))
    assert deferred.built and deferred.input_shape == (None, 3)
    for first in (layers.Dense(4, input_shape=(3,)), layers.Dense(4, input_dim=3)):
        model = keras.Sequential([first, layers.Dense(1)])
        assert model.built and model.output_shape == (None, 1)
        assert [x.name for x in model.layers] == [first.name, model.layers[1].name]
    model = keras.Sequential()
    model.add(layers.Input((3,)))
    model.add(layers.Dense(4))
    model.add(layers.Dense(2))
    assert model.output_shape == (None, 2)
    assert model.pop().units == 2 and model.output_shape == (None, 4)
    built = keras.Sequential([layers.Dense(4)])
    built.build((None, 3))
    assert built.count_params() == 16
    deferred.compile(loss="mse", optimizer="sgd")
    fresh = keras.Sequential([layers.Dense(4), layers.Dense(1)])
    fresh.compile(loss="mse", optimizer="sgd")
    fresh.fit(np.ones((4, 3)), np.ones((4, 1)), verbose=0)
    assert fresh.count_params() == 21


def test_automatic_names_count_how_often_a_sequential_was_built():
    keras.utils.clear_session()
    model = keras.Sequential()
    for layer in (layers.Input((3,)), layers.Dense(4), layers.Dense(2)):
        model.add(layer)
    model.pop()
    x = keras.Input((3,))
    assert keras.Model(x, x + 1).name == "functional_3"  # as in Keras


def test_the_output_of_a_sequential_is_that_of_its_first_call_as_in_keras():
    for k in (oracle, keras):
        base = k.Sequential([k.Input((3,)), k.layers.Dense(2)])
        left, right = k.Input((3,)), k.Input((3,))
        outputs = base(left), base(right)
        assert (base.input is left, base.output is outputs[0]) == (True, True)
        assert (base.inputs[0] is left, base.outputs[0] is outputs[0]) == (False, False)
        features = k.Model([left, right], base.output)
        assert features.predict([np.ones((1, 3)), np.ones((1, 3))], verbose=0).shape == (1, 2)
        assert (base.input_shape, base.output_shape) == ((None, 3), (None, 2))
    alone = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    assert alone.output is alone.outputs[0]


def test_sequential_errors():
    with pytest.raises(ValueError, match="Only instances"):
        keras.Sequential([3])
    with pytest.raises(ValueError, match="unique names"):
        keras.Sequential([layers.Dense(1, name="d"), layers.Dense(1, name="d")])
    model = keras.Sequential([layers.Input((3,)), layers.Dense(1)])
    with pytest.raises(ValueError, match="axis -1 of input shape to have value 3.*\\(2, 4\\)"):
        model(np.ones((2, 4)))
    with pytest.raises(AttributeError, match="`Model.layers` attribute is reserved"):
        model.layers = []


def repeated(k):
    block = k.Sequential([k.layers.Dense(3, activation="tanh", name="inner")], name="block")
    dense = k.layers.Dense(3, name="dense")
    stack = [k.layers.Input((3,)), block, dense, block, k.layers.Dense(3, name="other"), block]
    return k.Sequential([*stack, dense, k.layers.Dense(1, name="last")], name="repeated")


def test_a_layer_several_times_in_a_sequential_counts_once():
    mine, theirs = repeated(keras), repeated(oracle)
    assert [x.name for x in mine.layers] == [x.name for x in theirs.layers]
    assert [v.shape for v in mine.weights] == [tuple(v.shape) for v in theirs.weights]
    assert mine.count_params() == theirs.count_params() == 3 * 12 + 4
    mine.set_weights(theirs.get_weights())
    x = np.linspace(-1, 1, 12).reshape(4, 3).astype("float32")
    np.testing.assert_allclose(mine.predict(x, verbose=0), theirs.predict(x, verbose=0), rtol=1e-5)
    for model, k in ((mine, keras), (theirs, oracle)):
        model.compile(optimizer=k.optimizers.SGD(0.1), loss="mse")
        model.fit(x, x[:, :1], epochs=2, shuffle=False, verbose=0)
    for a, b in zip(mine.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "name", ["m.keras", "m.h5", "m.weights.h5", "json", "clone", "from_config"]
)
def test_a_repeated_layer_is_one_layer_in_every_copy(tmp_path, name):
    model, x = repeated(keras), np.ones((2, 3), "float32")
    if name == "json":
        again = keras.models.model_from_json(model.to_json())
    elif name == "clone":
        again = keras.models.clone_model(model)
    elif name == "from_config":
        again = keras.Sequential.from_config(model.get_config())
    elif name == "m.weights.h5":
        again = repeated(keras)
        model.save_weights(tmp_path / name)
        again.load_weights(tmp_path / name)
    else:
        model.save(tmp_path / name)
        again = keras.models.load_model(tmp_path / name)
    assert again.layers[0] is again.layers[2] is again.layers[4]
    assert again.layers[1] is again.layers[5] and len(again.weights) == len(model.weights) == 8
    if not name.startswith("m."):
        again.set_weights(model.get_weights())
    np.testing.assert_allclose(again(x), model(x), rtol=1e-6)


def test_summary_of_a_repeated_layer_has_a_row_for_each_place():
    pool = layers.MaxPooling2D(name="pool")
    model = keras.Sequential([layers.Input((8, 8, 1)), pool, layers.Conv2D(2, 1), pool])
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    rows = [line for line in "".join(lines).splitlines() if "pool" in line]
    assert ["(None, 4, 4, 1)" in rows[0], "(None, 2, 2, 2)" in rows[1]] == [True, True]
    repeated(keras).summary(print_fn=lines.append)
    assert "Total params: 40" in lines[-1]


def test_sequential_config_round_trip():
    model = keras.Sequential(
        [layers.Input((3,)), layers.Dense(4, activation="relu"), layers.Dense(1)], name="s"
    )
    again = keras.Sequential.from_config(model.get_config())
    assert again.name == "s" and again.count_params() == model.count_params()
    assert [x.get_config() for x in again.layers] == [x.get_config() for x in model.layers]
    from_json = keras.models.model_from_json(model.to_json())
    assert from_json.count_params() == model.count_params()


class Residual(layers.Layer):
    def __init__(self, n_layers, n_neurons, **kwargs):
        super().__init__(**kwargs)
        self.hidden = [layers.Dense(n_neurons, activation="elu") for _ in range(n_layers)]

    def call(self, inputs):
        z = inputs
        for layer in self.hidden:
            z = layer(z)
        return inputs + z


class Regressor(keras.Model):
    def __init__(self, output_dim, **kwargs):
        super().__init__(**kwargs)
        self.hidden1 = layers.Dense(30, activation="elu")
        self.block1 = Residual(2, 30)
        self.block2 = Residual(2, 30)
        self.out = layers.Dense(output_dim)

    def call(self, inputs):
        z = self.hidden1(inputs)
        for _ in range(1 + 3):
            z = self.block1(z)
        return self.out(self.block2(z))


def test_subclassed_model_counts_a_reused_block_once():
    model = Regressor(1)
    model.compile(loss="mse", optimizer="nadam")
    x = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
    losses = model.fit(x, x[:, :1], epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert model.count_params() == 8 * 30 + 30 + 4 * (900 + 30) + 31
    again = Regressor.from_config(model.get_config())
    again.build((None, 8))
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(again(x), model(x), rtol=1e-6)


def test_layers_left_out_of_the_constructor_are_found():
    model = Regressor(1)
    inputs = layers.Input((8,))
    outer = keras.Model(inputs, layers.Dense(1)(model(inputs)))
    assert outer.count_params() == model.count_params() + 2
    assert len(outer.weights) == len({id(v) for v in outer.weights})


def test_summary(capsys):
    branching(keras).summary()
    out = capsys.readouterr().out
    for text in ("shared (Dense)", "(None, 10)", "Connected to", "a[0][0]", "Total params: 118"):
        assert text in out, text
    lines = []
    model = keras.Sequential([layers.Input((3,)), layers.Dense(2)], name="tiny")
    model.compile(loss="mse", optimizer="adam")
    model.fit(np.ones((2, 3)), np.ones((2, 2)), verbose=0)
    model.summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert 'Model: "tiny"' in text and "Trainable params: 8 (32.00 B)" in text
    assert "Optimizer params: 18" in text and "Connected" not in text


def test_names_of_weights():
    model = keras.Sequential([layers.Input((3,)), layers.Dense(2, name="d")], name="m")
    assert [v.path for v in model.weights] == ["m/d/kernel", "m/d/bias"]
    with pytest.raises(ValueError, match="2 weights; 1 arrays"):
        model.set_weights([np.ones((3, 2))])
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"'m/d/bias'.*\(2,\).*\(5,\)"):
        model.set_weights([np.zeros((3, 2)), np.ones(5)])
    np.testing.assert_array_equal(before[0], model.get_weights()[0])


def test_shapes_of_inputs_and_outputs_equal_keras():
    def shapes(k, structure):
        x = {"a": k.layers.Input((3,), name="a"), "b": k.layers.Input((4,), name="b")}
        model = k.Model(structure(x), structure({n: t * 2.0 for n, t in x.items()}))
        return model.input_shape, model.output_shape

    for structure in (
        lambda x: [x["a"]],
        lambda x: {"a": x["a"]},
        lambda x: [x["a"], x["b"]],
        lambda x: x,
    ):
        assert shapes(keras, structure) == shapes(oracle, structure)


def test_clone_model():
    for make in (
        lambda: branching(keras),
        lambda: keras.Sequential([layers.Input((3,)), layers.Dense(2), layers.Dense(1)]),
        lambda: Regressor(1),
    ):
        model = make()
        twin = keras.models.clone_model(model)
        assert type(twin) is type(model) and twin.name == model.name
        assert not {id(x) for x in twin.layers} & {id(x) for x in model.layers}
        if model.built:
            assert [v.path for v in twin.weights] == [v.path for v in model.weights]
            shapes = jax.tree.map(lambda s: (2, *s[1:]), model.input_shape, is_leaf=_is_shape)
            x = [np.ones(s) for s in shapes] if isinstance(shapes, list) else np.ones(shapes)
            twin.set_weights(model.get_weights())
            for a, b in zip(jax.tree.leaves(twin(x)), jax.tree.leaves(model(x)), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-6)


def _is_shape(value):
    return isinstance(value, tuple)


def test_the_clone_of_a_sequential_has_its_input():  # as in Keras
    inputs = layers.Input((3,), batch_size=2, dtype="int32", name="tokens")
    clone = keras.models.clone_model(keras.Sequential([inputs, layers.Embedding(5, 2)]))
    assert clone.get_config()["layers"][0]["config"]["name"] == clone.inputs[0].name == "tokens"
    assert clone.input_shape == (2, 3) and clone.inputs[0].dtype == "int32"


def test_clone_model_with_functions_of_ones_own():
    def wider(layer):
        config = layer.get_config()
        if isinstance(layer, layers.Dense) and layer.name == "right":
            config["activation"] = "tanh"
        return type(layer).from_config(config)

    calls = []
    twin = keras.models.clone_model(
        branching(keras),
        clone_function=wider,
        call_function=lambda layer, *a, **k: calls.append(layer.name) or layer(*a, **k),
    )
    assert twin.get_layer("right").activation is keras.activations.tanh
    assert calls.count("shared") == 2
    with pytest.raises(ValueError, match="subclass without a graph"):
        keras.models.clone_model(Regressor(1), clone_function=wider)


def test_a_layer_that_nested_models_share_is_cloned_once():
    x, shared = keras.Input((4,)), layers.Dense(4, name="shared")
    inner = keras.Sequential([keras.Input((4,)), shared, layers.Dense(2)], trainable=False)
    model = keras.Model(x, inner(shared(x)))
    twin = keras.models.clone_model(model, recursive=True)
    within = next(layer for layer in twin.layers if layer.name == inner.name)
    assert within.layers[0] is twin.get_layer("shared") is not shared
    assert not within.trainable and len(twin.weights) == 4
    with pytest.raises(ValueError, match="call_function"):
        keras.models.clone_model(inner, call_function=lambda layer, x: layer(x))


def test_classes_that_are_constructed_from_inputs_and_outputs(tmp_path):
    """They are graphs in files, and clones are of them."""

    class Passing(keras.Model):
        def __init__(self, *args, size=None, **kwargs):
            super().__init__(*args, **kwargs)
            self.noted = keras.metrics.Mean(name="noted")

    class Naming(keras.Model):
        def __init__(self, inputs, outputs, name=None):
            super().__init__(inputs, outputs, name=name)

    class Plain(keras.Model):
        pass

    x = keras.Input((4,))
    for cls in (Passing, Naming, Plain):
        model = cls(x, layers.Dense(2)(x), name="of_graph")
        file = tmp_path / f"{cls.__name__}.keras"
        model.save(file)
        loaded = keras.saving.load_model(file, custom_objects={cls.__name__: cls})
        assert type(loaded) is type(keras.models.clone_model(model)) is cls
        np.testing.assert_array_equal(loaded(np.ones((1, 4))), model(np.ones((1, 4))))


def test_a_clone_has_the_functions_themselves():
    factor = np.float32(3.0)
    softplus = lambda z: keras.ops.log(keras.ops.exp(z) + 1)  # noqa: E731
    model = keras.Sequential(
        [
            keras.layers.Input((2,)),
            keras.layers.Dense(2, softplus, kernel_initializer="ones"),
            keras.layers.Lambda(lambda x: factor * x),
        ]
    )
    twin = keras.models.clone_model(model)
    assert twin.layers[0].activation is softplus and twin.layers[0] is not model.layers[0]
    x = np.ones((1, 2), "float32")
    np.testing.assert_array_equal(twin(x), model(x))


@pytest.mark.parametrize("config", [{"layers": []}, {"name": "s"}, []])
def test_a_sequential_config_has_a_name_and_layers(config):
    with pytest.raises(ValueError, match="'name' and 'layers'"):
        keras.Sequential.from_config(config)


def test_entries_of_a_sequential_config_without_a_name():
    """They are layers of their own, whatever others are called."""
    dense = {"class_name": "Dense", "module": "keras.layers"}
    entries = [{**dense, "config": {"units": n, "name": name}} for n, name in [(2, ""), (3, "x")]]
    entries += [{**dense, "config": {"units": n}} for n in (4, 5)]
    model = keras.Sequential.from_config({"name": "s", "layers": [*entries, entries[0]]})
    assert [layer.units for layer in model.layers] == [2, 3, 4, 5, 2]
    assert model.layers[0] is model.layers[4]


def test_summary_of_a_range_of_layers_with_columns_at_positions():
    model = keras.Sequential([keras.Input((3,)), *(layers.Dense(2, name=n) for n in "abcd")])
    lines = []
    model.summary(print_fn=lines.append, layer_range=["b", "c"])
    shown = [name for name in "abcd" if f" {name} (Dense)" in lines[0]]
    assert shown == ["b", "c"]
    with pytest.raises(ValueError, match="positions must be 3 growing numbers"):
        model.summary(print_fn=lines.append, positions=[0.5, 0.51, 1.0])


def test_summaries_are_keras_s():
    def summaries(k):
        inputs = k.Input((3,), name="i")
        long = k.layers.Dense(3, name="a_name_that_takes_more_than_one_line_of_a_column")(inputs)
        sequence, state = k.layers.GRU(3, return_state=True, name="g")(
            s := k.Input((5, 2), name="s")
        )
        both = k.layers.Add(name="add")([long, k.ops.relu(inputs)])
        unbuilt = k.Sequential([k.layers.Dense(4, name="d"), k.layers.Dropout(0.1, name="o")])
        nested = k.Sequential([k.Input((3,)), k.Model(inputs, long, name="inner")], name="n")
        chosen = {"line_length": 60, "positions": [0.5, 0.75, 1.0]}
        for model, given in (
            (k.Model(inputs, long, name="chain"), {"show_trainable": True}),
            (k.Model(inputs, both, name="branches"), {}),
            (k.Model(s, [sequence, state], name="lists"), chosen),
            (nested, {"expand_nested": True}),
        ):
            model.summary(print_fn=lines.append, **given)
        unbuilt.summary(print_fn=lines.append)
        looked_up = k.Sequential([k.layers.Embedding(9, 4), k.layers.Dense(4)])
        looked_up.summary(print_fn=lines.append)
        assert not any(layer.built for layer in looked_up.layers)
        return (
            lines[-2].count("?"),
            lines[-1].count("0 (unbuilt)"),
            [repr(x) for x in (inputs, unbuilt.layers[0], nested)],
        )

    lines: list[str] = []
    keras.utils.clear_session()  # automatic names begin anew
    oracle.utils.clear_session()
    assert summaries(keras) == summaries(oracle)
    named = re.compile(r"sequential\w*")
    ours, theirs = lines[: len(lines) // 2], lines[len(lines) // 2 :]
    for one, other in zip(ours, theirs, strict=True):
        assert named.sub("", one) == named.sub("", other)


def test_a_graph_of_a_thousand_layers_is_built_saved_loaded_and_summarized(tmp_path):
    x = inputs = keras.Input((2,))
    for _ in range(1100):
        x = layers.Activation("relu")(x)
    model = keras.Model(inputs, layers.Dense(1)(x))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    lines = []
    loaded.summary(print_fn=lines.append)
    assert [x.name for x in loaded.layers] == [x.name for x in model.layers]
    assert "activation_1099" in "\n".join(lines)
    assert len(keras.models.clone_model(model).layers) == 1102


def test_layers_built_alike_have_shapes_of_their_own():
    def shapes(**options):
        layer = keras.layers.Conv1D(3, 2, **options)
        return layer(keras.Input((8, 2))).shape, layer(keras.Input((None, 2))).shape

    for _ in range(2):
        assert shapes() == ((None, 7, 3), (None, None, 3))
        assert shapes(strides=2) == ((None, 4, 3), (None, None, 3))
        assert shapes(padding="same") == ((None, 8, 3), (None, None, 3))
        assert shapes(strides=True) == ((None, 7, 3), (None, None, 3))
    embedded = [keras.layers.Embedding(5, 2, mask_zero=m)(keras.Input((4,))) for m in (1, 1, 0)]
    masks = [e._keras_mask for e in embedded]
    assert masks[0] is not masks[1] and masks[0].shape == (None, 4) and masks[2] is None
    one, other = (keras.layers.Dense(2, dtype=d)(keras.Input((4,))) for d in ("float16", "float32"))
    assert (one.dtype, other.dtype) == ("float16", "float32")


def test_a_summary_shows_only_the_calls_in_its_own_graph():
    i = layers.Input((3,), name="i")
    shared = layers.Dense(3, name="shared")
    inner = keras.Model(i, shared(i), name="inner")
    lines: list[str] = []
    keras.Model(i, shared(inner(i)) + 1).summary(print_fn=lines.append, line_length=100)
    rows = [line for line in "\n".join(lines).splitlines() if "shared (Dense)" in line]
    assert len(rows) == 1 and "inner[0][0]" in rows[0] and "i[0][0]" not in rows[0]


# -- pickles of objects whose classes pickle does not find by their names --------------------


def nested_classes(k):
    @k.saving.register_keras_serializable("nested")
    class Scale(k.layers.Layer):
        def build(self, shape):
            self.factor = self.add_weight(shape=shape[-1:], initializer=Small(), name="factor")

        def call(self, x):
            return x * self.factor

    @k.saving.register_keras_serializable("nested", "little")
    class Small(k.initializers.Initializer):
        def __call__(self, shape, dtype=None):
            return k.ops.full(shape, 0.25, dtype)

    @k.saving.register_keras_serializable("nested")
    class Cubed(k.losses.Loss):
        def call(self, y_true, y_pred):
            return k.ops.mean(k.ops.abs(y_true - y_pred) ** 3, axis=-1)

    class Net(k.Model):
        def __init__(self, units=2, **kwargs):
            super().__init__(**kwargs)
            self.units, self.scale, self.last = units, Scale(), k.layers.Dense(units)

        def call(self, x):
            return self.last(self.scale(x))

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    return Net, Cubed


def check_pickle(k, model, scope):
    x, y = np.ones((4, 2), "float32"), np.ones((4, 3), "float32")
    model.fit(x, y, verbose=0)
    data = pickle.dumps(model)
    with k.saving.custom_object_scope(scope):
        other = pickle.loads(data)
    assert type(other) is type(model) and type(other.loss) is type(model.loss)
    np.testing.assert_array_equal(np.asarray(model(x)), np.asarray(other(x)))
    model.fit(x, y, verbose=0)
    other.fit(x, y, verbose=0)
    np.testing.assert_allclose(np.asarray(model(x)), np.asarray(other(x)), atol=1e-6)


@pytest.mark.parametrize("k", [oracle, keras], ids=["keras", "keraslike"])
def test_pickles_of_nested_classes(k):
    Net, Cubed = nested_classes(k)
    model = k.Sequential([k.Input((2,)), Net(3).scale, k.layers.Dense(3)])
    model.compile("adam", Cubed())
    check_pickle(k, model, {})


def test_a_pickle_of_a_nested_class_that_is_not_registered_needs_it_in_scope():
    Net, Cubed = nested_classes(keras)
    model = Net(3)
    model.compile("adam", Cubed())
    check_pickle(keras, model, {"Net": Net})
    with pytest.raises(TypeError, match="Net.*custom_object_scope"):
        pickle.loads(pickle.dumps(model))


def test_copies_of_objects_of_nested_classes_need_no_name():
    Net, _ = nested_classes(keras)
    model = Net(3)
    for other in (copy.copy(model), copy.deepcopy(model)):
        assert type(other) is Net and other.units == 3
