"""Digits that are drawn in a web page, recognized there: train, export, and serve the page.

    python examples/browser/digits.py          # trains for some seconds, then serves the page

The pictures are those of 8 by 8 that scikit-learn has. The model is exported for TensorFlow.js,
which the page takes from `tf.min.js` beside it, or from the network where that is not there.
"""

import argparse
import functools
import http.server
import pathlib

import numpy as np

import keraslike as keras
from keraslike import layers

PAGE = pathlib.Path(__file__).parent


def digits():
    """Pictures of shape (8, 8, 1) between 0 and 1, moved by up to a pixel, and their digits."""
    from sklearn.datasets import load_digits

    data = load_digits()
    x = (data.images / 16).astype("float32")
    moved = [np.roll(x, (down, right), (1, 2)) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return np.concatenate(moved)[..., None], np.tile(data.target, 9)


def trained(epochs=8):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(*digits(), batch_size=64, epochs=epochs, verbose=2)
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--port", type=int, default=8000)
    given = parser.parse_args()
    trained(given.epochs).export(PAGE / "model", format="tfjs")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=PAGE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", given.port), handler) as server:
        print(f"Draw a digit at http://127.0.0.1:{given.port}/ (Ctrl-C ends this)")
        server.serve_forever()


if __name__ == "__main__":
    main()
