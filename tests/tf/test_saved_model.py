"""`tf.saved_model` in StableHLO: what is loaded computes as what was saved, without its code.
`tests/export/runtimes/saved_model.py` has the tests with TensorFlow. Values are those of TensorFlow
2.21."""

import functools

import numpy as np
import pytest

import keraslike as keras
from keraslike import tf
from keraslike.tf import saved_model


@pytest.fixture(autouse=True)
def without_tensorflow(monkeypatch):
    monkeypatch.setattr(saved_model, "interpreter", lambda: None)


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / "saved")


class Inner(tf.Module):
    def __init__(self):
        super().__init__()
        self.k = tf.Variable([[1.0, 2.0]], name="k")


class Outer(tf.Module):
    def __init__(self):
        super().__init__()
        self.w = tf.Variable(2.0, name="w")
        self.n = tf.Variable(0, trainable=False, name="n")
        self.inner, self.many = Inner(), [tf.Variable(1.0), tf.Variable(2.0)]
        self.held, self.text = {"a": tf.Variable(7.0)}, "hi"

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def f(self, x):
        self.n.assign_add(1)
        return self.w * x

    @tf.function
    def g(self, x, training=False):
        if training:
            return {"z": (x, x + 1), "y": self.w * x}
        return x @ self.inner.k

    @tf.function
    def never(self, x):
        return x


def _reloaded(obj, folder, **given):
    tf.saved_model.save(obj, folder, **given)
    return tf.saved_model.load(folder)


def test_objects_and_functions_come_back(folder):
    outer = Outer()
    outer.g(tf.ones([3, 1])), outer.g(training=True, x=tf.ones([2]))
    loaded = _reloaded(outer, folder)
    assert loaded.w.numpy() == 2 and loaded.inner.k.shape == (1, 2)
    assert [v.numpy() for v in loaded.many] == [1, 2] and loaded.held["a"].numpy() == 7
    assert not hasattr(loaded, "text") and not callable(loaded)
    for x in (tf.constant([1.0, 2.0]), [1.0, 2.0], np.array([1.0, 2.0])):
        assert loaded.f(x).numpy().tolist() == [2, 4]
    assert loaded.n.numpy() == 3 and outer.n.numpy() == 0
    assert loaded.g(tf.ones([3, 1])).numpy().tolist() == [[1, 2]] * 3
    for found in (loaded.g(tf.ones([2]), True), loaded.g(tf.ones([2]), training=True)):
        assert found["y"].numpy().tolist() == [2, 2]
        assert [t.numpy().tolist() for t in found["z"]] == [[1, 1], [2, 2]]
    concrete = loaded.f.get_concrete_function()
    assert concrete.structured_outputs.shape.as_list() == [None]
    concrete = loaded.g.get_concrete_function(training=True, x=tf.TensorSpec([2]))
    assert concrete(x=tf.ones([2]))["y"].numpy().tolist() == [2, 2]
    loaded.w.assign(3.0)
    assert loaded.f([1.0]).numpy().tolist() == [3]
    with pytest.raises(ValueError, match="(?s)Could not find matching.*Option 2"):
        loaded.g(tf.ones([4, 1]))
    with pytest.raises(ValueError, match="Found zero restored functions"):
        loaded.never(tf.ones([1]))


def test_tensors_of_a_dict_are_told_by_their_keys(folder):
    module = tf.Module()
    module.f = tf.function(lambda b, a, d: b["z"] - b["c"] + 10 * a + 100 * d[1])
    module.f(d=(1, tf.constant(4.0)), a=tf.constant(3.0), b={"z": tf.constant(2.0), "c": 1.0})
    loaded = _reloaded(module, folder)
    given = {"c": 1.0, "z": tf.constant(5.0)}
    assert loaded.f(given, tf.constant(1.0), (1, tf.constant(2.0))).numpy() == 214


def test_signatures(folder):
    outer = Outer()
    loaded = _reloaded(outer, folder)
    serve = loaded.signatures["serving_default"]
    assert serve(x=tf.constant([1.0]))["output_0"].numpy().tolist() == [2]
    assert serve(tf.constant([1.0]))["output_0"].numpy().tolist() == [2]
    named = tf.TensorSpec([None], tf.float32, "x")
    assert serve.structured_input_signature == ((), {"x": named})
    assert serve.structured_outputs == {"output_0": tf.TensorSpec([None], tf.float32)}
    for given in ({}, {"y": tf.ones([1])}, {"x": tf.ones([1, 1])}):
        with pytest.raises(TypeError, match="signature"):
            serve(**given)
    concrete = outer.g.get_concrete_function(tf.TensorSpec([None, 1], tf.float32))
    loaded = _reloaded(outer, folder, signatures={"a": outer.f, "b": concrete})
    assert sorted(loaded.signatures) == ["a", "b"]
    assert loaded.signatures["b"](x=tf.ones([2, 1]))["output_0"].shape == (2, 2)
    assert loaded.g(tf.ones([9, 1])).shape == (9, 2)
    for wrong in (outer.g, lambda x: x):
        with pytest.raises(ValueError, match="Only `tf.functions` with an input signature"):
            tf.saved_model.save(outer, folder, signatures=wrong)


def test_gradients_reach_variables_and_inputs(folder):
    loaded = _reloaded(Outer(), folder)
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(loaded.f(x) ** 2)
    by_w, by_x, by_k = tape.gradient(loss, [loaded.w, x, loaded.inner.k])
    assert by_w.numpy() == 20 and by_x.numpy().tolist() == [8, 16] and by_k is None


def test_wide_integers_stay_wide(folder):
    module = tf.Module()
    module.f = tf.function(lambda x: x + 1, input_signature=[tf.TensorSpec([None], tf.int64)])
    loaded = _reloaded(module, folder)
    found = loaded.f(tf.constant([2**40], tf.int64))
    assert found.dtype == tf.int64 and found.numpy().tolist() == [2**40 + 1]


@pytest.mark.parametrize("several", [False, True])
def test_models(folder, several):
    inputs = [keras.Input((3,), name="a"), keras.Input((2,), name="b")]
    outputs = [keras.layers.Dense(2)(inputs[0]), inputs[1] * 2.0]
    model = keras.Model(inputs, outputs) if several else keras.Model(inputs[0], outputs[0])
    serve = _reloaded(model, folder).signatures["serving_default"]
    x, y = tf.ones([4, 3]), tf.ones([4, 2])
    given = {"inputs": x, "inputs_1": y} if several else {"inputs": x}
    found, wanted = serve(**given), model([x, y] if several else x)
    for number, value in enumerate(wanted if several else [wanted]):
        np.testing.assert_allclose(found[f"output_{number}"], value, rtol=1e-6)


def test_what_model_export_wrote(folder):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.export(folder, format="stablehlo", verbose=False)
    loaded, x = tf.saved_model.load(folder), tf.ones([2, 3])
    np.testing.assert_allclose(loaded.serve(x), model(x), rtol=1e-6)
    assert len(loaded.variables) == 2


def test_a_checkpoint_of_what_was_loaded(folder, tmp_path):
    loaded = _reloaded(Outer(), folder)
    path = tf.train.Checkpoint(loaded).save(str(tmp_path / "ckpt"))
    loaded.inner.k.assign([[5.0, 6.0]])
    tf.train.Checkpoint(loaded).restore(path)
    assert loaded.inner.k.numpy().tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("function", "ranks", "given", "wrong"),
    [
        (lambda x: x @ tf.ones([3, 2]), [2], [[4, 3]], [[4, 2]]),
        (lambda x: tf.reshape(x, [-1, 6]) @ tf.ones([6, 1]), [4], [[2, 3, 2, 1]], [[2, 2, 2, 1]]),
        (lambda x, y: (x @ tf.ones([3, 2]), y @ tf.ones([4, 2])), [2, 2], [[5, 3], [5, 4]], None),
        (lambda x: x @ x, [2], [[3, 3]], [[3, 2]]),
    ],
)
def test_sizes_that_a_function_fixes_may_be_unknown(folder, function, ranks, given, wrong):
    module = tf.Module()
    signature = [tf.TensorSpec([None] * rank, tf.float32) for rank in ranks]
    module.f = tf.function(function, input_signature=signature)
    concrete, loaded = module.f.get_concrete_function(), _reloaded(module, folder)
    x = [tf.reshape(tf.range(float(np.prod(shape))), shape) for shape in given]
    for called in (concrete, loaded.f, loaded.signatures["serving_default"]):
        found = called(*x)
        found = list(found.values()) if isinstance(found, dict) else found
        tf.nest.map_structure(np.testing.assert_allclose, tf.nest.flatten(found),
                              tf.nest.flatten(function(*x)))  # fmt: skip
    if wrong:
        for called in (concrete, loaded.f):
            with pytest.raises(tf.errors.InvalidArgumentError):
                called(*map(tf.ones, wrong))


def test_tensors_of_unknown_rank(folder):
    module, unknown = Outer(), tf.TensorSpec(None, tf.float32)
    module.h = tf.function(lambda x: tf.reduce_sum(x, -1) * module.w, input_signature=[unknown])
    module.two = tf.function(lambda x, y: {"z": x * y}, input_signature=[unknown, unknown])
    given = {"serving_default": module.h, "two": module.two}
    loaded, x = _reloaded(module, folder, signatures=given), tf.ones([2, 3])
    for called in (
        module.h,
        loaded.h,
        lambda x: loaded.signatures["serving_default"](x)["output_0"],
    ):
        assert called(x).numpy().tolist() == [6, 6] and called(x[0]).numpy() == 6
    assert loaded.signatures["two"](x=x, y=tf.constant(3.0))["z"].numpy().tolist() == [[3] * 3] * 2
    assert loaded.signatures["serving_default"].structured_outputs["output_0"].shape.rank is None
    with pytest.raises(tf.errors.InvalidArgumentError, match="ranks"):
        loaded.signatures["serving_default"](tf.constant(1.0))


def test_ragged_tensors(folder):
    module = Outer()
    ragged, number = tf.RaggedTensorSpec([None, None, None]), tf.TensorSpec([], tf.float32)
    module.h = tf.function(lambda x, y: {"a": x * y, "b": [x.flat_values * module.w]})
    module.h.get_concrete_function(ragged, number)
    loaded = _reloaded(module, folder)
    x = tf.ragged.constant([[[1.0, 2.0], []], [[3.0]], []], ragged_rank=2)
    with tf.GradientTape() as tape:
        found = loaded.h(x, 2.0)
        loss = tf.reduce_sum(found["b"][0])
    assert found["a"].to_list() == [[[2, 4], []], [[6]], []]
    assert found["b"][0].numpy().tolist() == [2, 4, 6]
    assert tape.gradient(loss, loaded.w).numpy() == 6
    with pytest.raises(ValueError, match="Could not find matching"):
        loaded.h(x[0], 2.0)


def test_batches_of_different_sizes(folder):
    module, batch = tf.Module(), tf.TensorSpec([None], tf.float32)
    module.f = tf.function(lambda x, y: (x + 1, y * 2), input_signature=[batch, batch])
    x, y = _reloaded(module, folder).f(tf.ones([2]), tf.ones([3]))
    assert x.numpy().tolist() == [2, 2] and y.numpy().tolist() == [2, 2, 2]


def test_a_model_that_is_not_built_has_no_signature(folder):
    loaded = _reloaded(keras.Sequential([keras.layers.Dense(2)]), folder)
    assert not loaded.signatures and loaded.variables == []


def test_files_of_an_object_are_saved_with_it(folder, tmp_path):
    module, index = tf.Module(), tf.lookup.TextFileIndex
    for name, words in (("words", "a\nb\n"), ("other/words", "c\n")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(words)
    module.words = tf.saved_model.Asset(str(tmp_path / "words"))
    module.others = [tf.saved_model.Asset(str(tmp_path / "other" / "words"))]

    def of(asset):
        lines = asset, tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER
        table = tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer(*lines), -1)
        return table.lookup(tf.constant(["b", "c"])).numpy().tolist()

    loaded = _reloaded(module, folder)
    (tmp_path / "words").unlink()
    assert loaded.words.asset_path.numpy().decode() == f"{folder}/assets/words"
    assert of(loaded.words) == [1, -1] and of(loaded.others[0]) == [-1, 0]
    with pytest.raises(tf.errors.NotFoundError, match="words; No such file"):
        tf.saved_model.save(module, folder + "2")


def test_prints_and_checks_of_values_are_left_out(folder):
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([], tf.int32)])
    def f(n):
        tf.debugging.assert_positive(n)
        for i in tf.range(n):
            tf.print(i)
            last = i * 2
        return last

    module.f = f
    assert int(_reloaded(module, folder).f(tf.constant(3))) == 4


def test_functions_that_make_text(folder):
    module, labels = tf.Module(), tf.constant(["cat", "dog"])
    module.w = tf.Variable([[1.0, -1.0]])

    @tf.function(input_signature=[tf.TensorSpec([None, 1])])
    def serve(x):
        names = tf.gather(labels, tf.argmax(x @ module.w, -1))
        signs = tf.where(x[:, 0] > 0, "+", "-")
        shown = tf.strings.as_string(x[:, 0], precision=1)
        return {"names": tf.strings.upper(names), "signs": signs, "x": x, "all": labels, "n": shown}

    module.serve = serve
    loaded, x = _reloaded(module, folder), tf.constant([[2.0], [-3.0]])
    for found in (loaded.serve(x), loaded.signatures["serving_default"](x=x), serve(x)):
        assert found.pop("x").numpy().tolist() == [[2.0], [-3.0]]
        texts = {"names": [b"CAT", b"DOG"], "signs": [b"+", b"-"], "all": [b"cat", b"dog"]}
        assert {k: v.numpy().tolist() for k, v in found.items()} == {
            **texts,
            "n": [b"2.0", b"-3.0"],
        }
    outputs = loaded.signatures["serving_default"].structured_outputs
    assert outputs["names"] == tf.TensorSpec([None], tf.string)


def test_errors(folder):
    with pytest.raises(ValueError, match="takes a tf.Module"):
        tf.saved_model.save(3, folder)
    with pytest.raises(OSError, match="SavedModel file does not exist at: .*saved_model.pb"):
        tf.saved_model.load(folder)
    module = tf.Module()
    module.f = tf.function(lambda x: x + x)
    module.f(tf.constant("abc"))
    with pytest.raises(ValueError, match="'<lambda>' cannot be saved: .*text"):
        tf.saved_model.save(module, folder)
    module.f = tf.function(tf.strings.length, input_signature=[tf.TensorSpec([None], tf.string)])
    with pytest.raises(ValueError, match="in SavedModels only"):
        tf.saved_model.save(module, folder)

    class Shown(tf.experimental.ExtensionType):
        values: tf.Tensor

        def __repr__(self):
            return f"of shape {self.values.shape}"

    module.f = tf.function(lambda x: x.values)
    module.f(Shown([1.0]))
    with pytest.raises(ValueError, match="takes an extension type, Shown: pass its tensors"):
        tf.saved_model.save(module, folder)
    text = keras.Input((1,), dtype="string")
    model = keras.Model(text, keras.layers.StringLookup(vocabulary=["a"])(text))
    with pytest.raises(ValueError, match="'string_lookup.*SavedModels can contain StringLookup"):
        tf.saved_model.save(model, folder)
    several = [tf.TensorSpec(None, tf.float32)] * 3
    module.f = tf.function(lambda x, y, z: x, input_signature=several)
    with pytest.raises(ValueError, match="3 tensors of unknown rank"):
        tf.saved_model.save(module, folder)
    wide = tf.TensorSpec([None, None], tf.float32)
    module.f = tf.function(lambda x: [x + i for i in range(x.shape[0])], input_signature=[wide])
    with pytest.raises(ValueError, match="with the unknown sizes of its input_signature"):
        tf.saved_model.save(module, folder)
    assert not tf.saved_model.contains_saved_model(folder)


def _sum(x, y, z=10.0):
    return x - y + z


SCALAR = tf.TensorSpec([], tf.float32)


def test_concrete_functions_in_attributes(folder):
    module = tf.Module()
    module.w = tf.Variable(3.0)

    @tf.function
    def scaled(x, scale, negative=False, *, y):
        return (-x if negative else x) * scale * module.w + y

    module.f = scaled.get_concrete_function(SCALAR, 2.0, True, y=SCALAR)
    module.several = [tf.function(_sum).get_concrete_function(SCALAR, 1.0, z) for z in (2.0, 3.0)]
    loaded = _reloaded(module, folder)
    assert loaded.f(x=tf.constant(1.0), y=tf.constant(5.0)).numpy() == -1
    assert [f(tf.constant(1.0)).numpy() for f in loaded.several] == [2, 3]
    assert list(loaded.signatures) == ["serving_default"]
    with pytest.raises(ValueError, match="eval"):
        tf.saved_model.load(folder, tags="eval")


def test_functions_with_bound_arguments(folder):
    module = tf.Module()
    module.f = tf.function(functools.partial(_sum, y=1.0))
    module.g = tf.function(functools.partial(_sum, tf.constant(2.0)), input_signature=[SCALAR])
    assert module.f(tf.constant(4.0)).numpy() == 13
    loaded = _reloaded(module, folder)
    assert loaded.f(tf.constant(4.0)).numpy() == 13 and loaded.g(tf.constant(4.0)).numpy() == 8


def test_what_was_loaded_is_saved_again(folder, tmp_path):
    outer = Outer()
    outer.g(tf.ones([3, 1])), outer.g(training=True, x=tf.ones([2]))
    first = _reloaded(outer, folder)
    first.w.assign(5.0)
    module = tf.Module()
    module.inner = first
    module.twice = tf.function(lambda x: first.f(x) * 2, [tf.TensorSpec([None], tf.float32)])
    loaded = _reloaded(module, str(tmp_path / "again"))
    assert loaded.twice([1.0, 2.0]).numpy().tolist() == [10, 20]
    assert loaded.inner.f([3.0]).numpy().tolist() == [15]
    assert loaded.inner.n.numpy() == 2 and first.n.numpy() == 0
    assert loaded.inner.g(tf.ones([2]), True)["y"].numpy().tolist() == [5, 5]
    tf.saved_model.save(first, str(tmp_path / "signed"), signatures=first.signatures)
    serve = tf.saved_model.load(str(tmp_path / "signed")).signatures["serving_default"]
    assert serve(x=tf.constant([2.0]))["output_0"].numpy().tolist() == [10]
