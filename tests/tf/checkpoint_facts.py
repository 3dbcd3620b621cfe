"""Checkpoints that TensorFlow writes: `python tests/tf/checkpoint_facts.py`, where that is
installed, writes `checkpoint_facts.json`, which `test_checkpoint.py` reads."""

import base64
import json
import os
import tempfile

import numpy as np

PATH = os.path.splitext(__file__)[0] + ".json"


def objects(tf):
    """A `Checkpoint` of many kinds of things, and its model."""
    keras = tf.keras
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2), keras.layers.BatchNormalization()]
    )
    model.compile("adam", "mse")
    step = tf.Variable(7, dtype=tf.int64)

    class Scaled(tf.Module):
        def __init__(self):
            super().__init__()
            self.by = [tf.Variable([1.0, 2.0]), tf.Variable(3, trainable=False)]

    return tf.train.Checkpoint(
        model=model, optimizer=model.optimizer, step=step, many={"a.b": step}, scaled=Scaled()
    ), model


def tables(tf):
    """A `Checkpoint` of look-up tables, and how each is filled."""
    made, wide = tf.lookup.experimental, lambda *numbers: tf.constant(numbers, tf.int64)
    contents = tf.lookup.KeyValueTensorInitializer(["a"], wide(1))
    words = made.MutableHashTable(tf.string, tf.int64, -1)
    names = made.MutableHashTable(tf.int64, tf.string, "-")
    dense = made.DenseHashTable(tf.int64, tf.float32, [0.0, 0.0], -1, -2, initial_num_buckets=8)
    by_text = made.DenseHashTable(tf.string, tf.int64, 0, "", "$", initial_num_buckets=8)
    module = tf.Module()
    module.words = words
    filled = {
        words: (["x", "y"], wide(5, 6)),
        names: (wide(1), ["one"]),
        dense: (wide(3, 12, 11), [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
        by_text: (["a", "b", "c", "dd"], wide(1, 2, 3, 4)),
    }
    fixed = tf.lookup.StaticHashTable(contents, -1)
    return tf.train.Checkpoint(
        fixed=fixed, words=words, names=names, dense=dense, by_text=by_text, module=module
    ), filled


def written(tf, checkpoint):
    """The files of a checkpoint, and its values."""
    with tempfile.TemporaryDirectory() as folder:
        path = checkpoint.save(os.path.join(folder, "ckpt"))
        names = sorted(os.listdir(folder))
        files = {n: open(os.path.join(folder, n), "rb").read() for n in names}  # noqa: SIM115
        reader = tf.train.load_checkpoint(path)
        values = {
            name: np.char.decode(x.astype(bytes)).tolist() if x.dtype == object else x.tolist()
            for name, x in (
                (name, np.asarray(reader.get_tensor(name)))
                for name, _ in tf.train.list_variables(path)
                if name[0] != "_"
            )
        }
    return {n: base64.b64encode(data).decode() for n, data in files.items()}, values


if __name__ == "__main__":
    import tensorflow as tf

    checkpoint, model = objects(tf)
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    checkpoint.scaled.by[0].assign([4.0, 5.0])
    files, values = written(tf, checkpoint)
    of_tables, filled = tables(tf)
    for table, (keys, contents) in filled.items():
        table.insert(keys, contents)
    table_files, table_values = written(tf, of_tables)
    facts = {"files": files, "values": values, "tables": [table_files, table_values]}
    with open(PATH, "w") as file:
        json.dump(facts, file)
