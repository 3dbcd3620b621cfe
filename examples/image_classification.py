"""Classification of cats and dogs, from image files with augmentation.

    python examples/image_classification.py     # Cats vs dogs, downloaded once (790 MB)
    python examples/image_classification.py --quick

A small network of separable convolutions in the manner of Xception, https://arxiv.org/abs/1610.02357
"""

import pathlib
import tempfile

import shared

import keraslike as keras
from keraslike import layers

ADDRESS = (
    "https://download.microsoft.com/download/3/e/1/3e1c3f21-ecdb-4869-8368-6deba77b919f/"
    "kagglecatsanddogs_5340.zip"
)


def write_pictures(folder, n, size):
    """Made-up pictures of two classes, a folder each."""
    x, y = shared.pictures(n, (size, size, 3), 2)
    for i, (picture, label) in enumerate(zip(x, y)):
        path = folder / f"class_{label}" / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        keras.utils.save_img(path, picture, scale=False)


def build(size, widths, augmentation):
    pictures = keras.Input((size, size, 3))
    x = layers.Rescaling(1 / 255)(augmentation(pictures))
    x = layers.Conv2D(widths[0], 3, strides=2, padding="same", activation="relu")(x)
    for width in widths:
        y = layers.SeparableConv2D(width, 3, padding="same")(layers.Activation("relu")(x))
        y = layers.BatchNormalization(momentum=0.9)(y)
        y = layers.MaxPooling2D(3, strides=2, padding="same")(y)
        x = y + layers.Conv2D(width, 1, strides=2, padding="same")(x)
    x = layers.Dropout(0.25)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(pictures, layers.Dense(1)(x))


def main(quick=False, epochs=None):
    with tempfile.TemporaryDirectory() as made_up:
        size, folder = (16, pathlib.Path(made_up)) if quick else (180, None)
        if quick:
            write_pictures(folder, 192, size)
        else:
            folder = pathlib.Path(keras.utils.get_file(origin=ADDRESS, extract=True), "PetImages")
        train, valid = keras.utils.image_dataset_from_directory(
            folder,
            label_mode="binary",
            image_size=(size, size),
            batch_size=16 if quick else 128,
            validation_split=0.2,
            subset="both",
            seed=1337,
        )
        augmentation = keras.Sequential(
            [layers.RandomFlip("horizontal", seed=1), layers.RandomRotation(0.1, seed=2)]
        )
        model = build(size, (8, 16) if quick else (128, 256, 512, 728), augmentation)
        model.compile(
            keras.optimizers.Adam(0.01 if quick else 3e-4),
            keras.losses.BinaryCrossentropy(from_logits=True),
            metrics=[keras.metrics.BinaryAccuracy(threshold=0, name="accuracy")],
        )
        history = model.fit(
            train, epochs=epochs or (6 if quick else 25), validation_data=valid, verbose=2
        ).history
    return history


if __name__ == "__main__":
    main(**shared.options(__doc__))
