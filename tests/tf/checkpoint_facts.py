"""A checkpoint that TensorFlow writes: `python tests/tf/checkpoint_facts.py`, where that is
installed, writes `checkpoint_facts.json`, which `test_checkpoint.py` reads."""

import base64
import json
import os

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


if __name__ == "__main__":
    import tempfile

    import tensorflow as tf

    checkpoint, model = objects(tf)
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    checkpoint.scaled.by[0].assign([4.0, 5.0])
    with tempfile.TemporaryDirectory() as folder:
        path = checkpoint.save(os.path.join(folder, "ckpt"))
        names = sorted(os.listdir(folder))
        files = {n: open(os.path.join(folder, n), "rb").read() for n in names}  # noqa: SIM115
        reader = tf.train.load_checkpoint(path)
        values = {
            name: reader.get_tensor(name).tolist()
            for name, _ in tf.train.list_variables(path)
            if name[0] != "_"
        }
    with open(PATH, "w") as file:
        coded = {name: base64.b64encode(data).decode() for name, data in files.items()}
        json.dump({"files": coded, "values": values}, file)
