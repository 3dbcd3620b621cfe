"""`tf.data`: elements, orders, specs and lengths are TensorFlow's."""

import contextlib
import json
import os
import sqlite3
import types

import numpy as np
import pytest

import keraslike
from keraslike import tf
from keraslike.core import rng
from keraslike.tf.data import view
from tests.tf import data_programs

with open(os.path.join(data_programs.HERE, "data_programs.json")) as file:
    KNOWN = json.load(file)


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    rng.chosen = None  # as if no global seed had been set
    folder = str(tmp_path_factory.mktemp("data"))
    data_programs.write_files(tf, folder)
    return data_programs.programs(tf, folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", KNOWN)
def test_as_tensorflow(programs, name, monkeypatch):
    monkeypatch.setattr(rng, "chosen", None)
    elements, spec, count = KNOWN[name]
    dataset = programs[name]
    assert [data_programs.plain(e) for e in dataset] == elements
    assert repr(data_programs.ordinary(dataset.element_spec)) == spec
    assert int(dataset.cardinality()) == count


D = tf.data.Dataset


@pytest.mark.parametrize(
    "make, spec",
    [
        (
            lambda: tf.data.TextLineDataset([]).map(lambda x: (x, 0)).batch(32),
            (tf.TensorSpec([None], tf.string), tf.TensorSpec([None], tf.int32)),
        ),
        (
            lambda: tf.data.TextLineDataset([]).map(tf.strings.split),
            tf.TensorSpec([None], tf.string),
        ),
        (
            lambda: D.range(0).interleave(lambda i: D.range(3)).map(tf.strings.as_string),
            tf.TensorSpec([], tf.string),
        ),
        (
            lambda: (
                tf.data.TextLineDataset([])
                .map(lambda x: (x, 0))
                .concatenate(tf.data.TextLineDataset([]).map(lambda x: (x, 1)))
                .shuffle(3)
            ),
            (tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int32)),
        ),
    ],
    ids=["lines", "words", "interleaved", "joined"],
)
def test_what_elements_would_be_is_known_where_there_are_none(make, spec):
    assert make().element_spec == spec and list(make()) == []  # as in TensorFlow


def test_what_raises_for_every_example_has_no_spec():
    with pytest.raises(ValueError, match="An empty data set has no element_spec"):
        tf.data.TextLineDataset([]).map(lambda x: tf.io.decode_png(x)).element_spec  # noqa: B018


def values(dataset):
    return [data_programs.plain(e) for e in dataset]


def test_the_classes_are_one_and_elements_are_tensors_for_who_asked():
    plain = keraslike.utils.timeseries_dataset_from_array(np.arange(8), None, 3)
    assert isinstance(plain, D) and isinstance(D.range(3), keraslike.data.Dataset)
    assert isinstance(next(iter(plain)), np.ndarray)
    assert isinstance(next(iter(D.zip((plain, D.range(9)))))[0], tf.Tensor)
    assert isinstance(tf.data.TextLineDataset([]), tf.data.TextLineDataset)

    class Numbers(D):  # as TensorFlow's guide has it
        def __new__(cls, count):
            return D.range(count)

    assert values(Numbers(3).map(lambda n: n + 1)) == [1, 2, 3]


def test_functions_are_traced_once_and_draw_anew_each_time():
    traced = []

    def drawn(x):
        traced.append(x)
        return x + tf.random.uniform([])

    dataset = D.from_tensor_slices(np.zeros(9, "float32")).map(drawn)
    assert len(set(values(dataset))) == 9 and len(traced) <= 2
    weight = tf.Variable(2.0)
    scaled = D.range(2).map(lambda n: weight * tf.cast(n, tf.float32))
    assert values(scaled) == [0.0, 2.0]
    weight.assign(3.0)
    assert values(scaled) == [0.0, 3.0]

    def halved(n):
        if n % 2 == 0:
            return n // 2
        return n

    assert values(D.range(5).map(halved).batch(5)) == [[0, 1, 1, 3, 2]]
    python = D.range(3).map(lambda n: tf.numpy_function(lambda m: m * 2, [n], tf.int64))
    assert values(python.batch(3)) == [[0, 2, 4]]
    with pytest.raises(tf.errors.InvalidArgumentError, match="must have the same shape"):
        list(D.range(3).map(tf.range).batch(3))


def test_batches_of_mapped_rows_are_what_the_rows_are():
    x = np.random.default_rng(0).normal(size=(37, 5)).astype("float32")
    dataset = D.from_tensor_slices({"x": x}).map(lambda d: (tf.exp(d["x"]), tf.linalg.norm(d["x"])))
    rows = list(dataset.as_numpy_iterator())
    for batch, first in zip(dataset.batch(16).as_numpy_iterator(), (0, 16, 32)):
        for i, part in enumerate(batch):
            np.testing.assert_array_equal(part, [row[i] for row in rows[first : first + 16]])


def test_as_ready_gives_all_and_datasets_of_unknown_elements_say_so():
    assert sorted(values(D.range(9).map(lambda n: n, 3, deterministic=False))) == list(range(9))
    endless = D.range(9).repeat()
    assert endless.cardinality() == tf.data.INFINITE_CARDINALITY
    ahead = endless.interleave(lambda n: D.range(2), num_parallel_calls=1)
    assert ahead.cardinality() == tf.data.INFINITE_CARDINALITY
    for unknown in (
        endless.interleave(lambda n: D.range(2)),
        endless.filter(lambda n: n > 1),
        endless.ignore_errors(),
        endless.batch(2).rebatch(3),
        D.range(9).apply(tf.data.experimental.copy_to_device("/cpu:0")),
        D.range(9).apply(tf.data.experimental.prefetch_to_device("/cpu:0")),
    ):
        assert unknown.cardinality() == tf.data.UNKNOWN_CARDINALITY
    with pytest.raises(TypeError, match="length is unknown"):
        len(D.range(3).filter(lambda n: n > 1))
    with pytest.raises(tf.errors.InvalidArgumentError, match="was expected"):
        list(D.from_generator(lambda: iter([[1, 2]]), output_signature=tf.TensorSpec([3], "int32")))
    assert D.range(4).reduce(np.int64(0), lambda s, n: s + n).numpy() == 6
    assert D.range(3).batch(3).get_single_element().numpy().tolist() == [0, 1, 2]
    with pytest.raises(tf.errors.InvalidArgumentError, match="more than one"):
        D.range(3).get_single_element()
    assert values(D.range(3).map(lambda n: 1 / n).apply(tf.data.experimental.ignore_errors()))
    with pytest.raises(tf.errors.FailedPreconditionError, match="to have 4 elements, but has 3"):
        list(D.range(3).apply(tf.data.experimental.assert_cardinality(4)))
    with pytest.raises(tf.errors.FailedPreconditionError, match="infinitely many"):
        list(D.range(3).apply(tf.data.experimental.assert_cardinality(-1)))


def test_draws_have_the_shares_that_were_asked_for():
    zeros, ones = D.from_tensors(0).repeat(), D.from_tensors(1).repeat()
    drawn = values(D.sample_from_datasets([zeros, ones], [0.2, 0.8], seed=1).take(1000))
    assert 0.75 < np.mean(drawn) < 0.85
    uneven = D.from_tensor_slices(np.arange(2000) % 10 == 0)
    even = values(uneven.rejection_resample(lambda x: tf.cast(x, tf.int32), [0.5, 0.5], seed=2))
    assert 0.4 < np.mean([x for _, x in even]) < 0.6 and len(even) > 200


PIPELINES = {
    "arrays": lambda: D.range(40).shuffle(40, seed=1).batch(3),
    "repeated": lambda: D.range(7).shuffle(3, seed=1).repeat(5).batch(2),
    "mapped": lambda: D.range(20).shuffle(9).map(lambda n: n * n).shuffle(4).prefetch(2),
    "zipped": lambda: D.zip((D.range(20).shuffle(5, seed=2), D.range(30).skip(4))).enumerate(),
    "filtered": lambda: D.range(40).shuffle(7).filter(lambda n: n % 3 > 0).take(15).skip(1),
    "joined": lambda: D.range(9).concatenate(D.range(9).shuffle(9)).shard(2, 1),
    "few": lambda: D.range(9).filter(lambda n: n > 5).concatenate(D.range(9)),
    "windows": lambda: D.range(20).window(3, 1, drop_remainder=True).flat_map(lambda w: w.batch(3)),
    "drawn": lambda: D.sample_from_datasets([D.range(9), D.range(9).shuffle(9)]),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_an_iterator_goes_on_where_another_was(name):
    dataset = PIPELINES[name]()
    list(dataset.take(1))  # an iteration before
    iterator = iter(dataset)
    for count in (0, 5):
        for _ in range(count):
            next(iterator)
        state = json.loads(json.dumps(iterator.get_state()))
        rest = values(iterator) if count else None
    again = iter(dataset)
    again.set_state(state)
    assert values(again) == rest
    with pytest.raises(tf.errors.OutOfRangeError):
        again.get_next()
    with pytest.raises(ValueError, match="parts"):
        iter(dataset.take(1)).set_state(state)


def test_a_restored_iterator_makes_no_elements_that_were_taken():
    made = []
    dataset = D.range(1000).map(
        lambda n: tf.py_function(lambda m: made.append(int(m)) or m, [n], tf.int64)
    )
    iterator = iter(dataset.batch(10).prefetch(1))
    iterator.set_state({"orders": iterator.get_state()["orders"], "taken": 90})
    assert next(iterator).numpy()[0] == 900 and min(made) >= 900


def test_a_compiled_function_that_takes_elements_or_text_is_run_by_python():
    total = tf.Variable(0.0)

    @tf.function
    def added(dataset):
        for x in dataset:
            total.assign_add(x)
        return total + 0

    dataset = D.from_tensor_slices([1.0, 2.0, 3.0])
    assert float(added(dataset)) == 6.0 and float(added(dataset.take(1))) == 7.0
    doubled = tf.function(lambda t: tf.strings.join([t, t]))
    assert doubled("a").numpy() == b"aa"
    assert values(D.from_tensor_slices(["b"]).map(doubled)) == ["bb"]
    with pytest.raises(TypeError, match="would become constants"):
        tf.function(added.python_function).get_concrete_function(dataset)


def test_options_and_the_names_that_there_were_before(monkeypatch):
    monkeypatch.setattr(rng, "chosen", None)
    options = tf.data.Options()
    options.threading.private_threadpool_size = 2
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    dataset = D.range(4).with_options(options).map(lambda n: n).batch(2)
    assert dataset.options() == options and D.range(1).options() == tf.data.Options()
    with pytest.raises(AttributeError, match="Cannot set the property speed"):
        options.speed = 2
    old = tf.data.experimental
    assert old.INFINITE_CARDINALITY == -1 and values(old.from_list([1, 2])) == [1, 2]
    assert values(old.Counter(3, 2).take(2)) == [3, 5]
    shuffled = D.range(7).shuffle(2, seed=2)  # of all elements, where they are asked for by numbers
    assert [int(old.at(shuffled, i)) for i in range(7)] == [4, 1, 3, 6, 0, 2, 5]
    assert old.at(D.range(9), 4).numpy() == 4 and old.cardinality(D.range(9)).numpy() == 9
    with pytest.raises(TypeError, match="cannot return"):
        list(D.range(1).map(lambda n: {1, 2}))
    batches = D.range(4).apply(old.map_and_batch(lambda n: n + 1, 2)).apply(old.unbatch())
    assert values(batches) == [1, 2, 3, 4]


def dense(**kwargs):
    model = keraslike.Sequential([keraslike.Input((2,)), keraslike.layers.Dense(1)])
    model.layers[0].set_weights([np.ones((2, 1)), np.zeros(1)])
    model.compile(keraslike.optimizers.SGD(0.05), "mse", **kwargs)
    return model


def test_fit_evaluate_and_predict_are_those_of_the_arrays():
    x = np.random.default_rng(0).normal(size=(20, 2)).astype("float32")
    y, weight = (x[:, :1] > 0).astype("int64"), np.arange(20, dtype="float32")
    pairs = D.from_tensor_slices((x, y)).batch(5)
    triples = D.from_tensor_slices((x, y, weight)).batch(5)
    for dataset, more in (
        (pairs, {}),
        (triples, {"sample_weight": weight}),
        (pairs, {"class_weight": {0: 1.0, 1: 3.0}}),
    ):
        one, other = dense(), dense()
        rest = {k: v for k, v in more.items() if k == "class_weight"}
        first = one.fit(x, y, batch_size=5, shuffle=False, epochs=2, verbose=0, **more)
        second = other.fit(dataset, epochs=2, verbose=0, **rest)
        np.testing.assert_allclose(second.history["loss"], first.history["loss"], rtol=1e-5)
    assert other.evaluate(pairs, verbose=0) == pytest.approx(one.evaluate(x, y, 5, verbose=0))
    inputs = pairs.map(lambda x, y: x)
    np.testing.assert_allclose(other.predict(inputs, verbose=0), one.predict(x, verbose=0), 1e-5)
    steps = other.fit(pairs.repeat(), steps_per_epoch=3, epochs=2, validation_data=pairs, verbose=0)
    assert int(other.optimizer.iterations) == 8 + 6 and "val_loss" in steps.history


def test_a_backup_keeps_the_position_in_a_pipeline(tmp_path):
    x = np.random.default_rng(0).normal(size=(12, 2)).astype("float32")

    def trained(*callbacks):
        keraslike.utils.set_random_seed(0)
        model = dense()
        data = D.from_tensor_slices((x, x[:, :1])).shuffle(5, seed=1)
        data = data.map(lambda a, b: (a * 2, b)).batch(2).prefetch(1)
        model.fit(data.repeat(), steps_per_epoch=4, epochs=4, callbacks=list(callbacks), verbose=0)
        return model

    class Stop(keraslike.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.optimizer.iterations) == 9:
                raise InterruptedError

    backup = {"backup_dir": tmp_path, "save_freq": 1, "double_checkpoint": True}
    whole = trained()
    with pytest.raises(InterruptedError):
        trained(keraslike.callbacks.BackupAndRestore(**backup), Stop())
    again = trained(keraslike.callbacks.BackupAndRestore(**backup))
    assert int(again.optimizer.iterations) == 16
    np.testing.assert_allclose(again.get_weights()[0], whole.get_weights()[0], rtol=1e-6)


# -- files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["", "GZIP", "ZLIB"])
def test_damaged_records_are_refused_by_file_and_place(tmp_path, kind):
    path = str(tmp_path / "records")
    with tf.io.TFRecordWriter(path, tf.io.TFRecordOptions(kind)) as writer:
        for record in (b"a" * 50, b"b" * 300, b"c"):
            writer.write(record)
    assert values(tf.data.TFRecordDataset([path], kind)) == ["a" * 50, "b" * 300, "c"]
    with open(path, "rb") as file:
        whole = file.read()
    if kind:
        with open(path, "wb") as file:
            file.write(whole[:-20])
        with pytest.raises(tf.errors.DataLossError, match="records: the record at"):
            list(tf.data.TFRecordDataset(path, kind))
        return
    for place, what in ((70, "at 66 is corrupted.*length"), (100, "at 66 is corrupted.*checksum")):
        with open(path, "wb") as file:
            file.write(whole[:place] + b"!" + whole[place + 1 :])
        elements = iter(tf.data.TFRecordDataset(path))
        assert next(elements).numpy() == b"a" * 50
        with pytest.raises(tf.errors.DataLossError, match=f"records: the record {what}"):
            list(elements)
    with open(path, "wb") as file:
        file.write(whole[:-3])
    with pytest.raises(tf.errors.DataLossError, match="at 382 is cut off"):
        list(tf.data.TFRecordDataset(path))


def test_elements_are_kept_in_files(tmp_path):
    given = {"x": np.arange(6.0).reshape(3, 2), "t": ["a", "", "ä"], "n": (np.arange(3),)}
    dataset = D.from_tensor_slices(given)
    for kind, shards in ((None, None), ("GZIP", lambda d: d["n"][0] % 2)):
        path = str(tmp_path / f"saved{kind}")
        dataset.save(path, compression=kind, shard_func=shards)
        loaded = D.load(path)
        found = sorted(values(loaded), key=str) if shards else values(loaded)
        assert found == (sorted(values(dataset), key=str) if shards else values(dataset))
        assert loaded.element_spec == dataset.element_spec
    runs = []
    counted = D.range(4).map(lambda n: tf.py_function(lambda m: runs.append(1) or m, [n], tf.int64))
    kept = counted.cache(str(tmp_path / "cache"))
    list(kept.take(2))
    assert not os.path.exists(tmp_path / "cache")  # it is not whole
    runs.clear()
    assert values(kept) == values(counted.cache(str(tmp_path / "cache"))) == [0, 1, 2, 3]
    assert len(runs) == 4
    with pytest.raises(FileNotFoundError, match="no saved data set"):
        D.load(str(tmp_path))
    with pytest.raises(ValueError, match="No files matched"):
        D.list_files(str(tmp_path / "*.none"))


def test_rows_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "t.csv"
    for text, error in (
        ("1\n", "Expect 2 fields but have 1"),
        ("1,x\n", "Field 1.*not a valid int32"),
    ):
        path.write_text(text)
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"{error}.*t.csv"):
            list(tf.data.experimental.CsvDataset(str(path), [0, 0]))


def test_a_generator_gets_numbers_for_arrays_without_axes():
    kinds = D.from_generator(
        lambda *args: [[type(a).__name__ for a in args]], tf.string, [None], args=(0, 1.5, "a", [1])
    )
    assert next(iter(kinds)).numpy().tolist() == [b"int32", b"float32", b"bytes", b"ndarray"]


def test_arrays_that_are_changed_later_are_not_the_data_sets():
    def numbers():
        one = np.zeros(2, "int32")
        for n in range(4):
            one[:] = n
            yield one

    signature = tf.TensorSpec([2], tf.int32)
    for more in ({"output_types": tf.int32}, {"output_signature": signature}):
        dataset = D.from_generator(numbers, **more)
        assert values(dataset.batch(4)) == [[[n, n] for n in range(4)]]
    x = np.arange(4)
    rows, whole = D.from_tensor_slices(x), D.from_tensors(x)
    x[:] = 9
    assert (values(rows), values(whole)) == ([0, 1, 2, 3], [[0, 1, 2, 3]])


def test_data_sets_are_shown_as_in_tensorflow(tmp_path):
    dataset = tf.data.Dataset
    numbers = dataset.from_tensor_slices(np.arange(6, dtype="int32"))
    scalar = "TensorSpec(shape=(), dtype=tf.int32, name=None)"
    shown = {
        "_TensorSliceDataset": numbers,
        "_MapDataset": numbers.map(lambda x: x + 1),
        "_ParallelMapDataset": numbers.map(lambda x: x + 1, tf.data.AUTOTUNE),
        "_FilterDataset": numbers.filter(lambda x: x > 1),
        "_ShuffleDataset": numbers.batch(2).unbatch().shuffle(3),
        "_PrefetchDataset": numbers.prefetch(1),
        "CacheDataset": numbers.cache(),
        "_TakeDataset": numbers.take(2),
        "_ParallelInterleaveDataset": numbers.interleave(
            dataset.from_tensors, num_parallel_calls=2
        ),
        "_DirectedInterleaveDataset": dataset.sample_from_datasets([numbers, numbers]),
    }
    for name, made in shown.items():
        assert repr(made) == f"<{name} element_spec={scalar}>"
    assert repr(numbers.batch(2)) == (
        "<_BatchDataset element_spec=TensorSpec(shape=(None,), dtype=tf.int32, name=None)>"
    )
    assert repr(dataset.zip({"a": numbers})) == f"<_ZipDataset element_spec={{'a': {scalar}}}>"
    assert repr(numbers.window(2)) == (
        f"<_WindowDataset element_spec=DatasetSpec({scalar}, TensorShape([]))>"
    )
    text = "TensorSpec(shape=(), dtype=tf.string, name=None)"
    assert repr(tf.data.TextLineDataset(__file__)) == f"<TextLineDatasetV2 element_spec={text}>"
    # What cannot be made has no spec, and is shown all the same.
    missing = dataset.from_tensors("nowhere").map(tf.io.read_file).map(tf.io.decode_jpeg)
    assert repr(missing) == "<_MapDataset>"


def test_sparse_elements_have_any_size():
    features = {"a": tf.io.VarLenFeature(tf.int64)}
    values = tf.train.Feature(int64_list=tf.train.Int64List(value=[1, 2]))
    example = tf.train.Example(features=tf.train.Features(feature={"a": values}))
    records = tf.data.Dataset.from_tensors(example.SerializeToString())
    parsed = records.map(lambda text: tf.io.parse_single_example(text, features))
    assert parsed.element_spec == {"a": tf.SparseTensorSpec([None], tf.int64)}
    batches = records.batch(2).map(lambda texts: tf.io.parse_example(texts, features))
    assert batches.element_spec == {"a": tf.SparseTensorSpec([None, None], tf.int64)}


def lengths(n=6):
    return D.range(n).map(lambda k: tf.range(k))


@pytest.mark.parametrize(
    "make, error, text",
    [
        (lambda: D.range(3).filter(lambda n: n), ValueError, "predicate must return one tf.bool"),
        (lambda: D.range(3).filter(lambda n: [n > 1]), ValueError, "predicate must return"),
        (lambda: D.range(3).take_while(lambda n: 1.0), ValueError, "predicate must return"),
        (
            lambda: D.range(3).scan(0, lambda s, n: (n, n)),
            TypeError,
            "the dtypes of the one before",
        ),
        (lambda: D.from_tensor_slices([1.0]).unique(), TypeError, "unique.. is for int32, int64"),
        (
            lambda: D.choose_from_datasets([D.range(2)], D.from_tensor_slices([0])),
            TypeError,
            "int64",
        ),
        (
            lambda: D.from_generator(lambda: iter([1])),
            TypeError,
            "output_signature or output_types",
        ),
        (
            lambda: D.from_generator(iter, tf.int32, output_signature=()),
            TypeError,
            "cannot be given together",
        ),
        (
            lambda: D.range(3).interleave(D.range, 1, num_parallel_calls=2),
            tf.errors.InvalidArgumentError,
            "must be at most cycle_length",
        ),
        (
            lambda: D.from_generator(iter, output_signature=[tf.TensorSpec([])]),
            TypeError,
            "tuples for lists",
        ),
        (
            lambda: D.from_tensor_slices(tf.ragged.constant([[1], [2, 3]])).padded_batch(2),
            TypeError,
            "needs elements that are arrays",
        ),
        (
            lambda: D.from_tensors([1, 2]).padded_batch(1, padding_values="x"),
            TypeError,
            "do not fit",
        ),
        (
            lambda: D.from_tensors("").map(lambda s: tf.io.parse_single_example(s, {})),
            ValueError,
            "features must be",
        ),
        (lambda: D.range(3).filter(lambda n: True).unbatch(), ValueError, "have no rows"),
        (lambda: D.range(3).rebatch(2), ValueError, "have no rows"),
        (lambda: D.from_tensors(([1], [1, 2])).unbatch(), ValueError, "must have the same length"),
        (lambda: D.range(3).batch(0), tf.errors.InvalidArgumentError, "batch_size must be"),
        (lambda: D.range(3).window(0), tf.errors.InvalidArgumentError, "size must be"),
        (lambda: D.range(3).shuffle(0), tf.errors.InvalidArgumentError, "buffer_size must be"),
        (
            lambda: D.range(3).map(
                lambda x: tf.py_function(lambda n: next(iter(())), [x], "int64")
            ),
            tf.errors.InvalidArgumentError,
            "raised OutOfRangeError",
        ),
        (
            lambda: D.range(2).group_by_window(
                lambda x: 0, lambda key, group: D.from_tensors(next(iter([]))), 2
            ),
            tf.errors.InvalidArgumentError,
            "raised StopIteration",
        ),
        (lambda: D.range(3).padded_batch(2, [1]), ValueError, "cannot be padded to"),
        (lambda: D.from_tensors([1, 2]).padded_batch(2, [1]), ValueError, "cannot be padded to"),
        (lambda: D.from_tensors([1]).padded_batch(2, [[1], [1]]), ValueError, "one list of sizes"),
        (lambda: D.from_tensors([1]).padded_batch(2, [1.5]), TypeError, "integers and None"),
        (lambda: D.from_tensors([1]).sparse_batch(2, [-2]), ValueError, "at least 0"),
        (
            lambda: D.from_tensors([[1]]).sparse_batch(2, [3]),
            tf.errors.InvalidArgumentError,
            "do not fit row_shape",
        ),
        (lambda: tf.data.TextLineDataset(D.range(2)), TypeError, "a data set of texts"),
        (lambda: D.range(1, 2, 0), tf.errors.InvalidArgumentError, "must not be 0"),
        (lambda: D.choose_from_datasets([D.range(2)], None), TypeError, "takes data sets"),
        (lambda: D.choose_from_datasets([], D.range(2)), ValueError, "should not be empty"),
        (
            lambda: tf.data.experimental.DatasetInitializer(D.range(2)),
            ValueError,
            "pairs of scalars",
        ),
        (
            lambda: tf.data.experimental.table_from_dataset(D.range(2).map(lambda n: (n, "x"))),
            ValueError,
            "default_value must be given",
        ),
        (
            lambda: (
                D.from_tensors({"a": 1}).repeat().apply(tf.data.experimental.pad_to_cardinality(5))
            ),
            ValueError,
            "a known number of elements",
        ),
        (lambda: tf.data.experimental.from_list([]), ValueError, "a list of elements"),
        (
            lambda: tf.data.experimental.CsvDataset("x", [[[0]]]),
            tf.errors.InvalidArgumentError,
            "must be one value",
        ),
        (
            lambda: tf.data.experimental.CsvDataset("x", [0], buffer_size=0),
            tf.errors.InvalidArgumentError,
            "buffer_size must be",
        ),
        (
            lambda: tf.data.experimental.CsvDataset(os.devnull, [0], header=True),
            tf.errors.InvalidArgumentError,
            "has no header",
        ),
        (
            lambda: tf.data.experimental.make_csv_dataset(
                os.devnull, 1, column_names=["a", "b"], column_defaults=[0, 0], select_columns=["a"]
            ),
            ValueError,
            "each of the 1 columns",
        ),
        (lambda: D.load("/there/is/none"), tf.errors.NotFoundError, "no saved data set"),
        (
            lambda: D.from_tensors(tf.sparse.from_dense([1, 0])).padded_batch(1),
            TypeError,
            "padded_batch.. needs elements that are arrays",
        ),
    ],
)
def test_what_tensorflow_refuses(make, error, text):
    with pytest.raises(error, match=text):
        list(make())


def test_a_generator_gives_what_its_signature_says():
    given = D.from_generator(lambda: iter(np.arange(2.0)), output_signature=tf.TensorSpec([]))
    assert [n.dtype for n in given] == [tf.float32] * 2  # of float64


def test_ragged_batches_of_dicts_and_of_other_row_splits():
    words = D.from_tensor_slices(["a b", "c"]).map(
        lambda s: {"words": tf.strings.split(s), "size": tf.strings.length(s)}
    )
    batches = words.ragged_batch(2)
    assert repr(batches.element_spec["size"]) == repr(tf.TensorSpec([None], tf.int32))
    assert values(batches) == [{"words": [["a", "b"], ["c"]], "size": [3, 1]}]
    short = lengths(3).ragged_batch(2, row_splits_dtype=tf.int32)
    assert next(iter(short)).row_splits.dtype == short.element_spec.row_splits_dtype == tf.int32


def test_rows_of_ragged_tensors_are_plain_arrays_for_numpy():
    rows = D.from_tensor_slices(tf.ragged.constant([[1, 2], []])).as_numpy_iterator()
    assert [type(row) for row in rows] == [np.ndarray] * 2


def test_orders_follow_the_global_seed():
    tf.random.set_seed(11)
    assert values(D.range(10).shuffle(10)) == [3, 0, 5, 6, 2, 4, 1, 9, 8, 7]  # as in TensorFlow
    rng.chosen = None


def test_elements_that_there_may_be():
    elements = iter(D.range(1))
    first, second = elements.get_next_as_optional(), elements.get_next_as_optional()
    assert first.has_value() and int(first.get_value()) == 0 and not second.has_value()
    with pytest.raises(tf.errors.InvalidArgumentError, match="has no value"):
        second.get_value()


def test_sparse_batches_and_tables_of_data_sets():
    experimental = tf.data.experimental
    batches = lengths(3).apply(experimental.dense_to_sparse_batch(2, [4]))
    assert repr(batches.element_spec) == repr(tf.SparseTensorSpec([None, 4], tf.int64))
    assert values(batches) == [[[[1, 0]], [0], [2, 4]], [[[0, 0], [0, 1]], [0, 1], [1, 4]]]
    letters = D.from_tensor_slices(["a", "b"])
    table = experimental.index_table_from_dataset(letters)
    assert table.lookup(tf.constant(["b", "z"])).numpy().tolist() == [1, -1]
    pairs = D.zip((letters, D.range(5, 7)))
    table = experimental.table_from_dataset(pairs, default_value=np.int64(-2))
    assert table.lookup(tf.constant(["b", "z"])).numpy().tolist() == [6, -2]


def test_seeded_draws_begin_anew_with_each_iteration():
    dataset = D.range(3).map(lambda n: tf.random.uniform([], 0, 99, tf.int32, seed=3))
    first = values(dataset)
    assert values(dataset) == first == values(dataset.batch(3))[0]


class Masked:
    """An object that TensorFlow takes apart, too."""

    def __init__(self, mask, value):
        self.mask, self.value = mask, value

    def __tf_flatten__(self):
        return (self.mask,), (self.value,)

    @classmethod
    def __tf_unflatten__(cls, constant, parts):
        return cls(*constant, *parts)


def test_objects_of_users_classes_as_elements():
    dataset = D.from_tensor_slices({"m": Masked(True, [1, 2, 3])})
    doubled = dataset.map(lambda d: Masked("new", d["m"].value * 2)).batch(2)
    found = [(m.mask, m.value.numpy().tolist()) for m in doubled]
    assert found == [("new", [2, 4]), ("new", [6])]
    spec = doubled.element_spec
    assert isinstance(spec, Masked) and spec.value == tf.TensorSpec([None], tf.int32)
    assert tf.nest.map_structure(lambda x: x + 1, Masked(0, 1)).value == 2


def test_data_sets_that_are_made_alike_have_one_fingerprint():
    def made(size, add):
        return D.range(9).map(lambda n: n + add).batch(size).fingerprint()

    assert made(2, 1) == made(2, 1) and made(2, 1).dtype == tf.uint64
    assert len({int(made(2, 1)), int(made(3, 1)), int(made(2, 5))}) == 3


def test_functions_are_run_by_python_to_debug_them(monkeypatch):
    monkeypatch.setattr(view, "debugging", False)
    tf.data.experimental.enable_debug_mode()
    seen = []
    assert values(D.range(5).map(lambda n: seen.append(n) or n).batch(5)) == [[0, 1, 2, 3, 4]]
    assert len(seen) == 5


def test_options_have_types():
    with pytest.raises(TypeError, match="'deterministic' must be of type bool"):
        tf.data.Options().deterministic = 3


def test_draws_with_a_seed_differ_from_run_to_run_and_agree_within_one():
    def drawn(x):  # the same for an image and its mask
        return tf.random.uniform([], seed=2), tf.random.uniform([], seed=2)

    def of_text(s):  # not traced
        return drawn(tf.strings.to_number(s))

    for dataset in (D.range(5).map(drawn), D.from_tensor_slices(list("01234")).map(of_text)):
        pairs = [tuple(map(float, pair)) for pair in dataset]
        assert all(a == b for a, b in pairs) and len(set(pairs)) == 5
    picture = tf.constant([[[0.0], [1.0]]])
    flipped = D.range(30).map(lambda x: tf.image.random_flip_left_right(picture, seed=4))
    assert {x.numpy()[0, 0, 0] for x in flipped} == {0.0, 1.0}
    assert len({float(tf.random.uniform([], seed=2)) for _ in range(3)}) == 3
    traced = tf.function(lambda: tf.random.normal([], seed=2) - tf.random.normal([], seed=3))
    assert len({float(traced()) for _ in range(3)}) == 3

    def again():
        tf.random.set_seed(7)
        return [float(tf.random.uniform([], seed=2)), *values(D.range(2).map(drawn))]

    try:
        assert again() == again()
    finally:
        rng.chosen = None


def test_seeds_of_any_size_and_sign(monkeypatch):  # orders are TensorFlow's
    monkeypatch.setattr(rng, "chosen", None)
    assert values(D.range(10).shuffle(10, seed=-1)) == [8, 3, 7, 5, 6, 2, 1, 0, 9, 4]
    assert values(D.range(10).shuffle(10, seed=2**40)) == [6, 8, 0, 4, 1, 3, 7, 9, 5, 2]


@tf.function
def total_of(x):
    return (
        D.from_tensor_slices(x)
        .window(2)
        .flat_map(lambda w: w.batch(2))
        .reduce(0.0, lambda s, v: s + tf.reduce_max(v))
    )


@tf.function
def total_below(n):
    total = tf.constant(0, tf.int64)
    for number in D.range(n).filter(lambda v: v % 2 == 0):
        total += number
    return total


def test_data_sets_of_what_a_function_is_given():
    assert total_of(tf.constant([1.0, 2.0, 3.0])).numpy() == 5.0
    assert total_below(tf.constant(7, tf.int64)).numpy() == 12


NESTED = tf.data.DatasetSpec(tf.TensorSpec([], tf.int64), [None])


@pytest.mark.parametrize(
    "make, spec, found",
    [
        (lambda: D.from_tensors(D.range(2)), None, [0, 1]),
        (lambda: D.from_tensor_slices([D.range(2), D.range(3)]), None, [0, 1, 0, 1, 2]),
        (lambda: D.range(5).window(2).batch(2), NESTED, [0, 1, 2, 3, 4]),
        (lambda: D.range(5).window(2).batch(2).rebatch(3).map(lambda b: b), NESTED, range(5)),
    ],
    ids=["one", "rows", "batch", "rebatch"],
)
def test_data_sets_in_elements(make, spec, found):  # as in TensorFlow
    dataset = make()
    assert dataset.element_spec == (spec or tf.data.DatasetSpec(NESTED.element_spec))
    rows = dataset if spec is None else dataset.unbatch()
    assert values(rows.flat_map(lambda inner: inner)) == list(found)
    with pytest.raises(TypeError, match="no numpy array"):
        next(dataset.as_numpy_iterator())
    with pytest.raises(TypeError, match="needs elements that are arrays"):
        dataset.padded_batch(2).element_spec  # noqa: B018


def test_elements_as_numpy_has_them():
    dataset = D.from_tensors(
        (1, None, tf.ragged.constant([[1], [2]]), tf.SparseTensor([[0]], [1], [2]))
    )
    number, nothing, ragged, sparse = next(dataset.as_numpy_iterator())
    assert type(number) is np.int32 and nothing is None
    assert ragged.tolist() == [[1], [2]] and sparse.tolist() == [1, 0]
    with pytest.raises(ValueError, match="read-only"):
        next(D.from_tensors([1, 2]).as_numpy_iterator())[0] = 3


def test_the_end_of_an_iterator_as_an_optional():
    elements = iter(D.range(1))
    optional = tf.data.experimental.get_next_as_optional(elements)
    assert optional.has_value() and optional.get_value().numpy() == 0
    ended = elements.get_next_as_optional().has_value()
    assert isinstance(ended, tf.Tensor) and not ended


def test_a_number_beyond_the_last_element():
    with pytest.raises(tf.errors.OutOfRangeError, match="index=9"):
        tf.data.experimental.at(D.range(5), 9)
    with pytest.raises(tf.errors.InvalidArgumentError, match="No files matched"):
        D.list_files("/no/such/file*")
    with pytest.raises(tf.errors.InvalidArgumentError, match="buffer_size"):
        D.range(3).shuffle(-1)
    with pytest.raises(ValueError, match="mixes bools and numbers"):
        D.from_tensor_slices([True, 1])


def test_clocks_and_files_are_read_in_each_call(tmp_path):
    @tf.function
    def stored(path, text):
        tf.io.write_file(path, text)
        return tf.io.read_file(path), tf.timestamp()

    calls = [stored(str(tmp_path / "x"), tf.constant(text)) for text in ("a", "b")]
    assert [text.numpy() for text, _ in calls] == [b"a", b"b"]
    assert calls[0][1] < calls[1][1]


def test_unseeded_draws_under_a_global_seed_begin_anew_as_in_tensorflow():
    tf.random.set_seed(7)
    data = tf.data.Dataset.range(3)
    first = data.map(lambda i: tf.random.uniform([])).map(lambda x: x + tf.random.uniform([]))
    text = data.map(lambda i: (tf.strings.as_string(i), tf.random.uniform([])))
    inner = data.interleave(lambda i: data.map(lambda j: tf.random.uniform([])))
    for _ in range(2):
        np.testing.assert_allclose(list(first), [1.5075, 1.1752, 0.7942], atol=1e-4)
        np.testing.assert_allclose([x for _, x in text], [0.7537, 0.5876, 0.3971], atol=1e-4)
    assert len({float(x) for x in inner}) == 9
    tf.random.set_seed(None)
    first = data.map(lambda i: tf.random.uniform([]))
    assert [float(x) for x in first] != [float(x) for x in first]


def epochs_of(*sizes):
    left = iter(sizes)
    spec = tf.TensorSpec([], tf.int64)
    return D.from_generator(lambda: iter(range(next(left))), output_signature=spec)


@pytest.mark.parametrize(
    "make, found",
    [
        (lambda: epochs_of(0, 0, 1, 0, 2, 0, 1).repeat(7), [0, 0, 1, 0]),
        (lambda: epochs_of(1, 0, 2, 9).repeat(), [0]),
        (lambda: epochs_of(1, 0, 2, 9).shuffle(1).repeat().take(3), [0, 0, 1]),
        (lambda: epochs_of(0, 1).shuffle(1).repeat(), []),
        (lambda: D.range(3).scan([1, 1], lambda s, x: ([s[1], s[0] + s[1]], s[1])), [1, 2, 3]),
        (
            lambda: D.from_tensors(tf.TensorArray(tf.int32, 2).unstack([1, 2])).map(
                lambda array: array.stack()
            ),
            [[1, 2]],
        ),
        (
            lambda: D.range(2).scan(
                tf.TensorArray(tf.int64, 2), lambda a, x: (a.write(tf.cast(x, tf.int32), x), x)
            ),
            [0, 1],
        ),
    ],
)
def test_empty_epochs_and_states_of_lists(make, found):  # as in TensorFlow
    assert values(make()) == found


@pytest.mark.parametrize("in_file", [False, True])
def test_a_cache_is_complete_after_the_last_element(in_file, tmp_path):
    cached = D.range(30).shuffle(30).cache(str(tmp_path / "kept") if in_file else "")
    elements = iter(cached)  # which is never asked for an element after the last one
    assert [next(elements).numpy() for _ in range(30)] == values(cached)


class Pair:
    """A class as `attrs` makes them."""

    __attrs_attrs__ = (types.SimpleNamespace(name="x"), types.SimpleNamespace(name="y"))

    def __init__(self, x, y):
        self.x, self.y = x, y


def test_objects_of_data_sets_are_zipped():
    pairs = D.zip(Pair(D.range(2), D.range(5, 9)))
    assert [(int(p.x), int(p.y)) for p in pairs] == [(0, 5), (1, 6)]
    assert values(pairs.map(lambda p: p.x + p.y)) == [5, 7]
    with pytest.raises(TypeError, match="either by position"):
        D.zip(D.range(2), datasets=(D.range(2),))


def test_specs_are_compatible_with_values_and_specs():
    sparse = tf.SparseTensorSpec([None, 3], tf.int32)
    assert sparse.is_compatible_with(tf.SparseTensorSpec([2, 3], tf.int32))
    assert sparse.is_compatible_with(tf.sparse.from_dense([[1, 2, 3]]))
    assert not sparse.is_compatible_with(tf.constant([1]))
    ragged = tf.RaggedTensorSpec([None, None], tf.int32)
    assert ragged.is_compatible_with(tf.ragged.constant([[1]]))
    assert ragged.is_compatible_with(tf.RaggedTensorSpec([2, None], tf.int32))
    assert not ragged.is_compatible_with(tf.RaggedTensorSpec([2, None], tf.int64))
    datasets = tf.data.DatasetSpec(tf.TensorSpec([None], tf.int32))
    assert datasets.is_compatible_with(D.from_tensors([1]))
    assert not datasets.is_compatible_with(D.from_tensors([1.0]))
    assert not tf.TensorSpec([None]).is_compatible_with(None)


def test_options_are_those_of_all_inputs_under_all_names():
    first, second = tf.data.Options(), tf.data.Options()
    first.experimental_deterministic = True
    second.experimental_threading.private_threadpool_size = 3
    found = D.zip(D.range(2).with_options(first), D.range(2).with_options(second)).options()
    assert found.deterministic and found.threading.private_threadpool_size == 3


def test_positions_of_iterators_as_texts():
    elements = D.range(9).shuffle(5, seed=42).as_numpy_iterator()
    first, state = next(elements), elements.save()
    following = [next(elements) for _ in range(3)]
    elements.restore(state)
    assert [next(elements) for _ in range(3)] == following and first not in following


@pytest.mark.parametrize("given", [19.95, 1e300, [19.95, 1.0], 2**63])
def test_python_numbers_are_exact_in_the_dtype_of_a_generator(given):
    dataset = D.from_generator(
        lambda: iter([given]), output_signature=tf.TensorSpec(None, "double")
    )
    assert values(dataset) == [given]
    assert values(D.from_generator(lambda: iter([19.95]), tf.float64)) == [19.95]
    plain = keraslike.data.Dataset.from_generator(lambda: iter([19.95]), np.float64)
    assert float(next(iter(plain))) == 19.95


def test_compiled_functions_return_data_sets_and_take_them_by_signature():
    @tf.function
    def scaled(dataset):
        return dataset.map(lambda n: 3 * n)

    assert values(scaled(D.range(3))) == [0, 3, 6]

    @tf.function(input_signature=[tf.data.DatasetSpec(tf.TensorSpec([None], tf.int64))])
    def total(dataset):
        return dataset.reduce(tf.constant(0, tf.int64), lambda s, n: s + tf.reduce_sum(n))

    assert total(D.range(5).batch(2)).numpy() == 10
    with pytest.raises(TypeError, match="does not fit"):
        total(D.range(5))


def test_snapshots_in_one_directory_are_those_of_different_data_sets(tmp_path):
    first, second = (D.range(3).map(f).snapshot(str(tmp_path)) for f in (lambda n: n, lambda n: -n))
    for _ in range(2):
        assert (values(first), values(second)) == ([0, 1, 2], [0, -1, -2])
    files = [tf.data.TextLineDataset([name]).fingerprint() for name in "ab"]
    assert files[0] != files[1]


def test_texts_are_padded_to_a_cardinality_and_looked_up():
    dataset = D.from_tensor_slices({"a": ["x"], "b": ([1.5], [[2]])})
    padded = dataset.apply(tf.data.experimental.pad_to_cardinality(2))
    assert values(padded.map(lambda e: (e["a"], *e["b"], e["valid"]))) == [
        ["x", 1.5, [2], True],
        ["", 0.0, [0], False],
    ]
    pairs = D.from_tensor_slices(([2, 3], ["two", "three"]))
    table = tf.data.experimental.table_from_dataset(pairs, default_value="?", key_dtype=tf.int64)
    assert table.lookup(tf.constant([3, 9])).numpy().tolist() == [b"three", b"?"]


def test_ragged_batches_of_ragged_and_sparse_elements():
    def parts(n):
        sparse = tf.SparseTensor([[n]], [n], [9])
        return tf.fill([n], n), tf.ragged.stack([tf.stack([n]), tf.stack([n, n])]), sparse

    dense, ragged, sparse = next(iter(D.range(1, 3).map(parts).ragged_batch(2)))
    assert dense.to_list() == [[1], [2, 2]]
    assert ragged.to_list() == [[[1], [1, 1]], [[2], [2, 2]]]
    assert sparse.indices.numpy().tolist() == [[0, 1], [1, 2]]
    deep = D.range(3).map(lambda n: tf.ones([2, n // 2, n])).ragged_batch(3)
    assert next(iter(deep)).to_list() == [[[], []], [[], []], [[[1.0, 1.0]]] * 2]
    empty = tf.RaggedTensor.from_tensor(tf.ones([2, 0, 3]), ragged_rank=2)
    assert empty.to_list() == [[], []] and empty.shape == (2, 0, 3)


def test_rows_of_a_data_base(tmp_path):
    file = str(tmp_path / "data.sqlite")
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE t (a DOUBLE, b TEXT)")
        database.execute("INSERT INTO t VALUES (19.95, '7'), (1331241.3213421323, '8')")
    rows = lambda query, types: tf.data.experimental.SqlDataset("sqlite", file, query, types)  # noqa: E731
    assert values(rows("SELECT a FROM t", tf.float64)) == [19.95, 1331241.3213421323]
    assert values(rows("SELECT b, b FROM t", (tf.int32, tf.string))) == [[7, "7"], [8, "8"]]
    wide = str(2**63 - 1)
    for query, kinds, expected in (
        ("0.1 + 0.2, 1e20, 7, NULL", (tf.string,) * 4, ["0.3", "1.0e+20", "7", ""]),
        (f"'2.9', '-3x', 'x', 3.9, NULL, '{wide}'", (tf.int64,) * 6, [2, -3, 0, 3, 0, int(wide)]),
        ("'1e3', '.5', 2, NULL", (tf.float64,) * 4, [1000.0, 0.5, 2.0, 0.0]),
        ("32767, 0, 2.5, '0'", (tf.bool,) * 4, [True, False, True, False]),
    ):
        assert values(rows(f"SELECT {query}", kinds)) == [expected]
    with pytest.raises(tf.errors.UnknownError, match="no such column"):
        list(rows("SELECT c FROM t", tf.int32))
    with pytest.raises(tf.errors.InvalidArgumentError):
        list(rows("DELETE FROM t", tf.int32))


def test_states_of_tensor_arrays_begin_anew_with_each_iteration():
    start = tf.TensorArray(tf.int64, 0, dynamic_size=True).write(0, -1)
    grown = D.range(2).scan(start, lambda a, x: (a.write(a.size(), x), a.stack()))
    assert [values(grown) for _ in range(2)] == [[[-1], [-1, 0]]] * 2  # as in TensorFlow


def test_a_generator_of_ragged_tensors():
    spec = tf.RaggedTensorSpec([2, None], tf.int32)
    rows = D.from_generator(
        lambda: iter([tf.ragged.constant([[1], [2, 3]])]), output_signature=spec
    )
    assert [row.to_list() for row in rows] == [[[1], [2, 3]]] and rows.element_spec == spec


def test_the_components_of_sparse_tensors_are_sparse_tensors():
    parts = tf.compat.v1.SparseTensorValue(np.array([[0, 1]]), np.array([3]), np.array([2, 2]))
    for made in (
        D.from_tensors({"a": parts}).map(lambda e: e["a"]),
        D.range(1).map(lambda n: parts),
        D.range(1).scan(parts, lambda state, n: (state, state)),
        D.from_tensor_slices(parts).batch(2),
    ):
        [found] = map(tf.sparse.to_dense, made)
        assert found.numpy().tolist() == [[0, 3], [0, 0]]
    found = tf.sparse.to_dense(D.range(2).reduce(parts, lambda state, n: state))
    np.testing.assert_array_equal(found, tf.sparse.to_dense(parts))
