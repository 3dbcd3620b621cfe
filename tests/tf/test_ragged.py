"""`tf.RaggedTensor` and `tf.ragged`: what TensorFlow gives, gradients, and life inside jit."""

import copy
import pickle
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from keraslike import tf

pytestmark = pytest.mark.slow

InvalidArgumentError = tf.errors.InvalidArgumentError
R = tf.RaggedTensor


@pytest.fixture
def r():
    return tf.ragged.constant([[1, 2], [], [3]])


@pytest.fixture
def f():
    return tf.ragged.constant([[1.0, 2.0], [], [3.0]])


@pytest.fixture
def deep():
    return tf.ragged.constant([[[1, 2], []], [], [[3]]])


def plain(x):
    """Nested lists of a ragged or dense tensor."""
    return x.to_list() if isinstance(x, R) else x.numpy().tolist()


# -- making them ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lists, printed",
    [
        ([[1, 2], [], [3]], "[[1, 2], [], [3]]"),
        ([[1.0, 2], [3]], "[[1.0, 2.0], [3.0]]"),
        ([["a", "bc"], ["d"]], "[[b'a', b'bc'], [b'd']]"),
        ([[[1, 2], []], [], [[3]]], "[[[1, 2], []], [], [[3]]]"),
        ([[], []], "[[], []]"),
        ([[1], [3]], "[[1],\n [3]]"),
        ([[1.1, 2.25], [3e10]], "[[1.1, 2.25], [3e+10]]"),
        (
            [list(range(40)), [1]],
            "[[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,\n"
            "  21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38,\n"
            "  39]                                                                      ,\n [1]]",
        ),
    ],
)
def test_prints_as_tensorflow(lists, printed):
    made = tf.ragged.constant(lists)
    assert repr(made) == str(made) == f"<tf.RaggedTensor {printed}>"


def test_constant_with_inner_shape():
    lists = [[[1, 2]], [[3, 4], [5, 6]]]
    for made in (
        tf.ragged.constant(lists, ragged_rank=1),
        tf.ragged.constant(lists, inner_shape=(2,)),
    ):
        assert made.shape == [2, None, 2] and made.ragged_rank == 1
        assert repr(made) == "<tf.RaggedTensor [[[1, 2]], [[3, 4],\n            [5, 6]]]>"
    assert tf.ragged.constant(lists).shape == [2, None, None]
    with pytest.raises(ValueError, match="ragged_rank=3"):
        tf.ragged.constant(lists, ragged_rank=3)


def test_constant_dtypes():
    assert tf.ragged.constant([[1, 2], [3]]).dtype == tf.int32
    assert tf.ragged.constant([[1, 2], [3]], dtype=tf.float64).dtype == tf.float64
    assert tf.ragged.constant(np.array([[1, 2], [3, 4]])).dtype == tf.int64
    assert tf.ragged.constant([[], []]).dtype == tf.float32
    assert tf.ragged.constant([[1]], row_splits_dtype=tf.int32).row_splits.dtype == tf.int32
    assert isinstance(tf.ragged.constant([1, 2]), tf.Tensor)
    assert tf.ragged.constant(3).numpy() == 3
    with pytest.raises(TypeError):
        tf.ragged.constant([[1.5]], dtype=tf.int32)
    for mixed in ([1, [2]], [[1], [[2]]], [["a"], [2]]):
        with pytest.raises(ValueError):
            tf.ragged.constant(mixed)


@pytest.mark.parametrize(
    "make, expected",
    [
        (lambda: R.from_row_splits([1, 2, 3], [0, 2, 2, 3]), [[1, 2], [], [3]]),
        (lambda: R.from_row_lengths([1, 2, 3], [2, 0, 1]), [[1, 2], [], [3]]),
        (lambda: R.from_row_starts([1, 2, 3], [0, 2, 2]), [[1, 2], [], [3]]),
        (lambda: R.from_row_limits([1, 2, 3], [2, 2, 3]), [[1, 2], [], [3]]),
        (lambda: R.from_value_rowids([1, 2, 3], [0, 0, 2]), [[1, 2], [], [3]]),
        (lambda: R.from_value_rowids([1], [1], nrows=4), [[], [1], [], []]),
        (lambda: R.from_uniform_row_length([1, 2, 3, 4], 2), [[1, 2], [3, 4]]),
        (lambda: R.from_uniform_row_length([], 0, nrows=2), [[], []]),
        (lambda: R.from_nested_row_splits([1, 2], [[0, 2], [0, 1, 2]]), [[[1], [2]]]),
        (lambda: R.from_nested_row_lengths([1, 2], [[2], [1, 1]]), [[[1], [2]]]),
        (lambda: R.from_tensor([[1, 0], [2, 3]]), [[1, 0], [2, 3]]),
        (lambda: R.from_tensor([[1, 0, 0], [2, 0, 3]], padding=0), [[1], [2, 0, 3]]),
        (lambda: R.from_tensor([[1, 0, 0], [2, 3, 0]], lengths=[1, 2]), [[1], [2, 3]]),
        (lambda: R.from_tensor([[[1, 0], [2, 3]]], ragged_rank=2), [[[1, 0], [2, 3]]]),
        (lambda: R.from_sparse(tf.sparse.from_dense([[1, 2, 0], [3, 0, 0]])), [[1, 2], [3]]),
        (lambda: tf.ragged.range([3, 0, 2]), [[0, 1, 2], [], [0, 1]]),
        (lambda: tf.ragged.range([1, 2], [4, 3], 2), [[1, 3], [2]]),
        (lambda: tf.ragged.range([1.0, 2], [4, 3]), [[1.0, 2.0, 3.0], [2.0]]),
        (lambda: tf.ragged.range(3), [[0, 1, 2]]),
        (lambda: tf.ragged.range([3, 0], [0, 3], -1), [[3, 2, 1], []]),
        (
            lambda: tf.ragged.stack_dynamic_partitions([1, 2, 3], [0, 1, 0], 3),
            [[1, 3], [2], []],
        ),
    ],
)
def test_makers(make, expected):
    assert make().to_list() == expected


@pytest.mark.parametrize(
    "make, error",
    [
        (lambda: R.from_row_splits([1, 2, 3], [1, 2, 3]), InvalidArgumentError),
        (lambda: R.from_row_splits([1, 2, 3], [0, 2]), InvalidArgumentError),
        (lambda: R.from_row_splits([1, 2, 3], [0, 2, 1, 3]), InvalidArgumentError),
        (lambda: R.from_row_splits([1, 2, 3], []), ValueError),
        (lambda: R.from_row_splits(3, [0, 3]), InvalidArgumentError),
        (lambda: R.from_row_splits([1], [0.0, 1.0]), (TypeError, ValueError)),
        (lambda: R.from_row_lengths([1, 2, 3], [2, 0]), InvalidArgumentError),
        (lambda: R.from_row_lengths([1, 2, 3], [4, -1]), InvalidArgumentError),
        (lambda: R.from_value_rowids([1, 2, 3], [0, 2, 1]), InvalidArgumentError),
        (lambda: R.from_value_rowids([1, 2, 3], [0, 2]), ValueError),
        (lambda: R.from_value_rowids([1, 2, 3], [0, 1, 2], nrows=2), ValueError),
        (lambda: R.from_uniform_row_length([1, 2, 3], 2), ValueError),
        (
            lambda: R.from_sparse(tf.sparse.from_dense([[0, 2], [3, 0]])),
            InvalidArgumentError,
        ),
        (lambda: R.from_tensor([1, 2]), ValueError),
        (lambda: R.from_tensor([[1]], lengths=[1], padding=0), ValueError),
        (lambda: tf.ragged.range([0], [3], 0), InvalidArgumentError),
        (lambda: tf.ragged.stack_dynamic_partitions([1], [3], 3), InvalidArgumentError),
        (lambda: R([1], [0, 1]), ValueError),
        (lambda: R.from_value_rowids([1, 2], [-5, 1]), InvalidArgumentError),
        (lambda: R.from_uniform_row_length([1, 2], [2]), ValueError),
        (lambda: R.from_uniform_row_length([1, 2], -1), ValueError),
        (lambda: R.from_nested_row_splits([1, 2], tf.constant([[0, 2]])), TypeError),
        (lambda: R.from_tensor([[1]], padding=[1]), ValueError),
        (lambda: R.from_tensor([[1]], lengths=[0.5]), TypeError),
        (lambda: R.from_tensor([[1]], ragged_rank="bad"), TypeError),
        (lambda: tf.ragged.constant(12, ragged_rank=1), ValueError),
        (lambda: tf.ragged.constant(12, inner_shape=(1,)), ValueError),
        (lambda: tf.ragged.constant([1, 2, 3], inner_shape=(1, 1)), TypeError),
        (lambda: ragged([[1, 2]]).to_tensor([0]), InvalidArgumentError),
        (lambda: ragged([[1, 2]]).to_tensor("a"), TypeError),
        (lambda: ragged([[1, 2]]).to_tensor(shape=[3, 3, 3]), InvalidArgumentError),
        (lambda: R.from_tensor([[[1, 2]]]).to_tensor(shape=[1, 1, 4]), InvalidArgumentError),
        (lambda: tf.ragged.boolean_mask([[1, 2]], [[0, 1]]), TypeError),
        (lambda: tf.ragged.boolean_mask(ragged([[1]]), ragged([[1]])), ValueError),
        (lambda: tf.ragged.row_splits_to_segment_ids([]), ValueError),
        (lambda: tf.gather_nd(ragged([[1]]), 0), ValueError),
        (lambda: tf.gather_nd([1], ragged([[0]])), ValueError),
        (lambda: tf.split(ragged([[1], [2, 3]]), 2, 1), ValueError),
        (lambda: tf.split(ragged([[1], [2, 3]]), 0), ValueError),
        (lambda: tf.split(ragged([[1], [2, 3]]), [1.0, 1.0]), TypeError),
        (lambda: tf.split(ragged([[1], [2, 3]]), [1, 1], num=3), ValueError),
        (lambda: R.from_uniform_row_length(ragged([[1], [2, 3]]), 2)[:, 5], InvalidArgumentError),
        (lambda: ragged([[1]])[-2], InvalidArgumentError),
        (lambda: tf.math.unsorted_segment_sum([1, 2], ragged([[0], [0]]), 3), ValueError),
        (lambda: tf.math.unsorted_segment_sum(ragged([[1], []]), [0, -1], 3), InvalidArgumentError),
        (lambda: tf.ragged.cross([[[1.5]], [[1]]]), ValueError),
        (lambda: tf.ragged.range([0, 3], [1, 2, 3]), InvalidArgumentError),
        (lambda: tf.ragged.range(0.0, 1e30), InvalidArgumentError),
        (lambda: R.from_row_splits([1], [0, 5], validate=False).to_sparse(), InvalidArgumentError),
        (lambda: tf.squeeze(ragged([[1]]), "a"), TypeError),
        (lambda: ragged([[1], [2, 3]]) + ragged([[1], [2]]), InvalidArgumentError),
        (lambda: tf.ragged.cross([[[1], [2]], [[1]]]), InvalidArgumentError),
    ],
)
def test_makers_refuse(make, error):
    with pytest.raises(error):
        make()


# -- what they are ----------------------------------------------------------------------------


def test_attributes(r, deep):
    assert r.shape == r.get_shape() == tf.TensorShape([3, None])
    assert r.dtype == tf.int32 and r.ragged_rank == 1 and deep.ragged_rank == 2
    assert plain(r.values) == plain(r.flat_values) == [1, 2, 3]
    assert repr(r.row_splits) == ("<tf.Tensor: shape=(4,), dtype=int64, numpy=array([0, 2, 2, 3])>")
    assert plain(r.row_lengths()) == [2, 0, 1]
    assert plain(r.row_starts()) == [0, 2, 2] and plain(r.row_limits()) == [2, 2, 3]
    assert plain(r.value_rowids()) == [0, 0, 2]
    assert repr(r.nrows()) == "<tf.Tensor: shape=(), dtype=int64, numpy=3>"
    assert plain(r.bounding_shape()) == [3, 2] and plain(r.bounding_shape(axis=1)) == 2
    assert plain(deep.bounding_shape()) == [3, 2, 2]
    assert plain(deep.values) == [[1, 2], [], [3]]
    assert [plain(s) for s in deep.nested_row_splits] == [[0, 2, 2, 3]] * 2
    assert [plain(s) for s in deep.nested_row_lengths()] == [[2, 0, 1]] * 2
    assert [plain(s) for s in deep.nested_value_rowids()] == [[0, 0, 2]] * 2
    assert plain(deep.row_lengths(axis=2)) == [[2, 0], [], [1]]
    assert plain(r.row_lengths(axis=0)) == 3
    uniform = R.from_uniform_row_length([1, 2, 3, 4], 2)
    assert uniform.shape == [2, 2] and plain(uniform.uniform_row_length) == 2
    assert r.uniform_row_length is None
    with pytest.raises(ValueError, match="axis=2"):
        r.row_lengths(axis=2)
    with pytest.raises(TypeError):
        bool(r)
    with pytest.raises(TypeError):
        len(r)
    with pytest.raises(TypeError):
        hash(r)


def test_numpy(r):
    rows = r.numpy()
    assert rows.dtype == object and [row.tolist() for row in rows] == [[1, 2], [], [3]]
    assert tf.ragged.constant([[1], [3]]).numpy().tolist() == [[1], [3]]
    assert tf.ragged.constant([[[1], [2, 3]], []]).numpy()[0][1].tolist() == [2, 3]


def test_pickles_and_copies(r, deep):
    text = tf.ragged.constant([["a"], ["é"]])
    for x in (r, deep, text, r.with_row_splits_dtype(tf.int32)):
        for twin in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x)):
            assert repr(twin) == repr(x) and twin.row_splits.dtype == x.row_splits.dtype


def test_other_parts(r, deep):
    assert plain(r.with_values([4, 5, 6])) == [[4, 5], [], [6]]
    assert plain(deep.with_flat_values([4.0, 5, 6])) == [[[4.0, 5.0], []], [], [[6.0]]]
    with pytest.raises(ValueError, match="3 values"):
        r.with_values([4, 5])
    assert r.with_row_splits_dtype(tf.int32).row_splits.dtype == tf.int32
    assert plain(deep.merge_dims(1, 2)) == plain(deep.merge_dims(0, 1)) == [[1, 2], [], [3]]
    assert plain(deep.merge_dims(0, 2)) == [1, 2, 3]
    assert plain(tf.ragged.constant([[[1, 2]]], ragged_rank=1).merge_dims(1, 2)) == [[1, 2]]
    with pytest.raises(ValueError, match="outer_axis"):
        r.merge_dims(1, 0)


def test_to_dense_and_sparse(r, deep):
    assert plain(r.to_tensor()) == [[1, 2], [0, 0], [3, 0]]
    assert plain(r.to_tensor(default_value=-1)) == [[1, 2], [-1, -1], [3, -1]]
    assert plain(r.to_tensor(shape=[None, 3])) == [[1, 2, 0], [0, 0, 0], [3, 0, 0]]
    assert plain(r.to_tensor(shape=[4, 1])) == [[1], [0], [3], [0]]
    assert plain(deep.to_tensor()) == [[[1, 2], [0, 0]], [[0, 0], [0, 0]], [[3, 0], [0, 0]]]
    assert plain(tf.ragged.constant([["a", "b"], ["c"]]).to_tensor()) == [
        [b"a", b"b"],
        [b"c", b""],
    ]
    with pytest.raises(InvalidArgumentError, match="does not fit"):
        r.to_tensor(shape=(3,))
    with pytest.raises(TypeError):
        r.to_tensor(default_value=1.5)
    s = deep.to_sparse()
    assert plain(s.indices) == [[0, 0, 0], [0, 0, 1], [2, 0, 0]]
    assert plain(s.dense_shape) == [3, 2, 2]
    inner = tf.ragged.constant([[[1, 2]], [[3, 4], [5, 6]]], ragged_rank=1)
    assert plain(tf.sparse.to_dense(inner.to_sparse())) == plain(inner.to_tensor())
    with pytest.raises(ValueError, match="RaggedTensor"):
        tf.convert_to_tensor(r)


# -- indexing ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key, expected",
    [
        (0, [1, 2]),
        (1, []),
        (-1, [3]),
        ((0, 1), 2),
        (slice(1, None), [[], [3]]),
        (slice(None, None, -1), [[3], [], [1, 2]]),
        (slice(5, None), []),
        (Ellipsis, [[1, 2], [], [3]]),
        ((slice(None), slice(None, 1)), [[1], [], [3]]),
        ((slice(None), slice(-1, None)), [[2], [], [3]]),
        ((slice(None), slice(1, None)), [[2], [], []]),
        ((slice(0, 2), slice(0, 1)), [[1], []]),
        ((slice(None), None), [[[1, 2]], [[]], [[3]]]),
        (None, [[[1, 2], [], [3]]]),
        ((Ellipsis, slice(0, 1)), [[1], [], [3]]),
    ],
)
def test_indexing(r, key, expected):
    assert plain(r[key]) == expected


def test_indexing_deep(r, deep):
    assert plain(deep[0]) == [[1, 2], []] and plain(deep[0, 0]) == [1, 2]
    assert plain(deep[0, 0, 1]) == 2
    assert plain(deep[:, :, :1]) == [[[1], []], [], [[3]]]
    assert plain(deep[:, :1]) == [[[1, 2]], [], [[3]]]
    assert plain(r[tf.constant(1)]) == []
    inner = tf.ragged.constant([[[1, 2]], [[3, 4], [5, 6]]], ragged_rank=1)
    assert plain(inner[:, :, 0]) == [[1], [3, 5]]
    assert plain(R.from_uniform_row_length([1, 2, 3, 4], 2)[:, 1]) == [2, 4]
    assert [plain(row) for row in r] == [[1, 2], [], [3]]
    with pytest.raises(IndexError, match="Row 3"):
        r[3]
    with pytest.raises(ValueError, match="ragged axis"):
        r[:, 0]
    for key in ("a", 1.0):
        with pytest.raises(TypeError, match="indexed"):
            r[key]


# -- operations -------------------------------------------------------------------------------


def test_operators(r, f):
    assert plain(r + 1) == [[2, 3], [], [4]] and plain(1 - r) == [[0, -1], [], [-2]]
    assert plain(r + r) == [[2, 4], [], [6]] and plain(r * r) == [[1, 4], [], [9]]
    assert plain(-r) == [[-1, -2], [], [-3]] and plain(abs(-r)) == plain(r)
    assert plain(r**2) == [[1, 4], [], [9]] and plain(r % 2) == [[1, 0], [], [1]]
    assert plain(r / 2) == [[0.5, 1.0], [], [1.5]] and (r / 2).dtype == tf.float64
    assert plain(r // 2) == [[0, 1], [], [1]]
    assert plain(r > 1) == [[False, True], [], [True]]
    assert plain(r == r) == [[True, True], [], [True]]
    assert plain(~(r > 1)) == [[True, False], [], [False]]
    assert plain((r > 1) & (r > 0)) == [[False, True], [], [True]]
    assert plain(r + tf.constant([[1], [2], [3]])) == [[2, 3], [], [6]]
    assert plain([[1], [2], [3]] + r) == [[2, 3], [], [6]]
    assert plain(r + [[1]]) == [[2, 3], [], [4]]
    assert plain(tf.ragged.constant([[[1, 2], [3]], [[4]]]) + [[[10]], [[20]]]) == [
        [[11, 12], [13]],
        [[24]],
    ]
    assert plain(tf.square(r)) == [[1, 4], [], [9]]
    assert plain(tf.maximum(r, 2)) == [[2, 2], [], [3]]
    assert plain(tf.nn.relu(-f)) == [[0.0, 0.0], [], [0.0]]
    assert plain(tf.add(x=r, y=1)) == [[2, 3], [], [4]]
    assert tf.cast(r, tf.float64).dtype == tf.float64
    assert plain(tf.zeros_like(r)) == [[0, 0], [], [0]]
    assert plain(tf.where(r > 1, r, 0)) == [[0, 2], [], [3]]
    assert plain(tf.where(r > 1)) == [[0, 1], [2, 0]]
    assert plain(tf.ragged.constant([["a"], ["b", "c"]]) + "!") == [[b"a!"], [b"b!", b"c!"]]


def test_operators_refuse(r, deep):
    for wrong in (
        lambda: r + tf.constant([1, 2]),
        lambda: r + [[1], [2]],
        lambda: r + tf.ragged.constant([[1], [2], [3]]),
        lambda: r * 2.0,
        lambda: r + tf.ragged.constant([[1, 2], [], [3.0]]),
        lambda: r + deep,
    ):
        with pytest.raises((InvalidArgumentError, ValueError)):
            wrong()
    with pytest.raises(InvalidArgumentError, match="int32.*float32"):
        r + tf.ragged.constant([[1.0, 2.0], [], [3.0]])
    with pytest.raises(ValueError, match="to_tensor"):
        tf.matmul(r, r)


ragged = tf.ragged.constant
PAIRS = [[[1, 2], [3]], [[4], [5]], [[6], []]]  # as pairs of rows, of shape (3, 2, None)


@pytest.mark.parametrize(
    "make, expected",
    [
        (lambda: ragged([], inner_shape=(0, 100), ragged_rank=0), []),
        (lambda: ragged([[1, 2], [3]]).to_tensor(shape=[-1, 3]), [[1, 2, 0], [3, 0, 0]]),
        (lambda: ragged([[1, 2], [3]]).to_tensor(shape=-1), [[1, 2], [3, 0]]),
        (
            lambda: R.from_tensor([[[1, 2]], [[3, 4]]], lengths=[0, 1]).to_tensor([8, 9]),
            [[[8, 9]], [[3, 4]]],
        ),
        (lambda: R.from_tensor(np.zeros((0, 3)), lengths=[]), []),
        (lambda: R.from_tensor(np.zeros((2, 0, 3)), padding=[0, 0, 0]), [[], []]),
        (lambda: R.from_nested_value_rowids([1, 2, 3], [[0, 2], [0, 0, 1]]), [[[1, 2]], [], [[3]]]),
        (
            lambda: R.from_uniform_row_length(ragged(sum(PAIRS, [])), 2)[:, :1],
            [[[1, 2]], [[4]], [[6]]],
        ),
        (
            lambda: tf.split(R.from_uniform_row_length(ragged(sum(PAIRS, [])), 2), 2, 1)[1],
            [[[3]], [[5]], [[]]],
        ),
        (lambda: tf.split(ragged([[1], [2, 3]]), 1, 1)[0], [[1], [2, 3]]),
        (lambda: tf.concat(ragged([[1, 2], [3]]), 0), [[1, 2], [3]]),
        (lambda: tf.concat(tf.constant([[1, 2], [3, 4]]), 0), [[1, 2], [3, 4]]),
        (lambda: tf.gather_nd(ragged([[1], []]), np.zeros((2, 0), int)), [[[1], []], [[1], []]]),
        (lambda: tf.gather_nd([1, 2], np.zeros((3, 0), int)), [[1, 2]] * 3),
        (lambda: ragged([[1, 2, 3], [4]]).bounding_shape([1, 0]), [3, 2]),
        (lambda: tf.ragged.segment_ids_to_row_splits([0, 4, 2, 4, 0]), [0, 2, 2, 3, 3, 5]),
        (
            lambda: tf.ragged.stack_dynamic_partitions(
                ragged([["a"], ["b", "c"], []]), [2, 1, 2], 3
            ),
            [[], [[b"b", b"c"]], [[b"a"], []]],
        ),
        (
            lambda: tf.ragged.stack_dynamic_partitions(
                ragged([[7], [8, 9]]), ragged([[1], [1, 0]]), 2
            ),
            [[9], [7, 8]],
        ),
        (lambda: tf.ragged.stack_dynamic_partitions([1, 2], 1, 2), [[], [[1, 2]]]),
        (
            lambda: tf.math.unsorted_segment_sum(
                ragged([[0, 1], [4], [], [5, 6]]), [2, 0, 2, 2], 4
            ),
            [[4], [], [5, 7], []],
        ),
        (
            lambda: tf.math.unsorted_segment_max(ragged(PAIRS), [1, 0, 1], 2),
            [[[4], [5]], [[6, 2], [3]]],
        ),
        (
            lambda: tf.reduce_logsumexp(ragged([[1000.0], [-1000.0, -1000.0]]), 1) // 1,
            [1000, -1000],
        ),
        (lambda: tf.reduce_logsumexp(ragged([[1000.0], [-9.0, -1000.0]]), 0), [1000, -1000]),
        (lambda: tf.cumsum(ragged([[1, 2], [3]]), 0), [[1, 2], [4]]),
        (lambda: tf.math.reduce_std(ragged([[0.1, 0.1, 0.1], [1e4, 1e4]]), 1), [0.0, 0.0]),
        (lambda: tf.math.reduce_variance(ragged([[3, 1], [4]]), 1), [1.0, 0.0]),
        (lambda: tf.math.reduce_variance(ragged([[[1.0], [3.0]], []]), 1), [[1.0], []]),
        (
            lambda: tf.nn.sigmoid_cross_entropy_with_logits(
                labels=ragged([[1.0]]), logits=ragged([[100.0]])
            ),
            [[0.0]],
        ),
        (
            lambda: tf.math.unsorted_segment_mean(
                data=ragged([[2], [4]]), segment_ids=[0, 0], num_segments=1
            ),
            [[3.0]],
        ),
        (
            lambda: tf.ragged.cross_hashed([tf.constant([[2**64 - 7]], tf.uint64)], 100),
            [[62]],
        ),
        (lambda: tf.bitcast(ragged([[1.0], []]), tf.int32), [[1065353216], []]),
        (lambda: tf.reshape(ragged([[1, 2], [3, 4]]), [4, 1]), [[1], [2], [3], [4]]),
        (lambda: tf.dynamic_partition(ragged([[1], [2, 3]]), [1, 1], 2)[1], [[1], [2, 3]]),
        (
            lambda: ragged(PAIRS) - tf.reduce_sum(ragged(PAIRS), 2, keepdims=True),
            [[[-2, -1], [0]], [[0], [0]], [[0], []]],
        ),
        (
            lambda: tf.matmul(*[R.from_row_lengths(np.ones((2, 1, 1)), [2, 0])] * 2),
            [[[[1.0]], [[1.0]]], []],
        ),
        (lambda: tf.math.unsorted_segment_mean(ragged([[1, 3], [4]]), [0, 0], 1), [[2.5, 3.0]]),
        (
            lambda: tf.math.unsorted_segment_sum(ragged([[1, 3], [4]]), ragged([[1, 0], [1]]), 2),
            [3, 5],
        ),
        (
            lambda: tf.image.resize(R.from_tensor(np.ones((2, 3, 3, 1)), ragged_rank=2), [1, 1]),
            [[[[1.0]]]] * 2,
        ),
        (
            lambda: tf.image.resize(
                tf.ragged.stack([np.ones((2, 3, 1)), np.ones((1, 1, 1))]), [1, 1]
            ),
            [[[[1.0]]]] * 2,
        ),
        (
            lambda: tf.ragged.cross_hashed(
                [ragged([["p"], ["q", "s"]]), [["x", "y"], ["z", "w"]], [[5], [-7]]], 100, 3
            ),
            [[55, 60], [32, 12, 70, 0]],
        ),
    ],
)
def test_values_of_tensorflows_tests(make, expected):
    assert plain(make()) == expected


def test_specs_and_texts_and_nested_arguments(capsys):
    spec = tf.RaggedTensorSpec
    assert spec([None], ragged_rank=0).value_type is tf.Tensor and spec([2, None]).value_type is R
    assert spec([2, None, None]).is_compatible_with(spec(None, ragged_rank=2))
    for refused in (lambda: spec(None), lambda: spec([2, 3], ragged_rank=2)):
        with pytest.raises(ValueError, match="ragged_rank"):
            refused()
    tf.print(ragged([["a'b"], ["e\\f"]]), output_stream=sys.stdout)
    assert capsys.readouterr().out == "[['a\\'b'], ['e\\\\f']]\n"
    x, y = ragged([[1, 2], [3]]), ragged([[4, 5], [6]])
    pairs = tf.ragged.map_flat_values(tf.stack, [x, y], axis=-1)
    assert plain(pairs) == [[[1, 4], [2, 5]], [[3, 6]]]
    assert plain(tf.ragged.map_flat_values(lambda d, z: d["x"] + z, {"x": x}, y)) == [[5, 7], [9]]
    with pytest.raises(ValueError, match="must have 3 rows"):
        tf.ragged.map_flat_values(tf.concat, [x, y], 0)


def test_uniform_rows_and_parts():
    pairs = R.from_uniform_row_length(ragged(sum(PAIRS, [])), 2)
    assert pairs[:, 1:].shape == [3, 1, None] and pairs[:, 5:].shape == [3, 0, None]
    doubled = tf.nest.map_structure(lambda x: x * 1, {"a": pairs}, expand_composites=True)["a"]
    assert doubled.shape == [3, 2, None] and plain(doubled) == PAIRS
    packed = tf.nest.pack_sequence_as([pairs, 1], [tf.constant([1]), [0, 2], [0, 0, 1], 2], True)
    assert plain(packed[0]) == [[[], [1]]] and packed[1] == 2


def test_map_flat_values(r):
    assert plain(tf.ragged.map_flat_values(tf.square, r)) == [[1, 4], [], [9]]
    assert plain(tf.ragged.map_flat_values(tf.add, r, y=r)) == [[2, 4], [], [6]]
    assert plain(tf.ragged.map_flat_values(tf.square, tf.constant([2]))) == [4]
    with pytest.raises(ValueError, match="3 rows"):
        tf.ragged.map_flat_values(tf.reduce_sum, r)


@pytest.mark.parametrize(
    "name, axis, expected",
    [
        ("reduce_sum", 0, [4, 2]),
        ("reduce_sum", 1, [3, 0, 3]),
        ("reduce_sum", None, 6),
        ("reduce_sum", [0, 1], 6),
        ("reduce_sum", [], [[1, 2], [], [3]]),
        ("reduce_prod", 1, [2, 1, 3]),
        ("reduce_max", 1, [2, -(2**31), 3]),
        ("reduce_min", 1, [1, 2**31 - 1, 3]),
        ("reduce_min", 0, [1, 2]),
        ("reduce_mean", 0, [2.0, 2.0]),
        ("reduce_mean", None, 2.0),
    ],
)
def test_reductions(r, name, axis, expected):
    assert plain(getattr(tf, name)(r, axis=axis)) == expected


def test_reductions_of_floats(f):
    np.testing.assert_array_equal(tf.reduce_mean(f, axis=1), [1.5, np.nan, 3.0])
    assert tf.reduce_mean(tf.cast(f, tf.int32), axis=1).dtype == tf.float64
    lowest = np.float32(-3.4028235e38)
    np.testing.assert_array_equal(tf.reduce_max(f, axis=1), np.float32([2, lowest, 3]))
    np.testing.assert_array_equal(tf.math.reduce_variance(f, axis=1), [0.25, np.nan, 0])
    np.testing.assert_allclose(tf.math.reduce_std(f, axis=0), [1, 0])
    np.testing.assert_allclose(tf.reduce_logsumexp(f, axis=1), [2.3132617, -np.inf, 3.0], rtol=1e-6)
    assert plain(tf.reduce_sum(f, axis=1, keepdims=True)) == [[3], [0], [3]]
    assert plain(tf.reduce_any(f > 1, axis=1)) == [True, False, True]
    assert plain(tf.reduce_all(f > 1, axis=1)) == [False, True, True]


def test_reductions_deep(deep):
    assert plain(tf.reduce_sum(deep, axis=0)) == [[4, 2], []]
    assert plain(tf.reduce_sum(deep, axis=1)) == [[1, 2], [], [3]]
    assert plain(tf.reduce_sum(deep, axis=-1)) == [[3, 0], [], [3]]
    assert plain(tf.reduce_sum(deep, axis=[1, 2])) == [3, 0, 3]
    inner = tf.ragged.constant([[[1, 2]], [[3, 4], [5, 6]]], ragged_rank=1)
    assert plain(tf.reduce_sum(inner, axis=1)) == [[1, 2], [8, 10]]
    assert plain(tf.reduce_sum(inner, axis=2)) == [[3], [7, 11]]
    with pytest.raises(ValueError, match="axis=3"):
        tf.reduce_sum(deep, axis=3)


def test_joining(r, deep):
    assert plain(tf.concat([r, r], axis=0)) == [[1, 2], [], [3]] * 2
    assert plain(tf.concat([r, r], axis=1)) == [[1, 2, 1, 2], [], [3, 3]]
    assert plain(tf.concat([r, tf.constant([[9], [9], [9]])], axis=1)) == [[1, 2, 9], [9], [3, 9]]
    assert plain(tf.concat([r, tf.constant([[9], [9]])], axis=0)) == [[1, 2], [], [3], [9], [9]]
    assert plain(tf.concat([deep, deep], axis=2)) == [[[1, 2, 1, 2], []], [], [[3, 3]]]
    with pytest.raises(InvalidArgumentError, match="Row counts"):
        tf.concat([r, tf.ragged.constant([[1]])], axis=1)
    with pytest.raises(ValueError, match="rank 2"):
        tf.concat([r, deep], axis=0)
    with pytest.raises(InvalidArgumentError, match="int32.*float32"):
        tf.concat([r, tf.cast(r, tf.float32)], axis=0)
    both = tf.ragged.stack([r, r])
    assert plain(both) == plain(tf.stack([r, r])) == [[[1, 2], [], [3]]] * 2
    assert both.shape == [2, None, None]
    assert plain(tf.ragged.stack([r, r], axis=1)) == [
        [[1, 2], [1, 2]],
        [[], []],
        [[3], [3]],
    ]
    assert plain(tf.ragged.stack([r, r], axis=2)) == [[[1, 1], [2, 2]], [], [[3, 3]]]
    assert repr(tf.ragged.stack([[1, 2], [3]])) == "<tf.RaggedTensor [[1, 2], [3]]>"
    assert tf.ragged.stack([tf.constant([[1, 2]]), tf.constant([[3]])]).to_list() == [
        [[1, 2]],
        [[3]],
    ]
    assert isinstance(tf.ragged.stack([1, 2]), tf.Tensor)
    two, three = (tf.RaggedTensor.from_row_lengths(tf.ones([3, n]), [1, 2]) for n in (2, 3))
    for join in (lambda: tf.concat([two, three], 0), lambda: tf.ragged.stack([two, three])):
        with pytest.raises(InvalidArgumentError):  # dense axes do not become ragged
            join()


def test_rearranging(r):
    assert tf.expand_dims(r, 0).shape == [1, 3, None]
    assert plain(tf.expand_dims(r, 1)) == [[[1, 2]], [[]], [[3]]]
    assert plain(tf.expand_dims(r, -1)) == [[[1], [2]], [], [[3]]]
    assert plain(tf.gather(r, [2, 0])) == [[3], [1, 2]]
    assert plain(tf.gather(r, [[2, 0]])) == [[[3], [1, 2]]]
    assert plain(tf.gather(tf.constant([5, 6, 7, 8]), r)) == [[6, 7], [], [8]]
    assert plain(tf.size(r)) == 3 and plain(tf.rank(r)) == 2
    hot = tf.one_hot(r, 3)
    assert plain(hot) == [[[0, 1, 0], [0, 0, 1]], [], [[0, 0, 0]]]
    with pytest.raises(InvalidArgumentError, match="Rows"):
        tf.gather(r, [7])


def test_boolean_mask(r, deep):
    mask = tf.ragged.boolean_mask
    assert plain(mask(r, r > 1)) == [[2], [], [3]]
    assert plain(mask(r, [True, False, True])) == [[1, 2], [3]]
    assert plain(mask([1, 2, 3], [True, False, True])) == [1, 3]
    assert plain(mask([[1, 2], [3, 4]], [True, False])) == [[1, 2]]
    assert plain(mask([[1, 2, 3], [4, 5, 6]], [[True, False, True], [False] * 3])) == [[1, 3], []]
    assert plain(mask(deep, deep > 1)) == [[[2], []], [], [[3]]]
    with pytest.raises(ValueError, match="mask"):
        mask([[1, 2], [3, 4]], [True, False, True])
    with pytest.raises(InvalidArgumentError, match="rows"):
        mask(r, tf.ragged.constant([[True], [True], [True]]))


def test_splits_and_ids():
    assert plain(tf.ragged.segment_ids_to_row_splits([0, 0, 2])) == [0, 2, 2, 3]
    assert plain(tf.ragged.segment_ids_to_row_splits([0], 3)) == [0, 1, 1, 1]
    ids = tf.ragged.row_splits_to_segment_ids([0, 2, 2, 3])
    assert plain(ids) == [0, 0, 2] and ids.dtype == tf.int64
    assert tf.ragged.row_splits_to_segment_ids([0, 1], out_type=tf.int32).dtype == tf.int32


# -- gradients, and inside of compiled functions ------------------------------------------------


@pytest.mark.parametrize(
    "function, expected",
    [
        (lambda q: tf.reduce_sum(q * q, axis=1), [2, 4, 6]),
        (lambda q: q.to_tensor(), [1, 1, 1]),
        (lambda q: q[0], [1, 1, 0]),
        (lambda q: q[:, 1:].flat_values, [0, 1, 0]),
        (lambda q: tf.concat([q, q], 1).flat_values, [2, 2, 2]),
        (lambda q: tf.reduce_max(q, axis=1)[0], [0, 1, 0]),
        (lambda q: (q * [[1.0], [2.0], [5.0]]).flat_values, [1, 1, 5]),
        (lambda q: tf.reduce_mean(q, axis=0), [0.5, 1, 0.5]),
        (lambda q: tf.ragged.boolean_mask(q, q > 1).flat_values, [0, 1, 1]),
    ],
)
def test_a_tape_follows_the_elements(function, expected):
    v = tf.Variable([1.0, 2.0, 3.0])
    with tf.GradientTape() as tape:
        y = function(tf.RaggedTensor.from_row_splits(v, [0, 2, 2, 3]))
    assert tape.gradient(y, v).numpy().tolist() == expected


def test_a_tape_watches_ragged_tensors(f):
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(f)
        y = f * f
        z = tf.reduce_sum(y, 1)
    assert plain(tape.gradient(y, f)) == [[2.0, 4.0], [], [6.0]]
    assert plain(tape.gradient(z, {"f": f}, tf.constant([1.0, 1.0, 2.0]))["f"]) == [
        [2.0, 4.0],
        [],
        [12.0],
    ]
    seed = f.with_flat_values([0.0, 1.0, 0.0])
    assert plain(tape.gradient(y, [f], [seed])[0]) == [[0.0, 4.0], [], [0.0]]
    assert tape.gradient(y, f.with_flat_values([1.0, 1.0, 1.0])) is None


def test_a_tape_follows_the_other_operand(f):
    w = tf.Variable([[1.0], [2.0], [5.0]])
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(f * w)
    assert tape.gradient(y, w).numpy().tolist() == [[3], [0], [3]]


@pytest.mark.parametrize(
    "function",
    [
        lambda r: r,
        lambda r: r * 2.0 + r,
        lambda r: r.to_tensor(shape=[None, 3]),
        lambda r: r.with_row_splits_dtype(tf.int32).row_splits,
        lambda r: (r.row_lengths(), r.value_rowids()),
        lambda r: R.from_row_splits(r, [0, 1, 3]).to_tensor(shape=[2, 2, 2]),
        lambda r: tf.reduce_sum(r),
        lambda r: tf.reduce_max(r, axis=1),
        lambda r: tf.reduce_mean(r, axis=1, keepdims=True),
        lambda r: tf.concat([r, r], 0),
        lambda r: tf.expand_dims(r, 1),
        lambda r: r * tf.constant([[1.0], [2.0], [3.0]]),
        lambda r: R.from_row_splits(r.flat_values * 2.0, [0, 1, 3])[1],
    ],
)
def test_inside_jit(f, function):
    assert repr(jax.jit(function)(f)) == repr(function(f))


def test_deep_inside_jit(deep):
    dense, sums, merged = jax.jit(
        lambda d: (d.to_tensor(shape=[3, 2, 2]), tf.reduce_sum(d, axis=2), d.merge_dims(1, 2))
    )(deep)
    assert plain(dense) == plain(deep.to_tensor())
    assert plain(sums) == [[3, 0], [], [3]] and plain(merged) == [[1, 2], [], [3]]


def test_made_inside_jit():
    values, lengths = jnp.arange(3.0), jnp.array([1, 2])
    made = jax.jit(R.from_row_lengths)(values, lengths)
    assert plain(made) == [[0], [1, 2]]
    by_ids = jax.jit(lambda v, i: R.from_value_rowids(v, i, nrows=3))(values, jnp.array([0, 0, 2]))
    assert plain(by_ids) == [[0, 1], [], [2]]


def test_inside_tf_function(f):
    function = tf.function(lambda r, w: tf.reduce_sum(r * w, axis=1))
    w = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        y = function(f, w)
    assert plain(y) == [6, 0, 6]
    assert tape.gradient(y, w).numpy() == 6
    assert plain(tf.function(lambda r: r + 1.0)(f)) == [[2, 3], [], [4]]


@pytest.mark.parametrize(
    "function",
    [
        lambda r: r.to_tensor(),
        lambda r: r[0],
        lambda r: r[1:],
        lambda r: r[:, :1],
        lambda r: tf.reduce_sum(r, axis=0),
        lambda r: tf.concat([r, r], 1),
        lambda r: tf.ragged.boolean_mask(r, r > 1),
        lambda r: tf.gather(r, [0]),
        lambda r: r.bounding_shape(),
        lambda r: r.to_list(),
        lambda r: R.from_value_rowids(r.flat_values, r.value_rowids()),
        lambda r: tf.ragged.range(r.row_lengths()),
    ],
)
def test_a_form_that_depends_on_values_is_refused(f, function):
    with pytest.raises(TypeError, match="depends on values.*traced"):
        jax.jit(function)(f)


def test_prints_while_traced(f):
    seen = []
    jax.jit(lambda r: seen.append(repr(r)) or r.nrows())(f)
    assert seen == ["<tf.RaggedTensor: shape=(3, None), dtype=float32, no values yet>"]


def test_text_stays_outside():
    with pytest.raises(TypeError):
        jax.jit(lambda r: r.nrows())(tf.ragged.constant([["a"], ["b", "c"]]))


def test_public_names():
    assert dir(tf.ragged) == sorted(tf.ragged.__all__)
    assert all(hasattr(tf.ragged, name) for name in tf.ragged.__all__)


@pytest.mark.parametrize(
    "options, known",
    [
        ({}, [0, 1, 2, 1]),
        ({"axis": 0}, [0, 1, 2, 1]),
        ({"axis": -1}, [[0, 1, 2, 0], [0, 0, 0, 0], [0, 0, 0, 1]]),
        ({"axis": -1, "maxlength": 3}, [[0, 1, 2], [0, 0, 0], [0, 0, 0]]),
        (
            {"axis": -1, "binary_output": True, "minlength": 5},
            [[0, 1, 1, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 1, 0]],
        ),
        ({"weights": [[1.0, 2.0, 3.0], [], [4.0]]}, [0.0, 1.0, 5.0, 4.0]),
        (
            {"weights": [[1.0, 2.0, 3.0], [], [4.0]], "axis": -1},
            [[0.0, 1.0, 5.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 4.0]],
        ),
    ],
)
def test_bincount_of_ragged_numbers(options, known):
    if "weights" in options:
        options = {**options, "weights": tf.ragged.constant(options["weights"])}
    found = tf.math.bincount(tf.ragged.constant([[1, 2, 2], [], [3]]), **options)
    assert found.numpy().tolist() == known  # as in TensorFlow
    assert found.dtype == (tf.float32 if "weights" in options else tf.int32)


def test_signatures_of_functions():
    spec = tf.RaggedTensorSpec([None, None], tf.int32)
    most = tf.function(lambda x: tf.reduce_max(x, 1), input_signature=[spec])
    for rows, expected in (([[1, 2], [3], [4, 5, 6]], [2, 3, 6]), ([[7, 2]], [7])):
        assert most(tf.ragged.constant(rows)).numpy().tolist() == expected
    for wrong in (tf.ragged.constant([[1.0]]), tf.constant([[1]])):
        with pytest.raises(TypeError, match="does not fit RaggedTensorSpec"):
            most(wrong)
    inner = tf.RaggedTensorSpec([2, None, None], tf.float32)
    concrete = tf.function(lambda x: x * 2.0).get_concrete_function(inner)
    assert concrete.structured_input_signature == ((inner,), {})
    assert concrete.structured_outputs == inner
    assert concrete(tf.ragged.constant([[[1.0], []], [[2.0]]])).to_list() == [[[2.0], []], [[4.0]]]


@pytest.mark.parametrize("compiled", [False, True])
def test_custom_gradients_of_ragged_tensors(compiled):
    @tf.custom_gradient
    def tripled(x):
        return x * 3.0, lambda upstream: upstream * 2.0

    variable = tf.Variable([1.0, 2.0, 3.0])

    def gradients():
        with tf.GradientTape() as tape:
            ragged = tf.RaggedTensor.from_row_lengths(variable * 1.0, [2, 1])
            total = tf.reduce_sum(tripled(ragged) * ragged)
        return tape.gradient(total, variable)

    found = (tf.function(gradients) if compiled else gradients)()
    assert found.numpy().tolist() == [5.0, 10.0, 15.0]  # as in TensorFlow 2.21
    given = tf.ragged.constant([[1.0, 2.0], [3.0]])
    assert tf.function(tripled)(given).to_list() == [[3.0, 6.0], [9.0]]


def test_numbers_are_truths_in_reductions_of_ragged_tensors():
    x = tf.ragged.constant([[1, 0], [0], []])
    assert tf.reduce_any(x, axis=1).numpy().tolist() == [True, False, False]
    assert tf.reduce_all(x, axis=1).numpy().tolist() == [False, False, True]
    assert tf.reduce_any(tf.cast(x, tf.float32)).numpy() == True  # noqa: E712
    assert tf.bitwise.invert(x).to_list() == [[-2, -1], [-1], []]


def test_lengths_of_rows_of_a_tensor():
    of = tf.RaggedTensor.from_tensor
    assert of([[1, 0], [2, 3]], lengths=[5, -1]).to_list() == [[1, 0], []]  # as in TensorFlow
    for lengths in ([1, 2], []):
        with pytest.raises(ValueError):
            of([[1, 2]], lengths=lengths)


def test_splits_have_the_dtype_that_tensorflow_gives_them():
    def kind(ragged):
        return ragged.row_splits.dtype.name

    assert kind(tf.ragged.stack([tf.constant([1, 2]), tf.constant([3])])) == "int32"
    assert isinstance(tf.ragged.stack([tf.ones([1, 2]), tf.ones([1, 2])], axis=1), tf.Tensor)
    uniform = tf.RaggedTensor.from_uniform_row_length
    assert kind(uniform(tf.range(6), tf.constant(2))) == "int32"
    assert kind(uniform(tf.range(6), 2)) == "int64"
    for dtype in (tf.int32, tf.int64):
        spec = tf.RaggedTensorSpec([None], tf.int32, row_splits_dtype=dtype)
        assert (
            kind(tf.map_fn(tf.range, tf.constant([1, 2]), fn_output_signature=spec)) == dtype.name
        )
