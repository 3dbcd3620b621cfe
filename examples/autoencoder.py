"""A convolutional autoencoder removes noise from images of digits.

python examples/autoencoder.py              # MNIST, downloaded once
python examples/autoencoder.py --quick
"""

import numpy as np
import shared

import keraslike as keras
from keraslike import layers


def load(quick):
    if quick:
        train, test = (shared.pictures(n, (28, 28), 10, seed=n) for n in (256, 64))
    else:
        train, test = keras.datasets.mnist.load_data()
    return [x[..., None].astype("float32") / 255 for x, _ in (train, test)]


def noisy(x, seed):
    noise = np.random.default_rng(seed).normal(scale=0.4, size=x.shape)
    return np.clip(x + noise, 0, 1).astype("float32")


def main(quick=False, epochs=None):
    x_train, x_test = load(quick)
    width = 8 if quick else 32
    pictures = keras.Input((28, 28, 1))
    x = layers.Conv2D(width, 3, activation="relu", padding="same")(pictures)
    x = layers.MaxPooling2D(2, padding="same")(x)
    x = layers.Conv2D(width, 3, activation="relu", padding="same")(x)
    code = layers.MaxPooling2D(2, padding="same", name="code")(x)
    x = layers.Conv2DTranspose(width, 3, strides=2, activation="relu", padding="same")(code)
    x = layers.Conv2DTranspose(width, 3, strides=2, activation="relu", padding="same")(x)
    clean = layers.Conv2D(1, 3, activation="sigmoid", padding="same")(x)
    autoencoder = keras.Model(pictures, clean)
    autoencoder.compile("adam", "binary_crossentropy", metrics=["mse"])
    autoencoder.fit(
        noisy(x_train, 0),
        x_train,
        batch_size=32 if quick else 128,
        epochs=epochs or (6 if quick else 50),
        verbose=2,
    )
    given = noisy(x_test, 1)
    before = float(np.mean((given - x_test) ** 2))
    after = float(np.mean((autoencoder.predict(given, verbose=0) - x_test) ** 2))
    print(f"Mean squared error of the noisy pictures {before:.4f}, of the cleaned ones {after:.4f}")
    return {"before": before, "after": after}


if __name__ == "__main__":
    main(**shared.options(__doc__))
