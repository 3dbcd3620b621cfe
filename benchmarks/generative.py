"""A variational autoencoder and a DCGAN with training steps of their own, sized as in Keras.

The steps are written with a tape, as for TensorFlow, and for Keras on JAX as its guide has them.
There a step is a function of the model's state, which holds one optimizer: it has no form of the
DCGAN.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def _tensorflow(k: Any) -> Any:
    if k.__name__ == "keraslike":
        from keraslike import tf

        return tf
    if k.backend.backend() != "tensorflow":
        return None
    import tensorflow

    return tensorflow


def vae(k: Any, latent: int = 2) -> Any:
    layers, ops, tf = k.layers, k.ops, _tensorflow(k)
    encoder = k.Sequential(
        [
            k.Input((28, 28, 1)),
            layers.Conv2D(32, 3, 2, padding="same", activation="relu"),
            layers.Conv2D(64, 3, 2, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
            layers.Dense(2 * latent),
        ]
    )
    decoder = k.Sequential(
        [
            k.Input((latent,)),
            layers.Dense(7 * 7 * 64, activation="relu"),
            layers.Reshape((7, 7, 64)),
            layers.Conv2DTranspose(64, 3, 2, padding="same", activation="relu"),
            layers.Conv2DTranspose(32, 3, 2, padding="same", activation="relu"),
            layers.Conv2DTranspose(1, 3, padding="same"),
        ]
    )

    class Model(k.Model):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.decoder = encoder, decoder
            self.seeds = k.random.SeedGenerator(0)
            self.mean_loss = k.metrics.Mean(name="loss")

        @property
        def metrics(self) -> list[Any]:
            return [self.mean_loss]

        def call(self, x: Any) -> Any:
            mean, log_variance = ops.split(self.encoder(x), 2, -1)
            noise = k.random.normal(ops.shape(mean), seed=self.seeds)
            return mean, log_variance, self.decoder(mean + ops.exp(0.5 * log_variance) * noise)

        def total(self, x: Any, out: Any) -> Any:
            mean, log_variance, logits = out
            pixels = k.losses.BinaryCrossentropy(from_logits=True, reduction="sum")(x, logits)
            kl = -0.5 * ops.sum(1 + log_variance - ops.square(mean) - ops.exp(log_variance))
            return (pixels + kl) / ops.shape(x)[0]

    class Taped(Model):
        def train_step(self, data: Any) -> Any:
            x, _ = data
            with tf.GradientTape() as tape:
                loss = self.total(x, self(x))
            gradients = tape.gradient(loss, self.trainable_weights)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_weights))
            self.mean_loss.update_state(loss)
            return {"loss": self.mean_loss.result()}

    class Stateless(Model):
        def total_and_state(self, trained: Any, others: Any, x: Any) -> Any:
            out, others = self.stateless_call(trained, others, x)
            return self.total(x, out), others

        def train_step(self, state: Any, data: Any) -> Any:
            import jax

            x, _ = data
            trained, others, optimizer, metrics = state
            differentiated = jax.value_and_grad(self.total_and_state, has_aux=True)
            (loss, others), gradients = differentiated(trained, others, x)
            trained, optimizer = self.optimizer.stateless_apply(optimizer, gradients, trained)
            metrics = self.mean_loss.stateless_update_state(metrics, loss)
            logs = {"loss": self.mean_loss.stateless_result(metrics)}
            return logs, (trained, others, optimizer, metrics)

    model = (Taped if tf else Stateless)()
    model(np.zeros((1, 28, 28, 1), "float32"))
    return model


def dcgan(k: Any, latent: int = 128, width: int = 64) -> Any:
    layers, ops, tf = k.layers, k.ops, _tensorflow(k)
    if tf is None:
        return None
    convolutions = [
        layer
        for filters in (width, 2 * width, 2 * width)
        for layer in (layers.Conv2D(filters, 4, 2, padding="same"), layers.LeakyReLU(0.2))
    ]
    judge = [layers.Flatten(), layers.Dropout(0.2), layers.Dense(1)]
    discriminator = k.Sequential([k.Input((64, 64, 3)), *convolutions, *judge])
    growing = [
        layer
        for filters in (2 * width, 4 * width, 8 * width)
        for layer in (layers.Conv2DTranspose(filters, 4, 2, padding="same"), layers.LeakyReLU(0.2))
    ]
    begin = [layers.Dense(8 * 8 * 128), layers.Reshape((8, 8, 128))]
    last = layers.Conv2D(3, 5, padding="same", activation="sigmoid")
    generator = k.Sequential([k.Input((latent,)), *begin, *growing, last])

    class GAN(k.Model):
        def __init__(self) -> None:
            super().__init__()
            self.discriminator, self.generator = discriminator, generator
            self.seeds = k.random.SeedGenerator(0)
            self.judged = k.metrics.Mean(name="d_loss")
            self.made = k.metrics.Mean(name="g_loss")

        def compile(self, optimizer: str) -> None:
            super().compile()
            self.d_optimizer = k.optimizers.get(optimizer)
            self.g_optimizer = k.optimizers.get(optimizer)
            self.loss_of = k.losses.BinaryCrossentropy(from_logits=True)

        @property
        def metrics(self) -> list[Any]:
            return [self.judged, self.made]

        def train_step(self, data: Any) -> Any:
            real, _ = data
            n = ops.shape(real)[0]
            noise = k.random.normal((n, latent), seed=self.seeds)
            images = ops.concatenate([self.generator(noise), real], 0)
            labels = ops.concatenate([ops.ones((n, 1)), ops.zeros((n, 1))], 0)
            with tf.GradientTape() as tape:
                d_loss = self.loss_of(labels, self.discriminator(images, training=True))
            weights = self.discriminator.trainable_weights
            self.d_optimizer.apply_gradients(zip(tape.gradient(d_loss, weights), weights))
            noise = k.random.normal((n, latent), seed=self.seeds)
            with tf.GradientTape() as tape:
                fake = self.generator(noise, training=True)
                g_loss = self.loss_of(ops.zeros((n, 1)), self.discriminator(fake))
            weights = self.generator.trainable_weights
            self.g_optimizer.apply_gradients(zip(tape.gradient(g_loss, weights), weights))
            self.judged.update_state(d_loss)
            self.made.update_state(g_loss)
            return {"d_loss": self.judged.result(), "g_loss": self.made.result()}

    return GAN()
