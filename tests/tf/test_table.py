"""Functions of `tf.math` that come of a table: their examples, and TensorFlow's values."""

from __future__ import annotations

import numpy as np
import pytest

from keraslike import tf


def test_polygamma_takes_orders_of_floating_point():
    found = tf.math.polygamma([0.0, 1.0, 2.0, 1.0], [1.0, 1.0, 3.0, np.inf])
    np.testing.assert_allclose(found, [-0.5772159, 1.644934, -0.1541138, 0.0], rtol=1e-5)
    assert np.isnan(tf.math.polygamma([1.5, -1.0], [2.0, 2.0])).all()


def test_zeta_far_away_is_zero():
    found = tf.math.zeta([2.0, 3.0, 0.5], [np.inf, 1.0, 1.0])
    np.testing.assert_allclose(found, [0.0, 1.202057, np.nan], rtol=1e-5)


def test_the_product_of_booleans_is_that_both_are_true():
    x, y = tf.constant([True, True, False]), tf.constant([True, False, False])
    products = (x * y, x * True, False * x, tf.Variable(x) * y, tf.function(lambda: x * 2)())
    both, none = [True, False, False], [False] * 3
    assert [p.numpy().tolist() for p in products] == [
        both,
        x.numpy().tolist(),
        none,
        both,
        [1, 1, 0],
    ]


@pytest.mark.parametrize(
    "function",
    [
        tf.cumsum,
        tf.math.cumprod,
        lambda x: tf.add_n([x, x]),
        lambda x: x / x,
        tf.math.top_k,
        lambda x: tf.clip_by_value(x, False, True),
        lambda x: tf.multiply(x, x),
    ],
)
def test_arithmetic_on_booleans_is_refused(function):
    with pytest.raises((tf.errors.InvalidArgumentError, TypeError)):
        function(tf.constant([True, False]))


MATRIX, COMPLEX = tf.constant([[1.0, 2.0], [3.0, 4.0]]), tf.constant([1.0 + 2.0j])


@pytest.mark.parametrize(
    "call",
    [
        lambda: tf.nn.relu(COMPLEX),
        lambda: tf.nn.elu(COMPLEX),
        lambda: tf.nn.softplus(COMPLEX),
        lambda: tf.nn.leaky_relu(COMPLEX),
        lambda: tf.nn.crelu(tf.constant([1, 2], tf.uint8)),
        lambda: tf.round(COMPLEX),
        lambda: tf.sort(COMPLEX),
        lambda: tf.argsort(COMPLEX),
        lambda: tf.linalg.qr(tf.constant([[1, 2], [3, 4]])),
        lambda: tf.linalg.svd(tf.constant([[1, 2], [3, 4]])),
        lambda: tf.linalg.det(tf.constant([[1, 2], [3, 4]])),
        lambda: tf.linalg.lstsq(tf.constant([[1, 2], [3, 4]]), tf.constant([[1], [2]])),
        lambda: tf.linalg.lu(tf.ones([2, 3])),
        lambda: tf.linalg.set_diag(MATRIX, [1.0]),
        lambda: tf.linalg.set_diag(MATRIX, MATRIX),
        lambda: tf.linalg.set_diag(MATRIX, [[1.0, 2.0]], k=(0, 1)),
        lambda: tf.linalg.tensor_diag_part(tf.ones([2, 3])),
        lambda: tf.linalg.tensor_diag_part(tf.ones([2])),
        lambda: tf.math.scalar_mul([1.0, 2.0], [3.0, 4.0]),
        lambda: tf.math.accumulate_n(MATRIX),
        lambda: tf.linalg.global_norm(MATRIX),
        lambda: tf.clip_by_global_norm(MATRIX, 1.0),
        lambda: tf.nn.dropout(MATRIX, tf.constant([0.5, 0.5])),
        lambda: tf.image.flip_left_right(MATRIX),
        lambda: tf.image.flip_up_down(tf.ones([1, 1, 1, 1, 1])),
        lambda: tf.image.rgb_to_yuv(tf.ones([1, 1, 3], tf.int32)),
        lambda: tf.dynamic_stitch([[0.0]], [[1.0]]),
        lambda: tf.linalg.triangular_solve(MATRIX, [1.0, 2.0]),
        lambda: tf.linalg.triangular_solve([[1, 2], [3, 4]], [[1], [2]]),
        lambda: tf.linalg.cholesky_solve(MATRIX, [1.0, 2.0]),
        lambda: tf.linalg.cholesky_solve([[1, 2], [3, 4]], [[1], [2]]),
        lambda: tf.linalg.banded_triangular_solve(MATRIX, [1.0, 2.0]),
        lambda: tf.linalg.banded_triangular_solve([[1, 2], [3, 4]], [[1], [2]]),
        lambda: tf.linalg.lstsq(MATRIX, [1.0, 2.0], l2_regularizer=0.5),
        lambda: tf.linalg.lu_solve([[1, 2], [3, 4]], [0, 1], [[1], [2]]),
        lambda: tf.linalg.lu_matrix_inverse([[1, 2], [3, 4]], [0, 1]),
        lambda: tf.linalg.lu_reconstruct(tf.constant([[1, 2], [3, 4]], tf.int8), [0, 1]),
        lambda: tf.linalg.cross(MATRIX, MATRIX),
        lambda: tf.linalg.cross([[1.0, 2.0, 3.0]], [4.0, 5.0, 6.0]),
        lambda: tf.linalg.norm(tf.ones([1, 2, 3]), axis=[0, 1, 2]),
        lambda: tf.linalg.norm(MATRIX, ord=0),
        lambda: tf.linalg.norm(MATRIX, ord=3, axis=[0, 1]),
        lambda: tf.linalg.norm(tf.constant([1, 2])),
        lambda: tf.linalg.norm(tf.constant([1, 2], tf.uint8), ord=1),
        lambda: tf.linalg.trace([[True]]),
        lambda: tf.linalg.matvec([1.0, 2.0], [1.0, 2.0]),
        lambda: tf.linalg.tridiagonal_matmul([[1, 0], [2, 4], [0, 1]], [[1], [2]]),
        lambda: tf.linalg.tridiagonal_solve([[1, 0], [2, 4], [0, 1]], [[1], [2]]),
        lambda: tf.linalg.LinearOperatorToeplitz([1.0], [1.0, 2.0]).to_dense(),
        lambda: tf.linalg.sqrtm(tf.zeros([0, 3])),
        lambda: tf.linalg.tensor_diag(1.0),
        lambda: tf.linalg.LinearOperatorDiag([1.0, 2.0]).matmul([[1.0, 2.0]]),
        lambda: tf.linalg.LinearOperatorDiag([1.0, 2.0]).solve([[1.0, 2.0]]),
        lambda: tf.linalg.LinearOperatorDiag([[1.0], [2.0]]).matmul([1.0]),
        lambda: tf.linalg.LinearOperatorDiag([1, 2]).solve([[1], [2]]),
        lambda: tf.linalg.LinearOperatorFullMatrix([[1, 2], [3, 4]]),
        lambda: tf.linalg.LinearOperatorToeplitz([1.0, 2.0, 3.0], [1.0, 2.0]),
    ],
)
def test_what_tensorflow_refuses(call):
    with pytest.raises((ValueError, TypeError)):  # of which InvalidArgumentError is one
        call()


def test_diagonals_of_fitting_shapes_are_set():
    assert tf.linalg.set_diag(MATRIX, [7.0], k=1).numpy().tolist() == [[1, 7], [3, 4]]
    band = tf.linalg.set_diag(tf.zeros([2, 3]), [[1.0, 2.0], [3.0, 4.0]], k=(0, 1))
    assert band.numpy().tolist() == [[3, 1, 0], [0, 4, 2]]  # as in TensorFlow 2.21


def test_an_inverse_window_is_zero_where_no_window_is():
    window = tf.signal.inverse_stft_window_fn(4)(4, tf.float32)
    assert window.numpy().tolist() == [0, 2, 1, 2]  # as in TensorFlow 2.21
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.signal.rfft2d(tf.zeros([0, 2, 2]), [-1, 2])


def test_what_tensorflow_computes_of_matrices():
    whole = tf.constant([[1, -2], [3, 4]], tf.int8)
    assert tf.linalg.norm(whole, ord=1).numpy() == 10
    assert tf.linalg.norm(whole, ord=np.inf, axis=[0, 1]).dtype is tf.int8
    assert tf.linalg.matrix_transpose([["a", "b"]]).numpy().tolist() == [[b"a"], [b"b"]]
    assert tf.linalg.adjoint([["a", "b"]]).numpy().tolist() == [[b"a"], [b"b"]]
    part = tf.linalg.band_part([[True, True], [True, False]], 0, 0)
    assert part.dtype is tf.bool and part.numpy().tolist() == [[True, False], [False, False]]
    assert tf.linalg.diag(tf.zeros([2, 0]), k=1).numpy().tolist() == [[[0.0]], [[0.0]]]
    assert tf.linalg.matvec(tf.cast(whole, tf.int16), tf.ones([2, 2], tf.int16)).shape == [2, 2]
    q, r = tf.linalg.qr(tf.constant([[3.0, 1.0], [4.0, 2.0]], tf.float16))
    assert q.dtype is r.dtype is tf.float16
    np.testing.assert_allclose(abs(r.numpy()), [[5.0, 2.2], [0.0, 0.4]], atol=1e-2)
    root = tf.linalg.sqrtm(tf.constant([[4.0]], tf.float16))
    assert root.dtype is tf.float16 and root.numpy() == 2
    batch = tf.linalg.LinearOperatorToeplitz([[1.0, 2.0], [3.0, 4.0]], [1.0, 5.0]).to_dense()
    assert batch.numpy().tolist() == [[[1, 5], [2, 1]], [[3, 5], [4, 3]]]
