"""Structures and sizes of a model's inputs and outputs."""

import warnings
from collections import namedtuple

import keras as oracle
import numpy as np
import pytest

import keraslike as keras
from keraslike import layers

pytestmark = pytest.mark.slow


def ones(*shape):
    return np.ones(shape, "float32")


def test_batch_size_is_not_enforced():
    i = layers.Input((2,), batch_size=3)
    functional = keras.Model(i, layers.Dense(1)(i))
    sequential = keras.Sequential([layers.Input((2,), batch_size=3), layers.Dense(1)])
    for model in (functional, sequential):
        assert model.input_shape == (3, 2)
        assert model(ones(2, 2)).shape == (2, 1)
        assert model.predict(ones(7, 2), verbose=0).shape == (7, 1)


def test_other_sizes_of_a_functional_model_are_enforced():
    i = layers.Input((4, 3))
    with pytest.raises(ValueError, match=r"expected shape=\(None, 4, 3\), found shape=\(2, 5, 3\)"):
        keras.Model(i, layers.Dense(1)(i))(ones(2, 5, 3))


def test_sequential_takes_what_its_weights_take():
    rnn = keras.Sequential([layers.GRU(3, return_sequences=True), layers.Dense(1)])
    assert [rnn(ones(2, n, 3)).shape for n in (5, 9)] == [(2, 5, 1), (2, 9, 1)]
    with pytest.raises(ValueError, match="axis -1 of input shape to have value 3"):
        rnn(ones(2, 9, 4))
    with pytest.raises(ValueError, match="ndim=3"):
        rnn(ones(2, 9))
    conv = keras.Sequential([layers.Conv2D(3, 3), layers.GlobalAveragePooling2D()])
    assert [conv(ones(2, n, n, 3)).shape for n in (8, 12)] == [(2, 3), (2, 3)]
    flat = keras.Sequential([layers.Flatten(), layers.Dense(1)])
    assert flat(ones(3, 2, 3)).shape == flat(ones(3, 6, 1)).shape == (3, 1)
    with pytest.raises(ValueError, match="value 6"):
        flat(ones(3, 2, 4))


def test_sequential_trains_on_batches_of_any_length(tmp_path):
    def batches():
        for n in (5, 7, 9):
            yield np.ones((2, n), "int32"), ones(2, 1)

    model = keras.Sequential([layers.Embedding(10, 4), layers.GRU(3), layers.Dense(1)])
    model.compile("sgd", "mse")
    assert len(model.fit(batches(), verbose=0).history["loss"]) == 1
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    x = np.ones((2, 12), "int32")
    np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-6)


def test_sequential_keeps_token_ids_whole_in_mixed_precision():
    model = keras.Sequential([layers.Embedding(1000, 2, dtype="mixed_bfloat16")])
    ids = np.array([[999]])
    np.testing.assert_allclose(
        np.asarray(model(ids)[0, 0], "float32"), model.layers[0].embeddings[999], rtol=1e-2
    )


def test_inputs_are_cast_to_the_dtypes_declared():
    a, b = layers.Input((2,), dtype="float16"), layers.Input((2,), dtype="int32")
    model = keras.Model((a, b), (a + 2, b + 2))
    outputs = model((np.ones((2, 2)), np.ones((2, 2))))
    assert [str(x.dtype) for x in outputs] == ["float16", "int32"]
    half = keras.Model(a, a, name="half")
    assert half(layers.Input((2,), dtype="float32")).dtype == "float16"


def test_declared_dtype_counts_more_than_the_policy():
    with_ids = layers.Input((1,), dtype="int32")
    embedding = layers.Embedding(1000, 2)
    model = keras.Model(with_ids, embedding(with_ids))
    model.dtype_policy = "mixed_bfloat16"
    np.testing.assert_array_equal(model(np.array([[999.0]]))[0, 0], embedding.embeddings[999])


def test_nested_dicts():
    a, b, c = layers.Input((1,), name="a"), layers.Input((2,)), layers.Input((3,))
    model = keras.Model(
        {"1": a, "o": {"2": b, "3": c}},
        {"1": layers.Dense(1)(a), "o": {"2": layers.Dense(2)(b), "3": layers.Dense(3)(c)}},
    )
    x = {"1": ones(2, 1), "o": {"2": ones(2, 2), "3": ones(2, 3)}}
    for made in (model, keras.Model.from_config(model.get_config())):
        y = made(x)
        assert y["1"].shape == (2, 1) and y["o"]["2"].shape == (2, 2)
        assert y["o"]["3"].shape == (2, 3)
    assert model.predict(x, verbose=0)["o"]["3"].shape == (2, 3)
    with pytest.raises(ValueError, match=r"lacks \['1'\].*'one'"):
        model({"one": ones(2, 1), "o": x["o"]})
    with pytest.raises(ValueError, match="lacks"):
        model({"1": ones(2, 1), "o": {"2": ones(2, 2)}})


def test_a_dict_of_outputs_keeps_its_order():
    i = layers.Input((2,))
    model = keras.Model(i, {"b": layers.Dense(1)(i), "a": layers.Dense(3)(i)})
    for given in (ones(1, 2), i):
        assert [(name, y.shape[-1]) for name, y in model(given).items()] == [("b", 1), ("a", 3)]


def test_a_dict_out_of_order_is_not_guessed_from_a_list():
    x, y = layers.Input((1,), name="x"), layers.Input((1,), name="w")
    model = keras.Model({"x": x, "w": y}, x - y)
    with pytest.raises(ValueError, match="takes a dict"):
        model([ones(1, 1), 0 * ones(1, 1)])
    with pytest.warns(UserWarning, match=r"also given \['z'\]"):
        assert float(model({"w": 0 * ones(1, 1), "x": ones(1, 1), "z": ones(1, 1)})[0, 0]) == 1


def test_lists_around_single_tensors():
    i, j = layers.Input((4,)), layers.Input((4,))
    two = keras.Model([i, j], [i * 2, j * 3])
    assert [o.shape for o in two(([ones(2, 4)], ones(2, 4)))] == [(2, 4), (2, 4)]
    for outputs in (i * 2, [i * 2], (i * 2,)):
        one = keras.Model([i], outputs)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert one(ones(1, 4)).shape == one([ones(1, 4)]).shape == (1, 4)
        assert one(i).shape == (None, 4) and one.predict(ones(3, 4), verbose=0).shape == (3, 4)
        one.compile("sgd", ["mse"])
        one.fit([ones(3, 4)], [ones(3, 4)], verbose=0)
        again = keras.Model.from_config(one.get_config())
        assert again(ones(1, 4)).shape == (1, 4)


Pair = namedtuple("Pair", ["p", "q"])


def test_named_tuples():
    a, b = layers.Input((2,), name="a"), layers.Input((2,), name="b")
    model = keras.Model(Pair(a, b), Pair(a * 2, b * 3))
    outputs = model(Pair(ones(1, 2), np.ones((1, 2))))
    assert type(outputs) is Pair and float(outputs.q[0, 0]) == 3.0
    assert type(model(Pair(a, b))) is Pair
    assert type(model.predict(Pair(ones(3, 2), ones(3, 2)), verbose=0)) is Pair

    class Sum(layers.Layer):
        def call(self, pair):
            return Pair(pair.p + pair.q, pair.q)

    assert type(Sum()(Pair(a, b))) is Pair
    assert float(Sum()(Pair(ones(1, 2), ones(1, 2))).p[0, 0]) == 2.0


def test_containers_after_from_config(tmp_path):
    a, b = layers.Input((2,), name="a"), layers.Input((2,), name="b")
    model = keras.Model((a, b), (a * 2, [b * 3]))
    again = keras.Model.from_config(model.get_config())
    y = again([ones(1, 2), ones(1, 2)])
    assert type(y) is tuple and type(y[1]) is list
    model.save(tmp_path / "m.keras")  # where all are lists, as in Keras's files
    y = keras.models.load_model(tmp_path / "m.keras")([ones(1, 2), ones(1, 2)])
    assert float(y[1][0][0, 0]) == 3.0


class Passes(layers.Layer):
    def call(self, x):
        return x


def test_sequential_of_lists_and_dicts(tmp_path):
    assert set(keras.Sequential([Passes()])({"a": ones(3, 2), "b": ones(3, 2)})) == {"a", "b"}
    assert len(keras.Sequential([Passes()])([ones(3, 2), ones(3, 2)])) == 2
    merging = keras.Sequential([layers.Concatenate(), layers.Dense(1)])
    x = [ones(4, 2), ones(4, 3)]
    assert merging(x).shape == (4, 1) and merging.count_params() == 6
    assert merging.input_shape == [(None, 2), (None, 3)]
    merging.compile("sgd", "mse")
    merging.fit(x, ones(4, 1), verbose=0)
    merging.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(again.predict(x, verbose=0), merging(x), rtol=1e-6)
    with pytest.raises(ValueError, match="value 5"):
        merging([ones(4, 2), ones(4, 2)])


def test_keras_reads_a_sequential_of_a_list(tmp_path):
    import keras as oracle

    model = keras.Sequential([layers.Concatenate(), layers.Dense(1)])
    x = [ones(4, 2), ones(4, 3)]
    y = model(x)
    model.save(tmp_path / "m.keras")
    np.testing.assert_allclose(oracle.saving.load_model(tmp_path / "m.keras")(x), y, rtol=1e-6)


def test_sequential_that_begins_with_a_built_model_is_built():
    i = layers.Input((4, 4, 3))
    features = keras.Model(i, layers.Conv2D(4, 3)(i))
    model = keras.Sequential([features, layers.Flatten(), layers.Dense(1)])
    assert model.built and model.count_params() == 129 and all(x.built for x in model.layers)


def test_sequential_of_a_layer_that_knows_no_shapes():
    class Silent(Passes):
        def compute_output_spec(self, *args, **kwargs):
            raise NotImplementedError

    model = keras.Sequential([Silent(), layers.Dense(2, kernel_initializer="ones")])
    np.testing.assert_array_equal(model(ones(3, 2)), np.full((3, 2), 2.0))


def test_layers_without_weights_are_built_once_made():
    assert layers.Dropout(0.1).built and layers.Reshape((1,)).built and layers.MaxPooling2D().built
    # These are built by their first call, although they have no weights.
    for layer in (layers.Flatten(), layers.Rescaling(2.0), layers.RandomFlip()):
        assert not layer.built and layer.get_build_config() is None
        layer(ones(2, 4, 4, 3))
        assert layer.built and layer.get_build_config() == {"input_shape": (2, 4, 4, 3)}
    assert not layers.Dense(1).built and not layers.BatchNormalization().built

    class Scaled(layers.Dropout):
        def build(self, input_shape):
            self.scale = self.add_weight(shape=(), initializer="ones")

    layer = Scaled(0.1)
    assert not layer.built
    layer(ones(1, 2))
    assert len(layer.weights) == 1


class Stacked(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = layers.Dense(2)

    def call(self, x):
        return self.inner(x)


@pytest.mark.parametrize("make", [lambda: layers.Dense(2), lambda: keras.Variable(1.0)])
@pytest.mark.parametrize("kind", [Stacked, lambda: layers.Dense(2)])
def test_state_added_after_build_is_an_error(kind, make):
    layer = kind()
    layer.before = make()
    layer(ones(1, 3))
    for value in (make(), [make()], {"a": make()}):
        with pytest.raises(ValueError, match=r"cannot add new elements.*'extra'"):
            layer.extra = value
    with pytest.raises(ValueError, match="cannot add new elements of state"):
        layer.add_weight(shape=(2,))
    layer.note = "a note"
    assert not hasattr(layer, "extra")


def test_layers_made_in_the_first_call_stay_allowed():
    """Keras refuses them; here they are found, trained and saved as any others."""

    class Late(layers.Layer):
        def call(self, x):
            if not hasattr(self, "inner"):
                self.inner = layers.Dense(2)
            return self.inner(x)

    layer = Late()
    layer(ones(1, 3))
    assert len(layer.weights) == 2


@pytest.mark.parametrize("value", [True, 1, 1.5, "yes", len, [1.0, 2.0]])
def test_positional_arguments_are_tensors(value):
    class Flagged(layers.Layer):
        def call(self, x, flag=None):
            return x

    with pytest.raises(ValueError, match="Only input tensors may be passed as positional"):
        Flagged()(ones(1, 2), value)
    with pytest.raises(ValueError, match="Only input tensors may be passed as positional"):
        Flagged()(layers.Input((2,)), value)
    assert Flagged()(ones(1, 2), None).shape == Flagged()(ones(1, 2), flag=value).shape == (1, 2)


@pytest.mark.parametrize("value", ["no", None, 1.5])
def test_trainable_is_a_truth_value(value):
    with pytest.raises(ValueError, match="trainable.* True or False"):
        layers.Dense(2, trainable=value)
    layer = layers.Dense(2)
    with pytest.raises(ValueError, match="trainable.* True or False"):
        layer.trainable = value
    assert layer.trainable is True


@pytest.mark.parametrize("argument", ["loss", "custom_loss"])
def test_a_compile_of_ones_own_is_not_called_by_loading(tmp_path, argument):
    class Own(keras.Sequential):
        def compile(self, optimizer, **kwargs):
            super().compile(optimizer, kwargs[argument])

    model = Own([layers.Input((3,)), layers.Dense(1)])
    model.compile("sgd", **{argument: "mae"})
    model.save(tmp_path / "m.keras")
    with pytest.warns(UserWarning, match=r"`compile\(\)` method is custom.*Own"):
        again = keras.models.load_model(tmp_path / "m.keras", custom_objects={"Own": Own})
    assert not again.compiled
    np.testing.assert_array_equal(again(ones(1, 3)), model(ones(1, 3)))


def test_clones_have_the_structure_and_the_compile_of_the_model():
    x, w = layers.Input((3,), name="x"), layers.Input((3,), name="w")
    model = keras.Model({"x": x, "w": w}, {"z": x - w})
    model.compile("adam", lambda y, p: keras.ops.mean((y - p) ** 2), metrics=["mae"])
    clone = keras.models.clone_model(model)
    assert clone.compiled and type(clone.optimizer).__name__ == "Adam"
    assert clone.optimizer is not model.optimizer and callable(clone.loss)
    found = clone({"x": 3 * ones(1, 3), "w": ones(1, 3)})
    assert float(found["z"][0, 0]) == 2.0
    with pytest.raises(ValueError, match="same structure as model.input"):
        keras.models.clone_model(model, input_tensors=(x, w))
    assert not keras.models.clone_model(keras.Sequential([layers.Dense(1)])).compiled


def test_a_clone_takes_inputs_of_other_sizes():
    x = layers.Input((4, 4, 3))
    model = keras.Model(x, layers.Conv2D(2, 1)(x))
    clone = keras.models.clone_model(model, layers.Input((10, 9, 3)))
    assert clone.output_shape == (None, 10, 9, 2)


def test_a_call_of_ones_own_counts_more_than_the_graph():
    class Twice(keras.Model):
        def call(self, x):
            y = super().call(x)
            return [y, y]

    i = layers.Input((3,))
    model = Twice(i, layers.Dense(2)(i))
    outputs = model(layers.Input((3,)))
    assert [y.shape for y in outputs] == [(None, 2), (None, 2)]
    model.compile("sgd", ["mse", "mse"])
    model.fit(ones(2, 3), [ones(2, 2), ones(2, 2)], verbose=0)


def test_inputs_of_another_structure_are_told_of():
    """As Keras does: a list for a dict in the order of its keys, and what is too much."""
    a, b = layers.Input((2,), name="a"), layers.Input((2,), name="b")
    model = keras.Model({"a": a, "b": b}, a - b)
    said = "The structure of `inputs` doesn't match the expected structure"
    with pytest.warns(UserWarning, match=said) as told:
        y = model.predict([ones(2, 2), 3 * ones(2, 2)], verbose=0)
    assert (y == -2).all() and sum(said in str(w.message) for w in told) == 1
    with pytest.warns(UserWarning, match=f"{said}.*'c'"):
        model({"a": ones(2, 2), "b": ones(2, 2), "c": ones(2, 2)})
    with pytest.raises(
        ValueError, match=f"{said}.*lacks \\['x', 'y'\\]"
    ):  # names of inputs are no keys
        keras.Model({"x": a, "y": b}, a - b)({"a": ones(2, 2), "b": ones(2, 2)})
    model = keras.Model({"n": [a, {"m": b}]}, a - b)
    with pytest.warns(UserWarning, match=said):
        assert (model({"b": 3 * ones(2, 2), "a": ones(2, 2)}) == -2).all()
    with pytest.raises(ValueError, match=f"{said}.*lacks"):
        model({"a": ones(2, 2), "c": ones(2, 2)})


def test_a_model_of_a_class_of_ones_own_that_has_a_graph_is_a_functional_one():
    class Own(keras.Model):
        def __init__(self):
            x = layers.Input((2,))
            super().__init__(inputs=x, outputs=layers.Dense(1)(x))

    assert isinstance(Own(), keras.models.functional.Functional)
    assert not isinstance(
        keras.Sequential([layers.Input((2,))]), keras.models.functional.Functional
    )


def test_a_sequential_stays_built_as_layers_come_and_go():
    model = keras.Sequential([layers.Dense(4), layers.Dense(5)])
    with pytest.raises(ValueError, match="no layers"):
        keras.Sequential()(ones(3, 2))
    with pytest.raises(ValueError, match="already been configured.*4"):
        keras.Sequential([layers.Input((2,)), layers.Dense(1)]).build((None, 4))
    model(ones(3, 2))
    kernel = model.layers[0].kernel
    model.pop()
    assert model.built and model.output_shape == (None, 4) and len(model.weights) == 2
    model.add(layers.Dense(7))
    assert model.built and model.output_shape == (None, 7) and model.layers[0].kernel is kernel


def test_the_summary_of_a_subclass_shows_shapes():
    class Head(layers.Layer):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(10)

        def call(self, x):
            return {"head": self.dense(x)}

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.mha = layers.MultiHeadAttention(2, 2, output_shape=(4,))
            self.head, self.unused = Head(), layers.Dense(3)

        def call(self, x):
            return self.head(self.mha(x, x, x))

    model, text = Own(), []
    model(ones(1, 5, 2))
    model.summary(print_fn=text.append)
    assert "(1, 5, 4)" in text[0] and "(1, 5, 10)" in text[0] and "?" in text[0]


@pytest.mark.parametrize("library", [oracle, keras])
def test_an_output_with_a_shape_may_be_none(library):
    class Halves(library.layers.Layer):
        def compute_output_shape(self, shape):
            return [shape, shape]

        def call(self, x):
            return x / 2, None

    inputs = library.Input((3,))
    model = library.Model(inputs, Halves()(inputs)[0])
    np.testing.assert_array_equal(np.asarray(model(np.ones((2, 3)))), 0.5)


def test_a_model_of_inputs_and_outputs_ignores_unknown_arguments():
    x = layers.Input((2,))
    with pytest.warns(UserWarning, match="ignores the arguments {'batch': 3}"):
        model = keras.Model(x, layers.Dense(1)(x), batch=3, trainable=False)
    assert not model.trainable and not model.trainable_weights


def _frozen(how):
    dense = layers.Dense(2)
    if how == "constructed":
        return keras.Sequential([layers.Input((3,)), dense], trainable=False)
    model = keras.Sequential([layers.Input((3,)), dense])
    model.trainable = False
    if how == "one on":
        dense.trainable = True
    if how == "added":
        model.add(layers.Dense(2))
    return model


# Keras: the weights of the model, the marks of its layers, and the weights that a model around it
# trains beside two of its own.
@pytest.mark.parametrize(
    ("how", "marks", "around"),
    [
        ("constructed", [True], 4),
        ("set", [False], 2),
        ("one on", [True], 4),
        ("added", [False, True], 4),
    ],
)
def test_a_frozen_sequential_leaves_the_marks_of_its_layers(how, marks, around):
    model = _frozen(how)
    for made in (model, keras.Sequential.from_config(model.get_config())):
        x = layers.Input((3,))
        outer = keras.Model(x, layers.Dense(1)(made(x)))
        assert not made.trainable and made.trainable_weights == []
        assert [layer.trainable for layer in made.layers] == marks
        assert len(outer.trainable_weights) == around


# -- the order of keys ----------------------------------------------------------------------------


class Concatenates(keras.Model):
    """Reads its inputs by their order."""

    def __init__(self):
        super().__init__()
        self.scale = self.add_weight(shape=(2,), initializer="ones")

    def call(self, inputs):
        return keras.ops.concatenate(list(inputs.values()), axis=-1) * self.scale


class Scales(layers.Layer):
    def call(self, inputs):
        return [scale * x for scale, x in zip((1.0, 10.0), inputs.values())]


GIVEN = {"b": np.float32([[1], [2]]), "a": np.float32([[3], [4]])}


@pytest.mark.parametrize("eagerly", [False, True])
def test_models_get_dicts_in_the_order_of_their_keys(eagerly):
    model, y = Concatenates(), ones(2, 2)
    model.compile("sgd", "mse", run_eagerly=eagerly)
    expected = [[1, 3], [2, 4]]
    for outputs in (
        model(GIVEN),
        model(GIVEN),
        model.predict(GIVEN, verbose=0),
        model.predict({k: np.tile(v, (40, 1)) for k, v in GIVEN.items()}, verbose=0)[:2],
        model.predict_on_batch(GIVEN),
        model.predict(iter([GIVEN]), verbose=0),
    ):
        assert np.asarray(outputs).tolist() == expected
    reordered = {"a": GIVEN["a"], "b": GIVEN["b"]}
    for run in (model, model.predict_on_batch):
        assert np.asarray(run(reordered)).tolist() == [[3, 1], [4, 2]]
        assert np.asarray(run(GIVEN)).tolist() == expected
    assert model.evaluate(GIVEN, y, verbose=0) == model.test_on_batch(GIVEN, y) == 3.5
    weights = []
    for train in (
        lambda m: m.fit(GIVEN, y, verbose=0),
        lambda m: m.fit(iter([(GIVEN, y)]), verbose=0),
        lambda m: m.train_on_batch(GIVEN, y),
    ):
        model.set_weights([ones(2)])
        train(model)
        weights.append(model.get_weights()[0])
    # The gradients are the means of (y - x) x over the batch.
    np.testing.assert_allclose(weights, [1 - 0.01 * np.array([1.0, 9.0])] * 3, rtol=1e-6)


def test_layers_in_functional_models_get_dicts_in_the_order_of_their_keys():
    for library in (keras, oracle):
        inputs = {name: library.Input((1,)) for name in "ba"}
        if library is keras:
            outputs = Scales()(inputs)
        else:
            scales = type("Scales", (oracle.layers.Layer,), {"call": Scales.call})
            outputs = scales()(inputs)
        model = library.Model(inputs, outputs)
        for run in (model, lambda x: model.predict(x, verbose=0)):  # noqa: B023
            for given in (GIVEN, {"a": GIVEN["a"], "b": GIVEN["b"]}):
                found = [np.asarray(x).tolist() for x in run(given)]
                assert found == [[[1.0], [2.0]], [[30.0], [40.0]]]


def test_control_flow_keeps_the_order_of_keys():
    ops = keras.ops

    def first(given):
        return next(iter(given.values()))

    loops = {
        "cond": ops.cond(ops.ones((), bool), lambda: GIVEN, lambda: GIVEN),
        "switch": ops.switch(0, [lambda x: x, lambda x: x], GIVEN),
        "while_loop": ops.while_loop(lambda i, x: i < 2, lambda i, x: (i + 1, x), (0, GIVEN))[1],
        "fori_loop": ops.fori_loop(0, 2, lambda i, x: x, GIVEN),
        "scan": ops.scan(lambda c, x: (c, x), 0, GIVEN)[1],
        "associative_scan": ops.associative_scan(lambda x, y: y, GIVEN),
        "map": ops.map(lambda x: x, GIVEN),
        "vectorized_map": ops.vectorized_map(lambda x: x, GIVEN),
        "map to elements": {"b": ops.map(first, GIVEN), "a": None},
        "vectorized_map to elements": {"b": ops.vectorized_map(first, GIVEN), "a": None},
        "scan to elements": {"b": ops.scan(lambda c, x: (c, first(x)), 0, GIVEN)[1], "a": None},
    }
    for name, found in loops.items():
        assert list(found) == ["b", "a"], name
        assert np.asarray(found["b"]).tolist() == [[1.0], [2.0]], name
