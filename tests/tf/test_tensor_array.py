"""`tf.TensorArray`: what TensorFlow gives, gradients, loops and life inside jit."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from keraslike import tf

InvalidArgumentError, OutOfRangeError = tf.errors.InvalidArgumentError, tf.errors.OutOfRangeError


def plain(x):
    return np.asarray(x).tolist()


def array(size=3, **settings):
    return tf.TensorArray(tf.float32, size=size, **settings)


# -- the chapter's cells -----------------------------------------------------------------------


def test_the_chapters_array():
    a = tf.TensorArray(dtype=tf.float32, size=3)
    a = a.write(0, tf.constant([1.0, 2.0]))
    a = a.write(1, tf.constant([3.0, 10.0]))
    a = a.write(2, tf.constant([5.0, 7.0]))
    assert repr(a.read(1)) == (
        "<tf.Tensor: shape=(2,), dtype=float32, numpy=array([ 3., 10.], dtype=float32)>"
    )
    with pytest.raises(InvalidArgumentError, match="cleared.*clear_after_read=False"):
        a.read(1)
    assert repr(a.stack()) == (
        "<tf.Tensor: shape=(3, 2), dtype=float32, numpy=\n"
        "array([[1., 2.],\n       [0., 0.],\n       [5., 7.]], dtype=float32)>"
    )
    assert plain(a.read(1)) == [0, 0]  # stack() put zeros there


def test_attributes():
    a = array(element_shape=[2])
    assert a.dtype == tf.float32 and a.dynamic_size is False
    assert a.element_shape == tf.TensorShape([2]) and array().element_shape is None
    assert repr(a.size()) == "<tf.Tensor: shape=(), dtype=int32, numpy=3>"
    assert repr(a) == "<tf.TensorArray: size=3, dtype=float32, element_shape=(2,)>"
    assert plain(array(-1).size()) == 0
    with pytest.raises(ValueError, match="size"):
        tf.TensorArray(tf.float32)
    with pytest.raises(TypeError):
        a[0]


def test_writing_beyond_the_end():
    with pytest.raises(OutOfRangeError, match="not resizeable"):
        array().write(3, 1.0)
    with pytest.raises(OutOfRangeError, match="negative"):
        array().write(-1, 1.0)
    with pytest.raises(OutOfRangeError, match="size 3"):
        array().read(5)
    grown = array(0, dynamic_size=True).write(5, [1.0])
    assert plain(grown.size()) == 6
    assert plain(grown.stack()) == [[0], [0], [0], [0], [0], [1]]
    assert plain(grown.gather([5, 0])) == [[1], [0]]
    assert plain(grown.concat()) == [0, 0, 0, 0, 0, 1]


def test_what_does_not_fit():
    a = array().write(0, 1)  # a number takes the dtype
    assert plain(a.read(0)) == 1
    with pytest.raises(InvalidArgumentError, match="float32.*int32"):
        a.write(0, tf.constant(1))
    with pytest.raises(ValueError, match=r"shape \(\)"):
        a.write(1, [1.0])
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        array(element_shape=[2]).write(0, [1.0, 2.0, 3.0])
    for read in (array().stack, array().concat, lambda: array().read(0)):
        with pytest.raises(ValueError, match="element_shape"):
            read()


def test_a_write_is_seen_by_both():
    a = array()
    b = a.write(0, 1.0)
    assert b is not a and plain(a.read(0)) == 1


def test_reading():
    kept = array(2, clear_after_read=False).write(0, [1.0, 2.0])
    assert plain(kept.read(0)) == plain(kept.read(0)) == [1, 2]
    assert plain(array(element_shape=[2]).read(0)) == [0, 0]
    a = array(2).unstack([1.0, 2.0])
    assert plain(a.gather([0, 1])) == plain(a.gather([0, 1])) == [1, 2]
    a.read(0)
    assert plain(a.write(0, 5.0).read(0)) == 5
    with pytest.raises(OutOfRangeError, match="Index 7"):
        a.gather([7])
    assert plain(tf.TensorArray(tf.string, 2).write(0, "a").stack()) == [b"a", b""]
    assert plain(array(0).stack()) == []
    assert array(0, element_shape=[2]).stack().shape == [0, 2]
    assert tf.TensorArray(tf.int64, 1).write(0, 2**40).stack().dtype == tf.int64


def test_unstack_scatter_split():
    a = array(2).unstack([[1.0, 2.0], [3.0, 4.0]])
    assert plain(a.stack()) == [[1, 2], [3, 4]] and plain(a.concat()) == [1, 2, 3, 4]
    assert plain(array(0, dynamic_size=True).unstack([1.0, 2.0]).size()) == 2
    for value in ([1.0], [1.0] * 3, 1.0):
        with pytest.raises(ValueError):
            array(2).unstack(value)
    s = array().scatter([0, 2], [[1.0], [2.0]])
    assert plain(s.stack()) == [[1], [0], [2]]
    parts = array().split([1.0, 2.0, 3.0], [1, 0, 2])
    assert plain(parts.read(2)) == [2, 3] and plain(parts.read(1)) == []
    assert plain(array(2).split([1.0, 2.0, 3.0], [1, 2]).concat()) == [1, 2, 3]
    with pytest.raises(InvalidArgumentError, match="sum"):
        array(2).split([1.0, 2.0, 3.0], [1, 1])


def test_identity_and_close():
    a = array(2).unstack([1.0, 2.0])
    assert plain(a.identity().stack()) == [1, 2]
    a.close()
    assert plain(a.size()) == 0 and plain(a.stack()) == []


def test_pickles_and_copies():
    a = array().write(0, 1.0).write(1, 2.0)
    a.read(0)
    for twin in (pickle.loads(pickle.dumps(a)), copy.deepcopy(a)):
        with pytest.raises(InvalidArgumentError, match="cleared"):
            twin.read(0)
        assert plain(twin.write(1, 9.0).stack()) == [0, 9, 0]
    assert plain(a.stack()) == [0, 2, 0]


# -- gradients ---------------------------------------------------------------------------------


def test_gradients():
    x = tf.Variable([1.0, 2.0])
    with tf.GradientTape(persistent=True) as tape:
        a = array().write(0, x).write(1, x * x).write(2, 3.0 * x)
        stacked, gathered, joined = a.stack(), a.gather([1]), a.concat()
        read = a.read(1)
        unstacked = array(2).unstack(x).read(1)
    assert plain(tape.gradient(stacked, x)) == plain(tape.gradient(joined, x)) == [6, 8]
    assert plain(tape.gradient(gathered, x)) == plain(tape.gradient(read, x)) == [2, 4]
    assert plain(tape.gradient(unstacked, x)) == [0, 1]


# -- inside of compiled functions --------------------------------------------------------------


def test_inside_jit():
    @jax.jit
    def powers(x):
        a = array()
        for i in range(3):
            a = a.write(i, x**i)
        return a, a.read(2), a.size()

    a, last, size = powers(jnp.array([1.0, 2.0]))
    assert plain(a.stack()) == [[1, 1], [1, 2], [1, 4]]
    assert plain(last) == [1, 4] and plain(size) == 3
    assert plain(a.read(1)) == [1, 2]  # of an array that came out
    assert plain(a.write(1, [7.0, 7.0]).stack()) == [[1, 1], [7, 7], [1, 4]]
    with pytest.raises(OutOfRangeError, match="not resizeable"):
        jax.jit(lambda x: array().write(3, x).stack())(1.0)


def test_each_array_is_what_it_was_while_traced():
    @jax.jit
    def twice(x):
        a = array(1).write(0, x)
        a.write(0, x * 2)
        return a.read(0), a.read(0)

    assert plain(twice(1.0)) == [1, 1]


def test_an_array_from_outside_keeps_no_tracer():
    a = array(2).unstack([1.0, 2.0])
    assert plain(jax.jit(lambda x: a.write(0, x).stack())(9.0)) == [9, 2]
    assert plain(a.stack()) == [1, 2]


def test_as_a_pytree():
    a = array(2).unstack([1.0, 2.0])
    assert plain(jax.tree.map(lambda x: x * 2, a).stack()) == [2, 4]
    uneven = array(2, infer_shape=False).write(0, [1.0]).write(1, [2.0, 3.0])
    out = jax.jit(lambda b: b)(uneven)
    assert plain(out.concat()) == [1, 2, 3] and plain(out.read(1)) == [2, 3]


def test_traced_indices():
    @jax.jit
    def squares(a):
        def step(i, a):
            return a.write(i, tf.Tensor(jnp.float32(i * i)))

        a = jax.lax.fori_loop(0, 3, step, a)
        return a, a.read(jnp.int32(2)), a.gather(jnp.array([2, 1]))

    a, last, two = squares(array(element_shape=[]))
    assert plain(a.stack()) == [0, 1, 4] and plain(last) == 4 and plain(two) == [4, 1]
    scattered = jax.jit(lambda i: array().scatter(i, [1.0, 2.0]).stack())(jnp.array([2, 0]))
    assert plain(scattered) == [2, 0, 1]
    lost = jax.jit(lambda i: array(element_shape=[]).write(i, 1.0).stack())(7)
    assert plain(lost) == [0, 0, 0]


def test_inside_tf_function():
    @tf.function
    def powers(x):
        a = array()
        for i in range(3):
            a = a.write(i, x ** float(i))
        return a.stack()

    x = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        y = powers(x)
    assert plain(y) == [1, 2, 4] and plain(tape.gradient(y, x)) == 5
