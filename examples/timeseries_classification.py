"""Detects faulty engines by their noise, with convolutions along time.

    python examples/timeseries_classification.py        # FordA, downloaded once
    python examples/timeseries_classification.py --quick

Wang, Yan and Oates, Time series classification from scratch, https://arxiv.org/abs/1611.06455
"""

import numpy as np
import shared

import keraslike as keras
from keraslike import layers

ADDRESS = "https://raw.githubusercontent.com/hfawaz/cd-diagram/master/FordA/FordA_{}.tsv"


def waves(n, length, seed):
    """Noisy waves of one frequency or another."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    phase = rng.uniform(0, 2 * np.pi, (n, 1))
    x = np.sin(np.arange(length) * np.where(y, 0.9, 0.5)[:, None] + phase)
    return x + rng.normal(scale=0.3, size=x.shape), y


def load(part, quick):
    if quick:
        return waves(*((256, 64, 0) if part == "TRAIN" else (64, 64, 1)))
    table = np.loadtxt(keras.utils.get_file(origin=ADDRESS.format(part)), delimiter="\t")
    return table[:, 1:], (table[:, 0] > 0).astype(int)  # the label comes first, 1 or -1


def build(length, filters):
    x = series = keras.Input((length, 1))
    for _ in range(3):
        x = layers.Conv1D(filters, 3, padding="same")(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(series, layers.Dense(2, activation="softmax")(x))


def main(quick=False, epochs=None):
    (x_train, y_train), (x_test, y_test) = load("TRAIN", quick), load("TEST", quick)
    order = np.random.default_rng(0).permutation(len(x_train))
    model = build(x_train.shape[1], 8 if quick else 64)
    model.compile(
        keras.optimizers.Adam(0.01 if quick else 0.001),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(
        x_train[order, :, None],
        y_train[order],
        batch_size=32,
        epochs=epochs or (8 if quick else 500),
        validation_split=0.2,
        callbacks=[
            keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=20, min_lr=0.0001),
            keras.callbacks.EarlyStopping(patience=50, restore_best_weights=True),
        ],
        verbose=2,
    )
    _, accuracy = model.evaluate(x_test[..., None], y_test, verbose=0)
    print(f"Test accuracy {accuracy:.3f}")
    return {"accuracy": accuracy}


if __name__ == "__main__":
    main(**shared.options(__doc__))
