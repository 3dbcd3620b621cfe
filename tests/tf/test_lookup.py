"""`tf.lookup`: as TensorFlow, whose results are in `lookup_programs.json`."""

import json
import os

import pytest

import keraslike
from keraslike import tf
from tests.tf import lookup_programs


def test_as_tensorflow(tmp_path):
    with open(os.path.join(lookup_programs.HERE, "lookup_programs.json")) as file:
        known = json.load(file)
    programs = lookup_programs.programs(tf, str(tmp_path))
    assert {name: lookup_programs.outcome(p) for name, p in programs.items()} == known


def test_a_layer_may_have_a_table_of_numbers():
    contents = tf.lookup.KeyValueTensorInitializer(tf.constant([3, 7]), tf.constant([1.0, 2.0]))
    table = tf.lookup.StaticHashTable(contents, 0.0)
    model = keraslike.Sequential([keraslike.layers.Lambda(lambda x: table[tf.cast(x, tf.int32)])])
    assert model.predict(tf.constant([[3, 4], [7, 3]]), verbose=0).tolist() == [[1, 0], [2, 1]]


def test_defaults_of_a_look_up():
    table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, [-1, -1])
    keys = tf.constant(["a", "b"])
    assert table.lookup(keys, tf.constant([3, 4], tf.int64)).numpy().tolist() == [[3, 4], [3, 4]]
    rows = tf.constant([[3, 4], [5, 6]], tf.int64)
    assert table.lookup(keys, rows).numpy().tolist() == [[3, 4], [5, 6]]
    with pytest.raises(tf.errors.InvalidArgumentError, match="dynamic_default_values"):
        table.lookup(keys, tf.constant([[[3, 4]]], tf.int64))
    with pytest.raises(tf.errors.InvalidArgumentError, match="default_value"):
        tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, [[-1]])


def test_a_dense_table_exports_its_buckets():
    dense = tf.lookup.experimental.DenseHashTable
    table = dense(tf.int64, tf.int64, -1, 0, -1, initial_num_buckets=8)
    table.insert(tf.constant([11, 12, 29], tf.int64), tf.constant([1, 2, 3], tf.int64))
    keys, values = (part.numpy().tolist() for part in table.export())
    assert keys == [[0], [0], [0], [11], [12], [29], [0], [0]]
    assert values == [[0], [0], [0], [1], [2], [3], [0], [0]]
    for refused in (
        lambda: table.lookup(tf.constant([[1, 2]], tf.int64)),
        lambda: dense(tf.int64, tf.int64, -1, 5, 5),
        lambda: dense(tf.int64, tf.int64, -1, 0, -1, initial_num_buckets=12),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError):
            refused()


def test_a_dense_table_of_vectors():
    dense = tf.lookup.experimental.DenseHashTable
    table = dense(tf.int64, tf.float32, [0.0, 1.0], [0, 0], [-1, -1], initial_num_buckets=8)
    table.insert([[1, 2], [3, 4], [5, 6]], [[10.0, 20.0], [30.0, 40.0], [50.0, 60.0]])
    assert table.lookup([[5, 6], [9, 9]]).numpy().tolist() == [[50, 60], [0, 1]]
    assert table.lookup([[[1, 2]]]).numpy().tolist() == [[[10, 20]]]
    keys, values = (part.numpy().tolist() for part in table.export())
    assert keys == [[0, 0], [0, 0], [0, 0], [1, 2], [5, 6], [0, 0], [0, 0], [3, 4]]
    assert values == [[0, 0], [0, 0], [0, 0], [10, 20], [50, 60], [0, 0], [0, 0], [30, 40]]
    of_text = dense(tf.string, tf.int64, -1, ["", ""], ["$", "$"])
    of_text.insert([["a", "b"]], [1])
    assert of_text.lookup([["a", "b"], ["b", "a"]]).numpy().tolist() == [1, -1]
    of_scalars = dense(tf.int64, tf.int64, -1, 0, -1)
    of_scalars.insert([1], [10])
    assert of_scalars.lookup(1).numpy() == 10
    assert of_scalars.lookup([[1], [5]]).numpy().tolist() == [[10], [-1]]
    for refused in (
        lambda: table.insert([[0, 0]], [[1.0, 2.0]]),
        lambda: table.insert([[0, 1, 2]], [[1.0, 2.0]]),
        lambda: table.lookup([[0, 0]]),
        lambda: dense(tf.int64, tf.int64, 1, [[0]], [[-1]]),
        lambda: dense(tf.int64, tf.int64, 1, [0, 0], -1),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError):
            refused()


def test_a_dense_table_of_vectors_is_restored(tmp_path):
    def table():
        made = tf.Module()
        dense = tf.lookup.experimental.DenseHashTable
        made.table = dense(tf.int64, tf.int64, [-1, -1], [0, 0], [-1, -1])
        return made

    first, second = table(), table()
    first.table.insert([[1, 2], [3, 4]], [[5, 6], [7, 8]])
    path = tf.train.Checkpoint(model=first).save(str(tmp_path / "tables"))
    tf.train.Checkpoint(model=second).restore(path)
    found = second.table.lookup([[3, 4], [1, 2], [2, 1]])
    assert found.numpy().tolist() == [[7, 8], [5, 6], [-1, -1]] and second.table.size() == 2


def test_file_names_of_tables():
    index = tf.lookup.TextFileIndex
    rest = (tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER)
    for error, name in ((ValueError, ""), (tf.errors.InvalidArgumentError, ["a", "b"])):
        with pytest.raises(error, match="filename"):
            tf.lookup.TextFileInitializer(name, *rest)
