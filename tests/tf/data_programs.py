"""Small programs of `tf.data`, and what TensorFlow gives for them.

`python tests/tf/data_programs.py`, where TensorFlow is installed, writes `data_programs.json`:
the elements of each program, what `element_spec` says of them, and their number.
"""

import json
import os
import sys
import tempfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))


def programs(tf, folder):
    """Each program by its name; `folder` has files to read."""
    D = tf.data.Dataset
    N, zero = D.range(10), np.int64(0)
    pairs = D.from_tensor_slices((np.arange(6, dtype="int32"), np.arange(12.0).reshape(6, 2)))
    named = D.from_tensor_slices({"b": [1, 2, 3, 4], "a": [0.5, 1.5, 2.5, 3.5]})
    texts = D.from_tensor_slices(["a b c", "", "d e"])
    uneven = D.from_generator(
        lambda: ([i] * i for i in [3, 1, 0, 5, 2, 4, 1]),
        output_signature=tf.TensorSpec([None], tf.int32),
    )
    ragged = tf.ragged.constant([[1, 2], [], [3], [4, 5, 6]])
    sparse = tf.SparseTensor([[0, 1], [2, 0], [2, 2]], [1.0, 2.0, 3.0], [4, 3])

    def path(name):
        return os.path.join(folder, name)

    def grouped(key, window):
        return window.batch(3)

    def squares(n):
        return D.range(n).map(lambda x: x * x)

    def count(start):
        def give():
            yield from range(start, start + 3)

        return give

    p = {}
    # -- sources
    p["slices"] = pairs
    p["slices of a list"] = D.from_tensor_slices([[1, 2], [3, 4]])
    p["slices of floats"] = D.from_tensor_slices([1.0, 2.0])
    p["slices of a list of arrays"] = D.from_tensor_slices([np.arange(2), np.arange(2)])
    p["list of lists"] = tf.data.experimental.from_list([[1, 2], [3, 4]])
    p["slices of arrays"] = D.from_tensor_slices(np.arange(3.0))
    p["slices of a dict"] = named
    p["slices of text"] = texts
    p["slices of nested"] = D.from_tensor_slices(({"x": [1, 2]}, ([3, 4], [True, False])))
    p["slices of ragged"] = D.from_tensor_slices(ragged)
    p["slices of sparse"] = D.from_tensor_slices(sparse)
    p["tensors"] = D.from_tensors(([1, 2], {"a": 0.5}))
    p["tensors of text"] = D.from_tensors("abc")
    p["tensors of ragged"] = D.from_tensors(ragged)
    p["range"] = D.range(3)
    p["range with a step"] = D.range(5, 0, -2)
    p["range of floats"] = D.range(1, 4, output_type=tf.float32)
    p["generator"] = uneven
    p["generator of types"] = D.from_generator(
        lambda: iter([(1, "x"), (2, "y")]), output_types=(tf.int64, tf.string)
    )
    p["generator of shapes"] = D.from_generator(
        lambda: iter([([1, 2], 0.5)]), (tf.int32, tf.float32), ([2], [])
    )
    p["generator of no texts"] = D.from_generator(
        lambda: iter([[], ["a"], []]), output_signature=tf.TensorSpec([None], tf.string)
    )
    p["generator of Python's floats"] = D.from_generator(lambda: iter([1, 2.5]), float)
    p["generator with arguments"] = D.from_generator(
        lambda n: iter(range(n)), tf.int32, [], args=(3,)
    )
    p["generator of dicts"] = D.from_generator(
        lambda: iter([{"a": 1, "b": [1.0]}]),
        output_signature={"a": tf.TensorSpec([], tf.int32), "b": tf.TensorSpec([1], tf.float32)},
    )
    p["random"] = D.random(seed=4).take(3)
    # -- each element
    p["map"] = N.map(lambda n: n * 2)
    p["map of pairs"] = pairs.map(lambda x, y: {"sum": tf.reduce_sum(y), "x": x})
    p["map to a list"] = N.take(2).map(lambda n: [n, n + 1])
    p["map to nested lists"] = N.take(2).map(lambda n: (n, [n, n + 1]))
    p["map to numbers"] = N.take(2).map(lambda n: (1, 2.5, True, "text", np.float64(3)))
    p["map of batches"] = N.batch(4).map(lambda b: (b[:2], tf.shape(b)))
    p["map by threads"] = N.map(lambda n: n * n, num_parallel_calls=2)
    p["map of text"] = texts.map(tf.strings.length)
    p["map of text in batches"] = texts.batch(2).map(lambda t: tf.strings.join([t, "!"]))
    p["map to ragged"] = texts.batch(3).map(tf.strings.split)
    p["map of dicts"] = named.map(lambda d: d["a"] + tf.cast(d["b"], tf.float32))
    p["map to nothing"] = N.take(3).map(lambda n: (n, None)).batch(2)
    p["map of words"] = D.from_tensor_slices(["a", "b"]).map(tf.strings.split)
    p["map to optionals"] = (
        N.take(2).map(tf.experimental.Optional.from_value).map(lambda some: some.get_value() + 1)
    )
    p["seeded draws"] = N.take(4).map(lambda n: tf.random.uniform([], 0, 99, tf.int32, 3)).repeat(2)
    p["filter"] = N.filter(lambda n: n % 3 == 0)
    p["filter pairs"] = pairs.filter(lambda x, y: y[0] > 4)
    p["filter text"] = texts.filter(lambda t: tf.strings.length(t) > 0)
    p["take while"] = N.take_while(lambda n: n < 4)
    p["enumerate"] = texts.enumerate(start=5)
    p["scan"] = N.take(5).scan(np.int64(0), lambda s, n: (s + n, s + n))
    p["scan batches"] = N.batch(4).scan(zero, lambda s, n: (s + n[0], s * n))
    p["scan a state that grows"] = N.take(3).scan(
        tf.zeros([1], tf.int64), lambda s, n: (tf.concat([s, [n]], 0), s)
    )
    p["scan nothing"] = N.take(0).scan(zero, lambda s, n: (s + n, (s, n)))
    p["unique"] = D.from_tensor_slices([1, 37, 2, 37, 2, 1]).unique()
    p["unique text"] = D.from_tensor_slices(["a", "b", "a"]).unique()
    # -- which
    p["take"] = N.take(3)
    p["take all"] = N.take(-1)
    p["skip"] = N.skip(7)
    p["skip all"] = N.skip(-1)
    p["repeat"] = N.take(2).repeat(3)
    p["repeat none"] = N.repeat(0)
    p["endless"] = N.take(3).repeat().skip(2).take(5)
    p["shard"] = N.shard(3, 1)
    p["shuffle"] = N.shuffle(4, seed=42)
    p["shuffle all"] = N.shuffle(10, seed=7)
    p["shuffle a large buffer"] = N.shuffle(100, seed=7)
    p["shuffle once"] = N.shuffle(4, seed=42, reshuffle_each_iteration=False).repeat(2)
    p["shuffle anew"] = N.take(5).shuffle(5, seed=3).repeat(3)
    p["shuffle repeated"] = N.take(5).repeat(3).shuffle(4, seed=3)
    p["shuffle pairs in batches"] = pairs.shuffle(6, seed=1).batch(4)
    p["shuffle twice"] = N.shuffle(3, seed=1).shuffle(3, seed=2).batch(5)
    p["one by one"] = N.take(4).shuffle(3, seed=1).repeat(1).repeat(2)
    again = N.take(6).shuffle(4, seed=1).batch(4).repeat(2)  # begun once more at its end
    p["shuffled batches twice"] = D.range(2).flat_map(lambda _: again)
    joined = N.take(2).concatenate(N.take(4).shuffle(4, seed=1)).repeat(2)
    p["joined twice"] = D.range(2).flat_map(lambda _: joined)
    # -- batches
    p["batch"] = N.batch(4)
    p["batch of pairs"] = pairs.batch(4)
    p["whole batches"] = N.batch(4, drop_remainder=True)
    p["batch of dicts"] = named.batch(3)
    p["batch of batches"] = N.batch(2).batch(2)
    p["batch of text"] = texts.batch(2)
    p["batch of ragged rows"] = D.from_tensor_slices(ragged).batch(3)
    p["batch of ragged"] = D.from_tensors(ragged).repeat(2).batch(2)
    p["batch of sparse"] = D.from_tensor_slices(sparse).batch(3)
    p["unbatch"] = N.batch(4).unbatch()
    p["unbatch pairs"] = pairs.batch(4).unbatch()
    p["unbatch tensors"] = D.from_tensors([1, 2, 3]).unbatch().filter(lambda n: n > 1)
    p["rebatch"] = N.batch(4).rebatch(3)
    p["rebatch whole"] = N.batch(4).rebatch(3, drop_remainder=True)
    p["rebatch of known sizes"] = N.batch(5, drop_remainder=True).rebatch(4)
    p["rebatch in turn"] = N.batch(4).rebatch([2, 1])
    p["padded"] = uneven.padded_batch(3)
    p["padded single texts"] = texts.map(lambda t: (tf.strings.split(t), t)).padded_batch(3)
    p["padded to a size"] = uneven.padded_batch(3, padded_shapes=[6])
    p["padded with a value"] = uneven.padded_batch(2, padding_values=-1, drop_remainder=True)
    p["padded pairs"] = uneven.map(lambda x: (x, tf.size(x))).padded_batch(4, ([None], []))
    p["padded text"] = texts.map(lambda t: tf.strings.split(t)).padded_batch(3, [None])
    p["ragged batch"] = uneven.ragged_batch(3)
    p["ragged whole batch"] = uneven.ragged_batch(3, drop_remainder=True)
    p["sparse batch"] = uneven.sparse_batch(3, [6])
    p["sparse batch of any width"] = uneven.sparse_batch(3, [None])
    p["window"] = N.window(3).flat_map(lambda w: w.batch(3))
    p["window shifted"] = N.window(4, shift=2, drop_remainder=True).flat_map(lambda w: w.batch(4))
    p["window strided"] = N.window(3, 1, 2, True).flat_map(lambda w: w.batch(3))
    p["window far apart"] = N.window(2, shift=4).flat_map(lambda w: w.batch(2))
    p["window cut"] = N.window(4, 3).flat_map(lambda w: w.batch(4))
    p["windows of pairs"] = pairs.window(2).flat_map(lambda x, y: D.zip((x, y)).batch(2))
    p["windows counted"] = N.window(4, 3, 2)
    p["whole windows counted"] = N.window(4, 3, 2, drop_remainder=True)
    p["groups"] = N.group_by_window(lambda n: n % 3, grouped, window_size=2)
    p["reduced groups"] = N.apply(
        tf.data.experimental.group_by_reducer(
            lambda n: n % 3,
            tf.data.experimental.Reducer(
                lambda key: (key, tf.constant(0, tf.int64)),
                lambda state, n: (state[0], state[1] + n),
                lambda key, total: (key, total),
            ),
        )
    )
    p["padded to a number"] = named.apply(tf.data.experimental.pad_to_cardinality(6))
    p["groups of sizes"] = N.group_by_window(
        lambda n: n % 2, grouped, window_size_func=lambda key: key + 2
    )
    p["buckets"] = uneven.bucket_by_sequence_length(tf.size, [2, 4], [2, 2, 1])
    p["buckets to their ends"] = uneven.bucket_by_sequence_length(
        tf.size, [2, 6], [2, 2, 1], pad_to_bucket_boundary=True, padding_values=-1
    )
    p["whole buckets"] = uneven.bucket_by_sequence_length(
        lambda x: tf.shape(x)[0], [2, 4], [2, 2, 2], drop_remainder=True
    )
    # -- several
    p["zip"] = D.zip((N, N.skip(7)))
    p["zip of arguments"] = D.zip(N.take(2), texts)
    p["zip of a dict"] = D.zip({"x": N.take(2), "y": (N.repeat(), texts)})
    p["zip of batches"] = D.zip((pairs, named)).batch(3)
    p["concatenate"] = N.take(2).concatenate(N.skip(8))
    p["concatenate batches"] = N.batch(4, True).concatenate(N.batch(5, True))
    p["flat map"] = D.range(4).flat_map(squares)
    p["flat map of slices"] = D.from_tensor_slices([[1, 2], [3, 4]]).flat_map(D.from_tensor_slices)
    p["interleave"] = D.range(1, 6).interleave(
        lambda x: D.from_tensors(x).repeat(6), cycle_length=2, block_length=4
    )
    p["interleave unlike"] = D.range(5).interleave(D.range, cycle_length=3)
    p["interleave in threads"] = D.range(5).interleave(
        D.range, cycle_length=3, block_length=2, num_parallel_calls=2
    )
    p["interleave one"] = D.range(3).interleave(D.range, cycle_length=1)
    p["choose"] = D.choose_from_datasets(
        [N, N.skip(5), N.skip(8)], D.from_tensor_slices(np.array([0, 2, 1, 2, 0, 2, 1]))
    )
    p["choose of endless ones"] = D.choose_from_datasets([N, N.repeat()], D.range(2))
    p["choose on"] = D.choose_from_datasets(
        [N, N.skip(5), N.skip(8)],
        D.from_tensor_slices(np.array([0, 2, 1, 2, 0, 2, 1])),
        stop_on_empty_dataset=False,
    )
    p["sample from one"] = D.sample_from_datasets([N, N.skip(5)], [1.0, 0.0]).filter(
        lambda n: n > 1
    )
    some, others = D.range(5), D.range(100, 105)
    p["sample"] = D.sample_from_datasets([some, others], [0.5, 0.5], seed=42).repeat(2)
    p["sample by weights"] = D.sample_from_datasets(
        [some.repeat(), others.repeat(), N.repeat()], [0.2, 0.5, 0.3], seed=7
    ).take(60)
    p["sample evenly"] = D.sample_from_datasets([some, others], seed=42)
    p["sample to the first end"] = D.sample_from_datasets(
        [D.range(2), others], [0.5, 0.5], seed=1, stop_on_empty_dataset=True
    )
    p["sample anew"] = D.sample_from_datasets(
        [some, others], [0.5, 0.5], seed=42, rerandomize_each_iteration=True
    ).repeat(2)
    p["sample by weights of their own"] = D.sample_from_datasets(
        [D.range(30), others], D.from_tensor_slices([[1.0, 3.0], [4.0, 1.0]]).repeat(), seed=3
    )
    p["sample some"] = D.sample_from_datasets([some, others, N], [0.5, 0.0, 0.5], seed=3)
    classes = D.from_tensor_slices(([0, 0, 0, 1] * 25, np.arange(100)))
    for name, target, initial in (
        ("as given", [0.3, 0.7], [0.75, 0.25]),
        ("to one class", [0.0, 1.0], [0.75, 0.25]),
        ("as counted", [0.5, 0.5], None),
        ("as they are", [0.75, 0.25], [0.75, 0.25]),
    ):
        p[f"resampled {name}"] = classes.rejection_resample(lambda c, _: c, target, initial, seed=5)
    # -- kept
    p["cache"] = N.take(3).cache().repeat(2)
    p["cache shuffled"] = N.shuffle(10, seed=1).cache().repeat(2)
    p["cache in a file"] = pairs.cache(path("cache")).repeat(2)
    p["prefetch"] = N.prefetch(tf.data.AUTOTUNE)
    p["snapshot"] = N.take(3).snapshot(path("snapshot")).repeat(2)
    p["apply"] = N.apply(lambda d: d.take(2))
    p["options"] = N.take(2).with_options(tf.data.Options())
    # -- files
    p["lines"] = tf.data.TextLineDataset(path("lines.txt"))
    p["lines of files"] = tf.data.TextLineDataset([path("lines.txt"), path("more.txt")])
    p["lines in turn"] = D.from_tensor_slices([path("lines.txt"), path("more.txt")]).interleave(
        lambda name: tf.data.TextLineDataset(name).skip(1), cycle_length=2
    )
    p["lines of parallel files"] = tf.data.TextLineDataset(
        [path("lines.txt"), path("more.txt")], num_parallel_reads=2
    )
    p["lines of gzip"] = tf.data.TextLineDataset(path("lines.gz"), "GZIP")
    p["pieces"] = tf.data.FixedLengthRecordDataset(path("more.txt"), 3, 1, 1)
    for kind in ("", "GZIP", "ZLIB"):
        p[f"records {kind}"] = tf.data.TFRecordDataset(path(f"records{kind}"), kind)
    p["files"] = D.list_files(path("*.txt"), shuffle=False).map(
        lambda name: tf.strings.regex_replace(name, ".*[/]", "")
    )
    p["csv"] = tf.data.experimental.CsvDataset(
        path("table.csv"), [tf.int32, tf.constant([0.5]), ""], header=True
    )
    p["csv of some columns"] = tf.data.experimental.CsvDataset(
        path("table.csv"), [tf.float64, ""], header=True, select_cols=[0, 2]
    )
    make = tf.data.experimental.make_csv_dataset
    p["tables"] = make(path("table.csv"), 2, num_epochs=1, shuffle=False)
    p["tables with labels"] = make(
        path("table.csv"), 2, label_name="id", select_columns=["id", "name"], num_epochs=1,
        shuffle=False,
    )  # fmt: skip
    p["tables without an end"] = make(path("table.csv"), 2, shuffle=False).take(2)
    return p


def write_files(tf, folder):
    """The files that the programs read."""
    import gzip

    lines, more = b"first\r\nsecond\n\nlast", b"one\ntwo\n"
    for name, data in {"lines.txt": lines, "more.txt": more}.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)
    with gzip.open(os.path.join(folder, "lines.gz"), "wb") as file:
        file.write(lines)
    for kind in ("", "GZIP", "ZLIB"):
        with tf.io.TFRecordWriter(os.path.join(folder, f"records{kind}"), kind or None) as writer:
            for record in (b"one", b"", b"x" * 3000, bytes(range(256))):
                writer.write(record)
    with open(os.path.join(folder, "table.csv"), "w") as file:
        file.write('id,size,name\n1,2.5,"a, b"\n2,,"c ""d"""\n3,1e3,\n')


def plain(value):
    """An element in lists, dicts and numbers."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, tuple):
        return [plain(v) for v in value]
    if hasattr(value, "dense_shape"):
        return [plain(part.numpy()) for part in (value.indices, value.values, value.dense_shape)]
    if hasattr(value, "to_list"):
        return plain(value.to_list())
    if hasattr(value, "_variant_tensor") or hasattr(value, "cardinality"):
        return [plain(v) for v in value]
    value = value.numpy() if hasattr(value, "numpy") else value
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value.decode("latin1") if isinstance(value, bytes) else value


def ordinary(spec):
    """With dicts in place of other mappings."""
    if isinstance(spec, dict):
        return {k: ordinary(v) for k, v in spec.items()}
    return tuple(map(ordinary, spec)) if isinstance(spec, tuple) else spec


def outcomes(tf, folder):
    """What each program gives."""
    write_files(tf, folder)
    out = {}
    for name, dataset in programs(tf, folder).items():
        spec = repr(ordinary(dataset.element_spec))
        out[name] = [[plain(e) for e in dataset], spec, int(dataset.cardinality())]
    return out


if __name__ == "__main__":
    import tensorflow

    with tempfile.TemporaryDirectory() as made:
        found = outcomes(tensorflow, made)
    with open(os.path.join(HERE, "data_programs.json"), "w") as output:
        lines = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in found.items())
        output.write("{\n" + ",\n".join(lines) + "\n}\n")
    sys.exit()
