"""Keras 2's functional backend gives what it gives under TensorFlow."""

import itertools
import json

import jax.numpy as jnp
import numpy as np
import pytest

import keraslike
from keraslike import backend as K  # noqa: N812
from keraslike.core import promotion
from tests.backend import backend_calls

WANTED = json.loads(backend_calls.FILE.read_text())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "wanted"),
    list(zip(backend_calls.CALLS, WANTED)),
    ids=[name for name, _, _ in backend_calls.CALLS],
)
def test_values(call, wanted):
    name, args, kwargs = call
    found = backend_calls.outcome(K, name, args, kwargs)
    if isinstance(found, (str, int)):
        assert found == wanted
        return
    for a, b in zip(found, wanted, strict=True):
        assert np.shape(a) == np.shape(b)
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_variables_are_updated():
    v = K.variable([1.0, 2.0], name="v")
    K.set_value(v, [3.0, 4.0])
    K.batch_set_value([(v, [5.0, 6.0])])
    K.update_add(v, 1.0)
    K.update_sub(v, 2.0)
    assert K.get_value(v).tolist() == [4.0, 5.0] == K.batch_get_value([v])[0].tolist()
    K.moving_average_update(v, jnp.zeros(2), 0.5)
    K.update(v, v * 2)
    assert v.numpy().tolist() == [4.0, 5.0] and K.count_params(v) == 2


def test_random_numbers():
    assert K.random_normal((2, 3), seed=1).shape == (2, 3)
    assert set(np.unique(K.random_bernoulli((50,), 0.5, seed=1))) == {0.0, 1.0}
    assert 2 <= float(K.random_uniform((1,), 2, 3)[0]) <= 3
    assert abs(float(K.truncated_normal((1,), seed=1)[0])) <= 2
    assert K.random_normal_variable((2,), 0, 1).shape == (2,)
    assert float(K.random_uniform_variable((1,), 5, 6).value[0]) >= 5
    assert float(K.dropout(jnp.ones(4), 0.5, seed=1).max()) == 2.0


def test_recurrence():
    def step(x, states):
        return x + states[0], [x + states[0]]

    x, mask = np.arange(6.0).reshape(1, 3, 2).astype("float32"), np.array([[True, False, True]])
    last, outputs, states = K.rnn(step, x, [np.zeros((1, 2), "float32")], mask=mask)
    assert last.tolist() == [[4.0, 6.0]] == states[0].tolist()
    assert outputs.tolist() == [[[0, 1], [0, 1], [4, 6]]]
    last, outputs, _ = K.rnn(step, x, [np.zeros((1, 2), "float32")], go_backwards=True)
    assert outputs.tolist() == [[[4, 5], [6, 8], [6, 9]]]


def test_symbolic_tensors_are_taken():
    x = keraslike.Input((3,))
    assert K.sum(K.square(x), axis=-1, keepdims=True).shape == (None, 1)
    assert K.int_shape(K.batch_dot(x, x, axes=1)) == (None, 1)
    model = keraslike.Model(x, K.mean(K.relu(x, alpha=0.5), axis=1))
    assert model(np.array([[-2.0, 0.0, 4.0]])).tolist() == [1.0]


def test_sparse_labels():
    labels = K.ctc_label_dense_to_sparse(np.array([[1, 2], [3, 0]]), np.array([2, 1]))
    assert K.is_sparse(labels) and K.to_dense(labels).tolist() == [[1, 2], [3, 0]]
    assert labels.nse == 3


def test_masks_of_arrays():
    x, mask = jnp.ones((2, 3)), jnp.array([[True, True, False], [True, False, False]])
    K.set_keras_mask(x, mask)
    assert K.get_keras_mask(x) is mask and K.get_keras_mask(jnp.ones((2, 3))) is None
    assert keraslike.layers.Activation("tanh")(x) is not x
    assert K.get_keras_mask(keraslike.layers.Activation("tanh")(x)) is mask
    K.set_keras_mask(x, None)
    assert K.get_keras_mask(x) is None


def test_what_cannot_be_is_refused():
    with pytest.raises(RuntimeError, match="jax.grad"):
        K.gradients(jnp.ones(()), [])
    with pytest.raises(ValueError, match="axes must not include axis 0"):
        K.batch_dot(jnp.ones((2, 2)), jnp.ones((2, 2)), axes=0)
    with pytest.raises(ValueError, match="at most as many axes"):
        K.switch(jnp.ones((2, 2)), jnp.ones(2), jnp.ones(2))


@pytest.mark.parametrize("floatx", ["float32", "float16"])
def test_result_types_are_those_of_keras(floatx):
    import keras

    kinds = [*promotion.BOOL_TYPES, *promotion.INT_TYPES, *promotion.FLOAT_TYPES, bool, int, float]
    kinds += [*promotion.COMPLEX_TYPES, "float8_e5m2", None]
    before = keras.config.floatx()
    try:
        keras.config.set_floatx(floatx)
        K.set_floatx(floatx)
        for pair in [(kind,) for kind in kinds] + list(itertools.product(kinds, repeat=2)):
            try:
                expected = keras.backend.result_type(*pair)
            except ValueError:
                with pytest.raises(ValueError, match="no implicit conversions from float8"):
                    K.result_type(*pair)
            else:
                assert K.result_type(*pair) == expected, pair
    finally:
        keras.config.set_floatx(before)
        K.set_floatx(before)
