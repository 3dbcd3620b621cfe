"""Pipelines of `tf.data`: microseconds an element, wall time and CPU time.

python benchmarks/data_pipelines.py             # keraslike
python benchmarks/data_pipelines.py tensorflow  # where TensorFlow is installed
"""

import os
import sys
import tempfile
import time

import numpy as np

if sys.argv[1:] == ["tensorflow"]:
    import tensorflow as tf
else:
    from keraslike import tf

D = tf.data.Dataset
AUTO = tf.data.AUTOTUNE


def arrays(count=20000):
    rng = np.random.default_rng(0)
    x, y = rng.random((count, 28, 28), "float32"), rng.integers(0, 10, count)
    rows = D.from_tensor_slices((x, y))

    def scaled(x, y):
        return x / 255.0, tf.one_hot(y, 10)

    yield "arrays: shuffle, batch", count, rows.shuffle(count).batch(32)
    yield "arrays: map, shuffle, batch", count, rows.map(scaled).shuffle(1000).batch(32)
    yield "arrays: batch, map", count, rows.batch(32).map(scaled)


def files(folder, count=1000):
    path, feature, train = os.path.join(folder, "records"), tf.train.Feature, tf.train
    with tf.io.TFRecordWriter(path) as writer:
        for i in range(count):
            values = {
                "x": feature(float_list=train.FloatList(value=np.arange(100.0))),
                "y": feature(int64_list=train.Int64List(value=[i])),
            }
            example = train.Example(features=train.Features(feature=values))
            writer.write(example.SerializeToString())
    kinds = {
        "x": tf.io.FixedLenFeature([100], tf.float32),
        "y": tf.io.FixedLenFeature([], tf.int64),
    }
    data = tf.data.TFRecordDataset(path)
    yield "records: read", count, data
    yield (
        "records: parse one by one, batch", count,
        data.map(lambda s: tf.io.parse_single_example(s, kinds), AUTO).batch(32),
    )  # fmt: skip
    yield (
        "records: batch, parse", count,
        data.batch(32).map(lambda s: tf.io.parse_example(s, kinds), AUTO),
    )  # fmt: skip
    path = os.path.join(folder, "lines.txt")
    with open(path, "w") as file:
        file.writelines(f"the line number {i} of a text\n" for i in range(count))
    lines = tf.data.TextLineDataset(path)
    yield "lines: read, batch", count, lines.batch(32)
    yield "lines: batch, split", count, lines.batch(32).map(tf.strings.split)


def main():
    with tempfile.TemporaryDirectory() as folder:
        for name, count, dataset in [*arrays(), *files(folder)]:
            best = (float("inf"), float("inf"))
            for _ in range(3):
                begin = time.perf_counter(), time.process_time()
                for _ in dataset:
                    pass
                took = time.perf_counter() - begin[0], time.process_time() - begin[1]
                best = tuple(map(min, best, took))
            print(
                f"{name:35} {best[0] / count * 1e6:8.2f} {best[1] / count * 1e6:8.2f}", flush=True
            )


if __name__ == "__main__":
    main()
