"""Look-ups in tables: `python tests/tf/lookup_programs.py`, where TensorFlow is installed, writes
what each gives, or the kind of error, to `lookup_programs.json`."""

import json
import os
import tempfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))


def programs(tf, folder):
    """Functions by name; `folder` is where files may be written."""
    L, C = tf.lookup, tf.constant
    KV, Table, File = L.KeyValueTensorInitializer, L.StaticHashTable, L.TextFileInitializer
    columns, lines = os.path.join(folder, "columns"), os.path.join(folder, "lines")
    with open(columns, "w") as file:
        file.write("emerson\t10\nlake\t20\npalmer\t30\n")
    with open(lines, "w") as file:
        file.write("a\nb\nc\n")
    letters = KV(C(["a", "b", "c"]), C([1, 2, 3], tf.int64))
    table = Table(letters, -1)
    numbers = Table(KV(C([1, 5, 3], tf.int64), C([0.5, 1.5, 2.5])), -1.0)
    names = KV(["emerson", "lake", "palmer"], C([0, 1, 2], tf.int64))
    words = L.StaticVocabularyTable(names, 5)
    tens = KV(C([10, 20], tf.int64), C([0, 1], tf.int64))
    whole, number = L.TextFileIndex.WHOLE_LINE, L.TextFileIndex.LINE_NUMBER
    mutable = L.experimental.MutableHashTable(tf.string, tf.int64, -1)
    rows = L.experimental.MutableHashTable(tf.int64, tf.float32, [0.0, 0.0])
    dense = L.experimental.DenseHashTable(tf.int64, tf.int64, -1, 0, -2)

    def by_line(**kwargs):
        return Table(File(lines, tf.string, whole, tf.int64, number, **kwargs), -1)

    def ints(*values):
        return C(values, tf.int64)

    def changed():
        mutable.insert(C(["a", "b", "a"]), ints(1, 2, 3))
        before = mutable.lookup(C(["a", "z"])), mutable.size()
        mutable.remove(C(["a", "z"]))
        return *before, *mutable.export()

    def vectors():
        rows.insert(ints(3), C([[1.0, 2.0]]))
        default = C([[9.0, 9.0], [8.0, 8.0]])
        return rows[ints(3, 4)], rows.lookup(ints(3, 4), dynamic_default_values=default)

    def inserted():
        dense.insert(ints(3), ints(4))
        return dense.lookup(ints(3, 9)), dense.size()

    def mapped(function, elements):
        return list(tf.data.Dataset.from_tensor_slices(elements).map(function))

    return {
        "dtypes": lambda: (table.key_dtype, table.value_dtype, KV([1], [2]).value_dtype),
        "texts": lambda: (table.lookup(C(["b", "z"])), table[C([["b"], ["z"]])], table[C("c")]),
        "size": lambda: (table.size(), words.size(), table.default_value),
        "wrong dtype": lambda: table.lookup(C([1])),
        "ragged": lambda: (table[tf.ragged.constant([["a"], ["b", "q"]])],),
        "sparse": lambda: table[tf.SparseTensor([[0, 1]], C(["c"]), [2, 2])].values,
        "two values": lambda: Table(KV(["a", "a"], [1, 2]), 0),
        "twice": lambda: Table(KV(["a", "a"], [1, 1]), 0).size(),
        "lengths": lambda: Table(KV(["a", "b"], [1]), 0),
        "empty": lambda: Table(KV(C([], tf.string), ints()), 0),
        "to texts": lambda: Table(KV([1, 2], ["x", "y"], tf.int64, tf.string), "?")[ints(2, 5)],
        "floats": lambda: Table(KV(["x"], [0.5]), -1.0)[C(["x", "y"])],
        "default": lambda: Table(KV(["x"], [0.5]), "q"),
        "int32": lambda: Table(KV(C([1, 2]), C([3, 4])), 0)[C([1, 9])],
        "columns": lambda: Table(File(columns, tf.string, 0, tf.int64, 1), -1)[C(["lake", "x"])],
        "lines": lambda: by_line()[C(["a", "c", "x"])],
        "offset": lambda: by_line(value_index_offset=5)[C(["a", "c", "x"])],
        "some lines": lambda: by_line(vocab_size=2)[C(["a", "c", "x"])],
        "too many lines": lambda: by_line(vocab_size=9),
        "by number": lambda: Table(File(lines, tf.int64, number, tf.string, whole), "?")[
            ints(1, 7)
        ],
        "no file": lambda: Table(File(lines + "?", tf.string, whole, tf.int64, number), -1),
        "dtype of numbers": lambda: File(lines, tf.string, whole, tf.string, number),
        "no column": lambda: Table(File(lines, tf.string, 0, tf.int64, 1), -1),
        "no index": lambda: File(lines, tf.string, -3, tf.int64, number),
        "vocabulary": lambda: words[C(["emerson", "palmer", "king", "crimson", "x"])],
        "hashes alone": lambda: L.StaticVocabularyTable(None, 7)[C(["a", "b", "c"])],
        "hashed numbers": lambda: L.StaticVocabularyTable(tens, 3)[ints(10, 11, -5, 2**40)],
        "cast": lambda: L.StaticVocabularyTable(tens, 3, lookup_key_dtype=tf.int32)[C([10, 11])],
        "no buckets": lambda: L.StaticVocabularyTable(names, 0),
        "vocabulary of int32": lambda: L.StaticVocabularyTable(KV(["a"], C([0])), 1),
        "ragged vocabulary": lambda: (words[tf.ragged.constant([["lake"], ["b", "q"]])],),
        "mapped texts": lambda: mapped(table.lookup, [["a", "q"], ["c", "b"]]),
        "mapped numbers": lambda: mapped(numbers.lookup, np.array([[1, 2], [3, 5]])),
        "function of numbers": lambda: tf.function(lambda k: numbers[k] * 2)(ints(3, 4, 1)),
        "function of texts": lambda: tf.function(lambda k: table[k] + 1)(C(["a", "x"])),
        "changed": changed,
        "vectors": vectors,
        "dense": inserted,
        "empty key": lambda: dense[ints(0)],
    }


def outcome(program):
    """The results in words, or the name of the error."""
    try:
        found = program()
    except Exception as e:
        return type(e).__name__
    return [repr(part) for part in (found if isinstance(found, (tuple, list)) else [found])]


if __name__ == "__main__":
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        known = {name: outcome(program) for name, program in programs(tf, folder).items()}
    with open(os.path.join(HERE, "lookup_programs.json"), "w") as file:
        json.dump(known, file, indent=0)
