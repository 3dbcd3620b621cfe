"""Masks, and what a layer says about its output, while a functional model is made."""

import numpy as np
import pytest

import keraslike as keras
from keraslike import layers, ops, tf

IDS = np.array([[3, 5, 0, 0], [1, 0, 0, 0]])


class Seen(layers.Layer):
    """Notes the mask that it is given."""

    supports_masking = True

    def call(self, x, mask=None):
        self.seen = None if mask is None else mask.shape
        return x if mask is None else ops.where(mask[..., None], x, 7.0)


def test_call_sees_the_mask_while_a_model_is_made():
    i = layers.Input((4,), dtype="int32")
    x = layers.Embedding(10, 3, mask_zero=True)(i)
    assert x._keras_mask.shape == (None, 4) and x._keras_mask.dtype == "bool"
    layer = Seen()
    y = layer(x)
    assert len(layer.seen) == 2 and layer.seen[1] == 4
    assert y._keras_mask.shape == (None, 4)
    z = layers.LSTM(2)(y)
    assert z._keras_mask is None and i._keras_mask is None
    out = np.asarray(keras.Model(i, y)(IDS))
    assert (out[0, 2:] == 7).all() and (out[0, :2] != 7).all()


def test_without_a_mask_there_is_none():
    layer = Seen()
    layer(layers.Input((4, 3)))
    assert layer.seen is None


def test_a_mask_goes_through_models_and_merges():
    i = layers.Input((4,), dtype="int32")
    inner = keras.Sequential([layers.Embedding(10, 3, mask_zero=True), layers.Dense(3)])
    x = inner(i)
    assert x._keras_mask.shape == (None, 4)
    both = layers.Concatenate(axis=1)([x, layers.Masking()(x)])
    assert both._keras_mask.shape == (None, 8)


def test_a_mask_can_be_an_input_of_other_operations():
    i = layers.Input((4,), dtype="int32")
    x = layers.Embedding(10, 3, mask_zero=True)(i)
    lengths = ops.sum(ops.cast(x._keras_mask, "int32"), axis=1)
    model = keras.Model(i, lengths)
    assert np.asarray(model(IDS)).tolist() == [2, 1]
    assert np.asarray(model.predict(IDS, verbose=0)).tolist() == [2, 1]
    outer = layers.Input((4,), dtype="int32")
    assert np.asarray(keras.Model(outer, model(outer) + 1)(IDS)).tolist() == [3, 2]


def test_compute_mask_of_symbolic_tensors():
    i = layers.Input((4,), dtype="int32")
    embedding = layers.Embedding(10, 3, mask_zero=True)
    mask = embedding.compute_mask(i)
    x = layers.LSTM(2)(embedding(i), mask=mask)
    model = keras.Model(i, [x, mask])
    out, seen = model(IDS)
    assert np.asarray(seen).tolist() == (IDS != 0).tolist()
    lstm = model.layers[-1]
    np.testing.assert_allclose(out[1], lstm(embedding(IDS[1:, :1]))[0], rtol=1e-5)
    x = layers.Input((4, 2))
    assert layers.Masking().compute_mask(x).shape == (None, 4)


def test_compute_output_shape_spares_a_trace_of_call():
    class Scale(layers.Layer):
        traces = 0

        def call(self, x):
            Scale.traces += 1
            return x * 2

        def compute_output_shape(self, input_shape):
            return input_shape

    i = layers.Input((3,))
    y = Scale()(i)
    assert y.shape == (None, 3) and y.dtype == "float32" and Scale.traces == 0
    assert float(keras.Model(i, y)(np.ones((1, 3), "float32"))[0, 0]) == 2.0


def test_compute_output_shape_may_ask_the_base_class():
    class Same(layers.Layer):
        def call(self, x, y):
            return x + y, y

        def compute_output_shape(self, x_shape, y_shape):
            shapes = super().compute_output_shape(x_shape, y_shape)
            assert len(shapes) == 2
            return [x_shape, y_shape]

    x, y = Same()(layers.Input((3,)), layers.Input((3,)))
    assert x.shape == y.shape == (None, 3)


def test_a_layer_that_builds_in_call_is_traced_all_the_same():
    class Late(layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = layers.Dense(2)

        def call(self, x):
            return self.inner(x)

        def compute_output_shape(self, input_shape):
            return (*input_shape[:-1], 2)

    layer = Late()
    assert layer(layers.Input((3,))).shape == (None, 2)
    assert [w.shape for w in layer.weights] == [(3, 2), (2,)]


def test_names_of_build_are_those_of_call():
    class Two(layers.Layer):
        def build(self, foo_shape, baz_shape):
            pass

        def call(self, foo, bar):
            return foo + bar

    with pytest.raises(ValueError, match=r"call\(foo, bar\).*`baz_shape`"):
        Two()(np.ones((2, 2)), np.ones((2, 2)))


def test_the_mask_of_a_symbolic_tensor_is_given_by_its_function():
    inputs = layers.Input((4, 2))
    outputs = layers.Masking()(inputs)
    model = keras.Model(inputs, keras.backend.get_keras_mask(outputs))
    x = np.array([[[0, 0], [1, 2], [0, 0], [3, 4]]], "float32")
    assert np.asarray(model(x)).tolist() == [[False, True, False, True]]
    assert keras.backend.get_keras_mask(inputs) is None


def test_a_mask_that_functions_of_tensorflow_compute():
    class Ids(keras.layers.Layer):
        def call(self, inputs):
            return tf.one_hot(inputs, 3)

        def compute_mask(self, inputs, mask=None):
            return tf.math.not_equal(inputs, 0)

    class Counted(keras.layers.Layer):
        def call(self, inputs, mask):
            return tf.reduce_sum(tf.cast(mask[:, tf.newaxis, :], "int32"), -1)

    inputs = keras.Input((4,), dtype="int32")
    model = keras.Model(inputs, Counted()(Ids()(inputs)))
    ids = np.array([[1, 2, 0, 0], [1, 1, 1, 0]])
    assert model.predict(ids, verbose=0).tolist() == [[2], [3]]
