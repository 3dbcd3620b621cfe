"""Decides whether two images show the same digit, by the distance of their embeddings.

    python examples/siamese_network.py          # MNIST, downloaded once
    python examples/siamese_network.py --quick

Hadsell, Chopra and LeCun, Dimensionality reduction by learning an invariant mapping, CVPR 2006
"""

import numpy as np
import shared

import keraslike as keras
from keraslike import layers, ops


class ContrastiveLoss(keras.losses.Loss):
    """`y d**2 + (1 - y) max(margin - d, 0)**2`, where y is 1 for a pair of one class and d the
    distance."""

    def __init__(self, margin=1.0, **kwargs):
        super().__init__(**kwargs)
        self.margin = margin

    def call(self, y_true, distance):
        apart = ops.square(ops.maximum(self.margin - distance, 0))
        return ops.mean(y_true * ops.square(distance) + (1 - y_true) * apart, axis=-1)

    def get_config(self):
        return {**super().get_config(), "margin": self.margin}


class SamePair(keras.metrics.Mean):
    """The share of pairs that a distance below one half of the margin tells rightly."""

    def __init__(self, margin=1.0, name="accuracy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.margin = margin

    def update_state(self, y_true, distance, sample_weight=None):
        right = ops.equal(y_true > 0.5, distance < self.margin / 2)
        super().update_state(right, sample_weight)


def pairs(x, y, seed=0):
    """For each picture one of its class and one of another, and whether it is of its class."""
    rng = np.random.default_rng(seed)
    of_class = [np.flatnonzero(y == label) for label in range(y.max() + 1)]
    same = np.array([rng.choice(of_class[label]) for label in y])
    others = (y + rng.integers(1, len(of_class), len(y))) % len(of_class)
    other = np.array([rng.choice(of_class[label]) for label in others])
    left, right = np.concatenate([x, x]), np.concatenate([x[same], x[other]])
    labels = np.repeat([1.0, 0.0], len(x)).astype("float32")[:, None]
    order = rng.permutation(len(left))
    return (left[order], right[order]), labels[order]


def build(width):
    picture = keras.Input((28, 28))
    x = layers.Reshape((28, 28, 1))(layers.Rescaling(1 / 255)(picture))
    for filters in (width, 2 * width):
        x = layers.Conv2D(filters, 5, activation="tanh")(x)
        x = layers.AveragePooling2D(2)(x)
    embed = keras.Model(picture, layers.Dense(10, activation="tanh")(layers.Flatten()(x)))
    left, right = keras.Input((28, 28)), keras.Input((28, 28))
    gap = ops.sum(ops.square(embed(left) - embed(right)), axis=-1, keepdims=True)
    distance = ops.sqrt(ops.maximum(gap, 1e-7))
    return keras.Model([left, right], distance)


def main(quick=False, epochs=None):
    if quick:
        train, test = (shared.pictures(n, (28, 28), 10, seed=n) for n in (256, 64))
    else:
        train, test = keras.datasets.mnist.load_data()
    model = build(4 if quick else 8)
    model.compile(keras.optimizers.RMSprop(0.001), ContrastiveLoss(), metrics=[SamePair()])
    model.fit(
        *pairs(*train),
        batch_size=16 if quick else 64,
        epochs=epochs or (4 if quick else 10),
        verbose=2,
    )
    _, accuracy = model.evaluate(*pairs(*test, seed=1), verbose=0)
    print(f"Share of test pairs told rightly: {accuracy:.3f}")
    return {"accuracy": accuracy}


if __name__ == "__main__":
    main(**shared.options(__doc__))
