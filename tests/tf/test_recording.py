"""That no source is lost on the way: whatever tapes, functions and closures lie between.

The expected values are TensorFlow 2.21's.
"""

import concurrent.futures
import gc
import weakref

import jax
import numpy as np
import pytest

import keraslike as keras
from keraslike import tf

pytestmark = pytest.mark.slow


def shown(tree):
    if tree is None:
        return None
    if isinstance(tree, (list, tuple)):
        return [shown(x) for x in tree]
    return np.round(np.asarray(tree, "float64"), 4).tolist()


# -- several tapes --------------------------------------------------------------------------------


@pytest.mark.parametrize("persistent", [False, True])
def test_an_inner_tape_s_gradient_while_an_outer_tape_records(persistent):
    w1, w2 = tf.Variable(5.0), tf.Variable(3.0)
    with tf.GradientTape(persistent=True) as outer:
        with tf.GradientTape(persistent=persistent) as inner:
            z = 3 * w1**2 + 2 * w1 * w2
        first = inner.gradient(z, [w1, w2])
    assert shown(first) == [36.0, 10.0]
    hessian = [outer.gradient(g, [w1, w2]) for g in first]
    assert shown(hessian) == [[6.0, 2.0], [2.0, None]]
    assert {v.ref() for v in outer.watched_variables()} == {w1.ref(), w2.ref()}


def test_a_paused_outer_tape_leaves_the_inner_one_as_it_is():
    w, v = tf.Variable(3.0), tf.Variable(4.0)
    with tf.GradientTape(persistent=True) as outer, tf.GradientTape(persistent=True) as inner:
        with outer.stop_recording():
            a = w * v
        b = a * w * v
    assert shown(outer.gradient(b, [w, v])) == [48.0, 36.0]
    assert shown(inner.gradient(b, [w, v])) == [96.0, 72.0]


@pytest.mark.parametrize("how", ["eager", "function", "fit"])
def test_two_tapes_around_one_step(how):
    class Pair(keras.Model):
        def __init__(self):
            super().__init__()
            self.a = keras.layers.Dense(2, kernel_initializer="ones")
            self.b = keras.layers.Dense(2, kernel_initializer="ones")

        def call(self, x):
            return self.b(self.a(x))

        def step(self, x, y):
            with tf.GradientTape() as one, tf.GradientTape() as other:
                p = self(x)
                first = tf.reduce_mean((p - y) ** 2)
                second = tf.reduce_mean(p**2)
            mine, theirs = self.a.trainable_variables, self.b.trainable_variables
            grads = one.gradient(first, mine) + other.gradient(second, theirs)
            self.optimizer.apply_gradients(zip(grads, mine + theirs))
            return first

        def train_step(self, data):
            return {"loss": self.step(*data)}

    x = np.ones((4, 2), "float32")
    model = Pair()
    model(x)
    model.compile(keras.optimizers.SGD(0.1))
    if how == "fit":
        model.fit(x, x, epochs=1, verbose=0)
    else:
        model.optimizer.build(model.trainable_variables)
        step = tf.function(model.step) if how == "function" else model.step
        step(tf.constant(x), tf.constant(x))
    expected = [[[0.4, 0.4], [0.4, 0.4]], [-0.6, -0.6], [[0.2, 0.2], [0.2, 0.2]], [-0.4, -0.4]]
    for ours, theirs in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_second_order_through_a_model_has_every_weight():
    model = keras.Sequential([keras.layers.Dense(3, "tanh"), keras.layers.Dense(1)])
    x = tf.constant([[0.3, -0.2], [0.1, 0.7]])
    model(x)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            loss = tf.reduce_mean(model(x) ** 2)
        grads = inner.gradient(loss, model.trainable_variables)
        total = tf.add_n([tf.reduce_sum(g**2) for g in grads])
    assert [g is None for g in grads] == [False] * 4
    assert [g is None for g in outer.gradient(total, model.trainable_variables)] == [False] * 4


def test_a_source_that_is_a_target_needs_no_tape():
    x = tf.constant(3.0)
    with tf.GradientTape(persistent=True) as tape:
        pass
    assert shown(tape.gradient(x, x)) == 1.0
    assert shown(tape.gradient([x, x], [x], output_gradients=[2.0, 0.5])) == [2.5]
    assert tape.jacobian(x, x) is None
    with tf.GradientTape() as tape:
        tape.watch(x)
    assert shown(tape.jacobian(x, x)) == 1.0


@pytest.mark.parametrize("used", [False, True])
def test_a_source_that_is_a_target_and_was_given_to_another_targets_operation(used):
    """What TensorFlow 2.21 gives: no gradient by what the tape does not follow."""
    w, x = tf.Variable(3.0), tf.constant(2.0)
    with tf.GradientTape(persistent=True) as tape:
        y = w * x if used else w * 2.0
    for targets in ([x, y], [y, x]):
        by_x, by_y, by_w = tape.gradient(targets, [x, y, w])
        assert by_x is None if used else float(by_x) == 1.0
        assert (float(by_y), float(by_w)) == (1.0, 2.0)
    assert [float(g) for g in tape.gradient([x, x], [x])] == [2.0]


def test_what_is_watched_after_its_use():
    x, w = tf.constant(3.0), tf.Variable(2.0)
    with tf.GradientTape(persistent=True) as tape:
        y = w * x
        before = x * 2
        assert tape.gradient(y, x) is None
        tape.watch(x)
    assert shown(tape.gradient(y, [x, w])) == [2.0, 3.0]
    assert tape.gradient(before, x) is None


def test_a_variable_that_is_watched_after_its_use():
    """An operation is given its value, which TensorFlow's tape has not seen being read."""
    frozen, x = tf.Variable([1.0, 2.0], trainable=False), tf.Variable([3.0, 4.0])
    with tf.GradientTape(persistent=True) as tape:
        before = frozen * x
        tape.watch(frozen)
        after = frozen * x
    assert tape.gradient(before, frozen) is None
    assert shown(tape.gradient([frozen, before], [frozen, x])) == [[1.0, 1.0], [1.0, 2.0]]
    assert shown(tape.gradient(after, frozen)) == [3.0, 4.0]


def test_what_only_another_tape_follows_has_no_gradient_as_a_target():
    w = tf.Variable([1.0, 2.0])
    square = w * w
    with tf.GradientTape() as outer:
        outer.watch(square)
        with tf.GradientTape() as tape:
            total = w + square
    assert shown(tape.gradient([square, total], [square, w])) == [None, [1.0, 1.0]]


def test_a_vector_that_is_watched_after_a_product():
    """TensorFlow makes a matrix of it first, which the tape has not seen."""
    matrix, vector = tf.Variable([[1.0, 2.0], [3.0, 4.0]]), tf.constant([1.0, 1.0])
    with tf.GradientTape(persistent=True) as tape:
        by_matvec, by_elements = tf.linalg.matvec(matrix, vector), matrix * vector
        tape.watch(vector)
    assert tape.gradient(by_matvec, vector) is None
    assert shown(tape.gradient(by_elements, vector)) == [4.0, 6.0]


@pytest.mark.parametrize(
    "f, slope, second, without",
    [
        (tf.sqrt, 0.25, -0.0312, [np.inf, 0.25]),
        (tf.math.rsqrt, -0.0625, 0.0234, [-np.inf, -0.0625]),
        (tf.math.reciprocal, -0.0625, 0.0312, [-np.inf, -0.0625]),
    ],
)
def test_a_zero_stays_zero_where_the_slope_is_infinite(f, slope, second, without):
    x = tf.Variable([0.0, 4.0])
    with tf.GradientTape() as tape:
        with tf.GradientTape() as inner:
            y = tf.where(x > 0, f(x), 0.0)
        found = inner.gradient(y, x)
    assert shown(found) == [0.0, slope]
    assert shown(tape.gradient(found, x))[1] == second
    with tf.GradientTape() as tape:
        y = f(x)
    assert shown(tape.gradient(y, x)) == without


def test_the_square_of_a_deviation_that_is_zero():
    x = tf.Variable([1.0, 1.0])
    with tf.GradientTape() as tape:
        y = tf.math.reduce_std(x) ** 2
    assert shown(tape.gradient(y, x)) == [0.0, 0.0]


# -- what a traced body reads ---------------------------------------------------------------------

TWO, THREE = tf.constant([1.0, 2.0]), tf.constant([1.0, 2.0, 3.0])


def repeated(step, start):
    variables = [0, tf.constant(3.0) if start is None else start]
    below = lambda i, s: i < 3  # noqa: E731
    return tf.while_loop(below, lambda i, s: (i + 1, step(s)), variables, maximum_iterations=3)[1]


LOOPS = {
    "map_fn": (lambda w: tf.reduce_sum(tf.map_fn(lambda e: e * w, TWO)), 3.0),
    "scan": (lambda w: tf.reduce_sum(tf.scan(lambda s, e: s * w + e, THREE)), 7.0),
    "vectorized_map": (lambda w: tf.reduce_sum(tf.vectorized_map(lambda e: e * w, TWO)), 3.0),
    "foldl": (lambda w: tf.foldl(lambda s, e: s * w + e, TWO), 1.0),
    "cond": (lambda w: tf.cond(w > 0, lambda: w * 3.0, lambda: -w), 3.0),
    "while_loop": (lambda w: repeated(lambda s: s * w, None), 36.0),
    "while_loop over it": (lambda w: repeated(lambda s: s * s, w), 1024.0),
    "map_fn over it": (lambda w: tf.reduce_sum(tf.map_fn(lambda e: e * e, w * TWO)), 20.0),
}


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("source, traced", [("variable", True), ("tensor", False), ("made", True)])
def test_a_source_that_only_a_body_reads(name, source, traced):
    fn, expected = LOOPS[name]
    w = tf.Variable(2.0) if source == "variable" else tf.constant(2.0)

    def step():
        with tf.GradientTape() as tape:
            if source != "variable":
                tape.watch(w)
            y = fn(tf.identity(w) if source == "made" else w)
        return tape.gradient(y, w)

    found = (tf.function(step) if traced else step)()
    assert shown(found) == expected


def test_tensors_of_one_array_are_two_sources():
    x = tf.constant([1.0, 2.0])
    y = tf.constant(x.unbox())
    with tf.GradientTape() as tape:
        tape.watch([x, y])
        z = tf.reduce_sum(tf.map_fn(lambda e: e * tf.reduce_sum(x), tf.constant([1.0, 2.0])))
    assert shown(tape.gradient(z, [x, y])) == [[3.0, 3.0], None]
    with tf.GradientTape() as tape:
        tape.watch([x, y])
        z = tf.function(lambda: tf.reduce_sum(x * x * y))()
    assert shown(tape.gradient(z, [x, y])) == [[2.0, 8.0], [1.0, 4.0]]


def test_a_layer_in_a_body():
    layer = keras.layers.Dense(1, kernel_initializer="ones")
    layer.build((None, 2))
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(tf.map_fn(lambda row: layer(row[None])[0], tf.ones((3, 2))))
    assert shown(tape.gradient(y, layer.trainable_variables)) == [[[3.0], [3.0]], [3.0]]


def test_a_tensor_that_a_function_closes_over():
    x = tf.constant(3.0)
    direct = tf.function(lambda y: y * x)
    direct(tf.constant(1.0))  # traced before anybody watched
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        h = x * x
        z = tf.function(lambda y: y * h)(tf.constant(2.0))
        by = direct(tf.constant(2.0))
    assert shown(tape.gradient(z, [x, h])) == [12.0, 2.0]
    assert shown(tape.gradient(by, x)) == 2.0


# -- custom gradients that close over a source ----------------------------------------------------


@pytest.mark.parametrize(
    "watched, traced, first, second",
    [
        (False, False, [96.0, None], 144.0),  # the gradient of what the function does
        (True, False, [None, 40.0], 40.0),  # the user's
        (True, True, [None, 40.0], 40.0),
    ],
)
def test_a_custom_gradient_that_closes_over_a_source(watched, traced, first, second):
    x = tf.constant(2.0)

    def step():
        y = tf.constant(3.0)
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch([x, y] if watched else x)
                h = x * x

                @tf.custom_gradient
                def function(y):
                    return y * h * h, lambda up: up * h * 10.0

                z = function(y)
            grads = inner.gradient(z, [x, y])
            total = tf.add_n([g for g in grads if g is not None])
        return [*grads, outer.gradient(total, x)]

    *grads, again = (tf.function(step) if traced else step)()
    grads = [0.0 if g is None and traced else g for g in grads]
    assert shown(again) == second
    assert [g or 0.0 for g in shown(grads)] == [g or 0.0 for g in first]


# -- what does not depend -------------------------------------------------------------------------


def test_no_gradient_passes_these():
    x = tf.Variable([1.3, 2.0])
    functions = {
        "argmax": tf.argmax,
        "stop_gradient": tf.stop_gradient,
        "round": tf.round,
        "floor": tf.floor,
        "ceil": tf.math.ceil,
        "zeros_like": tf.zeros_like,
        "floordiv": lambda x: x // 2.0,
        "through integers": lambda x: tf.cast(tf.cast(x, tf.int32), tf.float32),
    }
    for name, fn in functions.items():
        with tf.GradientTape(persistent=True) as tape:
            y = fn(x)
        assert tape.gradient(y, x) is None, name
    with tf.GradientTape(persistent=True) as tape:
        y = tf.sign(x)
        part = tf.stop_gradient(x) * x
        hit = tf.cast(tf.argmax(x) == tf.constant(1, tf.int64), tf.float32)
        loss = tf.reduce_sum(x * x) + hit
    assert shown(tape.gradient(y, x)) == [0.0, 0.0]
    assert shown(tape.gradient(part, x)) == [1.3, 2.0]
    assert shown(tape.gradient(loss, x)) == [2.6, 4.0]


def test_weights_that_an_output_does_not_depend_on():
    i = keras.Input((2,))
    a, b = keras.layers.Dense(1), keras.layers.Dense(1)
    model = keras.Model(i, [a(i), b(i)])
    with tf.GradientTape() as tape:
        first, _ = model(tf.ones((1, 2)))
    assert [g is None for g in tape.gradient(first, a.weights + b.weights)] == [0, 0, 1, 1]


def test_a_batch_jacobian_of_what_does_not_depend_is_zeros():
    x, y = tf.constant([[1.0, 2.0]]), tf.constant([[3.0]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([x, y])
        z = y * 2
    assert shown(tape.batch_jacobian(z, x)) == [[[0.0, 0.0]]]


# -- models ---------------------------------------------------------------------------------------


class Both(keras.Model):
    def __init__(self):
        super().__init__()
        self.first = keras.layers.Dense(3, "relu", kernel_initializer="ones")
        self.second = keras.layers.Dense(2, kernel_initializer="ones")

    def call(self, x):
        h = self.first(x)
        return h, self.second(h)


def functional():
    i = keras.Input((2,))
    h = keras.layers.Dense(3, "relu", kernel_initializer="ones")(i)
    return keras.Model(i, [h, keras.layers.Dense(2, kernel_initializer="ones")(h)])


@pytest.mark.parametrize("make", [Both, functional])
@pytest.mark.parametrize("traced", [False, True])
def test_one_output_of_a_model_by_another(make, traced):
    model = make()
    x = tf.constant([[1.0, 2.0]])
    model(x)

    def step():
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            h, o = model(x)
            score = o[:, 0]
        return [*tape.gradient(score, [h, x]), *tape.gradient(score, model.trainable_variables)]

    by_h, by_x, *by_weights = (tf.function(step) if traced else step)()
    assert shown(by_h) == [[1.0, 1.0, 1.0]] and shown(by_x) == [[3.0, 3.0]]
    assert shown(by_weights) == [
        [[1.0] * 3, [2.0] * 3],
        [1.0] * 3,
        [[3.0, 0.0]] * 3,
        [1.0, 0.0],
    ]


def test_a_class_activation_map():
    i = keras.Input((6, 6, 1))
    c = keras.layers.Conv2D(2, 3, kernel_initializer="ones", name="conv")(i)
    p = keras.layers.GlobalAveragePooling2D()(c)
    model = keras.Model(i, keras.layers.Dense(3, kernel_initializer="ones")(p))
    maps = keras.Model(model.inputs, [model.get_layer("conv").output, model.output])
    x = np.arange(36, dtype="float32").reshape(1, 6, 6, 1)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as tape:
            features, predictions = maps(x)
            score = predictions[:, 1] ** 2
        grads = tape.gradient(score, features)
        total = tf.reduce_sum(grads * features)
    np.testing.assert_allclose(grads, np.full((1, 4, 4, 2), 2 * 315 / 16), rtol=1e-6)
    kernel = model.get_layer("conv").kernel
    again = outer.gradient(total, kernel)  # of 2 * score
    with tf.GradientTape() as tape:
        twice = 2 * model(x)[:, 1] ** 2
    np.testing.assert_allclose(again, tape.gradient(twice, kernel), rtol=1e-5)


def test_what_is_one_tensor_is_one_source():
    i = keras.Input((2,))
    h = keras.layers.Dense(2, kernel_initializer="ones")(i)
    model = keras.Model(i, [i, h, h])
    x = tf.ones((1, 2))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        a, b, c = model(x)
        s = tf.reduce_sum(b)
    assert a is x and b is c
    assert shown(tape.gradient(s, [a, c])) == [[[2.0, 2.0]], [[1.0, 1.0]]]


def test_an_activity_loss_by_the_output_that_it_regularizes():
    layer = keras.layers.Dense(1, kernel_initializer="ones", activity_regularizer="l2")
    x = tf.constant([[1.0, 2.0]])
    with tf.GradientTape(persistent=True) as tape:
        y = layer(x)
        (loss,) = layer.losses
    np.testing.assert_allclose(tape.gradient(loss, y), [[0.06]], rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(loss, layer.kernel), [[0.06], [0.12]], rtol=1e-6)


def test_weights_of_frozen_layers_have_gradients():
    layer = keras.layers.Dense(1, kernel_initializer="ones")
    layer.build((None, 2))
    layer.trainable = False
    norm = keras.layers.BatchNormalization()
    norm.build((None, 1))
    with tf.GradientTape() as tape:
        y = norm(layer(tf.ones((1, 2))))
    found = tape.gradient(y, [*layer.weights, *norm.weights])
    assert [g is None for g in found] == [False, False, False, False, True, True]


def test_a_functional_model_made_while_a_tape_records():
    w = tf.Variable([[1.0, 2.0]])
    with tf.GradientTape() as tape:
        i = keras.Input((2,))
        layer = keras.layers.Dense(2, kernel_initializer="ones")
        model = keras.Model(i, keras.layers.Add()([layer(i), i]))
        y = tf.reduce_sum(model(w * 1.0))
    assert shown(tape.gradient(y, w)) == [[3.0, 3.0]]


def test_a_reset_takes_a_tape_that_records():
    tape = tf.GradientTape(persistent=True)
    with tape, tape.stop_recording(), pytest.raises(ValueError, match="not recording"):
        tape.reset()


def test_a_variable_that_a_layer_or_a_loss_closes_over():
    w, scale = tf.Variable(2.0), tf.Variable(1.0, trainable=False)
    layer = keras.layers.Lambda(lambda x: x * w * scale)
    loss = keras.losses.MeanSquaredError()
    x = tf.ones((1, 2))
    for value, factor in ((2.0, 1.0), (5.0, 3.0)):  # their values when they are read count
        w.assign(value)
        scale.assign(factor)
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(layer(x))
        assert shown(y) == 2 * value * factor and shown(tape.gradient(y, w)) == 2 * factor
    assert isinstance(loss(x, x), tf.Tensor)


def test_what_is_given_a_variable_gives_a_tensor():
    w = tf.Variable([[1.0, 2.0]])
    y = keras.layers.Dense(2)(w)
    assert isinstance(y, tf.Tensor) and isinstance(keras.ops.sin(w), tf.Tensor)
    with tf.GradientTape() as tape:
        tape.watch(y)
        z = tf.reduce_sum(y)
    assert shown(tape.gradient(z, y)) == [[1.0, 1.0]]


def test_a_tensor_that_only_a_branch_in_a_function_reads():
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.function(lambda a: tf.cond(a > 0, lambda: a * x, lambda: a))(tf.constant(2.0))
    assert shown(tape.gradient(y, x)) == 2.0


# -- threads and memory ---------------------------------------------------------------------------


def test_a_followed_tensor_has_its_value_in_other_threads_while_it_is_traced():
    x, seen = tf.constant(3.0), []

    def body(e):
        with concurrent.futures.ThreadPoolExecutor(1) as other:
            seen.append(other.submit(x.numpy).result())
        return e * x

    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(tf.map_fn(body, tf.constant([1.0, 2.0])))
    assert seen and set(seen) == {3.0}
    assert shown(tape.gradient(y, x)) == 3.0


def test_nothing_of_a_model_outlives_it():
    def taped():
        model = keras.Sequential([keras.layers.Dense(3, "tanh"), keras.layers.Dense(3)])
        with tf.GradientTape() as tape:
            y = model(tf.ones((2, 3)))
            loss = tf.reduce_mean(tf.function(lambda x: model(x) * x)(y))
        gradients = tape.gradient(loss, model.trainable_variables)
        assert all(g is not None for g in gradients)
        return weakref.ref(model)

    def counted():
        gc.collect()
        programs = jax.devices()[0].client.live_executables()
        jaxprs = [o for o in gc.get_objects() if type(o).__name__ == "Jaxpr"]
        return len(programs), len(jaxprs)

    taped()
    before = counted()
    models = [taped(), taped()]
    assert counted() == before
    assert [model() for model in models] == [None, None]


# -- what is followed without a gradient, and what is the same tensor -----------------------------


@pytest.mark.parametrize(
    "function", [tf.floor, tf.round, tf.zeros_like, tf.ones_like, lambda x: x // 2.0]
)
def test_a_result_that_no_gradient_passes_can_be_a_source(function):
    x = tf.constant([1.5, 2.5])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = function(x)
        z = y * x
    assert shown(tape.gradient(z, y)) == [1.5, 2.5]
    assert tape.gradient(y, x) is None


@pytest.mark.parametrize(
    "function",
    [tf.stop_gradient, lambda x: tf.cast(x > 2.0, tf.float32), keras.ops.stop_gradient],
)
def test_a_result_that_is_no_source(function):
    x = tf.constant([1.5, 2.5])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
        z = y * x
    assert tape.gradient(z, y) is None


def test_zeros_for_an_unconnected_source_can_be_a_source_of_an_outer_tape():
    w, v = tf.Variable([1.0, 2.0]), tf.Variable([3.0, 4.0])
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            y = v * 2.0
        zeros = inner.gradient(y, w, unconnected_gradients="zero")
        z = zeros * 3.0
    assert shown(outer.gradient(z, zeros)) == [3.0, 3.0]


@pytest.mark.parametrize(
    "function",
    [
        tf.math.conj,
        tf.math.real,
        lambda x: tf.nn.dropout(x, 0.0),
        lambda x: tf.add_n([x]),
        lambda x: tf.cast(x, tf.float32),
        keras.layers.Dropout(0.5),
        keras.Sequential([keras.Input((2,)), keras.layers.Dropout(0.5)]),
    ],
)
def test_what_does_nothing_gives_the_tensor_itself(function):
    x = tf.constant([[1.0, 2.0]])
    assert function(x) is x
    with tf.GradientTape() as tape:
        tape.watch(x)
        assert function(x) is x
        y = function(x) * 2.0
    assert shown(tape.gradient(y, x)) == [[2.0, 2.0]]


def test_a_layer_that_does_nothing_gives_the_variable_itself():
    w = tf.Variable([[1.0, 2.0]])
    assert keras.layers.Dropout(0.5)(w) is w


def test_what_is_watched_while_no_tape_records_is_passed_over():
    x, y = tf.constant(2.0), tf.constant(3.0)
    with tf.GradientTape(persistent=True) as tape:
        with tape.stop_recording():
            tape.watch(x)
            with tf.GradientTape():
                tape.watch(y)
        z = x * x + y * y
    assert shown(tape.gradient(z, [x, y])) == [None, 6.0]


def test_a_jacobian_by_a_variable_that_is_its_own_target():
    w = tf.Variable([[3.0, 1.0]])
    with tf.GradientTape(persistent=True) as tape:
        assert shown(tape.batch_jacobian(w, w)) == [[[1.0, 0.0], [0.0, 1.0]]]
        assert shown(tape.jacobian(w, w)) == [[[[1.0, 0.0]], [[0.0, 1.0]]]]


# -- what a layer's call reads from around it -----------------------------------------------------

factor = tf.constant(2.0)


def scaled_by_a_global(x):
    return x * factor


class Scaled(keras.layers.Layer):
    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def call(self, x):
        return self.helper(x) * self.scale

    def helper(self, x):
        return scaled_by_a_global(x)


def test_a_tensor_that_a_layer_closes_over():
    w, a = tf.constant(2.0), tf.constant([[1.0, 2.0]])
    layer = keras.layers.Lambda(lambda x: x * w)
    assert shown(layer(a)) == [[2.0, 4.0]]  # compiled while no tape follows it
    with tf.GradientTape() as tape:
        tape.watch(w)
        v = w * w
        y = layer(a) + keras.layers.Lambda(lambda x: x * v)(a)
    assert shown(tape.gradient(y, w)) == 15.0
    held = Scaled(tf.constant(3.0))
    with tf.GradientTape() as tape:
        tape.watch(held.scale)
        y = held(a)
    assert shown(tape.gradient(y, held.scale)) == 6.0


def test_what_a_layer_reads_from_around_it_may_come_to_be_something_else(monkeypatch):
    a, w = tf.constant([[1.0, 2.0]]), 2.0
    layers = [keras.layers.Lambda(lambda x: x * w), Scaled(1.0)]
    assert [shown(layer(a)) for layer in layers] == [[[2.0, 4.0]]] * 2
    w = 3.0
    monkeypatch.setitem(globals(), "factor", tf.constant(4.0))
    assert [shown(layer(a)) for layer in layers] == [[[3.0, 6.0]], [[4.0, 8.0]]]
    with tf.GradientTape() as tape:
        tape.watch(factor)
        y = layers[1](a)
    assert shown(tape.gradient(y, factor)) == 3.0


def made_around(built):
    """A layer that normalizes by a model that only functions of closures refer to."""
    norm = keras.layers.BatchNormalization()
    model = keras.Sequential([keras.layers.Dense(2, kernel_initializer="ones"), norm])
    if built:
        model.build((None, 2))

    def inner(x):
        return model(x, training=True)

    class Around(keras.layers.Layer):
        def call(self, x):
            return inner(x)

    return Around(), norm, model


@pytest.mark.parametrize("built", [False, True])
def test_a_layer_changes_variables_of_closures(built):
    x = tf.constant([[1.0, 2.0]])
    layer, norm, model = made_around(built)
    with tf.GradientTape() as tape:
        y = layer(x)
    bias = tape.gradient(y, model.trainable_variables)[-1]
    layer(x)
    assert (shown(y), shown(bias)) == ([[0.0, 0.0]], [1.0, 1.0])
    np.testing.assert_allclose(norm.moving_mean, [0.0597, 0.0597], rtol=1e-5)

    count, weight = tf.Variable(0.0, trainable=False), tf.Variable(2.0)

    def counted(x):
        count.assign_add(1.0)
        return weight * x * count

    layer = keras.layers.Lambda(lambda x: counted(x))
    found = []
    for _ in range(3):
        with tf.GradientTape() as tape:
            y = layer(x)
        found.append((shown(y), shown(tape.gradient(y, weight))))
    assert found == [([[2.0, 4.0]], 3.0), ([[4.0, 8.0]], 6.0), ([[6.0, 12.0]], 9.0)]
    assert shown(count) == 3.0


def test_no_gradient_passes_through_assignments_in_a_layer():
    class Assigning(keras.layers.Layer):
        def build(self, shape):
            self.v = self.add_weight(shape=(2,), initializer="ones")
            self.w = self.add_weight(shape=(), initializer="ones")

        def call(self, x):
            self.v.assign(x * self.w * 3.0)
            return self.v * self.w * x

    layer, x = Assigning(), tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    assert shown(tape.gradient(y, [x, layer.v, layer.w])) == [[3.0, 6.0], [1.0, 2.0], 15.0]
