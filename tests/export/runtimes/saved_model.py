"""SavedModels in TensorFlow, and those of TensorFlow as layers and in the hub."""

import importlib
import os
import shutil

import numpy as np
import pytest

import keraslike as keras
from keraslike import tf as ktf
from tests.export import zoo


def test_a_saved_model_is_a_layer_that_trains(tmp_path):
    model = zoo.made("MLP")
    model.export(tmp_path / "m", verbose=False)
    layer = keras.layers.TFSMLayer(tmp_path / "m")
    x = zoo.inputs_for(model, 3)

    def loss(m):
        return (m(x) ** 2).sum()

    (value, gradients), (again, found) = map(keras.value_and_grad(loss), (model, layer))
    np.testing.assert_allclose(again, value, rtol=1e-5)
    by_shape = {v.shape: g for v, g in zip(layer.trainable_variables, found, strict=True)}
    for v, g in zip(model.trainable_variables, gradients, strict=True):
        np.testing.assert_allclose(by_shape[v.shape], g, rtol=1e-4, atol=1e-5)


WORDS = ["good", "day", "bad", "é"]
TEXTS = np.array([["Good day, good DAY!"], ["bad  é\tworse"], [""], ["day"]], object)


def standardized(texts):
    lower = ktf.strings.lower(texts)
    return ktf.strings.regex_replace(lower, r"[^a-z0-9é\s]", "", replace_global=True)


class Lengths(keras.layers.Layer):
    def call(self, texts):
        return ktf.cast(ktf.strings.length(texts, unit="UTF8_CHAR"), "float32")


LAYERS = {
    "own_standardize": keras.layers.TextVectorization(vocabulary=WORDS, standardize=standardized),
    "own_layer": Lengths(),
    "words": keras.layers.TextVectorization(vocabulary=WORDS),
    "length": keras.layers.TextVectorization(vocabulary=WORDS, output_sequence_length=3),
    "one_hot": keras.layers.TextVectorization(vocabulary=WORDS, output_mode="one_hot"),
    "count": keras.layers.TextVectorization(vocabulary=WORDS, output_mode="count", ngrams=2),
    "tf_idf": keras.layers.TextVectorization(
        vocabulary=WORDS, idf_weights=[0.1, 0.2, 0.3, 0.4], output_mode="tf_idf", ngrams=(1, 3)
    ),
    "character": keras.layers.TextVectorization(
        vocabulary=["a", "o", "é"], split="character", standardize="lower"
    ),
    "whole": keras.layers.TextVectorization(
        vocabulary=["day"], split=None, standardize=None, output_mode="multi_hot"
    ),
    "lookup": keras.layers.StringLookup(vocabulary=["day"], num_oov_indices=3, mask_token=""),
    "multi_hot": keras.layers.StringLookup(vocabulary=["day"], output_mode="multi_hot"),
    "hash": keras.layers.Hashing(5),
    "salted": keras.layers.Hashing(5, mask_value="day", salt=3, output_mode="count"),
}


def test_layers_of_text_are_in_a_saved_model(tmp_path):
    import tensorflow as tf

    archive, models = keras.export.ExportArchive(), {}
    for name, layer in LAYERS.items():
        text, number = keras.Input((1,), dtype="string", name="text"), keras.Input((2,), name="x")
        found = layer(text)
        if keras.backend.standardize_dtype(found.dtype) == "int64":
            found = keras.layers.Embedding(9, 3)(found)
        sums = keras.layers.Lambda(lambda x: keras.ops.sum(x, axis=tuple(range(1, len(x.shape)))))
        models[name] = model = keras.Model({"text": text, "x": number}, [sums(found), number])
        spec = {"text": text, "x": number}
        archive.track_and_add_endpoint(name, model, [spec])
    archive.write_out(tmp_path / "m", verbose=False)
    again = tf.saved_model.load(str(tmp_path / "m"))
    numbers = np.ones((4, 2), "float32")
    for name, model in models.items():
        for part in (slice(None), slice(1, 3)):
            wanted = model.predict({"text": TEXTS[part], "x": numbers[part]}, verbose=0)
            given = {"text": tf.constant(TEXTS[part]), "x": tf.constant(numbers[part])}
            for x, y in zip(getattr(again, name)(given), wanted, strict=True):
                np.testing.assert_allclose(x.numpy(), y, rtol=1e-5, atol=1e-6, err_msg=name)


def test_what_of_text_a_saved_model_cannot_have(tmp_path):
    import tensorflow as tf

    known = keras.layers.StringLookup(vocabulary=["day"], num_oov_indices=0)
    model = keras.Sequential([keras.Input((1,), dtype="string"), known])
    model.export(tmp_path / "m", verbose=False)
    with pytest.raises(tf.errors.InvalidArgumentError, match="must be in the vocabulary"):
        tf.saved_model.load(str(tmp_path / "m")).serve(tf.constant([["night"]]))
    own = keras.layers.TextVectorization(vocabulary=["a"], standardize=np.char.lower, name="own")
    model = keras.Sequential([keras.Input((1,), dtype="string"), own])
    with pytest.raises(ValueError, match="Layer 'own' computes on the host"):
        model.export(tmp_path / "other", verbose=False)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_saved_model_of_several_inputs_is_a_layer(tmp_path, kind):
    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    model = keras.Model([a, b], keras.layers.Dense(1)(keras.layers.Concatenate()([a, b])))
    model.export(tmp_path / "m", verbose=False)
    x = [np.ones((2, 2), "float32"), np.ones((2, 3), "float32")]
    wanted = model.predict(x, verbose=0)
    layer = keras.layers.TFSMLayer(tmp_path / "m")
    np.testing.assert_allclose(layer(kind(x)), wanted, rtol=1e-5)
    layer = keras.layers.TFSMLayer(tmp_path / "m", call_endpoint="serving_default")
    found = layer({"a": x[0], "b": x[1]})["output_0"]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_a_damaged_saved_model_is_an_error(tmp_path):
    model, numbers = zoo.made("MLP"), np.random.default_rng(0)
    model.export(tmp_path / "whole", verbose=False)
    x = zoo.inputs_for(model, 3)
    wanted = np.asarray(keras.layers.TFSMLayer(tmp_path / "whole")(x))

    def harmless(name, damage):
        folder = tmp_path / "damaged"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(tmp_path / "whole", folder)
        (folder / name).write_bytes(damage((folder / name).read_bytes()))
        try:  # bytes that nobody reads may be others
            return np.array_equal(keras.layers.TFSMLayer(folder)(x), wanted)
        except (ValueError, OSError, RuntimeError, AttributeError, KeyError):
            return True

    data = "variables/variables.data-00000-of-00001"
    for name in ("saved_model.pb", "variables/variables.index", data):
        for share in (0.0, 0.3, 0.9):
            assert harmless(name, lambda b, share=share: b[: int(len(b) * share)]), (name, share)
    for name in ("variables/variables.index", data):
        for at in numbers.random(6):

            def flipped(b, at=at):
                i = int(at * len(b))
                return b[:i] + bytes([b[i] ^ 16]) + b[i + 1 :]

            assert harmless(name, flipped), (name, at)
    # The process that read them goes on.
    np.testing.assert_array_equal(keras.layers.TFSMLayer(tmp_path / "whole")(x), wanted)


def test_a_saved_model_in_the_hub(tmp_path):
    import tensorflow as tf

    class Shifted(tf.Module):
        def __init__(self):
            super().__init__()
            self.w, self.n = tf.Variable([2.0, 3.0], name="w"), tf.Variable(0.0, trainable=False)

        @tf.function
        def __call__(self, x, training=False, scale=1.0):
            if training:
                self.n.assign_add(1.0)
            return scale * x * self.w + self.n

    module, spec = Shifted(), tf.TensorSpec([None, 2], tf.float32)
    for training in (False, True):
        for scale in (1.0, 5.0):
            module.__call__.get_concrete_function(spec, training=training, scale=scale)
    both = tf.function(lambda x: {"default": x * module.w, "other": x}, input_signature=[spec])
    path = tmp_path / "m"
    tf.saved_model.save(module, str(path), signatures={"serving_default": both})
    shutil.make_archive(str(path), "gztar", path)
    x = np.ones((2, 2), "float32")
    os.environ["KERAS_HOME"] = str(tmp_path / "cache")
    hub = keras.hub
    for handle in (path, tmp_path / "m.tar.gz", (tmp_path / "m.tar.gz").as_uri()):
        layer = hub.KerasLayer(handle, trainable=True)
        assert np.asarray(layer(x)).tolist() == [[2, 3]] * 2
        assert [v.name for v in layer.trainable_weights] == ["w"] and len(layer.weights) == 2
    assert np.asarray(hub.KerasLayer(path, arguments={"scale": 5.0})(x)).tolist() == [[10, 15]] * 2
    signature = {"signature": "serving_default"}
    for options, wanted in (({}, [2, 3]), ({"output_key": "other"}, [1, 1])):
        assert np.asarray(hub.KerasLayer(path, **signature, **options)(x)).tolist() == [wanted] * 2
    found = hub.KerasLayer(path, **signature, signature_outputs_as_dict=True)({"x": x})
    assert sorted(found) == ["default", "other"]
    model = keras.Sequential([keras.Input((2,)), layer, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, x[:, :1], epochs=3, verbose=0)
    w, n = map(np.asarray, layer.weights)
    assert (w != [2, 3]).all() and n == 3
    frozen = hub.KerasLayer(path)
    assert not frozen.trainable_weights
    assert np.asarray(frozen(x, training=True)).tolist() == [[2, 3]] * 2


class Scaled(ktf.Module):
    """What `tf.saved_model` is tried on."""

    def __init__(self):
        super().__init__()
        self.w = ktf.Variable(2.0, name="w")
        self.n = ktf.Variable(0, trainable=False, name="n")
        self.inner = ktf.Module()
        self.inner.k = ktf.Variable([[1.0, 2.0]], name="k")

    @ktf.function(input_signature=[ktf.TensorSpec([None], ktf.float32)])
    def f(self, x):
        self.n.assign_add(1)
        return self.w * x

    @ktf.function
    def g(self, x, training=False):
        return {"z": (x, x + 1), "y": self.w * x} if training else x @ self.inner.k


@pytest.mark.parametrize("library", ["tensorflow", "keraslike"])
def test_objects_in_a_saved_model(library, tmp_path):
    tf = importlib.import_module(library) if library == "tensorflow" else ktf
    module, path = Scaled(), str(tmp_path / "m")
    module.g(ktf.ones([3, 1])), module.g(training=True, x=ktf.ones([2]))
    ktf.saved_model.save(module, path)
    loaded = tf.saved_model.load(path)
    for x in (tf.constant([1.0, 2.0]), [1.0, 2.0], np.array([1.0, 2.0])):
        assert loaded.f(x).numpy().tolist() == [2, 4]
    assert loaded.n.numpy() == 3 and loaded.inner.k.shape == (1, 2)
    found = loaded.g(tf.ones([2]), True)
    assert found["y"].numpy().tolist() == [2, 2] and found["z"][1].numpy().tolist() == [2, 2]
    with pytest.raises(ValueError, match="Could not find matching concrete function"):
        loaded.g(tf.ones([4, 1]))
    serve = loaded.signatures["serving_default"]
    assert serve(x=tf.constant([1.0]))["output_0"].numpy().tolist() == [2]
    loaded.w.assign(3.0)
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(loaded.f(x) ** 2)
    by_w, by_x = tape.gradient(loss, [loaded.w, x])
    assert by_w.numpy() == 30 and by_x.numpy().tolist() == [18, 36]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(loaded.g(tf.ones([3, 1])) * 3)
    assert tape.gradient(loss, loaded.inner.k).numpy().tolist() == [[9, 9]]


class Open(ktf.Module):
    """Functions of text, of unknown rank, and of unknown sizes that they fix."""

    def __init__(self):
        super().__init__()
        self.lookup = keras.layers.StringLookup(vocabulary=["a", "b"])
        self.w = ktf.Variable([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])

    @ktf.function(input_signature=[ktf.TensorSpec([None], ktf.string)])
    def text(self, words):
        lengths = ktf.cast(ktf.strings.length(words), ktf.float32)
        return ktf.gather(self.w, self.lookup(words)) * lengths[:, None]

    @ktf.function(input_signature=[ktf.TensorSpec([None], ktf.string)])
    def texts(self, words):
        places = ktf.cast(ktf.strings.length(words) > 1, ktf.int32)
        kinds = ktf.gather(ktf.constant(["short", "long"]), places)
        return {"upper": ktf.strings.upper(words), "kinds": kinds, "one": ktf.constant("1")}

    @ktf.function(input_signature=[ktf.TensorSpec(None, ktf.float32)])
    def ranks(self, x):
        return self.w[0, 1] * x

    @ktf.function(input_signature=[ktf.TensorSpec([None, None, None], ktf.float32)])
    def sizes(self, x):
        return ktf.reshape(x, [-1, 3]) @ self.w

    @ktf.function(input_signature=[ktf.RaggedTensorSpec([None, None], ktf.float32)])
    def ragged(self, x):
        return x * self.w[0, 1]


@pytest.mark.parametrize("library", ["tensorflow", "keraslike"])
def test_functions_of_text_and_of_unknown_shapes_in_a_saved_model(library, tmp_path):
    tf = importlib.import_module(library) if library == "tensorflow" else ktf
    module, path = Open(), str(tmp_path / "m")
    names = ("text", "ranks", "sizes")
    ktf.saved_model.save(module, path, signatures={n: getattr(module, n) for n in names})
    loaded = tf.saved_model.load(path)
    words, x = ["b", "zzz", "a"], tf.reshape(tf.range(12.0), [2, 2, 3])
    for name, given in (("text", words), ("ranks", 3.0), ("ranks", x), ("sizes", x)):
        (argument,) = loaded.signatures[name].structured_input_signature[1]
        given = given if name == "text" else np.asarray(given, "float32")
        wanted = np.asarray(getattr(module, name)(ktf.constant(given)))
        for found in (
            getattr(loaded, name)(tf.constant(given)),
            *loaded.signatures[name](**{argument: tf.constant(given)}).values(),
        ):
            np.testing.assert_allclose(found, wanted)
    made = {k: v.numpy() for k, v in loaded.texts(tf.constant(words)).items()}
    assert made.pop("one") == b"1" and {k: v.tolist() for k, v in made.items()} == {
        "upper": [b"B", b"ZZZ", b"A"], "kinds": [b"short", b"long", b"short"]
    }  # fmt: skip
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(loaded.signatures["ranks"](x=x)["output_0"])
    by_x, by_w = tape.gradient(loss, [x, loaded.w])
    assert by_x.numpy().tolist() == [[[2] * 3] * 2] * 2 and by_w.numpy()[0, 1] == 66
    assert loaded.ragged(tf.ragged.constant([[1.0], [2.0, 3.0]])).to_list() == [[2], [4, 6]]
    with pytest.raises(Exception, match="(?i)reshape|refine"):
        loaded.sizes(tf.ones([1, 2, 2]))


def test_what_tensorflow_saved_runs_in_its_process(tmp_path):
    import tensorflow as tf

    class Words(tf.Module):
        def __init__(self):
            super().__init__()
            self.calls = tf.Variable(0, dtype=tf.int64)
            keys = tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.constant([1, 2], tf.int64))
            self.table = tf.lookup.StaticHashTable(keys, -1)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def __call__(self, words):
            self.calls.assign_add(1)
            return {"upper": tf.strings.upper(words), "number": self.table.lookup(words)}

    tf.saved_model.save(Words(), str(tmp_path / "m"))
    loaded = ktf.saved_model.load(str(tmp_path / "m"))
    for calls in (1, 2):
        found = loaded(ktf.constant(["b", "c"]))
        assert found["upper"].numpy().tolist() == [b"B", b"C"]
        assert found["number"].numpy().tolist() == [2, -1] and found["number"].dtype == ktf.int64
        assert loaded.calls.numpy() == calls
    assert loaded.signatures["serving_default"](words=["a"])["number"].numpy().tolist() == [1]


def test_endpoints_of_a_saved_model_change_its_state(tmp_path):
    import tensorflow as tf

    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((3,)), layers.BatchNormalization(momentum=0.5), layers.Dropout(0.5, seed=1)]
    )
    spec = keras.InputSpec(shape=(None, 3), dtype="float32")
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", model.call, [spec])
    archive.add_endpoint("train", lambda x: model(x, training=True), [spec])
    archive.add_variable_collection("moments", model.layers[0].non_trainable_variables)
    archive.write_out(tmp_path / "m", verbose=False)
    loaded, x = tf.saved_model.load(str(tmp_path / "m")), 3 + np.random.rand(4, 3).astype("float32")
    assert (loaded.train(x) != loaded.train(x)).numpy().any()
    model(x, training=True), model(x, training=True)
    np.testing.assert_allclose(loaded.serve(x), model.predict(x, verbose=0), rtol=1e-5)
    assert len(loaded.moments) == 2 and len(loaded.variables) == len(model.variables)
    assert sorted(loaded.signatures) == ["serve", "serving_default", "train"]


class Repeated(keras.layers.Layer):
    """A layer of TensorFlow's operations, as KerasHub has them: words, as often as numbers say."""

    def __init__(self):
        super().__init__()
        self._convert_input_args, self._allow_non_tensor_positional_args = False, True

    def call(self, inputs):
        import tensorflow as tf

        def one(count):
            total = 0
            for _ in range(count):  # a tensor, where this is rewritten by TensorFlow
                total += count
            return total

        if isinstance(inputs, tf.RaggedTensor):
            return inputs.with_flat_values(tf.map_fn(one, inputs.flat_values))
        return tf.map_fn(one, inputs)


@pytest.mark.parametrize("ragged", [False, True])
def test_loops_of_a_layer_in_a_graph_of_tensorflow(ragged):
    import tensorflow as tf

    rows = tf.ragged.constant([[1, 2], [3]]) if ragged else tf.constant([1, 2])
    found = next(iter(tf.data.Dataset.from_tensors(rows).map(Repeated())))
    if ragged:
        assert found.to_list() == [[1, 4], [9]]
    else:
        assert found.numpy().tolist() == [1, 4]
