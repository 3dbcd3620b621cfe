"""Bytes that TensorFlow writes: `python tests/tf/io_facts.py`, where it is installed, prints FACTS
of `test_io.py`."""

import base64

import numpy as np


def example(train):
    feature = {
        "a": train.Feature(int64_list=train.Int64List(value=[1, -2, 300])),
        "b": train.Feature(float_list=train.FloatList(value=[0.5])),
        "c": train.Feature(bytes_list=train.BytesList(value=[b"x", b"yz"])),
    }
    return train.Example(features=train.Features(feature=feature))


def tensors(tf):
    return {
        "floats": tf.constant([[1.5, 2.5]]),
        "texts": tf.constant(["a", b"\x00" * 200]),
        "number": tf.constant(7, tf.int64),
        "halves": tf.constant([1.5], tf.bfloat16),
    }


IMAGE = (np.arange(4 * 5 * 3).reshape(4, 5, 3) * 4).astype("uint8")

if __name__ == "__main__":
    import tensorflow as tf

    facts = {"example": example(tf.train).SerializeToString(deterministic=True)}
    facts |= {name: tf.io.serialize_tensor(t).numpy() for name, t in tensors(tf).items()}
    facts["values"] = tf.make_tensor_proto([1, 2, 3]).SerializeToString()
    facts["filled"] = tf.make_tensor_proto(3.0, shape=[4]).SerializeToString()
    facts["png"] = tf.io.encode_png(IMAGE).numpy()
    facts["grey"] = tf.io.encode_png(IMAGE[..., :1]).numpy()
    for name, data in facts.items():
        print(f'    "{name}": "{base64.b64encode(data).decode()}",')
