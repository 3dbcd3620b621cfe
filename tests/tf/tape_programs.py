"""Random programs around tapes, and what TensorFlow 2.21 gives for them.

`walk(seed, tf, keras)` runs one: it draws what to do next from the seed alone, so that it is the
same program with any library of these names. What TensorFlow gave is in `tape_programs.json`:

    KERAS_BACKEND=tensorflow python tests/tf/tape_programs.py

with TensorFlow and Keras installed writes it anew.
"""

import json
import pathlib
import random

import numpy as np

RECORDED = pathlib.Path(__file__).with_suffix(".json")
SEEDS = range(20, 45, 2)


class Things:
    """Weights, layers and functions that programs use, alike with every library."""

    def __init__(self, tf, keras):
        self.tf = tf
        self.w = tf.Variable([0.5, -0.3, 0.8])
        i = keras.Input((3,))
        hidden = keras.layers.Dense(3, "tanh")
        out = keras.layers.Dense(3)
        self.layer = keras.layers.Dense(3, "sigmoid")
        self.layer.build((None, 3))
        h = hidden(i)
        self.model = keras.Model(i, [h, out(h)])
        self.loss = keras.losses.MeanSquaredError()
        rng = np.random.default_rng(0)
        for layer in (hidden, out, self.layer):
            layer.set_weights(
                [rng.normal(0, 0.5, w.shape).astype("float32") for w in layer.get_weights()]
            )
        self.closure = keras.layers.Lambda(lambda x: x * self.w)
        self.function = tf.function(lambda x: tf.sin(x) * self.w)

    def clipped(self, by=None):
        tf = self.tf
        by = None if by is None else tf.convert_to_tensor(by)

        @tf.custom_gradient
        def function(x):
            value = x * x if by is None else x * by
            return value, lambda up: tf.clip_by_value(up, -0.4, 0.4) * x

        return function


def _chosen(t, tf, a, b):
    positive = lambda: a * b  # noqa: E731
    return tf.cond(tf.reduce_sum(a) > 0.0, positive, lambda: a - b)


def _looped(t, tf, a, b):
    step = lambda i, x: (i + 1, x * 0.5 * b + a)  # noqa: E731
    return tf.while_loop(lambda i, x: i < 3, step, (0, a), maximum_iterations=4)[1]


def _weights_in_branches(t, tf, a):
    layered = lambda: t.layer(a[None])[0] * t.w  # noqa: E731
    return tf.cond(tf.reduce_sum(a) > 0.0, layered, lambda: a - t.w)


def _branch_in_a_loop(t, tf, a, b):
    def step(i, x):
        return i + 1, tf.cond(x[0] > 0.0, lambda: x * b, lambda: x * t.w - a)

    return tf.while_loop(lambda i, x: i < 2, step, (0, a), maximum_iterations=3)[1]


UNARY = [
    lambda t, tf, a: tf.sin(a),
    lambda t, tf, a: a**2 * 0.5,
    lambda t, tf, a: tf.exp(a * 0.2),
    lambda t, tf, a: tf.reduce_sum(a * a) + 0.0 * a,
    lambda t, tf, a: a[::-1] * a[1],
    lambda t, tf, a: tf.gather(a, [2, 0, 2]),
    lambda t, tf, a: tf.tensor_scatter_nd_update(a, [[1]], [5.0]) * a,
    lambda t, tf, a: tf.stop_gradient(a) * a,
    lambda t, tf, a: tf.one_hot(tf.argmax(a), 3) * a,
    lambda t, tf, a: tf.cumsum(a),
    lambda t, tf, a: tf.nn.softmax(a),
    lambda t, tf, a: tf.map_fn(lambda e: e * e, a),
    lambda t, tf, a: t.function(a),
    lambda t, tf, a: tf.map_fn(lambda e: e * t.w[0] + a[1], a),
    lambda t, tf, a: tf.scan(lambda s, e: s * t.w[1] + e, a),
    _weights_in_branches,
    lambda t, tf, a: tf.function(lambda x: _weights_in_branches(t, tf, x))(a),
    lambda t, tf, a: tf.function(lambda: _weights_in_branches(t, tf, a))(),
    lambda t, tf, a: t.clipped()(a),
    lambda t, tf, a: t.layer(a[None])[0],
    lambda t, tf, a: t.model(a[None])[1][0],
    lambda t, tf, a: t.closure(a),
]
BINARY = [
    lambda t, tf, a, b: a * b,
    lambda t, tf, a, b: a - b,
    lambda t, tf, a, b: a / (b * b + 1.0),
    lambda t, tf, a, b: tf.concat([a[:1], b[1:]], 0),
    lambda t, tf, a, b: tf.linalg.matvec(tf.tensordot(a, b, 0), a),
    lambda t, tf, a, b: t.loss(a[None], b[None]) * a,
    lambda t, tf, a, b: tf.map_fn(lambda e: tf.reduce_sum(e * b), a),
    lambda t, tf, a, b: tf.scan(lambda s, e: s * b[0] + e, a),
    lambda t, tf, a, b: tf.vectorized_map(lambda e: e * b[1], a),
    lambda t, tf, a, b: tf.function(lambda x: x * b)(a),
    lambda t, tf, a, b: t.clipped(b)(a),
    _chosen,
    _looped,
    lambda t, tf, a, b: tf.function(lambda x: _chosen(t, tf, x, b))(a),
    lambda t, tf, a, b: tf.function(lambda x: _looped(t, tf, x, b))(a),
    _branch_in_a_loop,
    lambda t, tf, a, b: tf.function(lambda x: _branch_in_a_loop(t, tf, x, b))(a),
    lambda t, tf, a, b: tf.function(lambda: _looped(t, tf, a, b))(),
]


class Walk:
    def __init__(self, seed, tf, keras):
        self.random, self.tf, self.things = random.Random(seed), tf, Things(tf, keras)
        start = np.random.default_rng(seed).normal(0, 1, (4, 3)).astype("float32")
        self.values = [
            tf.Variable(start[0]),
            tf.Variable(start[1], trainable=False),
            tf.constant(start[2]),
            tf.constant(start[3]),
            self.things.w,
        ]
        self.results = []
        self.tape(0)

    def note(self, value):
        if value is not None:
            value = np.asarray(self.tf.convert_to_tensor(value), "float64")
            value = [float(f"{v:.6g}") for v in value.reshape(-1)]
        self.results.append(value)

    def pick(self):
        return self.random.choice(self.values[-8:])

    def operation(self):
        if self.random.random() < 0.1:
            self.pair = self.things.model(self.pick()[None])
            value = self.pair[1][0]
        elif self.random.random() < 0.5:
            function, a = self.random.choice(UNARY), self.pick()
            value = function(self.things, self.tf, a)
        else:
            function, a, b = self.random.choice(BINARY), self.pick(), self.pick()
            value = function(self.things, self.tf, a, b)
        self.values.append(value)
        self.note(value)

    def tape(self, depth):
        persistent, accessed = self.random.random() < 0.6, self.random.random() < 0.85
        tape = self.tf.GradientTape(persistent=persistent, watch_accessed_variables=accessed)
        self.pair = None
        with tape:
            if self.random.random() < 0.6:
                tape.watch(self.pick())
            for _ in range(self.random.randint(2, 5)):
                what = self.random.random()
                if what < 0.08:
                    with tape.stop_recording():
                        self.operation()
                elif what < 0.14:
                    tape.watch(self.pick())
                elif what < 0.18:
                    self.values[0].assign(self.values[0] * 0.5)
                else:
                    self.operation()
            pair = self.pair
            if depth < 2 and self.random.random() < 0.7:
                self.tape(depth + 1)
                self.operation()
        for _ in range(2 if persistent else 1):
            self.take(tape, persistent, pair)

    def take(self, tape, persistent, pair):
        target = self.random.choice(self.values[-4:])
        sources = self.random.sample(self.values, 3) + [self.values[0], self.things.w]
        options = {}
        if self.random.random() < 0.3:
            options["unconnected_gradients"] = self.random.choice(["none", "zero"])
        what = self.random.random()
        if pair is not None and what < 0.3:
            sources = [pair[0], *self.things.model.trainable_variables]
            found = tape.gradient(pair[1], sources, **options)
        elif what < 0.6:
            if self.random.random() < 0.3:
                options["output_gradients"] = self.tf.constant([0.5, -1.0, 2.0])
            found = tape.gradient(target, sources, **options)
        elif what < 0.8 or not persistent:
            found = tape.gradient([target, self.values[-1]], sources, **options)
        else:
            found = tape.jacobian(target, sources, experimental_use_pfor=False, **options)
        for gradient in found:
            self.note(gradient)
        if what < 0.8 and not (pair is not None and what < 0.3):
            first = self.tf.zeros(3) if found[0] is None else found[0]
            self.values.append(self.tf.convert_to_tensor(first))


def walk(seed, tf, keras):
    """What a program gave, in order: flat lists of numbers, and `None`."""
    return Walk(seed, tf, keras).results


if __name__ == "__main__":
    import keras
    import tensorflow as tf

    recorded = {str(seed): walk(seed, tf, keras) for seed in SEEDS}
    RECORDED.write_text(json.dumps(recorded, separators=(",", ":")) + "\n")
