"""Derivatives along with the values, of what a function has computed, and by variables that a
function changes. The values are TensorFlow 2.21's."""

import numpy as np
import pytest

from keraslike import tf

v = tf.Variable(3.0)


def plain(found):
    if isinstance(found, (list, tuple)):
        return [plain(f) for f in found]
    return found if found is None else np.asarray(found).tolist()


def test_derivatives_along_a_direction():
    x = tf.constant(3.0)
    with tf.autodiff.ForwardAccumulator(x, tf.constant(1.0)) as accumulator:
        y = x**2
        other = tf.constant(2.0) * 2.0
    assert plain(accumulator.jvp([y, other])) == [6.0, None]
    assert plain(accumulator.jvp(other, unconnected_gradients="zero")) == 0.0

    @tf.function
    def within():
        with tf.autodiff.ForwardAccumulator(x, tf.constant(1.0)) as accumulator:
            y = x**2
        return accumulator.jvp(y)

    assert plain(within()) == 6.0
    with pytest.raises(ValueError, match="like its primal"):
        tf.autodiff.ForwardAccumulator(x, tf.constant([1.0]))
    with pytest.raises(ValueError, match="1 primals and 2 tangents"):
        tf.autodiff.ForwardAccumulator([x], [x, x])


def test_derivatives_along_a_direction_of_gradients_and_gradients_of_these():
    w = tf.Variable([1.0, 2.0])
    with tf.autodiff.ForwardAccumulator(w, tf.constant([1.0, 0.0])) as accumulator:
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(w**3)
        slope = tape.gradient(y, w)
    assert plain(accumulator.jvp([slope, y])) == [[6.0, 0.0], 3.0]
    with (
        tf.GradientTape() as tape,
        tf.autodiff.ForwardAccumulator(w, tf.constant([1.0, 1.0])) as accumulator,
    ):
        along = accumulator.jvp(tf.reduce_sum(w**3))
    assert plain(tape.gradient(along, w)) == [6.0, 12.0]


@tf.custom_gradient
def hundredfold(x):
    return x * x, lambda upstream: upstream * 100.0


def test_a_gradient_that_was_written_is_not_that_along_a_direction():
    x = tf.constant(3.0)
    with tf.autodiff.ForwardAccumulator(x, tf.constant(2.0)) as accumulator:
        y = hundredfold(x)
    assert plain(accumulator.jvp(y)) == 12.0


def test_what_is_recomputed_has_the_gradient_of_what_it_computes():
    x = tf.constant(2.0)
    read = tf.recompute_grad(lambda x: x * v)
    v.assign(2.0)
    for call in (read, tf.function(read)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = call(x)
        assert plain(tape.gradient(y, [x, v])) == [2.0, 2.0]


def test_gradients_of_what_a_function_has_computed():
    x = tf.constant(3.0)

    def results(function):
        return plain(tf.function(function)(x))

    assert results(lambda x: tf.gradients(x * x, x)) == [6.0]
    both = results(lambda x: tf.gradients([x * x, x], [x], [tf.constant(2.0), tf.constant(3.0)]))
    assert both == [15.0]
    assert results(lambda x: tf.gradients(x * x, [x, tf.constant(1.0)])) == [6.0, None]

    def stopped(x):
        y = x * x
        return tf.gradients(y * x, [x], stop_gradients=[y])

    assert results(stopped) == [9.0]
    assert results(lambda x: tf.gradients(tf.gradients(x**3, x), x)) == [18.0]
    hessians = tf.function(lambda x: tf.hessians(tf.reduce_sum(x**3), x)[0])
    assert plain(hessians(tf.constant([3.0, 1.0]))) == [[18.0, 0.0], [0.0, 6.0]]
    with pytest.raises(RuntimeError, match="GradientTape"):
        tf.gradients(x * x, x)


def once(x):
    v.assign(x * x)
    return v * x


def added(x):
    y = v * x
    v.assign_add(y)
    return v * v + y


def in_a_branch(x):
    if x > 1.0:
        v.assign(v * x)
    return v * x


def in_a_loop(x):
    y = tf.constant(0.0)
    i = tf.constant(0)
    while tf.cast(i, tf.float32) < x + 1.0:
        y += v * x
        v.assign(v * x)
        i += 1
    return y


@pytest.mark.parametrize(
    ("function", "expected", "after"),
    [
        (once, [4.0, 2.0], 4.0),
        (added, [3.0, 20.0], 9.0),
        (in_a_branch, [6.0, 2.0], 6.0),
        (in_a_loop, [21.0, 6.0], 24.0),
    ],
)
def test_gradients_by_a_variable_that_a_function_changes(function, expected, after):
    x = tf.constant(2.0)
    for call in (function, tf.function(function)):
        v.assign(3.0)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = call(x)
        assert plain(tape.gradient(y, [x, v])) == expected and float(v) == after


def test_python_in_a_function_runs_each_time_and_has_a_gradient():
    calls = []

    def square(x):
        calls.append(1)
        return x * x

    @tf.function
    def squared(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.py_function(square, [x], tf.float32)
        return tape.gradient(y, x), tf.py_function(lambda: len(calls), [], tf.int32)

    assert plain(squared(tf.constant(3.0))) == [6.0, 1]
    assert plain(squared(tf.constant(4.0))) == [8.0, 2]


def test_forward_through_a_loop_of_unknown_length():
    @tf.function
    def slope(x, count):
        with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as accumulator:
            y = x
            for _ in tf.range(count):
                y *= x
        return accumulator.jvp(y)

    assert float(slope(tf.constant(2.0), tf.constant(4))) == 80.0


def test_forward_through_a_custom_gradient_without_operations():
    @tf.custom_gradient
    def sin(x):
        return np.sin(x.numpy()), lambda dy: dy * tf.cos(x)

    x, one = tf.constant([1.0, 2.0]), tf.ones(2)
    with tf.autodiff.ForwardAccumulator(x, one) as outer:
        with tf.autodiff.ForwardAccumulator(x, one) as inner:
            y = sin(x)
        slope = inner.jvp(y)
    np.testing.assert_allclose(slope, np.cos([1.0, 2.0]), rtol=1e-6)
    np.testing.assert_allclose(outer.jvp(slope), -np.sin([1.0, 2.0]), rtol=1e-6)


@pytest.mark.parametrize("decorate", [lambda f: f, tf.function])
def test_a_custom_gradient_holds_in_gradients_of_gradients(decorate):
    @tf.custom_gradient
    def squared(x):
        return x * x * 1.0, lambda upstream: upstream * 3.0

    x = tf.constant(2.0)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = decorate(lambda x: squared(x) ** 2)(x)
        slope = inner.gradient(y, x)
    assert (float(slope), float(outer.gradient(slope, x))) == (24.0, 18.0)  # 6 x**2, 6 * 3


def of_complex(call, *xs):
    with tf.GradientTape() as tape:
        tape.watch(xs)
        y = call(*xs)
    return [complex(g) for g in tape.gradient(y, xs)]


@pytest.mark.parametrize("decorate", [lambda f: f, tf.function])
def test_custom_gradients_of_complex_numbers_are_not_conjugated(decorate):
    @tf.custom_gradient
    def product(x, y):
        return x * y, lambda g: (g * (1.0 + 1.0j), np.complex64(3.0 - 1.0j))

    @tf.custom_gradient
    def square(x):
        return x * x, lambda g: g * (1.0 + 3.0j)

    x, y = tf.constant(1.0 + 2.0j, tf.complex64), tf.constant(2.0 - 1.0j, tf.complex64)
    assert of_complex(decorate(product), x, y) == [1.0 + 1.0j, 3.0 - 1.0j]
    assert of_complex(decorate(lambda x: tf.math.imag(square(x * y))), x) == [-7.0 - 1.0j]
    again = tf.recompute_grad(lambda x: tf.abs(x * x * y))
    (found,) = of_complex(decorate(again), x)
    assert found == pytest.approx(4.472136 + 8.944272j)


@pytest.mark.parametrize("decorate", [lambda f: f, tf.function], ids=["eager", "function"])
def test_custom_gradients_may_be_rows(decorate):
    @tf.custom_gradient
    def look(table, places):
        def grad(d):
            return tf.IndexedSlices(2.0 * d, places, tf.shape(table)), None

        return tf.gather(table, places), grad

    v = tf.Variable([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])

    @decorate
    def gradient():
        with tf.GradientTape() as tape:
            y = look(v, tf.constant([0, 2, 2])) ** 2
        return tf.convert_to_tensor(tape.gradient(y, v))

    assert gradient().numpy().tolist() == [[4.0, 8.0], [0.0, 0.0], [40.0, 48.0]]
    with tf.GradientTape() as tape:
        y = look(v, tf.constant([0, 2, 2])) ** 2
    rows = tape.gradient(y, v)
    assert rows.indices.numpy().tolist() == [0, 2, 2]
    assert rows.values.numpy().tolist() == [[4.0, 8.0], [20.0, 24.0], [20.0, 24.0]]


def test_no_gradient_passes_through_products_of_rows():
    v = tf.Variable([1.0, 2.0])

    @tf.function
    def scaled(x):
        v.scatter_mul(tf.IndexedSlices([x, x], [0, 0]))
        return v * x

    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = scaled(x)
    assert y.numpy().tolist() == [27.0, 6.0]
    assert [float(tape.gradient(y, x))] == [11.0]
