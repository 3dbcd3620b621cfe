"""A generative adversarial network draws images of clothes.

    python examples/dcgan.py                    # Fashion MNIST, downloaded once
    python examples/dcgan.py --quick

Radford, Metz and Chintala, Unsupervised representation learning with deep convolutional generative
adversarial networks, https://arxiv.org/abs/1511.06434
"""

import shared

import keraslike as keras
from keraslike import layers, ops


class GAN(keras.Model):
    """Trains the discriminator on real and drawn pictures, then the generator against it."""

    def __init__(self, discriminator, generator, code_size, **kwargs):
        super().__init__(**kwargs)
        self.discriminator, self.generator = discriminator, generator
        self.code_size = code_size
        self.seed_generator = keras.random.SeedGenerator()
        self.d_loss, self.g_loss = (keras.metrics.Mean(name=n) for n in ("d_loss", "g_loss"))

    def compile(self, d_optimizer, g_optimizer, loss):
        super().compile()
        self.d_optimizer, self.g_optimizer, self.loss_fn = d_optimizer, g_optimizer, loss

    @property
    def metrics(self):
        return [self.d_loss, self.g_loss]

    def draw(self, n):
        codes = keras.random.normal((n, self.code_size), seed=self.seed_generator)
        return self.generator(codes, training=True)

    def train_step(self, real):
        n = ops.shape(real)[0]
        pictures = ops.concatenate([self.draw(n), real])
        labels = ops.concatenate([ops.zeros((n, 1)), ops.ones((n, 1))])
        # Labels that are not quite sure keep the discriminator from being so.
        unsure = labels + 0.05 * keras.random.uniform((2 * n, 1), seed=self.seed_generator)
        loss, grads = keras.value_and_grad(
            lambda judge: self.loss_fn(unsure, judge(pictures, training=True))
        )(self.discriminator)
        self.d_optimizer.apply(grads, self.discriminator.trainable_variables)
        self.d_loss.update_state(loss)

        codes = keras.random.normal((n, self.code_size), seed=self.seed_generator)
        loss, grads = keras.value_and_grad(
            lambda generator: self.loss_fn(
                ops.ones((n, 1)), self.discriminator(generator(codes, training=True))
            )
        )(self.generator)
        self.g_optimizer.apply(grads, self.generator.trainable_variables)
        self.g_loss.update_state(loss)
        return {metric.name: metric.result() for metric in self.metrics}


def build(width, code_size):
    discriminator = keras.Sequential([keras.Input((28, 28, 1))])
    for filters in (width, 2 * width):
        discriminator.add(layers.Conv2D(filters, 4, strides=2, padding="same"))
        discriminator.add(layers.LeakyReLU(0.2))
    discriminator.add(layers.Flatten())
    discriminator.add(layers.Dropout(0.2))
    discriminator.add(layers.Dense(1))

    generator = keras.Sequential([keras.Input((code_size,))])
    generator.add(layers.Dense(7 * 7 * 2 * width))
    generator.add(layers.Reshape((7, 7, 2 * width)))
    for filters in (2 * width, width):
        generator.add(layers.Conv2DTranspose(filters, 4, strides=2, padding="same"))
        generator.add(layers.LeakyReLU(0.2))
    generator.add(layers.Conv2D(1, 5, padding="same", activation="sigmoid"))
    return GAN(discriminator, generator, code_size)


def main(quick=False, epochs=None):
    if quick:
        x = shared.pictures(128, (28, 28), 10)[0]
    else:
        x = keras.datasets.fashion_mnist.load_data()[0][0]
    x = x[..., None].astype("float32") / 255
    gan = build(*((4, 8) if quick else (64, 128)))
    gan.compile(
        d_optimizer=keras.optimizers.Adam(1e-3 if quick else 1e-4),
        g_optimizer=keras.optimizers.Adam(1e-3 if quick else 1e-4),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
    )
    history = gan.fit(
        x, batch_size=32 if quick else 64, epochs=epochs or (3 if quick else 100), verbose=2
    )
    return {**history.history, "drawn": keras.ops.convert_to_numpy(gan.draw(4))}


if __name__ == "__main__":
    main(**shared.options(__doc__))
