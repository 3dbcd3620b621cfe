"""What a call leaves in attributes. The expected values are TensorFlow 2.21's with Keras 3.15."""

import numpy as np
import pytest

from keraslike import tf


class Attention(tf.keras.layers.Layer):
    """Keeps its scores, with the sizes in a dict, for whoever looks at them after a call."""

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x):
        self.scores = x * self.w
        self.parts = {"sum": (tf.reduce_sum(self.scores), "text"), "of": x}
        return self.scores + 1.0


class Outer(tf.keras.Model):
    def __init__(self):
        super().__init__()
        self.attention = Attention()

    def call(self, x):
        y = self.attention(x)
        self.scores = self.attention.scores * 2.0
        return y


class Total(tf.keras.layers.Layer):
    """Adds to what its last call has left."""

    total = None

    def call(self, x):
        self.total = x if self.total is None else self.total + x
        return self.total * 1.0


@pytest.mark.parametrize("make", [Attention, Outer])
def test_attributes_hold_tensors_of_the_last_call(make):
    layer = make()
    factor = 1.0 if make is Attention else 2.0
    for value in (1.0, 2.0, 3.0):
        layer(tf.constant([[value, 4.0]]))
        np.testing.assert_allclose(layer.scores.numpy(), [[factor * value, factor * 4.0]])
    inner = getattr(layer, "attention", layer)
    total, text = inner.parts["sum"]
    assert (float(total), text, inner.parts["of"].numpy().tolist()) == (7.0, "text", [[3.0, 4.0]])


def test_a_tape_follows_them():
    model = Outer()
    for x in (tf.constant([[1.0, 2.0]]), np.float32([[1.0, 2.0]])):
        with tf.GradientTape() as tape:
            model(x)
            loss = tf.reduce_sum(model.scores**2)
        (gradient,) = tape.gradient(loss, model.trainable_variables)
        assert (float(loss), gradient.numpy().tolist()) == (20.0, [8.0, 32.0])


def test_in_a_function_and_in_a_step_of_training():
    layer = Attention()
    layer(np.zeros((1, 2), "float32"))

    @tf.function
    def step(x):
        layer(x)
        return tf.reduce_sum(layer.scores)

    assert [float(step(tf.constant([[a, 2.0]]))) for a in (1.0, 5.0)] == [3.0, 7.0]

    class Penalized(Outer):
        def train_step(self, data):
            with tf.GradientTape() as tape:
                self(data[0], training=True)
                loss = tf.reduce_sum(self.scores)
            self.optimizer.apply(
                tape.gradient(loss, self.trainable_variables), self.trainable_variables
            )
            return {"total": loss}

    model = Penalized()
    model.compile(optimizer=tf.keras.optimizers.SGD(0.1))
    history = model.fit(np.float32([[1.0, 2.0]]), epochs=2, verbose=0).history
    np.testing.assert_allclose(history["total"], [6.0, 4.0])


def test_a_call_may_read_what_the_last_one_left():
    layer = Total()
    found = [float(layer(tf.constant(x))) for x in (1.0, 2.0, 3.0)]
    assert found == [1.0, 3.0, 6.0]
    with tf.GradientTape(persistent=True) as tape:
        x = tf.Variable(2.0)
        layer(x)
        y = layer(x)
    assert (float(y), float(tape.gradient(y, x))) == (10.0, 2.0)


def test_a_model_may_delete_the_mask_of_what_it_returns():
    class Logits(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.embedding = tf.keras.layers.Embedding(5, 4, "ones", mask_zero=True)
            self.dense = tf.keras.layers.Dense(5, kernel_initializer="ones")

        def call(self, x):
            logits = self.dense(self.embedding(x))
            if getattr(logits, "_keras_mask", None) is not None:
                del logits._keras_mask
            return logits

    def masked(y, logits):
        crossentropy = tf.keras.losses.SparseCategoricalCrossentropy(True, reduction="none")
        mask = tf.cast(y != 0, "float32")
        return tf.reduce_sum(crossentropy(y, logits) * mask) / tf.reduce_sum(mask)

    model = Logits()
    model.compile(tf.keras.optimizers.SGD(0.1), loss=masked, metrics=[masked])
    x = np.array([[1, 2, 0], [3, 0, 0]])
    np.testing.assert_allclose(model.evaluate(x, x, verbose=0), [1.609438] * 2, rtol=1e-6)
    history = model.fit(x, x, epochs=2, verbose=0).history
    np.testing.assert_allclose(history["loss"], [1.609438, 1.546064], rtol=1e-6)
    y = model.embedding(tf.constant([[1, 0]]))
    assert y._keras_mask.numpy().tolist() == [[True, False]]


def test_numbers_of_numpy_do_not_widen_a_call_on_wide_integers():
    class Biased(tf.keras.layers.Layer):
        bias = np.array([1.0, 2.0])  # of 64 bits

        def call(self, x, ids):
            return x + self.bias

    layer = Biased()
    y = layer(tf.constant([[1.0, 1.0]]), tf.constant([1], tf.int64))
    assert (y.dtype, y.numpy().tolist()) == (tf.float32, [[2.0, 3.0]])
    assert layer(tf.constant([[1.0, 1.0]]), tf.constant([1])).numpy().tolist() == [[2.0, 3.0]]


def test_a_layer_may_branch_on_a_number_that_it_draws():
    def inverted(x, probability):
        if tf.random.uniform([]) < probability:
            x = 255 - x
        return x

    image = tf.constant([[100, 200]], tf.uint8)
    for probability, expected in ((1.0, [[155, 55]]), (0.0, [[100, 200]])):
        layer = tf.keras.layers.Lambda(lambda x, p=probability: inverted(x, p), dtype="uint8")
        assert [layer(image).numpy().tolist() for _ in range(2)] == [expected] * 2


def test_operators_of_a_variable_in_a_call():
    class Affine(tf.keras.layers.Layer):
        def build(self, shape):
            self.w = self.add_weight(shape=(2,), initializer="ones")

        def call(self, x):
            return self.w * x + (1 - self.w) * 3 + self.w[0] - (-self.w) + self.w**2 / x

    layer, x = Affine(), tf.constant([[1.0, 2.0]])
    with tf.GradientTape() as tape:
        y = layer(x)
    assert tape.gradient(y, layer.w).numpy().tolist() == [3.0, 1.0]
    for found in (y, layer(x), tf.function(layer)(x), layer(np.float32([[1.0, 2.0]]))):
        assert found.numpy().tolist() == [[4.0, 4.5]]


class Collecting(tf.keras.Model):
    """Adds what its layer returns to a list and a dict in each call."""

    def __init__(self):
        super().__init__()
        self.dense = tf.keras.layers.Dense(1, kernel_initializer="ones")
        self.seen, self.by_name, self.calls = ["first"], {}, 0

    def call(self, x):
        y = self.dense(x)
        self.calls += 1
        self.seen.append(y)
        self.by_name["y"] = y
        return y * 2.0


@pytest.mark.parametrize("convert", [tf.constant, np.float32])
def test_lists_and_dicts_are_filled_by_each_call(convert):
    model = Collecting()
    for value in (1.0, 2.0, 3.0):
        model(convert([[value, 4.0]]))
    assert [y.numpy().item() for y in model.seen[1:]] == [5.0, 6.0, 7.0]
    assert model.by_name["y"].numpy().tolist() == [[7.0]]
    with tf.GradientTape() as tape:
        model(convert([[1.0, 2.0]]))
        loss = tf.reduce_sum(model.seen[-1] ** 2)
    gradient = tape.gradient(loss, model.dense.kernel)
    assert (float(loss), gradient.numpy().tolist()) == (9.0, [[6.0], [12.0]])


def test_training_leaves_nothing_in_lists():
    model = Collecting()
    model.compile("sgd", "mse")
    model.fit(np.ones((2, 2), "float32"), np.ones((2, 1), "float32"), verbose=0)
    model.predict(np.ones((2, 2), "float32"), verbose=0)
    assert (model.seen, model.by_name) == (["first"], {})


def test_a_call_that_counts_itself_may_branch_on_values():
    class Counting(tf.keras.layers.Layer):
        calls = 0

        def call(self, x):
            self.calls += 1
            return x * self.calls if float(tf.reduce_sum(x)) > 0 else x

    layer = Counting()
    layer(tf.constant([1.0]))
    before = layer.calls
    assert layer(tf.constant([1.0])).numpy().tolist() == [before + 1.0]


def test_what_is_made_of_a_layers_variables_is_a_tensor():
    layer = tf.keras.layers.Dense(2, kernel_initializer="ones")
    layer.build((None, 3))
    w = layer.kernel
    for result in (w[:, 0], w * 2.0, 2.0 * w, -w, w == w, w.value, w.assign_add(w), *w):
        assert isinstance(result, tf.Tensor)
    w[0, 0].assign(5.0)
    layer.weights[0][1:].assign(tf.zeros((2, 2)))
    assert w.numpy().tolist() == [[5.0, 2.0], [0.0, 0.0], [0.0, 0.0]]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(w[0] ** 2)
        w[0, 0].assign(0.0)
    assert tape.gradient(loss, w).numpy()[0].tolist() == [10.0, 4.0]
    assert tf.keras.Variable(np.ones(2))[0].numpy() == 1.0
    assert isinstance(tf.keras.optimizers.SGD(0.1).learning_rate * 2, tf.Tensor)
