"""The chapter's section on variables, and what its printed results are."""

import copy
import pickle

import jax.numpy as jnp
import numpy as np
import pytest

import keraslike as keras
from keraslike import tf


@pytest.fixture
def v():
    return tf.Variable([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


def test_the_chapter(v):
    assert repr(v) == (
        "<tf.Variable 'Variable:0' shape=(2, 3) dtype=float32, numpy=\n"
        "array([[1., 2., 3.],\n       [4., 5., 6.]], dtype=float32)>"
    )
    unread = "<tf.Variable 'UnreadVariable' shape=(2, 3) dtype=float32, numpy=\narray("
    assert repr(v.assign(2 * v)) == (
        unread + "[[ 2.,  4.,  6.],\n       [ 8., 10., 12.]], dtype=float32)>"
    )
    assert repr(v[0, 1].assign(42)) == (
        unread + "[[ 2., 42.,  6.],\n       [ 8., 10., 12.]], dtype=float32)>"
    )
    assert repr(v[:, 2].assign([0.0, 1.0])) == (
        unread + "[[ 2., 42.,  0.],\n       [ 8., 10.,  1.]], dtype=float32)>"
    )
    assert repr(v.scatter_nd_update(indices=[[0, 0], [1, 2]], updates=[100.0, 200.0])) == (
        unread + "[[100.,  42.,   0.],\n       [  8.,  10., 200.]], dtype=float32)>"
    )


def test_changes(v):
    v.assign_add(tf.ones([2, 3])).assign_sub([[1.0, 1.0, 1.0]] * 2)
    np.testing.assert_array_equal(v, [[1, 2, 3], [4, 5, 6]])
    v[1].assign_add([1.0, 1.0, 1.0])
    v[..., 0].assign_sub([1.0, 1.0])
    v[tf.constant(0), 1].assign(7)
    np.testing.assert_array_equal(v, [[0, 7, 3], [4, 6, 7]])
    v.scatter_update(tf.IndexedSlices([[1.0, 1.0, 1.0]], [1]))
    v.scatter_add(tf.IndexedSlices([[1.0, 2.0, 3.0]], [1]))
    v.scatter_sub(tf.IndexedSlices([[1.0, 1.0, 1.0]], [0]))
    v.scatter_nd_add([[0, 0]], [5.0])
    v.scatter_nd_sub([[0, 1]], [6.0])
    np.testing.assert_array_equal(v, [[4, 0, 2], [2, 3, 4]])


def test_integers_are_divided_towards_zero():
    v = tf.Variable([-7, 100, 9])
    v.scatter_div(tf.IndexedSlices([2, 3, -2], [0, 1, 1]))
    np.testing.assert_array_equal(v, [-3, -16, 9])


def test_the_first_call_of_a_function_tells_the_initial_value():
    made = tf.Module()

    @tf.function
    def total(x):
        if not hasattr(made, "parts"):
            made.parts = [tf.Variable(tf.zeros_like(x)), tf.Variable(x)]
        return made.parts[0].assign_add(made.parts[1] * x)

    assert float(total(tf.constant(2.0))) == 4.0
    assert float(total(tf.constant(3.0))) == 10.0
    assert total.experimental_get_tracing_count() == 2  # one of them before there were variables

    @tf.function
    def always(x):
        return tf.Variable(x) + 1.0

    @tf.function
    def changed(x):
        v = tf.Variable(1.0)
        v.assign_add(x)
        return v

    for function in (always, changed):
        with pytest.raises(ValueError, match="each time that it is traced"):
            function(tf.constant(1.0))


def test_the_result_of_an_assignment_is_used_like_its_variable():
    one, two = tf.Variable(0), tf.Variable([1.0, 2.0])
    assert not one.assign(0) and float(one.assign(3)) == int(one.assign(3)) == 3
    assert len(two.assign_add([1.0, 1.0])) == 2 and [float(x) for x in two.assign(two)] == [2, 3]


def test_init_scope_leaves_the_trace():
    v, seen = tf.Variable(0.0), []

    @tf.function
    def add(x):
        v.assign_add(x)
        with tf.init_scope():
            seen.append(float(v.assign_add(1.0)))
        return v * x

    assert [float(add(tf.constant(2.0))) for _ in range(2)] == [6.0, 10.0] and seen == [1.0]
    with tf.GradientTape() as tape, tf.init_scope():
        y = v * 2.0
    assert tape.gradient(y, v) is None  # nothing is recorded there


def test_rows_of_text_are_replaced():
    v = tf.Variable(["a", "b", "c"])
    v.scatter_update(tf.IndexedSlices(tf.constant(["x", "y"]), [0, 2])).scatter_nd_update(
        [[1]], ["z"]
    )
    assert v.sparse_read([2, 1, 0]).numpy().tolist() == [b"y", b"z", b"x"]


@pytest.mark.parametrize(
    "change, error, match",
    [
        (lambda v: v.assign([1.0]), ValueError, r"\(2, 3\).*\(1,\)"),
        (lambda v: v.assign(3), ValueError, r"\(2, 3\)"),
        (lambda v: v.assign(tf.zeros([2, 3], tf.int32)), ValueError, "float32.*int32"),
        (lambda v: v.assign_add(tf.zeros([2, 3], tf.int32)), ValueError, "float32.*int32"),
        (lambda v: v.__setitem__((0, 1), 42), TypeError, "assign"),
        (lambda v: v.scatter_update([1.0]), TypeError, "IndexedSlices"),
        (
            lambda v: tf.Variable([1j]).scatter_nd_max([[0]], [1j]),
            tf.errors.InvalidArgumentError,
            "complex128",
        ),
        (
            lambda v: tf.Variable([1]).scatter_div(tf.IndexedSlices([0], [0])),
            tf.errors.InvalidArgumentError,
            "must not contain 0",
        ),
        (lambda v: (v + 1).assign(2.0), AttributeError, "immutable"),
        (lambda v: tf.Variable(), ValueError, "initial_value"),
        (lambda v: tf.Variable([1.0, 2.0], shape=(3,)), ValueError, "shape"),
    ],
)
def test_bad_changes(v, change, error, match):
    before = v.numpy()
    with pytest.raises(error, match=match):
        change(v)
    np.testing.assert_array_equal(v, before)


def test_what_a_variable_is(v):
    assert v.shape == (2, 3) and v.dtype is tf.float32 and v.name == "Variable:0" and v.trainable
    assert tf.Variable(5.0, name="w").name == "w:0"
    assert not tf.Variable(1.0, trainable=False).trainable
    assert isinstance(v.value(), tf.Tensor) and isinstance(v + 1, tf.Tensor)
    assert isinstance(v.numpy(), np.ndarray) and len(v) == 2
    np.testing.assert_array_equal(jnp.square(v), np.square(v.numpy()))
    wide = tf.Variable(np.arange(2.0))
    assert wide.dtype is tf.float64 and wide.assign_add([1.0, 1.0]).dtype is tf.float64
    np.testing.assert_array_equal(wide, [1.0, 2.0])


def test_state_is_that_of_keraslike(v):
    assert isinstance(v, keras.Variable)

    class Scale(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.factor = tf.Variable(2.0, name="factor")
            self.fixed = tf.Variable(1.0, trainable=False)

        def call(self, x):
            return x * self.factor + self.fixed

    layer = Scale()
    assert (
        layer.trainable_variables == [layer.factor] or layer.trainable_variables[0] is layer.factor
    )
    assert [w is layer.fixed for w in layer.non_trainable_variables] == [True]
    model = keras.Sequential([layer])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x = np.ones((8, 1), "float32")
    model.fit(x, 5 * x, epochs=60, verbose=0)
    np.testing.assert_allclose(layer.factor, 4.0, rtol=1e-3)
    np.testing.assert_array_equal(layer.fixed, 1.0)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_copies(v, copied):
    again = copied(v)
    assert type(again) is type(v) and again.dtype is v.dtype
    again.assign_add(tf.ones([2, 3]))
    np.testing.assert_array_equal(again.numpy() - 1, v)


def test_sizes_that_a_variable_leaves_open_may_change():
    v = tf.Variable([1.0, 2.0], shape=tf.TensorShape(None))
    assert repr(v.assign([[1.0, 2.0, 3.0]])).startswith("<tf.Variable 'UnreadVariable' shape=<unk")
    assert (v.shape.rank, v.numpy().tolist()) == (None, [[1.0, 2.0, 3.0]])
    v = tf.Variable([1.0, 2.0], shape=[None])

    @tf.function
    def double():
        v.assign(tf.concat([v, v], 0))
        return tf.reduce_sum(v)

    assert [float(double()), float(double())] == [6.0, 12.0]
    assert (v.shape.as_list(), tf.shape(v).numpy().tolist()) == ([None], [8])
    assert tf.gather(v, [7]).numpy().tolist() == [2.0]
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(v**2)
    assert tape.gradient(y, v).numpy().tolist() == [2.0, 4.0] * 4
    with pytest.raises(ValueError, match="of shape .None,. a value of shape .1, 1."):
        v.assign([[1.0]])


def test_assignments_return_nothing_if_the_value_is_not_read():
    v = tf.Variable([1.0, 2.0])
    for assign in (v.assign, v.assign_add, v.assign_sub):
        assert assign([1.0, 1.0], read_value=False) is None
    assert v.numpy().tolist() == [1.0, 1.0]


def test_elements_of_a_variable_of_a_layer_are_assigned_in_a_function():
    layer = tf.keras.layers.Dense(4, use_bias=True)
    layer.build((None, 2))

    @tf.function
    def count(places):
        for place in places:
            if place > 1:
                layer.bias[place].assign(layer.bias[place] + 1.0)
            else:
                layer.bias[0].assign(layer.bias[0] + 2.0)

    count(tf.constant([0, 2, 3, 3]))
    layer.bias[1].assign(7.0)
    assert layer.bias.numpy().tolist() == [2.0, 7.0, 1.0, 2.0]
    with tf.GradientTape() as tape:
        y = layer.bias[1] * 3.0
    assert tape.gradient(y, layer.bias).numpy().tolist() == [0.0, 3.0, 0.0, 0.0]


def test_creators_of_variables():
    seen = []

    def first(next_creator, **kwargs):
        seen.append((kwargs["initial_value"], kwargs["name"], kwargs["trainable"], len(kwargs)))
        return next_creator(**kwargs)

    def of_five(next_creator, **kwargs):
        return next_creator(**{**kwargs, "initial_value": 5.0})

    with tf.variable_creator_scope(first):
        with tf.variable_creator_scope(of_five):
            made = tf.Variable(1, name="a")
        text = tf.Variable("text")
        other = tf.keras.layers.Dense(1)
        other.build((None, 2))
        with pytest.raises(TypeError, match="initial"):
            tf.Variable(1.0, initial=2.0)
    assert (made.name, made.numpy()) == ("a:0", 5.0) and text.numpy() == b"text"
    assert seen == [(5.0, "a", None, 12), ("text", None, None, 12)]
    with tf.variable_creator_scope(lambda next_creator, **kwargs: 7):
        assert tf.Variable(1.0) == 7
    assert tf.Variable(1.0).numpy() == 1.0

    kept = []

    @tf.function
    def function():
        if not kept:
            with tf.variable_creator_scope(of_five):
                kept.append(tf.Variable(1.0))
        return kept[0] + 1

    assert function().numpy() == function().numpy() == 6.0


def test_a_slice_is_assigned_its_dtype() -> None:
    v = tf.Variable([1, 2])
    for value in (tf.constant([3, 4], tf.int8), tf.constant([3, 4], tf.int64)):
        with pytest.raises(ValueError):
            v[:].assign(value)
    with pytest.raises(TypeError):
        v[:].assign([1.5, 2.5])
    assert v.numpy().tolist() == [1, 2]
    v[:].assign(np.array([3, 4]))
    v[:1].assign_add([5])
    assert v.numpy().tolist() == [8, 4]
