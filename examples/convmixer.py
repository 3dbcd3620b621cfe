"""Image classification by depthwise and pointwise convolutions of patches.

    python examples/convmixer.py                # CIFAR-10, downloaded once
    python examples/convmixer.py --quick

Trockman and Kolter, Patches are all you need?, https://arxiv.org/abs/2201.09792
"""

import shared

import keraslike as keras
from keraslike import layers


def activated(x):
    return layers.BatchNormalization(momentum=0.9)(layers.Activation("gelu")(x))


def build(shape, classes, filters, depth, kernel_size, patch_size):
    images = keras.Input(shape)
    x = layers.Rescaling(1 / 255)(images)
    x = activated(layers.Conv2D(filters, patch_size, strides=patch_size)(x))
    for _ in range(depth):
        mixed = activated(layers.DepthwiseConv2D(kernel_size, padding="same")(x))
        x = activated(layers.Conv2D(filters, 1)(layers.Add()([mixed, x])))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(classes, activation="softmax")(x))


def main(quick=False, epochs=None):
    if quick:
        train, test = (shared.pictures(n, (16, 16, 3), 4, seed=n) for n in (512, 128))
        model = build((16, 16, 3), 4, filters=8, depth=1, kernel_size=3, patch_size=2)
    else:
        train, test = keras.datasets.cifar10.load_data()
        model = build((32, 32, 3), 10, filters=256, depth=8, kernel_size=5, patch_size=2)
    model.compile(
        keras.optimizers.AdamW(0.01 if quick else 0.001, weight_decay=1e-4),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(
        *train, batch_size=16 if quick else 128, epochs=epochs or (5 if quick else 10), verbose=2
    )
    _, accuracy = model.evaluate(*test, verbose=0)
    print(f"Test accuracy {accuracy:.3f}")
    return {"accuracy": accuracy}


if __name__ == "__main__":
    main(**shared.options(__doc__))
