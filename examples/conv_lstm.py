"""Convolutional recurrent layers predict the next frames of a video.

    python examples/conv_lstm.py                # Moving MNIST, downloaded once (780 MB)
    python examples/conv_lstm.py --quick

Shi et al., Convolutional LSTM network, https://arxiv.org/abs/1506.04214
"""

import numpy as np
import shared

import keraslike as keras
from keraslike import layers

ADDRESS = "https://www.cs.toronto.edu/~nitish/unsupervised_video/mnist_test_seq.npy"


def moving_squares(n, frames, size, seed=0):
    """Films, `(n, frames, size, size)`, of a square that moves and comes back at the borders."""
    rng = np.random.default_rng(seed)
    films = np.zeros((n, frames, size, size), "float32")
    start, speed = rng.integers(0, size, (n, 2)), rng.integers(-1, 2, (n, 2))
    for film, (row, column), (down, right) in zip(films, start, speed):
        for t, frame in enumerate(film):
            rows = (row + t * down + np.arange(3)) % size
            columns = (column + t * right + np.arange(3)) % size
            frame[np.ix_(rows, columns)] = 1
    return films


def load(quick):
    if quick:
        return moving_squares(48, frames=6, size=8)[..., None]
    films = np.load(keras.utils.get_file(origin=ADDRESS), allow_pickle=False)
    return films.swapaxes(0, 1)[:1000, ..., None].astype("float32") / 255


def main(quick=False, epochs=None):
    films = load(quick)
    cut = int(0.9 * len(films))
    (x_train, y_train), (x_test, y_test) = (
        (part[:, :-1], part[:, 1:]) for part in (films[:cut], films[cut:])
    )
    width = 4 if quick else 64
    x = frames = keras.Input((None, *films.shape[2:]))
    for size in (3,) if quick else (5, 3, 1):
        x = layers.ConvLSTM2D(
            width, size, padding="same", return_sequences=True, activation="relu"
        )(x)
        x = layers.BatchNormalization()(x)
    following = layers.Conv3D(1, 3, activation="sigmoid", padding="same")(x)
    model = keras.Model(frames, following)
    model.compile(keras.optimizers.Adam(0.01 if quick else 0.001), "binary_crossentropy")
    history = model.fit(
        x_train,
        y_train,
        batch_size=8 if quick else 5,
        epochs=epochs or (4 if quick else 20),
        validation_data=(x_test, y_test),
        callbacks=[keras.callbacks.ReduceLROnPlateau(patience=5)],
        verbose=2,
    ).history

    # Frames that are drawn one by one, each after those before it.
    film = x_test[:1, : x_test.shape[1] // 2]
    for _ in range(x_test.shape[1] - film.shape[1]):
        film = np.concatenate([film, model.predict(film, verbose=0)[:, -1:]], axis=1)
    return {**history, "film": film}


if __name__ == "__main__":
    main(**shared.options(__doc__))
