"""Bytes that TensorFlow writes: `python tests/tf/io_facts.py`, where it is installed, prints FACTS
of `test_io.py` and writes `io_parsed.json`."""

import base64
import json
import os

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


def parsed(tf):
    """What is parsed of examples and of sequences of them, as lists."""
    io, train = tf.io, tf.train

    def ints(*values):
        return train.Feature(int64_list=train.Int64List(value=values))

    def floats(*values):
        return train.Feature(float_list=train.FloatList(value=values))

    def words(*values):
        return train.Feature(bytes_list=train.BytesList(value=values))

    def example(**features):
        return train.Example(features=train.Features(feature=features)).SerializeToString()

    def sequence(context, **lists):
        lists = {k: train.FeatureList(feature=v) for k, v in lists.items()}
        return train.SequenceExample(
            context=train.Features(feature=context),
            feature_lists=train.FeatureLists(feature_list=lists),
        ).SerializeToString()

    examples = [
        example(v=floats(1, 2, 3, 4, 5), s=ints(0, 2, 2, 5), o=ints(0, 2, 3), n=ints(2, 3),
                i=ints(0, 0, 2, 2, 2), f=ints(0, 1, 4), l=ints(1, 4, 5), e=floats(1, 2, 3, 4),
                q=ints(9)),
        example(v=floats(6, 7, 8), s=ints(0, 3), o=ints(0, 1), n=ints(3), i=ints(0, 1, 1),
                f=ints(0, 0), l=ints(0, 3), e=floats(5, 6)),
        example(v=floats(), s=ints(0), o=ints(0), n=ints(), i=ints(), f=ints(), l=ints()),
    ]  # fmt: skip
    r = io.RaggedFeature
    kinds = {
        "splits": r(tf.float32, "v", [r.RowSplits("s")]),
        "twice": r(tf.float32, "v", [r.RowSplits("o"), r.RowSplits("s")]),
        "lengths": r(tf.float32, "v", [r.RowLengths("n")]),
        "ids": r(tf.float32, "v", [r.ValueRowIds("i")]),
        "starts": r(tf.float32, "v", [r.RowStarts("f")]),
        "limits": r(tf.float32, "v", [r.RowLimits("l")]),
        "even": r(tf.float32, "e", [r.UniformRowLength(2)]),
        "q": r(tf.int64, row_splits_dtype=tf.int64),
    }
    context = {"a": io.FixedLenFeature([2], tf.int64), "w": io.VarLenFeature(tf.string),
               "d": io.FixedLenFeature([], tf.float32, 0.5)}  # fmt: skip
    steps = {
        "x": io.FixedLenSequenceFeature([2], tf.float32),
        "m": io.FixedLenSequenceFeature([], tf.int64, allow_missing=True),
        "t": io.VarLenFeature(tf.string),
        "r": io.RaggedFeature(tf.int64),
    }
    sequences = [
        sequence({"a": ints(1, 2), "w": words(b"p", b"q")}, x=[floats(1, 2), floats(3, 4)],
                 t=[words(b"a"), words(), words(b"b", b"c")], r=[ints(1), ints(2, 3), ints()]),
        sequence({"a": ints(3, 4), "d": floats(2)}, x=[floats(5, 6)], m=[ints(7)], t=[], r=[]),
        sequence({"a": ints(5, 6)}, x=[], r=[ints(4)]),
    ]  # fmt: skip
    pieces = [
        sequence({}, v=[floats(1, 2, 3), floats(4)], s=[ints(0, 2, 3), ints(0, 1)],
                 n=[ints(2, 1), ints(1)], i=[ints(0, 0, 1), ints(2)], f=[ints(0, 2), ints(0)],
                 l=[ints(2, 3), ints(1)], e=[floats(1, 2, 3, 4), floats(5, 6)]),
        sequence({}, v=[floats(5, 6)], s=[ints(0, 0, 2)], n=[ints(0, 2)], i=[ints(1, 1)],
                 f=[ints(0, 0)], l=[ints(0, 2)], e=[floats(7, 8)]),
        sequence({}, **{key: [] for key in "vsnifle"}),
    ]  # fmt: skip
    kinds["both"] = r(tf.float32, "v", [r.UniformRowLength(1), r.RowLengths("n")])
    inner = {key: kinds[key] for key in kinds if key not in ("twice", "q")}
    inner["deep"] = r(tf.float32, "e", [r.UniformRowLength(1), r.UniformRowLength(2)])
    sparse = tf.sparse.from_dense([[0, 1, 0], [2, 0, 3]])
    many = io.serialize_many_sparse(sparse)

    def plain(x):
        if isinstance(x, dict):
            return {k: plain(v) for k, v in x.items()}
        if isinstance(x, (tuple, list)):
            return [plain(v) for v in x]
        if hasattr(x, "dense_shape"):
            return [plain(x.indices), plain(x.values), plain(x.dense_shape)]
        if hasattr(x, "row_splits"):
            return [x.row_splits.dtype.name, x.dtype.name, str(x.shape), x.to_list()]
        values = x.numpy()
        if x.dtype == tf.string:
            return ["string", list(x.shape), str(values.tolist() if x.shape else values)]
        return [x.dtype.name, list(x.shape), values.tolist()]

    return plain({
        "examples": io.parse_example(examples, kinds),
        "one": io.parse_single_example(examples[0], kinds),
        "sequences": io.parse_sequence_example(sequences, context, steps),
        "sequence": io.parse_single_sequence_example(sequences[0], context, steps),
        "empty": io.parse_single_sequence_example(sequences[2], context, steps),
        "pieces": io.parse_sequence_example(pieces, None, inner)[1],
        "piece": io.parse_single_sequence_example(pieces[0], None, inner)[1],
        "none": io.parse_single_sequence_example(pieces[2], None, inner)[1],
        "sparse": io.serialize_sparse(sparse),
        "many": many,
        "back": io.deserialize_many_sparse(many, tf.int32),
    })  # fmt: skip


IMAGE = (np.arange(4 * 5 * 3).reshape(4, 5, 3) * 4).astype("uint8")

if __name__ == "__main__":
    import tensorflow as tf

    facts = {"example": example(tf.train).SerializeToString(deterministic=True)}
    facts |= {name: tf.io.serialize_tensor(t).numpy() for name, t in tensors(tf).items()}
    facts["values"] = tf.make_tensor_proto([1, 2, 3]).SerializeToString()
    facts["filled"] = tf.make_tensor_proto(3.0, shape=[4]).SerializeToString()
    facts["png"] = tf.io.encode_png(IMAGE).numpy()
    facts["grey"] = tf.io.encode_png(IMAGE[..., :1]).numpy()
    with open(os.path.join(os.path.dirname(__file__), "io_parsed.json"), "w") as file:
        json.dump(parsed(tf), file, separators=(",", ":"))
    for name, data in facts.items():
        print(f'    "{name}": "{base64.b64encode(data).decode()}",')
