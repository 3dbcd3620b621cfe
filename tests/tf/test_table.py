"""Functions of `tf.math` that come of a table: their examples, and TensorFlow's values."""

from __future__ import annotations

import numpy as np

from keraslike import tf


def test_polygamma_takes_orders_of_floating_point():
    found = tf.math.polygamma([0.0, 1.0, 2.0, 1.0], [1.0, 1.0, 3.0, np.inf])
    np.testing.assert_allclose(found, [-0.5772159, 1.644934, -0.1541138, 0.0], rtol=1e-5)
    assert np.isnan(tf.math.polygamma([1.5, -1.0], [2.0, 2.0])).all()


def test_zeta_far_away_is_zero():
    found = tf.math.zeta([2.0, 3.0, 0.5], [np.inf, 1.0, 1.0])
    np.testing.assert_allclose(found, [0.0, 1.202057, np.nan], rtol=1e-5)
