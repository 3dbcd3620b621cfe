import types

import jax
import numpy as np
import pytest

from keraslike import tf
from keraslike.core import rng

from .reference import REFERENCE

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def names():
    t = tf.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    return {"tf": tf, "np": np, "t": t, "im": tf.reshape(tf.range(18.0), [1, 3, 3, 2])}


@pytest.mark.parametrize(
    "expression, dtype, shape, values", REFERENCE, ids=[r[0] for r in REFERENCE]
)
def test_as_tensorflow(names, expression, dtype, shape, values):
    found = eval(expression, names)
    assert isinstance(found, tf.Tensor)
    assert (found.dtype.name, tuple(found.shape)) == (dtype, shape)
    kind = complex if dtype.startswith("complex") else float
    np.testing.assert_allclose(
        np.asarray(found).astype(kind), np.array(values, kind), rtol=2e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    "expression, error, match",
    [
        ("tf.constant(2.) + tf.constant(40)", "InvalidArgumentError", "float32.*int32"),
        (
            "tf.constant(2.) + tf.constant(40., tf.float64)",
            "InvalidArgumentError",
            "to be a float.*double",
        ),
        (
            "tf.constant(2., tf.float64) + tf.constant(40.)",
            "InvalidArgumentError",
            "to be a double",
        ),
        ("tf.constant(1) + 1.5", "InvalidArgumentError", "int32.*float"),
        ("tf.maximum(t, tf.constant(1))", "InvalidArgumentError", "maximum"),
        ("tf.where(t > 2, t, tf.constant(1))", "InvalidArgumentError", "where"),
        ("tf.concat([t, tf.constant([[1]])], 0)", "InvalidArgumentError", "concat.*float.*int32"),
        ("tf.add_n([t, tf.constant(1.)])", "InvalidArgumentError", "same shape"),
        (
            "tf.random.uniform_candidate_sampler([[3]], 1, 2, True, 3)",
            "InvalidArgumentError",
            "true_classes must be from 0 to 2",
        ),
        ("tf.linalg.eigvalsh([[np.nan, 1.], [1., 1.]])", "InvalidArgumentError", "NaN"),
        ("tf.linalg.logm(tf.zeros((2, 3), tf.complex64))", "InvalidArgumentError", "square"),
        (
            "tf.linalg.eigh_tridiagonal([2.], tf.zeros(0), select='v', select_range=(1, 1))",
            "InvalidArgumentError",
            "select_range",
        ),
        ("tf.TensorArray(tf.float32, 1).split([1., 2.], 1)", "InvalidArgumentError", "vector"),
        ("tf.random.stateless_normal([-1], [1, 2])", "InvalidArgumentError", "shape must be"),
        ("tf.random.poisson([2**62], [1., 1.])", "InvalidArgumentError", "shape must be"),
        ("tf.sqrt(4)", "InvalidArgumentError", "sqrt.*int32"),
        ("tf.matmul(t, t)", "InvalidArgumentError", r"\(2, 3\) and \(2, 3\)"),
        ("tf.matmul(t, [1., 2., 3.])", "InvalidArgumentError", "2 axes"),
        ("tf.case([(tf.constant(False), lambda: 1)])", "InvalidArgumentError", "0 of 1"),
        (
            "tf.case([(tf.constant(True), lambda: 1)] * 2, lambda: 2, exclusive=True)",
            "InvalidArgumentError",
            "2 of 2",
        ),
        ("tf.Variable([0, 1]).assign_add(1)", "InvalidArgumentError", "must be equal"),
    ],
)
def test_what_does_not_fit(names, expression, error, match):
    with pytest.raises(getattr(tf.errors, error), match=match):
        eval(expression, names)


@pytest.mark.parametrize(
    "expression, error, match",
    [
        ("tf.constant([[1, 2], [3]])", ValueError, "different lengths"),
        ("tf.constant(2.5, dtype=tf.int32)", TypeError, "int32"),
        ("tf.constant([1, 2, 3], shape=(2, 2))", TypeError, "shape"),
        ("tf.constant('a') + 1", Exception, "string"),
        ("tf.constant(object())", ValueError, "object"),
        ("tf.convert_to_tensor(t, tf.int32)", ValueError, "int32.*float32"),
        ("tf.add_n([])", ValueError, "inputs"),
        ("tf.concat([], 0)", ValueError, "concat"),
        ("tf.add(1)", TypeError, "missing the arguments: y"),
        ("t[5]", IndexError, "5 is out of bounds"),
        ("t[..., 5]", IndexError, "5 is out of bounds"),
        ("t[tf.constant([0, 1])]", TypeError, "gather"),
        ("t['a']", TypeError, "'a'"),
        ("hash(t)", TypeError, "unhashable"),
        ("tf.device('/XPU:7')", ValueError, "xpu"),
        ("len(tf.constant(1))", TypeError, "scalar"),
        ("iter(tf.constant(1))", TypeError, "scalar"),
        ("tf.as_dtype('what')", TypeError, "what"),
        ("tf.boolean_mask(t, [True, False, True])", ValueError, "mask"),
        ("tf.image.resize(im, [2, 2], 'area!')", ValueError, "method"),
        ("tf.random.uniform([2], dtype=tf.int32)", ValueError, "maxval"),
        ("tf.case([(tf.constant(1), lambda: 1)], lambda: 2)", TypeError, "booleans"),
        ("tf.switch_case(tf.constant(1.0), [lambda: 1, lambda: 2])", TypeError, "integer"),
        ("tf.switch_case(tf.constant(0), [])", ValueError, "at least one"),
        ("tf.while_loop(lambda: False, lambda: 1, [])", ValueError, "at least one"),
        ("tf.scan(lambda s, x: (s, x), t, tf.zeros([3]))", ValueError, "nested"),
        ("tf.foldl(lambda s, x: [s[0], x], t, (tf.zeros([3]),) * 2)", TypeError, "tuple and list"),
        ("tf.map_fn(lambda x: x, [t, 1])", ValueError, "one or more axes"),
        ("tf.map_fn(lambda x: x, [])", ValueError, "one or more axes"),
    ],
)
def test_bad_arguments(names, expression, error, match):
    with pytest.raises(error, match=match):
        eval(expression, names)


def test_64_bits_survive_and_the_rest_of_the_program_stays_as_it_is():
    import jax.numpy as jnp

    x = tf.constant(np.arange(3.0))
    for y in (x, x + 1, tf.exp(x), tf.reduce_sum(x, keepdims=True), tf.concat([x, x], 0), x[1:]):
        assert y.dtype is tf.float64
    np.testing.assert_allclose(tf.exp(x), np.exp(np.arange(3.0)), rtol=1e-15)
    big = tf.constant(2**40) * 3
    assert big.dtype is tf.int64 and int(big) == 3 * 2**40
    assert jnp.asarray(np.arange(3.0)).dtype == jnp.float32


def test_random_numbers():
    tf.random.set_seed(3)
    first = tf.random.normal([2000], mean=2.0, stddev=3.0)
    second = tf.random.normal([2000])
    tf.random.set_seed(3)
    again = tf.random.normal([2000], mean=2.0, stddev=3.0)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)
    assert abs(float(tf.reduce_mean(first)) - 2) < 0.3
    assert abs(float(tf.math.reduce_std(first)) - 3) < 0.3
    drawn = tf.random.uniform([500], 3, 6, dtype=tf.int32)
    assert drawn.dtype is tf.int32 and set(drawn.numpy().tolist()) == {3, 4, 5}
    assert tf.random.normal([2], dtype=tf.float64).dtype is tf.float64
    assert float(tf.reduce_max(tf.abs(tf.random.truncated_normal([500])))) <= 2
    assert sorted(tf.random.shuffle([1, 2, 3]).numpy().tolist()) == [1, 2, 3]
    assert tf.random.categorical([[0.0, 100.0]], 5).numpy().tolist() == [[1] * 5]
    a, b = (tf.random.Generator.from_seed(1).normal([3]) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    kept = tf.nn.dropout(tf.ones([1000]), 0.25)
    assert np.unique(kept).round(4).tolist() == [0.0, np.float32(1.3333)]


def test_draws_after_a_model_of_tf_keras_drew_its_weights_first(monkeypatch):
    """The global stream is then one whose values are tensors."""
    monkeypatch.setattr(rng, "_global", None)
    tf.keras.Sequential([tf.keras.layers.Embedding(3, 2)]).build((4, 5))
    assert isinstance(rng.draw_key(None), jax.Array)
    assert tf.random.categorical([[0.0, 100.0]], 3).numpy().tolist() == [[1] * 3]
    assert tf.random.uniform([2]).shape == [2]
    assert tf.is_tensor(tf.keras.random.SeedGenerator(1).next())


def test_shapes_of_a_traced_function_have_values():
    """`tf.shape(x)` can be a shape while a layer's output shape is traced, whatever the batch."""
    import keraslike as keras

    class Noise(keras.layers.Layer):
        def call(self, x, training=None):
            return x + tf.random.normal(tf.shape(x), stddev=0.1) if training else x

    inputs = keras.Input((3,))
    outputs = Noise()(inputs, training=True)
    assert outputs.shape == (None, 3)
    model = keras.Model(inputs, outputs)
    assert model(np.ones((5, 3))).shape == (5, 3)


def test_functions_of_tf_make_functional_models(names):
    import keraslike as keras

    inputs = keras.Input((3,))
    outputs = tf.reduce_sum(tf.square(inputs) + 1.0, axis=1)
    model = keras.Model(inputs, outputs)
    np.testing.assert_allclose(model.predict(np.asarray(names["t"]), verbose=0), [17.0, 80.0])


@pytest.mark.parametrize("module", ["math", "nn", "linalg", "image", "signal", "random", "errors"])
def test_the_public_face(module):
    of = getattr(tf, module)
    assert dir(of) == sorted(of.__all__)
    for name in of.__all__:
        value = getattr(of, name)
        others = int, types.ModuleType, types.SimpleNamespace
        assert callable(value) or isinstance(value, others), name
    assert module in dir(tf) and not {n for n in dir(tf) if not hasattr(tf, n)}
    assert not {"ops", "tensor", "recording", "sys"} & set(dir(tf))
    assert issubclass(tf.keras.layers.Dense, __import__("keraslike").layers.Dense)


def test_one_hot_of_text():
    found = tf.one_hot([0, 2], 3, "on", "off")
    assert found.numpy().tolist() == [[b"on", b"off", b"off"], [b"off", b"off", b"on"]]


NARROW = ("bool", "int8", "uint8", "int16", "uint16", "uint32", "uint64")
WHOLE = (*NARROW, "int32", "int64")


@pytest.mark.parametrize(
    ("function", "kinds"),
    [
        (lambda x: tf.matmul(x, x), NARROW),
        (lambda x: tf.linalg.matvec(x, x[0]), NARROW),
        (lambda x: tf.tensordot(x, x, 1), NARROW),
        (lambda x: tf.einsum("ij,jk->ik", x, x), NARROW),
        (lambda x: tf.linalg.tensor_diag(x), NARROW),
        (lambda x: tf.math.squared_difference(x, x), NARROW),
        (lambda x: tf.nn.moments(x, [0]), NARROW),
        (lambda x: tf.clip_by_norm(x, 1.0), WHOLE),
        (lambda x: tf.nn.avg_pool1d(x[..., None], 2, 1, "VALID"), WHOLE),
        (lambda x: tf.nn.conv1d(x[..., None], x[..., None], 1, "SAME"), (*NARROW, "int64")),
        (lambda x: tf.nn.avg_pool3d(x[..., None, None, None], 1, 1, "SAME"), WHOLE),
        (lambda x: tf.math.nextafter(x, x), ("float16", "bfloat16")),
    ],
)
def test_numbers_that_would_overflow_unnoticed_are_refused(function, kinds):
    """As in TensorFlow, which has no kernels for them."""
    for kind in kinds:
        with pytest.raises(tf.errors.InvalidArgumentError):
            function(tf.cast([[1, 0], [1, 1]], kind))


def test_products_of_eight_bits_in_more_bits():
    a, b = tf.constant([[100, 100], [1, 2]], tf.int8), tf.constant([[100], [100]], tf.int8)
    found = tf.matmul(a, b, output_type=tf.int32)
    assert found.dtype == tf.int32 and found.numpy().tolist() == [[20000], [300]]
    same = tf.matmul(tf.cast(a, "float32"), tf.cast(b, "float32"), output_type=tf.float32)
    assert same.numpy().tolist() == [[20000], [300]]
    with pytest.raises(tf.errors.NotFoundError, match="output_type"):
        tf.matmul(a, b, output_type=tf.float32)
    with pytest.raises(tf.errors.InvalidArgumentError, match="adjoint"):
        tf.linalg.matvec([[1.0]], [1.0], transpose_a=True, adjoint_a=True)


def test_the_python_function_of_a_method_is_bound():
    class Scaled:
        def __init__(self, factor):
            self.factor = factor

        @tf.function
        def times(self, x):
            return self.factor * x

    method = Scaled(3.0).times
    assert method.python_function(tf.constant(2.0)).numpy() == 6.0
    assert tf.function(method.python_function)(tf.constant(2.0)).numpy() == 6.0
