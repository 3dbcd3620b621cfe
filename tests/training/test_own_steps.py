"""Models of which only the steps are written: GANs, autoencoders, contrastive and diffusion models,
as their authors write them for Keras, with tapes and without."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import keraslike as keras
import keraslike.tf as tf
from keraslike import layers, ops

pytestmark = pytest.mark.slow

X = np.random.default_rng(0).normal(size=(48, 6)).astype("float32")
LABELS = np.arange(48, dtype="int32") % 3


@keras.saving.register_keras_serializable(package="own_steps")
class Sampling(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(1337)

    def call(self, inputs):
        z_mean, z_log_var = inputs
        batch, dim = ops.shape(z_mean)[0], ops.shape(z_mean)[1]
        epsilon = keras.random.normal(shape=(batch, dim), seed=self.seed_generator)
        return z_mean + ops.exp(0.5 * z_log_var) * epsilon


def stack(units, inputs=6, built=True):
    """Two dense layers, whose weights are the same whenever they are made."""
    first, second = (keras.initializers.GlorotUniform(seed) for seed in (inputs, units))
    return keras.Sequential(
        [
            *([layers.Input((inputs,))] if built else []),
            layers.Dense(8, activation="relu", kernel_initializer=first),
            layers.Dense(units, kernel_initializer=second),
        ]
    )


# -- a GAN --------------------------------------------------------------------------------------


class GAN(keras.Model):
    """The GAN of Keras's guide."""

    def __init__(self, discriminator, generator, latent_dim):
        super().__init__()
        self.discriminator = discriminator
        self.generator = generator
        self.latent_dim = latent_dim
        self.seed_generator = keras.random.SeedGenerator(1337)

    def compile(self, d_optimizer, g_optimizer, loss_fn):
        super().compile()
        self.d_optimizer = d_optimizer
        self.g_optimizer = g_optimizer
        self.loss_fn = loss_fn
        self.d_loss_tracker = keras.metrics.Mean(name="d_loss")
        self.g_loss_tracker = keras.metrics.Mean(name="g_loss")

    @property
    def metrics(self):
        return [self.d_loss_tracker, self.g_loss_tracker]

    def latent(self, batch_size):
        return keras.random.normal((batch_size, self.latent_dim), seed=self.seed_generator)


@keras.saving.register_keras_serializable(package="own_steps")
class TapeGAN(GAN):
    def train_step(self, real):
        batch_size = tf.shape(real)[0]
        generated = self.generator(self.latent(batch_size))
        combined = tf.concat([generated, tf.convert_to_tensor(real)], axis=0)
        labels = tf.concat([tf.ones((batch_size, 1)), tf.zeros((batch_size, 1))], axis=0)
        labels *= 0.9
        with tf.GradientTape() as tape:
            predictions = self.discriminator(combined)
            d_loss = self.loss_fn(labels, predictions)
        grads = tape.gradient(d_loss, self.discriminator.trainable_weights)
        self.d_optimizer.apply_gradients(zip(grads, self.discriminator.trainable_weights))

        misleading_labels = tf.zeros((batch_size, 1))
        latent = self.latent(batch_size)
        with tf.GradientTape() as tape:
            predictions = self.discriminator(self.generator(latent))
            g_loss = self.loss_fn(misleading_labels, predictions)
        grads = tape.gradient(g_loss, self.generator.trainable_weights)
        self.g_optimizer.apply_gradients(zip(grads, self.generator.trainable_weights))

        self.d_loss_tracker.update_state(d_loss)
        self.g_loss_tracker.update_state(g_loss)
        return {"d_loss": self.d_loss_tracker.result(), "g_loss": self.g_loss_tracker.result()}


@keras.saving.register_keras_serializable(package="own_steps")
class PlainGAN(GAN):
    def train_step(self, real):
        n = real.shape[0]
        combined = ops.concatenate([self.generator(self.latent(n)), real])
        labels = 0.9 * ops.concatenate([ops.ones((n, 1)), ops.zeros((n, 1))])
        d_loss, grads = keras.value_and_grad(lambda d: self.loss_fn(labels, d(combined)))(
            self.discriminator
        )
        self.d_optimizer.apply(grads, self.discriminator.trainable_variables)
        noise = self.latent(n)
        g_loss, grads = keras.value_and_grad(
            lambda g: self.loss_fn(ops.zeros((n, 1)), self.discriminator(g(noise)))
        )(self.generator)
        self.g_optimizer.apply(grads, self.generator.trainable_variables)
        self.d_loss_tracker.update_state(d_loss)
        self.g_loss_tracker.update_state(g_loss)
        return {m.name: m.result() for m in self.metrics}


def make_gan(kind, built=True):
    keras.utils.set_random_seed(0)
    gan = kind(stack(1, 6, built), stack(6, 2, built), latent_dim=2)
    compile_gan(gan)
    return gan


def compile_gan(gan):
    gan.compile(
        d_optimizer=keras.optimizers.Adam(0.01),
        g_optimizer=keras.optimizers.Adam(0.01),
        loss_fn=keras.losses.BinaryCrossentropy(from_logits=True),
    )


def trained(gan, epochs=3):
    return gan.fit(X + 3.0, epochs=epochs, batch_size=24, shuffle=False, verbose=0).history


@pytest.fixture(scope="module")
def plain_gan():
    gan = make_gan(PlainGAN)
    before = gan.discriminator.get_weights(), gan.generator.get_weights()
    history = trained(gan)
    return gan, before, history


def test_a_gan_trains_both_of_its_models(plain_gan):
    gan, before, history = plain_gan
    assert list(history) == ["d_loss", "g_loss"] and len(history["d_loss"]) == 3
    for old, model in zip(before, (gan.discriminator, gan.generator)):
        assert all((a != b).any() for a, b in zip(old, model.get_weights()))
    assert int(gan.d_optimizer.iterations) == int(gan.g_optimizer.iterations) == 6
    # Optimizers and metrics are not the model's state, and compile()'s own optimizer has none.
    assert len(gan.variables) == 8 + 1 and not gan.optimizer.built


@pytest.mark.parametrize("kind, built", [(TapeGAN, True), (PlainGAN, False)])
def test_with_a_tape_and_with_layers_that_a_step_is_the_first_to_call(plain_gan, kind, built):
    gan, _, history = plain_gan
    other = make_gan(kind, built)
    losses = trained(other)
    for name in ("d_loss", "g_loss"):
        np.testing.assert_allclose(losses[name], history[name], rtol=1e-4)
    for a, b in zip(gan.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_a_gan_in_a_file_is_loaded_with_its_weights_and_a_word_about_compile(plain_gan, tmp_path):
    gan = plain_gan[0]
    gan.save(tmp_path / "gan.keras")
    with pytest.warns(UserWarning) as warned:
        loaded = keras.saving.load_model(tmp_path / "gan.keras")
    assert any("`compile()` method is custom" in str(w.message) for w in warned)
    for a, b in zip(gan.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not loaded.compiled
    compile_gan(loaded)
    trained(loaded, epochs=1)


def test_optimizers_of_ones_own_are_saved_with_the_weights(plain_gan, tmp_path):
    gan = plain_gan[0]
    gan.save_weights(tmp_path / "gan.weights.h5")
    built, unbuilt = make_gan(PlainGAN), make_gan(PlainGAN)
    built.d_optimizer.build(built.discriminator.trainable_variables)
    built.g_optimizer.build(built.generator.trainable_variables)
    built.load_weights(tmp_path / "gan.weights.h5")
    for name in ("d_optimizer", "g_optimizer"):
        pairs = zip(getattr(gan, name).variables, getattr(built, name).variables, strict=True)
        assert all(np.array_equal(a.value, b.value) for a, b in pairs)
    # What an optimizer trains that has made no step is not known: it begins afresh.
    with pytest.warns(UserWarning, match="starts afresh"):
        unbuilt.load_weights(tmp_path / "gan.weights.h5")
    assert not unbuilt.d_optimizer.built
    for a, b in zip(gan.get_weights(), unbuilt.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_gan_that_was_stopped_goes_on_as_if_it_was_not(tmp_path):
    class Stops(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise RuntimeError("stopped")

    def train(*callbacks):
        gan = make_gan(PlainGAN)
        saves = keras.callbacks.BackupAndRestore(tmp_path)
        history = gan.fit(X, epochs=3, verbose=0, callbacks=[saves, *callbacks]).history
        return [*history.values(), gan.get_weights()]

    expected = train()
    with pytest.raises(RuntimeError, match="stopped"):
        train(Stops())
    jax.tree.map(np.testing.assert_array_equal, train(), expected)


# -- a variational autoencoder ------------------------------------------------------------------


class VAE(keras.Model):
    def __init__(self, encoder, decoder, **kwargs):
        super().__init__(**kwargs)
        self.encoder = encoder
        self.decoder = decoder
        self.total_loss_tracker = keras.metrics.Mean(name="total_loss")
        self.reconstruction_loss_tracker = keras.metrics.Mean(name="reconstruction_loss")
        self.kl_loss_tracker = keras.metrics.Mean(name="kl_loss")

    @property
    def metrics(self):
        return [self.total_loss_tracker, self.reconstruction_loss_tracker, self.kl_loss_tracker]

    def losses_of(self, data):
        z_mean, z_log_var, z = self.encoder(data)
        reconstruction = self.decoder(z)
        reconstruction_loss = ops.mean(ops.sum((data - reconstruction) ** 2, axis=1))
        kl_loss = -0.5 * (1 + z_log_var - ops.square(z_mean) - ops.exp(z_log_var))
        kl_loss = ops.mean(ops.sum(kl_loss, axis=1))
        return reconstruction_loss + kl_loss, reconstruction_loss, kl_loss

    def report(self, total_loss, reconstruction_loss, kl_loss):
        self.total_loss_tracker.update_state(total_loss)
        self.reconstruction_loss_tracker.update_state(reconstruction_loss)
        self.kl_loss_tracker.update_state(kl_loss)
        return {
            "loss": self.total_loss_tracker.result(),
            "reconstruction_loss": self.reconstruction_loss_tracker.result(),
            "kl_loss": self.kl_loss_tracker.result(),
        }

    def test_step(self, data):
        return self.report(*self.losses_of(data))


class TapeVAE(VAE):
    def train_step(self, data):
        with tf.GradientTape() as tape:
            z_mean, z_log_var, z = self.encoder(data)
            reconstruction = self.decoder(z)
            reconstruction_loss = tf.reduce_mean(
                tf.reduce_sum(keras.losses.mean_squared_error(data, reconstruction)[:, None], 1)
            )
            kl_loss = -0.5 * (1 + z_log_var - tf.square(z_mean) - tf.exp(z_log_var))
            kl_loss = tf.reduce_mean(tf.reduce_sum(kl_loss, axis=1))
            total_loss = reconstruction_loss + kl_loss
        grads = tape.gradient(total_loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(grads, self.trainable_weights))
        return self.report(total_loss, reconstruction_loss, kl_loss)


class PlainVAE(VAE):
    def train_step(self, data):
        def loss_of(model):
            total, *parts = model.losses_of(data)
            return total, parts

        (loss, parts), grads = keras.value_and_grad(loss_of, has_aux=True)(self)
        self.optimizer.apply(grads, self.trainable_variables)
        return self.report(loss, *parts)


def make_vae(kind):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    x = layers.Dense(8, activation="relu")(inputs)
    z_mean, z_log_var = layers.Dense(2)(x), layers.Dense(2)(x)
    encoder = keras.Model(inputs, [z_mean, z_log_var, Sampling()([z_mean, z_log_var])])
    vae = kind(encoder, stack(6, inputs=2))
    vae.compile(optimizer=keras.optimizers.Adam(0.02))
    return vae


@pytest.mark.parametrize("kind", [TapeVAE, PlainVAE])
def test_a_variational_autoencoder_trains_and_is_evaluated(kind):
    vae = make_vae(kind)
    before = vae.get_weights()
    history = vae.fit(X, epochs=8, batch_size=16, verbose=0, validation_data=(X,)).history
    assert set(history) == {
        prefix + name
        for prefix in ("", "val_")
        for name in ("loss", "reconstruction_loss", "kl_loss")
    }
    assert history["loss"][-1] < history["loss"][0]
    assert history["val_loss"][-1] < history["val_loss"][0]
    assert all((a != b).any() for a, b in zip(before, vae.get_weights()))
    assert vae.evaluate(X, verbose=0, return_dict=True).keys() == {
        "loss", "reconstruction_loss", "kl_loss"
    }  # fmt: skip
    with pytest.raises(NotImplementedError, match="does not have a `call`"):
        vae.predict(X, verbose=0)


def test_a_step_sees_random_numbers_anew_each_time():
    vae = make_vae(PlainVAE)
    vae.compile(optimizer=keras.optimizers.SGD(0.0))
    losses = vae.fit(X, epochs=4, batch_size=48, shuffle=False, verbose=0).history["loss"]
    assert len(set(losses)) == 4


# -- a contrastive model ------------------------------------------------------------------------


class Contrastive(keras.Model):
    """SimCLR with a linear probe, on pairs of an unlabeled and a labeled batch."""

    def __init__(self):
        super().__init__()
        self.temperature = 0.1
        self.augmenter = keras.Sequential([layers.Input((6,)), layers.GaussianNoise(0.1, seed=1)])
        self.encoder = stack(4)
        self.projection_head = stack(4, inputs=4)
        self.linear_probe = keras.Sequential([layers.Input((4,)), layers.Dense(3)])

    def compile(self, contrastive_optimizer, probe_optimizer, **kwargs):
        super().compile(**kwargs)
        self.contrastive_optimizer = contrastive_optimizer
        self.probe_optimizer = probe_optimizer
        self.probe_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.contrastive_loss_tracker = keras.metrics.Mean(name="c_loss")
        self.contrastive_accuracy = keras.metrics.SparseCategoricalAccuracy(name="c_acc")
        self.probe_loss_tracker = keras.metrics.Mean(name="p_loss")
        self.probe_accuracy = keras.metrics.SparseCategoricalAccuracy(name="p_acc")

    @property
    def metrics(self):
        return [
            self.contrastive_loss_tracker,
            self.contrastive_accuracy,
            self.probe_loss_tracker,
            self.probe_accuracy,
        ]

    def train_step(self, data):
        (unlabeled, _), (labeled, labels) = data
        images = tf.concat([tf.convert_to_tensor(unlabeled), tf.convert_to_tensor(labeled)], axis=0)
        first = self.augmenter(images, training=True)
        second = self.augmenter(images, training=True)
        with tf.GradientTape() as tape:
            one = self.projection_head(self.encoder(first, training=True), training=True)
            two = self.projection_head(self.encoder(second, training=True), training=True)
            loss = self.contrastive_loss(one, two)
        sources = self.encoder.trainable_weights + self.projection_head.trainable_weights
        gradients = tape.gradient(loss, sources)
        self.contrastive_optimizer.apply_gradients(zip(gradients, sources))
        self.contrastive_loss_tracker.update_state(loss)
        with tf.GradientTape() as tape:
            features = self.encoder(tf.convert_to_tensor(labeled), training=False)
            class_logits = self.linear_probe(features, training=True)
            probe_loss = self.probe_loss(labels, class_logits)
        gradients = tape.gradient(probe_loss, self.linear_probe.trainable_weights)
        self.probe_optimizer.apply_gradients(zip(gradients, self.linear_probe.trainable_weights))
        self.probe_loss_tracker.update_state(probe_loss)
        self.probe_accuracy.update_state(labels, class_logits)
        return {m.name: m.result() for m in self.metrics}

    def contrastive_loss(self, one, two):
        one, two = tf.math.l2_normalize(one, axis=1), tf.math.l2_normalize(two, axis=1)
        similarities = tf.matmul(one, two, transpose_b=True) / self.temperature
        labels = tf.range(tf.shape(one)[0])
        self.contrastive_accuracy.update_state(labels, similarities)
        self.contrastive_accuracy.update_state(labels, tf.transpose(similarities))
        loss = keras.losses.sparse_categorical_crossentropy(labels, similarities, from_logits=True)
        other = keras.losses.sparse_categorical_crossentropy(
            labels, tf.transpose(similarities), from_logits=True
        )
        return (tf.reduce_mean(loss) + tf.reduce_mean(other)) / 2

    def test_step(self, data):
        images, labels = data
        logits = self.linear_probe(self.encoder(images, training=False), training=False)
        self.probe_loss_tracker.update_state(self.probe_loss(labels, logits))
        self.probe_accuracy.update_state(labels, logits)
        return {m.name: m.result() for m in self.metrics[2:]}


def pairs():
    for i in range(0, 48, 12):
        rows = slice(i, i + 12)
        yield (X[rows], LABELS[rows]), (X[rows] + 1.0, LABELS[rows])


class Pairs:
    def __iter__(self):
        return pairs()


def test_a_contrastive_model_trains_on_pairs_of_batches():
    keras.utils.set_random_seed(0)
    model = Contrastive()
    model.compile(keras.optimizers.Adam(0.01), keras.optimizers.Adam(0.01))
    history = model.fit(Pairs(), epochs=4, validation_data=(X, LABELS), verbose=0).history
    assert list(history) == ["c_acc", "c_loss", "p_acc", "p_loss", "val_p_acc", "val_p_loss"]
    assert history["c_loss"][-1] < history["c_loss"][0]
    assert history["p_loss"][-1] < history["p_loss"][0]
    assert model.evaluate(X, LABELS, verbose=0) == pytest.approx(
        [history["val_p_loss"][-1], history["val_p_acc"][-1]], rel=1e-5
    )


# -- a diffusion model, whose call does not fit the data ----------------------------------------


class Diffusion(keras.Model):
    def __init__(self):
        super().__init__()
        self.network = stack(6, inputs=7)
        self.ema_network = keras.models.clone_model(self.network)
        self.ema_network.set_weights(self.network.get_weights())
        self.noise_loss_tracker = keras.metrics.Mean(name="n_loss")

    @property
    def metrics(self):
        return [self.noise_loss_tracker]

    def call(self, noisy, rates, training=False):
        network = self.network if training else self.ema_network
        return network(ops.concatenate([noisy, rates], axis=-1), training=training)

    def noisy(self, images):
        noises = keras.random.normal(images.shape)
        rates = keras.random.uniform((images.shape[0], 1))
        return (1 - rates) * images + rates * noises, rates, noises

    def train_step(self, images):
        noisy, rates, noises = self.noisy(images)

        def loss_of(model):
            return ops.mean((model(noisy, rates, training=True) - noises) ** 2)

        loss, gradients = keras.value_and_grad(loss_of)(self)
        weights = self.network.trainable_weights
        count = len(weights)
        self.optimizer.apply_gradients(zip(gradients[:count], weights))
        self.noise_loss_tracker.update_state(loss)
        for weight, average in zip(self.network.weights, self.ema_network.weights):
            average.assign(0.9 * average + 0.1 * weight)
        return {m.name: m.result() for m in self.metrics}

    def test_step(self, images):
        noisy, rates, noises = self.noisy(images)
        loss = ops.mean((self(noisy, rates, training=False) - noises) ** 2)
        self.noise_loss_tracker.update_state(loss)
        return {m.name: m.result() for m in self.metrics}

    def predict_step(self, images):
        return self(images, ops.zeros((images.shape[0], 1)))


@pytest.mark.parametrize("eager", [False, True])
def test_a_model_whose_call_does_not_fit_the_data_trains_by_its_own_steps(eager):
    keras.utils.set_random_seed(0)
    model = Diffusion()
    model.compile(optimizer=keras.optimizers.Adam(0.01), run_eagerly=eager)
    before = model.ema_network.get_weights()
    history = model.fit(X, epochs=3, batch_size=16, verbose=0, validation_data=(X,)).history
    assert list(history) == ["n_loss", "val_n_loss"]
    assert history["n_loss"][-1] < history["n_loss"][0]
    assert all((a != b).any() for a, b in zip(before, model.ema_network.get_weights()))
    assert model.predict(X, verbose=0).shape == (48, 6)


# -- what a step is given -----------------------------------------------------------------------


class Sees(keras.Model):
    """Keeps the structure of what its steps are given."""

    def __init__(self):
        super().__init__()
        self.seen = None

    def note(self, data):
        self.seen = jax.tree.map(lambda a: None, data, is_leaf=lambda a: hasattr(a, "shape"))
        return {"sum": sum(jnp.sum(a) for a in jax.tree.leaves(data))}

    def train_step(self, data):
        return self.note(data)

    def test_step(self, data):
        return self.note(data)

    def predict_step(self, data):
        self.note(data)
        return jax.tree.leaves(data)[0]


Y = X[:, :1]
W = np.ones(48, "float32")


@pytest.mark.parametrize(
    "arguments, structure",
    [
        ({"x": X}, None),
        ({"x": [X]}, ((None,),)),
        ({"x": {"a": X}}, {"a": None}),
        ({"x": [X, Y]}, ((None, None),)),  # as in Keras on TensorFlow
        ({"x": X, "y": Y}, (None, None)),
        ({"x": X, "y": [Y, Y]}, (None, (None, None))),
        ({"x": X, "y": Y, "sample_weight": W}, (None, None, None)),
        ({"x": X, "y": LABELS, "class_weight": {0: 2.0}}, (None, None, None)),
        ({"x": [(X, Y)]}, (None, None)),
        ({"x": [(X,)]}, (None,)),
        ({"x": [X]}, None),
        ({"x": [{"image": X, "label": LABELS}]}, {"image": None, "label": None}),
        ({"x": [[X, Y]]}, (None, None)),
        ({"x": [((X, Y), (X, Y))]}, ((None, None), (None, None))),
        ({"x": [(X, Y, W, X)]}, (None, None, None, None)),
    ],
)
def test_a_step_is_given_what_the_data_gives(arguments, structure):
    model = Sees()
    model.compile()
    batches = arguments["x"]
    stream = isinstance(batches, list) and structure != ((None,),) and len(batches) == 1
    if stream:
        arguments = {**arguments, "x": type("Loader", (), {"__iter__": lambda _: iter(batches)})()}
    model.fit(**arguments, verbose=0)
    assert model.seen == structure
    arguments.pop("class_weight", None)
    if "sample_weight" not in arguments and structure != (None, None, None):
        model.seen = 0
        model.evaluate(**arguments, verbose=0)
        assert model.seen == structure
    if len(arguments) == 1:
        model.seen = 0
        model.predict(**arguments, verbose=0)
        assert model.seen == structure


# -- signatures ---------------------------------------------------------------------------------


def functional(cls):
    inputs = keras.Input((6,))
    return cls(inputs, layers.Dense(1, kernel_initializer="ones")(inputs))


def loss_without_training(self, x=None, y=None, y_pred=None, sample_weight=None):
    return keras.Model.compute_loss(self, x, y, y_pred, sample_weight)


def loss_with_kwargs(self, x, y, y_pred, sample_weight, **kwargs):
    return keras.Model.compute_loss(self, x, y, y_pred, sample_weight, **kwargs)


def loss_with_training(self, x, y, y_pred, sample_weight=None, training=True):
    return keras.Model.compute_loss(self, x, y, y_pred, sample_weight, training=training)


def loss_with_anything(self, *args, **kwargs):
    return keras.Model.compute_loss(self, *args, **kwargs)


def metrics_of_four(self, x, y, y_pred, sample_weight):
    return keras.Model.compute_metrics(self, x, y, y_pred, sample_weight)


def metrics_with_anything(self, *args, **kwargs):
    return keras.Model.compute_metrics(self, *args, **kwargs)


def step_with_kwargs(mode):
    def step(self, data, **kwargs):
        return getattr(keras.Model, f"{mode}_step")(self, data, **kwargs)

    return step


def step_with_anything(mode):
    def step(self, *args, **kwargs):
        return getattr(keras.Model, f"{mode}_step")(self, *args, **kwargs)

    return step


def step_with_defaults(mode):
    def step(self, data, training=True, scale=1.0):
        return getattr(keras.Model, f"{mode}_step")(self, data)

    return step


def stateless_step(mode):
    def step(self, state, data):
        return getattr(keras.Model, f"{mode}_step")(self, state, data)

    return step


@pytest.mark.parametrize(
    "method, function",
    [
        *[("compute_loss", f) for f in (
            loss_without_training, loss_with_kwargs, loss_with_training, loss_with_anything,
        )],
        *[("compute_metrics", f) for f in (metrics_of_four, metrics_with_anything)],
        *[("step", f) for f in (
            step_with_kwargs, step_with_anything, step_with_defaults, stateless_step,
        )],
    ],
)  # fmt: skip
def test_every_signature_that_keras_accepts_gives_the_same_training(method, function):
    if method == "step":
        methods = {f"{mode}_step": function(mode) for mode in ("train", "test", "predict")}
    else:
        methods = {method: function}

    def results(methods):
        model = functional(type("Own", (keras.Model,), methods))
        model.compile("sgd", "mse", metrics=["mae"])
        history = model.fit(X, Y, epochs=2, shuffle=False, verbose=0).history
        evaluated = model.evaluate(X, Y, verbose=0, sample_weight=W)
        return history, evaluated, model.predict(X, verbose=0)

    expected, given = results({}), results(methods)
    assert list(expected[0]) == list(given[0]) == ["loss", "mae"]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), expected, given)


def test_a_step_in_the_stateless_form_may_add_to_what_super_returns():
    class Own(keras.Model):
        def train_step(self, state, data):
            logs, state = super().train_step(state, data)
            return {**logs, "twice": 2 * logs["loss"]}, state

    model = functional(Own)
    model.compile("adam", "mse")
    history = model.fit(X, Y, epochs=2, verbose=0).history
    np.testing.assert_allclose(history["twice"], 2 * np.array(history["loss"]))
    assert history["loss"][1] < history["loss"][0] and int(model.optimizer.iterations) == 4


def test_a_step_that_hands_on_its_arguments_is_in_the_stateless_form():
    class Own(keras.Model):
        def step(self, state, data):
            return super().train_step(state, data)

        def train_step(self, *args, **kwargs):
            return self.step(*args, **kwargs)

    model = functional(Own)
    model.compile("adam", "mse")
    loss = model.fit(X, Y, epochs=2, verbose=0).history["loss"]
    assert loss[1] < loss[0]


def test_a_model_without_an_optimizer_cannot_train():
    model = functional(keras.Model)
    model.compile(optimizer=None, loss="mse")
    with pytest.raises(ValueError, match="without an optimizer"):
        model.fit(X, Y, verbose=0)
    assert np.isfinite(model.evaluate(X, Y, verbose=0))


# -- state that no object of the model's holds ----------------------------------------------------


def test_a_variable_that_only_a_loss_reads_may_change_between_epochs():
    weight = keras.Variable(1.0, trainable=False)
    teacher = layers.Dense(1, kernel_initializer="zeros")
    teacher.build((None, 2))

    class Anneal(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            weight.assign(10.0**epoch)
            teacher.bias.assign([float(epoch)])

    def loss(y, p):
        return weight * keras.ops.mean((p - teacher(y)) ** 2)

    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(0.0), loss=loss)
    history = model.fit(np.ones((4, 2)), np.ones((4, 2)), epochs=3, verbose=0, callbacks=[Anneal()])
    assert history.history["loss"] == [0.0, 10.0, 400.0]
    assert model.evaluate(np.ones((4, 2)), np.ones((4, 2)), verbose=0) == 400.0


def test_a_step_changes_variables_of_no_object_of_its_model():
    steps, seen = keras.Variable(0, dtype="int32"), keras.metrics.Sum()
    average = keras.Variable(0.0)

    class Counting(keras.Sequential):
        def train_step(self, data):
            x, _ = data
            made = keras.Variable(2.0)  # each time it is traced
            steps.assign(steps + 1)
            seen.update_state(x)
            average.assign(0.5 * average.value + made.value)
            return {"seen": seen.result()}

    model = Counting([keras.Input((2,)), layers.Dense(1)])
    model.compile("sgd", loss="mse")
    history = model.fit(np.ones((4, 2)), np.ones((4, 1)), batch_size=2, epochs=2, verbose=0)
    assert int(steps.value) == 4 and float(average.value) == 3.75
    assert history.history["seen"] == [8.0, 16.0]


def test_train_on_batch_begins_metrics_anew_whoever_wrote_their_reset():
    class Resetting(keras.metrics.Mean):
        resets = 0

        def reset_state(self):
            Resetting.resets += 1
            super().reset_state()

    x = np.arange(6.0, dtype="float32").reshape(3, 2)
    for metric in (keras.metrics.MeanAbsoluteError(), Resetting()):
        model = keras.Sequential(
            [keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="ones")]
        )
        model.compile(loss="mae", optimizer=keras.optimizers.SGD(0.0))
        model.probe = metric
        if isinstance(metric, Resetting):
            model.compile(loss="mae", optimizer=keras.optimizers.SGD(0.0), metrics=[metric])
        for rows in (slice(0, 1), slice(1, 3), slice(1, 3)):
            for call in (model.train_on_batch, model.test_on_batch):
                logs = call(x[rows], np.zeros((len(x[rows]), 1)), return_dict=True)
                assert logs["loss"] == x[rows].sum(1).mean()
    assert Resetting.resets >= 6  # before each batch: it is seen to run


class NamesBySize(keras.Model):
    """Names its outputs and its logs by the size of a batch."""

    def call(self, x):
        return {"b": x, "a": 2 * x} if x.shape[0] == 4 else {"a": x, "b": 2 * x}

    def test_step(self, data):
        x, _ = data
        total = keras.ops.sum(x)
        return {"b": total, "a": 2 * total} if x.shape[0] == 4 else {"c": total, "d": 0 * total}


def test_outputs_and_logs_are_those_of_the_trace_for_their_size():
    model, x = NamesBySize(), np.ones((4, 1), "float32")
    model.compile()
    for _ in range(2):
        for run in (lambda x: model.predict(x, verbose=0), model.predict_on_batch):
            assert {k: v[0, 0] for k, v in run(x).items()} == {"b": 1.0, "a": 2.0}
            assert {k: v[0, 0] for k, v in run(x[:3]).items()} == {"a": 1.0, "b": 2.0}
        evaluate = functools.partial(model.evaluate, verbose=0, return_dict=True)
        for run in (evaluate, functools.partial(model.test_on_batch, return_dict=True)):
            assert run(x, x) == {"b": 4.0, "a": 8.0}
            assert run(x[:3], x[:3]) == {"c": 3.0, "d": 0.0}
