"""A pipeline of records, and a model of `tf.keras` that is trained on it."""

import os
import pathlib
import tempfile

import numpy as np

import keraslike as keras
from keraslike import tf
from keraslike.tf.keras import layers

AUTOTUNE = tf.data.AUTOTUNE


def serialize(image: np.ndarray, label: int) -> bytes:
    feature = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image.tobytes()])),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


folder = pathlib.Path(tempfile.mkdtemp())
path = os.fspath(folder / "data.tfrecord")
with tf.io.TFRecordWriter(path) as writer:
    for i in range(20):
        writer.write(serialize(np.full((4, 4, 3), i, "uint8"), i % 2))


def parse(record):
    features = {
        "image": tf.io.FixedLenFeature([], tf.string),
        "label": tf.io.FixedLenFeature([], tf.int64),
    }
    example = tf.io.parse_single_example(record, features)
    image = tf.io.decode_raw(example["image"], tf.uint8)
    image = tf.reshape(image, [4, 4, 3])
    image = tf.cast(image, tf.float32) / 255.0
    return image, tf.one_hot(example["label"], depth=2)


def augment(image, label):
    image = tf.image.random_flip_left_right(image)
    image = tf.image.resize(image, (8, 8), method="bilinear")
    image = tf.clip_by_value(image + tf.random.normal([], stddev=0.1), 0.0, 1.0)
    return image, label


dataset = (
    tf.data.TFRecordDataset([path])
    .map(parse, num_parallel_calls=AUTOTUNE)
    .cache()
    .shuffle(buffer_size=20, seed=1, reshuffle_each_iteration=True)
    .map(augment, num_parallel_calls=AUTOTUNE)
    .batch(4)
    .prefetch(buffer_size=AUTOTUNE)
)
train, valid = dataset.skip(1), dataset.take(1)
for images, labels in train.take(1):
    print(images.shape, labels.dtype, images.numpy().max())
print(train.element_spec, len(list(train.as_numpy_iterator())), int(train.cardinality()))
window = tf.data.Dataset.range(10).window(3, shift=1, drop_remainder=True)
window = window.flat_map(lambda w: w.batch(3))
zipped = tf.data.Dataset.zip((window, tf.data.Dataset.range(8)))
for w, n in zipped:
    print(w.numpy().tolist(), int(n))
iterator = iter(zipped)
first = next(iterator)
print(first[0][1:])
model = tf.keras.Sequential(
    [
        layers.Input(shape=(8, 8, 3)),
        layers.Rescaling(1.0),
        layers.Flatten(),
        layers.Dense(2, activation="softmax"),
    ]
)
model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
model.fit(train, validation_data=valid, epochs=2, verbose=0)
result = model.evaluate(valid, return_dict=True, verbose=0)
print(result["loss"], result.get("accuracy"))
prediction = model(next(iter(valid))[0])
print(
    prediction.numpy().sum(axis=1),
    tf.argmax(prediction, axis=1),
    tf.reduce_mean(prediction).numpy(),
)
words = tf.constant(["a b", "c"])
ragged = tf.strings.split(words)
print(ragged.to_tensor(default_value=""), tf.strings.length(words), ragged.row_lengths())
table = tf.lookup.StaticHashTable(
    tf.lookup.KeyValueTensorInitializer(tf.constant(["a", "b"]), tf.constant([1, 2], tf.int64)), -1
)
print(table.lookup(tf.constant(["a", "z"])))
vectorize = keras.layers.TextVectorization(
    max_tokens=10, output_mode="int", output_sequence_length=4
)
vectorize.adapt(tf.data.Dataset.from_tensor_slices(["a b", "c d"]).batch(2))
print(vectorize.get_vocabulary()[:2], vectorize(words).shape)
