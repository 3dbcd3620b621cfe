"""The chapter's section on tensors, and what its printed results are."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from keraslike import tf


@pytest.fixture
def t():
    return tf.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


@pytest.mark.parametrize(
    "expression, printed",
    [
        (
            "tf.constant([[1., 2., 3.], [4., 5., 6.]])",
            "<tf.Tensor: shape=(2, 3), dtype=float32, numpy=\n"
            "array([[1., 2., 3.],\n       [4., 5., 6.]], dtype=float32)>",
        ),
        ("tf.constant(42)", "<tf.Tensor: shape=(), dtype=int32, numpy=42>"),
        ("t.shape", "TensorShape([2, 3])"),
        ("t.dtype", "tf.float32"),
        (
            "t[..., 1, tf.newaxis]",
            "<tf.Tensor: shape=(2, 1), dtype=float32, numpy=\n"
            "array([[2.],\n       [5.]], dtype=float32)>",
        ),
        (
            "t @ tf.transpose(t)",
            "<tf.Tensor: shape=(2, 2), dtype=float32, numpy=\n"
            "array([[14., 32.],\n       [32., 77.]], dtype=float32)>",
        ),
        (
            "tf.constant(np.array([2., 4., 5.]))",
            "<tf.Tensor: shape=(3,), dtype=float64, numpy=array([2., 4., 5.])>",
        ),
        (
            "tf.square(np.array([2., 4., 5.]))",
            "<tf.Tensor: shape=(3,), dtype=float64, numpy=array([ 4., 16., 25.])>",
        ),
        (
            "np.array(t)",
            "array([[1., 2., 3.],\n       [4., 5., 6.]], dtype=float32)",
        ),
        (
            "np.square(t)",
            "array([[ 1.,  4.,  9.],\n       [16., 25., 36.]], dtype=float32)",
        ),
        (
            "tf.constant(2.0) + tf.cast(tf.constant(40., dtype=tf.float64), tf.float32)",
            "<tf.Tensor: shape=(), dtype=float32, numpy=42.0>",
        ),
        ("tf.constant(True)", "<tf.Tensor: shape=(), dtype=bool, numpy=True>"),
        ("tf.constant('hi')", "<tf.Tensor: shape=(), dtype=string, numpy=b'hi'>"),
        (
            "tf.constant(['a', 'b'])",
            "<tf.Tensor: shape=(2,), dtype=string, numpy=array([b'a', b'b'], dtype=object)>",
        ),
        ("tf.exp(1.)", "<tf.Tensor: shape=(), dtype=float32, numpy=2.7182817459106445>"),
        ("tf.constant(1j)", "<tf.Tensor: shape=(), dtype=complex128, numpy=1j>"),
        ("tf.TensorShape([None, 3])", "TensorShape([None, 3])"),
        ("str(t)", "'tf.Tensor(\\n[[1. 2. 3.]\\n [4. 5. 6.]], shape=(2, 3), dtype=float32)'"),
        ("str(tf.constant(4.))", "'tf.Tensor(4.0, shape=(), dtype=float32)'"),
        ("f'{tf.constant(2.5):.2f}'", "'2.50'"),
    ],
)
def test_printed(t, expression, printed):
    assert repr(eval(expression, {"tf": tf, "np": np, "t": t})) == printed


def test_what_a_tensor_is(t):
    assert t.shape == (2, 3) and t.shape.as_list() == [2, 3] and t.shape.rank == 2
    assert t.dtype == tf.float32 and t.dtype == np.float32 and t.dtype == "float32"
    assert t.dtype != tf.float64 and {tf.float32: 1}[t.dtype] == 1
    assert isinstance(t.numpy(), np.ndarray) and isinstance(tf.constant(1).numpy(), np.int32)
    assert float(tf.constant(2.0)) == 2.0 and bool(tf.constant(3) > 2) and len(t) == 2
    assert [row.numpy().tolist() for row in t] == [[1, 2, 3], [4, 5, 6]]
    assert [10, 20, 30][tf.constant(1)] == 20
    assert {t.ref(): "t"}[t.ref()] == "t" and t.ref().deref() is t
    assert repr(t.ref()) == f"<Reference wrapping {t!r}>"
    assert isinstance(tf.keras.backend.eval(t), np.ndarray)
    assert tf.is_tensor(t) and not tf.is_tensor(np.ones(1))


def test_to_jax_and_numpy_and_back(t):
    np.testing.assert_array_equal(jnp.square(t), np.square(t.numpy()))
    np.testing.assert_array_equal(
        jax.jit(lambda x: x @ x.T)(jnp.asarray(t)), t.numpy() @ t.numpy().T
    )
    for other in (np.ones((2, 3), "float32"), jnp.ones((2, 3))):
        assert isinstance(t + other, tf.Tensor)
        np.testing.assert_array_equal(np.asarray(other + t), t.numpy() + 1)
    assert isinstance(np.ones(3) * t, tf.Tensor)
    assert jax.tree.leaves(t)[0] is t.unbox()
    doubled = jax.jit(lambda x: x * 2)(t)
    assert isinstance(doubled, tf.Tensor) and doubled.dtype is tf.float32


@pytest.mark.parametrize("value", [1.5, "text", [["a", "b"]], np.arange(3), 2**40, True])
def test_pickles_and_copies(value):
    tensor = tf.constant(value)
    again = pickle.loads(pickle.dumps(tensor))
    assert again.dtype is tensor.dtype and repr(again) == repr(tensor)
    assert copy.deepcopy({"a": tensor})["a"] is tensor
    assert copy.deepcopy(tensor.dtype) is tensor.dtype
    assert pickle.loads(pickle.dumps(tensor.shape)) == tensor.shape


def test_layers_losses_and_metrics_take_either(t):
    import keraslike as keras

    keras.utils.set_random_seed(0)
    layer = keras.layers.Dense(1)
    plain = layer(t.numpy())
    assert isinstance(plain, jax.Array)
    boxed = layer(t)
    assert isinstance(boxed, tf.Tensor)
    np.testing.assert_array_equal(boxed, plain)
    y = tf.constant([[1.0], [2.0]])
    loss = keras.losses.MeanSquaredError()
    np.testing.assert_allclose(float(loss(y, boxed)), float(loss(y.numpy(), plain)), rtol=1e-6)
    assert isinstance(keras.losses.mean_squared_error(y, boxed), tf.Tensor)
    metric = keras.metrics.MeanAbsoluteError()
    metric.update_state(y, boxed)
    np.testing.assert_allclose(float(metric.result()), np.abs(y.numpy() - plain).mean(), rtol=1e-6)
    assert isinstance(keras.ops.square(t), tf.Tensor)
    model = keras.Sequential([layer])
    model.compile("sgd", "mse")
    model.fit(t, y, verbose=0)


def test_a_size_that_is_unknown():
    shape = tf.TensorShape([None, 3])
    assert shape.as_list() == [None, 3] and not shape.is_fully_defined()
    assert shape.num_elements() is None and tf.TensorShape([2, 3]).num_elements() == 6
    assert shape.is_compatible_with([5, 3]) and not shape.is_compatible_with([5, 4])
    assert shape[:1] + [4] == tf.TensorShape([None, 4])
    assert tf.TensorShape(shape.as_list()[:-1] + [7]) == (None, 7)


def test_what_is_made_of_a_numpy_array_has_memory_of_its_own():
    from keraslike.core import host

    for make in (tf.constant, tf.convert_to_tensor, tf.Variable, tf.identity):
        given = host.memory((16,), "float32")  # which JAX would share
        given[:] = 1
        made = make(given)
        given[:] = 2
        assert np.asarray(made).tolist() == [1] * 16


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: tf.reduce_mean(tf.constant([True, False])),
        lambda: tf.reduce_sum(tf.constant([1, 2]) == [1, 3]),
        lambda: tf.constant([True]) + tf.constant([True]),
        lambda: tf.constant([1 + 1j]) < tf.constant([2 + 0j]),
        lambda: tf.maximum(tf.constant([1 + 1j]), tf.constant([2 + 0j])),
        lambda: tf.reduce_any(tf.constant([1, 0])),
        lambda: tf.logical_not(tf.constant([1])),
        lambda: tf.floor(tf.constant([1])),
        lambda: tf.math.is_nan(tf.constant([1])),
        lambda: -tf.constant([1], tf.uint8),
        lambda: tf.math.l2_normalize(tf.constant([1, 2])),
        lambda: tf.constant([2]) ** tf.constant([-1]),
    ],
)
def test_dtypes_that_tensorflow_refuses_are_refused(attempt):
    with pytest.raises(tf.errors.InvalidArgumentError):
        attempt()


@pytest.mark.parametrize(
    "value, dtype, expected",
    [
        (lambda: tf.bitcast(tf.constant([[1, 0]]), tf.int64), "int64", [1]),
        (lambda: tf.math.count_nonzero(tf.constant([True, False])), "int64", 1),
        (lambda: tf.math.reduce_euclidean_norm([1, 2]), "int32", 2),
        (lambda: tf.math.reduce_euclidean_norm([1 + 1j, 2 + 0j]), "complex128", 6**0.5),
        (lambda: tf.math.divide_no_nan(*[tf.constant([1], tf.int8)] * 2), "float32", [1.0]),
        (lambda: tf.math.l2_normalize([3j, 4 + 0j]), "complex128", [0.6j, 0.8]),
    ],
)
def test_dtypes_of_results_are_those_of_tensorflow(value, dtype, expected):
    found = value()
    assert found.dtype.name == dtype
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_list_that_grows_is_concatenated_without_a_program_for_each_length(monkeypatch):
    parts, whole = [[float(i)] for i in range(9)], tf.zeros([0])
    with monkeypatch.context() as patched:
        patched.setattr(jax.numpy, "concatenate", None)
        for part in parts:
            whole = tf.concat([whole, part], 0)
    assert whole.numpy().tolist() == [part[0] for part in parts]
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.concat([whole, [[1.0]]], 0)


@pytest.mark.parametrize(
    ("name", "limit", "cast"),
    [("float8_e5m2", 57344, [1, 2.5, 3.5, -320]), ("float8_e4m3fn", 448, [1, 2.75, 3.75, -288])],
)
def test_floats_of_eight_bits(name, limit, cast):
    dtype = getattr(tf.dtypes.experimental, name)
    assert dtype is getattr(tf.experimental, name) is tf.as_dtype(name)
    assert (dtype.is_floating, dtype.size, float(dtype.max)) == (True, 1, limit)
    x = tf.cast([1, 2.7, 3.7, -300.0], dtype)
    assert x.dtype is dtype and tf.cast(x, tf.float32).numpy().tolist() == cast
    assert tf.reshape(tf.Variable(x), [2, 2])[0, 1].dtype is dtype
    assert tf.constant([1.0, 2.0], dtype).numpy().tolist() == [1, 2]
    proto = tf.make_tensor_proto(x[:1])
    assert (proto.dtype, len(proto.float8_val)) == (dtype.as_datatype_enum, 1)
    assert tf.make_ndarray(proto).dtype == dtype.as_numpy_dtype
    again = tf.io.parse_tensor(tf.io.serialize_tensor(x), dtype)
    np.testing.assert_array_equal(again.numpy(), x.numpy())
