"""Layers that only `tf.keras` has. The sizes are those that Keras draws on JAX."""

import numpy as np
import pytest

from keraslike import Input, Sequential, layers, tf

IMAGES = np.arange(48, dtype="float32").reshape(1, 4, 4, 3)


@pytest.mark.parametrize(
    ("factor", "sizes"), [(0.5, (5, 5, 3)), ((0.2, 0.9), (7, 7, 5)), ((-0.6, -0.1), (3, 3, 2))]
)
@pytest.mark.parametrize(("name", "axis"), [("RandomHeight", 1), ("RandomWidth", 2)])
def test_random_sizes(name, axis, factor, sizes):
    layer = getattr(tf.keras.layers, name)(factor, seed=3)
    assert tuple(layer(IMAGES, training=True).shape[axis] for _ in range(2)) == sizes[:2]
    assert layer(IMAGES).shape[axis] == sizes[2]
    np.testing.assert_array_equal(layer(IMAGES, training=False), IMAGES)
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()
    shape = list(IMAGES.shape)
    shape[axis] = None
    assert layer.compute_output_shape(IMAGES.shape) == tuple(shape)


def test_random_sizes_need_python():
    layer = tf.keras.layers.RandomHeight((0.5, 0.5))
    images = tf.data.Dataset.from_tensor_slices(np.repeat(IMAGES, 2, 0))
    assert [x.shape for x in images.map(lambda x: layer(x, training=True))] == [(6, 4, 3)] * 2
    model = Sequential([Input((4, 4, 3)), layer, layers.GlobalMaxPooling2D(), layers.Dense(1)])
    assert model.predict(IMAGES, verbose=0).shape == (1, 1)
    model.compile("sgd", "mse")
    with pytest.raises(Exception, match="draws the size of its output"):
        model.fit(IMAGES, np.ones((1, 1)), verbose=0)
    for factor in (-0.5, (0.5, 0.1), (-2, 1)):
        with pytest.raises(ValueError, match="factor"):
            tf.keras.layers.RandomWidth(factor)
