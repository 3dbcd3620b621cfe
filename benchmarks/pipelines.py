"""Pipelines of `tf.data`, as guides write them, by TensorFlow or keraslike, called `tf`.

Each iterates over all elements of a data set and leaves them; how many there are is beside it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

_FOLDER = tempfile.TemporaryDirectory()


def _path(name: str) -> str:
    return os.path.join(_FOLDER.name, name)


def _arrays(tf: Any, count: int) -> Any:
    rng = np.random.default_rng(0)
    x, y = rng.random((count, 28, 28), "float32"), rng.integers(0, 10, count)
    return tf.data.Dataset.from_tensor_slices((x, y)).shuffle(count).batch(32).prefetch(1)


def _images(tf: Any, count: int) -> Any:
    rng = np.random.default_rng(0)
    for i in range(count):
        small = rng.integers(0, 256, (20, 26, 3))
        image = small.repeat(12, 0).repeat(12, 1) + rng.integers(-20, 20, (240, 312, 3))
        image = tf.io.encode_jpeg(image.clip(0, 255).astype("uint8"))
        tf.io.write_file(_path(f"{i:03}.jpg"), image)

    def prepared(path: Any) -> Any:
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        image = tf.image.resize(image, (160, 160)) / 255.0
        image = tf.image.random_flip_left_right(image)
        return tf.image.random_brightness(image, 0.2)

    files = tf.data.Dataset.list_files(_path("*.jpg"))
    return files.map(prepared, tf.data.AUTOTUNE).batch(32).prefetch(1)


def _lines(tf: Any, count: int) -> Any:
    words = ["".join(w) for w in np.random.default_rng(0).choice(list("etaoins"), (2000, 5))]
    chosen = np.random.default_rng(1).choice(words, (count, 20))
    with open(_path("lines"), "w") as file:
        file.writelines(" ".join(line) + "\n" for line in chosen)
    return tf.data.TextLineDataset(_path("lines")), words


def _vectorized(tf: Any, count: int) -> Any:
    lines, words = _lines(tf, count)
    layer = tf.keras.layers.TextVectorization(vocabulary=sorted(set(words)))
    return lines.batch(32).map(layer, tf.data.AUTOTUNE).prefetch(1)


def _split(tf: Any, count: int) -> Any:
    def hashed(lines: Any) -> Any:
        return tf.strings.to_hash_bucket_fast(tf.strings.split(tf.strings.lower(lines)), 1000)

    return _lines(tf, count)[0].batch(32).map(hashed, tf.data.AUTOTUNE).prefetch(1)


def _records(tf: Any, count: int) -> tuple[Any, Any]:
    feature, train = tf.train.Feature, tf.train
    with tf.io.TFRecordWriter(_path("records")) as writer:
        for i in range(count):
            values = {
                "x": feature(float_list=train.FloatList(value=np.arange(100.0))),
                "y": feature(int64_list=train.Int64List(value=[i])),
                "name": feature(bytes_list=train.BytesList(value=[b"number %d" % i])),
            }
            example = train.Example(features=train.Features(feature=values))
            writer.write(example.SerializeToString())
    kinds = {
        "x": tf.io.FixedLenFeature([100], tf.float32),
        "y": tf.io.FixedLenFeature([], tf.int64),
        "name": tf.io.FixedLenFeature([], tf.string),
    }
    return tf.data.TFRecordDataset(_path("records")), kinds


def _one_by_one(tf: Any, count: int) -> Any:
    records, kinds = _records(tf, count)
    parsed = records.map(lambda s: tf.io.parse_single_example(s, kinds), tf.data.AUTOTUNE)
    return parsed.batch(32).prefetch(1)


def _batched(tf: Any, count: int) -> Any:
    records, kinds = _records(tf, count)
    return records.batch(32).map(lambda s: tf.io.parse_example(s, kinds), tf.data.AUTOTUNE)


def _written(tf: Any, count: int) -> Any:
    """No data set: the writing of records, one of which an iteration gives."""

    class Writing:
        def __iter__(self) -> Any:
            return iter([_records(tf, count)])

    return Writing()


_PIPELINES: dict[str, tuple[Callable[[Any, int], Any], int]] = {
    "arrays: shuffle, batch": (_arrays, 20000),
    "images: decode, resize, flip and brightness, batch": (_images, 64),
    "lines: batch, TextVectorization": (_vectorized, 3200),
    "lines: batch, split and hash": (_split, 3200),
    "records: parse one by one, batch": (_one_by_one, 3200),
    "records: batch, parse": (_batched, 3200),
    "records: write": (_written, 3200),
}
COUNTS = {name: count for name, (_, count) in _PIPELINES.items()}


def timed(name: str, tf: Any) -> Callable[[], Any]:
    """Takes all elements once."""
    make, count = _PIPELINES[name]
    dataset = make(tf, count)

    def once() -> None:
        for _ in dataset:
            pass

    return once
