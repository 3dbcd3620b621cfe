"""`tf.sets`: what TensorFlow gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from keraslike import tf

InvalidArgumentError = tf.errors.InvalidArgumentError
A = [[2, 3, 5], [7, 9, 0]]
B = [[4, 5, 6], [9, 10, 0]]


def parts(s):
    assert isinstance(s, tf.SparseTensor) and s.indices.dtype == tf.int64
    return np.asarray(s.values).tolist(), np.asarray(s.dense_shape).tolist()


def test_the_chapters_union():
    union = tf.sets.union(tf.constant(A), tf.constant(B))
    assert repr(union) == (
        "SparseTensor(indices=tf.Tensor(\n[[0 0]\n [0 1]\n [0 2]\n [0 3]\n [0 4]\n [1 0]\n [1 1]\n"
        " [1 2]\n [1 3]], shape=(9, 2), dtype=int64), values=tf.Tensor([ 2  3  4  5  6  0  7  9 10]"
        ", shape=(9,), dtype=int32), dense_shape=tf.Tensor([2 5], shape=(2,), dtype=int64))"
    )
    assert repr(tf.sparse.to_dense(union)) == (
        "<tf.Tensor: shape=(2, 5), dtype=int32, numpy=\n"
        "array([[ 2,  3,  4,  5,  6],\n       [ 0,  7,  9, 10,  0]], dtype=int32)>"
    )


@pytest.mark.parametrize(
    "operation, expected",
    [
        (tf.sets.intersection, ([5, 0, 9], [2, 2])),
        (tf.sets.difference, ([2, 3, 7], [2, 2])),
        (lambda a, b: tf.sets.difference(a, b, aminusb=False), ([4, 6, 10], [2, 2])),
    ],
)
def test_operations(operation, expected):
    assert parts(operation(tf.constant(A), tf.constant(B))) == expected


def test_sparse_and_mixed():
    a, b = tf.constant(A), tf.constant(B)
    sparse_a, sparse_b = tf.sparse.from_dense(a), tf.sparse.from_dense(b)
    assert parts(tf.sets.union(sparse_a, sparse_b)) == ([2, 3, 4, 5, 6, 7, 9, 10], [2, 5])
    assert parts(tf.sets.union(a, sparse_b)) == ([2, 3, 4, 5, 6, 0, 7, 9, 10], [2, 5])
    assert parts(tf.sets.intersection(a, sparse_b)) == ([5, 9], [2, 1])


def test_other_kinds():
    assert parts(tf.sets.union([["a", "b"]], [["b", "c"]])) == ([b"a", b"b", b"c"], [1, 3])
    assert parts(tf.sets.union([[1, 1, 1]], [[1]])) == ([1], [1, 1])
    deep = tf.sets.union([[[1], [2]]], [[[3], [4]]])
    assert parts(deep) == ([1, 3, 2, 4], [1, 2, 2])
    small = tf.sets.union(tf.constant([[1]], tf.uint8), tf.constant([[3, 1]], tf.uint8))
    assert parts(small) == ([1, 3], [1, 2]) and small.dtype == tf.uint8
    assert parts(tf.sets.intersection([[1]], [[2]])) == ([], [1, 0])


def test_size():
    sizes = tf.sets.size(tf.sets.union(A, B))
    assert repr(sizes) == ("<tf.Tensor: shape=(2,), dtype=int32, numpy=array([5, 4], dtype=int32)>")
    twice = tf.SparseTensor([[0, 0], [0, 1]], [1, 1], [2, 2])
    assert tf.sets.size(twice).numpy().tolist() == [1, 0]
    with pytest.raises(TypeError, match="SparseTensor"):
        tf.sets.size(A)


def test_refusals():
    for a, b in ([1, 2], [2, 3]), (1, 2), (A, B[:1]), ([[1]], [[2], [3]]):
        with pytest.raises(InvalidArgumentError):
            tf.sets.union(a, b)
    for a, b in (
        ([[1.0]], [[2.0]]),
        ([[True]], [[False]]),
        ([[1]], tf.constant([[1]], tf.int64)),
        (tf.constant([[1]], tf.uint32), tf.constant([[1]], tf.uint32)),
    ):
        with pytest.raises(TypeError):
            tf.sets.union(a, b)
    unordered = tf.SparseTensor([[0, 1], [0, 0]], [1, 2], [1, 2])
    with pytest.raises(InvalidArgumentError, match="out of order"):
        tf.sets.union(unordered, unordered)
    assert parts(tf.sets.union(unordered, unordered, validate_indices=False)) == ([1, 2], [1, 2])
    with pytest.raises(InvalidArgumentError, match="differ"):
        tf.sets.union(
            tf.SparseTensor([[0, 0]], [1], [2, 2]), tf.SparseTensor([[0, 0]], [2], [3, 2])
        )


def test_traced_sets_are_refused():
    with pytest.raises(TypeError, match="depends on values.*traced"):
        jax.jit(lambda x: tf.sets.union(x, x))(jnp.ones((1, 2), int))


def test_public_names():
    assert dir(tf.sets) == tf.sets.__all__ == ["difference", "intersection", "size", "union"]
