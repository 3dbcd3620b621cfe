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
