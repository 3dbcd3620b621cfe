"""`tf.keras` gives tensors; gradients at kinks and ties, and named results, are TensorFlow's.

The numbers are what TensorFlow 2.21 printed.
"""

import collections

import jax
import numpy as np
import pytest

import keraslike
from keraslike import tf
from keraslike.tf import keras


def gradients(function, *values):
    sources = [tf.Variable(np.float32(v)) for v in values]
    with tf.GradientTape() as tape:
        y = function(*sources)
    found = tape.gradient(y, sources)
    return [None if g is None else np.round(np.asarray(g, "float64"), 3).tolist() for g in found]


@pytest.mark.slow
@pytest.mark.parametrize(
    "function, values, expected",
    [
        (tf.abs, [[0.0, -2.0, 3.0]], [[0.0, -1.0, 1.0]]),
        (tf.maximum, [1.0, 1.0], [1.0, 0.0]),
        (tf.minimum, [1.0, 1.0], [1.0, 0.0]),
        (tf.pow, [-2.0, 2.0], [-4.0, 0.0]),
        (tf.math.xlogy, [0.0, 0.0], [0.0, 0.0]),
        (tf.math.multiply_no_nan, [1.0, 0.0], [0.0, 1.0]),
        (lambda x: tf.clip_by_value(x, -1.0, 1.0), [[-1.0, 0.0, 1.0, 2.0]], [[1.0, 1.0, 1.0, 0.0]]),
        (tf.sign, [1.3], [0.0]),
        (tf.round, [1.3], [None]),
        (tf.floor, [1.3], [None]),
        (lambda x: x // 2.0, [5.0], [None]),
        (lambda x: tf.zeros_like(x) + tf.ones_like(x), [1.3], [None]),
        (lambda x: tf.norm(x, ord=1), [[3.0, -4.0, 0.0]], [[1.0, -1.0, 0.0]]),
        (lambda x: tf.clip_by_norm(x, 1.0), [[0.0, 0.0]], [[1.0, 1.0]]),
        (tf.nn.selu, [0.0], [1.051]),
        (
            lambda z: tf.nn.sigmoid_cross_entropy_with_logits(tf.constant([0.0, 1.0, 0.5]), z),
            [[0.0, 0.0, 0.0]],
            [[0.5, -0.5, 0.0]],
        ),
        (
            lambda z: tf.nn.softmax_cross_entropy_with_logits(tf.constant([0.0, 1.0, 0.5]), z),
            [[0.0, 0.0, 0.0]],
            [[0.333, -0.667, -0.167]],
        ),
        (
            lambda x: tf.math.unsorted_segment_prod(x, tf.constant([0, 0, 1]), 3),
            [[0.0, 2.0, 0.0]],
            [[2.0, 0.0, 1.0]],
        ),
        (
            lambda m: tf.reduce_max(tf.linalg.eigh(m)[0]),
            [[[2.0, 1.0], [1.0, 3.0]]],
            [[[0.276, 0.0], [0.894, 0.724]]],
        ),
        (tf.linalg.logdet, [[[2.0, 1.0], [1.0, 3.0]]], [[[0.6, -0.2], [-0.2, 0.4]]]),
        (lambda p: keras.losses.MeanAbsoluteError()([[1.0]], p), [[[1.0]]], [[[0.0]]]),
        (lambda p: keras.losses.Hinge()(tf.constant([[1.0]]), p), [[[1.0]]], [[[-1.0]]]),
        (keraslike.ops.abs, [0.0], [0.0]),
        (keraslike.regularizers.L1(0.1), [[0.0, 1.0]], [[0.0, 0.1]]),
    ],
)
def test_gradients_at_kinks_and_ties_are_those_of_tensorflow(function, values, expected):
    assert gradients(function, *values) == expected


def test_a_root_of_relu_has_no_gradient_at_zero():
    (g,) = gradients(lambda x: tf.sqrt(tf.nn.relu(x)), [-1.0, 1.0, 4.0])
    assert np.isnan(g[0]) and g[1:] == [0.5, 0.25]


def test_outside_of_tf_gradients_are_those_of_keras_on_jax():
    assert float(jax.grad(keraslike.ops.abs)(0.0)) == 1.0
    assert float(jax.grad(lambda x: keraslike.ops.maximum(x, 0.0))(0.0)) == 0.5


def test_results_with_names():
    x = tf.constant([3.0, 1.0, 2.0])
    top = tf.math.top_k(x, 2)
    assert top.values.numpy().tolist() == [3.0, 2.0] and top.indices.numpy().tolist() == [0, 2]
    found = tf.unique(tf.constant([7, 1, 7]))
    assert found.y.numpy().tolist() == [7, 1] and found.idx.numpy().tolist() == [0, 1, 0]
    assert tf.linalg.qr(tf.eye(2)).r.shape == (2, 2)
    assert tf.abs(tf.complex(3.0, 4.0)).numpy() == 5.0
    assert tf.strided_slice([1, 2, 3, 4], [1], [4], [2]).numpy().tolist() == [2, 4]
    assert tf.linalg.set_diag(tf.zeros((2, 2)), [7.0, 8.0]).numpy().tolist() == [[7, 0], [0, 8]]


x = np.ones((2, 3), "float32")


class Doubled(keras.layers.Layer):
    def call(self, inputs):
        return 2.0 * inputs


def test_names_of_tf_keras_give_tensors():
    from keraslike.tf.keras.layers import Dense

    model = keras.Sequential([Dense(2, activation=keras.activations.relu), Doubled(), Dense(1)])
    assert model(x).numpy().shape == (2, 1)
    model.compile(loss="mae", optimizer="sgd", metrics=["mae"])
    model.fit(x, x[:, :1], verbose=0)
    results = jax.tree.leaves([m.result() for m in model.metrics], is_leaf=tf.is_tensor)
    assert results and all(isinstance(r, tf.Tensor) for r in results)
    metric = keras.metrics.Mean()
    metric(2.0)
    assert metric.result().numpy() == 2.0
    assert keras.losses.MeanSquaredError()(x, x).numpy() == 0.0
    assert keras.ops.sum(x).numpy() == 6.0
    assert keras.initializers.Zeros()((2,)).numpy().tolist() == [0.0, 0.0]
    assert isinstance(model.predict(x, verbose=0), np.ndarray)


def test_objects_of_tf_keras_are_those_of_keraslike(tmp_path):
    dense = keras.layers.Dense(2)
    assert type(dense) is keraslike.layers.Dense and isinstance(dense, keras.layers.Layer)
    assert isinstance(keraslike.layers.Dense(1), keras.layers.Dense)
    assert issubclass(Doubled, keraslike.layers.Layer) and not isinstance(dense, Doubled)
    model = keraslike.Sequential([dense, Doubled()])
    assert isinstance(model(x), jax.Array)  # who did not ask gets arrays
    model.save(tmp_path / "m.keras")
    known = {"Doubled": Doubled}
    plain = keraslike.models.load_model(tmp_path / "m.keras", custom_objects=known)
    spoken = keras.models.load_model(tmp_path / "m.keras", custom_objects=known)
    assert isinstance(plain(x), jax.Array) and isinstance(spoken(x), tf.Tensor)
    np.testing.assert_allclose(plain(x), spoken(x))


@pytest.mark.parametrize("module, slope", [(keras, 0.0), (keraslike, 0.1)])
def test_kinks_in_fit(module, slope):
    """Where a prediction is right, or a weight is 0: TensorFlow's choice, or Keras's on JAX."""
    layer = module.layers.Dense(1, kernel_initializer="zeros", use_bias=False)
    model = module.Sequential([module.Input((2,)), layer])
    model.compile(optimizer=module.optimizers.SGD(0.1), loss="mae")
    model.fit(np.ones((4, 2)), np.zeros((4, 1)), verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], np.full((2, 1), slope))


def test_all_of_keraslike_gives_tensors_where_asked():
    metric, layer = keraslike.metrics.Mean(), keraslike.layers.Dense(1)
    keraslike.config.set_tensor_type("tensorflow")
    try:
        assert keraslike.config.tensor_type() == "tensorflow"
        metric(2.0)
        assert metric.result().numpy() == 2.0 and layer(x).numpy().shape == (2, 1)
        assert keraslike.ops.sum(x).numpy() == 6.0
    finally:
        keraslike.config.set_tensor_type("jax")
    assert isinstance(layer(x), jax.Array)
    with pytest.raises(ValueError, match="'jax' or 'tensorflow'.*'torch'"):
        keraslike.config.set_tensor_type("torch")


# -- checks and settings --------------------------------------------------------------------------


def test_filtering_of_tracebacks_is_that_of_keras():
    tf.debugging.disable_traceback_filtering()
    assert not keraslike.config.is_traceback_filtering_enabled()
    tf.debugging.enable_traceback_filtering()
    assert tf.debugging.is_traceback_filtering_enabled()


def test_numbers_are_checked_where_they_are_and_when_a_function_runs():
    good, bad = tf.constant([1.0, 2.0]), tf.constant([float("nan"), float("inf")])
    check = tf.debugging.check_numerics
    with tf.GradientTape() as tape:
        tape.watch(good)
        y = check(good * good, "squares")
    assert tape.gradient(y, good).numpy().tolist() == [2.0, 4.0]
    with pytest.raises(tf.errors.InvalidArgumentError, match="these : Tensor had Inf and NaN"):
        check(bad, "these")
    with pytest.raises(tf.errors.InvalidArgumentError, match="int32"):
        check(tf.constant([1]), "these")
    traced = tf.function(lambda x: check(tf.math.log(x), "logs"))
    assert traced(good).numpy()[0] == 0.0
    with pytest.raises(tf.errors.InvalidArgumentError, match="logs : Tensor had NaN values"):
        traced(-good)
    assert traced(good).numpy()[0] == 0.0
    tf.get_logger().setLevel("ERROR")


def test_the_backend_s_settings_and_dtypes():
    backend = keras.backend
    assert backend.backend() == "jax" and backend.image_data_format() == "channels_last"
    kinds = [("int32", "float16"), ("uint8", "int8"), ("float16", "bfloat16"), ("bool", "int8"), ()]
    expected = ["float16", "int16", "float32", "int8", "float32"]
    assert [backend.result_type(*kind) for kind in kinds] == expected
    assert backend.is_keras_tensor(keras.Input((2,))) and not backend.is_keras_tensor(1.0)
    backend.clear_session()
    assert keras.layers.Dense(1).name == "dense" and backend.get_uid("dense") == 2
    assert tf.keras.backend.epsilon() == keras.config.epsilon()


def test_structures_are_compared_with_their_types_or_without():
    same = tf.nest.assert_same_structure
    same({"b": [1, (2,)], "a": 3}, {"a": 4, "b": [5, (6,)]})
    same([1, {"a": (2,)}], (3, {"a": [4]}), check_types=False)
    with pytest.raises(TypeError, match="list and tuple"):
        same([1], (1,))
    for other in ([1, 2], 1, {"a": 1}):
        with pytest.raises(ValueError):
            same([1], other, check_types=False) if other != {"a": 1} else same({"b": 1}, other)


def test_structures_are_those_of_tensorflow():
    nest, ordered = tf.nest, collections.OrderedDict(b=1, a=2)
    assert nest.flatten([ordered, range(2), {"d": 5}.values(), None]) == [2, 1, 0, 1, 5, None]
    packed = nest.pack_sequence_as(ordered, ["a", "b"])
    assert list(packed.items()) == [("b", "b"), ("a", "a")]
    ragged = tf.ragged.constant([[1], [2, 3]])
    doubled = nest.map_structure(lambda x: x * 2, ragged, expand_composites=True)
    assert doubled.flat_values.numpy().tolist() == [2, 4, 6]
    with pytest.raises(TypeError, match="tuple and list"):
        nest.map_structure(lambda x, y: x, (1, 2), [1, 2])
    with pytest.raises(TypeError, match="sequence"):
        nest.pack_sequence_as([1, 2], "ab")
    with pytest.raises(TypeError, match="sortable"):
        nest.flatten({1: 2, "a": 3})
