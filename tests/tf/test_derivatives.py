"""Gradients at kinks, ties and poles, and of matrices with equal eigenvalues.

The expected values are TensorFlow 2.21's.
"""

import numpy as np
import pytest

from keraslike import tf

tnp = tf.experimental.numpy


def gradients(function, *values, upstream=None):
    """The gradients with respect to each of the values."""
    sources = [tf.constant(v) for v in values]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        out = function(*sources)
    given = None if upstream is None else tf.fill(out.shape, tf.cast(upstream, out.dtype))
    return [
        None if g is None else np.round(g.numpy().astype("complex128"), 4).tolist()
        for g in tape.gradient(out, sources, output_gradients=given)
    ]


WEIGHTS = [[1.0, 2.0], [3.0, 5.0]]
IDENTITY, SYMMETRIC = [[1.0, 0.0], [0.0, 1.0]], [[2.0, 1.0], [1.0, 3.0]]


@pytest.mark.parametrize(
    ("function", "value", "expected"),
    [
        (lambda x: tf.linalg.eigh(x)[0], IDENTITY, IDENTITY),
        (lambda x: tf.abs(tf.linalg.eigh(x)[1]), IDENTITY, [[0.0, 0.0], [0.0, 0.0]]),
        (lambda x: tf.linalg.svd(x)[0], IDENTITY, IDENTITY),
        (lambda x: rebuilt(*tf.linalg.svd(x)), IDENTITY, [[1.0, 0.0], [0.0, 5.0]]),
        (lambda x: rebuilt(*tf.linalg.svd(x)), SYMMETRIC, WEIGHTS),
        (
            lambda x: tf.linalg.lstsq(x, SYMMETRIC) * WEIGHTS,
            IDENTITY,
            [[-4.0, -7.0], [-11.0, -18.0]],
        ),
        (
            lambda x: tf.abs(tf.linalg.eig(x)[0]) * WEIGHTS[0],
            SYMMETRIC,
            [[1.2764, 0.4472], [0.4472, 1.7236]],
        ),
        (
            lambda x: tf.abs(tf.linalg.eig(x)[1]) * WEIGHTS,
            SYMMETRIC,
            [[0.2198, -0.5506], [0.7703, -0.2198]],
        ),
        (lambda x: tf.norm(x, 2, axis=(0, 1)), IDENTITY, [[0.5, 0.0], [0.0, 0.5]]),
    ],
)
def test_decompositions_of_matrices_with_equal_values(function, value, expected):
    assert gradients(function, value) == [expected]


def rebuilt(s, u, v):
    return tf.matmul(u * s, v, transpose_b=True) * WEIGHTS


def test_second_gradients_of_eigenvalues():
    x = tf.constant([[2.0, 1.0], [1.0, 3.0]])
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = tf.linalg.eigh(x)[0] * WEIGHTS[0]
        g = inner.gradient(y, x)
        z = tf.reduce_sum(g * g)
    assert np.round(np.asarray(outer.gradient(z, x), float), 2).tolist() == [
        [0.16, 0.0],
        [0.16, -0.16],
    ]


@pytest.mark.parametrize(
    ("function", "values", "upstream", "expected"),
    [
        # A cotangent of zero stays zero at a pole.
        (tf.norm, [[0.0, 0.0]], 0.0, [[0.0, 0.0]]),
        (tf.math.multiply_no_nan, [[np.inf, np.nan], [1.0, 0.0]], 0.0, [[0.0, 0.0], [0.0, 0.0]]),
        (tf.sqrt, [[0j, 1 + 0j]], 0.0, [[0j, 0j]]),
        (tf.math.rsqrt, [[0j, 1 + 0j]], 0.0, [[0j, 0j]]),
        (tf.math.reciprocal, [[0j, 1 + 0j]], 0.0, [[0j, 0j]]),
        # Slopes at kinks and ties.
        (
            lambda y, z: tf.nn.weighted_cross_entropy_with_logits(y, z, 2.0),
            [[0.0, 1.0, 0.5], [0.0, 0.0, 0.0]],
            None,
            [[0.6931, 0.6931, 0.6931], [1.0, 0.0, 0.5]],
        ),
        (
            lambda x: tf.image.total_variation(tf.reshape(x, (2, 3, 1))),
            [[1.0, 1.0, 2.0, 1.0, 3.0, 3.0]],
            None,
            [[0.0, -2.0, 0.0, -1.0, 2.0, 1.0]],
        ),
        (tf.math.bessel_i0, [[0.0, 1.0]], None, [[0.0, 0.5652]]),
        (lambda x: tnp.maximum(x, 0), [[0.0, 1.0, -1.0]], None, [[0.0, 1.0, 0.0]]),
        (lambda x: tnp.maximum(x, [0.0]), [[0.0, 1.0, -1.0]], None, [[1.0, 1.0, 0.0]]),
        # Arguments without a gradient.
        (tf.math.zeta, [[2.0], [1.0]], None, [None, [-2.4041]]),
        (tf.math.betainc, [[1.0], [1.0], [0.2]], None, [None, None, [1.0]]),
        (tf.image.hsv_to_rgb, [[0.1, 0.2, 0.3]], None, [None]),
        (lambda x: tf.one_hot([0], 2, x[0], x[1]), [[2.0, 3.0]], None, [None]),
        # The variance of complex numbers is real.
        (
            lambda x: tf.math.real(tf.nn.moments(x, 0)[1]),
            [[1 + 2j, 3 - 1j]],
            None,
            [[-1 + 1.5j, 1 - 1.5j]],
        ),
    ],
)
def test_kinks_and_poles(function, values, upstream, expected):
    assert gradients(function, *values, upstream=upstream) == expected
    assert gradients(tf.function(function), *values, upstream=upstream) == expected


def test_the_moments_of_complex_numbers():
    mean, variance = tf.nn.moments(tf.constant([1 + 2j, 3 - 1j]), 0)
    assert (mean.numpy(), variance.numpy()) == (2 + 0.5j, 3.25 + 0j)


@pytest.mark.parametrize(
    "function",
    [
        lambda z: tf.clip_by_norm(z, 1.0),
        lambda z: tf.clip_by_value(z, 0.0, 1.0),
        lambda z: tf.linalg.global_norm([z]),
        lambda z: tf.clip_by_global_norm([z], 1.0),
        lambda z: tf.reduce_max(tf.RaggedTensor.from_row_lengths(z, [2]), 1),
    ],
)
def test_what_complex_numbers_have_no_order_for(function):
    with pytest.raises(tf.errors.InvalidArgumentError, match="complex"):
        function(tf.constant([1 + 2j, 3 - 1j]))
