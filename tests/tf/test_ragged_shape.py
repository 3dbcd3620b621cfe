"""`tf.experimental.RowPartition`, `DynamicRaggedShape` and broadcasting: what TensorFlow gives."""

import numpy as np
import pytest

from keraslike import tf

InvalidArgumentError = tf.errors.InvalidArgumentError
Rows = tf.experimental.RowPartition
Shape = tf.experimental.DynamicRaggedShape


@pytest.fixture
def shape():
    return tf.shape(tf.ragged.constant([[1], [2, 3, 4], [], [5, 6]]))


@pytest.mark.parametrize(
    "made, printed",
    [
        (lambda: Rows.from_row_lengths([2, 0, 3]), "row_splits=[0 2 2 5]"),
        (lambda: Rows.from_value_rowids([0, 0, 2, 2, 2], nrows=4), "row_splits=[0 2 2 5 5]"),
        (lambda: Rows.from_row_starts([0, 1, 3], nvals=5), "row_splits=[0 1 3 5]"),
        (lambda: Rows.from_row_limits([1, 3, 5]), "row_splits=[0 1 3 5]"),
        (lambda: Rows.from_uniform_row_length(2, nvals=6), "nrows=3, uniform_row_length=2"),
        (lambda: Rows.from_uniform_row_length(0, 0, 4), "nrows=4, uniform_row_length=0"),
    ],
)
def test_partitions(made, printed):
    assert repr(made()) == f"tf.RowPartition({printed})"
    assert made().dtype is tf.int64 and made().with_dtype(tf.int32).row_splits().dtype is tf.int32


def test_attributes_of_a_partition():
    rows = Rows.from_row_lengths(np.array([2, 0, 3], np.int32))
    assert rows.dtype is tf.int32 and rows.nrows().dtype is tf.int32
    assert rows.row_lengths().numpy().tolist() == [2, 0, 3]
    assert rows.value_rowids().numpy().tolist() == [0, 0, 2, 2, 2]
    assert rows.offsets_in_rows().numpy().tolist() == [0, 1, 0, 1, 2]
    assert (int(rows.nrows()), int(rows.nvals()), rows.is_uniform()) == (3, 5, False)
    assert rows.uniform_row_length() is None
    assert int(Rows.from_uniform_row_length(2, nrows=3).uniform_row_length()) == 2
    lengths = tf.function(lambda rows: rows.row_lengths())
    assert lengths(rows).numpy().tolist() == [2, 0, 3]


@pytest.mark.parametrize(
    "make, error",
    [
        (lambda: Rows(), ValueError),
        (lambda: Rows.from_row_splits([]), ValueError),
        (lambda: Rows.from_row_splits([0, 1.5]), ValueError),
        (lambda: Rows.from_row_splits([0, 3, 1]), InvalidArgumentError),
        (lambda: Rows.from_row_splits([1, 3]), InvalidArgumentError),
        (lambda: Rows.from_row_lengths([1, -1]), InvalidArgumentError),
        (lambda: Rows.from_value_rowids([0, 2], nrows=2), ValueError),
        (lambda: Rows.from_uniform_row_length(2), ValueError),
        (lambda: Rows.from_uniform_row_length(2, nvals=5), ValueError),
        (lambda: Rows.from_row_splits([0, 1], dtype=tf.int16), ValueError),
        (lambda: Shape([1], [3]), TypeError),
        (lambda: Shape([], 5), ValueError),
        (lambda: Shape([Rows.from_row_lengths([2, 1])], [4]), ValueError),
        (lambda: Shape.from_lengths([2, (3, 2, 1)]), ValueError),
        (lambda: Shape.from_lengths([(3, 2)]), ValueError),
        (lambda: Shape.from_row_partitions([]), ValueError),
    ],
)
def test_what_is_no_partition_or_shape(make, error):
    with pytest.raises(error):
        make()


@pytest.mark.parametrize(
    "made, lengths, count",
    [
        (lambda s: s, "4, (1, 3, 0, 2)", 1),
        (lambda s: s[:1], "4", 0),
        (lambda s: Shape([Rows.from_row_lengths([5, 3, 2])], [10, 8]), "3, (5, 3, 2), 8", 1),
        (lambda s: Shape.from_lengths([2, 2, 3], num_row_partitions=2), "2, 2, 3", 2),
        (lambda s: Shape.from_lengths([2, (2, 1), (2, 0, 3)]), "2, (2, 1), (2, 0, 3)", 2),
        (lambda s: Shape.from_lengths([2, 3, (1, 2, 3, 4, 5, 6), 2])[:2], "2, 3", 1),
        (lambda s: Shape.from_lengths([2, (2, 1), 2, 3])[:3], "2, (2, 1), 2", 1),
        (lambda s: Shape.from_tensor([[1, 2], [3, 4]]), "2, 2", 0),
        (lambda s: tf.function(tf.shape)(tf.ragged.constant([[1], []])), "2, (1, 0)", 1),
        (lambda s: tf.broadcast_dynamic_shape(s, [4, 1]), "4, (1, 3, 0, 2)", 1),
        (
            lambda s: tf.broadcast_dynamic_shape(Shape.from_lengths([1, (3,)]), [2, 1]),
            "2, (3, 3)",
            1,
        ),
        (
            lambda s: tf.broadcast_dynamic_shape([2, 1, 1], Shape.from_lengths([2, (1, 2)])),
            "2, 2, (1, 2, 1, 2)",
            2,
        ),
    ],
)
def test_shapes(shape, made, lengths, count):
    expected = f"<DynamicRaggedShape lengths=[{lengths}] num_row_partitions={count}>"
    assert repr(made(shape)) == expected


def test_attributes_of_a_shape(shape):
    assert (shape.rank, shape.inner_rank, shape.num_row_partitions) == (2, 1, 1)
    assert shape.dtype is tf.int32 and shape.inner_shape.numpy().tolist() == [6]
    assert shape.static_lengths(ragged_lengths=False) == [4, None]
    assert shape.is_uniform(0) and not shape.is_uniform(1)
    assert int(shape[0]) == 4 and shape[0].dtype is tf.int32
    same = tf.shape(tf.ragged.constant([[1], [2, 3, 4], [], [5, 6]]))
    assert bool(shape == same) and not bool(shape != same)
    for index, error in ((1, ValueError), (2, IndexError), ("a", TypeError)):
        with pytest.raises(error):
            shape[index]


@pytest.mark.parametrize(
    "function, expected",
    [
        (lambda s: tf.zeros(s, tf.int32), [[0], [0, 0, 0], [], [0, 0]]),
        (lambda s: tf.ones(s), [[1.0], [1.0, 1.0, 1.0], [], [1.0, 1.0]]),
        (lambda s: tf.fill(s, "x"), [[b"x"], [b"x"] * 3, [], [b"x"] * 2]),
        (lambda s: tf.reshape(tf.range(6), s), [[0], [1, 2, 3], [], [4, 5]]),
        (lambda s: tf.reshape(tf.zeros(s), [6]), [0.0] * 6),
        (lambda s: tf.broadcast_to([[1], [2], [3], [4]], s), [[1], [2, 2, 2], [], [4, 4]]),
        (
            lambda s: tf.broadcast_to(
                tf.ragged.constant([[[1], [2]], [[3]]], ragged_rank=1),
                Shape.from_lengths([2, (2, 1), 2]),
            ),
            [[[1, 1], [2, 2]], [[3, 3]]],
        ),
    ],
)
def test_functions_of_shapes(shape, function, expected):
    for call in (function, tf.function(function)):
        found = call(shape)
        assert getattr(found, "to_list", found.numpy().tolist)() == expected


def test_a_shape_that_does_not_fit(shape):
    with pytest.raises(InvalidArgumentError):
        tf.reshape(tf.range(7), shape)
    with pytest.raises(InvalidArgumentError):
        tf.broadcast_to([1, 2], shape)
    with pytest.raises(ValueError, match="dense tensor is expected"):
        tf.random.uniform(shape)


@pytest.mark.parametrize(
    "x, y, expected",
    [
        ([[1, 2], []], [[[1]]], [[[2, 3], []]]),
        ([[1, 2, 3]], [[10], [20]], [[11, 12, 13], [21, 22, 23]]),
        ([[1, 2, 3]], [[10, 20, 30], [20, 30, 40]], [[11, 22, 33], [21, 32, 43]]),
        ([[1, 2], [3]], [[[10]], [[20]]], [[[11, 12], [13]], [[21, 22], [23]]]),
        ([[[1, 2], [3]]], [[[10]], [[20]]], [[[11, 12], [13]], [[21, 22], [23]]]),
    ],
)
def test_rows_are_broadcast_to_those_of_a_dense_tensor(x, y, expected):
    x, y = tf.ragged.constant(x), tf.constant(y)
    assert (x + y).to_list() == (y + x).to_list() == expected
    if y.shape[-1] == 1:
        uniform = tf.RaggedTensor.from_tensor(y, ragged_rank=y.ndim - 1)
        assert (x + uniform).to_list() == expected
