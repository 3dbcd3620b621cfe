"""Image classification by a transformer on patches.

    python examples/vision_transformer.py       # CIFAR-10, downloaded once
    python examples/vision_transformer.py --quick

Dosovitskiy et al., An image is worth 16x16 words, https://arxiv.org/abs/2010.11929
"""

import shared

import keraslike as keras
from keraslike import layers, ops


class Patches(layers.Layer):
    """Patches of pictures as vectors: `(batch, patches, patch_size**2 * channels)`."""

    def __init__(self, patch_size, **kwargs):
        super().__init__(**kwargs)
        self.patch_size = patch_size

    def call(self, images):
        patches = ops.image.extract_patches(images, self.patch_size)
        return ops.reshape(patches, (ops.shape(patches)[0], -1, patches.shape[-1]))

    def get_config(self):
        return {**super().get_config(), "patch_size": self.patch_size}


class PatchEncoder(layers.Layer):
    """A linear map of each patch, plus a vector for its place."""

    def __init__(self, num_patches, width, **kwargs):
        super().__init__(**kwargs)
        self.num_patches, self.width = num_patches, width
        self.projection = layers.Dense(width)
        self.place = layers.Embedding(num_patches, width)

    def call(self, patches):
        return self.projection(patches) + self.place(ops.arange(self.num_patches))

    def get_config(self):
        return {**super().get_config(), "num_patches": self.num_patches, "width": self.width}


def build(shape, classes, patch_size, width, heads, blocks):
    num_patches = (shape[0] // patch_size) * (shape[1] // patch_size)
    images = keras.Input(shape)
    x = layers.Rescaling(1 / 127.5, offset=-1)(images)
    x = PatchEncoder(num_patches, width)(Patches(patch_size)(x))
    for _ in range(blocks):
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        x = x + layers.MultiHeadAttention(heads, width // heads, dropout=0.1)(y, y)
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        y = layers.Dense(2 * width, activation="gelu")(y)
        x = x + layers.Dropout(0.1)(layers.Dense(width)(y))
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization(epsilon=1e-6)(x))
    return keras.Model(images, layers.Dense(classes)(x))


def main(quick=False, epochs=None):
    if quick:
        train, test = (shared.pictures(n, (16, 16, 3), 4, seed=n) for n in (512, 128))
        model = build((16, 16, 3), 4, patch_size=4, width=16, heads=2, blocks=1)
    else:
        train, test = keras.datasets.cifar10.load_data()
        model = build((32, 32, 3), 10, patch_size=4, width=64, heads=4, blocks=6)
    model.compile(
        keras.optimizers.AdamW(0.003 if quick else 0.001, weight_decay=1e-4),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    model.fit(
        *train, batch_size=32 if quick else 256, epochs=epochs or (3 if quick else 30), verbose=2
    )
    _, accuracy = model.evaluate(*test, verbose=0)
    print(f"Test accuracy {accuracy:.3f}")
    return {"accuracy": accuracy, "model": model}


if __name__ == "__main__":
    main(**shared.options(__doc__))
