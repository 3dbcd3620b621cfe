"""Tapes around models: what the built-in step does, by hand."""

import copy
import pickle

import jax
import numpy as np
import pytest

import keraslike as keras
from keraslike import tf

pytestmark = pytest.mark.slow

X = np.random.default_rng(0).normal(size=(48, 8)).astype("float32")
Y = X[:, :1] - 2 * X[:, 1:2]


def build(cls=keras.Sequential):
    keras.utils.set_random_seed(0)
    model = cls(
        [
            keras.layers.Input((8,)),
            keras.layers.Dense(6, "elu", kernel_regularizer=keras.regularizers.L2(0.01)),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.25, seed=3),
            keras.layers.Dense(1, kernel_constraint=keras.constraints.MaxNorm(0.8)),
        ]
    )
    model.compile(keras.optimizers.Nadam(0.01), "mse", metrics=["mae"])
    return model


@pytest.fixture(scope="module")
def usual():
    model = build()
    history = model.fit(X, Y, batch_size=16, epochs=3, shuffle=False, verbose=0).history
    return model, history


class Taped(keras.Sequential):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss, sample_weight=x.shape[0])
            else:
                metric.update_state(y, y_pred)
        return {m.name: m.result() for m in self.metrics}


def test_a_train_step_with_a_tape(usual):
    model = build(Taped)
    history = model.fit(X, Y, batch_size=16, epochs=3, shuffle=False, verbose=0).history
    for name in ("loss", "mae"):
        np.testing.assert_allclose(history[name], usual[1][name], rtol=1e-5)
    for a, b in zip(model.get_weights(), usual[0].get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "tf.function"])
def test_the_chapter_s_training_loop(usual, compiled):
    model = build()
    optimizer, loss_fn = model.optimizer, keras.losses.mean_squared_error
    mean_loss, metrics = keras.metrics.Mean(), [keras.metrics.MeanAbsoluteError()]
    optimizer.build(model.trainable_variables)

    def step(x_batch, y_batch):
        with tf.GradientTape() as tape:
            y_pred = model(x_batch, training=True)
            main_loss = tf.reduce_mean(loss_fn(y_batch, y_pred))
            loss = tf.add_n([main_loss] + model.losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        mean_loss(loss)
        for metric in metrics:
            metric(y_batch, y_pred)

    step = tf.function(step) if compiled else step
    history = {"loss": [], "mae": []}
    for _ in range(3):
        for start in range(0, len(X), 16):
            step(X[start : start + 16], Y[start : start + 16])
        history["loss"].append(float(mean_loss.result()))
        history["mae"].append(float(metrics[0].result()))
        for metric in [mean_loss, *metrics]:
            metric.reset_state()
    for name in history:
        np.testing.assert_allclose(history[name], usual[1][name], rtol=1e-5)
    for a, b in zip(model.get_weights(), usual[0].get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_gradients_by_inputs_and_by_frozen_layers():
    model = build()
    x = tf.constant(X[:4])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(model(x))
    found = tape.gradient(y, x)
    expected = jax.grad(lambda a: model(a).sum())(X[:4])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    model.layers[0].trainable = False
    kernel = model.layers[0].kernel
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(model(X[:4]))
    found = tape.gradient(y, [kernel, *model.trainable_variables])
    assert all(g is not None for g in found)  # a frozen layer's, too: as TensorFlow gives them


def test_a_change_of_the_model_is_seen():
    """A recorded call is compiled, and compiled anew when an attribute changes."""

    class Scale(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.factor = 2.0
            self.options = {"offset": 1.0}

        def call(self, x):
            return x * self.factor + self.options["offset"]

    layer, x = Scale(), tf.Variable(3.0)

    def both():
        with tf.GradientTape() as tape:
            y = layer(x)
        return float(y), float(tape.gradient(y, x))

    assert both() == (7.0, 2.0)
    layer.factor = 5.0
    assert both() == (16.0, 5.0)
    layer.options["offset"] = 0.0
    assert both() == (15.0, 5.0)


def test_python_that_branches_on_values():
    class Signed(keras.layers.Layer):
        def call(self, x):
            return x * 3 if x[0] > 0 else -x

    layer, x = Signed(), tf.Variable([2.0])
    for value, slope in ((2.0, 3.0), (-2.0, -1.0)):
        x.assign([value])
        with tf.GradientTape() as tape:
            y = layer(x)
        assert tape.gradient(y, x).numpy().tolist() == [slope]


def test_second_order_through_a_model():
    model = keras.Sequential([keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)])
    x = tf.constant(X[:3])
    model(x)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = tf.reduce_sum(model(x))
        slope = inner.gradient(y, x)
        penalty = tf.reduce_sum(slope**2)
    ours = outer.gradient(penalty, model.trainable_variables)

    def expected(values):
        def total(a):
            return model.stateless_call(values, [], a)[0].sum()

        return (jax.grad(total)(X[:3]) ** 2).sum()

    theirs = jax.grad(expected)([v.value for v in model.trainable_variables])
    for a, b in zip(ours[:-1], theirs, strict=False):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_state_of_layers_changes_once_a_call():
    model = build()
    moving = model.layers[1].moving_mean
    before = moving.numpy()
    with tf.GradientTape():
        y = model(X, training=True)
    once = moving.numpy()
    assert isinstance(y, tf.Tensor) and not np.array_equal(before, once)
    again = build()
    again(X, training=True)
    np.testing.assert_allclose(again.layers[1].moving_mean, once, rtol=1e-6)


def test_masks_and_several_outputs():
    inputs = keras.Input((3,), dtype="int32")
    x = keras.layers.Embedding(5, 2, mask_zero=True)(inputs)
    model = keras.Model(inputs, {"a": x, "b": keras.layers.Dense(1)(x)})
    data = np.array([[1, 2, 0], [3, 0, 0]])
    target = np.ones((2, 3, 1), "float32")
    loss = keras.losses.MeanSquaredError()
    with tf.GradientTape() as tape:
        out = model(data)
        value = loss(target, out["b"])
    plain = model(data)
    np.testing.assert_allclose(float(value), float(loss(target, plain["b"])), rtol=1e-6)
    grads = tape.gradient(value, model.trainable_variables)
    assert tf.convert_to_tensor(grads[0])[0].numpy().tolist() == [0.0, 0.0]  # what is masked


def test_predictions_by_name_keep_their_order():
    inputs = keras.Input((1,))
    model = keras.Model(inputs, {"z": inputs + 1.0, "a": {"y": inputs, "b": inputs}})
    data = np.ones((3, 1), "float32")
    for found in (model.predict(data, 2, verbose=0), model.predict_on_batch(data), model(data)):
        assert (list(found), list(found["a"])) == (["z", "a"], ["y", "b"])


class ByDegree(keras.layers.Layer):
    """Divides the features of each node by how many edges leave it, as sizes of values."""

    def build(self, shapes):
        self.kernel = self.add_weight((shapes[0][-1], 2), initializer="ones", name="kernel")

    def call(self, inputs):
        nodes, edges = inputs
        projected = tf.matmul(nodes, self.kernel)
        degrees = tf.math.bincount(edges[:, 0])
        shares = tf.gather(projected, edges[:, 1])
        shares /= tf.cast(tf.repeat(degrees, degrees), "float32")[:, None]
        count = tf.reduce_max(edges[:, 0]) + 1
        return tf.math.unsorted_segment_sum(shares, edges[:, 0], num_segments=count)


class OfGraph(keras.Model):
    def __init__(self, nodes, edges):
        super().__init__()
        self.nodes, self.edges = nodes, edges
        self.layer, self.last = ByDegree(), keras.layers.Dense(1, kernel_initializer="ones")

    def call(self, inputs):
        return self.last(self.layer(inputs))

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            out = tf.gather(self([self.nodes, self.edges]), x)
            loss = tf.reduce_mean((out - y) ** 2)
        grads = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(grads, self.trainable_weights))
        return {"error": loss}


def test_a_step_whose_sizes_are_values_runs_as_python():
    edges = tf.constant([[0, 1], [0, 2], [1, 0], [2, 3], [2, 0], [3, 2]])
    nodes = tf.constant(np.arange(8, dtype="float32").reshape(4, 2) / 8)
    model = OfGraph(nodes, edges)
    model.compile(keras.optimizers.SGD(0.1))
    x, y = np.arange(4), np.ones((4, 1), "float32")
    history = model.fit(x, y, batch_size=2, epochs=2, shuffle=False, verbose=0)
    # what Keras with TensorFlow gives
    np.testing.assert_allclose(history.history["error"], [0.748826, 0.138878], rtol=1e-4)
    with pytest.raises(TypeError, match="known while a function is traced"):
        model.compile(keras.optimizers.SGD(0.1), jit_compile=True)
        model.fit(x, y, verbose=0)


def test_an_optimizer_takes_slices():
    v = tf.Variable(tf.ones((3, 2)))
    rows = tf.IndexedSlices(tf.constant([[1.0, 2.0], [3.0, 4.0]]), tf.constant([0, 0]), [3, 2])
    keras.optimizers.SGD(0.1).apply_gradients([(rows, v)])
    np.testing.assert_allclose(v.numpy(), [[0.6, 0.4], [1, 1], [1, 1]], rtol=1e-6)


def test_a_step_draws_wide_integers():
    class Drawing(keras.Sequential):
        def train_step(self, data):
            drawn = tf.random.uniform([3], 0, 5, dtype=tf.int64)
            return super().train_step(data) | {"largest": tf.reduce_max(drawn)}

    model = Drawing([keras.layers.Input((8,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    assert model.fit(X[:4], Y[:4], verbose=0).history["largest"][0] < 5


def test_the_seed_of_operations_is_not_that_of_numpy():
    np.random.seed(3)
    expected = np.random.rand()
    np.random.seed(3)
    tf.random.set_seed(7)
    assert np.random.rand() == expected


def test_a_loss_that_is_a_tensor_and_of_few_of_many_classes_is_trained():
    class Classifier(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.rows = self.add_weight(shape=(20, 2), initializer="ones")
            self.offsets = self.add_weight(shape=(20,), initializer="zeros")

        def call(self, x):
            return tf.math.tanh(x)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
            losses = tf.nn.sampled_softmax_loss(self.rows, self.offsets, y, y_pred, 5, 20)
            return tf.reduce_mean(losses)

    model = Classifier()
    model.compile("sgd")
    history = model.fit(np.ones((4, 2)), np.arange(4)[:, None], verbose=0).history
    assert 0 < history["loss"][0] < 20 and (model.offsets.numpy()[:4] > 0).any()


def test_a_loss_of_a_model_that_runs_eagerly_is_called_for_each_batch():
    class Scaled(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.scale = self.add_weight(shape=(8, 1), initializer="ones")

        def call(self, x):
            return tf.matmul(x, self.scale)  # a tensor, which the loss is given

    calls = []

    def loss(y, p):
        calls.append(1)
        return tf.reduce_mean(tf.square(y - p))

    model = Scaled()
    model.compile("sgd", loss, run_eagerly=True)
    result = model.evaluate(X, Y, batch_size=16, verbose=0)
    calls.clear()
    assert model.evaluate(X, Y, batch_size=16, verbose=0) == pytest.approx(result)
    assert len(calls) == 3


class Repeating(keras.Model):
    """Repeats its inputs as often as the largest of them says."""

    def __init__(self):
        super().__init__()
        self.norm = keras.layers.BatchNormalization(momentum=0.5)
        self.last = keras.layers.Dense(1, kernel_initializer="ones")

    def call(self, x, training=False):
        repeated = tf.repeat(x, tf.cast(tf.reduce_max(x), tf.int32), axis=1)
        self.norm(x, training=training)
        return self.last(tf.reduce_sum(repeated, 1, keepdims=True))


def test_a_model_whose_sizes_are_values_is_built_by_its_first_batch():
    model = Repeating()
    model.compile(keras.optimizers.SGD(0.001), "mse")
    x, y = np.array([[1, 2], [2, 1]], "float32"), np.ones((2, 1), "float32")
    history = model.fit(x, y, epochs=3, verbose=0)
    # what Keras with TensorFlow gives
    np.testing.assert_allclose(history.history["loss"], [25, 21.436897, 18.38163], rtol=1e-5)
    np.testing.assert_allclose(model.norm.moving_mean, [1.3125, 1.3125])


def test_names_of_tf_keras_equal_those_of_keras():
    layer = tf.keras.layers.Dense(2, activation="relu")
    relu, dense = tf.keras.activations.relu, tf.keras.layers.Dense
    assert layer.activation == relu and layer.activation in [relu] and relu != tf.nn.relu
    assert layer.activation != tf.keras.activations.elu and tf.keras.activations.get("relu") == relu
    assert type(layer) == dense and dense == keras.layers.Dense  # noqa: E721
    assert {dense: 1}[type(layer)] == 1 and type(layer) != tf.keras.layers.Layer  # noqa: E721

    class Own(dense):
        pass

    assert Own != dense and Own == Own and len({Own, dense, keras.layers.Dense}) == 2
    assert pickle.loads(pickle.dumps(relu)) is relu and copy.deepcopy(relu) is relu
    assert isinstance(relu(np.ones(2)), tf.Tensor) and relu.__name__ == "relu"
    assert jax.tree.structure(layer) == jax.tree.structure(layer)


def rank_of(x):
    return x.shape.rank


class Written(tf.keras.layers.Layer):
    """Written for tensors, which `heads` and a function read."""

    def __init__(self):
        super().__init__()
        self.inner = tf.keras.layers.Dense(4, kernel_initializer="ones")
        self.norm = tf.keras.layers.BatchNormalization(momentum=0.5)

    def heads(self, x):
        return tf.reshape(x, (-1, 2, x.get_shape().as_list()[-1] // 2))

    def call(self, x, training=None):
        x = self.norm(self.inner(x), training=training)
        assert rank_of(x) == 2 and x.dtype.is_floating
        return tf.reduce_sum(self.heads(x) ** 2, -1)


class Plain(Written):
    """The same for arrays."""

    def call(self, x, training=None):
        x = self.norm(self.inner(x), training=training)
        return keras.ops.sum(keras.ops.reshape(x, (-1, 2, x.shape[-1] // 2)) ** 2, -1)


def test_a_layer_that_is_written_for_tensors_gets_tensors():
    found = []
    for cls in (Written, Plain):
        layer = cls()
        inputs = tf.keras.Input((3,))
        model = tf.keras.Model(inputs, tf.keras.layers.Dense(1, "relu", False)(layer(inputs)))
        model.set_weights([np.full(w.shape, 0.1, "float32") for w in model.get_weights()])
        model.compile("sgd", "mse")
        model.fit(X[:, :3], Y, shuffle=False, epochs=2, verbose=0)
        found.append([model.predict(X[:, :3], verbose=0), *model.get_weights()])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_functions_that_are_written_for_tensors_get_tensors():
    def loss(y, p):
        return tf.reduce_mean((y - p) ** 2, list(range(1, p.shape.rank)))

    class Largest(tf.keras.metrics.Metric):
        def __init__(self):
            super().__init__(name="largest")
            self.value = self.add_weight(shape=(), initializer="zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            assert y_true.shape.rank == y_pred.shape.rank == 2
            self.value.assign(tf.maximum(self.value, tf.reduce_max(y_pred)))

        def result(self):
            return self.value

    flat = tf.keras.layers.Lambda(lambda x: tf.reshape(x, [-1, x.get_shape().as_list()[1] * 2]))
    model = tf.keras.Sequential([tf.keras.layers.Input((4, 2)), flat])
    model.compile("sgd", loss, metrics=[loss, Largest()])
    x = np.full((2, 4, 2), 2, "float32")
    assert model.evaluate(x, np.zeros((2, 8)), verbose=0) == [4.0, 4.0, 2.0]


class Slope(tf.keras.Model):
    """Differentiates with respect to its inputs."""

    def __init__(self):
        super().__init__()
        self.inner = tf.keras.layers.Dense(1, "tanh", kernel_initializer="ones")

    def call(self, x):
        return self.inner(x)

    def slope(self, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = self.inner(x)
        return tape.gradient(y, x)


def test_a_layer_that_differentiates_its_inputs_gets_tensors():
    class Both(Slope):
        def call(self, x):
            return self.inner(x), self.slope(x)

    class Forward(Slope):
        def call(self, x):
            with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as accumulator:
                y = self.inner(x)
            return accumulator.jvp(y)

    x = tf.constant([[0.5, -0.2]])
    model = Both()
    for call in (model, tf.function(model), model.predict):
        value, slope = call(x)
        np.testing.assert_allclose(value, [[0.2913126]], rtol=1e-5)
        np.testing.assert_allclose(slope, [[0.9151369, 0.9151369]], rtol=1e-5)
    np.testing.assert_allclose(Forward()(x), [[1.8302739]], rtol=1e-5)


def test_the_steps_of_a_model_that_differentiate_a_batch_get_tensors():
    class Loss(Slope):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
            loss = super().compute_loss(x, y, y_pred, sample_weight)
            return loss + tf.reduce_mean(self.slope(x) ** 2)

    class Steps(Slope):
        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as outer:
                with tf.GradientTape() as inner:
                    inner.watch(x)
                    p = self(x, training=True)
                slope = inner.gradient(p, x)
                loss = tf.reduce_mean(slope**2) + self.compute_loss(x, y, p)
            gradients = outer.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
            return {"loss": loss}

        def predict_step(self, data):
            return self.slope(data)

    x = np.array([[0.5, -0.2], [1.0, 0.3], [0.1, 0.2], [2.0, 1.0]], "float32")
    y = np.array([[0.0], [1.0], [0.0], [1.0]], "float32")
    for eagerly in (False, True):
        for cls in (Loss, Steps):
            model = cls()
            model.compile(tf.keras.optimizers.SGD(0.1), "mse", run_eagerly=eagerly)
            model.fit(x, y, batch_size=2, epochs=2, shuffle=False, verbose=0)
            kernel, bias = model.get_weights()
            np.testing.assert_allclose(kernel, [[0.8903], [0.8498]], atol=1e-4)
            np.testing.assert_allclose(bias, [0.1007], atol=1e-4)
    model = Steps()
    model.compile(run_eagerly=False)
    expected = [[0.9151, 0.9151], [0.2574, 0.2574], [0.9151, 0.9151], [0.0099, 0.0099]]
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-4)


def test_functions_of_numpy_s_names_in_a_layer():
    import keraslike.tf.experimental.numpy as tnp

    class Projected(keras.Model):
        def build(self, shape):
            self.kernel = self.add_weight(shape=(shape[-1], 2), initializer="ones")

        def call(self, x):
            return tnp.maximum(tnp.matmul(x, self.kernel) - 1, 0.0)

    model = Projected()
    model.compile("sgd", "mse")
    x = np.array([[0.0, 0.5], [1.0, 2.0]], "float32")
    assert model.evaluate(x, np.zeros((2, 2)), verbose=0) == 2.0
    np.testing.assert_array_equal(model.predict(x, verbose=0), [[0, 0], [2, 2]])


def test_a_step_of_a_model_with_several_outputs():
    """The numbers are those of Keras 3.15 on TensorFlow, which gives such a step tuples."""
    kinds = []

    class Model(keras.Model):
        def train_step(self, data):
            x, y = data
            kinds.extend((type(x), type(y)))
            with tf.GradientTape() as tape:
                predictions = self(x, training=True)
                loss = self.compute_loss(x=x, y=y, y_pred=predictions)
            gradients = tape.gradient(loss, self.trainable_variables)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
            return self.compute_metrics(x, y, predictions)

    a, b = keras.Input((2,)), keras.Input((3,))
    one = keras.layers.Dense(1, kernel_initializer="ones", name="dense")
    two = keras.layers.Dense(2, kernel_initializer="ones", name="dense_1")
    model = Model([a, b], [one(keras.layers.concatenate([a, b])), two(a)])
    model.compile("sgd", ["mse", "mse"], metrics=[["mae"], ["mae"]])
    x, y = [np.ones((4, 2)), np.ones((4, 3))], [np.ones((4, 1)), np.ones((4, 2))]
    logs = model.fit(x, y, verbose=0).history
    assert set(kinds) == {tuple}
    found = [logs[f"{layer.name}_{kind}"] for layer in (one, two) for kind in ("loss", "mae")]
    assert found == [[16.0], [4.0], [1.0], [1.0]]
    found = model.evaluate(x, y, verbose=0)
    np.testing.assert_allclose(found, [13.3313, 12.3904, 0.9409, 0.97, 3.52], rtol=1e-5)


def test_the_moments_of_normalization_are_tensors():
    layer = tf.keras.layers.Normalization()
    layer.adapt(np.array([[1.0, 4.0], [3.0, 4.0]]))
    assert layer.mean.numpy().tolist() == [[2.0, 4.0]]
    assert layer.variance.numpy().tolist() == [[1.0, 0.0]]


class Branching(keras.Model):
    """A model whose call asks for values."""

    def __init__(self, way):
        super().__init__()
        self.way = way
        self.dense = keras.layers.Dense(2, use_bias=False, kernel_initializer="ones")

    def call(self, x):
        x = self.dense(x)
        if self.way == "while":
            while tf.reduce_sum(x) > 1:
                x = x / 2
        elif self.way == "and":
            x = 2 * x if tf.reduce_mean(x) > 0 and tf.reduce_max(x) < 9 else 3 * x
        elif self.way == "float":
            x = x * float(tf.reduce_max(x))
        else:
            x = x * tf.reduce_max(x).numpy()
        return x


@pytest.mark.parametrize(
    "way, result, slope, loss",  # TensorFlow's
    [
        ("while", 0.75, 0.125, 0.03515625),
        ("and", 24.0, 4.0, 36.0),
        ("float", 36.0, 6.0, 81.0),
        ("numpy", 36.0, 6.0, 81.0),
    ],
)
def test_a_model_that_asks_for_values_runs_eagerly(way, result, slope, loss):
    model, x = Branching(way), tf.ones((2, 3))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(model(x))
    gradient = tape.gradient(total, model.trainable_variables)[0]
    assert (float(total), float(gradient[0, 0])) == (result, slope)
    model.compile("sgd", "mse", run_eagerly=True)
    assert model.fit(x, tf.zeros((2, 2)), verbose=0).history["loss"] == [loss]
