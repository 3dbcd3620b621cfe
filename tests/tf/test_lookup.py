"""`tf.lookup`: as TensorFlow, whose results are in `lookup_programs.json`."""

import json
import os

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
