"""`tf.SparseTensor` and `tf.sparse`: what TensorFlow gives, gradients, and life inside jit."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.sparse import BCOO

from keraslike import tf

pytestmark = pytest.mark.slow

InvalidArgumentError = tf.errors.InvalidArgumentError


@pytest.fixture
def s():
    return tf.SparseTensor(
        indices=[[0, 1], [1, 0], [2, 3]], values=[1.0, 2.0, 3.0], dense_shape=[3, 4]
    )


@pytest.fixture
def small():
    return tf.SparseTensor([[0, 0], [1, 1]], [1.0, 2.0], [2, 2])


@pytest.fixture
def other():
    return tf.SparseTensor([[0, 0], [1, 0]], [-1.0, 4.0], [2, 2])


def parts(s):
    """Indices, values and shape as lists."""
    assert s.indices.dtype == tf.int64 and s.dense_shape.dtype == tf.int64
    return (
        np.asarray(s.indices).tolist(),
        np.asarray(s.values).tolist(),
        np.asarray(s.dense_shape).tolist(),
    )


def dense(s):
    return tf.sparse.to_dense(s).numpy().tolist()


# -- the class --------------------------------------------------------------------------------


def test_prints_as_tensorflow(s):
    expected = (
        "SparseTensor(indices=tf.Tensor(\n[[0 1]\n [1 0]\n [2 3]], shape=(3, 2), dtype=int64), "
        "values=tf.Tensor([1. 2. 3.], shape=(3,), dtype=float32), "
        "dense_shape=tf.Tensor([3 4], shape=(2,), dtype=int64))"
    )
    assert repr(s) == str(s) == expected
    empty = tf.SparseTensor(np.zeros((0, 2)), [], [3, 4])
    assert repr(empty) == (
        "SparseTensor(indices=tf.Tensor([], shape=(0, 2), dtype=int64), "
        "values=tf.Tensor([], shape=(0,), dtype=float32), "
        "dense_shape=tf.Tensor([3 4], shape=(2,), dtype=int64))"
    )


def test_attributes(s):
    assert s.shape == s.get_shape() == tf.TensorShape([3, 4])
    assert s.dtype == tf.float32
    assert tf.sparse.SparseTensor is tf.SparseTensor
    assert not isinstance(s, tf.Tensor)
    assert parts(s.with_values([4, 5, 6]))[1] == [4, 5, 6]
    s.set_shape([3, None])
    with pytest.raises(ValueError, match="not compatible"):
        s.set_shape([3, 5])


@pytest.mark.parametrize(
    "indices, values, shape",
    [
        ([0, 2], [1.0, 2.0], [3, 4]),
        ([[0, 2]], [1.0, 2.0], [3, 4]),
        ([[0, 2]], 1.0, [3, 4]),
        ([[0, 2]], [1.0], [3, 4, 5]),
        ([], [], [3, 4]),
        ([[0, 2]], [1.0], 3),
    ],
)
def test_parts_that_do_not_fit(indices, values, shape):
    with pytest.raises(ValueError):
        tf.SparseTensor(indices, values, shape)


def test_pickles_and_copies(s):
    for twin in (pickle.loads(pickle.dumps(s)), copy.deepcopy(s), copy.copy(s)):
        assert repr(twin) == repr(s)
    text = tf.SparseTensor([[1]], ["é"], [2])
    assert parts(pickle.loads(pickle.dumps(text))) == ([[1]], ["é".encode()], [2])


def test_to_and_from_jax(s):
    bcoo = s.to_bcoo()
    assert isinstance(bcoo, BCOO)
    np.testing.assert_array_equal(bcoo.todense(), dense(s))
    assert parts(tf.SparseTensor.from_value(bcoo)) == parts(s)
    assert tf.SparseTensor.from_value(s) is s
    with pytest.raises(ValueError, match="BCOO"):
        tf.SparseTensor.from_value(BCOO.fromdense(jnp.eye(2), n_dense=1))
    with pytest.raises(TypeError, match="SparseTensor"):
        tf.SparseTensor.from_value([1])


# -- to and from dense ------------------------------------------------------------------------


def test_dense_and_back():
    assert parts(tf.sparse.from_dense([[0, 1], [2, 0]])) == ([[0, 1], [1, 0]], [1, 2], [2, 2])
    assert tf.sparse.from_dense(np.eye(2)).dtype == tf.float64
    assert parts(tf.sparse.from_dense([[True, False]])) == ([[0, 0]], [True], [1, 2])
    text = tf.sparse.from_dense([["a", ""], ["", "b"]])
    assert parts(text) == ([[0, 0], [1, 1]], [b"a", b"b"], [2, 2])
    assert dense(text) == [[b"a", b""], [b"", b"b"]]
    assert parts(tf.sparse.from_dense([[[1, 0], [0, 2]]]))[0] == [[0, 0, 0], [0, 1, 1]]
    with pytest.raises(InvalidArgumentError, match="scalar"):
        tf.sparse.from_dense(3)


def test_to_dense_fills_and_checks(small):
    assert tf.sparse.to_dense(small, default_value=7).numpy().tolist() == [[1, 7], [7, 2]]
    assert tf.sparse.to_dense(small, default_value=7).dtype == tf.float32
    unordered = tf.SparseTensor([[1, 1], [0, 0]], [1.0, 2.0], [2, 2])
    with pytest.raises(InvalidArgumentError, match=r"indices\[1\] = \[0, 0\] is out of order"):
        tf.sparse.to_dense(unordered)
    assert tf.sparse.to_dense(unordered, validate_indices=False).numpy().tolist() == [
        [2, 0],
        [0, 1],
    ]
    with pytest.raises(InvalidArgumentError, match="repeated"):
        tf.sparse.to_dense(tf.SparseTensor([[0, 0], [0, 0]], [1.0, 2.0], [2, 2]))
    with pytest.raises(InvalidArgumentError, match="out of bounds"):
        tf.sparse.to_dense(tf.SparseTensor([[0, 9]], [1.0], [2, 2]))
    with pytest.raises(TypeError, match="SparseTensor"):
        tf.sparse.to_dense([[1]])
    with pytest.raises(ValueError, match="to_dense"):
        tf.convert_to_tensor(small)


def test_eye_and_indicator():
    assert parts(tf.sparse.eye(2, 3)) == ([[0, 0], [1, 1]], [1, 1], [2, 3])
    assert tf.sparse.eye(2, dtype=tf.int32).dtype == tf.int32
    ids = tf.SparseTensor([[0, 0], [1, 1]], [1, 2], [2, 3])
    assert tf.sparse.to_indicator(ids, 4).numpy().tolist() == [
        [False, True, False, False],
        [False, False, True, False],
    ]


# -- rearranging ------------------------------------------------------------------------------


def test_reorder_and_transpose(s):
    mixed = tf.SparseTensor([[0, 2], [0, 1]], [1.0, 2.0], [3, 4])
    assert parts(tf.sparse.reorder(mixed)) == ([[0, 1], [0, 2]], [2, 1], [3, 4])
    assert parts(tf.sparse.transpose(s)) == ([[0, 1], [1, 0], [3, 2]], [2, 1, 3], [4, 3])
    deep = tf.SparseTensor([[0, 0, 1]], [1], [1, 2, 3])
    assert parts(tf.sparse.transpose(deep, [2, 0, 1])) == ([[1, 0, 0]], [1], [3, 1, 2])
    with pytest.raises(ValueError, match="perm"):
        tf.sparse.transpose(s, [0])


def test_concat(s, small, other):
    both = tf.sparse.concat(0, [s, s])
    assert parts(both)[0] == [[0, 1], [1, 0], [2, 3], [3, 1], [4, 0], [5, 3]]
    assert parts(both)[2] == [6, 4]
    side = tf.sparse.concat(-1, [small, other])
    assert parts(side) == ([[0, 0], [0, 2], [1, 1], [1, 2]], [1, -1, 2, 4], [2, 4])
    one = tf.sparse.from_dense([[1.0]])
    with pytest.raises(InvalidArgumentError, match="sizes must match"):
        tf.sparse.concat(1, [s, one])
    wide = tf.sparse.concat(1, [s, one], expand_nonconcat_dims=True)
    assert parts(wide) == ([[0, 1], [0, 4], [1, 0], [2, 3]], [1, 1, 2, 3], [3, 5])
    with pytest.raises(InvalidArgumentError, match="axis"):
        tf.sparse.concat(2, [s, s])
    with pytest.raises(InvalidArgumentError, match="float32.*int32"):
        tf.sparse.concat(0, [small, tf.SparseTensor([[0, 0]], [1], [2, 2])])
    with pytest.raises(InvalidArgumentError, match="one tensor"):
        tf.sparse.concat(0, [])


def test_slice_and_split(s):
    assert parts(tf.sparse.slice(s, [0, 1], [2, 2])) == ([[0, 0]], [1], [2, 2])
    assert parts(tf.sparse.slice(s, [1, 0], [10, 10])) == ([[0, 0], [1, 3]], [2, 3], [2, 4])
    assert parts(tf.sparse.slice(s, [5, 5], [1, 1])) == ([], [], [0, 0])
    with pytest.raises(InvalidArgumentError, match="2 elements"):
        tf.sparse.slice(s, [0], [1])
    a, b, c = tf.sparse.split(s, num_split=3, axis=1)
    assert parts(a) == ([[0, 1], [1, 0]], [1, 2], [3, 2])
    assert parts(b) == ([], [], [3, 1])
    assert parts(c) == ([[2, 0]], [3], [3, 1])
    with pytest.raises(InvalidArgumentError, match="num_split"):
        tf.sparse.split(s, 9, 0)
    with pytest.raises(InvalidArgumentError, match="axis"):
        tf.sparse.split(s, 2, 5)


def test_reshape_and_expand(s):
    assert parts(tf.sparse.reshape(s, [4, 3])) == ([[0, 1], [1, 1], [3, 2]], [1, 2, 3], [4, 3])
    assert parts(tf.sparse.reshape(s, [-1])) == ([[1], [4], [11]], [1, 2, 3], [12])
    for shape in ([5, -1], [-1, -1], [5, 5]):
        with pytest.raises(InvalidArgumentError):
            tf.sparse.reshape(s, shape)
    assert parts(tf.sparse.expand_dims(s, 0))[::2] == (
        [[0, 0, 1], [0, 1, 0], [0, 2, 3]],
        [1, 3, 4],
    )
    assert parts(tf.sparse.expand_dims(s))[2] == [3, 4, 1]
    assert parts(tf.sparse.expand_dims(s, -2))[::2] == (
        [[0, 0, 1], [1, 0, 0], [2, 0, 3]],
        [3, 1, 4],
    )
    with pytest.raises(InvalidArgumentError, match="axis"):
        tf.sparse.expand_dims(s, 5)


def test_retain_reset_and_fill(s, other):
    assert parts(tf.sparse.retain(s, [True, False, True]))[1] == [1, 3]
    assert parts(tf.sparse.retain(s, [False] * 3)) == ([], [], [3, 4])
    with pytest.raises(ValueError, match="to_retain"):
        tf.sparse.retain(s, [True])
    assert parts(tf.sparse.reset_shape(other))[2] == [2, 1]
    assert parts(tf.sparse.reset_shape(other, [5, 6]))[2] == [5, 6]
    with pytest.raises(ValueError, match="new_shape"):
        tf.sparse.reset_shape(other, [1, 2])
    gaps = tf.SparseTensor([[0, 0], [2, 1]], [1, 2], [4, 3])
    full, empty = tf.sparse.fill_empty_rows(gaps, -1)
    assert parts(full) == ([[0, 0], [1, 0], [2, 1], [3, 0]], [1, -1, 2, -1], [4, 3])
    assert empty.numpy().tolist() == [False, True, False, True]
    unordered = tf.SparseTensor([[1, 0], [0, 1], [0, 0]], [1, 2, 3], [3, 2])
    places = [[0, 1], [0, 0], [1, 0], [2, 0]]  # within a row the order is kept
    assert parts(tf.sparse.fill_empty_rows(unordered, -1)[0]) == (places, [2, 3, 1, -1], [3, 2])
    words = tf.sparse.fill_empty_rows(tf.SparseTensor([[1, 0]], ["a"], [2, 1]), "-")[0]
    assert parts(words)[1] == [b"-", b"a"]


@pytest.mark.parametrize("place", [5, -1])
def test_indices_outside_of_the_shape_are_refused(place):
    outside = tf.SparseTensor([[0, place]], [1.0], [2, 2])
    for function in (
        lambda: tf.sparse.add(outside, tf.zeros((2, 2))),
        lambda: tf.sparse.sparse_dense_matmul(outside, tf.ones((2, 2))),
        lambda: tf.sparse.reduce_sum(outside, 0),
        lambda: tf.sparse.maximum(outside, outside),
        lambda: outside * tf.ones((2, 2)),
        lambda: tf.sparse.fill_empty_rows(tf.SparseTensor([[place, 0]], [1], [2, 2]), 0),
        lambda: tf.sparse.to_indicator(tf.SparseTensor([[0, 0]], [place], [1, 1]), 4),
    ):
        with pytest.raises(InvalidArgumentError):
            function()


def test_cross():
    words = tf.sparse.from_dense([["a", "b", ""], ["", "c", ""]])
    numbers = tf.constant([[5], [-7]])
    places = [[0, 0], [0, 1], [1, 0]]
    joined = [b"a_X_5", b"b_X_5", b"c_X_-7"]
    assert parts(tf.sparse.cross([words, numbers])) == (places, joined, [2, 2])
    assert parts(tf.sparse.cross([numbers, numbers], separator="|"))[1] == [b"5|5", b"-7|-7"]
    assert parts(tf.sparse.cross([])) == ([], [], [0, 0])
    dense = [["a", "b"], ["c", ""]]
    assert parts(tf.sparse.cross_hashed([dense, numbers], 100, 17))[1] == [88, 79, 65, 87]
    assert parts(tf.sparse.cross_hashed([numbers]))[1] == [2865384663748552660, 8708731638709191855]
    for error, given in ((TypeError, words), (InvalidArgumentError, [words, [[1]]])):
        with pytest.raises(error):
            tf.sparse.cross(given)


def test_split_names_what_is_missing():
    for given in ({}, {"sp_input": 1}, {"sp_input": 1, "num_split": 2}):
        with pytest.raises(ValueError, match="must be given"):
            tf.sparse.split(**given)


def test_mask_of_slices():
    rows = tf.IndexedSlices(tf.constant([[1.0, 2.0], [3.0, 4.0]]), tf.constant([3, 5]))
    left = tf.sparse.mask(rows, [5])
    assert left.indices.numpy().tolist() == [3] and left.values.numpy().tolist() == [[1, 2]]


# -- arithmetic -------------------------------------------------------------------------------


def test_operators(s, small):
    assert parts(s * 2.0)[1] == [2, 4, 6]
    assert parts(s / 2.0)[1] == [0.5, 1, 1.5]
    assert parts(s * tf.constant([1.0, 2.0, 3.0, 4.0]))[1] == [2, 2, 12]
    assert parts(tf.ones([3, 4]) * s)[1] == [1, 2, 3]
    assert parts(small * tf.constant([[2.0], [3.0]]))[1] == [2, 6]
    assert parts(tf.square(s))[1] == [1, 4, 9] and parts(tf.abs(s))[1] == [1, 2, 3]
    assert tf.cast(s, tf.int32).dtype == tf.int32
    assert tf.shape(s).numpy().tolist() == [3, 4] and tf.size(s).numpy() == 12
    with pytest.raises(InvalidArgumentError, match="broadcast"):
        s * tf.ones([3, 4, 1])
    with pytest.raises(ValueError, match="int32"):
        small * tf.constant([1, 2])
    for wrong in (lambda: s + 42.0, lambda: s + s, lambda: s - s, lambda: -s, lambda: 2.0 * s):
        with pytest.raises(TypeError):
            wrong()
    for wrong in (lambda: small * small, lambda: tf.exp(s), lambda: tf.add(s, s)):
        with pytest.raises(ValueError, match="SparseTensor"):
            wrong()


def test_add(s, small, other):
    assert parts(tf.sparse.add(small, other)) == ([[0, 0], [1, 0], [1, 1]], [0, 4, 2], [2, 2])
    kept = tf.sparse.add(small, other, threshold=0.5)
    assert parts(kept) == ([[1, 0], [1, 1]], [4, 2], [2, 2])
    assert parts(tf.sparse.add(small, other, threshold=5.0))[1] == [4, 2]
    assert tf.sparse.add(small, [[1.0, 2.0], [3.0, 4.0]]).numpy().tolist() == [[2, 2], [3, 6]]
    assert tf.sparse.add(tf.ones([2, 2]), small).numpy().tolist() == [[2, 1], [1, 3]]
    with pytest.raises(InvalidArgumentError, match="shapes"):
        tf.sparse.add(s, small)
    with pytest.raises(InvalidArgumentError, match="float32.*int32"):
        tf.sparse.add(small, tf.sparse.from_dense([[1, 2], [3, 4]]))
    with pytest.raises(InvalidArgumentError, match="same shape"):
        tf.sparse.add(small, tf.ones([3]))
    with pytest.raises(TypeError, match="SparseTensor"):
        tf.sparse.add(tf.ones([2]), tf.ones([2]))


def test_extrema(small, other):
    assert parts(tf.sparse.maximum(small, other))[1] == [1, 4, 2]
    assert parts(tf.sparse.minimum(small, other))[1] == [-1, 0, 0]


def test_reductions(s):
    assert tf.sparse.reduce_sum(s).numpy() == 6
    assert tf.sparse.reduce_sum(s, axis=1).numpy().tolist() == [1, 2, 3]
    assert tf.sparse.reduce_sum(s, axis=[0, 1]).numpy() == 6
    assert tf.sparse.reduce_sum(s, axis=-1, keepdims=True).numpy().tolist() == [[1], [2], [3]]
    out = tf.sparse.reduce_sum(s, axis=0, keepdims=True, output_is_sparse=True)
    assert parts(out) == ([[0, 0], [0, 1], [0, 3]], [2, 1, 3], [1, 4])
    assert parts(tf.sparse.reduce_sum(s, output_is_sparse=True)) == ([[]], [6], [])
    low = tf.SparseTensor([[0, 0]], [-5.0], [2, 3])
    assert tf.sparse.reduce_max(low, axis=1).numpy().tolist() == [-5, 0]
    assert tf.sparse.reduce_max(low).numpy() == -5
    assert parts(tf.sparse.reduce_max(low, axis=1, output_is_sparse=True)) == ([[0]], [-5], [2])
    with pytest.raises(InvalidArgumentError, match="axis"):
        tf.sparse.reduce_sum(s, axis=2)


def test_matmul(s):
    product = tf.sparse.sparse_dense_matmul
    assert product(s, tf.ones([4, 2])).numpy().tolist() == [[1, 1], [2, 2], [3, 3]]
    assert product(tf.ones([2, 3]), s).numpy().tolist() == [[2, 1, 0, 3]] * 2
    assert product(s, tf.ones([3, 1]), adjoint_a=True).numpy().tolist() == [[2], [1], [0], [3]]
    assert product(s, tf.ones([1, 4]), adjoint_b=True).numpy().tolist() == [[1], [2], [3]]
    imaginary = tf.SparseTensor([[0, 0]], [1j], [1, 1])
    one = tf.constant([[1 + 0j]])
    assert product(imaginary, one, adjoint_a=True).numpy().tolist() == [[-1j]]
    assert product(one, imaginary, adjoint_b=True).numpy().tolist() == [[-1j]]
    twice = tf.SparseTensor([[0, 0], [0, 0]], [1.0, 2.0], [1, 1])
    assert product(twice, [[1.0]]).numpy().tolist() == [[3]]
    wide = tf.SparseTensor([[0, 0]], np.array([0.1]), [1, 1])
    assert product(wide, np.array([[0.1]])).numpy().tolist() == [[0.1 * 0.1]]
    with pytest.raises(InvalidArgumentError, match="inner sizes 4 and 3"):
        product(s, tf.ones([3, 2]))
    with pytest.raises(InvalidArgumentError, match="float32.*float64"):
        product(s, tf.ones([4, 2], tf.float64))
    with pytest.raises(InvalidArgumentError, match="matrices"):
        product(s, tf.ones([4]))


def test_map_values_and_softmax(s, small):
    assert parts(tf.sparse.map_values(tf.add, s, s))[1] == [2, 4, 6]
    assert parts(tf.sparse.map_values(tf.multiply, small, [3.0, 4.0]))[1] == [3, 8]
    with pytest.raises(InvalidArgumentError, match="indices"):
        tf.sparse.map_values(tf.add, s, small)
    with pytest.raises(ValueError, match="must be a SparseTensor"):
        tf.sparse.map_values(tf.add, [1.0], [2.0])
    with pytest.raises(ValueError):
        tf.sparse.map_values(tf.reduce_sum, s)
    rows = tf.SparseTensor([[0, 0], [0, 2], [1, 1]], [1.0, 2.0, 3.0], [2, 3])
    np.testing.assert_allclose(
        tf.sparse.softmax(rows).values, [0.26894143, 0.7310586, 1.0], rtol=1e-6
    )
    with pytest.raises(InvalidArgumentError, match="floating"):
        tf.sparse.softmax(tf.SparseTensor([[0, 0]], [1], [2, 2]))


def test_segments():
    data = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    for name, expected in [
        ("sum", [[4, 6]]),
        ("mean", [[2, 3]]),
        ("sqrt_n", [[2.828427, 4.2426405]]),
    ]:
        found = getattr(tf.sparse, f"segment_{name}")(data, [0, 1], [0, 0])
        np.testing.assert_allclose(found, expected, rtol=1e-6)


# -- gradients, and inside of compiled functions ------------------------------------------------


def test_gradients_by_values_and_dense():
    v, d = tf.Variable([1.0, 2.0]), tf.Variable([[1.0, 2.0], [3.0, 4.0]])
    with tf.GradientTape() as tape:
        sparse = tf.SparseTensor([[0, 1], [1, 0]], v, [2, 2])
        product = tf.sparse.sparse_dense_matmul(sparse, d)
        loss = tf.reduce_sum(product * [[1.0, 2.0], [3.0, 4.0]])
    by_v, by_d = tape.gradient(loss, [v, d])
    assert by_v.numpy().tolist() == [11, 11]
    assert by_d.numpy().tolist() == [[6, 8], [1, 2]]


@pytest.mark.parametrize(
    "function, expected",
    [
        (lambda s: tf.sparse.to_dense(s) ** 2, [2, 4]),
        (lambda s: tf.sparse.reduce_sum(s * s.values[0]), [2, 5]),
        (lambda s: tf.sparse.reduce_sum(tf.sparse.transpose(s), axis=0)[0], [0, 1]),
        (lambda s: tf.sparse.add(s, s).values, [2, 2]),
        (lambda s: tf.sparse.concat(0, [s, s]).values, [2, 2]),
        (lambda s: tf.sparse.slice(s, [0, 0], [1, 2]).values, [0, 1]),
        (lambda s: tf.sparse.reduce_max(s), [0, 1]),
        (lambda s: tf.sparse.softmax(s).values, [0, 0]),
        (lambda s: tf.sparse.add(s, tf.ones([2, 2])), [1, 1]),
    ],
)
def test_a_tape_follows_the_values(function, expected):
    v = tf.Variable([1.0, 2.0])
    with tf.GradientTape() as tape:
        y = function(tf.sparse.reorder(tf.SparseTensor([[1, 0], [0, 1]], v, [2, 2])))
    assert tape.gradient(y, v).numpy().tolist() == expected


@pytest.mark.parametrize(
    "function",
    [
        lambda s: s,
        lambda s: s * 2.0,
        lambda s: s / tf.constant([[1.0], [2.0], [3.0]]),
        tf.sparse.to_dense,
        tf.sparse.transpose,
        tf.sparse.reorder,
        tf.sparse.softmax,
        lambda s: tf.sparse.reshape(s, [6, -1]),
        lambda s: tf.sparse.expand_dims(s, 1),
        lambda s: tf.sparse.concat(1, [s, s]),
        lambda s: tf.sparse.reduce_sum(s, axis=0),
        lambda s: tf.sparse.reduce_max(s, axis=1),
        lambda s: tf.sparse.add(s, tf.constant(np.ones([3, 4], np.float32))),
        lambda s: tf.sparse.sparse_dense_matmul(s, tf.ones([4, 2])),
        lambda s: tf.sparse.sparse_dense_matmul(tf.ones([2, 3]), s),
        lambda s: tf.sparse.map_values(tf.square, s),
    ],
)
def test_inside_jit(s, function):
    assert repr(jax.jit(function)(s)) == repr(function(s))


def test_inside_tf_function(s):
    function = tf.function(lambda s, x: tf.sparse.sparse_dense_matmul(s * 2.0, x))
    assert function(s, tf.ones([4, 1])).numpy().tolist() == [[2], [4], [6]]
    x = tf.Variable([[1.0]] * 4)
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(function(s, x))
    assert tape.gradient(y, x).numpy().tolist() == [[4], [2], [0], [6]]


@pytest.mark.parametrize(
    "function",
    [
        lambda s: tf.sparse.add(s, s),
        lambda s: tf.sparse.maximum(s, s),
        lambda s: tf.sparse.retain(s, s.values > 1),
        lambda s: tf.sparse.slice(s, [0, 0], [1, 1]),
        lambda s: tf.sparse.reset_shape(s),
        lambda s: tf.sparse.fill_empty_rows(s, 0.0),
        lambda s: tf.sparse.reduce_sum(s, axis=0, output_is_sparse=True),
        lambda s: tf.sparse.from_dense(tf.sparse.to_dense(s)),
    ],
)
def test_a_count_that_depends_on_values_is_refused(s, function):
    with pytest.raises(TypeError, match="depends on values.*traced"):
        jax.jit(function)(s)


def test_constant_places_with_traced_values(small):
    doubled = jax.jit(lambda v: tf.sparse.add(small.with_values(v), small))(jnp.array([1.0, 2.0]))
    assert parts(doubled)[1] == [2, 4]
    slope = jax.grad(
        lambda v: jnp.sum(tf.sparse.to_dense(small.with_values(v)).__jax_array__() ** 2)
    )(jnp.array([1.0, 2.0]))
    assert slope.tolist() == [2, 4]


def test_public_names():
    assert dir(tf.sparse) == sorted(tf.sparse.__all__)
    assert all(hasattr(tf.sparse, name) for name in tf.sparse.__all__)


def test_counts_are_tensorflows():
    count, ragged = tf.sparse.bincount, tf.ragged.constant([[0, 1], [1]])
    sparse = tf.SparseTensor([[0, 0], [2, 1]], [3, 3], [3, 2])
    for found, places, totals, shape in (
        (count([0, 1, 1, 3]), [[0], [1], [3]], [1, 2, 1], [4]),
        (count([[0, 1], [2, 2]]), [[0], [1], [2]], [1, 1, 2], [3]),
        (count([[0, 1], [2, 2]], axis=-1), [[0, 0], [0, 1], [1, 2]], [1, 1, 2], [2, 3]),
        (count([0, 1, 1], weights=[1.0, 2.0, 3.0]), [[0], [1]], [1.0, 5.0], [2]),
        (count([0, 1, 1], minlength=5), [[0], [1]], [1, 2], [5]),
        (count([0, 1, 4], maxlength=2), [[0], [1]], [1, 1], [2]),
        (count([0, 1, 1], binary_output=True), [[0], [1]], [1, 1], [2]),
        (count(ragged, axis=-1), [[0, 0], [0, 1], [1, 1]], [1, 1, 1], [2, 2]),
        (count(sparse, axis=-1), [[0, 3], [2, 3]], [1, 1], [3, 4]),
        (count(tf.constant([], tf.int32)), [], [], [1]),
    ):
        assert found.indices.numpy().tolist() == places
        assert found.values.numpy().tolist() == totals
        assert found.dense_shape.numpy().tolist() == shape
    for bad in (lambda: count([-1]), lambda: count([0, 1], weights=[1.0])):
        with pytest.raises(tf.errors.InvalidArgumentError):
            bad()


def test_sparse_tensors_are_crossed_first():
    texts = tf.sparse.from_dense([["a", "b"], ["c", ""]])
    dense, numbers = tf.constant([["x", "y"], ["z", "w"]]), tf.constant([[1], [2]], tf.int64)
    found = tf.sparse.cross([dense, texts, numbers])
    assert found.values.numpy()[2:5].tolist() == [b"b_X_x_X_1", b"b_X_y_X_1", b"c_X_z_X_2"]
    hashed = tf.sparse.cross_hashed([dense, texts, numbers])
    assert (hashed.values.numpy()[2], hashed.dense_shape.numpy()[1]) == (5434263408962330, 4)
    numbers = tf.sparse.cross_hashed([numbers, dense], 100, 7).values
    assert numbers.numpy().tolist() == [49, 31, 21, 85]


def test_products_at_the_places_of_a_sparse_matrix():
    a, b = [[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]
    out = tf.sparse.sampled_addmm([[0, 0], [1, 1]], [1.0, 2.0], [2, 2], a, b, 0.5, 2.0)
    assert out[1].numpy().tolist() == [38.5, 101.0]


def test_index_shuffle_and_fingerprint_are_tensorflows():
    shuffle = tf.random.experimental.index_shuffle
    assert shuffle(tf.range(10), [5, 8], 9).numpy().tolist() == [3, 8, 0, 1, 2, 7, 6, 9, 4, 5]
    found = shuffle(tf.range(3, dtype=tf.int64), [123456, -8], 1000000)
    assert (found.dtype, found.numpy().tolist()) == (tf.int64, [710966, 776359, 576301])
    assert int(shuffle(0, [1, 2], 0)) == 0
    prints = tf.fingerprint([[1, 2], [3, 4]]).numpy()
    assert prints[0].tolist() == [76, 18, 253, 133, 168, 204, 240, 10]
    assert tf.fingerprint(["b"]).numpy().tolist() == [[22, 241, 200, 94, 33, 96, 178, 163]]


def test_device_specs_are_tensorflows():
    spec = tf.DeviceSpec.from_string("/job:localhost/replica:0/task:1/gpu:2")
    assert (spec.task, spec.to_string()) == (1, "/job:localhost/replica:0/task:1/device:GPU:2")
    assert (
        tf.DeviceSpec(job="a").make_merged_spec(tf.DeviceSpec(task="3")).to_string()
        == "/job:a/task:3"
    )
    assert str(spec.replace(job=None)).startswith(
        "<DeviceSpec(job=None, replica=0, task=1, device_"
    )
    for name in ("/device:CPU:*", "/device:Mine:2"):
        assert tf.DeviceSpec.from_string(name).to_string() == name
    assert tf.DeviceSpec.from_string("/gpu").to_string() == "/device:GPU:*"
    with pytest.raises(ValueError, match="more than one type"):
        tf.DeviceSpec.from_string("/cpu:0/gpu:0")
    with tf.device(tf.DeviceSpec(device_type="CPU", device_index=0)):
        assert tf.CriticalSection().execute(lambda: 1).numpy() == 1
    with pytest.raises(ValueError, match="Unknown part 'foo:1'"):
        tf.DeviceSpec.from_string("/foo:1")


@pytest.mark.parametrize("count", [tf.math.bincount, tf.sparse.bincount])
def test_weights_of_counts_have_the_structure_of_what_is_counted(count):
    ragged, sparse = tf.ragged.constant([[1, 2], [3]]), tf.sparse.from_dense([[3, 0], [0, 4]])
    for values, weights, error in (
        ([[3, 2, 1], [5, 4, 4]], [[3, 2], [5, 4], [4, 3]], tf.errors.InvalidArgumentError),
        (ragged, tf.ragged.constant([[1], [2, 3]]), tf.errors.InvalidArgumentError),
        (ragged, [[1, 2], [3, 4]], ValueError),
        (sparse, tf.sparse.from_dense([[3, 1], [0, 0]]), tf.errors.InvalidArgumentError),
        (sparse, tf.sparse.from_dense([[3, 0], [0, 4], [0, 0]]), tf.errors.InvalidArgumentError),
    ):
        with pytest.raises(error):
            count(values, weights=weights, axis=-1)


def test_counts_of_a_sparse_vector():
    found = tf.sparse.bincount(tf.sparse.from_dense([3, 0, 1, 0]), axis=-1)
    assert found.indices.numpy().tolist() == [[1], [3]]


def test_sums_of_a_sparse_tensor_that_is_made_in_a_function():
    @tf.function
    def sums(x):
        s = tf.SparseTensor([[0, 0], [0, 2], [1, 1]], x, [2, 3])
        return tf.sparse.reduce_sum(s, 1), tf.sparse.reduce_max(s, 0)

    x = tf.constant([1.0, 2.0, 3.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        rows, columns = sums(x)
    assert tape.gradient(rows, x).numpy().tolist() == [1.0, 1.0, 1.0]
    assert (rows.numpy().tolist(), columns.numpy().tolist()) == ([3.0, 3.0], [1.0, 3.0, 2.0])


class _Product(tf.keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.w = self.add_weight(shape=(2, 3), initializer="ones")

    def call(self, s):
        assert isinstance(s, tf.SparseTensor) and s.dtype == tf.float32
        return tf.sparse.sparse_dense_matmul(s, self.w)


def test_layers_of_users_get_sparse_tensors_with_their_gradients():
    s = tf.SparseTensor([[0, 1], [1, 1]], [2.0, 3.0], [2, 2])
    layer, v = _Product(), tf.Variable([2.0, 3.0])
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(layer(s.with_values(v * 2)))
    of_v, of_w = tape.gradient(y, [v, layer.w])
    assert y.numpy() == 30.0 and of_v.numpy().tolist() == [6.0, 6.0]
    assert of_w.numpy().tolist() == [[0.0, 0.0, 0.0], [10.0, 10.0, 10.0]]
    wide = tf.SparseTensor([[0, 1], [1, 1]], np.array([2.0, 3.0]), [2, 2])
    assert layer(wide).numpy().tolist() == [[2.0] * 3, [3.0] * 3]
    assert tf.function(layer)(s).numpy().tolist() == [[2.0] * 3, [3.0] * 3]


def test_models_of_users_get_sparse_tensors():
    class Model(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = tf.keras.layers.Dense(2, kernel_initializer="ones")

        def call(self, inputs):
            x, s = inputs
            return tf.sparse.sparse_dense_matmul(s, self.dense(x))

    s = tf.SparseTensor([[0, 1], [1, 1]], [2.0, 3.0], [2, 2])
    assert Model()([tf.ones([2, 3]), s]).numpy().tolist() == [[6.0, 6.0], [9.0, 9.0]]
