"""Users' layers and models that use text themselves. The values are TensorFlow's."""

import numpy as np
import pytest

from keraslike import tf
from keraslike.tf import keras

layers = keras.layers
WORDS = tf.constant(["A", "b"])


class Lower(layers.Layer):
    def call(self, inputs):
        return tf.strings.lower(inputs)


class Table(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        pairs = tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.constant([3, 4], tf.int64))
        self.table = tf.lookup.StaticHashTable(pairs, -1)

    def call(self, inputs):
        return self.table.lookup(inputs)


class Split(layers.Layer):
    def call(self, inputs):
        return tf.strings.split(inputs).to_tensor(default_value="", shape=[None, 3])


class Vectors(layers.Layer):
    """A layer that uses text and has weights."""

    def __init__(self):
        super().__init__()
        self.table = Table()
        self.embedding = layers.Embedding(5, 1, embeddings_initializer="ones")

    def call(self, inputs):
        return self.embedding(self.table(tf.strings.lower(inputs)))


def model_of(*parts, shape=()):
    inputs = outputs = keras.Input(shape, dtype="string")
    for part in parts:
        outputs = part(outputs)
    return keras.Model(inputs, outputs)


def listed(x):
    return x.to_list() if isinstance(x, tf.RaggedTensor) else np.asarray(x).tolist()


CALLS = {
    "text": (Lower, WORDS, [b"a", b"b"]),
    "numbers": (Table, WORDS, [-1, 4]),
    "ragged": (Table, tf.ragged.constant([["a", "q"], ["b"]]), [[3, -1], [4]]),
    "rows": (Split, tf.constant(["a b", "c"]), [[b"a", b"b", b""], [b"c", b"", b""]]),
    "weights": (Vectors, WORDS, [[1.0], [1.0]]),
}


@pytest.mark.parametrize("kind", CALLS)
def test_calls(kind):
    make, given, wanted = CALLS[kind]
    layer = make()
    assert listed(layer(given)) == wanted
    assert listed(tf.function(layer)(given)) == wanted
    (mapped,) = tf.data.Dataset.from_tensors(given).map(layer)
    assert listed(mapped) == wanted


def test_operators_of_text_in_calls():
    class Operators(layers.Layer):
        def call(self, x):
            return x == "A", x != "A", x[0], x + "z", "z" + x, tf.equal(x, "A"), tf.shape(x)

    values = [[True, False], [False, True], b"A", [b"Az", b"bz"], [b"zA", b"zb"], [True, False]]
    assert list(map(listed, Operators()(WORDS))) == [*values, [2]]


def test_functional_models():
    model = model_of(Lower(), Split(), layers.Lambda(tf.strings.upper))
    assert (model.output_shape, model.output.dtype) == ((None, 3), "string")
    rows = [[b"A", b"", b""], [b"B", b"", b""]]
    assert listed(model(WORDS)) == listed(model.predict(WORDS, verbose=0)) == rows
    numbers = model_of(Lower(), Table(), shape=(1,))
    assert listed(numbers.predict(tf.constant([["A"], ["B"], ["q"]]), verbose=0, batch_size=2)) == [
        [3],
        [4],
        [-1],
    ]
    assert numbers(tf.constant([["A"]])).dtype is tf.int64
    indices = model_of(Lower(), layers.StringLookup(vocabulary=["b", "a"]))
    assert listed(indices(WORDS)) == listed(indices.predict(WORDS, verbose=0)) == [2, 1]


def trained(model):
    model.compile(keras.optimizers.SGD(0.1), "mse")
    targets = tf.constant([[1.0], [0.0]])
    history = model.fit(WORDS, targets, epochs=2, verbose=0, shuffle=False)
    data = tf.data.Dataset.from_tensor_slices((WORDS, targets)).batch(2)
    return [*history.history["loss"], *model.fit(data, verbose=0).history["loss"]]


def test_layers_without_weights_are_applied_before_compiled_steps():
    embedding = layers.Embedding(5, 1, embeddings_initializer="ones")
    model = model_of(Lower(), Table(), embedding)
    assert trained(model) == pytest.approx([0.5, 0.405, 0.32805])
    assert not model._needs_python


def test_layers_with_weights_are_trained():
    assert trained(model_of(Vectors())) == pytest.approx([0.5, 0.405, 0.32805])


class Sizes(layers.Layer):
    """A layer with weights that applies functions of each text."""

    def __init__(self, buckets=10):
        super().__init__()
        self.embedding, self.buckets = layers.Embedding(10, 2), buckets

    def call(self, inputs):
        lower = tf.strings.lower(inputs, encoding="utf-8")
        numbers = tf.strings.to_number(tf.strings.regex_replace(lower, "[^0-9]", "7"))
        buckets = tf.strings.to_hash_bucket_fast(lower, self.buckets) % 10
        ends = tf.where(tf.strings.regex_full_match(lower, ".*e"), 1.0, 0.0)
        length = tf.cast(tf.strings.length(lower), tf.float32)
        return self.embedding(buckets)[:, 0] + numbers + ends * length


@pytest.mark.parametrize("buckets", [10, 2**40])  # The larger ones need 64 bits, and thus Python.
def test_functions_of_each_text_are_computed_before_compiled_steps(buckets):
    texts, y = np.array([["Ä1"], ["bee"], ["E"], ["x9"]] * 4, object), np.ones((16, 2))
    found = []
    for eagerly in (False, True):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((1,), dtype="string"), Sizes(buckets)])
        model.compile("sgd", "mse", run_eagerly=eagerly)
        history = model.fit(texts, y, batch_size=4, epochs=2, verbose=0).history
        found.append([*history["loss"], *model.predict(texts[:3], verbose=0).ravel()])
        assert model._needs_python == (buckets > 10 and not eagerly)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)


def test_a_variable_that_such_a_layer_reads_gets_its_gradient():
    weights = tf.Variable([1.0, 1.0, 1.0, 1.0, 1.0])

    class Gathered(layers.Layer):
        def __init__(self):
            super().__init__()
            self.table = Table()

        def call(self, inputs):
            return tf.gather(weights, self.table(tf.strings.lower(inputs)))

    with tf.GradientTape() as tape:
        total = tf.reduce_sum(Gathered()(WORDS) ** 2)
    assert listed(tape.gradient(total, weights)) == [0.0, 0.0, 0.0, 2.0, 2.0]

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.gathered = Gathered()

        def call(self, inputs):
            return self.gathered(inputs)

        def train_step(self, data):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum((self(data[0], training=True) - 3.0) ** 2)
            weights.assign_sub(0.25 * tape.gradient(loss, weights))
            return {"loss": loss}

    assert trained(Model()) == [8.0, 2.0, 0.5]


def test_steps_in_python_predict_arrays():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    model.compile(run_eagerly=True)
    assert type(model.predict(np.ones((2, 2)), verbose=0)) is np.ndarray


def test_ops_that_move_text():
    moved = keras.ops.concatenate([keras.ops.expand_dims(WORDS, -1), tf.constant([["c"]])], axis=0)
    assert listed(keras.ops.take(moved, [2, 0], axis=0)) == [[b"c"], [b"A"]]


@pytest.mark.parametrize(
    "mode, expected",
    [
        ("int", [[2, 1], [1], [], [3, 2, 1, 1]]),
        ("multi_hot", [[0, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 1, 1, 1]]),
        ("count", [[0, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 2, 1, 1]]),
        ("one_hot", [[[0, 0, 1, 0], [0, 1, 0, 0]], [[0, 1, 0, 0]], []]),
    ],
)
def test_lookups_of_ragged_tensors(mode, expected):
    texts = tf.ragged.constant([["a", "b"], ["b"], [], ["c", "a", "b", "b"]])
    lookup = layers.StringLookup(output_mode=mode)
    lookup.adapt(texts)
    assert lookup.get_vocabulary() == ["[UNK]", "b", "a", "c"]
    found = lookup(texts)
    assert found.dtype == tf.int64
    rows = found.to_list() if hasattr(found, "to_list") else found.numpy().tolist()
    assert rows[: len(expected)] == expected
    batch = next(iter(tf.data.Dataset.from_tensor_slices(texts).batch(2).map(lookup)))
    rows = batch.to_list() if hasattr(batch, "to_list") else batch.numpy().tolist()
    assert rows == expected[:2]


def test_encodings_of_ragged_tensors():
    numbers = tf.ragged.constant([[1, 2], [3]])
    encoded = layers.CategoryEncoding(4, output_mode="multi_hot")(numbers)
    assert encoded.numpy().tolist() == [[0, 1, 1, 0], [0, 0, 0, 1]]
    lookup = layers.IntegerLookup(vocabulary=[1, 2, 3], output_mode="count")
    assert lookup(numbers).numpy().tolist() == [[0, 1, 1, 0], [0, 0, 0, 1]]
    weighted = layers.StringLookup(output_mode="tf_idf")
    weighted.adapt(tf.ragged.constant([["a", "b"], ["b"], ["c", "a", "b"]]))
    found = weighted(tf.ragged.constant([["a", "b", "b"], ["z"]]))
    np.testing.assert_allclose(found, [[0, 1.1192316, 0.6931472, 0], [0.7230179, 0, 0, 0]], 1e-6)


def test_text_is_no_array_of_jax():
    vectors = layers.TextVectorization(vocabulary=["b", "a"])
    assert vectors(keras.ops.convert_to_tensor([["a b"]])).numpy().tolist() == [[3, 2]]
    with pytest.raises(TypeError, match="JAX"):
        keras.ops.convert_to_tensor([["a", 1]])


def test_a_layer_may_return_text_of_its_own():
    class Named(tf.keras.layers.Layer):
        def call(self, x):
            return tf.constant(["name"]), tf.gather(tf.constant(["a", "b"]), x)

    layer = Named()
    for x in (tf.constant([1, 0]), np.array([1, 0])):
        for _ in range(2):
            names, letters = layer(x)
            assert (names.dtype, names.numpy().tolist()) == (tf.string, [b"name"])
            assert (letters.dtype, letters.numpy().tolist()) == (tf.string, [b"b", b"a"])
