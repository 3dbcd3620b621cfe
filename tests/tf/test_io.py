"""`tf.io` and `tf.train`: bytes are TensorFlow's in both directions."""

import base64
import json
import os

import numpy as np
import pytest

from keraslike import tf
from tests.tf import io_facts

FACTS = {  # printed by io_facts.py
    "example": "CjcKFgoBYRIRGg8KDQH+//////////8BrAIKDQoBYhIIEgYKBAAAAD8KDgoBYxIJCgcKAXgKAnl6",  # noqa: E501
    "floats": "CAESCBICCAESAggCIggAAMA/AAAgQA==",
    "texts": "CAcSBBICCAJCAWFCyAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",  # noqa: E501
    "number": "CAkSACIIBwAAAAAAAAA=",
    "halves": "CA4SBBICCAEiAsA/",
    "values": "CAMSBBICCAMiDAEAAAACAAAAAwAAAA==",
    "filled": "CAESBBICCAQqBAAAQEA=",
    "png": "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAECAIAAADJUWIXAAAAFElEQVQImWNkYOHgQQIsNjY2pPABiMgEdm1w1r0AAAAASUVORK5CYII=",  # noqa: E501
    "grey": "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAECAAAAABjWKqcAAAAFklEQVQImWNk4OHh4WG04eHh4WFBIgEQ5gF/IHM0PwAAAABJRU5ErkJggg==",  # noqa: E501
}
FACTS = {name: base64.b64decode(text) for name, text in FACTS.items()}


def test_messages_and_tensors():
    made = io_facts.example(tf.train)
    assert made.SerializeToString(deterministic=True) == FACTS["example"]
    assert tf.train.Example.FromString(FACTS["example"]) == made
    for name, tensor in io_facts.tensors(tf).items():
        assert tf.io.serialize_tensor(tensor).numpy() == FACTS[name]
        back = tf.io.parse_tensor(FACTS[name], tensor.dtype)
        np.testing.assert_array_equal(np.asarray(back), np.asarray(tensor))
    assert tf.io.parse_tensor(FACTS["values"], tf.int32).numpy().tolist() == [1, 2, 3]
    assert tf.io.parse_tensor(FACTS["filled"], tf.float32).numpy().tolist() == [3.0] * 4
    with pytest.raises(tf.errors.InvalidArgumentError, match="Type mismatch"):
        tf.io.parse_tensor(FACTS["floats"], tf.int32)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Could not parse"):
        tf.io.parse_tensor(b"no tensor", tf.int32)


@pytest.mark.parametrize(
    "values, shape, text",
    [
        (3, None, "dtype: DT_INT32 tensor_shape { } int_val: 3"),
        ("a", None, 'dtype: DT_STRING tensor_shape { } string_val: "a"'),
        (3.0, [4], "dtype: DT_FLOAT tensor_shape { dim { size: 4 } } float_val: 3"),
        (1 + 2j, None, "dtype: DT_COMPLEX128 tensor_shape { } dcomplex_val: 1 dcomplex_val: 2"),
        (np.float16(2), None, "dtype: DT_HALF tensor_shape { } half_val: 16384"),
        (
            [True, False],
            None,
            "dtype: DT_BOOL tensor_shape { dim { size: 2 } } bool_val: true bool_val: false",
        ),
        (
            [1, 2],
            None,
            "dtype: DT_INT32 tensor_shape { dim { size: 2 } } "
            r'tensor_content: "\001\000\000\000\002\000\000\000"',
        ),
        (
            [1 + 2j, 3 - 4j],
            None,
            "dtype: DT_COMPLEX128 tensor_shape { dim { size: 2 } } dcomplex_val: 1 "
            "dcomplex_val: 2 dcomplex_val: 3 dcomplex_val: -4",
        ),
    ],
)
def test_a_single_value_is_written_as_a_value(values, shape, text):
    made = tf.make_tensor_proto(values, shape=shape)
    assert " ".join(str(made).split()) == text  # printed by TensorFlow 2.21
    expected = np.full(shape, values) if shape else np.asarray(values)
    np.testing.assert_array_equal(
        tf.make_ndarray(made), expected.astype("S") if isinstance(values, str) else expected
    )


@pytest.mark.parametrize("values", [[10, 20, 30], [1.5, 2.5], ["a", "b"], [True, False]])
def test_the_last_of_fewer_values_stands_for_those_that_follow(values):
    made = tf.make_ndarray(tf.make_tensor_proto(values, shape=[2, 3]))
    expected = (values + [values[-1]] * 6)[:6]
    assert made.reshape(-1).astype("U" if "a" in values else made.dtype).tolist() == expected


def test_texts_of_sparse_tensors_are_packed():
    made = tf.io.serialize_sparse(
        tf.sparse.SparseTensor([[0, 1], [1, 2]], ["a" * 200, "b"], [2, 5])
    )
    start = b'\x08\x07\x12\x04\x12\x02\x08\x02"\xcc\x01\xc8\x01\x01'  # as TensorFlow's
    assert made.numpy()[1] == start + b"a" * 200 + b"b"


def test_features_are_in_the_order_of_their_kinds():
    io, one = tf.io, tf.train.Feature(int64_list=tf.train.Int64List(value=[1]))
    features = tf.train.Features(feature=dict.fromkeys("abcdefgh", one))
    kinds = {
        "h": io.VarLenFeature(tf.int64),
        "b": io.FixedLenFeature([], tf.int64),
        "a": io.RaggedFeature(tf.int64),
        "c": io.VarLenFeature(tf.int64),
        "g": io.FixedLenFeature([], tf.int64),
    }
    more = {
        "s": io.SparseFeature("d", "e", tf.int64, 5),
        "d2": io.FixedLenSequenceFeature([], tf.int64, allow_missing=True),
        "A": io.SparseFeature("d", "e", tf.int64, 5),
        "r": io.RaggedFeature(tf.int64, "f"),
    }
    data = tf.train.Example(features=features).SerializeToString()
    expected = ["c", "h", "b", "d2", "g", "a", "A", "r", "s"]  # TensorFlow 2.21
    assert list(io.parse_single_example(data, kinds | more)) == expected
    assert list(io.parse_example([data], kinds | more)) == expected
    steps = tf.train.FeatureLists(
        feature_list={name: tf.train.FeatureList(feature=[one]) for name in "abcdefgh"}
    )
    data = tf.train.SequenceExample(context=features, feature_lists=steps).SerializeToString()
    in_steps = kinds | {name: io.FixedLenSequenceFeature([], tf.int64) for name in "bg"}
    around, each = io.parse_single_sequence_example(data, kinds, in_steps)
    assert list(around) == list(each) == ["c", "h", "b", "g", "a"]


def test_examples():
    io, data = tf.io, FACTS["example"]
    kinds = {
        "a": io.FixedLenFeature([3], tf.int64),
        "b": io.FixedLenFeature([], tf.float32),
        "c": io.VarLenFeature(tf.string),
        "d": io.FixedLenFeature([2], tf.int64, default_value=[9, 9]),
    }
    one = io.parse_single_example(data, kinds)
    assert one["a"].numpy().tolist() == [1, -2, 300] and one["b"].numpy() == 0.5
    assert one["c"].values.numpy().tolist() == [b"x", b"yz"] and one["c"].shape == (2,)
    assert one["d"].numpy().tolist() == [9, 9]
    two = io.parse_example([data, b""], {
        "a": io.RaggedFeature(tf.int64),
        "b": io.FixedLenFeature([], tf.float32, default_value=-1.0),
        "c": io.VarLenFeature(tf.string),
        "e": io.FixedLenSequenceFeature([], tf.int64, True, 7),
        "s": io.VarLenFeature(tf.int64),
    })  # fmt: skip
    assert two["a"].to_list() == [[1, -2, 300], []] and two["b"].numpy().tolist() == [0.5, -1.0]
    assert two["c"].indices.numpy().tolist() == [[0, 0], [0, 1]] and two["c"].shape == (2, 2)
    assert two["e"].shape == (2, 0) and two["s"].shape == (2, 0)
    for kind, message in (
        (io.FixedLenFeature([2], tf.int64), "Values size: 3"),
        (io.FixedLenFeature([3], tf.float32), "Data types don't match"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            io.parse_single_example(data, {"a": kind})
    with pytest.raises(tf.errors.InvalidArgumentError, match="must be one value"):
        io.parse_example([data], {"a": io.FixedLenSequenceFeature([], tf.int64, True, [])})
    with pytest.raises(tf.errors.InvalidArgumentError, match="z .*is required"):
        io.parse_single_example(data, {"z": io.FixedLenFeature([], tf.int64)})
    with pytest.raises(tf.errors.InvalidArgumentError, match="Could not parse"):
        io.parse_single_example(b"none", kinds)
    dataset = tf.data.Dataset.from_tensor_slices([data] * 3).map(
        lambda text: io.parse_single_example(text, kinds), num_parallel_calls=2
    )
    batch = next(iter(dataset.batch(3)))
    assert batch["a"].shape == (3, 3) and batch["c"].shape == (3, 2)


def test_partitions_sequences_and_sparse_tensors():
    with open(os.path.join(os.path.dirname(__file__), "io_parsed.json")) as file:
        assert io_facts.parsed(tf) == json.load(file)
    io, sequence = tf.io, tf.train.SequenceExample().SerializeToString()
    with pytest.raises(tf.errors.InvalidArgumentError, match="'x' is required"):
        io.parse_sequence_example([sequence], None, {"x": io.FixedLenSequenceFeature([], tf.int64)})
    with pytest.raises(ValueError, match="context_features or sequence_features"):
        io.parse_single_sequence_example(sequence)
    with pytest.raises(tf.errors.InvalidArgumentError, match="shape .rows, 3."):
        io.deserialize_many_sparse(["a"], tf.int32)


def test_floats_in_any_form_of_the_message():
    one_by_one = b"\r\x00\x00\x80?\r\x00\x00\x00@"  # not packed
    for values in (
        one_by_one,
        b"\n\x04\x00\x00\x80?\n\x04\x00\x00\x00@",
        b"\n\x04\x00\x00\x80?" + one_by_one[5:],
    ):
        feature = b"\x12" + bytes([len(values)]) + values
        entry = b"\n\x01v\x12" + bytes([len(feature)]) + feature
        features = b"\n" + bytes([len(entry)]) + entry
        data = b"\n" + bytes([len(features)]) + features
        found = tf.io.parse_single_example(data, {"v": tf.io.VarLenFeature(tf.float32)})["v"]
        assert found.values.numpy().tolist() == [1.0, 2.0]
    with pytest.raises(tf.errors.InvalidArgumentError, match="Could not parse"):
        cut = data.replace(b"\x04\x00\x00\x80?", b"\x03\x00\x00\x80").replace(b"\x0b", b"\x0a")
        tf.io.parse_single_example(cut, {"v": tf.io.VarLenFeature(tf.float32)})


def test_pictures():
    io, image = tf.io, io_facts.IMAGE
    np.testing.assert_array_equal(io.decode_png(FACTS["png"]), image)
    grey = io.decode_png(FACTS["grey"], channels=3).numpy()
    assert grey.shape == (4, 5, 3) and grey[0, 1].tolist() == [12, 12, 12]
    np.testing.assert_array_equal(io.decode_image(io.encode_png(image)), image)
    coded = io.encode_jpeg(image, quality=100)
    near = io.decode_jpeg(coded, dct_method="INTEGER_ACCURATE").numpy().astype(int)
    assert abs(near - image).max() <= 2
    scaled = io.decode_image(FACTS["png"], dtype=tf.float32).numpy()
    np.testing.assert_allclose(scaled, image / 255, atol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError, match="not an image of one of the formats"):
        io.decode_png(b"none")
    assert not io.is_jpeg(FACTS["png"]).numpy() and io.is_jpeg(io.encode_jpeg(image)).numpy()


def test_files_rows_and_numbers(tmp_path):
    path = str(tmp_path / "below" / "file")
    tf.io.write_file(path, "abc")
    assert tf.io.read_file(path).numpy() == b"abc"
    assert tf.io.matching_files(str(tmp_path / "below" / "*")).numpy().tolist() == [path.encode()]
    columns = tf.io.decode_csv(["1,2.5,a b", '2,,"q,""z"'], [0, 0.5, ""])
    assert [c.numpy().tolist() for c in columns] == [[1, 2], [2.5, 0.5], [b"a b", b'q,"z']]
    assert tf.io.decode_csv("7;8", [tf.int32], ";", select_cols=[1])[0].numpy() == 8
    with pytest.raises(ValueError, match="negative"):
        tf.io.decode_csv("7,8", [[0], [1]], select_cols=[-1, 0])
    with pytest.raises(tf.errors.InvalidArgumentError, match="1 default"):
        tf.io.decode_csv("7", [[[0]]])
    with pytest.raises(tf.errors.InvalidArgumentError, match="not a valid int32"):
        tf.io.decode_csv(["x"], [0])
    with pytest.raises(tf.errors.InvalidArgumentError, match="have 0 in record"):
        tf.io.decode_csv([""], [tf.int32])
    assert tf.io.decode_raw(b"\x01\x02", tf.int16).numpy().tolist() == [513]
    assert tf.io.decode_raw(b"\x01\x02", tf.int16, little_endian=False).numpy().tolist() == [258]
    with pytest.raises(tf.errors.InvalidArgumentError, match="multiple of 2"):
        tf.io.decode_raw(b"abc", tf.int16)


def test_files_by_name_and_batches_of_examples(tmp_path):
    files, path = tf.io.gfile, str(tmp_path / "a" / "b.tfrecord")
    files.makedirs(files.join(str(tmp_path), "a"))
    with tf.io.TFRecordWriter(path) as writer:
        for _ in range(3):
            writer.write(FACTS["example"])
    assert files.exists(path) and files.glob(str(tmp_path / "a" / "*")) == [path]
    assert files.exists("file://" + path)
    assert files.glob(iter([path, str(tmp_path / "*")])) == [path, str(tmp_path / "a")]
    assert files.get_registered_schemes() == [""]
    files.copy(path, path + "2")
    with pytest.raises(FileExistsError):
        files.rename(path, path + "2")
    kinds = {"a": tf.io.FixedLenFeature([3], tf.int64), "b": tf.io.FixedLenFeature([], tf.float32)}
    dataset = tf.data.experimental.make_batched_features_dataset(
        path + "*", 4, kinds, label_key="b", num_epochs=1, shuffle=False
    )
    assert [(x["a"].shape, y.numpy().tolist()) for x, y in dataset] == [
        ((4, 3), [0.5] * 4),
        ((2, 3), [0.5] * 2),
    ]
