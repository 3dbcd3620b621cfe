"""Layers that take text, and those that make categories: they agree with Keras on TensorFlow (the
facts that text_facts.py recorded), and work in models that are fed text."""

import json
import pathlib

import jax
import numpy as np
import pytest
import scipy.sparse

import keraslike as k
import keraslike.tf as tf
from keraslike import layers
from keraslike.layers.index_lookup import IndexLookup
from tests.layers.text_facts import ROWS, TABLE

HERE = pathlib.Path(__file__).parent
FACTS = json.loads((HERE / "text_facts.json").read_text())


def tokens(layer):
    return [x if isinstance(x, str) else int(x) for x in layer.get_vocabulary()]


@pytest.mark.parametrize("fact", FACTS["layers"], ids=lambda f: f"{f['layer']}-{f['arguments']}")
def test_the_same_as_with_tensorflow(fact):
    layer = getattr(layers, fact["layer"])(**fact["arguments"])
    if fact["adapt"] is not None:
        layer.adapt(fact["adapt"])
        assert tokens(layer) == fact["vocabulary"]
    wide = fact["layer"] in ("IntegerLookup",)
    out = layer(np.array(fact["inputs"], np.int64) if wide else fact["inputs"])
    wanted = np.asarray(fact["output"])
    assert out.shape == wanted.shape
    np.testing.assert_allclose(out, wanted, rtol=1e-6)
    twin = layers.deserialize(layers.serialize(layer))
    if fact["adapt"] is not None:
        idf = layer if fact["layer"] != "TextVectorization" else layer._lookup_layer
        weighted = fact["arguments"].get("output_mode") == "tf_idf"
        vocabulary = layer.get_vocabulary(include_special_tokens=not weighted)
        start = len(layer.get_vocabulary()) - len(vocabulary)
        end = start + len(vocabulary)
        twin.set_vocabulary(vocabulary, idf.idf_weights[start:end] if weighted else None)
    np.testing.assert_allclose(twin(np.array(fact["inputs"]) if wide else fact["inputs"]), out)


def test_files_of_keras_with_tensorflow(tmp_path):
    def load(name):
        return k.saving.load_model(HERE / "text_models" / f"{name}.keras")

    rows = {name: np.array(column) for name, column in ROWS.items()}
    for name, x in (("sequence", np.array([["foo bar x"], ["baz"]])), ("features", rows)):
        model = load(name)
        wanted = FACTS["models"][name]
        np.testing.assert_allclose(model.predict(x, verbose=0), wanted, atol=1e-6)
        model.save(tmp_path / "again.keras")
        again = k.saving.load_model(tmp_path / "again.keras")
        np.testing.assert_allclose(again(x), wanted, atol=1e-6)
    space = load("space")
    np.testing.assert_allclose(space(TABLE), FACTS["models"]["space"], atol=1e-6)


X = np.array(["good day", "bad day, bad", "good", "bad?"])
Y = np.array([1.0, 0.0, 1.0, 0.0])


def vectorization(**arguments):
    layer = layers.TextVectorization(**arguments)
    layer.adapt(X)
    return layer


KINDS = {
    "U": X,
    "S": X.astype("S"),
    "column": X[:, None],
    "objects": X.astype(object),
    "list": X.tolist(),
    "rows": X[:, None].tolist(),
    "StringDType": X.astype(np.dtypes.StringDType()),
}


def test_text_of_every_kind():
    words = vectorization(output_sequence_length=3)
    model = k.Sequential([k.Input((1,), dtype=tf.string), words, layers.Embedding(9, 2)])
    wanted = model.layers[1](words(X))
    for data in KINDS.values():
        np.testing.assert_array_equal(words(data), words(X))
        np.testing.assert_array_equal(model(data), wanted)
        np.testing.assert_array_equal(model.predict(data, verbose=0), wanted)


class Subclassed(k.Model):
    def __init__(self):
        super().__init__()
        self.words, self.out = vectorization(output_mode="multi_hot"), layers.Dense(1)

    def call(self, x):
        return self.out(self.words(x))


class Batches(k.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return X, Y


def functional():
    x = k.Input((), dtype="string", name="x")
    inner = k.Sequential([k.Input((1,), dtype="string"), vectorization(output_mode="count")])
    return k.Model(x, layers.Dense(1)(inner(x)))


MODELS = {
    "sequential": lambda: k.Sequential([vectorization(), layers.Embedding(9, 2, mask_zero=True),
                                        layers.GlobalAveragePooling1D(), layers.Dense(1)]),
    "functional": functional,
    "subclassed": Subclassed,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_training_on_text(make):
    """The compiled step, whatever the batches come in, computes what one of plain Python does."""
    histories = []
    for eagerly in (True, False):
        k.utils.set_random_seed(0)
        model = make()
        model.compile(k.optimizers.SGD(0.1), "mse", run_eagerly=eagerly)
        histories.append(model.fit(X, Y, batch_size=2, epochs=2, verbose=0, shuffle=False).history)
        histories.append({"loss": [model.evaluate(X, Y, verbose=0), model.train_on_batch(X, Y)]})
    for eager, compiled in zip(histories[:2], histories[2:]):
        np.testing.assert_allclose(eager["loss"], compiled["loss"], rtol=1e-5)
    assert model(np.array(["?"])).shape == (1, 1)  # of no words
    out = model.predict(X, verbose=0, batch_size=3)
    np.testing.assert_allclose(out, model(X), rtol=1e-5)
    np.testing.assert_allclose(out, model.predict_on_batch(X), rtol=1e-5)
    model.fit(((X, Y) for _ in range(2)), verbose=0)
    history = model.fit(Batches(), verbose=0, validation_data=(X, Y)).history
    assert np.isfinite(history["val_loss"]).all()


def test_loops_of_ones_own():
    model = Subclassed()
    assert isinstance(model(tf.constant(X)), tf.Tensor)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(X) ** 2)
    wanted = 2 * np.asarray(model.words(X)).T @ np.asarray(model(X))
    np.testing.assert_allclose(tape.gradient(loss, model.out.kernel), wanted, rtol=1e-5)
    lookup = layers.StringLookup(vocabulary=["bad"])
    assert lookup(tf.strings.split(["bad x", ""])).to_list() == [[1, 0], []]
    step = jax.grad(lambda w: (model.words(X) @ w).sum())
    assert step(np.ones((4, 1), "float32")).shape == (4, 1)


def test_columns_of_several_kinds():
    a, b = k.Input((1,), dtype="string", name="a"), k.Input((1,), dtype="int32", name="b")
    c = k.Input((2,), name="c")
    crossed = layers.HashedCrossing(7, output_mode="one_hot")([a, b])
    every = [
        layers.StringLookup(vocabulary=["x", "y"], output_mode="one_hot")(a),
        layers.IntegerLookup(vocabulary=[5, 7], output_mode="multi_hot", num_oov_indices=2)(b),
        layers.IntegerLookup(vocabulary=[5], output_mode="one_hot", oov_method="farmhash")(b),
        crossed,
        layers.Hashing(3, output_mode="one_hot")(b),
        layers.Discretization([0.0, 1.0], output_mode="multi_hot")(c),
        layers.CategoryEncoding(3)(layers.IntegerLookup(vocabulary=[8])(b)),
    ]
    model = k.Model([a, b, c], layers.Concatenate()(every))
    data = [np.array(["x", "q"]), np.array([5, 8]), np.array([[0.5, 2.0], [-1.0, 0.0]])]
    wanted = model(data)  # by numpy, and by a compiled program:
    np.testing.assert_array_equal(model.predict(data, verbose=0), wanted)
    assert wanted.shape == tuple(model.output_shape[1:] and (2, *model.output_shape[1:]))


def test_a_compiled_model_sees_what_its_layers_learn_later():
    layer = layers.Discretization(num_bins=2)
    layer.adapt(np.arange(10.0))
    numbers = layers.IntegerLookup()
    numbers.adapt([1, 1, 2])
    x = k.Input((1,), dtype="int32")
    model = k.Model(x, [layer(layers.Rescaling(1.0)(x)), numbers(x)])
    data = np.array([[7], [3]])
    before = model.predict(data, verbose=0)
    layer.adapt(np.arange(100.0))
    numbers.adapt([3])
    after = model.predict(data, verbose=0)
    assert [b.ravel().tolist() for b in before] == [[1, 0], [0, 0]]
    assert [a.ravel().tolist() for a in after] == [[0, 0], [0, 1]]


def test_the_base_of_lookups_by_its_configuration():
    """Packages make lookups of their own of it."""
    layer = IndexLookup(None, 1, "", "[UNK]", "string", vocabulary=["a", "b"])
    twin = layers.deserialize(layers.serialize(layer))
    assert isinstance(twin, IndexLookup) and twin(["b", "q"]).tolist() == [3, 1]


def test_numbers_to_text():
    layer = layers.StringLookup(vocabulary=["x", "y"], invert=True)
    assert layer([0, 1, 2, 9]).tolist() == ["[UNK]", "x", "y", "[UNK]"]
    model = k.Sequential([k.Input((1,), dtype="int32"), layer])
    assert model.predict(np.array([[1], [2]]), verbose=0).tolist() == [["x"], ["y"]]


def test_sparse_arrays():
    for layer, data in (
        (layers.StringLookup(vocabulary=["a", "b"], output_mode="multi_hot", sparse=True), ["a"]),
        (layers.CategoryEncoding(4, "count", sparse=True), [[1, 1, 2]]),
        (layers.Discretization([0.0], output_mode="one_hot", sparse=True), [-1.0, 1.0]),
        (layers.TextVectorization(vocabulary=["a"], output_mode="count", sparse=True), ["a a"]),
        (layers.HashedCrossing(4, output_mode="one_hot", sparse=True), [[1, 2], [3, 4]]),
    ):
        out = layer(data)
        assert isinstance(out, jax.experimental.sparse.BCOO)
        layer.sparse = False
        np.testing.assert_array_equal(out.todense(), layer(data))
    assert scipy.sparse.issparse(scipy.sparse.coo_array(np.asarray(out.todense())))


def test_functions_of_arrays_of_texts():
    layer = layers.TextVectorization(
        standardize=lambda texts: np.char.replace(np.char.lower(texts), ",", " "),
        split=lambda texts: [text.split("-") for text in texts],
        vocabulary=["a b", "c"],
    )
    assert layer(["A,B-C", "c-d"]).tolist() == [[2, 3], [3, 1]]


def test_adapting_to_batches():
    whole, parts, some = (layers.TextVectorization() for _ in range(3))
    whole.adapt(X)
    parts.adapt(X[i : i + 2] for i in (0, 2))
    some.adapt(([x] for x in X), steps=1)
    assert whole.get_vocabulary() == parts.get_vocabulary() == ["", "[UNK]", "bad", "good", "day"]
    assert some.get_vocabulary(include_special_tokens=False) == ["good", "day"]


def test_vocabulary_files(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("one\ntwo\r\n\nthree\n")
    layer = layers.StringLookup(vocabulary=str(path))
    assert layer.get_vocabulary() == ["[UNK]", "one", "two", "", "three"]
    model = k.Sequential([k.Input((), dtype="string"), layer])
    model.save(tmp_path / "model.keras")  # with the words, not with the path
    path.unlink()
    loaded = k.saving.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].get_vocabulary() == layer.get_vocabulary()
    config = layers.serialize(layer)
    config["config"]["vocabulary"] = "/etc/passwd"
    with pytest.raises(ValueError, match="outside of the archive"):
        layers.deserialize(config)


def test_words_that_a_file_cannot_hold(tmp_path):
    layer = layers.StringLookup()
    layer.adapt(["a", "b", "b", ""])
    model = k.Sequential([k.Input((), dtype="string"), layer])
    model.save(tmp_path / "model.keras")
    loaded = k.saving.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].get_vocabulary() == ["[UNK]", "b", "a", ""]
    layer.adapt(["a\nb"])
    with pytest.raises(ValueError, match="line break"):
        model.save(tmp_path / "model.keras")
    assert k.saving.load_model(tmp_path / "model.keras").layers[0].vocabulary_size() == 4


ERRORS = {
    "a layer of numbers": (lambda: layers.Dense(2)(X), "takes numbers. Received text"),
    "in a graph": (
        lambda: layers.Dense(2)(k.Input((1,), dtype="string")),
        "takes numbers. Received text",
    ),
    "an input of numbers": (
        lambda: k.Sequential([k.Input((2,)), layers.Dense(1)])(np.array([["a", "b"]])),
        "takes numbers of dtype float32. Received text",
    ),
    "an input of text": (
        lambda: k.Sequential([k.Input((), dtype="string"), vectorization()])(np.ones(3)),
        "takes text. Received numbers",
    ),
    "an operation": (lambda: k.Input((), dtype="string") + 1, "was given text"),
    "no number for others": (
        lambda: layers.StringLookup(vocabulary=["a"], num_oov_indices=0)(["a", "z"]),
        r"Received: \['z'\]",
    ),
    "numbers for text": (lambda: layers.StringLookup(vocabulary=["a"])([1]), "takes text"),
    "text for numbers": (lambda: layers.IntegerLookup(vocabulary=[1])(["a"]), "takes numbers"),
    "twice": (lambda: layers.StringLookup(vocabulary=["a", "a"]), "repeated term"),
    "a mask inside": (
        lambda: layers.StringLookup(vocabulary=["a", "m"], mask_token="m"),
        "Found reserved mask token",
    ),
    "two axes of texts": (lambda: vectorization()([["a", "b"]]), "last shape dimension must be 1"),
    "adapt with a vocabulary": (
        lambda: layers.TextVectorization(vocabulary=["a"]).adapt(X),
        "was given its vocabulary",
    ),
    "floats crossed": (lambda: layers.HashedCrossing(3)([[1.0], [2.0]]), "integer or string"),
    "integers of 64 bits": (
        lambda: k.Sequential([k.Input((1,), dtype="int64"), layers.IntegerLookup(vocabulary=[1])])(
            np.array([[2**40 + 1]])
        ),
        "compiled steps have 32-bit integers",
    ),
    "the same in predict": (
        lambda: functional().predict(np.array([[2**40 + 1]]), verbose=0),
        "x holds integers from 1099511627777",
    ),
    "ragged": (lambda: layers.TextVectorization(ragged=True), "ragged=True"),
    "no space": (
        lambda: k.utils.FeatureSpace({"a": "string_categorical"})({"a": ["x"]}),
        "You need to call `.adapt",
    ),
    "a column missing": (
        lambda: k.utils.FeatureSpace({"a": "float", "b": "float"})({"a": [1.0]}),
        r"lacks the features \['b'\]",
    ),
}  # fmt: skip


def test_no_texts():
    for mode, shape in (("int", (0, 3)), ("multi_hot", (0, 2)), ("count", (0, 2))):
        length = 3 if mode == "int" else None
        layer = layers.TextVectorization(
            vocabulary=["a"], output_mode=mode, output_sequence_length=length
        )
        for none in ([], np.zeros((0,), "float32"), np.array([], object)):
            assert layer(none).shape == shape  # as Keras with TensorFlow


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_errors(case):
    call, words = case
    with pytest.raises((ValueError, TypeError), match=words):
        call()


def test_a_space_of_features(tmp_path):
    fs = k.utils.FeatureSpace
    space = fs({"n": fs.float_rescaled(2.0), "s": "string_categorical"}, output_mode="dict")
    rows = [{"n": 1.0, "s": "a"}, {"n": 2.0, "s": "b"}, {"n": 3.0, "s": "b"}]
    space.adapt(rows_of(rows))
    one = space({"n": 2.0, "s": "b"})
    assert one["s"].tolist() == [0.0, 1.0, 0.0] and one["n"].tolist() == [4.0]
    table = {name: np.array([row[name] for row in rows]) for name in ("n", "s")}
    encoded = layers.Concatenate()(list(space.get_encoded_features().values()))
    model = k.Model(space.get_inputs(), layers.Dense(1)(encoded))
    model.compile("sgd", "mse")
    model.fit(table, np.ones(3), verbose=0)
    space.save(tmp_path / "space.keras")
    again = k.saving.load_model(tmp_path / "space.keras")
    jax.tree.map(np.testing.assert_array_equal, again(table), space(table))


class rows_of:
    """A dataset of rows, which can be gone through again."""

    def __init__(self, rows):
        self.rows = rows

    def __iter__(self):
        return iter(self.rows)


def test_pipeline(tmp_path):
    line = layers.Pipeline([layers.Rescaling(2.0), layers.Dense(2), layers.Dropout(0.5)])
    x = np.ones((2, 3), "float32")
    out = line(x, training=False)
    np.testing.assert_allclose(out, line.layers[1](2 * x))
    assert (np.asarray(line(np.ones((64, 3)))) == 0).any()
    model = k.Sequential([k.Input((3,)), line])
    model.save(tmp_path / "model.keras")
    loaded = k.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(x, verbose=0), out, rtol=1e-6)
    with pytest.raises(ValueError, match="`layers` key"):
        layers.Pipeline.from_config({"name": "p"})
