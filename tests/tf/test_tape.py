import jax
import jax.numpy as jnp
import numpy as np
import pytest

import keraslike as keras
from keraslike import tf

pytestmark = pytest.mark.slow


def f(w1, w2):
    return 3 * w1**2 + 2 * w1 * w2


@pytest.fixture
def w():
    return tf.Variable(5.0), tf.Variable(3.0)


def values(tree):
    return [None if g is None else np.asarray(g).tolist() for g in tree]


def test_the_chapter(w):
    w1, w2 = w
    with tf.GradientTape() as tape:
        z = f(w1, w2)
    assert repr(tape.gradient(z, [w1, w2])) == (
        "[<tf.Tensor: shape=(), dtype=float32, numpy=36.0>, "
        "<tf.Tensor: shape=(), dtype=float32, numpy=10.0>]"
    )
    with pytest.raises(RuntimeError, match="persistent"):
        tape.gradient(z, w1)
    with tf.GradientTape(persistent=True) as tape:
        z = f(w1, w2)
    assert values([tape.gradient(z, w1), tape.gradient(z, w2)]) == [36.0, 10.0]
    c1, c2 = tf.constant(5.0), tf.constant(3.0)
    with tf.GradientTape() as tape:
        z = f(c1, c2)
    assert tape.gradient(z, [c1, c2]) == [None, None]
    with tf.GradientTape() as tape:
        tape.watch(c1)
        tape.watch(c2)
        z = f(c1, c2)
    assert values(tape.gradient(z, [c1, c2])) == [36.0, 10.0]


def test_structures_and_options(w):
    w1, w2 = w
    other = tf.Variable([1.0, 2.0])
    with tf.GradientTape(persistent=True) as tape:
        z = f(w1, w2)
        y = {"a": z * 2, "b": [w1]}
    assert values(tape.gradient(y, [w1])) == [73.0]
    found = tape.gradient(z, {"x": w1, "y": (w2, other)})
    assert float(found["x"]) == 36.0 and values(found["y"]) == [10.0, None]
    assert values(tape.gradient([z, w1], [w1], output_gradients=[2.0, 3.0])) == [75.0]
    zeros = tape.gradient(z, other, unconnected_gradients="zero")
    assert zeros.numpy().tolist() == [0.0, 0.0]
    assert tape.gradient(tf.cast(z, tf.int32), w1) is None
    assert {v.ref() for v in tape.watched_variables()} == {w1.ref(), w2.ref()}
    with pytest.raises(ValueError, match="unconnected_gradients.*'no'"):
        tape.gradient(z, w1, unconnected_gradients="no")
    with pytest.raises(ValueError, match="output_gradients must have 1"):
        tape.gradient(z, w1, output_gradients=[1.0, 2.0])
    with pytest.raises(TypeError, match="sources.*str"):
        tape.gradient(z, "w1")


def test_what_is_recorded(w):
    w1, w2 = w
    with tf.GradientTape() as tape:
        y = w1 * w1
        with tape.stop_recording():
            z = w2 * w2
        total = y + z + tf.stop_gradient(w1)
    assert values(tape.gradient(total, [w1, w2])) == [10.0, None]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(w2)
        z = f(w1, w2)
    assert values(tape.gradient(z, [w1, w2])) == [None, 10.0]
    fixed = tf.Variable(2.0, trainable=False)
    with tf.GradientTape() as tape:
        z = fixed * w1
    assert values(tape.gradient(z, [fixed, w1])) == [None, 2.0]
    with tf.GradientTape() as tape:
        z = w1 * 2
        tape.reset()
        z = w1 * 3
    assert float(tape.gradient(z, w1)) == 3.0
    with tf.GradientTape() as tape, pytest.raises(ValueError, match="tf.constant"):
        tape.watch(np.ones(2))
    with tf.GradientTape() as tape, pytest.warns(UserWarning, match="int32"):
        tape.watch(tf.constant(1))  # passed over, as in TensorFlow


def test_values_before_a_change_count(w):
    w1, _ = w
    with tf.GradientTape() as tape:
        z = w1 * w1
        w1.assign(100.0)
    assert float(tape.gradient(z, w1)) == 10.0


CASES = {
    "slice": lambda x: x[0, 1:] * 2,
    "gather": lambda x: tf.gather(x, [1, 1, 0]),
    "where": lambda x: tf.where(x > 2, x * x, -x),
    "concat": lambda x: tf.concat([x, x * 2], 0),
    "matmul": lambda x: x @ tf.transpose(x),
    "reduce": lambda x: tf.reduce_mean(x, 0) * tf.reduce_max(x),
    "softmax": lambda x: tf.nn.softmax(x),
    "split": lambda x: tf.split(x, 3, axis=1)[1],
    "top_k": lambda x: tf.math.top_k(x, 2)[0],
    "scatter": lambda x: tf.tensor_scatter_nd_update(x, [[0, 0]], [9.0]) * x,
    "division": lambda x: 1 / x + x / 2,
    "norm": lambda x: tf.norm(x),
    "conv": lambda x: tf.nn.conv1d(x[None], tf.ones([2, 3, 1]), 1, "SAME"),
    "inv": lambda x: tf.linalg.inv(x @ tf.transpose(x) + tf.eye(2, dtype=x.dtype)),
    "ops": lambda x: keras.ops.square(x) + keras.ops.relu(x - 3.3),
    "map": lambda x: tf.map_fn(lambda row: tf.reduce_sum(row**2), x),
    "cond": lambda x: tf.cond(x[0, 0] > 0, lambda: x * 3, lambda: x),
    "loop": lambda x: tf.while_loop(lambda i, s: i < 3, lambda i, s: (i + 1, s * x), [0, x])[1],
    "array": lambda x: jnp.full((2, 3), 2.0) * x + np.full((2, 3), 3.0) * x,
}


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_jax_and_of_finite_differences(name):
    fn = CASES[name]
    x = tf.constant([[1.0, 2.5, 3.0], [4.0, 5.0, 6.5]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(tf.sin(fn(x)))
    grad = tf.convert_to_tensor(tape.gradient(y, x))  # of rows, if some are gathered
    assert grad.dtype is tf.float32
    by_jax = jax.grad(lambda v: tf.reduce_sum(tf.sin(fn(tf.constant(v)))).unbox())(jnp.asarray(x))
    np.testing.assert_allclose(grad, by_jax, rtol=1e-5, atol=1e-6)
    if name in ("conv", "array"):  # their constants are of 32 bits
        return
    wide = tf.constant(x.numpy().astype("float64"))
    with tf.GradientTape() as tape:
        tape.watch(wide)
        y = tf.reduce_sum(tf.sin(fn(wide)))
    grad = tf.convert_to_tensor(tape.gradient(y, wide))
    direction = np.random.default_rng(0).normal(size=(2, 3))
    up, down = (tf.reduce_sum(tf.sin(fn(wide + e * direction))) for e in (1e-6, -1e-6))
    np.testing.assert_allclose(
        float(up - down) / 2e-6, float(np.sum(np.asarray(grad) * direction)), rtol=1e-6, atol=1e-7
    )


def test_higher_orders():
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape() as third:
        third.watch(x)
        with tf.GradientTape(persistent=True) as second:
            second.watch(x)
            with tf.GradientTape() as first:
                first.watch(x)
                y = tf.reduce_sum(x**4)
            g = first.gradient(y, x)
        h = second.gradient(g, x)
    np.testing.assert_allclose(g, 4 * np.array([1, 8.0]))
    np.testing.assert_allclose(h, 12 * np.array([1, 4.0]))
    np.testing.assert_allclose(third.gradient(h, x), 24 * np.array([1, 2.0]))


def test_a_gradient_taken_within_the_tape_is_recorded():
    x = tf.Variable(3.0)
    with tf.GradientTape(persistent=True) as tape:
        y = x**3
        g = tape.gradient(y, x)
    assert float(tape.gradient(g, x)) == 18.0


def test_jacobians_and_hessians():
    x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    m = tf.constant([[1.0, 2.0, 0.0], [0.0, 1.0, 5.0]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([x, m])
        y = tf.square(x) @ m
    jac = tape.jacobian(y, [x, m])
    expected = jax.jacrev(lambda a, b: jnp.square(a) @ b, argnums=(0, 1))(*map(jnp.asarray, (x, m)))
    for ours, theirs in zip(jac, expected, strict=True):
        np.testing.assert_allclose(ours, theirs)
    assert tape.jacobian(y, tf.Variable(1.0)) is None
    assert tape.jacobian(y, tf.Variable(1.0), unconnected_gradients="zero").shape == (2, 3)
    batch = tape.batch_jacobian(y, x)
    np.testing.assert_allclose(batch, np.stack([expected[0][i, :, i] for i in range(2)]))
    with pytest.raises(ValueError, match="batch axis"):
        tape.batch_jacobian(y, tf.constant([1.0, 2.0, 3.0]))
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            z = tf.reduce_sum(x**3)
        g = inner.gradient(z, x)
    np.testing.assert_allclose(
        outer.jacobian(g, x), jax.hessian(lambda a: jnp.sum(a**3))(jnp.asarray(x))
    )
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            z = x**3
        rows = tf.reduce_sum(inner.jacobian(z, x))
    np.testing.assert_allclose(outer.gradient(rows, x), 6 * x.numpy())


def test_complex_gradients_are_tensorflow_s():
    z = tf.constant(1.0 + 2.0j)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(z)
        y = z * z
        size = tf.math.real(z) * tf.math.real(z) + tf.math.imag(z)
    assert tape.gradient(y, z).numpy() == 2 - 4j  # as TensorFlow 2.21 gives them
    assert tape.gradient(size, z).numpy() == 2 + 1j


def test_a_plain_function_of_jax_cannot_lose_a_gradient_in_silence(w):
    w1, _ = w
    x = tf.constant([1.0, 2.0])
    layer = keras.layers.Dense(1)
    layer.build((None, 2))
    with tf.GradientTape() as tape:
        tape.watch(x)
        for recorded in (x, x * 2, w1, layer.kernel):
            for plain in (jnp.square, jnp.asarray, jax.jit(lambda a: a), jnp.sum, jax.nn.relu):
                with pytest.raises(TypeError, match="keraslike.op"):
                    plain(recorded)
        square = keras.op(lambda a: jnp.square(a) * 2)  # the way that the message names
        y = tf.reduce_sum(square(x))
        number = jnp.square(3.0)  # nothing that is recorded
    assert tape.gradient(y, x).numpy().tolist() == [4.0, 8.0] and number == 9
    jnp.square(x)  # the tape is over
    with tf.GradientTape() as tape:
        y = w1 * 2
    with pytest.raises(TypeError, match="are not recorded"):
        tape.gradient(jnp.square(y), w1)


# -- custom gradients ---------------------------------------------------------------------------


@tf.custom_gradient
def my_better_softplus(z):
    exp = tf.exp(z)

    def my_softplus_gradients(grad):
        return grad / (1 + 1 / exp)

    return tf.math.log(exp + 1), my_softplus_gradients


def gradient_of(fn, x):
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = fn(x)
    return tape.gradient(y, x)


def test_the_chapter_s_softplus():
    naive = gradient_of(lambda z: tf.math.log(tf.exp(z) + 1.0), [1000.0, 0.0])
    assert np.isnan(naive[0]) and float(naive[1]) == 0.5
    assert gradient_of(my_better_softplus, [1000.0, 0.0]).numpy().tolist() == [1.0, 0.5]
    by_jax = jax.grad(lambda z: my_better_softplus(z).unbox())
    assert float(by_jax(1000.0)) == 1.0
    assert float(jax.jit(by_jax)(1000.0)) == 1.0


def test_several_inputs_and_outputs():
    @tf.custom_gradient
    def both(a, b):
        return (a + b, a * b), lambda up, vp: (10 * up, 100 * vp)

    a, b = tf.constant(2.0), tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        total, product = both(a, b)
        y = total + 2 * product
    assert values([total, product]) == [5.0, 6.0]
    assert values(tape.gradient(y, [a, b])) == [10.0, 200.0]

    @tf.custom_gradient
    def wrong(a, b):
        return a + b, lambda up: up

    with tf.GradientTape() as tape:
        tape.watch(a)
        y = wrong(a, b)
    with pytest.raises(ValueError, match="2 gradients.*returned 1"):
        tape.gradient(y, a)


def test_variables_that_the_function_reads(w):
    w1, _ = w
    layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    layer.build((None, 2))

    @tf.custom_gradient
    def scaled(x):
        def grad(up, variables=None):
            assert set(map(id, variables)) == {id(w1), id(layer.kernel)}
            return 7 * up, [tf.ones(v.shape) * i for i, v in enumerate(variables)]

        return tf.reduce_sum(layer(x)) * w1, grad

    x = tf.constant([[1.0, 2.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = scaled(x)
    assert float(y) == 15.0
    by_x, by_w, by_kernel = tape.gradient(y, [x, w1, layer.kernel])
    assert by_x.numpy().tolist() == [[7.0, 7.0]]
    assert {float(by_w), float(np.max(by_kernel))} == {0.0, 1.0}

    @tf.custom_gradient
    def forgets(x):
        return x * w1, lambda up: up

    with tf.GradientTape() as tape, pytest.raises(TypeError, match="variables="):
        tape.watch(x)
        forgets(x)


def test_nested_and_second_order():
    @tf.custom_gradient
    def cube(x):
        return x**3, lambda up: up * square(x)

    @tf.custom_gradient
    def square(x):
        return 3 * x**2, lambda up: up * 6 * x * 10  # ten times what it is

    x = tf.constant(2.0)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = cube(x)
        g = inner.gradient(y, x)
    assert float(g) == 12.0
    assert float(outer.gradient(g, x)) == 120.0


def test_as_the_activation_of_a_model_that_is_saved(tmp_path):
    model = keras.Sequential([keras.layers.Dense(4, my_better_softplus), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01), "mse")
    x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    losses = model.fit(x, x[:, 0], epochs=2, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    for ending in ("keras", "h5"):
        model.save(tmp_path / f"m.{ending}")
        again = keras.saving.load_model(
            tmp_path / f"m.{ending}", custom_objects={"my_better_softplus": my_better_softplus}
        )
        np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_a_custom_gradient_of_none():
    @tf.custom_gradient
    def product(x, y):
        return x * y, lambda upstream: (upstream, None)

    @tf.custom_gradient
    def scaled(x):
        return x * w, lambda upstream, variables=None: (upstream, [None for _ in variables])

    x, w = tf.constant(2.0), tf.Variable(3.0)
    for y in (product(x, w), scaled(x)):
        assert float(y) == 6.0
    functions = [lambda: product(x, w), lambda: scaled(x), lambda: product(x, w * 2.0)]
    for function in (*functions, *map(tf.function, functions)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function()
        by_x, by_w = tape.gradient(y, [x, w])
        assert float(by_x) == 1.0 and by_w is None


def test_a_custom_gradient_that_should_take_variables_is_refused_at_the_call():
    w = tf.Variable(3.0)
    function = tf.custom_gradient(lambda x: (x * w, lambda upstream: upstream))
    for call in (function, tf.function(function)):
        with pytest.raises(TypeError, match="variables"):
            call(tf.constant(1.0))


def test_a_custom_gradient_reads_a_variable_when_it_is_taken():
    square = tf.custom_gradient(lambda x: (x * x, lambda upstream: upstream * 2.0 * x))
    w = tf.Variable(3.0)
    with tf.GradientTape() as tape:
        y = square(w)
        w.assign(5.0)
    assert float(tape.gradient(y, w)) == 10.0  # as TensorFlow has it


def test_structures_and_gradients_that_pass_through():
    x, y = tf.constant(2.0), tf.constant(3.0)
    found = tf.nest.map_structure(lambda a, b: a * b, {"b": x, "a": [y]}, {"b": y, "a": [y]})
    assert [float(leaf) for leaf in tf.nest.flatten(found)] == [9.0, 6.0]
    assert tf.nest.pack_sequence_as(found, [1, 2]) == {"b": 2, "a": [1]}
    with pytest.raises(ValueError):
        tf.nest.assert_same_structure([1, 2], [1, [2]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        rounded = tf.grad_pass_through(tf.round)(x * 0.8)
        one, none = tf.tuple([x * x, None])
    assert float(rounded) == 2.0 and float(tape.gradient(rounded, x)) == pytest.approx(0.8)
    assert float(tape.gradient(one, x)) == 4.0 and none is None


_TABLE = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
_SQUARES = ([[2.0, 4.0], [10.0, 12.0], [2.0, 4.0]], [0, 2, 0])
# What TensorFlow 2.21 gives: values and indices, or the whole gradient.
_BY_ROWS = {
    "gather": (lambda v: tf.gather(v, [0, 2, 0]) ** 2, _SQUARES),
    "matrix of indices": (
        lambda v: tf.gather(v, [[0, 2], [1, 0]]) ** 2,
        ([[2.0, 4.0], [10.0, 12.0], [6.0, 8.0], [2.0, 4.0]], [0, 2, 1, 0]),
    ),
    "scalar": (lambda v: tf.gather(v, 1) ** 2, ([[6.0, 8.0]], [1])),
    "axis": (lambda v: tf.gather(v, [1], axis=1), [[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]),
    "embedding_lookup": (lambda v: tf.nn.embedding_lookup(v, [0, 2, 0]) ** 2, _SQUARES),
    "sparse_read": (lambda v: v.sparse_read([0, 2, 0]) ** 2, _SQUARES),
    "twice": (
        lambda v: tf.reduce_sum(tf.gather(v, [0, 2])) + 3 * tf.reduce_sum(tf.gather(v, [1])),
        ([[1.0, 1.0], [1.0, 1.0], [3.0, 3.0]], [0, 2, 1]),
    ),
    "and whole": (
        lambda v: tf.reduce_sum(tf.gather(v, [0])) + tf.reduce_sum(v),
        [[2.0, 2.0], [1.0, 1.0], [1.0, 1.0]],
    ),
    "of a result": (
        lambda v: tf.gather(v * 2, [0, 2, 0]),
        [[4.0, 4.0], [0.0, 0.0], [2.0, 2.0]],
    ),
    "sparse combination": (
        lambda v: tf.nn.embedding_lookup_sparse(
            v, tf.SparseTensor([[0, 0], [0, 1], [1, 0]], [0, 2, 0], [2, 2]), None, combiner="sum"
        ),
        ([[2.0, 2.0], [1.0, 1.0]], [0, 2]),
    ),
    "safe sparse combination": (
        lambda v: tf.nn.safe_embedding_lookup_sparse(
            v, tf.SparseTensor([[0, 0], [0, 1], [1, 0]], [2, 0, 2], [2, 2]), None, combiner="sum"
        ),
        ([[2.0, 2.0], [1.0, 1.0]], [2, 0]),
    ),
    "identity": (lambda v: tf.gather(tf.identity(v), [0, 2, 0]) ** 2, _SQUARES),
    "conversion": (lambda v: tf.gather(tf.convert_to_tensor(v), [0, 2, 0]) ** 2, _SQUARES),
    "read_value": (lambda v: tf.gather(v.read_value(), [0, 2, 0]) ** 2, _SQUARES),
    "negative": (lambda v: tf.gather(-v, [0, 2, 0]) ** 2, _SQUARES),
    "segments": (
        lambda v: tf.sparse.segment_sum(v, [0, 2], [0, 0]),
        [[1.0, 1.0], [0.0, 0.0], [1.0, 1.0]],
    ),
}


@pytest.mark.parametrize("name", _BY_ROWS)
@pytest.mark.parametrize("compiled", ["", "tape", "function"])
def test_a_gradient_of_gathered_rows_has_those_rows(name, compiled):
    function, expected = _BY_ROWS[name]
    v = tf.Variable(_TABLE)
    if compiled == "function" and name != "negative":  # whose result is an input of the gathering
        function = tf.function(function)

    def gradient():
        with tf.GradientTape() as tape:
            y = function(v)
        return tape.gradient(y, v)

    if compiled == "tape" and "sparse combination" in name:  # by values that a trace does not know
        return
    grad = (tf.function(gradient) if compiled == "tape" else gradient)()
    if isinstance(expected, list):
        assert isinstance(grad, tf.Tensor) and grad.numpy().tolist() == expected
    else:
        assert isinstance(grad, tf.IndexedSlices)
        assert (grad.values.numpy().tolist(), grad.indices.numpy().tolist()) == expected
        assert grad.dense_shape.numpy().tolist() == [3, 2]


def test_rows_gathered_in_a_function_on_a_tape():
    v, w = tf.Variable(_TABLE), tf.Variable([[1.0], [2.0]], dtype=tf.float64)
    c = tf.constant(_TABLE)

    def rows(function, source, *args):
        with tf.GradientTape() as tape:
            tape.watch(source)
            y = function(*args)
        grad = tape.gradient(y, source)
        if not isinstance(grad, tf.IndexedSlices):
            return grad if grad is None else grad.numpy().tolist()
        return grad.values.numpy().tolist(), grad.indices.numpy().tolist()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32)])
    def unknown(indices):
        return tf.reduce_sum(tf.gather(v, indices) ** 2)

    @tf.function
    def of_argument(x, indices):
        return tf.gather(x, indices) ** 2

    @tf.function
    def captured():
        return tf.gather(c, [0, 2, 0]) ** 2

    @tf.function
    def nested(indices):
        return 2 * of_argument(v, indices)

    @tf.function
    def rows_of_rows(indices):
        return tf.gather(tf.gather(v, indices), [0, 0])

    @tf.function
    def unused(indices):
        tf.gather(v, indices)
        return tf.reduce_sum(c)

    @tf.function
    def of_both(indices):
        return tf.reduce_sum(tf.gather(v, indices)) + tf.reduce_sum(v[0])

    @tf.function
    def cast(indices):
        return tf.gather(w, indices) ** 2

    indices = tf.constant([0, 2, 0])
    assert rows(unknown, v, indices) == _SQUARES
    assert rows(unknown, v, indices[1:]) == ([[10.0, 12.0], [2.0, 4.0]], [2, 0])
    assert rows(of_argument, c, c, indices) == _SQUARES and rows(captured, c) == _SQUARES
    assert rows(nested, v, indices) == ([[4.0, 8.0], [20.0, 24.0], [4.0, 8.0]], [0, 2, 0])
    expected = [[2.0, 2.0], [0.0, 0.0], [0.0, 0.0]]
    assert rows(rows_of_rows, v, indices) == (expected, [0, 2, 0])
    assert rows(unused, v, indices) is None
    assert rows(of_both, v, indices) == [[3.0, 3.0], [0.0, 0.0], [1.0, 1.0]]
    assert rows(cast, w, tf.constant([1, 1], tf.int64)) == ([[4.0], [4.0]], [1, 1])
    with tf.GradientTape() as tape:
        y = unknown(indices)
    (clipped,), norm = tf.clip_by_global_norm([tape.gradient(y, v)], 1.0)
    assert norm.numpy() == np.float32(16.852299) and clipped.indices.numpy().tolist() == [0, 2, 0]
    with tf.GradientTape() as outer:
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(of_argument(v, indices) ** 2)
        again = tf.reduce_sum(tape.gradient(y, v).values ** 2)
    grad = outer.gradient(again, v)
    assert grad.values.numpy().tolist()[0] == [96.0, 96.0 * 2**5]  # the derivative of 16 x**6
    assert grad.indices.numpy().tolist() == [0, 2, 0]


def test_a_function_of_unknown_sizes_has_gradients_only_for_what_it_reads():
    v, w = tf.Variable(2.0), tf.Variable(3.0)

    @tf.function(input_signature=[tf.TensorSpec([None]), tf.TensorSpec([None])])
    def function(x, y):
        w.assign_add(1.0)
        return v * x, tf.floor(w) * y

    x, y = tf.constant([1.0, 2.0]), tf.constant([3.0, 4.0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([x, y])
        out = function(x, y)
    assert tape.gradient(out[0], w) is None
    assert tape.gradient(out[1], v).numpy() == 0.0  # which the function has a gradient for
    assert tape.gradient(out, [v, x, y])[2].numpy().tolist() == [4.0, 4.0]


def test_embeddings_in_layers_and_models_have_gradients_by_rows():
    def gradients(function, weights):
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(function(tf.constant([[1, 1, 3]])) ** 2)
        return tape.gradient(y, weights)

    def rows(grad):
        assert isinstance(grad, tf.IndexedSlices)
        return grad.values.numpy().tolist(), grad.indices.numpy().tolist()

    embedding = keras.layers.Embedding(5, 2, embeddings_initializer="ones")
    dense = keras.layers.Dense(1, kernel_initializer="ones")
    model = keras.Sequential([embedding, dense])
    model.build((None, 3))
    of_model = tf.function(lambda x: model(x))
    for compiled in ("", "tape", "function"):
        function = tf.function(gradients) if compiled == "tape" else gradients
        called = of_model if compiled == "function" else model
        grads = function(called, model.trainable_variables)
        assert rows(grads[0]) == ([[4.0, 4.0]] * 3, [1, 1, 3])
        assert grads[1].numpy().tolist() == [[12.0], [12.0]]
        assert tf.linalg.global_norm(grads).numpy() == np.float32(22.97825)  # rows are not added
    tied = lambda x: embedding(x) @ tf.transpose(embedding.embeddings)  # noqa: E731
    layer = keras.layers.Lambda(tied)
    assert isinstance(gradients(layer, embedding.embeddings), tf.Tensor)

    class Squares(keras.layers.Layer):
        def build(self, shape):
            self.w = self.add_weight((4, 1), initializer="ones")

        def call(self, x):
            return tf.gather(self.w, x) * tf.gather_nd(self.w, [[0], [2]])[1]

    squares = Squares()
    squares(tf.constant([0]))
    assert rows(gradients(squares, squares.w)) == (
        [[2.0], [2.0], [2.0], [0.0], [6.0]],
        [1, 1, 3, 0, 2],
    )


def test_gradients_by_rows_are_clipped_by_rows_and_applied_as_a_whole():
    v = tf.Variable(_TABLE)
    with tf.GradientTape() as tape:
        y = tf.gather(v, [0, 2, 0]) ** 2
    clipped, norm = tf.clip_by_global_norm([tape.gradient(y, v), tf.constant([1.0])], 1.0)
    assert norm.numpy() == np.float32(16.881943)  # TensorFlow's: rows of one index are not added
    keras.optimizers.SGD(1.0).apply_gradients([(clipped[0], v)])
    expected = [[0.7630604, 1.526121], [3.0, 4.0], [4.407651, 5.289181]]
    np.testing.assert_allclose(v.numpy(), expected, rtol=1e-5)
    with tf.GradientTape() as tape:
        y = tf.gather(v, [0]) ** 2
    assert tape.jacobian(y, v).shape == (1, 2, 3, 2)
    assert tf.Variable(v).shape == (3, 2)


def test_ragged_tensors_and_structures_of_tensors_have_gradients():
    x = tf.ragged.constant([[1.0], [2.0, 3.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * x
    assert tape.gradient(y, x).to_list() == [[2.0], [4.0, 6.0]]

    @tf.custom_gradient
    def product(named, listed):
        return named["a"] * named["b"] + listed[0], lambda dy: (10 * dy, 20 * dy, 30 * dy)

    v = tf.Variable(1.0)
    with tf.GradientTape() as tape:
        y = product({"a": v, "b": 2 * v}, [3 * v])
    assert float(tape.gradient(y, v)) == 10 + 20 * 2 + 30 * 3


def test_a_custom_gradient_may_read_a_tensor_of_the_enclosing_trace():
    v = tf.Variable(2.0)

    @tf.function
    def scaled(x):
        @tf.custom_gradient
        def once():
            def gradient(dy, variables=None):
                return (), [dy * x]

            return v * x, gradient

        return once()

    with tf.GradientTape() as tape:
        y = scaled(tf.constant(3.0))
    assert float(tape.gradient(y, v)) == 3.0


def test_forward_derivatives_of_loops():
    def power(n, x):
        return tf.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, y * x), (0, x))[1]

    for function in (power, tf.function(power)):
        x = tf.constant(2.0)
        with tf.autodiff.ForwardAccumulator(x, tf.constant(1.0)) as accumulator:
            y = function(tf.constant(3), x)
        assert float(accumulator.jvp(y)) == 32.0
    with pytest.raises(ValueError, match="several times"):
        tf.autodiff.ForwardAccumulator([x, x], [tf.constant(1.0)] * 2)


def test_jacobians_of_nothing():
    @tf.function
    def jacobian(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = x**2
        return tape.batch_jacobian(y, x)

    assert jacobian(tf.zeros([1, 0])).shape == (1, 0, 0)


def test_functions_that_pick_rows_have_gradients_as_a_whole_where_tensorflow_has():
    picked = {
        "boolean_mask": lambda v: tf.boolean_mask(v, [True, False]),
        "last axis": lambda v: tf.gather(v, [0, 0], axis=-1),
        "reorder": lambda v: tf.sparse.reorder(tf.SparseTensor([[1], [0]], v, [2])).values,
        "slice": lambda v: tf.sparse.slice(tf.SparseTensor([[0], [1]], v, [2]), [0], [1]).values,
    }
    v = tf.Variable([1.0, 2.0])
    for name, function in picked.items():
        for called in (function, tf.function(function)):
            with tf.GradientTape() as tape:
                y = called(v)
            assert isinstance(tape.gradient(y, v), tf.Tensor), name
    with tf.GradientTape() as tape:
        y = tf.sparse.retain(tf.SparseTensor([[0], [1]], v, [2]), [False, True]).values
    assert tape.gradient(y, v).indices.numpy().tolist() == [1]


def test_second_derivatives_of_functions_are_zero_where_the_first_ones_depend_on_values():
    a, b = tf.constant(2.0), tf.constant(3.0)
    # What TensorFlow 2.21 gives: the derivatives of each gradient with respect to both inputs.
    expected = [
        (lambda a, b: a + b, [[None, None], [None, None]]),
        (lambda a, b: a * b, [[0.0, 1.0], [1.0, 0.0]]),
        (lambda a, b: (a * a, b), [[2.0, 0.0], [0.0, 0.0]]),
        (lambda a, b: tf.cond(a > 0.0, lambda: 2.0 * a, lambda: b * b), [[0.0, 0.0], [0.0, 0.0]]),
        (lambda a, b: a * a + 0.0 * tf.stop_gradient(b), [[2.0, None]]),
        # They have factors that are results of the function: constants, for example.
        (lambda a, b: 3.0 * a + b, [[0.0, 0.0], [0.0, 0.0]]),
        (lambda a, b: a * tf.stop_gradient(b), [[0.0, None]]),
        (lambda a, b: (3.0 * a, a * a), [[2.0, None]]),
        (lambda a, b: tf.foldl(lambda c, e: c * 2.0, tf.range(2), a), [[0.0, None]]),
        (lambda a, b: tf.nn.relu(a) + tf.nn.leaky_relu(b), [[0.0, 0.0], [0.0, 0.0]]),
        (lambda a, b: tf.reduce_mean(tf.stack([a, b])), [[None, None], [None, None]]),
    ]
    for function, second in expected:
        called = tf.function(function)
        with tf.GradientTape(persistent=True) as outer:
            outer.watch([a, b])
            with tf.GradientTape() as inner:
                inner.watch([a, b])
                y = called(a, b)
            first = inner.gradient(y, [a, b])
        found = [outer.gradient(g, [a, b]) for g in first if g is not None]
        assert [[h if h is None else h.numpy() for h in row] for row in found] == second


def test_text_has_no_gradient():
    text, x = tf.Variable("abc"), tf.constant(2.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * tf.cast(tf.strings.length(text), tf.float32)
    assert tape.gradient(y, text) is None and float(tape.gradient(y, x)) == 3.0
    zero = tape.gradient(y, text, unconnected_gradients="zero")
    assert (zero.dtype, zero.numpy()) == (tf.string, b"")
