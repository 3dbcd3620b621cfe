"""Classification of digits by a small convolutional network.

python examples/mnist_convnet.py            # MNIST, downloaded once
python examples/mnist_convnet.py --quick
"""

import shared

import keraslike as keras
from keraslike import layers


def load(quick):
    if quick:
        pairs = (shared.pictures(n, (28, 28), 10, seed=n) for n in (512, 128))
    else:
        pairs = keras.datasets.mnist.load_data()
    return [(x[..., None].astype("float32") / 255, keras.utils.to_categorical(y)) for x, y in pairs]


def main(quick=False, epochs=None):
    train, test = load(quick)
    width = 8 if quick else 32
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(width, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(2 * width, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.summary()
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    model.fit(
        *train,
        batch_size=16 if quick else 128,
        epochs=epochs or (3 if quick else 15),
        validation_split=0.1,
        verbose=2,
    )
    loss, accuracy = model.evaluate(*test, verbose=0)
    print(f"Test loss {loss:.3f}, accuracy {accuracy:.3f}")
    return {"accuracy": accuracy}


if __name__ == "__main__":
    main(**shared.options(__doc__))
