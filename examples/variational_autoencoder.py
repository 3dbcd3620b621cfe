"""A variational autoencoder with a custom training step draws digits.

    python examples/variational_autoencoder.py  # MNIST, downloaded once
    python examples/variational_autoencoder.py --quick

Kingma and Welling, Auto-encoding variational Bayes, https://arxiv.org/abs/1312.6114
"""

import numpy as np
import shared

import keraslike as keras
from keraslike import layers, ops


class Sampling(layers.Layer):
    """A draw from the normal distribution with the given mean and logarithm of the variance."""

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs):
        mean, log_variance = inputs
        noise = keras.random.normal(ops.shape(mean), seed=self.seed_generator)
        return mean + ops.exp(0.5 * log_variance) * noise


class VAE(keras.Model):
    """An encoder that gives a distribution of codes, a decoder, and the loss of both."""

    def __init__(self, encoder, decoder, **kwargs):
        super().__init__(**kwargs)
        self.encoder, self.decoder = encoder, decoder
        self.trackers = [keras.metrics.Mean(name=name) for name in ("loss", "drawing", "kl")]

    @property
    def metrics(self):
        return self.trackers

    def losses_of(self, x):
        mean, log_variance, z = self.encoder(x)
        error = keras.losses.binary_crossentropy(x, self.decoder(z))
        drawing = ops.mean(ops.sum(error, axis=(1, 2)))
        kl = -0.5 * (1 + log_variance - ops.square(mean) - ops.exp(log_variance))
        kl = ops.mean(ops.sum(kl, axis=1))
        return drawing + kl, (drawing, kl)

    def train_step(self, x):
        (total, parts), grads = keras.value_and_grad(
            lambda model: model.losses_of(x), has_aux=True
        )(self)
        self.optimizer.apply(grads, self.trainable_variables)
        for tracker, value in zip(self.trackers, (total, *parts)):
            tracker.update_state(value)
        return {tracker.name: tracker.result() for tracker in self.trackers}


def build(width):
    x = pictures = keras.Input((28, 28, 1))
    for filters in (width, 2 * width):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Dense(16, activation="relu")(layers.Flatten()(x))
    mean, log_variance = layers.Dense(2)(x), layers.Dense(2)(x)
    encoder = keras.Model(pictures, [mean, log_variance, Sampling()([mean, log_variance])])

    z = keras.Input((2,))
    y = layers.Reshape((7, 7, 2 * width))(layers.Dense(98 * width, activation="relu")(z))
    for filters in (2 * width, width):
        y = layers.Conv2DTranspose(filters, 3, strides=2, padding="same", activation="relu")(y)
    y = layers.Conv2DTranspose(1, 3, padding="same", activation="sigmoid")(y)
    return VAE(encoder, keras.Model(z, y))


def main(quick=False, epochs=None):
    if quick:
        x = shared.pictures(256, (28, 28), 10)[0]
    else:
        x = np.concatenate([x for x, _ in keras.datasets.mnist.load_data()])
    x = x[..., None].astype("float32") / 255
    vae = build(4 if quick else 32)
    vae.compile(keras.optimizers.Adam(0.003 if quick else 0.001))
    history = vae.fit(
        x, batch_size=32 if quick else 128, epochs=epochs or (4 if quick else 30), verbose=2
    )
    drawn = vae.decoder.predict(np.random.default_rng(0).normal(size=(4, 2)), verbose=0)
    return {**history.history, "drawn": drawn}


if __name__ == "__main__":
    main(**shared.options(__doc__))
