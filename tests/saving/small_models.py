"""Models that the tests of saving share."""

import numpy as np

import keraslike
from keraslike import layers


def small(units=3, **kwargs):
    model = keraslike.Sequential(
        [keraslike.Input((4,)), layers.Dense(units, activation="relu"), layers.Dense(2)]
    )
    if kwargs:
        model.compile(**kwargs)
    return model


def weights_equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.get_weights(), b.get_weights(), strict=True))
